"""`conform check`: run the suites with pytest, and print a summary of the report."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.output import tolerate_closed_pipe
from conformance.commands.request import request_of
from conformance.engine.harness import Harness
from conformance.text import writable
from reports.headline import headline, subline
from reports.model.files import REPORT, exit_status
from reports.render.ci import annotate, guarded, section
from reports.render.terminal.closing_screen import print_closing

__all__ = ["check", "close", "report_problem", "run_check", "run_suites"]

#: The folder that holds the package and conftest.py.
ROOT = Path(__file__).resolve().parents[2]


def check(options: argparse.Namespace) -> int:
    """Check a target; return the exit status."""
    return run_check(Harness.prepare(request_of(options)))


def run_check(harness: Harness) -> int:
    """Run the suites with pytest, and print a summary of the report; return the exit status."""
    with section("check", f"conform check {harness.shown_url}", quiet=harness.request.quiet):
        front, status = run_suites(harness)
    report = harness.report
    if report is not None:
        close(harness, report)
        if harness.problem:
            print(f"conform check: {harness.problem}", file=sys.stderr)
        return exit_status(report)
    if harness.interrupted or front.interrupted:
        return 130
    if harness.plan is not None:
        with tolerate_closed_pipe():
            print(harness.plan, flush=True)
        return 0
    return report_problem(harness, front, status)


def report_problem(harness: Harness, front: PytestFront, status: int) -> int:
    """Print in one line why there is no report; return the exit status."""
    verb = harness.request.verb
    problem = (front.problem or harness.problem or f"pytest ended with status {status}").strip()
    if problem.startswith("conform: "):
        print(f"conform {verb}: {problem.removeprefix('conform: ').splitlines()[0]}", file=sys.stderr)
        return 2
    cause = problem.splitlines()[-1]
    print(
        f"conform {verb}: {cause if harness.problem else f'the suite itself failed: {cause}'}",
        file=sys.stderr,
    )
    return 3


def close(harness: Harness, report: Mapping[str, Any], more: str = "") -> None:
    """Print the closing screen and `more`, or only the verdict with `--quiet`."""
    with tolerate_closed_pipe(), guarded(sys.stdout):
        if harness.request.quiet:
            print(f"{headline(report)}: {subline(report)}", flush=True)
        else:
            # A report that could not be written is not mentioned.
            folder = harness.out if (harness.out / REPORT).is_file() else None
            print_closing(report, color=harness.request.color, folder=folder, every=harness.request.every)
            if more:
                sys.stdout.write(writable(more, getattr(sys.stdout, "encoding", None)))
                sys.stdout.flush()
    annotate(report)


class PytestFront:
    """A pytest plugin that passes the harness to the suites, and records errors instead of printing them."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.problem: str | None = None
        self.interrupted = False

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self.harness, "conform-harness")

    def pytest_internalerror(self, excrepr: object) -> None:
        self.problem = str(excrepr)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.problem = str(excinfo.value)
        elif excinfo.type is KeyboardInterrupt:
            self.interrupted = True


def run_suites(harness: Harness) -> tuple[PytestFront, int]:
    """Run the suites with pytest; return the plugin that recorded its errors, and its exit status."""
    front = PytestFront(harness)
    arguments = [
        str(ROOT / "conformance" / "suites"),
        "--disable-plugin-autoload",
        "--noconftest",
        "-p", "conformance.engine.pytest_plugin",
        "-p", "no:terminal",
        "-p", "no:cacheprovider",
        "-p", "no:doctest",
        "-p", "no:junitxml",
        "-p", "no:unittest",
        "-p", "no:logging",
        "-p", "no:warnings",
        "-p", "no:threadexception",
        "-p", "no:unraisableexception",
        "--capture=no",
        f"--rootdir={ROOT}",
        f"--confcutdir={ROOT}",
        "-c", str(ROOT / "pyproject.toml") if (ROOT / "pyproject.toml").is_file() else os.devnull,
        "--override-ini=addopts=",
        "--import-mode=importlib",
        "--assert=plain",
    ]  # fmt: skip
    if harness.request.max_failures is not None:
        arguments.append(f"--maxfail={harness.request.max_failures}")
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        # These options are meant for the tests of the calling project, not for the suites.
        os.environ.pop(name, None)
    try:
        return front, int(pytest.main(arguments, plugins=[front]))
    finally:
        if not harness.goes_on:
            harness.close()
