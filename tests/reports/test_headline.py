"""The first words of a report and the next command (reports.headline), in every rendering."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from reports.headline import headline, next_command, required_rules, subline
from reports.model.files import validate
from reports.render import ci, junit, markdown
from reports.render.html import page
from reports.render.terminal import closing_screen
from tests.support.events import build
from tests.support.run_events import END, a_rule, finding, header, judged

RULES = ("ENV-1", "ENV-2", "PAG-1", "AUT-1")
NO_CATALOGUE = "there is no catalogue of the target's functions"
CATALOGUE = {"name": "c.json", "functions": 3, "sha256": "0" * 64}


def not_judged(rule: str, reason: str = NO_CATALOGUE) -> dict[str, Any]:
    return {"event": "not judged", "rule": rule, "function": None, "reason": reason, "lines": None}


def partial(*more: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the report of a run that judged two of four rules and left two unjudged."""
    events = [
        header(*map(a_rule, RULES), **members),
        judged(ENV_1=9, ENV_2=9),
        not_judged("PAG-1"),
        not_judged("AUT-1"),
        *more,
        END,
    ]
    report = build(iter(events))
    validate(report)
    return report


def test_a_pass_that_left_rules_unjudged_is_not_called_conformant() -> None:
    report = partial()
    assert report["verdict"] == "conformant"
    assert headline(report) == "passes what was judged: 2 of 4 rules"
    assert subline(report) == f"no must rule failed; 2 rules were not judged: {NO_CATALOGUE}"


def test_a_pass_of_all_rules_is_conformant() -> None:
    report = build(iter([header(a_rule("ENV-1")), judged(ENV_1=3), END]))
    assert headline(report) == "conformant"
    assert subline(report) == "no must rule failed; 1 of 1 rule judged"
    assert next_command(report) is None


def test_a_failure_keeps_its_own_first_words() -> None:
    report = partial(finding("ENV-1"))
    assert headline(report) == "nonconformant"
    assert subline(report) == report["reason"]


def test_every_rendering_begins_with_these_words() -> None:
    report = partial()
    words = "passes what was judged: 2 of 4 rules"
    command = "conform init --target https://t-api.example/api/"
    screen = closing_screen.render(report, color=False, width=200)
    assert screen.startswith(words)
    assert f"to judge more: {command}" in screen
    text = markdown.render(report).decode()
    assert words in text.splitlines()[0].replace("\\", "")
    assert command in text
    html = page.render(report).decode()
    assert words.capitalize() in html
    assert command in html


@pytest.mark.parametrize(
    ("members", "command"),
    [
        ({}, "conform init --target https://t-api.example/api/"),
        (
            {"rerun": "conform check --profile p.toml --seed 7"},
            "conform catalog import URL|FILE --out catalogue.openrpc.json",
        ),
        (
            {"rerun": "conform check --profile p.toml --rule ENV-1 --rule ENV-2 --seed 7"},
            "conform check --profile p.toml --seed 7",
        ),
        (
            {"verb": "load", "rerun": "conform load --profile p.toml --rate 20/s --seed 7"},
            "conform check --profile p.toml",
        ),
        ({"catalogue": CATALOGUE}, None),
        ({"rerun": None}, None),
    ],
)
def test_the_next_command_judges_more(members: dict[str, Any], command: str | None) -> None:
    assert next_command(partial(**members)) == command


def test_a_required_rule_that_was_not_judged_fails_the_gate_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = partial(required=["PAG", "judged >= 3"])
    assert report["gate"] == "fail"
    assert report["reason"] == (
        "required but not judged: PAG-1; 2 rules were judged, but the gate requires judged >= 3"
    )
    assert headline(report) == "nonconformant"
    assert required_rules(report) == {"PAG-1"}
    suites = ET.fromstring(junit.render(report))
    failed = [case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None]
    assert failed == ["PAG-1 Title of PAG-1"]
    assert suites.get("failures") == "1"
    assert any("Required but not judged" in line for line in ci.commands(report))
    assert json.loads(json.dumps(report["required"]))["unmet"][1] == {
        "requirement": "judged >= 3",
        "rules": [],
        "judged": 2,
    }
