"""What the steps take apart is united where it is one layer, and one answer that stands for two is split."""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.reports.causes.events import Event, finding, page, refusal, request, response, run_of, success
from tests.support.events import build

ANY = "status 200, 400, 401, 403, 404 or 500"
BELOW_500 = "an answer below 500"
UNKNOWN = refusal(200, "Unknown function")


def causes_of(*found: list[Event]) -> list[list[str]]:
    """Return the rules of each cause of these findings, sorted."""
    every = list(itertools.chain(*found))
    report = build(
        [run_of(sorted({each["rule"] for each in every})), *every, {"event": "end", "seconds": 1.0}]
    )
    return sorted(cause["rules"] for cause in report["causes"])


def body(function: str, value: Any) -> Event:
    """Return a request for a function with another body than a call."""
    return request(function, json.dumps(value))


def crashes(*functions: str, status: int = 500) -> list[Event]:
    """Return what is found where usual calls of functions crash."""
    answer = refusal(status, "Internal error")
    return [
        finding("COD-8", name, "status 500", request(name), answer, expected=BELOW_500) for name in functions
    ]


def test_a_status_that_no_rule_knows_is_one_cause() -> None:
    answer = refusal(503, "Not now")
    wrong = [
        finding("COD-2", function, "status 503", sent, answer, expected=ANY)
        for function, sent in (
            ("note.read", request("note.read")),
            ("note.find", request("note.find", '{"method":"find","data":[]}')),
            ("note", body("note", {"method": "vanished"})),
        )
    ]
    assert causes_of(wrong, crashes("note.read", "note.find", status=503)) == [["COD-2", "COD-8"]]


def of_calls(answer: Event, *, second: str = "status 404: there is no note.x") -> list[Event]:
    """Return what is found where a body without a method and an unknown function get this answer."""
    return [
        finding("REQ-1", "note", "no method", body("note", {}), answer, expected="status 400: no method"),
        finding("COD-3", "note", "unknown", body("note", {"method": "x"}), answer, expected=second),
    ]


def test_one_answer_that_stands_for_two_statuses_is_two_causes() -> None:
    assert causes_of(of_calls(UNKNOWN)) == [["COD-3"], ["REQ-1"]]


def test_one_answer_that_should_have_one_status_is_one_cause() -> None:
    assert len(causes_of(of_calls(UNKNOWN, second="status 400 or 404: 'x' is no function"))) == 1


def test_what_is_not_checked_of_the_form_of_a_call_is_one_cause() -> None:
    whole = finding(
        "REQ-5", "note", "no object", body("note", []), success(), expected="status 400: the body is []"
    )
    method = finding(
        "REQ-1", "note", "no method", body("note", {}), success(), expected="status 400: no method"
    )
    sent = body("note.find", {"method": "find", "data": 5})
    data = finding("REQ-6", "note.find", "data", sent, success(), expected="status 400: data is 5")
    assert causes_of([whole, method, data]) == [["REQ-1", "REQ-5", "REQ-6"]]
    assert causes_of([whole, data]) == [["REQ-5"], ["REQ-6"]]


def test_what_only_says_that_a_call_crashed_follows_its_function() -> None:
    crash = refusal(500, "Internal error")
    wrong = finding(
        "AUT-2", "auth.login", "wrong", request("auth.login"), crash, expected="status 400 or 401 or 403"
    )
    large = finding("DAT-9", "auth.login", "50 kB of blanks", request("auth.login"), crash, expected=ANY)
    other = finding("DAT-9", "note.find", "50 kB of blanks", request("note.find"), crash, expected=ANY)
    assert causes_of([wrong, large], crashes("auth.login")) == [["AUT-2", "COD-8", "DAT-9"]]
    assert causes_of([wrong, large, other]) == [["AUT-2", "DAT-9"], ["DAT-9"]]


def test_many_functions_that_crash_in_usual_calls_have_one_cause_before_them() -> None:
    assert causes_of(crashes("a.b", "c.d")) == [["COD-8"], ["COD-8"]]
    assert causes_of(crashes("a.b", "c.d", "e.f", "g.h")) == [["COD-8"]]


def test_a_page_that_one_crash_alone_shows_is_of_that_crash() -> None:
    sent = request("note.read", {"noteId": 5})
    crash = finding("COD-10", "note.read", "unknown", sent, page(500), expected="status 403 or 404")
    shape = finding("ENV-1", "note.read", "no JSON", sent, page(500), expected="an object", actual="no JSON")
    elsewhere = finding(
        "ENV-1", "note.find", "no JSON", request("note.find"), page(500), expected="an object", actual="-"
    )
    assert causes_of([crash, shape]) == [["COD-10", "ENV-1"]]
    assert causes_of([crash, shape, elsewhere]) == [["COD-10"], ["ENV-1"]]


def test_the_answer_to_head_is_no_page() -> None:
    put, head = (request("note.find", verb=verb) for verb in ("PUT", "HEAD"))
    expected = "{}: a status from 400 to 499, and no success envelope"
    found = [
        finding("HTTP-2", "note.find", "PUT", put, success(), expected=expected.format("PUT")),
        finding("HTTP-2", "note.find", "HEAD", head, response(200, ""), expected=expected.format("HEAD")),
    ]
    assert causes_of(found) == [["HTTP-2"]]


def test_a_later_refusal_of_what_was_accepted_is_of_the_same_cause() -> None:
    def taken(function: str, answer: Event) -> Event:
        return finding("AUT-5", function, "half a token", request(function), answer, expected="status 401")

    assert causes_of([taken("note.find", success()), taken("note.read", refusal(404, "No such note"))]) == [
        ["AUT-5"]
    ]
