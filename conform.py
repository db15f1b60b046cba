"""The command: options in, exit status out. Whatever it does can be had with bare pytest and Locust, too."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from conformance import __version__
from conformance.harness import Harness, Request, duration, named_path, positive
from conformance.protocol.profile import UsageError

if TYPE_CHECKING:
    import pytest

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
        help="time for generated payloads, as in 90s, 10m, 2h",
    )
    check.add_argument(
        "--cases", type=named_path, metavar="DIR", help="play the case files of this folder first"
    )
    check.add_argument("--jobs", type=positive, default=1, metavar="N", help="calls at the same time")
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

    catalog = verbs.add_parser("catalog", allow_abbrev=False, help="write a catalogue in another form")
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
    export.add_argument(
        "--openapi", required=True, type=named_path, metavar="FILE", help="what to write; - is the screen"
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
    return parser


def _request(options: argparse.Namespace) -> Request:
    return Request(
        target=options.target,
        profile=options.profile,
        out=options.out,
        strict=options.strict,
        read_only=options.read_only,
        seed=options.seed,
        budget=getattr(options, "budget", "standard"),
        jobs=getattr(options, "jobs", 1),
        rules=tuple(getattr(options, "rule", ())),
        areas=tuple(getattr(options, "area", ())),
        plan=getattr(options, "plan", False),
        generate_for=getattr(options, "generate_for", None),
        cases=getattr(options, "cases", None),
        quiet=options.quiet,
        color=False if options.no_color or os.environ.get("NO_COLOR") else None,
        verb=options.verb,
    )


def _check(options: argparse.Namespace) -> int:
    return _pytest(Harness.prepare(_request(options)))


def _pytest(harness: Harness) -> int:
    """Run the suites with pytest, and close with the report on one page."""
    import pytest

    from reports.run import exit_status

    class Front:
        """Hands the harness to the suites, and keeps pytest's own words off the screen."""

        problem: str | None = None
        interrupted = False

        def pytest_configure(self, config: pytest.Config) -> None:
            config.pluginmanager.register(harness, "conform-harness")

        def pytest_internalerror(self, excrepr: object) -> None:
            self.problem = str(excrepr)

        def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
            if isinstance(excinfo.value, pytest.exit.Exception):
                self.problem = str(excinfo.value)
            elif excinfo.type is KeyboardInterrupt:
                self.interrupted = True

    front = Front()
    arguments = [
        str(ROOT / "conformance"),
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
        status = int(pytest.main(arguments, plugins=[front]))
    finally:
        harness.close()
    report = harness.report
    if report is not None:
        with _pipe():
            if harness.request.quiet:
                print(f"{report['verdict']}: {report['reason']}", flush=True)
            else:
                from reports.screen import print_closing

                print_closing(report, color=harness.request.color, folder=harness.out)
        if harness.problem:
            print(f"conform check: {harness.problem}", file=sys.stderr)
        return exit_status(report)
    if harness.interrupted or front.interrupted:
        return 130
    if harness.plan is not None:
        with _pipe():
            print(harness.plan, flush=True)
        return 0
    problem = (front.problem or harness.problem or f"pytest ended with status {status}").strip()
    if problem.startswith("conform: "):
        print(f"conform check: {problem.removeprefix('conform: ').splitlines()[0]}", file=sys.stderr)
        return 2
    told = problem.splitlines()[-1]
    print(
        f"conform check: {told if harness.problem else f'the suite itself failed: {told}'}", file=sys.stderr
    )
    return 3


@contextlib.contextmanager
def _pipe() -> Iterator[None]:
    """Let a reader go away early (`| head`): what the run came to is said by the exit status all the same."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(options: argparse.Namespace) -> int:
    from conformance.call import print_call

    with _pipe():
        return print_call(_request(options), options)
    return 0


def _catalog_export(options: argparse.Namespace) -> int:
    from conformance.catalog import export_openapi

    with _pipe():
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
    from conformance.replay import print_replay

    with _pipe():
        return print_replay(_request(options), options)
    return 0


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    parser = _parser()
    options = parser.parse_args(argv)
    before = None
    with contextlib.suppress(ValueError):  # not the main thread, where no signal comes
        before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.run(options))
    except UsageError as error:
        print(f"conform {options.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
