"""A session is one client: arrivals go to sessions that are free, and what overlaps is counted."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from load.workload.occupancy import Occupancy
from load.workload.virtual_users import VirtualUser
from tests.support.loading import _Served
from tests.support.recording import ran, report_in


def virtual_users(count: int) -> list[VirtualUser]:
    return [VirtualUser(number, "someone", ready=True) for number in range(count)]


def test_while_all_are_free_members_take_turns() -> None:
    occupancy = Occupancy()
    seats = occupancy.seats(virtual_users(3), 1)
    assert [seats.next().number for _ in range(5)] == [1, 2, 0, 1, 2]


def test_an_arrival_goes_to_a_free_session() -> None:
    occupancy = Occupancy()
    three = virtual_users(3)
    seats = occupancy.seats(three)
    for _ in range(2):
        occupancy.begin(seats.next(), 0.0)
    assert [seats.next().number for _ in range(3)] == [2, 2, 2]
    occupancy.end(three[0])
    assert {seats.next().number for _ in range(4)} == {0, 2}
    assert occupancy.counts() == [2, 0, 0]


def test_who_deals_the_same_or_some_of_the_members_knows_of_the_same_calls() -> None:
    occupancy = Occupancy()
    four = virtual_users(4)
    every, some = occupancy.seats(four), occupancy.seats(four[:2])
    occupancy.begin(four[0], 0.0)
    assert [some.next().number for _ in range(2)] == [1, 1]
    assert 0 not in {every.next().number for _ in range(6)}
    late = occupancy.seats([four[0], four[3]])
    assert late.next().number == 3


def test_what_finds_no_free_session_overlaps_and_is_counted() -> None:
    occupancy = Occupancy()
    occupancy.warmup, occupancy.sessions = 1.0, 4
    four = virtual_users(4)
    # Two of four sessions may call this: three calls at a time would need three of these, so six in all.
    seats = occupancy.seats(four[:2])
    occupancy.begin(seats.next(), 0.5)
    occupancy.begin(seats.next(), 1.0)
    assert occupancy.counts() == [1, 0, 0]
    occupancy.begin(seats.next(), 1.0)
    assert occupancy.counts() == [2, 1, 6]


def test_sessions_that_are_renewed_are_passed_over() -> None:
    occupancy = Occupancy()
    three = virtual_users(3)
    seats = occupancy.seats(three)
    three[1].ready = False
    assert {seats.next().number for _ in range(6)} == {0, 2}
    for number in (0, 2):
        occupancy.begin(three[number], 0.0)
    # Neither of the occupied ones' calls is worse than one in a session that has ended.
    assert {seats.next().number for _ in range(6)} == {0, 2}
    for each in three:
        each.ready = False
    assert seats.next() in three


@pytest.mark.parametrize("limit", [2, None])
def test_a_session_may_be_allowed_more_calls(limit: int | None) -> None:
    occupancy = Occupancy(limit)
    two = virtual_users(2)
    seats = occupancy.seats(two)
    occupancy.begin(two[0], 0.0)
    assert {seats.next().number for _ in range(4)} == {0, 1}
    occupancy.begin(two[0], 0.0)
    assert {seats.next().number for _ in range(4)} == ({1} if limit == 2 else {0, 1})
    assert occupancy.counts()[:2] == [2, 1]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_known_is_what_was_reported(seed: int) -> None:
    """Whatever begins and ends in whatever order, a session counts as free just when it is."""
    draw = random.Random(seed)
    limit = draw.choice([1, 1, 2])
    occupancy = Occupancy(limit)
    all_members = virtual_users(7)
    groups = [occupancy.seats(draw.sample(all_members, draw.randint(1, 7))) for _ in range(3)]
    under_way: list[VirtualUser] = []
    for _ in range(400):
        if under_way and draw.random() < 0.5:
            occupancy.end(under_way.pop(draw.randrange(len(under_way))))
            continue
        seats = draw.choice(groups)
        virtual_user = seats.next()
        free = [each for each in seats.group.virtual_users if under_way.count(each) < limit]
        assert not free or virtual_user in free
        occupancy.begin(virtual_user, 0.0)
        under_way.append(virtual_user)
        assert seats.group.under_way == sum(each in seats.group.virtual_users for each in under_way)


# --- on a target that locks its sessions --------------------------------------------------------------------


class Locking(_Served):
    """A target with calls one at a time in each session, as with PHP's; each tenth takes `seconds`, the others 5 ms."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.calls = self.sessions = 0
        self.locks: dict[bytes, asyncio.Lock] = defaultdict(asyncio.Lock)
        super().__init__("127.0.0.1", "/api/")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
                method = json.loads(await reader.readexactly(size))["method"]
                token = head.partition(b"\r\nToken: ")[2].split(b"\r\n", 1)[0]
                data: dict[str, Any] = {}
                if method == "login":
                    self.sessions += 1
                    data = {"sessionId": f"session-number-{self.sessions:06d}"}
                elif method == "find":
                    self.calls += 1
                    seconds = self.seconds if self.calls % 10 == 0 else 0.005
                    async with self.locks[token]:
                        await asyncio.sleep(seconds)
                body = json.dumps(
                    {"isError": False, "errMsg": None, "data": data}, separators=(",", ":")
                ).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body)
                )
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


