"""The functions of a catalogue: their parameters, roles and schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from conformance.catalog.contract import Contract
from conformance.schema.bundle import Json, json_type, places, point, resolve_pointer
from conformance.schema.containers import ContainerWalk, pointer_to
from conformance.schema.validation import Schema, item_schemas, member_schemas

__all__ = ["Method", "ObjectRole", "Param", "refs"]

_TYPES = ("null", "boolean", "number", "string", "array", "object")


@dataclass(frozen=True)
class Param:
    """One parameter: `schema` is self-contained; `ref` is the kind of object whose identifier it takes."""

    name: str
    schema: Json
    required: bool = False
    ref: str | None = None
    description: str = ""


@dataclass(frozen=True)
class ObjectRole:
    """The operation of a function on objects of a kind (x-object).

    `does` is create, read, update, delete or list. For read, update and delete, `id` is the name of the parameter that
    identifies the object. For create it is the JSON pointer to the new identifier in `data`, for list the JSON pointer
    within a row. `at` is the JSON pointer in `data` to the object itself (create, read, update).
    """

    kind: str
    does: str
    id: str
    at: str = ""


@dataclass(frozen=True)
class Method:
    """One function of the target.

    `auth` is "none", "session" or the name of a role; None if it is unknown. `effect` is read, write or delete. `rows`
    is the JSON pointer into `data` to the rows that paging applies to, None if the function is not paged.
    `data_schema` and `result_schema` are self-contained (references are resolved under `$defs`). `result_schema` is
    None if the catalogue has none: then `data` of a success is an object (ENV-7).
    """

    name: str
    params: tuple[Param, ...] = ()
    description: str = ""
    auth: str | None = "session"
    effect: str = "write"
    rows: str | None = None
    object: ObjectRole | None = None
    beyond_schema: bool = False
    data_schema: Json = field(default_factory=lambda: {"type": "object"}, repr=False)
    result_schema: Json = field(default=None, repr=False)

    @property
    def entity(self) -> str:
        """The endpoint: the part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def function(self) -> str:
        """The value of `method` in a call: the part of the name after the dot."""
        return self.name.partition(".")[2]

    @property
    def protected(self) -> bool | None:
        """Whether it needs a session; None if that is unknown."""
        return None if self.auth is None else self.auth != "none"

    def param(self, name: str) -> Param | None:
        """Return the parameter with this name, or None."""
        return next((param for param in self.params if param.name == name), None)

    @cached_property
    def data(self) -> Schema:
        """The compiled schema of `data`: an object with the parameters; other members are allowed."""
        return Schema(self.data_schema)

    @cached_property
    def result(self) -> Schema:
        """The compiled schema of `data` in a success, lenient where common validators differ (ENV-10)."""
        return Schema({"type": "object"} if self.result_schema is None else self.result_schema, lenient=True)

    @cached_property
    def refs(self) -> tuple[tuple[str, str], ...]:
        """The places in `data` that take the identifier of an object, as (JSON pointer with `*`, kind)."""
        return refs(self.data_schema)

    @cached_property
    def contract(self) -> Contract:
        """The promises that the pure rules check (ENV-7, ENV-10, NAM-1)."""
        mismatch = None if self.result_schema is None else self.mismatch
        return Contract(self.name, self._result_types, mismatch, self.names)

    @cached_property
    def _result_types(self) -> frozenset[str] | None:
        """The JSON types that the result may have; None for any type."""
        types = _types(self.result.document, self.result.document, frozenset())
        return None if types == frozenset(_TYPES) else types

    def mismatch(self, data: Json) -> str | None:
        """Return one line about the first difference between `data` and the result schema, or None (ENV-10)."""
        errors = self.result.errors(data)
        if not errors:
            return None
        pointer, keyword, message = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"data{pointer}: {message} ({keyword}){more}"

    @cached_property
    def _containers(self) -> ContainerWalk:
        return ContainerWalk(self.result)

    def names(self, data: Json, known: AbstractSet[str] = frozenset()) -> Iterator[tuple[str, str]]:
        """Yield (JSON pointer, member name) for each member of `data`, except the keys of declared maps (NAM-1).

        A map is an object whose schema has a schema as `additionalProperties` and no `properties`. The values of a map
        are visited, too. Objects whose member names are all `known` are left out.
        """
        for place, parts, value in self._containers.visit(data):
            if (
                isinstance(value, dict)
                and not known >= value.keys()
                and not any(_is_map(part) for part in parts)
            ):
                pointer = pointer_to(place)
                for name in value:
                    yield point(pointer, name), name

    @cached_property
    def _readonly(self) -> frozenset[str]:
        """The pointers of the places in the result that are readOnly."""
        return frozenset(
            pointer
            for pointer, node in places(self.result.document)
            if pointer and node.get("readOnly") is True
        )

    def volatile_mask(self, data: Json) -> Json:
        """Return `data` without the members that are readOnly in the result schema (STA-2)."""
        if not self._readonly:
            return data
        whole: list[Json] = [None]
        # Each entry: the schemas that apply to the value, the value, the container of its copy, the key in it. There
        # is no recursion, since a target may send deeply nested data.
        stack: list[tuple[list[Json], Json, Json, Json]] = [([self.result.document], data, whole, 0)]
        while stack:
            nodes, value, into, at = stack.pop()
            if isinstance(value, list):
                parts = self.result.parts(nodes, value)
                into[at] = copy = [None] * len(value)
                stack += [(item_schemas(parts, i), item, copy, i) for i, item in enumerate(value)]
            elif isinstance(value, dict):
                parts = self.result.parts(nodes, value)
                copy_of_object: dict[str, Json] = {}
                into[at] = copy_of_object
                for name, item in value.items():
                    below = member_schemas(parts, name)
                    if not any(part.get("readOnly") is True for part in self.result.parts(below, item)):
                        copy_of_object[name] = None
                        stack.append((below, item, copy_of_object, name))
            else:
                into[at] = value
        return whole[0]


def refs(schema: Json) -> tuple[tuple[str, str], ...]:
    """Return (JSON pointer with `*` for any item or key, kind) for each x-ref in a bundled schema."""
    return tuple(
        dict.fromkeys(
            (pointer, node["x-ref"]) for pointer, node in places(schema) if isinstance(node.get("x-ref"), str)
        )
    )


def _is_map(part: Mapping[str, Json]) -> bool:
    """Return whether a schema declares a map."""
    return isinstance(part.get("additionalProperties"), dict) and "properties" not in part


def _types(node: Json, document: Json, visited: frozenset[str]) -> frozenset[str]:
    """Return the JSON types that a bundled schema allows."""
    every = frozenset(_TYPES)
    if not isinstance(node, dict):
        return every if node else frozenset()
    types = every
    if "type" in node:
        declared = [node["type"]] if isinstance(node["type"], str) else node["type"]
        types &= {"number" if name == "integer" else name for name in declared}
    if "const" in node:
        types &= {json_type(node["const"])}
    if "enum" in node:
        types &= {json_type(value) for value in node["enum"]}
    ref = node.get("$ref")
    if ref is not None and ref not in visited:
        types &= _types(resolve_pointer(document, ref[1:]), document, visited | {ref})
    for branch in node.get("allOf", ()):
        types &= _types(branch, document, visited)
    for key in ("anyOf", "oneOf"):
        if key in node:
            types &= frozenset().union(*(_types(branch, document, visited) for branch in node[key]))
    return types
