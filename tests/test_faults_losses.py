"""The faults by which a change, an item or a key is answered as kept and is not: each shows to who reads it again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.probing import Desk, of_modules


def test_a_change_of_a_lesson_is_not_made() -> None:
    with Desk("state.update-does-nothing") as desk:
        lesson = desk.lesson()
        changed = desk.ask("lesson.update", {"lessonId": lesson, "title": "Another"})
        assert changed.data["lesson"]["title"] == "Another"
        assert desk.ask("lesson.read", {"lessonId": lesson}).data["lesson"]["title"] == "A lesson"
        course = desk.course()
        assert desk.ask("course.update", {"courseId": course, "title": "Another"}).status == 200
        assert desk.ask("course.read", {"courseId": course}).data["title"] == "Another"


def test_every_third_change_is_not_made() -> None:
    with Desk("state.third-change-lost") as desk:
        course = desk.course()
        read = []
        for number in range(6):
            assert desk.ask("course.update", {"courseId": course, "title": f"No. {number}"}).status == 200
            read.append(desk.ask("course.read", {"courseId": course}).data["title"])
        assert read == ["No. 0", "No. 1", "No. 1", "No. 3", "No. 4", "No. 4"]


NOBODY = "00000000-0000-4000-8000-000000000000"
#: A course and a lesson of the peer's, in the seed.
THEIRS = 15


def message_about(course: int) -> dict[str, Any]:
    return {"recipients": ["someone@example.org"], "subject": "A subject", "about": {"courseId": course}}


def test_nested_identifiers_are_not_looked_up() -> None:
    with Desk() as desk:
        assert desk.ask("message.add", message_about(999_999)).status == 404
    with Desk("codes.nested-identifier-unchecked") as desk:
        assert desk.ask("message.add", message_about(999_999)).status == 200
        assert desk.ask("lesson.add", {"courseId": 999_999, "title": "A lesson"}).status == 404


def test_the_first_identifier_alone_is_looked_up() -> None:
    with Desk("codes.first-identifier-checked") as desk:
        data = {"courseId": 1, "email": "someone@example.org"}
        lesson = desk.lesson()
        assert desk.ask("invitation.add", data | {"lessonIds": [NOBODY]}).status == 404
        assert desk.ask("invitation.add", data | {"lessonIds": [lesson, NOBODY]}).status == 200
        assert desk.ask("invitation.add", data | {"courseId": 999_999}).status == 404


def test_others_courses_can_be_referred_to() -> None:
    with Desk() as desk:
        assert desk.ask("message.add", message_about(THEIRS)).status == 404
    with Desk("access.others-nested") as desk:
        assert desk.ask("message.add", message_about(THEIRS)).status == 200
        assert desk.ask("course.read", {"courseId": THEIRS}).status == 404
    with Desk("access.under-others-parent") as desk:
        assert desk.ask("lesson.add", {"courseId": THEIRS, "title": "A lesson"}).status == 200
        assert desk.ask("course.read", {"courseId": THEIRS}).status == 404
    with Desk("access.list-by-others-parent") as desk:
        theirs = desk.lesson(desk.token("peer"), course=THEIRS)
        assert theirs in desk.listed("lesson", data={"courseId": THEIRS})
        assert desk.ask("lesson.read", {"lessonId": theirs}).status == 404


def test_what_is_refused_is_done_beside_the_object() -> None:
    with Desk("access.refused-and-children-deleted") as desk:
        course = desk.course()
        lesson = desk.lesson(course=course)
        assert desk.ask("course.remove", {"courseId": course}, desk.token("peer")).status == 403
        assert desk.ask("course.read", {"courseId": course}).status == 200
        assert desk.ask("lesson.read", {"lessonId": lesson}).status == 404
    with Desk("access.refused-and-parent-changed") as desk:
        course = desk.course(description="Of a course")
        lesson = desk.lesson(course=course)
        assert desk.ask("lesson.update", {"lessonId": lesson}, desk.token("peer")).status == 403
        assert desk.ask("lesson.read", {"lessonId": lesson}).status == 200
        assert desk.ask("course.read", {"courseId": course}).data["description"] == ""


def test_what_was_deleted_is_listed_in_some_calls() -> None:
    with Desk("state.deleted-under-filter") as desk:
        course = desk.course(title="Some course")
        assert desk.ask("course.remove", {"courseId": course}).status == 200
        assert course not in desk.listed("course")
        assert course in desk.listed("course", data={"query": "Some course"})
    with Desk("state.deleted-on-page") as desk:
        invitation = desk.invitation()
        assert desk.ask("invitation.remove", {"invitationId": invitation}).status == 200
        assert invitation not in desk.listed("invitation")
        assert invitation in desk.listed("invitation", pageLength=5)


LENIENT: dict[str, tuple[str, dict[str, Any]]] = {
    "request.hour-24-taken": ("course.update", {"courseId": 1, "enrolUntil": "2026-02-03T24:00:00Z"}),
    "request.second-60-taken": (
        "message.add",
        {"recipients": ["a@example.org"], "subject": "A", "sendAt": "2026-02-03T10:20:60Z"},
    ),
    "request.leap-day-of-any-fourth-year": (
        "invitation.add",
        {"courseId": 1, "email": "a@example.org", "expiresOn": "1900-02-29"},
    ),
    "request.month-and-day-exchanged": ("course.add", {"title": "A", "startsOn": "2026-31-12"}),
    "request.digits-of-any-script": ("user.update", {"birthday": "٢٠٢٦-٠٢-٠٣"}),
    "request.uuid-in-braces": (
        "course.add",
        {"title": "A", "externalId": "{12345678-1234-4234-8234-123456789012}"},
    ),
}


@pytest.mark.parametrize("name", LENIENT)
def test_a_lenient_parser_takes_it(name: str) -> None:
    function, data = LENIENT[name]
    with Desk() as desk:
        assert desk.ask(function, data).status == 400
    with Desk(name) as desk:
        assert desk.ask(function, data).status == 200


RESOURCES = [{"name": f"No. {number}", "url": "https://example.com/"} for number in range(6)]
QUESTIONS = [{"ask": ask, "answers": ["Yes", "No"]} for ask in ("Why?", "How?")]
#: Per fault: the function, what it is given, and what comes back.
ALTERED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "data.nested-items-lost": ("lesson", {"resources": RESOURCES}, {"resources": RESOURCES[:5]}),
    "data.nested-items-sorted": (
        "lesson",
        {"quiz": {"weight": 0.5, "questions": QUESTIONS}},
        {"quiz": {"weight": 0.5, "questions": QUESTIONS[::-1]}},
    ),
    "data.keys-trimmed": ("course", {"labels": {" a": "x"}}, {"labels": {"a": "x"}}),
    "data.keys-composed": ("course", {"labels": {"A\u030a": "x"}}, {"labels": {"\u00c5": "x"}}),
    "data.key-of-the-language-lost": ("course", {"labels": {"__proto__": "x"}}, {"labels": {}}),
    "data.longest-text-cut": ("lesson", {"title": "x" * 200}, {"title": "x" * 199}),
    "data.early-day-shifted": ("course", {"startsOn": "1969-12-31"}, {"startsOn": "1970-01-01"}),
    "data.largest-number-lowered": ("lesson", {"durationSeconds": 86_400}, {"durationSeconds": 86_399}),
}


@pytest.mark.parametrize("name", ALTERED)
def test_it_does_not_come_back_as_it_went_in(name: str) -> None:
    kind, given, shown = ALTERED[name]
    data = {"title": "A title", **given} | ({"courseId": 1} if kind == "lesson" else {})
    for fault, expected in ((None, given), (name, shown)):
        with Desk(fault) as desk:
            body = desk.ask(f"{kind}.add", data).data
            body = body["lesson"] if kind == "lesson" else body
            assert {member: body[member] for member in expected} == expected


def test_there_is_nothing_yet() -> None:
    with Desk("envelope.no-children-is-null") as desk:
        assert desk.ask("lesson.find", {"courseId": desk.course()}).data["lessons"] is None
        assert desk.listed("lesson")
    with Desk("envelope.nulled-member-left-out") as desk:
        course = desk.course()
        assert "schedule" in desk.ask("course.read", {"courseId": course}).data
        assert desk.ask("course.update", {"courseId": course, "schedule": None}).status == 200
        assert "schedule" not in desk.ask("course.read", {"courseId": course}).data
    with Desk("paging.empty-list-404") as desk:
        empty = {"courseId": desk.course()}
        assert desk.ask("lesson.find", empty, pageStart=1).status == 404
        assert desk.ask("lesson.find", {"courseId": 1}, pageStart=1).status == 200


PROBED = {
    "envelope.no-children-is-null",
    "envelope.nulled-member-left-out",
    "paging.empty-list-404",
    *LENIENT,
    *ALTERED,
    "state.update-does-nothing",
    "state.third-change-lost",
    "codes.nested-identifier-unchecked",
    "codes.first-identifier-checked",
    "access.others-nested",
    "access.under-others-parent",
    "access.list-by-others-parent",
    "access.refused-and-children-deleted",
    "access.refused-and-parent-changed",
    "state.deleted-under-filter",
    "state.deleted-on-page",
}


def test_every_fault_is_probed() -> None:
    assert of_modules("losses", "references", "formats") == PROBED
