"""The rate limit of a load: every request of a process counts, and no window of a second has more."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.protocol.client import Client
from load.engine.rate_limit import RateLimit
from tests.support.judging import serving
from tests.support.loading import Relay, Target
from tests.support.recording import MAX_SECONDS, PROFILE, command, report_in


def most(moments: Sequence[float], window: float) -> int:
    """Return how many moments lie in the fullest window, its end excluded."""
    ordered = sorted(moments)
    return max(
        (bisect.bisect_left(ordered, each + window) - at for at, each in enumerate(ordered)), default=0
    )


# --- by itself --------------------------------------------------------------------------------------------------


@dataclass
class Carried:
    """A connection that leaves its request late."""

    sent: float
    opened: bool = False
    left: float = 0.0
    busy: bool = True


@given(
    rate=st.floats(0.3, 60),
    gaps=st.lists(st.floats(0, 0.4), min_size=1, max_size=300),
    lates=st.lists(st.floats(0, 0.6), min_size=1, max_size=7),
    raised=st.one_of(st.none(), st.floats(1, 3)),
)
def test_a_rate_limit_is_exceeded_in_no_window_however_late_requests_leave(
    rate: float, gaps: list[float], lates: list[float], raised: float | None
) -> None:
    rate_limit, now, left = RateLimit(rate), 0.001, []
    opening: list[tuple[float, Carried]] = []
    for number, gap in enumerate(gaps):
        now += gap
        for at, connection in [each for each in opening if each[0] <= now]:
            connection.left = at
            opening.remove((at, connection))
        if raised is not None and number == len(gaps) // 2:
            rate *= raised
            rate_limit.set(rate)
        if rate_limit.free(now) <= 0:
            late = lates[number % len(lates)]
            connection = Carried(now, opened=late > 0)
            rate_limit.take().carry(connection)
            if late > 0:
                opening.append((now + late, connection))
            left.append(now + late)
    left.sort()
    number = max(1, math.floor(rate))
    for first, last in zip(left, left[number:], strict=False):
        assert last - first >= number / rate - 1e-9


def test_a_rate_limit_lets_through_what_it_may() -> None:
    rate_limit = RateLimit(10)
    taken = 0
    for step in range(400):
        if rate_limit.free(step * 0.01) <= 1e-9:
            rate_limit.take(step * 0.01)
            taken += 1
    assert taken == 40


def test_a_request_that_never_left_gives_its_place_back() -> None:
    rate_limit = RateLimit(1)
    connection = Carried(5.0, opened=True)
    rate_limit.take().carry(connection)
    assert rate_limit.free(7.0) == math.inf
    connection.busy = False
    assert rate_limit.free(7.0) <= 0


def test_nothing_is_sent_after_the_moment_until_which_it_may() -> None:
    rate_limit = RateLimit(10, until=3.0)
    assert rate_limit.free(3.0) <= 0 < rate_limit.free(3.1)
    rate_limit.until = 4.0
    assert rate_limit.free(3.1) <= 0


def test_those_who_wait_for_a_turn_go_in_turn_and_share_the_rate_limit() -> None:
    rate_limit, moments = RateLimit(40), []

    def send(number: int) -> None:
        with rate_limit.turn():
            moments.append(perf_counter())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(80)))
    # Whoever sends without waiting sees what those have taken: the last 40 are at least a second after the first 40.
    assert rate_limit.free(min(moments) + 1) > 0
    assert len(moments) == 80
    assert most(moments, 1.0) <= 40


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_turn_that_fails_ends(error: type[BaseException]) -> None:
    rate_limit = RateLimit(1)
    with pytest.raises(error), rate_limit.turn():
        raise error
    assert 0 < rate_limit.free(perf_counter()) <= 1.0


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as one:
        yield one


def test_a_client_waits_for_its_turn_and_the_waiting_is_no_time_of_the_call(target: Target) -> None:
    rate_limit = RateLimit(2)
    client = Client(target.url, turn=rate_limit.turn, timeout=0.9)
    exchanges = [client.send("one", b"{}") for _ in range(4)]
    client.close()
    assert [exchange.status for exchange in exchanges] == [200] * 4
    assert all(exchange.seconds < 0.9 for exchange in exchanges)
    assert rate_limit.free(min(target.moments) + 1) > 0
    # The way to the target takes its time, too: it is never exact.
    assert most(target.moments, target.window()) <= 2


# --- whole loads ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_no_second_of_a_load_holds_more_than_the_rate_limit(workers: int, tmp_path: Path) -> None:
    """Sign-ins, set-up and removals included; nothing that was made stays."""
    text = Path(PROFILE).read_text("utf-8").replace("[load]\n", "[load]\nceiling = 60\n")
    text = text.replace('"coursio.openrpc.json"', f'"{Path(PROFILE).parent / "coursio.openrpc.json"}"')
    profile = tmp_path / "conform.toml"
    profile.write_text(text, "utf-8")
    arguments = ("--rate", "40/s", "--duration", "3s", "--users", "16", "--workers", str(workers))
    with serving() as url, Relay(url) as relay:
        process = command(
            "load", "--target", relay.url, "--profile", str(profile), "--out", "o", "--no-calibration", *arguments,
            cwd=tmp_path,
        )  # fmt: skip
        out, err = process.communicate(timeout=MAX_SECONDS)
        moments, window = list(relay.moments), relay.window()
    report = report_in(tmp_path / "o")
    load = report["load"]
    assert load["total"]["requests"] + load["warmed"]["requests"] == 120, out + err
    assert load["total"]["dropped"] == 0
    assert report["leftovers"] == []
    # Each member signs in and out; objects are made and removed.
    assert len(moments) >= 120 + 2 * 16 + 20
    # The way there and the clocks are not exact.
    assert most(moments, window) <= 60
