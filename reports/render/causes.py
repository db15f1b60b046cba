"""What renderings share of the causes of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.text import plural

__all__ = ["effect", "example_of", "extent", "standing"]


def standing(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the causes that count: those with a finding that is neither waived nor known."""
    return [cause for cause in report.get("causes") or () if not cause["waived"]]


def example_of(report: Mapping[str, Any], cause: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the finding that shows a cause best."""
    example = cause["example"]
    for rule in report["rules"]:
        if rule["id"] == example["rule"]:
            for finding in rule["findings"]:
                if (finding["function"], finding["kind"]) == (example["function"], example["kind"]):
                    found: Mapping[str, Any] = finding
                    return found
    return {**example, "response": None, "failure": None, "case": None, "reproduced": None, "message": ""}


def extent(cause: Mapping[str, Any]) -> str:
    """Return how much a cause breaks: `12 findings in 4 functions`."""
    text = plural(cause["findings"], "finding")
    functions: Sequence[str] = cause["functions"]
    if len(functions) == 1:
        return f"{text} in {functions[0]}"
    return f"{text} in {plural(len(functions), 'function')}" if functions else text


def effect(cause: Mapping[str, Any]) -> str:
    """Return how many of the broken rules have no other finding."""
    mended, broken = len(cause["mends"]), len(cause["rules"])
    if mended == broken:
        return "no other cause breaks it" if broken == 1 else "no other cause breaks them"
    if mended:
        return f"no other cause breaks {', '.join(cause['mends'][:6])}{' and more' if mended > 6 else ''}"
    return "other causes break the same"
