"""Sources of the choices that builders make: Hypothesis, a seeded random generator, or the simplest choice each time.

A builder is a function that takes `Choices` and returns a value. It takes its decisions from them alone, so one builder
serves Hypothesis, which searches and shrinks, real calls, which need ordinary values, and proofs that a value exists.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol, TypeAlias, TypeVar

import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.generation.errors import CannotGenerate
from conformance.schema.bundle import Json

__all__ = [
    "Choices",
    "DirectChoices",
    "MinimalChoices",
    "OptionalMembers",
    "Ordinary",
    "RandomChoices",
    "StrategyChoices",
]

T = TypeVar("T")

#: Which optional members an object has.
OptionalMembers: TypeAlias = Literal["none", "all", "some"]

#: Marks spans of choices that builders may discard, for Hypothesis.
_SPAN_LABEL = 0x636F6E66


@dataclass(frozen=True)
class Ordinary:
    """Asks builders for ordinary values: readable texts, small numbers, few items.

    `fresh` returns a tag such as "conform-1a2b-17"; texts contain it, so that objects of the run are recognized.
    """

    rng: random.Random
    fresh: Callable[[], str]
    optional: OptionalMembers = "none"

    @property
    def varied(self) -> bool:
        """Whether null counts as a value like any other."""
        return self.optional == "some"


class Choices(Protocol):
    """A source of choices. The choice 0, or the one nearest to `towards`, is the simplest."""

    #: Set where ordinary values are asked for, None where builders explore all values.
    ordinary: Ordinary | None

    def index(self, count: int) -> int:
        """Return one of 0 … count - 1."""

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return an integer within bounds."""

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        """Return a value of a strategy, or the plain value where Hypothesis does not choose."""

    def identify(self, kind: str, strategy: SearchStrategy[Json] | None, build: Callable[[], Json]) -> Json:
        """Return the identifier of an object of a kind; `build` makes one up by its schema."""

    def begin(self) -> None:
        """Begin a part that may be discarded as a whole."""

    def end(self, discard: bool = False) -> None:
        """End the part; `discard` says that its value is not used."""

    def reject(self, keyword: str = "schema", why: str = "") -> NoReturn:
        """Give up the whole value."""


class DirectChoices:
    """Choices taken directly from a test case of Hypothesis."""

    __slots__ = ("_data",)

    ordinary: Ordinary | None = None

    def __init__(self, data: Any) -> None:
        """Take choices from `data`, a test case of Hypothesis."""
        self._data = data

    def index(self, count: int) -> int:
        """Return one of 0 … count - 1."""
        return self._data.draw_integer(0, count - 1) if count > 1 else 0

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return an integer within bounds."""
        if low >= high:
            return low
        nearest = min(max(towards, low), high)
        return self._data.draw_integer(low, high, shrink_towards=nearest)  # type: ignore[no-any-return]

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        """Return a value of the strategy."""
        return self._data.draw(strategy)  # type: ignore[no-any-return]

    def identify(self, kind: str, strategy: SearchStrategy[Json] | None, build: Callable[[], Json]) -> Json:
        """Return an identifier from the strategy."""
        return build() if strategy is None else self._data.draw(strategy)

    def begin(self) -> None:
        """Begin a span of Hypothesis."""
        self._data.start_span(_SPAN_LABEL)

    def end(self, discard: bool = False) -> None:
        """End the span."""
        self._data.stop_span(discard=discard)

    def reject(self, keyword: str = "schema", why: str = "") -> NoReturn:
        """Give up the test case."""
        self._data.mark_invalid()
        raise AssertionError


class StrategyChoices:
    """Choices drawn from public strategies of Hypothesis."""

    ordinary: Ordinary | None = None

    def __init__(self, draw: Callable[[SearchStrategy[Any]], Any]) -> None:
        """Draw with the function that `hypothesis.strategies.composite` gives."""
        self._draw = draw

    def index(self, count: int) -> int:
        """Return one of 0 … count - 1."""
        return self.integer(0, count - 1)

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return an integer within bounds."""
        if low >= high:
            return low
        nearest = min(max(towards, low), high)
        return nearest + int(self._draw(st.integers(low - nearest, high - nearest)))

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        """Return a value of the strategy."""
        return self._draw(strategy)  # type: ignore[no-any-return]

    def identify(self, kind: str, strategy: SearchStrategy[Json] | None, build: Callable[[], Json]) -> Json:
        """Return an identifier from the strategy."""
        return build() if strategy is None else self._draw(strategy)

    def begin(self) -> None:
        """Do nothing: strategies mark their own spans."""

    def end(self, discard: bool = False) -> None:
        """Do nothing."""

    def reject(self, keyword: str = "schema", why: str = "") -> NoReturn:
        """Give up the test case."""
        hypothesis.reject()


class _Offline:
    """What the choices without Hypothesis have in common."""

    rng: random.Random
    resolve: Callable[[str], Json] | None

    def draw(self, strategy: SearchStrategy[T], plain: Callable[[random.Random], T]) -> T:
        """Return the plain value."""
        return plain(self.rng)

    def identify(self, kind: str, strategy: SearchStrategy[Json] | None, build: Callable[[], Json]) -> Json:
        """Return the identifier that `resolve` gives."""
        return build() if self.resolve is None else self.resolve(kind)

    def begin(self) -> None:
        """Do nothing."""

    def end(self, discard: bool = False) -> None:
        """Do nothing."""

    def reject(self, keyword: str = "schema", why: str = "no value was found that it lets pass") -> NoReturn:
        """Raise CannotGenerate."""
        raise CannotGenerate(keyword, why)


class RandomChoices(_Offline):
    """Choices of a seeded random generator, for ordinary values."""

    def __init__(self, ordinary: Ordinary, resolve: Callable[[str], Json] | None = None) -> None:
        """Take identifiers from `resolve`; without it, make them up by their schema."""
        self.ordinary: Ordinary | None = ordinary
        self.rng = ordinary.rng
        self.resolve = resolve

    def index(self, count: int) -> int:
        """Return one of 0 … count - 1, each as often as the others."""
        return self.rng.randrange(count) if count > 1 else 0

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return an integer within bounds, each as often as the others."""
        return self.rng.randint(low, high) if low < high else low


class MinimalChoices(_Offline):
    """The simplest choice each time; with a seed, or after a discarded part, other choices, always the same."""

    ordinary: Ordinary | None = None

    def __init__(self, seed: int = 0, resolve: Callable[[str], Json] | None = None) -> None:
        """Take identifiers from `resolve`; without it, make them up by their schema."""
        self.rng = random.Random(seed)
        self.varied = seed > 0
        self.resolve = resolve

    def index(self, count: int) -> int:
        """Return 0, or any index where the choices are varied."""
        return self.rng.randrange(count) if self.varied and count > 1 else 0

    def integer(self, low: int, high: int, towards: int = 0) -> int:
        """Return the integer nearest to `towards`, or one near it where the choices are varied."""
        if low >= high:
            return low
        nearest = min(max(towards, low), high)
        if not self.varied:
            return nearest
        return self.rng.randint(max(low, nearest - 1000), min(high, nearest + 1000))

    def end(self, discard: bool = False) -> None:
        """Vary the choices once a part was discarded: the simplest ones led nowhere."""
        self.varied = self.varied or discard
