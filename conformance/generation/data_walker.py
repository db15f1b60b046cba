"""The values of given data with the place of the schema that each stands in, and copies with one value replaced."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.generation.compiled import Spec, compiled
from conformance.generation.insertion_points import Place
from conformance.schema.bundle import Json

__all__ = ["LocatedValue", "located_values", "removed", "replaced"]

#: A way through data: names of members and indices of items.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class LocatedValue:
    """A value in data: the path to it, and the place of the schema that describes it."""

    path: Path
    value: Json
    place: Place

    @property
    def parameter(self) -> str:
        """The argument that the value belongs to."""
        return str(self.path[0])


def located_values(spec: Spec, data: Json) -> Iterator[LocatedValue]:
    """Yield the values of data that the schema describes, at every depth, those nearest to the top first.

    Of an array without a fixed order of types only the first item is visited, and of a map only the first member: the
    others stand in the same place.
    """
    places = {place.pointer: place for place in compiled(spec).places}
    queue: list[tuple[Path, str, Json]] = [((), "", data)]
    while queue:
        path, pointer, value = queue.pop(0)
        if path:
            yield LocatedValue(path, value, places[pointer])
        seen: set[str] = set()
        for key, item in _children(value):
            child = _pointer(places, pointer, key)
            if child is not None and child not in seen:
                seen.add(child)
                queue.append(((*path, key), child, item))


def _children(value: Json) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _pointer(places: Mapping[str, Place], pointer: str, key: str | int) -> str | None:
    """Return the pointer of the place that a member or an item stands in; None where the schema declares none."""
    exact = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
    further = f"{pointer}/{'-' if isinstance(key, int) else '*'}"
    return exact if exact in places else further if further in places else None


def replaced(data: Json, path: Sequence[str | int], value: Json) -> Json:
    """Return a copy of data with another value at the end of a path."""
    whole = copy.deepcopy(data)
    container = whole
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = copy.deepcopy(value)
    return whole


def removed(data: Json, path: Sequence[str | int]) -> Json:
    """Return a copy of data without the member or the item at the end of a path."""
    whole = copy.deepcopy(data)
    container = whole
    for key in path[:-1]:
        container = container[key]
    del container[path[-1]]
    return whole
