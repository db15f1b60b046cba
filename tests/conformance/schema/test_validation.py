"""Validation in the rulebook's dialect of JSON Schema: formats, patterns, numbers, depth, and invalid schemas."""

from __future__ import annotations

import re
from typing import Any

import pytest

from conformance.schema.bundle import SchemaError, bundle, places
from conformance.schema.ecma import ecma
from conformance.schema.validation import Schema

# --- schemas ------------------------------------------------------------------------------------------------

INFINITY = float("inf")


HUGE = 10**5000


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"type": "integer"}, 1.0, True),
        ({"type": "integer"}, 1.5, False),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, False, False),
        ({"type": "boolean"}, 1, False),
        ({"type": "integer"}, 10**30, True),
        ({"type": "integer", "maximum": 2**64}, 2**64 + 1, False),
        ({"type": "integer"}, HUGE, True),
        ({"type": "number"}, HUGE, True),
        ({"type": "number"}, INFINITY, True),
        ({"type": "integer"}, INFINITY, True),
        ({"type": "string"}, INFINITY, False),
        ({"maximum": 5}, INFINITY, False),
        ({"minimum": 5}, INFINITY, True),
        ({"enum": [1]}, 1.0, True),
        ({"enum": [1]}, True, False),
        ({"enum": [True]}, 1, False),
        ({"const": {"a": [1.0]}}, {"a": [1]}, True),
        ({"multipleOf": 0.01}, 19.99, True),
        ({"multipleOf": 0.01}, 4.35, True),
        ({"multipleOf": 0.01}, 0.015, False),
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"uniqueItems": True}, [1, True], True),
        ({"minLength": 2}, "😀", False),
        ({"maxLength": 2}, "😀😀", True),
        ({"maxLength": 1}, "\ud800", True),
        ({"minLength": 2}, "\ud800", False),
        ({"type": "string"}, "\ud800", True),
        ({"type": "integer"}, "\ud800", False),
        ({"properties": {"a": {"multipleOf": 0.1}}}, {"a": 0.3, "b": "\ud800"}, True),
        ({"properties": {"a": {"multipleOf": 0.1}}}, {"a": 0.35, "b": "\ud800"}, False),
        ({"pattern": "^.$"}, "\ud800", True),
        ({"const": "\ud800"}, "\ud800", True),
        ({"const": "\ud800"}, "x", False),
        ({"maximum": 5}, -INFINITY, True),
        ({"pattern": r"^\p{L}$"}, "\ud800", False),
        ({"format": "date"}, "\ud800", False),
        ({"format": "of-my-own"}, "\ud800", True),
        ({"additionalProperties": False}, {"\ud800": 1}, False),
        ({"pattern": r"^\d+$"}, "١", False),
        ({"pattern": r"^\w+$"}, "é", False),
        ({"pattern": r"^\s$"}, "\ufeff", True),
        ({"pattern": "b"}, "abc", True),
        ({"pattern": r"^\p{L}$"}, "é", True),
        ({"pattern": r"^(?<x>a)\k<x>$"}, "aa", True),
        ({"pattern": r"^(?<x>a)\k<x>$"}, "ab", False),
        ({"allOf": [{"pattern": r"^(?<x>a)\k<x>"}, {"pattern": r"\p{L}$"}]}, "aaé", True),
        ({"allOf": [{"pattern": r"^(?<x>a)\k<x>"}, {"pattern": r"\p{L}$"}]}, "aa1", False),
        ({"format": "date"}, "2026-02-28", True),
        ({"format": "date"}, "2026-02-30", False),
        ({"format": "date-time"}, "2026-02-03T10:20:30Z", True),
        ({"format": "date-time"}, "2026-02-03T10:20:30", False),
        ({"format": "uuid"}, "12345678-1234-4234-8234-123456789012", True),
        ({"format": "uuid"}, "12345678", False),
        ({"format": "ipv4"}, "1.2.3.256", False),
        ({"format": "uri"}, "not a uri", False),
        ({"format": "of-my-own"}, "anything", True),
        ({"format": "email"}, "a.b_c+d-e@x.example.com", True),
        ({"format": "email"}, "a@b", False),
        ({"format": "email"}, "a@b@c.de", False),
        ({"format": "email"}, "a b@c.de", False),
        ({"format": "email"}, "@c.de", False),
        ({"format": "email"}, "a@", False),
        ({"format": "email"}, '"a b"@c.de', False),
        ({"format": "email"}, "a@c.de\n", False),
        ({"format": "email"}, 5, True),
        (True, 5, True),
        (False, 5, False),
        ({"type": "string"}, HUGE, False),
    ],
    ids=lambda value: "huge" if value is HUGE else ascii(value)[:60],
)
def test_the_dialect(schema: Any, value: Any, valid: Any) -> None:
    compiled = Schema(schema)
    assert compiled.valid(value) is valid
    errors = compiled.errors(value)
    assert bool(errors) is not valid
    for pointer, keyword, message in errors:
        assert isinstance(pointer, str)
        assert keyword
        assert message
        assert "\n" not in message
    # Inside something large: the same verdict, and one place where it is wrong.
    large = Schema({"prefixItems": [schema]})
    wrong = large.errors([value, "x" * 300_000])
    assert len(wrong) == (0 if valid else 1)
    for pointer, _, message in wrong:
        assert pointer.startswith("/0")
        assert len(message) < 400
    if len(errors) == 1 and errors[0][1] in {
        "type",
        "enum",
        "const",
        "pattern",
        "minimum",
        "required",
        "items",
    }:
        assert wrong[0][:2] == ("/0" + errors[0][0], errors[0][1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email", "a@b"),
        ("email", '"a b"@c.de'),
        ("uri", "http://host/ä"),
        ("hostname", "my_host"),
        ("hostname", "host.example."),
    ],
)
def test_a_result_is_judged_leniently(name: Any, value: Any) -> None:
    assert not Schema({"format": name}).valid(value)
    assert Schema({"format": name}, lenient=True).valid(value)
    assert not Schema({"format": name}, lenient=True).valid("not one")


