"""Contracts: the promises of the catalogue about the result of a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

__all__ = ["Contract"]


@dataclass(frozen=True, slots=True)
class Contract:
    """The promises of the catalogue about the result of one function, as far as the pure rules need them.

    `result_types` are the JSON types that `data` of a success may have (None: any; ENV-7). `mismatch` returns one line
    about the first difference between `data` and the result schema, or None (ENV-10). `names` yields (JSON pointer,
    member name) for each member of `data` that is not a key of a declared map (NAM-1); it may leave out objects whose
    names are all in the given set.
    """

    function: str
    result_types: frozenset[str] | None = frozenset({"object"})
    mismatch: Callable[[Any], str | None] | None = None
    names: Callable[[Any, AbstractSet[str]], Iterator[tuple[str, str]]] | None = None
