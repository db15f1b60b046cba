"""The rate limit: every request that a process sends to the target takes a place under it.

The calls of the load and everything around them (sign-ins, renewals, set-up, removals) share one `RateLimit` in each
process. A place becomes free one window after its request has left, not after it was scheduled: opening a connection
may take time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

__all__ = ["Place", "RateLimit", "SendingConnection"]

#: The time to the next check where it is not known when a place becomes free.
_RETRY_SECONDS = 0.01


class SendingConnection(Protocol):
    """A connection with a request, as far as it knows when the request left.

    `opened` is whether it had to be opened first; `left` is when the request was written after that (0: not yet);
    `sent` is when the request was passed to it; `busy` is whether the request is still under way.
    """

    @property
    def opened(self) -> bool: ...  # noqa: D102

    @property
    def left(self) -> float: ...  # noqa: D102

    @property
    def sent(self) -> float: ...  # noqa: D102

    @property
    def busy(self) -> bool: ...  # noqa: D102


class Place:
    """A place under the rate limit; `moment` is when its request left, inf as long as it has not."""

    __slots__ = ("_connection", "moment")

    def __init__(self, moment: float = math.inf) -> None:
        self.moment = moment
        self._connection: SendingConnection | None = None

    def carry(self, connection: SendingConnection) -> None:
        """Record the connection to which the request was just passed."""
        if connection.opened:
            self._connection = connection
        else:
            self.moment = connection.sent

    @property
    def left(self) -> float:
        """The moment at which the request left, as far as it is known."""
        connection = self._connection
        if connection is not None:
            if connection.left:
                self.moment = connection.left
            elif connection.busy:
                return math.inf
            else:
                self.moment = connection.sent  # it never left
            self._connection = None
        return self.moment


class RateLimit:
    """Allows no more requests than the rate limit, in any second. Moments are of `perf_counter`.

    Nothing may be sent after `until`, which the process that leads the run extends: by then this process's share of
    the rate may have been given to others.
    """

    def __init__(self, rate: float, until: float = math.inf) -> None:
        self.until = until
        self._places: list[Place] = []
        self._at = 0
        self._lock = threading.Lock()
        self.set(rate)

    def set(self, rate: float) -> None:
        """Set the rate; earlier requests count."""
        if not rate > 0:
            raise ValueError(f"a ceiling is above 0/s, not {rate:g}/s")
        self.rate = rate
        # A whole number of requests, in the time that they take at this rate.
        number = max(1, math.floor(rate))
        self.window = number / rate
        # Oldest first; further places are of requests long ago.
        known = (self._places[self._at :] + self._places[: self._at])[-number:]
        self._places = [Place(-math.inf)] * (number - len(known)) + known
        self._at = 0

    def free(self, now: float) -> float:
        """Return the seconds until a request may be sent: 0 or less for now, inf where it is not known yet."""
        return self._wait(self._places[self._at], now)

    def _wait(self, before: Place, now: float) -> float:
        return math.inf if now > self.until else before.left + self.window - now

    def wait(self, seconds: float) -> float:
        """Return the seconds after which to check again, for a result of `free`."""
        return seconds if seconds < math.inf else _RETRY_SECONDS

    def take(self, moment: float = math.inf) -> Place:
        """Take the next place, for a request that left at a moment, or will leave."""
        place = Place(moment)
        self._places[self._at] = place
        self._at += 1
        if self._at == len(self._places):
            self._at = 0
        return place

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place, and occupy it while a request is sent; in the order of the calls."""
        with self._lock:
            before = self._places[self._at]
            place = self.take()
        try:
            while (seconds := self._wait(before, perf_counter())) > 0:
                time.sleep(self.wait(seconds))
            yield
        finally:
            place.moment = perf_counter()
