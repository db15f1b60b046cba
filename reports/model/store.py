"""Reads stored runs from their folders, including those of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.events import EventError, ExchangeEvent, decode
from reports.causes.diagnosis import diagnose
from reports.causes.evidence import Knowledge
from reports.model.builder import FORMAT, build
from reports.model.event_log import EVENTS, LogError, read_events
from reports.model.files import REPORT

__all__ = ["Stored", "diagnosed", "find_runs", "known_findings", "read_run"]

#: Members that a report of an earlier version may lack, with their defaults.
_REPORT_DEFAULTS: Mapping[str, Any] = {
    "suite": None,
    "seconds": 0.0,
    "seed": None,
    "budget": None,
    "strict": False,
    "requests": 0,
    "resets": 0,
    "interrupted": False,
    "reason": "no reason was recorded",
    "gate": "undecided",
    "rerun": None,
    "rules": (),
    "waivers": (),
    "leftovers": (),
    "errors": (),
    "notes": (),
    "coverage": None,
    "load": None,
    "build": None,
    "catalogue": None,
    "rerun_rule": None,
    "phases": None,
    "known": None,
}
_RULE_DEFAULTS: Mapping[str, Any] = {
    "level": "must",
    "title": "",
    "clause": "",
    "why": "",
    "reason": None,
    "lines": None,
    "judged": 0,
    "judged_on": None,
    "left_out": (),
    "findings": (),
}
_FINDING_DEFAULTS: Mapping[str, Any] = {
    "function": None,
    "kind": "",
    "message": "",
    "expected": "",
    "actual": "",
    "count": 1,
    "reproduced": None,
    "waived": False,
    "known": False,
    "waiver": None,
    "exchange": None,
    "curl": None,
    "request": None,
    "response": None,
    "failure": None,
    "case": None,
    "test_rule": None,
    "cause": None,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """A run that was read: its folder and its report."""

    folder: Path
    report: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the run where several are shown."""
        return self.folder.name or str(self.folder)

    def exchanges(self) -> Iterator[ExchangeEvent]:
        """Yield the recorded exchanges; nothing if there is no log."""
        path = self.folder / EVENTS
        if not path.is_file():
            return
        try:
            with path.open("rb") as file:
                for line in file:
                    # The other events are not needed, so their lines are not parsed.
                    if b'"event":"exchange"' not in line[:40]:
                        continue
                    try:
                        event = decode(line)
                    except EventError as error:
                        if line.endswith(b"\n"):
                            raise LogError(f"{path}: {error}") from error
                        return  # the last line, cut off
                    if isinstance(event, ExchangeEvent):
                        yield event
        except OSError as error:
            raise LogError(f"cannot read {path}: {error.strerror}") from error


def read_run(path: Path) -> Stored:
    """Read the run in a folder, or its report.json. Without a report, one is built from the events.

    Raises:
        LogError: there is no run, or it cannot be read.

    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    source = path / REPORT if path.is_dir() else path
    if path.is_dir() and not source.is_file():
        if not (folder / EVENTS).is_file():
            raise LogError(f"{path}: there is no run here, neither {REPORT} nor {EVENTS}")
        return Stored(folder, build(read_events(folder / EVENTS)))
    if source.name == EVENTS:
        return Stored(folder, build(read_events(source)))
    return _with_causes(_stored(folder, source))


def _stored(folder: Path, source: Path) -> Stored:
    """Read the run of a report.json."""
    try:
        report = json.loads(source.read_bytes())
    except OSError as error:
        raise LogError(f"cannot read {source}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LogError(f"{source}: not JSON") from error
    return Stored(folder, _complete(report, source))


def _with_causes(run: Stored) -> Stored:
    """Diagnose a run of an earlier version, which has no causes."""
    return run if "causes" in run.report else diagnosed(run)


def diagnosed(run: Stored) -> Stored:
    """Return the run with its causes made again, from its report and the exchanges of its log."""
    knowledge = Knowledge()
    if any(rule["findings"] for rule in run.report["rules"]):
        for event in run.exchanges():
            knowledge.take(event)
    causes = diagnose(run.report["rules"], knowledge)
    return Stored(run.folder, {**run.report, "causes": causes})


def _complete(report: Any, source: Path) -> dict[str, Any]:
    """Return a report with every member of the current format."""
    if not isinstance(report, dict) or "rules" not in report or "verdict" not in report:
        raise LogError(f"{source}: not the report of a run")
    form = report.get("format", 1)
    if not isinstance(form, int) or form > FORMAT:
        raise LogError(f"{source}: of format {form}, and this version reads formats up to {FORMAT}")
    try:
        whole = {**_REPORT_DEFAULTS, **report}
        for name in ("rules", "waivers", "leftovers", "errors", "notes"):
            whole[name] = list(whole[name])
        whole["target"] = {"url": "", "environment": None, "embedded": False, **whole["target"]}
        whole["rules"] = [
            {**_RULE_DEFAULTS, "area": rule["id"].split("-")[0], **rule} for rule in whole["rules"]
        ]
        for rule in whole["rules"]:
            rule["findings"] = [{**_FINDING_DEFAULTS, **finding} for finding in rule["findings"]]
        _ = whole["verb"], whole["started"]
    except (KeyError, TypeError, AttributeError) as error:
        raise LogError(f"{source}: not the report of a run ({type(error).__name__}: {error})") from error
    return whole


def known_findings(run: Stored) -> tuple[tuple[str, str | None, str], ...]:
    """Return the findings of a run, each as rule, function and kind.

    Findings that the run itself knew from an earlier one are included. Waived findings are not: a waiver expires.
    """
    return tuple(
        (str(rule["id"]), finding["function"], str(finding["kind"]))
        for rule in run.report["rules"]
        for finding in rule["findings"]
        if finding["known"] or not finding["waived"]
    )


def find_runs(folder: Path) -> tuple[list[Stored], list[str]]:
    """Return the runs in a folder, the earliest first, and the messages of those that cannot be read."""
    folder = Path(folder)
    if not folder.is_dir():
        raise LogError(f"{folder}: there is no such folder")
    runs, problems = [], []
    for each in sorted(folder.iterdir()):
        if each.is_dir() and ((each / REPORT).is_file() or (each / EVENTS).is_file()):
            try:
                runs.append(read_run(each))
            except LogError as error:
                problems.append(str(error))
    runs.sort(key=lambda run: (str(run.report["started"]), run.name))
    return runs, problems
