"""`conform verify`: a check followed by a load test, with one folder and one report."""

from __future__ import annotations

import argparse
import hashlib
import math
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.commands.check import close, report_problem, run_suites
from conformance.commands.load import lenient_rules, load_options, put_load, report_of_broken_log, shares_of
from conformance.commands.load_mix import seen_mix
from conformance.commands.load_time import SECONDS_AROUND_LOAD, fit
from conformance.commands.output import tolerate_closed_pipe
from conformance.commands.request import request_of, stored_run
from conformance.engine import budgets
from conformance.engine.harness import Harness
from conformance.errors import UsageError
from conformance.events import EndEvent, ErrorEvent, Event, InterruptedEvent, PhaseEvent
from conformance.units import format_duration
from load.command import Interrupts, plan_text, samples_short
from load.options import Settings, Wish
from reports.compare import render as compare_show
from reports.compare import rules as compare_rules
from reports.model.event_log import LogError, RunLog
from reports.model.files import REPORT, exit_status, render, write_file, write_report
from reports.model.store import Stored, read_run
from reports.render import statement
from reports.render.ci import section
from reports.render.terminal.progress import LoadProgress

__all__ = ["verify"]


def verify(options: argparse.Namespace) -> int:
    """Check the target, then run a load test; write one report and a statement, and return the exit status.

    The time of the load is reserved in the budget, and the check has the rest. Time that the check does not use is not
    given to the load. The load follows whatever the result of the check, unless the user interrupts the run or the log
    cannot be written.
    """
    began = time.monotonic()
    if options.fail_on is not None and options.baseline is None:
        raise UsageError("--fail-on regression: give the earlier run with --baseline")
    baseline = stored_run("--baseline", options.baseline) if options.baseline is not None else None
    harness = Harness.prepare(request_of(options))
    try:
        profile, catalog, request = harness.profile, harness.catalog, harness.request
        if harness.embedded is None:
            profile.refuse_load()
        elif options.master:
            raise UsageError(
                "--master: its workers need a target that they reach, too: give --target or --profile"
            )
        functions = None if catalog.is_implicit else catalog.methods
        asked = Wish.of(options)
        mix_seen = seen_mix(asked, profile, catalog, read_only=request.read_only)
        wish, settings, notes = fit(asked, profile, options.budget, functions, mix_seen)
        load_seconds = min(settings.seconds, budgets.MAX_LOAD_SECONDS.of(options.budget))
        total = budgets.VERIFY_SECONDS.of(options.budget)
        harness.deadline = total - load_seconds - SECONDS_AROUND_LOAD
        if (request.generate_for or 0.0) > harness.deadline:
            raise UsageError(
                f"--for {request.generate_for:g}s: beside the load, budget {options.budget} has "
                f"{harness.deadline:.0f} s for the check; ask for less, or for another --budget"
            )
        harness.connect()
        shares, left_out = shares_of(harness, settings)
        notes += samples_short(settings, shares)
        if options.plan:
            front, status = run_suites(harness)
            if harness.plan is None:
                return report_problem(harness, front, status)
            with tolerate_closed_pipe():
                print(harness.plan)
                print(plan_text(settings, catalog, harness.shown_url, shares, left_out))
            return 0
        harness.goes_on = True
        harness.load_options = load_options(settings, harness.request)
        return _verify_run(harness, options, wish, settings, notes, baseline, (began, total))
    finally:
        harness.close()


def _verify_run(
    harness: Harness,
    options: argparse.Namespace,
    wish: Wish,
    settings: Settings,
    notes: Sequence[str],
    baseline: Stored | None,
    times: tuple[float, float],
) -> int:
    began, total = times
    problems: list[str] = []
    title = f"phase 1 of 2, check: {format_duration(harness.deadline or total)} of {format_duration(total)} at most"
    with section("check", title, plain=True, quiet=harness.request.quiet):
        front, status = run_suites(harness)
    report: Mapping[str, Any]
    if harness.report is not None:
        # The log could not be completed; the report is made of the events before the failure.
        report = harness.report
        problems += [harness.problem] if harness.problem is not None else []
    elif not harness.done:
        if harness.interrupted or front.interrupted:
            return 130
        return report_problem(harness, front, status)
    else:
        try:
            if front.problem is not None:
                problems.append(f"the suite itself failed: {front.problem.strip().splitlines()[-1]}")
            problem = _verify_load(harness, options, wish, settings, [*notes], times, problems[:1])
            problems += [problem] if problem is not None else []
            report = write_report(harness.out)
        except LogError as error:
            problems.append(str(error))
            end = EndEvent(time.monotonic() - began, harness.sent)
            report = report_of_broken_log(harness, problems[-1], end)
    comparison = _comparison_with(harness, baseline) if harness.report is None else None
    for problem in problems:
        print(f"conform verify: {problem}", file=sys.stderr)
    close(harness, report, _closing_words(harness, report, comparison))
    status = exit_status(report)
    if comparison is None or status in (1, 130):
        return status

    # A regression fails the gate. An undecided comparison takes precedence over a pass only.
    return compare_rules.exit_status(comparison, options.fail_on) or status