def test_errors_point_at_the_place() -> None:
    schema = Schema({"properties": {"a/b": {"items": {"type": "integer"}}}, "required": ["c"]})
    found = {(pointer, keyword) for pointer, keyword, _ in schema.errors({"a/b": [1, "x"]})}
    assert found == {("/a~1b/1", "type"), ("", "required")}
    slow = {(pointer, keyword) for pointer, keyword, _ in schema.errors({"a/b": [1, "\ud800"]})}
    assert slow == found


@pytest.mark.parametrize(
    ("schema", "pointer", "keyword"),
    [
        ({"type": "object"}, "", "type"),
        ({"items": {"type": "object"}}, "/40000", "type"),
        (
            {"items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"properties": {"a": {"minimum": 2}}}}},
            "/0/a",
            "minimum",
        ),
        ({"items": {"additionalProperties": False}}, "/0/a", "falseSchema"),
        ({"items": {"unevaluatedProperties": False}}, "/0", "schema"),
        ({"allOf": [{"maxItems": 2}]}, "", "maxItems"),
        ({"contains": {"type": "boolean"}}, "", "contains"),
        ({"contains": {"type": "boolean"}, "minContains": 0, "uniqueItems": True}, "", "uniqueItems"),
        ({"items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}, "/0", "anyOf"),
        ({"if": {"type": "array"}, "then": {"not": {}}}, "", "not"),
    ],
)
def test_of_a_large_value_one_error_is_reported(schema: Any, pointer: str, keyword: str) -> None:
    """What the validators make of each error holds the value, and its text, again: 2.4 GB for an answer of 14 MB."""
    value = [*({"a": 1} for _ in range(40_000)), "\U0001f600" + "x" * 1_000_000]
    [(at, why, message)] = Schema(schema, lenient=True).errors(value)
    assert (at, why) == (pointer, keyword)
    assert len(message) < 300


def test_deep_values_are_judged() -> None:
    schema = Schema(
        {
            "$ref": "#/$defs/n",
            "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 1}},
        }
    )
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    assert schema.valid(deep)
    for _ in range(3):
        deep = [deep]
    inner = deep
    while inner:
        inner = inner[0]
    inner += [[], []]
    assert not schema.valid(deep)
    assert schema.errors(deep)[0][1] == "maxItems"


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"type": "strng"}, "/x/type"),
        ({"properties": {"a": {"minLength": -1}}}, "/x/properties/a/minLength"),
        ({"items": [{"type": "strng"}]}, "/x/items/0/type"),
        ({"items": {"$ref": "#/none"}}, "/x/items/$ref"),
        ({"$dynamicRef": "#a"}, "/x/$dynamicRef"),
        ({"pattern": "["}, "/x"),
        ([], "/x"),
    ],
)
def test_what_is_no_schema_is_refused(schema: Any, pointer: Any) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema(schema, {}, pointer="/x")
    assert caught.value.pointer == pointer


