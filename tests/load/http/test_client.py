"""The lean client frames answers by the letter, ends every request, and never takes one answer for another."""

from __future__ import annotations

import _socket
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import gevent  # type: ignore[import-untyped]
import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.protocol.wire import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES, WireError, first_response
from load.http.connection import Connection
from load.http.endpoint import Endpoint
from load.http.pool import Pool
from tests.conformance.protocol.test_wire import (
    CHUNKED,
    TRAILED,
    Served,
    always,
    answer,
    replying,
    reset,
    serving,
    take,
)
from tests.servers.odd import numbered, odd
from tests.support.lacking import lacking

REQUEST = b"POST /api/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def pooled(served: Served, limit: int = 8, ca: Path | None = None) -> Iterator[Pool]:
    pool = Pool(Endpoint.of(served.url, ca=ca), limit, period=0.01)
    try:
        yield pool
    finally:
        pool.close()


def ask(pool: Pool, raw: bytes = REQUEST, *, timeout: float = 5.0) -> Connection:
    """Send one request on a connection of the pool and give the connection back."""
    connection = pool.take()
    assert connection is not None
    connection.request(raw, perf_counter() + timeout)
    pool.give(connection)
    return connection


def until(said: Callable[[], bool]) -> None:
    """Let the loop run until something is so."""
    end = perf_counter() + 5
    while not said():
        assert perf_counter() < end
        gevent.sleep(0.002)


# Whole answers


@pytest.mark.parametrize(
    ("sent", "body", "kept"),
    [
        (answer(b"{}"), b"{}", True),
        (answer(b""), b"", True),
        (CHUNKED, b"{}   ", True),
        (TRAILED, b"{}   ", True),
        (CHUNKED.replace(b"chunked", b"Chunked"), b"{}   ", True),
        (answer(b"to the end", length=False), b"to the end", False),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold", b"old", True),
        (answer(b"{}", "Connection: close"), b"{}", False),
        (answer(b"{}", "connection: x, CLOSE"), b"{}", False),
        (answer(b"{}", status="200"), b"{}", True),
        (answer(b"{}", status="404 Inte hittad \xe5"), b"{}", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"{}"), b"{}", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\nX: y\r\n\r\n" + CHUNKED, b"{}   ", True),
        (answer(b"", status="204 None", length=False), b"", True),
        (answer(b"", "Content-Length: 7", status="304 Same", length=False), b"", True),
        (answer(gzip.compress(b"{}", mtime=0), "Content-Encoding: gzip"), b"{}", True),
        (answer(gzip.compress(gzip.compress(b"{}", mtime=0)), "Content-Encoding: gzip, gzip"), b"{}", True),
        (answer(b"{}", "Content-Encoding: gzip"), b"{}", True),
        (answer(b"{}", "Content-Encoding: br"), b"{}", True),
        (answer(b"x" * 3_000_000), b"x" * 3_000_000, True),
    ],
)
def test_every_framing(sent: bytes, body: bytes, kept: bool) -> None:
    with serving(replying(*[sent] * (1 + kept), close=not kept)) as served, pooled(served) as pool:
        for _ in range(2):
            done = ask(pool)
            assert (done.failure, done.body) == (None, body)
            assert (done.status, done.head.partition(b"\r\n\r\n")[1]) == (int(done.head[9:12]), b"\r\n\r\n")
    assert pool.opened == (1 if kept else 2)
    assert pool.reopened == pool.failed == pool.strays == 0


def test_a_request_goes_out_as_it_is_given() -> None:
    with serving(always(answer())) as served, pooled(served) as pool:
        for size in (2, 70_000, 6_000_000):
            raw = b"POST /y HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size
            assert ask(pool, raw).status == 200
            assert served.requests[-1] == raw
    assert served.accepted == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_are_kept(host: str) -> None:
    if ":" in host:
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("there is no IPv6 loopback here")
    with serving(always(answer()), host=host) as served, pooled(served) as pool:
        moments = []
        for number in range(20):
            done = ask(pool)
            assert done.opened is (number == 0)
            moments += [done.sent, done.done_at]
        assert moments == sorted(moments)
    assert served.accepted == pool.opened == pool.most == 1


