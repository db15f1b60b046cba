"""Aggregate measured requests, in batches, into counts and histograms.

The hot path appends plain tuples to the lists of an `Aggregator`. A few times per second `aggregate` turns them by
numpy into a `Delta`: counts and histograms per function, and the same per second. Deltas merge in any order and
grouping to the same totals, so workers may send them at any time. Memory is constant: `finished` returns a second once
it is complete, and drops it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from load.metrics.counts import Counts, Delta, Gauge, Second
from load.metrics.endings import REFUSED, SERVED, TIMED_OUT, ending
from load.metrics.histogram import Histogram, Ints, cells_of

__all__ = ["Aggregator", "Floats", "Outcome", "Row", "table_of"]

#: Function, due, sent, done, code, bytes received: moments in seconds since the start of the run.
Row: TypeAlias = tuple[int, float, float, float, int, int]

Floats: TypeAlias = npt.NDArray[np.float64]


def table_of(rows: Sequence[Row]) -> Floats:
    """Return rows as a table of numbers."""
    return np.fromiter(chain.from_iterable(rows), np.float64, 6 * len(rows)).reshape(-1, 6)


class Outcome(Protocol):
    """What a code stands for: the kind of error, if any, and the rules that the response broke."""

    @property
    def error(self) -> str | None: ...  # noqa: D102

    @property
    def rules(self) -> tuple[str, ...]: ...  # noqa: D102


class Aggregator:
    """Aggregates the events of requests, and holds their sum.

    Append to `rows` the requests that have ended; to `starts`, for every request that is sent or begins to wait for a
    connection, the moment due and the moment now; and to `drops` the function (-1 before it has one) and the moment
    due. A dropped arrival that never began is in `unbegun` as well, by its moment due. One without a connection is in
    `starved`, with the seconds that it waited. A request whose session was renewed is in `renewals` alone, by function
    and moment due.

    Requests due in the first `warmup` seconds count as warm-up. `outcomes` are the meanings of codes; the list may
    grow. For the functions in `watch`, seconds have histograms of their own.
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
        #: How many seconds a process may lag behind the others before seconds are returned without it.
        self.patience = patience
        self.rows: list[Row] = []
        self.starts: list[tuple[float, float]] = []
        self.drops: list[tuple[int, float]] = []
        self.unbegun: list[float] = []
        self.starved: list[tuple[int, float, float]] = []
        self.renewals: list[tuple[int, float]] = []
        #: The moments due of arrivals that were recorded in `starts`, and whose task then sent nothing.
        self.idle: list[float] = []
        #: By code: how it ends a request, as far as it was needed (`load.metrics.endings`).
        self._endings: Ints = np.zeros(0, np.int64)
        #: The sum of everything; its `seconds` are those that are not returned yet.
        self.sum = Delta()
        self._next = 0  # the second to be returned next

    # --- aggregation ----------------------------------------------------------------------------------------

    def aggregate(
        self,
        now: float,
        *,
        users: int = 0,
        connections: int = 0,
        cpu: float = 0.0,
        table: Floats | None = None,
    ) -> Delta:
        """Aggregate everything that was appended up to now, and return it as a Delta of its own.

        `table` is the result of `table_of` for `rows`, where it exists already.
        """
        rows, self.rows = self.rows, []
        starts, self.starts = self.starts, []
        drops, self.drops = self.drops, []
        delta = Delta(until={self.name: now})
        # The gauge belongs to the second that ends now.
        delta.second(max(0, math.ceil(now) - 1)).gauges[self.name] = Gauge(users, connections, cpu)
        if rows:
            self._aggregate_rows(delta, table_of(rows) if table is None else table)
        if starts:
            self._aggregate_starts(delta, starts)
        for function, due in drops:
            self._aggregate_drop(delta, function, due)
        self._aggregate_rest(delta, now)
        self.merge(delta)
        return delta

    def _aggregate_rows(self, delta: Delta, table: Floats) -> None:
        function = table[:, 0].astype(np.int64)
        code = table[:, 4].astype(np.int64)
        due, sent = (
            # Whole microseconds, rounded; the clock's resolution must not make a latency negative.
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
            measured = ~warm
            function, code, due = function[measured], code[measured], due[measured]
            sent, size = sent[measured], size[measured]
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
        """Return how each code ends a request."""
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

    def _aggregate_rest(self, delta: Delta, now: float) -> None:
        """Aggregate arrivals that never began or found no connection, and renewals."""
        unbegun, self.unbegun = self.unbegun, []
        starved, self.starved = self.starved, []
        renewals, self.renewals = self.renewals, []
        idle, self.idle = self.idle, []
        for due in idle:
            (delta.warmed if due < self.warmup else delta.nameless).arrivals -= 1
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
        """Add what another process has aggregated; a late delta counts in full (`Second.late`)."""
        self.sum.merge(replace(delta, seconds={}))
        for at, second in delta.seconds.items():
            target = self.sum.second(max(at, self._next))
            target.merge(second)
            if at < self._next:
                target.late += second.done

    def lose(self, name: str) -> None:
        """Wait no longer for the results of a process: it is lost."""
        self.sum.until.pop(name, None)

    def finished(self, *, end: bool = False) -> list[Second]:
        """Return the seconds that are complete, each once, consecutively.

        A second is complete when every process has reported it, or lags more than `patience` behind the first one.
        At the `end`, every second is complete.
        """
        until = self.sum.until.values()
        bound = self._next
        if until:
            bound = math.floor(max(min(until), max(until) - self.patience))
        if end:
            bound = max([bound, *(at + 1 for at in self.sum.seconds)])
        complete = []
        while self._next < bound:
            complete.append(self.sum.seconds.pop(self._next, Second(self._next)))
            self._next += 1
        return complete

    @property
    def total(self) -> Counts:
        """The counts of all functions, excluding the warm-up."""
        return self.sum.total

    def to_json(self) -> dict[str, Any]:
        """Return everything that was aggregated and not returned, as JSON without loss."""
        return {"next": self._next, "warmup": self.warmup, **self.sum.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote, ready to aggregate more."""
        made = cls(warmup=data["warmup"])
        made.sum = Delta.from_json(data)
        made._next = data["next"]
        return made

    def report(self, asked: Callable[[float], float] | None, seconds: float) -> dict[str, Any]:
        """Return total, functions and warm-up for the report; rates exclude the warm-up.

        `asked` is Λ of the schedule, None where there was none; `seconds` is the duration of the run, including the
        warm-up.
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
    """Return each value of an array with the index of its places: one slice where there is one value only."""
    if not len(keys):
        return []
    first = int(keys[0])
    if keys[-1] == first and (keys == first).all():
        return [(first, slice(None))]
    return [(int(key), keys == key) for key in np.unique(keys)]
