"""Schedules: when requests are due, as pure functions of time.

A schedule is a list of stretches in which the rate is constant or changes evenly; Λ(t) is the integral of the rate,
the number of arrivals until t. Evenly spaced, arrival k = 0, 1, 2, … is due at Λ⁻¹(k): the first at once, and 200/s
for 30 s make 6,000. Poisson arrivals are a unit process on the axis of Λ, mapped to time by Λ⁻¹. A worker's share is
exact: of evenly spaced arrivals it takes every n-th, of a Poisson process its own stream at an n-th of the rate (the
sum of independent Poisson processes is one of the summed rates).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from conformance.errors import UsageError
from conformance.units import format_rate, format_seconds

__all__ = [
    "KINDS",
    "Schedule",
    "Stretch",
    "constant",
    "piecewise",
    "poisson",
    "ramp",
    "soak",
    "spike",
    "steps",
]

Floats: TypeAlias = npt.NDArray[np.float64]

SPACINGS = ("even", "poisson")
KINDS = ("constant", "ramp", "steps", "spike", "soak")

#: The number of arrivals that are computed at a time.
_CHUNK = 1024
#: The length, on the axis of Λ, of the part of a Poisson process that one seeded generator draws.
_BLOCK = 256
#: The largest error of a sum of floats that does not count as another arrival.
_SLACK = 1e-9


@dataclass(frozen=True)
class Stretch:
    """A time in which the rate changes evenly from one value to another, in arrivals per second."""

    seconds: float
    begin: float
    end: float

    def __post_init__(self) -> None:
        if not (self.seconds >= 0 and self.begin >= 0 and self.end >= 0):
            raise ValueError(f"a stretch has seconds and rates of 0 or more: {self}")
        if math.isinf(self.begin) or math.isinf(self.end):
            raise ValueError("a rate is finite")
        if math.isinf(self.seconds) and self.begin != self.end:
            raise ValueError("a stretch without an end has one rate")

    @property
    def area(self) -> Fraction:
        """The number of arrivals in it; raises OverflowError where it has no end."""
        return (_exact(self.begin) + _exact(self.end)) / 2 * _exact(self.seconds)


def _exact(number: float) -> Fraction:
    # 0.1 is meant as written: 30 s of it are exactly three arrivals.
    return Fraction(repr(float(number)))


@dataclass(frozen=True)
class Schedule:
    """The moments at which arrivals are due. Frozen and picklable; every method is a pure function.

    `part` is (index, of), the share of one worker; (0, 1) is the whole. Rates are in arrivals per second, moments in
    seconds from the start of the schedule.
    """

    kind: str
    text: str
    stretches: tuple[Stretch, ...]
    spacing: str = "even"
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        index, of = self.part
        if self.spacing not in SPACINGS or not 0 <= index < of or not self.stretches:
            raise ValueError(f"no schedule: spacing {self.spacing!r}, part {self.part}")
        if any(math.isinf(stretch.seconds) for stretch in self.stretches[:-1]):
            raise ValueError("only the last stretch may have no end")

    @cached_property
    def duration(self) -> float:
        """The duration in seconds; inf where there is no end."""
        return self._starts[-1] if not math.isinf(self.stretches[-1].seconds) else math.inf

    @cached_property
    def peak(self) -> float:
        """The highest rate at any moment."""
        most = max(max(stretch.begin, stretch.end) for stretch in self.stretches if stretch.seconds)
        return most / self.part[1]

    @cached_property
    def total(self) -> float:
        """The total number of arrivals; inf where there is no end and the last rate is above 0."""
        return self.expected(math.inf)

    @cached_property
    def changes(self) -> tuple[tuple[float, float], ...]:
        """The moments at which a stretch begins, each with its first rate."""
        return tuple(
            (at, stretch.begin / self.part[1])
            for at, stretch in zip(self._starts, self.stretches, strict=False)
            if stretch.seconds
        )

    def rate(self, t: float) -> float:
        """Return the rate at a moment; 0 before the start and from the end on."""
        place = bisect_right(self._starts, t) - 1
        if place < 0 or place >= len(self.stretches):
            return 0.0
        stretch = self.stretches[place]
        if stretch.begin == stretch.end:
            return stretch.begin / self.part[1]
        gone = (t - self._starts[place]) / stretch.seconds
        return (stretch.begin + (stretch.end - stretch.begin) * gone) / self.part[1]

    def expected(self, t: float) -> float:
        """Return Λ(t): the number of arrivals until a moment."""
        if t <= 0:
            return 0.0
        place = min(bisect_right(self._starts, t), len(self.stretches)) - 1
        stretch = self.stretches[place]
        gone = min(t - self._starts[place], stretch.seconds)
        more = stretch.begin * gone if stretch.begin else 0.0
        if stretch.begin != stretch.end:
            more += (stretch.end - stretch.begin) / (2 * stretch.seconds) * gone * gone
        return (self._sums[place] + more) / self.part[1]

    def share(self, index: int, of: int) -> Schedule:
        """Return the share of worker `index` of `of`; the shares of all workers add up to the whole exactly.

        A share can be divided again.
        """
        if not 0 <= index < of:
            raise ValueError(f"share {index} of {of}: the index is from 0 to {of - 1}")
        mine, shares = self.part
        return replace(self, part=(mine + shares * index, shares * of))

    def times(self, seed: int = 0, start: float = 0.0) -> Iterator[float]:
        """Yield the moments that are due from `start` on, ascending and lazily.

        The same seed gives the same moments, and a later start the same later moments, at no more cost.
        """
        due = self._even(start) if self.spacing == "even" else self._poisson(seed, start)
        for moments in due:
            if moments.size and moments[0] < start:
                moments = moments[moments >= start]
            yield from moments.tolist()

    def to_json(self) -> dict[str, Any]:
        """Return the schedule as JSON; a stretch without an end has null for its seconds."""
        return {
            "kind": self.kind,
            "text": self.text,
            "spacing": self.spacing,
            "part": list(self.part),
            "stretches": [
                [None if math.isinf(each.seconds) else each.seconds, each.begin, each.end]
                for each in self.stretches
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the schedule that `to_json` wrote; raises ValueError, KeyError or TypeError for anything else."""
        index, of = data["part"]
        return cls(
            kind=data["kind"],
            text=data["text"],
            stretches=tuple(
                Stretch(math.inf if seconds is None else seconds, begin, end)
                for seconds, begin, end in data["stretches"]
            ),
            spacing=data["spacing"],
            part=(index, of),
        )

    # --- Λ and its inverse ----------------------------------------------------------------------------------

    @cached_property
    def _starts(self) -> tuple[float, ...]:
        """The moment at which each stretch begins, and the end of the last one where it has one."""
        at = Fraction(0)
        starts = [0.0]
        for stretch in self.stretches:
            if not math.isinf(stretch.seconds):
                at += _exact(stretch.seconds)
                starts.append(float(at))
        return tuple(starts)

    @cached_property
    def _sums(self) -> tuple[float, ...]:
        """Λ of the whole schedule at each of `_starts`."""
        area = Fraction(0)
        sums = [0.0]
        for stretch in self.stretches:
            if not math.isinf(stretch.seconds):
                area += stretch.area
                sums.append(float(area))
        return tuple(sums)

    @cached_property
    def _whole(self) -> float:
        """Λ of the whole schedule at its end."""
        last = self.stretches[-1]
        if math.isinf(last.seconds):
            return math.inf if last.begin else self._sums[-1]
        return self._sums[-1]

    @cached_property
    def _tables(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        seconds, begins, ends = (
            np.array([getattr(stretch, name) for stretch in self.stretches], np.float64)
            for name in ("seconds", "begin", "end")
        )
        count = len(self.stretches)
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.where(begins == ends, 0.0, (ends - begins) / seconds)
        starts, sums = np.array(self._starts[:count]), np.array(self._sums[:count])
        return starts, sums, begins, slopes, seconds

    def _moments(self, counts: Floats) -> Floats:
        """Return Λ⁻¹ of the whole schedule: the moments at which the numbers of arrivals are reached.

        Where the rate is 0, the moment is the end of that time: the next arrival is due when the rate is above 0.
        """
        starts, sums, begins, slopes, seconds = self._tables
        # The rounding error of a sum must not move an arrival across a pause.
        place = np.searchsorted(sums, counts + _SLACK * np.maximum(1.0, counts), side="right") - 1
        left = np.maximum(0.0, counts - sums[place])
        begin = begins[place]
        root = np.sqrt(np.maximum(0.0, begin * begin + 2 * slopes[place] * left))
        with np.errstate(divide="ignore", invalid="ignore"):
            gone = np.where(left > 0, 2 * left / (begin + root), 0.0)
        moments: Floats = starts[place] + np.minimum(gone, seconds[place])
        return moments

    def _even(self, start: float) -> Iterator[Floats]:
        index, of = self.part
        # Arrivals index, index + of, …, all of them before the end.
        first = max(0, math.floor((self._sum_at(start) - index) / of) - 1)
        bound = self._whole - _SLACK * max(1.0, self._whole) if math.isfinite(self._whole) else math.inf
        number = first
        while index + number * of < bound:
            counts = index + of * np.arange(number, number + _CHUNK, dtype=np.float64)
            yield self._moments(counts[counts < bound])
            number += _CHUNK

    def _poisson(self, seed: int, start: float) -> Iterator[Floats]:
        index, of = self.part
        whole = self._whole / of
        block = max(0, math.floor(self._sum_at(start) / of / _BLOCK * (1 - _SLACK)))
        while block * _BLOCK < whole:
            # Each block has a generator of its own, so that the schedule can start at any moment.
            draw = np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, index, of, block])
            places = np.sort(draw.random(draw.poisson(_BLOCK)) * _BLOCK + block * _BLOCK)
            yield self._moments(places[places < whole] * of)
            block += 1

    def _sum_at(self, t: float) -> float:
        return self.expected(min(t, self._starts[-1]) if self.duration < math.inf else t) * self.part[1]


