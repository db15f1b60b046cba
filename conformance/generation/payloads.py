"""Generated payloads: data that a schema allows, at its edges or anywhere; data that violates it in one way.

Schemas are JSON Schema 2020-12 in the dialect of the rulebook (the paragraph after DAT-9), compiled once to
strategies of Hypothesis. Whatever is drawn has been judged as the bytes that go out. `draw` and `smallest`
use Hypothesis without a test around it. Where nothing can be generated, `unsupported` says so by name.
"""

from __future__ import annotations

import contextlib
import math
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from hypothesis.strategies import SearchStrategy

from conformance.catalog.model import Method
from conformance.generation.builders import KEYS, Make, Makers, first_of
from conformance.generation.choices import Source, draw, made, smallest
from conformance.generation.samples import CannotGenerate
from conformance.generation.schema_cases import Anatomy, Place, Way, put, sent
from conformance.generation.shapes import Impossible
from conformance.generation.strings import (
    INJECTIONS,
    NUMBERS,
    OPERATORS,
    TEXTS,
    Injection,
    Literal,
    Number,
    Text,
    encode,
    plain_text,
    settled,
)
from conformance.schema.bundle import Json, SchemaError, places
from conformance.schema.dialect import NUMBER_FORMATS, is_known_text
from conformance.schema.ecma import ecma
from conformance.schema.validation import Schema

__all__ = [
    "INJECTIONS",
    "NUMBERS",
    "OPERATORS",
    "TEXTS",
    "CannotGenerate",
    "Carrier",
    "Case",
    "Injection",
    "InvalidData",
    "Literal",
    "Number",
    "Text",
    "Way",
    "any_json",
    "boundaries",
    "carrying",
    "clear_cache",
    "draw",
    "encode",
    "invalid_data",
    "oddities",
    "settled",
    "smallest",
    "unknown_texts",
    "unsupported",
    "valid",
    "violations",
]

#: Gives the strategy for identifiers of a kind.
Refs: TypeAlias = Callable[[str], SearchStrategy[Any]]
#: Gives one identifier of a kind.
Resolve: TypeAlias = Callable[[str], Json]
#: Turns what was drawn into what is sent, where identifiers stand for others until then.
Bind: TypeAlias = Callable[[Json], Json]
Spec: TypeAlias = "Method | Schema | dict[str, Json] | bool"

_TRIES = 8
_KEPT = 512


@dataclass(frozen=True)
class Case:
    """One edge of a function's data, from within (`valid`) or from without.

    `kind` names it ("level.min: is 0") and is the same in every run; `rule` is DAT-1, REQ-7, REQ-8 or REQ-9;
    `pointer` leads to the place, with `*` for any key and `-` for any item; `parameter` is the argument.
    """

    kind: str
    valid: bool
    keyword: str
    pointer: str
    parameter: str
    rule: str
    _make: Make = field(repr=False, compare=False)
    _accepts: Callable[[Json], bool] = field(repr=False, compare=False)

    def build(self, resolve: Resolve | None = None) -> Json:
        """Return the data, always the same; identifiers from `resolve`, else made up by their schema.

        Raises CannotGenerate when it would not be as `valid` says, with these identifiers.
        """
        return first_of(self._make, self._accepts, resolve)


class InvalidData(NamedTuple):
    """Data with one violation in it; `kind` names it, and `violations` tells more of it."""

    kind: str
    data: Json


@dataclass(frozen=True)
class Carrier:
    """A place that may hold a text, a number or an injection: `allowed` when the schema lets it pass there.

    `ref` is the kind of object whose identifier belongs there, or None.
    """

    item: Text | Number | Injection
    label: str
    pointer: str
    parameter: str
    allowed: bool
    ref: str | None
    _make: Make = field(repr=False, compare=False)
    _accepts: Callable[[Json], bool] = field(repr=False, compare=False)

    def build(self, resolve: Resolve | None = None) -> Json:
        """Return plain data with the item in its place; numbers are as `encode` writes them.

        Raises CannotGenerate when the rest cannot be made around it.
        """
        return first_of(self._make, self._accepts, resolve)


