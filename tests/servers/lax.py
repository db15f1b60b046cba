"""A server of notes that takes nearly anything for an identifier, one switch for each kind of laxness.

It has 300 objects of four users before a run, two of whom no profile knows. Whoever may call a function may act on
everybody's objects, so that a value which is taken for another object than it names always leaves a trace in `dump`.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.servers.lax_catalog import USERS, catalogue, profile
from tests.servers.lax_readers import LAXNESS

__all__ = ["LAXNESS", "LaxServer", "catalogue", "profile", "serving"]

#: Multiplied by it, numbers that follow each other are far apart.
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835


class LaxServer(ThreadingHTTPServer):
    """Serves notes, folders and cards.

    `switches` are names of LAXNESS, "body" (whole requests are read laxly), "missing" (no identifier means all), and
    for the clean-up "remove_does_nothing", "every_third_stays", "remove_put_off" (429 twice for each of the first
    three) and "no_identifier".
    """

    daemon_threads = True

    def __init__(self, switches: Sequence[str] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.switches = frozenset(switches)
        self.lock = threading.RLock()
        self.sessions: dict[str, str] = {}
        self._put_off = self._removals = 0
        self.objects: dict[str, dict[Any, dict[str, Any]]] = {"folder": {}, "note": {}, "card": {}}
        self._numbers = {kind: itertools.count(1) for kind in self.objects}
        for number in range(100):
            owner = list(USERS)[number % 4]
            folder = self.add("folder", owner, {"name": f"folder {number}"})
            note = self.add("note", owner, {"title": f"note {number}", "folderId": folder["folderId"]})
            self.add("card", owner, {"text": f"card {number}", "noteIds": [note["noteId"]]})
        self.before = self.dump()

    def dump(self) -> bytes:
        """Return the objects that were there before a run, byte by byte."""
        with self.lock:
            retained = {
                kind: [each for each in objects.values() if each["first"]]
                for kind, objects in self.objects.items()
            }
        return json.dumps(retained, sort_keys=True, indent=1).encode()

    def left(self) -> list[tuple[str, Any]]:
        """Return kind and identifier of what was made since, and is there."""
        with self.lock:
            return [
                (kind, each[f"{kind}Id"])
                for kind, objects in self.objects.items()
                for each in objects.values()
                if not each["first"]
            ]

    # -- functions -----------------------------------------------------------------------------------------

    def add(self, kind: str, owner: str, data: dict[str, Any]) -> dict[str, Any]:
        first = not hasattr(self, "before")
        parents = [
            each
            for value, parent in [
                (data.get("folderId"), "folder"),
                *((each, "note") for each in data.get("noteIds") or []),
                *((each.get("noteId"), "note") for each in data.get("links") or [] if isinstance(each, dict)),
            ]
            if value is not None
            for each in self.find(parent, value)
        ]
        number = next(self._numbers[kind])
        identifier = number if kind != "card" else str(uuid.UUID(int=number * _SPREAD % 2**128))
        made = {
            f"{kind}Id": identifier,
            **data,
            "owner": owner,
            "first": first,
            "children": 0,
            "archived": False,
        }
        self.objects[kind][identifier] = made
        for each in parents:
            each["children"] += 1
        return made

    def find(self, kind: str, value: Any) -> list[dict[str, Any]]:
        """Return the objects that a value is taken for."""
        objects = self.objects[kind]
        every = list(objects)
        found = [value] if _plain(value) and value in objects else []
        for name in self.switches & LAXNESS.keys():
            found += LAXNESS[name](value, every) if every else []
        return [objects[each] for each in dict.fromkeys(filter(_plain, found)) if each in objects]

    def call(self, entity: str, method: str, data: dict[str, Any], token: str | None) -> tuple[int, Any]:
        """Answer a call: status and data, or a message."""
        if (entity, method) == ("auth", "login"):
            if "identity" not in data or USERS.get(str(data["identity"])) != data.get("credential"):
                return 401, "wrong name or password"
            session = uuid.uuid4().hex
            self.sessions[session] = data["identity"]
            return 200, {"sessionId": session}
        user = self.sessions.get(token or "")
        if (entity, method) not in _FUNCTIONS:
            return 404, "no such function"
        if user is None:
            return 401, "please sign in"
        if entity == "auth":
            if method == "logout":
                self.sessions.pop(token or "", None)
                return 200, {}
            return 200, {"user": user}
        if method == "find":
            rows = [_shown(each) for each in self.objects[entity].values() if each["owner"] == user]
            return 200, {"rows": rows}
        given = {name: value for name, value in data.items() if name in _FIELDS[entity]}
        if method == "add":
            made = _shown(self.add(entity, user, given))
            return 200, {"done": True} if "no_identifier" in self.switches else made
        if method == "remove" and "remove_put_off" in self.switches:
            self._put_off += 1
            if self._put_off % 3 and self._put_off < 9:
                return 429, "not now"
        identifier = f"{entity}Id"
        if identifier in data or "missing" not in self.switches:
            found = self.find(entity, data.get(identifier, "none such"))
        else:
            found = list(self.objects[entity].values())
        if not found:
            return 404, "no such object"
        for each in found:
            if method == "remove":
                self._removals += 1
                if "remove_does_nothing" in self.switches:
                    continue
                if "every_third_stays" in self.switches and self._removals % 3 == 0:
                    continue
                del self.objects[entity][each[identifier]]
            elif method == "update":
                each.update(given)
            elif method == "archive":
                each["archived"] = not each["archived"]
        return 200, _shown(found[0]) if method != "remove" else {}


def _plain(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _shown(each: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in each.items() if name not in ("first", "owner", "children", "archived")
    }


_FIELDS = {
    "folder": {"name"},
    "note": {"title", "folderId"},
    "card": {"text", "noteIds", "links"},
}
_FUNCTIONS = {
    *(("auth", name) for name in ("logout", "status")),
    *((kind, name) for kind in _FIELDS for name in ("add", "read", "update", "remove", "find")),
    ("note", "archive"),
}


class _Handler(BaseHTTPRequestHandler):
    server: LaxServer
    protocol_version = "HTTP/1.1"
    #: Small responses leave at once, as one packet.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 30

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            length = self.headers.get("Content-Length") or "0"
            return self.rfile.read(int(length) if length.isdigit() else 0)
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0].strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self) -> None:
        try:
            body = self._body()
        except ValueError:
            self.close_connection = True
            body = b""
        path, _, query = self.path.partition("?")
        status, found = self._run(unquote(path).rstrip("/").rpartition("/")[2], query, body)
        answer = {"isError": status >= 400, "errMsg": found if status >= 400 else None, "data": found}
        if status >= 400:
            answer["data"] = None
        content = json.dumps(answer, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_POST = do_GET = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def _run(self, entity: str, query: str, body: bytes) -> tuple[int, Any]:
        loose = "body" in self.server.switches
        if self.command != "POST" and not loose:
            return 405, "POST only"
        try:
            call = json.loads(body)
        except (ValueError, RecursionError):
            call = _guessed(body, query) if loose else None
        if isinstance(call, list) and loose and call:
            call = call[0]
        if not isinstance(call, dict):
            return 400, "not an object"
        method, data = call.get("method"), call.get("data")
        if loose:
            call = {name.casefold(): value for name, value in call.items()}
            method, data = call.get("method"), call.get("data")
            method = method[0] if isinstance(method, list) and method else method
            method = method.strip().casefold() if isinstance(method, str) else method
            with contextlib.suppress(ValueError, RecursionError):
                data = json.loads(data) if isinstance(data, str) else data
            data = data[0] if isinstance(data, list) and data else data
            data = {**call, **(data if isinstance(data, dict) else {})}
            data = {**{_camel(name): value for name, value in data.items()}, **data}
        if not isinstance(method, str):
            return 400, "no method"
        if data is not None and not isinstance(data, dict):
            return 400, "data is not an object"
        with self.server.lock:
            try:
                return self.server.call(entity, method, copy.deepcopy(data or {}), self.headers.get("Token"))
            except (TypeError, ValueError, AttributeError, OverflowError) as error:
                return 400, type(error).__name__


def _camel(name: str) -> str:
    for each in ("noteId", "folderId", "cardId", "noteIds"):
        if re.sub(r"[\W_]", "", name).casefold() == each.casefold():
            return each
    return name


def _guessed(body: bytes, query: str) -> Any:
    """Make a call of bytes that are no JSON: the first text of it, a form, a query, mended JSON, UTF-16."""
    text = body.decode("utf-8", "replace").replace("\0", "")
    for mended in (
        text,
        text.replace("'", '"'),
        re.sub(r",\s*([}\]])", r"\1", text),
        text + "}",
        text + "}}",
        text + '"}}',
    ):
        with contextlib.suppress(ValueError, RecursionError):
            found, _ = json.JSONDecoder().raw_decode(mended.strip("\ufeff\ufffd \r\n"))
            if isinstance(found, dict):
                return found
    return dict(parse_qsl(text, keep_blank_values=True)) | dict(parse_qsl(query, keep_blank_values=True))


@contextlib.contextmanager
def serving(*switches: str) -> Iterator[tuple[LaxServer, str]]:
    """Serve in a thread; give the server and its base URL."""
    server = LaxServer(switches)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/api/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
