"""The verdicts of the phases of a run that has several, from the verdicts of its rules and its load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.rulebook.model import Verdict
from conformance.rulebook.verdicts import listed
from conformance.text import plural
from reports.model import load_summary

__all__ = ["judge_phases"]

_PHASE_VERDICTS = {"pass": "conformant", "fail": "nonconformant"}


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
        reason = f"{plural(len(broken), 'must rule')} broken under load ({listed(sorted(broken))})"
        gate = "fail"
    return _PHASE_VERDICTS.get(gate, gate), reason
