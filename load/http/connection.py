"""A connection of the hot path: raw sockets and callbacks on gevent's event loop.

The cost of a request under load is its layers, so there are none here: the bytes of a request are built ahead; a
connection is one non-blocking socket with one watcher, used for all of its requests; the first `recv` waits until
there is something to receive; and a response that comes complete, with a head that was read before, is recognised by
comparing bytes. Everything else (a response in pieces, chunked, without a length, compressed, after a 1xx) takes a
slower path (`load.http.response`). A response that violates HTTP/1.1 is refused as "garbled": nothing more is read on
a connection whose framing is in doubt.

The callbacks run in gevent's hub: they must neither block nor switch. `Connection.request` is for greenlets.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import math
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

import gevent  # type: ignore[import-untyped]

from conformance.protocol.wire import MAX_RESPONSE_BYTES, WireError, decode_content
from load.http.endpoint import Endpoint
from load.http.head import NO_HEAD, RefusedError, too_large
from load.http.response import (
    AWAITING,
    CLOSED,
    CONNECTING,
    HANDSHAKE,
    IDLE,
    IN_CHUNKS,
    IN_LENGTH,
    SENDING,
    UNTIL_END,
    Heads,
    ResponseReader,
)

__all__ = ["MAX_READ_BYTES", "READ", "WRITE", "Connection", "ConnectionPool"]

#: The largest number of bytes that one read receives.
MAX_READ_BYTES = 65_536

#: The largest number of bytes that one call passes to the kernel.
_MAX_WRITE_BYTES = 262_144

#: The events that a watcher of the loop waits for.
READ, WRITE = 1, 2
_NEVER = math.inf

_Done = Callable[["Connection"], None]


class ConnectionPool(Heads, Protocol):
    """The pool of a connection, as far as the connection uses it."""

    endpoint: Endpoint
    loop: Any
    opened: int
    failed: int
    reopened: int


# One class, though it is long: all of its methods are callbacks that share the state of one socket.
class Connection(ResponseReader):
    """A connection for one request at a time; it opens itself when necessary.

    After `done` is called, either `failure` is None and `status`, `head`, `body` are the response, or `failure` is the
    kind of a `Failure` and `detail` explains it. `sent` and `done_at` are moments of `perf_counter`: when the request
    was passed to `send`, and when its response was complete. `left` is when the request was written to a new
    connection. `opened` is whether a connection was opened for it, and `met` whether at least one byte of a response
    arrived. `call` is for whoever uses the connection.
    """

    __slots__ = (
        "_done",
        "_pool",
        "_raw",
        "_recv",
        "_send",
        "_socket",
        "_tries",
        "_unsent",
        "_watcher",
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

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(pool)
        self._pool = pool
        #: The size of the response as it was received.
        self.bytes_in = 0
        self._done: _Done = _ignore
        #: How many addresses of the endpoint were tried without success.
        self._tries = 0
        self._raw = b""
        self._unsent = b""
        self._socket: _socket.socket | None = None
        self._recv: Callable[[int], bytes] = _no_bytes
        self._send: Callable[[bytes], int] = len
        self._watcher: Any = None
        self.deadline = _NEVER
        self.failure: str | None = None
        self.detail = ""
        self.sent = 0.0
        self.left = 0.0
        self.done_at = 0.0
        self.opened = False
        #: The number of the connection within its pool, in the order of opening, from 1.
        self.number = 0
        self.call: Any = None

    @property
    def status(self) -> int:
        """The status of the response; 0 where there is none."""
        return self.answer.status

    @property
    def head(self) -> bytes:
        """The head of the response as it was received, including the empty line."""
        return self.answer.raw

    @property
    def open(self) -> bool:
        """Whether it is open and no request is under way on it."""
        return self._phase == IDLE

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._phase != IDLE and self._phase != CLOSED

    @property
    def met(self) -> bool:
        """Whether at least one byte of a response arrived."""
        return self.bytes_in > 0

    def send(self, raw: bytes, deadline: float, done: _Done) -> None:
        """Send a whole request; call `done` with this connection when the request has ended.

        `deadline` is a moment of `perf_counter`. `done` is never called before `send` returns. The request
        must not be a HEAD or a CONNECT: their responses are framed differently.
        """
        self.sent = perf_counter()
        self.deadline = deadline
        self._done = done
        self.failure = None
        if self._phase == IDLE:
            self.opened = False
            self._raw = raw
            try:
                count = self._send(raw)
            except BlockingIOError:
                count = 0
            except OSError:
                # The server had closed it, and no byte was sent: HTTP allows a repetition (RFC 9112, 9.3.1).
                self._shut()
                self._pool.reopened += 1
                self._begin(raw)
                return
            self.bytes_in = 0
            if count == len(raw):
                self._phase = AWAITING
            else:
                self._linger(raw, count)
        elif self._phase == CLOSED:
            self._begin(raw)
        else:
            raise RuntimeError("a connection carries one request at a time")

    def connect(self, deadline: float, done: _Done) -> None:
        """Open the connection without a request; call `done` when it is open, or when opening has failed."""
        if self._phase != CLOSED:
            raise RuntimeError("the connection is open")
        self.sent = perf_counter()
        self.deadline = deadline
        self._done = done
        self.failure = None
        self._begin(b"")

    def request(self, raw: bytes, deadline: float) -> Connection:
        """Send a request and let other greenlets run until it has ended; return this connection."""
        return self._wait(lambda done: self.send(raw, deadline, done))

    def opening(self, deadline: float) -> Connection:
        """Open the connection and let other greenlets run until it is open or has failed; return this connection."""
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
            # The greenlet was killed: the response must not be taken for that of the next request.
            self.close()
            raise
        return self

    def close(self) -> None:
        """Close the connection without a callback for the request that is under way."""
        self._done = _ignore
        self._shut()

    # --- opening --------------------------------------------------------------------------------------------

    def _begin(self, raw: bytes) -> None:
        """Open the connection, then send these bytes."""
        self.opened = True
        self.left = 0.0
        self._raw = raw
        self.bytes_in = 0
        self._tries = 0
        self.answer = NO_HEAD
        self.body = b""
        self._reach()

    def _reach(self) -> None:
        endpoint = self._pool.endpoint
        which = (endpoint.preferred + self._tries) % len(endpoint.addresses)
        family, address = endpoint.addresses[which]
        try:
            made = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError as error:
            self._later("unreachable", error_text(error))
            return
        self._socket = made
        self._phase = CONNECTING
        try:
            made.setblocking(False)
            made.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            problem = made.connect_ex(address)
        except (OSError, UnicodeError) as error:
            self._later("unreachable", error_text(error))
            return
        if problem in (0, errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK):
            self._watcher = watcher = self._pool.loop.io(made.fileno(), WRITE)
            watcher.start(self._connected)
        else:
            # From the loop, so that many refusals in a row are not a recursion.
            self._pool.loop.run_callback(self._not_reached, problem)

    def _later(self, kind: str, detail: str) -> None:
        self._phase = CONNECTING
        self._pool.loop.run_callback(self._fail_unless_closed, kind, detail)

    def _fail_unless_closed(self, kind: str, detail: str) -> None:
        if self._phase == CONNECTING:
            self._fail(kind, detail)

    def _not_reached(self, problem: int) -> None:
        if self._phase != CONNECTING:
            return
        self._tries += 1
        if self._tries < len(self._pool.endpoint.addresses):
            self._close_socket()
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
        watcher.events = READ
        watcher.start(self._readable)
        self._ready(made)

    def _ready(self, made: _socket.socket) -> None:
        """Use a socket that is connected."""
        self._recv = made.recv
        self._send = made.send
        self._opened()

    def _opened(self) -> None:
        self._pool.opened += 1
        self.number = self._pool.opened
        raw = self._raw
        if not raw:
            self._phase = IDLE
            self.deadline = _NEVER
            self.done_at = perf_counter()
            self._done(self)
            return
        self._transmit(raw)

    # --- sending, where a request is not written at once ----------------------------------------------------

    def _transmit(self, raw: bytes) -> None:
        """Send the first request on a new connection."""
        self.left = perf_counter()
        try:
            count = self._send(raw)
        except BlockingIOError:
            count = 0
        except OSError:
            # A response may have been sent before the connection was closed.
            count = len(raw)
        if count == len(raw):
            self._phase = AWAITING
        else:
            self._linger(raw, count)

    def _linger(self, raw: bytes, count: int) -> None:
        """Send the bytes after the first `count` as the server takes them."""
        self._unsent = raw[count:]
        self._phase = SENDING
        self._watch(READ | WRITE, self._sendable)

    def _watch(self, events: int, callback: Callable[..., None]) -> None:
        watcher = self._watcher
        watcher.stop()
        watcher.events = events
        watcher.start(callback, pass_events=events != READ)

    def _stop_sending(self) -> None:
        self._unsent = b""
        self._watch(READ, self._readable)

    def _sendable(self, events: int) -> None:
        if events & READ:
            self._readable()
        if self._phase != SENDING or not events & WRITE:
            return
        # As much as the kernel takes, without copying the rest for every piece.
        assert self._socket is not None
        view = memoryview(self._unsent)
        at = 0
        try:
            while at < len(view):
                at += self._socket.send(view[at : at + _MAX_WRITE_BYTES])
        except BlockingIOError:
            pass
        except OSError:
            at = len(view)
        self._unsent = bytes(view[at:])
        if not self._unsent:
            self._phase = AWAITING
            self._watch(READ, self._readable)

    # --- receiving ------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = self._recv(MAX_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(error)
            return
        if self._phase == AWAITING:
            last = self._pool.last
            if len(data) == last.total and data.startswith(last.raw):
                # A complete response with the same head as the one before.
                self.answer = last
                self.body = data[last.size :]
                self.bytes_in = last.total
                self.done_at = perf_counter()
                self.deadline = _NEVER
                self._phase = IDLE
                self._done(self)
                return
        self._arrived(data)

    def _arrived(self, data: bytes) -> None:
        """Take received bytes, and end the request when its response is complete."""
        phase = self._phase
        if phase <= IDLE:
            if phase == IDLE:
                # Either there is no request, or the server closed the connection.
                self._pool.strays += 1 if data else 0
                self._shut()
            elif phase == HANDSHAKE:
                self._fail("unreachable", "TLS: the connection was closed in the handshake")
            return
        if not data:
            self._ended()
            return
        self.bytes_in += len(data)
        try:
            complete = self._take(data)
            if not complete and self.bytes_in > MAX_RESPONSE_BYTES:
                raise too_large()
        except RefusedError as refused:
            self._fail(refused.kind, refused.detail)
        except WireError as error:
            self._fail(error.failure.kind, error.failure.detail)
        else:
            if complete:
                self._complete()

    def _complete(self) -> None:
        """End the request: its response is complete."""
        head = self.answer
        parts = self._parts
        if parts is not None:
            self.body = b"".join(parts)
            self._parts = None
        self._buffer = None
        keep = head.keep and not self._close_after
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
            self._phase = IDLE
        else:
            self._shut()
        self._done(self)

    def _ended(self) -> None:
        """Handle the end of the stream: a response without a length is complete now, any other is cut off."""
        phase = self._phase
        if phase == UNTIL_END:
            self._complete()
        elif phase in (IN_LENGTH, IN_CHUNKS):
            self._fail("closed", "the connection was closed in the middle of the body")
        elif self.bytes_in:
            self._fail("closed", "the connection was closed in the middle of the head")
        elif self.opened:
            self._fail("closed", "the connection was closed without an answer")
        else:
            self._fail("closed", "the kept connection was closed as the request went out")

    def _broke(self, error: OSError) -> None:
        if self._phase == HANDSHAKE:
            self._fail("unreachable", f"TLS: {error_text(error)}")
        elif self._phase > IDLE:
            if not self.bytes_in and error.errno in (errno.ECONNRESET, errno.EPIPE):
                self._ended()
            else:
                self._fail("closed", error_text(error))
        else:
            self._shut()

    # --- ending ---------------------------------------------------------------------------------------------

    def _fail(self, kind: str, detail: str) -> None:
        self._shut()
        self.answer = NO_HEAD
        self.body = b""
        self.failure = kind
        self.detail = detail
        self.done_at = perf_counter()
        self._pool.failed += 1
        self._done(self)

    def expire(self) -> None:
        """End the request whose deadline has passed."""
        if self._phase in (CONNECTING, HANDSHAKE):
            self._fail("unreachable", "no connection within the deadline")
        elif self._phase > IDLE:
            received = f"after {self.bytes_in} bytes of it" if self.bytes_in else "not a byte"
            self._fail("timeout", f"no whole answer within the deadline, {received}")

    def _close_socket(self) -> None:
        """Close the socket."""
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
        self._close_socket()
        self._phase = CLOSED
        self.deadline = _NEVER
        self._buffer = None
        self._parts = None
        self._unsent = b""
        self._interim = 0
        self._close_after = False


def _ignore(connection: Connection) -> None:
    """Do nothing: stands for a callback where there is none."""


def _no_bytes(limit: int) -> bytes:
    return b""


def error_text(error: OSError | UnicodeError) -> str:
    """Return the message of an error of the system, in lower case."""
    return (getattr(error, "strerror", None) or str(error)).lower()
