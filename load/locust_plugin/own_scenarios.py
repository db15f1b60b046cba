"""A team's own scenario file in Locust's process: it is executed, and its users are checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locust import User

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from conformance.rulebook.own_rules import execute as execute_file
from conformance.rulebook.own_rules import line_in, located
from load.locust_plugin.rpc_user import RpcUser
from load.locust_plugin.users import LoadUser
from load.workload import feeds
from load.workload.own_calls import Needs
from load.workload.scenario_file import NO_USER, ScenarioFile, read_scenario_file

__all__ = ["OwnScenario", "execute", "has_think_time", "loaded"]


@dataclass(frozen=True)
class OwnScenario:
    """A scenario file, and the classes of its users."""

    file: ScenarioFile
    users: Sequence[type[RpcUser]]

    @property
    def needs(self) -> Needs:
        """What the load has to prepare for it."""
        kinds = dict.fromkeys(name.text for name in self.file.kinds)
        named = [each.profile_user for each in self.users if each.profile_user is not None]
        return Needs(
            self.file.called,
            list(kinds),
            list(dict.fromkeys(named)),
            list(dict.fromkeys(name for each in self.users for name in each.task_names())),
        )

    def check(self, profile: Profile, catalog: Catalog, *, writable: bool) -> None:
        """Check what the file names, and that users of the profile may call it.

        Raises:
            UsageError: they may not, or the profile or the catalogue lacks something; the line says what.

        """
        self.file.check(profile, catalog, writable=writable)
        for each in self.users:
            roles = {catalog[name].auth for name in each.called if name in catalog} & set(catalog.roles)
            users = profile.users.values()
            able = [user for user in users if each.profile_user in (None, user.name)]
            if roles and not any(roles <= set(user.roles) for user in able):
                who = f"the user {each.profile_user}" if each.profile_user else "no user of the profile"
                lacks = "lacks" if each.profile_user else "has"
                raise UsageError(
                    f"{located(self.file.path)}: {each.__name__} calls functions of the role "
                    f"{', '.join(sorted(map(str, roles)))}, which {who} {lacks}: add it to [users]"
                )


def execute(path: Path) -> OwnScenario:
    """Execute a scenario file, and return its users.

    Raises:
        UsageError: it cannot be read, raises an exception, or has no user; the line says which and where.

    """
    feeds.forget()
    file = read_scenario_file(path)
    shown = located(path)
    try:
        module = execute_file(path, "scenarios")
    except UsageError:
        raise
    except SyntaxError as error:  # of a module that it imports
        raise UsageError(f"{error.filename or shown}:{error.lineno or 1}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        line = line_in(path, error.__traceback__)
        raise UsageError(f"{shown}:{line or 1}: {type(error).__name__}: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, User)]
    return _checked(file, [each for each in dict.fromkeys(found) if not each.abstract])


def loaded(classes: Iterable[type[User]]) -> OwnScenario:
    """Return the scenario file that Locust has loaded, with these classes of users.

    Raises:
        UsageError: none of them is a user of ours, or one of them is of another kind.

    """
    found = list(classes)
    own = next((each for each in found if issubclass(each, RpcUser)), None)
    if own is None:
        raise UsageError(f"the locustfile {NO_USER}")
    return _checked(read_scenario_file(own.file()), found)


def _checked(file: ScenarioFile, classes: Sequence[type[User]]) -> OwnScenario:
    shown = located(file.path)
    users: list[type[RpcUser]] = []
    for each in classes:
        if not issubclass(each, RpcUser):
            raise UsageError(
                f"{shown}: {each.__name__} is a user of Locust's, whose requests are not judged: "
                "derive it from load.RpcUser"
            )
        if not each.tasks:
            raise UsageError(f"{shown}: {each.__name__} has no task: write a method under @task")
        named = [file.by_class.get(base.__name__, ()) for base in each.__mro__]
        each.called = tuple(dict.fromkeys(name for names in named for name in names))
        users.append(each)
    if not users:
        raise UsageError(f"{shown}: {NO_USER}")
    return OwnScenario(file, users)


def has_think_time(user: type[Any]) -> bool:
    """Return whether a class of users says itself what its think time is (`wait_time`)."""
    return any("think" in base.__dict__ for base in user.__mro__ if base is not LoadUser)
