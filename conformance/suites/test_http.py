"""HTTP: «always called via an HTTP POST request to an entity-named endpoint … encoded as a JSON string»."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import urlencode

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.helpers.builtin_names import in_turn, rotated
from conformance.helpers.comparison import Trace, same_answer
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.suites.test_codes import identifiers

VERBS = ("GET", "PUT", "PATCH", "DELETE", "HEAD")


@judges("HTTP-1")
@each_function(harmless=False)
def test_published_functions_exist(ctx: TestContext, function: Method) -> None:
    """Call each function: one that answers 404 to every call, with the message for unknown ones, does not exist."""
    if function.effect != "read":
        ctx.need_writing()
    user = ctx.somebody(function)
    unknown_name = ctx.unknown_name()
    unknown = ctx.call(f"{function.entity}.{unknown_name}", {}, as_=user)
    probes = []
    bare: dict[str, Any] = {}
    if not ctx.safe(function, bare) and ctx.resources.harmless(function):
        # Without an identifier a lax target may act on any object, so one of our own is sent.
        names = [name for name, _ in identifiers(function)]
        bare = {name: value for name, value in ctx.data_for(function, user).items() if name in names}
    if function.effect == "read" or function.auth not in ("none", None):
        probes.append(ctx.call(function, bare))
    if user is not None and any(param.required and param.name not in bare for param in function.params):
        probes.append(ctx.call(function, bare, as_=user))
    if ctx.resources.harmless(function) and (user is not None or function.auth == "none"):
        probes.append(ctx.call(function, ctx.data_for(function, user), as_=user))
    probes = [probe for probe in probes if not probe.withheld]
    if not probes:
        ctx.give_up(f"{function.name} cannot be called without harm")
    last = probes[-1]
    # An existing function does not answer 404 to calls without a session or without required data.
    telling = function.auth not in ("none", None) or any(param.required for param in function.params)
    absent = all(probe.status == 404 for probe in probes) and (
        telling or _alike(last.message, unknown.message, function.function, unknown_name)
    )
    ctx.judge(
        "HTTP-1",
        not absent,
        kind="a published function does not exist",
        expected="any answer but 404 «Function doesn't exist»",
        actual=last.summary(),
        exchange=last,
    )


def _alike(first: Any, second: Any, one: str, other: str) -> bool:
    """Return whether two messages are equal except for the names of their functions."""
    if isinstance(first, str) and isinstance(second, str):
        return first.replace(one, "?") == second.replace(other, "?")
    return bool(first == second)


@judges("HTTP-2", "HTTP-3")
@each_function()
def test_other_verbs_run_nothing(ctx: TestContext, function: Method) -> None:
    """Send the call with every other verb, in the body and in the query string."""
    if function.effect != "read":
        ctx.need_writing()
    user = ctx.who(function)
    data = ctx.valid(function, user)
    trace = Trace(ctx, function, user, data)
    verbs = ctx.some(VERBS, budgets.VERBS)
    last: Exchange | None = None
    for verb in verbs:
        for path, sent in _places(ctx, function, data):
            exchange = ctx.call(function, as_=user, verb=verb, target=path, body=sent, in_session=False)
            last = exchange
            status = exchange.status
            answered = status is not None and 400 <= status < 500
            success = exchange.envelope is not None and exchange.envelope.get("isError") is False
            ctx.judge(
                "HTTP-2",
                answered and not success,
                kind="another verb is not refused",
                expected=f"{verb}: a status from 400 to 499, and no success envelope",
                exchange=exchange,
                accepted=None if answered else range(400, 500),
            )
            if not answered:
                continue
            ctx.judge(
                "HTTP-3",
                status in (400, 401, 403, 404, 405),
                kind="the refusal of another verb has an odd status",
                expected=f"{verb}: status 400, 401, 403, 404 or 405",
                exchange=exchange,
                accepted={400, 401, 403, 404, 405},
            )
            if verb != "HEAD":
                envelope = exchange.envelope
                ctx.judge(
                    "HTTP-3",
                    envelope is not None
                    and envelope.get("isError") is True
                    and {"isError", "errMsg", "data"} <= envelope.keys(),
                    kind="the refusal of another verb has no error envelope",
                    expected=f"{verb}: the error envelope, as for a POST",
                    actual=as_json(exchange.response.body[:120]) if exchange.response else "",
                    exchange=exchange,
                )
    if trace.watches and last is not None:
        _judge_trace(ctx, function, user, trace, verbs, last)


def _places(ctx: TestContext, function: Method, data: dict[str, Any]) -> list[tuple[str, bytes]]:
    """Return the requests of a call with another verb: (target, body), in the query string, the body, or both."""
    name = function.name.partition(".")[2]
    body = ctx.caller.body(function.name, data)
    flat = {key: value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}
    query = urlencode(
        {"method": name, "data": json.dumps(data, separators=(",", ":")), **flat}, errors="replace"
    )
    if len(query) > 6000:
        query = urlencode({"method": name})
    target = f"{function.entity}?{query}"
    return [(target, body)] if ctx.quick else [(function.entity, body), (target, b"")]


def _judge_trace(
    ctx: TestContext, function: Method, user: str | None, trace: Trace, verbs: list[str], last: Exchange
) -> None:
    """Check that calls with other verbs had no effect; where they had, find the one that has it again."""
    kind = "a write asked for with another verb left a trace"
    moved = trace.moved()
    if moved is None:
        ctx.run.observer.judged("HTTP-2")
        return
    culprit, witness, seen = last, *moved
    # Each call has its own data: a second write of the same data would not show.
    for verb, number in itertools.product(verbs, range(len(_places(ctx, function, {})))):
        try:
            data = ctx.valid(function, user)
            again = Trace(ctx, function, user, data)
            path, sent = _places(ctx, function, data)[number]
            exchange = ctx.call(function, as_=user, verb=verb, target=path, body=sent, in_session=False)
            moved = again.moved()
        except SetUpFailedError:
            continue
        if moved is not None:
            culprit, witness, seen = exchange, *moved
            break
    ctx.judge(
        "HTTP-2",
        False,
        kind=kind,
        expected=f"{culprit.request.verb}: nothing is written",
        actual=seen,
        exchange=culprit,
        witness=witness,
    )


@judges("HTTP-6")
@each_function()
def test_any_content_type_is_read_as_json(ctx: TestContext, function: Method) -> None:
    """Vary the Content-Type: none, JSON, or the form type that HTTP libraries add."""
    if not in_turn(ctx, "HTTP-6", 0, 2):
        return
    types = [None, "application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8"]
    for content_type in ctx.some(types, budgets.CONTENT_TYPES):
        same_answer(
            ctx,
            "HTTP-6",
            function,
            kind="the request's Content-Type changes the answer",
            what=f"Content-Type {content_type}" if content_type else "no Content-Type",
            content_type=content_type,
        )


@judges("HTTP-7")
@each_function()
def test_chunked_body(ctx: TestContext, function: Method) -> None:
    """Send the body in chunks, as clients that stream do."""
    if not in_turn(ctx, "HTTP-7", 0, 3):
        return
    same_answer(
        ctx,
        "HTTP-7",
        function,
        kind="a chunked body is not read",
        what="Transfer-Encoding: chunked",
        chunked=True,
    )


@judges("HTTP-8")
@each_function(lambda method: method.auth not in ("none", None), otherwise="no function needs a session")
def test_header_names_in_any_case(ctx: TestContext, function: Method) -> None:
    """Send header names in lower case, as HTTP/2 gateways do."""
    for name in rotated(ctx, ["token", "TOKEN", "tOkEn"], budgets.HEADER_SPELLINGS):
        same_answer(
            ctx,
            "HTTP-8",
            function,
            kind="the name of the Token header is case-sensitive",
            what=f"the header spelt {name}",
            token_header=name,
        )
