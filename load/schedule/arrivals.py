"""When requests are due: schedules as pure functions of time, and the search for the highest rate that holds.

A schedule is a list of stretches in which the rate is constant or changes evenly; Λ(t) is the integral of the rate,
the arrivals asked for until t. Evenly spaced, arrival k = 0, 1, 2, … is due at Λ⁻¹(k): the first at once, and 200/s
for 30 s make 6,000. Poisson arrivals are a unit process on the axis of Λ, carried over by Λ⁻¹. A worker's share is
exact: of evenly spaced arrivals it takes every n-th, of a Poisson process a stream of its own at an n-th of the rate
(the sum of independent Poisson processes is one of the summed rates).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, NoReturn, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from conformance.errors import UsageError, suggestion
from conformance.units import DURATION, NUMBER, RATE, format_rate, format_seconds, parse_duration, parse_rate

__all__ = [
    "Schedule",
    "Search",
    "Stretch",
    "Trial",
    "constant",
    "parse",
    "parse_search",
    "poisson",
    "ramp",
    "soak",
    "spike",
    "steps",
]

Floats: TypeAlias = npt.NDArray[np.float64]

SPACINGS = ("even", "poisson")
KINDS = ("constant", "ramp", "steps", "spike", "soak")

#: Arrivals that are worked out at a time.
_CHUNK = 1024
#: The length, on the axis of Λ, of what one seeded generator makes of a Poisson process.
_BLOCK = 256
#: By how much a sum of floats may be off before it counts as another arrival.
_SLACK = 1e-9


@dataclass(frozen=True)
class Stretch:
    """So many seconds in which the rate goes evenly from one value to another, in arrivals per second."""

    seconds: float
    begin: float
    end: float

    def __post_init__(self) -> None:
        if not (self.seconds >= 0 and self.begin >= 0 and self.end >= 0):
            raise ValueError(f"a stretch has seconds and rates of 0 or more: {self}")
        if math.isinf(self.begin) or math.isinf(self.end):
            raise ValueError("a rate is finite")
        if math.isinf(self.seconds) and self.begin != self.end:
            raise ValueError("what has no end has one rate")

    @property
    def area(self) -> Fraction:
        """The arrivals asked for in it; raises OverflowError when it has no end."""
        return (_exact(self.begin) + _exact(self.end)) / 2 * _exact(self.seconds)


def _exact(number: float) -> Fraction:
    # 0.1 is meant as written: 30 s of it are three arrivals, not three and a bit of a fourth.
    return Fraction(repr(float(number)))


@dataclass(frozen=True)
class Schedule:
    """Which moments arrivals are due at. Frozen, picklable; every method is a pure function.

    `part` is (index, of): the share of one worker, (0, 1) the whole. Rates are in arrivals per second, moments in
    seconds from the schedule's beginning.
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
        """How long it goes on, in seconds; inf where there is no end."""
        return self._starts[-1] if not math.isinf(self.stretches[-1].seconds) else math.inf

    @cached_property
    def peak(self) -> float:
        """The highest rate that it asks for at any moment."""
        most = max(max(stretch.begin, stretch.end) for stretch in self.stretches if stretch.seconds)
        return most / self.part[1]

    @cached_property
    def total(self) -> float:
        """The arrivals asked for in all; inf where there is no end and a rate to the last."""
        return self.expected(math.inf)

    @cached_property
    def changes(self) -> tuple[tuple[float, float], ...]:
        """The moments at which a stretch begins, each with the rate that it begins with."""
        return tuple(
            (at, stretch.begin / self.part[1])
            for at, stretch in zip(self._starts, self.stretches, strict=False)
            if stretch.seconds
        )

    def rate(self, t: float) -> float:
        """Return the rate asked for at a moment; 0 before the beginning and from the end on."""
        place = bisect_right(self._starts, t) - 1
        if place < 0 or place >= len(self.stretches):
            return 0.0
        stretch = self.stretches[place]
        if stretch.begin == stretch.end:
            return stretch.begin / self.part[1]
        gone = (t - self._starts[place]) / stretch.seconds
        return (stretch.begin + (stretch.end - stretch.begin) * gone) / self.part[1]

    def expected(self, t: float) -> float:
        """Return Λ(t): the arrivals asked for until a moment."""
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
        """Return the part of one of so many workers; the parts of all make up the whole, exactly.

        A part can be parted again.
        """
        if not 0 <= index < of:
            raise ValueError(f"share {index} of {of}: the index is from 0 to {of - 1}")
        mine, shares = self.part
        return replace(self, part=(mine + shares * index, shares * of))

    def times(self, seed: int = 0, start: float = 0.0) -> Iterator[float]:
        """Yield the moments due from `start` on, ascending, lazily.

        The same seed gives the same moments, and a later start the same later moments, at no more cost.
        """
        due = self._even(start) if self.spacing == "even" else self._poisson(seed, start)
        for moments in due:
            if moments.size and moments[0] < start:
                moments = moments[moments >= start]
            yield from moments.tolist()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it; what has no end has null for seconds."""
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
        """Return the schedule that `to_json` wrote; raises ValueError, KeyError or TypeError when it is none."""
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
        """When each stretch begins, and when the last one ends, if it does."""
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
        """Return Λ⁻¹ of the whole schedule: when so many arrivals have been asked for.

        Where nothing is asked for in between, it is the end of that time: the next arrival is due when there is
        a rate again.
        """
        starts, sums, begins, slopes, seconds = self._tables
        # A sum that misses a whole number by the grain of a float must not pull an arrival over a pause.
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
        # Arrivals index, index + of, …, of which each lies before the end.
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
            # Each block has a generator of its own, so that any moment can be begun at.
            draw = np.random.default_rng([seed & 0xFFFF_FFFF_FFFF_FFFF, index, of, block])
            places = np.sort(draw.random(draw.poisson(_BLOCK)) * _BLOCK + block * _BLOCK)
            yield self._moments(places[places < whole] * of)
            block += 1

    def _sum_at(self, t: float) -> float:
        return self.expected(min(t, self._starts[-1]) if self.duration < math.inf else t) * self.part[1]


# --- making them ----------------------------------------------------------------------------------------------


def constant(rate: float, duration: float, *, spacing: str = "even") -> Schedule:
    """Return the same rate throughout."""
    name = "Poisson " if spacing == "poisson" else ""
    return _made(
        "constant",
        f"{name}{format_rate(rate)} for {format_seconds(duration)}",
        spacing,
        [(duration, rate, rate)],
    )


def poisson(rate: float, duration: float) -> Schedule:
    """Return the same rate throughout, with arrivals that come by chance, as those of many users do."""
    return constant(rate, duration, spacing="poisson")


def ramp(begin: float, end: float, duration: float, *, spacing: str = "even") -> Schedule:
    """Return a rate that goes evenly from one value to another."""
    text = f"ramp {format_rate(begin)} to {format_rate(end)} for {format_seconds(duration)}"
    return _made("ramp", _prefix(spacing) + text, spacing, [(duration, begin, end)])


def steps(each: Sequence[tuple[float, float]], *, spacing: str = "even") -> Schedule:
    """Return rates that hold for so many seconds, one after the other: (rate, seconds) of each."""
    text = "steps " + ", ".join(
        f"{format_rate(rate)} for {format_seconds(seconds)}" for rate, seconds in each
    )
    return _made("steps", _prefix(spacing) + text, spacing, [(seconds, rate, rate) for rate, seconds in each])


def spike(
    base: float, peak: float, at: float, length: float, duration: float, *, spacing: str = "even"
) -> Schedule:
    """Return a base rate with one spike, which begins at `at` and lasts `length` seconds."""
    if not (at >= 0 and length > 0 and at + length <= duration):
        raise UsageError(
            f"a spike from {format_seconds(at)} to {format_seconds(at + length)} does not lie "
            f"within {format_seconds(duration)}"
        )
    text = (
        f"spike {format_rate(base)} to {format_rate(peak)} at {format_seconds(at)} for {format_seconds(length)}, "
        f"{format_seconds(duration)} in all"
    )
    after = float(_exact(duration) - _exact(at) - _exact(length)) if math.isfinite(duration) else duration
    parts = [(at, base, base), (length, peak, peak), (after, base, base)]
    return _made("spike", _prefix(spacing) + text, spacing, [part for part in parts if part[0]])


def soak(rate: float, duration: float = math.inf, *, spacing: str = "even") -> Schedule:
    """Return the same rate for hours, or until stopped."""
    until = "until stopped" if math.isinf(duration) else f"for {format_seconds(duration)}"
    return _made(
        "soak", f"{_prefix(spacing)}soak {format_rate(rate)} {until}", spacing, [(duration, rate, rate)]
    )


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


# --- reading them ---------------------------------------------------------------------------------------------

_FOR = rf"(?:for|over)\s+({DURATION})"
_WORDS = ("ramp", "steps", "spike", "soak", "constant", "poisson", "search")
_EXAMPLES = {
    "constant": "200/s for 60s",
    "ramp": "ramp 10/s to 200/s for 60s",
    "steps": "steps 50/s for 30s, 100/s for 30s",
    "spike": "spike 50/s to 500/s at 20s for 5s, 60s in all",
    "soak": "soak 50/s for 8h",
    "search": "search 10/s to 2000/s, 10s each",
}


def parse(text: str, duration: float | None = None, *, spacing: str = "even") -> Schedule:
    """Read a schedule.

    `200/s for 60s` · `ramp 10/s to 200/s for 60s` · `steps 50/s for 30s, 100/s for 30s` ·
    `spike 50/s to 500/s at 20s for 5s, 60s in all` · `soak 50/s` (until stopped), `soak 50/s for 8h`;
    each may have `poisson` before it. `duration`, in seconds, is taken where the text has none. Raises UsageError.
    """
    words = text.strip().lower()
    if words.startswith("poisson"):
        words, spacing = words.removeprefix("poisson").strip(), "poisson"
    kind = re.match(r"[a-z]*", words)[0] or "constant"  # type: ignore[index]  # it always matches
    rest = words.removeprefix(kind).strip()
    if kind == "search":
        raise UsageError(f"{text!r}: a search is no schedule: it tries several")

    def wrong() -> NoReturn:
        raise UsageError(f"{text!r} is no schedule: write it as {_EXAMPLES[kind]!r}")

    def lasting(found: str | None) -> float:
        if found is None and duration is None:
            raise UsageError(f"{text!r} has no end: write it as {_EXAMPLES[kind]!r}")
        return parse_duration(found) if found is not None else float(duration or 0)

    def rate_of(found: re.Match[str], place: int) -> float:
        return parse_rate(f"{found[place]}/{found[place + 1] or 's'}")

    if kind == "constant":
        if not (found := re.fullmatch(rf"{RATE}(?:\s+{_FOR})?", rest)):
            wrong()
        return constant(rate_of(found, 1), lasting(found[3]), spacing=spacing)
    if kind == "soak":
        if not (found := re.fullmatch(rf"{RATE}(?:\s+{_FOR}|\s+until\s+stopped)?", rest)):
            wrong()
        if found[3] is None:
            return soak(rate_of(found, 1), math.inf if duration is None else duration, spacing=spacing)
        return soak(rate_of(found, 1), parse_duration(found[3]), spacing=spacing)
    if kind == "ramp":
        if not (found := re.fullmatch(rf"(?:from\s+)?{RATE}\s+to\s+{RATE}(?:\s+{_FOR})?", rest)):
            wrong()
        return ramp(rate_of(found, 1), rate_of(found, 3), lasting(found[5]), spacing=spacing)
    if kind == "steps":
        pieces = [re.fullmatch(rf"{RATE}\s+{_FOR}", piece.strip()) for piece in rest.split(",")]
        if not all(pieces):
            wrong()
        return steps(
            [(rate_of(found, 1), parse_duration(found[3])) for found in pieces if found], spacing=spacing
        )
    if kind == "spike":
        whole = rf"(?:\s*,\s*({DURATION})\s+in\s+all)?"
        pattern = rf"{RATE}\s+to\s+{RATE}\s+at\s+({DURATION}|0\s*s?)\s+for\s+({DURATION}){whole}"
        if not (found := re.fullmatch(pattern, rest)):
            wrong()
        at = 0.0 if re.fullmatch(r"0\s*s?", found[5]) else parse_duration(found[5])
        return spike(
            rate_of(found, 1),
            rate_of(found, 3),
            at,
            parse_duration(found[6]),
            lasting(found[7]),
            spacing=spacing,
        )
    raise UsageError(
        f"{text!r} is no schedule: {kind!r} is none of {', '.join(KINDS)}{suggestion(kind, _WORDS)}"
    )


# --- the search -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A rate that was tried, for so many seconds; `held` is None when it could not be judged."""

    rate: float
    seconds: float
    held: bool | None


