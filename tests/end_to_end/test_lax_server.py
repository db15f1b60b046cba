"""A check leaves the objects of others alone, even on a server that accepts nearly any identifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.protocol.client import Client
from conformance.protocol.ownership import Ownership
from tests.servers import lax
from tests.support.judging import judge

#: The rules whose requests carry invalid data, other users' objects, or identifiers that name nothing.
_RULES = ("REQ-6", "REQ-7", "REQ-8", "REQ-9", "COD-9", "COD-10", "ACC-2", "STA-3", "DAT-2", "DAT-7", "HTTP-2")
_ALL = (*lax.LAXNESS, "body", "missing")


@pytest.mark.parametrize("rule", _RULES)
def test_objects_of_before_the_run_are_as_they_were(tmp_path: Path, rule: str) -> None:
    with lax.serving(*_ALL) as (server, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=[rule], budget="quick", generated=0.2)
        assert server.dump() == server.before
        assert report["requests"] > 10
        assert {(each["kind"], each["id"]) for each in report["leftovers"]} == {
            (kind, str(identifier)) for kind, identifier in server.left()
        }


def test_a_target_that_is_not_lax_is_left_alone_too(tmp_path: Path) -> None:
    with lax.serving() as (server, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=["REQ-8", "COD-10", "STA-1"], budget="quick")
        assert server.dump() == server.before
        assert not server.left()
        assert not report["leftovers"]


@pytest.mark.parametrize("switch", ["boolean", "null_is_all", "prefix_of_digits", "zero_is_all", "missing"])
def test_the_proof_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    """Without the guard, each of these changes objects that were there before."""
    monkeypatch.setattr(Client, "_check", lambda *arguments, **options: None)
    monkeypatch.setattr(Ownership, "data", lambda *arguments: None)
    with lax.serving(switch) as (server, url):
        judge(
            profile=lax.profile(tmp_path, url),
            rules=["REQ-7", "REQ-8", "REQ-9"],
            budget="standard",
            generated=0,
            until=lambda: server.dump() != server.before,
        )
        assert server.dump() != server.before


def test_rules_name_the_calls_that_were_not_sent(tmp_path: Path) -> None:
    with lax.serving() as (_, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=["REQ-7", "REQ-8"], budget="quick")
    (note,) = [note for note in report["notes"] if "were not sent" in note]
    left = {
        rule["id"]: [each for each in rule["left_out"] if "not sent" in each["reason"]]
        for rule in report["rules"]
    }
    assert left["REQ-8"]
    assert all(each["function"] for each in left["REQ-8"])
    assert not left["REQ-1"]
    assert "rules that lack some of them: " in note
    assert "REQ-8 (" in note
