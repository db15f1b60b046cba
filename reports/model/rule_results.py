"""What the events of a run say of each rule, and the verdict of each rule.

A finding that a waiver covers, or that an earlier run already had, does not break its rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.rulebook.verdicts import Evidence, Excuse, Policy, WaiverRecord, judge_rule, normal
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
NO_REASON = "no conversation of this run judged it"

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
    example: dict[str, Any] = field(default_factory=dict)
    case: str | None = None

    _PARTS = ("expected", "actual", "exchange", "request", "response", "failure", "curl")

    def add(self, event: Mapping[str, Any]) -> None:
        """Count an event of this cause, and take it as the example if its request is smaller."""
        self.count += int(event.get("count") or 1)
        if self.reproduced is None:
            self.reproduced = event.get("reproduced")
        if not self.example or self._is_smaller(event):
            # All parts come from one event: expected and actual belong to the exchange that is shown.
            self.example = {part: event.get(part) for part in self._PARTS}

    def _is_smaller(self, event: Mapping[str, Any]) -> bool:
        theirs, ours = event.get("request"), self.example.get("request")
        if theirs is None or ours is None:
            return theirs is not None
        return len(theirs.get("body") or "") < len(ours.get("body") or "")

    def record(self, excuse: Excuse | None) -> dict[str, Any]:
        """Return the finding as it stands in the report, with the reason for which it does not count."""
        return {
            "function": self.function,
            "kind": self.kind,
            "message": self.message,
            "expected": self.example.get("expected") or "",
            "actual": self.example.get("actual") or "",
            "count": self.count,
            "reproduced": self.reproduced,
            "waived": excuse is not None,
            "known": bool(excuse and excuse.known),
            "waiver": excuse.reason if excuse else None,
            "exchange": self.example.get("exchange"),
            "curl": self.example.get("curl"),
            "request": self.example.get("request"),
            "response": self.example.get("response"),
            "failure": self.example.get("failure"),
            "case": self.case,
        }


@dataclass(slots=True)
class RuleResult:
    """What the events of a run say of one rule."""

    rule: dict[str, Any]
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
        verdict, reason = judge_rule(self.rule["level"], evidence, down=down, no_reason=no_reason)
        return self.rule | {
            "verdict": str(verdict),
            "reason": reason,
            "lines": "\n\n".join(self.lines) or None,
            "judged": max(self.judged, 1 if self.findings else 0),
            "judged_on": self.judged_on if self.judged or self.findings else None,
            "left_out": [{"function": function, "reason": why} for function, why in self.left_out],
            "findings": [finding.record(excuses[key]) for key, finding in self.findings.items()],
        }


def judge_rules(
    results: Mapping[str, RuleResult], run: Mapping[str, Any], down: str | None
) -> tuple[list[dict[str, Any]], set[int]]:
    """Judge every rule; return the rules of the report, and the numbers of the waivers that were needed.

    `down` says why the target was unreachable or unstable as a whole; None if it was not.
    """
    no_reason = NOT_BY_LOAD if run["verb"] == "load" else NO_REASON
    policy = policy_of(run)
    rules: list[dict[str, Any]] = []
    used: set[int] = set()
    for identifier, result in results.items():
        if result.broken and not result.findings:
            # The load counted violations and reported none of them: the rule must not pass for lack of an example.
            result.findings[None, "load"] = Finding(
                None, "load", "broken under load", result.broken, example={"expected": result.rule["title"]}
            )
        excuses = {key: policy.excuse(identifier, *key) for key in result.findings}
        for function, _ in result.findings:
            used.update(policy.covering(identifier, function))
        rules.append(result.judge(excuses, down, no_reason))
    return rules, used


def policy_of(run: Mapping[str, Any]) -> Policy:
    """Return the policy of a run, from the event that begins its log."""
    known = run.get("known") or {}
    return Policy(
        # Logs of early versions do not have the day on which the run began.
        today=str(run.get("today") or str(run["started"])[:10]),
        strict=bool(run.get("strict")),
        waivers=[
            WaiverRecord(str(each["rule"]), each.get("function"), str(each.get("reason")), str(each["until"]))
            for each in run.get("waivers") or ()
        ],
        known=[
            (str(found["rule"]), found.get("function"), str(found.get("kind") or ""))
            for found in known.get("findings") or ()
        ],
        known_from=str(known.get("from")),
    )


def known_findings(
    results: Mapping[str, RuleResult], run: Mapping[str, Any], *, interrupted: bool
) -> dict[str, Any] | None:
    """Return which findings of the named earlier run occurred again; None if no run was named.

    A finding is `gone` if it did not occur although its rule was judged, and `open` if its rule was not judged.
    """
    if run.get("known") is None:
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
    return {"from": str(run["known"]["from"]), **lists}


def waivers_to_mend(
    results: Mapping[str, RuleResult], run: Mapping[str, Any], used: set[int], *, interrupted: bool
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
