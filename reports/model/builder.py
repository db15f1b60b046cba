"""Builds the report of a run from its events, and from nothing else.

The builder takes one event at a time. It counts exchanges and does not keep them, so memory does not grow with a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.rulebook.verdicts import gate_of, judge_run
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


def build(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Build the report of a run from its events."""
    builder = ReportBuilder()
    for event in events:
        builder.take(event)
    return builder.report()


class ReportBuilder:
    """Collects the events of a run; `report` returns the report of those that were taken.

    Each kind of event has its method, `on_` and the name of the event. An event of an unknown kind comes from a
    later version and is ignored.
    """

    def __init__(self) -> None:
        self.run: dict[str, Any] | None = None
        self.results: dict[str, RuleResult] = {}
        self.exchanges = 0
        self.resets = 0
        self.at = 0.0
        self.errors: dict[tuple[str | None, str, bool], dict[str, Any]] = {}
        self.leftovers: dict[object, dict[str, Any]] = {}
        self.notes: dict[str, None] = {}
        self.coverage: dict[str, Any] | None = None
        self.interrupted = False
        self.cut = False
        self.seen: list[Mapping[str, Any]] = []
        self.end: Mapping[str, Any] | None = None
        self.build = TargetBuild()
        self.phases: list[dict[str, Any]] = []
        self.load = LoadPart()
        self.on_load = self.load.on_load
        self.on_calibration = self.load.on_calibration
        self.on_second = self.load.on_second
        self.on_failure = self.load.on_failure

    def take(self, event: Mapping[str, Any]) -> None:
        """Take the next event of the run."""
        kind = str(event.get("event"))
        at = event.get("at")
        if isinstance(at, int | float):
            self.at = max(self.at, float(at))
        if kind == "exchange":
            self.exchanges += 1
            self.build.take(event)
            return
        method = getattr(self, "on_" + kind.replace(" ", "_").replace("-", "_"), None)
        if method is not None:
            method(event)

    def _result(self, event: Mapping[str, Any], name: str | None = None) -> RuleResult | None:
        """Return the result of the event's rule; an unknown rule is an error of the suite, and None."""
        identifier = str(name or event.get("rule"))
        result = self.results.get(identifier)
        if result is None:
            message = f"an event names the rule {identifier}, which this run does not have"
            self.on_error({"rule": None, "message": message, "ours": True})
        return result

    def on_run(self, event: Mapping[str, Any]) -> None:
        if self.run is None:
            self.run = dict(event)
            self.results = {record["id"]: RuleResult(dict(record)) for record in event["rules"]}
            self.load.on_run(event)

    def on_judged(self, event: Mapping[str, Any]) -> None:
        for identifier, count in event["rules"].items():
            if result := self._result(event, identifier):
                result.judged += int(count)

    def on_finding(self, event: Mapping[str, Any]) -> None:
        if result := self._result(event):
            kind = str(event.get("kind") or "")
            key = (event.get("function"), kind)
            if key not in result.findings:
                result.findings[key] = Finding(key[0], kind, str(event.get("message") or ""))
            result.findings[key].add(event)

    def on_seen(self, event: Mapping[str, Any]) -> None:
        """Retain what the running test found: it counts if the log ends before the test does."""
        self.seen.append(event)

    def on_conversation(self, event: Mapping[str, Any]) -> None:
        """Begin a test: the findings of the one before were reported at its end."""
        self.seen.clear()

    def on_withdrawn(self, event: Mapping[str, Any]) -> None:
        """Drop what the test has found so far: the target was reset meanwhile, or the cause was another."""
        self.seen.clear()

    def on_case(self, event: Mapping[str, Any]) -> None:
        if result := self._result(event):
            finding = result.findings.get((event.get("function"), str(event.get("kind") or "")))
            if finding is not None:
                finding.case = str(event["file"])

    def on_coverage(self, event: Mapping[str, Any]) -> None:
        self.coverage = {name: value for name, value in event.items() if name not in ("event", "at")}

    def on_not_judged(self, event: Mapping[str, Any]) -> None:
        if result := self._result(event):
            result.left_out[event.get("function"), str(event.get("reason") or NO_REASON)] = None
            if lines := (event.get("lines") or "").strip("\n"):
                result.lines[lines] = None

    def on_partly_judged(self, event: Mapping[str, Any]) -> None:
        """Note that a rule was tested on fewer functions than it applies to."""
        if result := self._result(event):
            result.judged_on = {name: event[name] for name in ("done", "of", "what")}

    def on_error(self, event: Mapping[str, Any]) -> None:
        identifier, message, ours = event.get("rule"), str(event.get("message")), bool(event.get("ours"))
        record = {
            "rule": identifier,
            "message": message,
            "ours": ours,
            "whose": event.get("whose"),
            "trace": event.get("trace"),
            "count": 0,
        }
        self.errors.setdefault((identifier, message, ours), record)["count"] += 1
        if identifier is not None and (result := self._result(event)):
            if message not in result.errors:
                result.errors.append(message)
            result.crashed |= ours

    def on_reset(self, event: Mapping[str, Any]) -> None:
        self.resets += 1

    def on_mark(self, event: Mapping[str, Any]) -> None:
        self.load.on_mark(event)
        if event.get("kind") == "reset":
            self.resets += 1

    def on_load_end(self, event: Mapping[str, Any]) -> None:
        self.load.on_load_end(event)
        for identifier, counts in (event.get("rules") or {}).items():
            if result := self._result(event, identifier):
                result.judged += int(counts["judged"])
                result.broken += int(counts["broken"])
        for counted in event.get("findings") or ():
            if result := self._result(counted):
                finding = result.findings.get((counted.get("function"), str(counted.get("kind") or "")))
                if finding is not None:
                    # The finding was reported when it first occurred, with its count at that time.
                    finding.count = max(finding.count, int(counted["count"]))

    def on_leftover(self, event: Mapping[str, Any]) -> None:
        record = {name: event.get(name) for name in ("kind", "id", "function", "reason")}
        if not isinstance(record["id"], str | int | None):
            record["id"] = str(record["id"])
        # An object that several attempts could not remove is listed once, with the last reason.
        key = (record["kind"], record["id"]) if record["id"] is not None else len(self.leftovers)
        self.leftovers[key] = record

    def on_note(self, event: Mapping[str, Any]) -> None:
        self.notes[str(event.get("message"))] = None

    def on_interrupted(self, event: Mapping[str, Any]) -> None:
        self.interrupted = True

    def on_cut(self, event: Mapping[str, Any]) -> None:
        """Note that the log ends before the run did: what was seen and not reported yet counts."""
        self.cut = True

    def on_end(self, event: Mapping[str, Any]) -> None:
        self.end = event

    def on_phase(self, event: Mapping[str, Any]) -> None:
        """Begin a phase of a run that has several."""
        self.phases.append({"name": str(event["name"]), "seconds": None, "verdict": None, "reason": None})

    def on_phase_end(self, event: Mapping[str, Any]) -> None:
        """Judge the phase by what it found itself: later phases must not make up for what it could not judge."""
        phase = next((phase for phase in self.phases if phase["name"] == event["name"]), None)
        if phase is None or self.run is None:
            return
        if self.interrupted:
            self._take_unconfirmed()
        rules, _ = judge_rules(self.results, self.run, self._down())
        phase["verdict"], phase["reason"] = judge_run(
            rules,
            self.errors.values(),
            strict=bool(self.run.get("strict")),
            interrupted=self.interrupted,
        )
        phase["seconds"] = float(event["seconds"])

    def _down(self) -> str | None:
        """Return why the target was unreachable or unstable as a whole; None if it was not."""
        whole = (error for error in self.errors.values() if error["rule"] is None and not error["ours"])
        return next((str(error["message"]) for error in whole), None)

    def _take_unconfirmed(self) -> None:
        """Count what the interrupted test had seen and not reported yet."""
        for event in self.seen:
            result = self._result(event)
            if result and (event.get("function"), str(event.get("kind") or "")) not in result.findings:
                self.on_finding(event)
        self.seen.clear()

    def report(self) -> dict[str, Any]:
        """Return the report of the events that were taken. Raises LogError if there was no `run` event."""
        run = self.run
        if run is None:
            raise LogError("the log does not begin with a run")
        interrupted = self.interrupted or self.end is None
        incomplete = interrupted or self.cut
        if incomplete:
            self._take_unconfirmed()
        end = self.end or {}
        rules, used = judge_rules(self.results, run, self._down())
        strict = bool(run.get("strict"))
        errors = list(self.errors.values())
        load = self.load.record()
        phases = judge_phases(self.phases, rules, errors, load, interrupted=interrupted)
        result = overall(load) if load is not None else ("pass", "")
        verdict, reason = judge_run(
            rules, errors, strict=strict, interrupted=interrupted, load=result, phases=phases
        )
        return {
            "format": FORMAT,
            "suite": run.get("suite"),
            "verb": run["verb"],
            "target": run["target"],
            "build": self.build.record(),
            "catalogue": run.get("catalogue"),
            "started": run["started"],
            "seconds": round(float(end.get("seconds", self.at)), 3),
            "seed": run.get("seed"),
            "budget": run.get("budget"),
            "strict": strict,
            "requests": int(end.get("requests", self.exchanges)) + requests(load),
            "resets": self.resets,
            "interrupted": interrupted,
            "verdict": verdict,
            "reason": reason,
            "gate": gate_of(verdict),
            "rerun": run.get("rerun"),
            "rerun_rule": run.get("rerun_rule"),
            "phases": phases or None,
            "rules": rules,
            "waivers": waivers_to_mend(self.results, run, used, interrupted=incomplete),
            "known": known_findings(self.results, run, interrupted=incomplete),
            "leftovers": list(self.leftovers.values()),
            "errors": errors,
            "notes": list(self.notes),
            "coverage": self.coverage,
            "load": load,
        }
