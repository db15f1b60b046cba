"""Open arrivals: every request is due at a moment and is sent at that moment, whatever became of those before it.

An `OpenLoopScheduler` takes the due moments from schedules and, at each wake-up, hands on all that are due. It hands
them to:

- a `Sender`, which sends calls by callbacks of gevent's event loop, without a greenlet for each: the hot path;
- `ArrivalQueue`, where greenlets wait for an arrival each, to run a task of a scenario.

Closed users that only send one call after the other need no greenlet either: each is a `ClosedLoopUser` of callbacks.

A request that finds no free connection waits for one, and the waiting counts: its latency runs from the moment due.
It is dropped, and counted, only where more than a stated number wait or when it has waited longer than a stated
time. Moments are seconds since the run's beginning, by `time.perf_counter`: the wall clock may jump.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import merge
from time import perf_counter
from typing import Any, Protocol

from gevent import get_hub  # type: ignore[import-untyped]
from gevent.queue import Empty, SimpleQueue  # type: ignore[import-untyped]

from load.engine.rate_limit import RateLimit
from load.metrics.aggregation import Aggregator, Row
from load.metrics.failures import Failures, Held, hold
from load.metrics.slowest import Slowest
from load.workload.occupancy import Occupancy

__all__ = [
    "Alarm",
    "ArrivalQueue",
    "ClosedLoopUser",
    "Line",
    "Lines",
    "OpenLoopScheduler",
    "Reply",
    "Sender",
    "alarm",
]

#: Moments that lie closer together than this are served by one wake-up, in seconds.
GRAIN = 0.001


class Call(Protocol):
    """What is to be sent: the whole request as bytes, and what is to become of the answer."""

    index: int
    raw: bytes
    virtual_user: Any
    expects: frozenset[int] | None
    learn: Callable[[Any, Any], None] | None
    counted: bool


class Line(Protocol):
    """A connection, and the answer that came over it last."""

    call: Any
    status: int
    head: bytes
    body: bytes
    failure: str | None
    detail: str
    sent: float
    left: float
    done_at: float
    bytes_in: int
    opened: bool
    busy: bool

    def send(self, raw: bytes, deadline: float, done: Callable[[Any], None]) -> None: ...  # noqa: D102


class Lines(Protocol):
    """A pool of connections."""

    def take(self) -> Any: ...  # noqa: D102

    def give(self, connection: Any) -> None: ...  # noqa: D102


class Judging(Protocol):
    """Says what an answer is worth, as a code."""

    def judge(self, call: Any, reply: Any) -> int: ...


class Supply(Protocol):
    """Where calls come from; neither method waits.

    `refused` is told that a call in a session was answered 401. `settle` is called once: with True where the session
    had ended and is renewed, so that the call is no failure, else with False.
    """

    def next(self) -> Any: ...

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None: ...


# --- when -------------------------------------------------------------------------------------------------------


class Alarm(Protocol):
    """Wakes once, at a moment of `perf_counter`."""

    def set(self, at: float) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class _LoopAlarm:
    """By the event loop's own timer, which is up to a millisecond late: epoll counts in milliseconds."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = get_hub().loop
        self._timer: Any = None

    def set(self, at: float) -> None:
        self.close()
        if at < math.inf:
            self._timer = self._loop.timer(max(0.0, at - perf_counter()))
            self._timer.start(self._wake, update=True)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None


class _Timespec(ctypes.Structure):
    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


_MONOTONIC = 1
_ABSOLUTE = 1


