"""ACC: «403 Access for the current user is denied»."""

from __future__ import annotations

from typing import Any

from conformance.protocol.catalog import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.run import Run, Talk
from conformance.suite import each_kind, judges
from conformance.views import filtered
from conformance.watch import Lister, act, bound, equal, listers, read, snapshot


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
