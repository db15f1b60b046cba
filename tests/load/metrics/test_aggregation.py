"""The aggregator: however rows are split, aggregated, sent and merged, the sums are the same, in constant memory."""

from __future__ import annotations

import gc
import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.metrics.aggregation import Aggregator, Row
from load.metrics.counts import Counts, Delta, Second
from load.metrics.histogram import Histogram
from load.schedule.profiles import constant
from tests.support.events import record_of

few = settings(max_examples=40, deadline=None)

FUNCTIONS = ["course.find", "course.read", "auth.login"]
WARMUP = 1.0


@dataclass(frozen=True)
class Known:
    error: str | None = None
    rules: tuple[str, ...] = ()


OUTCOMES = [
    Known(),
    Known("timeout"),
    Known("status 503"),
    Known(None, ("ENV-5",)),
    Known("closed", ("ENV-5", "HTTP-1")),
]

MOMENTS = st.integers(0, 6_000_000).map(lambda us: us / 1e6)
WAITS = st.one_of(st.integers(0, 4000), st.integers(0, 3_000_000)).map(lambda us: us / 1e6)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    made = []
    for _ in range(draw(st.integers(0, 30))):
        due = draw(MOMENTS)
        sent = due + draw(WAITS)
        done = sent + draw(WAITS)
        made.append(
            (draw(st.integers(0, 2)), due, sent, done, draw(st.integers(0, 4)), draw(st.integers(0, 10**6)))
        )
    return sorted(made, key=lambda row: row[3])


def us(begin: float, end: float) -> int:
    return max(0, round((end - begin) * 1e6))


def plain(all_rows: list[Row]) -> dict[str, Any]:
    """Count the slow way, row by row."""
    functions: dict[str, Counts] = {}
    warmed = Counts()
    seconds: dict[int, Second] = {}
    for function, due, sent, done, code, size in all_rows:
        outcome = OUTCOMES[code]
        name = FUNCTIONS[function]
        counts = warmed if due < WARMUP else functions.setdefault(name, Counts())
        counts.requests += 1
        counts.bytes += size
        second = seconds.setdefault(int(done), Second(int(done)))
        second.done += 1
        if outcome.error in (None, "timeout"):
            counts.due.record(us(due, done))
            counts.sent.record(us(sent, done))
            second.due.record(us(due, done))
        elif outcome.error == "status 503":
            counts.refused.record(us(due, done))
            second.refused += 1
        mine = second.functions.get(name, (0, 0, 0))
        second.functions[name] = (
            mine[0] + 1,
            mine[1] + (outcome.error is not None),
            mine[2] + bool(outcome.rules),
        )
        for each in (counts, second):
            each.failed += outcome.error is not None
            each.nonconformant += bool(outcome.rules)
            if outcome.error is not None:
                each.errors[outcome.error] += 1
        counts.rules.update(outcome.rules)
    return {"functions": functions, "warmed": warmed, "seconds": seconds}


def aggregator(name: str = "local", **more: Any) -> Aggregator:
    return Aggregator(FUNCTIONS, OUTCOMES, warmup=WARMUP, name=name, **more)


def without_gauges(seconds: list[Second]) -> dict[int, Second]:
    for second in seconds:
        second.gauges.clear()
    return {second.at: second for second in seconds if second != Second(second.at)}


@few
@given(rows())
def test_folding_by_columns_counts_as_counting_row_by_row(all_rows: list[Row]) -> None:
    mine = aggregator()
    mine.rows += all_rows
    mine.aggregate(100.0)
    wanted = plain(all_rows)
    assert mine.sum.functions == wanted["functions"]
    assert mine.sum.warmed == wanted["warmed"]
    assert without_gauges(mine.finished()) == wanted["seconds"]
    assert mine.total == Counts.sum(wanted["functions"].values())


