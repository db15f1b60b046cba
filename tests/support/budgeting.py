"""Budgets of generated payloads with the shares of the suites."""

from __future__ import annotations

from collections.abc import Callable

from conformance.engine.collection import functions_of_suites
from conformance.engine.payload_budget import PayloadBudget

#: The share of each test function that generates payloads.
SHARES = {
    function.__name__: facts.share for _, function, facts in functions_of_suites() if facts.share is not None
}


def budget_of(
    budget: str, seconds: float | None = None, *names: str, clock: Callable[[], float] = lambda: 0.0
) -> PayloadBudget:
    """Return the budget of a run of these test functions, or of all that generate payloads."""
    return PayloadBudget(budget, seconds, clock, {name: SHARES[name] for name in names or SHARES})
