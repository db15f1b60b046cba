"""Reads schedules and searches from text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from conformance.errors import UsageError, suggestion
from conformance.units import DURATION, NUMBER, RATE, parse_duration, parse_rate
from load.schedule.profiles import KINDS, Schedule, constant, ramp, soak, spike, steps
from load.schedule.search import Search

__all__ = ["parse", "parse_search"]

_FOR = rf"(?:for|over)\s+({DURATION})"
_WORDS = ("ramp", "steps", "spike", "soak", "constant", "poisson", "search")
_EXAMPLES = {
    "constant": "200/s for 60s",
    "ramp": "ramp 10/s to 200/s for 60s",
    "steps": "steps 50/s for 30s, 100/s for 30s",
    "spike": "spike 50/s to 500/s at 20s for 5s, 60s in all",
    "soak": "soak 50/s for 8h",
    "search": "search 10/s to 2000/s, 10s each",
}


def parse(text: str, duration: float | None = None, *, spacing: str = "even") -> Schedule:
    """Return the schedule that a text describes.

    `200/s for 60s` · `ramp 10/s to 200/s for 60s` · `steps 50/s for 30s, 100/s for 30s` ·
    `spike 50/s to 500/s at 20s for 5s, 60s in all` · `soak 50/s` (until stopped), `soak 50/s for 8h`;
    each may be preceded by `poisson`. `duration`, in seconds, applies where the text has none.

    Raises:
        UsageError: the text is not a schedule.

    """
    words = text.strip().lower()
    if words.startswith("poisson"):
        words, spacing = words.removeprefix("poisson").strip(), "poisson"
    kind = re.match(r"[a-z]*", words)[0] or "constant"  # type: ignore[index]  # it always matches
    if kind == "search":
        raise UsageError(f"{text!r}: a search is no schedule: it tries several")
    if kind not in _PARSERS:
        raise UsageError(
            f"{text!r} is no schedule: {kind!r} is none of {', '.join(KINDS)}{suggestion(kind, _WORDS)}"
        )
    return _PARSERS[kind](_Text(text, words.removeprefix(kind).strip(), kind, duration), spacing)


@dataclass(frozen=True)
class _Text:
    """A schedule's text: `rest` is what follows the kind; `duration` applies where the text has none."""

    text: str
    rest: str
    kind: str
    duration: float | None

    def match(self, pattern: str) -> re.Match[str]:
        """Return the match of the whole rest.

        Raises:
            UsageError: it does not match.

        """
        if (found := re.fullmatch(pattern, self.rest)) is None:
            raise self.wrong()
        return found

    def wrong(self) -> UsageError:
        """Return the error for a text that does not match."""
        return UsageError(f"{self.text!r} is no schedule: write it as {_EXAMPLES[self.kind]!r}")

    def seconds(self, found: str | None) -> float:
        """Return the duration that was found, or the one that applies instead.

        Raises:
            UsageError: there is none.

        """
        if found is None and self.duration is None:
            raise UsageError(f"{self.text!r} has no end: write it as {_EXAMPLES[self.kind]!r}")
        return parse_duration(found) if found is not None else float(self.duration or 0)


def _rate_at(found: re.Match[str], place: int) -> float:
    return parse_rate(f"{found[place]}/{found[place + 1] or 's'}")


def _parse_constant(text: _Text, spacing: str) -> Schedule:
    found = text.match(rf"{RATE}(?:\s+{_FOR})?")
    return constant(_rate_at(found, 1), text.seconds(found[3]), spacing=spacing)


def _parse_soak(text: _Text, spacing: str) -> Schedule:
    found = text.match(rf"{RATE}(?:\s+{_FOR}|\s+until\s+stopped)?")
    if found[3] is not None:
        return soak(_rate_at(found, 1), parse_duration(found[3]), spacing=spacing)
    seconds = math.inf if text.duration is None else text.duration
    return soak(_rate_at(found, 1), seconds, spacing=spacing)


def _parse_ramp(text: _Text, spacing: str) -> Schedule:
    found = text.match(rf"(?:from\s+)?{RATE}\s+to\s+{RATE}(?:\s+{_FOR})?")
    return ramp(_rate_at(found, 1), _rate_at(found, 3), text.seconds(found[5]), spacing=spacing)


def _parse_steps(text: _Text, spacing: str) -> Schedule:
    pieces = [re.fullmatch(rf"{RATE}\s+{_FOR}", piece.strip()) for piece in text.rest.split(",")]
    if not all(pieces):
        raise text.wrong()
    pairs = [(_rate_at(found, 1), parse_duration(found[3])) for found in pieces if found]
    return steps(pairs, spacing=spacing)


def _parse_spike(text: _Text, spacing: str) -> Schedule:
    whole = rf"(?:\s*,\s*({DURATION})\s+in\s+all)?"
    found = text.match(rf"{RATE}\s+to\s+{RATE}\s+at\s+({DURATION}|0\s*s?)\s+for\s+({DURATION}){whole}")
    at = 0.0 if re.fullmatch(r"0\s*s?", found[5]) else parse_duration(found[5])
    return spike(
        _rate_at(found, 1),
        _rate_at(found, 3),
        at,
        parse_duration(found[6]),
        text.seconds(found[7]),
        spacing=spacing,
    )


_PARSERS: dict[str, Callable[[_Text, str], Schedule]] = {
    "constant": _parse_constant,
    "ramp": _parse_ramp,
    "steps": _parse_steps,
    "spike": _parse_spike,
    "soak": _parse_soak,
}


def parse_search(text: str) -> Search:
    """Return the search that a text describes: `search 10/s to 2000/s, 10s each, within 2%`.

    The defaults are trials of 10 s and a result within 5 %. Raises UsageError.
    """
    found = re.fullmatch(
        rf"search\s+(?:from\s+)?{RATE}\s+to\s+{RATE}(?:\s*,\s*({DURATION})\s+each)?(?:\s*,?\s*within\s+({NUMBER})\s*%)?",
        text.strip().lower(),
    )
    if not found:
        raise UsageError(f"{text!r} is no search: write it as {_EXAMPLES['search']!r}")
    low, high = (parse_rate(f"{found[place]}/{found[place + 1] or 's'}") for place in (1, 3))
    return Search(
        low,
        high,
        seconds=parse_duration(found[5]) if found[5] else 10.0,
        tolerance=float(found[6]) / 100 if found[6] else 0.05,
    )
