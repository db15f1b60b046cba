"""Validates the document of a catalogue and builds its functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NoReturn

from conformance.catalog.methods import Method, ObjectRole, Param, refs
from conformance.errors import UsageError, suggestion
from conformance.schema.bundle import Json, SchemaError, bundle_object, places, point, resolve_pointer
from conformance.schema.dialect import SUGGESTED
from conformance.schema.pointer import check_pointer
from conformance.schema.validation import Schema

__all__ = ["CatalogError", "Validator"]

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


class CatalogError(UsageError):
    """An error in a catalogue: `pointer` is its place, `why` says what is wrong and how to correct it."""

    def __init__(self, where: str, pointer: str, why: str) -> None:
        super().__init__(f"{where}: {pointer or '/'}: {why}")
        self.pointer = pointer
        self.why = why


class Validator:
    """Validates a document; every mistake is a UsageError that names the file and the JSON pointer."""

    def __init__(self, document: Json, where: str) -> None:
        self.document = document
        self.where = where

    def wrong(self, pointer: str, why: str) -> NoReturn:
        """Raise a CatalogError for the value at a pointer."""
        raise CatalogError(self.where, pointer, why)

    def everything(self) -> Iterator[CatalogError]:
        """Yield the first error of the document itself, or else the first error of each of its functions."""
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
        """Validate the document except for its functions, and return the entries of the functions."""
        document = self.document
        if not isinstance(document, dict):
            self.wrong("", f"an OpenRPC document is an object, not {_described(document)}")
        version = document.get("openrpc")
        if not isinstance(version, str) or not re.fullmatch(r"1\.\d+(\.\d+)?(-\S+)?", version):
            expected = "is missing" if version is None else f"{version!r} is no version that is read here"
            self.wrong("/openrpc", f'{expected}: write "openrpc": "1.3.2"')
        info = self.get(document, "info", dict, "", required=True)
        for key in ("title", "version"):
            self.get(info, key, str, "/info", required=True)
        entries: list[Json] = self.get(document, "methods", list, "", required=True)
        return entries

    def methods(self) -> dict[str, Method]:
        """Return the functions of the document by name."""
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
        """Return a member, checked for its type; None if it is missing and not required."""
        expected = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}[kind]
        value = table.get(key)
        if key not in table:
            if required:
                self.wrong(point(pointer, key), f"is missing; it must be {expected}")
        elif not isinstance(value, kind):
            self.wrong(point(pointer, key), f"must be {expected}, not {_described(value)}")
        elif required and value == "":
            self.wrong(point(pointer, key), "must not be empty")
        return value

    def follow(self, entry: Json, pointer: str) -> tuple[dict[str, Json], str]:
        """Return the object that a Reference Object refers to, and its pointer."""
        visited: list[str] = []
        while isinstance(entry, dict) and "$ref" in entry:
            ref = entry["$ref"]
            if not isinstance(ref, str) or not ref.startswith("#/"):
                self.wrong(f"{pointer}/$ref", f"{ref!r} leads out of this document: only #/… is followed")
            if ref in visited:
                self.wrong(f"{pointer}/$ref", f"{ref!r} leads in a circle")
            visited.append(ref)
            try:
                entry = resolve_pointer(self.document, ref[1:])
            except LookupError:
                self.wrong(f"{pointer}/$ref", f"{ref!r} leads nowhere in this document")
        if not isinstance(entry, dict):
            self.wrong(pointer, f"must be an object, not {_described(entry)}")
        return entry, pointer

    def known(self, table: Mapping[str, Json], keys: tuple[str, ...], pointer: str) -> None:
        """Check that an object has no other members than these, except extensions."""
        for key in table:
            if key in keys:
                continue
            hint = suggestion(key, keys)
            # Other extensions (x-…) are allowed, but a misspelt name would be ignored without a message.
            if not key.startswith("x-") or hint:
                self.wrong(point(pointer, key), f"unknown member{hint or '; its own members begin with x-'}")

    def method(self, entry: dict[str, Json], pointer: str) -> Method:
        """Validate the entry of a function."""
        self.known(entry, _METHOD_KEYS, pointer)
        name = self.get(entry, "name", str, pointer, required=True)
        if not _NAME.fullmatch(name):
            self.wrong(f"{pointer}/name", f"{name!r} names no function: write it as entity.function")
        named_pointer = f"{pointer} ({name})"
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
            self.wrong(named_pointer, f"its schemas do not compile: {error}")
        return method

    def params(self, entry: dict[str, Json], pointer: str) -> tuple[Param, ...]:
        """Return the parameters of a function."""
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
        """Return the schema of a parameter or result as a self-contained schema."""
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
                expected = f"x-ref (at {place})" if place else "x-ref"
                self.wrong(
                    f"{pointer}/schema",
                    f"{expected} must be the name of a kind of object, not {_described(kind)}",
                )
        return schema

    def data_schema(self, entry: dict[str, Json], params: tuple[Param, ...], pointer: str) -> Json:
        """Return the schema of `data`: an object with the parameters."""
        raw = [self.follow(item, f"{pointer}/params/{i}")[0] for i, item in enumerate(entry["params"])]
        required = [param.name for param in params if param.required]
        schema = bundle_object({item["name"]: item["schema"] for item in raw}, required, self.document)
        # What usually is given though nothing says that it has to be; only generated data keeps to it.
        suggested = self.get(entry, SUGGESTED, dict, pointer)
        return {**schema, SUGGESTED: suggested} if suggested and isinstance(schema, dict) else schema

    def result(self, entry: dict[str, Json], pointer: str) -> Json:
        """Return the schema of the result, or None."""
        if "result" not in entry:
            return None
        item, at = self.follow(entry["result"], f"{pointer}/result")
        if "schema" not in item:
            self.wrong(f"{at}/schema", 'is missing; it must be a JSON Schema, such as {"type": "object"}')
        return self.schema(item, at)

    def role(self, entry: dict[str, Json], params: tuple[Param, ...], pointer: str) -> ObjectRole | None:
        """Return the operation on objects that a function declares, or None."""
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
            # The row or the data may be the identifier itself: then the pointer is empty.
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
    """Return quoted words as an alternative."""
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _described(value: Json) -> str:
    """Return a wrong value as it is shown in an error message."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value, ensure_ascii=False)[:60]
