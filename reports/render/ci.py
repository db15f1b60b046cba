"""Annotations and sections in the output of a CI job, for GitHub and GitLab.

GitHub interprets every line that begins with `::` as a command. Our output contains text from the target, so it is
written between `::stop-commands::` and a random word.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from conformance.rulebook.model import Verdict
from conformance.text import cut, reveal, writable
from reports.model.load_summary import measured
from reports.text import decided, plural

__all__ = ["annotate", "commands", "guarded", "section"]

#: Annotations of each kind that GitHub shows for one step.
MAX_ANNOTATIONS_PER_KIND = 10


def _github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _gitlab() -> bool:
    return os.environ.get("GITLAB_CI") == "true"


def _write(file: TextIO, text: str) -> None:
    file.write(writable(text, getattr(file, "encoding", None)))
    file.flush()


@contextlib.contextmanager
def guarded(file: TextIO) -> Iterator[None]:
    """Prevent GitHub from interpreting what is written to the file within this context."""
    if not _github():
        yield
        return
    word = secrets.token_hex(16)
    _write(file, f"::stop-commands::{word}\n")
    try:
        yield
    finally:
        _write(file, f"::{word}::\n")


@contextlib.contextmanager
def section(
    name: str, title: str, file: TextIO | None = None, *, plain: bool = False, quiet: bool = False
) -> Iterator[None]:
    """Put what is written within this context into a section of the job's log that can be folded.

    `name` consists of letters and identifies the section. `title` is for people; with `plain` it is also written
    where there are no sections.
    """
    file = file or sys.stderr
    if quiet:
        with guarded(file):
            yield
        return
    if _gitlab():
        _write(file, f"\x1b[0Ksection_start:{int(time.time())}:conform_{name}\r\x1b[0K{reveal(title)}\n")
        try:
            yield
        finally:
            _write(file, f"\x1b[0Ksection_end:{int(time.time())}:conform_{name}\r\x1b[0K\n")
        return
    if _github():
        _write(file, f"::group::{_data(title)}\n")
        try:
            with guarded(file):
                yield
        finally:
            _write(file, "::endgroup::\n")
        return
    if plain:
        _write(file, f"{reveal(title)}\n")
    yield


def _data(text: str) -> str:
    """Return a text as the data of a command, without characters that would end it."""
    return reveal(text, keep="\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def commands(report: Mapping[str, Any]) -> list[str]:
    """Return the GitHub commands that annotate what failed, warned, or could not be judged."""
    errors: list[tuple[str, str]] = []
    warnings: list[tuple[str, str]] = []
    for rule in report["rules"]:
        standing = [finding for finding in rule["findings"] if not finding["waived"]]
        if not standing or rule["verdict"] not in (Verdict.FAIL, Verdict.WARN):
            continue
        failed = rule["verdict"] == Verdict.FAIL or report["strict"]
        first = standing[0]
        where = f"{first['function'] or 'the target'}"
        more = f", and {plural(len(standing) - 1, 'more finding')}" if len(standing) > 1 else ""
        causes = ", ".join(dict.fromkeys(str(each["cause"]) for each in standing if each.get("cause")))
        more += f"\ncause: {causes}" if causes else ""
        message = f"{where}{more}\nexpected: {cut(first['expected'], 300)}\ngot: {cut(first['actual'], 300)}"
        (errors if failed else warnings).append((f"{rule['id']} {rule['title']}", message))
    load = report["load"]
    if load is not None:
        errors += [
            (f"SLO missed: {slo['text']}", f"{measured(slo)} on {plural(slo['samples'], 'sample')}")
            for slo in load["slos"]
            if slo["verdict"] == "fail" and decided(load, slo)
        ]
    if unmet := (report.get("required") or {}).get("unmet"):
        reason = report["reason"] if report["verdict"] == "nonconformant" else ""
        names = ", ".join(each["requirement"] for each in unmet)
        errors.append(("Required but not judged", cut(f"{names}\n{reason}", 600)))
    if report["gate"] == "undecided":
        errors.append(("Nothing can be said", cut(report["reason"], 600)))
    for gone in ((report.get("known") or {}).get("gone") or [])[:3]:
        warnings.append(
            (
                "A known finding is gone",
                f"{gone['rule']} {gone['function'] or ''}: take a newer run as baseline",
            )
        )
    for waiver in report["waivers"][:3]:
        warnings.append((f"Waiver of {waiver['rule']}", str(waiver["message"])))
    lines = []
    for kind, marks in (("error", errors), ("warning", warnings)):
        shown, rest = (
            (marks, [])
            if len(marks) <= MAX_ANNOTATIONS_PER_KIND
            else (marks[: MAX_ANNOTATIONS_PER_KIND - 1], marks[MAX_ANNOTATIONS_PER_KIND - 1 :])
        )
        lines += [
            f"::{kind} title={_property(cut(title, 200))}::{_data(message)}" for title, message in shown
        ]
        if rest:
            names = "; ".join(cut(title, 80) for title, _ in rest[:20])
            lines.append(f"::{kind} title={_property(f'{len(rest)} more')}::{_data(names)}")
    return lines


def annotate(report: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Write the annotations of a report, if the job runs on GitHub."""
    if _github() and (lines := commands(report)):
        _write(file or sys.stderr, "\n".join(lines) + "\n")
