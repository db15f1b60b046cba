"""The budget of generated payloads: the requests and the seconds that each test may spend.

A test has a fixed share of the run's requests, so that the seed decides all of them. The time is an emergency brake:
the clock decides only where the target or the machine is so slow that the time ends first, and the run reports that.
Even then a part of the time is reserved for the last tests.

Where time is the only limit, and there is a minute or more, all tests run twice: first with the requests of the
standard budget, so that they find as early what it finds, then for as long as there is time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import NamedTuple

from conformance.engine import budgets

__all__ = ["BudgetSlice", "PayloadBudget", "Share"]

#: Seconds from which on all tests run with the requests of the standard budget first, and the part of the time that
#: this first run may take.
MIN_SWEEP_SECONDS = 60.0
MAX_SWEEP_PART = 0.5

#: What was spent at a moment: the moment, the seconds, the shares given out, whether time ran out.
Mark = tuple[float, float, tuple[float, float, float], bool]


class Share(NamedTuple):
    """The part (0 to 1) of the requests and, as measured, of the seconds that all tests of one function get."""

    requests: float
    seconds: float


#: The part of the time by which a test may be ahead of the share of all tests so far.
MAX_AHEAD_PART = 0.2

#: The part of the time that the first test of each function gets at least.
MIN_FIRST_PART = 0.015

#: Calls after which a test has made use of its share, and calls that each test may send in any case.
MIN_TURN_CALLS = 8
MIN_CALLS = 4

#: Calls, and the part of all seconds but at least so many, for a test that confirms its findings.
CONFIRMATION_CALLS = 60
MIN_CONFIRMATION_SECONDS = 2.0
CONFIRMATION_PART = 1 / 15

#: Calls that are left where only time is the limit.
UNLIMITED_CALLS = 1_000_000


class BudgetSlice:
    """The part of the budget of one test: use it as a context, and ask `more` before each example.

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
        """Allow this number of calls, where calls are counted: some belong to every budget, whatever the share."""
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
        if self._sent() - self._first >= MIN_TURN_CALLS or self._payload_budget.spent >= self._until:
            self._payload_budget.had_turn(self._suite_test)

    @property
    def left(self) -> int:
        """How many calls may still be sent; where there is no limit, a large number."""
        if self.requests is None:
            return UNLIMITED_CALLS
        return max(0, self.requests - (self._sent() - self._first))

    @property
    def seconds(self) -> float:
        """How much time is left."""
        now = self._payload_budget.spent + self._payload_budget.clock() - self._began
        return max(0.0, self._until - now)

    def more(self, calls: int = 1) -> bool:
        """Return whether this number of calls may be sent."""
        if self.left < calls or self._payload_budget.enough():
            return False
        if self.seconds <= 0:
            self.late = True
            return False
        return True


class PayloadBudget:
    """The requests and the seconds of wall time that all generated payloads of a run may take."""

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
        #: Whether all tests run with the requests of the standard budget first.
        self.sweeps = self.requests is None and self.seconds >= MIN_SWEEP_SECONDS
        #: Whether there is nothing left to be found; asked before each example.
        self.enough: Callable[[], bool] = lambda: False
        self.spent = 0.0
        self.late = False
        # Of the requests, of the seconds, and of those of the sweep.
        self._given = (0.0, 0.0, 0.0)
        self._taken_back = 0.0

    def budget_slice(
        self,
        suite_test: str,
        part: float,
        sent: Callable[[], int],
        *,
        again: bool = False,
        sweep: bool = False,
    ) -> BudgetSlice:
        """Return the budget slice of a test that gets this part (0 to 1) of the share of its function.

        With `again` the test confirms its findings: such a slice is small, and comes on top. With `sweep` it runs with
        the requests of the standard budget, and will be continued.
        """
        if again:
            return BudgetSlice(
                self,
                suite_test,
                CONFIRMATION_CALLS,
                self.spent + max(MIN_CONFIRMATION_SECONDS, self.seconds * CONFIRMATION_PART),
                sent,
            )
        share = self._shares[suite_test].requests * part
        seconds = self._shares[suite_test].seconds * part
        given = self._given
        if sweep:
            self._given = given[0], given[1], given[2] + seconds
            left = self._planned[1] - given[2]
            fair = min(1.0, seconds / left) if left > seconds else 1.0
            until = self.spent + max(0.0, self.seconds * MAX_SWEEP_PART - self.spent) * fair
            requests = max(MIN_CALLS, round((budgets.PAYLOAD_REQUESTS.standard or 0) * share))
            return BudgetSlice(self, suite_test, requests, until, sent)
        left = self._planned[0] - given[0]
        self._given = given[0] + share, given[1] + seconds, given[2]
        if self.requests is None:
            # Only time is the limit, and each test uses all it gets: each has its part of what the others left.
            fair = min(1.0, share / left) if left > share else 1.0
            return BudgetSlice(self, suite_test, None, self.spent + (self.seconds - self.spent) * fair, sent)
        requests = max(MIN_CALLS, round(self.requests * share))
        # A test may run ahead of its time, but the last ones must have their part, too. The first test of each function
        # gets a little in any case, so that the rules that only this function judges are judged.
        least = self.seconds * MIN_FIRST_PART
        until = self.seconds * min(
            1.0, MAX_AHEAD_PART + (1.0 - MAX_AHEAD_PART) * self._given[1] / self._planned[1]
        )
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
        """Spend no more than this number of seconds from now on."""
        self.seconds = min(self.seconds, self.spent + max(0.0, seconds))

    def had_turn(self, suite_test: str) -> None:
        """Note that a test of this function ran; one that gave up at once does not count."""
        self._to_come.discard(suite_test)

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        """Count the time around a test's budget slice as spent, too, without the time that was taken back."""
        began, spent, vain = self.clock(), self.spent, self._taken_back
        try:
            yield
        finally:
            self.spent += max(0.0, self.clock() - began - (self.spent - spent) - (self._taken_back - vain))

    def mark(self) -> Mark:
        """Return what was spent so far, for `rewind`."""
        return self.clock(), self.spent, self._given, self.late

    def rewind(self, mark: Mark) -> None:
        """Take back what was spent since the mark: it was in vain and is spent again, or it comes on top."""
        since, self.spent, self._given, self.late = mark
        self._taken_back += self.clock() - since
