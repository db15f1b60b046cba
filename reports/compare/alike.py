"""Decides whether two loads can be compared, and names what differs.

Members that one of the runs did not record, as runs of earlier versions, are not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.text import error_share

__all__ = ["beside", "differences", "mix_note"]

#: Differences that do not matter: of shares of the mix, of rates (relative) and of a stretch's share of its schedule.
MAX_SHARE_APART = 0.02
MAX_RATE_APART = 0.02
MAX_STRETCH_APART = 0.02
MAX_DURATION_RATIO = 1.5
#: Above this share of failed requests, the latencies of an earlier version's run cannot be compared.
MAX_FAILED_SHARE = 0.001
#: Tasks draw their calls at random, so their shares may differ by this many standard errors.
MAX_STANDARD_ERRORS_APART = 4.0

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
    """Yield the differences that make two loads incomparable, one line each; `durations` includes their lengths.

    The spread of several earlier runs can be used whatever their lengths.
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
            continue  # only closed users have a think time
        if name == "users" and base.get("arrivals") == "closed":
            what = "number of users"
        if base.get(name) is not None and new.get(name) is not None and base[name] != new[name]:
            yield f"another {what}: {_as_text(base[name])}, then {_as_text(new[name])}"
    for name, what in (("limit", "limit of connections"), ("policy", "policy of connections")):
        sides = [(load.get("connections") or {}).get(name) for load in (base, new)]
        if None not in sides and sides[0] != sides[1]:
            yield f"another {what}: {sides[0]}, then {sides[1]}"
    lengths = [float(load.get("seconds") or 0) for load in (base, new)]
    if durations and min(lengths) > 0 and max(lengths) > MAX_DURATION_RATIO * min(lengths):
        yield f"another duration: {lengths[0]:.4g} s, then {lengths[1]:.4g} s"
    if base.get("mix") and new.get("mix") and (apart := _shares_apart(base, new)):
        yield f"another mix: {apart}"
    if (definition := _latencies_apart(base, new)) is not None:
        yield definition


def _latencies_apart(base: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return why the latencies of a run of an earlier version cannot be compared; None if they can.

    Earlier versions measured the latencies of refused requests together with those of served ones.
    """
    if ("served" in base["total"]) == ("served" in new["total"]):
        return None
    older = base if "served" in new["total"] else new
    share = error_share(older["total"])
    if share <= MAX_FAILED_SHARE:
        return None
    return f"another definition of latencies: those of one run include its failed requests ({share:.2%})"


def mix_note(base: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return why totals cannot be compared: the mix follows a catalogue that changed; None if they can."""
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
    """Return the differences of the surroundings: the target's build and the generator's machine."""
    lines = []
    for name in sorted({*(builds[0] or {}), *(builds[1] or {})}):
        sides = [(build or {}).get(name) for build in builds]
        if None not in sides and sides[0] != sides[1]:
            texts = [", ".join(side) if isinstance(side, list) else str(side) for side in sides]
            lines.append(f"the target's build ({name}): {texts[0]}, then {texts[1]}")
    machines = [load.get("generator") or {} for load in (base, new)]
    for name, what in _BESIDE:
        sides = [machine.get(name) for machine in machines]
        if None not in sides and sides[0] != sides[1]:
            texts = [
                f"{int(side or 0) / 2**30:.1f} GiB" if name == "memory" else _as_text(side) for side in sides
            ]
            lines.append(f"{what}: {texts[0]}, then {texts[1]}")
    if None not in suites and suites[0] != suites[1]:
        lines.append(f"the suite's version: {suites[0]}, then {suites[1]}")
    return lines


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " to ".join(_as_text(each) for each in dict.fromkeys(value)) + " s"
    return f"{value:g}" if isinstance(value, float) else str(value)


# --- shapes


def _shape_apart(base: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    texts = [_text(load) for load in (base, new)]
    why = f"another shape: {texts[0]}, then {texts[1]}"
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
    """Return the functions whose share of the requests changed, largest change first; empty if none did."""
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
            allowed += MAX_STANDARD_ERRORS_APART * math.sqrt(
                middle * (1 - middle) * sum(1 / total for total in totals)
            )
        if abs(shares[0] - shares[1]) > allowed:
            apart.append((-abs(shares[0] - shares[1]), name, shares))
    texts = [f"{name} {shares[0]:.1%}, then {shares[1]:.1%}" for _, name, shares in sorted(apart)]
    return "; ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
