"""Verdicts of findings, waivers, a baseline and strictness."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from conformance.events import WaiverRecord
from conformance.protocol.profile import Waiver
from conformance.rulebook import Level, Verdict
from conformance.rulebook.verdicts import (
    Evidence,
    Excuse,
    Policy,
    exit_status,
    gate_of,
    judge_rule,
    judge_run,
    normal,
)

TODAY = "2026-11-23"
WAIVED = Excuse("accepted by the team")


def policy(*waivers: WaiverRecord, **options: Any) -> Policy:
    return Policy(today=TODAY, waivers=waivers, **options)


def waiver(function: str | None = None, until: str = TODAY, reason: str = "accepted") -> WaiverRecord:
    return WaiverRecord("ENV-1", function, reason, until)


@pytest.mark.parametrize(
    ("level", "strict", "verdict", "fails"),
    [
        (Level.MUST, False, Verdict.FAIL, True),
        (Level.MUST, True, Verdict.FAIL, True),
        (Level.SHOULD, False, Verdict.WARN, False),
        (Level.SHOULD, True, Verdict.WARN, True),
    ],
)
def test_a_finding_fails_a_must_rule_and_a_strict_run(
    level: Level, strict: bool, verdict: Verdict, fails: bool
) -> None:
    decided = policy(strict=strict)
    assert decided.verdict(level, "ENV-1", "course.read", "no message") is verdict
    assert decided.fails(level, "ENV-1", "course.read", "no message") is fails


@pytest.mark.parametrize(
    ("given", "covered"),
    [
        (waiver(), True),
        (waiver("course.read"), True),
        (waiver("course.list"), False),
        (waiver(until="2026-11-22"), False),
        (waiver(until="2027-01-01"), True),
        (WaiverRecord("ENV-2", None, "another rule", TODAY), False),
    ],
)
def test_a_waiver_covers_its_rule_and_function_until_its_last_day(given: WaiverRecord, covered: bool) -> None:
    decided = policy(given, strict=True)
    assert bool(decided.excuse("ENV-1", "course.read", "no message")) is covered
    assert decided.covering("ENV-1", "course.read") == [0] * covered
    assert decided.fails(Level.MUST, "ENV-1", "course.read", "no message") is not covered


def test_a_waiver_for_one_function_does_not_cover_a_finding_of_none() -> None:
    assert policy(waiver("course.read")).excuse("ENV-1", None, "no message") is None


def test_a_waiver_of_the_profile_is_taken_as_it_is() -> None:
    until = datetime.date(2026, 11, 23)
    decided = Policy(today=until, waivers=[Waiver("ENV-1", "accepted", until)])
    assert decided.excuse("ENV-1", None, "no message") == Excuse("accepted")
    decided = Policy(today=until + datetime.timedelta(days=1), waivers=decided.waivers)
    assert decided.excuse("ENV-1", None, "no message") is None


def test_the_baseline_comes_before_waivers_and_ignores_numbers_and_quotes() -> None:
    decided = policy(
        waiver(reason="waived"), known=[("ENV-1", "course.read", "row 3 of 'abc'")], known_from="runs/a"
    )
    assert decided.excuse("ENV-1", "course.read", "row 17 of 'x'") == Excuse("known from runs/a", known=True)
    assert decided.excuse("ENV-1", "course.list", "row 3 of 'abc'") == Excuse("waived")
    assert decided.excuse("ENV-1", "course.read", "column 3 of 'abc'") == Excuse("waived")


def test_what_depends_on_the_seed_is_not_part_of_a_kind() -> None:
    assert normal("filtered by price: -1.5e3 of «Å»") == "filtered # of ''"


@pytest.mark.parametrize(
    ("evidence", "verdict", "reason"),
    [
        (Evidence(judged=3), Verdict.PASS, None),
        (Evidence(judged=3, judged_on="judged on 1 of 2"), Verdict.PASS, "judged on 1 of 2"),
        (Evidence(), Verdict.NOT_JUDGED, "no test"),
        (Evidence(left_out=["a", "b", "a"]), Verdict.NOT_JUDGED, "a; b"),
        (Evidence([None], judged=1), Verdict.FAIL, None),
        (Evidence([WAIVED, None], judged=2), Verdict.FAIL, None),
        (Evidence([WAIVED, WAIVED], judged=2), Verdict.WAIVED, WAIVED.reason),
        # A finding stands, whatever happens later.
        (Evidence([None], errors=["crash"], crashed=True), Verdict.FAIL, None),
        (Evidence([WAIVED], errors=["crash"], crashed=True), Verdict.ERROR, "crash"),
        (Evidence(judged=1, errors=["crash"], crashed=True), Verdict.ERROR, "crash"),
        # An error of the target does not take back what was judged before.
        (Evidence(judged=1, errors=["gone"]), Verdict.PASS, None),
        (Evidence(errors=["gone", "gone"]), Verdict.ERROR, "gone"),
    ],
)
def test_a_rule_gets_its_verdict(evidence: Evidence, verdict: Verdict, reason: str | None) -> None:
    assert judge_rule(Level.MUST, evidence, no_reason="no test") == (verdict, reason)


def test_a_target_that_is_down_is_an_error_of_what_was_not_left_out() -> None:
    assert judge_rule(Level.MUST, Evidence(), down="no answer") == (Verdict.ERROR, "no answer")
    assert judge_rule(Level.MUST, Evidence(left_out=["--rule"]), down="no answer")[0] is Verdict.NOT_JUDGED
    assert judge_rule(Level.MUST, Evidence(judged=1), down="no answer")[0] is Verdict.PASS


def rule(identifier: str, verdict: Verdict, judged: int = 1, *, known: bool = False) -> dict[str, Any]:
    findings = [{"known": known}] * (verdict in (Verdict.FAIL, Verdict.WARN, Verdict.WAIVED))
    return {"id": identifier, "verdict": verdict, "judged": judged, "findings": findings}


PASSED, FAILED = rule("A-1", Verdict.PASS), rule("A-2", Verdict.FAIL)
WARNED, SILENT = rule("A-3", Verdict.WARN), rule("A-4", Verdict.NOT_JUDGED, 0)
OURS = {"rule": None, "ours": True, "message": "KeyError"}
DOWN = {"rule": None, "ours": False, "message": "no answer"}
LATE = {"name": "check", "verdict": "undecided", "reason": "no time"}


@pytest.mark.parametrize(
    ("rules", "more", "verdict", "reason"),
    [
        ([PASSED], {}, "conformant", "no must rule failed; 1 of 1 rule judged"),
        ([PASSED, FAILED], {}, "nonconformant", "1 must rule failed (A-2)"),
        ([PASSED, WARNED], {}, "conformant", "no must rule failed; 2 of 2 rules judged; 1 should rule warns (A-3)"),
        ([WARNED], {"strict": True}, "nonconformant", "1 should rule failed, and the run is strict (A-3)"),
        ([SILENT], {}, "undecided", "nothing could be judged"),
        ([PASSED], {"interrupted": True}, "undecided", "interrupted before the end; nothing had failed by then"),
        ([FAILED], {"interrupted": True}, "nonconformant", "1 must rule failed (A-2)"),
        ([PASSED], {"errors": [DOWN]}, "undecided", "no answer"),
        ([PASSED], {"errors": [OURS]}, "undecided", "the suite itself failed: KeyError"),
        ([FAILED], {"errors": [OURS]}, "nonconformant", "1 must rule failed (A-2)"),
        ([PASSED], {"load": ("fail", "1 SLO missed")}, "nonconformant", "1 SLO missed"),
        ([PASSED], {"load": ("undecided", "cut short")}, "undecided", "cut short"),
        ([FAILED], {"load": ("fail", "slow")}, "nonconformant", "1 must rule failed (A-2); slow"),
        ([PASSED], {"phases": [LATE]}, "undecided", "the check could not be judged: no time"),
        (
            [PASSED, rule("A-5", Verdict.WAIVED), rule("A-6", Verdict.WAIVED, known=True)],
            {},
            "conformant",
            "no must rule failed; 3 of 3 rules judged; 1 waived; 1 known finding",
        ),
    ],
)  # fmt: skip
def test_a_run_gets_its_verdict(
    rules: list[dict[str, Any]], more: dict[str, Any], verdict: str, reason: str
) -> None:
    options = {"errors": [], "strict": False, "interrupted": False, **more}
    assert judge_run(rules, **options) == (verdict, reason)


@pytest.mark.parametrize(
    ("verdict", "interrupted", "status"),
    [
        ("conformant", False, 0),
        ("nonconformant", False, 1),
        ("undecided", False, 3),
        ("conformant", True, 130),
        ("nonconformant", True, 130),
    ],
)
def test_the_exit_status_follows_from_the_verdict(verdict: str, interrupted: bool, status: int) -> None:
    assert exit_status(gate_of(verdict), interrupted=interrupted) == status
