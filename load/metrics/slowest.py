"""The slowest served requests of a load, each with what is needed to find it in the logs of the target."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MAX_SLOWEST", "Slowest", "slowest_of"]

#: Requests that are retained.
MAX_SLOWEST = 10


class Slowest:
    """The slowest requests of one process; those that took at most `least` seconds need not be added."""

    def __init__(self) -> None:
        self.least = -1.0
        self._heap: list[tuple[float, int, dict[str, Any]]] = []
        self._number = 0
        self._reported = 0

    def take(
        self,
        function: str,
        due: float,
        sent: float,
        done: float,
        size: int,
        virtual_user: Any,
        connection: int | None,
    ) -> None:
        """Add a served request; moments are seconds since the start of the run."""
        self._number += 1
        session = getattr(virtual_user, "number", None)
        entry = {
            "function": function,
            "at": due,
            "due": 1000 * (done - due),
            "sent": 1000 * (done - sent),
            "bytes": size,
            "session": None if session is None else session + 1,
            "connection": connection,
        }
        # The number keeps equal latencies in the order in which they came.
        item = (done - due, -self._number, entry)
        if len(self._heap) < MAX_SLOWEST:
            heapq.heappush(self._heap, item)
        else:
            heapq.heapreplace(self._heap, item)
        if len(self._heap) == MAX_SLOWEST:
            self.least = self._heap[0][0]

    def news(self) -> list[dict[str, Any]] | None:
        """Return the slowest requests so far; None if none was added since the last call."""
        if self._reported == self._number:
            return None
        self._reported = self._number
        return [entry for _, _, entry in self._heap]


def slowest_of(processes: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the slowest requests of several processes, by their names, the slowest first."""
    every = [{**entry, "worker": name} for name, entries in processes.items() for entry in entries]
    return sorted(every, key=lambda entry: (-entry["due"], entry["at"]))[:MAX_SLOWEST]
