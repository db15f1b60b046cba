"""AUT-11 and STA-5 with several users at the same time: no response or object may belong to another user."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, each_kind, judges
from conformance.helpers.at_once import accepted_at_once
from conformance.helpers.comparison import equal, listers, read
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.schema.pointer import resolve
from conformance.suites.test_state import creators, judge_created

#: Calls at the same time.
_AT_ONCE = 8


def _asks_for_nothing(method: Method) -> bool:
    return (
        method.effect == "read"
        and method.auth not in ("none", None)
        and not any(param.required for param in method.params)
    )


@judges("AUT-11")
@each_function(
    _asks_for_nothing, otherwise="no protected function that reads can be called without arguments"
)
def test_answers_at_once(ctx: TestContext, function: Method) -> None:
    """Send the same call as several users at the same time: each must get the same response as alone."""
    users = [name for name in ctx.need_users(2) if ctx.resources.may_call(name, function)][:3]
    if len(users) < 2:
        ctx.give_up(f"only one user of the profile may call {function.name}")
    role = function.object
    for user in users:
        if role is not None and ctx.resources.creator(role.kind, user) is not None:
            with contextlib.suppress(SetUpFailedError):
                ctx.resources.any(role.kind, user)
    alone = {user: _shown(function, ctx.call(function, {}, as_=user)) for user in users}
    steady = [
        user for user in users if equal(alone[user], _shown(function, ctx.call(function, {}, as_=user)))
    ]
    apart = [user for user in steady if any(not equal(alone[user], alone[other]) for other in steady)]
    if len(apart) < 2:
        # Where all users get the same response, nothing can be mixed up.
        ctx.run.observer.judged("AUT-11")
        return
    order = [user for user in apart for _ in range(ctx.amount(budgets.CONCURRENT_ROUNDS))]
    ctx.rng.shuffle(order)
    calls = [functools.partial(ctx.call, function, {}, as_=user) for user in order]
    for user, exchange in zip(order, ctx.together(calls, at_once=_AT_ONCE), strict=True):
        shown = _shown(function, exchange)
        others = [other for other in apart if other != user and equal(shown, alone[other])]
        mixed = bool(others) and not equal(shown, alone[user])
        ctx.judge(
            "AUT-11",
            not mixed,
            kind="users who ask at the same time get each other's answer",
            expected=f"what {user} gets alone",
            actual=f"what {', '.join(others)} gets",
            exchange=exchange,
        )


def _shown(function: Method, exchange: Exchange) -> Any:
    return [exchange.status, function.volatile_mask(exchange.data)]


@judges("AUT-11", "STA-5", calls=25)
@each_kind(lambda run, kind: run.catalog.create(kind) is not None, otherwise="no kind of object can be made")
def test_creates_of_several_users(ctx: TestContext, kind: str) -> None:
    """Create objects as several users at the same time: each must be stored for its creator, with their values."""
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    assert create.object is not None
    users = creators(ctx, kind)[:3]
    if len(users) < 2:
        ctx.give_up(f"only one user of the profile may make a {kind}")
    each = ctx.amount(budgets.CREATES_OF_A_USER)
    if ctx.catalog.delete(kind) is None:
        each = budgets.CREATES_OF_A_USER.quick
    order: list[tuple[str, dict[str, Any]]] = []
    for user in users:
        first = ctx.resources.new(kind, user)
        shared = {
            param.name: first.sent[param.name]
            for param in create.params
            if param.required and param.ref and param.name in first.sent
        }
        order += [(user, ctx.valid(create, user, **shared)) for _ in range(each)]
    ctx.rng.shuffle(order)
    calls = [functools.partial(ctx.call, create, data, as_=user) for user, data in order]
    made = []
    for (user, data), exchange in zip(order, ctx.together(calls, at_once=_AT_ONCE), strict=True):
        if accepted_at_once(ctx, create, kind, exchange):
            made.append((user, data, resolve(exchange.data, create.object.id), exchange))
    for user, data, identifier, exchange in made:
        resource = ctx.resources.resource(kind, identifier, user)
        resource.sent = resource.sent or data
        if reader is not None and reader.object is not None:
            _judge_created(ctx, create, reader, resource, data)
        else:
            _judge_listed(ctx, kind, user, resource, exchange)
    if ctx.catalog.delete(kind) is not None:
        for user, _, identifier, _ in made:
            ctx.resources.remove(ctx.resources.resource(kind, identifier, user))


def _judge_created(
    ctx: TestContext, create: Method, reader: Method, resource: Any, data: dict[str, Any]
) -> None:
    assert reader.object is not None
    exchange = ctx.witness(read(ctx, resource))
    if exchange.status in (403, 404):
        others = [
            name
            for name in ctx.profile.users
            if name != resource.user and ctx.resources.may_call(name, reader)
        ]
        theirs = [
            name
            for name in others
            if not ctx.resources.privileges(name) and read(ctx, resource, name).status == 200
        ]
        if theirs:
            ctx.judge(
                "AUT-11",
                False,
                kind=f"a {resource.kind} that was made at the same time belongs to another user",
                expected=f"it is {resource.user}'s, who made it",
                actual=f"{resource.user} gets {exchange.summary()}, {theirs[0]} may read it",
                exchange=exchange,
                function=create.name,
            )
            return
    ctx.run.observer.judged("AUT-11")
    judge_created(ctx, create, reader, resource, exchange, data)


def _judge_listed(ctx: TestContext, kind: str, user: str, resource: Any, exchange: Exchange) -> None:
    for lister in listers(ctx, kind, user, resource):
        listed = [repr(identifier) for identifier in lister.ids()]
        ctx.run.observer.judged("AUT-11")
        ctx.judge(
            "STA-5",
            repr(resource.id) in listed,
            kind=f"of concurrent creates of a {kind} not all are in the list",
            expected=f"it is in {lister.function.name} of who made it",
            actual="it is not there",
            exchange=exchange,
            witness=lister.last,
            function=lister.function.name,
        )
