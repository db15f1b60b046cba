"""Scenario files of a team's own in whole loads: under `conform load`, under `locust -f` alone, and with workers.

The page docs/scenarios.md shows how; what it shows is run here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from conformance.protocol import profile_reader
from tests.support.judging import serving
from tests.support.load_driving import PROFILE, ROOT, Outsider, embedded
from tests.support.recording import ran, report_in

PAGE = (ROOT / "docs" / "scenarios.md").read_text("utf-8")


def snippets() -> dict[str, str]:
    """Return the files of the page by their names."""
    return dict(re.findall(r"<!-- ([\w.]+) -->\n```\w+\n(.*?)^```", PAGE, re.S | re.M))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in snippets().items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def load(folder: Path, url: str, file: str, *more: str) -> tuple[int, str, str]:
    arguments = ("load", "--target", url, "--profile", PROFILE, "--scenario-file", file, "--no-calibration")
    return ran(*arguments, "--out", "out", "--no-color", *more, cwd=folder)


def ended(counts: Mapping[str, Any]) -> int:
    numbers = (counts["answered"], counts["unanswered"], counts["dropped"], counts["renewed"])
    return sum(numbers)


def test_every_snippet_is_run_here() -> None:
    assert set(snippets()) == {"checkout.py", "words.csv", "members.py"}
    commands = re.findall(r"^    ((?:conform|locust) .*)$", PAGE, re.M)
    assert [line.split(" --")[0] for line in commands] == [
        "conform load",
        "conform load",
        "locust -f checkout.py",
    ]


def test_a_scenario_file_is_a_load_like_any_other(folder: Path, url: str) -> None:
    rule = folder / "rules.py"
    rule.write_text(
        "from conformance.rulebook import Level, broken, holds, not_applicable, reply, rule\n"
        "@rule(id='ACME-1', level=Level.SHOULD, clause='ADR', title='No knots',\n"
        "      passes=[reply(200, data={})], fails=[reply(200, data={'knots': 1})])\n"
        "def no_knots(exchange):\n"
        "    return broken(expected='none', actual='some') if 'knots' in (exchange.data or {}) else holds\n",
        "utf-8",
    )
    leaver = (
        "\n\nclass Leaver(RpcUser):\n    @task\n    def leave(self) -> None:\n"
        "        self.call('auth.logout')\n        assert self.call('course.find', query='x').ok\n"
    )
    file = folder / "checkout.py"
    file.write_text(file.read_text("utf-8") + leaver, "utf-8")
    outsider = Outsider(*embedded(url))
    before = outsider.call("course.find")
    slos = ("--slo", "errors < 1%", "--rules", "rules.py")
    status, out, err = load(
        folder, url, "checkout.py", "--rate", "40/s", "--duration", "3s", "--workers", "2", *slos
    )
    assert outsider.call("course.find") == before
    outsider.close()
    # 3: this machine may be too busy to say anything of the target, and says so.
    assert status in (0, 3), out + err
    report = report_in(folder / "out")
    found = report["load"]
    assert (found["scenario"], found["arrivals"], found["executor"]) == ("checkout.py", "open", "tasks")
    assert found["total"]["arrivals"] == ended(found["total"])
    # More than there are threads that renew.
    assert found["total"]["renewed"] > 8
    used = {name for name, counts in found["functions"].items() if counts["requests"]}
    assert {"course.find", "course.read", "course.add", "course.remove", "course.update"} <= used
    assert not [name for name in used if name.startswith("task ")]
    assert report["leftovers"] == []
    judged = {rule["id"]: rule["judged"] for rule in report["rules"]}
    assert judged["ACME-1"] > judged["ENV-5"] > 0


def test_locust_alone_runs_it_and_each_row_of_a_feed_is_used_once(folder: Path, url: str) -> None:
    profile = profile_reader.load(PROFILE)
    names = [profile.users[name] for name in ("owner", "peer")] * 6
    lines = [json.dumps({"identity": each.user, "credential": each.secret}) for each in names]
    (folder / "members.jsonl").write_text("\n".join(lines), "utf-8")
    events = folder / "events.jsonl"
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "locust",
                "-f",
                "members.py",
                "--headless",
                "--only-summary",
                "--host",
                url,
            ),
            *(
                "--profile",
                str(PROFILE),
                "-u",
                "3",
                "-r",
                "100",
                "--rate",
                "20/s",
                "--duration",
                "20s",
                "--warmup",
                "0",
            ),
        ],
        cwd=folder,
        env={**os.environ, "CONFORM_LOAD_EVENTS": str(events), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, 3), done.stdout + done.stderr
    end = json.loads(events.read_text("utf-8").splitlines()[-1])
    assert end["event"] == "load-end"
    assert end["ended"] == "the feed members.jsonl has no rows left"
    assert end["seconds"] < 15
    counts = end["total"]["requests"] + end["warmed"]["requests"]
    isolation = 2  # at most: one call in fifty asks who the session is
    assert 2 * len(names) <= counts <= 2 * len(names) + isolation
    assert end["functions"]["auth.login"]["served"] == len(names)
    for secret in {each.secret for each in names}:
        assert secret not in done.stdout + done.stderr + events.read_text("utf-8")


def test_an_exception_in_a_task_is_an_error_of_that_task(folder: Path, url: str) -> None:
    text = snippets()["checkout.py"].replace("courseId=course).ok", "courseId=0).ok")
    text += (
        "\n\nclass Leaky(RpcUser):\n    @task\n    def leak(self) -> None:\n"
        "        row = members.next()\n        raise KeyError(row['credential'])\n"
        "\n    @task\n    def idle(self) -> None:\n        pass\n"
        "\n    @task\n    class Cart(TaskSet):\n        @task\n        def empty(self) -> None:\n"
        "            raise ValueError('empty')\n"
    )
    text = (
        text.replace("import between", "import TaskSet, between")
        .replace("import RpcUser, csv_feed, task", "import RpcUser, csv_feed, json_feed, task")
        .replace(
            "\n\nclass Visitor",
            '\nmembers = json_feed("members.jsonl", at_end="circulate")\n\n\nclass Visitor',
        )
    )
    (folder / "checkout.py").write_text(text, "utf-8")
    (folder / "members.jsonl").write_text('{"credential": "Plain-Pepper-3"}\n', "utf-8")
    status, out, err = load(folder, url, "checkout.py", "--rate", "40/s", "--duration", "3s", "--seed", "4")
    assert status == 1, out + err
    report = report_in(folder / "out")
    total = report["load"]["total"]
    assert total["arrivals"] == ended(total)
    line = text.splitlines().index(next(line for line in text.splitlines() if "courseId=0).ok" in line)) + 1
    place = f"checkout.py:{line}: AssertionError: a course cannot be read after it was added"
    failures = {(row["function"], row["kind"]): row["message"] for row in report["load"]["failures"]["rows"]}
    assert failures["task Author.publish", "task error"] == place
    assert failures["task Leaky.leak", "task error"].endswith("KeyError: '***'")
    assert failures["task Leaky.Cart", "task error"].endswith("ValueError: empty")
    assert total["errors"]["task error"] > 0
    assert "task Author.publish: task error, checkout.py" in out
    everything = (
        out
        + err
        + "".join(path.read_text("utf-8", "replace") for path in (folder / "out").iterdir() if path.is_file())
    )
    assert "Plain-Pepper-3" not in everything
    assert "Traceback (most recent" not in out + err + (folder / "out" / "locust.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "import nothing_here\n\n\nclass A(dict):\n    pass\n",
            r"x\.py:1: ModuleNotFoundError: No module named",
        ),
        (
            "from load import RpcUser, csv_feed, task\nrows = csv_feed('none.csv')\n\n\nclass A(RpcUser):\n"
            "    @task\n    def go(self):\n        self.call('sys.ping')\n",
            r"x\.py:2: the feed .*none\.csv cannot be read: No such file or directory",
        ),
    ],
)
def test_what_only_shows_when_it_is_executed_is_one_line_too(
    folder: Path, url: str, text: str, why: str
) -> None:
    (folder / "x.py").write_text(text, "utf-8")
    status, out, err = load(folder, url, "x.py", "--rate", "5/s", "--duration", "1s")
    assert status == 2, out + err
    assert re.search(why, err), err
    assert len(err.strip().splitlines()) == 1
