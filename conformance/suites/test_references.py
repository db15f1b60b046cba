"""COD-10, ACC-2 and ACC-4 for objects that a call refers to: inside arrays and objects, as parents, as filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.generation.payloads import CannotGenerate
from conformance.generation.places import Reference, references
from conformance.helpers.comparison import act, equal, read
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.schema.pointer import resolve
from conformance.suites.test_codes import deleted_identifier, strangers


def _lists_by(method: Method) -> bool:
    """Return whether a function lists objects and takes identifiers of other objects."""
    return method.object is not None and method.object.does == "list" and bool(method.refs)


def _refers(method: Method) -> bool:
    """Return whether a function creates, updates or lists objects and takes identifiers of other objects."""
    role = method.object
    return (
        role is not None and role.does in ("create", "update", "list") and any(True for _ in _others(method))
    )


def _others(method: Method) -> list[tuple[str, str]]:
    """Return (pointer, kind) of the places of a function's data that take the identifier of another object."""
    role = method.object
    own = f"/{role.id}" if role is not None and role.does in ("read", "update", "delete") else ""
    return [(pointer, kind) for pointer, kind in method.refs if pointer != own]


def _nested(method: Method) -> bool:
    return any(pointer.count("/") > 1 for pointer, _ in method.refs)


def _referring(fuzz_target: FuzzTarget) -> list[Reference]:
    """Return the places of the data that take the identifier of an object other than the one it acts on."""
    return [
        place
        for place in references(fuzz_target.function)
        if not (place.parameter == fuzz_target.own and not place.nested)
        and not fuzz_target.hands_off(place.parameter)
    ]


def _data(fuzz_target: FuzzTarget, place: Reference, identifier: Any) -> Any:
    """Return data that names an object in one place; None where the schema allows none."""
    try:
        data = fuzz_target.fit(place.build(identifier, fuzz_target.identify), place.parameter)
    except (CannotGenerate, SetUpFailedError):
        return None
    return data if fuzz_target.allows(data) else None


def _another(fuzz_target: FuzzTarget, kind: str) -> Any:
    """Return the identifier of an object that the caller may use, other than the one that is changed.

    Raises:
        SetUpFailedError: there is none.

    """
    changed = fuzz_target.resource
    if changed is None or changed.kind != kind or fuzz_target.user is None:
        return fuzz_target.identify(kind)
    # A target may refuse an object that refers to itself.
    return fuzz_target.ctx.resources.any(kind, fuzz_target.user).id


def _works(fuzz_target: FuzzTarget, place: Reference, identifier: Any) -> Any:
    """Return data with the identifier of the caller's own object, if the call succeeds with it; else None."""
    data = _data(fuzz_target, place, identifier)
    if data is None:
        return None
    exchange = fuzz_target.send(data)
    fuzz_target.clear(exchange, data)
    return data if exchange.status == 200 else None


def _variants(fuzz_target: FuzzTarget, place: Reference, works: Any, identifier: Any) -> Iterator[Any]:
    """Yield data with an identifier that must be refused: alone, and after one of the caller's own."""
    behind = place.repeated(works, identifier)
    if behind is not None and fuzz_target.allows(behind):
        yield behind
        if fuzz_target.ctx.quick:
            return
    alone = _data(fuzz_target, place, identifier)
    if alone is not None:
        yield alone


def _matches_nothing(fuzz_target: FuzzTarget, place: Reference, exchange: Exchange) -> bool:
    """Return whether an optional filter gave an empty list, which does not claim that the object exists."""
    param = fuzz_target.function.param(place.parameter)
    optional = fuzz_target.function.rows is not None and param is not None and not param.required
    return (
        optional
        and exchange.status == 200
        and not fuzz_target.ctx.resources.rows(fuzz_target.function, exchange)
    )


@judges("COD-10")
@each_function(_nested, otherwise="no function takes an identifier inside an array or an object")
def test_nested_identifier_of_nothing(ctx: TestContext, function: Method) -> None:
    """Refer to an object that does not exist, in each place below the top level that takes an identifier."""
    judged = False
    fuzz_target = FuzzTarget(ctx, function)
    if fuzz_target.user is None:
        ctx.give_up("the profile has no users whose objects could be referred to")
    with fuzz_target:
        for place in _referring(fuzz_target):
            if not place.nested:
                continue
            try:
                own = _another(fuzz_target, place.kind)
            except SetUpFailedError:
                continue
            works = _works(fuzz_target, place, own)
            if works is None:
                continue
            gone = deleted_identifier(ctx, place.kind, fuzz_target.user)
            values = [
                *ctx.some(strangers(ctx, own), budgets.FOREIGN_REFERENCES),
                *([gone] if gone is not None else []),
            ]
            for data in (data for value in values for data in _variants(fuzz_target, place, works, value)):
                judged = True
                exchange = fuzz_target.send(data)
                fuzz_target.clear(exchange, data)
                if _matches_nothing(fuzz_target, place, exchange):
                    ctx.run.observer.judged("COD-10")
                    continue
                ctx.status(
                    "COD-10",
                    exchange,
                    {400, 403, 404},
                    kind=f"{place.label} of a {place.kind} that does not exist is not refused",
                )
    if not judged:
        ctx.give_up("no data with an identifier inside an array or an object is accepted")


