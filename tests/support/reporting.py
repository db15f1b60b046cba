"""Reports to render in tests: a plain one, one from a hostile target, a large one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from load.metrics.histogram import Histogram
from reports.model.files import validate
from tests.support.events import build
from tests.support.run_events import END, a_rule, error, finding, header, judged, waiver

Event = dict[str, Any]

#: What a hostile target sends wherever it may: markup, the end of a script, a style, an attribute, turned text,
#: terminal control, half a surrogate pair, Markdown, and a template's own words.
PAYLOADS = (
    "</script><script>window.broken=1</script>",
    "<img src=x onerror=window.broken=1>",
    '"><svg onload=window.broken=1>',
    "' onmouseover='window.broken=1' x='",
    "--></style></title><iframe src=javascript:window.broken=1>",
    "]]><!--",
    "&lt;b&gt;&#60;script&#62;",
    "\x1b[31mred\x1b]0;title\x07\x00\x08\x7f",
    "\u202egnirts\u2066 \u200b\ufeff\u2028\u2029",
    "\ud800",
    "{{ 7 * 7 }}{% raw %}",
    "| [link](javascript:alert(1)) ![i](http://example.com/x) `code` <details> @everyone",
)
HOSTILE = " ".join(PAYLOADS)


def sample(**members: Any) -> dict[str, Any]:
    """Return a report with a rule of every verdict."""
    rules = [
        a_rule("ENV-1"), a_rule("ENV-5"), a_rule("ENV-6"), a_rule("ENV-8", "should"),
        a_rule("COD-1"), a_rule("PAG-1"), a_rule("SEC-1"),
    ]  # fmt: skip
    body = '{"isError":true,"errMsg":"","data":null}'
    answer = {"status": 404, "headers": {"Content-Type": "application/json"}, "body": body, "seconds": 0.004}
    events: list[Event] = [
        header(*rules, waivers=[waiver("ENV-6")], **members),
        judged(ENV_1=412, ENV_5=380, ENV_6=20, ENV_8=99, COD_1=7),
        finding("ENV-5", "course.read", "blank", actual="/errMsg: ''", response=answer, count=14),
        finding("ENV-5", "course.find", "blank", actual="/errMsg: ''", response=answer, reproduced="1/4"),
        finding("ENV-5", None, "errMsg is a number", actual="/errMsg: 7", failure="timeout: 10 s", response=None),
        finding("ENV-6", "auth.login"),
        finding("ENV-8", "course.find", "late", expected="X-Content-Type-Options: nosniff", actual="no header"),
        error("could not be set up", "SEC-1"),
        {"event": "case", "rule": "ENV-5", "function": "course.read", "kind": "blank",
         "file": "cases/ENV-5-course.read-00000000.json"},
        {"event": "not judged", "rule": "PAG-1", "function": "course.find", "reason": "no user",
         "lines": "[users.owner]\nuser = \"owner@example.com\""},
        {"event": "coverage", "functions": {
            "course.add": {"examples": {"valid": 30, "edge": 12}, "accepted": 40, "refused": 2, "beyond_schema": 0,
                           "parameters": {"title": {"accepted": 9, "refused": 3},
                                          "seats": {"accepted": 1, "refused": 0}},
                           "keywords": {}},
            "user.update": {"examples": {"valid": 3}, "accepted": 0, "refused": 3, "beyond_schema": 0,
                            "parameters": {}, "keywords": {}}}},
        {"event": "leftover", "kind": "course", "id": 7, "function": None, "reason": "refused with 403"},
        {"event": "note", "message": "a note"},
        END,
    ]  # fmt: skip
    report = build(iter(events))
    validate(report)
    return report


def hostile() -> dict[str, Any]:
    """Return a report in which everything that a target may choose is hostile."""
    response = {
        "status": 500,
        "headers": {f"X-{payload}": payload for payload in PAYLOADS},
        "body": json.dumps({"errMsg": HOSTILE, HOSTILE: [HOSTILE]}, ensure_ascii=False),
        "seconds": 0.1,
    }
    request = {"verb": "POST", "url": f"http://h/{HOSTILE}", "headers": {"X": HOSTILE}, "body": HOSTILE}
    reported = {
        "message": HOSTILE,
        "expected": HOSTILE,
        "actual": f"/errMsg: {HOSTILE}",
        "curl": f"curl {HOSTILE}",
    }
    events: list[Event] = [
        header(
            a_rule("ENV-1"), a_rule("ENV-8", "should"), a_rule("PAG-1"),
            target={"url": f"http://h/{HOSTILE}", "environment": "test", "embedded": False},
            waivers=[waiver("ENV-1", HOSTILE)],
        ),
        finding("ENV-1", HOSTILE, HOSTILE, response=response, request=request, **reported),
        finding("ENV-1", "course.read", HOSTILE, response={**response, "body": HOSTILE}, request=request, **reported),
        finding("ENV-8", "a.b", "k", response=None, request=None, failure=HOSTILE, **reported),
        {"event": "not judged", "rule": "PAG-1", "function": HOSTILE, "reason": HOSTILE, "lines": HOSTILE},
        error(HOSTILE, trace=HOSTILE, ours=True),
        {"event": "leftover", "kind": HOSTILE, "id": HOSTILE, "function": None, "reason": HOSTILE},
        {"event": "note", "message": HOSTILE},
        {"event": "coverage", "functions": {HOSTILE: {
            "examples": {"valid": 1}, "accepted": 0, "refused": 1, "beyond_schema": 0,
            "parameters": {HOSTILE: {"accepted": 0, "refused": 1}}, "keywords": {}}}},
        END,
    ]  # fmt: skip
    return build(iter(events))


def large(findings: int = 1000) -> dict[str, Any]:
    """Return a report of so many findings, each with bodies as long as they are recorded."""
    body = json.dumps({"isError": True, "errMsg": "", "data": [{"name": f"row {n}"} for n in range(900)]})[
        :16384
    ]
    answer = {"status": 404, "headers": {"Content-Type": "application/json"}, "seconds": 0.004,
              "body": body + "… (20000 bytes in all)"}  # fmt: skip
    rules = [a_rule(f"ENV-{n}") for n in range(1, 11)]
    events: list[Event] = [header(*rules)]
    for number in range(findings):
        events.append(
            finding(
                f"ENV-{1 + number % 10}",
                f"e{number % 97}.f{number // 10}",
                f"kind {number % 3}",
                response=answer,
            )
        )
    return build(iter([*events, END]))


def counts(
    due: Histogram, sent: Histogram, seconds: float, errors: dict[str, int] | None = None
) -> dict[str, Any]:
    """Return the counts of a load, as a report has them."""

    def figures(histogram: Histogram) -> dict[str, Any]:
        names = ("p50", "p75", "p90", "p95", "p99", "p999")
        values = histogram.percentiles((50, 75, 90, 95, 99, 99.9))
        return {
            "histogram": histogram.encode(), "count": histogram.count, "min": histogram.min / 1000,
            "mean": histogram.mean / 1000, "max": histogram.max / 1000,
            **{name: value / 1000 for name, value in zip(names, values, strict=True)},
        }  # fmt: skip

    return {
        "requests": due.count, "asked": due.count / seconds, "reached": due.count / seconds, "errors": errors or {},
        "failed": sum((errors or {}).values()), "nonconformant": 0, "dropped": 0, "bytes": 600 * due.count,
        "due": figures(due), "sent": figures(sent),
    }  # fmt: skip


def load_part(
    seconds: int = 60, per_second: int = 100, *, seed: int = 1, slower: float = 1.0, drift: float = 0.03,
    functions: tuple[str, ...] = ("course.find", "course.read", "course.add"), stall: int | None = None,
    errors: dict[str, int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the "load" of a report: lognormal latencies around 8 ms whose median drifts, as neighbours do."""
    rng = np.random.default_rng(seed)
    whole = {name: (Histogram(), Histogram()) for name in functions}
    due_all, sent_all, series, level = Histogram(), Histogram(), [], 0.0
    for at in range(seconds):
        level = 0.7 * level + rng.normal(0, drift)
        due_second = Histogram()
        for name in functions:
            n = int(rng.poisson(per_second / len(functions)))
            us = np.exp(rng.normal(np.log(8000) + level, 0.5, n)) * slower
            waited = us + (900_000 * (1 - rng.random(n)) if at == stall else 0)
            for histogram in (whole[name][0], due_second, due_all):
                histogram.record_many(waited.astype(np.int64))
            for histogram in (whole[name][1], sent_all):
                histogram.record_many(us.astype(np.int64))
        p50, p95, p99 = due_second.percentiles((50, 95, 99))
        failed = {kind: max(0, count // seconds + (at % 7 == 0)) for kind, count in (errors or {}).items()}
        series.append({
            "at": at, "asked": float(per_second), "sent": due_second.count, "done": due_second.count, "errors": failed,
            "due": due_second.encode(), "p50": p50 / 1000, "p95": p95 / 1000, "p99": p99 / 1000,
            "max": due_second.max / 1000, "lag": 0.2 + 0.1 * rng.random(), "cpu": 0.3, "connections": 24, "users": 20,
        })  # fmt: skip
    total = counts(due_all, sent_all, seconds, errors) | {"asked": float(per_second)}
    return {
        "scenario": "steady", "arrivals": "open", "warmup": 5.0, "duration": float(seconds), "seconds": seconds + 0.2,
        "schedule": {"kind": "constant", "text": f"{per_second}/s for {seconds} s"}, "users": 20, "workers": 1,
        "connections": {"limit": 256, "opened": 24, "most": 24},
        "marks": [{"at": 5.0, "kind": "warm-up over", "text": ""},
                  *([{"at": float(stall), "kind": "reset", "text": "the target was reset"}] if stall else [])],
        "total": total, "warmed": total,
        "functions": {name: counts(*pair, seconds) for name, pair in whole.items()},
        "series": series, "rules": {"ENV-5": {"judged": 4, "broken": 0}}, "schema": {"judged": 100, "of": 6000},
        "slos": [
            {"text": "p95 < 300ms", "function": None, "metric": "p95", "op": "<", "limit": 300.0, "unit": "ms",
             "value": 21.0, "margin": 0.93, "samples": 6000, "needed": 100, "verdict": "pass", "reason": None},
            {"text": "course.find p99 < 10ms", "function": "course.find", "metric": "p99", "op": "<", "limit": 10.0,
             "unit": "ms", "value": 31.4, "margin": -2.14, "samples": 2000, "needed": 1000, "verdict": "fail",
             "reason": None},
            {"text": "p99.9 < 2s", "function": None, "metric": "p999", "op": "<", "limit": 2000.0, "unit": "ms",
             "value": None, "margin": None, "samples": 600, "needed": 10000, "verdict": "not judged",
             "reason": "600 of 10,000 samples"},
        ],
        "health": {
            "valid": True, "why": [], "cpu": {"mean": 0.31, "most": 0.52, "cores": 2},
            "lag": {"p50": 0.1, "p99": 0.4, "max": 2.0}, "dropped": 0, "dropped_share": 0.0,
            "gc": {"count": 4, "longest": 3.0, "total": 9.0}, "calibration": {"rate": 2100.0, "cpu_us": 300.0},
            "workers": [{"name": "1", "cpu": 0.31, "lost": False}],
        },
    }  # fmt: skip


def loaded(**options: Any) -> dict[str, Any]:
    """Return the report of a load."""
    report = build(iter([header(verb="load"), END]))
    return report | {"load": load_part(**options)}
