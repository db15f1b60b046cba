"""A naive server is mended, one cause at a time: the findings of that cause go, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.servers.stacks.notes import AbsentError, serving
from tests.support.judging import judge
from tests.support.lacking import lacking

#: Enough to show each cause below, and few enough to be sent again and again.
RULES = ("HTTP-4", "ENV-1", "COD-3", "COD-6", "COD-10", "AUT-2", "PAG-5")

Key = tuple[str, str | None, str]
Findings = dict[Key, str]


def checked(stack: str, folder: Path, mended: Sequence[str]) -> Findings:
    """Return the cause of each finding of a stack's server with some of its defects mended."""
    with serving(stack, folder, mended) as profile:
        report = judge(profile=profile, rules=RULES, budget="quick", generated=0.1)
    return {
        (rule["id"], finding["function"], finding["kind"]): finding["cause"]
        for rule in report["rules"]
        for finding in rule["findings"]
    }


#: The defects in the order in which they are mended, each with a rule that its cause breaks. The pages come first: the
#: other defects show them too.
STEPS = {
    "plain": [
        ("route", None),
        ("json", "HTTP-4"),
        ("login", "AUT-2"),
        ("missing", "COD-10"),
        ("paging", "PAG-5"),
    ],
    "go": [("route", None), ("json", "HTTP-4"), ("session", "COD-6")],
}


@pytest.mark.parametrize("stack", STEPS)
def test_the_findings_of_a_mended_cause_go_and_no_others(stack: str, tmp_path: Path) -> None:
    try:
        before = checked(stack, tmp_path, ())
    except AbsentError as error:
        lacking(str(error))
    mended: list[str] = []
    for switch, rule in STEPS[stack]:
        mended.append(switch)
        after = checked(stack, tmp_path, mended)
        gone = before.keys() - after.keys()
        causes = {before[key] for key in gone}
        # A finding that two causes show, as HTTP-4 by two pages, stays and shows the other.
        stayed = {key for key, cause in before.items() if cause in causes and key in after}
        assert after.keys() <= before.keys(), (switch, sorted(map(str, after.keys() - before.keys())))
        assert {key: after[key] for key in after.keys() - stayed} == {
            key: before[key] for key in after.keys() - stayed
        }, switch
        if rule is not None:
            assert rule in {key[0] for key in gone}, switch
            assert len(causes) == 1, (switch, sorted(map(str, gone)))
            assert not stayed, (switch, sorted(map(str, stayed)))
        before = after
