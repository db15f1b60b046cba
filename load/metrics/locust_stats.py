"""The measurements as Locust's own statistics, so that its web UI, CSV files and history are correct.

Rows are folded a few times a second into a batch: plain numbers, which travel to a master as they are. `apply` adds a
batch to Locust's entries as if each request had been logged by itself. Locust keeps response times to two digits; here
they run from the moment due.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from locust.stats import RequestStats, StatsEntry, StatsError

from load.metrics.aggregation import Floats, Outcome

__all__ = ["Batch", "apply", "batch"]

#: Per function: what `apply` adds; times in milliseconds, seconds since the run's beginning.
Batch: TypeAlias = dict[str, dict[str, Any]]

#: Seconds retained of those that Locust counts one by one: it reads only the last 12.
_SECONDS = 60


def batch(table: Floats, functions: Sequence[str], outcomes: Sequence[Outcome]) -> Batch:
    """Aggregate a table of rows, including the warm-up, for Locust's statistics."""
    if not len(table):
        return {}
    numbers = table[:, 0].astype(np.int64)
    return {functions[number]: _entry(table[numbers == number], outcomes) for number in np.unique(numbers)}


def _entry(table: Floats, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    milliseconds = np.maximum(0.0, (table[:, 3] - table[:, 1]) * 1000)
    seconds = np.floor(table[:, 3]).astype(np.int64)
    codes = table[:, 4].astype(np.int64)
    errors: dict[str, int] = {}
    bad = np.zeros(len(codes), dtype=bool)
    if codes.any():
        for code, number in _counted(codes):
            if (said := _said(outcomes[code])) is not None:
                errors[said] = errors.get(said, 0) + number
                bad |= codes == code
    return {
        "requests": len(table),
        "failures": int(bad.sum()),
        "total": float(milliseconds.sum()),
        "min": float(milliseconds.min()),
        "max": float(milliseconds.max()),
        "bytes": int(table[:, 5].sum()),
        "times": _counted(_buckets(milliseconds)),
        "seconds": _counted(seconds),
        "failed": _counted(seconds[bad]),
        "errors": errors,
    }


def _counted(values: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    kinds, counts = np.unique(values, return_counts=True)
    return list(zip(kinds.tolist(), counts.tolist(), strict=True))


def _said(outcome: Outcome) -> str | None:
    """Return the name of an outcome in Locust's table of failures; None if it is not a failure."""
    if outcome.error is not None:
        return outcome.error
    return f"breaks {', '.join(sorted(set(outcome.rules)))}" if outcome.rules else None


def _buckets(milliseconds: Floats) -> npt.NDArray[np.int64]:
    """Round as `locust.stats.bucket_response_time` does: to two digits, and below 100 ms to whole ones."""
    grain = np.select(
        [milliseconds < 100, milliseconds < 1000, milliseconds < 10000], [1.0, 10.0, 100.0], 1000.0
    )
    rounded: npt.NDArray[np.int64] = (np.rint(milliseconds / grain) * grain).astype(np.int64)
    return rounded


def apply(stats: RequestStats, aggregated: Batch, *, method: str, age: float) -> None:
    """Add a batch to Locust's statistics; `age` is the time since the start of the run in seconds.

    The run's seconds become those of the wall clock as it stands now, so that they stay with Locust's when it jumps.
    """
    if not aggregated:
        return
    now = time.time()
    zero = now - age
    for name, part in aggregated.items():
        _add(stats.entries[name, method], part, now, zero)
        _add(stats.total, part, now, zero)
        for error, number in part["errors"].items():
            key = StatsError.create_key(method, name, error)
            entry = stats.errors.get(key)
            if entry is None:
                entry = stats.errors[key] = StatsError(method, name, error, first_seen=now)
            entry.occurrences += number
            entry.last_seen = now


def _add(entry: StatsEntry, part: dict[str, Any], now: float, zero: float) -> None:
    last = entry.last_request_timestamp
    if entry.use_response_times_cache and last and int(now) > int(last):
        entry._cache_response_times(int(now) - 1)
    entry.last_request_timestamp = now
    entry.num_requests += part["requests"]
    entry.num_failures += part["failures"]
    entry.total_response_time += part["total"]
    entry.total_content_length += part["bytes"]
    least = entry.min_response_time
    entry.min_response_time = part["min"] if least is None else min(least, part["min"])
    entry.max_response_time = max(entry.max_response_time, part["max"])
    for milliseconds, number in part["times"]:
        entry.response_times[milliseconds] += number
    for second, number in part["seconds"]:
        entry.num_reqs_per_sec[int(zero + second)] += number
    for second, number in part["failed"]:
        entry.num_fail_per_sec[int(zero + second)] += number
    _forget(entry.num_reqs_per_sec, now)
    _forget(entry.num_fail_per_sec, now)


def _forget(seconds: dict[int, int], now: float) -> None:
    """Retain the last seconds only, so that memory does not grow with the run."""
    if len(seconds) > 2 * _SECONDS:
        for second in [each for each in seconds if each < now - _SECONDS]:
            del seconds[second]
