"""The command: options in, exit status out. Whatever it does can be had with bare pytest and Locust, too."""

from __future__ import annotations

from conformance.startup import leave_at_once, release

leave_at_once()  # before the other imports

import argparse
import contextlib
import hashlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from conformance import __version__
from conformance.engine.harness import Harness, Request, duration, named_path, per_second, positive
from conformance.errors import UsageError
from conformance.units import format_duration

if TYPE_CHECKING:
    import pytest

    from load.command import Interrupts
    from load.options import Settings, Wish
    from reports.model.event_log import RunLog
    from reports.model.store import Stored
    from reports.render.terminal.progress import LoadProgress

ROOT = Path(__file__).resolve().parent


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and ends with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="conform",
        description="Conformance of a Coursio API: which rules of the protocol a target keeps, and which it breaks.",
        epilog="Exit status: 0 the gate passes, 1 it fails, 2 usage, 3 nothing can be said, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"conform {__version__}")
    verbs = parser.add_subparsers(parser_class=_Parser, dest="verb", metavar="VERB", required=True)

    common = _Parser(add_help=False)
    common.add_argument(
        "--target", metavar="URL", help="the target's base URL (default: the embedded service)"
    )
    common.add_argument(
        "--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one"
    )
    common.add_argument(
        "--out", metavar="DIR", type=named_path, help="default: reports/runs/<UTC time>-<verb>"
    )
    common.add_argument("--strict", action="store_true", help="a broken should fails the gate, too")
    common.add_argument("--read-only", action="store_true", help="call only functions that read")
    common.add_argument("--seed", type=int, metavar="N", help="the same seed sends the same requests")
    common.add_argument("--quiet", action="store_true", help="print the verdict only")
    common.add_argument("--no-color", action="store_true")

    check = verbs.add_parser(
        "check", parents=[common], allow_abbrev=False, help="judge a target against the rulebook"
    )
    _check_options(check)
    check.add_argument("--plan", action="store_true", help="send nothing; print what would be sent")
    check.set_defaults(run=_check)

    call = verbs.add_parser(
        "call", parents=[common], allow_abbrev=False, help="make one call and show the exchange"
    )
    call.add_argument("function", nargs="?", metavar="ENTITY.FUNCTION")
    call.add_argument("data", nargs="?", metavar="JSON", help="the data, a JSON object")
    call.add_argument("--as", dest="user", metavar="USER", help="in a session of this user of the profile")
    call.add_argument("--page-start", type=int, metavar="N")
    call.add_argument("--page-length", type=int, metavar="N")
    call.add_argument("--raw", metavar="BODY", help="send this body as it is, with --endpoint")
    call.add_argument("--verb", dest="http_verb", metavar="VERB", default="POST")
    call.add_argument("--endpoint", metavar="ENTITY")
    call.set_defaults(run=_call)

    catalog = verbs.add_parser(
        "catalog", allow_abbrev=False, help="make a catalogue of a page, check it, write it in another form"
    )
    deeds = catalog.add_subparsers(parser_class=_Parser, dest="deed", metavar="VERB", required=True)
    export = deeds.add_parser(
        "export", allow_abbrev=False, help="write an OpenAPI 3.1 description of the functions"
    )
    export.add_argument(
        "catalog",
        nargs="?",
        type=named_path,
        metavar="CATALOGUE",
        help="default: that of the profile, or of the embedded service",
    )
    written = export.add_mutually_exclusive_group(required=True)
    written.add_argument("--openapi", type=named_path, metavar="FILE", help="what to write; - is the screen")
    written.add_argument(
        "--markdown", type=named_path, metavar="FILE", help="write it for people; - is the screen"
    )
    export.add_argument(
        "--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one"
    )
    export.add_argument(
        "--target", metavar="URL", help="the base URL to name (default: the profile's, if it has one)"
    )
    export.add_argument(
        "--per-function",
        action="store_true",
        help="an operation for each function (POST /course#find) instead of one for each endpoint",
    )
    export.add_argument("--strict", action="store_true", help="describe what should hold, too")
    export.set_defaults(run=_catalog_export)

    load = verbs.add_parser(
        "load",
        parents=[common],
        allow_abbrev=False,
        help="put an SLO-gated load on a target",
        epilog="Options after -- go to Locust as they are, as in: conform load -- --csv figures",
    )
    _load_options(load)
    load.add_argument("--worker", action="store_true", help="send for a master")
    load.add_argument("--master-host", metavar="HOST", help="where the master is (default: this machine)")
    load.set_defaults(run=_load)

    verify = verbs.add_parser(
        "verify",
        parents=[common],
        allow_abbrev=False,
        help="check, then load: one report, one exit status, one statement for a release note",
        epilog="In all at most 2 minutes with --budget quick, 15 with standard, 10 hours with deep.",
    )
    _check_options(verify)
    _load_options(verify)
    verify.add_argument("--baseline", type=named_path, metavar="RUN", help="compare with an earlier run")
    verify.add_argument(
        "--fail-on", choices=("regression",), help="with --baseline: a regression fails the gate, too"
    )
    verify.set_defaults(run=_verify, worker=False)

    replay = verbs.add_parser(
        "replay", parents=[common], allow_abbrev=False, help="play case files again, on any target"
    )
    replay.add_argument(
        "files", nargs="+", type=named_path, metavar="FILE", help="a case file, or a folder of them"
    )
    replay.set_defaults(run=_replay)

    serve = verbs.add_parser("serve", allow_abbrev=False, help="run the reference service on its own")
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    serve.add_argument("--host", default="127.0.0.1", help="a loopback address")
    serve.add_argument(
        "--db", type=named_path, metavar="FILE", help="keep the data in this file (default: in memory)"
    )
    serve.add_argument("--resync-every", metavar="SECONDS", help="reset the data and end all sessions")
    serve.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="with this deliberate defect (repeatable)",
    )
    serve.add_argument(
        "--list-faults", action="store_true", help="list the deliberate defects and the rules they break"
    )
    serve.add_argument(
        "--hostile", metavar="NAME", help="a target that misbehaves below the protocol instead"
    )
    serve.add_argument("--list-hostile", action="store_true", help="list the ways to misbehave")
    serve.set_defaults(run=_serve)

    imports = deeds.add_parser("import", allow_abbrev=False, help="make a catalogue of a documentation page")
    imports.add_argument("sources", nargs="+", metavar="URL|FILE", help="a documentation page, or several")
    imports.add_argument(
        "--out",
        type=named_path,
        default=Path("catalogue.openrpc.json"),
        metavar="FILE",
        help="default: catalogue.openrpc.json; - is the screen",
    )
    imports.add_argument(
        "--guess", action="store_true", help="take find, read, get, list, status for reading"
    )
    renewed = imports.add_mutually_exclusive_group()
    renewed.add_argument(
        "--update", action="store_true", help="keep what was answered since; say what changed"
    )
    renewed.add_argument(
        "--check", action="store_true", help="write nothing; status 1 if the page has moved on"
    )
    imports.set_defaults(run=_catalog_import)
    validate = deeds.add_parser("validate", allow_abbrev=False, help="check a catalogue, with line numbers")
    validate.add_argument("catalog", type=named_path, metavar="FILE")
    validate.set_defaults(run=_catalog_validate)

    init = verbs.add_parser("init", allow_abbrev=False, help="write a profile and a catalogue to begin with")
    init.add_argument("--target", metavar="URL", help="the target's base URL")
    init.add_argument("--page", metavar="URL|FILE", help="its documentation page, to make the catalogue of")
    init.add_argument("--login", metavar="ENTITY.FUNCTION", help="default: auth.login")
    init.add_argument(
        "--user",
        action="append",
        default=[],
        type=_init_user,
        metavar="NAME[:VARIABLE:VARIABLE]",
        help="a user, and the variables of the name and the secret (repeatable)",
    )
    init.add_argument("--environment", choices=("test", "production"))
    init.add_argument(
        "--dir", type=named_path, default=Path(), metavar="DIR", help="where to write (default: here)"
    )
    init.add_argument("--no-check", action="store_true", help="do not run the rules that only read")
    init.add_argument("--no-color", action="store_true")
    init.set_defaults(run=_init)

    explore = verbs.add_parser(
        "explore",
        allow_abbrev=False,
        help="a local web page over any target: forms, Test, raw command, login",
    )
    explore.add_argument(
        "--target", metavar="URL", help="the target's base URL (default: the embedded service)"
    )
    explore.add_argument(
        "--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one"
    )
    explore.add_argument("--port", type=int, default=0, metavar="N", help="default: a free one")
    explore.add_argument("--read-only", action="store_true", help="call only functions that read")
    explore.add_argument("--quiet", action="store_true", help="print the line of JSON only")
    explore.set_defaults(run=_explore)

    from reports.command import add_arguments

    add_arguments(verbs, report=_report, compare=_compare)
    return parser


