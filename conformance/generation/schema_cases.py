"""Where a schema can be met at its edges, and where it can be broken: one named way each.

`Anatomy` walks all places of the data of a function. Each way in which a place can be valid at an edge, or
violate one keyword, is a maker of whole data; it is proven on data made for the purpose before it is listed.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from conformance.generation.builders import (
    Make,
    Makers,
    Step,
    first_of,
    kinds_of,
    number_edges,
    number_grid,
    plain_number,
)
from conformance.generation.choices import Source
from conformance.generation.samples import (
    _GARBLED,
    _MISMATCHES,
    CannotGenerate,
    _listed,
    _outsiders,
    _strangers,
)
from conformance.generation.shapes import EVERY, Impossible, Shape, grid_bounds
from conformance.generation.strings import FORMATS, UNUSUAL, WORDS, encode, extremes, settled, stretched
from conformance.schema.bundle import Json, json_type, point, resolve_pointer

__all__ = ["Anatomy", "Place", "Way"]

_DEEPEST = 7
#: Longer texts and lists than these are not made to order.
LONGEST_TEXT = 200_000
MOST_ITEMS = 2_000
_MANY = 64


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
        return frozenset(kinds_of(self.shapes))


@dataclass(frozen=True)
class Way:
    """One way for data to be valid at an edge, or to be invalid.

    `rule` is DAT-1 for what is valid, REQ-7, REQ-8 or REQ-9 for what is not. `kind` names it, and is the same
    in every run; `make` makes the whole of the data.
    """

    rule: str
    kind: str
    keyword: str
    pointer: str
    parameter: str
    make: Make

    @property
    def valid(self) -> bool:
        """Whether the data is valid."""
        return self.rule == "DAT-1"


def sent(value: Json) -> Json:
    """Return a value as whoever receives it reads it."""
    return json.loads(encode(value))


def put(value: Json) -> Make:
    """Return the maker of one value."""
    if isinstance(value, list | dict):
        return lambda source, depth: copy.deepcopy(value)
    return lambda source, depth: value


def choice(values: Sequence[Json]) -> Make:
    """Return the maker of one of several values."""
    return lambda source, depth: copy.deepcopy(values[source.index(len(values))])


class Anatomy:
    """The places of the data of one schema, and the ways to make and to break it."""

    def __init__(self, makers: Makers) -> None:
        self.makers = makers
        self.shapes = makers.shapes
        self.schema = makers.schema
        self.document = makers.schema.document

    # --- places

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """All places, the data itself first; what recurs is entered once on each way down."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[Place]:
        root = Place("", "data", "", (), self.document, tuple(self.shapes.of(self.document)), True)
        stack: list[tuple[Place, frozenset[int]]] = [(root, frozenset())]
        seen: set[tuple[str, int]] = set()
        while stack:
            place, path = stack.pop()
            key = (place.pointer, id(place.node))
            if key in seen:
                continue
            seen.add(key)
            yield place
            if len(place.steps) >= _DEEPEST:
                continue
            below: list[Place] = []
            for shape in place.shapes:
                if shape.values is None and shape.ref is None:
                    below += self._children(place, shape)
            inside = path | {id(place.node)}
            stack += [(child, inside) for child in reversed(below) if id(child.node) not in inside]

    def _children(self, place: Place, shape: Shape) -> Iterator[Place]:
        if "object" in shape.types:
            for name in shape.declared:
                yield from self._child(place, Step(shape, name), shape.member(name), name in shape.required)
            for group in shape.groups:
                for pattern in group.patterns:
                    found = self._name_by(pattern)
                    if found is not None:
                        yield from self._child(place, Step(shape, None, pattern), shape.member(found), False)
                if isinstance(group.additional, dict) and group.additional:
                    yield from self._child(place, Step(shape, None), (group.additional,), False)
        if "array" in shape.types:
            room = shape.room()
            for index in range(shape.first_items):
                if room is None or index < room:
                    yield from self._child(place, Step(shape, index), shape.item(index), False)
            rest = shape.first_items
            if shape.item(rest) and (room is None or rest < room):
                yield from self._child(place, Step(shape, rest, any_item=True), shape.item(rest), False)

    def _name_by(self, pattern: str) -> str | None:
        try:
            return str(first_of(self.makers.text(Shape(patterns=[pattern])), lambda _: True, None))
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

    def _way(self, rule: str, place: Place, keyword: str, told: str, make: Make) -> Iterator[Way]:
        try:
            whole = self.makers.through(place.steps, make)
        except Impossible:
            return
        yield Way(rule, f"{place.label}: {told}", keyword, place.pointer, place.parameter, whole)

    # --- proven

    def accepts(self, way: Way) -> Callable[[Json], bool]:
        """Return what says whether data is as a way means it, judged as whoever receives it reads it."""
        return lambda value: self.schema.valid(sent(value)) is way.valid

    def _proven(self, ways: Iterator[Way]) -> Iterator[Way]:
        seen: set[str] = set()
        for way in ways:
            if way.kind in seen:
                continue
            try:
                first_of(way.make, self.accepts(way), None, 8)
            except (CannotGenerate, RecursionError):
                continue
            seen.add(way.kind)
            yield way

    @cached_property
    def edges(self) -> tuple[Way, ...]:
        """The ways to be valid at an edge."""
        return tuple(self._proven(self._edges()))

    @cached_property
    def violations(self) -> tuple[Way, ...]:
        """The ways to violate one keyword at one place."""
        return tuple(self._proven(self._violations()))

    # --- edges

    def _edges(self) -> Iterator[Way]:
        for place in self.places:
            several = len(place.shapes) > 1 or len(place.kinds) > 1
            for number, shape in enumerate(place.shapes):
                for kind in shape.kinds():
                    if several and shape.values is None:
                        try:
                            make = self.makers.one(shape, kind)
                        except Impossible:
                            continue
                        told = ", ".join(shape.ways) or kind
                        keyword = shape.ways[0].split()[0] if shape.ways else "type"
                        if told != kind and len(shape.kinds()) > 1:
                            told = f"{told}, {kind}"
                        yield from self._way("DAT-1", place, keyword, told, make)
                    try:
                        yield from self._shape_edges(place, shape, kind)
                    except Impossible:
                        continue
                if number > _MANY:
                    break

    def _shape_edges(self, place: Place, shape: Shape, kind: str) -> Iterator[Way]:
        def way(keyword: str, told: str, make: Make) -> Iterator[Way]:
            return self._way("DAT-1", place, keyword, told, make)

        if shape.values is not None:
            for value in shape.values:
                if json_type(value) == kind:
                    keyword = "const" if len(shape.values) == 1 else "enum"
                    yield from way(keyword, f"is {_shown(value)}", put(value))
        elif shape.ref is not None:
            return
        elif kind == "boolean":
            for flag in (False, True):
                yield from way("type", f"is {_shown(flag)}", put(flag))
        elif kind == "number":
            for keyword, number in number_edges(shape):
                yield from way(keyword, f"is {_shown(number)}", put(number))
        elif kind == "string":
            yield from self._text_edges(place, shape)
        elif kind == "array":
            yield from self._array_edges(place, shape)
        elif kind == "object":
            yield from self._object_edges(place, shape)

    def _text_edges(self, place: Place, shape: Shape) -> Iterator[Way]:
        low, high = shape.shortest, shape.longest
        fits = self.makers.text_fits(shape)
        if shape.unknown_formats:
            yield from self._given_texts(place, shape, fits)
            return
        top = min(high, LONGEST_TEXT) if high is not None else None
        lengths = [("minLength", low), ("minLength", low + 1)]
        if top is not None:
            lengths += [("maxLength", top), ("maxLength", top - 1)]
        done: set[int] = set()
        for keyword, length in lengths:
            text = None if length in done or length < 0 else self._of_length(shape, length, fits)
            if text is not None:
                done.add(length)
                told = "empty" if length == 0 else f"{length} long"
                yield from self._way("DAT-1", place, keyword, told, put(text))
        if not shape.patterns and not shape.formats and top is not None and 0 < top <= 5000:
            # The limit counts characters, not bytes or halves of characters.
            for told, sign in (("astral characters", "😀"), ("characters of 2 bytes", "ö")):
                yield from self._way("DAT-1", place, "maxLength", f"{top} {told} long", put(sign * top))
        for pattern in shape.patterns:
            for told, text in zip(
                ("shortest", "longest"), extremes(pattern, 300 if top is None else top), strict=True
            ):
                if text is not None and fits(text):
                    yield from self._way("DAT-1", place, "pattern", f"the {told} by the pattern", put(text))
        for name in shape.formats:
            for text in FORMATS.get(name, ((), None))[0]:
                if fits(text):
                    yield from self._way("DAT-1", place, "format", f"{name} {_shown(text)}", put(text))
        yield from self._given_texts(place, shape, fits)

    def _given_texts(self, place: Place, shape: Shape, fits: Callable[[str], bool]) -> Iterator[Way]:
        for text in shape.examples:
            if isinstance(text, str) and fits(text):
                yield from self._way("DAT-1", place, "examples", f"is {_shown(text)}", put(text))

    def _of_length(self, shape: Shape, length: int, fits: Callable[[str], bool]) -> str | None:
        """Return a fitting text of exactly a length."""
        narrow = replace(shape, shortest=length, longest=length)
        tries = [
            stretched("conform ", length, length),
            "x" * length,
            "a" * length,
            "0" * length,
            "A" * length,
        ]
        for text in tries:
            if fits(text):
                return text
        if length > 5000:
            return None
        try:
            exact = self.makers.text(narrow)
            return str(first_of(exact, lambda text: len(text) == length and fits(text), None, 6))
        except CannotGenerate:
            pass
        for pattern in shape.patterns:
            longest = extremes(pattern, length)[1]
            if longest is not None and len(longest) == length and fits(longest):
                return longest
        return None

    def _array_edges(self, place: Place, shape: Shape) -> Iterator[Way]:
        makers = self.makers
        room = shape.room()
        sizes = [("minItems", shape.fewest), ("minItems", shape.fewest + 1)]
        if room is not None:
            sizes += [("maxItems", room), ("maxItems", room - 1)]
        sizes += [("prefixItems", n) for n in range(shape.first_items + 1)]
        for keyword, size in sizes:
            if shape.fewest <= size <= (MOST_ITEMS if room is None else min(room, MOST_ITEMS)):
                make = makers.array(shape, length=size, repeat=True)
                yield from self._way("DAT-1", place, keyword, _items(size), make)
        for node, least, most in shape.contains:
            inner = makers.node(self.shapes.join([*shape.item(shape.first_items), node]))
            for count in dict.fromkeys(n for n in (least, least + 1, most) if n is not None and n <= 100):
                forced = {shape.first_items + index: inner for index in range(count)}
                told = f"{count} that must be there"
                make = makers.array(replace(shape, contains=[]), forced=forced)
                yield from self._way("DAT-1", place, "contains", told, make)

    def _object_edges(self, place: Place, shape: Shape) -> Iterator[Way]:
        makers = self.makers

        def way(keyword: str, told: str, make: Make) -> Iterator[Way]:
            return self._way("DAT-1", place, keyword, told, make)

        free = [name for name in shape.declared if name not in shape.required]
        if free or shape.is_map:
            yield from way("properties", "no optional member", makers.object(shape, optional="none"))
            yield from way("properties", "all optional members", makers.object(shape, optional="all"))
        for name in free:
            try:
                alone = makers.node(self.shapes.join(shape.member(name)))
                yield from way(
                    "properties",
                    f"with {name} alone",
                    makers.object(shape, forced={name: alone}, optional="none"),
                )
                if len(free) > 1:
                    yield from way(
                        "properties",
                        f"all but {name}",
                        makers.object(shape, omit={name}, optional="all"),
                    )
            except Impossible:
                continue
        for name, others in shape.dependent.items():
            if name not in shape.required and name in shape.declared:
                with_it = makers.object(
                    shape, forced={name: makers.node(self.shapes.join(shape.member(name)))}, optional="none"
                )
                yield from way("dependentRequired", f"{name} with {', '.join(others)}", with_it)
        sizes = [("minProperties", shape.least), ("minProperties", shape.least + 1)] if shape.least else []
        if shape.largest is not None:
            sizes += [("maxProperties", shape.largest), ("maxProperties", shape.largest - 1)]
        for keyword, size in sizes:
            if max(shape.least, len(shape.required)) <= size <= 500:
                yield from way(keyword, f"{size} members", makers.object(shape, count=size))
        for group in shape.groups:
            for pattern, node in group.patterns.items():
                if node is not False:
                    inner = makers.node(node)
                    yield from way(
                        "patternProperties",
                        f"a member by {pattern}",
                        makers.object(shape, forced_rest=(pattern, inner), optional="none"),
                    )
            if isinstance(group.additional, dict):
                inner = makers.node(group.additional)
                yield from way(
                    "additionalProperties",
                    "a further member",
                    makers.object(shape, forced_rest=(None, inner), optional="none"),
                )
        if shape.names and not shape.closed:
            yield from way(
                "propertyNames", "a name that is allowed", makers.object(shape, count=max(1, shape.least))
            )

    # --- violations

    def _violations(self) -> Iterator[Way]:
        for place in self.places:
            if place.steps:
                yield from self._absent(place)
                yield from self._other_types(place)
            yield from self._other_values(place)
            for shape in place.shapes[:_MANY]:
                for kind in shape.kinds() if shape.values is None else ():
                    try:
                        yield from self._past(place, shape, kind)
                    except Impossible:
                        continue
            yield from self._branches(place)

    def _absent(self, place: Place) -> Iterator[Way]:
        *above, last = place.steps
        if place.required and isinstance(last.key, str):
            try:
                make = self.makers.object(last.shape, omit={last.key}, close=False)
                whole = self.makers.through(above, make)
            except Impossible:
                return
            yield Way("REQ-7", f"{place.label} left out", "required", place.pointer, place.parameter, whole)

    def _other_types(self, place: Place) -> Iterator[Way]:
        kinds = place.kinds
        if "null" not in kinds:
            told = "null" if place.required else f"null instead of {_listed(kinds)}"
            rule = "REQ-7" if place.required else "REQ-8"
            yield from self._way(rule, place, "type", told, put(None))
        if len({"number" if kind == "integer" else kind for kind in kinds}) == len(EVERY):
            return
        for told, value in _strangers(kinds):
            make = put(value)
            if told == "fraction" and any("number" in shape.kinds() for shape in place.shapes):
                make = self._fractions(place)
            elif told in _OTHERS:
                make = choice([value, *_OTHERS[told]])
            yield from self._way("REQ-8", place, "type", f"{told} instead of {_listed(kinds)}", make)

    def _fractions(self, place: Place) -> Make:
        """Return the maker of numbers that are not whole, within bounds where that can be."""
        found: list[Json] = []
        for shape in place.shapes:
            if shape.values is None and "number" in shape.types:
                loose = replace(shape, whole=False, step=None)
                found += [n for _, n in number_edges(loose) if n != int(n)]
                for _, number in number_edges(shape)[:2]:
                    near = number + 0.5
                    if near != int(near):
                        found.append(near)
        return choice(found or [1.5])

    def _other_values(self, place: Place) -> Iterator[Way]:
        listed = [shape for shape in place.shapes if shape.values is not None]
        if not listed or len(listed) < len(place.shapes):
            return
        values = [value for shape in listed for value in shape.values or ()]
        keyword = "const" if len(values) == 1 else "enum"
        word = "not the only value allowed" if len(values) == 1 else "not in the enumeration"
        for told, value in _outsiders(values):
            yield from self._way("REQ-9", place, keyword, f"{word} ({told})", put(value))
        for value in values:
            if isinstance(value, dict | list):
                other = {**value, "surplus": 1} if isinstance(value, dict) else [*value, "surplus"]
                yield from self._way("REQ-9", place, keyword, f"{word} (more in it)", put(other))
                break

    def _past(self, place: Place, shape: Shape, kind: str) -> Iterator[Way]:
        def way(keyword: str, told: str, make: Make) -> Iterator[Way]:
            return self._way("REQ-9", place, keyword, told, make)

        if kind == "number":
            for keyword, told, make in _bad_numbers(shape):
                yield from way(keyword, told, make)
        elif kind == "string":
            for keyword, told, make in self._bad_texts(shape):
                yield from way(keyword, told, make)
        elif kind == "array":
            for keyword, told, make in self._bad_arrays(shape):
                yield from way(keyword, told, make)
        elif kind == "object":
            for rule, keyword, told, make in self._bad_objects(shape):
                yield from self._way(rule, place, keyword, told, make)

    def _bad_texts(self, shape: Shape) -> Iterator[tuple[str, str, Make]]:
        low, high = shape.shortest, shape.longest
        base = replace(shape, shortest=0, longest=None)
        if low > 0:
            told = "empty" if low == 1 else f"shorter than {low}"
            yield "minLength", told, self._too_short(base, low)
        if high is not None and high < LONGEST_TEXT:
            one = self._of_length(base, high + 1, self.makers.text_fits(base))
            texts = [text for text in (one, "x" * (high + 1)) if text is not None]
            yield "maxLength", f"longer than {high}", put(texts[0])
            much = min(high * 10 + 1000, LONGEST_TEXT)
            yield "maxLength", f"much longer than {high}", put(stretched(texts[0], much, much))
            if not shape.patterns and not shape.formats:
                yield "maxLength", f"longer than {high}, astral characters", put("😀" * (high + 1))
        for name in shape.formats:
            for told, text in _GARBLED.get(name, ()):
                if self._else_fits(replace(shape, formats=[]), text):
                    yield "format", f"no {name} ({told})", put(text)
        for pattern in shape.patterns:
            rest = replace(shape, patterns=[p for p in shape.patterns if p != pattern], formats=[])
            found = [
                text
                for text in (*_MISMATCHES, *WORDS, *UNUSUAL)
                if settled(pattern, text) is False and self._else_fits(rest, text)
            ]
            for number, text in enumerate(found[:3], 1):
                yield "pattern", f"does not match the pattern ({number})", put(text)
            near = self._near_misses(pattern, rest)
            if near:
                yield "pattern", "does not match the pattern (one sign off)", choice(near)
            if found[3:]:
                yield "pattern", "does not match the pattern", choice(found[3:])

    def _too_short(self, base: Shape, low: int) -> Make:
        fits = self.makers.text_fits(base)
        text = self._of_length(base, low - 1, fits)
        return put(text if text is not None else "x" * (low - 1))

    def _else_fits(self, rest: Shape, text: str) -> bool:
        return self.makers.text_fits(rest)(text)

    def _near_misses(self, pattern: str, rest: Shape) -> list[Json]:
        """Return texts that match but for one sign."""
        short, long = extremes(pattern, min(40, 40 if rest.longest is None else rest.longest))
        found: dict[str, None] = {}
        for text in (short, long):
            if text is None:
                continue
            for other in (f"{text}!", f"!{text}", f"{text[:-1]}!", f" {text}", f"{text} ", text.swapcase()):
                found[other] = None
            if text:
                found[text + text[-1]] = None
                found[text[:-1]] = None
            if len(text) > 1:
                found[f"{text[: len(text) // 2]}\t{text[len(text) // 2 + 1 :]}"] = None
        return [text for text in found if settled(pattern, text) is False and self._else_fits(rest, text)]

    def _bad_arrays(self, shape: Shape) -> Iterator[tuple[str, str, Make]]:
        makers = self.makers
        low, high = shape.fewest, shape.room()
        bare = replace(shape, fewest=0, most=None, contains=[], checks=[])
        if low > 0:
            told = "empty" if low == 1 else f"fewer than {low} items"
            yield "minItems", told, makers.array(bare, length=low - 1)
        if high is not None and high < MOST_ITEMS:
            closed = shape.most is None or shape.item(shape.most) == (False,)
            if not (closed and shape.item(high) == (False,)):
                make = makers.array(bare, length=high + 1, repeat=True)
                yield "maxItems", f"more than {high} items", make
            else:
                extra = replace(bare, lists=[], closed_items=False)
                full = makers.array(replace(shape, contains=[], checks=[]), length=high)
                more = makers.array(extra, length=1)
                yield "items", f"an item past the first {high}", _added(full, more)
        if shape.unique and (high is None or high > 1):
            yield "uniqueItems", "an item twice", self._twins(shape)
        for node, least, most in shape.contains:
            away = self.shapes.opposite(node)
            lists: list[tuple[list[Json], Json]] = [
                ([], self.shapes.join([*shape.item(shape.first_items), away]))
            ]
            none = replace(shape, contains=[], checks=[], lists=lists)
            if least:
                told = (
                    "without an item that must be there" if least == 1 else f"fewer than {least} such items"
                )
                if least > 1:
                    inner = makers.node(self.shapes.join([*shape.item(shape.first_items), node]))
                    few = makers.array(none, forced=dict.fromkeys(range(least - 1), inner))
                    yield "contains", told, few
                else:
                    yield "contains", told, makers.array(none)
            if most is not None and most < MOST_ITEMS:
                inner = makers.node(self.shapes.join([*shape.item(shape.first_items), node]))
                first = shape.first_items
                many = dict.fromkeys(range(first, first + most + 1), inner)
                bare_list = replace(shape, contains=[], checks=[])
                yield "maxContains", f"more than {most} such items", makers.array(bare_list, forced=many)

    def _twins(self, shape: Shape) -> Make:
        room = shape.room()
        least = max(1, shape.fewest - 1)
        make = self.makers.array(replace(shape, checks=[]), length=least)

        def twice(source: Source, depth: int) -> Json:
            items = make(source, depth)
            twin = copy.deepcopy(items[source.index(len(items))])
            if room is not None and len(items) >= room:
                items[-1] = twin
            else:
                items.append(twin)
            return items

        return twice

    def _bad_objects(self, shape: Shape) -> Iterator[tuple[str, str, str, Make]]:
        makers = self.makers
        low, high = shape.least, shape.largest
        if low > len(shape.required):
            few = replace(shape, least=0, checks=[])
            yield "REQ-9", "minProperties", f"fewer than {low} members", makers.object(few, count=low - 1)
        if high is not None and high < MOST_ITEMS:
            many = replace(shape, largest=None, checks=[])
            yield "REQ-9", "maxProperties", f"more than {high} members", makers.object(many, count=high + 1)
        for name, others in shape.dependent.items():
            for other in others:
                if other in shape.required or shape.member(name) == (False,):
                    continue
                inner = makers.node(self.shapes.join(shape.member(name)))
                loose = replace(shape, dependent={})
                yield (
                    "REQ-7",
                    "dependentRequired",
                    f"{name} without {other}",
                    makers.object(loose, forced={name: inner}, omit={other}),
                )
        surplus = "surplusMember"
        if surplus not in shape.declared and shape.member(surplus) == (False,):
            keyword = "unevaluatedProperties" if shape.closed else "additionalProperties"
            open_one = replace(
                shape, groups=[replace(g, additional=None) for g in shape.groups], closed=False
            )
            yield (
                "REQ-9",
                keyword,
                "an undeclared member",
                makers.object(open_one, forced={surplus: put(1)}),
            )
        for name in shape.forbidden:
            freed = replace(shape, forbidden={k: None for k in shape.forbidden if k != name}, checks=[])
            nodes = freed.member(name)
            if nodes != (False,):
                inner = makers.node(self.shapes.join(nodes))
                told = f"with {name}, which may not be there"
                yield "REQ-9", "not", told, makers.object(freed, forced={name: inner})
        for group in shape.groups:
            for pattern, node in group.patterns.items():
                if node is False:
                    open_one = replace(
                        shape, groups=[replace(g, patterns={}, additional=None) for g in shape.groups]
                    )
                    told = f"a member by {pattern}"
                    make = makers.object(open_one, forced_rest=(pattern, put(1)))
                    yield "REQ-9", "patternProperties", told, make
        for number, bad in enumerate(self._bad_names(shape), 1):
            loose = replace(shape, names=[])
            nodes = loose.member(bad)
            inner = makers.node(self.shapes.join(nodes)) if nodes != (False,) else put(1)
            told = f"a member name that is not allowed ({number})"
            yield "REQ-9", "propertyNames", told, makers.object(loose, forced={bad: inner})

    def _bad_names(self, shape: Shape) -> list[str]:
        found: list[str] = []
        for node in shape.names:
            if isinstance(node, bool):
                continue
            test = self.schema.branch(node).valid
            patterns = [part["pattern"] for part in self._parts(node) if "pattern" in part]
            names = ["", "not a name", "Surplus", "x", "0", "-", "é", "y" * 300]
            found += [
                name
                for name in names
                if not test(name) and all(settled(pattern, name) is not None for pattern in patterns)
            ]
        return list(dict.fromkeys(found))[:3]

    # --- branches

    def _parts(self, node: Json) -> list[dict[str, Json]]:
        """Return the schemas that always speak of a place."""
        found: list[dict[str, Json]] = []
        stack = [node]
        while stack:
            each = stack.pop()
            if not isinstance(each, dict) or any(each is part for part in found):
                continue
            found.append(each)
            if "$ref" in each:
                stack.append(resolve_pointer(self.document, each["$ref"][1:]))
            stack += reversed(each.get("allOf", ()))
        return found

    def _branches(self, place: Place) -> Iterator[Way]:
        """Yield the violations of keywords that join schemas: all else that is said of the place is kept."""
        parts = self._parts(place.node)
        for part in parts:
            others = [other for other in parts if other is not part]
            rest = {key: value for key, value in part.items() if key not in _JOINING}
            plain = [{k: v for k, v in other.items() if k not in ("$ref", "allOf")} for other in others]
            for keyword, told, wanted in _broken_branches(part):
                kept = {key: value for key, value in part.items() if key in _JOINING and key not in wanted[1]}
                for key in ("$ref", "allOf"):
                    kept.pop(key, None)
                whole = {"allOf": [rest, kept, *plain, *wanted[0]]}
                self.shapes.keep(whole)
                try:
                    make = self.makers.node(whole)
                except Impossible:
                    continue
                yield from self._way("REQ-9", place, keyword, told, make)


