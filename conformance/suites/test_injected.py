"""DAT-8 and DAT-9: injections through arguments, and large data."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import statistics
import string
import time
from collections import Counter
from collections.abc import Collection
from typing import Any

from conformance.catalog.model import Method, Param
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import ANSWERED, NotJudgedError
from conformance.engine.payload_budget import Share
from conformance.generation import payloads
from conformance.generation.any_json import TYPE_TAGS
from conformance.generation.data_walker import located_values, replaced
from conformance.generation.payloads import CannotGenerate, Injection, Insertion
from conformance.helpers.builtin_names import rotated
from conformance.helpers.fuzz_target import FuzzTarget, breadth
from conformance.helpers.list_views import fill
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.suites.test_data import documented
from conformance.suites.test_refused import fresh

#: Families of injections by which a search finds more than it should.
_WIDENING = ("SQL", "glob", "regular expression", "NoSQL", "ORM")

#: Signs of many languages in one text, so that one search shows at each place whether any of them fails.
_SIGNS = Injection("signs of many languages", "a'\"\\%_*($[{`;|&<?^")

#: The places of injections in the order of their declaration.
_DECLARED = {item.name: number for number, item in enumerate((*payloads.INJECTIONS, *payloads.OPERATORS))}


# -- injections ----------------------------------------------------------------------------------------------


@judges("DAT-8", share=Share(requests=0.054, seconds=0.06))
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_injections(ctx: TestContext, function: Method) -> None:
    """Send injections in every argument: they must cause no internal error, no additional rows and no login."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(_openness) as budget_slice, fuzz_target:
        if function.object is not None and function.object.does == "list" and fuzz_target.user is not None:
            with contextlib.suppress(SetUpFailedError, CannotGenerate):
                fill(
                    ctx, function, fuzz_target.user, ctx.valid(function, fuzz_target.user, optional="none"), 3
                )
        word = Injection("nothing", "".join(ctx.rng.choices(string.ascii_lowercase, k=14)))
        baseline: dict[str, int] = {}
        for insertion in payloads.insertions(function, [word]):
            if not budget_slice.more() or fuzz_target.hands_off(insertion.parameter) or not insertion.allowed:
                continue
            shown = _inject(ctx, fuzz_target, insertion)
            if shown is not None and shown.status == 200:
                baseline[insertion.pointer] = len(ctx.resources.rows(function, shown))
        items = (_SIGNS, *payloads.INJECTIONS, *payloads.OPERATORS)
        insertions = [
            insertion
            for insertion in payloads.insertions(function, items, forbidden=True)
            if not fuzz_target.hands_off(insertion.parameter)
        ]
        ctx.rng.shuffle(insertions)
        insertions, first = _in_order(insertions, baseline)
        if ctx.only is None and not fuzz_target.login and function.rows is None:
            # Where nothing is searched, only errors can be seen, so a few in each place suffice.
            insertions = ctx.first(insertions, budgets.INJECTIONS_WITHOUT_SEARCH)
        elif ctx.only is None:
            budget_slice.at_least(len(baseline) + 6 + first)
        for insertion in insertions:
            if not budget_slice.more() or not fuzz_target.may_go_on:
                return
            if ctx.seeks("DAT-8", _injected(insertion)):
                judge_injection(
                    ctx,
                    fuzz_target,
                    insertion,
                    baseline.get(insertion.pointer, None if insertion.allowed else 0),
                )


def _sort_of(item: Injection) -> str:
    """Return the category of an injection; those of one category exploit the same defect."""
    family, _, detail = item.name.partition(", ")
    return next((f"{family}, {word}" for word in ("wildcard", "open", "true") if word in detail), family)


def _in_order(insertions: list[Insertion], baseline: Collection[str]) -> tuple[list[Insertion], int]:
    """Return the insertion points in order, and how many of them every budget should reach.

    At each place the signs of many languages come first, and then one of each category. Those that the schema allows,
    operators in place of texts, and those that may find too much come before the others.
    """
    seen: Counter[tuple[str, str]] = Counter()
    ranks: dict[int, int] = {}
    # Of a category, the one that most targets would fall for is declared first.
    for insertion in sorted(insertions, key=lambda each: _DECLARED.get(each.item.name, 0)):
        assert isinstance(insertion.item, Injection)
        group = (insertion.pointer, _sort_of(insertion.item))
        ranks[id(insertion)] = -1 if insertion.item is _SIGNS else seen[group]
        seen[group] += 1
    ranked: list[tuple[tuple[bool, int, bool], Insertion]] = []
    for insertion in insertions:
        passes = insertion.allowed or insertion.pointer in baseline
        widens = insertion.item.name.startswith(_WIDENING)
        ranked.append(((not passes, ranks[id(insertion)], not widens), insertion))
    ranked.sort(key=lambda pair: pair[0])
    return [insertion for _, insertion in ranked], sum(
        rank == (False, 0, False) or rank[:2] == (False, -1) for rank, _ in ranked
    )


