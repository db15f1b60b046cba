"""One run of the suites: collects the tests, orders them by the time there is, runs each, and ends.

`pytest_plugin` drives it from pytest, for `conform check`, `conform verify` and bare pytest. `run_all` drives it
without pytest, for the project's own tests and the benchmarks. Both run the same tests in the same order. `run_one`
runs a single test, for `conform replay`.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from conformance import __version__
from conformance.engine import budgets
from conformance.engine.collection import SuiteTest, collect, shares_of
from conformance.engine.conclusion import Conclusion, Options
from conformance.engine.dry_run import StandIn
from conformance.engine.extent import Extent
from conformance.engine.harness import Harness
from conformance.engine.history import lately
from conformance.engine.markers import Nothing, When
from conformance.engine.not_judged import TargetDownError
from conformance.engine.runnable import Runnable
from conformance.engine.runner import Run
from conformance.engine.scheduling import LoadShedding, Planned
from conformance.events import (
    EndEvent,
    ErrorEvent,
    Event,
    NoteEvent,
    NotJudgedEvent,
    PhaseEndEvent,
    PhaseEvent,
)
from conformance.protocol.client import OutOfTimeError
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES, own_rules
from conformance.text import plural

__all__ = ["SuiteRun"]

#: Seconds that a dry run spends on generated payloads, where only time ends them.
PLAN_PAYLOAD_SECONDS = 5.0

#: Generated payloads for the share of a run that is done, where time ends them and no number.
USUAL_GENERATED = 11_500

#: Time per generated payload, as a multiple of the time until a call is answered.
CALL_TIME_FACTOR = 1.5


class SuiteRun:
    """One run of the suites against the target of a harness; its events go to `emit`."""

    def __init__(self, harness: Harness, emit: Callable[[Event], None]) -> None:
        self.harness = harness
        self.emit = emit
        self.run: Run | None = None
        self.tests: list[SuiteTest] = []
        self.shedding: LoadShedding | None = None
        self.extent = Extent()
        self._kinds: Counter[str] = Counter()
        #: Tests that may be left out on a slow target, and those that were.
        self.sheddable: list[SuiteTest] = []
        self.skipped: set[SuiteTest] = set()
        #: Why the run cannot go on; None while it can.
        self.stopped: str | None = None

    # --- beginning

    def begin(self, suite: str = __version__) -> None:
        """Connect to the target and begin the log; `suite` is the version that the log names.

        Raises:
            UsageError: the embedded service does not start.

        """
        harness = self.harness
        harness.connect()
        self.emit(harness.header(suite))
        if harness.goes_on:
            self.emit(PhaseEvent("check"))
        for rule in RULES.values():
            if rule.id not in harness.wanted:
                self.leave_out(rule.id, harness.left_out)

    def open(self, *, confirm: bool = True, deadline: float | None = None, judging: bool = True) -> Run:
        """Make the run ready for its tests, and return it.

        With `confirm` findings are reproduced. `deadline` is in seconds, where the budget does not decide. Without
        `judging` no rule is judged: the tests are for their exchanges.
        """
        harness, request = self.harness, self.harness.request
        options = Options(
            seed=harness.seed,
            budget=request.budget,
            read_only=request.read_only,
            jobs=max(1, request.jobs),
            rules=harness.wanted if judging else frozenset(),
            deadline=deadline or self._deadline(),
            strict=request.strict,
            generate_for=request.generate_for,
            cases=tuple(case for case in harness.cases if case.rule in harness.wanted),
        )
        stand_in = StandIn(harness.profile, harness.catalog) if request.plan else None
        confirm = confirm and stand_in is None
        run = Run(harness.profile, harness.catalog, options, self.emit, client=stand_in, confirm=confirm)
        run.notes += harness.profile.hints()
        if stand_in is not None:
            # Where only time ends generated payloads, a dry run shows how they begin; else the requests decide.
            endless = run.payload_budget.requests is None
            run.payload_budget.seconds = PLAN_PAYLOAD_SECONDS if endless else math.inf
            run.payload_budget.sweeps = False
        self.run = run
        return run

    def _deadline(self) -> float:
        request = self.harness.request
        of_budget = budgets.DEADLINE_SECONDS.of(request.budget) + (request.generate_for or 0.0)
        return self.harness.deadline or of_budget

    def put_doubtful_functions_first(self) -> None:
        """Begin with the functions that failed in the last run of the same target in the same folder."""
        assert self.run is not None
        target = self.harness.header(__version__).target
        self.run.first = lately(self.harness.out.parent, target, self.harness.catalog.methods)

    def leave_out(self, rule: str, reason: str) -> None:
        """Report that a rule is not judged, because of what was asked for."""
        self.emit(NotJudgedEvent(rule, reason=reason))

    def stop_after_failures(self, failures: int, left: Iterable[SuiteTest]) -> None:
        """Report that the run stopped after this number of failing tests, and the rules of the tests that are left."""
        tests = plural(failures, "failing test")
        rules = {rule: None for test in left for rule in test.rules}
        for rule in rules:
            self.leave_out(rule, f"the run stopped after {tests}")
        if rules:
            self.emit(NoteEvent(f"the run stopped after {tests}, as was asked for"))

    def collect(self) -> list[SuiteTest]:
        """Return the tests for the wanted rules."""
        assert self.run is not None
        return collect(self.run, self.harness.wanted)

    def plan(self, tests: Sequence[SuiteTest], *, sheds: bool = True) -> None:
        """Take the tests that are to run, in their order; with `sheds` some are left out on a slow target."""
        run = self.run
        assert run is not None
        self.tests = list(tests)
        self._kinds = Counter(test.kind for test in tests)
        run.payload_budget.plan(shares_of(tests))
        for test in tests:
            if test.facts.when is When.IN_ORDER and not test.further:
                scope = test.scope.name if test.scope is not None else "tests"
                self.extent.plan(test, test.rules, scope, test.subject)
        if not sheds:
            return
        self.sheddable = [test for test in tests if test.is_sheddable]
        planned = [Planned(test.kind, test.subject, test.facts.calls) for test in self.sheddable]
        shedding = self.shedding = LoadShedding(planned, run.options.deadline)
        observe = run.client.observe

        def measure(exchange: Exchange) -> None:
            shedding.observe(exchange.function, exchange.seconds, login=exchange.login)
            observe(exchange)

        run.client.observe = measure

    def weight_of(self, test: SuiteTest) -> float:
        """Return about how many calls a test makes: generated payloads have a part of the budget's requests."""
        assert self.run is not None
        share = test.facts.share
        if share is None or isinstance(test.value, Nothing):
            return float(test.facts.calls.all)
        budget = self.run.payload_budget
        of_kind = max(1, self._kinds[test.kind])
        return max(1.0, (budget.requests or USUAL_GENERATED) * share.requests / of_kind)

    # --- running

    def schedule(self) -> Iterator[SuiteTest]:
        """Yield the tests in the order in which they run; those without time come last, to be skipped.

        Generated payloads run after the other tests. The rules of every exchange are judged at the end.
        """
        shedding, run = self.shedding, self.run
        assert run is not None
        if shedding is None:
            yield from self.tests
            return
        generating = [test for test in self.tests if test.facts.share is not None]
        yield from (test for test in self.tests if test.facts.when is When.FIRST)
        yield from self._affordable(run, shedding, last=not generating)
        yield from generating
        yield from self._affordable(run, shedding, last=True)
        self.skipped.update(self.sheddable[index] for index in shedding.end())
        yield from (test for test in self.sheddable if test in self.skipped)
        yield from (test for test in self.tests if test.facts.when is When.LAST)

    def _affordable(self, run: Run, shedding: LoadShedding, *, last: bool) -> Iterator[SuiteTest]:
        def due(index: int) -> bool:
            # No other test has judged one of its rules yet.
            return not all(run.observer.total_judged[rule] for rule in self.sheddable[index].rules)

        generates = len(self.sheddable) < len(self.tests) and any(test.facts.share for test in self.tests)
        while True:
            payload_budget = run.payload_budget
            call = shedding.call
            generated = (payload_budget.seconds - payload_budget.spent) * generates
            if payload_budget.requests is not None:
                generated = min(generated, payload_budget.requests * call * CALL_TIME_FACTOR)
            removal = call * sum(1 for _ in run.resources.owned())
            index = shedding.next(generated=generated, removal=removal, due=due, last=last)
            if index is None:
                return
            yield self.sheddable[index]
            shedding.ran(index)

    def execute(self, test: SuiteTest) -> Conclusion:
        """Run one test and return how it ended. Where the run cannot go on, `stopped` says why afterwards."""
        run = self.run
        assert run is not None
        if test in self.skipped:
            return Conclusion(not_judged="left out for lack of time", late=True)
        generates = test.facts.share is not None
        if generates and self.shedding is not None:
            run.payload_budget.within(self.shedding.left)
        with run.payload_budget.around() if generates else contextlib.nullcontext():
            conclusion = self.run_one(test)
        if self.stopped is not None:
            return conclusion
        if not conclusion.late:
            self.extent.done(test)
        if test.facts.when is When.LAST:
            every = run.observer.every.items()
            conclusion.findings = [finding for key, finding in every if key[0] in test.rules]
        return conclusion

    def run_one(self, test: Runnable) -> Conclusion:
        """Run a test of the suites or a single one. Where the run cannot go on, `stopped` says why afterwards."""
        run = self.run
        assert run is not None
        try:
            return run.run_test(test)
        except TargetDownError as error:
            self.stopped = f"{error}"
            return Conclusion(not_judged=self.stopped, late=True)
        except OutOfTimeError:
            self.stopped = f"the run's own deadline has passed, {run.options.deadline:.0f} s"
            message = f"{self.stopped}: a larger --budget has more time, --area takes less"
            self.emit(ErrorEvent(None, message, whose="out of time"))
            return Conclusion(not_judged=self.stopped, late=True)

    def run_all(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Run all planned tests, or until the condition holds or the run cannot go on."""
        for test in self.schedule():
            self.execute(test)
            if self.stopped is not None or until():
                return

    # --- ending

    def finish(self) -> None:
        """Report what was left out, remove what the run created, and sign out."""
        run = self.run
        assert run is not None
        if self.shedding is not None and self.shedding.note is not None:
            run.notes.insert(0, self.shedding.note)
        for event in self.extent.events():
            self.emit(event)
        try:
            run.finish()
        finally:
            for failure in own_rules.events(run.secret_registry.mask):
                self.emit(failure)

    def end(self, further: int = 0) -> None:
        """Emit the event that ends the check; `further` are requests that others sent for it."""
        run = self.run
        assert run is not None
        seconds, sent = run.seconds, run.client.sent + further
        self.emit(PhaseEndEvent("check", seconds, sent) if self.harness.goes_on else EndEvent(seconds, sent))
