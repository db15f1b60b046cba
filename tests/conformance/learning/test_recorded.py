"""Recorded exchanges become calls, without their secrets; what teaches nothing is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conformance.learning.recorded import calls_of
from conformance.traffic.capture import read_capture
from tests.support.captures import entry

TOKEN = "5f2c9a7e41d84b06"


def capture(tmp_path: Path, entries: list[dict[str, Any]]) -> Any:
    path = tmp_path / "shop.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
    return read_capture([path])


def test_a_har_is_read(tmp_path: Path) -> None:
    found = capture(
        tmp_path,
        [
            entry(
                "gate.enter",
                {"ticket": TOKEN},
                token=None,
                more={"data": {"name": "ann", "password": "Pine-77"}},
            ),
            entry("item.find", {"items": []}, at=1, more={"pageLength": 5}),
            entry("item.find", None, status=400, at=2, more={"pageLength": 0}),
            entry("item.read", None, status=404, at=3, token="other-token-123", more={"data": {"itemId": 4}}),
        ],
    )
    calls, left = calls_of(found.exchanges, found.base_url)
    assert [call.function for call in calls] == ["gate.enter", "item.find", "item.find", "item.read"]
    assert [call.session for call in calls] == [None, "session 1", "session 1", "session 2"]
    assert [call.status for call in calls] == [200, 200, 400, 404]
    assert calls[0].gives_token
    assert calls[0].arguments == {"name": "ann", "password": "***"}
    assert calls[0].result == {"ticket": "***"}
    assert calls[1].page_length == 5
    assert calls[2].invalid_page
    assert not calls[2].refused_arguments
    assert calls[3].arguments == {"itemId": 4}
    assert not left
    assert TOKEN not in repr(calls)
    assert "Pine-77" not in repr(calls)


def test_what_teaches_nothing_is_counted(tmp_path: Path) -> None:
    found = capture(
        tmp_path,
        [
            entry("item.find", {"items": []}),
            entry("item.find", {}, verb="GET", at=1),
            entry("item.find", at=2, body="<html>"),
            entry("item.find", {}, at=3, more={"data": [1]}),
        ],
    )
    calls, left = calls_of(found.exchanges, found.base_url)
    assert len(calls) == 1
    assert left["the verb is not POST"] == 1
    assert left["the arguments are not an object"] == 1
    assert sum(left.values()) == 3
