"""HTTP: verbs that a header or a field overrides, and verbs that the protocol does not know; none runs a function."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.helpers.builtin_names import in_turn, rotated
from conformance.helpers.comparison import Trace, equal, same_answer
from conformance.protocol.exchange import Exchange

#: The headers by which frameworks let a request name another verb than its own.
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")

#: Verbs that run no function, and whose status is free.
OTHER_VERBS = ("OPTIONS", "TRACE", "post", "COURSIO")

#: Statuses of 5xx that say that a verb, or a version of HTTP, is not supported.
NOT_SUPPORTED = (501, 505)


@judges("HTTP-2")
@each_function()
def test_verbs_that_are_overridden(ctx: TestContext, function: Method) -> None:
    """Send GET and HEAD with headers and a field that say POST, and a call in the body and in the query string."""
    if not in_turn(ctx, "verbs", 0, 3):
        return
    if function.effect != "read":
        ctx.need_writing()
    user = ctx.who(function)
    for verb in rotated(ctx, ["GET", "HEAD"], budgets.OVERRIDDEN_VERBS):
        data = ctx.valid(function, user)
        trace = Trace(ctx, function, user, data)
        body = ctx.caller.body(function.name, data)
        query = urlencode({"_method": "POST", "method": function.function})
        exchange = ctx.call(
            function,
            as_=user,
            verb=verb,
            target=f"{function.entity}?{query}",
            body=body,
            headers=[(name, "POST") for name in OVERRIDES],
            in_session=False,
        )
        status = exchange.status
        answered = status is not None and 400 <= status < 500
        ctx.judge(
            "HTTP-2",
            answered and not _succeeded(exchange),
            kind="a verb that a header or field overrides is not refused",
            expected=f"{verb} that says POST: a status from 400 to 499, and no success envelope",
            exchange=exchange,
            accepted=None if answered else range(400, 500),
        )
        _judge_trace(ctx, trace, exchange, f"{verb} that says POST")


@judges("COD-2")
@each_function()
def test_posts_that_say_another_verb(ctx: TestContext, function: Method) -> None:
    """Send a call with a header that says PUT, DELETE or GET: it is a POST, and works as one."""
    if not in_turn(ctx, "verbs", 1, 3):
        return
    chosen = [(name, verb) for name in OVERRIDES for verb in ("PUT", "DELETE", "GET")]
    for name, verb in rotated(ctx, chosen, budgets.OVERRIDES, of=3):
        same_answer(
            ctx,
            "COD-2",
            function,
            kind=f"a header that names another verb changes the answer: {name}",
            what=f"{name}: {verb}",
            headers=[(name, verb)],
        )


@judges("HTTP-2")
@each_function()
def test_verbs_that_are_unknown(ctx: TestContext, function: Method) -> None:
    """Send a call with OPTIONS, TRACE, post and an invented verb: no function runs, whatever the status is."""
    if not in_turn(ctx, "verbs", 2, 3):
        return
    if function.effect != "read":
        ctx.need_writing()
    user = ctx.who(function)
    plain = ctx.call(function, ctx.valid(function, user), as_=user) if function.effect == "read" else None
    for verb in rotated(ctx, list(OTHER_VERBS), budgets.OTHER_VERBS, of=3):
        data = ctx.valid(function, user)
        trace = Trace(ctx, function, user, data)
        exchange = ctx.call(function, data, as_=user, verb=verb, in_session=False)
        status = exchange.status
        ctx.judge(
            "HTTP-2",
            (status is None or status < 500 or status in NOT_SUPPORTED)
            and not _ran(exchange, plain, function),
            kind=f"another verb runs a function, or is answered 5xx: {verb}",
            expected=f"{verb}: nothing runs, and no status of 5xx but 501",
            exchange=exchange,
        )
        _judge_trace(ctx, trace, exchange, verb)


def _succeeded(exchange: Exchange) -> bool:
    return exchange.envelope is not None and exchange.envelope.get("isError") is False


def _ran(exchange: Exchange, plain: Exchange | None, function: Method) -> bool:
    """Return whether an answer shows that a function ran: a success with data, for a read that of the plain call."""
    if not _succeeded(exchange) or not exchange.data:
        return False
    hidden = function.volatile_mask
    return plain is None or equal(hidden(exchange.data), hidden(plain.data))


def _judge_trace(ctx: TestContext, trace: Trace, exchange: Exchange, what: str) -> None:
    """Check that a call with another verb had no effect."""
    moved: tuple[Any, str] | None = trace.moved() if trace.watches else None
    if moved is None:
        return
    witness, seen = moved
    ctx.judge(
        "HTTP-2",
        False,
        kind="a write asked for with another verb left a trace",
        expected=f"{what}: nothing is written",
        actual=seen,
        exchange=exchange,
        witness=witness,
    )
