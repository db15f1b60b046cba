"""No finding on correct targets: the service, changed in ways that the rulebook allows."""

from __future__ import annotations

import datetime
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.generation import payloads
from conformance.suites.test_stored import out_of_bounds
from fixtures.faults import FAULTS
from fixtures.faults.steps import on_success
from fixtures.service.service import Service
from fixtures.service.wire import ApiError, Call
from tests.support.judging import FEW_ENTITIES, broken, judge, profile_of, serving_here

Change = Callable[[Service], Service]


def every(service: Service, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Service:
    return on_success(service, frozenset(service.functions), change)


def shuffled(value: Any) -> Any:
    """Return a value with the members of its objects in another order."""
    if isinstance(value, dict):
        pairs = [(name, shuffled(item)) for name, item in value.items()]
        random.shuffle(pairs)
        return dict(pairs)
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def in_any_order(service: Service) -> Service:
    return every(service, shuffled)


def reports_the_time(unit: Callable[[datetime.datetime], Any]) -> Change:
    def change(service: Service) -> Service:
        def reported(envelope: dict[str, Any]) -> dict[str, Any]:
            if isinstance(envelope["data"], dict):
                envelope["data"]["now"] = unit(datetime.datetime.now(datetime.UTC))
            return envelope

        return every(service, reported)

    return change


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in (
        value.items() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    ):
        yield from texts(item)


def refuses_what_is_not_seen(service: Service) -> Service:
    """A zero-width joiner, a byte-order mark and controls are refused wherever they stand (DAT-5)."""

    def validate(inner: Callable[..., None], call: Call) -> None:
        inner(call)
        for text in texts(call.message.get("data")):
            if any(unicodedata.category(sign) in ("Cc", "Cf") and sign not in "\t\r\n" for sign in text):
                raise ApiError(400, "Such characters are not taken")

    service.wrap("validate", validate)
    return service


@pytest.mark.parametrize("budget", ["quick", pytest.param("standard", marks=pytest.mark.thorough)])
@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (in_any_order, ("PAG-2", "PAG-3", "PAG-6", "STA-1", "STA-4", "ACC-2")),
        (reports_the_time(lambda now: now.isoformat()), ("STA-4",)),
        (reports_the_time(lambda now: now.isoformat(timespec="seconds")), ("STA-4",)),
        (reports_the_time(lambda now: int(now.timestamp() * 1000)), ("STA-4",)),
        (reports_the_time(lambda now: int(now.timestamp())), ("STA-4",)),
        (refuses_what_is_not_seen, ("DAT-1", "DAT-5")),
    ],
    ids=[
        "any order",
        "microseconds",
        "seconds",
        "milliseconds as a number",
        "seconds as a number",
        "refused",
    ],
)
def test_it_is_no_finding(
    change: Change, rules: tuple[str, ...], budget: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(FAULTS, "allowed.change", change)
    with serving_here("allowed.change") as (url, catalogue):
        report = judge(
            profile=profile_of(catalogue, tmp_path, entities=FEW_ENTITIES),
            target=url,
            rules=rules,
            seed=5,
            budget=budget,
            generated=0.5,
        )
    assert broken(report) == {}
    assert report["errors"] == []
    assert {rule["verdict"] for rule in report["rules"] if rule["id"] in rules} == {"pass"}


def test_a_counter_of_reads_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What moves with each call, and is no time, is changed by it."""
    calls = iter(range(1, 1_000_000))

    def counts(service: Service) -> Service:
        def reported(envelope: dict[str, Any]) -> dict[str, Any]:
            return envelope | {"data": {**envelope["data"], "views": next(calls)}}

        return on_success(service, ("dashboard.read",), reported)

    monkeypatch.setitem(FAULTS, "state.counts", counts)
    with serving_here("state.counts") as (url, catalogue):
        report = judge(profile=profile_of(catalogue, tmp_path), target=url, rules=["STA-4"])
    assert set(broken(report)) == {"STA-4"}


def test_names_that_nobody_declared_are_camel_case() -> None:
    """What an open object keeps comes back (NAM-1); the keys of a map are data, and may be anything."""

    def names(schema: dict[str, Any]) -> set[str]:
        whole = {"type": "object", "properties": {"extra": schema}, "required": ["extra"]}
        return {name for data in payloads.draw(payloads.valid(whole), 3, 400) for name in data["extra"]}

    camel = re.compile(r"[a-z][a-zA-Z0-9]*")
    for opened in ({"type": "object"}, {"type": "object", "additionalProperties": True}):
        found = names(opened)
        assert len(found) > 3
        assert {name for name in found if not camel.fullmatch(name)} == set()
    assert {"x-y", "a b"} <= names({"type": "object", "additionalProperties": {"type": "integer"}})


def test_a_number_that_reads_as_0_is_not_out_of_bounds_above_0() -> None:
    """1e-400 is allowed where 0 is excluded, to who reads it by the letter."""
    names = {number.name for number in out_of_bounds()}
    assert "1e400" in names
    assert "1e-400" not in names
