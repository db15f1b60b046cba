"""The plan of a run and its orders: made in the process that leads the run, and sent to the workers as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from load.schedule.profiles import Schedule
from load.schedule.search import Search

__all__ = ["Order", "Plan"]


@dataclass(frozen=True)
class Plan:
    """A run.

    Open: arrivals by a `schedule`, or by a `search` that makes several; `tasks` says that an arrival runs a task of a
    scenario's user, not one call. Closed, without either: users with think time, for `seconds`.

    `warmup`, `timeout` (for one request), `patience` (how long a request may wait for a connection) and `drain`
    (how long answers are waited for in the end) are in seconds; `connections` and `waiting` are for the whole run, and
    `rate_limit` is the rate that is never exceeded, per second. `more` is for the worker's resources, as JSON.
    """

    scenario: str
    schedule: Schedule | None = None
    search: Search | None = None
    tasks: bool = False
    seconds: float = math.inf
    seed: int = 0
    warmup: float = 0.0
    timeout: float = 10.0
    patience: float = 10.0
    drain: float = 21.0
    connections: int = 256
    waiting: int = 10_000
    rate_limit: float | None = None
    slos: tuple[str, ...] = ()
    aborts: tuple[str, ...] = ()
    fail_fast: bool = False
    users: int = 0
    #: How many calls may be under way in a session before it counts as occupied; None: any number.
    per_session: int | None = 1
    calibration: tuple[float, float] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether arrivals follow a schedule."""
        return self.schedule is not None or self.search is not None

    @property
    def arrivals(self) -> str:
        """The kind of arrivals, as the report names it: open or closed."""
        return "open" if self.open else "closed"

    @property
    def duration(self) -> float:
        """The duration in seconds; inf where it is not known beforehand."""
        if self.schedule is not None:
            return min(self.schedule.duration, self.seconds)
        return math.inf if self.search is not None else self.seconds

    @property
    def calm(self) -> float:
        """The time, in seconds, after which earlier requests no longer count towards the rate limit."""
        return 0.0 if self.rate_limit is None else max(1, math.floor(self.rate_limit)) / self.rate_limit

    def slowed(self, requests: float) -> float:
        """Return the least time, in seconds, that a number of requests beside the load takes under the rate limit."""
        return 0.0 if self.rate_limit is None else requests / self.rate_limit

    def part(self, of: int) -> Plan:
        """Return the plan of one of `of` workers: its share of connections, waiting arrivals and rate limit."""
        return replace(
            self,
            connections=max(1, self.connections // of),
            waiting=max(1, self.waiting // of),
            rate_limit=None if self.rate_limit is None else self.rate_limit / of,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "scenario": self.scenario,
            "schedule": None if self.schedule is None else self.schedule.to_json(),
            "search": None if self.search is None else self.search.to_json(),
            "tasks": self.tasks,
            "seconds": None if math.isinf(self.seconds) else self.seconds,
            "seed": self.seed,
            "warmup": self.warmup,
            "timeout": self.timeout,
            "patience": self.patience,
            "drain": self.drain,
            "connections": self.connections,
            "waiting": self.waiting,
            "rate_limit": self.rate_limit,
            "slos": list(self.slos),
            "aborts": list(self.aborts),
            "fail_fast": self.fail_fast,
            "users": self.users,
            "per_session": self.per_session,
            "calibration": None if self.calibration is None else list(self.calibration),
            "more": dict(self.more),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        schedule, search, calibration = data["schedule"], data["search"], data["calibration"]
        return cls(
            **{
                **data,
                "schedule": None if schedule is None else Schedule.from_json(schedule),
                "search": None if search is None else Search.from_json(search),
                "seconds": math.inf if data["seconds"] is None else data["seconds"],
                "slos": tuple(data["slos"]),
                "aborts": tuple(data["aborts"]),
                "calibration": None if calibration is None else tuple(calibration),
            }
        )


@dataclass(frozen=True)
class Order:
    """A schedule to follow that begins at `begin`, limited to arrivals due from `since` and before `until`.

    All are seconds since the start of the run.
    """

    schedule: Schedule
    seed: int
    begin: float = 0.0
    since: float = 0.0
    until: float = math.inf

    def asked(self, t: float) -> float:
        """Return the number of its arrivals until a moment of the run."""
        begun = self.schedule.expected(max(0.0, self.since - self.begin))
        return max(0.0, self.schedule.expected(min(t, self.until) - self.begin) - begun)

    def share(self, index: int, of: int) -> Order:
        """Return the share of worker `index` of `of`."""
        return replace(self, schedule=self.schedule.share(index, of))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "schedule": self.schedule.to_json(),
            "seed": self.seed,
            "begin": self.begin,
            "since": self.since,
            "until": None if math.isinf(self.until) else self.until,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        until = math.inf if data["until"] is None else data["until"]
        return cls(**{**data, "schedule": Schedule.from_json(data["schedule"]), "until": until})
