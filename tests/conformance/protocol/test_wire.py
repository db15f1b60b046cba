"""The wire reads what comes, as it comes, and no longer than it may.

Tiny servers here do exactly what a script says, one script for each connection.
"""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib

import pytest

from conformance.protocol.wire import (
    Address,
    Connection,
    ResponseReader,
    WireError,
    first_response,
)
from tests.support.scripted_server import (
    REQUEST,
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

# Framing


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3;x=y\r\n   \r\n0\r\n\r\n"


TRAILED = CHUNKED[:-2] + b"Content-Type: text/html\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (answer(b"{}"), b"{}"),
        (answer(b""), b""),
        (CHUNKED, b"{}   "),
        (TRAILED, b"{}   "),
        (answer(b"to the end", length=False), b"to the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (answer(b"{}", status="200"), b"{}"),
        (answer(b"{}", status="404 Inte hittad \xe5"), b"{}"),
    ],
)
def test_every_framing(sent: bytes, body: bytes) -> None:
    with serving(replying(sent)) as served:
        response = ask(served)
    assert response.body == body
    assert response.raw == sent


def test_trailers_are_no_headers() -> None:
    with serving(replying(TRAILED)) as served:
        assert ask(served).header("Content-Type") is None


@pytest.mark.parametrize("sent", [answer(b"{}", "X-A: 1"), CHUNKED, answer(b"end", length=False)])
def test_tiny_pieces(sent: bytes) -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            taken.sendall(bytes([byte]))
            time.sleep(0.0005)

    with serving(script) as served:
        response = ask(served)
    assert response.raw == sent
    assert response.status == 200


