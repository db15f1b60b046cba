"""The load's engine: arrivals when they are due, every one accounted for, in Locust's own statistics too."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import urllib.parse
import urllib.request
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import gevent  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.distributed.run_plan import Order, Plan
from load.engine.open_loop import ArrivalQueue, OpenLoopScheduler
from load.engine.rate_limit import RateLimit
from load.engine.sender import ClosedLoopUser, Reply, Sender
from load.metrics.aggregation import Aggregator
from load.schedule import parsing
from tests.support.loading import Locust, Target, free_port, soon

# --- the clockwork ----------------------------------------------------------------------------------------------


@dataclass
class Taken:
    """What a clockwork handed on, and what it dropped."""

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
    """A connection that answers when it is told to."""

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


@pytest.mark.parametrize(("virtual_user", "expects"), [(None, None), ("kim", frozenset({401}))])
def test_a_refusal_outside_a_session_or_expected_is_judged_as_any_answer(
    virtual_user: Any, expects: frozenset[int] | None
) -> None:
    office = Office()
    told: list[Reply | None] = []
    office.sender.submit(Call(virtual_user=virtual_user, expects=expects), office.now, told.append)
    office.lines.used[0].answer(401)
    assert not office.source.settle
    assert [row[4] for row in office.aggregator.rows] == [1]
    assert told[0] is not None
    assert (told[0].status, told[0].renewed) == (401, False)


def test_a_mistake_of_ours_is_told_and_costs_no_connection() -> None:
    office = Office(limit=1)
    office.arrive(2)
    office.lines.used[0].answer(418)
    assert office.sender.trouble == ["RuntimeError: a judge's own mistake"]
    assert len(office.aggregator.drops) == 1
    office.lines.used[0].answer()
    assert len(office.aggregator.rows) == 1
    assert not office.lines.used


def test_what_is_sent_stays_below_the_ceiling_and_goes_on_by_itself() -> None:
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
    asked, told, called = 0, 0, 0

    def then(reply: Reply | None) -> None:
        nonlocal told
        told += 1

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
    assert told <= called
    if not abandon:
        assert told == called


def test_a_circle_sends_the_next_call_when_the_last_is_answered() -> None:
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


def test_a_circle_thinks_between_calls() -> None:
    office = Office(limit=1)
    ClosedLoopUser(office.sender, office.source.next, lambda: 0.05).go()
    office.lines.used[0].answer()
    assert not office.lines.used
    until(lambda: bool(office.lines.used))
    assert office.aggregator.starts[1][0] >= office.aggregator.rows[0][3] + 0.04


def test_a_circle_whose_session_had_ended_goes_on_when_that_is_settled() -> None:
    office = Office(limit=1, virtual_user="somebody")
    ClosedLoopUser(office.sender, office.source.next, lambda: 0.0).go()
    office.lines.used[0].answer(401)
    assert not office.lines.used
    office.source.settle.pop()(True)
    assert (office.sender.renewed, office.sender.flying, len(office.aggregator.rows)) == (1, 1, 0)
    office.lines.used[0].answer()
    assert (office.sender.flying, len(office.aggregator.rows)) == (1, 1)


def test_a_circle_without_a_call_tells_and_asks_again() -> None:
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


def test_many_circles_that_are_dropped_in_a_row_do_not_lie_within_each_other() -> None:
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


# --- inside Locust ----------------------------------------------------------------------------------------------


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["Name"]: row for row in csv.DictReader(file)}


def histogram_total(end: dict[str, Any]) -> int:
    return int(end["total"]["requests"] + end["warmed"]["requests"])


def test_locust_counts_what_the_target_counts(tmp_path: Path) -> None:
    """Open arrivals: the CSV, the seconds, the totals and the target agree, and none is lost."""

    def answer(number: int, path: str) -> tuple[int, float]:
        return (500, 0.0) if number % 10 == 0 else (200, 0.001)

    plan = {"schedule": "200/s for 3s", "warmup": 1, "slos": ["errors < 0.1%"]}
    with (
        Target(answer) as target,
        Locust(tmp_path, target.url, plan, "--csv", str(tmp_path / "out")) as locust,
    ):
        status = locust.wait()
        end = locust.end
    assert target.total == 600
    assert target.counts == {"/0": 450, "/1": 150}
    stats = rows(tmp_path / "out_stats.csv")
    for name, number in (("course.find", 450), ("course.read", 150), ("Aggregated", 600)):
        assert int(stats[name]["Request Count"]) == number
    assert stats["course.find"]["Type"] == "open"
    assert int(stats["Aggregated"]["Failure Count"]) == 60
    with (tmp_path / "out_failures.csv").open(newline="") as file:
        assert (
            sum(int(row["Occurrences"]) for row in csv.DictReader(file) if row["Error"] == "status 500") == 60
        )
    assert (end["total"]["requests"], end["warmed"]["requests"]) == (400, 200)
    seconds = locust.seconds()
    assert [second["at"] for second in seconds] == list(range(len(seconds)))
    assert sum(second["done"] for second in seconds) == sum(second["sent"] for second in seconds) == 600
    assert sum(second["errors"].get("status 500", 0) for second in seconds) == 60
    assert sum(each["requests"] for second in seconds for each in second["functions"].values()) == 600
    assert [round(second["asked"]) for second in seconds[:3]] == [200, 200, 200]
    assert end["slos"][0]["verdict"] == "fail"
    assert end["rules"] == {"ENV-1": {"judged": 600, "broken": 0}}
    assert end["total"]["due"]["count"] == end["total"]["sent"]["count"] == end["total"]["served"]
    assert end["total"]["due"]["count"] + end["total"]["refused"]["count"] == 400 == end["total"]["arrivals"]
    assert end["total"]["due"]["mean"] >= end["total"]["sent"]["mean"]
    # Fit or not: no generator makes a 500 of an answer.
    assert status == 1
    assert locust.events[0]["event"] == "load"


def test_users_are_closed_labelled_so_and_not_in_step(tmp_path: Path) -> None:
    with (
        Target() as target,
        Locust(tmp_path, target.url, {"seconds": 3}, "-u", "20", "-r", "20", SCENE_THINK="1.0") as locust,
    ):
        locust.wait()
        end = locust.end
    assert end["arrivals"] == "closed"
    assert end["total"]["asked"] is None
    assert target.total == histogram_total(end) >= 40
    assert "closed" in locust.log.read_text()
    # They were spawned in one batch; their first calls are spread over their think time.
    firsts = sorted(target.moments)[:20]
    tenths = Counter(int((moment - firsts[0]) * 10) for moment in firsts)
    assert max(tenths.values()) <= 12


def test_an_arrival_runs_a_task_in_a_pool_of_users(tmp_path: Path) -> None:
    plan = {"schedule": "40/s for 2s", "tasks": True}
    with Target() as target, Locust(tmp_path, target.url, plan, "-u", "10", "-r", "10") as locust:
        locust.wait()
        end = locust.end
    assert target.counts == {"/0": 80, "/1": 80}
    assert (end["executor"], histogram_total(end), end["total"]["dropped"]) == ("tasks", 160, 0)


def test_too_few_users_for_the_tasks_let_arrivals_wait_and_the_waiting_counts(tmp_path: Path) -> None:
    plan = {"schedule": "20/s for 2s", "tasks": True, "drain": 30, "patience": 30}
    with (
        Target(lambda number, path: (200, 0.05)) as target,
        Locust(tmp_path, target.url, plan, "-u", "1", "-r", "1") as locust,
    ):
        locust.wait()
        end = locust.end
    # Each of 40 arrivals takes 100 ms of the one user, in 2 s: the last one waits for about 2 s.
    assert histogram_total(end) == target.total == 80
    assert end["total"]["due"]["max"] >= 1900
    assert end["total"]["sent"]["max"] < end["total"]["due"]["max"] / 2


@pytest.mark.parametrize("marked", [False, True])
def test_a_reset_is_marked_and_no_failure(marked: bool, tmp_path: Path) -> None:
    """Once, however many calls met it, and as whoever renewed the sessions found it."""
    with (
        Target(lambda number, path: (401 if 100 <= number < 120 else 200, 0.0)) as target,
        Locust(
            tmp_path, target.url, {"schedule": "100/s for 2s", "member": True, "marked": marked}
        ) as locust,
    ):
        locust.wait()
        end = locust.end
    assert target.total == 200
    assert (end["renewed"], end["total"]["failed"], end["total"]["requests"]) == (20, 0, 180)
    assert end["total"]["arrivals"] == 200 == end["total"]["served"] + end["total"]["renewed"]
    assert sum(second["renewed"] for second in locust.seconds()) == 20
    # Only what a check of the run's objects finds is called a reset.
    (mark,) = locust.marks("reset" if marked else "renewal")
    assert ("all was gone" in mark["text"]) is marked
    assert mark["at"] > 0.9  # the hundredth call is due by then


def test_a_condition_ends_the_run_early(tmp_path: Path) -> None:
    plan = {"schedule": "200/s for 60s", "aborts": ["errors > 50% over 1s"]}
    with (
        Target(lambda number, path: (500 if number > 300 else 200, 0.0)) as target,
        Locust(tmp_path, target.url, plan) as locust,
    ):
        locust.wait(40)
        end = locust.end
    assert end["seconds"] < 30
    assert len(locust.marks("abort")) == 1
    assert histogram_total(end) + end["total"]["dropped"] == target.total
    assert end["ended"].startswith("abort")


def test_a_load_ends_as_soon_as_an_slo_cannot_be_held(tmp_path: Path) -> None:
    plan = {"schedule": "100/s for 60s", "slos": ["p95 < 5s", "errors < 1%"], "fail_fast": True}
    with (
        Target(lambda number, path: (500 if number > 200 else 200, 0.0)) as target,
        Locust(tmp_path, target.url, plan) as locust,
    ):
        status = locust.wait(50)
        end = locust.end
    assert end["seconds"] < 40
    (mark,) = locust.marks("fail-fast")
    assert mark["text"].startswith("errors < 1% cannot be held any more")
    assert end["ended"] == f"fail-fast: {mark['text']}"
    assert status == 1


def test_a_condition_leaves_a_miss_a_miss(tmp_path: Path) -> None:
    plan = {"schedule": "200/s for 60s", "aborts": ["errors > 50% over 1s"], "slos": ["errors < 1%"]}
    with (
        Target(lambda number, path: (500 if number > 300 else 200, 0.0)) as target,
        Locust(tmp_path, target.url, plan) as locust,
    ):
        status = locust.wait(40)
        end = locust.end
    assert (end["slos"][0]["verdict"], status) == ("fail", 1)


def test_a_rate_ceiling_is_not_exceeded(tmp_path: Path) -> None:
    plan = {"schedule": "300/s for 1s", "rate_limit": 50, "drain": 0.5}
    with Target() as target, Locust(tmp_path, target.url, plan) as locust:
        locust.wait()
        end = locust.end
    # Waiting requests and the drain included, no window of a second saw more (the target's clock is not exact).
    moments = sorted(target.moments)
    assert all(last - first > 0.9 for first, last in zip(moments, moments[50:], strict=False))
    assert histogram_total(end) == target.total
    assert end["total"]["dropped"] + target.total == 300
    assert not end["health"]["valid"]


@pytest.mark.thorough
def test_a_search_finds_what_the_target_bears(tmp_path: Path) -> None:
    """The target delays all when more than 100 come in a second."""
    seen: deque[float] = deque()

    def answer(number: int, path: str) -> tuple[int, float]:
        now = perf_counter()
        seen.append(now)
        while seen[0] < now - 1.0:
            seen.popleft()
        return 200, 0.4 if len(seen) > 110 else 0.0

    text = "search 40/s to 320/s, 2s each within 60%"
    plan = {"search": text, "slos": ["p50 < 200ms"]}
    with Target(answer) as target, Locust(tmp_path, target.url, plan) as locust:
        locust.wait()
        end = locust.end
    trials = end["search"]["trials"]
    # On a machine that is too busy a trial cannot be judged; the search goes on by its own rules all the same.
    search = parsing.parse_search(text)
    for trial in trials:
        assert (trial["rate"], trial["seconds"]) == (search.next_rate, search.next_seconds)
        assert trial["held"] is not True or trial["rate"] < 160
        search = search.tried(trial["held"])
    assert (end["search"]["result"], end["search"]["why"]) == (search.result, search.why)
    assert histogram_total(end) == target.total == sum(trial["rate"] * trial["seconds"] for trial in trials)
    assert len(locust.marks("step")) == 2 * len(trials)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_is_folded_to_the_last(tmp_path: Path, how: signal.Signals) -> None:
    with Target() as target, Locust(tmp_path, target.url, {"schedule": "soak 100/s"}) as locust:
        soon(lambda: locust.seconds())
        locust.process.send_signal(how)
        locust.wait()
        end = locust.end
    assert histogram_total(end) + end["total"]["dropped"] == target.total
    assert [mark["kind"] for mark in end["marks"]] == ["stopped"]
    assert end["seconds"] >= 1


def ends(locust: Locust) -> int:
    return sum(event["event"] == "load-end" for event in locust.events)


def test_the_web_ui_starts_shows_and_stops_a_run(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--web-host", "127.0.0.1", "--web-port", str(port))

    def get(path: str, data: dict[str, Any] | None = None) -> Any:
        body = None if data is None else urllib.parse.urlencode(data).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", body, timeout=10) as answer:
            return json.loads(answer.read())

    def shown() -> dict[str, int]:
        return {each["name"]: each["num_requests"] for each in get("stats/requests")["stats"]}

    def is_up() -> bool:
        try:
            return bool(get("stats/requests"))
        except OSError:
            return False

    with (
        Target() as target,
        Locust(tmp_path, target.url, {"schedule": "soak 100/s"}, *arguments, headless=False) as locust,
    ):
        soon(is_up)
        for _ in range(2):  # a run can be started again
            known = ends(locust)
            before = target.total
            assert get("swarm", {"user_count": 1, "spawn_rate": 1, "host": target.url})["success"]
            soon(lambda: any(each["num_requests"] >= 50 for each in get("stats/requests")["stats"]))
            get("stop", {})
            soon(lambda known=known: ends(locust) > known)  # type: ignore[misc]
            last = [event for event in locust.events if event["event"] == "load-end"][-1]
            assert target.total - before == histogram_total(last)
            # Locust answers from a cache for two seconds.
            soon(lambda last=last: shown()["Aggregated"] == histogram_total(last))  # type: ignore[misc]
        locust.process.send_signal(signal.SIGTERM)
        locust.wait()


def test_what_cannot_be_begun_ends_with_a_line(tmp_path: Path) -> None:
    nowhere = "http://no-such-host.invalid/"
    with Locust(tmp_path, nowhere, {"schedule": "10/s for 1s"}) as locust:
        assert locust.wait() == 2
    assert "Traceback" not in locust.log.read_text()
    assert not [event for event in locust.events if event["event"] == "load-end"]


# --- Locust's statistics ----------------------------------------------------------------------------------------


def test_a_batch_is_as_good_as_locust_logging_each_request(tmp_path: Path) -> None:
    """In a process of its own: Locust patches the standard library where it is imported."""
    import subprocess
    import sys

    script = Path(__file__).parents[2] / "support" / "load_fold.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(script.parent.parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "the same"
