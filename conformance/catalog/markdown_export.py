"""Export of a catalogue as Markdown: a section per endpoint, and a table of parameters per function."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Catalog, Method, Param

__all__ = ["document"]

_WHO = {"none": "anybody", "session": "in a session"}


def document(catalog: Catalog, *, url: str | None = None) -> str:
    """Return a catalogue as a Markdown document; `url` is the base URL to show."""
    title = catalog.raw["info"]["title"] if isinstance(catalog.raw, dict) else "API"
    lines = [f"# {_plain(title)}", ""]
    base = url or "<base>/"
    for entity in catalog.entities:
        lines += [f"## {_plain(entity)}", "", f"`POST {base}{entity}`", ""]
        for method in catalog:
            if method.entity == entity:
                lines += _function(method)
    return "\n".join(lines).rstrip("\n") + "\n"


def _function(method: Method) -> Iterator[str]:
    """Yield the lines of one function."""
    yield f"### {_plain(method.name)}"
    yield ""
    if method.description:
        yield _plain(method.description)
        yield ""
    who = _WHO.get(method.auth or "", f"role {method.auth}")
    paged = " · paged" if method.rows is not None else ""
    yield f"{_plain(who)} · {method.effect}{paged}"
    yield ""
    if method.params:
        yield "| parameter | type | required | default | description |"
        yield "| --- | --- | --- | --- | --- |"
        for param in method.params:
            yield _row(param)
        yield ""


def _row(param: Param) -> str:
    """Return the table row of a parameter."""
    schema = param.schema if isinstance(param.schema, dict) else {}
    default = _code(json.dumps(schema["default"], ensure_ascii=False)) if "default" in schema else ""
    text = " ".join(filter(None, [param.description, _limits(schema)]))
    cells = (_code(param.name), _plain(_type(schema)), "yes" if param.required else "", default, _plain(text))
    return "| " + " | ".join(cells) + " |"


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a schema in words."""
    named = schema.get("type", "any")
    names = [named] if isinstance(named, str) else named
    items = schema.get("items")
    if names == ["array"] and isinstance(items, dict) and isinstance(items.get("type"), str):
        return f"array of {items['type']}"
    return " or ".join(names)


def _limits(schema: dict[str, Any]) -> str:
    """Return the keywords that limit a value, in parentheses."""
    shown = (
        "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    )  # fmt: skip
    text = [f"{key} {json.dumps(schema[key], ensure_ascii=False)}" for key in shown if key in schema]
    return f"({', '.join(text)})" if text else ""


def _plain(text: str) -> str:
    """Return a text on one line with all Markdown characters escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return a text as inline code for a table cell."""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|").replace("\n", " ")
