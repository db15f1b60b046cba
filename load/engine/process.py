"""The generator of one process: a scheduler with its sender, or users, and their reports a few times per second."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from time import perf_counter
from typing import Any

import gevent  # type: ignore[import-untyped]
from gevent import getcurrent
from gevent.event import Event  # type: ignore[import-untyped]
from locust.exception import StopUser

from conformance import events as typed_events
from load.distributed.run_plan import Order, Plan
from load.engine.open_loop import ArrivalQueue, OpenLoopScheduler
from load.engine.rate_limit import RateLimit
from load.engine.sender import ClosedLoopUser, Reply, Sender
from load.metrics import locust_stats as aggregate
from load.metrics.aggregation import Aggregator, Row, table_of
from load.metrics.endings import TASK_ERROR
from load.metrics.failures import Failures
from load.metrics.health import Meter
from load.workload.occupancy import Occupancy
from load.workload.virtual_users import Mark

__all__ = ["Generator", "WorkerResources", "moments"]

log = logging.getLogger(__name__)

#: The time between two aggregations of rows, in seconds.
PERIOD = 0.25
#: The number of new objects before a garbage collection, which then takes less than a millisecond.
_GC_THRESHOLD = 10_000
#: The share of arrivals that may wait for a free user before the report says so.
MAX_WAITING_SHARE = 0.05
#: The longest time by which a worker may start later than the master.
MAX_START_DELAY_SECONDS = 2.0


def _nothing() -> None:
    pass


def _none_left() -> Sequence[typed_events.Event]:
    return ()


def _warm_up() -> None:
    """Aggregate once without a result: numpy imports parts of itself at their first use."""
    aggregator = Aggregator(["warm.up"])
    aggregator.rows += [(0, 0.0, 0.0, 0.001, 0, 1), (0, 0.0, 0.0, 1.001, 0, 1)]
    aggregator.starts.append((0.0, 0.0))
    table = table_of(aggregator.rows)
    aggregate.batch(table, aggregator.functions, ())
    aggregator.aggregate(1.0, table=table).to_json()


def _no_results() -> dict[str, Any]:
    return {}


class RequestFailedError(Exception):
    """The exception that listeners of Locust's event `request` receive for a request that failed."""


class _Waiter:
    """The greenlet that waits for the reply to a call: called with the reply, it lets the greenlet go on."""

    __slots__ = ("away", "replied", "reply", "switch")

    def __init__(self) -> None:
        self.switch = getcurrent().switch
        #: Whether the greenlet has let others run.
        self.away = self.replied = False
        self.reply: Reply | None = None

    def __call__(self, reply: Reply | None) -> None:
        if self.away:
            self.switch(reply)
        else:  # before the greenlet waited, or after it was killed
            self.reply, self.replied = reply, True


@dataclass
class WorkerResources:
    """The resources of one process: the connections, the source of calls, and the validator of responses.

    `prepare` is called in a greenlet before the run begins (to sign in), `close` at its end; it returns what was
    created on the target and could not be removed. `results` returns the validator's results since the start: `rules`
    as {id: [judged, broken]}, `schema` as [judged, of], and `findings`. Requests of `prepare`, `close` and the source
    are under the same `rate_limit` as the calls.
    """

    functions: Sequence[str]
    pool: Any
    judge: Any
    source: Any = None
    prepare: Callable[[], None] = _nothing
    close: Callable[[], Sequence[typed_events.Event]] = _none_left
    results: Callable[[], dict[str, Any]] = _no_results
    #: The number of virtual users, where the source has its own.
    virtual_users: Callable[[], int] | int = 0
    rate_limit: RateLimit | None = None
    #: Which sessions have a call under way, where calls are sent in sessions.
    occupancy: Occupancy | None = None
    #: The table that failed requests are added to.
    failures: Failures | None = None
    #: Returns which objects were created on the target, and which are gone, since the last call (`Work.news`).
    news: Callable[[], dict[str, Any]] | None = None
    #: New marks of the time axis; a reader removes them.
    marks: list[Mark] = field(default_factory=list)


