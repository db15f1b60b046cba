"""Requests are spaced by a rate, and wait for as long as a target asks (`Retry-After`)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance.errors import UsageError
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Response
from conformance.protocol.profile_reader import load as load_profile
from conformance.protocol.throttle import MAX_RESENDS, Throttle, retry_after
from tests.support.scripted_server import Script, answer, serving, take


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def response(status: int, *headers: tuple[str, str]) -> Response:
    return Response(status, headers, b"")


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "3"}, 3.0),
        (503, {"retry-after": " 0 "}, 0.0),
        (503, {"Retry-After": "120"}, 120.0),
        (
            429,
            {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:49 GMT"},
            10.0,
        ),
        (429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        (429, {}, None),
        (429, {"Retry-After": ""}, None),
        (429, {"Retry-After": "-1"}, None),
        (429, {"Retry-After": "1.5"}, None),
        (429, {"Retry-After": "soon"}, None),
        (429, {"Retry-After": "\u0663"}, None),
        (200, {"Retry-After": "3"}, None),
        (502, {"Retry-After": "3"}, None),
    ],
)
def test_what_an_answer_asks_for(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(response(status, *headers.items())) == seconds
    assert retry_after(None) is None


def test_a_rate_spaces_requests_and_never_makes_up_for_a_late_one() -> None:
    clock = Clock()
    throttle = Throttle(4, clock=clock, sleep=clock.sleep)
    moments = []
    for late in (0.0, 0.0, 0.7, 0.0, 0.0):
        clock.now += late
        throttle.wait()
        moments.append(clock.now)
    assert moments == pytest.approx([100.0, 100.25, 100.95, 101.2, 101.45])


def test_without_a_rate_nothing_waits() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock, sleep=clock.sleep)
    for _ in range(5):
        throttle.wait()
    assert clock.slept == 0


def test_pauses_hold_back_every_request_and_end_before_the_deadline() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock, sleep=clock.sleep)
    asks = response(429, ("Retry-After", "2"))
    assert throttle.pause(asks, until=140.0)
    # Several concurrent calls that are asked to wait are one pause.
    assert throttle.pause(asks, until=140.0)
    throttle.wait()
    assert clock.now == pytest.approx(102.05)
    assert throttle.paused_seconds == pytest.approx(2.05)
    assert not throttle.pause(response(429, ("Retry-After", "60")), until=140.0), "past the deadline"
    assert not throttle.pause(response(503, ("Retry-After", "900")), until=None), "too long for anybody"
    assert not throttle.pause(response(200, ("Retry-After", "1")), until=140.0)
    made = 0
    while throttle.pause(asks, until=200.0):
        throttle.wait()
        made += 1
    assert 7 <= made <= 9, "all pauses together take at most half of the time that was left"


def limited(times: int, header: bytes) -> Script:
    """A server that answers so many requests 429, and the others 200."""
    counted = iter(range(10_000))

    def script(taken: object) -> None:
        while take(taken):  # type: ignore[arg-type]
            if next(counted) < times:
                head = b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\nRetry-After: " + header + b"\r\n\r\n"
                taken.sendall(head)  # type: ignore[attr-defined]
            else:
                taken.sendall(answer())  # type: ignore[attr-defined]

    return script


def test_a_call_is_sent_again_after_the_pause_and_each_answer_is_observed() -> None:
    seen: list[Exchange] = []
    with serving(limited(2, b"0")) as served:
        client = Client(served.url, observe=seen.append)
        exchange = client.send("course", b"{}")
        client.close()
    assert [each.status for each in seen] == [429, 429, 200]
    assert [each.number for each in seen] == [1, 2, 3]
    assert exchange is seen[-1]
    assert len(set(served.requests)) == 1


@pytest.mark.parametrize("how", ["send", "resend", "raw"])
def test_who_never_lets_a_call_in_is_not_asked_for_ever(how: str) -> None:
    with serving(limited(1000, b"0")) as served:
        client = Client(served.url)
        exchange = client.send("course", b"{}")
        if how == "resend":
            client.resend(exchange, "other")
        if how == "raw":
            client.send_bytes(b"POST /api/ HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        client.close()
    assert exchange.status == 429
    assert len(served.requests) == (MAX_RESENDS + 1) * (1 if how == "send" else 2)


def test_without_the_header_nothing_is_sent_again() -> None:
    with serving(limited(5, b"")) as served:
        client = Client(served.url)
        assert client.send("course", b"{}").status == 429
        client.close()
    assert len(served.requests) == 1


def test_a_rate_bounds_every_request_of_a_client() -> None:
    moments: list[float] = []
    lock = threading.Lock()

    def script(taken: object) -> None:
        while take(taken):  # type: ignore[arg-type]
            with lock:
                moments.append(time.monotonic())
            taken.sendall(answer())  # type: ignore[attr-defined]

    with serving(script) as served:
        client = Client(served.url, rate=50, timeout=0.5)
        with ThreadPoolExecutor(8) as pool:
            exchanges = list(pool.map(lambda _: client.send("course", b"{}", fresh=True), range(20)))
        raw = b"POST /api/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        client.resend(exchanges[0], None)
        client.send_bytes(raw)
        client.close()
    assert len(moments) == 22
    assert max(moments) - min(moments) >= 21 / 50 - 0.02
    # The wait is neither the call's time nor against its deadline.
    assert [exchange.status for exchange in exchanges] == [200] * 20


@pytest.mark.parametrize(("text", "rate"), [("rate = 20", 20.0), ("rate = 0.5", 0.5), ("", None)])
def test_the_profile_gives_the_rate(text: str, rate: float | None, tmp_path: Path) -> None:
    path = tmp_path / "conform.toml"
    path.write_text(f'[target]\nurl = "http://127.0.0.1:1/api/"\n{text}\n', encoding="utf-8")
    profile = load_profile(path)
    assert profile.target.rate == rate
    assert profile.with_rate(3.0).target.rate == 3.0


@pytest.mark.parametrize("value", ["0", "-1", "true", '"20"', "inf", "nan"])
def test_a_rate_that_is_none(value: str, tmp_path: Path) -> None:
    path = tmp_path / "conform.toml"
    path.write_text(f"[target]\nrate = {value}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"\[target\] rate"):
        load_profile(path)
