"""Case files of calls that were made on the explorer page."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from conformance import __version__
from conformance.cases.format import Case, Expect, Step
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import MASK, SecretRegistry
from conformance.rulebook import RULES

__all__ = ["CaseWriter", "RefusedError"]


class RefusedError(Exception):
    """The page asked for something that is not allowed; the message is for the user."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Judgement:
    """What a case says of an exchange: the rule, what its answer has to be, and the texts of the finding."""

    rule: str
    expect: Expect
    message: str
    expected: str
    actual: str
    kind: str


def _judgement(exchange: Exchange, rule: str | None, status: tuple[int, ...]) -> _Judgement:
    """Return the judgement of a rule that expects one of the statuses, of the first broken rule, or of the status."""
    body = exchange.request.body.decode("utf-8", "replace")[:200]
    kind = f"status {exchange.status} to {body}"
    if rule is not None:
        expected = f"status {' or '.join(map(str, status))}"
        expect = Expect(status=status)
        return _Judgement(rule, expect, RULES[rule].title, expected, exchange.summary(), kind)
    for record in RULES.values():
        if record.check is not None and (outcome := record.check(exchange)).broken:
            expect = Expect(rule=record.id)
            return _Judgement(record.id, expect, record.title, outcome.expected, outcome.actual, outcome.kind)
    return _Judgement(
        "COD-2",
        Expect(status=(exchange.status,) if exchange.status else (200,)),
        "The answer is as it was",
        f"status {exchange.status}",
        exchange.summary(),
        kind,
    )


class CaseWriter:
    """Makes case files of exchanges, without any secret."""

    def __init__(self, profile: Profile, caller: Caller, secret_registry: SecretRegistry) -> None:
        self._profile = profile
        self._caller = caller
        self._secret_registry = secret_registry

    def case_of(self, exchange: Exchange, *, rule: str | None = None, status: tuple[int, ...] = ()) -> Case:
        """Return an exchange as a case of the first rule that it breaks, or else of its status.

        With `rule` it is a case of that rule, which expects one of the statuses.

        Names and passwords of the profile's users are written as symbols.

        Raises:
            RefusedError: the exchange contains a secret, or the session of a user who is not in the profile.

        """
        request = exchange.request
        user = exchange.user if exchange.in_session else None
        if exchange.in_session and user is None:
            raise RefusedError(
                "The session is of nobody in the profile: add the user under [users], and log in by name."
            )
        headers = [(name, value) for name, value in request.headers if not self._own(name)]
        if any(_shown(exchange, name) == MASK for name, value in headers if value):
            raise RefusedError("A header of this call is secret: case files hold no secrets.")
        kind = next((value for name, value in headers if name.lower() == "content-type"), None)
        judged = _judgement(exchange, rule, status)
        step = Step(
            user=user,
            function=exchange.function if exchange.function and "." in exchange.function else None,
            verb=request.verb,
            headers=tuple((name, value) for name, value in headers if name.lower() != "content-type"),
            content_type=kind,
            expect=judged.expect,
            **self._sent(exchange),
        )
        case = Case(
            rule=judged.rule,
            function=exchange.function,
            kind=self._secret_registry.mask(judged.kind),
            message=judged.message,
            expected=self._secret_registry.mask(judged.expected),
            actual=self._secret_registry.mask(judged.actual),
            steps=(step,),
            suite=__version__,
            users={user: self._profile.users[user].roles} if user else {},
        )
        text = json.dumps(case.to_json(), ensure_ascii=False)
        if self._secret_registry.mask(text) != text:
            raise RefusedError("This call holds a secret: case files hold none.")
        return case

    def _own(self, name: str) -> bool:
        """Return whether the client or the profile adds a header to every request."""
        usual = {"host", "user-agent", "accept", "content-length", "token"}
        return name.lower() in usual | {name.lower() for name in self._profile.headers}

    def _sent(self, exchange: Exchange) -> dict[str, Any]:
        """Return the members of a step for the request's body: its data if it is an ordinary call, else the body."""
        request = exchange.request
        endpoint = request.url.partition(self._caller.client.address.authority)[2]
        endpoint = endpoint.removeprefix(self._caller.client.address.path)
        plain = exchange.function is not None and "." in exchange.function and request.verb == "POST"
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            body = None
        members = {"method", "data", "pageStart", "pageLength"}
        again = None
        if plain and isinstance(body, dict) and body.keys() <= members:
            paging = {
                name: body[member]
                for name, member in (("page_start", "pageStart"), ("page_length", "pageLength"))
                if member in body
            }
            data = body.get("data", OMIT)
            again = self._caller.body(exchange.function or "", data, **paging)
            if again == request.body:
                return {"data": data if data is OMIT else self._symbols(data), **paging}
        try:
            text: Any = request.body.decode()
        except UnicodeDecodeError:
            text = {"$bytes": base64.b64encode(request.body).decode()}
        function = exchange.function or ""
        return {
            "body": text,
            "target": None if function.partition(".")[0] == endpoint and plain else endpoint,
        }

    def _symbols(self, data: Any) -> Any:
        """Return data in which the names and passwords of the profile's users are replaced by symbols."""
        if not isinstance(data, dict):
            return data
        names = {user.user: {"$user": user.name} for user in self._profile.users.values()}
        secrets = {
            user.secret: {"$secret": f"users.{user.name}.secret"} for user in self._profile.users.values()
        }
        known = {**names, **secrets}
        return {
            name: known[value] if isinstance(value, str) and value in known else value
            for name, value in data.items()
        }


def _shown(exchange: Exchange, name: str) -> str | None:
    """Return the masked value of a header of a request."""
    return exchange.record(limit=0).request.headers.get(name)
