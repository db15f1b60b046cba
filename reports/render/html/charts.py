"""Draws charts as SVG when a page is rendered.

No chart library is used: the maintained ones draw with a script, so nothing would be shown where a content security
policy forbids scripts, and each of them is larger than a whole report. An SVG prints, scales and has a title, and its
values follow it as a table. Lines differ by their dashes as well as by their colours, and have their names at their
ends. The script of the page only reads off values.

This module computes positions. The template `chart.html` writes them, so that escaping stays in one place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reports.render.html.frame import environment

__all__ = ["Mark", "Series", "chart", "nice_ticks", "spark"]

WIDTH, HEIGHT = 640, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 78, 22, 28

#: The dashes by which lines differ without colour.
_DASHES = ("", "7 4", "2 3", "11 3 2 3", "1 5", "14 5")

#: Rows of the table of values below a chart.
MAX_ROWS = 40


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: its name, its values (None if one is missing), and the formatter of a value."""

    name: str
    values: Sequence[float | None]
    format_value: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on the x axis; `label` is short, such as a number that a list explains."""

    at: float
    label: str
    text: str


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round values from `low` to `high` or just past them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    raw = span / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten from below `low` to above `high`; if they are few, also 2 and 5 times each."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    # Drop the ticks that neither end needs.
    below = [tick for tick in ticks if tick <= low * 1.000001]
    above = [tick for tick in ticks if tick >= high * 0.999999]
    return [tick for tick in ticks if below[-1] <= tick <= above[0]]


def _path(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    """Return the path through points; a missing point breaks the line, and a lone point becomes a dot."""
    parts: list[str] = []
    down = False
    for number, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if y is None:
            down = False
            continue
        alone = not down and (number + 1 == len(ys) or ys[number + 1] is None)
        parts.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}" + ("h.1" if alone else ""))
        down = True
    return "".join(parts)


@dataclass(frozen=True)
class _Scale:
    """Where values are on the picture, in pixels; `across` and `up` are the first and the last value of each axis."""

    across: tuple[float, float]
    up: tuple[float, float]
    logarithmic: bool

    def x(self, value: float) -> float:
        """Return the distance from the left edge."""
        left, right = self.across
        share = (value - left) / (right - left) if right > left else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the distance from the upper edge."""
        bottom, top = self.up
        if self.logarithmic:
            share = math.log(max(value, bottom) / bottom) / math.log(top / bottom)
        else:
            share = (value - bottom) / (top - bottom)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def shows(self, value: float) -> bool:
        """Return whether a value of the x axis is on the picture."""
        return self.across[0] <= value <= self.across[1]


def _known(series: Sequence[Series]) -> list[float]:
    """Return the values that can be drawn."""
    return [value for each in series for value in each.values if value is not None and math.isfinite(value)]


def _scale(
    xs: Sequence[float], known: Sequence[float], *, log: bool, floor: float | None, limit: float | None
) -> tuple[_Scale, Sequence[float]]:
    """Return the scale of a chart and the ticks of its y axis."""
    low, high = min(known), max(known)
    if limit is not None and limit <= 3 * high:
        high = max(high, limit)
    positive = [value for value in known if value > 0]
    logarithmic = log and bool(positive) and high > 12 * max(min(positive), 1e-9)
    if logarithmic:
        low = min(positive)
        ticks = log_ticks(low, max(high, low * 1.01))
    else:
        low = min(floor, low) if floor is not None else low
        ticks = nice_ticks(low, high if high > low else low + 1)
    return _Scale((xs[0], xs[-1]), (ticks[0], ticks[-1]), logarithmic), ticks


def _lines(series: Sequence[Series], places: Sequence[float], scale: _Scale) -> list[dict[str, Any]]:
    """Return the lines of a chart, as its template draws them; `places` are the x of their points."""
    lines = []
    for number, each in enumerate(series):
        ys = [None if value is None or not math.isfinite(value) else scale.y(value) for value in each.values]
        lines.append(
            {
                "name": each.name,
                "path": _path(places, ys),
                "n": number % 6 + 1,
                "dash": _DASHES[number % len(_DASHES)],
                "end": next((y for y in reversed(ys) if y is not None), None),
            }
        )
    return lines


