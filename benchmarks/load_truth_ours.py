"""The locustfile of `benchmarks.load_truth` for ours: the load's engine with one call, at a constant rate."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from locust import events

from load.distributed.run_plan import Plan
from load.engine.process import WorkerResources
from load.http.endpoint import Endpoint
from load.http.pool import Pool
from load.locust_plugin import hooks as engine
from load.locust_plugin.users import Idle
from load.schedule import parsing

URL = os.environ["TRUTH_URL"]
FUNCTION = "course.find"
BODY = b'{"method":"find","data":{}}'


@dataclass(frozen=True)
class Outcome:
    """What a code stands for."""

    error: str | None = None
    rules: tuple[str, ...] = ()


@dataclass(eq=False)
class Call:
    """The one call."""

    raw: bytes
    function: str = FUNCTION
    index: int = 0
    virtual_user: Any = None
    expects: frozenset[int] | None = None
    learn: Callable[[Any, Any], None] | None = None
    counted: bool = True


class Source:
    """Gives the same call again and again."""

    functions = (FUNCTION,)

    def __init__(self) -> None:
        parts = urlsplit(URL)
        head = (
            f"POST {parts.path}course HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        self._call = Call(head.encode() + BODY)

    def next(self) -> Call:
        """Return the call."""
        return self._call

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None:
        """Take a 401 for an error: there are no sessions here."""
        settle(False)


class AnswerValidator:
    """Takes 200 for a success, and all else for a failure."""

    def __init__(self) -> None:
        self.outcomes = [Outcome()]

    def judge(self, call: Any, reply: Any) -> int:
        """Return the code of an answer."""
        if reply.failure is None and reply.status == 200:
            return 0
        outcome = Outcome(reply.failure or f"status {reply.status}")
        if outcome not in self.outcomes:
            self.outcomes.append(outcome)
        return self.outcomes.index(outcome)


def _plan() -> Plan:
    return Plan("truth", schedule=parsing.parse(os.environ["TRUTH_SCHEDULE"]))


def _worker_resources(plan: Plan, index: int, of: int) -> WorkerResources:
    return WorkerResources((FUNCTION,), Pool(Endpoint.of(URL), plan.connections), AnswerValidator(), Source())


@events.init.add_listener  # type: ignore[untyped-decorator]
def _installed(environment: Any, **more: Any) -> None:
    engine.install(environment, _plan, _worker_resources, events=os.environ["TRUTH_OUT"])


class Nobody(Idle):
    """Is there, since Locust wants someone to be."""
