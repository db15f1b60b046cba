"""Valid data is valid as it is received, and varied; identifiers come from those that exist."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st

from conformance.catalog.model import Method
from conformance.generation import payloads
from conformance.generation.patterns import settled
from conformance.generation.payloads import CannotGenerate, draw
from conformance.schema.validation import Schema
from tests.support.payload_schemas import (
    ADDRESS,
    SCHEMAS,
    SHAPES,
    TREE,
    catalogue,
    received,
    refs,
    shortened,
    wrapped,
)


def test_there_are_enough_schemas() -> None:
    assert len(SCHEMAS) >= 60


@pytest.mark.parametrize("schema", SCHEMAS, ids=shortened)
def test_what_is_drawn_is_valid_as_it_is_received(schema: Any) -> None:
    compiled = Schema(schema)
    values = draw(payloads.valid(compiled), 1, 60)
    assert values
    for value in values:
        assert compiled.valid(value)
        assert compiled.valid(received(value))


@pytest.mark.parametrize("schema", SCHEMAS, ids=shortened)
def test_little_is_thrown_away(schema: Any) -> None:
    tried: list[Any] = []
    strategy = payloads.valid(schema).map(lambda value: tried.append(value) or value)  # type: ignore[func-returns-value]
    draw(strategy, 2, 40)
    different = {json.dumps(value, sort_keys=True) for value in tried}
    assert len(tried) == 40 or len(different) <= 2


@pytest.mark.parametrize("method", list(catalogue()), ids=lambda method: method.name)
def test_data_of_a_whole_catalogue(method: Method) -> None:
    for value in draw(payloads.valid(method), 3, 60):
        assert method.data.valid(received(value))
        assert set(value) <= {param.name for param in method.params}


def test_values_favour_edges() -> None:
    schema = {"type": "integer", "minimum": 3, "maximum": 9_000_000}
    drawn = Counter(draw(payloads.valid(schema), 1, 300))
    assert drawn[3] > 3
    assert drawn[9_000_000] > 3
    texts = draw(payloads.valid({"type": "string", "minLength": 2, "maxLength": 50}), 1, 300)
    assert {2, 3, 50} <= {len(text) for text in texts}
    unusual = set().union(*(payloads.unusual_features(text) for text in texts))
    assert {"astral", "combining", "right to left", "U+0000"} <= unusual


def test_plain_values_are_ordinary() -> None:
    texts = draw(payloads.valid({"type": "string", "maxLength": 50}, unusual=False), 1, 200)
    assert set().union(*(payloads.unusual_features(text) for text in texts)) == set()


def test_each_branch_member_and_type_is_met() -> None:
    kinds = Counter(value["kind"] for value in draw(payloads.valid(SHAPES), 1, 100))
    assert min(kinds["circle"], kinds["box"]) > 20
    types = Counter(
        type(value) for value in draw(payloads.valid({"type": ["integer", "null", "boolean"]}), 1, 200)
    )
    assert set(types) == {int, bool, type(None)}
    assert types[type(None)] < 80
    members = {"type": "object", "properties": {name: {"type": "null"} for name in "abcdefghijkl"}}
    met = Counter(name for value in draw(payloads.valid(members), 1, 200) for name in value)
    assert all(60 < met[name] < 140 for name in "abcdefghijkl")
    both = ["then" if value["country"] == "SE" else "else" for value in draw(payloads.valid(ADDRESS), 1, 100)]
    assert min(both.count("then"), both.count("else")) > 15


def test_recursion_goes_down_and_ends() -> None:
    def depth(tree: dict[str, Any]) -> int:
        return 1 + max((depth(kid) for kid in tree.get("kids", [])), default=0)

    depths = [depth(tree) for tree in draw(payloads.valid(TREE), 1, 200)]
    assert 3 <= max(depths) <= 8


def test_text_that_dialects_read_otherwise_is_not_made() -> None:
    assert settled("^a$", "a") is True
    assert settled("^a$", "b") is False
    assert settled("^a$", "a\n") is None
    assert settled("^\\d$", "٣") is None
    assert settled("^.$", "😀") is None
    assert settled("^[^b]+$", "a😀") is True
    schema = {"type": "string", "pattern": "^[^x]{1,3}$"}
    for text in draw(payloads.valid(schema), 5, 300):
        assert settled("^[^x]{1,3}$", text) is True
    for _, data in draw(payloads.invalid_data(wrapped(schema)), 5, 300):
        if isinstance(data.get("it"), str):
            assert settled("^[^x]{1,3}$", data["it"]) is False


COURSE = {
    "type": "object",
    "properties": {
        "courseId": {"type": "integer", "minimum": 1, "x-ref": "course"},
        "lessons": {"type": "array", "items": {"type": "string", "x-ref": "lesson"}, "minItems": 1},
        "title": {"type": "string"},
    },
    "required": ["courseId", "lessons"],
}


def test_identifiers_come_from_those_that_exist() -> None:
    made: dict[str, list[Any]] = {"course": [5, 6], "lesson": ["x", "y"]}
    strategy = payloads.valid(COURSE, lambda kind: st.sampled_from(made[kind]))
    values = draw(strategy, 1, 80)
    assert {value["courseId"] for value in values} == {5, 6}
    assert {item for value in values for item in value["lessons"]} == {"x", "y"}
    for _, data in draw(payloads.invalid_data(COURSE, lambda kind: st.sampled_from(made[kind])), 1, 80):
        assert not Schema(COURSE).valid(data)


def test_what_stands_for_an_identifier_is_judged_when_it_is_bound() -> None:
    class Symbol:
        pass

    def bind(value: Any) -> Any:
        if isinstance(value, Symbol):
            return 7
        if isinstance(value, dict):
            return {name: bind(item) for name, item in value.items()}
        return [bind(item) for item in value] if isinstance(value, list) else value

    schema = {"type": "object", "properties": {"id": {"type": "integer", "x-ref": "k"}}, "required": ["id"]}
    symbol = Symbol()
    values = draw(payloads.valid(schema, lambda kind: st.just(symbol), bind=bind), 1, 5)
    assert all(value["id"] is symbol for value in values)


def test_identifiers_that_a_schema_refuses_are_never_sent() -> None:
    with pytest.raises(CannotGenerate):
        draw(payloads.valid(COURSE, lambda kind: st.just("no number")), 1, 5)


def test_edges_are_built_around_identifiers_that_exist() -> None:
    for case in payloads.boundaries(COURSE):
        data = case.build(lambda kind: 41 if kind == "course" else "the lesson")
        assert Schema(COURSE).valid(data) is case.valid
        if case.parameter == "title":
            assert data["courseId"] == 41
            assert data["lessons"] == ["the lesson"]


def test_a_strategy_is_compiled_once() -> None:
    method = catalogue()["course.add"]
    assert payloads.valid(method, refs) is payloads.valid(method, refs)
    assert payloads.valid(method, refs) is not payloads.valid(method)
