"""The result of a verification in a few lines for a release note: `statement.txt`.

It contains only what the report contains, and identifies the report by its hash. The build is what the target reports
of itself, or a remark that it reports none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from conformance.rulebook.model import Verdict
from conformance.rulebook.requirements import is_judged
from conformance.text import cut, reveal
from reports.headline import headline, subline
from reports.model.load_summary import measured
from reports.text import plural, slo_word

__all__ = ["NAME", "render"]

NAME = "statement.txt"

_WIDTH = 11


def render(report: Mapping[str, Any], sha256: str, *, comparison: Mapping[str, Any] | None = None) -> str:
    """Return the statement on a report whose file has this hash."""
    target = report["target"]
    words = [target["url"], target["environment"] or "environment not stated"]
    words += ["the suite's own reference service"] if target["embedded"] else []
    load = report["load"]
    rows = [
        ("target", " · ".join(words)),
        ("build", _build(report.get("build"))),
        ("catalogue", _catalogue(report.get("catalogue"))),
        ("rules", _rules(report)),
        ("verdict", f"{headline(report)}: {subline(report)}"),
        *_slos(load),
    ]
    if comparison is not None:
        rows.append(
            (
                "compared",
                f"with {comparison['base']['name']}: {comparison['verdict']}, {comparison['reason']}",
            )
        )
    facts = [f"coursio-conform {report['suite']}", f"seed {report['seed']}", f"budget {report['budget']}"]
    facts += ["strict"] if report["strict"] else []
    facts += [str(report["started"])]
    rows += [("suite", " · ".join(facts)), ("report", f"sha256 {sha256}")]
    lines = ["Verified with conform"]
    # Text from the target never begins a line, and never moves a cursor.
    lines += [f"  {name:<{_WIDTH}}{cut(reveal(text), 600)}" for name, text in rows]
    return "\n".join(lines) + "\n"


def _build(build: Mapping[str, Any] | None) -> str:
    if not build:
        return "the target tells none"
    return " · ".join(f"{name}: {', '.join(values)}" for name, values in build.items())


def _catalogue(catalogue: Mapping[str, Any] | None) -> str:
    if catalogue is None:
        return "none"
    return f"sha256 {catalogue['sha256']} · {catalogue['name']}, {plural(catalogue['functions'], 'function')}"


def _rules(report: Mapping[str, Any]) -> str:
    count = Counter(rule["verdict"] for rule in report["rules"])
    judged = sum(map(is_judged, report["rules"]))
    known = sum(finding.get("known", False) for rule in report["rules"] for finding in rule["findings"])
    parts = [f"{judged} of {len(report['rules'])} judged", f"{count[Verdict.PASS]} passed"]
    parts += [
        f"{count[verdict]} {word}"
        for verdict, word in ((Verdict.FAIL, "failed"), (Verdict.WARN, "warned"), (Verdict.WAIVED, "waived"))
        if count[verdict]
    ]
    parts += [plural(known, "known finding")] if known else []
    return " · ".join(parts)


def _slos(load: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if load is None:
        return [("load", "none was put on it")]
    schedule = load["schedule"] or load["search"] or {"text": f"{load['users']} closed users"}
    rows = [
        (
            "load",
            f"{load['scenario']} · {schedule['text']} · {load['seconds']:.0f} s · "
            f"{plural(load['total']['requests'], 'request')}"
            + (f", {load['total']['served']} served" if "served" in load["total"] else ""),
        )
    ]
    for slo in load["slos"]:
        value = f"{measured(slo)}, " if slo["value"] is not None else ""
        rows.append(("SLO", f"{slo['text']}: {value}{slo_word(load, slo)}"))
    if not load["slos"]:
        rows.append(("SLO", "none was asked for"))
    return rows