def test_what_is_told_of_an_answer() -> None:
    sent = answer(b'{"a":1}', "X-A: 1", "x-b:  \t2 ", status="404 No")
    with serving(always(sent)) as served, pooled(served) as pool:
        done = ask(pool)
    assert (done.status, done.head + done.body, done.bytes_in) == (404, sent, len(sent))
    assert done.answer.headers == (("X-A", "1"), ("x-b", "2"), ("Content-Length", "7"))
    assert done.met


def test_a_folded_header_is_one() -> None:
    sent = answer(b"{}", "X-A: 1 \r\n\t2\r\n 3", "Content-Type: application/json;\r\n charset=utf-8")
    with serving(always(sent)) as served, pooled(served) as pool:
        done = ask(pool)
    assert done.status == 200
    assert dict(done.answer.headers)["X-A"] == "1 2 3"
    assert dict(done.answer.headers)["Content-Type"] == "application/json; charset=utf-8"


# No answer


ENDLESS = answer(b"", "Transfer-Encoding: chunked", length=False) + b"fffff\r\n" + b"x" * 0xFFFFF + b"\r\n"


@pytest.mark.parametrize(
    ("sent", "kind", "detail"),
    [
        (b"", "closed", "without an answer"),
        (b"HTTP/1.1 200", "closed", "middle of the head"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "closed", "middle of the head"),
        (answer(b"{}")[:-1], "closed", "middle of the body"),
        (CHUNKED[:-1], "closed", "middle of the body"),
        (CHUNKED[:-12], "closed", "middle of the body"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "garbled", "begins with b'SSH"),
        (b"\r\n" + answer(), "garbled", "not an HTTP response"),
        (b"<html></html>", "garbled", "not an HTTP response"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "garbled", "not an HTTP response"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "garbled", "not an HTTP response"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "garbled", "not an HTTP response"),
        (answer(b"{}", "a b: c"), "garbled", "header line"),
        (answer(b"{}", " folded"), "garbled", "header line"),
        (answer(b"{}", "X: 1\nY: 2"), "garbled", "header line"),
        (answer(b"{}", "X: \0"), "garbled", "header line"),
        (answer(b"{}", "X : 1"), "garbled", "header line"),
        (answer(b"{}", "Content-Length: 2"), "garbled", "more than one Content-Length"),
        (answer(b"{}", "Content-Length: 3"), "garbled", "more than one Content-Length"),
        (answer(b"{}", "Content-Length: 2, 2", length=False), "garbled", "Content-Length"),
        (answer(b"{}", "Content-Length: -2", length=False), "garbled", "Content-Length"),
        (answer(b"{}", "Content-Length: +2", length=False), "garbled", "Content-Length"),
        (answer(b"{}", "Content-Length: \xb2", length=False), "garbled", "Content-Length"),
        (answer(b"{}", "Content-Length:", length=False), "garbled", "Content-Length"),
        (answer(b"{}", "Transfer-Encoding: chunked"), "garbled", "both"),
        (CHUNKED.replace(b"chunked", b"gzip, chunked"), "garbled", "not handled"),
        (CHUNKED.replace(b"chunked", b"chunked, chunked"), "garbled", "not handled"),
        (CHUNKED.replace(b"chunked", b"identity"), "garbled", "not handled"),
        (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0"), "garbled", "HTTP/1.0"),
        (CHUNKED.replace(b"2\r\n", b"2 \r\n"), "garbled", "a chunk"),
        (CHUNKED.replace(b"2\r\n", b"0x2\r\n"), "garbled", "a chunk"),
        (CHUNKED.replace(b"2\r\n", b"-2\r\n"), "garbled", "a chunk"),
        (CHUNKED.replace(b"2\r\n", b"2\n"), "garbled", "a chunk"),
        (CHUNKED.replace(b"2\r\n", b"1\r\n"), "garbled", "longer than its size"),
        (CHUNKED.replace(b"2\r\n", b"\r\n"), "garbled", "a chunk"),
        (CHUNKED.replace(b";x=y", b";" + b"x" * 5000), "garbled", "no end"),
        (TRAILED.replace(b"Content-Type:", b"Content Type:"), "garbled", "trailer"),
        (answer(b"", "Upgrade: x", "Connection: upgrade", status="101 Switch"), "garbled", "protocol"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 65 + answer(), "garbled", "interim"),
        (
            answer(b"{}", f"Content-Length: {MAX_RESPONSE_BYTES}", length=False),
            "oversize",
            "larger than 16 MB",
        ),
        (answer(b"{}", f"Content-Length: {10**30}", length=False), "oversize", "larger than 16 MB"),
        (answer(b"", "X: " + "x" * MAX_HEAD_BYTES), "oversize", "the head"),
        (b"HTTP/1.1 200 " + b"x" * (MAX_HEAD_BYTES + 1), "oversize", "the head"),
        (ENDLESS + ENDLESS.partition(b"\r\n\r\n")[2] * 16, "oversize", "larger than 16 MB"),
        (answer(b"x" * (MAX_RESPONSE_BYTES + 1), length=False), "oversize", "larger than 16 MB"),
        (CHUNKED[:-2] + b"X: 1\r\n" * 20_000, "oversize", "trailer"),
        (
            answer(gzip.compress(b"x" * (MAX_RESPONSE_BYTES + 1)), "Content-Encoding: gzip"),
            "oversize",
            "decodes to more",
        ),
    ],
)
def test_what_is_refused(sent: bytes, kind: str, detail: str) -> None:
    with serving(replying(sent)) as served, pooled(served) as pool:
        done = ask(pool)
        assert (done.failure, detail in done.detail, done.detail) == (kind, True, done.detail)
        assert (done.status, done.head, done.body) == (0, b"", b"")
        assert not done.open
        assert (len(pool), pool.failed) == (0, 1)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", answer(b"{}")[:-1], CHUNKED[:-1]])
def test_an_answer_that_never_ends(sent: bytes) -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(sent)
        taken.recv(1)

    with serving(script) as served, pooled(served) as pool:
        done = ask(pool, timeout=0.1)
        told = f"after {len(sent)} bytes" if sent else "not a byte"
        assert (done.failure, told in done.detail) == ("timeout", True)
        assert not done.open


def test_bytes_that_drip_do_not_put_the_deadline_off() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        for sign in answer(b"x" * 1000):
            taken.sendall(bytes([sign]))
            time.sleep(0.01)

    with serving(script) as served, pooled(served) as pool:
        begun = perf_counter()
        assert ask(pool, timeout=0.2).failure == "timeout"
        assert perf_counter() - begun < 5


def test_a_reset() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        reset(taken)

    with serving(script) as served, pooled(served) as pool:
        assert ask(pool).failure == "closed"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        pool = Pool(Endpoint.of(f"http://127.0.0.1:{free.getsockname()[1]}/"))
        try:
            ends = [ask(pool, timeout=1) for _ in range(3)]
        finally:
            pool.close()
    assert {(end.failure, end.detail) for end in ends} == {("unreachable", "connection refused")}
    assert not any(end.met for end in ends)


def test_nobody_takes_the_connection() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        where = listener.getsockname()
        full = [socket.socket() for _ in range(4)]
        for one in full:
            one.setblocking(False)
            one.connect_ex(where)
        pool = Pool(Endpoint.of(f"http://127.0.0.1:{where[1]}/"), period=0.01)
        try:
            done = ask(pool, timeout=0.2)
        finally:
            pool.close()
            for one in full:
                one.close()
    assert (done.failure, done.detail) == ("unreachable", "no connection within the deadline")


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with serving(always(answer())) as served, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        good = (int(socket.AF_INET), ("127.0.0.1", served.port))
        endpoint = Endpoint("x", 1, ((int(socket.AF_INET), free.getsockname()), good))
        pool = Pool(endpoint)
        try:
            assert ask(pool).status == 200
            # From now on it is the first that is tried.
            assert endpoint.preferred == 1
        finally:
            pool.close()


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(OSError):  # noqa: PT011  (which one depends on the resolver)
        Endpoint.of("http://no-such-host.invalid/")


# What else may happen to a connection


def test_a_kept_connection_that_was_closed_is_not_used() -> None:
    with serving(replying(answer())) as served, pooled(served) as pool:
        first = ask(pool)
        assert first.open
        until(lambda: not first.open)
        assert (ask(pool).failure, len(pool)) == (None, 1)
    assert (served.accepted, pool.failed, pool.strays) == (2, 0, 0)


def test_a_kept_connection_that_closes_as_the_request_goes_out_has_not_refused_it() -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer())
        take(taken)

    with serving(script) as served, pooled(served) as pool:
        ask(pool)
        done = ask(pool)
        assert (done.failure, done.opened, done.met) == ("closed", False, False)
        assert "kept connection" in done.detail


