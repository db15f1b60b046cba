"""Boundary cases: valid data at the edges of each keyword, at each place of a schema."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

from conformance.generation.builders import BuildValue, number_edges
from conformance.generation.builders.steps import constant
from conformance.generation.case import Case
from conformance.generation.errors import Impossible
from conformance.generation.formats import FORMATS
from conformance.generation.insertion_points import Place, SchemaWalker
from conformance.generation.patterns import extremes
from conformance.generation.shape import Shape
from conformance.schema.bundle import Json, json_type

__all__ = ["MAX_BUILT_ITEMS", "MAX_BUILT_TEXT", "MAX_UNUSUAL_TEXT", "boundary_cases"]

#: Characters of the longest text, and items of the longest array, that are built to order.
MAX_BUILT_TEXT = 200_000
MAX_BUILT_ITEMS = 5_000

#: Shapes of one place whose edges are built.
_MAX_SHAPES = 64

#: Characters of the longest text of characters other than ASCII, and members of the largest object.
MAX_UNUSUAL_TEXT = 5000
_MAX_BUILT_MEMBERS = 500


def boundary_cases(walker: SchemaWalker) -> Iterator[Case]:
    """Yield the valid cases of a schema, place by place; they may not be provable."""
    yield from _Boundaries(walker).cases()


class _Boundaries:
    """Lists the edges of the shapes of one schema."""

    def __init__(self, walker: SchemaWalker) -> None:
        self.walker = walker
        self.builders = walker.builders
        self.shapes = walker.shapes

    def _case(self, place: Place, keyword: str, what: str, build: BuildValue) -> Iterator[Case]:
        try:
            whole = self.builders.through(place.steps, build)
        except Impossible:
            return
        kind = f"{place.label}: {what}"
        yield Case("DAT-1", kind, keyword, place.pointer, place.parameter, self.walker.schema, whole)

    def cases(self) -> Iterator[Case]:
        for place in self.walker.places:
            several = len(place.shapes) > 1 or len(place.kinds) > 1
            for number, shape in enumerate(place.shapes):
                for kind in shape.kinds():
                    if several and shape.values is None:
                        try:
                            build = self.builders.one(shape, kind)
                        except Impossible:
                            continue
                        what = ", ".join(shape.branches) or kind
                        keyword = shape.branches[0].split()[0] if shape.branches else "type"
                        if what != kind and len(shape.kinds()) > 1:
                            what = f"{what}, {kind}"
                        yield from self._case(place, keyword, what, build)
                    try:
                        yield from self._shape_edges(place, shape, kind)
                        yield from self._given_values(place, shape, kind)
                    except Impossible:
                        continue
                if number > _MAX_SHAPES:
                    break

    def _shape_edges(self, place: Place, shape: Shape, kind: str) -> Iterator[Case]:
        def case(keyword: str, what: str, build: BuildValue) -> Iterator[Case]:
            return self._case(place, keyword, what, build)

        if shape.values is not None:
            for value in shape.values:
                if json_type(value) == kind:
                    keyword = "const" if len(shape.values) == 1 else "enum"
                    yield from case(keyword, f"is {shown(value)}", constant(value))
        elif shape.ref is not None:
            return
        elif kind == "boolean":
            for flag in (False, True):
                yield from case("type", f"is {shown(flag)}", constant(flag))
        elif kind == "number":
            for keyword, number in number_edges(shape):
                yield from case(keyword, f"is {shown(number)}", constant(number))
        elif kind == "string":
            yield from self._text_edges(place, shape)
        elif kind == "array":
            yield from self._array_edges(place, shape)
        elif kind == "object":
            yield from self._object_edges(place, shape)

    def _text_edges(self, place: Place, shape: Shape) -> Iterator[Case]:
        low, high = shape.shortest, shape.longest
        fits = self.builders.text_fits(shape)
        if shape.unknown_formats:
            yield from self._given_texts(place, shape, fits)
            return
        top = min(high, MAX_BUILT_TEXT) if high is not None else None
        lengths = [("minLength", low), ("minLength", low + 1)]
        if top is not None:
            lengths += [("maxLength", top), ("maxLength", top - 1)]
        yield from self._text_lengths(place, shape, lengths)
        if not shape.patterns and not shape.formats and top is not None and 0 < top <= MAX_UNUSUAL_TEXT:
            # The limit counts characters, not bytes or halves of characters.
            for what, sign in (("astral characters", "😀"), ("characters of 2 bytes", "ö")):
                yield from self._case(place, "maxLength", f"{top} {what} long", constant(sign * top))
        for pattern in shape.patterns:
            for what, text in zip(
                ("shortest", "longest"), extremes(pattern, 300 if top is None else top), strict=True
            ):
                if text is not None and fits(text):
                    yield from self._case(place, "pattern", f"the {what} by the pattern", constant(text))
        for name in shape.formats:
            for text in FORMATS[name].edges if name in FORMATS else ():
                if fits(text):
                    yield from self._case(place, "format", f"{name} {shown(text)}", constant(text))
        yield from self._given_texts(place, shape, fits)

    def _text_lengths(self, place: Place, shape: Shape, lengths: list[tuple[str, int]]) -> Iterator[Case]:
        done: set[int] = set()
        for keyword, length in lengths:
            text = None if length in done or length < 0 else self.builders.text_of_length(shape, length)
            if text is not None:
                done.add(length)
                what = "empty" if length == 0 else f"{length} long"
                yield from self._case(place, keyword, what, constant(text))

    def _given_texts(self, place: Place, shape: Shape, fits: Callable[[str], bool]) -> Iterator[Case]:
        for text in shape.examples:
            if isinstance(text, str) and fits(text):
                yield from self._case(place, "examples", f"is {shown(text)}", constant(text))

    def _given_values(self, place: Place, shape: Shape, kind: str) -> Iterator[Case]:
        """Yield the examples and defaults of other types than text, and the defaults of texts."""
        if shape.values is not None or shape.ref is not None:
            return
        given = [("examples", value) for value in shape.examples if kind != "string"]
        for keyword, value in [*given, *(("default", value) for value in shape.defaults)]:
            if json_type(value) == kind and self.shapes.valid(place.node, value):
                yield from self._case(place, keyword, f"is {shown(value)}", constant(value))

    def _array_edges(self, place: Place, shape: Shape) -> Iterator[Case]:
        builders = self.builders
        room = shape.room()
        sizes = [("minItems", shape.fewest), ("minItems", shape.fewest + 1)]
        if room is not None:
            sizes += [("maxItems", room), ("maxItems", room - 1)]
        sizes += [("prefixItems", n) for n in range(shape.first_items + 1)]
        for keyword, size in sizes:
            if shape.fewest <= size <= (MAX_BUILT_ITEMS if room is None else min(room, MAX_BUILT_ITEMS)):
                build = builders.array(shape, length=size, repeat=True)
                yield from self._case(place, keyword, _items(size), build)
        for node, least, most in shape.contains:
            inner = builders.node(self.shapes.join([*shape.item(shape.first_items), node]))
            for count in dict.fromkeys(n for n in (least, least + 1, most) if n is not None and n <= 100):
                forced = {shape.first_items + index: inner for index in range(count)}
                what = f"{count} that must be there"
                build = builders.array(replace(shape, contains=[]), forced=forced)
                yield from self._case(place, "contains", what, build)

    def _object_edges(self, place: Place, shape: Shape) -> Iterator[Case]:
        builders = self.builders
        free = [name for name in shape.declared if name not in shape.required]
        if free or shape.is_map:
            ways: list[tuple[Literal["none", "all"], str]]
            ways = [("none", "no optional member"), ("all", "all optional members")]
            for optional, what in ways:
                build = builders.object(shape, optional=optional)
                yield from self._case(place, "properties", what, build)
        for name in free:
            with contextlib.suppress(Impossible):
                alone = {name: self._member(shape, name)}
                build = builders.object(shape, forced=alone, optional="none")
                yield from self._case(place, "properties", f"with {name} alone", build)
                if len(free) > 1:
                    build = builders.object(shape, omit={name}, optional="all")
                    yield from self._case(place, "properties", f"all but {name}", build)
        for name, others in shape.dependent.items():
            if name not in shape.required and name in shape.declared:
                build = builders.object(shape, forced={name: self._member(shape, name)}, optional="none")
                what = f"{name} with {', '.join(others)}"
                yield from self._case(place, "dependentRequired", what, build)
        sizes = [("minProperties", shape.least), ("minProperties", shape.least + 1)] if shape.least else []
        if shape.largest is not None:
            sizes += [("maxProperties", shape.largest), ("maxProperties", shape.largest - 1)]
        for keyword, size in sizes:
            if max(shape.least, len(shape.required)) <= size <= _MAX_BUILT_MEMBERS:
                yield from self._case(place, keyword, f"{size} members", builders.object(shape, count=size))
        yield from self._undeclared_members(place, shape)

    def _member(self, shape: Shape, name: str) -> BuildValue:
        return self.builders.node(self.shapes.join(shape.member(name)))

    def _undeclared_members(self, place: Place, shape: Shape) -> Iterator[Case]:
        builders = self.builders
        for rules in shape.member_rules:
            for pattern, node in rules.patterns.items():
                if node is not False:
                    rest = (pattern, builders.node(node))
                    build = builders.object(shape, forced_rest=rest, optional="none")
                    yield from self._case(place, "patternProperties", f"a member by {pattern}", build)
            if isinstance(rules.additional, dict):
                further = (None, builders.node(rules.additional))
                build = builders.object(shape, forced_rest=further, optional="none")
                yield from self._case(place, "additionalProperties", "a further member", build)
        if shape.names and not shape.closed:
            build = builders.object(shape, count=max(1, shape.least))
            yield from self._case(place, "propertyNames", "a name that is allowed", build)


def shown(value: Json) -> str:
    """Return the JSON of a value, shortened for people."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:28]}… ({len(text)})"


def _items(count: int) -> str:
    return "empty" if count == 0 else "1 item" if count == 1 else f"{count} items"
