"""Who may call a function (`x-auth`), from the tokens of its calls and from the refusals 401 and 403."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conformance.learning.calls import Call, is_masked, is_secret_name, leaves
from conformance.learning.evidence import Confidence, counted
from conformance.learning.identifiers import Flow, member_of

__all__ = ["Facts", "Right", "rights_of", "session_functions"]

_LOGIN = re.compile(r"(?:log|sign)_?(?:in|on)(?![a-z])|authenticate|(?:log|sign)_?In", re.IGNORECASE)
_LOGOUT = re.compile(r"(?:log|sign)_?(?:out|off)(?![a-z])", re.IGNORECASE)
_ROLES = re.compile(r"/(?:[^/*]+/)?roles?(?:/\*)?\Z")
_MIN_CALLS = 2


@dataclass(frozen=True)
class Facts:
    """What the profile says, where there is one."""

    login: frozenset[str] = frozenset()
    logout: str | None = None
    #: The roles of each user by name.
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Right:
    """The value of `x-auth`."""

    value: str
    confidence: Confidence
    because: str


def session_functions(calls: Sequence[Call], facts: Facts) -> tuple[frozenset[str], frozenset[str]]:
    """Return the functions that begin sessions, and those that end them."""
    begins, ends = set(facts.login), {facts.logout} if facts.logout else set()
    for call in calls:
        name = call.function.partition(".")[2]
        if not call.succeeded:
            continue
        if _LOGOUT.search(name):
            ends.add(call.function)
        elif call.session is None and call.arguments and call.has_result:
            secret = any(is_secret_name(member_of(pointer)) for pointer, _ in leaves(call.result))
            masked = any(is_masked(value) for _, value in leaves(call.result))
            named = _LOGIN.search(name) is not None or any(map(is_secret_name, call.arguments))
            if call.gives_token or masked or (secret and named):
                begins.add(call.function)
    return frozenset(begins), frozenset(ends)


def _who(call: Call) -> str | None:
    return call.user or call.session


def _roles_seen(calls: Sequence[Call], facts: Facts) -> Mapping[str, frozenset[str]]:
    """Return the roles of users, from the profile or from answers that say whose session it is."""
    if facts.roles:
        return facts.roles
    found: dict[str, frozenset[str]] = {}
    for call in calls:
        who = _who(call)
        if who is None or not call.succeeded or call.arguments or who in found:
            continue
        roles = {
            value
            for pointer, value in leaves(call.result)
            if isinstance(value, str) and _ROLES.search(pointer)
        }
        if roles:
            found[who] = frozenset(roles)
    return found


def rights_of(
    calls: Sequence[Call],
    functions: Sequence[str],
    flow: Flow,
    reading: frozenset[str],
    facts: Facts,
    logins: frozenset[str],
) -> dict[str, Right]:
    """Return who may call each function; `reading` are the functions that change nothing."""
    by_function: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_function[call.function].append(call)
    roles = _roles_seen(calls, facts)
    found = {name: _right(name, by_function[name], roles, logins) for name in functions}
    for name in functions:
        # A refusal may mean that the object is another user's, where a call names an object.
        right = found[name]
        if right.value in ("none", "session") or not flow.references.get(name):
            continue
        makers = {flow.kinds[reference.kind].made_by for reference in flow.references[name].values()} - {None}
        maker = next((found[made] for made in makers if made in found), None)
        own_maker = any(kind.made_by == name for kind in flow.kinds.values())
        if name in reading or maker is None or maker.value != right.value:
            found[name] = Right(
                "session", Confidence.LOW, f"{right.because}, perhaps because the object was another user's"
            )
        else:
            sure = Confidence.MEDIUM if own_maker else Confidence.LOW
            found[name] = Right(
                right.value, sure, f"{right.because}, as of the function that makes the object"
            )
    return found


def _right(
    name: str, calls: Sequence[Call], roles: Mapping[str, frozenset[str]], logins: frozenset[str]
) -> Right:
    without = [call for call in calls if call.session is None]
    open_ = sum(call.succeeded for call in without)
    refused = sum(call.status == 401 for call in without)
    if open_:
        because = f"{counted(open_, len(without), 'calls without a token')} succeeded"
        often = open_ >= _MIN_CALLS or name in logins
        return Right("none", Confidence.HIGH if often else Confidence.MEDIUM, because)
    succeeded = Counter(who for call in calls if call.succeeded and (who := _who(call)))
    denied = Counter(
        who for call in calls if call.status == 403 and (who := _who(call)) not in succeeded and who
    )
    if denied and succeeded:
        common = frozenset.intersection(*(roles.get(who, frozenset()) for who in succeeded))
        left = common - frozenset().union(*(roles.get(who, frozenset()) for who in denied))
        shown = f"{sum(denied.values())} calls of {', '.join(sorted(denied))} were answered 403"
        if left:
            sure = Confidence.HIGH if sum(denied.values()) >= _MIN_CALLS else Confidence.MEDIUM
            return Right(min(left), sure, f"{shown}, and all who succeeded have this role")
        return Right("session", Confidence.LOW, f"{shown}: is a role needed?")
    total = sum(succeeded.values())
    because = f"{counted(total, total)} that succeeded had a token"
    if refused:
        return Right("session", Confidence.HIGH, f"{because}; {refused} without one were answered 401")
    return Right("session", Confidence.MEDIUM, f"{because}; none without one was seen")
