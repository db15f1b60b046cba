"""One violation: whole data that contains it, or given data with the violation put into it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from conformance.generation.builders import Builders, BuildValue, Step
from conformance.generation.case import Case, Resolve
from conformance.generation.choices import Choices, MinimalChoices
from conformance.generation.errors import CannotGenerate
from conformance.generation.insertion_points import Place
from conformance.schema.bundle import Json, places
from conformance.schema.ecma import matcher

__all__ = ["LEFT_OUT", "Violation"]

_ATTEMPTS = 8

#: Stands for a value that is not there.
LEFT_OUT = object()

#: Keywords whose violations concern the number or the names of members and items, not the members themselves.
_ABOUT_SIZE = frozenset(
    {
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "additionalProperties",
        "propertyNames",
        "dependentRequired",
    }
)


@dataclass(frozen=True)
class Violation(Case):
    """One way to violate a schema. `rule` is REQ-7, REQ-8 or REQ-9.

    REQ-7: a required member is left out, or null. REQ-8: another type than the declared. REQ-9: a value outside of a
    range, a length, an enumeration, a pattern, a format or a condition.
    """

    builders: Builders = field(repr=False, compare=False)
    place: Place = field(repr=False, compare=False)
    #: Builds the value at the place; None: the member is left out.
    build_value: BuildValue | None = field(repr=False, compare=False)

    def apply(self, data: dict[str, Json], resolve: Resolve | None = None) -> dict[str, Json]:
        """Return a copy of data with the violation in it, always the same; the rest remains as far as possible.

        Where a part has to be built, identifiers come from `resolve`, else from the data itself.

        Raises:
            CannotGenerate: the data has no such place and none can be built, or it would be valid.

        """
        resolve = resolve or _identifiers_of(data, self.schema.document)
        reason = CannotGenerate("schema", f"{self.kind}: this would be valid")
        for seed in range(_ATTEMPTS):
            try:
                for invalid in self._candidates(data, MinimalChoices(seed, resolve)):
                    if isinstance(invalid, dict) and self.accepts(invalid):
                        return invalid
            except CannotGenerate as why:
                reason = why
        raise reason

    def after_valid_item(self, data: Json, valid: Json) -> Json | None:
        """Return invalid data with an item of `valid` put before the item with the violation.

        A check that looks at the first item alone accepts that. None where no array with room leads to the place.
        """
        steps = self.place.steps
        number = next((at for at, step in enumerate(steps) if isinstance(step.key, int)), None)
        if number is None:
            return None
        room = steps[number].shape.room()
        items, others = _found(data, steps[:number]), _found(valid, steps[:number])
        if not isinstance(items, list) or not isinstance(others, list) or not items or not others:
            return None
        if not steps[number].any_item or (room is not None and len(items) >= room):
            return None
        return _inserted(data, steps[:number], [copy.deepcopy(others[0]), *items])

    def _candidates(self, data: dict[str, Json], choices: Choices) -> Iterator[Json]:
        """Yield data with the violation put in, the least changed first; None where the data has no such place."""
        steps = self.place.steps
        ambiguous = next((number for number, step in enumerate(steps) if step.ambiguous), None)
        if ambiguous is None:
            yield from self._in_place(data, choices)
        for count in range(len(steps) - 1 if ambiguous is None else ambiguous, 0, -1):
            yield self._rebuilt(data, count, choices)
        if not steps or ambiguous == 0:
            yield self.build_data(choices, 0)

    def _in_place(self, data: dict[str, Json], choices: Choices) -> Iterator[Json]:
        """Yield data with the value replaced where it stands."""
        steps = self.place.steps
        value = LEFT_OUT if self.build_value is None else self.build_value(choices, len(steps))
        if self.keyword in _ABOUT_SIZE:
            for merged in _merged(_found(data, steps), value):
                yield _inserted(data, steps, merged)
        yield _inserted(data, steps, value)

    def _rebuilt(self, data: dict[str, Json], count: int, choices: Choices) -> Json:
        """Return data with the value at the first `count` steps built anew, around the violation."""
        between = list(self.place.steps[count:])
        if self.build_value is None:
            last = between.pop()
            build = self.builders.object(last.shape, omit={str(last.key)}, close=False)
        else:
            build = self.build_value
        value = self.builders.through(between, build)(choices, count)
        return _inserted(data, self.place.steps[:count], value)


def _merged(found: Json, value: Json) -> Iterator[Json]:
    """Yield a container with the size or the names of `value`, and the members or items that were found."""
    if isinstance(found, dict) and isinstance(value, dict):
        yield {**found, **{name: each for name, each in value.items() if name not in found}}
        yield {name: found.get(name, each) for name, each in value.items()}
    elif isinstance(found, list) and isinstance(value, list):
        yield [*found[: len(value)], *value[len(found) :]]


# --- places in data -----------------------------------------------------------------------------------------


def _found(data: Json, steps: Sequence[Step]) -> Json:
    """Return the value at the end of the steps; None where there is none."""
    for step in steps:
        key = _key(data, step, last=False)
        if key is None:
            return None
        data = data[key]
    return data


def _inserted(data: Json, steps: Sequence[Step], value: Json) -> Json:
    """Return a copy of data with a value put in, or left out, at the end of the steps; None where this cannot be."""
    if not steps:
        return copy.deepcopy(value)
    root = container = copy.deepcopy(data)
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        key = _key(container, step, last=last)
        if key is None:
            return None
        if not last:
            container = container[key]
        elif value is LEFT_OUT:
            if key not in container:
                return None
            del container[key]
        elif isinstance(container, list) and key == len(container):
            container.append(value)
        else:
            container[key] = value
    return root


def _key(container: Json, step: Step, *, last: bool) -> str | int | None:
    """Return the key that a step leads to in a container, None where it has none; the last one may be new."""
    if isinstance(step.key, int):
        room = len(container) + last if isinstance(container, list) else 0
        return step.key if step.key < room else None
    if not isinstance(container, dict):
        return None
    if step.key is not None:
        return step.key if last or step.key in container else None
    fits = (lambda name: True) if step.pattern is None else matcher(step.pattern)
    declared = step.shape.declared
    return next((name for name in container if name not in declared and fits(name)), None)


def _identifiers_of(data: Json, document: Json) -> Resolve:
    """Return what gives the identifiers that data contains, by their kind."""
    found: dict[str, Json] = {}
    for pointer, node in places(document):
        kind = node.get("x-ref")
        if isinstance(kind, str) and kind not in found:
            for value in _values_at(data, pointer.split("/")[1:]):
                found[kind] = value
                break

    def resolve(kind: str) -> Json:
        if kind not in found:
            raise CannotGenerate("x-ref", f"it takes the identifier of a {kind}, and the data has none")
        return found[kind]

    return resolve


def _values_at(value: Json, tokens: Sequence[str]) -> Iterator[Json]:
    """Yield the values at the tokens of a pointer; `*` is any member or item."""
    if not tokens:
        yield value
    elif isinstance(value, dict):
        name = tokens[0].replace("~1", "/").replace("~0", "~")
        for item in value.values() if name == "*" else [value[name]] if name in value else []:
            yield from _values_at(item, tokens[1:])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if tokens[0] in ("*", str(index)):
                yield from _values_at(item, tokens[1:])
