"""Counter-evidence: what refused calls say about arguments that differ from accepted ones in one way alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from conformance.learning.calls import Call, Json
from conformance.learning.statistics import ListStatistics, Node, NumberStatistics, ObjectStatistics
from conformance.learning.statistics import TextStatistics as Texts
from conformance.schema.bundle import json_type, point

__all__ = ["differences", "refusals_of"]

#: Accepted texts that repeat so often on average may be words of an enumeration.
_REPEATS = 2


def refusals_of(accepted: Node, refused: Iterable[Call]) -> Counter[tuple[str, str]]:
    """Count the refused calls by the one place and way in which they differ from all accepted ones.

    A call that differs in several ways says nothing, since any of them may be the reason.
    """
    found: Counter[tuple[str, str]] = Counter()
    for call in refused:
        different = list(dict.fromkeys(differences(accepted, call.arguments)))
        if len(different) == 1:
            found[different[0]] += 1
    return found


def differences(node: Node, value: Json, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield (JSON pointer with `*`, way) for each difference of a value from the accepted ones.

    The ways are "missing", "null", "fraction", "range", "length", "format", "word", "items", "unknown", and the types.
    """
    if value is None:
        if not node.nulls:
            yield pointer, "null"
        return
    kind = json_type(value)
    if kind not in node.types:
        yield pointer, kind
    elif kind == "number":
        yield from _of_numbers(node.counted(NumberStatistics), value, pointer)
    elif kind == "string":
        yield from _of_texts(node.counted(Texts), value, pointer)
    elif kind == "array":
        arrays = node.counted(ListStatistics)
        if not (arrays.fewest <= len(value) <= arrays.most):
            yield pointer, "items"
        for item in value if arrays.item_node.count else ():
            yield from differences(arrays.item_node, item, f"{pointer}/*")
    elif kind == "object":
        yield from _of_objects(node.counted(ObjectStatistics), value, pointer)


def _of_objects(objects: ObjectStatistics, value: dict[str, Json], pointer: str) -> Iterator[tuple[str, str]]:
    for name in sorted(objects.always - value.keys()):
        yield point(pointer, name), "missing"
    for name, item in value.items():
        if name in objects.members:
            yield from differences(objects.members[name], item, point(pointer, name))
        else:
            yield point(pointer, name), "unknown"


def _of_numbers(numbers: NumberStatistics, value: float, pointer: str) -> Iterator[tuple[str, str]]:
    if numbers.is_whole and isinstance(value, float) and not value.is_integer():
        yield pointer, "fraction"
    elif not ((numbers.least or 0) <= value <= (numbers.most or 0)):
        yield pointer, "range"


def _of_texts(texts: Texts, value: str, pointer: str) -> Iterator[tuple[str, str]]:
    if value in texts.values or not texts.known:
        return
    if texts.formats:
        if not Node().add_object(value).counted(Texts).formats:
            yield pointer, "format"
    elif not texts.overflowed and texts.known >= _REPEATS * len(texts.values):
        yield pointer, "word"
    elif not ((texts.shortest or 0) <= len(value) <= texts.longest):
        yield pointer, "length"
