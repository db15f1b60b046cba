"""Conversion of the parsed options to the request of a run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.engine.harness import Request
from conformance.errors import UsageError

if TYPE_CHECKING:
    from reports.model.store import Stored


__all__ = ["color_of", "request_of", "stored_run"]


def _further(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the options of a load, for the command line that repeats the run."""
    if options.verb not in ("load", "verify"):
        return ()
    from load.options import Wish

    workers = ("--workers", str(options.workers)) if options.workers else ()
    return (*Wish.of(options).arguments(), *workers)


def color_of(options: argparse.Namespace) -> bool | None:
    """Return False if colours are disabled, None if the terminal decides."""
    return False if options.no_color or os.environ.get("NO_COLOR") else None


def request_of(options: argparse.Namespace) -> Request:
    """Return the request of a run for the parsed options.

    Raises:
        UsageError: the run of --baseline-findings cannot be read.

    """
    known_from: Path | None = getattr(options, "baseline_findings", None)
    known, seed = None, options.seed
    if known_from is not None:
        known, earlier_seed = _known(known_from)
        # With the same seed the same requests are sent, so a new finding is due to the target, not to other data.
        seed = earlier_seed if seed is None else seed
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
        rule_files=tuple(getattr(options, "rules", ())),
        suites=tuple(getattr(options, "suite", ())),
        required=tuple(getattr(options, "require", ())),
        max_failures=1
        if getattr(options, "fail_fast_check", False)
        else getattr(options, "max_failures", None),
        plan=getattr(options, "plan", False),
        generate_for=getattr(options, "generate_for", None),
        cases=getattr(options, "cases", None),
        quiet=options.quiet,
        every=getattr(options, "every", False),
        color=color_of(options),
        verb=options.verb,
        further=_further(options),
        known=known,
        known_from=known_from,
    )


def _known(path: Path) -> tuple[tuple[tuple[str, str | None, str], ...], int | None]:
    """Return the findings and the seed of an earlier run."""
    from reports.model.store import known_findings

    run = stored_run("--baseline-findings", path)
    return known_findings(run), run.report["seed"]


def stored_run(option: str, path: Path) -> Stored:
    """Return an earlier run; raise UsageError, which names the option, if it cannot be read."""
    from reports.model.event_log import LogError
    from reports.model.store import read_run

    try:
        return read_run(path)
    except LogError as error:
        raise UsageError(f"{option} {error}") from error
