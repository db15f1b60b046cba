"""What `locust -f load/locustfile.py --host URL` opens: scenarios that read like users.

A scenario names no function of the target: its users list, read, create, change and delete things, and the catalogue
tells which functions that is (`scenarios.cast`). `--scenario` chooses one; without it, calls of the profile's mix
arrive by themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from locust import events, task

from conformance.errors import UsageError
from load.locust_plugin.bootstrap import RpcUser, stage
from load.locust_plugin.users import Idle, Steady
from load.options import add_arguments


class Student(RpcUser):
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


class Teacher(RpcUser):
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
        """Make something new, and see that it is in the list."""
        self.do("create")
        self.do("list")

    @task(1)
    def clear_away(self) -> None:
        """Delete what was made before."""
        self.do("list")
        self.do("delete")


class SignInStorm(RpcUser):
    """Signs in again and again, each time with the first call of the new session."""

    scenario = "signin"

    @task
    def sign_in(self) -> None:
        """Sign in, and ask in the new session who that is."""
        reply = self.do("login")
        virtual_user = self.work.entered(reply, self.virtual_user)
        if virtual_user is not None and self.cast is not None and self.can("whoami"):
            self.send(self.work.call(self.cast["whoami"], virtual_user))


class Mix(Steady, RpcUser):
    """Calls whatever is next in the profile's mix."""

    scenario = "steady"

    def supply(self) -> Callable[[], Any]:
        """Take the calls from the mix, for this user's session."""
        return partial(self.work.next, self.virtual_user)


class Arrivals(Idle):
    """Nobody: calls of the mix arrive by themselves, and Locust wants someone to be there."""


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def options(parser: Any) -> None:
    """Add the load's options to Locust's."""
    add_arguments(parser, under_locust=True)


@events.init.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **more: Any) -> None:
    """Put on what was asked for; what is wrong with it is said in one line."""
    users = {each.scenario: each for each in (Student, Teacher, SignInStorm, Mix)}
    try:
        stage(environment, dict(users), Arrivals)
    except UsageError as error:
        sys.stderr.write(f"locust: {error}\n")
        raise SystemExit(2) from None