class _TimerfdAlarm:
    """By Linux's timerfd, which is late by some ten microseconds: its clock is the one of `perf_counter`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._fd: int = library.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._settime = library.timerfd_settime
        self._spec = _Timespec()
        self._reference = ctypes.byref(self._spec)
        # Setting it anew makes it unreadable again, so that it need not be read.
        self._watcher = get_hub().loop.io(self._fd, 1)
        self._watcher.start(wake)

    def set(self, at: float) -> None:
        spec = self._spec
        if at < math.inf:
            seconds = int(at)
            spec.seconds = seconds
            spec.nanoseconds = int((at - seconds) * 1e9)
        else:
            spec.seconds = spec.nanoseconds = 0
        self._settime(self._fd, _ABSOLUTE, self._reference, None)

    def close(self) -> None:
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1


def alarm(wake: Callable[[], None]) -> Alarm:
    """Return the most exact alarm that there is here."""
    if sys.platform == "linux":
        try:
            return _TimerfdAlarm(wake)
        except (OSError, AttributeError):
            pass
    return _LoopAlarm(wake)


class OpenLoopScheduler:
    """Hands on each moment of its schedules when it has come, together with the moment that it is by then.

    `take(due, now)` is called from the event loop and must not wait. With a `lease`, which `extend` moves on, it stands
    still when the lease is over: whoever gave it may have passed the schedule on to someone else by then.
    """

    def __init__(
        self,
        zero: float,
        take: Callable[[float, float], None],
        drop: Callable[[float], None],
        *,
        lease: float = math.inf,
        grain: float = GRAIN,
    ) -> None:
        self.zero = zero
        #: The next moment due; inf when there is none.
        self.due = math.inf
        #: How many moments have been taken up or dropped.
        self.asked = 0
        self.lease = lease
        #: Since when it stands still, if it does.
        self.still: float | None = None
        #: From when to when it stood still; whoever reads them takes them away.
        self.pauses: list[tuple[float, float]] = []
        self._cut = math.inf
        self._take = take
        self._drop = drop
        self._grain = grain
        self._times: Iterator[float] = iter(())
        self._alarm = alarm(self._ring)
        self._set = -math.inf

    def add(self, times: Iterator[float]) -> None:
        """Add moments, ascending, to those that are to come."""
        if self.due < math.inf:
            times = merge(iter((self.due,)), self._times, times)
        self._times = times
        self.due = next(times, math.inf)
        self._ring()

    @property
    def reach(self) -> float:
        """The moment before which everything has been handed on or dropped."""
        return min(self.due, self._cut, perf_counter() - self.zero)

    def clear(self, until: float = -math.inf) -> None:
        """Hand on what is due before a moment, or drop it where it stands still, and forget the rest."""
        take = self._take if self.still is None else self._late
        now = perf_counter() - self.zero
        while self.due <= now and self.due < until:
            take(self.due, now)
            self.asked += 1
            self.due = next(self._times, math.inf)
        self._cut = min(self._cut, self.due, max(now, until))
        self._times, self.due = iter(()), math.inf
        self._alarm.set(math.inf)

    def _late(self, due: float, now: float) -> None:
        self._drop(due)

    def wake(self) -> None:
        """Hand on what is due by now; the alarm stays as it is set."""
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
            self._alarm.set(math.inf)
            return
        if self.still is not None:
            self._alarm.set(math.inf)  # until the lease is extended
            return
        # Not before the grain is over, counted from the moment that was set last, so that lateness does not add up.
        self._set = max(self.due, self._set + self._grain)
        self._alarm.set(self.zero + self._set)

    def extend(self, lease: float) -> None:
        """Go on until another moment; what came due while it stood still is dropped."""
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
        """Give back what it holds of the system."""
        self._times, self.due = iter(()), math.inf
        self._alarm.close()


# --- what -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Reply:
    """What a greenlet is told of its call.

    `code` is the judge's, 0 when all is right; `renewed` says that the session had ended and there is a new one now.
    """

    code: int
    status: int
    head: bytes
    body: bytes
    failure: str | None
    renewed: bool = False


#: What a circle is told in place of a reply: that there was one.
_ANSWERED = Reply(0, 0, b"", b"", None)


class _Waiting:
    """A request that waits for a connection; without a call, the next of the source is sent."""

    __slots__ = ("call", "due", "then")

    def __init__(
        self, due: float, call: Any = None, then: Callable[[Reply | None], None] | None = None
    ) -> None:
        self.due = due
        self.call = call
        self.then = then


class Sender:
    """Sends calls over the connections of a pool, judges the answers and writes rows.

    `then`, where one is given, is called once from the event loop: with the reply, or with None for a dropped call.
    """

    def __init__(
        self,
        pool: Lines,
        judge: Judging,
        aggregator: Aggregator,
        *,
        zero: float,
        timeout: float,
        source: Supply | None = None,
        rate_limit: RateLimit | None = None,
        bound: int = 10_000,
        patience: float = 10.0,
        renewal: Callable[[float], None] | None = None,
        occupancy: Occupancy | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.zero = zero
        self.aggregator = aggregator
        #: Requests that were sent and have no answer yet.
        self.flying = 0
        #: Requests whose session is being renewed.
        self.renewing = 0
        #: Requests that were answered 401 because their session had ended; they have no row.
        self.renewed = 0
        #: Whether closed users are to begin nothing more.
        self.closing = False
        #: Errors of our own: the first ones, in a line each.
        self.trouble: list[str] = []
        self.clock: OpenLoopScheduler | None = None
        self._pool = pool
        self._judge = judge.judge
        self._timeout = timeout
        self._source = source
        self._rate_limit = rate_limit
        self._bound = bound
        self._patience = patience
        self._renewal = renewal
        self._occupancy = occupancy
        self._failures = failures
        #: The slowest of the requests that were served.
        self.slowest = Slowest()
        self._waiting: deque[_Waiting] = deque()
        #: The lines of what is under way, and what waits for its session, by a number.
        self._lines: set[Line] = set()
        self._unsettled: dict[int, tuple[int, float]] = {}
        self._renewal_number = 0
        self._resume = _LoopAlarm(self._resumed)
        self._held = False  # by the ceiling
        self._over = False
        self._answered = self._done

    @property
    def waiting(self) -> int:
        """How many requests wait for a connection."""
        return len(self._waiting)

    @property
    def open(self) -> int:
        """How many requests have begun and have not come to their end."""
        return len(self._waiting) + self.flying + self.renewing

    def arrive(self, due: float, now: float) -> None:
        """Send the next call of the source, which is due now."""
        if not self._waiting and (self._rate_limit is None or self._allowed(now)):
            line = self._pool.take()
            if line is not None:
                self.aggregator.starts.append((due, now))
                self._send(line, None, due, now, None)
                return
        if len(self._waiting) >= self._bound:
            self.aggregator.unbegun.append(due)
            # It would have waited longer than the first in the queue has waited by now.
            self._starve(-1, due, now - self._waiting[0].due if self._waiting else 0.0)
            return
        self.aggregator.starts.append((due, now))
        self._waiting.append(_Waiting(due))

    def submit(
        self,
        call: Any,
        due: float,
        then: Callable[[Reply | None], None] | None = None,
        *,
        begun: bool = False,
    ) -> None:
        """Send a call; where there is no free connection, when there is one. `begun`: `ArrivalQueue` has told of it."""
        now = perf_counter() - self.zero
        if call.counted and not begun:
            self.aggregator.starts.append((due, now))
        if not self._waiting and self._rate_limit is None:
            line = self._pool.take()
            if line is not None:
                self._send(line, call, due, now, then)
                return
        self._waiting.append(_Waiting(due, call, then))
        if len(self._waiting) == 1 or not self.flying:
            self._pump(now)

    def pump(self) -> None:
        """Send what has been waiting, as far as there are connections for it."""
        if self._waiting:
            self._pump(perf_counter() - self.zero)

    def _resumed(self) -> None:
        self._held = False
        self.pump()

    def _pump(self, now: float) -> None:
        waiting = self._waiting
        while waiting:
            if now - waiting[0].due > self._patience:
                self._drop(waiting.popleft(), now)
                continue
            if self._rate_limit is not None and not self._allowed(now):
                return
            line = self._pool.take()
            if line is None:
                return
            next_one = waiting.popleft()
            self._send(line, next_one.call, next_one.due, now, next_one.then)

    def _allowed(self, now: float) -> bool:
        assert self._rate_limit is not None
        if (seconds := self._rate_limit.free(self.zero + now)) <= 0:
            return True
        if not self._held:
            self._held = True
            self._resume.set(self.zero + now + self._rate_limit.wait(seconds))
        return False

    def _send(
        self, line: Line, call: Any, due: float, now: float, then: Callable[[Reply | None], None] | None
    ) -> None:
        if call is None:
            try:
                call = self._source.next()  # type: ignore[union-attr]  # without a source, every call is given
            except Exception as error:  # whatever it is, it is ours, and must not stop the clock
                self.note(error)
                self._pool.give(line)
                self.aggregator.drops.append((-1, due))
                return
        line.call = (call, due, then)
        self.flying += 1
        self._lines.add(line)
        if self._occupancy is not None and call.virtual_user is not None:
            self._occupancy.begin(call.virtual_user, due)
        if self._rate_limit is None:
            line.send(call.raw, self.zero + now + self._timeout, self._answered)
        else:
            place = self._rate_limit.take()
            line.send(call.raw, self.zero + now + self._timeout, self._answered)
            place.carry(line)

    def _done(self, line: Line) -> None:
        if self._over:  # it was counted when the run was given up
            self._pool.give(line)
            return
        call, due, then = line.call
        self.flying -= 1
        self._lines.discard(line)
        if self._occupancy is not None and call.virtual_user is not None:
            self._occupancy.end(call.virtual_user)
        zero = self.zero
        done = line.done_at - zero
        code = -1
        reply = None
        try:
            code = self._judge(call, line)
            if then is not None:
                if then.__class__ is ClosedLoopUser:
                    reply = _ANSWERED
                else:
                    reply = Reply(code, line.status, line.head, line.body, line.failure)
            row = (call.index, due, line.sent - zero, done, code, line.bytes_in) if call.counted else None
            # What was not answered as expected has a code.
            if code and line.status == 401 and self._source is not None and self._in_session(call):
                held = hold(line) if self._failures is not None else None
                self._renew(call, due, row, reply, then, held)
                then = None  # it is told when that is settled
            elif row is not None:
                self.aggregator.rows.append(row)
                if code:
                    self._unlike(call, line, row)
                elif done - due > self.slowest.least:
                    self._slow(call, row, line)
            if call.learn is not None:
                call.learn(call, line)
        except Exception as error:  # whatever it is, it is ours, and must not cost the connection
            self.note(error)
            if code < 0 and call.counted:
                self.aggregator.drops.append((call.index, due))
        self._pool.give(line)
        if then is not None:
            then(reply)
        if self._waiting:
            self._pump(done)
        clock = self.clock
        if clock is not None and clock.due <= done:
            clock.wake()

    def _unlike(self, call: Any, reply: Any, row: Row) -> None:
        """Take in a request that did not come to what it asked for without breaking a rule."""
        if self._failures is None:
            return
        error = self.aggregator.outcomes[row[4]].error
        if error is None:
            if row[3] - row[1] > self.slowest.least:
                self._slow(call, row, reply)
        elif row[1] >= self.aggregator.warmup:
            self._failures.take(call, reply, error, row[3])

    def _slow(self, call: Any, row: Row, line: Any) -> None:
        """Take in a request that was served slower than nearly all before it."""
        _, due, sent, done, _, size = row
        if due >= self.aggregator.warmup:
            name = self.aggregator.functions[call.index]
            self.slowest.take(name, due, sent, done, size, call.virtual_user, getattr(line, "number", None))

    @staticmethod
    def _in_session(call: Any) -> bool:
        return call.virtual_user is not None and not (call.expects is not None and 401 in call.expects)

    def _renew(
        self,
        call: Any,
        due: float,
        row: Row | None,
        reply: Reply | None,
        then: Callable[[Reply | None], None] | None,
        held: Held | None = None,
    ) -> None:
        """Have the source look after the session; the call is a failure only where that had not ended."""
        self.renewing += 1
        settled = False
        self._renewal_number += 1
        number = self._renewal_number
        if call.counted:
            self._unsettled[number] = (call.index, due)

        def settle(renewed: bool) -> None:
            nonlocal settled
            if settled or self._over:
                return
            settled = True
            self.renewing -= 1
            self._unsettled.pop(number, None)
            if renewed:
                self.renewed += 1
                if call.counted:
                    self.aggregator.renewals.append((call.index, due))
                if self._renewal is not None:
                    self._renewal(perf_counter() - self.zero)
            elif row is not None:
                self.aggregator.rows.append(row)
                if held is not None:
                    self._unlike(call, held, row)
            if then is not None:
                if reply is not None and reply is not _ANSWERED:
                    reply.renewed = renewed
                then(reply)

        assert self._source is not None
        try:
            self._source.refused(call, settle)
        except Exception as error:
            self.note(error)
            settle(False)

    def _starve(self, function: int, due: float, waited: float) -> None:
        """Drop an arrival that found no connection."""
        self.aggregator.drops.append((function, due))
        if self._rate_limit is None:  # under a ceiling it may have waited for that
            self.aggregator.starved.append((function, due, max(0.0, waited)))

    def _drop(self, waits: _Waiting, now: float | None = None) -> None:
        """Drop what waits; with `now`, because no connection came free for it."""
        if waits.call is None or waits.call.counted:
            function = -1 if waits.call is None else waits.call.index
            if now is None:
                self.aggregator.drops.append((function, waits.due))
            else:
                self._starve(function, waits.due, now - waits.due)
        if waits.then is not None:
            waits.then(None)

    def note(self, error: Exception) -> None:
        """Remember an error of our own."""
        if len(self.trouble) < 10:
            self.trouble.append(f"{type(error).__name__}: {error}")

    def limit(self, bound: int) -> None:
        """Change how many may wait."""
        self._bound = bound

    def abandon(self) -> None:
        """Drop all that waits, and count what was sent and not answered as dropped, too: the run is over."""
        while self._waiting:
            self._drop(self._waiting.popleft())
        for line in self._lines:
            call, due, _ = line.call
            if call.counted:
                self.aggregator.drops.append((call.index, due))
        self.aggregator.drops.extend(self._unsettled.values())
        self._lines.clear()
        self._unsettled.clear()
        self.flying = self.renewing = 0
        self._over = True

    def close(self) -> None:
        """Give back what it holds of the system."""
        self._resume.close()


class ClosedLoopUser:
    """A closed user without a greenlet: it sends its next call once it has the answer to the last, and has thought.

    `supply` returns the next call, `think` the seconds before it.
    """

    #: How long it waits, in seconds, where there was no call to be had.
    PAUSE = 0.1

    def __init__(
        self,
        sender: Sender,
        supply: Callable[[], Any],
        think: Callable[[], float],
    ) -> None:
        self._sender = sender
        self._supply = supply
        self._think = think
        self._left = False
        self._alarm = _LoopAlarm(self.go)

    def go(self) -> None:
        """Send a call, now."""
        sender = self._sender
        if self._left or sender.closing:
            return
        try:
            call = self._supply()
        except Exception as error:  # it is ours: told, and the next is asked for all the same
            sender.note(error)
            self._alarm.set(perf_counter() + self.PAUSE)
            return
        sender.submit(call, perf_counter() - sender.zero, self)

    def __call__(self, reply: Reply | None) -> None:
        """Go on: the last call was answered, or dropped."""
        seconds = self._think()
        if seconds > 0:
            self._alarm.set(perf_counter() + seconds)
        elif reply is None:
            # By way of the loop: many that are dropped in a row must not lie within each other.
            self._alarm.set(perf_counter())
        else:
            self.go()

    def leave(self) -> None:
        """Send nothing more; what is under way is still counted."""
        self._left = True
        self._alarm.close()


class ArrivalQueue:
    """Arrivals that greenlets wait for: `next` returns the moment that one was due at."""

    def __init__(
        self, aggregator: Aggregator, *, zero: float, bound: int = 10_000, patience: float = 10.0
    ) -> None:
        self.zero = zero
        self.aggregator = aggregator
        #: Arrivals that a greenlet has taken and not finished.
        self.busy = 0
        self._bound = bound
        self._patience = patience
        self._queue: Any = SimpleQueue()

    @property
    def open(self) -> int:
        """How many arrivals have begun and have not come to their end."""
        return int(self._queue.qsize()) + self.busy

    @property
    def waiting(self) -> int:
        """How many arrivals wait for a greenlet."""
        return int(self._queue.qsize())

    def arrive(self, due: float, now: float) -> None:
        """Hand an arrival to a greenlet that waits for one; where there is none, to the next."""
        if self._queue.qsize() >= self._bound:
            self.aggregator.unbegun.append(due)
            self.aggregator.drops.append((-1, due))
            return
        self.aggregator.starts.append((due, now))
        self._queue.put(due)

    def next(self) -> float:
        """Wait for an arrival, and return the moment it was due at; `done` says that it has come to its end."""
        while True:
            due: float = self._queue.get()
            if perf_counter() - self.zero - due <= self._patience:
                self.busy += 1
                return due
            self.aggregator.drops.append((-1, due))

    def done(self) -> None:
        """Take in that an arrival has come to its end."""
        self.busy -= 1

    def abandon(self) -> None:
        """Drop all that waits; the run is over."""
        while True:
            try:
                due = self._queue.get_nowait()
            except Empty:
                return
            self.aggregator.drops.append((-1, due))
