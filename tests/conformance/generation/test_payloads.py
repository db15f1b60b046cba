"""What a schema allows is made valid, what violates it is not, both sides of every keyword, always alike."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conformance.catalog.model import Catalog, Method
from conformance.generation import payloads
from conformance.generation.formats import FORMATS
from conformance.generation.patterns import settled
from conformance.generation.payloads import CannotGenerate, draw, encode, smallest
from conformance.protocol.client import compact
from conformance.schema.validation import Schema

ROOT = Path(__file__).resolve().parent.parent.parent.parent

TREE = {
    "$ref": "#/$defs/t",
    "$defs": {
        "t": {
            "type": "object",
            "properties": {
                "kids": {"type": "array", "items": {"$ref": "#/$defs/t"}, "maxItems": 3},
                "name": {"type": "string", "maxLength": 9},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
LIST = {
    "type": "object",
    "properties": {"head": {"type": "integer"}, "tail": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
    "required": ["head", "tail"],
}
ADDRESS = {
    "type": "object",
    "properties": {
        "country": {"type": "string"},
        "code": {"type": "string"},
        "kind": {"enum": ["home", "work"]},
    },
    "required": ["country", "code"],
    "if": {"properties": {"country": {"const": "SE"}}},
    "then": {"properties": {"code": {"pattern": "^[0-9]{5}$"}}},
    "else": {"properties": {"code": {"minLength": 2, "maxLength": 4}}},
}
SHAPES = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0}},
            "required": ["kind", "radius"],
        },
        {
            "type": "object",
            "properties": {
                "kind": {"const": "box"},
                "sides": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2},
            },
            "required": ["kind", "sides"],
        },
    ]
}

#: Schemas of values; what a keyword says is met from within and from without.
SCHEMAS: list[Any] = [
    {"type": "null"},
    {"type": "boolean"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "string"},
    {"type": "array"},
    {"type": "object"},
    {"type": ["string", "null"], "maxLength": 5},
    {"type": ["integer", "string", "array"], "minimum": 3, "minLength": 2, "minItems": 1},
    {"enum": ["a", "b", 3, None]},
    {"enum": ["only"]},
    {"const": {"a": [1]}},
    {"const": 7},
    {"type": "integer", "minimum": 1, "maximum": 10},
    {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 10},
    {"type": "integer", "minimum": 0.5, "maximum": 2.5},
    {"type": "integer", "multipleOf": 7},
    {"type": "integer", "multipleOf": 5, "minimum": 12, "maximum": 31},
    {"type": "integer", "minimum": -(2**53) + 1, "maximum": 2**53 - 1},
    {"type": "integer", "maximum": -3},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0, "exclusiveMaximum": 100000, "multipleOf": 0.25},
    {"type": "number", "multipleOf": 0.01, "minimum": 19.9, "maximum": 20},
    {"type": "number", "allOf": [{"multipleOf": 0.4}, {"multipleOf": 0.6}], "maximum": 100},
    {"type": "number", "minimum": 0.1, "maximum": 0.1},
    {"type": "string", "minLength": 3},
    {"type": "string", "maxLength": 3},
    {"type": "string", "minLength": 4, "maxLength": 4},
    {"type": "string", "minLength": 1, "maxLength": 2000},
    {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 30},
    {"type": "string", "pattern": "\\d{3}"},
    {"type": "string", "pattern": "^\\+[0-9]{6,15}$"},
    {"type": "string", "pattern": "^(?<q>['\"])[^'\"]+\\k<q>$"},
    {"type": "string", "pattern": "^[^\\s]+$", "minLength": 5, "maxLength": 8},
    {"type": "string", "pattern": "^a*$", "minLength": 12, "maxLength": 14},
    {"type": "string", "pattern": "^(?!conform)[a-z]{4,9}$"},
    {"type": "string", "allOf": [{"pattern": "^[a-f0-9]+$"}, {"pattern": "^.{8}$"}]},
    {"type": "string", "pattern": "^\\p{L}+$"},
    {"type": "string", "format": "email", "maxLength": 40},
    *({"type": "string", "format": name} for name in sorted(FORMATS)),
    {"type": "string", "format": "uri", "pattern": "^https://", "maxLength": 60},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 4}, "uniqueItems": True},
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 2},
    {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 1,
    },
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "string"}},
    {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 100}},
    {"type": "array", "contains": {"type": "string"}, "minContains": 2, "maxContains": 3, "maxItems": 6},
    {"type": "array", "items": {"type": "array", "items": {"type": "integer", "maximum": 3}, "maxItems": 2}},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}, "maxProperties": 3},
    {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 2},
    {
        "type": "object",
        "patternProperties": {"^x-[a-z]+$": {"type": "integer"}},
        "additionalProperties": False,
    },
    {"type": "object", "patternProperties": {"^_": False}, "additionalProperties": {"type": "boolean"}},
    {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]{2}$"},
        "additionalProperties": {"type": "string"},
    },
    {"type": "object", "propertyNames": {"maxLength": 3}, "minProperties": 1, "maxProperties": 2},
    {
        "type": "object",
        "properties": {"card": {"type": "string"}, "address": {"type": "string"}, "c": {"type": "null"}},
        "dependentRequired": {"card": ["address"]},
    },
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "dependentSchemas": {"a": {"properties": {"b": {"type": "string"}}, "required": ["b"]}},
    },
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 5}, "b": {"type": "boolean"}}},
            {"properties": {"a": {"maximum": 9}}},
        ]
    },
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "allOf": [{"properties": {"b": {"type": "string"}}}],
        "unevaluatedProperties": False,
    },
    {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "string", "maxLength": 2}]},
    {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]},
    {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
    SHAPES,
    {"type": "string", "not": {"enum": ["admin", "root"]}},
    {"type": "integer", "not": {"minimum": 5, "maximum": 9}},
    {"not": {"type": ["object", "array", "null"]}},
    {"type": "object", "properties": {"a": {}, "b": {}}, "not": {"required": ["a", "b"]}},
    {"type": "string", "not": {"pattern": "^x"}, "minLength": 1},
    ADDRESS,
    {"type": "integer", "if": {"minimum": 10}, "then": {"multipleOf": 10}},
    {"type": "integer", "if": {"multipleOf": 2}, "else": {"maximum": 0}},
    TREE,
    LIST,
    {"type": "array", "items": {"$ref": "#/$defs/e"}, "maxItems": 2, "$defs": {"e": {"type": "string"}}},
    {
        "type": "object",
        "properties": {
            "quiz": {
                "type": ["object", "null"],
                "properties": {
                    "weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    "questions": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 4,
                        "items": {
                            "type": "object",
                            "properties": {
                                "ask": {"type": "string", "minLength": 1, "maxLength": 50},
                                "right": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                            },
                            "required": ["ask", "right"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["weight", "questions"],
                "additionalProperties": False,
            }
        },
        "required": ["quiz"],
    },
]


def wrapped(schema: Any) -> dict[str, Any]:
    """Return the schema of data with one argument; definitions move up with it."""
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    text = json.dumps(inner)
    if '"$ref": "#"' in text:
        definitions = {"self": json.loads(text.replace('"$ref": "#"', '"$ref": "#/$defs/self"'))}
        inner = {"$ref": "#/$defs/self"}
    else:
        definitions = schema.get("$defs", {})
    return {"type": "object", "properties": {"it": inner}, "required": ["it"], "$defs": definitions}


def told(schema: Any) -> str:
    return json.dumps(schema)[:60]


def received(value: Any) -> Any:
    return json.loads(compact(value))


def catalogue() -> Catalog:
    return Catalog.load(ROOT / "fixtures" / "service" / "coursio.openrpc.json")


IDS = {"course": st.integers(1, 50)}


def refs(kind: str) -> st.SearchStrategy[Any]:
    return IDS.get(kind, st.just("12345678-1234-4234-8234-123456789012"))


# --- valid ---------------------------------------------------------------------------------------------------


def test_there_are_enough_schemas() -> None:
    assert len(SCHEMAS) >= 60


@pytest.mark.parametrize("schema", SCHEMAS, ids=told)
def test_what_is_drawn_is_valid_as_it_is_received(schema: Any) -> None:
    compiled = Schema(schema)
    values = draw(payloads.valid(compiled), 1, 60)
    assert values
    for value in values:
        assert compiled.valid(value)
        assert compiled.valid(received(value))


@pytest.mark.parametrize("schema", SCHEMAS, ids=told)
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
    odd = set().union(*(payloads.unusual_features(text) for text in texts))
    assert {"astral", "combining", "right to left", "U+0000"} <= odd


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


# --- identifiers ---------------------------------------------------------------------------------------------

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


# --- edges and violations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS, ids=told)
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


@pytest.mark.parametrize("schema", SCHEMAS, ids=told)
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


@pytest.mark.parametrize(("keyword", "schema", "key"), KEYWORDS, ids=lambda part: told(part))
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


# --- what cannot be made --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"type": "integer", "minimum": 5, "maximum": 4}, "minimum"),
        ({"type": "integer", "minimum": 0.2, "maximum": 0.8}, "minimum"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "maxLength"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "maxItems"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "required"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "$ref"),
        ({"type": "string", "enum": [1]}, "enum"),
        ({"type": "string", "pattern": "^a$", "minLength": 3}, "pattern"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type"),
        ({"type": "integer", "not": {}}, "not"),
        ({"type": "integer", "not": True}, "not"),
        (False, "false"),
    ],
    ids=told,
)
def test_what_is_impossible_is_named(schema: Any, keyword: str) -> None:
    if schema == {"type": "integer", "not": {}}:
        schema = {"type": "integer", "not": True}
    with pytest.raises(CannotGenerate) as raised:
        draw(payloads.valid(schema), 1, 1)
    assert raised.value.keyword == keyword
    if isinstance(schema, dict):
        assert keyword in {found[1] for found in payloads.unsupported(wrapped(schema))}


def test_what_is_narrower_than_it_could_be_is_named() -> None:
    assert payloads.unsupported({"type": "string", "format": "colour"})[0][1] == "format"
    assert payloads.unsupported(wrapped({"pattern": "^\\p{L}+$"}))[0][:2] == ("/it", "pattern")
    assert (
        payloads.unsupported({"unevaluatedProperties": {"type": "string"}})[0][1] == "unevaluatedProperties"
    )
    assert payloads.unsupported({"dependencies": {"a": ["b"]}}) == []
    assert payloads.unsupported({"$dynamicRef": "#a"})[0][1] == "$dynamicRef"
    many: Any = {"allOf": [{"anyOf": [{"multipleOf": n}, {"minimum": n}]} for n in range(1, 8)]}
    assert payloads.unsupported(many)[0][1] == "allOf"


def test_what_is_whole_has_nothing_to_name() -> None:
    for schema in SCHEMAS:
        if "\\p" not in json.dumps(schema):
            assert payloads.unsupported(schema) == [], schema
    for method in catalogue():
        assert payloads.unsupported(method) == []


# --- texts, numbers, injections --------------------------------------------------------------------------------


def test_names_are_unique() -> None:
    for table in (payloads.TEXTS, payloads.NUMBERS, payloads.INJECTIONS, payloads.OPERATORS):
        names = [entry.name for entry in table]
        assert len(set(names)) == len(names)


def test_literals_are_written_as_they_stand() -> None:
    for number in payloads.NUMBERS:
        assert encode({"a": [number.literal]}) == b'{"a":[' + number.text.encode() + b"]}"
        json.loads(number.text)
    for text in payloads.TEXTS:
        assert json.loads(encode({"a": text.value})) == {"a": text.value}
        assert encode([text.value]).decode("utf-8")


def test_places_that_carry_texts_and_numbers() -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 200},
            "slug": {"type": "string", "pattern": "^[a-z]+$"},
            "level": {"enum": ["a", "b"]},
            "id": {"type": "integer", "x-ref": "course"},
            "price": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["title"],
    }
    compiled = Schema(schema)
    found = list(payloads.insertions(schema, payloads.TEXTS))
    by_place = Counter(carrier.pointer for carrier in found)
    assert set(by_place) == {"/title", "/slug", "/tags/-"} - ({"/slug"} if not by_place["/slug"] else set())
    assert by_place["/tags/-"] == len(payloads.TEXTS)
    assert by_place["/title"] < len(payloads.TEXTS)
    for carrier in found:
        data = carrier.build()
        assert isinstance(carrier.item, payloads.Text)
        assert (
            carrier.item.value in json.dumps(data, ensure_ascii=False)
            or carrier.item.value in str(data)
            or (carrier.item.value in (data.get("title"), data.get("slug"), *data.get("tags", ())))
        )
        assert compiled.valid(json.loads(encode(data)))
    numbers = list(payloads.insertions(schema, payloads.NUMBERS))
    assert {carrier.pointer for carrier in numbers} == {"/price"}
    assert len(numbers) == len(payloads.NUMBERS)
    assert any(b":1e400" in encode(carrier.build()) for carrier in numbers)
    operators = list(payloads.insertions(schema, payloads.OPERATORS, forbidden=True))
    assert {carrier.parameter for carrier in operators} >= {"title", "level", "id", "price"}
    assert not any(carrier.allowed for carrier in operators)
    assert next(carrier for carrier in operators if carrier.parameter == "id").ref == "course"


def test_what_a_target_may_refuse_is_told() -> None:
    assert payloads.unusual_features({"a": ["plain", 5, 1.5, "åäö"]}) == frozenset()
    assert payloads.unusual_features("😀") == {"astral"}
    assert payloads.unusual_features("e\u0301") == {"combining"}
    assert payloads.unusual_features("שלום") == {"right to left"}
    assert payloads.unusual_features("a\x00") == {"U+0000"}
    for sign in ("\u200d", "\ufeff", "\x01", "\x7f"):
        assert payloads.unusual_features(f"a{sign}") == {"control or format character"}
    assert payloads.unusual_features("a\tb\r\n") == frozenset()
    assert payloads.unusual_features("a\ud800") == {"unpaired surrogate"}
    assert payloads.unusual_features("x" * 65_536) == {"64 kB"}
    assert payloads.unusual_features(2**53 + 1) == {"number of unusual size"}
    assert payloads.unusual_features([-0.0]) == {"-0"}
    assert payloads.unusual_features(1.0) == {"1.0"}


# --- any JSON ---------------------------------------------------------------------------------------------------


def test_any_json_is_json_of_every_type() -> None:
    drawn = draw(payloads.any_json(), 1, 600)
    assert {type(value) for value in drawn} == {type(None), bool, int, float, str, list, dict}
    for value in drawn:
        assert json.loads(encode(value)) == value
    assert max(len(encode(value)) for value in drawn) < 100_000


# --- drawing and shrinking ---------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same() -> None:
    strategy = payloads.valid(catalogue()["course.add"], refs)
    assert draw(strategy, 5, 30) == draw(strategy, 5, 30)
    assert draw(strategy, 5, 30) != draw(strategy, 6, 30)
    assert draw(strategy, 5, 0) == []


_SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, {root!r})
from tests.conformance.generation.test_payloads import fingerprint
print(fingerprint())
"""


