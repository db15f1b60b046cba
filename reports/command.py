"""`conform report` and `conform compare`: render stored runs again, and compare them."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conformance.text import writable
from reports.model.event_log import LogError
from reports.model.files import render, write_file
from reports.model.store import diagnosed, find_runs, read_run

__all__ = ["add_arguments", "print_compare", "print_report"]


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return Path(text)


def _effect(text: str) -> float:
    """Read a share from the command line, as in 5%; return it from 0 to 1."""
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share, as in 5% or 0.05")
    return share


def add_arguments(verbs: Any) -> None:
    """Add the two verbs to the command; `verbs` has the method `add_parser` of argparse."""
    parser = verbs.add_parser("report", help="render a run again, or an index of many")
    parser.add_argument(
        "path", nargs="?", type=_path, metavar="RUN", help="the folder of a run, or its report.json"
    )
    parser.add_argument("--out", type=_path, metavar="DIR", help="default: the folder of the run")
    parser.add_argument(
        "--baseline", type=_path, metavar="RUN", help="an earlier run: say what changed since"
    )
    parser.add_argument(
        "--format",
        action="append",
        choices=("html", "markdown", "junit", "sarif"),
        help="render this alone (repeatable; default: all)",
    )
    parser.add_argument(
        "--index", type=_path, metavar="DIR", help="write index.html over the runs in this folder"
    )
    parser.set_defaults(command="report")

    parser = verbs.add_parser("compare", help="compare a run with an earlier one")
    parser.add_argument("base", nargs="?", type=_path, metavar="A", help="the earlier run")
    parser.add_argument("new", type=_path, metavar="B", help="the newer run")
    parser.add_argument(
        "--baseline",
        action="extend",
        nargs="+",
        type=_path,
        default=[],
        metavar="RUN",
        help="earlier runs, the earliest first, instead of A or before it; of five and more, the level is looked at",
    )
    parser.add_argument(
        "--min-effect",
        type=_effect,
        default=0.05,
        metavar="SHARE",
        help="the smallest effect that matters (5%%)",
    )
    parser.add_argument(
        "--fail-on", choices=("regression",), help="exit with 1 on a regression, 3 where nothing can be said"
    )
    for name, what in (("json", "JSON"), ("markdown", "Markdown"), ("html", "a page")):
        parser.add_argument(
            f"--{name}", type=_path, metavar="FILE", help=f"write it as {what}, too; - is the screen"
        )
    parser.add_argument("--quiet", action="store_true", help="print the verdict only")
    parser.set_defaults(command="compare")


_FORMATS = {"html": "report.html", "markdown": "report.md", "junit": "junit.xml", "sarif": "report.sarif"}


def print_report(options: argparse.Namespace) -> int:
    """Render a run again, or an index of many, and print the names of the files.

    Raises:
        LogError: a run cannot be read, or a file cannot be written.

    """
    if (options.path is None) == (options.index is None):
        raise LogError("name a run, or --index and a folder of runs")
    if options.index is not None:
        from reports.render.html import index

        runs, problems = find_runs(options.index)
        target = (options.out or options.index) / index.NAME
        _write(target, index.render(runs, problems))
        print(target)
        return 0
    run = diagnosed(read_run(options.path))
    comparison = None
    if options.baseline is not None:
        from reports.compare.rules import compare

        comparison = compare(read_run(options.baseline), run)
    wanted = {_FORMATS[name] for name in options.format or _FORMATS}
    folder = options.out or run.folder
    for name, data in render(run.report, comparison=comparison).items():
        if name in wanted:
            _write(folder / name, data)
            print(folder / name)
    return 0


def print_compare(options: argparse.Namespace) -> int:
    """Compare a run with earlier ones; return the exit status.

    Raises:
        LogError: a run cannot be read, or a file cannot be written.

    """
    from reports.compare import render as compare_render
    from reports.compare.rules import compare, exit_status

    earlier = [*options.baseline, *([options.base] if options.base is not None else [])]
    if not earlier:
        raise LogError("name two runs, or earlier ones with --baseline")
    read = [read_run(path) for path in earlier]
    comparison = compare(read[-1], read_run(options.new), min_effect=options.min_effect, earlier=read[:-1])
    made: dict[str, Callable[[], bytes]] = {
        "json": lambda: (
            json.dumps(comparison, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace") + b"\n"
        ),
        "markdown": lambda: ("\n".join(compare_render.markdown(comparison)) + "\n").encode(
            "utf-8", "backslashreplace"
        ),
        "html": lambda: compare_render.page(comparison),
    }
    on_screen = False
    for name, make in made.items():
        path = getattr(options, name)
        if path is None:
            continue
        if str(path) == "-":
            sys.stdout.write(make().decode("utf-8"))
            on_screen = True
        else:
            _write(path, make())
    if not on_screen:
        encoding = getattr(sys.stdout, "encoding", None)
        shown = (
            f"{comparison['verdict']}: {comparison['reason']}\n"
            if options.quiet
            else compare_render.text(comparison, width=shutil.get_terminal_size((100, 24)).columns)
        )
        sys.stdout.write(writable(shown, encoding))
    sys.stdout.flush()
    return exit_status(comparison, options.fail_on)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"cannot write {path}: {error.strerror}") from error
    write_file(path, data)
