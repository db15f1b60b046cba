"""Values in messages are JSON: `true` and `null`, never Python's spelling of them."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING
from conformance.schema.validation import Schema

SUITES = Path(__file__).resolve().parent.parent.parent.parent / "conformance"
#: What may stand with Python's quotes: names, paths and spellings that are texts in any case.
TEXTS = {"function.auth", "name", "spelt", "target", "user", "owner"}


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        (True, "true"),
        (None, "null"),
        ({"a": [False, None]}, '{"a": [false, null]}'),
        ("å'\"", '"å\'\\""'),
        (MISSING, "nothing"),
        (b"<h1>\xff", '"<h1>\\\\xff"'),
        ("\ud800", '"\\ud800"'),
        (1e400, "Infinity"),
    ],
)
def test_values_are_json(value: Any, reported: str) -> None:
    assert as_json(value) == reported


def test_long_values_are_cut_with_their_length() -> None:
    reported = as_json("x" * 1000, 120)
    assert "… " not in reported
    assert reported.endswith("(1000 characters)")
    assert len(reported) <= 140


@pytest.mark.parametrize("value", [{"a": math.inf, "b": None}, {"a": math.inf, "b": True}])
def test_departures_that_the_slow_validator_finds_are_json(value: Any) -> None:
    schema = Schema({"properties": {"b": {"type": "string"}}}, lenient=True)
    ((pointer, keyword, message),) = schema.errors(value)
    assert (pointer, keyword) == ("/b", "type")
    assert "None" not in message
    assert "True" not in message


def quoted(tree: ast.AST) -> Iterator[str]:
    """Yield what findings show as Python spells it: the expressions with !r of the words in which a rule is judged."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        for keyword in call.keywords:
            if keyword.arg in ("expected", "actual", "because", "message"):
                for part in ast.walk(keyword.value):
                    if isinstance(part, ast.FormattedValue) and part.conversion == ord("r"):
                        yield ast.unparse(part.value)
                    elif (
                        isinstance(part, ast.Call)
                        and isinstance(part.func, ast.Name)
                        and part.func.id == "repr"
                    ):
                        yield ast.unparse(part)


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.py")), ids=lambda path: path.stem)
def test_findings_show_no_value_as_python_spells_it(path: Path) -> None:
    assert [shown for shown in quoted(ast.parse(path.read_text("utf-8"))) if shown not in TEXTS] == []
