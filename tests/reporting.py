"""Reports to render in tests: a plain one, one from a hostile target, a large one."""

from __future__ import annotations

import json
from typing import Any

from reports.run import build, validate
from tests.test_reports import END, a_rule, error, finding, header, judged, waiver

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
    told = {
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
        finding("ENV-1", HOSTILE, HOSTILE, response=response, request=request, **told),
        finding("ENV-1", "course.read", HOSTILE, response={**response, "body": HOSTILE}, request=request, **told),
        finding("ENV-8", "a.b", "k", response=None, request=None, failure=HOSTILE, **told),
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
