"""Shapes of a team's own: from a CSV file or a Python function, with errors in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.errors import UsageError
from conformance.protocol.profile import Profile
from load.options import Wish, settle
from load.schedule.profiles import Schedule, Stretch
from load.schedule.shapes import is_shape, parse_shape, resolve_shape


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def test_a_file_is_interpolated_from_its_first_second_and_jumps_where_a_second_comes_twice(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, "Yesterday.csv", "second,rate\n100,0\n110,20\n110,5\n\n120.5,5\n")
    made = parse_shape(str(file), None)
    assert made.stretches == (Stretch(10.0, 0.0, 20.0), Stretch(10.5, 5.0, 5.0))
    assert (made.rate(5), made.duration, made.total) == (10.0, 20.5, 152.5)
    assert made.text == "shape Yesterday.csv"
    assert Schedule.from_json(made.to_json()) == made


def test_a_function_is_asked_over_the_duration(tmp_path: Path) -> None:
    file = written(tmp_path, "shapes.py", "def morning(t):\n    return 2 * t\n")
    made = parse_shape(f"poisson {file}:morning", 20.0)
    assert (made.rate(7.5), made.duration, made.total) == (15.0, 20.0, 400.0)
    assert made.spacing == "poisson"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0,1\n", "two rows"),
        ("0,1\n5,2,3\n", "mine.csv:2: 3 columns"),
        ("0,1\n5,many\n", "mine.csv:2: '5,many' are no numbers"),
        ("0,1\n5,-2\n", "mine.csv:2: a second is a finite number"),
        ("5,1\n0,2\n", "mine.csv:2: second 0 comes after 5; sort"),
        ("0,0\n5,0\n", "asks for nothing"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_shape(str(written(tmp_path, "mine.csv", text)), None)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def rate(t):\n    return 1 / 0\n", "mine.py:2: ZeroDivisionError"),
        ("import sys\nsys.exit(0)\n", "mine.py:2: SystemExit"),
        ("def rate(t:\n", "mine.py:1: SyntaxError"),
        ("def other(t):\n    return 1\n", "has no function 'rate'"),
        ("def rate(t):\n    return 'fast'\n", "'fast' at 0 s is no rate"),
    ],
)
def test_a_wrong_function_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_shape(f"{written(tmp_path, 'mine.py', text)}:rate", 10.0)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("none.csv", "none.py:rate"):
        with pytest.raises(UsageError, match="cannot be read"):
            parse_shape(str(tmp_path / name), 10.0)


def test_the_option_passes_an_absolute_path_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "mine.csv", "0,10\n5,20\n")
    monkeypatch.chdir(tmp_path)
    found = settle(Wish(rate="mine.csv"), Profile.empty("http://127.0.0.1:1/"))
    assert found.wording == str((tmp_path / "mine.csv").resolve())
    assert found.schedule is not None
    assert found.schedule.total == 75
    assert resolve_shape("poisson a.py:f", tmp_path) == f"poisson {(tmp_path / 'a.py').resolve()}:f"
    assert not is_shape("ramp 1/s to 2/s for 3s")
