"""Text from a target, made safe to show, as a file can show it; and the lines of a profile, laid together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.text import cut

__all__ = [
    "decided",
    "error_share",
    "goodput",
    "judged_on_told",
    "known_told",
    "latency",
    "merge_lines",
    "plural",
    "rerun_of",
    "slo_word",
]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return the count with its noun: `1 finding`, `2 findings`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def judged_on_told(judged_on: Mapping[str, Any]) -> str:
    """Return how much of what a rule applies to it was judged on: `judged on 3 of 33 functions`."""
    return f"judged on {judged_on['done']} of {judged_on['of']} {judged_on['what']}"


def latency(counts: Mapping[str, Any], since: str, key: str) -> float | None:
    """Return a latency of a load's counts in ms, `since` "due" or "sent"; None where nothing is known of it."""
    found = (counts.get(since) or {}).get(key)
    return None if found is None else float(found)


def goodput(counts: Mapping[str, Any]) -> float:
    """Return what was served per second; of an older run, what was answered."""
    return float(counts.get("rate", counts["reached"]))


def error_share(counts: Mapping[str, Any]) -> float:
    """Return the share of the requests that count as errors, those that found no connection among them."""
    starved = counts.get("no_connection") or 0
    wanted = counts["requests"] + starved
    return (counts["failed"] + starved) / wanted if wanted else 0.0


def decided(load: Mapping[str, Any], slo: Mapping[str, Any]) -> bool:
    """Return whether an SLO's verdict stands: a run of an older version was judged by an unfit generator, too."""
    return "default" in slo or bool((load.get("health") or {}).get("valid", True))


def slo_word(load: Mapping[str, Any], slo: Mapping[str, Any]) -> str:
    """Return what became of an SLO: held, missed, not judged, or not valid where the generator measured itself."""
    if slo["verdict"] != "not judged" and not decided(load, slo):
        return "not valid"
    return {"pass": "held", "fail": "missed"}.get(slo["verdict"], "not judged")


def rerun_of(report: Mapping[str, Any], rule: str) -> str | None:
    """Return the command that judges one rule of a run again, or the load as a whole; None where none is known."""
    if report["verb"] == "load":
        # A load judges what comes back, whatever rule that is about.
        whole: str | None = report["rerun"]
        return whole
    command = report.get("rerun_rule") or report["rerun"]
    return f"{command} --rule {rule}" if command else None


def known_told(report: Mapping[str, Any]) -> str | None:
    """Say in one line what became of the findings that were known; None where no earlier run was named."""
    known = report.get("known")
    if not known:
        return None
    told = f"{plural(len(known['seen']), 'finding')} of {known['from']} again"
    if known["open"]:
        told += f"; of {len(known['open'])} nobody can say, their rules were not judged to the end"
    if not known["gone"]:
        return told
    where = [f"{one['rule']} {one['function'] or 'the target'}" for one in known["gone"]]
    names = ", ".join(cut(name, 80) for name in dict.fromkeys(where[:6]))
    more = f" and {len(where) - 6} more" if len(where) > 6 else ""
    verb = "occurs" if len(where) == 1 else "occur"
    return (
        f"{told}; {len(where)} {verb} no more ({names}{more}): name this run next time, and the list shrinks"
    )


def merge_lines(blocks: Iterable[str]) -> list[str]:
    """Lay pieces of a profile together, so that each table and each key of a table stands there once."""
    tables: dict[str, dict[str, str]] = {"": {}}
    for block in blocks:
        table = tables[""]
        for line in block.splitlines():
            stripped = line.strip()
            if re.fullmatch(r"\[[^\[].*\](\s*#.*)?", stripped):
                table = tables.setdefault(stripped.split("#")[0].strip(), {})
            elif stripped.startswith("[["):
                # An array's table may stand there many times; two that say the same are one.
                whole = block[block.index(line) :].strip()
                table = tables.setdefault(f"{stripped}\0{whole}", {})
            elif stripped:
                table.setdefault(stripped.split("=")[0].strip(), line.rstrip())
    merged: list[str] = []
    for name, lines in tables.items():
        if not name and not lines:
            continue
        if merged:
            merged.append("")
        if name:
            merged.append(name.split("\0")[0])
        merged.extend(lines.values())
    return merged
