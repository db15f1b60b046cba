"""Why requests failed: by function, kind and message, how often, from when to when, with one exchange of each.

A request that was served costs nothing here. New answers of failed requests are read in batches: while a load runs, one
by one would take several times as long, since the processor's caches hold the rest of the program. Messages are
normalized: those that differ only in identifiers and numbers count as one. Memory is bounded: once there are
`MAX_KINDS` rows, the requests of further kinds are counted together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from conformance.events import CallRecord, FailureEvent

__all__ = ["MAX_KINDS", "FailureTable", "Failures", "Outcome", "normalize_message", "outcome_of"]

#: Rows in a table of failures.
MAX_KINDS = 100
#: Characters of a normalized message, and of a message that are read to make one.
MAX_MESSAGE = 200
_MAX_READ = 1_000
#: Answers whose row is remembered by their bytes, and the length of the longest of them, in bytes.
_MAX_KNOWN = 1_024
#: Failed requests that wait until they are counted.
_MAX_PENDING = 256
_MAX_KNOWN_BYTES = 2_048

_decode = msgspec.json.Decoder().decode

#: An identifier or a number: an address, a UUID, a word that contains a digit. It only begins where a word begins, and
#: takes time in proportion to the text, whatever the target sends.
_IDENTIFIER = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+\w|(?<!\w)[^\W\d]*+\d[\w-]*+(?:[.:]\d[\w-]*+)*+")


def normalize_message(text: str) -> str:
    """Return a message with `#` in place of its identifiers and numbers, of at most `MAX_MESSAGE` characters."""
    normalized = " ".join(_IDENTIFIER.sub("#", text[:_MAX_READ]).split())
    return normalized if len(normalized) <= MAX_MESSAGE else normalized[: MAX_MESSAGE - 1] + "…"


@dataclass(slots=True)
class Outcome:
    """The outcome of a call, which outlives the next request of its connection."""

    status: int
    answer: Any
    body: bytes
    failure: str | None
    detail: str
    sent: float
    done_at: float
    opened: bool = False
    met: bool = False


def outcome_of(line: Any) -> Outcome:
    """Return the outcome of the last call of a connection."""
    return Outcome(
        line.status,
        getattr(line, "answer", None),
        line.body,
        line.failure,
        line.detail,
        line.sent,
        line.done_at,
    )


def message_of(reply: Any) -> str:
    """Return the message of a failed call: `errMsg`, or the details of a missing answer."""
    if reply.failure is not None:
        return str(reply.detail or "")
    try:
        envelope = _decode(reply.body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    message = envelope.get("errMsg") if isinstance(envelope, dict) else None
    if message is None or isinstance(message, str):
        return message or ""
    return msgspec.json.encode(message).decode()


@dataclass(slots=True, eq=False)
class Row:
    """Failures of one function that are alike; `first` and `last` are seconds since the run's beginning."""

    function: str | None
    kind: str
    message: str
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    exchange: Mapping[str, Any] | None = None
    #: The part of the count that was reported, and whether the exchange was.
    reported: int = 0
    shown: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "function": self.function,
            "kind": self.kind,
            "message": self.message,
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "exchange": self.exchange,
        }

    def event(self) -> FailureEvent:
        """Return the event that reports the row."""
        exchange = None if self.exchange is None else msgspec.convert(self.exchange, CallRecord)
        return FailureEvent(
            self.kind, self.function, self.message, self.count, self.first, self.last, exchange
        )


