"""Requests as bytes over a socket, and the responses that come back, exactly as they came.

No HTTP library would send what some rules ask for (two Content-Lengths, a bare line feed, a path with `..`
in it), and none keeps the raw bytes of both directions. So the suite speaks through this module: a socket,
TLS where the URL says so, and `httptools` (llhttp, the parser of Node.js) to read what comes back. It
observes: it follows no redirect, stores no cookie, repairs nothing.
"""

from __future__ import annotations

import contextlib
import errno
import re
import select
import socket
import ssl
import time
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools

from conformance.protocol.exchange import Failure, Response
from conformance.protocol.reach import proxy_hint

__all__ = [
    "CAP",
    "HEAD_CAP",
    "VALUES",
    "Address",
    "Connection",
    "WireError",
    "decode_content",
    "first_response",
]

#: The most bytes of one response that are read: 16 MB, before and after decoding; of its head, 256 kB.
CAP = 16 * 1024 * 1024
HEAD_CAP = 256 * 1024

#: The most values that a large JSON text may hold: each costs a hundred bytes and more once it is read.
VALUES = 250_000

#: Of a larger response only the beginning is kept as it came over the wire.
_LARGE = 1024 * 1024

#: The most texts in a row that one gzip body is made of.
_MEMBERS = 16

#: A longer request may meet an answer before it has left, so it is sent with an eye on what comes back.
_AT_ONCE = 16 * 1024

#: So many seconds the rest of a request is offered to someone who has said something and takes no more.
_PATIENCE = 0.5


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
        host = parts.hostname or ""
        if not host.isascii():
            with contextlib.suppress(UnicodeError):
                host = host.encode("idna").decode()
        return cls(parts.scheme, host, port, path if path.endswith("/") else path + "/")

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


#: A fold of a header line (obs-fold of RFC 9112, section 5.2).
_FOLD = re.compile(rb"(?<![ \t])[ \t]*\r\n[ \t]+")


def unfolded(head: bytes) -> bytes:
    """Return a head with each folded header line in one: a fold is read as a blank (RFC 9112, section 5.2)."""
    first, end, rest = head.partition(b"\r\n")
    return first + end + _FOLD.sub(b" ", rest)


