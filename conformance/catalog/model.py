"""The catalogue of a target's functions: an OpenRPC 1.x document in JSON or YAML (formats, section 3)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import yaml

from conformance.catalog.contract import Contract
from conformance.catalog.lines import line_of
from conformance.errors import UsageError, suggestion
from conformance.schema.pointer import check_pointer
from conformance.schema.validation import (
    Json,
    Schema,
    SchemaError,
    bundle_object,
    item_schemas,
    json_type,
    member_schemas,
    places,
    point,
    resolve_pointer,
)

__all__ = [
    "DOCUMENTED",
    "Catalog",
    "CatalogError",
    "Method",
    "ObjectRole",
    "Param",
    "is_json",
    "problems",
    "read_document",
    "read_text",
    "refs",
]

#: Functions that the API's documentation itself speaks of; where no catalogue names any, a target may have these.
DOCUMENTED = ("auth.login", "user.find", "course.find")

DOES = ("create", "read", "update", "delete", "list")
EFFECTS = ("read", "write", "delete")
_NAME = re.compile(r"([^\s./]+)\.([^\s./]+)")
_METHOD_KEYS = (
    "name",
    "summary",
    "description",
    "params",
    "result",
    "paramStructure",
    "errors",
    "examples",
    "links",
    "servers",
    "tags",
    "deprecated",
    "externalDocs",
    "x-auth",
    "x-effect",
    "x-rows",
    "x-object",
    "x-beyond-schema",
)
_TYPES = ("null", "boolean", "number", "string", "array", "object")


@dataclass(frozen=True)
class Param:
    """One parameter: `schema` stands by itself; `ref` is the kind of object whose identifier it takes."""

    name: str
    schema: Json
    required: bool = False
    ref: str | None = None
    description: str = ""


@dataclass(frozen=True)
class ObjectRole:
    """What a function does with objects of a kind (x-object).

    `does` is create, read, update, delete or list. `id` is the parameter that identifies the object for read,
    update and delete; for create the JSON pointer to the new identifier in `data`; for list the JSON pointer
    inside a row. `at` is the JSON pointer in `data` to the object itself (create, read, update).
    """

    kind: str
    does: str
    id: str
    at: str = ""


@dataclass(frozen=True)
class Method:
    """One function of the target.

    `auth` is "none", "session" or a role's name, None when nobody said; `effect` is read, write or delete;
    `rows` is the JSON pointer into `data` to the rows that paging applies to, None when it is not paged.
    `data_schema` and `result_schema` stand by themselves (references resolved under `$defs`); `result_schema`
    is None when the catalogue has none: then `data` of a success is an object (ENV-7).
    """

    name: str
    params: tuple[Param, ...] = ()
    description: str = ""
    auth: str | None = "session"
    effect: str = "write"
    rows: str | None = None
    object: ObjectRole | None = None
    beyond_schema: bool = False
    data_schema: Json = field(default_factory=lambda: {"type": "object"}, repr=False)
    result_schema: Json = field(default=None, repr=False)

    @property
    def entity(self) -> str:
        """The endpoint: what stands before the dot."""
        return self.name.partition(".")[0]

    @property
    def function(self) -> str:
        """The value of `method` in a call: what stands behind the dot."""
        return self.name.partition(".")[2]

    @property
    def protected(self) -> bool | None:
        """Whether it needs a session; None when nobody said."""
        return None if self.auth is None else self.auth != "none"

    def param(self, name: str) -> Param | None:
        """Return the parameter of that name, or None."""
        return next((param for param in self.params if param.name == name), None)

    @cached_property
    def data(self) -> Schema:
        """The compiled schema of `data`: an object of the parameters, open for other members."""
        return Schema(self.data_schema)

    @cached_property
    def result(self) -> Schema:
        """The compiled schema of `data` in a success, lenient where the usual validators differ (ENV-10)."""
        return Schema({"type": "object"} if self.result_schema is None else self.result_schema, lenient=True)

    @cached_property
    def refs(self) -> tuple[tuple[str, str], ...]:
        """The places in `data` that take the identifier of an object: (JSON pointer with `*`, kind) each."""
        return refs(self.data_schema)

    @cached_property
    def contract(self) -> Contract:
        """What the pure rules may hold an answer to (ENV-7, ENV-10, NAM-1)."""
        mismatch = None if self.result_schema is None else self.mismatch
        return Contract(self.name, self._result_types, mismatch, self.names)

    @cached_property
    def _result_types(self) -> frozenset[str] | None:
        types = _types(self.result.document, self.result.document, frozenset())
        return None if types == frozenset(_TYPES) else types

    def mismatch(self, data: Json) -> str | None:
        """Say in one line where `data` departs from the result schema, or return None (ENV-10)."""
        errors = self.result.errors(data)
        if not errors:
            return None
        pointer, keyword, message = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return f"data{pointer}: {message} ({keyword}){more}"

    def names(self, data: Json) -> Iterator[tuple[str, str]]:
        """Yield (JSON pointer, member name) for each member of `data` but the keys of declared maps (NAM-1).

        A map is an object whose schema has `additionalProperties` as a schema and no `properties`; the values
        in it are walked all the same.
        """
        for pointer, parts, value in self.result.walk(data):
            if isinstance(value, dict) and not any(_is_map(part) for part in parts):
                for name in value:
                    yield point(pointer, name), name

    @cached_property
    def _readonly(self) -> frozenset[str]:
        return frozenset(
            pointer
            for pointer, node in places(self.result.document)
            if pointer and node.get("readOnly") is True
        )

    def volatile_mask(self, data: Json) -> Json:
        """Return `data` without the members that the result's schema marks readOnly (STA-2)."""
        if not self._readonly:
            return data
        whole: list[Json] = [None]
        # (the schemas that speak of the value, the value, the container of its copy, where in it): no
        # recursion, for what a target sends may be nested deep.
        stack: list[tuple[list[Json], Json, Json, Json]] = [([self.result.document], data, whole, 0)]
        while stack:
            nodes, value, into, at = stack.pop()
            if isinstance(value, list):
                parts = self.result.parts(nodes, value)
                into[at] = copy = [None] * len(value)
                stack += [(item_schemas(parts, i), item, copy, i) for i, item in enumerate(value)]
            elif isinstance(value, dict):
                parts = self.result.parts(nodes, value)
                kept: dict[str, Json] = {}
                into[at] = kept
                for name, item in value.items():
                    below = member_schemas(parts, name)
                    if not any(part.get("readOnly") is True for part in self.result.parts(below, item)):
                        kept[name] = None
                        stack.append((below, item, kept, name))
            else:
                into[at] = value
        return whole[0]


