"""`conform judge` and `conform check --har`: judge recorded traffic, and send nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from conformance.commands.request import request_of
from conformance.commands.traffic_run import TrafficRun, passed_over
from conformance.engine.harness import Harness
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from conformance.traffic.capture import Capture, is_call, read_capture
from conformance.traffic.recorded import entity_of

__all__ = ["judge_files"]

#: Options of a check that are about requests of its own.
_SENDING = {
    "plan": "--plan",
    "suite": "--suite",
    "cases": "--cases",
    "generate_for": "--for",
    "fail_fast_check": "--fail-fast",
    "max_failures": "--max-failures",
    "rate_limit": "--rate-limit",
}


def judge_files(options: argparse.Namespace, files: Sequence[Path]) -> int:
    """Judge the traffic in files; return the exit status.

    Raises:
        UsageError: a file, the profile or an option is wrong.

    """
    for name, option in _SENDING.items():
        if getattr(options, name, None):
            raise UsageError(
                f"{option} is for requests of a check's own; recorded traffic is judged without any"
            )
    capture = read_capture(files, options.target or _url_of_profile(options.profile))
    request = replace(
        request_of(options), target=capture.base_url, offline=True, seed=0, further=_further(options, files)
    )
    harness = Harness.prepare(request)
    run = TrafficRun(
        harness,
        tokens_are_recorded=any(recorded.has_token for recorded in capture.exchanges),
        endpoints=_endpoints(capture),
    )
    interrupted = False
    try:
        for recorded in sorted(capture.exchanges, key=lambda each: each.ended or 0.0):
            run.judge.take(recorded)
    except KeyboardInterrupt:
        interrupted = True
    for note in passed_over(capture.passed, capture.others):
        run.note(note)
    return run.close(interrupted=interrupted)


def _url_of_profile(named: Path | None) -> str | None:
    """Return the target's URL in the profile; None if there is no profile, or it has none."""
    path = named or (Path("conform.toml") if Path("conform.toml").is_file() else None)
    return profile_reader.load(path).target.url if path is not None else None


def _further(options: argparse.Namespace, files: Sequence[Path]) -> tuple[str, ...]:
    """Return the files as they stand on the command line."""
    return (*(["--har"] if options.verb == "check" else []), *map(str, files))


def _endpoints(capture: Capture) -> frozenset[str]:
    """Return the endpoints to which calls of the protocol go."""
    found = (
        entity_of(recorded.request.url, capture.base_url)
        for recorded in capture.exchanges
        if is_call(recorded)
    )
    return frozenset(entity for entity in found if entity)
