"""STA: what was created, changed and deleted, over sequences of calls."""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, each_kind, judges
from conformance.generation.choices import OptionalMembers
from conformance.helpers.at_once import accepted_at_once
from conformance.helpers.comparison import Lister, bound, equal, listers, pairs, read, seen
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.resources.registry import Resource
from conformance.schema.pointer import MISSING, resolve
from conformance.schema.validation import Schema

#: Seconds: more than the step of a clock of whole seconds, and the difference that two clocks may have.
_TICK, _DAY = 1.1, 86_400.0


def creators(ctx: TestContext, kind: str) -> list[str]:
    """Return the users who may create and read objects of a kind.

    Raises:
        NotJudgedError: there are none.

    """
    ctx.need_writing()
    ctx.need_users()
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    users = [
        user
        for user in ctx.resources.callers(create)
        if reader is None or ctx.resources.may_call(user, reader)
    ]
    if not users:
        ctx.give_up(f"no user of the profile may make a {kind}")
    return users


@judges("STA-1")
@each_kind(lambda run, kind: run.catalog.create(kind) is not None, otherwise="no kind of object can be made")
def test_what_was_created(ctx: TestContext, kind: str) -> None:
    """Create objects with all, only required and some members: each must be readable as created, and be listed."""
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    users = creators(ctx, kind)
    judged = False
    for user in ctx.first(users, budgets.USERS_OF_A_KIND):
        for optional, fixed in _manners(create):
            resource = ctx.resources.new(kind, user, optional=optional, **fixed)
            if reader is not None and reader.object is not None and ctx.resources.may_call(user, reader):
                judged = True
                exchange = read(ctx, resource)
                if not ctx.status("STA-1", exchange, {200}, kind=f"a {kind} that was created cannot be read"):
                    continue
                shown = resolve(exchange.data, reader.object.at)
                for name, sent, got, schema in pairs(ctx, create, resource.sent, shown):
                    ctx.judge(
                        "STA-1",
                        seen(sent, got, schema),
                        kind=f"{name} of a {kind} does not read as it was created",
                        expected=f"{name}: {as_json(sent)}",
                        actual=f"{name}: {as_json(got)}",
                        exchange=exchange,
                        function=create.name,
                    )
            for lister in listers(ctx, kind, user, resource):
                judged = True
                exchange = lister.exchange()
                ctx.must(exchange, "could not list")
                assert lister.function.object is not None
                rows = ctx.resources.rows(lister.function, exchange)
                row = next(
                    (row for row in rows if equal(resolve(row, lister.function.object.id), resource.id)),
                    MISSING,
                )
                if not ctx.judge(
                    "STA-1",
                    row is not MISSING,
                    kind=f"a {kind} that was created is not in the list",
                    expected=f"the {kind} among the rows of {lister.function.name}",
                    actual=f"{len(rows)} rows without it",
                    exchange=exchange,
                    function=lister.function.name,
                ):
                    continue
                for name, sent, got, schema in pairs(ctx, create, resource.sent, row):
                    ctx.judge(
                        "STA-1",
                        seen(sent, got, schema),
                        kind=f"{name} of a {kind} is listed otherwise than it was created",
                        expected=f"{name}: {as_json(sent)}",
                        actual=f"{name}: {as_json(got)}",
                        exchange=exchange,
                        function=lister.function.name,
                    )
    if not judged:
        ctx.give_up(f"a {kind} can be made, but neither read nor listed")


def _manners(create: Method) -> list[tuple[OptionalMembers, dict[str, Any]]]:
    """Return sets of values to create an object with: all, only required, some, and falsy ones."""
    manners: list[tuple[OptionalMembers, dict[str, Any]]] = [("all", {}), ("none", {}), ("some", {})]
    empty = {param.name: values[0] for param in create.params if (values := falsy(create, param.name))}
    if empty:
        manners.append(("all", empty))
    other = {param.name: values[-1] for param in create.params if (values := falsy(create, param.name))}
    if other and other != empty:
        manners.append(("none", other))
    return manners


