"""Data for calls, made by rule rather than by search: valid samples, and data spoiled in one named way.

Everything is drawn from one `random.Random`, so the same seed gives the same data. What is made is checked
with `schema.Schema` before it is handed out: a sample is valid, spoiled data is not, or none is handed out.
"""

from __future__ import annotations

import base64
import copy
import json
import math
import random
import re
import string
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Literal, TypeAlias

from conformance.catalog.model import Method
from conformance.schema.bundle import Json, json_type, resolve_pointer
from conformance.schema.dialect import INTEGER_FORMATS, is_format_bound, is_known_text
from conformance.schema.ecma import ecma, matcher
from conformance.schema.validation import Schema

__all__ = ["CannotGenerate", "Optional", "Sampler", "Violation", "alternatives", "other_than", "violations"]

#: How many of the optional members a sample has.
Optional: TypeAlias = Literal["none", "all", "some"]

_ATTEMPTS = 40
_DEEPEST = 24
_SHALLOW = 4
_NUMERIC = frozenset({"integer", "number"})
_EVERY = ("string", "object", "array", "integer", "number", "boolean", "null")
_SAFE = 2**53 - 1


class CannotGenerate(Exception):  # noqa: N818  (said to people as it stands)
    """No sample was found; `keyword` is the keyword of the schema that stood in the way."""

    def __init__(self, keyword: str, why: str = "") -> None:
        super().__init__(f"{keyword}: {why}" if why else keyword)
        self.keyword = keyword


def unknown_format(name: str) -> str:
    """Say why no text can be made of a format."""
    return f"the format {name!r} is not known: add examples of such texts to the schema"


# --- a schema laid flat -------------------------------------------------------------------------------------


@dataclass
class _Flat:
    """All that a schema says of one place: references, `allOf` and the chosen branches merged into it."""

    types: frozenset[str] | None = None
    values: list[Json] | None = None
    low: Fraction | None = None
    high: Fraction | None = None
    above: Fraction | None = None
    below: Fraction | None = None
    steps: list[Fraction] = field(default_factory=list)
    shortest: int = 0
    longest: int | None = None
    patterns: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    prefix: list[Json] = field(default_factory=list)
    items: list[Json] = field(default_factory=list)
    fewest: int = 0
    most: int | None = None
    unique: bool = False
    contains: list[tuple[Json, int]] = field(default_factory=list)
    properties: dict[str, list[Json]] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    additional: list[Json] = field(default_factory=list)
    named: dict[str, list[Json]] = field(default_factory=dict)
    names: list[Json] = field(default_factory=list)
    least: int = 0
    largest: int | None = None
    dependent: dict[str, list[str]] = field(default_factory=dict)
    examples: list[Json] = field(default_factory=list)
    ref: str | None = None
    #: Whether a branch was chosen, so that the next time it may look otherwise.
    chosen: bool = False
    #: Whether a value made from it may still be invalid, for what cannot be laid flat (`not`, `oneOf`, `if`).
    doubtful: bool = False

    def declared(self) -> tuple[str, ...]:
        """Return the types that a value may have, those that the other keywords speak of first."""
        if self.values is not None:
            kinds = dict.fromkeys(_schema_type(value) for value in self.values)
            return tuple(kind for kind in kinds if self.types is None or _lets(self.types, kind))
        if self.types is not None:
            return tuple(sorted(self.types, key=_EVERY.index))
        guesses: list[str] = []
        if self.properties or self.required or self.additional or self.named or self.least:
            guesses.append("object")
        if self.items or self.prefix or self.fewest or self.contains:
            guesses.append("array")
        if self.patterns or self.formats or self.shortest or self.longest is not None:
            guesses.append("string")
        if self.steps or any(bound is not None for bound in (self.low, self.high, self.above, self.below)):
            guesses.append("number")
        return tuple(guesses) or ("string",)


