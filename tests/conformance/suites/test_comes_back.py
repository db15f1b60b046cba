"""Telling values: an alteration is located, and what a correct service may do with such values is no finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.service.service import Service
from fixtures.service.store import Query
from fixtures.service.wire import ApiError, Call, Document
from tests.support.one_test import findings_here

TEST = {"test_telling_values_alone"}


@pytest.mark.parametrize(
    ("fault", "subject", "expected"),
    [
        (
            "data.quotes-undoubled",
            "course.update",
            ("DAT-5", "course.update", "contact.note does not come back as it went in (balanced quotes)"),
        ),
        (
            "data.word-of-language-as-text",
            "course.add",
            ("DAT-5", "course.add", "labels.* does not come back as it went in (a word for true or false)"),
        ),
        (
            "data.page-in-a-byte",
            "message.add",
            ("DAT-6", "message.add", "about.page does not come back as it went in (an integer past 16 bits)"),
        ),
        (
            "state.nested-null-as-empty",
            "course.add",
            ("STA-1", "course.add", "contact.note does not come back as it went in (an empty value, null)"),
        ),
        (
            "data.name-unquoted-in-list",
            "invitation.add",
            ("DAT-5", "invitation.add", "name does not come back as it went in"),
        ),
    ],
)
def test_alteration_is_located(fault: str, subject: str, expected: tuple[str, str, str]) -> None:
    rule, function, kind = expected
    found = findings_here(TEST, fault, budget="standard", subjects={subject})
    # Which of the texts is sent first depends on the seed of the function.
    assert any(each[:2] == (rule, function) and each[2].startswith(kind) for each in found)


@pytest.mark.parametrize(
    ("fault", "subject", "kind"),
    [
        ("data.text-ends-at-nul", "payment.add", "note does not come back as it went in (U+0000)"),
        ("data.plus-in-address-refused", "invitation.add", "valid data is refused: email (format)"),
    ],
)
def test_quick_check_sends_rare_characters_and_plain_addresses(fault: str, subject: str, kind: str) -> None:
    assert kind in {key[2] for key in findings_here(TEST, fault, subjects={subject})}


def refuses_rare_characters(service: Service) -> Service:
    """Texts with U+0000 or an unpaired surrogate are refused with 400, as DAT-5 allows."""

    def validate(inner: Callable[..., None], call: Call) -> None:
        text = json.dumps(call.message.get("data"))
        if "\\u0000" in text or "\\ud8" in text:
            raise ApiError(400, "Invalid data: a character is not allowed")
        inner(call)

    service.wrap("validate", validate)
    return service


def test_rare_characters_may_be_refused() -> None:
    assert not findings_here(TEST, change=refuses_rare_characters, subjects={"course.add", "lesson.add"})


def refuses_what_looks_like_code(service: Service) -> Service:
    """Unusual texts are refused with 400, as DAT-5 allows."""

    def validate(inner: Callable[..., None], call: Call) -> None:
        inner(call)
        if any(
            sign in json.dumps(call.message.get("data"), ensure_ascii=False)
            for sign in ("<", "''", "\\\\", "\u0301", "İ", "x" * 1000)
        ):
            raise ApiError(400, "Such a text is not accepted")

    service.wrap("validate", validate)
    return service


def shows_sets_in_any_order(service: Service) -> Service:
    """The tags of a course are a set, and are shown in another order."""

    def list_rows(inner: Callable[..., Any], call: Call, query: Query) -> Any:
        rows, total = inner(call, query)
        return [{**row, "tags": row["tags"][::-1]} if "tags" in row else row for row in rows], total

    def change_object(inner: Callable[..., Document], call: Call, kind: str, *rest: Any) -> Document:
        body = inner(call, kind, *rest)
        return {**body, "tags": body["tags"][::-1]} if "tags" in body else body

    service.wrap("list_rows", list_rows)
    service.wrap("change_object", change_object)
    return service


@pytest.mark.parametrize("change", [refuses_what_looks_like_code, shows_sets_in_any_order])
def test_correct_service_has_no_findings(change: Callable[[Service], Service]) -> None:
    assert findings_here(TEST, change=change) == set()
