"""What generated payloads may cost, and what became of them.

The requests of a conversation are a fixed share of the run's, so that a seed decides all of them. The time is an
emergency brake: only where the target or the machine is so slow that it ends first does the clock decide, and the run
says so; even then the last conversations keep a part of the time for themselves.

Where time alone is the bound and there is a minute of it or more, they are held twice: first all of them with what the
standard budget gives them, so that what it finds is found as soon, then all of them for as long as there is time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import NamedTuple

from conformance.engine import budgets
from conformance.events import CoverageEvent

__all__ = ["BudgetSlice", "Coverage", "PayloadBudget", "Share"]

#: From so many seconds on all conversations are held with the requests of the standard budget first, in half of them
#: at most.
_SWEEP, _SWEPT = 60.0, 0.5

#: What was spent at a moment: the moment, the seconds, the shares given out, whether time ran out.
Mark = tuple[float, float, tuple[float, float, float], bool]


class Share(NamedTuple):
    """The part (0 to 1) of the requests and, as measured, of the seconds that all tests of one function get."""

    requests: float
    seconds: float


#: The part of the time that a conversation may be ahead of what was meant for it and those before it; and the part
#: that the first one of each kind has at least.
_AHEAD, _LEAST = 0.2, 0.015
#: Whoever sent so many calls had a turn; and so many calls each conversation may send in any case.
_TURN, _FEWEST = 8, 4


class BudgetSlice:
    """One conversation's part: use it as a context, and ask `more` before each example.

    `requests` is how many calls it may send (None: as many as its time allows).
    """

    def __init__(
        self,
        payload_budget: PayloadBudget,
        suite_test: str,
        requests: int | None,
        until: float,
        sent: Callable[[], int],
    ) -> None:
        self._payload_budget = payload_budget
        self._suite_test = suite_test
        self._until = until
        self._sent = sent
        self._first = sent()
        self._began = 0.0
        self.requests = requests
        self.late = False

    def at_least(self, requests: int) -> None:
        """Let so many calls be sent, where they are counted: what belongs to every budget is not left to a share."""
        if self.requests is not None:
            self.requests = max(self.requests, requests)

    @property
    def over(self) -> bool:
        """Whether there is no time for it at all."""
        self.late = self._payload_budget.spent >= self._until
        self._payload_budget.late |= self.late
        return self.late

    def __enter__(self) -> BudgetSlice:
        self._began = self._payload_budget.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._payload_budget.spent += self._payload_budget.clock() - self._began
        self._payload_budget.late |= self.late
        if self._sent() - self._first >= _TURN or self._payload_budget.spent >= self._until:
            self._payload_budget.had_turn(self._suite_test)

    @property
    def left(self) -> int:
        """How many calls may still be sent; where there is no limit, a large number."""
        if self.requests is None:
            return 1_000_000
        return max(0, self.requests - (self._sent() - self._first))

    @property
    def seconds(self) -> float:
        """How much time is left."""
        now = self._payload_budget.spent + self._payload_budget.clock() - self._began
        return max(0.0, self._until - now)

    def more(self, calls: int = 1) -> bool:
        """Whether so many more calls may be sent."""
        if self.left < calls or self._payload_budget.enough():
            return False
        if self.seconds <= 0:
            self.late = True
            return False
        return True


class PayloadBudget:
    """What a run's generated payloads may cost in all: requests, and seconds of wall time."""

    def __init__(
        self,
        budget: str,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        shares: Mapping[str, Share] = MappingProxyType({}),
    ) -> None:
        """Take a budget's numbers; with `seconds` another time, in which as much is sent as fits.

        `shares` are those of the test functions that are to run; `plan` sets them later.
        """
        self.plan(shares)
        self.requests = budgets.PAYLOAD_REQUESTS.of(budget)
        self.seconds = budgets.PAYLOAD_SECONDS.of(budget)
        if seconds is not None:
            self.requests, self.seconds = None, seconds
        self.clock = clock
        #: Whether all conversations are held with the requests of the standard budget first.
        self.sweeps = self.requests is None and self.seconds >= _SWEEP
        #: Whether there is nothing left to be found; asked before each example.
        self.enough: Callable[[], bool] = lambda: False
        self.spent = 0.0
        self.late = False
        # Of the requests, of the seconds, and of those of the sweep.
        self._given = (0.0, 0.0, 0.0)
        self._vain = 0.0

    def budget_slice(
        self,
        suite_test: str,
        part: float,
        sent: Callable[[], int],
        *,
        again: bool = False,
        sweep: bool = False,
    ) -> BudgetSlice:
        """Return the portion of a conversation that has this part (0 to 1) of what its kind gets.

        `again` says that it is held once more, to confirm what it found: such a portion is small, and on top. `sweep`
        says that it is held with the requests of the standard budget, and will be held further.
        """
        if again:
            return BudgetSlice(self, suite_test, 60, self.spent + max(2.0, self.seconds / 15), sent)
        share = self._shares[suite_test].requests * part
        seconds = self._shares[suite_test].seconds * part
        given = self._given
        if sweep:
            self._given = given[0], given[1], given[2] + seconds
            left = self._planned[1] - given[2]
            fair = min(1.0, seconds / left) if left > seconds else 1.0
            until = self.spent + max(0.0, self.seconds * _SWEPT - self.spent) * fair
            requests = max(_FEWEST, round((budgets.PAYLOAD_REQUESTS.standard or 0) * share))
            return BudgetSlice(self, suite_test, requests, until, sent)
        left = self._planned[0] - given[0]
        self._given = given[0] + share, given[1] + seconds, given[2]
        if self.requests is None:
            # Whoever may send as many as fit takes all the time there is: each has its part of what the others left.
            fair = min(1.0, share / left) if left > share else 1.0
            return BudgetSlice(self, suite_test, None, self.spent + (self.seconds - self.spent) * fair, sent)
        requests = max(_FEWEST, round(self.requests * share))
        # A conversation may run ahead of its time; but the last ones are to have their part, too, and the first of each
        # kind a little in any case, so that what its kind alone can judge is judged.
        least = self.seconds * _LEAST
        until = self.seconds * min(1.0, _AHEAD + (1.0 - _AHEAD) * self._given[1] / self._planned[1])
        until = min(until, self.seconds - least * len(self._to_come - {suite_test}))
        if suite_test in self._to_come:
            until = max(until, self.spent + least)
        return BudgetSlice(self, suite_test, requests, until, sent)

    def plan(self, shares: Mapping[str, Share]) -> None:
        """Take the shares of the test functions that are to run."""
        self._shares = dict(shares)
        #: The sum of the shares of the requests, and of the seconds.
        self._planned = (
            sum(share.requests for share in shares.values()),
            sum(share.seconds for share in shares.values()),
        )
        self._to_come = set(shares)

    def within(self, seconds: float) -> None:
        """Take no more than so many seconds from now on."""
        self.seconds = min(self.seconds, self.spent + max(0.0, seconds))

    def had_turn(self, suite_test: str) -> None:
        """Take note that one of this kind was held: those that gave up at once are none."""
        self._to_come.discard(suite_test)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Count what is done around a conversation's portion as spent, too, but for what was taken back."""
        began, spent, vain = self.clock(), self.spent, self._vain
        try:
            yield
        finally:
            self.spent += max(0.0, self.clock() - began - (self.spent - spent) - (self._vain - vain))

    def mark(self) -> Mark:
        """Return what was spent so far, to be taken back to with `rewind`."""
        return self.clock(), self.spent, self._given, self.late

    def rewind(self, mark: Mark) -> None:
        """Take back what was spent since: it was in vain, and is to be spent again, or comes on top."""
        since, self.spent, self._given, self.late = mark
        self._vain += self.clock() - since


