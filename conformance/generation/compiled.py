"""What is compiled of one schema: builders, places, boundary cases and violations, each once per run."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from hypothesis.strategies import SearchStrategy

from conformance.catalog.model import Method
from conformance.generation.boundaries import boundary_cases
from conformance.generation.builders import Builders, BuildValue
from conformance.generation.builders.builders import Bind, Refs
from conformance.generation.case import Case, proven
from conformance.generation.choices import Choices
from conformance.generation.drawing import strategy_of
from conformance.generation.errors import CannotGenerate, Impossible
from conformance.generation.insertion_points import Place, SchemaWalker
from conformance.generation.special_values import received
from conformance.generation.violations import Violation, violation_cases
from conformance.schema.bundle import Json, places
from conformance.schema.dialect import NUMBER_FORMATS, is_known_text
from conformance.schema.validation import Schema

__all__ = ["CompiledSchema", "InvalidData", "Spec", "clear_cache", "compiled", "text_formats"]

#: What data is generated for: a function, a schema, or its JSON.
Spec: TypeAlias = "Method | Schema | dict[str, Json] | bool"

#: How often a whole value is built until it is valid or invalid as asked.
_ATTEMPTS = 8

_MAX_COMPILED_SCHEMAS = 512


class InvalidData(NamedTuple):
    """Data with one violation in it; `kind` names it, and `payloads.violations` has the details."""

    kind: str
    data: Json


class CompiledSchema:
    """What is compiled of one schema, for one source of identifiers."""

    def __init__(self, schema: Schema, refs: Refs | None, bind: Bind | None, unusual: bool) -> None:
        """Compile the parts of `schema` when they are asked for."""
        self.schema = schema
        self.bind = bind
        self.builders = Builders(schema, refs, bind, unusual=unusual)
        self.walker = SchemaWalker(self.builders)
        self.lock = threading.RLock()
        self._breaking = self.walker
        if not all(is_known_text(name) for name in text_formats(schema.document)):
            self._breaking = SchemaWalker(Builders(schema, refs, bind, unusual=unusual, placeholders=True))
        self._valid: SearchStrategy[Any] | None = None

    @property
    def places(self) -> tuple[Place, ...]:
        """All places of the data."""
        with self.lock:
            return self.walker.places

    def accepts(self, value: Json) -> bool:
        """Return whether data is valid as it is sent."""
        return self.schema.valid(value if self.bind is None else self.bind(value))

    def valid(self) -> SearchStrategy[Any]:
        """Return the strategy of valid data."""
        with self.lock:
            if self._valid is None:
                build = self.builders.node(self.schema.document)
                self._valid = strategy_of(_until(build, self.accepts), "valid data")
            return self._valid

    @cached_property
    def _boundaries(self) -> tuple[Case, ...]:
        return tuple(proven(boundary_cases(self.walker)))

    @cached_property
    def _violations(self) -> tuple[Violation, ...]:
        return tuple(proven(violation_cases(self._breaking)))

    def violations(self) -> tuple[Violation, ...]:
        """Return the violations of the schema, each proven to be one."""
        with self.lock:
            return self._violations

    def cases(self) -> tuple[Case, ...]:
        """Return the simplest valid data, the boundary cases and the violations, each proven."""
        with self.lock:
            cases: list[Case] = [*self._boundaries, *self._violations]
            with contextlib.suppress(Impossible):
                # Where an unknown format has no example, no data is valid beyond doubt, but much is invalid.
                build = self.builders.node(self.schema.document)
                simplest = Case(
                    "DAT-1", "data: the smallest that is valid", "required", "", "", self.schema, build
                )
                cases.insert(0, simplest)
            if not cases:
                raise self.builders.shapes.why_none(self.schema.document)
            return tuple(cases)

    def invalid_data(self, only: Callable[[Violation], bool] | None) -> SearchStrategy[InvalidData]:
        """Return the strategy of data with one violation."""
        violations = [violation for violation in self.violations() if only is None or only(violation)]
        if not violations:
            raise CannotGenerate("schema", "there is no way to violate it")

        def is_refused(value: Json) -> bool:
            return not self.schema.valid(received(value if self.bind is None else self.bind(value)))

        builds = [_until(violation.build_data, is_refused) for violation in violations]

        def build(choices: Choices) -> InvalidData:
            at = choices.index(len(violations))
            return InvalidData(violations[at].kind, builds[at](choices))

        return strategy_of(build, "invalid data")


def _until(build: BuildValue, accepts: Callable[[Json], bool]) -> Callable[[Choices], Json]:
    """Return what builds whole values until one is accepted."""

    def accepted(choices: Choices) -> Json:
        for _ in range(_ATTEMPTS):
            choices.begin()
            value = build(choices, 0)
            fits = accepts(value)
            choices.end(discard=not fits)
            if fits:
                return value
        return choices.reject()

    return accepted


def text_formats(document: Json) -> Iterator[str]:
    """Yield the formats of a bundled schema that texts may have to be of."""
    for _, node in places(document):
        name = node.get("format")
        if isinstance(name, str) and (name not in NUMBER_FORMATS or "string" in node.get("type", "string")):
            yield name


# --- cache --------------------------------------------------------------------------------------------------

_cache: OrderedDict[tuple[Hashable, ...], tuple[CompiledSchema, object]] = OrderedDict()
_lock = threading.Lock()


def clear_cache() -> None:
    """Forget all compiled schemas; they hold references to the run that they were compiled for."""
    with _lock:
        _cache.clear()


def compiled(
    spec: Spec, refs: Refs | None = None, bind: Bind | None = None, unusual: bool = True
) -> CompiledSchema:
    """Return what is compiled of a schema, the same object when asked again."""
    of = spec.data if isinstance(spec, Method) else spec
    schema = of if isinstance(of, Schema) else None
    key = (id(of), refs, bind, unusual)
    try:
        hash(key)
    except TypeError:
        return CompiledSchema(schema or Schema(of), refs, bind, unusual)
    with _lock:
        found = _cache.get(key)
        if found is not None and found[1] is of:
            _cache.move_to_end(key)
            return found[0]
    made = CompiledSchema(schema or Schema(of), refs, bind, unusual)
    with _lock:
        _cache[key] = (made, of)
        while len(_cache) > _MAX_COMPILED_SCHEMAS:
            _cache.popitem(last=False)
    return made
