"""One run of the suites within one run of pytest: its log, the order of its tests, and its end."""

from __future__ import annotations

import contextlib
import math
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec import UNSET

from conformance import __version__
from conformance.cases.format import save
from conformance.engine import budgets, dry_run
from conformance.engine.conclusion import Options
from conformance.engine.context import FURTHER
from conformance.engine.dry_run import StandIn
from conformance.engine.extent import Extent
from conformance.engine.harness import Harness
from conformance.engine.history import lately
from conformance.engine.payload_budget import SHARES
from conformance.engine.pytest_plugin.items import NOT_SHED, function_name, parameter_of, rules_of
from conformance.engine.runner import Run
from conformance.engine.scheduling import LoadShedding, Planned
from conformance.engine.signals import Interruption
from conformance.errors import UsageError
from conformance.events import (
    CaseEvent,
    CutEvent,
    EndEvent,
    ErrorEvent,
    Event,
    ExchangeEvent,
    FindingEvent,
    InterruptedEvent,
    LeftoverEvent,
    NotJudgedEvent,
    PhaseEndEvent,
    PhaseEvent,
    given,
)
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding
from reports.model.event_log import LogError, RunLog
from reports.model.files import begin, write_report
from reports.render.terminal.progress import Progress

__all__ = ["SuiteRun"]

#: Seconds that a dry run spends on generated payloads, where only time ends them.
PLAN_PAYLOAD_SECONDS = 5.0

#: Time per generated payload, as a multiple of the time until a call is answered.
CALL_TIME_FACTOR = 1.5


