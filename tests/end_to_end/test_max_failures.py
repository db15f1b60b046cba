"""A check that stops after its first failing tests (`--fail-fast`, `--max-failures`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.judging import ROOT, serving_here
from tests.support.recording import ran

PROFILE = str(ROOT / "fixtures" / "service" / "conform.toml")


def checked(url: str, folder: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Check the area PAG of a target; return the exit status, the screen and the report."""
    command = (
        "check",
        "--target",
        url,
        "--profile",
        PROFILE,
        "--area",
        "PAG",
        "--budget",
        "quick",
        "--seed",
        "3",
    )
    status, out, _ = ran(*command, *arguments, "--out", "o", cwd=folder)
    return status, out, json.loads((folder / "o" / "report.json").read_text("utf-8"))


def test_a_run_stops_after_the_failures_that_were_asked_for(tmp_path: Path) -> None:
    with serving_here("paging.length-plus-one") as (url, _):
        (tmp_path / "one").mkdir()
        status, out, first = checked(url, tmp_path / "one", "-x")
        (tmp_path / "two").mkdir()
        _, _, second = checked(url, tmp_path / "two", "--max-failures", "2")
    assert status == 1
    assert first["verdict"] == "nonconformant"
    assert not first["interrupted"]
    # What can be deleted was deleted.
    assert {left["reason"] for left in first["leftovers"]} <= {
        "the catalogue has no function that deletes it"
    }
    assert first["requests"] < second["requests"]
    reasons = {rule["reason"] for rule in first["rules"] if rule["verdict"] == "not judged"}
    assert "the run stopped after 1 failing test" in reasons
    assert "the run stopped after 1 failing test, as was asked for" in first["notes"]
    assert "the run stopped after 2 failing tests, as was asked for" in second["notes"]
    assert first["rerun"].endswith("--max-failures 1 --seed 3")
    assert 0 < first["first_finding"] <= first["seconds"]
    assert f"finding after {first['first_finding']:.1f} s" in out


def test_both_options_together_are_a_usage_error(tmp_path: Path) -> None:
    status, _, err = ran("check", "--fail-fast", "--max-failures", "2", cwd=tmp_path)
    assert status == 2
    assert "not allowed with argument" in err
