"""Recorded traffic is judged by what it shows alone: defects are found, and correct targets are not accused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.events import ClientFindingEvent, Event, ExchangeEvent, FindingEvent, NotJudgedEvent
from conformance.protocol.profile import Auth, Login, Profile, User, Whoami
from conformance.rulebook import RULES
from conformance.traffic.capture import read_capture
from conformance.traffic.judge import TrafficJudge
from tests.support.captures import BASE, entry, write_har

OWNER, PEER = "5f2c9a7e41d84b06", "c0ffee0123456789"
ADA = {"courseId": 7, "title": "Knots and hitches", "price": 2.5}


def method(name: str, params: Any = None, **more: Any) -> dict[str, Any]:
    required = more.pop("required", ())
    return {
        "name": name,
        "params": [
            {"name": key, "schema": schema, "required": key in required}
            for key, schema in (params or {}).items()
        ],
        "result": {"name": "data", "schema": more.pop("result", {"type": "object"})},
        **more,
    }


TEXT = {"type": "string"}
IDENTIFIER = {"courseId": {"type": "integer", "x-ref": "course"}}


def role(does: str, identifier: str = "courseId") -> dict[str, Any]:
    return {"x-object": {"kind": "course", "does": does, "id": identifier}}


CATALOG = Catalog.parse(
    {
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [
            method("auth.login", {"identity": TEXT, "credential": TEXT}, **{"x-auth": "none"}),
            method("auth.logout"),
            method("auth.status", **{"x-effect": "read"}),
            method("sys.ping", **{"x-auth": "none", "x-effect": "read"}),
            method("sys.stats", **{"x-auth": "admin", "x-effect": "read"}),
            method("course.add", {"title": {"type": "string"}}, required=("title",), **role("create", "/courseId")),
            method("course.read", IDENTIFIER, required=("courseId",), **{"x-effect": "read"}, **role("read")),
            method("course.remove", IDENTIFIER, **{"x-effect": "delete"}, **role("delete")),
            method(
                "course.find",
                {"query": {"type": "string", "maxLength": 10}},
                **{"x-effect": "read", "x-rows": "/courses"},
                **role("list", "/courseId"),
            ),
        ],
    }
)  # fmt: skip
PROFILE = Profile(
    auth=Auth(
        login=Login("auth.login", "identity", "credential"),
        logout="auth.logout",
        whoami=Whoami("auth.status", "/user/email"),
    ),
    users={"owner": User("owner", "owner@example.com", "Correct-Horse-7", ("user",))},
)


@dataclass
class Judged:
    events: list[Event]
    judge: TrafficJudge

    @property
    def broken(self) -> set[str]:
        return {event.rule for event in self.events if isinstance(event, FindingEvent)}

    @property
    def client(self) -> list[str]:
        return [event.kind for event in self.events if isinstance(event, ClientFindingEvent)]

    @property
    def judged(self) -> set[str]:
        return set(self.judge.results.judged)

    def reason(self, rule: str) -> str | None:
        return next(e.reason for e in self.events if isinstance(e, NotJudgedEvent) and e.rule == rule)


def judged(
    tmp_path: Path, *entries: dict[str, Any], catalog: Catalog = CATALOG, profile: Profile = PROFILE
) -> Judged:
    events: list[Event] = []
    capture = read_capture([write_har(tmp_path / "a.har", entries)], BASE)
    judge = TrafficJudge(
        profile.with_target(BASE), catalog, events.append, set(RULES), tokens_are_recorded=True
    )
    for recorded in sorted(capture.exchanges, key=lambda each: each.ended or 0):
        judge.take(recorded)
    judge.close()
    return Judged(events, judge)


def login(token: str = OWNER, user: str = "owner@example.com", at: float = 0) -> dict[str, Any]:
    more = {"data": {"identity": user, "credential": "Correct-Horse-7"}}
    return entry("auth.login", {"sessionId": token}, token=None, more=more, at=at)


def call(name: str, data: Any, arguments: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    more = {"data": arguments or {}, **options.pop("paging", {})}
    return entry(name, data, more=more, **options)


def read(data: Any = ADA, **options: Any) -> dict[str, Any]:
    return call("course.read", data, {"courseId": 7}, **options)


def add(**options: Any) -> dict[str, Any]:
    return call("course.add", ADA, {"title": ADA["title"]}, **options)


def remove(**options: Any) -> dict[str, Any]:
    return call("course.remove", {}, {"courseId": 7}, **options)


def rows(*found: Any, **options: Any) -> dict[str, Any]:
    return call("course.find", {"courses": list(found)}, **options)


def test_a_correct_session_breaks_nothing(tmp_path: Path) -> None:
    entries = [
        login(), add(at=1), read(at=2), rows(ADA, at=3), rows(ADA, at=4), remove(at=5),
        read(None, status=404, at=6), rows(at=7), call("sys.ping", {}, token=None, at=8),
        call("sys.stats", None, status=403, at=9), call("auth.status", {"user": {"email": "a"}}, at=10),
        call("auth.logout", {}, at=11), read(None, status=401, at=12), read(None, status=401, token=None, at=13),
    ]  # fmt: skip
    result = judged(tmp_path, *entries)
    assert result.broken == set()
    assert {
        "STA-1",
        "STA-3",
        "AUT-1",
        "AUT-3",
        "AUT-4",
        "AUT-6",
        "AUT-8",
        "AUT-9",
        "COD-6",
        "ACC-1",
    } <= result.judged
    assert {"ENV-1", "HTTP-4", "SEC-5", "NAM-1", "ENV-10", "HTTP-1", "DAT-1"} <= result.judged


LONG = {"query": "x" * 11}
WRONG: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a rule of one exchange": ([read(status=404, data=None, message=" ")], "ENV-5"),
    "an under_scored name": ([read({"course_id": 7})], "NAM-1"),
    "more rows than asked for": ([rows(ADA, ADA, paging={"pageLength": 1})], "PAG-1"),
    "rows for none": ([rows(ADA, paging={"pageLength": 0})], "PAG-7"),
    "a wrong row number": ([rows(ADA, paging={"pageStart": -1})], "PAG-5"),
    "a type": ([call("course.find", {"courses": []}, {"query": 5})], "REQ-8"),
    "a length": ([call("course.find", {"courses": []}, LONG)], "REQ-9"),
    "a missing argument": ([call("course.add", ADA)], "REQ-7"),
    "valid data": ([call("course.find", None, {"query": "x"}, status=400)], "DAT-1"),
    "a missing function": ([call("sys.ping", None, status=404, message="Function doesn't exist")], "HTTP-1"),
    "no session": ([read(token=None)], "AUT-4"),
    "another code without a session": ([read(None, token=None, status=403)], "COD-6"),
    "a session for a public function": ([call("sys.ping", None, token=None, status=401)], "AUT-6"),
    "a role": ([login(), call("sys.stats", {}, at=1)], "ACC-1"),
    "no token of a login": ([login(token="")], "AUT-1"),
    "an ended session": ([login(), call("auth.logout", {}, at=1), read(at=2)], "AUT-8"),
    "one session for two logins": ([login(), login(at=1)], "AUT-9"),
    "one session for two users": ([login(), login(user="peer@example.com", at=1)], "AUT-11"),
    "another user's answer": (
        [
            login(), login(PEER, "peer@example.com", at=1),
            call("auth.status", {"user": {"email": "owner"}}, at=2),
            call("auth.status", {"user": {"email": "peer"}}, token=PEER, at=3),
            call("auth.status", {"user": {"email": "peer"}}, at=4),
        ],
        "AUT-11",
    ),
    "a password": ([login(), read({**ADA, "note": "Correct-Horse-7"}, at=1)], "SEC-3"),
    "another user's session": ([login(), login(PEER, "peer@example.com", at=1), read({"note": PEER}, at=2)], "SEC-3"),
    "a created object": ([login(), add(at=1), read(None, status=404, at=2)], "STA-1"),
    "a deleted object": ([login(), read(at=1), remove(at=2), read(at=3)], "STA-3"),
    "an object deleted twice": ([login(), remove(at=2), remove(at=3)], "STA-3"),
    "a deleted row": ([login(), add(at=1), remove(at=2), rows(ADA, at=3)], "STA-3"),
    "another order": (
        [login(), *(rows(*([ADA, {"courseId": 8}][:: -1 if at % 2 else 1]), at=at) for at in (1, 2, 3))],
        "PAG-6",
    ),
    "another verb": ([read(), call("course.read", ADA, verb="GET")], "HTTP-2"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_defect_is_found(name: str, tmp_path: Path) -> None:
    entries, rule = WRONG[name]
    assert judged(tmp_path, *entries).broken == {rule}


OTHERS: dict[str, list[dict[str, Any]]] = {
    "another client deletes it": [add(at=1), remove(token=PEER, at=2), read(None, status=404, at=3)],
    "a delete that still runs": [add(at=1), {**remove(token=PEER, at=2), "time": 5000}, read(None, status=404, at=3)],
    "a read before the create has ended": [{**add(at=1), "time": 5000}, read(None, status=404, at=2)],
    "the session of another user": [add(at=1), read(None, status=404, token=PEER, at=2)],
    "an identifier that is given again": [
        read(at=1), remove(at=2), add(token=PEER, at=3), read({**ADA, "title": "Splices"}, at=4),
    ],
    "an identifier that somebody unseen was given": [read(at=1), remove(at=2), read({**ADA, "title": "New"}, at=4)],
    "nothing is known of what was deleted": [remove(at=2), read(at=4)],
    "another order after a write": [rows(ADA, {"a": 1}, at=1), add(token=PEER, at=2), rows({"a": 1}, ADA, at=3)],
    "another order, once": [rows(ADA, {"a": 1}, at=1), rows({"a": 1}, ADA, at=3)],
    "other rows": [rows(ADA, {"a": 1}, at=1), rows({"a": 2}, ADA, at=3), rows(at=4)],
    "a token that expired": [read(at=1), read(None, status=401, at=2), read(None, status=401, at=3)],
    "a session that signs in again": [call("auth.logout", {}, at=1), login(at=2), read(at=3)],
    "a call sent before the logout ended": [{**call("auth.logout", {}, at=1), "time": 5000}, read(at=2)],
    "a renamed user": [
        call("auth.status", {"user": {"email": "a"}}, at=1), call("auth.status", {"user": {"email": "b"}}, at=2),
    ],
    "an unknown page at the same address": [entry(url=f"{BASE}docs/index.html", verb="GET", body="<html>")],
    "null for an option": [call("course.find", {"courses": []}, {"query": None}, at=1)],
    "a gateway's refusal": [
        call("sys.ping", None, status=401, token=None, at=1, headers={
            "Content-Type": "application/json", "WWW-Authenticate": "Basic"}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_others_may_have_done_accuses_nobody(name: str, tmp_path: Path) -> None:
    assert judged(tmp_path, login(), *OTHERS[name]).broken == set()


def test_what_the_client_sent_wrong_is_told_apart(tmp_path: Path) -> None:
    result = judged(
        tmp_path,
        call("course.find", None, {"query": 5}, status=400),
        call("course.find", {"courses": []}, {"qeury": "x"}, at=1),
        call("course.seek", None, status=404, message="Function doesn't exist", at=2),
        call("course.find", None, status=400, paging={"pageStart": 1.5}, at=3),
    )
    assert result.broken == set()
    assert result.client == [
        "type of /query",
        "an argument that the catalogue does not declare",
        "a function that the catalogue does not have",
        "pageStart that is no row number",
    ]


def test_without_a_catalogue_nothing_is_guessed(tmp_path: Path) -> None:
    answers = [
        call("course.find", [1, 2]),
        call("course.read", {"2026-11-01": 1, "Ann": 2}, at=1),
        read({"my_key": 1}),
    ]
    result = judged(tmp_path, *answers, catalog=Catalog.implicit({}), profile=Profile())
    assert result.broken == set()
    assert result.reason("ENV-7") == "there is no catalogue"
    assert result.reason("PAG-1") == "there is no catalogue"
    twice = judged(tmp_path, *[read({"my_key": 1}, at=at) for at in (1, 2)], catalog=Catalog.implicit({}))
    assert twice.broken == {"NAM-1"}


def test_what_the_capture_lacks_is_not_judged(tmp_path: Path) -> None:
    lacking = read()
    del lacking["response"]["content"]["text"]
    lacking["response"]["headers"] = []
    result = judged(tmp_path, lacking)
    assert result.broken == set()
    assert not {"ENV-1", "HTTP-4", "HTTP-5", "SEC-5"} & result.judged
    assert "does not have" in (result.reason("ENV-1") or "")
    assert {"COD-1", "COD-2", "COD-8"} <= result.judged


def test_no_secret_is_written_down(tmp_path: Path) -> None:
    result = judged(tmp_path, login(), read({"note": OWNER}, at=1))
    written = json.dumps([str(event) for event in result.events])
    assert "Correct-Horse-7" not in written
    assert OWNER not in written
    assert sum(isinstance(event, ExchangeEvent) for event in result.events) == 2
