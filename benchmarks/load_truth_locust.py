"""The locustfile of `benchmarks.load_truth` for Locust itself: FastHttpUser with `constant_throughput`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task


class Steady(FastHttpUser):
    """Sends its part of the rate, as nearly as it can."""

    host = os.environ["TRUTH_URL"]
    wait_time = constant_throughput(float(os.environ["TRUTH_EACH"]))

    @task
    def find(self) -> None:
        """Call the one function."""
        self.client.post("course", json={"method": "find", "data": {}})


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _report(environment: Any, **more: Any) -> None:
    total = environment.stats.total
    found = {f"p{percent}": total.get_response_time_percentile(percent / 100) for percent in (50, 90, 95, 99)}
    Path(os.environ["TRUTH_OUT"]).write_text(json.dumps({"count": total.num_requests, **found}), "utf-8")