def refs(schema: Json) -> tuple[tuple[str, str], ...]:
    """Return (JSON pointer, with `*` for any item or key; kind) for each x-ref in a bundled schema."""
    return tuple(
        dict.fromkeys(
            (pointer, node["x-ref"]) for pointer, node in places(schema) if isinstance(node.get("x-ref"), str)
        )
    )


def _is_map(part: Mapping[str, Json]) -> bool:
    return isinstance(part.get("additionalProperties"), dict) and "properties" not in part


def _types(node: Json, document: Json, met: frozenset[str]) -> frozenset[str]:
    """Return the JSON types that a bundled schema lets pass."""
    every = frozenset(_TYPES)
    if not isinstance(node, dict):
        return every if node else frozenset()
    types = every
    if "type" in node:
        declared = [node["type"]] if isinstance(node["type"], str) else node["type"]
        types &= {"number" if name == "integer" else name for name in declared}
    if "const" in node:
        types &= {json_type(node["const"])}
    if "enum" in node:
        types &= {json_type(value) for value in node["enum"]}
    ref = node.get("$ref")
    if ref is not None and ref not in met:
        types &= _types(resolve_pointer(document, ref[1:]), document, met | {ref})
    for branch in node.get("allOf", ()):
        types &= _types(branch, document, met)
    for key in ("anyOf", "oneOf"):
        if key in node:
            types &= frozenset().union(*(_types(branch, document, met) for branch in node[key]))
    return types


