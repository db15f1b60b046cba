"""What the lending library stores and passes on: users, entries, sessions, requests and replies."""

from __future__ import annotations

import datetime
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

BASE = "/v2/rpc/"
HEAD_LIMIT = 65536
BODY_LIMIT = 2 * 1024 * 1024
TOKEN_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
REASONS = {
    200: "OK",
    201: "Created",
    301: "Moved Permanently",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    422: "Unprocessable Content",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}
ESCAPED = re.compile(r'"method"\s*:\s*"[^"]*\\u|"[^"]*\\u[^"]*"\s*:\s*"[^"]*"')
KEYS = {"desk-terminal-1": ("kY7-private-desk", "marian")}
KEY_PARTS = ("apikey", "time", "random", "hmac")


class Refused(Exception):  # noqa: N818
    """A call that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Dropped(Exception):  # noqa: N818
    """A call that a defect leaves without an answer."""


@dataclass
class Request:
    """One HTTP request, its framing already undone."""

    verb: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    peer: int = 0

    def values(self, name: str) -> list[str]:
        """The values of a header, whatever the case of its name."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass
class Reply:
    """What goes back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(eq=False)
class User:
    """A reader with an account."""

    name: str
    digest: bytes
    roles: set[str]
    nickname: str = ""


@dataclass
class Item:
    """Something that a user entered."""

    owner: User
    values: dict[str, Any]
    changes: int = 0
    gone: bool = False


@dataclass
class Session:
    """A visit."""

    user: User
    peer: int
    calls: int = 0


@dataclass
class Call:
    """A function call past authentication."""

    name: str
    data: dict[str, Any]
    user: User | None
    token: str | None
    request: Request
    paged: bool = False
    extra: dict[str, Any] = field(default_factory=dict)  # undeclared members that a defect obeys

    @property
    def caller(self) -> User:
        """The user of the session; only for protected functions."""
        assert self.user is not None
        return self.user


def digest(text: str) -> bytes:
    """Return a pass phrase as it is stored."""
    return hashlib.sha256(b"library:" + text.encode("utf-8", "surrogatepass")).digest()


def injected(text: str) -> bool:
    """Whether the text would turn a careless query into one that is always true."""
    return "'" in text and " or " in text.lower()


def now() -> str:
    """The time as text."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
