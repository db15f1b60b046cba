"""One run of the suites against one target: what is at hand, how a conversation is held, when a finding counts."""

from __future__ import annotations

import json
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from conformance.cases.format import Case, CaseError
from conformance.cases.recording import Recorder
from conformance.catalog.model import DOCUMENTED, Catalog, Method
from conformance.engine.observer import RuleObserver, described
from conformance.engine.payload_budget import BudgetSlice, Coverage, PayloadBudget, held_for
from conformance.engine.preconditions import Preconditions
from conformance.engine.reset_detection import SAME_AGE, Diagnosis, Environment
from conformance.generation.catalog_review import summary
from conformance.generation.samples import Optional
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.client import Client, OutOfTimeError
from conformance.protocol.exchange import Exchange, Failure
from conformance.protocol.ownership import UnownedTargetError
from conformance.protocol.profile import Profile
from conformance.protocol.session import Session, Sessions, SetUpFailedError
from conformance.resources.clean_up import CleanUp
from conformance.resources.registry import Resource, Resources
from conformance.rulebook import RULES
from conformance.rulebook.codes import DOCUMENTED as STATUSES
from conformance.rulebook.findings import Finding, Key
from conformance.schema.pointer import resolve

__all__ = [
    "FURTHER",
    "Conclusion",
    "NotJudgedError",
    "Options",
    "Run",
    "TargetDownError",
    "TestContext",
    "TimeOverError",
    "as_answered",
]

T = TypeVar("T")
R = TypeVar("R")

#: How often a conversation is begun again because of resets, and because the target was not there or left a call
#: without an answer that it answers when it is sent again, before the target counts as too unstable to judge.
_MOST_RESETS = 8
_MOST_SILENCES = 4
#: A test is begun again so often at most because sessions ended by their age.
_MOST_EXPIRIES = 3
#: Sessions that live so long keep AUT-3.
MIN_SESSION_SECONDS = 60
#: Calls that may be answered only at the second time, in all and of all, before a run has nothing to rely on.
_MOST_WAVERING, _WAVERING_SHARE = 4, 0.001

#: After so many conversations in a row without a single answer to any call there will be none any more.
_MOST_UNANSWERED = 8

#: So many seconds the clean-up may take, after the run's own deadline, too.
_CLEAN_UP = 60.0

#: A finding is confirmed in so many attempts, and of one rule so many findings are.
_ATTEMPTS = 3
_CONFIRMED_PER_RULE = 3

#: Ends the name of a conversation that is held a second time, for as long as there is time for generated payloads.
FURTHER = " (further)"

#: Statuses that are documented for an answer to a call (5xx is COD-8's, and no answer), and for a refusal.
ANSWERED = STATUSES - {500}
REFUSED = ANSWERED - {200}

LINES = {
    "catalog": '[target]\ncatalog = "catalogue.openrpc.json"',
    "login": '[auth]\nlogin = { function = "auth.login", user = "identity", secret = "credential" }',
    "logout": '[auth]\nlogout = "auth.logout"',
    "whoami": '[auth]\nwhoami = { function = "auth.status", field = "/user/email" }',
    "key": "[auth]\n"
    'key_login = { function = "auth.loginHmac", public = "${COURSIO_KEY}", private = "${COURSIO_SECRET}" }',
    "user": '[users.owner]\nuser = "owner@example.com"\nsecret = "${COURSIO_OWNER_SECRET}"\nroles = ["user"]',
    "peer": '[users.peer]\nuser = "peer@example.com"\nsecret = "${COURSIO_PEER_SECRET}"\nroles = ["user"]',
    "test": '[target]\nenvironment = "test"',
}


