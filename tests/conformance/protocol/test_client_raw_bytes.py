"""Raw bytes that the client sends as they are."""

from __future__ import annotations

import contextlib
import socket

import pytest

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from tests.support.events import json_of
from tests.support.scripted_client import connect
from tests.support.scripted_server import (
    Script,
    answer,
    replying,
    serving,
)

# Bytes that no library would send


def test_raw_bytes() -> None:
    data = (
        b"POST /api/x HTTP/1.1\r\nhost: h\r\nX-Odd : \xff\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"
    )
    back = answer(b'{"n":1}', "x-A: b") + answer(b'{"n":2}')
    with serving(replying(back)) as served:
        observed: list[Exchange] = []
        client = connect(served, observe=observed.append)
        exchange, received = client.send_bytes(data, function="x.", user="owner")
        client.close()
    assert served.requests == [data]
    assert received == back
    assert exchange.request.raw == data
    assert not exchange.request.well_formed
    assert exchange.request.verb == "POST"
    assert exchange.request.url == f"{served.url}x"
    assert exchange.request.body == b"{}"
    assert exchange.request.headers[:2] == (("host", "h"), ("X-Odd", "\xff"))
    assert exchange.response is not None
    assert exchange.response.raw == back
    assert exchange.response.headers == (("x-A", "b"), ("Content-Length", "7"))
    assert exchange.json.value == {"n": 1}
    assert observed == [exchange]
    assert exchange.function == "x."


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (replying(b""), "closed"),
        (replying(b"what?\r\n"), "garbled"),
        (replying(b"HTTP/1.1 200 OK\r\nContent-Le"), "closed"),
    ],
)
def test_raw_bytes_without_an_answer(script: Script, kind: str) -> None:
    with serving(script) as served:
        client = connect(served)
        exchange, _ = client.send_bytes(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        client.close()
    assert exchange.response is None
    assert exchange.failure is not None
    assert exchange.failure.kind == kind


def test_raw_bytes_to_one_who_waits() -> None:
    with serving(replying(b"", close=False)) as served:
        client = connect(served, timeout=0.3)
        exchange, received = client.send_bytes(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n{}")
        client.close()
    assert received == b""
    assert exchange.failure is not None
    assert exchange.failure.kind == "timeout"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\xff\xfe\x00", b"GET", b"G\r\n\r\n\r\n\r\n"])
def test_raw_bytes_that_are_nothing(data: bytes) -> None:
    def script(taken: socket.socket) -> None:
        taken.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            taken.recv(100)
        taken.sendall(answer(status="400 Bad Request"))

    with serving(script) as served:
        client = connect(served)
        exchange, _ = client.send_bytes(data)
        client.close()
    assert exchange.status == 400
    assert json_of(exchange.record())["response"]["status"] == 400


def test_a_head_to_build_on() -> None:
    client = Client("http://host/api/", headers=[("X-Gate", "\xe5")])
    assert client.head("POST", "x", [("Token", "t")]) == (
        b"POST /api/x HTTP/1.1\r\nHost: host\r\nUser-Agent: coursio-conform\r\nAccept: application/json\r\n"
        b"X-Gate: \xe5\r\nToken: t\r\n"
    )
