"""DAT-1 to DAT-4: «all the function arguments go here», with boundary values, random data and invalid data."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext, as_answered
from conformance.engine.coverage import Gap
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import ANSWERED
from conformance.engine.payload_budget import BudgetSlice, Share
from conformance.generation import payloads
from conformance.generation.any_json import TELLING_JSON
from conformance.generation.data_walker import located_values
from conformance.generation.malformed import MUTATIONS, MalformedBody, any_bytes, malformed
from conformance.generation.order import essential, informative_order
from conformance.generation.pairwise import Choice, choices, covering
from conformance.generation.payloads import CannotGenerate, Case, Violation
from conformance.helpers.builtin_names import dealt
from conformance.helpers.comparison import pairs, seen
from conformance.helpers.differences import brief, departure, leaves
from conformance.helpers.fuzz_target import FuzzTarget, breadth
from conformance.helpers.length_alone import length_alone
from conformance.helpers.lenient_json import rule_of
from conformance.helpers.probing import probing_status
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING

T = TypeVar("T")

_NOT_REFUSED = "forbidden data is not refused"

#: Keywords of numbers, of which a schema may have several.
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})

#: Failed examples after which a test stops.
_ENOUGH = 24


def batches(
    ctx: TestContext, budget_slice: BudgetSlice, cost: int, draw: Callable[[int, int], list[T]]
) -> Iterator[T]:
    """Yield drawn examples, as many as the budget slice has calls for, or in batches until its time is spent."""
    # Drawing a large batch takes about a second, which may be more than is left.
    size = 8
    while budget_slice.more(cost):
        size = min(200, 2 * size)
        many = budget_slice.left // cost if budget_slice.requests is not None else size
        try:
            drawn = draw(ctx.rng.getrandbits(64), many)
        except CannotGenerate:
            return
        for each in drawn:
            if not budget_slice.more(cost):
                return
            yield each
        if budget_slice.requests is not None or not drawn:
            return


def answers(
    ctx: TestContext, fuzz_target: FuzzTarget, prepared: Iterator[tuple[T, Any]], more: Callable[[], bool]
) -> Iterator[tuple[T, Any, Exchange]]:
    """Send data, `--jobs` calls at a time, while `more` is true; yield (purpose, data, exchange)."""
    while more():
        batch = list(itertools.islice(prepared, max(1, ctx.run.options.jobs)))
        if not batch:
            return
        calls = [functools.partial(fuzz_target.send, data) for _, data in batch]
        for (what, data), exchange in zip(batch, ctx.together(calls), strict=True):
            yield what, data, exchange


def control(fuzz_target: FuzzTarget) -> bool:
    """Call the function with ordinary valid data; return whether it succeeds.

    Where that is refused for optional arguments, the required ones alone are tried.
    """
    for optional in ("all", "none"):
        data = fuzz_target.ctx.valid(fuzz_target.function, fuzz_target.user, optional=optional)
        exchange = fuzz_target.ctx.call(
            fuzz_target.function, data, as_=None if fuzz_target.login else fuzz_target.user
        )
        fuzz_target.count("plain", exchange, valid=True)
        fuzz_target.clear(exchange, data)
        if exchange.status == 200:
            return True
    return False


# -- boundary cases --------------------------------------------------------------------------------------------


@judges("DAT-1", "DAT-2", "DAT-5", "DAT-6", share=Share(requests=0.27, seconds=0.21))
@each_function(doubtful_first=True)
def test_data_at_the_edges(ctx: TestContext, function: Method) -> None:
    """Test each keyword of each argument with values just inside and just outside, before random data."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(_edges) as budget_slice, fuzz_target:
        good = control(fuzz_target)
        if not good:
            ctx.skip("DAT-2", "valid data does not succeed either", function=function.name)
        failed: list[str] = []
        prepared = _prepared(ctx, fuzz_target, _chosen(ctx, fuzz_target, budget_slice), good)
        for case, data, exchange in answers(
            ctx, fuzz_target, prepared, lambda: budget_slice.more() and len(failed) < _ENOUGH
        ):
            if not _edge(ctx, fuzz_target, case, data, exchange):
                failed.append(case.kind)


