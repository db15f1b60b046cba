"""Valid arguments of the reference service's functions, and functions that vary them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

from tests.support.probing import Desk

LESSON_ID = "55e9f753-75e9-4cd7-abc1-766cb7b7fa7c"


NOBODY = "00000000-0000-4000-8000-000000000000"


#: What each function takes on any day, and keeps on taking whatever the fault.
PLAIN: dict[str, dict[str, Any]] = {
    "course.add": {"title": "A course", "tags": ["one"], "price": 12.5},
    "course.update": {"courseId": 1, "title": "Another title", "seats": 7},
    "course.find": {"query": "chess"},
    "course.read": {"courseId": 1},
    "lesson.add": {"courseId": 1, "title": "A lesson", "kind": "video"},
    "lesson.update": {"lessonId": LESSON_ID, "title": "Another title"},
    "lesson.find": {"courseId": 1, "query": "wet"},
    "invitation.add": {"courseId": 1, "email": "someone@example.org"},
    "payment.add": {
        "courseId": 1,
        "amount": 4950,
        "currency": "SEK",
        "method": {"kind": "card", "token": "tok_visa0001"},
        "payer": {"name": "Ann", "email": "ann@example.org"},
    },
    "message.add": {"recipients": ["someone@example.org"], "subject": "A subject"},
    "message.find": {"query": "apron"},
    "user.update": {"locale": "sv"},
    "auth.status": {},
}


def sent(function: str, more: dict[str, Any]) -> dict[str, Any]:
    return {**PLAIN[function], **more}


def schedule(**hours: Any) -> dict[str, Any]:
    return {"schedule": {"weekdays": ["mon"], "hours": {"from": 8, "until": 9, **hours}}}


def contact(**more: Any) -> dict[str, Any]:
    return {"contact": {"name": "Ann", "email": "ann@example.org", **more}}


def quiz(weight: float = 0.5, ask: str = "Why?", answers: tuple[str, ...] = ("Yes", "No")) -> dict[str, Any]:
    return {"quiz": {"weight": weight, "questions": [{"ask": ask, "answers": list(answers)}]}}


def address(**more: Any) -> dict[str, Any]:
    return {"payer": {"name": "Ann", "address": {"city": "Uppsala", "country": "SE", **more}}}


def recipients(count: int) -> dict[str, Any]:
    return {"recipients": [f"r{number}@example.org" for number in range(count)]}


def plain_works(name: str, function: str) -> None:
    with Desk(name) as desk:
        reply = desk.ask(function, PLAIN[function])
        assert reply.status == 200, reply
        schema = desk.service.functions[function].result
        assert jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(reply.data)


READ = {
    "course.add": ("course.read", "courseId"),
    "lesson.add": ("lesson.read", "lessonId"),
    "invitation.add": ("invitation.read", "invitationId"),
    "payment.add": ("payment.read", "paymentId"),
    "message.add": ("message.read", "messageId"),
}


def at(value: Any, path: str) -> Any:
    for name in path.split("/"):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def came_back(desk: Desk, function: str, text: str, path: str) -> str:
    """Make an object of JSON text as it stands, read it, and return how one value came back."""
    entity, _, method = function.partition(".")
    reply = desk.raw(entity, f'{{"method":"{method}","data":{text}}}'.encode(), desk.token("owner"))
    if reply.status != 200:
        return str(reply.status)
    made = reply.data.get(entity, reply.data)
    read, identifier = READ[function]
    found = desk.ask(read, {identifier: made[identifier]})
    assert found.status == 200
    body = found.data.get(entity, found.data)
    before, after, shown = at(json.loads(text), path), at(body, path), at(made, path)
    same = before == after == shown and isinstance(before, str) == isinstance(after, str)
    return "same" if same else "other"
