"""Sequences seen in passing: read after create, read and list after delete, the same list twice.

Other clients act at the same time, and not all of them pass here. So an answer is judged against an earlier one only
where both are of one session, the first had come before the second was sent, and nothing that passed meanwhile can
have changed what is compared. What nobody can have changed is compared, not what somebody may have: an object that is
gone stays gone, unless its identifier is given again.
"""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from conformance.catalog.methods import Method
from conformance.catalog.model import Catalog
from conformance.schema.bundle import resolve_pointer
from conformance.traffic.calls import rows_of
from conformance.traffic.recorded import Gap, Recorded
from conformance.traffic.results import Results

__all__ = ["JUDGED_BY_SEQUENCES", "Sequences"]

JUDGED_BY_SEQUENCES = ("STA-1", "STA-3", "PAG-6")

#: What is remembered; the oldest is forgotten.
MAX_OBJECTS = 20_000
MAX_LISTS = 2_000
MAX_WRITES = 5_000
MAX_WAITING = 5_000
#: A list that is compared has no more rows.
MAX_ROWS = 2_000
#: What is remembered of an object.
MAX_MEMBERS = 30
MAX_TEXT_CHARACTERS = 300
#: Lists of a function that came in another order before PAG-6 is broken: a client elsewhere may have moved a row once.
MIN_OTHER_ORDERS = 2


@dataclass(frozen=True, slots=True)
class _Write:
    """A call that may have changed something."""

    number: int
    at: float
    ended: float
    does: str | None
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Event:
    """What a call did to an object, or what a list showed."""

    number: int
    function: str
    token: str
    at: float
    ended: float
    #: A hash of each row.
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """A violation, unless something that passed meanwhile explains it."""

    rule: str
    since: _Event
    recorded: Recorded
    kind: str
    expected: str
    actual: str
    #: The identifier of the object, in its JSON form; None for a list.
    identifier: str | None


