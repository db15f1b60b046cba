"""A server that fails in one of several ways, so that the report of a load on it follows from arithmetic.

refuse   every call is answered 403 at once
shed     every 25th call is served, after 2 s; the others are answered 503 at once
limit    300 calls in each second are served; what is above is answered 503 at once
outage   all is served, but for the seconds 10 to 12, in which every call is answered 500 at once
queue    calls are served one after the other, 20 per second, however many come

What is served in `limit` and `outage` takes 100, 104, … 496 ms in turn. The first request starts the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from tests.servers.bare import BareConnection
from tests.servers.launch import end_with, options, ready

#: The ways with something to measure, and all of them.
MODES = ("shed", "limit", "outage")
ALL_MODES = ("refuse", *MODES, "queue")
#: One call in so many is served by `shed`, after so many seconds.
SHED_ONE_IN, SHED_SECONDS = 25, 2.0
LIMIT_PER_SECOND = 300
OUTAGE_BEGIN, OUTAGE_END = 10, 12
#: How long `queue` takes for each call.
QUEUE_SECONDS = 0.05
#: A clock that begins a little before the first request, so that none is due at the edge of a second.
EDGE_SECONDS = 0.001

_BODIES = {
    True: b'{"isError":false,"errMsg":null,"data":{}}',
    False: b'{"isError":true,"errMsg":"no","data":null}',
}


def turn_seconds(number: int) -> float:
    """Return how long the call takes that is served as the one with this number, from 0 on."""
    return (100 + 4 * (number % 100)) / 1000


class Failing:
    """What becomes of each call, by its number and the seconds since the first."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._seen = self._served = self._in_second = 0
        self._second = -1
        self._free_at = 0.0

    def answer(self, since: float) -> tuple[int, float]:
        """Return the status of the next call, and after how many seconds it is answered."""
        number, self._seen = self._seen, self._seen + 1
        if self._mode == "refuse":
            return 403, 0.0
        if self._mode == "shed":
            return (503, 0.0) if number % SHED_ONE_IN else (200, SHED_SECONDS)
        if self._mode == "queue":
            self._free_at = max(self._free_at, since) + QUEUE_SECONDS
            return 200, self._free_at - since
        if self._mode == "limit":
            if int(since) != self._second:
                self._second, self._in_second = int(since), 0
            self._in_second += 1
            if self._in_second > LIMIT_PER_SECOND:
                return 503, 0.0
        elif OUTAGE_BEGIN <= since < OUTAGE_END:
            return 500, 0.0
        served, self._served = self._served, self._served + 1
        return 200, turn_seconds(served)


class _Connection(BareConnection):
    """Answers what comes on one connection, one request at a time."""

    begun: float | None = None

    def __init__(self, failing: Failing) -> None:
        super().__init__()
        self._failing = failing

    def asked(self) -> None:
        now = time.perf_counter()
        if _Connection.begun is None:
            _Connection.begun = now - EDGE_SECONDS
        status, seconds = self._failing.answer(now - _Connection.begun)
        body = _BODIES[status == 200]
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.answer, status, body)
        else:
            self.answer(status, body)


async def _serve(mode: str, port: int, parent: bool) -> None:
    failing = Failing(mode)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(failing), "127.0.0.1", port, backlog=1024)
    over = asyncio.Event()

    def end() -> None:
        loop.call_soon_threadsafe(over.set)

    end_with(end, parent=parent)
    ready(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/", None, None)
    await over.wait()


def main() -> None:
    """Serve until a signal ends it."""
    parser: argparse.ArgumentParser = options("a server that fails fast")
    parser.add_argument("--mode", choices=ALL_MODES, required=True)
    args = parser.parse_args()
    asyncio.run(_serve(args.mode, args.port, args.exit_with_parent))


if __name__ == "__main__":
    main()
