"""`conform verify`: the result of both phases together, the statement at the end, and whole verifications."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.load_time import SECONDS_AROUND_LOAD, fit
from conformance.engine import budgets
from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from load.options import Wish
from reports.model.files import exit_status, validate
from reports.render import markdown, statement
from reports.render.html import page as html
from reports.render.terminal import closing_screen as screen
from tests.reports.model.test_load_summary import a_load, a_second, an_slo, load_end
from tests.support.events import build
from tests.support.judging import serving
from tests.support.processes import Program
from tests.support.recording import PROFILE, command, ran, ran_here, report_in, until
from tests.support.run_events import Event, a_rule, error, finding, header, judged

URL = "http://127.0.0.1:1/api/"


# --- what the phases come to together


HEAD = header(
    a_rule("ENV-1"), a_rule("ENV-5"), a_rule("PAG-2"), verb="verify", rerun_rule="conform check --seed 7"
)
CHECK: Event = {"event": "phase", "name": "check"}
CHECKED: Event = {"event": "phase-end", "name": "check", "seconds": 20.0, "requests": 90}
LOAD: Event = {"event": "phase", "name": "load"}
END: Event = {"event": "end", "seconds": 31.0, "requests": 90}
STOP: Event = {"event": "interrupted"}
GOOD = [judged(ENV_1=5, PAG_2=5)]
BAD = [*GOOD, finding("PAG-2")]
DOWN = [error("the target does not answer: refused")]
PASSED = [a_load(), *map(a_second, range(4)), load_end(an_slo())]
MISSED = [a_load(), *map(a_second, range(4)), load_end(an_slo("fail"))]
OPEN = [a_load(), *map(a_second, range(4)), load_end(an_slo("not judged"))]
BROKEN = [a_load(), a_second(0), load_end(an_slo(), rules={"ENV-1": {"judged": 800, "broken": 3}})]
REFUSED = [error("the load was refused: it does not answer")]


def verified(check: list[Event], load: list[Event], end: Event = END) -> dict[str, Any]:
    events = [HEAD, CHECK, *check, CHECKED, *([LOAD, *load] if load else []), end]
    report = build(iter(events))
    validate(report)
    return report


@pytest.mark.parametrize(
    ("check", "load", "status", "reason"),
    [
        pytest.param(GOOD, PASSED, 0, "1 SLO held", id="both pass"),
        pytest.param(BAD, PASSED, 1, "1 must rule failed (PAG-2)", id="a rule fails"),
        pytest.param(GOOD, MISSED, 1, "1 SLO of 1 missed", id="an SLO is missed"),
        pytest.param(BAD, MISSED, 1, "PAG-2); 1 SLO of 1 missed", id="both fail"),
        pytest.param(GOOD, BROKEN, 1, "1 must rule failed (ENV-1)", id="a rule breaks under load"),
        pytest.param(
            BAD, OPEN, 1, "the load could not be judged", id="a failure comes before the unjudged load"
        ),
        pytest.param(DOWN, MISSED, 1, "the check could not be judged", id="a missed SLO, and no check"),
        pytest.param(GOOD, OPEN, 3, "the load could not be judged", id="no load"),
        pytest.param(
            [], PASSED, 3, "the check could not be judged: nothing could", id="the load is no check"
        ),
        pytest.param(DOWN, PASSED, 3, "the check could not be judged", id="no check"),
        pytest.param(DOWN, REFUSED, 3, "the load could not be judged: the load was refused", id="neither"),
        pytest.param(GOOD, [], 3, "it did not begin", id="the load did not begin"),
        pytest.param([*BAD, STOP], [], 130, "PAG-2", id="interrupted in the check, after a finding"),
        pytest.param([*GOOD, STOP], [], 130, "nothing had failed by then", id="interrupted in the check"),
        pytest.param(GOOD, [a_load(), a_second(0), STOP], 130, "nothing had failed", id="in the load"),
    ],
)
def test_phases_make_one_verdict(check: list[Event], load: list[Event], status: int, reason: str) -> None:
    report = verified(check, load)
    assert exit_status(report) == status
    assert reason in report["reason"]
    assert [phase["name"] for phase in report["phases"]] == ["check", "load"]


def test_each_phase_says_what_it_came_to() -> None:
    report = verified(BAD, OPEN)
    check, load = report["phases"]
    assert (check["verdict"], load["verdict"]) == ("nonconformant", "undecided")
    assert check["seconds"] == 20
    assert b"- check: nonconformant: 1 must rule failed" in markdown.render(report)
    assert b"<dt>Load</dt>" in html.render(report)
    assert verified(GOOD, BROKEN)["phases"][1]["verdict"] == "nonconformant"
    assert verified(GOOD, BROKEN)["phases"][0]["verdict"] == "conformant"
    # A log that ends in the middle of the check reports no end.
    cut = build(iter([HEAD, CHECK, *GOOD]))
    validate(cut)
    assert exit_status(cut) == 130
    assert [phase["verdict"] for phase in cut["phases"]] == ["undecided", "undecided"]


def test_a_finding_is_judged_again_without_the_load() -> None:
    text = screen.render(verified(BAD, PASSED), color=False)
    assert "conform check --seed 7 --rule PAG-2" in text


# --- the budget


def test_default_load_has_its_place_in_every_budget() -> None:
    for name in budgets.BUDGETS:
        wish, settings, notes = fit(Wish(), Profile.empty(URL), name)
        assert (wish == Wish()) is (name != "quick")
        assert (settings.seconds, notes) == (30 if name == "quick" else 60, [])
        # What is left for the check is no less than what it takes of a target that answers in no time.
        total = budgets.VERIFY_SECONDS.of(name) - SECONDS_AROUND_LOAD
        assert total - budgets.MAX_LOAD_SECONDS.of(name) >= 40
        assert total - settings.seconds >= 70


def test_a_load_is_no_shorter_than_was_asked_for_or_is_needed(tmp_path: Path) -> None:
    empty = Profile.empty(URL)
    for wish in (
        Wish(duration="45s"),
        Wish(slo=("p99.9 < 1s",), rate="200/s"),
        Wish(slo=("course.find p95 < 1s",)),
        Wish(rate="20/s for 40s"),
        Wish(users=5, slo=("p99 < 1s",)),
    ):
        settled, settings, notes = fit(wish, empty, "quick")
        assert settled is wish
        assert settings.seconds >= 40
        assert notes == []
    assert fit(Wish(), profiled(tmp_path, 'duration = "60s"'), "quick")[1].seconds == 60
    assert fit(Wish(slo=("p99 < 1s",), rate="200/s"), empty, "quick")[1].seconds == 30


def profiled(folder: Path, *lines: str) -> Profile:
    from conformance.protocol.profile_reader import load

    path = folder / "p.toml"
    path.write_text("\n".join([f'[target]\nurl = "{URL}"\nenvironment = "test"', "[load]", *lines]), "utf-8")
    return load(path)


def test_long_load_of_the_profile_is_shortened(tmp_path: Path) -> None:
    reported = profiled(tmp_path, "rate = 20", 'duration = "10m"')
    wish, settings, notes = fit(Wish(), reported, "quick")
    assert (wish.duration, settings.seconds) == ("60s", 60)
    assert notes == ["budget quick: the load takes 1 min instead of 10 min"]
    assert fit(Wish(), reported, "deep")[1].seconds == 600


@pytest.mark.parametrize(
    ("wish", "reported"),
    [
        (Wish(duration="2m"), "--duration 2m: a load of 2 min is more than the 1 min that budget quick has"),
        (Wish(rate="soak 5/s for 8h"), "a load of 8 h is more than the 1 min"),
    ],
)
def test_long_load_that_was_asked_for_is_refused(wish: Wish, reported: str) -> None:
    with pytest.raises(UsageError) as caught:
        fit(wish, Profile.empty(URL), "quick")
    assert reported in str(caught.value)


def test_search_receives_its_end() -> None:
    _, settings, notes = fit(Wish(search="10/s to 20/s"), Profile.empty(URL), "quick")
    assert settings.search is not None
    assert notes == ["budget quick: the search is ended after 1 min at the latest"]


# --- the statement


def exchange(
    function: str | None = "course.find", headers: Any = None, body: str = "{}", data: Any = None
) -> Event:
    response = {"status": 200, "headers": headers or {}, "body": body, "seconds": 0.1}
    call = json.dumps({"method": "m", "data": data})
    request = {"verb": "POST", "url": f"{URL}course", "headers": {}, "body": call}
    return {
        "event": "exchange",
        "function": function,
        "request": request,
        "response": response,
        "failure": None,
    }


def test_build_is_what_the_target_reports_and_no_more() -> None:
    answer = json.dumps({"isError": False, "data": {"version": "4.2", "time": 7, "api": {"build": 118}}})
    reported = [
        exchange(headers={"Server": "edge/1", "X-Request-Id": "9"}),
        exchange(headers={"server": "edge/2", "X-App-Version": "4.2.1"}),
        exchange("health.check", body=answer),
        exchange("course.read", body=answer.replace("4.2", "of a course"), data={"courseId": 1}),
        # The revision of an object is that of the object alone.
        exchange(
            "user.read", body=json.dumps({"data": {"user": {"userId": 1, "revision": 4}}, "isError": False})
        ),
        exchange("health.check", body="no JSON"),
        {
            "event": "exchange",
            "function": "health.check",
            "request": None,
            "response": None,
            "failure": "closed",
        },
    ]
    report = verified([*reported, *GOOD], PASSED)
    assert report["build"] == {
        "server": ["edge/1", "edge/2"],
        "x-app-version": ["4.2.1"],
        "health.check /version": ["4.2"],
        "health.check /api/build": ["118"],
    }
    assert verified(GOOD, PASSED)["build"] is None


def test_statement_says_what_the_report_says() -> None:
    catalogue = {"name": "c.json", "functions": 33, "sha256": "ab" * 32}
    report = verified(BAD, MISSED) | {"catalogue": catalogue, "build": {"server": ["x\x1b[2J\n::error::y"]}}
    text = statement.render(report, "cd" * 32)
    for said in ("nonconformant: 1 must rule failed (PAG-2)", "3 of 3 judged · 2 passed · 1 failed", "ab" * 32,
                 "p95 < 300ms: 412 ms, missed", "coursio-conform 0.1.0 · seed 7", f"sha256 {'cd' * 32}"):  # fmt: skip
        assert said in text
    assert "\x1b" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    none = statement.render(verified(GOOD, []), "cd" * 32)
    assert "the target tells none" in none
    assert "none was put on it" in none
    assert re.search(r"catalogue +none", none)


# --- whole verifications


def verifying(url: str, folder: Path, *arguments: str | Path, **options: Any) -> Program:
    return command(*line(url, *arguments), cwd=folder, **options)


def line(url: str, *arguments: str | Path) -> list[str | Path]:
    """Return a verification that takes seconds; its SLOs hold on any machine."""
    few = ("--rule", "PAG-7", "--budget", "quick", "--seed", "7", "--no-calibration")
    load = ("--rate", "40/s", "--duration", "3s", "--slo", "p50 < 9s", "--slo", "nonconformant = 0")
    return ["verify", "--target", url, "--profile", PROFILE, *few, *load, *arguments]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def clean(service: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    folder = tmp_path_factory.mktemp("clean")
    return folder / "o", *ran(*line(service, "--out", "o"), cwd=folder)


def sound(report: dict[str, Any]) -> bool:
    """Whether the generator was fit to judge; on a busy machine it may be late, which it says."""
    return bool(report["load"]["health"]["valid"])


def test_clean_target_is_stated(clean: tuple[Path, int, str, str], service: str) -> None:
    folder, status, out, err = clean
    report = report_in(folder)
    assert status == (0 if sound(report) else 3), out + err
    assert "Traceback" not in out + err
    assert report["verb"] == "verify"
    verdicts = {rule["id"]: rule["verdict"] for rule in report["rules"]}
    assert verdicts["PAG-7"] == "pass"  # of the check
    assert verdicts["ENV-1"] == "pass"  # of the load
    assert verdicts["PAG-1"] == "not judged"
    assert report["load"]["total"]["requests"] + report["load"]["warmed"]["requests"] == 120
    assert report["requests"] > 120
    assert report["phases"][0]["verdict"] == "conformant"
    phases = [text for text in err.splitlines() if text.startswith("phase")]
    assert [text.partition(":")[0] for text in phases] == ["phase 1 of 2, check", "phase 2 of 2, load"]
    assert "left in all" in phases[1]
    reported = (folder / statement.NAME).read_text("utf-8")
    assert reported in out
    assert hashlib.sha256((folder / "report.json").read_bytes()).hexdigest() in reported
    assert report["catalogue"]["sha256"] in reported
    assert service in reported
    written = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert b"Correct-Horse-7-owner" not in written


def test_fault_is_a_failure_and_a_regression(clean: tuple[Path, int, str, str], tmp_path: Path) -> None:
    with serving("--fault", "paging.zero-is-all") as url:
        status, out, err = ran(
            *line(url, "--out", "o", "--baseline", clean[0], "--fail-on", "regression"), cwd=tmp_path
        )
    assert status == 1, out + err
    report = report_in(tmp_path / "o")
    assert "1 must rule failed (PAG-7)" in report["reason"]
    assert report["load"]["total"]["requests"] > 0
    assert re.search(r"compared +with o: regression", (tmp_path / "o" / statement.NAME).read_text("utf-8"))
    assert "1 rule newly failing (PAG-7)" in out
    assert "What changed" in (tmp_path / "o" / "report.md").read_text("utf-8")


@pytest.mark.thorough  # that a phase fails, the phases above say; that a load misses an SLO, test_load_command
def test_missed_slo_fails(service: str, tmp_path: Path) -> None:
    status, out, err = ran(*line(service, "--out", "o", "--slo", "p50 < 1us", "--quiet"), cwd=tmp_path)
    report = report_in(tmp_path / "o")
    assert status == (1 if sound(report) else 3), out + err
    assert len(out.splitlines()) == 1
    assert err == ""


def events_in(folder: Path) -> str:
    path = folder / "o" / "events.jsonl"
    return path.read_text("utf-8") if path.exists() else ""


def test_interrupted_in_the_check(service: str, tmp_path: Path) -> None:
    process = verifying(service, tmp_path, "--out", "o", "--rule", "STA-6", "--for", "30s")
    until(lambda: events_in(tmp_path).count('"event":"exchange"') > 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    report = report_in(tmp_path / "o")
    assert report["interrupted"]
    assert report["load"] is None
    assert report["phases"][1]["reason"] == "interrupted before it began"
    assert "phase 2" not in err
    assert (tmp_path / "o" / statement.NAME).is_file()


def test_interrupted_in_the_load(service: str, tmp_path: Path) -> None:
    process = verifying(service, tmp_path, "--out", "o", "--rate", "40/s", "--duration", "50s")
    until(lambda: events_in(tmp_path).count('"event":"second"') > 1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    report = report_in(tmp_path / "o")
    assert report["interrupted"]
    assert report["load"]["total"]["requests"] + report["load"]["warmed"]["requests"] > 0
    assert {rule["id"]: rule["verdict"] for rule in report["rules"]}["PAG-7"] == "pass"
    # What the load made is gone again; of what the check made only that is left which nothing removes.
    assert {left["reason"] for left in report["leftovers"]} <= {
        "the catalogue has no function that deletes it"
    }


def test_target_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, out, err = ran(*line(f"http://127.0.0.1:{port}/api/", "--out", "o"), cwd=tmp_path)
    assert status == 3, out + err
    assert "Traceback" not in out + err
    report = report_in(tmp_path / "o")
    assert [phase["verdict"] for phase in report["phases"]] == ["undecided", "undecided"]
    assert "the check could not be judged" in report["reason"]


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("--fail-on", "regression"), "give the earlier run with --baseline"),
        (("--baseline", "nowhere"), "--baseline cannot read nowhere"),
        (("--target", "https://api.example.com/"), "no test environment"),
        (("--budget", "quick", "--duration", "5m"), "more than the 1 min that budget quick has"),
        (("--budget", "quick", "--for", "3m"), "ask for less, or for another --budget"),
        (("--rule", "ENV-99"), "there is no such rule"),
        (("--rate", "fast"), "is no schedule"),
    ],
)
def test_usage_errors_are_one_line(arguments: tuple[str, ...], reported: str, tmp_path: Path) -> None:
    status, out, err = ran_here("verify", *arguments, cwd=tmp_path)
    assert (status, out) == (2, "")
    assert reported in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "reports").exists()
