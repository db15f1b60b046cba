"""REQ: «All the fields except method are not obligatory»."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.finding_text import status_message
from conformance.engine.markers import each_endpoint, each_function, judges
from conformance.engine.not_judged import REFUSED, NotJudgedError
from conformance.generation.broken_bodies import broken_bodies, lenient_bodies
from conformance.generation.errors import CannotGenerate
from conformance.generation.order import informative_order
from conformance.generation.violations import Violation
from conformance.helpers.builtin_names import dealt, rotated
from conformance.helpers.comparison import equal, same_answer
from conformance.helpers.lenient_json import rule_of
from conformance.helpers.probing import probing_status, send_probe, valid_call
from conformance.protocol.caller import OMIT
from conformance.protocol.client import compact
from conformance.protocol.exchange import Exchange


@judges("REQ-1")
@each_endpoint()
def test_method_missing_or_no_string(ctx: TestContext, endpoint: str) -> None:
    """Send messages without a method, which must be refused."""
    endpoint = endpoint or ctx.endpoint()
    bodies: list[tuple[str, Any]] = [
        ("missing", {"data": {}}),
        ("missing from an empty object", {}),
        ("null", {"method": None, "data": {}}),
        ("a number", {"method": 5, "data": {}}),
        ("a boolean", {"method": True, "data": {}}),
        ("an array", {"method": ["find"], "data": {}}),
        ("an object", {"method": {"name": "find"}, "data": {}}),
        ("0", {"method": 0, "data": {}}),
        ("false", {"method": False, "data": {}}),
        ("an empty array", {"method": [], "data": {}}),
        ("an operator", {"method": {"$ne": None}, "data": {}}),
    ]
    # What languages turn into a published name by themselves: ["ping"] as text is ping in JavaScript.
    published = next((m.function for m in ctx.catalog if m.entity == endpoint and m.effect == "read"), None)
    if published is not None:
        bodies += [
            ("a published name in an array", {"method": [published], "data": {}}),
            ("a published name in two arrays", {"method": [[published]], "data": {}}),
            ("a published name as a key", {"method": {published: True}, "data": {}}),
            (
                "an object with a published name",
                {"method": {"toString": published, "value": published}, "data": {}},
            ),
        ]
    for what, body in bodies:
        exchange = send_probe(ctx, endpoint, compact(body))
        probing_status(
            ctx,
            "REQ-1",
            exchange,
            {400},
            endpoint=endpoint,
            kind="a method that is missing or no string is not refused",
            because=f"method is {what}",
        )
    exchange = send_probe(ctx, endpoint, b'{"method":"","data":{}}')
    probing_status(
        ctx,
        "REQ-1",
        exchange,
        {400, 404},
        endpoint=endpoint,
        kind="an empty method is not refused",
        because="method is an empty string",
    )


@judges("REQ-2")
@each_function(
    lambda method: not any(param.required for param in method.params),
    otherwise="every function has a required argument",
)
def test_data_may_be_left_out(ctx: TestContext, function: Method) -> None:
    """Send the method alone, without data: it must be like empty data."""
    user = ctx.who(function)
    hidden = function.volatile_mask

    def ask(data: Any) -> Exchange:
        return ctx.call(function, data, as_=user)

    for what, data in (("left out", OMIT), ("null", None)):
        plain, varied = ctx.witness(ask({})), ask(data)
        assert plain.status is not None
        ctx.judge(
            "REQ-2",
            varied.status == plain.status,
            kind=f"data {what} is answered otherwise than an empty object",
            expected=f"data {what}: the answer that {{}} gives ({plain.summary()})",
            actual=varied.summary(),
            exchange=varied,
            accepted={plain.status},
        )
        same = equal(hidden(varied.data), hidden(plain.data))
        if function.effect != "read" or not plain.status == varied.status == 200 or same:
            continue
        again = ask({})
        ctx.judge(
            "REQ-2",
            # Members that change between two calls with {} show nothing.
            not equal(hidden(again.data), hidden(plain.data)),
            kind=f"data {what} gives other data than an empty object",
            expected=f"data {what}: the data that {{}} gives",
            actual="other data",
            exchange=varied,
        )


@judges("REQ-3")
@each_function()
def test_paging_may_be_left_out(ctx: TestContext, function: Method) -> None:
    """Send pageStart and pageLength alone, together, and neither."""
    user = ctx.who(function)
    if function.rows is None:
        if function.effect != "read":
            plain = ctx.call(function, ctx.valid(function, user), as_=user)
            if plain.status == 200 or function.beyond_schema:
                ctx.run.observer.judged("REQ-3")
                return
        combinations: list[dict[str, Any]] = [{}]
    else:
        combinations = [{}, {"page_start": 0}, {"page_length": 10}]
    both = ctx.call(function, ctx.valid(function, user), as_=user, page_start=0, page_length=10)
    if both.status != 200:
        raise NotJudgedError(
            f"the call does not succeed with both either: {function.name} gave {both.summary()}"
        )
    for paging in combinations:
        exchange = ctx.call(function, ctx.valid(function, user), as_=user, **paging)
        given = " and ".join(
            {"page_start": "pageStart", "page_length": "pageLength"}[name] for name in paging
        )
        ctx.status(
            "REQ-3",
            exchange,
            {200},
            kind=f"refused with {given} alone" if given else "refused without pageStart and pageLength",
            because="both together are accepted",
        )


@judges("REQ-4")
@each_endpoint()
def test_body_that_is_no_json(ctx: TestContext, endpoint: str) -> None:
    """Send broken forms of a valid call, which must be refused."""
    endpoint = endpoint or ctx.endpoint()
    call, name, ask = valid_call(ctx, endpoint)
    for what, body in dealt(ctx, list(broken_bodies(call, name)), budgets.BROKEN_BODIES):
        kind = f"a body that is not JSON is not refused: {what}"
        if rule_of(body) == "REQ-4" and ctx.seeks("REQ-4", kind):
            probing_status(ctx, "REQ-4", ask(body), {400}, endpoint=endpoint, kind=kind)


@judges("REQ-12")
@each_endpoint()
def test_body_that_a_lenient_reader_accepts(ctx: TestContext, endpoint: str) -> None:
    """Send forms of a valid call that only a lenient reader takes for JSON, which must be refused."""
    endpoint = endpoint or ctx.endpoint()
    call, _, ask = valid_call(ctx, endpoint)
    for what, body in dealt(ctx, list(lenient_bodies(call)), budgets.LENIENT_BODIES):
        kind = f"a body that only a lenient reader takes for JSON is not refused: {what}"
        if rule_of(body) == "REQ-12" and ctx.seeks("REQ-12", kind):
            probing_status(ctx, "REQ-12", ask(body), {400}, endpoint=endpoint, kind=kind)


@judges("REQ-5")
@each_endpoint()
def test_json_that_is_no_object(ctx: TestContext, endpoint: str) -> None:
    """Send JSON other than an object, which must be refused."""
    endpoint = endpoint or ctx.endpoint()
    bodies = [b"[]", b'"find"', b"5", b"true", b"null", b'[{"method":"find","data":{}}]']
    # What languages read as an object, or as its members: pairs, JSON in a text, numbers and texts of no value.
    name = next(
        (m.function for m in ctx.catalog if m.entity == endpoint and m.effect == "read"), ctx.unknown_name()
    )
    call = compact({"method": name, "data": {}})
    more = [
        compact(call.decode()),
        compact([["method", name], ["data", {}]]),
        compact([name, {}]),
        b"[" + call + b"," + call + b"]",
        b"0",
        b"-0.0",
        b"1e999",
        b"false",
        b'""',
        b'"null"',
        b"[[]]",
        b"[null]",
        b'["method"]',
    ]
    for body in [*bodies, more[0], *rotated(ctx, more[1:], budgets.NO_OBJECTS)]:
        exchange = send_probe(ctx, endpoint, body)
        probing_status(
            ctx,
            "REQ-5",
            exchange,
            {400},
            endpoint=endpoint,
            kind="JSON that is no object is not refused",
            because=f"the body is {body.decode()}",
        )


@judges("REQ-6")
@each_function()
def test_data_that_is_no_object(ctx: TestContext, function: Method) -> None:
    """Send data other than an object, which must be refused."""
    user = ctx.who(function)
    # What languages take for an object, or for nothing: JSON in a text, pairs, texts of no value, arrays with objects.
    valid = ctx.data_for(function, user)
    coerced: list[Any] = [
        *(compact(valid).decode(), [valid], [[name, value] for name, value in valid.items()] or [["id", 1]]),
        *("null", "[]", "0", "[object Object]", [[]], [None], -1, 1.5, 2**53 + 1),
    ]
    usual: list[Any] = [[], [1], "text", "", 5, 0, True, False]
    for data in [
        *rotated(ctx, coerced, budgets.COERCED_OBJECTS),
        *ctx.some(usual, budgets.OTHER_THAN_OBJECTS),
    ]:
        exchange = ctx.call(function, data, as_=user)
        shape = (
            type(data)
            .__name__.replace("str", "a string")
            .replace("int", "a number")
            .replace("float", "a number")
            .replace("bool", "a boolean")
            .replace("list", "an array")
        )
        ctx.status(
            "REQ-6",
            exchange,
            {400},
            kind=f"data that is {shape} is not refused",
            because=f"data is {json.dumps(data)}",
        )


@judges("REQ-7", "REQ-8", "REQ-9", "COD-5")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments")
def test_data_that_the_schema_forbids(ctx: TestContext, function: Method) -> None:
    """Send one violation at a time, just outside every keyword of every argument."""
    user = ctx.who(function)
    valid = ctx.resources.breakable(function, user)
    # A target that accepts what it must refuse may change the user's name or password, so those are not sent.
    every = [
        violation
        for violation in ctx.resources.violations(function)
        if function.effect == "read" or not _locks_out(ctx, function, violation)
    ]
    for rule in ("REQ-7", "REQ-8", "REQ-9"):
        if not any(violation.rule == rule for violation in every):
            ctx.skip(rule, "no function's arguments can be spoiled in this way", function=function.name)
    if not every:
        ctx.skip("COD-5", "no function's arguments can be spoiled", function=function.name)
    required = [violation for violation in every if violation.rule == "REQ-7"]
    rest = [violation for violation in every if violation.rule != "REQ-7"]
    chosen = ctx.some(required, budgets.MISSING_PARAMETERS) + ctx.some(
        _spread(ctx, rest, ctx.amount(budgets.VIOLATIONS_OF_A_PARAMETER)), budgets.VIOLATIONS
    )
    prepared = [
        (violation, sent) for violation in chosen if (sent := _invalid_data(violation, valid)) is not None
    ]
    calls = [functools.partial(ctx.call, function, sent, as_=user) for _, sent in prepared]
    for (violation, _), exchange in zip(prepared, ctx.together(calls), strict=True):
        ctx.status(violation.rule, exchange, {400}, kind=violation.kind, what=violation.kind)
        ctx.judge(
            "COD-5",
            exchange.status is not None and exchange.status != 200 and exchange.status < 500,
            kind="invalid data is answered as if it were valid, or as an internal error",
            expected="neither 200 nor 5xx",
            actual=f"{exchange.summary()}, where {violation.kind}",
            exchange=exchange,
            accepted=REFUSED,
            message=_taken(exchange),
        )


def _taken(exchange: Exchange) -> str:
    """Return the message of COD-5 about an answer to invalid data."""
    if exchange.succeeded:
        return "invalid data is answered as if it were valid (status 200)"
    return status_message("invalid data is not refused", exchange, {400})


def _invalid_data(violation: Violation, valid: dict[str, Any]) -> dict[str, Any] | None:
    """Return invalid data, or None where the data has no such place."""
    try:
        return violation.apply(valid)
    except CannotGenerate:
        return None


def _locks_out(ctx: TestContext, function: Method, violation: Violation) -> bool:
    """Return whether data with a violation may change the user's name or password."""
    # A violation of the data as a whole has no parameter, and may concern any of them.
    names = [violation.parameter] if violation.parameter else [param.name for param in function.params]
    return any(ctx.resources.locks_out(function, name) for name in names)


