"""COD: «HTTP response codes»."""

from __future__ import annotations

import functools
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_endpoint, each_function, judges
from conformance.engine.not_judged import ANSWERED, LINES, NotJudgedError
from conformance.generation.errors import CannotGenerate
from conformance.helpers.builtin_names import rotated
from conformance.helpers.claims import claiming_headers
from conformance.helpers.comparison import bound
from conformance.helpers.other_texts import another
from conformance.helpers.probing import prober, probing_status, send_probe
from conformance.helpers.session_probes import protected
from conformance.helpers.together import Headers, packed, refused_together
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.suites.test_access import lacking


@judges("COD-3")
@each_endpoint()
def test_unknown_function(ctx: TestContext, endpoint: str) -> None:
    """«404 Function doesn't exist.»"""
    endpoint = endpoint or ctx.endpoint()
    published = {m.name.partition(".")[2] for m in ctx.catalog.methods.values() if m.entity == endpoint}
    others = sorted({m.name.partition(".")[2] for m in ctx.catalog.methods.values()} - published)
    names = [
        ctx.unknown_name(),
        *(f"{name}{ctx.unknown_name().capitalize()}" for name in sorted(published)[:1]),
    ]
    # A published name cut short, of a function that only reads, in case the target runs it.
    short = sorted({name[:-1] for name in _readers(ctx, endpoint) if len(name) > 3} - published)
    names += ctx.some(short, budgets.CUT_NAMES)
    if ctx.run.writable:
        # The name of a function of another endpoint is not tried, since it might be a hidden function here.
        names += ctx.rng.sample(others, min(2, len(others)))
    for name in names:
        for data in ({}, {"id": 1}):
            exchange = send_probe(ctx, endpoint, function=name, data=data)
            probing_status(
                ctx,
                "COD-3",
                exchange,
                {404},
                endpoint=endpoint,
                kind="an unknown function is not answered 404",
                function=ctx.caller.label(f"{endpoint}."),
                because=f"there is no {endpoint}.{name}",
            )


def _readers(ctx: TestContext, endpoint: str) -> list[str]:
    """Return the names of the functions of an endpoint that read, where none that writes begins alike."""
    of = [m for m in ctx.catalog.methods.values() if m.entity == endpoint]
    writers = [m.function for m in of if m.effect != "read"]
    readers = [m.function for m in of if m.effect == "read"]
    return [name for name in readers if not any(each.startswith(name[:-1]) for each in writers)]


def _plural(entity: str) -> str:
    """Return an endpoint's name with an s more, or less where it ends in one: a lenient router may take it for it."""
    return entity[:-1] if entity.endswith("s") and len(entity) > 1 else f"{entity}s"


@judges("COD-4")
def test_unknown_endpoint(ctx: TestContext) -> None:
    """«404 Function doesn't exist»: an unknown endpoint has no functions."""
    words = [ctx.unknown_name(), ctx.unknown_name(), f"{ctx.unknown_name()}/{ctx.unknown_name()}"]
    # A guard may protect all paths that begin with an endpoint's name, so its own user sends variants of it.
    near: dict[str, str] = {}
    entities = sorted({method.entity for method in ctx.catalog.methods.values()})
    for entity in entities:
        made = [f"{entity}{ctx.unknown_name().capitalize()}", f"{entity}/{ctx.unknown_name()}"]
        words += made
        near |= dict.fromkeys(made, entity)
    names = sorted({m.name.partition(".")[2] for m in ctx.catalog.methods.values()}) or ["find"]
    plurals = {_plural(entity): entity for entity in entities if _plural(entity) not in entities}
    near |= plurals
    for word in [
        *ctx.some(words, budgets.UNKNOWN_ENDPOINTS),
        *ctx.some(list(plurals), budgets.PLURAL_ENDPOINTS),
    ]:
        # A target that takes the word for an endpoint must know the function, or it answers 404 all the same.
        known = _readers(ctx, near[word]) if word in plurals else []
        name = ctx.rng.choice(known or names)
        user = ctx.somebody()
        accepted = {404} if user else {401, 404}
        try:
            user = prober(ctx, near.get(word, word))
        except NotJudgedError:
            accepted = {403, 404}
        exchange = ctx.call(f"{word}.{name}", {}, as_=user, target=word)
        probing_status(
            ctx,
            "COD-4",
            exchange,
            accepted,
            endpoint=near.get(word, word),
            kind="an unknown endpoint is not answered 404",
            function="",
            because=f"there is no endpoint {word}",
        )


