"""What a schema says of one place, laid flat: one `Shape` for each way through its branches.

Of a place speak its own keywords, what it refers to, all of `allOf`, and one branch each of `anyOf`, `oneOf`
and `if`. What cannot be laid flat (the rest of `oneOf`, most of `not`) stays as a check on the finished value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from conformance.generation.samples import CannotGenerate, _exact, _lcm, _same
from conformance.schema.bundle import Json, json_type, point, resolve_pointer
from conformance.schema.dialect import INTEGER_FORMATS, is_format_bound, is_known_text
from conformance.schema.ecma import matcher
from conformance.schema.validation import Schema

__all__ = ["EVERY", "Group", "Impossible", "Shape", "Shapes"]

#: The JSON types, the simplest first.
EVERY = ("null", "boolean", "number", "string", "array", "object")
#: Paths through the branches of one place that are followed.
MOST_WAYS = 48
_DEEPEST = 12
_NEVER = 99


class Impossible(CannotGenerate):
    """Nothing passes, or nothing can be made: `pointer` says where in the value, `keyword` why."""

    def __init__(self, keyword: str, why: str, pointer: str = "") -> None:
        super().__init__(keyword, f"{why} (at {pointer or 'the top'})" if pointer else why)
        self.pointer = pointer
        self.why = why


@dataclass
class Group:
    """What one subschema says of an object's members: `additional` is for those that it does not name."""

    properties: dict[str, Json]
    patterns: dict[str, Json]
    additional: Json = None


