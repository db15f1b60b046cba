"""SLOs of parts of a run: windows, steps, recovery, and what cannot be met any more."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from conformance.errors import UsageError
from load.metrics import slo
from load.metrics.counts import Counts, Second
from load.metrics.histogram import Histogram
from load.metrics.slo import Doubt, Result
from load.metrics.windows import TimedSlos, steps_of
from load.schedule import parsing


def second(
    at: int, latency: float = 5.0, *, done: int = 100, failed: int = 0, timeouts: int = 0, starved: int = 0
) -> Second:
    """Return a second in which so many requests came to their end; what was served took so many milliseconds."""
    served = done - failed - timeouts
    made = Second(at, done=done, failed=failed + timeouts, refused=failed, starved=starved)
    made.due.record(round(latency * 1000), served)
    made.due.record(10_000_000, timeouts + starved)
    made.errors["timeout"] = timeouts
    made.functions["a.b"] = (done, failed + timeouts, 0)
    made.watched["a.b"] = made.due.copy()
    return made


def judged(
    text: str,
    seconds: Sequence[Second],
    *,
    start: float = 0.0,
    rate: str = "100/s for 60s",
    doubt: Doubt | None = None,
) -> Result:
    one = slo.parse(text)
    timed = TimedSlos([one], start, parsing.parse(rate))
    for each in seconds:
        timed.see(each)
    return timed.result(one, doubt)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("p95 < 300ms in every 10s", (10.0, None, None)),
        ("errors < 1%  in every 1m", (60.0, None, None)),
        ("a.b p99 < 1s from 30s", (None, 30.0, None)),
        ("p99 < 80ms at 100/s", (None, None, 100.0)),
        ("errors < 1% in every 10s from 30s", (10.0, 30.0, None)),
        ("rate > 90/s at 100/s", (None, None, 100.0)),
    ],
)
def test_an_objective_may_say_when_it_is(text: str, parts: tuple[float | None, ...]) -> None:
    read = slo.parse(text)
    assert (read.every, read.since, read.at_rate) == parts
    assert read.timed
    assert read.text == " ".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        "p95 < 300ms in every 0s",
        "p95 < 300ms in every 10s in every 5s",
        "p95 < 300ms every 10s",
        "p95 < 300ms at 0/s",
        "recovery < 10s in every 5s",
        "a.b recovery < 10s",
        "recovery > 10s",
        "recovery < 10",
    ],
)
def test_what_is_said_wrongly_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        slo.parse(text)


@pytest.mark.parametrize("text", ["errors > 1% in every 10s", "recovery < 10s over 5s"])
def test_a_condition_to_stop_looks_back_by_itself(text: str) -> None:
    with pytest.raises(UsageError):
        slo.parse_abort(text)


@pytest.mark.parametrize(
    ("text", "rate", "why"),
    [
        ("p95 < 1s at 70/s", "steps 50/s for 30s, 100/s for 30s", "no step"),
        ("p95 < 1s at 100/s", "100/s for 30s", "no step"),
        ("p95 < 1s from 30s", "100/s for 30s", "the load ends"),
        ("p95 < 1s in every 40s", "100/s for 30s", "longer than the load"),
        ("recovery < 5s", "steps 50/s for 30s, 100/s for 30s", "after a spike"),
    ],
)
def test_what_a_load_does_not_have_is_said_before_it(text: str, rate: str, why: str) -> None:
    schedule = parsing.parse(rate)
    assert why in (TimedSlos.wrong(slo.parse(text), schedule, schedule.duration) or "")
    good = text.replace("70/s", "50/s").replace("from 30s", "from 20s").replace("40s", "10s")
    if good != text:
        assert TimedSlos.wrong(slo.parse(good), schedule, schedule.duration) is None


# --- windows ----------------------------------------------------------------------------------------------------


def outage(at: int) -> Second:
    return second(at, failed=100) if 10 <= at < 12 else second(at)


def test_an_outage_is_missed_by_its_window_and_named_with_its_seconds() -> None:
    """Two seconds of sixty are 3.3 % over all, and 20 % of their ten seconds."""
    seconds = [outage(at) for at in range(60)]
    result = judged("errors < 4% in every 10s", seconds)
    assert (result.verdict, result.value, result.needed) == ("fail", 20.0, 75)
    assert result.reason == "missed in 1 of 6 windows: 10 to 20 s (20%, by what came from 10 to 12 s)"
    assert result.to_json()["windows"] == {
        "seconds": 10.0,
        "judged": 6,
        "joined": 0,
        "missed": [{"from": 10, "to": 20, "value": 20.0, "samples": 1000, "bad": [10, 12]}],
    }
    (whole,) = slo.judge([slo.parse("errors < 4%")], Counts(requests=6000, failed=200), {}, 60)
    assert whole.verdict == "pass"


def test_windows_begin_after_the_warm_up_and_the_moment_given() -> None:
    seconds = [outage(at) for at in range(60)]
    assert judged("errors < 4% in every 10s", seconds, start=12.0).verdict == "pass"
    assert judged("errors < 4% in every 10s from 15s", seconds).verdict == "pass"
    assert judged("errors < 4% from 12s", seconds).verdict == "pass"
    assert judged("errors < 4% from 11s", seconds, start=2.5).value == pytest.approx(100 / 49)


def test_windows_of_few_samples_are_joined_and_said_to_be() -> None:
    seconds = [second(at, done=10) for at in range(60)]
    result = judged("errors < 2% in every 10s", seconds)  # each needs 150 of the 100 that it has
    assert (result.verdict, result.windows) == (
        "pass",
        {"seconds": 10.0, "judged": 3, "joined": 3, "missed": []},
    )
    assert result.reason is not None
    assert "3 of too few samples joined with the next" in result.reason


def test_what_is_left_at_the_end_is_judged_with_the_window_before() -> None:
    seconds = [second(at, done=20, failed=20 if at > 55 else 0) for at in range(57)]
    result = judged("errors < 2% in every 10s", seconds)
    assert result.verdict == "fail"
    assert result.windows is not None
    assert [(each["from"], each["to"]) for each in result.windows["missed"]] == [(50, 57)]
    assert judged("p95 < 1s in every 10s", [second(at, done=1) for at in range(20)]).verdict == "not judged"


def test_latencies_of_a_window_are_of_what_was_served() -> None:
    slow = [second(at, 400.0 if 20 <= at < 30 else 5.0, failed=50) for at in range(60)]
    result = judged("a.b p95 < 300ms in every 10s", slow)
    assert (result.verdict, result.windows and result.windows["missed"][0]["from"]) == ("fail", 20)
    gone = [second(at, failed=100 if 20 <= at < 30 else 0) for at in range(60)]
    result = judged("p95 < 300ms in every 10s", gone)
    assert result.verdict == "fail"
    assert "20 to 30 s (nothing served)" in (result.reason or "")


def test_an_unfit_generator_passes_no_window_and_excuses_no_refusal() -> None:
    doubt = Doubt(Histogram.of([500] * 1000), "short of processor time")
    seconds = [outage(at) for at in range(60)]
    assert judged("errors < 4% in every 10s", seconds, doubt=doubt).verdict == "fail"
    assert judged("errors < 30% in every 10s", seconds, doubt=doubt).verdict == "not judged"
    late = [second(at, timeouts=50 if at == 15 else 0) for at in range(60)]
    assert judged("errors < 4% in every 10s", late).verdict == "fail"
    assert judged("errors < 4% in every 10s", late, doubt=doubt).verdict == "not judged"


# --- steps ------------------------------------------------------------------------------------------------------


def test_steps_have_figures_and_objectives_of_their_own() -> None:
    rate = "steps 50/s for 10s, 100/s for 10s, 200/s for 10s"
    seconds = [second(at, 5.0 if at < 20 else 100.0, done=50 * 2 ** (at // 10)) for at in range(30)]
    assert judged("p95 < 80ms at 100/s", seconds, rate=rate).verdict == "pass"
    assert judged("p95 < 80ms at 200/s", seconds, rate=rate).verdict == "fail"
    assert judged("rate >= 200/s at 200/s", seconds, rate=rate).verdict == "pass"
    timed = TimedSlos([], 2.0, parsing.parse(rate))
    for each in seconds:
        timed.see(each)
    shown = [step.to_json() for step in timed.steps]
    assert [(each["from"], each["to"], each["asked"], each["seconds"]) for each in shown] == [
        (0, 10, 50, 8),
        (10, 20, 100, 10),
        (20, 30, 200, 10),
    ]
    assert [each["rate"] for each in shown] == [50, 100, 200]
    assert [(each["low"], each["high"]) for each in shown] == [(50, 50), (100, 100), (200, 200)]
    assert shown[2]["p95"] == pytest.approx(100, rel=0.001)


def test_a_ramp_is_ten_parts_and_a_constant_rate_none() -> None:
    parts = steps_of(parsing.parse("ramp 0/s to 100/s for 50s"))
    assert [(part.begin, part.end, part.rate) for part in parts[:2]] == [(0, 5, 5), (5, 10, 15)]
    assert len(parts) == 10
    assert [part.has(42) for part in parts].index(True) == 4
    assert steps_of(parsing.parse("100/s for 50s")) == []
    assert [
        step.rate for step in steps_of(parsing.parse("spike 10/s to 90/s at 20s for 5s, 60s in all"))
    ] == [
        10,
        90,
        10,
    ]


# --- recovery ---------------------------------------------------------------------------------------------------

SPIKE = "spike 100/s to 900/s at 20s for 5s, 60s in all"


def spiked(until: int, **more: int) -> list[Second]:
    bad = {"latency": 500.0} if not more else {}
    return [
        second(at, **(more | bad)) if 20 <= at < until else second(at)  # type: ignore[arg-type]
        for at in range(60)
    ]


@pytest.mark.parametrize(
    ("until", "text", "verdict", "value"),
    [
        (25, "recovery < 10s", "pass", 0.0),
        (32, "recovery < 10s", "pass", 7000.0),
        (32, "recovery < 5s", "fail", 7000.0),
        (60, "recovery < 10s", "fail", 35_000.0),
        (60, "recovery < 50s", "not judged", 35_000.0),
    ],
)
def test_a_recovery_is_judged_by_the_seconds_before_the_spike(
    until: int, text: str, verdict: str, value: float
) -> None:
    result = judged(text, spiked(until), rate=SPIKE)
    assert (result.verdict, result.value) == (verdict, value)
    errors = judged(text, spiked(until, failed=3), rate=SPIKE)
    assert (errors.verdict, errors.value) == (verdict, value)


def test_a_recovery_needs_seconds_before_the_spike() -> None:
    assert judged("recovery < 10s", spiked(32), start=17.0, rate=SPIKE).verdict == "not judged"


# --- what cannot be met any more ----------------------------------------------------------------------------------


def counts(served: int, failed: int = 0, latency: float = 5.0) -> Counts:
    due = Histogram()
    due.record(round(latency * 1000), served)
    return Counts(requests=served + failed, failed=failed, due=due)


@pytest.mark.parametrize(
    ("text", "of", "hopeless"),
    [
        ("errors < 1%", counts(1000, 61), True),
        ("errors < 1%", counts(1000, 40), False),  # the other 4,960 may be good
        ("errors < 5", counts(1000, 5), True),
        ("errors <= 5", counts(1000, 5), False),
        ("errors = 0", counts(1000, 1), True),
        ("max < 1s", counts(1, latency=2000.0), True),
        ("p95 < 300ms", counts(400, latency=400.0), True),
        ("p95 < 300ms", counts(200, latency=400.0), False),
        ("mean < 300ms", counts(400, latency=400.0), False),
        ("rate > 99/s", counts(3000, 100), True),
        ("rate > 99/s", counts(3000, 10), False),
    ],
)
def test_what_cannot_be_met_any_more_is_known_before_the_end(text: str, of: Counts, hopeless: bool) -> None:
    assert slo.hopeless(slo.parse(text), of, 6000.0, 60.0) is hopeless


def test_without_a_known_number_of_requests_only_numbers_are_hopeless() -> None:
    assert not slo.hopeless(slo.parse("errors < 1%"), counts(0, 1000), None, 60.0)
    assert slo.hopeless(slo.parse("errors < 5"), counts(0, 1000), None, 60.0)


# --- what cannot be met any more --------------------------------------------------------------------------------


def hopeless_at(text: str, seconds: list[Second], *, rate: str | None = "100/s for 60s") -> int | None:
    """Return after how many seconds an SLO cannot be met any more; without a rate, nothing is known of arrivals."""
    schedule = None if rate is None else parsing.parse(rate)
    timed = TimedSlos([slo.parse(text)], 0.0, schedule)
    arrivals = None if schedule is None else schedule.expected
    for number, each in enumerate(seconds, 1):
        timed.see(each)
        if list(timed.hopeless(arrivals, 60.0)):
            return number
        # To look at the result in the middle of a run changes nothing.
        timed.result(slo.parse(text), None)
    return None


def test_a_window_is_lost_as_soon_as_it_cannot_be_met() -> None:
    """Of the 1,000 arrivals of a window 200 fail: the fortieth of them is one too many."""
    seconds = [outage(at) for at in range(60)]
    assert hopeless_at("errors < 4% in every 10s", seconds) == 11
    assert hopeless_at("errors < 15% in every 10s", seconds) == 12
    assert hopeless_at("errors < 15% in every 10s", seconds, rate=None) == 20
    assert hopeless_at("errors < 25% in every 10s", seconds) is None
    assert hopeless_at("errors < 1% from 5s", seconds) == 11  # 100 of 5,500
    assert hopeless_at("errors < 3% from 5s", seconds) == 12
    assert hopeless_at("errors < 4% from 5s", seconds) is None


def test_what_waits_at_the_begin_of_a_window_may_end_well_in_it() -> None:
    """1,000 arrivals come due in a window, and 400 from before it may end in it as well: 48 of them may fail."""
    seconds = [second(at, done=60) for at in range(10)]
    seconds += [second(at, done=200, failed=45 if at == 10 else 0) for at in range(10, 20)]
    assert hopeless_at("errors < 4% in every 10s", seconds) is None
    seconds[10] = second(10, done=200, failed=57)
    assert hopeless_at("errors < 4% in every 10s", seconds) == 11


def test_slow_seconds_lose_a_window_and_a_step() -> None:
    seconds = [second(at, 500.0 if 10 <= at < 12 else 5.0) for at in range(60)]
    assert hopeless_at("p95 < 80ms in every 10s", seconds) == 12
    assert hopeless_at("p80 < 80ms in every 10s", seconds) is None
    steps = "steps 50/s for 10s, 100/s for 10s, 150/s for 10s"
    assert hopeless_at("p95 < 80ms at 100/s", seconds, rate=steps) is not None
    assert hopeless_at("p95 < 80ms at 150/s", seconds, rate=steps) is None


def test_a_recovery_that_lasts_too_long_is_lost() -> None:
    rate = "spike 100/s to 900/s at 20s for 5s, 60s in all"
    slow = [second(at, 900.0 if at >= 20 else 5.0) for at in range(60)]
    assert hopeless_at("recovery < 10s", slow, rate=rate) == 35
    quick = [second(at, 900.0 if 20 <= at < 28 else 5.0) for at in range(60)]
    assert hopeless_at("recovery < 10s", quick, rate=rate) is None
