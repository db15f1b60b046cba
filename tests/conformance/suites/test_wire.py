"""Calls on one connection: what is another rule's matter is not found again."""

from __future__ import annotations

import pytest

from tests.support.one_test import findings_here

TESTS = {"test_many_calls_of_a_connection"}


@pytest.mark.parametrize("fault", ["codes.unknown-function-400", "codes.unknown-function-200"])
def test_the_status_of_unknown_functions_is_no_matter_of_a_connection(fault: str) -> None:
    assert {rule for rule, _, _ in findings_here(TESTS, fault)} & {"AUT-3"} == set()


def test_an_answer_of_another_call_is_found() -> None:
    found = findings_here(TESTS, "authentication.later-call-of-a-connection", budget="standard")
    assert "AUT-3" in {rule for rule, _, _ in found}
