"""The gate's requirements, on the command line and in the profile (formats, sections 1 and 2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.judging import ROOT
from tests.support.recording import ran

PROFILE = ROOT / "fixtures" / "service" / "conform.toml"
#: A target that is not contacted: NAM-2 judges the catalogue alone.
TARGET = "http://127.0.0.1:9/api/"


def profile(folder: Path, gate: str) -> str:
    """Write a profile with a catalogue and the section [gate]; return its path."""
    catalogue = ROOT / "fixtures" / "service" / "coursio.openrpc.json"
    path = folder / "conform.toml"
    path.write_text(f"[target]\nurl = {TARGET!r}\ncatalog = {str(catalogue)!r}\n[gate]\n{gate}\n", "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("require = ['AUTX']", "[gate] require: 'AUTX' is not a requirement: write an area (HTTP, REQ,"),
        ("require = 'AUT'", "[gate] require: must be a list"),
        ("requires = ['AUT']", "[gate] requires"),
    ],
)
def test_a_wrong_requirement_is_a_usage_error_of_one_line(gate: str, message: str, tmp_path: Path) -> None:
    status, out, err = ran("check", "--profile", profile(tmp_path, gate), cwd=tmp_path)
    assert (status, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_wrong_option_is_a_usage_error(tmp_path: Path) -> None:
    status, _, err = ran("check", "--require", "judged > 3", cwd=tmp_path)
    assert status == 2
    assert "'judged > 3' is not a requirement" in err


def test_what_is_required_and_not_judged_fails_the_gate(tmp_path: Path) -> None:
    arguments = ("check", "--rule", "NAM-2", "--seed", "1")
    status, out, err = ran(*arguments, "--require", "AUT-1", "--out", "a", cwd=tmp_path)
    assert (status, err) == (1, err)
    assert out.startswith("nonconformant  required but not judged: AUT-1")
    report = json.loads((tmp_path / "a" / "report.json").read_text("utf-8"))
    assert report["required"]["unmet"] == [{"requirement": "AUT-1", "rules": ["AUT-1"], "judged": None}]
    assert "--require AUT-1" in report["rerun"]
    status, out, _ = ran(*arguments, "--require", "NAM-2", "--out", "b", cwd=tmp_path)
    assert status == 0
    assert out.startswith("passes what was judged: 1 of ")
