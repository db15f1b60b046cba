"""Mistakes in a catalogue that would distort a run, and parts of its schemas that the generator does not support.

A catalogue can be well-formed and still point at members that no response has, or name a kind that no function
creates. `mistakes` finds these. `remarks_on` lists keywords that are ignored, and data narrower than its schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from conformance.catalog.model import Catalog, Method, refs
from conformance.generation import payloads
from conformance.generation.builders import Builders
from conformance.generation.errors import unknown_format
from conformance.schema import dialect
from conformance.schema.bundle import Json, SchemaError, places, point, resolve_pointer
from conformance.schema.ecma import matcher
from conformance.schema.validation import Schema

__all__ = ["Remark", "mistakes", "remarks_on", "summary"]

_MAX_STEPS = 200
_MAX_SHOWN = 6
_SCALARS = ("string", "number", "integer")
#: JSONPath, fragments and dots, which are often written where a JSON pointer belongs.
_NO_POINTER = re.compile(r"/(?:[$#].*|.*\..*|.+\[\d*\].*)")


@dataclass(frozen=True)
class Remark:
    """A remark about one place of a catalogue: `pointer` leads to it in the document."""

    pointer: str
    function: str
    text: str


def mistakes(catalog: Catalog) -> Iterator[Remark]:
    """Yield mistakes that would silently distort a run, each with its correction."""
    made = {
        method.object.kind for method in catalog if method.object and method.object.does in ("create", "list")
    }
    for index, method in enumerate(catalog):
        at = f"/methods/{index}"
        yield from _unknown_kinds(method, at, made)
        yield from _lost_pointers(method, at)
        yield from _impossible(method, at)


def _unknown_kinds(method: Method, at: str, made: set[str]) -> Iterator[Remark]:
    for index, param in enumerate(method.params):
        for kind in dict.fromkeys(kind for _, kind in refs(param.schema)):
            if kind not in made:
                yield Remark(
                    f"{at}/params/{index}/schema",
                    method.name,
                    f'x-ref names the kind "{kind}", which no function creates or lists: add x-object with '
                    f'"kind": "{kind}" to one that does, or take x-ref away',
                )


# --- pointers into results ----------------------------------------------------------------------------------


def _lost_pointers(method: Method, at: str) -> Iterator[Remark]:
    schema = method.result_schema
    rows: list[Json] | None = [schema]
    if method.rows is not None:
        rows, why = _follow(schema, [schema], method.rows)
        if not why and rows is not None and not _may_be(schema, rows, "array"):
            why = f"{method.rows!r} leads to no array in the result's schema"
        if why:
            yield Remark(f"{at}/x-rows", method.name, f"x-rows: {why}")
            rows = None
    role = method.object
    if role is None:
        return
    if role.does in ("create", "read", "update") and role.at:
        _, why = _follow(schema, [schema], role.at)
        if why:
            yield Remark(f"{at}/x-object/at", method.name, f"x-object.at: {why}")
    if role.does == "create":
        start: list[Json] | None = [schema]
    elif role.does == "list":
        start = None if rows is None or schema is None else _step(schema, rows, "0")
    else:
        return
    found, why = _follow(schema, start, role.id)
    if not why and found is not None and not any(_may_be(schema, found, kind) for kind in _SCALARS):
        why = f"{role.id!r} leads to no text and no number, as an identifier is"
    if why:
        yield Remark(f"{at}/x-object/id", method.name, f"x-object.id: {why}")


def _follow(schema: Json, start: list[Json] | None, pointer: str) -> tuple[list[Json] | None, str]:
    """Return the schemas that a pointer leads to from `start` (None: unknown), and what is wrong with the pointer."""
    nodes = None if schema is None else start
    for token in pointer.split("/")[1:]:
        if nodes is None:
            break
        name = token.replace("~1", "/").replace("~0", "~")
        below = _step(schema, nodes, name)
        if below is not None and not below:
            if _NO_POINTER.fullmatch(pointer):
                break
            return (
                None,
                f"{pointer!r} leads nowhere: the result's schema has no {name!r}{_declared(schema, nodes)}",
            )
        nodes = below
    else:
        return nodes, ""
    return None, _spelling(pointer) if _NO_POINTER.fullmatch(pointer) else ""


def _spelling(pointer: str) -> str:
    parts = [part for part in re.split(r"[./\[\]]+", pointer.lstrip("/$#")) if part]
    return f'{pointer.lstrip("/")!r} is no JSON pointer: write "{point("", *parts)}"'


def _declared(document: Json, nodes: list[Json]) -> str:
    names = [name for node in _applicable(document, nodes) for name in node.get("properties", {})]
    shown = ", ".join(dict.fromkeys(names[:8]))
    return f" (it has {shown})" if shown else ""


def _applicable(document: Json, nodes: list[Json]) -> list[dict[str, Json]]:
    """Return all schemas that may apply to a place, through references and branches."""
    found: list[dict[str, Json]] = []
    stack = list(nodes)
    while stack and len(found) < _MAX_STEPS:
        node = stack.pop()
        if not isinstance(node, dict) or any(node is other for other in found):
            continue
        found.append(node)
        if "$ref" in node:
            stack.append(resolve_pointer(document, node["$ref"][1:]))
        for key in ("allOf", "anyOf", "oneOf"):
            stack += node.get(key, ())
        stack += [node[key] for key in ("then", "else") if key in node]
        stack += node.get("dependentSchemas", {}).values()
    return found


def _step(document: Json, nodes: list[Json], name: str) -> list[Json] | None:
    """Return the schemas of a member or an item; [] where it is not declared, None where nothing is known of it."""
    found: list[Json] = []
    named = False
    for node in _applicable(document, nodes):
        if name in node.get("properties", {}):
            found.append(node["properties"][name])
        found += [
            child for pattern, child in node.get("patternProperties", {}).items() if matcher(pattern)(name)
        ]
        if isinstance(node.get("additionalProperties"), dict):
            found.append(node["additionalProperties"])
        if name.isdigit():
            first = node.get("prefixItems", [])
            found += [first[int(name)]] if int(name) < len(first) else []
            found += [node["items"]] if "items" in node else []
        named = named or bool(
            node.keys() & {"properties", "items", "prefixItems", "patternProperties", "additionalProperties"}
        )
    found = [node for node in found if node is not False]
    if found:
        return None if True in found or {} in found else found
    return [] if named else None


def _may_be(document: Json, nodes: list[Json], kind: str) -> bool:
    """Return whether a place may hold values of a type, by the types that its schemas name."""
    declared: set[str] = set()
    for node in _applicable(document, nodes):
        types = node.get("type", ())
        declared |= {types} if isinstance(types, str) else set(types)
        for value in (*node.get("enum", ()), *([node["const"]] if "const" in node else ())):
            declared.add("string" if isinstance(value, str) else "number")
    return not declared or kind in declared


# --- schemas without valid values ----------------------------------------------------------------------------


def _impossible(method: Method, at: str) -> Iterator[Remark]:
    schemas = [(f"{at}/params/{i}/schema", param.schema) for i, param in enumerate(method.params)]
    if method.result_schema is not None:
        schemas.append((f"{at}/result/schema", method.result_schema))
    for place, schema in schemas:
        why = _nothing_passes(schema)
        if why is not None:
            yield Remark(place, method.name, f"no value can pass this schema: {why}")


def _nothing_passes(schema: Json) -> str | None:
    try:
        shapes = Builders(Schema(schema), placeholders=True).shapes
    except SchemaError:
        return None
    if shapes.height(shapes.document) <= _MAX_STEPS // 4:
        return None
    for pointer, node in places(shapes.document):
        if not shapes.of(node):
            why = shapes.why_none(node)
            return f"{why.why} ({why.keyword}{f', at {pointer}' if pointer else ''})"
    return "it needs values inside values without end"


# --- what is not supported ---------------------------------------------------------------------------------


def remarks_on(catalog: Catalog) -> Iterator[Remark]:
    """Yield keywords of other dialects (each once), and places whose data is narrower than their schema."""
    words: dict[str, list[Remark]] = {}
    for index, method in enumerate(catalog):
        at = f"/methods/{index}"
        for remark in _foreign_words(catalog.raw, method, at):
            words.setdefault(remark.text, []).append(remark)
        for number, param in enumerate(method.params):
            place = f"{at}/params/{number}/schema"
            for pointer, name, is_given in payloads.unknown_texts(param.schema):
                why_narrow = _GIVEN if is_given else unknown_format(name)
                yield Remark(
                    place, method.name, f"{param.name}{_below(pointer)}: {why_narrow.format(name=name)}"
                )
            for pointer, _, why in _limits(param.schema):
                yield Remark(place, method.name, f"{param.name}{_below(pointer)}: {why}")

    for same in words.values():
        more = f" (here and in {len(same) - 1} more places)" if len(same) > 1 else ""
        yield Remark(same[0].pointer, same[0].function, f"{same[0].text}{more}")


def summary(catalog: Catalog) -> list[str]:
    """Return lines for people: mistakes, parameters that get only given values, and what else is narrower."""
    wrong = [f"{mistake.function}: {mistake.text}" for mistake in mistakes(catalog)]
    given: list[str] = []
    shown: list[str] = []
    missing: list[str] = []
    others: list[str] = []
    for method in catalog:
        for param in method.params:
            label = f"{method.name} {param.name}"
            learned = {pointer for pointer, node in places(param.schema) if dialect.SHOWN in node}
            for pointer, name, is_given in payloads.unknown_texts(param.schema):
                (shown if pointer in learned else given if is_given else missing).append(
                    f"{label}{_below(pointer)} ({name})"
                )
            others += [f"{label}{_below(pointer)} ({why})" for pointer, _, why in _limits(param.schema)]
    parts = {
        "the catalogue is wrong (conform catalog validate)": wrong,
        "a format is not known, so that only the values of the catalogue are sent as valid ones": given,
        "a format is not known, so that only values that the target showed are sent as valid ones": shown,
        "a format is not known, and no value is sent as a valid one for want of examples in the schema": missing,
        "data is made narrower than the schema": others,
    }
    return [f"{line}: {_listed(entries)}" for line, entries in parts.items() if entries]


_GIVEN = "the format {name!r} is not known: only the values that the catalogue gives are sent as valid ones"


def _below(pointer: str) -> str:
    return pointer.replace("/", ".").replace(".*", "[]")


def _listed(entries: list[str]) -> str:
    more = f" and {len(entries) - _MAX_SHOWN} more" if len(entries) > _MAX_SHOWN else ""
    return f"{', '.join(entries[:_MAX_SHOWN])}{more}"


def _limits(schema: Json) -> list[tuple[str, str, str]]:
    """Return (pointer, keyword, why) for each part, except unknown formats, that is not generated as it says."""
    return [each for each in payloads.unsupported(schema) if each[1] != "format"]


def _foreign_words(raw: Json, method: Method, at: str) -> Iterator[Remark]:
    try:
        entry = resolve_pointer(raw, at)
    except (LookupError, AttributeError):
        return
    items = [(f"{at}/params/{i}/schema", item) for i, item in enumerate(entry.get("params", ()))]
    items.append((f"{at}/result/schema", entry.get("result")))
    for place, item in items:
        if not isinstance(item, dict):
            continue
        for path, why in dialect.remarks(item.get("schema")):
            yield Remark(point(place, *path), method.name, f"{path[-1]} {why}")
