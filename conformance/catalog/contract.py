"""What the catalogue promises of one function's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Contract"]


@dataclass(frozen=True, slots=True)
class Contract:
    """What the catalogue promises of one function's answer, as far as a pure rule needs it.

    `result_types` are the JSON types that `data` of a success may have (None: any; ENV-7); `mismatch` says in
    one line where `data` departs from the result schema (ENV-10), or None; `names` yields (JSON pointer,
    member name) for each member of `data` that is not a key of a declared map (NAM-1).
    """

    function: str
    result_types: frozenset[str] | None = frozenset({"object"})
    mismatch: Callable[[Any], str | None] | None = None
    names: Callable[[Any], Iterator[tuple[str, str]]] | None = None