# --- compiled once ------------------------------------------------------------------------------------------


class _Compiled:
    """What is made of one schema, for one way to get identifiers."""

    def __init__(self, schema: Schema, refs: Refs | None, bind: Bind | None, unusual: bool) -> None:
        self.schema = schema
        self.bind = bind
        self.makers = Makers(schema, refs, bind, unusual)
        self.anatomy = Anatomy(self.makers)
        self._breaking = self.anatomy
        if any(not is_known_text(name) for name in _text_formats(schema.document)):
            self._breaking = Anatomy(Makers(schema, refs, bind, unusual, placeholders=True))
        self.lock = threading.RLock()
        self._valid: SearchStrategy[Any] | None = None

    def accepts(self, value: Json) -> bool:
        """Whether data is valid as it is sent."""
        return self.schema.valid(value if self.bind is None else self.bind(value))

    def valid(self) -> SearchStrategy[Any]:
        """Return the strategy of valid data."""
        with self.lock:
            if self._valid is None:
                make = self.makers.node(self.schema.document)
                self._valid = made(self._judged(make, self.accepts), "valid data")
            return self._valid

    @staticmethod
    def _judged(make: Make, accepts: Callable[[Json], bool]) -> Callable[[Source], Json]:
        def judged(source: Source) -> Json:
            for _ in range(_TRIES):
                source.begin()
                value = make(source, 0)
                fits = accepts(value)
                source.end(discard=not fits)
                if fits:
                    return value
            return source.reject()

        return judged

    def ways(self) -> tuple[Way, ...]:
        """Return the ways to violate the schema."""
        with self.lock:
            return self._breaking.violations

    def invalid_data(self, only: Callable[[Way], bool] | None) -> SearchStrategy[InvalidData]:
        """Return the strategy of data with one violation."""
        ways = [way for way in self.ways() if only is None or only(way)]
        if not ways:
            raise CannotGenerate("schema", "there is no way to violate it")

        def refused(value: Json) -> bool:
            return not self.schema.valid(sent(value if self.bind is None else self.bind(value)))

        judged = [self._judged(way.make, refused) for way in ways]

        def one(source: Source) -> InvalidData:
            at = source.index(len(ways))
            return InvalidData(ways[at].kind, judged[at](source))

        return made(one, "spoiled data")


_cache: OrderedDict[tuple[Hashable, ...], tuple[_Compiled, object]] = OrderedDict()
_lock = threading.Lock()


def clear_cache() -> None:
    """Forget all compiled schemas; they keep the run alive that they were compiled for."""
    with _lock:
        _cache.clear()


def _compiled(
    spec: Spec, refs: Refs | None = None, bind: Bind | None = None, unusual: bool = True
) -> _Compiled:
    of = spec.data if isinstance(spec, Method) else spec
    try:
        key = (id(of), refs, bind, unusual)
        hash(key)
    except TypeError:
        return _Compiled(of if isinstance(of, Schema) else Schema(of), refs, bind, unusual)
    with _lock:
        found = _cache.get(key)
        if found is not None and found[1] is of:
            _cache.move_to_end(key)
            return found[0]
    compiled = _Compiled(of if isinstance(of, Schema) else Schema(of), refs, bind, unusual)
    with _lock:
        _cache[key] = (compiled, of)
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return compiled


# --- valid data ---------------------------------------------------------------------------------------------


def valid(
    spec: Spec, refs: Refs | None = None, *, bind: Bind | None = None, unusual: bool = True
) -> SearchStrategy[Any]:
    """Return the strategy of valid data of a function, or of a schema's valid values.

    At places marked x-ref stands what `refs(kind)` gives, as far as the schema lets it pass; without `refs`
    identifiers are made up by their schema. Where `refs` gives what only stands for an identifier, `bind`
    turns a whole value into what is sent, and that is judged. `unusual=False` leaves texts to ordinary words.
    Undeclared members of `data` are not made: no rule says what becomes of them.

    Raises CannotGenerate, naming the keyword, when there is nothing to be made.
    """
    return _compiled(spec, refs, bind, unusual).valid()


