"""The rate at which a client sends: a limit on requests per second, and the pauses that a target asks for."""

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

#: Resends of one request that the target asks to delay.
MAX_RESENDS = 3

#: The longest single pause.
MAX_PAUSE_SECONDS = 120.0
#: The share of the remaining run time, measured at the first pause, that all pauses together may take.
MAX_PAUSE_SHARE = 0.5

#: Added to every pause: `Retry-After` counts whole seconds, and both clocks may round.
MARGIN_SECONDS = 0.05


class Throttle:
    """Spaces the requests of a client, and delays all of them while the target asks for a pause.

    `rate` is in requests per second; None sets no limit. `clock` and `sleep` default to those of the module `time`.
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
        #: The earliest time of the next request by the rate, and by the last pause.
        self._next = 0.0
        self._resume = 0.0
        #: The seconds that pauses may still take; None before the first one.
        self._pause_budget: float | None = None
        #: The number of pauses, and their total in seconds.
        self._pause_share = MAX_PAUSE_SHARE
        self.pauses = 0
        self.paused_seconds = 0.0

    def reset_pause_budget(self, share: float = MAX_PAUSE_SHARE) -> None:
        """Compute the budget of all pauses anew at the next pause: this share of the time that is left then."""
        with self._lock:
            self._pause_budget = None
            self._pause_share = share

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        if not self._interval and not self._resume:
            return
        with self._lock:
            now = self._clock()
            while now < (due := max(self._next, self._resume)):
                self._sleep(due - now)
                now = self._clock()
            # Measured from the actual time of the request, so that a late request does not shorten the next interval.
            self._next = now + self._interval

    def pause(self, response: Response | None, until: float | None) -> bool:
        """Delay every request for as long as the response asks; return whether a pause was made.

        No pause is made if it would end after `until`, is longer than `MAX_PAUSE_SECONDS`, or exceeds the budget of
        all pauses.
        """
        seconds = retry_after(response)
        if seconds is None or seconds > MAX_PAUSE_SECONDS:
            return False
        with self._lock:
            now = self._clock()
            if self._pause_budget is None:
                left = math.inf if until is None else max(0.0, until - now)
                self._pause_budget = left * self._pause_share
            end = now + seconds + MARGIN_SECONDS
            longer = max(0.0, end - max(now, self._resume))
            if longer > self._pause_budget or (until is not None and end >= until):
                return False
            self._pause_budget -= longer
            self._resume = max(self._resume, end)
            self.pauses += 1
            self.paused_seconds += longer
        return True


def retry_after(response: Response | None) -> float | None:
    """Return the seconds to wait by the `Retry-After` of a 429 or 503; None if there is none.

    Both forms of RFC 9110 are read: a number of seconds, and a date. A date is relative to the response's own `Date`
    header, if there is one.
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
    """Return the time of an HTTP date; None if the text is not a date."""
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
