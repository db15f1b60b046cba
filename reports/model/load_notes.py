"""What is reported of a load beside its figures, in words and rows that every rendering shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.units import format_milliseconds
from reports.text import plural

__all__ = ["cause", "causes", "largest_cause", "moments", "rest_of_causes", "session_line", "slowest"]


def session_line(load: Mapping[str, Any]) -> str | None:
    """Return how many calls overlapped another call of their session; None where no call was in a session."""
    sessions = load.get("sessions")
    if not sessions or not sessions["calls"]:
        return None
    overlapped = sessions["overlapped"]
    if not overlapped:
        return "no call overlapped another call of its session"
    told = (
        f"{overlapped:,} of {plural(sessions['calls'], 'call')} in sessions ({sessions['share']:.1%}) "
        "overlapped another call of their session"
    )
    if sessions["needed"]:
        told += f": {plural(sessions['needed'], 'user')} would avoid it (--users {sessions['needed']})"
    return told


def causes(load: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of why requests failed, the largest first."""
    return list((load.get("failures") or {}).get("rows") or ())


def cause(row: Mapping[str, Any]) -> str:
    """Return what a row of failures says, without its number."""
    told = f"{row['function'] or 'no function yet'}: {row['kind']}"
    return f"{told}, {row['message']}" if row["message"] else told


def moments(row: Mapping[str, Any]) -> str:
    """Return from when to when requests failed in this way; nothing where that is not known."""
    if row["first"] is None:
        return ""
    return f"{row['first']:.1f} s" if row["count"] == 1 else f"{row['first']:.1f} to {row['last']:.1f} s"


def rest_of_causes(load: Mapping[str, Any], shown: int) -> str | None:
    """Return what is not among so many rows that are shown; None where nothing is left."""
    rows = causes(load)[shown:]
    beyond = (load.get("failures") or {}).get("beyond") or 0
    parts = [f"{plural(len(rows), 'more kind')} in report.json"] if rows else []
    parts += [f"{beyond:,} failed requests of further kinds"] if beyond else []
    return " and ".join(parts) or None


def largest_cause(load: Mapping[str, Any], function: str | None = None) -> str | None:
    """Return the most frequent reason why requests failed, of one function or of all; None where none did."""
    rows = [row for row in causes(load) if function is None or row["function"] == function]
    if not rows:
        return None
    when = moments(rows[0])
    return f"{cause(rows[0])} ({plural(rows[0]['count'], 'time')}{f', {when}' if when else ''})"


def slowest(load: Mapping[str, Any]) -> list[list[str]]:
    """Return the slowest served requests: function, moment, from due, from sent, bytes, session, connection."""
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
