"""Durations, rates and sizes as people write and read them: one parser and one formatter for each.

Everything that reads a duration or a rate uses this module: the command line, the profile and the schedules of a load.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from conformance.errors import UsageError

__all__ = [
    "DURATION",
    "NUMBER",
    "RATE",
    "format_duration",
    "format_milliseconds",
    "format_rate",
    "format_seconds",
    "format_significant",
    "parse_duration",
    "parse_rate",
]

_DURATION_UNITS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "sec": Fraction(1),
    "second": Fraction(1),
    "seconds": Fraction(1),
    "m": Fraction(60),
    "min": Fraction(60),
    "minute": Fraction(60),
    "minutes": Fraction(60),
    "h": Fraction(3600),
    "hour": Fraction(3600),
    "hours": Fraction(3600),
}
_RATE_SECONDS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_LONGEST_UNIT_FIRST = "|".join(sorted(_DURATION_UNITS, key=len, reverse=True))

#: Regular expressions, without anchors, for a grammar that contains durations and rates. All match lower case.
NUMBER = r"(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})"
RATE = rf"({NUMBER})\s*(?:/\s*(s|sec|second|m|min|minute|h|hour))?"
_DURATION_PART = rf"{NUMBER}\s*(?:{_LONGEST_UNIT_FIRST})(?![a-z])"
DURATION = rf"{_DURATION_PART}(?:\s*{_DURATION_PART})*"


def parse_duration(text: str) -> float:
    """Read a duration such as 90s, 500ms, 10m, 2h or 1h30m; return seconds, more than 0. Raises UsageError."""
    lowered = text.strip().lower()
    if not re.fullmatch(DURATION, lowered):
        raise UsageError(f"{text!r} is not a duration: write it as 90s, 10m or 1h30m")
    total = Fraction(0)
    for number, unit in re.findall(rf"({NUMBER})\s*([a-z]+)", lowered):
        total += Fraction(_complete(number)) * _DURATION_UNITS[unit]
    if not total:
        raise UsageError(f"{text!r} is not a duration: it must be more than 0 s")
    return float(total)


def parse_rate(text: str) -> float:
    """Read a rate such as 200/s, 200 or 12000/min; return it per second. Raises UsageError."""
    found = re.fullmatch(RATE, text.strip().lower())
    if not found:
        raise UsageError(f"{text!r} is not a rate: write it as 200/s")
    return float(Fraction(_complete(found[1])) / _RATE_SECONDS[found[2] or "s"])


def _complete(number: str) -> str:
    """Return the number with a digit after its point, which Fraction requires."""
    return number + "0" if number.endswith(".") else number


def format_rate(rate: float) -> str:
    """Return a rate per second as `parse_rate` reads it: `200/s`."""
    return f"{rate:.10g}/s"


def format_seconds(seconds: float) -> str:
    """Return a duration exactly, in one unit, as `parse_duration` reads it: `90 s`, `2 h`; an endless one as `ever`."""
    if math.isinf(seconds):
        return "ever"
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds > unit and seconds % unit == 0:
            return f"{seconds / unit:.10g} {name}"
    return f"{seconds:.10g} s"


def format_duration(seconds: float, *, decimals: int = 0) -> str:
    """Return a duration for reading: `1 h 2 min 5 s`; an endless one as `no known end`."""
    if math.isinf(seconds):
        return "no known end"
    minutes, rest = divmod(round(max(0.0, seconds), decimals), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0) + [f"{rest:g} s"] * (rest > 0)
    return " ".join(parts) or "0 s"


def format_milliseconds(value: float | None, absent: str = "·") -> str:
    """Return a latency in ms with three digits, aligned for columns: `1.20 ms`, `12.3 ms`, `1.2 s`."""
    if value is None:
        return absent
    if value >= 1000:
        return f"{value / 1000:.3g} s" if value < 100_000 else f"{value / 1000:.0f} s"
    if 0 < value < 0.01:
        return f"{value:.2g} ms"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} ms"


def format_significant(value: float | None, absent: str = "–") -> str:
    """Return a latency in ms with three significant digits, for a sentence: `1.2 ms`, `12.3 ms`, `1.2 s`."""
    if value is None:
        return absent
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"
