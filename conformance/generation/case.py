"""A generated case: data that is valid at an edge of its schema, or violates the schema in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from conformance.generation.builders import BuildValue, first_accepted
from conformance.generation.errors import CannotGenerate
from conformance.generation.special_values import received
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

__all__ = ["Case", "Resolve", "proven"]

SomeCase = TypeVar("SomeCase", bound="Case")

#: Returns one identifier of a kind.
Resolve: TypeAlias = Callable[[str], Json]

_PROOF_ATTEMPTS = 8


@dataclass(frozen=True)
class Case:
    """One edge of a function's data, from within (`valid`) or from without.

    `kind` names it ("level.min: is 0") and is the same in every run; `rule` is DAT-1, REQ-7, REQ-8 or REQ-9;
    `pointer` leads to the place, with `*` for any key and `-` for any item; `parameter` is the argument.
    """

    rule: str
    kind: str
    keyword: str
    pointer: str
    parameter: str
    schema: Schema = field(repr=False, compare=False)
    #: Builds the whole data.
    build_data: BuildValue = field(repr=False, compare=False)

    @property
    def valid(self) -> bool:
        """Whether the data is valid."""
        return self.rule == "DAT-1"

    def accepts(self, data: Json) -> bool:
        """Return whether data is valid or invalid as the case says, as its receiver reads it."""
        return self.schema.valid(received(data)) is self.valid

    def build(self, resolve: Resolve | None = None) -> Json:
        """Return the data, always the same; identifiers come from `resolve`, else are made up by their schema.

        Raises:
            CannotGenerate: with these identifiers, no data is valid or invalid as the case says.

        """
        return first_accepted(self.build_data, self.accepts, resolve)


def proven(cases: Iterator[SomeCase]) -> Iterator[SomeCase]:
    """Yield the cases whose data can be built, the first of each kind."""
    seen: set[str] = set()
    for case in cases:
        if case.kind in seen:
            continue
        try:
            first_accepted(case.build_data, case.accepts, None, _PROOF_ATTEMPTS)
        except (CannotGenerate, RecursionError):
            continue
        seen.add(case.kind)
        yield case