def _verify_load(
    harness: Harness,
    options: argparse.Namespace,
    wish: Wish,
    settings: Settings,
    notes: Sequence[str],
    times: tuple[float, float],
    problems: Sequence[str],
) -> str | None:
    """Run the load test of a verification and complete the log; return the reason of a failure, or None.

    `problems` are failures of the check that are not in the log yet.
    """
    began, total = times
    problem: str | None = None
    with RunLog(harness.out, append=True, since=began) as log:
        for message in problems:
            log.write(ErrorEvent(None, message, ours=True))
        try:
            if not harness.interrupted:
                problem = _verify_phase(harness, options, wish, settings, notes, log, began + total)
        except KeyboardInterrupt:
            # The interrupt came between the phases, where it is not handled elsewhere.
            log.write(InterruptedEvent())
        log.write(EndEvent(time.monotonic() - began, harness.sent))
    return problem


def _verify_phase(
    harness: Harness,
    options: argparse.Namespace,
    wish: Wish,
    settings: Settings,
    notes: Sequence[str],
    log: RunLog,
    until: float,
) -> str | None:
    request = harness.request
    left = until - time.monotonic()
    takes = "until the search ends" if math.isinf(settings.seconds) else format_duration(settings.seconds)
    title = f"phase 2 of 2, load: {takes}; {format_duration(left)} left in all"
    ended = threading.Event()

    def take(event: Event) -> None:
        log.write(event)
        progress.take(event)

    def stop() -> None:
        # Locust then reports its results and removes the objects that it created.
        ended.set()
        if interrupts.locust is not None:
            interrupts.locust.interrupt()

    with (
        section("load", title, plain=True, quiet=request.quiet),
        Interrupts() as interrupts,
        LoadProgress(
            settings.seconds, request.quiet, request.color, lenient=lenient_rules(request)
        ) as progress,
    ):
        log.write(PhaseEvent("load"))
        timer = threading.Timer(max(1.0, left - CLOSING_SECONDS), stop)
        timer.daemon = True
        timer.start()
        try:
            problem = put_load(harness, options, wish, settings, notes, take, progress, interrupts)
        except UsageError as error:
            # A wrong option of the load was found only now; the results of the check remain valid.
            problem = str(error)
            take(ErrorEvent(None, problem, whose="what was asked for"))
        finally:
            timer.cancel()
    if not ended.is_set() or interrupts.seen:
        return problem
    message = f"the time of budget {options.budget} had passed before the load's end"
    log.write(ErrorEvent(None, message, whose="out of time"))
    return None


#: Seconds reserved for the end of the load and for the report.
CLOSING_SECONDS = 8.0


def _comparison_with(harness: Harness, baseline: Stored | None) -> dict[str, Any] | None:
    """Compare the run with an earlier one, and add the changes to the rendered reports."""
    if baseline is None:
        return None

    run = read_run(harness.out)
    comparison = compare_rules.compare(baseline, run)
    for name, data in render(run.report, comparison=comparison).items():
        write_file(harness.out / name, data)
    return comparison


def _closing_words(harness: Harness, report: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> str:
    """Return the text below the closing screen: the comparison and the statement, which is also written to a file."""
    words = ""
    if comparison is not None:
        words += "\n" + compare_show.text(comparison, width=shutil.get_terminal_size((100, 24)).columns)
    try:
        digest = hashlib.sha256((harness.out / REPORT).read_bytes()).hexdigest()
        text = statement.render(report, digest, comparison=comparison)
        write_file(harness.out / statement.NAME, text.encode("utf-8", "backslashreplace"))
    except (OSError, LogError):
        return words  # There is no statement about a report that was not written.
    return f"{words}\n{text}"