def _private(ctx: TestContext, kind: str, owner: str, stranger: str) -> Resource | None:
    """Return an object of the owner that the stranger may not read; None where there is none."""
    reader = ctx.catalog.read(kind)
    if reader is None or ctx.resources.creator(kind, owner) is None:
        return None
    if not (ctx.resources.may_call(owner, reader) and ctx.resources.may_call(stranger, reader)):
        return None
    try:
        resource = ctx.resources.any(kind, owner)
        shown, refused = read(ctx, resource), act(ctx, reader, resource, stranger)
    except SetUpFailedError:
        return None
    return resource if shown.status == 200 and refused.status in (403, 404) else None


@judges("ACC-2")
@each_function(_refers, otherwise="no function takes the identifier of another object")
def test_reference_to_another_users_object(ctx: TestContext, function: Method) -> None:
    """Refer to an object that the caller may not read: the call must be refused, or return nothing."""
    ctx.need_writing()
    judged = False
    pairs = [pair for pair in ctx.pairs() if ctx.resources.may_call(pair[1], function)]
    for owner, stranger in ctx.some(pairs, budgets.REFERRING_PAIRS):
        fuzz_target = FuzzTarget(ctx, function, stranger)
        with fuzz_target:
            for place in _referring(fuzz_target):
                theirs = _private(ctx, place.kind, owner, stranger)
                if theirs is None:
                    continue
                try:
                    works = _works(fuzz_target, place, _another(fuzz_target, place.kind))
                except SetUpFailedError:
                    continue
                if works is None:
                    continue
                for data in _variants(fuzz_target, place, works, theirs.id):
                    judged = True
                    exchange = fuzz_target.send(data)
                    fuzz_target.clear(exchange, data)
                    ctx.status(
                        "ACC-2",
                        exchange,
                        {400, 403, 404},
                        kind=f"another user's {place.kind} is taken as {place.label}",
                        because=f"the {place.kind} is another user's, and is refused to this one for reading",
                    )
    if not judged:
        ctx.give_up("no object that one user may not read can be named by this user")


@judges("ACC-4")
@each_function(_lists_by, otherwise="no list takes the identifier of another object")
def test_list_by_another_users_object(ctx: TestContext, function: Method) -> None:
    """List by a parent or filter that the caller may not read: it must be refused, or not show the owner's objects."""
    ctx.need_writing()
    judged = False
    pairs = [pair for pair in ctx.pairs() if ctx.resources.may_call(pair[1], function)]
    for owner, stranger in ctx.some(pairs, budgets.REFERRING_PAIRS):
        fuzz_target = FuzzTarget(ctx, function, stranger)
        for place in _referring(fuzz_target):
            theirs = _private(ctx, place.kind, owner, stranger)
            if theirs is None:
                continue
            listed = _listed(ctx, function, place, theirs)
            data = _data(fuzz_target, place, theirs.id)
            if data is None:
                continue
            judged = True
            exchange = fuzz_target.send(data)
            shown = [
                identifier
                for identifier in _identifiers(ctx, function, exchange)
                if not _may_read(ctx, function, identifier, listed, stranger)
            ]
            ctx.judge(
                "ACC-4",
                not shown,
                kind=f"a list by another user's {place.kind} shows objects that cannot be read ({place.label})",
                expected=f"status 400, 403 or 404, or no object of {owner}'s",
                actual=f"{len(shown)} rows of another user's",
                exchange=exchange,
            )
    if not judged:
        ctx.give_up("no object that one user may not read can be named by this user")


def _listed(ctx: TestContext, function: Method, place: Reference, parent: Resource) -> list[Any]:
    """Create an object that the owner's list by this parent shows, if possible; return what that list shows."""
    assert function.object is not None
    create = ctx.resources.creator(function.object.kind, parent.user)
    if create is not None and not place.nested and create.param(place.parameter) is not None:
        ctx.resources.new(function.object.kind, parent.user, **{place.parameter: parent.id})
    fuzz_target = FuzzTarget(ctx, function, parent.user)
    data = _data(fuzz_target, place, parent.id)
    return _identifiers(ctx, function, fuzz_target.send(data)) if data is not None else []


def _identifiers(ctx: TestContext, function: Method, exchange: Exchange) -> list[Any]:
    assert function.object is not None
    return [resolve(row, function.object.id) for row in ctx.resources.rows(function, exchange)][:12]


def _may_read(ctx: TestContext, function: Method, identifier: Any, owners: list[Any], stranger: str) -> bool:
    """Return whether a user may read an object or, where it has no read function, is not one of the `owners`."""
    assert function.object is not None
    kind = function.object.kind
    reader = ctx.catalog.read(kind)
    known = ctx.resources.resource(kind, identifier, stranger)
    if reader is not None and ctx.resources.may_call(stranger, reader):
        try:
            return act(ctx, reader, known, stranger).status not in (403, 404)
        except SetUpFailedError:
            return True
    return not any(equal(identifier, other) for other in owners) or known.user == stranger