@judges("COD-6")
@each_function(protected, otherwise="no function needs a session")
def test_no_session_with_valid_data(ctx: TestContext, function: Method) -> None:
    """«401 Function requires proper authentication.»"""
    user = ctx.somebody(function)
    exchange = ctx.call(function, ctx.valid(function, user))
    ctx.status("COD-6", exchange, {401}, kind="without a session, valid data is not answered 401")


@judges("COD-9")
@each_function(
    lambda method: protected(method) and bool(method.params),
    otherwise="no function that needs a session has arguments",
)
def test_no_session_with_invalid_data(ctx: TestContext, function: Method) -> None:
    """Call without a session and with invalid data: the refusal must not depend on the data."""
    user = ctx.somebody(function)
    valid = ctx.valid(function, user)
    for violation in ctx.some(ctx.resources.violations(function), budgets.REFUSED_VIOLATIONS):
        try:
            invalid_data = violation.apply(valid)
        except CannotGenerate:
            continue
        exchange = ctx.call(function, invalid_data)
        ctx.status(
            "COD-9",
            exchange,
            {401},
            kind="without a session, invalid data is not answered 401",
            because=violation.kind,
        )
    for param in function.params:
        if not param.required:
            continue
        exchange = ctx.call(function, {name: value for name, value in valid.items() if name != param.name})
        ctx.status(
            "COD-9",
            exchange,
            {401},
            kind="without a session, invalid data is not answered 401",
            because=f"{param.name} is left out",
        )
    exchange = ctx.call(function, [])
    ctx.status(
        "COD-9",
        exchange,
        {401},
        kind="without a session, invalid data is not answered 401",
        because="data is an array",
    )


@judges("COD-7", "ACC-1")
@each_function(
    lambda method: method.auth not in ("none", "session", None),
    otherwise="no function of the catalogue asks for a role",
)
def test_session_without_the_role(ctx: TestContext, function: Method) -> None:
    """«403 Access for the current user is denied.»"""
    ctx.need_users()
    without = lacking(ctx, function)
    having = ctx.resources.callers(function)
    if not without:
        ctx.give_up(f"every user of the profile has the role {function.auth!r}", LINES["peer"])
    data: dict[str, Any] | None = None
    if having:
        data = ctx.valid(function, having[0])
    for user in without:
        sent = data if data is not None else ctx.data_for(function, user)
        for variant in (
            [sent]
            if ctx.quick
            else [sent, ctx.valid(function, having[0], optional="none") if having else sent]
        ):
            exchange = ctx.call(function, variant, as_=user)
            ctx.status("COD-7", exchange, {403}, kind="a session that lacks the right is not answered 403")
            ctx.status(
                "ACC-1",
                exchange,
                {403},
                kind="a function for another role is not refused",
                because=f"the user lacks the role {function.auth!r}",
            )
        first, *further = packed(claiming_headers(ctx, function, having[0] if having else user))
        refused_together(
            ctx,
            "ACC-1",
            functools.partial(_call_as, ctx, function, sent, user),
            [first, *rotated(ctx, further, budgets.FURTHER_CLAIMING_HEADERS)],
            {403},
            kind="a header stands for a role",
            call="a call in a session without the role",
        )
    if not having:
        ctx.skip("ACC-1", f"no user of the profile has the role {function.auth!r}", function=function.name)
    for user in having:
        exchange = ctx.call(function, ctx.valid(function, user), as_=user)
        ctx.judge(
            "ACC-1",
            exchange.status not in (401, 403),
            kind="a function is refused to a user who has the role",
            expected="neither 401 nor 403",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=ANSWERED - {401, 403},
        )


def _call_as(ctx: TestContext, function: Method, data: Any, user: str, headers: Headers) -> Exchange:
    return ctx.call(function, data, as_=user, headers=headers)


def identifiers(method: Method) -> list[tuple[str, str]]:
    """Return (parameter, kind) of the identifiers that a function takes at its top level."""
    found = {param.name: param.ref for param in method.params if param.ref}
    if method.object and method.object.does in ("read", "update", "delete"):
        found.setdefault(method.object.id, method.object.kind)
    return [(name, kind) for name, kind in found.items() if kind]


