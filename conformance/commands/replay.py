"""`conform replay`: play case files again, and print each step with what came and what differs."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.cases.format import Case, CaseError, load, load_folder
from conformance.catalog.model import Method
from conformance.engine.case_player import CasePlayer, PlayedStep, writes
from conformance.engine.case_text import MAX_SHOWN_CHARACTERS, brief_text, sent_text
from conformance.engine.collection import collect
from conformance.engine.context import TestContext
from conformance.engine.harness import Harness, Request
from conformance.engine.runnable import SingleTest
from conformance.engine.runner import Run
from conformance.engine.suite_run import SuiteRun
from conformance.errors import UsageError
from conformance.rulebook import RULES
from conformance.text import cut, reveal, writable

__all__ = ["Replayed", "play_one", "print_replay"]

#: Seconds that a replay may take.
DEADLINE_SECONDS = 600.0


def print_replay(request: Request, options: argparse.Namespace) -> int:
    """Play the files that the options name and print, step by step, what was sent and what came.

    Returns 0 where every case that can be judged is as expected, 1 where one still differs, 3 where the target does not
    answer or nothing could be judged.

    Raises:
        UsageError: a file is not a case, or the profile or the catalogue is wrong.

    """
    harness = Harness.prepare(request)
    try:
        # After the rules of the team's own were read: a case may be one of theirs.
        cases = _cases(options.files)
        harness.connect()
        suite_run = SuiteRun(harness, lambda event: None)
        suite_run.open(confirm=False, deadline=DEADLINE_SECONDS, judging=False)
        return _Replay(suite_run, quiet=request.quiet).play(cases)
    finally:
        harness.close()


def play_one(harness: Harness, case: Case) -> Replayed:
    """Play one case with a run of its own; objects that it creates are removed at the end."""
    suite_run = SuiteRun(harness, lambda event: None)
    suite_run.open(confirm=False, deadline=DEADLINE_SECONDS, judging=False)
    replay = _Replay(suite_run, quiet=True)
    try:
        result = replay.play_case(case)
        if suite_run.stopped is not None:
            result.how, result.why = "cannot be played", str(suite_run.stopped)
        return result
    finally:
        replay.run.finish()


def _cases(paths: Sequence[Path]) -> list[Case]:
    cases: list[Case] = []
    for path in paths:
        try:
            cases += load_folder(path) if path.is_dir() else [load(path)]
        except CaseError as error:
            raise UsageError(f"{error}" if path.is_dir() else f"{path}: {error}") from error
    return cases


@dataclass
class Replayed:
    """How a case ended: "as expected now", "still differs", "cannot be played" or "cannot be judged", and why."""

    case: Case
    how: str = ""
    why: str = ""
    lines: list[str] = field(default_factory=list)


class _Replay:
    """Plays cases and prints them."""

    def __init__(self, suite_run: SuiteRun, *, quiet: bool) -> None:
        assert suite_run.run is not None
        self.harness = suite_run.harness
        self.suite_run = suite_run
        self.run = suite_run.run
        self.quiet = quiet
        self._encoding = getattr(sys.stdout, "encoding", None)

    def play(self, cases: Sequence[Case]) -> int:
        """Play the cases, print the result of each, and return the exit status."""
        results: list[Replayed] = []
        try:
            for case in cases:
                result = self.play_case(case)
                if self.suite_run.stopped is not None:
                    break
                results.append(result)
                if not self.quiet:
                    self._print([*result.lines, ""])
        finally:
            self.run.finish()
        width = max((len(result.how) for result in results), default=0)
        self._print(
            [
                f"{result.how:<{width}}  {_file(result.case)}{f': {result.why}' if result.why else ''}"
                for result in results
            ]
        )
        if self.suite_run.stopped is not None:
            print(
                f"conform replay: {self.suite_run.stopped}: {self.harness.shown_url}",
                file=sys.stderr,
                flush=True,
            )
            return 3
        hows = {result.how for result in results}
        return 1 if "still differs" in hows else 0 if "as expected now" in hows else 3

    def _print(self, lines: Sequence[str]) -> None:
        mask = self.run.secret_registry.mask
        text = "\n".join(writable(reveal(mask(line)), self._encoding) for line in lines)
        print(text, flush=True)

    def play_case(self, case: Case) -> Replayed:
        """Play one case; begin again where the test environment was reset meanwhile."""
        result = Replayed(case)

        def body(ctx: TestContext) -> None:
            result.lines = [f"{_file(case)}  {case.rule} {RULES[case.rule].level}  {RULES[case.rule].title}"]
            result.how, result.why = "cannot be played", ""
            if writes(case, ctx.catalog):
                ctx.need_writing()
            judged: list[bool] = []
            changes: list[str] = []
            for played in CasePlayer(ctx.run, case).play():
                result.lines += _lines(played)
                changes += [f"step {played.number}: {each}" for each in played.changes]
                if played.holds is not None:
                    judged.append(played.holds)
                if played.holds is False and not result.why:
                    result.why = f"step {played.number}: {played.actual}"
            if judged:
                result.how = "as expected now" if all(judged) else "still differs"
            else:
                self._leave_to_a_person(result, changes)

        conclusion = self.suite_run.run_one(SingleTest(f"replay/{case.name}", body))
        if any(step.function == self.run.profile.auth.logout for step in case.steps):
            # A token that is taken for a session may have ended it: the next case needs one that works.
            self.run.recovery.drop_ended_sessions()
        if conclusion.not_judged is not None:
            result.how, result.why = "cannot be played", conclusion.not_judged
        elif conclusion.crashed is not None:
            result.how, result.why = "cannot be played", f"the suite itself failed: {conclusion.crashed}"
        return result

    def _leave_to_a_person(self, result: Replayed, changes: list[str]) -> None:
        """Describe a case that no single answer is enough to judge."""
        case = result.case
        result.how = "cannot be judged"
        result.why = "a person has to compare; " + (
            changes[0] if changes else "the answers are as they were then"
        )
        result.lines += [
            f"  expected  {cut(case.expected, MAX_SHOWN_CHARACTERS)}",
            f"  got then  {cut(case.actual, MAX_SHOWN_CHARACTERS)}",
        ]
        if RULES[case.rule].check is None and _has_test(self.run, case):
            check = dataclasses.replace(
                self.harness, request=dataclasses.replace(self.harness.request, verb="check")
            )
            result.lines.append(f"  judge it  {check.command()} --rule {case.rule}")


def _has_test(run: Run, case: Case) -> bool:
    """Return whether a test judges the case's rule on the case's function."""
    return any(
        not isinstance(test.value, Method) or test.value.name == case.function
        for test in collect(run, frozenset({case.rule}))
    )


def _file(case: Case) -> str:
    return case.path.name if case.path is not None else case.name


def _lines(played: PlayedStep) -> list[str]:
    """Return the lines of a step: what was sent, what came, what was expected, what has changed."""
    step = played.step
    who = (step.user or "nobody") + (f" (session {step.session})" if step.session else "")
    came = played.exchange.summary()
    data = played.exchange.data
    if played.exchange.status == 200 and not played.exchange.login and isinstance(data, dict | list):
        came += f", data {brief_text(data)}"
    lines = [
        f"  {played.number}  {who}: {cut(sent_text(step), MAX_SHOWN_CHARACTERS)}",
        f"     came      {cut(came, MAX_SHOWN_CHARACTERS)}",
    ]
    if played.holds is not None:
        actual = cut(played.actual, MAX_SHOWN_CHARACTERS)
        lines.append(f"     expected  {cut(played.expected, MAX_SHOWN_CHARACTERS)}")
        lines.append(f"     {'as expected' if played.holds else f'differs   {actual}'}")
    lines += [f"     changed   {cut(each, MAX_SHOWN_CHARACTERS)}" for each in played.changes]
    return lines