def constant(rate: float, duration: float, *, spacing: str = "even") -> Schedule:
    """Return a schedule with one rate."""
    name = "Poisson " if spacing == "poisson" else ""
    return _made(
        "constant",
        f"{name}{format_rate(rate)} for {format_seconds(duration)}",
        spacing,
        [(duration, rate, rate)],
    )


def poisson(rate: float, duration: float) -> Schedule:
    """Return a schedule with one rate and random arrivals, like those of many independent users."""
    return constant(rate, duration, spacing="poisson")


def ramp(begin: float, end: float, duration: float, *, spacing: str = "even") -> Schedule:
    """Return a schedule whose rate changes evenly from one value to another."""
    text = f"ramp {format_rate(begin)} to {format_rate(end)} for {format_seconds(duration)}"
    return _made("ramp", _prefix(spacing) + text, spacing, [(duration, begin, end)])


def steps(each: Sequence[tuple[float, float]], *, spacing: str = "even") -> Schedule:
    """Return a schedule of several rates, one after the other; `each` has pairs of rate and seconds."""
    text = "steps " + ", ".join(
        f"{format_rate(rate)} for {format_seconds(seconds)}" for rate, seconds in each
    )
    return _made("steps", _prefix(spacing) + text, spacing, [(seconds, rate, rate) for rate, seconds in each])


