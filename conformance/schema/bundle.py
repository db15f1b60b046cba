"""Self-contained JSON Schemas: resolve references, and visit the places of a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from conformance.schema.dialect import translated_node

__all__ = [
    "LISTS",
    "MAPS",
    "SINGLE",
    "Json",
    "SchemaError",
    "bundle",
    "bundle_object",
    "json_type",
    "places",
    "point",
    "resolve_pointer",
]

#: Any JSON value, as Python's json module reads it.
Json: TypeAlias = Any
SINGLE = (
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
)
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPS = ("properties", "patternProperties", "dependentSchemas")
#: Members that a bundle does not need, since references are resolved and definitions are collected.
_OMITTED_MEMBERS = frozenset({"$id", "$schema", "$anchor", "$comment", "$defs", "definitions"})


class SchemaError(Exception):
    """A schema is not valid; `pointer` (JSON pointer into the schema) is the place, the message the reason."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer


def point(pointer: str, *tokens: str | int) -> str:
    """Return a JSON pointer (RFC 6901) with further tokens appended."""
    for token in tokens:
        pointer += "/" + str(token).replace("~", "~0").replace("/", "~1")
    return pointer


def resolve_pointer(document: Json, pointer: str) -> Json:
    """Return the value at a JSON pointer; raises LookupError if there is none."""
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document[token]
        elif isinstance(document, list) and re.fullmatch(r"0|[1-9][0-9]*", token):
            document = document[int(token)]
        else:
            raise LookupError(pointer)
    return document


def json_type(value: Json) -> str:
    """Return the JSON type of a value: null, boolean, number, string, array or object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list | tuple) else "object"


class _Bundler:
    """Copies a schema, and collects everything that it refers to under its own `$defs`."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self.definitions: dict[str, Json] = {}
        self._names: dict[int, str] = {}

    def copy(self, schema: Json, scope: Json, pointer: str) -> Json:
        """Return a copy of a schema with its references changed to `#/$defs/…`."""
        if not isinstance(schema, dict):
            return schema
        schema = translated_node(schema)
        out: dict[str, Json] = {}
        for key, value in schema.items():
            here = point(pointer, key)
            if key in _OMITTED_MEMBERS:
                continue
            if key == "$ref":
                out[key] = self._ref(value, scope, here)
            elif key in ("$dynamicRef", "$recursiveRef"):
                raise SchemaError(here, f"{key} is not supported: use $ref")
            elif key in SINGLE:
                out[key] = self.copy(value, scope, here)
            elif key in LISTS and isinstance(value, list):
                out[key] = [self.copy(item, scope, point(here, i)) for i, item in enumerate(value)]
            elif key in MAPS and isinstance(value, dict):
                out[key] = {name: self.copy(item, scope, point(here, name)) for name, item in value.items()}
            else:
                out[key] = value
        return out

    def _ref(self, ref: Json, scope: Json, pointer: str) -> str:
        """Return the reference to the copy of the schema that `ref` refers to."""
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            raise SchemaError(
                pointer, f"{ref!r} leads out of this document: only references with #/ are followed"
            )
        path = unquote(ref[1:])
        target, found_in = self._find(path, scope)
        if target is None:
            raise SchemaError(pointer, f"{ref!r} leads nowhere in this document")
        if id(target) not in self._names:
            base = re.sub(r"[^A-Za-z0-9]+", "", path.rpartition("/")[2]) or "schema"
            name = base
            number = 1
            while name in self.definitions:
                number += 1
                name = f"{base}{number}"
            self._names[id(target)] = name
            self.definitions[name] = None
            self.definitions[name] = self.copy(target, found_in, pointer)
        return f"#/$defs/{self._names[id(target)]}"

    def _find(self, path: str, scope: Json) -> tuple[Json, Json]:
        # A reference is relative to the document, or to the schema if a tool generated the schema alone.
        for start in (self.root, scope) if path else (scope,):
            try:
                target = resolve_pointer(start, path)
            except LookupError:
                continue
            if isinstance(target, dict | bool):
                return target, scope if start is scope else None
        return None, None


def bundle(schema: Json, root: Json = None, pointer: str = "") -> Json:
    """Return a self-contained schema: everything that it refers to in `root` or in itself is under its `$defs`.

    Raises:
        SchemaError: a reference has no target; `pointer` is the prefix of its pointer.

    """
    if not isinstance(schema, dict):
        return schema
    bundler = _Bundler(root)
    out = bundler.copy(schema, schema, pointer)
    if bundler.definitions:
        out["$defs"] = bundler.definitions
    return out


def bundle_object(properties: Mapping[str, Json], required: list[str], root: Json = None) -> dict[str, Json]:
    """Return the self-contained schema of an open object, whose members may refer into `root` or themselves.

    Raises:
        SchemaError: a reference has no target.

    """
    bundler = _Bundler(root)
    members = {name: bundler.copy(schema, schema, point("", name)) for name, schema in properties.items()}
    out: dict[str, Json] = {"type": "object", "properties": members}
    if required:
        out["required"] = required
    if bundler.definitions:
        out["$defs"] = bundler.definitions
    return out


def places(document: Json) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield (pointer pattern, schema) for each place of a bundled schema; `*` stands for any item or any key.

    A recursive schema is entered once on each path.
    """
    stack: list[tuple[str, Json, frozenset[str]]] = [("", document, frozenset())]
    while stack:
        pointer, node, visited = stack.pop()
        if not isinstance(node, dict):
            continue
        yield pointer, node
        below: list[tuple[str, Json, frozenset[str]]] = []
        ref = node.get("$ref")
        if isinstance(ref, str) and ref not in visited:
            below.append((pointer, resolve_pointer(document, ref[1:]), visited | {ref}))
        for key in ("allOf", "anyOf", "oneOf"):
            below += [(pointer, branch, visited) for branch in node.get(key, [])]
        below += [(pointer, node[key], visited) for key in ("then", "else") if key in node]
        below += [
            (point(pointer, name), child, visited) for name, child in node.get("properties", {}).items()
        ]
        below += [(pointer, child, visited) for child in node.get("dependentSchemas", {}).values()]
        below += [(point(pointer, i), child, visited) for i, child in enumerate(node.get("prefixItems", []))]
        below += [(pointer + "/*", child, visited) for child in node.get("patternProperties", {}).values()]
        below += [
            (pointer + "/*", node[key], visited)
            for key in ("additionalProperties", "items", "contains")
            if key in node
        ]
        stack += reversed(below)
