"""Import of a documentation page into a catalogue.

The markup (protocol, section 1): `li.collection[data-url="/api/auth"]` > `li.procedure[data-method="login"]` with
`.description`, and for each parameter a row `tr` (class `required` when it is) with the cells `td.name`, `td.type`,
`td.description` and `td.parameter input[value]` (the default).

A page names types and no limits, and says nothing about results (`importing.entries` has what stands in).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from conformance.catalog.importing.entries import entry_of
from conformance.catalog.importing.names import Parameter, nested
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

__all__ = ["PageFunction", "PageParam", "read", "schema_of", "text_of"]

_TYPES: Mapping[str, str] = {
    "int": "integer",
    "integer": "integer",
    "long": "integer",
    "string": "string",
    "str": "string",
    "text": "string",
    "bool": "boolean",
    "boolean": "boolean",
    "true": "boolean",
    "false": "boolean",
    "array": "array",
    "list": "array",
    "float": "number",
    "double": "number",
    "number": "number",
    "decimal": "number",
    "object": "object",
    "stdclass": "object",
    "null": "null",
    "mixed": "",
    "any": "",
}


@dataclass(frozen=True)
class PageParam:
    """A parameter on the page: `type` is the page's text, `default` the text of the input (None if there is none)."""

    name: str
    type: str = ""
    required: bool = False
    default: str | None = None
    description: str = ""

    def to_json(self) -> list[Any]:
        """Return the parameter as it is stored under `x-imported`."""
        return [self.name, self.type, self.required, self.default, self.description]


@dataclass(frozen=True)
class PageFunction:
    """A function on the page; `name` is `entity.function`."""

    name: str
    description: str = ""
    params: tuple[PageParam, ...] = ()

    def entry(self, *, guess: bool = False, flat: bool = False) -> dict[str, Json]:
        """Return the function as a method of a catalogue."""
        params = self._parameters()
        return entry_of(self.name, self.description, params if flat else nested(params)[0], guess=guess)

    def _parameters(self) -> list[Parameter]:
        return [
            Parameter(param.name, schema_of(param)[0], param.required, param.description)
            for param in self.params
        ]

    def notes(self) -> list[str]:
        """Return one line for each type, default or name of a parameter that the page leaves open."""
        notes = [f"{self.name} {param.name}: {note}" for param in self.params for note in schema_of(param)[1]]
        return notes + [f"{self.name} {note}" for note in nested(self._parameters())[1]]

    def to_json(self) -> list[Any]:
        """Return the function as it is stored under `x-imported`."""
        return [self.description, [param.to_json() for param in self.params]]


# --- the page ---------------------------------------------------------------------------------------------


def text_of(content: bytes, content_type: str = "") -> str:
    """Return the text of a page.

    The encoding is that of the byte-order mark, the header or the page's `meta` element, else UTF-8 or Windows-1252.
    """
    for mark, coding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(coding, "replace")
    named = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.IGNORECASE)
    own = re.search(rb"<meta[^>]*?charset\s*=\s*[\"']?([\w.:-]+)", content[:4096], re.IGNORECASE)
    for name in (named[1] if named else None, own[1].decode("ascii", "replace") if own else None, "utf-8"):
        if name is not None:
            with contextlib.suppress(LookupError, UnicodeDecodeError):
                return content.decode(name)
    return content.decode("cp1252", "replace")


def read(html: str) -> tuple[str, dict[str, PageFunction], list[str]]:
    """Read a page: its title, its functions by name in the order of the page, and notes on unreadable parts."""
    tree = LexborHTMLParser(html)
    functions: dict[str, PageFunction] = {}
    notes: list[str] = []
    for item in tree.css(".procedure"):
        around = _around(item, "collection")
        entity = _entity((around.attributes.get("data-url") if around is not None else None) or "")
        function = (item.attributes.get("data-method") or "").strip()
        name = f"{entity}.{function}"
        if not re.fullmatch(r"[^\s./]+\.[^\s./]+", name):
            notes.append(f"a function is left out, for its endpoint or its name is missing: {name!r}")
            continue
        if _around(item, "procedure") is not None:
            notes.append(f"{name} stands inside another function; is an element not closed?")
        found = PageFunction(name, _description(item), tuple(_params(item, name, notes)))
        if functions.setdefault(name, found) != found:
            notes.append(f"{name} stands twice, and not alike: the first is taken")
    title = next((_words(node) for node in tree.css("h1, title") if _words(node)), "API")
    return title, functions, notes


def _around(node: LexborNode, name: str) -> LexborNode | None:
    """Return the nearest ancestor of a node that has this class, or None."""
    parent = node.parent
    while parent is not None:
        if name in _classes(parent):
            return parent
        parent = parent.parent
    return None


