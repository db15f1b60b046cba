"""Schedules: what is due when, shared out exactly, the same for the same seed."""

from __future__ import annotations

import json
import math
import pickle
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.errors import UsageError
from load.schedule import parsing, profiles
from load.schedule.profiles import Schedule, Stretch
from load.schedule.search import Search

few = settings(max_examples=60, deadline=None)

RATES = st.one_of(st.just(0.0), st.integers(1, 300).map(float), st.floats(0.01, 300))
SECONDS = st.one_of(st.integers(1, 8).map(float), st.floats(0.01, 8))
STRETCHES = st.lists(st.builds(Stretch, SECONDS, RATES, RATES), min_size=1, max_size=4)
SPACINGS = st.sampled_from(["even", "poisson"])


@st.composite
def schedules(draw: st.DrawFn, spacings: st.SearchStrategy[str] = SPACINGS) -> Schedule:
    return Schedule("steps", "drawn", tuple(draw(STRETCHES)), draw(spacings))


EVEN = schedules(st.just("even"))


# --- evenly spaced --------------------------------------------------------------------------------------------


@few
@given(EVEN, st.integers(1, 6))
def test_the_shares_of_all_workers_are_the_whole_to_the_last_bit(schedule: Schedule, of: int) -> None:
    whole = list(schedule.times())
    shares = [list(schedule.share(index, of).times()) for index in range(of)]
    assert sorted(moment for share in shares for moment in share) == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@few
@given(EVEN, st.integers(0, 1), st.integers(1, 3))
def test_a_share_can_be_shared_again(schedule: Schedule, index: int, of: int) -> None:
    half = schedule.share(index, 2)
    parts = [moment for part in range(of) for moment in half.share(part, of).times()]
    assert sorted(parts) == list(half.times())


@few
@given(EVEN)
def test_arrival_k_is_due_when_k_have_been_asked_for(schedule: Schedule) -> None:
    moments = list(schedule.times())
    assert len(moments) == pytest.approx(schedule.total, abs=1.000001)
    for number, moment in enumerate(moments):
        assert schedule.expected(moment) == pytest.approx(number, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("rate", "duration", "count"), [(200, 30, 6000), (0.1, 30, 3), (0.7, 10, 7), (1 / 3, 2, 1)]
)
def test_a_constant_rate_makes_as_many_as_it_says(rate: float, duration: float, count: int) -> None:
    moments = list(profiles.constant(rate, duration).times())
    assert len(moments) == count
    assert moments == pytest.approx([number / rate for number in range(count)])


def test_a_ramp_follows_the_inverse_of_its_integral() -> None:
    moments = list(profiles.ramp(0, 100, 10).times())
    assert moments == pytest.approx([math.sqrt(number / 5) for number in range(500)])
    down = list(profiles.ramp(100, 0, 10).times())
    assert len(down) == 500
    # The mirror image, but for the one arrival by which both begin.
    assert [10 - moment for moment in reversed(down)] == pytest.approx(
        [math.sqrt(number / 5) for number in range(1, 501)]
    )


def test_nothing_is_due_in_a_pause_nor_lost_over_it() -> None:
    moments = list(profiles.steps([(10, 0.7), (0, 5), (10, 0.3)]).times())
    assert moments == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 5.7, 5.8, 5.9])


def test_a_spike_is_where_it_was_asked_for() -> None:
    schedule = profiles.spike(10, 100, 2, 1, 6)
    moments = list(schedule.times())
    assert [sum(at <= moment < at + 1 for moment in moments) for at in range(6)] == [10, 10, 100, 10, 10, 10]
    assert schedule.changes == ((0.0, 10.0), (2.0, 100.0), (3.0, 10.0))
    assert (schedule.peak, schedule.duration, schedule.total) == (100, 6, 150)


# --- Poisson --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_as_many_come_by_chance_as_chance_allows(seed: int) -> None:
    moments = list(profiles.poisson(500, 40).times(seed))
    mean = 20_000
    assert abs(len(moments) - mean) < 4 * math.sqrt(mean)
    counts = [0] * 400
    for moment in moments:
        counts[int(moment * 10)] += 1
    # Counts of disjoint times: variance and mean are the same, which no even spacing has.
    spread = sum((count - 50) ** 2 for count in counts) / 50
    assert abs(spread - 400) < 4.5 * math.sqrt(2 * 400)
    gaps = sorted(later - earlier for earlier, later in pairwise(moments))
    # Gaps are exponential: Kolmogorov and Smirnov's distance, with the bound of one in some 10,000.
    distance = max(
        abs((place + 0.5) / len(gaps) - (1 - math.exp(-500 * gap))) for place, gap in enumerate(gaps)
    )
    assert distance < 2.2 / math.sqrt(len(gaps))


