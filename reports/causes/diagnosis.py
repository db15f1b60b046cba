"""Makes the causes of a report from its findings and from what the log says of successful calls."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reports.causes.evidence import Evidence, Knowledge
from reports.causes.grouping import group
from reports.causes.groups import Group, Pattern
from reports.causes.stacks import stack_of
from reports.causes.units import violation_of
from reports.causes.wording import place_of, sentence_of

__all__ = ["diagnose"]

MAX_LISTED_FUNCTIONS = 200


def diagnose(rules: Sequence[dict[str, Any]], knowledge: Knowledge) -> list[dict[str, Any]]:
    """Return the causes of the findings of a report, the most valuable first, and mark each finding with its cause.

    `rules` are the rules of the report. The member `cause` of each finding is set to the id of its cause.
    """
    evidence = [
        Evidence(rule["id"], rule["level"], rule["area"], position, finding, knowledge)
        for position, rule in enumerate(rules)
        for finding in rule["findings"]
    ]
    totals = Counter(each.rule for each in evidence if not each.finding["waived"])
    causes = []
    for each in group(evidence):
        record = _record(each, totals)
        causes.append(record)
        for member in each.members:
            # The findings of a report are its own dictionaries.
            finding: Any = member.finding
            finding["cause"] = record["id"]
    return sorted(causes, key=_worth)


def _worth(cause: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sort what counts before what is waived, must before should, then by rules that turn green."""
    return (
        cause["waived"],
        cause["level"] != "must",
        -len(cause["mends"]),
        -cause["findings"],
        cause["id"],
    )


def _identifier(found: Group) -> str:
    shape = "\0".join([found.pattern.value, *found.key])
    return f"C-{hashlib.sha256(shape.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def _record(found: Group, totals: Mapping[str, int]) -> dict[str, Any]:
    members = sorted(found.members, key=lambda each: each.position)
    standing = [each for each in members if not each.finding["waived"]]
    counts = Counter(each.rule for each in standing)
    best = _best(found.pattern, standing or members)
    stack = stack_of(each.finding["response"] for each in members)
    advice = None
    if stack is not None and found.pattern is Pattern.FORM:
        advice = stack.routes if found.key[1] == "without a route" else stack.errors
    shown = standing or members
    functions = sorted({each.function for each in shown if each.function})
    return {
        "id": _identifier(found),
        "sentence": sentence_of(found),
        "level": "must" if any(each.level == "must" for each in shown) else "should",
        "waived": not standing,
        "rules": list(dict.fromkeys(each.rule for each in shown)),
        "functions": functions[:MAX_LISTED_FUNCTIONS],
        "mends": [rule for rule in counts if counts[rule] == totals[rule]],
        "findings": len(shown),
        "count": sum(int(each.finding["count"]) for each in shown),
        "where": place_of(found),
        "advice": advice,
        "example": {
            "rule": best.rule,
            "function": best.function,
            "kind": best.finding["kind"],
            "expected": best.finding["expected"],
            "actual": best.finding["actual"],
            "exchange": best.finding["exchange"],
            "curl": best.finding["curl"],
        },
    }


def _best(pattern: Pattern, members: Sequence[Evidence]) -> Evidence:
    """Return the finding whose exchange shows the cause best: must, with the usual answer, and a small request."""
    by_argument = pattern is Pattern.UNCHECKED
    answers = Counter(each.fingerprint for each in members if each.finding["request"])

    def worth(each: Evidence) -> tuple[Any, ...]:
        request = each.finding["request"]
        return (
            request is None,
            by_argument and (violation_of(each) is None or not each.wrong_status),
            each.level != "must",
            -answers[each.fingerprint],
            len(request["body"]) if request else 0,
            each.position,
            each.function or "",
            str(each.finding["kind"]),
        )

    return min(members, key=worth)
