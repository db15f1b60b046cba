"""The faults: each is well declared, leaves a service that works, and shows to who looks at the right place.

Whether the suite catches them is another test's matter. Here every fault is looked at by a tour of its area:
a fixed series of calls, whose answers on the spoiled service must differ from those on a clean one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from conformance.builtin_names import accented, same_java_hash, unsigned_tokens
from fixtures.faults import FAULTS
from fixtures.faults.__main__ import main
from fixtures.faults.registry import AREAS, fault
from fixtures.service import Service, server
from fixtures.service.objects import KINDS
from fixtures.service.security import signature
from fixtures.service.wire import Message, Scope
from tests.probing import of_modules

ROOT = Path(__file__).parent.parent
PASSWORDS = {
    "owner": "Correct-Horse-7-owner",
    "peer": "Battery-Staple-8-peer",
    "admin": "Quiet-Harbour-9-admin",
}
PUBLIC, PRIVATE = b"owner-public-key-0001", b"owner-private-key-4c1f9a"
LESSON = "55e9f753-75e9-4cd7-abc1-766cb7b7fa7c"
RULES = {
    "HTTP": 8,
    "REQ": 11,
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
        self.runner = asyncio.Runner()
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


@pytest.fixture(scope="module")
def seed() -> dict[str, str]:
    bench = Bench(Service())
    try:
        return {
            "invitation": bench.call("invitation.find")["invitations"][0]["invitationId"],
            "second": bench.call("invitation.find")["invitations"][1]["invitationId"],
            "payment": bench.call("payment.find")["payments"][0]["paymentId"],
            "third": bench.call("lesson.find", {"courseId": 1})["lessons"][-1]["lessonId"],
        }
    finally:
        bench.close()


NOTHING = {
    "course": 999_999,
    "message": 999_999,
    "user": 999_999,
    "lesson": "00000000-0000-4000-8000-000000000000",
    "invitation": "00000000-0000-4000-8000-000000000000",
    "payment": "pay_000000000000000000000000",
}


def tour_http(bench: Bench, seed: dict[str, str]) -> None:
    token = {b"token": bench.token().encode()}
    bench.call("invitation.accept", {"invitationId": seed["invitation"]})
    bench.call("payment.methods", who=None)
    query = b"method=find&data=%7B%22query%22%3A%22chess%22%7D"
    bench.raw("/api/course", b"", token, verb="GET", query=query)
    writes = {
        "PUT": ("course", "update", {"courseId": 1, "title": "Put"}),
        "DELETE": ("lesson", "remove", {"lessonId": LESSON}),
        "HEAD": ("course", "add", {"title": "Head"}),
        "PATCH": ("course", "add", {"title": "Patch"}),
    }
    for verb, (entity, method, data) in writes.items():
        body = json.dumps({"method": method, "data": data}).encode()
        bench.raw(f"/api/{entity}", body, token, verb=verb)
    bench.call("course.find")
    bench.call("lesson.find", {"courseId": 1})
    bench.call("payment.find")
    bench.call("message.read", {"messageId": 1})
    bench.call("dashboard.read", who="peer")
    bench.call("course.read", {"courseId": 999})
    bench.call("course.nothing")
    bench.call("nothing.find")
    for who in ("admin", "owner", None):
        bench.call("sys.stats", who=who)
    for kind in (
        b"",
        b"application/x-www-form-urlencoded",
        b"text/plain",
        b"application/json; charset=utf-8",
    ):
        bench.raw("/api/sys", b'{"method":"ping"}', {b"content-type": kind})
    bench.raw("/api/sys", b'{"method":"ping"}', {b"transfer-encoding": b"chunked"})
    body = b'{"method":"add","data":{"title":"x"}}'
    bench.raw("/api/course", body, {**token, b"transfer-encoding": b"chunked"})


def tour_request(bench: Bench, seed: dict[str, str]) -> None:
    token = {b"token": bench.token().encode()}
    call = b'{"method":"status","data":{}}'
    for body in (
        b'{"data":{}}', b'{"method":5}', b'{"method":["status"]}', b'{"method":"status","data":{},}',
        call.replace(b'"', b"'"), b"method=status&data=%7B%7D", call[:-1] + b',"x":"\xff"}', call + call,
        call[:-1] + b"/* all */}",
        call[:-1], b"find", b"[" + call + b"]", b"7", b"null", b'{"data":{},"method":"status"}', b" " + call,
        b'{"method":"st\\u0061tus"}', b'{"method":"status","version":1}',
    ):  # fmt: skip
        bench.raw("/api/auth", body, token)
    bench.raw("/api/user", b'{"method":"read","data":null}', token)
    bench.call("course.find")
    bench.call("course.find", {})
    bench.call("lesson.find", {"courseId": 1}, pageLength=2)
    bench.call("lesson.find", {"courseId": 1}, pageStart=1)
    odd: list[Any] = [[], "", 0, "text", 5]
    for data in odd:
        bench.call("user.read", data)
    for name, spoiled in (
        ("lesson.add", {"courseId": 1}), ("course.add", {}), ("message.read", {}),
        ("message.add", {"recipients": ["a@example.org"], "subject": None}),
        ("course.remove", {"courseId": None}),
        ("course.read", {"courseId": "1"}), ("lesson.find", {"courseId": 1, "isFree": 1}),
        ("course.add", {"title": 7}), ("payment.find", {"minAmount": True}),
        ("course.add", {"title": "x", "seats": 1.5}), ("course.find", {"tags": "art"}),
        ("message.find", {"query": {}}), ("invitation.find", {"status": 7}),
        ("course.find", {"query": "x" * 201}),
        ("course.find", {"query": ""}), ("payment.find", {"minAmount": 10_000_001}),
        ("payment.find", {"minAmount": -1}),
        ("course.add", {"title": "x", "passMark": 100}), ("payment.find", {"currency": "NOK"}),
        ("course.find", {"status": "DRAFT"}), ("course.update", {"courseId": 1, "level": "none"}),
        ("course.add", {"title": "x", "slug": "-a b-"}), ("payment.read", {"paymentId": "pay_1"}),
        ("course.find", {"startsAfter": "soon"}), ("course.find", {"startsAfter": "2023-02-30"}),
        ("lesson.read", {"lessonId": "x"}), ("course.find", {"tags": ["a", "a"]}),
        ("course.find", {"tags": [str(n) for n in range(11)]}), ("course.add", {"title": "x", "price": 0.1}),
        ("course.add", {"title": "x", "seats": -1}),
    ):  # fmt: skip
        bench.call(name, spoiled)
    bench.call("course.read", {"courseId": 1}, id=2)


def tour_envelope(bench: Bench, seed: dict[str, str]) -> None:
    bench.raw("/api/auth", b"{", {})
    bench.by(bench.login("owner"), "auth.logout")
    bench.raw(
        *bench.request("auth.login", {"identity": "owner@example.com", "credential": PASSWORDS["owner"]})
    )
    for who in (None, "owner"):
        bench.call("sys.stats", who=who)
    bench.call("nothing.find")
    bench.call("sys.ping")
    bench.call("course.catalog", who=None)
    bench.call("auth.status")
    bench.call("message.add", {"recipients": ["a@example.org"], "subject": "x"})
    bench.call("message.find", {"query": "nowhere to be found"})
    bench.call("course.find", pageLength=2)
    bench.call("lesson.find", {"courseId": 1})
    for data in ({}, {"courseId": 2}, {"courseId": 999}):
        bench.call("course.read", data)
    bench.call("lesson.remove", {"lessonId": LESSON})
    bench.call("course.remove", {"courseId": 2})


def tour_codes(bench: Bench, seed: dict[str, str]) -> None:
    bench.call("lesson.add", {"courseId": 1, "title": "x"})
    bench.call("lesson.add", {"courseId": 1, "title": "x" * 201})
    bench.call("invitation.remove", {"invitationId": seed["invitation"]})
    bench.call("course.find", pageLength=2)
    bench.call("user.update", {"locale": "sv"})
    for _ in range(2):
        bench.call("course.remove", {"courseId": 2})
    bench.raw(*bench.request("auth.login", {"identity": "owner@example.com", "credential": "wrong"}))
    for name in (
        "sys.nothing", "course.nothing", "lesson.nothing", "course.findAll", "course.ping", "nothing.find",
        "nothing/find.find", "courses.find",
    ):  # fmt: skip
        bench.call(name)
    bench.call("course.find", {"status": 7})
    for name in ("payment.find", "sys.stats", "user.update"):
        bench.call(name, who=None)
    for name in ("sys.stats", "user.find"):
        bench.call(name, who="peer")
    bench.call("message.add", {"recipients": ["a@example.org"], "subject": "x", "undeclared": 1})
    bench.call("invitation.add", {"courseId": "x"}, who=None)
    for name, kind in (
        ("course.read", "course"),
        ("invitation.accept", "invitation"),
        ("lesson.remove", "lesson"),
    ):
        bench.call(name, {f"{kind}Id": NOTHING[kind]})
    bench.call("message.read", {"messageId": 1 + 2**32})
    card = {"kind": "card", "token": "tok_visa0001"}
    bench.call("payment.add", {"courseId": 999, "amount": 500, "currency": "EUR", "method": card})
    for _ in range(100):
        bench.call("sys.ping", who=None)


def sign_in(bench: Bench, identity: Any = "owner@example.com", **more: Any) -> None:
    bench.raw(*bench.request("auth.login", {"identity": identity, **more}))


def tour_passwords(bench: Bench) -> None:
    right = PASSWORDS["owner"]
    near = (f"{right}\0x", accented(right), same_java_hash(right), [right], 0)
    for credential in (right, right.upper(), right[:-1], right + "x", f" {right}", "", "wrong", *near):
        sign_in(bench, credential=credential)
    sign_in(bench, "constructor", credential="wrong")
    sign_in(bench, "%", credential=right)
    sign_in(bench)
    sign_in(bench, "nobody@example.com", credential="wrong")
    sign_in(bench, "admin@example.com", credential=PASSWORDS["admin"])


def tour_tokens(bench: Bench) -> None:
    token = bench.token()
    forged: list[str | bytes] = [
        token[:-1], token.swapcase(), token + "a", "_" + token[1:], "' OR '1'='1", "", b"\xe9\xff",
        "a" * 4096, "x", "constructor", "null", "0", "*", f"%{ord(token[0]):02x}{token[1:]}", f'"{token}"',
        f"./{token}", same_java_hash(token) or "x", (accented(token) or "x").encode("latin-1"), "owner@example.com",
        *unsigned_tokens(token, {"email": "owner@example.com"}).values(),
    ]  # fmt: skip
    for value in forged:
        for name in ("user.read", "sys.ping", "payment.methods"):
            bench.by(value, name)
        bench.raw(
            *bench.request(
                "auth.login", {"identity": "peer@example.com", "credential": PASSWORDS["peer"]}, value
            )
        )
        bench.by(value, "auth.status")
    for header in ((b"x-forwarded-user", b"owner@example.com"), (b"x-forwarded-for", b"127.0.0.1")):
        bench.raw("/api/auth", b'{"method":"status"}', dict([header]))
    for name in ("message.find", "payment.find", "course.add", "sys.ping", "course.catalog"):
        bench.by(None, name, {"title": "x"} if name == "course.add" else None)
    for name in ("dashboard.read", "auth.status", "user.read"):
        bench.by(token, name, client=("127.0.0.1", 5001))
        path, body, _ = bench.request(name)
        bench.raw(path, body, {}, query=f"token={token}".encode())
        bench.raw(path, body, {b"cookie": f"token={token}".encode()})
        bench.raw(path, body, {b"authorization": f"Bearer {token}".encode()})
        bench.raw(*bench.request(name, token=None, sessionId=token))
        bench.raw(*bench.request(name, {"sessionId": token}))


def tour_sessions(bench: Bench) -> None:
    tokens = [bench.login("peer") for _ in range(4)]
    bench.keep((len({*tokens}), (), b""))
    bench.keep((tokens[1][:4] == tokens[2][:4] == tokens[3][:4], (), b""))
    bench.keep((min(map(len, tokens)) >= 24, (), b""))
    for token in tokens:
        bench.by(token, "user.read")
    for ended in (tokens[1], tokens[2]):
        bench.by(ended, "auth.logout")
        for name in ("auth.status", "user.read", "user.update"):
            bench.by(ended, name)
    bench.by(tokens[0], "user.read")
    bench.by(tokens[3], "user.read")
    inside = bench.login("owner")
    bench.login("peer", {b"token": inside.encode()})
    bench.by(inside, "auth.status")
    for _ in range(22):
        bench.by(inside, "user.read")
    bench.together(*(bench.request("auth.status", token=bench.token(who)) for who in ("owner", "peer") * 4))
    for who in ("owner", "peer"):
        bench.call("auth.status", who=who)
    bench.by(bench.login("peer", {b"token": b"c" * 32}), "auth.status", client=("127.0.0.1", 5002))
    bench.by("c" * 32, "user.read")


def tour_keys(bench: Bench) -> None:
    for by_data in (True, False):
        values = {"apikey": PUBLIC.decode(), "time": "2026-11-23 10:03:20.123", "random": "r4nd0m"}
        mac = signature(PUBLIC, values["time"].encode(), b"r4nd0m", PRIVATE)
        for change in (
            {}, {"hmac": "0" * 40}, {"hmac": mac[:20]}, {"hmac": ""}, {"time": values["time"] + "1"},
            {"apikey": "unknown"},
        ):  # fmt: skip
            sent = {**values, "hmac": mac, **change}
            if by_data:
                bench.raw(*bench.request("auth.loginHmac", sent))
            else:
                bench.raw("/api/auth", b'{"method":"loginHmac"}', key_headers(sent))
        tour_odd_keys(bench, {**values, "hmac": mac}, by_data)


def key_headers(values: dict[str, Any]) -> dict[bytes, bytes]:
    return {f"x-coursio-{name}".encode(): str(value).encode("latin-1") for name, value in values.items()}


def tour_odd_keys(bench: Bench, right: dict[str, Any], by_data: bool) -> None:
    """Go through values left out, signed otherwise, of other types, and sessions that a key gives."""
    signed = {name: right[name].encode() for name in ("apikey", "time", "random")}
    sent: list[dict[str, Any]] = [right, {**right, "random": "other0"}]
    for order in (("apikey", "random"), ("random", "time"), ("time", "random", "apikey")):
        digest = signature(b"".join(signed[name] for name in order), b"", b"", PRIVATE)
        sent += [{**right, "hmac": digest}, {**{name: right[name] for name in order}, "hmac": digest}]
    unknown = signature(b"unknown", signed["time"], signed["random"], b"")
    sent += [{**right, "apikey": "unknown", "hmac": unknown}, {**right, "random": "\xe9"}]
    sent += [{**right, "random": "r" * 7000}, {**right, "hmac": True}, {**right, "hmac": []}]

    def send(values: dict[str, Any], token: str | None = None) -> str:
        more = {} if token is None else {b"token": token.encode()}
        call = {"method": "loginHmac", **({"data": values} if by_data else {})}
        headers = {**more, **({} if by_data else key_headers(values))}
        answer = bench.raw("/api/auth", json.dumps(call).encode(), headers)
        data = json.loads(answer[2])["data"]
        return str(data["sessionId"]) if data else "none"

    for values in sent:
        send(values)
    bench.keep((send(right, "c" * 32) == "c" * 32, (), b""))
    for who in ("peer", "owner"):
        inside = bench.login(who)
        first, second = send(right, inside), send(right)
        bench.by(first, "auth.logout")
        for token in (first, second, inside):
            bench.by(token, "auth.status")


def tour_authentication(bench: Bench, seed: dict[str, str]) -> None:
    tour_passwords(bench)
    tour_tokens(bench)
    tour_sessions(bench)
    tour_keys(bench)


def tour_access(bench: Bench, seed: dict[str, str]) -> None:
    for who in ("peer", "admin"):
        for name in ("sys.stats", "user.find"):
            bench.call(name, who=who)
    raising = {"roles": ["user", "admin"], "isAdmin": True, "userId": 1, "ownerId": 1}
    message = {"recipients": ["a@example.org"], "subject": "x"}
    bench.call("user.update", {"locale": "sv", **raising}, who="peer")
    bench.login("peer")
    bench.every_state()
    bench.call("course.add", {"title": "x", **raising}, who="peer")
    bench.call("message.add", {**message, **raising}, who="peer")
    bench.every_state()
    course = bench.call("course.add", {"title": "x"}, who="peer")
    lesson = bench.call("lesson.add", {"courseId": course["courseId"], "title": "x"}, who="peer")["lesson"]
    bench.call("lesson.update", {"lessonId": lesson["lessonId"], "title": "y", **raising}, who="peer")
    bench.every_state()
    tour_claims(bench)
    for name in ("course.find", "message.find", "invitation.find", "payment.find"):
        for who in ("peer", "admin"):
            bench.call(name, who=who)
    bench.call("course.find", {"language": "en"}, who="peer")
    things = {"course": 1, "lesson": LESSON, "message": 1}
    things |= {"invitation": seed["invitation"], "payment": seed["payment"]}
    for kind, identifier in things.items():
        for does in ("read", "update", "remove"):
            if f"{kind}.{does}" in bench.service.functions:
                bench.call(f"{kind}.{does}", {f"{kind}Id": identifier}, who="peer")
    bench.every_state()


def tour_claims(bench: Bench) -> None:
    message = {"recipients": ["a@example.org"], "subject": "x"}
    bench.call("course.add", {"title": "x", "owner": "owner@example.com"}, who="peer")
    bench.call("message.add", {**message, "user": {"userId": 1}}, who="peer")
    course = bench.call("course.add", {"title": "x"}, who="peer")
    lesson = bench.call("lesson.add", {"courseId": course["courseId"], "title": "x"}, who="peer")["lesson"]
    bench.call("lesson.update", {"lessonId": lesson["lessonId"], "title": "y"}, who="peer", userId=1)
    bench.every_state()
    bench.call("message.find", {"userId": 1}, who="peer")
    bench.call("dashboard.read", {"accountId": 1}, who="peer")
    for claim in ({"role": "admin"}, {"permissions": ["*"]}, {"user": {"isAdmin": True}}):
        bench.call("sys.stats", claim, who="peer")
    values: dict[str, Any] = {"apikey": PUBLIC.decode(), "time": "1", "random": "2", "userId": 2}
    values["hmac"] = signature(PUBLIC, b"1", b"2", PRIVATE)
    right = {"identity": "peer@example.com", "credential": PASSWORDS["peer"], "userId": 1, "role": "admin"}
    for name, data in (("auth.login", right), ("auth.loginHmac", values)):
        path, body, headers = bench.request(name, data)
        answer = bench.runner.run(bench.send(path, body, headers))
        bench.by(str(json.loads(answer[2])["data"]["sessionId"]), "auth.status")
    bench.every_state()


def tour_paging(bench: Bench, seed: dict[str, str]) -> None:
    store = bench.service.store
    for number in range(110):
        args: dict[str, Any] = {"title": f"course {number}", "language": "de" if number % 2 else "sv"}
        KINDS["course"].add(store, 1, args)
    for number in range(60):
        args = {"title": f"lesson {number}", "isFree": bool(number % 2)}
        KINDS["lesson"].add(store, 1, args, courseId=1)
    for number in range(30):
        KINDS["message"].add(store, 1, {"recipients": ["a@example.org"], "subject": f"message {number}"})
        args = {"courseId": 1, "email": "a@example.org"}
        KINDS["invitation"].add(store, 1, args, status="open", acceptedAt=None)
    lists: list[tuple[str, Any]] = [
        ("course.find", {}), ("course.find", {"language": "sv"}), ("lesson.find", {"courseId": 1}),
        ("lesson.find", {"courseId": 1, "isFree": True}), ("message.find", {}),
        ("message.find", {"query": "e 1"}),
        ("invitation.find", {}), ("payment.methods", {}), ("course.catalog", {}),
    ]  # fmt: skip
    pages: list[dict[str, Any]] = [
        {}, {}, {"pageLength": 2}, {"pageLength": 0}, {"pageLength": 40}, {"pageStart": 1},
        {"pageStart": 100},
        {"pageStart": 1, "pageLength": 2}, {"pageStart": 12, "pageLength": 7},
        {"pageStart": 56, "pageLength": 100},
        {"pageStart": 1000}, {"pageStart": -1}, {"pageLength": -1}, {"pageStart": True}, {"pageStart": "1"},
        {"pageLength": ""}, {"pageLength": 1.5}, {"pageStart": 2**63},
    ]  # fmt: skip
    for name, data in lists:
        for page in pages:
            bench.call(name, data, **page)


def tour_naming(bench: Bench, seed: dict[str, str]) -> None:
    bench.seen.append(json.dumps(bench.service.catalogue()))
    bench.call("user.read")
    bench.call("course.read", {"courseId": 1})
    bench.call("course.read", {"courseId": 999})
    bench.call("course.find")
    bench.call("invitation.accept", {"invitationId": seed["invitation"]})
    bench.call("auth.login_hmac")


def tour_state(bench: Bench, seed: dict[str, str]) -> None:
    bench.call("course.add", {"title": "x", "labels": {"a": "b"}, "tags": ["a"], "seats": 3})
    bench.every_state()
    bench.call("message.add", {"recipients": ["a@example.org"], "subject": "subject"})
    bench.call("message.find")
    for _ in range(2):
        bench.call("invitation.add", {"courseId": 1, "email": "a@example.org"})
    bench.every_state()
    for change in ({"tags": ["new"]}, {"seats": None}, {"labels": {"c": "d"}}, {"title": "y"}):
        bench.call("course.update", {"courseId": 1, **change})
        bench.every_state()
    for change in ({"title": "z"}, {"body": "z"}):
        bench.call("lesson.update", {"lessonId": LESSON, **change})
        bench.every_state()
    bench.call("course.read", {"courseId": 1})
    bench.call("course.find")
    bench.call("dashboard.read")
    bench.call("payment.read", {"paymentId": seed["payment"]})
    bench.every_state()
    bench.call("lesson.remove", {"lessonId": LESSON})
    bench.call("lesson.update", {"lessonId": LESSON, "title": "x"})
    bench.call("lesson.find", {"courseId": 1})
    for _ in range(2):
        bench.call("invitation.remove", {"invitationId": seed["invitation"]})
    bench.every_state()
    bench.call("course.remove", {"courseId": 2})
    bench.call("course.read", {"courseId": 2})
    token = bench.token()
    card = {"kind": "card", "token": "tok_visa0001"}
    creates: dict[str, Callable[[int], dict[str, Any]]] = {
        "course.add": lambda number: {"title": f"course {number}"},
        "lesson.add": lambda number: {"courseId": 1, "title": f"lesson {number}"},
        "message.add": lambda number: {"recipients": ["a@example.org"], "subject": f"message {number}"},
        "payment.add": lambda _: {"courseId": 1, "amount": 500, "currency": "EUR", "method": card},
    }
    for name, data in creates.items():
        bench.together(*(bench.request(name, data(number), token) for number in range(8)))
    bench.every_state()


def tour_security(bench: Bench, seed: dict[str, str]) -> None:
    names = ("__class__", "constructor", "__proto__", "FIND", " find", "find\0")
    for name in names:
        bench.call(f"course.{name}")
    for name in ("message.add", "lesson.read"):
        bench.call(name, {"lessonId": NOTHING["lesson"]})
    bench.call("nothing.find")
    bench.call("course.read", {"courseId": 999})
    bench.raw("/api/course", b"{", {})
    bench.call("sys.stats")
    bench.call("user.read")
    bench.call("dashboard.read")
    bench.call("course.find", pageLength=1)
    sign_in(bench, credential="wrong")
    sign_in(bench, 7, credential="wrong")
    token = {b"token": bench.token().encode()}
    for path in (
        "/api/auth/../course", "/api/course/", "/api//course", "/api/Course", "/api/course%00",
        "/api/auth%2f..%2fcourse",
    ):  # fmt: skip
        bench.raw(path, b'{"method":"find"}', token)


TOURS: dict[str, Callable[[Bench, dict[str, str]], None]] = {
    "http": tour_http,
    "request": tour_request,
    "envelope": tour_envelope,
    "codes": tour_codes,
    "authentication": tour_authentication,
    "access": tour_access,
    "paging": tour_paging,
    "naming": tour_naming,
    "state": tour_state,
    "security": tour_security,
}


def take(tour: str, service: Service, seed: dict[str, str]) -> list[Any]:
    bench = Bench(service)
    try:
        TOURS[tour](bench, seed)
        return bench.seen
    finally:
        bench.close()


_CLEAN: dict[str, list[Any]] = {}


def clean(tour: str, seed: dict[str, str]) -> list[Any]:
    if tour not in _CLEAN:
        _CLEAN[tour] = take(tour, Service(), seed)
    return _CLEAN[tour]


FRAMED = [
    name
    for name in of_modules("http", "codes", "security", "lookups")
    if FAULTS[name](Service()).protocol is not None
]
"""What shows only on a socket; no other module frames answers."""

PROBED = of_modules(
    "data",
    "shapes",
    "values",
    "effects",
    "sequences",
    "sessions",
    "races",
    "losses",
    "references",
    "channels",
    "framing",
)
"""What no tour comes by: each has a probe of its own in test_faults_data, _sequences or _losses."""


# the registry


def test_every_rule_has_a_fault() -> None:
    named = {rule for found in FAULTS.values() for rule in found.trips}
    first = {found.primary for found in FAULTS.values()}
    every = {f"{area}-{number}" for area, count in RULES.items() for number in range(1, count + 1)}
    assert every <= first
    assert named <= every


def test_there_are_many() -> None:
    assert len(FAULTS) >= 120
    assert {found.area for found in FAULTS.values()} == set(AREAS) == {*TOURS, "data"}
    assert sum(found.subtle for found in FAULTS.values()) > 60


@pytest.mark.parametrize("name", FAULTS)
def test_declaration(name: str) -> None:
    found = FAULTS[name]
    assert found.name == name
    assert re.fullmatch(r"[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*)", name)
    assert found.primary.startswith(AREAS[found.area])
    assert found.sentence[0].isalpha() or found.sentence[0] == "\\"
    assert found.sentence.endswith(".")
    assert found.spoil.__doc__ is not None
    assert len({other.sentence for other in FAULTS.values()}) == len(FAULTS)


def test_bad_declarations_are_refused() -> None:
    def spoil(service: Service) -> Service:
        """Nothing is wrong."""
        return service

    def mute(service: Service) -> Service:
        return service

    for name, trips in (
        ("http.Upper", ("HTTP-1",)), ("nowhere.x", ("HTTP-1",)), ("http.function-missing", ("HTTP-1",)),
        ("http.new", ()), ("http.new", ("HTTP-1", "HTTP-1")), ("http.new", ("XY-1",)),
        ("http.new", ("REQ-1",)),
        ("http.new", {"HTTP-1", "HTTP-2"}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"http|nowhere"):
            fault(name, trips=trips)(spoil)
    with pytest.raises(ValueError, match="sentence"):
        fault("http.new", trips={"HTTP-1"})(mute)
    assert "http.new" not in FAULTS


# what they do


@pytest.mark.parametrize("name", FAULTS)
def test_service_still_signs_in(name: str) -> None:
    service = FAULTS[name](Service())

    async def sign() -> httpx.Response:
        transport = httpx.ASGITransport(app=service)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            data = {"identity": "owner@example.com", "credential": PASSWORDS["owner"]}
            return await client.post("/api/auth", json={"method": "login", "data": data})

    response = asyncio.run(sign())
    assert response.status_code == 200
    assert b'"sessionId":' in response.content
    service.close()


@pytest.mark.parametrize("tour", TOURS)
def test_a_clean_service_answers_alike_twice(tour: str, seed: dict[str, str]) -> None:
    assert take(tour, Service(), seed) == clean(tour, seed)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in FRAMED and name not in PROBED])
def test_fault_shows(name: str, seed: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    tour = FAULTS[name].area
    assert take(tour, FAULTS[name](Service()), seed) != clean(tour, seed)
    assert not caplog.records, "the fault itself is broken"


# on a socket


@contextlib.contextmanager
def serving(service: Service) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        service, http=service.protocol or server.Protocol, ws="none", lifespan="off", log_config=None
    )
    started = threading.Event()
    running = server.Server(config, started.set)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[listener])))
    thread.start()
    try:
        assert started.wait(10)
        yield listener.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(10)
        listener.close()
        service.close()


def exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += part
    return received


HEAD = b"POST /api/sys HTTP/1.1\r\nHost: test\r\n"
CALL = b'{"method":"ping"}'
PLAIN = HEAD + b"Content-Length: 17\r\n\r\n" + CALL
TWO = HEAD + b"Content-Length: %d\r\nContent-Length: %d\r\n\r\n" + CALL + PLAIN
LONG = len(CALL) + len(PLAIN)
SHOWN: dict[str, list[bytes]] = {
    "security.first-length-counts": [TWO % (len(CALL), LONG)],
    "security.last-length-counts": [TWO % (LONG, len(CALL))],
    "security.length-and-chunks": [
        HEAD
        + b"Content-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n"
        + CALL
        + b"\r\n0\r\n\r\n"
        + PLAIN
    ],
    "security.bare-line-feed": [
        HEAD + b"X: a\nContent-Length: 17\r\nContent-Length: %d\r\n\r\n" % LONG + CALL + PLAIN
    ],
}


def answers(received: bytes) -> int:
    return received.count(b"HTTP/1.1 ")


@pytest.mark.parametrize("name", SHOWN)
def test_one_request_is_answered_as_two(name: str) -> None:
    with serving(Service()) as port:
        assert all(answers(exchange(port, data)) == 1 for data in SHOWN[name])
        assert answers(exchange(port, PLAIN)) == 1
    with serving(FAULTS[name](Service())) as port:
        assert all(answers(exchange(port, data)) == 2 for data in SHOWN[name])
        assert answers(exchange(port, PLAIN)) == 1
        assert exchange(port, TWO % (17, 17)).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("http.token-header-case", {b"token", b"TOKEN"}),
        ("http.token-header-capitals", {b"TOKEN"}),
        ("http.token-header-lower", {b"token"}),
    ],
)
def test_token_header_by_its_spelling(name: str, refused: set[bytes]) -> None:
    service = FAULTS[name](Service())
    token = service.sessions.create(1).encode()
    body = json.dumps({"method": "find", "data": {"courseId": 1}}).encode()
    with serving(service) as port:
        for spelling in (b"Token", b"token", b"TOKEN"):
            head = b"POST /api/lesson HTTP/1.1\r\nHost: test\r\n" + spelling + b": " + token
            received = exchange(port, head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert received.startswith(b"HTTP/1.1 401" if spelling in refused else b"HTTP/1.1 200")


def test_connection_dropped() -> None:
    with serving(FAULTS["codes.connection-dropped"](Service())) as port:
        assert answers(exchange(port, PLAIN)) == 1
        assert exchange(port, HEAD + b"Content-Length: 2\r\n\r\n\xff\xff") == b""
        assert answers(exchange(port, PLAIN)) == 1


def test_every_framed_fault_is_looked_at() -> None:
    by_spelling = {"http.token-header-case", "http.token-header-capitals", "http.token-header-lower"}
    assert set(FRAMED) == {
        *SHOWN,
        *by_spelling,
        "codes.connection-dropped",
        "authentication.session-from-trailer",
    }


def test_a_trailer_is_no_header() -> None:
    for service, status in (
        (Service(), b"HTTP/1.1 401"),
        (FAULTS["authentication.session-from-trailer"](Service()), b"HTTP/1.1 200"),
    ):
        token = service.sessions.create(1).encode()
        body = b'{"method":"status"}'
        with serving(service) as port:
            head = b"POST /api/auth HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
            chunks = b"%x\r\n%s\r\n0\r\nToken: %s\r\n\r\n" % (len(body), body, token)
            assert exchange(port, head + chunks).startswith(status)


# the command


def test_list_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert len({re.search(r" {2}[A-Z]{3,4}-\d", line).start() for line in lines}) == 1  # type: ignore[union-attr]
    assert all(line.endswith(found.sentence) for line, found in zip(lines, FAULTS.values(), strict=True))


def test_unknown_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fault", "http.byte-order-marc"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("there is no fault http.byte-order-marc; did you mean http.byte-order-mark?\n")
    assert shown.err.count("\n") == 1


def test_faults_on_the_command_line() -> None:
    command = [sys.executable, "-m", "fixtures.faults", "--fault", "envelope.ok-message"]
    command += ["--fault=naming.published-parameter", "--port", "0", "--ready-line", "--exit-with-parent"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        facts = json.loads(process.stdout.readline())
        answer = httpx.post(facts["url"] + "sys", json={"method": "ping"}).json()
        assert answer["errMsg"] == "OK"
        assert '"max_price"' in httpx.get(facts["catalog"]).text
    finally:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()


def test_catalogue_of_a_faulty_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fault", "naming.published-function", "--print-catalogue"]) == 0
    assert "sys.server_name" in capsys.readouterr().out
