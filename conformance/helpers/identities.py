"""The identifiers by which a target knows its users, learned from its responses (ACC-3).

A target may use a member of data such as `ownerId` although no function declares it. Services use different names and
values: `patronNo`, `holder`, an e-mail address. So the values are learned: scalars that differ between users and stay
the same for one. The names are those under which the target shows them, those that its catalogue uses for users, and
common ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.runner import Run
from conformance.helpers.comparison import read
from conformance.protocol.session import SetUpFailedError

__all__ = ["Identities", "is_name_of_user", "learned"]

#: Names that many services use for a user.
WIDESPREAD = (
    "userId",
    "ownerId",
    "owner",
    "user",
    "accountId",
    "createdBy",
    "authorId",
    "memberId",
    "customerId",
    "uid",
)

#: Identifiers of a user and names of the catalogue that are used.
MAX_VALUES, MAX_NAMES = 3, 14

#: Levels and scalars of a response that are searched, and characters of a text that may be an identifier.
MAX_DEPTH, MAX_SCALARS, MAX_LENGTH = 6, 400, 120

_USER_WORDS = (
    "user|owner|author|creator|account|member|customer|holder|tenant|person|actor|principal|employee|assignee|operator|"
    "patron|reader|student|teacher|organi[sz]er|sender"
)
_USER_NAME = re.compile(
    rf"(?:[a-z]+)?(?:{_USER_WORDS})(?:Id|Ref|No|Number|Key|Name|Email|Login|Uuid|Handle)?"
    r"|(?:created|updated|owned|made|added|posted|booked|ordered|requested|uploaded|issued|assigned|held)By(?:Id)?",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(
    r"(?:id|uid|uuid|guid|ref|no|nr|number|key|code|handle|login|email|mail|slug|by|owner|user)$", re.I
)
_NUMBERED = re.compile(r"(?:id|uid|ref|no|nr|number|key|code|by|owner|user|account)$", re.I)
_TIME = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d")

Path = tuple[str, ...]


@dataclass
class Identities:
    """Identifiers of each user, each with the name under which the target shows it, and names that may claim them."""

    values: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    #: Names under which the target shows login names. A target that accepts them may rename a user.
    renaming: frozenset[str] = frozenset()

    def claims(self, user: str, declared: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
        """Return sets of members that claim to be the user, each to be sent at once, the most effective first.

        Names that the target shows have the value that it shows under them.
        """
        values = self.values.get(user, [])
        shown: dict[str, Any] = {}
        for name, value in values:
            shown.setdefault(name, value)
        sets: list[dict[str, Any]] = []
        for number, (_, value) in enumerate(values[:MAX_VALUES]):
            claim = {name: shown.get(name, value) if not number else value for name in self.names}
            found = {name: each for name, each in claim.items() if name not in declared}
            if found and found not in sets:
                sets.append(found)
        return sets


_LEARNED: WeakKeyDictionary[Run, Identities] = WeakKeyDictionary()


def learned(ctx: TestContext) -> Identities:
    """Return the identities of the profile's users, learned once per run."""
    found = _LEARNED.get(ctx.run)
    if found is None:
        found = _LEARNED[ctx.run] = _learn(ctx)
    return found


def _learn(ctx: TestContext) -> Identities:
    if ctx.profile.auth.login is None:
        return Identities()
    samples: dict[str, dict[str, list[dict[Path, Any]]]] = {}
    logins = {user: known.user for user, known in ctx.profile.users.items()}
    users = [user for user in logins if list(logins.values()).index(logins[user]) == list(logins).index(user)]
    for user in users:
        try:
            for source, answer in _answers(ctx, user):
                samples.setdefault(source, {}).setdefault(user, []).append(answer)
        except SetUpFailedError:
            continue
    return _identities(ctx, users, samples)


def _identities(
    ctx: TestContext, users: list[str], samples: dict[str, dict[str, list[dict[Path, Any]]]]
) -> Identities:
    found = Identities({user: [] for user in users})
    shown: list[str] = []
    renaming: set[str] = set()
    logins = {ctx.profile.users[user].user for user in users}
    for source, by_user in samples.items():
        owned = source in ctx.catalog.kinds
        for path in _telling(by_user):
            names = _names(path)
            known = any(_IDENTIFIER.search(name) or _USER_NAME.fullmatch(name) for name in names)
            values = {user: answers[0][path] for user, answers in by_user.items()}
            if any(isinstance(value, int) for value in values.values()):
                known = any(_NUMBERED.search(name) or _USER_NAME.fullmatch(name) for name in names)
                if not known:
                    continue
            if known or owned:
                shown += names
            if logins.issuperset(values.values()):
                renaming.update(names)
            for user, value in values.items():
                rank = 0 if known else 1 if owned else 2
                found.values[user].append((names[0], value) if rank < 2 else ("", value))
    login = ctx.profile.auth.login
    for user, values_of in found.values.items():
        known_by = sorted(values_of, key=lambda pair: not pair[0])
        unique = {repr(value): (name, value) for name, value in reversed(known_by)}
        ordered = [unique[key] for key in dict.fromkeys(repr(value) for _, value in known_by)]
        name = ctx.profile.users[user].user
        found.values[user] = ordered if repr(name) in unique else [*ordered, ("", name)]
    telling = [
        name
        for name in dict.fromkeys([*shown, *_catalogue_names(ctx)])
        if name.lower() != "id" and not (login is not None and name in (login.user, login.secret))
    ]
    found.names = tuple(dict.fromkeys([*telling[:MAX_NAMES], *WIDESPREAD]))
    found.renaming = frozenset(renaming - set(WIDESPREAD))
    return found