class Failures:
    """The failures of one process, counted as they happen."""

    def __init__(
        self,
        functions: Sequence[str],
        *,
        show: Callable[[Any, Any], Mapping[str, Any]] | None = None,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`show` returns a call and its answer without secrets, for the report; `mask` hides secrets in a message."""
        self.functions = functions
        #: Failed requests that are in no row.
        self.beyond = 0
        self._beyond_reported = 0
        self._show = show
        self._mask = mask
        self._rows: dict[tuple[str, str, str], Row] = {}
        #: Rows by what they are found by in less time: the bytes of an answer, and a message before it is masked.
        self._by_answer: dict[tuple[int, str, bytes | str], Row | None] = {}
        self._by_message: dict[tuple[int, str, str], Row | None] = {}
        self._pending: list[tuple[Any, tuple[Any, ...], str, float]] = []

    def take(self, call: Any, reply: Any, kind: str, at: float) -> None:
        """Add a failed request that ended at a moment of the run; `reply` is its connection, or its outcome."""
        answer = reply.body if reply.failure is None else reply.detail or ""
        try:
            row = self._by_answer[call.index, kind, answer]
        except KeyError:
            # An object of it is made later: here, that would take longer than all of the rest.
            outcome = (
                reply.status,
                reply.answer,
                reply.body,
                reply.failure,
                reply.detail,
                reply.sent,
                reply.done_at,
            )
            self._pending.append((call, outcome, kind, at))
            # The bytes of long answers are released as soon as possible.
            if len(self._pending) >= _MAX_PENDING or len(answer) > _MAX_KNOWN_BYTES:
                self._count_pending()
            return
        self._count(row, at)

    def add(self, function: str, kind: str, place: str, message: str, at: float) -> None:
        """Add a failure that is no answer's, at a moment of the run; `place` is where in a file it happened."""
        text = normalize_message(self._mask(message))
        key = (function, kind, f"{place}: {text}" if place else text)
        row = self._rows.get(key)
        if row is None and len(self._rows) < MAX_KINDS:
            row = self._rows[key] = Row(*key, first=at)
        self._count(row, at)

    def _count_pending(self) -> None:
        """Count the failed requests that wait for it."""
        pending, self._pending = self._pending, []
        for call, outcome, kind, at in pending:
            reply = Outcome(*outcome)
            row = self._row_of(call, reply, kind, at)
            answer = reply.body if reply.failure is None else reply.detail or ""
            if len(answer) <= _MAX_KNOWN_BYTES:
                _remember(self._by_answer, (call.index, kind, answer), row)
            self._count(row, at)

    def _count(self, row: Row | None, at: float) -> None:
        """Count a failed request of a row, or of those without one."""
        if row is None:
            self.beyond += 1
            return
        row.count += 1
        row.last = max(row.last, at)

    def _row_of(self, call: Any, reply: Outcome, kind: str, at: float) -> Row | None:
        """Return the row of a failed request; None if there is none and no room for another."""
        text = message_of(reply)
        # Masking takes as long as all of the rest. It is done once for messages that only differ in identifiers.
        key = (call.index, kind, normalize_message(text))
        try:
            return self._by_message[key]
        except KeyError:
            row = self._created(call, reply, kind, at, text)
            _remember(self._by_message, key, row)
            return row

    def _created(self, call: Any, reply: Outcome, kind: str, at: float, text: str) -> Row | None:
        """Return the row of a message, created if there is room; None otherwise."""
        function = self.functions[call.index]
        # A secret is masked in the whole text: parts of it might be taken for identifiers.
        message = normalize_message(self._mask(text))
        row = self._rows.get((function, kind, message))
        if row is None and len(self._rows) < MAX_KINDS:
            shown = self._show(call, reply) if self._show is not None else None
            row = self._rows[function, kind, message] = Row(function, kind, message, first=at, exchange=shown)
        return row

    def news(self) -> dict[str, Any] | None:
        """Return the failures since the last call, for `FailureTable.take`; None if there were none."""
        self._count_pending()
        changed = [row for row in self._rows.values() if row.count > row.reported]
        if not changed and self.beyond == self._beyond_reported:
            return None
        rows = []
        for row in changed:
            news = {**row.to_json(), "count": row.count - row.reported}
            if row.shown:
                news["exchange"] = None
            row.reported, row.shown = row.count, True
            rows.append(news)
        beyond, self._beyond_reported = self.beyond - self._beyond_reported, self.beyond
        return {"rows": rows, "beyond": beyond}


def _remember(known: dict[Any, Row | None], key: Any, row: Row | None) -> None:
    """Remember the row of a key; forget all others where there are too many."""
    if len(known) >= _MAX_KNOWN:
        known.clear()
    known[key] = row


class FailureTable:
    """The failures of all processes."""

    def __init__(self) -> None:
        #: Failed requests that are in no row.
        self.beyond = 0
        self._rows: dict[tuple[str | None, str, str], Row] = {}

    def take(self, news: Mapping[str, Any]) -> list[FailureEvent]:
        """Add the failures of a process (`Failures.news`); return the events of the rows that are new."""
        self.beyond += int(news["beyond"])
        new = []
        for one in news["rows"]:
            key = (one["function"], one["kind"], one["message"])
            row = self._rows.get(key)
            if row is None:
                if len(self._rows) >= MAX_KINDS:
                    self.beyond += int(one["count"])
                    continue
                row = self._rows[key] = Row(*key, first=one["first"], exchange=one["exchange"])
                new.append(row)
            row.count += one["count"]
            row.first = min(row.first, one["first"])
            row.last = max(row.last, one["last"])
            row.exchange = row.exchange or one["exchange"]
        return [row.event() for row in new]

    def to_json(self, unsent: Iterable[tuple[str | None, str, int]] = ()) -> dict[str, Any]:
        """Return it as the report has it, the largest first.

        `unsent` are requests that failed before they were sent: function, kind, number.
        """
        rows = [row.to_json() for row in self._rows.values()]
        for function, kind, count in unsent:
            rows.append({**Row(function, kind, "", count).to_json(), "first": None, "last": None})
        rows.sort(key=lambda row: (-row["count"], row["function"] or "", row["kind"], row["message"]))
        return {"rows": rows, "beyond": self.beyond}
