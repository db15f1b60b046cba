"""Import of a documentation page into a catalogue, and update of that catalogue when the page has changed.

The markup (protocol, section 1): `li.collection[data-url="/api/auth"]` > `li.procedure[data-method="login"]` with
`.description`, and for each parameter a row `tr` (class `required` when it is) with the cells `td.name`, `td.type`,
`td.description` and `td.parameter input[value]` (the default).

A page does not contain everything that a catalogue needs. The missing values get cautious defaults: `x-auth` is
"session", `x-effect` is "write", and `x-beyond-schema` is true for a function with parameters, because a page names
types and no limits. These values are listed under `x-questions`. A person answers a question by writing the right value
or by deleting the question.

The content of the page is stored under `x-imported`. An update is therefore a three-way merge of the page as it was,
the page as it is, and the changes that people have made in the catalogue.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from conformance.catalog.model import Catalog
from conformance.schema.bundle import Json
from conformance.schema.validation import Schema

__all__ = ["Changes", "PageFunction", "PageParam", "build", "merge", "read", "schema_of", "text_of"]

_READS = re.compile(r"(?:find|read|get|list|status)(?![a-z])")
_LOGS_IN = re.compile(r"log[iI]n(?![a-z])|signIn(?![a-z])")

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


# --- the catalogue ----------------------------------------------------------------------------------------


def _entry(function: PageFunction, *, guess: bool = False) -> dict[str, Json]:
    """Return a function as a method of a catalogue."""
    params: list[Json] = []
    for param in sorted(function.params, key=lambda each: not each.required):
        schema, _ = schema_of(param)
        entry: dict[str, Json] = {"name": param.name, "required": param.required, "schema": schema}
        if param.description:
            entry["description"] = param.description
        params.append(entry)
    entity, _, name = function.name.partition(".")
    method: dict[str, Json] = {"name": function.name}
    if function.description:
        method["description"] = function.description
    method |= {
        "tags": [{"name": entity}],
        "paramStructure": "by-name",
        "params": params,
        "x-auth": "none" if guess and _LOGS_IN.match(name) else "session",
        "x-effect": "read" if guess and _READS.match(name) else "write",
    }
    limits = {"x-beyond-schema": True} if params else {}
    return method | limits | {"x-questions": ["x-auth", "x-effect", *limits, "result"]}


def notes_on(functions: Mapping[str, PageFunction]) -> list[str]:
    """Return one line for each type or default that the page leaves open."""
    return [
        f"{function.name} {param.name}: {note}"
        for function in functions.values()
        for param in function.params
        for note in schema_of(param)[1]
    ]


def build(
    title: str, functions: Mapping[str, PageFunction], sources: Sequence[str], *, guess: bool = False
) -> dict[str, Json]:
    """Return the catalogue of a page that was not imported before."""
    return {
        "openrpc": "1.3.2",
        "info": {"title": title, "version": "1"},
        "methods": [_entry(function, guess=guess) for function in functions.values()],
        "x-imported": _imported(functions, sources, {}, functions if guess else ()),
    }


def _imported(
    functions: Mapping[str, PageFunction],
    sources: Sequence[str],
    gone: Mapping[str, Json],
    guessed: Iterable[str],
) -> dict[str, Json]:
    record: dict[str, Json] = {
        "from": list(sources),
        "functions": {name: function.to_json() for name, function in functions.items()},
    }
    if gone:
        record["gone"] = dict(gone)
    # The guessed values of these functions do not answer their questions.
    if names := [name for name in guessed if name in functions]:
        record["guessed"] = names
    return record


@dataclass
class Changes:
    """The result of an update: one line for each function or parameter that was added, removed or changed."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    #: Changes on the page that were not applied, because a person has changed the same value.
    conflicts: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.conflicts)


def questions(document: Mapping[str, Json]) -> dict[str, list[str]]:
    """Return the unanswered questions, each with the functions for which it is open."""
    found: dict[str, list[str]] = {}
    for method in document.get("methods", []):
        for question in method.get("x-questions", []) if isinstance(method, dict) else []:
            if question != "result" or "result" not in method:
                found.setdefault(str(question), []).append(method["name"])
    return found


