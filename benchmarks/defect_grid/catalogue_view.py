"""What the templates read of a catalogue: functions, kinds of objects, and the places of their data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

Schema = dict[str, Any]
Path = tuple[str, ...]

EACH = "*"
"""A step of a path: every item of an array."""
ANY_KEY = "%"
"""A step of a path: every value of a map."""
MAX_DEPTH = 5

#: Formats of numbers, as bounds, for a validator that does not know them.
_BOUNDS = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class Function:
    """One function of a catalogue."""

    name: str
    params: dict[str, Schema]
    required: tuple[str, ...]
    auth: str
    effect: str
    rows: str | None
    object: dict[str, str]
    result: Schema
    beyond_schema: bool

    @property
    def entity(self) -> str:
        """The endpoint."""
        return self.name.partition(".")[0]

    @property
    def does(self) -> str:
        """What it does with an object, or an empty text."""
        return self.object.get("does", "")

    @property
    def kind(self) -> str:
        """The kind of object, or an empty text."""
        return self.object.get("kind", "")


@dataclass(frozen=True)
class Place:
    """A part of a function's arguments."""

    function: Function
    path: Path
    schema: Schema
    required: bool
    """Whether the member must be given in the object that holds it."""

    @property
    def label(self) -> str:
        """The function and the path."""
        return f"{self.function.name}:{'/'.join(self.path)}"

    @property
    def depth(self) -> str:
        """The kind of place, for the score."""
        if EACH in self.path or ANY_KEY in self.path:
            return "in a map" if ANY_KEY in self.path else "in an array"
        return "nested" if len(self.path) > 1 else "top level"


def types(schema: Schema) -> set[str]:
    """Return the declared types."""
    declared = schema.get("type", [])
    return {declared} if isinstance(declared, str) else set(declared)


def places(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema, bool]]:
    """Yield path, schema and whether it is required, of each part of a value below this schema."""
    if len(path) > MAX_DEPTH:
        return
    for name, part in schema.get("properties", {}).items():
        yield (*path, name), part, name in schema.get("required", ())
        yield from places(part, (*path, name))
    for step, word in ((EACH, "items"), (ANY_KEY, "additionalProperties")):
        part = schema.get(word)
        if isinstance(part, dict) and part:
            yield (*path, step), part, True
            yield from places(part, (*path, step))


class View:
    """A catalogue, and the facts of its profile, as the templates see them."""

    def __init__(self, document: dict[str, Any], profile: dict[str, Any]) -> None:
        self.document = document
        self.profile = profile
        self.functions: dict[str, Function] = {
            method["name"]: _function(method) for method in document["methods"]
        }
        auth = profile["auth"]
        self.login = self.functions[auth["login"]["function"]]
        self.user_param: str = auth["login"]["user"]
        self.secret_param: str = auth["login"]["secret"]
        self.logout = self.functions[auth["logout"]]
        self.whoami = self.functions[auth["whoami"]["function"]]
        self.session: str = auth.get("session", "/sessionId")
        key = auth.get("key_login")
        self.key_login = self.functions[key["function"]] if key else None
        self.users: list[dict[str, Any]] = list(profile["users"].values())
        #: Functions about signing in, to which templates about values do not apply.
        self.signing = {self.login.name, self.logout.name, self.whoami.name, key["function"] if key else ""}

    @property
    def protected(self) -> list[Function]:
        """The functions that need a session, but for those about signing in."""
        return [f for f in self.functions.values() if f.auth != "none" and f.name not in self.signing]

    @property
    def public(self) -> list[Function]:
        """The functions that need none."""
        return [f for f in self.functions.values() if f.auth == "none" and f.name not in self.signing]

    def kinds(self) -> list[str]:
        """Return the kinds that a function creates."""
        return [f.kind for f in self.that("create")]

    def that(self, *does: str) -> list[Function]:
        """Return the functions that do this with objects that the run can create."""
        made = {f.kind for f in self.functions.values() if f.does == "create"}
        return [f for f in self.functions.values() if f.does in does and f.kind in made]

    def of(self, kind: str, does: str) -> Function | None:
        """Return the first function that does something with a kind."""
        return next((f for f in self.functions.values() if f.kind == kind and f.does == does), None)

    def identifier(self, kind: str) -> str:
        """Return the member that identifies an object of a kind."""
        create = self.of(kind, "create")
        assert create is not None
        return create.object["id"].rsplit("/", 1)[-1]

    def shown(self, function: Function) -> Schema:
        """Return the schema of the object in a function's result, or of a row of its list."""
        schema, pointer = function.result, function.object.get("at", "")
        if function.rows is not None:
            pointer = function.rows
        for step in pointer.split("/")[1:]:
            schema = schema.get("properties", {}).get(step, {})
        if function.rows is not None:
            schema = schema.get("items", {})
        return schema

    def is_shown(self, kind: str, member: str) -> bool:
        """Return whether any result shows a member of a kind's objects."""
        return any(
            member in self.shown(f).get("properties", {}) for f in self.functions.values() if f.kind == kind
        )

    def arguments(self, *does: str) -> Iterator[Place]:
        """Yield the places of the arguments of functions that do this; of all other functions for `other`."""
        for function in self.functions.values():
            if (function.does or "other") not in does:
                continue
            whole = {"properties": function.params, "required": function.required}
            for path, schema, required in places(whole):
                yield Place(function, path, schema, required)

    def stored(self, *does: str) -> Iterator[Place]:
        """Yield the places of members that come back: arguments of create and update whose member is shown."""
        for place in self.arguments(*does):
            member = place.path[0]
            if self.is_shown(place.function.kind, member) and "x-ref" not in place.schema:
                yield place

    def observed(self, *does: str) -> Iterator[Place]:
        """Yield the places of a result that the caller gave: members of rows or objects that a create takes."""
        for function in self.functions.values():
            create = self.of(function.kind, "create") if function.does in does else None
            if create is None:
                continue
            shown = self.shown(function).get("properties", {})
            given = {name: part for name, part in create.params.items() if name in shown}
            for path, schema, required in places({"properties": given, "required": create.required}):
                if "x-ref" not in schema:
                    yield Place(function, path, schema, required)


