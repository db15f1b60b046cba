"""The histogram is HdrHistogram: what another implementation says of the same values, it says too."""

from __future__ import annotations

import base64
import pickle
import struct
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from load.metrics.histogram import HIGHEST, Histogram

MICROSECONDS = st.one_of(
    st.integers(0, HIGHEST),
    st.integers(0, 31).flatmap(
        lambda bits: st.integers(max(0, (1 << bits) - 2), min(HIGHEST, (1 << bits) + 2))
    ),
)
VALUES = st.lists(MICROSECONDS, max_size=60)
few = settings(max_examples=30, deadline=None)


def witness(values: list[int]) -> HdrHistogram:
    made = HdrHistogram(1, HIGHEST, 3)
    for value in values:
        assert made.record_value(value)
    return made


def filled(values: list[int]) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value)
    return made


@few
@given(VALUES)
def test_the_encoding_is_the_one_of_another_implementation_to_the_byte(values: list[int]) -> None:
    theirs = witness(values).encode().decode("ascii")
    assert filled(values).encode() == theirs
    assert Histogram.decode(theirs) == filled(values)


@few
@given(VALUES)
def test_another_implementation_reads_it(values: list[int]) -> None:
    theirs = HdrHistogram.decode(Histogram.of(values).encode())
    assert theirs.get_total_count() == len(values)
    assert list(theirs.counts) == list(witness(values).counts)


@few
@given(VALUES.filter(bool), st.sampled_from([1.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0]))
def test_figures_agree_with_another_implementation(values: list[int], percentile: float) -> None:
    # A number of values at which both definitions of a rank, rounded and rounded up, mean the same one.
    ours, theirs = Histogram(), HdrHistogram(1, HIGHEST, 3)
    for value in values:
        ours.record(value, 1000)
        theirs.record_value(value, 1000)
    assert ours.percentile(percentile) == theirs.get_value_at_percentile(percentile)
    assert ours.mean == pytest.approx(theirs.get_mean_value(), rel=1e-12)
    assert ours.max == theirs.get_max_value()
    assert ours.min == theirs.get_min_value()
    assert ours.count == theirs.get_total_count()


@few
@given(VALUES)
def test_many_at_once_are_the_same_as_one_by_one(values: list[int]) -> None:
    assert Histogram.of(values) == filled(values)
    assert Histogram.of(np.array(values * 40, np.int64)) == Histogram.of(values * 40)
    many = Histogram()
    many.record_many(np.array(values * 40, np.int64))
    assert many.count == 40 * len(values)
    assert [(low, high, count) for low, high, count in many.cells()] == [
        (low, high, 40 * count) for low, high, count in filled(values).cells()
    ]


@few
@given(VALUES, VALUES, VALUES)
def test_merging_loses_nothing_in_whatever_order(one: list[int], two: list[int], three: list[int]) -> None:
    whole = filled(one + two + three)
    left, right = filled(three), filled(one)
    left.merge(filled(one))
    left.merge(filled(two))
    both = filled(two)
    both.merge(filled(three))
    right.merge(both)
    assert left == right == whole
    assert left.encode() == right.encode() == whole.encode()


@few
@given(VALUES.filter(bool), st.floats(0, 100))
def test_a_percentile_is_a_value_that_was_recorded_to_three_digits(
    values: list[int], percentile: float
) -> None:
    found = filled(values).percentile(percentile)
    near = [value for value in values if value <= found <= max(value * 1.001, value)]
    assert near
    # That share of the values lies at or below it, and a smaller share below its cell.
    assert sum(value <= found for value in values) >= len(values) * percentile / 100 - 1e-9
    assert found <= filled(values).max


def test_a_percentile_is_the_one_that_is_written() -> None:
    thousand = Histogram.of(range(1, 1001))
    assert thousand.percentile(99.9) == 999  # 99.9 is a little more than that in binary
    assert thousand.percentile(99.91) == 1000
    assert thousand.percentile(0) == 1
    assert thousand.percentiles((50, 90, 99, 100)) == [500, 900, 990, 1000]


def test_three_digits_over_the_whole_range() -> None:
    for exponent in range(32):
        value = min(HIGHEST, int(1.37 * 2**exponent))
        found = filled([value]).percentile(50)
        assert value <= found <= value * 1.001


