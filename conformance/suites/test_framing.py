"""SEC: where a request ends."""

from __future__ import annotations

import time

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import When, each_endpoint, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.helpers.builtin_names import dealt, rotated
from conformance.helpers.framing import Ambiguous, Framing, statuses
from conformance.helpers.probing import prober
from conformance.protocol.ownership import UnownedTargetError
from conformance.rulebook.findings import Key

#: Seconds to wait for a second response where the statuses do not distinguish the responses.
SILENCE_SECONDS = 0.6

#: The key of the exchanges that were followed by bytes nobody asked for.
SURPLUS: Key = ("SEC-6", None, "surplus")


def _framing(ctx: TestContext, endpoint: str) -> Framing:
    try:
        user = prober(ctx, endpoint) if endpoint else None
    except NotJudgedError:
        user = None
    token = ctx.sessions.of(user).token if user is not None else None
    return Framing(ctx.client, endpoint or ctx.guess() or ctx.unknown_name(), ctx.unknown_name(), token)


@judges("SEC-6")
def test_where_a_request_ends(ctx: TestContext) -> None:
    """Send every ambiguous request, in turn on a new connection and on one that was used before."""
    endpoints = sorted({method.entity for method in ctx.catalog.methods.values()}) or [""]
    endpoint = ctx.rng.choice(endpoints)
    framing = _framing(ctx, endpoint)
    turn = ctx.rng.getrandbits(1)
    for number, ambiguous in enumerate(framing.every()):
        for reused in (True, False) if ctx.deep else ((number + turn) % 2 == 0,):
            _judge_if_allowed(ctx, framing, endpoint, ambiguous, reused)


@judges("SEC-6")
@each_endpoint()
def test_where_a_request_to_an_endpoint_ends(ctx: TestContext, endpoint: str) -> None:
    """Send requests whose end is ambiguous: each must be refused, or answered once, never as two requests."""
    framing = _framing(ctx, endpoint)
    for ambiguous in rotated(ctx, list(framing.every()), budgets.AMBIGUOUS_REQUESTS):
        _judge_if_allowed(ctx, framing, endpoint, ambiguous, bool(ctx.rng.getrandbits(1)))


@judges("SEC-6")
@each_endpoint()
def test_one_answer_to_each_request(ctx: TestContext, endpoint: str) -> None:
    """Send an ordinary request, and one that closes the connection behind it: there must not be a third answer."""
    framing = _framing(ctx, endpoint)
    label = ctx.caller.label(f"{endpoint}.")
    for request in dealt(ctx, list(framing.usual()), budgets.USUAL_REQUESTS):
        exchange, received = ctx.client.send_bytes(request.data + framing.last, function=label)
        count = len(statuses(received))
        ctx.judge(
            "SEC-6",
            count <= 2,
            kind="a request gets more than one answer",
            expected=f"{request.what}: one answer, and one to the request behind it",
            actual=f"{count} answers to the two requests",
            exchange=exchange,
        )


@judges("SEC-6", when=When.LAST)
def test_nothing_follows_an_answer(ctx: TestContext) -> None:
    """Report bytes that followed an answer on a connection of the run, which no request asked for."""
    if ctx.only is not None:
        for exchange in ctx.run.remembered.get((ctx.name, SURPLUS), []):
            ctx.client.resend(exchange, None)
            time.sleep(SILENCE_SECONDS)
            ctx.client.resend(exchange, None)
    found = ctx.client.take_surplus()
    for exchange, surplus in found:
        ctx.run.remembered.setdefault((ctx.name, SURPLUS), []).append(exchange)
        ctx.judge(
            "SEC-6",
            False,
            kind="bytes that nobody asked for follow an answer",
            expected="one answer to a request, and nothing behind it",
            actual=f"behind the answer: {surplus[:80]!r}",
            exchange=exchange,
        )
    if not found:
        ctx.run.observer.judged("SEC-6")


def _judge_if_allowed(
    ctx: TestContext, framing: Framing, endpoint: str, ambiguous: Ambiguous, reused: bool
) -> None:
    """Check an ambiguous request, unless its bytes could be taken for a call that must not be made."""
    try:
        _judge_end(ctx, framing, endpoint, ambiguous, reused)
    except UnownedTargetError as error:
        ctx.skip("SEC-6", f"{ambiguous.what}: not sent ({error})")


def _judge_end(ctx: TestContext, framing: Framing, endpoint: str, ambiguous: Ambiguous, reused: bool) -> None:
    """Check that an ambiguous request with a hidden one is answered at most once.

    Behind them goes an honest request that asks for the connection to be closed, so that nothing has to be waited for.
    Its status is another than that of the hidden one: an unknown function, and no function. Where it is not, the same
    is sent without it, and a second answer is waited for.
    """
    label = ctx.caller.label(f"{endpoint}.")
    first = framing.plain() if reused else b""
    exchange, received = ctx.client.send_bytes(ambiguous.data + framing.last, function=label, first=first)
    answers = statuses(received)
    count = len(answers) - 1
    if len(answers) == 2:
        hidden, last = (_alone(ctx, framing, data, label) for data in (framing.hidden, framing.last))
        if hidden != last:
            count = 2 if answers[1] == hidden else 1
        else:
            exchange, received = ctx.client.send_bytes(
                ambiguous.data, function=label, first=first, linger=SILENCE_SECONDS
            )
            count = len(statuses(received))
    ctx.judge(
        "SEC-6",
        count <= 1,
        kind="a request with two ends is answered as two requests",
        expected=f"{ambiguous.what}: refused, or answered once",
        actual=f"{count} answers to it" + (" on a connection that was used before" if reused else ""),
        exchange=exchange,
    )


def _alone(ctx: TestContext, framing: Framing, data: bytes, label: str | None) -> int:
    """Return the status of an unambiguous request that is sent alone."""
    known = framing.alone.get(data)
    if known is None:
        closing = (
            data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1) if data == framing.hidden else data
        )
        _, received = ctx.client.send_bytes(closing, function=label)
        known = framing.alone[data] = next(iter(statuses(received)), 0)
    return known
