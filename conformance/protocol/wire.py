"""Connections: exact request bytes over a socket, and the responses exactly as received.

Some rules need requests that no HTTP library sends (two Content-Lengths, a bare line feed, a path with `..`), and no
library retains the raw bytes of both directions. Therefore this module uses a socket, TLS if the URL asks for it, and
`httptools` (llhttp, the parser of Node.js) to read responses. It follows no redirect, stores no cookie and repairs
nothing.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools

from conformance.protocol.exchange import Failure, Response
from conformance.protocol.reach import proxy_hint

__all__ = [
    "MAX_HEAD_BYTES",
    "MAX_JSON_VALUES",
    "MAX_RESPONSE_BYTES",
    "Address",
    "Connection",
    "ResponseReader",
    "WireError",
    "decode_content",
    "decoded",
    "first_response",
]

#: Maximum size of one response before and after decoding, and of its head.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 256 * 1024

#: Maximum number of values in a large JSON text; each takes a hundred bytes or more when it is parsed.
MAX_JSON_VALUES = 250_000

#: Bytes that are retained of what arrives unasked.
MAX_SURPLUS_BYTES = 4096

#: Raw bytes of a response that are retained.
MAX_RETAINED_RAW_BYTES = 1024 * 1024

#: Maximum number of gzip members in one body.
MAX_GZIP_MEMBERS = 16

#: The longer part of an answer fills packets, which are acknowledged as they come.
MAX_QUICKLY_ACKNOWLEDGED_BYTES = 64 * 1024
#: The option of Linux by which a socket acknowledges at once what it has received; None elsewhere.
_QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)

#: A longer request may be answered before all of it is sent, so the socket is also watched for input.
MAX_BLOCKING_SEND_BYTES = 16 * 1024

#: Seconds to wait until a target that has already sent something accepts more of the request.
STALLED_SEND_SECONDS = 0.5


class WireError(Exception):
    """There is no response: `failure` is the reason, `received` holds the bytes received before it."""

    def __init__(self, kind: str, detail: str, received: bytes = b"") -> None:
        super().__init__(detail)
        self.failure = Failure(kind, detail)
        self.received = received


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed base URL: scheme, host, port, and the path that calls are appended to (it ends in "/")."""

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


#: A line break within a header field (obs-fold of RFC 9112, section 5.2).
_OBS_FOLD = re.compile(rb"(?<![ \t])[ \t]*\r\n[ \t]+")


def unfolded(head: bytes) -> bytes:
    """Return a head with each folded header field on one line: a fold is a space (RFC 9112, section 5.2)."""
    first, end, rest = head.partition(b"\r\n")
    return first + end + _OBS_FOLD.sub(b" ", rest)


