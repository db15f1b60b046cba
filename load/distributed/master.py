"""The master of a distributed run: it leads the run, and workers send, over Locust's own messages.

The master splits the schedule exactly. Every worker reports a few times per second, and repeats a report until it is
acknowledged, so that none is lost or counted twice when a connection breaks. An acknowledgement is a lease: a worker
without one pauses after a while, and a worker that is silent for a little longer than that is given up. From then on
the others follow its share, and arrivals that it did not report count as dropped. When it returns, its late reports
are counted, but it gets no further orders. Moments are seconds since the start of the run. Clocks of different hosts
are never compared: the start is announced as a number of seconds from now.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, TypeAlias
from uuid import uuid4

import gevent  # type: ignore[import-untyped]
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, MasterRunner

from conformance.errors import UsageError
from conformance.events import Event, LeftoverEvent, NoteEvent, event_from
from conformance.protocol.session import SetUpFailedError
from load.distributed.results import ResultsCollector
from load.distributed.run_plan import Order, Plan
from load.distributed.worker import LEASE_SECONDS
from load.engine.process import PERIOD, moments

__all__ = ["Master", "RemoteResources", "Takeover"]

log = logging.getLogger(__name__)

#: How much longer than its lease a worker may be silent before it is given up, so that no two follow one share.
LEASE_MARGIN_SECONDS = 0.5
#: The time that workers have to get ready.
MAX_READY_SECONDS = 120.0
#: The heartbeats, one per second, that Locust waits for a silent worker.
MAX_MISSED_HEARTBEATS = 30
#: The time that workers have to remove what they created.
MAX_CLEAN_UP_SECONDS = 70.0
#: The time from when all workers are ready to the start of the run.
LEAD_SECONDS = 0.5
#: The largest number of workers that report four times per second; more report less often, at least once per second.
MAX_FREQUENT_REPORTERS = 20


@dataclass
class RemoteResources:
    """What a worker created on the target and did not remove, as far as it reported; a text for each object."""

    functions: list[str] = field(default_factory=list)
    made: dict[str, None] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)

    def take(self, news: Mapping[str, Any]) -> None:
        """Add a report of objects that were created and of those that are gone."""
        self.made.update(dict.fromkeys(news["made"]))
        for text in news["gone"]:
            self.made.pop(text, None)
        self.beyond = dict(news["beyond"])


#: Removes what worker `index` of `of` created, which is gone; returns events for what is left over.
Takeover: TypeAlias = Callable[[Plan, int, int, RemoteResources], list[LeftoverEvent | NoteEvent]]


@dataclass
class _WorkerState:
    """What the master knows of a worker; `number` counts from 0."""

    number: int
    client: str
    last_report_at: float
    ready: bool = False
    refused: str | None = None
    lost_at: float | None = None
    final: bool = False
    returned: bool = False
    #: What it created and could not remove; None until it has reported that.
    left: list[Event] | None = None
    #: Whether its share of the rate limit was given to the others.
    rate_redistributed: bool = False
    #: Whether the target refused a request of its set-up.
    by_target: bool = False
    orders: list[Order] = field(default_factory=list)
    resources: RemoteResources = field(default_factory=RemoteResources)

    @property
    def name(self) -> str:
        return str(self.number + 1)

    @property
    def is_working(self) -> bool:
        return self.lost_at is None and not self.final


def _check_alive(worker: _WorkerState, runner: MasterRunner) -> None:
    """Raise an error if a worker that prepares itself has failed or ended."""
    if worker.refused is not None:
        message = f"worker {worker.name}: {worker.refused}"
        raise SetUpFailedError(message) if worker.by_target else UsageError(message)
    gone = runner.clients.get(worker.client)
    if gone is None or gone.state == "missing":
        raise UsageError(f"worker {worker.name} is gone: it ended before it was ready")


class Master:
    """The master's side of a distributed run: all of its workers."""

    def __init__(self, runner: MasterRunner, takeover: Takeover | None = None) -> None:
        self.plan: Plan
        self._takeover = takeover
        self._runner = runner
        # By default Locust gives a worker up after three seconds: building templates takes longer.
        runners.HEARTBEAT_LIVENESS = max(runners.HEARTBEAT_LIVENESS, MAX_MISSED_HEARTBEATS)
        self._run = ""
        self._workers: list[_WorkerState] = []
        self._by_client: dict[str, _WorkerState] = {}
        self._collector: ResultsCollector | None = None
        self._functions: list[str] = []
        self._zero = 0.0
        self._end: float | None = None
        self._lease = LEASE_SECONDS
        runner.register_message("load-ready", self._on_ready)
        runner.register_message("load-report", self._on_report)
        runner.register_message("load-left", self._on_left)
        hook: Any = runner.environment.events.worker_connect
        hook.add_listener(lambda client_id, **more: self._on_connect(client_id))

    @property
    def now(self) -> float:
        """Seconds since the start of the run."""
        return perf_counter() - self._zero

    def prepare_for(self, plan: Plan) -> None:
        """Start a new run with the workers that are connected."""
        self.plan = plan
        self._run = uuid4().hex
        self._collector = None
        self._functions = []
        self._end = None
        states = (STATE_INIT, STATE_SPAWNING, STATE_RUNNING)
        clients = [client.id for client in self._runner.clients.all if client.state in states]
        clients.sort(key=self._runner.get_worker_index)
        self._workers = [
            _WorkerState(number, client, perf_counter()) for number, client in enumerate(clients)
        ]
        self._by_client = {worker.client: worker for worker in self._workers}

    def _send(self, worker: _WorkerState, kind: str, **data: Any) -> None:
        try:
            self._runner.send_message(kind, {"run": self._run, **data}, client_id=worker.client)
        except RPCError as error:
            log.warning("worker %s cannot be sent %s: %s", worker.name, kind, error)

    def _working(self) -> list[_WorkerState]:
        return [worker for worker in self._workers if worker.is_working]

    # --- the interface of `coordinator.Workers` -------------------------------------------------------------

    def names(self) -> list[str]:  # noqa: D102
        return [worker.name for worker in self._workers]

    def prepare(self) -> list[str]:  # noqa: D102
        of = len(self._workers)
        part = self.plan.part(of).to_json()
        period = min(1.0, PERIOD * max(1.0, of / MAX_FREQUENT_REPORTERS))
        self._lease = LEASE_SECONDS + 2 * period
        for worker in self._workers:
            place = {"index": worker.number, "of": of, "name": worker.name}
            self._send(worker, "load-prepare", plan=part, period=period, lease=self._lease, **place)
        seconds = MAX_READY_SECONDS + 4 * self.plan.slowed(self.plan.users)
        end = perf_counter() + seconds
        while not all(worker.ready for worker in self._workers):
            gevent.sleep(0.02)
            for worker in self._workers:
                _check_alive(worker, self._runner)
            if perf_counter() > end:
                late = ", ".join(worker.name for worker in self._workers if not worker.ready)
                raise UsageError(
                    f"not ready after {seconds:.0f} s, in which its users are signed in and its requests prepared: "
                    f"worker {late}"
                )
        return self._functions

    def begin(self, collector: ResultsCollector) -> float:  # noqa: D102
        self._collector = collector
        self._zero = perf_counter() + LEAD_SECONDS + self.plan.part(len(self._workers)).calm
        for worker in self._workers:
            worker.last_report_at = self._zero
            self._send(worker, "load-go", seconds=self._zero - perf_counter(), watch=collector.watched)
        return self._zero

    def order(self, order: Order) -> None:  # noqa: D102
        workers = self._working()
        for place, worker in enumerate(workers):
            self._give(worker, [order.share(place, len(workers))])

    def _give(self, worker: _WorkerState, orders: list[Order]) -> None:
        worker.orders += orders
        self._send(worker, "load-orders", orders=[order.to_json() for order in orders])

    def collect(self) -> None:  # noqa: D102
        silent = perf_counter() - self._lease - LEASE_MARGIN_SECONDS
        for worker in self._working():
            if worker.last_report_at < silent:
                self._give_up(worker, f"not heard of for {perf_counter() - worker.last_report_at:.1f} s")

    def open(self) -> int:  # noqa: D102
        assert self._collector is not None
        return sum(self._collector.process(worker.name).open for worker in self._working())

    def alive(self) -> int:  # noqa: D102
        return len(self._working())

    def stop(self, seconds: float, until: float) -> None:  # noqa: D102
        self._end = until
        for worker in self._workers:
            self._send(worker, "load-stop", seconds=seconds, until=until)
        end = perf_counter() + seconds + self._lease
        while self._working() and perf_counter() < end:
            gevent.sleep(0.02)
        for worker in self._working():
            self._give_up(worker, "its last report did not come")

    def close(self) -> list[Event]:  # noqa: D102
        self._clean_up([worker for worker in self._workers if worker.lost_at is None])
        # The others have the share of the rate limit of workers that were lost and returned: they clean up afterwards.
        if returned := [worker for worker in self._workers if worker.returned and worker.left is None]:
            gevent.sleep(self.plan.part(len(self._workers)).calm)
            self._clean_up(returned)
        left_over = [left for worker in self._workers for left in worker.left or ()]
        gone = [
            worker
            for worker in self._workers
            if worker.left is None and (worker.ready or self._missing(worker))
        ]
        return [*left_over, *self._take_over(gone)]

    def _missing(self, worker: _WorkerState) -> bool:
        client = self._runner.clients.get(worker.client)
        return client is None or client.state == "missing"

    def _take_over(self, gone: list[_WorkerState]) -> list[Event]:
        """Remove what workers that are gone created; return events for what is left over, and notes."""
        if not gone:
            return []
        of = len(self._workers)
        gevent.sleep(self.plan.part(of).calm)
        plan = self.plan
        if plan.rate_limit is not None:
            # A worker that was not given up may still send.
            there = sum(worker.lost_at is None or worker.returned for worker in gone)
            plan = replace(plan, rate_limit=plan.rate_limit * max(1, of - there) / of)
        events: list[Event] = []
        for worker in gone:
            worker.resources.functions = self._functions
            left = self._remove_for(worker, plan)
            events += left
            stays = sum(isinstance(each, LeftoverEvent) for each in left)
            made = len(worker.resources.made)
            text = (
                f"worker {worker.name} is gone: what it had made is looked for, and removed "
                f"({made:,} were known"
            )
            events.append(NoteEvent(f"{text}; left over: {stays:,})"))
        return events

    def _remove_for(self, worker: _WorkerState, plan: Plan) -> Sequence[Event]:
        why = "the worker that made it is gone"
        if self._takeover is not None:
            try:
                return self._takeover(plan, worker.number, len(self._workers), worker.resources)
            except Exception as error:  # an error of our own: what is left over is reported nevertheless
                log.exception("what worker %s made cannot be removed", worker.name)
                why = f"{why}, and removing it failed: {type(error).__name__}: {error}"
        entries = [json.loads(text) for text in worker.resources.made]
        return [LeftoverEvent(kind, str(identifier), reason=why) for kind, identifier, *_ in entries]

    def _clean_up(self, workers: list[_WorkerState]) -> None:
        """Have workers remove what they created, and wait for that; workers that are ending do so by themselves."""
        for worker in workers:
            self._send(worker, "load-close")
        end = perf_counter() + MAX_CLEAN_UP_SECONDS + 2 * self.plan.slowed(self.plan.users)
        waited = [worker for worker in workers if worker.ready]
        waited += [
            worker
            for worker in self._workers
            if worker.lost_at is not None and worker.final and not self._missing(worker)
        ]
        while perf_counter() < end and any(worker.left is None for worker in waited):
            gevent.sleep(0.02)

    # --- messages of workers --------------------------------------------------------------------------------

    def _known(self, msg: Message) -> _WorkerState | None:
        return self._by_client.get(msg.node_id) if msg.data["run"] == self._run else None

    def _on_ready(self, environment: Environment, msg: Message) -> None:
        if (worker := self._known(msg)) is not None:
            worker.refused, worker.by_target = msg.data["refused"], msg.data["by_target"]
            worker.ready = worker.refused is None
            self._functions = self._functions or list(msg.data["functions"])
            if worker.ready and list(msg.data["functions"]) != self._functions:
                worker.refused = (
                    "it has other functions than the first worker: give all the same catalogue and profile"
                )

    def _on_left(self, environment: Environment, msg: Message) -> None:
        if (worker := self._known(msg)) is not None:
            worker.left = [event for each in msg.data["left"] if (event := event_from(each)) is not None]
            if worker.lost_at is not None:
                self._redistribute_rate(worker)

    def _on_report(self, environment: Environment, msg: Message) -> None:
        worker, collector = self._known(msg), self._collector
        if worker is None or collector is None:
            return
        reports = msg.data["reports"]
        worker.last_report_at = perf_counter()
        if worker.lost_at is not None and not worker.returned:
            worker.returned = True
            text = f"worker {worker.name} is heard again: what it reports counts, but it gets no more to do"
            collector.mark(self.now, "worker back", text)
        final = False
        for report in reports:
            if collector.take(worker.name, report, self.now) and report["news"] is not None:
                worker.resources.take(report["news"])
            final = final or report["final"]
        self._send(
            worker,
            "load-ack",
            numbers=[report["number"] for report in reports],
            stamp=max(report["at"] for report in reports),
            revoked=worker.lost_at is not None,
        )
        if worker.lost_at is not None:
            collector.lose(worker.name, self._unreported(worker, worker.lost_at))
        elif final:
            if self._end is None:
                # It has reported everything: the others continue exactly where it stopped.
                self._give_up(worker, "it was ended", collector.process(worker.name).reach)
            worker.final = True

    def _on_connect(self, client: str) -> None:
        if self._collector is not None and self._end is None and client not in self._by_client:
            text = "a worker came after the beginning: it gets nothing to do in this run"
            self._collector.mark(self.now, "worker late", text)

    # --- a worker that is gone ------------------------------------------------------------------------------

    def _unreported(self, worker: _WorkerState, until: float) -> int:
        """Return the number of arrivals of a worker that were due until a moment and never reported."""
        assert self._collector is not None
        process = self._collector.process(worker.name)
        bound = until if self._end is None else min(until, self._end)
        number = process.open
        for order in worker.orders:
            left = replace(order, since=max(order.since, process.reach), until=min(order.until, bound))
            if left.since < left.until:
                number += sum(1 for _ in moments(left))
        return number

    def _give_up(self, worker: _WorkerState, why: str, since: float | None = None) -> None:
        """Give a worker up: count its unreported arrivals, and have the others follow its share from `since` or now."""
        collector = self._collector
        assert collector is not None
        now = self.now if since is None else since
        worker.lost_at = now
        number = self._unreported(worker, now)
        collector.lose(worker.name, number)
        others = self._working()
        text = f"worker {worker.name} is gone ({why})"
        if self.plan.open:
            text += f": arrivals that nobody accounts for: {number:,}"
        left = [replace(order, since=max(order.since, now)) for order in worker.orders if order.until > now]
        if others and left and self._end is None:
            text += f"; its share goes to the {len(others)} that are left"
            part = self.plan.part(len(others))
            for place, other in enumerate(others):
                self._send(
                    other, "load-limits", connections=part.connections, waiting=part.waiting, rate_limit=None
                )
                self._give(other, [order.share(place, len(others)) for order in left])
        if since is None:  # otherwise it is still there, and removes what it created
            self._redistribute_rate(worker)
        collector.mark(now, "worker lost", text)

    def _redistribute_rate(self, worker: _WorkerState) -> None:
        """Give a worker's share of the rate limit to the others, once nothing that it sent counts towards it."""
        if self.plan.rate_limit is None or worker.rate_redistributed or self._end is not None:
            return
        run = self._run
        calm = self.plan.part(len(self._workers)).calm

        def share() -> None:
            if run != self._run or self._end is not None:
                return
            worker.rate_redistributed = True
            rate = self.plan.part(sum(not each.rate_redistributed for each in self._workers)).rate_limit
            part = self.plan.part(max(1, len(self._working())))
            for other in self._working():
                limits = {"connections": part.connections, "waiting": part.waiting, "rate_limit": rate}
                self._send(other, "load-limits", **limits)

        gevent.spawn_later(calm + LEASE_MARGIN_SECONDS, share)
