"""The load section of a page: SLOs, charts over time, and a table per function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from conformance.text import cut
from load.metrics.histogram import Histogram
from reports.model.load_notes import causes, moments, rest_of_causes, session_line, slowest
from reports.render.html.charts import Mark, Series, chart
from reports.render.html.frame import environment
from reports.render.html.messages import show_request, show_response
from reports.render.terminal.load_screen import STEP_HEADS, step_cells
from reports.text import error_share, goodput, latency, slo_word

__all__ = ["LATENCIES", "duration", "milliseconds", "percentage", "rate", "rate_tick", "render", "tick"]

LATENCIES = (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max"))

#: Points of a line. Seconds of a longer load are grouped.
MAX_POINTS = 300

#: Kinds of errors with a line of their own. The others share one.
MAX_ERROR_LINES = 4

MAX_BODY_CHARACTERS = 2_000

#: Lines of the throughput chart, each with its member of a second.
_RATES = (
    ("asked", "asked"),
    ("done", "done"),
    ("sent", "sent"),
    ("answered", "answered"),
    ("served", "served"),
)

#: Ticks of the percentile plot.
_PERCENTILES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)


def milliseconds(value: float | None) -> str:
    """Return a latency in ms for a table: `1.20 ms`, `1.25 s`."""
    if value is None:
        return "–"
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    if 0 < value < 0.01:
        return f"{value:.2g} ms"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} ms"


def rate(value: float | None) -> str:
    """Return a rate per second for a table."""
    return "–" if value is None else f"{value:,.0f}/s" if value >= 100 else f"{value:.3g}/s"


def tick(value: float) -> str:
    """Return a latency in ms for a tick of an axis."""
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"


def rate_tick(value: float) -> str:
    """Return a rate for a tick of an axis."""
    return f"{value:,g}/s"


def percentage(value: float | None) -> str:
    """Return a share, from 0 to 1, in percent."""
    if value is None:
        return "–"
    return f"{100 * value:.0f} %" if value in (0, 1) else f"{100 * value:.3g} %"


def duration(seconds: float) -> str:
    """Return a time in a run for its axis: `1:02:05`."""
    if seconds < 120:
        return f"{seconds:.4g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def render(load: Mapping[str, Any]) -> Markup:
    """Return the load section of a page."""
    total = load["total"]
    marks = _marks(load)
    steps = _group_seconds(load.get("series") or [])
    asked = total.get("asked")
    requests = total["requests"]
    facts = [
        ("Scenario", f"{load['scenario']}, {load['arrivals']} arrivals"),
        ("Asked for", rate(asked) if asked is not None else "as fast as the users go"),
        *_reached(load),
        ("Requests", f"{requests:,}"),
        (
            "Errors",
            f"{sum(total['errors'].values()) or total['failed']:,} ({percentage(error_share(total))})",
        ),
        ("Nonconformant", f"{total['nonconformant']:,}"),
        ("p50", milliseconds(latency(total, "due", "p50"))),
        ("p95", milliseconds(latency(total, "due", "p95"))),
        ("p99", milliseconds(latency(total, "due", "p99"))),
    ]
    if (sessions := session_line(load)) is not None:
        facts.append(("Sessions", sessions))
    return Markup(  # noqa: S704  (of the template, which escapes)
        environment()
        .get_template("load.html")
        .render(
            load=load,
            schedule=str((load.get("schedule") or {}).get("text") or load["scenario"]),
            facts=facts,
            slos=[_slo(load, slo) for slo in load.get("slos") or []],
            health=_health(load.get("health") or {}),
            charts=[each for each in _charts(load, steps, marks) if each],
            rows=_rows(load),
            step_heads=STEP_HEADS,
            steps=[step_cells(step) for step in load.get("steps") or []],
            marks=[(mark.label, duration(mark.at), mark.text) for mark in marks],
            errors=sorted(total["errors"].items(), key=lambda pair: -pair[1]),
            causes=[_cause(row) for row in causes(load)],
            beyond=rest_of_causes(load, len(causes(load))),
            slowest=slowest(load),
            warmup=load.get("warmup") or 0,
            duration=duration,
        )
    )


def _reached(load: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rates of requests answered and served, and the counts of the others."""
    total = load["total"]
    if "served" not in total:
        return [("Reached", rate(total["reached"]))]
    seconds = max(load["seconds"] - (load.get("warmup") or 0), 1e-9)
    facts = [("Answered", rate(total["answered"] / seconds)), ("Served", rate(total["rate"]))]
    refused = total.get("refused") or {}
    if count := total["answered"] - total["served"]:
        facts.append(("Refused", f"{count:,}"))
    if refused.get("count"):
        facts.append(("Refused: p50, p95", f"{milliseconds(refused['p50'])}, {milliseconds(refused['p95'])}"))
    for name, what in (
        ("unanswered", "Without an answer"),
        ("dropped", "Dropped"),
        ("renewed", "Renewed with their session"),
    ):
        if total.get(name):
            facts.append((what, f"{total[name]:,}"))
    return facts


