"""The load over several processes and hosts: shares, losses, and that every arrival is accounted for."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from load.metrics.histogram import Histogram
from tests.support.judging import serving
from tests.support.load_driving import Outsider, embedded
from tests.support.loading import Locust, Target, free_port, soon
from tests.support.recording import PROFILE, command, report_in


def accounted(end: dict[str, Any]) -> int:
    return int(
        end["total"]["requests"]
        + end["warmed"]["requests"]
        + end["total"]["dropped"]
        + end["warmed"]["dropped"]
    )


def answered(end: dict[str, Any]) -> int:
    return int(end["total"]["requests"] + end["warmed"]["requests"])


def workers(locust: Locust) -> list[psutil.Process]:
    return sorted(psutil.Process(locust.process.pid).children(), key=lambda child: child.pid)


def test_workers_share_a_schedule_exactly_and_lose_nothing(tmp_path: Path) -> None:
    arguments = ("--processes", "3", "--csv", str(tmp_path / "out"))
    plan = {"schedule": "300/s for 3s", "warmup": 1}
    with Target() as target, Locust(tmp_path, target.url, plan, *arguments) as locust:
        locust.wait()
        end = locust.end
    assert target.total == answered(end) == accounted(end) == 900
    assert (end["workers"], end["lost"]) == (3, 0)
    assert end["total"]["requests"] == 600
    assert Histogram.decode(end["total"]["due"]["histogram"]).count == 600
    assert [worker["name"] for worker in end["health"]["workers"]] == ["1", "2", "3"]
    assert end["rules"]["ENV-1"]["judged"] == 900
    seconds = locust.seconds()
    assert sum(second["done"] for second in seconds) == sum(second["sent"] for second in seconds) == 900
    assert [second["at"] for second in seconds] == list(range(len(seconds)))
    with (tmp_path / "out_stats.csv").open(newline="") as file:
        counts = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
    assert counts == {
        "course.find": target.counts["/0"],
        "course.read": target.counts["/1"],
        "Aggregated": 900,
    }


def test_a_worker_that_is_killed_is_noticed_and_the_others_take_its_share(tmp_path: Path) -> None:
    with (
        Target() as target,
        Locust(tmp_path, target.url, {"schedule": "200/s for 9s"}, "--processes", "3") as locust,
    ):
        soon(lambda: len(locust.seconds()) >= 2)
        workers(locust)[1].kill()
        status = locust.wait()
        end = locust.end
    (mark,) = locust.marks("worker lost")
    assert "2 that are left" in mark["text"]
    # What was due is answered or counted as dropped, to the last arrival.
    assert accounted(end) == 1800
    assert 0 < end["lost"] <= end["total"]["dropped"]
    # What the target saw and nobody accounts for is no more than was lost.
    assert answered(end) <= target.total <= answered(end) + end["lost"]
    assert (status, end["health"]["valid"]) == (3, False)
    assert [worker["lost"] for worker in end["health"]["workers"]].count(True) == 1
    # From then on the others send it all.
    later = [second for second in locust.seconds() if mark["at"] + 1 < second["at"] < 8]
    assert sum(second["sent"] for second in later) >= 190 * len(later)


@pytest.mark.thorough
def test_a_rate_limit_holds_when_a_workers_share_of_it_goes_to_the_others(tmp_path: Path) -> None:
    plan = {"schedule": "90/s for 10s", "rate_limit": 100}
    with Target() as target, Locust(tmp_path, target.url, plan, "--processes", "3") as locust:
        soon(lambda: len(locust.seconds()) >= 2)
        workers(locust)[1].kill()
        locust.wait()
        moments = sorted(target.moments)
        (mark,) = locust.marks("worker lost")
    # The way there and the target's clock are not exact: that is the fifth of a second.
    assert all(last - first > 0.8 for first, last in zip(moments, moments[100:], strict=False))
    # Two shares alone were not enough for what is asked for.
    later = [second for second in locust.seconds() if mark["at"] + 3 < second["at"] < 9]
    assert sum(second["sent"] for second in later) >= 80 * len(later) > 0


def test_what_a_killed_worker_made_is_removed(tmp_path: Path) -> None:
    """The master removes what the worker had reported, and what it had no time to report."""
    arguments = (
        "--mix",
        "course.add=3,course.find=1",
        "--rate",
        "40/s",
        "--duration",
        "8s",
        "--workers",
        "2",
    )
    with serving() as url:
        process = command(
            "load", "--target", url, "--profile", str(PROFILE), "--out", "o", "--no-calibration", *arguments,
            cwd=tmp_path,
        )  # fmt: skip
        events = tmp_path / "o" / "events.jsonl"
        soon(lambda: events.exists() and events.read_text("utf-8").count('"event":"second"') >= 3, 60)
        (locust,) = psutil.Process(process.pid).children()
        killed = min(locust.children(), key=lambda child: child.pid)
        killed.kill()
        profile, catalog = embedded(url)
        outsider = Outsider(profile, catalog)
        left = soon(lambda: tagged(outsider))
        out, err = process.communicate(timeout=600)
        assert tagged(outsider) == []
        outsider.close()
    assert left, "there was nothing to be removed"
    report = report_in(tmp_path / "o")
    (note,) = [text for text in report["notes"] if "what it had made is looked for" in text]
    assert "left over: 0" in note, out + err
    assert report["leftovers"] == []
    assert any(mark["kind"] == "worker lost" for mark in report["load"]["marks"])


def tagged(outsider: Outsider) -> list[str]:
    """Return the names of what the load made and that stands on the target, for any user."""
    rows = [
        row for user in outsider.profile.users for row in outsider.call("course.find", user=user)["courses"]
    ]
    return [text for text in map(json.dumps, rows) if "conform-load-" in text]


@pytest.mark.thorough
def test_a_worker_that_comes_back_late_has_its_reports_counted_once_and_gets_no_more(tmp_path: Path) -> None:
    with (
        Target() as target,
        Locust(tmp_path, target.url, {"schedule": "200/s for 9s"}, "--processes", "2") as locust,
    ):
        soon(lambda: len(locust.seconds()) >= 2)
        stopped = workers(locust)[0]
        stopped.suspend()
        try:
            soon(lambda: locust.marks("worker lost"))
        finally:
            stopped.resume()
        soon(lambda: locust.marks("worker back"))
        locust.wait()
        end = locust.end
    # It was not killed: what it had sent is known in the end, all of it, and what it left out as well.
    assert target.total == answered(end)
    assert accounted(end) == 1800
    assert end["lost"] > 0


@pytest.mark.thorough
def test_a_worker_that_is_ended_passes_on_without_a_gap(tmp_path: Path) -> None:
    with (
        Target() as target,
        Locust(tmp_path, target.url, {"schedule": "200/s for 6s"}, "--processes", "2") as locust,
    ):
        soon(lambda: len(locust.seconds()) >= 2)
        workers(locust)[0].terminate()
        locust.wait()
        end = locust.end
    assert target.total == answered(end) == accounted(end) == 1200
    assert end["lost"] == 0


def test_when_no_worker_is_left_the_run_ends_and_says_so(tmp_path: Path) -> None:
    with (
        Target() as target,
        Locust(tmp_path, target.url, {"schedule": "100/s for 60s"}, "--processes", "1") as locust,
    ):
        soon(lambda: len(locust.seconds()) >= 1)
        workers(locust)[0].kill()
        status = locust.wait(300)
        end = locust.end
    assert status == 3
    assert end["ended"] == "no worker is left"
    assert end["seconds"] < 40
    assert answered(end) <= target.total


def test_a_worker_that_cannot_begin_ends_the_run_with_a_line(tmp_path: Path) -> None:
    plan = {"schedule": "10/s for 1s"}
    with Locust(tmp_path, "http://no-such-host.invalid/", plan, "--processes", "1") as locust:
        assert locust.wait(300) == 2
    assert "worker 1" in locust.log.read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_of_workers_that_is_interrupted_is_folded_to_the_last(
    tmp_path: Path, how: signal.Signals
) -> None:
    plan = {"schedule": "soak 100/s"}
    with Target() as target, Locust(tmp_path, target.url, plan, "--processes", "2") as locust:
        soon(lambda: len(locust.seconds()) >= 2)
        locust.process.send_signal(how)
        locust.wait()
        end = locust.end
    assert target.total == answered(end)
    assert end["lost"] == 0
    assert [mark["kind"] for mark in end["marks"]] == ["stopped"]


@pytest.mark.thorough
def test_users_of_workers_are_closed_and_counted(tmp_path: Path) -> None:
    arguments = ("--processes", "2", "-u", "10", "-r", "10")
    with Target() as target, Locust(tmp_path, target.url, {"seconds": 3}, *arguments) as locust:
        locust.wait()
        end = locust.end
    assert target.total == answered(end) > 20
    assert end["arrivals"] == "closed"


# --- hosts of their own -----------------------------------------------------------------------------------------


def can_make_hosts() -> bool:
    """Whether network namespaces can be made here."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = f"cl{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Hosts:
    """A master's host and some workers', each a network namespace, on one switch, whose own address is the target's."""

    def __init__(self, workers: int) -> None:
        self.net = f"10.231.{os.getpid() % 250}"
        tag = f"{os.getpid() % 100000}"
        self.switch = f"lb{tag}"
        self.names = [f"lh{tag}-{number}" for number in range(workers + 1)]
        self.inner = [f"lv{tag}i{number}" for number in range(workers + 1)]
        self.outer = [f"lv{tag}o{number}" for number in range(workers + 1)]
        ip("link", "add", self.switch, "type", "bridge")
        ip("addr", "add", f"{self.net}.254/24", "dev", self.switch)
        ip("link", "set", self.switch, "up")
        for number, name in enumerate(self.names):
            ip("netns", "add", name)
            ip("link", "add", self.outer[number], "type", "veth", "peer", "name", self.inner[number])
            ip("link", "set", self.outer[number], "master", self.switch)
            ip("link", "set", self.outer[number], "up")
            ip("link", "set", self.inner[number], "netns", name)
            ip("-n", name, "addr", "add", f"{self.address(number)}/24", "dev", self.inner[number])
            ip("-n", name, "link", "set", self.inner[number], "up")
            ip("-n", name, "link", "set", "lo", "up")

    def address(self, number: int) -> str:
        return f"{self.net}.{number + 1}"

    def prefix(self, number: int) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.names[number])

    def cut(self, number: int) -> None:
        ip("link", "set", self.outer[number], "down")

    def mend(self, number: int) -> None:
        ip("link", "set", self.outer[number], "up")

    def close(self) -> None:
        for name in self.names:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        for link in (*self.outer, self.switch):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("link", "del", link)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    if not can_make_hosts():
        pytest.skip("network namespaces cannot be made here: it takes root and ip")
    made = Hosts(3)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.thorough
