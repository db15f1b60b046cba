"""Reading a response from the bytes of a connection, as they arrive (RFC 9112)."""

from __future__ import annotations

import re
from typing import Protocol

from conformance.protocol.wire import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES
from load.http.head import (
    FIELD_LINE,
    LENGTH_BY_CHUNKS,
    NO_HEAD,
    Head,
    RefusedError,
    too_large,
)

__all__ = [
    "AWAITING",
    "CLOSED",
    "CONNECTING",
    "HANDSHAKE",
    "IDLE",
    "IN_CHUNKS",
    "IN_HEAD",
    "IN_LENGTH",
    "SENDING",
    "UNTIL_END",
    "Heads",
    "ResponseReader",
]

#: The longest line with the size of a chunk, and the longest trailer, in bytes; both are short in practice.
_MAX_LINE_BYTES = 4096
_MAX_TRAILER_BYTES = 65_536

#: The largest number of 1xx responses before the final one.
_MAX_INTERIM_RESPONSES = 64

#: The phases of a connection. From AWAITING on, a response is expected.
CLOSED, CONNECTING, HANDSHAKE, IDLE, AWAITING, SENDING, IN_HEAD, IN_LENGTH, IN_CHUNKS, UNTIL_END = range(10)

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_OPENING = b"HTTP/1."


class Heads(Protocol):
    """What the connections of a pool share."""

    heads: dict[bytes, Head]
    #: The head of the last response that came complete in one read.
    last: Head
    #: Connections on which more arrived than was requested.
    strays: int

    def remember(self, head: Head) -> None:
        """Retain a head, so that a response with the same one need not be read again."""


