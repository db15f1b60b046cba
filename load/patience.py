"""A client that waits and tries again where the target says «not now»: for the clean-up after a load.

A target that limits its rate answers the removals that follow a load with 429 or 503. Each of them that is not
repeated leaves an object behind. An ordinary client sends a request again a few times; this one goes on until the time
for the clean-up is over, since many removals at once are put off again and again.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import Any

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, one_at_a_time
from conformance.protocol.throttle import RETRIED, retry_after

__all__ = ["PatientClient"]

#: Without Retry-After: the seconds before the second try, doubled before each further one, and the number of tries.
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 4.0
MAX_TRIES = 5

#: Even where Retry-After is 0, so many seconds go by before a request is sent again.
MIN_PAUSE_SECONDS = 0.05


class PatientClient(Client):
    """A client that sends a request again, until a moment, as long as the target puts it off."""

    #: Until when (by `time.monotonic`) requests are sent again; before it is set, it is an ordinary client.
    patient_until = -math.inf

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lock = threading.Lock()
        #: Before this moment nothing is sent: what the target asked of one request it means for all of them.
        self._not_before = -math.inf

    def _settled(self, exchange: Exchange, *, fresh: bool) -> Exchange:
        if self.patient_until == -math.inf:
            return super()._settled(exchange, fresh=fresh)
        pause = FIRST_PAUSE_SECONDS
        tries = 0
        while True:
            time.sleep(max(0.0, min(self._not_before, self.patient_until) - time.monotonic()))
            self._perform(exchange, fresh=fresh)
            with one_at_a_time(exchange):
                self.observe(exchange)
            tries += 1
            asked = retry_after(exchange.response)
            if exchange.status not in RETRIED or (asked is None and tries >= MAX_TRIES):
                return exchange
            if not self._put_off(pause if asked is None else max(asked, MIN_PAUSE_SECONDS)):
                return exchange
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
            exchange = replace(exchange, response=None, failure=None, number=0)

    def _put_off(self, seconds: float) -> bool:
        """Take note that nothing is to be sent for so many seconds; return whether there is time for that."""
        moment = time.monotonic() + seconds
        if moment > self.patient_until:
            return False
        with self._lock:
            self._not_before = max(self._not_before, moment)
        return True
