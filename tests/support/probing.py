"""Call one service in process: in several sessions, one by one or at the same time."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any

from fixtures.faults import FAULTS
from fixtures.service import Service
from tests.support.event_loop import EventLoop
from tests.support.service_client import PASSWORDS, Reply

Ask = tuple[str, dict[str, Any], str | None]

DOCUMENTED = {200, 400, 401, 403, 404, 500}


class Desk:
    """Calls a service, with a fault in it or without, and keeps every answer."""

    def __init__(self, fault: str | None = None) -> None:
        self.service = Service() if fault is None else FAULTS[fault](Service())
        self.runner = EventLoop()
        self.replies: list[Reply] = []
        self.tokens: dict[str, str] = {}

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.close()
        self.service.close()

    async def post(self, path: str, body: bytes, token: str | None) -> Reply:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [] if token is None else [(b"token", token.encode())]
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers,
        }  # fmt: skip
        await self.service(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        reply = Reply(sent[0]["status"], found, b"".join(part["body"] for part in sent[1:]))
        self.replies.append(reply)
        return reply

    def raw(self, entity: str, body: bytes, token: str | None = None) -> Reply:
        return self.runner.run(self.post(f"/api/{entity}", body, token))

    @staticmethod
    def body(method: str, data: Any, **top: Any) -> bytes:
        return json.dumps({"method": method, "data": data, **top}).encode()

    def ask(self, name: str, data: Any = None, token: str | None = None, **top: Any) -> Reply:
        """Call a function in a session of the owner's, or in another one."""
        entity, _, method = name.partition(".")
        return self.raw(entity, self.body(method, data, **top), token or self.token("owner"))

    def together(self, *asks: Ask) -> list[Reply]:
        """Make calls at the same time, in this order."""

        async def every() -> list[Reply]:
            return await asyncio.gather(
                *(
                    self.post(
                        f"/api/{name.partition('.')[0]}", self.body(name.partition(".")[2], data), token
                    )
                    for name, data, token in asks
                )
            )

        return self.runner.run(every())

    def login(self, who: str = "owner") -> str:
        """Begin a new session."""
        data = {"identity": f"{who}@example.com", "credential": PASSWORDS[who]}
        token: str = self.raw("auth", self.body("login", data)).data["sessionId"]
        return token

    def logout(self, token: str) -> None:
        assert self.ask("auth.logout", {}, token).status == 200

    def token(self, who: str) -> str:
        """Give one session of a user, always the same."""
        if who not in self.tokens:
            self.tokens[who] = self.login(who)
        return self.tokens[who]

    def course(self, token: str | None = None, **data: Any) -> int:
        identifier: int = self.ask("course.add", {"title": "A course", **data}, token).data["courseId"]
        return identifier

    def lesson(self, token: str | None = None, course: int = 1, **data: Any) -> str:
        args = {"courseId": course, "title": "A lesson", **data}
        identifier: str = self.ask("lesson.add", args, token).data["lesson"]["lessonId"]
        return identifier

    def invitation(self, token: str | None = None) -> str:
        args = {"courseId": 1, "email": "someone@example.org"}
        identifier: str = self.ask("invitation.add", args, token).data["invitationId"]
        return identifier

    def message(self, token: str | None = None, subject: str = "A message") -> int:
        args = {"recipients": ["someone@example.org"], "subject": subject}
        identifier: int = self.ask("message.add", args, token).data["messageId"]
        return identifier

    def listed(self, kind: str, token: str | None = None, data: Any = None, **top: Any) -> list[Any]:
        """Give the identifiers that a list shows."""
        given = data or ({"courseId": 1} if kind == "lesson" else {})
        rows = self.ask(f"{kind}.find", given, token, **top).data[f"{kind}s"]
        return [row[f"{kind}Id"] for row in rows]

    def everything(self) -> list[Any]:
        """Give all that the store holds."""
        kinds = ("user", "course", "lesson", "invitation", "payment", "message")
        return [
            self.service.store.db.execute(f"SELECT id, owner, course, row, body FROM {kind} ORDER BY seq")
            .fetchall() for kind in kinds
        ]  # fmt: skip


def is_envelope(reply: Reply) -> bool:
    """Return whether a body is the envelope."""
    try:
        found = reply.envelope
    except ValueError:
        return False
    return isinstance(found, dict) and found.keys() == {"isError", "errMsg", "data"}


def is_answered(reply: Reply) -> bool:
    """Return whether an answer has a documented code and the envelope."""
    return reply.status in DOCUMENTED and is_envelope(reply)


def trips_elsewhere(name: str, reply: Reply) -> None:
    """See that an answer breaks the rules for every answer that a fault names."""
    trips = FAULTS[name].trips
    assert ("COD-8" in trips) == (reply.status >= 500)
    assert ("COD-2" in trips) == (reply.status not in DOCUMENTED)
    assert ("ENV-1" in trips) == (not is_envelope(reply))


def of_modules(*modules: str) -> set[str]:
    """Give the names of the faults that some modules declare."""
    return {name for name, found in FAULTS.items() if found.change.__module__.rpartition(".")[2] in modules}
