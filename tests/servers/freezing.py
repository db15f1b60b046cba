"""A server that answers in 1 ms, but freezes for 1 s in every 10 s, as one does that collects garbage or fails over.

While it is frozen it does nothing at all: neither takes connections nor reads nor answers. The first request starts its
clock; it freezes from 4.5 s to 5.5 s, from 14.5 s to 15.5 s and so on, so that what any generator should have seen in
whole tens of seconds follows from arithmetic. It gives one answer, an envelope without rows, to whatever it is asked.
When it ends, it says in one line when its freezes really began and ended, and when it gave its answers, in seconds
since the first request.
"""

from __future__ import annotations

import argparse
import json
import re
import select
import socket
import time
from collections import deque

from tests.servers.launch import end_with, options, ready

ANSWER = b'{"isError":false,"errMsg":null,"data":{"rows":[]}}'
_REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
) + ANSWER
#: Of how many answers the moments are kept.
REMEMBERED = 20_000
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)


class Freezing:
    """The server; `serve` returns after `stop`. All times are in seconds."""

    def __init__(
        self,
        port: int = 0,
        *,
        answer: float = 0.001,
        every: float = 10.0,
        length: float = 1.0,
        first: float = 4.5,
    ) -> None:
        self._answer, self._every, self._length = answer, every, length
        self._first = first
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._poll = select.epoll()
        self._poll.register(self._listener.fileno(), select.EPOLLIN)
        self._taken: dict[int, socket.socket] = {}
        self._read: dict[int, bytes] = {}
        #: When to answer on which connection; the time to answer is the same for all, so it is in order.
        self._due: deque[tuple[float, int]] = deque()
        self._begun = 0.0
        self._freeze: float | None = None
        #: Begin and end of each freeze, since the first request.
        self.freezes: list[tuple[float, float]] = []
        #: When the first so many answers were given, since the first request.
        self.answers: list[float] = []
        self._stopped = False

    def stop(self) -> None:
        """End within a second or so."""
        self._stopped = True

    def serve(self) -> None:
        """Answer until stopped."""
        while not self._stopped:
            now = time.perf_counter()
            if self._freeze is not None and now >= self._freeze:
                self._sleep(self._freeze + self._length)
                self.freezes.append((now - self._begun, time.perf_counter() - self._begun))
                self._freeze += self._every
            for number, _ in self._poll.poll(self._patience(time.perf_counter())):
                if number == self._listener.fileno():
                    self._take()
                else:
                    self._hear(number)
            now = time.perf_counter()
            while self._due and self._due[0][0] <= now:
                self._say(self._due.popleft()[1])
        for taken in self._taken.values():
            taken.close()
        self._listener.close()

    @staticmethod
    def _sleep(until: float) -> None:
        """Sleep to a moment, the last millisecond of it awake."""
        time.sleep(max(0.0, until - time.perf_counter() - 0.001))
        while time.perf_counter() < until:
            pass

    def _patience(self, now: float) -> float:
        moments = [now + 0.2]
        if self._due:
            moments.append(self._due[0][0])
        if self._freeze is not None:
            moments.append(self._freeze)
        left = min(moments) - now
        # epoll counts in milliseconds and rounds up: the last two are waited for awake.
        return left - 0.002 if left > 0.003 else 0.0

    def _take(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except BlockingIOError:
                return
            taken.setblocking(False)
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._taken[taken.fileno()] = taken
            self._read[taken.fileno()] = b""
            self._poll.register(taken.fileno(), select.EPOLLIN)

    def _hear(self, number: int) -> None:
        try:
            came = self._taken[number].recv(65536)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            self._drop(number)
            return
        data = self._read[number] + came
        now = time.perf_counter()
        while (size := _request(data)) is not None:
            data = data[size:]
            self._due.append((now + self._answer, number))
            if self._freeze is None:
                self._begun, self._freeze = now, now + self._first
        self._read[number] = data

    def _say(self, number: int) -> None:
        if (taken := self._taken.get(number)) is not None:
            try:
                taken.send(_REPLY)  # so short that it goes at once, or not at all
                if len(self.answers) < REMEMBERED:
                    self.answers.append(time.perf_counter() - self._begun)
            except OSError:
                self._drop(number)

    def _drop(self, number: int) -> None:
        self._poll.unregister(number)
        self._taken.pop(number).close()
        del self._read[number]
        self._due = deque(each for each in self._due if each[1] != number)


def _request(data: bytes) -> int | None:
    """Return how long the first request in some bytes is; None when it is not all there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = _LENGTH.search(data, 0, end)
    size = end + 4 + (int(found[1]) if found else 0)
    return size if len(data) >= size else None


def main() -> None:
    """Serve until told to end."""
    parser: argparse.ArgumentParser = options("a server that freezes for 1 s in every 10 s")
    args = parser.parse_args()
    server = Freezing(args.port)
    end_with(server.stop, parent=args.exit_with_parent)
    ready(f"http://127.0.0.1:{server.port}/api/", None, None)
    server.serve()
    answers = [round(each, 6) for each in server.answers]
    print(json.dumps({"freezes": server.freezes, "answers": answers}), flush=True)


if __name__ == "__main__":
    main()