def _classes(node: LexborNode) -> Sequence[str]:
    return ((node.attributes or {}).get("class") or "").split()


def _entity(url: str) -> str:
    path = urlsplit(url.strip()).path.rstrip("/")
    return unquote(path.rpartition("/")[2])


def _words(node: LexborNode | None) -> str:
    return "" if node is None else " ".join(node.text(deep=True, separator="").split())


def _description(item: LexborNode) -> str:
    for node in item.css(".description"):
        parent = node
        while parent is not None and parent != item and parent.tag not in ("tr", "td", "table"):
            parent = parent.parent  # type: ignore[assignment]
        if parent == item:
            return _words(node)
    return ""


def _params(item: LexborNode, function: str, notes: list[str]) -> Iterable[PageParam]:
    seen: set[str] = set()
    for row in item.css("tr"):
        if _around(row, "procedure") != item:
            continue
        cell = row.css_first("td.name")
        if cell is None:
            continue
        # A page that was saved from a browser has a field and a label in this cell.
        name = _words(cell.css_first("label") or cell).lstrip("$")
        if not name or name in seen:
            notes.append(f"{function}: a parameter {'stands twice: ' + name if name else 'has no name'}")
            continue
        seen.add(name)
        type_words = _words(row.css_first("td.type"))
        default: str | None = None
        if "=" in type_words:
            type_words, _, default = (part.strip() for part in type_words.partition("="))
        field_ = row.css_first("td.parameter input, td.parameter textarea, td.parameter select")
        value = None if field_ is None else field_.attributes.get("value")
        if value and (field_ is None or field_.attributes.get("type") not in ("checkbox", "radio")):
            default = value
        yield PageParam(
            name,
            type_words,
            "required" in _classes(row),
            default,
            _words(row.css_first("td.description")),
        )


# --- types ------------------------------------------------------------------------------------------------


def schema_of(param: PageParam) -> tuple[dict[str, Json], list[str]]:
    """Return the schema of a parameter with its default, and notes on what the page leaves open."""
    notes: list[str] = []
    schema = _schema(param.type)
    if schema is None:
        note = f"the page's type «{param.type}» is not known" if param.type else "the page names no type"
        schema = {"$comment": note}
        notes.append(note)
    if param.default is not None:
        found = _default(param.default, schema)
        if found:
            schema["default"] = found[0]
        else:
            notes.append(f"the default {param.default[:40]!r} is none of its type: left out")
    return schema, notes


def _schema(words: str) -> dict[str, Json] | None:
    """Return the schema of a type as the page writes it; None if a part of it is unknown."""
    words = words.strip()
    optional = words.startswith("?")
    parts = [_one(part) for part in re.split(r"\s*(?:\||/|\bor\b)\s*", words.lstrip("?"))]
    if any(part is None for part in parts):
        return None
    found = [part for part in parts if part is not None]
    if optional:
        found.append({"type": "null"})
    if any(not part for part in found):
        return {}
    unique = [part for at, part in enumerate(found) if part not in found[:at]]
    if len(unique) == 1:
        return unique[0]
    if all(part.keys() == {"type"} for part in unique):
        return {"type": [part["type"] for part in unique]}
    return {"anyOf": unique}


def _one(word: str) -> dict[str, Json] | None:
    word = word.strip()
    if word.endswith("[]"):
        items = _one(word[:-2])
        return None if items is None else {"type": "array", **({"items": items} if items else {})}
    generic = re.fullmatch(r"(?:array|list)\s*<\s*(.+?)\s*>", word, re.IGNORECASE)
    if generic:
        return _one(generic[1] + "[]")
    known = _TYPES.get(word.lower())
    if known is None:
        return None
    return {"type": known} if known else {}


def _default(text: str, schema: dict[str, Json]) -> tuple[Json] | None:
    """Return the value that the text of a default denotes, in a tuple; None if no reading has the right type."""
    candidates: list[Json] = []
    quoted = re.fullmatch(r"'([^']*)'|\"([^\"]*)\"", text.strip(), re.DOTALL)
    wants_text = "string" in json.dumps(schema) and not quoted
    try:
        value = json.loads(text, parse_constant=lambda word: word)
        # Where a string is allowed the text is that string, except that `null` is null where null is allowed.
        candidates += [text, value] if wants_text and value is not None else [value, text]
    except (ValueError, RecursionError):
        if quoted:
            candidates.append(quoted[1] or quoted[2] or "")
        candidates.append({"true": True, "false": False, "null": None}.get(text.strip().lower(), text))
        candidates.append(text)
    check = Schema(schema)
    return next(((value,) for value in candidates if check.valid(value)), None)
