"""The connections to one endpoint, and the watchdog of their deadlines."""

from __future__ import annotations

from time import perf_counter

import gevent  # type: ignore[import-untyped]

from load.http.connection import Connection
from load.http.endpoint import Endpoint
from load.http.head import NO_HEAD, Head
from load.http.response import CLOSED, IDLE
from load.http.tls import TlsConnection

__all__ = ["Pool"]

#: The largest number of heads that are retained, and the largest such head in bytes. Most servers send a dozen
#: different heads per second.
_MAX_HEADS = 1024
_MAX_HEAD_BYTES = 4096


class Pool:
    """The connections to one endpoint: at most `limit` at a time, with one watchdog for all deadlines.

    `opened` counts the connections that were opened, `failed` the requests without a response, `reopened` the idle
    connections that were found closed before anything was sent on them, and `strays` the connections on which more
    arrived than was requested. `most` is the largest number of connections at a time.
    """

    def __init__(self, endpoint: Endpoint, limit: int = 256, *, period: float = 0.05) -> None:
        """Check deadlines every `period` seconds; must be called in the thread that runs the hub."""
        self.endpoint = endpoint
        self.limit = limit
        self.loop = gevent.get_hub().loop
        self.heads: dict[bytes, Head] = {}
        self.last = NO_HEAD
        self.opened = 0
        self.failed = 0
        self.reopened = 0
        self.strays = 0
        self.most = 0
        self._make = Connection if endpoint.tls is None else TlsConnection
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._timer = self.loop.timer(period, period, ref=False)
        self._timer.start(self._watch)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def in_use(self) -> int:
        """The number of connections that are taken."""
        return len(self._all) - len(self._idle)

    def take(self) -> Connection | None:
        """Return an idle connection, a new one (not yet open) below the limit, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection._phase == IDLE:
                return connection
            # The server has closed it in the meantime.
            self._all.discard(connection)
        if len(self._all) >= self.limit:
            return None
        connection = self._make(self)
        self._all.add(connection)
        self.most = max(self.most, len(self._all))
        return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back; its response must no longer be read."""
        if connection._phase == IDLE:
            self._idle.append(connection)
        else:
            if connection._phase != CLOSED:
                connection.close()
            self._all.discard(connection)

    def remember(self, head: Head) -> None:
        """Retain a head, so that a response with the same one need not be read again."""
        heads = self.heads
        if len(heads) >= _MAX_HEADS:
            heads.clear()
        if head.size <= _MAX_HEAD_BYTES:
            heads[head.raw] = head

    def open_ahead(self, count: int, deadline: float, *, at_a_time: int = 64) -> int:
        """Open `count` connections, `at_a_time` in parallel, and add them to the pool; return how many are open.

        For greenlets: others run until the connections are open or have failed.
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
        """Close every connection, without a callback for requests that are under way."""
        self._timer.stop()
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._idle.clear()

    def _watch(self) -> None:
        now = perf_counter()
        for connection in [one for one in self._all if one.deadline < now]:
            connection.expire()
