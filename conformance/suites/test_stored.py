"""DAT-5, DAT-6 and stored values of DAT-8: texts and numbers must come back as sent, or be refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.payload_budget import BudgetSlice, Share
from conformance.generation import payloads
from conformance.generation.payloads import CannotGenerate, Injection, Insertion, Number
from conformance.helpers.comparison import equal
from conformance.helpers.differences import brief
from conformance.helpers.fuzz_target import FuzzTarget, breadth
from conformance.helpers.packing import Item, Load, Mixture, doubtful, loads, parts
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.schema.pointer import MISSING
from conformance.suites.test_codes import identifiers
from conformance.suites.test_data import control

_KINDS = {
    "DAT-5": "text does not come back as it went in",
    "DAT-6": "a number does not come back as it went in",
    "DAT-8": "an injection string is not kept as data",
}


@judges("DAT-5", "DAT-6", "DAT-8", share=Share(requests=0.126, seconds=0.13))
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_texts_and_numbers(ctx: TestContext, function: Method) -> None:
    """Send each item in each place that allows it; read stored items again."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(_keeps) as budget_slice, fuzz_target:
        if not control(fuzz_target):
            for rule in ("DAT-5", "DAT-6", "DAT-8"):
                ctx.skip(rule, "valid data does not succeed", function=function.name)
            return
        _numbers_out_of_bounds(ctx, fuzz_target, budget_slice)

        def wanted(item: Item) -> bool:
            return any(ctx.seeks(rule, _kind(rule, item)) for rule in {"DAT-5", _rule(item)})

        for load in loads(ctx, fuzz_target, wanted, budgets.STORED_ITEMS):
            if not budget_slice.more(2 * fuzz_target.cost) or not fuzz_target.may_go_on:
                return
            _carry(ctx, fuzz_target, budget_slice, load)


def _keeps(function: Method) -> float:
    """Return how much of its input a function may store."""
    role = function.object
    return breadth(function) * (6 if role is not None and role.does in ("create", "update") else 1)


def _rule(item: Item) -> str:
    """Return the rule that an internal error breaks."""
    return "DAT-6" if isinstance(item, Number) else "DAT-8" if isinstance(item, Injection) else "DAT-5"


def _kind(rule: str, item: Item) -> str:
    return f"{_KINDS[rule]}: {'several texts together' if isinstance(item, Mixture) else item.name}"


def out_of_bounds() -> list[Number]:
    """Return the numbers that a bound may forbid; those too small to differ from 0 here still count as above 0."""
    return [
        number
        for number in payloads.NUMBERS
        if doubtful(number) and (number.value != 0 or "e-" not in number.text)
    ]


def _numbers_out_of_bounds(ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice) -> None:
    """Send numbers that the schema forbids, also as identifiers: they must be refused without an internal error."""
    numbers = out_of_bounds()
    wrong: list[tuple[str, str, Any]] = [
        (insertion.label, insertion.item.name, insertion)
        for insertion in payloads.insertions(fuzz_target.function, numbers, forbidden=True)
        if not insertion.allowed and not fuzz_target.hands_off(insertion.parameter)
    ]
    plain = (
        ctx.valid(fuzz_target.function, fuzz_target.user, optional="none") if not fuzz_target.login else {}
    )
    for name, _ in identifiers(fuzz_target.function):
        param = fuzz_target.function.param(name)
        if param is not None and "integer" in json.dumps(param.schema.get("type")):
            wrong += [(name, number.name, {**plain, name: number.literal}) for number in numbers]
    chosen = ctx.some(wrong, budgets.NUMBERS_OUT_OF_BOUNDS)
    if ctx.quick and ctx.only is None:
        # What a reader takes for infinity breaks most targets that break at all.
        infinite = [each for each in wrong if each[1] == "1e400" and each not in chosen]
        chosen = [*ctx.some(infinite, budgets.INFINITE_NUMBERS), *chosen][: len(chosen)]
    for label, name, given in chosen:
        kind = f"a number out of bounds is not refused: {name}"
        if not budget_slice.more() or not ctx.seeks("DAT-6", kind):
            continue
        try:
            data = (
                fuzz_target.fit(given.build(fuzz_target.identify), given.parameter)
                if isinstance(given, Insertion)
                else given
            )
        except (CannotGenerate, SetUpFailedError):
            continue
        if fuzz_target.allows(data):
            # As an identifier, 1e2 is 100.
            continue
        exchange = fuzz_target.send(data)
        fuzz_target.clear(exchange, data)
        ctx.judge(
            "DAT-6",
            exchange.status is not None and 400 <= exchange.status < 500,
            kind=kind,
            expected=f"{label}: status 400",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=range(400, 500),
        )


