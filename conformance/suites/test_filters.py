"""ACC-4 and STA-3 under filters: each alone and two together, for other users and other roles."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.helpers.comparison import Lister, act, bound, listers
from conformance.helpers.matching_filters import combined, matching_filters, shows
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.suites.test_state import creators


def _listed(run: Run, kind: str) -> bool:
    catalog = run.catalog
    return bool(catalog.lists(kind)) and catalog.create(kind) is not None and catalog.read(kind) is not None


def _others(ctx: TestContext, owner: str) -> list[str]:
    """Return other users than the owner: one for each set of rights that a user of the profile has."""
    found: dict[frozenset[str], str] = {}
    for name, known in ctx.profile.users.items():
        if known.user != ctx.profile.users[owner].user:
            found.setdefault(ctx.resources.privileges(name), name)
    return list(found.values())


def _refused(ctx: TestContext, reader: Method, resource: Resource, user: str) -> bool:
    """Return whether a user may not read an object."""
    try:
        return act(ctx, reader, resource, user).status in (403, 404)
    except SetUpFailedError:
        return False


def _own_lists(ctx: TestContext, lister: Lister, user: str) -> Lister | None:
    """Return the same list as another user, under a parent of their own; None where there is none."""
    if not ctx.resources.may_call(user, lister.function):
        return None
    try:
        return Lister(ctx, lister.function, user, ctx.valid(lister.function, user, optional="none"))
    except SetUpFailedError:
        return None


@judges("ACC-4", calls=30)
@each_kind(_listed, otherwise="no kind of object can be made, read and listed")
def test_filters_that_match_another_users_object(ctx: TestContext, kind: str) -> None:
    """List with filters that match another user's object, each alone and together: it must not be shown."""
    reader = ctx.catalog.read(kind)
    assert reader is not None
    ctx.need_users(2)
    owner = creators(ctx, kind)[0]
    resource = ctx.resources.new(kind, owner)
    strangers = [
        user
        for user in _others(ctx, owner)
        if ctx.resources.may_call(user, reader) and _refused(ctx, reader, resource, user)
    ]
    if not strangers:
        ctx.give_up(f"no user of the profile may not read another user's {kind}")
    judged = False
    for lister in listers(ctx, kind, owner, resource):
        filters = matching_filters(ctx, lister, resource)
        for stranger in strangers:
            own = _own_lists(ctx, lister, stranger)
            if own is None:
                continue
            for chosen in combined(ctx, filters):
                view = Lister(ctx, own.function, stranger, {**own.data, **chosen})
                shown = shows(view, resource)
                judged = True
                ctx.judge(
                    "ACC-4",
                    not shown,
                    kind=f"a list by {' and '.join(chosen)} shows another user's {kind}",
                    expected=f"no row of {owner}'s {kind}, which {stranger} may not read",
                    actual="it is there",
                    exchange=view.last,
                )
    if not judged:
        ctx.give_up(f"no list of a {kind} has a filter that matches one")


@judges("STA-3", calls=30)
@each_kind(
    lambda run, kind: _listed(run, kind) and run.catalog.delete(kind) is not None,
    otherwise="no kind of object can be made, read, listed and deleted",
)
def test_deleted_for_everyone(ctx: TestContext, kind: str) -> None:
    """Delete an object: no user of any role may read it, and it is in no list, under any filter and on any page."""
    delete, reader = ctx.catalog.delete(kind), ctx.catalog.read(kind)
    assert delete is not None
    assert reader is not None
    owners = [user for user in creators(ctx, kind) if ctx.resources.may_call(user, delete)]
    if not owners:
        ctx.give_up(f"no user who may make a {kind} may delete it")
    owner = owners[0]
    resource = ctx.resources.new(kind, owner)
    lists = [
        (
            lister,
            matching_filters(ctx, lister, resource),
            matching_filters(ctx, lister, resource, references=True),
        )
        for lister in listers(ctx, kind, owner, resource)
    ]
    others = [user for user in _others(ctx, owner) if ctx.resources.may_call(user, reader)]
    gone = ctx.call(delete, bound(ctx, delete, resource), as_=owner)
    if gone.status != 200:
        raise SetUpFailedError(f"could not delete a {kind}: {delete.name} gave {gone.summary()}", gone)
    ctx.resources.forget(kind, resource.id)
    for user in others:
        exchange = act(ctx, reader, resource, user)
        ctx.status(
            "STA-3",
            exchange,
            {400, 403, 404},
            kind=f"a {kind} that was deleted can still be read by another user",
            otherwise=f"a {kind} that was deleted is refused to another user with another status",
        )
    for view, paging, what in _views(ctx, lists, [owner, *others]):
        shown = shows(view, resource, **paging)
        ctx.judge(
            "STA-3",
            not shown,
            kind=f"a {kind} that was deleted is still in the list {what}",
            expected=f"no row of it in {view.function.name}",
            actual="it is there",
            exchange=view.last,
        )


def _views(
    ctx: TestContext,
    lists: list[tuple[Lister, list[dict[str, object]], list[dict[str, object]]]],
    users: list[str],
) -> Iterator[tuple[Lister, dict[str, int], str]]:
    """Yield (list, paging, description): unfiltered, by each filter and pairs, on pages, and as other users."""
    for lister, filters, references in lists:
        for number, user in enumerate(users):
            own = lister if not number else _own_lists(ctx, lister, user)
            if own is None:
                continue
            whose = "" if not number else " of another user"
            yield own, {}, f"without a filter{whose}"
            for chosen in combined(ctx, filters):
                filtered = Lister(ctx, own.function, user, {**own.data, **chosen})
                yield filtered, {}, f"by {' and '.join(chosen)}{whose}"
            if not number:
                for chosen in references:
                    filtered = Lister(ctx, own.function, user, {**own.data, **chosen})
                    yield filtered, {}, f"by {' and '.join(chosen)}"
                count = len(ctx.resources.rows(own.function, own.exchange()))
                yield own, {"page_start": 0, "page_length": count + 1}, "on the first page"
                yield own, {"page_start": max(0, count - 1)}, "on the last page"