@pytest.mark.parametrize("of", [2, 5])
def test_poisson_shares_are_streams_of_their_own_that_add_up(of: int) -> None:
    schedule = profiles.ramp(0, 1000, 20, spacing="poisson")
    shares = [list(schedule.share(index, of).times(3)) for index in range(of)]
    assert len({moment for share in shares for moment in share}) == sum(map(len, shares))
    assert abs(sum(map(len, shares)) - 10_000) < 400
    for share in shares:
        assert abs(len(share) - 10_000 / of) < 4 * math.sqrt(10_000 / of)
        # A quarter of a ramp's arrivals come in its first half.
        assert abs(sum(moment < 10 for moment in share) - 2_500 / of) < 4 * math.sqrt(2_500 / of)


def test_another_seed_gives_other_moments() -> None:
    schedule = profiles.poisson(50, 10)
    assert list(schedule.times(1)) == list(schedule.times(1)) != list(schedule.times(2))
    assert list(schedule.times(-1)) == list(schedule.times(-1)) != list(schedule.times(1))


# --- both -----------------------------------------------------------------------------------------------------


@few
@given(schedules(), st.integers(0, 3), st.data())
def test_beginning_in_the_middle_gives_the_same_later_moments(
    schedule: Schedule, seed: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, 2))
    share = schedule.share(index, 3)
    moments = list(share.times(seed))
    exact = st.sampled_from(moments) if moments else st.just(0.0)
    start = data.draw(st.one_of(exact, st.floats(0, schedule.duration + 1)))
    assert list(share.times(seed, start)) == [moment for moment in moments if moment >= start]


@few
@given(schedules(), st.integers(0, 3))
def test_moments_ascend_within_the_schedule(schedule: Schedule, seed: int) -> None:
    moments = list(schedule.times(seed))
    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert all(0 <= moment <= schedule.duration for moment in moments)


@few
@given(schedules(), st.integers(1, 4), st.floats(-1, 40))
def test_rates_and_integrals_of_shares_add_up(schedule: Schedule, of: int, t: float) -> None:
    shares = [schedule.share(index, of) for index in range(of)]
    assert sum(share.rate(t) for share in shares) == pytest.approx(schedule.rate(t))
    assert sum(share.expected(t) for share in shares) == pytest.approx(schedule.expected(t))
    assert sum(share.peak for share in shares) == pytest.approx(schedule.peak)
    assert 0 <= schedule.rate(t) <= schedule.peak
    assert schedule.expected(t) <= schedule.expected(t + 1) <= schedule.total * (1 + 1e-12)


@few
@given(schedules())
def test_the_integral_is_the_integral_of_the_rate(schedule: Schedule) -> None:
    grain = schedule.duration / 4000
    area = 0.0
    for number in range(4000):
        area += schedule.rate((number + 0.5) * grain) * grain
        if number % 500 == 0:
            # A jump of the rate is met by half a grain at the most.
            bound = 1e-6 + len(schedule.stretches) * schedule.peak * grain
            assert schedule.expected((number + 1) * grain) == pytest.approx(area, abs=bound)


@few
@given(schedules(), st.integers(1, 4))
def test_it_survives_json_and_pickle(schedule: Schedule, of: int) -> None:
    share = schedule.share(of - 1, of)
    assert Schedule.from_json(json.loads(json.dumps(share.to_json()))) == share
    assert pickle.loads(pickle.dumps(share)) == share


def test_a_soak_without_end_can_be_begun_anywhere() -> None:
    for spacing in ("even", "poisson"):
        soak = profiles.soak(20_000, spacing=spacing).share(1, 3)
        hours = 36_000.0
        moments = list(islice(soak.times(5, hours), 5000))
        assert moments[0] >= hours
        assert moments[-1] == pytest.approx(hours + 5000 * 3 / 20_000, rel=1e-6)
        assert (soak.duration, soak.total) == (math.inf, math.inf)
        assert soak.rate(1e9) == pytest.approx(20_000 / 3)
        assert Schedule.from_json(json.loads(json.dumps(soak.to_json()))) == soak


def test_moments_are_made_as_they_are_asked_for() -> None:
    assert list(islice(profiles.constant(1e6, 1e9).times(), 3)) == [0.0, 1e-6, 2e-6]


@pytest.mark.parametrize("part", [(-1, 2), (2, 2), (0, 0)])
def test_a_share_that_is_none_is_refused(part: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"share|part"):
        profiles.constant(1, 1).share(*part)


