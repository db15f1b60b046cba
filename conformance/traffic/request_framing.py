"""Where requests begin and end in the bytes of a connection (RFC 9112, section 6).

The bytes are forwarded as they are, but for the value of Host, which names the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["MAX_HEAD_BYTES", "RequestFraming"]

MAX_HEAD_BYTES = 256 * 1024
_LENGTH = re.compile(rb"(?im)^content-length[ \t]*:[ \t]*([^\r\n]*)")
_CODING = re.compile(rb"(?im)^transfer-encoding[ \t]*:[ \t]*([^\r\n]*)")
_HOST = re.compile(rb"(?im)^(host[ \t]*:[ \t]*)[^\r\n]*")
_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.[01]\r\n")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_UPGRADE = re.compile(rb"(?im)^upgrade[ \t]*:")
#: A chunk's line, or the trailers, are no longer than this.
MAX_LINE_BYTES = 16_384


class RequestFraming:
    """Cuts what a client sends into parts of requests: where one begins, goes on, and ends.

    After bytes that are not a request as this reads it, `opaque` is set, and everything is forwarded unread.
    """

    def __init__(self, host: bytes | None) -> None:
        """Take the value that replaces that of Host; None leaves it."""
        self._host = host
        self._pending = b""
        #: Bytes of the body that are still to come; None within chunked framing.
        self._left: int | None = 0
        self._in_body = False
        self._chunk = b""
        self._chunk_left = 0
        self._in_trailers = False
        self.opaque = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool, bool]]:
        """Yield (bytes to forward, whether a request begins with them, whether it ends with them)."""
        while data:
            if self.opaque:
                yield data, False, False
                return
            if self._in_body:
                used, ended = self._body(data)
                yield data[:used], False, ended
                data = data[used:]
                continue
            data = self._pending + data
            self._pending = b""
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MAX_HEAD_BYTES or b"\n\n" in data or not _may_begin(data):
                    self.opaque = True
                    continue
                self._pending = data
                return
            head, data = data[: end + 4], data[end + 4 :]
            if not self._begin(head):
                self.opaque = True
                data = head + data
                continue
            yield self._aimed(head), True, not self._in_body

    def rest(self) -> bytes:
        """Return the bytes that wait for the end of a head, when the client sends no more."""
        rest, self._pending = self._pending, b""
        return rest

    def _aimed(self, head: bytes) -> bytes:
        if self._host is None:
            return head
        host = self._host
        return _HOST.sub(lambda found: found[1] + host, head)

    def _begin(self, head: bytes) -> bool:
        """Read a head; return whether the end of its request can be found."""
        if _LINE.match(head) is None or _UPGRADE.search(head) or head.startswith(b"CONNECT "):
            return False
        lengths = {found.strip() for found in _LENGTH.findall(head)}
        codings = _CODING.findall(head)
        if codings:
            if lengths or len(codings) > 1 or codings[0].strip().lower() != b"chunked":
                return False
            self._left, self._in_body = None, True
            self._chunk, self._chunk_left, self._in_trailers = b"", 0, False
            return True
        if len(lengths) > 1:
            return False
        length = lengths.pop() if lengths else b"0"
        if not length.isdigit():
            return False
        self._left = int(length)
        self._in_body = self._left > 0
        return True

    def _body(self, data: bytes) -> tuple[int, bool]:
        """Return how many of the bytes belong to the body, and whether it ends with them."""
        if self._left is not None:
            used = min(len(data), self._left)
            self._left -= used
            self._in_body = self._left > 0
            return used, not self._in_body
        return self._chunks(data)

    def _chunks(self, data: bytes) -> tuple[int, bool]:
        position = 0
        while position < len(data):
            if self._chunk_left:
                step = min(self._chunk_left, len(data) - position)
                self._chunk_left -= step
                position += step
                continue
            end = data.find(b"\n", position)
            stop = len(data) if end < 0 else end + 1
            self._chunk += data[position:stop]
            position = stop
            if len(self._chunk) > MAX_LINE_BYTES:
                self.opaque = True
                return len(data), False
            if end < 0:
                break
            line, self._chunk = self._chunk, b""
            if self._in_trailers:
                if line == b"\r\n":
                    self._in_body = False
                    return position, True
            elif (found := _SIZE.fullmatch(line)) is None:
                self.opaque = True
                return len(data), False
            elif size := int(found[1], 16):
                # The line end after the chunk belongs to it.
                self._chunk_left = size + 2
            else:
                self._in_trailers = True
        return position, False


def _may_begin(data: bytes) -> bool:
    """Return whether bytes may be the beginning of a request."""
    line, end, _ = data.partition(b"\r\n")
    if end:
        return _LINE.match(line + end) is not None
    return all(32 <= byte < 127 for byte in line.removesuffix(b"\r"))
