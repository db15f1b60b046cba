"""The command line: the verbs, their options, and what `--help` says of them.

Each verb has a function here that adds its options. The verbs of `conform catalog` are in `catalog_parser`, those of
stored runs in `reports.command`, and the options that pytest has as well in `conformance.engine.run_options`.

The parsed options have a member `command`: the name of the verb, as in "check" or "catalog import".
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from conformance import __version__
from conformance.commands import catalog_parser
from conformance.engine import run_options
from conformance.engine.harness import named_path, positive

__all__ = ["command_parser"]

_EXAMPLES = """\
examples:
  conform check                                  judge the embedded service
  conform init --target http://localhost:8080/   begin with an API of your own
  conform check --area AUT                       judge one area of the rulebook
  conform load --rate 200/s --slo 'p95 < 300ms'  put a load on it
  conform compare RUN RUN                        what changed between two runs

Exit status: 0 the gate passes, 1 it fails, 2 usage, 3 nothing can be said, 130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and ends with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Verbs:
    """Adds verbs to a parser; each takes complete option names only."""

    def __init__(self, parser: argparse.ArgumentParser, dest: str) -> None:
        self._verbs = parser.add_subparsers(parser_class=_Parser, dest=dest, metavar="VERB", required=True)

    def add_parser(self, name: str, **more: Any) -> argparse.ArgumentParser:
        """Add a verb, as the method of this name of argparse does; return its parser."""
        examples = more.pop("examples", None)
        if examples is not None:
            more["epilog"] = f"examples:\n{examples}"
            more["formatter_class"] = argparse.RawDescriptionHelpFormatter
        what = more["help"]
        more.setdefault("description", f"{what[0].upper()}{what[1:]}.")
        more["allow_abbrev"] = False
        return self._verbs.add_parser(name, **more)


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser: argparse.ArgumentParser = _Parser(
        prog="conform",
        description="Conformance of a Coursio API: which rules of the protocol a target keeps, and which it breaks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"conform {__version__}")
    verbs = _Verbs(parser, "verb")
    common, selecting = _common(), _common(selection=True)
    _add_check(verbs, selecting)
    _add_init(verbs)
    _add_load(verbs, common)
    _add_verify(verbs, selecting)
    _add_call(verbs, common)
    _add_explore(verbs)
    _add_watch(verbs, selecting)
    _add_judge(verbs, selecting)
    _add_replay(verbs, common)
    catalog = verbs.add_parser(
        "catalog", help="make a catalogue of a page or of traffic, check it, write it in another form"
    )
    catalog_parser.add_verbs(_Verbs(catalog, "catalog_verb"))
    _add_serve(verbs)
    _add_reports(verbs)
    return parser


def _common(*, selection: bool = False) -> argparse.ArgumentParser:
    """Return a parser with the options of every verb that makes a run; with `selection`, those that choose rules."""
    common = _Parser(add_help=False)
    run_options.add_target(common.add_argument_group("target").add_argument)
    gate = common.add_argument_group("rules and gate")
    gate.add_argument("--strict", action="store_true", help="a broken should fails the gate, too")
    run_options.add_rules(gate.add_argument)
    if selection:
        run_options.add_selection(gate.add_argument)
    screen = common.add_argument_group("screen")
    screen.add_argument("--quiet", action="store_true", help="print the verdict only")
    screen.add_argument("--no-color", action="store_true", help="print without colours")
    return common


def _add_check(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    check = verbs.add_parser(
        "check",
        parents=[common],
        help="judge a target against the rulebook",
        examples="""\
  conform check                                   the target of conform.toml, or the embedded service
  conform check --budget quick -x                 stop at the first failing test
  conform check --rule AUT-5 --seed 7             one rule, with the requests of an earlier run
  conform check --har traffic.har                 judge recorded traffic, and send nothing
""",
    )
    sent = _add_check_options(check)
    run_options.add_plan(sent.add_argument)
    stop = sent.add_mutually_exclusive_group()
    stop.add_argument(
        "-x",
        "--fail-fast",
        dest="fail_fast_check",
        action="store_true",
        help="stop after the first failing test",
    )
    stop.add_argument("--max-failures", type=positive, metavar="N", help="stop after N failing tests")
    sent.add_argument(
        "--har",
        nargs="+",
        action="extend",
        type=named_path,
        metavar="FILE",
        help="judge recorded traffic, and send nothing: HAR files, or the folders of runs",
    )
    check.set_defaults(command="check")


def _add_check_options(check: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options that `check` and `verify` have in common; return their group."""
    sent = check.add_argument_group("requests")
    run_options.add_budget(sent.add_argument)
    sent.add_argument(
        "--suite",
        action="append",
        default=[],
        type=named_path,
        metavar="DIR",
        help="run the tests of your own in this folder, too (repeatable)",
    )
    return sent


def _add_judge(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    judge = verbs.add_parser(
        "judge",
        parents=[common],
        help="judge recorded traffic: HAR files of browsers, proxies and test tools, or the folders of runs",
        epilog="Nothing is sent. The target is where most calls go, or --target, or the profile's.",
    )
    judge.add_argument(
        "files", nargs="+", type=named_path, metavar="FILE", help="a HAR file, or the folder of a run"
    )
    judge.set_defaults(command="judge")


def _add_watch(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    watch = verbs.add_parser(
        "watch",
        parents=[common],
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
    watch.set_defaults(command="watch")


def _add_call(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    call = verbs.add_parser(
        "call",
        parents=[common],
        help="make one call and show the exchange",
        examples="""\
  conform call course.find '{"query": "x"}' --page-length 10
  conform call course.create '{"name": "Alpha"}' --as teacher
  conform call --endpoint course --raw '{"method": '
""",
    )
    call.add_argument("function", nargs="?", metavar="ENTITY.FUNCTION")
    call.add_argument("data", nargs="?", metavar="JSON", help="the data, a JSON object")
    call.add_argument("--as", dest="user", metavar="USER", help="in a session of this user of the profile")
    call.add_argument("--page-start", type=int, metavar="N", help="the first row of the page, from 0")
    call.add_argument("--page-length", type=int, metavar="N", help="the most rows of the page")
    call.add_argument("--raw", metavar="BODY", help="send this body as it is, with --endpoint")
    call.add_argument("--verb", dest="http_verb", metavar="VERB", default="POST", help="default: POST")
    call.add_argument("--endpoint", metavar="ENTITY", help="the endpoint of --raw")
    call.set_defaults(command="call")


def _add_load(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    load = verbs.add_parser(
        "load",
        parents=[common],
        help="put an SLO-gated load on a target",
        examples="""\
  conform load --rate 200/s --duration 60s --slo 'p95 < 300ms' --slo 'errors < 1%'
  conform load --users 50 --think 1s..3s
  conform load --search '10/s to 2000/s, 10s each' --slo 'p99 < 1s'

Options after -- go to Locust as they are, as in: conform load -- --csv figures
""",
    )
    _add_load_options(load)
    load.add_argument("--worker", action="store_true", help="send for a master")
    load.add_argument("--master-host", metavar="HOST", help="where the master is (default: this machine)")
    load.set_defaults(command="load")


def _add_load_options(load: argparse.ArgumentParser) -> None:
    """Add the options that `load` and `verify` have in common."""
    from load.options import add_arguments

    add_arguments(load)
    load.add_argument("--no-calibration", action="store_true", help="do not measure first what could be sent")
    run_options.add_plan(load.add_argument)
    group = load.add_argument_group("several machines")
    group.add_argument("--master", action="store_true", help="lead --workers N workers of other machines")
    group.add_argument("--master-port", type=positive, default=5557, metavar="PORT", help="default: 5557")
    load.add_argument("locust", nargs="*", metavar="-- LOCUST", help="options for Locust itself")


def _add_verify(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    verify = verbs.add_parser(
        "verify",
        parents=[common],
        help="check, then load: one report, one exit status, one statement for a release note",
        epilog="In all at most 2 minutes with --budget quick, 15 with standard, 10 hours with deep.",
    )
    _add_check_options(verify)
    _add_load_options(verify)
    verify.add_argument("--baseline", type=named_path, metavar="RUN", help="compare with an earlier run")
    verify.add_argument(
        "--fail-on", choices=("regression",), help="with --baseline: a regression fails the gate, too"
    )
    verify.set_defaults(command="verify", worker=False)


def _add_replay(verbs: _Verbs, common: argparse.ArgumentParser) -> None:
    replay = verbs.add_parser("replay", parents=[common], help="play case files again, on any target")
    replay.add_argument(
        "files", nargs="+", type=named_path, metavar="FILE", help="a case file, or a folder of them"
    )
    replay.set_defaults(command="replay")


def _add_serve(verbs: _Verbs) -> None:
    serve = verbs.add_parser("serve", help="run the reference service on its own")
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
    serve.set_defaults(command="serve")


def _add_init(verbs: _Verbs) -> None:
    init = verbs.add_parser(
        "init",
        help="write a profile and a catalogue to begin with",
        examples="""\
  conform init --target http://localhost:8080/ --from openapi.yaml
  conform init --target http://localhost:8080/ --user teacher:TEACHER_NAME:TEACHER_PASSWORD
""",
    )
    init.add_argument("--target", metavar="URL", help="the target's base URL")
    init.add_argument(
        "--from",
        "--page",
        dest="source",
        metavar="URL|FILE",
        help="a document to make the catalogue of: all that `catalog import` reads",
    )
    catalog_parser.add_entity(init)
    init.add_argument("--login", metavar="ENTITY.FUNCTION", help="default: auth.login")
    init.add_argument(
        "--session", metavar="POINTER", help="the JSON pointer to the session in the login's data"
    )
    init.add_argument(
        "--user",
        action="append",
        default=[],
        type=_init_user,
        metavar="NAME[:VARIABLE:VARIABLE]",
        help="a user, and the variables of the name and the secret (repeatable)",
    )
    init.add_argument(
        "--environment", choices=("test", "production"), help="what the target is (default: it is asked)"
    )
    init.add_argument(
        "--dir", type=named_path, default=Path(), metavar="DIR", help="where to write (default: here)"
    )
    init.add_argument("--yes", action="store_true", help="ask nothing: take the options and the defaults")
    init.add_argument(
        "--no-check", action="store_true", help="call nothing: try no login, and run no rules that only read"
    )
    init.add_argument("--no-color", action="store_true", help="print without colours")
    init.set_defaults(command="init")


def _init_user(text: str) -> object:
    from conformance.commands.init import user

    return user(text)


def _add_explore(verbs: _Verbs) -> None:
    explore = verbs.add_parser(
        "explore",
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
    run_options.add_rules(explore.add_argument)
    explore.add_argument("--quiet", action="store_true", help="print the line of JSON only")
    explore.set_defaults(command="explore")


def _add_reports(verbs: _Verbs) -> None:
    from reports.command import add_arguments

    add_arguments(verbs)
