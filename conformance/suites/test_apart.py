"""STA-2, STA-3, STA-4: one object is not another, whatever they have in common."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from conformance.catalog.model import Method, Param
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.generation.choices import OptionalMembers
from conformance.generation.errors import CannotGenerate
from conformance.helpers.comparison import Lister, bound, equal, listers, read
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.resources.registry import Resource
from conformance.schema.pointer import MISSING, resolve
from conformance.suites.test_access import makeable
from conformance.suites.test_changes import View, updatable, view_of
from conformance.suites.test_state import creators


@judges("STA-2", calls=12)
@each_kind(
    lambda run, kind: updatable(run, kind) and run.catalog.create(kind) is not None,
    otherwise="no kind of object can be made, changed and read",
)
def test_what_was_left_out_is_not_shared(ctx: TestContext, kind: str) -> None:
    """Leave optional members out of two objects, then change those of one: the other, and new ones, stay without."""
    ctx.need_writing()
    ctx.need_users()
    create, update = ctx.catalog.create(kind), ctx.catalog.update(kind)
    assert create is not None
    assert update is not None
    users = [user for user in ctx.resources.callers(update) if ctx.resources.creator(kind, user) is not None]
    if not users or not ctx.resources.harmless(update):
        ctx.give_up(f"no user of the profile may make and change a {kind}")
    views = [_without(ctx, kind, users[0]) for _ in range(2)]
    changed, other = views
    start, before = changed.look()[0] or {}, other.look()[0] or {}
    omitted = [
        param
        for param in update.params
        if not param.required
        and param.name not in changed.resource.sent
        and not ctx.resources.locks_out(update, param.name)
        # What was left out may be shown as a default, as null, or not at all.
        and equal(start.get(param.name), before.get(param.name))
    ]
    sent = _change(ctx, update, changed, omitted, start)
    if not sent:
        ctx.give_up(f"no optional member of a {kind} could be changed")
    after, witness = other.look()
    newest = _without(ctx, kind, users[0])
    new, shown = newest.look()
    for name, (value, exchange) in sent.items():
        ctx.judge(
            "STA-2",
            not equal((after or {}).get(name), value) or equal(before.get(name), value),
            kind=f"a change of {name} of one {kind} changes another, for which it was left out",
            expected=f"{name}: {_shown(before, name)}, as before",
            actual=f"{name}: {_shown(after or {}, name)}",
            exchange=exchange,
            witness=witness,
        )
        ctx.judge(
            "STA-2",
            not equal((new or {}).get(name), value) or equal(before.get(name), value),
            kind=f"a change of {name} of one {kind} changes what new ones begin with",
            expected=f"{name}: {_shown(before, name)}, as that of earlier ones",
            actual=f"{name}: {_shown(new or {}, name)}",
            exchange=exchange,
            witness=shown,
        )


@judges("STA-1", calls=8)
@each_kind(makeable, otherwise="no kind of object can be both made and read")
def test_what_was_left_out_is_not_of_the_one_before(ctx: TestContext, kind: str) -> None:
    """Create an object without optional members, one with them, and one without: it must begin as the first did."""
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    assert reader is not None
    users = [user for user in creators(ctx, kind) if ctx.resources.may_call(user, reader)]
    if not users:
        ctx.give_up(f"no user who may make a {kind} may read it")
    first = _without(ctx, kind, users[0])
    before, _ = first.look()
    sampler = ctx.resources.sampler(users[0])
    values: dict[str, Any] = {}
    for param in create.params:
        if not param.required and not param.ref and param.name not in first.resource.sent:
            with contextlib.suppress(CannotGenerate, SetUpFailedError):
                values[param.name] = sampler.other_than(param.schema, (before or {}).get(param.name))
    parents = {p.name: first.resource.sent[p.name] for p in create.params if p.required and p.ref}
    least = {**ctx.valid(create, users[0], optional="none"), **parents}
    other = ctx.call(create, {**least, **values}, as_=users[0])
    newest = _without(ctx, kind, users[0])
    if other.status != 200 or not values:
        ctx.give_up(f"no {kind} with optional members could be made")
    after, witness = newest.look()
    for name, value in values.items():
        taken = name in (after or {}) and equal((after or {})[name], value)
        ctx.judge(
            "STA-1",
            not taken or name in newest.resource.sent,
            kind=f"a {kind} without {name} begins with that of the one before",
            expected=f"{name}: {_shown(before or {}, name)}, as that of an earlier one without it",
            actual=f"{name}: {_shown(after or {}, name)}",
            exchange=witness,
            function=create.name,
        )


def _shown(members: dict[str, Any], name: str) -> str:
    return as_json(members[name]) if name in members else "not shown"


def _without(ctx: TestContext, kind: str, user: str) -> View:
    """Create an object without its optional members, and return its view."""
    view = view_of(ctx, ctx.resources.new(kind, user, optional="none"))
    if view is None:
        ctx.give_up(f"no user who may change a {kind} may read it")
    return view


def _change(
    ctx: TestContext, update: Method, view: View, params: list[Param], shown: dict[str, Any]
) -> dict[str, tuple[Any, Exchange]]:
    """Change members together, or one by one where that is refused; return those that were changed."""
    resource = view.resource
    sampler = ctx.resources.sampler(resource.user)
    values: dict[str, Any] = {}
    for param in params:
        try:
            values[param.name] = sampler.other_than(param.schema, shown.get(param.name))
        except (CannotGenerate, SetUpFailedError):
            continue
    current = {
        param.name: shown[param.name]
        for param in update.params
        if param.required and param.name in shown and not param.ref
    }
    together = ctx.call(update, bound(ctx, update, resource, **{**current, **values}), as_=resource.user)
    if together.status == 200:
        return {name: (value, together) for name, value in values.items()}
    found: dict[str, tuple[Any, Exchange]] = {}
    for name, value in values.items():
        exchange = ctx.call(
            update, bound(ctx, update, resource, **{**current, name: value}), as_=resource.user
        )
        if exchange.status == 200:
            found[name] = (value, exchange)
    return found


def _row(lister: Lister, resource: Resource) -> tuple[Any, Exchange]:
    """Return the row of an object in a list without volatile members, and the exchange."""
    function = lister.function
    assert function.object is not None
    exchange = lister.ctx.witness(lister.exchange())
    rows = (
        resolve(function.volatile_mask(exchange.data), function.rows or "") if exchange.status == 200 else ()
    )
    for row in rows if isinstance(rows, list) else ():
        if equal(resolve(row, function.object.id), resource.id):
            return row, exchange
    return MISSING, exchange


#: The optional members of the objects that are read for the first time.
_OPTIONAL: tuple[OptionalMembers, ...] = ("all", "none")


@judges("STA-4", calls=16)
@each_kind(makeable, otherwise="no kind of object can be both made and read")
def test_first_read_changes_nothing(ctx: TestContext, kind: str) -> None:
    """Read a new object for the first time: it, and its row in the lists, must not change by that."""
    reader = ctx.catalog.read(kind)
    assert reader is not None
    user = creators(ctx, kind)[0]
    # A state that a read changes may be the one that an object was made with.
    for optional in _OPTIONAL:
        resource = ctx.resources.new(kind, user, optional=optional)
        changes = _changes_of_first_read(ctx, reader, resource)
        if not all(change.unchanged for change in changes):
            # A clock that ticks between two reads looks the same. It ticks for an object that was read before, too.
            control = reader.volatile_mask(_read(ctx, resource).data)
            changes = _changes_of_first_read(ctx, reader, ctx.resources.new(kind, user, optional=optional))
            if not equal(control, reader.volatile_mask(_read(ctx, resource).data)):
                continue
        for change in changes:
            ctx.judge(
                "STA-4",
                change.unchanged,
                kind=change.kind,
                expected=change.expected,
                actual=change.actual,
                exchange=change.exchange,
                witness=change.witness,
            )


@dataclass(frozen=True, slots=True)
class _Change:
    """A comparison of an object, or of its row in a list, before and after its first read."""

    unchanged: bool
    kind: str
    expected: str
    actual: str
    exchange: Exchange
    witness: Exchange


def _read(ctx: TestContext, resource: Resource) -> Exchange:
    return ctx.must(read(ctx, resource), f"could not read a {resource.kind}")


def _changes_of_first_read(ctx: TestContext, reader: Method, resource: Resource) -> list[_Change]:
    """Read a new object for the first time; compare it, and its row in each list, before and after."""
    kind = resource.kind
    lists = list(listers(ctx, kind, resource.user, resource))
    rows = [(_row(lister, resource)[0], _row(lister, resource)[0]) for lister in lists]
    first, again, third = (_read(ctx, resource) for _ in range(3))
    shown = [reader.volatile_mask(exchange.data) for exchange in (first, again, third)]
    # What moves from the second read to the third as well moves by itself, which the test of each function judges.
    found = [
        _Change(
            unchanged=equal(shown[0], shown[1]) or not equal(shown[1], shown[2]),
            kind=f"the first read of a {kind} changes it",
            expected="the same answer twice, but for members marked readOnly",
            actual="the second answer differs from the first, and the third does not from the second",
            exchange=again,
            witness=first,
        )
    ]
    for lister, (one, two) in zip(lists, rows, strict=True):
        if one is MISSING or not equal(one, two):
            continue
        now, witness = _row(lister, resource)
        found.append(
            _Change(
                unchanged=equal(now, two) or not equal(now, _row(lister, resource)[0]),
                kind=f"a read of a {kind} changes its row in a list",
                expected=f"the row of {lister.function.name} as it was before",
                actual="another row",
                exchange=first,
                witness=witness,
            )
        )
    return found


def _parents(run: Run, kind: str) -> list[Method]:
    """Return the lists that require an object of a kind as the parent, of kinds that can be made under it."""
    found = []
    for method in run.catalog:
        role = method.object
        if role is None or role.does != "list" or role.kind == kind:
            continue
        required = [param for param in method.params if param.required]
        create = run.catalog.create(role.kind)
        if len(required) == 1 and required[0].ref == kind and create is not None:
            under = [param.name for param in create.params if param.ref == kind and param.required]
            if under:
                found.append(method)
    return found


@judges("STA-3", calls=8)
@each_kind(
    lambda run, kind: (
        run.catalog.create(kind) is not None
        and run.catalog.delete(kind) is not None
        and bool(_parents(run, kind))
    ),
    otherwise="no kind of object with children can be both made and deleted",
)
def test_children_of_an_identifier_that_is_given_again(ctx: TestContext, kind: str) -> None:
    """Delete an object with children and create another: under the same identifier it must have no children."""
    delete = ctx.catalog.delete(kind)
    assert delete is not None
    users = [user for user in creators(ctx, kind) if ctx.resources.may_call(user, delete)]
    if not users:
        ctx.give_up(f"no user who may make a {kind} may delete it")
    user = users[0]
    parent = ctx.resources.new(kind, user)
    lists = [each for each in _parents(ctx.run, kind) if ctx.resources.may_call(user, each)]
    children = [child for each in lists if (child := _child(ctx, each, parent)) is not None]
    if not children:
        ctx.give_up(f"nothing could be made under a {kind}")
    gone = ctx.call(delete, bound(ctx, delete, parent), as_=user)
    if gone.status != 200:
        raise SetUpFailedError(f"could not delete a {kind}: {delete.name} gave {gone.summary()}", gone)
    ctx.resources.forget(kind, parent.id)
    again = ctx.resources.new(kind, user)
    for function in lists:
        name = next(param.name for param in function.params if param.required)
        exchange = ctx.call(function, {name: again.id}, as_=user)
        assert function.object is not None
        listed = [resolve(row, function.object.id) for row in ctx.resources.rows(function, exchange)]
        old = [child.id for child in children if child.kind == function.object.kind]
        ctx.judge(
            "STA-3",
            not any(equal(one, other) for one in listed for other in old),
            kind=f"a new {kind} has the children of one that was deleted",
            expected=f"no rows in {function.name} for a new {kind}",
            actual=f"{len(listed)} rows",
            exchange=exchange,
        )


def _child(ctx: TestContext, function: Method, parent: Resource) -> Resource | None:
    """Create an object under a parent; None where that fails."""
    assert function.object is not None
    create = ctx.resources.creator(function.object.kind, parent.user)
    if create is None:
        return None
    under = [param.name for param in create.params if param.ref == parent.kind and param.required]
    try:
        return ctx.resources.new(function.object.kind, parent.user, **{under[0]: parent.id})
    except SetUpFailedError:
        return None
