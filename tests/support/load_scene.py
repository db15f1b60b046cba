"""A locustfile for the tests of the load's engine: a plan from the environment, calls without a catalogue."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from locust import events, task

from load.distributed.run_plan import Plan
from load.engine.process import WorkerResources
from load.http.endpoint import Endpoint
from load.http.pool import Pool
from load.locust_plugin import hooks as engine
from load.locust_plugin.users import Idle, LoadUser
from load.schedule import parsing
from load.workload.virtual_users import Mark

PLAN: dict[str, Any] = json.loads(os.environ["SCENE_PLAN"])
URL = os.environ["SCENE_URL"]
FUNCTIONS = ("course.find", "course.read")


@dataclass(frozen=True)
class Outcome:
    """What a code stands for."""

    error: str | None = None
    rules: tuple[str, ...] = ()


@dataclass(eq=False)
class Call:
    """A call of the scene."""

    function: str
    index: int
    raw: bytes
    virtual_user: Any = None
    expects: frozenset[int] | None = None
    learn: Callable[[Any, Any], None] | None = None
    counted: bool = True


def made(index: int, virtual_user: Any = None) -> Call:
    body = b'{"method":"%s","data":{}}' % FUNCTIONS[index].partition(".")[2].encode()
    head = b"POST /%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (index, len(body))
    return Call(FUNCTIONS[index], index, head + body, virtual_user)


class Source:
    """Three of four calls are of the first function."""

    def __init__(self) -> None:
        self.functions = list(FUNCTIONS)
        self.marks: list[Mark] = []
        self._number = 0
        virtual_user = object() if PLAN.get("member") else None
        self.calls = [
            made(0, virtual_user),
            made(0, virtual_user),
            made(0, virtual_user),
            made(1, virtual_user),
        ]

    def next(self) -> Call:
        self._number += 1
        return self.calls[self._number % 4]

    def refused(self, call: Any, settle: Callable[[bool], None]) -> None:
        if PLAN.get("marked"):
            self.marks.append(Mark(perf_counter(), "reset", "all was gone"))
        settle(True)


class AnswerValidator:
    """A success is 200."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = [Outcome()]
        self._codes: dict[str, int] = {}
        self.judged = 0

    def judge(self, call: Any, reply: Any) -> int:
        self.judged += 1
        if reply.failure is None and reply.status == 200:
            return 0
        error = reply.failure or f"status {reply.status}"
        if error not in self._codes:
            self._codes[error] = len(self.outcomes)
            self.outcomes.append(Outcome(error))
        return self._codes[error]

    def reported(self) -> dict[str, Any]:
        return {"rules": {"ENV-1": [self.judged, 0]}, "schema": [0, self.judged]}


def plan() -> Plan:
    given = {
        name: value for name, value in PLAN.items() if name not in ("schedule", "search", "member", "marked")
    }
    for name in ("slos", "aborts"):
        if name in given:
            given[name] = tuple(given[name])
    return Plan(
        "scene",
        schedule=parsing.parse(PLAN["schedule"]) if "schedule" in PLAN else None,
        search=parsing.parse_search(PLAN["search"]) if "search" in PLAN else None,
        **given,
    )


def worker_resources(plan: Plan, index: int, of: int) -> WorkerResources:
    source, judge = Source(), AnswerValidator()
    pool = Pool(Endpoint.of(URL), plan.connections)
    return WorkerResources(FUNCTIONS, pool, judge, source, results=judge.reported, marks=source.marks)


@events.init.add_listener  # type: ignore[untyped-decorator]
def installed(environment: Any, **more: Any) -> None:
    engine.install(environment, plan, worker_resources)


if PLAN.get("tasks") or ("schedule" not in PLAN and "search" not in PLAN):

    class Visitor(LoadUser):
        """Finds, then reads."""

        def wait_time(self) -> float:
            return float(os.environ.get("SCENE_THINK", "0.2"))

        @task
        def visit(self) -> None:
            self.submit(made(0))
            self.submit(made(1))

else:

    class Nobody(Idle):
        """Is there, since Locust wants someone to be."""
