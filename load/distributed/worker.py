"""A worker of a distributed run: it sends what the master orders, and reports (see `load.distributed.master`)."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import gevent  # type: ignore[import-untyped]
import msgspec
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message
from locust.runners import WorkerRunner

from conformance.events import Event
from conformance.protocol.session import SetUpFailedError
from load.distributed.run_plan import Order, Plan
from load.engine.process import PERIOD, Generator, WorkerResources

__all__ = ["LEASE_SECONDS", "Worker"]

log = logging.getLogger(__name__)

#: How long a worker sends without a message of the master, in addition to the time of two reports.
LEASE_SECONDS = 1.0


class Worker:
    """The worker's side of a distributed run."""

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
        self._lease = LEASE_SECONDS
        self._unacknowledged: dict[int, dict[str, Any]] = {}
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
        self._unacknowledged = {}
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
        except Exception as error:  # whatever it is, it is reported to the master
            refused = str(error) or type(error).__name__
        answer = {"functions": functions, "refused": refused, "by_target": by_target}
        self._runner.send_message("load-ready", {"run": self._run, **answer})

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
            self._unacknowledged.pop(number, None)
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
        self._unacknowledged[report["number"]] = report
        self._send_reports()

    def _send_reports(self) -> None:
        try:
            self._runner.send_message(
                "load-report", {"run": self._run, "reports": list(self._unacknowledged.values())}
            )
        except RPCError as error:
            log.warning("the reports cannot be sent, and will be again: %s", error)

    def _on_stop(self, environment: Environment, msg: Message) -> None:
        if self._mine(msg) is not None:
            self.finish(msg.data["seconds"], msg.data["until"])

    def leave(self) -> None:
        """Remove what was created, and report what is left over: this process is about to end."""
        if self.generator is not None:
            self._report_left(self._run, self._close())

    def _report_left(self, run: str, left: Sequence[Event]) -> None:
        with contextlib.suppress(RPCError):
            self._runner.send_message("load-left", {"run": run, "left": msgspec.to_builtins(left)})

    def finish(self, seconds: float, until: float = -math.inf) -> None:
        """Begin nothing more, wait for what is under way, and send the last report."""
        generator = self.generator
        if generator is None or self._finished or not generator.begun.is_set():
            return
        generator.stop(seconds, until)
        if not self._finished:
            self._finished = True
            self._report(generator, final=True)
            # The master may be unreachable for a moment; it waits about as long.
            for _ in range(int(self._lease / PERIOD)):
                gevent.sleep(PERIOD)
                if not self._unacknowledged:
                    break
                self._send_reports()

    def _on_close(self, environment: Environment, msg: Message) -> None:
        if self._mine(msg) is not None:
            self._report_left(msg.data["run"], self._close())

    def _close(self) -> Sequence[Event]:
        self._finished = True
        self._made(None)
        generator, self.generator = self.generator, None
        return () if generator is None else generator.close()
