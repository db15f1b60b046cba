"""The messages of findings about a status."""

from __future__ import annotations

import pytest

from conformance.engine.finding_text import status_message
from conformance.rulebook.model import no_reply, reply


@pytest.mark.parametrize(
    ("kind", "what", "status", "accepted", "message"),
    [
        ("data that is an array is not refused", None, 500, {400},
         "data that is an array is answered with status 500 instead of 400"),
        ("valid arguments in an array are not refused", None, 200, {400},
         "valid arguments in an array are answered with status 200 and an error instead of 400"),
        ("a wrong password is refused with another status", None, 422, {400, 401, 403},
         "a wrong password is refused with status 422 instead of 400, 401 or 403"),
        ("a token that no login gave is not refused with 401: a wildcard", None, 403, {401},
         "a token that no login gave is refused with status 403 instead of 401: a wildcard"),
        ("an unknown function is not answered 404", None, 400, {404},
         "an unknown function is refused with status 400 instead of 404"),
        ("title: longer than 9", "title: longer than 9", 500, {400},
         "title: longer than 9 is answered with status 500 instead of 400"),
        ("the deleted course is refused with another status (read)", None, 500, {403, 404},
         "the deleted course is answered with status 500 instead of 403 or 404 (read)"),
        ("valid data is refused: title (maxLength)", None, 500, {200},
         "valid data is answered with status 500 instead of 200: title (maxLength)"),
        ("a deleted course is refused to its owner", None, 500, {403}, "a deleted course is refused to its owner"),
        ("a rule of its own words", None, 500, {400}, "a rule of its own words"),
    ],
)  # fmt: skip
def test_the_status_that_came_is_named(
    kind: str, what: str | None, status: int, accepted: set[int], message: str
) -> None:
    assert (
        status_message(kind, reply(status, isError=True, errMsg="No", data=None), accepted, what) == message
    )


def test_a_success_is_only_not_refused() -> None:
    success = reply(200, isError=False, errMsg=None, data={})
    assert status_message("data that is 5 is not refused", success, {400}) == "data that is 5 is not refused"
    assert status_message("title: empty", success, {400}, "title: empty") == "title: empty is not refused"


def test_no_answer_is_said() -> None:
    silent = status_message("data that is 5 is not refused", no_reply("closed"), {400})
    assert silent == "data that is 5 gets no answer instead of status 400"