@dataclass(frozen=True)
class Catalog:
    """The functions of a target: `methods` by name, in the document's order.

    `raw` is the document as it was read, `sha256` the digest of the file's bytes (None for a catalogue that
    is no file), `implicit` whether it was made up from the profile alone.
    """

    methods: Mapping[str, Method]
    raw: Json = field(default=None, repr=False)
    sha256: str | None = None
    path: Path | None = None
    is_implicit: bool = False

    @classmethod
    def load(cls, path: Path | str) -> Catalog:
        """Read and check a catalogue.

        Raises UsageError: one line with the file, the JSON pointer (the line, for a syntax error), what is
        wrong and how to mend it.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise UsageError(
                f"{path}: there is no such catalogue; mend catalog in [target] of the profile"
            ) from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
        raw = _read(content, path)
        return cls(_Checker(raw, str(path)).methods(), raw, hashlib.sha256(content).hexdigest(), path)

    @classmethod
    def parse(cls, document: Json, where: str = "catalogue") -> Catalog:
        """Check a catalogue that is no file; raises UsageError, whose line begins with `where`."""
        return cls(_Checker(document, where).methods(), document)

    @classmethod
    def implicit(cls, effects: Mapping[str, str]) -> Catalog:
        """Return a catalogue of functions of which only the effect is known; their schemas allow everything."""
        methods = {name: Method(name, auth=None, effect=effect) for name, effect in effects.items()}
        return cls(methods, is_implicit=True)

    def __getitem__(self, name: str) -> Method:
        return self.methods[name]

    def __contains__(self, name: object) -> bool:
        return name in self.methods

    def __iter__(self) -> Iterator[Method]:
        return iter(self.methods.values())

    def __len__(self) -> int:
        return len(self.methods)

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """The endpoints, in the document's order."""
        return tuple(dict.fromkeys(method.entity for method in self))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of objects that x-object names, in the document's order."""
        return tuple(dict.fromkeys(method.object.kind for method in self if method.object))

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles that x-auth names."""
        return frozenset(method.auth for method in self if method.auth not in (None, "none", "session"))

    def doing(self, does: str, kind: str | None = None) -> tuple[Method, ...]:
        """Return the functions that create, read, update, delete or list objects (of that kind)."""
        return tuple(
            method
            for method in self
            if method.object and method.object.does == does and kind in (None, method.object.kind)
        )

    def create(self, kind: str) -> Method | None:
        """Return the first function that creates objects of that kind, or None."""
        return next(iter(self.doing("create", kind)), None)

    def read(self, kind: str) -> Method | None:
        """Return the first function that reads an object of that kind, or None."""
        return next(iter(self.doing("read", kind)), None)

    def update(self, kind: str) -> Method | None:
        """Return the first function that changes an object of that kind, or None."""
        return next(iter(self.doing("update", kind)), None)

    def delete(self, kind: str) -> Method | None:
        """Return the first function that deletes an object of that kind, or None."""
        return next(iter(self.doing("delete", kind)), None)

    def lists(self, kind: str) -> tuple[Method, ...]:
        """Return the functions that list objects of that kind."""
        return self.doing("list", kind)


# --- reading the file ---------------------------------------------------------------------------------------


class _Twice(ValueError):  # noqa: N818
    """A member name stands twice."""


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise _Twice(f"the member name {name!r} stands twice in one object")
        members[name] = value
    return members


def _constant(text: str) -> NoReturn:
    raise _Twice(f"{text} is not JSON")


class _Json:
    """YAML that means the same as JSON: 1.2's core types, no dates, string keys, each once."""

    construct_object: Any

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the members of a mapping."""
        members: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} is no string: put it in quotes",
                    problem_mark=key_node.start_mark,
                )
            if key in members:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            members[key] = self.construct_object(value_node, deep=True)
        return members


class _Loader(_Json, yaml.SafeLoader):
    """It, read in Python: slow, with the better messages."""


class _QuickLoader(_Json, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """It, read by libyaml where that is there."""


def _construct_map(loader: Any, node: Any) -> dict[Any, Any]:
    members: dict[Any, Any] = loader.construct_mapping(node)
    return members


def _construct_int(loader: Any, node: Any) -> int:
    return int(str(loader.construct_scalar(node)))


def _construct_float(loader: Any, node: Any) -> float:
    return float(str(loader.construct_scalar(node)))


for _each in (_Loader, _QuickLoader):
    _each.yaml_implicit_resolvers = {}
    for _tag, _regex, _first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ):
        _each.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_regex})\Z"), _first)
    _each.add_constructor("tag:yaml.org,2002:map", _construct_map)
    _each.add_constructor("tag:yaml.org,2002:int", _construct_int)
    _each.add_constructor("tag:yaml.org,2002:float", _construct_float)


def is_json(path: Path, text: str) -> bool:
    """Whether a catalogue is read as JSON: by the name of its file, else by how it begins."""
    return path.suffix.lower() == ".json" or (
        path.suffix.lower() not in (".yaml", ".yml") and text.lstrip().startswith("{")
    )


def read_document(path: Path) -> Json:
    """Return a catalogue's document as it stands, unchecked; raises UsageError when it cannot be read."""
    try:
        return _read(path.read_bytes(), path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def read_text(text: str) -> Json:
    """Return what a YAML text holds; raises yaml.YAMLError or ValueError where that is nothing that JSON could."""
    try:
        document = yaml.load(text, _QuickLoader)  # noqa: S506  (built on SafeLoader)
    except yaml.YAMLError:
        document = yaml.load(text, _Loader)  # noqa: S506  (built on SafeLoader)
    json.dumps(document)
    return document


def _read(content: bytes, path: Path) -> Json:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8: byte {content[error.start]:#04x} at {error.start}") from None
    try:
        if is_json(path, text):
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
        return read_text(text)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = f"{at}no YAML that can be read: {error.problem or error.context}"
    except (yaml.YAMLError, _Twice) as error:
        why = " ".join(str(error).split())
    except RecursionError:
        why = "cannot be read: nested too deep"
    except (ValueError, TypeError) as error:
        why = f"holds what JSON cannot: {error}"
    raise UsageError(f"{path}: {why}")


class CatalogError(UsageError):
    """A catalogue is wrong at one place: `pointer` says where, `why` what and how to mend it."""

    def __init__(self, where: str, pointer: str, why: str) -> None:
        super().__init__(f"{where}: {pointer or '/'}: {why}")
        self.pointer = pointer
        self.why = why


def problems(path: Path) -> tuple[list[tuple[int, str, str]], Catalog | None]:
    """Check a catalogue file to its end: (line, JSON pointer, what is wrong) of each function that is wrong, in order.

    The catalogue itself comes with it when there is nothing wrong.

    Raises UsageError: the file cannot be read, or is neither JSON nor YAML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    document = _read(content, path)
    text = content.decode("utf-8-sig")
    as_json = is_json(path, text)
    checker = _Checker(document, str(path))
    found: list[tuple[int, str, str]] = []
    for mistake in checker.everything():
        # A place may be told with the function's name behind it.
        pointer = mistake.pointer.partition(" ")[0]
        found.append((line_of(text, pointer, is_json=as_json), mistake.pointer or "/", mistake.why))
    found.sort(key=lambda each: each[0])
    return found, None if found else Catalog.load(path)


class _Checker:
    """Checks a document; every mistake becomes a UsageError that names the file and the JSON pointer."""

    def __init__(self, document: Json, where: str) -> None:
        self.document = document
        self.where = where

    def wrong(self, pointer: str, why: str) -> NoReturn:
        raise CatalogError(self.where, pointer, why)

    def everything(self) -> Iterator[CatalogError]:
        """Yield the first thing that is wrong with the document itself, or with each of its functions."""
        try:
            entries = self.entries()
        except CatalogError as error:
            yield error
            return
        names: set[str] = set()
        for index, entry in enumerate(entries):
            try:
                followed, at = self.follow(entry, f"/methods/{index}")
                method = self.method(followed, at)
                if method.name in names:
                    self.wrong(f"{at}/name", f"{method.name!r} stands twice: each function has one entry")
                names.add(method.name)
            except CatalogError as error:
                yield error

    def entries(self) -> list[Json]:
        """Check the document but for its functions, and return these as they stand."""
        document = self.document
        if not isinstance(document, dict):
            self.wrong("", f"an OpenRPC document is an object, not {_told(document)}")
        version = document.get("openrpc")
        if not isinstance(version, str) or not re.fullmatch(r"1\.\d+(\.\d+)?(-\S+)?", version):
            told = "is missing" if version is None else f"{version!r} is no version that is read here"
            self.wrong("/openrpc", f'{told}: write "openrpc": "1.3.2"')
        info = self.get(document, "info", dict, "", required=True)
        for key in ("title", "version"):
            self.get(info, key, str, "/info", required=True)
        entries: list[Json] = self.get(document, "methods", list, "", required=True)
        return entries

    def methods(self) -> dict[str, Method]:
        methods: dict[str, Method] = {}
        for index, entry in enumerate(self.entries()):
            pointer = f"/methods/{index}"
            entry, at = self.follow(entry, pointer)
            method = self.method(entry, at)
            if method.name in methods:
                self.wrong(f"{at}/name", f"{method.name!r} stands twice: each function has one entry")
            methods[method.name] = method
        return methods

    def get(
        self, table: Mapping[str, Json], key: str, kind: type, pointer: str, *, required: bool = False
    ) -> Json:
        told = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}[kind]
        value = table.get(key)
        if key not in table:
            if required:
                self.wrong(point(pointer, key), f"is missing; it must be {told}")
        elif not isinstance(value, kind):
            self.wrong(point(pointer, key), f"must be {told}, not {_told(value)}")
        elif required and value == "":
            self.wrong(point(pointer, key), "must not be empty")
        return value

    def follow(self, entry: Json, pointer: str) -> tuple[dict[str, Json], str]:
        """Follow a Reference Object to what it stands for."""
        met: list[str] = []
        while isinstance(entry, dict) and "$ref" in entry:
            ref = entry["$ref"]
            if not isinstance(ref, str) or not ref.startswith("#/"):
                self.wrong(f"{pointer}/$ref", f"{ref!r} leads out of this document: only #/… is followed")
            if ref in met:
                self.wrong(f"{pointer}/$ref", f"{ref!r} leads in a circle")
            met.append(ref)
            try:
                entry = resolve_pointer(self.document, ref[1:])
            except LookupError:
                self.wrong(f"{pointer}/$ref", f"{ref!r} leads nowhere in this document")
        if not isinstance(entry, dict):
            self.wrong(pointer, f"must be an object, not {_told(entry)}")
        return entry, pointer

    def known(self, table: Mapping[str, Json], keys: tuple[str, ...], pointer: str) -> None:
        for key in table:
            if key in keys:
                continue
            hint = suggestion(key, keys)
            # Further members of one's own, x-…, are free; what is only misspelt would be lost without a word.
            if not key.startswith("x-") or hint:
                self.wrong(point(pointer, key), f"unknown member{hint or '; its own members begin with x-'}")

    def method(self, entry: dict[str, Json], pointer: str) -> Method:
        self.known(entry, _METHOD_KEYS, pointer)
        name = self.get(entry, "name", str, pointer, required=True)
        if not _NAME.fullmatch(name):
            self.wrong(f"{pointer}/name", f"{name!r} names no function: write it as entity.function")
        pointer_told = f"{pointer} ({name})"
        structure = self.get(entry, "paramStructure", str, pointer)
        if structure not in (None, "by-name", "either"):
            self.wrong(
                f"{pointer}/paramStructure", f'{structure!r} cannot be: parameters go by name, "by-name"'
            )
        params = self.params(entry, pointer)
        auth = self.get(entry, "x-auth", str, pointer)
        if auth is not None and not auth.strip():
            self.wrong(f"{pointer}/x-auth", 'must be "none", "session" or the name of a role')
        effect = self.get(entry, "x-effect", str, pointer)
        if effect not in (None, *EFFECTS):
            self.wrong(
                f"{pointer}/x-effect",
                f"must be {_either(EFFECTS)}, not {effect!r}{suggestion(effect, EFFECTS)}",
            )
        rows = self.get(entry, "x-rows", str, pointer)
        if rows is not None and (why := check_pointer(rows)):
            self.wrong(f"{pointer}/x-rows", why)
        method = Method(
            name=name,
            params=params,
            description=entry.get("description") or entry.get("summary") or "",
            auth=auth or "session",
            effect=effect or "write",
            rows=rows,
            object=self.role(entry, params, pointer),
            beyond_schema=bool(self.get(entry, "x-beyond-schema", bool, pointer)),
            data_schema=self.data_schema(entry, params, pointer),
            result_schema=self.result(entry, pointer),
        )
        try:
            _ = method.data, method.result
        except SchemaError as error:
            self.wrong(pointer_told, f"its schemas do not compile: {error}")
        return method

    def params(self, entry: dict[str, Json], pointer: str) -> tuple[Param, ...]:
        params: list[Param] = []
        for index, raw in enumerate(self.get(entry, "params", list, pointer, required=True)):
            item, at = self.follow(raw, f"{pointer}/params/{index}")
            name = self.get(item, "name", str, at, required=True)
            if any(param.name == name for param in params):
                self.wrong(f"{at}/name", f"{name!r} stands twice: each parameter has one entry")
            schema = self.schema(item, at)
            kinds = [kind for place, kind in refs(schema) if not place]
            params.append(
                Param(
                    name=name,
                    schema=schema,
                    required=bool(self.get(item, "required", bool, at)),
                    ref=kinds[0] if kinds else None,
                    description=item.get("description") or item.get("summary") or "",
                )
            )
        return tuple(params)

    def schema(self, item: dict[str, Json], pointer: str) -> Json:
        if "schema" not in item:
            self.wrong(
                f"{pointer}/schema", 'is missing; it must be a JSON Schema, such as {"type": "string"}'
            )
        try:
            schema = Schema(item["schema"], self.document, pointer=f"{pointer}/schema").document
        except SchemaError as error:
            self.wrong(error.pointer, str(error))
        for place, node in places(schema):
            kind = node.get("x-ref", "-")
            if not isinstance(kind, str) or not kind:
                told = f"x-ref (at {place})" if place else "x-ref"
                self.wrong(
                    f"{pointer}/schema", f"{told} must be the name of a kind of object, not {_told(kind)}"
                )
        return schema

    def data_schema(self, entry: dict[str, Json], params: tuple[Param, ...], pointer: str) -> Json:
        raw = [self.follow(item, f"{pointer}/params/{i}")[0] for i, item in enumerate(entry["params"])]
        required = [param.name for param in params if param.required]
        return bundle_object({item["name"]: item["schema"] for item in raw}, required, self.document)

    def result(self, entry: dict[str, Json], pointer: str) -> Json:
        if "result" not in entry:
            return None
        item, at = self.follow(entry["result"], f"{pointer}/result")
        if "schema" not in item:
            self.wrong(f"{at}/schema", 'is missing; it must be a JSON Schema, such as {"type": "object"}')
        return self.schema(item, at)

    def role(self, entry: dict[str, Json], params: tuple[Param, ...], pointer: str) -> ObjectRole | None:
        table = self.get(entry, "x-object", dict, pointer)
        if table is None:
            return None
        at = f"{pointer}/x-object"
        self.known(table, ("kind", "does", "id", "at"), at)
        kind = self.get(table, "kind", str, at, required=True)
        does = self.get(table, "does", str, at, required=True)
        if does not in DOES:
            self.wrong(f"{at}/does", f"must be {_either(DOES)}, not {does!r}{suggestion(does, DOES)}")
        identifier = self.get(
            table, "id", str, at, required=does not in ("create", "list") or "id" not in table
        )
        if does in ("create", "list"):
            # A row, or the data, may be the identifier itself: the empty pointer.
            identifier = identifier if not identifier or identifier.startswith("/") else f"/{identifier}"
            if why := check_pointer(identifier):
                self.wrong(f"{at}/id", why)
        elif all(param.name != identifier for param in params):
            hint = suggestion(identifier, [param.name for param in params])
            self.wrong(f"{at}/id", f"{identifier!r} is no parameter of {entry['name']}{hint}")
        place = self.get(table, "at", str, at)
        if place is not None and (why := check_pointer(place)):
            self.wrong(f"{at}/at", why)
        return ObjectRole(kind=kind, does=does, id=identifier, at=place or "")


def _either(words: tuple[str, ...]) -> str:
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _told(value: Json) -> str:
    """Name a wrong value for an error line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value, ensure_ascii=False)[:60]
