"""The notes service on the standard library, with the answers that stacks are known for.

MEND=json,login,… mends one defect for each word. It stands for Express where that is not installed: its error pages are
HTML, and it knows neither the envelope nor the types of its arguments when something is wrong.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

MENDED = {word for word in os.environ.get("MEND", "").split(",") if word}
MAX_BODY_BYTES = 3_000_000

USERS: list[dict[str, Any]] = [
    {"userId": 1, "email": "ann@example.com", "password": "ann-Secret-1", "roles": ["user"]},
    {"userId": 2, "email": "bo@example.com", "password": "bo-Secret-2", "roles": ["user"]},
    {"userId": 3, "email": "root@example.com", "password": "root-Secret-3", "roles": ["user", "admin"]},
]
sessions: dict[str, dict[str, Any]] = {}
notes: dict[int, dict[str, Any]] = {}
last_note = [0]

DEFAULTS: dict[str, Any] = {"title": None, "text": "", "priority": 3, "pinned": False, "tags": []}

#: What each argument must be. Nothing asks unless `types` is mended.
CHECKS: dict[str, Callable[[Any], bool]] = {
    "title": lambda value: isinstance(value, str) and 1 <= len(value) <= 100,
    "text": lambda value: isinstance(value, str) and len(value) <= 2000,
    "priority": lambda value: type(value) is int and 1 <= value <= 5,
    "pinned": lambda value: isinstance(value, bool),
    "tags": lambda value: (
        isinstance(value, list)
        and len(value) <= 10
        and all(isinstance(each, str) and 1 <= len(each) <= 30 for each in value)
    ),
    "noteId": lambda value: type(value) is int and value >= 1,
    "query": lambda value: isinstance(value, str) and len(value) <= 100,
    "identity": lambda value: isinstance(value, str) and value != "",
    "credential": lambda value: isinstance(value, str) and value != "",
}
NEEDED = {
    "auth.login": ("identity", "credential"),
    "note.create": ("title",),
    "note.read": ("noteId",),
    "note.update": ("noteId",),
    "note.delete": ("noteId",),
}
TAKEN = {
    "auth.login": ("identity", "credential"),
    "note.create": tuple(DEFAULTS),
    "note.update": ("noteId", *DEFAULTS),
    "note.read": ("noteId",),
    "note.delete": ("noteId",),
    "note.find": ("query",),
}


class RefusalError(Exception):
    """An error that is answered in the envelope."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class InvalidJsonError(Exception):
    """The body is not JSON."""


class RouteError(Exception):
    """There is no such route."""


