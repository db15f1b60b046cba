"""A run as one page: `report.html`.

The page contains everything it needs and fetches nothing. Its content is in the markup, in elements that open without
a script, and its charts are drawn when it is rendered. So it is readable where a content security policy forbids
scripts or styles. Its script only filters, copies, and reads values off charts.

Text from the target is hostile. Values become markup only in the environment of `reports.render.html.frame`, and the
policy of the page allows only the script and the style whose hashes it names.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.rulebook.model import AREAS, Verdict
from conformance.rulebook.pages import address_of, documented
from conformance.text import cut
from conformance.units import format_duration
from reports.compare import render as compare_render
from reports.headline import headline, next_command, subline
from reports.render.causes import effect, extent
from reports.render.html import load_section
from reports.render.html.frame import environment, frame, lines
from reports.render.html.messages import show_request, show_response
from reports.text import known_findings_text, plural, rerun_of

__all__ = ["NAME", "anchor_of", "render"]

NAME = "report.html"

#: Verdicts in the order of display, the worst first.
_VERDICTS = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.WARN,
    Verdict.WAIVED,
    Verdict.NOT_JUDGED,
    Verdict.PASS,
)
#: Characters of all bodies on a page. Each message gets an equal share, within the two bounds below.
MAX_BODIES_CHARACTERS = 1_600_000
MIN_BODY_CHARACTERS, MAX_BODY_CHARACTERS = 300, 6000
MAX_TEXT_CHARACTERS, MAX_CURL_CHARACTERS = 1200, 4000


def anchor_of(rule: str, function: str | None, kind: str) -> str:
    """Return the anchor of a finding in the page, which is the same for the same cause in every run."""
    digest = hashlib.sha256(f"{function or ''}\0{kind}".encode("utf-8", "backslashreplace")).hexdigest()
    return f"{_id(rule)}-{digest[:8]}"


def _id(text: str) -> str:
    """Return a rule's id in characters that an attribute and a URL allow."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text) or "rule"


def render(report: Mapping[str, Any], *, comparison: Mapping[str, Any] | None = None) -> bytes:
    """Return the page of a report; with a comparison (of `reports.compare.rules`) it also shows what changed."""
    rules = _rules(report)
    found = sum(len(group["findings"]) for rule in rules for group in rule["groups"])
    table = _areas(rules)
    # Broken rules come before rules that hold.
    by_verdict = {str(verdict): number for number, verdict in enumerate(_VERDICTS)}
    for_reading = [
        {**area, "rules": sorted(area["rules"], key=lambda rule: by_verdict[rule["verdict"]])}
        for area in table
    ]
    load = load_section.render(report["load"]) if report.get("load") else None
    coverage = _coverage(report.get("coverage"))
    changes = None if comparison is None else compare_render.part(comparison)
    causes = _causes(report)
    clients = sorted(report.get("client_findings") or (), key=lambda each: -each["count"])
    parts = [
        {"id": "causes", "name": "Causes", "count": len(causes), "there": bool(causes)},
        {"id": "changes", "name": "What changed", "count": "", "there": changes is not None},
        {"id": "load", "name": "Load", "count": "", "there": load is not None},
        {"id": "rulebook", "name": "Rulebook", "count": len(rules), "there": bool(rules)},
        {"id": "rules", "name": "Rules and findings", "count": found, "there": bool(rules)},
        {"id": "coverage", "name": "Contract coverage", "count": "", "there": coverage is not None},
        {"id": "clients", "name": "What clients sent wrong", "count": len(clients), "there": bool(clients)},
        {"id": "run", "name": "This run", "count": "", "there": True},
    ]
    target = report["target"]["url"]
    page = (
        environment()
        .get_template("page.html")
        .render(
            **frame(f"{headline(report)}: {target}"),
            report=report,
            verdict_word=headline(report).capitalize(),
            reason=subline(report),
            next_command=next_command(report),
            facts=_facts(report),
            alerts=_alerts(report),
            parts=[part for part in parts if part["there"]],
            rules=rules,
            causes=causes,
            areas=table,
            sorted_areas=for_reading,
            verdicts=[str(verdict) for verdict in _VERDICTS],
            totals=Counter(rule["verdict"] for rule in rules),
            functions=_functions(rules),
            findings_summary=_findings_summary(found, rules),
            coverage=coverage,
            leftovers=_leftovers(report),
            clients=clients,
            load=load,
            comparison=changes,
        )
    )
    return page.encode("utf-8", "backslashreplace")


