"""Events of a run as literals, and the report that is built from them."""

from __future__ import annotations

from typing import Any

from reports.model.files import validate
from tests.support.events import build

Event = dict[str, Any]


TODAY = "2026-11-23"


def a_rule(identifier: str, level: str = "must") -> Event:
    return {
        "id": identifier,
        "level": level,
        "area": identifier.split("-")[0],
        "title": f"Title of {identifier}",
        "clause": "«what the documentation says»",
        "why": "what goes wrong",
    }


def header(*rules: Event, **members: Any) -> Event:
    event = {
        "event": "run",
        "format": 1,
        "verb": "check",
        "suite": "0.1.0",
        "target": {"url": "https://t-api.example/api/", "environment": "test", "embedded": False},
        "started": "2026-11-23T10:00:00Z",
        "seed": 7,
        "strict": False,
        "budget": "standard",
        "rerun": "conform check --target https://t-api.example/api/ --seed 7",
        "rules": list(rules) or [a_rule("ENV-1"), a_rule("ENV-8", "should")],
        "waivers": [],
        "today": TODAY,
    }
    return event | members


def finding(rule: str, function: str | None = "course.read", kind: str = "blank", **members: Any) -> Event:
    body = members.pop("body", '{"method":"read"}')
    event = {
        "event": "finding",
        "rule": rule,
        "function": function,
        "kind": kind,
        "message": "the message is blank",
        "expected": "a message",
        "actual": "errMsg: ''",
        "count": 1,
        "reproduced": "3/3",
        "exchange": 1,
        "request": {
            "verb": "POST",
            "url": "https://t-api.example/api/course",
            "headers": {"Token": "***"},
            "body": body,
        },
        "response": {"status": 404, "headers": {}, "body": "{}", "seconds": 0.004},
        "failure": None,
        "curl": "curl -sS https://t-api.example/api/course",
    }
    return event | members


def waiver(rule: str, function: str | None = None, until: str = "2027-06-30") -> Event:
    return {"rule": rule, "function": function, "reason": f"known: {rule}", "until": until}


def judged(**rules: int) -> Event:
    return {"event": "judged", "test": "t", "rules": {name.replace("_", "-"): n for name, n in rules.items()}}


def error(message: str, rule: str | None = None, **members: Any) -> Event:
    return {"event": "error", "rule": rule, "message": message} | members


END: Event = {"event": "end", "seconds": 41.3, "requests": 5210}


def report_of(*events: Event) -> dict[str, Any]:
    report = build(iter(events))
    validate(report)
    return report


def rule_of(report: dict[str, Any], identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = next(rule for rule in report["rules"] if rule["id"] == identifier)
    return found


ALL = judged(ENV_1=5, ENV_8=5)