def test_every_request_that_came_due_ends_in_one_way() -> None:
    mine = aggregator()
    ends = [(0, 1.0 + number / 100, 1.1, 3.0, code, 10) for number, code in enumerate((0, 0, 1, 2, 3, 4))]
    mine.rows += ends
    mine.starts += [(row[1], row[2]) for row in ends]
    mine.starts += [(2.0, 2.0), (2.1, 2.1), (0.2, 0.3)]
    mine.renewals.append((0, 2.0))
    mine.drops += [(-1, 2.1), (-1, 2.2)]
    mine.starved += [(-1, 2.1, 0.5), (-1, 2.2, 0.25)]
    mine.unbegun.append(2.2)
    mine.rows.append((0, 0.2, 0.3, 0.4, 2, 10))
    mine.aggregate(4.0)
    total = Delta.from_json(json.loads(json.dumps(mine.sum.to_json()))).total
    assert (total.served, total.refused.count, total.unanswered, total.dropped, total.renewed) == (
        3,
        1,
        2,
        2,
        1,
    )
    assert total.arrivals == 9 == total.answered + total.unanswered + total.dropped + total.renewed
    # Three were served, one timed out, two found no connection.
    assert (total.due.count, total.sent.count, total.starved.count) == (6, 4, 2)
    shown = total.shown(9.0, 3.0)
    assert (shown["rate"], shown["reached"], shown["answered"]) == (1.0, 2.0, 4)
    assert shown["errors"] == {"closed": 1, "no connection": 2, "status 503": 1, "timeout": 1}
    assert shown["refused"]["count"] == 1
    assert mine.sum.warmed.arrivals == mine.sum.warmed.refused.count == 1
    seconds = {second.at: second for second in mine.finished(end=True)}
    assert (seconds[3].served, seconds[3].refused, seconds[3].renewed, seconds[2].starved) == (3, 1, 1, 2)


