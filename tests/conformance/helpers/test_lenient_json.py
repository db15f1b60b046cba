"""Which rule forbids a body: decided by its bytes alone, and never for what is JSON or is not decided."""

from __future__ import annotations

import json

import pytest

from conformance.generation.broken_bodies import broken_bodies, lenient_bodies
from conformance.helpers.lenient_json import rule_of

CALLS = (
    b'{"method":"ping","data":{}}',
    '{"method":"find","data":{"query":"å\'s x","n":-12.5,"tags":["a",true,null,{}]}}'.encode(),
)


@pytest.mark.parametrize("call", CALLS)
def test_fixed_bodies_are_of_their_rule(call: bytes) -> None:
    broken, lenient = list(broken_bodies(call, "find")), list(lenient_bodies(call))
    assert {what: rule_of(body) for what, body in broken} == dict.fromkeys(dict(broken), "REQ-4")
    assert {what: rule_of(body) for what, body in lenient} == dict.fromkeys(dict(lenient), "REQ-12")
    assert len(dict(broken)) == len(broken) > 30
    assert len(dict(lenient)) == len(lenient) > 50
    assert len({body for _, body in (*broken, *lenient)}) == len(broken) + len(lenient)


@pytest.mark.parametrize(
    "body",
    [
        *CALLS,
        b"[]",
        b" \r\n\t{ }",
        b"null",
        b"\xef\xbb\xbf{}",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b"[" * 5000 + b"]" * 5000,
        b"[" * 100_000,
        b'{"a":"\\ud800"}',
        b'{"a":1e999,"b":-0,"c":' + b"9" * 6000 + b"}",
        b'{"a":"\\u0000\\/","":"\xef\xbf\xbf\x7f"}',
    ],
)
def test_json_and_what_is_not_decided_break_no_rule(body: bytes) -> None:
    assert rule_of(body) is None


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"\xef\xbb\xbf", "REQ-4"),
        (b"\xef\xbb\xbf{,}", "REQ-12"),
        (b'{"a":1,"a":NaN}', "REQ-12"),
        (b'{"a":1,}', "REQ-4"),
        (b'{"a":[1,,]}', "REQ-12"),
        (b"NaN", "REQ-4"),
        (b"{}{}", "REQ-4"),
        (b"[{]}", "REQ-4"),
        (b'{"a":1 "b":2}', "REQ-12"),
        (b'{"a" "b"}', "REQ-4"),
        (b'{"a":}', "REQ-4"),
        (b'{"a":1', "REQ-4"),
        (b"{'a':1}", "REQ-4"),
        (b'{"a":"\\"}', "REQ-4"),
        ('{"a":1}\x00'.encode("utf-16-le")[:-1], "REQ-4"),
        (json.dumps({"a": "å"}, ensure_ascii=False).encode("latin-1"), "REQ-4"),
        (json.dumps({"a": "å"}).encode("utf-32"), "REQ-12"),
    ],
)
def test_other_bodies(body: bytes, rule: str) -> None:
    assert rule_of(body) == rule
