"""`conform load`: run a load test, show its progress, and print a summary of the report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conformance import __version__
from conformance.commands.check import close
from conformance.commands.load_mix import seen_mix
from conformance.commands.output import tolerate_closed_pipe
from conformance.commands.request import request_of
from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError
from conformance.events import (
    CalibrationEvent,
    CutEvent,
    EndEvent,
    ErrorEvent,
    Event,
    InterruptedEvent,
    LoadOptionsRecord,
    NoteEvent,
)
from conformance.rulebook import RULES
from conformance.rulebook.verdicts import broken_verdict, fails_gate
from load.command import LOG, Interrupts, Locust, calibrate, carry_out, plan_text, samples_short, work
from load.options import Settings, Wish, settle, target_of
from load.workload.mix import mix_of
from load.workload.scenario_file import read_scenario_file
from load.workload.scenarios import PARTS, cast
from load.workload.seen import MIX_FILE
from load.workload.workload import Work
from reports.model.event_log import LogError
from reports.model.files import begin, exit_status, write_report
from reports.render.ci import section
from reports.render.terminal.progress import LoadProgress

__all__ = ["lenient_rules", "load", "load_options", "put_load", "report_of_broken_log", "shares_of"]


def load(options: argparse.Namespace) -> int:
    """Run a load test, show its progress, and print a summary of the report; return the exit status."""
    wish = Wish.of(options)
    if options.worker:
        return _load_worker(options, wish)
    harness = Harness.prepare(request_of(options))
    try:
        profile, catalog = harness.profile, harness.catalog
        if harness.embedded is None:
            profile.refuse_load()
        elif options.master:
            raise UsageError(
                "--master: its workers need a target that they reach, too: give --target or --profile"
            )
        functions = None if catalog.is_implicit else catalog.methods
        mix_seen = seen_mix(wish, profile, catalog, read_only=harness.request.read_only)
        settings = settle(wish, profile, functions, mix_seen=mix_seen)
        harness.connect()
        shares, left_out = shares_of(harness, settings)
        if options.plan:
            with tolerate_closed_pipe():
                print(plan_text(settings, catalog, harness.shown_url, shares, left_out))
            return 0
        return _load_run(harness, options, wish, settings, samples_short(settings, shares))
    finally:
        harness.close()


def shares_of(harness: Harness, settings: Settings) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Return the share of each function, and the omitted functions with the reason; nothing is sent."""
    profile, catalog, read_only = harness.profile, harness.catalog, harness.request.read_only
    writable = profile.may_write and not read_only
    if settings.scenario_file is not None:
        read_scenario_file(settings.scenario_file).check(profile, catalog, writable=writable)
        return {}, []
    if settings.scenario.name in PARTS:
        cast(settings.scenario.name, profile, catalog, writable=writable)
        return {}, []
    work = Work(profile, catalog, seed=harness.seed, read_only=read_only)
    try:
        shares, left_out = mix_of(profile, catalog, work.resources, settings.mix)
    finally:
        work.client.close()
    if settings.seen is not None:
        left_out += [
            (each.function, f"{each.reason} ({each.share:.1%})") for each in settings.seen.mix.left_out
        ]
    return {name: float(share) for name, share in shares.items()}, left_out


def _load_worker(options: argparse.Namespace, wish: Wish) -> int:
    if options.master:
        raise UsageError("--worker and --master: a process is one of the two")
    profile, catalog = target_of(options.profile, options.target)
    if wish.scenario_file is not None:
        # Locust runs in another folder.
        wish = replace(wish, scenario_file=str(Path(wish.scenario_file).resolve()))
    path = options.profile or (Path("conform.toml") if Path("conform.toml").is_file() else None)
    host = options.master_host or "127.0.0.1"
    log = sys.stderr if not options.quiet else None
    mix_seen = seen_mix(wish, profile, catalog, read_only=options.read_only)
    with TemporaryDirectory() as folder:
        if mix_seen is not None:
            file = Path(folder) / MIX_FILE
            mix_seen.write(file)
            wish = replace(wish, mix_from=(str(file),))
        return work(
            wish, path, profile.url, host, options.master_port, options.workers or 1, log, options.rules
        )


