"""The score of a run: caught and located, with intervals, by template, by kind of place, by server."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

Result = dict[str, Any]


def wilson(hits: int, tried: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, after Wilson (1927)."""
    if not tried:
        return 0.0, 1.0
    z, share = 1.96, hits / tried
    middle = share + z * z / (2 * tried)
    half = z * math.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return (middle - half) / (1 + z * z / tried), (middle + half) / (1 + z * z / tried)


def line(name: str, results: list[Result], width: int) -> str:
    """Return one line of the table."""
    tried = len(results)
    caught, located = (sum(bool(r[word]) for r in results) for word in ("caught", "located"))
    low, high = wilson(caught, tried)
    interval = f"{low:4.0%} to {high:4.0%}"
    return f"{name:<{width}} {tried:>5} {caught / tried:>7.1%} {located / tried:>7.1%}  {interval}"


def table(title: str, results: Iterable[Result], key: Callable[[Result], str], *, worst: bool = False) -> str:
    """Return a table of groups; with `worst` only those of which something was missed, the worst first."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[key(result)].append(result)

    def share(name: str) -> float:
        return sum(bool(r["caught"]) for r in groups[name]) / len(groups[name])

    names = sorted(groups, key=lambda name: (share(name), name))
    if worst:
        names = [name for name in names if share(name) < 1]
    width = max([len(name) for name in names] + [len(title)])
    head = f"{title:<{width}} {'tried':>5} {'caught':>7} {'located':>7}  95 % of caught"
    return "\n".join([head, *(line(name, groups[name], width) for name in names)])


def report(results: list[Result]) -> str:
    """Return the whole score."""
    good = [result for result in results if result["error"] is None]
    if not good:
        return "nothing was tried"
    parts = [
        table("all", good, lambda r: "all"),
        table("server", good, lambda r: str(r["server"])),
        table("family", good, lambda r: str(r["template"]).partition(".")[0]),
        table("kind of place", good, lambda r: str(r["kind"])),
        table("templates with a miss", good, lambda r: str(r["template"]), worst=True),
    ]
    missed = [r for r in good if not r["caught"]]
    if missed:
        parts.append("missed:\n" + "\n".join(f"  {r['key']}" for r in missed))
    misled = [r for r in good if r["caught"] and not r["located"]]
    if misled:
        parts.append(
            "caught by another rule:\n" + "\n".join(f"  {r['key']}: {' '.join(r['rules'])}" for r in misled)
        )
    failed = [r for r in results if r["error"] is not None]
    if failed:
        parts.append("not run:\n" + "\n".join(f"  {r['key']}: {r['error']}" for r in failed))
    seconds = sum(r["cpu"] for r in results) / len(results)
    parts.append(f"{len(results)} defects, {seconds:.1f} s of CPU each")
    return "\n\n".join(parts)
