"""Confirmation of findings: each is reproduced with fresh sessions and fresh data before it counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conformance.cases.format import CaseError
from conformance.engine.recovery import MAX_RESETS
from conformance.engine.runnable import Runnable
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding, Key

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = ["Confirmation"]

#: Attempts to see a finding, the first one included; one that does not come back every time gets one more.
MAX_ATTEMPTS = 3
#: Findings of one rule that are confirmed.
MAX_CONFIRMED_PER_RULE = 3


class Confirmation:
    """Publishes the findings of a run, and reproduces those that are new."""

    def __init__(self, run: Run, *, enabled: bool) -> None:
        """Make it ready; without `enabled` findings are published as they are."""
        self._run = run
        self._enabled = enabled
        #: How many findings were confirmed, by rule.
        self._confirmed: Counter[str] = Counter()

    def publish(self, findings: dict[Key, Finding]) -> None:
        """Emit findings, and the case of each."""
        observer = self._run.observer
        for key, finding in findings.items():
            observer.every.setdefault(key, finding)
            reproduced = observer.confirmed.get(key)
            if reproduced is None and self._confirmed[finding.rule] >= MAX_CONFIRMED_PER_RULE:
                # Enough findings of this rule were confirmed; of this one the report says that it was seen once.
                reproduced = observer.confirmed[key] = "1/1"
            self._run.emit(finding.event(count=finding.count, reproduced=reproduced))
            self._emit_case(finding)

    def _emit_case(self, finding: Finding) -> None:
        """Emit the case of a finding; where none can be made, the run goes on and notes it."""
        try:
            event = self._run.recorder.event(finding)
        except (CaseError, ValueError, RecursionError) as error:
            self._run.notes.append(f"no case file for {finding.rule} in {finding.function}: {error}")
            return
        if event is not None:
            self._run.emit(event)

    def confirm(self, test: Runnable, found: dict[Key, Finding]) -> None:
        """Reproduce the findings of a test that were not confirmed before, and emit how often each came back.

        Raises:
            TargetDownError: the target stopped answering and did not come back.
            OutOfTimeError: the deadline of the run has passed.

        """
        fresh = {
            key: finding
            for key, finding in found.items()
            if key not in self._run.observer.confirmed and self._confirmed[key[0]] < MAX_CONFIRMED_PER_RULE
        }
        if not fresh or not self._enabled:
            return
        mark = self._run.payload_budget.mark()
        self._reproduce(test, fresh)
        self._run.payload_budget.rewind(mark)

    def _reproduce(self, test: Runnable, fresh: dict[Key, Finding]) -> None:
        """Repeat what showed the findings, and count how often each comes back.

        A finding that one exchange shows is reproduced by sending that again. The others, and those that do not come
        back so, take the whole test. A finding that does not come back every time stays one, an intermittent one.
        """
        run = self._run
        counts: Counter[Key] = Counter(dict.fromkeys(fresh, 1))
        attempts, resets = 1, 0
        while attempts < MAX_ATTEMPTS or (
            attempts == MAX_ATTEMPTS and any(counts[key] < attempts for key in fresh)
        ):
            run.sessions.drop()
            again = self._resend(test, fresh)
            if fresh.keys() - again:
                run.resources.renew()
                run.attempt(test, frozenset(fresh))
                again |= set(run.observer.take())
            missing = resets < MAX_RESETS and fresh.keys() - again
            if missing and run.sessions.mains() and run.environment.diagnose().state == "reset":
                run.recovery.reset()
                resets += 1
                continue
            if missing and run.observer.unreached:
                # The target was not there to show it.
                if not run.environment.await_target(run.recovery.patience):
                    raise run.recovery.went_down("stopped")
                resets += 1
                continue
            attempts += 1
            counts.update(key for key in again if key in fresh)
        for key, finding in fresh.items():
            self._confirmed[finding.rule] += 1
            run.observer.confirmed[key] = f"{counts[key]}/{attempts}"
            run.emit(finding.event(count=0, reproduced=run.observer.confirmed[key]))
        run.observer.settle()

    def _resend(self, test: Runnable, fresh: dict[Key, Finding]) -> set[Key]:
        """Send again the exchanges that show a finding by themselves; return what was found in the answers."""
        observer = self._run.observer
        observer.begin(test.name, test.rules)
        for key, finding in fresh.items():
            by_itself = RULES[finding.rule].check is not None and finding.exchange is not None
            if by_itself and finding.exchange is not None and key not in observer.take():
                self._run.recovery.resend(finding.exchange)
        again = set(observer.take())
        observer.settle()
        return again
