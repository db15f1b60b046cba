"""The run's account, where it is led: what all processes report comes together here, and goes out as JSON lines.

Reports are taken once each, whatever way and however often they come. Every second that is over goes out as an event at
once; the conditions to stop early are looked at; in the end there is the `load` part of the report.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from locust.stats import RequestStats

from load.distributed.run_plan import Order, Plan
from load.metrics import locust_stats as aggregate
from load.metrics import slo
from load.metrics.aggregation import Aggregator, Counts, Delta, Second
from load.metrics.endings import NO_CONNECTION
from load.metrics.failures import FailureTable
from load.metrics.health import LIMITS, Calibration, Facts, Fitness, Vitals, fitness
from load.metrics.machine import machine_facts
from load.metrics.slowest import slowest_of
from load.metrics.windows import TimedSlos

__all__ = ["Events", "ResultsCollector"]


#: Resets, and other marks alike, with no longer gap than this, in seconds, are one.
_BURST = 5.0


class Events:
    """A file of JSON lines, each written out as it comes; without a path, nothing is written."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        """Open the file to append to it; raises OSError when that cannot be done."""
        self._file: IO[str] | None = None
        if path is not None:
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115  # for as long as the run goes on

    def write(self, event: Mapping[str, Any]) -> None:
        """Write a line."""
        if self._file is not None:
            self._file.write(
                json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
            )
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _Member:
    """What is known of one process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.numbers: set[int] = set()  # of the reports that came, above `all_below`
        self.all_below = 1
        self.latest = 0
        self.vitals = Vitals(name)
        self.told: dict[str, Any] = {}
        self.reach = 0.0
        self.asked = 0
        self.open = 0
        self.renewed = 0
        #: Calls in sessions, those that overlapped another of theirs, and the sessions that would have avoided it.
        self.sessions: Sequence[int] | None = None
        #: The slowest requests that it served.
        self.slowest: Sequence[Mapping[str, Any]] = ()
        #: Opened, the most at a time, found closed and opened anew, and those on which more came than was asked for.
        self.connections = (0, 0, 0, 0)
        self.final = False
        self.lost = False

    def new(self, number: int) -> bool:
        """Return whether a report with this number has not come before, and remember it."""
        if number < self.all_below or number in self.numbers:
            return False
        self.numbers.add(number)
        while self.all_below in self.numbers:
            self.numbers.remove(self.all_below)
            self.all_below += 1
        return True


