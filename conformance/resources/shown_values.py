"""Values of unknown formats, learned from what the target shows.

Where nobody knows a format, only values that somebody gives are valid beyond doubt: those of the catalogue, and those
that the target shows under the same name and format, or under the same name in rows without a declared format.
A run looks for them once, before its first test. They are added to the `examples` of the parameter's schema, from
where the generators take them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from conformance.catalog.model import Method
from conformance.generation import payloads
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resources
from conformance.schema.bundle import Json, places
from conformance.schema.dialect import SHOWN, is_known_text

__all__ = ["learn_values", "shown_in"]

#: Values that are used for one place, functions that are called to find values, and characters of a value.
MAX_VALUES, MAX_FUNCTIONS, MAX_LENGTH = 6, 16, 1000


class Place(NamedTuple):
    """A parameter, or a member within one, whose format is unknown: the endpoint, its name and the format."""

    endpoint: str
    name: str
    format: str


def learn_values(resources: Resources) -> None:
    """Look for values of unknown formats in what functions that read return, and add them to the catalogue's schemas.

    Nothing is sent where each such parameter has values in the catalogue.
    """
    for method in resources.catalog:
        _forget(method)
    missing = {
        Place(method.entity, _last_name(pointer) or param.name, name)
        for method in resources.catalog
        for param in method.params
        for pointer, name, is_given in payloads.unknown_texts(param.schema)
        if not is_given and not param.ref
    }
    found = _values(resources, sorted(missing)) if missing else {}
    if not found:
        return
    for method in resources.catalog:
        texts = _add(method, found)
        if texts:
            resources.shown_texts[method.name] = texts
    resources.forget_schemas()
    payloads.clear_cache()


def _values(resources: Resources, missing: list[Place]) -> dict[Place, list[str]]:
    """Return the texts that the target shows for these places, in the order of the catalogue and the responses."""
    found: dict[Place, list[str]] = {}
    functions = [method for method in resources.catalog if _may_show(method, missing)]
    functions.sort(key=lambda method: any(param.required for param in method.params))
    for method in functions[:MAX_FUNCTIONS]:
        callers: list[str | None] = [*resources.callers(method)[:2]]
        if not callers and method.auth == "none":
            callers.append(None)
        for user in callers:
            try:
                data = resources.valid(method, user, optional="none")
                exchange = resources.call(method, data, user)
            except SetUpFailedError:
                continue
            if exchange.status != 200 or exchange.envelope is None:
                continue
            for place, text in _shown(method, exchange.data, missing):
                known = found.setdefault(place, [])
                # What is only sent back says nothing about its format.
                if text not in known and len(known) < MAX_VALUES and not shown_in(data, {text}):
                    known.append(text)
    return {place: texts for place, texts in found.items() if texts}


def _may_show(method: Method, missing: list[Place]) -> bool:
    """Return whether the result of a function may have one of these places."""
    if method.effect != "read":
        return False
    declared = {
        (_last_name(pointer), node.get("format"))
        for pointer, node in places(method.result.document)
        if pointer
    }
    return any(
        (place.name, place.format) in declared or (_has_rows(method) and method.entity == place.endpoint)
        for place in missing
    )


def _has_rows(method: Method) -> bool:
    return method.rows is not None or (method.object is not None and method.object.does == "list")


def _shown(method: Method, data: Json, missing: list[Place]) -> Iterator[tuple[Place, str]]:
    """Yield (place, text) for each text in a result that has the name of a place and its format.

    Without a declared format, the name alone counts in rows of the same endpoint.
    """
    for pointer, parts, value in method.result.walk(data):
        if not isinstance(value, str) or not 0 < len(value) <= MAX_LENGTH:
            continue
        name = next((token for token in reversed(pointer.split("/")) if not token.isdecimal()), "")
        formats = {part["format"] for part in parts if isinstance(part.get("format"), str)}
        for place in missing:
            alike = not formats and _has_rows(method) and method.entity == place.endpoint
            if place.name == name and (place.format in formats or alike):
                yield place, value


def _last_name(pointer: str) -> str:
    """Return the last name of a pointer pattern; empty if it has none."""
    return pointer.replace("/*", "").rpartition("/")[2]


def _documents(method: Method) -> Iterator[tuple[str, Json]]:
    """Yield (parameter, schema) for each copy of a parameter's schema, and ("", schema) for those of the whole data."""
    for param in method.params:
        if not param.ref:
            yield param.name, param.schema
    yield "", method.data_schema
    yield "", method.data.document


def _nodes(method: Method) -> Iterator[tuple[str, dict[str, Json], str]]:
    """Yield (name, outermost schema, format) for each place of the function's data with an unknown format."""
    for param, document in _documents(method):
        outermost: dict[str, dict[str, Json]] = {}
        seen: set[tuple[str, str]] = set()
        for pointer, node in places(document):
            outermost.setdefault(pointer, node)
            name = node.get("format")
            if isinstance(name, str) and not is_known_text(name) and (pointer, name) not in seen:
                seen.add((pointer, name))
                yield _last_name(pointer) or param, outermost[pointer], name


def _add(method: Method, found: Mapping[Place, list[str]]) -> set[str]:
    """Add the values to the examples of a function's schemas; return those that were added."""
    added: set[str] = set()
    for name, node, format_name in _nodes(method):
        texts = found.get(Place(method.entity, name, format_name), [])
        given = node.get("examples") if isinstance(node.get("examples"), list) else []
        if texts and not given and SHOWN not in node:
            node[SHOWN] = True
            node["examples"] = list(texts)
            added.update(texts)
    return added


def _forget(method: Method) -> None:
    """Remove what an earlier run in this process added."""
    for _, document in _documents(method):
        for _, node in places(document):
            if node.pop(SHOWN, None):
                node.pop("examples", None)


def shown_in(data: Any, texts: Collection[str] | None) -> bool:
    """Return whether one of the texts is a value in the data."""
    stack = [data] if texts else []
    while stack:
        value = stack.pop()
        if isinstance(value, str) and value in (texts or ()):
            return True
        stack += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return False
