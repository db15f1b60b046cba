"""Servers that misbehave below the protocol, each connection in its own way, drawn from a seed.

A right answer carries the number that stands in the request; whoever gets another one has taken the answer to a
question that somebody else asked.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable
from itertools import count

__all__ = ["EDGE_CASES", "Taken", "numbered", "unusual"]


class Taken:
    """A connection that was taken: reads requests, writes bytes in pieces."""

    def __init__(self, taken: socket.socket, draw: random.Random) -> None:
        self.socket = taken
        self.draw = draw
        self._left = b""

    def number(self) -> int | None:
        """Read one request and return its number; None at the end."""
        data = self._left
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                return None
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(rest) < length:
            more = self.socket.recv(65536)
            if not more:
                return None
            rest += more
        self._left = rest[length:]
        return int(rest[:length].split(b":")[0])

    def say(self, data: bytes) -> None:
        """Send bytes, in a few pieces of any size."""
        cuts = sorted(self.draw.randrange(len(data) + 1) for _ in range(self.draw.randrange(4)))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            self.socket.sendall(data[start:end])
            if self.draw.random() < 0.3:
                time.sleep(0.001)

    def reset(self) -> None:
        """End the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def numbered(number: int, padding: int = 0) -> bytes:
    """Return the right answer's body to the request of that number."""
    return b'{"number":%d,"padding":"%s"}' % (number, b"x" * padding)


def _plain(body: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body), b"", body])


def _chunked(body: bytes, draw: random.Random) -> bytes:
    out = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
    at = 0
    while at < len(body):
        size = draw.randrange(1, len(body) - at + 1)
        out.append(b"%x\r\n%s\r\n" % (size, body[at : at + size]))
        at += size
    return b"".join([*out, b"0\r\n", b"X-Trailer: 1\r\n" if draw.random() < 0.3 else b"", b"\r\n"])


EdgeCase = Callable[[Taken, int, bytes], bool]
#: By name: answers one request somehow; returns whether the connection goes on.
EDGE_CASES: dict[str, EdgeCase] = {}


def edge_case(function: EdgeCase) -> EdgeCase:
    EDGE_CASES[function.__name__] = function
    return function


@edge_case
def right(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_plain(body))
    return True


@edge_case
def chunked(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_chunked(body, taken.draw))
    return True


@edge_case
def announced(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + _plain(body))
    return True


@edge_case
def closing_as_reported(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_plain(body, b"Connection: close"))
    return False


@edge_case
def closing_untold(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_plain(body))
    return False


@edge_case
def to_the_end(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    return False


@edge_case
def silent(taken: Taken, number: int, body: bytes) -> bool:
    time.sleep(0.4)
    return False


@edge_case
def late(taken: Taken, number: int, body: bytes) -> bool:
    """Answer when nobody waits any more: the next request on this connection must not get it."""
    time.sleep(0.35)
    taken.say(_plain(body))
    return True


@edge_case
def cut(taken: Taken, number: int, body: bytes) -> bool:
    whole = _plain(body)
    taken.say(whole[: taken.draw.randrange(len(whole))])
    return False


@edge_case
def cut_chunks(taken: Taken, number: int, body: bytes) -> bool:
    whole = _chunked(body, taken.draw)
    taken.say(whole[: taken.draw.randrange(len(whole) - 1)])
    return False


@edge_case
def resetting(taken: Taken, number: int, body: bytes) -> bool:
    taken.reset()
    return False


@edge_case
def resetting_midway(taken: Taken, number: int, body: bytes) -> bool:
    whole = _plain(body)
    taken.socket.sendall(whole[: taken.draw.randrange(len(whole))])
    taken.reset()
    return False


@edge_case
def garbage(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(taken.draw.randbytes(taken.draw.randrange(1, 400)))
    return True


@edge_case
def two_lengths(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_plain(body, b"Content-Length: 5"))
    return True


@edge_case
def length_and_chunks(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_plain(body, b"Transfer-Encoding: chunked"))
    return True


@edge_case
def bare_line_feeds(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(_plain(body).replace(b"\r\n", b"\n"))
    return False


@edge_case
def answering_twice(taken: Taken, number: int, body: bytes) -> bool:
    """Send a second answer right behind the first: it belongs to nobody."""
    taken.socket.sendall(_plain(body) + _plain(numbered(-1)))
    return True


@edge_case
def too_long_a_chunk(taken: Taken, number: int, body: bytes) -> bool:
    taken.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n" + body + b"\r\n0\r\n\r\n")
    return True


def unusual(seed: int, names: tuple[str, ...] = tuple(EDGE_CASES)) -> Callable[[socket.socket], None]:
    """Return a script for connections: each answers some requests rightly and others in one of these ways."""
    connections = count()

    def script(taken: socket.socket) -> None:
        draw = random.Random(f"{seed} {next(connections)}")
        connection = Taken(taken, draw)
        while (number := connection.number()) is not None:
            name = "right" if draw.random() < 0.5 else draw.choice(names)
            if not EDGE_CASES[name](
                connection, number, numbered(number, draw.choice((0, 10, 3000, 200_000)))
            ):
                return

    return script
