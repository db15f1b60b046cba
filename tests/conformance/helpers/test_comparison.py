"""Equality of JSON values, whose quick decision agrees with their canonical forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.helpers.comparison import canonical, equal


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, {"a": True}], [1.0, {"a": True}], True),
        ([1, {"a": True}], [1, {"a": 1}], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("\ud800", "\ud800", True),
        (10**30, 1e30, False),
        (2**70, float(2**70), True),
        (math.inf, math.inf, True),
        (math.inf, None, False),
        ([], {}, False),
        ("", None, False),
    ],
)
def test_equal(first: Any, second: Any, same: bool) -> None:
    assert equal(first, second) is equal(second, first) is same


values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 0.0, 1.0, -0.0, 2**70, float(2**70), "", "a", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)


@given(values, values)
@settings(max_examples=300, deadline=None)
def test_values_are_equal_where_their_canonical_forms_are(first: Any, second: Any) -> None:
    assert equal(first, second) is (canonical(first) == canonical(second))
    assert equal(first, first)
