"""The runner: what the tests of one run share, and how each of them is run, repeated and confirmed."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from conformance.cases.recording import Recorder
from conformance.catalog.model import Catalog
from conformance.engine.conclusion import Conclusion, Options
from conformance.engine.confirmation import Confirmation
from conformance.engine.context import TestContext
from conformance.engine.coverage import Coverage
from conformance.engine.ledger import Ledger
from conformance.engine.not_judged import NotJudgedError, TargetDownError, TimeOverError
from conformance.engine.observer import RuleObserver
from conformance.engine.payload_budget import PayloadBudget
from conformance.engine.preconditions import Preconditions
from conformance.engine.recovery import MAX_RESETS, MAX_SILENCES, Recovery
from conformance.engine.reset_detection import Environment
from conformance.engine.runnable import Runnable
from conformance.events import ErrorEvent, Event, NoteEvent, NotJudgedEvent, TestEvent
from conformance.generation.catalog_review import summary
from conformance.protocol.caller import Caller
from conformance.protocol.client import Client, OutOfTimeError
from conformance.protocol.exchange import Exchange
from conformance.protocol.network import UnsendableError
from conformance.protocol.ownership import UnownedTargetError
from conformance.protocol.profile import Profile
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.resources.clean_up import CleanUp
from conformance.resources.registry import Resources
from conformance.resources.shown_values import learn_values
from conformance.rulebook import RULES
from conformance.rulebook.findings import Key

__all__ = ["Run"]

#: Seconds for the clean-up, after the run's own deadline, too.
MAX_CLEAN_UP_SECONDS = 60.0
#: The share of that time that pauses (`Retry-After`) may take: an object that stays is worse than a long wait.
CLEAN_UP_PAUSE_SHARE = 0.9
#: Functions that a note names.
MAX_NAMED_FUNCTIONS = 8
#: Rules that the note about calls that were not sent names, those with the most calls first.
MAX_NAMED_RULES = 5

#: Why a call is not sent.
UNOWNED = "a lax target could have acted on an object that the run did not make"


# One class, though it is long: it is what the parts of a run know each other by.
class Run:
    """One run of the suites against one target: everything that its tests share."""

    # One function, though it is long: the parts of a run, each with what it is for.
    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        options: Options,
        emit: Callable[[Event], None],
        *,
        client: Client | None = None,
        confirm: bool = True,
    ) -> None:
        """Make a run ready; with `confirm` findings are reproduced before they count."""
        self.profile = profile
        self.catalog = catalog
        self.options = options
        self.emit = emit
        self.started = time.monotonic()
        self.secret_registry = profile.secret_registry()
        self.observer = RuleObserver(emit, options.rules, judging=client is None)
        self.client = client or Client.of(
            profile,
            secret_registry=self.secret_registry,
            observe=self._observe,
            until=self.started + options.deadline,
        )
        if client is not None:
            client.secret_registry, client.observe = self.secret_registry, self._observe
        self.writable = profile.may_write and not options.read_only
        logins = (profile.auth.login, profile.auth.key_login)
        self.caller = Caller(self.client, catalog, [login.function for login in logins if login is not None])
        self.sessions = Sessions(self.caller, profile)
        self.resources = Resources(
            self.caller,
            self.sessions,
            profile,
            catalog,
            tag=f"conform-{options.seed & 0xFFFFFF:06x}",
            rng=random.Random(f"{options.seed}/estate"),
            writable=self.writable,
        )
        self.ledger = Ledger(self)
        self.clean_up = CleanUp(self.resources, self.ledger.leftover)
        self.client.ownership = self.ownership = self.resources.ownership
        self.recorder = Recorder(
            profile, catalog, self.caller, self.sessions, self.resources, self.secret_registry
        )
        self.environment = Environment(self.caller, self.sessions, self.resources, catalog)
        self.preconditions = Preconditions(self)
        self.recovery = Recovery(self)
        self.confirmation = Confirmation(self, enabled=confirm)
        #: Functions that generated payloads are tried on before the others.
        self.first: frozenset[str] = frozenset()
        self.payload_budget = PayloadBudget(options.budget, options.generate_for)
        self.coverage = Coverage()
        #: What turns symbols in generated data into identifiers, by function.
        self.resolvers: dict[str, Any] = {}
        #: Weights of functions where calls are shared out, by the weight function and the function's name.
        self.weights: dict[Callable[[Any], float], dict[str, float]] = {}
        #: What showed a finding, by test, so that confirming it needs no search.
        self.remembered: dict[tuple[str, Key], list[Any]] = {}
        #: By rule and function: calls that were not sent (`conformance.protocol.ownership`).
        self.withheld: Counter[tuple[str, str | None]] = Counter()
        #: Notes for the report.
        self.notes: list[str] = []
        #: An endpoint that the target was seen to have; empty if none was found, None if none was looked for.
        self.guessed: str | None = None
        self._prepared = False

    @property
    def seconds(self) -> float:
        """Return how many seconds the run has taken so far."""
        return round(time.monotonic() - self.started, 3)

    def _observe(self, exchange: Exchange) -> None:
        self.sessions.learn(exchange)
        self.recorder.learn_session(exchange)
        self.ledger.observe(exchange)
        self.preconditions.observe(exchange)
        self.observer.observe(exchange)

    # -- running a test ----------------------------------------------------------------------------------------

    def run_test(self, test: Runnable) -> Conclusion:
        """Run a test: repeat it if the environment disturbed it, confirm and publish what it found.

        Raises:
            TargetDownError: the target stopped answering and did not come back.
            OutOfTimeError: the deadline of the run has passed.

        """
        if self.recovery.down is not None:
            raise TargetDownError(self.recovery.down)
        self._prepare()
        self.emit(TestEvent(test.name))
        conclusion = self._run_undisturbed(test)
        self._withdraw_what_does_not_work(conclusion)
        for event in conclusion.events:
            self.emit(event)
        self.recovery.count_unanswered()
        if self.recovery.never_answered:
            # A target that never gave a readable answer broke no rule about answers: it cannot be judged yet.
            self.confirmation.publish(self.observer.discard())
            self.observer.begin(test.name)
            for rule in test.rules:
                self.emit(NotJudgedEvent(rule, reason=self.recovery.no_answer))
        found = self.observer.take()
        self.observer.settle()
        self.confirmation.publish(found)
        self.confirmation.confirm(test, found)
        if test.disturbs_sessions:
            self.recovery.drop_ended_sessions()
        if any(RULES[rule].check is None for rule, _, _ in found):
            # What broke a rule may have corrupted the objects it was tried on: the next test gets new ones.
            self.resources.renew()
        conclusion.findings = list(found.values())
        return conclusion

    def _run_undisturbed(self, test: Runnable) -> Conclusion:
        """Make attempts of a test until the environment disturbs none, or disturbed too many."""
        recovery = self.recovery
        resets, silences = recovery.resets, recovery.silences
        #: The findings of an attempt that was repeated because an answer in it said nothing.
        repeated: set[Key] | None = None
        while True:
            mark = self.payload_budget.mark()
            conclusion = self.attempt(test)
            if not self._is_dubious(conclusion):
                break
            try:
                again = recovery.must_repeat(test, conclusion)
            except OutOfTimeError:
                self.discard(keep_undisturbed=True)
                raise
            if not again:
                own = self._own_findings()
                if repeated is not None or not self.preconditions.repeat(
                    found=bool(own), stuck=conclusion.stuck
                ):
                    break
                repeated = own
            self.payload_budget.rewind(mark)
            self.discard()
            times = recovery.resets - resets, recovery.silences - silences
            if again and (times[0] > MAX_RESETS or times[1] > MAX_SILENCES):
                conclusion = _too_unstable(test, *times)
                break
        if repeated is not None and self.preconditions.hindered:
            # A finding of one attempt alone may come from what hindered both.
            self.observer.withdraw(self._own_findings() - repeated)
        return conclusion

    def _is_dubious(self, conclusion: Conclusion) -> bool:
        """Return whether the environment may have disturbed the attempt that ended."""
        stopped = conclusion.crashed or (conclusion.not_judged and not conclusion.late)
        return bool(
            self.observer.take()
            or stopped
            or self.preconditions.excused
            or self.observer.refused
            or self.observer.unreached
        )

    def _own_findings(self) -> set[Key]:
        """Return the keys of what the attempt's test found itself, without the rules of single exchanges."""
        return {key for key in self.observer.take() if RULES[key[0]].check is None}

    def discard(self, *, keep_undisturbed: bool = False) -> None:
        """Drop what the attempt's test found, and publish the rest: the findings of single exchanges.

        With `keep_undisturbed` the test's findings from before the first call without an answer are published, too.
        """
        self.confirmation.publish(self.observer.discard(keep_undisturbed=keep_undisturbed))
        self.observer.settle()

    def _withdraw_what_does_not_work(self, conclusion: Conclusion) -> None:
        """Withdraw findings that come from a function which does not work at all, and report them as not judged."""
        if not self.observer.judging:
            return
        reasons = self.preconditions.withdrawn(self.observer.take())
        self.observer.withdraw(set(reasons))
        for (rule, function, _), reason in reasons.items():
            event = NotJudgedEvent(rule, function, self.secret_registry.mask(reason))
            if event not in conclusion.events:
                conclusion.events.append(event)

    def _prepare(self) -> None:
        """Before the first test: wait for the target, sign the users in, and create the sentinel resources."""
        if self._prepared:
            return
        self._prepared = True
        self.observer.begin("set-up")
        if not self.environment.await_target(min(5.0, self.profile.target.timeout)):
            raise self.recovery.went_down("does not")
        if self.profile.users and self.profile.auth.login:
            for user in self.profile.users:
                try:
                    self.sessions.of(user)
                except SetUpFailedError as error:
                    self.notes.append(error.reason)
            if self.writable:
                self.clean_up.take_inventory()
        learn_values(self.resources)
        if self.profile.users and self.profile.auth.login:
            try:
                self.environment.prepare()
            except SetUpFailedError as error:
                self.notes.append(error.reason)
        self.confirmation.publish(self.observer.take())
        self.observer.settle()

    def attempt(self, test: Runnable, only: frozenset[Key] | None = None) -> Conclusion:
        """Make one attempt of a test; with `only` to reproduce those findings."""
        self.observer.begin(test.name, test.rules)
        self.preconditions.begin()
        self.resources.rng = random.Random(f"{self.options.seed}/{test.name}/data")
        ctx = TestContext(self, test.name, test.rules, only)
        conclusion = Conclusion(events=ctx.skips)
        try:
            test.body(ctx)
        except NotJudgedError as error:
            conclusion.not_judged, conclusion.late = error.reason, isinstance(error, TimeOverError)
            for rule in test.rules:
                ctx.skip(rule, error.reason, error.lines)
        except UnsendableError as error:
            conclusion.not_judged = str(error)
            for rule in test.rules:
                ctx.skip(rule, str(error))
        except SetUpFailedError as error:
            conclusion.not_judged, conclusion.stuck = error.reason, error.exchange
            for rule in test.rules:
                ctx.skip(rule, error.reason)
        except (OutOfTimeError, TargetDownError, KeyboardInterrupt):
            self.confirmation.publish(self.observer.take())
            self.observer.settle()
            raise
        except Exception as error:
            if isinstance(error, UnownedTargetError) and not self.ownership.strict:
                conclusion.not_judged = str(error)
                for rule in test.rules:
                    ctx.skip(rule, str(error))
            else:
                # An exception of the suite is an error of the suite, never a finding.
                conclusion.crashed = f"{type(error).__name__}: {error}"
                conclusion.events.append(self._crash_event(test, conclusion.crashed))
        return conclusion

    def _crash_event(self, test: Runnable, crash: str) -> ErrorEvent:
        mask = self.secret_registry.mask
        return ErrorEvent(
            test.rules[0] if len(test.rules) == 1 else None,
            mask(f"the suite itself failed in {test.name}: {crash}"),
            ours=True,
            trace=mask(traceback.format_exc()),
        )

    # -- the end of a run --------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Remove what the run created and log out; report what stays, and the notes.

        That takes at most a minute, or two where the target asked to be called later.
        """
        self.recovery.end()
        why = self.recovery.down
        if why is None:
            minutes = 2 if self.client.throttle.pauses else 1
            self.client.until = time.monotonic() + minutes * MAX_CLEAN_UP_SECONDS
            self.client.throttle.reset_pause_budget(CLEAN_UP_PAUSE_SHARE)
            self.observer.begin("clean-up")
            try:
                self.clean_up.run(verify=not self.client.simulated)
                self.sessions.end_all()
            except (OutOfTimeError, SetUpFailedError) as error:
                why = str(error) or "the clean-up took too long"
            self.discard()
        if why is not None:
            for resource in self.resources.owned():
                self.ledger.leftover(resource, why)
        self.recovery.report()
        self._report_pauses()
        self.notes += summary(self.catalog)
        self._report_coverage()
        self._report_withheld()
        for note in dict.fromkeys(self.notes):
            self.emit(NoteEvent(self.secret_registry.mask(note)))
        self.client.close()

    def count_withheld(self, rule: str, function: str | None) -> None:
        """Count a call that a rule would have been tested by, and that was not sent."""
        if rule in self.observer.wanted:
            self.withheld[rule, function] += 1

    def _report_withheld(self) -> None:
        """Report, for each rule and function, the calls that were not sent, and name the rules in the note."""
        note = self.ownership.note()
        if note is None:
            return
        for (rule, function), count in self.withheld.items():
            calls = "1 call was" if count == 1 else f"{count} calls were"
            self.emit(NotJudgedEvent(rule, function, f"{calls} not sent: {UNOWNED}"))
        by_rule = Counter[str]()
        for (rule, _), count in self.withheld.items():
            by_rule[rule] += count
        named = by_rule.most_common(MAX_NAMED_RULES)
        rules = ", ".join(f"{rule} ({count})" for rule, count in named)
        if len(by_rule) > len(named):
            rules += f" and {len(by_rule) - len(named)} more"
        # The functions stand in each rule's `left_out`.
        self.notes.append(
            f"{note.partition(': ')[0]}; rules that lack some of them: {rules}" if rules else note
        )

    def _report_pauses(self) -> None:
        throttle = self.client.throttle
        if throttle.pauses:
            times = "once" if throttle.pauses == 1 else f"{throttle.pauses} times"
            self.notes.append(
                f"the target asked {times} to be called later (Retry-After): the run waited "
                f"{throttle.paused_seconds:.0f} s; --rate-limit bounds its requests per second"
            )

    def _report_coverage(self) -> None:
        event = self.coverage.event()
        if event is None:
            return
        self.emit(event)
        refused = self.coverage.never_accepted()
        if refused:
            more = len(refused) - MAX_NAMED_FUNCTIONS
            names = ", ".join(refused[:MAX_NAMED_FUNCTIONS]) + (f" and {more} more" if more > 0 else "")
            self.notes.append(
                f"no valid data was ever accepted by {names}: what is said of their data rests on refusals"
            )
        if self.payload_budget.late and self.payload_budget.requests is not None:
            self.notes.append(
                f"some generated payloads were not sent: their {self.payload_budget.seconds:.3g} s were over"
            )


def _too_unstable(test: Runnable, resets: int, silences: int) -> Conclusion:
    """Return the conclusion of a test during which the target was reset or silent too often."""
    times = [f"was reset {resets} times"] * (resets > 0)
    times += [f"fell silent {silences} times"] * (silences > 0)
    message = f"the target {' and '.join(times)} during {test.name}"
    conclusion = Conclusion(not_judged="the target is too unstable to judge")
    conclusion.events += [ErrorEvent(rule, message) for rule in test.rules]
    return conclusion
