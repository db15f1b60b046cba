"""The reference service keeps the rulebook, judged in process, one rule after the other."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from fixtures.service import Service
from fixtures.service.wire import ApiError, Call, Page
from tests.service_client import PASSWORDS, Client, Reply

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


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def client(service: Service) -> Client:
    return Client(service)


@pytest.fixture
def token(client: Client) -> str:
    return client.login()


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


# HTTP, REQ, ENV, COD, SEC


def test_every_function_answers_with_the_result_that_it_declares(service: Service, client: Client) -> None:
    """HTTP-1, ENV-1 to ENV-10, COD-1, NAM-1."""
    for name, function in service.functions.items():
        if name == "auth.loginHmac":
            continue  # signed calls have their own tests
        token = client.login("admin" if function.auth == "admin" else "owner")
        reply = client.call(name, valid_data(service, client, client.login(), name), token)
        assert reply.status == 200, (name, reply)
        assert list(reply.envelope) == ["isError", "errMsg", "data"]
        assert reply.envelope["isError"] is False
        assert reply.envelope["errMsg"] is None
        jsonschema_rs.Draft202012Validator(function.result, validate_formats=True).validate(reply.data)
        assert b": " not in reply.body.replace(b"text: ", b"")
        service.resync()


@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_other_verbs_run_nothing(client: Client, token: str, verb: str) -> None:
    """HTTP-2, HTTP-3."""
    body = json.dumps({"method": "add", "data": {"title": "never"}}).encode()
    reply = client.raw("/api/course", body, {"Token": token}, verb, query=b"method=add&data[title]=never")
    refused(reply, 405)
    assert client.call("course.find", {"query": "never"}, token).data["courses"] == []


@pytest.mark.parametrize(
    "kind", [None, "application/json", "text/plain", "application/x-www-form-urlencoded"]
)
def test_the_content_type_does_not_matter(client: Client, kind: str | None) -> None:
    """HTTP-6."""
    assert client.raw("/api/sys", b'{"method":"ping"}', {"Content-Type": kind} if kind else {}).status == 200


def test_a_body_in_pieces(client: Client) -> None:
    """HTTP-7."""
    assert client.raw("/api/sys", b'{"method":"ping"}', chunk=3).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b'{"method":"ping"',
        b'{"method":"ping",}',
        b"{'method':'ping'}",
        b"hello",
        b"method=ping&data=",
        b'{"method":"\xff"}',
        b'{"method":"ping"}{"method":"ping"}',
        b'\xef\xbb\xbf{"method":"ping"}',
        '{"method":"ping"}'.encode("utf-16"),
        b'{"method":"ping","x":NaN}',
        b'{"method":"ping","x":-Infinity}',
        b'{"method":"ping","x":"\n"}',
        b"[]",
        b'"ping"',
        b"null",
        b"7",
        b"{}",
        b'{"method":null}',
        b'{"method":7}',
        b'{"method":["ping"]}',
        b'{"method":""}',
        b"[" * 200_000,
        b'{"method":"ping","data":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        b'{"method":"ping","x":' + b"9" * 5000 + b"}",
    ],
)
def test_malformed_bodies(client: Client, body: bytes) -> None:
    """REQ-1, REQ-4, REQ-5, DAT-4."""
    refused(client.raw("/api/sys", body), 400)


@pytest.mark.parametrize("data", [[], [1], "x", 1, 1.5, True, False, ""])
def test_data_that_is_no_object(client: Client, token: str, data: Any) -> None:
    """REQ-6; and COD-9 without a session."""
    refused(client.call("course.find", data, token), 400)
    refused(client.call("course.find", data), 401)


def test_data_left_out_null_or_empty(client: Client, token: str) -> None:
    """REQ-2, REQ-3, REQ-10, REQ-11."""
    whole = client.call("course.find", None, token).body
    assert client.call("course.find", {}, token).body == whole
    assert client.raw("/api/course", b'{"method":"find","data":null}', {"Token": token}).body == whole
    spelled = b' { "other" : [1, {}], "data":\t{} ,\r\n"m\\u0065thod" : "fi\\u006ed" } '
    assert client.raw("/api/course", spelled, {"ToKeN": token}).body == whole
    assert client.call("course.find", {}, token, pageStart=None, pageLength=None).body == whole


@pytest.mark.parametrize(
    "path",
    ["/api/nothing", "/api/", "/api", "/", "/api/sys/", "/api/SYS", "//api/sys", "/api//sys", "/api/%73ys",
     "/api%2fsys", "/api/../api/sys", "/api/sys%00", "/api/sys.ping", "/openrpc.json"],
)  # fmt: skip
def test_unknown_endpoints(client: Client, path: str) -> None:
    """COD-4, SEC-4."""
    refused(client.raw(path, b'{"method":"ping"}'), 404)


@pytest.mark.parametrize(
    "method",
    ["nothing", "Ping", " ping", "ping ", "__init__", "__class__", "constructor", "__proto__", "toString",
     "sys.ping", "pi_ng", "ping\u0000", "\ud800", "handler", "login_hmac"],
)  # fmt: skip
def test_unknown_functions(client: Client, method: str) -> None:
    """COD-3, NAM-3, SEC-1."""
    refused(client.call(f"sys.{method}"), 404)


def test_a_dotted_method_finds_no_other_endpoint(client: Client) -> None:
    refused(client.raw("/api/", b'{"method":"sys.ping"}'), 404)
    refused(client.raw("/api/sys.x", b'{"method":"ping"}'), 404)


def test_what_is_too_long_is_refused_in_the_envelope(client: Client, token: str) -> None:
    """COD-2, DAT-9."""
    refused(client.raw("/api/sys", b" " * (4 * 1024 * 1024 + 1)), 413)
    assert client.raw("/api/sys", b'{"method":"ping","x":"' + b"y" * 2_000_000 + b'"}').status == 200
    many = {f"member{number}": number for number in range(10_000)}
    assert client.call("course.find", many, token).status == 200


def test_an_inner_failure_says_nothing(service: Service, client: Client) -> None:
    """SEC-2."""

    def broken(inner: Any, service: Service, call: Call) -> Any:
        raise RuntimeError("SELECT secret FROM /etc/passwd")

    service.functions["sys.ping"].wrap(broken)
    reply = client.call("sys.ping")
    refused(reply, 500)
    assert b"secret" not in reply.body
    assert Client(Service()).call("sys.ping").status == 200  # a change stays with its own service


def test_replaced_steps_may_be_coroutines(service: Service, client: Client) -> None:
    async def validate(inner: Any, call: Call) -> None:
        inner(call)
        if call.name == "sys.ping":
            raise ApiError(400, "no")

    async def respond(inner: Any, call: Call, response: Any) -> Any:
        response.headers.append((b"x-seen", call.name.encode()))
        return inner(call, response)

    service.wrap("validate", validate)
    service.wrap("respond", respond)
    service.wrap("page", lambda inner, call: Page(1, 1))
    refused(client.call("sys.ping"), 400)
    reply = client.call("course.catalog")
    assert reply.headers["x-seen"] == "course.catalog"
    assert len(reply.data["courses"]) == 1


# AUT


def test_protected_functions_ask_for_a_session_before_all_else(service: Service, client: Client) -> None:
    """AUT-4, AUT-5, AUT-6, COD-6, COD-9."""
    token = client.login()
    bad: list[str | bytes] = [
        "", "x", token[:-1], token + "x", token.swapcase(), "' OR 1=1 --", "a" * 4096,
        b"\xff\xfe\xc3\xa5", b"\x80",
    ]  # fmt: skip
    for name, function in service.functions.items():
        entity, _, method = name.partition(".")
        if function.auth == "none":
            continue
        body = json.dumps({"method": method, "data": valid_data(service, client, token, name)}).encode()
        refused(client.raw(f"/api/{entity}", body), 401)
        refused(client.call(name, {"courseId": "no", "role": 7}), 401)
        for value in bad:
            refused(client.raw(f"/api/{entity}", body, {"Token": value}), 401)
    assert client.raw("/api/sys", b'{"method":"ping"}', {"Token": "unknown"}).status == 200


def test_the_token_counts_in_its_header_alone(client: Client, token: str) -> None:
    """AUT-15."""
    body = json.dumps(
        {"method": "status", "Token": token, "data": {"sessionId": token, "token": token}}
    ).encode()
    reply = client.raw("/api/auth", body, {"Cookie": f"Token={token}"}, query=b"Token=" + token.encode())
    refused(reply, 401)


@pytest.mark.parametrize(
    "change",
    [{"credential": "correct-horse-7-owner"}, {"credential": "Correct-Horse-7-owne"},
     {"credential": "Correct-Horse-7-owner "}, {"credential": ""}, {"credential": None}, {"credential": 7},
     {"credential": PASSWORDS["peer"]}, {"identity": "nobody@example.com"}, {"identity": "' OR 1=1 --"},
     {"credential": {"$gt": ""}}, {"credential": "x" * 201}, {"credential": "\u0000"}],
)  # fmt: skip
def test_wrong_credentials(client: Client, change: dict[str, Any]) -> None:
    """AUT-2, SEC-3."""
    right = {"identity": "owner@example.com", "credential": PASSWORDS["owner"]}
    reply = client.call("auth.login", right | change)
    refused(reply, 400, 401)
    assert b"sessionId" not in reply.body
    assert b"orrect-" not in reply.body


def test_unknown_user_and_wrong_password_are_answered_alike(client: Client) -> None:
    """AUT-12."""
    unknown = client.call("auth.login", {"identity": "nobody@example.com", "credential": "wrong"})
    wrong = client.call("auth.login", {"identity": "owner@example.com", "credential": "wrong"})
    assert (unknown.status, unknown.body) == (wrong.status, wrong.body)


def test_sessions(service: Service, client: Client) -> None:
    """AUT-1, AUT-3, AUT-8 to AUT-11, AUT-13, AUT-14."""
    one, two, other = client.login(), client.login(), client.login("peer")
    assert len({one, two, other}) == 3
    for token, who in ((one, "owner"), (other, "peer"), (two, "owner"), (one, "owner")):
        assert client.call("auth.status", None, token).data["user"]["email"] == f"{who}@example.com"
    assert client.call("auth.logout", None, one).data == {}
    refused(client.call("auth.status", None, one), 401)
    refused(client.call("auth.logout", None, one), 401)
    assert client.call("auth.status", None, two).status == 200
    credentials = {"identity": "owner@example.com", "credential": PASSWORDS["owner"]}
    adopted = client.call("auth.login", credentials, token="chosen-by-the-client")
    assert adopted.data["sessionId"] != "chosen-by-the-client"
    refused(client.call("auth.status", None, "chosen-by-the-client"), 401)


def test_session_identifiers_cannot_be_guessed(service: Service) -> None:
    """AUT-14."""
    tokens = [service.sessions.create(1) for _ in range(200)]
    assert len(set(tokens)) == 200
    entropy = 0.0
    for column in zip(*tokens, strict=True):
        shares = [column.count(sign) / 200 for sign in set(column)]
        entropy -= sum(share * math.log2(share) for share in shares)
    assert entropy > 128


# ACC, STA


def test_roles(client: Client, token: str) -> None:
    """COD-7, ACC-1."""
    for name in ("user.find", "sys.stats"):
        refused(client.call(name, None, token), 403)
        refused(client.call(name, {"role": 7}, token), 403)
        assert client.call(name, None, client.login("admin")).status == 200


def test_rights_are_not_raised_through_data(client: Client, token: str) -> None:
    """ACC-3."""
    more = {
        "role": "admin",
        "roles": ["admin"],
        "isAdmin": True,
        "userId": 2,
        "ownerId": 2,
        "email": "x@example.com",
    }
    reply = client.call("user.update", {"name": "Olga"} | more, token)
    assert reply.data["user"]["userId"] == 1
    assert reply.data["user"]["roles"] == ["user"]
    course = client.call("course.add", {"title": "Mine"} | more, token).data
    assert client.call("course.read", {"courseId": course["courseId"]}, token).status == 200
    refused(client.call("course.read", {"courseId": course["courseId"]}, client.login("peer")), 404)


@pytest.mark.parametrize("kind", ["course", "lesson", "invitation", "payment", "message"])
def test_the_life_of_an_object(service: Service, client: Client, token: str, kind: str) -> None:
    """ACC-2, ACC-4, COD-10, STA-1 to STA-3, DAT-7."""
    declared = {
        function.object["does"]: function
        for function in service.functions.values()
        if function.object and function.object["kind"] == kind
    }
    create = declared["create"]
    sent = valid_data(service, client, token, create.name)
    assert create.object is not None
    made = client.call(create.name, sent, token).data
    body = made
    for step in create.object.get("at", "").split("/")[1:]:
        body = body[step]
    identifier: Any = made
    for step in create.object["id"].split("/")[1:]:
        identifier = identifier[step]
    member = declared["read"].object["id"]  # type: ignore[index]
    listing = declared["list"]
    scope = {"courseId": 1} if "courseId" in listing.required else {}

    def listed(who: str) -> list[Any]:
        rows = client.call(listing.name, scope, who).data.get((listing.rows or "/")[1:], [])
        return [row[(listing.object or {})["id"][1:]] for row in rows]

    assert {name: body[name] for name in sent} == sent
    assert set(create.params) <= set(body)
    assert client.call(declared["read"].name, {member: identifier}, token).data == made
    assert identifier in listed(token)
    for stranger in (client.login("peer"), client.login("admin")):
        for does in ("read", "update", "delete"):
            if does in declared:
                refused(client.call(declared[does].name, {member: identifier, "title": "no"}, stranger), 404)
        if not scope:
            assert identifier not in listed(stranger)
    for does in ("read", "update", "delete"):
        if does in declared:
            refused(client.call(declared[does].name, {member: NOWHERE[kind]}, token), 404)
    assert client.call(declared["read"].name, {member: identifier}, token).data == made
    if "update" in declared:
        refused(client.call(declared["update"].name, {member: identifier, "title": ""}, token), 400)
        same = client.call(declared["update"].name, {member: identifier}, token).data
        assert same == made
        changed = client.call(declared["update"].name, {member: identifier, "title": "Other"}, token).data
        now = client.call(declared["read"].name, {member: identifier}, token).data
        assert now == changed
        after = now.get(kind, now)
        assert {name for name in after if after[name] != body[name]} <= {"title", "updatedAt", "revision"}
        assert after["title"] == "Other"
    if "delete" in declared:
        assert client.call(declared["delete"].name, {member: identifier}, token).data == {}
        for does in ("read", "update", "delete"):
            if does in declared:
                refused(client.call(declared[does].name, {member: identifier}, token), 404)
        assert identifier not in listed(token)


def test_references_must_be_ones_own(client: Client, token: str) -> None:
    """ACC-2 for arguments at any depth."""
    foreign = client.call("course.add", {"title": "Peer's"}, client.login("peer")).data["courseId"]
    for name, data in (
        ("lesson.add", {"courseId": foreign, "title": "x"}),
        ("lesson.find", {"courseId": foreign}),
        ("invitation.add", {"courseId": foreign, "email": "a@example.org"}),
        ("invitation.find", {"courseId": foreign}),
        ("payment.add", {"courseId": foreign, **PAYMENT}),
        ("payment.find", {"courseId": foreign}),
        ("course.add", {"title": "x", "prerequisites": [{"courseId": 1}, {"courseId": foreign}]}),
        ("message.add", {"recipients": ["a@example.org"], "subject": "x", "about": {"courseId": foreign}}),
        ("invitation.add", {"courseId": 1, "email": "a@example.org", "lessonIds": [NOWHERE["lesson"]]}),
    ):
        refused(client.call(name, data, token), 404)


def test_what_lies_under_a_course_goes_with_it(client: Client, token: str) -> None:
    course = client.call("course.add", {"title": "Short"}, token).data["courseId"]
    lesson = client.call("lesson.add", {"courseId": course, "title": "x"}, token).data["lesson"]["lessonId"]
    payment = client.call("payment.add", {"courseId": course, **PAYMENT}, token).data["paymentId"]
    assert client.call("course.remove", {"courseId": course}, token).status == 200
    refused(client.call("lesson.read", {"lessonId": lesson}, token), 404)
    assert client.call("payment.read", {"paymentId": payment}, token).data["courseId"] == course


def test_accepting_an_invitation_again_changes_nothing(client: Client, token: str) -> None:
    made = client.call("invitation.add", {"courseId": 1, "email": "a@example.org"}, token).data
    once = client.call("invitation.accept", {"invitationId": made["invitationId"]}, token).data
    assert (made["status"], once["status"]) == ("open", "accepted")
    assert client.call("invitation.accept", {"invitationId": made["invitationId"]}, token).data == once


@pytest.mark.parametrize(
    ("instrument", "status"),
    [("tok_visa0001", "captured"), ("tok_declined1", "declined"), ("tok_pending", "pending")],
)
def test_payments_in_test_mode(client: Client, token: str, instrument: str, status: str) -> None:
    """Whatever the provider says, the payment is kept."""
    data = {"courseId": 1, **PAYMENT, "method": {"kind": "card", "token": instrument}}
    made = client.call("payment.add", data, token).data
    assert made["status"] == status
    assert client.call("payment.read", {"paymentId": made["paymentId"]}, token).data == made


def test_reading_changes_nothing(service: Service, client: Client, token: str) -> None:
    """STA-4."""
    admin = client.login("admin")
    before = list(service.store.db.iterdump())
    for name, function in service.functions.items():
        if function.effect == "read":
            data = valid_data(service, client, token, name)
            client.call(name, data, admin if function.auth == "admin" else token)
    assert list(service.store.db.iterdump()) == before


# PAG


def paged(service: Service) -> list[str]:
    return [name for name, function in service.functions.items() if function.rows is not None]


def test_paging(service: Service, client: Client, token: str) -> None:
    """PAG-1 to PAG-4, PAG-6 to PAG-8."""
    for name in paged(service):
        function = service.functions[name]
        session = client.login("admin") if function.auth == "admin" else token
        variants = [valid_data(service, client, token, name)]
        if name == "course.find":
            variants += [{"sort": sort} for sort in ("newest", "title", "price")] + [
                {"query": "ch", "status": "draft"}
            ]

        def rows(data: Any, name: str = name, session: str = session, **page: Any) -> list[Any]:
            found = client.call(name, data, session, **page).data
            pointer = service.functions[name].rows
            listed: list[Any] = found[pointer[1:]] if pointer else found
            return listed

        for data in variants:
            whole = rows(data)
            assert whole
            assert rows(data) == whole
            assert rows(data, pageStart=len(whole)) == []
            assert rows(data, pageStart=2**31 - 1) == []
            assert rows(data, pageLength=0) == []
            assert rows(data, pageStart=1.0, pageLength=2.0) == whole[1:3]
            assert rows(data, pageStart=1) == whole[1:]
            for length in (1, 2, 7, len(whole), len(whole) + 1):
                pages = [rows(data, pageStart=at, pageLength=length) for at in range(0, len(whole), length)]
                assert [row for page in pages for row in page] == whole


@pytest.mark.parametrize("value", [-1, 1.5, True, False, "1", "", [], {}, -(2**70), -0.5, 1e-9])
def test_page_numbers_that_are_none(service: Service, client: Client, token: str, value: Any) -> None:
    """PAG-5."""
    for name in ("course.find", "course.catalog", "payment.methods", "course.read", "sys.ping"):
        data = valid_data(service, client, token, name)
        refused(client.call(name, data, token, pageStart=value), 400)
        refused(client.call(name, data, token, pageLength=value), 400)


def test_huge_page_numbers(service: Service, client: Client, token: str) -> None:
    """PAG-5: 2^63, 10^30, 1e400."""
    for name in paged(service):
        session = client.login("admin") if service.functions[name].auth == "admin" else token
        data = valid_data(service, client, token, name)
        for value in (2**53 + 1, 2**63 - 1, 2**63, 10**30, 1e300, 0.0, -0.0):
            assert client.call(name, data, session, pageStart=value).status == 200
            assert client.call(name, data, session, pageLength=value).status == 200
    body = b'{"method":"find","pageStart":1e400}'
    refused(client.raw("/api/course", body, {"Token": token}), 400)


# DAT


FULL: dict[str, Any] = {
    "title": "e\u0301 \u05e9\u05dc\u05d5\u05dd \U0001f600 \u0000 \u202e \ufeff '; DROP TABLE course; --",
    "slug": "a-b-1",
    "description": "\U0001f9ea" * 65_536,
    "price": 0.25,
    "seats": 1,
    "passMark": 5e-324,
    "tags": ["a", "A", "\u00e9", "e\u0301"],
    "startsOn": "2024-02-29",
    "enrolUntil": "2024-12-31T23:59:59.123+02:00",
    "homepage": "https://example.com/a%20b?c=d#e",
    "externalId": "0B1F6F0E-52a1-4a0e-9d0c-6f2f2b8f7a11",
    "contact": {"name": "N\u0000", "email": "a.b+c@example.org"},
    "schedule": {"weekdays": ["sun"], "hours": {"from": 0, "until": 24}},
    "labels": {"under_scored key": "1", "": "", "\u0000": "\u0000", "__proto__": "x"},
    "prerequisites": [{"courseId": 2, "isRequired": False}],
}


def test_values_come_back_as_they_went_in(client: Client, token: str) -> None:
    """DAT-1, DAT-5, DAT-6, STA-1."""
    made = client.call("course.add", FULL, token)
    assert made.status == 200, made
    read = client.call("course.read", {"courseId": made.data["courseId"]}, token).data
    assert {name: read[name] for name in FULL} == FULL
    found = client.call("course.find", {"query": "drop table COURSE"}, token).data["courses"]
    assert [row["courseId"] for row in found] == [made.data["courseId"]]


def test_integers_may_be_written_with_a_fraction_of_nothing(client: Client, token: str) -> None:
    """DAT-6: 1.0 is an integer."""
    made = client.call(
        "course.add", {"title": "x", "seats": 3.0, "prerequisites": [{"courseId": 1.0}]}, token
    ).data
    assert made["seats"] == 3
    assert client.call("course.read", {"courseId": float(made["courseId"])}, token).data == made
    body = b'{"method":"add","data":{"title":"x","price":-0,"seats":1e1}}'
    assert json.loads(client.raw("/api/course", body, {"Token": token}).body)["data"]["seats"] == 10


def test_members_of_an_open_object_that_nobody_declared_are_dropped(client: Client, token: str) -> None:
    """NAM-1: no name of the client's appears in a response but in a map."""
    contact = {"name": "x", "email": "a@example.org", "not_camel": {"deep_er": 1}}
    made = client.call("course.add", {"title": "x", "contact": contact}, token).data
    assert made["contact"] == {"name": "x", "email": "a@example.org"}