# One function, though it is long: half of it are the parameters of a chart and of its template.
def chart(
    title: str,
    note: str,
    xs: Sequence[float],
    series: Sequence[Series],
    *,
    format_x: Callable[[float], str],
    format_y: Callable[[float], str],
    x_ticks: Sequence[tuple[float, str]] | None = None,
    log: bool = False,
    marks: Sequence[Mark] = (),
    warmup: float = 0.0,
    head: str = "time",
    floor: float | None = 0.0,
    limit: tuple[float, str] | None = None,
) -> Markup:
    """Return the figure of a chart; empty if there is nothing to draw.

    `log` allows a logarithmic y axis if the values are far apart. `x_ticks` are the ticks of the x axis, by default
    round values. `limit` is a value to draw as a line, with its name.
    """
    if not xs or not (known := _known(series)):
        return Markup("")
    scale, ticks = _scale(xs, known, log=log, floor=floor, limit=None if limit is None else limit[0])
    places = [scale.x(value) for value in xs]
    lines = _lines(series, places, scale)
    _part_names(lines)
    if x_ticks is None:
        x_ticks = [(value, format_x(value)) for value in nice_ticks(*scale.across, 6) if scale.shows(value)]
    texts = [["–" if value is None else each.format_value(value) for value in each.values] for each in series]
    at = [format_x(value) for value in xs]
    data = {
        "width": WIDTH,
        "x": [round(place, 1) for place in places],
        "at": at,
        "series": [{"name": each.name, "texts": values} for each, values in zip(series, texts, strict=True)],
    }
    step = max(1, math.ceil(len(xs) / MAX_ROWS))
    rows = [[at[number], *(values[number] for values in texts)] for number in range(0, len(xs), step)]
    return Markup(  # noqa: S704  (of the template, which escapes)
        environment()
        .get_template("chart.html")
        .render(
            title=title,
            note=note,
            width=WIDTH,
            height=HEIGHT,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP,
            bottom=HEIGHT - _BOTTOM,
            lines=lines,
            x_ticks=[(round(scale.x(value), 1), text) for value, text in x_ticks],
            y_ticks=[(round(scale.y(value), 1), format_y(value)) for value in ticks],
            marks=[
                (round(scale.x(mark.at), 1), mark.label, mark.text) for mark in marks if scale.shows(mark.at)
            ],
            warm=round(scale.x(min(warmup, xs[-1])), 1) if warmup > xs[0] else None,
            limit=None
            if limit is None or not ticks[0] <= limit[0] <= ticks[-1]
            else (round(scale.y(limit[0]), 1), limit[1]),
            data=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
            heads=[head, *(each.name for each in series)],
            rows=rows,
            step=step,
        )
    )


def _part_names(lines: list[dict[str, Any]]) -> None:
    """Move the names at the ends of lines apart, so that they do not overlap."""
    ended = sorted((line for line in lines if line["end"] is not None), key=lambda line: float(line["end"]))
    lowest = float(_TOP)
    for line in ended:
        line["end"] = max(lowest, line["end"])
        lowest = line["end"] + 14
    highest = float(HEIGHT - _BOTTOM)
    for line in reversed(ended):
        line["end"] = min(highest, line["end"])
        highest = line["end"] - 14


def spark(values: Sequence[float | None], description: str, *, width: int = 120, height: int = 26) -> Markup:
    """Return a line without axes, for a cell of a table; `description` says the same in words."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    span = high - low or 1.0
    xs = [3 + (width - 6) * number / (len(values) - 1) for number in range(len(values))]
    ys = [None if v is None else height - 4 - (height - 8) * (v - low) / span for v in values]
    return Markup(  # noqa: S704  (of the template, which escapes)
        environment()
        .get_template("spark.html")
        .render(path=_path(xs, ys), description=description, width=width, height=height)
    )