class Sequences:
    """Compares answers with earlier ones. Take the exchanges in the order in which their responses came."""

    def __init__(self, catalog: Catalog, results: Results, harmless: Collection[str] = ()) -> None:
        """Take the catalogue; `harmless` are functions that change no object, as login and logout."""
        self._catalog = catalog
        self._harmless = frozenset(harmless)
        self._results = results
        self._created: OrderedDict[tuple[str, str], _Event] = OrderedDict()
        self._deleted: OrderedDict[tuple[str, str], _Event] = OrderedDict()
        self._states: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        self._lists: OrderedDict[tuple[str, str, bytes], _Event] = OrderedDict()
        self._writes: deque[_Write] = deque(maxlen=MAX_WRITES)
        #: Writes that ended by this time may have been forgotten.
        self._forgotten = -math.inf
        self._waiting: list[_Suspicion] = []
        self._other_orders: Counter[str] = Counter()

    def take(self, recorded: Recorded) -> None:
        """Compare an exchange with earlier ones, and remember what it shows."""
        if recorded.at is None or recorded.ended is None or self._catalog.is_implicit:
            return
        name = recorded.function
        method = self._catalog.methods.get(name) if name is not None else None
        if name not in self._harmless and _may_write(recorded, method):
            self._note_write(recorded, method)
        if method is None or Gap.RESPONSE_BODY in recorded.gaps:
            return
        token = recorded.token
        if token is None or not recorded.request.well_formed or recorded.exchange.json.error is not None:
            return
        event = _Event(recorded.exchange.number, method.name, token, recorded.at, recorded.ended)
        if method.object is not None and method.object.does != "list":
            self._take_object(recorded, method, event)
        elif recorded.accepted and (rows := rows_of(method, recorded)) is not None:
            self._take_list(recorded, method, event, rows)

    def settle(self, until: float = math.inf) -> None:
        """Judge what is suspicious and ended by `until`: all that was sent before that has been taken."""
        due = [each for each in self._waiting if (each.recorded.ended or 0.0) <= until]
        self._waiting = [each for each in self._waiting if (each.recorded.ended or 0.0) > until]
        for suspicion in due:
            if not self._is_explained(suspicion):
                self._found(suspicion)

    def forget(self) -> None:
        """Forget everything: exchanges are missing from now on, so nothing can be compared across the gap."""
        for memory in (self._created, self._deleted, self._states, self._lists):
            memory.clear()
        self._waiting.clear()

    # --- writes

    def _note_write(self, recorded: Recorded, method: Method | None) -> None:
        assert recorded.at is not None
        assert recorded.ended is not None
        if len(self._writes) == MAX_WRITES:
            self._forgotten = max(self._forgotten, self._writes[0].ended)
        role = method.object if method is not None else None
        does = role.does if role is not None and Gap.RESPONSE_BODY not in recorded.gaps else None
        values = frozenset(_scalars(recorded.arguments)) | frozenset(_scalars(recorded.exchange.data))
        self._writes.append(_Write(recorded.exchange.number, recorded.at, recorded.ended, does, values))

    def _is_explained(self, suspicion: _Suspicion) -> bool:
        """Return whether something that passed between the two calls may explain the difference."""
        since, end = suspicion.since, suspicion.recorded.ended or math.inf
        if self._forgotten >= since.at:
            return True
        ignored = {since.number, suspicion.recorded.exchange.number}
        for write in self._writes:
            if write.number in ignored or write.ended <= since.at or write.at >= end:
                continue
            if suspicion.identifier is None or suspicion.identifier in write.values or write.does is None:
                return True
            # A delete may take what belongs to the object with it.
            if write.does == "delete" and suspicion.rule == "STA-1":
                return True
        return False

    # --- objects

    def _take_object(self, recorded: Recorded, method: Method, event: _Event) -> None:
        role, exchange = method.object, recorded.exchange
        assert role is not None
        if role.does == "create":
            identifier = _at(exchange.data, role.id) if recorded.accepted else None
            if not _is_identifier(identifier):
                return
            key = (role.kind, json.dumps(identifier))
            self._deleted.pop(key, None)
            _remember(self._created, key, event, MAX_OBJECTS)
            state = _members(recorded.arguments) | _members(_at(exchange.data, role.at))
            _remember(self._states, key, state, MAX_OBJECTS)
            return
        identifier = recorded.arguments.get(role.id)
        if not _is_identifier(identifier):
            return
        key = (role.kind, json.dumps(identifier))
        if role.does == "read":
            self._judge_read_after_create(recorded, key, event)
        if recorded.accepted:
            self._judge_after_delete(recorded, key, event, _at(exchange.data, role.at))
        elif key in self._deleted and exchange.status in (400, 403, 404):
            self._results.judge("STA-3", True, recorded, kind="", expected="")
        if not recorded.accepted:
            return
        if role.does == "delete":
            self._created.pop(key, None)
            _remember(self._deleted, key, event, MAX_OBJECTS)
        elif isinstance(found := _at(exchange.data, role.at), dict):
            before = {} if role.does == "read" else self._states.get(key, {})
            _remember(self._states, key, before | _members(found), MAX_OBJECTS)

    def _judge_read_after_create(self, recorded: Recorded, key: tuple[str, str], event: _Event) -> None:
        created = self._created.get(key)
        if created is None or created.token != event.token or event.at < created.ended:
            return
        if recorded.accepted:
            self._results.judge("STA-1", True, recorded, kind="", expected="")
            # Later reads show nothing more of the create.
            del self._created[key]
        elif recorded.exchange.status == 404:
            self._suspect(
                "STA-1",
                created,
                recorded,
                "a created object cannot be read",
                f"the {key[0]} that exchange {created.number} ({created.function}) created",
                recorded.exchange.summary(),
                key[1],
            )

    def _judge_after_delete(
        self, recorded: Recorded, key: tuple[str, str], event: _Event, found: Any
    ) -> None:
        deleted = self._deleted.get(key)
        if deleted is None or deleted.token != event.token or event.at < deleted.ended:
            return
        is_read = recorded.function is not None and self._catalog[recorded.function].effect == "read"
        if is_read and not _is_same(self._states.get(key), found, key[1]):
            return
        self._suspect(
            "STA-3",
            deleted,
            recorded,
            "a deleted object is still there",
            f"status 400, 403 or 404: exchange {deleted.number} ({deleted.function}) deleted the {key[0]}",
            recorded.exchange.summary(),
            key[1],
        )

    # --- lists

    def _take_list(self, recorded: Recorded, method: Method, event: _Event, rows: list[Any]) -> None:
        if method.object is not None:
            self._judge_rows(recorded, method, event, rows)
        if len(rows) > MAX_ROWS:
            return
        hashes = tuple(hash(json.dumps(row, sort_keys=True)) for row in rows)
        key = (recorded.request.url, event.token, recorded.request.body)
        before = self._lists.pop(key, None)
        shown = _Event(event.number, event.function, event.token, event.at, event.ended, rows=hashes)
        _remember(self._lists, key, shown, MAX_LISTS)
        if before is None or event.at < before.ended or len(hashes) < 2:
            return
        if before.rows == hashes:
            self._results.judge("PAG-6", True, recorded, kind="", expected="")
        elif sorted(before.rows) == sorted(hashes):
            self._suspect(
                "PAG-6",
                before,
                recorded,
                "the same rows in another order",
                f"the order of exchange {before.number}: the same call, the same rows, and no write meanwhile",
                "the same rows in another order",
                None,
            )

    def _judge_rows(self, recorded: Recorded, method: Method, event: _Event, rows: list[Any]) -> None:
        role = method.object
        assert role is not None
        listed: dict[str, Any] = {}
        for row in rows:
            identifier = _at(row, role.id)
            if _is_identifier(identifier):
                listed[json.dumps(identifier)] = row
        if not self._deleted:
            return
        for identifier, row in listed.items():
            deleted = self._deleted.get((role.kind, identifier))
            if deleted is None or deleted.token != event.token or event.at < deleted.ended:
                continue
            if _is_same(self._states.get((role.kind, identifier)), row, identifier):
                self._suspect(
                    "STA-3",
                    deleted,
                    recorded,
                    "a deleted object is in a list",
                    f"no {role.kind} that exchange {deleted.number} ({deleted.function}) deleted",
                    f"a row has the identifier {identifier} and the values of the deleted object",
                    identifier,
                )

    # --- findings

    def _suspect(
        self,
        rule: str,
        since: _Event,
        recorded: Recorded,
        kind: str,
        expected: str,
        actual: str,
        identifier: str | None,
    ) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(_Suspicion(rule, since, recorded, kind, expected, actual, identifier))

    def _found(self, suspicion: _Suspicion) -> None:
        recorded = suspicion.recorded
        if suspicion.rule == "PAG-6":
            function = recorded.function or ""
            self._other_orders[function] += 1
            if self._other_orders[function] < MIN_OTHER_ORDERS:
                return
        self._results.judge(
            suspicion.rule,
            False,
            recorded,
            kind=suspicion.kind,
            expected=suspicion.expected,
            actual=suspicion.actual,
        )


