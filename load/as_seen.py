"""The options of a load that follows recorded traffic: `--mix-from`, `--rate as-seen` and `--speed`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.errors import UsageError
from load.workload.seen import SeenMix

if TYPE_CHECKING:
    from load.options import Wish
    from load.schedule.profiles import Schedule

__all__ = ["AsSeen", "as_seen", "check_speed", "is_as_seen", "sources_of"]

_AS_SEEN = re.compile(r"(?P<poisson>poisson\s+)?as[- ]seen", re.IGNORECASE)
_SPEED = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*[x×]?", re.IGNORECASE)


@dataclass(frozen=True)
class AsSeen:
    """The mix of a capture, and how many times faster than there its calls follow each other."""

    mix: SeenMix
    speed: float = 1.0

    def schedule(self, wording: str) -> Schedule:
        """Return the arrivals of the capture, by its own clock.

        Raises:
            UsageError: the capture has no times.

        """
        from load.schedule.profiles import piecewise

        mix, speed = self.mix, self.speed
        if not mix.bins:
            raise UsageError(f"{wording!r}: {mix.source} has no times of its calls: give a rate")
        points: list[tuple[float, float]] = []
        for number, count in enumerate(mix.bins):
            rate = count / mix.bin_seconds * speed
            if points and points[-1][1] == rate:
                points.pop()
            else:
                points.append((round(number * mix.bin_seconds / speed, 9), rate))
            points.append((round((number + 1) * mix.bin_seconds / speed, 9), rate))
        faster = "" if speed == 1 else f" at {speed:g}x"
        text = f"as seen in {mix.source}{faster}: {sum(mix.bins):,} calls in {points[-1][0]:g} s"
        found = _AS_SEEN.fullmatch(wording.strip())
        return piecewise(text, points, spacing="poisson" if found and found["poisson"] else "even")


def is_as_seen(text: str) -> bool:
    """Return whether a rate is that of the capture."""
    return _AS_SEEN.fullmatch(text.strip()) is not None


def sources_of(wish: Wish, load: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    """Return the captures whose mix is asked for; those of the profile are relative to `folder`.

    Raises:
        UsageError: another option says as well what is called.

    """
    others = {
        "--mix": wish.mix,
        "--scenario": wish.scenario,
        "--scenario-file": wish.scenario_file,
    }
    if wish.mix_from:
        for option, value in others.items():
            if value is not None:
                raise UsageError(f"--mix-from and {option}: each says what is called; leave one out")
        return tuple(Path(each) for each in wish.mix_from)
    given: str | Sequence[str] | None = load.get("mix_from")
    if given is None or any(value is not None for value in others.values()):
        return ()
    if "mix" in load or "scenario_file" in load or load.get("scenario", "steady") != "steady":
        raise UsageError("[load] mix_from says what is called: leave mix, scenario and scenario_file out")
    return tuple(folder / each for each in ([given] if isinstance(given, str) else given))


def as_seen(wish: Wish, load: Mapping[str, Any], folder: Path, mix: SeenMix | None) -> AsSeen | None:
    """Return the mix that a load follows, None if it follows none; without `mix` it is read from its file.

    Raises:
        UsageError: an option is wrong, or a file is no mix of a run.

    """
    sources = sources_of(wish, load, folder)
    text = wish.speed if wish.speed is not None else load.get("speed")
    spot = "--speed" if wish.speed is not None else "[load] speed"
    if not sources:
        if wish.speed is not None:
            raise UsageError("--speed: is that of a capture: give one with --mix-from")
        return None
    if mix is None:
        if len(sources) > 1:
            raise UsageError("--mix-from: several captures: conform load makes one mix of them")
        mix = SeenMix.read(sources[0])
    return AsSeen(mix, _speed(text, spot))


def check_speed(wish: Wish, wording: str | None) -> None:
    """Raise UsageError if a speed is given for arrivals that do not follow the capture."""
    if wish.speed is not None and wording is not None and not is_as_seen(wording):
        raise UsageError(
            f"--speed {wish.speed}: the rate is {wording!r}; the speed is for --rate as-seen, or for --users alone"
        )


def _speed(value: Any, spot: str) -> float:
    if value is None:
        return 1.0
    found = _SPEED.fullmatch(str(value).strip())
    speed = float(found[1]) if found else 0.0
    if isinstance(value, bool) or not 0 < speed < math.inf:
        raise UsageError(f"{spot}: {value!r} is no speed: write it as 4x or 0.5x")
    return speed
