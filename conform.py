"""The command line: parse the options, run the command, return the exit status.

The commands themselves are in `conformance/commands/`, those of stored reports in `reports/command.py`.
"""

from __future__ import annotations

from conformance.startup import leave_at_once, prefer_own_modules, release

leave_at_once()  # before the other imports
prefer_own_modules()

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

from conformance import __version__
from conformance.commands.making_options import add_import, add_init, add_learn
from conformance.commands.output import (
    OutputError,
    discard_output,
    guarded_streams,
    print_error,
    tolerate_closed_pipe,
)
from conformance.commands.request import color_of, request_of
from conformance.engine import budgets
from conformance.engine.harness import (
    Harness,
    Request,
    duration,
    named_path,
    per_second,
    positive,
    requirement,
)
from conformance.errors import UsageError


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
    _add_rules(common)
    common.add_argument("--quiet", action="store_true", help="print the verdict only")
    common.add_argument("--no-color", action="store_true")

    check = verbs.add_parser(
        "check", parents=[common], allow_abbrev=False, help="judge a target against the rulebook"
    )
    _check_options(check)
    check.add_argument("--plan", action="store_true", help="send nothing; print what would be sent")
    stop = check.add_mutually_exclusive_group()
    stop.add_argument(
        "-x",
        "--fail-fast",
        dest="fail_fast_check",
        action="store_true",
        help="stop after the first failing test",
    )
    stop.add_argument("--max-failures", type=positive, metavar="N", help="stop after N failing tests")
    check.add_argument(
        "--har",
        nargs="+",
        action="extend",
        type=named_path,
        metavar="FILE",
        help="judge recorded traffic, and send nothing: HAR files, or the folders of runs",
    )
    check.set_defaults(run=_check)

    judge = verbs.add_parser(
        "judge",
        parents=[common],
        allow_abbrev=False,
        help="judge recorded traffic: HAR files of browsers, proxies and test tools, or the folders of runs",
        epilog="Nothing is sent. The target is where most calls go, or --target, or the profile's.",
    )
    judge.add_argument(
        "files", nargs="+", type=named_path, metavar="FILE", help="a HAR file, or the folder of a run"
    )
    _selection_options(judge)
    judge.set_defaults(run=_judge)

    watch = verbs.add_parser(
        "watch",
        parents=[common],
        allow_abbrev=False,
        help="a reverse proxy in front of a target that judges the traffic of any client",
        epilog="Point clients at the address that it prints. Ctrl-C ends it and makes the report.",
    )
    watch.add_argument(
        "--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="default: a free port of 127.0.0.1"
    )
    watch.add_argument(
        "--allow-remote", action="store_true", help="listen where other machines can connect, too"
    )
    watch.add_argument("--har", type=named_path, metavar="FILE", help="write what passes as HAR 1.2")
    watch.add_argument("--raw", action="store_true", help="do not mask secrets in the HAR")
    _selection_options(watch)
    watch.set_defaults(run=_watch)

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

    add_import(deeds).set_defaults(run=_catalog_import)
    add_learn(deeds).set_defaults(run=_catalog_learn)
    validate = deeds.add_parser("validate", allow_abbrev=False, help="check a catalogue, with line numbers")
    validate.add_argument("catalog", type=named_path, metavar="FILE")
    validate.set_defaults(run=_catalog_validate)

    add_init(verbs, _init_user).set_defaults(run=_init)

    explore = verbs.add_parser(
        "explore",
        allow_abbrev=False,
        help="a local web page over any target: forms, Test, raw command, login; with RUN its findings, live",
    )
    explore.add_argument(
        "run_folder",
        nargs="?",
        type=named_path,
        metavar="RUN",
        help="the folder of a run: show its causes and findings, each to be changed and sent again",
    )
    explore.add_argument("--finding", metavar="ID", help="open this finding of RUN first")
    explore.add_argument(
        "--target", metavar="URL", help="the target's base URL (default: the embedded service)"
    )
    explore.add_argument(
        "--profile", metavar="FILE", type=named_path, help="default: conform.toml here, when there is one"
    )
    explore.add_argument("--port", type=int, default=0, metavar="N", help="default: a free one")
    explore.add_argument("--read-only", action="store_true", help="call only functions that read")
    _add_rules(explore)
    explore.add_argument("--quiet", action="store_true", help="print the line of JSON only")
    explore.set_defaults(run=_explore)

    from reports.command import add_arguments

    add_arguments(verbs, report=_report, compare=_compare)
    return parser


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rules",
        action="append",
        default=[],
        type=named_path,
        metavar="FILE",
        help="judge the rules of your own in this Python file, too (repeatable)",
    )


def _selection_options(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "--rule", action="append", default=[], metavar="ID", help="judge this rule alone (repeatable)"
    )
    check.add_argument(
        "--area", action="append", default=[], metavar="AREA", help="judge this area alone (repeatable)"
    )
    check.add_argument("--all", action="store_true", dest="every", help="show every finding, not the causes")
    check.add_argument(
        "--require",
        action="append",
        default=[],
        type=requirement,
        metavar="WHAT",
        help="fail unless this was judged: an area, a rule, or 'judged >= N' (repeatable)",
    )
    check.add_argument(
        "--baseline-findings",
        type=named_path,
        metavar="RUN",
        help="what this earlier run found is known: fail on new findings only",
    )