def _openness(function: Method) -> float:
    """Return the weight of an injection: it shows where rows are searched, and rarely elsewhere."""
    strings = sum(json.dumps(param.schema, default=str).count('"string"') for param in function.params)
    return 1.0 + strings * (12 if function.rows is not None or function.auth == "none" else 1)


def _injected(insertion: Insertion) -> str:
    return f"an injection in {insertion.label} is not taken as data"


def _inject(ctx: TestContext, fuzz_target: FuzzTarget, insertion: Insertion) -> Exchange | None:
    try:
        data = fuzz_target.fit(insertion.build(fuzz_target.identify), insertion.parameter)
    except (CannotGenerate, SetUpFailedError):
        return None
    exchange = fuzz_target.send(data)
    fuzz_target.clear(exchange, data)
    return exchange


def trouble_of(exchange: Exchange) -> str:
    """Return how an injection broke the target, as its answer shows; empty where it did not."""
    if exchange.status is None or exchange.status >= 500:
        return exchange.summary()
    if exchange.response is not None and any(
        name.lower() == "x-injected" for name, _ in exchange.response.headers
    ):
        return "a header of the text's own in the response"
    return ""


def judge_injection(
    ctx: TestContext, fuzz_target: FuzzTarget, insertion: Insertion, nothing: int | None
) -> bool:
    """Send one injection and judge DAT-8 by its answer; return whether it holds.

    `nothing` is the number of rows of a search for a word that matches nothing.
    """
    exchange = _inject(ctx, fuzz_target, insertion)
    if exchange is None:
        return True
    fuzz_target.count("injection", exchange, valid=None)
    item = insertion.item
    assert isinstance(item, Injection)
    trouble = trouble_of(exchange)
    if not trouble and fuzz_target.login and exchange.status == 200:
        trouble = "it signs in"
    elif (
        not trouble
        and exchange.status == 200
        and fuzz_target.function.rows is not None
        and nothing is not None
    ):
        rows = [
            row for row in ctx.resources.rows(fuzz_target.function, exchange) if not _holds(row, item.value)
        ]
        if len(rows) > nothing:
            instead = (
                f"a word that matches nothing gives {nothing}"
                if insertion.allowed
                else "it is no valid value"
            )
            trouble = f"{len(rows)} rows, where {instead}"
    return ctx.judge(
        "DAT-8",
        not trouble,
        kind=_injected(insertion),
        expected=f"{insertion.item.name}: taken as the text that it is, or refused",
        actual=trouble,
        exchange=exchange,
    )


def _holds(row: Any, value: Any) -> bool:
    """Return whether a row contains the text, so that it rightly matches."""
    if not isinstance(value, str):
        return False
    stack = [row]
    wanted = value.casefold()
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, str) and wanted in item.casefold():
            return True
    return False


# -- type tags and delays ------------------------------------------------------------------------------------

#: Names of classes that readers of type tags may try to load.
_CLASSES = ("java.lang.Object", "System.Object", "builtins.object", "java.net.URL", "stdClass", "#/nowhere")


@judges("DAT-3")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments")
def test_type_tags(ctx: TestContext, function: Method) -> None:
    """Send members that name a class, in data and in each object inside it: a documented code must answer."""
    fuzz_target = FuzzTarget(ctx, function)
    if fuzz_target.login:
        ctx.give_up("a login gets no other members than its own here")
    with fuzz_target:
        plain = fuzz_target.fit(ctx.valid(function, fuzz_target.user))
        places: list[tuple[str | int, ...]] = [()]
        places += [each.path for each in located_values(function, plain) if isinstance(each.value, dict)]
        for number, path in enumerate(places):
            tags = {name: ctx.rng.choice(_CLASSES) for name in TYPE_TAGS}
            holder = plain
            for key in path:
                holder = holder[key]
            data = {**tags, **plain} if number == 0 else replaced(plain, path, {**tags, **holder})
            if not ctx.safe(function, data):
                continue
            exchange = fuzz_target.send(data)
            fuzz_target.clear(exchange, data)
            documented(ctx, "DAT-3", exchange, "data with the name of a class")