def _load_run(
    harness: Harness, options: argparse.Namespace, wish: Wish, settings: Settings, notes: Sequence[str]
) -> int:
    """Run the load and write its report; raise UsageError if the folder cannot be written."""
    request = harness.request
    try:
        harness.claim()
        log = begin(harness.out)
    except (OSError, LogError) as error:
        raise UsageError(f"--out {harness.out}: {getattr(error, 'strerror', None) or error}") from error
    began = time.monotonic()
    try:
        with (
            section("load", f"conform load {harness.shown_url}", quiet=request.quiet),
            log,
            LoadProgress(
                settings.seconds, request.quiet, request.color, lenient=lenient_rules(request)
            ) as progress,
        ):

            def take(event: Event) -> None:
                log.write(event)
                progress.take(event)

            with Interrupts() as interrupts:
                harness.load_options = load_options(settings, harness.request)
                take(harness.header(__version__))
                problem = put_load(harness, options, wish, settings, notes, take, progress, interrupts)
            log.write(EndEvent(time.monotonic() - began))
        report = write_report(harness.out)
    except LogError as error:
        problem = str(error)
        report = report_of_broken_log(harness, problem, EndEvent(time.monotonic() - began))
    if problem is not None and not report["interrupted"]:
        print(f"conform load: {problem}", file=sys.stderr)
    close(harness, report)
    return exit_status(report)


def report_of_broken_log(harness: Harness, problem: str, end: EndEvent) -> dict[str, Any]:
    """Return the report of a run whose log or report could not be written; write it if that is possible now."""
    more = [ErrorEvent(None, problem, whose="this machine"), CutEvent(), end]
    try:
        return write_report(harness.out, more)
    except LogError:
        return write_report(harness.out, more, write=False)


def lenient_rules(request: Request) -> frozenset[str]:
    """Return the ids of the rules that do not fail the gate when they are broken."""
    return frozenset(
        rule.id
        for rule in RULES.values()
        if not fails_gate(broken_verdict(rule.level), strict=request.strict)
    )


def load_options(settings: Settings, request: Request) -> LoadOptionsRecord:
    """Return the options of a load for the first event of the log."""
    mix = dict(settings.mix) if settings.mix is not None else None
    record = LoadOptionsRecord(mix, list(settings.think), request.read_only)
    if settings.seen is not None:
        record.mix_from = settings.seen.mix.record()
    return record


def put_load(
    harness: Harness,
    options: argparse.Namespace,
    wish: Wish,
    settings: Settings,
    notes: Sequence[str],
    take: Callable[[Event], None],
    progress: LoadProgress,
    interrupts: Interrupts,
) -> str | None:
    """Run the load and report all of its events; return the reason of a failure in one line, or None."""
    problem: str | None = None
    for note in notes:
        take(NoteEvent(note))
        progress.say(f"note: {note}", "yellow")
    try:
        calibration = None
        if not options.no_calibration:
            calibration = calibrate(settings)
            take(CalibrationEvent(calibration.rate, calibration.cpu_us))
        if not interrupts.seen:
            locust = Locust(
                wish,
                settings,
                harness.profile.path,
                harness.profile.url,
                harness.seed,
                harness.out / LOG,
                read_only=harness.request.read_only,
                rule_files=harness.request.rule_files,
                calibration=calibration,
                master=options.master,
                port=options.master_port,
                further=tuple(options.locust),
            )
            if locust.awaited is not None:
                take(NoteEvent(locust.awaited))
                progress.say(locust.awaited)
            problem = carry_out(locust, take, interrupts)
    except OSError as error:
        problem = str(error)
    if interrupts.seen:
        take(InterruptedEvent())
    elif problem is not None:
        take(ErrorEvent(None, problem, ours=True))
    return problem
