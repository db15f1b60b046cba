"""ACC-2: what a refused call did all the same, beside the object that it named: children, references, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.protocol.catalog import Method
from conformance.protocol.estate import Thing
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.run import Run, Talk
from conformance.suite import each_kind, judges
from conformance.test_access import owners
from conformance.watch import bound, equal, listers, read

#: Looks at something that belongs to the owner: what it is, and a call that returns it with the exchange.
Look = tuple[str, Callable[[], tuple[Any, Exchange]]]


def _changeable(run: Run, kind: str) -> bool:
    """Return whether objects of a kind can be made, read, and changed or deleted."""
    catalog = run.catalog
    if catalog.create(kind) is None or catalog.read(kind) is None:
        return False
    return catalog.update(kind) is not None or catalog.delete(kind) is not None


@judges("ACC-2")
@each_kind(_changeable, otherwise="no kind of object can be made, read, and changed or deleted")
def test_what_a_refused_call_leaves_untouched(talk: Talk, kind: str) -> None:
    """Another user's change and deletion are refused: children, references and the owner's lists stay as they were."""
    judged = False
    for owner, stranger in owners(talk, kind):
        thing = talk.estate.new(kind, owner, **_own_parents(talk, kind, owner))
        looks = [*_children(talk, thing), *_references(talk, thing), *_lists(talk, thing, owner)]
        before = [(look()[0], look()[0]) for _, look in looks]
        refused = _refused(talk, thing, stranger)
        if refused is None:
            continue
        for (what, look), (first, again) in zip(looks, before, strict=True):
            if not equal(first, again):
                continue
            judged = True
            now, exchange = look()
            talk.judge(
                "ACC-2",
                equal(first, now),
                kind=f"another user's refused call changed {what}",
                expected=f"{what}: as it was before",
                actual="it was changed, or is gone",
                exchange=exchange,
                function=refused.function,
            )
    if not judged:
        talk.give_up(f"nothing beside a {kind} can be looked at, or no call of another user's is refused")


def _own_parents(talk: Talk, kind: str, owner: str) -> dict[str, Any]:
    """Make objects for a new object to refer to: one that earlier calls changed may not show a change any more."""
    create = talk.catalog.create(kind)
    assert create is not None
    return {
        param.name: talk.estate.new(param.ref, owner).id
        for param in create.params
        if param.required and param.ref and param.ref != kind
    }


def _refused(talk: Talk, thing: Thing, stranger: str) -> Exchange | None:
    """Change and delete an object as another user; return the last refusal, or None where one was not refused."""
    last: Exchange | None = None
    for function in (talk.catalog.update(thing.kind), talk.catalog.delete(thing.kind)):
        if function is None or not talk.estate.may_call(stranger, function):
            continue
        if not talk.estate.harmless(function):
            continue
        exchange = talk.call(function, bound(talk, function, thing), as_=stranger)
        if exchange.status not in (400, 403, 404):
            return None
        last = exchange
    return last


def _children(talk: Talk, thing: Thing) -> list[Look]:
    """Make objects under an object, one of each kind that is made under it, and return looks at them."""
    looks: list[Look] = []
    for create in talk.catalog.doing("create"):
        role = create.object
        assert role is not None
        under = [param.name for param in create.params if param.ref == thing.kind]
        if role.kind == thing.kind or not under or talk.catalog.create(role.kind) is not create:
            continue
        if not talk.estate.may_call(thing.user, create):
            continue
        try:
            child = talk.estate.new(role.kind, thing.user, optional="none", **{under[0]: thing.id})
        except SetUpFailedError:
            continue
        looks += _views(talk, child, f"a {role.kind} of the {thing.kind}")
    return looks


def _references(talk: Talk, thing: Thing) -> list[Look]:
    """Return looks at the objects that an object refers to."""
    create = talk.catalog.create(thing.kind)
    assert create is not None
    looks: list[Look] = []
    for param in create.params:
        if param.ref and param.ref != thing.kind and thing.sent.get(param.name) is not None:
            referred = talk.estate.thing(param.ref, thing.sent[param.name], thing.user)
            looks += _views(talk, referred, f"the {param.ref} that the {thing.kind} refers to")
    return looks


def _views(talk: Talk, thing: Thing, what: str) -> list[Look]:
    """Return looks at an object as its owner: by reading it, else in a list."""
    reader = talk.catalog.read(thing.kind)
    if reader is not None and talk.estate.may_call(thing.user, reader):
        return [(what, _reading(talk, thing, reader))]
    return [
        (f"the list with {what}", _listing(lister)) for lister in listers(talk, thing.kind, thing.user, thing)
    ][:1]


def _reading(talk: Talk, thing: Thing, reader: Method) -> Callable[[], tuple[Any, Exchange]]:
    def look() -> tuple[Any, Exchange]:
        exchange = talk.witness(read(talk, thing))
        return (reader.volatile_mask(exchange.data) if exchange.status == 200 else exchange.status), exchange

    return look


def _lists(talk: Talk, thing: Thing, owner: str) -> list[Look]:
    """Return a look at a list of the object's kind as its owner."""
    found = listers(talk, thing.kind, owner, thing)
    return [(f"the owner's list of {lister.function.name}", _listing(lister)) for lister in found][:1]


def _listing(lister: Any) -> Callable[[], tuple[Any, Exchange]]:
    def look() -> tuple[Any, Exchange]:
        exchange = lister.talk.witness(lister.exchange())
        function = lister.function
        return (
            function.volatile_mask(exchange.data) if exchange.status == 200 else exchange.status
        ), exchange

    return look
