"""The mix of recorded calls: shares, arrivals, chains and shapes, and nothing of their values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance.errors import UsageError
from conformance.learning.load_mix import balanced, mix_of_capture
from conformance.traffic.capture import read_capture
from load.workload.seen import BEGIN, SeenMix, Shape, Step
from tests.support.captures import BASE, entry, write_har
from tests.support.load_driving import embedded

PROFILE, CATALOG = embedded("http://127.0.0.1:9/api/")


def mix_of(folder: Path, entries: Sequence[Any], **why: str) -> SeenMix:
    capture = read_capture([write_har(folder / "a.har", entries)], BASE)
    found = mix_of_capture(
        capture, CATALOG, PROFILE.auth, lambda name: why.get(name.replace(".", "_")), "a.har"
    )
    return msgspec.convert(found, SeenMix)


def test_shares_and_what_is_left_out(tmp_path: Path) -> None:
    entries = [entry("course.find", at=number) for number in range(6)]
    entries += [entry("course.read", at=7), entry("ghost.walk", at=8), entry("user.find", at=9)]
    entries += [entry(verb="GET", at=10)]
    mix = mix_of(tmp_path, entries, user_find="nobody may")
    assert (mix.functions, mix.calls, mix.total) == ({"course.find": 6.0, "course.read": 1.0}, 7, 9)
    assert [(each.function, each.share, each.reason) for each in mix.left_out] == [
        ("ghost.walk", 1 / 9, "the catalogue does not have it"),
        ("user.find", 1 / 9, "nobody may"),
    ]
    assert mix.asked() == {"course.find": 6 / 7, "course.read": 1 / 7}


def test_a_name_that_could_be_a_value_is_not_shown(tmp_path: Path) -> None:
    unusual = entry(url=f"{BASE}u/maria@example.com", at=1)
    mix = mix_of(tmp_path, [entry("course.find"), unusual])
    assert [each.function for each in mix.left_out] == ["a function of another form of name"]


def test_arrivals_are_those_of_the_capture(tmp_path: Path) -> None:
    times = [0, 0.25, 0.5, 0.75, 1.5, 5.0, 19.5]
    mix = mix_of(tmp_path, [entry("course.find", at=at) for at in times])
    assert mix.bin_seconds == 1
    assert (mix.bins[:6], sum(mix.bins), mix.bins[19]) == ([4, 1, 0, 0, 0, 1], 7, 1)
    untimed = entry("course.find")
    del untimed["startedDateTime"]
    assert mix_of(tmp_path, [entry("course.find"), untimed]).bins == []
    assert sum(mix_of(tmp_path, [entry("course.find")]).bins) == 1


def test_chains_and_think_times_are_those_of_sessions(tmp_path: Path) -> None:
    entries = [
        entry("auth.login", {"sessionId": "token-of-one"}, token=None, at=0),
        entry("course.find", token="token-of-one", at=1),
        entry("course.find", token="token-of-two", at=1.5),
        entry("course.read", token="token-of-one", at=3.004),
        entry("course.read", token="token-of-two", at=1.501),
        entry("course.find", token="token-of-one", at=3.004 + 2_000),
    ]
    mix = mix_of(tmp_path, entries)
    assert mix.sessions == 3
    assert mix.steps[BEGIN] == [Step("course.find", 2, []), Step("auth.login", 1, [])]
    assert mix.steps["auth.login"] == [Step("course.find", 1, [0.996])]
    assert mix.steps["course.find"] == [Step("course.read", 2, [0.0, 2.0]), Step(None, 1, [])]
    assert mix.steps["course.read"] == [Step(None, 2, [])]


def test_shapes_have_lengths_and_no_values(tmp_path: Path) -> None:
    given = {"query": "Maria Lopez", "tags": ["a", "b"], "isPrivate": True, "sort": None, "maria": "1"}
    sent = {"data": given, "pageStart": 0, "pageLength": 25}
    refused = entry("course.find", status=400, more={"data": {"status": "x"}})
    mix = mix_of(
        tmp_path, [entry("course.find", more=sent), entry("course.read", more={"data": {}}), refused]
    )
    assert mix.shapes["course.find"] == [Shape({"isPrivate": None, "query": 11, "tags": 2}, 25)]
    assert mix.shapes["course.read"] == [Shape()]
    assert b"aria" not in msgspec.json.encode(mix)


def test_without_a_call_that_can_be_made_there_is_no_mix(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^a\.har: none of the functions in it can be called \(ghost\.walk: "
    ):
        mix_of(tmp_path, [entry("ghost.walk")])
    with pytest.raises(UsageError, match=rf"^a\.har: no call of {BASE} is in it$"):
        mix_of(tmp_path, [entry(verb="GET")])


def test_deletes_are_at_most_as_many_as_creates() -> None:
    kinds: dict[str, tuple[str | None, str | None]] = {
        "a.add": ("a", None),
        "a.drop": (None, "a"),
        "b.drop": (None, "b"),
        "a.find": (None, None),
    }
    shares = {"a.add": 2.0, "a.drop": 5.0, "b.drop": 1.0, "a.find": 9.0}
    retained, taken = balanced(shares, kinds)
    assert retained == {"a.add": 2.0, "a.drop": 2.0, "a.find": 9.0}
    assert [(name, share) for name, share, _ in taken] == [("a.drop", 3.0), ("b.drop", 1.0)]
    assert balanced({"a.add": 5.0, "a.drop": 5.0}, kinds) == ({"a.add": 5.0, "a.drop": 5.0}, [])
