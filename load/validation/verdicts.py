"""The verdicts on the responses of a load: what the rules found, and how many responses each verdict stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from conformance.events import ExchangeRecord, FindingEvent
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES, Rule
from conformance.rulebook import Outcome as RuleOutcome
from conformance.rulebook.model import AREAS

__all__ = ["SAMPLED", "Outcome", "Verdict", "Verdicts", "check_rule"]

#: The rule that is checked on a sample.
SAMPLED = "ENV-10"

#: The number of verdicts from which on those that are no longer in use are dropped.
_MAX_VERDICTS = 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a call: the kind of its error, None for none, and the rules that its response broke."""

    error: str | None = None
    rules: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is a success that breaks no rule."""
        return self.error is None and not self.rules


@dataclass(slots=True, eq=False)
class Finding:
    """A rule that was broken under load: how often, and the first exchanges that show it."""

    event: FindingEvent
    count: int = 0
    exchanges: list[ExchangeRecord] = field(default_factory=list)
    reported: int = 0


class Verdict:
    """The verdict on one response, and the number of responses that are equivalent to it."""

    __slots__ = ("bad", "code", "count", "findings", "good", "judged", "schema")

    def __init__(
        self, code: int, good: int, bad: int, judged: tuple[str, ...], findings: tuple[Finding, ...]
    ) -> None:
        #: The code where 200 is expected; `good` and `bad` where other statuses are, which it has or has not.
        self.code = code
        self.good = good
        self.bad = bad
        self.judged = judged
        self.findings = findings
        self.count = 0


class Verdicts:
    """The verdicts, findings and counts of one process.

    The first `keep` exchanges of each rule, function and kind of violation are retained.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.outcomes: list[Outcome] = [Outcome()]
        #: The number of responses that every rule checked.
        self.checked = 0
        #: By rule: the responses that it judged, without those that a verdict in use stands for.
        self.judged: Counter[str] = Counter()
        self._codes: dict[Outcome, int] = {Outcome(): 0}
        self._findings: dict[tuple[str, str | None, str], Finding] = {}
        self._verdicts: list[Verdict] = []
        self._drop_at = _MAX_VERDICTS
        self._rules = [rule for rule in RULES.values() if rule.check is not None and rule.area in AREAS]
        #: The rules of the team's own, which check every response: they may look at anything of an exchange.
        self.own = [rule for rule in RULES.values() if rule.check is not None and rule.area not in AREAS]

    def __len__(self) -> int:
        return len(self._verdicts)

    def code(self, outcome: Outcome) -> int:
        """Return the code of an outcome: its index in `outcomes`."""
        code = self._codes.get(outcome)
        if code is None:
            code = self._codes[outcome] = len(self.outcomes)
            self.outcomes.append(outcome)
        return code

    def check(self, exchange: Exchange) -> tuple[tuple[str, ...], list[Finding]]:
        """Check an exchange by every rule of the rulebook; return the rules that judged it, and the findings."""
        self.checked += 1
        return self._check(exchange, self._rules)

    def check_own(self, exchange: Exchange, code: int) -> int:
        """Check an exchange by the team's own rules; return the code of its outcome, which was `code` before."""
        # Read before the clocks of the rules run: the first of them would pay for all.
        _ = exchange.json
        _, findings = self._check(exchange, self.own)
        if not findings:
            return code
        before = self.outcomes[code]
        return self.code(Outcome(before.error, (*before.rules, *(one.event.rule for one in findings))))

    def _check(self, exchange: Exchange, rules: Sequence[Rule]) -> tuple[tuple[str, ...], list[Finding]]:
        judged: list[str] = []
        findings: list[Finding] = []
        for rule in rules:
            assert rule.check is not None
            outcome = rule.check(exchange)
            if outcome.judged:
                judged.append(rule.id)
            if outcome.broken:
                key = (rule.id, exchange.function, outcome.kind)
                finding = self._findings.get(key)
                if finding is None:
                    finding = self._findings[key] = Finding(_described(rule, exchange, outcome))
                finding.count += 1
                if len(finding.exchanges) < self.keep:
                    finding.exchanges.append(exchange.record())
                findings.append(finding)
        self.judged.update(judged)
        return tuple(judged), findings

    def enough_retained(self, findings: Sequence[Finding]) -> bool:
        """Return whether enough exchanges are retained of each finding."""
        return all(len(one.exchanges) >= self.keep for one in findings)

    def add(
        self, code: int, good: int, bad: int, judged: tuple[str, ...], findings: Sequence[Finding]
    ) -> Verdict:
        """Return a new verdict for responses to come."""
        verdict = Verdict(code, good, bad, judged, tuple(findings))
        self._verdicts.append(verdict)
        return verdict

    @property
    def are_many(self) -> bool:
        """Whether there are so many verdicts that those no longer in use should be dropped."""
        return len(self._verdicts) >= self._drop_at

    def drop_unused(self, in_use: Collection[int]) -> None:
        """Add the counts of verdicts that are no longer in use to the totals, and drop these verdicts."""
        left = []
        for verdict in self._verdicts:
            if id(verdict) in in_use:
                left.append(verdict)
                continue
            if verdict.count:
                self.judged.update(dict.fromkeys(verdict.judged, verdict.count))
            for finding in verdict.findings:
                finding.count += verdict.count
        self._verdicts = left
        self._drop_at = max(_MAX_VERDICTS, 2 * len(left))

    # -- results -----------------------------------------------------------------------------------------------

    def rules(self) -> dict[str, dict[str, int]]:
        """Return, by rule, the number of responses that it judged and the number that broke it."""
        judged = Counter(self.judged)
        broken: Counter[str] = Counter()
        for verdict in self._verdicts:
            if verdict.count:
                for name in verdict.judged:
                    judged[name] += verdict.count
        for finding in self._findings.values():
            broken[finding.event.rule] += self._count(finding)
        return {name: {"judged": judged[name], "broken": broken[name]} for name in RULES if judged[name]}

    def schema(self) -> dict[str, int]:
        """Return the number of successes checked by the declared result, and the number of all successes."""
        of = self.judged["COD-1"] + sum(one.count for one in self._verdicts if "COD-1" in one.judged)
        return {"judged": self.judged[SAMPLED], "of": of}

    def events(self) -> list[FindingEvent]:
        """Return the findings as events, each with its count and the first exchanges that show it."""
        return [self._event(finding) for finding in self._findings.values()]

    def fresh(self) -> list[FindingEvent]:
        """Return the findings that are new since the last call."""
        new = [finding for finding in self._findings.values() if not finding.reported]
        for finding in new:
            finding.reported = 1
        return [self._event(finding) for finding in new]

    def _count(self, finding: Finding) -> int:
        return finding.count + sum(one.count for one in self._verdicts if finding in one.findings)

    def _event(self, finding: Finding) -> FindingEvent:
        return msgspec.structs.replace(
            finding.event, count=self._count(finding), exchanges=[*finding.exchanges]
        )


def check_rule(name: str, exchange: Exchange) -> RuleOutcome:
    """Return the outcome of one rule that a single exchange decides."""
    check = RULES[name].check
    assert check is not None
    return check(exchange)


def _described(rule: Rule, exchange: Exchange, outcome: RuleOutcome) -> FindingEvent:
    mask = exchange.secret_registry.mask if exchange.secret_registry else str
    event = FindingEvent(
        rule=rule.id,
        function=exchange.function,
        kind=mask(outcome.kind),
        message=rule.title,
        expected=mask(outcome.expected),
        actual=mask(outcome.actual),
    )
    event.show(exchange.record())
    return event
