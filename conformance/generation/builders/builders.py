"""The builders of one schema's values: any type, checks on finished values, and places deep inside."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from hypothesis.strategies import SearchStrategy

from conformance.generation.builders.arrays import ArrayBuilder, ArrayOrder
from conformance.generation.builders.numbers import number_builder
from conformance.generation.builders.objects import ObjectBuilder, ObjectOrder
from conformance.generation.builders.steps import ATTEMPTS, MAX_FULL_DEPTH, BuildValue, Step, constant, one_of
from conformance.generation.builders.texts import text_builder, text_fits
from conformance.generation.choices import Choices, MinimalChoices, OptionalMembers
from conformance.generation.errors import CannotGenerate, Impossible
from conformance.generation.patterns import extremes
from conformance.generation.plain_text import plain_text, stretched
from conformance.generation.shape import Shape
from conformance.generation.shapes import INFINITE_HEIGHT, Shapes
from conformance.schema.bundle import Json
from conformance.schema.dialect import SUGGESTED
from conformance.schema.validation import Schema

__all__ = ["Bind", "BuildValue", "Builders", "Refs", "first_accepted"]

#: Returns the strategy of identifiers of a kind.
Refs: TypeAlias = Callable[[str], SearchStrategy[Any]]
#: Turns a drawn value into the value to send, where placeholders stand for identifiers until then.
Bind: TypeAlias = Callable[[Json], Json]

#: How often null is chosen, compared with each other type, where there are few of them.
_TYPES_PER_NULL = 3

#: Characters of the longest text that is searched for where no simple one is valid.
_MAX_SEARCHED_TEXT = 5000


class Builders:
    """The builders of one schema's values, compiled when they are asked for.

    Identifiers (x-ref) come from the strategies of `refs`. `bind` turns a value into what is sent. With `unusual`
    texts are of all kinds. With `placeholders` any text stands for one of an unknown format.
    """

    def __init__(
        self,
        schema: Schema,
        refs: Refs | None = None,
        bind: Bind | None = None,
        *,
        unusual: bool = True,
        placeholders: bool = False,
    ) -> None:
        """Compile the parts of `schema` when they are asked for."""
        self.schema = schema
        self.shapes = Shapes(schema)
        self.unusual = unusual
        self.placeholders = placeholders
        self._refs = refs
        self._bind = bind
        self._strategies: dict[str, SearchStrategy[Any] | None] = {}
        self._compiled: dict[int, BuildValue] = {}
        self._unfinished: dict[int, BuildValue] = {}
        self._lock = threading.RLock()
        #: By the identity of a schema: why one of its shapes is not built.
        self.unlikely: dict[int, str] = {}

    # --- any schema

    def node(self, node: Json) -> BuildValue:
        """Return the builder of a schema's values; raises Impossible when there are none."""
        found = self._compiled.get(id(node))
        if found is not None:
            return found
        with self._lock:
            found = self._compiled.get(id(node)) or self._unfinished.get(id(node))
            if found is not None:
                return found
            self.shapes.keep_alive(node)
            likely = self._likely(node)
            if likely is not None:
                self._compiled[id(node)] = found = self.node(likely)
                return found
            if self.shapes.height(node) == INFINITE_HEIGHT:
                why = self.shapes.why_none(node) if not self.shapes.of(node) else None
                raise why or Impossible("$ref", "it refers to itself without end")
            finished: list[BuildValue] = []

            def later(choices: Choices, depth: int) -> Json:
                return finished[0](choices, depth)

            self._unfinished[id(node)] = later
            try:
                finished.append(self._any(node))
            finally:
                del self._unfinished[id(node)]
            self._compiled[id(node)] = finished[0]
            return finished[0]

    def _likely(self, node: Json) -> Json:
        """Return a schema together with the keywords that are suggested for it; None if none are, or none can be."""
        suggested = node.get(SUGGESTED) if isinstance(node, dict) else None
        if not isinstance(suggested, dict):
            return None
        likely = self.shapes.derived(node, SUGGESTED, {"allOf": [node, suggested]})
        return likely if self.shapes.of(likely) else None

    def _any(self, node: Json) -> BuildValue:
        if node is True or self.shapes.of(node)[0] == Shape():
            return _anything
        options: list[_Option] = []
        reason: Impossible | None = None
        for shape in self.shapes.of(node):
            expected = shape.kinds() if shape.values is not None else shape.expected_kinds()
            for kind in ("",) if shape.values is not None or shape.ref else shape.types:
                height = self.shapes.shape_height(shape, kind)
                if height == INFINITE_HEIGHT:
                    continue
                try:
                    build = self.one(shape, kind)
                except Impossible as why:
                    reason = why
                    continue
                if shape.checks and not _succeeds(build):
                    way = ", ".join(shape.branches) or kind or "a value"
                    reason = Impossible("checks", f"{way}: nothing was found that the rest lets pass")
                    self.unlikely.setdefault(id(node), reason.why)
                    continue
                options.append(
                    _Option(
                        build, height, kind == "null" or shape.values == [None], not kind or kind in expected
                    )
                )
        if not options:
            raise reason or self.shapes.why_none(node)
        return options[0].build if len(options) == 1 else _either(options)

    def one(self, shape: Shape, kind: str = "", *, checked: bool = True) -> BuildValue:
        """Return the builder of a shape's values of one type."""
        build = self._unchecked(shape, kind or shape.kinds()[0])
        if shape.ref is not None:
            build = self._identifier(shape.ref, build)
        checks = list(shape.checks) if checked and shape.values is None else []
        if checked and kind == "array":
            for node, least, most in shape.contains:
                schema: dict[str, Json] = {"contains": node, "minContains": least}
                if most is not None:
                    schema["maxContains"] = most
                checks.append(self.shapes.derived(node, f"contains {least} {most}", schema))
        return self._guarded(build, checks) if checks else build

    def _guarded(self, build: BuildValue, checks: Sequence[Json]) -> BuildValue:
        """Return a builder that tries again until its value satisfies all of the schemas."""
        tests = [self.schema.branch(node).valid for node in checks]
        bind = self._bind

        def checked(choices: Choices, depth: int) -> Json:
            for _ in range(ATTEMPTS):
                choices.begin()
                value = build(choices, depth)
                sent = value if bind is None else bind(value)
                if all(test(sent) for test in tests):
                    choices.end()
                    return value
                choices.end(discard=True)
            return choices.reject()

        return checked

    def _identifier(self, kind: str, build: BuildValue) -> BuildValue:
        if kind not in self._strategies:
            self._strategies[kind] = None if self._refs is None else self._refs(kind)
        strategy = self._strategies[kind]
        return lambda choices, depth: choices.identify(kind, strategy, lambda: build(choices, depth))

    def _unchecked(self, shape: Shape, kind: str) -> BuildValue:
        if shape.values is not None:
            return _listed(shape.values)
        if kind == "null":
            return constant(None)
        if kind == "boolean":
            return one_of([False, True])
        if kind == "number":
            return number_builder(shape)
        if kind == "string":
            return self.text(shape)
        return self.array(shape) if kind == "array" else self.object(shape)

    # --- types

    def text(self, shape: Shape) -> BuildValue:
        """Return the builder of a shape's texts."""
        return text_builder(self.shapes, shape, unusual=self.unusual, placeholders=self.placeholders)

    def text_fits(self, shape: Shape) -> Callable[[str], bool]:
        """Return what says whether a text is valid beyond doubt: in lengths, patterns and formats."""
        return text_fits(self.shapes, shape)

    def text_of_length(self, shape: Shape, length: int) -> str | None:
        """Return a valid text of exactly a length, or None."""
        fits = self.text_fits(shape)
        for text in (stretched("conform ", length, length), *(sign * length for sign in "xa0A")):
            if fits(text):
                return text
        if length > _MAX_SEARCHED_TEXT:
            return None
        try:
            build = self.text(replace(shape, shortest=length, longest=length))
            return str(first_accepted(build, lambda text: len(text) == length and fits(text), None, 6))
        except CannotGenerate:
            pass
        for pattern in shape.patterns:
            longest = extremes(pattern, length)[1]
            if longest is not None and len(longest) == length and fits(longest):
                return longest
        return None

    def array(
        self,
        shape: Shape,
        *,
        length: int | None = None,
        forced: Mapping[int, BuildValue] | None = None,
        forced_rest: BuildValue | None = None,
        repeat: bool = False,
    ) -> BuildValue:
        """Return the builder of a shape's arrays; `ArrayOrder` describes the arguments."""
        return ArrayBuilder(self, shape, ArrayOrder(length, forced or {}, forced_rest, repeat))

    def object(
        self,
        shape: Shape,
        *,
        forced: Mapping[str, BuildValue] | None = None,
        forced_rest: tuple[str | None, BuildValue] | None = None,
        omit: Collection[str] = (),
        optional: OptionalMembers = "some",
        count: int | None = None,
        close: bool = True,
    ) -> BuildValue:
        """Return the builder of a shape's objects; `ObjectOrder` describes the arguments."""
        return ObjectBuilder(
            self, shape, ObjectOrder(forced or {}, forced_rest, omit, optional, count, close)
        )

    # --- deep inside

    def through(self, steps: Sequence[Step], build: BuildValue) -> BuildValue:
        """Return the builder of whole values that have what `build` builds at the end of the steps."""
        for step in reversed(steps):
            if isinstance(step.key, int):
                if step.any_item:
                    build = self.array(step.shape, forced_rest=build)
                else:
                    build = self.array(step.shape, forced={step.key: build})
            elif step.key is None:
                build = self.object(step.shape, forced_rest=(step.pattern, build))
            else:
                build = self.object(step.shape, forced={step.key: build})
        return build


