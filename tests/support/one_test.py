"""Run some test functions of the suites alone against a target: what a whole check finds by them, in a few seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from conformance.engine.harness import Harness, Request
from conformance.engine.suite_run import SuiteRun
from conformance.rulebook.findings import Key
from fixtures.service.service import Service
from tests.support.judging import profile_of, serving_here


def findings_of(
    tests: Collection[str],
    *,
    target: str,
    profile: Path,
    budget: str = "quick",
    seed: int = 7,
    subjects: Collection[str] = (),
) -> set[Key]:
    """Return the keys of what these test functions find, against some subjects only where those are given."""
    harness = Harness.prepare(Request(target=target, profile=profile, budget=budget, seed=seed))
    suite_run = SuiteRun(harness, lambda event: None)
    try:
        suite_run.begin("test")
        run = suite_run.open(confirm=False, deadline=3600.0)
        every = suite_run.collect()
        suite_run.plan(every)
        run.payload_budget.seconds *= 20
        chosen = [test for test in every if test.kind in tests and (not subjects or test.subject in subjects)]
        assert chosen, tests
        for test in chosen:
            conclusion = suite_run.execute(test)
            assert not conclusion.crashed, conclusion.crashed
        found = {*run.observer.every, *run.observer.take()}
        run.client.close()
        return found
    finally:
        harness.close()


def findings_here(
    tests: Collection[str],
    *faults: str,
    change: Callable[[Service], Service] | None = None,
    budget: str = "quick",
    subjects: Collection[str] = (),
) -> set[Key]:
    """Return what these test functions find in the reference service, with faults or another change in it."""
    with serving_here(*faults, change=change) as (url, catalogue), tempfile.TemporaryDirectory() as folder:
        profile = profile_of(catalogue, Path(folder))
        return findings_of(tests, target=url, profile=profile, budget=budget, subjects=subjects)
