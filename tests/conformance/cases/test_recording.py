"""Recording and replaying cases: identifiers, secrets and sessions of one instance become those of another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.cases.format import (
    Case,
    Expect,
    Step,
    escaped,
    file_name,
    load,
    save,
)
from conformance.cases.recording import Recorder
from conformance.engine.case_player import CasePlayer, writes
from conformance.engine.context import TestContext
from conformance.engine.runner import Run
from conformance.events import given
from conformance.protocol.exchange import Exchange
from conformance.rulebook.findings import Finding
from tests.support.case_files import OBJECT, a_case, opened
from tests.support.judging import serving_here
from tests.support.recording import PROFILE, ran, recording, report_in


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with serving_here() as (url, _):
        run = opened(url)
        yield run
        run.finish()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Run]:
    """Another instance of the service, whose identifiers are others."""
    with serving_here() as (url, _):
        run = opened(url)
        for _ in range(7):
            run.resources.new("course", "owner")
        yield run
        run.finish()


@pytest.fixture
def ctx(run: Run) -> TestContext:
    return TestContext(run, "test", ())


def a_finding(exchange: Exchange | None, rule: str = "REQ-8", kind: str = "k", **members: Any) -> Finding:
    name = exchange.function if exchange is not None else None
    return Finding(rule, name, kind, "m", "e", exchange.summary() if exchange else "a", exchange, **members)


def recorded(recorder: Recorder, finding: Finding, folder: Path) -> Case:
    """Return the case of a finding as it comes back from its file."""
    case = recorder.case(finding)
    assert case is not None
    path = folder / file_name(case.rule, case.function, case.kind)
    save(path, case.to_json())
    return load(path)


# --- what a run writes ---


def test_a_run_saves_what_it_finds_without_secrets_and_identifiers(tmp_path: Path) -> None:
    with serving_here("access.others-lesson-readable") as (url, _), recording(url) as between:
        status, out, err = ran(
            "check", "--target", between.url, "--profile", PROFILE, "--area", "ACC",
            "--budget", "quick", "--seed", "3", "--out", "o", cwd=tmp_path,
        )  # fmt: skip
        assert status == 1, err
        answers = b"\n".join(between.answered).decode("utf-8", "replace")
    report = report_in(tmp_path / "o")
    found = [finding for rule in report["rules"] for finding in rule["findings"]]
    named = [finding["case"] for finding in found if finding["case"]]
    files = sorted((tmp_path / "o" / "cases").iterdir())
    assert sorted(named) == [f"cases/{path.name}" for path in files]
    assert "ACC-2" in {load(path).rule for path in files}
    assert all(f"  case       {name}" in out for name in named[:1])
    text = "".join(path.read_text("utf-8") for path in files)
    identifiers = set(re.findall(r'"(?:lesson|invitation|payment)Id":"([^"]+)"', answers))
    assert len(identifiers) > 5
    assert between.sessions
    secrets = [
        *re.findall(r'(?:secret|user|private) = "([^"]+)"', PROFILE.read_text("utf-8")),
        *between.sessions,
        *identifiers,
    ]
    assert [secret for secret in secrets if secret in text] == []
    case = next(case for case in map(load, files) if case.function == "lesson.read")
    (step,) = case.steps
    reported = step.data["lessonId"]["$object"]
    assert reported["of"] != step.user
    assert reported["kind"] == "lesson"
    assert reported["with"]["courseId"]["$object"]["kind"] == "course"
    assert step.expect == Expect(status=(403, 404))
    assert step.saw is not None
    assert step.saw["status"] == 200


def test_an_earlier_run_leaves_no_case_behind(tmp_path: Path) -> None:
    stale = tmp_path / "o" / "cases" / file_name("ENV-5", "a.b", "k")
    save(stale, a_case().to_json())
    theirs = stale.with_name("notes.json")
    theirs.write_text("{}")
    with serving_here() as (url, _):
        status, _, err = ran(
            "check", "--target", url, "--profile", PROFILE, "--rule", "NAM-2", "--out", "o", cwd=tmp_path
        )
    assert status == 0, err
    assert not stale.exists()
    assert theirs.exists()


def test_a_smaller_example_takes_the_place_of_a_larger_one(run: Run, ctx: TestContext) -> None:
    large = ctx.call("course.find", {"query": "a" * 30}, as_="owner")
    small = ctx.call("course.find", {"query": "a"}, as_="owner")
    first = run.recorder.event(a_finding(large, kind="smaller"))
    assert first is not None
    assert run.recorder.event(a_finding(large, kind="smaller")) is None
    second = run.recorder.event(a_finding(small, kind="smaller"))
    assert second is not None
    assert second.file == first.file
    assert (given(second.case) or {})["steps"][0]["data"] == {"query": "a"}
    assert run.recorder.event(a_finding(large, kind="smaller")) is None
    assert run.recorder.event(a_finding(None, kind="nothing was sent")) is None


def test_what_is_expected_follows_from_the_finding(run: Run, ctx: TestContext) -> None:
    exchange = ctx.call("course.find", {}, as_="owner")
    by_status = run.recorder.case(a_finding(exchange, accepted=(400, 403)))
    assert by_status is not None
    assert by_status.steps[0].expect == Expect(status=(400, 403))
    neither = run.recorder.case(a_finding(exchange))
    assert neither is not None
    assert not neither.steps[0].expect
    # A pure rule is named where the exchange breaks it, and only there.
    passed = run.recorder.case(a_finding(exchange, rule="ENV-5", accepted=(404,)))
    assert passed is not None
    assert passed.steps[0].expect == Expect(status=(404,))


def test_talk_hands_on_what_was_accepted_and_the_steps(run: Run, ctx: TestContext) -> None:
    run.observer.wanted = frozenset({"REQ-8"})
    exchange = ctx.call("course.find", {}, as_="owner")
    steps = [Step(user="owner", function="course.find", data={"query": "x"}).to_json()]
    run.observer.begin("t")
    assert ctx.status("REQ-8", exchange, {404, 400}, kind="s") is False
    ctx.judge("REQ-8", False, kind="c", expected="e", actual="a", exchange=exchange, case=steps)
    found = {finding.kind: finding for finding in run.observer.take().values()}
    run.observer.begin("t")
    run.observer.wanted = frozenset()
    assert found["s"].accepted == (400, 404)
    case = run.recorder.case(found["c"])
    assert case is not None
    assert [step.to_json() for step in case.steps] == steps


def test_steps_of_a_sequence_keep_their_symbols_and_lose_identifiers(run: Run) -> None:
    resource = run.resources.new("course", "owner")
    given = [
        {"as": "owner", "function": "course.add", "data": {"title": "t"}, "gives": "mine"},
        {"as": "owner", "function": "course.read", "data": {"courseId": resource.id}},
        {"as": "peer", "session": 2, "function": "course.read", "data": {"courseId": OBJECT}},
    ]
    case = run.recorder.case(a_finding(None, rule="STA-6", case=given))
    assert case is not None
    assert case.users == {"owner": ("user",), "peer": ("user",)}
    assert case.steps[1].data["courseId"]["$object"]["of"] == "owner"
    assert case.steps[2].data == {"courseId": OBJECT}
    assert case.steps[2].session == 2


# --- requests, as they are written and as they go out again ---


def sent_again(
    run: Run, elsewhere: Run, exchange: Exchange, folder: Path
) -> tuple[list[Step], list[Exchange]]:
    """Save the case of a request, read it back, play it elsewhere; return its steps and what became of them."""
    case = recorded(run.recorder, a_finding(exchange), folder)
    text = (folder / file_name(case.rule, case.function, case.kind)).read_text("utf-8")
    for secret in [*run.profile.secrets(), *run.secret_registry.sessions()]:
        assert secret not in text
    played = list(CasePlayer(elsewhere, case).play())
    return list(case.steps), [each.exchange for each in played]


def body_of(exchange: Exchange) -> Any:
    return json.loads(exchange.request.body)


def test_identifiers_are_of_the_other_instance(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    mine = run.resources.new("course", "peer", optional="none", title="Mine")
    exchange = ctx.call("course.read", {"courseId": mine.id}, as_="owner")
    assert exchange.status == 404
    (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
    assert step.data["courseId"] == {
        "$object": {"kind": "course", "of": "peer", "name": "course1", "with": {"title": "Mine"}}
    }
    other = body_of(again)["data"]["courseId"]
    assert other != mine.id
    assert again.status == 404
    assert elsewhere.resources.resource("course", other, "").user == "peer"
    assert elsewhere.resources.resource("course", other, "").sent == {"title": "Mine"}


def test_what_was_deleted_then_is_deleted_again(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    resource = run.resources.new("lesson", "owner")
    before = ctx.call("lesson.read", {"lessonId": resource.id}, as_="owner")
    deleting = ctx.call("lesson.remove", {"lessonId": resource.id}, as_="owner")
    after = ctx.call("lesson.read", {"lessonId": resource.id}, as_="owner")
    assert (before.status, deleting.status, after.status) == (200, 200, 404)
    for exchange, state in ((before, None), (deleting, None), (after, "deleted")):
        (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        assert step.data["lessonId"]["$object"].get("state") == state
        assert again.status == exchange.status


def test_what_never_existed_stays_as_it_is(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    values: list[Any] = [987654321, -1, 1.5, None, "x", True, []]
    for value in values:
        exchange = ctx.call("course.read", {"courseId": value}, as_="owner")
        (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        assert step.data == {"courseId": value}
        assert again.request.body == exchange.request.body


def test_an_identifier_in_another_type_and_at_depth(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    resource = run.resources.new("course", "owner")
    refs = [{"courseId": resource.id, "isRequired": True}]
    data = {"title": "t", "prerequisites": refs, "courseId": str(resource.id)}
    exchange = ctx.call("course.add", data, as_="owner")
    (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
    first = step.data["prerequisites"][0]["courseId"]["$object"]
    second = step.data["courseId"]["$text"][0]["$object"]
    assert first["name"] == second["name"]
    sent = body_of(again)["data"]
    assert sent["courseId"] == str(sent["prerequisites"][0]["courseId"])
    assert again.status == exchange.status


def test_data_that_looks_like_a_symbol_is_data(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    data: list[dict[str, Any]] = [
        {"$gt": ""},
        {"$text": ["x"]},
        {"$object": OBJECT},
        {"$secret": "wrong"},
        {"$literal": 1},
    ]
    for value in data:
        exchange = ctx.call("course.find", {"query": value}, as_="owner")
        _, (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        assert again.request.body == exchange.request.body


BODIES = [
    b"",
    b"{",
    b'{"method":"find","data":{"query":"\xff\xfe"}}',
    b'{"method":"find","data":{"query":"a"},"data":{}}',
    b'{"method":"find","data":{"maxPrice":1e400}}',
    b'{"method":"find","data":{"maxPrice":-0}}',
    b'{"method":"find","data":{"query":"\\ud800"}}',
    b'{ "method" : "find" }',
    b'{"data":{},"method":"find"}',
    b'{"method":"find","data":{"query":NaN}}',
    b'{"method":"find","data":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"method":"find","pageLength":' + b"9" * 5000 + b"}",
    b'{"method":"find","surplus":1}',
    b'{"method":7}',
    b"\x00\x01\xff" * 30,
    b"method=find",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_any_bytes_go_out_as_they_went(
    body: bytes, run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    token = run.sessions.of("owner").token
    exchange = ctx.caller.call("course.find", user="owner", token=token, body=body)
    (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
    assert again.request.body == body
    assert again.status == exchange.status
    assert again.function == exchange.function
    assert step.user == "owner"


def test_damaged_bodies_have_symbols_too(run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path) -> None:
    resource = run.resources.new("lesson", "owner", optional="none")
    token = run.sessions.of("owner").token
    for form in (
        '{"method":"read","data":{"lessonId": "%s",}}\xff',
        '{"method":"read","data":{"lessonId":"%s',
    ):
        body = (form % resource.id).encode("latin-1")
        exchange = ctx.caller.call("lesson.read", user="owner", token=token, body=body)
        _, (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        assert resource.id not in (tmp_path / file_name("REQ-8", "lesson.read", "k")).read_text("utf-8")
        assert len(again.request.body) == len(body)
        assert again.request.body != body
        pattern = re.escape(form).replace("%s", "(?P<id>[0-9a-f-]{36})").encode("latin-1")
        match = re.fullmatch(pattern, again.request.body)
        assert match is not None
        assert elsewhere.resources.resource("lesson", match["id"].decode(), "").user == "owner"


def test_how_it_is_sent_is_retained(run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path) -> None:
    token = run.sessions.of("owner").token
    body = ctx.caller.body("course.find", {"query": "x"})
    common: dict[str, Any] = {"user": "owner", "token": token}
    for options in (
        {"token_header": "TOKEN"},
        {"content_type": None},
        {"content_type": "text/plain"},
        {"chunked": True},
        {"headers": [("X-One", "1"), ("X-One", "2")]},
        {"target": "course/", "body": body},
        {"target": run.client.address.path + "/course", "body": body},
        {"target": "/elsewhere/%2e%2e/course", "body": body},
        {"verb": "PUT"},
        {"target": f"course?token={token}", "body": body},
        {"headers": [("Cookie", f"sid={token}")]},
    ):
        exchange = ctx.caller.call("course.find", {"query": "x"}, **common, **options)
        _, (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        theirs = elsewhere.sessions.of("owner").token

        def shown(raw: bytes) -> bytes:
            host = re.compile(rb"127\.0\.0\.1:[0-9]+")
            return host.sub(b"HOST", raw.replace(token.encode(), b"T").replace(theirs.encode(), b"T"))  # noqa: B023

        assert shown(again.request.raw) == shown(exchange.request.raw), options
        assert again.status == exchange.status


def test_a_request_that_is_no_http(run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path) -> None:
    token = run.sessions.of("owner").token
    head = run.client.head("POST", "course", [("Token", token)]).replace(b"\r\n", b"\n")
    body = ctx.caller.body("course.find", {})
    data = head + b"Content-Length: %d\n\n" % len(body) + body
    exchange, _ = run.client.send_bytes(data, function="course.find", user="owner")
    (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
    assert not step.plain
    address = elsewhere.client.address
    theirs = elsewhere.sessions.of("owner").token.encode()
    mine = run.client.address.authority.encode()
    assert again.request.raw == data.replace(token.encode(), theirs).replace(mine, address.authority.encode())
    assert again.status == exchange.status


@pytest.mark.parametrize(
    "violation",
    [str, str.upper, str.lower, str.swapcase, lambda s: s[:-1], lambda s: s[:6], lambda s: s + "x", lambda s: "x" + s],
    ids=["right", "upper", "lower", "swapped", "short", "shorter", "longer", "led"],
)  # fmt: skip
def test_no_password_is_reported_nor_part_of_one(
    violation: Any, run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    user = run.profile.users["owner"]
    secret = violation(user.secret)
    whole = ctx.caller.body("auth.login", {"identity": user.user, "credential": secret})
    spelled = whole.replace(secret.encode(), escaped(secret).encode()).replace(
        user.user.encode(), escaped(user.user).encode()
    )
    for body in (whole, whole.replace(b",", b" , ", 1), whole[:-2], whole[:-3], spelled):
        exchange = ctx.caller.call("auth.login", body=body)
        _, (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        text = (tmp_path / file_name("REQ-8", "auth.login", "k")).read_text("utf-8")
        assert user.secret[:6].lower() not in text.lower()
        assert user.user not in text
        assert again.request.body == body
        assert again.status == exchange.status


def test_what_had_to_be_masked_is_not_expected_to_do_the_same(run: Run, ctx: TestContext) -> None:
    secret = run.profile.users["owner"].secret
    hidden = "".join(f"%{byte:02x}" for byte in secret.encode())
    exchange = ctx.call("course.find", {"query": hidden}, as_="owner")
    event = run.recorder.event(a_finding(exchange, kind="masked", accepted=(400,)))
    assert event is not None
    (step,) = (given(event.case) or {})["steps"]
    assert step["data"] == {"query": "***"}
    assert "expect" not in step


def test_tokens_are_symbols_whosever_they_are(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    token = run.sessions.of("owner").token
    changed = "x" if token[3] != "x" else "y"
    for value in (
        *(token[:-1], token[:9], token[1:], token + "x", token + "y" * 4096, "x" + token),
        *(token[:3] + changed + token[4:], token.swapcase(), "", "x' OR '1'='1", "z" * 40, "\u00e9\u00ff"),
    ):  # fmt: skip
        exchange = ctx.caller.call("course.find", {}, user="owner", token=value, in_session=False)
        (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        assert step.user is None
        text = json.dumps(step.to_json())
        assert all(token[n : n + 8] not in text for n in range(len(token) - 7))
        theirs = elsewhere.sessions.of("owner").token
        sent = again.request.header("Token") or ""
        assert len(sent) == len(value)
        assert theirs[:9] in sent or token[:9] not in value
        assert theirs[-9:] in sent or token[-9:] not in value
        assert sent != theirs
        assert again.status == exchange.status
    without = ctx.call("course.find", {})
    (step,), (again,) = sent_again(run, elsewhere, without, tmp_path)
    assert again.request.header("Token") is None


def test_a_session_that_had_ended_is_ended_first(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    session = ctx.session("peer")
    before = ctx.call("course.find", {}, as_="peer", token=session.token)
    run.sessions.end(session)
    after = ctx.call("course.find", {}, as_="peer", token=session.token)
    assert (before.status, after.status) == (200, 401)
    assert len(sent_again(run, elsewhere, before, tmp_path)[0]) == 1
    (first, second), (ended, again) = sent_again(run, elsewhere, after, tmp_path)
    assert (first.function, first.session, second.session) == ("auth.logout", 1, 1)
    assert (ended.status, again.status) == (200, 401)
    # The session that others use is not the one that was ended.
    assert elsewhere.sessions.of("peer").open


def test_a_key_login_is_signed_anew(run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path) -> None:
    signed = run.sessions.key_login_data("1700000000000")
    headers = [(f"X-Coursio-{name}", value) for name, value in signed.items()]
    by_data = ctx.call("auth.loginHmac", signed)
    by_headers = ctx.call("auth.loginHmac", headers=headers)
    wrong = ctx.call("auth.loginHmac", {**signed, "hmac": signed["hmac"][::-1]})
    assert (by_data.status, by_headers.status) == (200, 200)
    assert wrong.status in (400, 401, 403)
    for exchange in (by_data, by_headers, wrong):
        (step,), (again,) = sent_again(run, elsewhere, exchange, tmp_path)
        assert signed["hmac"] not in json.dumps(step.to_json())
        assert again.status == exchange.status


def test_a_session_of_the_clients_own_choosing_is_chosen_again(
    run: Run, elsewhere: Run, ctx: TestContext, tmp_path: Path
) -> None:
    right = run.sessions.credentials("owner")
    ctx.caller.call("auth.login", right, token="chosenByTheClient0")
    exchange = ctx.caller.call("auth.status", {}, user="owner", token="chosenByTheClient0")
    steps, (login, again) = sent_again(run, elsewhere, exchange, tmp_path)
    assert [step.function for step in steps] == ["auth.login", "auth.status"]
    assert login.status == 200
    assert login.request.header("Token") == again.request.header("Token")
    assert again.status == exchange.status == 401


def test_what_may_write_is_known(run: Run) -> None:
    def one(**members: Any) -> bool:
        return writes(a_case(Step(**members)), run.catalog)

    deleted = {"$object": {"kind": "course", "of": "owner", "name": "c", "state": "deleted"}}
    assert not one(function="course.read", data={"courseId": OBJECT})
    assert one(function="course.read", data={"courseId": deleted})
    assert one(function="course.add", data={})
    assert one(function="course.unheardOf", data={})
    assert one(function="course.read", body="{")
    assert one(function="course.read", verb="DELETE")