_JOINING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
_IF = ("if", "then", "else")

#: Further values of another type, tried beside the first.
_OTHERS: dict[str, list[Json]] = {
    "string": ["", "null", "0", "[]", "a b"],
    "number": [0, -1, 1.5, 2**40],
    "array": [[None], [{}], [[]], ["x"], [1, 2]],
    "object": [{"a": 1}, {"$gt": ""}, {"id": 1}, {"": None}],
    "boolean": [False],
}


def _broken_branches(
    part: dict[str, Json],
) -> Iterator[tuple[str, str, tuple[list[Json], tuple[str, ...]]]]:
    """Yield (keyword, what is wrong, (what holds instead, the keywords it replaces))."""
    if isinstance(part.get("not"), dict):
        yield "not", "what must not be", ([part["not"]], ("not",))
    if "if" in part:
        if "then" in part:
            yield "then", "not as the condition asks", ([part["if"], {"not": part["then"]}], _IF)
        if "else" in part:
            yield (
                "else",
                "not as asked where the condition fails",
                ([{"not": part["if"]}, {"not": part["else"]}], _IF),
            )
    if "anyOf" in part:
        yield "anyOf", "none of the alternatives", ([{"not": {"anyOf": part["anyOf"]}}], ("anyOf",))
    branches = part.get("oneOf", [])
    if branches:
        yield "oneOf", "none of the alternatives", ([{"not": {"anyOf": branches}}], ("oneOf",))
    for one in range(min(len(branches), 5)):
        for other in range(one + 1, min(len(branches), 5)):
            yield (
                "oneOf",
                f"alternatives {one + 1} and {other + 1} at once",
                ([branches[one], branches[other]], ("oneOf",)),
            )
    for name, child in part.get("dependentSchemas", {}).items():
        yield (
            "dependentSchemas",
            f"{name}, and not what it asks for",
            ([{"type": "object", "required": [name]}, {"not": child}], ("dependentSchemas",)),
        )