class NotJudgedError(Exception):
    """A rule cannot be judged here: the reason, and the lines that would have to be added to conform.toml."""

    def __init__(self, reason: str, lines: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lines = lines


class TimeOverError(NotJudgedError):
    """A rule is not judged here for want of time, which is nobody's doing and casts no doubt on the target."""


class TargetDownError(Exception):
    """The target does not answer any more; nothing further can be said."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run was asked for."""

    seed: int = 0
    budget: str = "standard"
    read_only: bool = False
    jobs: int = 1
    rules: frozenset[str] = frozenset(RULES)
    deadline: float = 1800.0
    strict: bool = False
    #: Seconds for generated payloads, where the budget is not to decide (`--for`).
    generate_for: float | None = None
    #: Cases to play before anything else (`--cases`).
    cases: tuple[Case, ...] = ()


@dataclass(slots=True)
class Conclusion:
    """How a conversation ended: what was found, or why nothing could be judged."""

    findings: list[Finding] = field(default_factory=list)
    not_judged: str | None = None
    crashed: str | None = None
    #: Whether that is for want of time alone.
    late: bool = False
    #: What could not be done to prepare, where that is why nothing could be judged.
    stuck: Exchange | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


Body = Callable[["TestContext"], None]


class Run:
    """Everything that the conversations of one run share."""

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        options: Options,
        emit: Callable[[dict[str, Any]], None],
        *,
        client: Client | None = None,
        confirm: bool = True,
    ) -> None:
        """Make a run ready; with `confirm` what is found is tried again before it counts."""
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
        auth = profile.auth
        openers = (auth.login, auth.key_login)
        self.caller = Caller(
            self.client, catalog, [opener.function for opener in openers if opener is not None]
        )
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
        self.clean_up = CleanUp(self.resources, self._leftover)
        self.client.ownership = self.ownership = self.resources.ownership
        self.recorder = Recorder(
            profile, catalog, self.caller, self.sessions, self.resources, self.secret_registry
        )
        self.environment = Environment(self.caller, self.sessions, self.resources, catalog)
        self.preconditions = Preconditions(self)
        #: Functions that generated payloads are tried on before the others.
        self.first: frozenset[str] = frozenset()
        self.payload_budget = PayloadBudget(
            options.budget, options.generate_for, held=held_for(options.rules)
        )
        self.coverage = Coverage()
        #: What turns symbols in generated data into identifiers, by function.
        self.resolvers: dict[str, Any] = {}
        #: What a function counts for where calls are shared out, by what it is weighed with, and its name.
        self.weights: dict[Callable[[Any], float], dict[str, float]] = {}
        #: What showed a finding, by conversation, so that confirming it needs no search.
        self.remembered: dict[tuple[str, Key], list[Any]] = {}
        self.resets = 0
        #: How often the target fell silent, and answered again.
        self.silences = 0
        #: Conversations in a row without an answer, and whether one ever had one.
        self._unanswered = 0
        self._flaky: Counter[tuple[str, str]] = Counter()
        self._ever = False
        self._silence: Failure | None = None
        self._confirming = confirm
        self.notes: list[str] = []
        self._confirmed: Counter[str] = Counter()
        self._lost_told: set[str] = set()
        #: Whether a short life of sessions was looked into, whether it was reported, and how often one ended by age.
        self._age_tried = self._age_told = False
        self._expired = 0
        self._expiries: Counter[str] = Counter()
        self._rules: Sequence[str] = ()
        self._prepared = False
        self.down: str | None = None
        self.guessed: str | None = None

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return round(time.monotonic() - self.started, 3)

    @property
    def _patience(self) -> float:
        """For how many seconds a target that answered before is waited for."""
        return min(10.0, max(5.0, 2 * self.profile.target.timeout))

    # -- watching ----------------------------------------------------------------------------------------------

    def _observe(self, exchange: Exchange) -> None:
        self.sessions.learn(exchange)
        self.recorder.signed(exchange)
        method = self.catalog.methods.get(exchange.function or "")
        if method is not None and method.object is not None and exchange.succeeded:
            self._account(exchange, method)
            self._note_identifiers(exchange, method)
        elif method is not None and exchange.failure is not None:
            self.clean_up.created(exchange, method, identified=False)
        self.preconditions.observe(exchange)
        self.observer.observe(exchange)

    def _account(self, exchange: Exchange, method: Method) -> None:
        """Keep the ledger: whatever created or deleted an object, and whatever it was sent for."""
        assert method.object is not None
        if method.object.does == "create":
            sent = _sent_data(exchange)
            resource = self.resources.learn(exchange, method, sent, exchange.user)
            message = self.clean_up.created(exchange, method, identified=resource is not None)
            if message is not None:
                self.emit({"event": "note", "message": self.secret_registry.mask(message)})
            if resource is not None:
                self.recorder.born(exchange, method, resource.id, resource.user, sent)
        elif method.object.does == "delete":
            kind, sent = method.object.kind, _sent_data(exchange)
            gone = [sent[method.object.id]] if isinstance(sent, dict) and method.object.id in sent else []
            if sent is None:
                # A body that cannot be read here was read there: whatever it names may be gone.
                named = {resource.id for resource in self.resources.owned() if resource.kind == kind}
                gone = [name for name in named if json.dumps(name).encode() in exchange.request.body]
            for identifier in gone:
                self.resources.forget(kind, identifier)
                self.recorder.died(exchange, kind, identifier)

    def _note_identifiers(self, exchange: Exchange, method: Method) -> None:
        """Note which identifiers a list or a reading shows to exist."""
        assert method.object is not None
        kind = method.object.kind
        if method.object.does == "list":
            for row in self.resources.rows(method, exchange):
                self.ownership.seen(kind, resolve(row, method.object.id))
        elif method.object.does == "read":
            sent = _sent_data(exchange)
            if isinstance(sent, dict):
                self.ownership.seen(kind, sent.get(method.object.id))

    def _leftover(self, resource: Resource, why: str) -> None:
        self.emit(
            {
                "event": "leftover",
                "kind": resource.kind,
                "id": str(resource.id),
                "function": None,
                "reason": self.secret_registry.mask(why),
            }
        )

    # -- holding a conversation --------------------------------------------------------------------------------

    def run_test(self, name: str, rules: Sequence[str], body: Body, *, disturbs: bool = False) -> Conclusion:
        """Hold a conversation: judge, notice a reset and begin again, confirm what was found.

        `disturbs` says that the conversation itself ends sessions, so that lost ones afterwards say nothing.

        Raises:
            TargetDownError: the target stopped answering and did not come back.
            OutOfTimeError: the deadline of the run has passed.

        """
        if self.down is not None:
            raise TargetDownError(self.down)
        self._prepare()
        self._rules = rules
        self.emit({"event": "conversation", "name": name})
        resets, silences = self.resets, self.silences
        repeated: set[Key] | None = None
        while True:
            mark = self.payload_budget.mark()
            conclusion = self._attempt(name, rules, body)
            stopped = conclusion.crashed or (conclusion.not_judged and not conclusion.late)
            dubious = bool(self.observer.take() or stopped or self.preconditions.excused)
            if not (dubious or self.observer.refused or self.observer.unreached):
                break
            try:
                again = self._again(name, conclusion, disturbs)
            except OutOfTimeError:
                self._publish(self.observer.discard(keep_undisturbed=True))
                self.observer.settle()
                raise
            if not again:
                own = self._own_findings()
                if repeated is None and self.preconditions.repeat(found=bool(own), stuck=conclusion.stuck):
                    repeated = own
                    self.payload_budget.rewind(mark)
                    self._publish(self.observer.discard())
                    self.observer.settle()
                    continue
                break
            self.payload_budget.rewind(mark)
            self._publish(self.observer.discard())
            self.observer.settle()
            if self.resets - resets <= _MOST_RESETS and self.silences - silences <= _MOST_SILENCES:
                continue
            told = [f"was reset {self.resets - resets} times"] * (self.resets > resets)
            told += [f"fell silent {self.silences - silences} times"] * (self.silences > silences)
            message = f"the target {' and '.join(told)} during {name}"
            conclusion = Conclusion(not_judged="the target is too unstable to judge")
            conclusion.events += [{"event": "error", "rule": rule, "message": message} for rule in rules]
            break
        if repeated is not None and self.preconditions.hindered:
            # What came of one attempt alone may have come of what hindered both.
            self.observer.withdraw(self._own_findings() - repeated)
        self._withdraw_what_does_not_work(conclusion)
        for event in conclusion.events:
            self.emit(event)
        self._count_unanswered()
        if self._unanswered and not self._ever:
            # Who never gave an answer that can be read broke no rule about answers: nothing can be said of them yet.
            self._publish(self.observer.discard())
            self.observer.begin(name)
            why = f"no call was answered: {self._silence.detail}" if self._silence else "no call was answered"
            for rule in rules:
                self.emit(
                    {"event": "not judged", "rule": rule, "function": None, "reason": why, "lines": None}
                )
        found = self.observer.take()
        self.observer.settle()
        self._publish(found)
        fresh = {
            key: finding
            for key, finding in found.items()
            if key not in self.observer.confirmed and self._confirmed[key[0]] < _CONFIRMED_PER_RULE
        }
        if fresh and self._confirming:
            mark = self.payload_budget.mark()
            self._confirm(name, rules, body, fresh)
            self.payload_budget.rewind(mark)
        if disturbs:
            self._recover()
        if any(RULES[rule].check is None for rule, _, _ in found):
            # What broke a rule may have spoiled what it was tried on: the next test starts from data of its own.
            self.resources.renew()
        conclusion.findings = list(found.values())
        return conclusion

    def _own_findings(self) -> set[Key]:
        """Return the keys of what the attempt's test found by itself, beside the rules of single exchanges."""
        return {key for key in self.observer.take() if RULES[key[0]].check is None}

    def _withdraw_what_does_not_work(self, conclusion: Conclusion) -> None:
        """Withdraw findings that come of a function which does not work at all; say that they are not judged."""
        if not self.observer.judging:
            return
        reasons = self.preconditions.withdrawn(self.observer.take())
        self.observer.withdraw(set(reasons))
        for (rule, function, _), reason in reasons.items():
            event = {
                "event": "not judged",
                "rule": rule,
                "function": function,
                "reason": self.secret_registry.mask(reason),
                "lines": None,
            }
            if event not in conclusion.events:
                conclusion.events.append(event)

    def _prepare(self) -> None:
        """Before the first conversation: is the target there, and a marker object to know a reset by."""
        if self._prepared:
            return
        self._prepared = True
        self.observer.begin("set-up")
        if not self.environment.await_target(min(5.0, self.profile.target.timeout)):
            raise self._went_down("does not")
        if self.profile.users and self.profile.auth.login:
            for user in self.profile.users:
                try:
                    self.sessions.of(user)
                except SetUpFailedError as error:
                    self.notes.append(error.reason)
            if self.writable:
                self.clean_up.take_inventory()
            try:
                self.environment.prepare()
            except SetUpFailedError as error:
                self.notes.append(error.reason)
        self._publish(self.observer.take())
        self.observer.settle()

    def _attempt(
        self, name: str, rules: Sequence[str], body: Body, only: frozenset[Key] | None = None
    ) -> Conclusion:
        """Hold a conversation once; with `only` to see those findings again."""
        self.observer.begin(name)
        self.preconditions.begin()
        self.resources.rng = random.Random(f"{self.options.seed}/{name}/data")
        ctx = TestContext(self, name, rules, only)
        conclusion = Conclusion(events=ctx.skips)
        try:
            body(ctx)
        except NotJudgedError as error:
            conclusion.not_judged, conclusion.late = error.reason, isinstance(error, TimeOverError)
            for rule in rules:
                ctx.skip(rule, error.reason, error.lines)
        except SetUpFailedError as error:
            conclusion.not_judged, conclusion.stuck = error.reason, error.exchange
            for rule in rules:
                ctx.skip(rule, error.reason)
        except (OutOfTimeError, TargetDownError, KeyboardInterrupt):
            self._publish(self.observer.take())
            self.observer.settle()
            raise
        except Exception as error:
            if isinstance(error, UnownedTargetError) and not self.ownership.strict:
                conclusion.not_judged = str(error)
                for rule in rules:
                    ctx.skip(rule, str(error))
                return conclusion
            # A crash of ours is an error of ours, never their failure.
            conclusion.crashed = f"{type(error).__name__}: {error}"
            event = {
                "event": "error",
                "rule": rules[0] if len(rules) == 1 else None,
                "ours": True,
                "message": self.secret_registry.mask(
                    f"the suite itself failed in {name}: {conclusion.crashed}"
                ),
                "trace": self.secret_registry.mask(traceback.format_exc()),
            }
            conclusion.events.append(event)
        return conclusion

    def _again(self, name: str, conclusion: Conclusion, disturbs: bool) -> bool:
        """After a dubious attempt: say whether the environment was to blame, so that it has to be held again.

        Raises:
            TargetDownError: the target stopped answering and did not come back.

        """
        if self.observer.silent and not self.environment.await_target(self._patience):
            self._publish(self.observer.discard(keep_undisturbed=True))
            self.observer.settle()
            raise self._went_down("stopped")
        if self.observer.silent and self._passing(conclusion):
            self.silences += 1
            # Whoever starts anew may have forgotten the sessions, the data, or both.
            found = self.environment.diagnose() if self.sessions.mains() else None
            if found is not None and found.state == "reset":
                self._reset()
            elif found is not None and found.state == "marker lost":
                self.environment.create_sentinel()
            elif found is not None:
                for user in found.users:
                    self.sessions.drop(user)
            return True
        if not self.sessions.mains():
            return False
        diagnosis = self.environment.diagnose()
        if diagnosis.state in ("sessions lost", "marker lost"):
            # A reset in the middle of the diagnosis looks like half of one.
            diagnosis = self.environment.diagnose()
        if diagnosis.state == "reset":
            self._reset()
            return True
        if diagnosis.state == "marker lost":
            self.environment.create_sentinel()
            return False
        if diagnosis.state == "sessions lost":
            for user in diagnosis.users:
                self.sessions.drop(user)
            if not disturbs:
                self.preconditions.session_lost()
            return self._lost(name, conclusion, diagnosis, disturbs)
        return self._outlived() and self._expire(name, conclusion)

    def _outlived(self) -> bool:
        """Say whether a finding rests on a session that had reached the age at which the target ends them."""
        lifetime = self.environment.lifetime
        for finding in self.observer.take().values() if lifetime is not None else ():
            exchange = finding.exchange
            token = exchange.request.header("Token") if exchange is not None else None
            session = self.sessions.known(token) if token is not None else None
            if (
                exchange is not None
                and exchange.status == 401
                and session is not None
                and lifetime is not None
            ) and session.age >= lifetime * SAME_AGE:
                return True
        return False

    def _expire(self, name: str, conclusion: Conclusion) -> bool:
        """Count an attempt that was cut short by the age of sessions; say whether there is to be another one."""
        self._expired += 1
        self._expiries[name] += 1
        if self._expiries[name] <= _MOST_EXPIRIES:
            return True
        self.observer.discard()
        conclusion.not_judged = "the target ends sessions by their age before this is done"
        conclusion.events += [
            {
                "event": "not judged",
                "rule": rule,
                "function": None,
                "reason": conclusion.not_judged,
                "lines": None,
            }
            for rule in self._rules
        ]
        return False

    def _lost(self, name: str, conclusion: Conclusion, diagnosis: Diagnosis, disturbs: bool) -> bool:
        """Report sessions that ended by themselves, once; say whether the attempt has to be made again."""
        if disturbs:
            return False
        ages = [session.age for session in diagnosis.sessions]
        by_age = self._by_age(diagnosis)
        if by_age:
            again = self._expire(name, conclusion)
            if min(ages) >= MIN_SESSION_SECONDS or self._age_told:
                return again
            self._age_told = True
        elif self._lost_told.issuperset(diagnosis.users):
            return False
        self._lost_told.update(diagnosis.users)
        exchange = diagnosis.exchange
        about = f" {min(ages):.0f} s after it was begun" if ages else ""
        told = Finding(
            "AUT-3",
            exchange.function if exchange else None,
            "a session ended by itself",
            RULES["AUT-3"].title,
            f"the session keeps working for {MIN_SESSION_SECONDS} s or more"
            if by_age
            else "the session keeps working: nobody ended it",
            f"it is refused{about} ({exchange.summary() if exchange else 'no answer'}), during {name}"
            + (": sessions end at this age, called or not" if by_age else ""),
            exchange,
        )
        self.observer.judged("AUT-3")
        if told.rule in self.options.rules:
            self._publish({told.key: told})
        return again if by_age else True

    def _by_age(self, diagnosis: Diagnosis) -> bool:
        """Say whether sessions ended by their age; where they grew old enough to, nobody has to find out."""
        if not diagnosis.sessions:
            return False
        oldest = max(diagnosis.sessions, key=lambda session: session.age)
        if oldest.age >= MIN_SESSION_SECONDS:
            return True
        if self.environment.lifetime is None and self._age_tried:
            return False
        self._age_tried = True
        return self.environment.ended_by_age(oldest, oldest.age, self.client.until) is True

    def _count_unanswered(self) -> None:
        """Take note of whether anything was answered in the attempt that ended.

        Raises:
            TargetDownError: nothing was, in too many of them in a row.

        """
        if self.observer.answered:
            self._unanswered, self._ever = 0, True
        elif self.observer.last_failure is not None:
            self._unanswered += 1
            self._silence = self.environment.silence = self.observer.last_failure
            if self._unanswered >= _MOST_UNANSWERED:
                self._publish(self.observer.discard(keep_undisturbed=True))
                self.observer.settle()
                raise self._went_down("stopped" if self._ever else "does not")

    def _passing(self, conclusion: Conclusion) -> bool:
        """Say whether the target's silence passed: it was not there for a while, or answers now what it did not."""
        if self.observer.unreached:
            return True
        unanswered = [
            finding.exchange
            for finding in self.observer.take().values()
            if RULES[finding.rule].check is None and finding.exchange and finding.exchange.failure
        ]
        if conclusion.stuck is not None and conclusion.stuck.failure:
            unanswered.append(conclusion.stuck)
        # Each is a call that was never answered: a few tell.
        again = [self._resend(exchange) for exchange in unanswered[:3]]
        return bool(again) and all(each is not None and each.failure is None for each in again)

    def renewed(self) -> bool:
        """Look whether the target was reset in the middle of a conversation; if it was, start over for what follows."""
        if not self.sessions.mains() or self.environment.diagnose().state == "steady":
            return False
        if self.environment.diagnose().state != "reset":
            return False
        self._reset()
        self.observer.refused = 0
        return True

    def _reset(self) -> None:
        """Start over after a reset of the test environment."""
        self.resets += 1
        self.emit({"event": "reset", "at": self.seconds})
        self.environment.renew()

    def _publish(self, findings: dict[Key, Finding]) -> None:
        for key, finding in findings.items():
            self.observer.every.setdefault(key, finding)
            reproduced = self.observer.confirmed.get(key)
            if reproduced is None and self._confirmed[finding.rule] >= _CONFIRMED_PER_RULE:
                # Enough of this rule's findings were confirmed; of this one it is told that it was seen once.
                reproduced = self.observer.confirmed[key] = "1/1"
            self.emit(finding.event(count=finding.count, reproduced=reproduced))
            self._keep_case(finding)

    def _keep_case(self, finding: Finding) -> None:
        """Tell of the case of a finding; one that cannot be made is no reason to lose the run."""
        try:
            event = self.recorder.event(finding)
        except (CaseError, ValueError, RecursionError) as error:
            self.notes.append(f"no case file for {finding.rule} in {finding.function}: {error}")
            return
        if event is not None:
            self.emit(event)

    def _confirm(self, name: str, rules: Sequence[str], body: Body, fresh: dict[Key, Finding]) -> None:
        """See it again, with fresh sessions and fresh data, and count what comes back.

        What one exchange shows is sent again by itself; the rest, and what does not come back so, needs the whole
        conversation. What does not come back every time is tried once more; it stays a finding, an intermittent one.
        """
        counts: Counter[Key] = Counter(dict.fromkeys(fresh, 1))
        attempts, resets = 1, 0
        while attempts < _ATTEMPTS or (
            attempts == _ATTEMPTS and any(counts[key] < attempts for key in fresh)
        ):
            self.sessions.drop()
            self.observer.begin(name)
            for key, finding in fresh.items():
                if (
                    RULES[finding.rule].check is not None
                    and finding.exchange is not None
                    and key not in self.observer.take()
                ):
                    self._resend(finding.exchange)
            again = set(self.observer.take())
            self.observer.settle()
            if fresh.keys() - again:
                self.resources.renew()
                self._attempt(name, rules, body, frozenset(fresh))
                again |= set(self.observer.take())
            doubtful = resets < _MOST_RESETS and fresh.keys() - again and self.sessions.mains()
            if doubtful and self.environment.diagnose().state == "reset":
                self._reset()
                resets += 1
                continue
            if resets < _MOST_RESETS and fresh.keys() - again and self.observer.unreached:
                # It was not there to show it.
                if not self.environment.await_target(self._patience):
                    raise self._went_down("stopped")
                resets += 1
                continue
            attempts += 1
            counts.update(key for key in again if key in fresh)
        for key, finding in fresh.items():
            self._confirmed[finding.rule] += 1
            self.observer.confirmed[key] = f"{counts[key]}/{attempts}"
            self.emit(finding.event(count=0, reproduced=self.observer.confirmed[key]))
        self.observer.settle()

    def _resend(self, exchange: Exchange) -> Exchange | None:
        """Send a request again, in a fresh session where it was sent in one; None where that cannot be done."""
        if not exchange.request.well_formed:
            return None
        token: str | None = None
        if exchange.in_session and exchange.user is not None:
            try:
                token = self.sessions.of(exchange.user).token
            except SetUpFailedError:
                return None
        return self.client.resend(exchange, token)

    def is_flaky(self, exchange: Exchange) -> bool:
        """Whether a call got no answer that can be read, and gets one when the same bytes are sent again."""
        failure = exchange.failure
        if failure is None or exchange.withheld or not exchange.request.well_formed:
            return False
        if self.client.resend(exchange, None).failure is not None:
            return False
        self._flaky[failure.kind, failure.detail] += 1
        return True

    def _report_flaky_responses(self) -> None:
        """Tell of calls that were answered only when they were sent again; too many leave nothing to rely on."""
        # That a connection was closed is COD-8's to say, and who was not reached was not asked.
        counts = {
            detail: count
            for (kind, detail), count in self._flaky.most_common()
            if kind not in ("closed", "unreachable")
        }
        times = sum(counts.values())
        if not times:
            return
        message = (
            f"the target gave no answer to {times} of {self.client.sent} calls ({next(iter(counts))}), and one when "
            "the same was sent again"
        )
        if times > _MOST_WAVERING and times > self.client.sent * _WAVERING_SHARE:
            self.emit({"event": "error", "rule": None, "message": f"{message}: it is too unstable to judge"})
        else:
            self.notes.append(message)

    def _recover(self) -> None:
        """After a conversation that ends sessions: drop the main sessions that went with them."""
        for session in self.sessions.mains():
            held, _ = self.environment.holds(session)
            if held is False:
                self.sessions.drop(session.user)

    def _went_down(self, since: str) -> TargetDownError:
        """Tell that the target "does not" answer, or "stopped"; and what there was instead of an answer."""
        silence = self.environment.silence
        doing = {"does not": ("answer", "speak HTTP"), "stopped": ("answering", "speaking HTTP")}[since]
        self.down = f"the target {since} {doing[silence is not None and silence.kind == 'garbled']}"
        if silence is not None and silence.kind == "oversize":
            self.down = "the target gives no answer that can be read"
        detail = f" ({self.secret_registry.mask(silence.detail)})" if silence is not None else ""
        self.emit(
            {"event": "error", "rule": None, "message": f"{self.down}{detail}: {self.profile.shown_url}"}
        )
        return TargetDownError(self.down)

    def finish(self) -> None:
        """Remove what the run made and log out, in at most a minute; tell of what stays."""
        if self.down is None and self._unanswered and not self._ever:
            self.environment.silence = self._silence
            self._went_down("does not")
        why = self.down
        if why is None:
            self.client.until = time.monotonic() + _CLEAN_UP
            self.client.throttle.reset_pause_budget()
            self.observer.begin("clean-up")
            try:
                self.clean_up.run()
                self.sessions.end_all()
            except (OutOfTimeError, SetUpFailedError) as error:
                why = str(error) or "the clean-up took too long"
            self._publish(self.observer.discard())
            self.observer.settle()
        if why is not None:
            for resource in self.resources.owned():
                self._leftover(resource, why)
        if self.silences:
            times = "once" if self.silences == 1 else f"{self.silences} times"
            self.notes.append(
                f"the target was not there, or left a call unanswered that it answered later, {times} in all; "
                "what was being judged was judged again"
            )
        if self._expired:
            self.notes.append(
                "the target ends sessions by their age; they were renewed, and what was interrupted was tried again"
            )
        self._report_flaky_responses()
        self._report_pauses()
        self.notes += summary(self.catalog)
        self._report_coverage()
        if (withheld := self.ownership.note()) is not None:
            self.notes.append(withheld)
        for note in dict.fromkeys(self.notes):
            self.emit({"event": "note", "message": self.secret_registry.mask(note)})
        self.client.close()

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
            told = ", ".join(refused[:8]) + (f" and {len(refused) - 8} more" if refused[8:] else "")
            self.notes.append(
                f"no valid data was ever accepted by {told}: what is said of their data rests on refusals"
            )
        if self.payload_budget.late and self.payload_budget.requests is not None:
            self.notes.append(
                f"some generated payloads were not sent: their {self.payload_budget.seconds:.3g} s were over"
            )


