"""Ordinary valid values for real calls, from a seeded random generator."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from conformance.generation.builders import Builders
from conformance.generation.choices import OptionalMembers, Ordinary, RandomChoices
from conformance.generation.errors import CannotGenerate
from conformance.generation.json_values import same_json
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

__all__ = ["Sampler"]

_ATTEMPTS = 40
_ATTEMPTS_FOR_ANOTHER = 32


class Sampler:
    """Makes ordinary valid values.

    `fresh()` returns a tag such as "conform-1a2b-17". Free texts contain it, shortened to fit, so that the objects
    of a run are recognized. `resolve(kind)` returns the identifier for a place marked x-ref.
    """

    def __init__(self, rng: random.Random, fresh: Callable[[], str], resolve: Callable[[str], Json]) -> None:
        """Draw from `rng`: the same seed gives the same values."""
        self.rng = rng
        self.fresh = fresh
        self.resolve = resolve
        #: Whether any text stands for one of an unknown format, in data that is invalid for another reason.
        self.placeholders = False
        #: By the identity of a schema, and whether placeholders are allowed: the schema and its builders.
        self._compiled: dict[tuple[int, bool], tuple[object, Builders]] = {}

    def bound(self, rng: random.Random, resolve: Callable[[str], Json]) -> Sampler:
        """Return a sampler with another source of choices and of identifiers, and the same compiled schemas."""
        other = Sampler(rng, self.fresh, resolve)
        other._compiled = self._compiled
        return other

    def sample(self, schema: Json | Schema, *, optional: OptionalMembers = "none") -> Json:
        """Return a valid value of a bundled schema (`Param.schema`, `Method.data`).

        Raises:
            CannotGenerate: no value is found; it names the keyword that prevents it.

        """
        builders = self._builders(schema)
        build = builders.node(builders.schema.document)
        choices = RandomChoices(Ordinary(self.rng, self.fresh, optional), self.resolve)
        reason = CannotGenerate("schema", "no value was found that it lets pass")
        for _ in range(_ATTEMPTS):
            try:
                value = build(choices, 0)
            except CannotGenerate as why:
                reason = why
                continue
            if builders.schema.valid(value):
                return value
            _, keyword, message = builders.schema.errors(value)[0]
            reason = CannotGenerate(keyword, message)
        raise reason

    def other_than(self, schema: Json | Schema, value: Json) -> Json:
        """Return a valid value that differs from the given one (STA-2).

        Raises:
            CannotGenerate: the schema allows nothing else.

        """
        for attempt in range(_ATTEMPTS_FOR_ANOTHER):
            other = self.sample(schema, optional="some" if attempt else "all")
            if not same_json(other, value):
                return other
        builders = self._builders(schema)
        for shape in builders.shapes.of(builders.schema.document):
            for other in shape.values or ():
                if not same_json(other, value):
                    return other
        raise CannotGenerate("const", f"the schema lets nothing pass but {json.dumps(value)[:60]}")

    def _builders(self, schema: Json | Schema) -> Builders:
        key = (id(schema), self.placeholders)
        known = self._compiled.get(key)
        if known is None or known[0] is not schema:
            compiled = schema if isinstance(schema, Schema) else Schema(schema)
            known = self._compiled[key] = (schema, Builders(compiled, placeholders=self.placeholders))
        return known[1]
