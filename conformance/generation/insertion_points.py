"""The places of a schema's data, at any depth: where a value can be put, and what the schema says of it there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from conformance.generation.builders import Builders, BuildValue, Step, first_accepted
from conformance.generation.errors import CannotGenerate
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json, json_type, point

__all__ = ["Place", "SchemaWalker"]

_MAX_STEPS = 7


@dataclass(frozen=True)
class Place:
    """A place in the data: `pointer` with `*` for any key and `-` for any item; `label` is for people."""

    pointer: str
    label: str
    parameter: str
    steps: tuple[Step, ...]
    node: Json
    shapes: tuple[Shape, ...]
    required: bool

    @property
    def kinds(self) -> frozenset[str]:
        """The types that values here may have, "integer" among them."""
        return frozenset(_kinds_of(self.shapes))

    @property
    def ref(self) -> str | None:
        """The kind of object whose identifier belongs here, or None."""
        return next((shape.ref for shape in self.shapes if shape.ref), None)


def _kinds_of(shapes: Sequence[Shape]) -> Iterator[str]:
    for shape in shapes:
        for kind in shape.kinds():
            if shape.values is not None:
                yield from (
                    "integer" if kind == "number" and isinstance(value, int) else kind
                    for value in shape.values
                    if json_type(value) == kind
                )
            else:
                yield "integer" if kind == "number" and shape.integral else kind


class SchemaWalker:
    """Finds the places of the data of one schema."""

    def __init__(self, builders: Builders) -> None:
        """Find the places of the schema that `builders` are compiled from."""
        self.builders = builders
        self.shapes = builders.shapes
        self.schema = builders.schema
        self.document = builders.schema.document

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """All places, the data itself first; a recursive schema is entered once on each way down."""
        return tuple(self._all_places())

    def _all_places(self) -> Iterator[Place]:
        root = Place("", "data", "", (), self.document, tuple(self.shapes.of(self.document)), True)
        stack: list[tuple[Place, frozenset[int]]] = [(root, frozenset())]
        seen: set[tuple[str, int]] = set()
        while stack:
            place, above = stack.pop()
            key = (place.pointer, id(place.node))
            if key in seen:
                continue
            seen.add(key)
            yield place
            if len(place.steps) >= _MAX_STEPS:
                continue
            children: list[Place] = []
            for shape in place.shapes:
                if shape.values is None and shape.ref is None:
                    children += self._children(place, shape)
            inside = above | {id(place.node)}
            stack += [(child, inside) for child in reversed(children) if id(child.node) not in inside]

    def _children(self, place: Place, shape: Shape) -> Iterator[Place]:
        if "object" in shape.types:
            yield from self._members(place, shape)
        if "array" in shape.types:
            ambiguous = _is_ambiguous(place, "array")
            room = shape.room()
            for index in range(shape.first_items):
                if room is None or index < room:
                    step = Step(shape, index, ambiguous=ambiguous)
                    yield from self._child(place, step, shape.item(index), False)
            rest = shape.first_items
            if shape.item(rest) and (room is None or rest < room):
                step = Step(shape, rest, any_item=True, ambiguous=ambiguous)
                yield from self._child(place, step, shape.item(rest), False)

    def _members(self, place: Place, shape: Shape) -> Iterator[Place]:
        ambiguous = _is_ambiguous(place, "object")
        for name in shape.declared:
            step = Step(shape, name, ambiguous=ambiguous)
            yield from self._child(place, step, shape.member(name), name in shape.required)
        for rules in shape.member_rules:
            for pattern in rules.patterns:
                example = self._matching_name(pattern)
                if example is not None:
                    step = Step(shape, None, pattern, ambiguous=ambiguous)
                    yield from self._child(place, step, shape.member(example), False)
            if isinstance(rules.additional, dict) and rules.additional:
                step = Step(shape, None, ambiguous=ambiguous)
                yield from self._child(place, step, (rules.additional,), False)

    def _matching_name(self, pattern: str) -> str | None:
        try:
            build: BuildValue = self.builders.text(Shape(patterns=[pattern]))
            return str(first_accepted(build, lambda _: True, None))
        except CannotGenerate:
            return None

    def _child(self, place: Place, step: Step, nodes: Sequence[Json], required: bool) -> Iterator[Place]:
        if False in nodes:
            return
        node = self.shapes.join(nodes)
        shapes = tuple(self.shapes.of(node))
        if not shapes:
            return
        token = "*" if step.key is None else "-" if step.any_item else step.key
        if isinstance(step.key, int):
            label = f"{place.label}[]" if step.any_item else f"{place.label}[{step.key}]"
        else:
            label = str(token) if not place.pointer else f"{place.label}.{token}"
        yield Place(
            point(place.pointer, token),
            label,
            place.parameter or str(token),
            (*place.steps, step),
            node,
            shapes,
            required,
        )


def _is_ambiguous(place: Place, kind: str) -> bool:
    """Return whether several shapes of a place describe containers of a type."""
    return sum(kind in shape.kinds() for shape in place.shapes) > 1