class TestContext:
    """One conversation with the target, and the words in which it judges."""

    #: pytest collects no class of this name.
    __test__ = False

    def __init__(self, run: Run, name: str, rules: Sequence[str], only: frozenset[Key] | None = None) -> None:
        self.run = run
        self.name = name
        self.rules = tuple(rules)
        self.rng = random.Random(f"{run.options.seed}/{name}")
        self.profile = run.profile
        self.catalog = run.catalog
        self.resources = run.resources
        self.sessions = run.sessions
        self.caller = run.caller
        self.client = run.client
        self.secret_registry = run.secret_registry
        self.skips: list[dict[str, Any]] = []
        self.subject: str | None = None
        self.only = only
        self.put_to: Any = None
        self.scope: Callable[[Run], Any] | None = None

    # -- budgets -----------------------------------------------------------------------------------------------

    @property
    def quick(self) -> bool:
        """Whether the run is to be short."""
        return self.run.options.budget == "quick"

    @property
    def deep(self) -> bool:
        """Whether the run has all the time it needs."""
        return self.run.options.budget == "deep"

    def budget_slice(self, weight: Callable[[Any], float] | None = None) -> BudgetSlice:
        """Return what this conversation may spend of the share of all generated payloads that its kind has.

        The share is divided among what the conversation is put to, equally or by `weight`.

        Raises:
            TimeOverError: no time is left.

        """
        kind = self.name.removesuffix(FURTHER).partition(".")[2].partition("[")[0]
        found = self.scope(self.run) if self.scope is not None else None
        every = found if isinstance(found, list) and found else [self.put_to]
        part = self._weight(weight, self.put_to) / (sum(self._weight(weight, each) for each in every) or 1.0)
        again = self.only is not None
        payload_budget = self.run.payload_budget
        sweep = payload_budget.sweeps and not self.name.endswith(FURTHER)
        budget_slice = payload_budget.budget_slice(
            kind, part, lambda: self.client.sent, again=again, sweep=sweep
        )
        if budget_slice.over:
            raise TimeOverError("the time for generated payloads was over")
        return budget_slice

    def _weight(self, weight: Callable[[Any], float] | None, each: Any) -> float:
        if weight is None:
            return 1.0
        if not isinstance(each, Method):
            return weight(each)
        known = self.run.weights.setdefault(weight, {})
        if each.name not in known:
            known[each.name] = weight(each)
        return known[each.name]

    def seeks(self, rule: str, kind: str) -> bool:
        """Whether an example that could show this is to be sent: always, but when something else is to be confirmed."""
        kinds = (kind, refused_otherwise(kind))
        return self.only is None or any(key[0] == rule and key[2] in kinds for key in self.only)

    def some(self, items: Iterable[T], quick: int, standard: int | None = None) -> list[T]:
        """Return as many of the items as the budget allows, chosen by the seed, in their own order."""
        every = list(items)
        most = quick if self.quick else standard
        if self.deep or most is None or len(every) <= most:
            return every
        chosen = sorted(self.rng.sample(range(len(every)), most))
        return [every[index] for index in chosen]

    def together(self, calls: Sequence[Callable[[], R]], *, at_once: int | None = None) -> list[R]:
        """Make calls that do not depend on each other, `--jobs` at a time; return the results in order."""
        workers = at_once or self.run.options.jobs
        if workers <= 1 or len(calls) <= 1:
            return [call() for call in calls]
        with ThreadPoolExecutor(max_workers=min(workers, len(calls))) as pool:
            try:
                return [future.result() for future in [pool.submit(call) for call in calls]]
            except BaseException:
                # An interruption, or the end of the run's time: what was not sent yet stays unsent.
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    # -- who ---------------------------------------------------------------------------------------------------

    def need_users(self, count: int = 1) -> list[str]:
        """Return the profile's users; there must be so many, and a way to sign in.

        Raises:
            NotJudgedError: there are not.

        """
        if self.profile.auth.login is None:
            raise NotJudgedError("the profile does not say how to sign in", LINES["login"])
        users = list(self.profile.users)
        if not users:
            raise NotJudgedError("the profile has no users", LINES["user"])
        if len(users) < count:
            raise NotJudgedError(
                f"the profile has {len(users)} of {count} users that are needed", LINES["peer"]
            )
        return users

    def need_writing(self) -> None:
        """Make sure that the target may be written to.

        Raises:
            NotJudgedError: it may not.

        """
        if self.run.options.read_only:
            raise NotJudgedError("left out by --read-only")
        if not self.run.writable:
            raise NotJudgedError("only a test environment is written to", LINES["test"])

    def who(self, method: Method) -> str | None:
        """Return a user who may call a function; None for a public function of a profile without users.

        Raises:
            NotJudgedError: no user of the profile may.

        """
        if method.auth == "none" and (not self.profile.users or self.profile.auth.login is None):
            return None
        self.need_users()
        users = self.resources.callers(method)
        if not users:
            raise NotJudgedError(
                f"no user of the profile has the role {method.auth!r}",
                f'[users.{method.auth}]\nuser = "…"\nsecret = "${{…}}"\nroles = ["{method.auth}"]',
            )
        return users[0]

    def somebody(self, method: Method | None = None) -> str | None:
        """Return a user to be signed in as, one who may call the function where there is one; None without users."""
        if not self.profile.users or self.profile.auth.login is None:
            return None
        users = self.resources.callers(method) if method is not None else []
        return users[0] if users else next(iter(self.profile.users))

    def guess(self) -> str | None:
        """Return an endpoint that the target shows to have: one of the documentation's own, for want of a catalogue."""
        if self.run.guessed is None:
            self.run.guessed = ""
            for name in DOCUMENTED:
                shown = self.caller.call(name, {}, in_session=False)
                if shown.status in (200, 400, 401, 403):
                    self.run.guessed = name.partition(".")[0]
                    break
        return self.run.guessed or None

    def endpoint(self) -> str:
        """Return an endpoint that the target has.

        Raises:
            NotJudgedError: none is known.

        """
        found = self.guess()
        if found is None:
            raise NotJudgedError("no endpoint of the target is known", LINES["catalog"])
        return found

    def unknown_name(self) -> str:
        """Return a name in camelCase that no function or endpoint has."""
        letters = "".join(self.rng.choice("bcdfghklmnprstvz") for _ in range(7))
        return f"vanished{letters.capitalize()}"

    def pairs(self) -> list[tuple[str, str]]:
        """Return pairs (owner, stranger) in which the stranger has no right that the owner lacks, best pairs first.

        Raises:
            NotJudgedError: there is no such pair.

        """
        users = self.need_users(2)
        resources = self.resources
        pairs = [
            (owner, stranger)
            for owner in users
            for stranger in users
            if owner != stranger
            and self.profile.users[owner].user != self.profile.users[stranger].user
            and resources.privileges(stranger) <= resources.privileges(owner)
        ]
        if not pairs:
            raise NotJudgedError("no two users of which one has no right that the other lacks", LINES["peer"])
        return sorted(
            pairs, key=lambda pair: len(resources.privileges(pair[0]) - resources.privileges(pair[1]))
        )

    # -- calls -------------------------------------------------------------------------------------------------

    def valid(
        self, method: Method, user: str | None, *, optional: Optional = "all", **fixed: Any
    ) -> dict[str, Any]:
        """Return data that the function's schema allows, on objects of that user."""
        return self.resources.valid(method, user, optional=optional, **fixed)

    def data_for(self, method: Method, user: str | None) -> dict[str, Any]:
        """Return valid data, or as much of it as can be had without objects to act on."""
        try:
            return self.valid(method, user)
        except SetUpFailedError:
            return {}

    def call(
        self, function: Method | str, data: Any = OMIT, *, as_: str | None = None, **options: Any
    ) -> Exchange:
        """Call a function, in the main session of a user where one is named, else without a session."""
        if as_ is not None and "token" not in options:
            options["token"] = self.sessions.of(as_).token
        return self.caller.call(function, data, user=as_, **options)

    def safe(self, function: Method, data: Any) -> bool:
        """Return whether data may be sent to a function: no reading of it names an object that the run did not make."""
        return self.run.ownership.data(function, data) is None

    def must(self, exchange: Exchange, what: str) -> Exchange:
        """Return the exchange if the call succeeded.

        Raises:
            SetUpFailedError: it did not; `what` says what it was for.

        """
        if exchange.status != 200:
            raise SetUpFailedError(f"{what}: {exchange.function} gave {exchange.summary()}", exchange)
        return exchange

    def witness(self, exchange: Exchange) -> Exchange:
        """Return the exchange of a look at what other calls did, if it tells anything of it.

        Raises:
            SetUpFailedError: there is no answer, or one of 5xx, which COD-8 judges.

        """
        if exchange.status is None or exchange.status >= 500:
            raise SetUpFailedError(f"could not look: {exchange.function} gave {exchange.summary()}", exchange)
        return exchange

    # -- judging -----------------------------------------------------------------------------------------------

    def judge(
        self,
        rule: str,
        good: bool,
        *,
        kind: str,
        expected: str,
        actual: str = "",
        exchange: Exchange | None = None,
        witness: Exchange | None = None,
        function: str | None = None,
        message: str | None = None,
        accepted: Collection[int] | None = None,
        case: list[dict[str, Any]] | None = None,
    ) -> bool:
        """Judge a rule: count it, and take a finding down where it does not hold. Returns `good`.

        `exchange` is the call that the rule is judged by: a finding shows and repeats it. `witness` is a later call
        that shows what it did, where its own answer does not. `actual` says what was seen in them; their answers are
        told in any case. `accepted` are the statuses that would have been right, where it is about the status alone;
        `case` the steps that show it, where the exchange alone does not (`conformance.cases.format.Step`, as JSON).

        A call that was not sent shows nothing, and is not counted.
        A call that got no answer, and gets one when it is sent again, shows nothing of what it asked: it is no finding,
        and not counted. Neither is an answer that says nothing about the rule (`conformance.engine.preconditions`).
        """
        if any(each is not None and each.withheld for each in (exchange, witness)):
            return True
        if not good and exchange is not None:
            if self.run.is_flaky(exchange):
                return False
            excuse = self.run.preconditions.excuse(rule, exchange)
            if excuse is None and witness is not None:
                excuse = self.run.preconditions.excuse(rule, witness)
            if excuse is not None:
                self.skip(rule, excuse, function=function or exchange.function)
                return False
        self.run.observer.judged(rule)
        if not good:
            name = function if function is not None else exchange.function if exchange else None
            title = RULES[rule].title
            self.run.observer.found(
                Finding(
                    rule,
                    name,
                    kind,
                    message or kind or title,
                    expected,
                    described(exchange, witness, actual),
                    exchange,
                    accepted=tuple(sorted(accepted)) if accepted is not None else None,
                    case=case,
                    witness=witness,
                )
            )
        return good

    def status(
        self,
        rule: str,
        exchange: Exchange,
        accepted: Collection[int],
        *,
        kind: str,
        otherwise: str | None = None,
        function: str | None = None,
        because: str = "",
    ) -> bool:
        """Judge the status of an answer; no answer at all is not an accepted one.

        `kind` says what is wrong where the call succeeds. `otherwise` says it where the call fails with another status;
        without it, a kind that speaks of what is «not refused» is put in other words for a refusal.
        """
        wanted = " or ".join(str(code) for code in sorted(accepted))
        if exchange.status != 200 and 200 not in accepted:
            kind = otherwise or as_answered(kind, exchange)
        return self.judge(
            rule,
            exchange.status in accepted,
            kind=kind,
            expected=f"status {wanted}" + (f": {because}" if because else ""),
            exchange=exchange,
            function=function,
            accepted=accepted,
        )

    def skip(self, rule: str, reason: str, lines: str | None = None, function: str | None = None) -> None:
        """Say that a rule is not judged here, and why."""
        event = {
            "event": "not judged",
            "rule": rule,
            "function": function or self.subject,
            "reason": self.secret_registry.mask(reason),
            "lines": lines,
        }
        if event not in self.skips:
            self.skips.append(event)

    def give_up(self, reason: str, lines: str | None = None) -> NoReturn:
        """Stop the conversation: its rules are not judged, for this reason.

        Raises:
            NotJudgedError: always.

        """
        raise NotJudgedError(reason, lines)

    def session(self, user: str) -> Session:
        """Sign a user in anew."""
        return self.sessions.sign_in(user)


def refused_otherwise(kind: str) -> str:
    """Return the kind of a finding where the call is refused, but not with an accepted status."""
    return re.sub(r"\bis not refused\b(?! with)", "is refused with another status", kind)


def as_answered(kind: str, exchange: Exchange) -> str:
    """Return a kind that speaks of what is «not refused», in other words where the call was refused (4xx)."""
    refused = exchange.status is not None and 400 <= exchange.status < 500
    return refused_otherwise(kind) if refused else kind


def _sent_data(exchange: Exchange) -> Any:
    """Return the data that a call was sent with; None where there is none, or none that can be read."""
    try:
        body = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        return None
    return body.get("data") if isinstance(body, dict) else None
