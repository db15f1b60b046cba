"""Compares two runs: what improved, what became worse, and whether the difference is more than noise.

Findings are matched by rule, function and kind. Numbers and quoted texts in the kind are ignored, so that another seed
does not make every finding new. Behaviour that the rulebook leaves open is compared by the recorded exchanges: only
what always occurred before and never occurs now is reported. `reports.compare.load` compares loads.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.rulebook.model import Verdict
from conformance.rulebook.verdicts import normal
from reports.model.store import Stored
from reports.text import plural

__all__ = ["behaviour", "compare", "exit_status"]

FORMAT = 1

_BROKEN = (Verdict.FAIL, Verdict.WARN)
_LEFT = (Verdict.NOT_JUDGED, Verdict.ERROR)

#: Calls of one kind, in each run, that a comparison needs.
MIN_CALLS = 3

#: The tests that send random data.
_RANDOM_TESTS = ("test_data.", "test_sequences.")

#: The share of calls that counts as "always"; the rest counts as "never".
MIN_SHARE_ALWAYS = 0.9

MAX_DEPTH = 6
MAX_PATHS_PER_FUNCTION = 400


def compare(
    base: Stored, new: Stored, *, min_effect: float = 0.05, earlier: Sequence[Stored] = ()
) -> dict[str, Any]:
    """Compare a run with an earlier one; `earlier` are further runs before both, to search for changes of level.

    `min_effect` is the smallest relative difference under load that matters.
    """
    rules = _rules(base.report, new.report)
    changed = list(behaviour(base, new))
    load = None
    if base.report.get("load") and new.report.get("load"):
        from reports.compare import load as compare_load
        from reports.compare.alike import beside

        series = sorted(
            (run for run in (*earlier, base, new) if run.report.get("load")),
            key=lambda run: str(run.report["started"]),
        )
        load = compare_load.compare(
            base.report["load"],
            new.report["load"],
            min_effect=min_effect,
            earlier=[run.report["load"] for run in earlier if run.report.get("load")],
        )
        load["beside"] = beside(
            base.report["load"],
            new.report["load"],
            [run.report.get("build") for run in (base, new)],
            [run.report.get("suite") for run in (base, new)],
        )
        load["levels"] = compare_load.levels(series, min_effect=min_effect)
    verdict, reason = _overall(rules, changed, load, base.report, new.report)
    return {
        "format": FORMAT,
        "verdict": verdict,
        "reason": reason,
        "base": _run_header(base),
        "new": _run_header(new),
        "earlier": [_run_header(run) for run in earlier],
        "min_effect": min_effect,
        "rules": rules,
        "causes": _causes(base.report, new.report),
        "behaviour": changed,
        "load": load,
    }


def _causes(base: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the causes that came, those that went, and those that stayed.

    A cause went if the newer run judged one of its rules and does not have it.
    """
    judged = {rule["id"] for rule in new["rules"] if rule["judged"] or rule["findings"]}
    before, after = (
        {cause["id"]: cause for cause in report.get("causes") or () if not cause["waived"]}
        for report in (base, new)
    )

    def short(cause: Mapping[str, Any]) -> dict[str, Any]:
        return {name: cause[name] for name in ("id", "sentence", "level", "rules", "findings")}

    return {
        "new": [short(cause) for key, cause in after.items() if key not in before],
        "gone": [
            short(cause) for key, cause in before.items() if key not in after and judged & set(cause["rules"])
        ],
        "still": [short(cause) for key, cause in after.items() if key in before],
    }


def exit_status(comparison: Mapping[str, Any], fail_on: str | None) -> int:
    """Return the exit status: with `fail_on` "regression" 1 for a regression and 3 if undecided; otherwise 0."""
    if fail_on != "regression":
        return 0
    return {"regression": 1, "undecided": 3}.get(comparison["verdict"], 0)


def _run_header(run: Stored) -> dict[str, Any]:
    report = run.report
    return {
        "name": run.name,
        "target": report["target"]["url"],
        "started": report["started"],
        "verdict": report["verdict"],
        "seed": report["seed"],
        "suite": report["suite"],
    }