def test_schemas_that_are_nearly_the_same_are_compiled_apart() -> None:
    """Compiled schemas are stored by their content, and Python takes 1, 1.0 and true for the same key."""
    assert Schema({"enum": [1]}).valid(1)
    assert not Schema({"enum": [True]}).valid(1)
    assert Schema({"enum": [True]}).valid(True)
    assert Schema({"minItems": 1.0}).valid([0])
    assert Schema({"format": "email"}, lenient=True).valid("a@b")
    assert not Schema({"format": "email"}).valid("a@b")
    for _ in range(2):
        with pytest.raises(SchemaError, match="true"):
            Schema({"minItems": True})


def test_a_bundle_stands_by_itself() -> None:
    root = {
        "components": {"a/b": {"properties": {"again": {"$ref": "#/components/a~1b"}, "c": {"$ref": "#/c"}}}},
        "c": True,
    }
    whole = bundle({"$ref": "#/components/a~1b", "examples": [{"$ref": "#/c"}], "$id": "http://x/"}, root)
    assert whole == {
        "$ref": "#/$defs/a1b",
        "examples": [{"$ref": "#/c"}],
        "$defs": {
            "a1b": {"properties": {"again": {"$ref": "#/$defs/a1b"}, "c": {"$ref": "#/$defs/c"}}},
            "c": True,
        },
    }
    assert bundle(whole) == whole
    assert [pointer for pointer, _ in places(whole)] == ["", "", "/again", "/c"]


@pytest.mark.parametrize(
    ("pattern", "matches", "fails"),
    [
        (r"^a$", ["a"], ["a\n", "b"]),
        (r"^\d+$", ["12"], ["١"]),
        (r"^[\d\-]+$", ["1-2"], ["a"]),
        (r"^[^\s]$", ["a"], [" ", "\u00a0"]),
        (r"^\u{1F600}$", ["😀"], []),
        (r"^\uD83D\uDE00$", ["😀"], []),
        (r"^A\x42\/$", ["AB/"], []),
        (r"^(?<q>['\"])x\k<q>$", ["'x'", '"x"'], ["'x\""]),
        (r"^[^]$", ["\n", "x"], [""]),
        (r"[]", [], ["", "x"]),
        (r"^.$", ["x"], ["\u2028", "\n"]),
        (r"^a(?=b)", ["ab"], ["ac"]),
        (r"^(?!con)[a-z]+$", ["abc"], ["conx"]),
        (r"\bcat\b", ["a cat"], ["scats"]),
        (r"^\cA$", ["\x01"], ["A"]),
        (r"^[a-z&&b]+$", ["a&b"], ["B"]),
        (r"^[$.]+$", ["$."], ["a"]),
        (r"^a{2,3}?$", ["aa", "aaa"], ["a"]),
    ],
)
def test_patterns_are_those_of_ecmascript(pattern: Any, matches: Any, fails: Any) -> None:
    compiled = re.compile(ecma(pattern))
    for text in matches:
        assert compiled.search(text), text
    for text in fails:
        assert not compiled.search(text), text


@pytest.mark.parametrize("pattern", ["(", "[a", r"\p{L}", r"\q", "*", r"\u{110000}", r"[\D]"])
def test_patterns_without_counterpart_are_refused(pattern: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whatever the library says)
        ecma(pattern)
