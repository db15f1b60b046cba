"""The same seed draws the same values; searches shrink within their budget."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conformance.generation import payloads
from conformance.generation.payloads import draw, smallest
from conformance.schema.validation import Schema
from tests.support.payload_schemas import (
    ADDRESS,
    ROOT,
    SCHEMAS,
    SHAPES,
    TREE,
    catalogue,
    refs,
    wrapped,
)


def test_the_same_seed_gives_the_same() -> None:
    strategy = payloads.valid(catalogue()["course.add"], refs)
    assert draw(strategy, 5, 30) == draw(strategy, 5, 30)
    assert draw(strategy, 5, 30) != draw(strategy, 6, 30)
    assert draw(strategy, 5, 0) == []


_SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, {root!r})
from tests.conformance.generation.test_drawing import fingerprint
print(fingerprint())
"""


def fingerprint() -> str:
    """Return the digest of much that is generated."""
    digest = hashlib.sha256()
    from conformance.generation import malformed

    for schema in SCHEMAS:
        digest.update(repr(draw(payloads.valid(schema), 7, 15)).encode("utf-8", "surrogatepass"))
    method = catalogue()["lesson.add"]
    digest.update(repr(draw(payloads.invalid_data(method, refs), 7, 60)).encode("utf-8", "surrogatepass"))
    for case in payloads.boundaries(wrapped(ADDRESS)):
        digest.update(repr((case, case.build())).encode("utf-8", "surrogatepass"))
    digest.update(repr(draw(payloads.any_json(), 7, 60)).encode("utf-8", "surrogatepass"))
    digest.update(repr(draw(malformed.any_bytes(b'{"method":"x"}'), 7, 60)).encode())
    return digest.hexdigest()


def test_the_same_in_any_process() -> None:
    """Whatever the seed of hashes, and whichever modules are loaded."""
    # Sets have another order there than here: no two seeds of hashes order the same.
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(root=str(ROOT))],
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == fingerprint()


def test_the_smallest_is_found_within_the_budget() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 0, "maximum": 10_000},
            "b": {"type": "string", "maxLength": 20},
            "c": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 5},
        },
        "required": ["a"],
    }
    calls: list[Any] = []

    def predicate(value: Any) -> bool:
        calls.append(value)
        return bool(value["a"] > 500 and "c" in value)

    assert smallest(payloads.valid(schema), predicate, 1, 2000, 20) == {"a": 501, "c": []}
    assert len(calls) <= 2000
    calls.clear()
    found = smallest(payloads.valid(schema), predicate, 1, 60, 20)
    assert found is not None
    assert found["a"] > 500
    assert len(calls) <= 60


def test_nothing_is_found_where_there_is_nothing() -> None:
    calls: list[int] = []
    strategy = payloads.valid({"type": "integer"})
    assert smallest(strategy, lambda value: bool(calls.append(value)), 1, 30, 5) is None  # type: ignore[func-returns-value]
    assert 0 < len(calls) <= 30
    assert smallest(strategy, lambda value: True, 1, 30, 0) is None


def test_what_a_predicate_raises_is_raised() -> None:
    def fails(value: int) -> bool:
        raise OSError("the target is gone")

    with pytest.raises(OSError, match="gone"):
        smallest(payloads.valid({"type": "integer"}), fails, 1, 30, 5)


def test_a_predicate_that_holds_now_and_then() -> None:
    rng = random.Random(1)
    found = smallest(
        payloads.valid({"type": "integer"}), lambda value: value > 5 and rng.random() < 0.5, 1, 200, 5
    )
    assert found is not None
    assert found > 5


def test_strategies_are_hypothesis_own() -> None:
    """They work in tests of Hypothesis, whose provider of choices is another."""

    @hypothesis.settings(max_examples=40, database=None, deadline=None, derandomize=True)
    @hypothesis.given(payloads.valid(SHAPES), payloads.invalid_data(wrapped(ADDRESS)), st.data())
    def holds(value: Any, invalid: payloads.InvalidData, data: st.DataObject) -> None:
        assert Schema(SHAPES).valid(value)
        assert not Schema(wrapped(ADDRESS)).valid(invalid.data)
        assert Schema(TREE).valid(data.draw(payloads.valid(TREE)))

    holds()


def test_without_what_lies_below_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should Hypothesis change inside, its public face does."""
    from conformance.generation import drawing

    monkeypatch.setattr(drawing, "_direct", lambda: False)
    monkeypatch.setattr(drawing, "_backend", lambda: "hypothesis")
    for schema in (SHAPES, TREE, {"type": "integer", "minimum": -5, "maximum": 5}):
        compiled = Schema(schema)
        values = draw(payloads.valid(compiled), 1, 20)
        assert len(values) >= 5
        assert all(compiled.valid(value) for value in values)