#: Texts that delay a query by a number of seconds where they are taken as code.
_DELAYS = (
    "' OR SLEEP({}) -- ",
    "'||(SELECT pg_sleep({}))||'",
    "'; WAITFOR DELAY '0:0:{}' -- ",
    "$(sleep {})",
    "{{{{sleep({})}}}}",
)

#: Places of one function that get these texts, and seconds from which on an answer is looked at more closely.
_DELAYED_PLACES, _SUSPICIOUS = 6, 1.5


@judges("DAT-8")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", silent=True)
def test_delays_in_texts(ctx: TestContext, function: Method) -> None:
    """Send texts that delay an interpreter by 0, 2 and 4 seconds, twice: the time must not follow the number."""
    if not ctx.deep:
        return
    fuzz_target = FuzzTarget(ctx, function)
    with fuzz_target:
        word = [Injection("a word", "a")]
        places = [
            insertion
            for insertion in payloads.insertions(function, word, forbidden=True)
            if not fuzz_target.hands_off(insertion.parameter) and not insertion.ref
        ]
        for insertion in places[:_DELAYED_PLACES]:
            for text in _DELAYS:
                _judge_delay(ctx, fuzz_target, insertion, text)


def _judge_delay(ctx: TestContext, fuzz_target: FuzzTarget, place: Insertion, text: str) -> None:
    def took(seconds: int) -> tuple[float, Exchange | None]:
        item = Injection("a delay", text.format(seconds))
        found = payloads.insertions(fuzz_target.function, [item], forbidden=True)
        insertion = next((each for each in found if each.pointer == place.pointer), None)
        exchange = _inject(ctx, fuzz_target, insertion) if insertion is not None else None
        return (exchange.seconds if exchange is not None else 0.0), exchange

    slow, exchange = took(2)
    follows = slow >= _SUSPICIOUS
    if follows:
        rounds = [[took(seconds)[0] for seconds in (0, 2, 4)] for _ in range(2)]
        follows = all(two - none >= 1.5 and four - two >= 1.5 for none, two, four in rounds)
    ctx.judge(
        "DAT-8",
        not follows,
        kind=f"the time follows a number in {place.label}",
        expected="an answer whose time does not depend on the text",
        actual="2 s and 4 s longer, twice, where the text says so",
        exchange=exchange,
    )


# -- deep, wide, large ---------------------------------------------------------------------------------------

#: Ratio of the time of a large call to that of a small one that is allowed.
_SLOWER = 100.0
#: Seconds of a small call below which its time is mostly that of the network.
_LEAST = 0.003
#: Rounds in which a slow call must be slow, rounds that are tried, and seconds between them.
_ROUNDS, _NOISE, _PAUSE = (3, 10), 2.5, 0.2
_LEVELS = 10_000
_MEMBERS = 10_000
_LETTERS = 1_000_000
_EXPENSIVE = 50_000


#: The texts of `large_data` that are not large.
_EXPENSIVE_TEXTS = ("50 kB of blanks", "50 kB that is almost an address", "50 kB of brackets")


