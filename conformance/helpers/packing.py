"""Texts, numbers and injections, packed into a function's data so that few calls test many of them in many places."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from conformance.engine.budgets import Sample
from conformance.engine.context import TestContext
from conformance.generation import payloads
from conformance.generation.payloads import Injection, Insertion, Number, Text
from conformance.helpers.fuzz_target import FuzzTarget

__all__ = ["Item", "Load", "Mixture", "doubtful", "loads", "parts"]

Item: TypeAlias = Text | Number | Injection
#: The items of one call: at most one for each argument.
Load: TypeAlias = list[Insertion]

#: Characters from which on texts are sent one at a time.
_LONG = 16_000

#: Texts that must be sent alone, since they lose their meaning in a mixture.
_WHOLE = frozenset(
    {
        "blank",
        "blanks around",
        "byte-order mark first",
        "digits alone",
        "number",
        "null",
        "true",
        "JSON",
        "255 characters",
        "256 characters",
    }
)

#: Lengths of mixtures, in characters. In each place the longest that the schema allows is used.
_SIZES = (1200, 240, 115, 75, 50)

_BETWEEN = "|"


def loads(
    ctx: TestContext, fuzz_target: FuzzTarget, wanted: Callable[[Item], bool], sample: Sample
) -> Iterator[Load]:
    """Yield loads: first mixtures of many texts in each place, then each item alone, as long as the caller goes on.

    `wanted` selects the items. `sample` says how many of them are tried.
    """
    items: list[Item] = [*payloads.TEXTS, *payloads.NUMBERS, *payloads.INJECTIONS]
    if ctx.only is None:
        items = ctx.some(items, sample)
    items = [item for item in items if wanted(item)]
    ctx.rng.shuffle(items)
    if ctx.only is None:
        yield from _zipped(_mixed(ctx, fuzz_target, items))
    by: dict[str, dict[str, dict[int, Insertion]]] = {}
    unusual: dict[str, dict[str, Insertion]] = {}
    long: dict[str, list[Insertion]] = {}
    order = {item.name: number for number, item in enumerate(items)}
    for insertion in _insertions(fuzz_target, items):
        item = insertion.item
        if isinstance(item, Text) and len(item.value) >= _LONG:
            long.setdefault(item.name, []).append(insertion)
        elif doubtful(item):
            unusual.setdefault(item.name, {}).setdefault(insertion.parameter, insertion)
        else:
            by.setdefault(insertion.parameter, {}).setdefault(insertion.pointer, {})[order[item.name]] = (
                insertion
            )
    others: list[Load] = [list(found.values()) for found in unusual.values()]
    last: list[Load] = []
    for insertions in long.values():
        ctx.rng.shuffle(insertions)
        others.append(insertions[:1])
        last += [[insertion] for insertion in insertions[1:]]
    ctx.rng.shuffle(others)
    others.sort(key=_priority)
    ctx.rng.shuffle(last)
    alone = _zipped([_diagonal(list(places.values()), len(items)) for places in by.values()])
    for number, load in enumerate(alone):
        yield load
        if others and number % 2:
            yield others.pop()
    yield from others
    yield from last


def _priority(load: Load) -> int:
    """Return the priority of a load of unusual items; if only few can be sent, the highest are sent first.

    Many libraries end a text at the NUL character, and many readers of JSON round an integer past 2^53.
    """
    item = load[0].item
    if "\0" in str(item.value):
        return 2
    return int(item.name in ("2^53 + 1", "-2^53 - 1"))


def _insertions(fuzz_target: FuzzTarget, items: Sequence[Item]) -> Iterator[Insertion]:
    for insertion in payloads.insertions(fuzz_target.function, items):
        if not fuzz_target.hands_off(insertion.parameter) and not insertion.ref:
            yield insertion


def _zipped(rows: list[list[Insertion]]) -> Iterator[Load]:
    """Combine the rows of the arguments. Each begins at another item, so that all items are tested soon."""
    for number in range(max(map(len, rows), default=0)):
        yield [
            row[(number + index * len(row) // len(rows)) % len(row)]
            for index, row in enumerate(rows)
            if number < len(row)
        ]


def _diagonal(places: list[dict[int, Insertion]], count: int) -> list[Insertion]:
    """Return the insertion points of an argument, ordered so that neither a place nor an item comes last."""
    return [
        places[(turn + item) % len(places)][item]
        for turn in range(len(places))
        for item in range(count)
        if item in places[(turn + item) % len(places)]
    ]


def doubtful(item: Item) -> bool:
    """Return whether targets may refuse the item."""
    if isinstance(item, Number):
        return "number of unusual size" in payloads.unusual_features(item.literal)
    return _is_unusual(str(item.value))


def _is_unusual(text: str) -> bool:
    return any(sign < " " or "\ud800" <= sign <= "\udfff" or sign in "\x7f\ufffe\uffff" for sign in text)


# -- mixtures ------------------------------------------------------------------------------------------------


class Mixture(Text):
    """Several texts in one: whatever a target does to one of them, it does to the mixture."""


def _plain(item: Item) -> bool:
    """Return whether an item may be part of a mixture.

    Line ends and tabs may. Characters for which many targets refuse a text may not.
    """
    text = str(item.value) if isinstance(item.value, str) else ""
    return 0 < len(text) <= 100 and item.name not in _WHOLE and not _is_unusual(re.sub(r"[\t\r\n]", "", text))


def _mixed(ctx: TestContext, fuzz_target: FuzzTarget, items: Sequence[Item]) -> list[list[Insertion]]:
    """Return, for each argument, the insertion points of the longest mixtures that the schema allows there."""
    texts = [item for item in items if _plain(item)]
    by_pointer: dict[str, list[Insertion]] = {}
    for size in _SIZES:
        mixtures = _mixtures(texts, size)
        fitting: dict[str, list[Insertion]] = {}
        for insertion in _insertions(fuzz_target, mixtures):
            fitting.setdefault(insertion.pointer, []).append(insertion)
        for pointer, insertions in fitting.items():
            # All mixtures must fit: the last one may be short enough although the others are too long.
            if pointer not in by_pointer and len(insertions) == len(mixtures):
                by_pointer[pointer] = insertions
    rows: dict[str, list[Insertion]] = {}
    for insertions in by_pointer.values():
        rows.setdefault(insertions[0].parameter, []).extend(insertions)
    for row in rows.values():
        ctx.rng.shuffle(row)
    return list(rows.values())


def _mixtures(texts: Sequence[Item], size: int) -> list[Text]:
    """Pack texts into mixtures of at most this length."""
    packed: list[list[Item]] = []
    for item in texts:
        text = str(item.value)
        if packed and len(_text(packed[-1])) + len(_BETWEEN) * 2 + len(text) <= size:
            packed[-1].append(item)
        elif len(text) + 2 <= size:
            packed.append([item])
    return [Mixture("+".join(item.name for item in group), _text(group)) for group in packed]


def _text(group: Sequence[Item]) -> str:
    # Letters at both ends, since white space at an end is tested by another text.
    return "a" + _BETWEEN.join(str(item.value) for item in group) + "z"


def parts(fuzz_target: FuzzTarget, insertion: Insertion) -> list[Insertion]:
    """Return the parts of a mixture, each alone in the same place; none for other items."""
    if not isinstance(insertion.item, Mixture):
        return []
    names = set(insertion.item.name.split("+"))
    every: tuple[Item, ...] = (*payloads.TEXTS, *payloads.INJECTIONS)
    items = [item for item in every if item.name in names]
    return [one for one in _insertions(fuzz_target, items) if one.pointer == insertion.pointer]
