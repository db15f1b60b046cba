"""The README says what is true: its commands are those of CI, its options exist, its table is the rulebook's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.protocol import profile
from conformance.rulebook.table import inserted

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "ends"), [("check", "conform check"), ("tests", "pytest -q -n 2 tests")])
def test_ci_takes_its_command_from_here(name: str, ends: str) -> None:
    found = re.findall(rf"<!-- ci:{name} -->\n```sh\n(.*?)\n```", README, re.S)
    assert len(found) == 1
    assert found[0].endswith(ends)
    assert f"command_of {name}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_there_are_two_commands_and_no_more() -> None:
    assert README.count("```sh") == 2


def test_the_table_is_the_rulebook() -> None:
    assert inserted(README) == README


def test_options_exist() -> None:
    told = ""
    for verb in ("check", "call", "serve"):
        done = subprocess.run(
            [sys.executable, "conform.py", verb, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        told += done.stdout
    outside = {"--help", "--data-raw"}
    used = {option for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)} - outside
    assert used
    assert not [option for option in used if option not in told]


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_profile_is_one(tmp_path: Path) -> None:
    text = "\n".join(re.findall(r"```toml\n(.*?)```", README, re.S))
    (tmp_path / "coursio.openrpc.json").write_text("{}", encoding="utf-8")
    path = tmp_path / "conform.toml"
    path.write_text(text, encoding="utf-8")
    read = profile.load(path, {"COURSIO_OWNER_SECRET": "x-secret"})
    assert read.users["owner"].secret == "x-secret"
    assert read.waivers[0].rule == "ENV-6"
