"""Schemas of all kinds, for tests of the generator."""

from __future__ import annotations

import json
from typing import Any

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
