"""Makers of values, compiled once from the shapes of a schema.

A maker takes a `Source` and how deep it stands, and returns a value. Containers can be made to order: this
member in it, that one left out, so many items; so a place deep inside is reached by the makers around it.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from hypothesis.strategies import SearchStrategy

from conformance.generation.choices import Fixed, Source
from conformance.generation.samples import _MISMATCHES, CannotGenerate, _exact, _key, _lcm, unknown_format
from conformance.generation.shapes import Impossible, Shape, Shapes, grid_bounds
from conformance.generation.strings import (
    FORMATS,
    UNUSUAL,
    WORDS,
    extremes,
    from_pattern,
    is_base64,
    of_format,
    plain_text,
    settled,
    written,
)
from conformance.schema.bundle import Json, json_type
from conformance.schema.validation import Schema

__all__ = ["Make", "Makers", "Step", "number_edges"]

Make: TypeAlias = Callable[[Source, int], Json]
Refs: TypeAlias = Callable[[str], SearchStrategy[Any]]
Bind: TypeAlias = Callable[[Json], Json]

#: From here on down values are as small as may be.
_DEEP = 4
_TRIES = 12
_SAFE = 2**53 - 1
_WIDE = 10**12
#: Up to here 32 bits hold each multiple of an eighth.
_MAX_EXACT_FLOAT = 2**20

#: Names of members that nobody declared, where names are no data: camelCase, as all that comes back has to be (NAM-1).
NAMES = ("a", "key1", "toString", "constructor", "valueOf", "hasOwnProperty", "length")
#: And of those of a map, whose keys are data.
KEYS = ("a", "key1", "x-y", "Å", "a b", "0", "__proto__", "constructor", "😀", "", "a.b", "$a", "toString")


@dataclass(frozen=True)
class Step:
    """One step down: the container's shape, and the member, the item, or (None) any further one to go to.

    `pattern` tells which further member: one whose name matches it.
    """

    shape: Shape
    key: str | int | None
    pattern: str | None = None
    any_item: bool = False


def plain_number(number: Fraction) -> int | float:
    """Return a number as JSON would have it: an integer where it is one."""
    return int(number) if number.denominator == 1 else float(number)


def number_grid(shape: Shape) -> Fraction | None:
    """Return the step of which all numbers of a shape are multiples, or None."""
    grid = Fraction(1) if shape.whole else None
    if shape.step is not None:
        grid = shape.step if grid is None else _lcm(grid, shape.step)
    if grid is None and shape.is_float:
        # What 32 bits hold exactly comes back as it went in.
        return Fraction(1, 8)
    return grid


def inside(shape: Shape, number: int | float) -> bool:
    """Whether a number lies within bounds."""
    exact = _exact(number)
    if shape.low is not None and (exact < shape.low or (shape.low_open and exact == shape.low)):
        return False
    return not (shape.high is not None and (exact > shape.high or (shape.high_open and exact == shape.high)))


def number_edges(shape: Shape) -> list[tuple[str, int | float]]:
    """Return the numbers at the edges that a shape lets pass, each with what it is the edge of."""
    grid = number_grid(shape)
    found: list[tuple[str, int | float]] = []
    lowest = "exclusiveMinimum" if shape.low_open else "minimum"
    highest = "exclusiveMaximum" if shape.high_open else "maximum"
    if grid is not None:
        low, high = grid_bounds(shape, grid)
        about = "multipleOf" if shape.step is not None else "type"
        if shape.is_float:
            found += [(about, number) for number in (0.5, 0.125, 1.25, -0.5) if not shape.whole]
        if low is not None:
            found += [(lowest, plain_number(low * grid)), (about, plain_number((low + 1) * grid))]
        if high is not None:
            found += [(highest, plain_number(high * grid)), (about, plain_number((high - 1) * grid))]
        found += [(about, plain_number(n * grid)) for n in (0, 1, -1, 2)]
        top = _SAFE if grid.denominator == 1 else _WIDE
        far = (2**31 - 1, 2**31, -(2**31) - 1, 10**9, top, -top)
        found += [(about, plain_number(int(n // grid) * grid)) for n in far if shape.step is not None]
    else:
        for bound, is_open, about, way in (
            (shape.low, shape.low_open, lowest, math.inf),
            (shape.high, shape.high_open, highest, -math.inf),
        ):
            if bound is not None:
                near = float(bound)
                found.append((about, math.nextafter(near, way) if is_open else plain_number(bound)))
                found.append((about, plain_number(bound + (1 if way > 0 else -1))))
                found.append((about, float(bound + Fraction(1 if way > 0 else -1, 100))))
        found += [("type", n) for n in (0, 1, -1, 0.5, 0.1, 1e-7, 1.25, 123456.789)]
    if shape.step is None:
        far_ones = (2**31 - 1, 2**31, -(2**31) - 1, 2**32, 10**15, _SAFE, -_SAFE)
        found += [("type", n) for n in far_ones]
    seen: set[str] = set()
    kept: list[tuple[str, int | float]] = []
    for about, number in found:
        if repr(number) not in seen and abs(number) <= _SAFE * 4 and inside(shape, number):
            if shape.step is not None and _exact(number) % shape.step:
                continue
            if shape.is_float and abs(number) > _MAX_EXACT_FLOAT:
                continue
            seen.add(repr(number))
            kept.append((about, number))
    return kept


class Makers:
    """The makers of one schema's values.

    `refs` gives the strategy for identifiers of a kind (x-ref). `bind` turns a value into what is sent, where
    that is not the same: identifiers may stand for others until then. With `unusual` texts are of all sorts.
    """

    def __init__(
        self,
        schema: Schema,
        refs: Refs | None = None,
        bind: Bind | None = None,
        unusual: bool = True,
        *,
        placeholders: bool = False,
    ) -> None:
        self.schema = schema
        self.shapes = Shapes(schema)
        self.unusual = unusual
        #: Whether any text stands for one of an unknown format: in data that is invalid for another reason.
        self.placeholders = placeholders
        self._refs = refs
        self._kinds: dict[str, SearchStrategy[Any] | None] = {}
        self._bind = bind
        self._made: dict[int, Make] = {}
        #: By the identity of a schema: which way through its branches is not made.
        self.unlikely: dict[int, str] = {}

    # --- any schema

    def node(self, node: Json) -> Make:
        """Return the maker of a schema's values; raises Impossible when there are none."""
        found = self._made.get(id(node))
        if found is not None:
            return found
        self.shapes.derived(node, "kept", node)
        if self.shapes.height(node) > 90:
            why = self.shapes.why_none(node) if not self.shapes.of(node) else None
            raise why or Impossible("$ref", "it refers to itself without end")
        compiled: list[Make] = []

        def later(source: Source, depth: int) -> Json:
            return compiled[0](source, depth)

        self._made[id(node)] = later
        try:
            compiled.append(self._any(node))
        except BaseException:
            del self._made[id(node)]
            raise
        self._made[id(node)] = compiled[0]
        return compiled[0]

    def _any(self, node: Json) -> Make:
        options: list[tuple[int, str, Make]] = []
        told: Impossible | None = None
        open_ended = node is True or (isinstance(node, dict) and self.shapes.of(node)[0] == Shape())
        if open_ended:
            return _anything
        for shape in self.shapes.of(node):
            for kind in ("",) if shape.values is not None or shape.ref else shape.types:
                height = self.shapes.shape_height(shape)
                if kind:
                    height = next((h for h in range(13) if self.shapes.type_fits(shape, kind, h)), 99)
                if height > 90:
                    continue
                try:
                    make = self.one(shape, kind)
                except Impossible as why:
                    told = why
                    continue
                if shape.checks and not self._likely(make):
                    way = ", ".join(shape.ways) or kind or "a value"
                    told = Impossible("checks", f"{way}: nothing was found that the rest lets pass")
                    self.unlikely.setdefault(id(node), told.why)
                    continue
                options.append((height, kind, make))
        if not options:
            raise told or self.shapes.why_none(node)
        if len(options) == 1:
            return options[0][2]
        least = min(height for height, _, _ in options)
        nulls = [make for _, kind, make in options if kind == "null"]
        others = [make for _, kind, make in options if kind != "null"]
        every = nulls[:1] + others * (3 if nulls and len(others) < 3 else 1)
        shallow = [make for height, _, make in options if height == least]

        def either(source: Source, depth: int) -> Json:
            among = every if depth < _DEEP else shallow
            return among[source.index(len(among))](source, depth)

        return either

    @staticmethod
    def _likely(make: Make) -> bool:
        """Whether a maker that has to try again gets anywhere."""
        try:
            first_of(make, lambda _: True, None, 6)
        except CannotGenerate:
            return False
        except IndexError:
            # It leads back to what is being compiled.
            return True
        return True

    def one(self, shape: Shape, kind: str = "", *, checked: bool = True) -> Make:
        """Return the maker of a shape's values of one type."""
        make = self._plain(shape, kind or shape.kinds()[0])
        if shape.ref is not None:
            make = self._identifier(shape.ref, make)
        checks = list(shape.checks) if checked and shape.values is None else []
        if checked and kind == "array" and shape.contains:
            for node, least, most in shape.contains:
                told: dict[str, Json] = {"contains": node, "minContains": least}
                if most is not None:
                    told["maxContains"] = most
                checks.append(self.shapes.derived(node, f"contains {least} {most}", told))
        return self.guarded(make, checks) if checks else make

    def guarded(self, make: Make, checks: Sequence[Json]) -> Make:
        """Return a maker that tries again until its value passes all of the schemas."""
        tests = [self.schema.branch(node).valid for node in checks]
        bind = self._bind

        def checked(source: Source, depth: int) -> Json:
            for _ in range(_TRIES):
                source.begin()
                value = make(source, depth)
                sent = value if bind is None else bind(value)
                if all(test(sent) for test in tests):
                    source.end()
                    return value
                source.end(discard=True)
            return source.reject()

        return checked

    def _identifier(self, kind: str, make: Make) -> Make:
        if kind not in self._kinds:
            self._kinds[kind] = None if self._refs is None else self._refs(kind)
        strategy = self._kinds[kind]
        return lambda source, depth: source.identify(kind, strategy, lambda: make(source, depth))

    def _plain(self, shape: Shape, kind: str) -> Make:
        if shape.values is not None:
            values = shape.values
            if any(isinstance(value, list | dict) for value in values):
                return lambda source, depth: copy.deepcopy(values[source.index(len(values))])
            return lambda source, depth: values[source.index(len(values))]
        if kind == "null":
            return lambda source, depth: None
        if kind == "boolean":
            return lambda source, depth: source.index(2) == 1
        if kind == "number":
            return self.number(shape)
        if kind == "string":
            return self.text(shape)
        return self.array(shape) if kind == "array" else self.object(shape)

    # --- numbers

    def number(self, shape: Shape) -> Make:
        """Return the maker of a shape's numbers."""
        edges = [number for _, number in number_edges(shape)]
        grid = number_grid(shape)
        grids = [grid] if grid is not None else [Fraction(1, 10**k) for k in (0, 2, 1, 4, 9, 15)]
        ranges: list[tuple[Fraction, int, int]] = []
        for step in grids:
            low, high = grid_bounds(shape, step)
            top = int((_SAFE if step == 1 else _WIDE) // step) if step >= Fraction(1, 10**4) else _SAFE
            if shape.is_float:
                top = int(_MAX_EXACT_FLOAT // step)
            low = max(-top, high - top if high is not None and high < -top else -top) if low is None else low
            high = max(top, low + 1000) if high is None else high
            if low <= high and (grid is not None or len(ranges) < 3):
                ranges.append((step, low, high))
        if not ranges and not edges:
            raise Impossible("minimum", "no number fits between the bounds")
        if not ranges:
            return lambda source, depth: edges[source.index(len(edges))]

        def make(source: Source, depth: int) -> Json:
            way = source.index(4)
            if way == 3 and edges:
                return edges[source.index(len(edges))]
            step, low, high = ranges[source.index(len(ranges))]
            if way < 2:
                middle = min(max(0, low), high)
                low, high = max(low, middle - 1000), min(high, middle + 1000)
            return plain_number(source.integer(low, high) * step)

        return make

    # --- text

    def text(self, shape: Shape) -> Make:
        """Return the maker of a shape's texts."""
        low, high = shape.shortest, shape.longest
        if shape.unknown_formats and not self.placeholders:
            return self._given(shape)
        known = [name for name in shape.formats if name in FORMATS]
        unusual = self.unusual
        if not shape.patterns and not known:
            return lambda source, depth: plain_text(source, low, high, unusual)
        fits = self.text_fits(shape)
        if known and not shape.patterns and len(shape.formats) == 1:
            name = known[0]

            def by_format(source: Source) -> str:
                return of_format(source, name, low, high)

            make: Callable[[Source], str] = by_format
        else:
            make = self._by_pattern(shape, known, fits)

        def fitting(source: Source, depth: int) -> Json:
            for _ in range(_TRIES * 2):
                source.begin()
                text = make(source)
                if fits(text):
                    source.end()
                    return text
                source.end(discard=True)
            return source.reject()

        for seed in range(4):
            try:
                fitting(Fixed(seed), 0)
                return fitting
            except CannotGenerate:
                continue
        keyword = "pattern" if shape.patterns else "format"
        told = shape.patterns[0] if shape.patterns else shape.formats[0]
        raise Impossible(keyword, f"no text was found for {told!r} with these lengths")

    def _given(self, shape: Shape) -> Make:
        """Return the maker of the texts that the catalogue itself gives, for a format that nobody knows."""
        fits = self.text_fits(shape)
        given = [text for text in (*shape.examples, *shape.defaults) if isinstance(text, str) and fits(text)]
        if not given:
            raise Impossible("format", unknown_format(shape.unknown_formats[0]))
        return lambda source, depth: given[source.index(len(given))]

    def text_fits(self, shape: Shape) -> Callable[[str], bool]:
        """Return what says whether a text is right beyond doubt: in lengths, patterns and formats."""
        low, high, patterns = shape.shortest, shape.longest, shape.patterns
        tests: list[Callable[[str], bool]] = [
            self.schema.branch(self.shapes.derived(shape.formats, name, {"format": name})).valid
            for name in shape.formats
        ]
        if "byte" in shape.formats:
            # No validator of 2020-12 knows it, and readers differ in what else they take.
            tests.append(is_base64)

        def fits(text: str) -> bool:
            return (
                len(text) >= low
                and (high is None or len(text) <= high)
                and all(settled(pattern, text) for pattern in patterns)
                and all(test(text) for test in tests)
            )

        return fits

    def _by_pattern(
        self, shape: Shape, known: list[str], fits: Callable[[str], bool]
    ) -> Callable[[Source], str]:
        low, high = shape.shortest, shape.longest
        pattern = shape.patterns[0] if shape.patterns else ""
        pool = [text for text in shape.examples if isinstance(text, str) and fits(text)]
        for each in shape.patterns:
            for text in extremes(each, 300 if high is None else min(high, 2000)):
                if text is not None and fits(text) and text not in pool:
                    pool.append(text)
        strategy = from_pattern(pattern) if pattern else None
        can_write = bool(pattern) and written(pattern, random.Random(0), 1) is not None
        if strategy is None and not can_write and not known:
            # No engine here writes by it; ordinary texts that it matches stand for all.
            for text in (*WORDS, *UNUSUAL, *_MISMATCHES):
                if fits(text) and text not in pool:
                    pool.append(text)
            if not pool:
                raise Impossible("pattern", f"{pattern!r} cannot be read backwards")
        reaches = (2, 0, 6, max(low, 1), low + 6, 40)

        def make(source: Source) -> str:
            way = source.index(8)
            if known and (way < 5 or not (pool or pattern)):
                return of_format(source, known[source.index(len(known))], low, high)
            if way >= 6 and pool:
                return pool[source.index(len(pool))]
            if strategy is not None and (way == 5 or not can_write):
                return source.draw(strategy, lambda rng: written(pattern, rng, 2) or "")
            if can_write:
                reach = reaches[source.index(len(reaches))]
                return written(pattern, random.Random(source.integer(0, 1 << 16)), reach) or ""
            return pool[source.index(len(pool))] if pool else ""

        return make

    # --- arrays

    def array(
        self,
        shape: Shape,
        *,
        length: int | None = None,
        forced: Mapping[int, Make] | None = None,
        forced_rest: Make | None = None,
        repeat: bool = False,
    ) -> Make:
        """Return the maker of a shape's arrays.

        To order: of a `length`; with certain items (`forced_rest`: one beyond those that are spoken of one by
        one); `repeat` fills up with copies, where it is the length that counts.
        """
        forced = forced or {}
        first = shape.first_items
        fewest = max(shape.fewest, *(index + 1 for index in forced), first + 1 if forced_rest else 0, 0)
        wanted: list[Make] = []
        refused: list[Json] = []
        for node, least, most in shape.contains:
            inner = self.shapes.join([*shape.item(first), node])
            if least and length is None:
                wanted += [self.node(inner)] * least
            if most is not None:
                refused.append(self.shapes.opposite(node))
        items: list[Make] = []
        room = shape.room()
        for index in range(first + 1):
            if room is not None and index >= room:
                break
            nodes = [*shape.item(index), *(refused if index >= first else ())]
            try:
                items.append(self.node(self.shapes.join(nodes)))
            except Impossible:
                if index < shape.fewest:
                    raise
                room = index
        if wanted:
            fewest = max(fewest, first + len(wanted))
        most_items = fewest + 12 if room is None else room
        sizes = sorted(
            {n for n in (0, 1, 2, 3, 5, most_items) if fewest <= n <= min(most_items, fewest + 12)}
        )
        sizes = sorted({fewest, *(n for n in sizes if n <= max(12, fewest + 1))})
        unique = shape.unique

        def make(source: Source, depth: int) -> Json:
            count = fewest
            if length is not None:
                count = length
            elif depth < _DEEP:
                count = sizes[source.index(len(sizes))]
            at = first + source.index(count - first) if forced_rest and count > first else -1
            out: list[Json] = []
            seen: set[str] = set()
            for index in range(count):
                if index in forced or index == at:
                    chosen = forced.get(index, forced_rest)
                    assert chosen is not None
                    out.append(chosen(source, depth + 1))
                    continue
                beyond = index - first
                if 0 <= beyond < len(wanted):
                    maker = wanted[beyond]
                elif items:
                    maker = items[min(index, len(items) - 1)]
                else:
                    maker = _anything
                if repeat and out and index > 24 and not unique:
                    out.append(copy.deepcopy(out[-1]))
                    continue
                if not unique:
                    out.append(maker(source, depth + 1))
                    continue
                for _ in range(_TRIES):
                    source.begin()
                    item = maker(source, depth + 1)
                    key = _key(item)
                    source.end(discard=key in seen)
                    if key not in seen:
                        seen.add(key)
                        out.append(item)
                        break
                else:
                    if len(out) >= fewest and length is None:
                        break
                    source.reject()
            return out

        return make

    # --- objects

    def object(
        self,
        shape: Shape,
        *,
        forced: Mapping[str, Make] | None = None,
        forced_rest: tuple[str | None, Make] | None = None,
        omit: Collection[str] = (),
        optional: Literal["some", "none", "all"] = "some",
        count: int | None = None,
        close: bool = True,
    ) -> Make:
        """Return the maker of a shape's objects.

        To order: with certain members (`forced_rest`: a further one, its name by a pattern), without others,
        with some, none or all of the optional ones, of so many members; `close` adds what others require.
        """
        forced = forced or {}
        makes: dict[str, Make] = dict(forced)
        needed = [name for name in (*shape.required, *forced) if name not in omit]
        needed = list(dict.fromkeys(needed))
        for name in needed:
            if name not in makes:
                makes[name] = self.node(self.shapes.join(shape.member(name)))
        free: list[str] = []
        declared = shape.declared
        for name in declared:
            if name in makes or name in omit:
                continue
            said = shape.member(name)
            if said == (False,):
                continue
            try:
                makes[name] = self.node(self.shapes.join(said))
            except Impossible:
                continue
            free.append(name)
        closure = {name: self._closure(shape, name) for name in makes} if shape.dependent and close else {}
        free = [name for name in free if all(other in makes for other in closure.get(name, ()))]
        order = [name for name in declared if name in makes]
        order += [name for name in makes if name not in order]
        largest, least = shape.largest, shape.least
        if count is not None:
            largest, least = count, count
        namers = self._namers(shape, None if forced_rest is None else forced_rest[0])
        mapped = shape.is_map and bool(namers) and not shape.closed
        chunks = [free[i : i + 8] for i in range(0, len(free), 8)]
        has_names = bool(declared)
        # What is not declared at all is free; what is not declared beside others is nobody's business.
        open_map = (
            not has_names and not shape.is_map and bool(namers) and optional == "some" and count is None
        )

        def make(source: Source, depth: int) -> Json:
            present = dict.fromkeys(needed)
            if optional == "all":
                present |= dict.fromkeys(free)
            elif optional == "some" and depth < _DEEP:
                for chunk in chunks:
                    mask = source.index(1 << len(chunk))
                    for bit, name in enumerate(chunk):
                        if mask >> bit & 1:
                            present[name] = None
            if closure:
                for name in list(present):
                    present |= dict.fromkeys(closure.get(name, ()))
            if largest is not None and len(present) > largest:
                for name in reversed([name for name in present if name not in needed]):
                    if len(present) > largest and not any(
                        name in closure.get(other, ()) for other in present
                    ):
                        del present[name]
            if len(present) < least:
                for name in free:
                    if len(present) < least:
                        present[name] = None
                        present |= dict.fromkeys(closure.get(name, ()))
            out = {name: makes[name](source, depth + 1) for name in order if name in present}
            extra = 0
            if open_map and depth:
                extra = source.index(3) if depth < _DEEP else 0
            elif mapped and optional == "some" and depth < _DEEP and count is None:
                extra = max(0, source.index(4) - 2) if has_names else source.index(3)
            if forced_rest is not None:
                name = self._new_name(source, depth, namers, shape, out)
                out[name] = forced_rest[1](source, depth + 1)
            wanted = max(least, len(out) + extra)
            if largest is not None:
                wanted = min(wanted, largest)
            while len(out) < wanted:
                if not namers:
                    source.reject()
                name = self._new_name(source, depth, namers, shape, out)
                try:
                    value = self.node(self.shapes.join(shape.member(name)))
                except Impossible:
                    source.reject()
                out[name] = value(source, depth + 1)
            return out

        return make

    def _closure(self, shape: Shape, name: str) -> list[str]:
        found = [name]
        for each in found:
            found += [other for other in shape.dependent.get(each, ()) if other not in found]
        return found[1:]

    def _namers(self, shape: Shape, pattern: str | None) -> list[Make]:
        """Return the makers of names for members that are not declared."""
        found: list[Make] = []
        if pattern is not None:
            return [self.text(Shape(patterns=[pattern]))]
        if shape.closed and not any(group.patterns for group in shape.groups):
            return found
        if shape.names:
            string = self.shapes.derived(shape.names, "names", {"type": "string"})
            try:
                return [self.node(self.shapes.join([string, *shape.names]))]
            except Impossible:
                return found
        for group in shape.groups:
            for each in group.patterns:
                try:
                    found.append(self.text(Shape(patterns=[each])))
                except Impossible:
                    continue
        if shape.member(_STRANGE) != (False,):
            names = KEYS if shape.is_map and not shape.declared else NAMES
            found.append(lambda source, depth: names[source.index(len(names))])
            found.append(lambda source, depth: f"k{source.integer(0, 999_999)}")
        return found

    def _new_name(
        self, source: Source, depth: int, namers: list[Make], shape: Shape, out: dict[str, Json]
    ) -> str:
        names = [self.shapes.schema.branch(node).valid for node in shape.names if isinstance(node, dict)]
        for _ in range(_TRIES * 2):
            if not namers:
                break
            source.begin()
            name = namers[source.index(len(namers))](source, depth)
            fits = (
                name not in out
                and name not in shape.declared
                and shape.member(name) != (False,)
                and all(test(name) for test in names)
            )
            source.end(discard=not fits)
            if fits:
                return str(name)
        return source.reject()

    # --- deep inside

    def through(self, steps: Sequence[Step], make: Make) -> Make:
        """Return the maker of whole values that have what `make` makes at the end of the steps."""
        for step in reversed(steps):
            if isinstance(step.key, int):
                if step.any_item:
                    make = self.array(step.shape, forced_rest=make)
                else:
                    make = self.array(step.shape, forced={step.key: make})
            elif step.key is None:
                make = self.object(step.shape, forced_rest=(step.pattern, make))
            else:
                make = self.object(step.shape, forced={step.key: make})
        return make

    def simplest(self, make: Make, accept: Callable[[Json], bool], tries: int = 12) -> Json:
        """Return the first value of a maker, from simple to odd, that is accepted; raises CannotGenerate."""
        return first_of(make, accept, None, tries)


_STRANGE = "some other member"


def first_of(
    make: Make, accept: Callable[[Json], bool], resolve: Callable[[str], Json] | None, tries: int = 12
) -> Json:
    """Return the first value of a maker, from simple to odd, that is accepted; raises CannotGenerate."""
    reason = CannotGenerate("schema", "nothing was found")
    for seed in range(tries):
        try:
            value = make(Fixed(seed, resolve), 0)
        except CannotGenerate as why:
            reason = why
            continue
        if accept(value):
            return value
    raise reason


_THINGS: tuple[Json, ...] = (
    None,
    False,
    True,
    0,
    1,
    -1,
    1.5,
    "",
    "x",
    "😀",
    [],
    {},
    [1],
    {"a": 1},
    [[]],
    [None, "x"],
)


def _anything(source: Source, depth: int) -> Json:
    return copy.deepcopy(_THINGS[source.index(len(_THINGS))])


def kinds_of(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield the types that values of the shapes have, "integer" where a number must be whole."""
    for shape in shapes:
        for kind in shape.kinds():
            if shape.values is not None:
                yield from (
                    "integer" if kind == "number" and isinstance(value, int) else kind
                    for value in shape.values
                    if json_type(value) == kind
                )
            else:
                yield "integer" if kind == "number" and shape.whole else kind
