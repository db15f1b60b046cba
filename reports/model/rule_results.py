"""What the events of a run say of each rule, and the verdict of each rule.

A finding that a waiver covers, or that an earlier run already had, does not break its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from conformance.events import (
    FindingEvent,
    FindingFields,
    KnownRecord,
    PartlyJudgedEvent,
    RuleRecord,
    RunEvent,
    fields_of,
    given,
)
from conformance.rulebook.verdicts import Evidence, Excuse, Policy, judge_rule, normal
from reports.text import judged_on_text, plural

__all__ = [
    "NO_REASON",
    "Finding",
    "FindingKey",
    "RuleResult",
    "judge_rules",
    "known_findings",
    "policy_of",
    "waivers_to_mend",
]

#: The reason of a rule that no test judged, where no event gives one.
NO_REASON = "no test of this run judged it"

#: The same for a load, which runs no tests.
NOT_BY_LOAD = "a load judges what one exchange is enough for; conform check judges the rest"

#: A finding's function and kind. Findings of one rule with the same key are one cause.
FindingKey = tuple[str | None, str]


@dataclass(slots=True)
class Finding:
    """One cause: a rule, broken by one function in one way, with the smallest example of it."""

    function: str | None
    kind: str
    message: str
    count: int = 0
    reproduced: str | None = None
    #: All parts of the example come from one event: message, expected and actual belong to the exchange that is shown.
    example: FindingFields | None = None
    case: str | None = None
    #: A rule whose test found it, if no test of the finding's own rule did.
    test_rule: str | None = None

    def add(self, event: FindingFields) -> None:
        """Count an event of this cause, and take it as the example if its request is smaller."""
        if self.example is None or self.test_rule is not None:
            self.test_rule = given(event.test_rule)
        self.count += given(event.count) or 1
        if self.reproduced is None:
            self.reproduced = event.reproduced
        if self.example is None or _is_smaller(event, self.example):
            self.example = event

    def record(self, excuse: Excuse | None) -> dict[str, Any]:
        """Return the finding as it stands in the report, with the reason for which it does not count."""
        example = self.example or FindingEvent(rule="")
        return {
            "function": self.function,
            "kind": self.kind,
            "message": example.message or self.message,
            "expected": example.expected or "",
            "actual": example.actual or "",
            "count": self.count,
            "reproduced": self.reproduced,
            "waived": excuse is not None,
            "known": bool(excuse and excuse.known),
            "waiver": excuse.reason if excuse else None,
            "exchange": example.exchange,
            "curl": example.curl,
            "request": msgspec.to_builtins(example.request),
            "response": msgspec.to_builtins(example.response),
            "failure": example.failure,
            "case": self.case,
            "test_rule": self.test_rule,
            "cause": None,
        }


def _is_smaller(event: FindingFields, example: FindingFields) -> bool:
    """Return whether the request of an event is smaller than that of the example, or the example has none."""
    if event.request is None or example.request is None:
        return event.request is not None
    return len(event.request.body) < len(example.request.body)


@dataclass(slots=True)
class RuleResult:
    """What the events of a run say of one rule."""

    rule: RuleRecord
    judged: int = 0
    #: The exchanges under load that broke the rule. The findings have only the first of them.
    broken: int = 0
    findings: dict[FindingKey, Finding] = field(default_factory=dict)
    left_out: dict[FindingKey, None] = field(default_factory=dict)
    lines: dict[str, None] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    crashed: bool = False
    #: How many of the functions (or the like) that the rule applies to were tested; None if all were.
    judged_on: dict[str, Any] | None = None

    def note_extent(self, event: PartlyJudgedEvent) -> None:
        """Note that the rule was tested on fewer functions than it applies to."""
        self.judged_on = {"done": event.done, "of": event.of, "what": event.what}

    def judge(
        self, excuses: Mapping[FindingKey, Excuse | None], down: str | None, no_reason: str = NO_REASON
    ) -> dict[str, Any]:
        """Return the rule as it stands in the report, with its verdict.

        `excuses` has each finding's excuse. `down` says why the target was unreachable or unstable as a whole.
        """
        evidence = Evidence(
            excuses=list(excuses.values()),
            judged=self.judged,
            errors=self.errors,
            crashed=self.crashed,
            left_out=[reason for _, reason in self.left_out],
            judged_on=judged_on_text(self.judged_on) if self.judged_on is not None else None,
        )
        verdict, reason = judge_rule(self.rule.level, evidence, down=down, no_reason=no_reason)
        return fields_of(self.rule) | {
            "verdict": str(verdict),
            "reason": reason,
            "lines": "\n\n".join(self.lines) or None,
            "judged": max(self.judged, 1 if self.findings else 0),
            "judged_on": self.judged_on if self.judged or self.findings else None,
            "left_out": [{"function": function, "reason": why} for function, why in self.left_out],
            "findings": [finding.record(excuses[key]) for key, finding in self.findings.items()],
        }


def judge_rules(
    results: Mapping[str, RuleResult], run: RunEvent, down: str | None
) -> tuple[list[dict[str, Any]], set[int]]:
    """Judge every rule; return the rules of the report, and the numbers of the waivers that were needed.

    `down` says why the target was unreachable or unstable as a whole; None if it was not.
    """
    no_reason = NOT_BY_LOAD if run.verb == "load" else NO_REASON
    policy = policy_of(run)
    rules: list[dict[str, Any]] = []
    used: set[int] = set()
    for identifier, result in results.items():
        if result.broken and not result.findings:
            # The load counted violations and reported none of them: the rule must not pass for lack of an example.
            example = FindingEvent(rule=identifier, expected=result.rule.title)
            result.findings[None, "load"] = Finding(
                None, "load", "broken under load", result.broken, example=example
            )
        excuses = {key: policy.excuse(identifier, *key) for key in result.findings}
        for function, _ in result.findings:
            used.update(policy.covering(identifier, function))
        rules.append(result.judge(excuses, down, no_reason))
    return rules, used


def policy_of(run: RunEvent) -> Policy:
    """Return the policy of a run, from the event that begins its log."""
    known = run.known or KnownRecord("")
    return Policy(
        # Logs of early versions do not have the day on which the run began.
        today=run.today or run.started[:10],
        strict=run.strict,
        waivers=run.waivers,
        known=[(found.rule, found.function, found.kind or "") for found in known.findings],
        known_from=known.source,
    )


def known_findings(
    results: Mapping[str, RuleResult], run: RunEvent, *, interrupted: bool
) -> dict[str, Any] | None:
    """Return which findings of the named earlier run occurred again; None if no run was named.

    A finding is `gone` if it did not occur although its rule was judged, and `open` if its rule was not judged.
    """
    if run.known is None:
        return None
    seen = {
        (identifier, function, normal(kind))
        for identifier, result in results.items()
        for function, kind in result.findings
    }
    lists: dict[str, list[dict[str, Any]]] = {"seen": [], "gone": [], "open": []}
    for key in sorted(policy_of(run).known, key=str):
        result = results.get(key[0])
        if key in seen:
            place = "seen"
        elif interrupted or (result is not None and not result.judged and not result.findings):
            place = "open"
        else:
            place = "gone"
        lists[place].append(dict(zip(("rule", "function", "kind"), key, strict=True)))
    return {"from": run.known.source, **lists}


def waivers_to_mend(
    results: Mapping[str, RuleResult], run: RunEvent, used: set[int], *, interrupted: bool
) -> list[dict[str, Any]]:
    """Return the waivers that have expired and those that are no longer needed."""
    listed: list[dict[str, Any]] = []
    policy = policy_of(run)
    for number, waiver in enumerate(policy.waivers):
        result = results.get(waiver.rule)
        if policy.is_expired(waiver):
            again = (
                sum(waiver.function in (None, function) for function, _ in result.findings) if result else 0
            )
            status, message = "expired", f"ran out on {waiver.until}"
            if again:
                message += f"; {plural(again, 'finding')} would have been waived"
        elif result is None:
            status, message = "unneeded", "there is no such rule"
        elif number not in used and not interrupted and (result.judged or result.findings):
            # Whether a rule still needs its waiver is not known unless the rule was judged.
            status, message = "unneeded", "nothing needs it any more"
        else:
            continue
        listed.append(
            {
                "rule": waiver.rule,
                "function": waiver.function,
                "reason": waiver.reason,
                "until": str(waiver.until),
                "status": status,
                "message": message,
            }
        )
    return listed
