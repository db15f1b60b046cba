"""A server that answers in 1 ms, but freezes for 1 s in every 10 s, as one does whose database fails over.

While it is frozen it takes connections and requests, and answers none. When the freeze ends, it gives all that it owes
in one pass, in the order in which it was asked, 10 µs each: the length of the queue hardly matters.
So it works on file descriptors, with bytes that are ready. The first request starts its clock; it freezes from 4.5 s to
5.5 s, from 14.5 s to 15.5 s and so on, so that what any generator should have seen in whole tens of seconds follows
from arithmetic. It gives one answer, an envelope without rows, to whatever it is asked. When it ends, it says in one
line when its freezes really began and ended, and when it gave its answers, in seconds since the first request.
"""

from __future__ import annotations

import argparse
import json
import math
import os
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
#: Answers whose times are retained.
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
        # What it takes has this from it, so that nothing has to be set on each.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._poll = select.epoll()
        self._poll.register(self._listener.fileno(), select.EPOLLIN)
        #: What was read of the next request, by connection.
        self._read: dict[int, bytes] = {}
        #: When to answer on which connection; the time to answer is the same for all, so it is in order.
        self._due: deque[tuple[float, int]] = deque()
        self._begun: float | None = None
        #: When the freeze begins that is next, or that it is in.
        self._freeze = math.inf
        self._frozen = False
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
        listener = self._listener.fileno()
        while not self._stopped:
            for number, _ in self._poll.poll(self._patience(time.perf_counter())):
                if number == listener:
                    self._take()
                else:
                    self._hear(number)
            now = time.perf_counter()
            if not self._frozen and now >= self._freeze:
                self._frozen = True
                self._say_until(self._freeze)
                self.freezes.append((self._freeze, 0.0))
            if self._frozen:
                if now < self._freeze + self._length:
                    continue
                self._frozen = False
                begin = self.freezes.pop()[0]
                self.freezes.append((begin - self._since, now - self._since))
                self._freeze += self._every
            self._say_until(now)
        for number in self._read:
            os.close(number)
        self._listener.close()

    @property
    def _since(self) -> float:
        assert self._begun is not None
        return self._begun

    def _patience(self, now: float) -> float:
        """Return how long may be waited: what is due soon is waited for awake, for epoll counts in milliseconds."""
        until = self._freeze + self._length if self._frozen else self._freeze
        if self._due and not self._frozen:
            until = min(until, self._due[0][0])
        left = min(until - now, 0.2)
        return left - 0.002 if left > 0.003 else 0.0

    def _take(self) -> None:
        while True:
            try:
                number, _ = self._listener._accept()  # type: ignore[attr-defined]  # no object for each
            except BlockingIOError:
                return
            os.set_blocking(number, False)
            self._read[number] = b""
            self._poll.register(number, select.EPOLLIN)

    def _hear(self, number: int) -> None:
        try:
            came = os.read(number, 65536)
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
            if self._begun is None:
                self._begun, self._freeze = now, now + self._first
        self._read[number] = data

    def _say_until(self, moment: float) -> None:
        """Give all answers that are due by then."""
        while self._due and self._due[0][0] <= moment:
            number = self._due.popleft()[1]
            try:
                os.write(number, _REPLY)  # so short that it goes at once, or not at all
            except OSError:
                self._drop(number)
                continue
            if len(self.answers) < REMEMBERED:
                self.answers.append(time.perf_counter() - self._since)

    def _drop(self, number: int) -> None:
        self._poll.unregister(number)
        os.close(number)
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
    """Serve until a signal ends it."""
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