def _answers(ctx: TestContext, user: str) -> Iterator[tuple[str, dict[Path, Any]]]:
    """Yield (source, scalars) for a user: the login, reads without arguments, and two own objects of each kind."""
    login, token = ctx.sessions.attempt(ctx.sessions.credentials(user), user=user)
    session = ctx.sessions.known(token) if isinstance(token, str) else None
    yield "login", _plain(ctx, user, login.data)
    if session is not None:
        ctx.sessions.end(session)
    whoami = ctx.profile.auth.whoami
    functions = [
        method
        for method in ctx.catalog.methods.values()
        if method.auth not in ("none", None)
        and method.effect == "read"
        and method.rows is None
        and ctx.resources.may_call(user, method)
        and not any(param.required for param in method.params)
    ]
    functions.sort(key=lambda method: whoami is None or method.name != whoami.function)
    for method in ctx.first(functions, budgets.IDENTITY_FUNCTIONS):
        answer = ctx.call(method, {}, as_=user)
        if answer.status == 200:
            yield method.name, _plain(ctx, user, answer.data)
    for kind in ctx.first(ctx.catalog.kinds, budgets.IDENTITY_KINDS):
        reader = ctx.catalog.read(kind)
        if (
            reader is None
            or ctx.resources.creator(kind, user) is None
            or not ctx.resources.may_call(user, reader)
        ):
            continue
        try:
            for resource in (ctx.resources.any(kind, user), ctx.resources.new(kind, user)):
                answer = read(ctx, resource, user)
                if answer.status != 200:
                    break
                sent = {repr(value) for _, value in _scalars(resource.sent)} | {repr(resource.id)}
                found = _plain(ctx, user, answer.data)
                yield kind, {path: value for path, value in found.items() if repr(value) not in sent}
        except SetUpFailedError:
            continue


def _plain(ctx: TestContext, user: str, data: Any) -> dict[Path, Any]:
    """Return the scalars of a response that may identify a user: not times, sessions or passwords."""
    secret = ctx.profile.users[user].secret
    return {
        path: value
        for path, value in _scalars(data)
        if not (
            isinstance(value, str) and (_TIME.search(value) or value == secret or ctx.sessions.known(value))
        )
    }


def _scalars(data: Any) -> Iterator[tuple[Path, Any]]:
    stack: list[tuple[Path, Any]] = [((), data)]
    seen = 0
    while stack and seen < MAX_SCALARS:
        path, value = stack.pop()
        if isinstance(value, dict) and len(path) < MAX_DEPTH:
            stack += [((*path, str(name)), item) for name, item in reversed(value.items())]
        elif isinstance(value, str | int) and not isinstance(value, bool):
            seen += 1
            if isinstance(value, int) or 0 < len(value) <= MAX_LENGTH:
                yield path, value


def _telling(by_user: dict[str, list[dict[Path, Any]]]) -> list[Path]:
    """Return the paths where each user has the same value in all responses, different from all other users."""
    if len(by_user) < 2:
        return []
    first = next(iter(by_user.values()))
    found = []
    for path in first[0]:
        values = []
        for answers in by_user.values():
            each = {repr(answer.get(path)) for answer in answers}
            if len(each) != 1 or answers[0].get(path) is None:
                break
            values.append(next(iter(each)))
        else:
            if len(set(values)) == len(values):
                found.append(path)
    return found


def is_name_of_user(name: str) -> bool:
    """Return whether a member of this name usually holds a user."""
    return name in WIDESPREAD or _USER_NAME.fullmatch(name) is not None


def _names(path: Path) -> list[str]:
    """Return the names of a path: its last name and, for an `id` within an object, the name of that object."""
    if not path:
        return []
    leaf = path[-1]
    if leaf.lower() in ("id", "uid", "key", "no", "ref") and len(path) > 1:
        return [f"{path[-2]}{leaf[0].upper()}{leaf[1:]}", path[-2]]
    return [leaf]


def _catalogue_names(ctx: TestContext) -> Iterator[str]:
    """Yield the names that parameters and results of the catalogue use for users."""
    for method in ctx.catalog.methods.values():
        for param in method.params:
            if _USER_NAME.fullmatch(param.name) or (param.ref and _USER_NAME.fullmatch(param.ref)):
                yield param.name
        for name in _properties(method.result_schema):
            if _USER_NAME.fullmatch(name):
                yield name


def _properties(schema: Any) -> Iterator[str]:
    stack = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            properties = node.get("properties")
            if isinstance(properties, dict):
                yield from (str(name) for name in properties)
            stack += node.values()
        elif isinstance(node, list):
            stack += node
