"""Ctrl-C and other signals: findings are written, created objects are removed, and the status is right."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.judging import serving
from tests.support.processes import Program
from tests.support.recording import PROFILE, ROOT, Recorder, bare_pytest, command, recording, report_in, until


def call(url: str, entity: str, method: str, data: object = None, token: str = "") -> httpx.Response:
    return httpx.post(
        f"{url}{entity}", json={"method": method, "data": data}, headers={"Token": token} if token else {}
    )


def left_behind(url: str) -> list[str]:
    """Return the titles of the run's own courses that its users still have."""
    found: list[str] = []
    for user, secret in (("owner", "Correct-Horse-7-owner"), ("peer", "Battery-Staple-8-peer")):
        data = {"identity": f"{user}@example.com", "credential": secret}
        token = call(url, "auth", "login", data).json()["data"]["sessionId"]
        rows = call(url, "course", "find", {}, token).json()["data"]["courses"]
        found += [row["title"] for row in rows if row["title"].startswith("conform-")]
    return found


def created(recorder: Recorder) -> int:
    return sum(b'"method":"add"' in data for data in recorder.sent)


def amid_creates(recorder: Recorder, folder: Path) -> Program:
    """Return a check that has made some objects and is making more."""
    process = command(
        "check",
        "--target",
        recorder.url,
        "--profile",
        PROFILE,
        "--rule",
        "STA-5",
        "--out",
        "o",
        cwd=folder,
    )
    until(lambda: created(recorder) > 10)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_objects_are_removed_and_sessions_ended(number: signal.Signals, tmp_path: Path) -> None:
    with serving() as url, recording(url) as recorder:
        process = command(
            "check",
            "--target",
            recorder.url,
            "--profile",
            PROFILE,
            "--area",
            "STA",
            "--out",
            "o",
            cwd=tmp_path,
        )
        until(lambda: created(recorder) > 12)
        process.send_signal(number)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 130, out + err
        assert "Traceback" not in out + err
        assert left_behind(url) == []
        assert len(recorder.sessions) >= 2
        for session in recorder.sessions:
            assert call(url, "auth", "status", token=session).status_code == 401
    found = report_in(tmp_path / "o")
    assert found["interrupted"]
    assert found["verdict"] == "undecided"
    assert "interrupted" in out
    assert {left["kind"] for left in found["leftovers"]} <= {"payment", "message"}
    assert (tmp_path / "o" / "junit.xml").is_file()


def test_second_one_ends_the_clean_up_and_keeps_the_report(tmp_path: Path) -> None:
    with serving() as url, recording(url, lambda data: 3.0 * (b'"method":"remove"' in data)) as recorder:
        process = amid_creates(recorder, tmp_path)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        reported = process.stderr.readline()
        assert reported.startswith("interrupted: removing what the run made")
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 130, out + err
        assert "Traceback" not in out + err
    found = report_in(tmp_path / "o")
    assert found["interrupted"]
    # The whole clean-up would take more than 3 s for each of ten objects.
    reported_of = [left for left in found["leftovers"] if left["reason"] == "the clean-up was interrupted"]
    assert reported_of
    assert len({(left["kind"], left["id"]) for left in found["leftovers"]}) == len(found["leftovers"])


def test_impatient_hand_is_one_interruption(tmp_path: Path) -> None:
    with serving() as url, recording(url) as recorder:
        process = amid_creates(recorder, tmp_path)
        for _ in range(4):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 130, out + err
        assert left_behind(url) == []
    assert "Traceback" not in out + err
    assert report_in(tmp_path / "o")["interrupted"]


def test_target_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = command(
            "check",
            "--target",
            f"http://127.0.0.1:{listener.getsockname()[1]}/api/",
            "--out",
            "o",
            cwd=tmp_path,
        )
        connection, _ = listener.accept()
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
        # Each of thousands of calls that is waited for takes 10 s.
        assert time.monotonic() - before < 240
        connection.close()
    assert process.returncode == 130, out + err
    assert report_in(tmp_path / "o")["interrupted"]


def test_plan_that_is_interrupted_shows_none(tmp_path: Path) -> None:
    process = command("check", "--plan", "--budget", "deep", cwd=tmp_path)
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, out, err) == (130, "", "")


def test_bare_pytest_is_interrupted_alike(tmp_path: Path) -> None:
    with serving() as url, recording(url) as recorder:
        process = bare_pytest(
            ROOT / "conformance", "--target", recorder.url, "--rule", "STA-5", "--profile", PROFILE, "--out", "o",
            cwd=tmp_path, stderr=subprocess.STDOUT,
        )  # fmt: skip
        until(lambda: created(recorder) > 10)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 130, out
        assert left_behind(url) == []
    assert report_in(tmp_path / "o")["interrupted"]
    assert "undecided  interrupted before the end" in out


def test_target_that_dies_in_the_middle(tmp_path: Path) -> None:
    text = PROFILE.read_text("utf-8").replace("[target]", "[target]\ntimeout = 1.0", 1)
    (tmp_path / "conform.toml").write_text(text, encoding="utf-8")
    (tmp_path / "coursio.openrpc.json").write_bytes(PROFILE.with_name("coursio.openrpc.json").read_bytes())
    service = subprocess.Popen(
        [sys.executable, "-m", "fixtures.service", "--ready-line", "--exit-with-parent"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    assert service.stdin is not None
    url = service.stdout.readline().split('"')[3]
    with recording(url) as recorder:
        process = command(
            "check",
            "--target",
            recorder.url,
            "--area",
            "PAG",
            "--out",
            "o",
            cwd=tmp_path,
        )
        until(lambda: created(recorder) > 5)
        service.kill()
        service.wait()
        recorder.socket.close()
        out, err = process.communicate(timeout=600)
    service.stdout.close()
    service.stdin.close()
    assert process.returncode == 3, out + err
    found = report_in(tmp_path / "o")
    assert found["verdict"] == "undecided"
    assert "stopped answering" in found["reason"]


def test_bar_on_a_terminal_and_nothing_of_it_elsewhere(tmp_path: Path) -> None:
    """A terminal gets a bar and colours; with CI set, a terminal gets plain lines."""
    for environment, live in (({}, True), ({"CI": "1", "NO_COLOR": "1"}, False)):
        ours, theirs = pty.openpty()
        base = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "conform.py"), "check", "--rule", "NAM-2", "--out", "o"],
            cwd=tmp_path,
            env={**base, "TERM": "xterm", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:
                break
            if not part:
                break
            shown += part
        os.close(ours)
        assert process.wait(300) == 0
        assert b"passes what was judged" in shown
        assert (b"\x1b[" in shown) is live
        assert bool(re.search(rb"\r(?!\n)", shown)) is live