def test_an_empty_one() -> None:
    empty = Histogram()
    assert (empty.count, empty.min, empty.max, empty.mean) == (0, 0, 0, 0.0)
    assert empty.percentiles((50, 99)) == [0, 0]
    assert Histogram.decode(empty.encode()) == empty
    empty.merge(Histogram())
    empty.record_many(np.zeros(0, np.int64))
    assert empty == Histogram()


def test_what_is_beyond_an_hour_counts_as_an_hour() -> None:
    beyond = filled([HIGHEST + 1, 10**12])
    beyond.record_many(np.array([10**12, HIGHEST]))
    assert beyond == filled([HIGHEST] * 4)


@pytest.mark.parametrize("values", [[-1], [5, -3], [float("nan")]])
def test_what_is_no_latency_is_refused(values: list[float]) -> None:
    made = filled([7])
    with pytest.raises(ValueError, match="negative"):
        made.record_many(np.array(values))
    with pytest.raises(ValueError, match="negative"):
        made.record(-1)
    with pytest.raises(ValueError, match="negative"):
        made.record(1, -1)
    assert made == filled([7])


@pytest.mark.parametrize("percentile", [-0.1, 100.1, float("nan")])
def test_a_percentile_that_is_none_is_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        filled([1]).percentile(percentile)


def test_copies_and_merged_ones_share_nothing() -> None:
    first = filled([5, 70_000])
    copy, pickled = first.copy(), pickle.loads(pickle.dumps(first))
    into = Histogram()
    into.merge(first)
    first.record(6)
    assert copy == pickled == into == filled([5, 70_000])
    assert first != copy
    assert first != "a histogram"
    with pytest.raises(TypeError):
        hash(first)


def test_how_many_lie_above() -> None:
    made = filled([1, 5, 5, 9, 4000, 4001, 4003])
    assert [made.above(us) for us in (-1, 0, 1, 5, 5.7, 9, 10**12)] == [7, 7, 6, 4, 4, 3, 0]
    assert made.above(4000) == 1  # 4000 and 4001 share a cell


def test_the_window_of_cells_stays_small() -> None:
    assert filled([1_000_000, 1_010_000]).nbytes <= 2 * 256 * 8
    assert filled([0, HIGHEST]).nbytes < 200_000


def recoded(change: dict[str, int], *, extra: bytes = b"", outer: int = 0x1C849314) -> str:
    """Encode one value without the class, with a header that is wrong in one place."""
    body = b"\x05\x02" + extra
    head = {"cookie": 0x1C849313, "length": len(body), "offset": 0, "digits": 3, "lowest": 1, **change}
    inner = struct.pack(">IIIIQQd", *head.values(), HIGHEST, 1.0) + body
    packed = zlib.compress(inner)
    return base64.b64encode(struct.pack(">II", outer, len(packed)) + packed).decode("ascii")


def test_a_histogram_made_by_the_test_is_read() -> None:
    assert Histogram.decode(recoded({})) == filled([3])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "too short"),
        ("$$$$", "not base64"),
        ("AAAA", "too short"),
        (base64.b64encode(bytes(40)).decode(), "begins with 0x00000000"),
        (recoded({})[:-4], "cut"),
        (recoded({"digits": 2}), "2 digits"),
        (recoded({"lowest": 1000}), "from 1000"),
        (recoded({"offset": 3}), "another kind"),
        (recoded({"cookie": 0x1C849301}), "payload begins"),
        (recoded({"length": 9}), "another length"),
        (recoded({}, extra=b"\x80"), "within a number"),
        (recoded({}, extra=b"\xff\xff\x7f\x02"), "more than an hour"),
        (recoded({}, extra=bytes(500_000)), "too large"),
        (recoded({}, outer=0x1C849301), "begins with 0x1c849301"),
        (base64.b64encode(struct.pack(">II", 0x1C849314, 4) + b"oops").decode(), "unpacked"),
    ],
)
def test_what_is_no_histogram_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Histogram.decode(text)


def test_large_counts_survive() -> None:
    made = Histogram()
    for power in (1, 7, 13, 31, 40, 55, 61):
        made.record(1 << (power // 2), 1 << power)
    assert Histogram.decode(made.encode()) == made
