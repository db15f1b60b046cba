"""Sentences and rows about a load, apart from its figures, that all renderings share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.units import format_milliseconds
from reports.text import plural

__all__ = [
    "cause",
    "causes",
    "largest_cause",
    "missed_windows",
    "moments",
    "rest_of_causes",
    "session_line",
    "slowest",
    "steps_of",
]


def session_line(load: Mapping[str, Any]) -> str | None:
    """Return how many calls overlapped another call of their session; None if no call was in a session."""
    sessions = load.get("sessions")
    if not sessions or not sessions["calls"]:
        return None
    overlapped = sessions["overlapped"]
    if not overlapped:
        return "no call overlapped another call of its session"
    text = (
        f"{overlapped:,} of {plural(sessions['calls'], 'call')} in sessions ({sessions['share']:.1%}) "
        "overlapped another call of their session"
    )
    if sessions["needed"]:
        text += f": {plural(sessions['needed'], 'user')} would avoid it (--users {sessions['needed']})"
    return text


def causes(load: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the causes of failed requests, the most frequent first."""
    return list((load.get("failures") or {}).get("rows") or ())


def cause(row: Mapping[str, Any]) -> str:
    """Return a cause of failed requests in words, without its count."""
    text = f"{row['function'] or 'no function yet'}: {row['kind']}"
    return f"{text}, {row['message']}" if row["message"] else text


def moments(row: Mapping[str, Any]) -> str:
    """Return the time span in which requests failed in this way; empty if it is unknown."""
    if row["first"] is None:
        return ""
    return f"{row['first']:.1f} s" if row["count"] == 1 else f"{row['first']:.1f} to {row['last']:.1f} s"


def rest_of_causes(load: Mapping[str, Any], shown: int) -> str | None:
    """Return what lies beyond the first `shown` causes, in words; None if nothing does."""
    rows = causes(load)[shown:]
    beyond = (load.get("failures") or {}).get("beyond") or 0
    parts = [f"{plural(len(rows), 'more kind')} in report.json"] if rows else []
    parts += [f"{beyond:,} failed requests of further kinds"] if beyond else []
    return " and ".join(parts) or None


def largest_cause(load: Mapping[str, Any], slo: Mapping[str, Any]) -> str | None:
    """Return the most frequent cause of failed requests that an SLO is about; None if none failed.

    An SLO of one function is about that function. An SLO of windows or steps is about their times.
    """
    times = _times_of(load, slo)
    rows = [
        row
        for row in causes(load)
        if slo["function"] in (None, row["function"])
        and (
            times is None
            or row["first"] is None
            or any(row["first"] <= end and begin <= row["last"] for begin, end in times)
        )
    ]
    if not rows:
        return None
    when = moments(rows[0])
    return f"{cause(rows[0])} ({plural(rows[0]['count'], 'time')}{f', {when}' if when else ''})"


def _times_of(load: Mapping[str, Any], slo: Mapping[str, Any]) -> list[tuple[float, float]] | None:
    """Return the times that an SLO is about, from and to; None if it is about the whole run."""
    if missed := missed_windows(slo):
        return [(window["from"], window["to"]) for window in missed]
    if slo.get("at_rate") is not None:
        return [(step["from"], step["to"]) for step in steps_of(load, slo)]
    return None


def missed_windows(slo: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the windows in which an SLO was missed."""
    return list((slo.get("windows") or {}).get("missed") or ())


def steps_of(load: Mapping[str, Any], slo: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of the schedule that an SLO is about: those that have its rate at some moment."""
    rate = slo.get("at_rate")
    steps = load.get("steps") or ()
    if rate is None:
        return []
    return [
        step
        for step in steps
        if step.get("low", step["asked"]) * 0.999 <= rate <= step.get("high", step["asked"]) * 1.001
    ]


def slowest(load: Mapping[str, Any]) -> list[list[str]]:
    """Return the slowest served requests: function, time, from due, from sent, bytes, session, connection."""
    many = load["workers"] > 1
    rows = []
    for entry in load.get("slowest") or ():
        worker = f" of worker {entry['worker']}" if many else ""
        rows.append(
            [
                entry["function"],
                f"{entry['at']:.2f} s",
                format_milliseconds(entry["due"]),
                format_milliseconds(entry["sent"]),
                f"{entry['bytes']:,}",
                "–" if entry["session"] is None else f"{entry['session']}{worker}",
                "–" if not entry["connection"] else f"{entry['connection']}{worker}",
            ]
        )
    return rows
