"""The calls after which a session was gone."""

from __future__ import annotations

from conformance.engine.session_trail import SessionTrail
from conformance.protocol.exchange import Exchange, Request, Response


def call(number: int, function: str, token: str, status: int = 200, user: str = "owner") -> Exchange:
    request = Request("POST", "http://host/api/x", (("Token", token),), b"{}")
    response = Response(status, (), b"{}")
    return Exchange(request, response, function=function, user=user, in_session=True, number=number)


def test_the_last_valid_call_and_those_after_it() -> None:
    trail = SessionTrail()
    assert trail.since("a") is None
    trail.note(call(1, "course.find", "a"))
    assert trail.since("a") == "the last call that was answered in it is course.find of owner (exchange 1)"
    trail.note(call(2, "course.read", "a"))
    trail.note(call(3, "auth.logout", "b", user="peer"))
    trail.note(call(4, "course.read", "a", 401))
    assert trail.since("a") == (
        "the last call that was answered in it is course.read of owner (exchange 2); "
        "after it came auth.logout of peer (exchange 3), course.read of owner (exchange 4)"
    )
    for number in range(5, 30):
        trail.note(call(number, "course.read", "a", 401))
    assert (trail.since("a") or "").endswith("course.read of owner (exchange 5)")


def test_no_token_is_named() -> None:
    trail = SessionTrail()
    trail.note(call(1, "course.find", "secret-session"))
    assert "secret" not in (trail.since("secret-session") or "")