@dataclass(frozen=True)
class Search:
    """Finds the highest rate that keeps the SLOs: up by steps, then by bisection. Frozen; `tried` makes the next one.

    `next_rate` is what to try now, for `next_seconds`, or None when the search is over; `result` and `why` say what
    came of it. A trial that could not be judged is repeated once, twice as long; when that cannot be judged either,
    the rate counts as one that did not hold, and `why` says so. No trial is too short for `samples` arrivals, which
    is what the SLOs need to be judged at all.
    """

    low: float
    high: float
    seconds: float = 10.0
    factor: float = 2.0
    tolerance: float = 0.05
    most: int = 24
    samples: int = 0
    trials: tuple[Trial, ...] = field(default=())

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < math.inf:
            raise UsageError(
                f"a search goes from a rate above 0/s up to a higher one, not from {self.low:g}/s to {self.high:g}/s"
            )
        if not (
            0 < self.seconds < math.inf and self.factor > 1 and 0 < self.tolerance < 1 and self.most >= 1
        ):
            raise UsageError(
                "a search has trials of more than 0 s, steps of more than 1 and a tolerance between 0 and 1"
            )

    @property
    def text(self) -> str:
        """The search in words."""
        return (
            f"search {format_rate(self.low)} to {format_rate(self.high)}, {format_seconds(self.seconds)} each"
        )

    @property
    def stop(self) -> str:
        """The stop condition, in words."""
        return (
            f"ends when {format_rate(self.high)} held, when {format_rate(self.low)} did not, "
            f"when the highest rate that held and the lowest that did not are within "
            f"{100 * self.tolerance:.3g} % of each other, "
            f"or after {self.most} trials"
        )

    @property
    def best(self) -> float | None:
        """The highest rate that held below the lowest that did not; None so far."""
        bound = self._bound
        held = [each.rate for each in self.trials if each.held and (bound is None or each.rate < bound)]
        return max(held, default=None)

    @property
    def _bound(self) -> float | None:
        failed = [each.rate for each in self.trials if each.held is False]
        unjudged = [
            first.rate
            for first, second in pairwise(self.trials)
            if first.held is None and second.held is None and first.rate == second.rate
        ]
        return min([*failed, *unjudged], default=None)

    @property
    def _repeats(self) -> bool:
        """Whether the last trial could not be judged, for the first time."""
        if not self.trials or self.trials[-1].held is not None:
            return False
        return len(self.trials) < 2 or self.trials[-2].rate != self.trials[-1].rate

    @property
    def next_rate(self) -> float | None:
        """The rate to try now; None when the search is over."""
        return None if self._ended else self._candidate

    @property
    def _candidate(self) -> float:
        if self._repeats:
            return self.trials[-1].rate
        best, bound = self.best, self._bound
        if bound is None:
            return self.low if best is None else min(best * self.factor, self.high)
        return ((self.low if best is None else best) + bound) / 2

    @property
    def next_seconds(self) -> float:
        """How long to try it."""
        seconds = self.seconds
        if self.samples and not self.over:
            # Whole seconds, and a few arrivals more than have to be.
            seconds = max(seconds, math.ceil(1.02 * self.samples / self._candidate))
        return seconds * 2 if self._repeats else seconds

    @property
    def _ended(self) -> str | None:
        if self._repeats:
            return None if len(self.trials) < self.most else f"after {self.most} trials"
        best, bound = self.best, self._bound
        if best is not None and best >= self.high:
            return f"{format_rate(self.high)}, the highest rate that was to be tried, held"
        if bound is not None and bound <= self.low:
            return f"{format_rate(bound)}, the lowest rate that was to be tried, {self._word(bound)}"
        if best is not None and bound is not None and bound - best <= self.tolerance * best:
            return f"{format_rate(best)} held and {format_rate(bound)} {self._word(bound)}"
        if len(self.trials) >= self.most:
            return f"after {self.most} trials"
        return None

    def _word(self, rate: float) -> str:
        failed = any(each.rate == rate and each.held is False for each in self.trials)
        return "did not" if failed else "could not be judged"

    @property
    def over(self) -> bool:
        """Whether there is nothing more to try."""
        return self._ended is not None

    @property
    def result(self) -> float | None:
        """The highest rate that held, when the search is over; None when none did."""
        return self.best if self.over else None

    @property
    def why(self) -> str | None:
        """Why it ended, in words; None as long as it has not."""
        return self._ended

    def schedule(self, *, spacing: str = "even") -> Schedule:
        """Return the next trial as a schedule; raises ValueError when the search is over."""
        if (rate := self.next_rate) is None:
            raise ValueError("the search is over")
        return constant(rate, self.next_seconds, spacing=spacing)

    def tried(self, held: bool | None) -> Search:
        """Return the search after the next rate has held, has not, or could not be judged (None)."""
        if (rate := self.next_rate) is None:
            raise ValueError("the search is over")
        return replace(self, trials=(*self.trials, Trial(rate, self.next_seconds, held)))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "kind": "search",
            "text": self.text,
            "stop": self.stop,
            "low": self.low,
            "high": self.high,
            "seconds": self.seconds,
            "factor": self.factor,
            "tolerance": self.tolerance,
            "most": self.most,
            "samples": self.samples,
            "trials": [
                {"rate": each.rate, "seconds": each.seconds, "held": each.held} for each in self.trials
            ],
            "result": self.result,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the search that `to_json` wrote."""
        numbers = {name: data[name] for name in ("low", "high", "seconds", "factor", "tolerance", "most")}
        trials = tuple(Trial(**each) for each in data["trials"])
        return cls(**numbers, samples=data.get("samples", 0), trials=trials)


def parse_search(text: str) -> Search:
    """Read a search: `search 10/s to 2000/s`, `search 10/s to 2000/s, 10s each, within 2%`.

    What it may leave out: trials of 10 s, to within 5 %. Raises UsageError.
    """
    found = re.fullmatch(
        rf"search\s+(?:from\s+)?{RATE}\s+to\s+{RATE}(?:\s*,\s*({DURATION})\s+each)?(?:\s*,?\s*within\s+({NUMBER})\s*%)?",
        text.strip().lower(),
    )
    if not found:
        raise UsageError(f"{text!r} is no search: write it as {_EXAMPLES['search']!r}")
    low, high = (parse_rate(f"{found[place]}/{found[place + 1] or 's'}") for place in (1, 3))
    return Search(
        low,
        high,
        seconds=parse_duration(found[5]) if found[5] else 10.0,
        tolerance=float(found[6]) / 100 if found[6] else 0.05,
    )
