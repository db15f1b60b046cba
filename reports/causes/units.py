"""Units of evidence, and which of them have the same cause.

A unit is a set of findings that are certainly of one cause: the same rule, broken in the same way. Units are united if
they share an answer, or the places where they occur.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from conformance.rulebook.verdicts import normal
from reports.causes.evidence import Answer, Evidence

__all__ = [
    "Violation",
    "by_errors",
    "by_exchanges",
    "by_places",
    "by_shared",
    "components",
    "parameter_of",
    "pointer_of",
    "violation_of",
]

#: Units that occur in the same places by this share, of all places of both, are united.
MIN_SHARED_PLACES = 0.5

#: How a kind of violation names a parameter and what was done to it: «title: longer than 100».
_NAMED = re.compile(r"^([^\s:]{1,80}?)(\[\])?(?:: (.+)| (left out))$", re.DOTALL)
_WHERE = re.compile(r", where (.+)$", re.DOTALL)
_EXPECTED = re.compile(r"^status 400: ([^\s:]{1,80}(?:: | left out).*)$", re.DOTALL)
_NUMBER = re.compile(r"^([^\s:]{1,80}): status 400$")
_POINTER = re.compile(r"\bdata(?:/[^\s/:'\"]+)+")
_NOISE = re.compile(r"\b(?:far|just|one|astral characters|much)\b")

Violation = tuple[str, str]
"""A kind of invalid argument, without the name of the parameter, and the parameter."""


def violation_of(evidence: Evidence) -> Violation | None:
    """Return how an argument was invalid; None if the finding is not about one argument."""
    expected = str(evidence.finding["expected"])
    if number := _NUMBER.match(expected):
        return ("out of bounds", number[1])
    where = _WHERE.search(str(evidence.finding["actual"])) or _EXPECTED.match(expected)
    named = _NAMED.match(where[1] if where else str(evidence.finding["kind"]))
    if named is None:
        return None
    what = named[3] or named[4]
    if what in ("null", "left out"):
        return ("left out", named[1])
    if "listed value" in what or "enumeration" in what:
        return ("not in the enumeration", named[1])
    if what.startswith(("an ", "a ")) and " as JSON text" in what:
        return ("a value as JSON text", named[1])
    if " instead of " in what:
        return (normal(what), named[1])
    return (_NOISE.sub("", normal(what)).partition(",")[0].strip(), named[1])


def parameter_of(evidence: Evidence) -> str:
    """Return the parameter that an invalid argument was sent for; empty if there is none."""
    violation = violation_of(evidence)
    return violation[1] if violation else ""


def pointer_of(evidence: Evidence) -> list[str]:
    """Return the parts of the place in the answer that a finding names."""
    found = _POINTER.search(str(evidence.finding["actual"]))
    return found[0].split("/") if found else []


def components(count: int, linked: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each of `count` items the smallest item that it is linked with."""
    roots = list(range(count))

    def root(item: int) -> int:
        while roots[item] != item:
            roots[item] = roots[roots[item]]
            item = roots[item]
        return item

    for one, other in linked:
        first, second = sorted((root(one), root(other)))
        roots[second] = first
    return [root(item) for item in range(count)]


def by_shared(
    units: Mapping[Hashable, Sequence[Evidence]], features: Callable[[Evidence], Iterable[Hashable]]
) -> list[tuple[int, int]]:
    """Return the links of units that share a feature."""
    first: dict[Hashable, int] = {}
    links = []
    for number, members in enumerate(units.values()):
        for feature in dict.fromkeys(found for evidence in members for found in features(evidence)):
            links.append((first.setdefault(feature, number), number))
    return links


def by_exchanges(units: Mapping[Hashable, Sequence[Evidence]]) -> list[tuple[int, int]]:
    """Return the links of units that are broken by the same exchanges.

    A finding has one exchange and a count. The exchanges are the same if the findings are in the same functions, mostly
    with the same exchange and the same count.
    """
    found = [
        {(each.function, each.finding["exchange"], each.finding["count"]) for each in members}
        for members in units.values()
    ]
    return [
        (one, other)
        for one in range(len(found))
        for other in range(one + 1, len(found))
        if len(found[one] & found[other]) > MIN_SHARED_PLACES * len(found[one] | found[other])
        and all(exchange is not None for _, exchange, _ in found[one])
    ]


def by_errors(units: Mapping[Hashable, Sequence[Evidence]]) -> list[tuple[int, int]]:
    """Return the links of units that are seen in much the same errors: what is wrong with them has one cause."""
    errors = (Answer.REFUSAL, Answer.CRASH)
    found = [
        {(each.function, each.status, each.precondition) for each in members}
        if all(each.answer in errors for each in members)
        else set()
        for members in units.values()
    ]
    return [
        (one, other)
        for one in range(len(found))
        for other in range(one + 1, len(found))
        if len(found[one] & found[other]) > MIN_SHARED_PLACES * len(found[one] | found[other])
    ]


def by_places(
    units: Mapping[Hashable, Sequence[Evidence]], places: Callable[[Evidence], Hashable]
) -> list[tuple[int, int]]:
    """Return the links of units that occur in much the same places."""
    found = [{places(evidence) for evidence in members} for members in units.values()]
    return [
        (one, other)
        for one in range(len(found))
        for other in range(one + 1, len(found))
        if len(found[one] & found[other]) >= MIN_SHARED_PLACES * len(found[one] | found[other])
    ]
