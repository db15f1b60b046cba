"""The grid of what has to come back: places of a function's data × families of telling values, as a list of calls.

It is planned from the schema and from one valid example before anything is sent, so the same catalogue gives the same
plan. Each call carries one value at each place. The values are shifted from place to place, so that each place gets
each value once, and an alteration that depends on the value shows in another call than one that depends on the place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from conformance.catalog.model import Method
from conformance.generation.boundaries import MAX_UNUSUAL_TEXT
from conformance.generation.compiled import compiled
from conformance.generation.data_walker import LocatedValue, Path, located_values, replaced
from conformance.generation.patterns import settled
from conformance.generation.special_values import Literal, received
from conformance.generation.telling_values import (
    EMPTY,
    FORMAT_TEXTS,
    INSIDE,
    INSIDE_UNUSUAL,
    NUMBER_FAMILIES,
    PART_FAMILIES,
    RARE_CHARACTERS,
    SIZE_FAMILIES,
    WHOLE_FAMILIES,
    is_long,
)
from conformance.schema.bundle import Json, json_type

__all__ = [
    "ARRAY_FAMILY",
    "EMPTY_FAMILY",
    "MIXTURE_FAMILY",
    "UNUSUAL_MIXTURE_FAMILY",
    "Cell",
    "GridRound",
    "carrying",
    "grid_cells",
    "grid_rounds",
    "rare_rounds",
]

T = TypeVar("T")

#: The family of values that languages take for nothing.
EMPTY_FAMILY = "an empty value"

#: The families of mixtures of texts: of ordinary ones, and of those that a target may refuse.
MIXTURE_FAMILY = "several texts together"
UNUSUAL_MIXTURE_FAMILY = "several unusual texts together"

#: The family of arrays whose order, equal items and length show what is done to them.
ARRAY_FAMILY = "several items"

#: Families of texts that stand in the mixtures as well: how many of them each place gets alone, where not all are sent.
_PARTS_ALONE = 2

#: Values of a family, from its beginning, of which each place gets one in turn where not all are sent.
_MOST_TELLING = 3

#: Values of a family that each place gets where all families are sent in full.
_MOST_OF_A_FAMILY = 6

#: Long texts in one call: together they stay far below a megabyte, which is the ordinary size of a request.
_MAX_LONG_TEXTS = 4

#: Bytes of a text that no target may refuse for its size.
_MAX_BYTES = 60_000

#: Values at the edges of one place.
_MAX_EDGES = 12

#: Words and numbers from which arrays are made.
_ITEMS: Sequence[Json] = ("b", "a", "D", "c", "B2", "A1", "D4", "C3", "7300000000017", 3, 1, 4, 2, 0.5)


@dataclass(frozen=True)
class Cell:
    """One value of a family at one place: `path` leads to it in the example, `label` and `pointer` in the schema."""

    path: Path
    label: str
    pointer: str
    family: str
    value: Json
    #: Whether the value is an edge of what the schema allows, so that no target may refuse it.
    edge: bool = False
    #: The schema of the place.
    node: Json = field(default=True, repr=False, compare=False)

    @property
    def parameter(self) -> str:
        """The argument that the place belongs to."""
        return str(self.path[0])


#: The cells that one call carries.
GridRound = list[Cell]


def grid_cells(
    method: Method,
    example: dict[str, Json],
    *,
    turn: int,
    every: bool,
    edges: Mapping[str, Sequence[tuple[str, Json]]] = MappingProxyType({}),
    identifiers: Mapping[str, Sequence[Json]] = MappingProxyType({}),
) -> list[list[Cell]]:
    """Return, for each place of a function's data, the cells that the schema admits there.

    With `every` they are the values of all families. Without, they are the most telling value of each family, and of
    families that mixtures carry as well some in turn, others for the next place and the next `turn`. `edges` are
    (keyword, value) at the edges of each place, by its pointer; `identifiers` are of objects of a kind, for arrays.
    """
    found: list[list[Cell]] = []
    for number, located in enumerate(located_values(method, example)):
        if located.place.ref is not None:
            continue
        families = list(_families(method, located, turn + number, every))
        if isinstance(located.value, list):
            families.append((ARRAY_FAMILY, _arrays(method, located, identifiers), False))
        empty = {repr(value) for family, values, _ in families if family == EMPTY_FAMILY for value in values}
        known = edges.get(located.place.pointer, ())
        families += [
            (keyword, [value], True)
            for keyword, value in known[:_MAX_EDGES]
            if value != located.value and repr(value) not in empty
        ]
        cells = list(_cells(located, families))
        if cells:
            found.append(cells)
    return found


def _cells(located: LocatedValue, families: Sequence[tuple[str, Sequence[Json], bool]]) -> Iterator[Cell]:
    """Yield the cells of one place; the first value of each family comes before the second of any."""
    place = located.place
    done: set[str] = set()
    for family, value, edge in _interleaved(
        [[(name, v, edge) for v in values] for name, values, edge in families]
    ):
        key = repr(value)
        if key not in done:
            done.add(key)
            yield Cell(located.path, place.label, place.pointer, family, value, edge, place.node)


def _families(
    method: Method, located: LocatedValue, turn: int, every: bool
) -> Iterator[tuple[str, Sequence[Json], bool]]:
    """Yield (family, admitted values, whether they are edges) of one place."""
    value = located.value

    def some(
        family: str, values: Sequence[Json], *, in_turn: bool = False
    ) -> tuple[str, Sequence[Json], bool]:
        fitting = [each for each in values if _admits(method, located, each)]
        if every:
            return family, fitting[:_MOST_OF_A_FAMILY], False
        telling = fitting[:_MOST_TELLING] if in_turn else fitting[:1]
        return family, telling[turn % len(telling) :][:1] if telling else (), False

    if isinstance(value, str):
        mixtures, complete = _mixtures(method, located, INSIDE)
        unusual, all_unusual = _mixtures(method, located, INSIDE_UNUSUAL)
        yield MIXTURE_FAMILY, mixtures, False
        yield UNUSUAL_MIXTURE_FAMILY, unusual, False
        for family, texts in WHOLE_FAMILIES.items():
            yield some(family, texts)
        for number, (family, texts) in enumerate(PART_FAMILIES.items()):
            chosen = (number - turn * _PARTS_ALONE) % len(PART_FAMILIES) < _PARTS_ALONE
            if every or chosen or not (complete and all_unusual):
                yield some(family, texts, in_turn=True)
        for family, texts in SIZE_FAMILIES.items():
            yield some(family, texts, in_turn=True)
        for name, texts_of_format in _texts_of_formats(located):
            # Addresses are tested with plain forms alone, which no target may refuse.
            yield "format", texts_of_format, name == "email"
        yield "maxLength", _wide_texts(method, located), True
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for family, numbers in NUMBER_FAMILIES.items():
            yield some(family, numbers, in_turn=True)
    yield EMPTY_FAMILY, [each for each in _empty(located) if _admits(method, located, each)], True


def _mixtures(method: Method, located: LocatedValue, texts: Sequence[str]) -> tuple[Sequence[Json], bool]:
    """Return the fewest mixtures of texts that a place admits, and whether they carry all texts."""
    mixtures: list[Json] = []
    current, carried = "", 0
    for text in texts:
        longer = f"{current[:-1]}|{text}z"
        if current and _admits(method, located, longer):
            mixtures[-1] = current = longer
            carried += 1
            continue
        alone = next((each for each in (f"a{text}z", text) if _admits(method, located, each)), None)
        if alone is not None:
            mixtures.append(alone)
            current = alone if alone != text else ""
            carried += 1
    return mixtures, carried == len(texts)


def _texts_of_formats(located: LocatedValue) -> Iterator[tuple[str, Sequence[Json]]]:
    """Yield the place's formats, and texts of them that are altered as other texts are."""
    strings = [shape for shape in located.place.shapes if "string" in shape.types]
    if not strings or any(shape.patterns or shape.values is not None for shape in strings):
        return
    longest = min((shape.longest or _MAX_BYTES for shape in strings), default=0)
    for name in sorted({name for shape in strings for name in shape.formats}):
        yield name, [text for text in FORMAT_TEXTS.get(name, ()) if len(text) <= longest]


