"""DAT-7 judges refused writes in batches; an accepted call among them neither hides a change nor is taken for one."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.suites.test_refused import Refusal, _judge_in_batches


class Target:
    """A target with one object; `outcomes` has the status of each call, and whether it changes the object."""

    def __init__(self, outcomes: dict[str, tuple[int | None, bool]]) -> None:
        self.outcomes = outcomes
        self.value = 0
        self.sent: list[str] = []

    def call(self, name: str) -> Exchange:
        self.sent.append(name)
        status, changes = self.outcomes[name]
        self.value += changes
        request = Request("POST", "http://host/api/course", (), b"{}")
        if status is None:
            return Exchange(request, failure=Failure("withheld", "it was not sent"), function="course.update")
        return Exchange(request, Response(status, (), b"{}"), function="course.update")


def judged(target: Target, names: str, *, size: int = 6) -> tuple[bool, list[str]]:
    """Send the calls of these names; return whether they were judged, and what each finding says."""
    found: list[str] = []

    def judge(rule: str, good: bool, **finding: Any) -> bool:
        found.append(finding["actual"])
        return good

    ctx: Any = SimpleNamespace(
        resources=SimpleNamespace(owned=list),
        run=SimpleNamespace(observer=SimpleNamespace(judged=lambda rule: None)),
        judge=judge,
    )
    fuzz_target: Any = SimpleNamespace(
        function=SimpleNamespace(name="course.update"),
        count=lambda *arguments, **options: None,
        clear=lambda exchange, data: None,
    )
    calls = (
        Refusal(
            f"refused for {name}", functools.partial(dict, name=name), lambda data: target.call(data["name"])
        )
        for name in names
    )
    views = [("a course", lambda: target.value)]
    done = _judge_in_batches(ctx, fuzz_target, views, calls, size=size, more=lambda answered: answered < 40)
    return done, found


REFUSED, STORES, ACCEPTED, IDLE, WITHHELD = (
    (400, False),
    (400, True),
    (200, True),
    (200, False),
    (None, False),
)


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("names", ["abk", "kab", "kas", "sak", "ksw", "wks", "kis", "aksa"])
def test_a_refused_call_that_changes_something_is_found(names: str, size: int) -> None:
    target = Target({"a": REFUSED, "b": REFUSED, "k": STORES, "s": ACCEPTED, "i": IDLE, "w": WITHHELD})
    done, found = judged(target, names, size=size)
    assert done
    assert [line for line in found if "refused for k" in line], found


@pytest.mark.parametrize("size", [2, 6])
@pytest.mark.parametrize("names", ["ab", "abs", "sab", "asb", "sssa", "wa", "iab"])
def test_a_call_that_was_accepted_is_no_finding(names: str, size: int) -> None:
    target = Target({"a": REFUSED, "b": REFUSED, "s": ACCEPTED, "i": IDLE, "w": WITHHELD})
    assert judged(target, names, size=size) == (True, [])


def test_a_call_is_sent_again_once_at_most_for_an_accepted_one() -> None:
    target = Target({"a": REFUSED, "s": ACCEPTED})
    judged(target, "asssss", size=2)
    assert target.sent.count("a") == 2
    assert target.sent.count("s") == 5


def test_nothing_is_judged_where_nothing_is_refused() -> None:
    assert judged(Target({"s": ACCEPTED, "w": WITHHELD}), "swsw") == (False, [])
