"""What differs between two catalogues, function by function."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from conformance.catalog.model import Catalog, Method
from conformance.learning.calls import Json
from conformance.schema.bundle import places

__all__ = ["changes"]

#: Members that say nothing about what a function accepts or returns.
_ANNOTATIONS = frozenset({"title", "description", "$comment", "examples", "default", "x-suggested", "$defs"})
_MAX_SHOWN_CHARACTERS = 80


def changes(before: Catalog, after: Catalog) -> list[str]:
    """Return one line for each difference: `+` came, `-` went, `~` changed."""
    found = [f"- {method.name}" for method in before if method.name not in after]
    found += [f"+ {method.name}" for method in after if method.name not in before]
    for method in after:
        if method.name in before:
            found += _of_methods(before[method.name], method)
    return found


def _of_methods(old: Method, new: Method) -> Iterator[str]:
    name = new.name
    yield from (f"- {name} {param.name}" for param in old.params if new.param(param.name) is None)
    for param in new.params:
        was = old.param(param.name)
        if was is None:
            yield f"+ {name} {param.name}{' (required)' if param.required else ''}"
            continue
        if was.required != param.required:
            yield f"~ {name} {param.name}: {'required' if param.required else 'not required'} now"
        for line in _of_schemas(was.schema, param.schema):
            yield f"~ {name} {param.name}{line}"
    for member, was_value, value in (
        ("x-auth", old.auth, new.auth),
        ("x-effect", old.effect, new.effect),
        ("x-rows", old.rows, new.rows),
        ("x-object", _role(old), _role(new)),
        ("x-beyond-schema", old.beyond_schema, new.beyond_schema),
    ):
        if was_value != value:
            yield f"~ {name}: {member} {_short(was_value)} → {_short(value)}"
    for line in _of_schemas(old.result_schema, new.result_schema):
        yield f"~ {name} result{line}"


def _role(method: Method) -> Json:
    return None if method.object is None else vars(method.object)


def _of_schemas(old: Json, new: Json) -> Iterator[str]:
    """Yield how the places of one schema differ from those of another."""
    was, now = _by_place(old), _by_place(new)
    for pointer in was.keys() - now.keys():
        yield f"{pointer}: went"
    for pointer, node in now.items():
        if pointer not in was:
            yield f"{pointer}: came"
            continue
        for keyword in sorted({*was[pointer], *node}):
            before, after = was[pointer].get(keyword), node.get(keyword)
            if before != after:
                yield f"{pointer}: {keyword} {_short(before)} → {_short(after)}"


def _by_place(schema: Json) -> dict[str, dict[str, Json]]:
    """Return the keywords of each place of a schema; where several schemas apply to a place, those of all."""
    found: dict[str, dict[str, Json]] = {}
    for pointer, node in places({} if schema is None else schema):
        keywords = found.setdefault(pointer, {})
        for keyword, value in node.items():
            if keyword not in _ANNOTATIONS and not _is_below(keyword, value):
                keywords[keyword] = sorted(value, key=str) if isinstance(value, list) else value
    return found


def _is_below(keyword: str, value: Json) -> bool:
    """Return whether a keyword has the schemas of other places, which are compared on their own."""
    return keyword in (
        "properties",
        "items",
        "additionalProperties",
        "allOf",
        "anyOf",
        "oneOf",
    ) and isinstance(value, Mapping | list)


def _short(value: Json) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else text[: _MAX_SHOWN_CHARACTERS - 1] + "…"
