"""The events of a team's own tests: each pytest process writes a file, and all of them together are one run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conformance.events import EndEvent, Event, RunEvent, given
from reports.model.event_log import read_events

__all__ = ["events_of", "parts_in"]


def parts_in(folder: Path) -> list[Path]:
    """Return the files of the processes, in the order of their names."""
    return sorted(folder.glob("part-*.jsonl"))


def events_of(folder: Path) -> Iterator[Event]:
    """Yield the events of all parts in a folder: one beginning, and one end with the requests of all.

    Raises:
        LogError: a part cannot be read.

    """
    began, seconds, requests = False, 0.0, 0
    for path in parts_in(folder):
        for event in read_events(path):
            if isinstance(event, EndEvent):
                seconds = max(seconds, event.seconds)
                requests += given(event.requests) or 0
            elif isinstance(event, RunEvent):
                if not began:
                    yield event
                began = True
            elif isinstance(event, Event):
                yield event
    if began:
        yield EndEvent(seconds, requests)
