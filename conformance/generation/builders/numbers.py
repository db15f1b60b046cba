"""Builders of numbers, and the numbers at the edges of a shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from conformance.generation.builders.steps import BuildValue
from conformance.generation.choices import Choices, Ordinary
from conformance.generation.errors import Impossible
from conformance.generation.json_values import exact, plain_number
from conformance.generation.shape import Shape, multiples_between, number_grid
from conformance.schema.bundle import Json

__all__ = ["number_builder", "number_edges"]

_MAX_SAFE = 2**53 - 1
_MAX_FRACTION = 10**12

#: Up to this number 32 bits hold each multiple of an eighth exactly.
_MAX_EXACT_FLOAT = 2**20

#: Ordinary numbers lie between these where the bounds allow it.
_ORDINARY = (1, 1000)


def number_builder(shape: Shape) -> BuildValue:
    """Return the builder of a shape's numbers; raises Impossible when there are none."""
    edges = [number for _, number in number_edges(shape)]
    ranges = _ranges(shape)
    if not ranges and not edges:
        raise Impossible("minimum", "no number fits between the bounds")
    ordinary_range = _ordinary_range(shape)
    examples = [e for e in shape.examples if isinstance(e, int | float) and not isinstance(e, bool)]

    def build_ordinary(choices: Choices, ordinary: Ordinary) -> Json:
        if examples and choices.index(2):
            return examples[choices.index(len(examples))]
        if ordinary_range is None:
            return edges[choices.index(len(edges))]
        step, low, high = ordinary_range
        return plain_number(choices.integer(low, high) * step)

    def build(choices: Choices, depth: int) -> Json:
        if choices.ordinary is not None:
            return build_ordinary(choices, choices.ordinary)
        if not ranges:
            return edges[choices.index(len(edges))]
        way = choices.index(4)
        if way == 3 and edges:
            return edges[choices.index(len(edges))]
        step, low, high = ranges[choices.index(len(ranges))]
        if way < 2:
            middle = min(max(0, low), high)
            low, high = max(low, middle - 1000), min(high, middle + 1000)
        return plain_number(choices.integer(low, high) * step)

    return build


def _ranges(shape: Shape) -> list[tuple[Fraction, int, int]]:
    """Return steps, each with the lowest and highest factor that gives a number of the shape."""
    grid = number_grid(shape)
    grids = [grid] if grid is not None else [Fraction(1, 10**k) for k in (0, 2, 1, 4, 9, 15)]
    found: list[tuple[Fraction, int, int]] = []
    for step in grids:
        low, high = multiples_between(shape, step)
        top = (
            int((_MAX_SAFE if step == 1 else _MAX_FRACTION) // step)
            if step >= Fraction(1, 10**4)
            else _MAX_SAFE
        )
        if shape.is_float:
            top = int(_MAX_EXACT_FLOAT // step)
        low = max(-top, high - top if high is not None and high < -top else -top) if low is None else low
        high = max(top, low + 1000) if high is None else high
        if low <= high and (grid is not None or len(found) < 3):
            found.append((step, low, high))
    return found


def _ordinary_range(shape: Shape) -> tuple[Fraction, int, int] | None:
    """Return a step, and the factors that give ordinary numbers of the shape."""
    grid = number_grid(shape)
    grids = [grid] if grid is not None else [Fraction(1, 2), *(Fraction(1, 10**k) for k in range(1, 16))]
    for step in grids:
        low, high = multiples_between(shape, step)
        if low is not None and high is not None and low > high:
            continue
        first = math.ceil(_ORDINARY[0] / step)
        last = max(math.floor(_ORDINARY[1] / step), first)
        inner_low, inner_high = (
            max(first, first if low is None else low),
            min(last, last if high is None else high),
        )
        if inner_low <= inner_high:
            return step, inner_low, inner_high
        span = max(last - first, 1)
        if low is None:
            low = first if high is None else high - span
        return step, low, low + span if high is None else high
    return None


# --- edges --------------------------------------------------------------------------------------------------


def number_edges(shape: Shape) -> list[tuple[str, int | float]]:
    """Return the numbers at the edges of a shape, each with the keyword whose edge it is."""
    grid = number_grid(shape)
    seen: set[str] = set()
    found: list[tuple[str, int | float]] = []
    for about, number in _edges_of_bounds(shape) if grid is None else _edges_of_grid(shape, grid):
        if repr(number) in seen or abs(number) > _MAX_SAFE * 4 or not _within(shape, number):
            continue
        if shape.step is not None and exact(number) % shape.step:
            continue
        if shape.is_float and abs(number) > _MAX_EXACT_FLOAT:
            continue
        seen.add(repr(number))
        found.append((about, number))
    return found


def _within(shape: Shape, number: int | float) -> bool:
    """Return whether a number lies within the bounds."""
    exactly = exact(number)
    if shape.low is not None and (exactly < shape.low or (shape.low_open and exactly == shape.low)):
        return False
    return not (
        shape.high is not None and (exactly > shape.high or (shape.high_open and exactly == shape.high))
    )


def _bound_keywords(shape: Shape) -> tuple[str, str]:
    return (
        "exclusiveMinimum" if shape.low_open else "minimum",
        "exclusiveMaximum" if shape.high_open else "maximum",
    )


def _edges_of_grid(shape: Shape, grid: Fraction) -> Iterator[tuple[str, int | float]]:
    lowest, highest = _bound_keywords(shape)
    low, high = multiples_between(shape, grid)
    about = "multipleOf" if shape.step is not None else "type"
    if shape.is_float and not shape.integral:
        yield from [(about, number) for number in (0.5, 0.125, 1.25, -0.5)]
    if low is not None:
        yield from [(lowest, plain_number(low * grid)), (about, plain_number((low + 1) * grid))]
    if high is not None:
        yield from [(highest, plain_number(high * grid)), (about, plain_number((high - 1) * grid))]
    yield from [(about, plain_number(factor * grid)) for factor in (0, 1, -1, 2)]
    if shape.step is not None:
        top = _MAX_SAFE if grid.denominator == 1 else _MAX_FRACTION
        far = (2**31 - 1, 2**31, -(2**31) - 1, 10**9, top, -top)
        yield from [(about, plain_number(int(number // grid) * grid)) for number in far]
    else:
        yield from _far_edges()


def _edges_of_bounds(shape: Shape) -> Iterator[tuple[str, int | float]]:
    lowest, highest = _bound_keywords(shape)
    for bound, is_open, about, way in (
        (shape.low, shape.low_open, lowest, math.inf),
        (shape.high, shape.high_open, highest, -math.inf),
    ):
        if bound is not None:
            near = float(bound)
            yield about, math.nextafter(near, way) if is_open else plain_number(bound)
            yield about, plain_number(bound + (1 if way > 0 else -1))
            yield about, float(bound + Fraction(1 if way > 0 else -1, 100))
    yield from [("type", number) for number in (0, 1, -1, 0.5, 0.1, 1e-7, 1.25, 123456.789)]
    yield from _far_edges()


def _far_edges() -> Iterator[tuple[str, int | float]]:
    far = (2**31 - 1, 2**31, -(2**31) - 1, 2**32, 10**15, _MAX_SAFE, -_MAX_SAFE)
    yield from [("type", number) for number in far]
