"""The numbers of the budgets: all in one module, each used, none smaller in a larger budget without a reason."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance.engine import budgets
from conformance.engine.budgets import BUDGETS, ByBudget, Part, Sample, sample
from conformance.engine.context import TestContext

ROOT = Path(__file__).resolve().parent.parent.parent.parent
MODULE = ROOT / "conformance" / "engine" / "budgets.py"
NUMBERS = {name: value for name, value in vars(budgets).items() if isinstance(value, ByBudget)}
SOURCES = [
    path.read_text("utf-8")
    for folder in ("conformance", "load")
    for path in (ROOT / folder).rglob("*.py")
    if path != MODULE
]


class Context(TestContext):
    def __init__(self, budget: str) -> None:
        self.run = cast("Any", SimpleNamespace(options=SimpleNamespace(budget=budget)))


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_used(name: str) -> None:
    assert any(re.search(rf"\bbudgets\.{name}\b", source) for source in SOURCES)


def test_no_other_module_has_numbers_of_a_budget() -> None:
    assert [
        source[:200] for source in SOURCES if re.search(r"[\"'](quick|standard|deep)[\"']: *[\d(]", source)
    ] == []
    assert [
        source[:200] for source in SOURCES if re.search(r"\d if (self\.)?ctx\.(quick|deep)\b", source)
    ] == []


#: Where a longer run takes less: deep payloads have another limit, and logouts and large data have a step and a part.
FALLING = {
    "PAYLOAD_SECONDS",
    "LOGOUT_STEP",
    "REPEATED_PAGE_STEP",
    "PART_OF_LARGE_DATA_LEFT_OUT",
}


@pytest.mark.parametrize("name", sorted(NUMBERS.keys() - FALLING))
def test_a_larger_budget_takes_no_less(name: str) -> None:
    sizes = [NUMBERS[name].of(budget) for budget in BUDGETS]
    known = [
        size.least if isinstance(size, Part) else float("inf") if size is None else size for size in sizes
    ]
    assert known == sorted(known)


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        (sample(2), (2, 10, 10)),
        (sample(2, 5), (2, 5, 10)),
        (sample(2, 5, 7), (2, 5, 7)),
        (sample(20, 30), (10, 10, 10)),
        (sample(1, Part(4, 2)), (1, 5, 10)),
        (sample(1, Part(8, 2)), (1, 8, 10)),
    ],
)
def test_a_sample_has_the_size_of_the_budget(size: Sample, counts: tuple[int, ...]) -> None:
    found = tuple(Context(budget).limit(size, 10) for budget in BUDGETS)
    assert found == counts
    assert tuple(len(Context(budget).first(range(10), size)) for budget in BUDGETS) == counts
