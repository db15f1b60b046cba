"""How the time and the requests for generated payloads are shared out."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import pytest

from conformance.generation import SHARES, Allowance, held_for
from conformance.suite import SUITES


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def spend(allowance: Allowance, clock: Clock, share: float, seconds: float) -> float:
    """Hold a conversation that could use so many seconds; return what it was given of them."""
    with allowance.portion(share, lambda: 0) as portion:
        taken = min(seconds, portion.seconds)
        clock.now += taken
    return taken


def test_shares_are_those_of_the_conversations() -> None:
    marked: dict[str, frozenset[str]] = {}
    for module in SUITES:
        for name, test in vars(importlib.import_module(f"conformance.{module}")).items():
            marks: dict[str, Any] = {mark.name: mark for mark in getattr(test, "pytestmark", [])}
            if name in SHARES:
                marked[name] = frozenset(marks["judges"].args)
    assert marked == {name: judged for name, (_, judged) in SHARES.items()}
    assert sum(share for share, _ in SHARES.values()) == pytest.approx(1.0)
    assert held_for({"STA-6"}) == SHARES["test_sequences_agree_with_a_model"][0]
    assert held_for({"ENV-1"}) == 0


def test_each_has_its_part_of_the_time_where_requests_are_not_counted() -> None:
    clock = Clock()
    allowance = Allowance("deep", 100.0, clock)
    given = [spend(allowance, clock, share, 1000.0) for share in (0.26, 0.5, 0.04, 0.2)]
    assert given == pytest.approx([26.0, 50.0, 4.0, 20.0])


def test_what_one_leaves_the_others_have() -> None:
    clock = Clock()
    allowance = Allowance("deep", 100.0, clock)
    given = [spend(allowance, clock, 0.5, 10.0), spend(allowance, clock, 0.25, 1000.0)]
    assert given == pytest.approx([10.0, 45.0])
    assert spend(allowance, clock, 0.25, 1000.0) == pytest.approx(45.0)


def test_a_single_conversation_has_all_of_the_time() -> None:
    clock = Clock()
    allowance = Allowance("deep", 100.0, clock, held=0.26)
    assert spend(allowance, clock, 0.26, 1000.0) == pytest.approx(100.0)


def test_requests_are_shared_out_where_they_are_counted() -> None:
    allowance = Allowance("standard", clock=Clock())
    assert allowance.requests is not None
    first = allowance.portion(0.25, lambda: 0)
    assert first.requests == round(allowance.requests * 0.25)
    assert first.seconds >= allowance.seconds * 0.6
