"""Damaged bodies: every kind is made, few are still good, and the same seed breaks alike."""

from __future__ import annotations

import json

import pytest

from conformance.generation.malformed import MUTATIONS, any_bytes, malformed
from conformance.generation.payloads import draw
from conformance.protocol.strict_json import read_json

CALL = '{"method":"find","data":{"query":"å x","n":12,"tags":["a",true,null]},"pageStart":0}'.encode()

#: Kinds that leave one JSON text behind, always or at times; no others do.
STILL_JSON = {
    "a huge number",
    "many digits behind the point",
    "an odd name",
    "a value of another type",
    "deep arrays",
    "deep objects",
    "a long string",
    "a long name",
    "unpaired surrogate, escaped",
    "U+0000, escaped",
    "past the last character",
    "control character",
    "noncharacters",
    "wrapped",
    "much white space",
    "as one string",
    "another text",
    "another language",
    "no JSON constant",
    "punctuation swapped",
    "punctuation lost",
    "quote not escaped",
    "an escape that is none",
    "backslash at the end",
    "beginning cut off",
    "a bit flipped",
    "a byte lost",
    "a byte more",
    "a part moved",
    "a part repeated",
    "any bytes",
    "UTF-7",
}


def test_every_kind_is_made() -> None:
    kinds = {damaged.kind.split(", then ")[0] for damaged in draw(any_bytes(CALL), 1, 1500)}
    assert kinds == set(MUTATIONS)
    assert len(MUTATIONS) > 60


def test_only_some_kinds_leave_json_behind() -> None:
    for kind, body in draw(any_bytes(CALL), 2, 2500):
        if ", then " not in kind and kind not in STILL_JSON:
            assert read_json(body).error is not None, (kind, body[:200])


def test_most_bodies_are_no_json() -> None:
    drawn = draw(any_bytes(CALL), 3, 600)
    assert sum(read_json(damaged.body).error is not None for damaged in drawn) > 400


@pytest.mark.parametrize("call", [b"", b"{}", b"[]", b"null", b'"x"', b'{"a":[]}', "ö".encode(), b"\xff"])
def test_any_call_can_be_damaged(call: bytes) -> None:
    for damaged in draw(any_bytes(call), 4, 300):
        assert isinstance(damaged.body, bytes)
        assert len(damaged.body) < 1024 * 1024


def test_the_same_seed_breaks_alike() -> None:
    assert draw(any_bytes(CALL), 5, 80) == draw(any_bytes(CALL), 5, 80)


def test_damages_are_what_they_say() -> None:
    bodies: dict[str, set[bytes]] = {}
    for kind, body in draw(any_bytes(CALL), 6, 3000):
        bodies.setdefault(kind, set()).add(body)
    assert bodies["empty"] == {b""}
    assert all(body.startswith(b"\x1f\x8b") for body in bodies["gzip"])
    assert all(body.decode("utf-16") for body in bodies["UTF-16"])
    assert any(body.startswith(b"\xef\xbb\xbf") for body in bodies["byte-order mark"])
    assert any(b"1e400" in body for body in bodies["a huge number"])
    assert any(b"[" * 10_000 in body for body in bodies["deep arrays"])
    assert all("twice" in (read_json(body).error or "") for body in bodies["a member twice"])
    assert all(b"NaN" not in body or not read_json(body).value for body in bodies["no JSON constant"])
    for body in bodies["cut anywhere"]:
        with pytest.raises(ValueError):  # noqa: PT011
            json.loads(body)


def test_one_way_of_damage_is_drawn_alone() -> None:
    drawn = draw(malformed(CALL, "cut within a character"), 7, 3)
    assert {each.kind for each in drawn} == {"cut within a character"}
    assert all(len(each.body) < len(CALL) for each in drawn)
