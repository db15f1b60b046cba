"""The grid: each place gets each family once, or each value once, and always the same for the same catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalog.model import Catalog, Method
from conformance.generation.grid import (
    ARRAY_FAMILY,
    EMPTY_FAMILY,
    MIXTURE_FAMILY,
    UNUSUAL_MIXTURE_FAMILY,
    Cell,
    carrying,
    grid_cells,
    grid_rounds,
)
from conformance.generation.grid_edges import edge_values
from conformance.generation.special_values import received
from conformance.generation.telling_values import (
    INSIDE,
    INSIDE_UNUSUAL,
    PART_FAMILIES,
    SIZE_FAMILIES,
    TEXT_FAMILIES,
    WHOLE_FAMILIES,
    is_long,
)

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
    for label in ("title", "payer.name"):
        families = [cell.family for cell in cells[label]]
        assert {*WHOLE_FAMILIES, *SIZE_FAMILIES, MIXTURE_FAMILY, UNUSUAL_MIXTURE_FAMILY} <= set(families)
        # What the mixtures carry as well goes alone in turn.
        assert sum(family in PART_FAMILIES for family in families) == 2
        assert len(families) == len(set(families)) + families.count(EMPTY_FAMILY) - 1


def test_each_place_gets_each_part_alone_in_some_turn(method: Method) -> None:
    turns = [by_label(method, every=False, turn=turn)["title"] for turn in range(len(PART_FAMILIES))]
    assert set(PART_FAMILIES) <= {cell.family for cells in turns for cell in cells}


def test_short_place_gets_each_part_alone(method: Method) -> None:
    params = [{"name": "title", "schema": {"type": "string", "maxLength": 5}}]
    add = {"name": "thing.add", "params": params, "result": {"name": "r", "schema": {}}, "x-effect": "write"}
    document = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [add]}
    short = Catalog.parse(document)["thing.add"]
    (row,) = grid_cells(short, {"title": "t"}, turn=0, every=False)
    assert set(PART_FAMILIES) <= {cell.family for cell in row}


def test_each_place_gets_the_values_of_each_family_once(method: Method) -> None:
    cells = by_label(method, every=True)["title"]
    values = [cell.value for cell in cells]
    expected = {text for texts in TEXT_FAMILIES.values() for text in texts[:6]} | {""}
    mixed = {MIXTURE_FAMILY, UNUSUAL_MIXTURE_FAMILY}
    assert {cell.value for cell in cells if cell.family not in mixed} == expected
    assert len(values) == len(set(values))


def test_array_gets_items_that_show_their_order_and_number(method: Method) -> None:
    arrays = [cell.value for cell in by_label(method, every=False)["tags"] if cell.family == ARRAY_FAMILY]
    assert any(value != sorted(value) for value in arrays)
    assert any(len(value) > 3 for value in arrays)
    assert any(len(value) == 1 for value in arrays)
    # Equal items are not allowed here.
    assert all(len(value) == len(set(value)) for value in arrays)


def test_array_of_identifiers_gets_those_of_several_objects() -> None:
    params = [{"name": "ids", "schema": {"type": "array", "items": {"type": "integer", "x-ref": "thing"}}}]
    add = {"name": "thing.add", "params": params, "result": {"name": "r", "schema": {}}, "x-effect": "write"}
    document = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [add]}
    method = Catalog.parse(document)["thing.add"]
    assert not [
        row for row in grid_cells(method, {"ids": [4]}, turn=0, every=False) if row[0].family == ARRAY_FAMILY
    ]
    (row,) = grid_cells(method, {"ids": [4]}, turn=0, every=False, identifiers={"thing": [4, 7, 9]})
    arrays = [cell.value for cell in row if cell.family == ARRAY_FAMILY]
    assert [4, 7, 9] in arrays
    assert [9, 7, 4] in arrays


def test_edges_are_those_of_the_schema(method: Method) -> None:
    edges = edge_values(method, lambda kind: 5)
    assert ("maximum", 10) in edges["/payer/weight"]
    assert {value for _, value in edges["/level"]} == {"low", "high", None}
    assert ("format", "2024-02-29") in edges["/day"]
    cells = {row[0].label: row for row in grid_cells(method, EXAMPLE, turn=0, every=False, edges=edges)}
    assert next(cell.value for cell in cells["payer.weight"] if cell.edge and cell.family == "maximum") == 10
    assert "2024-02-29" in [cell.value for cell in cells["day"] if cell.edge]


def test_only_what_the_schema_admits(method: Method) -> None:
    cells = by_label(method, every=True)
    assert "day" not in cells
    assert "parent" not in cells
    assert {"007", "0", "12345678901234567890"} <= {cell.value for cell in cells["code"]}
    assert all(method.data.valid({"code": cell.value}) for cell in cells["code"])
    assert [cell.value for cell in cells["level"]] == [None]
    assert {cell.value for cell in cells["isOpen"]} == {False}
    assert all(value.value <= 10 for value in cells["payer.weight"] if value.value is not None)
    # 32 bits do not hold these.
    assert not {0.1, 19.99, 1.0005} & {cell.value for cell in cells["ratio"]}


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
    assert [cell.family for cell in one] != [cell.family for cell in other]
    families = {cell.family for cell in one} & {cell.family for cell in other}
    assert set(WHOLE_FAMILIES) <= families


def test_call_carries_what_is_valid(method: Method) -> None:
    for cells_of_call in grid_rounds(grid_cells(method, EXAMPLE, turn=0, every=True)):
        data, carried = carrying(method, EXAMPLE, cells_of_call)
        assert method.data.valid(received(data))
        assert carried
    twice = [Cell(("tags", 0), "tags[]", "/tags/-", "family", "b")]
    assert carrying(method, EXAMPLE, twice) == (EXAMPLE, [])


@pytest.mark.parametrize(
    ("longest", "most"), [(None, 1), (240, 1), (120, 2), (60, 4), (28, 10), (13, 24), (10, 24)]
)
def test_mixtures_are_as_long_as_the_place_admits(longest: int | None, most: int) -> None:
    schema = {"type": "string"} | ({"maxLength": longest} if longest else {})
    params = [{"name": "title", "schema": schema}]
    add = {"name": "thing.add", "params": params, "result": {"name": "r", "schema": {}}, "x-effect": "write"}
    document = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [add]}
    method = Catalog.parse(document)["thing.add"]
    (row,) = grid_cells(method, {"title": "t"}, turn=0, every=False)
    for family, texts in ((MIXTURE_FAMILY, INSIDE), (UNUSUAL_MIXTURE_FAMILY, INSIDE_UNUSUAL)):
        mixtures = [cell.value for cell in row if cell.family == family]
        assert 0 < len(mixtures) <= most
        assert all(isinstance(text, str) and method.data.valid({"title": text}) for text in mixtures)
        # No text is lost.
        assert all(any(text in str(mixture) for mixture in mixtures) for text in texts)