def moments(order: Order) -> Iterator[float]:
    """Return the moments of an order, in seconds since the start of the run."""
    begin = order.begin
    times = order.schedule.times(order.seed, max(0.0, order.since - begin))
    if begin:
        times = (begin + moment for moment in times)
    if math.isfinite(order.until):
        until = order.until
        times = takewhile(lambda moment: moment < until, times)
    return times


# One class, though it is long: its methods run in turn on the state of one process.
@dataclass
class Generator:
    """Sends what it is ordered to, and reports the results."""

    plan: Plan
    worker_resources: WorkerResources
    name: str = "local"
    #: The users that Locust runs in this process, for the series.
    users: Callable[[], int] = field(default=lambda: 0)

    def __post_init__(self) -> None:
        self.begun = Event()
        self.closing = False
        self.zero = math.inf
        #: Listeners of Locust's event `request`, without Locust's own statistics, which are updated in batches.
        self.listeners: Sequence[Callable[..., Any]] = ()
        #: The moments at which ended sessions were noticed.
        self.renewals: list[float] = []
        #: Why the run is to end before its time, once this process has nothing left to send; None if it is not.
        self.ending: str | None = None
        #: The tasks of scenarios that are under way, with closed arrivals.
        self.tasks = 0
        self._ending_at = math.inf
        self._number = 0
        self._over = False
        self._closed = False
        if self.worker_resources.rate_limit is None and self.plan.rate_limit is not None:
            self.worker_resources.rate_limit = RateLimit(self.plan.rate_limit)
        self.aggregator: Aggregator
        self.sender: Sender
        self.turns: ArrivalQueue | None = None
        self.clock: OpenLoopScheduler | None = None

    def start(self, zero: float, *, lease: float = math.inf, watch: Sequence[str] = ()) -> None:
        """Begin; `zero` is the start of the run, a moment of `perf_counter` that may be in the future."""
        plan = self.plan
        self.zero = zero
        self.aggregator = Aggregator(
            list(self.worker_resources.functions),
            self.worker_resources.judge.outcomes,
            warmup=plan.warmup,
            name=self.name,
            watch=watch,
        )
        self.sender = Sender(
            self.worker_resources.pool,
            self.worker_resources.judge,
            self.aggregator,
            zero=zero,
            timeout=plan.timeout,
            source=self.worker_resources.source,
            rate_limit=self.worker_resources.rate_limit,
            bound=plan.waiting,
            patience=plan.patience,
            renewal=self.renewals.append,
            occupancy=self.worker_resources.occupancy,
            failures=self.worker_resources.failures,
        )
        if self.worker_resources.occupancy is not None:
            self.worker_resources.occupancy.warmup = plan.warmup
        if plan.open:
            arrive = self.sender.arrive
            if plan.tasks:
                self.turns = ArrivalQueue(
                    self.aggregator, zero=zero, bound=plan.waiting, patience=plan.patience
                )
                arrive = self.turns.arrive
            self.clock = OpenLoopScheduler(zero, arrive, self._drop, lease=lease)
            self.sender.clock = self.clock
        _warm_up()
        # Objects that exist now stay; collecting them repeatedly would only cause pauses.
        gc.collect()
        gc.freeze()
        # Rows live until they are aggregated: a collection at every 700 objects would cost more than it frees.
        self._thresholds = gc.get_threshold()
        gc.set_threshold(max(_GC_THRESHOLD, self._thresholds[0]), *self._thresholds[1:])
        self.meter = Meter(self.name)
        self.meter.pauses.start()
        self.begun.set()

    def _drop(self, due: float) -> None:
        self.aggregator.unbegun.append(due)
        self.aggregator.drops.append((-1, due))

    @property
    def now(self) -> float:
        """Seconds since the start of the run."""
        return perf_counter() - self.zero

    def follow(self, orders: Sequence[Order]) -> None:
        """Follow orders, in addition to earlier ones."""
        assert self.clock is not None
        for order in orders:
            self.clock.add(moments(order))

    @property
    def asked(self) -> int:
        """The number of arrivals that were due."""
        return 0 if self.clock is None else self.clock.asked

    @property
    def open(self) -> int:
        """The number of arrivals, or of users' requests, that have begun and have not ended."""
        if not self.begun.is_set():
            return 0
        return self.sender.open + (0 if self.turns is None else self.turns.open)

    def report(self, *, final: bool = False, far: bool = True) -> dict[str, Any]:
        """Aggregate what happened since the last report; return a report as JSON.

        Without `far`, in the process that leads the run, the delta is not encoded: this process and the collector of
        results share an aggregator. The validator's results are reported once per second.
        """
        self.sender.pump()  # others may have returned connections
        now = self.now
        pool = self.worker_resources.pool
        rows = self.aggregator.rows
        table = table_of(rows)
        delta = self.aggregator.aggregate(
            max(0.0, now), users=self._users(), connections=len(pool), cpu=self.meter.sample(), table=table
        )
        if far:
            self.aggregator.finished()  # the process that leads the run returns them
        self._number += 1
        with_results = final or self._number % round(1 / PERIOD) == 1
        renewals, self.renewals[:] = self.renewals[:], []
        pauses: list[tuple[float, float]] = []
        if self.clock is not None:
            pauses, self.clock.pauses[:] = self.clock.pauses[:], []
        marks, self.worker_resources.marks[:] = self.worker_resources.marks[:], []
        if self.listeners:
            self._fire(rows)
        return {
            "number": self._number,
            "at": now,
            "delta": delta.to_json() if far else delta,
            "locust": aggregate.batch(table, self.aggregator.functions, self.aggregator.outcomes),
            "vitals": self.meter.vitals().to_json(),
            "reach": max(0.0, now) if self.clock is None else self.clock.reach,
            "asked": self.asked,
            "open": self.open,
            "renewed": self.sender.renewed,
            "failures": None
            if self.worker_resources.failures is None
            else self.worker_resources.failures.news(),
            "slowest": self.sender.slowest.news(),
            "sessions": None
            if self.worker_resources.occupancy is None
            else self.worker_resources.occupancy.counts(),
            "renewals": renewals,
            "pauses": pauses,
            "marks": [[mark.at - self.zero, mark.kind, mark.text] for mark in marks],
            "connections": [pool.opened, pool.most, pool.reopened, pool.strays],
            "trouble": list(self.sender.trouble),
            "results": self.worker_resources.results() if with_results else None,
            "news": self.worker_resources.news() if far and self.worker_resources.news is not None else None,
            "ending": self.ending if self._has_ended() else None,
            "final": final,
        }

    def _fire(self, rows: Sequence[Row]) -> None:
        """Call the listeners for each request, as Locust's event `request` does."""
        functions, outcomes = self.aggregator.functions, self.aggregator.outcomes
        for function, due, sent, done, code, size in rows:
            error = outcomes[code].error if code else None
            request = {
                "request_type": self.plan.arrivals,
                "name": functions[function],
                "response_time": 1000 * (done - due),
                "response_length": size,
                "exception": None if error is None else RequestFailedError(error),
                "context": {},
                "sent": sent,
            }
            for listener in list(self.listeners):
                try:
                    listener(**request)
                except Exception as error:  # an error of the listener does not stop the run
                    self.listeners = [each for each in self.listeners if each is not listener]
                    log.warning(
                        "a listener to requests is no longer called: %s: %s", type(error).__name__, error
                    )

    def _users(self) -> int:
        virtual_users = self.worker_resources.virtual_users
        return (virtual_users() if callable(virtual_users) else virtual_users) or self.users()

    def end_early(self, why: str) -> None:
        """Take up no more arrivals, and have the run end when what is under way has ended."""
        if self.ending is None:
            self.ending, self._ending_at = why, perf_counter()
            self.revoke()

    def _has_ended(self) -> bool:
        """Return whether nothing is left to do after `end_early`; what takes too long is not waited for."""
        if self.ending is None:
            return False
        busy = self.open or self.tasks
        return not busy or perf_counter() - self._ending_at > self.plan.drain

    def fail_task(self, name: str, place: str, message: str, due: float | None) -> None:
        """Count an exception in a task of a scenario: a failed request of its own, under the task's name.

        `due` is the moment of the task's arrival, where the task has sent nothing.
        """
        now = self.now
        if due is None:
            self.aggregator.starts.append((now, now))
        resources = self.worker_resources
        code = resources.judge.code_of(TASK_ERROR)
        index = self.aggregator.functions.index(name)
        self.aggregator.rows.append((index, now if due is None else due, now, now, code, 0))
        if resources.failures is not None:
            resources.failures.add(name, TASK_ERROR, place, message, now)

    def idle(self, due: float) -> None:
        """Record that the task of an arrival has sent nothing."""
        self.aggregator.idle.append(due)

    def limit(self, connections: int, waiting: int, rate_limit: float | None) -> None:
        """Take a larger share of the limits of the whole run: another worker is lost."""
        self.worker_resources.pool.limit = connections
        if self.worker_resources.rate_limit is not None and rate_limit is not None:
            self.worker_resources.rate_limit.set(rate_limit)
        if self.begun.is_set():
            self.sender.limit(waiting)

    def may_send(self, until: float) -> None:
        """Send nothing under the rate limit after a moment of the run: another process may send instead."""
        if self.worker_resources.rate_limit is not None:
            self.worker_resources.rate_limit.until = self.zero + until

    def revoke(self) -> None:
        """Follow no order any longer: arrivals from now on belong to another process."""
        if self.clock is not None:
            self.clock.clear()

    def stop(self, seconds: float, until: float = -math.inf) -> None:
        """Begin nothing that is due from `until` on; wait some seconds for what is under way, and drop the rest."""
        self.closing = True
        if not self.begun.is_set():
            return
        self.sender.closing = True
        if self.clock is not None:
            # A worker starts later by the time that a message took, and ends later by the same time.
            gevent.sleep(min(MAX_START_DELAY_SECONDS, max(0.0, until - self.now)))
            self.clock.clear(until)
        end = perf_counter() + seconds
        while self.open and perf_counter() < end:
            gevent.sleep(0.01)
        self._over = True
        if self.turns is not None:
            self.turns.abandon()
        self.sender.abandon()

    def close(self) -> Sequence[typed_events.Event]:
        """Clean up, and return what is left over; call it once everything is reported."""
        if self._closed:
            return ()
        self._closed = True
        self.closing = True
        if self.worker_resources.rate_limit is not None:
            self.worker_resources.rate_limit.until = (
                math.inf
            )  # the process that leads the run has ordered the end, or is lost
        if self.begun.is_set():
            self.meter.pauses.stop()
            self.sender.close()
            if self.clock is not None:
                self.clock.close()
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()
        self.worker_resources.pool.close()
        return [*self.worker_resources.close(), *self._notes()]

    def _notes(self) -> Iterator[typed_events.NoteEvent]:
        """Yield a note if arrivals waited for a user that was free."""
        turns = self.turns
        if turns is not None and turns.waited > MAX_WAITING_SHARE * turns.arrivals:
            yield typed_events.NoteEvent(
                f"{turns.waited:,} of {turns.arrivals:,} arrivals waited for a user that was free, which is in their "
                "latencies: give more --users"
            )

    # --- for users, in greenlets ----------------------------------------------------------------------------

    def closed_loop_user(self, supply: Callable[[], Any], think: Callable[[], float]) -> ClosedLoopUser:
        """Return a user of a closed loop that sends the calls of `supply`, one after the other, until it leaves."""
        return ClosedLoopUser(self.sender, supply, think)

    def call(self, call: Any, due: float | None = None) -> Reply | None:
        """Send a call and let other greenlets run until its response; return None where the call was dropped.

        `due` is the moment at which an arrival was due, for its first call; without it, the call is due now.

        Raises:
            StopUser: the run is over.

        """
        if self._over or (self.closing and self.turns is None):
            raise StopUser  # a task of an arrival is completed
        waiter = _Waiter()
        if due is None:
            self.sender.submit(call, perf_counter() - self.zero, waiter)
        else:
            self.sender.submit(call, due, waiter, begun=True)
        if waiter.replied:
            return waiter.reply
        waiter.away = True
        try:
            reply: Reply | None = gevent.get_hub().switch()
        finally:
            waiter.away = False
        return reply
