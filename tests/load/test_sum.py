"""Every request that came due is served, refused, unanswered, dropped or renewed, in every kind of load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.loading import Locust, Target


def hard(number: int, path: str) -> tuple[int, float]:
    """Serve most, refuse some, end sessions, and answer a few too late."""
    if number % 10 == 3:
        return 503, 0.0
    if number % 17 == 5:
        return 401, 0.0
    return (200, 1.5) if number % 40 == 7 else (200, 0.002)


def ended(counts: Mapping[str, Any]) -> int:
    refused = counts["refused"]["count"]
    assert counts["answered"] == counts["served"] + refused
    assert counts["failed"] == refused + counts["unanswered"]
    assert counts["requests"] == counts["served"] + counts["failed"]
    return sum((counts["served"], refused, counts["unanswered"], counts["dropped"], counts["renewed"]))


KINDS: dict[str, dict[str, Any]] = {
    "constant": {"schedule": "150/s for 2s"},
    "poisson": {"schedule": "poisson 150/s for 2s"},
    "ramp": {"schedule": "ramp 10/s to 200/s for 2s"},
    "steps": {"schedule": "steps 50/s for 1s, 150/s for 1s"},
    "spike": {"schedule": "spike 50/s to 300/s at 1s for 500ms, 2s in all"},
    "no connection": {"schedule": "150/s for 2s", "connections": 2, "patience": 0.3, "waiting": 20},
    "ceiling": {"schedule": "100/s for 2s", "rate_limit": 60},
    "search": {"search": "search 20/s to 80/s, 1s each", "slos": ("p50 < 10s", "errors <= 100%")},
    "tasks": {"schedule": "40/s for 2s", "tasks": True},
    "closed": {"seconds": 2.0},
    "cut short": {"schedule": "150/s for 2s", "drain": 0.0},
    "soak": {"schedule": "soak 150/s for 2s"},
    "poisson steps": {"schedule": "poisson steps 50/s for 1s, 150/s for 1s"},
    "two processes": {"schedule": "150/s for 2s", "processes": 2},
    "condition": {"schedule": "150/s for 20s", "aborts": ["errors > 5% over 1s"]},
    "fail fast": {"schedule": "150/s for 20s", "slos": ["errors < 1%"], "fail_fast": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_due_is_what_ended(kind: str, tmp_path: Path) -> None:
    plan = {"timeout": 0.6, "member": True, "warmup": 0.5, **KINDS[kind]}
    if kind == "search":
        plan["warmup"] = 0.0
    users: tuple[str, ...] = ("-u", "4", "-r", "100", "-t", "20s") if kind in ("closed", "tasks") else ()
    if processes := plan.pop("processes", None):
        users = ("--processes", str(processes))
    with Target(hard) as target, Locust(tmp_path, target.url, plan, *users) as locust:
        locust.wait(300)
        end = locust.end
    total, warmed = end["total"], end["warmed"]
    assert total["arrivals"] == ended(total) > 0
    assert (warmed["arrivals"] or 0) == ended(warmed)
    assert end["renewed"] == total["renewed"] + warmed["renewed"]
    seconds = locust.seconds()
    for name in ("served", "answered", "renewed", "dropped", "no_connection"):
        assert sum(second[name] for second in seconds) == total[name] + warmed[name], name
    sent = sum(counts["requests"] + counts["renewed"] for counts in (total, warmed))
    if kind in ("constant", "steps", "spike", "ramp", "soak", "two processes", "no connection"):
        asked = end["schedule"]["stretches"]
        area = sum(seconds * (low + high) / 2 for seconds, low, high in asked)
        assert total["arrivals"] + warmed["arrivals"] == pytest.approx(area, abs=1)
    if kind == "no connection":
        assert 0 < total["no_connection"] <= total["dropped"]
        assert total["errors"]["no connection"] == total["no_connection"]
    if kind in ("condition", "fail fast"):
        assert end["seconds"] < 20
    if kind != "cut short":
        # What was dropped was never sent, and everything that was sent is known. A busy target may close before it
        # reads a request that was not answered in time.
        unanswered = sum(counts["unanswered"] for counts in (total, warmed))
        assert sent - unanswered <= target.total <= sent