CATALOGUE = {
    "openrpc": "1.3.2",
    "info": {"title": "Notes", "version": "1"},
    "methods": [
        {
            "name": "note.find",
            "x-effect": "read",
            "params": [],
            "result": {"name": "r", "schema": {"type": "object"}},
        },
        {
            "name": "auth.login",
            "x-auth": "none",
            "params": [
                {"name": "name", "required": True, "schema": {"type": "string"}},
                {"name": "word", "required": True, "schema": {"type": "string"}},
            ],
            "result": {"name": "r", "schema": {"type": "object"}},
        },
        {"name": "auth.logout", "params": [], "result": {"name": "r", "schema": {"type": "object"}}},
    ],
}


def target(folder: Path, url: str, *load: str) -> Path:
    (folder / "catalogue.json").write_text(json.dumps(CATALOGUE), "utf-8")
    lines = [
        f'[target]\nurl = "{url}"\nenvironment = "test"\ncatalog = "catalogue.json"',
        '[auth]\nlogin = { function = "auth.login", user = "name", secret = "word" }\nlogout = "auth.logout"',
        'session = "/sessionId"\n[users.owner]\nuser = "owner"\nsecret = "a-secret-of-the-owner"',
        "[load]\nmix = { 'note.find' = 1 }",
        *load,
    ]
    (folder / "conform.toml").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / "conform.toml"


def overlaps(folder: Path, *load: str, users: int = 12, rate: int = 60) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    with Locking(0.3) as server:
        path = target(folder, server.url, *load)
        asked = ("--rate", f"poisson {rate}/s", "--duration", "4s", "--users", str(users), "--seed", "3")
        status, out, err = ran(
            "load", "--profile", path, "--out", "o", "--no-calibration", *asked, cwd=folder
        )
    assert status in (0, 3), out + err
    found: dict[str, Any] = report_in(folder / "o")["load"]
    found["screen"] = " ".join(out.split())
    return found


def test_arrivals_overlap_only_where_no_session_is_free(tmp_path: Path) -> None:
    """About two calls of 60 a second are under way at a time; dealt in turn, each slow one meets its session's next."""
    for attempt in range(3):
        free = overlaps(tmp_path / f"free{attempt}")
        dealt = overlaps(tmp_path / f"dealt{attempt}", 'per_session = "any"')
        if free["sessions"]["share"] < 0.5 * dealt["sessions"]["share"]:
            break  # a busy machine makes calls last longer, so that more of them overlap
    assert free["sessions"]["per_session"] == 1
    assert dealt["sessions"]["per_session"] == "any"
    assert free["sessions"]["calls"] == free["total"]["requests"]
    assert free["sessions"]["share"] < 0.5 * dealt["sessions"]["share"]
    few = overlaps(tmp_path / "few", users=2)
    assert few["sessions"]["share"] > 0.3
    assert few["sessions"]["needed"] > 2
    assert f"--users {few['sessions']['needed']}" in few["screen"]
    assert "overlapped another call of their session" in few["screen"]
