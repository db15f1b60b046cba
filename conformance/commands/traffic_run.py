"""A run of recorded traffic: its log, its judge, its report and its closing screen."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Collection
from typing import Any

from conformance import __version__
from conformance.commands.check import close
from conformance.engine.harness import Harness
from conformance.errors import UsageError
from conformance.events import EndEvent, Event, InterruptedEvent, NoteEvent, NotJudgedEvent, TestEvent
from conformance.rulebook import RULES, own_rules
from conformance.text import plural
from conformance.traffic.judge import TRAFFIC, TrafficJudge
from reports.model.event_log import LogError
from reports.model.files import begin, exit_status, write_report

__all__ = ["TrafficRun", "passed_over"]

#: Reasons and hosts that a note names.
MAX_NAMED = 4


class TrafficRun:
    """Judges the traffic of one target and writes the usual files of a run."""

    def __init__(
        self, harness: Harness, *, tokens_are_recorded: bool, endpoints: Collection[str] = ()
    ) -> None:
        """Open the log in the folder of the run.

        Raises:
            UsageError: the folder cannot be written.

        """
        self.harness = harness
        self._began = time.monotonic()
        try:
            harness.claim()
            self._log = begin(harness.out)
        except (OSError, LogError) as error:
            raise UsageError(f"--out {harness.out}: {getattr(error, 'strerror', None) or error}") from error
        self._lost: LogError | None = None
        header = harness.header(__version__)
        # Nothing is generated, so there is neither a seed nor a budget.
        header.seed = header.budget = None
        self._emit(header)
        for rule in RULES:
            if rule not in harness.wanted:
                self._emit(NotJudgedEvent(rule, reason=harness.left_out))
        self._emit(TestEvent(TRAFFIC))
        self.judge = TrafficJudge(
            harness.profile,
            harness.catalog,
            self._emit,
            harness.wanted,
            tokens_are_recorded=tokens_are_recorded,
            endpoints=endpoints,
        )

    def _emit(self, event: Event) -> None:
        if self._lost is not None:
            return
        try:
            self._log.write(event)
        except LogError as error:
            self._lost = error

    def note(self, text: str) -> None:
        """Add a note to the report."""
        self._emit(NoteEvent(text))

    def close(self, *, interrupted: bool = False) -> int:
        """Make the report and print the closing screen; return the exit status."""
        if interrupted:
            self._emit(InterruptedEvent())
        self.judge.close()
        for text in self.judge.notes():
            self.note(text)
        for failure in own_rules.events(self.judge.registry.mask):
            self._emit(failure)
        self._emit(EndEvent(time.monotonic() - self._began, self.judge.taken))
        try:
            self._log.close()
            report: dict[str, Any] | None = write_report(self.harness.out)
        except LogError as error:
            self._lost, report = error, None
        if self._lost is not None or report is None:
            print(f"conform {self.harness.request.verb}: {self._lost}", file=sys.stderr)
            return 3
        close(self.harness, report)
        return exit_status(report)


def passed_over(passed: Counter[str], others: Counter[str]) -> list[str]:
    """Return notes about what a capture has beside the exchanges of the target."""
    notes = []
    if others:
        named = ", ".join(f"{origin} ({count})" for origin, count in others.most_common(MAX_NAMED))
        more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
        notes.append(f"{plural(others.total(), 'request')} elsewhere passed over: {named}{more}")
    if passed:
        named = ", ".join(f"{count} {reason}" for reason, count in passed.most_common(MAX_NAMED + 2))
        notes.append(f"{plural(passed.total(), 'request')} passed over: {named}")
    return notes
