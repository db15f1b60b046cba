"""A run as JUnit XML for CI servers: a suite for each area, a test case for each rule, and a suite for a load."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.rulebook.model import AREAS, Verdict
from conformance.text import cut, reveal
from reports.headline import required_rules
from reports.model.load_notes import largest_cause, missed_windows, steps_of
from reports.model.load_summary import measured
from reports.render.terminal.load_screen import STEP_HEADS, step_cells
from reports.text import decided, plural, rerun_of

__all__ = ["NAME", "render"]

NAME = "junit.xml"

#: A message is an attribute, and one line in a CI server's table. The body may be longer.
MAX_MESSAGE_CHARACTERS = 300
MAX_BODY_CHARACTERS = 4000
MAX_FINDINGS = 50


def _text(value: object, limit: int = MAX_BODY_CHARACTERS) -> str:
    """Return a text that every XML parser accepts."""
    return cut(reveal(str(value), keep="\n"), limit)


def render(report: Mapping[str, Any]) -> bytes:
    """Return the run as a JUnit document."""
    root = ET.Element(
        "testsuites", name=f"conform {_text(report['verb'], 40)}", time=f"{report['seconds']:.3f}"
    )
    areas: dict[str, list[Mapping[str, Any]]] = {}
    for rule in report["rules"]:
        areas.setdefault(rule["area"], []).append(rule)
    totals = [0, 0, 0]
    for area, rules in areas.items():
        suite = ET.SubElement(root, "testsuite", name=_text(f"{area} {AREAS.get(area, area)}"))
        suite.set("timestamp", str(report["started"]).removesuffix("Z"))
        properties = ET.SubElement(suite, "properties")
        for name, value in (
            ("target", report["target"]["url"]),
            ("environment", report["target"]["environment"]),
            ("seed", report["seed"]),
            ("verdict", report["verdict"]),
            ("suite", report["suite"]),
        ):
            ET.SubElement(properties, "property", name=name, value=_text("" if value is None else value, 400))
        counts = {"failure": 0, "error": 0, "skipped": 0}
        for rule in rules:
            case = ET.SubElement(suite, "testcase", classname=_text(area), time="0")
            case.set("name", _text(f"{rule['id']} {rule['title']}", 200))
            outcome = _outcome(case, rule, report)
            if outcome:
                counts[outcome] += 1
        numbers = (len(rules), counts["failure"], counts["error"])
        for name, number in zip(("tests", "failures", "errors"), numbers, strict=True):
            suite.set(name, str(number))
        suite.set("skipped", str(counts["skipped"]))
        suite.set("time", "0")
        totals = [total + number for total, number in zip(totals, numbers, strict=True)]
    if report["load"] is not None:
        totals = [total + number for total, number in zip(totals, _load(root, report), strict=True)]
    for name, number in zip(("tests", "failures", "errors"), totals, strict=True):
        root.set(name, str(number))
    ET.indent(root)
    return (
        b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"
    )


def _load(root: ET.Element, report: Mapping[str, Any]) -> tuple[int, int, int]:
    """Add a suite for the load: a test case for each SLO, one for the generator's health, and a table of steps."""
    load = report["load"]
    suite = ET.SubElement(root, "testsuite", name="LOAD Load")
    suite.set("timestamp", str(report["started"]).removesuffix("Z"))
    _load_properties(suite, load)
    outcomes = Counter(_slo_case(suite, load, slo) for slo in load["slos"])
    health = load["health"]
    case = ET.SubElement(
        suite, "testcase", classname="LOAD", time="0", name="the generator was fit to say so"
    )
    if not health["valid"]:
        _add_outcome(
            case, "error", "generator", "; ".join(health["why"]) or "not valid", "\n".join(health["why"])
        )
        outcomes["error"] += 1
    tests = len(load["slos"]) + 1
    failures, errors = outcomes["failure"], outcomes["error"]
    numbers = (tests, failures, errors, outcomes["skipped"])
    for name, number in zip(("tests", "failures", "errors", "skipped"), numbers, strict=True):
        suite.set(name, str(number))
    suite.set("time", f"{load['seconds']:.3f}")
    if steps := load.get("steps"):
        ET.SubElement(suite, "system-out").text = _text(
            "\n".join(_step_lines(steps)), 20 * MAX_BODY_CHARACTERS
        )
    return tests, failures, errors


def _load_properties(suite: ET.Element, load: Mapping[str, Any]) -> None:
    """Add what was asked for, what was answered and what was served."""
    total = load["total"]
    measured_seconds = max(load["seconds"] - (load["warmup"] or 0), 1e-9)
    schedule = load["schedule"] or load["search"] or {"text": f"{load['users']} users"}
    rates = {"asked": total.get("asked")}
    if "served" in total:
        rates |= {"answered": total["answered"] / measured_seconds, "served": total["rate"]}
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("scenario", load["scenario"]),
        ("arrivals", load["arrivals"]),
        ("schedule", schedule["text"]),
        ("requests", total["requests"]),
        *((name, total[name]) for name in ("answered", "served") if name in total),
        *((f"{name} per second", f"{value:.4g}") for name, value in rates.items() if value is not None),
    ):
        ET.SubElement(properties, "property", name=name, value=_text(value, 400))