class SuiteRun:
    """One run of the suites: opened when a suite is first collected, closed when pytest ends."""

    def __init__(self, harness: Harness, *, alone: bool) -> None:
        """Take a prepared harness; `alone` says that pytest was started without `conform`."""
        self.harness = harness
        self.alone = alone
        self.run: Run | None = None
        self.log: RunLog | None = None
        self.progress: Progress | None = None
        self.shedding: LoadShedding | None = None
        self.extent = Extent()
        #: Tests that may be left out on a slow target, and those that were.
        self.sheddable: list[pytest.Item] = []
        self.skipped: set[pytest.Item] = set()
        self.generates = False
        self.report: dict[str, Any] | None = None
        self.interrupted = False
        self.interruption = Interruption()
        self.lost: LogError | None = None

    def open(self) -> Run:
        """Begin the run once, and return it. The log comes first, so that it holds whatever happens.

        Raises:
            UsageError: the log cannot be written, or the embedded service does not start.

        """
        if self.run is None:
            harness = self.harness
            self.interruption.watch()
            if not harness.request.plan:
                try:
                    harness.claim()
                    self.log = begin(harness.out)
                except (LogError, OSError) as error:
                    why = error.strerror if isinstance(error, OSError) else error
                    raise UsageError(f"--out {harness.out}: {why}") from error
            harness.connect()
            self.emit(harness.header(__version__))
            if harness.goes_on:
                self.emit(PhaseEvent("check"))
            if self.lost is not None:
                raise UsageError(f"--out {harness.out}: {self.lost}")
            for rule in RULES.values():
                if rule.id not in harness.wanted:
                    self.leave_out(rule.id, harness.left_out)
            self.run = self._start()
        return self.run

    def _start(self) -> Run:
        harness, request = self.harness, self.harness.request
        options = Options(
            seed=harness.seed,
            budget=request.budget,
            read_only=request.read_only,
            jobs=max(1, request.jobs),
            rules=harness.wanted,
            deadline=harness.deadline
            or budgets.DEADLINE_SECONDS.of(request.budget) + (request.generate_for or 0.0),
            strict=request.strict,
            generate_for=request.generate_for,
            cases=tuple(case for case in harness.cases if case.rule in harness.wanted),
        )
        stand_in = StandIn(harness.profile, harness.catalog) if request.plan else None
        run = Run(
            harness.profile,
            harness.catalog,
            options,
            self.emit,
            client=stand_in,
            confirm=stand_in is None,
        )
        run.notes += harness.profile.hints()
        if stand_in is not None:
            # Where only time ends generated payloads, a dry run shows how they begin; else the requests decide.
            endless = run.payload_budget.requests is None
            run.payload_budget.seconds = PLAN_PAYLOAD_SECONDS if endless else math.inf
            run.payload_budget.sweeps = False
        target = harness.header(__version__).target
        run.first = lately(harness.out.parent, target, harness.catalog.methods)
        return run

    def emit(self, event: Event) -> None:
        """Write an event to the log, and show a finding at once."""
        if self.log is None:
            return
        try:
            if isinstance(event, CaseEvent):
                self._save_case(event)
            self.log.write(event)
        except LogError as error:
            self.lost = error
        if isinstance(event, ExchangeEvent):
            self.interruption.answered()
        elif isinstance(event, FindingEvent) and event.count and self.progress is not None:
            rule, function = event.rule, event.function
            fails = self.fails(rule, function, event.kind or "")
            self.progress.finding(rule, function, event.message or "", RULES[rule].area, fails=fails)

    def _save_case(self, event: CaseEvent) -> None:
        """Write the file of a case; the log only names it. Raises LogError."""
        path = self.harness.out / event.file
        case, event.case = given(event.case), UNSET
        try:
            save(path, case or {})
        except OSError as error:
            raise LogError(f"cannot write {path}: {error.strerror}") from error

    def fails(self, rule: str, function: str | None, kind: str) -> bool:
        """Return whether a finding fails the gate: not if it only warns, is waived or is known."""
        return self.harness.policy.fails(RULES[rule].level, rule, function, kind)

    def counts(self, finding: Finding) -> bool:
        """Return whether a finding fails the gate, its kind without secrets."""
        mask = self.run.secret_registry.mask if self.run is not None else str
        return self.fails(finding.rule, finding.function, mask(finding.kind))

    def plan(self, items: Sequence[pytest.Item]) -> None:
        """Take the tests that are to run, in their order."""
        run = self.run
        names = [function_name(item) for item in items]
        self.generates = not SHARES.keys().isdisjoint(names)
        for item, name in zip(items, names, strict=True):
            if name not in NOT_SHED and not item.name.endswith(FURTHER):
                self.extent.plan(item, self._wanted(item), *parameter_of(item))
        if run is None or self.harness.request.plan:
            return
        self.sheddable = [
            item
            for item, name in zip(items, names, strict=True)
            if name not in SHARES and name not in NOT_SHED
        ]
        planned = [Planned(function_name(item), parameter_of(item)[1]) for item in self.sheddable]
        shedding = self.shedding = LoadShedding(planned, run.options.deadline)
        observe = run.client.observe

        def measure(exchange: Exchange) -> None:
            shedding.observe(exchange.function, exchange.seconds, login=exchange.login)
            observe(exchange)

        run.client.observe = measure

    def schedule(self, items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
        """Yield the tests in the order in which they run; those without time come last, to be skipped.

        Generated payloads run after the other tests. The rules of every exchange are judged at the end.
        """
        shedding, run = self.shedding, self.run
        assert shedding is not None
        assert run is not None
        sheddable = set(self.sheddable)
        others = [item for item in items if item not in sheddable]
        first = [item for item in others if function_name(item) == "test_a_case"]
        last = [item for item in others if function_name(item) == "test_every_exchange"]
        yield from first
        yield from self._affordable(run, shedding, last=not self.generates)
        yield from (item for item in others if item not in first and item not in last)
        yield from self._affordable(run, shedding, last=True)
        self.skipped.update(self.sheddable[index] for index in shedding.end())
        yield from (item for item in self.sheddable if item in self.skipped)
        yield from last

    def _affordable(self, run: Run, shedding: LoadShedding, *, last: bool) -> Iterator[pytest.Item]:
        def due(index: int) -> bool:
            # No other test has judged one of its rules yet.
            return not all(run.observer.total_judged[rule] for rule in self._wanted(self.sheddable[index]))

        while True:
            payload_budget = run.payload_budget
            call = shedding.call
            generated = (payload_budget.seconds - payload_budget.spent) * self.generates
            if payload_budget.requests is not None:
                generated = min(generated, payload_budget.requests * call * CALL_TIME_FACTOR)
            removal = call * sum(1 for _ in run.resources.owned())
            index = shedding.next(generated=generated, removal=removal, due=due, last=last)
            if index is None:
                return
            yield self.sheddable[index]
            shedding.ran(index)

    def _wanted(self, item: pytest.Item) -> list[str]:
        return [rule for rule in rules_of(item) if rule in self.harness.wanted]

    def leave_out(self, rule: str, reason: str) -> None:
        """Report that a rule is not judged, because of what was asked for."""
        self.emit(NotJudgedEvent(rule, reason=reason))

    def close(self) -> None:
        """End the run and make its report.

        Raises:
            LogError: the log or the report could not be written.

        """
        try:
            if self.interruption.pending:
                self.interrupted = True
            if self.run is not None and self.log is not None:
                self._clean_up(self.run)
                self.interruption.enter("report")
                self._end(self.run, self.log)
            elif self.run is not None and not self.interrupted:
                self.run.finish()
                client = self.run.client
                assert isinstance(client, StandIn)
                self.harness.plan = dry_run.render(
                    self.harness.catalog,
                    client.aggregator,
                    url=self.harness.shown_url,
                    budget=self.harness.request.budget,
                    endless=self.run.payload_budget.requests is None,
                )
            if self.lost is not None:
                self._save_what_there_is(self.lost)
                raise self.lost
        finally:
            self.harness.interrupted = self.interrupted
            if not self.harness.goes_on:
                self.harness.close()
            self.interruption.release()

    def _end(self, run: Run, log: RunLog) -> None:
        if self.interrupted:
            self.emit(InterruptedEvent())
        seconds, sent = run.seconds, run.client.sent
        self.harness.sent = run.client.sent
        if self.harness.goes_on:
            self.emit(PhaseEndEvent("check", seconds, sent))
        else:
            self.emit(EndEvent(seconds, sent))
        if self.progress is not None:
            self.progress.close()
        if self.lost is None:
            log.close()
            if self.harness.goes_on:
                self.harness.done = True
            else:
                self.report = self.harness.report = write_report(self.harness.out)

    def _save_what_there_is(self, lost: LogError) -> None:
        """Make the report of the log as far as it was written; only show it, if it cannot be written either."""
        if self.run is None or self.log is None:
            return
        problem = ErrorEvent(None, f"{lost}", whose="this machine")
        end = EndEvent(self.run.seconds, self.run.client.sent)
        more = [problem, CutEvent(), *[InterruptedEvent()] * self.interrupted, end]
        with contextlib.suppress(LogError):
            self.log.close()
        for kept in (True, False):
            try:
                self.report = self.harness.report = write_report(self.harness.out, more, kept=kept)
            except (LogError, OSError):
                continue
            return

    def _clean_up(self, run: Run) -> None:
        """Remove what the run created, unless that is interrupted; report an exception of ours as an error."""
        if self.interrupted and not self.harness.request.quiet:
            print(
                "interrupted: removing what the run made; Ctrl-C again leaves it there",
                file=sys.__stderr__,
                flush=True,
            )
        if self.shedding is not None and self.shedding.note is not None:
            run.notes.insert(0, self.shedding.note)
        for event in self.extent.events():
            self.emit(event)
        self.interruption.enter("clean-up")
        try:
            run.finish()
        except KeyboardInterrupt:
            self.interrupted = True
            self.interruption.enter("report")
            for resource in run.resources.owned():
                reason = "the clean-up was interrupted"
                self.emit(LeftoverEvent(resource.kind, str(resource.id), reason=reason))
        except Exception as error:
            mask = run.secret_registry.mask
            message = mask(f"the suite itself failed in the clean-up: {type(error).__name__}: {error}")
            self.emit(ErrorEvent(None, message, ours=True, trace=mask(traceback.format_exc())))
