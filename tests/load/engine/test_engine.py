"""The load's engine: arrivals when they are due, every one accounted for, in Locust's own statistics too."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import gevent  # type: ignore[import-untyped]
import pytest
from gevent import getcurrent
from hypothesis import given, settings
from hypothesis import strategies as st

from load.distributed.run_plan import Order, Plan
from load.engine.open_loop import ArrivalQueue, OpenLoopScheduler
from load.engine.rate_limit import RateLimit
from load.engine.sender import ClosedLoopUser, Reply, Sender
from load.metrics.aggregation import Aggregator
from load.schedule import parsing

# --- the scheduler ----------------------------------------------------------------------------------------------


@dataclass
class Taken:
    """The arrivals that a scheduler passed on and dropped."""

    taken: list[tuple[float, float]] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)

    def clock(self, **more: Any) -> OpenLoopScheduler:
        return OpenLoopScheduler(
            perf_counter(), lambda due, now: self.taken.append((due, now)), self.dropped.append, **more
        )

    @property
    def dues(self) -> list[float]:
        return [due for due, _ in self.taken]


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    """Let the event loop run until something is true."""
    with gevent.Timeout(seconds):
        while not true():
            gevent.sleep(0.005)


def test_every_moment_is_handed_on_once_in_order_and_never_early() -> None:
    seen = Taken()
    clock = seen.clock()
    moments = [0.0, 0.0, 0.0004, 0.0009, 0.02, 0.0201, 0.05]
    clock.add(iter(moments))
    until(lambda: len(seen.taken) == len(moments))
    assert seen.dues == moments
    assert all(now >= due for due, now in seen.taken)
    assert clock.asked == len(moments)
    clock.close()


def test_schedules_that_are_added_are_merged() -> None:
    seen = Taken()
    clock = seen.clock()
    clock.add(iter([0.02, 0.04, 0.06]))
    clock.add(iter([0.01, 0.05]))
    until(lambda: len(seen.taken) == 5)
    assert seen.dues == [0.01, 0.02, 0.04, 0.05, 0.06]
    clock.close()


def test_without_a_lease_the_clock_stands_still_and_drops_what_came_due() -> None:
    seen = Taken()
    clock = seen.clock(lease=0.03)
    clock.add(iter([0.01, 0.05, 0.06, 10.0]))
    until(lambda: perf_counter() - clock.zero > 0.08)
    assert seen.dues == [0.01]
    assert clock.reach == 0.05
    clock.extend(100.0)
    assert seen.dropped == [0.05, 0.06]
    assert clock.asked == 3
    assert [begun for begun, _ in clock.pauses] == [0.03]
    assert clock.due == 10.0
    clock.close()


def test_what_is_due_before_the_end_is_handed_on_and_the_rest_forgotten() -> None:
    seen = Taken()
    clock = seen.clock()
    # Nothing runs in between: the alarm has had no chance.
    clock.zero -= 1.0
    clock._times, clock.due = iter([0.2, 0.3, 0.4]), 0.1
    clock.clear(0.3)
    assert seen.dues == [0.1, 0.2]
    assert clock.reach == 0.3
    assert clock.due == math.inf
    clock.close()


# --- the sender -------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Call:
    index: int = 0
    raw: bytes = b"x"
    virtual_user: Any = None
    expects: frozenset[int] | None = None
    learn: Callable[[Any, Any], None] | None = None
    counted: bool = True


class Line:
    """A connection that answers when the test says so."""

    def __init__(self) -> None:
        self.call: Any = None
        self.status, self.head, self.body, self.failure, self.detail = 200, b"", b"{}", None, ""
        self.sent = self.left = self.done_at = 0.0
        self.bytes_in = 7
        self.opened = self.busy = False
        self.done: Callable[[Any], None] | None = None

    def send(self, raw: bytes, deadline: float, done: Callable[[Any], None]) -> None:
        assert self.done is None, "one request at a time"
        self.sent, self.done = perf_counter(), done

    def answer(self, status: int = 200) -> None:
        assert self.done is not None
        done, self.done = self.done, None
        self.status, self.done_at = status, perf_counter()
        done(self)


class Lines:
    def __init__(self, limit: int) -> None:
        self.free = deque(Line() for _ in range(limit))
        self.used: list[Line] = []

    def take(self) -> Line | None:
        if not self.free:
            return None
        self.used.append(self.free.popleft())
        return self.used[-1]

    def give(self, line: Line) -> None:
        self.used.remove(line)
        self.free.append(line)


class AnswerValidator:
    def judge(self, call: Any, reply: Any) -> int:
        if reply.status == 418:
            raise RuntimeError("a judge's own mistake")
        return 0 if reply.status == 200 else 1


class Source:
    def __init__(self, virtual_user: Any = None) -> None:
        self.virtual_user = virtual_user
        self.settle: list[Callable[[bool], None]] = []
        self.learnt: list[int] = []

    def next(self) -> Call:
        return Call(
            virtual_user=self.virtual_user, learn=lambda call, reply: self.learnt.append(reply.status)
        )

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None:
        self.settle.append(settle)


@dataclass
class Office:
    limit: int = 2
    more: dict[str, Any] = field(default_factory=dict)
    virtual_user: Any = None

    def __post_init__(self) -> None:
        self.lines, self.source, self.aggregator = (
            Lines(self.limit),
            Source(self.virtual_user),
            Aggregator(["one.find"]),
        )
        self.zero = perf_counter()
        self.sender = Sender(
            self.lines,
            AnswerValidator(),
            self.aggregator,
            zero=self.zero,
            timeout=5,
            source=self.source,
            **self.more,
        )

    @property
    def now(self) -> float:
        return perf_counter() - self.zero

    def arrive(self, count: int = 1, due: float | None = None) -> None:
        for _ in range(count):
            self.sender.arrive(self.now if due is None else due, self.now)


def test_what_finds_no_connection_waits_in_order_and_the_waiting_counts() -> None:
    office = Office(limit=1)
    office.arrive(due=-0.3)
    office.arrive(due=-0.2)
    office.arrive(due=-0.1)
    assert (office.sender.flying, office.sender.waiting) == (1, 2)
    for _ in range(3):
        office.lines.used[0].answer()
    assert [round(row[1], 1) for row in office.aggregator.rows] == [-0.3, -0.2, -0.1]
    for _, due, sent, done, code, size in office.aggregator.rows:
        assert due < 0 <= sent <= done
        assert (code, size) == (0, 7)
    # Each was sent only when the one before it was answered.
    assert office.aggregator.rows[1][2] >= office.aggregator.rows[0][3]
    assert not office.lines.used
    assert office.source.learnt == [200, 200, 200]


def test_what_finds_no_room_to_wait_is_dropped_and_counted() -> None:
    office = Office(limit=1, more={"bound": 2})
    office.arrive(5)
    assert (office.sender.flying, office.sender.waiting, len(office.aggregator.drops)) == (1, 2, 2)
    assert len(office.aggregator.starts) == 3


def test_what_waited_too_long_is_dropped_and_counted() -> None:
    office = Office(limit=1, more={"patience": 2.0})
    office.arrive()
    office.arrive(due=-3.0)
    office.arrive()
    office.lines.used[0].answer()
    assert office.aggregator.drops == [(-1, -3.0)]
    assert (office.sender.flying, office.sender.waiting) == (1, 0)


def test_a_session_that_had_ended_is_renewed_and_is_no_failure() -> None:
    moments: list[float] = []
    office = Office(virtual_user="kim", more={"renewal": moments.append})
    office.arrive(2)
    first, second = list(office.lines.used)
    first.answer(401)
    second.answer(401)
    assert (office.aggregator.rows, office.sender.open, office.sender.renewing) == ([], 2, 2)
    office.source.settle[0](True)
    office.source.settle[0](False)  # once is enough
    assert (office.aggregator.rows, office.sender.renewed, len(moments)) == ([], 1, 1)
    # A session that is good was refused: that is the failure that it looks like.
    office.source.settle[1](False)
    assert [row[4] for row in office.aggregator.rows] == [1]
    assert office.sender.open == 0


def test_a_greenlet_that_settles_or_drops_the_call_of_another_goes_on() -> None:
    office = Office(limit=1, virtual_user="kim", more={"patience": 0.0})
    got: list[Reply | None] = []

    def user() -> None:
        switch = getcurrent().switch
        office.sender.submit(Call(virtual_user="kim"), office.now, switch)
        got.append(gevent.get_hub().switch())
        gevent.sleep(60)

    users = [gevent.spawn(user)]
    gevent.sleep(0.01)
    office.lines.used[0].answer(401)
    # A renewal is done in a greenlet of its own.
    renewal = gevent.spawn(lambda: office.source.settle[0](True))
    until(lambda: renewal.dead and got)
    assert got[0] is not None
    assert got[0].renewed

    taken = office.lines.take()
    assert taken is not None
    users.append(gevent.spawn(user))
    gevent.sleep(0.01)
    office.sender.pump()  # as the greenlet does that reports
    until(lambda: len(got) == 2)
    assert got[1] is None
    office.lines.give(taken)
    gevent.killall(users)


@pytest.mark.parametrize(("virtual_user", "expects"), [(None, None), ("kim", frozenset({401}))])
def test_a_refusal_outside_a_session_or_expected_is_judged_as_any_answer(
    virtual_user: Any, expects: frozenset[int] | None
) -> None:
    office = Office()
    replies: list[Reply | None] = []
    office.sender.submit(Call(virtual_user=virtual_user, expects=expects), office.now, replies.append)
    office.lines.used[0].answer(401)
    assert not office.source.settle
    assert [row[4] for row in office.aggregator.rows] == [1]
    assert replies[0] is not None
    assert (replies[0].status, replies[0].renewed) == (401, False)


def test_a_mistake_of_ours_is_reported_and_costs_no_connection() -> None:
    office = Office(limit=1)
    office.arrive(2)
    office.lines.used[0].answer(418)
    assert office.sender.trouble == ["RuntimeError: a judge's own mistake"]
    assert len(office.aggregator.drops) == 1
    office.lines.used[0].answer()
    assert len(office.aggregator.rows) == 1
    assert not office.lines.used


def test_what_is_sent_stays_below_the_rate_limit_and_goes_on_by_itself() -> None:
    office = Office(limit=50, more={"rate_limit": RateLimit(20.0)})
    office.arrive(30)
    assert (office.sender.flying, office.sender.waiting) == (20, 10)
    until(lambda: office.sender.flying == 30)
    moments = sorted(line.sent for line in office.lines.used)
    assert moments[20] - moments[0] >= 1.0 - 1e-6
    office.sender.close()


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(
        st.one_of(
            st.tuples(st.just("arrive"), st.integers(1, 5)),
            st.tuples(st.just("answer"), st.sampled_from([200, 401, 500, 418])),
            st.tuples(st.just("settle"), st.booleans()),
            st.tuples(st.just("submit"), st.booleans()),
        ),
        max_size=60,
    ),
    abandon=st.booleans(),
)
def test_every_arrival_is_accounted_for(script: list[tuple[str, Any]], abandon: bool) -> None:
    office = Office(limit=3, virtual_user="kim", more={"bound": 4})
    asked, answered, called = 0, 0, 0

    def then(reply: Reply | None) -> None:
        nonlocal answered
        answered += 1

    for what, value in script:
        if what == "arrive":
            office.arrive(value)
            asked += value
        elif what == "submit":
            office.sender.submit(Call(virtual_user="kim" if value else None), office.now, then)
            asked, called = asked + 1, called + 1
        elif what == "answer" and office.lines.used:
            office.lines.used[0].answer(value)
        elif what == "settle" and office.source.settle:
            office.source.settle.pop()(value)
        sender, aggregator = office.sender, office.aggregator
        assert asked == len(aggregator.rows) + len(aggregator.drops) + sender.renewed + sender.open
    if abandon:
        office.sender.abandon()
    else:
        while office.lines.used:
            office.lines.used[0].answer()
        while office.source.settle:
            office.source.settle.pop()(True)
    assert asked == len(office.aggregator.rows) + len(office.aggregator.drops) + office.sender.renewed
    assert office.sender.open == 0
    assert not office.sender.waiting
    for line in list(office.lines.used):
        line.answer()
    assert asked == len(office.aggregator.rows) + len(office.aggregator.drops) + office.sender.renewed
    assert answered <= called
    if not abandon:
        assert answered == called


def test_a_closed_loop_user_sends_the_next_call_when_the_last_is_answered() -> None:
    office = Office(limit=2)
    closed_loop_users = [ClosedLoopUser(office.sender, office.source.next, lambda: 0.0) for _ in range(2)]
    for closed_loop_user in closed_loop_users:
        closed_loop_user.go()
    for _ in range(5):
        for line in list(office.lines.used):
            line.answer()
    assert (len(office.aggregator.rows), len(office.aggregator.starts), office.sender.flying) == (10, 12, 2)
    closed_loop_users[0].leave()
    for line in list(office.lines.used):
        line.answer()
    assert (len(office.aggregator.rows), office.sender.flying) == (12, 1)
    office.sender.closing = True
    office.lines.used[0].answer()
    assert (len(office.aggregator.rows), len(office.aggregator.starts), office.sender.open) == (13, 13, 0)
    assert not office.aggregator.drops


def test_a_closed_loop_user_thinks_between_calls() -> None:
    office = Office(limit=1)
    ClosedLoopUser(office.sender, office.source.next, lambda: 0.05).go()
    office.lines.used[0].answer()
    assert not office.lines.used
    until(lambda: bool(office.lines.used))
    assert office.aggregator.starts[1][0] >= office.aggregator.rows[0][3] + 0.04


def test_a_closed_loop_user_whose_session_had_ended_goes_on_when_that_is_settled() -> None:
    office = Office(limit=1, virtual_user="somebody")
    ClosedLoopUser(office.sender, office.source.next, lambda: 0.0).go()
    office.lines.used[0].answer(401)
    assert not office.lines.used
    office.source.settle.pop()(True)
    assert (office.sender.renewed, office.sender.flying, len(office.aggregator.rows)) == (1, 1, 0)
    office.lines.used[0].answer()
    assert (office.sender.flying, len(office.aggregator.rows)) == (1, 1)


def test_a_closed_loop_user_without_a_call_reports_and_asks_again() -> None:
    office = Office(limit=1)
    tries = []

    def supply() -> Call:
        tries.append(perf_counter())
        if len(tries) < 3:
            raise LookupError("nothing to be had")
        return office.source.next()

    ClosedLoopUser(office.sender, supply, lambda: 0.0).go()
    until(lambda: bool(office.lines.used))
    assert office.sender.trouble == ["LookupError: nothing to be had"] * 2
    assert tries[1] >= tries[0] + ClosedLoopUser.PAUSE_SECONDS / 2


def test_many_closed_loop_users_that_are_dropped_in_a_row_do_not_lie_within_each_other() -> None:
    office = Office(limit=1, more={"patience": -1.0})
    closed_loop_users = [ClosedLoopUser(office.sender, office.source.next, lambda: 0.0) for _ in range(2_000)]
    for closed_loop_user in closed_loop_users:
        closed_loop_user.go()
    office.lines.used[0].answer()  # whoever waits has waited too long by now
    until(lambda: len(office.aggregator.drops) >= 3_000)
    for closed_loop_user in closed_loop_users:
        closed_loop_user.leave()
    assert not office.sender.trouble


def test_greenlets_take_turns_at_arrivals() -> None:
    aggregator = Aggregator(["one.find"])
    turns = ArrivalQueue(aggregator, zero=perf_counter(), bound=2, patience=100.0)
    got: list[float] = []
    for due in (-3.0, -2.0, -1.0):
        turns.arrive(due, 0.0)
    assert [due for _, due in aggregator.drops] == [-1.0]

    def user() -> None:
        while True:
            got.append(turns.next())
            turns.done()

    users = [gevent.spawn(user) for _ in range(2)]
    until(lambda: len(got) == 2)
    turns.arrive(-0.5, 0.0)
    until(lambda: len(got) == 3)
    assert sorted(got) == [-3.0, -2.0, -0.5]
    assert turns.open == 0
    assert (turns.arrivals, turns.waited) == (3, 2)
    gevent.killall(users)
    turns.arrive(-0.4, 0.0)
    turns.abandon()
    assert len(aggregator.drops) == 2


# --- plans ------------------------------------------------------------------------------------------------------


def test_a_plan_and_its_orders_travel_as_json() -> None:
    plan = Plan(
        "mix",
        parsing.parse("poisson 200/s for 30s"),
        warmup=2.0,
        rate_limit=50.0,
        slos=("p95 < 300ms",),
        aborts=("errors > 5%",),
        calibration=(1000.0, 30.0),
        more={"mix": {"course.find": 2}},
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    closed = Plan("visit", users=5)
    assert Plan.from_json(json.loads(json.dumps(closed.to_json()))) == closed
    assert (plan.arrivals, closed.arrivals) == ("open", "closed")
    order = Order(parsing.parse("200/s for 30s"), 7, begin=2.0, since=4.0).share(1, 3)
    assert Order.from_json(json.loads(json.dumps(order.to_json()))) == order


@given(workers=st.integers(1, 300), connections=st.integers(1, 5000), rate_limit=st.floats(0.5, 1e5))
def test_the_parts_of_a_plan_do_not_exceed_it(workers: int, connections: int, rate_limit: float) -> None:
    part = Plan("mix", connections=connections, rate_limit=rate_limit).part(workers)
    assert part.connections * workers <= max(connections, workers)
    assert part.rate_limit is not None
    assert part.rate_limit * workers <= rate_limit * (1 + 1e-12)
