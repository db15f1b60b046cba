"""The order in which cases are sent: one of each kind at each place first, those that show most first."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from conformance.generation.payloads import Case

__all__ = ["essential", "informative_order"]

#: Rank from which a case is left to the larger budgets. Below it, every budget sends one case of each kind.
_FIRST_OPTIONAL_RANK = 4


#: Ranks of values of a wrong type: lax languages convert texts, numbers and fractions implicitly.
_TYPE_RANKS = {"string": 0, "fraction": 0, "number": 1, "0": 1, "1": 1, "null": 2}


def _family(case: Case) -> tuple[int, str]:
    """Return the rank of a case, and the name of its family; cases of one family at one place show the same."""
    what = case.kind.partition(": ")[2] or case.kind
    if case.valid:
        return _valid_family(case.keyword, what)
    if case.keyword == "type":
        word = what.partition(" ")[0]
        if word == "boolean" and what.endswith(("integer", "number")):
            return 1, word  # A boolean is a number in Python, and for loose comparisons elsewhere.
        return _TYPE_RANKS.get(word, 4), "number" if word in ("0", "1") else word
    if case.keyword == "maxLength":
        # One too many shows what a limit counts; far too many only shows that there is a limit.
        return (3, "maxLength, far") if "astral" in what or what.startswith("much") else (0, "maxLength")
    if case.keyword in ("enum", "const"):
        return (0, case.keyword) if "another word" in what else (3, f"{case.keyword}, near")
    if (case.keyword == "pattern" and "one sign off" in what) or what.startswith("nearly"):
        return 1, f"{case.keyword}, near"
    if case.keyword == "format":
        # Each check of a format leaves out something else: the days of a month, the dot of a domain.
        return 2, f"format, {what}"
    if case.keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") and what.startswith(
        "far"
    ):
        return 3, f"{case.keyword}, far"
    return 0, case.keyword


def _valid_family(keyword: str, what: str) -> tuple[int, str]:
    if keyword == "properties" and "optional" not in what:
        return 5, "properties, one by one"
    if keyword in ("maxLength", "minLength") and ("astral" in what or "bytes" in what):
        return 1, "length, other characters"
    if keyword == "format":
        # Each edge of a format is of its own kind: a plus in an address, capital letters in a UUID.
        return 3, f"format, {what}"
    ranks = {"maxLength": 1, "maximum": 1, "minimum": 1, "maxItems": 1, "enum": 2, "const": 2, "minItems": 2}
    return ranks.get(keyword, 3), keyword


def informative_order(cases: Sequence[Case], rng: random.Random) -> list[int]:
    """Return the indices of cases: the first of each family at each place, then the second ones; else at random."""
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
    """Return how many cases of an order every budget has to send: one of each family that shows anything new."""
    seen: set[tuple[bool, str, str]] = set()
    for count, index in enumerate(order):
        rank, name = _family(cases[index])
        group = (cases[index].valid, cases[index].pointer, name)
        if rank >= _FIRST_OPTIONAL_RANK or group in seen:
            return count
        seen.add(group)
    return len(order)
