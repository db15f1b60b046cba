"""Builds the load part of the report from the events of a run, and its verdict.

A complete run reports its totals in `load-end`. The totals of a run that was killed are computed from its seconds,
whose histograms merge without loss. Members that cannot be computed in this way are null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import singledispatchmethod
from typing import Any

import msgspec

from conformance.events import (
    CalibrationEvent,
    Event,
    FailureEvent,
    FunctionSecondRecord,
    LoadEndEvent,
    LoadEvent,
    LoadFields,
    LoadOptionsRecord,
    MarkEvent,
    MarkRecord,
    RunEvent,
    SecondEvent,
    given,
)
from conformance.units import format_significant
from reports.text import decided, plural

__all__ = ["CUT_SHORT", "LoadPart", "measured", "overall", "requests"]


#: Members of a second that older runs lack: they do not distinguish served from refused.
_NEWER_COUNTS = ("served", "answered", "renewed", "no_connection")

#: Members of counts that say how requests ended. Older runs lack them.
_ENDINGS = (
    "rate",
    "arrivals",
    "served",
    "answered",
    "unanswered",
    "renewed",
    "no_connection",
    "refused",
)

#: The reason why a run without an end is not judged.
CUT_SHORT = "the run was cut short before its end was text"


class LoadPart:
    """Collects the events of a load; `record` returns the report's `load`, None if the run had none."""

    def __init__(self) -> None:
        self.options = LoadOptionsRecord()
        self.plan: LoadEvent | None = None
        self.calibration: dict[str, float] | None = None
        self.series: list[dict[str, Any]] = []
        self.marks: list[dict[str, Any]] = []
        self.functions: dict[str, Counter[str]] = {}
        self.failures: list[dict[str, Any]] = []
        self.end: LoadEndEvent | None = None

    @singledispatchmethod
    def take(self, event: Event) -> None:
        """Take the next event of the run; those that say nothing of a load are ignored."""

    @take.register
    def _(self, event: RunEvent) -> None:
        self.options = given(event.load) or LoadOptionsRecord()

    @take.register
    def _(self, event: LoadEvent) -> None:
        if self.plan is None:
            self.plan = event

    @take.register
    def _(self, event: CalibrationEvent) -> None:
        if event.rate:
            self.calibration = {"rate": event.rate, "cpu_us": event.cpu_us}

    @take.register
    def _(self, event: SecondEvent) -> None:
        at = given(event.at)
        second = _second(event, len(self.series) if at is None else int(at))
        self.series.append(second)
        if second["at"] >= self._warmup:
            for name, counts in event.functions.items():
                known = self.functions.setdefault(name, Counter())
                for key, value in _counted(counts).items():
                    known[key] += value

    @take.register
    def _(self, event: MarkEvent) -> None:
        self.marks.append(_mark(event))

    @take.register
    def _(self, event: FailureEvent) -> None:
        self.failures.append(
            {
                "function": event.function,
                "kind": event.kind,
                "message": event.message,
                "first": event.first,
                "last": event.last,
                "exchange": msgspec.to_builtins(event.exchange),
                "count": event.count or 1,
            }
        )

    @take.register
    def _(self, event: LoadEndEvent) -> None:
        self.end = event

    @property
    def _warmup(self) -> float:
        return _number(given(self.plan.warmup)) if self.plan is not None else 0.0

    def record(self) -> dict[str, Any] | None:
        """Return the report's `load`."""
        if self.plan is None:
            return None
        # What the end does not repeat is as planned.
        end = self.end or LoadEndEvent()
        plan = self.plan.filled_from(self.options)
        series = sorted(self.series, key=lambda second: second["at"])
        total, functions, warmed = self._totals(end, series)
        seconds = given(end.seconds)
        if seconds is None:
            seconds = series[-1]["at"] + 1 if series else 0.0
        # `load-end` repeats the marks that were reported during the run.
        marks = [_mark(mark) for mark in end.marks] or self.marks
        schedule, search = given(plan.schedule), given(end.search) or given(plan.search)
        if schedule and schedule.get("kind") == "search":
            schedule, search = None, search or schedule
        return (
            _planned(end.filled_from(plan))
            | {
                "schedule": schedule,
                "search": search,
                "scenario": given(plan.scenario) or "",
                "arrivals": "closed" if plan.arrivals == "closed" else "open",
                "warmup": self._warmup,
                "seconds": _number(seconds),
                "complete": given(end.total) is not None,
                "users": given(end.users) or given(plan.users) or 0,
                "workers": given(end.workers) or given(plan.workers) or 1,
                "connections": _connections(end, plan, series),
                "marks": sorted(marks, key=lambda mark: mark["at"]),
                "total": _counts(total),
                "functions": {name: _counts(counts) for name, counts in sorted(functions.items())},
                "warmed": _counts(warmed),
                "series": series,
                "rules": msgspec.to_builtins(end.rules),
                "schema": end.schema,
                "renewed": end.renewed or 0,
                "sessions": end.sessions,
                # A run that was cut short has reported each cause once.
                "failures": end.failures or {"rows": self.failures, "beyond": 0},
                "slowest": list(end.slowest or ()),
                "slos": self._slos(end),
                "health": self._health(end, series),
            }
            | _mix_from(given(plan.mix_from), functions)
        )

    def _slos(self, end: LoadEndEvent) -> list[dict[str, Any]]:
        if end.slos is not None:
            return end.slos
        planned = given(self.plan.slo) if self.plan is not None else None
        return [_unjudged(slo) for slo in planned or ()]

    def _health(self, end: LoadEndEvent, series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        health = dict(end.health or {})
        if health:
            health.setdefault("remarks", [])
            if health.get("calibration") is None:
                health["calibration"] = self.calibration
            return health
        cpu = [second["cpu"] for second in series]
        dropped = sum(second["dropped"] for second in series)
        due = dropped + sum(second["sent"] for second in series)
        lag = max((second["lag"] for second in series), default=0.0)
        return {
            "valid": False,
            "why": [CUT_SHORT],
            "remarks": [],
            "cpu": {
                "mean": sum(cpu) / len(cpu) if cpu else 0.0,
                "most": max(cpu, default=0.0),
                "cores": None,
            },
            "lag": {"p50": None, "p99": lag, "max": None},
            "dropped": dropped,
            "dropped_share": dropped / due if due else 0.0,
            "gc": None,
            "calibration": self.calibration,
            "workers": [],
        }

    def _totals(
        self, end: LoadEndEvent, series: Sequence[Mapping[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]], dict[str, Any]]:
        """Return the counts in total, by function and of the warm-up; for a run that was killed, from its seconds."""
        total, functions, warmed = given(end.total), given(end.functions), given(end.warmed)
        if total is not None and functions is not None and warmed is not None:
            return total, functions, warmed
        warm = [second for second in series if second["at"] < self._warmup]
        rest = [second for second in series if second["at"] >= self._warmup]
        functions = {
            name: {
                "requests": counts["requests"],
                "reached": counts["requests"] / len(rest) if rest else 0.0,
                "errors": {},
                "failed": counts["failed"],
                "nonconformant": counts["nonconformant"],
            }
            for name, counts in self.functions.items()
        }
        return _summed(rest), functions, _summed(warm)


def _mix_from(mix: Mapping[str, Any] | None, functions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mix of recorded traffic beside the one that was reached; nothing where the load followed none."""
    if mix is None:
        return {}
    asked: Mapping[str, float] = mix.get("asked") or {}
    whole = sum(counts["requests"] for counts in functions.values())
    shares = {
        name: {
            "asked": asked.get(name, 0.0),
            "reached": functions[name]["requests"] / whole if whole and name in functions else 0.0,
        }
        for name in sorted({*asked, *functions}, key=lambda name: (-asked.get(name, 0.0), name))
    }
    return {
        "mix_from": {
            "source": str(mix.get("source") or ""),
            "calls": int(mix.get("calls") or 0),
            "functions": shares,
            "left_out": list(mix.get("left_out") or ()),
        }
    }


def _planned(plan: LoadFields) -> dict[str, Any]:
    """Return the members of the report's `load` that repeat the plan."""
    duration = given(plan.duration)
    newer = {
        "fail_fast": given(plan.fail_fast),
        "steps": given(plan.steps),
        "per_session": given(plan.per_session),
        "read_only": given(plan.read_only),
        "generator": given(plan.generator),
    }
    return {
        "scenario": None,
        "arrivals": None,
        "executor": given(plan.executor),
        "schedule": None,
        "search": None,
        "warmup": None,
        "duration": None if duration is None or math.isinf(duration) else float(duration),
        "users": None,
        "think": given(plan.think),
        "workers": None,
        "mix": given(plan.mix),
        "abort_when": given(plan.abort_when),
        "ceiling": given(plan.ceiling),
    } | {name: value for name, value in newer.items() if value is not None}


def _connections(end: LoadFields, plan: LoadFields, series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the limit of connections, and how many there were; older runs have the limit alone."""
    reported = given(end.connections) or given(plan.connections) or {}
    connections: dict[str, Any] = reported if isinstance(reported, dict) else {"limit": reported}
    most = max((second["connections"] for second in series), default=0)
    record = {
        "limit": connections.get("limit"),
        "opened": int(connections.get("opened") or most),
        "most": int(connections.get("most") or most),
    }
    return record | ({"policy": connections["policy"]} if connections.get("policy") else {})


def _second(event: SecondEvent, at: int) -> dict[str, Any]:
    """Return a second for the report's series."""
    newer = {
        "served": given(event.served),
        "answered": given(event.answered),
        "renewed": given(event.renewed),
        "no_connection": given(event.no_connection),
    }
    return {
        "at": at,
        "asked": None if event.asked is None else _number(event.asked),
        "errors": event.errors,
        "due": event.due,
        "cpu": _number(event.cpu),
        "sent": event.sent,
        "done": event.done,
        "failed": event.failed,
        "nonconformant": event.nonconformant,
        "dropped": event.dropped,
        "late": event.late,
        "users": event.users,
        "connections": event.connections,
        "p50": _number(event.p50),
        "p95": _number(event.p95),
        "p99": _number(event.p99),
        "max": _number(event.max),
        "lag": _number(event.lag),
    } | {name: value for name, value in newer.items() if value is not None}


def _mark(mark: MarkEvent | MarkRecord) -> dict[str, Any]:
    at = max(0.0, _number(given(mark.at)))
    return {"at": at, "kind": mark.kind, "text": mark.text}


def _unjudged(slo: object) -> dict[str, Any]:
    """Return the record of an SLO that was not judged."""
    given: Mapping[str, Any] = slo if isinstance(slo, Mapping) else {"text": str(slo)}
    absent = dict.fromkeys(("function", "metric", "op", "limit", "unit", "value", "margin", "needed"))
    return absent | dict(given) | {"samples": 0, "verdict": "not judged", "reason": CUT_SHORT}


def _number(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if math.isfinite(number) else 0.0


def _counted(counts: FunctionSecondRecord | list[int]) -> dict[str, int]:
    """Return one function's counts in a second; older runs have them as a list, or the errors by kind."""
    if isinstance(counts, list):
        return dict(zip(("requests", "failed", "nonconformant"), counts, strict=False))
    errors = sum(counts.errors.values()) if isinstance(counts.errors, dict) else counts.errors
    return {
        "requests": counts.requests,
        "failed": given(counts.failed) or errors or 0,
        "nonconformant": counts.nonconformant,
    }


def _counts(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts with every member of the report's format."""
    errors = {str(kind): int(number) for kind, number in (counts.get("errors") or {}).items()}
    asked = counts.get("asked")
    return {
        "requests": int(counts.get("requests") or 0),
        "asked": None if asked is None else _number(asked),
        "reached": _number(counts.get("reached")),
        "errors": errors,
        "failed": int(counts.get("failed") or 0),
        "nonconformant": int(counts.get("nonconformant") or 0),
        "dropped": int(counts.get("dropped") or 0),
        "bytes": counts.get("bytes"),
        "due": counts.get("due"),
        "sent": counts.get("sent"),
    } | {name: counts[name] for name in _ENDINGS if name in counts}


def _summed(series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from load.metrics.histogram import Histogram  # imports numpy, which a run without a load does not need

    histogram = Histogram()
    errors: Counter[str] = Counter()
    asked = 0.0
    for second in series:
        if second["due"]:
            histogram.merge(Histogram.decode(second["due"]))
        errors.update(second["errors"])
        asked += second["asked"] or 0.0
    requests = sum(second["done"] for second in series)
    ended: dict[str, Any] = {}
    if series and all("served" in second for second in series):
        ended = {name: sum(second[name] for second in series) for name in _NEWER_COUNTS}
        ended["rate"] = ended["served"] / len(series)
        ended["unanswered"] = requests - ended["answered"]
    return {
        "requests": requests,
        "asked": asked / len(series) if series and any(s["asked"] is not None for s in series) else None,
        "reached": requests / len(series) if series else 0.0,
        "errors": dict(sorted(errors.items())),
        "failed": sum(second["failed"] for second in series) or errors.total(),
        "nonconformant": sum(second["nonconformant"] for second in series),
        "dropped": sum(second["dropped"] for second in series),
        "due": histogram.figures(),
        **ended,
    }


# --- the verdict --------------------------------------------------------------------------------------------


def requests(load: Mapping[str, Any] | None) -> int:
    """Return the number of requests of a load, including its warm-up."""
    return 0 if load is None else int(load["total"]["requests"] + load["warmed"]["requests"])


def overall(load: Mapping[str, Any]) -> tuple[str, str]:
    """Return the verdict of the load ("pass", "fail" or "undecided"), and the reason in one line.

    A generator that was the bottleneck has measured itself. Then no SLO passes, and an SLO fails only if the generator
    cannot have caused the violation.
    """
    total = load["total"]
    if not load["complete"]:
        return "undecided", CUT_SHORT
    lost = sum(total["errors"].get(kind, 0) for kind in ("unreachable",))
    if total["requests"] and lost == total["requests"]:
        return "undecided", f"the target does not answer: all of {plural(lost, 'request')} failed to connect"
    if not requests(load):
        return "undecided", "; ".join(load["health"]["why"]) or "nothing was sent"
    if total["requests"] and total["failed"] == total["requests"]:
        return "fail", _nothing_served(total)
    if load["search"] is not None:
        return _searched(load["search"])
    slos = load["slos"]
    missed = [slo for slo in slos if slo["verdict"] == "fail" and decided(load, slo)]
    if missed:
        text = ", ".join(f"{slo['text']}: {measured(slo)}" for slo in missed[:3])
        more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
        return "fail", f"{plural(len(missed), 'SLO')} of {len(slos)} missed ({text}{more})"
    if not load["health"]["valid"]:
        why = list(load["health"]["why"]) or ["no reason was given"]
        more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
        return "undecided", f"what was measured cannot be relied on: {why[0]}{more}"
    aborted = next((mark["text"] for mark in load["marks"] if mark["kind"] == "abort"), None)
    if aborted is not None:
        return "undecided", f"stopped early: {aborted}"
    open_ones = [slo for slo in slos if slo["verdict"] != "pass"]
    if open_ones:
        first = open_ones[0]
        return "undecided", (
            f"{plural(len(open_ones), 'SLO')} of {len(slos)} could not be judged "
            f"({first['text']}: {first['reason'] or 'no reason was given'})"
        )
    every = f"{plural(len(slos), 'SLO')} held" if len(slos) < 2 else f"all {len(slos)} SLOs held"
    return "pass", f"{every if slos else 'no SLO was asked for'} on {plural(total['requests'], 'request')}"


def _nothing_served(total: Mapping[str, Any]) -> str:
    kinds = sorted(total["errors"].items(), key=lambda pair: (-pair[1], pair[0]))
    text = ", ".join(f"{count:,} {kind}" for kind, count in kinds[:3])
    more = f" and {len(kinds) - 3} more kinds" if len(kinds) > 3 else ""
    return f"nothing was served: every one of {plural(total['requests'], 'request')} failed ({text}{more})"


def _searched(search: Mapping[str, Any]) -> tuple[str, str]:
    """Return the verdict of a search. Each trial checks its generator itself, and the last trials are meant to fail."""
    if search["result"] is not None:
        return "pass", f"{search['result']:.4g}/s is the highest rate that held ({search['why']})"
    if search["why"] is None:
        return "undecided", "the search did not come to its end"
    if any(trial["held"] is False for trial in search["trials"]):
        return "fail", f"no rate held ({search['why']})"
    return "undecided", f"no rate could be judged ({search['why']})"


def measured(slo: Mapping[str, Any]) -> str:
    """Return the measured value of an SLO, with its unit."""
    value, unit = slo["value"], slo["unit"] or ""
    if value is None:
        return "nothing"
    if unit == "ms":
        return format_significant(value)
    return f"{value:.4g}{unit}"
