"""What the cheap ways of judging let pass, every rule of the rulebook lets pass as well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import events
from conformance.catalog.contract import Contract
from conformance.catalog.model import Catalog
from conformance.protocol.exchange import Exchange, Request, Response, field_bytes
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import SecretRegistry
from conformance.rulebook import RULES
from load.validation import validator as judging
from load.validation import verdicts
from load.validation.secret_finder import SecretFinder
from load.validation.validator import AnswerValidator, Outcome

URL = "http://127.0.0.1:1/api/"
SEALED = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass
class Head:
    status: int
    headers: Sequence[tuple[str, str]]
    version: str = "1.1"
    verdicts: dict[Any, Any] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers)]
        return field_bytes("\r\n".join(lines) + "\r\n\r\n")


@dataclass
class VirtualUser:
    user: str | None


@dataclass
class Call:
    raw: bytes
    virtual_user: VirtualUser | None = None
    expects: frozenset[int] | None = None
    function: str = "course.read"
    index: int = 0


@dataclass
class Reply:
    answer: Head
    body: bytes = b""
    failure: str | None = None
    detail: str = ""
    sent: float = 1.0
    done_at: float = 1.5
    opened: bool = True
    met: bool = True


def success(data: Any = None, **more: Any) -> bytes:
    envelope = {"isError": False, "errMsg": None, "data": {} if data is None else data, **more}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def error(message: str) -> bytes:
    return json.dumps({"isError": True, "errMsg": message, "data": None}, separators=(",", ":")).encode()


def reply(body: bytes, status: int = 200, headers: Sequence[tuple[str, str]] = SEALED) -> Reply:
    return Reply(Head(status, headers), body)


def raw_of(request: Request) -> bytes:
    path = "/" + request.url.partition("://")[2].partition("/")[2]
    lines = [f"{request.verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    return field_bytes("\r\n".join(lines)) + b"\r\n\r\n" + request.body


CALL = Call(b'POST /api/course HTTP/1.1\r\nToken: t\r\n\r\n{"method":"read"}', VirtualUser("owner"))
PUBLIC = Call(b'POST /api/course HTTP/1.1\r\n\r\n{"method":"read"}')


def judge_of(
    *,
    contract: Contract | None = None,
    secret_registry: SecretRegistry | None = None,
    extra: frozenset[str] = frozenset(),
    login: bool = False,
    **options: Any,
) -> AnswerValidator:
    """Return a judge of one function with these settings."""
    options = {"sample": 0.0, "keep": 1, **options}
    judge = AnswerValidator(
        Profile.empty(URL),
        Catalog({}),
        secret_registry or SecretRegistry(),
        functions=["course.read"],
        **options,
    )
    judge._extra = extra
    judge._readings[0].contract = contract
    judge._readings[0].login = login
    return judge


def truth(judge: AnswerValidator, call: Call, answered: Reply) -> tuple[tuple[str, ...], set[str]]:
    """Return the rules that an answer breaks, and those that judge it, as the rulebook says it."""
    reading = judge._readings[0]
    head, _, body = call.raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    exchange = Exchange(
        Request(
            "POST",
            "http://127.0.0.1:1" + first.split(" ")[1],
            tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines)),
            body,
            call.raw,
        ),
        Response(answered.answer.status, tuple(answered.answer.headers), answered.body),
        function="course.read",
        user=call.virtual_user.user if call.virtual_user else None,
        in_session=call.virtual_user is not None,
        contract=reading.contract,
        secret_registry=judge.secret_registry,
        login=reading.login,
        envelope_extra=judge._extra,
    )
    outcomes = {rule.id: rule.check(exchange) for rule in RULES.values() if rule.check}
    broken = tuple(name for name, outcome in outcomes.items() if outcome.broken and name != "ENV-10")
    return broken, {name for name, outcome in outcomes.items() if outcome.judged and name != "ENV-10"}


def put(judge: AnswerValidator, call: Call, answered: Reply) -> bool:
    """Judge an answer, hold it against the rulebook, and return whether it went a cheap way."""
    before, slow = judge.rules(), judge.slow
    outcome = judge.outcomes[judge.judge(call, answered)]
    cheap = judge.slow == slow
    broken, judged = truth(judge, call, answered)
    assert tuple(name for name in outcome.rules if name != "ENV-10") == broken, answered
    after = judge.rules()
    grown = {name for name in after if after[name]["judged"] != before.get(name, {"judged": 0})["judged"]}
    assert grown - {"ENV-10"} == judged, (answered, cheap)
    hit = {name for name in after if after[name]["broken"] != before.get(name, {"broken": 0})["broken"]}
    assert hit - {"ENV-10"} == set(broken)
    return cheap


EXAMPLES = [
    (rule.id, exchange)
    for rule in RULES.values()
    for exchange in (*rule.passes, *rule.fails)
    if exchange.response is not None
    and exchange.is_post
    # All requests of a load have the same headers, and none names content codings.
    and not any(name == "Accept-Encoding" for name, _ in exchange.request.headers)
    # A load sends the members that the catalogue declares, so an answer never repeats an unusual one (NAM-1).
    and b'"Method"' not in exchange.request.body
]
GOOD = [
    success(),
    success({"courseId": 1, "title": "Knots"}),
    success({"title": "Knots"}),
    success({"rows": [{"courseId": 1, "owner": {"firstName": "Åsa", "price": 12.5}}, {"courseId": 2}]}),
    success({"rows": [], "sessionId": "5f2c9a7e41d84b06"}),
    success([]),
    success([{"id": 1}, {"id": 2}]),
    success(time=3),
]
WRONG = [error("No such course"), error("No"), error("TypeError: x")]


def settings_of(exchange: Exchange, **options: Any) -> AnswerValidator:
    return judge_of(
        contract=exchange.contract,
        secret_registry=exchange.secret_registry,
        extra=exchange.envelope_extra,
        login=exchange.login,
        **options,
    )


def call_of(exchange: Exchange) -> Call:
    virtual_user = VirtualUser(exchange.user) if exchange.in_session else None
    return Call(raw_of(exchange.request), virtual_user)


@pytest.mark.parametrize(("rule", "exchange"), EXAMPLES, ids=[rule for rule, _ in EXAMPLES])
@pytest.mark.parametrize("keep", [0, 1])
def test_every_example_is_judged_as_the_rules_do(rule: str, exchange: Exchange, keep: int) -> None:
    judge = settings_of(exchange, keep=keep)
    call = call_of(exchange)
    assert exchange.response is not None
    shown = reply(exchange.response.body, exchange.response.status, exchange.response.headers)
    for body in GOOD:
        put(judge, call, reply(body))
    put(judge, call, reply(WRONG[0], 400))
    for _ in range(2):
        put(judge, call, shown)
        # The same body asked for otherwise, and by others.
        put(judge, CALL, shown)
        put(judge, PUBLIC, shown)
        put(judge, Call(call.raw, VirtualUser("admin")), shown)
        put(judge, call, reply(shown.body))
        put(judge, call, reply(GOOD[1], headers=shown.answer.headers))
    put(judge, call, reply(shown.body, shown.answer.status))


PIECES = [
    *(b'"', b",", b":", b"{", b"}", b"[", b"]", b" ", b"\\", b"\n", b"1", b"-", b"1e5", b"1.50", b"NaN"),
    *(
        b'"a_b":1,',
        b'"isError":true,',
        b'"errMsg":"x",',
        b'"data":{},',
        b'"courseId":2,',
        b"\xff",
        b"\xc3\xa5",
    ),
    *(b"\\u0061", b"\\ud800", b"null", b"true", b"false", b'"time":1,', b"Tr0ub4dor&3", b"5f2c9a7e41d84b06"),
    b"\xef\xbb\xbf",
    b"c0ffee0123456789",
]


@st.composite
def answers(draw: st.DrawFn) -> Reply:
    body = bytearray(
        draw(st.sampled_from([*GOOD, *WRONG, *(e.response.body for _, e in EXAMPLES if e.response)]))
    )
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        match draw(st.integers(0, 3)):
            case 0:
                body[at:at] = draw(st.sampled_from(PIECES))
            case 1:
                del body[at : at + draw(st.integers(1, 4))]
            case 2:
                body[at : at + 1] = draw(st.sampled_from(PIECES))
            case _:
                # A member or an item twice.
                end = body.find(b",", at)
                body[at:at] = body[at : end + 1 if end >= 0 else at]
    headers = list(SEALED)
    if draw(st.booleans()):
        headers = [one for one in headers if draw(st.integers(0, 3))]
        headers += draw(
            st.sampled_from(
                [[], [("Date", "now")], [("X-Debug", "pw=Tr0ub4dor&3")], [("Content-Type", "text/html")]]
            )
        )
    return reply(bytes(body), draw(st.sampled_from([200, 200, 200, 200, 201, 400, 404, 500])), headers)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([exchange for _, exchange in EXAMPLES if exchange.secret_registry or exchange.contract]),
    st.lists(answers(), min_size=1, max_size=6),
    st.integers(0, 1),
)
def test_whatever_comes_is_judged_as_the_rules_do(example: Exchange, said: list[Reply], keep: int) -> None:
    judge = settings_of(example, keep=keep)
    call = call_of(example)
    for body in GOOD:
        put(judge, call, reply(body))
        put(judge, call, reply(body))
    for shown in said:
        put(judge, call, shown)
        put(judge, call, shown)
        put(judge, PUBLIC, shown)


def rows(first: int, count: int = 6, **more: Any) -> Any:
    return {
        "rows": [
            {"courseId": first + i, "title": f"Course {first + i}", "isPublic": True, "price": 12.5, **more}
            for i in range(count)
        ]
    }


def test_answers_that_differ_in_values_alone_are_cheap() -> None:
    judge = judge_of()
    put(judge, CALL, reply(success(rows(0))))
    for number in range(1, 200):
        assert (
            put(judge, CALL, reply(success(rows(number, number % 7, tags=[])), headers=SEALED)) or number == 1
        )
    assert judge.slow == 2


@pytest.mark.parametrize(
    "body",
    [
        success({**rows(3), "total_rows": 1}),
        success(rows(3), debug=1),
        success(rows(3)).replace(b'"price":12.5', b'"price":12.5,"price":1', 1),
        success(rows(3)).replace(b"12.5", b"1.25e1", 1),
        success(rows(3)).replace(b"Course", b"C\xf6urse", 1),
        success(rows(3)).replace(b"Course", b"C\\u006furse", 1),
        success(rows(3)).replace(b'"rows"', b'"rows" ', 1),
        success(rows(3)).replace(b"null", b'""', 1),
        success(rows(3)).replace(b"false", b"0", 1),
        success(rows(3)).replace(b"null", b"false", 1),
        success(rows(3)) + b"\n",
        success(rows(3)) + b"x",
        success("x"),
        success([]),
    ],
)
def test_whatever_is_not_as_before_goes_to_the_rules(body: bytes) -> None:
    judge = judge_of()
    put(judge, CALL, reply(success(rows(0))))
    assert put(judge, CALL, reply(success(rows(1))))
    assert not put(judge, CALL, reply(body))


def test_members_that_are_missing_at_times_are_learnt() -> None:
    judge = judge_of()
    bodies = [
        success({"a": 1, "c": 3}),
        success({"a": 1, "b": {"x": 2}, "c": 3}),
        success({"c": [1], "d": None}),
    ]
    for _ in range(2):
        for body in bodies:
            put(judge, CALL, reply(body))
    for data in ({"a": 9, "c": 1}, {"b": {"x": 5}, "c": [], "d": 7}, {"b": 1, "c": True}, {"c": None}):
        assert put(judge, CALL, reply(success(data)))
    # It was never missing so far; from now on it may be.
    assert not put(judge, CALL, reply(success({"a": 1})))
    assert put(judge, CALL, reply(success({"a": 2})))
    assert not put(judge, CALL, reply(success({"d": 1, "a": 1})))


def test_a_head_whose_date_changes_is_no_new_head() -> None:
    judge = judge_of()
    for second in range(50):
        headers = (("Date", f"{second}"), *SEALED, ("Content-Length", str(second)))
        cheap = put(judge, CALL, reply(success({"courseId": second}), headers=headers))
        assert cheap is (second > 0)


def test_a_head_that_breaks_a_rule_is_counted_on_the_cheap_ways() -> None:
    judge = judge_of(keep=3)
    for number in range(100):
        put(judge, CALL, reply(success({"courseId": number}), headers=SEALED[:2]))
    assert judge.slow == 3
    assert judge.rules()["SEC-5"] == {"judged": 100, "broken": 100}
    (finding,) = judge.findings()
    assert (finding.rule, finding.count, len(events.given(finding.exchanges) or ())) == ("SEC-5", 100, 3)


def test_the_same_broken_body_is_not_read_over_and_over() -> None:
    judge = judge_of(keep=2)
    for _ in range(50):
        put(judge, CALL, reply(success({"course_id": 1})))
        put(judge, CALL, reply(error(""), 404))
    assert judge.slow == 4
    assert {one.rule: one.count for one in judge.findings()} == {"NAM-1": 50, "ENV-5": 50}


@pytest.mark.parametrize("secret", [False, True])
def test_answers_that_never_come_again_do_not_pile_up(monkeypatch: pytest.MonkeyPatch, secret: bool) -> None:
    monkeypatch.setattr(verdicts, "_MAX_VERDICTS", 8)
    monkeypatch.setattr(judging, "_MAX_BODIES", 16)
    judge = judge_of(keep=2)
    sizes = []
    for number in range(400):
        put(judge, CALL, reply(error(f"No course {number}"), 404))
        put(judge, CALL, reply(error(""), 404))
        put(judge, CALL, reply(success({"course_id": number})))
        if secret and number % 40 == 0:
            judge.secret_registry.session(f"secret-session-{number:09}", "owner")
        sizes.append(len(judge._verdicts))
    assert max(sizes) <= 64
    counts = judge.rules()
    assert counts["ENV-5"] == {"judged": 800, "broken": 400}
    assert counts["NAM-1"]["broken"] == 400
    assert counts["ENV-1"] == {"judged": 1200, "broken": 0}
    assert {one.rule: one.count for one in judge.findings()} == {"NAM-1": 400, "ENV-5": 400}
    assert judge.schema()["of"] == 400


def test_the_declared_result_is_judged_on_a_sample() -> None:
    seen: list[Any] = []

    def mismatch(data: Any) -> str | None:
        seen.append(data)
        return "/courseId: 77 is too much" if data["courseId"] == 77 else None

    judge = judge_of(contract=Contract("course.read", mismatch=mismatch), sample=0.1, seed=1)
    for number in range(1000, 3000):
        judge.judge(CALL, reply(success({"courseId": number})))
    shown = judge.schema()
    assert shown["of"] == 2000
    assert shown["judged"] == len(seen) == judge.rules()["ENV-10"]["judged"]
    assert 150 < shown["judged"] < 250
    codes = {judge.judge(CALL, reply(success({"courseId": 77}))) for _ in range(200)}
    outcomes = {judge.outcomes[code] for code in codes}
    assert Outcome(None, ("ENV-10",)) in outcomes
    assert {one.rule for one in judge.findings()} == {"ENV-10"}


def test_all_of_them_are_judged_when_the_sample_is_whole() -> None:
    contract = Contract("course.read", mismatch=lambda data: None)
    judge = judge_of(contract=contract, sample=1.0)
    for number in range(100):
        judge.judge(CALL, reply(success({"courseId": number})))
    assert judge.schema() == {"judged": 100, "of": 100}


@pytest.mark.parametrize(
    ("status", "expects", "kind"),
    [
        (200, None, None),
        (404, None, "status 404"),
        (503, None, "status 503"),
        (404, frozenset({200, 404}), None),
        (200, frozenset({404}), "status 200"),
        (401, frozenset({404}), "status 401"),
    ],
)
def test_what_counts_as_an_error(status: int, expects: frozenset[int] | None, kind: str | None) -> None:
    judge = judge_of()
    body = success() if status == 200 else error("No")
    for _ in range(4):
        code = judge.judge(Call(CALL.raw, VirtualUser("owner"), expects), reply(body, status))
        assert judge.outcomes[code].error == kind
    assert (code == 0) is (kind is None and status != 503)


def test_an_error_by_its_own_word() -> None:
    judge = judge_of()
    for _ in range(3):
        outcome = judge.outcomes[judge.judge(CALL, reply(error("No")))]
        assert (outcome.error, "ENV-4" in outcome.rules) == ("isError on 200", True)


@pytest.mark.parametrize("kind", ["unreachable", "timeout", "garbled", "oversize", "closed"])
def test_calls_without_an_answer(kind: str) -> None:
    judge = judge_of(keep=2)
    for _ in range(20):
        code = judge.judge(CALL, Reply(Head(0, ()), failure=kind, detail="why", met=False))
    outcome = judge.outcomes[code]
    assert outcome == Outcome(kind, ("COD-8",) if kind == "closed" else ())
    assert judge.slow <= 2
    if kind == "closed":
        assert judge.rules()["COD-8"] == {"judged": 20, "broken": 20}
        assert judge.findings()[0].failure == "closed: why"


def test_an_idle_connection_that_ended_under_way_is_no_answer() -> None:
    judge = judge_of()
    code = judge.judge(CALL, Reply(Head(0, ()), failure="closed", opened=False, met=False))
    assert judge.outcomes[code] == Outcome("closed")
    assert not judge.findings()
    # Where a part of an answer came, it is one that was broken off.
    code = judge.judge(CALL, Reply(Head(0, ()), failure="closed", opened=False, met=True))
    assert judge.outcomes[code] == Outcome("closed", ("COD-8",))


def test_secrets_are_looked_for_and_masked() -> None:
    secret_registry = SecretRegistry()
    secret_registry.password("Tr0ub4dor&3")
    judge = judge_of(secret_registry=secret_registry)
    bodies = [success({"title": "c0ffee0123456789"}), success({"note": 'pass"word\\1'})]
    for body in bodies * 2:
        cheap = put(judge, CALL, reply(body))
    assert cheap
    secret_registry.password('pass"word\\1')
    secret_registry.session("c0ffee0123456789", "admin")
    for body in bodies * 2:
        assert not put(judge, CALL, reply(body))
    # Whose session it is, the rule says.
    assert not put(judge, Call(CALL.raw, VirtualUser("admin")), reply(bodies[0]))
    (one, two) = judge.findings()
    assert {one.rule, two.rule} == {"SEC-3"}
    shown = "".join(events.encode(found) for found in judge.findings())
    assert "c0ffee" not in shown
    assert "word" not in shown.replace("password", "")


def test_findings_are_reported_once() -> None:
    judge = judge_of()
    judge.judge(CALL, reply(success({"course_id": 1})))
    (new,) = judge.fresh()
    assert (new.rule, new.function, new.count) == ("NAM-1", None, 1)
    assert (new.curl or "").startswith("curl ")
    judge.judge(CALL, reply(success({"course_id": 2})))
    assert judge.fresh() == []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text('abcdef0123456789&"-_ å', min_size=1, max_size=24), max_size=8),
    st.binary(max_size=200),
    st.integers(0, 200),
    st.integers(0, 7),
)
def test_no_secret_is_overlooked(needles: list[str], data: bytes, at: int, which: int) -> None:
    texts = [needle.encode().decode("latin-1") for needle in needles]
    if texts:
        data = data[:at] + texts[which % len(texts)].encode("latin-1") + data[at:]
    assert SecretFinder(texts).within(data) is any(text in data.decode("latin-1") for text in texts)