def falsy(function: Method, name: str) -> list[Any]:
    """Return the values that are falsy in many languages and valid for the parameter."""
    param = function.param(name)
    if param is None or param.ref:
        return []
    schema = Schema(param.schema)
    nothing: tuple[Any, ...] = (False, 0, "", [], {}, None)
    return [value for value in nothing if schema.valid(value)]


@judges("STA-3")
@each_kind(
    lambda run, kind: run.catalog.delete(kind) is not None and run.catalog.create(kind) is not None,
    otherwise="no kind of object can be both made and deleted",
)
def test_what_was_deleted(ctx: TestContext, kind: str) -> None:
    """Delete an object: it must be gone for all functions and lists, and others must remain."""
    delete = ctx.catalog.delete(kind)
    assert delete is not None
    users = [user for user in creators(ctx, kind) if ctx.resources.may_call(user, delete)]
    if not users:
        ctx.give_up(f"no user who may make a {kind} may delete it")
    for user in ctx.first(users, budgets.USERS_OF_A_KIND):
        resource = ctx.resources.new(kind, user)
        shared = {n: v for n, v in resource.sent.items() if n in {p.name for p in delete.params if p.ref}}
        neighbour = ctx.resources.new(kind, user, **shared)
        functions = [
            function for function in (ctx.catalog.read(kind), ctx.catalog.update(kind), delete) if function
        ]
        attempts = [
            (function, ctx.valid(function, user, optional="none", **_ids(function, resource)))
            for function in functions
            if ctx.resources.may_call(user, function)
        ]
        lists = list(listers(ctx, kind, user, resource))
        views = [view for lister in lists for view in _narrowed(ctx, lister, resource)]
        gone = ctx.call(delete, bound(ctx, delete, resource), as_=user)
        if gone.status != 200:
            raise SetUpFailedError(f"could not delete a {kind}: {delete.name} gave {gone.summary()}", gone)
        ctx.resources.forget(kind, resource.id)
        for function, data in attempts:
            for _ in range(2):
                exchange = ctx.call(function, data, as_=user)
                assert function.object is not None
                ctx.status(
                    "STA-3",
                    exchange,
                    {400, 403, 404},
                    kind=f"a {kind} that was deleted can still be used ({function.object.does})",
                    otherwise=f"a {kind} that was deleted is refused with another status ({function.object.does})",
                )
        for lister in lists:
            _judge_list_after_delete(ctx, lister, resource, neighbour, gone)
        for what, lister, paging in views:
            found = lister.ids(**paging)
            ctx.judge(
                "STA-3",
                resource.id not in found,
                kind=f"a {kind} that was deleted is still in the list {what}",
                expected=f"no row of it in {lister.function.name}",
                actual="it is there",
                exchange=lister.exchange(**paging) if resource.id in found else None,
                function=lister.function.name,
            )
        if ctx.catalog.read(kind):
            exchange = ctx.witness(read(ctx, neighbour))
            ctx.status(
                "STA-3",
                exchange,
                {200},
                kind=f"deleting one {kind} takes another with it",
                because="only the deleted one is gone",
            )


def _narrowed(
    ctx: TestContext, lister: Lister, resource: Resource
) -> Iterator[tuple[str, Lister, dict[str, int]]]:
    """Yield (description, list, paging) of a page and of filters with which the list shows an object."""
    function = lister.function
    count = len(lister.ids())
    pages: list[tuple[str, Lister, dict[str, int]]] = [
        ("on a page", lister, {"page_start": 0, "page_length": count + 1}),
        ("on the last page", lister, {"page_start": max(0, count - 2)}),
    ]
    texts = [
        value
        for value in resource.sent.values()
        if isinstance(value, str) and value.startswith(ctx.resources.tag)
    ]
    filters: list[tuple[str, Lister, dict[str, int]]] = []
    for param in function.params:
        if param.required:
            continue
        values = [resource.sent[param.name]] if resource.sent.get(param.name) is not None else texts[:2]
        for value in values:
            data = {**lister.data, param.name: value}
            if function.data.valid(data):
                filters.append((f"by {param.name}", Lister(ctx, function, lister.user, data), {}))
    for what, narrow, paging in [
        *ctx.some(pages, budgets.WATCHED_PAGES),
        *ctx.some(filters, budgets.WATCHED_FILTERS),
    ]:
        exchange = narrow.exchange(**paging)
        assert function.object is not None
        rows = ctx.resources.rows(function, exchange)
        if any(equal(resolve(row, function.object.id), resource.id) for row in rows):
            yield what, narrow, paging


