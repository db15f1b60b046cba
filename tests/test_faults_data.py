"""The faults that lie in the data: each shows by the very value that it is about, and by nothing ordinary."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema_rs
import pytest

from fixtures.faults import FAULTS
from tests.probing import Desk, is_answered, of_modules, trips_elsewhere

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


# DAT-1

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "data.longest-text-refused": ("lesson.add", {"title": "x" * 200}),
    "data.text-counted-in-bytes": ("course.add", {"title": "ö" * 200}),
    "data.long-address-refused": ("course.update", {"homepage": f"https://example.com/{'x' * 300}"}),
    "data.zero-hour-refused": ("course.add", schedule(**{"from": 0})),
    "data.maximum-as-exclusive": ("lesson.add", quiz(weight=1)),
    "data.most-recipients-refused": ("message.add", recipients(20)),
    "data.empty-array-refused": ("invitation.add", {"lessonIds": []}),
    "data.null-refused": ("message.add", {"sendAt": None}),
    "data.one-word-refused": ("payment.add", {"method": {"kind": "wallet", "token": "tok_visa0001"}}),
    "data.leap-day-refused": ("course.update", {"startsOn": "2024-02-29"}),
    "data.offset-refused": ("course.add", {"enrolUntil": "2027-01-08T18:00:00+01:00"}),
    "data.plus-in-address-refused": ("invitation.add", {"email": "a+tag@example.com"}),
    "data.upper-case-uuid-refused": ("course.add", {"externalId": "0B1F6F0E-52A1-4A0E-9D0C-6F2F2B8F7A11"}),
    "data.two-members-together-refused": ("course.add", {"isPrivate": True, **contact()}),
    "data.both-left-out-refused": ("payment.add", {"payer": {"name": "Ann"}}),
}
NEARBY: dict[str, dict[str, Any]] = {
    "data.longest-text-refused": {"title": "x" * 199},
    "data.text-counted-in-bytes": {"title": "ö" * 100},
    "data.long-address-refused": {"homepage": f"https://example.com/{'x' * 200}"},
    "data.zero-hour-refused": schedule(**{"from": 1}),
    "data.maximum-as-exclusive": quiz(weight=0.999),
    "data.most-recipients-refused": recipients(19),
    "data.empty-array-refused": {"lessonIds": [LESSON_ID]},
    "data.null-refused": {"sendAt": "2027-01-08T18:00:00Z"},
    "data.leap-day-refused": {"startsOn": "2024-02-28"},
    "data.offset-refused": {"enrolUntil": "2027-01-08T18:00:00Z"},
    "data.upper-case-uuid-refused": {"externalId": "0b1f6f0e-52a1-4a0e-9d0c-6f2f2b8f7a11"},
    "data.two-members-together-refused": contact(),
    "data.both-left-out-refused": address(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_good_data_is_refused(name: str) -> None:
    function, more = REFUSED[name]
    with Desk() as desk:
        assert desk.ask(function, sent(function, more)).status == 200
    with Desk(name) as desk:
        reply = desk.ask(function, sent(function, more))
        assert reply.status == 400
        assert is_answered(reply)
        assert desk.ask(function, sent(function, NEARBY.get(name, {}))).status == 200
        plain_works(name, function)


def test_nothing_to_change_is_refused() -> None:
    with Desk() as desk:
        assert desk.ask("lesson.update", {"lessonId": LESSON_ID}).status == 200
    with Desk("data.nothing-to-change-refused") as desk:
        assert desk.ask("lesson.update", {"lessonId": LESSON_ID}).status == 400
        plain_works("data.nothing-to-change-refused", "lesson.update")


# DAT-2

TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "data.nested-bound-inclusive": ("lesson.add", quiz(weight=0)),
    "data.nested-twins": ("lesson.update", quiz(answers=("Yes", "Yes"))),
    "data.one-answer-enough": ("lesson.add", quiz(answers=("Yes",))),
    "data.first-item-judged": (
        "lesson.add",
        {"resources": [{"name": "a", "url": "https://example.com/"}, {"name": "b", "url": "no address"}]},
    ),
    "data.one-recipient-too-many": ("message.add", recipients(21)),
    "data.labels-uncounted": ("course.add", {"labels": {f"l{number}": "x" for number in range(21)}}),
    "data.label-length-unjudged": ("course.update", {"labels": {"a": "x" * 81}}),
    "data.closed-object-open": ("course.add", schedule(more=1)),
    "data.true-is-one": ("course.add", schedule(until=True)),
    "data.nested-format-unjudged": ("course.add", contact(email="nobody")),
    "data.nested-required-unjudged": (
        "payment.add",
        {"payer": {"name": "Ann", "address": {"city": "Uppsala"}}},
    ),
    "data.nested-pattern-unanchored": ("payment.add", address(postcode="75310!")),
    "data.nested-enum-unjudged": ("payment.add", {"method": {"kind": "gold", "token": "tok_visa0001"}}),
    "data.nested-multiple-unjudged": (
        "user.update",
        {"preferences": {"newsletter": True, "theme": "dark", "digestHour": 8, "fontScale": 1.1}},
    ),
    "data.day-by-shape": ("invitation.add", {"expiresOn": "2026-02-30"}),
    "data.amount-by-currency": ("payment.add", {"amount": 1}),
    "data.later-questions-unjudged": (
        "lesson.update",
        {"quiz": {"weight": 1, "questions": [{"ask": "Why?", "answers": ["Yes", "No"]}, 7]}},
    ),
}
STILL_BAD: dict[str, dict[str, Any]] = {
    "data.nested-bound-inclusive": quiz(weight=-0.5),
    "data.nested-twins": quiz(answers=("Yes",)),
    "data.one-answer-enough": quiz(answers=()),
    "data.first-item-judged": {"resources": [{"name": "b", "url": "no address"}]},
    "data.one-recipient-too-many": recipients(22),
    "data.labels-uncounted": {"labels": {"a": 1}},
    "data.label-length-unjudged": {"labels": {f"l{number}": "x" for number in range(21)}},
    "data.closed-object-open": {"schedule": {"weekdays": ["mon"], "more": 1}},
    "data.true-is-one": schedule(until=25),
    "data.nested-format-unjudged": contact(email=7),
    "data.nested-required-unjudged": {"payer": {"address": {}}},
    "data.nested-pattern-unanchored": address(postcode="x"),
    "data.nested-enum-unjudged": {"method": {"kind": 1, "token": "tok_visa0001"}},
    "data.day-by-shape": {"expiresOn": "soon"},
    "data.amount-by-currency": {"amount": 1, "currency": "EUR"},
    "data.later-questions-unjudged": {"quiz": {"weight": 1, "questions": [7]}},
}


@pytest.mark.parametrize("name", TAKEN)
def test_bad_data_is_taken(name: str) -> None:
    function, more = TAKEN[name]
    with Desk() as desk:
        assert desk.ask(function, sent(function, more)).status == 400
    with Desk(name) as desk:
        reply = desk.ask(function, sent(function, more))
        assert reply.status == 200
        schema = desk.service.functions[function].result
        good = jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(reply.data)
        assert ("ENV-10" in FAULTS[name].trips) == (not good)
        if name in STILL_BAD:
            assert desk.ask(function, sent(function, STILL_BAD[name])).status == 400
        plain_works(name, function)


# DAT-3

ODD_DATA: dict[str, Any] = {
    "data.prototype-member-page": {"courseId": 1, "x": [{"__proto__": {}}]},
    "data.empty-name-422": {"x": {"": 1}},
    "data.nul-in-name-empty": {"a\0b": 1},
    "data.deep-data-plain": {"a": [[[[[[[[[[]]]]]]]]]]},
    "data.long-integer-page": [10**30],
    "data.array-answered-as-batch": [{"courseId": 1}],
}


@pytest.mark.parametrize("name", ODD_DATA)
def test_odd_data(name: str) -> None:
    for function in ("course.read", "message.add"):
        with Desk() as desk:
            reply = desk.ask(function, ODD_DATA[name])
            assert is_answered(reply)
            assert reply.status < 500
        with Desk(name) as desk:
            reply = desk.ask(function, ODD_DATA[name])
            assert not is_answered(reply)
            trips_elsewhere(name, reply)
            for other in ({}, [], [1], 7, {"a": [[1]], "b": 10**15}):
                assert is_answered(desk.ask(function, other))
            plain_works(name, function)


# DAT-4

ODD_BODIES: dict[str, bytes] = {
    "data.utf-16-415": '{"method":"status"}'.encode("utf-16"),
    "data.byte-order-mark-page": b'\xef\xbb\xbf{"method":"status"}',
    "data.one-byte-empty": b"\n",
    "data.surrogate-in-name-page": b'{"method":"\\ud800","data":{}}',
    "data.member-twice-507": b'{"method":"status","data":{"a":1,"a":2}}',
    "data.control-character-422": b'{"method":"status","data":{"a":"\x01"}}',
    "data.cut-in-character-page": '{"method":"status","data":{"a":"ö'.encode()[:-1],
}


@pytest.mark.parametrize("name", ODD_BODIES)
def test_odd_body(name: str) -> None:
    with Desk() as desk:
        reply = desk.raw("auth", ODD_BODIES[name], desk.token("owner"))
        assert is_answered(reply)
        assert reply.status < 500
    with Desk(name) as desk:
        reply = desk.raw("auth", ODD_BODIES[name], desk.token("owner"))
        assert not is_answered(reply)
        trips_elsewhere(name, reply)
        for body in (b"", b"{}", b'{"method":', b"\xff", b'{"method":"status"}\0', "ö€".encode()):
            if len(body) != 1 or name != "data.one-byte-empty":
                assert is_answered(desk.raw("auth", body, desk.token("owner")))
        plain_works(name, "auth.status")


# DAT-5, DAT-6

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
    """Make an object of JSON text as it stands, read it, and tell how one value came back."""
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


#: function, the arguments beside the plain ones, where the value is, and what comes of it: (clean, spoiled)
RETURNED: dict[str, tuple[str, dict[str, Any], str, str, str]] = {
    "data.text-trimmed": ("lesson.add", {"body": "  a  "}, "body", "same", "other"),
    "data.text-composed": ("course.add", {"description": "e\u0301"}, "description", "same", "other"),
    "data.astral-replaced": ("message.add", {"subject": "a😀"}, "subject", "same", "other"),
    "data.text-cut-at-64-kilobytes": ("course.add", {"description": "0" * 65_536}, "description", "same", "other"),
    "data.text-cut-in-character": ("course.add", contact(note="ö" * 128), "contact/note", "same", "other"),
    "data.line-ends-unified": ("message.add", {"body": "a\r\nb"}, "body", "same", "other"),
    "data.tabs-expanded": ("lesson.add", quiz(answers=("a\tb", "c")), "quiz/questions/0/answers/0", "same", "other"),
    "data.markup-escaped": ("invitation.add", {"greeting": "<b>&"}, "greeting", "same", "other"),
    "data.text-ends-at-nul": ("payment.add", {"note": "a\0b"}, "note", "same", "other"),
    "data.direction-marks-lost": ("invitation.add", {"name": "a\u200fb"}, "name", "same", "other"),
    "data.plus-is-blank": ("lesson.add", {"title": "a+b"}, "title", "same", "other"),
    "data.empty-text-is-null": ("course.add", contact(note=""), "contact/note", "same", "other"),
    "data.backslash-unescaped": ("lesson.add", quiz(ask="a\\n"), "quiz/questions/0/ask", "same", "other"),
    "data.label-names-lowered": ("course.add", {"labels": {"Ab": "x"}}, "labels", "same", "other"),
    "data.surrogate-500": ("lesson.add", {"body": "\ud800"}, "body", "400", "500"),
    "data.number-rounded": ("course.add", {"passMark": 33.333}, "passMark", "same", "other"),
    "data.number-in-single-precision": ("lesson.add", quiz(weight=0.1), "quiz/weight", "same", "other"),
    "data.number-in-16-bits": ("lesson.add", {"durationSeconds": 65_536}, "durationSeconds", "same", "other"),
    "data.last-digit-lost": ("payment.add", {"amount": 65_536}, "amount", "same", "other"),
    "data.exponent-lost": ("course.add", {"passMark": 1e-7}, "passMark", "same", "other"),
    "data.whole-number-as-text": ("course.add", {"seats": 20.0}, "seats", "same", "other"),
    "data.number-clamped": ("course.add", {"seats": 2**53}, "seats", "400", "other"),
}  # fmt: skip
UNTOUCHED: dict[str, dict[str, Any]] = {
    "data.text-trimmed": {"body": "a b"},
    "data.text-composed": {"description": "é"},
    "data.astral-replaced": {"subject": "ö€"},
    "data.text-cut-at-64-kilobytes": {"description": "0" * 65_535},
    "data.text-cut-in-character": contact(note="ö" * 127),
    "data.line-ends-unified": {"body": "a\nb"},
    "data.tabs-expanded": quiz(answers=("a  b", "c")),
    "data.markup-escaped": {"greeting": "plain"},
    "data.text-ends-at-nul": {"note": "a\1b"},
    "data.direction-marks-lost": {"name": "שלום"},
    "data.plus-is-blank": {"title": "a-b"},
    "data.empty-text-is-null": contact(note=" "),
    "data.backslash-unescaped": quiz(ask="a/n"),
    "data.label-names-lowered": {"labels": {"ab": "X"}},
    "data.surrogate-500": {"body": "a😀"},
    "data.number-rounded": {"passMark": 33.25},
    "data.number-in-single-precision": quiz(weight=0.5),
    "data.number-in-16-bits": {"durationSeconds": 65_535},
    "data.last-digit-lost": {"amount": 9_999},
    "data.exponent-lost": {"passMark": 0.001},
    "data.whole-number-as-text": {"seats": 20},
    "data.number-clamped": {"seats": 10_000},
}


@pytest.mark.parametrize("name", RETURNED)
def test_value_comes_back_otherwise(name: str) -> None:
    function, more, path, right, wrong = RETURNED[name]
    text = json.dumps(sent(function, more))
    with Desk() as desk:
        assert came_back(desk, function, text, path) == right
    with Desk(name) as desk:
        assert came_back(desk, function, text, path) == wrong
        assert ("COD-8" in FAULTS[name].trips) == (desk.replies[-1].status == 500)
        schema = desk.service.functions[READ[function][0]].result
        good = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        if wrong == "other":
            assert ("ENV-10" in FAULTS[name].trips) == (not good.is_valid(desk.replies[-1].data))
        assert came_back(desk, function, json.dumps(sent(function, UNTOUCHED[name])), path) == "same"
        plain_works(name, function)


@pytest.mark.parametrize("name", ["data.number-rounded", "data.number-in-single-precision"])
def test_rounding_leaves_good_values(name: str) -> None:
    # a pass mark of 0.001 would be 0 with two decimals, and that is none
    with Desk(name) as desk:
        for function, more, path in (
            ("course.add", {"passMark": 0.001}, "passMark"),
            ("lesson.add", quiz(weight=5e-324), "quiz/weight"),
        ):
            assert came_back(desk, function, json.dumps(sent(function, more)), path) == "same"


def test_exponent_in_capitals_is_lost_too() -> None:
    with Desk() as clean, Desk("data.exponent-lost") as desk:
        for text in ('{"title":"x","passMark":1E1}', '{"title":"x","passMark":0.5e+1}'):
            assert came_back(clean, "course.add", text, "passMark") == "same"
            assert came_back(desk, "course.add", text, "passMark") == "other"


HUGE = {
    "data.number-beyond-double-500": ("course", b'{"method":"find","data":{"maxPrice":1e400}}'),
    "data.integer-beyond-64-bits-500": ("payment", b'{"method":"find","data":{"minAmount":%d}}' % 2**63),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_number_breaks(name: str) -> None:
    entity, body = HUGE[name]
    with Desk() as desk:
        assert desk.raw(entity, body, desk.token("owner")).status == 400
    with Desk(name) as desk:
        reply = desk.raw(entity, body, desk.token("owner"))
        assert reply.status == 500
        trips_elsewhere(name, reply)
        assert desk.ask("payment.find", {"minAmount": 2**62}).status == 400
        assert desk.ask("course.find", {"maxPrice": 1e300}).status == 400
        plain_works(name, "course.find")


# DAT-7

#: function, the arguments, the status; the state is the same before and after.
REFUSALS: dict[str, tuple[str, dict[str, Any], int]] = {
    "data.refused-change-half-kept": ("lesson.update", {"body": "Changed", "kind": "none"}, 400),
    "data.refused-create-kept": ("message.add", {"sendAt": "soon"}, 400),
    "data.refused-payment-charged": ("payment.add", {"payer": {"name": ""}}, 400),
    "data.refused-twins-kept-once": ("course.update", {"tags": ["a", "a"]}, 400),
    "data.refused-long-title-kept": ("lesson.add", {"title": "x" * 201}, 400),
    "data.refused-price-kept-free": ("course.add", {"price": 0.1}, 400),
    "data.unknown-lesson-invited-to": ("invitation.add", {"lessonIds": [NOBODY]}, 404),
    "data.unknown-prerequisite-half-kept": ("course.update", {"prerequisites": [{"courseId": 10**9}]}, 404),
}
WORSE: dict[str, dict[str, Any]] = {
    "data.refused-change-half-kept": {"lessonId": NOBODY, "kind": "none"},
    "data.refused-create-kept": {"subject": "", "sendAt": "soon"},
    "data.refused-payment-charged": {"amount": 1, "payer": 7},
    "data.refused-twins-kept-once": {"tags": ["a", "a"], "seats": 0},
    "data.refused-long-title-kept": {"title": "x" * 201, "kind": "none"},
    "data.refused-price-kept-free": {"price": 0.1, "seats": 0},
    "data.unknown-lesson-invited-to": {"courseId": 10**9, "lessonIds": [NOBODY]},
    "data.unknown-prerequisite-half-kept": {"courseId": 15, "prerequisites": [{"courseId": 10**9}]},
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_leaves_something(name: str) -> None:
    function, more, status = REFUSALS[name]
    with Desk() as desk:
        before = desk.everything()
        assert desk.ask(function, sent(function, more)).status == status
        assert desk.everything() == before
    with Desk(name) as desk:
        before = desk.everything()
        assert desk.ask(function, sent(function, WORSE[name])).status in (400, 404)
        assert desk.everything() == before
        reply = desk.ask(function, sent(function, more))
        assert reply.status == status
        assert is_answered(reply)
        assert desk.everything() != before
        plain_works(name, function)
        # what was left is an object as any other: it can be listed
        for kind in ("course", "message", "payment", "invitation"):
            desk.listed(kind)


@pytest.mark.parametrize(
    "name", [name for name in REFUSALS if {"courseId", "lessonId"} & PLAIN[REFUSALS[name][0]].keys()]
)
def test_stranger_leaves_nothing(name: str) -> None:
    function, more, _ = REFUSALS[name]
    with Desk(name) as desk:
        before = desk.everything()
        assert desk.ask(function, sent(function, more), desk.token("peer")).status in (400, 404)
        assert desk.everything() == before


# DAT-8

#: function, what it is asked for, the member that takes the text, and an injection.
SEARCHED: dict[str, tuple[str, dict[str, Any], str, Any]] = {
    "data.wildcards-in-query": ("message.find", {}, "query", "%"),
    "data.quote-in-query": ("lesson.find", {"courseId": 1}, "query", "'"),
    "data.quote-in-tag": ("course.find", {}, "tags", ["' OR '1'='1"]),
    "data.operator-as-query": ("course.find", {}, "query", {"$gt": ""}),
    "data.star-is-everything": ("course.catalog", {}, "query", "*"),
    "data.query-as-pattern": ("user.find", {}, "query", ".*"),
    "data.format-in-query": ("course.find", {}, "query", "%s%s%n%x"),
}
NOTHING = "nothing has this in it"


@pytest.mark.parametrize("name", SEARCHED)
def test_query_is_more_than_data(name: str) -> None:
    function, data, member, injection = SEARCHED[name]
    rows = function.partition(".")[0] + "s"

    def search(desk: Desk, value: Any) -> tuple[int, int]:
        reply = desk.ask(
            function, {**data, member: value}, desk.token("admin" if rows == "users" else "owner")
        )
        return reply.status, len(reply.data[rows]) if reply.status == 200 else 0

    plain: Any = [NOTHING] if member == "tags" else NOTHING
    with Desk() as desk:
        assert search(desk, plain) == (200, 0)
        status, found = search(desk, injection)
        assert (status, found) in ((200, 0), (400, 0))
    with Desk(name) as desk:
        assert search(desk, plain) == (200, 0)
        status, found = search(desk, injection)
        assert found > 0 or status == 500
        assert ("COD-8" in FAULTS[name].trips) == (status == 500)
        for other in ("a b", "(", "\0", "\\", '"', "[", "\ud800"):
            value: Any = [other] if member == "tags" else other
            assert search(desk, value)[0] in (200, 400)


def test_quote_in_query_goes_on_as_sql() -> None:
    query = {"courseId": 1, "query": "x', 1) OR instr('x', 'x"}
    with Desk() as desk:
        assert desk.ask("lesson.find", query).data["lessons"] == []
    with Desk("data.quote-in-query") as desk:
        assert desk.ask("lesson.find", query).status == 500
        assert len(desk.ask("lesson.find", {"courseId": 1, "query": "') OR (''='"}).data["lessons"]) > 4


#: function, the text's member, and an injection; the answer is 500, or the text is another.
WRITTEN: dict[str, tuple[str, str, str]] = {
    "data.template-evaluated": ("course.add", "description", "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>"),
    "data.path-in-text-500": ("lesson.add", "title", "../../../../etc/passwd"),
    "data.line-end-in-header": ("message.add", "subject", "x\r\nX-Injected: 1"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_text_is_more_than_data(name: str) -> None:
    function, member, text = WRITTEN[name]
    data = json.dumps(sent(function, {member: text}))
    with Desk() as desk:
        assert came_back(desk, function, data, member) == "same"
    with Desk(name) as desk:
        broken = came_back(desk, function, data, member)
        assert broken == ("500" if "COD-8" in FAULTS[name].trips else "other")
        assert came_back(desk, function, json.dumps(sent(function, {member: "{7*7} / x"})), member) == "same"
        plain_works(name, function)


def test_template_gives_its_value() -> None:
    with Desk("data.template-evaluated") as desk:
        reply = desk.ask("course.add", {"title": "a {{7*7}} b"})
        assert reply.data["title"] == "a 49 b"


# DAT-9


def nested(depth: int) -> bytes:
    return b'{"method":"add","data":{"subject":' + b"[" * depth + b"]" * depth + b"}}"


MUCH: dict[str, bytes] = {
    "data.slow-with-length": Desk.body("add", {"recipients": ["a@example.org"], "subject": "x" * 1_000_000}),
    "data.slow-with-members": Desk.body("add", {f"m{number}": 1 for number in range(10_000)}),
    "data.slow-with-depth": nested(10_000),
    "data.deep-507": nested(10_000),
    "data.many-members-431": Desk.body("add", {f"m{number}": 1 for number in range(10_000)}),
}


@pytest.mark.parametrize("name", MUCH)
def test_much_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with Desk() as desk:
        assert desk.raw("message", MUCH[name], desk.token("owner")).status == 400
        assert not asked
    with Desk(name) as desk:
        plain_works(name, "message.add")
        plain_works(name, "course.find")
        assert desk.raw("message", nested(100), desk.token("owner")).status == 400
        many = desk.ask("message.add", {**PLAIN["message.add"], **{f"m{number}": 1 for number in range(200)}})
        assert many.status == 200
        assert not asked
        reply = desk.raw("message", MUCH[name], desk.token("owner"))
        slow = "slow" in name
        assert (max(asked, default=0) > 1) == slow
        assert max(asked, default=0) < 3
        assert is_answered(reply) == slow
        trips_elsewhere(name, reply)


def test_slowness_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with Desk("data.slow-with-length") as desk:
        for length in (100_000, 200_000, 400_000):
            desk.ask("message.add", {"subject": "x" * length})
    assert asked[1] == pytest.approx(asked[0] * 4)
    assert asked[2] == pytest.approx(asked[1] * 4)


# all of them


def test_every_one_is_probed() -> None:
    probed = [
        *REFUSED, "data.nothing-to-change-refused", *TAKEN, *ODD_DATA, *ODD_BODIES, *RETURNED, *HUGE, *REFUSALS,
        *SEARCHED, *WRITTEN, *MUCH,
    ]  # fmt: skip
    assert len(probed) == len(set(probed))
    assert set(probed) == of_modules("data", "shapes", "values", "effects")


@pytest.mark.parametrize(
    ("rule", "least"),
    [("DAT-1", 5), ("DAT-2", 5), ("DAT-3", 4), ("DAT-4", 4), ("DAT-5", 5), ("DAT-6", 5), ("DAT-7", 5),
     ("DAT-8", 5), ("DAT-9", 3)],
)  # fmt: skip
def test_each_rule_has_several(rule: str, least: int) -> None:
    assert sum(found.primary == rule for found in FAULTS.values()) >= least
