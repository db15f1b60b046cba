"""How well causes and defects agree.

Run `python -m benchmarks.causes`. Two measurements are printed, and nothing is asserted:

- `--stack NAME`: the naive server of a stack (`tests/servers/stacks`) is checked as it is, and once more for each of
  its switches, which mends one defect. A line says which causes went, how many findings they had, and how many
  findings of other causes went or came.
- `--pairs N`: so many pairs of faults of the reference service are drawn (`--size 3`: triples), and judged by the
  rules that they name. A line says how many causes there were. A draw whose faults are not all found is left out.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fixtures.faults import FAULTS
from tests.servers.stacks.notes import MENDS, AbsentError, serving
from tests.support.judging import broken, judge, profile_of, serving_here

#: What a finding is matched by in two runs.
Key = tuple[str, str | None, str]


def findings_of(report: dict[str, Any]) -> dict[Key, str]:
    """Return the cause of each finding that counts."""
    return {
        (rule["id"], finding["function"], finding["kind"]): finding["cause"]
        for rule in report["rules"]
        for finding in rule["findings"]
        if not finding["waived"]
    }


def checked(stack: str, mended: Sequence[str], rules: Sequence[str], budget: str) -> dict[str, Any]:
    """Return the report of a stack's server with some of its defects mended."""
    with tempfile.TemporaryDirectory() as folder, serving(stack, Path(folder), mended) as profile:
        return judge(profile=profile, rules=rules, budget=budget)


def mend(stack: str, switches: Sequence[str], rules: Sequence[str], budget: str) -> None:
    """Print what goes when each defect of a stack's server is mended."""
    before = checked(stack, (), rules, budget)
    found = findings_of(before)
    names = {cause["id"]: cause["sentence"] for cause in before["causes"]}
    print(f"{stack}: {len(found)} findings, {len(names)} causes", flush=True)
    for number, sentence in enumerate(names.values(), 1):
        print(f"  {number:>2}  {sentence}")
    numbers = {identifier: number for number, identifier in enumerate(names, 1)}
    print(f"  {'mended':<10}  causes that went; of their findings; of others; moved; new")
    for switch in switches:
        after = checked(stack, (switch,), rules, budget)
        left = findings_of(after)
        went = [cause for cause in names if cause not in {each["id"] for each in after["causes"]}]
        gone = Counter(cause for key, cause in found.items() if key not in left)
        own = sum(gone[cause] for cause in went)
        of = sum(cause in went for cause in found.values())
        moved = sum(key in left and left[key] != cause for key, cause in found.items())
        others = {numbers[cause]: count for cause, count in gone.items() if cause not in went}
        shown = ", ".join(str(numbers[cause]) for cause in went) or "–"
        print(
            f"  {switch:<10}  {shown}; {own} of {of}; {others or 0}; {moved}; {len(left.keys() - found.keys())}",
            flush=True,
        )


def pairs(number: int, size: int, seed: int, budget: str) -> None:
    """Print how many causes drawn combinations of faults have."""
    drawing = random.Random(seed)
    counts: Counter[int] = Counter()
    while counts.total() < number:
        names = drawing.sample(sorted(FAULTS), size)
        rules = sorted({rule for name in names for rule in FAULTS[name].trips})
        with tempfile.TemporaryDirectory() as folder, serving_here(*names) as (url, catalogue):
            report = judge(
                profile=profile_of(catalogue, Path(folder)), target=url, rules=rules, budget=budget
            )
        if not set(rules) <= set(broken(report)):
            print(f"  not all found  {' '.join(names)}", flush=True)
            continue
        causes = report["causes"]
        counts[len(causes)] += 1
        print(f"  {len(causes)}  {' '.join(names)}", flush=True)
        if len(causes) != size:
            for cause in causes:
                print(f"       {' '.join(cause['rules'])}: {cause['sentence']}", flush=True)
    shown = ", ".join(f"{count} with {causes}" for causes, count in sorted(counts.items()))
    print(f"{number} draws of {size} faults: {counts[size] / number:.0%} with as many causes ({shown})")


def main() -> None:
    """Measure what is asked for."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.causes", description=__doc__)
    options.add_argument("--stack", action="append", default=[], choices=sorted(MENDS))
    options.add_argument("--mend", action="append", default=[], help="this switch alone (repeatable)")
    options.add_argument("--rule", action="append", default=[], help="judge this rule alone (repeatable)")
    options.add_argument("--pairs", type=int, default=0, metavar="N")
    options.add_argument("--size", type=int, default=2, help="faults of one draw")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="quick")
    given = options.parse_args()
    stacks = given.stack if given.stack or given.pairs else sorted(MENDS)
    for stack in stacks:
        try:
            mend(stack, given.mend or MENDS[stack], given.rule, given.budget)
        except AbsentError as error:
            print(f"{stack}: left out, {error}")
    if given.pairs:
        pairs(given.pairs, given.size, given.seed, given.budget)


if __name__ == "__main__":
    main()
