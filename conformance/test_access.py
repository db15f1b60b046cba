"""ACC: «403 Access for the current user is denied»."""

from __future__ import annotations

from typing import Any

from conformance.protocol.catalog import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.pointer import resolve
from conformance.protocol.session import SetUpFailedError
from conformance.run import ANSWERED, Run, Talk
from conformance.suite import each_function, each_kind, judges
from conformance.views import filtered
from conformance.watch import Lister, act, bound, equal, listers, read, snapshot

#: Members with which rights are asked for where nobody declares them (ACC-3).
RAISING = ("role", "roles", "isAdmin", "userId", "ownerId")


def lacking(talk: Talk, method: Method) -> list[str]:
    """Return the users who lack the role that a function asks for."""
    return [user for user in talk.profile.users if not talk.estate.may_call(user, method)]


def makeable(run: Run, kind: str) -> bool:
    """Whether objects of a kind can be made and read."""
    return run.catalog.create(kind) is not None and run.catalog.read(kind) is not None


def owners(talk: Talk, kind: str) -> list[tuple[str, str]]:
    """Return the pairs (owner, stranger) of whom the owner can make and the stranger call the read function.

    Raises:
        NotJudgedError: there is no such pair.

    """
    talk.need_writing()
    read_function = talk.catalog.read(kind)
    assert read_function is not None
    pairs = [
        (owner, stranger)
        for owner, stranger in talk.pairs()
        if talk.estate.creator(kind, owner) is not None
        and talk.estate.may_call(owner, read_function)
        and talk.estate.may_call(stranger, read_function)
    ]
    if not pairs:
        talk.give_up(f"no two users who may make and read a {kind}")
    return talk.some(pairs, 1, 3)


@judges("ACC-2")
@each_kind(makeable, otherwise="no kind of object can be both made and read")
def test_another_users_object(talk: Talk, kind: str) -> None:
    """Reading, changing and deleting it, and then looking whether anything changed."""
    for owner, stranger in owners(talk, kind):
        thing = talk.estate.new(kind, owner)
        before = snapshot(talk, thing)
        functions = [
            ("read", talk.catalog.read(kind)),
            ("update", talk.catalog.update(kind)),
            ("delete", talk.catalog.delete(kind)),
        ]
        for what, function in functions:
            if (
                function is None
                or not talk.estate.may_call(stranger, function)
                or not talk.estate.harmless(function)
            ):
                continue
            for data in _ways(talk, function, thing, stranger):
                exchange = talk.call(function, data, as_=stranger)
                talk.status(
                    "ACC-2",
                    exchange,
                    {403, 404},
                    kind=f"another user can {what} the {kind}",
                    otherwise=f"another user's call to {what} the {kind} is refused with another status",
                    because=f"the {kind} is another user's",
                )
                if not _judge_untouched(talk, thing, before, exchange):
                    before = snapshot(talk, thing)
        _judge_privileged(talk, kind, owner)


def _judge_untouched(talk: Talk, thing: Any, before: Any, exchange: Exchange) -> bool:
    """Judge that another user's call left an object as it was."""
    method = talk.catalog.read(thing.kind)
    assert method is not None
    if exchange.function == method.name:
        return True
    after = talk.witness(read(talk, thing))
    return talk.judge(
        "ACC-2",
        after.status == 200 and equal(method.volatile_mask(after.data), before),
        kind=f"another user's call changed the {thing.kind}",
        expected="the object is as it was",
        actual="it was changed" if after.status == 200 else "it is gone",
        exchange=exchange,
        witness=after,
    )


def _judge_privileged(talk: Talk, kind: str, owner: str) -> None:
    """Judge users with rights that the owner lacks: who is refused to read an object may not change it either.

    Whether a role may see everybody's objects is for the service to say, and reading tells what it says.
    """
    reader = talk.catalog.read(kind)
    assert reader is not None
    for user in talk.profile.users:
        if user == owner or talk.estate.privileges(user) <= talk.estate.privileges(owner):
            continue
        thing = talk.estate.new(kind, owner)
        if not talk.estate.may_call(user, reader) or act(talk, reader, thing, user).status not in (403, 404):
            continue
        for what, function in (("update", talk.catalog.update(kind)), ("delete", talk.catalog.delete(kind))):
            if (
                function is not None
                and talk.estate.may_call(user, function)
                and talk.estate.harmless(function)
            ):
                exchange = talk.call(function, bound(talk, function, thing), as_=user)
                talk.status(
                    "ACC-2",
                    exchange,
                    {403, 404},
                    kind=f"a user who may not read the {kind} can {what} it",
                    otherwise=f"a call to {what} a {kind} that may not be read is refused with another status",
                    because=f"the {kind} is another user's, and is refused to this one for reading",
                )