class _Option:
    """One shape and type that a value may have."""

    __slots__ = ("build", "expected", "height", "is_null")

    def __init__(self, build: BuildValue, height: int, is_null: bool, expected: bool) -> None:
        self.build = build
        self.height = height
        self.is_null = is_null
        #: Whether the schema is about this type, rather than silent about types.
        self.expected = expected


def _either(options: list[_Option]) -> BuildValue:
    """Return the builder of values of any of the options, null less often than the others."""
    nulls = [option.build for option in options if option.is_null]
    others = [option.build for option in options if not option.is_null]
    every = nulls[:1] + others * (_TYPES_PER_NULL if nulls and len(others) < _TYPES_PER_NULL else 1)
    least = min(option.height for option in options)
    shallow = [option.build for option in options if option.height == least]
    expected = [option for option in options if option.expected] or options
    ordinary = [option.build for option in expected if not option.is_null] or nulls
    varied = [option.build for option in expected]

    def either(choices: Choices, depth: int) -> Json:
        among = every
        if depth >= MAX_FULL_DEPTH:
            among = shallow
        elif choices.ordinary is not None:
            among = varied if choices.ordinary.varied else ordinary
        return among[choices.index(len(among))](choices, depth)

    return either


def _listed(values: list[Json]) -> BuildValue:
    """Return the builder of one of the values that a schema lists; ordinary ones are not null."""
    every = one_of(values)
    ordinary = one_of([value for value in values if value is not None] or values)
    if len(values) < 2 or None not in values:
        return every

    def build(choices: Choices, depth: int) -> Json:
        if choices.ordinary is not None and not choices.ordinary.varied:
            return ordinary(choices, depth)
        return every(choices, depth)

    return build


