"""Rules: their records, levels and verdicts, and the outcome of a pure check."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from conformance.catalog.contract import Contract
from conformance.events import RuleRecord
from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.redaction import MASK, SecretRegistry

__all__ = [
    "AREAS",
    "OWN_ID",
    "RULES",
    "Check",
    "Example",
    "Level",
    "Outcome",
    "Rule",
    "Verdict",
    "broken",
    "holds",
    "no_reply",
    "not_applicable",
    "registering",
    "reply",
    "rule",
    "shown",
    "suite_rule",
]


class Level(StrEnum):
    """The level of a rule: a broken *must* fails the gate, a broken *should* is a warning."""

    MUST = "must"
    SHOULD = "should"


class Verdict(StrEnum):
    """The verdict of a run on a rule (rulebook, section 2)."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    WARN = "warn"
    WAIVED = "waived"
    NOT_JUDGED = "not judged"
    ERROR = "error"


#: The areas of the rulebook, by the letters at the beginning of a rule's id.
AREAS: Mapping[str, str] = {
    "HTTP": "HTTP",
    "REQ": "Requests",
    "ENV": "Envelope",
    "COD": "Status codes",
    "AUT": "Authentication",
    "ACC": "Access",
    "PAG": "Paging",
    "NAM": "Naming",
    "DAT": "Generated data",
    "STA": "State",
    "SEC": "Security",
}


