"""A run on a slow target keeps within its time: it holds some conversations of each kind, and says so."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from conformance.generation import Allowance
from conformance.pace import _MANY, Pace
from conformance.suite import SUITES
from tests.judging import serving
from tests.recording import PROFILE, ROOT, recording, report_in

KINDS = [*["short"] * 100, *["long"] * 20, *["other"] * 50]
COST = {"short": 0.1, "long": 2.0, "other": 0.5}


def held(
    seconds: float, *, call: float = 0.05, due: frozenset[int] = frozenset()
) -> tuple[Counter[str], float, Pace]:
    """Hold what a pace lets be held; return how many of each kind, the seconds that it took, and the pace."""
    now = 0.0
    pace = Pace(KINDS, seconds, clock=lambda: now)
    counts: Counter[str] = Counter()
    for number, kind in enumerate(KINDS):
        if pace.wants(kind, call, due=number in due):
            counts[kind] += 1
            now += COST[kind]
            pace.held(kind, COST[kind])
    return counts, now, pace


def test_nothing_is_left_out_where_there_is_time() -> None:
    counts, seconds, pace = held(100.0)
    assert counts == Counter(KINDS)
    assert seconds == pytest.approx(75.0)
    assert pace.note is None


def test_of_each_kind_some_are_left_out_where_time_is_short() -> None:
    counts, seconds, pace = held(40.0)
    assert 25.0 < seconds <= 40.0
    assert all(1 <= counts[kind] < KINDS.count(kind) for kind in ("long", "other"))
    left = len(KINDS) - counts.total()
    assert pace.note is not None
    assert f"{left} of {len(KINDS)} conversations were left out" in pace.note


def test_they_are_spread_over_all() -> None:
    now = 0.0
    pace = Pace(["one"] * 100, 50.0, clock=lambda: now)
    chosen = []
    for number in range(100):
        if pace.wants("one", 1.0):
            chosen.append(number)
            now += 1.0
            pace.held("one", 1.0)
    assert 40 <= len(chosen) <= 50
    assert chosen[0] == 0
    assert chosen[-1] > 90
    assert all(later - earlier <= 4 for earlier, later in itertools.pairwise(chosen))


def test_the_first_of_each_kind_and_what_is_due_is_held_in_any_case() -> None:
    counts, _, _ = held(0.05)
    assert counts == {"short": 1, "long": 1, "other": 1}
    counts, _, _ = held(0.05, due=frozenset({105, 106, 160}))
    assert counts == {"short": 1, "long": 3, "other": 2}


def test_what_takes_many_calls_is_a_conversation() -> None:
    modules = [importlib.import_module(f"conformance.{name}") for name in SUITES]
    assert [name for name in _MANY if not any(hasattr(module, name) for module in modules)] == []


def test_generated_payloads_take_no_more_than_there_is() -> None:
    allowance = Allowance("quick")
    allowance.within(100.0)
    assert allowance.seconds == 7.5
    allowance.spent = 2.0
    allowance.within(3.0)
    assert allowance.seconds == 5.0
    allowance.within(-1.0)
    assert allowance.seconds == 2.0


def test_a_slow_target_is_judged_by_all_areas_in_the_time_there_is(tmp_path: Path) -> None:
    rules = ("HTTP-1", "REQ-8", "COD-6", "PAG-4", "SEC-1", "STA-1", "DAT-3")
    program = (
        "import sys, conform\n"
        "from conformance.harness import Harness\n"
        "prepare = Harness.prepare\n"
        "def shortened(request):\n"
        "    harness = prepare(request)\n"
        "    harness.deadline = 12.0\n"
        "    return harness\n"
        "Harness.prepare = shortened\n"
        "sys.exit(conform.main(sys.argv[1:]))\n"
    )
    with serving() as url, recording(url, lambda data: 0.04) as recorder:
        done = subprocess.run(
            [sys.executable, "-c", program, "check", "--target", recorder.url, "--profile", str(PROFILE),
             "--budget", "quick", "--seed", "7", "--out", str(tmp_path / "o"), *(f"--rule={rule}" for rule in rules)],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = report_in(tmp_path / "o")
    assert report["verdict"] == "conformant"
    verdicts = {rule["id"]: rule["verdict"] for rule in report["rules"]}
    assert {verdicts[rule] for rule in rules} == {"pass"}
    assert any("conversations were left out, some of each kind" in note for note in report["notes"])