def fingerprint() -> str:
    """Return the digest of much that is generated."""
    digest = hashlib.sha256()
    from conformance.generation import malformed as damage

    for schema in SCHEMAS:
        digest.update(repr(draw(payloads.valid(schema), 7, 15)).encode("utf-8", "surrogatepass"))
    method = catalogue()["lesson.add"]
    digest.update(repr(draw(payloads.invalid_data(method, refs), 7, 60)).encode("utf-8", "surrogatepass"))
    for case in payloads.boundaries(wrapped(ADDRESS)):
        digest.update(repr((case, case.build())).encode("utf-8", "surrogatepass"))
    digest.update(repr(draw(payloads.any_json(), 7, 60)).encode("utf-8", "surrogatepass"))
    digest.update(repr(draw(damage.any_bytes(b'{"method":"x"}'), 7, 60)).encode())
    return digest.hexdigest()


def test_the_same_in_any_process() -> None:
    """Whatever the seed of hashes, and whichever modules are loaded."""
    # Sets have another order there than here: no two seeds of hashes order the same.
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(root=str(ROOT))],
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == fingerprint()


def test_the_smallest_is_found_within_the_budget() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 0, "maximum": 10_000},
            "b": {"type": "string", "maxLength": 20},
            "c": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 5},
        },
        "required": ["a"],
    }
    calls: list[Any] = []

    def predicate(value: Any) -> bool:
        calls.append(value)
        return bool(value["a"] > 500 and "c" in value)

    assert smallest(payloads.valid(schema), predicate, 1, 2000, 20) == {"a": 501, "c": []}
    assert len(calls) <= 2000
    calls.clear()
    found = smallest(payloads.valid(schema), predicate, 1, 60, 20)
    assert found is not None
    assert found["a"] > 500
    assert len(calls) <= 60


