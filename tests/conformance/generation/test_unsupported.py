"""What cannot be generated is named, with its keyword."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.generation import payloads
from conformance.generation.payloads import CannotGenerate, draw
from tests.support.payload_schemas import (
    SCHEMAS,
    catalogue,
    shortened,
    wrapped,
)


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
    ids=shortened,
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