@pytest.mark.parametrize("more", [b"x", answer(b"2"), b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_what_comes_unasked_ends_the_connection(more: bytes) -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer(b"1"))
        taken.sendall(more)
        take(taken)

    with serving(script) as served, pooled(served) as pool:
        done = ask(pool)
        assert done.body == b"1"
        until(lambda: not done.open)
        again = ask(pool)
        assert (again.body, again.opened) == (b"1", True)
    assert served.accepted == 2
    assert pool.strays >= 1


@pytest.mark.parametrize("first", [answer(b"1"), CHUNKED])
def test_a_second_answer_in_the_same_bytes_is_nobodys(first: bytes) -> None:
    with serving(replying(first + answer(b"2"), close=False)) as served, pooled(served) as pool:
        done = ask(pool)
        assert (done.failure, done.body in (b"1", b"{}   "), done.open) == (None, True, False)
    assert pool.strays == 1


def test_an_answer_before_the_request_has_left() -> None:
    def script(taken: socket.socket) -> None:
        taken.recv(1000)
        taken.sendall(answer(b"too much", status="413 Too Large"))
        time.sleep(0.2)

    raw = b"POST / HTTP/1.1\r\nContent-Length: 30000000\r\n\r\n" + b"x" * 30_000_000
    with serving(script) as served, pooled(served) as pool:
        done = ask(pool, raw)
        assert (done.failure, done.status, done.body) == (None, 413, b"too much")
        assert not done.open


def test_a_greenlet_that_is_killed_leaves_no_answer_behind() -> None:
    def script(taken: socket.socket) -> None:
        while take(taken):
            time.sleep(0.15)
            taken.sendall(answer(b"%d" % len(served.requests)))

    with serving(script) as served, pooled(served, limit=1) as pool:
        connection = pool.take()
        assert connection is not None
        waiting = gevent.spawn(connection.request, REQUEST, perf_counter() + 5)
        until(lambda: bool(served.requests))
        waiting.kill()
        assert not connection.open
        pool.give(connection)
        assert ask(pool).body == b"2"
    assert served.accepted == 2


def test_one_request_at_a_time() -> None:
    def script(taken: socket.socket) -> None:
        taken.recv(1)

    with serving(script) as served, pooled(served) as pool:
        connection = pool.take()
        assert connection is not None
        connection.send(REQUEST, perf_counter() + 5, lambda done: None)
        with pytest.raises(RuntimeError, match="one request at a time"):
            connection.send(REQUEST, perf_counter() + 5, lambda done: None)


def test_the_next_request_may_go_out_in_the_callback() -> None:
    bodies: list[bytes] = []

    def done(connection: Connection) -> None:
        bodies.append(connection.body)
        if len(bodies) < 500:
            connection.send(REQUEST, perf_counter() + 5, done)

    with serving(always(answer(b"1"))) as served, pooled(served) as pool:
        connection = pool.take()
        assert connection is not None
        connection.send(REQUEST, perf_counter() + 5, done)
        until(lambda: len(bodies) == 500)
    assert (set(bodies), served.accepted) == ({b"1"}, 1)


def test_refusals_in_a_row_are_no_recursion() -> None:
    ends = Counter[str | None]()

    def done(connection: Connection) -> None:
        ends[connection.failure] += 1
        if ends.total() < 2000:
            connection.send(REQUEST, perf_counter() + 5, done)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        pool = Pool(Endpoint.of(f"http://127.0.0.1:{free.getsockname()[1]}/"))
        connection = pool.take()
        assert connection is not None
        connection.send(REQUEST, perf_counter() + 5, done)
        until(lambda: ends.total() == 2000)
        pool.close()
    assert ends == {"unreachable": 2000}


def test_a_pool_has_a_limit_and_counts() -> None:
    with serving(always(answer())) as served, pooled(served, limit=3) as pool:
        taken = [pool.take() for _ in range(4)]
        assert taken[3] is None
        assert (len(pool), pool.in_use, pool.most) == (3, 3, 3)
        for one in taken[:3]:
            assert one is not None
            pool.give(one)
        # None of them was opened.
        assert (len(pool), pool.in_use) == (0, 0)
        assert pool.open_ahead(10, perf_counter() + 5) == 3
        assert (len(pool), pool.in_use, pool.opened) == (3, 0, 3)
        until(lambda: served.accepted == 3)
        assert ask(pool).opened is False


def test_connections_cannot_be_opened_ahead_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        pool = Pool(Endpoint.of(f"http://127.0.0.1:{free.getsockname()[1]}/"))
        assert pool.open_ahead(100, perf_counter() + 5) == 0
        assert len(pool) == 0
        pool.close()


# TLS


def _openssl(*arguments: str, folder: Path) -> None:
    command = shutil.which("openssl")
    if command is None:
        lacking("making a certificate takes the command openssl")
    subprocess.run([command, *arguments], check=True, capture_output=True, cwd=folder)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for 127.0.0.1 that nobody else vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", "key.pem", "-out", "cert.pem"),
        folder=folder,
    )
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


