"""Short ways to write the catalogue of a domain."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def text(least: int = 0, most: int = 200, **more: Any) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", "minLength": least, "maxLength": most, **more}


def formatted(name: str, kind: str = "string", **more: Any) -> Schema:
    """Return the schema of a value with a format."""
    return {"type": kind, "format": name, **more}


def number(
    least: float | None = None, most: float | None = None, kind: str = "number", **more: Any
) -> Schema:
    """Return the schema of a number within bounds."""
    part: Schema = {"type": kind, **more}
    if least is not None:
        part["minimum"] = least
    if most is not None:
        part["maximum"] = most
    return part


def choice(*words: str, **more: Any) -> Schema:
    """Return the schema of one of some words."""
    return {"type": "string", "enum": list(words), **more}


def many(items: Schema, most: int, **more: Any) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": items, "maxItems": most, **more}


def record(members: dict[str, Schema], *required: str) -> Schema:
    """Return the schema of a closed object."""
    part: Schema = {"type": "object", "properties": members, "additionalProperties": False}
    return {**part, "required": list(required)} if required else part


def keyed(values: Schema, most: int, names: Schema | None = None) -> Schema:
    """Return the schema of a map keyed by data."""
    part: Schema = {"type": "object", "additionalProperties": values, "maxProperties": most}
    return part if names is None else {**part, "propertyNames": names}


def nullable(part: Schema) -> Schema:
    """Return the same schema with null allowed."""
    loose = {**part, "type": [part["type"], "null"]}
    return {**loose, "enum": [*part["enum"], None]} if "enum" in part else loose


def ref(kind: str, part: Schema) -> Schema:
    """Mark a schema as the identifier of an object of the caller's."""
    return {**part, "x-ref": kind}


def plain(part: Schema) -> Schema:
    """Return the schema of a parameter as that of a result's member."""
    out: Schema = {}
    for key, value in part.items():
        if key == "properties":
            out[key] = {name: plain(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = plain(value)
        elif key not in ("default", "x-ref"):
            out[key] = value
    return out


def without_default(part: Schema) -> Schema:
    """Return a parameter's schema as an update takes it."""
    return {key: value for key, value in part.items() if key != "default"}


def method(
    name: str,
    summary: str,
    result: Schema,
    params: dict[str, Schema] | None = None,
    required: tuple[str, ...] = (),
    *,
    auth: str = "session",
    effect: str = "read",
    rows: str | None = None,
    object: Schema | None = None,
) -> Schema:
    """Return a function's entry in the catalogue; required parameters stand first."""
    given = params or {}
    order = sorted(given, key=lambda param: param not in required)
    entry: Schema = {
        "name": name,
        "summary": summary,
        "paramStructure": "by-name",
        "params": [{"name": param, "required": param in required, "schema": given[param]} for param in order],
        "result": {"name": "data", "schema": result},
        "x-auth": auth,
        "x-effect": effect,
    }
    if rows is not None:
        entry["x-rows"] = rows
    if object is not None:
        entry["x-object"] = object
    return entry


STAMPS: dict[str, Schema] = {
    "createdAt": formatted("date-time"),
    "changedAt": formatted("date-time", readOnly=True),
    "revision": {"type": "integer", "minimum": 1, "readOnly": True},
}


class KindDeclaration:
    """One kind of object, and the functions that the catalogue declares for it."""

    def __init__(
        self,
        name: str,
        identifier: tuple[str, Schema],
        members: dict[str, Schema],
        required: tuple[str, ...],
        *,
        added: dict[str, Schema] | None = None,
        optional: bool = False,
        parents: tuple[str, ...] = (),
        wrapped: bool = False,
        writer: str = "session",
    ) -> None:
        """Declare a kind.

        `optional`: results leave out what was never given. `parents` are members that each call names beside the
        identifier. `wrapped`: results hold the object in a member of the kind's name. `writer` is the role that may
        create, change and delete.
        """
        self.name = name
        self.identifier, self.id_schema = identifier
        self.members = members
        self.required = required
        self.parents = parents
        self.writer = writer
        self.at = f"/{name}" if wrapped else ""
        every = {
            self.identifier: plain(self.id_schema),
            **{member: plain(part) for member, part in members.items()},
            **(added or {}),
        }
        always = [self.identifier, *required, *(added or {})] if optional else list(every)
        self.schema = record(every, *always)
        self.result = record({name: self.schema}, name) if wrapped else self.schema

    def _object(self, does: str, pointer: str | None = None) -> Schema:
        table = {"kind": self.name, "does": does, "id": pointer or self.identifier}
        return {**table, "at": self.at} if self.at and does in ("create", "read", "update") else table

    def _named(self) -> tuple[dict[str, Schema], tuple[str, ...]]:
        params = {parent: self.members[parent] for parent in self.parents}
        return {**params, self.identifier: self.id_schema}, (*self.parents, self.identifier)

    def create(self, verb: str) -> Schema:
        """Declare the function that creates one."""
        pointer = f"{self.at}/{self.identifier}"
        return method(f"{self.name}.{verb}", f"Create a {self.name}.", self.result, self.members, self.required,
                      auth=self.writer, effect="write", object=self._object("create", pointer))  # fmt: skip

    def read(self, verb: str) -> Schema:
        """Declare the function that reads one."""
        params, required = self._named()
        return method(f"{self.name}.{verb}", f"Read a {self.name}.", self.result, params, required,
                      object=self._object("read"))  # fmt: skip

    def update(self, verb: str) -> Schema:
        """Declare the function that changes one."""
        params, required = self._named()
        changed = {
            member: without_default(part) for member, part in self.members.items() if member not in params
        }
        return method(f"{self.name}.{verb}", f"Change a {self.name}.", self.result, {**params, **changed},
                      required, auth=self.writer, effect="write", object=self._object("update"))  # fmt: skip

    def delete(self, verb: str, result: Schema | None = None) -> Schema:
        """Declare the function that deletes one."""
        params, required = self._named()
        return method(f"{self.name}.{verb}", f"Delete a {self.name}.", result or record({}), params, required,
                      auth=self.writer, effect="delete", object=self._object("delete"))  # fmt: skip

    def list(
        self, verb: str, filters: dict[str, Schema], *shown: str, total: bool = True, rows: str | None = None
    ) -> Schema:
        """Declare the function that lists them; `shown` are the members of a row, all if none is named."""
        members = self.schema["properties"]
        row = self.schema
        if shown == (self.identifier,):
            row = members[self.identifier]
        elif shown:
            always = [name for name in shown if name in self.schema["required"]]
            row = record({name: members[name] for name in shown}, *always)
        array = {"type": "array", "items": row}
        named = f"{self.name}s" if rows is None else rows
        result = array
        if named:
            beside = {"total": {"type": "integer", "minimum": 0, "readOnly": True}} if total else {}
            result = record({named: array, **beside}, named, *beside)
        params = {parent: self.members[parent] for parent in self.parents} | filters
        pointer = "" if row is members[self.identifier] else f"/{self.identifier}"
        return method(f"{self.name}.{verb}", f"List one's own {self.name}s.", result, params, self.parents,
                      rows=f"/{named}" if named else "",
                      object={"kind": self.name, "does": "list", "id": pointer})  # fmt: skip
