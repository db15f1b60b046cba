"""SLOs: read or refused in one line; judged on enough samples only; conditions that stop a run early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.errors import UsageError
from load.metrics import slo
from load.metrics.counts import Counts, Second
from load.metrics.histogram import Histogram
from load.metrics.slo import Result, Slo, Watch

few = settings(max_examples=80, deadline=None)


def counted(latencies: Sequence[float] = (), *, failed: int = 0, nonconformant: int = 0) -> Counts:
    """Return counts of requests that took so many milliseconds."""
    due = Histogram.of([round(each * 1000) for each in latencies])
    return Counts(
        requests=len(latencies), failed=failed, nonconformant=nonconformant, due=due, sent=due.copy()
    )


def judged(text: str, counts: Counts, seconds: float = 60.0) -> Result:
    (result,) = slo.judge([slo.parse(text)], counts, {}, seconds)
    return result


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("p95 < 300ms", Slo("p95 < 300ms", "p95", "<", 300, "ms")),
        (" p95<0.3 s ", Slo("p95<0.3 s", "p95", "<", 300, "ms")),
        ("P99.9 <= 1500us", Slo("P99.9 <= 1500us", "p99.9", "<=", 1.5, "ms")),
        ("mean < 20 µs", Slo("mean < 20 µs", "mean", "<", 0.02, "ms")),
        ("max <= 2s", Slo("max <= 2s", "max", "<=", 2000, "ms")),
        ("errors < 0.1%", Slo("errors < 0.1%", "errors", "<", 0.1, "%")),
        ("errors <= 5", Slo("errors <= 5", "errors", "<=", 5, "")),
        ("nonconformant == 0", Slo("nonconformant == 0", "nonconformant", "=", 0, "")),
        ("rate > 190/s", Slo("rate > 190/s", "rate", ">", 190, "/s")),
        ("course.find p95 < 200ms", Slo("course.find p95 < 200ms", "p95", "<", 200, "ms", "course.find")),
        ("course.find  errors = 0", Slo("course.find errors = 0", "errors", "=", 0, "", "course.find")),
    ],
)
def test_texts_are_read(text: str, read: Slo) -> None:
    assert slo.parse(text, ["course.find"]) == read


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no SLO: write it as"),
        ("fast please", "is no SLO: write it as"),
        ("p95 300ms", "is no SLO: write it as"),
        ("p95 < ", "is no SLO: write it as"),
        ("p95 < -3ms", "is no SLO: write it as"),
        ("p95 < 300", "p95 is a time"),
        ("p95 < 3%", "p95 is a time"),
        ("p100 < 3ms", "'p100' is no metric"),
        ("p0 < 3ms", "between 0 and 100"),
        ("eror < 3%", 'did you mean "errors"'),
        ("throughput > 3/s", "known: p50"),
        ("errors < 3ms", "errors are a share"),
        ("errors < 0.5", "is whole"),
        ("errors < 101%", "100% at most"),
        ("rate > 100", "a rate is per second"),
        ("rate = 100/s", "measured, not counted"),
        ("p95 = 100ms", "measured, not counted"),
        ("nonconformant < 0", "use = 0"),
        ("course.fnd p95 < 3ms", 'does not call course.fnd; did you mean "course.find"'),
        ("p95 < 3ms\nerrors = 0", "is no SLO"),
    ],
)
def test_nonsense_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        slo.parse(text, ["course.find"])
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("p50 < 1s", 20),
        ("p90 < 1s", 100),
        ("p95 < 1s", 200),
        ("p99 < 1s", 1000),
        ("p99.9 < 1s", 10_000),
        ("p99.99 < 1s", 100_000),
        ("mean < 1s", 30),
        ("max < 1s", 100),
        ("errors < 0.1%", 3000),
        ("errors < 5%", 60),
        ("errors = 0", 100),
        ("errors = 0%", 100),
        ("nonconformant < 3%", 100),
        ("rate > 10/s", 5),
    ],
)
def test_how_many_samples_each_needs(text: str, needed: int) -> None:
    assert slo.parse(text).needed == needed


@pytest.mark.parametrize(
    ("text", "verdict", "value", "margin"),
    [
        ("p95 < 1s", "pass", 950, 0.05),
        ("p95 < 950ms", "fail", 950, 0),
        ("p95 <= 950.5ms", "pass", 950, 0.0005),
        ("p50 < 400ms", "fail", 500, -0.25),
        ("mean < 501ms", "pass", 500.5, 0.001),
        ("max < 900ms", "fail", 1000, -1 / 9),
        # What failed was not served.
        ("rate > 10/s", "pass", 990 / 60, 0.65),
        ("rate >= 20/s", "fail", 990 / 60, -0.175),
        ("errors < 2%", "pass", 1.0, 0.5),
        ("errors < 1%", "fail", 1.0, 0.0),
        ("errors <= 1%", "pass", 1.0, 0.0),
        ("errors <= 9", "fail", 10, -1 / 9),
        ("nonconformant = 0", "fail", 3, None),
        ("nonconformant = 3", "pass", 3, None),
        ("nonconformant > 0", "pass", 3, None),
    ],
)
def test_what_was_measured_is_judged_with_its_margin(
    text: str, verdict: str, value: float, margin: float | None
) -> None:
    counts = counted(range(1, 1001), failed=10, nonconformant=3)
    result = judged(text, counts)
    assert result.verdict == verdict
    assert result.reason is None
    assert result.value == pytest.approx(value, rel=0.001)
    assert result.margin == (None if margin is None else pytest.approx(margin, abs=0.002))


@pytest.mark.parametrize(
    ("text", "samples", "reason"),
    [
        ("p95 < 1s", 199, "199 samples; p95 needs 200"),
        ("p99 < 1s", 999, "999 samples; p99 needs 1,000"),
        ("errors < 0.1%", 2999, "2,999 samples; errors needs 3,000"),
        ("nonconformant = 0", 99, "99 samples; nonconformant needs 100"),
        ("max < 1s", 1, "1 samples; max needs 100"),
        ("p50 > 1ms", 19, "19 samples; p50 needs 20"),
        ("p95 < 1s", 0, "nothing was measured"),
    ],
)
def test_too_few_samples_are_no_pass(text: str, samples: int, reason: str) -> None:
    result = judged(text, counted([10.0] * samples))
    assert (result.verdict, result.reason, result.samples) == ("not judged", reason, samples)
    assert judged(text, counted([10.0] * max(result.needed, samples + 1))).verdict == "pass"


def test_a_rate_needs_time() -> None:
    short = judged("rate > 100/s", counted([1.0] * 4000), 4.9)
    assert (short.verdict, short.reason) == ("not judged", "measured for 4.9 s; a rate needs 5 s")
    assert judged("rate > 100/s", counted([1.0] * 4000), 5.0).verdict == "pass"
    # A target that answers hardly anything is judged by its rate all the same.
    assert judged("rate > 100/s", counted([1.0] * 2), 60.0).verdict == "fail"
    assert judged("rate > 100/s", counted(), 60.0).verdict == "fail"
    assert judged("rate > 100/s", counted(), 0.0).verdict == "not judged"


def test_what_is_missed_whatever_may_come_is_missed_with_few_samples_too() -> None:
    # Of the 200 samples that p95 needs, ten may be slow.
    slow = [500.0] * 10
    assert judged("p95 < 300ms", counted([*slow, 1.0])).verdict == "not judged"
    assert judged("p95 < 300ms", counted([*slow, 500.0])).verdict == "fail"
    assert judged("errors < 0.1%", counted([1.0] * 50, failed=3)).verdict == "not judged"
    assert judged("errors < 0.1%", counted([1.0] * 50, failed=4)).verdict == "fail"
    assert judged("nonconformant = 0", counted([1.0], nonconformant=1)).verdict == "fail"
    assert judged("max < 100ms", counted([500.0])).verdict == "fail"
    assert judged("mean < 100ms", counted([500.0])).verdict == "not judged"


LATENCIES = st.lists(st.integers(1, 2000).map(float), min_size=1, max_size=40)


@few
@given(LATENCIES, st.sampled_from(["p50", "p75", "p80", "p90"]), st.integers(1, 2000))
def test_a_verdict_on_few_samples_is_never_overturned_by_good_ones(
    few_of_them: list[float], metric: str, limit: int
) -> None:
    text = f"{metric} <= {limit}ms"
    early = judged(text, counted(few_of_them))
    if early.verdict == "fail" and early.samples < early.needed:
        good = [0.5] * (early.needed - early.samples)
        assert judged(text, counted([*few_of_them, *good])).verdict == "fail"


def test_functions_are_judged_apart() -> None:
    functions = {"course.find": counted([100.0] * 300), "course.read": counted([10.0] * 30)}
    total = counted([100.0] * 300 + [10.0] * 30)
    slos = [
        slo.parse(text)
        for text in ("course.find p95 < 50ms", "course.read p95 < 50ms", "auth.login max < 1s", "p50 < 200ms")
    ]
    results = slo.judge(slos, total, functions, 10)
    assert [result.verdict for result in results] == ["fail", "not judged", "not judged", "pass"]
    assert results[2].reason == "auth.login was not called"


def test_results_are_written_as_the_report_has_them() -> None:
    (result,) = slo.judge([slo.parse("a.b p95 < 0.2s")], Counts(), {"a.b": counted([100.0] * 200)}, 10)
    assert result.to_json() == {
        "text": "a.b p95 < 0.2s",
        "function": "a.b",
        "metric": "p95",
        "op": "<",
        "limit": 200.0,
        "unit": "ms",
        "value": pytest.approx(100, rel=0.001),
        "margin": pytest.approx(0.5, abs=0.001),
        "samples": 200,
        "needed": 200,
        "verdict": "pass",
        "reason": None,
        "default": False,
    }


# --- what failed is not fast ----------------------------------------------------------------------------------


def refused(served: Sequence[float], number: int) -> Counts:
    """Return counts of requests that were served, and of so many that were refused within a millisecond."""
    counts = counted(served)
    counts.requests += number
    counts.failed += number
    counts.errors["status 503"] += number
    counts.refused.record(1000, number)
    return counts


@pytest.mark.parametrize(
    ("text", "verdict", "value"),
    [
        ("p95 < 300ms", "fail", 2000),
        ("mean < 300ms", "not judged", 2000),
        ("p50 < 3s", "pass", 2000),
        ("rate > 190/s", "fail", 8),
        ("errors < 1%", "fail", 96),
    ],
)
def test_refusals_make_no_latency_better(text: str, verdict: str, value: float) -> None:
    """One call in 25 is served, in 2 s; the percentiles are of those 24, which are few for a mean."""
    result = judged(text, refused([2000.0] * 24, 24 * 24), 3.0 if "rate" not in text else 5.0)
    if "rate" in text:
        value = 24 / 5
    assert result.verdict == verdict
    assert result.value == pytest.approx(value, rel=0.001)


def test_a_latency_of_nothing_served_is_missed() -> None:
    result = judged("p95 < 300ms", refused([], 1600))
    assert (result.verdict, result.value, result.reason) == ("fail", None, "nothing was served")
    assert result.to_json()["margin"] is None


def default(counts: Counts, functions: Mapping[str, Counts] | None = None, *texts: str) -> list[Result]:
    return slo.judge_default([slo.parse(text) for text in texts], counts, functions or {})


@pytest.mark.parametrize(
    ("served", "failed", "verdict"),
    [
        (40, 0, "pass"),
        (39, 1, "pass"),  # a remark
        (38, 2, "fail"),
        (149, 1, "pass"),
        (98, 2, "fail"),
        (991, 9, "pass"),
        (990, 10, "fail"),
        (0, 1, "fail"),
        (0, 0, "not judged"),
    ],
)
def test_without_an_objective_for_errors_there_is_one(served: int, failed: int, verdict: str) -> None:
    (result,) = default(refused([1.0] * served, failed), {}, "p95 < 1s")
    assert (result.verdict, result.slo.text, result.slo.default) == (verdict, "errors < 1%", True)
    if served or failed:
        assert result.reason is not None
        assert "--slo 'errors <= 100%' lifts it" in result.reason
        assert ("a remark" in result.reason) is ((served, failed) == (39, 1))


def test_the_default_holds_for_each_function_that_has_enough_samples() -> None:
    functions = {
        "a.b": refused([1.0] * 300, 6),
        "c.d": refused([1.0] * 9000, 10),
        "e.f": refused([1.0] * 9, 1),
    }
    total = Counts.sum(functions.values())
    assert [(each.slo.text, each.verdict) for each in default(total, functions)] == [
        ("errors < 1%", "pass"),
        ("a.b errors < 1%", "fail"),
    ]
    assert default(total, functions, "errors <= 100%") == []
    assert [each.slo.text for each in default(total, functions, "c.d errors = 0")] == ["a.b errors < 1%"]
    assert default(total, functions, "a.b errors < 5%") == []


# --- what the generator may have caused itself ------------------------------------------------------------------


def doubted(text: str, counts: Counts, doubt: slo.Doubt, seconds: float = 60.0) -> Result:
    (result,) = slo.judge([slo.parse(text)], counts, {}, seconds, doubt)
    return result


LATE = Histogram.of([1_000] * 900 + [10_500] * 95 + [20_000] * 5)


@pytest.mark.parametrize(
    ("text", "counts", "verdict"),
    [
        # A target that dies in the middle, beside a generator that was 10.5 ms late.
        ("errors < 1%", refused([5.0] * 572, 428), "fail"),
        ("p95 < 300ms", counted([10_500.0] * 1000), "fail"),
        ("p95 < 300ms", counted([5.0] * 1000), "not judged"),  # a pass needs a fit generator
        ("p95 < 15ms", counted([16.0] * 1000), "not judged"),  # 2 ms may be the generator's
        ("p95 < 15ms", counted([18.0] * 1000), "fail"),  # nine in ten were 1 ms late at most
        ("p95 < 15ms", counted([60.0] * 1000), "fail"),
        ("p99 < 15ms", counted([5.0] * 985 + [500.0] * 15), "fail"),
        ("max < 15ms", counted([5.0] * 999 + [30.0]), "not judged"),
        ("max < 15ms", counted([5.0] * 999 + [500.0]), "fail"),
        ("mean < 10ms", counted([11.0] * 1000), "not judged"),
        ("mean < 10ms", counted([100.0] * 1000), "fail"),
        ("nonconformant = 0", counted([5.0] * 1000, nonconformant=1), "fail"),
        ("rate > 50/s", counted([5.0] * 1000), "fail"),
        ("rate > 17/s", counted([5.0] * 1000), "not judged"),  # 100 that were due were not sent
    ],
)
def test_a_miss_is_a_miss_where_the_generator_cannot_have_caused_it(
    text: str, counts: Counts, verdict: str
) -> None:
    result = doubted(text, counts, slo.Doubt(LATE, "it was late", unsent=100.0))
    assert result.verdict == verdict
    if verdict == "not judged":
        assert result.reason is not None
        assert "generator" in result.reason


def test_deadlines_missed_under_an_unfit_generator_may_be_its_own() -> None:
    counts = counted([5.0] * 900 + [10_000.0] * 100, failed=100)
    counts.errors["timeout"] = 100
    assert doubted("errors < 1%", counts, slo.Doubt(LATE, "short of processor time")).verdict == "not judged"
    assert doubted("errors < 1%", counts, slo.Doubt(LATE)).verdict == "fail"


def test_waits_far_beyond_the_generators_lateness_are_the_targets() -> None:
    """A busy machine makes the generator late by some milliseconds; a target that hangs is missed all the same."""
    counts = counted([5.0] * 900 + [10_000.0] * 100, failed=100)
    counts.errors["timeout"] = 100
    late = slo.Doubt(LATE, "it was late", certain_after=0.08, timeout=10.0)
    assert doubted("errors < 1%", counts, late).verdict == "fail"
    assert (
        doubted("errors < 101", counts, late).verdict == "not judged"
    )  # met, and a pass needs a fit generator
    short = slo.Doubt(LATE, "it was late", certain_after=0.08, timeout=0.05)
    assert doubted("errors < 1%", counts, short).verdict == "not judged"
    counts = counted([200.0] * 3200)
    counts.dropped = 16_800
    for histogram in (counts.due, counts.starved):
        histogram.record(10_000_000, 16_800)
    for text in ("errors < 1%", "p95 < 300ms"):
        assert doubted(text, counts, late).verdict == "fail"
    counts.starved = Histogram.of([50_000] * 16_800)
    assert doubted("errors < 1%", counts, late).verdict == "not judged"


def test_a_fit_generator_leaves_a_miss_within_its_lateness_open() -> None:
    counts = counted([16.0] * 1000)
    result = doubted("p95 < 15ms", counts, slo.Doubt(LATE))
    assert (result.verdict, result.slo.text) == ("not judged", "p95 < 15ms")
    assert result.reason == (
        "missed by no more than the generator's own lateness may explain: 10.5 ms at p99, 20 ms at most"
    )
    assert doubted("p95 < 15ms", counts, slo.Doubt(Histogram.of([50] * 1000))).verdict == "fail"


def test_arrivals_without_a_connection_are_errors_and_latencies() -> None:
    """200 ms on 64 connections serve 320/s of the 2,000/s that are asked for."""
    counts = counted([200.0] * 3200)
    counts.dropped = 16_800
    for histogram in (counts.due, counts.starved):
        histogram.record(10_000_000, 16_800)
    assert judged("errors < 1%", counts).value == pytest.approx(84)
    assert judged("p95 < 300ms", counts).verdict == "fail"
    # Where the generator was late, they may be its own doing.
    assert doubted("errors < 1%", counts, slo.Doubt(LATE, "late")).verdict == "not judged"
    assert doubted("p95 < 300ms", counts, slo.Doubt(LATE, "late")).verdict == "not judged"


# --- stopping early -------------------------------------------------------------------------------------------


def second(at: int, latencies: Sequence[float] = (), *, failed: int = 0, function: str = "a.b") -> Second:
    due = Histogram.of([round(each * 1000) for each in latencies])
    done = len(latencies)
    return Second(
        at,
        done=done,
        failed=failed,
        due=due,
        functions={function: (done, failed, 0)},
        watched={function: due.copy()},
    )


def stopped(watch: Watch, seconds: Sequence[Second]) -> tuple[int, str] | None:
    for each in seconds:
        if why := watch.see(each):
            return each.at, why
    return None


def test_a_condition_that_holds_over_its_seconds_stops_the_run() -> None:
    watch = Watch([slo.parse_abort("errors > 5%")])
    seconds = [second(at, [1.0] * 100, failed=20 if at >= 30 else 0) for at in range(60)]
    # 5 % of the last ten seconds' 1,000: three seconds with 20 each.
    assert stopped(watch, seconds) == (32, "errors > 5% over 10s (errors was 6 %)")


def test_a_condition_waits_until_its_seconds_have_gone_by() -> None:
    seconds = [second(at, [900.0] * 200) for at in range(60)]
    assert stopped(Watch([slo.parse_abort("p95 > 500ms over 15s")]), seconds) == (
        14,
        "p95 > 500ms over 15s (p95 was 900.1 ms)",
    )
    assert stopped(Watch([slo.parse_abort("p95 > 500ms over 15s")], start=20.0), seconds) == (
        34,
        "p95 > 500ms over 15s (p95 was 900.1 ms)",
    )


def test_too_few_samples_stop_nothing() -> None:
    assert stopped(Watch([slo.parse_abort("p95 > 500ms")]), [second(at, [900.0]) for at in range(60)]) is None
    assert stopped(Watch([slo.parse_abort("errors > 50%")]), [second(at) for at in range(60)]) is None


def test_a_target_that_goes_silent_is_seen_by_its_rate() -> None:
    seconds = [second(at, [1.0] * (100 if at < 20 else 0)) for at in range(60)]
    assert stopped(Watch([slo.parse_abort("rate < 10/s over 5s")]), seconds) == (
        24,
        "rate < 10/s over 5s (rate was 0/s)",
    )


def test_a_function_alone_can_stop_the_run() -> None:
    watch = Watch([slo.parse_abort("a.b p50 > 500ms"), slo.parse_abort("c.d errors > 1%")])
    assert watch.functions == {"a.b"}
    assert stopped(watch, [second(at, [900.0] * 20, function="x.y") for at in range(30)]) is None
    watch = Watch([slo.parse_abort("a.b p50 > 500ms")])
    found = stopped(watch, [second(at, [900.0] * 20) for at in range(30)])
    assert found is not None
    assert found[0] == 9


def test_nothing_is_retained_of_what_no_condition_looks_at() -> None:
    watch = Watch([slo.parse_abort("errors > 5% over 3s"), slo.parse_abort("errors > 9% over 7s")])
    assert stopped(watch, [second(at, [1.0] * 100) for at in range(500)]) is None
    assert len(watch._seconds) == 7
    idle = Watch([])
    assert stopped(idle, [second(at, [1.0], failed=1) for at in range(50)]) is None
    assert not idle._seconds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("errors > 5% over 0s", "1 to 600 s"),
        ("errors > 5% over 601s", "1 to 600 s"),
        ("errors over 5s", "is no SLO"),
        ("rate < 5/s over 4s", "a rate needs 5 s"),
        ("x.y errors > 5%", "does not call x.y"),
    ],
)
def test_conditions_that_are_none_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        slo.parse_abort(text, ["a.b"])