def _overall(
    rules: Mapping[str, Any],
    changed: Sequence[Mapping[str, Any]],
    load: Mapping[str, Any] | None,
    base: Mapping[str, Any],
    new: Mapping[str, Any],
) -> tuple[str, str]:
    strict = bool(new["strict"])
    worse = [rule["id"] for rule in rules["newly_failing"] if rule["level"] == "must" or strict]
    found = [
        f["rule"]
        for f in rules["findings"]["new"]
        if not f["intermittent"] and f["rule"] not in worse and (f["level"] == "must" or strict)
    ]
    slower = [claim["text"] for claim in load["claims"] if claim["worse"]] if load else []
    parts = []
    if worse:
        parts.append(f"{plural(len(worse), 'rule')} newly failing ({_some(worse)})")
    if found:
        parts.append(f"{plural(len(found), 'new finding')} in rules that failed before ({_some(found)})")
    parts += slower[:4] + ([f"and {len(slower) - 4} more under load"] if slower[4:] else [])
    if parts:
        return "regression", "; ".join(parts)
    if not any(rule["judged"] for rule in new["rules"]) and not new.get("load"):
        return "undecided", "the newer run judged nothing"
    if not any(rule["judged"] for rule in base["rules"]) and not base.get("load"):
        return "undecided", "the earlier run judged nothing"
    if load and not load["comparable"]:
        return "undecided", "; ".join(load["why"])
    better = [rule["id"] for rule in rules["mended"]]
    if better:
        parts.append(f"{plural(len(better), 'rule')} mended ({_some(better)})")
    parts += [claim["text"] for claim in load["claims"] if not claim["worse"]] if load else []
    lost = [rule["id"] for rule in rules["newly_not_judged"]]
    notes = load["notes"] if load else []
    tail = [f"{plural(len(lost), 'rule')} newly not judged ({_some(lost)})"] if lost else []
    tail += [f"{plural(len(changed), 'change')} of what the rulebook leaves open"] if changed else []
    tail += notes
    if parts:
        return "improvement", "; ".join([*parts, *tail])
    return "same", "; ".join(["same within noise" if load else "no rule got better or worse", *tail])


def _some(names: Sequence[str], most: int = 4) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


# --- rules and findings


