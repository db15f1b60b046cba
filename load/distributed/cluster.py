"""Several processes: a master that leads the run, and workers that send, over Locust's own messages.

The master splits the schedule exactly. Every worker reports a few times a second, and sends a report again until it
is acknowledged, so that none is lost or counted twice when a connection breaks. An acknowledgement is a lease: a
worker that has none for a while stands still, and one that has not been heard of for a little longer than that is
given up. From then on the others follow its share, and what it had not accounted for counts as dropped. When it comes
back, what it reports late is taken in, but it gets nothing more to do. Moments are seconds since the run's beginning;
clocks of different hosts are never compared: the beginning is told as «in so many seconds».
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, TypeAlias
from uuid import uuid4

import gevent  # type: ignore[import-untyped]
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from conformance.errors import UsageError
from conformance.protocol.session import SetUpFailedError
from load.distributed.results import ResultsCollector
from load.distributed.run_plan import Order, Plan
from load.engine.process import PERIOD, Generator, WorkerResources, moments

__all__ = ["Remote", "Resources", "Takeover", "Worker"]

log = logging.getLogger(__name__)

#: How long, in seconds, a worker goes on without a word from the master, beside the time of two reports.
LEASE = 1.0
#: How much longer it is until a worker is given up of which nothing is heard, lest two follow one share.
MARGIN = 0.5
#: How long workers may take to get ready, in seconds.
READY = 120.0
#: How many of its seconds Locust waits for a worker that says nothing.
PATIENCE = 30
#: How long workers may take, in seconds, to remove what they made.
TIDY = 70.0
#: How long it is, in seconds, from when all are ready to the run's beginning.
LEAD = 0.5
#: Workers that report four times a second; if there are more, each reports less often, down to once a second.
_OFTEN = 20


@dataclass
class Resources:
    """What a worker has made on the target and not removed, as far as it told; a text for each object."""

    functions: list[str] = field(default_factory=list)
    made: dict[str, None] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)

    def take(self, news: Mapping[str, Any]) -> None:
        """Take in what was made since, and what is gone."""
        self.made.update(dict.fromkeys(news["made"]))
        for text in news["gone"]:
            self.made.pop(text, None)
        self.beyond = dict(news["beyond"])


#: Removes what worker `index` of `of` made that is gone, and returns what is left over, as events.
Takeover: TypeAlias = Callable[[Plan, int, int, Resources], list[dict[str, Any]]]


@dataclass
class _TemplateSet:
    """A worker, as the master sees it; `number` counts from 0."""

    number: int
    client: str
    heard: float
    ready: bool = False
    refused: str | None = None
    lost_at: float | None = None
    final: bool = False
    back: bool = False
    #: What it made and could not remove; None until it has told.
    left: list[dict[str, Any]] | None = None
    #: Its share of the ceiling was given to the others.
    shared_out: bool = False
    #: Whether it is the target that refused what it had to prepare.
    by_target: bool = False
    orders: list[Order] = field(default_factory=list)
    resources: Resources = field(default_factory=Resources)

    @property
    def name(self) -> str:
        return str(self.number + 1)

    @property
    def works(self) -> bool:
        return self.lost_at is None and not self.final


class Remote:
    """The workers of a master."""

    def __init__(self, runner: MasterRunner, takeover: Takeover | None = None) -> None:
        self.plan: Plan
        self._takeover = takeover
        self._runner = runner
        # Locust would give a worker up after three seconds in which it draws its requests; a run has leases of its own.
        runners.HEARTBEAT_LIVENESS = max(runners.HEARTBEAT_LIVENESS, PATIENCE)
        self._run = ""
        self._template_sets: list[_TemplateSet] = []
        self._by_client: dict[str, _TemplateSet] = {}
        self._collector: ResultsCollector | None = None
        self._functions: list[str] = []
        self._zero = 0.0
        self._end: float | None = None
        self._lease = LEASE
        runner.register_message("load-ready", self._on_ready)
        runner.register_message("load-report", self._on_report)
        runner.register_message("load-left", self._on_left)
        hook: Any = runner.environment.events.worker_connect
        hook.add_listener(lambda client_id, **more: self._on_connect(client_id))

    @property
    def now(self) -> float:
        """Seconds since the run's beginning."""
        return perf_counter() - self._zero

    def prepare_for(self, plan: Plan) -> None:
        """Take the workers that are there for a new run."""
        self.plan = plan
        self._run = uuid4().hex
        self._collector = None
        self._functions = []
        self._end = None
        states = (STATE_INIT, STATE_SPAWNING, STATE_RUNNING)
        clients = [client.id for client in self._runner.clients.all if client.state in states]
        clients.sort(key=self._runner.get_worker_index)
        self._template_sets = [
            _TemplateSet(number, client, perf_counter()) for number, client in enumerate(clients)
        ]
        self._by_client = {template_set.client: template_set for template_set in self._template_sets}

    def _send(self, template_set: _TemplateSet, kind: str, **data: Any) -> None:
        try:
            self._runner.send_message(kind, {"run": self._run, **data}, client_id=template_set.client)
        except RPCError as error:
            log.warning("worker %s cannot be told (%s): %s", template_set.name, kind, error)

    def _working(self) -> list[_TemplateSet]:
        return [template_set for template_set in self._template_sets if template_set.works]

    # --- as a run's hands -----------------------------------------------------------------------------------

    def names(self) -> list[str]:  # noqa: D102
        return [template_set.name for template_set in self._template_sets]

    def prepare(self) -> list[str]:  # noqa: D102
        of = len(self._template_sets)
        part = self.plan.part(of).to_json()
        period = min(1.0, PERIOD * max(1.0, of / _OFTEN))
        self._lease = LEASE + 2 * period
        for template_set in self._template_sets:
            place = {"index": template_set.number, "of": of, "name": template_set.name}
            self._send(template_set, "load-prepare", plan=part, period=period, lease=self._lease, **place)
        seconds = READY + 4 * self.plan.slowed(self.plan.users)
        end = perf_counter() + seconds
        while not all(template_set.ready for template_set in self._template_sets):
            gevent.sleep(0.02)
            for template_set in self._template_sets:
                if template_set.refused is not None:
                    told = f"worker {template_set.name}: {template_set.refused}"
                    raise SetUpFailedError(told) if template_set.by_target else UsageError(told)
                gone = self._runner.clients.get(template_set.client)
                if gone is None or gone.state == "missing":
                    raise UsageError(f"worker {template_set.name} is gone: it ended before it was ready")
            if perf_counter() > end:
                late = ", ".join(
                    template_set.name for template_set in self._template_sets if not template_set.ready
                )
                raise UsageError(
                    f"not ready after {seconds:.0f} s, in which its users are signed in and its requests prepared: "
                    f"worker {late}"
                )
        return self._functions

    def begin(self, collector: ResultsCollector) -> float:  # noqa: D102
        self._collector = collector
        self._zero = perf_counter() + LEAD + self.plan.part(len(self._template_sets)).calm
        for template_set in self._template_sets:
            template_set.heard = self._zero
            self._send(template_set, "load-go", seconds=self._zero - perf_counter(), watch=collector.watched)
        return self._zero

    def order(self, order: Order) -> None:  # noqa: D102
        template_sets = self._working()
        for place, template_set in enumerate(template_sets):
            self._give(template_set, [order.share(place, len(template_sets))])

    def _give(self, template_set: _TemplateSet, orders: list[Order]) -> None:
        template_set.orders += orders
        self._send(template_set, "load-orders", orders=[order.to_json() for order in orders])

    def collect(self) -> None:  # noqa: D102
        silent = perf_counter() - self._lease - MARGIN
        for template_set in self._working():
            if template_set.heard < silent:
                self._lose(template_set, f"not heard of for {perf_counter() - template_set.heard:.1f} s")

    def open(self) -> int:  # noqa: D102
        assert self._collector is not None
        return sum(self._collector.virtual_user(template_set.name).open for template_set in self._working())

    def alive(self) -> int:  # noqa: D102
        return len(self._working())

    def stop(self, seconds: float, until: float) -> None:  # noqa: D102
        self._end = until
        for template_set in self._template_sets:
            self._send(template_set, "load-stop", seconds=seconds, until=until)
        end = perf_counter() + seconds + self._lease
        while self._working() and perf_counter() < end:
            gevent.sleep(0.02)
        for template_set in self._working():
            self._lose(template_set, "its last report did not come")

    def close(self) -> list[dict[str, Any]]:  # noqa: D102
        self._tidy([template_set for template_set in self._template_sets if template_set.lost_at is None])
        # The others had the share of the ceiling of those that were lost and have come back: one after the other.
        if back := [
            template_set
            for template_set in self._template_sets
            if template_set.back and template_set.left is None
        ]:
            gevent.sleep(self.plan.part(len(self._template_sets)).calm)
            self._tidy(back)
        told = [left for template_set in self._template_sets for left in template_set.left or ()]
        gone = [
            template_set
            for template_set in self._template_sets
            if template_set.left is None and (template_set.ready or self._missing(template_set))
        ]
        return [*told, *self._inherit(gone)]

    def _missing(self, template_set: _TemplateSet) -> bool:
        client = self._runner.clients.get(template_set.client)
        return client is None or client.state == "missing"

    def _inherit(self, gone: list[_TemplateSet]) -> list[dict[str, Any]]:
        """Remove what workers made that are gone; return what is left over, and what else there is to say."""
        if not gone:
            return []
        of = len(self._template_sets)
        gevent.sleep(self.plan.part(of).calm)
        plan = self.plan
        if plan.rate_limit is not None:
            # Whoever was not given up may still be about to send.
            there = sum(template_set.lost_at is None or template_set.back for template_set in gone)
            plan = replace(plan, rate_limit=plan.rate_limit * max(1, of - there) / of)
        told: list[dict[str, Any]] = []
        for template_set in gone:
            template_set.resources.functions = self._functions
            left = self._left_by(template_set, plan)
            told += left
            stays = sum(each["event"] == "leftover" for each in left)
            made = len(template_set.resources.made)
            text = (
                f"worker {template_set.name} is gone: what it had made is looked for, and removed "
                f"({made:,} were known"
            )
            told.append({"event": "note", "message": f"{text}; left over: {stays:,})"})
        return told

    def _left_by(self, template_set: _TemplateSet, plan: Plan) -> list[dict[str, Any]]:
        why = "the worker that made it is gone"
        if self._takeover is not None:
            try:
                return self._takeover(
                    plan, template_set.number, len(self._template_sets), template_set.resources
                )
            except Exception as error:  # a crash of ours: what is left is told all the same
                log.exception("what worker %s made cannot be removed", template_set.name)
                why = f"{why}, and removing it failed: {type(error).__name__}: {error}"
        entries = [json.loads(text) for text in template_set.resources.made]
        return [_leftover(kind, identifier, why) for kind, identifier, *_ in entries]

    def _tidy(self, template_sets: list[_TemplateSet]) -> None:
        """Have workers remove what they made, and wait until they have; those that are ending do so by themselves."""
        for template_set in template_sets:
            self._send(template_set, "load-close")
        end = perf_counter() + TIDY + 2 * self.plan.slowed(self.plan.users)
        waited = [template_set for template_set in template_sets if template_set.ready]
        waited += [
            template_set
            for template_set in self._template_sets
            if template_set.lost_at is not None and template_set.final and not self._missing(template_set)
        ]
        while perf_counter() < end and any(template_set.left is None for template_set in waited):
            gevent.sleep(0.02)

    # --- what workers say -----------------------------------------------------------------------------------

    def _known(self, msg: Message) -> _TemplateSet | None:
        return self._by_client.get(msg.node_id) if msg.data["run"] == self._run else None

    def _on_ready(self, environment: Environment, msg: Message) -> None:
        if (template_set := self._known(msg)) is not None:
            template_set.refused, template_set.by_target = msg.data["refused"], msg.data["by_target"]
            template_set.ready = template_set.refused is None
            self._functions = self._functions or list(msg.data["functions"])
            if template_set.ready and list(msg.data["functions"]) != self._functions:
                template_set.refused = (
                    "it has other functions than the first worker: give all the same catalogue and profile"
                )

    def _on_left(self, environment: Environment, msg: Message) -> None:
        if (template_set := self._known(msg)) is not None:
            template_set.left = list(msg.data["left"])
            if template_set.lost_at is not None:
                self._share_out(template_set)

    def _on_report(self, environment: Environment, msg: Message) -> None:
        template_set, collector = self._known(msg), self._collector
        if template_set is None or collector is None:
            return
        reports = msg.data["reports"]
        template_set.heard = perf_counter()
        if template_set.lost_at is not None and not template_set.back:
            template_set.back = True
            text = f"worker {template_set.name} is heard again: what it reports counts, but it gets no more to do"
            collector.mark(self.now, "worker back", text)
        final = False
        for report in reports:
            if collector.take(template_set.name, report, self.now) and report["news"] is not None:
                template_set.resources.take(report["news"])
            final = final or report["final"]
        self._send(
            template_set,
            "load-ack",
            numbers=[report["number"] for report in reports],
            stamp=max(report["at"] for report in reports),
            revoked=template_set.lost_at is not None,
        )
        if template_set.lost_at is not None:
            collector.lose(template_set.name, self._unaccounted(template_set, template_set.lost_at))
        elif final:
            if self._end is None:
                # All it has to say is said: the others take over just where it stopped.
                self._lose(template_set, "it was ended", collector.virtual_user(template_set.name).reach)
            template_set.final = True

    def _on_connect(self, client: str) -> None:
        if self._collector is not None and self._end is None and client not in self._by_client:
            text = "a worker came after the beginning: it gets nothing to do in this run"
            self._collector.mark(self.now, "worker late", text)

    # --- a worker that is gone ------------------------------------------------------------------------------

    def _unaccounted(self, template_set: _TemplateSet, until: float) -> int:
        """Return how many arrivals of a worker nobody accounts for, of those due until a moment."""
        assert self._collector is not None
        virtual_user = self._collector.virtual_user(template_set.name)
        bound = until if self._end is None else min(until, self._end)
        number = virtual_user.open
        for order in template_set.orders:
            left = replace(order, since=max(order.since, virtual_user.reach), until=min(order.until, bound))
            if left.since < left.until:
                number += sum(1 for _ in moments(left))
        return number

    def _lose(self, template_set: _TemplateSet, why: str, since: float | None = None) -> None:
        """Count what a worker leaves behind, and have the others follow its share, from now on if not since earlier."""
        collector = self._collector
        assert collector is not None
        now = self.now if since is None else since
        template_set.lost_at = now
        number = self._unaccounted(template_set, now)
        collector.lose(template_set.name, number)
        others = self._working()
        text = f"worker {template_set.name} is gone ({why})"
        if self.plan.open:
            text += f": arrivals that nobody accounts for: {number:,}"
        left = [
            replace(order, since=max(order.since, now)) for order in template_set.orders if order.until > now
        ]
        if others and left and self._end is None:
            text += f"; its share goes to the {len(others)} that are left"
            part = self.plan.part(len(others))
            for place, other in enumerate(others):
                self._send(
                    other, "load-limits", connections=part.connections, waiting=part.waiting, rate_limit=None
                )
                self._give(other, [order.share(place, len(others)) for order in left])
        if since is None:  # else it is still there, and removes what it made
            self._share_out(template_set)
        collector.mark(now, "worker lost", text)

    def _share_out(self, template_set: _TemplateSet) -> None:
        """Give a worker's share of the ceiling to the others, once nothing that it sent counts any more."""
        if self.plan.rate_limit is None or template_set.shared_out or self._end is not None:
            return
        run = self._run
        calm = self.plan.part(len(self._template_sets)).calm

        def share() -> None:
            if run != self._run or self._end is not None:
                return
            template_set.shared_out = True
            rate = self.plan.part(sum(not each.shared_out for each in self._template_sets)).rate_limit
            part = self.plan.part(max(1, len(self._working())))
            for other in self._working():
                limits = {"connections": part.connections, "waiting": part.waiting, "rate_limit": rate}
                self._send(other, "load-limits", **limits)

        gevent.spawn_later(calm + MARGIN, share)