def _ways(talk: Talk, function: Method, thing: Any, stranger: str) -> list[dict[str, Any]]:
    """Return data for a function on an object: what it needs, and all that it takes.

    What else the data refers to is the stranger's own: an object that he may not use is one more reason to refuse it.
    """
    least = bound(talk, function, thing)
    assert function.object is not None
    if function.object.does != "update":
        return [least]
    try:
        return [least, talk.valid(function, stranger, **least)]
    except SetUpFailedError:
        return [least]


@judges("ACC-3")
@each_function(
    lambda method: method.effect == "write" and method.auth not in ("none", None) and bool(method.params),
    otherwise="no function that writes takes arguments",
)
def test_rights_cannot_be_raised_through_data(talk: Talk, function: Method) -> None:
    """Members that the function does not declare change nobody's rights and nobody else's objects."""
    talk.need_writing()
    user = talk.who(function)
    assert user is not None
    others = [
        name for name in talk.profile.users if talk.profile.users[name].user != talk.profile.users[user].user
    ]
    other = next(
        (name for name in others if talk.estate.privileges(name) == talk.estate.privileges(user)), None
    )
    other = other or next(iter(others), None)
    declared = {param.name for param in function.params}
    roles = sorted(talk.catalog.roles) or ["admin"]
    identities = [identity(talk, name) for name in (other,) if name]
    rights = {"role": roles[0], "roles": roles, "isAdmin": True}
    before = _who_is(talk, user)
    claims: list[dict[str, Any]] = [{name: value} for name, value in rights.items()]
    claims += [
        {name: value} for value in identities if value is not None for name in ("userId", "ownerId", "owner")
    ]
    # One at a time, since a target may refuse the call for one and heed another; and all together.
    together = {name: value for claim in claims for name, value in claim.items()}
    for claim in [*claims, together] if not talk.quick else [*talk.some(claims, 2), together]:
        extra = {name: value for name, value in claim.items() if name not in declared}
        if not extra:
            continue
        data = talk.valid(function, user)
        exchange = talk.call(function, {**data, **extra}, as_=user)
        talk.judge(
            "ACC-3",
            exchange.status is not None and exchange.status < 500,
            kind="members that ask for rights are answered with an internal error",
            expected="ignored, or 400",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=ANSWERED,
        )
        if exchange.status == 200:
            _judge_owner(talk, function, {**data, **extra}, exchange, user, other)
            if claim.keys() & rights.keys():
                _judge_rights(talk, function, user)
    after = _who_is(talk, user)
    talk.judge(
        "ACC-3",
        before is None or after is None or equal(before, after),
        kind="members of data change who the session is",
        expected=f"{before!r}",
        actual=f"{after!r}",
        function=function.name,
    )
    _judge_rights(talk, function, user)


def identity(talk: Talk, user: str) -> Any:
    """Return a user's own identifier as the target shows it, or None."""
    whoami = talk.profile.auth.whoami
    if whoami is None:
        return None
    answer = talk.call(whoami.function, as_=user)
    around = resolve(answer.data, whoami.field.rpartition("/")[0])
    for place in (around, answer.data):
        if isinstance(place, dict):
            for name in ("id", "userId", "uid", "accountId"):
                if isinstance(place.get(name), (str, int)):
                    return place[name]
    found = resolve(answer.data, whoami.field)
    return found if isinstance(found, (str, int)) else None


def _who_is(talk: Talk, user: str) -> Any:
    whoami = talk.profile.auth.whoami
    if whoami is None:
        return None
    answer = talk.call(whoami.function, as_=user)
    found = resolve(answer.data, whoami.field)
    return found if answer.status == 200 and found != "" else None


