"""A team's own tests with the wheel installed, in a repository whose folders have the names of ours.

What docs/extend.md shows is run here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.end_to_end.test_own_rules import snippet
from tests.support.judging import ROOT, serving_here
from tests.support.recording import PROFILE, report_in

SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "conform.py",
    "conformance",
    "load",
    "reports",
    "fixtures",
)
NAMES = """
import fixtures
import load
import reports
from fixtures.people import NAME


def test_the_names_are_the_teams(greeting):
    assert greeting == f"hello {NAME}"
    assert load.NAME == "load of the team"
    assert reports.NAME == "reports of the team"


def test_they_stay_so(call):
    assert call.sys.ping().ok
    import fixtures.people
    import reports.later
    assert reports.later.__file__.startswith(reports.__path__[0])


def test_a_plain_failure(call):
    assert call.sys.ping().data["version"] == "0.0"


def test_a_broken_rule(call):
    assert call.as_("owner").course.add(title="A title", price=12.5).ok


def test_httpx_failure(httpx_client):
    import httpx
    import pytest
    with pytest.raises(httpx.UnsupportedProtocol):
        httpx_client.get("http://127.0.0.1:1/elsewhere")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with the wheel installed, and nothing of this folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=source, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=False)
    packages = next((folder / "venv").glob("lib/python*/site-packages"))
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "conftest.py" not in archive.namelist()
        archive.extractall(packages)
    # What it depends on comes from the environment of these tests.
    (packages / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n", "utf-8")
    return next((folder / "venv").glob("[Bb]*/python*"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_here() as (address, _):
        yield address


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """Return a repository of a team, with folders that are called as ours."""
    files = {
        "conftest.py": "import pytest\nfrom fixtures.people import NAME\n\n"
        "@pytest.fixture\ndef greeting(): return f'hello {NAME}'\n",
        "fixtures/__init__.py": "",
        "fixtures/people.py": "NAME = 'Ann'\n",
        "load/__init__.py": "NAME = 'load of the team'\n",
        "reports/__init__.py": "NAME = 'reports of the team'\n",
        "reports/later.py": "",
        "checks/our_rules.py": snippet("checks/our_rules.py") + snippet("checks/our_rules.py: more"),
        "tests/test_courses.py": snippet("test_courses.py"),
        "tests/test_names.py": NAMES,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def with_profile(team: Path) -> None:
    text = PROFILE.read_text("utf-8").replace('catalog = "', f'catalog = "{PROFILE.parent}/')
    (team / "conform.toml").write_text(f'{text}\n[suite]\nrules = ["checks/our_rules.py"]\n', "utf-8")


def run(python: Path, team: Path, *arguments: str) -> tuple[int, str]:
    """Run a module of the environment in the team's folder; return its status and what it printed."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name == "PYTEST_DEBUG_TEMPROOT" or not name.startswith(("PYTEST_", "CONFORM_", "PYTHONPATH"))
    }
    done = subprocess.run(
        [str(python), "-m", *arguments], cwd=team, env=variables, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


def test_processes_of_xdist_are_one_run(python: Path, team: Path, url: str) -> None:
    with_profile(team)
    status, out = run(
        python, team, "pytest", "-n", "2", "--conform-target", url, "--junitxml=junit.xml", "--strict-markers",
        "--conform-out", "run", "tests",
    )  # fmt: skip
    assert status == 1, out
    failed = sorted(re.findall(r"^FAILED \S+::(\w+)", out, re.M))
    assert failed == ["test_a_broken_rule", "test_a_plain_failure"], out
    assert "nonconformant  2 must rules failed (ACME-1, TEST-1)" in out
    report = report_in(team / "run")
    rules = {rule["id"]: rule for rule in report["rules"]}
    assert rules["ACME-1"]["verdict"] == "fail"
    assert [finding["function"] for finding in rules["ACME-1"]["findings"]] == ["course.add"]
    (finding,) = rules["TEST-1"]["findings"]
    assert finding["message"] == "tests/test_names.py::test_a_plain_failure fails"
    assert "0.0" in finding["actual"]
    assert rules["ACME-2"]["verdict"] == "pass"
    assert rules["ENV-1"]["verdict"] == "pass"
    assert report["requests"] >= 8
    assert report["leftovers"] == []
    suite = ET.parse(team / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("2", "0")
    assert not list((team / "run").glob("part-*"))
    # Only what failed, by name.
    status, out = run(python, team, "pytest", "--lf", "-k", "plain", "--collect-only", "-q", "tests")
    assert status == 0
    assert re.findall(r"::(\w+)", out) == ["test_a_plain_failure"]


def test_without_a_target_tests_are_collected_and_others_pass(python: Path, team: Path) -> None:
    status, out = run(python, team, "pytest", "-q", "--strict-markers", "tests/test_names.py")
    assert status == 1
    assert "conform: no target: give --conform-target URL, or write a conform.toml" in out
    assert "1 passed" in out
    assert not (team / "reports" / "runs").exists()


def test_a_check_runs_them_beside_ours(python: Path, team: Path, url: str) -> None:
    with_profile(team)
    arguments = ("--target", url, "--suite", "tests", "--rule", "TEST-1", "--rule", "ACME-2", "--out", "run")
    status, out = run(python, team, "conform", "check", *arguments)
    assert status == 1, out
    report = report_in(team / "run")
    rules = {rule["id"]: rule for rule in report["rules"]}
    assert rules["TEST-1"]["verdict"] == "fail"
    assert rules["ACME-2"]["verdict"] == "pass"
    assert rules["ACME-1"]["reason"] == "left out by --rule"
    assert "--suite tests" in report["rerun"]
    assert "test_a_plain_failure" in (team / "run" / "own-tests.log").read_text("utf-8")
    (team / "tests" / "test_names.py").write_text("import nothing_that_exists\n", "utf-8")
    status, out = run(python, team, "conform", "check", *arguments)
    assert status == 1, out
    (finding,) = {rule["id"]: rule for rule in report_in(team / "run")["rules"]}["TEST-1"]["findings"]
    assert finding["message"] == "The team's own tests did not run to their end"
    assert "pytest ended with status 2" in finding["actual"]
