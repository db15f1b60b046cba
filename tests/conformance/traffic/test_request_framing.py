"""Requests are found in the bytes of a connection, however they are cut, and forwarded unchanged."""

from __future__ import annotations

import pytest

from conformance.traffic.request_framing import RequestFraming

POST = b"POST /api/course HTTP/1.1\r\nHost: here:1\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET /api/course HTTP/1.1\r\nhost:  here:1\r\n\r\n"
CHUNKS = b"5;x=1\r\nhello\r\n3\r\n\r\n\n\r\n0\r\nT: 1\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS


def fed(framing: RequestFraming, data: bytes, step: int) -> tuple[list[bytes], bytes]:
    """Feed bytes in steps; return the requests that are complete, and all bytes to forward."""
    whole, requests, current = b"", [], b""
    for start in range(0, len(data), step):
        for part, begins, ends in framing.feed(data[start : start + step]):
            assert not begins or current == b""
            whole, current = whole + part, current + part
            if ends:
                requests.append(current)
                current = b""
    return requests, whole


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_requests_are_found(step: int) -> None:
    framing = RequestFraming(None)
    requests, whole = fed(framing, POST + GET + CHUNKED + GET, step)
    assert requests == [POST, GET, CHUNKED, GET]
    assert whole == POST + GET + CHUNKED + GET
    assert not framing.opaque


def test_only_the_value_of_host_is_replaced() -> None:
    framing = RequestFraming(b"target.test")
    _, whole = fed(framing, POST + GET, 10_000)
    assert whole == (POST + GET).replace(b"here:1", b"target.test")
    body = POST.replace(b"Content-Length: 5", b"Content-Length: 11").replace(b"hello", b"\r\nHost: abc")
    assert fed(RequestFraming(b"y"), body, 3)[1] == body.replace(b"here:1", b"y", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /api/course HTTP/1.1\nHost: x\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"CONNECT host:443 HTTP/1.1\r\nHost: host\r\n\r\nbytes",
        b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\nframes",
        POST.replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 6"),
        POST.replace(b"Content-Length: 5", b"Content-Length: +5"),
        POST.replace(b"Content-Length: 5", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
        CHUNKED.replace(b"5;x=1", b"0x5"),
    ],
)
@pytest.mark.parametrize("step", [1, 10_000])
def test_what_cannot_be_followed_passes_unread(data: bytes, step: int) -> None:
    framing = RequestFraming(b"target.test")
    _, whole = fed(framing, data, step)
    assert framing.opaque
    assert (whole + framing.rest()).replace(b"target.test", b"x") == data


def test_the_beginning_of_a_head_is_forwarded_when_the_client_ends() -> None:
    framing = RequestFraming(None)
    assert fed(framing, GET[:-2], 5) == ([], b"")
    assert framing.rest() == GET[:-2]