@dataclass
class _Heard:
    """What one function made of generated data."""

    examples: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    refused: int = 0
    beyond: int = 0
    parameters: dict[str, list[int]] = field(default_factory=dict)
    keywords: dict[str, list[int]] = field(default_factory=dict)


class Coverage:
    """Which functions, parameters and keywords were exercised, and how the target took it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[str, _Heard] = {}

    def tell(
        self,
        function: str,
        kind: str,
        status: int | None,
        *,
        valid: bool | None = None,
        place: tuple[str, str] | None = None,
        beyond: bool = False,
    ) -> None:
        """Count an example: its kind ("valid", "edge", "violation", …), what the schema says of it, the answer.

        `place` is the (parameter, "pointer keyword") that an edge or a violation is about; `beyond` says that a
        rule beyond the schema may be why it was refused.
        """
        with self._lock:
            heard = self._functions.setdefault(function, _Heard())
            heard.examples[kind] += 1
            heard.beyond += beyond
            if valid is None or status is None:
                return
            if valid:
                heard.accepted += status == 200
                heard.refused += status != 200
            if place is not None:
                # Two counts: taken as allowed (within), refused as forbidden (without).
                within = valid and status == 200
                without = not valid and status == 400
                for table, name in ((heard.parameters, place[0]), (heard.keywords, place[1])):
                    both = table.setdefault(name, [0, 0])
                    both[0] += within
                    both[1] += without

    def never_accepted(self) -> list[str]:
        """Return the functions that refused whatever valid data they were sent."""
        with self._lock:
            return [name for name, heard in self._functions.items() if heard.refused and not heard.accepted]

    def event(self) -> CoverageEvent | None:
        """Return the event that reports what was generated; None where nothing was generated."""
        with self._lock:
            if not self._functions:
                return None
            return CoverageEvent(
                {
                    name: {
                        "examples": dict(heard.examples),
                        "accepted": heard.accepted,
                        "refused": heard.refused,
                        "beyond_schema": heard.beyond,
                        "parameters": {key: _both(pair) for key, pair in heard.parameters.items()},
                        "keywords": {key: _both(pair) for key, pair in heard.keywords.items()},
                    }
                    for name, heard in self._functions.items()
                }
            )


def _both(pair: list[int]) -> dict[str, int]:
    return {"accepted": pair[0], "refused": pair[1]}
