"""The search for the highest rate that keeps the SLOs: up by steps, then by bisection."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Self

from conformance.errors import UsageError
from conformance.units import format_rate, format_seconds
from load.schedule.profiles import Schedule, constant

__all__ = ["Search", "Trial"]


@dataclass(frozen=True)
class Trial:
    """A rate that was tried for some seconds; `met` is whether the SLOs were met, None if that was not judged."""

    rate: float
    seconds: float
    met: bool | None


@dataclass(frozen=True)
class Search:
    """The state of a search, frozen: `tried` returns the state after a trial.

    `next_rate` is the rate to try now, for `next_seconds`, or None when the search has ended; `result` and `why` are
    its outcome. A trial that could not be judged is repeated once, twice as long. Where that cannot be judged either,
    the rate counts as one that did not keep the SLOs, and `why` says so. Every trial is long enough for `samples`
    arrivals, which the SLOs need to be judged.
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
        """The search, as people write it."""
        return (
            f"search {format_rate(self.low)} to {format_rate(self.high)}, {format_seconds(self.seconds)} each"
        )

    @property
    def stop(self) -> str:
        """The stop condition, in words."""
        return (
            f"ends when {format_rate(self.high)} held, when {format_rate(self.low)} did not, "
            "when the highest rate that held "
            f"and the lowest that did not are within {100 * self.tolerance:.3g} % of each other, "
            f"or after {self.most} trials"
        )

    @property
    def best(self) -> float | None:
        """The highest rate that met the SLOs below the lowest that did not; None if there is none so far."""
        bound = self._bound
        met = [each.rate for each in self.trials if each.met and (bound is None or each.rate < bound)]
        return max(met, default=None)

    @property
    def _bound(self) -> float | None:
        failed = [each.rate for each in self.trials if each.met is False]
        unjudged = [
            first.rate
            for first, second in pairwise(self.trials)
            if first.met is None and second.met is None and first.rate == second.rate
        ]
        return min([*failed, *unjudged], default=None)

    @property
    def _repeats(self) -> bool:
        """Whether the last trial could not be judged, for the first time."""
        if not self.trials or self.trials[-1].met is not None:
            return False
        return len(self.trials) < 2 or self.trials[-2].rate != self.trials[-1].rate

    @property
    def next_rate(self) -> float | None:
        """The rate to try now; None when the search has ended."""
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
        """The duration of the next trial."""
        seconds = self.seconds
        if self.samples and not self.over:
            # Whole seconds, with 2 % more arrivals than necessary.
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
        failed = any(each.rate == rate and each.met is False for each in self.trials)
        return "did not" if failed else "could not be judged"

    @property
    def over(self) -> bool:
        """Whether the search has ended."""
        return self._ended is not None

    @property
    def result(self) -> float | None:
        """The highest rate that met the SLOs, when the search has ended; None if none did."""
        return self.best if self.over else None

    @property
    def why(self) -> str | None:
        """Why the search ended; None as long as it has not."""
        return self._ended

    def schedule(self, *, spacing: str = "even") -> Schedule:
        """Return the next trial as a schedule; raises ValueError when the search is over."""
        if (rate := self.next_rate) is None:
            raise ValueError("the search is over")
        return constant(rate, self.next_seconds, spacing=spacing)

    def tried(self, met: bool | None) -> Search:
        """Return the search after the next rate met the SLOs, did not, or could not be judged (None)."""
        if (rate := self.next_rate) is None:
            raise ValueError("the search is over")
        return replace(self, trials=(*self.trials, Trial(rate, self.next_seconds, met)))

    def to_json(self) -> dict[str, Any]:
        """Return the search as JSON."""
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
                {"rate": each.rate, "seconds": each.seconds, "held": each.met} for each in self.trials
            ],
            "result": self.result,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the search that `to_json` wrote."""
        numbers = {name: data[name] for name in ("low", "high", "seconds", "factor", "tolerance", "most")}
        trials = tuple(Trial(each["rate"], each["seconds"], each["held"]) for each in data["trials"])
        return cls(**numbers, samples=data.get("samples", 0), trials=trials)
