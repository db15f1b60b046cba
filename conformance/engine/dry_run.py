"""`conform check --plan`: what a run would send, counted without sending anything.

The tests run against a stand-in that answers from the catalogue alone: it knows sessions, roles, schemas and the
objects that were created. So the counts are those of a target that follows the rules. A target that breaks some of them
gets a few more requests, since findings are confirmed.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from conformance.catalog.model import DOCUMENTED, Catalog, Method
from conformance.engine.coverage import Gap, GridSize
from conformance.generation.catalog_review import summary
from conformance.generation.errors import CannotGenerate
from conformance.generation.sampler import Sampler
from conformance.protocol.client import Client, compact
from conformance.protocol.exchange import Exchange, Request, Response
from conformance.protocol.profile import Profile
from conformance.schema.pointer import MISSING, assign, resolve

__all__ = ["Aggregator", "StandIn", "render"]


@dataclass
class Aggregator:
    """How often each function would be called, and how many of the calls would let it write."""

    calls: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    others: int = 0


@dataclass
class _Stored:
    owner: str
    data: dict[str, Any]


class StandIn(Client):
    """A client that sends nothing: it answers each call as the catalogue says that a target would."""

    simulated = True

    def __init__(self, profile: Profile, catalog: Catalog) -> None:
        super().__init__(profile.url)
        self.profile = profile
        self.catalog = catalog
        self.aggregator = Aggregator()
        self._sessions: dict[str, str] = {}
        self._objects: dict[str, dict[str, _Stored]] = {}
        self._numbers = itertools.count(1)
        self._rng = random.Random(0)
        self._shapes: dict[str, Any] = {}

    def send(
        self, target: str, body: bytes = b"", *, verb: str = "POST", headers: Any = (), **options: Any
    ) -> Exchange:
        """Answer a call without sending it."""
        function = str(options.get("function"))
        token = next((value for name, value in headers if name.lower() == "token"), None)
        status, data = self._answer(target, verb, body, token, dict(headers))
        if function in self.catalog.methods:
            self.aggregator.calls[function] += 1
            if status == 200 and self.catalog.methods[function].effect != "read":
                self.aggregator.writes[function] += 1
        elif target:
            self.aggregator.others += 1
        return self._exchange(target, body, verb, status, data, options)

    def resend(self, exchange: Exchange, token: str | None) -> Exchange:
        """Send nothing again, either."""
        return exchange

    def send_bytes(
        self,
        data: bytes,
        *,
        function: str | None = None,
        user: str | None = None,
        first: bytes = b"",
        linger: float = 0.0,
    ) -> tuple[Exchange, bytes]:
        """Answer raw bytes without sending them."""
        self.aggregator.others += 1
        return self._exchange(
            "", data, "POST", 400, None, {"function": function}
        ), b"HTTP/1.1 400 Bad Request\r\n\r\n"

    def _exchange(
        self, target: str, body: bytes, verb: str, status: int, data: Any, options: dict[str, Any]
    ) -> Exchange:
        self.sent += 1
        envelope = {"isError": status != 200, "errMsg": None if status == 200 else "refused", "data": data}
        sealed = (
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )
        exchange = Exchange(
            Request(verb, f"{self.url}{target}", (), body),
            Response(status, sealed, compact(envelope)),
            number=self.sent,
            function=options.get("function"),
            user=options.get("user"),
            in_session=bool(options.get("in_session")),
            secret_registry=self.secret_registry,
        )
        self.observe(exchange)
        return exchange

    def _answer(
        self, target: str, verb: str, body: bytes, token: str | None, headers: dict[str, str]
    ) -> tuple[int, Any]:
        if verb != "POST":
            return 405, None
        try:
            call = json.loads(body)
        except (ValueError, RecursionError):
            return 400, None
        if not isinstance(call, dict) or not isinstance(call.get("method"), str) or not call["method"]:
            return 400, None
        name = f"{target.rstrip('/')}.{call['method']}"
        method = self.catalog.methods.get(name)
        if method is None and not self.catalog.methods and name in DOCUMENTED:
            # Without a catalogue a run looks for what the documentation itself speaks of, and goes on from there.
            return 401, None
        if method is None:
            return 404, None
        user = self._sessions.get(token or "")
        if method.auth != "none" and user is None and not self._opens(method):
            return 401, None
        if (
            user is not None
            and method.auth not in ("none", "session", None)
            and method.auth not in self.profile.users[user].roles
        ):
            return 403, None
        data = call.get("data")
        data = {} if data is None else data
        if self._opens(method):
            return self._sign_in(method, data, headers)
        if not isinstance(data, dict) or not method.data.valid(data):
            return 400, None
        for member in ("pageStart", "pageLength"):
            value = call.get(member)
            if value is not None and (isinstance(value, (bool, str, float)) or value < 0):
                return 400, None
        if method.name == self.profile.auth.logout and token is not None:
            self._sessions.pop(token, None)
        return self._result(method, data, user or "", call)

    def _opens(self, method: Method) -> bool:
        auth = self.profile.auth
        return method.name in {
            auth.login.function if auth.login else "",
            auth.key_login.function if auth.key_login else "",
        }

    def _sign_in(self, method: Method, data: Any, headers: dict[str, str]) -> tuple[int, Any]:
        login = self.profile.auth.login
        name: str | None = None
        if login is not None and method.name == login.function and isinstance(data, dict):
            name = next(
                (
                    user.name
                    for user in self.profile.users.values()
                    if (data.get(login.user), data.get(login.secret)) == (user.user, user.secret)
                ),
                None,
            )
        elif login is None or method.name != login.function:
            name = next(iter(self.profile.users), None) if headers or data else None
        if name is None:
            return 401, None
        token = "".join(self._rng.choice("0123456789abcdef") for _ in range(32))
        self._sessions[token] = name
        return 200, _place(self._shape(method), self.profile.auth.session, token)

    def _shape(self, method: Method) -> Any:
        """Return data that the result schema allows, made once for each function."""
        if method.name not in self._shapes:
            sampler = Sampler(
                self._rng, lambda: f"plan-{next(self._numbers)}", lambda kind: next(self._numbers)
            )
            try:
                self._shapes[method.name] = sampler.sample(
                    method.result_schema or {"type": "object"}, optional="all"
                )
            except CannotGenerate:
                self._shapes[method.name] = {}
        return json.loads(json.dumps(self._shapes[method.name]))

    def _result(
        self, method: Method, data: dict[str, Any], user: str, call: dict[str, Any]
    ) -> tuple[int, Any]:
        shape = self._shape(method)
        whoami = self.profile.auth.whoami
        if whoami is not None and method.name == whoami.function:
            return 200, _place(shape, whoami.field, self.profile.users[user].user if user else "")
        role = method.object
        if role is None:
            return 200, shape
        stored = self._objects.setdefault(role.kind, {})
        if role.does == "create":
            pattern = resolve(shape, role.id)
            number = next(self._numbers)
            identifier: Any = (
                f"{number:08x}-0000-4000-8000-000000000000" if isinstance(pattern, str) else 10_000 + number
            )
            stored[repr(identifier)] = _Stored(user, {**data, "": identifier})
            return 200, _place(shape, role.id, identifier)
        if role.does == "list":
            rows = [
                _place(_with_data(_first_row(shape, method), k.data), role.id, k.data[""])
                for k in stored.values()
                if k.owner == user
            ]
            start, length = call.get("pageStart") or 0, call.get("pageLength")
            rows = rows[start:] if length is None else rows[start : start + length]
            return 200, _place(shape, method.rows or "", rows)
        found = stored.get(repr(data.get(role.id)))
        if found is None and (self.catalog.create(role.kind) is None):
            return 200, shape
        if found is None or found.owner != user:
            return 404, None
        if role.does == "delete":
            del stored[repr(data.get(role.id))]
            return 200, shape
        if role.does == "update":
            found.data.update({name: value for name, value in data.items() if name != role.id})
        at = resolve(shape, role.at)
        if isinstance(at, dict):
            shape = _place(
                shape, role.at, {**at, **{name: value for name, value in found.data.items() if name in at}}
            )
        return 200, shape


def _first_row(shape: Any, method: Method) -> Any:
    rows = resolve(shape, method.rows or "")
    return rows[0] if isinstance(rows, list) and rows else {}


def _with_data(row: Any, data: dict[str, Any]) -> Any:
    """Return a row with what the object was given of its members."""
    return {name: data.get(name, value) for name, value in row.items()} if isinstance(row, dict) else row


def _place(value: Any, pointer: str, new: Any) -> Any:
    """Return the value with `new` at the pointer; objects on the way are made."""
    if pointer == "":
        return new
    head, _, _ = pointer[1:].partition("/")
    rest = pointer[1 + len(head) :]
    if not isinstance(value, (dict, list)):
        value = {}
    if isinstance(value, dict):
        inner = value.get(head, MISSING)
        return {**value, head: _place({} if inner is MISSING else inner, rest, new)}
    return assign(value, pointer, new)


#: Seconds of a request, with all that the suite does for it, where a target on the same machine answers at once.
SECONDS_PER_REQUEST = 0.007


def _size(grid: GridSize) -> list[str]:
    """Return the lines about the grid: places × families, how many cells are tried, and why others are not."""
    if not grid.places:
        return []
    lines = [
        f"The grid of values has {grid.places} places × {grid.families} families; "
        f"{grid.admitted} cells fit, and {grid.tried} of them would be tried."
    ]
    others = [(count, gap) for gap, count in grid.gaps.items() if gap is not Gap.TYPE]
    lines += [f"  {count:>6} would not: {gap}" for count, gap in sorted(others, reverse=True)]
    return lines


def render(
    catalog: Catalog,
    aggregator: Aggregator,
    *,
    url: str,
    budget: str,
    endless: bool = False,
    grid: GridSize | None = None,
) -> str:
    """Return the plan as a table: each function, how often it would be called, how many calls would write."""
    calls = sum(aggregator.calls.values()) + aggregator.others
    about = "at least" if endless else "about"
    seconds = calls * SECONDS_PER_REQUEST
    takes = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    lines = [
        f"A {budget} check of {url} would send {about} {calls} requests; nothing was sent.",
        f"On a machine of its own, with a target that answers at once, that takes {about} {takes}.",
        *(_size(grid) if grid is not None else []),
        *(
            ["Generated payloads go on for as long as their time lasts; this is how they begin."]
            if endless
            else []
        ),
        "",
        f"{'function':<32} {'effect':<7} {'calls':>6} {'of them let it write or delete':>31}",
    ]
    for name, method in catalog.methods.items():
        if aggregator.calls[name]:
            writes = str(aggregator.writes[name]) if aggregator.writes[name] else "-"
            lines.append(f"{name:<32} {method.effect:<7} {aggregator.calls[name]:>6} {writes:>31}")
    idle = [name for name in catalog.methods if not aggregator.calls[name]]
    lines.append(f"{'(unknown functions, odd paths, bad bodies)':<40} {aggregator.others:>6} {'-':>31}")
    if idle:
        lines += ["", f"never called: {', '.join(idle)}"]
    lines += [f"{line[0].upper()}{line[1:]}" for line in summary(catalog)]
    return "\n".join(lines)
