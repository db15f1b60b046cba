"""What is reported of a load beside its figures, in words and rows that every rendering shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.text import plural

__all__ = ["session_line"]


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
