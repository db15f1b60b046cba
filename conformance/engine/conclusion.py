"""What a run was asked for, and how a test of it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.cases.format import Case
from conformance.events import Event
from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding

__all__ = ["Conclusion", "Options"]


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
    #: Seconds for generated payloads, where the budget does not decide (`--for`).
    generate_for: float | None = None
    #: Cases to replay before anything else (`--cases`).
    cases: tuple[Case, ...] = ()


@dataclass(slots=True)
class Conclusion:
    """How a test ended: its findings, or why nothing could be judged."""

    findings: list[Finding] = field(default_factory=list)
    not_judged: str | None = None
    crashed: str | None = None
    #: Whether it was not judged for want of time alone.
    late: bool = False
    #: The exchange of the set-up that failed, where that is why nothing could be judged.
    stuck: Exchange | None = None
    events: list[Event] = field(default_factory=list)
