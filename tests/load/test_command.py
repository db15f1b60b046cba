"""`conform load`: what it refuses, what it says beforehand, and whole loads with Locust in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from conformance.protocol.profile_reader import load as load_profile
from load import command as front
from load.calibration import ANSWER, CalibrationServer, measure
from load.command import Locust, environment, plan_text, samples_short
from load.options import Settings, Wish, add_arguments, calibration_of, settle
from tests.support.judging import serving
from tests.support.processes import Program
from tests.support.recording import PROFILE, ROOT, command, ran_here, report_in, until

URL = "http://127.0.0.1:1/api/"


def wish(*arguments: str) -> Wish:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return Wish.of(parser.parse_args(arguments))


def profile(folder: Path, *lines: str) -> Profile:
    path = folder / "p.toml"
    path.write_text("\n".join([f'[target]\nurl = "{URL}"\nenvironment = "test"', "[load]", *lines]), "utf-8")
    return load_profile(path)


def settled(*arguments: str, given: Profile | None = None) -> Settings:
    return settle(wish(*arguments), given or Profile.empty(URL))


# --- options --------------------------------------------------------------------------------------------------


def test_what_is_usual() -> None:
    usual = settled()
    assert usual.scenario.name == "steady"
    assert usual.schedule is not None
    assert (usual.schedule.rate(1), usual.seconds, usual.warmup) == (10, 60, 5)
    assert (usual.users, usual.connections, usual.workers) == (20, 256, 1)
    assert usual.open


def test_profile_says_what_the_command_line_does_not(tmp_path: Path) -> None:
    given = profile(
        tmp_path,
        'scenario = "student"',
        'rate = "ramp 10/s to 200/s"',
        'duration = "30s"',
        "users = 7",
        'slo = ["p95 < 300ms"]',
        'abort_when = ["errors > 50% over 5s"]',
        'warmup = "2s"',
        "connections = 32",
        "workers = 2",
        "ceiling = 500",
    )
    found = settled(given=given)
    assert found.scenario.name == "student"
    assert found.schedule is not None
    assert (found.schedule.kind, found.schedule.peak, found.seconds) == ("ramp", 200, 30)
    assert (found.users, found.warmup, found.connections, found.workers) == (7, 2, 32, 2)
    assert (found.slos, found.aborts) == (("p95 < 300ms",), ("errors > 50% over 5s",))
    assert found.rate_limit == 500
    over = settled("--rate", "50/s", "--slo", "mean < 1s", "--duration", "10s", given=given)
    assert over.schedule is not None
    assert (over.schedule.rate(1), over.seconds, over.slos) == (50, 10, ("mean < 1s",))


def test_users_alone_are_closed(tmp_path: Path) -> None:
    given = profile(tmp_path, "rate = 200")
    closed = settled("--users", "5", "--think", "0.5s..2s", given=given)
    assert (closed.open, closed.users, closed.think) == (False, 5, (0.5, 2))
    assert "closed" in closed.text
    assert settled("--users", "5", "--rate", "200/s", given=given).open
    assert settled("--users", "5", "--search", "10/s to 20/s", given=given).open
    assert not settled(given=profile(tmp_path, "users = 5")).open
    assert settled(given=profile(tmp_path, "users = 5", "rate = 3")).open


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (("--scenario", "stedy"), "there is no scenario 'stedy'; did you mean \"steady\"?"),
        (("--rate", "fast"), "--rate: 'fast' is no schedule"),
        (("--rate", "0/s"), "--rate"),
        (("--duration", "ten"), "--duration: 'ten' is not a duration"),
        (("--rate", "5/s for 3s", "--duration", "9s"), "says itself how long it goes on"),
        (("--rate", "5/s", "--search", "1/s to 2/s"), "give one of the two"),
        (("--search", "1/s"), "--search"),
        (("--search", "1/s to 2/s", "--warmup", "3s"), "a search has no warm-up"),
        (("--warmup", "60s"), "leave nothing to measure"),
        (("--slo", "p95 < 300"), "--slo: 'p95 < 300' is no SLO"),
        (("--slo", "p95 < 3s", "--slo", "p101 < 3s"), "--slo: 'p101 < 3s' is no SLO"),
        (("--abort-when", "errors > x"), "--abort-when"),
        (("--mix", "course.find=many"), "--mix: 'course.find=many' is no share"),
        (("--mix", "course.find=0"), "no function has a share above 0"),
        (("--think", "3s..1s"), "ends before it begins"),
        (("--connections", "1", "--workers", "2"), "too few for 2 workers"),
    ],
)
def test_nonsense_is_one_line(arguments: tuple[str, ...], given: str) -> None:
    with pytest.raises(UsageError) as caught:
        settled(*arguments)
    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", [(), ("--rate", "600/s"), ("--search", "10/s to 600/s")])
def test_rate_limit_is_never_exceeded(arguments: tuple[str, ...], tmp_path: Path) -> None:
    given = profile(tmp_path, "rate = 501", "ceiling = 500")
    with pytest.raises(UsageError, match=r"more than the ceiling of 500/s .*\[load\] ceiling"):
        settled(*arguments, given=given)


def test_unknown_function_is_suggested() -> None:
    with pytest.raises(UsageError, match=r'no function course.fnd; did you mean "course.find"'):
        settle(wish("--mix", "course.fnd=1"), Profile.empty(URL), ["course.find"])


def test_production_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    for lines in (
        '[target]\nurl = "https://api.example.com/"',
        '[target]\nurl = "https://api.example.com/"\nenvironment = "production"',
        '[target]\nurl = "https://api.example.com/"\nenvironment = "test"\nproduction = ["api.example.com"]',
    ):
        path.write_text(lines, "utf-8")
        with pytest.raises(UsageError):
            load_profile(path).refuse_load()
    Profile.empty(URL).refuse_load()


def test_calibration_goes_from_front_to_front() -> None:
    assert calibration_of("18000,12.5") == (18000, 12.5)
    assert calibration_of(None) is None
    with pytest.raises(UsageError):
        calibration_of("18000")


# --- the command of Locust ------------------------------------------------------------------------------------


def locust(folder: Path, *arguments: str, url: str = URL, **virtual_users: Any) -> Locust:
    asked = wish(*arguments)
    found = settle(asked, Profile.empty(URL))
    return Locust(asked, found, PROFILE, url, 7, folder / "locust.log", **virtual_users)


def test_locust_is_reported_to_do_the_same(tmp_path: Path) -> None:
    line = locust(
        tmp_path, "--rate", "ramp 1/s to 9/s", "--slo", "p95 < 1s", "--users", "4", "--workers", "3"
    ).line()
    assert "--rate=ramp 1/s to 9/s" in line
    assert "--slo=p95 < 1s" in line
    assert line.count("--users=4") == 1
    assert "--seed=7" in line
    assert "--processes=3" in line
    # Open arrivals stay open beside Locust's own --users, also where the rate was nobody's wish.
    assert "--rate=10/s" in locust(tmp_path).line()
    assert not any(one.startswith("--rate") for one in locust(tmp_path, "--users", "4").line())
    assert "--search=search 1/s to 2/s" in locust(tmp_path, "--search", "1/s to 2/s").line()


def test_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    url = "http://someone:hush@127.0.0.1:1/api/"
    started = locust(tmp_path, url=url)
    assert "hush" not in " ".join(started.line())
    assert environment(url)["LOCUST_HOST"] == url


def test_environment_of_whoever_calls_does_not_change_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_RUN_TIME", "1s")
    monkeypatch.setenv(front.EVENTS, "elsewhere")
    variables = environment(URL)
    assert "LOCUST_RUN_TIME" not in variables
    assert front.EVENTS not in variables


def test_short_load_is_reported_which_slos_it_cannot_judge() -> None:
    found = settled("--rate", "100/s", "--duration", "10s", "--slo", "p95 < 1s", "--slo", "p99.9 < 1s")
    (short,) = samples_short(found)
    assert short.startswith("p99.9 < 1s needs 10,000 requests to be judged, and about 900")


def test_plan_says_what_would_be_sent() -> None:
    catalog = Catalog.load(ROOT / "fixtures" / "service" / "coursio.openrpc.json")
    found = settled("--rate", "100/s", "--duration", "10s", "--slo", "p95 < 1s")
    text = plan_text(found, catalog, URL, {"course.find": 3.0, "course.add": 1.0}, [("x.y", "why")])
    assert "1,000, of which 100 in the warm-up" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["course.find", "75.0%", "675", "requests", "read"] in rows
    assert ["course.add", "25.0%", "225", "requests", "write"] in rows
    assert "left out     x.y: why" in text
    assert text.endswith("nothing was sent")


# --- calibration ----------------------------------------------------------------------------------------------


def test_null_server_answers_every_request() -> None:
    with (
        CalibrationServer() as url,
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))) as line,
    ):
        body = b'{"method":"find","data":{}}'
        request = b"POST /course HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        line.settimeout(10)
        for pieces in ((request,), (request[:20], request[20:]), (request + request[:40], request[40:])):
            for piece in pieces:
                line.sendall(piece)
            wanted = ANSWER * (b"".join(pieces).count(body))
            got = b""
            while len(got) < len(wanted):
                got += line.recv(65_536)
            assert got == wanted


def test_calibration_measures_the_generator() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "load.calibration", "measure", "--seconds", "0.2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    measured = json.loads(found.stdout)
    assert measured["rate"] > 0
    assert measured["cpu_us"] > 0
    assert callable(measure)


# --- whole loads ------------------------------------------------------------------------------------------------


def loading(url: str, folder: Path, *arguments: str, calibrated: bool = False, **options: Any) -> Program:
    more = () if calibrated else ("--no-calibration",)
    target = ("--target", url, "--profile", PROFILE)
    return command("load", *target, "--out", "o", *more, *arguments, cwd=folder, **options)


def events_in(folder: Path) -> list[dict[str, Any]]:
    path = folder / "o" / "events.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def seconds_in(folder: Path) -> int:
    return sum(event["event"] == "second" for event in events_in(folder))


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with serving() as url:
        yield url


def test_load_end_to_end(service: str, tmp_path: Path) -> None:
    process = loading(
        service, tmp_path, "--rate", "60/s", "--duration", "3s", "--slo", "nonconformant = 0", "--slo", "p50 < 9s",
        calibrated=True,
    )  # fmt: skip
    out, err = process.communicate(timeout=600)
    report = report_in(tmp_path / "o")
    load = report["load"]
    # On a busy machine the generator may be late, which it says; the rest is so in any case.
    assert process.returncode == (0 if load["health"]["valid"] else 3), out + err
    assert load["total"]["requests"] + load["warmed"]["requests"] == 180
    assert load["total"]["requests"] == sum(counts["requests"] for counts in load["functions"].values())
    assert load["total"]["due"]["count"] == load["total"]["requests"]
    assert sum(second["done"] for second in load["series"]) == 180
    # The third is the default for errors; an unfit generator passes none.
    assert [slo["text"] for slo in load["slos"]][2] == "errors < 1%"
    assert {slo["verdict"] for slo in load["slos"]} == {"pass" if load["health"]["valid"] else "not judged"}
    assert load["health"]["calibration"]["rate"] > 0
    assert {"course.find", "course.read", "course.add"} <= set(load["functions"])
    assert all(counts["broken"] == 0 for counts in load["rules"].values())
    assert load["rules"]["ENV-1"]["judged"] >= 180
    assert report["leftovers"] == []
    assert "course.find" in out
    assert "asked" in err
    assert "Traceback" not in out + err
    written = b"".join(path.read_bytes() for path in (tmp_path / "o").iterdir()).decode("utf-8", "replace")
    assert "Correct-Horse-7-owner" not in written


def test_configuration_of_locust_does_not_change_the_load(service: str, tmp_path: Path) -> None:
    """Neither the home folder's nor the run's own folder's configuration files, nor the environment, count."""
    # Any one of these would end the load, or change it.
    option = "no-such = 1\nmaster = true\nrun-time = 1s\nusers = 3\nheadful = true"
    home, out = tmp_path / "home", tmp_path / "o"
    for folder, name in ((home, ".locust.conf"), (out, "locust.conf"), (tmp_path, "locust.conf")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(option + "\n", "utf-8")
    (out / "pyproject.toml").write_text('[tool.locust]\nrun-time = "1s"\n', "utf-8")
    # A module that has the name of one that is imported.
    (out / "locust.py").write_text("raise SystemExit(9)\n", "utf-8")
    environ = {**os.environ, "HOME": str(home), "LOCUST_RUN_TIME": "1s", "LOCUST_MODE_MASTER": "true"}
    process = loading(service, tmp_path, "--rate", "20/s", "--duration", "2s", env=environ)
    out_text, err = process.communicate(timeout=600)
    load = report_in(out)["load"]
    assert process.returncode in (0, 3), out_text + err
    assert load["workers"] == 1
    assert load["total"]["requests"] + load["warmed"]["requests"] == 40


def test_workers_that_do_not_come_are_waited_for_no_longer_than_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(front, "MAX_WAIT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    master = locust(tmp_path, "--workers", "3", master=True, port=port)
    assert master.awaited is not None
    assert f"waiting for 3 workers on port {port}, for 2 s at most" in master.awaited
    with front.Interrupts() as interrupts:
        problem = front.carry_out(master, lambda event: None, interrupts)
    assert problem is not None
    assert "before the load began" in problem
    assert "0 of 3 workers were ready after 2 s" in problem
    assert locust(tmp_path, "--workers", "3").awaited is None
    assert "--expect-workers-max-wait=60" in locust(tmp_path, "--workers", "3").line()


def test_missed_slo_or_unfit_generator_never_passes(service: str, tmp_path: Path) -> None:
    process = loading(
        service, tmp_path, "--rate", "60/s", "--duration", "4s", "--slo", "p50 < 1us", "--quiet"
    )
    out, err = process.communicate(timeout=600)
    report = report_in(tmp_path / "o")
    # Fit or not, no generator takes a microsecond to see an answer.
    missed, default = report["load"]["slos"]
    assert process.returncode == (1 if missed["verdict"] == "fail" else 3), out + err
    assert missed["verdict"] in ("fail", "not judged")
    assert (missed["default"], default["default"]) == (False, True)
    assert len(out.splitlines()) == 1
    assert err == "" or err.startswith("note")


@pytest.mark.thorough
def test_workers_bring_together_what_they_sent(service: str, tmp_path: Path) -> None:
    process = loading(service, tmp_path, "--rate", "50/s", "--duration", "3s", "--workers", "2")
    out, err = process.communicate(timeout=600)
    load = report_in(tmp_path / "o")["load"]
    assert process.returncode in (0, 3), out + err
    assert load["workers"] == 2
    assert len(load["health"]["workers"]) == 2
    assert load["total"]["requests"] + load["warmed"]["requests"] == 150


def test_broken_rule_is_shown_with_its_exchange(tmp_path: Path) -> None:
    with serving("--fault", "envelope.flag-is-zero") as url:
        process = loading(url, tmp_path, "--rate", "40/s", "--duration", "2s", "--mix", "course.read=1")
        out, err = process.communicate(timeout=600)
    assert process.returncode == 1, out + err
    report = report_in(tmp_path / "o")
    (broken,) = [rule for rule in report["rules"] if rule["verdict"] == "fail"]
    assert broken["id"] == "ENV-2"
    assert broken["findings"][0]["count"] == report["load"]["rules"]["ENV-2"]["broken"] > 1
    assert "✗ ENV-2" in out
    assert "Token: ***" in out


def test_interruption_ends_the_load_and_keeps_what_was_found(service: str, tmp_path: Path) -> None:
    process = loading(service, tmp_path, "--rate", "40/s", "--duration", "60s")
    until(lambda: seconds_in(tmp_path) > 1, 60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    report = report_in(tmp_path / "o")
    assert report["interrupted"]
    assert report["load"]["complete"]
    assert report["load"]["total"]["requests"] + report["load"]["warmed"]["requests"] > 40
    assert report["leftovers"] == []


def locust_of(folder: Path, process: Program) -> int:
    """Return the process id of the Locust that a front has started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for child in path.read_text().split():
        if b"locustfile.py" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise AssertionError("no Locust runs")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the process by /proc")
def test_killed_locust_is_one_line_and_a_report(service: str, tmp_path: Path) -> None:
    process = loading(service, tmp_path, "--rate", "40/s", "--duration", "60s", "--warmup", "0s")
    until(lambda: seconds_in(tmp_path) > 1, 60)
    os.kill(locust_of(tmp_path, process), signal.SIGKILL)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 3, out + err
    assert "Traceback" not in out + err
    assert "conform load: Locust ended in the middle of the load (killed by signal 9)" in err
    load = report_in(tmp_path / "o")["load"]
    assert not load["complete"]
    assert load["total"]["due"]["count"] == load["total"]["requests"] > 0


def test_target_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = loading(f"http://127.0.0.1:{port}/api/", tmp_path, "--duration", "2s")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 3, out + err
    assert "Traceback" not in out + err
    assert "refused" in report_in(tmp_path / "o")["reason"]


LISTENER = """
from locust import events

@events.quit.add_listener
def told(exit_code, **more):
    open({path!r}, "w").write(str(count))

count = 0

@events.request.add_listener
def heard(name, response_time, exception, **more):
    global count
    count += response_time > 0 and exception is None
"""


def test_bare_locust_takes_the_same_options_and_reports_its_listeners(service: str, tmp_path: Path) -> None:
    (tmp_path / "listener.py").write_text(LISTENER.format(path=str(tmp_path / "count")), "utf-8")
    files = f"{ROOT / 'load' / 'locustfile.py'},{tmp_path / 'listener.py'}"
    line = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        files,
        "--headless",
        "--host",
        service,
        "--profile",
        str(PROFILE),
    ]
    line += [
        "--rate",
        "40/s",
        "--duration",
        "2s",
        "--slo",
        "errors = 0",
        "--csv",
        "figures",
        "--only-summary",
    ]
    environ = os.environ | {front.EVENTS: str(tmp_path / "events.jsonl"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=600)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines()]
    (end,) = [event for event in events if event["event"] == "load-end"]
    assert done.returncode in (0, 3), done.stderr
    sent = end["total"]["requests"] + end["warmed"]["requests"]
    assert sent == 80
    assert (tmp_path / "count").read_text() == "80"
    rows = (tmp_path / "figures_stats.csv").read_text().splitlines()
    assert rows[-1].split(",")[1:4] == ["Aggregated", "80", "0"]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (("--rate", "fast"), "--rate: 'fast' is no schedule"),
        (("--target", "https://api.example.com/"), "no test environment"),
        (("--mix", "course.fnd=1"), 'did you mean "course.find"'),
        (("--master",), "give --target or --profile"),
        (("--users", "0"), "no number from 1 on"),
    ],
)
def test_usage_errors_are_one_line(arguments: tuple[str, ...], given: str, tmp_path: Path) -> None:
    status, out, err = ran_here("load", *arguments, cwd=tmp_path)
    assert status == 2
    assert out == ""
    assert given in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "reports").exists()


def test_plan_sends_nothing(tmp_path: Path) -> None:
    status, out, err = ran_here("load", "--plan", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert "course.find   60.0%" in out
    assert not (tmp_path / "reports").exists()
