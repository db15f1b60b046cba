"""Values that lenient readers convert: each is invalid, and says the same as the valid value that it replaces."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.catalog.model import Catalog, Method
from conformance.generation.data_walker import located_values, removed, replaced
from conformance.generation.lenient_values import lenient_values, respelled_members

PARAMS: dict[str, Any] = {
    "seats": {"type": "integer", "minimum": 10, "maximum": 20},
    "flag": {"type": "boolean"},
    "level": {"enum": ["low", "high"]},
    "day": {"type": "string", "format": "date"},
    "mail": {"type": "string", "format": "email"},
    "code": {"type": "string", "pattern": "^[0-9]{3}$"},
    "note": {"type": "string", "minLength": 2},
    "tags": {"type": "array", "items": {"type": "string"}},
    "payer": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 18}},
        "required": ["name"],
    },
    "labels": {"type": "object", "additionalProperties": {"type": "integer"}},
    "anything": {},
}

DATA: dict[str, Any] = {
    "seats": 12,
    "flag": True,
    "level": "high",
    "day": "2026-02-03",
    "mail": "a@example.com",
    "code": "123",
    "note": "ab",
    "tags": ["x"],
    "payer": {"name": "Ann", "age": 30},
    "labels": {"k": 7},
    "anything": 5,
}


@pytest.fixture
def method() -> Method:
    document = {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [
            {
                "name": "thing.add",
                "params": [
                    {"name": name, "schema": schema, "required": name in ("seats", "payer")}
                    for name, schema in PARAMS.items()
                ],
                "result": {"name": "r", "schema": {}},
                "x-effect": "write",
            }
        ],
    }
    return Catalog.parse(document)["thing.add"]


def sent(method: Method) -> dict[str, Any]:
    found = {}
    for each in lenient_values(method, DATA):
        value: Any = each.data
        for token in each.pointer.split("/")[1:]:
            value = value[0] if token == "-" else next(iter(value.values())) if token == "*" else value[token]
        found[each.kind] = value
    return found


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("seats: a valid number as text", "12"),
        ("seats: a valid number as text with blanks around it", " 12 "),
        ("seats: a valid value in an array", [12]),
        ("flag: a boolean as text", "true"),
        ("flag: a boolean as a number", 1),
        ("level: the ordinal of a listed value", 1),
        ("level: the ordinal of a listed value as text", "1"),
        ("level: a listed value with a blank behind", "high "),
        ("level: a listed value in upper case", "HIGH"),
        ("day: a valid date, with a blank before", " 2026-02-03"),
        ("day: a valid date, with digits of another script", "٢٠٢٦-٠٢-٠٣"),
        ("mail: a valid email, with a line end behind", "a@example.com\n"),
        ("code: a text of the pattern, with a blank behind", "123 "),
        ("note: a number for a text", 12),
        ("tags: an array as JSON text", '["x"]'),
        ("tags: a valid item without its array", "x"),
        ("tags[]: a valid value in an array", ["x"]),
        ("payer: an object as JSON text", '{"name": "Ann", "age": 30}'),
        ("payer.age: a valid number as text", "30"),
        ("labels.*: a valid number as text", "7"),
    ],
)
def test_lenient_value_is_made_from_the_valid_one(method: Method, kind: str, value: Any) -> None:
    assert sent(method)[kind] == value


def test_every_lenient_value_is_invalid(method: Method) -> None:
    assert method.data.valid(DATA)
    every = list(lenient_values(method, DATA))
    assert every
    assert not [each.kind for each in every if method.data.valid(each.data)]
    assert not [each for each in every if each.parameter == "anything"]


def test_undecided_spellings_are_not_sent(method: Method) -> None:
    kinds = sent(method)
    # A line end before `$` of a pattern matches in some dialects.
    assert "code: a text of the pattern, with a line end behind" not in kinds
    # An address outside ASCII is not one of the plain forms that the rulebook decides.
    assert "mail: a valid email, with a no-break space behind" not in kinds


def test_required_members_are_respelled(method: Method) -> None:
    found = {each.kind: each.data for each in respelled_members(method, DATA)}
    assert "SEATS" in found["seats: its name in upper case"]
    assert "seats" not in found["seats: its name in upper case"]
    assert found["payer.name: its name with a capital first"]["payer"] == {"Name": "Ann", "age": 30}
    assert not [kind for kind in found if kind.startswith("flag")]
    assert not [data for data in found.values() if method.data.valid(data)]


def test_located_values_and_copies(method: Method) -> None:
    located = {each.path: each.place.pointer for each in located_values(method, DATA)}
    assert located[("tags", 0)] == "/tags/-"
    assert located[("labels", "k")] == "/labels/*"
    assert located[("payer", "age")] == "/payer/age"
    assert replaced(DATA, ("payer", "age"), 5)["payer"]["age"] == 5
    assert removed(DATA, ("tags", 0))["tags"] == []
    assert DATA["payer"]["age"] == 30
    assert DATA["tags"] == ["x"]
