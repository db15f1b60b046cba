"""Storage of a run: a disk that is full or fills up, a folder that cannot be made, a run that is killed.

What was found by then is shown, and is in the report wherever one can be written. (Ctrl-C and SIGTERM by themselves
are in test_command_interrupt.)
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.model.builder import build
from reports.model.event_log import read_events
from reports.model.files import validate, write_report
from tests.support.judging import serving
from tests.support.recording import (
    MAX_SECONDS,
    PROFILE,
    ROOT,
    command,
    ran,
    ran_bare_pytest,
    report_in,
    until,
)
from tests.support.signalling import ignores_hangups, limits_file_size

FAULT = "http.patch-says-success"


@pytest.fixture(scope="module")
def faulty() -> Iterator[str]:
    with serving("--fault", FAULT) as url:
        yield url


def check(url: str, *options: str | Path, out: str | Path = "o") -> list[str | Path]:
    return ["check", "--target", url, "--profile", PROFILE, "--budget", "quick", "--out", out, *options]


def findings(report: dict[str, Any], rule: str = "HTTP-2") -> list[Any]:
    return next(list(each["findings"]) for each in report["rules"] if each["id"] == rule)


def found_in(log: Path) -> bool:
    return log.exists() and b'"event":"finding","rule":"HTTP-2"' in log.read_bytes()


def test_a_disk_that_fills_up_later(faulty: str, tmp_path: Path) -> None:
    arguments = check(faulty, "--rule", "HTTP-2", "--rule", "REQ-7")
    status, out, err = ran(*arguments, cwd=tmp_path, preexec_fn=limits_file_size(250_000))
    assert status == 1, out + err
    assert "Traceback" not in out + err
    assert len(err.splitlines()[-1:]) == 1
    assert "cannot write o/events.jsonl: File too large" in err.splitlines()[-1]
    assert "the suite itself failed" not in out + err
    # The closing screen, the report and what is read from the log again agree on what was found.
    assert "HTTP-2 must" in out
    assert "this machine: cannot write" in out
    report = report_in(tmp_path / "o")
    assert findings(report)
    assert not report["interrupted"]
    again = build(read_events(tmp_path / "o" / "events.jsonl"))
    validate(again)
    assert findings(again)


def test_a_disk_that_fills_up_before_anything_failed(tmp_path: Path) -> None:
    status, out, err = ran(
        "check",
        "--rule",
        "REQ-7",
        "--rule",
        "REQ-8",
        "--out",
        "o",
        cwd=tmp_path,
        preexec_fn=limits_file_size(300_000),
    )
    assert status == 3, out + err
    assert out.startswith("undecided  cannot write o/events.jsonl")
    assert report_in(tmp_path / "o")["verdict"] == "undecided"


def test_a_disk_with_no_room_for_a_report(faulty: str, tmp_path: Path) -> None:
    """Nothing is written but a part of the log; what was found is on the screen, and `report` can be made later."""
    arguments = check(faulty, "--rule", "HTTP-2")
    status, out, err = ran(*arguments, cwd=tmp_path, preexec_fn=limits_file_size(90_000))
    assert status in (1, 3), out + err
    assert "Traceback" not in out + err
    assert "cannot write o/" in err
    assert "undecided" in out or "HTTP-2 must" in out
    validate(write_report(tmp_path / "o"))


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "events.jsonl").symlink_to("/dev/full")
    status, out, err = ran("check", "--rule", "NAM-2", "--out", "o", cwd=tmp_path)
    assert (status, out) == (2, "")
    assert err == "conform check: --out o: cannot write o/events.jsonl: No space left on device\n"


def _file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "o"


def _folder_in_its_place(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "o" / name / "more").mkdir(parents=True)
        return folder / "o"

    return make


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(_file, id="under a file"),
        pytest.param(lambda folder: Path("/proc/o"), id="no files there"),
        pytest.param(lambda folder: folder / ("o" * 300), id="too long a name"),
        pytest.param(_folder_in_its_place("events.jsonl"), id="a folder is its log"),
        pytest.param(_folder_in_its_place("report.json"), id="a folder is its report"),
    ],
)
def test_a_place_that_cannot_be_written_to(place: Callable[[Path], Path], tmp_path: Path) -> None:
    out = place(tmp_path)
    status, shown, err = ran("check", "--rule", "NAM-2", "--out", out, cwd=tmp_path)
    assert (status, shown) == (2, "")
    assert err.startswith(f"conform check: --out {out}: ")
    assert len(err.splitlines()) == 1


def test_a_folder_that_goes_away(faulty: str, tmp_path: Path) -> None:
    process = command(*check(faulty, "--area", "HTTP"), cwd=tmp_path)
    until(lambda: found_in(tmp_path / "o" / "events.jsonl"))
    # At once: what is written meanwhile would keep a folder that is emptied file by file.
    (tmp_path / "o").rename(tmp_path / "away")
    shutil.rmtree(tmp_path / "away")
    out, err = process.communicate(timeout=MAX_SECONDS)
    assert "Traceback" not in out + err
    assert process.returncode == 3, out + err
    assert len(err.splitlines()) >= 1
    assert err.splitlines()[-1].startswith("conform check: cannot ")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_found_outlives_the_run(number: signal.Signals, faulty: str, tmp_path: Path) -> None:
    # By all rules: the run is far from its end when the first finding is there.
    process = command(*check(faulty), cwd=tmp_path)
    log = tmp_path / "o" / "events.jsonl"
    until(lambda: found_in(log))
    process.send_signal(number)
    out, err = process.communicate(timeout=MAX_SECONDS)
    gentle = number in (signal.SIGINT, signal.SIGTERM)
    assert process.returncode == (130 if gentle else -number), out + err
    assert "Traceback" not in out + err
    if not gentle:
        assert not (tmp_path / "o" / "report.json").exists()
    report = write_report(tmp_path / "o")
    validate(report)
    assert report["interrupted"]
    assert findings(report)
    assert report["verdict"] == "nonconformant"
    assert report_in(tmp_path / "o") == json.loads(json.dumps(report))


def test_a_check_under_nohup_goes_on(faulty: str, tmp_path: Path) -> None:
    """Whoever starts a run with SIGHUP ignored wants it to outlive the terminal."""
    arguments = check(faulty, "--rule", "HTTP-2", "--rule", "REQ-7")
    process = command(*arguments, cwd=tmp_path, preexec_fn=ignores_hangups)
    until(lambda: found_in(tmp_path / "o" / "events.jsonl"))
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=MAX_SECONDS)
    assert process.returncode == 1, out + err
    report = report_in(tmp_path / "o")
    assert not report["interrupted"]
    assert findings(report)


def test_a_load_under_nohup_goes_on(tmp_path: Path) -> None:
    with serving() as url:
        process = command(
            *("load", "--target", url, "--profile", PROFILE, "--out", "o", "--no-calibration"),
            *("--rate", "20/s", "--duration", "4s"),
            cwd=tmp_path,
            preexec_fn=ignores_hangups,
        )
        log = tmp_path / "o" / "events.jsonl"
        until(lambda: log.exists() and b'"event":"second"' in log.read_bytes())
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=MAX_SECONDS)
    assert process.returncode in (0, 3), out + err
    report = report_in(tmp_path / "o")
    assert not report["interrupted"]
    assert report["load"]["seconds"] == 4
    assert report["leftovers"] == []


def test_a_report_that_is_not_there_is_not_named(faulty: str, tmp_path: Path) -> None:
    status, out, err = ran(
        *check(faulty, "--rule", "HTTP-2"), cwd=tmp_path, preexec_fn=limits_file_size(90_000)
    )
    assert status in (1, 3), out + err
    assert ("report.json" in out) is (tmp_path / "o" / "report.json").is_file()


def test_a_log_that_ends_in_the_middle_of_anything(faulty: str, tmp_path: Path) -> None:
    """Wherever a killed run's log was cut off, a report comes of it, and no finding that it holds is lost."""
    status, out, err = ran(*check(faulty, "--rule", "HTTP-2"), cwd=tmp_path)
    assert status == 1, out + err
    whole = (tmp_path / "o" / "events.jsonl").read_bytes()
    first = whole.index(b"\n") + 1
    found = whole.index(b'"event":"finding","rule":"HTTP-2"')
    reported = whole.index(b"\n", found) + 1
    for size in (first, first + 1, (first + found) // 2, found, reported, reported + 7, len(whole) - 1):
        (tmp_path / "o" / "events.jsonl").write_bytes(whole[:size])
        report = write_report(tmp_path / "o")
        validate(report)
        assert report["interrupted"] or size >= len(whole) - 1
        assert bool(findings(report)) or size < reported


def test_bare_pytest_says_what_it_could_not_write(faulty: str, tmp_path: Path) -> None:
    status, out, err = ran_bare_pytest(
        ROOT / "conformance", "--target", faulty, "--profile", PROFILE, "--rule", "HTTP-2", "--budget", "quick",
        "--out", "o", "-q", "--seed", "1", cwd=tmp_path, preexec_fn=limits_file_size(400_000),
    )  # fmt: skip
    assert status == 1, out + err
    assert "cannot write o/events.jsonl: File too large" in err
    with contextlib.suppress(FileNotFoundError):
        assert findings(report_in(tmp_path / "o"))