def _cause(row: Mapping[str, Any]) -> dict[str, Any]:
    exchange = row["exchange"] or {}
    return {
        **row,
        "when": moments(row),
        "request": show_request(exchange, MAX_BODY_CHARACTERS),
        "response": show_response(exchange, MAX_BODY_CHARACTERS),
        "failure": exchange.get("failure"),
        "curl": exchange.get("curl"),
    }


def _marks(load: Mapping[str, Any]) -> list[Mark]:
    marks = sorted(load.get("marks") or [], key=lambda mark: float(mark["at"]))
    return [
        Mark(
            float(mark["at"]), str(number), cut(f"{mark['kind']}: {mark.get('text') or ''}".rstrip(": "), 300)
        )
        for number, mark in enumerate(marks[:40], 1)
    ]


# --- over time


def _group_seconds(series: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Group seconds, so that a line has at most MAX_POINTS points; histograms merge exactly."""
    width = max(1, math.ceil(len(series) / MAX_POINTS))
    steps = []
    for begin in range(0, len(series), width):
        part = series[begin : begin + width]
        step: dict[str, Any] = {"at": float(part[0]["at"]), "errors": {}}
        for name in ("asked", "sent", "done", "answered", "served", "renewed"):
            known = [float(each[name]) for each in part if each.get(name) is not None]
            step[name] = sum(known) / len(known) if known else None
        for name in ("max", "lag", "cpu", "connections", "users"):
            known = [float(each[name]) for each in part if each.get(name) is not None]
            step[name] = max(known) if known else None
        for each in part:
            for kind, count in (each.get("errors") or {}).items():
                step["errors"][kind] = step["errors"].get(kind, 0) + count / len(part)
        step |= _latencies(part)
        steps.append(step)
    return steps


def _latencies(part: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    if len(part) == 1:
        # A second without requests has no latency, although its members are numbers.
        something = bool(part[0].get("done"))
        return {name: part[0].get(name) if something else None for name in ("p50", "p95", "p99")}
    whole = Histogram()
    for each in part:
        if each.get("due"):
            whole.merge(Histogram.decode(each["due"]))
    if not whole.count:
        return {"p50": None, "p95": None, "p99": None}
    return {
        name: value / 1000
        for name, value in zip(("p50", "p95", "p99"), whole.percentiles((50, 95, 99)), strict=True)
    }


def _charts(
    load: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], marks: Sequence[Mark]
) -> list[Markup]:
    xs = [step["at"] for step in steps]
    width = xs[1] - xs[0] if len(xs) > 1 else 1.0
    each = f"each {duration(width)}" if width > 1 else "each second"
    warmup = float(load.get("warmup") or 0)

    def over_time(
        title: str, note: str, lines: Sequence[Series], format_y: Callable[[float], str], **more: Any
    ) -> Markup:
        return chart(
            title, note, xs, lines, format_x=duration, format_y=format_y, marks=marks, warmup=warmup, **more
        )

    def of(name: str) -> list[float | None]:
        return [step[name] for step in steps]

    latencies = [Series(name, of(name), milliseconds) for name in ("p99", "p95", "p50")]
    rates = [
        Series(name, of(of_name), rate)
        for name, of_name in _RATES
        if any(step[of_name] is not None for step in steps) or of_name == "done"
    ]
    return [
        over_time(
            "Latency over time",
            f"from the moment a request was due; {each}",
            [Series("max", of("max"), milliseconds), *latencies],
            tick,
            log=True,
        ),
        over_time(
            "Throughput",
            f"asked for, answered and served; {each}",
            [each for each in rates if any(v is not None for v in each.values)],
            rate_tick,
        ),
        _errors(steps, over_time, each),
        _distribution(load["total"]),
        over_time(
            "Generator behind its schedule",
            f"99th percentile of how late requests were sent; {each}",
            [Series("lag", of("lag"), milliseconds)],
            tick,
        ),
    ]


def _errors(steps: Sequence[Mapping[str, Any]], over_time: Callable[..., Markup], each: str) -> Markup:
    totals: dict[str, float] = {}
    for step in steps:
        for kind, count in step["errors"].items():
            totals[kind] = totals.get(kind, 0) + count
    kinds = sorted(totals, key=lambda kind: -totals[kind])
    renewed = [step["renewed"] for step in steps]
    if not kinds and not any(renewed):
        return Markup("")
    shown, rest = (
        (kinds, [])
        if len(kinds) <= MAX_ERROR_LINES + 1
        else (kinds[:MAX_ERROR_LINES], kinds[MAX_ERROR_LINES:])
    )
    lines = [Series(cut(kind, 60), [step["errors"].get(kind, 0.0) for step in steps], rate) for kind in shown]
    if rest:
        lines.append(
            Series("others", [sum(step["errors"].get(kind, 0.0) for kind in rest) for step in steps], rate)
        )
    if any(renewed):
        # These are not errors: the calls were refused because their session had ended.
        lines.append(Series("renewed", renewed, rate))
    title = "Errors over time" if kinds else "Renewed sessions over time"
    return over_time(title, f"by kind; {each}", lines, rate_tick)


def _distribution(total: Mapping[str, Any]) -> Markup:
    """Draw the percentiles on an axis on which each further nine has the same width."""
    # A load that was killed has only the latencies from the moment due.
    due, sent = (
        Histogram.decode(total[name]["histogram"]) if total[name] else Histogram() for name in ("due", "sent")
    )
    if not due.count:
        return Markup("")
    last = math.log10(max(due.count, 10))
    at = [last * number / 160 for number in range(161)]
    wanted = [100 * (1 - 10**-place) for place in at]
    lines = [
        Series(name, [value / 1000 for value in histogram.percentiles(wanted)], milliseconds)
        for name, histogram in (("from due", due), ("from sent", sent))
        if histogram.count
    ]
    ticks = [(-math.log10(1 - p / 100), f"{p:g} %") for p in _PERCENTILES]
    return chart(
        "Latency distribution",
        "by percentile, each further nine as wide as the one before; from the moment due and from the moment sent",
        at,
        lines,
        format_x=lambda place: f"{100 * (1 - 10**-place):.6g} %",
        format_y=tick,
        x_ticks=[(place, text) for place, text in ticks if place <= last],
        log=True,
        head="percentile",
    )


# --- tables


def _slo(load: Mapping[str, Any], slo: Mapping[str, Any]) -> dict[str, Any]:
    unit, value = slo.get("unit"), slo.get("value")
    margin = slo.get("margin")
    reason = slo.get("reason")
    samples, needed = slo.get("samples"), slo.get("needed")
    if not reason and samples is not None and needed is not None and samples < needed:
        reason = f"{samples:,} samples, {needed:,} needed"
    return {
        "text": slo["text"],
        "word": slo_word(load, slo),
        "value": _with_unit(value, unit),
        "limit": f"{slo['op']} {_with_unit(slo['limit'], unit)}",
        "margin": "–" if margin is None else f"{100 * margin:+.1f} %",
        # Length of a bar of 100 units: the used part of the limit.
        "used": None if margin is None else max(1.0, min(100.0, 100 * (1 - margin))),
        "reason": reason,
        "samples": "" if samples is None else f"{samples:,}",
    }


def _with_unit(value: float | None, unit: str | None) -> str:
    if value is None:
        return "–"
    if unit == "ms":
        return milliseconds(value)
    if unit == "/s":
        return rate(value)
    return f"{value:.4g} {unit or ''}".rstrip()


def _rows(load: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = [*sorted(load["functions"].items()), ("all", load["total"])]
    return [
        {
            "name": name,
            "all": name == "all" and counts is load["total"],
            "requests": f"{counts['requests']:,}",
            "rate": rate(goodput(counts)),
            "errors": percentage(error_share(counts)),
            "failed": counts["failed"] or counts.get("no_connection"),
            "nonconformant": counts["nonconformant"],
            "dropped": counts["dropped"],
            "due": [
                milliseconds(latency(counts, "due", key) if counts["requests"] else None)
                for key, _ in LATENCIES
            ],
            "sent": milliseconds(latency(counts, "sent", "p95") if counts["requests"] else None),
        }
        for name, counts in named
    ]


def _health(health: Mapping[str, Any]) -> dict[str, Any]:
    cpu, lag, gc = (health.get(name) or {} for name in ("cpu", "lag", "gc"))
    calibration = health.get("calibration")
    facts = []
    if cpu:
        facts.append(
            (
                "CPU of a process, mean and most",
                f"{percentage(cpu.get('mean'))}, {percentage(cpu.get('most'))}",
            )
        )
        facts.append(("Cores", str(cpu.get("cores"))))
    if lag:
        lags = ", ".join(milliseconds(lag.get(name)) for name in ("p50", "p99", "max"))
        facts.append(("Behind its schedule: p50, p99, most", lags))
    facts.append(
        ("Arrivals dropped", f"{health.get('dropped', 0):,} ({percentage(health.get('dropped_share'))})")
    )
    if gc:
        facts.append(
            ("Pauses for memory: how many, longest", f"{gc.get('count')}, {milliseconds(gc.get('longest'))}")
        )
    if calibration:
        facts.append(("Reached against a server that answers at once", rate(calibration.get("rate"))))
    workers = health.get("workers") or []
    lost = [str(worker.get("name")) for worker in workers if worker.get("lost")]
    if lost:
        facts.append(("Workers lost", ", ".join(lost)))
    return {
        "valid": health.get("valid"),
        "why": list(health.get("why") or ()),
        "remarks": list(health.get("remarks") or ()),
        "facts": facts,
    }
