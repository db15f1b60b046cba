"""Values of unknown formats that the target shows are used as valid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.resources.shown_values import shown_in
from tests.servers import tags
from tests.support.judging import broken, judge

RULES = ["HTTP-1", "HTTP-6", "DAT-1", "DAT-2", "REQ-9", "COD-5", "REQ-11"]


@pytest.mark.parametrize("defect", ["", "unique_only"])
def test_shown_values_are_sent_as_valid_ones(tmp_path: Path, defect: str) -> None:
    with tags.serving(tmp_path, defect) as (profile, accepted):
        report = judge(profile=profile, rules=RULES, budget="quick")
    assert broken(report) == {}
    sent = {name: {value for each, value in accepted if each == name} for name, _ in accepted}
    # One by the name and the format of the result, the other by the name alone, where the result has no format.
    assert sent["byColour"] <= {tag["colour"] for tag in tags.TAGS}
    assert len(sent["byColour"]) > 1
    assert sent["check"] <= {tag["serial"] for tag in tags.TAGS}
    assert "seal" not in sent
    (shown,) = [note for note in report["notes"] if "the target showed" in note]
    assert "tag.byColour colour (hex-colour)" in shown
    assert "tag.check serial (serial-9)" in shown
    (missing,) = [note for note in report["notes"] if "want of examples" in note]
    assert "tag.seal seal (wax)" in missing


def test_a_refusal_of_what_the_target_shows_is_found(tmp_path: Path) -> None:
    with tags.serving(tmp_path, "refuses_shown") as (profile, _):
        report = judge(profile=profile, rules=["DAT-1"])
    assert any("tag.byColour" in line for line in broken(report)["DAT-1"])


def test_runs_in_one_process_do_not_share_what_they_learned(tmp_path: Path) -> None:
    """Send the same requests twice: the values of the first run are forgotten before the second."""
    requests = []
    for _ in range(2):
        with tags.serving(tmp_path) as (profile, accepted):
            judge(profile=profile, rules=["DAT-1", "HTTP-6"], budget="quick")
            requests.append(list(accepted))
    assert requests[0] == requests[1]


@pytest.mark.parametrize(
    ("data", "found"), [({"a": ["x", {"b": "y"}]}, True), ({"y": "z"}, False), ("y", True), (None, False)]
)
def test_shown_in(data: object, found: bool) -> None:
    assert shown_in(data, {"y"}) is found
    assert shown_in(data, None) is False
