"""The first words of a report, and the next command to run.

A run passes if nothing that was judged failed. If rules were left unjudged, "conformant" would claim more than the run
knows, so the first words then say how many rules were judged. The report's member `verdict` stays as it is.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

from conformance.rulebook.model import Verdict
from conformance.rulebook.requirements import is_judged
from conformance.text import plural

__all__ = ["headline", "next_command", "required_rules", "subline"]

_COUNT_OF_JUDGED = re.compile(r"\d+ of \d+ rules? judged")
#: Options of a check that select rules, each with one value.
_SELECTIONS = ("--rule", "--area")
#: Options of a load that a check has as well, each with one value.
_SHARED_OPTIONS = ("--target", "--profile")


def headline(report: Mapping[str, Any]) -> str:
    """Return the first words of a report: its verdict, or `passes what was judged: 16 of 92 rules`."""
    if not _passes_in_part(report):
        return str(report["verdict"])
    rules = report["rules"]
    return f"passes what was judged: {sum(map(is_judged, rules))} of {plural(len(rules), 'rule')}"


def subline(report: Mapping[str, Any]) -> str:
    """Return the reason of the verdict in one line; for a pass in part also why rules were not judged."""
    reason = str(report["reason"])
    if not _passes_in_part(report):
        return reason
    parts = [part for part in reason.split("; ") if not _COUNT_OF_JUDGED.fullmatch(part)]
    reasons = Counter(rule["reason"] for rule in report["rules"] if not is_judged(rule) and rule["reason"])
    missing = sum(not is_judged(rule) for rule in report["rules"])
    if reasons:
        why, count = reasons.most_common(1)[0]
        share = "" if count == missing else f", {count} of them"
        verb = "was" if missing == 1 else "were"
        parts.append(f"{plural(missing, 'rule')} {verb} not judged{share}: {why}")
    return "; ".join(parts)


def required_rules(report: Mapping[str, Any]) -> set[str]:
    """Return the rules that the gate requires, by name or by area, and that were not judged."""
    unmet = (report.get("required") or {}).get("unmet") or ()
    return {rule for each in unmet for rule in each["rules"]}


def next_command(report: Mapping[str, Any]) -> str | None:
    """Return the command that makes a later run judge more; None if none is known."""
    if not _passes_in_part(report) or not report["rerun"]:
        return None
    words = shlex.split(report["rerun"])
    if report["verb"] == "load":
        return shlex.join(["conform", "check", *_options(words, _SHARED_OPTIONS)])
    if any(
        word in _SELECTIONS or word.startswith(tuple(f"{name}=" for name in _SELECTIONS)) for word in words
    ):
        return shlex.join(_without(words, _SELECTIONS))
    if report["catalogue"] is None:
        if _options(words, ("--profile",)):
            return "conform catalog import URL|FILE --out catalogue.openrpc.json"
        return shlex.join(["conform", "init", "--target", report["target"]["url"]])
    return None


def _passes_in_part(report: Mapping[str, Any]) -> bool:
    if report["verdict"] != "conformant":
        return False
    return any(rule["verdict"] == Verdict.NOT_JUDGED for rule in report["rules"])


def _options(words: list[str], names: tuple[str, ...]) -> list[str]:
    """Return the options of these names, with their values."""
    found: list[str] = []
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word in names:
            found += [word, value]
        elif word.startswith(tuple(f"{name}=" for name in names)):
            found.append(word)
    return found


def _without(words: list[str], names: tuple[str, ...]) -> list[str]:
    """Return the words without the options of these names and their values."""
    left: list[str] = []
    skip = False
    for word in words:
        if skip or word.startswith(tuple(f"{name}=" for name in names)):
            skip = False
            continue
        if word in names:
            skip = True
            continue
        left.append(word)
    return left
