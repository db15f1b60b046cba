"""The health of the generator: processor time, lag, pauses, drops, and the largest rate that it could send.

A generator that is short of processor time, or late, measures itself. `fitness` is a pure function that decides
whether the figures of a load are valid, with one line for each reason why not.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from load.metrics.histogram import Histogram

__all__ = [
    "LIMITS",
    "Calibration",
    "Facts",
    "Fitness",
    "GcWatch",
    "Limits",
    "Meter",
    "Vitals",
    "cores",
    "fitness",
]


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Limits:
    """The limits beyond which the generator is the bottleneck. Times are in seconds; all others are shares."""

    #: Of a core, over the whole run, for any one process: it has one thread.
    cpu: float = 0.85
    #: The 99th percentile of how late arrivals are taken up: so late, the load is not the one that was asked for.
    lag: float = 0.100
    #: The same, as a share of the tightest limit of a latency; what is less than `lag_noted` is never too much.
    lag_share: float = 0.5
    #: The same, when it is worth a remark.
    lag_noted: float = 0.010
    #: Of the arrivals that were due.
    dropped: float = 0.001
    #: Of the arrivals that were due: sent less than that much short of them.
    short: float = 0.01
    #: Of the run, spent collecting garbage.
    gc: float = 0.05
    #: Of the rate that the calibration reached.
    rate_limit: float = 0.8
    #: A single garbage collection that is worth a remark.
    pause: float = 0.050


LIMITS = Limits()


# --- the measurements of a process -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Vitals:
    """The measurements of one process since its start, in seconds; later ones replace earlier ones."""

    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    #: The highest share of a core in any one sample.
    cpu_most: float = 0.0
    gc_count: int = 0
    gc_longest: float = 0.0
    gc_total: float = 0.0
    lost: bool = False

    @property
    def cpu(self) -> float:
        """The mean share of a core that it used."""
        return self.cpu_seconds / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the measurements as JSON."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "cpu": self.cpu,
            "cpu_most": self.cpu_most,
            "gc": {
                "count": self.gc_count,
                "longest": self.gc_longest * 1000,
                "total": self.gc_total * 1000,
            },
            "lost": self.lost,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the measurements that `to_json` wrote."""
        return cls(
            name=data["name"],
            seconds=data["seconds"],
            cpu_seconds=data["cpu_seconds"],
            cpu_most=data["cpu_most"],
            gc_count=data["gc"]["count"],
            gc_longest=data["gc"]["longest"] / 1000,
            gc_total=data["gc"]["total"] / 1000,
            lost=data["lost"],
        )

    def gone(self) -> Vitals:
        """Return the measurements, with the process marked as lost."""
        return replace(self, lost=True)


class GcWatch:
    """Times the garbage collections of this process, in a `with` block or from `start` to `stop`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begun: float | None = None
        self.count = 0
        self.longest = 0.0
        self.total = 0.0

    def start(self) -> None:
        """Start to measure; a second start changes nothing."""
        if self._seen not in gc.callbacks:
            gc.callbacks.append(self._seen)

    def stop(self) -> None:
        """Stop to measure."""
        if self._seen in gc.callbacks:
            gc.callbacks.remove(self._seen)
        self._begun = None

    def _seen(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._begun = self._clock()
        elif self._begun is not None:
            took = max(0.0, self._clock() - self._begun)
            self._begun = None
            self.count += 1
            self.total += took
            self.longest = max(self.longest, took)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Meter:
    """Measures the processor time of this process; `sample` now and then, `vitals` at any time.

    Shares are of one core. `cpu_time` says how many processor seconds were used up to now.
    """

    #: Samples that span less than this are too coarse for a highest share.
    SHORTEST = 0.2

    def __init__(
        self,
        name: str = "local",
        *,
        clock: Callable[[], float] = time.perf_counter,
        cpu_time: Callable[[], float] = time.process_time,
    ) -> None:
        self.name = name
        self._clock = clock
        self._cpu_time = cpu_time
        self.pauses = GcWatch(clock)
        self.begin()

    def begin(self) -> None:
        """Start to measure."""
        self._begun = self._last = self._clock()
        self._begun_cpu = self._last_cpu = self._cpu_time()
        self._most = 0.0
        self.now = 0.0

    def sample(self) -> float:
        """Return the share of a core since the last sample, or the last share if that sample was a moment ago."""
        moment, used = self._clock(), self._cpu_time()
        if moment - self._last >= self.SHORTEST:
            self.now = max(0.0, used - self._last_cpu) / (moment - self._last)
            self._most = max(self._most, self.now)
            self._last, self._last_cpu = moment, used
        return self.now

    def vitals(self) -> Vitals:
        """Return the measurements since the start."""
        return Vitals(
            name=self.name,
            seconds=self._clock() - self._begun,
            cpu_seconds=self._cpu_time() - self._begun_cpu,
            cpu_most=self._most,
            gc_count=self.pauses.count,
            gc_longest=self.pauses.longest,
            gc_total=self.pauses.total,
        )


@dataclass(frozen=True)
class Calibration:
    """The rate of all processes of the generator on this machine, against a server that answers at once."""

    rate: float
    cpu_us: float

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON."""
        return {"rate": self.rate, "cpu_us": self.cpu_us}

    def refuses(self, rate: float, limits: Limits = LIMITS) -> str | None:
        """Return why a rate is too high for valid results; None if it is not."""
        if rate <= self.rate * limits.rate_limit:
            return None
        return (
            f"{rate:.6g}/s is more than {limits.rate_limit:.0%} of the {self.rate:.6g}/s that this generator reaches "
            f"against a server that answers at once: ask for less, or add workers"
        )


