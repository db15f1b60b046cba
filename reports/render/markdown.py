"""A run as Markdown, for the summary page of a CI job: `report.md`, well under 60 kB.

Text from the target is shown as plain text: characters that Markdown interprets are escaped, and characters that do
not print become escapes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.rulebook.model import AREAS, Verdict
from conformance.rulebook.pages import address_of, documented
from conformance.text import cut, reveal
from conformance.units import format_significant
from reports.headline import headline, next_command, subline
from reports.model.load_notes import cause, causes, moments, rest_of_causes, session_line, slowest
from reports.render.causes import extent, standing
from reports.render.terminal.load_screen import STEP_HEADS, step_cells
from reports.text import error_share, known_findings_text, plural, rerun_of, slo_word

__all__ = ["LIMIT", "NAME", "code", "prose", "render", "table"]

NAME = "report.md"

#: In bytes. CI servers refuse more.
LIMIT = 60_000

_FINDINGS = 10
_CAUSES = 5
_LISTED = 40
_MARKS = {
    Verdict.PASS: "✅",
    Verdict.FAIL: "❌",
    Verdict.WARN: "⚠️",
    Verdict.WAIVED: "☑️",
    Verdict.NOT_JUDGED: "⚪",
    Verdict.ERROR: "💥",
}
_ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.WARN, Verdict.WAIVED, Verdict.NOT_JUDGED, Verdict.PASS)
_OVERALL = {"conformant": "✅", "nonconformant": "❌", "undecided": "⚪"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&:@!$])")


def prose(text: object, limit: int = 300) -> str:
    """Return Markdown that shows a text unchanged, on one line."""
    shown = _SPECIAL.sub(r"\\\1", cut(reveal(str(text)), limit))
    return re.sub(r"\bwww\.", r"www\\.", shown)


def code(text: object, limit: int = 300) -> str:
    """Return a text as a span of code that is also valid in a table."""
    shown = cut(reveal(str(text)), limit).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table; the columns in `numbers` are aligned to the right."""
    rule = ["---:" if number in numbers else "---" for number in range(len(heads))]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]


def render(report: Mapping[str, Any], *, changes: Sequence[str] = ()) -> bytes:
    """Return the Markdown of a report; `changes` are the lines of a comparison, if there is one."""
    lines = [*_head(report), *_causes_to_mend(report)]
    if changes:
        lines += ["", "### What changed", "", *changes]
    lines += _load(report.get("load"))
    lines += _areas(report)
    tail = [*_client_findings(report), *_known(report), *_rest(report)]
    # The findings get the room that is left.
    for most in (_FINDINGS, 5, 2, 0):
        whole = "\n".join([*lines, *_findings(report, most), *tail]) + "\n"
        data = whole.encode("utf-8", "backslashreplace")
        if len(data) < LIMIT:
            return data
    return data[: LIMIT - 100].rpartition(b"\n")[0] + b"\n\nCut; the whole is in report.html.\n"


def _head(report: Mapping[str, Any]) -> list[str]:
    target = report["target"]
    facts = [code(target["url"], 200), target["environment"] or "environment not stated"]
    facts += [f"seed {report['seed']}"] if report["seed"] is not None else []
    facts += [plural(report["requests"], "request"), f"{report['seconds']:.1f} s"]
    facts += [plural(report["resets"], "reset") + " of the target"] if report["resets"] else []
    facts += ["**interrupted**"] if report["interrupted"] else []
    mark = _OVERALL.get(report["verdict"], "⚪")
    return [
        f"## {mark} {prose(headline(report))}",
        "",
        f"{prose(subline(report), 600)}",
        "",
        *([f"To judge more: {code(command, 400)}", ""] if (command := next_command(report)) else []),
        " · ".join(facts),
        *([""] if report.get("phases") else []),
        *(
            f"- {prose(phase['name'])}: {prose(phase['verdict'])}: {prose(phase['reason'], 400)}"
            for phase in report.get("phases") or ()
        ),
    ]


def _causes_to_mend(report: Mapping[str, Any]) -> list[str]:
    """Return the causes of the findings, the first ones with the exchange that shows them."""
    found = standing(report)
    if not found:
        return []
    lines = ["", f"### {plural(len(found), 'cause')}", ""]
    for number, each in enumerate(found[:_LISTED], 1):
        mark = _MARKS[Verdict.FAIL if each["level"] == "must" else Verdict.WARN]
        rules = ", ".join(each["rules"][:_FINDINGS])
        more = f" and {len(each['rules']) - _FINDINGS} more" if each["rules"][_FINDINGS:] else ""
        lines.append(
            f"{number}. {mark} **{prose(each['sentence'])}** ({each['id']}): {prose(rules)}{more}; "
            f"{prose(extent(each))}"
        )
        if number > _CAUSES:
            continue
        example = each["example"]
        lines.append(
            f"   - {prose(example['rule'])} {code(example['function'] or 'the target', 60)}: "
            f"expected {prose(example['expected'], 200)}; got {prose(example['actual'], 200)}"
        )
        if example["curl"] and len(example["curl"]) <= 700:
            lines.append(f"   - repeat: {code(example['curl'], 700)}")
        lines.append(f"   - look at: {prose(each['where'])}")
        if each["advice"]:
            lines.append(f"   - {prose(each['advice'])}")
    if found[_LISTED:]:
        lines.append(f"\nAnd {plural(len(found) - _LISTED, 'more cause')}. All are in report.html.")
    return lines


