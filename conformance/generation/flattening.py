"""Flattening: turns a schema into a `Shape`, along one path through its branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from conformance.generation.errors import Impossible
from conformance.generation.json_values import exact, least_common_multiple, same_json
from conformance.generation.shape import MemberRules, Shape, multiples_between
from conformance.schema.bundle import Json, json_type, resolve_pointer
from conformance.schema.dialect import INTEGER_FORMATS, is_format_bound
from conformance.schema.validation import Schema

__all__ = ["BranchScript", "DerivedSchemas", "Flattener"]

_MAX_REFERENCES = 64


class BranchScript:
    """Answers each question about branches by a script, and records the answers that remain to be tried."""

    def __init__(self, script: Sequence[int]) -> None:
        """Take the answers from `script`; beyond its end, the first branch."""
        self.script = script
        self.taken: list[int] = []
        self.untried: list[list[int]] = []

    def __call__(self, count: int) -> int:
        """Return which of so many branches to take."""
        at = len(self.taken)
        pick = self.script[at] if at < len(self.script) else 0
        if at >= len(self.script):
            self.untried += [[*self.taken, other] for other in range(1, count)]
        self.taken.append(pick)
        return pick


class DerivedSchemas:
    """Schemas made of others, each made once: compiled schemas are found by their identity."""

    def __init__(self) -> None:
        """Start without any."""
        self._joined: dict[tuple[int, ...], Json] = {}
        self._derived: dict[tuple[int, str], Json] = {}
        self._referenced: list[Json] = []

    def keep_alive(self, node: Json) -> None:
        """Keep a schema in memory, so that no other gets its identity."""
        self._referenced.append(node)

    def join(self, nodes: Sequence[Json]) -> Json:
        """Return one schema that requires what several require."""
        if not nodes:
            return True
        if len(nodes) == 1:
            return nodes[0]
        key = tuple(map(id, nodes))
        if key not in self._joined:
            self._referenced += nodes
            self._joined[key] = {"allOf": list(nodes)}
        return self._joined[key]

    def derived(self, node: Json, about: str, schema: Json) -> Json:
        """Return `schema`, made of another for a purpose; the first one made when asked again."""
        key = (id(node), about)
        if key not in self._derived:
            self._referenced.append(node)
            self._derived[key] = schema
        return self._derived[key]

    def opposite(self, node: Json) -> Json:
        """Return the schema of what another refuses."""
        return self.derived(node, "not", {"not": node})


class Flattener:
    """Flattens the schemas of one document."""

    def __init__(self, schema: Schema, derived: DerivedSchemas) -> None:
        """Flatten parts of `schema`, with `derived` for the schemas made on the way."""
        self.schema = schema
        self.document = schema.document
        self.schemas = derived

    def flatten(self, node: Json, choose: Callable[[int], int]) -> Shape:
        """Return the shape of a schema along the branches that `choose` takes.

        Raises:
            Impossible: nothing is valid along this path.

        """
        shape = Shape()
        self._add(node, shape, choose, 0)
        self._settle(node, shape)
        return shape

    def _add(self, node: Json, out: Shape, choose: Callable[[int], int], depth: int) -> None:
        if node is True:
            return
        if node is False:
            raise Impossible("false", "the schema lets nothing pass")
        if depth > _MAX_REFERENCES:
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
                out.branches.append(f"{key} {pick + 1}")
                if key == "oneOf" and len(node[key]) > 1:
                    out.checks.append(self.schemas.derived(node, "oneOf", {"oneOf": node[key]}))
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

    def _if(self, node: dict[str, Json], out: Shape, choose: Callable[[int], int], depth: int) -> None:
        rest = {key: node[key] for key in ("if", "then", "else") if key in node}
        out.checks.append(self.schemas.derived(node, "if", rest))
        holds = choose(2) == 0
        out.branches.append("then" if holds else "else")
        if holds:
            self._add(node["if"], out, choose, depth + 1)
            self._add(node.get("then", True), out, choose, depth + 1)
        else:
            self._not(node["if"], out, choose, depth)
            self._add(node.get("else", True), out, choose, depth + 1)

    def _not(self, node: Json, out: Shape, choose: Callable[[int], int], depth: int) -> None:
        """Flatten `not` as far as possible; a check does the rest."""
        if isinstance(node, bool):
            if node:
                raise Impossible("not", "the schema lets nothing pass")
            return
        if depth > _MAX_REFERENCES:
            raise Impossible("$ref", "it refers to itself without end")
        keywords = {key for key in node if key not in _ANNOTATIONS}
        if not keywords:
            raise Impossible("not", "the schema lets nothing pass")
        if keywords == {"$ref"}:
            self._not(resolve_pointer(self.document, node["$ref"][1:]), out, choose, depth + 1)
        elif keywords == {"not"}:
            self._add(node["not"], out, choose, depth + 1)
        elif keywords == {"anyOf"}:
            for branch in node["anyOf"]:
                self._not(branch, out, choose, depth + 1)
        elif keywords == {"allOf"}:
            self._not(node["allOf"][choose(len(node["allOf"]))], out, choose, depth + 1)
        elif keywords == {"type"} and "integer" not in _types(node):
            out.types = tuple(kind for kind in out.types if kind not in _types(node))
        elif keywords == {"required"}:
            out.forbidden[node["required"][choose(len(node["required"]))]] = None
            out.checks.append(self.schemas.opposite(node))
        elif keywords and keywords <= {"required", "properties"} and node.get("properties"):
            self._not_members(node, out, choose)
            out.checks.append(self.schemas.opposite(node))
        elif keywords and keywords <= _BOUNDS.keys():
            key = sorted(keywords)[choose(len(keywords))]
            self._add(self.schemas.derived(node, key, {_BOUNDS[key]: node[key]}), out, choose, depth + 1)
            out.checks.append(self.schemas.opposite(node))
        else:
            out.checks.append(self.schemas.opposite(node))

    def _not_members(self, node: dict[str, Json], out: Shape, choose: Callable[[int], int]) -> None:
        """Flatten the usual condition of `if`: one of these members is missing, or has another value."""
        names = list(node["properties"])
        name = names[choose(len(names))]
        if name in node.get("required", ()) and choose(2):
            out.forbidden[name] = None
        else:
            out.required[name] = None
            child = self.schemas.opposite(node["properties"][name])
            out.member_rules.append(MemberRules({name: child}, {}))

    def _scalars(self, node: dict[str, Json], out: Shape) -> None:
        if "type" in node:
            types = _types(node)
            out.types = tuple(
                kind for kind in out.types if kind in types or (kind == "number" and "integer" in types)
            )
            out.integral = out.integral or ("integer" in types and "number" not in types)
        if "const" in node or "enum" in node:
            values = [node["const"]] if "const" in node else node["enum"]
            if out.values is not None:
                values = [value for value in out.values if any(same_json(value, other) for other in values)]
            out.values = list(values)
        self._numbers(node, out)
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
    def _numbers(node: dict[str, Json], out: Shape) -> None:
        for key, is_open in (("minimum", False), ("exclusiveMinimum", True)):
            if key in node and not is_format_bound(node, key):
                bound = exact(node[key])
                if out.low is None or bound > out.low or (bound == out.low and is_open):
                    out.low, out.low_open = bound, is_open
        for key, is_open in (("maximum", False), ("exclusiveMaximum", True)):
            if key in node and not is_format_bound(node, key):
                bound = exact(node[key])
                if out.high is None or bound < out.high or (bound == out.high and is_open):
                    out.high, out.high_open = bound, is_open
        if "multipleOf" in node:
            step = exact(node["multipleOf"])
            out.step = step if out.step is None else least_common_multiple(out.step, step)

    @staticmethod
    def _number_format(name: str, out: Shape) -> None:
        """Bound numbers by their format where the schema does not."""
        if name in INTEGER_FORMATS:
            out.integral = True
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
                # Nothing is generated beyond what is named, which is always valid.
                if members:
                    out.closed = True
                else:
                    out.closed_items = True
                out.checks.append(node)

    def _objects(self, node: dict[str, Json], out: Shape) -> None:
        if any(key in node for key in ("properties", "patternProperties", "additionalProperties")):
            out.member_rules.append(
                MemberRules(
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
        """Remove types and values that are impossible; raise Impossible when none remains."""
        if out.values is not None:
            inside = [value for value in out.values if json_type(value) in out.types]
            out.values = [value for value in inside if self._valid(node, value)]
            if not out.values:
                raise Impossible("const" if "const" in node else "enum", "nothing of it passes")
            return
        # A required member requires what it depends on.
        before = -1
        while before != len(out.required):
            before = len(out.required)
            for name in list(out.required):
                out.required |= dict.fromkeys(out.dependent.get(name, ()))
        reason: Impossible | None = None
        possible: list[str] = []
        for kind in out.types:
            try:
                self._check_type(kind, out)
                possible.append(kind)
            except Impossible as why:
                reason = why
        out.types = tuple(possible)
        if not possible:
            raise reason or Impossible("type", "no type is left")

    def _check_type(self, kind: str, out: Shape) -> None:
        """Raise Impossible when no value of a type is valid."""
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
            grid = Fraction(1) if out.integral else None
            if out.step is not None:
                grid = out.step if grid is None else least_common_multiple(grid, out.step)
            if not _some_number(out, grid):
                raise Impossible("minimum", "no number fits between the bounds")

    def _valid(self, node: Json, value: Json) -> bool:
        return node if isinstance(node, bool) else self.schema.branch(node).valid(value)


_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "x-ref"}
)
#: The bound that forbids what another bound allows.
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


def _some_number(shape: Shape, grid: Fraction | None) -> bool:
    """Return whether a number fits between the bounds."""
    if grid is None:
        if shape.low is None or shape.high is None or shape.low < shape.high:
            return True
        return shape.low == shape.high and not (shape.low_open or shape.high_open)
    low, high = multiples_between(shape, grid)
    return low is None or high is None or low <= high
