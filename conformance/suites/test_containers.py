"""DAT-5 and DAT-6 for arrays and maps: no item may be lost and no key changed, however many there are."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.generation.payloads import CannotGenerate
from conformance.generation.places import Container, containers
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.protocol.session import SetUpFailedError
from conformance.suites.test_data import judge_stored

#: Items of arrays of texts, numbers and booleans: unordered, repeated, empty, different only in case or blanks.
ITEMS: tuple[Any, ...] = (
    *("b", "B", "a", "b", " a", "a ", "0", "null", "a,b", "a;b", "Å", "A\u030a", "10", "9", ""),
    *(10, 9, 2, 10, 0, -1, 1.5, 0.25),
    *(True, False, True),
    None,
)

#: Keys of maps that are equal after folding case or composing characters; they are sent to each map.
ALIKE_KEYS = ("a", "A", "\u00e9", "e\u0301", "\u00df", "ss", "\u0130", "i\u0307", "k", "\u212a")

#: Keys of maps, by what may happen to them. Each group is sent alone, since a target may refuse it (400).
KEYS: dict[str, tuple[str, ...]] = {
    "alike": ("b", "B", "a", "A", "camelCase", "snake_case", "kebab-case", "Kebab-Case"),
    "numbers": ("10", "9", "01", "1", "-1", "1e3", "null", "true"),
    "blanks": ("a", " a", "a ", "a b", "a  b", ""),
    "composed": ("\u00c5", "A\u030a", "\u212b", "\u00df", "ss", "\u65e5\u672c", "\U0001f600"),
    "paths": ("a.b", "a/b", "a[0]", "$a", "a$b", "@a", "#a", "a:b"),
    "languages": ("__proto__", "constructor", "toString", "length", "__class__", "hasOwnProperty"),
    "long": ("k" * 255, "k" * 256, "k" * 300),
}

#: Lengths of arrays beyond usual limits. The shorter one is used where the schema does not allow the longer.
MANY_ITEMS = (1_001, 101)


def _containers(function: Method) -> list[Container]:
    role = function.object
    if role is None or role.does not in ("create", "update"):
        return []
    return list(containers(function))


@judges("DAT-5", "DAT-6")
@each_function(
    lambda method: bool(_containers(method)), otherwise="no function stores an array, or a map of any keys"
)
def test_items_and_keys(ctx: TestContext, function: Method) -> None:
    """Send arrays and maps of several and of many members: all must come back in order, or the call be refused."""
    fuzz_target = FuzzTarget(ctx, function)
    judged = False
    with fuzz_target:
        for container in _containers(function):
            if fuzz_target.hands_off(container.parameter):
                continue
            for build in _builds(fuzz_target, container):
                if not fuzz_target.may_go_on:
                    break
                try:
                    data = fuzz_target.fit(build(), container.parameter)
                except (CannotGenerate, SetUpFailedError):
                    continue
                if not fuzz_target.allows(data):
                    continue
                exchange = fuzz_target.send(data)
                if exchange.status == 200:
                    judged = True
                    judge_stored(ctx, fuzz_target, exchange, data, data)
                fuzz_target.clear(exchange, data)
    if not judged:
        ctx.give_up("no data with an array or a map is accepted")


def _builds(fuzz_target: FuzzTarget, container: Container) -> Iterator[Callable[[], Any]]:
    """Yield functions that build data with different content of an array or a map."""
    partial = functools.partial
    if container.is_map:
        for keys in (ALIKE_KEYS, ALIKE_KEYS[2:4], *KEYS.values()):
            yield partial(container.keyed, keys, fuzz_target.identify)
        return
    yield partial(container.holding, ITEMS, fuzz_target.identify)
    room = container.room
    yield partial(container.varied, min(room, 7) if room is not None else 7, fuzz_target.identify)
    yield partial(container.unsorted, min(room, 5) if room is not None else 5, fuzz_target.identify)
    if container.pointer.count("/") == 1:
        for length in [length for length in MANY_ITEMS if room is None or room >= length][:1]:
            yield partial(container.varied, length, fuzz_target.identify)
