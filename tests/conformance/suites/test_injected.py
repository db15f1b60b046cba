"""Type tags, expensive texts and delays: each defect is found, and only where it is."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from conformance.suites import test_injected as suite
from tests.support.one_test import findings_here

FOLLOWS = ("DAT-8", "message.find", "the time follows a number in query")


@pytest.mark.parametrize(
    ("fault", "test", "subject", "rule"),
    [
        ("data.class-name-looked-up", "test_type_tags", "lesson.add", "DAT-3"),
        ("data.default-refused", "test_data_at_the_edges", "course.add", "DAT-1"),
        pytest.param(
            "data.slow-with-blanks",
            "test_deep_wide_and_large_data",
            "course.find",
            "DAT-9",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_defect_is_found(fault: str, test: str, subject: str, rule: str) -> None:
    found = findings_here({test}, fault, budget="standard", subjects={subject})
    assert (rule, subject) in {key[:2] for key in found}


@pytest.mark.thorough
def test_delay_is_found() -> None:
    fault = "data.delay-in-query"
    assert FOLLOWS in findings_here({"test_delays_in_texts"}, fault, budget="deep", subjects={"message.find"})


@pytest.mark.parametrize(("factor", "found"), [(1.0, True), (0.2, False)])
def test_time_that_follows_a_number_is_found(
    factor: float, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject = suite._inject

    def later(ctx: Any, fuzz_target: Any, insertion: Any) -> Any:
        exchange = inject(ctx, fuzz_target, insertion)
        seconds = re.search(r"SLEEP\((\d)\)", str(insertion.item.value))
        if exchange is None or seconds is None:
            return exchange
        return dataclasses.replace(exchange, seconds=exchange.seconds + factor * int(seconds[1]))

    monkeypatch.setattr(suite, "_inject", later)
    keys = findings_here({"test_delays_in_texts"}, budget="deep", subjects={"message.find"})
    assert (FOLLOWS in keys) is found
    assert bool(keys) is found