def _parse(raw: bytes) -> Any:
    def refuse(word: str) -> Any:
        raise ValueError(word)

    try:
        return json.loads(raw.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidJsonError from error


def _user(user: dict[str, Any]) -> dict[str, Any]:
    return {name: user[name] for name in ("userId", "email", "roles")}


def _paged(call: dict[str, Any], rows: list[Any]) -> list[Any]:
    start, length = call.get("pageStart"), call.get("pageLength")
    if "paging" in MENDED:
        for value in (start, length):
            if value is not None and (type(value) is not int or value < 0):
                raise RefusalError(400, "The page is not valid")
    elif start is not None and not isinstance(start, int):
        start = 0
    rows = rows[(start or 0) :]
    return rows if not isinstance(length, int) else rows[:length]


def _note(data: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    key = data.get("noteId")
    if "missing" in MENDED and key not in notes:
        raise RefusalError(404, "No such note")
    found = notes[int(key)]  # type: ignore[arg-type]
    if found["ownerId"] != user["userId"]:
        raise RefusalError(404, "No such note")
    return found


def _shown(note: dict[str, Any]) -> dict[str, Any]:
    return {name: note[name] for name in ("noteId", *DEFAULTS)}


def _login(data: dict[str, Any]) -> dict[str, Any]:
    given = (data.get("identity"), data.get("credential"))
    found = [each for each in USERS if (each["email"], each["password"]) == given]
    if not found and "login" in MENDED:
        raise RefusalError(401, "Wrong e-mail or password")
    session = secrets.token_hex(24)
    sessions[session] = found[0]
    return {"sessionId": session}


def _check(function: str, data: dict[str, Any]) -> None:
    for name in NEEDED.get(function, ()):
        if name not in data:
            raise RefusalError(400, f"{name} is missing")
    for name in TAKEN.get(function, ()):
        if name in data and not CHECKS[name](data[name]):
            raise RefusalError(400, f"{name} is not valid")


def _run(function: str, call: dict[str, Any], data: dict[str, Any], token: str | None) -> Any:
    if function == "auth.login":
        return _login(data)
    user = sessions[token or ""]
    if function == "auth.logout":
        del sessions[token or ""]
        return {}
    if function == "auth.status":
        return {"user": _user(user)}
    if function == "user.find":
        if "admin" not in user["roles"]:
            raise RefusalError(403, "Admins only")
        return {"users": _paged(call, [_user(each) for each in USERS])}
    if function == "note.create":
        last_note[0] += 1
        made = {name: data.get(name, default) for name, default in DEFAULTS.items()}
        notes[last_note[0]] = {"noteId": last_note[0], "ownerId": user["userId"], **made}
        return {"noteId": last_note[0]}
    if function == "note.find":
        rows = [
            _shown(each)
            for each in notes.values()
            if each["ownerId"] == user["userId"] and str(data.get("query", "")) in str(each["title"])
        ]
        return {"notes": _paged(call, rows)}
    found = _note(data, user)
    if function == "note.delete":
        del notes[found["noteId"]]
        return {}
    if function == "note.update":
        found.update({name: data[name] for name in DEFAULTS if name in data})
    return {"note": _shown(found)}


FUNCTIONS = {"auth.logout", "auth.status", "user.find", "note.find", *NEEDED}


def answer(path: str, raw: bytes, token: str | None) -> Any:
    """Return the data of a call."""
    entity = path.removeprefix("/api/")
    if not path.startswith("/api/") or entity not in ("auth", "user", "note"):
        raise RouteError
    call = _parse(raw)
    if not isinstance(call, dict) or not isinstance(call.get("method"), str):
        raise RefusalError(400, "The body is not a call")
    function = f"{entity}.{call['method']}"
    if function not in FUNCTIONS:
        if "unknown" in MENDED:
            raise RefusalError(404, "Function doesn't exist")
        raise RefusalError(200, "Unknown function")
    data = call.get("data")
    if function != "auth.login" and token not in sessions:
        raise RefusalError(401 if "session" in MENDED else 403, "Not logged in")
    if data is not None and not isinstance(data, dict):
        raise RefusalError(400, "data is not an object")
    if "types" in MENDED:
        _check(function, data or {})
    return _run(function, call, data or {}, token)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    error_content_type = "text/html"

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if "headers" in MENDED:
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _envelope(self, status: int, message: str | None, data: Any) -> None:
        body = {"isError": message is not None, "errMsg": message, "data": data}
        self._send(status, "application/json", json.dumps(body, separators=(",", ":")).encode())

    def _page(self, word: str, status: int, text: str) -> None:
        if word in MENDED:
            self._envelope(status, text.partition(": ")[2] or text, None)
            return
        html = (
            f"<!DOCTYPE html>\n<html><head><title>Error</title></head><body><pre>{text}</pre></body></html>"
        )
        self._send(status, "text/html; charset=utf-8", html.encode())

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self) -> None:
        raw = self._body()
        try:
            if self.command != "POST":
                raise RouteError
            self._envelope(200, None, answer(urlsplit(self.path).path, raw, self.headers.get("Token")))
        except RefusalError as error:
            self._envelope(error.status, str(error), None)
        except RouteError:
            self._page("route", 404, "There is nothing here")
        except InvalidJsonError:
            self._page("json", 400, "SyntaxError: unexpected token")
        except Exception:
            self._page("json", 500, "Error: something is undefined")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = _answer  # noqa: N815


class Server(ThreadingHTTPServer):
    """Serves until it is ended."""

    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "0"))), Handler)
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}/api/"}), flush=True)
    server.serve_forever()
