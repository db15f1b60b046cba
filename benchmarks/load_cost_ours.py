"""The locustfile that `benchmarks.load_cost` has `conform load` open: the real one, and a clock beside it.

Nothing else about the load differs. Once it has settled, the processor time of the sending process and the requests in
Locust's statistics are read, and read again some seconds later. The difference is the steady state.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
import psutil  # type: ignore[import-untyped]
from locust import events

from load.engine.process import PERIOD, Generator
from load.locust_plugin.hooks import engine_of
from load.locustfile import Mix  # noqa: F401  # importing it hangs the load on Locust's events; Locust wants a user

#: The seconds that a load takes to settle: its connections are open then, and its answers known.
SETTLING = 1.5


def _read(environment: Any, generator: Generator) -> dict[str, float]:
    mine, whole = psutil.Process().cpu_times(), psutil.Process(os.getppid()).cpu_times()
    return {
        # What is not folded yet was sent and answered all the same.
        "requests": environment.stats.total.num_requests + len(generator.aggregator.rows),
        "wrong": environment.stats.total.num_failures,
        "cpu": mine.user + mine.system,
        "kernel": mine.system,
        "command": whole.user + whole.system,
        "at": generator.now,
    }


def _measure(environment: Any) -> None:
    generator = engine_of(environment).generator()
    gevent.sleep(max(0.0, SETTLING - generator.now))
    before = _read(environment, generator)
    # As many foldings as belong to that time.
    gevent.sleep(max(1, round(float(os.environ["COST_SECONDS"]) / PERIOD)) * PERIOD)
    after = _read(environment, generator)
    found = {name: after[name] - before[name] for name in before}
    found["late"] = generator.aggregator.sum.lag.percentile(99) / 1000
    Path(os.environ["COST_OUT"]).write_text(json.dumps(found), "utf-8")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _watched(environment: Any, **more: Any) -> None:
    gevent.spawn(_measure, environment)
