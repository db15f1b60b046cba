"""Type tags, expensive texts and delays: each defect is found, and only where it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.faults.steps import arguments
from fixtures.service.service import Service
from fixtures.service.wire import Call
from tests.support.one_test import findings_here


@pytest.mark.parametrize(
    ("fault", "test", "subject", "rule"),
    [
        ("data.class-name-looked-up", "test_type_tags", "lesson.add", "DAT-3"),
        ("data.default-refused", "test_data_at_the_edges", "course.add", "DAT-1"),
    ],
)
def test_defect_is_found(fault: str, test: str, subject: str, rule: str) -> None:
    found = findings_here({test}, fault, budget="standard", subjects={subject})
    assert (rule, subject) in {key[:2] for key in found}


def sleeps(service: Service) -> Service:
    """The number of seconds in SLEEP(…) is waited for, as a database does that takes a text as code."""

    async def handle(inner: Callable[..., Any], call: Call) -> Any:
        seconds = re.search(r"SLEEP\((\d)\)", str(arguments(call)))
        if seconds is not None:
            await asyncio.sleep(int(seconds[1]))
        result = inner(call)
        return await result if asyncio.iscoroutine(result) else result

    service.wrap("handle", handle)
    return service


def test_delay_is_found() -> None:
    found = findings_here({"test_delays_in_texts"}, change=sleeps, budget="deep", subjects={"message.find"})
    assert ("DAT-8", "message.find", "the time follows a number in query") in found


def test_no_delay_is_found_in_the_clean_service() -> None:
    assert not findings_here({"test_delays_in_texts"}, budget="deep", subjects={"message.find"})
