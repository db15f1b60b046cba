"""The load part of the closing screen: latencies per function, SLOs with their margins, and the generator's health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from conformance.text import cut
from conformance.units import format_milliseconds
from reports.model.load_notes import cause, causes, moments, rest_of_causes, session_line, slowest
from reports.model.load_summary import measured
from reports.render.terminal.layout import Page
from reports.text import decided, error_share, goodput, plural

__all__ = ["STEP_HEADS", "show", "step_cells"]

MAX_FUNCTIONS = 20
MAX_ERROR_KINDS = 4
MAX_MARKS = 6
MAX_CAUSES = 5
MAX_MIX_FUNCTIONS = 10

_HEADS = ("requests", "rate", "p50", "p95", "p99", "max", "errors", "broken")
#: Column heads of the table of steps, in the order of `step_cells`.
STEP_HEADS = ("step", "asked", "served", "p50", "p95", "p99", "errors")
_SLO_STYLES = {"pass": ("✓", "green"), "fail": ("✗", "bold red"), "not judged": ("?", "magenta")}


def rate(value: float | None) -> str:
    """Return a rate per second for display."""
    if value is None:
        return "·"
    return f"{value:.1f}/s" if value < 1000 else f"{value:,.0f}/s"


def share(part: float, whole: float) -> str:
    """Return a share in percent for display; 0 is a dot, and a small share never looks like 0."""
    if not part:
        return "·"
    percent = 100 * part / whole if whole else 100.0
    return f"{percent:.2g}%" if percent < 1 else f"{percent:.1f}%"


def step_cells(step: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a step of the schedule as cells of a table."""
    return (
        f"{step['from']:g} to {step['to']:g} s",
        rate(step["asked"]),
        rate(step["rate"]),
        *(format_milliseconds(step[name]) for name in ("p50", "p95", "p99")),
        share(step["errors"], 1),
    )


def show(page: Page, load: Mapping[str, Any]) -> None:
    """Write the load part of the page."""
    _asked(page, load)
    page.gap()
    _table(page, load)
    _mix_from(page, load)
    _steps(page, load)
    _slos(page, load)
    _causes(page, load)
    _search(page, load)
    _marks(page, load)
    _health(page, load)
    _rules(page, load)


def _asked(page: Page, load: Mapping[str, Any]) -> None:
    if load["arrivals"] == "open":
        what = (load["schedule"] or load["search"] or {"text": "a schedule"})["text"]
        description = f"open arrivals, {what}"
    else:
        description = (
            f"closed: {plural(load['users'], 'user')}, each waiting for its answer before it asks again"
        )
    workers = f" · {load['workers']} workers" if load["workers"] > 1 else ""
    warm = f" · the first {load['warmup']:g} s are warm-up, not counted" if load["warmup"] else ""
    page.line((f"{load['scenario']}: {description}{workers}{warm}", "bold"), indent=2)


def _cells(counts: Mapping[str, Any]) -> list[str]:
    due = counts["due"] or {}
    return [
        f"{counts['requests']:,}",
        rate(goodput(counts)),
        *(
            format_milliseconds(due.get(name) if due.get("count") else None)
            for name in ("p50", "p95", "p99", "max")
        ),
        share(error_share(counts), 1),
        share(counts["nonconformant"], counts["requests"]),
    ]


def _table(page: Page, load: Mapping[str, Any]) -> None:
    functions = sorted(load["functions"].items(), key=lambda pair: -pair[1]["requests"])
    rows = [(cut(name, 40), _cells(counts)) for name, counts in functions[:MAX_FUNCTIONS]]
    rows.append(("all", _cells(load["total"])))
    first = max(cell_len(page.safe(name)) for name, _ in rows)
    widths = [
        max(len(head), *(len(cells[column]) for _, cells in rows)) for column, head in enumerate(_HEADS)
    ]
    # A narrow terminal gets fewer columns, but always the errors.
    columns = list(range(len(_HEADS)))
    for spare in (5, 2, 7, 1, 0):
        if first + sum(widths[column] + 2 for column in columns) <= page.width:
            break
        columns.remove(spare)
    page.line(
        (" " * first + "".join(f"  {_HEADS[column]:>{widths[column]}}" for column in columns), "dim"),
        wrap=False,
    )
    for number, (name, cells) in enumerate(rows):
        style = "bold" if number == len(rows) - 1 else ""
        shown = page.safe(name)
        parts = [(shown + " " * (first - cell_len(shown)), style)]
        for column in columns:
            bad = column > 5 and cells[column] != "·"
            parts.append((f"  {cells[column]:>{widths[column]}}", "bold red" if bad else style))
        page.line(*parts, wrap=False)
        if number == len(rows) - 2 and len(functions) > MAX_FUNCTIONS:
            page.line(
                (f"  and {plural(len(functions) - MAX_FUNCTIONS, 'more function')} in report.json", "dim")
            )
    total = load["total"]
    if total["errors"]:
        kinds = sorted(total["errors"].items(), key=lambda pair: -pair[1])
        description = ", ".join(f"{count:,} {cut(kind, 40)}" for kind, count in kinds[:MAX_ERROR_KINDS])
        page.field(
            "errors",
            description
            + (f" and {len(kinds) - MAX_ERROR_KINDS} more kinds" if len(kinds) > MAX_ERROR_KINDS else ""),
        )
    if "served" in total:
        page.field("ended", _ended(load))
    description = (
        "latencies run from the moment each request was due, of those served and those that timed out"
    )
    if "served" not in total:
        description = "latencies run from the moment each request was due, failed ones included"
    if load["arrivals"] == "closed":
        description = (
            "closed users ask less while answers are slow: callers who do not wait for each other see worse"
        )
    elif load["executor"] == "tasks":
        description = (
            "each arrival is a task of a user; its first latency runs from the moment the arrival was due"
        )
    page.line((description, "dim"), indent=2)