def _server_side(certificate: Path, latest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.maximum_version = latest
    return context


@pytest.mark.parametrize("latest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [2, 20_000, 3_000_000])
def test_within_tls(certificate: Path, latest: ssl.TLSVersion, size: int) -> None:
    sent = answer(b"y" * size)
    raw = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    tls = _server_side(certificate, latest)
    with serving(always(sent), tls=tls) as served, pooled(served, ca=certificate) as pool:
        for number in range(5):
            done = ask(pool, raw)
            assert (done.failure, done.detail, done.body == b"y" * size) == (None, "", True)
            assert done.opened is (number == 0)
    assert set(served.requests) == {raw}


class _Blamed(ssl.SSLObject):
    """Is told now and then, as any connection of a thread may be, what is wrong with another one."""

    reads = 0

    def read(self, len: int = 1024, buffer: bytearray | None = None) -> bytes:  # type: ignore[override]
        _Blamed.reads += 1
        if _Blamed.reads % 3 == 1:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "[SSL] internal error")
        return super().read(len, buffer)


@pytest.mark.parametrize("size", [2, 3_000_000])
def test_errors_of_others_within_tls(certificate: Path, size: int) -> None:
    sent = answer(b"y" * size)
    tls = _server_side(certificate)
    with serving(always(sent), tls=tls) as served, pooled(served, ca=certificate) as pool:
        assert pool.endpoint.tls is not None
        pool.endpoint.tls.sslobject_class = _Blamed
        _Blamed.reads = 0
        for number in range(5):
            done = ask(pool)
            assert (done.failure, done.detail, done.body == b"y" * size) == (None, "", True)
            assert done.opened is (number == 0)
    assert _Blamed.reads > 5


def test_what_is_no_tls_after_all(certificate: Path) -> None:
    """An error of the connection's own comes again, and is told as it came first."""

    def script(taken: socket.socket) -> None:
        take(taken)
        socket.socket.sendall(taken, b"\x17\x03\x03\x00\x40" + b"z" * 64)
        time.sleep(0.2)

    with serving(script, tls=_server_side(certificate)) as served, pooled(served, ca=certificate) as pool:
        done = ask(pool)
        assert (done.failure, "bad record mac" in done.detail) == ("closed", True)


def test_to_the_end_within_tls(certificate: Path) -> None:
    def script(taken: socket.socket) -> None:
        take(taken)
        taken.sendall(answer(b"to the end", length=False))
        assert isinstance(taken, ssl.SSLSocket)
        taken.unwrap()

    with serving(script, tls=_server_side(certificate)) as served, pooled(served, ca=certificate) as pool:
        done = ask(pool)
        assert (done.failure, done.body, done.open) == (None, b"to the end", False)


def test_tls_that_ends_in_the_middle(certificate: Path) -> None:
    script = replying(answer(b"{}")[:-1])
    with serving(script, tls=_server_side(certificate)) as served, pooled(served, ca=certificate) as pool:
        assert ask(pool).failure == "closed"


def test_tls_that_nobody_vouches_for(certificate: Path) -> None:
    with serving(always(answer()), tls=_server_side(certificate)) as served, pooled(served) as pool:
        done = ask(pool)
        assert (done.failure, "certificate is not trusted" in done.detail) == ("unreachable", True)
    assert served.requests == []


def test_tls_with_another_name(certificate: Path) -> None:
    with serving(always(answer()), tls=_server_side(certificate)) as served:
        endpoint = Endpoint.of(f"https://localhost:{served.port}/", ca=certificate)
        pool = Pool(endpoint)
        done = ask(pool)
        pool.close()
        assert (done.failure, "not trusted" in done.detail) == ("unreachable", True)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_no_tls_on_the_other_side(certificate: Path, sent: bytes) -> None:
    def script(taken: socket.socket) -> None:
        taken.recv(1000)
        taken.sendall(sent)

    with serving(script) as served:
        served.scheme = "https"
        with pooled(served, ca=certificate) as pool:
            done = ask(pool)
            assert (done.failure, done.detail[:4]) == ("unreachable", "TLS:")


# Any bytes, in any pieces


#: The kind of a failure, or status, body and headers.
Told = str | tuple[int, bytes, tuple[tuple[str, str], ...]]


def fed(pieces: list[bytes]) -> tuple[Told, bool]:
    """Return what is made of an answer that comes in these pieces, and whether the connection was kept."""
    pool = Pool(Endpoint("h", 1, ((int(socket.AF_INET), ("127.0.0.1", 9)),)))
    ours, theirs = socket.socketpair()
    results: list[tuple[Told, bool]] = []

    def done(connection: Connection) -> None:
        told: Told = connection.failure or (connection.status, connection.body, connection.answer.headers)
        results.append((told, connection.open))

    try:
        connection = pool.take()
        assert connection is not None
        adopt(connection, ours)
        connection.send(b"x", perf_counter() + 5, done)
        for piece in pieces:
            if piece and connection._socket is not None:
                theirs.sendall(piece)
                connection._readable()
                while len(piece) > 65_536 and connection.busy and not results:
                    connection._readable()
        if connection._socket is not None:
            theirs.shutdown(socket.SHUT_WR)
            connection._readable()
        assert len(results) == 1
        return results[0]
    finally:
        pool.close()
        theirs.close()


def adopt(connection: Connection, made: socket.socket) -> None:
    """Give a connection a socket that is open already."""
    made.setblocking(False)
    connection._socket = raw = _socket.socket(fileno=made.detach())
    connection._recv, connection._send = raw.recv, raw.send
    connection._phase = 3
    assert connection.open


EXAMPLES = [
    answer(b'{"isError":false}', "Date: now"),
    CHUNKED,
    TRAILED,
    answer(b"to the end", length=False),
    b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"{}"),
    answer(b"{}") + answer(b"second"),
    answer(b"", status="204 None", length=False),
    answer(b"{}", "Connection: close"),
    answer(gzip.compress(b"{}", mtime=0), "Content-Encoding: gzip"),
]


