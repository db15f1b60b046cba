"""HTTP/1.1 as the lending library reads it: strictly."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from tests.servers.library_model import (
    BODY_LIMIT,
    HEAD_LIMIT,
    REASONS,
    TOKEN_CHARACTERS,
    Dropped,
    Refused,
    Reply,
    Request,
)

IDLE_SECONDS = 120.0
STALL_SECONDS = 15.0


class Closed(Exception):  # noqa: N818
    """The client is gone, or has nothing more to ask."""


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 read strictly; what is not well-formed is answered once, and the connection closed."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer requests until the connection is to be closed."""
        self.close_connection = False
        self.only_head = False
        with contextlib.suppress(OSError, Closed):
            while not self.close_connection:
                self.handle_one_request()

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        library = self.server.library
        self.only_head = False
        self.started = False
        self.request_version = "HTTP/1.1"
        try:
            request = self._read()
        except Refused as refused:
            self.close_connection = True
            self._send(library.error(refused.status, refused.message, None))
            self._linger()
            return
        except TimeoutError:
            self.close_connection = True
            if self.started:
                self._send(library.error(408, "The request came too slowly.", None))
            return
        try:
            reply = library.answer(request)
        except Dropped:
            self.close_connection = True
            return
        self._send(reply)

    def _line(self, what: int) -> bytes:
        line = self.rfile.readline(HEAD_LIMIT + 1)
        if not line:
            if self.started:
                raise Refused(400, "The request ends too early.")
            raise Closed
        self.started = True
        if len(line) > HEAD_LIMIT:
            raise Refused(what, "The head is too long.")
        if not line.endswith(b"\r\n"):
            raise Refused(400, "A line does not end with CR LF.")
        return line[:-2]

    def _read(self) -> Request:
        self.connection.settimeout(IDLE_SECONDS)
        first = self._line(414)
        for _ in range(3):
            if first == b"":
                self.started = False
                first = self._line(414)
        self.connection.settimeout(STALL_SECONDS)
        verb, target = self._request_line(first)
        headers = self._headers()
        request = Request(verb, target, headers, b"", id(self.connection))
        self._framing(request)
        return request

    def _request_line(self, line: bytes) -> tuple[str, str]:
        parts = line.decode("latin-1").split(" ")
        if len(parts) != 3 or not parts[0] or not set(parts[0]) <= TOKEN_CHARACTERS:
            raise Refused(400, "The request line is malformed.")
        verb, target, version = parts
        self.only_head = verb == "HEAD"
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            known = version.startswith("HTTP/") and version[5:].replace(".", "", 1).isdecimal()
            raise Refused(505 if known else 400, "The version of HTTP is not known.")
        self.request_version = version
        if not target or any(character < "!" for character in target):
            raise Refused(400, "The request line is malformed.")
        if target.lower().startswith(("http://", "https://")):
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        return verb, target

    def _headers(self) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        size = 0
        while line := self._line(431):
            size += len(line)
            if size > HEAD_LIMIT:
                raise Refused(431, "The head is too long.")
            name, colon, value = line.decode("latin-1").partition(":")
            value = value.strip(" \t")
            if not colon or not name or not set(name) <= TOKEN_CHARACTERS:
                raise Refused(400, "A header is malformed.")
            if any((character < " " and character != "\t") or character == "\x7f" for character in value):
                raise Refused(400, "A header is malformed.")
            headers.append((name, value))
        return headers

    def _framing(self, request: Request) -> None:
        """Read the body, and see whether the connection goes on."""
        library = self.server.library
        hosts = request.values("host")
        if len(hosts) > 1 or (not hosts and self.request_version == "HTTP/1.1"):
            raise Refused(400, "There must be one Host.")
        lengths = request.values("content-length")
        codings = request.values("transfer-encoding")
        if codings and lengths and not library.bug("both-lengths-read"):
            raise Refused(400, "The body has two lengths.")
        if codings and self.request_version == "HTTP/1.0":
            raise Refused(400, "HTTP/1.0 has no transfer codings.")
        if codings and ",".join(codings).strip().lower() != "chunked":
            raise Refused(501, "The transfer coding is not known.")
        if lengths and library.bug("first-length-taken"):
            lengths = lengths[:1]
        if len(set(lengths)) > 1 or (lengths and not (lengths[0].isascii() and lengths[0].isdecimal())):
            raise Refused(400, "The length is malformed.")
        if len(lengths) > 1:
            raise Refused(400, "The body has two lengths.")
        length = int(lengths[0][:20]) if lengths else 0
        if length > BODY_LIMIT:
            raise Refused(413, "The body is too large.")
        expected = ",".join(request.values("expect")).strip().lower()
        if expected and expected != "100-continue":
            raise Refused(417, "The expectation is not known.")
        if expected and self.request_version == "HTTP/1.1" and (codings or length):
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if codings and library.bug("chunked-read-as-empty"):
            self._chunks()
        elif codings:
            request.body = self._chunks()
        elif length:
            request.body = self.rfile.read(length)
            if len(request.body) < length:
                raise Refused(400, "The body ends too early.")
        connection = ",".join(request.values("connection")).lower()
        options = {option.strip() for option in connection.split(",")}
        if self.request_version == "HTTP/1.0":
            self.close_connection = "keep-alive" not in options
        else:
            self.close_connection = "close" in options

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size_text = self._line(400).split(b";")[0].strip(b" \t")
            if not size_text or len(size_text) > 16 or not set(size_text) <= set(b"0123456789abcdefABCDEF"):
                raise Refused(400, "A chunk is malformed.")
            size = int(size_text, 16)
            if len(body) + size > BODY_LIMIT:
                raise Refused(413, "The body is too large.")
            if size == 0:
                break
            body += self.rfile.read(size)
            if self._line(400) != b"":
                raise Refused(400, "A chunk is malformed.")
        self._headers()
        return bytes(body)

    def _send(self, reply: Reply) -> None:
        head = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Other')}"]
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        head += [f"Content-Length: {len(reply.body)}", f"Date: {self.date_time_string()}"]
        if self.close_connection:
            head.append("Connection: close")
        elif self.request_version == "HTTP/1.0":
            head.append("Connection: keep-alive")
        if reply.status == 301:
            head.append("Location: /")
        body = b"" if self.only_head else reply.body
        self.connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)

    def _linger(self) -> None:
        """Let the client read the refusal before the connection goes."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(0.5)
        until = time.monotonic() + 5
        while time.monotonic() < until and self.connection.recv(65536):
            pass


class Answering(Protocol):
    """What the reader of HTTP asks of a service."""

    def bug(self, *names: str) -> bool:
        """Return whether the service has one of these defects."""

    def answer(self, request: Request) -> Reply:
        """Answer a request."""

    def error(self, status: int, message: str, name: str | None) -> Reply:
        """Return a refusal; `name` is the function that was called, where it is known."""


class Server(ThreadingHTTPServer):
    """The listening socket."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, library: Answering, handler: type[Handler] = Handler) -> None:
        self.library = library
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        """Bind, without asking for the host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, for whoever started the server."""
        print(f"error while answering {client_address}: {sys.exc_info()[1]!r}", file=sys.stderr)
