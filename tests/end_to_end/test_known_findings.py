"""`--baseline-findings`: findings of an earlier run are known; new ones fail, and those that are gone are listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from reports.model.files import exit_status
from reports.model.store import Stored, known_findings
from reports.render import junit, markdown
from reports.render.html import page as html
from reports.render.terminal import closing_screen as screen
from tests.support.judging import serving_here
from tests.support.recording import PROFILE, ran, ran_here, report_in
from tests.support.run_events import ALL, END, Event, finding, header, report_of, rule_of, waiver


def known(*findings: tuple[str, str | None, str]) -> dict[str, Any]:
    keys = ("rule", "function", "kind")
    return {"from": "runs/first", "findings": [dict(zip(keys, each, strict=True)) for each in findings]}


def reported(
    *findings: tuple[str, str | None, str], events: tuple[Event, ...], **members: Any
) -> dict[str, Any]:
    return report_of(header(known=known(*findings), **members), ALL, *events, END)


READ = ("ENV-1", "course.read", "blank")


def test_known_finding_does_not_fail() -> None:
    report = reported(READ, events=(finding("ENV-1"),))
    assert exit_status(report) == 0
    rule = rule_of(report, "ENV-1")
    assert (rule["verdict"], rule["reason"]) == ("waived", "known from runs/first")
    assert rule["findings"][0]["known"] is True
    assert report["reason"].endswith("1 known finding")
    assert [one["function"] for one in report["known"]["seen"]] == ["course.read"]
    assert report["known"]["gone"] == []


@pytest.mark.parametrize(
    "new",
    [finding("ENV-1", "course.find"), finding("ENV-1", kind="missing"), finding("ENV-1", None)],
    ids=["another function", "another kind", "no function"],
)
def test_new_finding_fails_beside_a_known_one(new: Event) -> None:
    report = reported(READ, events=(finding("ENV-1"), new))
    assert exit_status(report) == 1
    assert [f["known"] for f in rule_of(report, "ENV-1")["findings"]] == [True, False]


def test_what_a_seed_decides_makes_nothing_new() -> None:
    report = reported(
        ("ENV-1", "course.read", "refused 'x9' at length 12"),
        events=(finding("ENV-1", kind="refused 'zz' at length 4711"),),
    )
    assert exit_status(report) == 0


def test_known_should_does_not_fail_a_strict_run() -> None:
    warned = finding("ENV-8")
    assert exit_status(reported(("ENV-8", "course.read", "blank"), events=(warned,), strict=True)) == 0
    assert exit_status(reported(READ, events=(warned,), strict=True)) == 1


def test_gone_is_reported_only_where_it_was_judged() -> None:
    never = ("ENV-1", "course.add", "blank")
    report = reported(READ, never, events=(finding("ENV-1"),))
    assert [one["function"] for one in report["known"]["gone"]] == ["course.add"]
    text = screen.render(report, color=False, width=200)
    assert "1 occurs no more (ENV-1 course.add)" in text
    unjudged = report_of(header(known=known(never)), END)
    assert (unjudged["known"]["gone"], len(unjudged["known"]["open"])) == ([], 1)
    cut = report_of(header(known=known(never)), ALL, {"event": "interrupted"}, END)
    assert (cut["known"]["gone"], len(cut["known"]["open"])) == ([], 1)
    removed = report_of(header(known=known(("OLD-1", None, "x"))), ALL, END)
    assert len(removed["known"]["gone"]) == 1
    assert report_of(header(), ALL, END)["known"] is None


def test_waiver_that_only_a_known_finding_needs_is_needed() -> None:
    report = reported(READ, events=(finding("ENV-1"),), waivers=[waiver("ENV-1")])
    assert report["waivers"] == []


def test_every_rendering_says_known() -> None:
    report = reported(READ, ("ENV-1", "course.add", "blank"), events=(finding("ENV-1"),))
    assert "Known (1 finding)" in screen.render(report, color=False)
    assert "Waived" not in screen.render(report, color=False)
    assert b">known</span>" in html.render(report)
    assert b"occurs no more" in html.render(report)
    text = markdown.render(report).decode()
    assert "### Known findings" in text
    assert "`course.read`" in text
    (skipped,) = ET.fromstring(junit.render(report)).iter("skipped")
    assert skipped.get("message") == "known: known from runs/first"


def test_what_was_known_stays_known_and_a_waiver_ends() -> None:
    report = reported(
        READ,
        events=(finding("ENV-1"), finding("ENV-8"), finding("ENV-8", "course.add")),
        waivers=[waiver("ENV-8", "course.add")],
    )
    retained = known_findings(Stored(Path(), report))
    assert retained == (READ, ("ENV-8", "course.read", "blank"))


CHEAP = ("--rule", "PAG-7", "--budget", "quick", "--profile", PROFILE)


def test_team_starts_with_what_is_there(tmp_path: Path) -> None:
    with serving_here("paging.zero-is-all") as (url, _):
        first, *_ = ran("check", *CHEAP, "--target", url, "--out", "a", cwd=tmp_path)
        again, out, _ = ran(
            "check", *CHEAP, "--target", url, "--baseline-findings", "a", "--out", "b", cwd=tmp_path
        )
    assert (first, again) == (1, 0)
    assert "Known" in out
    report = report_in(tmp_path / "b")
    assert "--baseline-findings a" in report["rerun"]
    assert report["known"]["gone"] == []
    assert report["seed"] == report_in(tmp_path / "a")["seed"]
    with serving_here() as (url, _):
        status, out, _ = ran(
            "check", *CHEAP, "--target", url, "--baseline-findings", "b", "--out", "c", cwd=tmp_path
        )
    assert status == 0
    assert len(report_in(tmp_path / "c")["known"]["gone"]) == len(report["known"]["seen"]) > 0
    assert "no more" in out
    with serving_here("paging.zero-is-all") as (url, _):
        status, out, _ = ran(
            "check", *CHEAP, "--target", url, "--baseline-findings", "c", "--out", "d", cwd=tmp_path
        )
    assert status == 1  # it was gone, so it is new


def test_run_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    status, out, err = ran_here("check", "--baseline-findings", "nowhere", cwd=tmp_path)
    assert (status, out) == (2, "")
    assert "--baseline-findings cannot read nowhere" in err
