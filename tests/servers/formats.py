"""A service whose parameters have formats and words that catalogues of the wild use; each function echoes its `v`.

`lax` names functions that let pass what their format forbids.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["FUNCTIONS", "catalogue", "serving"]

Check = Callable[[Any], bool]


def is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    )


def between(low: int, high: int) -> Check:
    return lambda value: is_whole(value) and low <= value <= high


def text(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def holds_float(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 3.4028234663852886e38


def _pair(value: Any) -> bool:
    fits = isinstance(value, list) and len(value) <= 2
    return fits and all(isinstance(v, str) if i == 0 else is_whole(v) for i, v in enumerate(value))


def _needs_other(value: Any) -> bool:
    if not isinstance(value, dict) or any(not isinstance(item, str) for item in value.values()):
        return False
    return "street" not in value or "town" in value


#: By function: the schema of its parameter, and what it lets pass.
FUNCTIONS: dict[str, tuple[dict[str, Any], Check]] = {
    "small": ({"type": "integer", "format": "int8"}, between(-(2**7), 2**7 - 1)),
    "medium": ({"type": "integer", "format": "int16", "minimum": 0}, between(0, 2**15 - 1)),
    "large": ({"type": "integer", "format": "int32"}, between(-(2**31), 2**31 - 1)),
    "larger": ({"type": "integer", "format": "int64"}, between(-(2**63), 2**63 - 1)),
    "octet": ({"type": "integer", "format": "uint8"}, between(0, 2**8 - 1)),
    "port": ({"type": "integer", "format": "uint16"}, between(0, 2**16 - 1)),
    "count": ({"type": "integer", "format": "uint32"}, between(0, 2**32 - 1)),
    "total": ({"type": "integer", "format": "uint64"}, between(0, 2**64 - 1)),
    "ratio": ({"type": "number", "format": "float"}, holds_float),
    "nickname": (
        {"type": "string", "nullable": True, "maxLength": 40},
        lambda value: value is None or (isinstance(value, str) and len(value) <= 40),
    ),
    "size": (
        {"type": "string", "enum": ["S", "M", "L"], "nullable": True},
        lambda value: value is None or value in ("S", "M", "L"),
    ),
    "colour": ({"type": "string", "format": "hex-colour", "maxLength": 7}, text("#[0-9a-f]{6}")),
    "phone": (
        {"type": "string", "format": "phone", "maxLength": 20, "examples": ["+46 70 123 45 67", "112"]},
        text(r"\+?[0-9 ]{3,20}"),
    ),
    "amount": ({"type": "string", "format": "decimal", "default": "12.50"}, text(r"-?\d{1,9}(\.\d{1,2})?")),
    "word": (
        {"type": "string", "format": "password", "minLength": 4},
        lambda value: isinstance(value, str) and len(value) >= 4,
    ),
    "price": (
        {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1000},
        lambda value: not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= 1000,
    ),
    "pair": ({"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}, _pair),
    "address": (
        {
            "type": "object",
            "properties": {"street": {"type": "string"}, "town": {"type": "string"}},
            "additionalProperties": {"type": "string"},
            "dependencies": {"street": ["town"]},
        },
        _needs_other,
    ),
}  # fmt: skip


def catalogue(names: Collection[str] = tuple(FUNCTIONS)) -> dict[str, Any]:
    """Return the catalogue of these functions, as their service publishes it."""
    methods = [
        {
            "name": f"shape.{name}",
            "x-auth": "none",
            "x-effect": "read",
            "params": [{"name": "v", "required": True, "schema": FUNCTIONS[name][0]}],
            "result": {
                "name": "r",
                "schema": {"type": "object", "required": ["v"], "properties": {"v": True}},
            },
        }
        for name in names
    ]
    return {"openrpc": "1.3.2", "info": {"title": "Shapes", "version": "1"}, "methods": methods}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: Small responses leave at once, as one packet.
    disable_nagle_algorithm = True
    wbufsize = -1
    lax: ClassVar[frozenset[str]] = frozenset()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, data: Any = None) -> None:
        reported = None if status == 200 else f"refused ({status})"
        body = json.dumps(
            {"isError": status != 200, "errMsg": reported, "data": data}, separators=(",", ":")
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") is None:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_POST(self) -> None:
        status, data = self._called(self._body())
        self._answer(status, data)

    #: Where the functions are called, and their names.
    endpoint: ClassVar[str] = "/api/shape"
    functions: ClassVar[Collection[str]] = FUNCTIONS

    def _called(self, body: bytes) -> tuple[int, Any]:
        try:
            call = json.loads(body.decode(), parse_constant=lambda name: 1 / 0)
        except (ValueError, ZeroDivisionError, RecursionError):
            return 400, None
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return 400, None
        if self.path != self.endpoint or call["method"] not in self.functions:
            return 404, None
        pages = [call.get(name) for name in ("pageStart", "pageLength")]
        if not all(page is None or between(0, 2**70)(page) for page in pages):
            return 400, None
        start, length = (None if page is None else int(page) for page in pages)
        page = slice(start, None if length is None else (start or 0) + length)
        return self._run(call["method"], call.get("data"), page)

    def _run(self, name: str, data: Any, page: slice) -> tuple[int, Any]:
        """Run a function; return the status and the data of the answer."""
        if not isinstance(data, dict) or "v" not in data:
            return 400, None
        fits = FUNCTIONS[name][1](data["v"]) or name in self.lax
        return (200, {"v": data["v"]}) if fits else (400, None)

    def _refuse(self) -> None:
        self._body()
        self._answer(405)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_HEAD = _refuse  # noqa: N815  (the base class asks for these names)


@contextlib.contextmanager
def serving(
    folder: Path, names: Collection[str] = tuple(FUNCTIONS), lax: Collection[str] = ()
) -> Iterator[Path]:
    """Serve in a thread; yield the profile, which lies in `folder` beside the catalogue."""
    with serving_handler(_Handler, catalogue(names), folder, lax=frozenset(lax)) as profile:
        yield profile


@contextlib.contextmanager
def serving_handler(
    base: type[_Handler], published: dict[str, Any], folder: Path, **members: Any
) -> Iterator[Path]:
    """Serve a handler with these members in a thread; yield the profile, which lies in `folder`."""
    handler = type("Handler", (base,), members)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / "catalogue.openrpc.json").write_text(json.dumps(published), encoding="utf-8")
    profile = folder / "conform.toml"
    address = f"http://127.0.0.1:{server.server_address[1]}/api/"
    profile.write_text(f'[target]\nurl = "{address}"\ncatalog = "catalogue.openrpc.json"\n', encoding="utf-8")
    try:
        yield profile
    finally:
        server.shutdown()
        server.server_close()
