"""What the forwarding process writes to the judging one: frames of bytes in a pipe, and counters in shared memory."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Counters", "Frame", "FrameReader", "Kind", "pack"]

_HEAD = struct.Struct("<BIdI")
_COUNTERS = struct.Struct("<QQQ")


class Kind(IntEnum):
    """What a frame reports of a connection."""

    #: A request begins with these bytes, and ends with the last ones before RECEIVED, or with SENT_ALL.
    BEGIN = 1
    SENT = 2
    SENT_ALL = 3
    RECEIVED = 4
    #: The target, or the client, closed the connection.
    TARGET_CLOSED = 5
    CLIENT_CLOSED = 6
    #: There is no connection to the target; the bytes say why.
    UNREACHABLE = 7
    #: Frames of this connection are missing.
    LOST = 8
    #: What follows on this connection is not HTTP, or not as it can be followed.
    OPAQUE = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its kind, its connection, the time in seconds since the epoch, and bytes."""

    kind: Kind
    connection: int
    at: float
    data: bytes


def pack(kind: Kind, connection: int, at: float, data: bytes = b"") -> bytes:
    """Return a frame as it stands in the pipe."""
    return _HEAD.pack(kind, connection & 0xFFFFFFFF, at, len(data)) + data


class FrameReader:
    """Cuts the bytes of the pipe into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete."""
        data = self._rest + data if self._rest else data
        start, end = 0, len(data)
        while end - start >= _HEAD.size:
            kind, connection, at, length = _HEAD.unpack_from(data, start)
            stop = start + _HEAD.size + length
            if stop > end:
                break
            yield Frame(Kind(kind), connection, at, data[start + _HEAD.size : stop])
            start = stop
        self._rest = data[start:]


class Counters:
    """Counters that both processes see: requests that began, exchanges that were dropped, open connections."""

    SIZE = _COUNTERS.size

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, self.SIZE)

    def read(self) -> tuple[int, int, int]:
        """Return the counters."""
        begun, dropped, connections = _COUNTERS.unpack_from(self._memory)
        return begun, dropped, connections

    def write(self, begun: int, dropped: int, connections: int) -> None:
        """Replace the counters."""
        _COUNTERS.pack_into(self._memory, 0, begun, dropped, connections)