# --- reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("200/s for 60s", profiles.constant(200, 60)),
        ("200 over 1m", profiles.constant(200, 60)),
        ("  12000/min for 1h30m ", profiles.constant(200, 5400)),
        ("constant 7.5/s for 500ms", profiles.constant(7.5, 0.5)),
        ("Poisson 200/s for 60 s", profiles.poisson(200, 60)),
        ("ramp 10/s to 200/s for 60s", profiles.ramp(10, 200, 60)),
        ("ramp from 0 to 200/s over 60s", profiles.ramp(0, 200, 60)),
        ("poisson ramp 10/s to 200/s for 60s", profiles.ramp(10, 200, 60, spacing="poisson")),
        ("steps 50/s for 30s, 100/s for 1 min", profiles.steps([(50, 30), (100, 60)])),
        ("spike 50/s to 500/s at 20s for 5s, 60s in all", profiles.spike(50, 500, 20, 5, 60)),
        ("spike 50/s to 500/s at 0s for 5s, 1m in all", profiles.spike(50, 500, 0, 5, 60)),
        ("soak 50/s", profiles.soak(50)),
        ("soak 50/s until stopped", profiles.soak(50)),
        ("soak 50/s for 8h", profiles.soak(50, 8 * 3600)),
    ],
)
def test_texts_are_read(text: str, made: Schedule) -> None:
    assert parsing.parse(text) == made


@pytest.mark.parametrize(
    "text",
    [
        "200/s for 60 s",
        "Poisson 0.1/s for 2 h",
        "ramp 0/s to 200/s for 90 s",
        "steps 50/s for 30 s, 100/s for 2 min",
        "Poisson spike 5/s to 50/s at 0.5 s for 5 s, 10 s in all",
        "soak 50/s until stopped",
    ],
)
def test_what_is_said_can_be_read_again(text: str) -> None:
    assert parsing.parse(text).text == text


def test_the_duration_of_the_options_stands_in() -> None:
    assert parsing.parse("200/s", 60) == profiles.constant(200, 60)
    assert parsing.parse("200/s for 5s", 60) == profiles.constant(200, 5)
    assert parsing.parse("soak 200/s", 60) == profiles.soak(200, 60)
    assert parsing.parse("ramp 1/s to 2/s", 60, spacing="poisson") == profiles.ramp(
        1, 2, 60, spacing="poisson"
    )
    assert parsing.parse("spike 1/s to 2/s at 3s for 4s", 60) == profiles.spike(1, 2, 3, 4, 60)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no schedule"),
        ("fast", "'fast' is none of"),
        ("rmap 1/s to 2/s for 3s", 'did you mean "ramp"'),
        ("200/s", "has no end"),
        ("ramp 10/s to 20/s", "has no end"),
        ("-5/s for 10s", "no schedule"),
        ("0/s for 10s", "asks for nothing"),
        ("200/s for 0s", "more than 0 s"),
        ("200/s for ten seconds", "write it as '200/s for 60s'"),
        ("200/day for 10s", "write it as"),
        ("ramp 10/s for 10s", "write it as 'ramp"),
        ("steps 10/s", "write it as 'steps"),
        ("steps 10/s for 3s,", "write it as 'steps"),
        ("spike 1/s to 9/s at 58s for 5s, 60s in all", "does not lie within"),
        ("search 1/s to 9/s", "no schedule"),
        ("1e9/s for 1s", "write it as"),
        ("nan/s for 1s", "'nan' is none of"),
    ],
)
def test_nonsense_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parsing.parse(text)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_impossible_numbers_are_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="a rate is 0/s or more"):
        profiles.constant(rate, 10)
    with pytest.raises(UsageError, match="a rate is 0/s or more"):
        profiles.ramp(1, rate, 10)
    with pytest.raises(UsageError, match="a rate is 0/s or more"):
        profiles.steps([(1, 1), (rate, 1)])
    with pytest.raises(UsageError, match="more than 0 s"):
        profiles.constant(1, -1)
    with pytest.raises(UsageError, match="spacing"):
        profiles.constant(1, 1, spacing="odd")


# --- the search -----------------------------------------------------------------------------------------------


def run(search: Search, capacity: float, *, blind: frozenset[int] = frozenset()) -> Search:
    """Carry a search through against a target that holds up to a rate; trials of some numbers say nothing."""
    for number in range(1000):
        rate = search.next_rate
        if rate is None:
            assert search.over
            return search
        assert not search.over
        assert search.low <= rate <= search.high
        search = search.tried(None if number in blind else rate <= capacity)
    raise AssertionError("a search that does not end")


