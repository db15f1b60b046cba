"""A client that waits and tries again where the target says «not now»: for the clean-up after a load.

A target that limits its rate answers the removals that follow a load with 429 or 503. Each of them that is not
repeated leaves an object behind. An ordinary client sends a request again a few times; this one goes on until the time
for the clean-up is over, since many removals at once are put off again and again.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Response
from conformance.protocol.throttle import RETRIED, Throttle, retry_after

__all__ = ["PatientClient"]

#: Without Retry-After: the seconds before the second try, doubled before each further one, and the number of tries.
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 4.0
MAX_TRIES = 5

#: Even where Retry-After is 0, so many seconds go by before a request is sent again.
MIN_PAUSE_SECONDS = 0.05


class _Throttle(Throttle):
    """A throttle that makes no pauses while its client makes its own."""

    idle = False

    def pause(self, response: Response | None, until: float | None) -> bool:
        return not self.idle and super().pause(response, until)


class PatientClient(Client):
    """A client that sends a request again, until a moment, as long as the target puts it off."""

    throttle: _Throttle
    #: The load itself connects directly, too.
    environment_proxies = False

    def __init__(self, *arguments: Any, rate: float | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.throttle = _Throttle(rate)
        self._lock = threading.Lock()
        self._until = -math.inf
        #: Before this moment nothing is sent: what the target asked of one request it means for all of them.
        self._not_before = -math.inf

    def be_patient(self, until: float) -> None:
        """Send requests again from now on, until a moment of `time.monotonic`; before, it is an ordinary client."""
        self._until = until
        self.throttle.idle = True

    def send(self, *arguments: Any, **options: Any) -> Exchange:
        """Send a request, again where it was put off and there is time; return what became of it in the end."""
        pause = FIRST_PAUSE_SECONDS
        tries = 0
        while True:
            time.sleep(max(0.0, min(self._not_before, self._until) - time.monotonic()))
            exchange = super().send(*arguments, **options)
            tries += 1
            asked = retry_after(exchange.response)
            if exchange.status not in RETRIED or (asked is None and tries >= MAX_TRIES):
                return exchange
            if not self._put_off(pause if asked is None else max(asked, MIN_PAUSE_SECONDS)):
                return exchange
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _put_off(self, seconds: float) -> bool:
        """Take note that nothing is to be sent for so many seconds; return whether there is time for that."""
        moment = time.monotonic() + seconds
        if moment > self._until:
            return False
        with self._lock:
            self._not_before = max(self._not_before, moment)
        return True
