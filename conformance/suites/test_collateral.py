"""ACC-2: side effects of refused calls on other objects: children, references, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.helpers.comparison import bound, equal, listers, read
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.suites.test_access import owners

#: Views of objects of the owner: a description, and a call that returns the object and the exchange.
Look = tuple[str, Callable[[], tuple[Any, Exchange]]]


def _changeable(run: Run, kind: str) -> bool:
    """Return whether objects of a kind can be created, read, and updated or deleted."""
    catalog = run.catalog
    if catalog.create(kind) is None or catalog.read(kind) is None:
        return False
    return catalog.update(kind) is not None or catalog.delete(kind) is not None


@judges("ACC-2")
@each_kind(_changeable, otherwise="no kind of object can be made, read, and changed or deleted")
def test_what_a_refused_call_leaves_untouched(ctx: TestContext, kind: str) -> None:
    """Update and delete an object as another user: children, references and lists must not change."""
    judged = False
    for owner, stranger in owners(ctx, kind):
        resource = ctx.resources.new(kind, owner, **_own_parents(ctx, kind, owner))
        looks = [*_children(ctx, resource), *_references(ctx, resource), *_lists(ctx, resource, owner)]
        before = [(look()[0], look()[0]) for _, look in looks]
        refused = _refused(ctx, resource, stranger)
        if refused is None:
            continue
        for (what, look), (first, again) in zip(looks, before, strict=True):
            if not equal(first, again):
                continue
            judged = True
            now, exchange = look()
            ctx.judge(
                "ACC-2",
                equal(first, now),
                kind=f"another user's refused call changed {what}",
                expected=f"{what}: as it was before",
                actual="it was changed, or is gone",
                exchange=exchange,
                function=refused.function,
            )
    if not judged:
        ctx.give_up(f"nothing beside a {kind} can be looked at, or no call of another user's is refused")


def _own_parents(ctx: TestContext, kind: str, owner: str) -> dict[str, Any]:
    """Create objects for a new object to refer to, since one that earlier calls changed may not show another change."""
    create = ctx.catalog.create(kind)
    assert create is not None
    return {
        param.name: ctx.resources.new(param.ref, owner).id
        for param in create.params
        if param.required and param.ref and param.ref != kind
    }


def _refused(ctx: TestContext, resource: Resource, stranger: str) -> Exchange | None:
    """Update and delete an object as another user; return the last refusal, or None where a call was not refused."""
    last: Exchange | None = None
    for function in (ctx.catalog.update(resource.kind), ctx.catalog.delete(resource.kind)):
        if function is None or not ctx.resources.may_call(stranger, function):
            continue
        if not ctx.resources.harmless(function):
            continue
        exchange = ctx.call(function, bound(ctx, function, resource), as_=stranger)
        if exchange.status not in (400, 403, 404):
            return None
        last = exchange
    return last


def _children(ctx: TestContext, resource: Resource) -> list[Look]:
    """Create one object of each kind under an object, and return views of them."""
    looks: list[Look] = []
    for create in ctx.catalog.doing("create"):
        role = create.object
        assert role is not None
        under = [param.name for param in create.params if param.ref == resource.kind]
        if role.kind == resource.kind or not under or ctx.catalog.create(role.kind) is not create:
            continue
        if not ctx.resources.may_call(resource.user, create):
            continue
        try:
            child = ctx.resources.new(role.kind, resource.user, optional="none", **{under[0]: resource.id})
        except SetUpFailedError:
            continue
        looks += _views(ctx, child, f"a {role.kind} of the {resource.kind}")
    return looks


def _references(ctx: TestContext, resource: Resource) -> list[Look]:
    """Return views of the objects that an object refers to."""
    create = ctx.catalog.create(resource.kind)
    assert create is not None
    looks: list[Look] = []
    for param in create.params:
        if param.ref and param.ref != resource.kind and resource.sent.get(param.name) is not None:
            referred = ctx.resources.resource(param.ref, resource.sent[param.name], resource.user)
            looks += _views(ctx, referred, f"the {param.ref} that the {resource.kind} refers to")
    return looks


def _views(ctx: TestContext, resource: Resource, what: str) -> list[Look]:
    """Return a view of an object as its owner: a read, or else a list."""
    reader = ctx.catalog.read(resource.kind)
    if reader is not None and ctx.resources.may_call(resource.user, reader):
        return [(what, _reading(ctx, resource, reader))]
    return [
        (f"the list with {what}", _listing(lister))
        for lister in listers(ctx, resource.kind, resource.user, resource)
    ][:1]


def _reading(ctx: TestContext, resource: Resource, reader: Method) -> Callable[[], tuple[Any, Exchange]]:
    def look() -> tuple[Any, Exchange]:
        exchange = ctx.witness(read(ctx, resource))
        return (reader.volatile_mask(exchange.data) if exchange.status == 200 else exchange.status), exchange

    return look


def _lists(ctx: TestContext, resource: Resource, owner: str) -> list[Look]:
    """Return a view of a list of the object's kind as its owner."""
    found = listers(ctx, resource.kind, owner, resource)
    return [(f"the owner's list of {lister.function.name}", _listing(lister)) for lister in found][:1]


def _listing(lister: Any) -> Callable[[], tuple[Any, Exchange]]:
    def look() -> tuple[Any, Exchange]:
        exchange = lister.ctx.witness(lister.exchange())
        function = lister.function
        return (
            function.volatile_mask(exchange.data) if exchange.status == 200 else exchange.status
        ), exchange

    return look
