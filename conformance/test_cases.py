"""Cases that a team keeps (`--cases`): what was found once is looked for first."""

from __future__ import annotations

from conformance.cases import Case
from conformance.replay import play_in_check
from conformance.run import Talk
from conformance.suite import Scope, judges, on


@judges()
@on(Scope("case", lambda run: list(run.options.cases)))
def test_a_case(talk: Talk, case: Case) -> None:
    """A case as its file tells it, under its own rule: the rules that it judges are those of the files."""
    play_in_check(talk, case)
