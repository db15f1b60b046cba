"""ACC: «403 Access for the current user is denied»."""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.helpers.comparison import Lister, act, bound, equal, listers, read, snapshot
from conformance.helpers.list_views import filtered
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError


def lacking(ctx: TestContext, method: Method) -> list[str]:
    """Return the users who lack the role that a function asks for."""
    return [user for user in ctx.profile.users if not ctx.resources.may_call(user, method)]


def makeable(run: Run, kind: str) -> bool:
    """Return whether objects of a kind can be created and read."""
    return run.catalog.create(kind) is not None and run.catalog.read(kind) is not None


def usable(run: Run, kind: str) -> bool:
    """Return whether objects of a kind can be created, and read, updated or deleted."""
    catalog = run.catalog
    uses = (catalog.read(kind), catalog.update(kind), catalog.delete(kind))
    return catalog.create(kind) is not None and any(uses)


def owners(ctx: TestContext, kind: str) -> list[tuple[str, str]]:
    """Return the pairs (owner, stranger): the owner can create an object, and both may call its read function, if any.

    Raises:
        NotJudgedError: there is not one such pair.

    """
    ctx.need_writing()
    read_function = ctx.catalog.read(kind)
    pairs = [
        (owner, stranger)
        for owner, stranger in ctx.pairs()
        if ctx.resources.creator(kind, owner) is not None
        and (
            read_function is None
            or (
                ctx.resources.may_call(owner, read_function)
                and ctx.resources.may_call(stranger, read_function)
            )
        )
    ]
    if not pairs:
        ctx.give_up(f"no two users who may make and read a {kind}")
    return ctx.some(pairs, budgets.USER_PAIRS)


@judges("ACC-2")
@each_kind(usable, otherwise="no kind of object can be made, and read, changed or deleted")
def test_another_users_object(ctx: TestContext, kind: str) -> None:
    """Read, update and delete an object as another user, then check that it did not change."""
    for owner, stranger in owners(ctx, kind):
        resource = ctx.resources.new(kind, owner)
        readable = ctx.catalog.read(kind) is not None
        before = snapshot(ctx, resource) if readable else None
        functions = [
            ("read", ctx.catalog.read(kind)),
            ("update", ctx.catalog.update(kind)),
            ("delete", ctx.catalog.delete(kind)),
        ]
        for what, function in functions:
            if (
                function is None
                or not ctx.resources.may_call(stranger, function)
                or not ctx.resources.harmless(function)
            ):
                continue
            for data in _ways(ctx, function, resource, stranger):
                exchange = ctx.call(function, data, as_=stranger)
                if _may_refuse_its_data(function, exchange):
                    continue
                ctx.status(
                    "ACC-2",
                    exchange,
                    {403, 404},
                    kind=f"another user can {what} the {kind}",
                    otherwise=f"another user's call to {what} the {kind} is refused with another status",
                    because=f"the {kind} is another user's",
                )
                if readable and not judge_untouched(ctx, resource, before, exchange):
                    before = snapshot(ctx, resource)
        if readable:
            _judge_privileged(ctx, kind, owner)


def _may_refuse_its_data(function: Method, exchange: Exchange) -> bool:
    """Return whether a call may have been refused for its data, by a rule that the schema cannot say."""
    return function.beyond_schema and exchange.status == 400


def judge_untouched(ctx: TestContext, resource: Any, before: Any, exchange: Exchange) -> bool:
    """Check that another user's call did not change an object."""
    method = ctx.catalog.read(resource.kind)
    assert method is not None
    if exchange.function == method.name:
        return True
    after = ctx.witness(read(ctx, resource))
    return ctx.judge(
        "ACC-2",
        after.status == 200 and equal(method.volatile_mask(after.data), before),
        kind=f"another user's call changed the {resource.kind}",
        expected="the object is as it was",
        actual="it was changed" if after.status == 200 else "it is gone",
        exchange=exchange,
        witness=after,
    )


