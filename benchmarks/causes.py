"""How well causes and defects agree.

Run `python -m benchmarks.causes`. Two measurements are printed, and nothing is asserted:

- `--stack NAME`: the naive server of a stack (`tests/servers/stacks`) is checked as it is, and once more for each of
  its switches, which mends one defect. A line says which causes went, how many findings they had, and how many
  findings of other causes went or came.
- `--pairs N`: so many pairs of faults of the reference service are drawn (`--size 3`: triples), and judged by the
  rules that they name. A line says how many causes there were. A draw whose faults are not all found is left out.

`--keep FOLDER` writes what the causes are made from, and `--again FOLDER` measures such runs once more without sending
anything: so another method is tried in seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.events import Event, ExchangeEvent, FindingEvent, SeenEvent
from fixtures.faults import FAULTS
from reports.causes.diagnosis import diagnose
from reports.causes.evidence import Knowledge
from tests.servers.stacks.notes import MENDS, AbsentError, serving
from tests.support.judging import broken, judge, profile_of, serving_here

#: What a finding is matched by in two runs.
Key = tuple[str, str | None, str]


@dataclass
class Kept:
    """A judged run: what the causes are made from, so that another method can be tried on the same runs."""

    name: str
    mended: tuple[str, ...]
    report: dict[str, Any]
    knowledge: Knowledge
    #: For each kind of test its exchanges, and the rules of which it found a violation.
    exchanges: Counter[str] = field(default_factory=Counter)
    rules: dict[str, set[str]] = field(default_factory=dict)

    def again(self) -> Kept:
        """Return the run with its causes made anew."""
        self.report["causes"] = diagnose(self.report["rules"], self.knowledge)
        return self


def keep(kept: Kept, folder: Path | None) -> None:
    """Write a run into a folder, if there is one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(repr((kept.name, kept.mended)).encode()).hexdigest()[:12]
        (folder / f"{digest}.run").write_bytes(pickle.dumps(tuple(vars(kept).values())))


def kept_in(folder: Path) -> list[Kept]:
    """Return the runs of a folder, with their causes made anew."""
    runs = [Kept(*pickle.loads(each.read_bytes())) for each in sorted(folder.glob("*.run"))]
    return [run.again() for run in runs]


class Watch:
    """Takes the events of a run: what the causes are made from, and which test found what."""

    def __init__(self) -> None:
        self.knowledge = Knowledge()
        self.exchanges: Counter[str] = Counter()
        self.rules: defaultdict[str, set[str]] = defaultdict(set)
        self._kinds: dict[int, str] = {}

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, ExchangeEvent):
            self.knowledge.take(event)
            kind = event.test.partition("[")[0]
            self.exchanges[kind] += 1
            self._kinds[event.number] = kind
        elif isinstance(event, (FindingEvent, SeenEvent)) and event.exchange is not None:
            self.rules[self._kinds.get(event.exchange, "")].add(event.rule)

    def kept(self, name: str, mended: Sequence[str], report: dict[str, Any]) -> Kept:
        """Return the run."""
        return Kept(name, tuple(mended), report, self.knowledge, self.exchanges, dict(self.rules))


def findings_of(report: dict[str, Any]) -> dict[Key, str]:
    """Return the cause of each finding that counts."""
    return {
        (rule["id"], finding["function"], finding["kind"]): finding["cause"]
        for rule in report["rules"]
        for finding in rule["findings"]
        if not finding["waived"]
    }


def checked(stack: str, mended: Sequence[str], given: argparse.Namespace) -> Kept:
    """Return the run of a stack's server with some of its defects mended."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder, serving(stack, Path(folder), mended) as profile:
        report = judge(
            profile=profile,
            rules=given.rule,
            budget=given.budget,
            generated=given.generated,
            watch=watch,
        )
    run = watch.kept(stack, mended, report)
    keep(run, given.keep)
    return run


def show_stack(before: Kept) -> None:
    """Print the causes of a server with all its defects."""
    causes = before.report["causes"]
    print(f"{before.name}: {len(findings_of(before.report))} findings, {len(causes)} causes", flush=True)
    for number, cause in enumerate(causes, 1):
        print(f"  {number:>2}  {cause['sentence']}\n      {' '.join(cause['rules'])}")
    print(f"  {'mended':<10}  causes that went; of their findings; of others; moved; new")


def show_mend(before: Kept, after: Kept) -> None:
    """Print what went when a defect of a stack's server was mended."""
    found, left = findings_of(before.report), findings_of(after.report)
    numbers = {cause["id"]: number for number, cause in enumerate(before.report["causes"], 1)}
    went = [cause for cause in numbers if cause not in {each["id"] for each in after.report["causes"]}]
    gone = Counter(cause for key, cause in found.items() if key not in left)
    own = sum(gone[cause] for cause in went)
    of = sum(cause in went for cause in found.values())
    moved = sum(key in left and left[key] != cause for key, cause in found.items())
    others = {numbers[cause]: count for cause, count in gone.items() if cause not in went}
    shown = ", ".join(str(numbers[cause]) for cause in went) or "–"
    new = Counter(rule for rule, _, _ in left.keys() - found.keys())
    print(
        f"  {' '.join(after.mended):<10}  {shown}; {own} of {of}; {others or 0}; {moved}; {dict(new) or 0}",
        flush=True,
    )


