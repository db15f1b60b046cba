"""Tours of calls through the reference service: a fault shows when its tour is answered differently."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fixtures.service import Service
from fixtures.service.objects import KINDS
from fixtures.service.security import signature
from tests.support.fault_bench import LESSON, NOTHING, PASSWORDS, PRIVATE, PUBLIC, Bench
from tests.support.fault_tours_authentication import sign_in, tour_authentication


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
    unusual: list[Any] = [[], "", 0, "text", 5]
    for data in unusual:
        bench.call("user.read", data)
    for name, invalid in (
        ("lesson.add", {"courseId": 1}), ("course.add", {}), ("message.read", {}),
        ("message.add", {"recipients": ["a@example.org"], "subject": None}),
        ("course.remove", {"courseId": None}), ("course.read", {"courseId": None}),
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
        bench.call(name, invalid)
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
        "sys.nothing", "course.nothing", "lesson.nothing", "course.findAll", "course.fin", "course.ping",
        "nothing.find", "nothing/find.find", "courses.find",
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


def tour_access(bench: Bench, seed: dict[str, str]) -> None:
    for who in ("peer", "admin"):
        for name in ("sys.stats", "user.find"):
            bench.call(name, who=who)
    path, body, headers = bench.request("sys.stats", token=bench.token("peer"))
    bench.raw(path, body, {**headers, b"x-role": b"admin"})
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
    resource_list = {"course": 1, "lesson": LESSON, "message": 1}
    resource_list |= {"invitation": seed["invitation"], "payment": seed["payment"]}
    for kind, identifier in resource_list.items():
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
        for _ in range(4):
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
        {"pageStart": 1, "pageLength": 2**31 - 1},
        {"pageStart": 1000}, {"pageStart": -1}, {"pageLength": -1}, {"pageStart": True}, {"pageStart": "1"},
        {"pageLength": ""}, {"pageLength": 1.5}, {"pageStart": 2**63},
    ]  # fmt: skip
    ordinary = [*pages[:4], *pages[8:10], {"pageStart": -1}, {"pageLength": 1.5}]
    for number, (name, data) in enumerate(lists):
        # Lists page alike: one that is plain, one filtered, and the longest get all pages.
        for page in pages if number in (0, 3, 6) else ordinary:
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
