"""Valid data for each function of the reference service, and what a refusal must be."""

from __future__ import annotations

from typing import Any

from fixtures.service import Service
from tests.support.service_client import PASSWORDS, Client, Reply

NOWHERE = {
    "course": 9_007_199_254_740_991,
    "lesson": "00000000-0000-4000-8000-000000000000",
    "invitation": "00000000-0000-4000-8000-000000000000",
    "payment": "pay_000000000000000000000000",
    "message": 9_007_199_254_740_991,
    "user": 9_007_199_254_740_991,
}


PAYMENT = {
    "amount": 4950,
    "currency": "EUR",
    "method": {"kind": "card", "token": "tok_visa0001"},
}


def valid_data(service: Service, client: Client, token: str, name: str) -> dict[str, Any]:
    """Data that a function accepts from the owner: its required arguments, with objects of the seed."""
    known = {
        "courseId": 1,
        "lessonId": client.call("lesson.find", {"courseId": 1}, token).data["lessons"][0]["lessonId"],
        "invitationId": client.call("invitation.find", {}, token).data["invitations"][0]["invitationId"],
        "paymentId": client.call("payment.find", {}, token).data["payments"][0]["paymentId"],
        "messageId": 1,
        "title": "A title",
        "email": "someone@example.org",
        "recipients": ["someone@example.org"],
        "subject": "A subject",
        "identity": "owner@example.com",
        "credential": PASSWORDS["owner"],
        **PAYMENT,
    }
    return {member: known[member] for member in service.functions[name].required}


def refused(reply: Reply, *statuses: int) -> None:
    assert reply.status in statuses, reply
    envelope = reply.envelope
    assert envelope["isError"] is True
    assert isinstance(envelope["errMsg"], str)
    assert envelope["errMsg"].strip()
    assert envelope["data"] is None
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
