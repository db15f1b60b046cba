"""Durations and rates are read in one way, wherever a person writes them, and written so that they can be read."""

from __future__ import annotations

import argparse
import math

import pytest

from conformance.engine import harness
from conformance.errors import UsageError
from conformance.units import (
    format_duration,
    format_milliseconds,
    format_rate,
    format_seconds,
    format_significant,
    parse_duration,
    parse_rate,
)

DURATIONS = [
    ("90s", 90),
    ("10m", 600),
    ("2h", 7200),
    ("1h30m", 5400),
    ("1 h 30 min", 5400),
    ("1H30M", 5400),
    ("250ms", 0.25),
    ("1.5s", 1.5),
    ("1.s", 1),
]
NOT_DURATIONS = ["", "90", "s", "0s", "-5s", "5 days", "1..5s", "5sec5", "1h30", "9" * 400 + "h"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert harness.duration(text) == seconds, "--for takes what --duration takes"


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_other_text_is_not_a_duration(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        parse_duration(text)
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration"):
        harness.duration(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("200", 200), ("200/s", 200), ("6/min", 0.1), ("36/h", 0.01), ("0.5 / s", 0.5)]
)
def test_rates_are_parsed(text: str, rate: float) -> None:
    assert parse_rate(text) == rate
    assert harness.per_second(text) == rate, "--rate-limit takes what --rate takes"


@pytest.mark.parametrize("text", ["many", "", "-1", "1/day", "9" * 400])
def test_other_text_is_not_a_rate(text: str) -> None:
    with pytest.raises(UsageError, match="is not a rate"):
        parse_rate(text)


def test_a_rate_limit_is_more_than_zero() -> None:
    assert parse_rate("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="more than 0/s"):
        harness.per_second("0")


@pytest.mark.parametrize("seconds", [0.25, 1, 59, 60, 90, 120, 3600, 5400, 28_800, 86_400.5])
def test_what_is_written_can_be_read(seconds: float) -> None:
    assert parse_duration(format_seconds(seconds)) == seconds
    assert parse_duration(format_duration(seconds, decimals=3)) == seconds
    assert parse_rate(format_rate(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-1, "0 s"),
        (59.6, "1 min"),
        (150, "2 min 30 s"),
        (3725, "1 h 2 min 5 s"),
        (math.inf, "no known end"),
    ],
)
def test_durations_are_written_for_reading(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "aligned", "short"),
    [
        (None, "·", "–"),
        (0.0042, "0.0042 ms", "0.0042 ms"),
        (5, "5.00 ms", "5 ms"),
        (12.34, "12.3 ms", "12.3 ms"),
        (150.4, "150 ms", "150 ms"),
        (1500, "1.5 s", "1.5 s"),
        (123_456, "123 s", "123 s"),
    ],
)
def test_latencies_are_written(value: float | None, aligned: str, short: str) -> None:
    assert format_milliseconds(value) == aligned
    assert format_significant(value) == short
