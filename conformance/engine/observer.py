"""Check every exchange of a run against the pure rules; collect the findings and the counts.

It holds no exchange longer than the attempt in which it was seen; what is found goes out as events.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from conformance.engine.session_trail import SessionTrail
from conformance.events import Event, ExchangeEvent, JudgedEvent, SeenEvent, WithdrawnEvent
from conformance.protocol.exchange import Exchange, Failure
from conformance.protocol.strict_json import TOO_DEEP
from conformance.rulebook import RULES, Rule
from conformance.rulebook.findings import Finding, Key

__all__ = ["RuleObserver", "described"]


def described(exchange: Exchange | None, witness: Exchange | None, seen: str) -> str:
    """Return what came, from the exchanges of a finding alone: their answers, and what was `seen` in them.

    `exchange` is the call that a finding is about, `witness` a later call that shows what it did.
    """
    if exchange is None:
        return seen
    answers = exchange.summary()
    if witness is not None and witness is not exchange:
        answers = f"{answers}; then {witness.function or 'a call'}: {witness.summary()}"
    if not seen or seen == exchange.summary():
        return answers
    return seen if answers in seen else f"{answers}; {seen}"


class RuleObserver:
    """Checks exchanges against the wanted pure rules, and collects what tests find."""

    def __init__(
        self, emit: Callable[[Event], None], wanted: Collection[str], *, judging: bool = True
    ) -> None:
        """Take the wanted rules; without `judging` (in a dry run) exchanges are not checked."""
        self.emit = emit
        self.judging = judging
        self.wanted = frozenset(wanted)
        self._pure: list[Rule] = [rule for rule in RULES.values() if rule.check and rule.id in self.wanted]
        self._lock = threading.Lock()
        self._findings: dict[Key, Finding] = {}
        self._judged: Counter[str] = Counter()
        self.test = ""
        self._test_rules: Sequence[str] = ()
        self.refused = 0
        self.silent = 0
        self.unreached = 0
        self.answered = 0
        self.last_failure: Failure | None = None
        self.total_judged: Counter[str] = Counter()
        self.confirmed: dict[Key, str] = {}
        self.every: dict[Key, Finding] = {}
        self.trail = SessionTrail()

    def observe(self, exchange: Exchange) -> None:
        """Log an exchange and check it against every pure rule."""
        if not self.judging:
            return
        self.emit(ExchangeEvent.of(exchange.record(), self.test))
        judged: list[str] = []
        for rule in self._pure:
            assert rule.check is not None
            outcome = rule.check(exchange)
            if not outcome.judged:
                continue
            judged.append(rule.id)
            if outcome.broken:
                self.found(
                    Finding(
                        rule.id,
                        exchange.function,
                        outcome.kind,
                        rule.title,
                        outcome.expected,
                        outcome.actual,
                        exchange,
                    )
                )
        with self._lock:
            self.trail.note(exchange)
            self._judged.update(judged)
            if exchange.status == 401 and exchange.in_session:
                self.refused += 1
            if exchange.failure is None:
                if exchange.json.error == TOO_DEEP:
                    self.last_failure = Failure("oversize", f"the JSON is {TOO_DEEP}")
                else:
                    self.answered += 1
            else:
                self.last_failure = exchange.failure
                self.silent += exchange.failure.kind != "oversize"
                self.unreached += exchange.failure.kind == "unreachable"

    def judged(self, rule: str, count: int = 1) -> None:
        """Count a judgement of a test."""
        if rule in self.wanted:
            with self._lock:
                self._judged[rule] += count

    def found(self, finding: Finding) -> None:
        """Record a finding; the same one again is only counted, and a smaller request replaces the example."""
        if finding.rule not in self.wanted:
            return
        if finding.exchange is not None:
            finding.exchange = finding.exchange.brief()
        if finding.witness is not None:
            finding.witness = finding.witness.brief()
        if self._test_rules and finding.rule not in self._test_rules:
            finding.test_rule = self._test_rules[0]
        with self._lock:
            known = self._findings.get(finding.key)
            if known is None:
                finding.undisturbed = self.last_failure is None
                self._findings[finding.key] = finding
                if finding.key not in self.every:
                    # The finding is reported when the test ends; a run that is killed before has it from here.
                    self.emit(SeenEvent.of(finding.event(count=1, reproduced=None)))
                return
            known.count += 1
            new, old = finding.exchange, known.exchange
            if new is not None and old is not None and len(new.request.body) < len(old.request.body):
                finding.count, finding.undisturbed = known.count, known.undisturbed
                self._findings[finding.key] = finding

    def begin(self, test: str, rules: Sequence[str] = ()) -> None:
        """Start an attempt of a test that judges these rules."""
        with self._lock:
            self.test, self._test_rules = test, rules
            self._findings = {}
            self._judged = Counter()
            self.refused = self.silent = self.unreached = self.answered = 0
            self.last_failure = None

    def take(self) -> dict[Key, Finding]:
        """Return what the attempt found so far."""
        with self._lock:
            return dict(self._findings)

    def settle(self) -> None:
        """Log how often the attempt judged each rule."""
        with self._lock:
            counts, self._judged = self._judged, Counter()
        if counts:
            self.total_judged.update(counts)
            self.emit(JudgedEvent(self.test, dict(counts)))

    def withdraw(self, keys: Collection[Key]) -> None:
        """Drop findings of the attempt, and the judgements that led to them: something else is their cause."""
        with self._lock:
            dropped = [self._findings.pop(key) for key in keys if key in self._findings]
            for finding in dropped:
                self._judged[finding.rule] = max(0, self._judged[finding.rule] - finding.count)
            if dropped:
                self.emit(WithdrawnEvent())

    def discard(self, *, keep_undisturbed: bool = False) -> dict[Key, Finding]:
        """Drop what the attempt's test found, since the target was reset meanwhile; return the findings of pure rules.

        With `keep_undisturbed` the test's findings from before the first call without an answer are returned, too: a
        target that is gone for good will not show them again.
        """
        pure = {rule.id for rule in self._pure}
        with self._lock:
            remaining = {
                key: finding
                for key, finding in self._findings.items()
                if key[0] in pure or (keep_undisturbed and finding.undisturbed)
            }
            if len(remaining) < len(self._findings):
                self.emit(WithdrawnEvent())
            self._findings = dict(remaining)
        return remaining
