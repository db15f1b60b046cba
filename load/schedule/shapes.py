"""Schedules of a team's own: the rate over time from a CSV file, or from a Python function of time.

Between two points the rate changes evenly (linear interpolation). Two rows of a file at the same second are a jump.
"""

from __future__ import annotations

import csv
import math
import re
import runpy
import traceback
from collections.abc import Iterator
from pathlib import Path

from conformance.errors import UsageError
from load.schedule.profiles import Schedule, piecewise

__all__ = ["MAX_POINTS", "is_shape", "parse_shape", "resolve_shape"]

#: The largest number of points of one shape: a day and more, by the second.
MAX_POINTS = 100_000

#: A function is asked for its rate once a second, and at least so often in all.
MIN_SAMPLES = 10

_SHAPE = re.compile(
    r"(?P<poisson>poisson\s+)?(?P<file>.+?(?:\.csv|\.py(?=:)))(?::(?P<name>.*))?", re.IGNORECASE
)


def is_shape(text: str) -> bool:
    """Return whether a text names a file with a shape: `yesterday.csv`, `shapes.py:morning`."""
    return _SHAPE.fullmatch(text.strip()) is not None


def resolve_shape(text: str, folder: Path) -> str:
    """Return the text with the path of its file made absolute, relative to a folder."""
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        return text
    name = "" if found["name"] is None else f":{found['name']}"
    return f"{'poisson ' if found['poisson'] else ''}{(folder / found['file']).resolve()}{name}"


def parse_shape(text: str, duration: float | None, *, spacing: str = "even") -> Schedule:
    """Return the schedule of `FILE.csv` or `FILE.py:FUNCTION`; `poisson` before it makes the arrivals random.

    Raises:
        UsageError: the file or the function gives no shape; one line says where.

    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no shape: write it as 'yesterday.csv' or 'shapes.py:function'")
    file, name = Path(found["file"]), found["name"]
    if found["poisson"]:
        spacing = "poisson"
    if file.suffix.lower() == ".py":
        points = _function_points(file, name or "", duration)
        return piecewise(f"shape {file.name}:{name}", points, spacing=spacing)
    if name is not None:
        raise UsageError(f"{text!r}: a CSV file has no functions; leave out ':{name}'")
    return piecewise(f"shape {file.name}", _csv_points(file), spacing=spacing)


def _csv_points(file: Path) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for place, row in _rows(file):
        if len(row) != 2:
            raise UsageError(f"{place}: {len(row)} columns; a row is second,rate")
        try:
            second, rate = float(row[0]), float(row[1])
        except ValueError:
            if not points and not re.match(r"[-+.\d]", row[0].strip()):
                continue  # the names of the columns
            raise UsageError(f"{place}: {','.join(row)!r} are no numbers; a row is second,rate") from None
        if not (math.isfinite(second) and math.isfinite(rate) and rate >= 0):
            raise UsageError(f"{place}: a second is a finite number, and a rate is 0 or more")
        if points and second < points[-1][0]:
            raise UsageError(
                f"{place}: second {second:g} comes after {points[-1][0]:g}; sort the rows by second"
            )
        if len(points) == MAX_POINTS:
            raise UsageError(f"{place}: more than {MAX_POINTS} rows; merge some")
        points.append((second, rate))
    if len(points) < 2 or points[0][0] == points[-1][0]:
        raise UsageError(f"{file}: a shape has two rows of second,rate or more, at different seconds")
    return points


def _rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows that are not empty, each with its place."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.reader(opened)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield f"{file}:{reader.line_num}", row
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file}: is no CSV file: {error}") from None


def _function_points(file: Path, name: str, duration: float | None) -> list[tuple[float, float]]:
    if duration is None or not math.isfinite(duration):
        raise UsageError(f"{file}:{name}: a function of time has no end; give --duration")
    count = max(MIN_SAMPLES, math.ceil(duration))
    if count >= MAX_POINTS:
        raise UsageError(f"{file}:{name}: {count} s are more than the {MAX_POINTS} of a shape; give less")
    try:
        function = runpy.run_path(str(file)).get(name)
        if not callable(function):
            raise UsageError(f"{file}: has no function {name!r}; define it: def {name or 'rate'}(t): ...")
        points = []
        for number in range(count + 1):
            second = round(duration * number / count, 9)
            rate = function(second)
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < math.inf:
                raise UsageError(
                    f"{file}:{name}: {rate!r} at {second:g} s is no rate; return 0 or more, per second"
                )
            points.append((second, float(rate)))
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{_place(error, file)}: {_one_line(error)}") from None
    return points


def _place(error: BaseException, file: Path) -> str:
    """Return the file and the line of an error, in the team's file where it went through it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _one_line(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())
