"""The SARIF of a run, validated against the schema of SARIF 2.1.0 (as SchemaStore publishes it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from conformance.rulebook import RULES
from conformance.rulebook.pages import address_of, page
from reports.render import sarif
from tests.support.events import build
from tests.support.reporting import hostile, large, sample
from tests.support.run_events import END, finding, header, waiver

SCHEMA = Path(__file__).parents[2] / "support" / "sarif-2.1.0.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)


def log_of(report: dict[str, Any]) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(sarif.render(report).decode("utf-8"))
    return log


@pytest.mark.parametrize("made", [sample, hostile, lambda: large(60), lambda: build([header(), END])])
def test_it_is_sarif(validator: Draft4Validator, made: Any) -> None:
    assert [error.message for error in validator.iter_errors(log_of(made()))] == []


def test_the_schema_would_find_what_is_wrong(validator: Draft4Validator) -> None:
    log = log_of(sample())
    log["runs"][0]["results"][0]["level"] = "bad"
    del log["runs"][0]["tool"]["driver"]["name"]
    assert len(list(validator.iter_errors(log))) == 2


def test_a_finding_is_a_result() -> None:
    run = log_of(sample())["runs"][0]
    results = run["results"]
    assert [result["ruleId"] for result in results] == ["ENV-5", "ENV-5", "ENV-5", "ENV-6", "ENV-8"]
    for result in results:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert [result["level"] for result in results] == ["error", "error", "error", "error", "warning"]
    location = results[0]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "cases/ENV-5-course.read-00000000.json"
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "course.read"
    assert results[0]["webResponse"]["statusCode"] == 404
    assert results[2]["webResponse"]["noResponseReceived"] is True
    assert [bool(result.get("suppressions")) for result in results] == [False, False, False, True, False]
    assert run["invocations"][0]["executionSuccessful"] is True


def test_a_cause_has_one_fingerprint_in_every_run() -> None:
    prints = [
        {
            result["partialFingerprints"]["conformCause/v1"]
            for result in log_of(sample(seed=seed))["runs"][0]["results"]
        }
        for seed in (7, 8)
    ]
    assert prints[0] == prints[1]
    assert len(prints[0]) == 5


def test_what_is_waived_is_suppressed_with_its_reason() -> None:
    report = build([header(waivers=[waiver("ENV-1")]), finding("ENV-1"), END])
    [result] = log_of(report)["runs"][0]["results"]
    assert result["suppressions"][0]["justification"] == "known: ENV-1"


def test_an_interrupted_run_did_not_end_well() -> None:
    assert log_of(build([header()]))["runs"][0]["invocations"][0]["executionSuccessful"] is False


def test_each_rule_says_how_it_is_mended() -> None:
    for rule in log_of(sample())["runs"][0]["tool"]["driver"]["rules"]:
        record = RULES[rule["id"]]
        assert rule["helpUri"] == address_of(rule["id"])
        assert rule["helpUri"].endswith(f"docs/rules/{rule['id']}.md")
        assert record.remedy in rule["help"]["text"]
        assert rule["help"]["markdown"] == page(record)


def test_a_rule_that_is_unknown_has_no_page() -> None:
    report = sample()
    report["rules"][0]["id"] = "OLD-1"
    [old, *_] = log_of(report)["runs"][0]["tool"]["driver"]["rules"]
    assert "helpUri" not in old
    assert old["help"]["text"]
