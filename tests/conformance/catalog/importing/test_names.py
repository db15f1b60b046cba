"""Names of functions without a dot, and names of parameters that are members of others."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalog.importing.names import Parameter, function_name, nested
from conformance.catalog.model import Catalog

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("name", "separator", "expected"),
    [
        ("course.find", None, "course.find"),
        ("course.find", "_", "course.find"),
        ("course_find", None, None),
        ("course_find", "_", "course.find"),
        ("course_find_all", "_", "course.find_all"),
        ("course/find", "/", "course.find"),
        ("course::find", "::", "course.find"),
        ("_find", "_", None),
        ("course_", "_", None),
        ("health", "_", None),
        ("a.b.c", None, None),
        ("a b_c", "_", None),
    ],
)
def test_functions(name: str, separator: str | None, expected: str | None) -> None:
    assert function_name(name, separator) == expected


def shapes(*params: Parameter) -> dict[str, Any]:
    return {param.name: param.schema for param in nested(params)[0]}


def test_plain_names_stay() -> None:
    params = (Parameter("b", TEXT, True), Parameter("a", TEXT))
    assert nested(params) == (params, [])


def test_members_of_an_object() -> None:
    params = nested(
        [
            Parameter("flag.name", TEXT, True, "Its name"),
            Parameter("query", TEXT),
            Parameter("flag.on", {"type": "boolean"}),
        ]
    )[0]
    flag, query = params
    assert (flag.name, flag.required, query.name) == ("flag", True, "query")
    assert flag.schema == {
        "type": "object",
        "properties": {"name": {**TEXT, "description": "Its name"}, "on": {"type": "boolean"}},
        "required": ["name"],
    }


def test_items_of_an_array() -> None:
    found = shapes(
        Parameter("file[].name", TEXT, True),
        Parameter("file[].tags[]", TEXT),
        Parameter("items[0].id", {"type": "integer"}),
        Parameter("grid[][]", {"type": "number"}),
        Parameter("filter[status]", TEXT),
    )
    file = {
        "type": "object",
        "properties": {"name": TEXT, "tags": {"type": "array", "items": TEXT}},
        "required": ["name"],
    }
    assert found == {
        "file": {"type": "array", "items": file},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"id": {"type": "integer"}}},
        },
        "grid": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
        "filter": {"type": "object", "properties": {"status": TEXT}},
    }


def test_a_parent_that_is_described_decides() -> None:
    parent = Parameter("flag", {"type": ["object", "null"], "minProperties": 1}, False, "A flag")
    (flag,) = nested([Parameter("flag.name", TEXT, True), parent])[0]
    assert (flag.required, flag.description) == (False, "A flag")
    assert flag.schema == {
        "type": ["object", "null"],
        "minProperties": 1,
        "properties": {"name": TEXT},
        "required": ["name"],
    }


@pytest.mark.parametrize(
    ("params", "names", "note"),
    [
        ([Parameter("flag", TEXT), Parameter("flag.name", TEXT)], ["flag"], "is described as string"),
        ([Parameter("a..b", TEXT)], ["a..b"], "names no member"),
        ([Parameter("a[b", TEXT)], ["a[b"], "names no member"),
        ([Parameter("a[0].b", TEXT), Parameter("a[].b", TEXT)], ["a"], "is described twice"),
    ],
)
def test_what_does_not_fit_is_noted(params: list[Parameter], names: list[str], note: str) -> None:
    found, notes = nested(params)
    assert [param.name for param in found] == names
    assert len(notes) == 1
    assert note in notes[0]
    methods = [{"name": "a.b", "params": [param.to_json() for param in found]}]
    Catalog.parse({"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": methods})