def mend(stack: str, given: argparse.Namespace) -> None:
    """Check a stack's server, and once more for each of its switches, and print what goes."""
    before = _kept_before(stack, given) or checked(stack, (), given)
    show_stack(before)
    for switch in [] if given.unmended else given.mend or MENDS[stack]:
        show_mend(before, checked(stack, (switch,), given))


def _kept_before(stack: str, given: argparse.Namespace) -> Kept | None:
    """Return the kept run of a server with all its defects, where only the mended ones are asked for."""
    runs = kept_in(given.keep) if given.only_mended else []
    return next((run for run in runs if run.name == stack and not run.mended), None)


def draw(names: Sequence[str], given: argparse.Namespace) -> Kept:
    """Return the run of the reference service with these faults, judged by the rules that they name."""
    rules = sorted({rule for name in names for rule in FAULTS[name].trips})
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder, serving_here(*names) as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, Path(folder)),
            target=url,
            rules=rules,
            budget=given.budget,
            generated=given.generated,
            watch=watch,
        )
    return watch.kept("faults", names, report)


def show_draw(run: Kept) -> int | None:
    """Print how many causes a combination of faults has, and return it; None if not all faults are found."""
    rules = {rule for name in run.mended for rule in FAULTS[name].trips}
    if not rules <= set(broken(run.report)):
        print(f"  not all found  {' '.join(run.mended)}", flush=True)
        return None
    causes = run.report["causes"]
    print(f"  {len(causes)}  {' '.join(run.mended)}", flush=True)
    if len(causes) != len(run.mended):
        for cause in causes:
            print(f"       {' '.join(cause['rules'])}: {cause['sentence']}", flush=True)
    return len(causes)


def summary(counts: Counter[int], size: int) -> str:
    """Return what the draws of so many faults have shown."""
    number = counts.total()
    shown = ", ".join(f"{count} with {causes}" for causes, count in sorted(counts.items()))
    share = counts[size] / number if number else 0.0
    return f"{number} draws of {size} faults: {share:.1%} with as many causes ({shown})"


def pairs(given: argparse.Namespace) -> None:
    """Print how many causes drawn combinations of faults have."""
    drawing = random.Random(given.seed)
    counts: Counter[int] = Counter()
    while counts.total() < given.pairs:
        run = draw(drawing.sample(sorted(FAULTS), given.size), given)
        number = show_draw(run)
        if number is not None:
            keep(run, given.keep)
            counts[number] += 1
    print(summary(counts, given.size))


def again(folder: Path) -> None:
    """Print both measurements for the runs of a folder."""
    stacks: dict[str, list[Kept]] = defaultdict(list)
    counts: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for run in kept_in(folder):
        if run.name != "faults":
            stacks[run.name].append(run)
        elif (number := show_draw(run)) is not None:
            counts[len(run.mended)][number] += 1
    for size, found in sorted(counts.items()):
        print(summary(found, size))
    for runs in stacks.values():
        before = next((run for run in runs if not run.mended), None)
        if before is not None:
            show_stack(before)
            for run in runs:
                if run.mended:
                    show_mend(before, run)


def main() -> None:
    """Measure what is asked for."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.causes", description=__doc__)
    options.add_argument("--stack", action="append", default=[], choices=sorted(MENDS))
    options.add_argument("--mend", action="append", default=[], help="this switch alone (repeatable)")
    options.add_argument("--unmended", action="store_true", help="only with all defects")
    options.add_argument(
        "--only-mended", action="store_true", help="without all defects from --keep's folder"
    )
    options.add_argument("--rule", action="append", default=[], help="judge this rule alone (repeatable)")
    options.add_argument("--pairs", type=int, default=0, metavar="N")
    options.add_argument("--size", type=int, default=2, help="faults of one draw")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="quick")
    options.add_argument("--generated", type=float, default=1.0, help="part of the generated payloads")
    options.add_argument("--keep", type=Path, metavar="FOLDER", help="write each run there")
    options.add_argument("--again", type=Path, metavar="FOLDER", help="read the runs there, and send nothing")
    given = options.parse_args()
    if given.again is not None:
        again(given.again)
        return
    for stack in given.stack if given.stack or given.pairs else sorted(MENDS):
        try:
            mend(stack, given)
        except AbsentError as error:
            print(f"{stack}: left out, {error}")
    if given.pairs:
        pairs(given)


if __name__ == "__main__":
    main()
