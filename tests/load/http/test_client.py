"""The lean client frames answers by the letter, ends every request, and never takes one answer for another."""

from __future__ import annotations

import gzip
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
import pytest

from conformance.protocol.wire import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES
from load.http.connection import Connection
from load.http.endpoint import Endpoint
from load.http.pool import Pool
from tests.conformance.protocol.test_wire import CHUNKED, TRAILED
from tests.support.lacking import lacking
from tests.support.scripted_server import Served, always, answer, replying, reset, serving, take

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
    ("sent", "body", "stays_open"),
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
def test_every_framing(sent: bytes, body: bytes, stays_open: bool) -> None:
    with (
        serving(replying(*[sent] * (1 + stays_open), close=not stays_open)) as served,
        pooled(served) as pool,
    ):
        for _ in range(2):
            done = ask(pool)
            assert (done.failure, done.body) == (None, body)
            assert (done.status, done.head.partition(b"\r\n\r\n")[1]) == (int(done.head[9:12]), b"\r\n\r\n")
    assert pool.opened == (1 if stays_open else 2)
    assert pool.reopened == pool.failed == pool.strays == 0


def test_a_request_goes_out_as_it_is_given() -> None:
    with serving(always(answer())) as served, pooled(served) as pool:
        for size in (2, 70_000, 6_000_000):
            raw = b"POST /y HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"z" * size
            assert ask(pool, raw).status == 200
            assert served.requests[-1] == raw
    assert served.accepted == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_are_retained(host: str) -> None:
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


def test_what_is_reported_of_an_answer() -> None:
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
        result = f"after {len(sent)} bytes" if sent else "not a byte"
        assert (done.failure, result in done.detail) == ("timeout", True)
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


def test_an_idle_connection_that_was_closed_is_not_used() -> None:
    with serving(replying(answer())) as served, pooled(served) as pool:
        first = ask(pool)
        assert first.open
        until(lambda: not first.open)
        assert (ask(pool).failure, len(pool)) == (None, 1)
    assert (served.accepted, pool.failed, pool.strays) == (2, 0, 0)


def test_an_idle_connection_that_closes_as_the_request_goes_out_has_not_refused_it() -> None:
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
    """Gets the error of another connection now and then, as any connection of a thread may."""

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
    """An error of the connection itself comes again, and is reported as it was the first time."""

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
