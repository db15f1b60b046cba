"""The faults that lie in an order of calls, or in calls at the same time: each shows by one short script of calls.

A probe says whether the service answers rightly. What it says of the clean service is True, and of the spoiled
one False; the same calls without the one step that the fault needs are answered rightly by both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.faults import FAULTS
from tests.probing import Ask, Desk, is_answered, of_modules

Probe = Callable[[Desk], bool]
PROBES: dict[str, Probe] = {}
#: The same calls but for the step that the fault needs.
INNOCENT: dict[str, Probe] = {}


def probe(name: str, table: dict[str, Probe] = PROBES) -> Callable[[Probe], Probe]:
    def enter(body: Probe) -> Probe:
        assert name not in table
        table[name] = body
        return body

    return enter


def innocent(name: str) -> Callable[[Probe], Probe]:
    return probe(name, INNOCENT)


def title(desk: Desk, course: int, token: str | None = None) -> str:
    return str(desk.ask("course.read", {"courseId": course}, token).data["title"])


def retitle(desk: Desk, course: int, text: str, token: str | None = None) -> int:
    return desk.ask("course.update", {"courseId": course, "title": text}, token).status


def lesson_title(desk: Desk, lesson: str, token: str | None = None) -> str:
    return str(desk.ask("lesson.read", {"lessonId": lesson}, token).data["lesson"]["title"])


def retitle_lesson(desk: Desk, lesson: str, text: str, token: str | None = None) -> int:
    return desk.ask("lesson.update", {"lessonId": lesson, "title": text}, token).status


def there(desk: Desk, kind: str, identifier: int | str, token: str | None = None) -> bool:
    status = desk.ask(f"{kind}.read", {f"{kind}Id": identifier}, token).status
    assert status in (200, 404)
    return status == 200


def remove(desk: Desk, kind: str, identifier: int | str, token: str | None = None) -> int:
    return desk.ask(f"{kind}.remove", {f"{kind}Id": identifier}, token).status


# deletes


@probe("state.deleted-alive-where-made")
def _(desk: Desk) -> bool:
    made, other = desk.login(), desk.login()
    course = desk.course(made)
    assert remove(desk, "course", course, other) == 200
    assert not there(desk, "course", course, other)
    return not there(desk, "course", course, made)


@innocent("state.deleted-alive-where-made")
def _(desk: Desk) -> bool:
    course = desk.course()
    assert remove(desk, "course", course) == 200
    return not there(desk, "course", course)


def revived(desk: Desk, changed: bool) -> bool:
    lesson = desk.lesson()
    if changed:
        assert retitle_lesson(desk, lesson, "Changed") == 200
    assert remove(desk, "lesson", lesson) == 200
    assert not there(desk, "lesson", lesson)
    assert retitle_lesson(desk, lesson, "Again") == 404
    return not there(desk, "lesson", lesson) and lesson not in desk.listed("lesson")


probe("state.refused-change-revives")(lambda desk: revived(desk, True))
innocent("state.refused-change-revives")(lambda desk: revived(desk, False))


def deleted_twice(desk: Desk, times: int) -> bool:
    first, second = desk.course(), desk.course()
    for number in range(times):
        assert remove(desk, "course", first) == (404 if number else 200)
    return there(desk, "course", second)


probe("state.second-delete-takes-another")(lambda desk: deleted_twice(desk, 2))
innocent("state.second-delete-takes-another")(lambda desk: deleted_twice(desk, 1))


def deleted_between(desk: Desk, later: str) -> bool:
    lesson = desk.lesson()
    kept = desk.lesson(desk.token(later), course=15 if later == "peer" else 1)
    assert remove(desk, "lesson", lesson) == 200
    return there(desk, "lesson", kept, desk.token(later))


probe("state.delete-takes-another-users")(lambda desk: deleted_between(desk, "peer"))
innocent("state.delete-takes-another-users")(lambda desk: deleted_between(desk, "owner"))


def made_after_delete(desk: Desk, delete: bool) -> bool:
    old = desk.lesson(title="Old")
    if delete:
        assert remove(desk, "lesson", old) == 200
    return lesson_title(desk, desk.lesson(title="New")) == "New"


probe("state.deleted-values-return")(lambda desk: made_after_delete(desk, True))
innocent("state.deleted-values-return")(lambda desk: made_after_delete(desk, False))


def orphaned(desk: Desk, with_lesson: bool) -> bool:
    first, second = desk.course(), desk.course()
    if with_lesson:
        desk.lesson(course=second)
    assert remove(desk, "course", second) == 200
    return desk.listed("lesson", data={"courseId": first}) == []


probe("state.children-change-parents")(lambda desk: orphaned(desk, True))
innocent("state.children-change-parents")(lambda desk: orphaned(desk, False))


# changes


def changed_times(desk: Desk, times: int) -> bool:
    sibling, course = desk.course(title="Sibling"), desk.course()
    for number in range(times):
        assert retitle(desk, course, f"Change {number}") == 200
    return title(desk, sibling) == "Sibling"


probe("state.second-change-leaks")(lambda desk: changed_times(desk, 2))
innocent("state.second-change-leaks")(lambda desk: changed_times(desk, 1))


def changed_in(desk: Desk, same: bool) -> bool:
    one = desk.login()
    other = one if same else desk.login()
    lesson = desk.lesson(one)
    assert retitle_lesson(desk, lesson, "First", one) == 200
    assert retitle_lesson(desk, lesson, "Second", other) == 200
    return lesson_title(desk, lesson, one) == "Second"


probe("state.change-from-elsewhere-lost")(lambda desk: changed_in(desk, False))
innocent("state.change-from-elsewhere-lost")(lambda desk: changed_in(desk, True))


def changed_then_left(desk: Desk, leave: bool) -> bool:
    session = desk.login()
    course = desk.course(session)
    assert retitle(desk, course, "Changed", session) == 200
    if leave:
        desk.logout(session)
        session = desk.login()
    return title(desk, course, session) == "Changed"


probe("state.changes-end-with-session")(lambda desk: changed_then_left(desk, True))
innocent("state.changes-end-with-session")(lambda desk: changed_then_left(desk, False))


def changed_and_read(desk: Desk, same: bool) -> bool:
    one = desk.login()
    other = one if same else desk.login()
    lesson = desk.lesson(one)
    assert retitle_lesson(desk, lesson, "Changed", one) == 200
    rows = desk.ask("lesson.find", {"courseId": 1}, other).data["lessons"]
    listed = [row["title"] for row in rows if row["lessonId"] == lesson]
    return lesson_title(desk, lesson, other) == "Changed" and listed == ["Changed"]


probe("state.change-seen-by-its-session")(lambda desk: changed_and_read(desk, False))
innocent("state.change-seen-by-its-session")(lambda desk: changed_and_read(desk, True))


def changed_back(desk: Desk, back: str) -> bool:
    course = desk.course(title="First")
    assert retitle(desk, course, "Second") == 200
    assert retitle(desk, course, back) == 200
    return title(desk, course) == back


probe("state.change-back-ignored")(lambda desk: changed_back(desk, "First"))
innocent("state.change-back-ignored")(lambda desk: changed_back(desk, "Third"))


def refused_then_changed(desk: Desk, stranger: bool) -> bool:
    course = desk.course(title="Mine")
    if stranger:
        assert retitle(desk, course, "Theirs", desk.token("peer")) == 404
        assert title(desk, course) == "Mine"
    assert desk.ask("course.update", {"courseId": course, "seats": 7}).status == 200
    return title(desk, course) == "Mine"


probe("state.refused-change-comes-later")(lambda desk: refused_then_changed(desk, True))
innocent("state.refused-change-comes-later")(lambda desk: refused_then_changed(desk, False))


def change_after_refusal(desk: Desk, stranger: bool) -> bool:
    others = desk.lesson(desk.token("peer"), course=15)
    mine = desk.lesson()
    if stranger:
        assert retitle_lesson(desk, others, "Not mine") == 404
    assert retitle_lesson(desk, mine, "Changed") == 200
    return lesson_title(desk, mine) == "Changed"


probe("state.refusal-spoils-next-change")(lambda desk: change_after_refusal(desk, True))
innocent("state.refusal-spoils-next-change")(lambda desk: change_after_refusal(desk, False))


def withdrawn(desk: Desk, stranger: bool) -> bool:
    invitation = desk.invitation()
    if stranger:
        assert remove(desk, "invitation", invitation, desk.token("peer")) == 404
    assert remove(desk, "invitation", invitation) == 200
    return not there(desk, "invitation", invitation)


probe("state.refused-delete-blocks")(lambda desk: withdrawn(desk, True))
innocent("state.refused-delete-blocks")(lambda desk: withdrawn(desk, False))


# reads and lists


def read_elsewhere(desk: Desk, before: bool) -> bool:
    one, other = desk.login(), desk.login()
    course = desk.course(one, title="Old")
    if before:
        assert title(desk, course, other) == "Old"
    assert retitle(desk, course, "New", one) == 200
    return title(desk, course, other) == "New"


probe("state.read-old-elsewhere")(lambda desk: read_elsewhere(desk, True))
innocent("state.read-old-elsewhere")(lambda desk: read_elsewhere(desk, False))


def listed_elsewhere(desk: Desk, same: bool) -> bool:
    one = desk.login()
    other = one if same else desk.login()
    desk.listed("lesson", other)
    lesson = desk.lesson(one)
    return lesson in desk.listed("lesson", other)


probe("state.list-old-elsewhere")(lambda desk: listed_elsewhere(desk, False))
innocent("state.list-old-elsewhere")(lambda desk: listed_elsewhere(desk, True))


def paged_again(desk: Desk, paged: bool) -> bool:
    page: dict[str, Any] = {"pageStart": 0, "pageLength": 50} if paged else {}
    invitation = desk.invitation()
    assert invitation in desk.listed("invitation", **page)
    assert remove(desk, "invitation", invitation) == 200
    return invitation not in desk.listed("invitation", **page)


probe("state.page-kept-after-delete")(lambda desk: paged_again(desk, True))
innocent("state.page-kept-after-delete")(lambda desk: paged_again(desk, False))


def paged_after_delete(desk: Desk, place: int) -> bool:
    course = desk.course()
    lessons = [desk.lesson(course=course) for _ in range(4)]
    assert remove(desk, "lesson", lessons.pop(place)) == 200
    where = {"courseId": course}
    assert desk.listed("lesson", data=where) == lessons
    return desk.listed("lesson", data=where, pageStart=1, pageLength=2) == lessons[1:3]


probe("state.page-slips-after-delete")(lambda desk: paged_after_delete(desk, 1))
innocent("state.page-slips-after-delete")(lambda desk: paged_after_delete(desk, 3))


def listed_and_changed(desk: Desk, sessions: int) -> bool:
    course = desk.course()
    for _ in range(sessions):
        assert course in desk.listed("course", desk.login())
    assert retitle(desk, course, "Changed") == 200
    return course in desk.listed("course")


probe("state.changed-after-lists-unlisted")(lambda desk: listed_and_changed(desk, 2))
innocent("state.changed-after-lists-unlisted")(lambda desk: listed_and_changed(desk, 1))


def made_and_listed(desk: Desk, count: int) -> bool:
    session = desk.login()
    made = [desk.invitation(session) for _ in range(count)]
    return desk.listed("invitation", session)[-count:] == made


probe("state.third-of-a-session-unlisted")(lambda desk: made_and_listed(desk, 3))
innocent("state.third-of-a-session-unlisted")(lambda desk: made_and_listed(desk, 2))


def written_then_left(desk: Desk, leave: bool) -> bool:
    session = desk.login()
    message = desk.message(session)
    if leave:
        desk.logout(session)
    assert there(desk, "message", message)
    return message in desk.listed("message")


probe("state.unlisted-after-logout")(lambda desk: written_then_left(desk, True))
innocent("state.unlisted-after-logout")(lambda desk: written_then_left(desk, False))


# users and sessions


def listed_then_read(desk: Desk, lists: int) -> bool:
    message = desk.message()
    for _ in range(lists):
        assert message in desk.listed("message")
    return not there(desk, "message", message, desk.token("peer"))


probe("state.readable-after-two-lists")(lambda desk: listed_then_read(desk, 2))
innocent("state.readable-after-two-lists")(lambda desk: listed_then_read(desk, 1))


def left_and_entered(desk: Desk, leave: bool) -> bool:
    message, session = desk.message(), desk.login()
    if leave:
        desk.logout(session)
    return message not in desk.listed("message", desk.login("peer"))


probe("state.next-login-inherits-list")(lambda desk: left_and_entered(desk, True))
innocent("state.next-login-inherits-list")(lambda desk: left_and_entered(desk, False))


def left_for_good(desk: Desk, who: str) -> bool:
    session = desk.login()
    desk.logout(session)
    assert desk.ask("auth.status", {}, session).status == 401
    assert desk.ask("auth.status", {}, desk.login(who)).status == 200
    return desk.ask("auth.status", {}, session).status == 401


probe("state.login-revives-session")(lambda desk: left_for_good(desk, "owner"))
innocent("state.login-revives-session")(lambda desk: left_for_good(desk, "peer"))


def written_in_last_of(desk: Desk, count: int) -> bool:
    sessions = [desk.login("peer") for _ in range(count)]
    message = desk.message(sessions[-1])
    assert there(desk, "message", message, sessions[-1])
    return there(desk, "message", message, sessions[0]) and message in desk.listed("message", sessions[0])


probe("state.third-session-apart")(lambda desk: written_in_last_of(desk, 3))
innocent("state.third-session-apart")(lambda desk: written_in_last_of(desk, 2))


# at the same time

MAIL = {"recipients": ["someone@example.org"], "subject": "A message"}


def written_at_once(desk: Desk, *users: str) -> bool:
    tokens = [desk.token(user) for user in users]
    replies = desk.together(*(("message.add", MAIL, token) for token in tokens))
    return all(
        there(desk, "message", reply.data["messageId"], token)
        for reply, token in zip(replies, tokens, strict=True)
    )


probe("state.concurrent-users-lose")(lambda desk: written_at_once(desk, "owner", "peer"))
innocent("state.concurrent-users-lose")(lambda desk: written_at_once(desk, "owner", "owner"))


def invited_at_once(desk: Desk, count: int) -> bool:
    data = {"courseId": 1, "email": "someone@example.org"}
    replies = desk.together(*[("invitation.add", data, desk.token("owner"))] * count)
    listed = desk.listed("invitation")
    return {reply.data["invitationId"] for reply in replies} <= set(listed)


probe("state.concurrent-fourth-lost")(lambda desk: invited_at_once(desk, 4))
innocent("state.concurrent-fourth-lost")(lambda desk: invited_at_once(desk, 3))


def changed_at_once(desk: Desk, at_once: bool) -> bool:
    one, two, token = desk.course(), desk.course(), desk.token("owner")
    asks = [
        ("course.update", {"courseId": course, "title": text}, token)
        for course, text in ((one, "One"), (two, "Two"))
    ]
    replies = desk.together(*asks) if at_once else [desk.ask(*ask) for ask in asks]
    assert [reply.status for reply in replies] == [200, 200]
    return [title(desk, one), title(desk, two)] == ["One", "Two"]


probe("state.concurrent-changes-swapped")(lambda desk: changed_at_once(desk, True))
innocent("state.concurrent-changes-swapped")(lambda desk: changed_at_once(desk, False))


def deleted_while_changed(desk: Desk, at_once: bool) -> bool:
    lesson, token = desk.lesson(), desk.token("owner")
    asks = [
        ("lesson.update", {"lessonId": lesson, "title": "Changed"}, token),
        ("lesson.remove", {"lessonId": lesson}, token),
    ]
    replies = desk.together(*asks) if at_once else [desk.ask(*ask) for ask in asks]
    assert replies[1].status == 200
    return not there(desk, "lesson", lesson)


probe("state.concurrent-change-outlives-delete")(lambda desk: deleted_while_changed(desk, True))
innocent("state.concurrent-change-outlives-delete")(lambda desk: deleted_while_changed(desk, False))


def made_while_listed(desk: Desk, listed: bool) -> bool:
    token = desk.token("owner")
    asks = [("course.add", {"title": text}, token) for text in ("One", "Two")]
    replies = desk.together(*([("course.find", {}, token)] * listed), *asks)[-2:]
    identifiers = [reply.data["courseId"] for reply in replies]
    return [title(desk, identifier) for identifier in identifiers] == ["One", "Two"]


probe("state.concurrent-same-id-while-listed")(lambda desk: made_while_listed(desk, True))
innocent("state.concurrent-same-id-while-listed")(lambda desk: made_while_listed(desk, False))


def called_while_leaving(desk: Desk, who: str) -> bool:
    leaving, staying = desk.login(), desk.login(who)
    replies = desk.together(("auth.logout", {}, leaving), ("auth.status", {}, staying))
    assert [reply.status for reply in replies] == [200, 200]
    assert desk.ask("auth.status", {}, leaving).status == 401
    return desk.ask("auth.status", {}, staying).status == 200


probe("state.logout-takes-running-session")(lambda desk: called_while_leaving(desk, "owner"))
innocent("state.logout-takes-running-session")(lambda desk: called_while_leaving(desk, "peer"))


def asked_while_entering(desk: Desk, who: str) -> bool:
    entering = {"identity": f"{who}@example.com", "credential": CREDENTIALS[who]}
    asks = [("auth.login", entering, None), ("auth.status", {}, desk.token("owner"))]
    reply = desk.together(*asks)[1]
    return bool(reply.data["user"]["email"] == "owner@example.com")


CREDENTIALS = {"owner": "Correct-Horse-7-owner", "peer": "Battery-Staple-8-peer"}
probe("authentication.user-of-a-running-login")(lambda desk: asked_while_entering(desk, "peer"))
innocent("authentication.user-of-a-running-login")(lambda desk: asked_while_entering(desk, "owner"))


def made_at_once(desk: Desk, *users: str) -> bool:
    tokens = [desk.token(user) for user in users]
    replies = desk.together(*(("course.add", {"title": "Mine"}, token) for token in tokens))
    return all(
        there(desk, "course", reply.data["courseId"], token)
        for reply, token in zip(replies, tokens, strict=True)
    )


probe("authentication.concurrent-create-changes-owner")(lambda desk: made_at_once(desk, "owner", "peer"))
innocent("authentication.concurrent-create-changes-owner")(lambda desk: made_at_once(desk, "peer", "peer"))


def answered_at_once(desk: Desk, *users: str) -> bool:
    names = ("message.find", "payment.find", "dashboard.read")
    asks: list[Ask] = [(name, {}, desk.token(user)) for name in names for user in users]
    alone = [desk.ask(*ask).data for ask in asks]
    return [reply.data for reply in desk.together(*asks)] == alone


probe("authentication.concurrent-answers-shared")(lambda desk: answered_at_once(desk, "owner", "peer"))
innocent("authentication.concurrent-answers-shared")(lambda desk: answered_at_once(desk, "owner", "owner"))


# all of them


def right(name: str | None, body: Probe) -> bool:
    with Desk(name) as desk:
        found = body(desk)
        assert all(is_answered(reply) and reply.status != 500 for reply in desk.replies)
        return found


@pytest.mark.parametrize("name", PROBES)
def test_order_of_calls_shows_it(name: str) -> None:
    assert right(None, PROBES[name])
    assert not right(name, PROBES[name])


@pytest.mark.parametrize("name", INNOCENT)
def test_nothing_shows_without_the_step(name: str) -> None:
    assert right(None, INNOCENT[name])
    assert right(name, INNOCENT[name])


def test_every_one_is_probed() -> None:
    assert set(PROBES) == of_modules("sequences", "sessions", "races") == set(INNOCENT)
    assert sum(found.primary == "STA-6" for found in FAULTS.values()) >= 18