def _prepared(
    ctx: TestContext, fuzz_target: FuzzTarget, cases: list[Case], good: bool
) -> Iterator[tuple[Case, Any]]:
    """Yield the edges that can be built here, each with its data."""
    for case in cases:
        if not (fuzz_target.may_go_on if case.valid else good) or not _sought(ctx, case):
            continue
        try:
            data = fuzz_target.fit(case.build(fuzz_target.identify), case.parameter)
        except (CannotGenerate, SetUpFailedError):
            continue
        if isinstance(case, Violation):
            data = _after_valid_item(ctx, fuzz_target, case, data)
            if ctx.quick and case.keyword in _BOUNDS:
                # Other tests send it with the least data.
                data = next(_among_others(ctx, fuzz_target, case, data), data)
        if fuzz_target.allows(data) is case.valid:
            yield case, data
            if not case.valid and case.keyword in _BOUNDS and not ctx.quick:
                yield from ((case, other) for other in _among_others(ctx, fuzz_target, case, data))


def _after_valid_item(ctx: TestContext, fuzz_target: FuzzTarget, case: Violation, data: Any) -> Any:
    """Return invalid data, with a valid item before the item that violates the schema, where there is one."""
    if "[" not in case.kind.partition(":")[0]:
        return data
    try:
        valid = ctx.valid(fuzz_target.function, fuzz_target.user, optional="all")
    except SetUpFailedError:
        return data
    changed = case.after_valid_item(data, valid)
    return data if changed is None or fuzz_target.allows(changed) else changed


def _among_others(ctx: TestContext, fuzz_target: FuzzTarget, case: Case, data: Any) -> Iterator[Any]:
    """Yield the same violation with other values of the other members, since a check may depend on them."""
    for _ in range(2):
        try:
            other = fuzz_target.fit(
                ctx.valid(fuzz_target.function, fuzz_target.user, optional="some"), case.parameter
            )
        except SetUpFailedError:
            return
        if case.parameter in data:
            other[case.parameter] = data[case.parameter]
            if not fuzz_target.allows(other):
                yield other


def _chosen(ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice) -> list[Case]:
    """Return as many boundary cases as there are calls for, the plainest and most effective first."""
    plain, *rest = payloads.boundaries(fuzz_target.function)
    for case in rest:
        gap = Gap.OBJECT if fuzz_target.hands_off(case.parameter) else Gap.BUDGET
        pointer = case.pointer or f"/{case.parameter or 'data'}"
        ctx.run.coverage.add_planned(fuzz_target.function.name, pointer, case.keyword, gap)
    elsewhere = _places_of_the_grid(ctx, fuzz_target)
    rest = [
        case
        for case in rest
        if not fuzz_target.hands_off(case.parameter) and not (case.valid and case.pointer in elsewhere)
    ]
    order = informative_order(rest, ctx.rng)
    looks = 1 if fuzz_target.stores and not ctx.quick else 0
    costs = [fuzz_target.cost + looks if rest[index].valid else 1 for index in order]
    if ctx.only is None:
        budget_slice.at_least(2 * fuzz_target.cost + sum(costs[: essential(rest, order)]))
    room = budget_slice.left - fuzz_target.cost
    affordable = itertools.takewhile(
        lambda pair: pair[1] <= room, zip(order, itertools.accumulate(costs), strict=True)
    )
    return [plain, *(rest[index] for index, _ in affordable)]


def _places_of_the_grid(ctx: TestContext, fuzz_target: FuzzTarget) -> set[str]:
    """Return the places whose valid edges the grid sends, many in one call; larger budgets send them again."""
    if not ctx.quick or ctx.only is not None or fuzz_target.login:
        return set()
    try:
        data = ctx.valid(fuzz_target.function, fuzz_target.user)
    except SetUpFailedError:
        return set()
    return {located.place.pointer for located in located_values(fuzz_target.function, data)}


def _edges(function: Method) -> float:
    """Return how many edges a function's data has."""
    return float(sum(1 for _ in payloads.boundaries(function)))


