"""Open-loop arrivals: every request is due at a moment and is sent at that moment, whatever became of earlier ones.

An `OpenLoopScheduler` takes the due moments from schedules and, at each wake-up, passes on all that are due:

- to a `load.engine.sender.Sender`, which sends calls by callbacks of gevent's event loop, without a greenlet for each:
  the hot path;
- or to an `ArrivalQueue`, where greenlets wait for an arrival each, to run a task of a scenario.

Moments are seconds since the start of the run, by `time.perf_counter`: the wall clock may jump.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from heapq import merge
from time import perf_counter
from typing import Any

import gevent  # type: ignore[import-untyped]
from gevent import getcurrent

from load.engine.timers import precise_timer
from load.metrics.aggregation import Aggregator

__all__ = ["ArrivalQueue", "OpenLoopScheduler"]

#: Moments that are closer together than this are served by one wake-up, in seconds.
GRAIN_SECONDS = 0.001


class OpenLoopScheduler:
    """Passes on each moment of its schedules when it is due, together with the moment now.

    `take(due, now)` is called from the event loop and must not wait. With a `lease`, which `extend` renews, it pauses
    when the lease ends: by then its schedule may have been given to another process.
    """

    def __init__(
        self,
        zero: float,
        take: Callable[[float, float], None],
        drop: Callable[[float], None],
        *,
        lease: float = math.inf,
        grain: float = GRAIN_SECONDS,
    ) -> None:
        self.zero = zero
        #: The next moment due; inf when there is none.
        self.due = math.inf
        #: The number of moments that were passed on or dropped.
        self.asked = 0
        self.lease = lease
        #: Since when it pauses, if it does.
        self.still: float | None = None
        #: The start and end of each pause; a reader removes them.
        self.pauses: list[tuple[float, float]] = []
        self._cut = math.inf
        self._take = take
        self._drop = drop
        self._grain = grain
        self._times: Iterator[float] = iter(())
        self._timer = precise_timer(self._ring)
        self._set = -math.inf

    def add(self, times: Iterator[float]) -> None:
        """Add ascending moments to those that are not due yet."""
        if self.due < math.inf:
            times = merge(iter((self.due,)), self._times, times)
        self._times = times
        self.due = next(times, math.inf)
        self._ring()

    @property
    def reach(self) -> float:
        """The moment before which everything was passed on or dropped."""
        return min(self.due, self._cut, perf_counter() - self.zero)

    def clear(self, until: float = -math.inf) -> None:
        """Pass on what is due before a moment, or drop it during a pause, and forget the rest."""
        take = self._take if self.still is None else self._late
        now = perf_counter() - self.zero
        while self.due <= now and self.due < until:
            take(self.due, now)
            self.asked += 1
            self.due = next(self._times, math.inf)
        self._cut = min(self._cut, self.due, max(now, until))
        self._times, self.due = iter(()), math.inf
        self._timer.set(math.inf)

    def _late(self, due: float, now: float) -> None:
        self._drop(due)

    def wake(self) -> None:
        """Pass on what is due now, without setting the timer."""
        now = perf_counter() - self.zero
        if now > self.lease and self.still is None:
            self.still = self.lease
        if self.still is not None:
            return
        due = self.due
        if due > now:
            return
        take, times = self._take, self._times
        asked = 0
        while due <= now:
            take(due, now)
            asked += 1
            due = next(times, math.inf)
        self.due = due
        self.asked += asked

    def _ring(self) -> None:
        self.wake()
        if self.due == math.inf:
            self._timer.set(math.inf)
            return
        if self.still is not None:
            self._timer.set(math.inf)  # until the lease is extended
            return
        # Not before the grain ends, counted from the moment that was set last, so that lateness does not add up.
        self._set = max(self.due, self._set + self._grain)
        self._timer.set(self.zero + self._set)

    def extend(self, lease: float) -> None:
        """Renew the lease until a moment; what came due during a pause is dropped."""
        self.lease = max(self.lease, lease)
        now = perf_counter() - self.zero
        if self.still is None or now > self.lease:
            return
        self.pauses.append((self.still, now))
        due = self.due
        while due <= now:
            self._drop(due)
            self.asked += 1
            due = next(self._times, math.inf)
        self.due, self.still = due, None
        self._ring()

    def close(self) -> None:
        """Release the timer."""
        self._times, self.due = iter(()), math.inf
        self._timer.close()


class ArrivalQueue:
    """Arrivals that greenlets wait for: `next` returns the moment at which one was due."""

    def __init__(
        self, aggregator: Aggregator, *, zero: float, bound: int = 10_000, patience: float = 10.0
    ) -> None:
        self.zero = zero
        self.aggregator = aggregator
        #: The number of arrivals that greenlets have taken and not finished.
        self.busy = 0
        #: The number of arrivals, and of those for which no greenlet was free.
        self.arrivals = self.waited = 0
        self._bound = bound
        self._patience = patience
        self._queue: deque[float] = deque()
        #: The greenlets that wait for an arrival. The event loop switches to them directly, which takes a fraction of
        #: the time that a queue of gevent's takes.
        self._takers: deque[Any] = deque()
        self._hub = gevent.get_hub()

    @property
    def open(self) -> int:
        """The number of arrivals that have begun and have not ended."""
        return len(self._queue) + self.busy

    @property
    def waiting(self) -> int:
        """The number of arrivals that wait for a greenlet."""
        return len(self._queue)

    def arrive(self, due: float, now: float) -> None:
        """Give an arrival to a waiting greenlet, or queue it for the next one."""
        if len(self._queue) >= self._bound:
            self.aggregator.unbegun.append(due)
            self.aggregator.drops.append((-1, due))
            return
        self.aggregator.starts.append((due, now))
        self.arrivals += 1
        if not self._takers:
            self.waited += 1
            self._queue.append(due)
        elif not self._queue and getcurrent() is self._hub:
            self._takers.popleft().switch(due)
        else:
            self._queue.append(due)
            self._hub.loop.run_callback(self._give)

    def _give(self) -> None:
        """Switch to waiting greenlets, each with an arrival; call it from the event loop."""
        while self._queue and self._takers:
            self._takers.popleft().switch(self._queue.popleft())

    def next(self) -> float:
        """Wait for an arrival, and return the moment at which it was due; call `done` at its end."""
        while True:
            if self._queue:
                due: float = self._queue.popleft()
            else:
                current = getcurrent()
                self._takers.append(current)
                try:
                    due = self._hub.switch()
                except BaseException:  # the greenlet was killed
                    if current in self._takers:
                        self._takers.remove(current)
                    raise
            if perf_counter() - self.zero - due <= self._patience:
                self.busy += 1
                return due
            self.aggregator.drops.append((-1, due))

    def done(self) -> None:
        """Record that an arrival has ended."""
        self.busy -= 1

    def abandon(self) -> None:
        """Drop everything that waits: the run has ended."""
        while self._queue:
            self.aggregator.drops.append((-1, self._queue.popleft()))
