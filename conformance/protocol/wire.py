"""Requests as bytes over a socket, and the responses that come back, exactly as they came.

No HTTP library would send what some rules ask for (two Content-Lengths, a bare line feed, a path with `..` in
it), and none keeps the raw bytes of both directions. So the suite speaks through this module: a socket, TLS
where the URL says so, and `httptools` (llhttp, the parser of Node.js) to read what comes back. It observes: it
follows no redirect, stores no cookie, repairs nothing.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import socket
import ssl
import time
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

from conformance.protocol.exchange import Failure, Response

__all__ = ["CAP", "Address", "Connection", "WireError"]

#: The most bytes of one response that are read: 16 MB, before and after decoding.
CAP = 16 * 1024 * 1024


class WireError(Exception):
    """There is no answer; `failure` says why, and `received` holds what came before it broke."""

    def __init__(self, kind: str, detail: str, received: bytes = b"") -> None:
        super().__init__(detail)
        self.failure = Failure(kind, detail)
        self.received = received


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL leads: scheme, host, port, and the path that calls are appended to (ends in "/")."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a base URL."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        path = parts.path or "/"
        return cls(parts.scheme, parts.hostname or "", port, path if path.endswith("/") else path + "/")

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


@dataclass
class _Reading:
    """Collects the callbacks of the parser for one response."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    heads: bool = False
    complete: bool = False
    beyond: bool = False
    keep: bool = True
    status: int = 0
    version: str = "1.1"
    parser: Any = None

    def on_message_begin(self) -> None:
        # A second message in the same bytes is none of ours; the connection is not used again.
        self.beyond = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.beyond:
            return
        self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self.beyond:
            return
        self.heads = True
        self.status = self.parser.get_status_code()
        self.version = self.parser.get_http_version()
        # The parser forgets what it was told of the connection once the message is complete.
        self.keep = self.parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self.beyond:
            self.body.append(data)

    def on_message_complete(self) -> None:
        self.complete = True


class Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None, *, deadline: float) -> None:
        """Connect before `deadline` (a moment of `time.monotonic`).

        Raises:
            WireError: kind "unreachable", when no connection can be had.

        """
        self.uses = 0
        self.open = True
        try:
            remaining = max(0.001, deadline - time.monotonic())
            self.socket = socket.create_connection((address.host, address.port), timeout=remaining)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=address.host)
        except TimeoutError as error:
            raise WireError("unreachable", "no connection within the deadline") from error
        except ssl.SSLError as error:
            raise WireError("unreachable", f"TLS: {error.reason or error}") from error
        except OSError as error:
            raise WireError("unreachable", _os_error(error)) from error

    def close(self) -> None:
        """Close the connection; never raises."""
        self.open = False
        with contextlib.suppress(OSError):
            self.socket.close()

    @property
    def stale(self) -> bool:
        """Whether the other side has closed the connection, or sent what nobody asked for, since the last answer."""
        if not self.open:
            return True
        try:
            self.socket.settimeout(0)
            self.socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def send(self, data: bytes, *, deadline: float) -> bool:
        """Send bytes; return False where the other side stopped listening (it may have answered early).

        Raises:
            WireError: kind "timeout", when the bytes do not leave before the deadline.

        """
        try:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            self.socket.sendall(data)
        except TimeoutError as error:
            raise WireError("timeout", "the request could not be sent within the deadline") from error
        except OSError:
            return False
        return True

    def read(self, verb: str, *, deadline: float) -> Response:
        """Read one response to a request of this verb, passing over 1xx.

        Raises:
            WireError: "closed", "timeout", "garbled" or "oversize".

        """
        reading, parser = _start()
        raw: list[bytes] = []
        total = 0
        while True:
            data = self._receive(deadline, raw)
            if not data:
                return self._at_end(reading, raw)
            raw.append(data)
            total += len(data)
            if total > CAP:
                self.close()
                raise WireError(
                    "oversize", f"the response is larger than {CAP // 1024 // 1024} MB", _head(raw)
                )
            try:
                parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                pass
            except httptools.HttpParserError as error:
                if not reading.complete:
                    self.close()
                    raise WireError("garbled", f"not an HTTP response: {error}", _head(raw)) from error
                reading.beyond = True
            if not reading.heads:
                continue
            status = reading.status
            if 100 <= status < 200 and reading.complete:
                rest = b"".join(raw).partition(b"\r\n\r\n")[2]
                reading, parser = _start()
                raw, total = [], 0
                if rest:
                    raw, total = [rest], len(rest)
                    with contextlib.suppress(httptools.HttpParserError):
                        parser.feed_data(rest)
                if not (reading.heads and (reading.complete or verb == "HEAD")):
                    continue
                status = reading.status
            if reading.complete or verb == "HEAD" or status in (204, 304):
                if not reading.keep or reading.beyond:
                    self.close()
                self.uses += 1
                return self._response(reading, raw)

    def read_all(self, *, deadline: float) -> bytes:
        """Read until the other side closes or the deadline passes, at most `CAP` bytes."""
        raw: list[bytes] = []
        total = 0
        while total < CAP:
            try:
                data = self._receive(deadline, raw)
            except WireError:
                break
            if not data:
                break
            raw.append(data)
            total += len(data)
        return b"".join(raw)

    def _receive(self, deadline: float, raw: list[bytes]) -> bytes:
        try:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            return self.socket.recv(65536)
        except TimeoutError as error:
            self.close()
            told = f"after {sum(map(len, raw))} bytes of it" if raw else "not a byte"
            raise WireError("timeout", f"no whole answer within the deadline, {told}", _head(raw)) from error
        except OSError as error:
            if error.errno == errno.ECONNRESET and raw:
                return b""
            self.close()
            raise WireError("closed", _os_error(error), _head(raw)) from error

    def _at_end(self, reading: _Reading, raw: list[bytes]) -> Response:
        self.close()
        if not raw:
            raise WireError("closed", "the connection was closed without an answer")
        if reading.heads:
            names = {name.lower() for name, _ in reading.headers}
            if "content-length" not in names and "transfer-encoding" not in names:
                return self._response(reading, raw)
            raise WireError("closed", "the connection was closed in the middle of the body", _head(raw))
        if not b"".join(raw)[:5].startswith(b"HTTP/"[: len(b"".join(raw)[:5])]):
            raise WireError("garbled", "not an HTTP response", _head(raw))
        raise WireError("closed", "the connection was closed in the middle of the head", _head(raw))

    def _response(self, reading: _Reading, raw: list[bytes]) -> Response:
        body = b"".join(reading.body)
        for name, value in reading.headers:
            if name.lower() == "content-encoding":
                body = _decode(body, value.strip().lower())
        return Response(
            reading.status, tuple(reading.headers), body, b"".join(raw), f"HTTP/{reading.version}"
        )


def _start() -> tuple[_Reading, Any]:
    reading = _Reading()
    reading.parser = httptools.HttpResponseParser(reading)
    return reading, reading.parser


def _decode(body: bytes, coding: str) -> bytes:
    """Undo gzip or deflate, up to the cap; what cannot be undone stays as it came."""
    try:
        if coding in ("gzip", "x-gzip"):
            stream = zlib.decompressobj(wbits=31)
        elif coding == "deflate":
            stream = zlib.decompressobj(wbits=15)
        else:
            return body
        decoded = stream.decompress(body, CAP + 1)
    except (zlib.error, gzip.BadGzipFile):
        return body
    if len(decoded) > CAP:
        raise WireError("oversize", f"the response decodes to more than {CAP // 1024 // 1024} MB")
    return decoded


def _head(raw: list[bytes]) -> bytes:
    return b"".join(raw[:2])[:4096]


def _os_error(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
