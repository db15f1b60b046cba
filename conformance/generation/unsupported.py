"""What the generator does not build as a schema says: keywords that it narrows, and formats that are not known."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.generation.builders import first_accepted
from conformance.generation.compiled import Spec, compiled
from conformance.generation.errors import CannotGenerate, Impossible
from conformance.schema.bundle import Json, SchemaError, places
from conformance.schema.dialect import NUMBER_FORMATS, is_known_text
from conformance.schema.ecma import ecma

__all__ = ["unknown_texts", "unsupported"]

_BRANCHING = ("oneOf", "anyOf", "allOf", "if", "not", "dependentSchemas", "unevaluatedProperties")
_ATTEMPTS = 24


def unsupported(spec: Spec) -> list[tuple[str, str, str]]:
    """Return (pointer to the place, keyword, why) for each part of a schema that is not built as it says.

    Generated data is valid in any case. What is listed is narrower than the schema allows, or not built at all.
    """
    try:
        schema = compiled(spec)
    except SchemaError as error:
        return [(error.pointer, error.pointer.rpartition("/")[2] or "schema", str(error))]
    found: dict[tuple[str, str, str], None] = {}
    builders = schema.builders
    document = schema.schema.document
    with schema.lock:
        for pointer, node in places(document):
            for keyword, why in _narrowed(node):
                found[(pointer, keyword, why)] = None
            try:
                builders.node(node)
            except Impossible as impossible:
                found[(pointer, impossible.keyword, impossible.why)] = None
            for known in (builders.shapes.too_many, builders.unlikely):
                if id(node) in known:
                    keyword = next((key for key in _BRANCHING if key in node), "allOf")
                    found[(pointer, keyword, known[id(node)])] = None
        if not found:
            try:
                first_accepted(builders.node(document), schema.accepts, None, _ATTEMPTS)
            except CannotGenerate as cannot:
                found[("", cannot.keyword, str(cannot))] = None
    return list(found)


def unknown_texts(spec: Spec) -> list[tuple[str, str, bool]]:
    """Return (pointer, format, whether the schema gives valid texts) for each text of a format that is not known."""
    schema = compiled(spec)
    found: dict[tuple[str, str], bool] = {}
    given_outside: set[str] = set()
    with schema.lock:
        for pointer, node in places(schema.schema.document):
            # Examples may stand beside the reference to the schema that names the format.
            if any(isinstance(text, str) for text in (*_listed(node.get("examples")), node.get("default"))):
                given_outside.add(pointer)
            name = node.get("format")
            if not isinstance(name, str) or is_known_text(name) or not _is_open(node):
                continue
            if name in NUMBER_FORMATS and "type" not in node:
                continue
            is_given = pointer in given_outside or any(
                isinstance(text, str)
                for shape in schema.builders.shapes.of(node)
                for text in (*shape.examples, *shape.defaults, *(shape.values or ()))
            )
            found[(pointer, name)] = is_given or found.get((pointer, name), False)
    return [(pointer, name, is_given) for (pointer, name), is_given in found.items()]


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _is_open(node: dict[str, Json]) -> bool:
    """Return whether a place takes texts other than a few that are listed."""
    types = node.get("type", "string")
    return "string" in types and "enum" not in node and "const" not in node


def _narrowed(node: dict[str, Json]) -> Iterator[tuple[str, str]]:
    name = node.get("format")
    if isinstance(name, str) and name not in NUMBER_FORMATS and not is_known_text(name) and _is_open(node):
        yield "format", f"{name!r} is not known: only values that the catalogue gives are sent as valid ones"
    for pattern in [node.get("pattern"), *node.get("patternProperties", {})]:
        if isinstance(pattern, str):
            try:
                ecma(pattern)
            except ValueError as error:
                yield "pattern", f"{pattern!r} is only judged, few texts stand for it: {error}"
    for key in ("unevaluatedProperties", "unevaluatedItems"):
        if isinstance(node.get(key), dict):
            yield key, "what it alone speaks of is not made"
