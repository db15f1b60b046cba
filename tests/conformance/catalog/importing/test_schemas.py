"""Schemas of other dialects as schemas of 2020-12: references, discriminators, directions, repairs."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalog.importing.schemas import SchemaReader
from conformance.schema.validation import Schema


def read(schema: Any, schemas: dict[str, Any] | None = None, **options: bool) -> tuple[Any, list[str]]:
    notes: list[str] = []
    siblings = options.pop("siblings", False)
    reader = SchemaReader({"components": {"schemas": schemas or {}}}, notes, siblings=siblings)
    found = reader.read(schema, "course.add title", **options)
    return found, notes


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "x-nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 0},
        ),
        (
            {"type": "number", "maximum": 9, "exclusiveMaximum": False},
            {"type": "number", "maximum": 9},
        ),
        ({"type": "string", "example": "x"}, {"type": "string", "examples": ["x"]}),
        ({"type": "string", "xml": {"name": "t"}, "externalDocs": {}}, {"type": "string"}),
        (True, True),
    ],
)
def test_keywords(schema: Any, expected: Any) -> None:
    assert read(schema) == (expected, [])


def test_references_are_followed() -> None:
    schemas = {
        "Id": {"type": "integer", "minimum": 1},
        "Tag": {"type": "object", "properties": {"id": ref("Id"), "over": ref("Id")}},
    }
    found, notes = read({"type": "array", "items": ref("Tag")}, schemas)
    assert notes == []
    assert found["items"]["properties"] == {"id": schemas["Id"], "over": schemas["Id"]}
    assert "$defs" not in found


def test_keywords_beside_a_reference() -> None:
    schemas = {"Id": {"type": "integer"}}
    beside = {**ref("Id"), "description": "The number", "minimum": 5}
    assert read(beside, schemas)[0] == {"type": "integer", "description": "The number"}
    assert read(beside, schemas, siblings=True)[0] == {
        "type": "integer",
        "description": "The number",
        "minimum": 5,
    }
    # Many documents of OpenAPI 3.0 write this, although it says that what stands beside a reference is ignored.
    nullable, _ = read({**ref("Id"), "nullable": True}, schemas)
    assert Schema(nullable).valid(None)
    assert not Schema(nullable).valid("x")


def test_recursive_schemas_survive() -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": ref("Tree")}},
        "required": ["name"],
    }
    found, _ = read(ref("Tree"), {"Tree": tree})
    check = Schema(found)
    assert check.valid({"name": "a", "children": [{"name": "b", "children": []}]})
    assert not check.valid({"name": "a", "children": [{"children": []}]})
    mutual, _ = read(
        ref("A"),
        {
            "A": {"type": "object", "properties": {"b": ref("B")}},
            "B": {"type": "object", "properties": {"a": ref("A"), "n": {"type": "integer"}}},
        },
    )
    assert not Schema(mutual).valid({"b": {"a": {"b": {"n": "x"}}}})


def test_references_into_the_schema_itself() -> None:
    schema = {
        "type": "object",
        "properties": {"below": {"$ref": "#"}, "id": {"$ref": "#/definitions/Id"}},
        "definitions": {"Id": {"type": "integer"}},
    }
    found, notes = read(schema)
    assert notes == []
    assert Schema(found).valid({"below": {"id": 1}})
    assert not Schema(found).valid({"below": {"id": "x"}})


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ("other.yaml#/Course", "leads to another document, which is not read"),
        ("https://example.com/course.json", "leads to another document, which is not read"),
        ("#/components/schemas/None", "leads nowhere in the document"),
    ],
)
def test_other_references_are_refused(given: str, note: str) -> None:
    found, notes = read({"type": "object", "properties": {"a": {"$ref": given}}})
    assert Schema(found).valid({"a": 1})
    assert len(notes) == 1
    assert given in notes[0]
    assert note in notes[0]


PETS: dict[str, Any] = {
    "Cat": {
        "type": "object",
        "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}},
        "required": ["lives"],
    },
    "Dog": {"type": "object", "properties": {"kind": {"type": "string"}, "barks": {"type": "boolean"}}},
}


def test_a_discriminator_selects_an_alternative() -> None:
    schema = {
        "oneOf": [ref("Cat"), ref("Dog")],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}},
    }
    found, notes = read(schema, PETS)
    check = Schema(found)
    assert notes == []
    assert check.valid({"kind": "cat", "lives": 9})
    assert check.valid({"kind": "Dog"})
    assert not check.valid({"kind": "cat"})
    assert not check.valid({"kind": "bird", "lives": 9})
    assert not check.valid({"lives": 9})


@pytest.mark.parametrize("discriminator", [{"propertyName": "kind"}, "kind"])
def test_a_discriminator_of_a_schema_that_others_extend(discriminator: Any) -> None:
    schemas = {
        "Pet": {
            "type": "object",
            "properties": {"kind": {"type": "string"}, "friend": ref("Pet")},
            "required": ["kind"],
            "discriminator": discriminator,
        },
        "Cat": {"allOf": [ref("Pet"), {"properties": {"lives": {"type": "integer"}}, "required": ["lives"]}]},
        "Dog": {"allOf": [ref("Pet"), {"type": "object"}], "x-discriminator-value": "hound"},
    }
    found, _ = read({"type": "array", "items": ref("Pet")}, schemas)
    check = Schema(found)
    assert check.valid([{"kind": "Cat", "lives": 9, "friend": {"kind": "hound"}}])
    assert not check.valid([{"kind": "Cat"}])
    assert not check.valid([{"kind": "hound", "friend": {"kind": "Cat"}}])
    assert not check.valid([{"kind": "Dog"}])


def test_members_of_one_direction() -> None:
    user = {
        "type": "object",
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "word": {"type": "string", "writeOnly": True},
        },
        "required": ["id", "word"],
    }
    sent, _ = read(user)
    assert (list(sent["properties"]), sent["required"]) == (["word"], ["word"])
    answered, _ = read(user, result=True)
    assert (list(answered["properties"]), answered["required"]) == (["id"], ["id"])


@pytest.mark.parametrize(
    ("schema", "valid", "note"),
    [
        ({"type": "string", "pattern": "("}, "x", "pattern"),
        ({"type": "strong", "maxLength": 3}, "x", "type"),
        (
            {"type": "object", "properties": {"a": {"type": "string", "required": True}}},
            {"a": "x"},
            "required",
        ),
        ({"type": "string", "minLength": -1}, "x", "minLength"),
        ("string", 5, "a schema is no object"),
        ({"type": "file"}, "x", "is a file"),
        ({"type": "array", "items": {"type": "string"}, "additionalItems": False}, ["x"], "additionalItems"),
    ],
)
def test_what_no_validator_can_use_is_left_out_and_noted(schema: Any, valid: Any, note: str) -> None:
    found, notes = read(schema)
    assert Schema(found).valid(valid)
    assert notes
    assert all(line.startswith("course.add title: ") for line in notes)
    assert any(note in line for line in notes)


def test_deep_schemas_end_in_a_note() -> None:
    deep: dict[str, Any] = {}
    for _ in range(1200):
        deep = {"items": deep}
    found, notes = read(deep)
    assert Schema(found).valid(1)
    assert [line.partition(":")[0] for line in notes] == ["course.add title"]
