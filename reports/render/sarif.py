"""The findings of a run as SARIF 2.1.0, so that code hosts can list them: `report.sarif`.

Each finding is a result with its rule, its level, its location (the function, and the case file that replays it), the
request and the response, and a fingerprint. The fingerprint of a cause is the same in every run.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from conformance.rulebook.model import AREAS, Verdict
from conformance.rulebook.pages import address_of, documented, page
from conformance.text import cut, reveal
from reports.render.html.page import anchor_of

__all__ = ["NAME", "render"]

NAME = "report.sarif"

_BODY = 4000
_PAGE = 20_000
_LEVELS = {"must": "error", "should": "warning"}


def _text(value: object, limit: int = _BODY) -> str:
    return cut(reveal(str(value), keep="\n"), limit)


def render(report: Mapping[str, Any]) -> bytes:
    """Return the SARIF log of a report."""
    numbers = {rule["id"]: number for number, rule in enumerate(report["rules"])}
    run = {
        "tool": {
            "driver": {
                "name": "conform",
                "version": _text(report["suite"] or "0"),
                "rules": [_rule(rule) for rule in report["rules"]],
            }
        },
        "automationDetails": {"id": f"conform/{_text(report['verb'], 40)}/"},
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(rule, finding, numbers[rule["id"]])
            for rule in report["rules"]
            for finding in rule["findings"]
        ],
        "properties": {
            "target": _text(report["target"]["url"]),
            "verdict": report["verdict"],
            "seed": report["seed"],
            "causes": {cause["id"]: _text(cause["sentence"]) for cause in report.get("causes") or ()},
        },
    }
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(log, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _invocation(report: Mapping[str, Any]) -> dict[str, Any]:
    invocation: dict[str, Any] = {
        # Whether the tool succeeded, not whether the target did.
        "executionSuccessful": not report["interrupted"]
        and not any(error["ours"] for error in report["errors"]),
        "startTimeUtc": report["started"],
    }
    started = datetime.datetime.fromisoformat(str(report["started"]).replace("Z", "+00:00"))
    ended = started + datetime.timedelta(seconds=float(report["seconds"]))
    invocation["endTimeUtc"] = f"{ended:%Y-%m-%dT%H:%M:%S}Z"
    if report["rerun"]:
        invocation["commandLine"] = _text(report["rerun"])
    notifications = [
        {"level": "error", "message": {"text": _text(error["message"]) or "an error"}}
        for error in report["errors"]
    ]
    notifications += [
        {"level": "note", "message": {"text": _text(note) or "a note"}} for note in report["notes"]
    ]
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    return invocation


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    said = f"{rule['why']}\n\nThe documentation: {rule['clause']}"
    record = documented(rule["id"])
    described: dict[str, Any] = {"help": {"text": _text(said)}}
    if record is not None:
        said += f"\n\nUsually broken by: {record.causes}\n\nMended by: {record.remedy}"
        described = {
            "helpUri": address_of(record.id),
            "help": {"text": _text(said), "markdown": _text(page(record), _PAGE)},
        }
    return {
        "id": _text(rule["id"], 80),
        "name": "".join(word.capitalize() for word in str(AREAS.get(rule["area"], rule["area"])).split())
        + rule["id"].rpartition("-")[2],
        "shortDescription": {"text": _text(rule["title"])},
        "fullDescription": {"text": _text(rule["why"] or rule["title"])},
        **described,
        "defaultConfiguration": {"level": _LEVELS.get(rule["level"], "note")},
        "properties": {"tags": [_text(AREAS.get(rule["area"], rule["area"])), _text(rule["level"])]},
    }


def _result(rule: Mapping[str, Any], finding: Mapping[str, Any], number: int) -> dict[str, Any]:
    function = finding["function"]
    where = f"{function}: " if function else ""
    message = f"{where}{finding['message']}. Expected {finding['expected']}; got {finding['actual']}"
    result: dict[str, Any] = {
        "ruleId": _text(rule["id"], 80),
        "ruleIndex": number,
        "kind": "fail",
        "level": _LEVELS.get(rule["level"], "note"),
        "message": {"text": _text(message)},
        "locations": [
            {
                "physicalLocation": {
                    # Code hosts require a file: the case that replays the finding, or else the report.
                    "artifactLocation": {"uri": quote(str(finding["case"] or "report.json"))},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": _text(function or "the target", 300), "kind": "function"}
                ],
            }
        ],
        "partialFingerprints": {"conformCause/v1": anchor_of(rule["id"], function, finding["kind"])},
        "occurrenceCount": max(1, int(finding["count"])),
        "properties": {
            "kind": _text(finding["kind"]),
            "reproduced": finding["reproduced"],
            "cause": finding.get("cause"),
        },
    }
    if finding["waived"] or rule["verdict"] == Verdict.WAIVED:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": _text(finding["waiver"] or "waived")}
        ]
    if finding["request"]:
        request = finding["request"]
        result["webRequest"] = {
            "protocol": "HTTP",
            "version": "1.1",
            "target": _text(request["url"]),
            "method": _text(request["verb"], 40),
            "headers": {_text(name, 200): _text(value) for name, value in request["headers"].items()},
            "body": {"text": _text(request["body"])},
        }
    if finding["response"]:
        response = finding["response"]
        result["webResponse"] = {
            "protocol": "HTTP",
            "version": "1.1",
            "statusCode": response["status"],
            "headers": {_text(name, 200): _text(value) for name, value in response["headers"].items()},
            "body": {"text": _text(response["body"])},
        }
    elif finding["failure"]:
        result["webResponse"] = {"noResponseReceived": True, "reasonPhrase": _text(finding["failure"])}
    return result