def _judge_privileged(ctx: TestContext, kind: str, owner: str) -> None:
    """Check users with rights that the owner lacks: a user who may not read an object may not change it either.

    Whether a role may see the objects of all users is the service's decision, which the read shows.
    """
    reader = ctx.catalog.read(kind)
    assert reader is not None
    for user in ctx.profile.users:
        if user == owner or ctx.resources.privileges(user) <= ctx.resources.privileges(owner):
            continue
        resource = ctx.resources.new(kind, owner)
        if not ctx.resources.may_call(user, reader) or act(ctx, reader, resource, user).status not in (
            403,
            404,
        ):
            continue
        for what, function in (("update", ctx.catalog.update(kind)), ("delete", ctx.catalog.delete(kind))):
            if (
                function is not None
                and ctx.resources.may_call(user, function)
                and ctx.resources.harmless(function)
            ):
                exchange = ctx.call(function, bound(ctx, function, resource), as_=user)
                if _may_refuse_its_data(function, exchange):
                    continue
                ctx.status(
                    "ACC-2",
                    exchange,
                    {403, 404},
                    kind=f"a user who may not read the {kind} can {what} it",
                    otherwise=f"a call to {what} a {kind} that may not be read is refused with another status",
                    because=f"the {kind} is another user's, and is refused to this one for reading",
                )


def _ways(ctx: TestContext, function: Method, resource: Any, stranger: str) -> list[dict[str, Any]]:
    """Return data for a function on an object: the required parameters, and all parameters.

    Other references in the data are to the stranger's own objects, so that they are not another reason to refuse it.
    """
    least = bound(ctx, function, resource)
    assert function.object is not None
    if function.object.does != "update":
        return [least]
    try:
        return [least, ctx.valid(function, stranger, **least)]
    except SetUpFailedError:
        return [least]


def identifiers_of(lister: Lister) -> list[Any]:
    """Return the identifiers that a list shows; none where the call fails."""
    try:
        return lister.ids()
    except SetUpFailedError:
        return []


@judges("ACC-4", "STA-3", calls=35)
@each_kind(
    lambda run, kind: bool(run.catalog.lists(kind)) and run.catalog.read(kind) is not None,
    otherwise="no kind of object can be both listed and read",
)
def test_lists_show_only_what_can_be_read(ctx: TestContext, kind: str) -> None:
    """Check each row of each user's list, after other users have created objects of the kind, too."""
    users = ctx.need_users()
    reader = ctx.catalog.read(kind)
    assert reader is not None
    for user in users:
        if ctx.resources.creator(kind, user) is not None:
            try:
                ctx.resources.any(kind, user)
            except SetUpFailedError:
                continue
    judged = False
    deleted = {repr(each.id) for each in ctx.resources.removed() if each.kind == kind}
    for user in users:
        if not ctx.resources.may_call(user, reader):
            continue
        resource = ctx.resources.any(kind, user) if ctx.resources.creator(kind, user) else None
        for lister in listers(ctx, kind, user, resource):
            views = [lister]
            if lister.function.rows is not None and identifiers_of(lister):
                views += [view for _, view in filtered(ctx, lister.function, user, lister.data)]
            identifiers = list({repr(i): i for view in views for i in identifiers_of(view)}.values())
            for identifier in ctx.some(identifiers, budgets.LISTED_IDENTIFIERS):
                if repr(identifier) in deleted:
                    # That it cannot be read is right; that it is listed is not.
                    ctx.judge(
                        "STA-3",
                        False,
                        kind=f"a {kind} that was deleted is still in a list",
                        expected=f"no row of it in {lister.function.name}",
                        actual="it is there",
                        exchange=lister.last,
                        function=lister.function.name,
                    )
                    continue
                shown = ctx.resources.resource(kind, identifier, user)
                if resource is not None and not shown.sent:
                    shown.sent = dict(lister.data)
                try:
                    data = bound(ctx, reader, shown)
                except SetUpFailedError:
                    continue
                exchange = ctx.call(reader, data, as_=user)
                judged = True
                ctx.judge(
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
                ctx.run.observer.judged("ACC-4")
    if not judged:
        ctx.give_up(f"no user may both list and read a {kind}")
