"""How often a comparison of loads claims a difference: where there is none, and where there is one.

    python -m benchmarks.compare_claims                     200 pairs of runs of one service, 200 of one made slower
    python -m benchmarks.compare_claims --runs DIR          every pair of the runs in a folder, all of one service

Runs are simulated: lognormal latencies whose median drifts from second to second, so that neighbours are alike.
Nothing is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

from reports.compare_load import compare
from reports.stored import find_runs
from tests.reporting import load_part


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=65, help="of each run, 5 of them warm-up")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--drift", type=float, default=0.03, help="of the median's logarithm in a second")
    parser.add_argument("--runs", type=Path)
    options = parser.parse_args()
    if options.runs is not None:
        loads = [run.report["load"] for run in find_runs(options.runs)[0] if run.report["load"]]
        pairs = [compare(*pair) for pair in itertools.combinations(loads, 2)]
        claimed = sum(bool(found["claims"]) for found in pairs)
        print(f"{claimed} of {len(pairs)} pairs of {len(loads)} runs of one service claim a difference")
        return
    for slower in (1.0, 1.1):
        began, claimed, p95 = time.perf_counter(), 0, 0
        for number in range(options.tries):
            base = load_part(options.seconds, options.rate, seed=2 * number, drift=options.drift)
            new = load_part(
                options.seconds, options.rate, seed=2 * number + 1, drift=options.drift, slower=slower
            )
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
