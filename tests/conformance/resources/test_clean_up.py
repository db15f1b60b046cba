"""The clean-up of a run: what is left over is reported by kind and identifier, whatever the target says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.resources.clean_up import CleanUp
from tests.servers import lax, lax_catalog
from tests.support.judging import judge


def _left(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["kind"], each["id"]) for each in report["leftovers"]}


@pytest.mark.parametrize("switch", ["remove_does_nothing", "every_third_stays"])
def test_what_a_delete_leaves_behind_is_left_over(tmp_path: Path, switch: str) -> None:
    with lax.serving(switch) as (server, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=["STA-1", "STA-2"], budget="quick")
        assert _left(report) == {(kind, str(identifier)) for kind, identifier in server.left()}
        if switch == "remove_does_nothing":
            assert len(report["leftovers"]) > 5
            assert "succeeded, but the" in report["leftovers"][0]["reason"]
        assert server.dump() == server.before


def test_a_removal_that_is_put_off_is_tried_again(tmp_path: Path) -> None:
    with lax.serving("remove_put_off") as (server, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=["STA-1"], budget="quick")
        assert not server.left()
        assert not report["leftovers"]


def test_a_create_without_an_identifier_is_reported(tmp_path: Path) -> None:
    with lax.serving("no_identifier") as (server, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=["STA-1", "REQ-9"], budget="quick")
        reported = [note for note in report["notes"] if "without an identifier" in note]
        assert {note.split()[0] for note in reported} == {"folder.add", "note.add", "card.add"}
        assert '"done": true' in reported[0]
        # What carries the run's tag in a list is found and removed; the rest is counted.
        assert bool(server.left()) == bool(report["leftovers"])
        assert server.dump() == server.before


def test_an_object_that_nothing_deletes_may_be_gone_and_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left over, with its reason."""
    catalogue = lax.catalogue()
    catalogue["methods"] = [method for method in catalogue["methods"] if method["name"] != "folder.remove"]
    monkeypatch.setattr(lax_catalog, "catalogue", lambda: catalogue)
    monkeypatch.setattr(
        CleanUp,
        "take_inventory",
        lambda self: self.resources.forget("folder", self.resources.any("folder", "ann").id),
    )
    with lax.serving() as (_, url):
        report = judge(profile=lax.profile(tmp_path, url), rules=["STA-1"], budget="quick")
    reasons = {each["reason"] for each in report["leftovers"] if each["kind"] == "folder"}
    assert reasons == {"the catalogue has no function that deletes it"}