@few
@given(st.floats(1, 100), st.floats(1, 50), st.floats(1, 10_000), st.floats(0.01, 0.3), st.floats(1.1, 4))
def test_a_search_finds_the_highest_rate_that_holds(
    low: float, ratio: float, capacity: float, tolerance: float, factor: float
) -> None:
    ended = run(Search(low, low * ratio, tolerance=tolerance, factor=factor, most=500), capacity)
    if capacity < low:
        assert ended.result is None
        assert ended.why is not None
        assert "lowest" in ended.why
    elif capacity >= ended.high:
        assert ended.result == ended.high
    else:
        assert ended.result is not None
        assert ended.result <= capacity <= ended.result * (1 + tolerance) * (1 + 1e-9)


def test_a_search_goes_by_steps_and_then_by_halves() -> None:
    ended = run(Search(10, 2000), 333)
    assert [trial.rate for trial in ended.trials] == [10, 20, 40, 80, 160, 320, 640, 480, 400, 360, 340, 330]
    assert (ended.result, ended.why) == (330, "330/s held and 340/s did not")
    assert ended.stop == (
        "ends when 2000/s held, when 10/s did not, when the highest rate that held and the lowest that did not are "
        "within 5 % of each other, or after 24 trials"
    )


def test_a_trial_that_says_nothing_is_repeated_once_and_longer() -> None:
    search = Search(10, 80, seconds=5).tried(True).tried(None)
    assert (search.next_rate, search.next_seconds) == (20, 10)
    assert search.schedule() == profiles.constant(20, 10)
    again = search.tried(True)
    assert (again.next_rate, again.next_seconds, again.best) == (40, 5, 20)
    unknown = search.tried(None)
    assert unknown.best == 10
    assert unknown.next_rate == 15
    ended = run(unknown, 1000)
    assert ended.why is not None
    assert "could not be judged" in ended.why


@given(st.sets(st.integers(0, 30), max_size=31), st.floats(1, 300))
@few
def test_a_search_ends_whatever_the_verdicts(blind: set[int], capacity: float) -> None:
    ended = run(Search(5, 200, most=20), capacity, blind=frozenset(blind))
    assert len(ended.trials) <= 20
    assert ended.why
    if ended.result is not None:
        assert ended.result <= capacity
    with pytest.raises(ValueError, match="over"):
        ended.tried(True)
    with pytest.raises(ValueError, match="over"):
        ended.schedule()


def test_a_lower_rate_that_fails_later_counts() -> None:
    # A target that wears out: 40/s met the SLOs, 80/s and then all in between did not.
    search = Search(10, 80, tolerance=0.3)
    for met in (True, True, True, False, False):
        search = search.tried(met)
    assert search.best == 40
    assert search.next_rate == 50


def test_a_trial_is_long_enough_for_the_samples_that_are_needed() -> None:
    search = Search(50, 800, seconds=5, samples=1_000)
    lengths = []
    while not search.over:
        rate, seconds = search.next_rate, search.next_seconds
        assert rate is not None
        assert rate * seconds >= 1_000
        assert search.schedule().expected(seconds) == pytest.approx(rate * seconds)
        lengths.append((rate, seconds))
        search = search.tried(None if len(lengths) == 1 else rate < 300)
    assert lengths[:5] == [(50, 21), (50, 42), (100, 11), (200, 6), (400, 5)]
    assert Search.from_json(json.loads(json.dumps(search.to_json()))) == search
    # A run of before that was known.
    before = {name: value for name, value in search.to_json().items() if name != "samples"}
    assert Search.from_json(before).samples == 0


def test_a_search_survives_json() -> None:
    search = Search(10, 2000, seconds=3).tried(True).tried(None)
    again = Search.from_json(json.loads(json.dumps(search.to_json())))
    assert again == search
    assert again.next_seconds == 6


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("search 10/s to 2000/s", Search(10, 2000)),
        ("Search from 10 to 2000/s, 30s each", Search(10, 2000, seconds=30)),
        ("search 10/s to 2000/s, 30s each, within 2%", Search(10, 2000, seconds=30, tolerance=0.02)),
    ],
)
def test_searches_are_read(text: str, made: Search) -> None:
    assert parsing.parse_search(text) == made


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("search", "write it as 'search"),
        ("search 10/s", "write it as 'search"),
        ("search 20/s to 10/s", "up to a higher one"),
        ("search 0/s to 10/s", "above 0/s"),
        ("search 1/s to 10/s, within 100%", "tolerance"),
        ("200/s for 10s", "no search"),
    ],
)
def test_searches_that_are_none_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parsing.parse_search(text)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing": "odd"},
        {"part": [2, 2]},
        {"stretches": []},
        {"stretches": [[None, 1, 2]]},
        {"stretches": [[-1, 1, 1]]},
    ],
)
def test_json_that_is_no_schedule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Schedule.from_json({**profiles.constant(1, 1).to_json(), **change})