def _areas(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rules by area, each with how often it has each verdict."""
    areas: dict[str, list[dict[str, Any]]] = {}
    for rule in rules:
        areas.setdefault(rule["area"], []).append(rule)
    return [
        {
            "id": area,
            "name": AREAS.get(area, area),
            "rules": members,
            "counts": Counter(rule["verdict"] for rule in members),
        }
        for area, members in areas.items()
    ]


def _functions(rules: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the functions that findings are about."""
    findings = [each for rule in rules for group in rule["groups"] for each in group["findings"]]
    return sorted({each["function"] for each in findings if each["function"]})


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Started", str(report["started"]).replace("T", " ").replace("Z", " UTC")),
        ("Took", _span(float(report["seconds"]))),
        ("Requests", f"{report['requests']:,}"),
    ]
    facts += [("Seed", str(report["seed"]))] if report["seed"] is not None else []
    facts += [("Budget", str(report["budget"]))] if report.get("budget") else []
    facts += [("Resets of the target", str(report["resets"]))] if report["resets"] else []
    facts += [("Strict", "a broken should fails, too")] if report["strict"] else []
    for phase in report.get("phases") or ():
        took = f" in {_span(phase['seconds'])}" if phase["seconds"] is not None else ""
        facts.append((phase["name"].capitalize(), f"{phase['verdict']}{took}"))
    if build := report.get("build"):
        reported = "; ".join(f"{name}: {', '.join(values)}" for name, values in build.items())
        facts.append(("Build, as the target reports it", cut(reported, 300)))
    if catalogue := report.get("catalogue"):
        facts.append(("Catalogue", f"{catalogue['name']}, sha256 {catalogue['sha256'][:16]}…"))
    return facts


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return format_duration(seconds)


def _alerts(report: Mapping[str, Any]) -> list[str]:
    alerts = ["The run was interrupted; what was found by then is here."] if report["interrupted"] else []
    ours = sum(bool(error["ours"]) for error in report["errors"])
    if ours:
        alerts.append(f"The suite itself failed in {plural(ours, 'place')}; that is no fault of the target.")
    if known := known_findings_text(report):
        alerts.append(f"Known findings: {known}.")
    if report["leftovers"]:
        left = plural(len(report["leftovers"]), "object")
        alerts.append(f"{left} of this run could not be removed from the target.")
    return alerts


