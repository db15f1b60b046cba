"""A function that refuses a session which all others accept is AUT-3's to report, and nobody else's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fixtures.faults.one_function import token_at
from fixtures.service.service import Service
from fixtures.service.wire import Call
from tests.support.judging import broken, judge, profile_of, serving_here

#: Calls of one session that the function answers.
MAX_CALLS = 30


def _refusing(service: Service) -> Service:
    calls: Counter[bytes] = Counter()

    def read(_: Call, given: bytes | None) -> bytes | None:
        calls[given or b""] += 1
        return given if calls[given or b""] <= MAX_CALLS else b"ended"

    return token_at(service, "user.update", read)


def _judged(change: Callable[[Service], Service], folder: Path) -> dict[str, list[str]]:
    with serving_here(change=change) as (url, catalogue):
        profile = profile_of(catalogue, folder)
        report = judge(profile=profile, target=url, rules=["AUT-3", "DAT-1", "DAT-2"], budget="quick")
    return broken(report)


def test_one_function_that_refuses_a_session(tmp_path: Path) -> None:
    found = _judged(_refusing, tmp_path)
    assert list(found) == ["AUT-3"]
    assert "a function refuses a session that works elsewhere" in found["AUT-3"][0]
