"""The files of a run: what is made from its events is rendered and written beside them."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema_rs

from conformance.events import Event, plain
from conformance.rulebook import verdicts
from reports.model.builder import build
from reports.model.event_log import EVENTS, LogError, RunLog, read_events
from reports.render import junit, statement

__all__ = [
    "REPORT",
    "begin",
    "exit_status",
    "render",
    "serialize",
    "validate",
    "write_file",
    "write_report",
]

REPORT = "report.json"
CASES = "cases"

#: The files that are made from the events of a run.
_RENDERED = (REPORT, junit.NAME, "report.html", "report.md", "report.sarif", statement.NAME)

#: The names of the case files that a run writes.
_CASE_NAME = re.compile(r"[A-Z]+-[0-9]+-[A-Za-z0-9._]+-[0-9a-f]{8}\.json")


def begin(folder: Path) -> RunLog:
    """Open the log of a new run in a folder, and remove the files of an earlier run there."""
    log = RunLog(folder)
    cases = [path for path in (Path(folder) / CASES).glob("*.json") if _CASE_NAME.fullmatch(path.name)]
    for path in (
        *(Path(folder) / name for name in _RENDERED),
        *cases,
    ):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.close()
            raise LogError(f"cannot replace {path}: {error.strerror}") from error
    return log


def write_report(folder: Path, more: Iterable[Event] = (), *, write: bool = True) -> dict[str, Any]:
    """Build the report of the run in a folder, and write `report.json` and its renderings beside the events.

    `more` are events that could not be written to the log. Without `write` the report is only returned.
    """
    folder = Path(folder)
    report = build(chain(read_events(folder / EVENTS), more))
    if not write:
        return report
    text = serialize(report)
    # Half a surrogate pair has no UTF-8 form. Its escape is read as the same string.
    write_file(folder / REPORT, text.encode("utf-8", "backslashreplace") + b"\n")
    for name, data in render(report).items():
        write_file(folder / name, data)
    return report


def serialize(report: Mapping[str, Any]) -> str:
    """Return a report as indented JSON, with each second of a load on one line."""
    load: Mapping[str, Any] = report.get("load") or {}
    series = load.get("series")
    if not series:
        return json.dumps(report, ensure_ascii=False, indent=1, default=plain)
    # A soak has tens of thousands of seconds. With a line for each member the file would be twice as large.
    place = uuid4().hex  # random, so that no answer of a target contains it
    whole = json.dumps(
        {**report, "load": {**load, "series": [place]}}, ensure_ascii=False, indent=1, default=plain
    )
    before, _, after = whole.partition(json.dumps(place))
    lines = (json.dumps(each, ensure_ascii=False, separators=(",", ":"), default=plain) for each in series)
    return before + ",\n   ".join(lines) + after


def render(report: Mapping[str, Any], *, comparison: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Return the renderings of a report, by file name.

    With a comparison (of `reports.compare.rules`) the page and the Markdown show what changed.
    """
    # Slow to import (a tenth of a second), and not needed by commands that render no report.
    from reports.render import markdown, sarif
    from reports.render.html import page as html

    changes: list[str] = []
    if comparison is not None:
        from reports.compare import render as compare_render

        changes = compare_render.markdown(comparison)
    return {
        junit.NAME: junit.render(report),
        html.NAME: html.render(report, comparison=comparison),
        markdown.NAME: markdown.render(report, changes=changes),
        sarif.NAME: sarif.render(report),
    }


def write_file(path: Path, data: bytes) -> None:
    """Replace a file atomically: a reader sees the old content or the new, never a part. Raises LogError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise LogError(f"cannot write {path}: {error.strerror}") from error


def exit_status(report: Mapping[str, Any]) -> int:
    """Return the command's exit status for a report: 0 passes, 1 fails, 3 undecided, 130 interrupted."""
    return verdicts.exit_status(report["gate"], interrupted=report["interrupted"])


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("report.schema.json").read_text("utf-8"))
    return schema


@cache
def _is_valid() -> Callable[[Mapping[str, Any]], bool]:
    """Return the fast validator of the schema; it builds no messages."""
    return jsonschema_rs.Draft202012Validator(_schema()).is_valid


def validate(report: Mapping[str, Any]) -> None:
    """Validate a report against its JSON Schema. Raises ValueError that names the place of the first error."""
    with contextlib.suppress(ValueError):  # a number or string that the fast validator does not support
        if _is_valid()(report):
            return
    from jsonschema import Draft202012Validator  # slow to import, and needed for the messages alone

    for error in Draft202012Validator(_schema()).iter_errors(report):
        raise ValueError(f"report{error.json_path[1:]}: {error.message[:400]}")
