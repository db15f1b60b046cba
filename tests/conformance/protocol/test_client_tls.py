"""The client over TLS: certificates, names, and failures within a connection."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from conformance.protocol.client import Client
from tests.support.lacking import lacking
from tests.support.scripted_client import connect
from tests.support.scripted_server import (
    always,
    answer,
    replying,
    running,
    serving,
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that nobody vouches for, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        lacking("making a certificate takes the command openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(cert)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def _server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_tls_that_nobody_vouches_for(certificate: tuple[Path, Path]) -> None:
    with serving(always(answer()), tls=_server_side(certificate)) as served:
        client = connect(served)
        exchange = client.send("x", b"{}")
        client.close()
    assert exchange.failure is not None
    assert exchange.failure.kind == "unreachable"
    assert "certificate is not trusted" in exchange.failure.detail
    assert "self-signed" in exchange.failure.detail
    assert served.requests == []


def test_tls_with_the_profiles_ca(certificate: tuple[Path, Path]) -> None:
    with serving(always(answer()), replying(answer()), tls=_server_side(certificate)) as served:
        client = connect(served, ca=certificate[0])
        assert [client.send("x", b"{}").status for _ in range(3)] == [200] * 3
        assert served.accepted == 1
        assert client.send("x", b"x" * (4 << 20)).status == 200
        exchange, received = client.send_bytes(b"POST /y HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" * 2)
        client.close()
    assert served.requests[0].startswith(b"POST /api/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert len(served.requests[3]) > 4 << 20
    assert exchange.request.url == f"https://127.0.0.1:{served.port}/y"
    assert received.startswith(answer())


class _Blamed(ssl.SSLSocket):
    """A TLS connection that sometimes gets the error of another connection of its thread."""

    reads = 0

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        _Blamed.reads += 1
        if _Blamed.reads % 3 == 1:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "[SSL] internal error")
        return super().recv(buflen, flags)


def test_errors_of_others_within_tls(certificate: tuple[Path, Path]) -> None:
    sent = answer(b"y" * 3_000_000)
    with serving(always(sent), tls=_server_side(certificate)) as served:
        client = connect(served, ca=certificate[0])
        assert client._tls is not None
        client._tls.sslsocket_class = _Blamed
        _Blamed.reads = 0
        for _ in range(5):
            exchange = client.send("x", b"{}")
            assert exchange.failure is None
            assert exchange.response is not None
            assert exchange.response.body == b"y" * 3_000_000
        client.close()
    assert _Blamed.reads > 5


def test_what_is_no_tls_after_all(certificate: tuple[Path, Path]) -> None:
    """Report an error of the connection itself as it first occurred, also when it is repeated."""

    def script(taken: socket.socket) -> None:
        taken.recv(1000)
        socket.socket.sendall(taken, b"\x17\x03\x03\x00\x40" + b"z" * 64)
        time.sleep(0.2)

    with serving(script, tls=_server_side(certificate)) as served:
        client = connect(served, ca=certificate[0])
        exchange = client.send("x", b"{}")
        client.close()
    assert exchange.failure is not None
    assert exchange.failure.kind == "closed"
    assert "bad record mac" in exchange.failure.detail


def test_tls_with_another_name(certificate: tuple[Path, Path]) -> None:
    with serving(always(answer()), tls=_server_side(certificate)) as served:
        client = Client(f"https://localhost:{served.port}/", ca=certificate[0], timeout=3)
        exchange = client.send("x", b"{}")
        client.close()
    assert exchange.failure is not None
    assert exchange.failure.kind == "unreachable"
    assert "not trusted" in exchange.failure.detail


def test_tls_early_answer_and_stale(certificate: tuple[Path, Path]) -> None:
    def early(taken: socket.socket) -> None:
        taken.recv(1000)
        taken.sendall(answer(status="413 Payload Too Large"))
        running[-1].done.wait(5)

    tls = _server_side(certificate)
    with serving(replying(answer()), early, replying(answer(), close=False), tls=tls) as served:
        client = connect(served, ca=certificate[0])
        assert client.send("x", b"{}").status == 200
        time.sleep(0.05)
        assert client.send("x", b"x" * (24 << 20)).status == 413
        assert client.send("x", b"{}").status == 200
        assert served.accepted == 3
        client.close()


def test_tls_where_none_is_spoken() -> None:
    def script(taken: socket.socket) -> None:
        taken.recv(1000)
        taken.sendall(answer(status="400 Bad Request"))

    with serving(script) as served:
        client = Client(served.url.replace("http:", "https:"), timeout=3)
        exchange = client.send("x", b"{}")
    assert exchange.failure is not None
    assert exchange.failure.kind == "unreachable"
    assert exchange.failure.detail == "TLS: wrong version number"


def test_a_handshake_that_never_comes() -> None:
    def script(taken: socket.socket) -> None:
        running[-1].done.wait(90)

    with serving(script) as served:
        client = Client(served.url.replace("http:", "https:"), timeout=0.3)
        begun = time.monotonic()
        exchange = client.send("x", b"{}")
        assert time.monotonic() - begun < 60
    assert exchange.failure is not None
    assert exchange.failure.kind == "unreachable"
    assert "deadline" in exchange.failure.detail
