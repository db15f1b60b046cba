"""The causes of a run on the closing screen: the first ones in full, the others in a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.rulebook.pages import address_of, documented
from conformance.text import cut
from reports.render.causes import effect, example_of, extent, standing
from reports.render.terminal.layout import LABEL, Page
from reports.text import plural, rerun_of

__all__ = ["show_causes"]

MAX_FULL_CAUSES = 5
MAX_BRIEF_CAUSES = 40
MAX_LISTED_RULES = 12
MAX_CURL_CHARACTERS = 1000


def show_causes(page: Page, report: Mapping[str, Any]) -> None:
    """Show what to mend, the most valuable first."""
    causes = standing(report)
    if not causes:
        return
    findings = plural(sum(cause["findings"] for cause in causes), "finding")
    several = "cause" if len(causes) == 1 else "causes"
    page.gap()
    page.line((f"{len(causes)} {several}", "bold"), (f" of {findings}; --all shows each finding", "dim"))
    for number, cause in enumerate(causes[:MAX_FULL_CAUSES], 1):
        page.gap()
        _show(page, number, cause, report)
    rest = list(enumerate(causes, 1))[MAX_FULL_CAUSES:]
    if rest:
        page.gap()
    for number, cause in rest[:MAX_BRIEF_CAUSES]:
        mark, style = _mark(report, cause)
        facts = f"{_rules(cause)} · {extent(cause)}"
        page.line((f"{mark} {number}  ", style), (f"{cause['sentence']}  ", ""), (facts, "dim"), indent=4)
    if more := rest[MAX_BRIEF_CAUSES:]:
        page.line((f"  and {plural(len(more), 'more cause')} in report.json", "dim"))


def _mark(report: Mapping[str, Any], cause: Mapping[str, Any]) -> tuple[str, str]:
    return ("✗", "bold red") if cause["level"] == "must" or report["strict"] else ("!", "yellow")


def _rules(cause: Mapping[str, Any]) -> str:
    rules = cause["rules"]
    more = len(rules) - MAX_LISTED_RULES
    return ", ".join(rules[:MAX_LISTED_RULES]) + (f" and {more} more" if more > 0 else "")


def _show(page: Page, number: int, cause: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    mark, style = _mark(report, cause)
    example = example_of(report, cause)
    page.line(
        (f"{mark} {number}  ", style), (cause["sentence"], "bold"), (f"  {cause['id']}", "dim"), indent=4
    )
    page.field("breaks", f"{_rules(cause)} · {extent(cause)} · {effect(cause)}", lines=2)
    where = f" at {example['function']}" if example["function"] else ""
    rule = cause["example"]["rule"]
    record = next((each for each in report["rules"] if each["id"] == rule), None)
    level, title = (record["level"], record["title"]) if record is not None else (cause["level"], "")
    # Of a rule that is checked on one answer the message is only the title; the kind says what is wrong.
    first, second = ("kind", "message") if example["message"] == title else ("message", "kind")
    page.field("shown by", f"{rule} {level}{where}: {example[first] or example[second]}", lines=2)
    if example["expected"]:
        page.field("expected", example["expected"], lines=2)
    got = example["actual"]
    response, failure = example["response"], example["failure"]
    if response and str(response["status"]) not in got:
        got = f"{cut(got, 2 * (page.width - LABEL) - 8)} ({response['status']})".strip()
    elif not response and failure and (failure.partition(": ")[2] or failure) not in got:
        got = f"{got} ({failure})" if got else failure
    if again := _intermittent(example):
        got = f"{got} · {again}"
    if got:
        page.field("got", got, lines=2)
    if example["curl"]:
        page.raw("repeat", cut(example["curl"], MAX_CURL_CHARACTERS, " (in full in report.json)"))
    page.field("look at", cause["where"], lines=2)
    if cause["advice"]:
        page.field("advice", cause["advice"], lines=2)
    if documented(rule) is not None:
        page.raw("docs", address_of(rule))
    if rerun := rerun_of(report, rule):
        page.raw("rerun", rerun)
    if example.get("case"):
        page.raw("case", example["case"])


def _intermittent(example: Mapping[str, Any]) -> str:
    seen, _, tried = str(example["reproduced"] or "").partition("/")
    return f"intermittent, came back {example['reproduced']}" if tried and seen != tried else ""