def _judge_owner(
    talk: Talk, function: Method, data: dict[str, Any], exchange: Exchange, user: str, other: str | None
) -> None:
    """Judge that what was made or changed still belongs to the one who made it, and to nobody else."""
    role = function.object
    if role is None or role.does not in ("create", "update") or talk.catalog.read(role.kind) is None:
        return
    reader = talk.catalog.read(role.kind)
    assert reader is not None
    identifier = resolve(exchange.data, role.id) if role.does == "create" else data.get(role.id)
    thing = talk.estate.thing(role.kind, identifier, user)
    if talk.catalog.create(role.kind) is None or not talk.estate.may_call(user, reader):
        return
    mine = talk.witness(read(talk, thing, user))
    talk.judge(
        "ACC-3",
        mine.status == 200,
        kind="an object is given away through data",
        expected=f"the {role.kind} is readable by the user who made it",
        actual="the user who made it cannot read it",
        exchange=exchange,
        witness=mine,
    )
    if other is None or not talk.estate.may_call(other, reader):
        return
    if not talk.estate.privileges(other) <= talk.estate.privileges(user):
        return
    theirs = act(talk, reader, thing, other)
    talk.judge(
        "ACC-3",
        theirs.status != 200,
        kind="an object is put among another user's through data",
        expected=f"the {role.kind} is not readable by the user named in data",
        actual="the user named in data can read it",
        exchange=exchange,
        witness=theirs,
    )


def _judge_rights(talk: Talk, function: Method, user: str) -> None:
    """Judge that the user is still refused what is for another role, in the old session and in a new one."""
    for method in talk.catalog.methods.values():
        if (
            method.auth in ("none", "session", None)
            or talk.estate.may_call(user, method)
            or method.effect != "read"
        ):
            continue
        data = talk.data_for(method, user)
        sessions = [talk.sessions.of(user)]
        if not talk.quick:
            sessions.append(talk.session(user))
        for session in sessions:
            exchange = talk.call(method, data, as_=user, token=session.token)
            talk.judge(
                "ACC-3",
                exchange.status != 200,
                kind="members of data raise the caller's rights",
                expected=f"{method.name} is still refused",
                actual=exchange.summary(),
                exchange=exchange,
                function=function.name,
            )
        if len(sessions) > 1:
            talk.sessions.end(sessions[1])
        return


def identifiers_of(lister: Lister) -> list[Any]:
    """Return the identifiers that a list shows; none where it cannot be called so."""
    try:
        return lister.ids()
    except SetUpFailedError:
        return []


@judges("ACC-4")
@each_kind(
    lambda run, kind: bool(run.catalog.lists(kind)) and run.catalog.read(kind) is not None,
    otherwise="no kind of object can be both listed and read",
)
def test_lists_show_only_what_can_be_read(talk: Talk, kind: str) -> None:
    """Each user's list, row by row, after others have made objects of the kind too."""
    users = talk.need_users()
    reader = talk.catalog.read(kind)
    assert reader is not None
    for user in users:
        if talk.estate.creator(kind, user) is not None:
            try:
                talk.estate.any(kind, user)
            except SetUpFailedError:
                continue
    judged = False
    for user in users:
        if not talk.estate.may_call(user, reader):
            continue
        thing = talk.estate.any(kind, user) if talk.estate.creator(kind, user) else None
        for lister in listers(talk, kind, user, thing):
            views = [lister]
            if lister.function.rows is not None and identifiers_of(lister):
                views += [view for _, view in filtered(talk, lister.function, user, lister.data)]
            identifiers = list({repr(i): i for view in views for i in identifiers_of(view)}.values())
            for identifier in talk.some(identifiers, 4, 40):
                shown = talk.estate.thing(kind, identifier, user)
                if thing is not None and not shown.sent:
                    shown.sent = dict(lister.data)
                try:
                    data = bound(talk, reader, shown)
                except SetUpFailedError:
                    continue
                exchange = talk.call(reader, data, as_=user)
                judged = True
                talk.judge(
                    "ACC-4",
                    exchange.status == 200,
                    kind=f"a list shows a {kind} that cannot be read",
                    expected=f"each {kind} of {lister.function.name} can be read with {reader.name}",
                    actual=exchange.summary(),
                    exchange=exchange,
                    function=lister.function.name,
                )
            if not identifiers:
                judged = True
                talk.run.referee.judged("ACC-4")
    if not judged:
        talk.give_up(f"no user may both list and read a {kind}")
