"""Places of a function's data by what belongs there: identifiers of objects, texts of a format, arrays and maps.

Each place, at any depth, builds whole data with a value of the caller's choice in it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from conformance.generation.builders import first_accepted
from conformance.generation.builders.steps import constant
from conformance.generation.case import Resolve
from conformance.generation.choices import MinimalChoices
from conformance.generation.compiled import CompiledSchema, Spec, compiled
from conformance.generation.errors import CannotGenerate, Impossible
from conformance.generation.insertion_points import Place
from conformance.generation.shape import Shape
from conformance.generation.special_values import received
from conformance.schema.bundle import Json

__all__ = ["Container", "FormatPlace", "Reference", "containers", "format_places", "references"]

# --- references to objects ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A place, at any depth, that takes the identifier of an object of a kind (`x-ref`).

    `label` and `pointer` are as those of an Insertion.
    """

    kind: str
    label: str
    pointer: str
    parameter: str
    _place: Place = field(repr=False, compare=False)
    _compiled: CompiledSchema = field(repr=False, compare=False)

    @property
    def nested(self) -> bool:
        """Whether it stands inside an array or an object of a parameter."""
        return len(self._place.steps) > 1

    def build(self, identifier: Json, resolve: Resolve | None = None) -> Json:
        """Return simple data with an identifier in this place; other identifiers come from `resolve`.

        Raises:
            CannotGenerate: the schema allows no such data.

        """
        build = self._compiled.builders.through(self._place.steps, constant(identifier))
        tokens = self.pointer.split("/")[1:]

        def accepts(data: Json) -> bool:
            return self._compiled.schema.valid(data) and _names(data, tokens, identifier)

        return first_accepted(build, accepts, resolve)

    def repeated(self, data: Json, identifier: Json) -> Json | None:
        """Return data from `build` with a further item that refers to another object; None where there is no array."""
        whole = copy.deepcopy(data)
        tokens = self.pointer.split("/")[1:]
        if "-" not in tokens:
            return None
        at = len(tokens) - 1 - tokens[::-1].index("-")
        items = _inside(whole, tokens[:at])
        if not isinstance(items, list) or not items:
            return None
        if at == len(tokens) - 1:
            items.append(identifier)
            return whole
        items.append(copy.deepcopy(items[-1]))
        holder = _inside(items[-1], tokens[at + 1 : -1])
        name = _step(holder, tokens[-1])
        if not isinstance(holder, dict) or name not in holder:
            return None
        holder[name] = identifier
        return whole


def _names(value: Json, tokens: Sequence[str], identifier: Json) -> bool:
    """Return whether an identifier stands at the tokens of a pointer; `-` is any item, `*` any key."""
    if not tokens:
        return bool(value == identifier)
    if isinstance(value, list):
        items = value if tokens[0] == "-" else value[int(tokens[0]) :][:1]
    elif isinstance(value, dict):
        name = tokens[0].replace("~1", "/").replace("~0", "~")
        items = list(value.values()) if name == "*" else [value[name]] if name in value else []
    else:
        return False
    return any(_names(item, tokens[1:], identifier) for item in items)


def _step(value: Json, token: str) -> str:
    name = token.replace("~1", "/").replace("~0", "~")
    return next(iter(value), name) if name == "*" and isinstance(value, dict) and name not in value else name


def _inside(value: Json, tokens: Sequence[str]) -> Json:
    """Return the value at the tokens of a pointer, or None; `-` is the last item, `*` the first key."""
    for token in tokens:
        if isinstance(value, list):
            index = int(token) if token != "-" else -1  # noqa: S105
            value = value[index] if -len(value) <= index < len(value) else None
        elif isinstance(value, dict):
            value = value.get(_step(value, token))
        else:
            return None
    return value


def references(spec: Spec) -> Iterator[Reference]:
    """Yield the places of a function's data that take the identifier of an object, at any depth."""
    schema = compiled(spec)
    for place in schema.places:
        if place.ref is not None and place.steps:
            yield Reference(place.ref, place.label, place.pointer, place.parameter, place, schema)


# --- formats ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FormatPlace:
    """A place, at any depth, that takes texts of one format; `label` and `pointer` are as those of an Insertion."""

    format: str
    label: str
    pointer: str
    parameter: str
    _place: Place = field(repr=False, compare=False)
    _compiled: CompiledSchema = field(repr=False, compare=False)

    def build(self, text: str, *, allowed: bool | None, resolve: Resolve | None = None) -> Json:
        """Return simple data with a text in this place.

        `allowed` says whether the data has to be valid; None: it does not matter.

        Raises:
            CannotGenerate: there is no such data. For example, the text is too long.

        """
        compiled = self._compiled
        anywhere = [replace(shape, formats=[]) for shape in self._place.shapes if shape.formats]
        if not any(compiled.builders.text_fits(shape)(text) for shape in anywhere):
            raise CannotGenerate("format", "another keyword forbids the text")
        build = compiled.builders.through(self._place.steps, constant(text))
        tokens = self.pointer.split("/")[1:]

        def accepts(data: Json) -> bool:
            fits = allowed is None or compiled.schema.valid(received(data)) is allowed
            return fits and _names(data, tokens, text)

        return first_accepted(build, accepts, resolve)


