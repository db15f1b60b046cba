"""The generator's health: measured, and judged by a pure function in one clear line each."""

from __future__ import annotations

import gc
import json

import pytest

from load.metrics.health import (
    LIMITS,
    Calibration,
    Facts,
    Fitness,
    GcWatch,
    Limits,
    Meter,
    Vitals,
    cores,
    fitness,
)
from load.metrics.histogram import Histogram


class Clock:
    """Moments and processor seconds that a test sets."""

    def __init__(self) -> None:
        self.moment = 100.0
        self.used = 3.0

    def __call__(self) -> float:
        return self.moment

    def cpu(self) -> float:
        return self.used

    def work(self, seconds: float, share: float) -> None:
        self.moment += seconds
        self.used += seconds * share


def well(**change: object) -> Facts:
    """Return the facts of a run that nothing is wrong with, but for what is changed."""
    facts = {
        "workers": [Vitals("local", seconds=60, cpu_seconds=20, cpu_most=0.5, gc_count=3, gc_longest=0.002)],
        "lag": Histogram.of([500] * 990 + [9000] * 10),
        "asked": 12_000.0,
        "sent": 12_000,
        "rate": 200.0,
        "calibration": Calibration(8000.0, 12.0),
        "cores": 2,
    }
    return Facts(**{**facts, **change})  # type: ignore[arg-type]


def why(facts: Facts, limits: Limits = LIMITS) -> str:
    """Return the one line that says why a run is not valid."""
    found = fitness(facts, limits)
    assert not found.valid
    (line,) = found.why
    assert "\n" not in line
    return line


def test_a_generator_that_is_fit() -> None:
    found = fitness(well())
    assert found == Fitness(True, (), (), found.facts)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"workers": [Vitals("local", seconds=60, cpu_seconds=54)]},
            "the generator took 90% of a core, more than 85%: it was short of processor time",
        ),
        (
            {"workers": [Vitals("a", seconds=60, cpu_seconds=6), Vitals("b", seconds=60, cpu_seconds=60)]},
            "worker b took 100% of a core, more than 85%: it was short of processor time",
        ),
        (
            {"lag": Histogram.of([500] * 980 + [120_000] * 20)},
            "arrivals were taken up 120 ms late at p99, more than 100 ms: the generator lagged behind its schedule, "
            "and the load was not the one that was asked for",
        ),
        (
            {"lag": Histogram.of([500] * 980 + [20_000] * 20), "limit": 0.025},
            "arrivals were taken up 20 ms late at p99, 80% of the tightest limit of a latency (25 ms)",
        ),
        (
            {"sent": 11_980, "dropped": 20},
            "20 arrivals were dropped, 0.17% of those due, more than 0.10%: nothing took them up",
        ),
        (
            {"sent": 11_000},
            "11,000 of 12,000 arrivals were sent: the generator did not keep up, or a part of it was lost",
        ),
        (
            {"workers": [Vitals("local", seconds=60, cpu_seconds=20, gc_total=6)]},
            "the generator collected garbage for 10% of the time, more than 5%",
        ),
        (
            {"rate": 7000.0},
            "7000/s is more than 80% of the 8000/s that this generator reaches against a server that answers at once: "
            "ask for less, or add workers",
        ),
        ({"sent": 0, "lag": Histogram(), "dropped": 5}, "nothing was sent in the measured time"),
    ],
)
def test_what_makes_a_run_invalid_is_said_in_one_line(change: dict[str, object], line: str) -> None:
    assert why(well(**change)) == line


@pytest.mark.parametrize(
    "change",
    [
        {"workers": [Vitals("local", seconds=60, cpu_seconds=50)]},
        {"lag": Histogram.of([500] * 991 + [50_000] * 9)},
        # On a busy machine, beside limits that it cannot change.
        {"lag": Histogram.of([500] * 980 + [20_000] * 20)},
        {"lag": Histogram.of([500] * 980 + [20_000] * 20), "limit": 0.3},
        {"lag": Histogram.of([500] * 980 + [9_000] * 20), "limit": 0.005},
        {"sent": 11_988, "dropped": 12},
        # The target's doing: there was no connection for them, and the generator was on time.
        {"sent": 6_000, "dropped": 6_000, "starved": 6_000},
        {"sent": 11_900},
        {"rate": 6400.0},
        {"asked": None, "sent": 17},
        {"lag": Histogram()},
        # What is so much below its mean may come by chance when there is little of it.
        {"asked": 100.0, "sent": 65},
    ],
)
def test_what_stays_within_the_limits_is_valid(change: dict[str, object]) -> None:
    assert fitness(well(**change)).valid


def test_limits_are_the_callers() -> None:
    assert "more than 0.4 ms" in why(well(), Limits(lag=0.0004, lag_noted=0.0))
    assert fitness(well(rate=7900.0), Limits(rate_limit=1.0)).valid


def test_no_connection_is_the_generators_doing_where_it_was_late() -> None:
    change: dict[str, object] = {"sent": 6_000, "dropped": 6_000, "starved": 6_000}
    found = fitness(well(**{**change, "workers": [Vitals("local", seconds=60, cpu_seconds=60)]}))
    assert found.why[0].startswith("the generator took 100% of a core")
    assert found.why[1].startswith("6,000 arrivals were dropped")
    assert found.why[1].endswith("no connection came free for them")


