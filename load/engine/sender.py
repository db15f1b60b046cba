"""The sender: sends calls over the connections of a pool, has the responses validated, and records the results.

A request that finds no free connection waits for one, and the wait counts: its latency is measured from the moment
due. It is dropped, and counted, only where more than a limit wait or when it has waited longer than a limit. A user of
a closed loop that only sends one call after the other needs no greenlet: it is a `ClosedLoopUser` of callbacks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import gevent  # type: ignore[import-untyped]
from gevent import getcurrent

from load.engine.open_loop import OpenLoopScheduler
from load.engine.rate_limit import RateLimit
from load.engine.timers import LoopTimer
from load.metrics.aggregation import Aggregator, Row
from load.metrics.failures import Failures, Outcome, outcome_of
from load.metrics.slowest import Slowest
from load.workload.occupancy import Occupancy

__all__ = ["ClosedLoopUser", "Line", "Lines", "Reply", "Sender"]


class Call(Protocol):
    """A call: the whole request as bytes, and what is done with the response."""

    index: int
    raw: bytes
    virtual_user: Any
    expects: frozenset[int] | None
    learn: Callable[[Any, Any], None] | None
    counted: bool


class Line(Protocol):
    """A connection, with its last response."""

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
    """Validates responses: returns the code of the outcome."""

    def judge(self, call: Any, reply: Any) -> int: ...


class Supply(Protocol):
    """Supplies calls; neither method waits.

    `refused` handles a call in a session that was answered 401. `settle` is called once: with True where the session
    had ended and is renewed, so that the call is not a failure, otherwise with False.
    """

    def next(self) -> Any: ...

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None: ...


@dataclass(slots=True)
class Reply:
    """The outcome of a greenlet's call.

    `code` is the validator's, 0 for a success; `renewed` is whether the session had ended and there is a new one.
    """

    code: int
    status: int
    head: bytes
    body: bytes
    failure: str | None
    renewed: bool = False
    #: From the request to the last byte of the response.
    seconds: float = 0.0


#: Stands for any reply to a user of a closed loop, which only needs to know that there was one.
_RESPONDED = Reply(0, 0, b"", b"", None)


class _Waiting:
    """A request that waits for a connection; without a call, the source supplies one."""

    __slots__ = ("call", "due", "then")

    def __init__(
        self, due: float, call: Any = None, then: Callable[[Reply | None], None] | None = None
    ) -> None:
        self.due = due
        self.call = call
        self.then = then


class _Records:
    """Records the causes of failures, and the slowest requests."""

    def __init__(self, aggregator: Aggregator, failures: Failures | None) -> None:
        self.failures = failures
        self.slowest = Slowest()
        self._aggregator = aggregator

    def add_unexpected(self, call: Any, reply: Any, row: Row) -> None:
        """Record a request that failed or whose response broke a rule."""
        if self.failures is None:
            return
        error = self._aggregator.outcomes[row[4]].error
        if error is None:
            if row[3] - row[1] > self.slowest.least:
                self.add_slow(call, row, reply)
        elif row[1] >= self._aggregator.warmup:
            self.failures.take(call, reply, error, row[3])

    def add_slow(self, call: Any, row: Row, line: Any) -> None:
        """Record a request that was slower than nearly all before it."""
        _, due, sent, done, _, size = row
        if due >= self._aggregator.warmup:
            name = self._aggregator.functions[call.index]
            self.slowest.take(name, due, sent, done, size, call.virtual_user, getattr(line, "number", None))


def _in_session(call: Any) -> bool:
    """Return whether a call is in a session, and a 401 is not what it expects."""
    return call.virtual_user is not None and not (call.expects is not None and 401 in call.expects)


# One class, though it is long: what sends and what ends a request share its connections.
class Sender:
    """Sends calls over the connections of a pool, has the responses validated, and appends rows.

    `then`, where it is given, is called once from the event loop, after `submit` has returned: with the reply, or with
    None for a dropped call.
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
        #: The number of requests that were sent and have no response yet.
        self.flying = 0
        #: The number of requests whose session is being renewed.
        self.renewing = 0
        #: The number of requests that were answered 401 because their session had ended; they have no row.
        self.renewed = 0
        #: Whether users of a closed loop begin nothing more.
        self.closing = False
        #: The first internal errors, one line each.
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
        self._records = _Records(aggregator, failures)
        #: The slowest requests that were served.
        self.slowest = self._records.slowest
        self._waiting: deque[_Waiting] = deque()
        #: The connections with a request under way; by a number, what waits for its session.
        self._lines: set[Line] = set()
        self._unsettled: dict[int, tuple[int, float]] = {}
        self._renewal_number = 0
        self._resume = LoopTimer(self._resumed)
        self._limited = False  # by the rate limit
        self._over = False
        self._answered = self._done

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a connection."""
        return len(self._waiting)

    @property
    def open(self) -> int:
        """The number of requests that have begun and have not ended."""
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
            # It would wait longer than the first in the queue has waited so far.
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
        """Send a call, as soon as a connection is free; `begun` is whether `ArrivalQueue` has recorded its start."""
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
        """Send waiting requests, as far as there are free connections."""
        if self._waiting:
            self._pump(perf_counter() - self.zero)

    def _resumed(self) -> None:
        self._limited = False
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
        if not self._limited:
            self._limited = True
            self._resume.set(self.zero + now + self._rate_limit.wait(seconds))
        return False

    def _send(
        self, line: Line, call: Any, due: float, now: float, then: Callable[[Reply | None], None] | None
    ) -> None:
        if call is None:
            try:
                call = self._source.next()  # type: ignore[union-attr]  # without a source, every call is given
            except Exception as error:  # an internal error must not stop the scheduler
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
        if self._over:  # it was counted when the run was abandoned
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
                    reply = _RESPONDED
                else:
                    reply = Reply(
                        code,
                        line.status,
                        line.head,
                        line.body,
                        line.failure,
                        seconds=line.done_at - line.sent,
                    )
            row = (call.index, due, line.sent - zero, done, code, line.bytes_in) if call.counted else None
            # An unexpected response has a code.
            if code and line.status == 401 and self._source is not None and _in_session(call):
                outcome = outcome_of(line) if self._records.failures is not None else None
                self._renew(call, due, row, reply, then, outcome)
                then = None  # it is called when the session is settled
            elif row is not None:
                self.aggregator.rows.append(row)
                if code:
                    self._records.add_unexpected(call, line, row)
                elif done - due > self.slowest.least:
                    self._records.add_slow(call, row, line)
            if call.learn is not None:
                call.learn(call, line)
        except Exception as error:  # an internal error must not cost the connection
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

    def _renew(
        self,
        call: Any,
        due: float,
        row: Row | None,
        reply: Reply | None,
        then: Callable[[Reply | None], None] | None,
        outcome: Outcome | None = None,
    ) -> None:
        """Have the source check the session; the call is a failure only where the session had not ended."""
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
                if outcome is not None:
                    self._records.add_unexpected(call, outcome, row)
            if then is not None:
                if reply is not None and reply is not _RESPONDED:
                    reply.renewed = renewed
                self._from_loop(then, reply)

        assert self._source is not None
        try:
            self._source.refused(call, settle)
        except Exception as error:
            self.note(error)
            settle(False)

    def _starve(self, function: int, due: float, waited: float) -> None:
        """Drop an arrival that found no connection."""
        self.aggregator.drops.append((function, due))
        if self._rate_limit is None:  # under a rate limit it may have waited for that
            self.aggregator.starved.append((function, due, max(0.0, waited)))

    def _drop(self, waits: _Waiting, now: float | None = None) -> None:
        """Drop a waiting request; with `now`, because no connection became free."""
        if waits.call is None or waits.call.counted:
            function = -1 if waits.call is None else waits.call.index
            if now is None:
                self.aggregator.drops.append((function, waits.due))
            else:
                self._starve(function, waits.due, now - waits.due)
        if waits.then is not None:
            self._from_loop(waits.then, None)

    def _from_loop(self, then: Callable[[Reply | None], None], reply: Reply | None) -> None:
        """Call `then` from the event loop: a greenlet that switched to another would never go on."""
        hub = gevent.get_hub()
        if getcurrent() is hub or then.__class__ is ClosedLoopUser:
            then(reply)
        else:
            hub.loop.run_callback(then, reply)

    def note(self, error: Exception) -> None:
        """Record an internal error."""
        if len(self.trouble) < 10:
            self.trouble.append(f"{type(error).__name__}: {error}")

    def limit(self, bound: int) -> None:
        """Change the largest number of waiting requests."""
        self._bound = bound

    def abandon(self) -> None:
        """Drop everything that waits, and count requests without a response as dropped: the run has ended."""
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
        """Release the timer."""
        self._resume.close()


class ClosedLoopUser:
    """A user of a closed loop without a greenlet: it sends a call after the response to the last, and a think time.

    `supply` returns the next call, `think` the seconds before it.
    """

    #: The wait where there was no call to send.
    PAUSE_SECONDS = 0.1

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
        self._timer = LoopTimer(self.go)

    def go(self) -> None:
        """Send a call, now."""
        sender = self._sender
        if self._left or sender.closing:
            return
        try:
            call = self._supply()
        except Exception as error:  # an internal error is recorded, and the user goes on
            sender.note(error)
            self._timer.set(perf_counter() + self.PAUSE_SECONDS)
            return
        sender.submit(call, perf_counter() - sender.zero, self)

    def __call__(self, reply: Reply | None) -> None:
        """Continue: the last call has a response, or was dropped."""
        seconds = self._think()
        if seconds > 0:
            self._timer.set(perf_counter() + seconds)
        elif reply is None:
            # From the loop, so that many dropped calls in a row are not a recursion.
            self._timer.set(perf_counter())
        else:
            self.go()

    def leave(self) -> None:
        """Send nothing more; a call that is under way still counts."""
        self._left = True
        self._timer.close()
