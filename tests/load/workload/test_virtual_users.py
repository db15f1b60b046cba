"""Virtual users: who gets whose sessions, what becomes of a refused one, and whether sessions are isolated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.events import FindingEvent
from conformance.protocol.profile import Profile, User
from conformance.protocol.session import SetUpFailedError
from load.workload import virtual_users as member_module
from load.workload.calls import Call
from load.workload.virtual_users import Mark, VirtualUser, lease
from load.workload.workload import Work
from tests.support.events import record_of
from tests.support.judging import serving, serving_here
from tests.support.load_driving import Answer, Driver, Outsider, driving, embedded

MIX = {"course.find": 2, "course.read": 2}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def target(url: str) -> tuple[Profile, Catalog]:
    return embedded(url)


@pytest.fixture
def driver(target: tuple[Profile, Catalog]) -> Iterator[Driver]:
    with driving(*target, mix=MIX, users=4, isolation=0) as driver:
        yield driver


# -- leases ------------------------------------------------------------------------------------------------


def people(**roles: str) -> Profile:
    users = {name: User(name, name, "secret", tuple(given.split())) for name, given in roles.items()}
    return Profile(users=users)


def test_workers_share_no_user_where_there_are_enough() -> None:
    profile = people(a="", b="", c="", d="", e="")
    leases = [lease(profile, (), (), index, 2) for index in range(2)]
    assert [each.users for each in leases] == [("a", "c", "e"), ("b", "d")]
    assert all(each.shared == () for each in leases)


def test_where_there_are_too_few_they_are_shared_and_it_is_said() -> None:
    profile = people(a="", b="")
    leases = [lease(profile, (), (), index, 3) for index in range(3)]
    assert all(each.users == each.shared == ("a", "b") for each in leases)


def test_each_worker_has_somebody_of_each_role_that_is_needed() -> None:
    profile = people(a="user", b="user", boss="admin user", other="admin")
    first, second = (lease(profile, {"admin"}, {"admin"}, index, 2) for index in range(2))
    assert (first.users, second.users) == (("a", "boss"), ("b", "other"))
    assert first.shared == second.shared == ()


def test_special_rights_are_left_alone_where_nobody_needs_them() -> None:
    assert lease(people(a="user", boss="admin"), {"admin"}).users == ("a",)
    assert lease(people(boss="admin"), {"admin"}).users == ("boss",)


def test_a_role_that_nobody_has_is_reported() -> None:
    with pytest.raises(UsageError, match='needs the role "admin", which no user of the profile has'):
        lease(people(a="user"), {"admin"}, {"admin"})


# -- sessions ----------------------------------------------------------------------------------------------


def test_each_member_has_a_session_of_its_own(driver: Driver) -> None:
    virtual_users = driver.work.virtual_users.all
    assert len(virtual_users) == 4
    assert len({virtual_user.token for virtual_user in virtual_users}) == 4
    assert [virtual_user.user for virtual_user in virtual_users] == ["owner", "peer", "owner", "peer"]
    assert all(virtual_user.ready and virtual_user.epoch == 1 for virtual_user in virtual_users)


def test_a_wrong_password_is_reported_without_it(target: tuple[Profile, Catalog]) -> None:
    profile, catalog = target
    users = {name: replace(user, secret="not-the-right-one") for name, user in profile.users.items()}
    with pytest.raises(SetUpFailedError, match="could not sign in as owner") as caught:
        Work.prepare(replace(profile, users=users), catalog, mix=MIX)
    assert "not-the-right-one" not in caught.value.reason


def test_sessions_end_with_the_load(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix=MIX, isolation=0) as driver:
        tokens = [virtual_user.token for virtual_user in driver.work.virtual_users.all]
        driver.close()
    outsider = Outsider(*target)
    assert {outsider.caller.call("auth.status", {}, token=token).status for token in tokens} == {401}
    outsider.close()


def call_of(driver: Driver, virtual_user: VirtualUser, function: str = "course.find") -> Call:
    return driver.work.call(function, virtual_user)


def test_a_session_that_ended_is_renewed_once(target: tuple[Profile, Catalog], driver: Driver) -> None:
    outsider = Outsider(*target)
    virtual_users: Any = driver.work.virtual_users
    virtual_user = virtual_users.all[0]
    before = virtual_user.token
    # Five calls are on their way when the session ends: they all come back refused.
    calls = [call_of(driver, virtual_user) for _ in range(5)]
    outsider.end(before)
    assert [driver.send(call).status for call in calls] == [401] * 5
    assert [renewed for _, renewed in driver.refusals] == [True] * 5
    assert (virtual_users.renewals, virtual_users.excused) == (1, 5)
    assert virtual_user.epoch == 2
    assert virtual_user.ready
    assert virtual_user.token != before
    assert driver.send(call_of(driver, virtual_user)).status == 200
    assert [mark.kind for mark in virtual_users.marks] == ["renewal"]
    outsider.close()


def test_calls_that_wait_for_one_renewal_are_settled_together(driver: Driver) -> None:
    virtual_users: Any = driver.work.virtual_users
    jobs: list[Any] = []
    virtual_users.later = jobs.append
    virtual_user = virtual_users.all[0]
    settled: list[bool] = []
    for _ in range(3):
        virtual_users.refused(call_of(driver, virtual_user), settled.append)
    assert len(jobs) == 1
    assert not virtual_user.ready
    assert settled == []
    # While it waits, others are sent instead of it.
    assert virtual_user not in {driver.work.next().virtual_user for _ in range(20)}
    driver.work.caller.call("auth.logout", token=virtual_user.token)
    jobs[0]()
    assert settled == [True] * 3


def test_a_refusal_in_a_good_session_is_a_failure(driver: Driver) -> None:
    virtual_users: Any = driver.work.virtual_users
    settled: list[bool] = []
    jobs: list[Any] = []
    virtual_users.later = jobs.append
    virtual_users.refused(call_of(driver, virtual_users.all[0]), settled.append)
    jobs[0]()
    assert settled == [False]
    assert (virtual_users.renewals, virtual_users.excused, virtual_users.marks) == (0, 0, [])
    assert virtual_users.all[0].ready


def test_without_whoami_the_refused_call_decides(target: tuple[Profile, Catalog]) -> None:
    profile, catalog = target
    blind = replace(profile, auth=replace(profile.auth, whoami=None))
    outsider = Outsider(*target)
    with driving(blind, catalog, mix=MIX, isolation=0) as driver:
        virtual_users: Any = driver.work.virtual_users
        virtual_user = virtual_users.all[0]
        call = call_of(driver, virtual_user)
        outsider.end(virtual_user.token)
        driver.send(call)
        assert [renewed for _, renewed in driver.refusals] == [True]
        # A function that refuses every session: a new one does not mend it.
        settled: list[bool] = []
        jobs: list[Any] = []
        virtual_users.later = jobs.append
        refused = replace(call_of(driver, virtual_user), function="auth.logout", raw=b"\r\n\r\n{}")
        caller: Any = driver.work.caller
        caller.call = lambda *given, **more: Refused()
        virtual_users._sign_in = lambda virtual_user: "another"
        virtual_users.refused(refused, settled.append)
        jobs[0]()
        assert settled == [False]
        assert virtual_user.token != "another"
        del caller.call
    outsider.close()


class Refused:
    status = 401


def test_a_renewal_that_is_refused_makes_it_a_failure(
    target: tuple[Profile, Catalog], driver: Driver
) -> None:
    outsider = Outsider(*target)
    virtual_users: Any = driver.work.virtual_users
    virtual_user = virtual_users.all[0]

    def refused(virtual_user: VirtualUser) -> str:
        raise SetUpFailedError("could not sign in as owner: auth.login gave 401")

    virtual_users._sign_in = refused
    outsider.end(virtual_user.token)
    for _ in range(3):
        driver.send(call_of(driver, virtual_user))
    assert [renewed for _, renewed in driver.refusals] == [False] * 3
    assert virtual_users.renewals == 0
    # It is not tried again with every call.
    assert [mark.text for mark in virtual_users.marks] == [
        "a refused session was not renewed: could not sign in as owner: auth.login gave 401"
    ]
    outsider.close()


def test_after_a_reset_objects_are_made_anew(target: tuple[Profile, Catalog]) -> None:
    marks: list[Mark] = []
    outsider = Outsider(*target)
    with driving(*target, mix={"course.read": 1, "course.add": 1}, isolation=0, mark=marks.append) as driver:
        driver.drive(10)
        for resource in [*driver.work.resources.owned(), *driver.work.created.objects]:
            outsider.call("course.remove", {"courseId": resource.id}, user=resource.user)
        tokens = [virtual_user.token for virtual_user in driver.work.virtual_users.all]
        for token in [*tokens, *(session.token for session in driver.work.sessions.mains())]:
            outsider.end(token)
        driver.drive(30)
        assert {status for _, status in driver.statuses} == {200, 401}
        assert all(renewed for _, renewed in driver.refusals)
        assert 1 <= driver.work.virtual_users.renewals <= 4
        assert [mark.text for mark in marks] == [
            "the target was reset: the run's objects were gone, and are made anew",
            "sessions had ended, and are renewed",
        ]
        assert driver.close() == []
    outsider.close()


# -- are sessions isolated (AUT-11) ------------------------------------------------------------------------


def test_a_share_of_the_calls_asks_who_the_session_is(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix=MIX, isolation=0.1) as driver:
        before = driver.work.virtual_users.judged
        assert driver.drive(200) == {"auth.status": 20, "course.find": 90, "course.read": 90}
        assert driver.work.virtual_users.judged == before + 20
        assert driver.work.findings() == []
        assert driver.work.rules() == {"AUT-11": [before + 20, 0]}


def test_the_share_may_be_the_profiles(target: tuple[Profile, Catalog]) -> None:
    profile, catalog = target
    with driving(replace(profile, load={"mix": MIX, "isolation": 0.5}), catalog) as driver:
        assert driver.drive(40)["auth.status"] == 20


def test_an_answer_for_somebody_else_is_found_and_shown_without_secrets(
    target: tuple[Profile, Catalog],
) -> None:
    found: list[FindingEvent] = []
    with driving(*target, mix=MIX, isolation=0.5, found=found.append) as driver:
        virtual_users: Any = driver.work.virtual_users
        owner, peer = virtual_users.all[0], virtual_users.all[1]
        mine, theirs = driver.work.call("auth.status", owner), driver.work.call("auth.status", peer)
        answer = driver.send(theirs)
        for _ in range(3):
            assert mine.learn is not None
            mine.learn(mine, answer)
        assert virtual_users.broken == 3
        finding = record_of(driver.work.findings()[0])
        assert (finding["rule"], finding["function"], finding["count"]) == ("AUT-11", "auth.status", 3)
        assert finding["expected"] == "/user/email is 'owner@example.com'"
        assert finding["actual"] == "'peer@example.com'"
        assert finding["request"]["verb"] == "POST"
        assert finding["response"]["status"] == 200
        assert "peer@example.com" in finding["response"]["body"]
        shown = json.dumps(finding)
        assert owner.token not in shown
        assert peer.token not in shown
        assert [each.count for each in found] == [1]


def test_what_is_no_answer_is_not_judged(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix=MIX, isolation=0.5) as driver:
        call = driver.work.call("auth.status", driver.work.virtual_users.all[0])
        before = driver.work.virtual_users.judged
        for answer in (Answer(failure="timeout"), Answer(401, body=b"{}"), Answer(500, body=b"")):
            assert call.learn is not None
            call.learn(call, answer)
        assert driver.work.virtual_users.judged == before
        assert call.learn is not None
        call.learn(call, Answer(200, b"HTTP/1.1 200 OK\r\n\r\n", b"not json"))
        assert driver.work.virtual_users.broken == 1


def test_a_target_that_mixes_sessions_up_is_caught() -> None:
    with (
        serving_here("authentication.status-cached") as (url, _),
        driving(*embedded(url), mix=MIX, isolation=0.5) as driver,
    ):
        driver.drive(40)
        assert driver.work.virtual_users.broken > 0
        assert {finding.rule for finding in driver.work.findings()} == {"AUT-11"}


def test_remarks_do_not_pile_up(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    virtual_users = driver.work.virtual_users
    for _ in range(50):
        virtual_users.note("the target does not answer")
    assert [mark.text for mark in virtual_users.marks] == ["the target does not answer"]
    monkeypatch.setattr(member_module, "_REPEAT_SECONDS", -1.0)  # it was long ago
    virtual_users.note("the target does not answer")
    assert len(virtual_users.marks) == 2
    for number in range(2_000):
        virtual_users.note(f"remark {number}")
    assert len(virtual_users.marks) == 500


def test_a_job_that_crashes_is_reported_and_the_next_is_done(driver: Driver) -> None:
    import threading

    done = threading.Event()
    for _ in range(10):  # more than there are keepers
        driver.work.virtual_users.later(lambda: [][1])
    driver.work.virtual_users.later(done.set)
    assert done.wait(240)
    assert "IndexError" in driver.work.virtual_users.marks[0].text