def _label(kind: str, keyword: str) -> str:
    return f"{kind.partition(':')[0]} ({keyword})"


def _edge_kind(case: Case) -> tuple[str, str]:
    """Return the rule that a boundary case tests, and the kind of its finding."""
    label = _label(case.kind, case.keyword)
    return (
        ("DAT-1", f"valid data is refused: {label}") if case.valid else ("DAT-2", f"{_NOT_REFUSED}: {label}")
    )


def _sought(ctx: TestContext, case: Case) -> bool:
    """Return whether a boundary case is to be sent: for its own rule, or for how it is stored."""
    stored = case.valid and any(ctx.seeks(rule, stored_kind(case.parameter)) for rule in ("DAT-5", "DAT-6"))
    return stored or ctx.seeks(*_edge_kind(case))


def _edge(ctx: TestContext, fuzz_target: FuzzTarget, case: Case, data: Any, exchange: Exchange) -> bool:
    rule, kind = _edge_kind(case)
    place = (case.parameter or "data", f"{case.pointer} {case.keyword}")
    fuzz_target.count("edge" if case.valid else "violation", exchange, valid=case.valid, place=place)
    accepted = fuzz_target.accepts_by_rule(data) if case.valid else {400}
    if case.valid and exchange.status == 400 and length_alone(fuzz_target, data, case.keyword):
        accepted = accepted - {400}
    passed = ctx.status(rule, exchange, accepted, kind=kind, because=case.kind)
    if case.valid and exchange.status == 200:
        judge_stored(ctx, fuzz_target, exchange, data, data, read_again=not ctx.quick)
    fuzz_target.clear(exchange, data)
    return passed


# -- anywhere ------------------------------------------------------------------------------------------------


