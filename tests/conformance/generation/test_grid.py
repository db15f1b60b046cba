"""The grid: each place gets each family once, or each value once, and always the same for the same catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalog.model import Catalog, Method
from conformance.generation.grid import EMPTY_FAMILY, MIXTURE_FAMILY, Cell, carrying, grid_cells, grid_rounds
from conformance.generation.special_values import received
from conformance.generation.telling_values import TEXT_FAMILIES, is_long

PARAMS: dict[str, Any] = {
    "title": {"type": "string"},
    "code": {"type": "string", "pattern": "^[0-9]+$"},
    "day": {"type": "string", "format": "date"},
    "level": {"enum": ["low", "high", None]},
    "count": {"type": "integer"},
    "ratio": {"type": "number", "format": "float"},
    "isOpen": {"type": "boolean"},
    "parent": {"type": "integer", "x-ref": "thing"},
    "payer": {
        "type": "object",
        "properties": {"name": {"type": ["string", "null"]}, "weight": {"type": "number", "maximum": 10}},
    },
    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    "greeting": {"type": ["string", "null"], "default": "Hello"},
}

EXAMPLE: dict[str, Any] = {
    "title": "t",
    "code": "1",
    "day": "2026-02-03",
    "level": "low",
    "count": 7,
    "ratio": 0.5,
    "isOpen": True,
    "parent": 5,
    "payer": {"name": "n", "weight": 3},
    "tags": ["a", "b"],
    "greeting": "g",
}


@pytest.fixture
def method() -> Method:
    params = [{"name": name, "schema": schema} for name, schema in PARAMS.items()]
    add = {"name": "thing.add", "params": params, "result": {"name": "r", "schema": {}}, "x-effect": "write"}
    document = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [add]}
    return Catalog.parse(document)["thing.add"]


def by_label(method: Method, *, every: bool, turn: int = 0) -> dict[str, list[Cell]]:
    return {row[0].label: row for row in grid_cells(method, EXAMPLE, turn=turn, every=every)}


def test_each_place_gets_each_family_once(method: Method) -> None:
    cells = by_label(method, every=False)
    families = [cell.family for cell in cells["title"] if cell.family not in (EMPTY_FAMILY, MIXTURE_FAMILY)]
    assert sorted(families) == sorted(TEXT_FAMILIES)
    assert sorted(families) == sorted(
        cell.family for cell in cells["payer.name"] if cell.family not in (EMPTY_FAMILY, MIXTURE_FAMILY)
    )


def test_each_place_gets_each_value_once(method: Method) -> None:
    cells = by_label(method, every=True)["title"]
    values = [cell.value for cell in cells if cell.family != MIXTURE_FAMILY]
    assert set(values) == {text for texts in TEXT_FAMILIES.values() for text in texts} | {""}
    assert len(values) == len(set(values))


def test_only_what_the_schema_admits(method: Method) -> None:
    cells = by_label(method, every=True)
    assert "day" not in cells
    assert "parent" not in cells
    assert {cell.value for cell in cells["code"]} == {"007", "0", "12345678901234567890"}
    assert [cell.value for cell in cells["level"]] == [None]
    assert {cell.value for cell in cells["isOpen"]} == {False}
    assert all(value.value <= 10 for value in cells["payer.weight"] if value.value is not None)
    assert not [cell for cell in cells["ratio"] if isinstance(cell.value, float)]


def test_null_is_not_sent_where_a_default_could_replace_it(method: Method) -> None:
    cells = by_label(method, every=True)
    assert None in [cell.value for cell in cells["payer.name"]]
    assert None not in [cell.value for cell in cells["greeting"]]


@pytest.mark.parametrize("every", [False, True])
def test_rounds_carry_every_cell_once(method: Method, every: bool) -> None:
    cells = grid_cells(method, EXAMPLE, turn=3, every=every)
    rounds = list(grid_rounds(cells))
    sent = [cell for cells_of_call in rounds for cell in cells_of_call]
    assert len(sent) == len(set(map(id, sent))) == sum(map(len, cells))
    for cells_of_call in rounds:
        paths = [cell.path for cell in cells_of_call]
        assert not [(a, b) for a in paths for b in paths if a != b and b[: len(a)] == a]
        assert sum(is_long(cell.value) for cell in cells_of_call) <= 4
    assert len(rounds) <= 2 * max(map(len, cells))


def test_the_plan_is_the_same_every_time(method: Method) -> None:
    first, second = (list(grid_rounds(grid_cells(method, EXAMPLE, turn=1, every=True))) for _ in range(2))
    assert first == second


def test_turns_send_other_values(method: Method) -> None:
    one, other = (by_label(method, every=False, turn=turn)["title"] for turn in (0, 1))
    assert [cell.family for cell in one] == [cell.family for cell in other]
    assert [cell.value for cell in one] != [cell.value for cell in other]


def test_call_carries_what_is_valid(method: Method) -> None:
    for cells_of_call in grid_rounds(grid_cells(method, EXAMPLE, turn=0, every=True)):
        data, carried = carrying(method, EXAMPLE, cells_of_call)
        assert method.data.valid(received(data))
        assert carried
    twice = [Cell(("tags", 0), "tags[]", "/tags/-", "family", "b")]
    assert carrying(method, EXAMPLE, twice) == (EXAMPLE, [])


@pytest.mark.parametrize(("longest", "count"), [(None, 1), (120, 2), (60, 4), (28, 13), (13, 5)])
def test_mixtures_are_as_long_as_the_place_admits(longest: int | None, count: int) -> None:
    schema = {"type": "string"} | ({"maxLength": longest} if longest else {})
    params = [{"name": "title", "schema": schema}]
    add = {"name": "thing.add", "params": params, "result": {"name": "r", "schema": {}}, "x-effect": "write"}
    document = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [add]}
    method = Catalog.parse(document)["thing.add"]
    (row,) = grid_cells(method, {"title": "t"}, turn=0, every=False)
    mixtures = [cell.value for cell in row if cell.family == MIXTURE_FAMILY]
    assert len(mixtures) == count
    assert all(isinstance(text, str) and method.data.valid({"title": text}) for text in mixtures)
