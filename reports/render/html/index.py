"""An index of many runs: their verdicts, and failing rules, p95 and rate over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from conformance.rulebook.model import Verdict
from conformance.rulebook.requirements import is_judged
from conformance.text import cut
from reports.headline import headline
from reports.model.store import Stored
from reports.render.html import page as html
from reports.render.html.charts import Series, chart
from reports.render.html.frame import environment, frame
from reports.render.html.load_section import milliseconds, rate, rate_tick, tick
from reports.text import goodput, latency, plural

__all__ = ["NAME", "render"]

NAME = "index.html"


def render(runs: Sequence[Stored], problems: Sequence[str] = ()) -> bytes:
    """Return the index page of runs, given the earliest first; `problems` are messages on unreadable folders."""
    rows = [_row(run) for run in reversed(runs)]
    latest = rows[0] if rows else None
    reason = (
        f"The latest, {latest['name']}: {latest['verdict']}, {latest['reason']}."
        if latest
        else "There is none yet."
    )
    page = (
        environment()
        .get_template("index.html")
        .render(
            **frame(f"{plural(len(runs), 'run')} of conform"),
            count=plural(len(runs), "run"),
            reason=reason,
            problems=[cut(problem, 400) for problem in problems[:50]],
            charts=[figure for figure in _charts(runs) if figure],
            rows=rows,
        )
    )
    return page.encode("utf-8", "backslashreplace")


def _row(run: Stored) -> dict[str, Any]:
    report = run.report
    count = Counter(rule["verdict"] for rule in report["rules"])
    failing = [rule["id"] for rule in report["rules"] if rule["verdict"] == Verdict.FAIL]
    load = report["load"]
    more = f" and {len(failing) - 12} more" if len(failing) > 12 else ""
    return {
        "name": run.name,
        # Quoted, and relative to this folder: a colon in a name would begin a scheme.
        "link": f"./{quote(run.name)}/{html.NAME}" if (run.folder / html.NAME).is_file() else None,
        "started": str(report["started"]).replace("T", " ").replace("Z", " UTC"),
        "verb": report["verb"],
        "verdict": report["verdict"],
        "word": headline(report),
        "reason": report["reason"],
        "target": cut(report["target"]["url"], 80),
        "failing": count[Verdict.FAIL],
        "warning": count[Verdict.WARN],
        "judged": sum(map(is_judged, report["rules"])),
        "p95": milliseconds(latency(load["total"], "due", "p95")) if load else "–",
        "rate": rate(goodput(load["total"])) if load else "–",
        "rules": ", ".join(failing[:12]) + more,
    }


def _charts(runs: Sequence[Stored]) -> list[Any]:
    def over(title: str, note: str, values: list[Series], format_value: Any, of: Sequence[Stored]) -> Any:
        if len(of) < 2:
            return ""
        places = [float(number) for number in range(len(of))]
        every = max(1, len(of) // 4)
        ticks = [
            (place, str(of[int(place)].report["started"])[5:16].replace("T", " "))
            for place in places[::every]
        ]
        return chart(
            title,
            note,
            places,
            values,
            format_x=lambda n: of[int(n)].name,
            format_y=format_value,
            x_ticks=ticks,
            head="run",
        )

    checks = [
        run for run in runs if run.report["rules"] and any(rule["judged"] for rule in run.report["rules"])
    ]
    loads = [run for run in runs if run.report["load"]]

    def failing(run: Stored, verdict: str) -> float:
        return float(sum(rule["verdict"] == verdict for rule in run.report["rules"]))

    def whole(value: float) -> str:
        return f"{value:g}"

    latencies: list[Series] = [
        Series(name, [latency(run.report["load"]["total"], "due", name) for run in loads], milliseconds)
        for name in ("p99", "p95", "p50")
    ]
    rates = Series("rate", [goodput(run.report["load"]["total"]) for run in loads], rate)
    broken = [
        Series(name, [failing(run, verdict) for run in checks], whole)
        for name, verdict in (("failing", Verdict.FAIL), ("warning", Verdict.WARN))
    ]
    return [
        over("Rules failing", "of each run that judged some", broken, whole, checks),
        over("Latency", "from the moment due; of each load", latencies, tick, loads),
        over("Rate served", "of each load", [rates], rate_tick, loads),
    ]
