"""How a request ended: served, refused, out of time, or without an answer for another reason.

Latencies are of what was served, and of what got no answer in time, as at least that long. What was refused was
answered, but not with what the call asked for, so how fast that was says nothing of the service.
"""

from __future__ import annotations

__all__ = [
    "ERROR_ON_200",
    "NO_CONNECTION",
    "NO_ENVELOPE",
    "REFUSED",
    "SERVED",
    "TASK_ERROR",
    "TIMED_OUT",
    "UNANSWERED",
    "ending",
]

#: Kinds of errors of an answer with the status 200: it says that it is an error, or it has no envelope to say anything.
ERROR_ON_200 = "isError on 200"
NO_ENVELOPE = "no envelope on 200"
#: The kind of error of an arrival that found no free connection while it waited.
NO_CONNECTION = "no connection"

#: The kind of error of a task of a team's own scenario that raised an exception.
TASK_ERROR = "task error"

SERVED, REFUSED, TIMED_OUT, UNANSWERED = range(4)

_STATUS = "status "


def ending(error: str | None) -> int:
    """Return how a request with this kind of error ended; None is no error."""
    if error is None:
        return SERVED
    if error.startswith(_STATUS) or error in (ERROR_ON_200, NO_ENVELOPE):
        return REFUSED
    return TIMED_OUT if error == "timeout" else UNANSWERED
