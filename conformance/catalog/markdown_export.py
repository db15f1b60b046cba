"""A catalogue as Markdown, for people: a section for each endpoint, a table for each function's parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Catalog, Method, Param

__all__ = ["document"]

_WHO = {"none": "anybody", "session": "in a session"}


def document(catalog: Catalog, *, url: str | None = None) -> str:
    """Return the whole document; `url` is the base URL to name."""
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
    schema = param.schema if isinstance(param.schema, dict) else {}
    default = _code(json.dumps(schema["default"], ensure_ascii=False)) if "default" in schema else ""
    told = " ".join(filter(None, [param.description, _limits(schema)]))
    cells = (_code(param.name), _plain(_type(schema)), "yes" if param.required else "", default, _plain(told))
    return "| " + " | ".join(cells) + " |"


def _type(schema: dict[str, Any]) -> str:
    named = schema.get("type", "any")
    names = [named] if isinstance(named, str) else named
    items = schema.get("items")
    if names == ["array"] and isinstance(items, dict) and isinstance(items.get("type"), str):
        return f"array of {items['type']}"
    return " or ".join(names)


def _limits(schema: dict[str, Any]) -> str:
    """Return the keywords that bound a value, as they stand."""
    shown = (
        "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    )  # fmt: skip
    told = [f"{key} {json.dumps(schema[key], ensure_ascii=False)}" for key in shown if key in schema]
    return f"({', '.join(told)})" if told else ""


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it stands, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return a text as code inside a table's cell."""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|").replace("\n", " ")