def _import_record(
    document: Mapping[str, Json],
) -> tuple[dict[str, PageFunction], dict[str, Json], list[str]]:
    """Return the record under `x-imported`.

    It consists of the functions of the page at the last import, the edited entries of functions that the page no longer
    has, and the names of the functions whose values were guessed.
    """
    record = document.get("x-imported")
    if not isinstance(record, dict):
        return {}, {}, []
    functions = {}
    try:
        for name, (description, params) in record.get("functions", {}).items():
            functions[name] = PageFunction(name, description, tuple(PageParam(*param) for param in params))
    except (TypeError, ValueError, AttributeError):
        return {}, {}, []
    gone, guessed = record.get("gone"), record.get("guessed")
    return functions, gone if isinstance(gone, dict) else {}, guessed if isinstance(guessed, list) else []


def merge(
    document: Mapping[str, Json],
    functions: Mapping[str, PageFunction],
    sources: Sequence[str],
    *,
    guess: bool = False,
) -> tuple[dict[str, Json], Changes]:
    """Return a catalogue updated to the page as it is now, and the changes.

    The changes of people take precedence; where the page has changed the same value, a conflict is reported. A function
    that the page no longer has is removed from the catalogue. If a person has edited it, its entry is stored under
    `x-imported` and restored when the page has the function again.
    """
    before, gone, guessed = _import_record(document)
    gone = dict(gone)
    ours = {method["name"]: method for method in document.get("methods", [])}
    changes = Changes()
    merged: dict[str, Json] = {}
    for name, mine in ours.items():
        if name in functions and name in before:
            merged[name] = _merged(mine, before[name], functions[name], changes, guessed=name in guessed)
        elif name in functions:
            merged[name] = mine
            _compare(mine, functions[name], changes)
        elif name in before:
            changes.removed.append(name)
            if mine != _entry(before[name], guess=name in guessed):
                gone[name] = mine
        else:
            merged[name] = mine
    for name, function in functions.items():
        if name in ours:
            continue
        if name not in before:
            changes.added.append(name)
            if guess:
                guessed.append(name)
            back = gone.pop(name, None)
            fresh = _entry(function, guess=guess)
            merged[name] = (
                {**back, "params": _restored_params(back, fresh)} if isinstance(back, dict) else fresh
            )
        elif before[name] != function:
            changes.changed.append(f"{name} (struck out of the catalogue by hand: it stays out)")
    out = {**deepcopy(dict(document)), "methods": list(merged.values())}
    out["x-imported"] = _imported(functions, sources, gone, guessed)
    return out, changes


def _restored_params(back: Mapping[str, Json], fresh: Mapping[str, Json]) -> list[Json]:
    """Return the parameters of a function that is on the page again, each with the earlier edits of people."""
    known = {param["name"]: param for param in back.get("params", [])}
    return [known.get(param["name"], param) for param in fresh["params"]]


def differences(catalog: Catalog, functions: Mapping[str, PageFunction]) -> list[str]:
    """Return one line for each difference between a catalogue and a page, whoever made it."""
    found = [f"{name}: only on the page" for name in functions if name not in catalog]
    found += [f"{method.name}: only in the catalogue" for method in catalog if method.name not in functions]
    for name, function in functions.items():
        if name not in catalog:
            continue
        method = catalog[name]
        for param in function.params:
            own = method.param(param.name)
            if own is None:
                found.append(f"{name} {param.name}: only on the page")
                continue
            sides = {True: "required", False: "not required"}
            if own.required != param.required:
                found.append(
                    f"{name} {param.name}: {sides[param.required]} on the page, {sides[own.required]} in the catalogue"
                )
            types = [_type_of(schema_of(param)[0]), _type_of(own.schema)]
            if None not in types and types[0] != types[1] and types != ["number", "integer"]:
                found.append(f"{name} {param.name}: {types[0]} on the page, {types[1]} in the catalogue")
        on_page = {param.name for param in function.params}
        found += [
            f"{name} {own.name}: only in the catalogue" for own in method.params if own.name not in on_page
        ]
    return found


