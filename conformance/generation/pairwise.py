"""Combinations of arguments: every pair of values of any two parameters, in few calls (pairwise testing).

Most faults that need several arguments need two (Kuhn, Wallace and Gallo, «Software fault interactions and
implications for software testing», IEEE TSE 30(6), 2004). Random data rarely contains a given pair.
"""

from __future__ import annotations

import enum
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.catalog.model import Method

__all__ = ["Choice", "choices", "covering"]

#: Values of an enumeration that are combined.
_MAX_VALUES = 4

#: Candidates for each row; the one with the most new pairs is chosen.
_CANDIDATES = 12


class Choice(enum.Enum):
    """What to do with an argument where no value is named."""

    ABSENT = "absent"
    GIVEN = "given"


def choices(function: Method) -> dict[str, list[Any]]:
    """Return the levels of each parameter: members of `Choice`, and values to distinguish."""
    found: dict[str, list[Any]] = {}
    for param in function.params:
        node = param.schema if isinstance(param.schema, Mapping) else {}
        types = node.get("type")
        types = [types] if isinstance(types, str) else list(types or ())
        options: list[Any] = [] if param.required else [Choice.ABSENT]
        if isinstance(node.get("enum"), list):
            options += node["enum"][:_MAX_VALUES]
        elif "boolean" in types:
            options += [False, True]
        else:
            options.append(Choice.GIVEN)
        if "null" in types and not any(option is None for option in options):
            options.append(None)
        if len(options) > 1:
            found[param.name] = options
    return found


def covering(levels: Mapping[str, Sequence[Any]], rng: random.Random) -> Iterator[dict[str, Any]]:
    """Yield rows, one level for each name, until each pair of levels was in one; rows with most pairs come first."""
    names = list(levels)
    place = {name: index for index, name in enumerate(names)}
    missing = {
        (one, first, other, second)
        for one, other in itertools.combinations(names, 2)
        for first in range(len(levels[one]))
        for second in range(len(levels[other]))
    }

    def wanted(row: Mapping[str, int], name: str, level: int) -> int:
        """Return how many missing pairs a level would add."""
        return sum(
            ((other, chosen, name, level) if place[other] < place[name] else (name, level, other, chosen))
            in missing
            for other, chosen in row.items()
        )

    def added(row: Mapping[str, int]) -> set[tuple[str, int, str, int]]:
        return {
            (one, row[one], other, row[other]) for one, other in itertools.combinations(names, 2)
        } & missing

    def attempt(begin: tuple[str, int, str, int]) -> dict[str, int]:
        row = {begin[0]: begin[1], begin[2]: begin[3]}
        rest = [name for name in names if name not in row]
        rng.shuffle(rest)
        for name in rest:
            row[name] = max(range(len(levels[name])), key=lambda at: (wanted(row, name, at), rng.random()))
        return row

    while missing:
        # Each candidate begins with a missing pair, so that every row adds one at least.
        order = sorted(missing)
        best = max((attempt(rng.choice(order)) for _ in range(_CANDIDATES)), key=lambda row: len(added(row)))
        missing -= added(best)
        yield {name: levels[name][best[name]] for name in names}
