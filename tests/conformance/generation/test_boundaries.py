"""Cases are valid or invalid as they say, on both sides of every keyword."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conformance.generation import payloads
from conformance.generation.payloads import CannotGenerate, draw
from conformance.schema.validation import Schema
from tests.support.payload_schemas import (
    SCHEMAS,
    catalogue,
    received,
    shortened,
    wrapped,
)


@pytest.mark.parametrize("schema", SCHEMAS, ids=shortened)
def test_boundaries_are_as_they_say(schema: Any) -> None:
    whole = wrapped(schema)
    compiled = Schema(whole)
    cases = list(payloads.boundaries(whole))
    assert len({case.kind for case in cases}) == len(cases)
    assert any(case.valid for case in cases)
    assert any(not case.valid for case in cases)
    for case in cases:
        assert compiled.valid(received(case.build())) is case.valid, case.kind
        assert case.build() == case.build()


@pytest.mark.parametrize("schema", SCHEMAS, ids=shortened)
def test_invalid_data_is_refused(schema: Any) -> None:
    whole = wrapped(schema)
    compiled = Schema(whole)
    ways = payloads.violations(whole)
    invalid = draw(payloads.invalid_data(whole), 4, 80)
    assert len(invalid) == 80
    for kind, data in invalid:
        assert not compiled.valid(received(data)), kind
        assert not ways[kind].valid


#: (keyword as it is reported, what it stands in, the keyword to take away).
KEYWORDS: list[tuple[str, Any, str]] = [
    ("type", {"type": "integer"}, "type"),
    ("enum", {"enum": ["a", "b"]}, "enum"),
    ("const", {"const": 4}, "const"),
    ("minimum", {"type": "integer", "minimum": 3}, "minimum"),
    ("maximum", {"type": "number", "maximum": 3.5}, "maximum"),
    ("exclusiveMinimum", {"type": "number", "exclusiveMinimum": 3}, "exclusiveMinimum"),
    ("exclusiveMaximum", {"type": "integer", "exclusiveMaximum": 3}, "exclusiveMaximum"),
    ("multipleOf", {"type": "number", "multipleOf": 0.25, "minimum": 0}, "multipleOf"),
    ("minLength", {"type": "string", "minLength": 3}, "minLength"),
    ("maxLength", {"type": "string", "maxLength": 3}, "maxLength"),
    ("pattern", {"type": "string", "pattern": "^[a-c]{2,4}$"}, "pattern"),
    *(
        ("format", {"type": "string", "format": name}, "format")
        for name in ("email", "date", "time", "date-time")
    ),
    *(
        ("format", {"type": "string", "format": name}, "format")
        for name in ("uri", "uuid", "ipv4", "ipv6", "hostname")
    ),
    ("minItems", {"type": "array", "minItems": 2}, "minItems"),
    ("maxItems", {"type": "array", "maxItems": 2}, "maxItems"),
    ("uniqueItems", {"type": "array", "uniqueItems": True}, "uniqueItems"),
    ("contains", {"type": "array", "contains": {"const": 5}}, "contains"),
    ("maxContains", {"type": "array", "contains": {"const": 5}, "maxContains": 2}, "maxContains"),
    ("items", {"type": "array", "prefixItems": [{"type": "string"}], "items": False}, "items"),
    ("required", {"type": "object", "properties": {"a": {}}, "required": ["a"]}, "required"),
    ("minProperties", {"type": "object", "minProperties": 2}, "minProperties"),
    ("maxProperties", {"type": "object", "maxProperties": 2}, "maxProperties"),
    (
        "additionalProperties",
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        "additionalProperties",
    ),
    ("patternProperties", {"type": "object", "patternProperties": {"^x": False}}, "patternProperties"),
    ("propertyNames", {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}}, "propertyNames"),
    (
        "dependentRequired",
        {"type": "object", "properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}},
        "dependentRequired",
    ),
    (
        "dependentSchemas",
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "dependentSchemas": {"a": {"minProperties": 2}},
        },
        "dependentSchemas",
    ),
    ("anyOf", {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": -5}]}, "anyOf"),
    ("oneOf", {"type": "integer", "oneOf": [{"multipleOf": 3}, {"multipleOf": 5}]}, "oneOf"),
    ("not", {"type": "string", "not": {"const": "root"}}, "not"),
    ("then", {"type": "integer", "if": {"minimum": 10}, "then": {"multipleOf": 10}}, "then"),
    ("else", {"type": "integer", "if": {"minimum": 10}, "else": {"multipleOf": 3}}, "else"),
    (
        "unevaluatedProperties",
        {"type": "object", "allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        "unevaluatedProperties",
    ),
]


@pytest.mark.parametrize(("keyword", "schema", "key"), KEYWORDS, ids=lambda part: shortened(part))
def test_both_sides_of_each_keyword(keyword: str, schema: Any, key: str) -> None:
    whole = wrapped(schema)
    without = Schema(wrapped({name: value for name, value in schema.items() if name != key}))
    cases = list(payloads.boundaries(whole))
    broken = [case for case in cases if not case.valid and case.keyword == keyword]
    assert broken
    # It is this keyword alone that they break: without it they are valid.
    assert any(without.valid(case.build()) for case in broken)
    fitting = [case for case in cases if case.valid and "it" in case.build()]
    assert fitting
    drawn = {kind for kind, _ in draw(payloads.invalid_data(whole), 1, 200)}
    assert drawn & {case.kind for case in broken}


def values(schema: Any, *, valid: bool) -> list[Any]:
    return [
        case.build().get("it", "absent")
        for case in payloads.boundaries(wrapped(schema))
        if case.valid is valid
    ]


def test_the_very_edges() -> None:
    schema: Any = {"type": "integer", "minimum": 3, "exclusiveMaximum": 9}
    assert {3, 4, 8, 7} <= set(values(schema, valid=True))
    assert {2, 9} <= {value for value in values(schema, valid=False) if isinstance(value, int)}
    schema = {"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 1}
    assert {0, 0.25, 0.75, 1} <= set(values(schema, valid=True))
    numbers = {value for value in values(schema, valid=False) if isinstance(value, int | float)}
    assert {-0.25, 1.25} <= numbers
    schema = {"type": "string", "minLength": 2, "maxLength": 5}
    assert {2, 3, 4, 5} <= {len(text) for text in values(schema, valid=True)}
    assert {1, 6} <= {len(text) for text in values(schema, valid=False) if isinstance(text, str)}
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 4}
    assert {1, 2, 3, 4} <= {len(items) for items in values(schema, valid=True)}
    assert {0, 5} <= {len(items) for items in values(schema, valid=False) if isinstance(items, list)}
    schema = {"enum": ["a", "b", None]}
    assert {"a", "b", None} == set(values(schema, valid=True))


def test_each_optional_member_is_there_and_is_not() -> None:
    schema = {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in "abc"},
        "required": ["a"],
    }
    built = [case.build() for case in payloads.boundaries(schema) if case.valid]
    for name in "bc":
        assert any(name in data for data in built)
        assert any(name not in data for data in built)
    assert {"a"} in [set(data) for data in built]
    assert {"a", "b", "c"} in [set(data) for data in built]


def test_null_where_it_may_be_and_where_not() -> None:
    assert None in values({"type": ["string", "null"]}, valid=True)
    assert None not in values({"type": ["string", "null"]}, valid=False)
    assert None in values({"type": "string"}, valid=False)
    rules = {case.kind: case.rule for case in payloads.boundaries(wrapped({"type": "string"}))}
    assert rules["it left out"] == "REQ-7"
    assert rules["it: null"] == "REQ-7"
    assert rules["it: array instead of string"] == "REQ-8"


def test_every_other_type_is_tried() -> None:
    kinds = {type(value) for value in values({"type": "integer"}, valid=False)}
    assert {str, float, bool, list, dict, type(None)} <= kinds
    assert True not in [
        value for value in values({"type": "boolean"}, valid=False) if isinstance(value, bool)
    ]


def test_violations_reach_any_depth() -> None:
    pointers = {way.pointer for way in payloads.violations(SCHEMAS[-1]).values()}
    assert "/quiz/questions/-/right/-" in pointers
    deep = {
        case.kind: case.build()
        for case in payloads.boundaries(SCHEMAS[-1])
        if case.pointer.endswith("/right/-")
    }
    assert deep["quiz.questions[].right[]: below 0"]["quiz"]["questions"][0]["right"] == [-1]


def test_the_rest_of_invalid_data_varies_and_holds() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"type": "string", "maxLength": 9}},
        "required": ["a", "b"],
    }
    invalid = draw(payloads.invalid_data(schema, only=lambda way: way.parameter == "a"), 1, 100)
    texts = {data["b"] for _, data in invalid}
    assert len(texts) > 20
    assert all(isinstance(text, str) and len(text) <= 9 for text in texts)


def test_nothing_to_violate_is_said() -> None:
    with pytest.raises(CannotGenerate):
        payloads.invalid_data({})


def test_a_whole_catalogue_at_its_edges() -> None:
    for method in catalogue():
        for case in payloads.boundaries(method):
            data = case.build()
            assert method.data.valid(received(data)) is case.valid, (method.name, case.kind)
            assert case.parameter == "" or method.param(case.parameter)


scalars = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("integer")},
        optional={
            "minimum": st.integers(-9, 0),
            "maximum": st.integers(0, 9),
            "multipleOf": st.integers(1, 4),
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={"minLength": st.integers(0, 3), "maxLength": st.integers(3, 9)},
    ),
    st.fixed_dictionaries(
        {"enum": st.lists(st.sampled_from(["a", "b", 1, None, True]), min_size=1, unique_by=repr)}
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string", "format": "date"}, {}]),
)
schemas = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 2), "maxItems": st.integers(2, 3)},
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            },
            optional={
                "required": st.lists(st.sampled_from("abc"), unique=True),
                "additionalProperties": st.one_of(st.booleans(), inner),
                "dependentRequired": st.just({"a": ["b"]}),
                "maxProperties": st.integers(2, 3),
            },
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda branches: {"oneOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda branches: {"allOf": branches}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda one, other: {"allOf": [one], "not": other}, inner, inner),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
    ),
    max_leaves=5,
)


@hypothesis.settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(schemas)
def test_any_schema(schema: Any) -> None:
    compiled = Schema(schema)
    try:
        values = draw(payloads.valid(compiled), 1, 5)
    except CannotGenerate:
        values = []
    assert all(compiled.valid(value) for value in values)
    whole = wrapped(schema)
    for case in payloads.boundaries(whole) if values else ():
        assert Schema(whole).valid(received(case.build())) is case.valid, case.kind
