"""Random schemas, for tests of the generator with Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def bounds(low: str, high: str, largest: int) -> Any:
    pair = st.tuples(st.integers(0, largest), st.integers(0, largest)).map(sorted)
    both = pair.map(lambda edges: {low: edges[0], high: edges[1]})
    return st.one_of(st.just({}), both, pair.map(lambda e: {low: e[0]}), pair.map(lambda e: {high: e[1]}))


numbers = st.builds(
    lambda kind, edges, step: {"type": kind, **edges, **step},
    st.sampled_from(["integer", "number"]),
    st.one_of(bounds("minimum", "maximum", 50), bounds("exclusiveMinimum", "exclusiveMaximum", 50)),
    st.sampled_from([{}, {"multipleOf": 1}, {"multipleOf": 0.5}, {"multipleOf": 3}]),
)
texts = st.builds(
    lambda edges, more: {"type": "string", **edges, **more},
    bounds("minLength", "maxLength", 40),
    st.sampled_from(
        [{}, {}, {"pattern": "^[a-z]*$"}, {"pattern": "[0-9]"}, {"format": "email"}, {"format": "uri"}]
    ),
)
leaves = st.one_of(
    numbers,
    texts,
    st.sampled_from(
        [{"type": "boolean"}, {"enum": ["a", "b", 1]}, {"const": 5}, {"type": ["integer", "null"]}, {}]
    ),
)


def containers(inner: Any) -> Any:
    arrays = st.builds(
        lambda items, edges, unique: {"type": "array", "items": items, **edges, **unique},
        inner,
        bounds("minItems", "maxItems", 4),
        st.sampled_from([{}, {"uniqueItems": True}]),
    )
    objects = st.builds(
        lambda members, needed, more: {
            "type": "object",
            "properties": members,
            "required": [name for name in members if name in needed],
            **more,
        },
        st.dictionaries(st.sampled_from(["a", "b", "cD", "e/f"]), inner, max_size=3),
        st.sets(st.sampled_from(["a", "b", "cD", "e/f"])),
        st.sampled_from([{}, {"additionalProperties": False}, {"minProperties": 1}]),
    )
    maps = inner.map(lambda schema: {"type": "object", "additionalProperties": schema})
    either = st.lists(inner, min_size=2, max_size=3).map(lambda branches: {"anyOf": branches})
    both = st.lists(inner, min_size=2, max_size=2).map(lambda branches: {"allOf": branches})
    return st.one_of(arrays, objects, maps, either, both)


schemas = st.recursive(leaves, containers, max_leaves=6)
