"""No finding on correct targets: freedoms in rights, sessions and codes that the rulebook allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.faults import FAULTS
from fixtures.faults.apart import reused_identifiers
from fixtures.faults.meetings import data_of
from fixtures.faults.parents import take_both
from fixtures.faults.races import MOMENT
from fixtures.faults.state import around
from fixtures.faults.steps import arguments, refuse_instead
from fixtures.service.service import Service
from fixtures.service.wire import ApiError, Call
from tests.support.judging import FEW_ENTITIES, broken, judge, profile_of, serving_here

Change = Callable[[Service], Service]


def both_and_400(service: Service) -> Service:
    """Answer 400 where the course and the lesson do not belong together."""

    def is_another(call: Call, error: ApiError) -> bool:
        return error.message == "No such lesson" and {"courseId", "lessonId"} <= call.args.keys()

    return refuse_instead(take_both(service), is_another, 400)


def both_and_no_parent_checked(service: Service) -> Service:
    """Look at the lesson alone, whatever the course is."""

    def load(inner: Callable[..., object], call: Call, kind: str, identifier: object) -> object:
        found = inner(call, kind, identifier)
        if kind == "lesson" and found is not None:
            call.notes["free"] = True
        return found

    service.wrap("load", load)
    return take_both(service)


def equal_messages_refused(service: Service) -> Service:
    """Refuse a message that was sent already."""
    known: set[str] = set()

    def add(inner: Callable[..., object], service: Service, call: Call) -> object:
        if data_of(call) in known:
            raise ApiError(400, "This message was sent already")
        known.add(data_of(call))
        return inner(service, call)

    return around(service, "message.add", add)


def one_change_at_a_time(service: Service) -> Service:
    """Refuse a change of a course while another one runs."""
    running: set[object] = set()

    async def update(inner: Callable[..., object], service: Service, call: Call) -> object:
        course = call.args["courseId"]
        if course in running:
            raise ApiError(400, "This course is being changed")
        running.add(course)
        await asyncio.sleep(MOMENT)
        running.discard(course)
        return inner(service, call)

    return around(service, "course.update", update)


def undeclared_refused(service: Service) -> Service:
    """Refuse members of data that the function does not declare."""

    def validate(inner: Callable[..., None], call: Call) -> None:
        assert call.function is not None
        if arguments(call).keys() - call.function.params.keys():
            raise ApiError(400, "Invalid data: an undeclared member")
        inner(call)

    service.wrap("validate", validate)
    return service


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        pytest.param(reused_identifiers, ("STA-3", "ACC-4", "STA-2"), id="identifiers are given again"),
        pytest.param(undeclared_refused, ("STA-2", "STA-5", "ACC-3"), id="undeclared members are refused"),
        pytest.param(equal_messages_refused, ("STA-5", "COD-8"), id="equal creates are refused"),
        pytest.param(one_change_at_a_time, ("STA-2",), id="one change at a time"),
        pytest.param(both_and_400, ("ACC-2",), id="400 under a parent of one's own"),
        pytest.param(both_and_no_parent_checked, ("ACC-2",), id="the parent is not looked at"),
    ],
)
def test_it_is_no_finding(
    change: Change, rules: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FAULTS, "allowed.change", change)
    with serving_here("allowed.change") as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, tmp_path, entities=FEW_ENTITIES),
            target=url,
            rules=rules,
            seed=5,
            generated=0.2,
            budget="quick",
        )
    assert broken(report) == {}
    assert report["errors"] == []
    assert {rule["verdict"] for rule in report["rules"] if rule["id"] in rules} == {"pass"}
