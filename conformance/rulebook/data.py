"""Rules on arguments, tested with generated data."""

from __future__ import annotations

from conformance.rulebook.model import Level, suite_rule

_ARGUMENTS = "HTTP request structure: «all the function arguments go here»"
_INVALID = "HTTP response codes: «Invalid data was sent»"

suite_rule(
    id="DAT-1",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Data that the schema allows is accepted",
    why="The schema is what callers validate against; a valid call that is refused fails only in production.",
)

suite_rule(
    id="DAT-2",
    level=Level.MUST,
    clause=_INVALID,
    title="Data that the schema forbids is refused with 400",
    why="A check that is missing for one kind of violation lets exactly that kind into the data. "
    "An operator of a query language in place of an identifier finds objects that nobody named.",
)

suite_rule(
    id="DAT-3",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Any JSON as data gets a documented code and the envelope",
    why="Callers have bugs; the answer to one must be readable by the same code as any other answer.",
)

suite_rule(
    id="DAT-4",
    level=Level.MUST,
    clause=_INVALID,
    title="Any bytes as the body get a documented code and the envelope",
    why="Whatever arrives over a network arrives some day; none of it may take the service down.",
)

suite_rule(
    id="DAT-5",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Text comes back as it went in, or is refused",
    why="Accents dropped, a text cut at an emoji or at a column's width: the loss shows only on reading. "
    "A whole text that looks like something else («null», «1e5», a date) is text in lists as well.",
)

suite_rule(
    id="DAT-6",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Numbers come back as they went in, or are refused",
    why="An identifier past 2^53 that is rounded on its way names another object.",
)

suite_rule(
    id="DAT-7",
    level=Level.MUST,
    clause=_INVALID,
    title="A refused write changes nothing",
    why="A caller that is told of an error repeats the call or gives up; half of it must not be done.",
)

suite_rule(
    id="DAT-8",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Injection strings and operators are data",
    why="Text that becomes part of a query, a template or a path hands the service to whoever typed it.",
)

suite_rule(
    id="DAT-9",
    level=Level.SHOULD,
    clause="hardening (HTTP request structure)",
    title="Deep, wide and large data is answered in time",
    why="One request that costs as much as thousands is all it takes to keep everybody else out.",
)