@judges("COD-10")
@each_function(lambda method: bool(identifiers(method)), otherwise="no function takes an identifier")
def test_identifier_of_nothing(ctx: TestContext, function: Method) -> None:
    """Use objects that do not exist: by a made-up identifier, and by that of a deleted object."""
    user = ctx.who(function)
    for name, kind in identifiers(function):
        valid = ctx.valid(function, user)
        if name not in valid:
            continue
        fitting = [v for v in strangers(ctx, valid[name]) if function.data.valid({**valid, name: v})]
        candidates = fitting
        if isinstance(valid[name], str):
            candidates = [v for i, v in enumerate(fitting) if not i or len(v) != len(valid[name])]
        deleted = deleted_identifier(ctx, kind, user)
        if deleted is not None:
            candidates.append(deleted)
        if not candidates:
            ctx.skip("COD-10", f"no other identifier fits the schema of {name}", function=function.name)
        for value in candidates:
            if not ctx.safe(function, {**valid, name: value}):
                look_up(ctx, kind, value, user)
            exchange = ctx.call(function, {**valid, name: value}, as_=user)
            if (
                is_filter(function, name)
                and exchange.status == 200
                and not ctx.resources.rows(function, exchange)
            ):
                # An empty result of a filter does not claim that the object exists.
                ctx.run.observer.judged("COD-10")
                continue
            ctx.status(
                "COD-10",
                exchange,
                {400, 403, 404},
                kind=f"{name} of a {kind} that does not exist is not refused",
            )


def look_up(ctx: TestContext, kind: str, identifier: Any, user: str | None) -> None:
    """Read an object that should not exist; only unused identifiers may be sent to functions that write."""
    reader = ctx.catalog.read(kind)
    if reader is None or reader.object is None or user is None or not ctx.resources.may_call(user, reader):
        return
    if any(param.required and param.name != reader.object.id for param in reader.params):
        return
    data = {reader.object.id: identifier}
    if reader.data.valid(data) and ctx.call(reader, data, as_=user).status == 404:
        ctx.run.ownership.nothing(kind, identifier)


def is_filter(function: Method, name: str) -> bool:
    """Return whether an argument of a list is optional, so that it only narrows the list."""
    return function.rows is not None and not next(p.required for p in function.params if p.name == name)


#: Characters from which on the beginning of an identifier is unique.
_OPAQUE = 16


def strangers(ctx: TestContext, identifier: Any) -> list[Any]:
    """Return identifiers of the same form that belong to no object that the run has seen."""
    ownership, kinds = ctx.run.ownership, ctx.catalog.kinds
    candidates = _of_the_same_form(ctx, identifier)
    return [value for value in candidates if not any(ownership.knows(kind, value) for kind in kinds)]


def _of_the_same_form(ctx: TestContext, identifier: Any) -> list[Any]:
    rng = ctx.rng
    if isinstance(identifier, bool):
        return []
    if isinstance(identifier, int):
        # Their lowest 32 bits do not belong to an object either.
        beyond = [2**31 + rng.randrange(10**6), 2**53 - 2**31 - 1 - rng.randrange(10**6)]
        # The last one equals the identifier if only 32 bits are compared.
        beyond.append(identifier + 2**32)
        highest = max(identifier, *(ctx.run.ownership.highest(kind) or 0 for kind in ctx.catalog.kinds), 0)
        above = (highest if highest < 2**31 - 10**7 else identifier) + 1_000_003
        return [above + rng.randrange(1000), 2_147_483_000 + rng.randrange(600), *beyond]
    if isinstance(identifier, str):
        if identifier.isdigit():
            return [str(int(identifier) + 1_000_003 + rng.randrange(1000))]
        half, tail = len(identifier) // 2, max(1, len(identifier) - 6)
        found = [identifier[:keep] + another(rng, identifier[keep:]) for keep in (0, half, tail)]
        # The beginning of a short identifier may be that of another object.
        return [*found, *([identifier[:-1], f"{identifier}a"] if len(identifier) >= _OPAQUE else [])]
    return []


def deleted_identifier(ctx: TestContext, kind: str, user: str | None) -> Any:
    """Return the identifier of a deleted object; None where none can be deleted."""
    delete = ctx.catalog.delete(kind)
    if user is None or delete is None or ctx.resources.creator(kind, user) is None:
        return None
    if not ctx.resources.may_call(user, delete):
        return None
    try:
        resource = ctx.resources.new(kind, user)
        gone = ctx.call(delete, bound(ctx, delete, resource), as_=user)
    except SetUpFailedError:
        return None
    return resource.id if gone.status == 200 else None
