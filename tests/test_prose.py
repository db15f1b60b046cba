"""The check of the prose: what it finds, and that the project has none of it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci" / "prose.py"


def imported() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROSE = imported()


def test_the_product_has_no_private_words() -> None:
    sources = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in PROSE.tracked()}
    assert len(sources) > 200
    assert PROSE.problems_of(sources) == []


@pytest.mark.parametrize(
    "source",
    [
        "talk = 1",
        "class TalkOfOne:\n    pass",
        "def of(self_vaults):\n    pass",
        '"""Return the estate."""',
        "x = 1  # the referee says so",
        'def f():\n    """Tally up."""',
    ],
)
def test_private_words_are_found(source: str) -> None:
    assert len(PROSE.private_words("a.py", source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "talkative = 1",
        'x = "talk"',
        "default = 3",
        "# The default of a vaulted roof",
        "def test_odd_values(): ...",
        'def check():\n    """An empty message tells that person nothing."""',
    ],
)
def test_other_words_are_left_alone(source: str) -> None:
    assert PROSE.private_words("a.py", source) == []


def test_a_problem_says_where_and_what_to_write() -> None:
    [line] = PROSE.private_words("load/a.py", "x = 1\nvault = 2\n")
    assert line == "load/a.py:2: «vault» is a private word; write: secret registry"


@pytest.mark.parametrize(
    ("comment", "vague"),
    [
        ("#: So many rows at most.", True),
        ("#: So often one session is ended.", True),
        ("#: Of what was sent, the beginning.", True),
        ("#: Rows retained per list.", False),
        ("#: Retries per call, so many as a client makes.", False),
    ],
)
def test_vague_comments_of_constants_are_found(comment: str, vague: bool) -> None:
    assert bool(PROSE.vague_comments("a.py", f"{comment}\nMAX_ROWS = 3\n")) is vague


def test_long_subjects_are_found() -> None:
    assert PROSE.problems_of_subjects(["x" * 72, "é" * 72]) == []
    [line] = PROSE.problems_of_subjects(["Fix the clean-up", "x" * 73])
    assert line.startswith("commit subject of 73 characters, 72 at most: x")


def test_words_of_names() -> None:
    assert list(PROSE.words("maxHTTPRequests_of")) == ["max", "http", "requests", "request", "of"]


def test_the_commits_after_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("commits need git")

    def commit(subject: str) -> None:
        who = ["-c", "user.name=someone", "-c", "user.email=someone@localhost"]
        subprocess.run([git, *who, "commit", "-q", "--allow-empty", "-m", subject], cwd=tmp_path, check=True)

    subprocess.run([git, "init", "-q"], cwd=tmp_path, check=True)
    commit("An earlier one")
    commit("Add a rule")
    monkeypatch.setattr(PROSE, "ROOT", tmp_path)
    assert PROSE.subjects_since("HEAD~1") == ["Add a rule"]


def test_an_unknown_base_is_one_line() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("only a checkout has commits")
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), "--since", "no-such-commit"], capture_output=True, text=True
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("prose: cannot list the commits since no-such-commit: ")
    assert ran.stderr.count("\n") == 1
