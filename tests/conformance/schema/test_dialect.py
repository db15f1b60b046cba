"""Words of other dialects: what they mean here, and that a service that keeps them is not accused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import conform
from conformance.catalog.model import Catalog
from conformance.generation import payloads
from conformance.generation.errors import CannotGenerate
from conformance.generation.payloads import violations
from conformance.schema.bundle import SchemaError
from conformance.schema.validation import Schema
from tests.servers import formats
from tests.support.judging import broken, judge

RULES = ("REQ-7", "REQ-8", "REQ-9", "DAT-1", "DAT-2", "DAT-3", "DAT-5", "DAT-6", "DAT-8", "COD-5")


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "integer", "format": "int8"}, [-128, 127, 1.0], [-129, 128]),
        ({"type": "integer", "format": "int16"}, [-32768, 32767], [32768]),
        ({"type": "integer", "format": "int32"}, [-(2**31), 2**31 - 1], [2**31, -(2**31) - 1]),
        ({"type": "integer", "format": "uint8"}, [0, 255], [-1, 256]),
        ({"type": "integer", "format": "uint16", "maximum": 80}, [80], [81, -1]),
        ({"type": "integer", "format": "uint32", "minimum": -5}, [0, 2**32 - 1], [-1, 2**32]),
        ({"type": "integer", "format": "int64"}, [2**63 - 1, 2**63], []),
        ({"type": "number", "format": "float"}, [3.4e38, 0.1], [1e39, -1e39]),
        ({"type": "number", "format": "double"}, [1e308], [10**400]),
        ({"type": "string", "format": "int32"}, ["x"], [5]),
        ({"type": "string", "nullable": True}, [None, "x"], [5]),
        ({"type": "string", "nullable": False}, ["x"], [None]),
        ({"type": ["string"], "enum": ["a"], "nullable": True}, [None, "a"], ["b"]),
        ({"const": 5, "nullable": True}, [None, 5], [6]),
        ({"$ref": "#/$defs/a", "nullable": True, "$defs": {"a": {"type": "integer"}}}, [None, 5], ["x"]),
        ({"allOf": [{"type": "object"}], "nullable": True}, [None, {}], [[]]),
        ({"items": [{"type": "string"}], "additionalItems": False}, [["x"], []], [[5], ["x", 1]]),
        ({"items": [{"type": "string"}], "additionalItems": {"type": "integer"}}, [["x", 1]], [["x", "y"]]),
        ({"items": {"type": "string"}, "additionalItems": False}, [["x", "y"]], [[1]]),
        ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, [{"a": 1, "b": 2}], [{"a": 1}, {"c": 1}]),
        ({"minimum": 0, "exclusiveMinimum": True}, [0.1], [0]),
        ({"maximum": 9, "exclusiveMaximum": False}, [9], [10]),
        ({"divisibleBy": 3}, [6], [7]),
    ],
    ids=json.dumps,
)
def test_words_of_other_dialects(schema: Any, valid: list[Any], invalid: list[Any]) -> None:
    for compiled in (Schema(schema), Schema(schema, lenient=True)):
        assert [value for value in valid if not compiled.valid(value)] == []
        assert [value for value in invalid if compiled.valid(value)] == []
    nested = Schema(
        {"type": "object", "properties": {"x": schema}}
        | ({"$defs": schema["$defs"]} if "$defs" in schema else {})
    )
    assert all(nested.valid({"x": value}) for value in valid)
    assert not any(nested.valid({"x": value}) for value in invalid)


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"items": [{"type": "strng"}]}, "/items/0/type"),
        ({"items": [{}], "additionalItems": {"minLength": -1}}, "/additionalItems/minLength"),
        ({"dependencies": {"a": [1]}}, "/dependencies/a/0"),
        ({"nullable": True, "properties": {"a": {"type": "strng"}}}, "/properties/a/type"),
    ],
    ids=json.dumps,
)
def test_mistakes_are_reported_where_they_stand(schema: Any, pointer: str) -> None:
    with pytest.raises(SchemaError) as raised:
        Schema(schema)
    assert raised.value.pointer == pointer


def test_numbers_of_32_bits_are_exact_in_them() -> None:
    schema: dict[str, Any] = {"type": "number", "format": "float"}
    numbers = payloads.draw(payloads.valid(schema), 3, 200)
    assert all(number * 8 == int(number * 8) and abs(number) <= 2**24 for number in numbers)
    assert any(isinstance(number, float) and not number.is_integer() for number in numbers)


def one(schema: Any, *, required: bool = True) -> Catalog:
    params = [
        {"name": "v", "required": required, "schema": schema},
        {"name": "n", "schema": {"type": "integer"}},
    ]
    method = {"name": "thing.do", "x-auth": "none", "x-effect": "read", "params": params}
    return Catalog.parse({"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": [method]})


def test_only_given_texts_stand_for_an_unknown_format() -> None:
    method = one({"type": "string", "format": "colour", "examples": ["red"], "default": "blue"})["thing.do"]
    assert {data["v"] for data in payloads.draw(payloads.valid(method), 1, 60)} == {"red", "blue"}
    assert {case.build()["v"] for case in payloads.boundaries(method) if case.valid} <= {"red", "blue"}


def test_an_optional_text_of_an_unknown_format_is_left_out() -> None:
    method = one({"type": "string", "format": "colour"}, required=False)["thing.do"]
    assert all("v" not in data for data in payloads.draw(payloads.valid(method), 1, 60))


def test_what_is_invalid_for_another_reason_is_sent_all_the_same() -> None:
    method = one({"type": "string", "format": "colour", "maxLength": 7})["thing.do"]
    with pytest.raises(CannotGenerate, match="colour"):
        payloads.draw(payloads.valid(method), 1, 1)
    kinds = {case.kind for case in payloads.boundaries(method)}
    assert {"v left out", "v: longer than 7"} <= kinds
    assert any("number instead of string" in kind for kind in kinds)
    assert any("n: " in kind for kind in kinds)
    assert {"v left out", "v: longer than 7"} <= set(violations(method))


@pytest.mark.parametrize("budget", ["quick", pytest.param("standard", marks=pytest.mark.thorough)])
def test_formats_of_the_wild_are_no_finding(budget: str, tmp_path: Path) -> None:
    with formats.serving(tmp_path) as profile:
        report = judge(profile=profile, rules=RULES, seed=5, budget=budget)
    assert broken(report) == {}
    assert report["errors"] == []
    notes = " ".join(report["notes"])
    assert "shape.phone v (phone)" in notes
    assert "shape.colour v (hex-colour)" in notes


@pytest.mark.parametrize(
    "name",
    [
        "small",
        "medium",
        "octet",
        "count",
        "ratio",
        "nickname",
        "size",
        "colour",
        "phone",
        "price",
        "pair",
        "address",
    ],
)
def test_what_a_format_forbids_and_a_target_lets_pass_is_found(name: str, tmp_path: Path) -> None:
    with formats.serving(tmp_path, [name], lax=[name]) as profile:
        report = judge(profile=profile, rules=["REQ-8", "REQ-9"], seed=5)
    assert set(broken(report)) & {"REQ-8", "REQ-9"}


def test_the_plan_says_what_is_not_known(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with formats.serving(tmp_path, ["colour", "phone"]) as profile:
        assert conform.main(["check", "--profile", str(profile), "--plan", "--rule", "DAT-1"]) == 0
    reported = capfd.readouterr().out
    assert "shape.phone v (phone)" in reported
    assert "for want of examples in the schema: shape.colour v (hex-colour)" in reported


def test_a_body_that_another_verb_leaves_unread_blames_no_other_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who refuses GET without reading its body takes the body for the next request of the connection (SEC-6)."""
    monkeypatch.setattr(formats._Handler, "do_GET", lambda handler: handler._answer(405))
    for verb in ("PUT", "PATCH", "DELETE"):
        monkeypatch.setattr(formats._Handler, f"do_{verb}", lambda handler: handler._answer(405))
    with formats.serving(tmp_path, ["small"]) as profile:
        report = judge(profile=profile, rules=["HTTP-2", "HTTP-3", "HTTP-4", "HTTP-5", "COD-2"], seed=5)
    assert broken(report) == {}
