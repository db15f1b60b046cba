"""What builders have in common: their type, and the steps that lead to a place inside a value."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from conformance.generation.choices import Choices
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json

__all__ = ["ATTEMPTS", "MAX_FULL_DEPTH", "BuildValue", "Step", "constant", "one_of"]

#: Builds a value; the second argument is how deep the value stands.
BuildValue: TypeAlias = Callable[[Choices, int], Json]

#: From this depth on, values are as small as the schema allows.
MAX_FULL_DEPTH = 4

#: How often a builder tries again until its value satisfies a check.
ATTEMPTS = 12


@dataclass(frozen=True)
class Step:
    """One step down: the container's shape, and the member, the item, or (None) any further member to go to.

    `pattern` is a pattern that the name of the further member matches. `any_item` goes to any item from `key` on.
    `ambiguous` says that other shapes of the place describe such containers as well.
    """

    shape: Shape
    key: str | int | None
    pattern: str | None = None
    any_item: bool = False
    ambiguous: bool = False


def constant(value: Json) -> BuildValue:
    """Return the builder of one value."""
    if isinstance(value, list | dict):
        return lambda choices, depth: copy.deepcopy(value)
    return lambda choices, depth: value


def one_of(values: list[Json]) -> BuildValue:
    """Return the builder of one of several values, the first of them being the simplest."""
    if any(isinstance(value, list | dict) for value in values):
        return lambda choices, depth: copy.deepcopy(values[choices.index(len(values))])
    return lambda choices, depth: values[choices.index(len(values))]
