"""A finding: a rule seen broken, and the exchange that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.protocol.exchange import Exchange

__all__ = ["Finding", "Key"]

#: Findings are one when rule, function and kind of violation are the same.
Key = tuple[str, str | None, str]


@dataclass(eq=False)
class Finding:
    """A rule seen broken: where, how often in this attempt, and the smallest exchange that shows it.

    `expected`, `actual`, the exchange, the accepted statuses and the case belong together: another example takes the
    place of all of them, never of one. `exchange` is the call that broke the rule, and the one that is repeated;
    `witness` is the later call that shows it, where the answer of the call itself does not.
    """

    rule: str
    function: str | None
    kind: str
    message: str
    expected: str
    actual: str
    exchange: Exchange | None
    count: int = 1
    #: The statuses that would have been right, where it is about the status alone.
    accepted: tuple[int, ...] | None = None
    #: The steps that show it, where it takes more than one: `conformance.cases.format.Step.to_json` each.
    case: list[dict[str, Any]] | None = None
    witness: Exchange | None = None
    #: Whether the target had answered every call of the attempt by then.
    undisturbed: bool = True

    @property
    def key(self) -> Key:
        """What makes two findings one."""
        return (self.rule, self.function, self.kind)

    def event(self, *, count: int, reproduced: str | None) -> dict[str, Any]:
        """Return the event that tells of this finding."""
        shown = self.exchange.record() if self.exchange else {}
        secret_registry = self.exchange.secret_registry if self.exchange else None
        mask = secret_registry.mask if secret_registry else str
        return {
            "event": "finding",
            "rule": self.rule,
            "function": self.function,
            "kind": mask(self.kind),
            "message": mask(self.message),
            "expected": mask(self.expected),
            "actual": mask(self.actual),
            "count": count,
            "reproduced": reproduced,
            "exchange": shown.get("number"),
            "request": shown.get("request"),
            "response": shown.get("response"),
            "failure": shown.get("failure"),
            "curl": shown.get("curl"),
        }
