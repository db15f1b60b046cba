"""How many of the defects of the grid a check finds.

Run `python -m benchmarks.defect_grid`. It draws a sample of defects by a seed, each template in turn, and judges each defect
by the rules that its template names, which *locate* it. With `--near` rules of its area follow, where these find nothing:
they may only *catch* it. A line of JSON for each defect goes to `--out` as soon as it is known; defects
that are in that file already are not judged again. `--full` judges one defect in ten by all rules. `--suite` takes
the suite of another checkout. `--fail-under` sets the exit status.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from benchmarks.defect_grid import score, targets, template
from benchmarks.defect_grid.judging import Result, judged, use_suite


def every(servers: list[str]) -> list[template.Instance]:
    """Return all instances of these servers, in a fixed order."""
    return [found for server in servers for found in template.instances(targets.view_of(server), server)]


def sample(found: list[template.Instance], count: int, seed: int) -> list[template.Instance]:
    """Return a sample by a seed: in each round every template gives one more of its instances."""
    rng = random.Random(seed)
    groups: dict[str, list[template.Instance]] = defaultdict(list)
    for instance in found:
        groups[instance.template.name].append(instance)
    for group in groups.values():
        rng.shuffle(group)
    out: list[template.Instance] = []
    while len(out) < count and groups:
        names = sorted(groups)
        rng.shuffle(names)
        for name in names:
            out.append(groups[name].pop())
            if not groups[name]:
                del groups[name]
    return out[:count]


def run(
    drawn: list[template.Instance], given: argparse.Namespace, done: dict[str, Result]
) -> Iterator[Result]:
    """Yield the result of each defect, as it comes."""
    due = [instance for instance in drawn if instance.key not in done]
    yield from (done[instance.key] for instance in drawn if instance.key in done)
    pool = ProcessPoolExecutor(given.jobs, get_context("spawn"), use_suite, (given.suite,))
    with pool:
        waiting = [
            pool.submit(
                judged, instance.key, instance.server, given.budget, given.seed,
                full=given.full and number % 10 == 0, near=given.near,
            )
            for number, instance in enumerate(due)
        ]  # fmt: skip
        for future in as_completed(waiting):
            yield future.result()


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defect_grid", description=__doc__)
    parser.add_argument("--sample", type=int, default=400, help="how many defects")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", choices=("quick", "standard", "deep"), default="quick")
    parser.add_argument("--template", default="", help="a regular expression for names of templates")
    parser.add_argument(
        "--place", default="", help="a regular expression for kinds of places, or labels of places"
    )
    parser.add_argument("--server", choices=targets.SERVERS, action="append", help="repeatable; default: all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="judge one in ten by all rules")
    parser.add_argument(
        "--near", action="store_true", help="try the rules of the area too, where those named find nothing"
    )
    parser.add_argument("--suite", default=None, metavar="PATH", help="the checkout whose suite judges")
    parser.add_argument("--out", type=Path, default=None, help="a file for a line of JSON per defect")
    parser.add_argument(
        "--list", action="store_true", help="count the instances of each template, and judge none"
    )
    parser.add_argument(
        "--fail-under", type=int, default=0, metavar="N", help="status 1 if fewer than N are caught"
    )
    parser.add_argument(
        "--missed", type=Path, metavar="FILE", help="judge only what is not located in this file of results"
    )
    return parser


def main() -> int:
    """Draw a sample, judge it, and print the score."""
    given = options().parse_args()
    found = [
        instance
        for instance in every(given.server or list(targets.SERVERS))
        if re.search(given.template, instance.template.name)
        and re.search(given.place, f"{instance.kind} {instance.label}")
    ]
    if given.list:
        counts: dict[str, int] = defaultdict(int)
        for instance in found:
            counts[instance.template.name] += 1
        for name, count in counts.items():
            print(f"{count:>6}  {name}")
        empty = {name for name in template.TEMPLATES if re.search(given.template, name)} - set(counts)
        print(
            f"{len(found)} instances of {len(counts)} templates"
            + (f"; none of {', '.join(sorted(empty))}" if empty else "")
        )
        return 0
    if given.missed is not None:
        known = map(json.loads, given.missed.read_text(encoding="utf-8").splitlines())
        missed = {result["key"] for result in known if not result["located"]}
        found = [instance for instance in found if instance.key in missed]
    drawn = sample(found, given.sample, given.seed)
    done: dict[str, Result] = {}
    if given.out is not None and given.out.exists():
        for text in given.out.read_text(encoding="utf-8").splitlines():
            earlier = json.loads(text)
            if earlier["budget"] == given.budget and earlier["error"] is None:
                done[earlier["key"]] = earlier
    results: list[Result] = []
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(given.out.open("a", encoding="utf-8")) if given.out is not None else None
        for result in run(drawn, given, done):
            results.append(result)
            word = result["error"] or (
                "located" if result["located"] else "caught" if result["caught"] else "MISSED"
            )
            print(
                f"{len(results):>4} {word:<8} {result['key']}  {' '.join(result['rules'])} {result['seconds']} s",
                flush=True,
            )
            if out is not None and result["key"] not in done:
                out.write(json.dumps(result) + "\n")
                out.flush()
    print("\n" + score.report(results))
    return 1 if sum(result["caught"] for result in results) < given.fail_under else 0


if __name__ == "__main__":
    raise SystemExit(main())
