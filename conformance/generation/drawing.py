"""Strategies of Hypothesis made of builders, and drawing from them without a test around it.

Choosing directly costs a quarter of drawing from a strategy, so builders choose directly. This module, `choices` and
`hypothesis_provider` alone use internals of Hypothesis. Where these are not as expected, its public strategies are
used, which is slower.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.errors import Flaky, InvalidArgument, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from conformance.generation.choices import Choices, DirectChoices, StrategyChoices
from conformance.generation.errors import CannotGenerate

__all__ = ["draw", "smallest", "strategy_of"]

T = TypeVar("T")


class _Built(SearchStrategy[Any]):
    def __init__(self, build: Callable[[Choices], Any], name: str) -> None:
        super().__init__()
        self._build = build
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def do_draw(self, data: Any) -> Any:
        return self._build(DirectChoices(data))


def _composite(build: Callable[[Choices], Any]) -> SearchStrategy[Any]:
    @st.composite
    def whole(draw: Any) -> Any:
        return build(StrategyChoices(draw))

    return whole()


def strategy_of(build: Callable[[Choices], T], name: str = "payload") -> SearchStrategy[T]:
    """Return the strategy of what a builder builds; `name` is its representation."""
    return _Built(build, name) if _direct() else _composite(build)


@cache
def _direct() -> bool:
    """Return whether Hypothesis lets builders choose directly."""
    try:
        return bool(_run(_Built(_probe, "probe"), 0, 3, "hypothesis"))
    except Exception:
        return False


def _probe(choices: Choices) -> int:
    choices.begin()
    found = choices.index(3) + choices.integer(5, 9, 7)
    choices.end(discard=True)
    return found + int(choices.draw(st.just(1), lambda rng: 1))


@cache
def _backend() -> str:
    """Return the name of the provider of choices: the project's own where Hypothesis supports it."""
    try:
        from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS

        from conformance.generation import hypothesis_provider

        AVAILABLE_PROVIDERS["conform"] = f"{hypothesis_provider.__name__}.EvenProvider"
        return "conform" if len(_run(st.integers(0, 9), 0, 3, "conform")) == 3 else "hypothesis"
    except Exception:
        return "hypothesis"


def _settings(count: int, backend: str, *phases: Phase) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        backend=backend,
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )


def _run(strategy: SearchStrategy[T], seed: int, count: int, backend: str) -> list[T]:
    found: list[T] = []

    @hypothesis.seed(seed)
    @_settings(count, backend, Phase.generate)
    @hypothesis.given(strategy)
    def take(value: T) -> None:
        found.append(value)

    take()
    return found


def draw(strategy: SearchStrategy[T], seed: int, count: int) -> list[T]:
    """Return `count` values, the same for the same seed; fewer when most attempts are rejected.

    Raises:
        CannotGenerate: there is no value at all.

    """
    if count <= 0:
        return []
    try:
        return _run(strategy, seed, count, _backend())
    except (Unsatisfiable, InvalidArgument) as why:
        raise CannotGenerate("schema", str(why).partition("\n")[0]) from None


class _BudgetSpentError(BaseException):
    """The calls or the seconds of a search are spent."""


class _PredicateHoldsError(Exception):
    """The predicate holds. Hypothesis takes this for a failure, and shrinks the value."""


def _size(value: Any) -> tuple[int, str]:
    try:
        text = json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return len(text), text


def smallest(
    strategy: SearchStrategy[T], predicate: Callable[[T], bool], seed: int, budget_calls: int, seconds: float
) -> T | None:
    """Return the smallest value found for which the predicate holds, or None.

    The predicate is called at most `budget_calls` times, and not after `seconds`. Its exceptions propagate.
    A predicate that holds only sometimes counts as holding.
    """
    best: list[tuple[tuple[int, str], T]] = []
    raised: list[Exception] = []
    until = time.monotonic() + seconds
    calls = 0

    @hypothesis.seed(seed)
    @_settings(max(1, budget_calls), _backend(), Phase.generate, Phase.shrink)
    @hypothesis.given(strategy)
    def look(value: T) -> None:
        nonlocal calls
        if calls >= budget_calls or time.monotonic() >= until:
            raise _BudgetSpentError
        calls += 1
        size = _size(value)
        try:
            holds = predicate(value)
        except Exception as error:
            raised.append(error)
            raise _BudgetSpentError from None
        if holds:
            if not best or size <= best[0][0]:
                best[:] = [(size, value)]
            raise _PredicateHoldsError

    try:
        look()
    except (_BudgetSpentError, _PredicateHoldsError, Flaky, Unsatisfiable):
        pass
    except BaseExceptionGroup as group:
        # Hypothesis wraps a failure that it saw only once.
        if group.split((_PredicateHoldsError, Flaky))[1] is not None:
            raise
    if raised:
        raise raised[0]
    return best[0][1] if best else None
