"""The JUnit file: one case a rule, and XML whatever the target sent."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import xmlschema

import reports
from reports.render import junit
from tests.reports.model.test_builder import NOT_ONE
from tests.support.reporting import loaded
from tests.support.run_events import (
    ALL,
    END,
    Event,
    a_rule,
    error,
    finding,
    header,
    judged,
    report_of,
    waiver,
)


@functools.cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(Path(reports.__file__).with_name("render") / "junit.xsd"))


RULES = [
    a_rule("ENV-1"),
    a_rule("ENV-8", "should"),
    a_rule("COD-1"),
    a_rule("COD-2"),
    a_rule("COD-3"),
    a_rule("COD-4"),
]


def document(*events: Event) -> ET.Element:
    data = junit.render(report_of(*events))
    schema().validate(data.decode())
    return ET.fromstring(data)


def cases(root: ET.Element) -> dict[str, ET.Element]:
    return {str(case.get("name")).split()[0]: case for case in root.iter("testcase")}


def mixed(**members: Any) -> list[Event]:
    return [
        header(*RULES, waivers=[waiver("COD-2")], **members),
        judged(ENV_1=5, ENV_8=5, COD_1=5),
        finding("ENV-1", count=14, message="a blank message"),
        finding("ENV-8"),
        finding("COD-2"),
        NOT_ONE | {"rule": "COD-3", "lines": "[users.owner]"},
        error("reset by peer", "COD-4"),
        END,
    ]


def test_one_case_a_rule_with_its_outcome() -> None:
    root = document(*mixed())
    found = cases(root)
    assert list(found) == [rule["id"] for rule in RULES]
    outcome = {name: [child.tag for child in case] for name, case in found.items()}
    assert outcome == {
        "ENV-1": ["failure"],
        "ENV-8": ["system-out"],
        "COD-1": [],
        "COD-2": ["skipped"],
        "COD-3": ["skipped"],
        "COD-4": ["error"],
    }
    assert found["ENV-1"].get("name") == "ENV-1 Title of ENV-1"
    assert found["ENV-1"].get("classname") == "ENV"
    assert [
        (s.get("name"), s.get("tests"), s.get("failures"), s.get("errors"), s.get("skipped")) for s in root
    ] == [
        ("ENV Envelope", "2", "1", "0", "0"),
        ("COD Status codes", "4", "0", "1", "2"),
    ]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "1", "1")


def test_a_failure_says_all_that_is_needed() -> None:
    failure = cases(document(*mixed()))["ENV-1"][0]
    assert failure.get("message") == "course.read: a blank message"
    for part in (
        "«what the documentation says»",
        "expected  a message",
        "got       errMsg: '' (404)",
        "14 times, came back 3/3",
        "repeat    curl -sS https://t-api.example/api/course",
        "rerun     conform check --target https://t-api.example/api/ --seed 7 --rule ENV-1",
    ):
        assert part in str(failure.text)


def test_strict_makes_a_warning_a_failure() -> None:
    assert [child.tag for child in cases(document(*mixed(strict=True)))["ENV-8"]] == ["failure"]


def test_skips_and_errors_say_why() -> None:
    found = cases(document(*mixed()))
    assert found["COD-2"][0].get("message") == "waived: known: COD-2"
    assert found["COD-3"][0].get("message") == "not judged: no user"
    assert "[users.owner]" in str(found["COD-3"][0].text)
    assert found["COD-4"][0].get("message") == "reset by peer"


def test_an_unreachable_target_is_no_green_build() -> None:
    root = document(header(*RULES), error("connection refused"), END)
    assert root.get("errors") == "6"


def test_the_properties_report_the_run() -> None:
    root = document(header(), ALL, END)
    reported = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert reported == {
        "target": "https://t-api.example/api/",
        "environment": "test",
        "seed": "7",
        "verdict": "conformant",
        "suite": "0.1.0",
    }


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("\x00\x1b[2J", "\\x00\\x1b[2J"),
        ("]]><failure/>", "]]><failure/>"),
        ("\ud800", "\\ud800"),
        ("\uffff\ufffe", "\\uffff\\ufffe"),
        ("\u202egnp", "\\u202egnp"),
        ("a\rb", "a\\rb"),
        ("&amp; <![CDATA[", "&amp; <![CDATA["),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_hostile_text_is_text(sent: str, shown: str) -> None:
    event = finding(
        "ENV-1", sent, kind=sent, message=sent, actual=sent, expected=sent, curl=sent, failure=sent
    )
    failure = cases(document(header(), event, END))["ENV-1"][0]
    assert shown in str(failure.get("message"))
    assert f"got       {shown}" in str(failure.text)


def test_long_text_is_cut() -> None:
    event = finding("ENV-1", message="m" * 10_000, actual="a" * 1_000_000)
    failure = cases(document(header(), event, END))["ENV-1"][0]
    assert len(str(failure.get("message"))) <= 300
    assert len(str(failure.text)) < 20_000


# --- a load


def cause(function: str, kind: str, count: int, first: float, last: float) -> dict[str, Any]:
    return {
        "function": function, "kind": kind, "message": "refused", "count": count, "first": first, "last": last,
        "exchange": None,
    }  # fmt: skip


def slo(text: str, verdict: str, **members: Any) -> dict[str, Any]:
    return {
        "text": text, "function": None, "metric": "errors", "op": "<", "limit": 1.0, "unit": "%", "value": 7.5,
        "margin": -6.5, "samples": 6000, "needed": 300, "verdict": verdict, "reason": None, "default": False,
        **members,
    }  # fmt: skip


def step(begin: float, asked: float, errors: float) -> dict[str, Any]:
    return {
        "from": begin, "to": begin + 10, "asked": asked, "low": asked, "high": asked, "seconds": 10,
        "requests": int(10 * asked), "rate": asked * (1 - errors), "errors": errors, "p50": 8.0, "p95": 21.0,
        "p99": 30.0,
    }  # fmt: skip


def load_suite(*slos: dict[str, Any], **members: Any) -> ET.Element:
    report = loaded(seconds=30)
    report["load"] |= {"slos": list(slos), **members}
    data = junit.render(report)
    schema().validate(data.decode())
    suite = next(suite for suite in ET.fromstring(data) if suite.get("name") == "LOAD Load")
    counts = [len(suite.findall(f"testcase/{tag}")) for tag in ("failure", "error", "skipped")]
    assert [int(str(suite.get(name))) for name in ("failures", "errors", "skipped")] == counts
    return suite


CAUSES = {
    "rows": [
        cause("course.find", "status 503", 400, 5.2, 9.8),
        cause("course.add", "status 500", 50, 12.0, 13.5),
        cause("course.find", "timeout", 3, 21.0, 28.0),
    ],
    "beyond": 0,
}


@pytest.mark.parametrize("verdict", ["fail", "pass", "not judged"])
def test_the_case_of_an_slo_names_its_most_frequent_failure(verdict: str) -> None:
    windows = {"seconds": 10.0, "judged": 3, "joined": 0, "missed": []}
    missed = {"from": 20.0, "to": 30.0, "value": 12.5, "samples": 400, "bad": [21.0, 29.0]}
    suite = load_suite(
        slo("errors < 1%", verdict),
        slo("course.add errors < 1%", verdict, function="course.add"),
        slo("errors < 1% in every 10s", verdict, every=10.0, windows={**windows, "missed": [missed]}),
        slo("errors < 1% at 100/s", verdict, at_rate=100.0),
        slo("course.read errors < 1%", verdict, function="course.read"),
        failures=CAUSES,
        steps=[step(0, 50, 0.1), step(10, 100, 0.2), step(20, 200, 0.3)],
    )
    bodies = {str(case.get("name")): str(case[0].text) for case in suite.iter("testcase") if len(case)}
    assert "most failed requests: course.find: status 503, refused (400 times" in bodies["errors < 1%"]
    assert "most failed requests: course.add: status 500" in bodies["course.add errors < 1%"]
    assert "most failed requests: course.find: timeout" in bodies["errors < 1% in every 10s"]
    assert (
        "missed from 20 to 30 s: 12.5% on 400 samples, by what came from 21 to 29 s"
        in bodies["errors < 1% in every 10s"]
    )
    assert "most failed requests: course.add: status 500" in bodies["errors < 1% at 100/s"]
    assert "10 to 20 s  100.0/s  80.0/s" in bodies["errors < 1% at 100/s"]
    assert "most failed" not in bodies["course.read errors < 1%"]


def test_steps_are_a_table_of_the_suite() -> None:
    steps = [step(0, 50, 0.0), step(10, 100, 0.25)]
    table = str(load_suite(slo("errors < 1%", "pass"), steps=steps).findtext("system-out")).splitlines()
    assert [line.split()[0] for line in table] == ["step", "0", "10"]
    assert table[2].split()[:6] == ["10", "to", "20", "s", "100.0/s", "75.0/s"]
    assert table[2].endswith("30.0 ms   25.0%")
    assert load_suite(slo("errors < 1%", "pass")).find("system-out") is None


def test_the_properties_say_what_was_asked_answered_and_served() -> None:
    report = loaded(seconds=30)
    total = {**report["load"]["total"], "served": 2500, "answered": 2900, "rate": 99.2, "asked": 120.0}
    suite = load_suite(slo("errors < 1%", "fail"), total=total)
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties["served"] == "2500"
    assert properties["asked per second"] == "120"
    assert properties["served per second"] == "99.2"
    assert float(str(properties["answered per second"])) == pytest.approx(2900 / 25.2, rel=1e-3)
