"""Look for false alarms: check the clean reference service, seed after seed.

Run `python -m benchmarks.clean_seeds`. Each seed is a whole check in a process of its own. A line says how many
requests it took, and what was found or not judged. `--seeds` takes a range, `--budget` a budget, `--area` areas.
Nothing is asserted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from conformance.rulebook import RULES
from tests.support.judging import broken, judge, profile_of, serving_here, verdicts


def once(seed: int, budget: str, rules: list[str]) -> tuple[int, float, list[str], list[str]]:
    """Return a check's requests, its seconds, what it found and the rules that it did not judge."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serving_here() as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, Path(folder)), target=url, rules=rules, seed=seed, budget=budget
        )
    found = [f"{rule}: {line}" for rule, lines in broken(report).items() for line in lines]
    found += [str(error["message"]) for error in report["errors"]]
    wanted = set(rules or RULES)
    left = [rule for rule, verdict in verdicts(report).items() if verdict == "not judged" and rule in wanted]
    return report["requests"], time.monotonic() - began, found, left


def main() -> None:
    """Print a line for each seed, and the sum of it all."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.clean_seeds", description=__doc__)
    options.add_argument("--seeds", default="1-20", metavar="FROM-TO")
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="standard")
    options.add_argument("--area", action="append", default=[], help="repeatable; default: all")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    rules = [rule.id for rule in RULES.values() if not given.area or rule.area in given.area]
    print("seed  requests  seconds")
    alarms = total = 0
    with ProcessPoolExecutor(max_workers=given.jobs) as pool:
        runs = [pool.submit(once, seed, given.budget, rules) for seed in seeds]
        for seed, run in zip(seeds, runs, strict=True):
            requests, seconds, found, left = run.result()
            text = "; ".join([*found, *(f"{rule} not judged" for rule in left)]) or "nothing found"
            print(f"{seed:>4} {requests:>9} {seconds:>8.1f}  {text}", flush=True)
            alarms += bool(found)
            total += requests
    print(f"\n{len(seeds)} seeds, {given.budget}: {total} requests, {alarms} with a false alarm")


if __name__ == "__main__":
    main()