def _leftover(kind: str, identifier: Any, reason: str) -> dict[str, Any]:
    return {"event": "leftover", "kind": kind, "id": str(identifier), "function": None, "reason": reason}


class Worker:
    """A worker's side: it does what the master says, and reports."""

    def __init__(
        self,
        runner: WorkerRunner,
        worker_resources: Callable[[Plan, int, int], WorkerResources],
        made: Callable[[Generator | None], None],
    ) -> None:
        self.generator: Generator | None = None
        self._runner = runner
        self._worker_resources = worker_resources
        self._made = made
        self._run = ""
        self._period = PERIOD
        self._lease = LEASE
        self._unread: dict[int, dict[str, Any]] = {}
        self._reporter: Any = None
        self._finished = True
        runner.register_message("load-prepare", self._on_prepare, concurrent=True)
        runner.register_message("load-go", self._on_go)
        runner.register_message("load-orders", self._on_orders)
        runner.register_message("load-limits", self._on_limits)
        runner.register_message("load-ack", self._on_ack)
        runner.register_message("load-stop", self._on_stop, concurrent=True)
        runner.register_message("load-close", self._on_close, concurrent=True)

    def _mine(self, msg: Message) -> Generator | None:
        return self.generator if msg.data["run"] == self._run else None

    def _on_prepare(self, environment: Environment, msg: Message) -> None:
        self._close()
        data = msg.data
        self._run, self._period, self._lease = data["run"], data["period"], data["lease"]
        self._unread = {}
        self._finished = False
        self._made(None)
        functions: list[str] = []
        refused: str | None = None
        by_target = False
        try:
            plan = Plan.from_json(data["plan"])
            worker_resources = self._worker_resources(plan, data["index"], data["of"])
            self.generator = Generator(plan, worker_resources, data["name"], lambda: self._runner.user_count)
            worker_resources.prepare()
            functions = list(worker_resources.functions)
        except SetUpFailedError as error:
            refused, by_target = error.reason, True
        except Exception as error:  # whatever it is, the master has to know
            refused = str(error) or type(error).__name__
        told = {"functions": functions, "refused": refused, "by_target": by_target}
        self._runner.send_message("load-ready", {"run": self._run, **told})

    def _on_go(self, environment: Environment, msg: Message) -> None:
        if (generator := self._mine(msg)) is None:
            return
        generator.start(perf_counter() + msg.data["seconds"], lease=self._lease, watch=msg.data["watch"])
        generator.may_send(self._lease)
        self._made(generator)
        self._reporter = gevent.spawn(self._report_on, generator)

    def _on_orders(self, environment: Environment, msg: Message) -> None:
        if (generator := self._mine(msg)) is not None and not generator.closing:
            generator.follow([Order.from_json(order) for order in msg.data["orders"]])

    def _on_limits(self, environment: Environment, msg: Message) -> None:
        if (generator := self._mine(msg)) is not None:
            generator.limit(msg.data["connections"], msg.data["waiting"], msg.data["rate_limit"])

    def _on_ack(self, environment: Environment, msg: Message) -> None:
        if (generator := self._mine(msg)) is None:
            return
        for number in msg.data["numbers"]:
            self._unread.pop(number, None)
        if msg.data["revoked"]:
            generator.revoke()
            return
        generator.may_send(msg.data["stamp"] + self._lease)
        if generator.clock is not None:
            generator.clock.extend(msg.data["stamp"] + self._lease)

    def _report_on(self, generator: Generator) -> None:
        while not self._finished:
            self._report(generator)
            gevent.sleep(self._period)

    def _report(self, generator: Generator, *, final: bool = False) -> None:
        report = generator.report(final=final)
        self._unread[report["number"]] = report
        self._tell()

    def _tell(self) -> None:
        try:
            self._runner.send_message(
                "load-report", {"run": self._run, "reports": list(self._unread.values())}
            )
        except RPCError as error:
            log.warning("the master cannot be told, and will be again: %s", error)

    def _on_stop(self, environment: Environment, msg: Message) -> None:
        if self._mine(msg) is not None:
            self.finish(msg.data["seconds"], msg.data["until"])

    def leave(self) -> None:
        """Remove what was made, and tell what is left over: this process is about to end."""
        if self.generator is not None:
            self._told_left(self._run, self._close())

    def _told_left(self, run: str, left: list[dict[str, Any]]) -> None:
        with contextlib.suppress(RPCError):
            self._runner.send_message("load-left", {"run": run, "left": left})

    def finish(self, seconds: float, until: float = -math.inf) -> None:
        """Take up nothing more, wait for what has begun, and send the last report."""
        generator = self.generator
        if generator is None or self._finished or not generator.begun.is_set():
            return
        generator.stop(seconds, until)
        if not self._finished:
            self._finished = True
            self._report(generator, final=True)
            # The master may be out of reach for a moment; it waits about as long.
            for _ in range(int(self._lease / PERIOD)):
                gevent.sleep(PERIOD)
                if not self._unread:
                    break
                self._tell()

    def _on_close(self, environment: Environment, msg: Message) -> None:
        if self._mine(msg) is not None:
            self._told_left(msg.data["run"], self._close())

    def _close(self) -> list[dict[str, Any]]:
        self._finished = True
        self._made(None)
        generator, self.generator = self.generator, None
        return [] if generator is None else [dict(left) for left in generator.close()]