def _findings_summary(found: int, rules: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return (
            "Nothing was found against the target. A rule opens to what it says and how often it was judged."
        )
    broken = sum(bool(rule["groups"]) for rule in rules)
    return (
        f"{plural(found, 'finding')} in {plural(broken, 'rule')}. A finding is one cause: a rule, a function and a "
        "kind of violation, however often it was seen; it shows the smallest request that did it."
    )


def _causes(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the causes, each with the anchor of the finding that shows it best; waived ones come last."""
    levels = {"must": str(Verdict.FAIL), "should": str(Verdict.WARN)}
    return [
        {
            **cause,
            "verdict": str(Verdict.WAIVED) if cause["waived"] else levels[cause["level"]],
            "anchor": cause["id"],
            "links": [{"id": rule, "anchor": _id(rule)} for rule in cause["rules"]],
            "extent": extent(cause),
            "effect": effect(cause),
            "names": cause["functions"][:40],
            "shown": {
                "rule": cause["example"]["rule"],
                "function": cause["example"]["function"],
                "anchor": anchor_of(
                    cause["example"]["rule"], cause["example"]["function"], cause["example"]["kind"]
                ),
                "expected": cut(cause["example"]["expected"], MAX_TEXT_CHARACTERS),
                "actual": cut(cause["example"]["actual"], MAX_TEXT_CHARACTERS),
                "curl": cause["example"]["curl"]
                if len(cause["example"]["curl"] or "") <= MAX_CURL_CHARACTERS
                else None,
            },
        }
        for cause in report.get("causes") or ()
    ]


def _rules(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages = 2 * sum(len(rule["findings"]) for rule in report["rules"])
    limit = max(MIN_BODY_CHARACTERS, min(MAX_BODY_CHARACTERS, MAX_BODIES_CHARACTERS // max(1, messages)))
    return [_rule(rule, report, limit) for rule in report["rules"]]


def _rule(rule: Mapping[str, Any], report: Mapping[str, Any], limit: int) -> dict[str, Any]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for finding in rule["findings"]:
        groups.setdefault(finding["kind"] or finding["message"], []).append(_finding(rule, finding, limit))
    number = len(rule["findings"])
    judged = f"{plural(rule['judged'], 'time')}" if rule["judged"] else "never"
    summary = plural(number, "finding") if number else f"judged {rule['judged']:,}×" if rule["judged"] else ""
    rerun = rerun_of(report, rule["id"])
    return {
        "id": rule["id"],
        "anchor": _id(rule["id"]),
        "number": rule["id"].rpartition("-")[2],
        "area": rule["area"],
        "level": rule["level"],
        "title": rule["title"],
        "clause": rule["clause"],
        "why": rule["why"],
        "guide": _guide(rule["id"]),
        "verdict": rule["verdict"],
        "reason": cut(rule["reason"], 4000) if rule["reason"] else None,
        "times_judged": judged,
        "summary": summary,
        "left_out": [
            {"function": left["function"], "reason": cut(str(left["reason"]), MAX_TEXT_CHARACTERS)}
            for left in rule["left_out"][:200]
        ],
        "lines": lines(rule["lines"]) if rule["lines"] else None,
        "groups": [
            {"kind": cut(kind, 300), "findings": sorted(found, key=lambda each: each["function"] or "")}
            for kind, found in groups.items()
        ],
        "rerun": rerun if rule["judged"] or number else None,
    }


def _guide(rule: str) -> dict[str, str] | None:
    """Return by what a rule is usually broken, how that is mended, and its page; None if the rule is unknown."""
    record = documented(rule)
    if record is None:
        return None
    address = address_of(rule)
    return {
        "causes": record.causes,
        "remedy": record.remedy,
        "page": address,
        "link": address if address.startswith("https:") else "",
    }


def _finding(rule: Mapping[str, Any], finding: Mapping[str, Any], limit: int) -> dict[str, Any]:
    again = finding["reproduced"]
    parts = re.fullmatch(r"(\d+)/(\d+)", again or "")
    often = [f"seen {finding['count']:,}×"]
    often += [f"came back {again}"] if again else ["not tried again"]
    curl = finding["curl"] or ""
    return {
        "function": finding["function"],
        "anchor": anchor_of(rule["id"], finding["function"], finding["kind"]),
        "message": cut(finding["message"], MAX_TEXT_CHARACTERS),
        "expected": cut(finding["expected"], MAX_TEXT_CHARACTERS),
        "actual": cut(finding["actual"], 2 * MAX_TEXT_CHARACTERS),
        "often": ", ".join(often),
        "intermittent": bool(parts and parts[1] != parts[2]),
        "waived": finding["waived"],
        "known": finding.get("known", False),
        "waiver": finding["waiver"],
        "exchange": finding["exchange"],
        "cause": finding.get("cause"),
        "request": show_request(finding, limit),
        "response": show_response(finding, limit),
        "failure": cut(finding["failure"], MAX_TEXT_CHARACTERS) if finding["failure"] else None,
        "curl": curl if len(curl) <= MAX_CURL_CHARACTERS else None,
        "curl_note": None,
        "live": f"conform explore . --finding {anchor_of(rule['id'], finding['function'], finding['kind'])}",
        "replay": f"conform replay {finding['case']}" if finding["case"] else None,
    }


def _coverage(coverage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not coverage or not coverage["functions"]:
        return None
    rows = []
    for name, counts in sorted(coverage["functions"].items()):
        parameters = [
            {"name": parameter, "accepted": pair["accepted"], "refused": pair["refused"]}
            for parameter, pair in sorted(counts["parameters"].items())
        ]
        rows.append(
            {
                "name": name,
                "examples": f"{sum(counts['examples'].values()):,}",
                "accepted": f"{counts['accepted']:,}",
                "refused": f"{counts['refused']:,}",
                "never": bool(counts["refused"] and not counts["accepted"]),
                "parameters": parameters,
                "both": sum(bool(p["accepted"] and p["refused"]) for p in parameters),
                "grid": _grid(counts.get("grid") or {}, counts.get("not_tried") or {}),
            }
        )
    every = [parameter for row in rows for parameter in row["parameters"]]
    both = sum(row["both"] for row in rows)
    return {
        "rows": rows,
        "summary": f"Generated data was sent to {plural(len(rows), 'function')}. "
        f"Of {plural(len(every), 'parameter')}, {both} were tried both ways: taken as the contract allows, "
        "refused as it forbids.",
    }


#: What a cell of the grid shows where nothing was tried, one letter for each reason.
_GAP_LETTERS = "abcdefgh"

#: What a cell of the grid shows for an outcome, the most important first.
_OUTCOMES = (
    (frozenset({"altered", "not_refused"}), "✗"),
    (frozenset({"refused_as_due", "came_back", "accepted"}), "✓"),
    (frozenset({"refused"}), "r"),
)


def _grid(
    grid: Mapping[str, Mapping[str, Mapping[str, int]]],
    not_tried: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, Any] | None:
    """Return the matrix of places and families of values of one function; None where nothing was counted.

    A cell that was not tried has a letter for the reason; the legend says what it stands for.
    """
    if not grid:
        return None
    gaps = {
        (place, family): _GAP_LETTERS[number % len(_GAP_LETTERS)]
        for number, reason in enumerate(sorted(not_tried))
        for place, families in not_tried[reason].items()
        for family in families
    }
    names = {family for cells in grid.values() for family in cells} | {family for _, family in gaps}
    families, places = sorted(names), sorted(grid.keys() | {place for place, _ in gaps})
    rows = [
        {
            "place": place,
            "cells": [
                _symbol(grid.get(place, {}).get(family, {})) or gaps.get((place, family), "")
                for family in families
            ],
        }
        for place in places
    ]
    tried = sum(bool(family) for cells in grid.values() for family in cells)
    legend = [
        f"{_GAP_LETTERS[number % len(_GAP_LETTERS)]} not tried: {reason}"
        for number, reason in enumerate(sorted(not_tried))
    ]
    return {
        "families": families,
        "rows": rows,
        "tried": f"{tried:,} of {len(rows) * len(families):,}",
        "legend": legend,
    }


def _symbol(counts: Mapping[str, int]) -> str:
    return next((symbol for outcomes, symbol in _OUTCOMES if outcomes & counts.keys()), "")


def _leftovers(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    reasons: dict[str, list[Mapping[str, Any]]] = {}
    for left in report["leftovers"]:
        reasons.setdefault(str(left["reason"] or "it could not be removed"), []).append(left)
    rows = []
    for why, lefts in reasons.items():
        kinds = Counter(str(left["kind"]) for left in lefts)
        ids = ", ".join(f"{left['kind']} {left['id']}" for left in lefts[:200] if left["id"] is not None)
        counts = ", ".join(f"{count} {cut(kind, 60)}" for kind, count in kinds.most_common(20))
        rows.append({"kinds": counts, "why": cut(why, MAX_TEXT_CHARACTERS), "ids": cut(ids, 4000)})
    return rows
