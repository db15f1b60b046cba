"""The reference service with calls to it that record what each one answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

from fixtures.service import Service
from fixtures.service.wire import Message, Scope
from tests.support.event_loop import EventLoop

ROOT = Path(__file__).parent.parent.parent


PASSWORDS = {
    "owner": "Correct-Horse-7-owner",
    "peer": "Battery-Staple-8-peer",
    "admin": "Quiet-Harbour-9-admin",
}


PUBLIC, PRIVATE = b"owner-public-key-0001", b"owner-private-key-4c1f9a"


LESSON = "55e9f753-75e9-4cd7-abc1-766cb7b7fa7c"


RULES = {
    "HTTP": 8,
    "REQ": 12,
    "ENV": 10,
    "COD": 10,
    "AUT": 16,
    "ACC": 4,
    "PAG": 8,
    "NAM": 3,
    "DAT": 9,
    "STA": 6,
    "SEC": 6,
}


Answer = tuple[int, tuple[tuple[bytes, bytes], ...], bytes]


MOVING = (
    (re.compile(rb'"sessionId":"[\w-]{32}"'), b'"sessionId":"S"'),
    (re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z"), b"T"),
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f-]{17}"), b"U"),
    (re.compile(rb"pay_[0-9a-f]{24}"), b"P"),
    (re.compile(rb"\(sessions: [^)]+\)"), b"(sessions)"),
)


class Bench:
    """Calls one service, and keeps what came of it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.runner = EventLoop()
        self.seen: list[Any] = []
        self.tokens: dict[str, str] = {}

    def close(self) -> None:
        self.runner.close()
        self.service.close()

    async def send(
        self,
        path: str,
        body: bytes,
        headers: dict[bytes, bytes],
        verb: str = "POST",
        query: bytes = b"",
        client: tuple[str, int] = ("127.0.0.1", 5000),
    ) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        if verb == "POST" and b"content-type" not in headers:
            headers = {b"content-type": b"application/json", **headers}
        if headers.get(b"content-type") == b"":
            headers = {name: value for name, value in headers.items() if name != b"content-type"}
        if b"transfer-encoding" not in headers:
            headers = {b"content-length": str(len(body)).encode(), **headers}
        scope: Scope = {
            "type": "http",
            "method": verb,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": list(headers.items()),
            "client": client,
        }
        await self.service(scope, receive, send)
        start, *rest = sent
        answered = sorted(field for field in start["headers"] if field[0] != b"content-length")
        return start["status"], tuple(answered), b"".join(part["body"] for part in rest)

    def raw(self, path: str, body: bytes, headers: dict[bytes, bytes] | None = None, **more: Any) -> Answer:
        answer = self.runner.run(self.send(path, body, headers or {}, **more))
        self.keep(answer)
        return answer

    def keep(self, answer: Answer) -> None:
        status, headers, body = answer
        for pattern, word in MOVING:
            body = pattern.sub(word, body)
        self.seen.append((status, headers, body))

    def token(self, who: str = "owner") -> str:
        if who not in self.tokens:
            self.tokens[who] = self.login(who)
        return self.tokens[who]

    def login(self, who: str, headers: dict[bytes, bytes] | None = None) -> str:
        data = {"identity": f"{who}@example.com", "credential": PASSWORDS[who]}
        body = json.dumps({"method": "login", "data": data}).encode()
        answer = self.runner.run(self.send("/api/auth", body, headers or {}))
        data = json.loads(answer[2])["data"]
        return str(data["sessionId"]) if data else "none"

    def request(
        self, name: str, data: Any = None, token: str | bytes | None = None, **top: Any
    ) -> tuple[str, bytes, dict[bytes, bytes]]:
        entity, _, method = name.partition(".")
        message = {"method": method, **({} if data is None else {"data": data}), **top}
        headers = {} if token is None else {b"token": token if isinstance(token, bytes) else token.encode()}
        return f"/api/{entity}", json.dumps(message, ensure_ascii=False).encode(), headers

    def call(self, name: str, data: Any = None, who: str | None = "owner", **top: Any) -> Any:
        """Call a function in somebody's session, and give its data, or None."""
        answer = self.raw(*self.request(name, data, self.token(who) if who else None, **top))
        with contextlib.suppress(ValueError, AttributeError):
            return json.loads(answer[2]).get("data")
        return None

    def by(self, token: str | bytes | None, name: str, data: Any = None, **more: Any) -> Answer:
        return self.raw(*self.request(name, data, token), **more)

    def together(self, *calls: tuple[str, bytes, dict[bytes, bytes]]) -> list[Answer]:
        async def all_of_them() -> list[Answer]:
            return await asyncio.gather(*(self.send(*call) for call in calls))

        answers = self.runner.run(all_of_them())
        for answer in answers:
            self.keep(answer)
        return answers

    def every_state(self) -> None:
        """Look at everything that there is."""
        for kind in ("user", "course", "lesson", "invitation", "payment", "message"):
            found = self.service.store.db.execute(f"SELECT owner, row, body FROM {kind} ORDER BY seq")
            self.keep((0, (), repr(found.fetchall()).encode()))


NOTHING = {
    "course": 999_999,
    "message": 999_999,
    "user": 999_999,
    "lesson": "00000000-0000-4000-8000-000000000000",
    "invitation": "00000000-0000-4000-8000-000000000000",
    "payment": "pay_000000000000000000000000",
}