@judges("DAT-9", share=Share(requests=0.027, seconds=0.13))
@each_function(doubtful_first=True)
def test_deep_wide_and_large_data(ctx: TestContext, function: Method) -> None:
    """Send 10,000 levels, 10,000 members and a megabyte, in each argument and in an undeclared one."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(breadth) as budget_slice, fuzz_target:
        plain = fresh(ctx, fuzz_target) if not fuzz_target.login else {p.name: "x" for p in function.params}
        if plain is None:
            raise NotJudgedError("no data can be made")
        body = fuzz_target.body(plain)
        small: list[float] = []
        for _ in range(3):
            exchange = fuzz_target.send(body=body)
            fuzz_target.clear(exchange, plain)
            small.append(exchange.seconds)
        places = [param.name for param in function.params if not fuzz_target.hands_off(param.name)]
        ctx.rng.shuffle(places)
        left_out = ctx.amount(budgets.PART_OF_LARGE_DATA_LEFT_OUT)
        # Texts that only some readers are slow with go first, each to few places.
        texts = [name for name in places if _is_free_text(function.param(name))]
        chosen = [(what, name) for what in _EXPENSIVE_TEXTS for name in texts]
        chosen = rotated(ctx, chosen, budgets.EXPENSIVE_TEXTS)
        budget_slice.at_least(12 + 8 * len(chosen))
        for what, name in chosen:
            if ctx.seeks("DAT-9", f"{what} is not answered in time"):
                _judge_large(ctx, fuzz_target, plain, name, what, small)
        for number, name in enumerate(["", "undeclaredMember", *places]):
            for what in large_data(part=1000):
                if what in _EXPENSIVE_TEXTS and number != 1:
                    continue
                if number > 1 and left_out and ctx.rng.random() < left_out:
                    continue
                if not name and not what.endswith("members"):
                    continue
                if not budget_slice.more():
                    return
                kind = f"{what} is not answered in time"
                if ctx.seeks("DAT-9", kind) or ctx.seeks("DAT-9", f"{what} gets no documented answer"):
                    _judge_large(ctx, fuzz_target, plain, name, what, small)


def _is_free_text(param: Param | None) -> bool:
    """Return whether an argument is a text that is not one of a few."""
    schema = param.schema if param is not None else {}
    return schema.get("type") in ("string", ["string", "null"]) and "enum" not in schema


@functools.cache
def large_data(part: int = 1) -> dict[str, str]:
    """Return large data as JSON, by name; with `part`, of a size divided by it."""
    levels, members, letters = _LEVELS // part, _MEMBERS // part, (_LETTERS - 2_000) // part
    return {
        "10,000 levels of arrays": "[" * levels + "]" * levels,
        "10,000 levels of objects": '{"a":' * levels + "1" + "}" * levels,
        "a megabyte of text": '"' + "x" * letters + '"',
        "10,000 members": "{" + ",".join(f'"m{number}":{number}' for number in range(members)) + "}",
        "10,000 items": "[" + ",".join(map(str, range(members))) + "]",
        # What regular expressions and number readers take long for, where their time grows with the square.
        "50 kB of blanks": '"' + " " * (_EXPENSIVE // part) + 'a"',
        "50 kB that is almost an address": '"' + "a." * (_EXPENSIVE // 2 // part) + '@"',
        "50 kB of brackets": '"' + "([{" * (_EXPENSIVE // 3 // part) + '"',
        "a number of a million digits": "1" + "0" * letters,
    }


def _judge_large(
    ctx: TestContext, fuzz_target: FuzzTarget, plain: dict[str, Any], name: str, what: str, small: list[float]
) -> None:
    mark = "\ue000here\ue001"

    def send(text: str | None) -> Exchange:
        data = plain
        if text is not None:
            data = {**plain, name: mark} if name else {**json.loads(text), **plain}
        body = fuzz_target.body(data).replace(
            json.dumps(mark, ensure_ascii=False).encode(), (text or "").encode(), 1
        )
        exchange = fuzz_target.send(body=body)
        fuzz_target.clear(exchange, plain)
        return exchange

    where = f"as {name}" if name else "in data itself"
    text = large_data()[what]
    exchange = send(text)
    fuzz_target.count("large data", exchange, valid=None)
    accepted = ANSWERED | {413}
    ctx.judge(
        "DAT-9",
        exchange.status in accepted,
        kind=f"{what} gets no documented answer",
        expected="status 200, 400, 401, 403, 404 or 413",
        actual=f"{exchange.summary()}, with {what} {where}",
        exchange=exchange,
        accepted=accepted,
    )
    took = exchange.seconds
    slow = exchange.status in accepted and took > _SLOWER * statistics.median(small)
    less, rounds, begun = math.inf, 0, time.monotonic()
    while slow and (rounds < _ROUNDS[0] or (rounds < _ROUNDS[1] and time.monotonic() - begun < _NOISE)):
        # A machine that is busy with other work is not busy each time, and a slow call is compared with small calls
        # of the same moment. Where those take next to nothing, a cost in proportion to the size is no fault.
        small.append(send(None).seconds)
        took = min(took, send(text).seconds)
        less = min(less, send(large_data(part=10)[what]).seconds)
        usual = statistics.median(small)
        slow = took > _SLOWER * usual and (took > 25 * less or took > _SLOWER * max(usual, _LEAST))
        rounds += 1
        time.sleep(min(_PAUSE, took) if slow else 0.0)
    ctx.judge(
        "DAT-9",
        not slow,
        kind=f"{what} is not answered in time",
        expected=f"at most {_SLOWER:.0f} times as long as a small call",
        actual=f"{took / statistics.median(small):.0f} times as long, with {what} {where}",
        exchange=exchange,
    )
