"""A mix of recorded traffic as the load uses it: its file, walks along its chains, and data in its shapes."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from conformance.errors import UsageError
from load.as_seen import AsSeen
from load.options import Wish, settle
from load.workload.seen import BEGIN, MIX_FILE, SeenMix, Shape, Step, Walk
from load.workload.shapes_as_seen import _sized
from tests.support.load_driving import embedded

PROFILE, CATALOG = embedded("http://127.0.0.1:9/api/")
MIX = SeenMix(
    source="monday.har",
    calls=9,
    total=10,
    functions={"course.find": 6.0, "course.read": 3.0},
    bins=[3, 0, 6],
    steps={
        BEGIN: [Step("course.find", 3)],
        "course.find": [Step("course.read", 3, [1.0]), Step("gone.away", 1, [4.0])],
        "gone.away": [Step("course.find", 1, [2.0])],
        "course.read": [Step(None, 2)],
    },
    shapes={"course.find": [Shape({"query": 5}, 7)]},
)


def walk(known: tuple[str, ...] = ("course.find", "course.read"), speed: float = 1.0) -> Walk:
    return Walk(MIX, known, random.Random(3), lambda: 10.0, speed)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    MIX.write(tmp_path / MIX_FILE)
    assert SeenMix.read(tmp_path) == SeenMix.read(tmp_path / MIX_FILE) == MIX
    (tmp_path / "a.har").write_text('{"log": {}}', "utf-8")
    with pytest.raises(
        UsageError, match=r"a\.har: is no mix\.json of a run; conform load --mix-from makes one"
    ):
        SeenMix.read(tmp_path / "a.har")
    with pytest.raises(UsageError, match=r"none\.har: cannot be read: No such file"):
        SeenMix.read(tmp_path / "none.har")


def test_a_walk_follows_the_chain_and_its_think_times() -> None:
    visit = walk()
    steps = Counter[tuple[str | None, str | None, float]]()
    before = visit.next()
    assert (before, visit.wait) == ("course.find", 0.0)
    for _ in range(400):
        function = visit.next()
        steps[before, function, visit.wait] += 1
        before = function
    # gone.away is passed over: the next call is after both waits. A session ends with course.read.
    assert set(steps) == {
        ("course.find", "course.read", 1.0),
        ("course.find", "course.find", 6.0),
        ("course.read", "course.find", 10.0),
    }
    assert (
        0.6
        < steps["course.find", "course.read", 1.0]
        / (steps["course.find", "course.read", 1.0] + steps["course.find", "course.find", 6.0])
        < 0.9
    )


def test_speed_divides_think_times_and_a_walk_without_functions_ends() -> None:
    visit = walk(speed=4.0)
    waits = set()
    for _ in range(50):
        visit.next()
        waits.add(visit.wait)
    assert waits == {0.0, 0.25, 1.5, 10.0}
    assert walk(()).next() is None


def test_arrivals_follow_the_clock_of_the_capture() -> None:
    schedule = AsSeen(MIX, 2.0).schedule("as-seen")
    assert (schedule.duration, schedule.total) == (1.5, 9)
    assert [schedule.rate(at) for at in (0.1, 0.7, 1.1)] == [6.0, 0.0, 12.0]
    assert sum(0.5 <= at < 1.0 for at in schedule.times()) == 0
    assert schedule.text == "as seen in monday.har at 2x: 9 calls in 1.5 s"
    assert AsSeen(MIX).schedule("poisson as-seen").spacing == "poisson"


def test_options(tmp_path: Path) -> None:
    MIX.write(tmp_path / MIX_FILE)
    wish = Wish(mix_from=(str(tmp_path),), rate="as-seen", speed="0.5x")
    settings = settle(wish, PROFILE, CATALOG.methods)
    assert settings.mix == MIX.functions
    assert settings.seconds == 6
    closed = settle(Wish(mix_from=(str(tmp_path),), users=3), PROFILE, CATALOG.methods)
    assert (closed.open, closed.seen) == (False, AsSeen(MIX))
    for wrong, why in (
        (Wish(rate="as-seen"), "'as-seen' is the rate of a capture: give one with --mix-from"),
        (Wish(speed="2x"), "--speed: is that of a capture: give one with --mix-from"),
        (Wish(mix_from=("a",), scenario_file="b.py"), "--mix-from and --scenario-file: each says"),
    ):
        with pytest.raises(UsageError, match=why):
            settle(wrong, PROFILE, CATALOG.methods)


def test_texts_and_lists_get_the_length_that_was_seen() -> None:
    text = {"type": "string"}
    for length in (1, 5, 12, 40, 400):
        sized = _sized("conform-load", length, text, "")
        assert (len(sized), sized.strip("- ")[:1], sized[-1] != "-" or length < 12) == (length, "c", True)
    assert _sized("conform-load-00000000 or so", 3, text, "-00000000") == "conform-load-00000000"
    assert _sized([1, 2], 5, {"type": "array"}, "") == [1, 2, 1, 2, 1]
    assert _sized("a@b.example", 40, {"type": "string", "format": "email"}, "") == "a@b.example"
    assert _sized(7, 40, {"type": "integer"}, "") == 7
