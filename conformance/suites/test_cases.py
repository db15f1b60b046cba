"""Recorded cases (`--cases`): earlier findings are checked first."""

from __future__ import annotations

from conformance.cases.format import Case
from conformance.engine.case_player import play_in_check
from conformance.engine.context import TestContext
from conformance.engine.markers import Scope, When, judges, on


@judges(when=When.FIRST)
@on(Scope("case", lambda run: list(run.options.cases)))
def test_a_case(ctx: TestContext, case: Case) -> None:
    """Run a case file, and judge it under the rule that the file names."""
    play_in_check(ctx, case)
