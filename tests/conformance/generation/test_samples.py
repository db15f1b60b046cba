"""Samples are valid, spoiled data is not, and both are the same for the same seed."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conformance.catalog.model import Catalog, Method
from conformance.generation.samples import (
    CannotGenerate,
    Sampler,
    Violation,
    alternatives,
    other_than,
    violations,
)
from conformance.schema.validation import Schema

TREE = {
    "$ref": "#/$defs/t",
    "$defs": {
        "t": {
            "type": "object",
            "properties": {
                "kids": {"type": "array", "items": {"$ref": "#/$defs/t"}},
                "name": {"type": "string"},
            },
            "required": ["name"],
        }
    },
}

SCHEMAS: list[Any] = [
    {},
    True,
    {"type": "string"},
    {"type": "string", "minLength": 300},
    {"type": "string", "maxLength": 1},
    {"type": "string", "maxLength": 0},
    {"type": "string", "minLength": 7, "maxLength": 7},
    {"maxLength": 40},
    {"type": "integer"},
    {"type": "integer", "minimum": 3, "maximum": 3},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "maximum": -5},
    {"type": "integer", "minimum": 10**12},
    {"type": "integer", "multipleOf": 7, "minimum": 20, "maximum": 30},
    {"type": "integer", "multipleOf": 0.5, "minimum": 1.5, "maximum": 2.5},
    {"type": "integer", "minimum": -0.5, "maximum": 0.5},
    {"type": "number"},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 0.001},
    {"type": "number", "minimum": 0.1, "maximum": 0.1},
    {"type": "number", "multipleOf": 0.01, "minimum": 19.985, "maximum": 19.995},
    {"type": "number", "allOf": [{"multipleOf": 0.4}, {"multipleOf": 0.6}], "minimum": 1, "maximum": 2},
    {"minimum": 5},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"], "maxLength": 30},
    {"type": ["integer", "string"], "minimum": 5, "minLength": 3},
    {"enum": ["a", 1, None, {"x": [1]}]},
    {"type": "string", "enum": ["a", 1]},
    {"const": {"a": 1}},
    {"const": None},
    {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 80},
    {"type": "string", "pattern": "^[a-z0-9-]{3,10}$"},
    {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"},
    {"type": "string", "pattern": "^[A-Za-z ]{1,50}$"},
    {"type": "string", "pattern": "\\d{3}"},
    {"type": "string", "pattern": "^\\+?[0-9 ()-]{7,20}$"},
    {"type": "string", "pattern": "^(?<q>['\"])[^'\"]+\\k<q>$"},
    {"type": "string", "pattern": "^[^a-zA-Z0-9 ]{4}$"},
    {"type": "string", "pattern": "^[å-ö]{3,5}$"},
    {"type": "string", "pattern": "^[^\\x00-\\x7f]+$", "minLength": 3},
    {"type": "string", "pattern": "^a*$", "minLength": 12, "maxLength": 14},
    {"type": "string", "pattern": "^(red|green|blue)$"},
    {"type": "string", "pattern": "^(?!conform)[a-z]{4,}$"},
    {"type": "string", "pattern": "^\\p{L}+$"},
    {"type": "string", "allOf": [{"pattern": "^[a-f0-9]+$"}, {"pattern": "^.{8}$"}]},
    {"type": "string", "pattern": "example", "format": "email"},
    {"type": "string", "format": "email", "maxLength": 12},
    {"type": "string", "format": "email", "minLength": 200},
    {"type": "string", "format": "uri", "maxLength": 30},
    {"type": "string", "format": "uri", "pattern": "^https://"},
    {"type": "string", "format": "no-such-format", "examples": ["green", "blue"]},
    *(
        {"type": "string", "format": name}
        for name in (
            "email",
            "idn-email",
            "date",
            "time",
            "date-time",
            "duration",
            "uuid",
            "ipv4",
            "ipv6",
            "hostname",
            "idn-hostname",
            "uri",
            "iri",
            "uri-reference",
            "iri-reference",
            "uri-template",
            "json-pointer",
            "relative-json-pointer",
            "regex",
        )
    ),
    {"type": "array"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 4},
        "minItems": 4,
        "uniqueItems": True,
    },
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
    {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3},
    {"type": "array", "contains": {"const": "x"}, "items": {"type": "string"}},
    {
        "type": "array",
        "contains": {"minimum": 5},
        "minContains": 2,
        "items": {"type": "integer"},
        "maxItems": 3,
    },
    {"type": "object"},
    {"type": "object", "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["b"]},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3},
    {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "propertyNames": {"pattern": "^[a-z]{2}$"},
    },
    {
        "type": "object",
        "patternProperties": {"^x-[a-z]+$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 1,
    },
    {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2, "required": ["c"]},
    {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "minProperties": 2},
    {"type": "object", "properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}},
    {"type": "object", "properties": {"a": {}}, "dependentSchemas": {"a": {"required": ["b"]}}},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"a": {"maxLength": 4}, "b": {"const": 1}}, "required": ["b"]},
        ]
    },
    {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
    {
        "oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}],
        "minimum": 1,
        "maximum": 15,
    },
    {
        "oneOf": [
            {
                "type": "object",
                "properties": {
                    "kind": {"const": "card"},
                    "number": {"type": "string", "pattern": "^\\d{16}$"},
                },
                "required": ["kind", "number"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "bank"}, "iban": {"type": "string"}},
                "required": ["kind", "iban"],
            },
        ]
    },
    {"type": "string", "not": {"pattern": "^z"}},
    {"type": "integer", "minimum": 1, "maximum": 4, "not": {"enum": [1, 2, 3]}},
    {
        "type": "object",
        "properties": {"a": {"type": "boolean"}, "b": {"type": "integer"}},
        "required": ["a"],
        "if": {"properties": {"a": {"const": True}}},
        "then": {"required": ["b"]},
        "else": {"properties": {"b": False}},
    },
    TREE,
    {"$ref": "#/$defs/a", "maxLength": 9, "$defs": {"a": {"type": "string", "minLength": 9}}},
]
IDS = [f"{i}-{json.dumps(schema)[:60]}" for i, schema in enumerate(SCHEMAS)]


def sampler(seed: int = 7) -> Sampler:
    count = iter(range(1, 10**9))
    return Sampler(random.Random(seed), lambda: f"conform-1a2b-{next(count)}", lambda kind: 17)


@pytest.mark.parametrize("optional", ["none", "all", "some"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_samples_are_valid(schema: Any, optional: Any) -> None:
    judge = Schema(schema)
    for seed in range(6):
        maker = sampler(seed)
        for _ in range(4):
            value = maker.sample(schema, optional=optional)
            assert judge.valid(value), value
            assert judge.valid(json.loads(json.dumps(value)))


@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_the_same_seed_gives_the_same_samples(schema: Any) -> None:
    one, two = (
        [maker.sample(schema, optional="some") for _ in range(5)] for maker in (sampler(3), sampler(3))
    )
    assert json.dumps(one) == json.dumps(two)


PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "email": {"type": "string", "format": "email"},
        "born": {"type": ["string", "null"], "format": "date"},
        "courseId": {"type": "string", "x-ref": "course"},
        "friends": {"type": "array", "items": {"type": "integer", "x-ref": "user"}},
    },
    "required": ["name"],
}


def test_optional_members_are_there_as_asked() -> None:
    maker = sampler()
    maker.resolve = {"course": "c1", "user": 5}.__getitem__
    assert set(maker.sample(PERSON)) == {"name"}
    whole = maker.sample(PERSON, optional="all")
    assert set(whole) == set(PERSON["properties"])
    assert whole["courseId"] == "c1"
    assert set(whole["friends"]) == {5}
    assert whole["born"] is not None
    seen = {frozenset(maker.sample(PERSON, optional="some")) for _ in range(60)}
    assert len(seen) > 5


def test_free_text_carries_the_tag() -> None:
    maker = sampler()
    assert maker.sample({"type": "string"}) == "conform-1a2b-1"
    assert maker.sample({"type": "string", "maxLength": 6}) == "x1a2b-2"[-6:]
    assert maker.sample({"type": "string", "minLength": 20}).startswith("conform-1a2b-3-xxx")
    assert maker.sample({"type": "string", "format": "email"}) == "conform-1a2b-4@example.com"
    assert maker.sample({"type": "string", "pattern": "^[a-z0-9-]+$"}) == "conform-1a2b-5"
    assert maker.sample({"type": "string", "pattern": "^[A-Z0-9]+$"}) == "CONFORM1A2B6"
    assert maker.sample({"type": "string", "format": "uri"}) == "https://example.com/conform-1a2b-7"


def test_texts_are_told_apart() -> None:
    maker = sampler()
    for schema in (
        {"type": "string"},
        {"type": "string", "maxLength": 5},
        {"type": "string", "format": "email"},
    ):
        values = [maker.sample(schema) for _ in range(200)]
        assert len(set(values)) == 200


def test_values_are_plain() -> None:
    maker = sampler()
    for schema in SCHEMAS:
        for _ in range(5):
            stack = [maker.sample(schema, optional="all")]
            while stack:
                value = stack.pop()
                if isinstance(value, str):
                    assert value == value.strip()
                    assert value.isprintable()
                elif isinstance(value, float):
                    assert len(repr(value).partition(".")[2]) <= 4
                elif isinstance(value, dict):
                    stack += value.values()
                elif isinstance(value, list):
                    stack += value
    for name, form in (("date-time", r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"), ("email", r"[a-z0-9-]+@[a-z.]+")):
        assert re.fullmatch(form, maker.sample({"type": "string", "format": name}))


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        (False, "false"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "maxLength"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "minimum"),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "minimum"),
        ({"enum": []}, "enum"),
        ({"type": "string", "enum": [1]}, "enum"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, "pattern"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "maxItems"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "additionalProperties"),
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, "false"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "$ref"),
        ({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}, "$ref"),
        ({"type": "string", "format": "email", "maxLength": 3}, "maxLength"),
        ({"type": "string", "x-ref": "course"}, "type"),
        ({"type": "integer", "not": {"type": "number"}}, "not"),
    ],
    ids=str,
)
def test_what_cannot_be_made_names_the_keyword(schema: Any, keyword: Any) -> None:
    with pytest.raises(CannotGenerate) as caught:
        sampler().sample(schema)
    assert caught.value.keyword == keyword
    assert str(caught.value).startswith(keyword)


def test_examples_help_where_a_pattern_is_too_hard() -> None:
    hard = {"type": "string", "pattern": "^(?=.*7)(?=.*Q)(?=.*-)\\p{Lu}[0-9A-Z-]{5}$", "examples": ["Q7-ABC"]}
    assert sampler().sample(hard) == "Q7-ABC"
    named = {"type": "string", "format": "currency", "examples": ["SEK"]}
    assert sampler().sample(named) == "SEK"


def test_alternatives_differ() -> None:
    for schema in (
        {"type": "string"},
        {"type": "integer"},
        {"enum": [1, 2, 3]},
        PERSON["properties"]["name"],
    ):
        values = alternatives(schema, random.Random(1))
        assert 2 <= len({json.dumps(value) for value in values}) == len(values) <= 4
        assert all(Schema(schema).valid(value) for value in values)
    assert alternatives({"const": 5}, random.Random(1)) == [5]
    with pytest.raises(CannotGenerate):
        alternatives({"x-ref": "course"}, random.Random(1))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "boolean"}, True),
        ({"type": "boolean"}, False),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": [1, 2]}, 2.0),
        ({"type": "integer", "minimum": 1, "maximum": 2}, 1),
        ({"type": "string"}, "x"),
        ({"type": ["boolean", "null"]}, True),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"enum": [0, False]}, 0),
    ],
    ids=str,
)
def test_another_value_is_another(schema: Any, value: Any) -> None:
    other = other_than(schema, value)
    assert Schema(schema).valid(other)
    assert (type(other), other) != (type(value), value)


def test_nothing_else_is_told() -> None:
    with pytest.raises(CannotGenerate, match="const"):
        other_than({"const": 5}, 5.0)


# --- spoils -------------------------------------------------------------------------------------------------


def method(*params: dict[str, Any]) -> Method:
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [{"name": "course.add", "params": list(params)}],
    }
    return Catalog.parse(document)["course.add"]


def param(name: str, schema: Any, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "schema": schema, "required": required}


def table(method: Method) -> dict[str, list[Violation]]:
    found: dict[str, list[Violation]] = {"REQ-7": [], "REQ-8": [], "REQ-9": []}
    for violation in violations(method):
        found[violation.rule].append(violation)
    return found


def kinds(method: Method, rule: str) -> list[str]:
    return [violation.kind for violation in table(method)[rule]]


def value_of(method: Method, kind: str, data: dict[str, Any]) -> Any:
    violation = next(violation for violation in violations(method) if violation.kind == kind)
    return violation.apply(data).get(violation.parameter, "left out")


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_spoiled_data_is_invalid_in_one_place(schema: Any, required: Any) -> None:
    add = method(param("it", schema, required=required), param("other", {"type": "string"}, required=True))
    maker = sampler()
    found = list(violations(add))
    assert len({violation.kind for violation in found}) == len(found)
    assert any(violation.rule == "REQ-7" and violation.parameter == "other" for violation in found)
    if required:
        assert any(violation.kind == "it left out" for violation in found)
    for optional in ("none", "all"):
        data = maker.sample(add.data, optional=optional)
        before = copy.deepcopy(data)
        for violation in found:
            invalid_data = violation.apply(data)
            assert data == before
            assert not add.data.valid(json.loads(json.dumps(invalid_data))), violation.kind
            untouched = "other" if violation.parameter == "it" else "it"
            assert invalid_data.get(untouched) == data.get(untouched), violation.kind
            pointers = {pointer.split("/")[1] for pointer, _, _ in add.data.errors(invalid_data) if pointer}
            assert pointers <= {violation.parameter}


@pytest.mark.parametrize("seed", range(3))
def test_spoils_are_the_same_every_time(seed: Any) -> None:
    add = method(*(param(f"p{i}", schema) for i, schema in enumerate(SCHEMAS[:40])))
    data = sampler(seed).sample(add.data, optional="all")
    one, two = ([(s.rule, s.kind, json.dumps(s.apply(data))) for s in violations(add)] for _ in range(2))
    assert one == two


def test_many_parameters_in_doubt_are_made_together() -> None:
    add = method(*(param(f"p{i}", schema, required=True) for i, schema in enumerate(SCHEMAS)))
    data = sampler().sample(add.data, optional="all")
    found = list(violations(add))
    assert len(found) > 600
    for violation in found:
        assert not add.data.valid(violation.apply(data))


TYPES = [
    ("integer", [None, "5", 1.5, True, [], {}]),
    ("number", [None, "5", True, [], {}]),
    ("string", [None, 5, True, [], {}]),
    ("boolean", [None, "true", 5, 1, 0, [], {}]),
    ("array", [None, "x", 5, True, {}]),
    ("object", [None, "x", 5, True, []]),
]


@pytest.mark.parametrize(("kind", "values"), TYPES)
def test_each_other_type(kind: Any, values: Any) -> None:
    add = method(param("it", {"type": kind}))
    data = sampler().sample(add.data, optional="all")
    found = [violation.apply(data)["it"] for violation in table(add)["REQ-8"]]
    assert list(map(json.dumps, found)) == list(map(json.dumps, values))


def test_null_and_left_out() -> None:
    required = method(param("it", {"type": "string"}, required=True))
    assert kinds(required, "REQ-7") == ["it left out", "it: null"]
    assert "it: null instead of string" not in kinds(required, "REQ-8")
    nullable = method(param("it", {"type": ["string", "null"]}, required=True))
    assert kinds(nullable, "REQ-7") == ["it left out"]
    optional = method(param("it", {"type": "string"}))
    assert kinds(optional, "REQ-7") == []
    assert "it: null instead of string" in kinds(optional, "REQ-8")
    either = method(param("it", {"anyOf": [{"type": "string"}, {"type": "null"}]}))
    assert [k for k in kinds(either, "REQ-8") if "null" in k] == []


LIMITS = [
    ({"type": "integer", "minimum": 1, "maximum": 5}, [0, 6]),
    ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 5}, [1, 5]),
    ({"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 20}, [-5, 25, 6]),
    ({"type": "number", "minimum": 0, "exclusiveMaximum": 100}, [-0.01, 100]),
    ({"type": "number", "multipleOf": 0.25, "minimum": 0}, [-0.25, 1.125]),
    ({"enum": ["draft", "done"]}, ["noSuchValue", "DRAFT", "draftx", ""]),
    ({"enum": ["a", "A", "b"]}, ["noSuchValue", "B", "bx", ""]),
    ({"enum": [1, 5]}, [6, 0]),
    ({"const": True}, [False]),
    ({"type": "string", "minLength": 1}, [""]),
    ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 8, "minLength": 2}, None),
    ({"type": "string", "format": "date"}, ["2026-02-30", "2026-13-01", "yesterday", "31/12/2026"]),
    ({"type": "array", "items": {"const": 1}, "minItems": 1, "maxItems": 2}, None),
]


@pytest.mark.parametrize(("schema", "values"), LIMITS, ids=str)
def test_just_outside(schema: Any, values: Any) -> None:
    add = method(param("it", schema))
    data = sampler().sample(add.data, optional="all")
    found = [violation.apply(data)["it"] for violation in table(add)["REQ-9"]]
    assert found
    if values is not None:
        assert list(map(json.dumps, found)) == list(map(json.dumps, values))


def test_lengths() -> None:
    add = method(param("it", {"type": "string", "minLength": 5, "maxLength": 120}))
    data = {"it": "abcdefgh"}
    assert value_of(add, "it: shorter than 5", data) == "abcd"
    assert value_of(add, "it: longer than 120", data) == "abcdefgh" + "h" * 113
    assert len(value_of(add, "it: much longer than 120", data)) == 2200


def test_arrays_and_objects() -> None:
    schema = {
        "type": "array",
        "minItems": 2,
        "maxItems": 3,
        "uniqueItems": True,
        "items": {
            "type": "object",
            "properties": {"a": {"type": "integer", "maximum": 3}, "b": {}},
            "required": ["a"],
            "additionalProperties": False,
            "minProperties": 1,
        },
    }
    add = method(param("it", schema))
    data = {"it": [{"a": 1}, {"a": 2}]}
    assert value_of(add, "it: fewer than 2 items", data) == [{"a": 1}]
    assert len(value_of(add, "it: more than 3 items", data)) == 4
    assert value_of(add, "it: an item twice", data) == [{"a": 1}, {"a": 2}, {"a": 1}]
    assert value_of(add, "it[].a left out", data) == [{}, {"a": 2}]
    assert value_of(add, "it[].a: null", data) == [{"a": None}, {"a": 2}]
    assert value_of(add, "it[].a: above 3", data) == [{"a": 4}, {"a": 2}]
    assert value_of(add, "it[].a: string instead of integer", data) == [{"a": "5"}, {"a": 2}]
    assert value_of(add, "it[]: an undeclared member", data) == [{"a": 1, "surplusMember": 1}, {"a": 2}]
    assert value_of(add, "it[]: null instead of object", data) == [None, {"a": 2}]


def test_members_of_objects() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {}},
        "maxProperties": 4,
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z0-9]+$"},
        "dependentRequired": {"a": ["b"]},
    }
    add = method(param("it", schema))
    data = {"it": {"a": 1, "b": 2}}
    assert value_of(add, "it: fewer than 1 members", data) == {}
    assert len(value_of(add, "it: more than 4 members", data)) == 5
    assert value_of(add, "it: a without b", data) == {"a": 1}
    assert set(value_of(add, "it: a member name that is not allowed (with a blank)", data)) == {
        "a",
        "b",
        "not a name",
    }
    mapped = method(
        param("it", {"type": "object", "additionalProperties": {"type": "string", "maxLength": 5}})
    )
    assert value_of(mapped, "it.*: longer than 5", {"it": {"k": "abc"}}) == {"k": "abcccc"}
    assert value_of(mapped, "it.*: number instead of string", {"it": {"k": "abc"}}) == {"k": 5}


def test_branches_are_spoiled_each() -> None:
    schema = SCHEMAS[next(i for i, s in enumerate(SCHEMAS) if "iban" in json.dumps(s))]
    add = method(param("it", schema, required=True))
    found = kinds(add, "REQ-7")
    assert "it.number left out" in found
    assert "it.iban left out" in found
    for data in ({"it": {"kind": "bank", "iban": "x"}}, {"it": {"kind": "card", "number": "1" * 16}}):
        invalid_data = value_of(add, "it.number left out", data)
        assert invalid_data == {"kind": "card"}


def test_identifiers_are_spoiled_outside_their_form_alone() -> None:
    add = method(
        param("courseId", {"type": "integer", "minimum": 1, "x-ref": "course"}, required=True),
        param(
            "lessonIds",
            {"type": "array", "maxItems": 2, "items": {"type": "string", "minLength": 3, "x-ref": "lesson"}},
        ),
    )
    found = table(add)
    kinds = [s.kind for s in found["REQ-9"]]
    assert any(kind.startswith("courseId: ") for kind in kinds)
    assert any(kind.startswith("lessonIds[]: ") for kind in kinds)
    more = next(s for s in found["REQ-9"] if s.kind == "lessonIds: more than 2 items")
    data = {"courseId": 5, "lessonIds": ["abc"]}
    assert [json.dumps(s.apply(data)["courseId"]) for s in found["REQ-8"] if s.parameter == "courseId"] == [
        '"5"',
        "1.5",
        "true",
        "[]",
        "{}",
    ]
    assert more.apply(data)["lessonIds"] == ["abc", "abc", "abc"]
    # Where the data has no identifier at hand, one is asked for, or none is made up.
    with pytest.raises(CannotGenerate, match="x-ref"):
        more.apply({"courseId": 5})
    resolved = next(s for s in violations(add, lambda kind: f"{kind}-1") if s.kind == more.kind)
    assert set(resolved.apply({"courseId": 5})["lessonIds"]) == {"lesson-1"}


def test_recursive_data_is_spoiled_to_some_depth() -> None:
    add = method(param("tree", TREE, required=True))
    found = [violation.kind for violation in violations(add)]
    assert "tree.name left out" in found
    assert len(found) < 100


def test_what_has_no_parameters_has_no_spoils() -> None:
    assert list(violations(method())) == []
    assert list(violations(method(param("it", {})))) == []


def test_what_would_be_valid_is_not_handed_out() -> None:
    add = method(param("it", {"type": "string", "enum": ["a"], "pattern": "^"}))
    assert "it: does not match the pattern (1)" not in [s.kind for s in violations(add)]
    loose = method(
        param("it", {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "integer", "maximum": 4}]})
    )
    assert kinds(loose, "REQ-9") == []


def test_patterns_are_not_tested_where_dialects_differ() -> None:
    add = method(param("it", {"type": "string", "pattern": "^[a-z]+$"}))
    data = {"it": "abc"}
    for violation in table(add)["REQ-9"]:
        assert "\n" not in violation.apply(data)["it"]


# --- searched -----------------------------------------------------------------------------------------------


def bounds(low: str, high: str, largest: int) -> Any:
    pair = st.tuples(st.integers(0, largest), st.integers(0, largest)).map(sorted)
    both = pair.map(lambda edges: {low: edges[0], high: edges[1]})
    return st.one_of(st.just({}), both, pair.map(lambda e: {low: e[0]}), pair.map(lambda e: {high: e[1]}))


numbers = st.builds(
    lambda kind, edges, step: {"type": kind, **edges, **step},
    st.sampled_from(["integer", "number"]),
    st.one_of(bounds("minimum", "maximum", 50), bounds("exclusiveMinimum", "exclusiveMaximum", 50)),
    st.sampled_from([{}, {"multipleOf": 1}, {"multipleOf": 0.5}, {"multipleOf": 3}]),
)
texts = st.builds(
    lambda edges, more: {"type": "string", **edges, **more},
    bounds("minLength", "maxLength", 40),
    st.sampled_from(
        [{}, {}, {"pattern": "^[a-z]*$"}, {"pattern": "[0-9]"}, {"format": "email"}, {"format": "uri"}]
    ),
)
leaves = st.one_of(
    numbers,
    texts,
    st.sampled_from(
        [{"type": "boolean"}, {"enum": ["a", "b", 1]}, {"const": 5}, {"type": ["integer", "null"]}, {}]
    ),
)


def containers(inner: Any) -> Any:
    arrays = st.builds(
        lambda items, edges, unique: {"type": "array", "items": items, **edges, **unique},
        inner,
        bounds("minItems", "maxItems", 4),
        st.sampled_from([{}, {"uniqueItems": True}]),
    )
    objects = st.builds(
        lambda members, needed, more: {
            "type": "object",
            "properties": members,
            "required": [name for name in members if name in needed],
            **more,
        },
        st.dictionaries(st.sampled_from(["a", "b", "cD", "e/f"]), inner, max_size=3),
        st.sets(st.sampled_from(["a", "b", "cD", "e/f"])),
        st.sampled_from([{}, {"additionalProperties": False}, {"minProperties": 1}]),
    )
    maps = inner.map(lambda schema: {"type": "object", "additionalProperties": schema})
    either = st.lists(inner, min_size=2, max_size=3).map(lambda branches: {"anyOf": branches})
    both = st.lists(inner, min_size=2, max_size=2).map(lambda branches: {"allOf": branches})
    return st.one_of(arrays, objects, maps, either, both)


schemas = st.recursive(leaves, containers, max_leaves=6)
settings = hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)


@settings
@hypothesis.given(schemas, st.integers(0, 10**6), st.sampled_from(["none", "all", "some"]))
def test_whatever_the_schema_samples_are_valid(schema: Any, seed: Any, optional: Any) -> None:
    try:
        value = sampler(seed).sample(schema, optional=optional)
    except CannotGenerate:
        hypothesis.reject()
    assert Schema(schema).valid(json.loads(json.dumps(value)))


@settings
@hypothesis.given(schemas, st.booleans(), st.sampled_from(["none", "all", "some"]))
def test_whatever_the_schema_spoiled_data_is_invalid(schema: Any, required: Any, optional: Any) -> None:
    add = method(param("it", schema, required=required))
    try:
        data = sampler().sample(add.data, optional=optional)
        found = list(violations(add))
    except CannotGenerate:
        hypothesis.reject()
    before = copy.deepcopy(data)
    for violation in found:
        try:
            invalid_data = violation.apply(data)
        except CannotGenerate:
            continue
        assert not add.data.valid(json.loads(json.dumps(invalid_data)))
        assert data == before