def _ids(function: Method, resource: Any) -> dict[str, Any]:
    assert function.object is not None
    shared = {
        p.name: resource.sent[p.name]
        for p in function.params
        if p.required and p.ref and p.name in resource.sent
    }
    return {**shared, function.object.id: resource.id}


def _judge_list_after_delete(
    ctx: TestContext, lister: Lister, resource: Resource, neighbour: Resource, gone: Exchange
) -> None:
    """Judge that a list has lost the deleted object, and no other; `gone` is the exchange that deleted it."""
    identifiers = lister.ids()
    ctx.judge(
        "STA-3",
        resource.id not in identifiers,
        kind=f"a {resource.kind} that was deleted is still in the list",
        expected=f"no row of it in {lister.function.name}",
        actual="it is there",
        exchange=gone,
        witness=lister.last,
        function=lister.function.name,
    )
    ctx.judge(
        "STA-3",
        neighbour.id in identifiers,
        kind=f"deleting one {resource.kind} takes another out of the list",
        expected="only the deleted one is gone",
        actual="another one is gone too",
        exchange=gone,
        witness=lister.last,
        function=lister.function.name,
    )


@judges("STA-4")
@each_function(lambda method: method.effect == "read", otherwise="the catalogue calls no function read")
def test_reading_changes_nothing(ctx: TestContext, function: Method) -> None:
    """Compare objects of every kind, read through other functions before and after a read call."""
    user = ctx.who(function)
    if user is None:
        ctx.give_up("the profile has no users whose objects could be watched")
    # What a read changes is most often what it shows.
    near: list[tuple[str, Any]] = []
    far: list[tuple[str, Any]] = []
    for is_own, name, look in _eyes(ctx, user, function):
        (near if is_own else far).append((name, look))
    # A read that shows no kind of object, such as an overview, may change any.
    eyes = [*near[:1], *ctx.some([*near[1:], *far], budgets.WATCHED_LISTS)] if near else far
    if not eyes:
        ctx.give_up("no object can be watched")
    data = ctx.valid(function, user)
    looks = [look for _, look in eyes]
    first = [look() for look in looks]
    control = [look() for look in looks]
    if not any(one[1].status == two[1].status == 200 for one, two in zip(first, control, strict=True)):
        ctx.give_up("no object can be watched")
    calls = [
        ctx.call(function, sent, as_=user)
        for sent in (data, ctx.valid(function, user, optional="none"))
        for _ in range(2)
    ]
    after = [look() for look in looks]
    for (name, look), one, two, three in zip(eyes, first, control, after, strict=True):
        if not one[1].status == two[1].status == 200:
            continue
        watched = _masked(two[0], one[0])
        good = equal(watched, _masked(three[0], one[0], two[0]))
        if not good:
            # A clock of whole seconds may not have moved before. A value that changes without a call is no side effect.
            time.sleep(_TICK)
            moving = _differing_paths(three[0], look()[0])
            good = not _differing_paths(watched, _masked(three[0], one[0], two[0])) - moving
        ctx.judge(
            "STA-4",
            good,
            kind=f"a function that is called read changes what {name} shows",
            expected="nothing is changed",
            actual=f"{_where(watched, three[0]) or 'something'} changed between two calls of {name}",
            exchange=calls[-1],
            witness=three[1],
            function=function.name,
        )
    own = ctx.call(function, data, as_=user)
    again = ctx.call(function, data, as_=user)
    if own.status == 200 and again.status == 200:
        hidden = function.volatile_mask
        ctx.judge(
            "STA-4",
            _clocks_apart(hidden(own.data), hidden(again.data)),
            kind="a function that is called read changes what it shows itself",
            expected="the same answer twice, but for members marked readOnly",
            actual=f"{_where(hidden(own.data), hidden(again.data))} changed",
            exchange=again,
        )


