"""A provider of choices for Hypothesis that depends on the seed alone.

Hypothesis mixes in constants from the modules of the project that are loaded, so one seed would give other data in
another run. It also prefers small numbers, where each index ought to be chosen equally often.
"""

from __future__ import annotations

from typing import Any

from hypothesis.internal.conjecture.providers import HypothesisProvider

__all__ = ["EvenProvider"]

_MAX_EVEN_RANGE = 1 << 20


class EvenProvider(HypothesisProvider):
    """Hypothesis' own provider, without constants, and even over small ranges."""

    def _maybe_draw_constant(self, *args: Any, **options: Any) -> None:
        return None

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        """Return an integer; each of a small range equally often."""
        if weights is None and min_value is not None and max_value is not None:
            span = max_value - min_value + 1
            if span <= _MAX_EVEN_RANGE:
                assert self._random is not None
                return min_value + int(self._random.random() * span)
        return super().draw_integer(min_value, max_value, weights=weights, shrink_towards=shrink_towards)
