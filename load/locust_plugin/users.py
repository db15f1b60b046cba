"""Users as Locust knows them, whose requests are the load's: with open arrivals or closed.

A scenario is a `LoadUser` with tasks. With open arrivals each run of a task is one arrival of the schedule, and the
latency of its first call runs from the moment that the arrival was due. With closed arrivals the same class is an
ordinary user of Locust's, with the think time that its `wait_time` says.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, ClassVar

import gevent  # type: ignore[import-untyped]
from gevent import Greenlet
from gevent.pool import Group  # type: ignore[import-untyped]
from locust import User

from load.engine.process import Generator
from load.engine.sender import Reply
from load.locust_plugin.hooks import engine_of

__all__ = ["Idle", "LoadUser", "Steady"]

#: Users that are spawned together start within so many seconds, or within their think time where that is longer.
SPREAD = 1.0


class LoadUser(User):
    """A user of a scenario; `self.submit` sends."""

    abstract = True
    #: The seconds between two tasks of a closed user: what a scenario calls `wait_time`.
    think: ClassVar[Callable[[Any], float]]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        # Locust asks `wait_time` between tasks; with open arrivals the answer is when the next one is due.
        if "wait_time" in cls.__dict__:
            cls.think = cls.__dict__["wait_time"]
            del cls.wait_time

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._generator: Generator | None = None
        self._due: float | None = None
        self._turn = False

    @property
    def generator(self) -> Generator:
        """The generator of this process, as soon as there is one."""
        if self._generator is None:
            self._generator = engine_of(self.environment).generator()
        return self._generator

    def start(self, group: Group) -> Greenlet:
        """Begin in a greenlet of the group, not in step with others that are spawned at the same time."""

        def run(user: LoadUser) -> None:
            user._begin()
            user.run()  # type: ignore[no-untyped-call]

        self._group = group
        self._greenlet = group.spawn(run, self)
        return self._greenlet

    def _begin(self) -> None:
        generator = self.generator
        if generator.turns is not None:
            self._next()
            return
        gevent.sleep(max(0.0, -generator.now) + random.random() * max(SPREAD, self.think()))

    def _next(self) -> None:
        turns = self.generator.turns
        assert turns is not None
        if self._turn:
            self._turn = False
            turns.done()
        self._due = turns.next()
        self._turn = True

    def wait_time(self) -> float:
        """Wait for the next arrival (open), or return the think time (closed)."""
        if self.generator.turns is None:
            return self.think()
        self._next()
        return 0.0

    def think(self) -> float:  # type: ignore[no-redef]
        """Return the seconds between two tasks; a scenario's `wait_time` takes this place."""
        return 0.0

    def submit(self, call: Any) -> Reply | None:
        """Send a call and wait for the answer; None when it was dropped."""
        due, self._due = self._due, None
        return self.generator.call(call, due)


class Steady(LoadUser):
    """A closed user that only sends the next call; it needs no switches of greenlets, and no tasks."""

    abstract = True

    def supply(self) -> Callable[[], Any]:
        """Return a function that returns the next call."""
        raise NotImplementedError

    def pause(self) -> Callable[[], float]:
        """Return a function that returns the seconds before the next call; it is asked for after `supply`."""
        return self.think

    def start(self, group: Group) -> Greenlet:
        """Begin in a greenlet of the group, not in step with others. The greenlet only waits for the end of the run."""

        def run(user: Steady) -> None:
            user._begin()
            user.on_start()
            closed_loop_user = user.generator.closed_loop_user(user.supply(), user.pause())
            try:
                closed_loop_user.go()
                gevent.get_hub().switch()
            finally:
                closed_loop_user.leave()
                user.on_stop()  # type: ignore[no-untyped-call]

        self._group = group
        self._greenlet = group.spawn(run, self)
        return self._greenlet


class Idle(User):
    """A user without tasks: with open arrivals of calls, Locust needs one."""

    abstract = True

    def start(self, group: Group) -> Greenlet:
        """Wait in a greenlet of the group until the run is over."""

        def run(user: Idle) -> None:
            gevent.get_hub().switch()

        self._group = group
        self._greenlet = group.spawn(run, self)
        return self._greenlet
