"""Find out by trying how a target signs in: the session in the login's data, whoami and logout.

Only functions that the catalogue calls `read` are called, and the login, and a function that is named as a logout. That
one ends a session that this trial has begun itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.catalog.model import Catalog, Method
from conformance.protocol.caller import Caller
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Login, Whoami
from conformance.schema.bundle import Json, point
from conformance.schema.pointer import resolve

__all__ = ["Tried", "try_login"]

_LOGOUT = re.compile(r"(?:log|sign)_?(?:out|off)(?![a-z])", re.IGNORECASE)
_SESSIONS = re.compile(r"auth|(?:user_?)?sessions?", re.IGNORECASE)
_ENDS = re.compile(r"close|end|leave|quit", re.IGNORECASE)
_WHOAMI = re.compile(r"status|who_?am_?i|\bme\b|self|current|profile|session|account|user", re.IGNORECASE)
_SESSION = re.compile(r"session_?id|sid\b", re.IGNORECASE)
_TOKEN = re.compile(r"token|session|ticket|jwt|key", re.IGNORECASE)
#: Functions that are tried to find whoami, and texts of the login's data that are tried as the session.
_MAX_READS, _MAX_SESSIONS = 8, 4
_MIN_TOKEN_CHARACTERS = 8
_MAX_MESSAGE_CHARACTERS = 120


@dataclass
class Tried:
    """What was found. `signed_in` says whether the login succeeded; `lines` say for people what was done."""

    signed_in: bool = False
    session: str | None = None
    whoami: Whoami | None = None
    logout: str | None = None
    lines: list[str] = field(default_factory=list)


def try_login(
    client: Client, catalog: Catalog | None, login: Login, user: str, secret: str, session: str | None = None
) -> Tried:
    """Sign in with the credentials of a user, and find the session, whoami and logout.

    `session` is the pointer to the session where it is known. Two logins are sent at most.
    """
    # A target may repeat in its message what it was sent.
    client.secret_registry.add(secret)
    trial = _Trial(client, catalog, login, user, secret)
    try:
        trial.run(session)
    finally:
        trial.end()
    return trial.found


class _Trial:
    def __init__(self, client: Client, catalog: Catalog | None, login: Login, user: str, secret: str) -> None:
        self.client = client
        self.catalog = catalog or Catalog.implicit({})
        self.caller = Caller(client, self.catalog, [login.function])
        self.login = login
        self.user = user
        self.secret = secret
        self.found = Tried()
        #: Sessions of this trial that are still open.
        self._open: list[str] = []

    def run(self, known: str | None) -> None:
        exchange = self._sign_in()
        if exchange is None:
            return
        pointers = [known] if known else list(_session_pointers(exchange.data))[:_MAX_SESSIONS]
        tokens = [(pointer, resolve(exchange.data, pointer)) for pointer in pointers]
        tokens = [(pointer, value) for pointer, value in tokens if isinstance(value, str) and value]
        if not tokens:
            where = f"nothing at {known}" if known else "no text that looks like a session"
            self.found.lines.append(f"{self.login.function}: signed in, but its data has {where}")
            return
        for _, token in tokens:
            self.client.secret_registry.session(token, None)
        reading = self._accepting(tokens)
        if reading is None:
            self.found.session = tokens[0][0]
            self._open.append(tokens[0][1])
            self.found.lines.append(
                f"the session is taken to be at {tokens[0][0]}; no function that reads was there to try it with"
            )
            return
        self.found.session, token, answers = reading
        self._open.append(token)
        self.found.lines.append(f"the session is at {self.found.session}")
        self._find_whoami(answers)
        self._find_logout(next(iter(answers)))

    def _sign_in(self) -> Exchange | None:
        exchange = self.caller.call(
            self.login.function, {self.login.user: self.user, self.login.secret: self.secret}
        )
        if exchange.status == 200 and (exchange.envelope or {}).get("isError") is False:
            self.found.signed_in = True
            return exchange
        self.found.lines.append(f"{self.login.function}: the login {self._described(exchange)}")
        return None

    def _described(self, exchange: Exchange) -> str:
        if exchange.response is None:
            return f"got no answer ({exchange.failure})"
        message = exchange.message
        shown = f": {message[:_MAX_MESSAGE_CHARACTERS]}" if isinstance(message, str) and message else ""
        return self.client.secret_registry.mask(f"was answered {exchange.status}{shown}")

    # --- the session --------------------------------------------------------------------------------------------

    def _readers(self) -> list[Method]:
        """Return functions that only read, need a session and no arguments; those named as whoami first."""
        found = [
            method
            for method in self.catalog
            if method.effect == "read"
            and method.auth != "none"
            and not any(param.required for param in method.params)
        ]
        entity = self.login.function.partition(".")[0]
        found.sort(key=lambda method: (not _WHOAMI.search(method.function), method.entity != entity))
        return found[:_MAX_READS]

    def _accepting(self, tokens: list[tuple[str, str]]) -> tuple[str, str, dict[str, Exchange]] | None:
        """Return the pointer and the token that a function accepts which refuses calls without it, and its answers."""
        for method in self._readers():
            if _is_success(self.caller.call(method)):
                continue
            for pointer, token in tokens:
                exchange = self.caller.call(method, token=token)
                if _is_success(exchange):
                    return pointer, token, {method.name: exchange}
        return None

    def _find_whoami(self, answers: dict[str, Exchange]) -> None:
        """Find a function whose data has the user's name."""
        for method in self._readers():
            exchange = answers.get(method.name) or self.caller.call(method, token=self._open[0])
            if not _is_success(exchange) or isinstance(exchange.data, list):
                continue
            for pointer, value in _leaves(exchange.data):
                if (
                    isinstance(value, str)
                    and value.casefold() == self.user.casefold()
                    and "/0" not in pointer
                ):
                    self.found.whoami = Whoami(method.name, pointer)
                    self.found.lines.append(f"{method.name} says at {pointer} whose session it is")
                    return
        self.found.lines.append("no function that reads says whose session it is")

    # --- logout -------------------------------------------------------------------------------------------------

    def _find_logout(self, reader: str) -> None:
        """Find the function that ends a session, with a session that is begun for it."""
        names = [method.name for method in self.catalog if _is_logout(method)]
        entity = self.login.function.partition(".")[0]
        names.sort(key=lambda name: name.partition(".")[0] != entity)
        for name in names:
            if any(param.required for param in self.catalog[name].params):
                continue
            exchange = self._sign_in()
            token = resolve(exchange.data, self.found.session or "") if exchange is not None else None
            if not isinstance(token, str) or not token:
                return
            self.client.secret_registry.session(token, None)
            ended = self.caller.call(name, token=token)
            if _is_success(ended) and not _is_success(self.caller.call(reader, token=token)):
                self.found.logout = name
                self.found.lines.append(f"{name} ends a session")
                return
            self._open.append(token)
            self.found.lines.append(f"{name} does not end a session: it {self._described(ended)}")
            return

    def end(self) -> None:
        """End the sessions that this trial began, if it knows how."""
        if self.found.logout is not None:
            for token in self._open:
                self.caller.call(self.found.logout, token=token)


