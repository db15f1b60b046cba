"""A run from start to end, in the process that leads it: it gives orders, collects reports, searches and judges."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

import gevent  # type: ignore[import-untyped]
from gevent.event import Event  # type: ignore[import-untyped]

from conformance.errors import UsageError
from conformance.events import LoadEndEvent, RefusedEvent, given
from conformance.protocol.session import SetUpFailedError
from load.distributed.results import Events, ResultsCollector
from load.distributed.run_plan import Order, Plan
from load.engine.process import PERIOD, Generator, WorkerResources
from load.metrics import slo
from load.metrics.counts import Delta

__all__ = ["Local", "Run", "Workers", "exit_status"]

log = logging.getLogger(__name__)

#: The time from the end of the set-up to the start of the run.
LEAD_SECONDS = 0.2

#: The time to remove what the run created on the target, including what lost workers created.
MAX_CLEAN_UP_SECONDS = 150.0

#: The largest number of changes of the rate that each have a mark on the time axis.
MAX_STEP_MARKS = 50


class Workers(Protocol):
    """The processes that send: this one, or workers."""

    def names(self) -> list[str]:
        """Return the names of the processes that send."""

    def prepare(self) -> list[str]:
        """Get ready, and return the names of the functions; raises UsageError where that fails."""

    def begin(self, collector: ResultsCollector) -> float:
        """Set the start of the run, as a moment of `perf_counter`, and return it."""

    def order(self, order: Order) -> None:
        """Give an order to the processes."""

    def collect(self) -> None:
        """Collect the reports of the processes."""

    def open(self) -> int:
        """Return how many arrivals have begun and have not ended."""

    def alive(self) -> int:
        """Return how many processes send."""

    def stop(self, seconds: float, until: float) -> None:
        """Begin nothing that is due from `until` on, wait for what is under way, and collect the last reports."""

    def close(self) -> Sequence[Event]:
        """Clean up, and return events for what is left over on the target."""


class Local:
    """Sends from this process."""

    def __init__(
        self,
        plan: Plan,
        worker_resources: Callable[[Plan, int, int], WorkerResources],
        users: Callable[[], int],
        ready: Callable[[Generator], None],
    ) -> None:
        self.plan = plan
        self._worker_resources = worker_resources
        self._users = users
        self._ready = ready
        self.generator: Generator | None = None
        self._collector: ResultsCollector | None = None

    def names(self) -> list[str]:  # noqa: D102
        return ["local"]

    def prepare(self) -> list[str]:  # noqa: D102
        worker_resources = self._worker_resources(self.plan, 0, 1)
        self.generator = Generator(self.plan, worker_resources, users=self._users)
        worker_resources.prepare()
        return list(worker_resources.functions)

    def begin(self, collector: ResultsCollector) -> float:  # noqa: D102
        assert self.generator is not None
        self._collector = collector
        zero = perf_counter() + LEAD_SECONDS + self.plan.calm
        self.generator.start(zero, watch=collector.watched)
        collector.aggregator = self.generator.aggregator
        self._ready(self.generator)
        return zero

    def order(self, order: Order) -> None:  # noqa: D102
        assert self.generator is not None
        self.generator.follow([order])

    def collect(self) -> None:  # noqa: D102
        self._report(final=False)

    def _report(self, *, final: bool) -> None:
        if self.generator is not None and self._collector is not None:
            generator = self.generator
            self._collector.take(generator.name, generator.report(final=final, far=False), generator.now)

    def open(self) -> int:  # noqa: D102
        return 0 if self.generator is None else self.generator.open

    def alive(self) -> int:  # noqa: D102
        return 1

    def stop(self, seconds: float, until: float) -> None:  # noqa: D102
        if self.generator is not None:
            self.generator.stop(seconds, until)
            self._report(final=True)

    def close(self) -> Sequence[Event]:  # noqa: D102
        return () if self.generator is None else self.generator.close()


class Run:
    """A run; `main` is called in a greenlet, and `finish` ends the run early from another one."""

    def __init__(self, plan: Plan, workers: Workers, events: Events, stats: Callable[[], Any]) -> None:
        self.plan = plan
        self.workers = workers
        self.events = events
        self.collector: ResultsCollector | None = None
        #: The results, once the run has ended.
        self.result: LoadEndEvent | None = None
        #: Why it could not begin, in a line.
        self.refused: str | None = None
        self.ended = Event()
        self._stats = stats
        self._zero = math.inf
        self._why: str | None = None
        self._drain = plan.drain
        self._search = plan.search
        self._judged_results: list[slo.Result] | None = None

    @property
    def now(self) -> float:
        """Seconds since the start of the run."""
        return perf_counter() - self._zero

    def finish(self, why: str, drain: float | None = None) -> None:
        """End the run early, and wait until everything is aggregated and written."""
        if self._why is None:
            self._why = why
        if drain is not None:
            self._drain = min(self._drain, drain)
        self.ended.wait(timeout=self._drain + MAX_CLEAN_UP_SECONDS + 2 * self.plan.slowed(self.plan.users))

    def main(self) -> None:
        """Carry the run out."""
        try:
            self._main()
        except UsageError as error:
            self._refuse(str(error), "usage")
        except SetUpFailedError as error:
            self._refuse(f"the load cannot be prepared: {error.reason}", "target")
        except OSError as error:
            self._refuse(f"the load cannot be begun: {error}", "machine")
        finally:
            try:
                for event in self.workers.close():
                    self.events.write(event)
                self.events.close()
            finally:
                self.ended.set()

    def _refuse(self, why: str, kind: str) -> None:
        self.refused = why
        with contextlib.suppress(OSError):
            self.events.write(RefusedEvent(kind, why))

    def _main(self) -> None:
        plan = self.plan
        functions = self.workers.prepare()
        self.collector = collector = ResultsCollector(plan, self.events, self._stats, functions)
        names = self.workers.names()
        for name in names:  # they are shown in this order, whichever reports first
            collector.process(name)
        if self._why is not None:
            return
        self.events.write(collector.begun(names, functions))
        self._zero = self.workers.begin(collector)
        if self._search is not None:
            self._try()
        elif plan.schedule is not None:
            self._order(Order(plan.schedule, plan.seed, until=plan.duration))
            changes = plan.schedule.changes[1:]
            # Where the rate changes all the time, as in a capture, the seconds show it.
            for at, rate in changes if len(changes) <= MAX_STEP_MARKS else ():
                if at < plan.duration:
                    collector.mark(at, "step", f"{rate:.6g}/s asked for from here on")
            self._until(plan.duration)
        else:
            self._until(plan.duration)
        self._end(collector, names)

    def _order(self, order: Order) -> None:
        assert self.collector is not None
        self.collector.orders.append(order)
        self.workers.order(order)

    def _until(self, moment: float) -> bool:
        """Collect reports until a moment of the run; return whether it was reached."""
        collector = self.collector
        assert collector is not None
        while self._why is None:
            left = moment - self.now
            if left <= 0:
                return True
            gevent.sleep(min(PERIOD, left))
            self._collect(collector)
        return False

    def _collect(self, collector: ResultsCollector) -> None:
        self.workers.collect()
        collector.tick()
        if self._why is None and collector.stop is not None:
            self._why = f"{'fail-fast' if collector.failed_fast else 'abort'}: {collector.stop}"
        if self._why is None:
            self._why = collector.ending
        if self._why is None and not self.workers.alive():
            self._why = "no worker is left"
            collector.mark(self.now, "abort", self._why)

    # --- the search -----------------------------------------------------------------------------------------

    def _try(self) -> None:
        """Try rates until the search has ended."""
        collector = self.collector
        assert collector is not None
        while self._search is not None and not self._search.over and self._why is None:
            rate, seconds = self._search.next_rate, self._search.next_seconds
            begin = self.now + LEAD_SECONDS
            collector.mark(begin, "step", f"{rate:.6g}/s is tried for {seconds:.6g} s")
            collector.lately = Delta()
            self._order(
                Order(self._search.schedule(), self.plan.seed + len(self._search.trials), begin=begin)
            )
            if not self._until(begin + seconds) or not self._settled():
                break
            met, text = self._meets(collector, float(rate or 0) * seconds, seconds)
            collector.mark(self.now, "step", f"{rate:.6g}/s {text}")
            self._search = self._search.tried(met)

    def _settled(self) -> bool:
        """Wait until everything that has begun has ended and is reported."""
        end = self.now + self.plan.drain
        while self.workers.open() and self.now < end:
            if not self._until(self.now + 0.05):
                return False
        return self._until(self.now + 2 * PERIOD)

    def _meets(self, collector: ResultsCollector, asked: float, seconds: float) -> tuple[bool | None, str]:
        counts = collector.lately.total
        fit = collector.judgement.fitness(
            seconds + self.plan.warmup, counts, None if self.plan.tasks else asked
        )
        results = collector.judgement.judged(counts, collector.lately.functions, seconds, fit)
        missed = [each for each in results if each.verdict == "fail"]
        if missed:
            if self._judged_results is None:
                self._judged_results = results
            return False, f"did not hold: {', '.join(each.slo.text for each in missed)}"
        if not fit.valid:
            return None, f"could not be judged: {fit.why[0]}"
        unsaid = [each for each in results if each.verdict != "pass"]
        if unsaid:
            return None, f"could not be judged: {unsaid[0].slo.text}: {unsaid[0].reason}"
        self._judged_results = results
        return True, "held"

    # --- the end --------------------------------------------------------------------------------------------

    def _end(self, collector: ResultsCollector, names: Sequence[str]) -> None:
        seconds = self.now if self._why is not None or math.isinf(self.plan.duration) else self.plan.duration
        if self._why is not None and collector.stop is None and self.workers.alive():
            collector.mark(seconds, "stopped", self._why)
        # Only arrivals that are due until then were asked for.
        for place, order in enumerate(collector.orders):
            collector.orders[place] = Order(
                order.schedule, order.seed, order.begin, order.since, min(order.until, seconds)
            )
        stopping = gevent.spawn(self.workers.stop, self._drain, seconds)
        while not stopping.ready():
            stopping.join(timeout=PERIOD)
            if not stopping.ready():
                self.workers.collect()
                collector.tick()
        stopping.get()
        collector.tick(end=True)
        search = None if self._search is None else self._search.to_json()
        self.result = collector.ended(
            names,
            seconds,
            slos=self._judged_results if self.plan.search is not None else None,
            search=search,
            ended=self._why,
        )
        self.events.write(self.result)


def exit_status(result: LoadEndEvent | None) -> int:
    """Return the exit status of a result: 1 where an SLO was missed, 3 where nothing can be judged, otherwise 0."""
    if result is None:
        return 3
    total, search = given(result.total) or {}, given(result.search)
    if total["requests"] and total["requests"] == total["errors"].get("unreachable"):
        return 3
    if total["requests"] and not total["served"]:
        return 1
    verdicts = {each["verdict"] for each in result.slos or ()}
    if search is None and "fail" in verdicts:
        return 1
    if result.health is None or not result.health["valid"]:
        return 3
    if search is None:
        return 3 if "not judged" in verdicts else 0
    if search["result"] is not None:
        return 0
    return 1 if any(trial["held"] is False for trial in search["trials"]) and search["why"] is not None else 3
