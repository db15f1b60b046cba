"""Measure what a load of many hours needs: memory while it runs, and the size of what it writes.

    python -m benchmarks.load_soak [--hours 10] [--rate 200] [--functions 8] [--seed 7]

The seconds are simulated. Rows of random latencies go through the classes that a load uses: the aggregator of a worker,
JSON to the collector of the master beside Locust's own statistics, the log, and its report. Nothing waits, so ten hours
take a few minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from locust.stats import RequestStats

from conformance.events import EndEvent, RunEvent, TargetRecord
from load.distributed.results import Events, ResultsCollector
from load.distributed.run_plan import Order, Plan
from load.metrics import locust_stats as aggregate
from load.metrics.aggregation import Aggregator, table_of
from load.metrics.health import Vitals
from load.schedule import parsing
from reports.model import event_log, files


class _Clock:
    """Stands for `time` where Locust's statistics are fed."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


def soak(
    folder: Path, hours: float, rate: int, functions: int, seed: int
) -> list[tuple[float, float, float]]:
    """Simulate a load; return (hour, MB of memory, MB of log) along the way."""
    dice = np.random.default_rng(seed)
    seconds = round(hours * 3600)
    names = [f"entity{number}.find" for number in range(functions)]
    plan = Plan(
        "steady", parsing.parse(f"{rate}/s for {seconds}s"), warmup=5.0, slos=("p95 < 300ms",), users=20
    )
    stats = RequestStats()
    events = Events(folder / event_log.EVENTS)
    collector = ResultsCollector(plan, events, lambda: stats, names)
    collector.orders.append(Order(parsing.parse(f"{rate}/s for {seconds}s"), 0))
    target = TargetRecord("http://127.0.0.1:1/", "test")
    events.write(RunEvent("load", target, "2026-01-01T00:00:00Z", suite="0", seed=seed, rerun="conform load"))
    events.write(collector.begun(["1"], names))
    worker = Aggregator(names, warmup=5.0, name="1")
    took = np.exp(dice.normal(-4.5, 0.8, 200_003))
    which = dice.integers(0, functions, 200_003)
    process = psutil.Process()
    curve = []
    clock = _Clock()
    setattr(aggregate, "time", clock)  # noqa: B010  (Locust counts by the wall clock, which stands still meanwhile)
    for at in range(seconds):
        clock.now += 1.0
        part = np.arange(at * rate, (at + 1) * rate) % len(took)
        due = at + np.arange(rate) / rate
        for function, begun, seconds_ in zip(
            which[part].tolist(), due.tolist(), took[part].tolist(), strict=True
        ):
            worker.rows.append((function, begun, begun, begun + seconds_, 0, 300))
            worker.starts.append((begun, begun))
        table = table_of(worker.rows)
        delta = worker.aggregate(at + 1.0, users=20, connections=12, cpu=0.1, table=table)
        worker.finished()
        report = {
            "number": at + 1, "at": at + 1.0, "delta": json.loads(json.dumps(delta.to_json())),
            "locust": aggregate.batch(table, names, ()), "vitals": Vitals("1").to_json(), "reach": at + 1.0,
            "asked": (at + 1) * rate, "open": 0, "renewed": 0, "renewals": [], "pauses": [], "trouble": [],
            "connections": [12, 12, 0, 0], "marks": [], "results": None, "news": None, "final": at + 1 == seconds,
        }  # fmt: skip
        collector.take("1", report, at + 1.0)
        collector.tick()
        if (at + 1) % max(1, seconds // 10) == 0:
            curve.append(
                (
                    (at + 1) / 3600,
                    process.memory_info().rss / 1e6,
                    (folder / event_log.EVENTS).stat().st_size / 1e6,
                )
            )
    collector.tick(end=True)
    events.write(collector.ended(["1"], float(seconds)))
    events.write(EndEvent(float(seconds)))
    events.close()
    return curve


def main() -> None:
    """Print what it comes to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--functions", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        curve = soak(folder, **vars(options))
        spent = time.perf_counter() - began
        print(f"{options.hours:g} h at {options.rate}/s, {options.functions} functions, in {spent:.0f} s")
        for hour, memory, log in curve:
            print(f"  {hour:5.2f} h  memory {memory:7.1f} MB  events.jsonl {log:7.1f} MB")
        began = time.perf_counter()
        report: dict[str, Any] = files.write_report(folder)
        spent = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        print(
            f"report of {len(report['load']['series']):,} seconds in {spent:.1f} s, most memory {most:.0f} MB"
        )
        for path in sorted(folder.iterdir()):
            print(f"  {path.name:<14} {path.stat().st_size / 1e6:8.2f} MB")


if __name__ == "__main__":
    main()
