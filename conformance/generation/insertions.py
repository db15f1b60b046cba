"""Insertions: special texts, numbers and injections, put into the places of a function's data (DAT-5, DAT-6, DAT-8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from conformance.generation.builders import BuildValue, first_accepted
from conformance.generation.builders.steps import constant
from conformance.generation.case import Resolve
from conformance.generation.choices import Choices
from conformance.generation.compiled import CompiledSchema, Spec, compiled
from conformance.generation.errors import Impossible
from conformance.generation.insertion_points import Place
from conformance.generation.patterns import settled
from conformance.generation.special_values import Injection, Number, Text, received
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

__all__ = ["Insertion", "Item", "insertions"]

#: What is put into a place.
Item: TypeAlias = Text | Number | Injection


@dataclass(frozen=True)
class Insertion:
    """An item in a place that may hold it: `allowed` when the schema allows the item there.

    `ref` is the kind of object whose identifier belongs there, or None.
    """

    item: Item
    label: str
    pointer: str
    parameter: str
    allowed: bool
    ref: str | None
    _schema: Schema = field(repr=False, compare=False)
    _build: BuildValue = field(repr=False, compare=False)

    def build(self, resolve: Resolve | None = None) -> Json:
        """Return simple data with the item in its place; numbers are as `encode` writes them.

        Raises:
            CannotGenerate: the rest of the data cannot be built around the item.

        """
        return first_accepted(self._build, self._accepts, resolve)

    def _accepts(self, data: Json) -> bool:
        return self._schema.valid(received(data)) is self.allowed


def insertions(spec: Spec, items: Sequence[Item], *, forbidden: bool = False) -> Iterator[Insertion]:
    """Yield the places of a function's data that can hold each of TEXTS, NUMBERS, INJECTIONS or OPERATORS.

    Texts go where strings may stand, numbers where numbers may. An injection that is not a string goes to both. What
    the schema refuses at a place is left out, or with `forbidden` yielded with `allowed` false. Places that take one
    of a few values or an identifier hold injections alone.
    """
    schema = compiled(spec)
    for place in schema.places:
        if not place.steps:
            continue
        listed = all(shape.values is not None for shape in place.shapes)
        reachable: bool | None = None
        for item in items:
            if not isinstance(item, Injection) and (listed or place.ref):
                continue
            insertion = _insertion(schema, place, item)
            if insertion is not None and (insertion.allowed or forbidden):
                if reachable is None:
                    reachable = _is_reachable(schema, place)
                if not reachable:
                    break
                yield insertion


def _is_reachable(schema: CompiledSchema, place: Place) -> bool:
    """Return whether data can be built around a value in a place; that does not depend on the value."""
    try:
        schema.builders.through(place.steps, constant(None))
    except Impossible:
        return False
    return True


def _built_when_needed(schema: CompiledSchema, place: Place, value: Json) -> BuildValue:
    """Return the builder of data around a value; it is compiled for its first use, since most are never used."""
    compiled_builder: list[BuildValue] = []

    def build(choices: Choices, depth: int) -> Json:
        if not compiled_builder:
            compiled_builder.append(schema.builders.through(place.steps, constant(value)))
        return compiled_builder[0](choices, depth)

    return build


def _insertion(schema: CompiledSchema, place: Place, item: Item) -> Insertion | None:
    """Return the insertion of an item in a place, or None where it is of no use."""
    value = item.literal if isinstance(item, Number) else item.value
    types = {"string"} if isinstance(value, str) else {"string", "number", "integer"}
    if not place.kinds & ({"number", "integer"} if isinstance(item, Number) else types):
        return None
    allowed = schema.builders.shapes.valid(place.node, received(value))
    if isinstance(item, Number) and allowed and any(shape.is_float for shape in place.shapes):
        # 32 bits round most of these numbers, as the format says.
        return None
    if isinstance(value, str) and allowed:
        patterns = [pattern for shape in place.shapes for pattern in shape.patterns]
        if any(settled(pattern, value) is None for pattern in patterns):
            return None
    build = _built_when_needed(schema, place, value)
    return Insertion(
        item, place.label, place.pointer, place.parameter, allowed, place.ref, schema.schema, build
    )
