"""Decides what the results of a run mean: the generator's fitness, the verdicts of the SLOs, and when all is lost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from load.metrics import slo
from load.metrics.counts import Counts
from load.metrics.health import LIMITS, Calibration, Facts, Fitness, fitness

if TYPE_CHECKING:
    from load.distributed.results import ResultsCollector

__all__ = ["Judgement"]

#: A wait of more than so many times the longest lateness of the generator is the target's.
_CERTAIN_LAGS = 4


def _certain_after(facts: Facts) -> float:
    """Return the seconds after which a wait was certainly the target's: a multiple of the generator's own lateness.

    A generator without processor time, or one of which a part is lost, may have made anything wait for any time.
    """
    if not facts.lag.count or any(each.lost or each.cpu_most > LIMITS.cpu for each in facts.workers):
        return math.inf
    return _CERTAIN_LAGS * facts.lag.max / 1e6


class Judgement:
    """The decisions about the results that a collector has so far."""

    def __init__(self, collector: ResultsCollector) -> None:
        self._collector = collector
        self.plan = collector.plan

    def fitness(self, seconds: float, counts: Counts | None = None, asked: float | None = None) -> Fitness:
        """Return whether the generator was fit over some seconds; without `counts`, over the whole run."""
        plan = self.plan
        whole = counts is None
        total = self._collector.aggregator.total if counts is None else counts
        measured = max(0.0, seconds - plan.warmup)
        if whole and plan.open and not plan.tasks:
            asked = (
                self._collector.asked(seconds)
                - self._collector.asked(plan.warmup)
                - sum(self._collector.lost.values())
            )
        renewed = total.renewed
        rate = total.requests / measured if measured else 0.0
        if plan.schedule is not None:
            rate = plan.schedule.peak
        facts = Facts(
            workers=[
                process.vitals.gone() if process.lost else process.vitals
                for process in self._collector.processes.values()
            ],
            lag=self._collector.aggregator.sum.lag if whole else self._collector.lately.lag,
            asked=asked,
            sent=total.requests + renewed,
            dropped=total.dropped,
            rate=rate,
            calibration=None if plan.calibration is None else Calibration(*plan.calibration),
            starved=total.starved.count,
            limit=min((each.limit / 1000 for each in self._collector.slos if each.is_latency), default=None),
            p99=total.due.percentile(99) / 1e6 if total.due.count else None,
            reopened=sum(process.connections[2] for process in self._collector.processes.values())
            if whole
            else 0,
            strays=sum(process.connections[3] for process in self._collector.processes.values())
            if whole
            else 0,
        )
        return fitness(facts)

    def more_reasons(self, lost: int, requests: int) -> Iterator[str]:
        """Yield reasons why the run is not valid, other than the generator's health."""
        if lost > LIMITS.dropped * (lost + requests):
            share = lost / (lost + requests)
            yield f"{lost:,} arrivals, {share:.2%} of those due, went down with workers: nobody accounts for them"
        if self._collector.trouble:
            yield "the generator itself had an error: " + "; ".join(sorted(self._collector.trouble))

    def judged(
        self,
        counts: Counts,
        functions: Mapping[str, Counts],
        seconds: float,
        fit: Fitness,
        why: Sequence[str] = (),
    ) -> list[slo.Result]:
        """Return the verdicts of the SLOs, including the default one; `why` adds reasons for an unfit generator."""
        reasons = [*fit.why, *why]
        asked = fit.facts.asked
        sent = counts.requests + counts.renewed + counts.dropped
        doubt = slo.Doubt(
            fit.facts.lag,
            reasons[0] if reasons else None,
            unsent=max(0.0, (asked or 0.0) - sent) + sum(self._collector.lost.values()),
            open=self.plan.open,
            certain_after=_certain_after(fit.facts),
            timeout=self.plan.timeout,
        )
        results = []
        for each in self._collector.slos:
            if each.timed:
                results.append(self._collector.timed.result(each, doubt))
            else:
                results += slo.judge([each], counts, functions, seconds, doubt)
        return [*results, *slo.judge_default(self._collector.slos, counts, functions, doubt)]

    def hopeless(self, now: float) -> str | None:
        """Return which SLO is missed and cannot be met any more, in words; None if there is none."""
        plan, counts, functions = (
            self.plan,
            self._collector.aggregator.total,
            self._collector.aggregator.sum.functions,
        )
        known = plan.open and not plan.tasks and not math.isinf(plan.duration)
        expected = self._most_arrivals(plan.duration) - self._collector.asked(plan.warmup) if known else None
        seconds = plan.duration - plan.warmup
        lost = set(self._collector.timed.hopeless(self._most_arrivals if known else None, plan.duration))
        for each in self._collector.slos:
            of = counts if each.function is None else functions.get(each.function, Counts())
            if not each.timed and slo.hopeless(
                each, of, expected if each.function is None else None, seconds
            ):
                lost.add(each)
        default = all(each.metric != "errors" for each in self._collector.slos)
        default = default and slo.hopeless(slo.DEFAULT_SLO, counts, expected, seconds)
        if not lost and not default:
            return None
        measured = max(0.0, now - plan.warmup)
        for result in self.judged(counts, functions, measured, self.fitness(now)):
            hopeless = result.slo in lost or (default and result.slo.default and result.slo.function is None)
            if hopeless and result.verdict == "fail":
                return f"{result.slo.text} cannot be held any more ({slo.measured_text(result.slo, result.value)})"
        return None

    def _most_arrivals(self, t: float) -> float:
        """Return the largest number of scheduled arrivals until a moment of the run."""
        asked = self._collector.asked(t)
        if self.plan.schedule is not None and self.plan.schedule.spacing == "poisson":
            # There may be more than expected; five standard deviations more are very unlikely.
            asked += 5 * asked**0.5
        return asked
