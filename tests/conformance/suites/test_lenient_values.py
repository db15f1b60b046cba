"""What lenient readers convert: found at the place where it is accepted, and nowhere in a correct service."""

from __future__ import annotations

import pytest

from tests.support.one_test import findings_here

TESTS = {
    "test_values_that_lenient_readers_convert",
    "test_arguments_in_another_container",
    "test_required_members_under_another_name",
    "test_method_under_another_name",
    "test_operators_as_identifiers",
}


@pytest.mark.parametrize(
    ("fault", "subject", "expected"),
    [
        (
            "request.choice-by-ordinal",
            "message.add",
            ("REQ-9", "message.add", "priority: the ordinal of a listed value is not refused"),
        ),
        (
            "request.names-trimmed",
            "payment.add",
            ("REQ-7", "payment.add", "courseId: its name with a blank behind is not refused"),
        ),
        (
            "data.operator-as-identifier",
            "course.read",
            ("DAT-2", "course.read", "an operator as courseId is not refused"),
        ),
        (
            "request.method-in-any-case",
            "sys",
            ("REQ-1", "sys", "a method under another name is not refused"),
        ),
    ],
)
def test_fault_is_located(fault: str, subject: str, expected: tuple[str, str, str]) -> None:
    assert expected in findings_here(TESTS, fault, budget="standard", subjects={subject})


def test_clean_service_has_no_findings() -> None:
    assert findings_here(TESTS) == set()
