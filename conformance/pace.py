"""How a run keeps within its time on a slow target: it holds fewer conversations of each kind, and says how many.

A run has a deadline, and a target may take a hundred times as long for a call as another. Rather than to break off in
the middle, so that the last areas of the rulebook are not judged at all, a run that is going to be late puts each kind
of conversation to fewer functions, endpoints and objects, spread over all of them. The first of each kind is held in
any case. Where the time is enough, which is nearly always, nothing is left out and the clock decides nothing.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

__all__ = ["Pace"]

#: The calls of a conversation of a kind that was not held yet: what most take, and those that take many more.
_CALLS = 8
_MANY = {
    "test_identifiers_cannot_be_guessed": 350,
    "test_sessions_do_not_mix": 80,
    "test_what_was_changed": 70,
    "test_session_works_with_any_call": 40,
    "test_pages_laid_end_to_end_are_the_list": 40,
    "test_lists_show_only_what_can_be_read": 35,
    "test_key_login": 130,
    "test_wrong_credentials": 25,
    "test_two_sessions_of_one_user": 25,
    "test_order_stays": 25,
    "test_creates_of_several_users": 25,
    "test_concurrent_creates": 25,
    "test_after_logout": 20,
    "test_no_limit_that_nobody_asked_for": 20,
}
#: The part of the time that is kept for what nobody can foresee: what is found is tried again, a reset is overcome.
_KEPT = 0.1
#: The part of it that generated payloads have at most while others wait.
_GENERATED = 0.4


class Pace:
    """Decides which conversations are held; `wants` is asked in their order, `held` told what each has taken."""

    def __init__(
        self, kinds: Iterable[str], seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the kinds of the conversations to come, one for each, and the seconds that there are for all of them."""
        self._to_come = Counter(kinds)
        self._every = self._to_come.total()
        self._left_out = 0
        self._seconds = seconds
        self._clock = clock
        self._began = clock()
        self._held: Counter[str] = Counter()
        self._took: defaultdict[str, float] = defaultdict(float)
        #: Of a kind that is held less often: how much of a conversation it may hold by now.
        self._credit: defaultdict[str, float] = defaultdict(float)

    @property
    def left(self) -> float:
        """Return how many seconds there are left that may be planned with."""
        return self._seconds * (1 - _KEPT) - (self._clock() - self._began)

    def wants(
        self, kind: str, call: float, *, generated: float = 0.0, removal: float = 0.0, due: bool = False
    ) -> bool:
        """Say whether the next conversation, of this kind, is to be held.

        `call` is how many seconds a call takes on the average, `generated` how many generated payloads will take,
        `removal` how many it takes to remove what was made. One that is `due` is held in any case.
        """
        needed = sum(count * self._cost(each, call) for each, count in self._to_come.items())
        self._to_come[kind] -= 1
        there = self.left - min(generated, _GENERATED * self._seconds) - removal
        if due or not self._held[kind] or needed <= there:
            return True
        self._credit[kind] += max(0.0, there / needed)
        if self._credit[kind] >= 1.0:
            self._credit[kind] -= 1.0
            return True
        self._left_out += 1
        return False

    def held(self, kind: str, seconds: float) -> None:
        """Take note of what a conversation took."""
        self._held[kind] += 1
        self._took[kind] += seconds

    def _cost(self, kind: str, call: float) -> float:
        return self._took[kind] / self._held[kind] if self._held[kind] else _MANY.get(kind, _CALLS) * call

    @property
    def note(self) -> str | None:
        """Say what was left out; None: nothing."""
        if not self._left_out:
            return None
        return (
            f"the target is slow: {self._left_out} of {self._every} conversations were left out, some of each kind, "
            f"to keep within {self._seconds:.0f} s; a larger --budget holds them all"
        )
