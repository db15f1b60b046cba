"""Earlier runs of the same target: which functions failed lately, and which the catalogue did not have then."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from conformance.events import TargetRecord

__all__ = ["lately"]

#: Reports are looked for among so many of the newest runs.
_RUNS = 12


def lately(folder: Path, target: TargetRecord, functions: Collection[str]) -> frozenset[str]:
    """Return those of the functions that failed in the newest run of a target in this folder, or were not in it.

    `target` is the report's own record of it; an embedded service is the same one whatever its port. A folder
    without such a run, or one that cannot be read, says nothing.
    """
    try:
        runs = sorted(
            (run for run in folder.iterdir() if run.is_dir()), key=lambda run: run.name, reverse=True
        )
    except OSError:
        return frozenset()
    for run in runs[:_RUNS]:
        report = _read(run / "report.json")
        if report is None or not _same(report.get("target"), target):
            continue
        findings = [finding for rule in report.get("rules", ()) for finding in rule.get("findings", ())]
        failed = {finding.get("function") for finding in findings}
        coverage = (report.get("coverage") or {}).get("functions")
        new = set(functions) - coverage.keys() if isinstance(coverage, dict) and coverage else set()
        return frozenset(name for name in functions if name in failed or name in new)
    return frozenset()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _same(one: Any, other: TargetRecord) -> bool:
    if not isinstance(one, dict):
        return False
    if one.get("embedded") or other.embedded:
        return bool(one.get("embedded")) and other.embedded
    return one.get("url") == other.url