@pytest.mark.parametrize("sent", EXAMPLES)
def test_every_cut_is_the_same_answer(sent: bytes) -> None:
    whole, _ = fed([sent])
    for at in range(1, len(sent)):
        assert fed([sent[:at], sent[at:]])[0] == whole
    assert fed([bytes([sign]) for sign in sent])[0] == whole


@pytest.mark.parametrize("sent", EXAMPLES)
def test_every_beginning_is_no_answer(sent: bytes) -> None:
    told, _ = fed([sent])
    assert isinstance(told, tuple)
    for at in range(len(sent)):
        ended = fed([sent[:at]])[0]
        if ended != told:
            # Only an answer that lasts to the end of the connection can be cut unnoticed.
            to_the_end = b"Content-Length" not in sent and b"chunked" not in sent
            assert ended == "closed" or to_the_end, at


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Draw an answer with a few bytes put in, left out or exchanged, or another answer behind it."""
    data = bytearray(draw(st.sampled_from(EXAMPLES)))
    pieces = st.sampled_from(
        [b"\r", b"\n", b"\r\n", b" ", b":", b"0", b"5", b"\0", b";", b",", b"\xff", b"\t"]
    )
    lines = st.sampled_from(
        [b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"]
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at:at] = draw(pieces)
            case 1:
                del data[at : at + draw(st.integers(1, 3))]
            case 2:
                data[at : at + 1] = draw(pieces)
            case _:
                data[data.find(b"\r\n") + 2 : data.find(b"\r\n") + 2] = draw(lines)
    return bytes(data)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(spoiled(), st.lists(st.integers(0, 300), max_size=4))
@example(answer(b"{}", "Transfer-Encoding : chunked"), [])
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\n{}", [])
def test_whatever_is_taken_for_an_answer_is_one_to_another_parser_too(sent: bytes, cuts: list[int]) -> None:
    told, kept = fed([sent])
    places = sorted({min(cut, len(sent)) for cut in cuts})
    pieces = [sent[a:b] for a, b in zip([0, *places], [*places, len(sent)], strict=True)]
    assert fed(pieces)[0] == told
    if isinstance(told, str):
        return
    try:
        response = first_response(sent, "POST")
    except WireError as error:
        # White space before a chunk's extension is "bad", and has to be read (RFC 9112, 7.1.1); llhttp refuses it.
        if "chunk extensions" not in str(error):
            raise AssertionError(f"{sent!r}: {told} and {error}") from error
        return
    status, body, headers = told
    assert (response.status, response.body) == (status, body)
    assert [(name, value.strip(" \t")) for name, value in response.headers] == list(headers)
    if kept:
        assert whole_length(sent) == len(sent)


def whole_length(sent: bytes) -> int:
    """Return how many bytes another parser takes for one answer, 1xx before it included."""
    for size in range(1, len(sent) + 1):
        reading = _Reading()
        try:
            reading.parser.feed_data(sent[:size])
        except httptools.HttpParserError:
            return -1
        if reading.statuses and reading.statuses[-1] >= 200:
            return size
    return -1


class _Reading:
    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_message_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_an_answer(sent: bytes) -> None:
    assert fed([sent])[0] in ("closed", "garbled")


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_of_odd_servers_mixes_nothing_up(seed: int) -> None:
    wanted, users = 400, 16
    ends: list[tuple[int, str | None]] = []
    wrong: list[tuple[int, bytes]] = []
    numbers = iter(range(wanted))
    at_work = set[int]()

    with serving(odd(seed)) as served, pooled(served, limit=users) as pool:

        def next_one(connection: Connection) -> None:
            number = next(numbers, None)
            pool.give(connection)
            if number is None:
                return
            taken = pool.take()
            assert taken is not None
            body = b"%d:%s" % (number, b"x" * (number % 7 * 40))
            taken.call = number
            at_work.add(number)
            raw = b"POST /api/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            taken.send(raw, perf_counter() + 0.2, done)

        def done(connection: Connection) -> None:
            at_work.remove(connection.call)
            ends.append((connection.call, connection.failure))
            if connection.failure is None:
                try:
                    right = json.loads(connection.body)["number"] == connection.call
                except ValueError:
                    right = False
                if not right:
                    wrong.append((connection.call, connection.body[:60]))
            next_one(connection)

        for _ in range(users):
            first = pool.take()
            assert first is not None
            next_one(first)
        until_all = perf_counter() + 30
        while at_work and perf_counter() < until_all:
            gevent.sleep(0.01)
    assert not at_work
    assert not wrong
    assert sorted(number for number, _ in ends) == list(range(wanted))
    kinds = Counter(kind for _, kind in ends)
    assert kinds[None] > wanted / 4
    assert {"closed", "garbled", "timeout"} <= kinds.keys()
    assert numbered(7) == b'{"number":7,"padding":""}'
