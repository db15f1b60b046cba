"""The order in which the edges of a schema are tried: one of each kind at each place before anything else."""

from __future__ import annotations

import random

import pytest

from conformance.generation import payloads
from conformance.generation.order import essential, informative_order
from conformance.schema.validation import Schema
from conformance.suites.test_injected import _WIDENING, _in_order, _sort_of
from tests.support.budgeting import budget_of

SCHEMA = Schema(
    {
        "type": "object",
        "required": ["title"],
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string", "maxLength": 100},
            "isPublic": {"type": "boolean"},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "level": {"enum": ["low", "high"]},
            "marks": {"type": "array", "maxItems": 1000, "items": {"type": "number"}},
            "day": {"type": "string", "format": "date"},
        },
    }
)
EVERY = [case for case in payloads.boundaries(SCHEMA) if case.keyword != "required" or not case.valid]

#: What a quick run has to send, whatever else it has no time for.
TELLING = (
    "title left out",
    "title: longer than 100",
    "title: number instead of string",
    "title: 100 astral characters long|title: 100 characters of 2 bytes long",
    "isPublic: string instead of boolean",
    "count: fraction instead of integer",
    "count: boolean instead of integer",
    "count: string instead of integer",
    "count: below 1",
    "count: above 9",
    "level: not in the enumeration (another word)",
    "marks: more than 1000 items",
    "marks[]: string instead of number",
    "day: no date",
    "data: an undeclared member",
)


@pytest.mark.parametrize("seed", range(5))
def test_one_of_each_kind_comes_first(seed: int) -> None:
    order = informative_order(EVERY, random.Random(seed))
    assert sorted(order) == list(range(len(EVERY)))
    count = essential(EVERY, order)
    first = [EVERY[index].kind for index in order[:count]]
    for kinds in TELLING:
        assert any(kind.startswith(tuple(kinds.split("|"))) for kind in first), kinds
    assert count < len(EVERY) / 2


def test_every_budget_sends_each_edge_of_a_format() -> None:
    address = Schema({"type": "object", "properties": {"email": {"type": "string", "format": "email"}}})
    cases = payloads.boundaries(address)
    order = informative_order(cases, random.Random(1))
    first = {cases[index].kind for index in order[: essential(cases, order)]}
    edges = {case.kind for case in cases if case.keyword == "format" and case.valid}
    assert edges <= first
    assert 'email: email "a+tag@example.com"' in edges


def test_the_same_seed_gives_the_same_order() -> None:
    assert informative_order(EVERY, random.Random(3)) == informative_order(EVERY, random.Random(3))
    assert informative_order(EVERY, random.Random(3)) != informative_order(EVERY, random.Random(4))


def test_what_belongs_to_every_budget_is_sent_whatever_the_share_is() -> None:
    budget_slice = budget_of("quick").budget_slice("test_data_at_the_edges", 0.001, lambda: 0)
    budget_slice.at_least(60)
    assert budget_slice.left == 60
    budget_slice.at_least(5)
    assert budget_slice.left == 60
    by_time = budget_of("deep").budget_slice("test_data_at_the_edges", 0.001, lambda: 0)
    by_time.at_least(60)
    assert by_time.requests is None


@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_a_machine_that_is_five_times_slower_sends_the_same(budget: str) -> None:
    """Counts decide, and not the clock: the requests of a whole run at 20 ms each, with what is done around them."""
    now = 0.0
    payload_budget = budget_of(budget, clock=lambda: now)
    assert payload_budget.requests is not None
    for name in ("test_data_at_the_edges", "test_any_json_as_data", "test_injections"):
        with payload_budget.budget_slice(name, 1.0, lambda: 0) as budget_slice:
            assert budget_slice.requests is not None
            now += budget_slice.requests * 0.02
            assert budget_slice.more()


def test_each_sort_of_injection_comes_once_in_each_place_first() -> None:
    items = (*payloads.INJECTIONS, *payloads.OPERATORS)
    insertions = list(payloads.insertions(SCHEMA, items, forbidden=True))
    random.Random(5).shuffle(insertions)
    ordered, first = _in_order(insertions, {"/title"})
    assert {id(insertion) for insertion in ordered} == {id(insertion) for insertion in insertions}
    reported = [(insertion.pointer, _sort_of(insertion.item)) for insertion in ordered[:first]]  # type: ignore[arg-type]
    assert len(reported) == len(set(reported))
    sorts = {sort for pointer, sort in reported if pointer == "/title"}
    assert {"SQL, true", "SQL, wildcard", "SQL, open", "glob", "regular expression", "NoSQL", "ORM"} <= sorts
    # What is searched with comes before what only breaks a parser.
    assert all(sort.startswith(_WIDENING) for sort in sorts)
