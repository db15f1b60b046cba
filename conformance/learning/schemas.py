"""Schemas of what was seen: constraints where the evidence allows them, suggestions (`x-suggested`) elsewhere.

A constraint of a parameter is what a check expects to be enforced, and one of a result is what every answer has to
keep. Both need many samples, or a refusal. A suggestion only says which values are likely to be accepted: what is
generated as valid data keeps to it, and nothing else does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from conformance.learning.calls import Json, is_secret_name
from conformance.learning.evidence import NO_REFUSALS, Refusals, Thresholds, ordered_types
from conformance.learning.statistics import (
    ListStatistics,
    Node,
    NumberStatistics,
    ObjectStatistics,
    TextStatistics,
)
from conformance.schema.bundle import point
from conformance.schema.dialect import SUGGESTED

__all__ = ["Hint", "ParameterSchemas", "ResultSchemas", "Words", "is_map"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: A word as programs compare it, unlike a text for people.
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]{0,29}")
_WHOLE_BY_NAME = re.compile(
    r"(?:count|total|revision|version|number|position|length|size)s?\Z|Ids?\Z", re.IGNORECASE
)
#: Patterns that are suggested where all texts have them.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        "^[0-9]+$",
        "^[+][0-9]+$",
        "^[A-Z]+$",
        "^[A-Z][0-9]+$",
        "^[0-9a-f]+$",
        "^[a-z0-9]+$",
        "^[a-z0-9]+(-[a-z0-9]+)*$",
        "^[a-z]+_[a-z0-9]+$",
    )
)
_PATTERN_SAMPLES, _PATTERN_DIFFERENT = 4, 3
#: Steps of numbers that are suggested where all numbers are multiples of them.
_STEPS = (1000, 100, 60, 50, 25, 10, 5, 1, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001, 0.0001)
_STEP_SAMPLES = 3
#: Maps keyed by data: their keys are many, and few of them are in any one object.
_MAP_KEYS, _MAP_OBJECTS, _MAP_SHARE = 6, 4, 0.34


def is_map(objects: ObjectStatistics) -> bool:
    """Return whether objects look like maps keyed by data."""
    members = objects.members
    if not members or any(not _NAME.fullmatch(name) for name in members):
        return True
    if objects.always or len(members) < _MAP_KEYS or objects.different < _MAP_OBJECTS:
        return False
    share = sum(objects.present.values()) / (objects.different * len(members))
    return share < _MAP_SHARE and len({frozenset(node.types) for node in members.values()}) == 1


def _numbers_step(numbers: NumberStatistics) -> float | None:
    """Return the largest usual step of which all numbers are multiples."""
    values = [value for value in numbers.values if value]
    if len(values) < _STEP_SAMPLES:
        return None
    for step in _STEPS:
        if all(abs(value / step - round(value / step)) < 1e-9 for value in values):
            return None if step == 1 else step
    return None


@dataclass
class Words:
    """The texts that the members of one name had in the calls of an endpoint, and how many arguments had one."""

    values: set[str] = field(default_factory=set)
    number: int = 0


@dataclass
class ParameterSchemas:
    """Makes the schemas of a function's parameters.

    `refs` has the kinds of objects by the JSON pointer of the places that take their identifiers. `decided` has what
    was decided about each place, as "null" or "fraction", for the results that have a member of the same name.
    """

    refusals: Refusals = field(default_factory=lambda: NO_REFUSALS)
    refs: Mapping[str, str] = field(default_factory=dict)
    limits: Thresholds = field(default_factory=Thresholds)
    with_values: bool = True
    #: By name of a member: its texts in all functions of the endpoint.
    vocabulary: Mapping[str, Words] = field(default_factory=dict)
    #: The parameter that identifies the object which the function reads, updates or deletes.
    subject: str | None = None
    #: Whether all that is always given is required: nobody signs in without a name.
    signs_in: bool = False

    def schema(self, node: Node, pointer: str) -> dict[str, Json]:
        """Return the schema of a place."""
        hidden = not self.with_values or is_secret_name(pointer.rpartition("/")[2])
        out: dict[str, Json] = {}
        hint: dict[str, Json] = {}
        kinds = ordered_types(node.types)
        values = sum(node.types.values())
        if not kinds:
            return {SUGGESTED: {"type": "null"}} if node.nulls else {}
        typed = values >= self.limits.type and (
            not self.signs_in or self._other_scalars_refused(node, pointer)
        )
        names = [self._number_type(node, pointer) if kind == "number" else kind for kind in kinds]
        excluded = not node.nulls and self.excludes_null(node, pointer)
        declared = [*names, *([] if excluded else ["null"])]
        (out if typed else hint)["type"] = declared[0] if len(declared) == 1 else declared
        if not node.nulls and not excluded:
            hint["type"] = names[0] if len(names) == 1 else names
        if kinds == ["number"]:
            self._numbers(node.counted(NumberStatistics), "integer" in names, hint)
        elif kinds == ["string"]:
            self._texts(
                node.counted(TextStatistics), pointer, out, hint, hidden=hidden, nullable=not excluded
            )
        if "array" in kinds:
            self._arrays(node.counted(ListStatistics), pointer, out, hint)
        if "object" in kinds:
            self._objects(node.counted(ObjectStatistics), pointer, out, hint)
        if pointer in self.refs:
            out["x-ref"] = self.refs[pointer]
            # Identifiers that repeat are no words: there will be others.
            out.pop("enum", None)
            hint = {key: value for key, value in hint.items() if key == "type"}
        return {**out, SUGGESTED: hint} if hint else out

    def _other_scalars_refused(self, node: Node, pointer: str) -> bool:
        """Return whether a text and a number were refused for their type, where none was accepted.

        Credentials of another type may be compared as texts, and be as wrong as any other.
        """
        return all(
            self.refusals.get((pointer, kind)) for kind in ("string", "number") if kind not in node.types
        )

    def excludes_null(self, node: Node, pointer: str) -> bool:
        """Return whether null is known to be refused at a place."""
        values = sum(node.types.values())
        if self.refusals.get((pointer, "null")):
            return values >= self.limits.beside_refusal
        return pointer in self.refs and not pointer.endswith("/*") and self._is_sole(pointer, node)

    def _is_sole(self, pointer: str, node: Node) -> bool:
        """Return whether an identifier was given in every call, so that it says what the call is about."""
        return pointer in self.required_pointers and node.count >= self.limits.beside_refusal

    #: Pointers of the parameters that are required.
    required_pointers: frozenset[str] = frozenset()

    def is_whole(self, node: Node, pointer: str) -> bool:
        """Return whether numbers at a place are known to be whole."""
        numbers = node.counted(NumberStatistics)
        if numbers is None or not numbers.is_whole:
            return False
        if self.refusals.get((pointer, "fraction")):
            return bool(numbers.count >= self.limits.type)
        enough = numbers.count >= self.limits.integer and len(numbers.values) >= self.limits.integer_different
        return enough or pointer in self.refs

    def _number_type(self, node: Node, pointer: str) -> str:
        return "integer" if self.is_whole(node, pointer) else "number"

    def _numbers(self, numbers: NumberStatistics, whole: bool, hint: dict[str, Json]) -> None:
        if numbers.is_whole and not whole:
            hint["type"] = "integer"
        hint["minimum"], hint["maximum"] = numbers.least, numbers.most
        if (step := _numbers_step(numbers)) is not None:
            hint["multipleOf"] = step

    def _texts(
        self,
        texts: TextStatistics,
        pointer: str,
        out: dict[str, Json],
        hint: dict[str, Json],
        *,
        hidden: bool,
        nullable: bool,
    ) -> None:
        if hidden or not texts.known:
            return
        limits = self.limits
        refused = bool(self.refusals.get((pointer, "format")))
        if texts.formats:
            enough = texts.known >= limits.format and len(texts.values) >= limits.format_different
            sure = enough or (refused and texts.known >= limits.beside_refusal)
            (out if sure else hint)["format"] = texts.formats[0]
            return
        if texts.likely_format is not None and texts.known >= limits.format:
            hint["format"] = texts.likely_format
            return
        used = self.vocabulary.get(pointer.rpartition("/")[2], Words())
        words = self._words(texts, used)
        if words is not None:
            number = max(used.number, texts.known)
            refused = bool(self.refusals.get((pointer, "word")))
            many = number >= max(limits.enum, limits.enum_each * len(words))
            if many or (refused and number >= limits.enum_each_refused * len(words)):
                out["enum"] = [*words, None] if nullable else words
            else:
                hint["enum"] = words
            return
        hint["minLength"], hint["maxLength"] = texts.shortest, texts.longest
        if texts.known >= _PATTERN_SAMPLES and len(texts.values) >= _PATTERN_DIFFERENT:
            pattern = next(
                (each.pattern for each in _PATTERNS if all(map(each.fullmatch, texts.values))), None
            )
            if pattern is not None:
                hint["pattern"] = pattern

    def _words(self, texts: TextStatistics, used: Words) -> list[str] | None:
        """Return the words of a possible enumeration, or None; `used` has those that other calls of the entity had."""
        values = texts.values.keys() | used.values
        if texts.overflowed or not 2 <= len(values) <= self.limits.enum_words or texts.masked:
            return None
        if texts.known < 2 * len(texts.values) or not all(_WORD.fullmatch(value) for value in values):
            return None
        return sorted(values)

    def _arrays(
        self, arrays: ListStatistics, pointer: str, out: dict[str, Json], hint: dict[str, Json]
    ) -> None:
        items = arrays.item_node
        if items.count:
            out["items"] = self.schema(items, f"{pointer}/*")
        hint["minItems"], hint["maxItems"] = arrays.fewest, arrays.most
        if arrays.is_unique and arrays.most > 1:
            hint["uniqueItems"] = True

    def _objects(
        self, objects: ObjectStatistics, pointer: str, out: dict[str, Json], hint: dict[str, Json]
    ) -> None:
        if is_map(objects):
            out["additionalProperties"] = _map_values(
                {name: self.schema(node, f"{pointer}/*") for name, node in objects.members.items()}
            )
            hint["maxProperties"] = max(1, sum(objects.present.values()) // max(1, objects.different))
            if objects.members:
                names = sorted(map(len, objects.members))
                hint["propertyNames"] = {"minLength": names[0], "maxLength": names[-1]}
            return
        out["properties"] = {
            name: self.schema(node, point(pointer, name)) for name, node in objects.members.items()
        }
        required = [name for name in objects.members if self.is_required(objects, pointer, name)]
        if required:
            out["required"] = required
        if likely := [name for name in objects.members if name in objects.always and name not in required]:
            hint["required"] = likely

    def is_required(self, objects: ObjectStatistics, pointer: str, name: str) -> bool:
        """Return whether a member is known to be required."""
        if name not in objects.always:
            return False
        if self.refusals.get((point(pointer, name), "missing")):
            return objects.count >= self.limits.beside_refusal
        if pointer:
            # A client that gives an object usually gives the whole of it.
            return False
        if self.signs_in:
            return objects.count >= self.limits.type
        if name == self.subject:
            return objects.count >= self.limits.format
        if objects.different < self.limits.required:
            return False
        shares = [
            objects.present[other] / objects.different
            for other in objects.members
            if other not in objects.always
        ]
        # How likely it is that one of such members is in all objects by chance.
        return not shares or len(shares) * max(shares) ** objects.different < self.limits.chance


def _map_values(schemas: Mapping[str, dict[str, Json]]) -> dict[str, Json]:
    """Return the schema of the values of a map: what all of them share, and the rest of one of them as a suggestion."""
    if not schemas:
        return {}
    first = next(iter(schemas.values()))
    kinds: dict[str, None] = {}
    for schema in schemas.values():
        given = schema.get("type") or schema.get(SUGGESTED, {}).get("type") or []
        kinds |= dict.fromkeys([given] if isinstance(given, str) else given)
    if not kinds:
        return {}
    suggested = {key: value for key, value in first.items() if key != SUGGESTED} | first.get(SUGGESTED, {})
    names = list(kinds)
    return {"type": names[0] if len(names) == 1 else names, SUGGESTED: suggested}


# --- results --------------------------------------------------------------------------------------------------


@dataclass
class Hint:
    """What the parameters of a name say about members of that name in results."""

    may_be_null: bool = False
    is_optional: bool = False
    may_be_fraction: bool = False
    types: frozenset[str] = frozenset()


@dataclass
class ResultSchemas:
    """Makes the schemas of results; `volatile` has the places whose values differ between identical calls."""

    hints: Mapping[str, Hint] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()
    limits: Thresholds = field(default_factory=Thresholds)

    def schema(self, node: Node, pointer: str, samples: int) -> dict[str, Json]:
        """Return the schema of a place, of which there were so many independent samples."""
        out: dict[str, Json] = {}
        kinds = ordered_types(node.types)
        hint = self.hints.get(pointer.rpartition("/")[2], Hint()) if pointer else Hint()
        need = self.limits.result_optional if hint.may_be_null or hint.is_optional else self.limits.result
        if not kinds:
            return {}
        if samples >= self.limits.result_type:
            extra = [kind for kind in hint.types if kind not in kinds]
            names = [
                self._number_type(node, pointer, samples, hint) if kind == "number" else kind
                for kind in ordered_types(dict.fromkeys([*kinds, *extra]))
            ]
            if node.nulls or samples < need:
                names.append("null")
            out["type"] = names[0] if len(names) == 1 else names
        if kinds == ["string"] and hint.types <= {"string"}:
            self._texts(node.counted(TextStatistics), pointer, out, samples)
        if "array" in kinds:
            items = node.counted(ListStatistics).item_node
            if items.count:
                out["items"] = self.schema(items, f"{pointer}/*", _independent(items))
        if "object" in kinds:
            self._objects(node.counted(ObjectStatistics), pointer, out)
        if pointer in self.volatile:
            out["readOnly"] = True
        return out

    def _number_type(self, node: Node, pointer: str, samples: int, hint: Hint) -> str:
        numbers = node.counted(NumberStatistics)
        if numbers is None or not numbers.is_whole or hint.may_be_fraction:
            return "number"
        by_name = _WHOLE_BY_NAME.search(pointer.rpartition("/")[2]) is not None
        enough = samples >= self.limits.integer and len(numbers.values) >= self.limits.integer_different
        return "integer" if enough or (by_name and samples >= self.limits.result_type) else "number"

    def _texts(self, texts: TextStatistics, pointer: str, out: dict[str, Json], samples: int) -> None:
        different = len(texts.values)
        if (
            texts.formats
            and not is_secret_name(pointer.rpartition("/")[2])
            and samples >= self.limits.format
            and different >= self.limits.format_different
        ):
            out["format"] = texts.formats[0]

    def _objects(self, objects: ObjectStatistics, pointer: str, out: dict[str, Json]) -> None:
        if is_map(objects):
            values = {
                name: self.schema(node, f"{pointer}/*", _independent(node))
                for name, node in objects.members.items()
            }
            shared = _map_values(values)
            # A map may have values of types that were not seen, unless many were.
            enough = sum(node.count for node in objects.members.values()) >= self.limits.result
            out["additionalProperties"] = {"type": shared["type"]} if enough and "type" in shared else {}
            return
        out["properties"] = {
            name: self.schema(node, point(pointer, name), objects.present[name])
            for name, node in objects.members.items()
        }
        required = []
        for name in objects.members:
            hint = self.hints.get(name, Hint())
            need = self.limits.result_optional if hint.is_optional else self.limits.result
            if name in objects.always and objects.different >= need:
                required.append(name)
        if required:
            out["required"] = required


def _independent(node: Node) -> int:
    """Return how many samples of a place differ from each other."""
    objects, texts, numbers = (
        node.counted(ObjectStatistics),
        node.counted(TextStatistics),
        node.counted(NumberStatistics),
    )
    return (
        (0 if objects is None else objects.different)
        + (0 if texts is None else len(texts.values))
        + (0 if numbers is None else len(numbers.values))
        + sum(node.types.get(kind, 0) for kind in ("boolean", "array"))
    )
