"""`catalog validate`: what would make a run wrong later, and what is read otherwise than it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import conform
from conformance.catalog.model import Catalog
from conformance.generation.catalog_review import mistakes, remarks_on, summary
from conformance.suites.test_naming import CAMEL
from tests.servers import formats

ROW = {
    "type": "object",
    "required": ["noteId"],
    "properties": {"noteId": {"type": "integer"}, "tags": {"type": "array"}},
}
NUMBERS = {"type": "object", "properties": {"rows": {"type": "array", "items": {"type": "integer"}}}}
NO_TEXT = {"type": "string", "minLength": 5, "maxLength": 4}
REVERSED = {"type": "integer", "minimum": 9, "maximum": 1}
PAGE = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": ROW}, "total": {"type": "integer"}},
}
#: Changes to a valid catalogue, one member at a time.
METHODS: dict[str, dict[str, Any]] = {
    "note.add": {
        "params": [{"name": "title", "schema": {"type": "string"}}],
        "result": {"name": "r", "schema": ROW},
        "x-object": {"kind": "note", "does": "create", "id": "/noteId"},
    },
    "note.read": {
        "params": [{"name": "noteId", "required": True, "schema": {"type": "integer", "x-ref": "note"}}],
        "result": {"name": "r", "schema": ROW},
        "x-object": {"kind": "note", "does": "read", "id": "noteId"},
    },
    "note.find": {
        "params": [],
        "result": {"name": "r", "schema": PAGE},
        "x-rows": "/rows",
        "x-object": {"kind": "note", "does": "list", "id": "/noteId"},
    },
}


def document(function: str = "", member: str = "", value: Any = None) -> dict[str, Any]:
    methods = []
    for name, entry in json.loads(json.dumps(METHODS)).items():
        if name == function:
            *way, last = member.split(".")
            into = entry
            for key in way:
                into = into[int(key)] if isinstance(into, list) else into[key]
            into[last] = value
        methods.append({"name": name, **entry})
    return {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": methods}


@pytest.mark.parametrize(
    ("function", "member", "value"),
    [
        ("", "", None),
        ("note.add", "x-object.id", "noteId"),
        ("note.add", "result.schema", {"type": "object"}),
        ("note.add", "result.schema", {"allOf": [ROW, {"properties": {"more": {}}}]}),
        ("note.add", "result.schema", {"$ref": "#/components/schemas/Row", "nullable": True}),
        ("note.add", "result.schema", {"type": "object", "additionalProperties": {"type": "string"}}),
        ("note.find", "result.schema", {"oneOf": [PAGE, {"type": "null"}]}),
        ("note.find", "result.schema.properties.rows", {"type": ["array", "null"], "items": [ROW]}),
        ("note.find", "result.schema.properties.rows", True),
        ("note.find", "x-object.id", ""),
        ("note.find", "result.schema.properties.rows", {"type": "array"}),
    ],
)
def test_what_is_right_is_no_mistake(function: str, member: str, value: Any) -> None:
    whole = document(function, member, value)
    whole["components"] = {"schemas": {"Row": ROW}}
    if (function, member) == ("note.find", "x-object.id"):
        whole["methods"][2]["result"]["schema"] = NUMBERS
    assert list(mistakes(Catalog.parse(whole))) == []


@pytest.mark.parametrize(
    ("function", "member", "value", "pointer", "reported"),
    [
        ("note.add", "x-object.id", "/note/id", "/methods/0/x-object/id", "no 'note'"),
        ("note.add", "x-object.id", "$.noteId", "/methods/0/x-object/id", 'write "/noteId"'),
        ("note.add", "x-object.id", "note.noteId", "/methods/0/x-object/id", 'write "/note/noteId"'),
        ("note.add", "x-object.id", "/tags", "/methods/0/x-object/id", "no text and no number"),
        ("note.add", "x-object.at", "/note", "/methods/0/x-object/at", "it has noteId, tags"),
        ("note.read", "x-object.at", "/note", "/methods/1/x-object/at", "no 'note'"),
        ("note.read", "params.0.schema.x-ref", "author", "/methods/1/params/0/schema", '"author"'),
        ("note.find", "x-rows", "/items", "/methods/2/x-rows", "it has rows, total"),
        ("note.find", "x-rows", "/total", "/methods/2/x-rows", "no array"),
        ("note.find", "x-object.id", "/id", "/methods/2/x-object/id", "no 'id'"),
        ("note.add", "params.0.schema", NO_TEXT, "/methods/0/params/0/schema", "maxLength"),
        ("note.add", "result.schema.properties.noteId", REVERSED, "/methods/0/result/schema", "at /noteId"),
    ],
)  # fmt: skip
def test_what_makes_a_run_wrong_is_a_mistake(
    function: str,
    member: str,
    value: Any,
    pointer: str,
    reported: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = document(function, member, value)
    (found,) = mistakes(Catalog.parse(whole))
    assert found.pointer == pointer
    assert found.function == function
    assert reported in found.text
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    assert conform.main(["catalog", "validate", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}:")
    assert f": {pointer}: " in line
    assert line.split(":")[1] != "1"


def test_an_identifier_is_reported_without_a_schema_by_its_spelling_alone() -> None:
    whole = document("note.add", "x-object.id", "data[0].id")
    del whole["methods"][0]["result"]
    assert [found.pointer for found in mistakes(Catalog.parse(whole))] == ["/methods/0/x-object/id"]
    whole["methods"][0]["x-object"]["id"] = "/note/id"
    assert list(mistakes(Catalog.parse(whole))) == []


def test_remarks_name_each_word_once_and_each_parameter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = Catalog.parse(formats.catalogue())
    words = [remark.text.split()[0] for remark in remarks_on(catalog)]
    assert {"nullable", "items", "dependencies", "exclusiveMinimum"} <= set(words)
    assert words.count("nullable") == 1
    assert all(CAMEL.fullmatch(word.rstrip(":")) for word in words)
    lines = summary(catalog)
    assert any("shape.phone v (phone), shape.amount v (decimal)" in line for line in lines)
    assert any("want of examples" in line and "shape.colour v (hex-colour)" in line for line in lines)
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(formats.catalogue()), encoding="utf-8")
    assert conform.main(["catalog", "validate", str(path)]) == 0
    assert ": note: v: the format 'phone' is not known" in capsys.readouterr().out


def test_words_that_say_nothing_are_named() -> None:
    whole = document(
        "note.add",
        "params.0.schema",
        {"type": "string", "pattern": "(?P<a>x)", "required": True, "disallow": "x"},
    )
    reported = " ".join(remark.text for remark in remarks_on(Catalog.parse(document())))
    assert reported == ""
    with pytest.raises(Exception, match="required"):
        Catalog.parse(whole)
    del whole["methods"][0]["params"][0]["schema"]["required"]
    reported = " ".join(remark.text for remark in remarks_on(Catalog.parse(whole)))
    assert "(?<name>" in reported
    assert "write not" in reported


def test_a_run_names_the_mistakes_of_its_catalogue() -> None:
    (line,) = summary(Catalog.parse(document("note.find", "x-rows", "/items")))
    assert line.startswith("the catalogue is wrong (conform catalog validate): note.find: x-rows: ")
