"""A run of the suites within one run of pytest: its log, its screen and its report."""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import Any

from msgspec import UNSET

from conformance.cases.format import save
from conformance.engine import dry_run
from conformance.engine.collection import SuiteTest
from conformance.engine.dry_run import StandIn
from conformance.engine.harness import Harness
from conformance.engine.pytest_plugin.own_tests import run_own_tests
from conformance.engine.runner import Run
from conformance.engine.signals import Interruption
from conformance.engine.suite_run import SuiteRun
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
    given,
)
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding
from reports.model.event_log import LogError, RunLog
from reports.model.files import begin, write_report
from reports.render.terminal.progress import Progress

__all__ = ["ReportedRun"]


class ReportedRun:
    """A run whose events go to a log and to the screen: opened when a suite is collected, closed when pytest ends."""

    def __init__(self, harness: Harness, *, alone: bool) -> None:
        """Take a prepared harness; `alone` says that pytest was started without `conform`."""
        self.harness = harness
        self.alone = alone
        self.suite_run = SuiteRun(harness, self.emit)
        #: The collected tests, by suite, test function, and the position of the parameter's value.
        self.tests: dict[tuple[str, str, int], SuiteTest] = {}
        self.log: RunLog | None = None
        self.progress: Progress | None = None
        self.report: dict[str, Any] | None = None
        self.interrupted = False
        self.interruption = Interruption()
        self.lost: LogError | None = None
        self._sent_by_own_tests = 0

    @property
    def run(self) -> Run | None:
        """The run of the suites; None before it was opened."""
        return self.suite_run.run

    def open(self) -> Run:
        """Begin the run once, and return it. The log comes first, so that it has whatever happens.

        Raises:
            UsageError: the log cannot be written, or the embedded service does not start.

        """
        if self.run is not None:
            return self.run
        harness = self.harness
        self.interruption.watch()
        if not harness.request.plan:
            try:
                harness.claim()
                self.log = begin(harness.out)
            except (LogError, OSError) as error:
                why = error.strerror if isinstance(error, OSError) else error
                raise UsageError(f"--out {harness.out}: {why}") from error
        self.suite_run.begin()
        if self.lost is not None:
            raise UsageError(f"--out {harness.out}: {self.lost}")
        run = self.suite_run.open()
        self.suite_run.put_doubtful_functions_first()
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
            fails = self.harness.policy.fails(RULES[rule].level, rule, function, event.kind or "")
            self.progress.finding(rule, function, event.message or "", fails=fails)

    def _save_case(self, event: CaseEvent) -> None:
        """Write the file of a case; the log only names it. Raises LogError."""
        path = self.harness.out / event.file
        case, event.case = given(event.case), UNSET
        try:
            save(path, case or {})
        except OSError as error:
            raise LogError(f"cannot write {path}: {error.strerror}") from error

    def fails(self, finding: Finding) -> bool:
        """Return whether a finding fails the gate: not if it only warns, is waived or is known."""
        mask = self.run.secret_registry.mask if self.run is not None else str
        level = RULES[finding.rule].level
        return self.harness.policy.fails(level, finding.rule, finding.function, mask(finding.kind))

    def close(self) -> None:
        """End the run and make its report.

        Raises:
            LogError: the log or the report could not be written.

        """
        try:
            if self.interruption.pending:
                self.interrupted = True
            if self.run is not None and self.log is not None:
                self._run_own_tests()
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
                    grid=self.run.coverage.grid_size(),
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
        self.harness.sent = run.client.sent + self._sent_by_own_tests
        self.suite_run.end(self._sent_by_own_tests)
        if self.progress is not None:
            self.progress.close()
        if self.lost is None:
            log.close()
            if self.harness.goes_on:
                self.harness.done = True
            else:
                self.report = self.harness.report = write_report(self.harness.out)

    def _run_own_tests(self) -> None:
        """Run the team's own tests, unless the run was stopped before."""
        if not self.harness.request.suites or self.interrupted or self.lost or self.suite_run.stopped:
            return
        try:
            self._sent_by_own_tests = run_own_tests(self.harness, self.emit)
        except KeyboardInterrupt:
            self.interrupted = True

    def _save_what_there_is(self, lost: LogError) -> None:
        """Make the report of the log as far as it was written; only show it, if it cannot be written either."""
        if self.run is None or self.log is None:
            return
        problem = ErrorEvent(None, f"{lost}", whose="this machine")
        end = EndEvent(self.run.seconds, self.run.client.sent)
        more = [problem, CutEvent(), *[InterruptedEvent()] * self.interrupted, end]
        with contextlib.suppress(LogError):
            self.log.close()
        for write in (True, False):
            try:
                self.report = self.harness.report = write_report(self.harness.out, more, write=write)
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
        self.interruption.enter("clean-up")
        try:
            self.suite_run.finish()
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
