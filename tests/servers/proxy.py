"""A small HTTP proxy: tunnels (CONNECT) and requests in absolute form, with a name and a password if it has any.

It passes on one request of a connection in absolute form and then closes; a tunnel stays until one side ends.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

__all__ = ["Proxy", "proxying"]

_MAX_BYTES = 65_536


class Proxy:
    """A proxy on a free port of the loopback address."""

    def __init__(self, credentials: str | None = None, *, refuses: bool = False) -> None:
        """`credentials` are `name:password`; with `refuses` every request is answered 403."""
        self._expected = None if credentials is None else base64.b64encode(credentials.encode())
        self._refuses = refuses
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: The first line of each request.
        self.lines: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Accept no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(taken,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received:
                if not (data := client.recv(_MAX_BYTES)):
                    return
                received += data
            head, _, rest = received.partition(b"\r\n\r\n")
            first, *fields = head.split(b"\r\n")
            self.lines.append(first.decode("latin-1"))
            verb, target, version = first.split(b" ", 2)
            retained = [line for line in fields if not line.lower().startswith((b"proxy-", b"connection:"))]
            if self._refuses:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            elif not self._authorized(fields):
                client.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
            elif verb == b"CONNECT":
                host, _, port = target.decode().rpartition(":")
                with socket.create_connection((host, int(port))) as upstream:
                    client.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
                    _join(client, upstream, rest)
            else:
                parts = urlsplit(target.decode("latin-1"))
                path = target.partition(b"://")[2].partition(b"/")[2]
                with socket.create_connection((parts.hostname or "", parts.port or 80)) as upstream:
                    lines = [verb + b" /" + path + b" " + version, *retained, b"Connection: close"]
                    _join(client, upstream, b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _authorized(self, fields: list[bytes]) -> bool:
        if self._expected is None:
            return True
        return any(
            name.lower() == b"proxy-authorization" and value.strip() == b"Basic " + self._expected
            for name, _, value in (line.partition(b":") for line in fields)
        )


def _join(client: socket.socket, upstream: socket.socket, first: bytes) -> None:
    """Pass bytes on in both directions until the upstream side ends."""
    upstream.sendall(first)

    def onward() -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_MAX_BYTES):
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_WR)

    threading.Thread(target=onward, daemon=True).start()
    while data := upstream.recv(_MAX_BYTES):
        client.sendall(data)


@contextlib.contextmanager
def proxying(credentials: str | None = None, *, refuses: bool = False) -> Iterator[Proxy]:
    """Run a proxy."""
    proxy = Proxy(credentials, refuses=refuses)
    try:
        yield proxy
    finally:
        proxy.close()
