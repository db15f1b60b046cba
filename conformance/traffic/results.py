"""What judging recorded traffic leads to: findings of the target by rule, and mistakes of its clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from conformance.events import ClientFindingEvent, Event, SeenEvent
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding, Key
from conformance.rulebook.model import Outcome
from conformance.traffic.recorded import Recorded

__all__ = ["MAX_CLIENT_FINDINGS", "Results"]

#: Mistakes of clients that are listed; more are only counted.
MAX_CLIENT_FINDINGS = 200


class Results:
    """Collects findings and counts. The same finding again is only counted; the smallest request is its example."""

    def __init__(self, emit: Callable[[Event], None], wanted: Collection[str]) -> None:
        self._emit = emit
        self.wanted = frozenset(wanted)
        self.findings: dict[Key, Finding] = {}
        self.judged: Counter[str] = Counter()
        self.client: dict[tuple[str | None, str], ClientFindingEvent] = {}
        self.unlisted_client_findings = 0
        #: Rules that the exchange in hand broke, and the number of its client's mistakes: for a line on the screen.
        self.latest: list[str] = []
        self.latest_client = 0

    def begin(self) -> None:
        """Begin with the next exchange."""
        self.latest, self.latest_client = [], 0

    def take(self, rule: str, outcome: Outcome, recorded: Recorded) -> None:
        """Count the outcome of a rule's check of one exchange."""
        if not outcome.judged or rule not in self.wanted:
            return
        self.judged[rule] += 1
        if outcome.broken:
            self._found(rule, outcome.kind, outcome.expected, outcome.actual, recorded)

    def judge(
        self, rule: str, good: bool, recorded: Recorded, *, kind: str, expected: str, actual: str = ""
    ) -> None:
        """Count a judgement; where it is not `good`, record a finding."""
        if rule not in self.wanted:
            return
        self.judged[rule] += 1
        if not good:
            self._found(rule, kind, expected, actual or recorded.exchange.summary(), recorded)

    def _found(self, rule: str, kind: str, expected: str, actual: str, recorded: Recorded) -> None:
        exchange = recorded.exchange.brief()
        finding = Finding(rule, exchange.function, kind, RULES[rule].title, expected, actual, exchange)
        self.latest.append(rule)
        known = self.findings.get(finding.key)
        if known is None:
            self.findings[finding.key] = finding
            # A process that is killed leaves the finding in the log.
            self._emit(SeenEvent.of(finding.event(count=1, reproduced=None)))
            return
        known.count += 1
        if known.exchange is None or len(exchange.request.body) < len(known.exchange.request.body):
            finding.count = known.count
            self.findings[finding.key] = finding

    def client_mistake(
        self, recorded: Recorded, kind: str, *, expected: str, actual: str, function: str | None = None
    ) -> None:
        """Record what the client sent wrong; the same mistake again is only counted."""
        name = function or recorded.function
        self.latest_client += 1
        known = self.client.get((name, kind))
        if known is not None:
            known.count += 1
            return
        if len(self.client) >= MAX_CLIENT_FINDINGS:
            self.unlisted_client_findings += 1
            return
        registry = recorded.exchange.secret_registry
        mask = registry.mask if registry is not None else str
        record = recorded.exchange.record()
        self.client[name, kind] = ClientFindingEvent(
            function=None if name is None else mask(name),
            kind=mask(kind),
            expected=mask(expected),
            actual=mask(actual),
            exchange=record.number,
            request=record.request,
            response=record.response,
            curl=record.curl,
        )

    def close(self) -> None:
        """Emit the findings and counts."""
        for finding in self.findings.values():
            self._emit(finding.event(count=finding.count, reproduced=None))
        for event in self.client.values():
            self._emit(event)
