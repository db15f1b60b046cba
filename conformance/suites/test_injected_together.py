"""DAT-8: injections in all texts of a call at once, several in each.

Only an error can be seen so, and what breaks at an injection breaks as well where others stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.generation import payloads
from conformance.generation.data_walker import LocatedValue, located_values, replaced
from conformance.generation.payloads import Injection, Insertion
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.suites.test_injected import judge_injection, trouble_of

#: Injections that stand in one text.
_MOST_IN_ONE_TEXT = 6

#: Calls that find out which of the injections of one call breaks the target.
_MAX_CALLS_APART = 24


@judges("DAT-8", calls=10)
@each_function(lambda method: bool(method.params), otherwise="no function has arguments")
def test_injections_together(ctx: TestContext, function: Method) -> None:
    """Send several injections in every text of one call; where it breaks the target, send them one at a time."""
    fuzz_target = FuzzTarget(ctx, function)
    if fuzz_target.login or fuzz_target.user is None:
        ctx.give_up("the test of single injections sends all of them to functions without a session")
    known: dict[tuple[str, str], Insertion] = {
        (insertion.pointer, insertion.item.name): insertion
        for insertion in payloads.insertions(function, payloads.INJECTIONS)
        if isinstance(insertion.item, Injection) and not fuzz_target.hands_off(insertion.parameter)
    }
    with fuzz_target:
        for group in _groups(payloads.INJECTIONS):
            if not known or not fuzz_target.may_go_on:
                break
            try:
                data = fuzz_target.fit(ctx.valid(function, fuzz_target.user, optional="all"))
            except SetUpFailedError:
                break
            data, carried = _carrying(fuzz_target, data, group, known)
            if carried and not _passes(ctx, fuzz_target, data):
                _judge_apart(ctx, fuzz_target, carried)


def _groups(items: Sequence[Injection]) -> Iterator[Sequence[Injection]]:
    for start in range(0, len(items), _MOST_IN_ONE_TEXT):
        yield items[start : start + _MOST_IN_ONE_TEXT]


def _carrying(
    fuzz_target: FuzzTarget,
    data: dict[str, Any],
    group: Sequence[Injection],
    known: dict[tuple[str, str], Insertion],
) -> tuple[dict[str, Any], list[Insertion]]:
    """Return valid data with the injections of a group in each text that may hold them, and which stand where."""
    carried: list[Insertion] = []
    for located in list(located_values(fuzz_target.function, data)):
        here = [known[key] for item in group if (key := (located.place.pointer, item.name)) in known]
        if not here or not isinstance(located.value, str) or located.parameter == fuzz_target.own:
            continue
        for chosen in (here, here[:1]):
            changed = _with(data, located, chosen)
            if fuzz_target.allows(changed):
                data, carried = changed, [*carried, *chosen]
                break
    return data, carried


def _with(data: dict[str, Any], located: LocatedValue, chosen: Sequence[Insertion]) -> dict[str, Any]:
    text = " ".join(
        str(insertion.item.value) for insertion in chosen if isinstance(insertion.item, Injection)
    )
    changed = replaced(data, located.path, text)
    assert isinstance(changed, dict)
    return changed


def _passes(ctx: TestContext, fuzz_target: FuzzTarget, data: dict[str, Any]) -> bool:
    """Send the call; return whether it breaks nothing."""
    exchange: Exchange = fuzz_target.send(data)
    fuzz_target.clear(exchange, data)
    fuzz_target.count("injection", exchange, valid=None)
    good = exchange.withheld or not trouble_of(exchange)
    if good and not exchange.withheld:
        ctx.run.observer.judged("DAT-8")
    return good


def _judge_apart(ctx: TestContext, fuzz_target: FuzzTarget, carried: Sequence[Insertion]) -> None:
    """Send injections one at a time until one breaks the target."""
    for insertion in carried[:_MAX_CALLS_APART]:
        if not judge_injection(ctx, fuzz_target, insertion, None):
            return
