"""The words in which the suites are written: which rules a conversation judges, and what it is put to."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from conformance.catalog.model import Method
from conformance.engine.context import FURTHER, TestContext
from conformance.engine.not_judged import LINES
from conformance.engine.payload_budget import SHARES
from conformance.engine.runner import Run

__all__ = [
    "Nothing",
    "Scope",
    "disturbs_sessions",
    "each_endpoint",
    "each_function",
    "each_kind",
    "each_user",
    "judges",
    "on",
]

#: The suites, one for each area of the rulebook, in its order.
SUITES = (
    "test_http",
    "test_request",
    "test_channels",
    "test_transport",
    "test_formats",
    "test_envelope",
    "test_nothing_yet",
    "test_codes",
    "test_authentication",
    "test_key_login",
    "test_access",
    "test_claims",
    "test_references",
    "test_collateral",
    "test_paging",
    "test_naming",
    "test_state",
    "test_changes",
    "test_concurrency",
    "test_security",
    "test_framing",
    "test_sequences",
    "test_data",
    "test_stored",
    "test_containers",
    "test_refused",
    "test_injected",
)

F = TypeVar("F", bound=Callable[..., Any])


def judges(*rules: str) -> pytest.MarkDecorator:
    """Say which rules of the rulebook a conversation judges."""
    return pytest.mark.judges(*rules)


#: The conversation ends sessions, so that lost ones afterwards are its own doing.
disturbs_sessions = pytest.mark.disturbs_sessions


@dataclass(frozen=True)
class Nothing:
    """Stands for the parameter of a conversation that has nothing to be put to."""

    reason: str
    lines: str | None = None


@dataclass(frozen=True)
class Scope:
    """What a conversation is put to: a parameter's name, and its values in a run."""

    name: str
    values: Callable[[Run], list[Any] | Nothing]


def on(scope: Scope) -> Callable[[F], F]:
    """Put a conversation to each value of a scope."""

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
    """Put a conversation to each function of the catalogue that it applies to.

    With `harmless` the conversation lets the function run, so functions are left out that the run must not let run
    (what writes, in a read-only run; what deletes something that the run has not made). A `silent` conversation says
    nothing where it has nothing to be put to: its rules are judged elsewhere, too. `doubtful_first` puts those
    functions first that failed lately or are new, so that a conversation whose time is short does not end before them.
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
            return Nothing("the functions that it applies to act on what the run has not made")
        return sorted(allowed, key=lambda method: method.name not in run.first) if doubtful_first else allowed

    def heard(run: Run) -> list[Any] | Nothing:
        found = values(run)
        return [] if silent and isinstance(found, Nothing) else found

    return on(Scope("function", heard))


def each_endpoint() -> Callable[[F], F]:
    """Put a conversation to each endpoint of the catalogue; without one, to whichever the target shows to have."""

    def values(run: Run) -> list[Any] | Nothing:
        return sorted({method.entity for method in run.catalog.methods.values()}) or [""]

    return on(Scope("endpoint", values))


def each_kind(where: Callable[[Run, str], bool], *, otherwise: str) -> Callable[[F], F]:
    """Put a conversation to each kind of object of the catalogue."""

    def values(run: Run) -> list[Any] | Nothing:
        if run.catalog.is_implicit:
            return Nothing("there is no catalogue of the target's functions", LINES["catalog"])
        kinds = [kind for kind in run.catalog.kinds if where(run, kind)]
        return kinds or Nothing(otherwise)

    return on(Scope("kind", values))


def each_user() -> Callable[[F], F]:
    """Put a conversation to each user of the profile."""

    def values(run: Run) -> list[Any] | Nothing:
        if run.profile.auth.login is None:
            return Nothing("the profile does not say how to sign in", LINES["login"])
        return list(run.profile.users) or Nothing("the profile has no users", LINES["user"])

    return on(Scope("user", values))


@dataclass(frozen=True)
class SuiteTest:
    """A conversation of the suites with what it is put to, as pytest would collect it."""

    name: str
    rules: tuple[str, ...]
    disturbs: bool
    body: Callable[[TestContext], None]


def suite_tests(run: Run, rules: frozenset[str]) -> Iterator[SuiteTest]:
    """Yield the conversations that judge any of the rules, in the order of the suites, without pytest."""
    further = []
    for each in _once(run, rules):
        yield each
        if run.payload_budget.sweeps and each.name.partition(".")[2].partition("[")[0] in SHARES:
            further.append(replace(each, name=each.name + FURTHER))
    yield from further


def _once(run: Run, rules: frozenset[str]) -> Iterator[SuiteTest]:
    for module_name in SUITES:
        module = importlib.import_module(f"conformance.suites.{module_name}")
        for name, test in vars(module).items():
            if not name.startswith("test_") or name == "test_every_exchange" or not callable(test):
                continue
            marks = {mark.name: mark for mark in getattr(test, "pytestmark", [])}
            if "judges" not in marks or not rules & set(marks["judges"].args):
                continue
            scope: Scope | None = getattr(test, "scope", None)
            found = scope.values(run) if scope else None
            for value in found if isinstance(found, list) else [found]:
                parameters = {scope.name: value} if scope else {}
                yield SuiteTest(
                    f"{module_name}.{name}[{describe(value)}]" if scope else f"{module_name}.{name}",
                    tuple(rule for rule in marks["judges"].args if rule in rules),
                    "disturbs_sessions" in marks,
                    functools.partial(hold, test=test, parameters=parameters),
                )


def describe(value: object) -> str:
    """Return the id under which pytest lists a parameter."""
    if isinstance(value, Nothing):
        return "nothing"
    return str(getattr(value, "name", value)) or "any"


def hold(ctx: TestContext, test: Callable[..., None], parameters: dict[str, Any]) -> None:
    """Hold a conversation, unless there is nothing to put it to."""
    for value in parameters.values():
        if isinstance(value, Nothing):
            ctx.give_up(value.reason, value.lines)
        if isinstance(value, Method):
            ctx.subject = value.name
        ctx.put_to = value
    scope: Scope | None = getattr(test, "scope", None)
    if scope is not None:
        ctx.scope = scope.values
    test(ctx, **parameters)