def _spread(ctx: TestContext, every: list[Violation], each: int) -> list[Violation]:
    """Return a limited number of violations of each rule and parameter, those that show most first."""
    by: dict[tuple[str, str], list[Violation]] = {}
    for violation in every:
        by.setdefault((violation.rule, violation.parameter), []).append(violation)
    return [group[index] for group in by.values() for index in informative_order(group, ctx.rng)[:each]]


@judges("REQ-10")
@each_function()
def test_unknown_top_level_members(ctx: TestContext, function: Method) -> None:
    """A newer client may send members that an older service does not know."""
    same_answer(
        ctx,
        "REQ-10",
        function,
        kind="unknown top-level members change the answer",
        what="with unknown top-level members",
        extra={"clientVersion": "7.1", "traceInfo": {"id": [1, None]}, "jsonrpc": "2.0", "id": 1},
    )


@judges("REQ-11")
@each_function()
def test_spelling_of_the_json(ctx: TestContext, function: Method) -> None:
    """Send the same JSON in different spellings: the responses must be the same."""
    spellings = (
        ("members in another order", _reordered),
        ("white space", _spaced),
        ("\\u escapes", _escaped),
    )
    for what, spell in ctx.some(spellings, budgets.JSON_SPELLINGS):
        user = ctx.who(function)
        plain = ctx.call(function, ctx.valid(function, user), as_=user)
        if plain.status != 200:
            raise NotJudgedError(f"the plain call does not succeed: {function.name} gave {plain.summary()}")
        data = ctx.valid(function, user)
        body = spell({"method": function.name.partition(".")[2], "data": data, "pageStart": 0})
        exchange = ctx.call(function, as_=user, body=body)
        if exchange.status != 200 and function.effect != "read":
            control = ctx.call(function, data, as_=user)
            if control.status != 200:
                raise NotJudgedError(f"the plain call does not succeed every time: {control.summary()}")
        ctx.status(
            "REQ-11",
            exchange,
            {200},
            kind=f"{what} change the answer",
            because="the same call, plainly written, is",
        )


def _reordered(call: dict[str, Any]) -> bytes:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(item) for name, item in reversed(value.items())}
        return [turned(item) for item in value] if isinstance(value, list) else value

    return compact(turned(call))


def _spaced(call: dict[str, Any]) -> bytes:
    return b"\r\n\t " + json.dumps(call, indent="\t", separators=(" ,\r\n", " :  ")).encode() + b" \n"


def _escaped(call: dict[str, Any]) -> bytes:
    text = compact(call).decode()

    def escape(match: re.Match[str]) -> str:
        plain: str = json.loads(match.group())
        units = plain.encode("utf-16-be", "surrogatepass").hex()
        return '"' + "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)) + '"'

    return re.sub(r'"(?:[^"\\]|\\.)*"', escape, text).encode()