def _eyes(ctx: TestContext, user: str, apart: Method) -> Iterator[tuple[bool, str, Any]]:
    """Yield (is own, function name, view) of other functions; own ones show the objects that `apart` shows."""
    for kind in ctx.catalog.kinds:
        reader = ctx.catalog.read(kind)
        try:
            resource = ctx.resources.any(kind, user)
        except SetUpFailedError:
            continue
        views = list(listers(ctx, kind, user, resource))
        is_own = apart.name in {reader.name if reader else None, *(view.function.name for view in views)}
        if reader is not None and reader.name != apart.name and ctx.resources.may_call(user, reader):
            try:
                data = bound(ctx, reader, resource)
            except SetUpFailedError:
                continue

            def look(reader: Method = reader, data: dict[str, Any] = data) -> tuple[Any, Any]:
                exchange = ctx.witness(ctx.call(reader, data, as_=user))
                return exchange.data, exchange

            yield is_own, reader.name, look
        for lister in views:
            if lister.function.name != apart.name:

                def watch(lister: Any = lister) -> tuple[Any, Any]:
                    exchange = ctx.witness(lister.exchange())
                    return exchange.data, exchange

                yield is_own, lister.function.name, watch
                break


def _masked(value: Any, *others: Any) -> Any:
    """Return a value without its volatile members, which are those in which the others differ from it."""
    if isinstance(value, dict):
        return {
            name: _masked(item, *(other.get(name) if isinstance(other, dict) else item for other in others))
            for name, item in value.items()
            if isinstance(item, (dict, list))
            or all(not isinstance(o, dict) or equal(o.get(name), item) for o in others[:1])
        }
    if isinstance(value, list):
        return [
            _masked(
                item,
                *(
                    other[index] if isinstance(other, list) and index < len(other) else item
                    for other in others
                ),
            )
            for index, item in enumerate(value)
        ]
    return value


