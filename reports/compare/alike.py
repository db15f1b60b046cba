"""Whether two loads were the same load: what forbids a comparison, what limits it, and what is named beside it.

What one of the two runs did not record, as runs of earlier versions, is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["beside", "differences", "mix_note"]

#: How far shares of a mix, rates (relatively) and a schedule's stretches (of its whole length) may lie apart.
MAX_SHARE_APART = 0.02
MAX_RATE_APART = 0.02
MAX_STRETCH_APART = 0.02
#: One load may be so many times as long as the other.
MAX_DURATION_RATIO = 1.5
#: Tasks draw what they call: their shares may lie so many standard errors apart, too.
MAX_ERRORS_APART = 4.0

_SAME = (
    ("users", "number of sessions"),
    ("per_session", "number of calls at a time in a session"),
    ("think", "think time"),
    ("workers", "number of workers"),
    ("warmup", "warm-up"),
    ("ceiling", "ceiling"),
    ("read_only", "choice of functions (read-only)"),
    ("executor", "kind of arrivals"),
)
_OF_SEARCHES = ("low", "high", "seconds", "factor", "tolerance")
_BESIDE = (
    ("cpu", "the generator's CPU"),
    ("cores", "the generator's cores"),
    ("memory", "the generator's memory"),
    ("kernel", "the generator's kernel"),
    ("python", "Python"),
)


def differences(base: Mapping[str, Any], new: Mapping[str, Any], *, durations: bool = True) -> Iterator[str]:
    """Yield why two loads were not the same load, a line for each reason; without `durations`, however long they were.

    How far apart the values of several earlier runs lie is known whatever their length.
    """
    for name in ("scenario", "arrivals"):
        if base.get(name) != new.get(name):
            yield f"another {name}: {base.get(name)}, then {new.get(name)}"
    shape = _shape_apart(base, new)
    if shape is not None:
        yield shape
    asked = [load["total"].get("asked") for load in (base, new)]
    if None not in asked and abs(asked[0] - asked[1]) > MAX_RATE_APART * max(asked):
        yield f"another rate was asked for: {asked[0]:.4g}/s, then {asked[1]:.4g}/s"
    for name, what in _SAME:
        if name == "think" and base.get("arrivals") != "closed":
            continue  # nobody thinks
        if name == "users" and base.get("arrivals") == "closed":
            what = "number of users"
        if base.get(name) is not None and new.get(name) is not None and base[name] != new[name]:
            yield f"another {what}: {_told(base[name])}, then {_told(new[name])}"
    for name, what in (("limit", "limit of connections"), ("policy", "policy of connections")):
        sides = [(load.get("connections") or {}).get(name) for load in (base, new)]
        if None not in sides and sides[0] != sides[1]:
            yield f"another {what}: {sides[0]}, then {sides[1]}"
    lengths = [float(load.get("seconds") or 0) for load in (base, new)]
    if durations and min(lengths) > 0 and max(lengths) > MAX_DURATION_RATIO * min(lengths):
        yield f"another duration: {lengths[0]:.4g} s, then {lengths[1]:.4g} s"
    if base.get("mix") and new.get("mix") and (apart := _shares_apart(base, new)):
        yield f"another mix: {apart}"


def mix_note(base: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return why totals are not compared where the mix followed the catalogue and changed with it; None: they are."""
    if base.get("mix") and new.get("mix"):
        return None
    apart = _shares_apart(base, new)
    if not apart:
        return None
    return (
        f"the mix follows the catalogue, and is another one ({apart}): totals are not compared, functions are"
    )


def beside(
    base: Mapping[str, Any],
    new: Mapping[str, Any],
    builds: Sequence[Mapping[str, Any] | None] = (None, None),
    suites: Sequence[str | None] = (None, None),
) -> list[str]:
    """Return what differs on the other side of the measurement: the target's build, the generator's machine."""
    lines = []
    for name in sorted({*(builds[0] or {}), *(builds[1] or {})}):
        sides = [(build or {}).get(name) for build in builds]
        if None not in sides and sides[0] != sides[1]:
            told = [", ".join(side) if isinstance(side, list) else str(side) for side in sides]
            lines.append(f"the target's build ({name}): {told[0]}, then {told[1]}")
    machines = [load.get("generator") or {} for load in (base, new)]
    for name, what in _BESIDE:
        sides = [machine.get(name) for machine in machines]
        if None not in sides and sides[0] != sides[1]:
            told = [
                f"{int(side or 0) / 2**30:.1f} GiB" if name == "memory" else _told(side) for side in sides
            ]
            lines.append(f"{what}: {told[0]}, then {told[1]}")
    if None not in suites and suites[0] != suites[1]:
        lines.append(f"the suite's version: {suites[0]}, then {suites[1]}")
    return lines


def _told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " to ".join(_told(each) for each in dict.fromkeys(value)) + " s"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- shapes


def _shape_apart(base: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    told = [_text(load) for load in (base, new)]
    why = f"another shape: {told[0]}, then {told[1]}"
    searches = [load.get("search") for load in (base, new)]
    if any(searches):
        if not all(searches):
            return why
        settings = [[(search or {}).get(name) for name in _OF_SEARCHES] for search in searches]
        return why if settings[0] != settings[1] else None
    sides = [load.get("schedule") or {} for load in (base, new)]
    if not all(sides):
        return None
    for name in ("kind", "spacing"):
        known = [side.get(name) for side in sides]
        if None not in known and known[0] != known[1]:
            return why
    one, other = (side.get("stretches") for side in sides)
    return None if one is None or other is None or _alike(one, other) else why


def _text(load: Mapping[str, Any]) -> str:
    return str((load.get("search") or load.get("schedule") or {}).get("text") or load.get("arrivals"))


def _alike(one: Sequence[Sequence[Any]], other: Sequence[Sequence[Any]]) -> bool:
    """Return whether two schedules have the same rates at the same parts of their time."""
    if len(one) != len(other):
        return False
    lengths = [sum(float(seconds or 0) for seconds, *_ in side) for side in (one, other)]
    for mine, theirs in zip(one, other, strict=True):
        for rate, another in zip(mine[1:], theirs[1:], strict=True):
            if not math.isclose(rate, another, rel_tol=MAX_RATE_APART):
                return False
        parts = [
            float(side[0] or 0) / length if length else 0.0
            for side, length in zip((mine, theirs), lengths, strict=True)
        ]
        if abs(parts[0] - parts[1]) > MAX_STRETCH_APART:
            return False
    return True


# --- the mix


def _shares_apart(base: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return which functions had another share of the requests, the most different first; nothing where none had."""
    counts = [
        {name: float(each["requests"]) for name, each in load["functions"].items()} for load in (base, new)
    ]
    totals = [sum(side.values()) for side in counts]
    if not all(totals):
        return ""
    drawn = base.get("executor") == "tasks" or str(base.get("scenario")) in ("student", "teacher", "signin")
    apart = []
    for name in {*counts[0], *counts[1]}:
        shares = [side.get(name, 0.0) / total for side, total in zip(counts, totals, strict=True)]
        allowed = MAX_SHARE_APART
        if drawn:
            middle = sum(shares) / 2
            allowed += MAX_ERRORS_APART * math.sqrt(
                middle * (1 - middle) * sum(1 / total for total in totals)
            )
        if abs(shares[0] - shares[1]) > allowed:
            apart.append((-abs(shares[0] - shares[1]), name, shares))
    told = [f"{name} {shares[0]:.1%}, then {shares[1]:.1%}" for _, name, shares in sorted(apart)]
    return "; ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")
