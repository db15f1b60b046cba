"""The file that `locust -f load/locustfile.py --host URL` opens: the users of each scenario.

A scenario names no function of the target. Its users list, read, create, change and delete objects, and the catalogue
says which functions do that (`scenarios.cast`). `--scenario` chooses one. Without it, calls of the profile's mix are
sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from locust import task

from load.locust_plugin import standalone
from load.locust_plugin.bootstrap import PartUser, bootstrap, play_of
from load.locust_plugin.users import Idle, Steady
from load.workload.visits import Visit


class Student(PartUser):
    """Looks through what there is, and opens some of it."""

    scenario = "student"

    @task(6)
    def browse(self) -> None:
        """Look through the list."""
        self.do("list")

    @task(3)
    def open(self) -> None:
        """Find something in the list, and open it."""
        self.do("list")
        self.do("read")

    @task(1)
    def come_back(self) -> None:
        """Ask who is signed in, as a page does that is opened again, and look through the list."""
        self.do("whoami")
        self.do("list")


class Teacher(PartUser):
    """Changes what it has made, makes more now and then, and clears away what is not needed any more."""

    scenario = "teacher"

    @task(5)
    def edit(self) -> None:
        """Open something of one's own, and change it."""
        self.do("read")
        self.do("update")

    @task(2)
    def look_over(self) -> None:
        """Look through the list, and open something of it."""
        self.do("list")
        self.do("read")

    @task(2)
    def prepare(self) -> None:
        """Create an object, and list the objects."""
        self.do("create")
        self.do("list")

    @task(1)
    def clear_away(self) -> None:
        """List the objects, and delete one that was created before."""
        self.do("list")
        self.do("delete")


class SignInStorm(PartUser):
    """Signs in again and again, each time with the first call of the new session."""

    scenario = "signin"

    @task
    def sign_in(self) -> None:
        """Sign in, and ask in the new session whose it is."""
        reply = self.do("login")
        virtual_user = self.work.entered(reply, self.virtual_user)
        if virtual_user is not None and self.cast is not None and self.can("whoami"):
            self.send(self.work.call(self.cast["whoami"], virtual_user))


class Mix(Steady, PartUser):
    """Sends the next call of the profile's mix; with the mix of a capture, what followed there in a session."""

    scenario = "steady"

    def supply(self) -> Callable[[], Any]:
        """Return what returns the next call, in this user's session."""
        seen = play_of(self.environment).settings.seen
        if seen is None:
            return partial(self.work.next, self.virtual_user)
        self._visit = Visit(self.work, seen, self.virtual_user, self.think)
        return self._visit.next

    def pause(self) -> Callable[[], float]:
        """Return what returns the time before the next call."""
        return self.think if self._visit is None else self._visit.wait

    _visit: Visit | None = None


class Arrivals(Idle):
    """A user without tasks, for arrivals that follow a schedule: Locust needs a user class."""


def begin(environment: Any) -> None:
    """Set the load up: a scenario of this file, or those of a team's own."""
    users = {each.scenario: each for each in (Student, Teacher, SignInStorm, Mix)}
    bootstrap(environment, dict(users), Arrivals)


standalone.listen(begin)