class ResultsCollector:
    """What the run has come to so far."""

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
        #: What came in since the last `since_now`: the trial of a search.
        self.lately = Delta()
        self.virtual_users: dict[str, _Member] = {}
        self.marks: list[dict[str, Any]] = []
        self.findings: set[str] = set()
        self.failures = FailureTable()
        #: The orders for the whole run, as they were given.
        self.orders: list[Order] = []
        #: What was lost with workers, per worker: arrivals that nobody accounts for.
        self.lost: dict[str, int] = {}
        #: Why it is to be stopped.
        self.stop: str | None = None
        #: Whether that is since an SLO cannot be held any more.
        self.failed_fast = False
        self._renewal = -math.inf
        self._marked: dict[str, float] = {}
        self._trouble: set[str] = set()
        self._warm = plan.warmup <= 0

    # --- what comes in --------------------------------------------------------------------------------------

    def virtual_user(self, name: str) -> _Member:
        """Return what is known of a process."""
        found = self.virtual_users.get(name)
        if found is None:
            found = self.virtual_users[name] = _Member(name)
        return found

    def take(self, name: str, report: Mapping[str, Any], age: float) -> bool:
        """Take in a report of a process; return whether it was new. `age` is how long the run has gone on."""
        virtual_user = self.virtual_user(name)
        number = report["number"]
        if not virtual_user.new(number):
            return False
        delta = report["delta"]
        if not isinstance(delta, Delta):
            delta = Delta.from_json(delta)
            if virtual_user.lost:
                delta.until.clear()  # nobody waits for it any more
            self.aggregator.merge(delta)
        if self.plan.search is not None:
            self.lately.merge(replace(delta, seconds={}))
        aggregate.apply(self.stats(), report["locust"], method=self.plan.arrivals, age=age)
        if number > virtual_user.latest:
            virtual_user.latest = number
            virtual_user.vitals = Vitals.from_json(report["vitals"])
            if report["told"] is not None:
                virtual_user.told = dict(report["told"])
            virtual_user.reach = report["reach"]
            virtual_user.asked, virtual_user.open = report["asked"], report["open"]
            virtual_user.renewed = report["renewed"]
            virtual_user.sessions = report.get("sessions")
            if (slowest := report.get("slowest")) is not None:
                virtual_user.slowest = slowest
            opened, most, reopened, strays = report["connections"]
            virtual_user.connections = (opened, most, reopened, strays)
            virtual_user.final = virtual_user.final or report["final"]
        for row in self.failures.take(report["failures"]) if report.get("failures") else ():
            self.events.write({"event": "failure", **row})
        for at, kind, text in report["marks"]:
            # What several processes or users meet at the same time is one thing.
            if at - self._marked.get(text, -math.inf) > _BURST:
                self.mark(at, kind, text)
            self._marked[text] = max(at, self._marked.get(text, at))
            if kind in ("reset", "renewal"):
                self._renewal = max(self._renewal, at)
        for at in report["renewals"]:
            if at - self._renewal > _BURST:
                self.mark(at, "renewal", "sessions had ended, and are renewed")
            self._renewal = max(self._renewal, at)
        for begun, ended in report["pauses"]:
            text = f"worker {name} heard nothing of the master for {ended - begun:.1f} s and stood still"
            self.mark(begun, "pause", text)
        for text in report["trouble"]:
            if text not in self._trouble:
                self._trouble.add(text)
                self.mark(report["at"], "error", f"an error of the generator itself: {text}")
        for finding in (report["told"] or {}).get("findings", ()):
            self._finding(finding)
        return True

    def _finding(self, finding: Mapping[str, Any]) -> None:
        key = json.dumps([finding.get(name) for name in ("rule", "function", "kind", "message")])
        if key not in self.findings:
            self.findings.add(key)
            self.events.write({"event": "finding", **finding})

    def mark(self, at: float, kind: str, text: str) -> None:
        """Write a mark on the time axis."""
        mark = {"at": round(max(0.0, at), 3), "kind": kind, "text": text}
        self.marks.append(mark)
        self.events.write({"event": "mark", **mark})

    def lose(self, name: str, number: int) -> None:
        """Take in that a process is gone, and with it so many arrivals that nobody accounts for."""
        virtual_user = self.virtual_user(name)
        virtual_user.lost = True
        self.aggregator.lose(name)
        self.lost[name] = number

    # --- what goes out --------------------------------------------------------------------------------------

    def asked(self, t: float) -> float:
        """Return how many arrivals were asked for until a moment of the run."""
        return sum(order.asked(t) for order in self.orders)

    def tick(self, *, end: bool = False) -> None:
        """Write out the seconds that are over, and look whether the run is to be stopped."""
        seconds = self.aggregator.finished(end=end)
        while end and seconds and seconds[-1].at >= self.plan.duration and not seconds[-1].tells:
            seconds.pop()  # answers were waited for, and none came
        for second in seconds:
            self._second(second)
        if self.plan.fail_fast and self.stop is None and seconds and not end:
            at = seconds[-1].at + 1.0
            if (why := self._hopeless(at)) is not None:
                self.stop, self.failed_fast = why, True
                self.mark(at, "fail-fast", why)

    def _second(self, second: Second) -> None:
        at = second.at
        if not self._warm and at >= self.plan.warmup:
            self._warm = True
            self.mark(self.plan.warmup, "warm-up over", "what was due before does not count")
        asked = self.asked(at + 1.0) - self.asked(at) if self.plan.open else None
        functions = {
            name: {"requests": done, "errors": failed, "nonconformant": nonconformant}
            for name, (done, failed, nonconformant) in sorted(second.functions.items())
        }
        self.timed.see(second)
        self.events.write({"event": "second", **second.shown(asked), "functions": functions})
        if self.stop is None and (why := self.watch.see(second)) is not None:
            self.stop = why
            self.mark(at + 1.0, "abort", why)

    def fitness(self, seconds: float, counts: Counts | None = None, asked: float | None = None) -> Fitness:
        """Say whether the generator was fit, over so many seconds; without `counts`, over the whole run."""
        plan = self.plan
        whole = counts is None
        total = self.aggregator.total if counts is None else counts
        measured = max(0.0, seconds - plan.warmup)
        if whole and plan.open and not plan.tasks:
            asked = self.asked(seconds) - self.asked(plan.warmup) - sum(self.lost.values())
        renewed = total.renewed
        rate = total.requests / measured if measured else 0.0
        if plan.schedule is not None:
            rate = plan.schedule.peak
        facts = Facts(
            workers=[
                virtual_user.vitals.gone() if virtual_user.lost else virtual_user.vitals
                for virtual_user in self.virtual_users.values()
            ],
            lag=self.aggregator.sum.lag if whole else self.lately.lag,
            asked=asked,
            sent=total.requests + renewed,
            dropped=total.dropped,
            rate=rate,
            calibration=None if plan.calibration is None else Calibration(*plan.calibration),
            starved=total.starved.count,
            limit=min((each.limit / 1000 for each in self.slos if each.is_latency), default=None),
            p99=total.due.percentile(99) / 1e6 if total.due.count else None,
            reopened=sum(virtual_user.connections[2] for virtual_user in self.virtual_users.values())
            if whole
            else 0,
            strays=sum(virtual_user.connections[3] for virtual_user in self.virtual_users.values())
            if whole
            else 0,
        )
        return fitness(facts)

    def _more_reasons(self, lost: int, requests: int) -> Iterator[str]:
        """Yield what forbids to believe the run beside what a generator's health does."""
        if lost > LIMITS.dropped * (lost + requests):
            share = lost / (lost + requests)
            yield f"{lost:,} arrivals, {share:.2%} of those due, went down with workers: nobody accounts for them"
        if self._trouble:
            yield "the generator itself had an error: " + "; ".join(sorted(self._trouble))

    def judged(
        self,
        counts: Counts,
        functions: Mapping[str, Counts],
        seconds: float,
        fit: Fitness,
        why: Sequence[str] = (),
    ) -> list[slo.Result]:
        """Judge the SLOs, the default one included; `why` adds to what makes the generator unfit."""
        reasons = [*fit.why, *why]
        asked = fit.facts.asked
        sent = counts.requests + counts.renewed + counts.dropped
        doubt = slo.Doubt(
            fit.facts.lag,
            reasons[0] if reasons else None,
            unsent=max(0.0, (asked or 0.0) - sent) + sum(self.lost.values()),
            open=self.plan.open,
        )
        results = []
        for each in self.slos:
            if each.timed:
                results.append(self.timed.result(each, doubt))
            else:
                results += slo.judge([each], counts, functions, seconds, doubt)
        return [*results, *slo.judge_default(self.slos, counts, functions, doubt)]

    @property
    def watched(self) -> list[str]:
        """The functions whose latencies are wanted second by second."""
        return sorted(self.watch.functions | self.timed.functions)

    def _hopeless(self, now: float) -> str | None:
        """Return which SLO cannot be held any more and is missed by now, in words, or None."""
        plan, counts, functions = self.plan, self.aggregator.total, self.aggregator.sum.functions
        known = plan.open and not plan.tasks and not math.isinf(plan.duration)
        expected = self.asked(plan.duration) - self.asked(plan.warmup) if known else None
        if expected is not None and plan.schedule is not None and plan.schedule.spacing == "poisson":
            # It may bring more than are expected; five standard deviations are hardly ever brought.
            expected += 5 * expected**0.5
        seconds = plan.duration - plan.warmup
        lost = set(self.timed.missed())
        for each in self.slos:
            of = counts if each.function is None else functions.get(each.function, Counts())
            if not each.timed and slo.hopeless(
                each, of, expected if each.function is None else None, seconds
            ):
                lost.add(each)
        default = all(each.metric != "errors" for each in self.slos)
        default = default and slo.hopeless(slo.DEFAULT_SLO, counts, expected, seconds)
        if not lost and not default:
            return None
        measured = max(0.0, now - plan.warmup)
        for result in self.judged(counts, functions, measured, self.fitness(now)):
            hopeless = result.slo in lost or (default and result.slo.default and result.slo.function is None)
            if hopeless and result.verdict == "fail":
                return f"{result.slo.text} cannot be held any more ({slo.measured_text(result.slo, result.value)})"
        return None

    def rules(self) -> dict[str, dict[str, int]]:
        """Return how often each rule was judged and broken, in all processes."""
        sums: dict[str, list[int]] = {}
        for virtual_user in self.virtual_users.values():
            for rule, (judged, broken) in virtual_user.told.get("rules", {}).items():
                found = sums.setdefault(rule, [0, 0])
                found[0] += judged
                found[1] += broken
        return {rule: {"judged": judged, "broken": broken} for rule, (judged, broken) in sorted(sums.items())}

    def counts(self) -> list[dict[str, Any]]:
        """Return how often each finding was seen in the end; it was told when it was seen first."""
        sums: dict[str, dict[str, Any]] = {}
        for virtual_user in self.virtual_users.values():
            for finding in virtual_user.told.get("findings", ()):
                which = {name: finding.get(name) for name in ("rule", "function", "kind")}
                found = sums.setdefault(json.dumps(which), {**which, "count": 0})
                found["count"] += int(finding.get("count") or 1)
        return list(sums.values())

    def schema(self) -> dict[str, int]:
        """Return how many answers were judged by their declared result, and of how many."""
        pairs = [
            virtual_user.told["schema"]
            for virtual_user in self.virtual_users.values()
            if "schema" in virtual_user.told
        ]
        return {"judged": sum(pair[0] for pair in pairs), "of": sum(pair[1] for pair in pairs)}

    def _unsent(self) -> Iterator[tuple[str | None, str, int]]:
        """Yield how many arrivals of each function found no connection; None: of those that had no function yet."""
        total = self.aggregator.sum
        for name, counts in (*total.functions.items(), (None, total.nameless)):
            if counts.starved.count:
                yield name, NO_CONNECTION, counts.starved.count

    def _sessions(self) -> dict[str, Any] | None:
        """Return how many calls overlapped another call of their session; None where there were no sessions."""
        counts = [
            virtual_user.sessions
            for virtual_user in self.virtual_users.values()
            if virtual_user.sessions is not None
        ]
        if not counts:
            return None
        calls, overlapped = (sum(each[place] for each in counts) for place in (0, 1))
        # Users are dealt evenly to the workers.
        needed = max(each[2] for each in counts) * len(counts)
        many = self.plan.per_session
        return {
            "per_session": "any" if many is None else many,
            "calls": calls,
            "overlapped": overlapped,
            "share": overlapped / calls if calls else 0.0,
            "needed": needed or None,
        }

    def plan_event(self, names: Sequence[str], *, interrupted: bool = False) -> dict[str, Any]:
        """Return what is known of the run before it begins."""
        plan = self.plan
        schedule: dict[str, Any] | None = None
        if plan.search is not None:
            schedule = plan.search.to_json()
        elif plan.schedule is not None:
            schedule = plan.schedule.to_json()
        return {
            "scenario": plan.scenario,
            "arrivals": plan.arrivals,
            "executor": "tasks" if plan.tasks else "calls" if plan.open else "users",
            "schedule": schedule,
            "warmup": plan.warmup,
            "duration": None if math.isinf(plan.duration) else plan.duration,
            "seed": plan.seed,
            "users": plan.users,
            "per_session": "any" if plan.per_session is None else plan.per_session,
            "connections": {"limit": plan.connections, "policy": "kept open"},
            "generator": machine_facts(),
            "waiting": {"limit": plan.waiting, "seconds": plan.patience},
            "timeout": plan.timeout,
            "ceiling": plan.rate_limit,
            "workers": len(names),
            "slo": list(plan.slos),
            "abort": list(plan.aborts),
            "fail_fast": plan.fail_fast,
        }

    def ended(
        self,
        names: Sequence[str],
        seconds: float,
        *,
        slos: Sequence[slo.Result] | None = None,
        search: Mapping[str, Any] | None = None,
        ended: str | None = None,
    ) -> dict[str, Any]:
        """Return the `load` part of the report, without the series, whose seconds went out as events."""
        plan = self.plan
        reported = self.aggregator.report(self.asked if plan.open else None, seconds)
        lost = sum(self.lost.values())
        reported["total"]["dropped"] += lost
        if lost:
            # What was under way when a worker was lost is among what is lost, and had begun.
            under_way = sum(
                virtual_user.open for virtual_user in self.virtual_users.values() if virtual_user.lost
            )
            reported["total"]["arrivals"] = (reported["total"]["arrivals"] or 0) + max(0, lost - under_way)
        measured = max(0.0, seconds - plan.warmup)
        fit = self.fitness(seconds)
        health = fit.to_json()
        why = list(self._more_reasons(lost, reported["total"]["requests"]))
        if slos is None:
            slos = self.judged(self.aggregator.total, self.aggregator.sum.functions, measured, fit, why)
        health["why"] += why
        health["valid"] = health["valid"] and not why
        known = self.virtual_users.values()
        return {
            **self.plan_event(names),
            "seconds": seconds,
            "ended": ended,
            "connections": {
                "limit": plan.connections,
                "policy": "kept open",
                "opened": sum(virtual_user.connections[0] for virtual_user in known),
                "most": sum(virtual_user.connections[1] for virtual_user in known),
            },
            "marks": sorted(self.marks, key=lambda mark: mark["at"]),
            **reported,
            "renewed": sum(virtual_user.renewed for virtual_user in known),
            "sessions": self._sessions(),
            "failures": self.failures.to_json(self._unsent()),
            "slowest": slowest_of(
                {name: virtual_user.slowest for name, virtual_user in self.virtual_users.items()}
            ),
            "lost": lost,
            "rules": self.rules(),
            "findings": self.counts(),
            "schema": self.schema(),
            "slos": [each.to_json() for each in slos],
            "search": search,
            "steps": [step.to_json() for step in self.timed.steps],
            "health": health,
        }