@pytest.mark.parametrize(
    "change",
    [{"title": ""}, {"title": "x" * 201}, {"title": None}, {"title": 7}, {"title": ["x"]}, {"slug": "A"},
     {"slug": "a--b"}, {"slug": "a" * 81}, {"language": "xx"}, {"language": None}, {"price": -0.25},
     {"price": 0.3},
     {"price": 100_000}, {"price": True}, {"price": "1"}, {"seats": 0}, {"seats": 1.5}, {"seats": 10_001},
     {"seats": 2**63}, {"seats": 10**30}, {"passMark": 0}, {"passMark": 100}, {"durationMinutes": 7},
     {"isPrivate": 1}, {"isPrivate": "true"}, {"isPrivate": None}, {"tags": ["a", "a"]}, {"tags": [""]},
     {"tags": list("abcdefghijk")}, {"tags": "a"}, {"startsOn": "2023-02-29"}, {"startsOn": "2024-1-1"},
     {"enrolUntil": "2024-01-01"}, {"enrolUntil": "2024-01-01T25:00:00Z"}, {"homepage": "not a uri"},
     {"externalId": "0b1f6f0e"}, {"contact": {"name": "x"}}, {"contact": {"name": "x", "email": "no"}},
     {"contact": []}, {"schedule": {}}, {"schedule": {"weekdays": []}},
     {"schedule": {"weekdays": ["mon"], "more": 1}},
     {"schedule": {"weekdays": ["mon"], "hours": {"from": 24, "until": 24}}}, {"labels": {"a": 1}},
     {"labels": {str(number): "" for number in range(21)}}, {"prerequisites": [{"courseId": 0}]},
     {"prerequisites": [{"courseId": 2**53}]}, {"prerequisites": [{}]}, {"title": "\ud800"},
     {"labels": {"\udfff": "x"}}, {"title": "a\udc00b"}],
)  # fmt: skip
def test_values_that_the_schema_forbids(client: Client, token: str, change: dict[str, Any]) -> None:
    """REQ-7 to REQ-9, DAT-2, DAT-5, DAT-7, COD-5."""
    count = client.call("course.find", None, token).data["total"]
    refused(client.call("course.add", {"title": "x"} | change, token), 400)
    refused(client.call("course.update", {"courseId": 1} | change, token), 400)
    assert client.call("course.find", None, token).data["total"] == count


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1E999"])
def test_numbers_beyond_a_double(client: Client, token: str, number: bytes) -> None:
    """DAT-6."""
    body = b'{"method":"add","data":{"title":"x","price":' + number + b"}}"
    refused(client.raw("/api/course", body, {"Token": token}), 400)
    refused(client.raw("/api/course", body), 401)


