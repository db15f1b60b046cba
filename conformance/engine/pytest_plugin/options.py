"""Options of a run of the suites, on pytest's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.engine import budgets
from conformance.engine.harness import Request, duration, named_path, per_second, positive, requirement
from conformance.errors import UsageError
from reports.model.event_log import LogError
from reports.model.store import known_findings, read_run

__all__ = ["add_options", "request_of"]


def add_options(parser: pytest.Parser) -> None:
    """Add the options of `conform check`; --strict and --quiet are pytest's own."""
    group = parser.getgroup("conform", "conformance of a target")
    group.addoption("--target", metavar="URL", help="the target's base URL (default: the embedded service)")
    group.addoption(
        "--profile",
        metavar="FILE",
        type=named_path,
        help="the profile (default: conform.toml, when there is one)",
    )
    group.addoption(
        "--out",
        metavar="DIR",
        type=named_path,
        help="where the run is written (default: reports/runs/<time>-check)",
    )
    group.addoption("--read-only", action="store_true", help="call only functions that read")
    group.addoption("--seed", type=int, metavar="N", help="the same seed sends the same requests")
    group.addoption("--budget", choices=budgets.BUDGETS, default="standard")
    group.addoption(
        "--for",
        dest="generate_for",
        type=duration,
        metavar="DURATION",
        help="time for generated payloads, as in 90s, 10m, 1h30m",
    )
    group.addoption(
        "--cases", type=named_path, metavar="DIR", help="play the case files of this folder first"
    )
    group.addoption("--jobs", type=positive, default=1, metavar="N", help="calls at the same time")
    group.addoption("--rate-limit", type=per_second, metavar="RATE", help="requests per second at most")
    group.addoption("--rule", action="append", default=[], metavar="ID", help="judge this rule (repeatable)")
    group.addoption(
        "--area", action="append", default=[], metavar="AREA", help="judge this area (repeatable)"
    )
    group.addoption(
        "--rules",
        action="append",
        default=[],
        type=named_path,
        metavar="FILE",
        help="judge the rules of your own in this Python file, too (repeatable)",
    )
    group.addoption(
        "--require",
        action="append",
        default=[],
        type=requirement,
        metavar="WHAT",
        help="fail unless this was judged: an area, a rule, or 'judged >= N' (repeatable)",
    )
    group.addoption(
        "--baseline-findings",
        type=named_path,
        metavar="RUN",
        help="what this earlier run found is known: fail on new findings only",
    )
    group.addoption("--plan", action="store_true", help="send nothing; print what would be sent")
    group.addoption("--all", action="store_true", dest="every", help="show every finding, not the causes")
    group.addoption("--no-color", action="store_true", help="the same as --color=no")


def _known(path: Path) -> tuple[tuple[tuple[str, str | None, str], ...], int | None]:
    """Return the findings of an earlier run and its seed, which is this run's default."""
    try:
        run = read_run(path)
        return known_findings(run), run.report["seed"]
    except LogError as error:
        raise UsageError(f"--baseline-findings {error}") from error


def request_of(config: pytest.Config) -> Request:
    """Return what pytest's command line asks for.

    Raises:
        UsageError: the run of --baseline-findings cannot be read.

    """
    option = config.getoption
    known_from: Path | None = option("--baseline-findings")
    known, earlier_seed = (None, None) if known_from is None else _known(known_from)
    return Request(
        target=option("--target"),
        profile=option("--profile"),
        out=option("--out"),
        strict=bool(config.getini("strict")),
        read_only=option("--read-only"),
        seed=option("--seed") if option("--seed") is not None else earlier_seed,
        budget=option("--budget"),
        jobs=option("--jobs"),
        rate_limit=option("--rate-limit"),
        rules=tuple(option("--rule")),
        areas=tuple(option("--area")),
        rule_files=tuple(option("--rules")),
        required=tuple(option("--require")),
        plan=option("--plan"),
        every=option("every"),
        generate_for=option("generate_for"),
        cases=option("--cases"),
        known=known,
        known_from=known_from,
        color=False if option("--no-color") or option("color") == "no" else None,
    )