def test_over_hosts_of_which_one_is_killed_and_one_is_cut_off_for_a_while(
    tmp_path: Path, hosts: Hosts
) -> None:
    plan = {"schedule": "150/s for 14s", "timeout": 20, "drain": 20}
    port = str(free_port())
    with ExitStack() as stack:
        target = stack.enter_context(Target(host=f"{hosts.net}.254"))
        master = stack.enter_context(
            Locust(
                tmp_path,
                target.url,
                plan,
                "--master",
                "--master-bind-port",
                port,
                "--expect-workers",
                "3",
                name="master",
                prefix=hosts.prefix(0),
            )
        )
        arguments = ("--worker", "--master-host", hosts.address(0), "--master-port", port)
        others = [
            stack.enter_context(
                Locust(
                    tmp_path,
                    target.url,
                    plan,
                    *arguments,
                    name=f"worker{number}",
                    prefix=hosts.prefix(number),
                    headless=False,
                )
            )
            for number in (1, 2, 3)
        ]
        soon(lambda: len(master.seconds()) >= 2, 60)
        others[0].process.send_signal(signal.SIGKILL)
        soon(lambda: master.marks("worker lost"))
        hosts.cut(2)
        try:
            soon(lambda: len(master.marks("worker lost")) == 2)
            cut = len(target.moments)
        finally:
            hosts.mend(2)
        soon(lambda: master.marks("worker back"))
        master.wait(300)
        end = master.end
        for other in others[1:]:
            other.wait(300)
    assert accounted(end) == 2100
    # The one that was killed takes what it had not reported with it; the one that was cut off brings its own back.
    assert answered(end) <= target.total <= answered(end) + end["lost"]
    assert end["workers"] == 3
    assert cut < target.total
    # One that was cut off stood still before its share was given to another: at no time was more sent than was asked.
    later = [
        second for second in master.seconds() if master.marks("worker back")[0]["at"] + 1 < second["at"] < 13
    ]
    assert sum(second["sent"] for second in later) <= 150 * len(later) + 15


def test_time_is_distinct_from_the_wall_clock() -> None:
    """Moments of due come from a clock that nobody sets."""
    assert not time.get_clock_info("perf_counter").adjustable
    assert time.get_clock_info("perf_counter").monotonic
