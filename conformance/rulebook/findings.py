"""Findings: violations of a rule, each with the exchange that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.events import FindingEvent
from conformance.protocol.exchange import Exchange

__all__ = ["Finding", "Key"]

#: Findings with the same rule, function and kind of violation are grouped into one.
Key = tuple[str, str | None, str]


@dataclass(eq=False)
class Finding:
    """A violation of a rule: where, how often in this attempt, and the smallest example.

    `expected`, `actual`, `exchange`, `accepted` and `case` belong together: a smaller example replaces all of them.
    `exchange` is the call that violated the rule, and the one that is repeated to confirm it. `witness` is the later
    call that shows the violation, if the response to the call itself does not.
    """

    rule: str
    function: str | None
    kind: str
    message: str
    expected: str
    actual: str
    exchange: Exchange | None
    count: int = 1
    #: The accepted statuses, if the finding is about the status alone.
    accepted: tuple[int, ...] | None = None
    #: The steps that show it, if more than one is needed: the result of `conformance.cases.format.Step.to_json` each.
    case: list[dict[str, Any]] | None = None
    witness: Exchange | None = None
    #: Whether the target had answered every earlier call of the attempt.
    undisturbed: bool = True
    #: A rule of the test that found it, if that test does not run for this finding's rule alone.
    test_rule: str | None = None

    @property
    def key(self) -> Key:
        """The key by which findings are grouped."""
        return (self.rule, self.function, self.kind)

    def event(self, *, count: int, reproduced: str | None) -> FindingEvent:
        """Return the event that reports this finding."""
        secret_registry = self.exchange.secret_registry if self.exchange else None
        mask = secret_registry.mask if secret_registry else str
        event = FindingEvent(
            rule=self.rule,
            function=self.function,
            kind=mask(self.kind),
            message=mask(self.message),
            expected=mask(self.expected),
            actual=mask(self.actual),
            count=count,
            reproduced=reproduced,
        )
        if self.test_rule is not None:
            event.test_rule = self.test_rule
        if self.exchange is not None:
            event.show(self.exchange.record())
        return event
