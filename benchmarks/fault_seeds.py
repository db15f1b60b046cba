"""Measure how reliably each deliberate fault is found, over many seeds and in one budget.

Run `python -m benchmarks.fault_seeds`. By default it takes the faults that are found by generated data and sequences of
calls. The service with one fault is judged by the rules that the fault names, once for each seed, in a process of its
own. A line says with how many seeds all of those rules broke, the median requests and seconds, and which seeds missed.

`--module` takes other modules of faults, `--fault` parts of names, `--seeds` a range, `--budget` another budget.
Nothing is asserted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from fixtures.faults import FAULTS
from tests.support.judging import broken, judge, profile_of, serving_here

MODULES = ("data", "values", "effects", "shapes", "sequences", "sessions", "races")


def once(name: str, seed: int, budget: str) -> tuple[list[str], int, float]:
    """Judge a fault by the rules that it names; return those that broke, the requests, and the seconds."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serving_here(name) as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, Path(folder)),
            target=url,
            rules=list(FAULTS[name].trips),
            seed=seed,
            budget=budget,
            until_found=True,
        )
    return sorted(broken(report)), report["requests"], time.monotonic() - began


def main() -> None:
    """Print a line for each fault, and the sum of it all."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.fault_seeds", description=__doc__)
    options.add_argument("--module", action="append", help="repeatable; default: " + ", ".join(MODULES))
    options.add_argument("--fault", action="append", default=[], help="a part of a name (repeatable)")
    options.add_argument("--seeds", default="1-10", metavar="FROM-TO")
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="standard")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    modules = {f"fixtures.faults.{module}" for module in given.module or MODULES}
    names = [
        name
        for name, fault in FAULTS.items()
        if getattr(fault.change, "__module__", "") in modules
        and (fault.budget != "deep" or given.budget == "deep")
        and (not given.fault or any(part in name for part in given.fault))
    ]
    if not names:
        raise SystemExit("no fault is meant by that")
    width = max(map(len, names))
    print(f"{'fault':<{width}}  {'rules':<16} found    requests   seconds  missed with seed")
    sure = every = 0
    with ProcessPoolExecutor(max_workers=given.jobs) as pool:
        runs = {name: [pool.submit(once, name, seed, given.budget) for seed in seeds] for name in names}
        for name in names:
            done = [run.result() for run in runs[name]]
            wanted = set(FAULTS[name].trips)
            missed = [
                seed for seed, (found, _, _) in zip(seeds, done, strict=True) if not wanted <= set(found)
            ]
            hit = len(seeds) - len(missed)
            sure += hit >= 0.9 * len(seeds)
            every += not missed
            print(
                f"{name:<{width}}  {' '.join(FAULTS[name].trips):<16} {hit:>2}/{len(seeds):<2}"
                f" {statistics.median(requests for _, requests, _ in done):>11.0f}"
                f" {statistics.median(seconds for _, _, seconds in done):>9.1f}"
                f"  {' '.join(map(str, missed))}",
                flush=True,
            )
    print(
        f"\n{len(names)} faults, {given.budget}: {sure} with at least 9 of 10 seeds, {every} with all",
        file=sys.stdout,
    )


if __name__ == "__main__":
    main()