class ResponseReader:
    """The state of the response that a connection receives, and the paths that read all but the usual response."""

    __slots__ = (
        "_buffer",
        "_close_after",
        "_interim",
        "_need",
        "_parts",
        "_phase",
        "_shared",
        "answer",
        "body",
    )

    def __init__(self, shared: Heads) -> None:
        self._shared = shared
        self._phase = CLOSED
        #: The head of the response, and its body.
        self.answer = NO_HEAD
        self.body = b""
        #: Bytes of an incomplete head, or of incomplete chunks.
        self._buffer: bytearray | None = None
        #: The parts of the body so far, and how many bytes of it are missing.
        self._parts: list[bytes] | None = None
        self._need = 0
        #: The number of 1xx responses so far.
        self._interim = 0
        #: Whether the connection is closed after this response.
        self._close_after = False

    def _stop_sending(self) -> None:
        """Send nothing more of the request."""
        raise NotImplementedError

    def _take(self, data: bytes) -> bool:
        """Take received bytes; return whether the response is complete with them.

        Raises:
            RefusedError: the response is malformed or too large.

        """
        phase = self._phase
        if phase in (AWAITING, SENDING, IN_HEAD):
            buffer = self._buffer
            if buffer is None:
                end = data.find(b"\r\n\r\n")
            else:
                start = max(0, len(buffer) - 3)
                buffer += data
                end = buffer.find(b"\r\n\r\n", start)
                if end < 0:
                    data = b""
                else:
                    data = bytes(buffer)
                    self._buffer = None
            if end < 0:
                self._no_head_yet(data)
                return False
            return self._take_head(data, end + 4)
        if phase == IN_LENGTH:
            assert self._parts is not None
            if len(data) < self._need:
                self._parts.append(data)
                self._need -= len(data)
                return False
            self._parts.append(data[: self._need])
            self._beyond(data[self._need :])
            return True
        if phase == IN_CHUNKS:
            assert self._buffer is not None
            self._buffer += data
            return self._take_chunks()
        assert self._parts is not None
        self._parts.append(data)
        return False

    def _no_head_yet(self, data: bytes) -> None:
        """Take bytes of an incomplete head.

        Raises:
            RefusedError: they are not the start of a head, or it is too large.

        """
        if self._buffer is None:
            self._buffer = bytearray(data)
        if self._phase == AWAITING:
            self._phase = IN_HEAD
        received = self._buffer
        if not received.startswith(_OPENING[: len(received)]):
            raise RefusedError("garbled", f"not an HTTP response: it begins with {bytes(received[:40])!r}")
        if len(received) > MAX_HEAD_BYTES:
            raise RefusedError(
                "oversize", f"the head of the response is larger than {MAX_HEAD_BYTES // 1024} kB"
            )

    def _take_head(self, data: bytes, size: int) -> bool:
        """Take bytes that begin with a complete head of `size` bytes; return whether the response is complete.

        Raises:
            RefusedError: the response is malformed or too large.

        """
        raw = data[:size]
        shared = self._shared
        head = shared.heads.get(raw)
        if head is None:
            if size > MAX_HEAD_BYTES:
                raise RefusedError(
                    "oversize", f"the head of the response is larger than {MAX_HEAD_BYTES // 1024} kB"
                )
            head = Head(raw)
            shared.remember(head)
        if head.status < 200:
            # An interim response (1xx); bytes of the final one may follow it.
            if not head.keep:
                raise RefusedError("garbled", "an interim answer says that the connection closes")
            self._interim += 1
            if self._interim > _MAX_INTERIM_RESPONSES:
                raise RefusedError("garbled", f"more than {_MAX_INTERIM_RESPONSES} interim answers")
            if self._phase != SENDING:
                self._phase = IN_HEAD
            rest = data[size:]
            return bool(rest) and self._take(rest)
        self.answer = head
        if self._phase == SENDING:
            # A response before the whole request was sent: nothing more is sent on this connection.
            self._stop_sending()
            self._close_after = True
        if head.total == len(data):
            shared.last = head
            self.body = data[size:]
            return True
        length = head.length
        if length >= 0:
            if len(data) - size >= length:
                self.body = data[size : size + length]
                self._beyond(data[size + length :])
                return True
            self._phase = IN_LENGTH
            self._parts = [data[size:]]
            self._need = length - (len(data) - size)
            return False
        if length == LENGTH_BY_CHUNKS:
            self._phase = IN_CHUNKS
            self._parts = []
            self._buffer = bytearray(data[size:])
            return self._take_chunks()
        self._phase = UNTIL_END
        self._parts = [data[size:]]
        return False

    def _take_chunks(self) -> bool:
        """Read the chunks that are complete; return whether the body is.

        Raises:
            RefusedError: a chunk violates HTTP/1.1.

        """
        buffer, parts = self._buffer, self._parts
        assert buffer is not None
        assert parts is not None
        at = 0
        whole = False
        while True:
            end = buffer.find(b"\r\n", at, at + _MAX_LINE_BYTES)
            if end < 0:
                if len(buffer) - at >= _MAX_LINE_BYTES:
                    raise RefusedError("garbled", "the size of a chunk has no end")
                if buffer.find(b"\n", at) >= 0:
                    raise RefusedError("garbled", "a bare line feed in the size of a chunk")
                break
            line = _CHUNK_LINE.fullmatch(buffer, at, end)
            if line is None:
                raise RefusedError(
                    "garbled", f"a chunk has the size {bytes(buffer[at : min(end, at + 40)])!r}"
                )
            size = int(line[1], 16)
            start = end + 2
            if size > MAX_RESPONSE_BYTES:
                raise too_large()
            if size == 0:
                whole, at = self._take_trailer(buffer, at, start)
                break
            if len(buffer) < start + size + 2:
                if len(buffer) > start + size and buffer[start + size] != 13:
                    raise RefusedError("garbled", "a chunk is longer than its size")
                break
            if buffer[start + size : start + size + 2] != b"\r\n":
                raise RefusedError("garbled", "a chunk is longer than its size")
            parts.append(bytes(buffer[start : start + size]))
            at = start + size + 2
        del buffer[:at]
        if whole:
            self._beyond(bytes(buffer))
        return whole

    @staticmethod
    def _take_trailer(buffer: bytearray, at: int, start: int) -> tuple[bool, int]:
        """Return whether the last chunk (which begins at `at`) is complete with its trailer, and where to read on."""
        if buffer.startswith(b"\r\n", start):
            return True, start + 2
        end = buffer.find(b"\r\n\r\n", start)
        if end < 0:
            if len(buffer) - start > _MAX_TRAILER_BYTES:
                raise RefusedError("oversize", "the trailer of the response is too large")
            return False, at
        for field in bytes(buffer[start:end]).split(b"\r\n"):
            if FIELD_LINE.fullmatch(field) is None:
                raise RefusedError("garbled", f"not an HTTP response: a trailer line reads {field[:40]!r}")
        return True, end + 4

    def _beyond(self, rest: bytes) -> None:
        """Record bytes after the end of the response: nothing more is read on such a connection."""
        if rest:
            self._shared.strays += 1
            self._close_after = True
