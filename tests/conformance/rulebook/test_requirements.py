"""What a gate requires to be judged (conformance.rulebook.requirements)."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.rulebook import RULES
from conformance.rulebook.model import Verdict
from conformance.rulebook.requirements import Unmet, parse, record, unmet, unmet_reason
from conformance.rulebook.verdicts import judge_run


def rule(identifier: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "id": identifier,
        "verdict": verdict,
        "judged": int(verdict is not Verdict.NOT_JUDGED),
        "findings": [],
    }


RULES_OF_A_RUN = [
    rule("AUT-1", Verdict.PASS),
    rule("AUT-2", Verdict.NOT_JUDGED),
    rule("AUT-3", Verdict.ERROR),
    rule("ACC-2", Verdict.WAIVED),
    rule("PAG-1", Verdict.NOT_JUDGED),
]


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("AUT", "AUT"),
        (" aut ", "AUT"),
        ("Authentication", "AUT"),
        ("acc-2", "ACC-2"),
        ("judged >= 80", "judged >= 80"),
        ("Judged>=7", "judged >= 7"),
    ],
)
def test_a_requirement_has_a_standard_form(text: str, standard: str) -> None:
    assert parse(text) == standard


@pytest.mark.parametrize(
    "text", ["", "AUTH", "ACC-99", "judged", "judged > 80", "judged >= 0", "judged >= 999"]
)
def test_what_is_not_a_requirement_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=rf"judged >= N|1 to {len(RULES)}"):
        parse(text)


@pytest.mark.parametrize(
    ("requirements", "found"),
    [
        (["ACC"], []),
        (["AUT-1", "ACC-2"], []),
        (["AUT-2"], [Unmet("AUT-2", ("AUT-2",))]),
        (["AUT"], [Unmet("AUT", ("AUT-2", "AUT-3"))]),
        (["judged >= 2"], []),
        (["judged >= 3"], [Unmet("judged >= 3", judged=2)]),
        (["PAG", "PAG"], [Unmet("PAG", ("PAG-1",))]),
    ],
)
def test_rules_that_were_not_judged_do_not_meet_a_requirement(
    requirements: list[str], found: list[Unmet]
) -> None:
    assert unmet(requirements, RULES_OF_A_RUN) == found


def test_the_reason_names_the_rules_and_the_number() -> None:
    found = unmet(["AUT", "judged >= 3"], RULES_OF_A_RUN)
    assert unmet_reason(found) == (
        "required but not judged: AUT-2, AUT-3; 2 rules were judged, but the gate requires judged >= 3"
    )
    assert unmet_reason([]) == ""


def test_an_unmet_requirement_fails_the_gate() -> None:
    rules = [rule("AUT-1", Verdict.PASS), rule("AUT-2", Verdict.NOT_JUDGED)]

    def judged(*required: str, **more: Any) -> tuple[str, str]:
        options: dict[str, Any] = {"errors": [], "strict": False, "interrupted": False, **more}
        return judge_run(rules, required=required, **options)

    assert judged() == ("conformant", "no must rule failed; 1 of 2 rules judged")
    assert judged("AUT-1")[0] == "conformant"
    assert judged("AUT") == ("nonconformant", "required but not judged: AUT-2")
    # An interrupted run did not come to what is required.
    assert judged("AUT", interrupted=True)[0] == "undecided"


def test_the_report_has_the_requirements_and_what_is_unmet() -> None:
    assert record([], RULES_OF_A_RUN) is None
    assert record(["AUT-1", "PAG"], RULES_OF_A_RUN) == {
        "all": ["AUT-1", "PAG"],
        "unmet": [{"requirement": "PAG", "rules": ["PAG-1"], "judged": None}],
    }
