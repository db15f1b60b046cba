"""Guesses about a function, each with its evidence and a confidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from conformance.learning.calls import Json

__all__ = ["Confidence", "Evidence", "Thresholds", "counted"]


class Confidence(StrEnum):
    """How sure a guess is. What is not high is a question to a person."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True)
class Thresholds:
    """How many samples a constraint needs. One sample is never enough."""

    #: Different calls in all of which a parameter was given, for it to be required though its absence was not refused.
    required: int = 10
    #: The probability that an optional parameter was in all of them by chance, from the shares of the others.
    chance: float = 0.002
    #: Calls that were accepted, beside a refusal that shows the same.
    beside_refusal: int = 3
    #: Samples of one type, for it to be the only one.
    type: int = 2
    #: Whole numbers, for fractions to be excluded although none was refused, and how many of them differ.
    integer: int = 20
    integer_different: int = 5
    #: Texts of a format, and how many of them differ.
    format: int = 5
    format_different: int = 3
    #: Texts for each word of an enumeration, and in all; the first is less where another word was refused.
    enum_each: int = 10
    enum_each_refused: int = 6
    enum: int = 40
    enum_words: int = 10
    #: Different objects of an answer, for a member of them to be always there and never null.
    result: int = 10
    #: The same for members that clients may leave out or set to null.
    result_optional: int = 40
    #: Different objects of an answer, for a member of them to have one type.
    result_type: int = 3

    @classmethod
    def of(cls, samples: int) -> Thresholds:
        """Return the thresholds for `samples` as that of required parameters, all others in proportion."""
        usual = cls()
        scale = samples / usual.required
        fixed = ("enum_words", "chance")
        names = [each.name for each in fields(usual) if each.name not in fixed]
        return replace(usual, **{name: max(2, round(getattr(usual, name) * scale)) for name in names})


@dataclass
class Evidence:
    """What was guessed of one function, in the order in which it is written under `x-evidence`."""

    guesses: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, subject: str, confidence: Confidence, because: str) -> None:
        """Record a guess about a subject, as "x-effect" or "title"."""
        self.guesses[subject] = {"confidence": confidence.value, "because": because}

    def questions(self) -> list[str]:
        """Return the subjects of which a person should decide."""
        return [
            subject for subject, guess in self.guesses.items() if guess["confidence"] != Confidence.HIGH.value
        ]


def counted(number: int, of: int, what: str = "calls") -> str:
    """Return a share as text: "12 of 12 calls"."""
    return f"{number} of {of} {what}"


#: By (JSON pointer with `*`, what was wrong): how many calls were refused that were wrong in this way alone.
Refusals = Mapping[tuple[str, str], int]

NO_REFUSALS: Refusals = Counter()


def ordered_types(kinds: Mapping[str, Json]) -> list[str]:
    """Return JSON types in a fixed order."""
    return [kind for kind in ("string", "number", "boolean", "array", "object") if kind in kinds]