def _mix_from(page: Page, load: Mapping[str, Any]) -> None:
    """Write the mix of recorded traffic that was asked for, and the one that was reached."""
    mix = load.get("mix_from")
    if mix is None:
        return
    functions = list(mix["functions"].items())
    shown = [
        f"{cut(name, 40)} {share(each['asked'], 1)} → {share(each['reached'], 1)}"
        for name, each in functions[:MAX_MIX_FUNCTIONS]
    ]
    more = len(functions) - len(shown)
    rest = f" and {plural(more, 'more function')} in report.json" if more else ""
    page.field("mix", f"asked for, as in {cut(mix['source'], 60)}, and reached: {', '.join(shown)}{rest}")
    for each in mix["left_out"][:MAX_MIX_FUNCTIONS]:
        page.field(
            "left out",
            f"{cut(each['function'], 40)}, {share(each['share'], 1)} of the capture's calls: {each['reason']}",
        )


def _ended(load: Mapping[str, Any]) -> str:
    """Return the rates of requests due, answered and served, and the counts of the others."""
    total = load["total"]
    seconds = max(load["seconds"] - load["warmup"], 1e-9)
    asked = total.get("asked")
    parts = [] if asked is None else [f"{'tasks' if load['executor'] == 'tasks' else 'asked'} {rate(asked)}"]
    parts += [f"answered {rate(total['answered'] / seconds)}", f"served {rate(total['rate'])}"]
    refused = total.get("refused") or {}
    if count := total["answered"] - total["served"]:
        beside = (
            f" (p50 {format_milliseconds(refused['p50'])}, p95 {format_milliseconds(refused['p95'])})"
            if refused.get("count")
            else ""
        )
        parts.append(f"{count:,} refused{beside}")
    for number, what in (
        (total.get("unanswered"), "without an answer"),
        (total["dropped"], "dropped"),
        (total["renewed"], "renewed with their session"),
    ):
        if number:
            parts.append(f"{number:,} {what}")
    return " · ".join(parts)


def _slos(page: Page, load: Mapping[str, Any]) -> None:
    page.gap()
    slos: Sequence[Mapping[str, Any]] = load["slos"]
    if not slos:
        page.line(("No SLO was asked for: --slo 'p95 < 300ms', or slo in [load] of the profile", "dim"))
        return
    texts = max(cell_len(page.safe(cut(slo["text"], 60))) for slo in slos)
    values = max(len(measured(slo)) for slo in slos)
    for slo in slos:
        stands = slo["verdict"] == "not judged" or load["search"] is not None or decided(load, slo)
        mark, style = _SLO_STYLES[slo["verdict"]] if stands else ("?", "magenta")
        text = page.safe(cut(slo["text"], 60))
        tail = _margin(slo) if slo["verdict"] != "not judged" else f"not judged: {slo['reason']}"
        if slo["verdict"] != "not judged" and slo["reason"]:
            tail += f" · {slo['reason']}"
        page.line(
            (f"{mark} ", style),
            (text + " " * (texts - cell_len(text)), ""),
            (f"  {measured(slo):>{values}}", style),
            (f"  {tail}", "dim"),
            indent=4,
        )


def _steps(page: Page, load: Mapping[str, Any]) -> None:
    steps = load.get("steps") or []
    if not steps:
        return
    page.gap()
    rows = [step_cells(step) for step in steps[:MAX_FUNCTIONS]]
    widths = [max(len(head), *(len(row[place]) for row in rows)) for place, head in enumerate(STEP_HEADS)]
    for number, row in enumerate([STEP_HEADS, *rows]):
        text = "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        page.line((text, "" if number else "dim"), wrap=False)
    if len(steps) > MAX_FUNCTIONS:
        page.line((f"and {plural(len(steps) - MAX_FUNCTIONS, 'more step')} in report.json", "dim"))


def _margin(slo: Mapping[str, Any]) -> str:
    description = f"{slo['samples']:,} {'seconds' if slo['metric'] == 'rate' else 'samples'}"
    margin = slo["margin"]
    if margin is None:
        return f"on {description}"
    if margin < 0:
        return f"{-margin:.0%} beyond the limit, on {description}"
    return f"{margin:.0%} of the limit left, on {description}"


