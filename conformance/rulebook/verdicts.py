"""The policy of a run's verdicts: pure functions of findings, waivers, a baseline and strictness.

`Policy` decides whether a finding breaks its rule. `judge_rule` returns the verdict of a rule, `judge_run` that of the
run, and `exit_status` its exit status. A check, a verification, a load, the explorer page and the report of a stored
run all use these functions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol

from conformance.rulebook.findings import Key
from conformance.rulebook.model import Level, Verdict
from conformance.rulebook.requirements import is_judged, unmet, unmet_reason
from conformance.text import plural

__all__ = [
    "INTERRUPTED",
    "Evidence",
    "Excuse",
    "Policy",
    "Waiver",
    "broken_verdict",
    "exit_status",
    "fails_gate",
    "gate_of",
    "judge_rule",
    "judge_run",
    "listed",
    "normal",
]

#: The exit status of an interrupted run: 128 + SIGINT, as shells define it.
INTERRUPTED = 130

#: Maximum number of rule ids in a reason.
MAX_LISTED_RULES = 4

_GATES = {"conformant": "pass", "nonconformant": "fail"}
_EXIT_STATUSES = {"pass": 0, "fail": 1}
_UNDECIDED_STATUS = 3


class Waiver(Protocol):
    """A known failure that is accepted until the end of the day `until`; `function` None stands for all functions."""

    @property
    def rule(self) -> str:
        """Return the id of the rule."""

    @property
    def function(self) -> str | None:
        """Return the function whose findings are accepted."""

    @property
    def reason(self) -> str:
        """Return why they are accepted."""

    @property
    def until(self) -> date | str:
        """Return the last day, as a date or in ISO 8601."""


class Excuse(NamedTuple):
    """Why a finding does not break its rule: a waiver covers it, or an earlier run already had it (`known`)."""

    reason: str
    known: bool = False


class Policy:
    """Decides which findings count: those that no waiver covers and that the baseline does not have."""

    def __init__(
        self,
        *,
        today: date | str,
        strict: bool = False,
        waivers: Sequence[Waiver] = (),
        known: Iterable[Key] = (),
        known_from: str = "",
    ) -> None:
        """Create a policy; `known` are the findings of an earlier run; with `strict`, *should* rules fail the gate."""
        self.strict = strict
        self.waivers = tuple(waivers)
        self.known = {(rule, function, normal(kind)) for rule, function, kind in known}
        self._known_from = known_from
        self._today = str(today)

    def is_expired(self, waiver: Waiver) -> bool:
        """Return whether a waiver's last day is over."""
        return str(waiver.until) < self._today

    def covering(self, rule: str, function: str | None) -> list[int]:
        """Return the indices of the valid waivers that cover a finding of this rule and function."""
        return [
            index
            for index, waiver in enumerate(self.waivers)
            if waiver.rule == rule and waiver.function in (None, function) and not self.is_expired(waiver)
        ]

    def excuse(self, rule: str, function: str | None, kind: str) -> Excuse | None:
        """Return why a finding does not break its rule; None if it does."""
        if (rule, function, normal(kind)) in self.known:
            return Excuse(f"known from {self._known_from}", known=True)
        covering = self.covering(rule, function)
        return Excuse(self.waivers[covering[0]].reason) if covering else None

    def verdict(self, level: str, rule: str, function: str | None, kind: str) -> Verdict:
        """Return the verdict of a rule that has this one finding."""
        return judge_rule(level, Evidence([self.excuse(rule, function, kind)]))[0]

    def fails(self, level: str, rule: str, function: str | None, kind: str) -> bool:
        """Return whether a finding fails the gate: not if its rule only warns, nor if it is waived or known."""
        return fails_gate(self.verdict(level, rule, function, kind), strict=self.strict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The observations of a run on one rule: the excuse of each finding (None: it counts), and the rest."""

    excuses: Collection[Excuse | None] = ()
    #: How often the rule was judged.
    judged: int = 0
    #: Errors because of which the rule was not judged, and whether one of them is the suite's own.
    errors: Sequence[str] = ()
    crashed: bool = False
    #: Why tests of the rule did not judge it.
    left_out: Collection[str] = ()
    #: The part of its functions that the rule was tested on, if that is not all of them.
    judged_on: str | None = None


def judge_rule(
    level: str, evidence: Evidence, *, down: str | None = None, no_reason: str = ""
) -> tuple[Verdict, str | None]:
    """Return the verdict of a rule, and the reason for it where one is needed.

    `down` says why the target was unreachable or unstable as a whole. A rule that could not be judged because of it
    is an error, unless the rule was left out for another reason. `no_reason` stands for a reason that nothing gives.
    """
    if None in evidence.excuses:
        return broken_verdict(level), evidence.judged_on
    if evidence.crashed or (evidence.errors and not evidence.judged and not evidence.excuses):
        return Verdict.ERROR, "; ".join(dict.fromkeys(evidence.errors))
    if evidence.excuses:
        return Verdict.WAIVED, "; ".join(dict.fromkeys(each.reason for each in evidence.excuses if each))
    if evidence.judged:
        return Verdict.PASS, evidence.judged_on
    if down and not evidence.left_out:
        return Verdict.ERROR, down
    return Verdict.NOT_JUDGED, "; ".join(dict.fromkeys(evidence.left_out)) or no_reason


def broken_verdict(level: str) -> Verdict:
    """Return the verdict of a rule of this level that has a finding which counts."""
    return Verdict.FAIL if level == Level.MUST else Verdict.WARN


def fails_gate(verdict: str, *, strict: bool) -> bool:
    """Return whether a rule with this verdict fails the gate."""
    return verdict == Verdict.FAIL or (strict and verdict == Verdict.WARN)


def judge_run(
    rules: Sequence[Mapping[str, Any]],
    errors: Iterable[Mapping[str, Any]],
    *,
    strict: bool,
    interrupted: bool,
    load: tuple[str, str] = ("pass", ""),
    phases: Iterable[Mapping[str, Any]] = (),
    required: Iterable[str] = (),
) -> tuple[str, str]:
    """Return the verdict of a run, and the reason in one line.

    `rules`, `errors` and `phases` are members of the report. `load` is the result of the load ("pass", "fail" or
    "undecided") and its reason. `required` are the requirements of the gate, in their standard form. A failure comes
    first: neither an interruption nor a phase that could not be judged takes it back. What keeps the run or a phase
    from being judged comes next, then a requirement that is not met. A run passes only if none of these applies.
    """
    unjudged = [
        f"the {phase['name']} could not be judged: {phase['reason']}"
        for phase in phases
        if phase["verdict"] == "undecided"
    ]
    gate, load_reason = load
    failed = [rule["id"] for rule in rules if rule["verdict"] == Verdict.FAIL]
    warned = [rule["id"] for rule in rules if rule["verdict"] == Verdict.WARN]
    if any(fails_gate(rule["verdict"], strict=strict) for rule in rules):
        parts = _broken_rules(failed, warned, strict=strict)
        if gate == "fail":
            parts.append(load_reason)
        return "nonconformant", "; ".join([*parts, *unjudged])
    if gate == "fail":
        return "nonconformant", "; ".join([load_reason, *unjudged])
    if unjudged and not interrupted:
        passed = [load_reason] if load_reason and gate == "pass" else []
        return "undecided", "; ".join([*unjudged, *passed])
    for error in errors:
        if error["ours"]:
            return "undecided", f"the suite itself failed: {error['message']}"
        if error["rule"] is None:
            return "undecided", error["message"]
    if interrupted:
        return "undecided", "interrupted before the end; nothing had failed by then"
    if gate == "undecided":
        return "undecided", load_reason
    if not any(rule["judged"] for rule in rules):
        return "undecided", "nothing could be judged"
    if missing := unmet(required, rules):
        return "nonconformant", unmet_reason(missing)
    return "conformant", (f"{load_reason}; " if load_reason else "") + _passed(rules, warned)


def gate_of(verdict: str) -> str:
    """Return the gate of a run's verdict: "pass", "fail" or "undecided"."""
    return _GATES.get(verdict, "undecided")


def exit_status(gate: str, *, interrupted: bool) -> int:
    """Return the exit status of a run: 0 passes, 1 fails, 3 undecided, 130 interrupted."""
    return INTERRUPTED if interrupted else _EXIT_STATUSES.get(gate, _UNDECIDED_STATUS)


def normal(text: str) -> str:
    """Return the text without what depends on the seed: numbers, quoted text and the name of a filter."""
    text = re.sub(r"\bfiltered by \S+", "filtered", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|«[^»]*»", "''", text)
    return re.sub(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?(?:\^\d+)?", "#", text, flags=re.IGNORECASE)


def _broken_rules(failed: list[str], warned: list[str], *, strict: bool) -> list[str]:
    parts = []
    if failed:
        parts.append(f"{plural(len(failed), 'must rule')} failed ({listed(failed)})")
    if warned:
        verb = "failed, and the run is strict" if strict else "warns" if len(warned) == 1 else "warn"
        parts.append(f"{plural(len(warned), 'should rule')} {verb} ({listed(warned)})")
    return parts


def _passed(rules: Sequence[Mapping[str, Any]], warned: list[str]) -> str:
    """Return the reason of a run that passed: what was judged, and what did not count against it."""
    judged = sum(map(is_judged, rules))
    reason = f"no must rule failed; {judged} of {plural(len(rules), 'rule')} judged"
    if warned:
        verb = "warns" if len(warned) == 1 else "warn"
        reason += f"; {plural(len(warned), 'should rule')} {verb} ({listed(warned)})"
    known = sum(bool(finding.get("known")) for rule in rules for finding in rule["findings"])
    waived = Counter(rule["verdict"] for rule in rules)[Verdict.WAIVED]
    only_known = sum(
        rule["verdict"] == Verdict.WAIVED and all(finding.get("known") for finding in rule["findings"])
        for rule in rules
    )
    if waived > only_known:
        reason += f"; {waived - only_known} waived"
    if known:
        reason += f"; {plural(known, 'known finding')}"
    return reason


def listed(names: Sequence[str]) -> str:
    """Return the names in one line, the last ones as a number if there are many."""
    more = len(names) - MAX_LISTED_RULES
    return ", ".join(names[:MAX_LISTED_RULES]) + (f" and {more} more" if more > 0 else "")
