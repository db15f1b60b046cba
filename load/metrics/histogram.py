"""A latency histogram: HdrHistogram with three significant digits, from 1 µs to 1 hour, over numpy counts.

The layout is the one of HdrHistogram (hdrhistogram.org) with lowest discernible value 1 and three significant digits:
values below 2,048 have a cell each, and every doubling after that has 1,024 cells, so that a value is known to 0.1 %
or better. Everything that is said of the values is said from the cells alone: histograms that hold the same cells are
equal, whatever way they were filled, merged or sent.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["HIGHEST", "KEYS", "PERCENTILES", "Histogram", "Ints", "cells_of"]

Ints: TypeAlias = npt.NDArray[np.int64]

#: The highest value, in microseconds: one hour. Larger values count as this one.
HIGHEST = 3_600_000_000

#: The percentiles of a report, by their keys there.
KEYS: tuple[tuple[str, float], ...] = (
    ("p50", 50.0),
    ("p75", 75.0),
    ("p90", 90.0),
    ("p95", 95.0),
    ("p99", 99.0),
    ("p999", 99.9),
)

#: The percentiles that tables show.
PERCENTILES: tuple[float, ...] = tuple(percentile for _, percentile in KEYS)

_DIGITS = 3
_HALF_BITS = 10  # 2 * 10**3 distinct values need 2,048 cells, of which each further doubling takes half
_HALF = 1 << _HALF_BITS
_SUB_BITS = _HALF_BITS + 1
_SUB_MASK = (1 << _SUB_BITS) - 1
#: Counts exist for a window of cells only, which grows by whole blocks.
_BLOCK = 256

_COOKIE = 0x1C849303 | 0x10
_COMPRESSED_COOKIE = 0x1C849304 | 0x10
_OUTER = struct.Struct(">II")
_INNER = struct.Struct(">IIIIQQd")


def _cell(value: int) -> int:
    bucket = max(0, value.bit_length() - _SUB_BITS)
    return (bucket << _HALF_BITS) + (value >> bucket)


_CELLS = _cell(HIGHEST) + 1


def cells_of(values: npt.NDArray[Any]) -> Ints:
    """Return the cells of an array of microseconds, for `record_cells`; fractions are cut off.

    Raises ValueError when one is negative. Worth its own call where values go into several histograms.
    """
    if values.size and not values.min() >= 0:
        raise ValueError("a histogram holds no negative values, and nothing that is no number")
    values = np.minimum(values, HIGHEST).astype(np.int64)
    # frexp gives the bit length of a whole number, exactly for all below 2**53.
    bits = np.frexp((values | _SUB_MASK).astype(np.float64))[1]
    bucket = bits.astype(np.int64) - _SUB_BITS
    return (bucket << _HALF_BITS) + (values >> bucket)


def _lowest(cell: int) -> int:
    bucket = max(0, (cell >> _HALF_BITS) - 1)
    return (cell - (bucket << _HALF_BITS)) << bucket


def _highest(cell: int) -> int:
    bucket = max(0, (cell >> _HALF_BITS) - 1)
    return _lowest(cell) + (1 << bucket) - 1


@lru_cache(maxsize=64)
def _share(percentile: float) -> Fraction:
    # 99.9 is meant as written, not as the nearest binary fraction: of 1,000 values it is the 999th.
    return Fraction(repr(float(percentile))) / 100


class Histogram:
    """Counts of whole microseconds; `percentile` and the rest are within 0.1 % of what was recorded.

    Values above HIGHEST count as HIGHEST; negative ones are refused. A histogram is a plain mutable
    value: `==` compares what it holds, `copy` and `merge` never share cells.
    """

    __slots__ = ("_base", "_counts", "count")

    def __init__(self) -> None:
        self._base = 0
        self._counts: Ints = np.zeros(0, np.int64)
        #: How many values were recorded.
        self.count = 0

    @classmethod
    def of(cls, values: Iterable[int] | npt.NDArray[Any]) -> Histogram:
        """Return a histogram of the given microseconds."""
        made = cls()
        made.record_many(values if isinstance(values, np.ndarray) else np.fromiter(values, np.int64))
        return made

    # --- recording ------------------------------------------------------------------------------------------

    def record(self, us: int, count: int = 1) -> None:
        """Record a value `count` times; raises ValueError if either is negative."""
        if us < 0 or count < 0:
            raise ValueError(f"a histogram holds no negative values or counts, such as {us} x {count}")
        if count:
            cell = _cell(min(us, HIGHEST))
            self._cover(cell, cell)
            self._counts[cell - self._base] += count
            self.count += count

    def record_many(self, values: npt.NDArray[Any]) -> None:
        """Record an array of microseconds, without their fractions; raises ValueError if one is negative."""
        self.record_cells(cells_of(values))

    def record_cells(self, cells: Ints) -> None:
        """Record cells that `cells_of` returned, or a part of them."""
        if not cells.size:
            return
        first, last = int(cells.min()), int(cells.max())
        self._cover(first, last)
        if cells.size < _HALF:
            np.add.at(self._counts, cells - self._base, 1)
        else:
            self._counts[first - self._base : last + 1 - self._base] += np.bincount(cells - first)
        self.count += int(cells.size)

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        if not other.count:
            return
        self._cover(other._base, other._base + len(other._counts) - 1)
        begin = other._base - self._base
        self._counts[begin : begin + len(other._counts)] += other._counts
        self.count += other.count

    def copy(self) -> Histogram:
        """Return a copy."""
        made = Histogram()
        made._base, made._counts, made.count = self._base, self._counts.copy(), self.count
        return made

    def _cover(self, first: int, last: int) -> None:
        """Let the window reach from one cell to another, both included."""
        size = len(self._counts)
        if size and self._base <= first and last < self._base + size:
            return
        low, high = first, last + 1
        if size:
            low, high = min(low, self._base), max(high, self._base + size)
        low -= low % _BLOCK
        high += -high % _BLOCK
        counts: Ints = np.zeros(high - low, np.int64)
        if size:
            counts[self._base - low : self._base - low + size] = self._counts
        self._base, self._counts = low, counts

    # --- reading --------------------------------------------------------------------------------------------

    def _filled(self) -> Ints:
        return np.flatnonzero(self._counts)

    @property
    def min(self) -> int:
        """The smallest value: the lowest of its cell; 0 if there is none."""
        return _lowest(int(self._filled()[0]) + self._base) if self.count else 0

    @property
    def max(self) -> int:
        """The largest value: the highest of its cell; 0 if there is none."""
        return _highest(int(self._filled()[-1]) + self._base) if self.count else 0

    @property
    def mean(self) -> float:
        """The mean of the middles of the cells; 0.0 if there is none."""
        if not self.count:
            return 0.0
        filled = self._filled()
        cells = filled + self._base
        bucket = np.maximum(0, (cells >> _HALF_BITS) - 1)
        # The middle as HdrHistogram has it: a cell of one value is that value.
        middle = ((cells - (bucket << _HALF_BITS)) << bucket) + ((1 << bucket) >> 1)
        return float(np.dot(middle.astype(np.float64), self._counts[filled])) / self.count

    def percentile(self, percentile: float) -> int:
        """Return the value at or below which so many per cent lie, as the highest that its cell may stand for.

        Of n values it is the one of rank ⌈n·p/100⌉, at least 1; 0 when there is none. Raises ValueError when p is not
        from 0 to 100.
        """
        return self.percentiles([percentile])[0]

    def percentiles(self, wanted: Sequence[float] = PERCENTILES) -> list[int]:
        """Return `percentile` of each, in one pass."""
        for percentile in wanted:
            if not 0 <= percentile <= 100:
                raise ValueError(f"a percentile is from 0 to 100, not {percentile}")
        if not self.count:
            return [0] * len(wanted)
        sums = np.cumsum(self._counts)
        ranks = [max(1, math.ceil(_share(percentile) * self.count)) for percentile in wanted]
        return [_highest(int(cell) + self._base) for cell in np.searchsorted(sums, ranks)]

    def above(self, us: float) -> int:
        """Return the number of values that are certainly above a number of microseconds: those of higher cells."""
        if us < 0:
            return self.count
        first = _cell(min(int(us), HIGHEST)) + 1 - self._base
        return int(self._counts[max(0, first) :].sum())

    def cells(self) -> list[tuple[int, int, int]]:
        """Return the cells that are not empty, in ascending order: lowest value, highest value, count."""
        return [
            (_lowest(cell + self._base), _highest(cell + self._base), int(self._counts[cell]))
            for cell in self._filled().tolist()
        ]

    @property
    def nbytes(self) -> int:
        """The memory of the counts, in bytes."""
        return int(self._counts.nbytes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        if self.count != other.count:
            return False
        mine, theirs = self._filled(), other._filled()
        return np.array_equal(mine + self._base, theirs + other._base) and np.array_equal(
            self._counts[mine], other._counts[theirs]
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        if not self.count:
            return "<Histogram: nothing>"
        return f"<Histogram: {self.count} from {self.min} to {self.max} µs, p99 {self.percentile(99)}>"

    def __getstate__(self) -> str:
        return self.encode()

    def __setstate__(self, state: str) -> None:
        other = Histogram.decode(state)
        self._base, self._counts, self.count = other._base, other._counts, other.count

    def figures(self) -> dict[str, Any]:
        """Return the encoded histogram and its figures in milliseconds, for the report."""
        values = self.percentiles([percentile for _, percentile in KEYS])
        return {
            "histogram": self.encode(),
            "count": self.count,
            "min": self.min / 1000,
            "mean": self.mean / 1000,
            **{key: value / 1000 for (key, _), value in zip(KEYS, values, strict=True)},
            "max": self.max / 1000,
        }

    # --- the common encoding --------------------------------------------------------------------------------

    def encode(self) -> str:
        """Return the histogram in HdrHistogram's V2 encoding, compressed, in base64."""
        body = bytearray()
        at = 0
        filled = self._filled()
        for cell, count in zip((filled + self._base).tolist(), self._counts[filled].tolist(), strict=True):
            if gap := cell - at:
                _put(body, -gap)  # a run of empty cells: its length, negative
            _put(body, count)
            at = cell + 1
        inner = _INNER.pack(_COOKIE, len(body), 0, _DIGITS, 1, HIGHEST, 1.0) + body
        packed = zlib.compress(inner)
        return base64.b64encode(_OUTER.pack(_COMPRESSED_COOKIE, len(packed)) + packed).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """Read a histogram that `encode`, or another HdrHistogram, has written.

        Raises ValueError, which says why, when it is none, or has other than three digits or another unit: cells would
        not meet. The highest value may be another one, as long as nothing above HIGHEST was recorded.
        """
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("no histogram: it is not base64") from None
        if len(raw) < _OUTER.size:
            raise ValueError("no histogram: it is too short")
        cookie, length = _OUTER.unpack_from(raw)
        if cookie & ~0xF0 != _COMPRESSED_COOKIE & ~0xF0:
            raise ValueError(f"no compressed V2 histogram: it begins with {cookie:#010x}")
        if length != len(raw) - _OUTER.size:
            raise ValueError(f"a histogram that was cut: {len(raw) - _OUTER.size} bytes of {length}")
        unpacker = zlib.decompressobj()
        # No more than every cell full, so that a small text cannot fill the memory.
        limit = _INNER.size + 9 * 2 * _CELLS
        try:
            inner = unpacker.decompress(raw[_OUTER.size :], limit)
        except zlib.error:
            raise ValueError("no histogram: it cannot be unpacked") from None
        if not unpacker.eof or len(inner) < _INNER.size:
            raise ValueError("no histogram: it is cut, or too large")
        cookie, length, offset, digits, lowest, _, ratio = _INNER.unpack_from(inner)
        if cookie & ~0xF0 != _COOKIE & ~0xF0:
            raise ValueError(f"no V2 histogram: its payload begins with {cookie:#010x}")
        if length != len(inner) - _INNER.size:
            raise ValueError("no histogram: its payload has another length than it says")
        if digits != _DIGITS or lowest != 1 or offset or ratio != 1.0:
            raise ValueError(
                f"a histogram of another kind: {digits} digits from {lowest}, not {_DIGITS} from 1"
            )
        return cls._from_payload(inner[_INNER.size :])

    @classmethod
    def _from_payload(cls, body: bytes) -> Histogram:
        made = cls()
        cells: list[int] = []
        counts: list[int] = []
        at = position = 0
        while position < len(body):
            value, position = _take(body, position)
            if value > 0:
                cells.append(at)
                counts.append(value)
                at += 1
            else:
                at += -value or 1
            if at > _CELLS and cells and cells[-1] >= _CELLS:
                raise ValueError("a histogram of another kind: it has values of more than an hour")
        if cells:
            made._cover(cells[0], cells[-1])
            made._counts[np.array(cells) - made._base] = counts
            made.count = sum(counts)
        return made


def _put(body: bytearray, value: int) -> None:
    """Append a number in ZigZag LEB128; a ninth byte has all of its eight bits."""
    left = (value << 1) ^ (value >> 63)
    for _ in range(8):
        if left < 0x80:
            body.append(left)
            return
        body.append(left & 0x7F | 0x80)
        left >>= 7
    body.append(left & 0xFF)


def _take(body: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(9):
        if position >= len(body):
            raise ValueError("no histogram: it ends within a number")
        byte = body[position]
        position += 1
        if index == 8:
            value |= byte << 56
            break
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            break
    return (value >> 1) ^ -(value & 1), position