def _differing_paths(one: Any, other: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    """Return the paths at which two values differ, as names and indices."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(n, one.get(n, MISSING), other.get(n, MISSING)) for n in one.keys() | other.keys()]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(index, *both) for index, both in enumerate(zip(one, other, strict=True))]
    else:
        return set() if equal(one, other) else {path}
    return {
        place for step, first, second in pairs for place in _differing_paths(first, second, (*path, step))
    }


def _clocks_apart(one: Any, other: Any) -> bool:
    """Return whether two responses are equal except for clocks in them."""
    for path in _differing_paths(one, other):
        here, there = one, other
        for step in path:
            here, there = (
                each.get(step, MISSING) if isinstance(each, dict) else each[step] for each in (here, there)
            )
        if not _clock(here, there):
            return False
    return True


def _clock(one: Any, other: Any) -> bool:
    """Return whether two values are the times of two calls in a row."""
    moments = [_seconds(value) for value in (one, other)]
    if None in moments:
        return False
    first, second = (moment for moment in moments if moment is not None)
    return 0 <= second - first <= 60 and abs(time.time() - second) <= _DAY


def _seconds(value: Any) -> float | None:
    """Return the seconds since 1970 of a value: a date-time, or a number of seconds, milliseconds, …"""
    if isinstance(value, str):
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for unit in (1, 1e3, 1e6, 1e9):
            if abs(value / unit - time.time()) <= _DAY:
                return float(value / unit)
    return None


def _where(one: Any, other: Any, path: str = "") -> str:
    """Return a pointer to the first difference between two values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one:
            if not equal(one[name], other.get(name, MISSING)):
                return _where(one[name], other.get(name, MISSING), f"{path}/{name}")
    if isinstance(one, list) and isinstance(other, list):
        for index, (first, second) in enumerate(zip(one, other, strict=False)):
            if not equal(first, second):
                return _where(first, second, f"{path}/{index}")
    return path or "data"


@judges("STA-5", calls=25)
@each_kind(lambda run, kind: run.catalog.create(kind) is not None, otherwise="no kind of object can be made")
def test_concurrent_creates(ctx: TestContext, kind: str) -> None:
    """Create eight objects at a time: all must be stored, each with its own identifier and values."""
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    user = creators(ctx, kind)[0]
    count = ctx.amount(budgets.CONCURRENT_CREATES)
    if ctx.catalog.delete(kind) is None:
        count = 8
    first = ctx.resources.new(kind, user)
    shared = {
        p.name: first.sent[p.name] for p in create.params if p.required and p.ref and p.name in first.sent
    }
    datas = [ctx.valid(create, user, **shared) for _ in range(count)]
    token = ctx.sessions.of(user).token
    exchanges = ctx.together(
        [functools.partial(ctx.call, create, data, as_=user, token=token) for data in datas], at_once=8
    )
    resource_list = _created_at_once(ctx, create, kind, datas, exchanges)
    identifiers = [repr(identifier) for _, identifier, _ in resource_list]
    for _, identifier, exchange in resource_list:
        ctx.judge(
            "STA-5",
            identifiers.count(repr(identifier)) == 1,
            kind=f"concurrent creates of a {kind} are given the same identifier",
            expected=f"{len(resource_list)} identifiers for {len(resource_list)} creates",
            actual=f"{len(set(identifiers))}",
            exchange=exchange,
        )
    if reader is not None and reader.object is not None and ctx.resources.may_call(user, reader):
        for data, identifier, _ in resource_list:
            resource = ctx.resources.resource(kind, identifier, user)
            resource.sent = resource.sent or data
            exchange = ctx.witness(read(ctx, resource))
            judge_created(ctx, create, reader, resource, exchange, data)
    for lister in listers(ctx, kind, user, first):
        listed = [repr(identifier) for identifier in lister.ids()]
        lost = [identifier for identifier in identifiers if identifier not in listed]
        ctx.judge(
            "STA-5",
            not lost,
            kind=f"of concurrent creates of a {kind} not all are in the list",
            expected=f"all {len(identifiers)} in {lister.function.name}",
            actual=f"{len(lost)} are missing",
            exchange=lister.last,
            function=lister.function.name,
        )
    if ctx.catalog.delete(kind) is not None:
        for _, identifier, _ in resource_list:
            ctx.resources.remove(ctx.resources.resource(kind, identifier, user))


def _created_at_once(
    ctx: TestContext, create: Method, kind: str, datas: Sequence[Any], exchanges: Sequence[Exchange]
) -> list[tuple[Any, Any, Exchange]]:
    """Judge the answers of creates that were sent at once; return data, identifier and exchange of each success."""
    created = []
    for data, exchange in zip(datas, exchanges, strict=True):
        assert create.object is not None
        if accepted_at_once(ctx, create, kind, exchange):
            created.append((data, resolve(exchange.data, create.object.id), exchange))
    return created


def judge_created(
    ctx: TestContext,
    create: Method,
    reader: Method,
    resource: Resource,
    exchange: Exchange,
    data: dict[str, Any],
) -> None:
    """Check that one of several concurrently created objects reads as created (STA-5)."""
    assert reader.object is not None
    shown = resolve(exchange.data, reader.object.at) if exchange.status == 200 else None
    wrong = [
        name for name, sent, got, schema in pairs(ctx, create, data, shown) if not seen(sent, got, schema)
    ]
    ctx.judge(
        "STA-5",
        exchange.status == 200 and not wrong,
        kind=f"of concurrent creates of a {resource.kind} not all are kept",
        expected=f"each {resource.kind} can be read by who made it, with its own values",
        actual=f"{', '.join(wrong)} are another's" if wrong else exchange.summary(),
        exchange=exchange,
        function=create.name,
    )