def _laden(fuzz_target: FuzzTarget, load: Sequence[Insertion]) -> dict[str, Any] | None:
    """Return data with each item at its insertion point; None where they cannot be combined."""
    data: dict[str, Any] = {}
    for insertion in load:
        try:
            built = insertion.build(fuzz_target.identify)
        except (CannotGenerate, SetUpFailedError):
            continue
        data = {**built, **data, insertion.parameter: built.get(insertion.parameter)}
    data = fuzz_target.fit(data)
    return data if data and fuzz_target.allows(data) else None


def _carry(ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice, load: Load) -> None:
    """Send a load; where it is refused or comes back changed, send its parts one by one."""
    data = _laden(fuzz_target, load)
    if data is None:
        _apart(ctx, fuzz_target, budget_slice, load if len(load) > 1 else [])
        return
    exchange = fuzz_target.send(data)
    fuzz_target.count("texts and numbers", exchange, valid=True)
    if exchange.status == 200:
        altered = _altered(fuzz_target, load, data, exchange)
        fuzz_target.clear(exchange, data)
        _judge_stored_values(ctx, fuzz_target, budget_slice, load, altered, exchange)
        return
    if len(load) > 1:
        _apart(ctx, fuzz_target, budget_slice, load)
        return
    insertion = load[0]
    good = exchange.status in fuzz_target.accepts_by_rule(data) | {400}
    if _shown_by_parts(ctx, fuzz_target, budget_slice, insertion) or (
        good and isinstance(insertion.item, Mixture)
    ):
        return
    rule = _rule(insertion.item)
    ctx.judge(
        rule,
        good,
        kind=_kind(rule, insertion.item),
        expected=f"{insertion.label}: kept as it is, or status 400",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=fuzz_target.accepts_by_rule(data) | {400},
    )


def _shown_by_parts(
    ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice, insertion: Insertion
) -> bool:
    """Send the parts of a mixture one by one; return whether one of them shows the defect."""
    before = set(ctx.run.observer.take())
    _apart(ctx, fuzz_target, budget_slice, parts(fuzz_target, insertion))
    return bool(set(ctx.run.observer.take()) - before)


def _apart(ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice, load: Load) -> None:
    for insertion in load:
        if budget_slice.more(fuzz_target.cost):
            _carry(ctx, fuzz_target, budget_slice, [insertion])


def _altered(
    fuzz_target: FuzzTarget, load: Load, data: dict[str, Any], exchange: Exchange
) -> dict[str, tuple[Insertion, Any, Any, str] | None]:
    """Return, by place, what was altered: (insertion point, sent, received, where it shows), or None if it was not."""
    found: dict[str, tuple[Insertion, Any, Any, str] | None] = {}
    for source, there, _ in fuzz_target.shown(exchange, data):
        for insertion in load:
            param = fuzz_target.function.param(insertion.parameter)
            if param is None or insertion.parameter not in there or insertion.parameter not in data:
                continue
            if param.schema.get("writeOnly") or param.schema.get("format") == "password":
                continue
            sent, got = _at(insertion, data), _at(insertion, there)
            if got is MISSING or not _same(sent, got):
                found[insertion.pointer] = (insertion, sent, got, source)
            else:
                found.setdefault(insertion.pointer, None)
    return found


def _judge_stored_values(
    ctx: TestContext,
    fuzz_target: FuzzTarget,
    budget_slice: BudgetSlice,
    load: Load,
    altered: dict[str, tuple[Insertion, Any, Any, str] | None],
    exchange: Exchange,
) -> None:
    for insertion in load:
        departed = altered.get(insertion.pointer)
        if departed is None:
            ctx.run.observer.judged(_rule(insertion.item))
            continue
        if _shown_by_parts(ctx, fuzz_target, budget_slice, insertion):
            continue
        _, sent, got, source = departed
        evaluated = isinstance(insertion.item, Injection) and "7*7" in str(sent) and "49" in str(got)
        rule = "DAT-6" if isinstance(insertion.item, Number) else "DAT-8" if evaluated else "DAT-5"
        ctx.judge(
            rule,
            False,
            kind=_kind(rule, insertion.item),
            expected=f"{insertion.label}: {brief(sent)}",
            actual=f"{brief(got) if got is not MISSING else 'nothing'} in {source}",
            exchange=exchange,
            function=fuzz_target.function.name,
        )


def _at(insertion: Insertion, data: dict[str, Any]) -> Any:
    """Return the value at an insertion point; `-` and `*` are the first item and the first key."""
    value: Any = data
    for step in insertion.pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            index = 0 if step == "-" else int(step)
            value = value[index] if index < len(value) else MISSING
        elif isinstance(value, dict):
            value = value.get(step if step in value or step != "*" else next(iter(value), ""), MISSING)
        else:
            return MISSING
    return value


def _same(sent: Any, got: Any) -> bool:
    if isinstance(sent, payloads.Literal):
        sent = json.loads(sent.text)
    return equal(sent, got)
