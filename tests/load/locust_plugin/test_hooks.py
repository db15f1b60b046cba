"""A load inside Locust: its statistics, users, conditions to stop, searches, and its web page."""

from __future__ import annotations

import csv
import json
import os
import signal
import urllib.parse
import urllib.request
from collections import Counter, deque
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from load.schedule import parsing
from tests.support.loading import Locust, Target, free_port, soon

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
        locust.wait(300)
        end = locust.end
    assert end["seconds"] < 30
    assert len(locust.marks("abort")) == 1
    assert histogram_total(end) + end["total"]["dropped"] == target.total
    assert end["ended"].startswith("abort")


def test_a_load_ends_as_soon_as_an_slo_cannot_be_met(tmp_path: Path) -> None:
    plan = {"schedule": "100/s for 60s", "slos": ["p95 < 5s", "errors < 1%"], "fail_fast": True}
    with (
        Target(lambda number, path: (500 if number > 200 else 200, 0.0)) as target,
        Locust(tmp_path, target.url, plan) as locust,
    ):
        status = locust.wait(300)
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
        status = locust.wait(300)
        end = locust.end
    assert (end["slos"][0]["verdict"], status) == ("fail", 1)


def test_a_rate_limit_is_not_exceeded(tmp_path: Path) -> None:
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
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", body, timeout=240) as answer:
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
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": str(script.parent.parent.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "the same"