def _slo_case(suite: ET.Element, load: Mapping[str, Any], slo: Mapping[str, Any]) -> str | None:
    """Add the test case of an SLO; return the tag of its outcome, None if it passed."""
    case = ET.SubElement(suite, "testcase", classname="LOAD", time="0", name=_text(slo["text"], 200))
    measurement = f"{measured(slo)} on {plural(slo['samples'], 'sample')}"
    more = _evidence(load, slo)
    if slo["verdict"] == "not judged":
        body = "\n".join([f"{slo['reason']}", *more])
        _add_outcome(case, "skipped", "not judged", f"not judged: {slo['reason']}", body)
        return "skipped"
    if not decided(load, slo):
        # The generator measured itself, so this is neither a pass nor a failure of the target.
        body = "\n".join(["; ".join(load["health"]["why"]), *more])
        _add_outcome(case, "skipped", "not valid", f"not valid: {measurement}", body)
        return "skipped"
    if slo["verdict"] == "fail":
        body = "\n".join(filter(None, [measurement, slo["reason"], *more]))
        _add_outcome(case, "failure", "SLO", f"{slo['text']}: {measurement}", body)
        return "failure"
    why = f"; {slo['reason']}" if slo["reason"] else ""
    text = "\n".join([measurement + why, *more])
    ET.SubElement(case, "system-out").text = _text(text, 20 * MAX_BODY_CHARACTERS)
    return None


def _evidence(load: Mapping[str, Any], slo: Mapping[str, Any]) -> list[str]:
    """Return lines about an SLO: its missed windows, its steps, and the most frequent failure."""
    lines = []
    for window in missed_windows(slo):
        value = measured({**slo, "value": window["value"]})
        bad = window.get("bad")
        seconds = f", by what came from {bad[0]:g} to {bad[1]:g} s" if bad else ""
        lines.append(
            f"missed from {window['from']:g} to {window['to']:g} s: {value} "
            f"on {plural(window['samples'], 'sample')}{seconds}"
        )
    if steps := steps_of(load, slo):
        lines += _step_lines(steps)
    if (largest := largest_cause(load, slo)) is not None:
        lines.append(f"most failed requests: {largest}")
    return lines


def _step_lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the steps of a schedule as lines of a table."""
    rows = [STEP_HEADS, *(step_cells(step) for step in steps)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _outcome(case: ET.Element, rule: Mapping[str, Any], report: Mapping[str, Any]) -> str | None:
    verdict = rule["verdict"]
    standing = [finding for finding in rule["findings"] if not finding["waived"]]
    if verdict == Verdict.FAIL or (verdict == Verdict.WARN and report["strict"]):
        _add_outcome(case, "failure", rule["level"], _headline(standing), _findings(rule, standing, report))
        return "failure"
    if verdict == Verdict.WARN:
        ET.SubElement(case, "system-out").text = _text(
            "warning\n" + _findings(rule, standing, report), 20 * MAX_BODY_CHARACTERS
        )
        return None
    if verdict == Verdict.ERROR:
        _add_outcome(case, "error", "error", rule["reason"], rule["reason"])
        return "error"
    if verdict in (Verdict.NOT_JUDGED, Verdict.WAIVED):
        known = verdict == Verdict.WAIVED and all(finding.get("known") for finding in rule["findings"])
        word = "known" if known else str(verdict)
        if rule["id"] in required_rules(report):
            _add_outcome(
                case, "failure", "required", f"required but {word}: {rule['reason']}", rule["reason"]
            )
            return "failure"
        lines = f"\nto add to conform.toml:\n{rule['lines']}" if rule["lines"] else ""
        _add_outcome(case, "skipped", word, f"{word}: {rule['reason']}", f"{rule['reason']}{lines}")
        return "skipped"
    return None


def _add_outcome(case: ET.Element, tag: str, kind: str, message: str, body: str) -> None:
    element = ET.SubElement(
        case, tag, type=_text(kind, 40), message=_text(message, MAX_MESSAGE_CHARACTERS).replace("\n", " ")
    )
    element.text = _text(body, 20 * MAX_BODY_CHARACTERS)


def _headline(findings: Sequence[Mapping[str, Any]]) -> str:
    first = findings[0]
    where = f"{first['function']}: " if first["function"] else ""
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return cut(where + (first["message"] or first["expected"]), MAX_MESSAGE_CHARACTERS - len(more)) + more


def _findings(
    rule: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], report: Mapping[str, Any]
) -> str:
    blocks = []
    for finding in findings[:MAX_FINDINGS]:
        times = f"{finding['count']} times" + (
            f", came back {finding['reproduced']}" if finding["reproduced"] else ""
        )
        answer = finding["response"]["status"] if finding["response"] else finding["failure"]
        lines = [
            f"{finding['function'] or 'target'}: {finding['message']} ({times})",
            f"expected  {finding['expected']}",
            f"got       {finding['actual']}" + (f" ({answer})" if answer else ""),
        ]
        if finding.get("cause"):
            lines.append(f"cause     {finding['cause']}")
        if finding["curl"]:
            lines.append(f"repeat    {finding['curl']}")
        blocks.append("\n".join(_text(line) for line in lines))
    if len(findings) > MAX_FINDINGS:
        blocks.append(f"and {len(findings) - MAX_FINDINGS} more in report.json")
    says = f"{rule['id']} {rule['level']}: {rule['title']}\nsays      {rule['clause']}"
    command = rerun_of(report, rule["id"])
    rerun = f"rerun     {command}" if command else ""
    return "\n\n".join(part for part in (says, *blocks, rerun) if part)
