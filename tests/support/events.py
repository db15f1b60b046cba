"""Events in tests: written as the JSON objects of a log, so that a test does not rest on the types that it tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from conformance.events import AnyEvent, Event, encode, event_from
from reports.model import builder

__all__ = ["build", "event_of", "events_of", "json_of", "record_of"]


def event_of(record: Mapping[str, Any]) -> AnyEvent:
    """Return the event of a JSON object whose type is known."""
    event = event_from(dict(record))
    assert event is not None, record
    return event


def events_of(records: Iterable[Mapping[str, Any]]) -> Iterator[AnyEvent]:
    """Yield the events of JSON objects, without those of unknown types."""
    return (event for record in records if (event := event_from(dict(record))) is not None)


def json_of(record: msgspec.Struct) -> Any:
    """Return a record as the JSON value of a log."""
    return msgspec.to_builtins(record)


def record_of(event: Event) -> dict[str, Any]:
    """Return an event as the JSON object of a log."""
    record: dict[str, Any] = json.loads(encode(event))
    return record


def build(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Build the report of a run from the JSON objects of its log."""
    return builder.build(events_of(records))