def _is_logout(method: Method) -> bool:
    """Return whether a function is named as a logout: auth.logout, session.close."""
    of_sessions = _SESSIONS.fullmatch(method.entity) and _ENDS.fullmatch(method.function)
    return bool(_LOGOUT.search(method.function) or of_sessions)


def _is_success(exchange: Exchange) -> bool:
    return exchange.status == 200 and (exchange.envelope or {}).get("isError") is False


def _session_pointers(data: Json) -> Iterator[str]:
    """Yield the pointers to texts that may be the session, the likeliest first."""
    ranked = []
    for pointer, value in _leaves(data):
        if not isinstance(value, str) or len(value) < _MIN_TOKEN_CHARACTERS or re.search(r"\s", value):
            continue
        name = pointer.rpartition("/")[2]
        rank = 0 if _SESSION.search(name) else 1 if _TOKEN.search(name) else 2
        if rank < 2 or "@" not in value:
            ranked.append((rank, pointer))
    yield from (pointer for _, pointer in sorted(ranked, key=lambda each: each[0]))


def _leaves(value: Json, pointer: str = "", depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Yield (JSON pointer, value) for each scalar of a value; of arrays, those of the first item."""
    if depth > 8:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, point(pointer, name), depth + 1)
    elif isinstance(value, list):
        if value:
            yield from _leaves(value[0], point(pointer, 0), depth + 1)
    else:
        yield pointer, value
