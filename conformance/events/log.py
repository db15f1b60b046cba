"""Events as JSON lines: reading and writing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from conformance.events.types import AnyEvent, Event, ExchangeEvent, Maybe

__all__ = ["EventError", "decode", "encode", "event_from", "fields_of", "given", "plain"]

T = TypeVar("T")


class EventError(ValueError):
    """A line of a log is not an event."""


def given(value: Maybe[T]) -> T | None:
    """Return the value of a field, or None if the log does not have it."""
    return None if isinstance(value, UnsetType) else value


def fields_of(record: Struct) -> dict[str, Any]:
    """Return the fields that have a value, under their names in the log; nested records are not converted."""
    config = record.__struct_config__
    fields: dict[str, Any] = {} if config.tag_field is None else {config.tag_field: config.tag}
    for name, written in zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True):
        value = getattr(record, name)
        if value is not UNSET:
            fields[written] = value
    return fields


def plain(value: object) -> object:
    """Return a value that JSON has no form for as one that it has: records as objects, bytes as text, sets as lists."""
    if isinstance(value, Struct):
        return fields_of(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


# The encoder of msgspec has no form for half a surrogate pair, which a target may send, nor for objects of any type.
# It encodes exchanges only, which come by the thousand, where all their characters are printable ASCII ones.
_encode_exchange = msgspec.json.Encoder().encode
_DELETE = b"\x7f"
_encode = json.JSONEncoder(separators=(",", ":"), default=plain).encode

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event, at: float | None = None) -> str:
    """Return an event as a line of a log, without the line end; `at` is used if the event has no time."""
    line = (_exchange_line(event) if isinstance(event, ExchangeEvent) else None) or _encode(fields_of(event))
    if event.at is UNSET and at is not None:
        return f'{line[:-1]},"at":{at:.3f}}}'
    return line


def _exchange_line(event: ExchangeEvent) -> str | None:
    """Return an exchange as a line; None where msgspec would not escape all that the log escapes."""
    try:
        line = _encode_exchange(event)
    except UnicodeEncodeError:
        return None
    return line.decode("ascii") if line.isascii() and _DELETE not in line else None


def decode(line: bytes) -> AnyEvent | None:
    """Return the event of a line; None if its type is unknown. Raises EventError."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        # JSON that msgspec does not accept (half a surrogate pair, infinity), an unknown event, or a wrong line.
        pass
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EventError("not JSON") from error
    return event_from(record)


def event_from(record: object) -> AnyEvent | None:
    """Return the event of an object that was read from JSON; None if its type is unknown. Raises EventError."""
    kind = record.get("event") if isinstance(record, dict) else None
    if not isinstance(kind, str):
        raise EventError("not an event")
    if kind not in _TYPES:
        return None
    try:
        return msgspec.convert(record, _TYPES[kind])
    except msgspec.ValidationError as error:
        raise EventError(f'not a valid "{kind}" event: {error}') from error


_TYPES: dict[str, type[AnyEvent]] = {each.__struct_config__.tag: each for each in get_args(AnyEvent)}
