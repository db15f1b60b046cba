"""The sessions of a closed user that follows recorded traffic: the calls, and the time before each."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from load.as_seen import AsSeen
from load.workload.calls import Call
from load.workload.seen import Walk
from load.workload.virtual_users import VirtualUser
from load.workload.workload import Work

__all__ = ["Visit"]

_numbers = itertools.count()


class Visit:
    """The calls of one user: each follows the one before as often, and as soon, as in the capture."""

    def __init__(
        self, work: Work, seen: AsSeen, virtual_user: VirtualUser | None, pause: Callable[[], float]
    ) -> None:
        """Take the user's session; `pause` returns the seconds between two sessions of the capture."""
        self._work, self._virtual_user = work, virtual_user
        rng = random.Random(f"{work.seed}/{work.index}/visit/{next(_numbers)}")
        self._walk = Walk(seen.mix, work.in_mix, rng, pause, seen.speed)
        self._function = self._walk.next()
        #: Whether the last call was one that asks who the session is, which is not part of the walk.
        self._asked = False

    def next(self) -> Call:
        """Return the next call, or occasionally one that asks who the session is (AUT-11)."""
        asking = self._work.watch(self._virtual_user)
        if asking is not None:
            self._asked = True
            return asking
        self._asked = False
        if self._function is None:
            return self._work.next(self._virtual_user)
        return self._work.call_by(self._function, self._virtual_user)

    def wait(self) -> float:
        """Return the seconds before the next call, which is chosen now."""
        if self._asked:
            return 0.0
        self._function = self._walk.next()
        return self._walk.wait
