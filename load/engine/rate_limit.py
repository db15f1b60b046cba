"""The rate that is never exceeded: every request that a process sends to the target takes a place under its ceiling.

The load's own calls and all that goes on around them (sign-ins, renewals, set-up, removals) share one `RateLimit` for
each process. A place is free again a window after the request that held it has left, not after it was to leave: a
connection that has to be opened first may take its time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

__all__ = ["Carrier", "Place", "RateLimit"]

#: Where it is not known when a place will be free, it is looked at again after so many seconds.
_SOON = 0.01


class Carrier(Protocol):
    """A connection that carries a request, as far as it is asked when that left.

    `opened` says that it had to be opened for it, `left` when it had been and the request left (0: not yet), `sent`
    when the request was handed to it, `busy` whether something may still become of that.
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
    """A place under the ceiling; `moment` is when the request that holds it left, inf as long as it has not."""

    __slots__ = ("_carrier", "moment")

    def __init__(self, moment: float = math.inf) -> None:
        self.moment = moment
        self._carrier: Carrier | None = None

    def carry(self, carrier: Carrier) -> None:
        """Take in by which connection the request goes, which was just handed to it."""
        if carrier.opened:
            self._carrier = carrier
        else:
            self.moment = carrier.sent

    @property
    def left(self) -> float:
        """When the request left, as far as that is known."""
        carrier = self._carrier
        if carrier is not None:
            if carrier.left:
                self.moment = carrier.left
            elif carrier.busy:
                return math.inf
            else:
                self.moment = carrier.sent  # it never left
            self._carrier = None
        return self.moment


class RateLimit:
    """No more requests than the ceiling allows, in whatever second one looks at. Moments are of `perf_counter`.

    After `until`, a moment that whoever leads the run moves on, nothing may be sent: this process's share of the
    rate may have been given to others by then.
    """

    def __init__(self, rate: float, until: float = math.inf) -> None:
        self.until = until
        self._places: list[Place] = []
        self._at = 0
        self._lock = threading.Lock()
        self.set(rate)

    def set(self, rate: float) -> None:
        """Put it at a rate; what was sent before counts."""
        if not rate > 0:
            raise ValueError(f"a ceiling is above 0/s, not {rate:g}/s")
        self.rate = rate
        # A whole number of requests, in the time that they take at the ceiling's rate.
        number = max(1, math.floor(rate))
        self.window = number / rate
        # Oldest first; what there is room for beyond them was sent long ago.
        known = (self._places[self._at :] + self._places[: self._at])[-number:]
        self._places = [Place(-math.inf)] * (number - len(known)) + known
        self._at = 0

    def free(self, now: float) -> float:
        """Return how many seconds it is until one may be sent: 0 or less at once, inf where that is not known yet."""
        return self._wait(self._places[self._at], now)

    def _wait(self, before: Place, now: float) -> float:
        return math.inf if now > self.until else before.left + self.window - now

    def wait(self, seconds: float) -> float:
        """Return after how many seconds to ask again, where `free` gave so many."""
        return seconds if seconds < math.inf else _SOON

    def take(self, moment: float = math.inf) -> Place:
        """Take the next place, for a request that left at a moment, or is to leave."""
        place = Place(moment)
        self._places[self._at] = place
        self._at += 1
        if self._at == len(self._places):
            self._at = 0
        return place

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place, and hold it while a request is sent; the first to come is the first to go."""
        with self._lock:
            before = self._places[self._at]
            place = self.take()
        try:
            while (seconds := self._wait(before, perf_counter())) > 0:
                time.sleep(self.wait(seconds))
            yield
        finally:
            place.moment = perf_counter()
