"""The order in which the edges of a schema are tried: one of each kind at each place first, the most telling first."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from conformance.generation.payloads import Case

__all__ = ["essential", "telling_order"]

#: Ranks of what a case is about: below `_ESSENTIAL`, an example of each kind belongs to every budget.
_ESSENTIAL = 4


#: Ranks of values of another type: lax languages convert text, numbers and fractions on their own.
_TYPES = {"string": 0, "fraction": 0, "number": 1, "0": 1, "1": 1, "null": 2}


def _family(case: Case) -> tuple[int, str]:
    """Return the rank of what a case is about, and its name; cases at one place and of one name are alike."""
    told = case.kind.partition(": ")[2] or case.kind
    if case.valid:
        return _valid_family(case.keyword, told)
    if case.keyword == "type":
        word = told.partition(" ")[0]
        return _TYPES.get(word, 4), "number" if word in ("0", "1") else word
    if case.keyword == "maxLength":
        # One too many shows what a limit is counted in; far too many shows no more than that there is one.
        return (3, "maxLength, far") if "astral" in told or told.startswith("much") else (0, "maxLength")
    if case.keyword in ("enum", "const"):
        return (0, case.keyword) if "another word" in told else (3, f"{case.keyword}, near")
    if case.keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") and told.startswith(
        "far"
    ):
        return 3, f"{case.keyword}, far"
    return 0, case.keyword


def _valid_family(keyword: str, told: str) -> tuple[int, str]:
    if keyword == "properties" and "optional" not in told:
        return 5, "properties, one by one"
    if keyword in ("maxLength", "minLength") and ("astral" in told or "bytes" in told):
        return 1, "length, other characters"
    ranks = {"maxLength": 1, "maximum": 1, "minimum": 1, "maxItems": 1, "enum": 2, "const": 2, "minItems": 2}
    return ranks.get(keyword, 3), keyword


def telling_order(cases: Sequence[Case], rng: random.Random) -> list[int]:
    """Return the indices of cases, the first of each kind at each place before any second; equal ranks by chance."""
    drawn = list(range(len(cases)))
    rng.shuffle(drawn)
    seen: Counter[tuple[bool, str, str]] = Counter()
    ranked: dict[int, tuple[int, int]] = {}
    for index in drawn:
        rank, name = _family(cases[index])
        group = (cases[index].valid, cases[index].pointer, name)
        ranked[index] = seen[group], rank
        seen[group] += 1
    return sorted(drawn, key=lambda index: ranked[index])


def essential(cases: Sequence[Case], order: Sequence[int]) -> int:
    """Return how many of the first in an order every budget has to reach: one of each kind that tells anything new."""
    seen: set[tuple[bool, str, str]] = set()
    for count, index in enumerate(order):
        rank, name = _family(cases[index])
        group = (cases[index].valid, cases[index].pointer, name)
        if rank >= _ESSENTIAL or group in seen:
            return count
        seen.add(group)
    return len(order)