class _Reading:
    """Reads one response, 1xx before it passed over, out of bytes as they come."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []
        self.total = 0
        self.head = 0
        self.heads = False
        self.complete = False
        self.beyond = False
        self.keep = True
        self.status = 0
        self.version = "1.1"
        self._parser: Any = httptools.HttpResponseParser(self)
        #: Bytes of a head that are kept back: the next ones tell whether they begin a fold.
        self._held = b""
        self._in_status_line = True

    def feed(self, data: bytes) -> bool:
        """Take bytes in; return whether the response is whole.

        Raises:
            WireError: kind "garbled" or "oversize".

        """
        self.total += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserUpgrade:
            self.keep = False
        except httptools.HttpParserError as error:
            if not self._whole:
                raise WireError("garbled", f"not an HTTP response: {error}") from error
            # A second message in the same bytes is none of ours; the connection is not used again.
            self.beyond = True
        if self.total > CAP:
            raise WireError("oversize", f"the response is larger than {CAP // 1024 // 1024} MB")
        if self.head > HEAD_CAP or (not self.heads and self.total > HEAD_CAP):
            raise WireError("oversize", f"the head of the response is larger than {HEAD_CAP // 1024} kB")
        return self._whole

    def _parse(self, data: bytes) -> None:
        """Give bytes to the parser, folded header lines of a head in one line each."""
        while data and not self.heads:
            data = self._held + data
            self._held = b""
            end = data.find(b"\r\n\r\n")
            part, data = (data, b"") if end < 0 else (data[: end + 4], data[end + 4 :])
            if end < 0:
                # The next bytes tell whether the line ends here, is folded, or was the last one.
                begun = len(part.rstrip(b" \t\r\n"))
                part, self._held = part[:begun], part[begun:]
            first = b""
            if self._in_status_line:
                first, line_end, part = part.partition(b"\r\n")
                first += line_end
                self._in_status_line = not line_end
            self._parser.feed_data(first + _FOLD.sub(b" ", part))
        if data:
            self._parser.feed_data(data)

    @property
    def _whole(self) -> bool:
        return self.complete or (self.heads and self.verb == "HEAD")

    @property
    def kept(self) -> bool:
        """Whether another response may come on the same connection; what follows a HEAD is never certain."""
        return self.keep and not self.beyond and self.verb != "HEAD"

    def release(self) -> None:
        """Let go of the parser, which knows this reading in turn: large bodies are not to wait for a collector."""
        self._parser = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        self.beyond = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the body come trailers, which are no headers.
        if not self.heads:
            self.head += len(name) + len(value)
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self.beyond:
            return
        self.heads = True
        self.status = self._parser.get_status_code()
        self.version = self._parser.get_http_version()
        # The parser forgets what it was told of the connection once the message is complete.
        self.keep = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self.beyond:
            self.body.append(data)

    def on_message_complete(self) -> None:
        if self.beyond:
            return
        if 100 <= self.status < 200 and self.status != 101:
            self.headers.clear()
            self.heads = False
            self._in_status_line = True
        else:
            self.complete = True

    # What is made of it.

    def response(self, raw: bytes) -> Response:
        """Return the response.

        Raises:
            WireError: kind "oversize", where the body decodes to more than the cap.

        """
        body = b"".join(self.body)
        for name, value in reversed(self.headers):
            if name.lower() == "content-encoding":
                for coding in reversed(value.split(",")):
                    body = decode_content(body, coding.strip().lower())
        if len(body) > _LARGE and sum(map(body.count, (b",", b"[", b"{"))) > VALUES:
            raise WireError("oversize", f"the response holds more than {VALUES:,} values")
        return Response(self.status, tuple(self.headers), body, raw, f"HTTP/{self.version}")

    def at_end(self, raw: bytes) -> Response:
        """Return the response where the connection ended before it was known to be whole.

        Raises:
            WireError: kind "closed" or "garbled", where it is not.

        """
        if not raw:
            raise WireError("closed", "the connection was closed without an answer")
        if self.heads:
            fields = {name.lower(): value.lower() for name, value in self.headers}
            if "content-length" not in fields and "chunked" not in fields.get("transfer-encoding", ""):
                return self.response(raw)
            raise WireError("closed", "the connection was closed in the middle of the body", raw[:4096])
        raise WireError("closed", "the connection was closed in the middle of the head", raw[:4096])


def first_response(raw: bytes, verb: str) -> Response:
    """Return the first response in all that came until a connection ended.

    Raises:
        WireError: there is no whole one.

    """
    reading = _Reading(verb)
    try:
        return reading.response(raw) if raw and reading.feed(raw) else reading.at_end(raw)
    finally:
        reading.release()


class Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None, *, deadline: float) -> None:
        """Connect before `deadline` (a moment of `time.monotonic`).

        Raises:
            WireError: kind "unreachable", when no connection can be had.

        """
        self.open = True
        self._broken_off = False
        try:
            self.socket = _connect(address, deadline)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.socket.settimeout(_left(deadline))
                self.socket = tls.wrap_socket(self.socket, server_hostname=address.host)
        except TimeoutError as error:
            hint = proxy_hint(address.scheme, address.host)
            raise WireError("unreachable", f"no connection within the deadline{hint}") from error
        except ssl.SSLCertVerificationError as error:
            why = f"TLS: the certificate is not trusted: {error.verify_message}"
            raise WireError("unreachable", why) from error
        except ssl.SSLError as error:
            why = (error.reason or str(error)).lower().replace("_", " ")
            raise WireError("unreachable", f"TLS: {why}") from error
        except (OSError, UnicodeError) as error:
            hint = proxy_hint(address.scheme, address.host)
            raise WireError("unreachable", f"{_os_error(error)}{hint}") from error

    def close(self) -> None:
        """Close the connection; never raises."""
        self.open = False
        with contextlib.suppress(OSError):
            self.socket.close()

    @property
    def stale(self) -> bool:
        """Whether the other side has closed the connection, or sent what nobody asked for."""
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
            if len(data) > _AT_ONCE:
                self._broken_off = not self._send_long(data, deadline)
            else:
                self.socket.settimeout(_left(deadline))
                self.socket.sendall(data)
        except TimeoutError as error:
            self.close()
            raise WireError("timeout", "the request could not be sent within the deadline") from error
        except OSError:
            self._broken_off = True
        return not self._broken_off

    def _send_long(self, data: bytes, deadline: float) -> bool:
        """Send bytes; return False where the other side has said something and takes no more."""
        rest = memoryview(data)
        self.socket.settimeout(0)
        poll = select.poll()
        while rest:
            try:
                sent = self.socket.send(rest[:262_144])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            else:
                rest = rest[sent:]
                continue
            left = _left(deadline)
            poll.register(self.socket, select.POLLOUT | select.POLLIN)
            if not poll.poll(left * 1000):
                raise TimeoutError
            poll.register(self.socket, select.POLLOUT)
            if not poll.poll(min(_left(deadline), _PATIENCE) * 1000):
                return False
        return True

    def read(self, verb: str, *, deadline: float) -> Response:
        """Read one response to a request of this verb, passing over 1xx.

        Raises:
            WireError: "closed", "timeout", "garbled" or "oversize".

        """
        reading = _Reading(verb)
        raw: list[bytes] = []
        try:
            while True:
                data = self._receive(deadline, reading.total)
                if not data:
                    self.close()
                    return reading.at_end(b"".join(raw))
                if reading.total <= _LARGE:
                    raw.append(data)
                if reading.feed(data):
                    break
            response = reading.response(b"".join(raw))
        except WireError as error:
            self.close()
            error.received = error.received or b"".join(raw[:2])[:4096]
            raise
        finally:
            reading.release()
        if self._broken_off or not reading.kept:
            self.close()
        return response

    def read_all(self, *, deadline: float) -> tuple[bytes, bool]:
        """Read until the other side closes, the deadline passes or `CAP` is reached; say whether it did."""
        raw: list[bytes] = []
        total = 0
        while total < CAP:
            try:
                data = self._receive(deadline, total)
            except WireError as error:
                return b"".join(raw), error.failure.kind == "closed"
            if not data:
                return b"".join(raw), True
            raw.append(data)
            total += len(data)
        return b"".join(raw), False

    def _receive(self, deadline: float, before: int) -> bytes:
        try:
            self.socket.settimeout(_left(deadline))
            return self._recv(65_536)
        except TimeoutError as error:
            told = f"after {before} bytes of it" if before else "not a byte"
            raise WireError("timeout", f"no whole answer within the deadline, {told}") from error
        except OSError as error:
            if error.errno == errno.ECONNRESET and before:
                return b""
            raise WireError("closed", _os_error(error)) from error

    def _recv(self, size: int) -> bytes:
        try:
            return self.socket.recv(size)
        except ssl.SSLError as error:
            # OpenSSL keeps one list of errors for all that a thread does, and tells them to whoever asks next. What is
            # not of this connection is gone with that; what is of it comes again, or is its end.
            with contextlib.suppress(ssl.SSLError):
                if data := self.socket.recv(size):
                    return data
            raise error


def _left(deadline: float) -> float:
    """Return how many seconds there are until the deadline.

    Raises:
        TimeoutError: it has passed.

    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(address: Address, deadline: float) -> socket.socket:
    """Connect to the first of the host's addresses that takes the connection.

    Raises:
        OSError: none does, or not before the deadline (TimeoutError).

    """
    problem: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(_left(deadline))
            made.connect(where)
        except OSError as error:
            made.close()
            problem = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem or OSError("the host has no address")


def decode_content(body: bytes, coding: str) -> bytes:
    """Undo gzip or deflate, up to the cap; what cannot be undone stays as it came."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return body
    decoded: list[bytes] = []
    total, rest = 0, body
    try:
        # A gzip text may be several in a row; of too many, each of which costs a copy of the rest, none is read.
        for _ in range(_MEMBERS):
            if not rest:
                break
            stream = zlib.decompressobj(wbits=15 if coding == "deflate" else 31)
            decoded.append(stream.decompress(rest, CAP + 1 - total))
            total += len(decoded[-1])
            if total > CAP:
                raise WireError("oversize", f"the response decodes to more than {CAP // 1024 // 1024} MB")
            if not stream.eof:
                return body
            rest = stream.unused_data if coding != "deflate" else b""
    except zlib.error:
        return body
    if rest:
        raise WireError("oversize", f"the response is gzip of more than {_MEMBERS} parts")
    return b"".join(decoded)


def _os_error(error: OSError | UnicodeError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
