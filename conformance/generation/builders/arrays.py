"""Builders of arrays: of any allowed length, or to order."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.generation.builders.steps import ATTEMPTS, MAX_FULL_DEPTH, BuildValue
from conformance.generation.choices import Choices, Ordinary
from conformance.generation.errors import CannotGenerate, Impossible
from conformance.generation.json_values import json_key
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json

if TYPE_CHECKING:
    from conformance.generation.builders.builders import Builders

__all__ = ["ArrayBuilder", "ArrayOrder"]

#: Items that an array of any length has at most beyond its minimum.
_MAX_EXTRA_ITEMS = 12

#: Items that are built one by one where copies suffice for the rest.
_MAX_DIFFERENT_ITEMS = 24

_UNLIMITED = 2**53 - 1


@dataclass(frozen=True)
class ArrayOrder:
    """How an array is to be: of a length, with certain items, filled up with copies."""

    length: int | None = None
    forced: Mapping[int, BuildValue] = field(default_factory=dict)
    #: Builds one item beyond those that have a schema of their own.
    forced_rest: BuildValue | None = None
    #: Whether copies fill up the array, where only its length matters.
    repeat: bool = False


class ArrayBuilder:
    """Builds the arrays of one shape."""

    def __init__(self, builders: Builders, shape: Shape, order: ArrayOrder) -> None:
        """Compile the builders of the items; raises Impossible when a required item has none."""
        self.shape = shape
        self.order = order
        self.first = first = shape.first_items
        self.fewest = max(
            shape.fewest, *(i + 1 for i in order.forced), first + 1 if order.forced_rest else 0, 0
        )
        self.contained: list[BuildValue] = []
        refused: list[Json] = []
        for node, least, most in shape.contains:
            inner = builders.shapes.join([*shape.item(first), node])
            if least and order.length is None:
                self.contained += [builders.node(inner)] * least
            if most is not None:
                refused.append(builders.shapes.opposite(node))
        self.room = shape.room()
        self.items = self._items(builders, refused)
        self.anything = builders.node(True)
        if self.contained:
            self.fewest = max(self.fewest, first + len(self.contained))
        self.lengths = self._lengths()

    def _items(self, builders: Builders, refused: list[Json]) -> list[BuildValue]:
        items: list[BuildValue] = []
        for index in range(self.first + 1):
            if self.room is not None and index >= self.room:
                break
            nodes = [*self.shape.item(index), *(refused if index >= self.first else ())]
            try:
                items.append(builders.node(builders.shapes.join(nodes)))
            except Impossible:
                if index < self.shape.fewest:
                    raise
                self.room = index
        return items

    def _lengths(self) -> list[int]:
        """Return the lengths to choose from."""
        fewest = self.fewest
        most = fewest + _MAX_EXTRA_ITEMS if self.room is None else self.room
        sizes = {n for n in (0, 1, 2, 3, 5, most) if fewest <= n <= min(most, fewest + _MAX_EXTRA_ITEMS)}
        return sorted({fewest, *(n for n in sizes if n <= max(_MAX_EXTRA_ITEMS, fewest + 1))})

    def __call__(self, choices: Choices, depth: int) -> Json:
        """Build an array."""
        order = self.order
        count = self._length(choices, depth)
        at = (
            self.first + choices.index(count - self.first) if order.forced_rest and count > self.first else -1
        )
        out: list[Json] = []
        seen: set[str] = set()
        for index in range(count):
            if index in order.forced or index == at:
                build = order.forced.get(index, order.forced_rest)
                assert build is not None
                out.append(build(choices, depth + 1))
                continue
            build = self._builder_of(index)
            if order.repeat and index > _MAX_DIFFERENT_ITEMS and out and not self.shape.unique:
                out.append(copy.deepcopy(out[-1]))
                continue
            try:
                if not self.shape.unique:
                    out.append(build(choices, depth + 1))
                elif not self._add_different(build, choices, depth, out, seen):
                    break
            except CannotGenerate:
                # An item that cannot be built, such as an identifier of which there is none, may be left out.
                if choices.ordinary is None or len(out) < self.fewest or order.length is not None:
                    raise
                break
        return out

    def _length(self, choices: Choices, depth: int) -> int:
        if self.order.length is not None:
            return self.order.length
        if choices.ordinary is not None:
            return self._ordinary_length(choices, choices.ordinary, depth)
        return self.lengths[choices.index(len(self.lengths))] if depth < MAX_FULL_DEPTH else self.fewest

    def _ordinary_length(self, choices: Choices, ordinary: Ordinary, depth: int) -> int:
        if ordinary.optional == "none" or depth > MAX_FULL_DEPTH:
            return self.fewest
        least, extra = self.fewest, choices.index(3)
        if ordinary.optional == "all":
            least, extra = max(self.fewest, self.first), 0 if self.first else 2
        count = max(least, self.fewest + (extra if self.fewest < 2 else 0))
        return min(count, _UNLIMITED if self.room is None else max(self.room, self.fewest))

    def _builder_of(self, index: int) -> BuildValue:
        beyond = index - self.first
        if 0 <= beyond < len(self.contained):
            return self.contained[beyond]
        return self.items[min(index, len(self.items) - 1)] if self.items else self.anything

    def _add_different(
        self, build: BuildValue, choices: Choices, depth: int, out: list[Json], seen: set[str]
    ) -> bool:
        """Add an item unlike the others; return False where the array may do without it."""
        for _ in range(ATTEMPTS * 2):
            choices.begin()
            item = build(choices, depth + 1)
            key = json_key(item)
            choices.end(discard=key in seen)
            if key not in seen:
                seen.add(key)
                out.append(item)
                return True
        if len(out) >= self.fewest and self.order.length is None:
            return False
        return choices.reject("uniqueItems", "too few different items are possible")