def format_places(spec: Spec) -> Iterator[FormatPlace]:
    """Yield the places of a function's data that take texts of a format, at any depth."""
    schema = compiled(spec)
    for place in schema.places:
        strings = [shape for shape in place.shapes if "string" in shape.types]
        if not place.steps or any(shape.ref or shape.values is not None for shape in strings):
            continue
        for name in dict.fromkeys(name for shape in strings for name in shape.formats):
            yield FormatPlace(name, place.label, place.pointer, place.parameter, place, schema)


# --- arrays and maps ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Container:
    """An array, or a map whose keys are data; `label` and `pointer` are as those of an Insertion."""

    is_map: bool
    label: str
    pointer: str
    parameter: str
    #: How many items or members there may be; None: any number.
    room: int | None
    unique: bool
    _shape: Shape = field(repr=False, compare=False)
    _place: Place = field(repr=False, compare=False)
    _compiled: CompiledSchema = field(repr=False, compare=False)

    def varied(self, length: int, resolve: Resolve | None = None) -> Json:
        """Return data with an array of so many items, as different as the schema allows.

        Raises:
            CannotGenerate: there is no such data.

        """
        try:
            build = self._compiled.builders.array(self._shape, length=length)
            whole = self._compiled.builders.through(self._place.steps, build)
        except Impossible as error:
            raise CannotGenerate("items", str(error)) from error
        for seed in range(1, 10):
            # With seed 0 each item gets the same choices.
            try:
                value = whole(MinimalChoices(seed, resolve), 0)
            except CannotGenerate:
                continue
            if self._compiled.schema.valid(received(value)):
                return value
        raise CannotGenerate("items", f"no array of {length} items was found")

    def unsorted(self, length: int, resolve: Resolve | None = None) -> Json:
        """Return data with an array of that many different items in no order, followed by equal ones where allowed.

        Raises:
            CannotGenerate: there is no such data.

        """
        path = self.pointer.split("/")[1:]
        whole = self.varied(length, resolve)
        items = _inside(whole, path)
        distinct = {json.dumps(item, sort_keys=True): item for item in items}
        ordered = [distinct[text] for text in sorted(distinct)]
        if len(ordered) < 2:
            raise CannotGenerate("items", "fewer than two items differ")
        # The smallest item stands between greater ones, so that no order is ascending or descending.
        mixed = [*ordered[2:], ordered[0], ordered[1]]
        if not self.unique:
            mixed += [mixed[0], mixed[0]]
        return self._with(mixed[: self.room], resolve)

    def holding(self, values: Sequence[Json], resolve: Resolve | None = None) -> Json:
        """Return data with an array of those values that the schema allows as items, in this order.

        Raises:
            CannotGenerate: fewer than two are allowed, or no data can be built around them.

        """
        shapes = self._compiled.builders.shapes
        node = shapes.join(self._shape.item(self._shape.first_items))
        fitting = [value for value in values if shapes.valid(node, value)]
        if self.unique:
            fitting = [value for number, value in enumerate(fitting) if value not in fitting[:number]]
        return self._with(fitting[: self.room], resolve)

    def keyed(self, keys: Sequence[str], resolve: Resolve | None = None) -> Json:
        """Return data with a map of those keys that the schema allows, each with another value.

        Raises:
            CannotGenerate: fewer than two are allowed, or no data can be built around them.

        """
        builders, shape = self._compiled.builders, self._shape
        names = [builders.schema.branch(node).valid for node in shape.names if isinstance(node, dict)]
        members: dict[str, Json] = {}
        for number, key in enumerate(keys):
            nodes = shape.member(key)
            if key in shape.declared or nodes == (False,) or not all(test(key) for test in names):
                continue
            try:
                build = builders.node(builders.shapes.join(nodes))
                members[key] = build(MinimalChoices(number + 1, resolve), 1)
            except (CannotGenerate, Impossible):
                continue
        return self._with(dict(list(members.items())[: self.room]), resolve)

    def _with(self, content: Json, resolve: Resolve | None) -> Json:
        if len(content) < 2:
            raise CannotGenerate("items", "fewer than two fit")
        build = self._compiled.builders.through(self._place.steps, constant(content))
        return first_accepted(build, lambda data: self._compiled.schema.valid(received(data)), resolve)


def containers(spec: Spec) -> Iterator[Container]:
    """Yield the arrays, and the maps whose keys are data, of a function's data, at any depth."""
    schema = compiled(spec)
    for place in schema.places:
        for shape in place.shapes if place.steps else ():
            if shape.values is not None or shape.ref is not None:
                continue
            is_map = "object" in shape.types and shape.is_map and not shape.closed
            if is_map or "array" in shape.types:
                room = shape.largest if is_map else shape.room()
                yield Container(
                    is_map,
                    place.label,
                    place.pointer,
                    place.parameter,
                    room,
                    shape.unique,
                    shape,
                    place,
                    schema,
                )
                break
