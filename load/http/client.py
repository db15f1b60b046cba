"""The lean HTTP/1.1 client of the hot path: raw sockets and callbacks on gevent's event loop.

What a request costs under load is layers, so here there are none: the bytes of a request are made ahead; a
connection is one non-blocking socket with one watcher, used for all of its requests; the first `recv` waits until
there is something to receive; and an answer that comes whole, with a head met before, is recognised by comparing
bytes. All the rest (an answer in pieces, chunked, with no length, compressed, announced by 1xx) takes a slower
and more careful way. Whatever is not HTTP/1.1 by the letter is refused as "garbled", never guessed at: on a
connection whose framing is in doubt nothing more is read.

The callbacks run in gevent's hub: they must neither block nor switch. `Connection.request` is for greenlets.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import math
import os
import re
import ssl
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

import gevent  # type: ignore[import-untyped]
import httptools

from conformance.protocol.reach import proxy_hint
from conformance.protocol.wire import CAP, HEAD_CAP, Address, WireError, decode_content, unfolded

__all__ = ["Connection", "Endpoint", "Head", "Pool"]

#: At most so many bytes are received at once.
_AT_ONCE = 65_536

#: So many heads of answers are remembered by their bytes; most servers have a dozen of them a second.
_HEADS = 1024

#: The longest line that gives a chunk's size, and the longest trailer; either is a handful of bytes in practice.
_LINE_CAP = 4096
_TRAILER_CAP = 65_536

#: At most so many 1xx answers may go before the one that counts.
_INTERIM_CAP = 64

_READ, _WRITE = 1, 2
_NEVER = math.inf

# What a connection is at. From _ASKED on an answer is awaited.
_CLOSED, _CONNECTING, _SHAKING, _IDLE, _ASKED, _SENDING, _HEAD, _LENGTH, _CHUNKED, _TO_END = range(10)

#: What stands for the length of a body that has none told.
_BY_CHUNKS, _BY_END = -1, -2

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_OPENING = b"HTTP/1."

_Done = Callable[["Connection"], None]


class _RefusedError(Exception):
    """An answer that is not to be had; the kind is one of a `Failure`'s."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Endpoint:
    """Where requests go: addresses found once, and how the other side has to prove who it is."""

    def __init__(
        self,
        host: str,
        port: int,
        addresses: tuple[tuple[int, tuple[Any, ...]], ...],
        *,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> None:
        """Take (family, socket address) pairs, in the order in which they are tried."""
        if not addresses:
            raise OSError(f"{host}: the host has no address")
        self.host = host
        self.port = port
        self.addresses = addresses
        self.tls = tls
        self.server_hostname = server_hostname or host
        #: The address that answered last: the others are tried when it does not.
        self.preferred = 0
        #: What is said where no address answers.
        self.hint = ""

    @classmethod
    def of(cls, url: str, *, ca: os.PathLike[str] | None = None) -> Endpoint:
        """Find the addresses of a URL's host; certificates are verified (against `ca`, where it is given).

        Raises:
            OSError: the host is not known.

        """
        where = Address.of(url)
        tls = None
        if where.scheme == "https":
            tls = ssl.create_default_context(cafile=os.fspath(ca) if ca else None)
        hint = proxy_hint(where.scheme, where.host)
        try:
            found = _socket.getaddrinfo(where.host, where.port, type=_socket.SOCK_STREAM)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}{hint}") from error
        pairs = ((int(family), cast("tuple[Any, ...]", address)) for family, _, _, _, address in found)
        made = cls(where.host, where.port, tuple(dict.fromkeys(pairs)), tls=tls)
        made.hint = hint
        return made


