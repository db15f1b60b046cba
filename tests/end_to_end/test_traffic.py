"""Recorded traffic is judged from the command line, and what passes `conform watch` is recorded."""

from __future__ import annotations

from pathlib import Path

from tests.support.captures import BASE, entry, write_har
from tests.support.recording import ran_here, report_in

PROFILE = Path(__file__).resolve().parents[2] / "fixtures" / "service" / "conform.toml"


def test_a_capture_is_judged(tmp_path: Path) -> None:
    elsewhere = entry(url="https://app.example.test/", verb="GET", body="<html></html>")
    good = entry("course.seek", None, status=404, message="Function doesn't exist")
    bad = entry("user.seek", None, status=404, message=" ", at=1)
    write_har(tmp_path / "good.har", [good, elsewhere])
    write_har(tmp_path / "bad.har", [good, bad])

    status, out, err = ran_here("judge", "good.har", "--out", "good", cwd=tmp_path)
    assert (status, err) == (0, "")
    assert out.startswith("passes what was judged: ")
    report = report_in(tmp_path / "good")
    assert (report["verb"], report["target"]["url"], report["requests"]) == ("judge", BASE, 1)
    assert any(
        "1 request elsewhere passed over: https://app.example.test (1)" in note for note in report["notes"]
    )

    arguments = ("check", "--har", "bad.har", "--profile", PROFILE, "--out", "bad", "--quiet")
    status, out, err = ran_here(*arguments, cwd=tmp_path)
    assert (status, err) == (1, "")
    report = report_in(tmp_path / "bad")
    assert [rule["id"] for rule in report["rules"] if rule["verdict"] == "fail"] == ["ENV-5"]
    unknown = "a function that the catalogue does not have"
    assert [(each["function"], each["kind"]) for each in report["client_findings"]] == [
        ("course.seek", unknown),
        ("user.seek", unknown),
    ]
    for name in ("report.html", "report.md"):
        assert "What clients sent wrong" in (tmp_path / "bad" / name).read_text("utf-8")


def test_a_broken_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "cut.har").write_text('{"log": {"entries": [', "utf-8")
    status, out, err = ran_here("judge", "cut.har", cwd=tmp_path)
    assert (status, out) == (2, "")
    where = "conform judge: cut.har: line 1, column 22: is not JSON (Expecting value)"
    assert err == f"{where}: the file ends too early; save it again\n"
    status, _, err = ran_here("check", "--har", "cut.har", "--plan", cwd=tmp_path)
    assert status == 2
    assert "--plan is for requests of a check's own" in err
