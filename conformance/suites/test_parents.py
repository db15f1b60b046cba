"""ACC-2: another user's object under a parent of the caller's own."""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.helpers.comparison import bound, equal, snapshot
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.suites.test_access import judge_untouched, makeable, owners


def _parents(method: Method) -> list[tuple[str, str]]:
    """Return (parameter, kind) of the parents that a function requires beside the identifier of its object."""
    assert method.object is not None
    return [
        (param.name, param.ref)
        for param in method.params
        if param.required and param.ref and param.name != method.object.id
    ]


def _functions(run: Run, kind: str) -> list[Method]:
    """Return the functions that read, update and delete an object which they find under a parent."""
    return [
        method
        for does in ("read", "update", "delete")
        for method in run.catalog.doing(does, kind)
        if _parents(method)
    ]


@judges("ACC-2")
@each_kind(
    lambda run, kind: makeable(run, kind) and bool(_functions(run, kind)),
    otherwise="no function takes the identifier of an object together with that of its parent",
)
def test_another_users_object_under_an_own_parent(ctx: TestContext, kind: str) -> None:
    """Name another user's object together with an own parent: a target that checks the parent alone gives it away."""
    judged = False
    for owner, stranger in owners(ctx, kind):
        resource = ctx.resources.new(kind, owner)
        before = snapshot(ctx, resource)
        for function in _functions(ctx.run, kind):
            if not ctx.resources.may_call(stranger, function) or not ctx.resources.harmless(function):
                continue
            assert function.object is not None
            for data in _under_own_parents(ctx, function, resource, stranger):
                judged = True
                exchange = ctx.call(function, data, as_=stranger)
                ctx.status(
                    "ACC-2",
                    exchange,
                    {400, 403, 404},
                    kind=f"another user can {function.object.does} the {kind} under a parent of their own",
                    otherwise=f"another user's call to {function.object.does} the {kind} under a parent of their own "
                    "is refused with another status",
                    because=f"the {kind} is another user's",
                )
                if not judge_untouched(ctx, resource, before, exchange):
                    resource = ctx.resources.new(kind, owner)
                    before = snapshot(ctx, resource)
    if not judged:
        ctx.give_up(f"no user has a parent of their own for another user's {kind}")


def _under_own_parents(
    ctx: TestContext, function: Method, resource: Resource, stranger: str
) -> list[dict[str, Any]]:
    """Return data that names the object under the stranger's own parents: all replaced, then each alone."""
    data = bound(ctx, function, resource)
    own: dict[str, Any] = {}
    for name, kind in _parents(function):
        if name not in data or ctx.resources.creator(kind, stranger) is None:
            continue
        try:
            parent = ctx.resources.any(kind, stranger).id
        except SetUpFailedError:
            continue
        if not equal(parent, data[name]):
            own[name] = parent
    if not own:
        return []
    found = [{**data, **own}]
    if len(own) > 1:
        found += [{**data, name: parent} for name, parent in own.items()]
    return [
        each for each in ctx.first(found, budgets.PARENTS_OF_ANOTHERS_OBJECT) if function.data.valid(each)
    ]