def oddities(value: Json) -> frozenset[str]:
    """Return what in a value a target may refuse by DAT-5 and DAT-6, though the schema lets it pass."""
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
            stack += item
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, str):
            found |= _odd_text(item)
        elif isinstance(item, float):
            if not math.isfinite(item) or abs(item) >= 2**53 - 1 or isinstance(item, Literal):
                found.add("number of unusual size")
            if item == 0 and math.copysign(1, item) < 0:
                found.add("-0")
            elif item.is_integer():
                found.add("1.0")
        elif isinstance(item, int) and abs(item) >= 2**53 - 1:
            found.add("number of unusual size")
    return frozenset(found)


def _odd_text(text: str) -> set[str]:
    found = (
        {"64 kB"} if len(text) >= 16_000 and len(text.encode("utf-8", "surrogatepass")) >= 64_000 else set()
    )
    if "\x00" in text:
        found.add("U+0000")
    if text.isascii() and text.isprintable():
        return found
    for sign in set(text):
        if unicodedata.category(sign) in _INVISIBLE and sign not in "\0\t\n\r":
            found.add("control or format character")
        if sign > "\uffff":
            found.add("astral")
        elif "\ud800" <= sign <= "\udfff":
            found.add("unpaired surrogate")
        if unicodedata.combining(sign) or unicodedata.category(sign).startswith("M"):
            found.add("combining")
        if unicodedata.bidirectional(sign) in _LEFTWARD:
            found.add("right to left")
    return found


#: Controls, formats (a zero-width joiner, a byte-order mark), private and unassigned ones, separators of lines.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})
_LEFTWARD = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI"})


# --- edges and violations -----------------------------------------------------------------------------------


def boundaries(spec: Spec) -> Iterator[Case]:
    """Yield the deterministic pass: each keyword of each parameter at its edges, from within and from without.

    First the plainest valid data, then all valid cases, then all invalid ones, place by place in the order
    of the schema. Each is proven: data is built for it and judged before it is yielded.
    """
    compiled = _compiled(spec)
    with compiled.lock:
        anatomy = compiled.anatomy
        ways = [*anatomy.edges, *compiled.ways()]
        with contextlib.suppress(Impossible):
            # Where an unknown format has no example, nothing is valid beyond doubt; much is invalid all the same.
            plain = compiled.makers.node(compiled.schema.document)
            ways.insert(0, Way("DAT-1", "data: as plain as may be", "required", "", "", plain))
        if not ways:
            raise compiled.makers.shapes.why_none(compiled.schema.document)
    for way in ways:
        yield Case(
            kind=way.kind,
            valid=way.valid,
            keyword=way.keyword,
            pointer=way.pointer,
            parameter=way.parameter,
            rule=way.rule,
            _make=way.make,
            _accepts=anatomy.accepts(way),
        )


def violations(spec: Spec) -> dict[str, Way]:
    """Return the ways to violate a schema, by the kind that `spoiled` and `boundaries` name."""
    return {way.kind: way for way in _compiled(spec).ways()}


def invalid_data(
    spec: Spec,
    refs: Refs | None = None,
    *,
    bind: Bind | None = None,
    unusual: bool = True,
    only: Callable[[Way], bool] | None = None,
) -> SearchStrategy[InvalidData]:
    """Return the strategy of data with one violation, (its kind, the data); all kinds equally often.

    The rest of the data is as `valid` makes it. That it is a violation is judged by the JSON that is sent.
    `only` chooses among the violations. Raises CannotGenerate when there is none.
    """
    return _compiled(spec, refs, bind, unusual).invalid_data(only)


# --- what DAT-5, DAT-6 and DAT-8 put into parameters --------------------------------------------------------


