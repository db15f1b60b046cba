"""Requests and answers of the protocol in schemas of an OpenAPI document.

A request is an object with `method`, and with `data` or nothing but the paging members beside it. Where a body is one
of several requests, each is a call of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from conformance.catalog.importing.schemas import SchemaReader, mapping_of, mapping_property
from conformance.schema.bundle import Json

__all__ = ["Body", "Branch", "Flat", "bodies", "data_of_answers", "flat", "is_request", "names_of"]

METHOD, DATA = "method", "data"
PAGING = ("pageStart", "pageLength")
#: Keywords that say of a schema only which type it has.
_TRIVIAL = frozenset(
    {"type", "nullable", "description", "example", "examples", "default", "title", "x-nullable"}
)
_ENDINGS = re.compile(
    r"(?:request|req|call|body|command|input|payload|success|response|resp|result|reply|output)+\Z"
)


@dataclass
class Flat:
    """An object schema with what `allOf` and references add: its members, the required ones, and its extensions."""

    properties: dict[str, Json] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    extensions: dict[str, Json] = field(default_factory=dict)
    description: str = ""
    #: Whether alternatives were united.
    has_alternatives: bool = False


@dataclass
class Branch:
    """One of the alternatives of a schema: `ref` is the reference to it, `value` that of a discriminator."""

    schema: Json
    ref: str = ""
    value: str = ""

    @property
    def stem(self) -> str:
        """The name of the schema without endings such as Request and Response."""
        name = re.sub(r"[^a-z0-9]", "", self.ref.rpartition("/")[2].lower())
        return _ENDINGS.sub("", name) or name


@dataclass
class Body:
    """A request of the protocol: the functions that it names, and the schema of its data."""

    names: list[str]
    data: Json
    flat: Flat
    branch: Branch

    @property
    def is_paged(self) -> bool:
        """Whether it has paging members."""
        return any(name in self.flat.properties for name in PAGING)


def flat(reader: SchemaReader, schema: Json, depth: int = 0) -> Flat | None:
    """Return the members of an object schema; None for a schema of something else."""
    node, _ = reader.follow(schema)
    if depth > 20 or not (node.keys() & {"properties", "allOf"} or node.get("type") == "object"):
        return None
    out = Flat()
    parts = node.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        found = flat(reader, part, depth + 1)
        if found is not None:
            _add(out, found)
    properties, required = node.get("properties"), node.get("required")
    own = Flat(
        dict(properties) if isinstance(properties, dict) else {},
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else [],
        {key: value for key, value in node.items() if key.startswith("x-")},
        node["description"] if isinstance(node.get("description"), str) else "",
    )
    _add(out, own)
    return out


def _add(out: Flat, more: Flat) -> None:
    for name, schema in more.properties.items():
        out.properties[name] = _both(out.properties[name], schema) if name in out.properties else schema
    out.required += [name for name in more.required if name not in out.required]
    out.extensions |= more.extensions
    out.description = more.description or out.description
    out.has_alternatives |= more.has_alternatives


def _both(first: Json, second: Json) -> Json:
    """Return a schema for what passes two schemas."""
    if not isinstance(first, dict) or first.keys() <= _TRIVIAL:
        if isinstance(first, dict) and isinstance(second, dict) and "$ref" not in second:
            return {**{key: value for key, value in first.items() if key == "type"}, **second}
        return second
    if not isinstance(second, dict) or second.keys() <= _TRIVIAL:
        return first
    if "$ref" in first or "$ref" in second or first.keys() & second.keys() - _TRIVIAL:
        return {"allOf": [first, second]}
    return {**first, **second}


def branches(reader: SchemaReader, schema: Json, visited: frozenset[str] = frozenset()) -> Iterator[Branch]:
    """Yield the alternatives of a schema, those of alternatives included; the schema itself if it has none."""
    node, ref = reader.follow(schema)
    if ref in visited:
        return
    below = visited | ({ref} if ref else frozenset())
    options = next((node[key] for key in ("oneOf", "anyOf") if isinstance(node.get(key), list)), None)
    values = {target.rpartition("/")[2]: value for value, target in mapping_of(node).items()}
    if options is None and mapping_property(node) and ref and (children := reader.children(ref)):
        for value, own in children.items():
            yield Branch({"$ref": own}, own, value)
        return
    if options is None:
        yield Branch(node, ref)
        return
    for option in options:
        target = option.get("$ref") if isinstance(option, dict) else None
        name = target.rpartition("/")[2] if isinstance(target, str) else ""
        for branch in branches(reader, option, below):
            yield Branch(branch.schema, branch.ref, branch.value or values.get(name, ""))


# --- requests -------------------------------------------------------------------------------------------------


def is_request(found: Flat | None) -> bool:
    """Return whether a schema is that of a request of the protocol."""
    if found is None or METHOD not in found.properties:
        return False
    return DATA in found.properties or found.properties.keys() <= {METHOD, *PAGING}


def bodies(reader: SchemaReader, schema: Json) -> list[Body]:
    """Return the requests of the protocol among the alternatives of a body."""
    found = []
    for branch in branches(reader, schema):
        members = flat(reader, branch.schema)
        if members is not None and is_request(members):
            names = names_of(reader, members.properties[METHOD]) or ([branch.value] if branch.value else [])
            found.append(Body(names, members.properties.get(DATA), members, branch))
    return found


def names_of(reader: SchemaReader, schema: Json) -> list[str]:
    """Return the texts that a schema allows, or gives as examples where it allows any."""
    node, _ = reader.follow(schema)
    for key in ("const", "enum", "example", "examples", "default"):
        value = node.get(key)
        values = value if isinstance(value, list) else [value]
        if texts := [text for text in values if isinstance(text, str) and text]:
            return texts
    for part in node.get("allOf", ()) if isinstance(node.get("allOf"), list) else ():
        if texts := names_of(reader, part):
            return texts
    return []


# --- answers --------------------------------------------------------------------------------------------------


def data_of_answers(reader: SchemaReader, schema: Json) -> tuple[list[tuple[Branch, Json]], bool]:
    """Return the schemas of `data` in the successes among the alternatives of an answer.

    The second value is whether the answer is an envelope at all.
    """
    found: list[tuple[Branch, Json]] = []
    is_envelope = False
    for branch in branches(reader, schema):
        members = flat(reader, branch.schema)
        if members is None or not (
            "isError" in members.properties or {DATA, "errMsg"} <= members.properties.keys()
        ):
            continue
        is_envelope = True
        if not _is_failure(reader, members.properties.get("isError")):
            data = members.properties.get(DATA)
            found.append((branch, None if _says_nothing(reader, data) else data))
    return found, is_envelope


def _is_failure(reader: SchemaReader, schema: Json) -> bool:
    node, _ = reader.follow(schema)
    return node.get("const") is True or node.get("enum") == [True]


def _says_nothing(reader: SchemaReader, schema: Json) -> bool:
    """Return whether the schema of data says no more than that it is an object."""
    if not isinstance(schema, Mapping):
        return True
    node, _ = reader.follow(schema)
    return node.keys() <= _TRIVIAL and node.get("type", "object") in ("object", ["object", "null"])
