"""What passes between the steps of the engine: request, call, function, and the kinds that a catalogue declares."""

from __future__ import annotations

import copy
import functools
import math
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.servers import schema

Json = Any
Document = dict[str, Any]
Check = Callable[[Document], str | None]
Handler = Callable[[Any, "Call"], Json]

TIMES = ("createdAt", "changedAt")


class ApiError(Exception):
    """A refusal: a status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Request:
    """One HTTP request as it arrived."""

    verb: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    peer: int = 0

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header by its lower-case name; None if it is absent or given twice."""
        values = [value for key, value in self.headers if key.lower() == name]
        return values[0] if len(values) == 1 else None


@dataclass
class Response:
    """One HTTP response as it will be sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class Page:
    """The rows that are asked for; no length: all."""

    start: int = 0
    length: int | None = None


@dataclass
class Item:
    """An object, and the identifier of the user who made it."""

    owner: str
    body: Document


@dataclass
class Query:
    """A list to be read: a kind, and conditions on its items that must all hold."""

    kind: str
    conditions: list[Callable[[Item], bool]] = field(default_factory=list)


@dataclass
class Function:
    """A published function: its entry in the catalogue, and the code that checks its arguments and runs it."""

    name: str
    method: Document
    params: dict[str, Document]
    auth: str
    check: Check
    handler: Handler

    @property
    def entity(self) -> str:
        """The endpoint."""
        return self.name.partition(".")[0]

    @property
    def object(self) -> Document:
        """The function's `x-object`, empty if it has none."""
        table: Document = self.method.get("x-object", {})
        return table

    def wrap(self, around: Callable[..., Any]) -> None:
        """Put `around(inner, engine, call)` in place of the handler."""
        self.handler = functools.partial(around, self.handler)


@dataclass
class Call:
    """One call on its way through the steps."""

    request: Request
    message: Document = field(default_factory=dict)
    function: Function | None = None
    token: bytes | None = None
    user: Document | None = None
    args: Document = field(default_factory=dict)
    page: Page = Page()
    objects: dict[tuple[str, Any], Document] = field(default_factory=dict)
    error: ApiError | None = None
    notes: Document = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's full name, or an empty text before it is known."""
        return self.function.name if self.function else ""

    @property
    def user_id(self) -> str:
        """The identifier of the session's user."""
        if self.user is None:
            raise ApiError(401, "Sign in first")
        identifier: str = self.user["userId"]
        return identifier

    @property
    def roles(self) -> list[str]:
        """The roles of the session's user."""
        return list(self.user["roles"]) if self.user else []


@dataclass
class Domain:
    """A catalogue, and what it does not say."""

    title: str
    base: str
    document: Document
    profile: str
    users: dict[str, tuple[str, list[str]]]
    """By name: password and roles."""
    login: tuple[str, str, str]
    """The function, and its parameters for name and password."""
    logout: str
    whoami: str
    signed_in: Callable[[str, Document], Json]
    """The result of a login, of the session identifier and the user."""
    foreign: int = 404
    """The status for an object of another user."""
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By public key: the private key, and the name of the user."""
    key_login: str | None = None
    handlers: dict[str, Handler] = field(default_factory=dict)
    """Functions that are about no kind of object."""


def pointed(pointer: str) -> list[str]:
    """Return the member names of a JSON pointer."""
    return pointer.split("/")[1:]


def last(pointer: str) -> str:
    """Return the last member name of a pointer or of a bare name."""
    return pointer.rsplit("/", 1)[-1]


def placed(value: Json, pointer: str, beside: Document | None = None) -> Json:
    """Return a result that has a value at a pointer, and these members beside it."""
    for name in reversed(pointed(pointer)):
        value = {name: value, **(beside or {})}
        beside = None
    return value


def members_of(part: Document) -> Document:
    """Return the declared members of an object's schema."""
    properties: Document = part.get("properties", {})
    return properties


def has_type(part: Document, name: str) -> bool:
    """Return whether a schema declares a type."""
    declared = part.get("type")
    return declared == name or (isinstance(declared, list) and name in declared)


def shaped(value: Json, part: Document | None, root: Document) -> Json:
    """Return a valid value as it is stored: integers as int, and no undeclared members of declared objects."""
    part = schema.resolve(part or {}, root)
    if isinstance(value, list):
        return [shaped(item, part.get("items", {}), root) for item in value]
    if isinstance(value, dict):
        others = part.get("additionalProperties")
        named = members_of(part)
        return {
            name: shaped(member, named.get(name) or others, root)
            for name, member in value.items()
            if name in named or isinstance(others, dict)
        }
    if isinstance(value, float):
        return int(value) if has_type(part, "integer") and not has_type(part, "number") else float(value)
    return value


def references(part: Document, value: Json, root: Document) -> Iterator[tuple[str, Any]]:
    """Yield kind and identifier of each reference in a valid value."""
    part = schema.resolve(part, root)
    if value is None:
        return
    if "x-ref" in part:
        yield part["x-ref"], value
    elif isinstance(value, list):
        for item in value:
            yield from references(part.get("items", {}), item, root)
    elif isinstance(value, dict):
        others = part.get("additionalProperties")
        for name, member in value.items():
            inner = members_of(part).get(name, others)
            if isinstance(inner, dict):
                yield from references(inner, member, root)


class Kind:
    """What the catalogue says of one kind of object."""

    def __init__(self, name: str, functions: list[Function], root: Document) -> None:
        by = {function.object["does"]: function for function in functions if function.object["kind"] == name}
        create = by["create"]
        self.name = name
        self.identifier = last(create.object["id"])
        shown = create.method["result"]["schema"]
        for step in pointed(create.object.get("at", "")):
            shown = members_of(schema.resolve(shown, root))[step]
        self.schema = schema.resolve(shown, root)
        self.members: dict[str, Document] = create.params
        self.parents: list[tuple[str, str]] = [
            (param["name"], param["schema"]["x-ref"])
            for param in create.method["params"]
            if param.get("required") and "x-ref" in param["schema"]
        ]

    def new_id(self, number: int, args: Document) -> Any:
        """Return an identifier of the declared form that was never given before."""
        part = members_of(self.schema)[self.identifier]
        if has_type(part, "integer"):
            return number
        if part.get("format") == "uuid":
            return str(uuid.uuid4())
        words = next((value for value in args.values() if isinstance(value, str)), "")
        slug = re.sub("[^a-z0-9]+", "-", words.lower())[:24].strip("-")
        return f"{slug or self.name}-{number}"

    def new(self, identifier: Any, args: Document) -> Document:
        """Return a new object: what was given, defaults, and what the server adds."""
        body: Document = {}
        for name, part in members_of(self.schema).items():
            if name == self.identifier:
                body[name] = identifier
            elif name in args:
                body[name] = args[name]
            elif name in TIMES:
                body[name] = now()
            elif name == "revision":
                body[name] = 1
            else:
                declared: Document = self.members.get(name) or part
                if "default" in declared:
                    body[name] = copy.deepcopy(declared["default"])
                elif name in self.schema.get("required", ()):
                    body[name] = None
        return body


def now() -> str:
    """Return the time as the services write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole(value: Json) -> int | None:
    """Return a natural number, which may be written 1.0; None for anything else."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    return None if isinstance(value, bool) or not isinstance(value, int) or value < 0 else value
