"""SLOs of parts of a run: of every window of some seconds, from a moment on, of a step, and after a spike.

    errors < 1% in every 10s · p95 < 300ms from 30s · p99 < 80ms at 100/s · recovery < 10s

A second belongs to the window or the step that contains all of it, with the requests that ended in it. The warm-up is
excluded. A window with too few samples is joined with the next one. A ramp is divided into ten parts, each with its
mean rate. Memory is bounded: the counts of windows that missed an SLO are retained, up to `MAX_MISSED`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from load.metrics.counts import Counts, Second
from load.metrics.slo import Doubt, Result, Slo, counts_of, hopeless, judge, measured_text
from load.schedule.profiles import Schedule

__all__ = ["MAX_MISSED", "Recovery", "Step", "TimedSlos", "steps_of"]

#: Windows that missed an SLO and are retained with their counts.
MAX_MISSED = 20
#: The parts of a ramp.
RAMP_PARTS = 10
#: The seconds before a spike that a recovery needs, and the number of good seconds in a row that make one.
MIN_BASELINE_SECONDS, RECOVERED_SECONDS = 5, 3
#: The largest ratio of a good second's latency to that of the worst second before the spike.
RECOVERED_LATENCY = 1.1


@dataclass
class Step:
    """A part of a schedule with its own rate, and the counts of its whole seconds."""

    begin: float
    end: float
    low: float
    high: float
    counts: Counts = field(default_factory=Counts)
    seconds: int = 0

    @property
    def rate(self) -> float:
        """The mean rate that is asked for."""
        return (self.low + self.high) / 2

    def holds(self, second: Second) -> bool:
        """Return whether it contains all of a second."""
        return self.begin <= second.at and second.at + 1 <= self.end

    def has(self, rate: float) -> bool:
        """Return whether it has a rate, at any moment of it."""
        low, high = sorted((self.low, self.high))
        return low * 0.999 <= rate <= high * 1.001

    def to_json(self) -> dict[str, Any]:
        """Return the step for the report."""
        counts, seconds = self.counts, max(self.seconds, 1)
        p50, p95, p99 = (
            value / 1000 if counts.due.count else None for value in counts.due.percentiles((50, 95, 99))
        )
        return {
            "from": self.begin,
            "to": self.end,
            "asked": self.rate,
            "low": min(self.low, self.high),
            "high": max(self.low, self.high),
            "seconds": self.seconds,
            "requests": counts.requests,
            "rate": counts.served / seconds,
            "errors": counts.unserved / counts.wanted if counts.wanted else 0.0,
            "p50": p50,
            "p95": p95,
            "p99": p99,
        }


def steps_of(schedule: Schedule | None) -> list[Step]:
    """Return the steps of a schedule: of `steps`, of a spike, or the parts of a ramp."""
    if schedule is None or schedule.kind not in ("steps", "spike", "ramp"):
        return []
    steps, at = [], 0.0
    for stretch in schedule.stretches:
        if math.isinf(stretch.seconds):
            break
        parts = RAMP_PARTS if stretch.begin != stretch.end else 1
        for part in range(parts):
            low, high = (
                stretch.begin + (stretch.end - stretch.begin) * place / parts for place in (part, part + 1)
            )
            begin, end = (at + stretch.seconds * place / parts for place in (part, part + 1))
            steps.append(Step(begin, end, low, high))
        at += stretch.seconds
    return steps


@dataclass
class _Window:
    """The counts from one moment to another."""

    begin: float
    end: float
    counts: Counts
    seconds: int
    #: The span of the seconds that missed the SLO by themselves.
    bad: tuple[float, float] | None = None

    def merged(self, other: _Window) -> _Window:
        """Return this window joined with the one after it."""
        counts = Counts.sum([self.counts, other.counts])
        bad = self.bad or other.bad
        if self.bad is not None and other.bad is not None:
            bad = (self.bad[0], other.bad[1])
        return _Window(self.begin, other.end, counts, self.seconds + other.seconds, bad)


def _bad_seconds(window: _Window) -> str:
    """Return the seconds in which a window missed its SLO, in words; empty if that is all of it."""
    if window.bad is None or window.bad == (window.begin, window.end):
        return ""
    return f", by what came from {window.bad[0]:g} to {window.bad[1]:g} s"


class _Timed:
    """One SLO that is about a part of the run."""

    def __init__(self, slo: Slo, start: float, steps: Sequence[Step]) -> None:
        self.slo = slo
        #: The SLO of one window.
        self.plain = replace(slo, every=None, since=None, at_rate=None)
        self.begin = math.ceil(max(start, slo.since or 0.0) - 1e-9)
        self.steps = None if slo.at_rate is None else [step for step in steps if step.has(slo.at_rate)]
        self.open: _Window | None = None
        self.last: _Window | None = None
        self.judged = self.joined = self.failing = self.samples = 0
        self.missed: list[tuple[_Window, Result]] = []
        self.worst: Result | None = None
        #: Arrivals that have ended so far, and those that had ended before the open window.
        self._ended = self._ended_before = 0

    def see(self, second: Second) -> None:
        """Add the next second."""
        before = self._ended
        self._ended += second.done + second.dropped + second.renewed
        if second.at < self.begin:
            return
        if self.steps is not None and not any(step.holds(second) for step in self.steps):
            return
        counts = counts_of(second, self.slo.function, latencies=self.slo.is_latency)
        new = _Window(second.at, second.at + 1, counts, 1)
        if self.slo.every is not None and (value := self._judge(new).value) is not None:
            new.bad = None if self.slo.holds(value) else (new.begin, new.end)
        self.samples += counts.due.count if self.slo.is_latency else counts.wanted
        if self.open is None:
            self.open, self._ended_before = new, before
        else:
            self.open = self.open.merged(new)
        if self.slo.every is None:
            return
        length = math.ceil(self.slo.every)
        if (second.at + 1 - self.begin) % length == 0:
            self._close()

    def hopeless(self, arrivals: Callable[[float], float] | None, duration: float) -> bool:
        """Return whether it is missed already, or will be at the end of the open window, whatever else comes.

        `arrivals` returns how many arrivals there are at most until a moment of the run of `duration` seconds.
        """
        window, plain = self.open, self.plain
        if self.failing:
            return True
        if window is None or plain.function is not None:
            return False
        samples = window.counts.due.count if plain.is_latency else window.counts.wanted
        if plain.metric != "rate" and samples < plain.needed:
            return False  # it may be joined with the next window
        end = min(self._end_of(window), duration)
        expected = None if arrivals is None else arrivals(end) - self._ended_before
        return hopeless(plain, window.counts, expected, end - window.begin)

    def _end_of(self, window: _Window) -> float:
        """Return the moment at which the open window is judged."""
        if self.slo.every is not None:
            length = math.ceil(self.slo.every)
            return float(self.begin + (int(window.end - self.begin) // length + 1) * length)
        return math.inf if self.steps is None else max(step.end for step in self.steps)

    def _close(self) -> None:
        """Judge the window that ends now; with too few samples, it is joined with the next one."""
        window = self.open
        assert window is not None
        result = self._judge(window)
        if result.verdict == "not judged":
            self.joined += 1
            return
        self._record(window, result)
        self.last, self.open = window, None

    def _judge(self, window: _Window) -> Result:
        slo = self.plain
        functions = {} if slo.function is None else {slo.function: window.counts}
        (result,) = judge([slo], window.counts, functions, float(window.seconds))
        if slo.is_latency and not window.counts.served and window.counts.wanted < slo.needed:
            # A few requests, none of which was served, are too few to judge this window alone.
            return replace(result, verdict="not judged")
        return result

    def _record(self, window: _Window, result: Result) -> None:
        self.judged += 1
        if self.worst is None or self._worse(result, self.worst):
            self.worst = result
        if result.verdict == "fail":
            self.failing += 1
            if len(self.missed) < MAX_MISSED:
                self.missed.append((window, result))

    def _worse(self, one: Result, other: Result) -> bool:
        if one.value is None or other.value is None:
            return other.value is not None
        return one.value > other.value if self.slo.op in ("<", "<=", "=") else one.value < other.value

    def result(self, doubt: Doubt | None) -> Result:
        """Return the result so far."""
        if self.slo.every is None:
            window = self.open or _Window(0.0, 0.0, Counts(), 0)
            result = replace(self._judge(window), slo=self.slo)
            reviewed = result if doubt is None else doubt.review(result, window.counts, float(window.seconds))
            return replace(reviewed, slo=self.slo)
        # The run may go on after this.
        ended = copy.copy(self)
        ended.missed = list(self.missed)
        ended._join_the_rest()
        return ended._of_all(doubt)

    def _join_the_rest(self) -> None:
        """Judge what is left at the end, together with the window before it if it has too few samples."""
        window, self.open = self.open, None
        if window is None:
            return
        result = self._judge(window)
        if result.verdict == "not judged" and self.last is not None:
            self.joined += 1
            window = self.last.merged(window)
            result = self._judge(window)
            if result.verdict != "fail" or any(each.end == self.last.end for each, _ in self.missed):
                return
        if result.verdict != "not judged":
            self._record(window, result)

    def _of_all(self, doubt: Doubt | None) -> Result:
        record: dict[str, Any] = {
            "seconds": self.slo.every,
            "judged": self.judged,
            "joined": self.joined,
            "missed": [],
        }
        needed = self.slo.needed
        joined = f"; {self.joined} of too few samples joined with the next" if self.joined else ""
        if self.worst is None:
            reason = f"no window of {self.slo.every:g} s had the {needed:,} samples that it needs, nor all together"
            return Result(self.slo, "not judged", None, self.samples, needed, reason, record)
        value = self.worst.value
        standing = []
        doubtful = None
        for window, result in self.missed:
            seen = result if doubt is None else doubt.review(result, window.counts, float(window.seconds))
            if seen.verdict == "fail":
                standing.append((window, seen))
            else:
                doubtful = seen.reason
        if standing:
            record["missed"] = [
                {
                    "from": each.begin,
                    "to": each.end,
                    "value": of.value,
                    "samples": of.samples,
                    "bad": None if each.bad is None else list(each.bad),
                }
                for each, of in standing
            ]
            where = ", ".join(
                f"{each.begin:g} to {each.end:g} s ({measured_text(self.slo, of.value)}{_bad_seconds(each)})"
                for each, of in standing[:4]
            )
            more = f" and {self.failing - len(standing[:4])} more" if self.failing > len(standing[:4]) else ""
            reason = f"missed in {self.failing} of {self.judged} windows: {where}{more}{joined}"
            return Result(self.slo, "fail", value, self.samples, needed, reason, record)
        if doubtful is not None:
            return Result(self.slo, "not judged", value, self.samples, needed, doubtful, record)
        passed = Result(
            self.slo,
            "pass",
            value,
            self.samples,
            needed,
            f"the worst of {self.judged} windows{joined}",
            record,
        )
        if doubt is not None and doubt.why is not None:
            reason = f"the generator was not fit: {doubt.why}"
            return replace(passed, verdict="not judged", reason=reason)
        return passed


class Recovery:
    """The time after a spike until latency and errors are as they were before it."""

    def __init__(self, slo: Slo, start: float, steps: Sequence[Step]) -> None:
        self.slo = slo
        peak = max(steps, key=lambda step: step.rate)
        self.begin, self.spike, self.end = math.ceil(start - 1e-9), peak.begin, peak.end
        self.baseline = self.seconds = self.good = 0
        self.latency = self.share = 0.0
        self.recovered: float | None = None

    def see(self, second: Second) -> None:
        """Add the next second."""
        if second.at < self.begin:
            return
        counts = counts_of(second, None, latencies=True)
        latency = counts.due.percentile(95) / 1000
        share = counts.unserved / counts.wanted if counts.wanted else 0.0
        if second.at + 1 <= self.spike:
            if counts.wanted:
                self.baseline += 1
                self.latency, self.share = max(self.latency, latency), max(self.share, share)
            return
        if second.at < self.end or self.recovered is not None:
            return
        self.seconds = second.at + 1 - math.ceil(self.end)
        back = counts.served > 0 and share <= self.share and latency <= RECOVERED_LATENCY * self.latency
        self.good = self.good + 1 if back else 0
        if self.good >= RECOVERED_SECONDS:
            self.recovered = 1000 * max(0.0, second.at + 1 - RECOVERED_SECONDS - self.end)

    def hopeless(self, arrivals: Callable[[float], float] | None, duration: float) -> bool:
        """Return whether it has lasted for too long already."""
        if self.recovered is not None or self.baseline < MIN_BASELINE_SECONDS:
            return False
        return not self.slo.holds(1000.0 * max(0, self.seconds - self.good))

    def result(self, doubt: Doubt | None) -> Result:
        """Return the result so far."""
        needed = RECOVERED_SECONDS
        if self.baseline < MIN_BASELINE_SECONDS:
            reason = (
                f"{self.baseline} s were measured before the spike; a recovery needs {MIN_BASELINE_SECONDS} s"
            )
            return Result(self.slo, "not judged", None, self.baseline, MIN_BASELINE_SECONDS, reason)
        before = f"before the spike p95 was {self.latency:.3g} ms and errors {self.share:.2%} at most"
        if self.recovered is None:
            # The last good seconds may be the beginning of a recovery.
            lasted = 1000.0 * max(0, self.seconds - self.good)
            missed = not self.slo.holds(lasted)
            reason = f"not recovered {self.seconds} s after the spike; {before}"
            return Result(self.slo, "fail" if missed else "not judged", lasted, self.seconds, needed, reason)
        met = self.slo.holds(self.recovered)
        if met and doubt is not None and doubt.why is not None:
            reason = f"the generator was not fit: {doubt.why}"
            return Result(self.slo, "not judged", self.recovered, self.seconds, needed, reason)
        return Result(self.slo, "pass" if met else "fail", self.recovered, self.seconds, needed, before)


class TimedSlos:
    """The SLOs of a run that are about a part of it, and its steps; `see` adds second by second."""

    def __init__(self, slos: Sequence[Slo], start: float, schedule: Schedule | None) -> None:
        self.steps = steps_of(schedule)
        self._start = start
        self._each: dict[str, _Timed | Recovery] = {}
        for slo in slos:
            if slo.metric == "recovery":
                self._each[slo.text] = Recovery(slo, start, self.steps)
            elif slo.timed:
                self._each[slo.text] = _Timed(slo, start, self.steps)

    @property
    def functions(self) -> frozenset[str]:
        """The functions whose latencies are recorded per second (`Aggregator.watch`)."""
        named = (each.slo for each in self._each.values())
        return frozenset(slo.function for slo in named if slo.function is not None and slo.is_latency)

    def see(self, second: Second) -> None:
        """Add the next second."""
        for each in self._each.values():
            each.see(second)
        if second.at < math.ceil(self._start - 1e-9):
            return
        for step in self.steps:
            if step.holds(second):
                step.seconds += 1
                step.counts.merge(counts_of(second, None, latencies=True))

    def result(self, slo: Slo, doubt: Doubt | None) -> Result:
        """Return the result of one of the SLOs."""
        return self._each[slo.text].result(doubt)

    def hopeless(self, arrivals: Callable[[float], float] | None, duration: float) -> Iterator[Slo]:
        """Yield the SLOs that cannot be met any more, whatever else comes (`_Timed.hopeless`)."""
        for each in self._each.values():
            if each.hopeless(arrivals, duration):
                yield each.slo

    @staticmethod
    def wrong(slo: Slo, schedule: Schedule | None, seconds: float) -> str | None:
        """Return why a run with this schedule and duration cannot judge an SLO; None if it can."""
        steps = steps_of(schedule)
        checks: tuple[tuple[Callable[[], bool], str], ...] = (
            (
                lambda: slo.metric == "recovery" and (schedule is None or schedule.kind != "spike"),
                "a recovery is judged after a spike: --rate 'spike 50/s to 500/s at 20s for 5s'",
            ),
            (
                lambda: slo.at_rate is not None and not any(step.has(slo.at_rate) for step in steps),
                "no step of the load has that rate: it is about one of steps, a ramp or a spike",
            ),
            (lambda: slo.since is not None and slo.since >= seconds, f"the load ends after {seconds:g} s"),
            (
                lambda: slo.every is not None and slo.every > seconds,
                f"a window is longer than the load of {seconds:g} s",
            ),
        )
        return next((why for wrong, why in checks if wrong()), None)
