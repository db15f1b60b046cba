"""Measure how often a comparison of loads reports a difference, with and without a true one.

    python -m benchmarks.compare_claims                     200 simulated pairs of equal services, 200 of unequal ones
    python -m benchmarks.compare_claims --make 8            8 real loads of the embedded service, and every pair of them
    python -m benchmarks.compare_claims --runs DIR          every pair of the runs in a folder, all of one service

Simulated latencies are lognormal. Their median drifts from second to second, so that neighbouring seconds are alike.

For real loads the service is started anew each time. A load lasts 20 s at 200/s, unless `--seconds` and `--rate` say
otherwise. With `--runs DIR` the runs are written to that folder. Other work on the machine during one of two loads is a
true difference between them. Therefore each run is also compared with the one before it, as `conform compare
--baseline` does, where that one has at least three runs before it.

Nothing is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.compare.load import compare
from reports.model.store import find_runs
from tests.support.reporting import load_part

ROOT = Path(__file__).resolve().parent.parent


def _make(folder: Path, count: int, seconds: int, rate: int) -> None:
    """Make so many loads of the embedded service, one after the other."""
    for number in range(count):
        command = [
            *(
                sys.executable,
                str(ROOT / "conform.py"),
                "load",
                "--rate",
                f"{rate}/s",
                "--duration",
                f"{seconds}s",
            ),
            *("--warmup", "2s", "--no-calibration", "--quiet", "--out", str(folder / f"{number + 1:03d}")),
        ]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds + 120
        )
        lines = (ended.stdout + ended.stderr).strip().splitlines() or [f"status {ended.returncode}"]
        print(f"  {number + 1}: {lines[-1][:120]}", flush=True)


def _report(what: str, found: list[tuple[str, dict[str, Any]]]) -> None:
    judged = [each for each in found if each[1]["comparable"]]
    claimed = [each for each in judged if each[1]["claims"]]
    share = f" ({len(claimed) / len(judged):.1%})" if judged else ""
    print(f"{len(claimed)} of {len(judged)} {what} claim a difference{share}")
    for names, each in claimed:
        print(f"  {names}: {'; '.join(claim['text'] for claim in each['claims'])}")
    for names, each in found:
        if not each["comparable"]:
            print(f"  {names}: not compared: {'; '.join(each['why'])}")


def _among(folder: Path) -> None:
    """Compare the runs of a folder."""
    loads: list[tuple[str, Mapping[str, Any]]] = [
        (run.name, run.report["load"]) for run in find_runs(folder)[0] if run.report["load"]
    ]
    loads.sort(key=lambda load: load[0])
    pairs = itertools.combinations(loads, 2)
    found = [(f"{first[0]}, {second[0]}", compare(first[1], second[1])) for first, second in pairs]
    _report(f"pairs of {len(loads)} runs of one service", found)
    later = [
        (
            f"{loads[at][0]} after {at} others",
            compare(loads[at - 1][1], loads[at][1], earlier=[load for _, load in loads[: at - 1]]),
        )
        for at in range(3, len(loads))
    ]
    if later:
        _report("runs, each with all before it as a baseline,", later)


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument(
        "--seconds", type=int, help="of each run: 65, 5 of them warm-up; of a real one 20, 2 of them"
    )
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--drift", type=float, default=0.03, help="of the median's logarithm in a second")
    parser.add_argument("--make", type=int, default=0, metavar="N", help="so many real loads")
    parser.add_argument("--runs", type=Path)
    options = parser.parse_args()
    if options.make or options.runs is not None:
        with tempfile.TemporaryDirectory() as folder:
            runs = options.runs or Path(folder)
            runs.mkdir(parents=True, exist_ok=True)
            _make(runs, options.make, options.seconds or 20, options.rate)
            _among(runs)
        return
    seconds = options.seconds or 65
    for slower in (1.0, 1.1):
        began, claimed, p95 = time.perf_counter(), 0, 0
        for number in range(options.tries):
            base = load_part(seconds, options.rate, seed=2 * number, drift=options.drift)
            new = load_part(seconds, options.rate, seed=2 * number + 1, drift=options.drift, slower=slower)
            claims = compare(base, new)["claims"]
            claimed += bool(claims)
            p95 += any(c["metric"] == "p95" and c["worse"] and c["function"] is None for c in claims)
        print(
            f"slower by {slower - 1:.0%}: {claimed} of {options.tries} claim a difference, {p95} a slower p95 in total "
            f"({time.perf_counter() - began:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