def _areas(report: Mapping[str, Any]) -> list[str]:
    areas: dict[str, Counter[str]] = {}
    for rule in report["rules"]:
        areas.setdefault(rule["area"], Counter())[rule["verdict"]] += 1
    if not areas:
        return []
    shown = [verdict for verdict in _ORDER if any(counts[verdict] for counts in areas.values())]
    rows = [
        [prose(AREAS.get(area, area)), *(str(counts[verdict] or "") for verdict in shown)]
        for area, counts in areas.items()
    ]
    total = sum(areas.values(), Counter[str]())
    rows.append(["**all**", *(f"**{total[verdict]}**" for verdict in shown)])
    heads = ["Area", *(f"{_MARKS[verdict]} {verdict}" for verdict in shown)]
    return ["", *table(heads, rows, numbers=range(1, len(heads)))]


def _weight(rule: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    order = {Verdict.FAIL: 0, Verdict.WARN: 1}
    steady = any(finding["reproduced"] in ("3/3", "1/1", "2/2") for finding in found)
    return (
        order.get(rule["verdict"], 2),
        not steady,
        -len(found),
        -sum(finding["count"] for finding in found),
    )


def _page_of(rule: str) -> str:
    """Return a link to the page of a rule, or its path in the project if the project has no address."""
    address = address_of(rule)
    return f"([{rule}]({address}))" if address.startswith("https:") else f"({code(address)})"


def _findings(report: Mapping[str, Any], most: int) -> list[str]:
    """Return the most important findings: broken must rules first, then reproduced ones, then by functions."""
    groups = []
    for rule in report["rules"]:
        kinds: dict[str, list[Mapping[str, Any]]] = {}
        for finding in rule["findings"]:
            if not finding["waived"]:
                kinds.setdefault(finding["kind"], []).append(finding)
        groups += [(rule, found) for found in kinds.values()]
    if not groups:
        return []
    groups.sort(key=lambda pair: _weight(*pair))
    number = sum(len(found) for _, found in groups)
    of = f", {plural(len(groups), 'kind')}" if len(groups) < number else ""
    lines = ["", f"### {plural(number, 'finding')}{of}"]
    for rule, found in groups[:most]:
        first = found[0]
        functions = [finding["function"] or "the target" for finding in found]
        more = f" and {len(functions) - 4} more" if len(functions) > 4 else ""
        where = ", ".join(code(name, 60) for name in functions[:4]) + more
        count = sum(finding["count"] for finding in found)
        again = f", came back {first['reproduced']}" if first["reproduced"] else ""
        lines += [
            "",
            f"**{_MARKS[Verdict(rule['verdict'])]} {prose(rule['id'])}** {prose(rule['title'])}: {where}, "
            f"seen {plural(count, 'time')}{again}{_cause_ids(found)}",
            "",
            f"- expected: {prose(first['expected'])}",
            f"- got: {prose(first['actual'])}",
        ]
        if first["curl"] and len(first["curl"]) <= 700:
            lines.append(f"- repeat: {code(first['curl'], 700)}")
        if rerun := rerun_of(report, rule["id"]):
            lines.append(f"- rerun: {code(rerun, 500)}")
        if record := documented(rule["id"]):
            lines.append(f"- mended by: {prose(record.remedy, 600)} {_page_of(record.id)}")
    if groups[most:]:
        rest = Counter(rule["id"] for rule, _ in groups[most:])
        names = [f"{prose(rule)} ({count})" if count > 1 else prose(rule) for rule, count in rest.items()]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        lines += [
            "",
            f"And {len(groups) - most} more: {', '.join(names[:_LISTED])}{more}. All are in report.html.",
        ]
    return lines


def _cause_ids(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the causes of findings, as the end of a sentence."""
    ids = dict.fromkeys(finding["cause"] for finding in found if finding.get("cause"))
    return f" ({', '.join(ids)})" if ids else ""


def _known(report: Mapping[str, Any]) -> list[str]:
    """List the findings known from an earlier run, and those of them that no longer occur."""
    summary = known_findings_text(report)
    if summary is None:
        return []
    lines = ["", "### Known findings", "", f"{prose(summary, 900)}", ""]
    seen = report["known"]["seen"]
    for one in seen[:_LISTED]:
        lines.append(
            f"- {prose(one['rule'])} {code(one['function'] or 'the target', 60)}: {prose(one['kind'], 200)}"
        )
    return lines + ([f"- and {len(seen) - _LISTED} more"] if seen[_LISTED:] else [])


def _load(load: Mapping[str, Any] | None) -> list[str]:
    if not load:
        return []
    total, due = load["total"], load["total"]["due"] or {}
    lines = ["", f"### Load: {prose(load['scenario'])}, {prose(load['arrivals'])}", ""]
    asked = "" if total.get("asked") is None else f" of {total['asked']:.1f}/s asked for"
    reached = f"{total['reached']:.1f}/s reached"
    if "served" in total:
        answered = total["answered"] / max(load["seconds"] - load["warmup"], 1e-9)
        reached = f"{answered:.1f}/s answered and {total['rate']:.1f}/s served"
    lines.append(
        f"{plural(total['requests'], 'request')}, {reached}{asked}, "
        f"{plural(total['failed'] + (total.get('no_connection') or 0), 'error')} "
        f"({100 * error_share(total):.3g} %), {total['nonconformant']} nonconformant. From the moment due: "
        + ", ".join(f"{name} {format_significant(due.get(name))}" for name in ("p50", "p95", "p99", "max"))
        + "."
        + _others(total)
    )
    if load["slos"]:
        marks = {"held": "✅", "missed": "❌"}
        rows = [
            [
                f"{marks.get(slo_word(load, slo), '⚪')} {slo_word(load, slo)}",
                code(slo["text"], 80),
                "" if slo["value"] is None else prose(f"{slo['value']:.4g} {slo['unit'] or ''}"),
                "" if slo["margin"] is None else f"{100 * slo['margin']:+.1f} %",
                prose(slo["reason"] or "", 200),
            ]
            for slo in load["slos"][:_LISTED]
        ]
        lines += ["", *table(["", "SLO", "value", "margin", "why"], rows, numbers=(2, 3))]
    lines += _causes(load)
    if (summary := session_line(load)) is not None and load["sessions"]["overlapped"]:
        lines += ["", f"Sessions: {prose(summary)}."]
    if steps := load.get("steps"):
        cells = [[prose(cell) for cell in step_cells(step)] for step in steps[:_LISTED]]
        lines += ["", *table(list(STEP_HEADS), cells, numbers=(1, 2, 3, 4, 5, 6))]
    health = load["health"]
    if not health["valid"]:
        lines += ["", f"⚠️ The generator was not fit to say so: {prose('; '.join(health['why']), 600)}"]
    return lines


def _causes(load: Mapping[str, Any]) -> list[str]:
    """Return the causes of failed requests, and the slowest served requests."""
    lines: list[str] = []
    if found := causes(load):
        rows = [[f"{row['count']:,}", prose(cause(row)), prose(moments(row))] for row in found]
        lines += ["", *table(["failed", "why", "when"], rows, numbers=(0,))]
        if (summary := rest_of_causes(load, len(found))) is not None:
            lines += ["", f"Not in the table: {summary}."]
    if slow := slowest(load):
        heads = ["slowest served", "at", "from due", "from sent", "bytes", "session", "connection"]
        rows = [[code(row[0]), *map(prose, row[1:])] for row in slow]
        lines += ["", *table(heads, rows, numbers=(1, 2, 3, 4))]
    return lines


def _others(total: Mapping[str, Any]) -> str:
    """Return the counts of requests that were not served, and the latencies of refusals."""
    refused = total.get("refused") or {}
    parts = []
    if refused.get("count"):
        p50, p95 = (format_significant(refused[name]) for name in ("p50", "p95"))
        parts.append(f"{refused['count']} refused (p50 {p50}, p95 {p95})")
    for name, what in (
        ("unanswered", "without an answer"),
        ("dropped", "dropped"),
        ("renewed", "renewed with their session"),
    ):
        if total.get(name):
            parts.append(f"{total[name]} {what}")
    return f" Not served: {', '.join(parts)}." if parts else ""


def _client_findings(report: Mapping[str, Any]) -> list[str]:
    """Return what clients sent wrong in recorded traffic."""
    found = sorted(report.get("client_findings") or (), key=lambda each: -each["count"])
    if not found:
        return []
    rows = [
        [
            str(each["count"]),
            code(each["function"] or "", 60),
            prose(each["kind"], 120),
            prose(each["actual"], 200),
        ]
        for each in found[:_LISTED]
    ]
    more = [f"\nAnd {len(found) - _LISTED} more in report.html."] if found[_LISTED:] else []
    heads = ["times", "function", "what", "for example"]
    return ["", "### What clients sent wrong", "", *table(heads, rows, numbers=(0,)), *more]


def _rest(report: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for error in report["errors"][:5]:
        who = "the suite itself failed" if error["ours"] else "error"
        lines.append(f"- {who}: {prose(error['message'])}")
    for waiver in report["waivers"][:10]:
        where = f" for {code(waiver['function'], 60)}" if waiver["function"] else ""
        lines.append(f"- waiver {prose(waiver['rule'])}{where}: {prose(waiver['message'])}")
    if report["leftovers"]:
        lines.append(f"- {plural(len(report['leftovers']), 'object')} could not be removed from the target")
    left = [rule for rule in report["rules"] if rule["verdict"] == Verdict.NOT_JUDGED]
    if left:
        names = ", ".join(prose(rule["id"]) for rule in left[:_LISTED])
        lines.append(f"- not judged: {names}{f' and {len(left) - _LISTED} more' if left[_LISTED:] else ''}")
    lines += [f"- note: {prose(note)}" for note in report["notes"][:5]]
    return ["", *lines] if lines else []