def _check_options(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "--rule", action="append", default=[], metavar="ID", help="judge this rule alone (repeatable)"
    )
    check.add_argument(
        "--area", action="append", default=[], metavar="AREA", help="judge this area alone (repeatable)"
    )
    check.add_argument("--budget", choices=("quick", "standard", "deep"), default="standard")
    check.add_argument(
        "--for",
        dest="generate_for",
        type=duration,
        metavar="DURATION",
        help="time for generated payloads, as in 90s, 10m, 1h30m",
    )
    check.add_argument(
        "--cases", type=named_path, metavar="DIR", help="play the case files of this folder first"
    )
    check.add_argument("--jobs", type=positive, default=1, metavar="N", help="calls at the same time")
    check.add_argument(
        "--rate-limit",
        type=per_second,
        metavar="RATE",
        help="requests per second at most, as in 20 or 0.5 (default: [target] rate, else no limit)",
    )
    check.add_argument(
        "--baseline-findings",
        type=named_path,
        metavar="RUN",
        help="what this earlier run found is known: fail on new findings only",
    )


def _load_options(load: argparse.ArgumentParser) -> None:
    from load.options import add_arguments

    add_arguments(load)
    load.add_argument("--no-calibration", action="store_true", help="do not measure first what could be sent")
    load.add_argument("--plan", action="store_true", help="send nothing; print what would be sent")
    group = load.add_argument_group("Several machines")
    group.add_argument("--master", action="store_true", help="lead --workers N workers of other machines")
    group.add_argument("--master-port", type=positive, default=5557, metavar="PORT", help="default: 5557")
    load.add_argument("locust", nargs="*", metavar="-- LOCUST", help="options for Locust itself")