@pytest.mark.parametrize(
    "text", ["' OR '1'='1", "%", "_", "*", "{{7*7}}", "../../etc/passwd", "a\r\nb", "\u0000"]
)
def test_injections_are_data(client: Client, token: str, text: str) -> None:
    """DAT-8."""
    assert client.call("course.find", {"query": text}, token).data == {"courses": [], "total": 0}
    assert client.call("course.find", {"tags": [text]}, token).data == {"courses": [], "total": 0}
    refused(client.call("course.find", {"query": {"$gt": ""}}, token), 400)


def test_deep_values_are_refused_and_not_fatal(client: Client, token: str) -> None:
    """DAT-3, DAT-9."""
    for depth in (100, 900, 10_000):
        deep = b"[" * depth + b"]" * depth
        body = b'{"method":"add","data":{"title":"x","labels":' + deep + b"}}"
        refused(client.raw("/api/course", body, {"Token": token}), 400)
        nested = b'{"name":"x","email":"a@example.org","more":' + deep + b"}"
        body = b'{"method":"add","data":{"title":"x","contact":' + nested + b"}}"
        assert client.raw("/api/course", body, {"Token": token}).status in (200, 400)


# the test environment


def test_a_resync_ends_sessions_and_restores_the_seed_at_once(
    service: Service, client: Client, token: str
) -> None:
    """Section 4 of the protocol."""
    seeded = client.call("course.find", None, token).data["total"]
    made = client.call("course.add", {"title": "Gone soon"}, token).data["courseId"]
    client.call("course.remove", {"courseId": 1}, token)
    service.resync()
    refused(client.call("auth.status", None, token), 401)
    token = client.login()
    assert client.call("course.find", None, token).data["total"] == seeded
    refused(client.call("course.read", {"courseId": made}, token), 404)
    assert client.call("course.add", {"title": "New"}, token).data["courseId"] > made


def test_the_catalogue_of_the_platform(client: Client) -> None:
    found = client.call("course.catalog", {"language": "en"}).data
    assert found["total"] == len(found["courses"]) == 5
    assert not re.search(rb"_", client.call("course.catalog").body)