@judges("DAT-1", "DAT-5", "DAT-6", share=Share(requests=0.11, seconds=0.09))
@each_function(doubtful_first=True)
def test_any_data_that_the_schema_allows(ctx: TestContext, function: Method) -> None:
    """Send data drawn from all that is valid; read stored data again."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(breadth) as budget_slice, fuzz_target:
        if not control(fuzz_target):
            ctx.skip("DAT-1", "plain valid data does not succeed", function=function.name)
            return
        try:
            strategy = payloads.valid(function, fuzz_target.symbols, bind=fuzz_target.resolver)
        except (CannotGenerate, SetUpFailedError) as error:
            ctx.skip("DAT-1", f"no data can be made: {error}", function=function.name)
            return
        if ctx.only is not None:
            for key in ctx.only:
                for value in ctx.run.remembered.get((ctx.name, key), ())[:1]:
                    _anywhere(ctx, fuzz_target, budget_slice, value)
            return
        failed = 0
        for data in _combined(ctx, fuzz_target, budget_slice):
            if failed >= 4 or not fuzz_target.may_go_on:
                return
            failed += not _anywhere(ctx, fuzz_target, budget_slice, data)

        def some(seed: int, count: int) -> list[Any]:
            return payloads.draw(strategy, seed, count)

        for value in batches(ctx, budget_slice, fuzz_target.cost + 1, some):
            if failed >= 4 or not fuzz_target.may_go_on:
                break
            failed += not _anywhere(ctx, fuzz_target, budget_slice, value)


def _combined(
    ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice
) -> Iterator[dict[str, Any]]:
    """Yield data that covers each pair of choices of two arguments once, with up to half of the slice's calls."""
    cost = fuzz_target.cost + 1
    rows = covering(choices(fuzz_target.function), ctx.rng)
    for row in itertools.islice(rows, budget_slice.left // (2 * cost)):
        if not budget_slice.more(cost):
            return
        try:
            data = ctx.valid(fuzz_target.function, fuzz_target.user)
        except SetUpFailedError:
            return
        for name, choice in row.items():
            if choice is Choice.ABSENT:
                data.pop(name, None)
            elif choice is not Choice.GIVEN and not fuzz_target.hands_off(name):
                data[name] = choice
        if fuzz_target.allows(data):
            yield data


def _anywhere(ctx: TestContext, fuzz_target: FuzzTarget, budget_slice: BudgetSlice, value: Any) -> bool:
    try:
        data = fuzz_target.fit(fuzz_target.final(value))
    except SetUpFailedError:
        return True
    if not fuzz_target.allows(data):
        return True
    exchange = fuzz_target.send(data)
    fuzz_target.count("valid", exchange, valid=True)
    if exchange.status in fuzz_target.accepts_by_rule(data):
        ctx.run.observer.judged("DAT-1")
        passed = judge_stored(ctx, fuzz_target, exchange, data, value)
        fuzz_target.clear(exchange, data)
        return passed
    name, smaller, shown = _blame(ctx, fuzz_target, budget_slice, data, exchange)
    kind = f"valid data is refused: {name}" if name else "valid data is refused"
    key = ("DAT-1", fuzz_target.function.name, kind)
    ctx.run.remembered.setdefault((ctx.name, key), [value])
    accepted = fuzz_target.accepts_by_rule(smaller)
    ctx.status("DAT-1", shown, accepted, kind=kind, because="the schema allows this data")
    return False


def _blame(
    ctx: TestContext,
    fuzz_target: FuzzTarget,
    budget_slice: BudgetSlice,
    data: dict[str, Any],
    exchange: Exchange,
) -> tuple[str | None, dict[str, Any], Exchange]:
    """Return the parameter that causes a refusal (None for a combination), with the smallest data that shows it."""
    plain = (
        ctx.valid(fuzz_target.function, fuzz_target.user, optional="none") if isinstance(data, dict) else {}
    )
    for name in data if isinstance(data, dict) else ():
        alone = fuzz_target.fit({**plain, name: data[name]}, name)
        if not budget_slice.more() or name == fuzz_target.own or not fuzz_target.allows(alone):
            continue
        shown = fuzz_target.send(alone)
        fuzz_target.clear(shown, alone)
        if shown.status not in fuzz_target.accepts_by_rule(alone):
            return name, alone, shown
    small, last = dict(data) if isinstance(data, dict) else data, exchange
    for name in list(small) if isinstance(small, dict) else ():
        less = {other: item for other, item in small.items() if other != name}
        if not budget_slice.more() or not fuzz_target.allows(less):
            continue
        shown = fuzz_target.send(less)
        fuzz_target.clear(shown, less)
        if shown.status not in fuzz_target.accepts_by_rule(less):
            small, last = less, shown
    return None, small, last


def judge_stored(
    ctx: TestContext,
    fuzz_target: FuzzTarget,
    exchange: Exchange,
    data: Any,
    value: Any,
    *,
    read_again: bool = True,
) -> bool:
    """Check that stored texts and numbers come back as they were sent.

    Without `read_again`, only the response to the call itself is used where it shows the object.
    """
    passed = True
    if not isinstance(data, dict):
        return passed
    for source, there, shown in itertools.islice(
        fuzz_target.shown(exchange, data), None if read_again else 1
    ):
        for name, sent, got, schema in pairs(ctx, fuzz_target.function, data, there):
            param = fuzz_target.function.param(name)
            if name == fuzz_target.own or param is None or param.ref:
                continue
            if seen(sent, got, schema):
                for rule, kinds in (("DAT-5", str), ("DAT-6", (int, float))):
                    if any(isinstance(leaf, kinds) and not isinstance(leaf, bool) for leaf in leaves(sent)):
                        ctx.run.observer.judged(rule)
                continue
            pointer, one, other = departure(sent, got)
            broken = _rule_of(one)
            if broken is None:
                continue
            kind = stored_kind(param.name)
            ctx.run.remembered.setdefault((ctx.name, (broken, fuzz_target.function.name, kind)), [value])
            passed = ctx.judge(
                broken,
                False,
                kind=kind,
                expected=f"{param.name}{pointer}: {brief(one)}",
                actual=f"{brief(other) if other is not MISSING else 'nothing'} in {source}",
                exchange=exchange,
                witness=shown,
                function=fuzz_target.function.name,
            )
    return passed


def stored_kind(name: str) -> str:
    """Return the kind of a finding that a parameter was stored differently."""
    return f"{name} does not come back as it went in"


def _rule_of(sent: Any) -> str | None:
    """Return the rule that a changed value violates; None where the test of another rule reports it."""
    if isinstance(sent, bool) or sent is None:
        return None
    if isinstance(sent, (list, dict)):
        # Where items or members are missing or added, differences in their texts come first.
        numbers = [leaf for leaf in leaves(sent) if not isinstance(leaf, str)]
        return "DAT-6" if numbers and len(numbers) == len(list(leaves(sent))) else "DAT-5"
    return "DAT-5" if isinstance(sent, str) else "DAT-6"


# -- invalid data --------------------------------------------------------------------------------------------


@judges("DAT-2", share=Share(requests=0.045, seconds=0.065))
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_any_data_that_the_schema_forbids(ctx: TestContext, function: Method) -> None:
    """Send one violation at a time, at any depth, in otherwise varied valid data."""
    if ctx.quick:
        # The boundary cases cover most violations. Building the strategies takes too long for a quick run.
        return
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(breadth) as budget_slice, fuzz_target:
        if not control(fuzz_target):
            ctx.skip("DAT-2", "valid data does not succeed either", function=function.name)
            return
        ways: dict[str, Violation] = payloads.violations(function)

        def can_violate(way: Violation) -> bool:
            return not fuzz_target.hands_off(way.parameter)

        try:
            strategy = payloads.invalid_data(
                function, fuzz_target.symbols, bind=fuzz_target.resolver, only=can_violate
            )
        except CannotGenerate as error:
            ctx.skip("DAT-2", f"no argument can be spoiled: {error}", function=function.name)
            return
        if ctx.only is not None:
            again = [v for key in ctx.only for v in ctx.run.remembered.get((ctx.name, key), ())[:1]]
        failed: list[str] = []

        def some(seed: int, count: int) -> list[Any]:
            return again if ctx.only is not None else payloads.draw(strategy, seed, count)

        def prepared() -> Iterator[tuple[tuple[str, Any], Any]]:
            for name, value in batches(ctx, budget_slice, 1, some):
                try:
                    data = fuzz_target.fit(fuzz_target.bind(value), ways[name].parameter)
                except SetUpFailedError:
                    continue
                if not fuzz_target.allows(data):
                    yield (name, value), data

        for (name, value), data, exchange in answers(
            ctx, fuzz_target, prepared(), lambda: budget_slice.more() and len(failed) < _ENOUGH
        ):
            way = ways[name]
            place = (way.parameter or "data", f"{way.pointer} {way.keyword}")
            fuzz_target.count("violation", exchange, valid=False, place=place)
            kind = as_answered(f"{_NOT_REFUSED}: {_label(name, way.keyword)}", exchange)
            ctx.run.remembered.setdefault((ctx.name, ("DAT-2", function.name, kind)), [(name, value)])
            if not ctx.status("DAT-2", exchange, {400}, kind=kind, because=name):
                failed.append(name)
            fuzz_target.clear(exchange, data)


# -- any JSON, any bytes -------------------------------------------------------------------------------------


def documented(ctx: TestContext, rule: str, exchange: Exchange, what: str) -> bool:
    """Check that a response has a documented status and the envelope."""
    if exchange.status is None:
        kind, actual = f"{what} gets no answer", exchange.summary()
    elif exchange.status not in ANSWERED:
        kind, actual = f"{what} is answered {exchange.status}", exchange.summary()
    else:
        envelope = exchange.envelope
        whole = envelope is not None and {"isError", "errMsg", "data"} <= envelope.keys()
        came = exchange.response.body[:120] if exchange.response else b""
        kind, actual = ("", "") if whole else (f"{what} is answered without the envelope", as_json(came))
    return ctx.judge(
        rule,
        not kind,
        kind=kind,
        expected="status 200, 400, 401, 403 or 404, and the envelope",
        actual=actual,
        exchange=exchange,
        accepted=None if exchange.status in ANSWERED else ANSWERED,
    )


@judges("DAT-3", share=Share(requests=0.018, seconds=0.025))
@each_function(doubtful_first=True)
def test_any_json_as_data(ctx: TestContext, function: Method) -> None:
    """Send any JSON as the arguments: the response must be readable."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice() as budget_slice, fuzz_target:
        strategy = payloads.any_json()

        def some(seed: int, count: int) -> list[Any]:
            if ctx.only is not None:
                return [v for key in ctx.only for v in ctx.run.remembered.get((ctx.name, key), ())[:1]]
            return payloads.draw(strategy, seed, count)

        def broken(value: Any) -> bool:
            return budget_slice.more() and not answered(value)

        def answered(value: Any) -> bool:
            exchange = fuzz_target.send(value)
            fuzz_target.clear(exchange, value)
            fuzz_target.count("any JSON", exchange, valid=None)
            passed = documented(ctx, "DAT-3", exchange, "JSON as data")
            if not passed:
                for key in ctx.run.observer.take():
                    if key[0] == "DAT-3":
                        ctx.run.remembered.setdefault((ctx.name, key), [value])
            return passed

        telling = [] if ctx.only is not None else dealt(ctx, list(TELLING_JSON), budgets.TELLING_BODIES)
        for value in telling:
            if budget_slice.more() and not answered(value):
                return
        for value in batches(ctx, budget_slice, 1, some):
            if not answered(value) and ctx.only is None:
                calls = min(budget_slice.left, ctx.amount(budgets.SHRINKING_PAYLOAD_CALLS))
                payloads.smallest(
                    strategy, broken, ctx.rng.getrandbits(64), calls, min(2.0, budget_slice.seconds)
                )
                break


@judges("DAT-4", "REQ-4", "REQ-12", share=Share(requests=0.027, seconds=0.03))
@each_function(doubtful_first=True)
def test_any_bytes_as_body(ctx: TestContext, function: Method) -> None:
    """Send the bytes of a valid call, corrupted where the JSON grammar breaks and elsewhere."""
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice() as budget_slice, fuzz_target:
        if fuzz_target.login:
            # A corrupted password would not be masked.
            data = {param.name: ctx.resources.fresh() for param in function.params}
        else:
            data = ctx.valid(function, fuzz_target.user)
        strategy = any_bytes(fuzz_target.body(data))

        def some(seed: int, count: int) -> list[MalformedBody]:
            if ctx.only is not None:
                return [v for key in ctx.only for v in ctx.run.remembered.get((ctx.name, key), ())[:1]]
            return payloads.draw(strategy, seed, count)

        def one_of_each() -> Iterator[MalformedBody]:
            for name in [] if ctx.only is not None else dealt(ctx, list(MUTATIONS), budgets.TELLING_BODIES):
                if budget_slice.more():
                    way = malformed(fuzz_target.body(data), name)
                    yield from payloads.draw(way, ctx.rng.getrandbits(64), 1)

        failed = 0
        for damaged in itertools.chain(one_of_each(), batches(ctx, budget_slice, 1, some)):
            if failed >= 6:
                break
            exchange = fuzz_target.send(body=damaged.body)
            fuzz_target.clear(exchange, data)
            fuzz_target.count("any bytes", exchange, valid=None)
            passed = documented(ctx, "DAT-4", exchange, f"a damaged body ({damaged.kind.partition(',')[0]})")
            failed += not passed
            if not (passed and _refused_as_not_json(ctx, function, damaged, exchange)):
                for key in ctx.run.observer.take():
                    if key[0] in ("DAT-4", "REQ-4", "REQ-12"):
                        ctx.run.remembered.setdefault((ctx.name, key), [damaged])


def _refused_as_not_json(
    ctx: TestContext, function: Method, damaged: MalformedBody, exchange: Exchange
) -> bool:
    """Check that a body that is not JSON was refused with 400; the bytes decide which rule it breaks."""
    rule = rule_of(damaged.body)
    if rule is None:
        return True
    what = "is not JSON" if rule == "REQ-4" else "only a lenient reader takes for JSON"
    kind = f"a body that {what} is not refused: {damaged.kind.partition(',')[0]}"
    return probing_status(ctx, rule, exchange, {400}, endpoint=function.entity, kind=kind)
