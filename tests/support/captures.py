"""Captures for tests: HAR entries as tools write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BASE = "https://api.example.test/v1/"

HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def answer(status: int, data: Any, message: str | None = None) -> dict[str, Any]:
    """Return an envelope."""
    return {"isError": status != 200, "errMsg": message, "data": data}


def entry(
    call: str | None = "course.find",
    data: Any = None,
    *,
    status: int = 200,
    body: Any = None,
    token: str | None = "5f2c9a7e41d84b06",
    at: float = 0.0,
    url: str | None = None,
    verb: str = "POST",
    message: str | None = None,
    headers: Mapping[str, str] = HEADERS,
    more: Mapping[str, Any] = {},
    **further: Any,
) -> dict[str, Any]:
    """Return a HAR entry of a call, `at` seconds after the start; `data` is the result, `more` more of the request."""
    entity, _, method = (call or "course.find").partition(".")
    sent = json.dumps({"method": method, **more})
    if body is None:
        body = json.dumps(answer(status, data, message or (None if status == 200 else "No")))
    minutes, seconds = divmod(at, 60)
    sent_headers = [{"name": "Content-Type", "value": "application/json"}]
    if token is not None:
        sent_headers.append({"name": "Token", "value": token})
    return {
        "startedDateTime": f"2026-11-23T10:{int(minutes):02}:{seconds:06.3f}Z",
        "time": 4.0,
        "request": {
            "method": verb,
            "url": url or f"{BASE}{entity}",
            "httpVersion": "HTTP/1.1",
            "headers": sent_headers,
            "postData": {"mimeType": "application/json", "text": sent},
            "bodySize": len(sent),
        },
        "response": {
            "status": status,
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
            "content": {"size": len(body), "mimeType": "application/json", "text": body},
        },
        **further,
    }


def write_har(path: Path, entries: Sequence[Any]) -> Path:
    """Write a HAR of these entries."""
    log = {"version": "1.2", "creator": {"name": "a test", "version": "1"}, "entries": list(entries)}
    path.write_text(json.dumps({"log": log}), "utf-8")
    return path