def test_nothing_is_found_where_there_is_nothing() -> None:
    calls: list[int] = []
    strategy = payloads.valid({"type": "integer"})
    assert smallest(strategy, lambda value: bool(calls.append(value)), 1, 30, 5) is None  # type: ignore[func-returns-value]
    assert 0 < len(calls) <= 30
    assert smallest(strategy, lambda value: True, 1, 30, 0) is None


def test_what_a_predicate_raises_is_raised() -> None:
    def fails(value: int) -> bool:
        raise OSError("the target is gone")

    with pytest.raises(OSError, match="gone"):
        smallest(payloads.valid({"type": "integer"}), fails, 1, 30, 5)


def test_a_predicate_that_holds_now_and_then() -> None:
    rng = random.Random(1)
    found = smallest(
        payloads.valid({"type": "integer"}), lambda value: value > 5 and rng.random() < 0.5, 1, 200, 5
    )
    assert found is not None
    assert found > 5


def test_strategies_are_hypothesis_own() -> None:
    """They work in tests of Hypothesis, whose provider of choices is another."""

    @hypothesis.settings(max_examples=40, database=None, deadline=None, derandomize=True)
    @hypothesis.given(payloads.valid(SHAPES), payloads.invalid_data(wrapped(ADDRESS)), st.data())
    def holds(value: Any, invalid: payloads.InvalidData, data: st.DataObject) -> None:
        assert Schema(SHAPES).valid(value)
        assert not Schema(wrapped(ADDRESS)).valid(invalid.data)
        assert Schema(TREE).valid(data.draw(payloads.valid(TREE)))

    holds()


def test_without_what_lies_below_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should Hypothesis change inside, its public face does."""
    from conformance.generation import drawing as payloads_source

    monkeypatch.setattr(payloads_source, "_direct", lambda: False)
    monkeypatch.setattr(payloads_source, "_backend", lambda: "hypothesis")
    for schema in (SHAPES, TREE, {"type": "integer", "minimum": -5, "maximum": 5}):
        compiled = Schema(schema)
        values = draw(payloads.valid(compiled), 1, 20)
        assert len(values) >= 5
        assert all(compiled.valid(value) for value in values)


# --- schemas of any shape --------------------------------------------------------------------------------------

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
