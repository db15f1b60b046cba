"""The grid of what has to come back: places of a function's data × families of telling values, as a list of calls.

It is planned from the schema and from one valid example before anything is sent, so the same catalogue gives the same
plan. Each call carries one value at each place. The values are shifted from place to place, so that each place gets
each value once, and an alteration that depends on the value shows in another call than one that depends on the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from conformance.catalog.model import Method
from conformance.generation.compiled import compiled
from conformance.generation.data_walker import LocatedValue, Path, located_values, replaced
from conformance.generation.patterns import settled
from conformance.generation.special_values import Literal, received
from conformance.generation.telling_values import (
    EMPTY,
    INSIDE,
    INSIDE_SIZES,
    NUMBER_FAMILIES,
    TEXT_FAMILIES,
    is_long,
)
from conformance.schema.bundle import Json, json_type

__all__ = ["EMPTY_FAMILY", "MIXTURE_FAMILY", "Cell", "GridRound", "carrying", "grid_cells", "grid_rounds"]

T = TypeVar("T")

#: The family of values that languages take for nothing.
EMPTY_FAMILY = "an empty value"

#: The family of mixtures of texts.
MIXTURE_FAMILY = "several texts together"

#: Families of which each place gets every value.
_SENT_WHOLE = frozenset({EMPTY_FAMILY, MIXTURE_FAMILY})

#: Values of a family, from its beginning, of which each place gets one where not all are sent.
_MOST_TELLING = 3

#: Long texts in one call: together they stay far below a megabyte, which is the ordinary size of a request.
_MAX_LONG_TEXTS = 4


@dataclass(frozen=True)
class Cell:
    """One value of a family at one place: `path` leads to it in the example, `label` and `pointer` in the schema."""

    path: Path
    label: str
    pointer: str
    family: str
    value: Json

    @property
    def parameter(self) -> str:
        """The argument that the place belongs to."""
        return str(self.path[0])


#: The cells that one call carries.
GridRound = list[Cell]


def grid_cells(method: Method, example: dict[str, Json], *, turn: int, every: bool) -> list[list[Cell]]:
    """Return, for each place of a function's data, the cells that the schema admits there.

    With `every` they are all values of all families. Without, they are one value of each family, another one for the
    next place and the next `turn`.
    """
    found: list[list[Cell]] = []
    for number, located in enumerate(located_values(method, example)):
        if located.place.ref is not None:
            continue
        cells = list(_cells(method, located, turn + number, every))
        if cells:
            found.append(cells)
    return found


def _cells(method: Method, located: LocatedValue, turn: int, every: bool) -> Iterator[Cell]:
    place = located.place
    families: Mapping[str, Sequence[Json]] = {}
    if isinstance(located.value, str):
        mixtures = _mixtures(method, located)
        families = {MIXTURE_FAMILY: mixtures, **TEXT_FAMILIES, EMPTY_FAMILY: _empty(located)}
    elif isinstance(located.value, int | float) and not isinstance(located.value, bool):
        families = {**NUMBER_FAMILIES, EMPTY_FAMILY: _empty(located)}
    else:
        families = {EMPTY_FAMILY: _empty(located)}
    chosen: list[list[Cell]] = []
    for family, values in families.items():
        fitting = [
            Cell(located.path, place.label, place.pointer, family, value)
            for value in values
            if _admits(method, located, value)
        ]
        if fitting:
            telling = fitting[:_MOST_TELLING]
            chosen.append(fitting if every or family in _SENT_WHOLE else [telling[turn % len(telling)]])
    # The first value of each family comes before the second of any.
    yield from _interleaved(chosen)


def _mixtures(method: Method, located: LocatedValue) -> list[Json]:
    """Return the fewest mixtures of texts that a place admits."""
    for size in INSIDE_SIZES:
        mixtures = ["a" + "|".join(INSIDE[at : at + size]) + "z" for at in range(0, len(INSIDE), size)]
        fitting: list[Json] = [text for text in mixtures if _admits(method, located, text)]
        if len(fitting) == len(mixtures) or (size == 1 and fitting):
            return fitting
    return []


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
    if isinstance(value, float) and any(shape.is_float for shape in shapes):
        return False
    if (
        not isinstance(value, Literal)
        and json_type(value) == json_type(located.value)
        and value == located.value
    ):
        return False
    return compiled(method).builders.shapes.valid(located.place.node, received(value))


def _interleaved(groups: Sequence[Sequence[T]]) -> Iterator[T]:
    for number in range(max(map(len, groups), default=0)):
        for group in groups:
            if number < len(group):
                yield group[number]


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
