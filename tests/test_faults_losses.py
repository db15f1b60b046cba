"""The faults by which a change, an item or a key is answered as kept and is not: each shows to who reads it again."""

from __future__ import annotations

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


PROBES = ("state.update-does-nothing", "state.third-change-lost")


def test_every_fault_is_probed() -> None:
    assert set(PROBES) == of_modules("losses")
