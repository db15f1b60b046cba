"""What a verification came to, in a few lines that can be pasted into a release note: `statement.txt`.

It says only what the report says, and names that by its hash. What the target tells of its own build is quoted as it
came; where it tells nothing, the statement says so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from conformance.rulebook.model import Verdict
from conformance.text import cut, reveal
from reports.model.load_summary import measured
from reports.text import plural, slo_word

__all__ = ["NAME", "Build", "render"]

NAME = "statement.txt"

_WIDTH = 11

#: Headers by which servers tell what they are; anything else in a header is about the answer.
_HEADERS = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "x-", "x-api-", "x-app-", "x-service-")
    for name in ("version", "build", "build-id", "revision", "commit", "release")
) | {"server"}

#: The same in what a call without arguments answers, at the top of its data or one level down; what tells of one
#: object takes its identifier.
_MEMBER = re.compile(
    r"(?:api|app|service|server)?_?(?:version|build|revision|commit|release)(?:id|number)?", re.I
)

#: What has an identifier of its own is an object of the target's: its revision is no build.
_IDENTIFIER = re.compile(r"(?:^id|(?<!build)(?<!version)(?<!release)(?:Id|_id))$")

#: So many names, and values of one name: instances behind one address may differ, a clock in a header is no build.
_NAMES, _VALUES, _LONG = 6, 4, 120


class Build:
    """Gathers what a target tells of its own build from the exchanges of a run."""

    def __init__(self) -> None:
        self.told: dict[str, dict[str, None]] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """Look at an exchange."""
        response = event.get("response")
        if not isinstance(response, Mapping):
            return
        headers = response.get("headers")
        if isinstance(headers, Mapping):
            for name, value in headers.items():
                if str(name).lower() in _HEADERS:
                    self._hear(str(name).lower(), value)
        function = str(event.get("function") or "")
        if response.get("status") == 200 and _without_arguments(event.get("request")):
            self._answer(function, response.get("body"))

    def _answer(self, function: str, body: object) -> None:
        try:
            envelope = json.loads(str(body))
        except (ValueError, RecursionError):
            return
        data = envelope.get("data") if isinstance(envelope, dict) else None
        if not isinstance(data, dict) or envelope.get("isError") is not False:
            return
        for name, value in data.items():
            if isinstance(value, dict) and any(_IDENTIFIER.search(str(key)) for key in value):
                continue
            inner = value.items() if isinstance(value, dict) else [(name, value)]
            for member, said in inner:
                if _MEMBER.fullmatch(str(member)) and isinstance(said, str | int | float):
                    path = f"{name}/{member}" if isinstance(value, dict) else str(member)
                    self._hear(f"{function} /{path}", said)

    def _hear(self, name: str, value: object) -> None:
        for one in value if isinstance(value, list) else [value]:
            text = str(one).strip()
            if not text or isinstance(one, bool) or (name not in self.told and len(self.told) >= _NAMES):
                continue
            values = self.told.setdefault(name, {})
            if len(values) < _VALUES:
                values[cut(text, _LONG)] = None

    def record(self) -> dict[str, list[str]] | None:
        """Return what was told, by where it was told; None where nothing was."""
        return {name: list(values) for name, values in self.told.items()} or None


def _without_arguments(request: object) -> bool:
    body = request.get("body") if isinstance(request, Mapping) else None
    try:
        call = json.loads(str(body))
    except (ValueError, RecursionError):
        return False
    return isinstance(call, dict) and not call.get("data")


def render(report: Mapping[str, Any], sha256: str, *, comparison: Mapping[str, Any] | None = None) -> str:
    """Return the statement of a report whose file has this hash."""
    target = report["target"]
    told = [target["url"], target["environment"] or "environment not stated"]
    told += ["the suite's own reference service"] if target["embedded"] else []
    load = report["load"]
    rows = [
        ("target", " · ".join(told)),
        ("build", _build(report.get("build"))),
        ("catalogue", _catalogue(report.get("catalogue"))),
        ("rules", _rules(report)),
        ("verdict", f"{report['verdict']}: {report['reason']}"),
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
    # Nothing of the target's begins a line, and nothing of it moves a cursor.
    lines += [f"  {name:<{_WIDTH}}{cut(reveal(text), 600)}" for name, text in rows]
    return "\n".join(lines) + "\n"


def _build(told: Mapping[str, Any] | None) -> str:
    if not told:
        return "the target tells none"
    return " · ".join(f"{name}: {', '.join(values)}" for name, values in told.items())


def _catalogue(catalogue: Mapping[str, Any] | None) -> str:
    if catalogue is None:
        return "none"
    return f"sha256 {catalogue['sha256']} · {catalogue['name']}, {plural(catalogue['functions'], 'function')}"


def _rules(report: Mapping[str, Any]) -> str:
    count = Counter(rule["verdict"] for rule in report["rules"])
    judged = sum(rule["judged"] > 0 for rule in report["rules"])
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