class Head:
    """The head of an answer, read once: how its body is framed, and what a judge said of it.

    `total` is the size of the whole answer where that alone tells that it is whole, else -1.
    """

    __slots__ = (
        "coded",
        "headers",
        "keep",
        "length",
        "raw",
        "size",
        "status",
        "total",
        "verdicts",
        "version",
    )

    def __init__(self, raw: bytes) -> None:
        """Read a head, the empty line at its end included.

        Raises:
            _RefusedError: it is not one by the letter.

        """
        self.raw = raw
        self.size = len(raw)
        self.verdicts: dict[Any, Any] = {}
        self.status = 0
        self.version = "1.1"
        self.headers: tuple[tuple[str, str], ...] = ()
        self.coded: tuple[str, ...] = ()
        self.keep = False
        self.length = 0
        self.total = -1
        if raw:
            self._read(raw)

    def _read(self, raw: bytes) -> None:
        raw = unfolded(raw)
        lines = raw[:-4].split(b"\r\n")
        first = _STATUS_LINE.fullmatch(lines[0])
        if first is None:
            raise _RefusedError("garbled", f"not an HTTP response: it begins with {lines[0][:40]!r}")
        self.status = status = int(first[2])
        self.version = f"1.{first[1].decode()}"
        fields: list[tuple[str, str]] = []
        for line in lines[1:]:
            field = _FIELD.fullmatch(line)
            if field is None:
                raise _RefusedError("garbled", f"not an HTTP response: a header line reads {line[:40]!r}")
            fields.append((field[1].decode(), field[2].rstrip(b" \t").decode("latin-1")))
        self.headers = tuple(fields)
        lengths: list[str] = []
        codings: list[str] = []
        options: list[str] = []
        coded: list[str] = []
        for name, value in fields:
            lowered = name.lower()
            if lowered == "content-length":
                lengths.append(value)
            elif lowered == "transfer-encoding":
                codings += [part.strip().lower() for part in value.split(",")]
            elif lowered in ("connection", "proxy-connection"):
                options += [part.strip().lower() for part in value.split(",")]
            elif lowered == "content-encoding":
                coded += [part.strip().lower() for part in value.split(",")]
        self.coded = tuple(reversed(coded))
        self.keep = "close" not in options and (first[1] == b"1" or "keep-alive" in options)
        self.length = self._length(lengths, codings)
        if self.length == _BY_END:
            self.keep = False
        plain = self.length >= 0 and self.keep and not self.coded and status >= 200
        self.total = self.size + self.length if plain else -1
        _agree(raw, self)

    def _length(self, lengths: list[str], codings: list[str]) -> int:
        if codings and lengths:
            raise _RefusedError("garbled", "both Content-Length and Transfer-Encoding")
        if len(lengths) > 1:
            raise _RefusedError("garbled", "more than one Content-Length")
        length = _BY_END
        if lengths:
            if not lengths[0].isascii() or not lengths[0].isdigit():
                raise _RefusedError("garbled", f"Content-Length: {lengths[0][:40]!r}")
            if len(lengths[0].lstrip("0")) > 12:
                raise _too_large()
            length = int(lengths[0])
        elif codings:
            if codings != ["chunked"]:
                raise _RefusedError(
                    "garbled", f"Transfer-Encoding: {', '.join(codings)[:40]!r} is not handled"
                )
            if self.version == "1.0":
                raise _RefusedError("garbled", "Transfer-Encoding in an answer of HTTP/1.0")
            length = _BY_CHUNKS
        if self.status == 101:
            raise _RefusedError("garbled", "101: nobody asked for another protocol")
        if self.status < 200 or self.status in (204, 304):
            return 0
        if length + self.size > CAP:
            raise _too_large()
        return length


class _Listener:
    """What the library's parser tells of a head."""

    def __init__(self) -> None:
        self.heads = 0
        self.body = False

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_body(self, data: bytes) -> None:
        self.body = True


def _agree(raw: bytes, head: Head) -> None:
    """Put a head to llhttp as well: where two readers differ, nobody knows where the body ends.

    Raises:
        _RefusedError: the parser refuses it, or reads another status, or an end before its end.

    """
    listener = _Listener()
    parser = httptools.HttpResponseParser(listener)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # «Connection: Upgrade» on an answer that is no 101 offers another protocol, and changes nothing.
    except httptools.HttpParserError as error:
        raise _RefusedError("garbled", f"not an HTTP response: {error}") from None
    if listener.heads != 1 or listener.body or parser.get_status_code() != head.status:
        raise _RefusedError("garbled", "not an HTTP response: its head can be read in two ways")


def _too_large() -> _RefusedError:
    return _RefusedError("oversize", f"the response is larger than {CAP // 1024 // 1024} MB")


_NOTHING = Head(b"")