def _bad_numbers(shape: Shape) -> Iterator[tuple[str, str, Make]]:
    """Yield (keyword, what is wrong, maker) for numbers outside of each bound, and off the grid."""
    grid = number_grid(shape)
    by = grid or Fraction(1, 100)
    if shape.is_float:
        yield "format", "more than a float holds", choice([10**39, -(10**39)])
    for bound, is_open, way in ((shape.low, shape.low_open, -1), (shape.high, shape.high_open, 1)):
        if bound is None:
            continue
        word = ("below", "not above") if way < 0 else ("above", "not below")
        keyword = ("minimum", "exclusiveMinimum") if way < 0 else ("maximum", "exclusiveMaximum")
        edge = Fraction(math.floor(bound / by) if way > 0 else math.ceil(bound / by)) * by
        nearest = edge if is_open else edge + way * by
        if is_open and (edge * way) < bound * way:
            nearest = edge + way * by
        told = f"{word[is_open]} {plain_number(bound)}"
        near = [plain_number(nearest)]
        if grid is None and not is_open:
            near.append(math.nextafter(float(bound), math.inf * way))
        yield keyword[is_open], told, choice(near)
        far = [nearest + way * by * count for count in (1, 10, 10**6, 10**10)]
        yield (
            keyword[is_open],
            f"far {'below' if way < 0 else 'above'} {plain_number(bound)}",
            choice([plain_number(number) for number in far]),
        )
    if shape.step is not None:
        low, high = grid_bounds(shape, grid or shape.step)
        unit = grid or shape.step
        bases = [n for n in (1, 0, low, None if high is None else high - 1, 7) if n is not None]
        off: list[Json] = []
        for base in bases:
            if (low is not None and base < low) or (high is not None and base >= high):
                continue
            for part in (Fraction(1), shape.step / 2, shape.step / 4, shape.step / 3, shape.step / 10):
                number = base * unit + part
                exact = plain_number(number)
                if (number / shape.step).denominator == 1 or (shape.whole and number.denominator != 1):
                    continue
                if Fraction(repr(exact)) / shape.step != int(Fraction(repr(exact)) / shape.step):
                    off.append(exact)
        if off:
            told = f"not a multiple of {plain_number(shape.step)}"
            yield "multipleOf", told, choice(off)


def _added(make: Make, more: Make) -> Make:
    return lambda source, depth: [*make(source, depth), *more(source, depth)]


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:28]}… ({len(text)})"


def _items(count: int) -> str:
    return "empty" if count == 0 else "1 item" if count == 1 else f"{count} items"
