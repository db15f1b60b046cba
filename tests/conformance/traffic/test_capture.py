"""Captures are read as their tools write them, and only the target's own exchanges are taken."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.errors import UsageError
from conformance.traffic.capture import Capture, read_capture
from conformance.traffic.recorded import Gap, Recorded, is_masked
from tests.support.captures import BASE, answer, entry, write_har

BODY = json.dumps(answer(200, {"courses": []}))


def read(tmp_path: Path, *entries: Any, target: str | None = None) -> Capture:
    return read_capture([write_har(tmp_path / "a.har", entries)], target)


def only(tmp_path: Path, *entries: Any) -> Recorded:
    (recorded,) = read(tmp_path, *entries, target=BASE).exchanges
    return recorded


def test_an_exchange_has_what_the_rules_read(tmp_path: Path) -> None:
    recorded = only(tmp_path, entry(data={"courses": []}, more={"pageLength": 2}, connection="443"))
    assert recorded.function == "course.find"
    assert recorded.call == {"method": "find", "pageLength": 2}
    assert recorded.exchange.data == {"courses": []}
    assert recorded.exchange.status == 200
    assert recorded.token == "5f2c9a7e41d84b06"
    assert recorded.connection == "443"
    assert recorded.exchange.seconds == pytest.approx(0.004)
    assert recorded.at == pytest.approx(1_795_428_000.0)
    assert recorded.gaps == {Gap.BYTES}


def test_the_target_is_where_most_calls_go(tmp_path: Path) -> None:
    page = entry(url="https://app.example.test/", verb="GET", body="<html></html>")
    statistics = [entry(url="https://stats.example.test/collect", body="{}") for _ in range(5)]
    capture = read(tmp_path, page, *statistics, entry(), entry("user.find"))
    assert capture.base_url == BASE
    assert [each.function for each in capture.exchanges] == ["course.find", "user.find"]
    assert capture.others == {"https://stats.example.test": 5, "https://app.example.test": 1}


def test_the_target_may_be_named(tmp_path: Path) -> None:
    entries = [entry(), entry(), entry("user.find", url="https://other.example.test/x/user")]
    capture = read(tmp_path, *entries, target="HTTPS://Other.example.test:443/x")
    assert [each.function for each in capture.exchanges] == ["user.find"]


def test_the_exchanges_are_in_the_order_of_their_time(tmp_path: Path) -> None:
    capture = read(tmp_path, entry("b.b", at=2), entry("a.a", at=1), entry("c.c", at=61))
    assert [each.function for each in capture.exchanges] == ["a.a", "b.b", "c.c"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"_fromCache": "disk"}, "cache"),
        ({"response": {"status": 0, "content": {}}}, "no response"),
        ({"response": None}, "no response"),
        ({"response": {"status": 101}}, "WebSockets"),
    ],
)
def test_what_the_target_did_not_answer_is_counted(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    capture = read(tmp_path, entry(), {**entry(), **change})
    assert len(capture.exchanges) == 1
    (counted,) = capture.passed
    assert reason in counted


def test_a_preflight_is_counted(tmp_path: Path) -> None:
    preflight = entry(verb="OPTIONS", status=204, body="")
    preflight["request"]["headers"] = [{"name": "access-control-request-method", "value": "POST"}]
    capture = read(tmp_path, preflight, entry())
    assert capture.passed == {"CORS preflights": 1}


# --- what tools write in their own way


def test_a_body_in_base64_is_decoded(tmp_path: Path) -> None:
    coded = entry()
    text = base64.b64encode(BODY.encode()).decode()
    coded["response"]["content"] = {"size": len(BODY), "encoding": "base64", "text": text}
    recorded = only(tmp_path, coded)
    assert recorded.exchange.data == {"courses": []}
    assert Gap.RESPONSE_BODY not in recorded.gaps


@pytest.mark.parametrize(
    "content",
    [
        {"size": 41, "mimeType": "application/json"},  # Chrome, after the page has gone
        {"size": -1, "mimeType": "application/json"},  # Playwright with content: omit
        {"size": 41, "mimeType": "application/json", "text": ""},  # Firefox, bodies not saved
        {"size": 4100, "mimeType": "application/json", "text": '{"isError":fal'},
        {"size": 41, "mimeType": "application/json", "text": None},
        None,
    ],
)
def test_a_missing_body_is_not_an_empty_one(content: Any, tmp_path: Path) -> None:
    lacking = entry()
    lacking["response"]["content"] = content
    assert Gap.RESPONSE_BODY in only(tmp_path, lacking).gaps


def test_an_empty_body_is_one(tmp_path: Path) -> None:
    empty = entry(status=500, body="")
    recorded = only(tmp_path, empty)
    assert Gap.RESPONSE_BODY not in recorded.gaps
    assert recorded.exchange.json.error == "the body is empty"


def test_a_body_that_was_not_recorded_of_a_request(tmp_path: Path) -> None:
    lacking = entry()
    del lacking["request"]["postData"]
    recorded = only(tmp_path, lacking)
    assert Gap.REQUEST_BODY in recorded.gaps
    assert recorded.function is None


def test_pseudo_headers_and_joined_values(tmp_path: Path) -> None:
    h2 = entry(httpVersion="h2")
    h2["request"]["headers"] += [{"name": ":authority", "value": "api.example.test"}]
    h2["response"]["headers"] += [
        {"name": "set-cookie", "value": "a=1\nb=2"},
        {"name": ":status", "value": "200"},
    ]
    recorded = only(tmp_path, h2)
    assert recorded.request.header(":authority") is None
    assert recorded.exchange.response is not None
    assert recorded.exchange.response.values("Set-Cookie") == ["a=1", "b=2"]
    assert recorded.exchange.response.values(":status") == []


def test_a_coding_is_judged_only_where_the_request_is_known(tmp_path: Path) -> None:
    coded = entry()
    coded["response"]["headers"].append({"name": "content-encoding", "value": "br"})
    assert only(tmp_path, coded).exchange.unasked_coding is None
    coded["request"]["headers"].append({"name": "accept-encoding", "value": "gzip, br"})
    assert only(tmp_path, coded).exchange.unasked_coding is None


def test_a_masked_token_tells_no_session() -> None:
    for text in ("***", "[REDACTED]", "<hidden>", "", "xxxx", "--- removed ---"):
        assert is_masked(text), text
    assert not is_masked("5f2c9a7e41d84b06")


# --- files that are none


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "is a ZIP archive"),
        (b"1234:8:version;", "mitmdump"),
        (b'{"log": {"entries": [', "ends too early"),
        (b'{"log": {"entries": [}]}}', "line 1, column 22: is not JSON"),
        (b"\xff\xd8\xff\xe0 a picture", "is not"),
        (b"[1, 2]", "has no list /log/entries"),
        (b'{"log": {"entries": {}}}', "has no list /log/entries"),
        (b'{"log": {"entries": [7]}}', "/log/entries/0: is not an object"),
        (b'{"log": {"entries": [{}]}}', "/log/entries/0/request: is missing"),
        (b'{"log": {"entries": [{"request": {"method": "GET"}}]}}', "/log/entries/0/request/url"),
        (b'{"log": {"entries": []}}', "no call of the protocol is in it"),
    ],
)
def test_a_broken_file_is_named_in_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.har"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        read_capture([path])
    assert says in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_target_that_is_not_in_it(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no request to https://x\.test/ is in it; there are requests to https://api"
    ):
        read(tmp_path, entry(), target="https://x.test/")
    with pytest.raises(UsageError, match="there is no such file"):
        read_capture([tmp_path / "none.har"])


# --- logs of runs


def test_the_log_of_a_run(tmp_path: Path) -> None:
    request = {
        "verb": "POST",
        "url": f"{BASE}auth",
        "headers": {"Token": "***"},
        "body": '{"method":"login"}',
    }
    response = {"status": 200, "headers": {"Content-Type": "application/json"}, "body": BODY, "seconds": 0.5}
    shown = {"event": "exchange", "test": "t", "number": 1, "function": "auth.login", "user": "owner"}
    lines: list[dict[str, Any]] = [
        {"event": "run", "verb": "check", "target": {"url": BASE, "environment": None, "embedded": False},
         "started": "2026-11-23T10:00:00Z"},
        {**shown, "request": request, "response": response, "at": 2.5},
        {**shown, "request": request, "response": {**response, "body": "{… (99 bytes in all)"}, "at": 3.0},
        {**shown, "request": request, "response": None, "failure": "closed: x", "at": 4.0},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, lines)) + '\n{"event": "exch'
    (tmp_path / "events.jsonl").write_text(text, "utf-8")
    capture = read_capture([tmp_path])
    assert capture.base_url == BASE
    first, second = capture.exchanges
    assert first.exchange.data == {"courses": []}
    assert (first.function, first.exchange.user, first.token, first.has_token) == (
        "auth.login",
        "owner",
        None,
        True,
    )
    assert first.at == pytest.approx(1_795_428_002.0)
    assert Gap.RESPONSE_BODY in second.gaps