#: The form of an id of a team's own rule.
OWN_ID = re.compile(r"[A-Z]{2,12}-[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a pure check of one exchange.

    `judged` is False if the rule does not apply to the exchange. If the rule is broken, `kind` names the violation in
    a few words that are the same for every instance of one cause, since findings are grouped by it. `expected` and
    `actual` are for people. `crash` says where and how the check of a team's own rule failed; the exchange is not
    judged then.
    """

    judged: bool = True
    broken: bool = False
    kind: str = ""
    expected: str = ""
    actual: str = ""
    crash: str = ""


holds = Outcome()
not_applicable = Outcome(judged=False)


def broken(*, expected: str, actual: str, kind: str = "") -> Outcome:
    """Return the outcome of a broken rule; `kind` groups findings and defaults to `expected`."""
    return Outcome(broken=True, kind=kind or expected, expected=expected, actual=actual)


Check = Callable[[Exchange], Outcome]


@dataclass(frozen=True, slots=True)
class Example:
    """An example of a rule that needs more than one exchange: what is sent, a right answer and a wrong one."""

    sent: str
    right: str
    wrong: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the rulebook.

    `clause` quotes the documentation («…»), or is *wire* or *hardening*. `title` states the rule in one line. `why`
    explains what goes wrong for a caller if the rule is broken. `causes` says by what it is usually broken, and
    `remedy` how that is mended. `check` checks one exchange; a rule without a check is tested by a suite and has an
    `example`. `passes` and `fails` are example responses that the self-tests give to the check.
    """

    id: str
    level: Level
    clause: str
    title: str
    why: str
    causes: str
    remedy: str
    example: Example | None = None
    check: Check | None = None
    passes: tuple[Exchange, ...] = ()
    fails: tuple[Exchange, ...] = ()

    @property
    def area(self) -> str:
        """The letters at the beginning of the id."""
        return self.id.split("-")[0]

    def record(self) -> RuleRecord:
        """Return the rule as it is written to a report."""
        return RuleRecord(self.id, str(self.level), self.area, self.title, self.clause, self.why)


#: Every rule by id, in the order of the rulebook.
RULES: dict[str, Rule] = {}


#: Takes the rules of a team while their file is read, each with the line of its registration.
_take: Callable[[Rule, str, int], None] | None = None


@contextlib.contextmanager
def registering(take: Callable[[Rule, str, int], None]) -> Iterator[None]:
    """Pass the rules that are registered meanwhile to `take`, with file and line, instead of to the rulebook."""
    global _take
    before, _take = _take, take
    try:
        yield
    finally:
        _take = before


def _register(record: Rule) -> None:
    caller = sys._getframe(2)
    if _take is not None:
        _take(record, caller.f_code.co_filename, caller.f_lineno)
        return
    if not str(caller.f_globals.get("__name__", "")).startswith(f"{__package__}."):
        # A file of a team's rules that is imported by its own tests: `own_rules` registers it in a run.
        return
    if record.id in RULES:
        raise ValueError(f"rule {record.id} is registered twice")
    if record.area not in AREAS:
        raise ValueError(f"rule {record.id} belongs to no area")
    RULES[record.id] = record


def rule(
    *,
    id: str,
    level: Level,
    clause: str,
    title: str,
    causes: str = "",
    remedy: str = "",
    passes: Sequence[Exchange],
    fails: Sequence[Exchange],
) -> Callable[[Check], Check]:
    """Register a rule that is checked on one exchange; the docstring of the check is the rule's `why`.

    A team's own rule may leave `causes` and `remedy` out; one of the rulebook has both.
    """

    def register(check: Check) -> Check:
        why = " ".join((check.__doc__ or "").split())
        _register(
            Rule(id, level, clause, title, why, causes, remedy, None, check, tuple(passes), tuple(fails))
        )
        return check

    return register


def suite_rule(
    *,
    id: str,
    level: Level,
    clause: str,
    title: str,
    why: str,
    causes: str = "",
    remedy: str = "",
    example: Example | None = None,
) -> None:
    """Register a rule that needs more than one exchange and is tested by a suite."""
    _register(Rule(id, level, clause, title, why, causes, remedy, example))


_COMPLETE_HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


def reply(
    status: int,
    *,
    body: bytes | None = None,
    headers: Sequence[tuple[str, str]] = _COMPLETE_HEADERS,
    verb: str = "POST",
    url: str = "http://host/api/course",
    sent: bytes = b'{"method":"read"}',
    sent_headers: Sequence[tuple[str, str]] = (("Token", "t"),),
    contract: Contract | None = None,
    in_session: bool = True,
    secret_registry: SecretRegistry | None = None,
    user: str | None = "owner",
    login: bool = False,
    envelope_extra: Sequence[str] = (),
    well_formed: bool = True,
    **envelope: object,
) -> Exchange:
    """Return an example response with this status and this envelope, or exactly this `body`."""
    text = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode() if body is None else body
    request = Request(verb, url, tuple(sent_headers), sent, well_formed=well_formed)
    response = Response(status, tuple(headers), text)
    return Exchange(
        request,
        response,
        function="course.read",
        user=user,
        in_session=in_session,
        contract=contract,
        secret_registry=secret_registry,
        login=login,
        envelope_extra=frozenset(envelope_extra),
    )


def no_reply(kind: str, *, verb: str = "POST", well_formed: bool = True) -> Exchange:
    """Return an example of a call without a response; `kind` is that of the `Failure`."""
    request = Request(verb, "http://host/api/course", (), b'{"method":"read"}', well_formed=well_formed)
    return Exchange(request, failure=Failure(kind, f"the call failed: {kind}"), function="course.read")


#: Members whose text is not shown in the response to a login: the session may be in an unexpected place.
_SECRET_NAME = re.compile(r"session|token|ticket|jwt|secret|password|credential|hmac", re.IGNORECASE)


MAX_SHOWN_LEVELS = 3


def shown(value: object, exchange: Exchange, limit: int = 160) -> str:
    """Return a value as it is shown in a finding: on one line, short, with the run's secrets masked.

    Each string is masked before it is cut, so that no part of a secret remains. Objects and arrays are shown as JSON,
    to a depth of three levels.
    """
    text = _shown(value, exchange, MAX_SHOWN_LEVELS)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _quoted(text: str) -> str:
    """Return a text as JSON in which only printable characters stand as they are: none may turn the line around."""
    quoted = json.dumps(text, ensure_ascii=False)
    if quoted.isprintable():
        return quoted
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in quoted)


def _shown(value: object, exchange: Exchange, levels: int) -> str:
    if isinstance(value, str):
        masked = exchange.secret_registry.mask(value) if exchange.secret_registry else value
        own = exchange.request.header("Token")
        if own and len(own) >= 6:
            masked = masked.replace(own, MASK)
        text = masked if len(masked) <= 120 else masked[:119] + "…"
        return repr(text) if levels == MAX_SHOWN_LEVELS else _quoted(text)
    if isinstance(value, dict):
        if not levels:
            return "{…}" if value else "{}"
        parts = []
        for name, member in islice(value.items(), 6):
            hidden = exchange.login and isinstance(member, str) and _SECRET_NAME.search(name)
            text = json.dumps(MASK) if hidden else _shown(member, exchange, levels - 1)
            parts.append(f"{_shown(name, exchange, 0)}: {text}")
        return "{" + ", ".join(parts + ["…"] * (len(value) > 6)) + "}"
    if isinstance(value, list):
        if not levels:
            return "[…]" if value else "[]"
        parts = [_shown(item, exchange, levels - 1) for item in value[:6]]
        return "[" + ", ".join(parts + ["…"] * (len(value) > 6)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