def carrying(
    spec: Spec, items: Sequence[Text | Number | Injection], *, forbidden: bool = False
) -> Iterator[Carrier]:
    """Yield the places of a function's data that can hold each of TEXTS, NUMBERS, INJECTIONS or OPERATORS.

    Texts go where strings may stand, numbers where numbers may; an injection that is no string goes to both.
    What the schema refuses there is left out, or with `forbidden` yielded with `allowed` false. Places that
    take one of a few values or an identifier hold injections alone.
    """
    compiled = _compiled(spec)
    with compiled.lock:
        every = compiled.anatomy.places
    for place in every:
        if not place.steps:
            continue
        kinds = {"number" if kind == "integer" else kind for kind in place.kinds}
        ref = next((shape.ref for shape in place.shapes if shape.ref), None)
        listed = all(shape.values is not None for shape in place.shapes)
        for item in items:
            if not isinstance(item, Injection) and (listed or ref):
                continue
            carrier = _carrier(compiled, place, item, kinds, ref)
            if carrier is not None and (carrier.allowed or forbidden):
                yield carrier


def _carrier(
    compiled: _Compiled, place: Place, item: Text | Number | Injection, kinds: set[str], ref: str | None
) -> Carrier | None:
    value = item.literal if isinstance(item, Number) else item.value
    text_only = {"string"} if isinstance(value, str) else {"string", "number"}
    if not kinds & ({"number"} if isinstance(item, Number) else text_only):
        return None
    allowed = compiled.makers.shapes.valid(place.node, sent(value))
    if isinstance(item, Number) and allowed and any(shape.is_float for shape in place.shapes):
        # 32 bits round most of these numbers, which is what the format says.
        return None
    if isinstance(value, str) and allowed:
        patterns = [pattern for shape in place.shapes for pattern in shape.patterns]
        if any(settled(pattern, value) is None for pattern in patterns):
            return None
    try:
        make = compiled.makers.through(place.steps, put(value))
    except Impossible:
        return None
    return Carrier(
        item=item,
        label=place.label,
        pointer=place.pointer,
        parameter=place.parameter,
        allowed=allowed,
        ref=ref,
        _make=make,
        _accepts=lambda data: compiled.schema.valid(sent(data)) is allowed,
    )


# --- any JSON -----------------------------------------------------------------------------------------------

_SHORT_TEXTS = tuple(text.value for text in TEXTS if len(text.value) <= 64)
_FINITE = tuple(number.value for number in NUMBERS if number.value not in (math.inf, -math.inf))
_ODD_NAMES = (*KEYS, "method", "data", "id", "isError", "role", "\x00", "\ud800", "length", "x" * 300)


def _json(source: Source, depth: int) -> Json:
    # The deeper, the fewer containers: the size of a value is bounded, and most are small.
    way = source.index(12 if depth < 2 else 10 if depth < 4 else 8)
    if way < 3:
        return (None, False, True)[way]
    if way == 3:
        return source.integer(-1000, 1000)
    if way == 4:
        return _FINITE[source.index(len(_FINITE))]
    if way == 5:
        return source.integer(-(10**6), 10**6) / 1000
    if way == 6:
        return plain_text(source, 0, None, True)
    if way == 7:
        return _SHORT_TEXTS[source.index(len(_SHORT_TEXTS))]
    if way in (8, 10):
        return [_json(source, depth + 1) for _ in range(source.index(5))]
    return {
        _ODD_NAMES[source.index(len(_ODD_NAMES))]: _json(source, depth + 1) for _ in range(source.index(5))
    }


def _nested(source: Source) -> Json:
    value = _json(source, 3)
    for _ in range((10, 60, 200)[source.index(3)]):
        value = [value] if source.index(2) else {"a": value}
    return value


def any_json() -> SearchStrategy[Json]:
    """Return the strategy of any JSON whatever (DAT-3): every type, odd names, numbers and texts, nesting."""
    return made(lambda source: _nested(source) if source.index(40) == 39 else _json(source, 0), "any JSON")


