"""Builds the load part of the report from the events of a run, and its verdict.

A complete run reports its totals in `load-end`. The totals of a run that was killed are computed from its seconds,
whose histograms merge without loss. Members that cannot be computed in this way are null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.units import format_significant
from reports.text import decided, plural

__all__ = ["CUT_SHORT", "LoadPart", "measured", "overall", "requests"]


#: Members of a second that are numbers; 0 if a second lacks them.
_NUMBERS = ("sent", "done", "failed", "nonconformant", "dropped", "late", "users", "connections")
#: The same for newer runs. Older ones do not distinguish served from refused.
_MORE_NUMBERS = ("served", "answered", "renewed", "no_connection")
_LATENCIES = ("p50", "p95", "p99", "max", "lag")

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

_PLANNED = (
    "scenario",
    "arrivals",
    "executor",
    "schedule",
    "search",
    "warmup",
    "duration",
    "users",
    "think",
    "workers",
    "mix",
    "abort_when",
    "ceiling",
)
#: The same for newer runs.
_MORE_PLANNED = ("fail_fast", "steps", "per_session", "read_only", "generator")


class LoadPart:
    """Collects the events of a load; `record` returns the report's `load`, None if the run had none."""

    def __init__(self) -> None:
        self.plan: dict[str, Any] | None = None
        self.calibration: Mapping[str, Any] | None = None
        self.series: list[dict[str, Any]] = []
        self.marks: list[dict[str, Any]] = []
        self.functions: dict[str, Counter[str]] = {}
        self.failures: list[dict[str, Any]] = []
        self.end: Mapping[str, Any] | None = None
        self.wish: Mapping[str, Any] = {}

    def on_run(self, event: Mapping[str, Any]) -> None:
        """Take the options of the load that the `run` event has."""
        self.wish = event.get("load") or {}

    def on_load(self, event: Mapping[str, Any]) -> None:
        """Take the plan of the load."""
        if self.plan is None:
            plan = {name: value for name, value in event.items() if name not in ("event", "at")}
            self.plan = {**self.wish, **plan}

    def on_calibration(self, event: Mapping[str, Any]) -> None:
        """Take the rate that this machine reached against the calibration server."""
        if event.get("rate"):
            self.calibration = {"rate": float(event["rate"]), "cpu_us": float(event["cpu_us"])}

    def on_second(self, event: Mapping[str, Any]) -> None:
        """Take one second of the run."""
        at = int(event.get("at", len(self.series)))
        asked = event.get("asked")
        self.series.append(
            {
                "at": at,
                "asked": None if asked is None else _number(asked),
                "errors": {str(kind): int(count) for kind, count in (event.get("errors") or {}).items()},
                "due": str(event.get("due") or ""),
                "cpu": _number(event.get("cpu")),
            }
            | {name: int(event.get(name) or 0) for name in _NUMBERS}
            | {name: _number(event.get(name)) for name in _LATENCIES}
            | {name: int(event[name]) for name in _MORE_NUMBERS if event.get(name) is not None}
        )
        if at >= self._warmup:
            for name, counts in (event.get("functions") or {}).items():
                known = self.functions.setdefault(str(name), Counter())
                for key, value in _counted(counts).items():
                    known[key] += value

    def on_mark(self, event: Mapping[str, Any]) -> None:
        """Take a mark on the time axis; `at` is in seconds from the start of the load."""
        self.marks.append(_mark(event))

    def on_failure(self, event: Mapping[str, Any]) -> None:
        """Take a cause of failed requests, with its first example."""
        row = {name: event.get(name) for name in ("function", "kind", "message", "first", "last", "exchange")}
        self.failures.append({**row, "count": int(event.get("count") or 1)})

    def on_load_end(self, event: Mapping[str, Any]) -> None:
        """Take the totals of the run."""
        self.end = event

    @property
    def _warmup(self) -> float:
        return _number((self.plan or {}).get("warmup"))

    def record(self) -> dict[str, Any] | None:
        """Return the report's `load`."""
        plan = self.plan
        if plan is None:
            return None
        end = self.end or {}
        series = sorted(self.series, key=lambda second: second["at"])
        totals = end if "total" in end else self._from_seconds(series)
        connections = end.get("connections") or plan.get("connections") or {}
        if not isinstance(connections, Mapping):
            connections = {"limit": connections}
        seconds = end.get("seconds", series[-1]["at"] + 1 if series else 0.0)
        duration = end.get("duration", plan.get("duration"))
        most = max((second["connections"] for second in series), default=0)
        schedule = plan.get("schedule")
        search = end.get("search") or plan.get("search")
        if schedule and schedule.get("kind") == "search":
            schedule, search = None, search or schedule
        # `load-end` repeats the marks that were reported during the run.
        marks = [_mark(mark) for mark in end["marks"]] if end.get("marks") else self.marks
        more = {name: end.get(name, plan.get(name)) for name in _MORE_PLANNED}
        more = {name: value for name, value in more.items() if value is not None}
        planned = {name: end.get(name, plan.get(name)) for name in _PLANNED}
        return (
            planned
            | more
            | {
                "schedule": schedule,
                "search": search,
                "scenario": str(plan.get("scenario") or ""),
                "arrivals": "closed" if plan.get("arrivals") == "closed" else "open",
                "warmup": self._warmup,
                "duration": None if duration is None or math.isinf(float(duration)) else float(duration),
                "seconds": _number(seconds),
                "complete": "total" in end,
                "users": int(end.get("users") or plan.get("users") or 0),
                "workers": int(end.get("workers") or plan.get("workers") or 1),
                "connections": {
                    "limit": connections.get("limit"),
                    "opened": int(connections.get("opened") or most),
                    "most": int(connections.get("most") or most),
                }
                | ({"policy": connections["policy"]} if connections.get("policy") else {}),
                "marks": sorted(marks, key=lambda mark: mark["at"]),
                "total": _counts(totals["total"]),
                "functions": {
                    str(name): _counts(counts) for name, counts in sorted(totals["functions"].items())
                },
                "warmed": _counts(totals["warmed"]),
                "series": series,
                "rules": {
                    str(rule): {"judged": int(of["judged"]), "broken": int(of["broken"])}
                    for rule, of in (end.get("rules") or {}).items()
                },
                "schema": end.get("schema"),
                "renewed": int(end.get("renewed") or 0),
                "sessions": end.get("sessions"),
                # A run that was cut short has reported each cause once.
                "failures": end.get("failures") or {"rows": self.failures, "beyond": 0},
                "slowest": list(end.get("slowest") or ()),
                "slos": self._slos(end),
                "health": self._health(end, series),
            }
        )

    def _slos(self, end: Mapping[str, Any]) -> list[dict[str, Any]]:
        if end.get("slos") is not None:
            return [dict(slo) for slo in end["slos"]]
        planned = (self.plan or {}).get("slo") or ()
        return [_unjudged(slo) for slo in planned]

    def _health(self, end: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        health = dict(end.get("health") or {})
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

    def _from_seconds(self, series: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Compute the totals of a run that was killed."""
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
        return {"total": _summed(rest), "functions": functions, "warmed": _summed(warm)}


def _mark(event: Mapping[str, Any]) -> dict[str, Any]:
    at = max(0.0, _number(event.get("at")))
    return {"at": at, "kind": str(event.get("kind")), "text": str(event.get("text") or "")}


def _unjudged(slo: object) -> dict[str, Any]:
    """Return the record of an SLO that was not judged."""
    given: Mapping[str, Any] = slo if isinstance(slo, Mapping) else {"text": str(slo)}
    absent = dict.fromkeys(("function", "metric", "op", "limit", "unit", "value", "margin", "needed"))
    return absent | dict(given) | {"samples": 0, "verdict": "not judged", "reason": CUT_SHORT}


def _number(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else 0.0
    return number if math.isfinite(number) else 0.0


def _counted(counts: object) -> dict[str, int]:
    """Return one function's counts in a second, given as a mapping or as three numbers."""
    names = ("requests", "failed", "nonconformant")
    if isinstance(counts, Mapping):
        errors = counts.get("errors")
        failed = sum(errors.values()) if isinstance(errors, Mapping) else errors
        return {
            "requests": int(counts.get("requests") or 0),
            "failed": int(counts.get("failed") or failed or 0),
            "nonconformant": int(counts.get("nonconformant") or 0),
        }
    return dict(zip(names, counts, strict=False)) if isinstance(counts, Sequence) else {}


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
        ended = {name: sum(second[name] for second in series) for name in _MORE_NUMBERS}
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

    A generator that was the bottleneck has measured itself. Then no SLO is held, and only those are missed whose
    violation the generator cannot have caused.
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
