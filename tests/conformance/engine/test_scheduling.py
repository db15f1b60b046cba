"""A run on a slow target keeps within its time: it runs some tests of each kind, and reports that."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from conformance.engine import budgets
from conformance.engine.extent import Extent
from conformance.engine.payload_budget import PayloadBudget
from conformance.engine.scheduling import LoadShedding, Planned
from tests.support.judging import profile_of, serving_here
from tests.support.recording import MAX_SECONDS, ROOT, report_in

KINDS = [*["short"] * 100, *["long"] * 20, *["other"] * 50]
CALL = 0.05


class Target:
    """A simulated target: `seconds` says how long a call of a function takes, `login` how long a login does."""

    def __init__(self, planned: list[Planned], seconds: float, *, login: float = 0.0) -> None:
        self.now = 0.0
        self.planned = planned
        self.login = login
        self.shedding = LoadShedding(planned, seconds, clock=lambda: self.now)
        self.order: list[int] = []

    def call(self, seconds: float, function: str | None = None, *, login: bool = False) -> None:
        self.now += seconds
        self.shedding.observe(function, seconds, login=login)

    def run(
        self,
        calls: dict[str, tuple[int, int]],
        *,
        slow: dict[str, float] | None = None,
        generated: float = 0.0,
        due: frozenset[int] = frozenset(),
    ) -> Counter[str]:
        """Run all that fits: of each kind so many calls and logins; return how many of each kind ran."""
        counts: Counter[str] = Counter()
        for last in (False, True):
            while (
                index := self.shedding.next(generated=generated, due=due.__contains__, last=last)
            ) is not None:
                test = self.planned[index]
                self.order.append(index)
                ordinary, logins = calls[test.kind]
                for _ in range(logins):
                    self.call(self.login, login=True)
                for _ in range(ordinary):
                    self.call((slow or {}).get(test.subject or "", CALL), test.subject)
                counts[test.kind] += 1
                self.shedding.ran(index)
            self.now += min(generated, max(0.0, self.shedding.left))
            generated = 0.0
        self.shedding.end()
        return counts


def each(kinds: list[str]) -> list[Planned]:
    return [Planned(kind, f"e.f{number}") for number, kind in enumerate(kinds)]


COSTS = {"short": (2, 0), "long": (40, 0), "other": (10, 0)}


def test_nothing_is_left_out_where_there_is_time() -> None:
    target = Target(each(KINDS), 100.0)
    assert target.run(COSTS) == Counter(KINDS)
    assert target.order == list(range(len(KINDS)))
    assert target.now == pytest.approx(75.0)
    assert target.shedding.note is None


def test_what_takes_little_is_not_left_out_for_what_takes_much() -> None:
    target = Target(each(KINDS), 40.0)
    counts = target.run(COSTS)
    assert counts["short"] == 100
    assert 1 <= counts["long"] < 20
    assert 1 <= counts["other"] < 50
    assert 34.0 < target.now <= 40.0, "what fits is run"
    left = len(KINDS) - counts.total()
    assert target.shedding.note is not None
    assert f"{left} of {len(KINDS)} tests were left out" in target.shedding.note
    assert "(a call takes 50 ms)" in target.shedding.note


def test_they_are_spread_over_all() -> None:
    target = Target(each(["one"] * 100), 50.0)
    target.run({"one": (20, 0)})
    assert 44 <= len(target.order) <= 45
    in_order = sorted(target.order)
    assert in_order[0] == 0
    assert in_order[-1] > 90
    assert all(later - earlier <= 5 for earlier, later in itertools.pairwise(in_order))


def test_the_first_of_each_kind_and_what_is_due_is_run_in_any_case() -> None:
    kinds = [*["first"] * 40, *KINDS]
    costs = {**COSTS, "first": (2, 0)}
    counts = Target(each(kinds), 0.05).run(costs)
    # Before anything was measured nothing is known to be late.
    assert counts["first"] <= 21
    assert (counts["short"], counts["long"], counts["other"]) == (1, 1, 1)
    counts = Target(each(kinds), 0.05).run(costs, due=frozenset({145, 146, 200}))
    assert (counts["short"], counts["long"], counts["other"]) == (1, 3, 2)


def test_a_slow_start_leaves_nothing_out() -> None:
    target = Target(each(["one"] * 500), 300.0)
    for _ in range(3):
        target.call(1.0)
    target.now += 5.0
    assert target.run({"one": (5, 0)}).total() == 500
    assert target.order == list(range(500))


def test_slow_logins_are_not_taken_for_slow_calls() -> None:
    """bcrypt: a login of 2 s; 33 functions of 20 ms are no reason to leave calls out."""
    planned = [
        *(Planned("logs in", f"user {number}") for number in range(40)),
        *(Planned("single", f"e.f{number}") for number in range(33)),
        *(Planned("plain", f"e.f{number}") for number in range(33)),
    ]
    target = Target(planned, 120.0, login=2.0)
    counts = target.run({"logs in": (20, 2), "single": (1, 0), "plain": (12, 0)})
    assert counts["single"] == counts["plain"] == 33
    assert 10 < counts["logs in"] < 40
    assert target.now > 100, "the time is used"
    assert target.shedding.note is not None
    assert "a login 2.0 s" in target.shedding.note


def test_a_slow_function_is_not_taken_for_a_slow_target() -> None:
    planned = [Planned(kind, f"e.f{number}") for kind in ("one", "two", "three") for number in range(30)]
    target = Target(planned, 100.0)
    target.run(dict.fromkeys(("one", "two", "three"), (10, 0)), slow={"e.f7": 2.0})
    ran = {target.planned[index] for index in target.order}
    assert {test for test in planned if test.subject != "e.f7"} <= ran
    assert [test.subject for test in planned if test not in ran] == ["e.f7"]


def test_single_calls_come_before_generated_payloads() -> None:
    planned = [
        *(Planned("single", f"e.f{n}") for n in range(100)),
        *(Planned("long", f"e.f{n}") for n in range(30)),
    ]
    target = Target(planned, 60.0)
    counts = target.run({"single": (3, 0), "long": (60, 0)}, generated=100.0)
    assert counts["single"] == 100
    assert counts["long"] < 30


def test_thirty_functions_of_20_ms_leave_nothing_out() -> None:
    planned = [Planned(f"kind {kind}", f"e.f{number}") for kind in range(25) for number in range(30)]
    target = Target(planned, 300.0)
    # Start-up and the first logins are slower than all that follows.
    target.now += 2.5
    for _ in range(3):
        target.call(0.4, "auth.login", login=True)
    counts = target.run(
        {f"kind {kind}": (1 + kind % 12, 0) for kind in range(25)},
        slow={f"e.f{number}": 0.02 for number in range(30)},
        generated=45.0,
    )
    assert counts.total() == len(planned)
    assert target.order == list(range(len(planned)))


@pytest.mark.parametrize("seconds", [60.0, 100.0, 150.0])
def test_a_run_stays_within_its_time(seconds: float) -> None:
    planned = [Planned(f"kind {kind}", f"e.f{number}") for kind in range(20) for number in range(30)]
    target = Target(planned, seconds, login=2.0)
    target.run({f"kind {kind}": (kind % 7 + 1, kind % 5 == 0) for kind in range(20)}, generated=0.1 * seconds)
    assert 0.8 * seconds <= target.now <= seconds


def test_a_verdict_says_how_much_it_rests_on() -> None:
    extent = Extent()
    for number in range(33):
        extent.plan(("a", number), ["HTTP-1"], "function", f"e.f{number}")
        extent.plan(("b", number), ["COD-6", "COD-5"], "function", f"e.f{number}")
    for user in ("one", "two"):
        extent.plan(("c", user), ["COD-5"], "user", user)
    for test in (*(("a", n) for n in range(3)), *(("b", n) for n in range(33)), ("c", "one")):
        extent.done(test)
    assert [(event.rule, event.done, event.of, event.what) for event in extent.events()] == [
        ("HTTP-1", 3, 33, "functions"),
        ("COD-5", 1, 2, "users"),
    ]


def test_generated_payloads_take_no_more_than_there_is() -> None:
    payload_budget = PayloadBudget("quick")
    payload_budget.within(1000.0)
    assert payload_budget.seconds == budgets.PAYLOAD_SECONDS.quick
    payload_budget.spent = 2.0
    payload_budget.within(3.0)
    assert payload_budget.seconds == 5.0
    payload_budget.within(-1.0)
    assert payload_budget.seconds == 2.0


#: Runs the command with a clock that nothing but the target's answers moves on: argv is the seconds of a call, of a
#: login and of the run, then the command's arguments.
SIMULATED = """
import sys, conform
from conformance.engine import payload_budget, scheduling
from conformance.protocol.client import Client
call, login, deadline = map(float, sys.argv[1:4])
now = 0.0
perform, paced, allowed = Client._perform, scheduling.LoadShedding.__init__, payload_budget.PayloadBudget.__init__
def clock():
    return now
