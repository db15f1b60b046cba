"""A client that waits and tries again where the target says «not now»: for the clean-up after a load.

A target that limits its rate answers the removals that follow a load with 429 or 503. Each of them that is not
repeated leaves an object behind.
"""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange

__all__ = ["PatientClient", "retry_after"]

#: The statuses that put a request off (RFC 6585 §4, RFC 9110 §15.6.4).
NOT_NOW = frozenset({429, 503})

#: Without Retry-After: the seconds before the second try, doubled before each further one, and the number of tries.
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 4.0
MAX_TRIES = 5


def retry_after(exchange: Exchange, now: datetime | None = None) -> float | None:
    """Return for how many seconds an answer asks to wait (RFC 9110 §10.2.3); None where it says nothing readable."""
    value = exchange.response.header("Retry-After") if exchange.response is not None else None
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value) if len(value) < 10 else math.inf
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


class PatientClient(Client):
    """A client that sends a request again, until a moment, as long as the target puts it off."""

    #: Until when (by `time.monotonic`) requests are sent again; nothing is before this is set.
    patient_until = -math.inf

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lock = threading.Lock()
        #: Before this moment nothing is sent: what the target asked of one request it means for all of them.
        self._not_before = -math.inf

    def send(self, *arguments: Any, **options: Any) -> Exchange:
        """Send one request, again where it was put off and there is time; return what became of it in the end."""
        pause = FIRST_PAUSE_SECONDS
        for tries in range(1, 10_000):
            self._wait()
            exchange = super().send(*arguments, **options)
            if exchange.status not in NOT_NOW or self.patient_until == -math.inf:
                break
            asked = retry_after(exchange)
            if asked is None and tries >= MAX_TRIES:
                break
            seconds = pause if asked is None else max(asked, 0.05)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
            if not self._put_off(seconds):
                break
        return exchange

    def _put_off(self, seconds: float) -> bool:
        """Take note that nothing is to be sent for so many seconds; return whether there is time for that."""
        moment = time.monotonic() + seconds
        if moment > self.patient_until:
            return False
        with self._lock:
            self._not_before = max(self._not_before, moment)
        return True

    def _wait(self) -> None:
        if self.patient_until > -math.inf:
            time.sleep(max(0.0, min(self._not_before, self.patient_until) - time.monotonic()))
