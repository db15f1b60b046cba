"""Measure whether resets of the test database during checks make false alarms, or hide faults.

Run `python -m benchmarks.under_resets`. The reference service resets itself every five seconds. First it is checked
without a fault, once for each seed. A line has the resets, the findings (there should be none), the rules that could
not be judged, the requests and the seconds.

Then some faults, drawn by the first seed, are checked in the same way. All rules are judged to the end, so resets come
before, during and after the calls that show the fault. A line says whether each rule that the fault names was found
broken. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from fixtures.faults import FAULTS
from tests.support.judging import ROOT, broken, judge, serving, verdicts

PROFILE = ROOT / "fixtures" / "service" / "conform.toml"


@dataclass(frozen=True)
class Outcome:
    """What a check under resets came to."""

    resets: int
    found: dict[str, list[str]]
    unjudged: list[str]
    requests: int
    seconds: float


def once(fault: str | None, seed: int, budget: str, every: float) -> Outcome:
    """Check the service by all rules, without a fault or with one."""
    began = time.monotonic()
    with serving("--resync-every", f"{every:g}", *(("--fault", fault) if fault else ())) as url:
        report = judge(target=url, profile=PROFILE, seed=seed, budget=budget)
    unjudged = [rule for rule, verdict in verdicts(report).items() if verdict in ("not judged", "error")]
    return Outcome(report["resets"], broken(report), unjudged, report["requests"], time.monotonic() - began)


def main() -> None:
    """Print a line for each check, and the sums."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.under_resets", description=__doc__)
    options.add_argument("--seeds", default="1-20", metavar="FROM-TO")
    options.add_argument("--faults", type=int, default=30, metavar="N")
    options.add_argument("--every", type=float, default=5.0, metavar="SECONDS")
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="standard")
    options.add_argument("--jobs", type=int, default=2)
    given = options.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    names = random.Random(f"{first}/faults").sample(sorted(FAULTS), given.faults)
    with ProcessPoolExecutor(max_workers=given.jobs) as pool:
        clean = [pool.submit(once, None, seed, given.budget, given.every) for seed in seeds]
        faulty = [pool.submit(once, name, seeds[0], given.budget, given.every) for name in names]
        alarms = 0
        for seed, run in zip(seeds, clean, strict=True):
            outcome = run.result()
            alarms += bool(outcome.found)
            print(
                f"clean, seed {seed:<3} {outcome.resets:>3} resets  found {outcome.found or 'nothing'}  "
                f"not judged {' '.join(outcome.unjudged) or 'none'}  "
                f"{outcome.requests:,} requests  {outcome.seconds:.0f} s",
                flush=True,
            )
        caught = 0
        for name, run in zip(names, faulty, strict=True):
            outcome = run.result()
            missed = sorted(set(FAULTS[name].trips) - set(outcome.found))
            caught += not missed
            print(
                f"{name:<48} {outcome.resets:>3} resets  {'missed ' + ' '.join(missed) if missed else 'caught':<24}"
                f" {outcome.requests:>7,} requests  {outcome.seconds:>5.0f} s",
                flush=True,
            )
    print(f"\n{len(seeds)} clean checks, {alarms} with a false alarm; {caught} of {len(names)} faults caught")


if __name__ == "__main__":
    main()
