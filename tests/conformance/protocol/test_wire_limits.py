"""Responses that end early, never end, come slowly or are too large."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from conformance.protocol.wire import (
    MAX_HEAD_BYTES,
    MAX_RESPONSE_BYTES,
    Address,
    Connection,
    WireError,
)
from tests.conformance.protocol.test_wire import CHUNKED, CONTINUE
from tests.support.scripted_server import (
    REQUEST,
    Script,
    always,
    answer,
    ask,
    refused,
    replying,
    reset,
    running,
    serving,
    take,
)

# What is no answer


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 20", "in the middle of the head"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "in the middle of the head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "in the middle of the body"),
        (CHUNKED[:-4], "in the middle of the body"),
        (CHUNKED[:60], "in the middle of the body"),
    ],
)
def test_closed_early(sent: bytes, detail: str) -> None:
    with serving(replying(sent)) as served:
        error = refused(served)
    assert error.failure.kind == "closed"
    assert detail in error.failure.detail
    assert error.received == sent


def test_reset_without_an_answer() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        reset(taken)

    with serving(script) as served:
        assert refused(served).failure.kind == "closed"


def test_reset_in_the_middle() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")
        time.sleep(0.1)
        reset(taken)

    with serving(script) as served:
        error = refused(served)
    assert error.failure.kind == "closed"
    assert error.received


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x01\x02\x03",
        b"<html>hello</html>",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"\x15\x03\x01\x00\x02\x02\x28",
        CONTINUE + b"nonsense\r\n",
    ],
)
def test_garbled(sent: bytes) -> None:
    with serving(replying(sent)) as served:
        error = refused(served)
    assert error.failure.kind == "garbled"
    assert error.received == sent


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address("http", "127.0.0.1", free.getsockname()[1], "/")
    with pytest.raises(WireError) as caught:
        Connection(address, None, deadline=time.monotonic() + 2)
    assert caught.value.failure.kind == "unreachable"
    assert "refused" in caught.value.failure.detail


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
def test_no_such_host(host: str) -> None:
    with pytest.raises(WireError) as caught:
        Connection(Address("http", host, 80, "/"), None, deadline=time.monotonic() + 5)
    assert caught.value.failure.kind == "unreachable"


def test_a_deadline_in_the_past() -> None:
    with serving(always(answer())) as served:
        with pytest.raises(WireError) as caught:
            Connection(served.address, None, deadline=time.monotonic() - 1)
        assert caught.value.failure.kind == "unreachable"
        connection = Connection(served.address, None, deadline=time.monotonic() + 5)
        with pytest.raises(WireError) as caught:
            connection.send(REQUEST, deadline=time.monotonic() - 1)
        assert caught.value.failure.kind == "timeout"
        assert not connection.open


# Deadlines


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_silence(sent: bytes) -> None:
    with serving(replying(sent, close=False)) as served:
        begun = time.monotonic()
        error = refused(served, timeout=0.3)
        assert 0.25 < time.monotonic() - begun < 15
    assert error.failure.kind == "timeout"
    assert error.received == sent


@pytest.mark.parametrize("pause", [0.1, 0.0003])
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"])
def test_a_drip_does_not_move_the_deadline(pause: float, begin: bytes) -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        taken.sendall(begin)
        for byte in (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 90_000)[: 90_000 if not begin else None]:
            taken.sendall(bytes([byte]))
            time.sleep(pause)

    with serving(script) as served:
        begun = time.monotonic()
        error = refused(served, timeout=0.4)
        # All of it takes half a minute at least.
        assert time.monotonic() - begun < 20
    assert error.failure.kind == "timeout"


def test_a_request_that_nobody_reads() -> None:
    def script(taken: socket.socket) -> None:
        running[-1].done.wait(90)

    with serving(script) as served:
        begun = time.monotonic()
        error = refused(served, timeout=0.5, request=REQUEST + b"x" * (32 << 20))
        assert time.monotonic() - begun < 60
    assert error.failure.kind == "timeout"
    assert "could not be sent" in error.failure.detail


# Caps


def endless(begin: bytes, piece: bytes) -> Script:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(begin)
        block = piece * max(1, 60_000 // len(piece))
        while not running[-1].done.is_set():
            taken.sendall(block)

    return script


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nX: 1\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 ", b"y"),
        (b"", CONTINUE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a\r\n0123456789\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=", b"y"),
    ],
)
def test_endless(begin: bytes, piece: bytes) -> None:
    with serving(endless(begin, piece)) as served:
        begun = time.process_time()
        error = refused(served, timeout=15)
        assert time.process_time() - begun < 8
    assert error.failure.kind == "oversize"
    assert len(error.received) <= 4096


def test_the_largest_that_is_read() -> None:
    body = b" " * (MAX_RESPONSE_BYTES - 200)
    with serving(replying(answer(body))) as served:
        assert len(ask(served, timeout=10).body) == len(body)
    filler = "y" * (MAX_HEAD_BYTES - 200)
    with serving(replying(answer(b"{}", f"X: {filler}"))) as served:
        assert ask(served).header("X") == filler


def test_a_slow_reader_gets_it_all() -> None:
    got: list[int] = []

    def script(taken: socket.socket) -> None:
        total = 0
        while total < 8 << 20:
            total += len(taken.recv(1 << 20))
            time.sleep(0.005)
        got.append(total)
        taken.sendall(answer())

    with serving(script) as served:
        assert ask(served, request=b"x" * (8 << 20)).status == 200
    assert got == [8 << 20]


@pytest.mark.parametrize("sent", [b"garbage", b"", answer(b"{}", "Connection: close"), b"HTTP/1.1 200 OK"])
def test_no_socket_is_left_open(sent: bytes) -> None:
    with serving(replying(sent)) as served:
        deadline = time.monotonic() + 5
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        with contextlib.suppress(WireError):
            connection.read("POST", deadline=deadline)
        assert connection.socket.fileno() == -1