def _rules(base: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    before = {rule["id"]: rule for rule in base["rules"]}
    out: dict[str, Any] = {
        name: [] for name in ("newly_failing", "mended", "still_failing", "newly_not_judged")
    }
    findings: dict[str, list[dict[str, Any]]] = {"new": [], "gone": [], "still": []}
    for rule in new["rules"]:
        old = before.get(rule["id"])
        was = old["verdict"] if old is not None else None
        entry = {name: rule[name] for name in ("id", "level", "title")} | {
            "before": was,
            "now": rule["verdict"],
            "reason": rule["reason"],
        }
        if rule["verdict"] in _BROKEN:
            out["still_failing" if was in _BROKEN else "newly_failing"].append(entry)
        elif was in _BROKEN and rule["verdict"] not in _LEFT:
            out["mended"].append(entry)
        if rule["verdict"] in _LEFT and was is not None and was not in _LEFT:
            out["newly_not_judged"].append(entry)
        _findings(findings, rule, old)
    return out | {"findings": findings}


def _findings(
    out: dict[str, list[dict[str, Any]]], rule: Mapping[str, Any], old: Mapping[str, Any] | None
) -> None:
    now, before = _keyed(rule), _keyed(old) if old is not None else {}
    for key in sorted({*now, *before}, key=str):
        finding = now.get(key) or before[key]
        parts = re.fullmatch(r"(\d+)/(\d+)", finding["reproduced"] or "")
        entry = {
            "rule": rule["id"],
            "level": rule["level"],
            "function": finding["function"],
            "kind": finding["kind"],
            "expected": finding["expected"],
            "actual": finding["actual"],
            "intermittent": bool(parts and parts[1] != parts[2]),
        }
        if key not in before:
            out["new"].append(entry)
        elif key in now:
            out["still"].append(entry)
        elif rule["verdict"] not in _LEFT:
            # A finding whose rule was not judged is not gone.
            out["gone"].append(entry)


def _keyed(rule: Mapping[str, Any]) -> dict[tuple[str | None, str], Mapping[str, Any]]:
    return {(f["function"], normal(f["kind"])): f for f in reversed(rule["findings"]) if not f["waived"]}


# --- what the rulebook leaves open


@dataclass(slots=True)
class _Answers:
    """The answers to one kind of call."""

    calls: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class _Shape:
    """The paths in the data of a function's successes: how often each occurred, and with which types.

    The share of a path is relative to its parent objects.
    """

    places: Counter[str] = field(default_factory=Counter)
    types: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    functions: int = 0


def behaviour(base: Stored, new: Stored) -> Iterator[dict[str, Any]]:
    """Yield the changes of behaviour that the rulebook leaves open; nothing if a run recorded no exchanges.

    The calls that one test sends to one function with one verb are one kind of call. With the same rulebook they are
    the same whatever the seed, except in tests that send random data, which need the same seed.
    """
    before, now = _collect_answers(base), _collect_answers(new)
    is_other = base.report.get("seed") != new.report.get("seed")
    for key in sorted(before[0].keys() & now[0].keys()):
        old, answers = before[0][key], now[0][key]
        if min(old.calls, answers.calls) < MIN_CALLS or (key[2] and is_other):
            continue
        where = {"function": key[0], "call": key[1]}
        for status, after in _replaced_values(old.statuses, answers.statuses, old.calls, answers.calls):
            yield {**where, "what": "status", "before": status, "after": after, "path": None}
        for status in sorted(
            {status for status, _ in old.messages} & {status for status, _ in answers.messages}
        ):
            mine, theirs = (
                Counter({text: count for (of, text), count in each.messages.items() if of == status})
                for each in (old, answers)
            )
            if min(mine.total(), theirs.total()) < MIN_CALLS:
                continue
            for text, after in _replaced_values(mine, theirs, mine.total(), theirs.total()):
                yield {
                    **where,
                    "what": "message",
                    "before": f"{status}: {text}",
                    "after": f"{status}: {after}",
                    "path": None,
                }
    for function in sorted(before[1].keys() & now[1].keys()):
        yield from _shape_changes(function, before[1][function], now[1][function])


def _replaced_values(
    old: Counter[str], new: Counter[str], old_total: int, new_total: int
) -> Iterator[tuple[str, str]]:
    """Yield each value that always occurred before and hardly ever now, with its most frequent replacement."""
    for value, count in old.items():
        if count >= MIN_SHARE_ALWAYS * old_total and new[value] <= (1 - MIN_SHARE_ALWAYS) * new_total:
            instead = Counter({other: n for other, n in new.items() if other != value}).most_common(1)
            yield value, instead[0][0] if instead else "nothing"


def _shape_changes(function: str, old: _Shape, new: _Shape) -> Iterator[dict[str, Any]]:
    def always(shape: _Shape, path: str) -> bool:
        parent = shape.places[path.rpartition("/")[0]]
        return parent >= MIN_CALLS and shape.places[path] >= MIN_SHARE_ALWAYS * parent

    def never(shape: _Shape, path: str) -> bool:
        return shape.places[path.rpartition("/")[0]] >= MIN_CALLS and not shape.places[path]

    reported: set[str] = set()
    for path in sorted({*old.places, *new.places}):
        if path.rpartition("/")[0] in reported:
            reported.add(path)  # covered by the change of its parent
            continue
        where = {"function": function, "call": None, "path": path}
        if always(old, path) and never(new, path):
            reported.add(path)
            yield {**where, "what": "member removed", "before": _types(old, path), "after": None}
        elif never(old, path) and always(new, path):
            reported.add(path)
            yield {**where, "what": "member added", "before": None, "after": _types(new, path)}
        else:
            mine, theirs = (
                Counter({t: n for t, n in each.types[path].items() if t != "null"}) for each in (old, new)
            )
            if min(mine.total(), theirs.total()) < MIN_CALLS:
                continue
            for kind, after in _replaced_values(mine, theirs, mine.total(), theirs.total()):
                if not theirs[kind]:
                    yield {**where, "what": "type", "before": kind, "after": after}


def _types(shape: _Shape, path: str) -> str:
    return " or ".join(sorted(shape.types[path]))


def _collect_answers(run: Stored) -> tuple[dict[tuple[str, str, bool], _Answers], dict[str, _Shape]]:
    calls: defaultdict[tuple[str, str, bool], _Answers] = defaultdict(_Answers)
    shapes: defaultdict[str, _Shape] = defaultdict(_Shape)
    for event in run.exchanges():
        function, response = event.function, event.response
        if not function:
            continue
        test = re.sub(r"\[.*", "", event.test)
        name = test.rpartition(".")[2] or "a call"
        verb = event.request.verb if event.request is not None else None
        answers = calls[function, f"{verb} in {name}", test.startswith(_RANDOM_TESTS)]
        answers.calls += 1
        if response is None:
            answers.statuses[str(event.failure).partition(":")[0]] += 1
            continue
        status = str(response.status)
        answers.statuses[status] += 1
        try:
            envelope = json.loads(response.body)
        except (ValueError, RecursionError):
            continue
        if not isinstance(envelope, dict):
            continue
        if isinstance(envelope.get("errMsg"), str):
            answers.messages[status, normal(envelope["errMsg"])[:200]] += 1
        if envelope.get("isError") is False and "data" in envelope:
            shape = shapes[function]
            shape.places[""] += 1
            _add_paths(shape, "/data", envelope["data"], 0)
    return dict(calls), dict(shapes)


def _add_paths(shape: _Shape, path: str, value: Any, depth: int) -> None:
    if path not in shape.places and len(shape.places) >= MAX_PATHS_PER_FUNCTION:
        return
    shape.places[path] += 1
    shape.types[path][_type(value)] += 1
    if depth >= MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name, member in value.items():
            # Keys with digits are usually data.
            _add_paths(shape, f"{path}/{normal(name)}", member, depth + 1)
    elif isinstance(value, list):
        for member in value[:50]:
            _add_paths(shape, f"{path}/*", member, depth + 1)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
