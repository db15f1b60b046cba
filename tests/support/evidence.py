"""Compare the parts of a finding: all of them must come from one exchange."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from conformance.rulebook import RULES

#: Members of a call that an expectation may quote, as `pageStart is -1`, or describe, as `data is an array`.
QUOTED = re.compile(r"\b(pageStart|pageLength|data) is (.+)$")


def problems(events: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for each finding, and each case, whose parts do not come from one exchange."""
    found: list[str] = []
    latest: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for event in events:
        key = (event.get("rule"), event.get("function"), event.get("kind"))
        if event["event"] in ("finding", "seen"):
            latest.setdefault(key, []).append(event)
            found += [f"{key}: {each}" for each in _of_finding(event)]
        elif event["event"] == "case":
            found += [f"{key}, case: {each}" for each in _of_case(event["case"], latest.get(key, []))]
    return found


def _of_finding(event: dict[str, Any]) -> Iterable[str]:
    request, response = event["request"], event["response"]
    if request is None or RULES[event["rule"]].check is not None:
        return
    expected, actual, curl = event["expected"], event["actual"], event["curl"]
    came = f"status {response['status']}" if response is not None else "no answer"
    if came not in actual:
        yield f"got {actual!r}, where the exchange has {came}"
    # What only its bytes repeat is sent by printf: there the request line has the path alone.
    address = urlsplit(request["url"]).path if curl.lstrip("(").startswith("printf") else request["url"]
    if address not in curl and "…" not in request["url"]:
        yield f"the curl line has another address than {request['url']}: {curl[:200]}"
    if (verb := re.match(r"(GET|PUT|PATCH|DELETE|HEAD): ", expected)) and verb[1] != request["verb"]:
        yield f"expected {expected!r}, where the exchange is a {request['verb']}"
    if (absent := re.search(r"there is no ([A-Za-z0-9]+)\.([A-Za-z0-9]+)$", expected)) and (
        absent[1] not in request["url"] or absent[2] not in request["body"]
    ):
        yield f"expected {expected!r}, where the exchange is {request['url']} {request['body'][:200]}"
    if (body := re.search(r"the body is (.*)$", expected, re.DOTALL)) and body[1] != request["body"]:
        yield f"expected {expected!r}, where the body is {request['body'][:200]}"
    if (quoted := QUOTED.search(expected)) and _is_literal(quoted[2]):
        try:
            sent = json.loads(request["body"])[quoted[1]]
        except (ValueError, KeyError, TypeError):
            return
        if quoted[2] not in (repr(sent), json.dumps(sent)):
            yield f"expected {expected!r}, where {sent!r} was sent"


def _is_literal(text: str) -> bool:
    """Return whether a text is a value of JSON or of Python, and not a description of one."""
    for read in (json.loads, ast.literal_eval):
        try:
            read(text)
        except (ValueError, SyntaxError):
            continue
        return True
    return False


def _of_case(case: dict[str, Any], findings: list[dict[str, Any]]) -> Iterable[str]:
    if not any(case["expected"] == each["expected"] for each in findings) and "<" not in case["expected"]:
        yield f"it expects {case['expected']!r}, and no finding does"
    if RULES[case["rule"]].check is not None or case["rule"] == "STA-6":
        return
    saw = case["steps"][-1].get("saw") or {}
    if "status" in saw and f"status {saw['status']}" not in case["actual"]:
        yield f"it says {case['actual']!r}, where its last step was answered {saw['status']}"
    verbs = {each["request"]["verb"] for each in findings if each["request"] is not None}
    step = case["steps"][-1]
    if "raw" not in step and verbs and step.get("verb", "POST") not in verbs:
        yield f"its last step is a {step.get('verb', 'POST')}, and the finding is of {sorted(verbs)}"
