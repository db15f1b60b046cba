"""The counts of a load: per function, per second, and per report of a process.

Latencies are those of requests that were served, and of requests without a response in time, which took at least that
long: a failure is not fast. Refused responses have a histogram of their own. A request that ended without a response
in another way (`load.metrics.endings`) has none. `due` is measured from the moment the request was due, `sent` from the
moment it was sent. Arrivals that found no connection were never sent: they count as dropped, and their wait as a
latency from due.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from conformance.events import FunctionSecondRecord, SecondEvent
from load.metrics.endings import NO_CONNECTION
from load.metrics.histogram import Histogram

__all__ = ["Counts", "Delta", "Gauge", "Second"]


@dataclass
class Counts:
    """The number of requests, how they ended, and how long they took."""

    requests: int = 0
    failed: int = 0
    nonconformant: int = 0
    dropped: int = 0
    bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    #: Rule ids, each with the number of requests whose answer broke it.
    rules: Counter[str] = field(default_factory=Counter)
    due: Histogram = field(default_factory=Histogram)
    sent: Histogram = field(default_factory=Histogram)
    #: Latencies from the moment due, of refused responses.
    refused: Histogram = field(default_factory=Histogram)
    #: The waits of arrivals that found no connection; they are in `due` and in `dropped` as well.
    starved: Histogram = field(default_factory=Histogram)
    #: Requests that came due; each ends as served, refused, unanswered, dropped or renewed.
    arrivals: int = 0
    #: Requests that were refused because their session had ended, and was renewed.
    renewed: int = 0

    @property
    def served(self) -> int:
        """The number of requests with an expected response."""
        return self.requests - self.failed

    @property
    def answered(self) -> int:
        """The number of requests with a response of any status."""
        return self.served + self.refused.count

    @property
    def unanswered(self) -> int:
        """The number of requests that were sent and got no complete response."""
        return self.failed - self.refused.count

    @property
    def wanted(self) -> int:
        """The number of requests that the error rate refers to: those sent, and those without a connection."""
        return self.requests + self.starved.count

    @property
    def unserved(self) -> int:
        """The number of requests that count as errors: those that failed, and those without a connection."""
        return self.failed + self.starved.count

    def merge(self, other: Counts) -> None:
        """Add other counts."""
        self.requests += other.requests
        self.failed += other.failed
        self.nonconformant += other.nonconformant
        self.dropped += other.dropped
        self.bytes += other.bytes
        self.errors.update(other.errors)
        self.rules.update(other.rules)
        self.due.merge(other.due)
        self.sent.merge(other.sent)
        self.refused.merge(other.refused)
        self.starved.merge(other.starved)
        self.arrivals += other.arrivals
        self.renewed += other.renewed

    @classmethod
    def sum(cls, several: Iterable[Counts]) -> Self:
        """Return the sum of counts."""
        total = cls()
        for each in several:
            total.merge(each)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, without loss."""
        return {
            "requests": self.requests,
            "failed": self.failed,
            "nonconformant": self.nonconformant,
            "dropped": self.dropped,
            "bytes": self.bytes,
            "errors": dict(self.errors),
            "rules": dict(self.rules),
            "due": self.due.encode(),
            "sent": self.sent.encode(),
            "refused": self.refused.encode(),
            "starved": self.starved.encode(),
            "arrivals": self.arrivals,
            "renewed": self.renewed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        numbers = ("requests", "failed", "nonconformant", "dropped", "bytes", "arrivals", "renewed")
        return cls(
            **{name: data[name] for name in numbers},
            errors=Counter(data["errors"]),
            rules=Counter(data["rules"]),
            due=Histogram.decode(data["due"]),
            sent=Histogram.decode(data["sent"]),
            refused=Histogram.decode(data["refused"]),
            starved=Histogram.decode(data["starved"]),
        )

    def shown(self, asked: float | None, seconds: float) -> dict[str, Any]:
        """Return the counts for the report: rates over `seconds`, latencies in milliseconds.

        `asked` is the number of scheduled arrivals in that time, None where there was no schedule.
        """
        errors = Counter(self.errors)
        if self.starved.count:
            errors[NO_CONNECTION] = self.starved.count
        return {
            "requests": self.requests,
            "asked": None if asked is None else _ratio(asked, seconds),
            "reached": _ratio(self.requests, seconds),
            "rate": _ratio(self.served, seconds),
            "arrivals": self.arrivals or None,
            "served": self.served,
            "answered": self.answered,
            "unanswered": self.unanswered,
            "renewed": self.renewed,
            "no_connection": self.starved.count,
            "errors": dict(sorted(errors.items())),
            "failed": self.failed,
            "nonconformant": self.nonconformant,
            "dropped": self.dropped,
            "bytes": self.bytes,
            "due": self.due.figures(),
            "sent": self.sent.figures(),
            "refused": self.refused.figures(),
        }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


@dataclass
class Gauge:
    """The state of one process in one second: the largest value of each."""

    users: int = 0
    connections: int = 0
    cpu: float = 0.0

    def merge(self, other: Gauge) -> None:
        """Take the larger value of each."""
        self.users = max(self.users, other.users)
        self.connections = max(self.connections, other.connections)
        self.cpu = max(self.cpu, other.cpu)


@dataclass
class Second:
    """One second of the run, including the warm-up: what was sent in it, and what ended in it.

    `late` of the requests ended in an earlier second that had been reported before they were known.
    """

    at: int
    sent: int = 0
    done: int = 0
    failed: int = 0
    nonconformant: int = 0
    dropped: int = 0
    late: int = 0
    refused: int = 0
    renewed: int = 0
    starved: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    due: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    #: Per function: requests done, failed, nonconformant.
    functions: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    #: The latencies of the functions with histograms per second.
    watched: dict[str, Histogram] = field(default_factory=dict)
    #: By process.
    gauges: dict[str, Gauge] = field(default_factory=dict)

    def merge(self, other: Second) -> None:
        """Add the counts of any second."""
        self.sent += other.sent
        self.done += other.done
        self.failed += other.failed
        self.nonconformant += other.nonconformant
        self.dropped += other.dropped
        self.late += other.late
        self.refused += other.refused
        self.renewed += other.renewed
        self.starved += other.starved
        self.errors.update(other.errors)
        self.due.merge(other.due)
        self.lag.merge(other.lag)
        for name, (done, failed, nonconformant) in other.functions.items():
            mine = self.functions.get(name, (0, 0, 0))
            self.functions[name] = (mine[0] + done, mine[1] + failed, mine[2] + nonconformant)
        for name, histogram in other.watched.items():
            self.watched.setdefault(name, Histogram()).merge(histogram)
        for name, gauge in other.gauges.items():
            self.gauges.setdefault(name, Gauge()).merge(gauge)

    @property
    def any_ended(self) -> bool:
        """Whether any request ended in it."""
        return bool(self.done or self.dropped or self.renewed)

    @property
    def served(self) -> int:
        """The number of requests that ended in it with an expected response."""
        return self.done - self.failed

    @property
    def users(self) -> int:
        """The users of all processes."""
        return sum(gauge.users for gauge in self.gauges.values())

    @property
    def connections(self) -> int:
        """The connections of all processes."""
        return sum(gauge.connections for gauge in self.gauges.values())

    @property
    def cpu(self) -> float:
        """The share of a core that the busiest process used."""
        return max((gauge.cpu for gauge in self.gauges.values()), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, without loss."""
        return {
            "at": self.at,
            "sent": self.sent,
            "done": self.done,
            "failed": self.failed,
            "nonconformant": self.nonconformant,
            "dropped": self.dropped,
            "late": self.late,
            "refused": self.refused,
            "renewed": self.renewed,
            "starved": self.starved,
            "errors": dict(self.errors),
            "due": self.due.encode(),
            "lag": self.lag.encode(),
            "functions": {name: list(counts) for name, counts in self.functions.items()},
            "watched": {name: histogram.encode() for name, histogram in self.watched.items()},
            "gauges": {
                name: [gauge.users, gauge.connections, gauge.cpu] for name, gauge in self.gauges.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        counted = ("at", "sent", "done", "failed", "nonconformant", "dropped", "late")
        numbers = (*counted, "refused", "renewed", "starved")
        return cls(
            **{name: data[name] for name in numbers},
            errors=Counter(data["errors"]),
            due=Histogram.decode(data["due"]),
            lag=Histogram.decode(data["lag"]),
            functions={name: (counts[0], counts[1], counts[2]) for name, counts in data["functions"].items()},
            watched={name: Histogram.decode(text) for name, text in data["watched"].items()},
            gauges={name: Gauge(*values) for name, values in data["gauges"].items()},
        )

    def event(self, asked: float | None) -> SecondEvent:
        """Return the event that reports the second; `asked` is the number of scheduled arrivals in it."""
        p50, p95, p99 = self.due.percentiles((50, 95, 99))
        errors = Counter(self.errors)
        if self.starved:
            errors[NO_CONNECTION] = self.starved
        return SecondEvent(
            at=self.at,
            asked=None if asked is None else round(asked, 6),
            sent=self.sent,
            done=self.done,
            failed=self.failed,
            nonconformant=self.nonconformant,
            dropped=self.dropped,
            late=self.late,
            served=self.served,
            answered=self.served + self.refused,
            renewed=self.renewed,
            no_connection=self.starved,
            errors=dict(sorted(errors.items())),
            due=self.due.encode(),
            p50=p50 / 1000,
            p95=p95 / 1000,
            p99=p99 / 1000,
            max=self.due.max / 1000,
            lag=self.lag.percentile(99) / 1000,
            users=self.users,
            cpu=round(self.cpu, 4),
            connections=self.connections,
            functions={
                name: FunctionSecondRecord(done, failed, nonconformant)
                for name, (done, failed, nonconformant) in sorted(self.functions.items())
            },
        )


@dataclass
class Delta:
    """The results of some time in one process or several: what a worker sends to the master.

    `until` is, by process, the moment up to which the results are complete.
    """

    until: dict[str, float] = field(default_factory=dict)
    functions: dict[str, Counts] = field(default_factory=dict)
    #: Arrivals that were dropped before they had a function.
    unassigned: int = 0
    #: Arrivals that have no function yet, and the waits of those that found no connection.
    nameless: Counts = field(default_factory=Counts)
    warmed: Counts = field(default_factory=Counts)
    #: How late arrivals began, excluding the warm-up: the generator's own lag.
    lag: Histogram = field(default_factory=Histogram)
    seconds: dict[int, Second] = field(default_factory=dict)

    def merge(self, other: Delta) -> None:
        """Add another; the order and grouping of merges makes no difference."""
        for name, moment in other.until.items():
            self.until[name] = max(moment, self.until.get(name, -math.inf))
        for name, counts in other.functions.items():
            self.functions.setdefault(name, Counts()).merge(counts)
        self.unassigned += other.unassigned
        self.nameless.merge(other.nameless)
        self.warmed.merge(other.warmed)
        self.lag.merge(other.lag)
        for at, second in other.seconds.items():
            self.second(at).merge(second)

    def second(self, at: int) -> Second:
        """Return one of its seconds, created at its first use."""
        found = self.seconds.get(at)
        if found is None:
            found = self.seconds[at] = Second(at)
        return found

    @property
    def total(self) -> Counts:
        """The counts of all functions, excluding the warm-up."""
        total = Counts.sum(self.functions.values())
        total.dropped += self.unassigned
        total.merge(self.nameless)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, without loss."""
        return {
            "until": dict(self.until),
            "functions": {name: counts.to_json() for name, counts in self.functions.items()},
            "unassigned": self.unassigned,
            "nameless": self.nameless.to_json(),
            "warmed": self.warmed.to_json(),
            "lag": self.lag.encode(),
            "seconds": [second.to_json() for second in self.seconds.values()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            until=dict(data["until"]),
            functions={name: Counts.from_json(counts) for name, counts in data["functions"].items()},
            unassigned=data["unassigned"],
            nameless=Counts.from_json(data["nameless"]),
            warmed=Counts.from_json(data["warmed"]),
            lag=Histogram.decode(data["lag"]),
            seconds={second["at"]: Second.from_json(second) for second in data["seconds"]},
        )
