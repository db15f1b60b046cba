"""The wire reads what comes, as it comes, and no longer than it may.

Tiny servers here do exactly what a script says, one script for each connection.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from conformance.protocol.exchange import Response
from conformance.protocol.wire import (
    MAX_HEAD_BYTES,
    MAX_RESPONSE_BYTES,
    Address,
    Connection,
    WireError,
    _ResponseReader,
    first_response,
)

Script = Callable[[socket.socket], None]


@dataclass
class Served:
    """A running server: its address, how many connections it took, and the requests that it read."""

    host: str
    port: int
    scheme: str = "http"
    accepted: int = 0
    requests: list[bytes] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/api/"

    @property
    def address(self) -> Address:
        return Address.of(self.url)


@contextlib.contextmanager
def serving(*scripts: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Run each script on one connection, in the order in which they come; the last on all further ones."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((host, 0))
    listener.listen(64)
    served = Served(host, listener.getsockname()[1], "https" if tls else "http")
    open_now: list[socket.socket] = []

    def run(taken: socket.socket, script: Script) -> None:
        # A test that is over closes its connections, and is no longer the one that is running.
        with contextlib.suppress(OSError, ValueError, IndexError):
            if tls is not None:
                taken = tls.wrap_socket(taken, server_side=True)
            open_now.append(taken)
            script(taken)
        with contextlib.suppress(OSError):
            taken.close()

    def accept() -> None:
        while True:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            taken.settimeout(20)
            open_now.append(taken)
            script = scripts[min(served.accepted, len(scripts) - 1)]
            served.accepted += 1
            threading.Thread(target=run, args=(taken, script), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    running.append(served)
    try:
        yield served
    finally:
        running.pop()
        served.done.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for taken in open_now:
            with contextlib.suppress(OSError):
                taken.close()


running: list[Served] = []


def take(taken: socket.socket) -> bytes:
    """Read one request, and note it; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = taken.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        while not body.endswith(b"0\r\n\r\n"):
            body += taken.recv(65536)
    elif b"content-length: " in lower:
        length = int(lower.partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            more = taken.recv(65536)
            if not more:
                break
            body += more
    data = head + b"\r\n\r\n" + body
    if running:
        running[-1].requests.append(data)
    return data


def answer(body: bytes = b"{}", *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def replying(*answers: bytes, close: bool = True) -> Script:
    """Give one answer to each request, then close (or wait for the end of the test)."""

    def script(taken: socket.socket) -> None:
        served = running[-1]
        for data in answers:
            if not take(taken):
                return
            taken.sendall(data)
        if not close:
            served.done.wait(20)

    return script


def always(data: bytes) -> Script:
    """Give the same answer to every request."""

    def script(taken: socket.socket) -> None:
        while take(taken):
            taken.sendall(data)

    return script


def reset(taken: socket.socket) -> None:
    """End a connection with a reset instead of a close."""
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    taken.close()


REQUEST = b"POST /api/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


def ask(served: Served, *, verb: str = "POST", request: bytes = REQUEST, timeout: float = 5.0) -> Response:
    deadline = time.monotonic() + timeout
    connection = Connection(served.address, None, deadline=deadline)
    try:
        connection.send(request, deadline=deadline)
        return connection.read(verb, deadline=deadline)
    finally:
        connection.close()


def refused(
    served: Served, *, timeout: float = 5.0, verb: str = "POST", request: bytes = REQUEST
) -> WireError:
    with pytest.raises(WireError) as caught:
        ask(served, timeout=timeout, verb=verb, request=request)
    return caught.value


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


FOLDED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>;\r\n rel=y\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nX-Long: one \r\n \t two\r\n three\r\nX-Empty:\r\n \r\nContent-Length: %d\r\n\r\n"
)


@pytest.mark.parametrize("body", [b"", b"{}", b"a\r\n b\r\n\r\n"])
def test_a_folded_header_is_one_however_it_comes(body: bytes) -> None:
    """RFC 9112, section 5.2: a fold is read as blanks. What looks like one in the body stays."""
    sent = FOLDED % len(body) + body
    for size in range(1, len(sent) + 1):
        reading = _ResponseReader("POST")
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
        assert 0.25 < time.monotonic() - begun < 1.0
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
        assert time.monotonic() - begun < 1.0
    assert error.failure.kind == "timeout"


def test_a_request_that_nobody_reads() -> None:
    def script(taken: socket.socket) -> None:
        running[-1].done.wait(10)

    with serving(script) as served:
        begun = time.monotonic()
        error = refused(served, timeout=0.5, request=REQUEST + b"x" * (32 << 20))
        assert time.monotonic() - begun < 1.5
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
            running[-1].done.wait(10)

    big = b"POST / HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n" + b"x" * (32 << 20)
    with serving(script) as served:
        begun = time.monotonic()
        deadline = begun + 8
        connection = Connection(served.address, None, deadline=deadline)
        assert connection.send(big, deadline=deadline) is False
        response = connection.read("POST", deadline=deadline)
        assert time.monotonic() - begun < 3
    assert response.status == 413
    assert response.raw == sent
    assert not connection.open


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


# Whether a connection can be used again


@pytest.mark.parametrize(
    ("verb", "sent", "kept"),
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
def test_kept_or_not(verb: str, sent: bytes, kept: bool) -> None:
    with serving(replying(sent, close=False)) as served:
        deadline = time.monotonic() + 5
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        response = connection.read(verb, deadline=deadline)
        assert connection.open is kept
        assert connection.stale is not kept
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


@pytest.mark.parametrize("sent", [b"garbage", b"", answer(b"{}", "Connection: close"), b"HTTP/1.1 200 OK"])
def test_no_socket_is_left_open(sent: bytes) -> None:
    with serving(replying(sent)) as served:
        deadline = time.monotonic() + 5
        connection = Connection(served.address, None, deadline=deadline)
        connection.send(REQUEST, deadline=deadline)
        with contextlib.suppress(WireError):
            connection.read("POST", deadline=deadline)
        assert connection.socket.fileno() == -1
