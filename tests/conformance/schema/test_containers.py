"""The visit of objects and arrays agrees with `Schema.walk`, whatever was visited before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.schema.containers import MAX_REMEMBERED_NAMES, ContainerWalk, pointer_to
from conformance.schema.validation import Schema

SCHEMAS: list[Any] = [
    True,
    {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "array"}}}},
    {
        "properties": {"a": {"$ref": "#/$defs/node"}, "b": {"items": {"$ref": "#/$defs/node"}}},
        "$defs": {
            "node": {"additionalProperties": {"$ref": "#/$defs/node"}, "allOf": [{"minProperties": 0}]}
        },
    },
    {"prefixItems": [{"title": "first"}, {"title": "second"}], "items": {"title": "rest"}},
    {
        "anyOf": [
            {"required": ["a"], "properties": {"a": {"title": "A"}}},
            {"required": ["b"], "additionalProperties": {"title": "B"}},
        ]
    },
    {
        "items": {
            "if": {"required": ["a"]},
            "then": {"properties": {"a": {"title": "then"}}},
            "else": {"title": "E"},
        }
    },
    {
        "dependentSchemas": {"a": {"properties": {"b": {"title": "dependent"}}}},
        "patternProperties": {"^b": {"title": "P"}},
    },
]

values = st.recursive(
    st.none() | st.integers(0, 1) | st.just("a"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c/d", "~"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("number", range(len(SCHEMAS)))
@given(several=st.lists(values, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_containers_have_the_schemas_that_walk_finds(number: int, several: list[Any]) -> None:
    schema = Schema(SCHEMAS[number], lenient=True)
    walk = ContainerWalk(schema)
    for value in several:
        expected = [found for found in schema.walk(value) if isinstance(found[2], dict | list)]
        found = [(pointer_to(place), parts, item) for place, parts, item in walk.visit(value)]
        assert found == expected


def test_keys_of_maps_are_not_remembered_without_end() -> None:
    walk = ContainerWalk(Schema({"additionalProperties": {"additionalProperties": True}}, lenient=True))
    data: dict[str, Any] = {f"key{number}": {"x_y": {}} for number in range(MAX_REMEMBERED_NAMES + 100)}
    assert len(list(walk.visit(data))) == 2 * len(data) + 1
    assert len(walk._root.members) <= MAX_REMEMBERED_NAMES
