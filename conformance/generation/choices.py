"""Where generated data takes its choices from: Hypothesis, or a plain sequence that always begins the same.

A maker is a function that takes a `Source` and returns a value. `made` turns it into a strategy of
Hypothesis, so that what it makes is searched, replayed and shrunk like any other. One choice of Hypothesis
costs about a quarter of a draw from one of its strategies, so makers choose directly; this file and
`payloads_provider` alone touch what lies below Hypothesis' public face, and do without it (slower) where it
is not as expected.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn, Protocol, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.errors import Flaky, InvalidArgument, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from conformance.generation.samples import CannotGenerate
from conformance.schema.bundle import Json

__all__ = ["Fixed", "Source", "draw", "made", "smallest"]

T = TypeVar("T")
_LABEL = 0x636F6E66


class Source(Protocol):
    """What makers choose from. The choice 0, or the one nearest to `towards`, is the simplest."""

    def index(self, count: int) -> int:
        """Return one of 0 … count - 1."""

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return an integer within bounds."""

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        """Return a value of a strategy, or the plain one where Hypothesis is not at hand."""

    def identify(
        self, kind: str, strategy: SearchStrategy[Json] | None, otherwise: Callable[[], Json]
    ) -> Json:
        """Return the identifier of an object of a kind, or what is made up otherwise."""

    def begin(self) -> None:
        """Begin a part that stands or falls as one."""

    def end(self, discard: bool = False) -> None:
        """End the part; `discard` says that it is thrown away."""

    def reject(self) -> NoReturn:
        """Give the whole value up."""


class _Chosen:
    """Choices of one test case, taken straight from it."""

    __slots__ = ("_data",)

    def __init__(self, data: Any) -> None:
        self._data = data

    def index(self, count: int) -> int:
        return self._data.draw_integer(0, count - 1) if count > 1 else 0

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        if low >= high:
            return low
        nearest = min(max(towards, low), high)
        return self._data.draw_integer(low, high, shrink_towards=nearest)  # type: ignore[no-any-return]

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        return self._data.draw(strategy)  # type: ignore[no-any-return]

    def identify(
        self, kind: str, strategy: SearchStrategy[Json] | None, otherwise: Callable[[], Json]
    ) -> Json:
        return otherwise() if strategy is None else self._data.draw(strategy)

    def begin(self) -> None:
        self._data.start_span(_LABEL)

    def end(self, discard: bool = False) -> None:
        self._data.stop_span(discard=discard)

    def reject(self) -> NoReturn:
        self._data.mark_invalid()
        raise AssertionError


class _Drawn:
    """Choices by Hypothesis' public strategies alone."""

    def __init__(self, draw: Callable[[SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def index(self, count: int) -> int:
        return self.integer(0, count - 1)

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        if low >= high:
            return low
        nearest = min(max(towards, low), high)
        return nearest + int(self._draw(st.integers(low - nearest, high - nearest)))

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        return self._draw(strategy)  # type: ignore[no-any-return]

    def identify(
        self, kind: str, strategy: SearchStrategy[Json] | None, otherwise: Callable[[], Json]
    ) -> Json:
        return otherwise() if strategy is None else self._draw(strategy)

    def begin(self) -> None:
        pass

    def end(self, discard: bool = False) -> None:
        pass

    def reject(self) -> NoReturn:
        hypothesis.reject()


class Fixed:
    """The simplest choice each time; others, always the same, once the simplest have led nowhere."""

    def __init__(self, seed: int = 0, resolve: Callable[[str], Json] | None = None) -> None:
        """Take identifiers from `resolve`; without it they are made up by their schema."""
        self.rng = random.Random(seed)
        self.loose = seed > 0
        self.resolve = resolve

    def index(self, count: int) -> int:
        """Return 0, or any."""
        return self.rng.randrange(count) if self.loose and count > 1 else 0

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return what is nearest to `towards`, or something near it."""
        if low >= high:
            return low
        nearest = min(max(towards, low), high)
        if not self.loose:
            return nearest
        return self.rng.randint(max(low, nearest - 1000), min(high, nearest + 1000))

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        """Return the plain value."""
        return plain(self.rng)

    def identify(
        self, kind: str, strategy: SearchStrategy[Json] | None, otherwise: Callable[[], Json]
    ) -> Json:
        """Return what `resolve` gives."""
        return otherwise() if self.resolve is None else self.resolve(kind)

    def begin(self) -> None:
        """Begin a part."""

    def end(self, discard: bool = False) -> None:
        """End it; once one is thrown away, choices are no longer the simplest."""
        self.loose = self.loose or discard

    def reject(self) -> NoReturn:
        """Give up."""
        raise CannotGenerate("schema", "no value was found that it lets pass")


class _Made(SearchStrategy[Any]):
    def __init__(self, make: Callable[[Source], Any], told: str) -> None:
        super().__init__()
        self._make = make
        self._told = told

    def __repr__(self) -> str:
        return self._told

    def do_draw(self, data: Any) -> Any:
        return self._make(_Chosen(data))


def _drawn(make: Callable[[Source], Any]) -> SearchStrategy[Any]:
    @st.composite
    def whole(draw: Any) -> Any:
        return make(_Drawn(draw))

    return whole()


def _probe(source: Source) -> int:
    source.begin()
    found = source.index(3) + source.integer(5, 9, 7)
    source.end(discard=True)
    return found + int(source.draw(st.just(1), lambda rng: 1))


@cache
def _backend() -> str:
    """Return the name of the provider of choices: our own where Hypothesis is as expected."""
    try:
        from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS

        from conformance.generation import hypothesis_provider as payloads_provider

        AVAILABLE_PROVIDERS["conform"] = f"{payloads_provider.__name__}.Even"
        return "conform" if len(_run(st.integers(0, 9), 0, 3, "conform")) == 3 else "hypothesis"
    except Exception:
        return "hypothesis"


@cache
def _direct() -> bool:
    """Whether choices can be taken straight from a test case."""
    try:
        return bool(_run(_Made(_probe, "probe"), 0, 3, "hypothesis"))
    except Exception:
        return False


def made(make: Callable[[Source], T], told: str = "payload") -> SearchStrategy[T]:
    """Return the strategy that gives what a maker makes."""
    return _Made(make, told) if _direct() else _drawn(make)


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
    """Return `count` values (fewer when it rejects most of what it tries); the same for the same seed.

    Raises CannotGenerate when there is no value at all.
    """
    if count <= 0:
        return []
    try:
        return _run(strategy, seed, count, _backend())
    except (Unsatisfiable, InvalidArgument) as why:
        raise CannotGenerate("schema", str(why).partition("\n")[0]) from None


class _Enough(BaseException):
    """The budget is spent."""


class _Holds(Exception):  # noqa: N818
    """The predicate holds: what Hypothesis takes for a failure, and shrinks."""


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

    The predicate is called at most `budget_calls` times, and not after `seconds`. What it raises is raised.
    A predicate that holds now and then counts as holding.
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
            raise _Enough
        calls += 1
        size = _size(value)
        try:
            holds = predicate(value)
        except Exception as error:
            raised.append(error)
            raise _Enough from None
        if holds:
            if not best or size <= best[0][0]:
                best[:] = [(size, value)]
            raise _Holds

    try:
        look()
    except (_Enough, _Holds, Flaky, Unsatisfiable):
        pass
    except BaseExceptionGroup as group:
        # Hypothesis wraps what it saw only once.
        if group.split((_Holds, Flaky))[1] is not None:
            raise
    if raised:
        raise raised[0]
    return best[0][1] if best else None
