"""What an answer of a team's own tests and scenarios says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from load.engine.sender import Reply
from load.workload.own_calls import Answer


def answer(
    body: str, status: int = 200, rows: str | None = None, *, good: bool = False, failure: str | None = None
) -> Answer:
    function: Any = SimpleNamespace(name="course.find", rows=rows)
    return Answer(function, Reply(0 if good else 1, status, b"", body.encode(), failure, seconds=0.25))


def test_a_success_has_its_result_and_rows() -> None:
    got = answer(
        '{"isError":false,"errMsg":null,"data":{"courses":[{"courseId":7}],"total":1}}', rows="/courses"
    )
    assert (got.status, got.ok, got.message, got.failure) == (200, True, None, None)
    assert got.result == got.data == {"courses": [{"courseId": 7}], "total": 1}
    assert got.rows == [{"courseId": 7}]
    assert got.at("/courses/0/courseId") == 7
    assert got.at("/courses/1/courseId", None) is None
    assert repr(got) == "<course.find: 200>"


def test_what_is_not_there_is_named() -> None:
    got = answer('{"isError":true,"errMsg":"No such course","data":null}', 404)
    assert (got.ok, got.rows) == (False, [])
    with pytest.raises(
        LookupError, match=r"course.find: data has nothing at /courseId \(404: No such course\)"
    ):
        got.at("/courseId")


@pytest.mark.parametrize(
    ("body", "status", "ok"),
    [
        ('{"isError":true,"errMsg":"x","data":{}}', 200, False),
        ("no JSON", 200, False),
        ("[]", 200, False),
        ('{"isError":false,"errMsg":null,"data":{}}', 204, True),
        ('{"isError":false,"errMsg":null,"data":{}}', 302, False),
    ],
)
def test_ok_is_a_2xx_status_whose_envelope_is_no_error(body: str, status: int, ok: bool) -> None:
    assert answer(body, status).ok is ok


def test_an_answer_that_the_rules_found_good_is_ok_only_if_it_succeeded() -> None:
    assert answer("never read", good=True).ok
    assert not answer('{"isError":true,"errMsg":"x","data":null}', 404, good=True).ok


def test_without_an_answer_there_is_no_status() -> None:
    got = answer("", 0, failure="timeout")
    assert (got.status, got.ok, got.data, got.message, got.rows) == (None, False, None, None, [])
    assert repr(got) == "<course.find: no answer: timeout>"
    assert (got.seconds, got.body) == (0.25, b"")


def test_a_dropped_call_has_no_answer_either() -> None:
    function: Any = SimpleNamespace(name="course.find", rows=None)
    got = Answer(function, None)
    assert (got.status, got.ok, got.failure, got.seconds, got.body) == (None, False, "dropped", 0.0, b"")
