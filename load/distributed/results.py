"""Collects the results of a run: the reports of all processes come in, events go out as JSON lines.

Each report counts once, however often it arrives. Every second that has ended is written as an event at once, and the
conditions to stop early are checked. At the end of the run this makes the `load` part of the report.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import msgspec
from locust.stats import RequestStats

from conformance.events import (
    CountedFindingRecord,
    Event,
    FindingEvent,
    LoadEndEvent,
    LoadEvent,
    LoadFields,
    MarkEvent,
    MarkRecord,
    RuleCountsRecord,
    encode,
    given,
)
from load.distributed.judgement import Judgement
from load.distributed.run_plan import Order, Plan
from load.metrics import locust_stats as aggregate
from load.metrics import slo
from load.metrics.aggregation import Aggregator
from load.metrics.counts import Delta, Second
from load.metrics.endings import NO_CONNECTION
from load.metrics.failures import FailureTable
from load.metrics.health import Vitals
from load.metrics.machine import machine_facts
from load.metrics.slowest import slowest_of
from load.metrics.windows import TimedSlos

__all__ = ["Events", "ResultsCollector"]


#: Resets and other equal marks whose gap is not longer than this are one mark.
_MAX_GAP_SECONDS = 5.0


class Events:
    """A file of JSON lines, each written out as it comes; without a path, nothing is written."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        """Open the file to append to it; raises OSError when that cannot be done."""
        self._file: IO[str] | None = None
        if path is not None:
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115  # for as long as the run goes on

    def write(self, event: Event) -> None:
        """Write an event as a line."""
        if self._file is not None:
            self._file.write(encode(event) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _Process:
    """What the reports of one process say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers: set[int] = set()  # of the reports that came, above `all_below`
        self.all_below = 1
        self.latest = 0
        self.vitals = Vitals(name)
        self.results: dict[str, Any] = {}
        self.findings: list[FindingEvent] = []
        self.reach = 0.0
        self.asked = 0
        self.open = 0
        self.renewed = 0
        #: Calls in sessions, calls that overlapped another in their session, and the sessions that would avoid that.
        self.sessions: Sequence[int] | None = None
        #: The slowest requests that it served.
        self.slowest: Sequence[Mapping[str, Any]] = ()
        #: Opened; the most at a time; found closed and reopened; on which more arrived than was requested.
        self.connections = (0, 0, 0, 0)
        #: Why the run is to end before its time, as far as this process says.
        self.ending: str | None = None
        self.final = False
        self.lost = False

    def new(self, number: int) -> bool:
        """Return whether a report with this number is new, and remember the number."""
        if number < self.all_below or number in self.numbers:
            return False
        self.numbers.add(number)
        while self.all_below in self.numbers:
            self.numbers.remove(self.all_below)
            self.all_below += 1
        return True


