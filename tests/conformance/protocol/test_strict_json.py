"""Reading JSON strictly: what is read, what is refused, and why."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.protocol.exchange import Exchange, Request, Response
from conformance.protocol.strict_json import _read_fast, _read_slowly, read_json
from tests.support.events import json_of

# JSON


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b" \t\r\n[1]\n ", [1]),
        (b"null", None),
        (b'"\xc3\xa5\xf0\x9f\x98\x80"', "å😀"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\ud800"', "\ud800"),
        (b'"\\udc00\\ud800"', "\udc00\ud800"),
        (b'"\\u0000\\/"', "\0/"),
        (b'"\x7f\xe2\x80\xa8"', "\x7f\u2028"),
        (b"-0", 0),
        (b"1e400", float("inf")),
        (b"1.0", 1.0),
        (b'{"a":{"a":1}}', {"a": {"a": 1}}),
        (b'{"":1," ":2}', {"": 1, " ": 2}),
        (b"9" * 4000, 10**4000 - 1),
    ],
)
def test_json(body: bytes, value: Any) -> None:
    read = read_json(body)
    assert read.error is None
    assert read.value == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b" ", "character"),
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        ("{}".encode("utf-16"), "byte-order mark"),
        ("{}".encode("utf-16-le"), "character"),
        (b'"\xff"', "not UTF-8: byte 0xff at offset 1"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\xaf"', "not UTF-8"),
        (b'"\xc3', "not UTF-8"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b'{"a":1,"a":1}', "'a' appears twice"),
        (b'{"a":1,"\\u0061":1}', "'a' appears twice"),
        (b'[{"b":{"a":1,"a":{}}}]', "'a' appears twice"),
        (b"{} {}", "Extra data"),
        (b"{}x", "Extra data"),
        (b"{}\0", "Extra data"),
        (b"\x0b{}", "character"),
        ("\u00a0{}".encode(), "character"),
        (b"{}\x0c", "Extra data"),
        (b"{'a':1}", "character"),
        (b'{"a":1,}', "character"),
        (b"[1,]", "character"),
        (b'{"a"}', "character"),
        (b'"\t"', "control character"),
        (b'"\\x41"', "escape"),
        (b'"\\ud8"', "escape"),
        (b"01", "Extra data"),
        (b"+1", "character"),
        (b".5", "character"),
        (b"1.", "Extra data"),
        ("١".encode(), "character"),
        ("1١".encode(), "Extra data"),
        (b"True", "character"),
        (b"nul", "character"),
        (b"// x\n{}", "character"),
        (b'"a', "Unterminated"),
        (b"[" * 200, "character"),
    ],
)
def test_not_json(body: bytes, why: str) -> None:
    read = read_json(body)
    assert read.error is not None
    assert why.lower() in read.error.lower()
    assert read.value is None


@pytest.mark.parametrize("digits", [4300, 4301, 10_000, 200_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_long_integers(digits: int, sign: bytes) -> None:
    begun = time.process_time()
    read = read_json(b'{"a":[' + sign + b"7" * digits + b"]}")
    assert read.error is None
    assert isinstance(read.value["a"][0], int | float)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "body", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
)
def test_depth(body: bytes) -> None:
    exchange = Exchange(Request("POST", "http://h/", (), b""), Response(200, (), body))
    assert exchange.json.error == "nested too deep to read"
    assert exchange.envelope is None
    assert json_of(exchange.record())["response"]["body"].startswith(("[[[", '{"a":{"a"'))


def test_a_long_member_name_is_not_repeated_whole() -> None:
    name = b'"' + b"n" * 100_000 + b'":1'
    assert len(read_json(b"{" + name + b"," + name + b"}").error or "") < 200


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read = read_json(body)
    if read.error is None:
        assert json.loads(body.decode()) == read.value or read.value != read.value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_is_json_is_read(value: Any, spaced: bool) -> None:
    body = json.dumps(value, indent=1 if spaced else None).encode()
    assert read_json(body).value == value
    assert read_json(body + b"!").error is not None


#: Parts that are mistaken most easily: quotation marks and colons in strings, names that differ in their escapes alone.
awkward_texts = st.lists(
    st.sampled_from(["a", "b", ":", '"', "\\", " ", "\n", "{", "}", ",", "é", "\u2028", "\ud800", "\0"]),
    max_size=4,
).map("".join)
awkward_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | awkward_texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(st.tuples(awkward_texts, inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def written(value: Any, colon: str) -> str:
    """Write a value as JSON; a tuple of pairs is an object, which may have a name twice."""
    if isinstance(value, tuple):
        members = (f"{json.dumps(name)}{colon}{written(item, colon)}" for name, item in value)
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(written(item, colon) for item in value)}]"
    return json.dumps(value)


@given(
    awkward_values,
    st.sampled_from([":", ": ", " :", "\t\n:\r"]),
    st.integers(0, 200),
    st.integers(0, 2),
    st.sampled_from(
        [b"", b'"', b":", b",", b"\\", b"\xff", b'"a":1,', b"0", b"e9", b"\x0b", b"\xef\xbb\xbf"]
    ),
)
@settings(max_examples=400, deadline=None)
def test_the_fast_reader_reads_as_the_slow_one(
    value: Any, colon: str, place: int, removed: int, inserted: bytes
) -> None:
    body = written(value, colon).encode()
    for text in (body, body[:place] + inserted + body[place + removed :]):
        slow = _read_slowly(text)
        fast = _read_fast(text)
        if fast is not None:
            assert slow.error is None
            assert repr(fast.value) == repr(slow.value)


@pytest.mark.parametrize(
    ("body", "fast"),
    [
        (b'{"a":{"b":[1,"10:30","x"]},"c":[{"a":1}]}', True),
        (b'{ "a" : 1 ,\n"b"\t:\r2}', True),
        (b'{"a":1,"a":2}', False),
        (b'{"a":1,"\\u0061":2}', False),
        (b'{"a" :1,"a" :2}', False),
        (b'{"a":":","a":1}', False),
        (b'{"a":1e999}', False),
        (b'"\\ud800"', False),
        (b"[" * 251 + b"]" * 251, False),
        (b"[" * 250 + b"]" * 250, True),
    ],
)
def test_what_the_fast_reader_leaves_to_the_slow_one(body: bytes, fast: bool) -> None:
    assert (_read_fast(body) is not None) is fast


def test_the_fast_reader_collects_all_names() -> None:
    assert read_json(b'{"a":{"b":[{"c":1},[{"d":{}}]]},"b":"e"}').names == frozenset("abcd")
