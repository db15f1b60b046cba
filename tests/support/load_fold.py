"""Compares batches with what Locust makes of the same requests one by one; run in a process of its own."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

import locust.stats
from locust.stats import RequestStats, StatsEntry

from load.metrics import locust_stats as aggregate
from load.metrics.aggregation import table_of


@dataclass(frozen=True)
class Outcome:
    """What a code stands for."""

    error: str | None = None
    rules: tuple[str, ...] = ()


OUTCOMES = [
    Outcome(),
    Outcome("timeout"),
    Outcome(None, ("ENV-5", "ENV-1")),
    Outcome("status 500", ("COD-8",)),
]
NAMES = ["course.find", "course.read", "course.add"]
SAID = [None, "timeout", "breaks ENV-1, ENV-5", "status 500"]


def seen(entry: StatsEntry) -> dict[str, Any]:
    return {
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        "total": round(entry.total_response_time, 3),
        "min": round(entry.min_response_time or 0, 6),
        "max": round(entry.max_response_time, 6),
        "times": dict(entry.response_times),
        "bytes": entry.total_content_length,
        "per second": sum(entry.num_reqs_per_sec.values()),
        "failed per second": sum(entry.num_fail_per_sec.values()),
    }


def main() -> None:
    """Do it for some hundred requests of every length, in batches of any size."""
    drawn = random.Random(7)
    begun = time.perf_counter()
    theirs, ours = RequestStats(), RequestStats()
    expected: dict[str, int] = {}
    for _ in range(40):
        rows = []
        for _ in range(drawn.choice([0, 1, 2, 60])):
            due = drawn.random() * 3
            seconds = 10 ** drawn.uniform(-4.5, 1.8)
            rows.append(
                (
                    drawn.randrange(3),
                    due,
                    due,
                    due + seconds,
                    drawn.choice([0, 0, 0, 1, 2, 3]),
                    drawn.randrange(900),
                )
            )
        ours_batch = aggregate.batch(table_of(rows), NAMES, OUTCOMES)
        aggregate.apply(ours, ours_batch, method="open", age=time.perf_counter() - begun)
        for index, due, _, done, code, size in rows:
            theirs.log_request("open", NAMES[index], (done - due) * 1000, size)  # type: ignore[arg-type]
            if (said := SAID[code]) is not None:
                theirs.log_error("open", NAMES[index], said)
                expected[said] = expected.get(said, 0) + 1
    assert theirs.entries.keys() == ours.entries.keys()
    for key, entry in theirs.entries.items():
        assert seen(entry) == seen(ours.entries[key]), (key, seen(entry), seen(ours.entries[key]))
    assert seen(theirs.total) == seen(ours.total)
    assert {error.to_name(): error.occurrences for error in theirs.errors.values()} == {
        error.to_name(): error.occurrences for error in ours.errors.values()
    }
    assert theirs.errors.keys() == ours.errors.keys()
    assert sum(expected.values()) == ours.total.num_failures
    soak()
    print("the same")


class Clock:
    """Stands for `time`."""

    now = 1_000_000.0

    def time(self) -> float:
        return self.now


def soak() -> None:
    """A thousand simulated seconds: what Locust shows as current is the same, and does not pile up."""
    clock = Clock()
    for module in (aggregate, locust.stats):
        setattr(module, "time", clock)  # noqa: B010  (it is no name that they give away)
    drawn = random.Random(8)
    theirs, ours = RequestStats(), RequestStats()
    for second in range(1000):
        # Some seconds are silent, so that not every second has a key.
        for _ in range(drawn.choice([0, 1, 5, 9])):
            theirs.log_request("open", NAMES[0], 20, 10)
            failed = drawn.random() < 0.3
            if failed:
                theirs.log_error("open", NAMES[0], "timeout")
            rows = [(0, second + 0.5, second + 0.5, second + 0.52, int(failed), 10)]
            aggregate.apply(
                ours, aggregate.batch(table_of(rows), NAMES, OUTCOMES), method="open", age=float(second)
            )
        for mine, other in (
            (ours.total, theirs.total),
            (ours.get(NAMES[0], "open"), theirs.get(NAMES[0], "open")),
        ):
            assert (mine.current_rps, mine.current_fail_per_sec) == (
                other.current_rps,
                other.current_fail_per_sec,
            )
            assert (mine.total_rps, mine.num_failures) == (other.total_rps, other.num_failures)
            assert mine.get_current_response_time_percentile(
                0.95
            ) == other.get_current_response_time_percentile(0.95)
            assert max(len(mine.num_reqs_per_sec), len(mine.num_fail_per_sec)) <= 121
        clock.now += 1.0
    assert len(theirs.total.num_reqs_per_sec) > 500


if __name__ == "__main__":
    main()