def test_a_lag_that_changes_nothing_is_said_beside_what_it_could_change() -> None:
    lag = Histogram.of([500] * 980 + [20_000] * 20)
    (remark,) = fitness(well(lag=lag, limit=0.3, p99=0.12)).remarks
    assert remark == (
        "arrivals were taken up 20 ms late at p99, which is in their latencies "
        "(beside a p99 of 120 ms and a limit of 300 ms)"
    )


def test_what_happened_to_connections_is_reported_and_forbids_nothing() -> None:
    found = fitness(well(reopened=1200, strays=3))
    assert found.valid
    assert [text.split(":")[0] for text in found.remarks[:2]] == [
        "1,200 kept connections had been closed by the target when a request was to go over them",
        "on 3 connections more came than was asked for",
    ]
    assert not [text for text in fitness(well()).remarks if "connections" in text]


def test_every_reason_is_given() -> None:
    facts = well(
        workers=[Vitals("local", seconds=60, cpu_seconds=60, gc_total=30)],
        lag=Histogram.of([10**6]),
        sent=100,
        dropped=100,
        rate=9000.0,
    )
    assert len(fitness(facts).why) == 6


def test_what_is_worth_knowing_forbids_nothing() -> None:
    facts = well(
        workers=[Vitals("w1", seconds=60, cpu_seconds=1, gc_longest=0.08), Vitals("w2").gone()],
        calibration=None,
    )
    found = fitness(facts)
    assert found.valid
    assert found.remarks == (
        "a garbage collection took 80 ms (w1)",
        "worker w2 was lost: what it had measured and not yet reported is missing",
        "not calibrated: what this generator could send at most is not known",
    )


def test_it_is_written_as_the_report_has_it() -> None:
    workers = [
        Vitals("a", 60, 12, 0.5, gc_count=2, gc_longest=0.25, gc_total=0.5),
        Vitals("b", 60, 30, 0.9, gc_count=1, gc_longest=0.125, gc_total=0.125),
    ]
    found = fitness(well(workers=workers, sent=11_994, dropped=6)).to_json()
    assert json.loads(json.dumps(found)) == found
    assert (found["valid"], found["why"]) == (True, [])
    assert found["cpu"] == {"mean": 0.5, "most": 0.9, "cores": 2}
    assert found["gc"] == {"count": 3, "longest": 250.0, "total": 625.0}
    assert found["lag"] == {"p50": 0.5, "p99": 0.5, "max": pytest.approx(9, rel=0.001)}
    assert (found["dropped"], found["dropped_share"]) == (6, 0.0005)
    assert found["calibration"] == {"rate": 8000.0, "cpu_us": 12.0}
    assert [Vitals.from_json(each) for each in found["workers"]] == workers


def test_a_calibration_says_what_is_too_much_before_the_run() -> None:
    calibration = Calibration(1000, 20)
    assert calibration.refuses(800) is None
    assert calibration.refuses(801) == (
        "801/s is more than 80% of the 1000/s that this generator reaches against a server that answers at once: "
        "ask for less, or add workers"
    )


def test_processor_time_is_measured_as_a_share_of_a_core() -> None:
    clock = Clock()
    meter = Meter("w1", clock=clock, cpu_time=clock.cpu)
    clock.work(1.0, 0.5)
    assert meter.sample() == pytest.approx(0.5)
    clock.work(0.5, 0.9)
    assert meter.sample() == pytest.approx(0.9)
    # Too short to say anything: neither a new share nor a new most, and nothing is lost of it.
    clock.work(0.01, 5.0)
    assert meter.sample() == pytest.approx(0.9)
    clock.work(0.99, 0.0)
    assert meter.sample() == pytest.approx(0.05)
    vitals = meter.vitals()
    assert vitals.name == "w1"
    assert [vitals.seconds, vitals.cpu_most] == pytest.approx([2.5, 0.9])
    assert vitals.cpu == pytest.approx((0.5 + 0.45 + 0.05) / 2.5)
    meter.begin()
    clock.work(1.0, 0.25)
    assert meter.vitals().cpu == pytest.approx(0.25)


def test_this_process_is_measured() -> None:
    meter = Meter()
    total = sum(number * number for number in range(300_000))
    assert total
    vitals = meter.vitals()
    assert vitals.cpu_seconds > 0
    assert vitals.seconds > 0
    assert cores() >= 1


def test_garbage_collections_are_timed() -> None:
    clock = Clock()
    watch = GcWatch(clock)
    before = list(gc.callbacks)
    with watch:
        watch.start()  # a second time changes nothing
        assert len(gc.callbacks) == len(before) + 1

        def slow(phase: str, info: dict[str, int]) -> None:
            if phase == "start":
                clock.moment += 0.125

        was = gc.isenabled()
        gc.disable()  # so that no collection comes in between
        gc.callbacks.append(slow)
        try:
            gc.collect()
            gc.collect()
        finally:
            gc.callbacks.remove(slow)
            if was:
                gc.enable()
    assert gc.callbacks == before
    assert watch.count == 2
    assert [watch.longest, watch.total] == pytest.approx([0.125, 0.25])
    gc.collect()
    assert watch.count == 2


def test_a_collection_that_had_begun_before_is_not_timed() -> None:
    clock = Clock()
    watch = GcWatch(clock)
    watch._seen("stop", {})
    assert watch.count == 0