@few
@given(rows(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_however_rows_are_split_folded_sent_and_merged_the_sums_are_the_same(
    all_rows: list[Row], dice: random.Random, workers: int
) -> None:
    whole = aggregator()
    whole.rows += all_rows
    whole.starts += [(row[1], row[2]) for row in all_rows]
    whole.drops += [(row[0] - 1, row[1]) for row in all_rows[::3]]
    whole.aggregate(100.0)

    worker_resources = [aggregator(f"worker {number}") for number in range(workers)]
    sent: list[Delta] = []
    pending = [Delta() for _ in worker_resources]
    for place, row in enumerate(all_rows):
        number = dice.randrange(workers)
        one = worker_resources[number]
        one.rows.append(row)
        one.starts.append((row[1], row[2]))
        if place % 3 == 0:
            one.drops.append((row[0] - 1, row[1]))
        if dice.random() < 0.3:
            pending[number].merge(one.aggregate(100.0))
        if dice.random() < 0.2:
            sent.append(pending[number])
            pending[number] = Delta()
    for number, one in enumerate(worker_resources):
        pending[number].merge(one.aggregate(100.0))
        sent.append(pending[number])
    dice.shuffle(sent)
    master = Aggregator()
    for delta in sent:
        master.merge(Delta.from_json(json.loads(json.dumps(delta.to_json()))))

    assert master.sum.functions == whole.sum.functions
    assert master.sum.warmed == whole.sum.warmed
    assert master.sum.lag == whole.sum.lag
    assert master.sum.unassigned == whole.sum.unassigned
    assert master.total == whole.total
    assert without_gauges(master.finished(end=True)) == without_gauges(whole.finished(end=True))
    # Each worker knows its own part, and the parts make up the whole.
    assert Counts.sum(one.total for one in worker_resources) == whole.total


@few
@given(rows())
def test_all_of_it_survives_json(all_rows: list[Row]) -> None:
    mine = aggregator(watch=["course.find"])
    mine.rows += all_rows
    mine.starts += [(row[1], row[2]) for row in all_rows]
    mine.drops += [(-1, 0.5), (1, 2.5)]
    mine.aggregate(3.0, users=7, connections=3, cpu=0.25)
    mine.finished()
    again = Aggregator.from_json(json.loads(json.dumps(mine.to_json())))
    assert again.sum == mine.sum
    assert again.to_json() == mine.to_json()
    assert again.finished(end=True) == mine.finished(end=True)


def row(done: float, *, function: int = 0, took: float = 0.01, code: int = 0) -> Row:
    return (function, done - took, done - took, done, code, 100)


def test_seconds_are_handed_out_once_and_without_a_gap() -> None:
    mine = aggregator()
    assert mine.finished() == []
    mine.rows += [row(0.5), row(0.7), row(3.2)]
    mine.aggregate(0.9)
    assert mine.finished() == []
    mine.aggregate(4.0)
    assert [(second.at, second.done) for second in mine.finished()] == [(0, 2), (1, 0), (2, 0), (3, 1)]
    assert mine.finished() == []
    mine.rows.append(row(4.1))
    mine.aggregate(4.2)
    assert mine.finished() == []
    assert [(second.at, second.done) for second in mine.finished(end=True)] == [(4, 1)]
    assert mine.finished(end=True) == []


def test_a_second_waits_for_every_worker_but_not_for_ever() -> None:
    master = Aggregator(patience=5)
    quick, slow = aggregator("quick"), aggregator("slow")
    quick.rows.append(row(0.5))
    master.merge(quick.aggregate(2.0))
    master.merge(slow.aggregate(0.5))
    assert master.finished() == []
    master.merge(slow.aggregate(1.1))
    assert [second.at for second in master.finished()] == [0]
    master.merge(quick.aggregate(7.5))
    assert [second.at for second in master.finished()] == [1]
    master.lose("slow")
    assert [second.at for second in master.finished()] == [2, 3, 4, 5, 6]


def test_what_comes_late_is_counted_in_the_next_second_and_said_to_be_late() -> None:
    master = Aggregator(patience=2)
    quick, slow = aggregator("quick"), aggregator("slow")
    slow.rows += [row(1.5), row(1.6, code=1)]
    delta = slow.aggregate(2.0)
    master.merge(quick.aggregate(8.0))
    master.sum.until["slow"] = 0.0
    assert len(master.finished()) == 6
    before = delta.to_json()
    master.merge(delta)
    assert delta.to_json() == before
    assert master.total.requests == 2
    late = master.finished(end=True)[0]
    assert (late.at, late.done, late.late, late.errors) == (6, 2, 2, Counter({"timeout": 1}))


def test_gauges_are_the_most_of_each_process_and_the_sum_of_all() -> None:
    master = Aggregator()
    one, two = aggregator("one"), aggregator("two")
    for now, users, cpu in ((0.2, 5, 0.1), (0.6, 9, 0.4), (0.9, 8, 0.2)):
        master.merge(one.aggregate(now, users=users, connections=users - 1, cpu=cpu))
    master.merge(two.aggregate(0.5, users=3, connections=3, cpu=0.3))
    (second,) = master.finished(end=True)
    assert (second.users, second.connections, second.cpu) == (12, 11, 0.4)


def test_watched_functions_have_histograms_of_their_own_per_second() -> None:
    mine = aggregator(watch=["course.read"])
    mine.rows += [row(0.5), row(0.6, function=1, took=0.02)]
    mine.aggregate(1.0)
    (second,) = mine.finished()
    assert second.watched == {"course.read": Histogram.of([20_000])}


def test_lag_and_drops_of_the_warm_up_are_apart() -> None:
    mine = aggregator()
    mine.starts += [(0.5, 0.9), (1.0, 1.001), (1.5, 1.502)]
    mine.drops += [(-1, 0.5), (0, 0.6), (-1, 1.5), (0, 1.6), (0, 1.7)]
    mine.aggregate(3.0)
    assert mine.sum.lag == Histogram.of([1000, 2000])
    assert (mine.sum.warmed.dropped, mine.sum.unassigned, mine.total.dropped) == (2, 1, 3)
    seconds = mine.finished()
    assert [(second.sent, second.dropped) for second in seconds] == [(1, 2), (2, 3), (0, 0)]


def test_an_arrival_whose_task_sends_nothing_is_no_request() -> None:
    aggregator = Aggregator(["one.find"], warmup=1.0)
    aggregator.starts += [(0.5, 0.5), (1.5, 1.5), (1.6, 1.6)]
    aggregator.rows.append((0, 1.6, 1.6, 1.7, 0, 9))
    aggregator.idle += [0.5, 1.5]
    aggregator.aggregate(2.0)
    assert (aggregator.total.arrivals, aggregator.sum.warmed.arrivals) == (1, 0)
    assert aggregator.idle == []


def test_a_clock_that_is_a_grain_off_makes_no_negative_latency() -> None:
    mine = aggregator()
    mine.rows.append((0, 2.0, 2.0000001, 1.9999999, 0, 0))
    mine.starts.append((2.0, 1.9999999))
    mine.aggregate(3.0)
    assert (mine.total.due.max, mine.sum.lag.max) == (0, 0)


def test_outcomes_may_come_to_be_known_on_the_way() -> None:
    outcomes: list[Known] = [Known()]
    mine = Aggregator(FUNCTIONS, outcomes)
    mine.rows.append(row(0.5))
    mine.aggregate(0.6)
    outcomes.append(Known("garbled", ("HTTP-3",)))
    mine.rows.append(row(0.7, code=1))
    mine.aggregate(1.0)
    assert (mine.total.errors, mine.total.rules) == ({"garbled": 1}, {"HTTP-3": 1})


def test_the_report_has_rates_over_the_measured_time() -> None:
    mine = aggregator()
    mine.rows += [row(number / 100 + 0.5, took=0.25) for number in range(300)]
    mine.aggregate(4.0)
    report = mine.report(constant(100, 3).expected, 3.5)
    total = report["total"]
    # Due from 0.25 on, so that 75 belong to the warm-up; 225 in the 2.5 s after it.
    assert (total["requests"], report["warmed"]["requests"]) == (225, 75)
    assert total["reached"] == pytest.approx(90)
    assert total["asked"] == pytest.approx(80)
    assert report["warmed"]["asked"] == pytest.approx(100)
    assert total["due"]["p50"] == pytest.approx(250, rel=0.001)
    assert Histogram.decode(total["due"]["histogram"]).count == 225
    assert report["functions"]["course.find"]["requests"] == 225
    assert mine.report(None, 3.5)["total"]["asked"] is None
    assert mine.report(None, 0.5)["total"]["reached"] == 0.0


def test_a_second_is_shown_in_milliseconds() -> None:
    mine = aggregator()
    mine.rows += [row(0.5, took=0.1), row(0.6, took=0.2, code=1)]
    mine.starts += [(0.4, 0.4005)]
    mine.aggregate(1.0, users=2, connections=1, cpu=0.5)
    (second,) = mine.finished()
    shown = record_of(second.event(200.0))
    assert {
        name: shown[name] for name in ("at", "asked", "sent", "done", "users", "connections", "cpu", "errors")
    } == {
        "at": 0,
        "asked": 200.0,
        "sent": 1,
        "done": 2,
        "users": 2,
        "connections": 1,
        "cpu": 0.5,
        "errors": {"timeout": 1},
    }
    assert [shown[name] for name in ("p50", "max", "lag")] == pytest.approx([100, 200, 0.5], rel=0.001)


def size_of(resource: object) -> int:
    """Return the bytes that an object and all it refers to hold, as far as they grow."""
    seen: set[int] = set()
    size = 0
    todo = [resource]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type) or callable(each):
            continue
        seen.add(id(each))
        size += each.nbytes if isinstance(each, np.ndarray) else each.__sizeof__()
        todo += gc.get_referents(each)
        if isinstance(each, Histogram):
            todo += [each._counts]
    return size


@pytest.mark.thorough
def test_ten_hours_take_no_more_memory_than_ten_minutes() -> None:
    """36,000 simulated seconds of a worker and its master; after the first minutes, nothing that is retained grows."""
    dice = np.random.default_rng(7)
    worker, master = aggregator("worker", watch=["course.find"]), Aggregator()
    handed = 0
    sizes: list[int] = []
    took = np.exp(dice.normal(-6, 1.2, 4096)).tolist()
    for begin in range(0, 36_000, 20):
        for second in range(begin, begin + 20):
            at, pick = second + 0.5, took[second % 4096]
            worker.rows.append((second % 3, at - pick, at - pick, at, second % 50 == 0, 300))
            worker.starts.append((at - pick, at - pick))
        master.merge(worker.aggregate(begin + 20.0, users=2))
        handed += sum(each.done for each in master.finished())
        worker.finished()
        if begin in (1200, 35_980):
            sizes.append(size_of([master, worker]))
    assert master.total.requests + master.sum.warmed.requests == handed == 36_000
    early, late = sizes
    assert late < early * 1.25
    assert late < 2_000_000
    assert not any(one.sum.seconds or one.rows or one.starts for one in (master, worker))