def _succeeds(build: BuildValue) -> bool:
    """Return whether a builder that has to try again finds anything."""
    try:
        first_accepted(build, lambda _: True, None, 6)
    except CannotGenerate:
        return False
    except IndexError:
        # It leads back to the schema that is being compiled.
        return True
    return True


def first_accepted(
    build: BuildValue,
    accept: Callable[[Json], bool],
    resolve: Callable[[str], Json] | None,
    attempts: int = 12,
) -> Json:
    """Return the first value of a builder, from the simplest on, that is accepted.

    Raises:
        CannotGenerate: none of the first values is accepted.

    """
    reason = CannotGenerate("schema", "nothing was found")
    for seed in range(attempts):
        try:
            value = build(MinimalChoices(seed, resolve), 0)
        except CannotGenerate as why:
            reason = why
            continue
        if accept(value):
            return value
    raise reason


_ANY_VALUES: tuple[Json, ...] = (
    None,
    False,
    True,
    0,
    1,
    -1,
    1.5,
    "",
    "x",
    "😀",
    [],
    {},
    [1],
    {"a": 1},
    [[]],
    [None, "x"],
)


def _anything(choices: Choices, depth: int) -> Json:
    if choices.ordinary is not None:
        return plain_text(choices, 0, None, False)
    return copy.deepcopy(_ANY_VALUES[choices.index(len(_ANY_VALUES))])
