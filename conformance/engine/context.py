"""The context of one attempt of a test: budgets, access to the target, and judgements."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from conformance.catalog.model import Method
from conformance.engine.budgets import ByBudget, Part, Sample
from conformance.engine.finding_text import status_message
from conformance.engine.not_judged import NotJudgedError, TimeOverError
from conformance.engine.observer import described
from conformance.engine.payload_budget import BudgetSlice
from conformance.engine.target_access import TargetAccess
from conformance.events import Event, NotJudgedEvent
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding, Key

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = ["FURTHER", "TestContext", "as_answered", "refused_otherwise"]

T = TypeVar("T")
R = TypeVar("R")

#: Ends the name of a test that runs a second time, for as long as there is time for generated payloads.
FURTHER = " (further)"


class TestContext(TargetAccess):
    """What a test works with: its share of the budget, the target, and the methods that judge rules."""

    #: pytest collects no class of this name.
    __test__ = False

    def __init__(self, run: Run, name: str, rules: Sequence[str], only: frozenset[Key] | None = None) -> None:
        """Start an attempt of the test of that name; with `only` to reproduce those findings."""
        super().__init__(run, random.Random(f"{run.options.seed}/{name}"))
        self.name = name
        self.rules = tuple(rules)
        self.skips: list[Event] = []
        self.subject: str | None = None
        self.only = only
        self.put_to: Any = None
        self.scope: Callable[[Run], Any] | None = None

    # -- budgets -----------------------------------------------------------------------------------------------

    @property
    def quick(self) -> bool:
        """Whether the run is to be short."""
        return self.run.options.budget == "quick"

    @property
    def deep(self) -> bool:
        """Whether the run has all the time it needs."""
        return self.run.options.budget == "deep"

    def budget_slice(self, weight: Callable[[Any], float] | None = None) -> BudgetSlice:
        """Return what this test may spend of the share of the generated payloads that all tests of its function have.

        The share is divided among what the function is run against, equally or by `weight`.

        Raises:
            TimeOverError: no time is left.

        """
        kind = self.name.removesuffix(FURTHER).partition(".")[2].partition("[")[0]
        found = self.scope(self.run) if self.scope is not None else None
        every = found if isinstance(found, list) and found else [self.put_to]
        part = self._weight(weight, self.put_to) / (sum(self._weight(weight, each) for each in every) or 1.0)
        again = self.only is not None
        payload_budget = self.run.payload_budget
        sweep = payload_budget.sweeps and not self.name.endswith(FURTHER)
        budget_slice = payload_budget.budget_slice(
            kind, part, lambda: self.client.sent, again=again, sweep=sweep
        )
        if budget_slice.over:
            raise TimeOverError("the time for generated payloads was over")
        return budget_slice

    def _weight(self, weight: Callable[[Any], float] | None, each: Any) -> float:
        if weight is None:
            return 1.0
        if not isinstance(each, Method):
            return weight(each)
        known = self.run.weights.setdefault(weight, {})
        if each.name not in known:
            known[each.name] = weight(each)
        return known[each.name]

    def seeks(self, rule: str, kind: str) -> bool:
        """Return whether to send an example that could show this: not while other findings are confirmed."""
        kinds = (kind, refused_otherwise(kind))
        return self.only is None or any(key[0] == rule and key[2] in kinds for key in self.only)

    def amount(self, by_budget: ByBudget[T]) -> T:
        """Return the number of `conformance.engine.budgets` that applies to this run."""
        return by_budget.of(self.run.options.budget)

    def limit(self, sample: Sample, count: int) -> int:
        """Return how many of `count` items the budget allows."""
        most = self.amount(sample)
        if isinstance(most, Part):
            most = max(most.least, count // most.divisor)
        return count if most is None else min(most, count)

    def first(self, items: Iterable[T], sample: Sample) -> list[T]:
        """Return as many of the first items as the budget allows."""
        every = list(items)
        return every[: self.limit(sample, len(every))]

    def some(self, items: Iterable[T], sample: Sample) -> list[T]:
        """Return as many of the items as the budget allows, chosen by the seed, in their own order."""
        every = list(items)
        most = self.limit(sample, len(every))
        if most >= len(every):
            return every
        chosen = sorted(self.rng.sample(range(len(every)), most))
        return [every[index] for index in chosen]

    def together(self, calls: Sequence[Callable[[], R]], *, at_once: int | None = None) -> list[R]:
        """Make calls that do not depend on each other, `--jobs` at a time; return the results in order."""
        workers = at_once or self.run.options.jobs
        if workers <= 1 or len(calls) <= 1:
            return [call() for call in calls]
        with ThreadPoolExecutor(max_workers=min(workers, len(calls))) as pool:
            try:
                return [future.result() for future in [pool.submit(call) for call in calls]]
            except BaseException:
                # An interruption, or the end of the run's time: what was not sent yet stays unsent.
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    # -- judging -----------------------------------------------------------------------------------------------

    def judge(
        self,
        rule: str,
        good: bool,
        *,
        kind: str,
        expected: str,
        actual: str = "",
        exchange: Exchange | None = None,
        witness: Exchange | None = None,
        function: str | None = None,
        message: str | None = None,
        accepted: Collection[int] | None = None,
        case: list[dict[str, Any]] | None = None,
    ) -> bool:
        """Judge a rule: count it, and record a finding where it is violated. Return `good`.

        `exchange` is the call that the rule is judged by: a finding shows and repeats it. `witness` is a later call
        that shows what it did, where its own answer does not. `actual` says what was seen in them; a finding shows
        their answers in any case. `accepted` are the statuses that would have been right, where it is about the status
        alone. `case` are the steps that show it, where the exchange alone does not (`conformance.cases.format.Step`,
        as JSON).

        Nothing is counted, and nothing is found, in three cases: the call was not sent; it had no answer, and has one
        when it is sent again; or its answer says nothing about the rule (`conformance.engine.preconditions`).
        """
        if any(each is not None and each.withheld for each in (exchange, witness)):
            name = function if function is not None else exchange.function if exchange else None
            self.run.count_withheld(rule, name)
            return True
        if not good and exchange is not None:
            if self.run.recovery.is_flaky(exchange):
                return False
            excuse = self.run.preconditions.excuse(rule, exchange)
            if excuse is None and witness is not None:
                excuse = self.run.preconditions.excuse(rule, witness)
            if excuse is not None:
                self.skip(rule, excuse, function=function or exchange.function)
                return False
        self.run.observer.judged(rule)
        if not good:
            name = function if function is not None else exchange.function if exchange else None
            title = RULES[rule].title
            self.run.observer.found(
                Finding(
                    rule,
                    name,
                    kind,
                    message or kind or title,
                    expected,
                    described(exchange, witness, actual),
                    exchange,
                    accepted=tuple(sorted(accepted)) if accepted is not None else None,
                    case=case,
                    witness=witness,
                )
            )
        return good

    def status(
        self,
        rule: str,
        exchange: Exchange,
        accepted: Collection[int],
        *,
        kind: str,
        otherwise: str | None = None,
        function: str | None = None,
        because: str = "",
        what: str | None = None,
    ) -> bool:
        """Judge the status of an answer; no answer at all is not an accepted one.

        `kind` is the finding's kind where the call succeeds, and `otherwise` where it fails with another status or
        with an error under status 200.
        Without `otherwise`, "is not refused" in `kind` becomes "is refused with another status" for a refusal.
        The message says which status came instead of which; `what` names what was sent, where the kind does not.
        """
        wanted = " or ".join(str(code) for code in sorted(accepted))
        if 200 not in accepted and not exchange.succeeded:
            kind = otherwise or as_answered(kind, exchange)
        return self.judge(
            rule,
            exchange.status in accepted,
            kind=kind,
            expected=f"status {wanted}" + (f": {because}" if because else ""),
            exchange=exchange,
            function=function,
            accepted=accepted,
            message=status_message(kind, exchange, accepted, what),
        )

    def skip(self, rule: str, reason: str, lines: str | None = None, function: str | None = None) -> None:
        """Report that a rule is not judged here, and why."""
        event = NotJudgedEvent(rule, function or self.subject, self.secret_registry.mask(reason), lines)
        if event not in self.skips:
            self.skips.append(event)

    def give_up(self, reason: str, lines: str | None = None) -> NoReturn:
        """Stop the test: its rules are not judged, for this reason.

        Raises:
            NotJudgedError: always.

        """
        raise NotJudgedError(reason, lines)


def refused_otherwise(kind: str) -> str:
    """Return the kind of a finding where the call is refused, but not with an accepted status."""
    return re.sub(r"\bis not refused\b(?! with)", "is refused with another status", kind)


def as_answered(kind: str, exchange: Exchange) -> str:
    """Return the kind of a finding; where the call was refused (4xx), it does not say "is not refused"."""
    refused = exchange.status is not None and 400 <= exchange.status < 500
    return refused_otherwise(kind) if refused else kind
