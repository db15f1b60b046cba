"""Schemas of OpenAPI, Swagger and OpenRPC documents as self-contained JSON Schemas of 2020-12.

References within the document are followed, recursive ones as well, and what they lead to stands under `$defs` of the
schema. A reference to another document is not followed: any value stands in, and a note says so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from urllib.parse import unquote

from conformance.schema.bundle import LISTS, MAPS, SINGLE, Json, SchemaError, point, resolve_pointer
from conformance.schema.dialect import ignored, translated_node
from conformance.schema.ecma import matcher
from conformance.schema.validation import Schema

__all__ = ["SchemaReader", "mapping_of", "mapping_property"]

#: Members that say nothing about values, or have no meaning outside their document.
_OMITTED = frozenset(
    {"$id", "$schema", "$anchor", "$dynamicAnchor", "$defs", "definitions", "discriminator", "xml"}
    | {"externalDocs", "collectionFormat", "allowEmptyValue"}
)
_SMALL_CHARACTERS = 160
_MAX_REPAIRS = 40


class SchemaReader:
    """Reads the schemas of one document; `notes` collects what was left out.

    `siblings` says whether keywords beside `$ref` count, as they do since OpenAPI 3.1. `directions` says whether
    members that are `readOnly` are in answers alone, and `writeOnly` ones in what is sent, as OpenAPI defines it.
    """

    def __init__(self, document: Json, notes: list[str], *, siblings: bool, directions: bool = True) -> None:
        self.document = document
        self.notes = notes
        self.siblings = siblings
        self.directions = directions
        self._children: dict[str, dict[str, str]] | None = None
        self._scope: Json = None
        self._where = ""
        self._is_result = False
        self._definitions: dict[str, Json] = {}
        self._names: dict[tuple[str, bool], str] = {}

    # --- references ---------------------------------------------------------------------------------------------

    def find(self, ref: Json) -> Json:
        """Return what a reference leads to in the document, or in the schema that is being read; None if nothing."""
        if not isinstance(ref, str) or not ref.startswith("#"):
            return None
        # "#" alone is the schema itself, as tools write it that make schemas one by one.
        for start in (self._scope,) if ref == "#" else (self.document, self._scope):
            try:
                return resolve_pointer(start, unquote(ref[1:]))
            except LookupError:
                continue
        return None

    def follow(self, node: Json) -> tuple[dict[str, Json], str]:
        """Return the object behind references, and the last of them; an empty object if they lead nowhere."""
        last, visited = "", set[str]()
        while isinstance(node, dict) and "$ref" in node:
            ref = node["$ref"]
            if not isinstance(ref, str) or ref in visited:
                return {}, last
            visited.add(ref)
            found = self.find(ref)
            if found is None:
                self.note(self._lost(ref))
                return {}, last
            node, last = found, ref
        return (node, last) if isinstance(node, dict) else ({}, last)

    def _lost(self, ref: Json) -> str:
        if isinstance(ref, str) and ref.startswith("#"):
            return f"{ref} leads nowhere in the document, so any value stands in"
        return f"{ref} leads to another document, which is not read, so any value stands in"

    def note(self, text: str) -> None:
        """Add a note once."""
        if text not in self.notes:
            self.notes.append(text)

    def children(self, ref: str) -> dict[str, str]:
        """Return the schemas that extend a schema by `allOf`, as references by the value of its discriminator."""
        if self._children is None:
            self._children = {}
            for pointer in ("/components/schemas", "/definitions"):
                try:
                    schemas = resolve_pointer(self.document, pointer)
                except LookupError:
                    continue
                for name, schema in schemas.items() if isinstance(schemas, dict) else ():
                    own = "#" + point(pointer, name)
                    for base in _extended(schema):
                        value = schema.get("x-discriminator-value", name)
                        self._children.setdefault(base, {})[str(value)] = own
        found = self._children.get(ref, {})
        values = mapping_of(self.find(ref))
        renamed = {target: value for value, target in values.items()}
        return {
            renamed.get(own, renamed.get(own.rpartition("/")[2], value)): own for value, own in found.items()
        }

    # --- one schema ---------------------------------------------------------------------------------------------

    def read(self, schema: Json, where: str, *, result: bool = False) -> Json:
        """Return a schema of a parameter or, with `result`, of a result; `where` names it in notes."""
        self._scope, self._where, self._is_result = schema, where, result
        self._definitions, self._names = {}, {}
        try:
            out = self._converted(schema)
        except RecursionError:
            self.note(f"{where}: is nested too deep, so any value stands in")
            return {}
        if not isinstance(out, dict):
            return out
        out, definitions = _inlined(out, self._definitions)
        if definitions:
            out = {**out, "$defs": definitions}
        return self._valid(out, where)

    def _converted(self, node: Json, *, raw: bool = False) -> Json:
        """Return a schema as 2020-12 writes it; `raw` where it is a part of `allOf`."""
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            self.note(f"{self._where}: a schema is no object, so any value stands in")
            return {}
        node = dict(node)
        if node.pop("x-nullable", None) is True:
            node["nullable"] = True
        for key, why in ignored(node):
            self.note(f"{self._where}: {key} {why}")
        node = translated_node(node)
        if "$ref" in node:
            return self._reference(node, raw=raw)
        if node.get("type") == "file":
            node["type"] = "string"
            self.note(f"{self._where}: is a file, for which a text stands in")
        out: dict[str, Json] = {}
        for key, value in node.items():
            if key in _OMITTED:
                continue
            if key in SINGLE:
                out[key] = self._converted(value)
            elif key in LISTS and isinstance(value, list):
                out[key] = [self._converted(item, raw=key == "allOf") for item in value]
            elif key in MAPS and isinstance(value, dict):
                out[key] = {name: self._converted(item) for name, item in value.items()}
            else:
                out[key] = value
        self._leave_out_patterns(out)
        self._leave_out_other_side(node, out)
        return self._tagged(node, out)

    def _leave_out_patterns(self, out: dict[str, Json]) -> None:
        """Leave out patterns that are no regular expressions."""
        if isinstance(out.get("pattern"), str) and (why := _no_pattern(out["pattern"])):
            self.note(f"{self._where}: pattern is left out: {why}")
            del out["pattern"]
        patterns = out.get("patternProperties")
        for pattern in list(patterns) if isinstance(patterns, dict) else ():
            if why := _no_pattern(pattern):
                self.note(f"{self._where}: patternProperties {pattern!r} is left out: {why}")
                del out["patternProperties"][pattern]

    def _leave_out_other_side(self, node: Mapping[str, Json], out: dict[str, Json]) -> None:
        """Leave out members that only answers have from what is sent, and the other way round."""
        properties = node.get("properties")
        if not self.directions or not isinstance(properties, dict):
            return
        other = "writeOnly" if self._is_result else "readOnly"
        for name, schema in properties.items():
            target = self.find(schema["$ref"]) if isinstance(schema, dict) and "$ref" in schema else schema
            if isinstance(target, dict) and target.get(other) is True:
                del out["properties"][name]
                if isinstance(out.get("required"), list) and name in out["required"]:
                    out["required"] = [each for each in out["required"] if each != name]
        if out.get("required") == []:
            del out["required"]

    def _reference(self, node: Mapping[str, Json], *, raw: bool) -> Json:
        ref = node["$ref"]
        target = self.find(ref)
        if not isinstance(target, dict | bool):
            self.note(self._lost(ref))
            return {"$comment": f"{ref} was not read"}
        others = {key: value for key, value in node.items() if key != "$ref"}
        beside: dict[str, Json] = {}
        if self.siblings and others:
            beside = self._converted(others)
        elif isinstance(others.get("description"), str):
            beside = {"description": others["description"]}
        key = (ref, bool(raw and mapping_property(target)))
        if key not in self._names:
            base = "".join(c for c in unquote(ref).rpartition("/")[2] if c.isalnum()) or "schema"
            name, number = base, 1
            while name in self._definitions:
                number += 1
                name = f"{base}{number}"
            # The name is taken before the schema is read, since it may refer to itself.
            self._names[key] = name
            self._definitions[name] = {}
            variants = {} if raw else self._variants(ref, target)
            self._definitions[name] = variants or self._converted(target, raw=raw)
        return {"$ref": f"#/$defs/{self._names[key]}", **beside}

    # --- discriminators -----------------------------------------------------------------------------------------

    def _variants(self, ref: str, target: Json) -> dict[str, Json]:
        """Return the alternatives of a schema that others extend, each with the value of its discriminator."""
        prop = mapping_property(target)
        if not prop or not isinstance(target, dict) or {"oneOf", "anyOf"} & target.keys():
            return {}
        branches = [self._with_tag({"$ref": own}, prop, [value]) for value, own in self.children(ref).items()]
        return {"oneOf": branches} if branches else {}

    def _tagged(self, node: Mapping[str, Json], out: dict[str, Json]) -> dict[str, Json]:
        """Return alternatives with a discriminator, each with the constant that selects it."""
        prop = mapping_property(node)
        key = next((key for key in ("oneOf", "anyOf") if isinstance(node.get(key), list)), None)
        if not prop or key is None:
            return out
        values: dict[str, list[str]] = {}
        for value, target in mapping_of(node).items():
            values.setdefault(target.rpartition("/")[2], []).append(value)
        for at, branch in enumerate(node[key]):
            if isinstance(branch, dict) and isinstance(branch.get("$ref"), str) and self.find(branch["$ref"]):
                name = branch["$ref"].rpartition("/")[2]
                out[key][at] = self._with_tag(branch, prop, values.get(name, [unquote(name)]))
        return out

    def _with_tag(self, branch: dict[str, Json], prop: str, values: list[str]) -> Json:
        tag: Json = {"const": values[0]} if len(values) == 1 else {"enum": values}
        target = self.find(branch["$ref"])
        converted = self._converted(branch)
        if isinstance(target, dict) and isinstance(target.get("properties"), dict):
            own = target["properties"].get(prop)
            if isinstance(own, dict) and ("const" in own or "enum" in own):
                return converted
        return {"allOf": [converted, {"properties": {prop: tag}, "required": [prop]}]}

    # --- repair -------------------------------------------------------------------------------------------------

    def _valid(self, schema: dict[str, Json], where: str) -> Json:
        """Return a schema without the keywords that no validator can use; each is noted."""
        for _ in range(_MAX_REPAIRS):
            try:
                Schema(schema)
            except SchemaError as error:
                parts = error.pointer.split("/")[1:]
                if not parts or not _removed(schema, parts):
                    break
                self.note(f"{where}: {error.pointer[1:]} is left out: {error}")
            except RecursionError:
                break
            else:
                return schema
        self.note(f"{where}: its schema cannot be used, so any value stands in")
        return {"$comment": "the schema of the document cannot be used"}


def _no_pattern(pattern: str) -> str:
    """Return why a pattern is no regular expression; "" if it is one."""
    try:
        matcher(pattern)
    except (ValueError, re.error) as error:
        return f"{pattern!r} is no pattern: {error}"
    return ""


def _extended(schema: Json) -> Iterator[str]:
    """Yield the references to the schemas that a schema extends by `allOf`."""
    parts = schema.get("allOf") if isinstance(schema, dict) else None
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            yield part["$ref"]


def mapping_property(node: Json) -> str:
    """Return the name of the member that a discriminator names; "" without one."""
    found = node.get("discriminator") if isinstance(node, dict) else None
    name = found.get("propertyName") if isinstance(found, dict) else found
    return name if isinstance(name, str) else ""


def mapping_of(node: Json) -> dict[str, str]:
    """Return the mapping of a discriminator: names or references of schemas by the values that select them."""
    found = node.get("discriminator") if isinstance(node, dict) else None
    mapping = found.get("mapping") if isinstance(found, dict) else None
    if not isinstance(mapping, dict):
        return {}
    return {str(value): target for value, target in mapping.items() if isinstance(target, str)}


def _removed(schema: Json, parts: list[str]) -> bool:
    """Remove the keyword of a schema to which the parts of a pointer lead, or the nearest one above it."""
    path: list[tuple[Json, Json]] = []
    node = schema
    for part in parts:
        name: Json = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isdigit():
            name = int(name)
        try:
            below = node[name]
        except (KeyError, IndexError, TypeError):
            break
        path.append((node, name))
        node = below
    while path:
        holder, name = path.pop()
        if isinstance(holder, dict):
            del holder[name]
            return True
    return False


# --- short schemas --------------------------------------------------------------------------------------------


def _references(node: Json) -> Iterator[str]:
    """Yield the names of the definitions to which a schema refers."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get("$ref"), str):
        yield node["$ref"].removeprefix("#/$defs/")
    for below in _below(node):
        yield from _references(below)


