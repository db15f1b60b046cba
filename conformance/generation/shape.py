"""What a schema allows at one place, flattened: references, `allOf` and the chosen branches merged into one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from conformance.generation.json_values import least_common_multiple
from conformance.schema.bundle import Json, json_type
from conformance.schema.dialect import is_known_text
from conformance.schema.ecma import matcher

__all__ = ["JSON_TYPES", "MemberRules", "Shape", "multiples_between", "number_grid"]

#: The JSON types, the simplest first.
JSON_TYPES = ("null", "boolean", "number", "string", "array", "object")


@dataclass
class MemberRules:
    """What one subschema says of an object's members; `additional` applies to those that it does not name."""

    properties: dict[str, Json]
    patterns: dict[str, Json]
    additional: Json = None


@dataclass
class Shape:
    """One way to be valid at a place: one path through the branches of its schema."""

    types: tuple[str, ...] = JSON_TYPES
    integral: bool = False
    values: list[Json] | None = None
    # Numbers.
    low: Fraction | None = None
    low_open: bool = False
    high: Fraction | None = None
    high_open: bool = False
    step: Fraction | None = None
    # Texts.
    shortest: int = 0
    longest: int | None = None
    patterns: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    # Arrays: (prefixItems, items) of each subschema; (contains, minContains, maxContains).
    lists: list[tuple[list[Json], Json]] = field(default_factory=list)
    fewest: int = 0
    most: int | None = None
    unique: bool = False
    contains: list[tuple[Json, int, int | None]] = field(default_factory=list)
    #: Whether items beyond those of `lists` are refused (unevaluatedItems).
    closed_items: bool = False
    # Objects.
    member_rules: list[MemberRules] = field(default_factory=list)
    required: dict[str, None] = field(default_factory=dict)
    forbidden: dict[str, None] = field(default_factory=dict)
    names: list[Json] = field(default_factory=list)
    least: int = 0
    largest: int | None = None
    dependent: dict[str, list[str]] = field(default_factory=dict)
    #: Whether members beyond those of `member_rules` are refused (unevaluatedProperties).
    closed: bool = False
    #: The kind of object whose identifier belongs here (x-ref).
    ref: str | None = None
    examples: list[Json] = field(default_factory=list)
    defaults: list[Json] = field(default_factory=list)
    #: Schemas that the finished value must satisfy as well, because they cannot be flattened.
    checks: list[Json] = field(default_factory=list)
    #: The branches taken, for people: "anyOf 2".
    branches: list[str] = field(default_factory=list)

    @property
    def unknown_formats(self) -> list[str]:
        """The formats whose texts are not known."""
        return [name for name in self.formats if not is_known_text(name)]

    @property
    def is_float(self) -> bool:
        """Whether numbers must be exact in 32 bits."""
        return "float" in self.formats

    @property
    def first_items(self) -> int:
        """How many items have a schema of their own (prefixItems)."""
        return max((len(prefix) for prefix, _ in self.lists), default=0)

    @property
    def declared(self) -> tuple[str, ...]:
        """The members that the schema names, those that are only required last."""
        names: dict[str, None] = {}
        for rules in self.member_rules:
            names |= dict.fromkeys(rules.properties)
        return tuple(name for name in names | self.required if name not in self.forbidden)

    @property
    def is_map(self) -> bool:
        """Whether members are described other than by their names."""
        return any(rules.patterns or isinstance(rules.additional, dict) for rules in self.member_rules)

    def member(self, name: str) -> tuple[Json, ...]:
        """Return the schemas of a member; (False,) when the member is not allowed."""
        if name in self.forbidden:
            return (False,)
        found: list[Json] = []
        named = not self.closed
        for rules in self.member_rules:
            here = [rules.properties[name]] if name in rules.properties else []
            here += [child for pattern, child in rules.patterns.items() if matcher(pattern)(name)]
            if here or rules.additional not in (None, False):
                named = True
            found += here if here or rules.additional is None else [rules.additional]
        if not named or any(node is False for node in found):
            return (False,)
        return tuple(node for node in found if node is not True)

    def item(self, index: int) -> tuple[Json, ...]:
        """Return the schemas of an item; (False,) when the item is not allowed."""
        found: list[Json] = []
        known = not self.closed_items
        for prefix, items in self.lists:
            node = prefix[index] if index < len(prefix) else items
            known = known or index < len(prefix) or items is not None
            found.append(True if node is None else node)
        if not known or any(node is False for node in found):
            return (False,)
        return tuple(node for node in found if node is not True)

    def room(self) -> int | None:
        """Return how many items are allowed at most; None when any number is."""
        most = self.most
        for index in range(self.first_items + 1):
            if self.item(index) == (False,):
                return index if most is None else min(most, index)
        return most

    def kinds(self) -> tuple[str, ...]:
        """Return the JSON types that a value may have."""
        if self.values is not None:
            return tuple(dict.fromkeys(json_type(value) for value in self.values))
        return self.types

    def expected_kinds(self) -> tuple[str, ...]:
        """Return the types; where the schema names none, the type that its other keywords are about."""
        if len(self.types) < len(JSON_TYPES):
            return self.types
        if self.member_rules or self.required or self.least:
            return ("object",)
        if self.lists or self.fewest or self.contains:
            return ("array",)
        if self.patterns or self.formats or self.shortest or self.longest is not None:
            return ("string",)
        if self.step is not None or self.low is not None or self.high is not None:
            return ("number",)
        return ("string",)


# --- numbers of a shape -------------------------------------------------------------------------------------


def number_grid(shape: Shape) -> Fraction | None:
    """Return the step of which all numbers of a shape are multiples, or None."""
    grid = Fraction(1) if shape.integral else None
    if shape.step is not None:
        grid = shape.step if grid is None else least_common_multiple(grid, shape.step)
    if grid is None and shape.is_float:
        # 32 bits hold multiples of an eighth exactly.
        return Fraction(1, 8)
    return grid


def multiples_between(shape: Shape, grid: Fraction) -> tuple[int | None, int | None]:
    """Return the lowest and the highest factor of a step within the bounds (None: unbounded)."""
    low = high = None
    if shape.low is not None:
        low = -((-shape.low) // grid)
        if shape.low_open and low * grid == shape.low:
            low += 1
    if shape.high is not None:
        high = shape.high // grid
        if shape.high_open and high * grid == shape.high:
            high -= 1
    return low, high
