"""The run of a team's own tests in one pytest process: what they send is recorded, judged and written as events."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engine.context import TestContext
from conformance.engine.harness import Harness, Request
from conformance.engine.runner import Run
from conformance.engine.suite_run import SuiteRun
from conformance.errors import UsageError
from conformance.events import CaseEvent, Event, ExchangeEvent, TestEvent, encode
from conformance.protocol.client import OutOfTimeError
from conformance.protocol.exchange import Exchange
from conformance.protocol.ownership import Ownership, UnownedTargetError
from conformance.rulebook import RULES, own_rules
from conformance.rulebook.findings import Finding

__all__ = ["OwnContext", "OwnRun", "Wanted"]

#: Seconds that the tests of one process may take in all.
MAX_RUN_SECONDS = 24 * 3600.0

#: Characters of a failing test's message that its finding has.
MAX_MESSAGE_CHARACTERS = 600


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    target: str | None = None
    profile: str | None = None
    rules: tuple[str, ...] = ()
    strict: bool = False
    read_only: bool = False
    seed: int | None = None
    #: The folders of the tests, for the command that runs them again.
    suites: tuple[str, ...] = ()
    #: The ids of the rules to judge; empty for all.
    judged: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, text: str | None) -> Wanted | None:
        """Return what `conform check --suite` asks for; None without it."""
        if not text:
            return None
        members: Mapping[str, Any] = json.loads(text)
        found: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in members.items()
        }
        return cls(**found)

    def request(self, out: Path) -> Request:
        """Return the request of the run."""
        return Request(
            target=self.target,
            profile=Path(self.profile) if self.profile else None,
            out=out,
            strict=self.strict,
            read_only=self.read_only,
            seed=self.seed,
            rules=self.judged,
            rule_files=tuple(map(Path, self.rules)),
            suites=tuple(map(Path, self.suites)),
            own_tests=True,
        )


class OwnContext(TestContext):
    """What a team's own test works with: the target, users, resources, and `check`."""

    def check(
        self,
        rule: str,
        good: bool,
        *,
        expected: str,
        actual: str = "",
        exchange: Exchange | None = None,
        function: str | None = None,
        kind: str = "",
    ) -> bool:
        """Judge a rule: count it, and record a finding where `good` is false. Return `good`.

        `kind` groups findings and defaults to `expected`. The test fails at its end if the finding fails the gate.

        Raises:
            UsageError: there is no such rule.

        """
        if rule not in RULES:
            raise UsageError(f"there is no rule {rule}: register it with suite_rule(…) in a file of rules")
        shown = exchange or self.run_of_tests.last
        return self.judge(
            rule,
            bool(good),
            kind=kind or expected,
            expected=expected,
            actual=actual,
            exchange=shown,
            function=function,
        )

    run_of_tests: OwnRun