def _further(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the options of a load, for the line that runs it again."""
    if options.verb not in ("load", "verify"):
        return ()
    from load.options import Wish

    workers = ("--workers", str(options.workers)) if options.workers else ()
    return (*Wish.of(options).arguments(), *workers)


def _color(options: argparse.Namespace) -> bool | None:
    """Return False where colours are not wanted, None where the terminal decides."""
    return False if options.no_color or os.environ.get("NO_COLOR") else None


def _request(options: argparse.Namespace) -> Request:
    known_from: Path | None = getattr(options, "baseline_findings", None)
    known, seed = None, options.seed
    if known_from is not None:
        known, of_then = _known(known_from)
        # The same seed sends the same requests: what is new then is the target's doing, and not the dice's.
        seed = of_then if seed is None else seed
    return Request(
        target=options.target,
        profile=options.profile,
        out=options.out,
        strict=options.strict,
        read_only=options.read_only,
        seed=seed,
        budget=getattr(options, "budget", "standard"),
        jobs=getattr(options, "jobs", 1),
        rate_limit=getattr(options, "rate_limit", None),
        rules=tuple(getattr(options, "rule", ())),
        areas=tuple(getattr(options, "area", ())),
        plan=getattr(options, "plan", False),
        generate_for=getattr(options, "generate_for", None),
        cases=getattr(options, "cases", None),
        quiet=options.quiet,
        color=_color(options),
        verb=options.verb,
        further=_further(options),
        known=known,
        known_from=known_from,
    )


def _known(path: Path) -> tuple[tuple[tuple[str, str | None, str], ...], int | None]:
    """Return the findings of an earlier run, and its seed."""
    from reports.model.store import known_findings

    run = _stored("--baseline-findings", path)
    return known_findings(run), run.report["seed"]


def _stored(option: str, path: Path) -> Stored:
    """Read an earlier run."""
    from reports.model.event_log import LogError
    from reports.model.store import read_run

    try:
        return read_run(path)
    except LogError as error:
        raise UsageError(f"{option} {error}") from error


def _check(options: argparse.Namespace) -> int:
    return _pytest(Harness.prepare(_request(options)))


def _pytest(harness: Harness) -> int:
    """Run the suites with pytest, and close with the report on one page."""
    from reports.model.files import exit_status
    from reports.render.ci import section

    with section("check", f"conform check {harness.shown_url}", quiet=harness.request.quiet):
        front, status = _run_suites(harness)
    report = harness.report
    if report is not None:
        _close(harness, report)
        if harness.problem:
            print(f"conform check: {harness.problem}", file=sys.stderr)
        return exit_status(report)
    if harness.interrupted or front.interrupted:
        return 130
    if harness.plan is not None:
        with _pipe():
            print(harness.plan, flush=True)
        return 0
    return _tell_problem(harness, front, status)


def _tell_problem(harness: Harness, front: _Front, status: int) -> int:
    """Say in one line why the suites came to no report; return the exit status."""
    verb = harness.request.verb
    problem = (front.problem or harness.problem or f"pytest ended with status {status}").strip()
    if problem.startswith("conform: "):
        print(f"conform {verb}: {problem.removeprefix('conform: ').splitlines()[0]}", file=sys.stderr)
        return 2
    told = problem.splitlines()[-1]
    print(
        f"conform {verb}: {told if harness.problem else f'the suite itself failed: {told}'}", file=sys.stderr
    )
    return 3


def _close(harness: Harness, report: Mapping[str, Any], more: str = "") -> None:
    """Print the closing screen, and `more` after it; or the verdict alone."""
    from conformance.text import writable
    from reports.model.files import REPORT
    from reports.render.ci import annotate, guarded
    from reports.render.terminal.closing_screen import print_closing

    with _pipe(), guarded(sys.stdout):
        if harness.request.quiet:
            print(f"{report['verdict']}: {report['reason']}", flush=True)
        else:
            # Where there was no room for the report, its name would lead nowhere.
            folder = harness.out if (harness.out / REPORT).is_file() else None
            print_closing(report, color=harness.request.color, folder=folder)
            if more:
                sys.stdout.write(writable(more, getattr(sys.stdout, "encoding", None)))
                sys.stdout.flush()
    annotate(report)


class _Front:
    """Hands the harness to the suites, and keeps pytest's own words off the screen."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.problem: str | None = None
        self.interrupted = False

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(self.harness, "conform-harness")

    def pytest_internalerror(self, excrepr: object) -> None:
        self.problem = str(excrepr)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        import pytest

        if isinstance(excinfo.value, pytest.exit.Exception):
            self.problem = str(excinfo.value)
        elif excinfo.type is KeyboardInterrupt:
            self.interrupted = True


def _run_suites(harness: Harness) -> tuple[_Front, int]:
    """Run the suites with pytest; return what it said, and its status."""
    front = _Front(harness)
    arguments = [
        str(ROOT / "conformance" / "suites"),
        "--disable-plugin-autoload",
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
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        # They are meant for the tests of whoever calls us, not for ours.
        os.environ.pop(name, None)
    try:
        import pytest

        return front, int(pytest.main(arguments, plugins=[front]))
    finally:
        if not harness.goes_on:
            harness.close()


@contextlib.contextmanager
def _pipe() -> Iterator[None]:
    """Let a reader go away early (`| head`): what the run came to is said by the exit status all the same."""
    try:
        yield
    except BrokenPipeError:
        _discard_output()


def _load(options: argparse.Namespace) -> int:
    """Put a load on the target, show it as it goes, and close with the report on one page."""
    from load.command import plan_text, samples_short
    from load.options import Wish, settle

    wish = Wish.of(options)
    if options.worker:
        return _load_worker(options, wish)
    harness = Harness.prepare(_request(options))
    try:
        profile, catalog = harness.profile, harness.catalog
        if harness.embedded is None:
            profile.refuse_load()
        elif options.master:
            raise UsageError(
                "--master: its workers need a target that they reach, too: give --target or --profile"
            )
        settings = settle(wish, profile, None if catalog.is_implicit else catalog.methods)
        harness.connect()
        shares, left_out = _shares(harness, settings)
        if options.plan:
            with _pipe():
                print(plan_text(settings, catalog, harness.shown_url, shares, left_out))
            return 0
        return _load_run(harness, options, wish, settings, samples_short(settings, shares))
    finally:
        harness.close()


def _shares(harness: Harness, settings: Settings) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Return what is sent, and how much of each where that is known, without sending anything."""
    from load.workload.mix import mix_of
    from load.workload.scenarios import PARTS, cast
    from load.workload.workload import Work

    profile, catalog, read_only = harness.profile, harness.catalog, harness.request.read_only
    if settings.scenario.name in PARTS:
        writable = profile.may_write and not read_only
        cast(settings.scenario.name, profile, catalog, writable=writable)
        return {}, []
    work = Work(profile, catalog, seed=harness.seed, read_only=read_only)
    try:
        shares, left_out = mix_of(profile, catalog, work.resources, settings.mix)
    finally:
        work.client.close()
    return {name: float(share) for name, share in shares.items()}, left_out


def _load_worker(options: argparse.Namespace, wish: Wish) -> int:
    from load.command import work
    from load.options import target_of

    if options.master:
        raise UsageError("--worker and --master: a process is one of the two")
    profile, _ = target_of(options.profile, options.target)
    path = options.profile or (Path("conform.toml") if Path("conform.toml").is_file() else None)
    host = options.master_host or "127.0.0.1"
    log = sys.stderr if not options.quiet else None
    return work(wish, path, profile.url, host, options.master_port, options.workers or 1, log)


def _load_run(
    harness: Harness, options: argparse.Namespace, wish: Wish, settings: Settings, notes: Sequence[str]
) -> int:
    """Carry a load out, and make its report; a folder that cannot be written is a usage error."""
    from load.command import Interrupts
    from reports.model.event_log import LogError
    from reports.model.files import begin, exit_status, write_report
    from reports.render.ci import section
    from reports.render.terminal.progress import LoadProgress

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
                settings.seconds, request.quiet, request.color, lenient=_lenient(request)
            ) as progress,
        ):

            def take(event: Mapping[str, Any]) -> None:
                log.write(event)
                progress.take(event)

            with Interrupts() as interrupts:
                harness.about = _about(settings, harness.request)
                take(harness.header(__version__))
                problem = _put_load(harness, options, wish, settings, notes, take, progress, interrupts)
            log.write({"event": "end", "seconds": time.monotonic() - began})
        report = write_report(harness.out)
    except LogError as error:
        problem = str(error)
        report = _what_there_is(harness, problem, {"event": "end", "seconds": time.monotonic() - began})
    if problem is not None and not report["interrupted"]:
        print(f"conform load: {problem}", file=sys.stderr)
    _close(harness, report)
    return exit_status(report)


def _what_there_is(harness: Harness, problem: str, end: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a run whose log or report could not be written; keep it where there is room for it."""
    from reports.model.event_log import LogError
    from reports.model.files import write_report

    told = {"event": "error", "rule": None, "whose": "this machine", "message": problem}
    more: list[Mapping[str, Any]] = [told, {"event": "cut"}, end]
    try:
        return write_report(harness.out, more)
    except LogError:
        return write_report(harness.out, more, kept=False)


def _lenient(request: Request) -> frozenset[str]:
    """Return the rules that do not fail the gate when they are broken."""
    from conformance.rulebook import RULES
    from conformance.rulebook.model import Level

    return frozenset(
        rule.id for rule in RULES.values() if rule.level is not Level.MUST and not request.strict
    )


def _about(settings: Settings, request: Request) -> dict[str, Any]:
    """Return what the log's first event says of a load."""
    return {"load": {"mix": settings.mix, "think": list(settings.think), "read_only": request.read_only}}


def _put_load(
    harness: Harness,
    options: argparse.Namespace,
    wish: Wish,
    settings: Settings,
    notes: Sequence[str],
    take: Callable[[Mapping[str, Any]], None],
    progress: LoadProgress,
    interrupts: Interrupts,
) -> str | None:
    """Put the load on the target, and tell all of it; return what went wrong with it, in one line, or None."""
    from load.command import LOG, Locust, calibrate, carry_out

    problem: str | None = None
    for note in notes:
        take({"event": "note", "message": note})
        progress.say(f"note: {note}", "yellow")
    try:
        calibration = None
        if not options.no_calibration:
            calibration = calibrate(settings)
            take({"event": "calibration", **calibration.to_json()})
        if not interrupts.seen:
            locust = Locust(
                wish,
                settings,
                harness.profile.path,
                harness.profile.url,
                harness.seed,
                harness.out / LOG,
                read_only=harness.request.read_only,
                calibration=calibration,
                master=options.master,
                port=options.master_port,
                further=tuple(options.locust),
            )
            if locust.awaited is not None:
                take({"event": "note", "message": locust.awaited})
                progress.say(locust.awaited)
            problem = carry_out(locust, take, interrupts)
    except OSError as error:
        problem = str(error)
    if interrupts.seen:
        take({"event": "interrupted"})
    elif problem is not None:
        take({"event": "error", "rule": None, "message": problem, "ours": True})
    return problem


# --- verify: a check, then a load, in one folder


def _verify(options: argparse.Namespace) -> int:
    """Check the target, then put a load on it; close with one report, one exit status and a statement.

    The load's place in the budget is kept free from the beginning, and the check has the rest of it; what the check
    does not use is not given to the load. Whatever becomes of the check, the load follows, unless a person breaks the
    run off or there is no log any more to write it down in.
    """
    from load.command import plan_text, samples_short
    from load.options import Wish
    from load.time_budget import AROUND, BUDGETS, fit

    began = time.monotonic()
    if options.fail_on is not None and options.baseline is None:
        raise UsageError("--fail-on regression: give the earlier run with --baseline")
    baseline = _stored("--baseline", options.baseline) if options.baseline is not None else None
    harness = Harness.prepare(_request(options))
    try:
        profile, catalog, request = harness.profile, harness.catalog, harness.request
        if harness.embedded is None:
            profile.refuse_load()
        elif options.master:
            raise UsageError(
                "--master: its workers need a target that they reach, too: give --target or --profile"
            )
        functions = None if catalog.is_implicit else catalog.methods
        wish, settings, notes = fit(Wish.of(options), profile, options.budget, functions)
        total, most = BUDGETS[options.budget].total, BUDGETS[options.budget].load
        harness.deadline = total - min(settings.seconds, most) - AROUND
        if (request.generate_for or 0.0) > harness.deadline:
            raise UsageError(
                f"--for {request.generate_for:g}s: beside the load, budget {options.budget} has "
                f"{harness.deadline:.0f} s for the check; ask for less, or for another --budget"
            )
        harness.connect()
        shares, left_out = _shares(harness, settings)
        notes += samples_short(settings, shares)
        if options.plan:
            front, status = _run_suites(harness)
            if harness.plan is None:
                return _tell_problem(harness, front, status)
            with _pipe():
                print(harness.plan)
                print(plan_text(settings, catalog, harness.shown_url, shares, left_out))
            return 0
        harness.goes_on = True
        harness.about = _about(settings, harness.request)
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
    from reports.model.event_log import LogError
    from reports.model.files import exit_status, write_report
    from reports.render.ci import section

    began, total = times
    problems: list[str] = []
    title = f"phase 1 of 2, check: {format_duration(harness.deadline or total)} of {format_duration(total)} at most"
    with section("check", title, plain=True, quiet=harness.request.quiet):
        front, status = _run_suites(harness)
    report: Mapping[str, Any]
    if harness.report is not None:
        # The log could not be written to its end; what it says until then is all that can be had.
        report = harness.report
        problems += [harness.problem] if harness.problem is not None else []
    elif not harness.done:
        if harness.interrupted or front.interrupted:
            return 130
        return _tell_problem(harness, front, status)
    else:
        try:
            if front.problem is not None:
                problems.append(f"the suite itself failed: {front.problem.strip().splitlines()[-1]}")
            problem = _verify_load(harness, options, wish, settings, [*notes], times, problems[:1])
            problems += [problem] if problem is not None else []
            report = write_report(harness.out)
        except LogError as error:
            problems.append(str(error))
            end = {"event": "end", "seconds": time.monotonic() - began, "requests": harness.sent}
            report = _what_there_is(harness, problems[-1], end)
    comparison = _compared(harness, baseline) if harness.report is None else None
    for problem in problems:
        print(f"conform verify: {problem}", file=sys.stderr)
    _close(harness, report, _further_words(harness, report, comparison))
    status = exit_status(report)
    if comparison is None or status in (1, 130):
        return status
    from reports.compare import rules as compare

    # A regression fails the gate; where nothing can be said of one, that stands only before a pass.
    return compare.exit_status(comparison, options.fail_on) or status


def _verify_load(
    harness: Harness,
    options: argparse.Namespace,
    wish: Wish,
    settings: Settings,
    notes: Sequence[str],
    times: tuple[float, float],
    problems: Sequence[str],
) -> str | None:
    """Put the load of a verification on the target, and end the log; return what went wrong with it, or None.

    `problems` are those of the check, which were not written down.
    """
    from reports.model.event_log import RunLog

    began, total = times
    problem: str | None = None
    with RunLog(harness.out, append=True, since=began) as log:
        for told in problems:
            log.write({"event": "error", "rule": None, "message": told, "ours": True})
        try:
            if not harness.interrupted:
                problem = _verify_phase(harness, options, wish, settings, notes, log, began + total)
        except KeyboardInterrupt:
            # It came between the phases, where nobody else takes it.
            log.write({"event": "interrupted"})
        log.write({"event": "end", "seconds": time.monotonic() - began, "requests": harness.sent})
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
    from load.command import Interrupts
    from reports.render.ci import section
    from reports.render.terminal.progress import LoadProgress

    request = harness.request
    left = until - time.monotonic()
    takes = "until the search ends" if math.isinf(settings.seconds) else format_duration(settings.seconds)
    title = f"phase 2 of 2, load: {takes}; {format_duration(left)} left in all"
    ended = threading.Event()

    def take(event: Mapping[str, Any]) -> None:
        log.write(event)
        progress.take(event)

    def stop() -> None:
        # What it has then it tells, and what it made it removes.
        ended.set()
        if interrupts.locust is not None:
            interrupts.locust.interrupt()

    with (
        section("load", title, plain=True, quiet=request.quiet),
        Interrupts() as interrupts,
        LoadProgress(settings.seconds, request.quiet, request.color, lenient=_lenient(request)) as progress,
    ):
        log.write({"event": "phase", "name": "load"})
        timer = threading.Timer(max(1.0, left - _CLOSING), stop)
        timer.daemon = True
        timer.start()
        try:
            problem = _put_load(harness, options, wish, settings, notes, take, progress, interrupts)
        except UsageError as error:
            # Only now it shows that the load cannot be put so; what the check found stays.
            problem = str(error)
            take({"event": "error", "rule": None, "whose": "what was asked for", "message": problem})
        finally:
            timer.cancel()
    if not ended.is_set() or interrupts.seen:
        return problem
    message = f"the time of budget {options.budget} had passed before the load's end"
    log.write({"event": "error", "rule": None, "whose": "out of time", "message": message})
    return None


#: What the end of a verification takes: the load's own, and the report.
_CLOSING = 8.0


def _compared(harness: Harness, baseline: Stored | None) -> dict[str, Any] | None:
    """Compare the run with an earlier one, and say in its pages what changed."""
    if baseline is None:
        return None
    from reports.compare.rules import compare
    from reports.model.files import render, write_file
    from reports.model.store import read_run

    run = read_run(harness.out)
    comparison = compare(baseline, run)
    for name, data in render(run.report, comparison=comparison).items():
        write_file(harness.out / name, data)
    return comparison


def _further_words(harness: Harness, report: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> str:
    """Return what stands below a verification's closing screen; the statement is written beside the report, too."""
    import shutil

    from reports.compare import render as compare_show
    from reports.model.event_log import LogError
    from reports.model.files import REPORT, write_file
    from reports.render import statement

    words = ""
    if comparison is not None:
        words += "\n" + compare_show.text(comparison, width=shutil.get_terminal_size((100, 24)).columns)
    try:
        digest = hashlib.sha256((harness.out / REPORT).read_bytes()).hexdigest()
        told = statement.render(report, digest, comparison=comparison)
        write_file(harness.out / statement.NAME, told.encode("utf-8", "backslashreplace"))
    except (OSError, LogError):
        return words  # of a report that could not be kept nothing is to be stated
    return f"{words}\n{told}"


def _call(options: argparse.Namespace) -> int:
    from conformance.commands.call import print_call

    with _pipe():
        return print_call(_request(options), options)
    return 0


def _catalog_import(options: argparse.Namespace) -> int:
    from conformance.commands.catalog import import_pages

    with _pipe():
        return import_pages(
            options.sources, options.out, update=options.update, check=options.check, guess=options.guess
        )
    return 0


def _catalog_validate(options: argparse.Namespace) -> int:
    from conformance.commands.catalog import validate

    with _pipe():
        return validate(options.catalog)
    return 0


def _catalog_export(options: argparse.Namespace) -> int:
    from conformance.commands.catalog import export_markdown, export_openapi

    with _pipe():
        if options.markdown is not None:
            export_markdown(
                options.markdown, catalog=options.catalog, profile=options.profile, target=options.target
            )
            return 0
        export_openapi(
            options.openapi,
            catalog=options.catalog,
            profile=options.profile,
            target=options.target,
            per_function=options.per_function,
            strict=options.strict,
        )
    return 0


def _replay(options: argparse.Namespace) -> int:
    from conformance.engine.replay import print_replay

    with _pipe():
        return print_replay(_request(options), options)
    return 0


def _report(options: argparse.Namespace) -> int:
    from reports.command import print_report

    return _of_runs(print_report, options)


def _compare(options: argparse.Namespace) -> int:
    from reports.command import print_compare

    return _of_runs(print_compare, options)


def _of_runs(work: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    from reports.model.event_log import LogError

    status = 0
    with _pipe():
        try:
            status = work(options)
        except LogError as error:
            raise UsageError(str(error)) from error
    return status


def _serve(options: argparse.Namespace) -> int:
    from fixtures.faults.__main__ import main as faulty
    from fixtures.hostile.__main__ import main as misbehave
    from fixtures.service.server import main as service

    prog = "conform serve"
    with _pipe():
        if options.list_faults:
            return faulty(["--list-faults"])
        if options.list_hostile:
            return misbehave(["--list"])
        if options.hostile is not None:
            others = (options.db, options.resync_every, *options.fault)
            if options.host != "127.0.0.1" or any(other is not None for other in others):
                raise UsageError("--hostile takes no option beside it but --port")
            return misbehave([options.hostile, f"--port={options.port}"], prog=f"{prog} --hostile")
        arguments = [f"--host={options.host}", f"--port={options.port}"]
        if options.db:
            arguments.append(f"--db={options.db}")
        if options.resync_every is not None:
            arguments.append(f"--resync-every={options.resync_every}")
        if options.fault:
            return faulty([*arguments, *(f"--fault={name}" for name in options.fault)], prog=prog)
        return service(arguments, prog=prog)
    return 0


def _init_user(text: str) -> object:
    from conformance.commands.init import user

    return user(text)


def _init(options: argparse.Namespace) -> int:
    from conformance.commands.init import begin

    with contextlib.ExitStack() as until_done:
        status, request = begin(options, until_done)
        if request is None:
            return status
        return _pytest(Harness.prepare(replace(request, color=_color(options))))


def _explore(options: argparse.Namespace) -> int:
    from conformance.commands.explore import explore

    return explore(
        Request(
            target=options.target,
            profile=options.profile,
            read_only=options.read_only,
            quiet=options.quiet,
            verb=options.verb,
        ),
        options,
    )


class OutputError(Exception):
    """Standard output cannot be written."""


class _Output:
    """Standard output whose failures cannot be taken for those of any other file; a reader may go away early."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            OutputError: it cannot be written.

        """
        with self._reported():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write what is held back.

        Raises:
            OutputError: it cannot be written.

        """
        with self._reported():
            self._stream.flush()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.strerror or str(error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Write what the streams' encodings cannot show as escapes, and tell failures of standard output apart."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    stdout, stderr = sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        # Python has no such stream where it was closed before the start.
        nowhere = opened.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        sys.stdout, sys.stderr = cast(TextIO, _Output(stdout or nowhere)), stderr or nowhere
        try:
            yield
            with _pipe():
                sys.stdout.flush()
        finally:
            sys.stdout, sys.stderr = stdout, stderr


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    before = None
    with contextlib.suppress(ValueError):  # not the main thread, where no signal comes
        before = signal.signal(signal.SIGTERM, _interrupt)
    verb = ""
    try:
        release()
        with _streams():
            try:
                options = _parser().parse_args(argv)
                verb = f" {options.verb}"
                return int(options.run(options))
            except SystemExit as end:  # argparse has printed its help, or what is wrong
                return int(end.code or 0)
    except UsageError as error:
        _tell(f"conform{verb}: {error}")
        return 2
    except OutputError as error:
        _discard_output()
        _tell(f"conform{verb}: cannot write standard output: {error}")
        return 3
    except KeyboardInterrupt:
        return 130
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _tell(line: str) -> None:
    """Print a line on standard error, where that can be written."""
    with contextlib.suppress(OSError):
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)


def _discard_output() -> None:
    """Send what is still to be written to standard output nowhere, so that Python does not fail over it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
