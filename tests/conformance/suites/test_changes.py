"""Values that a change replaces: what was left out must not stay, but a target may add defaults."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.suites.test_changes import left_behind, with_one_less

BEFORE = {
    "name": "conform-1-1",
    "depotId": "conform-1-2",
    "unit": "standard",
    "isOpen": True,
    "at": {"street": "conform-1-3"},
}


@pytest.mark.parametrize(
    ("new", "got", "stayed"),
    [
        ({"name": "b"}, {"name": "b"}, []),
        ({"name": "b"}, {"name": "b", "depotId": "conform-1-2"}, ["depotId"]),
        ({"name": "b"}, {"name": "b", "at": {"street": "conform-1-3"}}, ["at"]),
        ({"at": {}}, {"at": {"street": "conform-1-3"}}, ["street"]),
        ({"name": "b"}, {"name": "b", "unit": "standard", "isOpen": True, "depotId": None}, []),
        ({"name": "b"}, {"name": "b", "depotId": "conform-1-9"}, []),
        (None, BEFORE, []),
    ],
)
def test_what_stays_of_a_replaced_value(new: Any, got: Any, stayed: list[str]) -> None:
    assert list(left_behind(BEFORE, new, got)) == stayed


def test_one_member_less() -> None:
    assert list(with_one_less({"a": 1, "b": {"c": 2}})) == [{"b": {"c": 2}}, {"a": 1}, {"a": 1, "b": {}}]
    assert list(with_one_less([1])) == []
