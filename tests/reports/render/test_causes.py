"""Every rendering of a report names the causes, and leads from a finding to its cause."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

import conform
from reports.compare import render as compare_render
from reports.compare.rules import compare
from reports.model.files import validate, write_report
from reports.model.store import Stored, read_run
from reports.render import ci, junit, markdown, sarif
from reports.render.html import page
from tests.reports.causes.events import DEFECTS, RULES, Event, run_of
from tests.support.events import build


def log_of(*names: str) -> list[Event]:
    """Return the events of a run that has these defects."""
    found = itertools.chain(*(DEFECTS[name]() for name in names))
    judged = {"event": "judged", "test": "t", "rules": dict.fromkeys(RULES, 3)}
    return [run_of(RULES, should=("HTTP-5", "SEC-5")), judged, *found, {"event": "end", "seconds": 1.0}]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return build(log_of(*DEFECTS))


def test_the_page_begins_with_them_and_links_each_finding_to_its_cause(report: dict[str, Any]) -> None:
    text = page.render(report).decode()
    assert text.index('id="causes"') < text.index('id="rulebook"')
    for cause in report["causes"]:
        assert f'id="{cause["id"]}"' in text
    number = sum(len(rule["findings"]) for rule in report["rules"])
    assert len(re.findall(r'<a href="#C-[0-9a-f]{8}">Its cause', text)) == number
    anchors = set(re.findall(r'id="([^"]+)"', text))
    assert set(re.findall(r'Shown best by <a href="#([^"]+)"', text)) <= anchors


def test_the_summary_begins_with_them(report: dict[str, Any]) -> None:
    text = markdown.render(report).decode()
    assert text.index(f"### {len(report['causes'])} causes") < text.index(" findings, ")
    for cause in report["causes"]:
        assert cause["id"] in text


def test_junit_sarif_and_annotations_carry_the_id(
    report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {cause["id"] for cause in report["causes"]}
    log = json.loads(sarif.render(report))["runs"][0]
    assert {result["properties"]["cause"] for result in log["results"]} == ids
    assert set(log["properties"]["causes"]) == ids
    assert set(re.findall(r"cause     (C-[0-9a-f]{8})", junit.render(report).decode())) <= ids
    assert re.search(r"cause     C-[0-9a-f]{8}", junit.render(report).decode())
    assert all("cause: C-" in line for line in ci.commands(report) if "expected" in line)


def test_a_comparison_names_what_came_and_went() -> None:
    before, now = (
        Stored(Path(name), build(log_of(*defects)))
        for name, defects in (("a", ("logins", "sessions")), ("b", ("logins", "paging")))
    )
    comparison = compare(before, now)
    assert [cause["rules"] for cause in comparison["causes"]["new"]] == [["PAG-5"]]
    assert [cause["rules"] for cause in comparison["causes"]["gone"]] == [["COD-6", "AUT-4"]]
    assert [cause["rules"] for cause in comparison["causes"]["still"]] == [["AUT-2", "AUT-12"]]
    text = compare_render.text(comparison)
    assert "New cause (1)" in text
    assert "Cause gone (1)" in text
    shown = "\n".join(compare_render.markdown(comparison))
    assert "new cause" in shown
    assert comparison["causes"]["gone"][0]["sentence"] in str(compare_render.part(comparison))


def test_a_cause_is_not_gone_if_its_rules_were_not_judged() -> None:
    log = log_of()
    log[1]["rules"] = {"PAG-5": 3}
    before, now = Stored(Path("a"), build(log_of("sessions"))), Stored(Path("b"), build(log))
    assert compare(before, now)["causes"]["gone"] == []


def test_a_stored_run_is_diagnosed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.dumps({"at": 0.0} | event) for event in log_of(*DEFECTS)]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    written = write_report(tmp_path)
    stored = json.loads((tmp_path / "report.json").read_text("utf-8"))
    del stored["causes"]
    for rule in stored["rules"]:
        for finding in rule["findings"]:
            del finding["cause"]
    (tmp_path / "report.json").write_text(json.dumps(stored), "utf-8")
    again = read_run(tmp_path).report
    assert again["causes"] == written["causes"]
    assert again["rules"] == written["rules"]
    validate(again)
    (tmp_path / "report.html").unlink()
    assert conform.main(["report", str(tmp_path), "--format", "html"]) == 0
    assert capsys.readouterr().err == ""
    assert written["causes"][0]["id"] in (tmp_path / "report.html").read_text("utf-8")