class ResponseReader:
    """Parses one response incrementally; interim (1xx) responses are skipped."""

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
        #: Bytes of a head that are not parsed yet, since they may begin a fold.
        self._pending = b""
        self._in_status_line = True

    def feed(self, data: bytes) -> bool:
        """Parse more bytes; return whether the response is complete.

        Raises:
            WireError: kind "garbled" or "oversize".

        """
        self.total += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserUpgrade:
            self.keep = False
        except httptools.HttpParserError as error:
            if not self._is_complete:
                raise WireError("garbled", f"not an HTTP response: {error}") from error
            # A second message in the same bytes does not belong to this request; the connection is not used again.
            self.beyond = True
        if self.total > MAX_RESPONSE_BYTES:
            raise WireError(
                "oversize", f"the response is larger than {MAX_RESPONSE_BYTES // 1024 // 1024} MB"
            )
        if self.head > MAX_HEAD_BYTES or (not self.heads and self.total > MAX_HEAD_BYTES):
            raise WireError(
                "oversize", f"the head of the response is larger than {MAX_HEAD_BYTES // 1024} kB"
            )
        return self._is_complete

    def _parse(self, data: bytes) -> None:
        """Pass bytes to the parser, with each folded header field on one line."""
        while data and not self.heads:
            data = self._pending + data
            self._pending = b""
            end = data.find(b"\r\n\r\n")
            part, data = (data, b"") if end < 0 else (data[: end + 4], data[end + 4 :])
            if end < 0:
                # The next bytes decide whether the line ends here, is folded, or was the last one.
                begun = len(part.rstrip(b" \t\r\n"))
                part, self._pending = part[:begun], part[begun:]
            first = b""
            if self._in_status_line:
                first, line_end, part = part.partition(b"\r\n")
                first += line_end
                self._in_status_line = not line_end
            self._parser.feed_data(first + _OBS_FOLD.sub(b" ", part))
        if data:
            self._parser.feed_data(data)

    @property
    def _is_complete(self) -> bool:
        return self.complete or (self.heads and self.verb == "HEAD")

    @property
    def reusable(self) -> bool:
        """Whether the connection may be used again; after a HEAD that is never certain."""
        return self.keep and not self.beyond and self.verb != "HEAD"

    def release(self) -> None:
        """Break the reference cycle with the parser, so that large bodies are freed at once."""
        self._parser = None

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        """Note whether another message begins after the response."""
        self.beyond = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        # Fields after the body are trailers, not headers.
        if not self.heads:
            self.head += len(name) + len(value)
            self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Take the status and the version."""
        if self.beyond:
            return
        self.heads = True
        self.status = self._parser.get_status_code()
        self.version = self._parser.get_http_version()
        # The parser no longer knows this once the message is complete.
        self.keep = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if not self.beyond:
            self.body.append(data)

    def on_message_complete(self) -> None:
        """Note that the response is complete, unless it is an interim one."""
        if self.beyond:
            return
        if 100 <= self.status < 200 and self.status != 101:
            self.headers.clear()
            self.heads = False
            self._in_status_line = True
        else:
            self.complete = True

    # The result.

    def response(self, raw: bytes) -> Response:
        """Return the response.

        Raises:
            WireError: kind "oversize", if the body decodes to more than `MAX_RESPONSE_BYTES`.

        """
        body = decoded(b"".join(self.body), self.headers)
        return Response(self.status, tuple(self.headers), body, raw, f"HTTP/{self.version}")

    def at_end(self, raw: bytes) -> Response:
        """Return the response after the connection ended, if it is complete by that.

        Raises:
            WireError: kind "closed", if it is not.

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
    """Return the first response in all bytes of a connection that has ended.

    Raises:
        WireError: there is no complete response.

    """
    reader = ResponseReader(verb)
    try:
        return reader.response(raw) if raw and reader.feed(raw) else reader.at_end(raw)
    finally:
        reader.release()


class Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None, *, deadline: float) -> None:
        """Connect before `deadline` (a time of `time.monotonic`).

        Raises:
            WireError: kind "unreachable", if no connection can be made.

        """
        self.open = True
        #: The beginning of what arrived after the last response and that no request asked for.
        self.surplus = b""
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
        """Whether the target has closed the connection, or sent unsolicited bytes."""
        if not self.open:
            return True
        try:
            self.socket.settimeout(0)
            self.surplus = self.socket.recv(MAX_SURPLUS_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def send(self, data: bytes, *, deadline: float) -> bool:
        """Send bytes; return False if the target stopped reading (it may have responded early).

        Raises:
            WireError: kind "timeout", if the bytes are not sent before the deadline.

        """
        try:
            if len(data) > MAX_BLOCKING_SEND_BYTES:
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
        """Send a long request; return False if the target has sent something and reads no more."""
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
            if not poll.poll(min(_left(deadline), STALLED_SEND_SECONDS) * 1000):
                return False
        return True

    def read(self, verb: str, *, deadline: float) -> Response:
        """Read the response to a request of this verb, skipping interim (1xx) responses.

        Raises:
            WireError: "closed", "timeout", "garbled" or "oversize".

        """
        reader = ResponseReader(verb)
        raw: list[bytes] = []
        try:
            while True:
                data = self._receive(deadline, reader.total)
                if not data:
                    self.close()
                    return reader.at_end(b"".join(raw))
                if reader.total <= MAX_RETAINED_RAW_BYTES:
                    raw.append(data)
                if reader.feed(data):
                    break
                if reader.total <= MAX_QUICKLY_ACKNOWLEDGED_BYTES:
                    self._acknowledge()
            response = reader.response(b"".join(raw))
            if reader.beyond:
                self.surplus = b"".join(raw[-1:])[-MAX_SURPLUS_BYTES:]
        except WireError as error:
            self.close()
            error.received = error.received or b"".join(raw[:2])[:4096]
            raise
        finally:
            reader.release()
        if self._broken_off or not reader.reusable:
            self.close()
        return response

    def _acknowledge(self) -> None:
        """Acknowledge the beginning of an answer at once.

        A target that writes an answer in several pieces may send the next one only then (Nagle), and Linux
        acknowledges 40 ms later of its own accord. For a check of such a target that is most of its time.
        """
        if _QUICK_ACKNOWLEDGEMENT is not None:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGEMENT, 1)

    def read_all(
        self, *, deadline: float, silence: Callable[[float], float] | None = None
    ) -> tuple[bytes, bool]:
        """Return the bytes received, and whether the target closed the connection.

        Reading also ends at the deadline and at `MAX_RESPONSE_BYTES`. `silence` gets the seconds until the first bytes
        arrived, and returns for how many seconds nothing more may arrive before reading ends.
        """
        raw: list[bytes] = []
        total = 0
        begun = time.monotonic()
        until = deadline
        longest = None
        while total < MAX_RESPONSE_BYTES:
            try:
                data = self._receive(until, total)
            except WireError as error:
                return b"".join(raw), error.failure.kind == "closed"
            if not data:
                return b"".join(raw), True
            raw.append(data)
            total += len(data)
            if silence is not None:
                longest = silence(time.monotonic() - begun) if longest is None else longest
                until = min(deadline, time.monotonic() + longest)
        return b"".join(raw), False

    def _receive(self, deadline: float, before: int) -> bytes:
        """Receive bytes before the deadline; `before` is the number of bytes received so far."""
        try:
            self.socket.settimeout(_left(deadline))
            return self._recv(65_536)
        except TimeoutError as error:
            progress = f"after {before} bytes of it" if before else "not a byte"
            raise WireError("timeout", f"no whole answer within the deadline, {progress}") from error
        except OSError as error:
            if error.errno == errno.ECONNRESET and before:
                return b""
            raise WireError("closed", _os_error(error)) from error

    def _recv(self, size: int) -> bytes:
        """Receive bytes; ignore a TLS error that belongs to another connection."""
        try:
            return self.socket.recv(size)
        except ssl.SSLError as error:
            # OpenSSL has one queue of errors per thread, and the next call of any connection reports them. Reading
            # again clears an error of another connection; an error of this one is reported again.
            with contextlib.suppress(ssl.SSLError):
                if data := self.socket.recv(size):
                    return data
            raise error


