"""Calls of scenarios: any data, in the session of a user, and nothing that they create is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.protocol.caller import OMIT
from conformance.protocol.profile import Profile
from load.workload.calls import Call
from load.workload.own_calls import Needs, OwnCalls
from load.workload.virtual_users import VirtualUser
from tests.support.judging import serving
from tests.support.load_driving import Driver, Outsider, driving, embedded

NEEDS = Needs(("course.find", "course.add"), ("course",), (), ("task Buyer.buy",))


@pytest.fixture(scope="module")
def target() -> Iterator[tuple[Profile, Catalog]]:
    with serving() as url:
        yield embedded(url)


@pytest.fixture
def driver(target: tuple[Profile, Catalog]) -> Iterator[Driver]:
    with driving(*target, mix={}, needs=NEEDS, users=2) as driver:
        yield driver


def calls_of(driver: Driver) -> OwnCalls:
    assert driver.work.own_calls is not None
    return driver.work.own_calls


def member(driver: Driver) -> VirtualUser:
    joined = driver.work.join(("course.add",))
    assert joined is not None
    return joined


def built(driver: Driver, name: str, data: object, user: VirtualUser | None, **more: Any) -> Call:
    calls = calls_of(driver)
    return calls.build(calls.function(name), data, user, **more)


def test_a_call_has_the_data_and_the_session(driver: Driver) -> None:
    user = member(driver)
    call = built(
        driver, "course.find", {"query": "ö"}, user, page_start=0, page_length=5, expected=(200, 404)
    )
    head, _, body = call.raw.partition(b"\r\n\r\n")
    assert f"Token: {user.token}".encode() in head
    assert b"Content-Length: %d" % len(body) in head
    assert json.loads(body) == {"method": "find", "data": {"query": "ö"}, "pageStart": 0, "pageLength": 5}
    assert call.expects == frozenset({200, 404})
    assert driver.work.functions[call.index] == "course.find"
    assert driver.send(call).status == 200


def test_a_public_function_and_a_user_without_session_have_no_token(driver: Driver) -> None:
    login = built(driver, "auth.login", {"identity": "x", "credential": "y"}, member(driver))
    assert login.virtual_user is None
    assert b"Token" not in login.raw
    assert b'"data"' not in built(driver, "course.find", OMIT, None).raw


def test_every_function_has_a_place_and_so_have_the_tasks(driver: Driver) -> None:
    functions = driver.work.functions
    assert set(driver.work.catalog.methods) < set(functions)
    assert functions[-1] == "task Buyer.buy"
    watched = driver.work.watch(member(driver)) or driver.work.call("auth.status")
    assert functions[watched.index] == "auth.status"
    with pytest.raises(UsageError, match="has no function task Buyer"):
        calls_of(driver).function("task Buyer.buy")


def test_what_is_created_is_known_and_removed(target: tuple[Profile, Catalog]) -> None:
    outsider = Outsider(*target)
    before = outsider.call("course.find")
    with driving(*target, mix={}, needs=NEEDS, users=2) as driver:
        user = member(driver)
        title = calls_of(driver).unique()
        replies = [
            driver.send(built(driver, "course.add", {"title": title, "price": 5}, user)) for _ in range(3)
        ]
        first, *_ = [json.loads(reply.body)["data"]["courseId"] for reply in replies]
        assert driver.work.created.find("course", first) is not None
        assert driver.send(built(driver, "course.remove", {"courseId": first}, user)).status == 200
        assert driver.work.created.find("course", first) is None
        lent = [calls_of(driver).lease("course", user.user) for _ in range(3)]
        assert len({resource.id for resource in lent}) == 3
        assert driver.close() == []
    assert outsider.call("course.find") == before
    outsider.close()


def test_a_removed_object_is_lent_no_more_and_a_reset_ends_all(driver: Driver) -> None:
    user = member(driver)
    calls = calls_of(driver)
    lent = calls.lease("course", user.user)
    driver.send(built(driver, "course.remove", {"courseId": lent.id}, user))
    assert lent.gone
    driver.work._begin_again()
    assert calls.epoch == 1
    assert calls.lease("course", user.user).id != lent.id
    with pytest.raises(UsageError, match=r'no kind of objects cuorse; did you mean "course"'):
        calls.lease("cuorse", user.user)


def test_data_that_is_no_json_and_functions_that_are_none_are_refused(driver: Driver) -> None:
    with pytest.raises(UsageError, match=r"course\.find: the data is no JSON"):
        built(driver, "course.find", {"query": object()}, None)
    with pytest.raises(UsageError, match=r'has no function course.fnid; did you mean "course.find"'):
        calls_of(driver).function("course.fnid")


def test_a_read_only_run_calls_nothing_that_writes(target: tuple[Profile, Catalog]) -> None:
    with driving(*target, mix={}, needs=Needs(("course.find",)), users=1, read_only=True) as driver:
        calls_of(driver).function("course.find")
        calls_of(driver).function("auth.login")
        with pytest.raises(UsageError, match=r"course.add is not called: it does not only read"):
            calls_of(driver).function("course.add")


def test_somebody_else_can_be_signed_in_again(driver: Driver) -> None:
    secret = driver.work.profile.users["peer"].secret
    assert driver.work.add_user(driver.work.profile.users["peer"].user, secret) == "peer"
    assert driver.work.add_user("ann@example.com", "x") == "ann@example.com"
    assert driver.work.sessions.credentials("ann@example.com") == {
        "identity": "ann@example.com",
        "credential": "x",
    }