def _below(node: Mapping[str, Json]) -> Iterator[Json]:
    for key, value in node.items():
        if key in SINGLE:
            yield value
        elif key in LISTS and isinstance(value, list):
            yield from value
        elif key in MAPS and isinstance(value, dict):
            yield from value.values()


def _inlined(schema: Json, definitions: Mapping[str, Json]) -> tuple[Json, dict[str, Json]]:
    """Return a schema and its definitions, without those that are used once or are small and refer to nothing."""
    left = dict(definitions)
    while True:
        used: Counter[str] = Counter(_references(schema))
        for node in left.values():
            used.update(_references(node))
        recursive = {name for name in left if _reaches(name, left)}
        ready = [
            name
            for name, node in left.items()
            if name not in recursive
            and (used[name] <= 1 or (not any(_references(node)) and _length(node) <= _SMALL_CHARACTERS))
        ]
        if not ready:
            return schema, left
        name = ready[0]
        body = left.pop(name)
        replace = _replacing(f"#/$defs/{name}", body)
        schema = replace(schema)
        left = {each: replace(node) for each, node in left.items()}


def _length(node: Json) -> int:
    return len(json.dumps(node, default=str))


def _reaches(name: str, definitions: Mapping[str, Json]) -> bool:
    """Return whether a definition refers to itself, directly or indirectly."""
    waiting, visited = [name], set[str]()
    while waiting:
        for other in _references(definitions.get(waiting.pop())):
            if other == name:
                return True
            if other not in visited:
                visited.add(other)
                waiting.append(other)
    return False


def _replacing(ref: str, body: Json) -> Callable[[Json], Json]:
    """Return a function that puts a definition in the place of references to it."""

    def replace(node: Json) -> Json:
        if not isinstance(node, dict):
            return node
        if node.get("$ref") == ref:
            others = {key: replace_value(key, value) for key, value in node.items() if key != "$ref"}
            if not others:
                return deepcopy(body)
            if isinstance(body, dict) and (
                others.keys() <= {"description", "title"} or not others.keys() & body.keys()
            ):
                return {**deepcopy(body), **others}
            return {**others, "allOf": [deepcopy(body), *others.get("allOf", [])]}
        return {key: replace_value(key, value) for key, value in node.items()}

    def replace_value(key: str, value: Json) -> Json:
        if key in SINGLE:
            return replace(value)
        if key in LISTS and isinstance(value, list):
            return [replace(item) for item in value]
        if key in MAPS and isinstance(value, dict):
            return {name: replace(item) for name, item in value.items()}
        return value

    return replace
