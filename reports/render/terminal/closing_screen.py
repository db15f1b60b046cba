"""The closing screen: the result of a run on one page of a terminal.

Text from the target is hostile, so it is shown as plain text. Control characters and characters that reorder or hide
text become escapes, nothing is interpreted as markup, and long texts are cut.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len

from conformance.rulebook.model import AREAS, Verdict
from conformance.text import cut, cut_middle, wants_color, writable
from reports.headline import headline, next_command, subline
from reports.render.terminal import load_screen
from reports.render.terminal.causes import show_causes
from reports.render.terminal.layout import LABEL, Page
from reports.text import judged_on_text, known_findings_text, merge_lines, plural, rerun_of

__all__ = ["print_closing", "render", "wants_color", "writable"]

MAX_FULL_FINDINGS = 12
MAX_BRIEF_FINDINGS = 15
MAX_REASONS = 12
MAX_PROFILE_LINES = 40
MAX_CLIENT_FINDINGS = 12

_HEADS = {
    Verdict.PASS: "passed",
    Verdict.FAIL: "failed",
    Verdict.WARN: "warned",
    Verdict.WAIVED: "waived",
    Verdict.NOT_JUDGED: "not judged",
    Verdict.ERROR: "error",
}
_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.WARN: "yellow",
    Verdict.WAIVED: "cyan",
    Verdict.NOT_JUDGED: "magenta",
    Verdict.ERROR: "bold red",
}
_VERDICTS = {"conformant": "bold green", "nonconformant": "bold red", "undecided": "bold yellow"}


def render(
    report: Mapping[str, Any],
    *,
    color: bool,
    width: int | None = None,
    folder: Path | None = None,
    encoding: str | None = None,
    every: bool = False,
) -> str:
    """Return the closing screen of a report: its causes, or with `every` its findings.

    `width` is 80 by default; `folder` is the folder of the report. Characters that the output's `encoding` lacks are
    shown in ASCII.
    """
    page = Page(color=color, width=width or 80, encoding=encoding)
    by_cause = not every and report["verb"] != "load"
    _verdict(page, report)
    if by_cause:
        show_causes(page, report)
    page.gap()
    if report["load"] is not None:
        load_screen.show(page, report["load"])
        if report["verb"] != "load":
            page.gap()
    if report["verb"] != "load":
        _areas(page, report)
        _partly_judged(page, report)
        _not_judged(page, report)
    _errors(page, report)
    if not by_cause:
        _standing(page, report, most=None if every else MAX_BRIEF_FINDINGS)
    _set_aside(page, report, most=None if every else MAX_BRIEF_FINDINGS)
    _client_findings(page, report, most=None if every else MAX_CLIENT_FINDINGS)
    _footer(page, report, folder)
    return page.text()


def print_closing(
    report: Mapping[str, Any],
    file: TextIO | None = None,
    *,
    color: bool | None = None,
    width: int | None = None,
    folder: Path | None = None,
    every: bool = False,
) -> None:
    """Print the closing screen in the width, colours and encoding of the file."""
    file = file or sys.stdout
    if color is None:
        color = wants_color(file)
    if width is None:
        width = min(shutil.get_terminal_size((100, 24)).columns, 140)
    encoding = getattr(file, "encoding", None)
    file.write(render(report, color=color, width=width, folder=folder, encoding=encoding, every=every))
    file.flush()


def _verdict(page: Page, report: Mapping[str, Any]) -> None:
    style = _VERDICTS.get(report["verdict"], "bold")
    page.line((headline(report), style), ("  " + cut(subline(report), 300), ""), indent=2)
    target = report["target"]
    parts = [cut(target["url"], 120), target["environment"] or "environment not stated"]
    parts += ["embedded"] if target["embedded"] else []
    parts += ["strict"] if report["strict"] else []
    parts += ["interrupted"] if report["interrupted"] else []
    page.line((" · ".join(parts), "dim"), indent=2)
    if command := next_command(report):
        page.line(("to judge more: ", ""), (command, "cyan"), indent=2)


def _areas(page: Page, report: Mapping[str, Any]) -> None:
    areas: dict[str, Counter[str]] = {}
    for rule in report["rules"]:
        areas.setdefault(rule["area"], Counter())[rule["verdict"]] += 1
    names = {area: AREAS.get(area, area) for area in areas}
    first = max([len(name) for name in names.values()] + [5])
    page.line((" " * first + "".join(f"  {head}" for head in _HEADS.values()), "dim"))
    total: Counter[str] = Counter()
    for area, counts in areas.items():
        total.update(counts)
        _row(page, names[area].ljust(first), counts)
    _row(page, "all".ljust(first), total, style="bold")


def _row(page: Page, name: str, counts: Mapping[str, int], style: str = "") -> None:
    parts = [(name, style)]
    for verdict, head in _HEADS.items():
        number = counts.get(verdict, 0)
        cell = f"  {str(number) if number else '·':>{len(head)}}"
        parts.append((cell, _STYLES[verdict] if number else "dim"))
    page.line(*parts)


def _ids(rules: Iterable[str], order: Mapping[str, int]) -> str:
    """Return ids in the order of the rulebook, with `ENV-1 to ENV-4` for three or more in a row."""
    runs: list[list[str]] = []
    for identifier in sorted(set(rules), key=lambda name: order.get(name, 0)):
        last = runs[-1][-1] if runs else ""
        if (
            order.get(last, -9) + 1 == order.get(identifier)
            and last.split("-")[0] == identifier.split("-")[0]
        ):
            runs[-1].append(identifier)
        else:
            runs.append([identifier])
    shown = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs]
    return ", ".join(shown)


def _partly_judged(page: Page, report: Mapping[str, Any]) -> None:
    """Show the rules that were tested on fewer functions than they apply to."""
    order = {rule["id"]: number for number, rule in enumerate(report["rules"])}
    parts: dict[str, list[str]] = {}
    for rule in report["rules"]:
        if rule["judged_on"] is not None:
            parts.setdefault(judged_on_text(rule["judged_on"]), []).append(rule["id"])
    if not parts:
        return
    page.gap()
    page.line((f"Judged in part ({plural(sum(map(len, parts.values())), 'rule')})", "bold"))
    ranked = sorted(parts.items(), key=lambda item: -len(item[1]))
    for part, ids in ranked[:MAX_REASONS]:
        page.line((f"  {part}: {_ids(ids, order)}", ""), indent=4)
    if len(ranked) > MAX_REASONS:
        more = sum(len(ids) for _, ids in ranked[MAX_REASONS:])
        page.line((f"  and {plural(more, 'more rule')} in report.json", "dim"))


def _not_judged(page: Page, report: Mapping[str, Any]) -> None:
    order = {rule["id"]: number for number, rule in enumerate(report["rules"])}
    rules = [rule for rule in report["rules"] if rule["verdict"] == Verdict.NOT_JUDGED]
    if not rules:
        return
    reasons: dict[str, list[str]] = {}
    for rule in rules:
        reasons.setdefault(rule["reason"], []).append(rule["id"])
    page.gap()
    page.line((f"Not judged ({plural(len(rules), 'rule')})", "bold"))
    ranked = sorted(reasons.items(), key=lambda item: -len(item[1]))
    for reason, ids in ranked[:MAX_REASONS]:
        page.line(
            ("  " + cut(reason, 240), ""),
            (": ", ""),
            (_ids(ids, order), _STYLES[Verdict.NOT_JUDGED]),
            indent=4,
        )
    if len(ranked) > MAX_REASONS:
        page.line((f"  and {plural(len(ranked) - MAX_REASONS, 'more reason')} in report.json", "dim"))
    lines = merge_lines(rule["lines"] for rule in rules if rule["lines"])
    if lines:
        page.line(("  To have them judged, add to conform.toml:", ""))
        for line in lines[:MAX_PROFILE_LINES]:
            page.line(("    " + line if line else "", "cyan"), wrap=False)
        if len(lines) > MAX_PROFILE_LINES:
            page.line((f"    … ({len(lines) - MAX_PROFILE_LINES} more lines in report.json)", "dim"))


def _errors(page: Page, report: Mapping[str, Any]) -> None:
    if not report["errors"]:
        return
    page.gap()
    page.line((f"Errors ({len(report['errors'])})", "bold"))
    for error in report["errors"][:5]:
        whose = (
            "the suite itself failed, not the target" if error["ours"] else error.get("whose") or "the target"
        )
        rule = f"{error['rule']}: " if error["rule"] else ""
        page.line((f"  {rule}{whose}: ", _STYLES[Verdict.ERROR]), (cut(error["message"], 300), ""), indent=4)
    if len(report["errors"]) > 5:
        page.line((f"  and {len(report['errors']) - 5} more in report.json", "dim"))


# --- findings ---


def _groups(rule: Mapping[str, Any], *, waived: bool) -> list[list[Mapping[str, Any]]]:
    """Return the findings of a rule grouped by kind: one cause, in one or more functions."""
    kinds: dict[tuple[str, bool], list[Mapping[str, Any]]] = {}
    for finding in rule["findings"]:
        if finding["waived"] is waived:
            kinds.setdefault((finding["kind"], bool(finding.get("known"))), []).append(finding)
    return list(kinds.values())


def _where(group: Sequence[Mapping[str, Any]]) -> str:
    functions = list(dict.fromkeys(finding["function"] for finding in group if finding["function"]))
    if not functions:
        return ""
    return cut(functions[0], 60) + (f", +{plural(len(functions) - 1, 'function')}" if functions[1:] else "")


def _share(group: Sequence[Mapping[str, Any]], judged: int) -> str:
    count = sum(finding["count"] for finding in group)
    return f"{count} of {plural(judged, 'exchange')}" if judged >= count else plural(count, "time")


def _reproduction(group: Sequence[Mapping[str, Any]]) -> str:
    ratios = list(dict.fromkeys(finding["reproduced"] for finding in group if finding["reproduced"]))
    intermittent = [
        text for text in ratios if (m := re.fullmatch(r"(\d+)/(\d+)", text)) and int(m[1]) < int(m[2])
    ]
    if intermittent:
        return f"intermittent {', '.join(intermittent[:3])}"
    # If many functions break a rule, only the first few are sent again.
    again = [text for text in ratios if text != "1/1"]
    return f"came back {', '.join(again[:3])}" if again else ""


def _example(group: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    shown = [finding for finding in group if finding["request"]] or list(group)
    return min(shown, key=lambda finding: len(finding["request"]["body"]) if finding["request"] else 0)


def _standing(page: Page, report: Mapping[str, Any], *, most: int | None) -> None:
    """Show the findings that count: some in full, `most` of the rest (or all of it) in a line each."""
    found = [
        (rule, group)
        for verdict in (Verdict.FAIL, Verdict.WARN)
        for rule in report["rules"]
        if rule["verdict"] == verdict
        for group in _groups(rule, waived=False)
    ]
    for rule, group in found[:MAX_FULL_FINDINGS]:
        page.gap()
        _show_finding(page, rule, group, report)
    rest = found[MAX_FULL_FINDINGS:]
    if rest:
        page.gap()
        for rule, group in rest[:most]:
            mark, style = _mark(rule)
            where = " · ".join(part for part in (_where(group), _share(group, rule["judged"])) if part)
            head = f"{mark} {rule['id']} {rule['level']}  "
            room = max(10, page.width - cell_len(head) - cell_len(where) - 2)
            page.line(
                (head, style), (f"{cut_middle(_found(rule, group), room)}  ", ""), (where, "dim"), indent=4
            )
        if more := len(rest) - len(rest[:most]):
            page.line((f"  and {plural(more, 'more finding')} in report.json", "dim"))


def _found(rule: Mapping[str, Any], group: Sequence[Mapping[str, Any]]) -> str:
    """Return what was found in a few words: two findings of a rule differ in them."""
    example = _example(group)
    message = example["message"]
    return str(message if message and message != rule["title"] else example["kind"] or rule["title"])


def _set_aside(page: Page, report: Mapping[str, Any], *, most: int | None) -> None:
    """Show the findings that are waived or known, `most` of each or all."""
    set_aside = [(rule, group) for rule in report["rules"] for group in _groups(rule, waived=True)]
    for known, word in ((True, "Known"), (False, "Waived")):
        waived = [(rule, group) for rule, group in set_aside if bool(group[0].get("known")) is known]
        if not waived:
            continue
        page.gap()
        page.line((f"{word} ({plural(len(waived), 'finding')})", "bold"))
        for rule, group in waived[:most]:
            where = " · ".join(part for part in (_where(group), _share(group, rule["judged"])) if part)
            page.line(
                (f"  {rule['id']} ", _STYLES[Verdict.WAIVED]),
                (f"{where}: ", ""),
                (cut(group[0]["waiver"], 200), ""),
                indent=4,
            )
        if more := len(waived) - len(waived[:most]):
            page.line((f"  and {more} more in report.json", "dim"))


def _client_findings(page: Page, report: Mapping[str, Any], *, most: int | None) -> None:
    """Show what clients sent wrong in recorded traffic, `most` of it or all."""
    found = report.get("client_findings") or []
    if not found:
        return
    page.gap()
    page.line(("What clients sent wrong", "bold"), (" (the target is not judged by it)", "dim"))
    ranked = sorted(found, key=lambda each: -each["count"])
    for each in ranked[:most]:
        where = " · ".join(
            part for part in (cut(each["function"] or "", 60), plural(each["count"], "time")) if part
        )
        page.line(
            (f"  {where}: ", "dim"),
            (cut(each["kind"], 100), ""),
            (f": {cut(each['actual'], 160)}", ""),
            indent=4,
        )
    if more := len(ranked) - len(ranked[:most]):
        page.line((f"  and {plural(more, 'more kind')} in report.json", "dim"))


def _mark(rule: Mapping[str, Any]) -> tuple[str, str]:
    return ("✗" if rule["verdict"] == Verdict.FAIL else "!"), _STYLES[Verdict(rule["verdict"])]


def _show_finding(
    page: Page, rule: Mapping[str, Any], group: Sequence[Mapping[str, Any]], report: Mapping[str, Any]
) -> None:
    mark, style = _mark(rule)
    head = f"{mark} {rule['id']} {rule['level']}  "
    parts = (_where(group), _share(group, rule["judged"]), _reproduction(group))
    facts = " · ".join(part for part in parts if part)
    room = page.width - cell_len(page.safe(head + rule["title"])) - cell_len(page.safe(facts))
    if room >= 3:
        page.line((head, style), (rule["title"], "bold"), (" " * room + facts, "dim"))
    else:
        page.line((head, style), (rule["title"], "bold"), indent=4)
        page.line(("  " + facts, "dim"), indent=4)
    example = _example(group)
    page.field("says", rule["clause"])
    message = example["message"]
    if message and message not in (rule["title"], example["expected"], example["actual"]):
        page.field("found", message)
    if example["expected"]:
        page.field("expected", example["expected"])
    got = example["actual"]
    if example["response"] and str(example["response"]["status"]) not in got:
        got = f"{cut(got, 3 * (page.width - LABEL) - 8)} ({example['response']['status']})".strip()
    elif not example["response"] and example["failure"] and example["failure"].rpartition(": ")[2] not in got:
        got = f"{got} ({example['failure']})" if got else example["failure"]
    if got:
        page.field("got", got)
    if example["curl"]:
        page.raw("repeat", cut(example["curl"], 1000, " (in full in report.json)"))
    if rerun := rerun_of(report, rule["id"]):
        page.raw("rerun", rerun)
    if example.get("case"):
        page.raw("case", example["case"])


def _footer(page: Page, report: Mapping[str, Any], folder: Path | None) -> None:
    page.gap()
    if report["waivers"]:
        for waiver in report["waivers"][:5]:
            where = f" for {waiver['function']}" if waiver["function"] else ""
            page.field("waiver", f"{waiver['rule']}{where}: {waiver['message']}")
        if len(report["waivers"]) > 5:
            page.field("", f"and {len(report['waivers']) - 5} more waivers to look at, in report.json")
    if text := known_findings_text(report):
        page.field("known", text)
    if report["leftovers"]:
        reasons: dict[str, Counter[str]] = {}
        for left in report["leftovers"]:
            why = str(left["reason"] or "it could not be removed")
            reasons.setdefault(why, Counter())[str(left["kind"])] += 1
        for why, kinds in sorted(reasons.items(), key=lambda pair: -pair[1].total())[:3]:
            text = ", ".join(f"{count} {cut(kind, 40)}" for kind, count in kinds.most_common(8))
            page.field("left over", f"{text}: {cut(why, 120)}")
        if len(reasons) > 3:
            page.field("", "and more for other reasons, in report.json")
    _coverage(page, report.get("coverage"))
    for note in report["notes"][:5]:
        page.field("note", note)
    if len(report["notes"]) > 5:
        page.field("", f"and {plural(len(report['notes']) - 5, 'more note')} in report.json")
    facts = [] if report["seed"] is None else [f"seed {report['seed']}"]
    facts += [plural(report["requests"], "request"), f"{report['seconds']:.1f} s"]
    facts += [plural(report["resets"], "reset") + " of the target"] if report["resets"] else []
    page.field("run", " · ".join(facts))
    if report.get("first_finding") is not None:
        page.field("first", f"finding after {report['first_finding']:.1f} s")
    if folder is not None:
        page.raw("report", str(folder / "report.json"))
        if any(rule["findings"] for rule in report["rules"]):
            page.raw("live", f"conform explore {shlex.quote(str(folder))}")


def _coverage(page: Page, coverage: Mapping[str, Any] | None) -> None:
    """Show the coverage of generated data: how much was sent, and what was never accepted."""
    if not coverage:
        return
    functions = coverage["functions"]
    examples = sum(sum(counts["examples"].values()) for counts in functions.values())
    accepted = sum(counts["accepted"] for counts in functions.values())
    refused = sum(counts["refused"] for counts in functions.values())
    text = [
        f"{plural(len(functions), 'function')}: {examples:,} {'example' if examples == 1 else 'examples'}, "
        f"of the valid {accepted:,} accepted and {refused:,} refused"
    ]
    both = [pair for counts in functions.values() for pair in counts["parameters"].values()]
    if both:
        ways = sum(pair["accepted"] > 0 and pair["refused"] > 0 for pair in both)
        text.append(f"{ways} of {plural(len(both), 'parameter')} both ways")
    never = [name for name, counts in functions.items() if counts["refused"] and not counts["accepted"]]
    if never:
        more = f" and {len(never) - 4} more" if never[4:] else ""
        text.append("never accepted: " + ", ".join(cut(name, 40) for name in never[:4]) + more)
    page.field("coverage", " · ".join(text))
