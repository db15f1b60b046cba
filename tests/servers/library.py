"""A lending library: another domain, another style, every rule obeyed.

What a target may choose is chosen otherwise than usual. Another user's object → 403, an unknown book → 400,
an unknown shelf or loan → 403, destroying what was destroyed → 403, a public function with an unknown token
→ 401 (login too), undeclared members of `data` → 400, a member name given twice → 400, a trailing slash or
another case of an endpoint → 404, `pageLength` 0 or null → 400, `pageStart` 1.0 or beyond 2^31 - 1 → 400,
`pageStart` null → 200, an empty method → 404, wrong credentials → 403, U+0000 and unpaired surrogates →
400, numbers that a double rounds → 400, an error's `data` is `{}`, a body above 2 MiB → 413, other verbs →
405. Shelves are numbered, and the number of one that was taken down is used again. The list of shelves is
`data` itself, that of loans holds bare identifiers. The librarian is no member, so that loans are closed to
her. Paging members are checked on every function, paged or not.

With `--defect NAME` the server has the one defect of that name, see `library_defects`.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import hashlib
import hmac
import json
import random
import re
import secrets
import socket
import socketserver
import sys
import threading
import time
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from tests.servers import launch, schema
from tests.servers.library_catalog import PROFILE, document
from tests.servers.library_defects import DEFECTS

__all__ = ["DEFECTS", "Library", "main", "prepared", "serving"]

BASE = "/v2/rpc/"
HEAD_LIMIT = 65536
BODY_LIMIT = 2 * 1024 * 1024
IDLE_SECONDS = 120.0
STALL_SECONDS = 15.0
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


class Library:
    """The service: functions, their data, and what a call is answered."""

    def __init__(self, defect: str | None = None) -> None:
        if defect is not None and defect not in DEFECTS:
            raise ValueError(f"no such defect: {defect}")
        self.defect = defect
        self.lock: contextlib.AbstractContextManager[Any] = threading.RLock()
        if self.bug("session-mix-up", "concurrent-creates-lost", "concurrent-creates-one-id"):
            self.lock = contextlib.nullcontext()
        self.catalog = document()
        if self.bug("snake-parameter"):
            self._rename_parameter("shelf.change", "label", "shelf_label")
        self.methods: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in self.catalog["methods"]}
        self.entities = {name.split(".")[0] for name in self.methods}
        self.specs = {name: self._spec(entry) for name, entry in self.methods.items()}
        self.functions: dict[str, Callable[[Call], Any]] = {
            name: getattr(self, "do_" + name.replace(".", "_")) for name in self.methods
        }
        self.users: dict[str, User] = {}
        self.phrases: dict[str, str] = {}  # for defects alone
        for name, phrase, role in (
            ("marian", "Quiet Please, 1957", "member"),
            ("Åsa_K", "lånekort?Blått!88", "member"),
            ("head-of-house", "DeweyDecimal/025.431", "librarian"),
            ("idle-reader", secrets.token_hex(8), "member"),
            ("Zoë", secrets.token_hex(8), "member"),
        ):
            self.users[name] = User(name, digest(phrase), {role})
            self.phrases[name] = phrase
        self.sessions: dict[str, Session] = {}
        self.books: dict[str, Item] = {}
        self.shelves: dict[int, Item] = {}
        self.loans: dict[str, Item] = {}
        self.remarks: dict[int, Item] = {}
        self.last_remark = 0
        self.gone: set[str] = set()
        self.attic: dict[str, dict[str, Any]] = {}  # for defects alone
        self.counter = 1000
        self.current: User | None = None
        self.rotation = 0

    def bug(self, *names: str) -> bool:
        """Whether the server has one of these defects."""
        return self.defect in names

    def _rename_parameter(self, name: str, old: str, new: str) -> None:
        for entry in self.catalog["methods"]:
            if entry["name"] == name:
                for param in entry["params"]:
                    if param["name"] == old:
                        param["name"] = new

    def _spec(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The schema of a function's data."""
        params = [schema.resolve(param, self.catalog) for param in entry["params"]]
        spec = {
            "type": "object",
            "properties": {param["name"]: param["schema"] for param in params},
            "required": [param["name"] for param in params if param.get("required")],
            "additionalProperties": False,
        }
        spec = copy.deepcopy(spec)
        self._loosen(entry["name"], spec)
        return spec

    def _loosen(self, name: str, spec: dict[str, Any]) -> None:
        """Schema defects."""
        properties = spec["properties"]
        if name == "book.create":
            if self.bug("bool-as-int"):
                properties["copies"] = {"anyOf": [properties["copies"], {"type": "boolean"}], "default": 1}
            if self.bug("maximum-off-by-one"):
                properties["copies"]["maximum"] += 1
            if self.bug("pattern-not-anchored"):
                properties["isbn"]["pattern"] = "[0-9]{13}"
            if self.bug("nested-required-ignored"):
                properties["size"] = {"type": ["object", "null"]}
            if self.bug("unique-items-ignored"):
                properties["tags"]["uniqueItems"] = False
            if self.bug("email-unchecked"):
                del properties["keeper"]["format"]
        if name == "book.change" and self.bug("enum-unchecked-on-change"):
            properties["language"] = {"type": "string"}
        if name == "loan.create" and self.bug("date-by-shape"):
            properties["fromDay"] = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
        if name == "shelf.create":
            if self.bug("null-for-required"):
                properties["label"]["type"] = ["string", "null"]
            if self.bug("numeric-text-as-number"):
                properties["floor"] = {
                    "anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]
                }
            if self.bug("multiple-unchecked"):
                del properties["fee"]["multipleOf"]
            if self.bug("minimum-length-ignored"):
                del properties["label"]["minLength"]

    # -- from a request to a reply ------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Answer a request."""
        path, _, query = request.target.partition("?")
        name: str | None = None
        try:
            if request.verb != "POST":
                return self._other_verb(request, path, query)
            name, data = self.call(request, path, query)
        except Refused as refused:
            extra = self._guess(request, path)
            return self.error(refused.status, refused.message, extra)
        except RecursionError:
            if self.bug("deep-nesting-dropped"):
                raise Dropped from None
            if self.bug("deep-nesting-crash"):
                return self.error(500, "Something went wrong.", None)
            return self.error(400, "The body is nested too deeply.", None)
        return self.success(name, data)

    def _guess(self, request: Request, path: str) -> str | None:
        """The function that a refused request named, for defects that sit in one function's errors."""
        with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError):
            body = schema.parse(request.body.decode())
            return f"{path.removeprefix(BASE)}.{body.get('method')}"
        return None

    def _other_verb(self, request: Request, path: str, query: str) -> Reply:
        if self.bug("get-runs-query") and request.verb == "GET":
            asked = dict(urllib.parse.parse_qsl(query))
            with contextlib.suppress(ValueError):
                body = {"method": asked.get("method"), "data": json.loads(asked.get("data", "{}"))}
                return self.answer(Request("POST", path, request.headers, json.dumps(body).encode()))
        if self.bug("put-runs-body") and request.verb == "PUT" and request.body:
            return self.answer(Request("POST", path, request.headers, request.body))
        if self.bug("delete-verb-runs-unseen") and request.verb == "DELETE" and request.body:
            self.answer(Request("POST", path, request.headers, request.body))
        reply = self.error(405, "Only POST is answered here.", None)
        if self.bug("other-verb-plain-text"):
            reply.headers["Content-Type"] = "text/plain"
            reply.body = b"Method Not Allowed"
        if self.bug("other-verb-says-success") and request.verb == "PATCH":
            reply = self.success("desk.hours", {})
            reply.status = 405
        reply.headers["Allow"] = "POST"
        return reply

    def success(self, name: str, data: Any) -> Reply:
        """A success, with the defects that sit in it."""
        status = 200
        envelope: dict[str, Any] = {"isError": False, "errMsg": None, "data": data}
        if self.bug("created-201") and name == "book.create":
            status = 201
        if self.bug("success-called-error") and name == "book.destroy":
            envelope["isError"] = True
        if self.bug("message-on-success") and name == "session.close":
            envelope["errMsg"] = "Welcome back."
        if self.bug("is-error-number") and name == "shelf.get":
            envelope["isError"] = 0
        if self.bug("extra-member") and name == "loan.list":
            envelope["pageCount"] = 1
        if self.bug("snake-envelope-member") and name == "desk.news":
            envelope["next_page"] = None
        reply = self.reply(status, envelope)
        if self.bug("nan-in-result") and name == "loan.get":
            reply.body = reply.body.replace(b'"remark"', b'"rating":NaN,"remark"', 1)
        if self.bug("byte-order-mark") and name == "desk.hours":
            reply.body = b"\xef\xbb\xbf" + reply.body
        if self.bug("notice-after-json") and name == "book.list":
            reply.body += b"<!-- 3 queries -->"
        if self.bug("latin-1-result") and name == "session.whoAmI":
            reply.body = json.dumps(envelope, ensure_ascii=False).encode("latin-1", "replace")
        if self.bug("cacheable") and name == "session.whoAmI":
            reply.headers["Cache-Control"] = "max-age=60"
        if self.bug("no-nosniff"):
            del reply.headers["X-Content-Type-Options"]
        return reply

    def error(self, status: int, message: Any, name: str | None) -> Reply:
        """An error, with the defects that sit in it."""
        envelope: dict[str, Any] = {"isError": True, "errMsg": message, "data": {}}
        if self.bug("no-data-member-on-401") and status == 401:
            del envelope["data"]
        if self.bug("is-error-text") and status == 400:
            envelope["isError"] = "true"
        if self.bug("message-list") and status == 400:
            envelope["errMsg"] = [message]
        if self.bug("blank-message-on-403") and status == 403:
            envelope["errMsg"] = " "
        if self.bug("null-message-on-unknown-endpoint") and message == "No such endpoint.":
            envelope["errMsg"] = None
        if self.bug("partial-data-on-error") and status == 403:
            envelope["data"] = {"handle": "guest"}
        if self.bug("debug-member-on-error"):
            envelope["trace"] = secrets.token_hex(4)
        if self.bug("error-not-flagged") and status == 404:
            envelope["isError"] = False
        if self.bug("unknown-function-200") and message == "No such function.":
            status = 200
        if self.bug("validation-422") and status == 400 and message == "The data is not valid.":
            status = 422
        if self.bug("stack-trace-on-one-error") and status == 400 and name == "shelf.get":
            envelope["errMsg"] = (
                "Traceback (most recent call last):\n"
                '  File "/srv/library/shelf.py", line 31, in get\nKeyError: 1'
            )
        if self.bug("sql-in-error") and status == 400 and name == "book.list":
            envelope["errMsg"] = "SELECT id, title FROM books WHERE owner = 3 AND title LIKE: syntax error"
        reply = self.reply(status, envelope)
        if self.bug("duplicate-member-on-403") and status == 403:
            reply.body = reply.body[:-1] + b',"isError":true}'
        if self.bug("html-type-on-404") and status == 404:
            reply.headers["Content-Type"] = "text/html; charset=utf-8"
        return reply

    def reply(self, status: int, envelope: dict[str, Any]) -> Reply:
        """An envelope on the wire."""
        body = json.dumps(envelope, separators=(",", ":")).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Reply(status, headers, body)

    # -- from a body to a function ------------------------------------------------------------------

    def call(self, request: Request, path: str, query: str) -> tuple[str, Any]:
        """Run the function that the request names."""
        body = self._body(request)
        entity = self._entity(path)
        method = body.get("method")
        if self.bug("number-as-method") and isinstance(method, int):
            raise Refused(404, "No such function.")
        if not isinstance(method, str):
            raise Refused(400, "The method must be a string.")
        if self.bug("order-of-members-matters") and next(iter(body)) != "method":
            raise Refused(400, "The method must come first.")
        if self.bug("unknown-member-refused") and body.keys() - {"method", "data", "pageStart", "pageLength"}:
            raise Refused(400, "The request has members of no meaning.")
        name = self._function(entity, method)
        if self.bug("session-mix-up"):
            self.current = None
        with self.lock:
            token, user = self._session(request, query, body)
            if self.bug("validation-before-session"):
                self._valid(name, body)
            self._admit(name, token, user, request)
            start, length = self._page(name, body)
            if self.bug("session-mix-up") and user is not None:
                self.current = user
                time.sleep(0.002)
                user = self.current or user
            data = self._valid(name, body)
            paged = start > 0 or length is not None
            call = Call(name, data, user, token, request, paged, self._extra(name, body))
            result = self.functions[name](call)
            return name, self._paged(name, result, start, length, data)

    def _body(self, request: Request) -> dict[str, Any]:
        kind = (request.values("content-type") or [""])[0].lower()
        if self.bug("form-type-refused") and "form" in kind:
            raise Refused(400, "The body must be application/json.")
        if self.bug("missing-type-refused") and not kind:
            raise Refused(400, "The body must be application/json.")
        try:
            text = request.body.decode("utf-8", "replace" if self.bug("bad-utf-8-replaced") else "strict")
            if self.bug("escapes-not-read") and ESCAPED.search(text):
                raise Refused(400, "The method must be a string.")
            if self.bug("trailing-comma-read") and text.rstrip().endswith(",}"):
                text = text.rstrip()[:-2] + "}"
            if self.bug("single-quotes-read") and text.startswith("{'"):
                text = text.replace("'", '"')
            if self.bug("second-text-ignored"):
                _, end = json.JSONDecoder().raw_decode(text)
                text = text[:end]
            body = schema.parse(text)
        except ValueError:
            raise Refused(400, "The body is not JSON.") from None
        if self.bug("batch-accepted") and isinstance(body, list) and body and isinstance(body[0], dict):
            body = body[0]
        if not isinstance(body, dict):
            raise Refused(404 if self.bug("scalar-body-404") else 400, "The body must be an object.")
        return body

    def _entity(self, path: str) -> str:
        if self.bug("traversal-resolved") and ".." in path:
            steps: list[str] = []
            for step in path.split("/"):
                if step == "..":
                    del steps[-1:]
                else:
                    steps.append(step)
            path = "/".join(steps)
        if self.bug("path-decoded"):
            path = urllib.parse.unquote(path).split("\0")[0]
        if self.bug("double-slash-merged"):
            while "//" in path:
                path = path.replace("//", "/")
        if (
            self.bug("trailing-slash-redirect")
            and path.endswith("/")
            and path[len(BASE) : -1] in self.entities
        ):
            raise Refused(301, "The endpoint is elsewhere.")
        entity = path.removeprefix(BASE)
        if not path.startswith(BASE) or entity not in self.entities:
            status = 400 if self.bug("unknown-endpoint-400") else 404
            raise Refused(status, "No such endpoint.")
        return entity

    def _function(self, entity: str, method: str) -> str:
        name = f"{entity}.{method}"
        if self.bug("function-missing") and name == "book.change":
            raise Refused(404, "No such function.")
        if self.bug("function-in-any-case"):
            name = {known.lower(): known for known in self.functions}.get(name.lower(), name)
        if self.bug("function-trimmed"):
            name = name.rstrip()
        if self.bug("snake-function-known"):
            head, *rest = method.split("_")
            name = f"{entity}.{head}" + "".join(part[:1].upper() + part[1:] for part in rest)
        if self.bug("dunder-callable") and method in ("__init__", "__class__", "__str__", "toString"):
            return "desk.hours"
        if self.bug("prototype-crash") and method in (
            "constructor",
            "__proto__",
            "toString",
            "hasOwnProperty",
        ):
            raise Refused(500, "Something went wrong.")
        if name not in self.functions:
            status = 400 if self.bug("unknown-function-400") else 404
            raise Refused(status, "No such function.")
        return name

    def _session(self, request: Request, query: str, body: dict[str, Any]) -> tuple[str | None, User | None]:
        """The token that was sent, and whose session it is."""
        tokens = request.values("token")
        if self.bug("token-header-case"):
            tokens = [value for key, value in request.headers if key == "Token"]
        if not tokens and self.bug("token-in-query"):
            tokens = [value for key, value in urllib.parse.parse_qsl(query) if key.lower() == "token"]
        if not tokens and self.bug("token-in-cookie"):
            for pair in ";".join(request.values("cookie")).split(";"):
                key, _, baked = pair.strip().partition("=")
                if key.lower() in ("token", "sessionid"):
                    tokens = [baked]
        if not tokens and self.bug("token-in-body"):
            tokens = [
                value for key in ("token", "Token", "sessionId") if isinstance(value := body.get(key), str)
            ]
        if not tokens:
            return None, None
        token = tokens[0] if len(tokens) == 1 else ""
        if self.bug("token-crash-outside-ascii") and not token.isascii():
            raise Refused(500, "Something went wrong.")
        if self.bug("token-length-crash") and len(token) > 1000:
            raise Refused(500, "Something went wrong.")
        session = self.sessions.get(token)
        if session is None and self.bug("token-by-prefix") and len(token) >= 16:
            found = [known for known in self.sessions if known[:16] == token[:16]]
            session = self.sessions[found[0]] if found else None
        if session is None and self.bug("token-in-any-case"):
            found = [known for known in self.sessions if known.lower() == token.lower()]
            session = self.sessions[found[0]] if found else None
        if session is None and self.bug("token-quote-is-anyone") and injected(token):
            session = Session(self.users["marian"], 0)
        if session is None:
            return token, None
        session.calls += 1
        if self.bug("session-tied-to-connection") and session.peer != request.peer:
            return token, None
        if self.bug("session-ends-after-20-calls") and session.calls > 20:
            return token, None
        return token, session.user

    def _admit(self, name: str, token: str | None, user: User | None, request: Request) -> None:
        auth = self.methods[name].get("x-auth", "session")
        if auth == "none":
            if self.bug("public-needs-session") and name == "desk.hours" and user is None:
                raise Refused(401, "Sign in first.")
            adopting = self.bug("token-adopted-by-login") and name == "session.open"
            if token is not None and user is None and not adopting:
                raise Refused(403 if self.bug("public-refuses-with-403") else 401, "The token is unknown.")
            return
        if user is None:
            if self.bug("one-function-open") and name == "loan.get" and token is None:
                return
            if self.bug("no-session-403-once") and name == "loan.list" and token is None:
                raise Refused(403, "This is not for you.")
            if self.bug("no-session-404-once") and name == "shelf.get" and token is None:
                raise Refused(404, "There is none.")
            if self.bug("no-session-empty-list") and name == "book.list" and token is None:
                return
            raise Refused(401, "Sign in first.")
        if self.bug("session-shut-out-of-one-endpoint") and name.startswith("shelf."):
            calls = self.sessions[token or ""].calls if token in self.sessions else 0
            if calls > 15:
                raise Refused(401, "Sign in first.")
        if auth != "session" and auth not in user.roles:
            if self.bug("role-unchecked-in-list") and name == "reader.list":
                return
            if self.bug("role-refusal-401"):
                raise Refused(401, "Sign in first.")
            raise Refused(403, "This is not for you.")
        if self.bug("role-refused-to-its-own") and name == "reader.get":
            raise Refused(403, "This is not for you.")

    def _page(self, name: str, body: dict[str, Any]) -> tuple[int, int | None]:
        start, length = body.get("pageStart", 0), body.get("pageLength", -1)
        if self.bug("page-length-needs-start") and "pageLength" in body and "pageStart" not in body:
            raise Refused(400, "pageLength needs pageStart.")
        if start is None:
            start = 0
        if self.bug("page-start-in-text") and isinstance(start, str) and start.isdecimal():
            start = int(start)
        if self.bug("page-start-true") and isinstance(start, bool):
            start = int(start)
        if self.bug("page-fraction-cut") and isinstance(start, float):
            start = int(start) if abs(start) < 2**31 else 0
        if self.bug("page-start-negative") and isinstance(start, int) and start < 0:
            start = 0
        if self.bug("page-start-huge-crash") and isinstance(start, int) and start >= 2**63:
            raise Refused(500, "Something went wrong.")
        if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < 2**31:
            raise Refused(400, "pageStart is not a row.")
        if "pageLength" not in body:
            return start, None
        if self.bug("page-length-zero-is-all") and length == 0 and not isinstance(length, bool):
            return start, None
        if self.bug("page-length-negative-is-all") and isinstance(length, int) and length < 0:
            return start, None
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise Refused(400, "pageLength is not a number of rows.")
        return start, length

    def _valid(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        data = body.get("data")
        if self.bug("null-data-refused") and data is None and "data" in body:
            raise Refused(400, "The data must be an object.")
        if self.bug("missing-data-refused") and "data" not in body:
            raise Refused(400, "The data must be an object.")
        if self.bug("empty-array-as-data") and data in ([], "") and not isinstance(data, dict):
            data = {}
        if self.bug("number-as-data") and schema.is_number(data):
            data = {}
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise Refused(400, "The data must be an object.")
        spec = self.specs[name]
        obeyed = self._extra(name, body)
        data = {key: value for key, value in data.items() if key not in obeyed}
        if self.bug("object-as-pass-phrase") and isinstance(data.get("passPhrase"), dict):
            known = data.get("userName")
            data["passPhrase"] = self.phrases.get(known, "?") if isinstance(known, str) else "?"
        if self.bug("type-crash") and name == "shelf.create" and isinstance(data.get("label"), dict):
            raise Refused(500, "Something went wrong.")
        if self.bug("refused-change-half-done") and name == "book.change":
            self._half(data)
        if self.bug("utf-16-lengths") and len(str(data.get("title", "")).encode("utf-16", "ignore")) > 402:
            raise Refused(400, "The data is not valid.")
        if self.bug("many-members-slow") and len(data) > 1000:
            time.sleep(4)
        if (broken := schema.violation(data, spec, self.catalog)) is not None:
            if broken == "additionalProperties" and self.bug("undeclared-crash"):
                raise Refused(500, "Something went wrong.")
            if broken == "required" and self.bug("missing-argument-500"):
                raise Refused(500, "Something went wrong.")
            if self.bug("pass-phrase-in-error") and name == "session.open":
                raise Refused(400, f"The data is not valid: {json.dumps(data)}")
            raise Refused(400, "The data is not valid.")
        if not schema.storable(data):
            if self.bug("text-cut-at-nul"):
                data = {
                    key: value.split("\0")[0] if isinstance(value, str) else value
                    for key, value in data.items()
                }
            elif self.bug("surrogate-crash"):
                raise Refused(500, "Something went wrong.")
            if not schema.storable(data):
                raise Refused(400, "The data holds characters that cannot be kept.")
        settled: dict[str, Any] = schema.settle(data, spec, self.catalog)
        for key, value in settled.items():
            if isinstance(value, str) and name.split(".")[0] in ("book", "shelf"):
                settled[key] = self._text(value)
        if self.bug("large-integer-rounded") and isinstance(settled.get("floor"), int):
            with contextlib.suppress(OverflowError):
                settled["floor"] = int(float(settled["floor"]))
        return settled

    def _extra(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The undeclared members of data that a defect obeys; none without one."""
        names: tuple[str, ...] = ()
        if self.bug("roles-through-data") and name == "reader.change":
            names = ("role", "roles")
        if self.bug("owner-through-data") and name in ("book.create", "shelf.create"):
            names = ("ownerId", "userId", "owner")
        data = body.get("data")
        return {key: data[key] for key in names if key in data} if isinstance(data, dict) else {}

    def _half(self, data: dict[str, Any]) -> None:
        """Write a valid title although the rest may be refused."""
        ident, title = data.get("bookId"), data.get("title")
        if (
            isinstance(ident, str)
            and ident in self.books
            and isinstance(title, str)
            and 0 < len(title) <= 200
        ):
            self.books[ident].values["title"] = title

    def _text(self, text: str) -> str:
        if self.bug("text-normalised"):
            return unicodedata.normalize("NFC", text)
        if self.bug("text-trimmed"):
            return text.strip() or text
        if self.bug("text-cut-at-20000"):
            return text[:20000]
        if self.bug("astral-lost"):
            return "".join(character if ord(character) < 65536 else "?" for character in text)
        if self.bug("text-html-escaped"):
            return text.replace("&", "&amp;").replace("<", "&lt;")
        return text

    def _paged(self, name: str, result: Any, start: int, length: int | None, data: dict[str, Any]) -> Any:
        """Cut the rows of a list to the page, and put them where the catalogue says."""
        pointer = self.methods[name].get("x-rows")
        if pointer is None:
            return result
        rows: list[Any] = result
        total = len(rows)
        filtered = bool(data)
        page = rows[start:] if length is None else rows[start : start + length]
        if self.bug("page-length-plus-one") and length is not None and name == "book.list":
            page = rows[start : start + length + 1]
        if self.bug("page-start-is-page-number") and length is not None:
            page = rows[start * length : (start + 1) * length]
        if self.bug("page-border-twice") and length is not None and length > 1 and start:
            page = rows[start - 1 : start - 1 + length]
        if self.bug("last-page-short") and length is not None and 0 < len(page) < length and start:
            page = page[:-1]
        if self.bug("page-start-ignored-with-filter") and filtered and length is not None:
            page = rows[:length]
        if self.bug("page-start-alone-ignored") and length is None:
            page = rows
        if self.bug("limit-25") and length is None:
            page = page[:25]
        if self.bug("limit-100") and length is None:
            page = page[:100]
        if self.bug("page-length-capped-at-20") and length is not None:
            page = page[:20]
        if self.bug("past-end-404") and start >= total and start:
            raise Refused(404, "There is no such page.")
        if self.bug("past-end-is-last-page") and start >= total and start and rows:
            page = rows[-(length or 1) :]
        if self.bug("order-moves") and name == "shelf.list" and length is None and len(page) > 1:
            self.rotation += 1
            turn = self.rotation % len(page)
            page = page[turn:] + page[:turn]
        if self.bug("order-random-when-paged") and length is not None and len(page) > 1:
            random.shuffle(page)
        if pointer == "":
            return page
        if pointer == "/result/items":
            if self.bug("empty-list-is-array") and not page:
                return []
            return {"result": {"items": page, "total": total}}
        return {pointer[1:]: page}

    # -- sessions -----------------------------------------------------------------------------------

    def new_session(self, user: User, request: Request) -> dict[str, Any]:
        """Open a session, and the data that says so."""
        token = secrets.token_urlsafe(24)
        if self.bug("session-sequential"):
            self.counter += 1
            token = f"visit-{self.counter:012d}"
        if self.bug("session-from-clock"):
            self.counter += 1
            token = f"{time.time_ns() // 1000:016x}{self.counter:04x}"
        if self.bug("session-32-bits"):
            token = "library-visit-" + secrets.token_hex(4) + "-0000000000000000"
        if self.bug("session-of-the-user"):
            for known, session in self.sessions.items():
                if session.user is user:
                    token = known
        if self.bug("token-adopted-by-login") and request.values("token"):
            token = request.values("token")[0] or token
        if self.bug("one-session-per-user"):
            for known in [known for known, session in self.sessions.items() if session.user is user]:
                del self.sessions[known]
        self.sessions[token] = Session(user, request.peer)
        result: dict[str, Any] = {"ticket": {"id": token, "since": now()}}
        if self.bug("session-not-text"):
            result["ticket"]["id"] = ""
        return result

    def do_session_open(self, call: Call) -> Any:
        """Sign in with name and pass phrase."""
        name, phrase = call.data["userName"], call.data["passPhrase"]
        user = self.users.get(name)
        if user is None:
            if self.bug("unknown-user-told"):
                raise Refused(403, "There is no such reader.")
            if self.bug("unknown-user-401"):
                raise Refused(401, "The name or the pass phrase is wrong.")
        known = self.phrases.get(name, "")
        right = user is not None and hmac.compare_digest(digest(phrase), user.digest)
        if user is not None:
            if self.bug("pass-phrase-in-any-case"):
                right = right or phrase.lower() == known.lower()
            if self.bug("pass-phrase-first-8"):
                right = right or phrase[:8] == known[:8]
            if self.bug("pass-phrase-prefix"):
                right = right or known.startswith(phrase)
            if self.bug("pass-phrase-sql"):
                right = right or injected(phrase)
        if user is None or not right:
            raise Refused(403, "The name or the pass phrase is wrong.")
        result = self.new_session(user, call.request)
        if self.bug("pass-phrase-echoed"):
            result["ticket"]["credentials"] = {"userName": name, "passPhrase": phrase}
        return result

    def do_session_openKey(self, call: Call) -> Any:  # noqa: N802
        """Sign in with a signature."""
        parts = {key: call.data[key] for key in KEY_PARTS if key in call.data}
        if not parts and not self.bug("key-login-headers-dead"):
            for key in KEY_PARTS:
                sent = call.request.values("x-coursio-" + key)
                if len(sent) == 1:
                    parts[key] = sent[0]
        if len(parts) != len(KEY_PARTS) or not all(parts.values()):
            if not (self.bug("key-login-unsigned") and parts.get("apikey") in KEYS):
                raise Refused(400, "A value of the signature is missing.")
            return self.new_session(self.users["marian"], call.request)
        private, name = KEYS.get(parts["apikey"], (secrets.token_hex(8), ""))
        signed = (parts["apikey"] + parts["time"] + parts["random"]).encode("utf-8", "replace")
        right = hmac.new(private.encode(), signed, hashlib.sha1).hexdigest()
        given = parts["hmac"].encode("utf-8", "replace")
        good = hmac.compare_digest(right.encode(), given)
        if self.bug("key-login-first-half"):
            good = right[:20].encode() == given[:20]
        if not good or not name:
            if self.bug("key-login-wrong-500"):
                raise Refused(500, "Something went wrong.")
            raise Refused(403, "The signature is wrong.")
        return self.new_session(self.users[name], call.request)

    def do_session_close(self, call: Call) -> Any:
        """Sign out."""
        if self.bug("logout-does-nothing"):
            return None
        if self.bug("logout-ends-all"):
            for known in [known for known, session in self.sessions.items() if session.user is call.user]:
                del self.sessions[known]
        if self.bug("logout-only-here"):
            self.sessions[call.token or ""].calls = -1000
            return None
        self.sessions.pop(call.token or "", None)
        return None

    def _reader(self, user: User) -> dict[str, Any]:
        return {"handle": user.name, "nickname": user.nickname, "roles": sorted(user.roles)}

    def do_session_whoAmI(self, call: Call) -> Any:  # noqa: N802
        """Whose session it is."""
        if self.bug("logout-only-here") and self.sessions[call.token or ""].calls < 0:
            raise Refused(401, "Sign in first.")
        reader = self._reader(call.caller)
        if self.bug("other-sessions-shown"):
            others = [token for token, session in self.sessions.items() if session.user is not call.user]
            reader["visitors"] = others[-20:]
        return {"reader": reader}

    # -- the desk and the readers -------------------------------------------------------------------

    def do_desk_hours(self, _call: Call) -> Any:
        """When the library is open."""
        return {"hours": {"mon_fri": "9-18", "Saturday": "10-14", "24 dec": "-"}, "closedToday": False}

    def do_desk_news(self, _call: Call) -> Any:
        """What is new."""
        return [{"newsId": number, "headline": f"Item number {number}"} for number in range(30, 18, -1)]

    def do_reader_list(self, _call: Call) -> Any:
        """All readers."""
        return [{"handle": user.name, "nickname": user.nickname} for user in self.users.values()]

    def do_reader_get(self, call: Call) -> Any:
        """One reader."""
        user = self.users.get(call.data["handle"])
        if user is None:
            raise Refused(403, "There is no such reader.")
        return {"reader": self._reader(user)}

    def do_reader_change(self, call: Call) -> Any:
        """Choose a nickname."""
        asked = call.extra.get("roles", call.extra.get("role"))
        for role in asked if isinstance(asked, list) else [asked]:
            if isinstance(role, str):
                call.caller.roles.add(role)
        call.caller.nickname = call.data["nickname"]
        return {"reader": self._reader(call.caller)}

    # -- what users enter ---------------------------------------------------------------------------

    def _owner(self, call: Call) -> User:
        for name in call.extra.values():
            if isinstance(name, str) and name in self.users:
                return self.users[name]
        return call.caller

    def _own(self, call: Call, kind: str, key: Any) -> Item:
        """The caller's object, or the refusal."""
        stores: dict[str, dict[Any, Item]] = {
            "book": self.books,
            "shelf": self.shelves,
            "loan": self.loans,
            "remark": self.remarks,
        }
        store = stores[kind]
        item = store.get(key)
        verb = call.name.split(".")[1]
        if item is None or item.gone:
            if verb == "destroy" and f"{kind}:{key}" in self.gone:
                raise Refused(403, f"The {kind} is gone.")
            if self.bug("unknown-identifier-crash") and kind == "shelf" and key >= 2**31:
                raise Refused(500, "Something went wrong.")
            status = {"book": 400, "remark": 404}.get(kind, 403)
            raise Refused(status, f"There is no such {kind}.")
        if item.owner is not call.user:
            if self.bug("others-book-readable") and call.name == "book.get":
                return item
            if self.bug("others-loan-destroyable") and call.name == "loan.destroy":
                return item
            if self.bug("others-shelf-changed-unseen") and call.name == "shelf.change":
                item.values.update({key: value for key, value in call.data.items() if key != "shelfId"})
            if self.bug("others-shelf-400") and verb == "get" and kind == "shelf":
                raise Refused(400, "There is no such shelf.")
            librarian = call.user is not None and "librarian" in call.user.roles
            if self.bug("librarian-destroys-books") and call.name == "book.destroy" and librarian:
                return item
            if self.bug("one-function-open") and call.user is None:
                return item
            raise Refused(403, f"The {kind} is not yours.")
        return item

    def _refer(self, call: Call, shelf: Any) -> None:
        if shelf is not None:
            self._own(Call("shelf.get", {}, call.user, None, call.request), "shelf", shelf)

    def _mine(self, call: Call, store: dict[Any, Item]) -> list[dict[str, Any]]:
        return [item.values for item in list(store.values()) if item.owner is call.user]

    def do_book_create(self, call: Call) -> Any:
        """Enter a book."""
        self._refer(call, call.data.get("shelfId"))
        owner = self._owner(call)
        ident = "b-" + secrets.token_hex(6)
        values: dict[str, Any] = {"bookId": ident}
        for name, declared in self.specs["book.create"]["properties"].items():
            values[name] = copy.deepcopy(call.data.get(name, declared.get("default")))
        values["copies"] = int(values["copies"])
        if self.bug("book-values-lost-on-create") and call.data.get("note"):
            values["tags"] = []
        values.update(revision=1, changedAt=now())
        if self.bug("concurrent-creates-lost"):
            snapshot = dict(self.books)
            time.sleep(0.004)
            snapshot[ident] = Item(owner, values)
            self.books = snapshot
        else:
            self.books[ident] = Item(owner, values)
        return {"book": copy.deepcopy(values)}

    def do_book_get(self, call: Call) -> Any:
        """One book."""
        ident = call.data["bookId"]
        if ident not in self.books:
            if self.bug("unknown-book-is-null"):
                return {"book": None}
            if self.bug("destroyed-book-readable") and f"book:{ident}" in self.gone:
                return {"book": copy.deepcopy(self.attic[ident])}
        item = self._own(call, "book", ident)
        if self.bug("reading-changes"):
            item.values["copies"] = min(999, item.values["copies"] + 1)
        book = copy.deepcopy(item.values)
        if self.bug("copies-as-text"):
            book["copies"] = str(book["copies"])
        if self.bug("null-member-left-out") and book["keeper"] is None:
            del book["keeper"]
        if self.bug("change-cached") and item.changes > 1:
            book["note"] = self.attic.get(ident, book)["note"]
        return {"book": book}

    def do_book_change(self, call: Call) -> Any:
        """Change what is given of a book."""
        ident = call.data["bookId"]
        item = self._own(call, "book", ident)
        self._refer(call, call.data.get("shelfId"))
        given = {name: copy.deepcopy(value) for name, value in call.data.items() if name != "bookId"}
        item.changes += 1
        if self.bug("change-cached"):
            self.attic.setdefault(ident, copy.deepcopy(item.values))
        if self.bug("change-touches-second") and "title" in given and "copies" not in given:
            item.values["copies"] = 1
        if self.bug("change-resets-missing") and "price" not in given:
            item.values["price"] = 0
        if self.bug("change-to-null-ignored"):
            given = {name: value for name, value in given.items() if value is not None}
        if self.bug("change-to-empty-ignored"):
            given = {name: value for name, value in given.items() if value not in ("", 0, [])}
        if self.bug("change-labels-merged") and "labels" in given:
            given["labels"] = {**item.values["labels"], **given["labels"]}
        if not self.bug("change-says-but-keeps-not") or "tags" not in given:
            item.values.update(given)
            given = {}
        item.values.update(revision=item.values["revision"] + 1, changedAt=now())
        return {"book": copy.deepcopy({**item.values, **given})}

    def do_book_destroy(self, call: Call) -> Any:
        """Remove a book."""
        ident = call.data["bookId"]
        if self.bug("destroy-again-succeeds") and f"book:{ident}" in self.gone:
            return {"gone": True}
        item = self._own(call, "book", ident)
        del self.books[ident]
        self.gone.add(f"book:{ident}")
        for number, remark in list(self.remarks.items()):
            if remark.values["bookId"] == ident:
                del self.remarks[number]
        if self.bug("destroyed-book-readable"):
            self.attic[ident] = item.values
        if self.bug("destroy-takes-another"):
            mine = [key for key, other in self.books.items() if other.owner is call.user]
            if len(mine) > 2:
                del self.books[mine[-1]]
        return {"gone": True}

    def do_book_list(self, call: Call) -> Any:
        """One's own books."""
        books = self._mine(call, self.books)
        part, language = call.data.get("titleContains"), call.data.get("language")
        if self.bug("filter-shows-others") and part is not None:
            books = [item.values for item in list(self.books.values())]
        if self.bug("paging-shows-others") and call.paged:
            books = [item.values for item in list(self.books.values())]
        if self.bug("second-book-not-listed"):
            books = books[:1] + books[2:]
        if part is not None and not (self.bug("filter-sql") and (injected(part) or part == "%")):
            books = [book for book in books if part in book["title"]]
        if language is not None:
            books = [book for book in books if book["language"] == language]
        return [{key: book[key] for key in ("bookId", "title", "language")} for book in books]

    def do_shelf_create(self, call: Call) -> Any:
        """Put up a shelf under the lowest free number."""
        owner = self._owner(call)
        number = 1
        while number in self.shelves:
            number += 1
        if self.bug("concurrent-creates-one-id"):
            time.sleep(0.004)
        values = {"shelfId": number, "label": "", "floor": 0, "open": True, "fee": 0}
        values.update({name: value for name, value in call.data.items() if value is not None})
        if isinstance(values["floor"], str):
            values["floor"] = int(values["floor"])
        if self.bug("false-becomes-default") and not values["open"]:
            values["open"] = True
        self.shelves[number] = Item(owner, values)
        return dict(values)

    def do_shelf_get(self, call: Call) -> Any:
        """One shelf."""
        values = dict(self._own(call, "shelf", call.data["shelfId"]).values)
        if self.bug("pascal-member"):
            values["ShelfCode"] = f"S{values['shelfId']}"
        return values

    def do_shelf_change(self, call: Call) -> Any:
        """Change what is given of a shelf."""
        item = self._own(call, "shelf", call.data["shelfId"])
        given = dict(call.data)
        if "shelf_label" in given:
            given["label"] = given.pop("shelf_label")
        item.changes += 1
        if self.bug("third-change-lost") and item.changes >= 3:
            return {**item.values, **given}
        item.values.update(given)
        return dict(item.values)

    def do_shelf_relabel(self, call: Call) -> Any:
        """Give a shelf another label."""
        item = self._own(call, "shelf", call.data["shelfId"])
        if not self.bug("relabel-does-nothing"):
            item.values["label"] = call.data["label"]
        return {**item.values, "label": call.data["label"]}

    def do_shelf_destroy(self, call: Call) -> Any:
        """Take a shelf down."""
        number = call.data["shelfId"]
        self._own(call, "shelf", number)
        if self.bug("destroyed-shelf-listed"):
            self.shelves[number].gone = True
            return {"gone": True}
        del self.shelves[number]
        self.gone.add(f"shelf:{number}")
        return {"gone": True}

    def do_shelf_list(self, call: Call) -> Any:
        """One's own shelves."""
        shelves = [self.shelves[number] for number in sorted(self.shelves)]
        mine = [item.values for item in shelves if item.owner is call.user or self.bug("list-shows-others")]
        if "floor" in call.data:
            mine = [values for values in mine if values["floor"] == call.data["floor"]]
        return [{"shelfId": values["shelfId"], "label": values["label"]} for values in mine]

    def do_loan_create(self, call: Call) -> Any:
        """Lend books."""
        for ident in call.data["bookIds"]:
            self._own(Call("book.get", {}, call.user, None, call.request), "book", ident)
        until = call.data.get("untilDay")
        if until is not None and until < call.data["fromDay"]:
            raise Refused(400, "The last day is before the first.")
        ident = secrets.token_hex(8)
        self.loans[ident] = Item(
            call.caller,
            {
                "loanId": ident,
                "bookIds": call.data["bookIds"],
                "fromDay": call.data["fromDay"],
                "untilDay": until,
                "remark": call.data.get("remark", ""),
                "meta": {"createdAt": now()},
            },
        )
        return {"loanId": ident}

    def do_loan_get(self, call: Call) -> Any:
        """One loan."""
        loan = copy.deepcopy(self._own(call, "loan", call.data["loanId"]).values)
        if self.bug("snake-member-nested"):
            loan["meta"]["entered_by"] = "desk"
        return {"loan": loan}

    def do_loan_destroy(self, call: Call) -> Any:
        """Forget a loan."""
        ident = call.data["loanId"]
        self._own(call, "loan", ident)
        del self.loans[ident]
        self.gone.add(f"loan:{ident}")
        return {"gone": True}

    def do_loan_list(self, call: Call) -> Any:
        """The identifiers of one's own loans."""
        return [values["loanId"] for values in self._mine(call, self.loans)]

    def _compared(self, call: Call) -> None:
        """See that the books which a remark compares are the caller's."""
        for place in call.data.get("compared", []):
            self._own(Call("book.get", {}, call.user, None, call.request), "book", place["bookId"])

    def do_remark_create(self, call: Call) -> Any:
        """Write a remark on a book."""
        self._own(Call("book.get", {}, call.user, None, call.request), "book", call.data["bookId"])
        self._compared(call)
        self.last_remark += 1
        values: dict[str, Any] = {"remarkNo": self.last_remark, "bookId": call.data["bookId"]}
        for name in ("text", "compared", "pages", "glossary"):
            default = self.specs["remark.create"]["properties"][name]["default"]
            values[name] = copy.deepcopy(call.data.get(name, default))
        self.remarks[self.last_remark] = Item(call.caller, values)
        return copy.deepcopy(values)

    def do_remark_change(self, call: Call) -> Any:
        """Change what is given of a remark."""
        item = self._own(call, "remark", call.data["remarkNo"])
        self._compared(call)
        given = {name: copy.deepcopy(value) for name, value in call.data.items() if name != "remarkNo"}
        if self.bug("remark-change-lost"):
            return {**copy.deepcopy(item.values), **given}
        item.values.update(given)
        return copy.deepcopy(item.values)

    def do_remark_destroy(self, call: Call) -> Any:
        """Wipe a remark out."""
        number = call.data["remarkNo"]
        self._own(call, "remark", number)
        del self.remarks[number]
        self.gone.add(f"remark:{number}")
        return {"gone": True}

    def do_remark_list(self, call: Call) -> Any:
        """The remarks on a book."""
        self._own(Call("book.get", {}, call.user, None, call.request), "book", call.data["bookId"])
        mine = self._mine(call, self.remarks)
        return [copy.deepcopy(values) for values in mine if values["bookId"] == call.data["bookId"]]


# -- the wire -----------------------------------------------------------------------------------------


class Closed(Exception):  # noqa: N818
    """The client is gone, or has nothing more to ask."""


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 read strictly; what is not well-formed is answered once, and the connection closed."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer requests until the connection is to be closed."""
        self.close_connection = False
        self.only_head = False
        with contextlib.suppress(OSError, Closed):
            while not self.close_connection:
                self.handle_one_request()

    def handle_one_request(self) -> None:
        """Read one request and answer it."""
        library = self.server.library
        self.only_head = False
        self.started = False
        self.request_version = "HTTP/1.1"
        try:
            request = self._read()
        except Refused as refused:
            self.close_connection = True
            self._send(library.error(refused.status, refused.message, None))
            self._linger()
            return
        except TimeoutError:
            self.close_connection = True
            if self.started:
                self._send(library.error(408, "The request came too slowly.", None))
            return
        try:
            reply = library.answer(request)
        except Dropped:
            self.close_connection = True
            return
        self._send(reply)

    def _line(self, what: int) -> bytes:
        line = self.rfile.readline(HEAD_LIMIT + 1)
        if not line:
            if self.started:
                raise Refused(400, "The request ends too early.")
            raise Closed
        self.started = True
        if len(line) > HEAD_LIMIT:
            raise Refused(what, "The head is too long.")
        if not line.endswith(b"\r\n"):
            raise Refused(400, "A line does not end with CR LF.")
        return line[:-2]

    def _read(self) -> Request:
        self.connection.settimeout(IDLE_SECONDS)
        first = self._line(414)
        for _ in range(3):
            if first == b"":
                self.started = False
                first = self._line(414)
        self.connection.settimeout(STALL_SECONDS)
        verb, target = self._request_line(first)
        headers = self._headers()
        request = Request(verb, target, headers, b"", id(self.connection))
        self._framing(request)
        return request

    def _request_line(self, line: bytes) -> tuple[str, str]:
        parts = line.decode("latin-1").split(" ")
        if len(parts) != 3 or not parts[0] or not set(parts[0]) <= TOKEN_CHARACTERS:
            raise Refused(400, "The request line is malformed.")
        verb, target, version = parts
        self.only_head = verb == "HEAD"
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            known = version.startswith("HTTP/") and version[5:].replace(".", "", 1).isdecimal()
            raise Refused(505 if known else 400, "The version of HTTP is not known.")
        self.request_version = version
        if not target or any(character < "!" for character in target):
            raise Refused(400, "The request line is malformed.")
        if target.lower().startswith(("http://", "https://")):
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        return verb, target

    def _headers(self) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        size = 0
        while line := self._line(431):
            size += len(line)
            if size > HEAD_LIMIT:
                raise Refused(431, "The head is too long.")
            name, colon, value = line.decode("latin-1").partition(":")
            value = value.strip(" \t")
            if not colon or not name or not set(name) <= TOKEN_CHARACTERS:
                raise Refused(400, "A header is malformed.")
            if any((character < " " and character != "\t") or character == "\x7f" for character in value):
                raise Refused(400, "A header is malformed.")
            headers.append((name, value))
        return headers

    def _framing(self, request: Request) -> None:
        """Read the body, and see whether the connection goes on."""
        library = self.server.library
        hosts = request.values("host")
        if len(hosts) > 1 or (not hosts and self.request_version == "HTTP/1.1"):
            raise Refused(400, "There must be one Host.")
        lengths = request.values("content-length")
        codings = request.values("transfer-encoding")
        if codings and lengths and not library.bug("both-lengths-read"):
            raise Refused(400, "The body has two lengths.")
        if codings and self.request_version == "HTTP/1.0":
            raise Refused(400, "HTTP/1.0 has no transfer codings.")
        if codings and ",".join(codings).strip().lower() != "chunked":
            raise Refused(501, "The transfer coding is not known.")
        if lengths and library.bug("first-length-taken"):
            lengths = lengths[:1]
        if len(set(lengths)) > 1 or (lengths and not (lengths[0].isascii() and lengths[0].isdecimal())):
            raise Refused(400, "The length is malformed.")
        if len(lengths) > 1:
            raise Refused(400, "The body has two lengths.")
        length = int(lengths[0][:20]) if lengths else 0
        if length > BODY_LIMIT:
            raise Refused(413, "The body is too large.")
        expected = ",".join(request.values("expect")).strip().lower()
        if expected and expected != "100-continue":
            raise Refused(417, "The expectation is not known.")
        if expected and self.request_version == "HTTP/1.1" and (codings or length):
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if codings and library.bug("chunked-read-as-empty"):
            self._chunks()
        elif codings:
            request.body = self._chunks()
        elif length:
            request.body = self.rfile.read(length)
            if len(request.body) < length:
                raise Refused(400, "The body ends too early.")
        connection = ",".join(request.values("connection")).lower()
        options = {option.strip() for option in connection.split(",")}
        if self.request_version == "HTTP/1.0":
            self.close_connection = "keep-alive" not in options
        else:
            self.close_connection = "close" in options

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            size_text = self._line(400).split(b";")[0].strip(b" \t")
            if not size_text or len(size_text) > 16 or not set(size_text) <= set(b"0123456789abcdefABCDEF"):
                raise Refused(400, "A chunk is malformed.")
            size = int(size_text, 16)
            if len(body) + size > BODY_LIMIT:
                raise Refused(413, "The body is too large.")
            if size == 0:
                break
            body += self.rfile.read(size)
            if self._line(400) != b"":
                raise Refused(400, "A chunk is malformed.")
        self._headers()
        return bytes(body)

    def _send(self, reply: Reply) -> None:
        head = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Other')}"]
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        head += [f"Content-Length: {len(reply.body)}", f"Date: {self.date_time_string()}"]
        if self.close_connection:
            head.append("Connection: close")
        elif self.request_version == "HTTP/1.0":
            head.append("Connection: keep-alive")
        if reply.status == 301:
            head.append("Location: /")
        body = b"" if self.only_head else reply.body
        self.connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)

    def _linger(self) -> None:
        """Let the client read the refusal before the connection goes."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(0.5)
        until = time.monotonic() + 5
        while time.monotonic() < until and self.connection.recv(65536):
            pass


class Answering(Protocol):
    """What the reader of HTTP asks of a service."""

    def bug(self, *names: str) -> bool:
        """Return whether the service has one of these defects."""

    def answer(self, request: Request) -> Reply:
        """Answer a request."""

    def error(self, status: int, message: str, name: str | None) -> Reply:
        """Return a refusal; `name` is the function that was called, where it is known."""


class Server(ThreadingHTTPServer):
    """The listening socket."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, port: int, library: Answering, handler: type[Handler] = Handler) -> None:
        self.library = library
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        """Bind, without asking for the host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, for whoever started the server."""
        print(f"error while answering {client_address}: {sys.exc_info()[1]!r}", file=sys.stderr)


def prepared(place: Path, port: int = 0, defect: str | None = None) -> tuple[Server, launch.Ready]:
    """Return a library that listens, and where it is, with its profile and its catalogue."""
    library = Library(defect)
    server = Server(port, library)
    url = f"http://127.0.0.1:{server.server_port}{BASE}"
    catalog, profile = place / "library.openrpc.json", place / "conform.toml"
    catalog.write_text(json.dumps(library.catalog, indent=1), encoding="utf-8")
    profile.write_text(PROFILE.format(url=url, catalog=catalog.name), encoding="utf-8")
    return server, launch.Ready(url, profile, catalog)


@contextlib.contextmanager
def serving(place: Path, defect: str | None) -> Iterator[launch.Ready]:
    """Serve in a thread: it saves the start of a process, which for hundreds of defects is much of the time."""
    server, ready = prepared(place, defect=defect)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield ready
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Serve until a signal ends it."""
    parser = launch.options("A lending library that keeps the protocol, or has one known defect.")
    parser.add_argument("--defect", choices=sorted(DEFECTS), default=None)
    arguments = parser.parse_args()
    server, ready = prepared(launch.folder(arguments.dir), arguments.port, arguments.defect)
    launch.end_with(server.shutdown, parent=arguments.exit_with_parent)
    launch.ready(*ready)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
