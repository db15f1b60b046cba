"""Groups of findings that have one cause each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reports.causes.evidence import Evidence

__all__ = ["Group", "Groups", "Pattern"]


class Pattern(StrEnum):
    """What the findings of a group have in common."""

    DEAD = "dead"
    FORM = "form"
    LAYER = "layer"
    REFUSAL = "refusal"
    CRASH = "crash"
    UNCHECKED = "unchecked"
    ACCEPTED = "accepted"
    RULE = "rule"


@dataclass
class Group:
    """Findings of one cause; `key` is the shape of their evidence, the same in every run."""

    pattern: Pattern
    key: tuple[str, ...]
    members: list[Evidence] = field(default_factory=list)


Groups = dict[tuple[Pattern, tuple[str, ...]], Group]
"""Groups by their pattern and key."""
