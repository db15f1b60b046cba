"""What a gate requires to be judged: areas, rules, or a number of rules.

A requirement is an area (`AUT`, or its title), a rule's id (`ACC-2`), or `judged >= 80`. A rule that was not judged
passes the gate unless a requirement covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.rulebook import RULES, own_rules
from conformance.rulebook.model import Verdict

__all__ = ["Unmet", "is_judged", "parse", "record", "unmet", "unmet_reason"]

_COUNT = re.compile(r"judged\s*>=\s*(\d+)", re.IGNORECASE)

#: Maximum number of rule ids in the reason of a run.
MAX_LISTED_RULES = 6


@dataclass(frozen=True)
class Unmet:
    """A requirement that a run did not meet; `rules` are the required rules that were not judged.

    `judged` is the number of judged rules for a requirement of a number, else None.
    """

    requirement: str
    rules: tuple[str, ...] = ()
    judged: int | None = None


def parse(text: str) -> str:
    """Return a requirement in its standard form: `AUT`, `ACC-2` or `judged >= 80`.

    Raises:
        ValueError: it is none of these; the message says what is allowed.

    """
    words = text.strip()
    if count := _COUNT.fullmatch(words):
        number = int(count[1])
        if not 1 <= number <= len(RULES):
            raise ValueError(f"{text!r}: there are {len(RULES)} rules; write a number from 1 to {len(RULES)}")
        return f"judged >= {number}"
    areas = own_rules.areas()
    names = {name.upper(): name for name in (*areas, *RULES)}
    names |= {title.upper(): name for name, title in areas.items()}
    found = names.get(words.upper())
    if found is None:
        raise ValueError(
            f"{text!r} is not a requirement: write an area ({', '.join(areas)}), a rule's id such as ACC-2, or "
            "judged >= N"
        )
    return found


def is_judged(rule: Mapping[str, Any]) -> bool:
    """Return whether a rule of a report was judged: a rule in error, or not judged, was not."""
    return rule["verdict"] not in (Verdict.NOT_JUDGED, Verdict.ERROR)


def unmet(requirements: Iterable[str], rules: Sequence[Mapping[str, Any]]) -> list[Unmet]:
    """Return the requirements, in their standard form, that the rules of a report do not meet."""
    judged = sum(map(is_judged, rules))
    found = []
    for requirement in dict.fromkeys(requirements):
        if count := _COUNT.fullmatch(requirement):
            if judged < int(count[1]):
                found.append(Unmet(requirement, judged=judged))
            continue
        missing = [
            rule["id"]
            for rule in rules
            if not is_judged(rule) and requirement in (rule["id"], rule["id"].partition("-")[0])
        ]
        if missing:
            found.append(Unmet(requirement, tuple(missing)))
    return found


def unmet_reason(found: Sequence[Unmet]) -> str:
    """Return why the gate fails for want of judged rules, in one line; "" if every requirement is met."""
    parts = []
    rules = list(dict.fromkeys(rule for each in found for rule in each.rules))
    if rules:
        names = ", ".join(rules[:MAX_LISTED_RULES])
        more = len(rules) - MAX_LISTED_RULES
        parts.append(f"required but not judged: {names}" + (f" and {more} more" if more > 0 else ""))
    for each in found:
        if each.judged is not None:
            were = "rule was" if each.judged == 1 else "rules were"
            parts.append(f"{each.judged} {were} judged, but the gate requires {each.requirement}")
    return "; ".join(parts)


def record(requirements: Sequence[str], rules: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the requirements of a run as its report has them: all, and those not met; None if there are none."""
    if not requirements:
        return None
    return {
        "all": list(requirements),
        "unmet": [
            {"requirement": each.requirement, "rules": list(each.rules), "judged": each.judged}
            for each in unmet(requirements, rules)
        ],
    }
