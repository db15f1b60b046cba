"""Builds the report of a run from its events, and from nothing else.

The builder takes one event at a time. It counts exchanges and does not keep them, so memory does not grow with a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatchmethod
from typing import Any

import msgspec

from conformance.events import (
    CaseEvent,
    ClientFindingEvent,
    CoverageEvent,
    CutEvent,
    EndEvent,
    ErrorEvent,
    Event,
    ExchangeEvent,
    FindingEvent,
    FindingFields,
    InterruptedEvent,
    JudgedEvent,
    LeftoverEvent,
    LoadEndEvent,
    MarkEvent,
    NoteEvent,
    NotJudgedEvent,
    PartlyJudgedEvent,
    PhaseEndEvent,
    PhaseEvent,
    ResetEvent,
    RunEvent,
    SeenEvent,
    TestEvent,
    WithdrawnEvent,
    given,
)
from conformance.rulebook import own_rules, requirements
from conformance.rulebook.verdicts import gate_of, judge_run
from reports.causes.diagnosis import diagnose
from reports.causes.evidence import Knowledge
from reports.model.event_log import LogError
from reports.model.load_summary import LoadPart, overall, requests
from reports.model.phases import judge_phases
from reports.model.rule_results import (
    NO_REASON,
    Finding,
    RuleResult,
    judge_rules,
    known_findings,
    waivers_to_mend,
)
from reports.model.target_build import TargetBuild

__all__ = ["FORMAT", "build"]

#: The version of the report's format.
FORMAT = 1


def build(events: Iterable[Event]) -> dict[str, Any]:
    """Build the report of a run from its events."""
    builder = ReportBuilder()
    for event in events:
        builder.take(event)
    return builder.report()


class ReportBuilder:
    """Collects the events of a run; `report` returns the report of those that were taken."""

    def __init__(self) -> None:
        self.run: RunEvent | None = None
        self.results: dict[str, RuleResult] = {}
        self.exchanges = 0
        self.resets = 0
        self.at = 0.0
        #: Seconds from the start of the log to the first finding.
        self.first_finding: float | None = None
        self.errors: dict[tuple[str | None, str, bool], dict[str, Any]] = {}
        self.leftovers: dict[object, dict[str, Any]] = {}
        self.client_findings: list[dict[str, Any]] = []
        self.notes: dict[str, None] = {}
        self.coverage: dict[str, Any] | None = None
        self.interrupted = False
        self.cut = False
        self.seen: list[SeenEvent] = []
        self.end: EndEvent | None = None
        self.build = TargetBuild()
        self.phases: list[dict[str, Any]] = []
        self.load = LoadPart()
        self.knowledge = Knowledge()

    def take(self, event: Event) -> None:
        """Take the next event of the run."""
        self.at = max(self.at, given(event.at) or 0.0)
        if isinstance(event, ExchangeEvent):
            self.exchanges += 1
            self.knowledge.take(event)
            self.build.take(event)
        else:
            self._take(event)

    def _result(self, identifier: str) -> RuleResult | None:
        """Return the result of a rule; an unknown rule is an error of the suite, and None."""
        result = self.results.get(identifier)
        if result is None:
            message = f"an event names the rule {identifier}, which this run does not have"
            self._take(ErrorEvent(None, message, ours=True))
        return result

    # A method for each type of event. The events of a load alone go to its part of the report.

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        self.load.take(event)

    @_take.register
    def _(self, event: RunEvent) -> None:
        if self.run is None:
            self.run = event
            self.results = {record.id: RuleResult(record) for record in event.rules}
            self.load.take(event)

    @_take.register
    def _(self, event: JudgedEvent) -> None:
        for identifier, count in event.rules.items():
            if result := self._result(identifier):
                result.judged += count

    @_take.register
    def _(self, event: FindingEvent) -> None:
        self._take_finding(event)

    def _take_finding(self, event: FindingFields) -> None:
        if result := self._result(event.rule):
            if self.first_finding is None:
                self.first_finding = self.at
            kind = event.kind or ""
            key = (event.function, kind)
            if key not in result.findings:
                result.findings[key] = Finding(event.function, kind, event.message or "")
            result.findings[key].add(event)

    @_take.register
    def _(self, event: SeenEvent) -> None:
        # What the running test found counts if the log ends before the test does.
        self.seen.append(event)

    @_take.register
    def _(self, event: TestEvent) -> None:
        # The findings of the test before were reported at its end.
        self.seen.clear()

    @_take.register
    def _(self, event: WithdrawnEvent) -> None:
        self.seen.clear()

    @_take.register
    def _(self, event: CaseEvent) -> None:
        if result := self._result(event.rule):
            finding = result.findings.get((event.function, event.kind or ""))
            if finding is not None:
                finding.case = event.file

    @_take.register
    def _(self, event: CoverageEvent) -> None:
        self.coverage = {"functions": event.functions}

    @_take.register
    def _(self, event: NotJudgedEvent) -> None:
        if result := self._result(event.rule):
            result.left_out[event.function, event.reason or NO_REASON] = None
            if lines := (event.lines or "").strip("\n"):
                result.lines[lines] = None

    @_take.register
    def _(self, event: PartlyJudgedEvent) -> None:
        if result := self._result(event.rule):
            result.note_extent(event)

    @_take.register
    def _(self, event: ErrorEvent) -> None:
        ours = given(event.ours) or False
        record = {
            "rule": event.rule,
            "message": event.message,
            "ours": ours,
            "whose": given(event.whose),
            "trace": given(event.trace),
            "count": 0,
        }
        self.errors.setdefault((event.rule, event.message, ours), record)["count"] += 1
        if event.rule is not None and (result := self._result(event.rule)):
            if event.message not in result.errors:
                result.errors.append(event.message)
            # A rule of the team's own whose check failed has no verdict, though it was judged by other exchanges.
            result.crashed |= ours or given(event.whose) == own_rules.WHOSE

    @_take.register
    def _(self, event: ResetEvent) -> None:
        self.resets += 1

    @_take.register
    def _(self, event: MarkEvent) -> None:
        self.load.take(event)
        if event.kind == "reset":
            self.resets += 1

    @_take.register
    def _(self, event: LoadEndEvent) -> None:
        self.load.take(event)
        for identifier, counts in event.rules.items():
            if result := self._result(identifier):
                result.judged += counts.judged
                result.broken += counts.broken
        for counted in event.findings:
            if result := self._result(counted.rule):
                finding = result.findings.get((counted.function, counted.kind or ""))
                if finding is not None:
                    # The finding was reported when it first occurred, with its count at that time.
                    finding.count = max(finding.count, counted.count)

    @_take.register
    def _(self, event: LeftoverEvent) -> None:
        identifier = event.id if isinstance(event.id, str | int | None) else str(event.id)
        # An object that several attempts could not remove is listed once, with the last reason.
        key = (event.kind, identifier) if identifier is not None else len(self.leftovers)
        self.leftovers[key] = {
            "kind": event.kind,
            "id": identifier,
            "function": event.function,
            "reason": event.reason,
        }

    @_take.register
    def _(self, event: ClientFindingEvent) -> None:
        self.client_findings.append(
            {
                "function": event.function,
                "kind": event.kind,
                "expected": event.expected,
                "actual": event.actual,
                "count": event.count,
                "exchange": event.exchange,
                "curl": event.curl,
                "request": msgspec.to_builtins(event.request),
                "response": msgspec.to_builtins(event.response),
            }
        )

    @_take.register
    def _(self, event: NoteEvent) -> None:
        self.notes[event.message] = None

    @_take.register
    def _(self, event: InterruptedEvent) -> None:
        self.interrupted = True

    @_take.register
    def _(self, event: CutEvent) -> None:
        # The log ends before the run did, so what was seen and not reported yet counts.
        self.cut = True

    @_take.register
    def _(self, event: EndEvent) -> None:
        self.end = event

    @_take.register
    def _(self, event: PhaseEvent) -> None:
        self.phases.append({"name": event.name, "seconds": None, "verdict": None, "reason": None})

    @_take.register
    def _(self, event: PhaseEndEvent) -> None:
        # A phase is judged by what it found itself: later phases must not make up for what it could not judge.
        phase = next((phase for phase in self.phases if phase["name"] == event.name), None)
        if phase is None or self.run is None:
            return
        if self.interrupted:
            self._take_unconfirmed()
        rules, _ = judge_rules(self.results, self.run, self._down())
        phase["verdict"], phase["reason"] = judge_run(
            rules,
            self.errors.values(),
            strict=self.run.strict,
            interrupted=self.interrupted,
            required=given(self.run.required) or (),
        )
        phase["seconds"] = event.seconds

    def _down(self) -> str | None:
        """Return why the target was unreachable or unstable as a whole; None if it was not."""
        whole = (error for error in self.errors.values() if error["rule"] is None and not error["ours"])
        return next((str(error["message"]) for error in whole), None)

    def _take_unconfirmed(self) -> None:
        """Count what the interrupted test had seen and not reported yet."""
        for event in self.seen:
            result = self._result(event.rule)
            if result and (event.function, event.kind or "") not in result.findings:
                self._take_finding(event)
        self.seen.clear()

    def _sent(self) -> int:
        """Return the number of requests, without those of a load."""
        sent = given(self.end.requests) if self.end is not None else None
        return self.exchanges if sent is None else sent

    def report(self) -> dict[str, Any]:
        """Return the report of the events that were taken. Raises LogError if there was no `run` event."""
        run = self.run
        if run is None:
            raise LogError("the log does not begin with a run")
        interrupted = self.interrupted or self.end is None
        incomplete = interrupted or self.cut
        if incomplete:
            self._take_unconfirmed()
        rules, used = judge_rules(self.results, run, self._down())
        errors = list(self.errors.values())
        load = self.load.record()
        phases = judge_phases(self.phases, rules, errors, load, interrupted=interrupted)
        result = overall(load) if load is not None else ("pass", "")
        required = given(run.required) or []
        verdict, reason = judge_run(
            rules,
            errors,
            strict=run.strict,
            interrupted=interrupted,
            load=result,
            phases=phases,
            required=required,
        )
        return {
            "format": FORMAT,
            "suite": run.suite,
            "verb": run.verb,
            "target": msgspec.to_builtins(run.target),
            "build": self.build.record(),
            "catalogue": msgspec.to_builtins(run.catalogue),
            "started": run.started,
            "seconds": round(self.end.seconds if self.end is not None else self.at, 3),
            "seed": run.seed,
            "budget": run.budget,
            "strict": run.strict,
            "first_finding": None if self.first_finding is None else round(self.first_finding, 3),
            "requests": self._sent() + requests(load),
            "resets": self.resets,
            "interrupted": interrupted,
            "verdict": verdict,
            "reason": reason,
            "gate": gate_of(verdict),
            "required": requirements.record(required, rules),
            "rerun": run.rerun,
            "rerun_rule": run.rerun_rule,
            "phases": phases or None,
            "causes": diagnose(rules, self.knowledge),
            "rules": rules,
            "waivers": waivers_to_mend(self.results, run, used, interrupted=incomplete),
            "known": known_findings(self.results, run, interrupted=incomplete),
            "leftovers": list(self.leftovers.values()),
            **({"client_findings": self.client_findings} if self.client_findings else {}),
            "errors": errors,
            "notes": list(self.notes),
            "coverage": self.coverage,
            "load": load,
        }