def _type_of(schema: Json) -> str | None:
    name = schema.get("type") if isinstance(schema, dict) else None
    return name if isinstance(name, str) else None


def _compare(mine: Mapping[str, Json], function: PageFunction, changes: Changes) -> None:
    """Record how a function that a person has added to the catalogue differs from the page."""
    own = {param.get("name"): bool(param.get("required")) for param in mine.get("params", [])}
    page = {param.name: param.required for param in function.params}
    for name in page.keys() - own.keys():
        changes.conflicts.append(f"{function.name}: the page has a parameter {name}, the catalogue has none")
    for name in own.keys() - page.keys():
        changes.conflicts.append(f"{function.name}: the page has no parameter {name}")
    for name in own.keys() & page.keys():
        if own[name] != page[name]:
            state = "required" if page[name] else "not required"
            changes.conflicts.append(f"{function.name} {name}: {state} on the page, not in the catalogue")


def _merged(
    mine: Mapping[str, Json], before: PageFunction, now: PageFunction, changes: Changes, *, guessed: bool
) -> dict[str, Json]:
    """Merge a function of the catalogue with its earlier and its present form on the page."""
    name = before.name
    was, becomes = _entry(before), _entry(now)
    out = dict(mine)
    _merge_member(out, mine, was, becomes, "description", name, changes)
    own = {param["name"]: param for param in mine.get("params", [])}
    then = {param["name"]: param for param in was["params"]}
    params: list[Json] = []
    for param in becomes["params"]:
        key = param["name"]
        where = f"{name} {key}"
        if key not in then:
            changes.added.append(where)
            params.append(own.get(key, param))
        elif key in own:
            merged = dict(own[key])
            for part in ("required", "schema", "description"):
                _merge_member(merged, own[key], then[key], param, part, where, changes)
            params.append(merged)
        elif then[key] != param:
            changes.changed.append(f"{where} (struck out of the catalogue by hand: it stays out)")
    present = {param["name"] for param in becomes["params"]}
    for key, param in own.items():
        if key in present:
            continue
        if key in then:
            changes.removed.append(f"{name} {key}")
            if param == then[key]:
                continue
            changes.conflicts.append(f"{name} {key} went from the page, but was changed by hand: it stays")
        params.append(param)
    out["params"] = sorted(params, key=lambda param: not param.get("required"))
    if now.params and not before.params and "x-beyond-schema" not in mine:
        out["x-beyond-schema"] = True
        out["x-questions"] = [*out.get("x-questions", []), "x-beyond-schema"]
        return out
    open_ = out.get("x-questions")
    if isinstance(open_, list):
        put_in = _entry(before, guess=guessed)
        asked = ("x-auth", "x-effect", "x-beyond-schema")
        answered = {key for key in asked if mine.get(key) != put_in.get(key)}
        answered |= {"result"} & mine.keys()
        out["x-questions"] = [question for question in open_ if question not in answered]
        if not out["x-questions"]:
            del out["x-questions"]
    return out


def _merge_member(
    out: dict[str, Json],
    mine: Mapping[str, Json],
    was: Mapping[str, Json],
    becomes: Mapping[str, Json],
    key: str,
    where: str,
    changes: Changes,
) -> None:
    """Merge one member: take the new value of the page, unless a person has changed the old one."""
    old, new, own = was.get(key), becomes.get(key), mine.get(key)
    if old == new:
        return
    if own == old:
        if new is None:
            out.pop(key, None)
        else:
            out[key] = new
    elif own != new:
        changes.conflicts.append(f"{where}: the page has a new {key}, but it was changed by hand: it stays")
    changes.changed.append(f"{where}: {key} {_short(old)} → {_short(new)}")


def _short(value: Json) -> str:
    """Return the beginning of a value as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
