"""What CI servers read from a job's output, where the environment says so: GitHub annotations, GitLab sections.

GitHub takes any line that begins with `::` for a command to itself. What a target sends stands in our output, so all
of that is put between `::stop-commands::` and a word that nobody can guess.
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

#: GitHub shows so many annotations of each kind of one step.
_MOST = 10


def _github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _gitlab() -> bool:
    return os.environ.get("GITLAB_CI") == "true"


def _say(file: TextIO, text: str) -> None:
    file.write(writable(text, getattr(file, "encoding", None)))
    file.flush()


@contextlib.contextmanager
def guarded(file: TextIO) -> Iterator[None]:
    """Let nothing that is written there in the meantime be a command to GitHub."""
    if not _github():
        yield
        return
    word = secrets.token_hex(16)
    _say(file, f"::stop-commands::{word}\n")
    try:
        yield
    finally:
        _say(file, f"::{word}::\n")


@contextlib.contextmanager
def section(
    name: str, title: str, file: TextIO | None = None, *, plain: bool = False, quiet: bool = False
) -> Iterator[None]:
    """Put what is written in the meantime in a section of the job's log that folds.

    `name` is of letters, for the server; `title` is for people, who read it elsewhere, too, if it is `plain`.
    """
    file = file or sys.stderr
    if quiet:
        with guarded(file):
            yield
        return
    if _gitlab():
        _say(file, f"\x1b[0Ksection_start:{int(time.time())}:conform_{name}\r\x1b[0K{reveal(title)}\n")
        try:
            yield
        finally:
            _say(file, f"\x1b[0Ksection_end:{int(time.time())}:conform_{name}\r\x1b[0K\n")
        return
    if _github():
        _say(file, f"::group::{_data(title)}\n")
        try:
            with guarded(file):
                yield
        finally:
            _say(file, "::endgroup::\n")
        return
    if plain:
        _say(file, f"{reveal(title)}\n")
    yield


def _data(text: str) -> str:
    """Return a text as the data of a command: one line, and nothing in it that ends it."""
    return reveal(text, keep="\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def commands(report: Mapping[str, Any]) -> list[str]:
    """Return the commands by which GitHub marks what failed, warned, and could not be judged."""
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
        told = f"{where}{more}\nexpected: {cut(first['expected'], 300)}\ngot: {cut(first['actual'], 300)}"
        (errors if failed else warnings).append((f"{rule['id']} {rule['title']}", told))
    load = report["load"]
    if load is not None:
        errors += [
            (f"SLO missed: {slo['text']}", f"{measured(slo)} on {plural(slo['samples'], 'sample')}")
            for slo in load["slos"]
            if slo["verdict"] == "fail" and decided(load, slo)
        ]
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
        shown, rest = (marks, []) if len(marks) <= _MOST else (marks[: _MOST - 1], marks[_MOST - 1 :])
        lines += [f"::{kind} title={_property(cut(title, 200))}::{_data(told)}" for title, told in shown]
        if rest:
            names = "; ".join(cut(title, 80) for title, _ in rest[:20])
            lines.append(f"::{kind} title={_property(f'{len(rest)} more')}::{_data(names)}")
    return lines


def annotate(report: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Write the annotations of a report, where it is GitHub that reads them."""
    if _github() and (lines := commands(report)):
        _say(file or sys.stderr, "\n".join(lines) + "\n")
