"""A small in-process client of the reference service, for its tests."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from fixtures.service import Service
from tests.support.event_loop import EventLoop

PASSWORDS = {
    "owner": "Correct-Horse-7-owner",
    "peer": "Battery-Staple-8-peer",
    "admin": "Quiet-Harbour-9-admin",
}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.envelope["data"]


@functools.cache
def _loop() -> EventLoop:
    return EventLoop()


class Client:
    """Calls a service object as a server would, one request at a time."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def raw(
        self,
        path: str,
        body: bytes,
        headers: dict[str, str | bytes] | None = None,
        verb: str = "POST",
        query: bytes = b"",
        chunk: int = 0,
    ) -> Reply:
        sent: list[Any] = []
        size = chunk or max(len(body), 1)
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        events = [
            {"type": "http.request", "body": part, "more_body": at < len(parts) - 1}
            for at, part in enumerate(parts)
        ]

        async def receive() -> Any:
            return events.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": verb,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [
                (name.lower().encode(), value if isinstance(value, bytes) else value.encode())
                for name, value in (headers or {}).items()
            ],
        }
        _loop().run(self.service(scope, receive, send))
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], found, b"".join(part["body"] for part in sent[1:]))

    def call(self, name: str, data: Any = None, token: str | None = None, **top: Any) -> Reply:
        entity, _, method = name.partition(".")
        message = {"method": method, **top}
        if data is not None:
            message["data"] = data
        return self.raw(f"/api/{entity}", json.dumps(message).encode(), {"Token": token} if token else {})

    def login(self, who: str = "owner") -> str:
        reply = self.call("auth.login", {"identity": f"{who}@example.com", "credential": PASSWORDS[who]})
        token: str = reply.data["sessionId"]
        return token
