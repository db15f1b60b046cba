"""The suite judges any target: correct and subtly broken servers of other domains and styles."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance.rulebook import RULES
from tests.servers.library_defects import DEFECTS
from tests.servers.tickets import BREAKS
from tests.support.judging import broken, findings_of, foreign, judge, verdicts

#: Defects that show themselves by a rule beside the one they name.
ELSEWHERE = {
    "unknown-identifier-crash": "COD-10 sends the identifiers; the survey of pure rules alone does not",
}


#: Defects that take seconds to find. Another defect, or a fault of the reference service, is of the same rule.
SLOW = frozenset({"large-integer-rounded", "filter-sql", "date-by-shape"})


def _some() -> list[Any]:
    """Return every defect; the first of each rule is in every run, and of the others some."""
    seen: Counter[str] = Counter()
    found: list[Any] = []
    for name, rules in DEFECTS.items():
        if name in ELSEWHERE:
            continue
        number = seen[rules[0]]
        seen[rules[0]] += 1
        found.append(pytest.param(name, marks=[pytest.mark.thorough] if number % 6 or name in SLOW else []))
    return found


#: Seeds and budgets; a standard run takes a minute.
RUNS = [
    pytest.param(1, "standard", marks=pytest.mark.thorough),
    (2, "quick"),
    pytest.param(3, "quick", marks=pytest.mark.thorough),
]


@pytest.mark.parametrize(("seed", "budget"), RUNS)
def test_library_is_clean(seed: int, budget: str) -> None:
    with foreign("library") as server:
        report = judge(
            profile=Path(server["profile"]), target=server["url"], seed=seed, budget=budget, generated=0.1
        )
    assert broken(report) == {}
    assert {rule for rule, verdict in verdicts(report).items() if verdict != "pass"} == set()
    assert report["leftovers"] == []


@pytest.mark.parametrize("name", _some())
def test_defect_of_the_library_is_caught(name: str) -> None:
    wanted = list(DEFECTS[name])

    def run(budget: str) -> dict[str, Any]:
        with foreign("library", "--defect", name) as server:
            profile = Path(server["profile"])
            return judge(profile=profile, target=server["url"], rules=wanted, budget=budget, until_found=True)

    found = findings_of(wanted, run)
    assert found.keys() >= set(wanted), f"{name}: {found}"


def test_unknown_identifier_crash_is_caught_by_the_rule_that_asks() -> None:
    with foreign("library", "--defect", "unknown-identifier-crash") as server:
        report = judge(profile=Path(server["profile"]), target=server["url"], rules=["COD-8", "COD-10"])
    assert {"COD-8", "COD-10"} <= set(broken(report))


@pytest.mark.parametrize(("seed", "budget"), RUNS)
def test_tickets_breaks_what_it_says_and_no_more(seed: int, budget: str) -> None:
    with foreign("tickets") as server:
        report = judge(
            profile=Path(server["profile"]), target=server["url"], seed=seed, budget=budget, generated=0.1
        )
    assert set(broken(report)) == set(BREAKS)
    assert report["verdict"] == "conformant"
    assert all(rule["reason"] for rule in report["rules"] if rule["verdict"] == "not judged")


def test_server_without_json_is_judged_by_what_it_says() -> None:
    with foreign("nojson") as server:
        # SEC-6 waits for a second answer on hundreds of connections.
        rules = sorted(RULES.keys() - {"SEC-6"})
        report = judge(target=server["url"], rules=rules, budget="quick")
    assert report["verdict"] == "nonconformant"
    assert {"HTTP-4", "ENV-1"} <= set(broken(report))
    lines = [rule["lines"] for rule in report["rules"] if rule["verdict"] == "not judged" and rule["lines"]]
    assert any("[users.owner]" in text or "[auth]" in text for text in lines)
