"""Phrases and figures that several renderings of a report share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.text import cut, plural

__all__ = [
    "decided",
    "error_share",
    "goodput",
    "judged_on_text",
    "known_findings_text",
    "latency",
    "merge_lines",
    "plural",
    "rerun_of",
    "slo_word",
]


def judged_on_text(judged_on: Mapping[str, Any]) -> str:
    """Return what part of its functions (or the like) a rule was tested on: `judged on 3 of 33 functions`."""
    return f"judged on {judged_on['done']} of {judged_on['of']} {judged_on['what']}"


def latency(counts: Mapping[str, Any], since: str, key: str) -> float | None:
    """Return a latency from a load's counts in ms, measured `since` "due" or "sent"; None if it is unknown."""
    found = (counts.get(since) or {}).get(key)
    return None if found is None else float(found)


def goodput(counts: Mapping[str, Any]) -> float:
    """Return the requests served per second; for an older run, those answered."""
    return float(counts.get("rate", counts["reached"]))


def error_share(counts: Mapping[str, Any]) -> float:
    """Return the share of requests that are errors, including those that found no free connection."""
    starved = counts.get("no_connection") or 0
    wanted = counts["requests"] + starved
    return (counts["failed"] + starved) / wanted if wanted else 0.0


def decided(load: Mapping[str, Any], slo: Mapping[str, Any]) -> bool:
    """Return whether an SLO's verdict is valid: older versions also judged runs with an unfit generator."""
    return "default" in slo or bool((load.get("health") or {}).get("valid", True))


def slo_word(load: Mapping[str, Any], slo: Mapping[str, Any]) -> str:
    """Return the state of an SLO as reports write it; "not valid" if the generator was unfit."""
    if slo["verdict"] != "not judged" and not decided(load, slo):
        return "not valid"
    return {"pass": "held", "fail": "missed"}.get(slo["verdict"], "not judged")


def rerun_of(report: Mapping[str, Any], rule: str) -> str | None:
    """Return the command that judges one rule again, or the whole load; None if it is unknown.

    A finding in an exchange of another rule's test needs that test, too, so the command names both rules.
    """
    if report["verb"] == "load":
        # A load judges all rules on every answer; it cannot be limited to one.
        whole: str | None = report["rerun"]
        return whole
    command = report.get("rerun_rule") or report["rerun"]
    if not command:
        return None
    found: list[dict[str, Any]] = next(
        (each["findings"] for each in report["rules"] if each["id"] == rule), []
    )
    others = dict.fromkeys(finding["test_rule"] for finding in found if finding.get("test_rule"))
    return " ".join([command, *(f"--rule {each}" for each in (rule, *others))])


def known_findings_text(report: Mapping[str, Any]) -> str | None:
    """Return one line on the findings of the named earlier run; None if no run was named."""
    known = report.get("known")
    if not known:
        return None
    summary = f"{plural(len(known['seen']), 'finding')} of {known['from']} again"
    if known["open"]:
        summary += f"; of {len(known['open'])} nobody can say, their rules were not judged to the end"
    if not known["gone"]:
        return summary
    where = [f"{one['rule']} {one['function'] or 'the target'}" for one in known["gone"]]
    names = ", ".join(cut(name, 80) for name in dict.fromkeys(where[:6]))
    more = f" and {len(where) - 6} more" if len(where) > 6 else ""
    verb = "occurs" if len(where) == 1 else "occur"
    return f"{summary}; {len(where)} {verb} no more ({names}{more}): name this run next time, and the list shrinks"


def merge_lines(blocks: Iterable[str]) -> list[str]:
    """Merge pieces of a profile, so that each table and each key of a table occurs once."""
    tables: dict[str, dict[str, str]] = {"": {}}
    for block in blocks:
        table = tables[""]
        for line in block.splitlines():
            stripped = line.strip()
            if re.fullmatch(r"\[[^\[].*\](\s*#.*)?", stripped):
                table = tables.setdefault(stripped.split("#")[0].strip(), {})
            elif stripped.startswith("[["):
                # A table of an array may occur many times; identical ones are merged.
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
