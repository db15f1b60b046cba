"""The server of `conform explore`: what it forwards, judges and hides, and which clients it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from conformance.cases.format import Case
from conformance.commands.explorer_server import Explorer
from conformance.engine.harness import Harness, Request
from conformance.rulebook import RULES
from conformance.rulebook.records import FILE, text
from tests.support.exploring import PROFILE, ROOT, Explore, Target, embedded, exploring, target
from tests.support.recording import ran
from tests.support.service_client import PASSWORDS

FAULTS = ("envelope.blank-message", "security.no-nosniff-on-404")


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with embedded(*FAULTS) as url:
        yield url


@pytest.fixture(scope="module")
def explore(service: str) -> Iterator[Explore]:
    with exploring("--target", service, "--profile", str(PROFILE)) as running:
        yield running


@pytest.fixture(scope="module")
def retained() -> Iterator[Target]:
    with target() as made:
        yield made


PLAIN = """
[target]
url = "{url}"
headers = {{ "X-Gate" = "gate-secret" }}
{more}
[auth]
login = {{ function = "auth.login", user = "name", secret = "word" }}
logout = "auth.logout"
[users.one]
user = "one@example.com"
secret = "the-password-of-one"
"""


@pytest.fixture(scope="module")
def plain(retained: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explore]:
    path = tmp_path_factory.mktemp("plain") / "conform.toml"
    path.write_text(PLAIN.format(url=retained.url, more=""), "utf-8")
    with exploring("--profile", str(path)) as running:
        yield running


def verdicts(answer: Any) -> dict[str, str]:
    return {each["id"]: each["verdict"] for each in answer["verdicts"]}


# --- who may ask


def test_the_page_is_given_to_whoever_has_its_address(explore: Explore) -> None:
    page = explore.request("GET", explore.path)
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "'unsafe" not in page.headers["content-security-policy"]
    assert not any(name.lower().startswith("access-control") for name in page.headers)
    for name in ("style.css", "app.js", "icon.svg", "catalogue.json"):
        assert explore.request("GET", explore.path + name).status == 200
    assert explore.request("HEAD", explore.path).body == b""


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/app.js", "//", "/%2e%2e/"])
def test_without_the_key_there_is_nothing(explore: Explore, path: str) -> None:
    reply = explore.request("GET", path)
    assert reply.status == 403
    assert explore.key.encode() not in reply.body


@pytest.mark.parametrize(
    "name", ["../conform.py", "__init__.py", "index.html", "rules.json", "%2e%2e/x", "nothing"]
)
def test_no_other_file_is_given(explore: Explore, name: str) -> None:
    assert explore.request("GET", explore.path + name).status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_name_bound_to_the_loopback_address_elsewhere_is_of_no_use(explore: Explore, host: str) -> None:
    named = host.format(port=explore.port)
    reply = explore.request("GET", explore.path, headers={"Host": named})
    assert reply.status == 421
    assert explore.request("GET", explore.path, headers={"Host": f"localhost:{explore.port}"}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"X_Explorer_Key": "wrong"},
        {"X_Explorer_Key": ""},
    ],
)
def test_only_the_page_may_call(plain: Explore, retained: Target, headers: dict[str, str]) -> None:
    before = len(retained.got)
    content = {"verb": "POST", "endpoint": "sys", "headers": [], "body": "{}"}
    reply = plain.ask("call", content, **headers)
    assert reply.status == 403
    assert not any(name.lower().startswith("access-control") for name in reply.headers)
    assert len(retained.got) == before


def test_a_crash_of_ours_is_reported_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness.prepare(Request(target="http://127.0.0.1:1/", verb="explore"))
    app = Explorer(harness, port=80)

    def crash(*_: object) -> NoReturn:
        raise KeyError("odd")

    monkeypatch.setattr(app, "_answer", crash)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asyncio.run(app({"type": "http", "method": "POST"}, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"] == "The explorer itself failed: KeyError: 'odd'"
    app.close()


def test_other_verbs_and_deeds_are_none(plain: Explore) -> None:
    assert (
        plain.request("OPTIONS", plain.path + "call", headers={"Origin": "http://evil.example"}).status == 405
    )
    assert plain.request("PUT", plain.path + "call").status == 405
    assert plain.ask("shutdown", {}).status == 405
    assert plain.ask("call", ["no", "object"]).status == 400


# --- what is passed on


def test_a_call_goes_out_exactly_as_typed(plain: Explore, retained: Target) -> None:
    body = '{ "method":"x",\n "data": {"n": 1e400, "é": "\\ud800"} } trailing'
    reply = plain.raw(
        "Odd/..;x?q=%00", body, verb="PATCH", headers=[["X-Own", "a  b"], ["content-type", "text/odd"]]
    )
    assert reply.status == 200
    head, _, sent = retained.got[-1].partition(b"\r\n\r\n")
    assert head.startswith(b"PATCH /base/api/Odd/..;x?q=%00 HTTP/1.1\r\n")
    assert sent == body.encode()
    lines = head.split(b"\r\n")
    assert b"X-Own: a  b" in lines
    assert b"content-type: text/odd" in lines
    assert b"X-Gate: gate-secret" in lines
    assert sum(line.lower().startswith(b"content-type") for line in lines) == 1


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_every_verb_is_sent(plain: Explore, retained: Target, verb: str) -> None:
    reply = plain.raw("sys", '{"method":"ping"}', verb=verb, headers=[])
    assert reply.status == 200
    assert retained.got[-1].startswith(f"{verb} /base/api/sys HTTP/1.1\r\n".encode())
    assert retained.got[-1].endswith(b'{"method":"ping"}')
    assert b"content-type" not in retained.got[-1].lower()


@pytest.mark.parametrize(
    "endpoint",
    ["http://evil.example/", "//evil.example/x", "/etc", "@evil.example", "..", "\\evil", "?x", "#x"],
)
def test_a_call_goes_to_the_target_alone(plain: Explore, retained: Target, endpoint: str) -> None:
    assert plain.raw(endpoint, "{}").status == 200
    assert retained.got[-1].startswith(f"POST /base/api/{endpoint} HTTP/1.1\r\nHost: 127.0.0.1:".encode())


@pytest.mark.parametrize(
    "more",
    [
        {"endpoint": "a b"},
        {"endpoint": "a\r\nX: y"},
        {"verb": "GE T"},
        {"verb": ""},
        {"verb": 7},
        {"headers": [["X", "a\r\nY: b"]]},
        {"headers": [["X:", "a"]]},
        {"headers": [["Host", "evil.example"]]},
        {"headers": [["content-length", "0"]]},
        {"headers": [["Transfer-Encoding", "chunked"]]},
        {"headers": "X: y"},
        {"session": "s-unknown"},
    ],
)
def test_what_would_make_another_request_of_it_is_refused(
    plain: Explore, retained: Target, more: dict[str, Any]
) -> None:
    before = len(retained.got)
    reply = plain.ask("call", {"verb": "POST", "endpoint": "sys", "headers": [], "body": "{}", **more})
    assert reply.status == 400
    assert reply.json["error"]
    assert len(retained.got) == before


def test_a_target_that_is_not_there_is_reported() -> None:
    with exploring("--target", "http://127.0.0.1:1/api/") as running:
        answer = running.call("sys.ping")
    assert answer["response"] is None
    assert "unreachable" in answer["failure"]


# --- what is judged


def test_the_rules_are_put_to_every_exchange(explore: Explore) -> None:
    answer = explore.call("sys.ping")
    assert answer["response"]["status"] == 200
    found = verdicts(answer)
    assert set(found.values()) == {"pass"}
    assert {"HTTP-4", "ENV-1", "ENV-6", "COD-1"} <= found.keys()
    assert all(RULES[rule].check is not None for rule in found)
    assert answer["curl"].startswith("curl -sS http://127.0.0.1:")


def test_a_broken_rule_is_shown_with_what_was_expected(explore: Explore) -> None:
    session = explore.ask("login", {"user": "owner"}).json["session"]["id"]
    assert verdicts(explore.call("course.read", {"courseId": 987654}, session))["SEC-5"] == "warn"
    refused = explore.call("user.find", session=session)
    assert refused["response"]["status"] == 403
    env5 = next(each for each in refused["verdicts"] if each["id"] == "ENV-5")
    assert env5["verdict"] == "fail"
    assert env5["level"] == "must"
    assert env5["expected"]
    assert "errMsg" in env5["actual"]


def test_a_waived_rule_is_waived(service: str, tmp_path: Path) -> None:
    profile = tmp_path / "conform.toml"
    catalog = (PROFILE.parent / "coursio.openrpc.json").as_posix()
    waiver = '\n[[waivers]]\nrule = "ENV-5"\nreason = "known"\nuntil = 2999-01-01\n'
    profile.write_text(PROFILE.read_text("utf-8").replace("coursio.openrpc.json", catalog) + waiver, "utf-8")
    with exploring("--target", service, "--profile", str(profile)) as running:
        session = running.ask("login", {"user": "owner"}).json["session"]["id"]
        assert verdicts(running.call("user.find", session=session))["ENV-5"] == "waived"


def test_the_rules_of_the_page_are_those_of_the_rulebook() -> None:
    assert (ROOT / FILE).read_text("utf-8") == text(), "python -m conformance.rulebook.records"


# --- sessions


def test_a_session_is_used_and_never_reported(explore: Explore) -> None:
    signed = explore.ask("login", {"user": "owner"})
    session = signed.json["session"]
    assert session["label"] == "owner"
    assert PASSWORDS["owner"].encode() not in signed.body
    body = json.loads(signed.json["response"]["body"])
    assert body["data"]["sessionId"] == "***"
    other = explore.ask("login", {"user": "peer"}).json["session"]

    mine = explore.call("auth.status", session=session["id"])
    theirs = explore.call("auth.status", session=other["id"])
    assert "owner@example.com" in mine["response"]["body"]
    assert "peer@example.com" in theirs["response"]["body"]
    assert mine["request"]["headers"]["Token"] == "***"
    assert explore.call("auth.status")["response"]["status"] == 401

    ended = explore.ask("logout", {"session": session["id"]})
    assert ended.json["response"]["status"] == 200
    assert explore.ask("logout", {"session": session["id"]}).status == 400
    # One logged out by a call is gone, too.
    answer = explore.call("auth.logout", session=other["id"])
    assert answer["ended"] == other["id"]
    assert explore.raw("auth", "{}", session=other["id"]).status == 400


def test_what_is_typed_signs_in_too(explore: Explore) -> None:
    typed = explore.ask("login", {"identity": "admin@example.com", "credential": PASSWORDS["admin"]})
    assert typed.json["session"]["label"] == "admin"
    assert explore.call("sys.stats", session=typed.json["session"]["id"])["response"]["status"] == 200
    wrong = explore.ask("login", {"identity": "admin@example.com", "credential": "Wrong-Password-77"})
    assert wrong.json["session"] is None
    assert wrong.json["response"]["status"] in (400, 401, 403)
    assert b"Wrong-Password-77" not in wrong.body
    called = explore.call("auth.login", {"identity": "peer@example.com", "credential": PASSWORDS["peer"]})
    assert called["session"]["label"] == "peer"
    assert PASSWORDS["peer"] not in json.dumps(called)
    assert explore.ask("login", {"user": "nobody"}).status == 400


def test_secrets_of_the_profile_are_masked_wherever_they_come_back(plain: Explore, retained: Target) -> None:
    retained.answer = b'{"isError":true,"errMsg":"the-password-of-one very-secret-session-1","data":null}'
    signed = plain.ask("login", {"user": "one"})
    answer = plain.call("x.y", session=signed.json["session"]["id"])
    assert b"Token: very-secret-session-1" in retained.got[-1]
    reported = signed.body.decode() + json.dumps(answer)
    assert "very-secret-session-1" not in reported
    assert "the-password-of-one" not in reported


def test_the_end_logs_out(tmp_path: Path) -> None:
    with target() as made:
        path = tmp_path / "conform.toml"
        path.write_text(PLAIN.format(url=made.url, more=""), "utf-8")
        with exploring("--profile", str(path)) as running:
            running.ask("login", {"user": "one"})
        assert running.process.returncode == 0
        assert made.got[-1].endswith(b'{"method":"logout"}')
        assert b"Token: very-secret-session-1" in made.got[-1]


# --- what may be written to


def test_a_target_that_is_only_read_is_only_read(service: str) -> None:
    with exploring("--target", service, "--profile", str(PROFILE), "--read-only") as running:
        session = running.ask("login", {"user": "owner"}).json["session"]["id"]
        assert running.call("course.find", session=session)["response"]["status"] == 200
        for content in (
            {"endpoint": "course", "body": '{"method":"add","data":{"title":"x"}}'},
            {"endpoint": "course", "body": '{"method":"find"}', "verb": "PUT"},
            {"endpoint": "course", "body": "no JSON"},
        ):
            reply = running.raw(**{"session": session, **content})
            assert reply.status == 403
            assert "--read-only" in reply.json["error"]


def test_a_production_host_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "conform.toml"
    path.write_text(
        PLAIN.format(url="http://api.example.com/", more='production = ["api.example.com"]'), "utf-8"
    )
    status, _, err = ran("explore", "--profile", path, cwd=ROOT)
    assert status == 2
    assert err.count("\n") == 1
    assert "production" in err


def test_a_port_that_is_taken_is_reported(explore: Explore) -> None:
    status, _, err = ran("explore", "--target", "http://127.0.0.1:1/", "--port", str(explore.port), cwd=ROOT)
    assert status == 2
    assert err.startswith(f"conform explore: --port {explore.port}: cannot listen there")


# --- case files


def test_a_call_is_saved_as_a_case_and_plays(explore: Explore, service: str, tmp_path: Path) -> None:
    session = explore.ask("login", {"user": "owner"}).json["session"]["id"]
    broken = explore.ask("case", {"id": explore.call("user.find", {"query": "x"}, session)["id"]}).json
    assert broken["case"]["rule"] == "ENV-5"
    case = Case.from_json(broken["case"])
    assert case.steps[0].user == "owner"
    assert case.steps[0].data == {"query": "x"}
    retained = explore.ask("case", {"id": explore.call("course.find", {"sort": "title"}, session)["id"]}).json
    assert retained["case"]["steps"][0]["expect"] == {"status": [200]}
    unusual = explore.raw("course", '{"method": "find", "data": 1.0}', session=session, verb="PUT").json
    third = explore.ask("case", {"id": unusual["id"]}).json
    assert third["case"]["steps"][0]["body"] == '{"method": "find", "data": 1.0}'
    assert third["case"]["steps"][0]["verb"] == "PUT"
    paths = []
    for each in (broken, retained, third):
        Case.from_json(each["case"])
        paths.append(tmp_path / each["name"])
        paths[-1].write_text(json.dumps(each["case"]), "utf-8")
    status, out, err = ran("replay", *paths, "--target", service, "--profile", PROFILE, cwd=ROOT)
    assert status == 1, out + err
    assert out.count("as expected now") >= 2, out


def test_a_case_holds_no_secret(explore: Explore) -> None:
    login = {"identity": "peer@example.com", "credential": PASSWORDS["peer"]}
    answer = explore.call("auth.login", login)
    case = explore.ask("case", {"id": answer["id"]}).json["case"]
    assert case["steps"][0]["data"] == {
        "identity": {"$user": "peer"},
        "credential": {"$secret": "users.peer.secret"},
    }
    quoted = explore.call("course.find", {"query": f"my {PASSWORDS['peer']}"})
    reply = explore.ask("case", {"id": quoted["id"]})
    assert reply.status == 400
    assert "secret" in reply.json["error"]
    assert explore.ask("case", {"id": "e-none"}).status == 400
