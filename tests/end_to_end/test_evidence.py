"""All parts of a finding come from one exchange, even if one of several examples is chosen."""

from __future__ import annotations

import json

import pytest

from conformance.engine.context import as_answered
from conformance.engine.observer import RuleObserver, described
from conformance.events import Event
from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding
from tests.support.events import record_of
from tests.support.evidence import problems


def exchange_of(body: bytes, status: int | None = 400, function: str = "course.read") -> Exchange:
    request = Request("POST", "http://host/api/course", (), body)
    if status is None:
        return Exchange(request, failure=Failure("closed", "the connection was closed"), function=function)
    answer = {"isError": status != 200, "errMsg": None if status == 200 else "No", "data": None}
    return Exchange(request, Response(status, (), json.dumps(answer).encode()), function=function)


def test_another_example_takes_the_place_of_all_parts_at_once() -> None:
    events: list[Event] = []
    observer = RuleObserver(events.append, ["COD-3"])
    for name, status in (("vanishedOne", 200), ("gone", 403), ("vanishedThree", 401), ("x", 500)):
        exchange = exchange_of(json.dumps({"method": name}).encode(), status)
        observer.found(
            Finding(
                "COD-3",
                "course",
                "an unknown function is not answered 404",
                f"message of {name}",
                f"status 404: there is no course.{name}",
                described(exchange, None, ""),
                exchange,
                accepted=(404,),
                case=[{"function": f"course.{name}"}],
            )
        )
    (finding,) = observer.take().values()
    assert finding.count == 4
    assert finding.expected == "status 404: there is no course.x"
    assert finding.actual == "status 500, errMsg 'No'"
    assert finding.message == "message of x"
    assert finding.case == [{"function": "course.x"}]
    assert problems([record_of(finding.event(count=4, reproduced=None))]) == []


@pytest.mark.parametrize(
    ("seen", "reported"),
    [
        ("", "status 200"),
        ("status 200", "status 200"),
        ("5 rows", "status 200; 5 rows"),
        ("PUT: status 200, 5 rows", "PUT: status 200, 5 rows"),
    ],
)
def test_what_came_is_reported_from_the_exchange(seen: str, reported: str) -> None:
    assert described(exchange_of(b"{}", 200), None, seen) == reported


def test_what_a_later_call_shows_is_reported_beside_what_the_call_was_answered() -> None:
    cause, witness = exchange_of(b"{}", 403, "course.update"), exchange_of(b"{}", 200)
    assert described(cause, witness, "it was changed") == (
        "status 403, errMsg 'No'; then course.read: status 200; it was changed"
    )
    assert described(None, None, "it moved") == "it moved"
    assert described(exchange_of(b"{}", None), None, "") == "no answer: the connection was closed"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, "a title of 0 characters is refused with another status"),
        (200, "a title of 0 characters is not refused"),
        (500, "a title of 0 characters is not refused"),
        (None, "a title of 0 characters is not refused"),
    ],
)
def test_what_was_refused_with_another_status_is_not_said_to_be_not_refused(
    status: int | None, kind: str
) -> None:
    assert as_answered("a title of 0 characters is not refused", exchange_of(b"{}", status)) == kind
    with_401 = "a token is not refused with 401: empty"
    assert as_answered(with_401, exchange_of(b"{}", status)) == with_401


@pytest.mark.parametrize(
    ("sent", "judged"),
    [((), True), ((("Accept-Encoding", "gzip"),), True), ((("accept-encoding", "gzip, br;q=0.9"),), False)],
)
def test_a_coding_is_named_where_nobody_asked_for_it(sent: tuple[tuple[str, str], ...], judged: bool) -> None:
    request = Request("POST", "http://host/api/course", sent, b"{}")
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "br"))
    exchange = Exchange(request, Response(200, headers, b"\x1b\x2c\x00\xf8\xa5"))
    outcomes = {name: rule.check(exchange) for name, rule in RULES.items() if rule.check is not None}
    broken = {name: outcome.actual for name, outcome in outcomes.items() if outcome.broken}
    assert set(broken) - {"SEC-5"} == ({"HTTP-4"} if judged else set())
    if judged:
        assert "Content-Encoding: br, which the request did not ask for" in broken["HTTP-4"]


@pytest.mark.parametrize(
    "changed",
    [
        {"actual": "status 404"},
        {"expected": "status 404: there is no course.other"},
        {"expected": "PUT: nothing is written"},
        {"expected": "status 400: the body is []"},
        {"curl": "curl http://host/api/other"},
    ],
)
def test_parts_of_two_exchanges_are_noticed(changed: dict[str, str]) -> None:
    """The check that every judged report goes through (tests/support/judging.py) can fail."""
    exchange = exchange_of(b'{"method":"x"}')
    finding = Finding("COD-3", "course", "kind", "", "status 404", described(exchange, None, ""), exchange)
    event = record_of(finding.event(count=1, reproduced=None))
    assert problems([event]) == []
    assert problems([event | changed])


def test_an_expectation_may_describe_the_data() -> None:
    exchange = exchange_of(b'{"method":"read","data":[]}')
    actual = described(exchange, None, "")
    for expected, fits in (("status 401: data is an array", True), ("status 401: data is [1]", False)):
        finding = Finding("COD-9", "course", "kind", "", expected, actual, exchange)
        assert (problems([record_of(finding.event(count=1, reproduced=None))]) == []) is fits
