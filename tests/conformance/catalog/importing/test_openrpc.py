"""OpenRPC documents of JSON-RPC, whose functions may have names without a dot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.importing import merging
from conformance.catalog.importing.entries import Imported
from conformance.catalog.importing.openrpc import read_openrpc
from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from tests.support import import_documents

ROOT = Path(__file__).resolve().parents[4]


def catalog_of(read: Imported) -> Catalog:
    return Catalog.parse(merging.build(read.title, read.functions, ["x"]))


def test_names_are_divided() -> None:
    read = read_openrpc(import_documents.openrpc(), "x.json", "_")
    catalog = catalog_of(read)
    assert list(catalog.methods) == [
        *(
            "auth.login",
            "auth.status",
            "auth.logout",
            "course.add",
            "course.read",
            "course.find",
            "course.remove",
        ),
    ]
    assert read.notes == [
        "names without an entity, left out: health",
        "errors of 1 functions are not part of a catalogue",
    ]
    assert read.server == "http://127.0.0.1:8000/api/"
    add, item = catalog["course.add"], catalog["course.read"]
    assert (add.description, [param.required for param in add.params]) == ("Create a course.", [True, False])
    assert add.object is not None
    assert (item.params[0].required, item.params[0].ref) == (True, "course")
    assert item.result_schema["required"] == ["courseId", "title"]


def test_without_a_separator_it_is_one_line() -> None:
    with pytest.raises(UsageError) as error:
        read_openrpc(import_documents.openrpc(), "x.json", None)
    message = str(error.value)
    assert "8 of 8 functions are not named entity.function (auth_login, auth_status, " in message
    assert message.endswith("as in --entity-from '_'")


def test_a_catalogue_is_read_as_it_is() -> None:
    document = json.loads((ROOT / "fixtures" / "service" / "coursio.openrpc.json").read_text("utf-8"))
    original = Catalog.parse(document)
    read = read_openrpc(document, "x.json", None)
    assert read.notes == []
    again = catalog_of(read)
    for method in original:
        back = again[method.name]
        assert (back.auth, back.effect, back.rows, back.object, back.beyond_schema) == (
            method.auth, method.effect, method.rows, method.object, method.beyond_schema,
        )  # fmt: skip
        assert back.params == method.params
        assert back.result_schema == method.result_schema


@pytest.mark.parametrize(
    ("method", "note"),
    [
        ({"name": "a.b", "params": [{"name": "x"}]}, "a.b x: has no schema, so any value stands in"),
        ({"name": "a.b", "params": [{"schema": {}}]}, "a.b: parameter 1 has no name: left out"),
        (
            {"name": "a.b", "params": [{"name": "x", "schema": {}}, {"name": "x", "schema": {}}]},
            "a.b x: is described twice: the first is taken",
        ),
        (
            {"name": "a.b", "params": [], "paramStructure": "by-position"},
            "a.b: takes its parameters by position; they go by name here",
        ),
        ({"name": "a.b", "params": [{"$ref": "y.json#/z"}]}, "y.json#/z leads to another document"),
        ({"name": "a.b"}, None),
        (
            {"name": "a.b", "params": None, "tags": [{"$ref": "#/none"}], "result": {"$ref": "#/none"}},
            "#/none",
        ),
    ],
)
def test_what_is_missing_is_noted(method: dict[str, Any], note: str | None) -> None:
    read = read_openrpc({"openrpc": "1.3.2", "methods": [method]}, "x.json", None)
    assert list(catalog_of(read).methods) == ["a.b"]
    assert note is None or any(note in line for line in read.notes)
    assert note is not None or read.notes == []


def test_a_name_that_stands_twice() -> None:
    methods = [
        {"name": "a_b", "params": []},
        {"name": "a.b", "params": [], "summary": "x"},
        {"params": []},
        {"$ref": "#/x"},
    ]
    read = read_openrpc({"openrpc": "1.3.2", "methods": methods}, "x.json", "_")
    assert list(read.functions) == ["a.b"]
    assert "a.b is described twice, and not alike: the first is taken" in read.notes
    assert "method 3 has no name: left out" in read.notes


@pytest.mark.parametrize(
    ("name", "separator", "reported"),
    [
        ("list", None, "(list): a call of this protocol needs an endpoint"),
        ("list", "_", "(list), and '_' divides none of them: a call of this protocol needs an endpoint"),
        ("item/list", "_", "and '_' divides none of them: give the text between entity and function, as in"),
    ],
)
def test_names_that_nothing_divides(name: str, separator: str | None, reported: str) -> None:
    with pytest.raises(UsageError) as error:
        read_openrpc({"openrpc": "1.3.2", "methods": [{"name": name, "params": []}]}, "x.json", separator)
    assert reported in str(error.value)


def test_members_of_one_direction_stay() -> None:
    """In OpenRPC the words are annotations."""
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer", "readOnly": True}},
        "required": ["id"],
    }
    methods = [{"name": "a.b", "params": [{"name": "x", "schema": schema}]}]
    read = read_openrpc({"openrpc": "1.3.2", "methods": methods}, "x.json", None)
    assert catalog_of(read)["a.b"].params[0].schema == schema
