"""How the time and the requests for generated payloads are shared out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.engine.collection import collect, shares_of
from conformance.engine.conclusion import Options
from conformance.engine.context import FURTHER
from conformance.engine.harness import Harness, Request
from conformance.engine.payload_budget import PayloadBudget
from conformance.engine.runner import Run
from conformance.rulebook import RULES
from tests.support.budgeting import SHARES, budget_of
from tests.support.judging import serving
from tests.support.recording import PROFILE, ROOT, ran_bare_pytest


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


EXPLORATIONS, EDGES = "test_sequences_agree_with_a_model", "test_data_at_the_edges"


def share(suite_test: str) -> float:
    return SHARES[suite_test].requests


def spend(
    payload_budget: PayloadBudget, clock: Clock, suite_test: str, seconds: float, part: float = 1.0
) -> float:
    """Run a test that could use so many seconds; return what it was given of them."""
    with payload_budget.budget_slice(suite_test, part, lambda: 0) as budget_slice:
        taken = min(seconds, budget_slice.seconds)
        clock.now += taken
    return taken


def test_the_shares_of_all_test_functions_are_the_whole() -> None:
    assert sum(each.requests for each in SHARES.values()) == pytest.approx(1.0)
    assert sum(each.seconds for each in SHARES.values()) == pytest.approx(1.0)


def test_what_is_planned_shares_the_time() -> None:
    with serving() as url:
        harness = Harness.prepare(Request(target=url, profile=PROFILE))
        run = Run(harness.profile, harness.catalog, Options(seed=7), lambda event: None)
        planned = {
            rule: shares_of(collect(run, frozenset({rule}))) for rule in ("STA-6", "DAT-1", "ENV-8", "PAG-1")
        }
        everything = shares_of(collect(run, frozenset(RULES)))
        run.client.close()
    assert planned["STA-6"].keys() == {EXPLORATIONS}
    assert planned["DAT-1"].keys() == {EDGES, "test_any_data_that_the_schema_allows"}
    assert planned["ENV-8"] == planned["PAG-1"] == {}
    assert everything == SHARES


def test_each_has_its_part_of_the_time_where_requests_are_not_counted() -> None:
    clock = Clock()
    payload_budget = budget_of("deep", 100.0, clock=clock)
    given = {name: spend(payload_budget, clock, name, 1000.0) for name in SHARES}
    assert given == pytest.approx({name: 100 * share(name) for name in SHARES})


def test_what_one_leaves_the_others_have() -> None:
    clock = Clock()
    payload_budget = budget_of("deep", 100.0, EXPLORATIONS, EDGES, clock=clock)
    assert spend(payload_budget, clock, EXPLORATIONS, 10.0) == pytest.approx(10.0)
    assert spend(payload_budget, clock, EDGES, 1000.0, 0.5) == pytest.approx(45.0)
    assert spend(payload_budget, clock, EDGES, 1000.0, 0.5) == pytest.approx(45.0)


def test_a_single_test_has_all_of_the_time() -> None:
    clock = Clock()
    payload_budget = budget_of("deep", 100.0, EXPLORATIONS, clock=clock)
    assert spend(payload_budget, clock, EXPLORATIONS, 1000.0) == pytest.approx(100.0)


def test_what_is_done_around_a_test_counts() -> None:
    clock = Clock()
    payload_budget = budget_of("deep", 100.0, EDGES, clock=clock)
    with payload_budget.around():
        clock.now += 10.0
        spend(payload_budget, clock, EDGES, 1000.0, 0.5)
        clock.now += 20.0
    assert spend(payload_budget, clock, EDGES, 1000.0, 0.5) == pytest.approx(20.0)


def test_what_was_in_vain_does_not_count() -> None:
    clock = Clock()
    payload_budget = budget_of("deep", 100.0, clock=clock)
    with payload_budget.around():
        mark = payload_budget.mark()
        spend(payload_budget, clock, EXPLORATIONS, 20.0)
        clock.now += 5.0
        payload_budget.rewind(mark)
        spend(payload_budget, clock, EXPLORATIONS, 20.0)
    assert payload_budget.spent == pytest.approx(20.0)


def test_requests_are_shared_out_where_they_are_counted() -> None:
    payload_budget = budget_of("standard", clock=Clock())
    assert payload_budget.requests is not None
    first = payload_budget.budget_slice(EXPLORATIONS, 0.5, lambda: 0)
    assert first.requests == round(payload_budget.requests * share(EXPLORATIONS) / 2)
    assert first.seconds >= payload_budget.seconds * 0.1


@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_each_kind_has_a_turn_however_slow_the_target_is(budget: str) -> None:
    clock = Clock()
    payload_budget = budget_of(budget, clock=clock)
    for name in SHARES:
        given = [spend(payload_budget, clock, name, 1000.0, 1 / 30) for _ in range(30)]
        assert given[0] >= payload_budget.seconds * 0.0149
    assert payload_budget.spent <= payload_budget.seconds + 1e-9
    assert clock.now == pytest.approx(payload_budget.seconds)


def test_a_test_that_gives_up_at_once_had_no_turn() -> None:
    payload_budget = budget_of("quick", clock=Clock())
    payload_budget.spent = payload_budget.seconds
    for calls, over in ((0, False), (7, False), (8, False), (0, True)):
        sent = iter([0, calls])
        budget_slice = payload_budget.budget_slice(EDGES, 0.1, lambda sent=sent: next(sent))  # type: ignore[misc]
        assert budget_slice.over is over
        with budget_slice:
            pass


def test_a_late_test_learns_that_the_time_is_over() -> None:
    clock = Clock()
    payload_budget = budget_of("quick", clock=clock)
    assert not payload_budget.budget_slice(EXPLORATIONS, 1.0, lambda: 0).over
    with payload_budget.around():
        clock.now += 1000.0
    assert not payload_budget.budget_slice(EDGES, 0.5, lambda: 0).over
    spend(payload_budget, clock, EDGES, 1000.0, 0.5)
    assert payload_budget.budget_slice(EDGES, 0.5, lambda: 0).over
    assert payload_budget.late


def test_where_time_is_the_limit_all_run_as_in_standard_first() -> None:
    clock = Clock()
    payload_budget = budget_of("deep", 100.0, clock=clock)
    assert payload_budget.sweeps
    standard = budget_of("standard", clock=Clock())
    for name in SHARES:
        budget_slice = payload_budget.budget_slice(name, 1.0, lambda: 0, sweep=True)
        assert budget_slice.requests == standard.budget_slice(name, 1.0, lambda: 0).requests
        with budget_slice:
            # However slow they are, half of the time is left for what follows.
            clock.now += budget_slice.seconds
    assert payload_budget.spent == pytest.approx(50.0)
    given = {name: spend(payload_budget, clock, name, 1000.0) for name in SHARES}
    assert given == pytest.approx({name: 50 * share(name) for name in SHARES})


@pytest.mark.parametrize(
    ("budget", "seconds", "sweeps"),
    [("standard", None, False), ("quick", 59.0, False), ("quick", 60.0, True), ("deep", None, True)],
)
def test_they_run_twice_where_there_is_time_for_it(budget: str, seconds: float | None, sweeps: bool) -> None:
    with serving() as url:
        request = Request(target=url, profile=PROFILE, budget=budget)
        harness = Harness.prepare(request)
        options = Options(seed=7, budget=budget, generate_for=seconds)
        run = Run(harness.profile, harness.catalog, options, lambda event: None)
        names = [each.name for each in collect(run, frozenset({"DAT-3", "STA-6", "COD-4"}))]
        run.client.close()
    explorations = "test_sequences.test_sequences_agree_with_a_model"
    assert names.count(explorations) == 1
    further = [name for name in names if name.endswith(FURTHER)]
    once = [
        name for name in names if name == explorations or ("test_any_json" in name and name not in further)
    ]
    assert len(once) > 10
    assert further == ([name + FURTHER for name in once] if sweeps else [])
    assert names == [name for name in names if name not in further] + further


def test_bare_pytest_runs_them_twice_too(tmp_path: Path) -> None:
    _, out, err = ran_bare_pytest(
        "conformance", "--collect-only", "-q", "--budget", "deep", "--rule", "STA-6",
        "--rule", "DAT-3", "--rule", "ENV-1", "--out", tmp_path / "o", cwd=ROOT,
    )  # fmt: skip
    listed = [line for line in out.splitlines() if "::test_" in line]
    generated = [line for line in listed if "::test_any_json" in line or "::test_sequences" in line]
    further = [line.replace(FURTHER, "") for line in generated if FURTHER in line]
    assert len(further) > 10, out + err
    assert [line for line in generated if FURTHER not in line] == further
    assert generated[len(further) :] == [line for line in generated if FURTHER in line]
    assert "::test_every_exchange" in listed[-1]