# --- the decision -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """The facts that `fitness` decides by.

    `asked` is the number of arrivals that were due in the measured time, None with closed users, and `sent` how
    many requests were sent in it; `rate` is the highest rate asked for or, with closed users, the one reached.
    `reopened` is the number of idle connections that the target had closed. On `strays` connections more than the
    responses arrived.
    """

    workers: Sequence[Vitals]
    lag: Histogram = field(default_factory=Histogram)
    asked: float | None = None
    sent: int = 0
    dropped: int = 0
    rate: float = 0.0
    calibration: Calibration | None = None
    reopened: int = 0
    strays: int = 0
    #: Of the dropped, those that found no free connection: the target's doing, where the generator was on time.
    starved: int = 0
    #: The tightest limit of a latency, in seconds, and the latency's p99 that was measured; None where there is none.
    limit: float | None = None
    p99: float | None = None
    cores: int = field(default_factory=cores)


@dataclass(frozen=True)
class Fitness:
    """Whether the results are valid, and if not, `why`. `remarks` do not make them invalid."""

    valid: bool
    why: tuple[str, ...]
    remarks: tuple[str, ...]
    facts: Facts

    def to_json(self) -> dict[str, Any]:
        """Return the health for the report, with times in milliseconds."""
        facts = self.facts
        p50, p99 = facts.lag.percentiles((50, 99))
        return {
            "valid": self.valid,
            "why": list(self.why),
            "remarks": list(self.remarks),
            "cpu": {
                "mean": max((each.cpu for each in facts.workers), default=0.0),
                "most": max((each.cpu_most for each in facts.workers), default=0.0),
                "cores": facts.cores,
            },
            "lag": {"p50": p50 / 1000, "p99": p99 / 1000, "max": facts.lag.max / 1000},
            "dropped": facts.dropped,
            "dropped_share": dropped_share(facts),
            "gc": {
                "count": sum(each.gc_count for each in facts.workers),
                "longest": 1000 * max((each.gc_longest for each in facts.workers), default=0.0),
                "total": 1000 * sum(each.gc_total for each in facts.workers),
            },
            "calibration": None if facts.calibration is None else facts.calibration.to_json(),
            "workers": [each.to_json() for each in facts.workers],
        }


def dropped_share(facts: Facts) -> float:
    """Return the share of the due arrivals that were dropped."""
    due = facts.sent + facts.dropped
    return facts.dropped / due if due else 0.0


def fitness(facts: Facts, limits: Limits = LIMITS) -> Fitness:
    """Decide whether the generator was fit for this load."""
    why = list(_reasons(facts, limits))
    if facts.sent and (dropped := _dropped_reason(facts, limits, on_time=not why)) is not None:
        why.append(dropped)
    return Fitness(not why, tuple(why), tuple(_remarks(facts, limits)), facts)


def _reasons(facts: Facts, limits: Limits) -> Iterable[str]:
    if not facts.sent:
        yield "nothing was sent in the measured time"
        return
    several = len(facts.workers) > 1
    for each in facts.workers:
        if each.cpu > limits.cpu:
            who = f"worker {each.name}" if several else "the generator"
            yield f"{who} took {each.cpu:.0%} of a core, more than {limits.cpu:.0%}: it was short of processor time"
    if (late := _too_late(facts, limits)) is not None:
        yield late
    if facts.asked is not None:
        # A Poisson process may fall short by chance; four standard deviations are no chance.
        missing = facts.asked - facts.sent - facts.dropped
        if missing > max(1.0, limits.short * facts.asked, 4 * facts.asked**0.5):
            yield (
                f"{facts.sent:,} of {facts.asked:,.0f} arrivals were sent: "
                f"the generator did not keep up, or a part of it was lost"
            )
    for each in facts.workers:
        if each.seconds > 0 and each.gc_total / each.seconds > limits.gc:
            who = f"worker {each.name}" if several else "the generator"
            yield (
                f"{who} collected garbage for {each.gc_total / each.seconds:.0%} of the time, more than {limits.gc:.0%}"
            )
    if facts.calibration is not None and (refused := facts.calibration.refuses(facts.rate, limits)):
        yield refused


def _too_late(facts: Facts, limits: Limits) -> str | None:
    """Return why arrivals were taken up too late for the SLOs; None if they were not."""
    late = facts.lag.percentile(99) / 1e6
    if not facts.lag.count or late <= limits.lag_noted:
        return None
    late_text = f"arrivals were taken up {late * 1000:.3g} ms late at p99"
    if facts.limit is not None and late > limits.lag_share * facts.limit:
        return f"{late_text}, {late / facts.limit:.0%} of the tightest limit of a latency ({facts.limit * 1000:.3g} ms)"
    if late > limits.lag:
        return (
            f"{late_text}, more than {limits.lag * 1000:.3g} ms: the generator lagged behind its schedule, "
            f"and the load was not the one that was asked for"
        )
    return None


def _dropped_reason(facts: Facts, limits: Limits, *, on_time: bool) -> str | None:
    """Return why dropped arrivals make the results invalid; None if they do not.

    Arrivals that found no connection only do so if the generator was late.
    """
    dropped = facts.dropped - facts.starved if on_time else facts.dropped
    due = facts.sent + facts.dropped
    share = dropped / due if due else 0.0
    if share <= limits.dropped:
        return None
    why = "nothing took them up" if on_time else "no connection came free for them"
    return (
        f"{dropped:,} arrivals were dropped, {share:.2%} of those due, more than {limits.dropped:.2%}: {why}"
    )


def _remarks(facts: Facts, limits: Limits) -> Iterable[str]:
    for each in facts.workers:
        if each.lost:
            yield f"worker {each.name} was lost: what it had measured and not yet reported is missing"
        if each.gc_longest > limits.pause:
            yield f"a garbage collection took {each.gc_longest * 1000:.0f} ms ({each.name})"
    late = facts.lag.percentile(99) / 1e6
    if facts.lag.count and late > limits.lag_noted and _too_late(facts, limits) is None:
        beside = [f"a p99 of {facts.p99 * 1000:.3g} ms" if facts.p99 is not None else ""]
        beside.append(f"a limit of {facts.limit * 1000:.3g} ms" if facts.limit is not None else "")
        yield (
            f"arrivals were taken up {late * 1000:.3g} ms late at p99, which is in their latencies"
            f"{' (beside ' + ' and '.join(filter(None, beside)) + ')' if any(beside) else ''}"
        )
    if facts.starved:
        yield (
            f"{facts.starved:,} arrivals found no free connection: they count as errors, and their wait as a latency"
        )
    if facts.reopened:
        yield (
            f"{facts.reopened:,} kept connections had been closed by the target when a request was to go over them: "
            "it went over a new one, and that is in its latency"
        )
    if facts.strays:
        yield f"on {facts.strays:,} connections more came than was asked for: each was closed, and none of it counts"
    if facts.calibration is None:
        yield "not calibrated: what this generator could send at most is not known"