@dataclass
class Shape:
    """One way to be valid at a place."""

    types: tuple[str, ...] = EVERY
    whole: bool = False
    values: list[Json] | None = None
    low: Fraction | None = None
    low_open: bool = False
    high: Fraction | None = None
    high_open: bool = False
    step: Fraction | None = None
    shortest: int = 0
    longest: int | None = None
    patterns: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    lists: list[tuple[list[Json], Json]] = field(default_factory=list)
    fewest: int = 0
    most: int | None = None
    unique: bool = False
    contains: list[tuple[Json, int, int | None]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    required: dict[str, None] = field(default_factory=dict)
    forbidden: dict[str, None] = field(default_factory=dict)
    names: list[Json] = field(default_factory=list)
    least: int = 0
    largest: int | None = None
    dependent: dict[str, list[str]] = field(default_factory=dict)
    #: Whether members (items) that nothing here speaks of are refused (unevaluatedProperties, -Items).
    closed: bool = False
    closed_items: bool = False
    ref: str | None = None
    examples: list[Json] = field(default_factory=list)
    defaults: list[Json] = field(default_factory=list)
    #: Schemas that the finished value must pass besides.
    checks: list[Json] = field(default_factory=list)
    #: The branches taken, for people: "anyOf 2".
    ways: list[str] = field(default_factory=list)

    @property
    def unknown_formats(self) -> list[str]:
        """The formats of which nobody knows which texts they allow."""
        return [name for name in self.formats if not is_known_text(name)]

    @property
    def is_float(self) -> bool:
        """Whether its numbers have to be exact in 32 bits."""
        return "float" in self.formats

    @property
    def first_items(self) -> int:
        """How many items are spoken of one by one."""
        return max((len(prefix) for prefix, _ in self.lists), default=0)

    @property
    def declared(self) -> tuple[str, ...]:
        """The members that are named, those that are only required last."""
        names: dict[str, None] = {}
        for group in self.groups:
            names |= dict.fromkeys(group.properties)
        return tuple(name for name in names | self.required if name not in self.forbidden)

    @property
    def is_map(self) -> bool:
        """Whether it speaks of members by other means than their names."""
        return any(group.patterns or isinstance(group.additional, dict) for group in self.groups)

    def member(self, name: str) -> tuple[Json, ...]:
        """Return all that is said of the member of a name; (False,) when it may not be there."""
        if name in self.forbidden:
            return (False,)
        found: list[Json] = []
        named = not self.closed
        for group in self.groups:
            here = [group.properties[name]] if name in group.properties else []
            here += [child for pattern, child in group.patterns.items() if matcher(pattern)(name)]
            if here or group.additional not in (None, False):
                named = True
            found += here if here or group.additional is None else [group.additional]
        if not named or any(node is False for node in found):
            return (False,)
        return tuple(node for node in found if node is not True)

    def item(self, index: int) -> tuple[Json, ...]:
        """Return all that is said of an item; (False,) when it may not be there."""
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
        """Return how many items fit at most; None when any number does."""
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


class _Choices:
    """Answers each question about branches by a script; records what else could have been answered."""

    def __init__(self, script: Sequence[int]) -> None:
        self.script = script
        self.taken: list[int] = []
        self.others: list[list[int]] = []

    def __call__(self, count: int) -> int:
        at = len(self.taken)
        pick = self.script[at] if at < len(self.script) else 0
        if at >= len(self.script):
            self.others += [[*self.taken, other] for other in range(1, count)]
        self.taken.append(pick)
        return pick


class Shapes:
    """The shapes of the places of one bundled schema, each laid flat once."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.document = schema.document
        self.too_many: dict[int, str] = {}
        self._shapes: dict[int, list[Shape]] = {}
        self._joined: dict[tuple[int, ...], Json] = {}
        self._derived: dict[tuple[int, str], Json] = {}
        self._keep: list[Json] = []
        self._fits: dict[tuple[int, int], bool] = {}

    def join(self, nodes: Sequence[Json]) -> Json:
        """Return one schema that says what several say."""
        if not nodes:
            return True
        if len(nodes) == 1:
            return nodes[0]
        key = tuple(map(id, nodes))
        if key not in self._joined:
            self._keep += nodes
            self._joined[key] = {"allOf": list(nodes)}
        return self._joined[key]

    def keep(self, node: Json) -> Json:
        """Keep a schema that was made for the moment: places are told by its identity."""
        self._keep.append(node)
        return node

    def derived(self, node: Json, about: str, made: Json) -> Json:
        """Return a schema made of another: the same one each time, so that it is compiled once."""
        key = (id(node), about)
        if key not in self._derived:
            self._keep.append(node)
            self._derived[key] = made
        return self._derived[key]

    def opposite(self, node: Json) -> Json:
        """Return the schema of what another refuses."""
        return self.derived(node, "not", {"not": node})

    def valid(self, node: Json, value: Json) -> bool:
        """Whether a value passes a schema that may refer into the document."""
        return node if isinstance(node, bool) else self.schema.branch(node).valid(value)

    def of(self, node: Json) -> list[Shape]:
        """Return the shapes of a schema; none when nothing passes."""
        if isinstance(node, bool):
            return [Shape()] if node else []
        known = self._shapes.get(id(node))
        if known is not None:
            return known
        self._keep.append(node)
        found: list[Shape] = []
        scripts: list[list[int]] = [[]]
        while scripts:
            if len(found) >= MOST_WAYS:
                self.too_many[id(node)] = f"only {MOST_WAYS} of its combinations of branches are made"
                break
            choices = _Choices(scripts.pop(0))
            shape = Shape()
            try:
                self._add(node, shape, choices, 0)
                self._settle(node, shape)
                found.append(shape)
            except Impossible:
                pass
            scripts += choices.others
        self._shapes[id(node)] = found
        return found

    def why_none(self, node: Json) -> Impossible:
        """Return what stands in the way where there is no shape."""
        if node is False:
            return Impossible("false", "the schema lets nothing pass")
        try:
            shape = Shape()
            self._add(node, shape, _Choices([]), 0)
            self._settle(node, shape)
        except Impossible as why:
            return why
        return Impossible("schema", "nothing passes")

    # --- nesting

    def height(self, node: Json) -> int:
        """Return how deep a value of the schema must nest; 99 when without end."""
        return next((depth for depth in range(_DEEPEST + 1) if self._fit(node, depth)), _NEVER)

    def shape_height(self, shape: Shape) -> int:
        """Return how deep a value of the shape must nest; 99 when without end."""
        return next((depth for depth in range(_DEEPEST + 1) if self._shape_fits(shape, depth)), _NEVER)

    def _fit(self, node: Json, depth: int) -> bool:
        if isinstance(node, bool):
            return node
        key = (id(node), depth)
        if key not in self._fits:
            self._fits[key] = any(self._shape_fits(shape, depth) for shape in self.of(node))
        return self._fits[key]

    def _shape_fits(self, shape: Shape, depth: int) -> bool:
        return shape.values is not None or any(self.type_fits(shape, kind, depth) for kind in shape.types)

    def type_fits(self, shape: Shape, kind: str, depth: int) -> bool:
        """Whether a value of a type fits into so many levels."""
        if kind == "object":
            nodes = [self.join(shape.member(name)) for name in shape.required]
        elif kind == "array":
            count = min(shape.fewest, shape.first_items + 1)
            nodes = [self.join(shape.item(index)) for index in range(count)]
            nodes += [node for node, least, _ in shape.contains if least]
        else:
            return True
        return not nodes or (depth > 0 and all(self._fit(node, depth - 1) for node in nodes))

    # --- laying flat

    def _add(self, node: Json, out: Shape, choose: _Choices, depth: int) -> None:
        if node is True:
            return
        if node is False:
            raise Impossible("false", "the schema lets nothing pass")
        if depth > 64:
            raise Impossible("$ref", "it refers to itself without end")
        self._scalars(node, out)
        self._arrays(node, out)
        self._objects(node, out)
        if "$ref" in node:
            self._add(resolve_pointer(self.document, node["$ref"][1:]), out, choose, depth + 1)
        for branch in node.get("allOf", ()):
            self._add(branch, out, choose, depth + 1)
        for key in ("anyOf", "oneOf"):
            if key in node:
                pick = choose(len(node[key]))
                out.ways.append(f"{key} {pick + 1}")
                if key == "oneOf" and len(node[key]) > 1:
                    out.checks.append(self.derived(node, "oneOf", {"oneOf": node[key]}))
                self._add(node[key][pick], out, choose, depth + 1)
        if "not" in node:
            self._not(node["not"], out, choose, depth)
        if "if" in node and ("then" in node or "else" in node):
            self._if(node, out, choose, depth)
        for name, child in node.get("dependentSchemas", {}).items():
            if choose(2):
                out.required[name] = None
                self._add(child, out, choose, depth + 1)
            else:
                out.forbidden[name] = None

    def _if(self, node: dict[str, Json], out: Shape, choose: _Choices, depth: int) -> None:
        rest = {key: node[key] for key in ("if", "then", "else") if key in node}
        out.checks.append(self.derived(node, "if", rest))
        holds = choose(2) == 0
        out.ways.append("then" if holds else "else")
        if holds:
            self._add(node["if"], out, choose, depth + 1)
            self._add(node.get("then", True), out, choose, depth + 1)
        else:
            self._not(node["if"], out, choose, depth)
            self._add(node.get("else", True), out, choose, depth + 1)

    def _not(self, node: Json, out: Shape, choose: _Choices, depth: int) -> None:
        """Lay `not` flat as far as that goes; the check does the rest."""
        if isinstance(node, bool):
            if node:
                raise Impossible("not", "the schema lets nothing pass")
            return
        if depth > 64:
            raise Impossible("$ref", "it refers to itself without end")
        telling = {key for key in node if key not in _SILENT}
        if not telling:
            raise Impossible("not", "the schema lets nothing pass")
        if telling == {"$ref"}:
            self._not(resolve_pointer(self.document, node["$ref"][1:]), out, choose, depth + 1)
        elif telling == {"not"}:
            self._add(node["not"], out, choose, depth + 1)
        elif telling == {"anyOf"}:
            for branch in node["anyOf"]:
                self._not(branch, out, choose, depth + 1)
        elif telling == {"allOf"}:
            self._not(node["allOf"][choose(len(node["allOf"]))], out, choose, depth + 1)
        elif telling == {"type"} and "integer" not in _types(node):
            out.types = tuple(kind for kind in out.types if kind not in _types(node))
        elif telling == {"required"}:
            out.forbidden[node["required"][choose(len(node["required"]))]] = None
            out.checks.append(self.opposite(node))
        elif telling and telling <= {"required", "properties"} and node.get("properties"):
            # The usual condition: not (these members, such as these); one of them is missing or otherwise.
            names = list(node["properties"])
            name = names[choose(len(names))]
            if name in node.get("required", ()) and choose(2):
                out.forbidden[name] = None
            else:
                out.required[name] = None
                child = self.opposite(node["properties"][name])
                out.groups.append(Group({name: child}, {}))
            out.checks.append(self.opposite(node))
        elif telling and telling <= _BOUNDS.keys():
            key = sorted(telling)[choose(len(telling))]
            self._add(self.derived(node, key, {_BOUNDS[key]: node[key]}), out, choose, depth + 1)
            out.checks.append(self.opposite(node))
        else:
            out.checks.append(self.opposite(node))

    def _scalars(self, node: dict[str, Json], out: Shape) -> None:
        if "type" in node:
            types = _types(node)
            out.types = tuple(
                kind for kind in out.types if kind in types or (kind == "number" and "integer" in types)
            )
            out.whole = out.whole or ("integer" in types and "number" not in types)
        if "const" in node or "enum" in node:
            values = [node["const"]] if "const" in node else node["enum"]
            if out.values is not None:
                values = [value for value in out.values if any(_same(value, other) for other in values)]
            out.values = list(values)
        for key, is_open in (("minimum", False), ("exclusiveMinimum", True)):
            if key in node and not is_format_bound(node, key):
                bound = _exact(node[key])
                if out.low is None or bound > out.low or (bound == out.low and is_open):
                    out.low, out.low_open = bound, is_open
        for key, is_open in (("maximum", False), ("exclusiveMaximum", True)):
            if key in node and not is_format_bound(node, key):
                bound = _exact(node[key])
                if out.high is None or bound < out.high or (bound == out.high and is_open):
                    out.high, out.high_open = bound, is_open
        if "multipleOf" in node:
            step = _exact(node["multipleOf"])
            out.step = step if out.step is None else _lcm(out.step, step)
        out.shortest = max(out.shortest, int(node.get("minLength", 0)))
        out.longest = _least(out.longest, node.get("maxLength"))
        if "pattern" in node and node["pattern"] not in out.patterns:
            out.patterns.append(node["pattern"])
        if "format" in node and node["format"] not in out.formats:
            out.formats.append(node["format"])
            self._number_format(node["format"], out)
        if isinstance(node.get("x-ref"), str):
            out.ref = out.ref or node["x-ref"]
        if isinstance(node.get("examples"), list):
            out.examples += node["examples"]
        if "default" in node:
            out.defaults.append(node["default"])

    @staticmethod
    def _number_format(name: str, out: Shape) -> None:
        """Keep what is made within a number format where the schema itself does not (`uint64`, a fraction)."""
        if name in INTEGER_FORMATS:
            out.whole = True
            if name == "uint64" and out.low is None:
                out.low, out.low_open = Fraction(0), False

    def _arrays(self, node: dict[str, Json], out: Shape) -> None:
        out.fewest = max(out.fewest, int(node.get("minItems", 0)))
        out.most = _least(out.most, node.get("maxItems"))
        out.unique = out.unique or node.get("uniqueItems") is True
        if "prefixItems" in node or "items" in node:
            out.lists.append((node.get("prefixItems", []), node.get("items")))
        if "contains" in node:
            most = node.get("maxContains")
            least = int(node.get("minContains", 1))
            out.contains.append((node["contains"], least, None if most is None else int(most)))
        for key, members in (("unevaluatedItems", False), ("unevaluatedProperties", True)):
            if key in node and node[key] is not True:
                # Nothing beyond what is named is made: that passes, whatever else would.
                if members:
                    out.closed = True
                else:
                    out.closed_items = True
                out.checks.append(node)

    def _objects(self, node: dict[str, Json], out: Shape) -> None:
        if any(key in node for key in ("properties", "patternProperties", "additionalProperties")):
            out.groups.append(
                Group(
                    node.get("properties", {}),
                    node.get("patternProperties", {}),
                    node.get("additionalProperties"),
                )
            )
        out.required |= dict.fromkeys(node.get("required", ()))
        if "propertyNames" in node:
            out.names.append(node["propertyNames"])
        out.least = max(out.least, int(node.get("minProperties", 0)))
        out.largest = _least(out.largest, node.get("maxProperties"))
        for name, others in node.get("dependentRequired", {}).items():
            out.dependent.setdefault(name, []).extend(others)

    def _settle(self, node: Json, out: Shape) -> None:
        """Leave out what cannot be; raises Impossible when nothing is left."""
        if out.values is not None:
            inside = [value for value in out.values if json_type(value) in out.types]
            out.values = [value for value in inside if self.valid(node, value)]
            if not out.values:
                raise Impossible("const" if "const" in node else "enum", "nothing of it passes")
            return
        # What is required is required of whatever requires it.
        before = -1
        while before != len(out.required):
            before = len(out.required)
            for name in list(out.required):
                out.required |= dict.fromkeys(out.dependent.get(name, ()))
        told: Impossible | None = None
        kept: list[str] = []
        for kind in out.types:
            try:
                self._possible(kind, out)
                kept.append(kind)
            except Impossible as why:
                told = why
        out.types = tuple(kept)
        if not kept:
            raise told or Impossible("type", "no type is left")

    def _possible(self, kind: str, out: Shape) -> None:
        if kind == "string" and out.longest is not None and out.longest < out.shortest:
            raise Impossible("maxLength", f"{out.longest} is less than minLength {out.shortest}")
        if kind == "array":
            room = out.room()
            if room is not None and room < max(out.fewest, sum(least for _, least, _ in out.contains[:1])):
                raise Impossible("maxItems", "fewer items are allowed than are needed")
        if kind == "object":
            for name in out.required:
                if out.member(name) == (False,):
                    raise Impossible("required", f"{name!r} is required and not allowed")
            if out.largest is not None and out.largest < max(out.least, len(out.required)):
                raise Impossible("maxProperties", "fewer members are allowed than are needed")
        if kind == "number":
            grid = Fraction(1) if out.whole else None
            if out.step is not None:
                grid = out.step if grid is None else _lcm(grid, out.step)
            if not _some_number(out, grid):
                raise Impossible("minimum", "no number fits between the bounds")


_SILENT = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "x-ref"}
)
_BOUNDS = {
    "minimum": "exclusiveMaximum",
    "maximum": "exclusiveMinimum",
    "exclusiveMinimum": "maximum",
    "exclusiveMaximum": "minimum",
}


def _types(node: dict[str, Json]) -> frozenset[str]:
    return frozenset([node["type"]] if isinstance(node["type"], str) else node["type"])


def _least(one: int | None, other: Any) -> int | None:
    if other is None:
        return one
    return int(other) if one is None else min(one, int(other))


def grid_bounds(shape: Shape, grid: Fraction) -> tuple[int | None, int | None]:
    """Return the lowest and the highest multiple of a step within bounds (None: no bound)."""
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


def _some_number(shape: Shape, grid: Fraction | None) -> bool:
    if grid is None:
        if shape.low is None or shape.high is None or shape.low < shape.high:
            return True
        return shape.low == shape.high and not (shape.low_open or shape.high_open)
    low, high = grid_bounds(shape, grid)
    return low is None or high is None or low <= high


def properties(shapes: Sequence[Shape]) -> Iterator[str]:
    """Yield the names of the members that shapes declare, each once."""
    yield from dict.fromkeys(name for shape in shapes for name in shape.declared)


def below(pointer: str, key: str | int | None) -> str:
    """Return the pointer of what lies below: `*` for any member, `-` for any item past the named ones."""
    return f"{pointer}/*" if key is None else point(pointer, key)
