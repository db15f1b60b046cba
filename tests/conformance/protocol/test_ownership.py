"""What may be sent to functions that write: only what no target could take for an object that the run did not make."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.protocol.ownership import Ownership, UnownedTargetError

_ID = {"type": "integer", "x-ref": "note"}
_NOTE_ID = {"name": "noteId", "required": True, "schema": _ID}
_UUID = "3f2b8c1e-7a54-4d09-9b61-c0ffee123456"


def _function(name: str, effect: str, does: str | None, *params: dict[str, Any], at: str = "noteId") -> Any:
    method: dict[str, Any] = {"name": name, "params": list(params), "x-auth": "session", "x-effect": effect}
    if does:
        method["x-object"] = {"kind": name.partition(".")[0], "does": does, "id": at}
    return method


_CATALOG = Catalog.parse(
    {
        "openrpc": "1.2.6",
        "info": {"title": "notes", "version": "1"},
        "methods": [
            _function(
                "note.add", "write", "create", {"name": "title", "schema": {"type": "string"}}, at="/noteId"
            ),
            _function("note.read", "read", "read", _NOTE_ID),
            _function(
                "note.update", "write", "update", _NOTE_ID, {"name": "title", "schema": {"type": "string"}}
            ),
            _function("note.remove", "delete", "delete", _NOTE_ID),
            _function("note.archive", "write", None, _NOTE_ID),
            _function(
                "label.add",
                "write",
                "create",
                {"name": "noteId", "schema": {"type": ["integer", "null"], "x-ref": "note"}},
                {"name": "all", "schema": {"type": "array", "items": _ID}},
                {
                    "name": "links",
                    "schema": {"type": "array", "items": {"type": "object", "properties": {"noteId": _ID}}},
                },
                at="/labelId",
            ),
            _function(
                "label.remove",
                "delete",
                "delete",
                {"name": "labelId", "required": True, "schema": {"type": "string", "x-ref": "label"}},
                at="labelId",
            ),
        ],
    }
)


@pytest.fixture
def ownership() -> Ownership:
    known = Ownership(_CATALOG)
    for number in range(1, 308):
        known.seen("note", number)
    for number in (306, 307):
        known.made("note", number)
    known.made("label", _UUID)
    known.seen("label", "9d1e0b7c-1111-4d09-9b61-c0ffee123456")
    return known


@pytest.mark.parametrize(
    "value",
    [
        306,
        307,
        "306",
        " 307",
        "306\n",
        306.0,
        306.25,
        306.5,
        "306.5",
        "306abc",
        306 + 2**32,
        "+306",
        10**9,
        -(10**9),
    ],
)
def test_own_objects_and_what_is_far_from_all_others(ownership: Ownership, value: Any) -> None:
    assert ownership.value("note", value) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            5,
            "5",
            " 5",
            "5abc",
            5.7,
            "5.7",
            5 + 2**32,
            5 + 2**64,
            "5e0",
            0,
            -1,
            1,
            "1",
            "0x132",
            "0306",
            "306e1",
            -306,
        ),
        *(
            True,
            False,
            None,
            "",
            " ",
            "true",
            "null",
            "all",
            "*",
            "%",
            "abc",
            "306 OR 1=1",
            "306,5",
            "306;5",
            "\x00306",
        ),
        *([], [5], [306], [306, 5], {}, {"$ne": None}, {"$gt": ""}, {"$eq": 5}, {"$eq": 306}, {"id": 306}),
        *(
            308,
            30,
            "30",
            307.5,
            "3061",
            "5\x00306",
            "５",
            "٥",
            "٣٠٦",
            "３０６",
            1e400,
            float("nan"),
            "Infinity",
            2**31 + 5 - 2**31,
        ),
    ],
)
def test_what_could_be_taken_for_another_object(ownership: Ownership, value: Any) -> None:
    assert ownership.value("note", value) is not None


@pytest.mark.parametrize(
    "value",
    [_UUID, _UUID.upper(), f" {_UUID}", [_UUID], "c81d9a40-7a54-4d09-9b61-c0ffee999999"],
)
def test_own_texts_and_what_is_far_from_all_others(ownership: Ownership, value: Any) -> None:
    assert ownership.value("label", value) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            "3f2b8c1e-7a54-4d09-9b61-c0ffee123457",
            _UUID[:-1],
            _UUID[:8],
            _UUID + "a",
            "9d1e0b7c-1111-4d09-9b61-c0ffee123456",
        ),
        *(
            0,
            9,
            3,
            "9",
            "9d",
            "",
            "%",
            "_" * 36,
            "0e1",
            "null",
            None,
            True,
            [],
            {"$ne": ""},
            f"{_UUID}' OR '1'='1",
            "../x",
        ),
    ],
)
def test_texts_that_could_be_taken_for_another(ownership: Ownership, value: Any) -> None:
    assert ownership.value("label", value) is not None


def test_a_near_one_that_was_looked_up_names_nothing(ownership: Ownership) -> None:
    assert ownership.value("label", _UUID + "a") is not None
    ownership.nothing("label", _UUID + "a")
    assert ownership.value("label", _UUID + "a") is None
    ownership.seen("label", _UUID + "a")
    assert ownership.value("label", _UUID + "a") is not None


def test_nothing_is_known_of_a_kind(ownership: Ownership) -> None:
    assert Ownership(_CATALOG).value("note", 10**9) is not None


def test_nothing_is_the_runs_after_a_reset(ownership: Ownership) -> None:
    ownership.reset()
    assert ownership.value("note", 306) is not None


def _body(method: str, data: Any) -> bytes:
    return json.dumps({"method": method, "data": data}).encode()


_GOOD, _BAD = _body("remove", {"noteId": 306}), _body("remove", {"noteId": "5"})


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("note", _BAD),
        ("NOTE/", _BAD),
        ("n%6fte", _BAD),
        ("..;/note", _BAD),
        ("note", _body("Remove ", {"noteId": 5})),
        ("note", _body("note.remove", {"noteId": 5})),
        ("note", _body("remove\x00x", {"noteId": 5})),
        ("note", b'{"method":"read","method":"remove","data":{"noteId":5}}'),
        ("note", b'{"method":"remove","data":{"noteId":306},"data":{"noteId":5}}'),
        ("note", b'{"method":"remove","data":{"noteId":306,"noteId":5}}'),
        ("note", b'{"method":"remove","Data":{"noteId":5}}'),
        ("note", _body("remove", {"noteId": 306, "note_id": 5})),
        ("note", b'{"method":"remove","noteId":5,"data":{"noteId":306}}'),
        ("note", _body("remove", '{"noteId":5}')),
        ("note", _body("remove", [{"noteId": 5}])),
        ("note", b'[{"method":"remove","data":{"noteId":5}}]'),
        ("note", _body("remove", {})),
        ("note", _body("remove", None)),
        ("note", b'{"method":"remove"}'),
        ("note", _body("remove", "text")),
        ("note?method=remove&noteId=5", b""),
        ("note?method=remove&data=%7B%22noteId%22%3A5%7D", b""),
        ("note", b"method=remove&noteId=5"),
        ("note", b"method=remove&data=%7B%22noteId%22%3A5%7D"),
        ("note/remove?noteId=5", b""),
        ("note", _BAD[:-3]),
        ("note", _GOOD[:-2].replace(b"306", b"30")),
        ("note", _BAD + b" end"),
        ("note", _BAD.replace(b'"', b"'")),
        ("note", _BAD.decode().encode("utf-16")),
        ("note", gzip.compress(_BAD, mtime=0)),
        (
            "note",
            b'{"method":"remove","data":{"noteId":306 /* 5 */,}}{"method":"remove","data":{"noteId":5}}',
        ),
        ("note", b'{"method":"remove","data":{"noteId":0x5}}'),
        ("note", b'{"method":"remove","data":{"noteId":30_6}}'),
        ("note", b'{"method":"remove","data":{"noteId":NaN},}'),
        # Readers that close an open text, and that replace what is not UTF-8.
        ("note", b'{"method":"remove","data":{"noteId":"306\\"}}'),
        ("label", b'{"method":"remove","data":{"labelId":"' + _UUID.encode() + b'\\"}}'),
        ("note", b'{"method":"remove","data\xe0\x80\xaf":{"noteId":306}}'),
        ("note", _body("update", {"noteId": 5, "title": "x"})),
        ("note", _body("archive", {"noteId": 5})),
        ("note", _body("archive", {})),
        ("note", _body("add", {"noteId": 5})),
        ("label", _body("add", {"noteId": 5})),
        ("label", _body("add", {"all": [306, 5]})),
        ("label", _body("add", {"all": 5})),
        ("label", _body("add", {"links": [{"noteId": 306}, {"noteId": "5"}]})),
        ("label", _body("add", {"links": {"0": {"noteId": "5"}}})),
    ],
)
def test_requests_that_are_refused(ownership: Ownership, target: str, body: bytes) -> None:
    assert ownership.request(f"/api/{target}", body) is not None
    with pytest.raises(UnownedTargetError, match=r"^(note|label)\."):
        ownership.check(f"/api/{target}", body)
    assert ownership.refused.total() == 1
    assert "1 call was not sent" in str(ownership.note())


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("note", _GOOD),
        ("note", _body("remove", {"noteId": "306"})),
        ("note", _body("read", {"noteId": "5"})),
        ("note", _body("add", {"title": "x"})),
        ("note", _body("vanished", {"noteId": 5})),
        ("note", _body("remove", '{"noteId":306}')),
        ("note", _GOOD + _GOOD),
        ("note", _GOOD.replace(b'"', b"'")),
        ("note", _GOOD[:-1]),
        ("label", b'{"method":"remove","data":{"labelId":"' + _UUID.encode()),
        ("note", b'{"method":"remove","data":{"noteId":306,"x":"\xff"}}'),
        ("note", b""),
        ("note", b"find courses"),
        ("note", b"\xff\xfe"),
        ("vanished", _BAD),
        ("label?method=add&data=%7B%22all%22%3A%5B306%5D%7D", b""),
        ("label?method=add&all=%5B306%5D", b""),
        ("label", _body("add", {"noteId": None, "all": [306, 307], "links": [{"noteId": 306}]})),
        ("label", _body("add", {})),
        ("label", _body("remove", {"labelId": _UUID})),
        ("label", _body("remove", {"labelId": _UUID, "title": "5", "x": [None, True]})),
    ],
)
def test_requests_that_are_sent(ownership: Ownership, target: str, body: bytes) -> None:
    assert ownership.request(f"/api/{target}", body) is None
    ownership.check(f"/api/{target}", body)
    assert ownership.note() is None


def test_bytes_of_several_requests(ownership: Ownership) -> None:
    head = b"POST /api/note HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (
        ownership.request("", head + b"5\r\n" + _GOOD + b"\r\n0\r\n\r\n" + head + _BAD, raw=True) is not None
    )
    assert ownership.request("", head + _GOOD, raw=True) is None
    assert ownership.request("", head.replace(b"Host", b"Archive") + b"{}", raw=True) is None
    assert ownership.request("", head + b'{"method":"archive"}', raw=True) is not None
    cut = _BAD.replace(b"5", b"30\r\n2\r\n65\r\n")
    assert ownership.request("", head + cut, raw=True) is not None


def test_what_cannot_be_made_may_be_referred_to(ownership: Ownership) -> None:
    ownership.found("note", 5)
    assert ownership.data(_CATALOG["label.add"], {"noteId": 5}) is None
    assert ownership.data(_CATALOG["label.add"], {"noteId": "5 "}) is not None
    assert ownership.data(_CATALOG["note.update"], {"noteId": 5, "title": "x"}) is not None
    assert ownership.data(_CATALOG["note.archive"], {"noteId": 5}) is not None
