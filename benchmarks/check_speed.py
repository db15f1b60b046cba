"""Measure `conform check` on the embedded service: wall time, start-up, CPU time of the suite, memory.

Run `python -m benchmarks.check_speed`. Each budget is run twice.

1. As a user runs it. This gives the wall time, the part of it that generated payloads took, and the time from the start
   of the process to its first request.
2. Against a service that was started separately, so that CPU time and memory are those of the suite alone. The CPU time
   of a request is that of the whole run, with start-up and report, divided by its requests. The cost of each further
   request is the difference of two budgets.

Then one process runs all tests once, and another one three times, to show whether memory grows with the number of
exchanges. Nothing is asserted: the numbers belong to the machine that prints them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from conformance.engine.collection import functions_of_suites
from conformance.engine.harness import EMBEDDED_PROFILE, Embedded, Harness, Request
from conformance.engine.runnable import SingleTest
from conformance.engine.suite_run import SuiteRun
from reports.model.event_log import RunLog

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = ("quick", "standard")
SEED = "7"
#: What a unit of ru_maxrss is, in bytes.
UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """One run of the command: seconds, CPU seconds with and without its children, bytes.

    `generated` is the part of the wall time that the tests with generated payloads took, with the confirmation of
    their findings.
    """

    wall: float
    first: float
    generated: float
    requests: int
    cpu: float
    peak: int
    verdict: str


def run(budget: str, out: Path, *target: str) -> Measured:
    """Run `conform check` as a process and measure it; its children count where it starts some."""
    command = [
        sys.executable,
        "conform.py",
        "check",
        "--budget",
        budget,
        "--seed",
        SEED,
        "--out",
        str(out),
        "--quiet",
    ]
    events = out / "events.jsonl"
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, *target], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    opened = _await(events, process)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return Measured(
        wall,
        opened - began + _first_exchange(events),
        _generated(events),
        report["requests"],
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * UNIT,
        report["verdict"],
    )


def _await(path: Path, process: subprocess.Popen[bytes]) -> float:
    """Return when the run's log was opened."""
    while not path.exists():
        if process.poll() is not None:
            raise SystemExit(f"conform check ended with status {process.returncode} before it wrote its log")
        time.sleep(0.001)
    return time.monotonic()


def _first_exchange(events: Path) -> float:
    """Return when the first request was sent, in seconds since the log was opened."""
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["event"] == "exchange":
                seconds = event["response"]["seconds"] if event["response"] else 0.0
                return float(event["at"]) - float(seconds)
    raise SystemExit(f"{events}: no request was sent")


def _generated(events: Path) -> float:
    """Return how many seconds the tests with generated payloads took."""
    generating = {function.__name__ for _, function, facts in functions_of_suites() if facts.share}
    seconds, since, at = 0.0, None, 0.0
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            at = float(event.get("at", at))
            if event["event"] != "conversation":
                continue
            if since is not None:
                seconds += at - since
            kind = event["name"].partition(".")[2].partition("[")[0]
            since = at if kind in generating else None
    return seconds if since is None else seconds + at - since


def hold(rounds: int, target: str) -> None:
    """Run all tests several times in one run, in a process of its own; print what was measured."""
    harness = Harness.prepare(
        Request(target=target, profile=EMBEDDED_PROFILE, seed=int(SEED), budget="quick")
    )
    with tempfile.TemporaryDirectory() as folder, RunLog(Path(folder)) as log:
        suite_run = SuiteRun(harness, log.write)
        run = suite_run.open()
        tests = suite_run.collect()
        suite_run.plan(tests, sheds=False)
        for number in range(rounds):
            for test in tests:
                name = f"{test.name}, round {number}"
                suite_run.run_one(SingleTest(name, test.body, test.rules, test.disturbs_sessions))
        run.finish()
        print(json.dumps([run.client.sent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT]))


def main() -> None:
    """Print one line for each budget, and one for each number of rounds."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.check_speed", description=__doc__)
    options.add_argument("--hold", nargs=2, metavar=("ROUNDS", "URL"), help=argparse.SUPPRESS)
    given: list[str] | None = options.parse_args().hold
    if given is not None:
        hold(int(given[0]), given[1])
        return
    apart: dict[str, Measured] = {}
    print(
        f"{'budget':<10}{'wall s':>8}{'generated s':>13}{'first request s':>17}{'requests':>10}"
        f"{'CPU ms each':>13}{'peak MB':>9}"
    )
    for budget in BUDGETS:
        with tempfile.TemporaryDirectory() as folder:
            whole = run(budget, Path(folder) / "embedded")
            service = Embedded()
            service.start()
            try:
                alone = ("--target", service.url, "--profile", str(EMBEDDED_PROFILE))
                apart[budget] = own = run(budget, Path(folder) / "apart", *alone)
            finally:
                service.stop()
        print(
            f"{budget:<10}{whole.wall:>8.1f}{whole.generated:>13.1f}{whole.first:>17.2f}{whole.requests:>10}"
            f"{own.cpu / own.requests * 1e3:>13.3f}{own.peak / 1e6:>9.1f}   {whole.verdict}"
        )
    less, more = (apart[budget] for budget in BUDGETS)
    if more.requests > less.requests:
        each = (more.cpu - less.cpu) / (more.requests - less.requests)
        print(f"each further request: {each * 1e3:.3f} ms of CPU")
    print("\nmemory by exchanges")
    for rounds in (1, 3):
        service = Embedded()
        service.start()
        try:
            command = [sys.executable, "-m", "benchmarks.check_speed", "--hold", str(rounds), service.url]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        finally:
            service.stop()
        sent, peak = json.loads(done.stdout)
        print(f"  {rounds} x: {sent:>7} exchanges, {peak / 1e6:>6.1f} MB at most")


if __name__ == "__main__":
    main()
