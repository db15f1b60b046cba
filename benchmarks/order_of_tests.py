"""Which tests find most per request, and how soon a run has its first finding.

Run `python -m benchmarks.order_of_tests`. Nothing is asserted:

- `--runs FOLDER`: reads what `benchmarks.causes --pairs N --keep FOLDER` kept, and prints the tests that find most
  faults per request, as the lines of `conformance/engine/early.py`.
- `--faults N`: draws so many faults of the reference service, checks each against all rules until it is found, and
  prints after how many requests and seconds that was. `--stack NAME` does the same with a naive server.
"""

from __future__ import annotations

import argparse
import pickle
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.engine.collection import SUITES, functions_of_suites
from conformance.engine.markers import When
from conformance.events import Event, ExchangeEvent
from fixtures.faults import FAULTS
from tests.servers.stacks.notes import MENDS, serving
from tests.support.judging import judge, profile_of, serving_here

#: Requests on the reference service that the tests which run first send in all.
MAX_REQUESTS = 1500
#: Faults that a test must have found to be one of them.
MIN_FOUND = 2
#: Tests of this module and the later ones stay where they are: they may change a target until its restart.
FIRST_LATE_MODULE = "test_changes"


def order(folder: Path) -> None:
    """Print the tests that find most per request, over the kept runs of faults."""
    requests: defaultdict[str, list[int]] = defaultdict(list)
    found: Counter[str] = Counter()
    runs = 0
    for path in sorted(folder.glob("*.run")):
        name, faults, _, _, exchanges, rules = pickle.loads(path.read_bytes())
        if name != "faults":
            continue
        runs += 1
        for kind, count in exchanges.items():
            requests[kind].append(count)
        for fault in faults:
            for kind, broken in rules.items():
                found[kind] += FAULTS[fault].primary in broken
    early = SUITES[: SUITES.index(FIRST_LATE_MODULE)]
    allowed = {
        f"{module}.{function.__name__}"
        for module, function, facts in functions_of_suites()
        if module in early
        and facts.share is None
        and facts.when is When.IN_ORDER
        and not facts.disturbs_sessions
    }
    ranked = sorted(
        (found[kind] / statistics.mean(counts), kind)
        for kind, counts in requests.items()
        if kind in allowed and found[kind] >= MIN_FOUND
    )
    total = 0.0
    print(f"# {runs} runs")
    for rate, kind in reversed(ranked):
        total += statistics.mean(requests[kind])
        if total > MAX_REQUESTS:
            break
        print(f'    "{kind}",  # {found[kind]} found, {1000 * rate / runs:.2f} per 1000 requests')


class First:
    """Takes the events of a run: how many requests were sent, and when."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.requests = 0
        self.seconds = 0.0

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, ExchangeEvent):
            self.requests += 1
            self.seconds = time.monotonic() - self.began


@contextmanager
def _fault(name: str, folder: Path) -> Iterator[tuple[str | None, Path]]:
    with serving_here(name) as (url, catalogue):
        yield url, profile_of(catalogue, folder)


@contextmanager
def _stack(name: str, folder: Path) -> Iterator[tuple[str | None, Path]]:
    with serving(name, folder) as profile:
        yield None, profile


def first_findings(faults: int, stacks: list[str], seed: int, budget: str) -> None:
    """Print after how many requests and seconds drawn faults, and naive servers, have their first finding."""
    drawn = random.Random(seed).sample(sorted(FAULTS), faults)
    seconds = []
    for name in [*stacks, *drawn]:
        started = _stack if name in MENDS else _fault
        with tempfile.TemporaryDirectory() as folder, started(name, Path(folder)) as (url, profile):
            first = First()
            rules = FAULTS[name].trips if name in FAULTS else ("HTTP-4", "ENV-1", "COD-3", "REQ-4", "SEC-5")
            judge(profile=profile, target=url, until_any=rules, budget=budget, watch=first)
        seconds.append(first.seconds)
        print(f"  {first.requests:>6} requests  {first.seconds:6.1f} s  {name}", flush=True)
    if faults:
        of_faults = sorted(seconds[len(stacks) :])
        soon = sum(each <= 2 for each in of_faults)
        print(f"{faults} faults: median {statistics.median(of_faults):.1f} s, {soon} within 2 s")


def main() -> None:
    """Measure what is asked for."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.order_of_tests", description=__doc__)
    options.add_argument("--runs", type=Path, metavar="FOLDER")
    options.add_argument("--faults", type=int, default=0, metavar="N")
    options.add_argument("--stack", action="append", default=[], choices=sorted(MENDS))
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="standard")
    given = options.parse_args()
    if given.runs is not None:
        order(given.runs)
    if given.faults or given.stack:
        first_findings(given.faults, given.stack, given.seed, given.budget)


if __name__ == "__main__":
    main()
