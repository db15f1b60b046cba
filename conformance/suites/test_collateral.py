"""ACC-2: side effects of refused calls on other objects: children, references, lists."""

from __future__ import annotations

from typing import Any

from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.helpers.comparison import bound, equal
from conformance.helpers.looks import children, lists, references
from conformance.protocol.exchange import Exchange
from conformance.resources.registry import Resource
from conformance.suites.test_access import owners


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
        looks = [*children(ctx, resource), *references(ctx, resource), *lists(ctx, resource, owner)]
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