def _function(method: dict[str, Any]) -> Function:
    return Function(
        name=method["name"],
        params={param["name"]: param["schema"] for param in method["params"]},
        required=tuple(param["name"] for param in method["params"] if param.get("required")),
        auth=method.get("x-auth", "session"),
        effect=method.get("x-effect", "write"),
        rows=method.get("x-rows"),
        object=method.get("x-object", {}),
        result=method["result"]["schema"],
        beyond_schema=bool(method.get("x-beyond-schema")),
    )


def bounded(schema: Any) -> Any:
    """Return a schema in which formats of numbers are bounds and `nullable` is a type."""
    if isinstance(schema, list):
        return [bounded(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: bounded(value) for key, value in schema.items()}
    if out.get("format") in _BOUNDS:
        low, high = _BOUNDS[out.pop("format")]
        out["minimum"] = max(low, out.get("minimum", low))
        out["maximum"] = min(high, out.get("maximum", high))
    return out


_VALIDATORS: dict[str, Callable[[Any], bool]] = {}


def validator(schema: Schema) -> Callable[[Any], bool]:
    """Return a predicate of the values that a schema allows."""
    key = repr(schema)
    if key not in _VALIDATORS:
        _VALIDATORS[key] = _compiled(schema)
    return _VALIDATORS[key]


def _compiled(schema: Schema) -> Callable[[Any], bool]:
    compiled = jsonschema_rs.Draft202012Validator(bounded(schema), validate_formats=True)

    def valid(value: Any) -> bool:
        try:
            return compiled.is_valid(value)
        except (ValueError, OverflowError):
            return False

    return valid


def witness(schema: Schema, changed: Schema, candidates: list[Any]) -> Any:
    """Return the first candidate that only the changed schema allows; `None` stands for no such value.

    A defect that lets such a value pass is no equivalent one: the value shows it.
    """
    before, after = validator(schema), validator(changed)
    return next(([value] for value in candidates if after(value) and not before(value)), None)


def altered_schema(schema: Schema, path: Path, change: Callable[[Schema], Schema]) -> Schema:
    """Return a copy of an object's schema with the part at a path changed."""
    if not path:
        return change(copy.deepcopy(schema))
    step, rest = path[0], path[1:]
    word = {EACH: "items", ANY_KEY: "additionalProperties"}.get(step)
    out = dict(schema)
    if word is not None:
        out[word] = altered_schema(schema[word], rest, change)
    else:
        members = schema["properties"]
        out["properties"] = {**members, step: altered_schema(members[step], rest, change)}
    return out


def altered(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a value with the parts at a path changed; parts that are not there stay away."""
    if not path:
        return change(value)
    step, rest = path[0], path[1:]
    if step == EACH:
        return [altered(item, rest, change) for item in value] if isinstance(value, list) else value
    if not isinstance(value, dict):
        return value
    if step == ANY_KEY:
        return {name: altered(item, rest, change) for name, item in value.items()}
    if step not in value:
        return value
    return {**value, step: altered(value[step], rest, change)}


def at_pointer(value: Any, pointer: str, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a result with the part at a JSON pointer changed."""
    return altered(value, tuple(pointer.split("/")[1:]), change)