def _wide_texts(method: Method, located: LocatedValue) -> Sequence[Json]:
    """Return texts of long places that are within the length in characters, but not in bytes or halves."""
    longest = max(
        (shape.longest or 0 for shape in located.place.shapes if "string" in shape.types), default=0
    )
    if longest <= MAX_UNUSUAL_TEXT:
        return ()
    texts = ["ö" * min(longest, _MAX_BYTES // 2 - 1), "😀" * min(longest, _MAX_BYTES // 4 - 1)]
    return [text for text in texts if 2 * len(text) > longest and _admits(method, located, text)]


def _arrays(method: Method, located: LocatedValue, identifiers: Mapping[str, Sequence[Json]]) -> list[Json]:
    """Return arrays of a place: unsorted, with equal items, longer, and of one item."""
    inner = [each for each in compiled(method).places if each.pointer.startswith(f"{located.place.pointer}/")]
    of_items = next((each for each in inner if each.pointer == f"{located.place.pointer}/-"), None)
    if of_items is not None and of_items.ref is not None:
        candidates = list(identifiers.get(of_items.ref, ()))
    elif any(each.ref is not None for each in inner):
        return []
    else:
        listed = [value for shape in (of_items.shapes if of_items else ()) for value in shape.values or ()]
        candidates = [*listed[::-1], *(item for item in located.value if item is not None), *_ITEMS]
    valid = compiled(method).builders.shapes.valid
    items = [item for item in candidates if of_items is not None and valid(of_items.node, item)]
    items = [item for number, item in enumerate(items) if item not in items[:number]]
    if not items:
        return []
    several = [items[:5], items[:4], items[:3], items[:2]]
    longest = next((each for each in several if len(each) > 1 and _admits(method, located, each)), None)
    arrays = [longest, longest[::-1] if longest else None, [items[0], items[0], *items[1:2]], items[:1]]
    return [each for each in arrays if each is not None and _admits(method, located, each)]


def _empty(located: LocatedValue) -> list[Json]:
    """Return the empty values of the types that a place takes; null only where no default could replace it."""
    kinds = located.place.kinds
    if any(value is not None for shape in located.place.shapes for value in shape.defaults):
        kinds = kinds - {"null"}
    if any(shape.values is not None for shape in located.place.shapes):
        return [None] if "null" in kinds else []
    return [value for kind, value in EMPTY.items() if kind in kinds and value != located.value]


def _admits(method: Method, located: LocatedValue, value: Json) -> bool:
    """Return whether the schema admits a value at a place, in all dialects of its patterns."""
    shapes = located.place.shapes
    if isinstance(value, str):
        if any(shape.values is not None for shape in shapes):
            return False
        patterns = [pattern for shape in shapes for pattern in shape.patterns]
        if any(settled(pattern, value) is not True for pattern in patterns):
            return False
        if any(shape.formats or shape.unknown_formats for shape in shapes):
            return False
    if isinstance(value, float) and any(shape.is_float for shape in shapes) and not _is_exact(value):
        return False
    if (
        not isinstance(value, Literal)
        and json_type(value) == json_type(located.value)
        and value == located.value
    ):
        return False
    return compiled(method).builders.shapes.valid(located.place.node, received(value))


def _is_exact(number: float) -> bool:
    """Return whether 32 bits hold a number exactly."""
    try:
        return bool(struct.unpack("f", struct.pack("f", number))[0] == number)
    except OverflowError:
        return False


def _interleaved(groups: Sequence[Sequence[T]]) -> Iterator[T]:
    for number in range(max(map(len, groups), default=0)):
        for group in groups:
            if number < len(group):
                yield group[number]


def rare_rounds(method: Method, example: dict[str, Json]) -> Iterator[GridRound]:
    """Yield calls that carry one rare character at all places of texts, since most targets refuse it everywhere."""
    places = [
        each
        for each in located_values(method, example)
        if isinstance(each.value, str) and each.place.ref is None
    ]
    for family, value in RARE_CHARACTERS.items():
        cells = [
            Cell(each.path, each.place.label, each.place.pointer, family, value, False, each.place.node)
            for each in places
            if _admits(method, each, value)
        ]
        if cells:
            yield cells


def grid_rounds(cells: Sequence[Sequence[Cell]]) -> Iterator[GridRound]:
    """Yield calls that together carry every cell once; no call has two cells of which one contains the other."""
    waiting = [list(_shifted(row, number)) for number, row in enumerate(cells)]
    while any(waiting):
        chosen: GridRound = []
        for row in waiting:
            at = next((number for number, cell in enumerate(row) if _fits(chosen, cell)), None)
            if at is not None:
                chosen.append(row.pop(at))
        yield chosen


def _shifted(row: Sequence[Cell], number: int) -> list[Cell]:
    start = number % len(row)
    return [*row[start:], *row[:start]]


def _fits(chosen: GridRound, cell: Cell) -> bool:
    if is_long(cell.value) and sum(is_long(other.value) for other in chosen) >= _MAX_LONG_TEXTS:
        return False
    return not any(
        other.path[: len(cell.path)] == cell.path or cell.path[: len(other.path)] == other.path
        for other in chosen
    )


def carrying(method: Method, example: dict[str, Json], cells: GridRound) -> tuple[dict[str, Json], GridRound]:
    """Return a copy of the example that carries the cells, and those that it carries; others would make it invalid."""
    schema = compiled(method).schema
    data, carried = example, []
    for cell in cells:
        changed = replaced(data, cell.path, cell.value)
        if schema.valid(received(changed)):
            data = changed
            carried.append(cell)
    return data, carried