def test_the_beginning_of_an_answer_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target may send the next piece only then."""
    acknowledged = threading.Event()
    monkeypatch.setattr(Connection, "_acknowledge", lambda connection: acknowledged.set())
    with serving(replying(answer(b"{}"))) as served:
        assert ask(served).status == 200
    assert not acknowledged.is_set()

    def in_two_pieces(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer(b"{}")[:-2])
        if acknowledged.wait(20):
            taken.sendall(b"{}")

    with serving(in_two_pieces) as served:
        assert ask(served).body == b"{}"


def test_a_real_acknowledgement_breaks_nothing() -> None:
    def in_two_pieces(taken: socket.socket) -> None:
        for _ in range(3):
            take(taken)
            taken.sendall(answer(b"{}")[:-2])
            taken.sendall(b"{}")

    with serving(in_two_pieces) as served:
        assert ask(served).body == b"{}"


FOLDED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>;\r\n rel=y\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nX-Long: one \r\n \t two\r\n three\r\nX-Empty:\r\n \r\nContent-Length: %d\r\n\r\n"
)


@pytest.mark.parametrize("body", [b"", b"{}", b"a\r\n b\r\n\r\n"])
def test_a_folded_header_is_one_however_it_comes(body: bytes) -> None:
    """RFC 9112, section 5.2: a fold is read as blanks. What looks like one in the body stays."""
    sent = FOLDED % len(body) + body
    for size in range(1, len(sent) + 1):
        reading = ResponseReader("POST")
        whole = [reading.feed(sent[start : start + size]) for start in range(0, len(sent), size)]
        response = reading.response(sent)
        assert whole[-1]
        assert not any(whole[:-1])
        assert response.headers == (
            ("X-Long", "one two three"),
            ("X-Empty", ""),
            ("Content-Length", str(len(body))),
        )
        assert response.body == body


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 0\r\n\r\n", b"\r\n X\r\n"])
def test_a_fold_without_a_header_is_refused(sent: bytes) -> None:
    with pytest.raises(WireError):
        first_response(sent, "POST")


def test_headers_as_given_in_order() -> None:
    sent = answer(b"{}", "x-LOWER: a", "X-Twice: 1", "SET-cookie: \xe5=\xff", "X-Twice: 2", "X-Empty:")
    with serving(replying(sent)) as served:
        response = ask(served)
    assert response.headers == (
        ("x-LOWER", "a"),
        ("X-Twice", "1"),
        ("SET-cookie", "\xe5=\xff"),
        ("X-Twice", "2"),
        ("X-Empty", ""),
        ("Content-Length", "2"),
    )
    assert response.values("x-twice") == ["1", "2"]
    assert response.header("x-empty") == ""
    assert response.raw == sent
    assert response.version == "HTTP/1.1"


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize("before", [CONTINUE, HINTS, CONTINUE + HINTS, CONTINUE * 5])
@pytest.mark.parametrize("apart", [False, True])
def test_answers_before_the_answer(before: bytes, apart: bool) -> None:
    final = answer(b"{}", "X-Final: 1", status="201 Created")

    def script(taken: socket.socket) -> None:
        take(taken)
        for part in [before, final] if apart else [before + final]:
            taken.sendall(part)
            time.sleep(0.02)
        running[-1].done.wait(5)

    with serving(script) as served:
        response = ask(served)
    assert response.status == 201
    assert response.headers == (("X-Final", "1"), ("Content-Length", "2"))
    assert response.raw == before + final


def test_switching_protocols_is_an_answer() -> None:
    sent = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n\x00\x01"
    with serving(replying(sent, close=False)) as served:
        assert ask(served).status == 101


def test_only_interim_answers() -> None:
    with serving(replying(CONTINUE)) as served:
        assert refused(served).failure.kind == "closed"
    with serving(replying(CONTINUE, close=False)) as served:
        assert refused(served, timeout=0.3).failure.kind == "timeout"


def test_head_ends_with_its_head() -> None:
    with serving(replying(answer(b"", "Content-Length: 1234", length=False), close=False)) as served:
        response = ask(served, verb="HEAD")
    assert response.header("content-length") == "1234"
    assert response.body == b""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_statuses_without_a_body(status: str) -> None:
    with serving(replying(answer(b"", status=status, length=False), close=False)) as served:
        response = ask(served)
    assert response.status == int(status[:3])
    assert response.body == b""


def test_a_redirect_is_only_an_answer() -> None:
    with serving(always(answer(b"", "Location: /elsewhere", status="302 Found"))) as served:
        assert ask(served).status == 302
        assert len(served.requests) == 1


# Content codings


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b'{"a":1}', mtime=0)),
        ("GZIP", gzip.compress(b'{"a":1}', mtime=0)),
        ("x-gzip", gzip.compress(b'{"a"', mtime=0) + gzip.compress(b":1}", mtime=0)),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("deflate, gzip", gzip.compress(zlib.compress(b'{"a":1}'), mtime=0)),
        ("identity", b'{"a":1}'),
    ],
)
def test_codings(coding: str, body: bytes) -> None:
    sent = answer(body, f"Content-Encoding: {coding}")
    with serving(replying(sent)) as served:
        response = ask(served)
    assert response.body == b'{"a":1}'
    assert response.raw == sent


@pytest.mark.parametrize(
    "body",
    [b"{}", b"", gzip.compress(b"abcdefgh" * 100, mtime=0)[:-12], gzip.compress(b"a", mtime=0)[:-3] + b"xyz"],
)
def test_what_cannot_be_decoded_stays(body: bytes) -> None:
    with serving(replying(answer(body, "Content-Encoding: gzip"))) as served:
        assert ask(served).body == body


def bomb() -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * (1 << 20)
    return b"".join(squeeze.compress(block) for _ in range(64)) + squeeze.flush()


@pytest.mark.parametrize("body", [bomb(), gzip.compress(b"\0" * (9 << 20), mtime=0) * 8])
def test_a_gzip_bomb(body: bytes) -> None:
    assert len(body) < 1 << 20
    with serving(replying(answer(body, "Content-Encoding: gzip"))) as served:
        begun = time.process_time()
        error = refused(served)
        assert time.process_time() - begun < 2
    assert error.failure.kind == "oversize"
    assert "decodes" in error.failure.detail


# Answers that come before the request is out


@pytest.mark.parametrize("ending", ["closes", "resets", "waits"])
def test_an_early_answer_is_read(ending: str) -> None:
    sent = answer(b'{"isError":true}', status="413 Payload Too Large")

    def script(taken: socket.socket) -> None:
        taken.recv(1000)
        taken.sendall(sent)
        if ending == "closes":
            taken.shutdown(socket.SHUT_WR)
            time.sleep(0.1)
        elif ending == "resets":
            time.sleep(0.1)
            reset(taken)
        else:
            running[-1].done.wait(120)

    big = b"POST / HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n" + b"x" * (32 << 20)
    with serving(script) as served:
        begun = time.monotonic()
        deadline = begun + 90
        connection = Connection(served.address, None, deadline=deadline)
        assert connection.send(big, deadline=deadline) is False
        response = connection.read("POST", deadline=deadline)
        assert time.monotonic() - begun < 60
    assert response.status == 413
    assert response.raw == sent
    assert not connection.open


# Whether a connection can be used again


@pytest.mark.parametrize(
    ("verb", "sent", "retained"),
    [
        ("POST", answer(), True),
        ("POST", CHUNKED, True),
        ("POST", answer(b"", status="204 No Content", length=False), True),
        ("POST", answer(b"{}", "Connection: close"), False),
        ("POST", answer(b"{}", "connection: x, CLOSE"), False),
        ("POST", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", False),
        ("POST", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", True),
        ("POST", answer() + answer(b'{"a":1}'), False),
        ("POST", answer() + b"more", False),
        ("POST", answer() + b"H", False),
        ("POST", answer(b"", status="204 No Content", length=False) + b"{}", False),
        ("HEAD", answer(b"", "Content-Length: 5", length=False), False),
        ("HEAD", answer(b"hello"), False),
    ],
)
def test_whether_a_connection_is_reused(verb: str, sent: bytes, retained: bool) -> None:
    with serving(replying(sent, close=False)) as served:
        deadline = time.monotonic() + 5
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        response = connection.read(verb, deadline=deadline)
        assert connection.open is retained
        assert connection.stale is not retained
        connection.close()
    assert response.raw == sent
    assert response.body != b'{"a":1}'


def test_stale() -> None:
    go = threading.Event()

    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer())
        go.wait(5)
        taken.sendall(answer(b"unasked"))
        running[-1].done.wait(5)

    with serving(script) as served:
        deadline = time.monotonic() + 5
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        connection.read("POST", deadline=deadline)
        assert not connection.stale
        go.set()
        time.sleep(0.1)
        assert connection.stale
        connection.close()
        connection.close()
        assert connection.stale


def test_read_all() -> None:
    with serving(replying(answer() + answer()), replying(b"half", close=False)) as served:
        deadline = time.monotonic() + 5
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        assert connection.read_all(deadline=deadline) == (answer() + answer(), True)
        connection.close()
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        assert connection.read_all(deadline=time.monotonic() + 0.2) == (b"half", False)
        connection.close()


def test_reading_ends_with_silence_after_the_first_bytes() -> None:
    with serving(replying(answer(), close=False)) as served:
        deadline = time.monotonic() + 30
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        assert connection.read_all(deadline=deadline, silence=lambda waited: 0.1 + waited) == (
            answer(),
            False,
        )
        assert time.monotonic() < deadline - 20
        connection.close()


def test_first_response() -> None:
    two = CONTINUE + CHUNKED + answer(b"second")
    response = first_response(two, "POST")
    assert (response.status, response.body, response.raw) == (200, b"{}   ", two)
    assert first_response(answer(b"end", length=False), "POST").body == b"end"
    for data, kind in ((b"", "closed"), (CHUNKED[:50], "closed"), (b"what", "garbled")):
        with pytest.raises(WireError) as caught:
            first_response(data, "POST")
        assert caught.value.failure.kind == kind


# Addresses


@pytest.mark.parametrize(
    ("url", "address", "authority"),
    [
        ("http://host", Address("http", "host", 80, "/"), "host"),
        ("https://host:443/api", Address("https", "host", 443, "/api/"), "host"),
        ("http://host:8080/a/b/", Address("http", "host", 8080, "/a/b/"), "host:8080"),
        ("https://host:80/", Address("https", "host", 80, "/"), "host:80"),
        ("http://[::1]:81/api/", Address("http", "::1", 81, "/api/"), "[::1]:81"),
        (
            "http://bücher.example/",
            Address("http", "xn--bcher-kva.example", 80, "/"),
            "xn--bcher-kva.example",
        ),
    ],
)
def test_addresses(url: str, address: Address, authority: str) -> None:
    assert Address.of(url) == address
    assert address.authority == authority