def timed(self, exchange, *, fresh):
    global now
    perform(self, exchange, fresh=fresh)
    exchange.seconds = login if exchange.login else call
    now += exchange.seconds
Client._perform = timed
scheduling.LoadShedding.__init__ = lambda self, planned, seconds: paced(self, planned, deadline, clock=clock)
payload_budget.PayloadBudget.__init__ = lambda self, *given, **named: allowed(self, *given, clock=clock, **named)
status = conform.main(sys.argv[4:])
print("simulated", now)
sys.exit(status)
"""


def simulated(
    folder: Path,
    rules: tuple[str, ...],
    *,
    call: float,
    login: float,
    deadline: float,
    entities: Collection[str] = (),
) -> tuple[dict[str, Any], float, str]:
    """Check the reference service as if it were slow; return the report, the seconds that it took, and the screen."""
    with serving_here() as (url, catalogue):
        profile = profile_of(catalogue, folder, entities=entities)
        done = subprocess.run(
            [sys.executable, "-c", SIMULATED, str(call), str(login), str(deadline), "check", "--budget", "quick",
             "--seed", "7", "--target", url, "--profile", str(profile), "--out", str(folder / "o"),
             *(f"--rule={rule}" for rule in rules)],
            cwd=ROOT, capture_output=True, text=True, timeout=MAX_SECONDS, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return report_in(folder / "o"), float(done.stdout.split()[-1]), done.stdout


def test_a_slow_target_is_judged_by_all_areas_in_the_time_there_is(tmp_path: Path) -> None:
    rules = ("HTTP-1", "REQ-8", "COD-6", "PAG-4", "SEC-1", "STA-1", "DAT-3")
    report, seconds, screen = simulated(tmp_path, rules, call=0.08, login=0.08, deadline=60.0)
    assert report["verdict"] == "conformant"
    found = {rule["id"]: rule for rule in report["rules"]}
    assert {found[rule]["verdict"] for rule in rules} == {"pass"}
    assert any("tests were left out" in note for note in report["notes"])
    # Single calls were put to all; what took longer says on how much its verdict rests.
    assert found["COD-6"]["judged_on"] is None
    assert found["REQ-8"]["judged_on"]["what"] == "functions"
    reported = (
        f"judged on {found['REQ-8']['judged_on']['done']} of {found['REQ-8']['judged_on']['of']} functions"
    )
    assert reported in " ".join(screen.split())
    assert found["REQ-8"]["reason"] == reported
    # The clean-up comes after that.
    assert 16.0 < seconds < 64.0


def test_slow_logins_do_not_keep_single_calls_from_being_made(tmp_path: Path) -> None:
    rules = ("HTTP-1", "COD-6", "AUT-4", "AUT-2", "AUT-9", "AUT-11")
    report, _, _ = simulated(tmp_path, rules, call=0.01, login=2.0, deadline=300.0)
    found = {rule["id"]: rule for rule in report["rules"]}
    assert {found[rule]["verdict"] for rule in rules} == {"pass"}
    assert [found[rule]["judged_on"] for rule in rules[:3]] == [None, None, None]
    assert any(rule["judged_on"] for rule in report["rules"])
    assert any("a login 2.0 s" in note for note in report["notes"])


def test_an_ordinary_target_is_judged_on_all_that_there_is(tmp_path: Path) -> None:
    report, _, _ = simulated(
        tmp_path,
        ("HTTP-1", "REQ-8", "COD-6", "PAG-4", "DAT-3"),
        call=0.02,
        login=0.3,
        deadline=300.0,
        entities=("auth", "course", "sys", "user"),
    )
    assert not any(rule["judged_on"] for rule in report["rules"])
    assert not any("left out" in note for note in report["notes"])