def _schema_type(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json_type(value)
    return "integer" if float(value).is_integer() else "number"


def _lets(types: frozenset[str], kind: str) -> bool:
    return kind in types or (kind == "integer" and "number" in types)


def _exact(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _higher(one: Any, other: Any) -> Any:
    return other if one is None else max(one, other)


def _lower(one: Any, other: Any) -> Any:
    return other if one is None else min(one, other)


Choose: TypeAlias = Callable[[Sequence[Json]], Json]


class _Merger:
    """Lays a node of a bundled schema flat; `choose` picks among branches."""

    def __init__(self, document: Json, choose: Choose) -> None:
        self.document = document
        self.choose = choose

    def flat(self, node: Json) -> _Flat:
        out = _Flat()
        self.add(node, out, 0)
        return out

    def add(self, node: Json, out: _Flat, depth: int) -> None:
        if node is True:
            return
        if node is False:
            raise CannotGenerate("false", "the schema lets nothing pass")
        if depth > 64:
            raise CannotGenerate("$ref", "it refers to itself without end")
        self._plain(node, out)
        self._containers(node, out)
        if "$ref" in node:
            self.add(resolve_pointer(self.document, node["$ref"][1:]), out, depth + 1)
        for branch in node.get("allOf", ()):
            self.add(branch, out, depth + 1)
        for key in ("anyOf", "oneOf"):
            if key in node:
                out.chosen = True
                out.doubtful |= key == "oneOf"
                self.add(self.choose(node[key]), out, depth + 1)
        out.doubtful |= "not" in node
        if "if" in node:
            out.chosen = out.doubtful = True
            holds = {"allOf": [node["if"], node.get("then", True)]}
            self.add(self.choose([holds, node.get("else", True)]), out, depth + 1)
        for name, child in node.get("dependentSchemas", {}).items():
            out.chosen = out.doubtful = True
            self.add(self.choose([True, {"allOf": [{"required": [name]}, child]}]), out, depth + 1)

    def _plain(self, node: dict[str, Json], out: _Flat) -> None:
        if "type" in node:
            declared = frozenset([node["type"]] if isinstance(node["type"], str) else node["type"])
            if out.types is not None:
                both = {kind for kind in declared if _lets(out.types, kind)}
                declared = frozenset(both | {kind for kind in out.types if _lets(declared, kind)})
            out.types = declared
        if "const" in node or "enum" in node:
            values = [node["const"]] if "const" in node else node["enum"]
            kept = (
                values if out.values is None else [v for v in out.values if any(_same(v, w) for w in values)]
            )
            out.values = list(kept)
        if "minimum" in node and not is_format_bound(node, "minimum"):
            out.low = _higher(out.low, _exact(node["minimum"]))
        if "maximum" in node and not is_format_bound(node, "maximum"):
            out.high = _lower(out.high, _exact(node["maximum"]))
        if "exclusiveMinimum" in node:
            out.above = _higher(out.above, _exact(node["exclusiveMinimum"]))
        if "exclusiveMaximum" in node:
            out.below = _lower(out.below, _exact(node["exclusiveMaximum"]))
        if "multipleOf" in node:
            out.steps.append(_exact(node["multipleOf"]))
        out.shortest = max(out.shortest, int(node.get("minLength", 0)))
        if "maxLength" in node:
            out.longest = _lower(out.longest, int(node["maxLength"]))
        if "pattern" in node:
            out.patterns.append(node["pattern"])
        if "format" in node:
            out.formats.append(node["format"])
            if node["format"] == "uint64":
                out.low = _higher(out.low, Fraction(0))
        if isinstance(node.get("x-ref"), str):
            out.ref = out.ref or node["x-ref"]
        out.examples += node["examples"] if isinstance(node.get("examples"), list) else []
        out.examples += [node["default"]] if "default" in node else []

    def _containers(self, node: dict[str, Json], out: _Flat) -> None:
        out.fewest = max(out.fewest, int(node.get("minItems", 0)))
        if "maxItems" in node:
            out.most = _lower(out.most, int(node["maxItems"]))
        out.unique = out.unique or node.get("uniqueItems") is True
        for index, child in enumerate(node.get("prefixItems", ())):
            if index < len(out.prefix):
                out.prefix[index] = _all_of([out.prefix[index], child])
            else:
                out.prefix.append(child)
        if "items" in node:
            out.items.append(node["items"])
        if "contains" in node and int(node.get("minContains", 1)) > 0:
            out.contains.append((node["contains"], int(node.get("minContains", 1))))
        for name, child in node.get("properties", {}).items():
            out.properties.setdefault(name, []).append(child)
        out.required += [name for name in node.get("required", ()) if name not in out.required]
        for key in ("additionalProperties", "unevaluatedProperties"):
            if key in node:
                out.additional.append(node[key])
        for pattern, child in node.get("patternProperties", {}).items():
            out.named.setdefault(pattern, []).append(child)
        if "propertyNames" in node:
            out.names.append(node["propertyNames"])
        out.least = max(out.least, int(node.get("minProperties", 0)))
        if "maxProperties" in node:
            out.largest = _lower(out.largest, int(node["maxProperties"]))
        for name, others in node.get("dependentRequired", {}).items():
            out.dependent.setdefault(name, []).extend(others)


class _Joined(dict[str, Any]):
    """A node that stands nowhere in a document: made for the moment, and not remembered."""


def _all_of(nodes: list[Json]) -> Json:
    return nodes[0] if len(nodes) == 1 else _Joined(allOf=nodes)


def _item(flat: _Flat, index: int) -> Json:
    if index < len(flat.prefix):
        return flat.prefix[index]
    return _all_of(flat.items) if flat.items else True


def _same(one: Json, other: Json) -> bool:
    return _key(one) == _key(other)


def _key(value: Json) -> str:
    """Return a text that two values share exactly when JSON Schema holds them equal."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


# --- text from a pattern ------------------------------------------------------------------------------------

_NICE = string.ascii_lowercase + string.digits + string.ascii_uppercase
_TYPED = _NICE + "-_.:/@ " + string.punctuation


@lru_cache(maxsize=512)
def _parsed(pattern: str) -> Any:
    return _parser.parse(ecma(pattern))


class _Writer:
    """Writes a text that a parsed pattern matches; assertions are left to the check that follows."""

    def __init__(self, rng: random.Random, reach: int) -> None:
        self.rng = rng
        self.reach = reach
        self.groups: dict[int, str] = {}

    def write(self, tree: Any) -> str:
        return "".join([self._one(str(op), argument) for op, argument in tree])

    def _one(self, op: str, argument: Any) -> str:
        if op == "LITERAL":
            return chr(argument)
        if op in ("NOT_LITERAL", "IN", "ANY"):
            return self._char(op, argument)
        if op in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = argument
            count = self.rng.randint(least, min(int(most), least + self.reach))
            return "".join([self.write(inner) for _ in range(count)])
        if op == "SUBPATTERN":
            text = self.write(argument[-1])
            if argument[0] is not None:
                self.groups[argument[0]] = text
            return text
        if op == "BRANCH":
            return self.write(self.rng.choice(argument[1]))
        if op == "GROUPREF":
            return self.groups.get(argument, "")
        if op == "ATOMIC_GROUP":
            return self.write(argument)
        return ""  # AT, ASSERT, ASSERT_NOT

    def _char(self, op: str, argument: Any) -> str:
        if op == "ANY":
            return self.rng.choice(_NICE)
        signs = _signs((("NEGATE", None), ("LITERAL", argument)) if op == "NOT_LITERAL" else tuple(argument))
        return self.rng.choice(signs)


@lru_cache(maxsize=512)
def _signs(sets: tuple[tuple[Any, Any], ...]) -> str:
    """Return characters of a class: letters and digits if it has some, else what can be typed, or others."""
    named = [(str(kind), what) for kind, what in sets]
    negated = named[0][0] == "NEGATE"
    ranges = [
        (what, what) if kind == "LITERAL" else what for kind, what in named if kind in ("LITERAL", "RANGE")
    ]
    nice = [sign for sign in _TYPED if any(low <= ord(sign) <= high for low, high in ranges) != negated]
    if nice:
        return "".join([sign for sign in nice if sign in _NICE] or nice)
    if negated:
        others = [c for c in range(0xC0, 0x3000) if not any(low <= c <= high for low, high in ranges)][:64]
    else:
        some = [code for low, high in ranges for code in range(low, min(high, low + 64) + 1)]
        others = [code for code in some if not 0xD800 <= code <= 0xDFFF]
    if not others:
        raise CannotGenerate("pattern", "a class of it is empty")
    return "".join(map(chr, others))


# --- samples ------------------------------------------------------------------------------------------------


class Sampler:
    """Makes valid values.

    `fresh()` gives a tag such as "conform-1a2b-17": free text carries it, shortened to fit, so that what a
    run made can be told by it. `resolve(kind)` gives the identifier for a place marked x-ref.
    """

    def __init__(self, rng: random.Random, fresh: Callable[[], str], resolve: Callable[[str], Json]) -> None:
        self.rng = rng
        self.fresh = fresh
        self.resolve = resolve
        #: Make up identifiers by their schema: for data that is never sent.
        self.pretend = False
        #: Let any text stand for one of an unknown format: in data that is invalid for another reason.
        self.placeholders = False
        self._schemas: dict[int, tuple[Json, Schema]] = {}
        self._flats: dict[int, tuple[Json, _Flat]] = {}

    def bound(self, rng: random.Random, resolve: Callable[[str], Json]) -> Sampler:
        """Return a sampler that draws from elsewhere and finds other identifiers, and shares what was compiled."""
        other = Sampler(rng, self.fresh, resolve)
        other._schemas, other._flats = self._schemas, self._flats
        return other

    def sample(self, schema: Json | Schema, *, optional: Optional = "none") -> Json:
        """Return a value that a bundled schema (`Param.schema`, `Method.data`) lets pass.

        Raises CannotGenerate, naming the keyword, when none is found.
        """
        compiled = self._compiled(schema)
        reason = CannotGenerate("schema", "no value was found that it lets pass")
        for _ in range(_ATTEMPTS):
            try:
                value = _Making(self, compiled, optional).value(compiled.document, 0)
            except CannotGenerate as why:
                reason = why
                continue
            if compiled.valid(value):
                return value
            _, keyword, message = compiled.errors(value)[0]
            reason = CannotGenerate(keyword, message)
        raise reason

    def alternatives(self, schema: Json | Schema, count: int = 4) -> list[Json]:
        """Return up to `count` valid values that all differ; one at least.

        Raises CannotGenerate when none is found.
        """
        found: dict[str, Json] = {}
        for attempt in range(count * 8):
            value = self.sample(schema, optional="all" if attempt % 2 else "some")
            found.setdefault(_key(value), value)
            if len(found) >= count:
                break
        return list(found.values())

    def other_than(self, schema: Json | Schema, value: Json) -> Json:
        """Return a valid value that differs from the given one (STA-2).

        Raises CannotGenerate when the schema lets nothing else pass.
        """
        for attempt in range(32):
            other = self.sample(schema, optional="some" if attempt else "all")
            if not _same(other, value):
                return other
        for other in self._compiled_values(schema):
            if not _same(other, value):
                return other
        raise CannotGenerate("const", f"the schema lets nothing pass but {json.dumps(value)[:60]}")

    def _compiled_values(self, schema: Json | Schema) -> list[Json]:
        compiled = self._compiled(schema)
        values = _Merger(compiled.document, lambda branches: branches[0]).flat(compiled.document).values or []
        return [value for value in values if compiled.valid(value)]

    def _compiled(self, schema: Json | Schema) -> Schema:
        if isinstance(schema, Schema):
            return schema
        known = self._schemas.get(id(schema))
        if known is None or known[0] is not schema:
            known = self._schemas[id(schema)] = (schema, Schema(schema))
        return known[1]

    def flat(self, node: Json, document: Json, choose: Choose) -> _Flat:
        """Lay a node flat; what needs no choice is laid once."""
        known = self._flats.get(id(node))
        if known is not None and known[0] is node:
            return known[1]
        flat = _Merger(document, choose).flat(node)
        if not flat.chosen and isinstance(node, dict) and not isinstance(node, _Joined):
            self._flats[id(node)] = (node, flat)
        return flat


class _Making:
    """One value in the making."""

    def __init__(self, sampler: Sampler, whole: Schema, optional: Optional) -> None:
        self.sampler = sampler
        self.rng = sampler.rng
        self.whole = whole
        self.document = whole.document
        self.optional = optional

    def value(self, node: Json, depth: int) -> Json:
        if depth > _DEEPEST:
            raise CannotGenerate("$ref", "it refers to itself without end")
        for _ in range(12):
            flat = self.sampler.flat(node, self.document, self._choose)
            value = self.of(flat, depth)
            # What is in doubt is tried again here, where it is cheap; the whole is checked in any case.
            if not flat.doubtful or depth == 0 or isinstance(node, _Joined):
                break
            if self.whole.branch(node).valid(value):
                break
        return value

    def _choose(self, branches: Sequence[Json]) -> Json:
        # null is a value among others only where anything goes; elsewhere it would say nothing.
        if self.optional != "some":
            telling = [
                b
                for b in branches
                if not (isinstance(b, dict) and b.get("type") == "null") and b is not False
            ]
            branches = telling or branches
        return self.rng.choice(branches)

    def _mode(self, depth: int) -> Optional:
        return "none" if depth > _SHALLOW else self.optional

    def of(self, flat: _Flat, depth: int) -> Json:
        """Return a value for a flat schema."""
        if flat.ref is not None and not self.sampler.pretend:
            return self.sampler.resolve(flat.ref)
        if flat.values is not None:
            values = [v for v in flat.values if flat.types is None or _lets(flat.types, _schema_type(v))]
            telling = [v for v in values if v is not None] if self.optional != "some" else values
            if not values:
                raise CannotGenerate("enum", "it lets nothing pass")
            return copy.deepcopy(self.rng.choice(telling or values))
        kinds: Sequence[str] = flat.declared()
        if not kinds:
            raise CannotGenerate("type", "no type is left")
        if self.optional != "some":
            kinds = [kind for kind in kinds if kind != "null"] or kinds
        kind = self.rng.choice(kinds) if flat.types is not None else kinds[0]
        if kind == "string":
            return self.text(flat)
        if kind in _NUMERIC:
            return self.number(flat, whole=kind == "integer")
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "array":
            return self.array(flat, depth)
        return self.object(flat, depth) if kind == "object" else None

    # --- numbers

    def number(self, flat: _Flat, *, whole: bool) -> int | float:
        told = [e for e in flat.examples if isinstance(e, int | float) and not isinstance(e, bool)]
        if told and self.rng.random() < 0.5:
            return self.rng.choice(told)
        step = Fraction(1) if whole or any(name in INTEGER_FORMATS for name in flat.formats) else None
        for other in flat.steps:
            step = other if step is None else _lcm(step, other)
        grids = [step] if step else [Fraction(1, 2), *(Fraction(1, 10**k) for k in range(1, 16))]
        for grid in grids:
            low, high = _grid_range(flat, grid)
            if low <= high:
                found = self.rng.randint(low, high) * grid
                return int(found) if found.denominator == 1 else float(found)
        raise CannotGenerate("minimum", "no number fits between the bounds")

    # --- text

    def text(self, flat: _Flat) -> str:
        low, high = flat.shortest, flat.longest
        if high is not None and high < low:
            raise CannotGenerate("maxLength", f"{high} is less than minLength {low}")
        known = [name for name in flat.formats if name in _FORMATS]
        unknown = [name for name in flat.formats if not is_known_text(name)]
        if unknown and not self.sampler.placeholders:
            return self.given(flat, unknown[0])
        if flat.patterns:
            return self.matching(flat)
        if known:
            return _FORMATS[known[0]](self.rng, self.sampler.fresh(), low, high)
        told = [e for e in flat.examples if isinstance(e, str)]
        if flat.formats and told:
            return self.rng.choice(told)
        return _fit(self.sampler.fresh(), low, high)

    def given(self, flat: _Flat, name: str) -> str:
        """Return one of the texts that the catalogue gives, for a format that nobody knows."""
        low, high = flat.shortest, flat.longest
        fits = [
            text
            for text in flat.examples
            if isinstance(text, str)
            and low <= len(text) <= (_SAFE if high is None else high)
            and all(matcher(pattern)(text) for pattern in flat.patterns)
        ]
        if not fits:
            raise CannotGenerate("format", unknown_format(name))
        return self.rng.choice(fits)

    def matching(self, flat: _Flat) -> str:
        low, high = flat.shortest, flat.longest
        matchers = [matcher(pattern) for pattern in flat.patterns]

        def fits(text: str) -> bool:
            return (
                len(text) >= low
                and (high is None or len(text) <= high)
                and text == text.strip()
                and text.isprintable()
                and all(match(text) for match in matchers)
            )

        try:
            tree = _parsed(flat.patterns[0])
        except ValueError:
            tree = None
        tag = self.sampler.fresh()
        known = [name for name in flat.formats if name in _FORMATS]
        if known:
            for _ in range(20):
                text = _FORMATS[known[0]](self.rng, tag, low, high)
                if fits(text):
                    return text
        else:
            width = int(tree.getwidth()[1]) if tree is not None else _SAFE
            for text in _spellings(tag, low, min(width, _SAFE if high is None else high)):
                if fits(text):
                    return text
        if tree is not None:
            # One with nothing unusual in it: white space at an end, say, would be trimmed away.
            for attempt in range(60):
                reach = (max(4, low), 2, low, 0, 12, 40)[attempt % 6]
                text = _Writer(self.rng, reach).write(tree)
                if fits(text):
                    return text
        for text in flat.examples:
            if isinstance(text, str) and fits(text):
                return text
        raise CannotGenerate("pattern", f"no text was found that matches {flat.patterns[0]!r}")

    # --- arrays and objects

    def array(self, flat: _Flat, depth: int) -> list[Json]:
        mode = self._mode(depth)
        wanted = [_all_of([schema, *flat.items]) for schema, count in flat.contains for _ in range(count)]
        least = max(flat.fewest, len(flat.prefix) if mode == "all" and flat.prefix else 0)
        if wanted:
            least = max(least, len(flat.prefix) + len(wanted))
        extra = {"none": 0, "all": 2 if not flat.prefix else 0, "some": self.rng.randint(0, 2)}[mode]
        most = _SAFE if flat.most is None else flat.most
        if any(item is False for item in flat.items):
            most = min(most, len(flat.prefix))
        count = min(max(least, flat.fewest + (extra if flat.fewest < 2 else 0)), most)
        if count < flat.fewest:
            raise CannotGenerate("maxItems", "fewer items are allowed than are needed")
        out: list[Json] = []
        seen: set[str] = set()
        for index in range(count):
            beyond = index - len(flat.prefix)
            node = wanted[beyond] if 0 <= beyond < len(wanted) else _item(flat, index)
            try:
                item = self._unlike(node, depth, seen) if flat.unique else self.value(node, depth + 1)
            except CannotGenerate:
                if len(out) >= max(flat.fewest, len(wanted)):
                    break
                raise
            out.append(item)
        return out

    def _unlike(self, node: Json, depth: int, seen: set[str]) -> Json:
        for _ in range(24):
            item = self.value(node, depth + 1)
            key = _key(item)
            if key not in seen:
                seen.add(key)
                return item
        raise CannotGenerate("uniqueItems", "too few different items are possible")

    def object(self, flat: _Flat, depth: int) -> dict[str, Json]:
        mode = self._mode(depth)
        names = [name for name in flat.properties if name in flat.required]
        names += [name for name in flat.required if name not in flat.properties]
        free = [name for name in flat.properties if name not in flat.required]
        most = _SAFE if flat.largest is None else flat.largest
        if mode == "some":
            free = [name for name in free if self.rng.random() < 0.5]
        need = max(0, flat.least - len(names)) if mode == "none" else most
        picked = set(names) | set(free[: max(0, min(need, most - len(names)))])
        self._close(flat, picked)
        out: dict[str, Json] = {}
        for name in [*flat.properties, *sorted(picked - set(flat.properties), key=str)]:
            if name in picked:
                try:
                    out[name] = self.value(self.member(flat, name), depth + 1)
                except CannotGenerate:
                    if name in flat.required:
                        raise
        is_map = not flat.properties and (flat.named or any(isinstance(a, dict) for a in flat.additional))
        wanted = 2 if is_map and mode == "all" else self.rng.randint(0, 2) if is_map and mode == "some" else 0
        for number in range(64):
            if len(out) >= min(max(flat.least, wanted), most):
                break
            name = self._name(flat, number, depth)
            if name not in out:
                out[name] = self.value(self.member(flat, name), depth + 1)
        return out

    def _close(self, flat: _Flat, picked: set[str]) -> None:
        """Add what the picked members need beside them."""
        before = -1
        while before != len(picked):
            before = len(picked)
            picked |= {other for name in list(picked) for other in flat.dependent.get(name, ())}

    def member(self, flat: _Flat, name: str) -> Json:
        """Return the schema of a member of an object."""
        nodes = list(flat.properties.get(name, ()))
        for pattern, children in flat.named.items():
            if matcher(pattern)(name):
                nodes += children
        if not nodes:
            nodes = flat.additional
            if any(node is False for node in nodes):
                raise CannotGenerate("additionalProperties", f"{name!r} is required and not allowed")
        return _all_of(nodes) if nodes else True

    def _name(self, flat: _Flat, number: int, depth: int) -> str:
        if flat.names:
            node = _all_of([{"type": "string"}, *flat.names])
            return str(self.value(node, depth + 1))
        if flat.named and (not flat.additional or False in flat.additional or number % 2 == 0):
            pattern = self.rng.choice(list(flat.named))
            return self.matching(_Flat(types=frozenset({"string"}), patterns=[pattern]))
        return f"{re.sub('[^a-z0-9]', '', self.sampler.fresh().lower()) or 'key'}{number}"


def _lcm(one: Fraction, other: Fraction) -> Fraction:
    return Fraction(math.lcm(one.numerator, other.numerator), math.gcd(one.denominator, other.denominator))


def _grid_range(flat: _Flat, grid: Fraction) -> tuple[int, int]:
    """Return the lowest and highest multiple of a step that bounds allow, within 1 to 1000 where possible."""
    low = high = None
    if flat.low is not None:
        low = math.ceil(flat.low / grid)
    if flat.above is not None:
        low = _higher(low, math.floor(flat.above / grid) + 1)
    if flat.high is not None:
        high = math.floor(flat.high / grid)
    if flat.below is not None:
        high = _lower(high, math.ceil(flat.below / grid) - 1)
    first, last = math.ceil(1 / grid), max(math.floor(1000 / grid), math.ceil(1 / grid))
    span = max(last - first, 1)
    plain_low, plain_high = _higher(low, first), _lower(high, last)
    if plain_low <= plain_high:
        return plain_low, plain_high
    if low is None:
        low = high - span if high is not None else first
    if high is None:
        high = low + span
    return low, high


def _fit(tag: str, low: int, high: int | None) -> str:
    """Cut a tag to length, keeping its end, which tells it from others; or fill it up."""
    if high is not None and len(tag) > high:
        tag = tag[len(tag) - high :]
        if tag.startswith(("-", "_", ".")):
            tag = "x" + tag[1:]
    if len(tag) < low:
        tag += "-" * (low - len(tag) > 1) + "x" * (low - len(tag) - (low - len(tag) > 1))
    if high and not tag:
        tag = "x"
    return tag


def _spellings(tag: str, low: int, high: int) -> Iterator[str]:
    plain = re.sub(r"[^a-z0-9]", "", tag.lower())
    letters = plain.translate(str.maketrans(string.digits, "abcdefghij"))
    for each in (
        tag,
        plain,
        plain.upper(),
        letters,
        letters.upper(),
        letters.capitalize(),
        plain.capitalize(),
    ):
        # Only as long as the tag itself: a pattern may let any length pass.
        text = _fit(each, low, high)
        yield text if text.isalnum() or each is tag else re.sub(r"[^A-Za-z0-9]", "x", text)


# --- text of a format ---------------------------------------------------------------------------------------

Maker: TypeAlias = Callable[[random.Random, str, int, int | None], str]


def _slug(tag: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-") or "x"


def _between(
    low: int, high: int | None, *, head: Sequence[str], tag: str, tail: str = "", keyword: str
) -> str:
    """Return head + tag + tail with the first head that leaves room for some of the tag."""
    for start in head:
        room = _SAFE if high is None else high - len(start) - len(tail)
        if room >= min(6, len(tag)) or (start == head[-1] and room >= 1):
            return start + _fit(tag, low - len(start) - len(tail), room) + tail
    raise CannotGenerate(keyword, f"maxLength {high} leaves no room for the format")


def _email(rng: random.Random, tag: str, low: int, high: int | None) -> str:
    domain = "@example.com"
    if high is not None and high < len(domain) + 4:
        domain = "@ex.io"
    local = _fit(
        _slug(tag), min(low - len(domain), 64), min(64, _SAFE if high is None else high - len(domain))
    )
    if not local:
        raise CannotGenerate("format", f"maxLength {high} leaves no room for an e-mail address")
    local = local.strip("-") or "x"
    missing = low - len(local) - len(domain)
    while missing > 0:
        label = max(1, min(missing - 1, 60))
        domain = f"@{'x' * label}.{domain[1:]}"
        missing -= label + 1
    return local + domain


def _day(rng: random.Random) -> str:
    return f"{rng.randint(2020, 2029)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _clock(rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}Z"


def _links(*head: str) -> Maker:
    def make(rng: random.Random, tag: str, low: int, high: int | None) -> str:
        return _between(low, high, head=head, tag=_slug(tag), keyword="format")

    return make


def _host(rng: random.Random, tag: str, low: int, high: int | None) -> str:
    tail = ".example.com" if high is None or high >= 16 else ""
    label = _between(0, high, head=("",), tag=_slug(tag)[-63:].strip("-"), tail=tail, keyword="format")
    while len(label) < low:
        label = f"{'x' * max(1, min(low - len(label) - 1, 60))}.{label}"
    return label


def _base64(rng: random.Random, tag: str, low: int, high: int | None) -> str:
    room = _SAFE if high is None else high // 4 * 3
    if room < 3:
        raise CannotGenerate("format", f"maxLength {high} leaves no room for base64")
    text = _fit(_slug(tag), (low + 3) // 4 * 3, room)
    return base64.b64encode(text.encode()).decode()


_FORMATS: dict[str, Maker] = {
    "byte": _base64,
    "email": _email,
    "idn-email": _email,
    "date": lambda rng, tag, low, high: _day(rng),
    "time": lambda rng, tag, low, high: _clock(rng),
    "date-time": lambda rng, tag, low, high: f"{_day(rng)}T{_clock(rng)}",
    "duration": lambda rng, tag, low, high: f"P{rng.randint(1, 28)}D",
    "uuid": lambda rng, tag, low, high: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    "ipv4": lambda rng, tag, low, high: f"192.0.2.{rng.randint(1, 254)}",
    "ipv6": lambda rng, tag, low, high: f"2001:db8::{rng.randint(1, 0xFFFF):x}",
    "hostname": _host,
    "idn-hostname": _host,
    "uri": _links("https://example.com/", "https://ex.io/", "urn:x:"),
    "iri": _links("https://example.com/", "https://ex.io/", "urn:x:"),
    "uri-reference": _links("https://example.com/", "/"),
    "iri-reference": _links("https://example.com/", "/"),
    "uri-template": _links("https://example.com/{id}/", "/{id}/"),
    "json-pointer": _links("/"),
    "relative-json-pointer": _links("0/"),
    "regex": _links("^"),
}


# --- without a sampler of one's own -------------------------------------------------------------------------


def _plain_sampler(rng: random.Random) -> Sampler:
    run = f"{rng.getrandbits(16):04x}"
    count = iter(range(1, _SAFE))

    def resolve(kind: str) -> Json:
        raise CannotGenerate("x-ref", f"it takes the identifier of a {kind}")

    return Sampler(rng, lambda: f"conform-{run}-{next(count)}", resolve)


def alternatives(schema: Json, rng: random.Random) -> list[Json]:
    """Return a few valid values that all differ; raises CannotGenerate if there is none, or for an x-ref."""
    return _plain_sampler(rng).alternatives(schema)


def other_than(schema: Json, value: Json, rng: random.Random | None = None) -> Json:
    """Return a valid value that differs from the given one; raises CannotGenerate when there is none."""
    return _plain_sampler(rng or random.Random(0)).other_than(schema, value)


# --- spoiled data -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Violation:
    """One way to break valid data: `apply` returns a spoiled copy.

    `rule` is REQ-7, REQ-8 or REQ-9; `kind` names the violation ("level.min: string instead of integer") and
    is the same in every run; `parameter` is the argument that is broken. `apply` raises CannotGenerate where
    the data at hand has no such place and none can be made, or would not be invalid.
    """

    rule: str
    kind: str
    parameter: str
    apply: Callable[[dict[str, Json]], dict[str, Json]] = field(repr=False, compare=False)


@dataclass(frozen=True)
class _Step:
    """One step down: the container as it must be, and the member or item to go to (None: a key of a map)."""

    flat: _Flat
    key: str | int | None
    child: Json
    #: Whether the container has other shapes too, so that what is there may be one of those.
    several: bool


Change: TypeAlias = Callable[["_Violator", Json, _Flat], Json]


class _Gone:
    """Stands for: leave the member out."""


_GONE = _Gone()


@dataclass(frozen=True)
class _Idea:
    """A violation that may be one: proven before it becomes a Spoil."""

    rule: str
    text: str
    steps: tuple[_Step, ...]
    flat: _Flat
    change: Change
    several: bool = False
    #: Whether the change starts from the value that is there (or one made for it).
    needs: bool = False


class _Violator:
    """Finds the ways to spoil one function's data."""

    def __init__(self, method: Method, resolve: Callable[[str], Json] | None) -> None:
        self.method = method
        self.document = method.data.document
        rng = random.Random(0)
        self.sampler = _plain_sampler(rng)
        self.sampler.placeholders = True
        if resolve is not None:
            self.sampler.resolve = resolve

    # --- applying

    def value(self, node: Json) -> Json:
        last: CannotGenerate | None = None
        for _ in range(8):
            try:
                return _Making(self.sampler, self.method.data, "all").value(node, 1)
            except CannotGenerate as why:
                last = why
        raise last or CannotGenerate("schema")

    def of(self, flat: _Flat) -> Json:
        return _Making(self.sampler, self.method.data, "all").of(flat, 1)

    def apply(self, idea: _Idea, data: dict[str, Json]) -> dict[str, Json]:
        root: list[Json] = [copy.deepcopy(data)]
        box: Json = root
        key: Json = 0
        for number, step in enumerate(idea.steps):
            last = number == len(idea.steps) - 1
            wanted = list if isinstance(step.key, int) else dict
            here = box[key]
            if step.several or not isinstance(here, wanted):
                here = box[key] = self.of(step.flat)
                if not isinstance(here, wanted):
                    raise CannotGenerate("type", "no such container could be made")
            into = self._enter(here, step, made=not last or idea.needs)
            box, key = here, into
        current = box[key] if idea.needs else None
        if idea.needs and (idea.several or not _fits_type(idea.flat, current)):
            current = self.of(idea.flat)
        changed = idea.change(self, current, idea.flat)
        if changed is _GONE:
            box.pop(key, None)
        else:
            box[key] = changed
        invalid_data = root[0]
        if not isinstance(invalid_data, dict) or self.method.data.valid(invalid_data):
            raise CannotGenerate("schema", f"{idea.text}: this would be valid")
        return invalid_data

    def _enter(self, here: Json, step: _Step, *, made: bool) -> str | int:
        if isinstance(step.key, int):
            while len(here) <= step.key:
                here.append(self.value(step.child))
            return step.key
        key = step.key if step.key is not None else next(iter(here), None)
        if key is None:
            key = _Making(self.sampler, self.method.data, "all")._name(step.flat, 1, 1)
        if made and key not in here:
            here[key] = self.value(step.child)
        return key

    # --- finding

    def ideas(self) -> Iterator[_Idea]:
        for variant in self.variants(self.document):
            yield from self._members(variant, (), "", path=frozenset(), several=False)

    def variants(self, node: Json) -> list[_Flat]:
        """Return the shapes that a node may have, one for each way through its branches (at most eight)."""
        found: list[_Flat] = []
        scripts: list[list[int]] = [[]]
        while scripts and len(found) < 8:
            script = scripts.pop(0)
            taken: list[int] = []

            def choose(
                branches: Sequence[Json], taken: list[int] = taken, script: list[int] = script
            ) -> Json:
                at = len(taken)
                pick = script[at] if at < len(script) else 0
                if at >= len(script):
                    scripts.extend([*taken, other] for other in range(1, len(branches)))
                taken.append(pick)
                return branches[pick]

            try:
                found.append(_Merger(self.document, choose).flat(node))
            except CannotGenerate:
                continue
        return found

    def node(
        self, node: Json, steps: tuple[_Step, ...], label: str, *, required: bool | None, path: frozenset[int]
    ) -> Iterator[_Idea]:
        """Yield the violations at one place; `required` is None for the items of an array."""
        if id(node) in path or len(steps) > 5:
            return
        variants = self.variants(node)
        if not variants:
            return
        several = len(variants) > 1
        types = frozenset().union(*(self._types(variant) for variant in variants))
        plain = next((variant for variant in variants if variant.declared() != ("null",)), variants[0])
        if required:
            yield _Idea("REQ-7", f"{label} left out", steps, plain, lambda *_: _GONE)
        if "null" not in types:
            rule = "REQ-7" if required else "REQ-8"
            told = "null" if required else f"null instead of {_listed(types)}"
            yield _Idea(rule, f"{label}: {told}", steps, plain, lambda *_: None)
        for told, value in _strangers(types):
            yield _Idea("REQ-8", f"{label}: {told} instead of {_listed(types)}", steps, plain, _put(value))
        for variant in variants:
            # An identifier outside its declared form is invalid data (REQ-9), not an unknown object (COD-10).
            yield from self._limits(variant, steps, label, several)
        for variant in variants:
            if variant.ref is None:
                yield from self._inside(variant, steps, label, path | {id(node)}, several)

    def _types(self, flat: _Flat) -> frozenset[str]:
        if flat.types is None and flat.values is None:
            return frozenset(_EVERY)
        return frozenset(flat.declared())

    def _inside(
        self, flat: _Flat, steps: tuple[_Step, ...], label: str, path: frozenset[int], several: bool
    ) -> Iterator[_Idea]:
        kinds = flat.declared()
        if "object" in kinds and flat.values is None:
            flat = _narrowed(flat, "object")
            yield from self._members(flat, steps, label, path=path, several=several)
        if "array" in kinds and flat.values is None:
            flat = _narrowed(flat, "array")
            room = _SAFE if flat.most is None else flat.most
            for index in range(min(len(flat.prefix), room)):
                down = (*steps, _Step(flat, index, flat.prefix[index], several))
                yield from self.node(flat.prefix[index], down, f"{label}[{index}]", required=None, path=path)
            index = len(flat.prefix)
            child = _item(flat, index)
            if room > index and isinstance(child, dict):
                down = (*steps, _Step(flat, index, child, several))
                yield from self.node(child, down, f"{label}[]", required=None, path=path)

    def _members(
        self, flat: _Flat, steps: tuple[_Step, ...], label: str, *, path: frozenset[int], several: bool
    ) -> Iterator[_Idea]:
        for name, nodes in flat.properties.items():
            child = _all_of(nodes)
            down = (*steps, _Step(flat, name, child, several))
            below = f"{label}.{name}" if label else name
            yield from self.node(child, down, below, required=name in flat.required, path=path)
        for name in flat.required:
            if name not in flat.properties:
                down = (*steps, _Step(flat, name, True, several))
                below = f"{label}.{name}" if label else name
                yield _Idea("REQ-7", f"{below} left out", down, _Flat(), lambda *_: _GONE)
        for name, others in flat.dependent.items():
            for other in others:
                if other not in flat.required:
                    told = f"{label or 'data'}: {name} without {other}"
                    yield _Idea("REQ-7", told, steps, flat, _without(name, other), several, needs=True)
        for extra in flat.additional:
            if isinstance(extra, dict) and not flat.properties:
                down = (*steps, _Step(flat, None, extra, several))
                yield from self.node(extra, down, f"{label}.*", required=None, path=path)

    def _limits(self, flat: _Flat, steps: tuple[_Step, ...], label: str, several: bool) -> Iterator[_Idea]:
        def put(told: str, value: Json) -> _Idea:
            return _Idea("REQ-9", f"{label}: {told}", steps, flat, _put(value))

        if flat.values is not None:
            word = "not the only value allowed" if len(flat.values) == 1 else "not in the enumeration"
            for told, value in _outsiders(flat.values):
                yield put(f"{word} ({told})", value)
            return
        kinds = flat.declared()
        if "integer" in kinds or "number" in kinds:
            for told, value in _past_bounds(flat, whole="number" not in kinds):
                yield put(told, value)
        for kind, ways in (("string", _bad_text), ("array", _bad_arrays), ("object", _bad_objects)):
            if kind in kinds:
                narrow = _narrowed(flat, kind)
                for told, change in ways(narrow):
                    yield _Idea("REQ-9", f"{label}: {told}", steps, narrow, change, several, needs=True)


def _narrowed(flat: _Flat, kind: str) -> _Flat:
    """Return what a flat schema says of one type alone."""
    return replace(flat, types=frozenset({kind}))


def _fits_type(flat: _Flat, value: Json) -> bool:
    return (
        any(_lets(frozenset({kind}), _schema_type(value)) for kind in flat.declared()) and value is not None
    )


def _listed(types: frozenset[str]) -> str:
    shown = [kind for kind in _EVERY if kind in types and not (kind == "integer" and "number" in types)]
    telling = [kind for kind in shown if kind != "null"] or shown
    return " or ".join(telling)


def _put(value: Json) -> Change:
    return lambda *_: copy.deepcopy(value)


def _without(name: str, other: str) -> Change:
    def change(violator: _Violator, current: Json, flat: _Flat) -> Json:
        if name not in current:
            current[name] = violator.value(_all_of(flat.properties.get(name, [True])))
        current.pop(other, None)
        return current

    return change


def _strangers(types: frozenset[str]) -> Iterator[tuple[str, Json]]:
    """Yield (name of the type, value) for the JSON types that are not among the declared (REQ-8)."""
    numeric = bool(types & _NUMERIC)
    if "string" not in types:
        yield "string", "5" if numeric else "true" if "boolean" in types else "x"
    if not numeric:
        yield "number", 5
        if "boolean" in types:
            yield "1", 1
            yield "0", 0
    elif "number" not in types:
        yield "fraction", 1.5
    if "boolean" not in types:
        yield "boolean", True
    if "array" not in types:
        yield "array", []
    if "object" not in types:
        yield "object", {}


def _outsiders(values: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield values that are close to those allowed, and none of them (REQ-9)."""
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        first = next((text for text in texts if text.swapcase() not in texts), None)
        yield "another word", "noSuchValue"
        if first:
            yield "another case", first.swapcase()
            yield "one character more", first + "x"
        yield "empty", ""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers:
        yield "one more than the largest", max(numbers) + 1
        yield "one less than the least", min(numbers) - 1
    if len([value for value in values if isinstance(value, bool)]) == 1:
        yield "the other one", not next(value for value in values if isinstance(value, bool))


def _past_bounds(flat: _Flat, *, whole: bool) -> Iterator[tuple[str, Json]]:
    """Yield numbers just outside of each bound (REQ-9)."""
    step = Fraction(1) if whole else Fraction(1, 100)
    grid = Fraction(1) if whole else None
    for other in flat.steps:
        grid = other if grid is None else _lcm(grid, other)
    by = grid or step

    def plain(number: Fraction) -> Json:
        return int(number) if number.denominator == 1 else float(number)

    if "float" in flat.formats:
        yield "more than a float holds", 10**39
        yield "less than a float holds", -(10**39)
    if flat.low is not None:
        yield f"below {plain(flat.low)}", plain(math.ceil(flat.low / by) * by - by)
    if flat.high is not None:
        yield f"above {plain(flat.high)}", plain(math.floor(flat.high / by) * by + by)
    for edge, told in ((flat.above, "not above"), (flat.below, "not below")):
        if edge is not None:
            if not whole or edge.denominator == 1:
                yield f"{told} {plain(edge)}", plain(edge)
            else:
                beyond = math.floor(edge) if edge is flat.above else math.ceil(edge)
                yield f"{told} {plain(edge)}", beyond
    for multiple in flat.steps:
        base = _grid_range(flat, by)[0] * by
        for part in (Fraction(1), multiple / 2, multiple / 3):
            off = base + part
            if (off / multiple).denominator != 1 and not (whole and off.denominator != 1):
                yield f"not a multiple of {plain(multiple)}", plain(off)
                break


#: Text that has not the format it ought to have (REQ-9); none that dialects of the format read differently.
_GARBLED: dict[str, Sequence[tuple[str, str]]] = {
    "email": (
        ("no @", "nobody.example.com"),
        ("two @", "no@body@example.com"),
        ("white space", "no body@example.com"),
        ("nothing before the @", "@example.com"),
        ("nothing behind the @", "nobody@"),
    ),
    "date": (
        ("no such day", "2026-02-30"),
        ("no such month", "2026-13-01"),
        ("a word", "yesterday"),
        ("another order", "31/12/2026"),
    ),
    "time": (("no such hour", "25:00:00Z"), ("a word", "noon")),
    "date-time": (
        ("no zone", "2026-02-03T10:20:30"),
        ("no such day", "2026-02-30T10:20:30Z"),
        ("no such hour", "2026-02-03T25:20:30Z"),
        ("a date alone", "2026-02-03"),
        ("a word", "yesterday"),
    ),
    "duration": (("a word", "soon"), ("nothing behind the P", "P")),
    "uuid": (
        ("a word", "not-a-uuid"),
        ("a digit that is none", "12345678-1234-4234-8234-12345678901g"),
        ("one digit short", "12345678-1234-4234-8234-12345678901"),
    ),
    "ipv4": (("past 255", "192.0.2.256"), ("three numbers", "192.0.2"), ("a word", "localhost")),
    "ipv6": (
        ("two gaps", "2001:db8::1::2"),
        ("a digit that is none", "2001:db8::g"),
        ("a word", "localhost"),
    ),
    "hostname": (
        ("white space", "not a host"),
        ("an empty label", "example..com"),
        ("a hyphen first", "-x.example"),
    ),
    "uri": (("words", "not a uri"), ("no scheme", "example.com/x y")),
    "iri": (("words", "not an iri"),),
    "uri-reference": (("white space", "not a reference"),),
    "json-pointer": (("no slash", "rows/0"),),
    "regex": (("an open bracket", "("),),
}
_GARBLED["idn-email"] = _GARBLED["email"]

_MISMATCHES = ("", "!", "0", "a", "A", "-", "conform", "CONFORM", "0123456789", "%$#", "x" * 64, "é")


def _bad_text(flat: _Flat) -> Iterator[tuple[str, Change]]:
    low, high = flat.shortest, flat.longest
    if low > 0:
        told = "empty" if low == 1 else f"shorter than {low}"
        yield told, lambda _, current, __: current[: low - 1]
    if high is not None and high < 1_000_000:
        yield f"longer than {high}", lambda _, current, __: _padded(current, high + 1)
        much = min(high * 10 + 1000, 100_000)
        if much > high + 1:
            yield f"much longer than {high}", lambda _, current, __: _padded(current, much)
    for name in flat.formats:
        for told, text in _GARBLED.get(name, ()):
            yield f"no {name} ({told})", _put(text)
    for pattern in flat.patterns:
        match = matcher(pattern)
        fitting = [
            text
            for text in _MISMATCHES
            if not match(text) and len(text) >= low and (high is None or len(text) <= high)
        ]
        for number, text in enumerate(fitting[:3], 1):
            yield f"does not match the pattern ({number})", _put(text)
        yield "does not match the pattern (one sign more)", _mismatch(match, high)


def _mismatch(match: Callable[[str], bool], high: int | None) -> Change:
    def change(_: _Violator, current: Json, __: _Flat) -> Json:
        for text in (current + "!", "!" + current, current[:-1] + "!", current[:-1] + "é"):
            if not match(text) and (high is None or len(text) <= high):
                return text
        raise CannotGenerate("pattern", "one sign more still matches it")

    return change


def _padded(text: str, length: int) -> str:
    return text + (text[-1:] or "x") * (length - len(text))


def _bad_arrays(flat: _Flat) -> Iterator[tuple[str, Change]]:
    low, high = flat.fewest, flat.most
    if low > 0:
        told = "empty" if low == 1 else f"fewer than {low} items"
        yield told, lambda _, current, __: current[: low - 1]
    if high is not None and high <= 5000:
        yield f"more than {high} items", _lengthened(high + 1)
    if flat.unique and (high is None or high > 1):
        yield "an item twice", _doubled
    if flat.contains:
        yield "without an item that must be there", _put([])


def _lengthened(length: int) -> Change:
    def change(violator: _Violator, current: Json, flat: _Flat) -> Json:
        seen = {_key(item) for item in current}
        tries = 0
        while len(current) < length:
            try:
                item = violator.value(_item(flat, len(current)))
            except CannotGenerate:
                if not current or flat.unique:
                    raise
                item = copy.deepcopy(current[-1])
            tries += 1
            if flat.unique and _key(item) in seen and tries < 8 * length:
                continue
            seen.add(_key(item))
            current.append(item)
        return current

    return change


def _doubled(violator: _Violator, current: Json, flat: _Flat) -> Json:
    if not current:
        current.append(violator.value(_item(flat, 0)))
    twin = copy.deepcopy(current[0])
    if flat.most is not None and len(current) >= flat.most:
        current[-1] = twin
    else:
        current.append(twin)
    return current


def _bad_objects(flat: _Flat) -> Iterator[tuple[str, Change]]:
    low, high = flat.least, flat.largest
    if low > 0:

        def shrunk(_: _Violator, current: Json, flat: _Flat) -> Json:
            names = [*flat.required, *(name for name in current if name not in flat.required)]
            return {name: current[name] for name in names[: low - 1] if name in current}

        yield f"fewer than {low} members", shrunk
    if high is not None and high <= 5000:

        def grown(violator: _Violator, current: Json, flat: _Flat) -> Json:
            making = _Making(violator.sampler, violator.method.data, "all")
            for name in flat.properties:
                if len(current) <= high and name not in current:
                    current[name] = making.value(making.member(flat, name), 1)
            for number in range(4 * high + 64):
                if len(current) > high:
                    break
                name = making._name(flat, number, 1)
                if name not in current:
                    current[name] = making.value(making.member(flat, name), 1)
            return current

        yield f"more than {high} members", grown
    if False in flat.additional:
        yield "an undeclared member", lambda _, current, __: {**current, "surplusMember": 1}
    for told, name in (("empty", ""), ("with a blank", "not a name")) if flat.names else ():
        yield f"a member name that is not allowed ({told})", _renamed(name)


def _renamed(name: str) -> Change:
    def change(violator: _Violator, current: Json, flat: _Flat) -> Json:
        making = _Making(violator.sampler, violator.method.data, "all")
        if flat.largest is not None and len(current) >= flat.largest and current:
            current.pop(next(reversed(current)))
        current[name] = making.value(making.member(flat, name), 1)
        return current

    return change


def violations(method: Method, resolve: Callable[[str], Json] | None = None) -> Iterator[Violation]:
    """Yield the ways to spoil a function's data, one violation each, always in the same order.

    REQ-7: required left out, or null; REQ-8: each type other than the declared; REQ-9: just outside of each
    range, length, enumeration, pattern and format. At any depth, and each proven on a sample: what the schema
    would let pass is not yielded. Identifiers (x-ref) are spoiled as any value is: outside what is declared of
    them, never by being another's. `resolve` gives
    the identifiers where `apply` must make a part that the data has not; without it, such data raises there.

    Raises CannotGenerate when no valid data can be made to start from.
    """
    applier = _Violator(method, resolve)
    ideas = list(applier.ideas())
    if not ideas:
        return
    prover = _Violator(method, None)
    prover.sampler.pretend = True
    base = prover.sampler.sample(method.data, optional="all")
    seen: set[str] = set()
    for idea in ideas:
        if idea.text in seen:
            continue
        try:
            prover.apply(idea, base)
        except CannotGenerate:
            continue
        seen.add(idea.text)
        parameter = str(idea.steps[0].key) if idea.steps else ""
        yield Violation(idea.rule, idea.text, parameter, _applied(applier, idea))


def _applied(violator: _Violator, idea: _Idea) -> Callable[[dict[str, Json]], dict[str, Json]]:
    return lambda data: violator.apply(idea, data)