def _left(deadline: float) -> float:
    """Return the seconds until the deadline.

    Raises:
        TimeoutError: it has passed.

    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(address: Address, deadline: float) -> socket.socket:
    """Connect to the first of the host's addresses that accepts the connection.

    Raises:
        OSError: none accepts it, or not before the deadline (TimeoutError).

    """
    problem: OSError | None = None
    for family, kind, protocol, _, where in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        candidate = socket.socket(family, kind, protocol)
        try:
            candidate.settimeout(_left(deadline))
            candidate.connect(where)
        except OSError as error:
            candidate.close()
            problem = error
        except BaseException:
            candidate.close()
            raise
        else:
            return candidate
    raise problem or OSError("the host has no address")


def decoded(body: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """Return a body without the content codings that its headers name.

    Raises:
        WireError: kind "oversize", if it is too large to process.

    """
    for name, value in reversed(headers):
        if name.lower() == "content-encoding":
            for coding in reversed(value.split(",")):
                body = decode_content(body, coding.strip().lower())
    if len(body) > MAX_RETAINED_RAW_BYTES and sum(map(body.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise WireError("oversize", f"the response holds more than {MAX_JSON_VALUES:,} values")
    return body


def decode_content(body: bytes, coding: str) -> bytes:
    """Decode gzip or deflate, up to `MAX_RESPONSE_BYTES`; a body that cannot be decoded is returned unchanged."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return body
    decoded: list[bytes] = []
    total, rest = 0, body
    try:
        # A gzip body may have several members. Each costs a copy of the rest, so a body with too many is refused.
        for _ in range(MAX_GZIP_MEMBERS):
            if not rest:
                break
            stream = zlib.decompressobj(wbits=15 if coding == "deflate" else 31)
            decoded.append(stream.decompress(rest, MAX_RESPONSE_BYTES + 1 - total))
            total += len(decoded[-1])
            if total > MAX_RESPONSE_BYTES:
                raise WireError(
                    "oversize", f"the response decodes to more than {MAX_RESPONSE_BYTES // 1024 // 1024} MB"
                )
            if not stream.eof:
                return body
            rest = stream.unused_data if coding != "deflate" else b""
    except zlib.error:
        return body
    if rest:
        raise WireError("oversize", f"the response is gzip of more than {MAX_GZIP_MEMBERS} parts")
    return b"".join(decoded)


def _os_error(error: OSError | UnicodeError) -> str:
    """Return the message of an operating system error in lower case."""
    if isinstance(error, ssl.SSLError) and "CERTIFICATE_REQUIRED" in (error.reason or ""):
        return "the target asks for a client certificate: give cert and key in [target]"
    return (getattr(error, "strerror", None) or str(error)).lower()
