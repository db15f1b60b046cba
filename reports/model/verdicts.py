"""The verdict of a whole run and of each of its phases, from the verdicts of its rules and its load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from conformance.rulebook.model import Verdict
from reports.model import load_summary
from reports.text import plural

__all__ = ["judge_phases", "judge_run"]

_PHASE_VERDICTS = {"pass": "conformant", "fail": "nonconformant"}


def judge_run(
    rules: Sequence[Mapping[str, Any]],
    errors: Iterable[Mapping[str, Any]],
    *,
    strict: bool,
    interrupted: bool,
    load: Mapping[str, Any] | None = None,
    phases: Iterable[Mapping[str, Any]] = (),
) -> tuple[str, str]:
    """Return the verdict of the run, and the reason in one line.

    A failure comes first: neither an interruption nor a phase that could not be judged takes it back. What keeps
    the run or a phase from being judged comes next. A run passes only if none of these applies.
    """
    unjudged = [
        f"the {phase['name']} could not be judged: {phase['reason']}"
        for phase in phases
        if phase["verdict"] == "undecided"
    ]
    gate, load_reason = load_summary.overall(load) if load is not None else ("pass", "")
    failed = [rule["id"] for rule in rules if rule["verdict"] == Verdict.FAIL]
    warned = [rule["id"] for rule in rules if rule["verdict"] == Verdict.WARN]
    if failed or (strict and warned):
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
    return "conformant", (f"{load_reason}; " if load_reason else "") + _passed(rules, warned)


def _broken_rules(failed: list[str], warned: list[str], *, strict: bool) -> list[str]:
    parts = []
    if failed:
        parts.append(f"{plural(len(failed), 'must rule')} failed ({_some(failed)})")
    if warned:
        verb = "failed, and the run is strict" if strict else "warns" if len(warned) == 1 else "warn"
        parts.append(f"{plural(len(warned), 'should rule')} {verb} ({_some(warned)})")
    return parts


def _passed(rules: Sequence[Mapping[str, Any]], warned: list[str]) -> str:
    """Return the reason of a run that passed: what was judged, and what did not count against it."""
    judged = sum(rule["judged"] > 0 for rule in rules)
    reason = f"no must rule failed; {judged} of {plural(len(rules), 'rule')} judged"
    if warned:
        verb = "warns" if len(warned) == 1 else "warn"
        reason += f"; {plural(len(warned), 'should rule')} {verb} ({_some(warned)})"
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


def judge_phases(
    phases: Iterable[Mapping[str, Any]],
    rules: Iterable[Mapping[str, Any]],
    errors: Iterable[Mapping[str, Any]],
    load: Mapping[str, Any] | None,
    *,
    interrupted: bool,
) -> list[dict[str, Any]]:
    """Return the phases of a run with their verdicts; a phase without an end is undecided."""
    failed = {rule["id"] for rule in rules if rule["verdict"] == Verdict.FAIL}
    whole_run = [error["message"] for error in errors if error["rule"] is None]
    judged = []
    for phase in phases:
        record = dict(phase)
        if record["name"] == "load":
            record["verdict"], record["reason"] = _load_phase(
                load, failed, whole_run, interrupted=interrupted
            )
            record["seconds"] = None if load is None else load["seconds"]
        elif record["verdict"] is None:
            record["verdict"] = "undecided"
            record["reason"] = whole_run[-1] if whole_run else "it did not come to its end"
        judged.append(record)
    if judged and all(phase["name"] != "load" for phase in judged):
        reason = "interrupted before it began" if interrupted else "it did not begin"
        judged.append({"name": "load", "seconds": None, "verdict": "undecided", "reason": reason})
    return judged


def _load_phase(
    load: Mapping[str, Any] | None, failed: set[str], whole_run: list[str], *, interrupted: bool
) -> tuple[str, str]:
    gate, reason = load_summary.overall(load) if load is not None else ("undecided", "")
    if interrupted and gate != "fail":
        gate, reason = "undecided", "interrupted before its end"
    elif gate == "undecided" and load is None:
        reason = whole_run[-1] if whole_run else "it did not begin"
    counted = load["rules"] if load is not None else {}
    broken = [rule for rule in failed if rule in counted and counted[rule]["broken"]]
    if broken:
        reason = f"{plural(len(broken), 'must rule')} broken under load ({_some(sorted(broken))})"
        gate = "fail"
    return _PHASE_VERDICTS.get(gate, gate), reason


def _some(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
