"""What the events of a run say of each rule, and the verdict of each rule.

A finding that a waiver covers, or that an earlier run already had, does not break its rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.rulebook.model import Level, Verdict
from reports.text import judged_on_text, plural

__all__ = [
    "NO_REASON",
    "Finding",
    "FindingKey",
    "RuleResult",
    "judge_rules",
    "known_findings",
    "normal",
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

    def record(self, waiver: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the finding as it stands in the report, with the waiver that covers it."""
        return {
            "function": self.function,
            "kind": self.kind,
            "message": self.message,
            "expected": self.example.get("expected") or "",
            "actual": self.example.get("actual") or "",
            "count": self.count,
            "reproduced": self.reproduced,
            "waived": waiver is not None,
            "known": bool(waiver and waiver.get("known")),
            "waiver": waiver["reason"] if waiver else None,
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
        self,
        waiver_of: Mapping[FindingKey, Mapping[str, Any]],
        down: str | None,
        no_reason: str = NO_REASON,
    ) -> tuple[Verdict, str | None]:
        """Return the verdict of the rule, and the reason for it where one is needed.

        `down` says why a target was unreachable or unstable as a whole. A rule that could not be judged because
        of it is an error, unless the rule was left out for another reason.
        """
        standing = [key for key in self.findings if key not in waiver_of]
        partly = judged_on_text(self.judged_on) if self.judged_on is not None else None
        if standing:
            return (Verdict.FAIL if self.rule["level"] == Level.MUST else Verdict.WARN), partly
        if self.crashed or (self.errors and not self.judged and not self.findings):
            return Verdict.ERROR, "; ".join(dict.fromkeys(self.errors))
        if self.findings:
            return Verdict.WAIVED, "; ".join(dict.fromkeys(str(w["reason"]) for w in waiver_of.values()))
        if self.judged:
            return Verdict.PASS, partly
        if down and not self.left_out:
            return Verdict.ERROR, down
        reasons = dict.fromkeys(reason for _, reason in self.left_out)
        return Verdict.NOT_JUDGED, "; ".join(reasons) or no_reason

    def record(
        self, verdict: Verdict, reason: str | None, waiver_of: Mapping[FindingKey, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the rule as it stands in the report, with its verdict."""
        return self.rule | {
            "verdict": str(verdict),
            "reason": reason,
            "lines": "\n\n".join(self.lines) or None,
            "judged": max(self.judged, 1 if self.findings else 0),
            "judged_on": self.judged_on if self.judged or self.findings else None,
            "left_out": [{"function": function, "reason": why} for function, why in self.left_out],
            "findings": [finding.record(waiver_of.get(key)) for key, finding in self.findings.items()],
        }


def judge_rules(
    results: Mapping[str, RuleResult], run: Mapping[str, Any], down: str | None
) -> tuple[list[dict[str, Any]], set[int]]:
    """Judge every rule; return the rules of the report, and the numbers of the waivers that were needed.

    `down` says why the target was unreachable or unstable as a whole; None if it was not.
    """
    no_reason = NOT_BY_LOAD if run["verb"] == "load" else NO_REASON
    known = _known_keys(run)
    rules: list[dict[str, Any]] = []
    used: set[int] = set()
    for identifier, result in results.items():
        if result.broken and not result.findings:
            # The load counted violations and reported none of them: the rule must not pass for lack of an example.
            result.findings[None, "load"] = Finding(
                None, "load", "broken under load", result.broken, example={"expected": result.rule["title"]}
            )
        waiver_of: dict[FindingKey, Mapping[str, Any]] = {}
        for key in result.findings:
            if (identifier, key[0], normal(key[1])) in known:
                waiver_of[key] = {"reason": f"known from {run['known']['from']}", "known": True}
        for number, waiver in enumerate(run.get("waivers") or ()):
            if waiver["rule"] != identifier or str(waiver["until"]) < _today(run):
                continue
            for key in result.findings:
                if _covers(waiver, key[0]):
                    used.add(number)
                    waiver_of.setdefault(key, waiver)
        verdict, reason = result.judge(waiver_of, down, no_reason)
        rules.append(result.record(verdict, reason, waiver_of))
    return rules, used


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
    for key in sorted(_known_keys(run), key=str):
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
    for number, waiver in enumerate(run.get("waivers") or ()):
        result = results.get(waiver["rule"])
        until = str(waiver["until"])
        if until < _today(run):
            again = sum(_covers(waiver, function) for function, _ in result.findings) if result else 0
            status, message = "expired", f"ran out on {until}"
            if again:
                message += f"; {plural(again, 'finding')} would have been waived"
        elif result is None:
            status, message = "unneeded", "there is no such rule"
        elif number not in used and not interrupted and (result.judged or result.findings):
            # Whether a rule still needs its waiver is not known unless the rule was judged.
            status, message = "unneeded", "nothing needs it any more"
        else:
            continue
        entry = {name: waiver.get(name) for name in ("rule", "function", "reason")}
        listed.append(entry | {"until": until, "status": status, "message": message})
    return listed


def normal(text: str) -> str:
    """Return the text without what depends on the seed: numbers, quoted text and the name of a filter."""
    text = re.sub(r"\bfiltered by \S+", "filtered", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|«[^»]*»", "''", text)
    return re.sub(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?(?:\^\d+)?", "#", text, flags=re.IGNORECASE)


def _today(run: Mapping[str, Any]) -> str:
    return str(run.get("today") or str(run["started"])[:10])


def _known_keys(run: Mapping[str, Any]) -> set[tuple[str, str | None, str]]:
    """Return the findings of the named earlier run, as rule, function and normalized kind."""
    known = run.get("known") or {}
    return {
        (str(found["rule"]), found.get("function"), normal(str(found.get("kind") or "")))
        for found in known.get("findings") or ()
    }


def _covers(waiver: Mapping[str, Any], function: str | None) -> bool:
    return waiver.get("function") in (None, function)
