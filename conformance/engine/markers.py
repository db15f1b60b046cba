"""The decorators of the tests: which rules a test judges, what it costs, and what it is run against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

import pytest

from conformance.catalog.model import Method
from conformance.engine.not_judged import LINES
from conformance.engine.payload_budget import Share
from conformance.engine.runner import Run
from conformance.engine.scheduling import USUAL_CALLS, Calls

__all__ = [
    "Facts",
    "Nothing",
    "Scope",
    "When",
    "disturbs_sessions",
    "each_endpoint",
    "each_function",
    "each_kind",
    "each_user",
    "judges",
    "on",
]

F = TypeVar("F", bound=Callable[..., Any])


class When(IntEnum):
    """When a test runs: before all others (recorded cases), in the order of the suites, or after all others."""

    FIRST = 0
    IN_ORDER = 1
    LAST = 2


@dataclass(frozen=True)
class Facts:
    """What the decorators of a test say of it."""

    rules: tuple[str, ...] = ()
    #: The part of the generated payloads that its kind gets; None: it generates none, and may be left out for time.
    share: Share | None = None
    #: What a test takes, as far as that is known before the first of its kind ran.
    calls: Calls = USUAL_CALLS
    when: When = When.IN_ORDER
    #: Whether the test itself ends sessions, so that lost ones afterwards are its own doing.
    disturbs_sessions: bool = False
    #: Whether the test judges the rules of the team's own that are checked on every exchange, too.
    and_own: bool = False

    @classmethod
    def of(cls, test: Callable[..., Any]) -> Facts | None:
        """Return the facts of a test function; None if it judges nothing."""
        marks = {mark.name: mark for mark in getattr(test, "pytestmark", [])}
        if "judges" not in marks:
            return None
        mark = marks["judges"]
        return cls(mark.args, disturbs_sessions="disturbs_sessions" in marks, **mark.kwargs)


def judges(
    *rules: str,
    share: Share | None = None,
    calls: int = USUAL_CALLS.all,
    logins: int = USUAL_CALLS.logins,
    when: When = When.IN_ORDER,
    and_own: bool = False,
) -> pytest.MarkDecorator:
    """Name the rules that a test judges, and say what the test costs.

    `share` is the part of the run's generated payloads that all tests of the function get: with it the test is random
    and goes on as long as its budget lasts. `calls` and `logins` say how many calls one test makes, and how many of
    them are logins, where it makes many. With `and_own` it also judges the rules of the team's own that are checked on
    every exchange.
    """
    return pytest.mark.judges(*rules, share=share, calls=Calls(calls, logins), when=when, and_own=and_own)


#: The test ends sessions itself, so that lost ones afterwards are its own doing.
disturbs_sessions = pytest.mark.disturbs_sessions


@dataclass(frozen=True)
class Nothing:
    """Stands for the parameter of a test that has nothing to be run against, with the reason."""

    reason: str
    lines: str | None = None


@dataclass(frozen=True)
class Scope:
    """What a test is run against: the name of its parameter, and the values of it in a run."""

    name: str
    values: Callable[[Run], list[Any] | Nothing]


def on(scope: Scope) -> Callable[[F], F]:
    """Run a test against each value of a scope."""

    def mark(test: F) -> F:
        test.scope = scope  # type: ignore[attr-defined]
        return test

    return mark


def each_function(
    where: Callable[[Method], bool] = lambda method: True,
    *,
    otherwise: str = "the catalogue has no such function",
    harmless: bool = True,
    silent: bool = False,
    doubtful_first: bool = False,
) -> Callable[[F], F]:
    """Run a test against each function of the catalogue that it applies to.

    With `harmless` the test calls the function for real, so functions are left out that this run must not call: those
    that write, in a read-only run, and those that delete objects which the run has not created. A `silent` test reports
    nothing where no function fits: other tests judge its rules, too. `doubtful_first` begins with the functions that
    failed lately or are new, so that a test with little time reaches them.
    """

    def values(run: Run) -> list[Any] | Nothing:
        if run.catalog.is_implicit:
            return Nothing("there is no catalogue of the target's functions", LINES["catalog"])
        fitting = [method for method in run.catalog.methods.values() if where(method)]
        if not fitting:
            return Nothing(otherwise)
        if not harmless:
            return fitting
        allowed = [method for method in fitting if run.resources.harmless(method)]
        if not allowed:
            if run.options.read_only:
                return Nothing("left out by --read-only")
            if not run.writable:
                return Nothing("only a test environment is written to", LINES["test"])
            return Nothing("the functions that it applies to act on objects that the run has not created")
        return sorted(allowed, key=lambda method: method.name not in run.first) if doubtful_first else allowed

    def reported(run: Run) -> list[Any] | Nothing:
        found = values(run)
        return [] if silent and isinstance(found, Nothing) else found

    return on(Scope("function", reported))


def each_endpoint() -> Callable[[F], F]:
    """Run a test against each endpoint of the catalogue; without a catalogue, against one that the target shows."""

    def values(run: Run) -> list[Any] | Nothing:
        return sorted({method.entity for method in run.catalog.methods.values()}) or [""]

    return on(Scope("endpoint", values))


def each_kind(where: Callable[[Run, str], bool], *, otherwise: str) -> Callable[[F], F]:
    """Run a test against each kind of object of the catalogue."""

    def values(run: Run) -> list[Any] | Nothing:
        if run.catalog.is_implicit:
            return Nothing("there is no catalogue of the target's functions", LINES["catalog"])
        kinds = [kind for kind in run.catalog.kinds if where(run, kind)]
        return kinds or Nothing(otherwise)

    return on(Scope("kind", values))


def each_user() -> Callable[[F], F]:
    """Run a test against each user of the profile."""

    def values(run: Run) -> list[Any] | Nothing:
        if run.profile.auth.login is None:
            return Nothing("the profile does not say how to sign in", LINES["login"])
        return list(run.profile.users) or Nothing("the profile has no users", LINES["user"])

    return on(Scope("user", values))