class _Gate(Ownership):
    """Lets the team's own tests call what they like, but only functions that read where the run must not write."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.catalog)
        self._run = run

    def check(self, target: str, body: bytes, *, raw: bool = False) -> None:
        """Refuse a call that may write where the run must not write."""
        if self._run.writable:
            return
        method = method_of(self._run, target, body)
        known = self._run.catalog.methods.get(method)
        if method in self._run.caller.logins or (known is not None and known.effect == "read"):
            return
        raise UnownedTargetError(
            f"{method} is no function that reads: the target is no test environment, or the run is read-only"
        )


def method_of(run: Run, target: str, body: bytes) -> str:
    """Return the function that a request calls, as `entity.function`; the second part is empty if it is not known."""
    entity = target.partition("?")[0].removeprefix(run.client.address.path).strip("/")
    try:
        return f"{entity}.{json.loads(body)['method']}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"{entity}."


class OwnRun:
    """The run of one pytest process, whose events go to a file of its own."""

    def __init__(self, harness: Harness, out: Path, part: str) -> None:
        self.harness = harness
        out.mkdir(parents=True, exist_ok=True)
        self._file = (out / f"part-{part}.jsonl").open("w", encoding="utf-8")
        self._began = time.monotonic()
        self.suite_run = SuiteRun(harness, self.emit)
        self.run: Run
        #: The last exchange of the running test.
        self.last: Exchange | None = None
        self._context: OwnContext | None = None
        self._failed = False

    @classmethod
    def open(cls, wanted: Wanted, out: Path, part: str) -> OwnRun:
        """Open the run of a target: read profile and catalogue, and begin its events.

        Raises:
            UsageError: something of it is wrong.

        """
        harness = Harness.prepare(wanted.request(out))
        harness.deadline = MAX_RUN_SECONDS
        own = cls(harness, out, part)
        own.suite_run.begin()
        run = own.run = own.suite_run.open(confirm=False)
        run.client.ownership = _Gate(run)
        observe = run.client.observe

        def noted(exchange: Exchange) -> None:
            own.last = exchange
            observe(exchange)

        run.client.observe = noted
        return own

    @property
    def profile(self) -> Any:
        """The profile of the target."""
        return self.run.profile

    @property
    def catalog(self) -> Any:
        """The catalogue of the target."""
        return self.run.catalog

    def emit(self, event: Event) -> None:
        """Write an event; a case file is not made of a team's own test."""
        if isinstance(event, CaseEvent):
            return
        self._file.write(encode(event, time.monotonic() - self._began) + "\n")
        if not isinstance(event, ExchangeEvent):
            self._file.flush()

    # --- tests

    def context(self, name: str) -> OwnContext:
        """Begin a test, and return its context."""
        self._begin(name)
        assert self._context is not None
        return self._context

    def _begin(self, name: str) -> None:
        if self._context is not None:
            if self._context.name == name:
                return
            self.end_test()
        self.last, self._failed = None, False
        self.emit(TestEvent(name))
        self.run.observer.begin(name)
        self._context = OwnContext(self.run, name, ())
        self._context.run_of_tests = self

    def failing(self) -> list[str]:
        """Return the findings of the running test that fail the gate, each in a few lines."""
        shown = []
        mask = self.run.secret_registry.mask
        for finding in self.run.observer.take().values():
            level = RULES[finding.rule].level
            if not self.harness.policy.fails(level, finding.rule, finding.function, mask(finding.kind)):
                continue
            event = finding.event(count=finding.count, reproduced=None)
            lines = [
                f"{event.rule} {level}  {event.message}  [{event.function}]",
                f"  expected  {event.expected}",
                f"  got       {event.actual}",
            ]
            shown.append("\n".join([*lines, f"  repeat    {event.curl}"] if event.curl else lines))
        self._failed = bool(shown)
        return shown

    def judge_outcome(self, name: str, *, failed: bool, passed: bool, text: str) -> None:
        """Judge TEST-1 by the outcome of a test. A test that fails because of a rule is no finding of its own."""
        self._begin(name)
        rule = own_rules.OWN_TESTS
        if passed or failed:
            self.run.observer.judged(rule)
        if not failed or self._failed:
            return
        self._failed = True
        message = self.run.secret_registry.mask(text)[:MAX_MESSAGE_CHARACTERS]
        self.run.observer.found(
            Finding(rule, None, name, f"{name} fails", "the test passes", message, self.last)
        )

    def end_test(self) -> None:
        """Publish what the running test found."""
        context, self._context = self._context, None
        if context is None:
            return
        for event in context.skips:
            self.emit(event)
        self.run.confirmation.publish(self.run.observer.take())
        self.run.observer.settle()

    def close(self) -> None:
        """Remove what the tests created, sign out, and end the events."""
        self.end_test()
        try:
            self.run.client.ownership = self.run.ownership
            self.suite_run.finish()
            self.suite_run.end()
        except OutOfTimeError:
            pass
        finally:
            self.harness.close()
            self._file.close()
