"""How fast a client may send: a bound on requests per second, and the pauses that a target asks for."""

from __future__ import annotations

import datetime
import email.utils
import math
import re
import threading
import time
from collections.abc import Callable

from conformance.protocol.exchange import Response

__all__ = ["MAX_RESENDS", "Throttle", "retry_after"]

#: Statuses whose `Retry-After` says when the same request may be sent again (RFC 9110, section 10.2.3; RFC 6585).
RETRIED = frozenset({429, 503})

#: A request that is told to wait is sent again so often at most.
MAX_RESENDS = 3

#: Seconds that one pause may take, and the share of the time that was left at the first pause for all of them.
MAX_PAUSE_SECONDS = 120.0
MAX_PAUSE_SHARE = 0.5

#: Added to a pause in seconds: `Retry-After` counts whole seconds, and both clocks may round.
MARGIN_SECONDS = 0.05


class Throttle:
    """Spaces the requests of a client, and holds all of them back while the target asks for a pause.

    `rate` is in requests per second; None sets no bound. `clock` and `sleep` are those of the module `time`.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        #: The moments before which no request, and after a pause no request at all, is sent.
        self._next = 0.0
        self._resume = 0.0
        self._payload_budget: float | None = None
        #: How many pauses there were, and how many seconds they were asked to take.
        self.pauses = 0
        self.paused_seconds = 0.0

    def begin_again(self) -> None:
        """Forget how long earlier pauses were: the clean-up has time of its own."""
        with self._lock:
            self._payload_budget = None

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        if not self._interval and not self._resume:
            return
        with self._lock:
            now = self._clock()
            while now < (due := max(self._next, self._resume)):
                self._sleep(due - now)
                now = self._clock()
            # Counted from when the request leaves, so that a late one is not followed by an early one.
            self._next = now + self._interval

    def pause(self, response: Response | None, until: float | None) -> bool:
        """Hold every request back for as long as the response asks for; say whether it does.

        A pause that would end after `until`, takes longer than a client should wait, or exceeds what all pauses
        together may take is not made.
        """
        seconds = retry_after(response)
        if seconds is None or seconds > MAX_PAUSE_SECONDS:
            return False
        with self._lock:
            now = self._clock()
            if self._payload_budget is None:
                left = math.inf if until is None else max(0.0, until - now)
                self._payload_budget = left * MAX_PAUSE_SHARE
            end = now + seconds + MARGIN_SECONDS
            longer = max(0.0, end - max(now, self._resume))
            if longer > self._payload_budget or (until is not None and end >= until):
                return False
            self._payload_budget -= longer
            self._resume = max(self._resume, end)
            self.pauses += 1
            self.paused_seconds += longer
        return True


def retry_after(response: Response | None) -> float | None:
    """Return the seconds that a 429 or 503 asks to wait, from its `Retry-After`; None where it asks for nothing.

    Both forms of RFC 9110 are read: a number of seconds, and a date, which counts from the response's own `Date`
    where there is one.
    """
    if response is None or response.status not in RETRIED:
        return None
    text = (response.header("Retry-After") or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    then = _moment(text)
    if then is None:
        return None
    now = _moment(response.header("Date") or "") or datetime.datetime.now(datetime.UTC)
    return max(0.0, (then - now).total_seconds())


def _moment(text: str) -> datetime.datetime | None:
    """Return the moment that an HTTP date names; None where the text is not one."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
