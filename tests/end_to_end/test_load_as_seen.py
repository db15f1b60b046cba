"""`conform load --mix-from`: whole loads that follow a capture, and never send a value of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.captures import entry, write_har
from tests.support.judging import serving
from tests.support.recording import PROFILE, Recorder, ran, ran_here, recording, report_in

#: A target that is not asked for anything.
NOBODY = "http://127.0.0.1:9/api/"

#: Every value that the capture has of its users; none of them may be sent.
RECORDED = (
    "tok-5f2c9a7e41d84b06",
    "tok-77aa01bb23cc45dd",
    "maria.lopez@customer.example",
    "Opensesame-4711-private",
    "course-recorded-8812",
    "course-recorded-9934",
    "quarterly layoffs plan",
    "Dr. Maria Lopez teaches",
    "secret-tag-alpha",
    "985413277",
    "X-Recorded-Key",
)


def call(name: str, data: dict[str, Any], at: float, *, token: str | None = RECORDED[0], **more: Any) -> Any:
    sent: dict[str, Any] = {"data": data, **more.pop("paging", {})}
    found = entry(name, more.pop("result", {}), token=token, at=at, more=sent, **more)
    found["request"]["headers"].append({"name": "X-Recorded-Key", "value": RECORDED[1]})
    return found


def capture(file: Path) -> Path:
    """Write a capture of two sessions: 40 calls in 8 seconds, twice as many in its second half."""
    login = {"identity": RECORDED[2], "credential": RECORDED[3]}
    entries = [call("auth.login", login, 0.0, token=None, result={"sessionId": RECORDED[0]})]
    for number in range(12):
        at = 0.2 + number * 0.3
        search = {"query": RECORDED[6], "tags": [RECORDED[8]], "maxPrice": 985413277}
        entries.append(call("course.find", search, at, paging={"pageStart": 0, "pageLength": 7}))
    for number in range(12):
        entries.append(call("course.read", {"courseId": RECORDED[4]}, 4.0 + number * 0.25))
    added = {"title": RECORDED[7], "description": RECORDED[7] * 20, "tags": [RECORDED[8]]}
    for number in range(8):
        at = 4.1 + number * 0.4
        entries.append(call("course.add", added, at, token=RECORDED[1], result={"courseId": RECORDED[5]}))
        entries.append(call("course.remove", {"courseId": RECORDED[5]}, at + 0.1, token=RECORDED[1]))
    entries.append(call("auth.logout", {}, 7.5))
    entries += [call("ghost.walk", {"ghostId": RECORDED[4]}, 7.6), call("ghost.walk", {}, 7.9)]
    return write_har(file, entries)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with serving() as url, recording(url) as found:
        yield found


def load(folder: Path, url: str, *more: str) -> tuple[int, str, str]:
    arguments = ("load", "--target", url, "--profile", PROFILE, "--mix-from", "monday.har")
    return ran(*arguments, "--no-calibration", "--no-color", "--out", "out", *more, cwd=folder)


def planned(folder: Path, *more: str, verb: str = "load", source: str = "monday.har") -> tuple[int, str, str]:
    """Return the status and the output of a command that only plans."""
    arguments: tuple[str | Path, ...] = (
        verb,
        "--target",
        NOBODY,
        "--profile",
        PROFILE,
        "--mix-from",
        source,
        *more,
        "--plan",
    )
    return ran_here(*arguments, cwd=folder)


def assert_nothing_recorded(sent: bytes) -> None:
    for value in RECORDED:
        assert value.encode() not in sent, value


def test_the_load_follows_the_capture_and_sends_nothing_of_it(tmp_path: Path, recorder: Recorder) -> None:
    capture(tmp_path / "monday.har")
    recorder.sent.clear()
    status, out, err = load(
        tmp_path,
        recorder.url,
        "--rate",
        "as-seen",
        "--speed",
        "2x",
        "--warmup",
        "0",
        "--slo",
        "mean < 30s",
        "--slo",
        "errors <= 100%",
    )
    assert status == 0, out + err
    sent = b"".join(recorder.sent)
    assert_nothing_recorded(sent)
    assert_nothing_recorded((tmp_path / "out" / "mix.json").read_bytes())
    report = report_in(tmp_path / "out")
    found = report["load"]
    mix = found["mix_from"]
    assert (mix["source"], mix["calls"]) == ("monday.har", 44)
    assert {each["function"]: each["share"] for each in mix["left_out"]} == pytest.approx(
        {"ghost.walk": 2 / 44, "auth.logout": 1 / 44}
    )
    assert found["total"]["requests"] == 41
    assert found["total"]["errors"] == {}
    for name, share in {"course.find": 12, "course.read": 12, "course.add": 8, "auth.login": 1}.items():
        assert mix["functions"][name]["asked"] == pytest.approx(share / 41)
        assert mix["functions"][name]["reached"] == pytest.approx(share / 41, abs=0.1)
    assert found["schedule"]["text"].startswith("as seen in monday.har at 2x: 41 calls in ")
    assert 3.5 < found["duration"] < 4.5
    shown = " ".join(out.split())
    assert "mix asked for, as in monday.har, and reached: course." in shown
    assert "ghost.walk, 4.5% of the capture's calls: the catalogue does not have it" in shown
    # The shapes: pages of 7 rows, a query as long, one tag, a long description.
    bodies = re.findall(rb'\r\n\r\n(\{"method":"find".*?\})(?=POST|$)', sent, re.DOTALL)
    calls = [json.loads(body) for body in bodies]
    pages = [each for each in calls if each.get("pageLength") == 7]
    assert len(pages) >= 10
    assert {len(each["data"]["query"]) for each in pages} == {len(RECORDED[6])}
    assert {tuple(sorted(each["data"])) for each in pages} == {("maxPrice", "query", "tags")}
    descriptions = re.findall(rb'"description":"([^"]*)"', sent)
    assert {len(each) for each in descriptions} >= {20 * len(RECORDED[7])}


def test_closed_users_walk_the_chains(tmp_path: Path, recorder: Recorder) -> None:
    capture(tmp_path / "monday.har")
    recorder.sent.clear()
    status, out, err = load(
        tmp_path,
        recorder.url,
        "--users",
        "3",
        "--speed",
        "4x",
        "--duration",
        "4s",
        "--slo",
        "mean < 30s",
        "--slo",
        "errors <= 100%",
    )
    assert status == 0, out + err
    assert_nothing_recorded(b"".join(recorder.sent))
    mix = report_in(tmp_path / "out")["load"]["mix_from"]
    reached = {name for name, each in mix["functions"].items() if each["reached"]}
    assert reached >= {"course.add", "course.remove"} or reached >= {"course.find"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--mix", "course.find=1"), "--mix-from and --mix: each says what is called; leave one out"),
        (("--scenario", "student"), "--mix-from and --scenario: each says what is called; leave one out"),
        (("--rate", "5/s", "--speed", "2x"), "--speed 2x: the rate is '5/s'"),
        (("--rate", "as-seen", "--speed", "fast"), "--speed: 'fast' is no speed: write it as 4x or 0.5x"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, options: tuple[str, ...], why: str) -> None:
    capture(tmp_path / "monday.har")
    status, out, err = planned(tmp_path, *options)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert why in err


def test_a_capture_without_calls_of_the_target_is_one_line(tmp_path: Path) -> None:
    write_har(tmp_path / "pages.har", [entry(verb="GET", status=404, body="<html>")])
    write_har(tmp_path / "foreign.har", [entry("ghost.walk")])
    for name, why in (
        ("pages.har", "no call of the protocol is in it"),
        (
            "foreign.har",
            "none of the functions in it can be called (ghost.walk: the catalogue does not have it)",
        ),
        ("missing.har", "there is no such file"),
    ):
        status, out, err = planned(tmp_path, source=name)
        assert (status, out, len(err.splitlines())) == (2, "", 1), err
        assert f"{name}: " in err
        assert why in err


def test_the_plan_shows_shares_and_what_is_left_out(tmp_path: Path) -> None:
    capture(tmp_path / "monday.har")
    status, out, err = planned(tmp_path, "--rate", "as-seen")
    assert status == 0, err
    assert "as seen in monday.har: 41 calls in " in out
    assert "ghost.walk: the catalogue does not have it (4.5%)" in out
    status, out, err = planned(tmp_path, "--read-only")
    assert status == 0, err
    assert "course.add: it does not only read, and this run is read-only (18.2%)" in out


def test_a_verification_takes_it_too(tmp_path: Path) -> None:
    capture(tmp_path / "monday.har")
    status, out, err = planned(tmp_path, "--rule", "NAM-2", verb="verify")
    assert status == 0, err
    assert "ghost.walk: the catalogue does not have it (4.5%)" in out


def test_the_embedded_service_takes_it_too(tmp_path: Path) -> None:
    capture(tmp_path / "monday.har")
    status, out, err = ran_here("load", "--mix-from", "monday.har", "--plan", cwd=tmp_path)
    assert status == 0, err
    assert "ghost.walk: the catalogue does not have it (4.5%)" in out
    assert "course.add" in out
