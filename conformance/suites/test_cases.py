"""Cases that a team keeps (`--cases`): what was found once is looked for first."""

from __future__ import annotations

from conformance.cases.format import Case
from conformance.engine.context import TestContext
from conformance.engine.markers import Scope, judges, on
from conformance.engine.replay import play_in_check


@judges()
@on(Scope("case", lambda run: list(run.options.cases)))
def test_a_case(ctx: TestContext, case: Case) -> None:
    """A case as its file tells it, under its own rule: the rules that it judges are those of the files."""
    play_in_check(ctx, case)
