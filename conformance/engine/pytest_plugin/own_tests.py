"""Runs a team's own tests for `conform check --suite`: in a pytest of their own, with the events of this run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from conformance.engine.harness import Harness
from conformance.events import EndEvent, Event, FindingEvent, NotJudgedEvent, RunEvent, given
from conformance.rulebook import own_rules
from reports.model.parts import events_of

__all__ = ["LOG", "run_own_tests"]

#: What pytest prints of the tests, in the folder of the run.
LOG = "own-tests.log"

_PLUGIN = "conformance.own_tests.plugin"
#: Exit statuses of pytest after which all tests have run: passed, failed, none collected.
_ENDED = (0, 1)


def run_own_tests(harness: Harness, emit: Callable[[Event], None]) -> int:
    """Run the tests in the folders that the request names, and emit their events; return the number of requests.

    They run in a process of their own, where the names `fixtures`, `load` and `reports` are the team's.

    Raises:
        LogError: the events cannot be read.

    """
    request, profile = harness.request, harness.profile
    parts = harness.out / "own-tests"
    shutil.rmtree(parts, ignore_errors=True)
    wanted = {
        "target": profile.url,
        "profile": str(profile.path.resolve()) if profile.path is not None else None,
        "rules": [str(path.resolve()) for path in request.rule_files],
        "strict": request.strict,
        "read_only": request.read_only,
        "seed": harness.seed,
        "judged": sorted(harness.wanted) if request.rules or request.areas else [],
    }
    variables = {
        **os.environ,
        "CONFORM_OWN_TESTS_PARTS": str(parts.resolve()),
        "CONFORM_OWN_TESTS": json.dumps(wanted),
    }
    command = [sys.executable, "-m", "pytest", *map(str, request.suites)]
    if not any(entry.value == _PLUGIN for entry in metadata.entry_points(group="pytest11")):
        command += ["-p", _PLUGIN]
    with (harness.out / LOG).open("wb") as log:
        ended = subprocess.run(command, env=variables, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    requests = 0
    for event in events_of(parts):
        if isinstance(event, EndEvent):
            requests = given(event.requests) or 0
        elif not isinstance(event, RunEvent) and not _repeats(event):
            emit(event)
    if ended.returncode not in _ENDED and own_rules.OWN_TESTS in harness.wanted:
        emit(_failure(ended.returncode, harness.out / LOG))
    shutil.rmtree(parts, ignore_errors=True)
    return requests


def _repeats(event: Event) -> bool:
    """Return whether an event says what this run has said itself: which rules the options leave out."""
    return isinstance(event, NotJudgedEvent) and (event.reason or "").startswith("left out by")


def _failure(status: int, log: Path) -> FindingEvent:
    """Return the finding of tests that did not run to their end."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    why = next((line for line in reversed(lines) if line.startswith(("E  ", "ERROR", "conform:", "!"))), "")
    nothing = "no test was found" if status == 5 else f"pytest ended with status {status}"
    return FindingEvent(
        rule=own_rules.OWN_TESTS,
        function=None,
        kind="the tests did not run",
        message="The team's own tests did not run to their end",
        expected="tests that run to their end",
        actual=f"{nothing}: {why or (lines or ['no output'])[-1]} (see {LOG})",
        count=1,
    )
