"""Views of what stands beside an object: its children, what it refers to, and lists of its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.helpers.comparison import Lister, listers, read
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource

__all__ = ["Look", "children", "listed", "lists", "references", "views"]

#: A view of an object as its owner: a description, and a call that returns the object and the exchange.
Look = tuple[str, Callable[[], tuple[Any, Exchange]]]


def children(ctx: TestContext, resource: Resource, *, deletable: bool = False) -> list[Look]:
    """Create one object of each kind under an object, and return views of them.

    With `deletable` only kinds whose objects can be deleted are used.
    """
    looks: list[Look] = []
    for create in ctx.catalog.doing("create"):
        role = create.object
        assert role is not None
        under = [param.name for param in create.params if param.ref == resource.kind]
        if role.kind == resource.kind or not under or ctx.catalog.create(role.kind) is not create:
            continue
        if not ctx.resources.may_call(resource.user, create):
            continue
        if deletable and ctx.catalog.delete(role.kind) is None:
            continue
        try:
            child = ctx.resources.new(role.kind, resource.user, optional="none", **{under[0]: resource.id})
        except SetUpFailedError:
            continue
        looks += views(ctx, child, f"a {role.kind} of the {resource.kind}")
    return looks


def references(ctx: TestContext, resource: Resource) -> list[Look]:
    """Return views of the objects that an object refers to."""
    create = ctx.catalog.create(resource.kind)
    assert create is not None
    looks: list[Look] = []
    for param in create.params:
        if param.ref and param.ref != resource.kind and resource.sent.get(param.name) is not None:
            referred = ctx.resources.resource(param.ref, resource.sent[param.name], resource.user)
            looks += views(ctx, referred, f"the {param.ref} that the {resource.kind} refers to")
    return looks


def views(ctx: TestContext, resource: Resource, what: str) -> list[Look]:
    """Return a view of an object as its owner: a read, or else a list."""
    reader = ctx.catalog.read(resource.kind)
    if reader is not None and ctx.resources.may_call(resource.user, reader):
        return [(what, _reading(ctx, resource, reader))]
    return [
        (f"the list with {what}", listed(lister))
        for lister in listers(ctx, resource.kind, resource.user, resource)
    ][:1]


def _reading(ctx: TestContext, resource: Resource, reader: Method) -> Callable[[], tuple[Any, Exchange]]:
    def look() -> tuple[Any, Exchange]:
        exchange = ctx.witness(read(ctx, resource))
        return (reader.volatile_mask(exchange.data) if exchange.status == 200 else exchange.status), exchange

    return look


def lists(ctx: TestContext, resource: Resource, owner: str) -> list[Look]:
    """Return a view of a list of the object's kind as its owner."""
    found = listers(ctx, resource.kind, owner, resource)
    return [(f"the owner's list of {lister.function.name}", listed(lister)) for lister in found][:1]


def listed(lister: Lister) -> Callable[[], tuple[Any, Exchange]]:
    """Return a view of a list."""

    def look() -> tuple[Any, Exchange]:
        exchange = lister.ctx.witness(lister.exchange())
        function = lister.function
        return (
            function.volatile_mask(exchange.data) if exchange.status == 200 else exchange.status
        ), exchange

    return look
