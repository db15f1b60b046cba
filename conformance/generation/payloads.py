"""Generated payloads: data that a schema allows, at its edges or anywhere, and data that violates it in one way.

Schemas are JSON Schema 2020-12 in the dialect of the rulebook (the paragraph after DAT-9), compiled once to strategies
of Hypothesis. Whatever is drawn is validated as its receiver reads it. `draw` and `smallest` use Hypothesis without a
test around it. `unsupported` lists by name what cannot be generated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis.strategies import SearchStrategy

from conformance.generation.any_json import any_json
from conformance.generation.builders.builders import Bind, Refs
from conformance.generation.case import Case, Resolve
from conformance.generation.compiled import InvalidData, Spec, clear_cache, compiled
from conformance.generation.drawing import draw, smallest
from conformance.generation.errors import CannotGenerate
from conformance.generation.insertions import Insertion, insertions
from conformance.generation.patterns import settled
from conformance.generation.special_values import (
    INJECTIONS,
    NUMBERS,
    OPERATORS,
    TEXTS,
    Injection,
    Literal,
    Number,
    Text,
    encode,
)
from conformance.generation.unsupported import unknown_texts, unsupported
from conformance.generation.unusual_values import unusual_features
from conformance.generation.violations import Violation

__all__ = [
    "INJECTIONS",
    "NUMBERS",
    "OPERATORS",
    "TEXTS",
    "Bind",
    "CannotGenerate",
    "Case",
    "Injection",
    "Insertion",
    "InvalidData",
    "Literal",
    "Number",
    "Refs",
    "Resolve",
    "Spec",
    "Text",
    "Violation",
    "any_json",
    "boundaries",
    "clear_cache",
    "draw",
    "encode",
    "insertions",
    "invalid_data",
    "settled",
    "smallest",
    "unknown_texts",
    "unsupported",
    "unusual_features",
    "valid",
    "violations",
]


def valid(
    spec: Spec, refs: Refs | None = None, *, bind: Bind | None = None, unusual: bool = True
) -> SearchStrategy[Any]:
    """Return the strategy of valid data of a function, or of a schema's valid values.

    Places marked x-ref get what `refs(kind)` draws, as far as the schema allows it; without `refs`, identifiers are
    made up by their schema. Where `refs` draws placeholders, `bind` turns a whole value into what is sent, and that is
    validated. `unusual=False` limits texts to ordinary words. Undeclared members of `data` are not built, because no
    rule says what becomes of them.

    Raises:
        CannotGenerate: there is no value; it names the keyword.

    """
    return compiled(spec, refs, bind, unusual).valid()


def boundaries(spec: Spec) -> tuple[Case, ...]:
    """Return the deterministic cases: each keyword of each parameter at its edges, from within and from without.

    First the simplest valid data, then all valid cases, then all violations, place by place in the order of the
    schema. Each is proven: its data was built and validated.
    """
    return compiled(spec).cases()


def violations(spec: Spec) -> dict[str, Violation]:
    """Return the violations of a schema by their kind, as `invalid_data` and `boundaries` name it.

    At any depth, each proven. An identifier (x-ref) violates its schema as any other value does, never by being the
    identifier of another object.
    """
    return {violation.kind: violation for violation in compiled(spec).violations()}


def invalid_data(
    spec: Spec,
    refs: Refs | None = None,
    *,
    bind: Bind | None = None,
    unusual: bool = True,
    only: Callable[[Violation], bool] | None = None,
) -> SearchStrategy[InvalidData]:
    """Return the strategy of data with one violation; all kinds are equally frequent.

    The rest of the data is as `valid` builds it. Whether it is invalid is decided by the JSON that is sent. `only`
    chooses among the violations.

    Raises:
        CannotGenerate: there is no violation.

    """
    return compiled(spec, refs, bind, unusual).invalid_data(only)