def _check_options(check: argparse.ArgumentParser) -> None:
    _selection_options(check)
    check.add_argument(
        "--suite",
        action="append",
        default=[],
        type=named_path,
        metavar="DIR",
        help="run the tests of your own in this folder, too (repeatable)",
    )
    check.add_argument("--budget", choices=budgets.BUDGETS, default="standard")
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


def _load_options(load: argparse.ArgumentParser) -> None:
    from load.options import add_arguments

    add_arguments(load)
    load.add_argument("--no-calibration", action="store_true", help="do not measure first what could be sent")
    load.add_argument("--plan", action="store_true", help="send nothing; print what would be sent")
    group = load.add_argument_group("Several machines")
    group.add_argument("--master", action="store_true", help="lead --workers N workers of other machines")
    group.add_argument("--master-port", type=positive, default=5557, metavar="PORT", help="default: 5557")
    load.add_argument("locust", nargs="*", metavar="-- LOCUST", help="options for Locust itself")


def _check(options: argparse.Namespace) -> int:
    if options.har:
        from conformance.commands.judge import judge_files

        return judge_files(options, options.har)
    from conformance.commands.check import check

    return check(options)


def _judge(options: argparse.Namespace) -> int:
    from conformance.commands.judge import judge_files

    return judge_files(options, options.files)


def _watch(options: argparse.Namespace) -> int:
    from conformance.commands.watch import watch

    return watch(options)


def _load(options: argparse.Namespace) -> int:
    from conformance.commands.load import load

    return load(options)


def _verify(options: argparse.Namespace) -> int:
    from conformance.commands.verify import verify

    return verify(options)


def _serve(options: argparse.Namespace) -> int:
    from conformance.commands.serve import serve

    return serve(options)


def _call(options: argparse.Namespace) -> int:
    from conformance.commands.call import print_call

    with tolerate_closed_pipe():
        return print_call(request_of(options), options)
    return 0


def _catalog_import(options: argparse.Namespace) -> int:
    from conformance.commands.catalog_import import import_documents

    with tolerate_closed_pipe():
        return import_documents(
            options.sources,
            options.out,
            update=options.update,
            check=options.check,
            guess=options.guess,
            separator=options.entity_from,
        )
    return 0


def _catalog_learn(options: argparse.Namespace) -> int:
    from conformance.commands.learn import learn_catalogue

    with tolerate_closed_pipe():
        return learn_catalogue(options)
    return 0


def _catalog_validate(options: argparse.Namespace) -> int:
    from conformance.commands.catalog import validate

    with tolerate_closed_pipe():
        return validate(options.catalog)
    return 0


def _catalog_export(options: argparse.Namespace) -> int:
    from conformance.commands.catalog import export_markdown, export_openapi

    with tolerate_closed_pipe():
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
    from conformance.commands.replay import print_replay

    with tolerate_closed_pipe():
        return print_replay(request_of(options), options)
    return 0


def _report(options: argparse.Namespace) -> int:
    from reports.command import print_report

    return _of_runs(print_report, options)


def _compare(options: argparse.Namespace) -> int:
    from conformance.commands.learn import are_catalogues, compare_catalogues

    if are_catalogues(options):
        with tolerate_closed_pipe():
            return compare_catalogues(options)
        return 0
    from reports.command import print_compare

    return _of_runs(print_compare, options)


def _of_runs(work: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    from reports.model.event_log import LogError

    status = 0
    with tolerate_closed_pipe():
        try:
            status = work(options)
        except LogError as error:
            raise UsageError(str(error)) from error
    return status


def _init_user(text: str) -> object:
    from conformance.commands.init import user

    return user(text)


def _init(options: argparse.Namespace) -> int:
    from conformance.commands.init import begin

    with contextlib.ExitStack() as until_done:
        status, request = begin(options, until_done)
        if request is None:
            return status
        from conformance.commands.check import run_check

        return run_check(Harness.prepare(replace(request, color=color_of(options))))


def _explore(options: argparse.Namespace) -> int:
    from conformance.commands.explore import explore

    return explore(
        Request(
            target=options.target,
            profile=options.profile,
            read_only=options.read_only,
            quiet=options.quiet,
            verb=options.verb,
            rule_files=tuple(options.rules),
        ),
        options,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    before = None
    with contextlib.suppress(ValueError):  # not the main thread, where no signal comes
        before = signal.signal(signal.SIGTERM, _interrupt)
    verb = ""
    try:
        release()
        with guarded_streams():
            try:
                options = _parser().parse_args(argv)
                verb = f" {options.verb}"
                return int(options.run(options))
            except SystemExit as end:  # argparse has printed its help, or what is wrong
                return int(end.code or 0)
    except UsageError as error:
        print_error(f"conform{verb}: {error}")
        return 2
    except OutputError as error:
        discard_output()
        print_error(f"conform{verb}: cannot write standard output: {error}")
        return 3
    except KeyboardInterrupt:
        return 130
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
