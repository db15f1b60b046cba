"""The calls of the explorer page, passed on to the target.

Each exchange is masked and checked against every pure rule before the page receives it. Passwords and sessions stay in
this process: the page knows a session by an arbitrary identifier.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from conformance.cases.format import file_name
from conformance.catalog.model import Method
from conformance.commands.explorer_cases import CaseWriter, RefusedError
from conformance.commands.explorer_run import Finding, StoredFindings, filled
from conformance.commands.replay import play_one
from conformance.engine.harness import Harness
from conformance.protocol.caller import Caller
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Session, Sessions, SetUpFailedError
from conformance.rulebook import RULES, Verdict
from conformance.rulebook.verdicts import Policy
from conformance.schema.pointer import MISSING

__all__ = ["Relay"]

#: Bytes of a body that are shown on the page.
MAX_SHOWN_BYTES = 2_000_000

#: Exchanges that are retained, so that case files can be made of them.
MAX_RETAINED_EXCHANGES = 200

_MAX_HEADERS = 100
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

#: Headers that determine where a request ends or who receives it; with them, one request could become two.
_FRAMING = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)


class Relay:
    """Executes the actions of the page: call a function, log in, log out, and make a case file.

    Each action takes the members that the page sent. RefusedError is raised for an action that is not allowed.
    """

    def __init__(self, harness: Harness, stored: StoredFindings | None = None) -> None:
        self._harness = harness
        self._findings = stored.findings if stored is not None else {}
        self._profile = profile = harness.profile
        self._catalog = harness.catalog
        self.writes = profile.may_write and not harness.request.read_only
        self.secret_registry = profile.secret_registry()
        openers = (profile.auth.login, profile.auth.key_login)
        self.client = Client.of(profile, secret_registry=self.secret_registry)
        logins = [opener.function for opener in openers if opener is not None]
        self._caller = Caller(self.client, self._catalog, logins)
        self._signing = Sessions(self._caller, profile)
        self.client.observe = self._signing.learn
        self._case_writer = CaseWriter(profile, self._caller, self.secret_registry)
        self._sessions: dict[str, Session] = {}
        self._exchanges: OrderedDict[str, Exchange] = OrderedDict()
        self._lock = threading.Lock()
        self._playing = threading.Lock()
        self._count = 0
        self.actions: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any] | None]] = {
            "call": self._call,
            "login": self._login,
            "logout": self._logout,
            "case": self._case,
            "play": self._play,
            "recorded": self._recorded,
        }

    def close(self) -> None:
        """Log out every open session, and close the connections."""
        with contextlib.suppress(Exception):
            self._signing.end_all()
        self.client.close()

    # --- actions

    def _call(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send one call exactly as it was typed, and return the masked exchange."""
        verb, endpoint, text = (
            _text(arguments, "verb"),
            _text(arguments, "endpoint"),
            _text(arguments, "body"),
        )
        headers = _headers(arguments.get("headers", []))
        for what, value in (("verb", verb), ("endpoint", endpoint)):
            if not value.isprintable() or " " in value:
                raise RefusedError(f"The {what} has white space or a control character in it.")
        if not _HEADER_NAME.fullmatch(verb):
            raise RefusedError("The verb is missing, or none that HTTP knows the form of.")
        finding = self._finding(arguments)
        if finding is not None:
            text = filled(text, self._profile)
        session = self._session(arguments.get("session"))
        method = self._function_called(endpoint, text)
        name = f"{endpoint}." if method is None else method.name
        self._require_permission(method, verb)
        typed = any(header.lower() == "token" for header, _ in headers)
        token = session.token if session is not None and not typed else None
        exchange = self._caller.call(
            method or name,
            body=text.encode("utf-8", "surrogatepass"),
            target=self.client.address.path + endpoint,
            verb=verb,
            headers=headers,
            content_type=None,
            user=(session.user or None) if token is not None and session is not None else None,
            token=token,
            in_session=token is not None,
            login=method is not None and method.name in self._caller.logins,
        )
        answer = self._answer(exchange)
        if finding is not None:
            answer["finding"] = {
                name: self.secret_registry.mask(value) if isinstance(value, str) else value
                for name, value in finding.judged(exchange).items()
            }
        if session is not None and not session.open:
            # The call has logged the session out.
            answer["ended"] = self._forget(session)
        return answer

    def _login(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Log in as a user of the profile or with typed credentials, and return the masked exchange."""
        try:
            login = self._signing.login
            user = arguments.get("user")
            if user is not None:
                if user not in self._profile.users:
                    raise RefusedError("The profile has no such user.")
                data = self._signing.credentials(user)
            else:
                data = {
                    login.user: _text(arguments, "identity"),
                    login.secret: _text(arguments, "credential"),
                }
                self.secret_registry.add(data[login.secret], lasting=False)
            exchange, found = self._signing.attempt(data, user=user)
        except SetUpFailedError as error:
            raise RefusedError(error.reason) from error
        answer = self._answer(exchange)
        if exchange.status == 200 and found is MISSING:
            raise RefusedError(
                f"{login.function} gave no session at {self._profile.auth.session}: mend session in [auth]"
            )
        return answer

    def _logout(self, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
        session = self._session(arguments.get("session"))
        if session is None:
            raise RefusedError("There is no session to end.")
        self._forget(session)
        exchange = self._signing.end(session)
        return None if exchange is None else self._answer(exchange)

    def _case(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a case file of a retained exchange."""
        exchange = self._exchanges.get(str(arguments.get("id")))
        if exchange is None:
            raise RefusedError("That call was made too long ago: send it again.")
        finding = self._finding(arguments)
        step = finding.step if finding is not None else None
        if finding is not None and step is not None and step.expect.status and not finding.checks_one_answer:
            # Rules that are judged by several answers are named by the finding, not by this answer alone.
            case = self._case_writer.case_of(exchange, rule=finding.rule, status=step.expect.status)
        else:
            case = self._case_writer.case_of(exchange)
        return {"name": file_name(case.rule, case.function, case.kind), "case": case.to_json()}

    def _play(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Play the whole case of a finding, with objects of its own, as `conform replay` does."""
        finding = self._finding(arguments)
        if finding is None or finding.case is None:
            raise RefusedError("That finding has no case.")
        if not self._playing.acquire(blocking=False):
            raise RefusedError("Another case is being played: wait for its end.")
        try:
            played = play_one(self._harness, finding.case)
        finally:
            self._playing.release()
        lines = [self.secret_registry.mask(line) for line in played.lines]
        return {"how": played.how, "why": self.secret_registry.mask(played.why), "lines": lines}

    def _recorded(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the case file that the run recorded for a finding."""
        finding = self._finding(arguments)
        if finding is None or finding.case is None:
            raise RefusedError("That finding has no case.")
        case = finding.case
        return {"name": file_name(case.rule, case.function, case.kind), "case": case.to_json()}

    # --- sessions, permissions and verdicts

    def _finding(self, arguments: Mapping[str, Any]) -> Finding | None:
        """Return the finding that the page names, if it names one."""
        identifier = arguments.get("finding")
        if identifier is None:
            return None
        found = self._findings.get(str(identifier))
        if found is None:
            raise RefusedError("The run has no such finding.")
        return found

    def _session(self, identifier: object) -> Session | None:
        if identifier is None:
            return None
        session = self._sessions.get(str(identifier))
        if session is None:
            raise RefusedError("That session has ended: log in again.")
        return session

    def _forget(self, session: Session) -> str | None:
        """Remove a session; return the identifier by which the page knew it."""
        with self._lock:
            known = next((each for each, value in self._sessions.items() if value is session), None)
            if known is not None:
                del self._sessions[known]
        return known

    def _function_called(self, endpoint: str, text: str) -> Method | None:
        """Return the function that a body calls; None if it cannot be determined."""
        try:
            return self._catalog.methods.get(f"{endpoint}.{json.loads(text)['method']}")
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def _require_permission(self, method: Method | None, verb: str) -> None:
        """Refuse a call that could write to a target that must only be read."""
        if self.writes:
            return
        auth = self._profile.auth
        harmless = (
            auth.login and auth.login.function,
            auth.logout,
            auth.key_login and auth.key_login.function,
        )
        if method is not None and verb == "POST" and (method.effect == "read" or method.name in harmless):
            return
        why = (
            "--read-only was given"
            if self._profile.may_write
            else f"{self._profile.host} is no test environment "
            '(set environment = "test" in [target] of the profile if it is one)'
        )
        raise RefusedError(
            f"Not sent: {why}, so only functions that the catalogue calls read are called.", 403
        )

    def _answer(self, exchange: Exchange) -> dict[str, Any]:
        """Return a masked exchange with the verdicts of the pure rules, for the page."""
        opened = None
        if exchange.login and exchange.status == 200:
            found = self._signing.session_value(exchange)
            if isinstance(found, str) and found:
                opened = self._opened(found, exchange)
        with self._lock:
            self._count += 1
            identifier = f"e{self._count}"
            self._exchanges[identifier] = exchange
            while len(self._exchanges) > MAX_RETAINED_EXCHANGES:
                self._exchanges.popitem(last=False)
        record = exchange.record(limit=MAX_SHOWN_BYTES)
        return {
            "id": identifier,
            **msgspec.to_builtins(record.call),
            "verdicts": list(self._verdicts(exchange)),
            "session": opened,
        }

    def _opened(self, token: str, exchange: Exchange) -> Mapping[str, Any]:
        """Record the session that a login created; return its identifier and label for the page."""
        owner = self.secret_registry.sessions().get(token) or exchange.user or ""
        session = self._signing.known(token) or Session(owner, token)
        with self._lock:
            identifier = f"s{secrets.token_hex(6)}"
            self._sessions[identifier] = session
        label = session.user
        if not label:
            with contextlib.suppress(ValueError, AttributeError, KeyError, SetUpFailedError):
                label = str(json.loads(exchange.request.body)["data"][self._signing.login.user])
        return {"id": identifier, "label": self.secret_registry.mask(label)[:80] or "a user"}

    def _verdicts(self, exchange: Exchange) -> Iterator[Mapping[str, str]]:
        """Yield the verdict of each pure rule that applies to an exchange."""
        policy = Policy(today=datetime.date.today(), waivers=self._profile.waivers)
        for rule in RULES.values():
            outcome = rule.check(exchange) if rule.check is not None else None
            if outcome is None or not (outcome.judged or outcome.crash):
                continue
            verdict = Verdict.ERROR if outcome.crash else Verdict.PASS
            if outcome.broken:
                verdict = policy.verdict(rule.level, rule.id, exchange.function, outcome.kind)
            yield {
                "id": rule.id,
                "level": str(rule.level),
                "title": rule.title,
                "verdict": str(verdict),
                "expected": self.secret_registry.mask(outcome.expected),
                "actual": self.secret_registry.mask(outcome.crash or outcome.actual),
            }


def _text(arguments: Mapping[str, Any], name: str) -> str:
    """Return a member that must be a string; a missing one is empty."""
    value = arguments.get(name, "")
    if not isinstance(value, str):
        raise RefusedError(f"{name} is no text.")
    return value


def _headers(pairs: object) -> list[tuple[str, str]]:
    """Return the typed headers.

    Raises:
        RefusedError: the list is malformed, or a header is invalid or must not be typed.

    """
    if not isinstance(pairs, list) or len(pairs) > _MAX_HEADERS:
        raise RefusedError("The headers are no list, or too many.")
    headers: list[tuple[str, str]] = []
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise RefusedError("A header is no name with a value.")
        name, value = pair
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise RefusedError(f"The header {name[:40]!r} has a character in it that HTTP forbids.")
        if name.lower() in _FRAMING:
            raise RefusedError(f"The header {name} is the connection's own: it is not typed.")
        headers.append((name, value))
    return headers