class Connection:
    """One connection, for one request at a time; it opens itself when it has to.

    After `done` is called: `failure` is None and `status`, `head`, `body` hold the answer, or `failure` is the
    kind of a `Failure` and `detail` says more. `sent` and `done_at` are moments of `perf_counter`: when the
    request was given to send, when its answer was whole. `opened` says that a connection was made for it, and
    `met` that at least one byte of an answer came. `call` is free for whoever uses the connection.
    """

    __slots__ = (
        "_buffer",
        "_done",
        "_interim",
        "_need",
        "_parts",
        "_phase",
        "_pool",
        "_raw",
        "_recv",
        "_send",
        "_socket",
        "_spoiled",
        "_tries",
        "_unsent",
        "_watcher",
        "answer",
        "body",
        "bytes_in",
        "call",
        "deadline",
        "detail",
        "done_at",
        "failure",
        "left",
        "number",
        "opened",
        "sent",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._phase = _CLOSED
        #: The head of the answer as it was read, and the size of the answer as it came.
        self.answer = _NOTHING
        self.bytes_in = 0
        self._done: _Done = _ignore
        self._buffer: bytearray | None = None
        self._parts: list[bytes] | None = None
        self._need = 0
        self._interim = 0
        self._tries = 0
        self._spoiled = False
        self._raw = b""
        self._unsent = b""
        self._socket: _socket.socket | None = None
        self._recv: Callable[[int], bytes] = _no_bytes
        self._send: Callable[[bytes], int] = len
        self._watcher: Any = None
        self.deadline = _NEVER
        self.body = b""
        self.failure: str | None = None
        self.detail = ""
        self.sent = 0.0
        self.left = 0.0
        self.done_at = 0.0
        self.opened = False
        #: Which of the pool's connections it is, counted from 1 as they were opened.
        self.number = 0
        self.call: Any = None

    # What is asked of it.

    @property
    def status(self) -> int:
        """The status of the answer, 0 when there is none."""
        return self.answer.status

    @property
    def head(self) -> bytes:
        """The head of the answer as it came, the empty line included."""
        return self.answer.raw

    @property
    def open(self) -> bool:
        """Whether it is open and no request is under way on it."""
        return self._phase == _IDLE

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._phase != _IDLE and self._phase != _CLOSED

    @property
    def met(self) -> bool:
        """Whether at least one byte of an answer came."""
        return self.bytes_in > 0

    def send(self, raw: bytes, deadline: float, done: _Done) -> None:
        """Send a whole request and call `done` with this connection when its answer is there, or none will be.

        `deadline` is a moment of `perf_counter`. `done` is never called before `send` returns. The request
        must not be a HEAD or a CONNECT: their answers are framed otherwise.
        """
        self.sent = perf_counter()
        self.deadline = deadline
        self._done = done
        self.failure = None
        if self._phase == _IDLE:
            self.opened = False
            self._raw = raw
            try:
                count = self._send(raw)
            except BlockingIOError:
                count = 0
            except OSError:
                # The other side had closed it, and not a byte has left: this is what HTTP lets be done again.
                self._shut()
                self._pool.reopened += 1
                self._begin(raw)
                return
            self.bytes_in = 0
            if count == len(raw):
                self._phase = _ASKED
            else:
                self._linger(raw, count)
        elif self._phase == _CLOSED:
            self._begin(raw)
        else:
            raise RuntimeError("a connection carries one request at a time")

    def connect(self, deadline: float, done: _Done) -> None:
        """Open the connection without asking anything yet; `done` is called when it is open, or will not be."""
        if self._phase != _CLOSED:
            raise RuntimeError("the connection is open")
        self.sent = perf_counter()
        self.deadline = deadline
        self._done = done
        self.failure = None
        self._begin(b"")

    def request(self, raw: bytes, deadline: float) -> Connection:
        """Send a request and let other greenlets run until its answer is there; returns this connection."""
        return self._wait(lambda done: self.send(raw, deadline, done))

    def opening(self, deadline: float) -> Connection:
        """Open the connection and let other greenlets run until it is; returns this connection."""
        return self._wait(lambda done: self.connect(deadline, done))

    def _wait(self, start: Callable[[_Done], None]) -> Connection:
        hub = gevent.get_hub()
        waiter = gevent.getcurrent()
        if waiter is hub:
            raise RuntimeError("the hub cannot wait: use send")
        ended = False

        def done(connection: Connection) -> None:
            nonlocal ended
            ended = True
            waiter.switch()

        start(done)
        try:
            while not ended:
                hub.switch()
        except BaseException:
            # Killed in the middle: the answer must not be taken for that of the next request.
            self.close()
            raise
        return self

    def close(self) -> None:
        """Close the connection; nobody is told of what was under way."""
        self._done = _ignore
        self._shut()

    # How it opens.

    def _begin(self, raw: bytes) -> None:
        """Open the connection, then send these bytes."""
        self.opened = True
        self.left = 0.0
        self._raw = raw
        self.bytes_in = 0
        self._tries = 0
        self.answer = _NOTHING
        self.body = b""
        self._reach()

    def _reach(self) -> None:
        endpoint = self._pool.endpoint
        which = (endpoint.preferred + self._tries) % len(endpoint.addresses)
        family, address = endpoint.addresses[which]
        try:
            made = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError as error:
            self._later("unreachable", _told(error))
            return
        self._socket = made
        self._phase = _CONNECTING
        try:
            made.setblocking(False)
            made.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            problem = made.connect_ex(address)
        except (OSError, UnicodeError) as error:
            self._later("unreachable", _told(error))
            return
        if problem in (0, errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK):
            self._watcher = watcher = self._pool.loop.io(made.fileno(), _WRITE)
            watcher.start(self._connected)
        else:
            # Told later all the same, so that many refusals in a row are no recursion.
            self._pool.loop.run_callback(self._not_reached, problem)

    def _later(self, kind: str, detail: str) -> None:
        self._phase = _CONNECTING
        self._pool.loop.run_callback(self._fail_unless_closed, kind, detail)

    def _fail_unless_closed(self, kind: str, detail: str) -> None:
        if self._phase == _CONNECTING:
            self._fail(kind, detail)

    def _not_reached(self, problem: int) -> None:
        if self._phase != _CONNECTING:
            return
        self._tries += 1
        if self._tries < len(self._pool.endpoint.addresses):
            self._drop()
            self._reach()
        else:
            self._fail("unreachable", os.strerror(problem).lower() + self._pool.endpoint.hint)

    def _connected(self) -> None:
        made = self._socket
        assert made is not None
        problem = made.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        watcher = self._watcher
        if problem:
            watcher.stop()
            self._not_reached(problem)
            return
        endpoint = self._pool.endpoint
        if self._tries:
            endpoint.preferred = (endpoint.preferred + self._tries) % len(endpoint.addresses)
            self._tries = 0
        watcher.stop()
        watcher.events = _READ
        watcher.start(self._readable)
        self._ready(made)

    def _ready(self, made: _socket.socket) -> None:
        """Send what is to be sent over a connection that has just opened."""
        self._recv = made.recv
        self._send = made.send
        self._opened()

    def _opened(self) -> None:
        self._pool.opened += 1
        self.number = self._pool.opened
        raw = self._raw
        if not raw:
            self._phase = _IDLE
            self.deadline = _NEVER
            self.done_at = perf_counter()
            self._done(self)
            return
        self._transmit(raw)

    # How a request leaves, when not at once.

    def _transmit(self, raw: bytes) -> None:
        """Send the first request on a connection that is new."""
        self.left = perf_counter()
        try:
            count = self._send(raw)
        except BlockingIOError:
            count = 0
        except OSError:
            # It may have answered before it stopped listening.
            count = len(raw)
        if count == len(raw):
            self._phase = _ASKED
        else:
            self._linger(raw, count)

    def _linger(self, raw: bytes, count: int) -> None:
        """Send what is behind `count` bytes as the other side takes it."""
        self._unsent = raw[count:]
        self._phase = _SENDING
        self._watch(_READ | _WRITE, self._sendable)

    def _watch(self, events: int, callback: Callable[..., None]) -> None:
        watcher = self._watcher
        watcher.stop()
        watcher.events = events
        watcher.start(callback, pass_events=events != _READ)

    def _sendable(self, events: int) -> None:
        if events & _READ:
            self._readable()
        if self._phase != _SENDING or not events & _WRITE:
            return
        # As much as the kernel takes at once, without copying what is left for every piece.
        assert self._socket is not None
        view = memoryview(self._unsent)
        at = 0
        try:
            while at < len(view):
                at += self._socket.send(view[at : at + 262_144])
        except BlockingIOError:
            pass
        except OSError:
            at = len(view)
        self._unsent = bytes(view[at:])
        if not self._unsent:
            self._phase = _ASKED
            self._watch(_READ, self._readable)

    # How an answer arrives.

    def _readable(self) -> None:
        try:
            data = self._recv(_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(error)
            return
        if self._phase == _ASKED:
            last = self._pool.last
            if len(data) == last.total and data.startswith(last.raw):
                # A whole answer with the head that the one before it had.
                self.answer = last
                self.body = data[last.size :]
                self.bytes_in = last.total
                self.done_at = perf_counter()
                self.deadline = _NEVER
                self._phase = _IDLE
                self._done(self)
                return
        self._arrived(data)

    def _arrived(self, data: bytes) -> None:
        """Take in whatever came, and end the request when its answer is whole."""
        phase = self._phase
        if phase <= _IDLE:
            if phase == _IDLE:
                # Nobody asked for it, or it is the end.
                self._pool.strays += 1 if data else 0
                self._shut()
            elif phase == _SHAKING:
                self._fail("unreachable", "TLS: the connection was closed in the handshake")
            return
        if not data:
            self._ended()
            return
        self.bytes_in += len(data)
        try:
            whole = self._take(data)
            if not whole and self.bytes_in > CAP:
                raise _too_large()
        except _RefusedError as refused:
            self._fail(refused.kind, refused.detail)
        except WireError as error:
            self._fail(error.failure.kind, error.failure.detail)
        else:
            if whole:
                self._whole()

    def _take(self, data: bytes) -> bool:
        """Return whether the answer is whole with these bytes; what lies beyond it is in the buffer then.

        Raises:
            _RefusedError: it is garbled, or too large.

        """
        phase = self._phase
        if phase in (_ASKED, _SENDING, _HEAD):
            kept = self._buffer
            if kept is None:
                end = data.find(b"\r\n\r\n")
            else:
                start = max(0, len(kept) - 3)
                kept += data
                end = kept.find(b"\r\n\r\n", start)
                if end < 0:
                    data = b""
                else:
                    data = bytes(kept)
                    self._buffer = None
            if end < 0:
                self._no_head_yet(data)
                return False
            return self._take_head(data, end + 4)
        if phase == _LENGTH:
            assert self._parts is not None
            if len(data) < self._need:
                self._parts.append(data)
                self._need -= len(data)
                return False
            self._parts.append(data[: self._need])
            self._beyond(data[self._need :])
            return True
        if phase == _CHUNKED:
            assert self._buffer is not None
            self._buffer += data
            return self._take_chunks()
        assert self._parts is not None
        self._parts.append(data)
        return False

    def _no_head_yet(self, data: bytes) -> None:
        if self._buffer is None:
            self._buffer = bytearray(data)
        if self._phase == _ASKED:
            self._phase = _HEAD
        begun = self._buffer
        if not begun.startswith(_OPENING[: len(begun)]):
            raise _RefusedError("garbled", f"not an HTTP response: it begins with {bytes(begun[:40])!r}")
        if len(begun) > HEAD_CAP:
            raise _RefusedError("oversize", f"the head of the response is larger than {HEAD_CAP // 1024} kB")

    def _take_head(self, data: bytes, size: int) -> bool:
        raw = data[:size]
        pool = self._pool
        head = pool.heads.get(raw)
        if head is None:
            if size > HEAD_CAP:
                raise _RefusedError(
                    "oversize", f"the head of the response is larger than {HEAD_CAP // 1024} kB"
                )
            head = Head(raw)
            pool.remember(head)
        if head.status < 200:
            # Not the answer yet; what follows may lie here already.
            if not head.keep:
                raise _RefusedError("garbled", "an interim answer says that the connection closes")
            self._interim += 1
            if self._interim > _INTERIM_CAP:
                raise _RefusedError("garbled", f"more than {_INTERIM_CAP} interim answers")
            if self._phase != _SENDING:
                self._phase = _HEAD
            rest = data[size:]
            return bool(rest) and self._take(rest)
        self.answer = head
        if self._phase == _SENDING:
            # It answers before it has heard all; no more is sent, and nothing else on this connection.
            self._unsent = b""
            self._watch(_READ, self._readable)
            self._spoiled = True
        if head.total == len(data):
            pool.last = head
            self.body = data[size:]
            return True
        length = head.length
        if length >= 0:
            if len(data) - size >= length:
                self.body = data[size : size + length]
                self._beyond(data[size + length :])
                return True
            self._phase = _LENGTH
            self._parts = [data[size:]]
            self._need = length - (len(data) - size)
            return False
        if length == _BY_CHUNKS:
            self._phase = _CHUNKED
            self._parts = []
            self._buffer = bytearray(data[size:])
            return self._take_chunks()
        self._phase = _TO_END
        self._parts = [data[size:]]
        return False

    def _take_chunks(self) -> bool:
        """Read as many chunks as are whole.

        Raises:
            _RefusedError: one is not by the letter.

        """
        buffer, parts = self._buffer, self._parts
        assert buffer is not None
        assert parts is not None
        at = 0
        whole = False
        while True:
            end = buffer.find(b"\r\n", at, at + _LINE_CAP)
            if end < 0:
                if len(buffer) - at >= _LINE_CAP:
                    raise _RefusedError("garbled", "the size of a chunk has no end")
                if buffer.find(b"\n", at) >= 0:
                    raise _RefusedError("garbled", "a bare line feed in the size of a chunk")
                break
            line = _CHUNK_LINE.fullmatch(buffer, at, end)
            if line is None:
                raise _RefusedError(
                    "garbled", f"a chunk has the size {bytes(buffer[at : min(end, at + 40)])!r}"
                )
            size = int(line[1], 16)
            start = end + 2
            if size > CAP:
                raise _too_large()
            if size == 0:
                whole, at = self._take_trailer(buffer, at, start)
                break
            if len(buffer) < start + size + 2:
                if len(buffer) > start + size and buffer[start + size] != 13:
                    raise _RefusedError("garbled", "a chunk is longer than its size")
                break
            if buffer[start + size : start + size + 2] != b"\r\n":
                raise _RefusedError("garbled", "a chunk is longer than its size")
            parts.append(bytes(buffer[start : start + size]))
            at = start + size + 2
        del buffer[:at]
        if whole:
            self._beyond(bytes(buffer))
        return whole

    @staticmethod
    def _take_trailer(buffer: bytearray, at: int, start: int) -> tuple[bool, int]:
        """Return whether the last chunk (it begins at `at`) is whole with its trailer, and where to read on."""
        if buffer.startswith(b"\r\n", start):
            return True, start + 2
        end = buffer.find(b"\r\n\r\n", start)
        if end < 0:
            if len(buffer) - start > _TRAILER_CAP:
                raise _RefusedError("oversize", "the trailer of the response is too large")
            return False, at
        for field in bytes(buffer[start:end]).split(b"\r\n"):
            if _FIELD.fullmatch(field) is None:
                raise _RefusedError("garbled", f"not an HTTP response: a trailer line reads {field[:40]!r}")
        return True, end + 4

    def _beyond(self, rest: bytes) -> None:
        """Take note of bytes behind the end of the answer: nothing more is read on such a connection."""
        if rest:
            self._pool.strays += 1
            self._spoiled = True

    def _whole(self) -> None:
        """End the request: its answer is here."""
        head = self.answer
        parts = self._parts
        if parts is not None:
            self.body = b"".join(parts)
            self._parts = None
        self._buffer = None
        keep = head.keep and not self._spoiled
        self._interim = 0
        if head.coded:
            try:
                for coding in head.coded:
                    self.body = decode_content(self.body, coding)
            except WireError as error:
                self._fail(error.failure.kind, error.failure.detail)
                return
        self.done_at = perf_counter()
        self.deadline = _NEVER
        if keep:
            self._phase = _IDLE
        else:
            self._shut()
        self._done(self)

    def _ended(self) -> None:
        """Take the end of the stream: an answer without a length is whole now, any other never will be."""
        phase = self._phase
        if phase == _TO_END:
            self._whole()
        elif phase in (_LENGTH, _CHUNKED):
            self._fail("closed", "the connection was closed in the middle of the body")
        elif self.bytes_in:
            self._fail("closed", "the connection was closed in the middle of the head")
        elif self.opened:
            self._fail("closed", "the connection was closed without an answer")
        else:
            self._fail("closed", "the kept connection was closed as the request went out")

    def _broke(self, error: OSError) -> None:
        if self._phase == _SHAKING:
            self._fail("unreachable", f"TLS: {_told(error)}")
        elif self._phase > _IDLE:
            if not self.bytes_in and error.errno in (errno.ECONNRESET, errno.EPIPE):
                self._ended()
            else:
                self._fail("closed", _told(error))
        else:
            self._shut()

    # How it ends.

    def _fail(self, kind: str, detail: str) -> None:
        self._shut()
        self.answer = _NOTHING
        self.body = b""
        self.failure = kind
        self.detail = detail
        self.done_at = perf_counter()
        self._pool.failed += 1
        self._done(self)

    def expire(self) -> None:
        """End the request whose deadline has passed."""
        if self._phase in (_CONNECTING, _SHAKING):
            self._fail("unreachable", "no connection within the deadline")
        elif self._phase > _IDLE:
            told = f"after {self.bytes_in} bytes of it" if self.bytes_in else "not a byte"
            self._fail("timeout", f"no whole answer within the deadline, {told}")

    def _drop(self) -> None:
        """Give up the socket."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        made, self._socket = self._socket, None
        if made is not None:
            with contextlib.suppress(OSError):
                made.close()
        self._recv = _no_bytes
        self._send = len

    def _shut(self) -> None:
        self._drop()
        self._phase = _CLOSED
        self.deadline = _NEVER
        self._buffer = None
        self._parts = None
        self._unsent = b""
        self._interim = 0
        self._spoiled = False


def _ignore(connection: Connection) -> None:
    """Be told of an end that interests nobody."""


def _no_bytes(limit: int) -> bytes:
    return b""


def _told(error: OSError | UnicodeError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


class _TlsConnection(Connection):
    """The same within TLS: what goes out and what comes in passes through memory."""

    __slots__ = ("_in", "_out", "_tls")

    def _ready(self, made: _socket.socket) -> None:
        endpoint = self._pool.endpoint
        assert endpoint.tls is not None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = endpoint.tls.wrap_bio(self._in, self._out, server_hostname=endpoint.server_hostname)
        self._recv = self._decrypt
        self._send = self._encrypt
        self._phase = _SHAKING
        self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._say()
        except ssl.SSLCertVerificationError as error:
            self._say()
            self._fail("unreachable", f"TLS: the certificate is not trusted: {error.verify_message}")
        except (ssl.SSLError, ValueError) as error:
            self._say()
            why = (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
            self._fail("unreachable", f"TLS: {why}")
        else:
            self._say()
            self._opened()

    def _say(self) -> None:
        """Send what TLS itself has to say; whether it arrives is seen in what comes back."""
        data = self._out.read()
        if data and self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(data)

    def _encrypt(self, raw: bytes) -> int:
        """Send within TLS; returns the size, or -1 where the other side does not take all of it now."""
        at = 0
        while at < len(raw):
            at += self._tls.write(raw[at:] if at else raw)
        data = self._out.read()
        assert self._socket is not None
        try:
            count = self._socket.send(data)
        except BlockingIOError:
            count = 0
        if count == len(data):
            return len(raw)
        self._unsent = data[count:]
        return -1

    def _linger(self, raw: bytes, count: int) -> None:
        self._phase = _SENDING
        self._watch(_READ | _WRITE, self._sendable)

    def _decrypt(self, limit: int) -> bytes:
        """Receive what lies within TLS.

        Raises:
            BlockingIOError: nothing does yet.
            OSError: the connection broke, or what came is no TLS.

        """
        assert self._socket is not None
        data = self._socket.recv(limit)
        if not data:
            return data
        coming, tls = self._in, self._tls
        coming.write(data)
        if self._phase == _SHAKING:
            self._shake()
            if self._tls is not tls or self._phase <= _SHAKING:
                raise BlockingIOError
        parts: list[bytes] = []
        first: ssl.SSLError | None = None
        while True:
            try:
                data = tls.read(_AT_ONCE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                # OpenSSL keeps one list of errors for all that a thread does, and tells them to whoever asks next. What
                # is not of this connection is gone with that; what is of it comes again.
                if first is not None:
                    raise first from None
                first = error
                continue
            if not data:
                if first is not None:
                    # It is broken, and no end that was told.
                    raise first
                if not parts:
                    return data
                # The other side has said that this was all: what came is taken in first, then that.
                self._pool.loop.run_callback(self._end_of, tls)
                break
            first = None
            parts.append(data)
            if not coming.pending:
                break
        if not parts:
            self._say()
            raise BlockingIOError
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _end_of(self, tls: ssl.SSLObject) -> None:
        if self._tls is tls and self._phase >= _IDLE:
            self._arrived(b"")


class Pool:
    """The connections to one endpoint: at most `limit` at a time, and one watchdog for all their deadlines.

    `opened`, `failed`, `reopened`, `strays` and `most` count connections that were opened, requests without an
    answer, kept connections found closed before anything was sent on them, connections on which more came than
    was asked for, and the most connections there were at a time.
    """

    def __init__(self, endpoint: Endpoint, limit: int = 256, *, period: float = 0.05) -> None:
        """Look after deadlines every `period` seconds; must be called in the thread that runs the hub."""
        self.endpoint = endpoint
        self.limit = limit
        self.loop = gevent.get_hub().loop
        self.heads: dict[bytes, Head] = {}
        self.last = _NOTHING
        self.opened = 0
        self.failed = 0
        self.reopened = 0
        self.strays = 0
        self.most = 0
        self._make = Connection if endpoint.tls is None else _TlsConnection
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._timer = self.loop.timer(period, period, ref=False)
        self._timer.start(self._watch)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def in_use(self) -> int:
        """How many connections are taken."""
        return len(self._all) - len(self._idle)

    def take(self) -> Connection | None:
        """Return a connection that nobody uses, a new one (not open yet) where there is room, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection._phase == _IDLE:
                return connection
            # The other side has closed it in the meantime.
            self._all.discard(connection)
        if len(self._all) >= self.limit:
            return None
        connection = self._make(self)
        self._all.add(connection)
        self.most = max(self.most, len(self._all))
        return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back; its answer is not to be read any more."""
        if connection._phase == _IDLE:
            self._idle.append(connection)
        else:
            if connection._phase != _CLOSED:
                connection.close()
            self._all.discard(connection)

    def remember(self, head: Head) -> None:
        """Keep a head, so that an answer that has the same one need not be read again."""
        heads = self.heads
        if len(heads) >= _HEADS:
            heads.clear()
        if head.size <= _LINE_CAP:
            heads[head.raw] = head

    def open_ahead(self, count: int, deadline: float, *, at_a_time: int = 64) -> int:
        """Open so many connections, a few at a time, and give them to the pool; returns how many there are.

        For greenlets: it lets others run until the connections are open, or could not be.
        """
        made: list[Connection] = []
        hub = gevent.get_hub()
        waiter = gevent.getcurrent()
        left = count
        under_way = 0
        failed = False
        waiting = False

        def done(connection: Connection) -> None:
            nonlocal under_way, failed
            under_way -= 1
            made.append(connection)
            failed = failed or connection.failure is not None
            start()
            if not under_way and waiting:
                waiter.switch()

        def start() -> None:
            nonlocal under_way, left
            while left and not failed and under_way < at_a_time:
                connection = self._make(self)
                if len(self._all) >= self.limit:
                    left = 0
                    return
                self._all.add(connection)
                left -= 1
                under_way += 1
                connection.connect(deadline, done)

        start()
        while under_way:
            waiting = True
            hub.switch()
        self.most = max(self.most, len(self._all))
        for connection in made:
            self.give(connection)
        return sum(connection.open for connection in made)

    def close(self) -> None:
        """Close every connection; nobody is told of what was under way."""
        self._timer.stop()
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._idle.clear()

    def _watch(self) -> None:
        now = perf_counter()
        for connection in [one for one in self._all if one.deadline < now]:
            connection.expire()
