"""The values at the edges of each place of a function's data, for the grid of what has to come back."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.catalog.model import Method
from conformance.generation.case import Case, Resolve
from conformance.generation.errors import CannotGenerate
from conformance.generation.payloads import boundaries
from conformance.schema.bundle import Json

__all__ = ["edge_values"]

#: Keywords whose edges are not values of one place: which members an object has is tested apart.
_OF_MEMBERS = frozenset(
    {
        "required",
        "dependentRequired",
        "patternProperties",
        "additionalProperties",
        "propertyNames",
        "contains",
    }
)

#: Characters of the longest text.
_MAX_TEXT = 140_000


def edge_values(method: Method, resolve: Resolve) -> dict[str, Sequence[tuple[str, Json]]]:
    """Return (keyword, value) at the edges of each place, by its pointer; one of each keyword comes first."""
    found: dict[str, dict[str, list[Json]]] = {}
    for case in boundaries(method):
        if not _is_telling(case) or len(found.get(case.pointer, {}).get(case.keyword, ())) >= _most(case):
            continue
        try:
            value = _at(case.build(resolve), case.pointer.split("/")[1:])
        except (CannotGenerate, LookupError, TypeError):
            continue
        if not isinstance(value, str) or len(value) <= _MAX_TEXT:
            found.setdefault(case.pointer, {}).setdefault(case.keyword, []).append(value)
    return {pointer: _in_turn(keywords) for pointer, keywords in found.items()}


def _is_telling(case: Case) -> bool:
    if not case.valid or not case.pointer or case.keyword in _OF_MEMBERS:
        return False
    return case.keyword != "properties" or "optional" in case.kind


def _most(case: Case) -> int:
    """Return how many edges of a keyword are taken: of a length the exact one, and those of other characters."""
    if case.keyword in ("minLength", "minItems", "maxItems"):
        return 1
    if case.keyword == "maxLength" and not ("astral" in case.kind or "bytes" in case.kind):
        return 1
    return 12


def _at(data: Json, steps: Sequence[str]) -> Json:
    """Return the value of data at a place: of any item the first, of any key the last that was made."""
    for step in steps:
        if isinstance(data, list):
            data = data[0 if step == "-" else int(step)]
        else:
            name = step.replace("~1", "/").replace("~0", "~")
            data = data[name] if name in data else data[next(reversed(data))]
    return data


def _in_turn(keywords: dict[str, list[Json]]) -> list[tuple[str, Json]]:
    most = max(map(len, keywords.values()))
    return [
        (keyword, values[number])
        for number in range(most)
        for keyword, values in keywords.items()
        if number < len(values)
    ]
