"""Numbers that violate a schema: outside of each bound, and off the step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from conformance.generation.builders import BuildValue
from conformance.generation.builders.steps import one_of
from conformance.generation.json_values import exact, plain_number
from conformance.generation.shape import Shape, multiples_between, number_grid
from conformance.schema.bundle import Json

__all__ = ["bad_numbers"]


def bad_numbers(shape: Shape) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield (keyword, what is wrong, builder) for numbers that a shape refuses."""
    if shape.is_float:
        yield "format", "more than a float holds", one_of([10**39, -(10**39)])
    if shape.low is not None:
        keyword, word = ("exclusiveMinimum", "not above") if shape.low_open else ("minimum", "below")
        yield from _outside(shape, shape.low, shape.low_open, -1, keyword, word)
    if shape.high is not None:
        keyword, word = ("exclusiveMaximum", "not below") if shape.high_open else ("maximum", "above")
        yield from _outside(shape, shape.high, shape.high_open, 1, keyword, word)
    if shape.step is not None:
        off = _off_the_step(shape, shape.step)
        if off:
            yield "multipleOf", f"not a multiple of {plain_number(shape.step)}", one_of(off)
        nearly = _off_the_step(shape, shape.step, (shape.step / 1_000, shape.step / 100_000))
        if nearly and not shape.integral:
            # A check that rounds, or that allows for errors of floats too generously, accepts these.
            yield "multipleOf", f"nearly a multiple of {plain_number(shape.step)}", one_of(nearly)


def _outside(
    shape: Shape, bound: Fraction, is_open: bool, direction: int, keyword: str, word: str
) -> Iterator[tuple[str, str, BuildValue]]:
    """Yield numbers just outside of a bound, and far outside."""
    grid = number_grid(shape)
    unit = grid or Fraction(1, 100)
    edge = Fraction(math.floor(bound / unit) if direction > 0 else math.ceil(bound / unit)) * unit
    nearest = edge if is_open else edge + direction * unit
    if is_open and edge * direction < bound * direction:
        nearest = edge + direction * unit
    near = [plain_number(nearest)]
    if grid is None and not is_open:
        near.append(math.nextafter(float(bound), math.inf * direction))
    yield keyword, f"{word} {plain_number(bound)}", one_of(near)
    far = [plain_number(nearest + direction * unit * count) for count in (1, 10, 10**6, 10**10)]
    yield keyword, f"far {'below' if direction < 0 else 'above'} {plain_number(bound)}", one_of(far)


def _off_the_step(shape: Shape, step: Fraction, parts: Sequence[Fraction] = ()) -> list[Json]:
    """Return numbers within the bounds that are off a multiple of the step by one of these parts, or by usual ones."""
    unit = number_grid(shape) or step
    low, high = multiples_between(shape, unit)
    found: list[Json] = []
    for base in (1, 0, low, None if high is None else high - 1, 7):
        if base is None or (low is not None and base < low) or (high is not None and base >= high):
            continue
        for part in parts or (Fraction(1), step / 2, step / 4, step / 3, step / 10):
            number = base * unit + part
            if (number / step).denominator == 1 or (shape.integral and number.denominator != 1):
                continue
            plain = plain_number(number)
            if (exact(plain) / step).denominator != 1:
                found.append(plain)
    return found
