"""A server on a loopback address that runs a script for each connection, and one request sent to it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from conformance.protocol.exchange import Response
from conformance.protocol.wire import (
    Address,
    Connection,
    WireError,
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
