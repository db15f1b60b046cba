"""Every fault of the reference service is caught by each rule that it names; the clean service breaks none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance.rulebook import RULES
from fixtures.faults import FAULTS
from tests.support.judging import broken, findings_of, judge, profile_of, serving_here, verdicts

#: Faults that take half a minute to find. Others are of the same rules.
SLOW = frozenset({"data.slow-with-length"})


def _some() -> list[Any]:
    """Return every fault; the first of each rule is in every run, and of the others some."""
    seen: Counter[str] = Counter()
    found: list[Any] = []
    for name, fault in FAULTS.items():
        if fault.budget == "deep":
            # A test of the suite's test that finds it runs that alone.
            continue
        if name in SLOW:
            found.append(pytest.param(name, marks=pytest.mark.thorough))
            continue
        number = seen[fault.primary]
        seen[fault.primary] += 1
        found.append(pytest.param(name, marks=[pytest.mark.thorough] if number % 12 else []))
    return found


@pytest.mark.parametrize("name", _some())
def test_fault_is_caught(name: str, tmp_path: Path) -> None:
    trips = list(FAULTS[name].trips)

    def run(budget: str) -> dict[str, Any]:
        with serving_here(name) as (url, catalogue):
            profile = profile_of(catalogue, tmp_path)
            return judge(profile=profile, target=url, rules=trips, budget=budget, until_found=True)

    found = findings_of(trips, run)
    missed = [rule for rule in trips if rule not in found]
    assert not missed, f"{name} ({FAULTS[name].sentence}) breaks {missed}, and nothing was found"


def _of_single_exchanges() -> list[Any]:
    """Return each fault that trips several rules of single exchanges alone, with each of them."""
    pairs = [
        (name, rule)
        for name, fault in FAULTS.items()
        for rule in fault.trips
        if len(fault.trips) > 1 and all(RULES[trip].check is not None for trip in fault.trips)
    ]
    return [
        pytest.param(*pair, marks=[pytest.mark.thorough] if number % 12 else [])
        for number, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(("name", "rule"), _of_single_exchanges())
def test_rule_of_single_exchanges_needs_no_other_rule(name: str, rule: str, tmp_path: Path) -> None:
    """Its own tests reach every function and kind of answer, so `--rule` alone finds the fault."""
    with serving_here(name) as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, tmp_path),
            target=url,
            rules=[rule],
            budget="quick",
            until_found=True,
        )
    assert not report["errors"], report["errors"]
    assert rule in broken(report)


@pytest.mark.parametrize(
    ("seed", "budget", "entities"),
    [
        # All functions are checked by the README's first command, in each run of `.ci/run`.
        (1, "quick", ("auth", "course", "lesson", "sys")),
        *(pytest.param(seed, "quick", (), marks=pytest.mark.thorough) for seed in range(2, 10)),
        pytest.param(10, "standard", (), marks=pytest.mark.thorough),
    ],
)
def test_clean_service_breaks_nothing(
    seed: int, budget: str, entities: tuple[str, ...], tmp_path: Path
) -> None:
    with serving_here() as (url, catalogue):
        # Each seed has its own payloads; a part of them each is more than all of them once.
        report = judge(
            profile=profile_of(catalogue, tmp_path, entities=entities),
            target=url,
            seed=seed,
            budget=budget,
            generated=0.05 if entities else 0.1,
        )
    assert broken(report) == {}
    assert report["verdict"] == "conformant"
    assert {rule for rule, verdict in verdicts(report).items() if verdict != "pass"} == set()
    assert not report["errors"]
    assert report["resets"] == 0
