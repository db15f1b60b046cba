"""What was seen at each place of the data, counted while GenSON merges the samples into one schema.

GenSON's strategies merge the structure (types, members, which are always there, items). The strategies here count
beside it what a guess needs as evidence. Its `add_object` and `to_schema` remain the interface.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from genson.schema.node import SchemaNode
from genson.schema.strategies import Boolean, List, Null, Number, Object, String

from conformance.learning.calls import Json, is_masked
from conformance.schema.validation import Schema

__all__ = ["FORMATS", "ListStatistics", "Node", "NumberStatistics", "ObjectStatistics", "TextStatistics"]

#: Formats that are recognised, the most specific first.
FORMATS = ("uuid", "date-time", "date", "email", "uri")
_CHECKS = {name: Schema({"type": "string", "format": name}) for name in FORMATS}

#: Distinct values that are retained of a place.
MAX_VALUES = 400
#: The share of the different texts of a format, for it to be that of the place though not of all of them.
_LIKELY_SHARE = 0.7
#: Different texts that are checked even where none has a format.
_MAX_CHECKED = 20
#: Distinct whole values by which independent samples are counted.
MAX_FINGERPRINTS = 2_000


class Node(SchemaNode):  # type: ignore[misc]
    """The samples of one place: how many there were, and what was counted for each type."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def add_object(self, obj: Json) -> Node:
        """Count a sample."""
        self.count += 1
        super().add_object(obj)
        return self

    def counted(self, kind: type[Any]) -> Any:
        """Return what was counted for a type (one of the strategies of this module), or None."""
        return next((each for each in self._active_strategies if isinstance(each, kind)), None)

    @property
    def nulls(self) -> int:
        """How many samples were null."""
        found = self.counted(NullStatistics)
        return 0 if found is None else found.count

    @property
    def types(self) -> dict[str, int]:
        """The JSON types of the samples, each with how many there were; null is not among them."""
        return {
            each.json_type: each.count
            for each in self._active_strategies
            if not isinstance(each, NullStatistics)
        }

    @property
    def members(self) -> Mapping[str, Node]:
        """The members of the samples that are objects."""
        found = self.counted(ObjectStatistics)
        return {} if found is None else found.members

    @property
    def items(self) -> Node | None:
        """The items of the samples that are arrays."""
        found = self.counted(ListStatistics)
        return None if found is None else found.item_node

    @property
    def is_scalar(self) -> bool:
        """Whether no sample was an object or an array."""
        return not self.types.keys() & {"object", "array"}


class NullStatistics(Null):  # type: ignore[misc]
    """Nulls."""

    json_type = "null"

    def __init__(self, node_class: type[Node]) -> None:
        super().__init__(node_class)
        self.count = 0

    def add_object(self, obj: Json) -> None:
        """Count a null."""
        self.count += 1


class BooleanStatistics(Boolean):  # type: ignore[misc]
    """Booleans."""

    json_type = "boolean"

    def __init__(self, node_class: type[Node]) -> None:
        super().__init__(node_class)
        self.count = 0

    def add_object(self, obj: Json) -> None:
        """Count a boolean."""
        self.count += 1


class NumberStatistics(Number):  # type: ignore[misc]
    """Numbers: their values, and whether all of them were whole."""

    json_type = "number"

    def __init__(self, node_class: type[Node]) -> None:
        super().__init__(node_class)
        self.count = 0
        self.values: Counter[float] = Counter()
        self.is_whole = True
        self.least: float | None = None
        self.most: float | None = None

    def add_object(self, obj: Json) -> None:
        """Count a number."""
        super().add_object(obj)
        self.count += 1
        self.is_whole = self.is_whole and (isinstance(obj, int) or obj.is_integer())
        self.least = obj if self.least is None else min(self.least, obj)
        self.most = obj if self.most is None else max(self.most, obj)
        if obj in self.values or len(self.values) < MAX_VALUES:
            self.values[obj] += 1


class TextStatistics(String):  # type: ignore[misc]
    """Texts: their values, their lengths, and the formats that all of them have."""

    json_type = "string"

    def __init__(self, node_class: type[Node]) -> None:
        super().__init__(node_class)
        self.count = 0
        #: Texts that the record masks; nothing else is known of them.
        self.masked = 0
        self.values: Counter[str] = Counter()
        self.overflowed = False
        self.shortest: int | None = None
        self.longest = 0
        #: By format: how many of the different texts have it.
        self._having: Counter[str] = Counter()
        self._different = 0

    def add_object(self, obj: Json) -> None:
        """Count a text."""
        self.count += 1
        if is_masked(obj):
            self.masked += 1
            return
        length = len(obj)
        self.shortest = length if self.shortest is None else min(self.shortest, length)
        self.longest = max(self.longest, length)
        if obj in self.values:
            self.values[obj] += 1
            return
        self._different += 1
        if self._different <= _MAX_CHECKED or self._having:
            self._having.update(name for name in FORMATS if _CHECKS[name].valid(obj))
        if len(self.values) < MAX_VALUES:
            self.values[obj] += 1
        else:
            self.overflowed = True

    @property
    def formats(self) -> list[str]:
        """The formats that all texts have."""
        return [] if self.masked else [name for name in FORMATS if 0 < self._having[name] == self._different]

    @property
    def likely_format(self) -> str | None:
        """The format that most of the different texts have."""
        return next(
            (
                name
                for name in FORMATS
                if self._different and self._having[name] >= _LIKELY_SHARE * self._different
            ),
            None,
        )

    @property
    def known(self) -> int:
        """How many texts were not masked."""
        return self.count - self.masked


class ListStatistics(List):  # type: ignore[misc]
    """Arrays: how long they were, and their items."""

    json_type = "array"

    def __init__(self, node_class: type[Node]) -> None:
        super().__init__(node_class)
        self.count = 0
        self.fewest: int | None = None
        self.most = 0
        self.is_unique = True

    def add_object(self, obj: Json) -> None:
        """Count an array and its items."""
        super().add_object(obj)
        self.count += 1
        self.fewest = len(obj) if self.fewest is None else min(self.fewest, len(obj))
        self.most = max(self.most, len(obj))
        self.is_unique = self.is_unique and len({repr(item) for item in obj}) == len(obj)

    @property
    def item_node(self) -> Node:
        """The items of all arrays."""
        node: Node = self._items
        return node


class ObjectStatistics(Object):  # type: ignore[misc]
    """Objects: their members, and how many different objects there were."""

    json_type = "object"

    def __init__(self, node_class: type[Node]) -> None:
        super().__init__(node_class)
        self.count = 0
        self._fingerprints: set[int] = set()
        #: By member: in how many of the different objects it was.
        self.present: Counter[str] = Counter()

    def add_object(self, obj: Json) -> None:
        """Count an object and its members."""
        super().add_object(obj)
        self.count += 1
        fingerprint = hash(repr(obj))
        if fingerprint not in self._fingerprints and len(self._fingerprints) < MAX_FINGERPRINTS:
            self._fingerprints.add(fingerprint)
            self.present.update(obj.keys())

    @property
    def different(self) -> int:
        """How many different objects there were, which is what counts as independent evidence."""
        return len(self._fingerprints)

    @property
    def members(self) -> Mapping[str, Node]:
        """The members, in the order in which they were first seen."""
        found: Mapping[str, Node] = self._properties
        return found

    @property
    def always(self) -> frozenset[str]:
        """The members that every object had."""
        return frozenset(self._required or ())


Node.STRATEGIES = (
    NullStatistics,
    BooleanStatistics,
    NumberStatistics,
    TextStatistics,
    ListStatistics,
    ObjectStatistics,
)
