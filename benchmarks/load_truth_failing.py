"""What a load should report of a server that fails fast, by arithmetic: part of `benchmarks.load_truth`.

Arrivals are evenly spaced, and `tests.servers.failing` answers by their number and their moment. Therefore it is known
of each request whether it is served, and how long it takes. Percentiles are by rank, of the served requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.servers.failing import EDGE_SECONDS, MODES, Failing

__all__ = ["MODES", "RATES", "SECONDS", "Truth", "truth_of"]

SECONDS = 30
#: Arrivals per second, for each way to fail.
RATES = {"shed": 200, "limit": 500, "outage": 200}
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Truth:
    """Percentiles in milliseconds of what was served, what was served per second, and the share that was refused."""

    percentiles: dict[int, float]
    goodput: float
    refused: float


def truth_of(mode: str) -> Truth:
    """Return what follows from arithmetic."""
    failing, rate = Failing(mode), RATES[mode]
    latencies = []
    for number in range(rate * SECONDS):
        status, seconds = failing.answer(number / rate + EDGE_SECONDS)
        if status == 200:
            latencies.append(1000 * seconds)
    latencies.sort()
    percentiles = {each: latencies[math.ceil(len(latencies) * each / 100) - 1] for each in PERCENTILES}
    return Truth(percentiles, len(latencies) / SECONDS, 1 - len(latencies) / (rate * SECONDS))
