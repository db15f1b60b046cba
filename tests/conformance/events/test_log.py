"""The typed events of a run: every log that was written is read, and what is written has the same members."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance import events
from conformance.events import AnyEvent, EventError, decode, encode
from reports.model.builder import build
from reports.model.event_log import LogError, read_events
from reports.model.files import render, serialize, validate
from tests.support.events import event_of

DATA = Path(__file__).parent / "data"

#: Logs that were recorded before the events had types, with exchanges left out. The names say when.
LOGS = sorted(DATA.glob("*.jsonl"))

TYPES: tuple[Any, ...] = typing.get_args(AnyEvent)


def lines_of(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines()


def common(value: Any, expected: Any) -> Any:
    """Return a JSON value without the members that the expected one lacks, at any depth."""
    if isinstance(value, dict) and isinstance(expected, dict):
        return {name: common(value[name], each) for name, each in expected.items() if name in value}
    if isinstance(value, list) and isinstance(expected, list) and len(value) == len(expected):
        return [common(mine, each) for mine, each in zip(value, expected, strict=True)]
    return value


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_log_of_an_earlier_version_is_read(log: Path) -> None:
    assert len(list(read_events(log))) == len(lines_of(log))
    report = build(read_events(log))
    validate(report)
    # The report that the version of then made of it. Later ones may have more members.
    expected = json.loads(log.with_suffix(".json").read_text("utf-8"))
    assert common(json.loads(serialize(report)), expected) == expected
    assert all(render(report).values())


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_an_event_is_written_with_the_members_that_it_was_read_with(log: Path) -> None:
    for line in lines_of(log):
        event = decode(line)
        assert event is not None
        record, again = json.loads(line), json.loads(encode(event))
        added = {name: again.pop(name) for name in list(again) if name not in record}
        assert again == record
        # A log of an earlier version may lack members. They have no value then.
        assert not any(added.values())


def test_the_recorded_logs_have_nearly_every_type_of_event() -> None:
    recorded = {type(decode(line)) for log in LOGS for line in lines_of(log)}
    # These are rare, or not written to a log.
    rare = {
        events.CalibrationEvent,
        events.ClientFindingEvent,
        events.CutEvent,
        events.InterruptedEvent,
        events.RefusedEvent,
        events.WithdrawnEvent,
    }
    assert set(TYPES) - recorded <= rare


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__struct_config__.tag)
def test_a_type_has_a_tag_and_a_time(kind: Any) -> None:
    config = kind.__struct_config__
    assert config.tag_field == "event"
    assert re.fullmatch(r"[a-z]+([ -][a-z]+)?", config.tag)
    assert kind.__struct_fields__[-1] == "at"


def test_unknown_members_and_unknown_types_are_ignored() -> None:
    line = b'{"event":"note","message":"x","colour":{"of":"a later version"},"at":1.5}'
    assert decode(line) == events.NoteEvent("x", at=1.5)
    assert decode(b'{"event":"of a later version","x":1}') is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[1]", "not an event"),
        (b'{"x":1}', "not an event"),
        (b'{"event":', "not JSON"),
        (b'{"event":"note"}', 'not a valid "note" event: Object missing required field `message`'),
        (b'{"event":"note","message":7}', r"Expected `str`, got `int` - at `\$.message`"),
        (b'{"event":"judged","test":"t","rules":{"ENV-1":"x"}}', r"at `\$.rules\[...\]`"),
        (b'{"event":["note"],"message":"x"}', "not an event"),
        (b'{"event":"note","message":' + b"[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_line_is_one_clear_error(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(EventError, match=message):
        decode(line)
    log = tmp_path / "events.jsonl"
    log.write_bytes(b'{"event":"note","message":"x"}\n' + line + b"\n")
    with pytest.raises(LogError, match=rf"events.jsonl, line 2: .*{message}") as raised:
        list(read_events(log))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["\ud800", "\x00", "é\u2028", "\U0001f600", '"\\'])
def test_any_text_is_written_as_ascii_and_read_back(text: str) -> None:
    event = events.ErrorEvent(None, text, trace=text)
    line = encode(event)
    assert line.isascii()
    assert "\n" not in line
    assert decode(line.encode()) == event


def test_numbers_that_json_lacks_are_read_back() -> None:
    event = events.SecondEvent(asked=float("inf"), done=3, at=0)
    assert decode(encode(event).encode()) == event


def test_a_field_without_a_value_is_not_written() -> None:
    assert json.loads(encode(events.EndEvent(2.0))) == {"event": "end", "seconds": 2.0}
    assert json.loads(encode(events.ErrorEvent(None, "x"), at=1.23456)) == {
        "event": "error",
        "rule": None,
        "message": "x",
        "at": 1.235,
    }
    assert json.loads(encode(events.ResetEvent(at=7.0), at=9.0)) == {"event": "reset", "at": 7.0}


def test_a_plan_is_filled_from_another() -> None:
    options = events.LoadOptionsRecord(mix={"a.b": 1.0}, read_only=False)
    plan = events.LoadEvent(users=3, search=None).filled_from(options)
    end = events.LoadEndEvent(users=4).filled_from(plan)
    assert (end.users, end.search, end.mix, end.read_only) == (4, None, {"a.b": 1.0}, False)
    assert end.think is msgspec.UNSET


def test_counts_of_a_function_may_be_a_list() -> None:
    event = event_of(
        {"event": "second", "at": 0, "functions": {"a.b": [3, 1, 0], "a.c": {"errors": {"x": 1}}}}
    )
    assert isinstance(event, events.SecondEvent)
    assert event.functions == {"a.b": [3, 1, 0], "a.c": events.FunctionSecondRecord(errors={"x": 1})}


@pytest.mark.parametrize(
    "text", ["plain", 'quote " and \\ and /', "".join(map(chr, range(128))), "å\u2028", "\ud800"]
)
@pytest.mark.parametrize("seconds", [0.0, 1e-06, 4.2e-05, 0.25, 1.0, 1234.5])
def test_an_exchange_is_written_as_any_other_event(text: str, seconds: float) -> None:
    event = events.ExchangeEvent(
        test=text,
        number=3,
        user=text,
        request=events.RequestRecord("POST", text, {text: text}, text),
        response=events.ResponseRecord(200, {text: text}, text, seconds),
        curl=text,
    )
    line = encode(event, 1.25)
    plain = json.dumps(events.fields_of(event), separators=(",", ":"), default=events.plain)
    assert line.isascii()
    assert "\x7f" not in line
    assert json.loads(line) == {**json.loads(plain), "at": 1.25}
    assert list(json.loads(line)) == [*json.loads(plain), "at"]