# --- what cannot be generated -------------------------------------------------------------------------------


def unsupported(schema: Spec) -> list[tuple[str, str, str]]:
    """Return (pointer to the place, keyword, why) for each thing in a schema that is not generated as it says.

    Empty when all of it is. Data is valid in any case: what is listed is made narrower than it could be, or
    not at all.
    """
    try:
        compiled = _compiled(schema)
    except SchemaError as error:
        return [(error.pointer, error.pointer.rpartition("/")[2] or "schema", str(error))]
    found: dict[tuple[str, str, str], None] = {}
    with compiled.lock:
        shapes = compiled.makers.shapes
        for pointer, node in places(compiled.schema.document):
            for keyword, why in _doubts(node):
                found[(pointer, keyword, why)] = None
            try:
                compiled.makers.node(node)
            except Impossible as impossible:
                found[(pointer, impossible.keyword, impossible.why)] = None
            for known in (shapes.too_many, compiled.makers.unlikely):
                if id(node) in known:
                    keyword = next((key for key in _BRANCHING if key in node), "allOf")
                    found[(pointer, keyword, known[id(node)])] = None
        if not found:
            try:
                first_of(compiled.makers.node(compiled.schema.document), compiled.accepts, None, 24)
            except CannotGenerate as cannot:
                found[("", cannot.keyword, str(cannot))] = None
    return list(found)


_BRANCHING = ("oneOf", "anyOf", "allOf", "if", "not", "dependentSchemas", "unevaluatedProperties")


def unknown_texts(schema: Spec) -> list[tuple[str, str, bool]]:
    """Return (pointer, format, whether the schema gives valid texts) for each text of a format that nobody knows."""
    compiled = _compiled(schema)
    found: dict[tuple[str, str], bool] = {}
    outer: set[str] = set()
    with compiled.lock:
        for pointer, node in places(compiled.schema.document):
            # Examples may stand beside the reference to the schema that names the format.
            if any(isinstance(text, str) for text in (*_listed(node.get("examples")), node.get("default"))):
                outer.add(pointer)
            name = node.get("format")
            if not isinstance(name, str) or is_known_text(name) or not _is_open(node):
                continue
            if name in NUMBER_FORMATS and "type" not in node:
                continue
            is_given = pointer in outer or any(
                isinstance(text, str)
                for shape in compiled.makers.shapes.of(node)
                for text in (*shape.examples, *shape.defaults, *(shape.values or ()))
            )
            found[(pointer, name)] = is_given or found.get((pointer, name), False)
    return [(pointer, name, is_given) for (pointer, name), is_given in found.items()]


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _is_open(node: dict[str, Json]) -> bool:
    """Whether texts may stand at a place, other than a few that are listed."""
    types = node.get("type", "string")
    return "string" in types and "enum" not in node and "const" not in node


def _text_formats(document: Json) -> Iterator[str]:
    """Yield the formats of a bundled schema that texts may have to be of."""
    for _, node in places(document):
        name = node.get("format")
        if isinstance(name, str) and (name not in NUMBER_FORMATS or "string" in node.get("type", "string")):
            yield name


def _doubts(node: dict[str, Json]) -> Iterator[tuple[str, str]]:
    name = node.get("format")
    if isinstance(name, str) and name not in NUMBER_FORMATS and not is_known_text(name) and _is_open(node):
        yield "format", f"{name!r} is not known: only values that the catalogue gives are sent as valid ones"
    for pattern in [node.get("pattern"), *node.get("patternProperties", {})]:
        if isinstance(pattern, str):
            try:
                ecma(pattern)
            except ValueError as error:
                yield "pattern", f"{pattern!r} is only judged, few texts stand for it: {error}"
    for key in ("unevaluatedProperties", "unevaluatedItems"):
        if isinstance(node.get(key), dict):
            yield key, "what it alone speaks of is not made"
