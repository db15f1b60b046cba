"""What was measured: rows in, counts and histograms out, aggregated in batches.

The hot path appends plain tuples to the lists of an `Aggregator`. A few times a second `aggregate` turns them by numpy
into a `Delta`: per function counts and histograms, and the same per second. Deltas merge in any order and grouping to
the same totals, so that workers can send them whenever it suits. Memory is constant: `finished` hands a second out once
no more can come for it, and forgets it.

Latencies are those of requests that were served, and of those that got no answer in time, which took at least that
long: what failed is not fast. Answers that were refused have a histogram of their own. A request that ended without
an answer in any other way (`load.metrics.endings`) has none. `due` runs from the moment the request was due, `sent`
from the one it was sent at. Arrivals that found no connection were never sent: they are among those dropped, and their
wait counts as a latency from due.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from load.metrics.endings import NO_CONNECTION, REFUSED, SERVED, TIMED_OUT, ending
from load.metrics.histogram import Histogram, Ints, cells_of

__all__ = ["Aggregator", "Counts", "Delta", "Floats", "Gauge", "Outcome", "Row", "Second", "table_of"]

#: function, due, sent, done, code, bytes in: moments in seconds since the run's beginning.
Row: TypeAlias = tuple[int, float, float, float, int, int]

Floats: TypeAlias = npt.NDArray[np.float64]


def table_of(rows: Sequence[Row]) -> Floats:
    """Return rows as a table of numbers, for all that folds them."""
    return np.fromiter(chain.from_iterable(rows), np.float64, 6 * len(rows)).reshape(-1, 6)


class Outcome(Protocol):
    """What a code stands for: the kind of error, if it was one, and the rules that the answer broke."""

    @property
    def error(self) -> str | None: ...  # noqa: D102

    @property
    def rules(self) -> tuple[str, ...]: ...  # noqa: D102


@dataclass
class Counts:
    """How many requests there were, how they ended, and how long they took."""

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
    #: From the moment due, of the answers that were refused.
    refused: Histogram = field(default_factory=Histogram)
    #: How long arrivals waited that found no connection; they are in `due` and in `dropped` as well.
    starved: Histogram = field(default_factory=Histogram)
    #: Requests that came due; each is served, refused, unanswered, dropped or renewed in the end.
    arrivals: int = 0
    #: Requests that were refused because their session had ended, and whose session was renewed.
    renewed: int = 0

    @property
    def served(self) -> int:
        """The requests that were answered with what they asked for."""
        return self.requests - self.failed

    @property
    def answered(self) -> int:
        """The requests that were answered, with whatever status."""
        return self.served + self.refused.count

    @property
    def unanswered(self) -> int:
        """The requests that were sent and got no whole answer."""
        return self.failed - self.refused.count

    @property
    def wanted(self) -> int:
        """The requests that errors are a share of: those sent, and those that found no connection."""
        return self.requests + self.starved.count

    @property
    def unserved(self) -> int:
        """The requests that count as errors: those that failed, and those that found no connection."""
        return self.failed + self.starved.count

    def merge(self, other: Counts) -> None:
        """Add all of another."""
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
        """Return all of them together."""
        total = cls()
        for each in several:
            total.merge(each)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it, nothing lost."""
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
        """Return it as the report has it: rates over so many seconds, latencies in milliseconds.

        `asked` is the number of arrivals asked for in that time, None where there was no schedule.
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
    """What one process said of itself in one second: the most of each."""

    users: int = 0
    connections: int = 0
    cpu: float = 0.0

    def merge(self, other: Gauge) -> None:
        """Take the most of both."""
        self.users = max(self.users, other.users)
        self.connections = max(self.connections, other.connections)
        self.cpu = max(self.cpu, other.cpu)


@dataclass
class Second:
    """One second of the run, warm-up included: what was sent in it, and what came to its end in it.

    `late` of the requests ended in an earlier second, which had been handed out when they became known.
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
    #: The latencies of the functions that are watched.
    watched: dict[str, Histogram] = field(default_factory=dict)
    #: Per process.
    gauges: dict[str, Gauge] = field(default_factory=dict)

    def merge(self, other: Second) -> None:
        """Add all of another, whatever second it is."""
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
    def tells(self) -> bool:
        """Whether any request came to its end in it."""
        return bool(self.done or self.dropped or self.renewed)

    @property
    def served(self) -> int:
        """The requests that ended in it with what they asked for."""
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
        """The share of a core that the busiest process took."""
        return max((gauge.cpu for gauge in self.gauges.values()), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it, nothing lost."""
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

    def shown(self, asked: float | None) -> dict[str, Any]:
        """Return it as the report's series has it; `asked` is the number of arrivals asked for in it."""
        p50, p95, p99 = self.due.percentiles((50, 95, 99))
        errors = Counter(self.errors)
        if self.starved:
            errors[NO_CONNECTION] = self.starved
        return {
            "at": self.at,
            "asked": None if asked is None else round(asked, 6),
            "sent": self.sent,
            "done": self.done,
            "failed": self.failed,
            "nonconformant": self.nonconformant,
            "dropped": self.dropped,
            "late": self.late,
            "served": self.served,
            "answered": self.served + self.refused,
            "renewed": self.renewed,
            "no_connection": self.starved,
            "errors": dict(sorted(errors.items())),
            "due": self.due.encode(),
            "p50": p50 / 1000,
            "p95": p95 / 1000,
            "p99": p99 / 1000,
            "max": self.due.max / 1000,
            "lag": self.lag.percentile(99) / 1000,
            "users": self.users,
            "cpu": round(self.cpu, 4),
            "connections": self.connections,
        }


@dataclass
class Delta:
    """What came about in some time in one process, or in several: what a worker sends to the master.

    `until` says, per process, up to which moment everything is in.
    """

    until: dict[str, float] = field(default_factory=dict)
    functions: dict[str, Counts] = field(default_factory=dict)
    #: What was dropped before it had a function.
    unassigned: int = 0
    #: What came due, without a function, and how long arrivals without one waited in vain.
    nameless: Counts = field(default_factory=Counts)
    warmed: Counts = field(default_factory=Counts)
    #: How late arrivals were taken up, warm-up excluded: the generator's own lag.
    lag: Histogram = field(default_factory=Histogram)
    seconds: dict[int, Second] = field(default_factory=dict)

    def merge(self, other: Delta) -> None:
        """Add all of another; it is the same in whatever order and grouping several are merged."""
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
        """Return one of its seconds, made when it is new."""
        found = self.seconds.get(at)
        if found is None:
            found = self.seconds[at] = Second(at)
        return found

    @property
    def total(self) -> Counts:
        """All functions together, warm-up excluded."""
        total = Counts.sum(self.functions.values())
        total.dropped += self.unassigned
        total.merge(self.nameless)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it, nothing lost."""
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
        """Return what `to_json` wrote; raises KeyError, TypeError or ValueError when it is none."""
        return cls(
            until=dict(data["until"]),
            functions={name: Counts.from_json(counts) for name, counts in data["functions"].items()},
            unassigned=data["unassigned"],
            nameless=Counts.from_json(data["nameless"]),
            warmed=Counts.from_json(data["warmed"]),
            lag=Histogram.decode(data["lag"]),
            seconds={second["at"]: Second.from_json(second) for second in data["seconds"]},
        )


class Aggregator:
    """Takes in what happens, and knows the sum of it.

    Append to `rows` (requests that came to their end), to `starts` (the moment due and the moment taken up, of every
    request as it is sent or begins to wait for a connection) and to `drops` (function, or -1 before it has one,
    and the moment due). What was dropped and never began is in `unbegun` as well, by the moment due; what found no
    connection is in `starved`, with the seconds that it waited; a request whose session was renewed is in `renewals`
    alone, by function and moment due.

    What is due before `warmup` seconds are over counts as warm-up. `outcomes` says what the codes of rows stand for;
    it may grow. For the functions in `watch`, seconds have histograms of their own.
    """

    def __init__(
        self,
        functions: Sequence[str] = (),
        outcomes: Sequence[Outcome] = (),
        *,
        warmup: float = 0.0,
        name: str = "local",
        watch: Iterable[str] = (),
        patience: float = 10.0,
    ) -> None:
        self.functions = list(functions)
        self.outcomes = outcomes
        self.warmup = warmup
        self.name = name
        self.watch = frozenset(watch)
        #: How many seconds a process may be behind the others before seconds are handed out without it.
        self.patience = patience
        self.rows: list[Row] = []
        self.starts: list[tuple[float, float]] = []
        self.drops: list[tuple[int, float]] = []
        self.unbegun: list[float] = []
        self.starved: list[tuple[int, float, float]] = []
        self.renewals: list[tuple[int, float]] = []
        #: How each code ends a request, as far as it was asked for (`load.metrics.endings`).
        self._endings: Ints = np.zeros(0, np.int64)
        #: All that was folded and merged; its `seconds` are those that are not handed out yet.
        self.sum = Delta()
        self._next = 0  # the second to be handed out next

    # --- folding --------------------------------------------------------------------------------------------

    def aggregate(
        self,
        now: float,
        *,
        users: int = 0,
        connections: int = 0,
        cpu: float = 0.0,
        table: Floats | None = None,
    ) -> Delta:
        """Take in all that was appended up to now, and return it as a Delta of its own.

        `table` is what `table_of` makes of `rows`, where that is there already.
        """
        rows, self.rows = self.rows, []
        starts, self.starts = self.starts, []
        drops, self.drops = self.drops, []
        delta = Delta(until={self.name: now})
        # The time that ends now, of which a whole second is the one before.
        delta.second(max(0, math.ceil(now) - 1)).gauges[self.name] = Gauge(users, connections, cpu)
        if rows:
            self._aggregate_rows(delta, table_of(rows) if table is None else table)
        if starts:
            self._aggregate_starts(delta, starts)
        for function, due in drops:
            self._aggregate_drop(delta, function, due)
        self._fold_rest(delta, now)
        self.merge(delta)
        return delta

    def _aggregate_rows(self, delta: Delta, table: Floats) -> None:
        function = table[:, 0].astype(np.int64)
        code = table[:, 4].astype(np.int64)
        due, sent = (
            # Whole microseconds, rounded; a clock's grain must not make a latency negative.
            cells_of(np.maximum(0, np.rint((table[:, 3] - table[:, column]) * 1e6)))
            for column in (1, 2)
        )
        size = table[:, 5]
        warm = table[:, 1] < self.warmup
        second = np.maximum(0, np.floor(table[:, 3])).astype(np.int64)
        for at, picked in _groups(second):
            self._aggregate_second(delta.second(at), function[picked], code[picked], due[picked])
        if warm.any():
            self._aggregate_counts(delta.warmed, code[warm], due[warm], sent[warm], size[warm])
            kept = ~warm
            function, code, due, sent, size = function[kept], code[kept], due[kept], sent[kept], size[kept]
        for number, picked in _groups(function):
            counts = delta.functions.setdefault(self.functions[number], Counts())
            self._aggregate_counts(counts, code[picked], due[picked], sent[picked], size[picked])

    def _aggregate_counts(
        self,
        counts: Counts,
        code: Ints,
        due: Ints,
        sent: Ints,
        size: Floats,
    ) -> None:
        counts.requests += len(code)
        counts.bytes += int(size.sum())
        if code.any():
            ends = self._ends(code)
            timed = (ends == SERVED) | (ends == TIMED_OUT)
            counts.refused.record_cells(due[ends == REFUSED])
            due, sent = due[timed], sent[timed]
        counts.due.record_cells(due)
        counts.sent.record_cells(sent)
        for outcome, number in self._outcomes(code):
            if outcome.error is not None:
                counts.failed += number
                counts.errors[outcome.error] += number
            if outcome.rules:
                counts.nonconformant += number
                for rule in set(outcome.rules):
                    counts.rules[rule] += number

    def _aggregate_second(
        self,
        second: Second,
        function: Ints,
        code: Ints,
        due: Ints,
    ) -> None:
        second.done += len(function)
        timed = None
        if code.any():
            ends = self._ends(code)
            timed = (ends == SERVED) | (ends == TIMED_OUT)
            second.refused += int((ends == REFUSED).sum())
        second.due.record_cells(due if timed is None else due[timed])
        for outcome, number in self._outcomes(code):
            if outcome.error is not None:
                second.failed += number
                second.errors[outcome.error] += number
            if outcome.rules:
                second.nonconformant += number
        for number, picked in _groups(function):
            name = self.functions[number]
            failed = nonconformant = 0
            for outcome, times in self._outcomes(code[picked]):
                failed += times if outcome.error is not None else 0
                nonconformant += times if outcome.rules else 0
            done = second.functions.get(name, (0, 0, 0))
            size = len(function[picked])
            second.functions[name] = (done[0] + size, done[1] + failed, done[2] + nonconformant)
            if name in self.watch:
                watched = due[picked] if timed is None else due[picked][timed[picked]]
                second.watched.setdefault(name, Histogram()).record_cells(watched)

    def _ends(self, code: Ints) -> Ints:
        """Return how each of these codes ends a request."""
        known = len(self._endings)
        if known < len(self.outcomes):
            new = [ending(outcome.error) for outcome in self.outcomes[known:]]
            self._endings = np.concatenate([self._endings, np.array(new, np.int64)])
        return self._endings[code]

    def _outcomes(self, code: Ints) -> list[tuple[Outcome, int]]:
        if not code.any():  # nearly always
            return []
        codes, numbers = np.unique(code, return_counts=True)
        return [
            (self.outcomes[each], number)
            for each, number in zip(codes.tolist(), numbers.tolist(), strict=True)
            if each
        ]

    def _aggregate_starts(self, delta: Delta, starts: list[tuple[float, float]]) -> None:
        table: Floats = np.fromiter(chain.from_iterable(starts), np.float64, 2 * len(starts)).reshape(-1, 2)
        lag = cells_of(np.maximum(0, np.rint((table[:, 1] - table[:, 0]) * 1e6)))
        second = np.maximum(0, np.floor(table[:, 1])).astype(np.int64)
        for at, picked in _groups(second):
            opened = delta.second(at)
            opened.sent += len(lag[picked])
            opened.lag.record_cells(lag[picked])
        measured = table[:, 0] >= self.warmup
        delta.lag.record_cells(lag[measured])
        count = int(measured.sum())
        delta.nameless.arrivals += count
        delta.warmed.arrivals += len(starts) - count

    def _aggregate_drop(self, delta: Delta, function: int, due: float) -> None:
        delta.second(max(0, math.floor(due))).dropped += 1
        if due < self.warmup:
            delta.warmed.dropped += 1
        elif function < 0:
            delta.unassigned += 1
        else:
            delta.functions.setdefault(self.functions[function], Counts()).dropped += 1

    def _fold_rest(self, delta: Delta, now: float) -> None:
        """Take in what never began, what found no connection, and what was renewed."""
        unbegun, self.unbegun = self.unbegun, []
        starved, self.starved = self.starved, []
        renewals, self.renewals = self.renewals, []
        for due in unbegun:
            (delta.warmed if due < self.warmup else delta.nameless).arrivals += 1
        for function, due, waited in starved:
            second = delta.second(max(0, math.floor(due + waited)))
            second.starved += 1
            counts = self._counts_of(delta, function, due)
            waited_us = max(0, round(waited * 1e6))
            for histogram in (second.due, counts.due, counts.starved):
                histogram.record(waited_us)
        for function, due in renewals:
            delta.second(max(0, math.ceil(now) - 1)).renewed += 1
            self._counts_of(delta, function, due).renewed += 1

    def _counts_of(self, delta: Delta, function: int, due: float) -> Counts:
        if due < self.warmup:
            return delta.warmed
        if function < 0:
            return delta.nameless
        return delta.functions.setdefault(self.functions[function], Counts())

    # --- the sum --------------------------------------------------------------------------------------------

    def merge(self, delta: Delta) -> None:
        """Take in what another process has folded. Nothing is lost when it comes late: `Second.late` counts it."""
        self.sum.merge(replace(delta, seconds={}))
        for at, second in delta.seconds.items():
            target = self.sum.second(max(at, self._next))
            target.merge(second)
            if at < self._next:
                target.late += second.done

    def lose(self, name: str) -> None:
        """Wait no longer for what a process has to say: it is gone."""
        self.sum.until.pop(name, None)

    def finished(self, *, end: bool = False) -> list[Second]:
        """Return the seconds that are over, each once, one after the other without a gap.

        A second is over when every process has said all of it, or is more than `patience` behind the one that is
        ahead. At the `end`, all that is left is over.
        """
        until = self.sum.until.values()
        bound = self._next
        if until:
            bound = math.floor(max(min(until), max(until) - self.patience))
        if end:
            bound = max([bound, *(at + 1 for at in self.sum.seconds)])
        given = []
        while self._next < bound:
            given.append(self.sum.seconds.pop(self._next, Second(self._next)))
            self._next += 1
        return given

    @property
    def total(self) -> Counts:
        """All functions together, warm-up excluded."""
        return self.sum.total

    def to_json(self) -> dict[str, Any]:
        """Return all that was folded and not handed out, as JSON has it, nothing lost."""
        return {"next": self._next, "warmup": self.warmup, **self.sum.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote; it can take in more."""
        made = cls(warmup=data["warmup"])
        made.sum = Delta.from_json(data)
        made._next = data["next"]
        return made

    def report(self, asked: Callable[[float], float] | None, seconds: float) -> dict[str, Any]:
        """Return total, functions and warmed as the report has them, the warm-up excluded from rates.

        `asked` is Λ of the schedule, None where there was none; `seconds` is how long the run went on, warm-up
        included.
        """
        measured = max(0.0, seconds - self.warmup)
        wanted = None if asked is None else asked(seconds) - asked(self.warmup)
        warm = None if asked is None else asked(self.warmup)
        return {
            "total": self.total.shown(wanted, measured),
            "functions": {
                name: counts.shown(None, measured) for name, counts in sorted(self.sum.functions.items())
            },
            "warmed": self.sum.warmed.shown(warm, min(self.warmup, seconds)),
        }


def _groups(keys: Ints) -> list[tuple[int, Any]]:
    """Return each value of an array with what picks its places: all of them at once where there is one value."""
    if not len(keys):
        return []
    first = int(keys[0])
    if keys[-1] == first and (keys == first).all():
        return [(first, slice(None))]
    return [(int(key), keys == key) for key in np.unique(keys)]
