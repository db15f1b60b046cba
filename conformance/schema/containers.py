"""The objects and arrays of a value with the schemas that apply to each, for many values of one schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from conformance.schema.bundle import Json, point, resolve_pointer
from conformance.schema.validation import Schema, item_schemas, member_schemas

__all__ = ["ContainerWalk", "Place", "pointer_to"]

#: A place in a value: None for the value itself, or the place of its container and the name or index in it.
Place: TypeAlias = "tuple[Place, str | int] | None"

_CONTAINERS = frozenset((dict, list))
#: Keywords by which it depends on the value which schemas apply to it.
_CONDITIONAL_KEYWORDS = ("anyOf", "oneOf", "if", "dependentSchemas")
#: Names of members whose schemas are remembered, of each object. The keys of maps are without number.
MAX_REMEMBERED_NAMES = 256


def pointer_to(place: Place) -> str:
    """Return the JSON pointer to a place."""
    tokens: list[str | int] = []
    while place is not None:
        place, token = place
        tokens.append(token)
    return point("", *reversed(tokens))


class _Node:
    """Schemas that apply to a value directly, and what follows from them alone."""

    __slots__ = ("items", "members", "parts", "schemas")

    def __init__(self, schemas: list[Json], parts: list[dict[str, Json]] | None) -> None:
        self.schemas = schemas
        #: The schemas that apply to any value through these; None if that depends on the value.
        self.parts = parts
        self.members: dict[str, _Node] = {}
        #: The schemas of any item, once they are known; they may differ by index.
        self.items: _Node | None = None


class ContainerWalk:
    """Visits objects and arrays as `Schema.walk` does; what depends on the schema alone is found once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        #: By the identities of schemas. They belong to the schema's document, so their identities stay theirs.
        self._nodes: dict[tuple[int, ...], _Node] = {}
        self._root = self._node([schema.document])

    def visit(self, value: Json) -> Iterator[tuple[Place, list[dict[str, Json]], Json]]:
        """Yield (place, the schemas that apply, value) for each object and array, outer ones first."""
        stack: list[tuple[Place, _Node, Json]] = [(None, self._root, value)]
        while stack:
            place, node, item = stack.pop()
            if not isinstance(item, dict | list):
                continue
            parts = node.parts if node.parts is not None else self._schema.parts(node.schemas, item)
            yield place, parts, item
            below: list[tuple[Place, _Node, Json]] = []
            if isinstance(item, dict):
                for name, child in item.items():
                    if child.__class__ in _CONTAINERS:
                        below.append(((place, name), self._member(node, parts, name), child))
            else:
                for index, child in enumerate(item):
                    if child.__class__ in _CONTAINERS:
                        below.append(((place, index), self._item(node, parts, index), child))
            below.reverse()
            stack += below

    def _node(self, schemas: list[Json]) -> _Node:
        key = tuple(map(id, schemas))
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes.setdefault(key, _Node(schemas, self._unconditional_parts(schemas)))
        return found

    def _unconditional_parts(self, schemas: list[Json]) -> list[dict[str, Json]] | None:
        """Return the schemas that apply to any value through these; None if that depends on the value."""
        stack, seen = list(schemas), set[int]()
        while stack:
            schema = stack.pop()
            if not isinstance(schema, dict) or id(schema) in seen:
                continue
            if any(keyword in schema for keyword in _CONDITIONAL_KEYWORDS):
                return None
            seen.add(id(schema))
            if "$ref" in schema:
                stack.append(resolve_pointer(self._schema.document, schema["$ref"][1:]))
            stack += schema.get("allOf", ())
        return self._schema.parts(schemas, None)

    def _member(self, node: _Node, parts: list[dict[str, Json]], name: str) -> _Node:
        found = node.members.get(name)
        if found is None:
            found = self._node(member_schemas(parts, name))
            if node.parts is not None and len(node.members) < MAX_REMEMBERED_NAMES:
                node.members[name] = found
        return found

    def _item(self, node: _Node, parts: list[dict[str, Json]], index: int) -> _Node:
        found = node.items
        if found is None:
            found = self._node(item_schemas(parts, index))
            if node.parts is not None and not any("prefixItems" in part for part in parts):
                node.items = found
        return found
