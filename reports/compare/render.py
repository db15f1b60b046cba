"""Renders a comparison: as text for a terminal, as Markdown, as a page, and as part of a run's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from conformance.text import cut, reveal
from reports.render.html.frame import environment, frame
from reports.render.markdown import code, prose, table
from reports.text import plural

__all__ = ["markdown", "page", "part", "text"]

_HEADS = (
    ("newly_failing", "Newly failing"),
    ("mended", "Mended"),
    ("still_failing", "Still failing"),
    ("newly_not_judged", "Newly not judged"),
)
_CAUSE_HEADS = (("new", "New cause"), ("gone", "Cause gone"))
_WORDS = {
    "regression": "Regression",
    "improvement": "Improvement",
    "same": "No regression",
    "undecided": "Undecided",
}
_MARKS = {"regression": "❌", "improvement": "✅", "same": "✅", "undecided": "⚪"}
_METRICS = {"errors": "error rate", "rate": "rate served"}

#: Entries of each list on a screen or a summary page, and on a page. The JSON has all of them.
MAX_SHORT_LIST, MAX_LONG_LIST = 20, 500


def _value(value: float, unit: str) -> str:
    return (
        f"{value:.3g} {unit}" if unit == "ms" else f"{value:.3g} %" if unit == "%" else f"{value:.4g}{unit}"
    )


def _change(row: Mapping[str, Any]) -> str:
    if row["metric"] == "errors":
        return f"{row['after'] - row['before']:+.3g} points"
    return "–" if row["change"] is None else f"{100 * row['change']:+.1f} %"


def _interval(row: Mapping[str, Any]) -> str:
    if row["interval"] is None:
        return "–"
    low, high = row["interval"]
    if row["metric"] == "errors":
        return f"{low:+.2g} to {high:+.2g} points"
    return f"{100 * low:+.1f} to {100 * high:+.1f} %"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        row["function"] or "all",
        _METRICS.get(row["metric"], row["metric"]),
        _value(row["before"], row["unit"]),
        _value(row["after"], row["unit"]),
        _change(row),
        _interval(row),
        _p(row["mann_whitney"]),
        _p(row["kolmogorov_smirnov"]),
        {"same": "same within noise"}.get(row["claim"], row["claim"]),
    ]


_COLUMNS = (
    "function", "metric", "before", "now", "difference", "95 % interval",
    "Mann-Whitney p", "Kolmogorov-Smirnov p", "says",
)  # fmt: skip


def _change_text(change: Mapping[str, Any]) -> str:
    where = f"{change['path']}: " if change["path"] else ""
    call = f" ({change['call']})" if change["call"] else ""
    if change["what"] == "member removed":
        return f"{where}member removed (was {change['before']})"
    if change["what"] == "member added":
        return f"{where}member added ({change['after']})"
    return f"{where}{change['what']}: {change['before']} → {change['after']}{call}"


def _level(level: Mapping[str, Any]) -> str:
    name = _METRICS.get(level["metric"], level["metric"])
    return (
        f"{name} changed its level with {level['since']}: {level['before']:.3g} before, {level['after']:.3g} since "
        f"({100 * level['change']:+.1f} %)"
    )


def text(comparison: Mapping[str, Any], *, width: int = 100) -> str:
    """Return the comparison for a terminal."""
    lines = [f"{comparison['verdict']}  {comparison['reason']}"]
    lines.append(
        "  ".join(
            f"{name}: {comparison[name]['name']} ({comparison[name]['started']})" for name in ("base", "new")
        )
    )
    rules = comparison["rules"]
    for key, head in _CAUSE_HEADS:
        found = comparison["causes"][key]
        if found:
            lines += ["", f"{head} ({len(found)})"]
            lines += [f"  {c['id']}  {c['sentence']}" for c in found[:MAX_SHORT_LIST]]
            lines += [f"  and {len(found) - MAX_SHORT_LIST} more"] * (len(found) > MAX_SHORT_LIST)
    for key, head in _HEADS:
        if rules[key]:
            lines += ["", f"{head} ({len(rules[key])})"]
            lines += [
                f"  {r['id']:<7} {r['before'] or 'new'} → {r['now']}  {r['title']}"
                for r in rules[key][:MAX_SHORT_LIST]
            ]
            lines += [f"  and {len(rules[key]) - MAX_SHORT_LIST} more"] * (len(rules[key]) > MAX_SHORT_LIST)
    for key, head in (("new", "New findings"), ("gone", "Findings gone")):
        found = rules["findings"][key]
        if found:
            lines += ["", f"{head} ({len(found)})"]
            lines += [
                f"  {f['rule']:<7} {f['function'] or 'the target'}  {f['kind']}"
                for f in found[:MAX_SHORT_LIST]
            ]
            lines += [f"  and {len(found) - MAX_SHORT_LIST} more"] * (len(found) > MAX_SHORT_LIST)
    if comparison["behaviour"]:
        lines += ["", f"Changed, and left open by the rulebook ({len(comparison['behaviour'])})"]
        lines += [f"  {c['function']}  {_change_text(c)}" for c in comparison["behaviour"][:MAX_SHORT_LIST]]
        lines += [f"  and {len(comparison['behaviour']) - MAX_SHORT_LIST} more"] * (
            len(comparison["behaviour"]) > MAX_SHORT_LIST
        )
    shown = [cut(reveal(line), max(40, 2 * width)) for line in lines]
    load = comparison["load"]
    if load:
        shown += ["", "Load" + (f": not compared: {reveal('; '.join(load['why']))}" if load["why"] else "")]
        notes = [*load.get("notes", ()), *(f"differs beside it: {each}" for each in load.get("beside", ()))]
        shown += [f"  {reveal(each)}" for each in notes]
        if load["rows"]:
            columns = [_COLUMNS[number] for number in (0, 1, 2, 3, 4, 5, 8)]
            rows = [
                [reveal(cell) for cell in (*_cells(row)[:6], _cells(row)[8])]
                for row in load["rows"][: 3 * MAX_SHORT_LIST]
            ]
            widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
            for row in (columns, *rows):
                pairs = list(zip(row, widths, strict=True))
                cells = [
                    cell.ljust(w) if n < 2 or n == 6 else cell.rjust(w) for n, (cell, w) in enumerate(pairs)
                ]
                shown.append(("  " + "  ".join(cells)).rstrip())
        shown += [f"  {reveal(_level(level))}" for level in load["levels"]]
    return "\n".join(shown) + "\n"


def markdown(comparison: Mapping[str, Any]) -> list[str]:
    """Return the lines of the comparison in Markdown, without a heading."""
    mark = _MARKS[comparison["verdict"]]
    lines = [
        f"{mark} **{comparison['verdict']}** since {code(comparison['base']['name'], 80)}: "
        f"{prose(comparison['reason'], 600)}"
    ]
    rules = comparison["rules"]
    points = [
        f"- {head.lower()}: {prose(cause['sentence'])} ({cause['id']})"
        for key, head in _CAUSE_HEADS
        for cause in comparison["causes"][key][:MAX_SHORT_LIST]
    ]
    for key, head in _HEADS:
        if rules[key]:
            names = ", ".join(prose(rule["id"]) for rule in rules[key][:MAX_SHORT_LIST])
            more = f" and {len(rules[key]) - MAX_SHORT_LIST} more" if len(rules[key]) > MAX_SHORT_LIST else ""
            points.append(f"- {head.lower()}: {names}{more}")
    for finding in rules["findings"]["new"][:MAX_SHORT_LIST]:
        where = code(finding["function"] or "the target", 60)
        points.append(f"- new finding: {prose(finding['rule'])} {where} {prose(finding['kind'], 150)}")
    points += [
        f"- {code(c['function'], 60)} {prose(_change_text(c), 250)}"
        for c in comparison["behaviour"][:MAX_SHORT_LIST]
    ]
    lines += ["", *points] if points else []
    load = comparison["load"]
    if load:
        if load["why"]:
            lines += ["", f"Load, not compared: {prose('; '.join(load['why']), 600)}"]
        lines += [f"- {prose(each)}" for each in load.get("notes", ())]
        lines += [f"- differs beside it: {prose(each)}" for each in load.get("beside", ())]
        rows = [
            [prose(cell, 60) for cell in _cells(row)]
            for row in load["rows"]
            if row["function"] is None or row["claim"] != "same"
        ]
        if rows:
            lines += ["", *table(_COLUMNS, rows[: 2 * MAX_SHORT_LIST], numbers=range(2, 8))]
        lines += [f"- {prose(_level(level))}" for level in load["levels"][:MAX_SHORT_LIST]]
    return lines


def _view(comparison: Mapping[str, Any]) -> dict[str, Any]:
    rules, load = comparison["rules"], comparison["load"]
    found = rules["findings"]
    return {
        "comparison": comparison,
        "word": _WORDS[comparison["verdict"]],
        "causes": [
            (head, comparison["causes"][key][:MAX_LONG_LIST])
            for key, head in _CAUSE_HEADS
            if comparison["causes"][key]
        ],
        "groups": [(head, rules[key][:MAX_LONG_LIST]) for key, head in _HEADS if rules[key]],
        "findings": [
            (head, plural(len(found[key]), "finding"), found[key][:MAX_LONG_LIST])
            for key, head in (
                ("new", "New findings"),
                ("gone", "Findings gone"),
                ("still", "Findings as before"),
            )
            if found[key]
        ],
        "behaviour": [
            (change["function"], _change_text(change)) for change in comparison["behaviour"][:MAX_LONG_LIST]
        ],
        "columns": _COLUMNS,
        "rows": [(row["claim"], _cells(row)) for row in load["rows"]] if load else [],
        "levels": [_level(level) for level in load["levels"]] if load else [],
        "load": load,
    }


def part(comparison: Mapping[str, Any], *, alone: bool = False) -> Markup:
    """Return the part of a run's page that shows what changed; `alone` omits what a page of its own already shows."""
    return Markup(environment().get_template("changes.html").render(**_view(comparison), alone=alone))  # noqa: S704  (it escapes)


def page(comparison: Mapping[str, Any]) -> bytes:
    """Return the comparison as a page of its own."""
    title = f"{comparison['verdict']}: {comparison['base']['name']} and {comparison['new']['name']}"
    verdict = {"regression": "nonconformant", "undecided": "undecided"}.get(
        comparison["verdict"], "conformant"
    )
    names: Sequence[str] = ("base", "new")
    whole = (
        environment()
        .get_template("compare.html")
        .render(
            **frame(title),
            color=verdict,
            part=part(comparison, alone=True),
            word=_WORDS[comparison["verdict"]],
            comparison=comparison,
            runs=[comparison[name] for name in names],
        )
    )
    return whole.encode("utf-8", "backslashreplace")
