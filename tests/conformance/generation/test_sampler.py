"""Samples are valid and ordinary, and the same for the same seed."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conformance.generation.errors import CannotGenerate
from conformance.generation.sampler import Sampler
from conformance.schema.validation import Schema
from tests.support.random_schemas import schemas
from tests.support.sample_schemas import IDS, SCHEMAS

settings = hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)


def sampler(seed: int = 7) -> Sampler:
    count = iter(range(1, 10**9))
    return Sampler(random.Random(seed), lambda: f"conform-1a2b-{next(count)}", lambda kind: 17)


@pytest.mark.parametrize("optional", ["none", "all", "some"])
@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_samples_are_valid(schema: Any, optional: Any) -> None:
    judge = Schema(schema)
    for seed in range(6):
        maker = sampler(seed)
        for _ in range(4):
            value = maker.sample(schema, optional=optional)
            assert judge.valid(value), value
            assert judge.valid(json.loads(json.dumps(value)))


@pytest.mark.parametrize("schema", SCHEMAS, ids=IDS)
def test_the_same_seed_gives_the_same_samples(schema: Any) -> None:
    one, two = (
        [maker.sample(schema, optional="some") for _ in range(5)] for maker in (sampler(3), sampler(3))
    )
    assert json.dumps(one) == json.dumps(two)


PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "email": {"type": "string", "format": "email"},
        "born": {"type": ["string", "null"], "format": "date"},
        "courseId": {"type": "string", "x-ref": "course"},
        "friends": {"type": "array", "items": {"type": "integer", "x-ref": "user"}},
    },
    "required": ["name"],
}


def test_optional_members_are_there_as_asked() -> None:
    maker = sampler()
    maker.resolve = {"course": "c1", "user": 5}.__getitem__
    assert set(maker.sample(PERSON)) == {"name"}
    whole = maker.sample(PERSON, optional="all")
    assert set(whole) == set(PERSON["properties"])
    assert whole["courseId"] == "c1"
    assert set(whole["friends"]) == {5}
    assert whole["born"] is not None
    seen = {frozenset(maker.sample(PERSON, optional="some")) for _ in range(60)}
    assert len(seen) > 5


def test_free_text_carries_the_tag() -> None:
    maker = sampler()
    assert maker.sample({"type": "string"}) == "conform-1a2b-1"
    assert maker.sample({"type": "string", "maxLength": 6}) == "x1a2b-2"[-6:]
    assert maker.sample({"type": "string", "minLength": 20}).startswith("conform-1a2b-3-xxx")
    assert maker.sample({"type": "string", "format": "email"}) == "conform-1a2b-4@example.com"
    assert maker.sample({"type": "string", "pattern": "^[a-z0-9-]+$"}) == "conform-1a2b-5"
    assert maker.sample({"type": "string", "pattern": "^[A-Z0-9]+$"}) == "CONFORM1A2B6"
    assert maker.sample({"type": "string", "format": "uri"}) == "https://example.com/conform-1a2b-7"


def test_texts_are_distinguished() -> None:
    maker = sampler()
    for schema in (
        {"type": "string"},
        {"type": "string", "maxLength": 5},
        {"type": "string", "format": "email"},
    ):
        values = [maker.sample(schema) for _ in range(200)]
        assert len(set(values)) == 200


def test_values_are_plain() -> None:
    maker = sampler()
    for schema in SCHEMAS:
        for _ in range(5):
            stack = [maker.sample(schema, optional="all")]
            while stack:
                value = stack.pop()
                if isinstance(value, str):
                    assert value == value.strip()
                    assert value.isprintable()
                elif isinstance(value, float):
                    assert len(repr(value).partition(".")[2]) <= 4
                elif isinstance(value, dict):
                    stack += value.values()
                elif isinstance(value, list):
                    stack += value
    for name, form in (("date-time", r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"), ("email", r"[a-z0-9-]+@[a-z.]+")):
        assert re.fullmatch(form, maker.sample({"type": "string", "format": name}))


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        (False, "false"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "maxLength"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "minimum"),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "minimum"),
        ({"enum": []}, "enum"),
        ({"type": "string", "enum": [1]}, "enum"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, "pattern"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "maxItems"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "required"),
        ({"type": "object", "required": ["a"], "properties": {"a": False}}, "required"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "$ref"),
        ({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}, "$ref"),
        ({"type": "string", "format": "email", "maxLength": 3}, "format"),
        ({"type": "string", "x-ref": "course"}, "type"),
        ({"type": "integer", "not": {"type": "number"}}, "type"),
    ],
    ids=str,
)
def test_what_cannot_be_made_names_the_keyword(schema: Any, keyword: Any) -> None:
    with pytest.raises(CannotGenerate) as caught:
        sampler().sample(schema)
    assert caught.value.keyword == keyword
    assert str(caught.value).startswith(keyword)


def test_examples_help_where_a_pattern_is_too_hard() -> None:
    hard = {"type": "string", "pattern": "^(?=.*7)(?=.*Q)(?=.*-)\\p{Lu}[0-9A-Z-]{5}$", "examples": ["Q7-ABC"]}
    assert sampler().sample(hard) == "Q7-ABC"
    named = {"type": "string", "format": "currency", "examples": ["SEK"]}
    assert sampler().sample(named) == "SEK"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "boolean"}, True),
        ({"type": "boolean"}, False),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": [1, 2]}, 2.0),
        ({"type": "integer", "minimum": 1, "maximum": 2}, 1),
        ({"type": "string"}, "x"),
        ({"type": ["boolean", "null"]}, True),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"enum": [0, False]}, 0),
    ],
    ids=str,
)
def test_another_value_is_another(schema: Any, value: Any) -> None:
    other = sampler().other_than(schema, value)
    assert Schema(schema).valid(other)
    assert (type(other), other) != (type(value), value)


def test_nothing_else_is_reported() -> None:
    with pytest.raises(CannotGenerate, match="const"):
        sampler().other_than({"const": 5}, 5.0)


@settings
@hypothesis.given(schemas, st.integers(0, 10**6), st.sampled_from(["none", "all", "some"]))
def test_whatever_the_schema_samples_are_valid(schema: Any, seed: Any, optional: Any) -> None:
    try:
        value = sampler(seed).sample(schema, optional=optional)
    except CannotGenerate:
        hypothesis.reject()
    assert Schema(schema).valid(json.loads(json.dumps(value)))
