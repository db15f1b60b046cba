"""The catalogue of violations: lists them place by place, each with its keyword and the value it puts in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from conformance.generation.builders import BuildValue, number_edges
from conformance.generation.builders.steps import constant, one_of
from conformance.generation.errors import Impossible
from conformance.generation.insertion_points import Place, SchemaWalker
from conformance.generation.shape import JSON_TYPES, Shape
from conformance.generation.violations.branches import broken_branches
from conformance.generation.violations.containers import bad_arrays, bad_objects
from conformance.generation.violations.numbers import bad_numbers
from conformance.generation.violations.texts import bad_texts
from conformance.generation.violations.violation import Violation
from conformance.schema.bundle import Json

__all__ = ["violation_cases"]

#: Shapes of one place whose keywords are violated.
_MAX_SHAPES = 64


class _BadValue(NamedTuple):
    """A value that violates the schema of a place."""

    rule: str
    keyword: str
    #: Names the violation at this place, for people.
    what: str
    build: BuildValue


def violation_cases(walker: SchemaWalker) -> Iterator[Violation]:
    """Yield the violations of a schema, place by place; they may not be provable."""
    for place in walker.places:
        if place.steps:
            yield from _left_out(walker, place)
        for bad in _bad_values(walker, place):
            try:
                whole = walker.builders.through(place.steps, bad.build)
            except Impossible:
                continue
            yield _violation(walker, place, bad.rule, bad.keyword, f": {bad.what}", whole, bad.build)


def _violation(
    walker: SchemaWalker,
    place: Place,
    rule: str,
    keyword: str,
    what: str,
    whole: BuildValue,
    value: BuildValue | None,
) -> Violation:
    return Violation(
        rule=rule,
        kind=f"{place.label}{what}",
        keyword=keyword,
        pointer=place.pointer,
        parameter=place.parameter,
        schema=walker.schema,
        build_data=whole,
        builders=walker.builders,
        place=place,
        build_value=value,
    )


def _left_out(walker: SchemaWalker, place: Place) -> Iterator[Violation]:
    *above, last = place.steps
    if place.required and isinstance(last.key, str):
        try:
            build = walker.builders.object(last.shape, omit={last.key}, close=False)
            whole = walker.builders.through(above, build)
        except Impossible:
            return
        yield _violation(walker, place, "REQ-7", "required", " left out", whole, None)


def _bad_values(walker: SchemaWalker, place: Place) -> Iterator[_BadValue]:
    if place.steps:
        yield from _other_types(place)
    for keyword, what, build in _other_values(place):
        yield _BadValue("REQ-9", keyword, what, build)
    for shape in place.shapes[:_MAX_SHAPES]:
        for kind in shape.kinds() if shape.values is None else ():
            try:
                yield from _bad_values_of_type(walker, shape, kind)
            except Impossible:
                continue
    for keyword, what, build in broken_branches(walker, place):
        yield _BadValue("REQ-9", keyword, what, build)


def _bad_values_of_type(walker: SchemaWalker, shape: Shape, kind: str) -> Iterator[_BadValue]:
    if kind == "number":
        for keyword, what, build in bad_numbers(shape):
            yield _BadValue("REQ-9", keyword, what, build)
    elif kind == "string":
        for keyword, what, build in bad_texts(walker.builders, shape):
            yield _BadValue("REQ-9", keyword, what, build)
    elif kind == "array":
        for keyword, what, build in bad_arrays(walker.builders, shape):
            yield _BadValue("REQ-9", keyword, what, build)
    elif kind == "object":
        for keyword, what, build in bad_objects(walker.builders, shape):
            rule = "REQ-7" if keyword == "dependentRequired" else "REQ-9"
            yield _BadValue(rule, keyword, what, build)


# --- other types --------------------------------------------------------------------------------------------

#: Further values of a wrong type, beside the first.
_MORE_OF_TYPE: dict[str, list[Json]] = {
    "string": ["", "null", "0", "[]", "a b"],
    "number": [0, -1, 1.5, 2**40],
    "array": [[None], [{}], [[]], ["x"], [1, 2]],
    "object": [{"a": 1}, {"$gt": ""}, {"id": 1}, {"": None}],
    "boolean": [False],
}


def _other_types(place: Place) -> Iterator[_BadValue]:
    kinds = place.kinds
    if "null" not in kinds:
        rule, what = ("REQ-7", "null") if place.required else ("REQ-8", f"null instead of {_listed(kinds)}")
        yield _BadValue(rule, "type", what, constant(None))
    if len({"number" if kind == "integer" else kind for kind in kinds}) == len(JSON_TYPES):
        return
    for what, value in _values_of_other_types(kinds):
        build = one_of([value, *_MORE_OF_TYPE.get(what, ())])
        if what == "fraction" and any("number" in shape.kinds() for shape in place.shapes):
            build = _fractions(place)
        yield _BadValue("REQ-8", "type", f"{what} instead of {_listed(kinds)}", build)


def _listed(kinds: frozenset[str]) -> str:
    shown = ("string", "object", "array", "integer", "number", "boolean")
    named = [kind for kind in shown if kind in kinds and not (kind == "integer" and "number" in kinds)]
    return " or ".join(named) or "null"


def _values_of_other_types(kinds: frozenset[str]) -> Iterator[tuple[str, Json]]:
    """Yield (name of the type, value) for the JSON types that are not declared."""
    numeric = bool(kinds & {"integer", "number"})
    if "string" not in kinds:
        yield "string", "5" if numeric else "true" if "boolean" in kinds else "x"
    if not numeric:
        yield "number", 5
        if "boolean" in kinds:
            yield "1", 1
            yield "0", 0
    elif "number" not in kinds:
        yield "fraction", 1.5
    if "boolean" not in kinds:
        yield "boolean", True
    if "array" not in kinds:
        yield "array", []
    if "object" not in kinds:
        yield "object", {}


def _fractions(place: Place) -> BuildValue:
    """Return the builder of numbers that are not whole, within the bounds where possible."""
    found: list[Json] = []
    for shape in place.shapes:
        if shape.values is None and "number" in shape.types:
            loose = replace(shape, integral=False, step=None)
            found += [number for _, number in number_edges(loose) if number != int(number)]
            for _, number in number_edges(shape)[:2]:
                near = number + 0.5
                if near != int(near):
                    found.append(near)
    return one_of(found or [1.5])


# --- other values -------------------------------------------------------------------------------------------


def _other_values(place: Place) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield values that are not among those that an enumeration lists."""
    listed = [shape for shape in place.shapes if shape.values is not None]
    if not listed or len(listed) < len(place.shapes):
        return
    values = [value for shape in listed for value in shape.values or ()]
    keyword = "const" if len(values) == 1 else "enum"
    word = "not the only value allowed" if len(values) == 1 else "not in the enumeration"
    for what, value in _near_values(values):
        yield keyword, f"{word} ({what})", constant(value)
    for value in values:
        if isinstance(value, dict | list):
            other = {**value, "surplus": 1} if isinstance(value, dict) else [*value, "surplus"]
            yield keyword, f"{word} (more in it)", constant(other)
            break


def _near_values(values: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield values that are close to those listed, and are none of them."""
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        first = next((text for text in texts if text.swapcase() not in texts), None)
        yield "another word", "noSuchValue"
        if first:
            yield "another case", first.swapcase()
            yield "one character more", first + "x"
        yield "empty", ""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers:
        yield "one more than the largest", max(numbers) + 1
        yield "one less than the least", min(numbers) - 1
    flags = [value for value in values if isinstance(value, bool)]
    if len(flags) == 1:
        yield "the other one", not flags[0]
