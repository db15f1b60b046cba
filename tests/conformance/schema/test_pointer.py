"""Pointers lead where RFC 6901 says, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.schema.pointer import MISSING, Missing, assign, resolve

#: The document of RFC 6901, section 5.
EXAMPLE = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", EXAMPLE),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_rfc(pointer: str, value: Any) -> None:
    assert resolve(EXAMPLE, pointer) == value


def test_tilde_zero_one() -> None:
    assert resolve({"~1": 1, "/": 2}, "/~01") == 1


@pytest.mark.parametrize(
    "pointer",
    [
        "/no",
        "/foo/2",
        "/foo/-",
        "/foo/-1",
        "/foo/01",
        "/foo/²",
        "/foo/١",
        "/foo/0/x",
        "/foo/" + "9" * 5000,
        "//",
    ],
)
def test_nothing_there(pointer: str) -> None:
    assert resolve(EXAMPLE, pointer) is MISSING


@pytest.mark.parametrize("value", [None, 1, "text", True, [], {}])
def test_nothing_in_a_scalar(value: Any) -> None:
    assert resolve(value, "/0") is MISSING
    assert resolve(value, "") == value


def test_null_is_something() -> None:
    assert resolve({"a": None}, "/a") is None
    assert not MISSING
    assert repr(MISSING) == "nothing"
    assert isinstance(MISSING, Missing)


def test_what_is_no_pointer() -> None:
    with pytest.raises(ValueError, match="no JSON pointer"):
        resolve({}, "a")
    with pytest.raises(ValueError, match="no JSON pointer"):
        assign({}, "a", 1)


def test_assign() -> None:
    before = {"a": [1, {"b/c": 2}], "d": 3}
    assert assign(before, "/a/1/b~1c", 9) == {"a": [1, {"b/c": 9}], "d": 3}
    assert assign(before, "/new", 9) == {**before, "new": 9}
    assert assign(before, "/a/0", 9) == {"a": [9, {"b/c": 2}], "d": 3}
    assert assign(before, "", 9) == 9
    assert before == {"a": [1, {"b/c": 2}], "d": 3}


@pytest.mark.parametrize("pointer", ["/x/y", "/a/2", "/a/-", "/a/-1", "/d/e", "/a/1/x/y"])
def test_assign_where_nothing_is(pointer: str) -> None:
    with pytest.raises(LookupError):
        assign({"a": [1, {}], "d": 3}, pointer, 9)