# One class, though it is long: one method for each message of a worker.
class ResultsCollector:
    """The results of the run so far."""

    def __init__(
        self, plan: Plan, events: Events, stats: Callable[[], RequestStats], functions: Sequence[str]
    ) -> None:
        self.plan = plan
        self.events = events
        self.stats = stats
        self.slos = [slo.parse(text) for text in plan.slos]
        self.watch = slo.Watch([slo.parse_abort(text) for text in plan.aborts], start=plan.warmup)
        self.timed = TimedSlos(self.slos, plan.warmup, plan.schedule)
        self.aggregator = Aggregator(functions, warmup=plan.warmup, name="account")
        #: The results of the current trial of a search.
        self.lately = Delta()
        self.processes: dict[str, _Process] = {}
        self.marks: list[MarkRecord] = []
        self.findings: set[tuple[str | None, ...]] = set()
        self.failures = FailureTable()
        #: The orders for the whole run.
        self.orders: list[Order] = []
        #: By worker that was lost: the arrivals that were never reported.
        self.lost: dict[str, int] = {}
        self.judgement = Judgement(self)
        #: Why the run has to stop.
        self.stop: str | None = None
        #: Whether it stops because an SLO cannot be met any more.
        self.failed_fast = False
        self._renewal = -math.inf
        self._marked: dict[str, float] = {}
        #: Internal errors of the processes.
        self.trouble: set[str] = set()
        self._warm = plan.warmup <= 0

    # --- reports of processes -------------------------------------------------------------------------------

    def process(self, name: str) -> _Process:
        """Return the state of a process, created at its first use."""
        found = self.processes.get(name)
        if found is None:
            found = self.processes[name] = _Process(name)
        return found

    def take(self, name: str, report: Mapping[str, Any], age: float) -> bool:
        """Add a report of a process; return whether it was new. `age` is the time since the start of the run."""
        process = self.process(name)
        number = report["number"]
        if not process.new(number):
            return False
        delta = report["delta"]
        if not isinstance(delta, Delta):
            delta = Delta.from_json(delta)
            if process.lost:
                delta.until.clear()  # nothing waits for it any more
            self.aggregator.merge(delta)
        if self.plan.search is not None:
            self.lately.merge(replace(delta, seconds={}))
        aggregate.apply(self.stats(), report["locust"], method=self.plan.arrivals, age=age)
        findings = msgspec.convert((report["results"] or {}).get("findings", ()), list[FindingEvent])
        if number > process.latest:
            process.latest = number
            process.vitals = Vitals.from_json(report["vitals"])
            if report["results"] is not None:
                process.results = dict(report["results"])
                process.findings = findings
            process.reach = report["reach"]
            process.asked, process.open = report["asked"], report["open"]
            process.renewed = report["renewed"]
            process.sessions = report.get("sessions")
            if (slowest := report.get("slowest")) is not None:
                process.slowest = slowest
            opened, most, reopened, strays = report["connections"]
            process.connections = (opened, most, reopened, strays)
            process.final = process.final or report["final"]
            process.ending = report.get("ending") or process.ending
        for row in self.failures.take(report["failures"]) if report.get("failures") else ():
            self.events.write(row)
        for at, kind, text in report["marks"]:
            # The same mark of several processes or users at the same time is one mark.
            if at - self._marked.get(text, -math.inf) > _MAX_GAP_SECONDS:
                self.mark(at, kind, text)
            self._marked[text] = max(at, self._marked.get(text, at))
            if kind in ("reset", "renewal"):
                self._renewal = max(self._renewal, at)
        for at in report["renewals"]:
            if at - self._renewal > _MAX_GAP_SECONDS:
                self.mark(at, "renewal", "sessions had ended, and are renewed")
            self._renewal = max(self._renewal, at)
        for begun, ended in report["pauses"]:
            text = f"worker {name} heard nothing of the master for {ended - begun:.1f} s and stood still"
            self.mark(begun, "pause", text)
        for text in report["trouble"]:
            if text not in self.trouble:
                self.trouble.add(text)
                self.mark(report["at"], "error", f"an error of the generator itself: {text}")
        for finding in findings:
            self._finding(finding)
        return True

    def _finding(self, finding: FindingEvent) -> None:
        key = (finding.rule, finding.function, finding.kind, finding.message)
        if key not in self.findings:
            self.findings.add(key)
            self.events.write(finding)

    def mark(self, at: float, kind: str, text: str) -> None:
        """Write a mark on the time axis."""
        mark = MarkRecord(round(max(0.0, at), 3), kind, text)
        self.marks.append(mark)
        self.events.write(MarkEvent(mark.kind, mark.text, at=mark.at))

    def lose(self, name: str, number: int) -> None:
        """Record that a process is lost, with the number of arrivals that it never reported."""
        process = self.process(name)
        process.lost = True
        self.aggregator.lose(name)
        self.lost[name] = number

    @property
    def ending(self) -> str | None:
        """Why the run is to end before its time: every process that is there has nothing left to send."""
        reasons = [process.ending for process in self.processes.values() if not process.lost]
        return next((why for why in reasons if why is not None), None) if all(reasons) else None

    # --- events and conditions ------------------------------------------------------------------------------

    def asked(self, t: float) -> float:
        """Return the number of scheduled arrivals until a moment of the run."""
        return sum(order.asked(t) for order in self.orders)

    def tick(self, *, end: bool = False) -> None:
        """Write the seconds that have ended, and check whether the run has to stop."""
        seconds = self.aggregator.finished(end=end)
        while end and seconds and seconds[-1].at >= self.plan.duration and not seconds[-1].any_ended:
            seconds.pop()  # the time of waiting for responses, in which none arrived
        for second in seconds:
            self._second(second)
        if self.plan.fail_fast and self.stop is None and seconds and not end:
            at = seconds[-1].at + 1.0
            if (why := self.judgement.hopeless(at)) is not None:
                self.stop, self.failed_fast = why, True
                self.mark(at, "fail-fast", why)

    def _second(self, second: Second) -> None:
        at = second.at
        if not self._warm and at >= self.plan.warmup:
            self._warm = True
            self.mark(self.plan.warmup, "warm-up over", "what was due before does not count")
        asked = self.asked(at + 1.0) - self.asked(at) if self.plan.open else None
        self.timed.see(second)
        self.events.write(second.event(asked))
        if self.stop is None and (why := self.watch.see(second)) is not None:
            self.stop = why
            self.mark(at + 1.0, "abort", why)

    @property
    def watched(self) -> list[str]:
        """The functions whose latencies are recorded per second."""
        return sorted(self.watch.functions | self.timed.functions)

    def rules(self) -> dict[str, RuleCountsRecord]:
        """Return how often each rule was judged and broken, in all processes."""
        sums: dict[str, list[int]] = {}
        for process in self.processes.values():
            for rule, (judged, broken) in process.results.get("rules", {}).items():
                found = sums.setdefault(rule, [0, 0])
                found[0] += judged
                found[1] += broken
        return {rule: RuleCountsRecord(judged, broken) for rule, (judged, broken) in sorted(sums.items())}

    def counts(self) -> list[CountedFindingRecord]:
        """Return how often each finding was observed; its event was written at the first observation."""
        sums: Counter[tuple[str, str | None, str | None]] = Counter()
        for process in self.processes.values():
            for finding in process.findings:
                sums[finding.rule, finding.function, finding.kind] += given(finding.count) or 1
        return [
            CountedFindingRecord(rule, function, kind, count)
            for (rule, function, kind), count in sums.items()
        ]

    def schema(self) -> dict[str, int]:
        """Return how many responses were checked by their declared result, and of how many."""
        pairs = [
            process.results["schema"] for process in self.processes.values() if "schema" in process.results
        ]
        return {"judged": sum(pair[0] for pair in pairs), "of": sum(pair[1] for pair in pairs)}

    def _unsent(self) -> Iterator[tuple[str | None, str, int]]:
        """Yield how many arrivals of each function found no connection; None stands for those without a function."""
        total = self.aggregator.sum
        for name, counts in (*total.functions.items(), (None, total.nameless)):
            if counts.starved.count:
                yield name, NO_CONNECTION, counts.starved.count

    def _sessions(self) -> dict[str, Any] | None:
        """Return how many calls overlapped another call of their session; None where there were no sessions."""
        counts = [process.sessions for process in self.processes.values() if process.sessions is not None]
        if not counts:
            return None
        calls, overlapped = (sum(each[place] for each in counts) for place in (0, 1))
        # Virtual users are divided evenly among the workers.
        needed = max(each[2] for each in counts) * len(counts)
        many = self.plan.per_session
        return {
            "per_session": "any" if many is None else many,
            "calls": calls,
            "overlapped": overlapped,
            "share": overlapped / calls if calls else 0.0,
            "needed": needed or None,
        }

    def begun(self, names: Sequence[str], functions: Sequence[str]) -> LoadEvent:
        """Return the event that begins the load, which is sent by the named processes."""
        event = LoadEvent(functions=list(functions))
        self._describe_plan(event, names)
        return event

    def _describe_plan(self, event: LoadFields, names: Sequence[str]) -> None:
        """Write the facts of the run that are known before it begins into an event."""
        plan = self.plan
        event.scenario = plan.scenario
        event.arrivals = plan.arrivals
        event.executor = "tasks" if plan.tasks else "calls" if plan.open else "users"
        event.schedule = None
        if plan.search is not None:
            event.schedule = plan.search.to_json()
        elif plan.schedule is not None:
            event.schedule = plan.schedule.to_json()
        event.warmup = plan.warmup
        event.duration = None if math.isinf(plan.duration) else plan.duration
        event.seed = plan.seed
        event.users = plan.users
        event.per_session = "any" if plan.per_session is None else plan.per_session
        event.connections = {"limit": plan.connections, "policy": "kept open"}
        event.generator = machine_facts()
        event.waiting = {"limit": plan.waiting, "seconds": plan.patience}
        event.timeout = plan.timeout
        event.ceiling = plan.rate_limit
        event.workers = len(names)
        event.slo = list(plan.slos)
        event.abort = list(plan.aborts)
        event.fail_fast = plan.fail_fast

    def ended(
        self,
        names: Sequence[str],
        seconds: float,
        *,
        slos: Sequence[slo.Result] | None = None,
        search: dict[str, Any] | None = None,
        ended: str | None = None,
    ) -> LoadEndEvent:
        """Return the event that ends the load; its seconds were written as events before."""
        plan = self.plan
        reported = self.aggregator.report(self.asked if plan.open else None, seconds)
        lost = sum(self.lost.values())
        reported["total"]["dropped"] += lost
        if lost:
            # Requests that were under way when a worker was lost had begun, and count as lost.
            under_way = sum(process.open for process in self.processes.values() if process.lost)
            reported["total"]["arrivals"] = (reported["total"]["arrivals"] or 0) + max(0, lost - under_way)
        measured = max(0.0, seconds - plan.warmup)
        fit = self.judgement.fitness(seconds)
        health = fit.to_json()
        why = list(self.judgement.more_reasons(lost, reported["total"]["requests"]))
        if slos is None:
            slos = self.judgement.judged(
                self.aggregator.total, self.aggregator.sum.functions, measured, fit, why
            )
        health["why"] += why
        health["valid"] = health["valid"] and not why
        known = self.processes.values()
        event = LoadEndEvent(
            seconds=seconds,
            ended=ended,
            marks=sorted(self.marks, key=lambda mark: mark.at),
            total=reported["total"],
            functions=reported["functions"],
            warmed=reported["warmed"],
            renewed=sum(process.renewed for process in known),
            sessions=self._sessions(),
            failures=self.failures.to_json(self._unsent()),
            slowest=slowest_of({name: process.slowest for name, process in self.processes.items()}),
            lost=lost,
            rules=self.rules(),
            findings=self.counts(),
            schema=self.schema(),
            slos=[each.to_json() for each in slos],
            health=health,
        )
        self._describe_plan(event, names)
        event.connections = {
            "limit": plan.connections,
            "policy": "kept open",
            "opened": sum(process.connections[0] for process in known),
            "most": sum(process.connections[1] for process in known),
        }
        event.search = search
        event.steps = [step.to_json() for step in self.timed.steps]
        return event
