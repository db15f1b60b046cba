"""The measures of the code: what is counted, and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.house_measures import Measures, main, measured, over, without_test

SOURCE = '''"""A module."""


class One:
    """A class."""

    def documented(self):
        """Return nothing."""

    async def bare(self):
        pass


def outer():
    def inner():
        pass
'''


def test_one_file_is_counted() -> None:
    measures = Measures()
    measures.add("a.py", SOURCE)
    assert [span.lines for span in measures.files] == [16]
    assert [(span.lines, span.where) for span in measures.classes] == [(8, "a.py:4 One")]
    assert sorted(span.lines for span in measures.functions) == [2, 2, 2, 3]
    assert dict(measures.rows())["functions with a docstring"] == "25%"


def test_what_is_longer_than_a_limit_is_counted() -> None:
    measures = Measures()
    measures.add("a.py", SOURCE)
    assert over("functions", 2, measures.functions) == ("functions over 2 lines", "1 of 4")


def test_hidden_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("a.py", "part/b.py", ".venv/c.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n", encoding="utf-8")
    assert [span.where for span in measured(tmp_path, ["."]).files] == ["a.py", "part/b.py"]


def test_modules_without_a_test_are_counted(tmp_path: Path) -> None:
    for name in ("conformance/a.py", "load/b.py", "reports/c.py", "tests/load/test_b.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n", encoding="utf-8")
    assert without_test(tmp_path) == (2, 3)


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(SOURCE, encoding="utf-8")
    assert main([str(tmp_path), "--longest"]) == 0
    out = capsys.readouterr().out
    assert "largest file                       16 · a.py" in out
    assert "longest functions" in out


def test_a_folder_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["no-such-folder"])
    assert "no such folder: no-such-folder" in capsys.readouterr().err