def _may_write(recorded: Recorded, method: Method | None) -> bool:
    """Return whether a call may have changed something."""
    status = recorded.exchange.status
    if status is not None and 400 <= status < 500:
        return False
    if recorded.request.verb in ("GET", "HEAD", "OPTIONS"):
        return False
    return method is None or method.effect != "read"


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > most:
        memory.popitem(last=False)


def _is_identifier(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _at(data: Any, pointer: str) -> Any:
    try:
        return resolve_pointer(data, pointer)
    except LookupError:
        return None


def _members(value: Any) -> dict[str, Any]:
    """Return the members of an object that are texts, numbers or booleans."""
    if not isinstance(value, dict):
        return {}
    found: dict[str, Any] = {}
    for name, item in value.items():
        is_text = isinstance(item, str) and len(item) <= MAX_TEXT_CHARACTERS
        if len(found) < MAX_MEMBERS and (is_text or isinstance(item, int | float)):
            found[name] = item
    return found


def _is_same(known: dict[str, Any] | None, found: Any, identifier: str) -> bool:
    """Return whether an object has the known values of another, with a text beside the identifier among them."""
    shown = _members(found)
    common = [name for name in known or {} if name in shown and json.dumps(shown[name]) != identifier]
    has_text = any(isinstance(shown[name], str) and len(shown[name]) >= 3 for name in common)
    return has_text and all((known or {})[name] == shown[name] for name in common)


def _scalars(value: Any, most: int = 2_000) -> Iterable[str]:
    """Yield the texts and numbers within a value in their JSON form."""
    stack = [value]
    while stack and most:
        most -= 1
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, str | int) and not isinstance(item, bool):
            yield json.dumps(item)
