"""Options of a run of the suites, on pytest's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.engine import run_options
from conformance.engine.harness import Request
from conformance.errors import UsageError
from reports.model.event_log import LogError
from reports.model.store import known_findings, read_run

__all__ = ["add_options", "request_of"]


def add_options(parser: pytest.Parser) -> None:
    """Add the options of `conform check`; --strict and --quiet are pytest's own."""
    group = parser.getgroup("conform", "conformance of a target")
    run_options.add_target(group.addoption, out="reports/runs/<UTC time>-check")
    run_options.add_budget(group.addoption)
    run_options.add_selection(group.addoption)
    run_options.add_rules(group.addoption)
    run_options.add_plan(group.addoption)
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
