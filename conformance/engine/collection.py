"""Collects the tests of the suites: which run for the wanted rules, in which order, and what their decorators say.

A check, pytest, the benchmarks and the project's own tests all collect here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from conformance.cases.format import Case
from conformance.catalog.model import Method
from conformance.engine.context import FURTHER, TestContext
from conformance.engine.early import EARLY
from conformance.engine.markers import Facts, Nothing, Scope, When
from conformance.engine.payload_budget import Share
from conformance.rulebook import own_rules

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = [
    "SUITES",
    "SuiteTest",
    "collect",
    "describe",
    "functions_of_suites",
    "may_judge",
    "shares_of",
    "values_of",
]

#: The modules of the suites, in the order of the areas. What may change a target until its restart comes last.
SUITES = (
    "test_cases",
    "test_http",
    "test_verbs",
    "test_request",
    "test_channels",
    "test_transport",
    "test_forms",
    "test_negotiation",
    "test_wire",
    "test_formats",
    "test_lenient_values",
    "test_envelope",
    "test_nothing_yet",
    "test_codes",
    "test_builtin_identifiers",
    "test_spellings",
    "test_authentication",
    "test_foreign_tokens",
    "test_sign_in",
    "test_intermediaries",
    "test_key_login",
    "test_access",
    "test_parents",
    "test_claims",
    "test_references",
    "test_filters",
    "test_collateral",
    "test_paging",
    "test_naming",
    "test_state",
    "test_changes",
    "test_apart",
    "test_server_members",
    "test_concurrency",
    "test_simultaneous",
    "test_security",
    "test_framing",
    "test_sequences",
    "test_data",
    "test_stored",
    "test_containers",
    "test_comes_back",
    "test_refused",
    "test_injected",
    "test_injected_together",
    "test_prototypes",
)


@dataclass(frozen=True, eq=False)
class SuiteTest:
    """A test function of the suites with one value of its parameter."""

    module: str
    function: Callable[..., None] = field(repr=False)
    facts: Facts
    #: The wanted rules that it judges.
    rules: tuple[str, ...]
    scope: Scope | None = None
    #: The value of the parameter, and its position among all values.
    value: Any = None
    position: int = 0
    #: Whether this is the second run of the test, for as long as there is time for generated payloads.
    further: bool = False

    @property
    def kind(self) -> str:
        """Return the name of the test function: tests of one kind differ in their parameter alone."""
        return self.function.__name__

    @property
    def name(self) -> str:
        """Return the name of the test, from which its random numbers are derived."""
        parameter = f"[{describe(self.value)}]" if self.scope is not None else ""
        return f"{self.module}.{self.kind}{parameter}{FURTHER * self.further}"

    @property
    def subject(self) -> str:
        """Return the id of what the test is run against."""
        return describe(self.value) if self.scope is not None else self.kind

    @property
    def disturbs_sessions(self) -> bool:
        """Return whether the test itself ends sessions."""
        return self.facts.disturbs_sessions

    @property
    def is_sheddable(self) -> bool:
        """Return whether the test may be left out on a slow target."""
        return self.facts.share is None and self.facts.when is When.IN_ORDER

    def body(self, ctx: TestContext) -> None:
        """Run the test, unless there is nothing to run it against."""
        if isinstance(self.value, Nothing):
            ctx.give_up(self.value.reason, self.value.lines)
        if isinstance(self.value, Method):
            ctx.subject = self.value.name
        ctx.put_to = self.value
        if self.scope is None:
            self.function(ctx)
            return
        ctx.scope = self.scope.values
        self.function(ctx, **{self.scope.name: self.value})


def collect(run: Run, wanted: frozenset[str]) -> list[SuiteTest]:
    """Return the tests that judge any of the wanted rules, in the order in which they run.

    The tests that find most per request come first, then the others in the order of the suites. A rule that every
    exchange is checked against has tests of its own, too, which reach each function and each kind of answer. Where
    generated payloads have enough time, their tests follow a second time.
    """
    found = list(_tests(run, wanted))
    if run.payload_budget.sweeps:
        found += [replace(test, further=True) for test in found if test.facts.share is not None]
    ranks = {name: rank for rank, name in enumerate(EARLY)}
    return sorted(
        found,
        key=lambda test: (test.facts.when, test.further, ranks.get(f"{test.module}.{test.kind}", len(EARLY))),
    )


def functions_of_suites() -> Iterator[tuple[str, Callable[..., None], Facts]]:
    """Yield each test function of the suites with the name of its module and its facts."""
    for module_name in SUITES:
        for name, function in vars(importlib.import_module(f"conformance.suites.{module_name}")).items():
            facts = Facts.of(function) if name.startswith("test_") and callable(function) else None
            if facts is not None:
                yield module_name, function, facts


def may_judge(facts: Facts, wanted: frozenset[str]) -> bool:
    """Return whether a test function judges any of the wanted rules, with some value of its parameter."""
    rules = _with_own_rules(facts).rules
    return not rules or not wanted.isdisjoint(rules)


def _with_own_rules(facts: Facts) -> Facts:
    return replace(facts, rules=(*facts.rules, *own_rules.checked())) if facts.and_own else facts


def _tests(run: Run, wanted: frozenset[str]) -> Iterator[SuiteTest]:
    for module_name, function, facts in functions_of_suites():
        facts = _with_own_rules(facts)
        if not may_judge(facts, wanted):
            continue
        scope: Scope | None = getattr(function, "scope", None)
        for position, value in enumerate(values_of(run, scope) if scope else [None]):
            judged = tuple(rule for rule in _rules(facts, value) if rule in wanted)
            if judged:
                yield SuiteTest(module_name, function, facts, judged, scope, value, position)


def _rules(facts: Facts, value: Any) -> tuple[str, ...]:
    if facts.when is When.LAST:
        return (str(value),)
    return (value.rule,) if isinstance(value, Case) else facts.rules


def values_of(run: Run, scope: Scope) -> list[Any]:
    """Return the values of a scope in a run; a `Nothing` alone where there are none and a reason for it."""
    found = scope.values(run)
    return found if isinstance(found, list) else [found]


def describe(value: object) -> str:
    """Return the id under which pytest lists a parameter."""
    if isinstance(value, Nothing):
        return "nothing"
    return str(getattr(value, "name", value)) or "any"


def shares_of(tests: Iterable[SuiteTest]) -> dict[str, Share]:
    """Return the share of the generated payloads that each kind of these tests has."""
    return {test.kind: test.facts.share for test in tests if test.facts.share is not None}