def _causes(page: Page, load: Mapping[str, Any]) -> None:
    """Write the causes of failed requests, and the slowest served request."""
    rows = causes(load)
    if rows:
        page.gap()
        page.line(("why requests failed", "bold"), indent=2)
    for row in rows[:MAX_CAUSES]:
        page.line(
            (f"{row['count']:>9,}  ", "bold red"),
            (cut(cause(row), 160), ""),
            (f"  {moments(row)}", "dim"),
            indent=2,
        )
    if rows and (description := rest_of_causes(load, MAX_CAUSES)) is not None:
        page.line((f"and {description}", "dim"))
    if slow := slowest(load):
        function, at, due, sent, _, session, connection = slow[0]
        latencies = f"{due} from due, {sent} from sent"
        line = f"session {session}, connection {connection}"
        page.field("slowest", f"{function} at {at}, {latencies}, {line}; the ten slowest are in report.html")


def _search(page: Page, load: Mapping[str, Any]) -> None:
    search = load["search"]
    if not search:
        return
    page.gap()
    result = search["result"]
    found = f"{rate(result)} is the highest rate that held" if result is not None else "no rate held"
    page.line((found, "bold"), (f": {search['why'] or 'the search did not come to its end'}", ""), indent=2)
    words = {True: "held", False: "did not hold", None: "not judged"}
    trials = [f"{rate(trial['rate'])} {words[trial['held']]}" for trial in search["trials"]]
    if trials:
        page.field("tried", ", ".join(trials), lines=4)
    page.field("the search", search["stop"])


def _marks(page: Page, load: Mapping[str, Any]) -> None:
    shown = [mark for mark in load["marks"] if mark["kind"] not in ("warm-up over", "step")]
    if not shown:
        return
    page.gap()
    for mark in shown[:MAX_MARKS]:
        page.line(
            (f"at {mark['at']:.1f} s  ", "dim"),
            (f"{mark['kind']}: ", "yellow"),
            (cut(mark["text"], 200), ""),
            indent=4,
        )
    if len(shown) > MAX_MARKS:
        page.line((f"and {len(shown) - MAX_MARKS} more marks in report.json", "dim"))


def _health(page: Page, load: Mapping[str, Any]) -> None:
    health = load["health"]
    page.gap()
    cpu, lag = health["cpu"], health["lag"]
    facts = [f"took {cpu['mean']:.0%} of a core (at most {cpu['most']:.0%})"]
    if load["arrivals"] == "open" and lag["p99"] is not None:
        facts.append(f"took arrivals up {format_milliseconds(lag['p99'])} late at p99")
    facts.append(f"dropped {health['dropped']:,}" if health["dropped"] else "dropped none")
    gc = health["gc"]
    if gc and gc["count"]:
        facts.append(
            f"collected garbage for {format_milliseconds(gc['total'])} (longest {format_milliseconds(gc['longest'])})"
        )
    style = "green" if health["valid"] else "bold yellow"
    page.field("generator", "fit" if health["valid"] else "not fit to say so", style=style)
    page.field("", " · ".join(facts))
    for why in health["why"][:5]:
        page.field("", why, style="yellow")
    calibration = health["calibration"]
    if calibration:
        asked = load["total"]["asked"]
        part = f"; asked for {asked / calibration['rate']:.0%} of it" if asked and calibration["rate"] else ""
        page.field(
            "could send",
            f"{rate(calibration['rate'])} at most, {calibration['cpu_us']:.3g} µs of processor time each, "
            f"against a server that answers at once{part}",
        )
    for remark in health["remarks"][:5]:
        page.field("remark", remark)
    connections = load["connections"]
    limit = f" of {connections['limit']} at most" if connections["limit"] else ""
    most = plural(connections["most"], "connection")
    page.field("network", f"{most} at a time{limit}, {connections['opened']} opened in all")
    if (description := session_line(load)) is not None and load["arrivals"] == "open":
        page.field("sessions", description)
    lost = [worker["name"] for worker in health["workers"] if worker["lost"]]
    if lost:
        page.field("lost", f"{plural(len(lost), 'worker')}: {', '.join(lost[:4])}", style="yellow")


def _rules(page: Page, load: Mapping[str, Any]) -> None:
    judged = {rule: counts for rule, counts in load["rules"].items() if counts["judged"]}
    if not judged:
        return
    broken = [rule for rule, counts in judged.items() if counts["broken"]]
    description = f"{plural(len(judged), 'rule')} judged on every answer"
    description += f", {len(broken)} broken ({', '.join(broken[:5])})" if broken else ", none broken"
    schema = load["schema"]
    if schema and schema["of"]:
        part = schema["judged"] / schema["of"]
        description += f" · declared results on {schema['judged']:,} of {schema['of']:,} ({part:.1%})"
    page.field("rules", description, style="bold red" if broken else "")
