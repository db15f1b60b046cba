"""ENV-10, ENV-7 and PAG for empty results: no objects, no children, no match, no optional member.

Declared results are checked on every exchange of a run. The calls here make targets return empty ones.
"""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, each_kind, judges
from conformance.helpers.comparison import Lister, bound, listers, read
from conformance.protocol.caller import OMIT
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.schema.validation import Schema


def _asks_for_nothing(method: Method) -> bool:
    return method.effect == "read" and not any(param.required for param in method.params)


@judges("ENV-10", "ENV-7", "PAG-1", "PAG-4", "PAG-7")
@each_function(_asks_for_nothing, otherwise="no function that reads can be called without arguments")
def test_users_without_objects(ctx: TestContext, function: Method) -> None:
    """Call the list as each user of the profile, including those without objects."""
    if function.auth == "none" or not ctx.profile.users:
        ctx.give_up("there are no users whose objects it could show")
    for user in ctx.need_users():
        if ctx.resources.may_call(user, function):
            ctx.call(function, {}, as_=user)
    if function.rows is not None:
        _matching_nothing(ctx, function)


def _matching_nothing(ctx: TestContext, function: Method) -> None:
    """Call a list with filters that match nothing, and check its pages."""
    user = ctx.who(function)
    for param in function.params:
        data = {param.name: ctx.unknown_name()}
        if param.required or param.ref or not function.data.valid(data):
            continue
        lister = Lister(ctx, function, user, data)
        whole = lister.exchange()
        if whole.status == 200 and not ctx.resources.rows(function, whole):
            _judge_pages(ctx, lister)


@judges("ENV-10", "ENV-7", "PAG-1", "PAG-4", "PAG-7")
@each_kind(lambda run, kind: run.catalog.create(kind) is not None, otherwise="no kind of object can be made")
def test_object_without_anything(ctx: TestContext, kind: str) -> None:
    """Create an object with only required members, and one with null members; read and list them and their children."""
    create = ctx.catalog.create(kind)
    assert create is not None
    ctx.need_writing()
    users = [user for user in ctx.need_users() if ctx.resources.may_call(user, create)]
    if not users:
        ctx.give_up(f"no user of the profile may make a {kind}")
    user = users[0]
    nulls = {
        param.name: None for param in create.params if not param.required and Schema(param.schema).valid(None)
    }
    for number, fixed in enumerate([{}, nulls] if nulls else [{}]):
        try:
            resource = ctx.resources.new(kind, user, optional="none", **fixed)
        except SetUpFailedError:
            continue
        _look(ctx, resource)
        if number == 0:
            _children(ctx, resource)


def _look(ctx: TestContext, resource: Resource) -> None:
    """Read and list an object, update it without a change, and with null where that is allowed."""
    reader, update = ctx.catalog.read(resource.kind), ctx.catalog.update(resource.kind)
    if reader is not None and ctx.resources.may_call(resource.user, reader):
        read(ctx, resource)
    for lister in listers(ctx, resource.kind, resource.user, resource):
        lister.exchange()
    if update is None or update.object is None or not ctx.resources.may_call(resource.user, update):
        return
    if not resource.made or not ctx.resources.harmless(update):
        return
    for param in update.params:
        if not param.required and param.name != update.object.id and Schema(param.schema).valid(None):
            ctx.call(update, bound(ctx, update, resource, **{param.name: None}), as_=resource.user)
    if reader is not None and ctx.resources.may_call(resource.user, reader):
        read(ctx, resource)


def _children(ctx: TestContext, parent: Resource) -> None:
    """List the children of an object without children: no rows, on each page."""
    for function in ctx.catalog.methods.values():
        role = function.object
        if function.rows is None or role is None or role.does != "list" or role.kind == parent.kind:
            continue
        under = [param.name for param in function.params if param.ref == parent.kind and param.required]
        if len(under) != 1 or not ctx.resources.may_call(parent.user, function):
            continue
        try:
            data = ctx.valid(function, parent.user, optional="none", **{under[0]: parent.id})
        except SetUpFailedError:
            continue
        lister = Lister(ctx, function, parent.user, data)
        whole = lister.exchange()
        # A service may create children with each new object.
        if whole.status == 200 and not ctx.resources.rows(function, whole):
            _judge_pages(ctx, lister)


#: (pageStart, pageLength) of pages of an empty list.
PAGES: tuple[tuple[Any, Any], ...] = ((OMIT, 1), (0, 10), (1, OMIT), (5, 5), (0, 0))


def _judge_pages(ctx: TestContext, lister: Lister) -> None:
    """Check pages of an empty list."""
    for start, length in ctx.some(PAGES, budgets.PAGES_OF_EMPTY_LISTS):
        _judge_page(ctx, lister, start, length)


def _judge_page(ctx: TestContext, lister: Lister, start: Any, length: Any) -> None:
    """Check a page of an empty list: no rows; a length of 0 may be refused."""
    exchange = lister.exchange(page_start=start, page_length=length)
    rule = "PAG-7" if length == 0 else "PAG-4" if start not in (OMIT, 0) else "PAG-1"
    rows = ctx.resources.rows(lister.function, exchange)
    ctx.judge(
        rule,
        (exchange.status == 200 and not rows) or (length == 0 and exchange.status == 400),
        kind="a page of an empty list is not answered with no rows",
        expected="status 200 and no rows" + (", or status 400" if length == 0 else ""),
        actual=exchange.summary() + (f", {len(rows)} rows" if rows else ""),
        exchange=exchange,
    )
