"""The rulebook is whole, its examples are judged as they say, and its checks bear whatever a server sends."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.catalog.contract import Contract
from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.redaction import SecretRegistry
from conformance.rulebook import RULES, Rule
from conformance.rulebook.envelope import json_types
from conformance.rulebook.leak_patterns import _PATTERNS, scan
from conformance.rulebook.model import AREAS, Outcome, no_reply, reply, shown
from conformance.rulebook.naming import is_camel_case

#: The rulebook's ids in their order, as levels: m for a must, s for a should.
LEVELS = {
    "HTTP": "mmsmsssm",
    "REQ": "mmmmmmmmmsms",
    "ENV": "mmmmmmmssm",
    "COD": "mmmmmmmmsm",
    "AUT": "mmmmmmsmmsmsmssm",
    "ACC": "mmmm",
    "PAG": "mmmmmmmm",
    "NAM": "mms",
    "DAT": "mmmmmmmms",
    "STA": "mmmmmm",
    "SEC": "mmmsss",
}
#: The rules that one exchange is enough to judge.
PURE = [
    *("HTTP-4", "HTTP-5"),
    *(f"ENV-{number}" for number in range(1, 11)),
    *("COD-1", "COD-2", "COD-8", "NAM-1", "SEC-2", "SEC-3", "SEC-5"),
]

EVERY = list(RULES.values())
CHECKED = [rule for rule in EVERY if rule.check is not None]


def judge(rule_id: str, exchange: Exchange) -> Outcome:
    check = RULES[rule_id].check
    assert check is not None
    return check(exchange)


def broken_by(exchange: Exchange) -> set[str]:
    return {rule.id for rule in CHECKED if judge(rule.id, exchange).broken}


def judged_of(exchange: Exchange) -> set[str]:
    return {rule.id for rule in CHECKED if judge(rule.id, exchange).judged}


def test_ids_levels_and_order() -> None:
    names = {"m": "must", "s": "should"}
    table = [(f"{area}-{i}", names[level]) for area, row in LEVELS.items() for i, level in enumerate(row, 1)]
    assert [(rule.id, str(rule.level)) for rule in EVERY] == table
    assert list(RULES) == [rule.id for rule in EVERY]
    assert list(AREAS) == list(LEVELS)
    assert len(EVERY) == 92


def test_pure_rules_are_those() -> None:
    assert [rule.id for rule in CHECKED] == PURE


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.id)
def test_every_record_speaks(rule: Rule) -> None:
    for text in (rule.clause, rule.title, rule.why):
        assert text.strip() == text != ""
        assert "\n" not in text
    assert len(rule.title) <= 100
    assert "«" in rule.clause or rule.clause.startswith(("wire", "hardening")) or rule.check is not None
    assert rule.clause.count("«") == rule.clause.count("»")
    if rule.level == "should":
        assert rule.clause.startswith(("wire", "hardening"))
    assert rule.record().area in AREAS


@pytest.mark.parametrize("rule", CHECKED, ids=lambda rule: rule.id)
def test_examples_are_judged_as_they_say(rule: Rule) -> None:
    assert len(rule.passes) >= 2
    assert len(rule.fails) >= 3
    for number, exchange in enumerate(rule.passes):
        outcome = judge(rule.id, exchange)
        assert outcome.judged, f"passes[{number}] was not judged: {exchange.response}"
        assert not outcome.broken, f"passes[{number}] fails: {outcome}"
    for number, exchange in enumerate(rule.fails):
        outcome = judge(rule.id, exchange)
        assert outcome.broken, f"fails[{number}] passes: {exchange.response}"
        assert outcome.judged
        assert 0 < len(outcome.kind) <= 80
        assert 0 < len(outcome.expected) <= 250
        assert 0 < len(outcome.actual) <= 250


@pytest.mark.parametrize("rule", [rule for rule in EVERY if rule.check is None], ids=lambda rule: rule.id)
def test_conversations_have_no_examples(rule: Rule) -> None:
    assert rule.passes == rule.fails == ()


def test_a_conforming_reply_breaks_nothing() -> None:
    good = reply(200, isError=False, errMsg=None, data={"courseId": 1})
    assert broken_by(good) == set()
    refusal = reply(404, isError=True, errMsg="No such course", data=None)
    assert broken_by(refusal) == set()


# One cause, one finding


@pytest.mark.parametrize("missing", ["isError", "errMsg", "data"])
def test_a_missing_member_is_one_finding(missing: str) -> None:
    members: dict[str, object] = {"isError": False, "errMsg": None, "data": {}}
    del members[missing]
    assert broken_by(reply(200, body=json.dumps(members).encode())) == {"ENV-1"}


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"isError":false,"errMsg":null,"data":{}}',
        b'{"isError":false,"errMsg":null,"data":{}} x',
        b'{"isError":false,"errMsg":null,"data":{"a":NaN}}',
        b'{"isError":false,"errMsg":null,"data":{"a":1,"a":2}}',
        b'{"isError":false,"errMsg":null,"data":{"a":"\xff"}}',
        b'{"isError":false,"errMsg":null,"data":{"a":"\t"}}',
    ],
)
def test_an_invalid_envelope_is_one_finding(body: bytes) -> None:
    assert broken_by(reply(200, body=body)) == {"HTTP-4"}


def test_a_page_in_place_of_the_envelope_is_three() -> None:
    page = reply(404, body=b"<h1>Not Found</h1>", headers=(("Content-Type", "text/html"),), in_session=False)
    assert broken_by(page) == {"HTTP-4", "HTTP-5", "ENV-1"}


def test_an_empty_answer_to_a_post() -> None:
    assert broken_by(reply(400, body=b"")) == {"HTTP-4", "ENV-1"}


# What a rule has nothing to say of


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "garbled", "oversize"])
def test_without_an_answer_nothing_is_judged(kind: str) -> None:
    assert judged_of(no_reply(kind)) == set()


def test_a_closed_connection_is_one_finding() -> None:
    assert judged_of(no_reply("closed")) == broken_by(no_reply("closed")) == {"COD-8"}
    assert judged_of(no_reply("closed", verb="PUT")) == {"COD-8"}
    assert judged_of(no_reply("closed", well_formed=False)) == set()


def test_other_verbs_and_unusual_requests() -> None:
    assert judged_of(reply(405, body=b"", verb="HEAD")) == {"COD-8"}
    assert judged_of(reply(405, body=b"", verb="GET")) == {"COD-8"}
    assert judged_of(reply(404, body=b"no", verb="GET")) == {"HTTP-4", "HTTP-5", "COD-8", "SEC-2"}
    assert judged_of(reply(400, body=b"Bad Request", well_formed=False)) == {"COD-8", "SEC-2"}
    for status in (501, 505):
        assert not judge("COD-8", reply(status, body=b"", verb="GET")).judged
        assert not judge("COD-8", reply(status, body=b"", well_formed=False)).judged
        assert judge("COD-8", reply(status, body=b"")).broken


def test_a_depth_past_reading_is_not_judged() -> None:
    deep = b'{"isError":false,"errMsg":null,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    exchange = reply(200, body=deep)
    assert exchange.json.error is not None
    assert broken_by(exchange) == set()
    assert not judge("HTTP-4", exchange).judged
    assert not judge("ENV-1", exchange).judged


def test_an_answer_outside_a_session_may_be_cached() -> None:
    open_answer = reply(200, body=b"{}", headers=(), in_session=False)
    assert not judge("SEC-5", open_answer).judged


def test_both_seals_have_kinds_of_their_own() -> None:
    kinds = {judge("SEC-5", exchange).kind for exchange in RULES["SEC-5"].fails}
    assert kinds == {"cacheable", "not nosniff", "cacheable, and not nosniff"}


# The contract


def _typed(data: object) -> str | None:
    return None if isinstance(data, dict) and "courseId" in data else "/courseId is missing"


def _inner(data: object, known: Collection[str]) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for name in data:
            yield f"/{name}", name


@pytest.mark.parametrize("rule_id", PURE)
def test_checks_work_with_a_contract(rule_id: str) -> None:
    contract = Contract("course.read", frozenset({"object"}), _typed, _inner)
    secret_registry = SecretRegistry()
    secret_registry.password("Tr0ub4dor&3")
    good = reply(
        200,
        isError=False,
        errMsg=None,
        data={"courseId": 1},
        contract=contract,
        secret_registry=secret_registry,
    )
    assert not judge(rule_id, good).broken
    bad = reply(
        200,
        isError=False,
        errMsg=None,
        data={"course_id": 1},
        contract=contract,
        secret_registry=secret_registry,
    )
    assert judge(rule_id, bad).broken == (rule_id in {"ENV-10", "NAM-1"})


@pytest.mark.parametrize(
    "error", [RecursionError(), UnicodeEncodeError("utf-8", "x", 0, 1, ""), OverflowError()]
)
def test_data_that_a_schema_cannot_read_is_not_judged(error: Exception) -> None:
    def refuse(data: object) -> str | None:
        raise error

    exchange = reply(
        200, isError=False, errMsg=None, data={}, contract=Contract("course.read", mismatch=refuse)
    )
    assert not judge("ENV-10", exchange).judged


def test_error_data_is_not_held_against_the_result() -> None:
    contract = Contract("course.read", frozenset({"object"}), _typed)
    refusal = reply(404, isError=True, errMsg="No such course", data=None, contract=contract)
    assert not judge("ENV-10", refusal).judged
    assert not judge("ENV-7", refusal).judged


@pytest.mark.parametrize(
    ("value", "types"),
    [
        (None, {"null"}),
        (True, {"boolean"}),
        (1, {"integer", "number"}),
        (1.0, {"integer", "number"}),
        (1.5, {"number"}),
        (float("inf"), {"number"}),
        ("", {"string"}),
        ([], {"array"}),
        ({}, {"object"}),
    ],
)
def test_types_of_json(value: object, types: set[str]) -> None:
    assert json_types(value) == types


@pytest.mark.parametrize("name", ["a", "courseId", "x2y", "aBC", "straße", "名前", "é1"])
def test_camel_case(name: str) -> None:
    assert is_camel_case(name)


@pytest.mark.parametrize(
    "name", ["", "A", "Ab", "_a", "a_b", "a-b", "a b", "a$", "1a", "É", "ǅa", "a.b", "a\u00b2"]
)
def test_not_camel_case(name: str) -> None:
    assert not is_camel_case(name)


def test_the_place_of_a_name_is_reported() -> None:
    exchange = reply(
        200, isError=False, errMsg=None, data={"rows": [{"id": 1}, {"owner": {"first_name": 1}}]}
    )
    assert judge("NAM-1", exchange).actual == "'first_name' at '/data/rows/1/owner/first_name'"


# Secrets


def test_a_glance_misses_nothing_that_a_look_finds() -> None:
    for exchange in RULES["SEC-2"].fails:
        assert exchange.response is not None
        for text in (exchange.response.body.decode(), str(exchange.message)):
            slow = [
                (kind, found.group()) for kind, _, pattern in _PATTERNS for found in pattern.finditer(text)
            ]
            assert list(scan(text)) == slow


def test_findings_report_no_secrets() -> None:
    secret_registry = SecretRegistry()
    secret_registry.password("Tr0ub4dor&3")
    secret_registry.session("c0ffee0123456789", "admin")
    for data in ({"session": "c0ffee0123456789"}, ["Tr0ub4dor&3"], "x" * 110 + "Tr0ub4dor&3"):
        for status, failed in ((400, True), (200, False), (500, True)):
            message = f"Tr0ub4dor&3 {data}"
            exchange = reply(
                status, isError=failed, errMsg=message, data=data, secret_registry=secret_registry
            )
            for rule in CHECKED:
                outcome = judge(rule.id, exchange)
                reported = outcome.kind + outcome.expected + outcome.actual
                assert "Tr0ub4" not in reported
                assert "c0ffee" not in reported


def test_a_login_reports_no_session_that_nobody_knows_yet() -> None:
    exchange = reply(401, isError=True, errMsg="No", data={"sessionId": "fresh-and-unknown"}, login=True)
    assert "fresh" not in judge("ENV-8", exchange).actual


def test_shown_is_short() -> None:
    exchange = no_reply("timeout")
    assert shown("x" * 10_000, exchange) == repr("x" * 119 + "…")
    assert len(shown(["x" * 1000] * 1000, exchange)) <= 160
    assert shown({"a": None, "b": [True, 1.5]}, exchange) == '{"a": null, "b": [true, 1.5]}'
    assert shown(["é\u202e\ud800"], exchange) == '["é\\u202e\\ud800"]'
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep, exchange) == "[[[[…]]]]"


# Whatever a server sends

_names = st.sampled_from(["isError", "errMsg", "data", "a_b", "x", ""]) | st.text(max_size=8)
_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        [f"{m}{s}" for m in ("SELECT a FROM b", "/etc/passwd", "KeyError", "at x") for s in ("", "\ud800")]
    )
)
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=5),
    max_leaves=12,
)
_envelopes = st.fixed_dictionaries(
    {}, optional={"isError": _json, "errMsg": _json, "data": _json, "time": _json, "b_c": _json}
)
_bodies = st.binary(max_size=200) | (_json | _envelopes).map(lambda value: json.dumps(value).encode("ascii"))
_headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["Content-Type", "content-type", "Cache-Control", "X-Content-Type-Options", "X-Other", ""]
        ),
        st.sampled_from(["application/json", "no-store", "private", "nosniff", '"', "", ",,;=", "a;charset="])
        | st.text(max_size=30),
    ),
    max_size=5,
)
_TOTAL = Contract("course.read", None, lambda data: None if data else "/ is empty", _inner)


@settings(max_examples=400, deadline=None)
@given(
    status=st.integers(100, 999) | st.sampled_from([200, 400, 500]),
    headers=_headers,
    body=_bodies,
    sent=_bodies,
    verb=st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "ODD", ""]),
    url=st.sampled_from(["http://host/api/course", "", "/%zz", "http://host", "*"]) | st.text(max_size=20),
    well_formed=st.booleans(),
    contract=st.sampled_from([None, _TOTAL, Contract("course.find", frozenset({"array"}))]),
    login=st.booleans(),
    user=st.sampled_from([None, "owner"]),
)
@example(200, [], b"", b"", "POST", "", True, None, False, None)
@example(
    400,
    [],
    b'{"errMsg":"\\ud800 KeyError"}',
    b'{"\\ud800":"\\udfff"}',
    "POST",
    "\ud800",
    True,
    None,
    True,
    None,
)
@example(
    200, [("Content-Type", "\u20ac")], b"{}", b"\xff\xfe", "POST", "http://[", True, _TOTAL, False, "owner"
)
@example(500, [], b"[" * 5000, b"[" * 5000, "POST", "", True, None, False, None)
@example(
    200,
    [],
    b'{"isError":1e999,"errMsg":' + b"9" * 5000 + b',"data":-0}',
    b"",
    "POST",
    "",
    True,
    None,
    False,
    None,
)
def test_checks_never_raise(
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    sent: bytes,
    verb: str,
    url: str,
    well_formed: bool,
    contract: Contract | None,
    login: bool,
    user: str | None,
) -> None:
    secret_registry = SecretRegistry()
    secret_registry.password("Tr0ub4dor\ud800&3")
    secret_registry.session("c0ffee0123456789", "admin")
    exchange = Exchange(
        Request(verb, url, tuple(headers), sent, well_formed=well_formed),
        Response(status, tuple(headers), body),
        user=user,
        in_session=True,
        contract=contract,
        secret_registry=secret_registry,
        login=login,
    )
    for rule in CHECKED:
        outcome = judge(rule.id, exchange)
        if outcome.broken:
            assert outcome.judged
            assert outcome.kind
            assert outcome.expected
            assert outcome.actual
            assert len(outcome.actual) <= 300


def test_a_failure_and_no_failure() -> None:
    for failure in (None, Failure("closed", ""), Failure("new kind", "")):
        exchange = Exchange(Request("POST", "", (), b""), failure=failure)
        assert judged_of(exchange) <= {"COD-8"}


def test_an_echo_is_no_leak_and_a_leak_beside_it_is() -> None:
    def refused(message: str, sent: bytes) -> bool:
        return judge("SEC-2", reply(400, isError=True, errMsg=message, data=None, sent=sent)).broken

    long = "SELECT name FROM course; " * 4000
    sent = json.dumps({"method": "find", "data": {"query": long}}).encode()
    assert not refused(f"No course is called {long}", sent)
    assert not refused(f"No course is called {long[:777]}…", sent)
    assert not refused(f"Cannot read {sent[:200]!r}", sent)
    assert refused(f"No course is called {long[:777]}… (ORA-00942)", sent)
    assert not refused("KEYERROR is no title", b'{"data":{"title":"\\u004beyError"}}')
    assert refused("sqlite3.OperationalError: 'KeyError'", b'{"data":{"title":"KeyError"}}')


@pytest.mark.parametrize(
    ("content_type", "judged"),
    [
        ("text/plain; charset=us-ascii", False),
        ("application/json;Charset = 'iso-8859-1'", False),
        ("application/json; charset=UTF-8", True),
        ('application/json; charset="utf-8"', True),
        ("text/plain", True),
    ],
)
def test_a_refused_charset_is_a_matter_of_http_6_alone(content_type: str, judged: bool) -> None:
    sent = (("Content-Type", content_type),)
    refusal = reply(415, sent_headers=sent, isError=True, errMsg="No", data=None)
    assert judge("COD-2", refusal).judged is judged