def spike(
    base: float, peak: float, at: float, length: float, duration: float, *, spacing: str = "even"
) -> Schedule:
    """Return a schedule with a base rate and one spike, which begins at `at` and lasts `length` seconds."""
    if not (at >= 0 and length > 0 and at + length <= duration):
        raise UsageError(
            f"a spike from {format_seconds(at)} to {format_seconds(at + length)} "
            f"does not lie within {format_seconds(duration)}"
        )
    text = f"spike {format_rate(base)} to {format_rate(peak)} at {format_seconds(at)} for {format_seconds(length)}"
    text += f", {format_seconds(duration)} in all"
    after = float(_exact(duration) - _exact(at) - _exact(length)) if math.isfinite(duration) else duration
    parts = [(at, base, base), (length, peak, peak), (after, base, base)]
    return _made("spike", _prefix(spacing) + text, spacing, [part for part in parts if part[0]])


def soak(rate: float, duration: float = math.inf, *, spacing: str = "even") -> Schedule:
    """Return a schedule with one rate for hours, or until it is stopped."""
    until = "until stopped" if math.isinf(duration) else f"for {format_seconds(duration)}"
    return _made(
        "soak", f"{_prefix(spacing)}soak {format_rate(rate)} {until}", spacing, [(duration, rate, rate)]
    )


def piecewise(text: str, points: Sequence[tuple[float, float]], *, spacing: str = "even") -> Schedule:
    """Return a schedule through points of second and rate, in order of time; the first one is its start.

    Between two points the rate changes evenly; two points at the same second are a jump.
    """
    parts = [
        (float(_exact(later[0]) - _exact(earlier[0])), earlier[1], later[1])
        for earlier, later in pairwise(points)
        if later[0] > earlier[0]
    ]
    return _made("shape", _prefix(spacing) + text, spacing, parts)


def _prefix(spacing: str) -> str:
    return "Poisson " if spacing == "poisson" else ""


def _made(kind: str, text: str, spacing: str, parts: Sequence[tuple[float, float, float]]) -> Schedule:
    if spacing not in SPACINGS:
        raise UsageError(f"spacing {spacing!r} is unknown: it is {' or '.join(SPACINGS)}")
    for seconds, begin, end in parts:
        for rate in (begin, end):
            if not (math.isfinite(rate) and rate >= 0):
                raise UsageError(f"{text!r}: a rate is 0/s or more, not {rate:g}/s")
        if not seconds > 0:
            raise UsageError(f"{text!r}: a duration is more than 0 s, not {seconds:g} s")
    if not any(begin or end for _, begin, end in parts):
        raise UsageError(f"{text!r} asks for nothing: give a rate above 0/s")
    return Schedule(kind, text, tuple(Stretch(*part) for part in parts), spacing)
