"""Schemas that payloads are generated for, and what tests of payloads share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from conformance.catalog.model import Catalog
from conformance.generation.formats import FORMATS
from conformance.protocol.client import compact

ROOT = Path(__file__).resolve().parent.parent.parent

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


def shortened(schema: Any) -> str:
    return json.dumps(schema)[:60]


def received(value: Any) -> Any:
    return json.loads(compact(value))


def catalogue() -> Catalog:
    return Catalog.load(ROOT / "fixtures" / "service" / "coursio.openrpc.json")


IDS = {"course": st.integers(1, 50)}


def refs(kind: str) -> st.SearchStrategy[Any]:
    return IDS.get(kind, st.just("12345678-1234-4234-8234-123456789012"))
