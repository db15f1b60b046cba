"""The command line: parse the options, run the command, return the exit status.

The options are in `conformance/commands/parser.py`, the commands in the other modules of `conformance/commands/`, and
those of stored runs in `reports/command.py`.
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

from conformance.commands.output import (
    OutputError,
    discard_output,
    guarded_streams,
    print_error,
    tolerate_closed_pipe,
)
from conformance.commands.parser import command_parser
from conformance.commands.request import color_of, request_of
from conformance.engine.harness import Harness, Request
from conformance.errors import UsageError


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


#: What runs each command; each function imports what it needs when it is called.
_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "call": _call,
    "catalog export": _catalog_export,
    "catalog import": _catalog_import,
    "catalog learn": _catalog_learn,
    "catalog validate": _catalog_validate,
    "check": _check,
    "compare": _compare,
    "explore": _explore,
    "init": _init,
    "judge": _judge,
    "load": _load,
    "replay": _replay,
    "report": _report,
    "serve": _serve,
    "verify": _verify,
    "watch": _watch,
}


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
                options = command_parser().parse_args(argv)
                verb = f" {options.verb}"
                return _COMMANDS[options.command](options)
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
