"""Rules on access: which user may call which function, on whose objects."""

from __future__ import annotations

from conformance.rulebook.model import Level, suite_rule

_DENIED = "HTTP response codes: «Access for the current user is denied»"

suite_rule(
    id="ACC-1",
    level=Level.MUST,
    clause=_DENIED,
    title="A function for another role is refused with 403",
    why="Hiding a button is no protection: whoever knows the function's name calls it.",
)

suite_rule(
    id="ACC-2",
    level=Level.MUST,
    clause=_DENIED,
    title="Another user's object cannot be read, changed or deleted",
    why="Identifiers are easily counted up; without a check of the owner every user reads everybody's data. "
    "A check of the parent alone is no check: another's child can be named under a parent of one's own.",
)

suite_rule(
    id="ACC-3",
    level=Level.MUST,
    clause=_DENIED,
    title="Rights cannot be raised through data",
    why="A server that copies whatever it is sent into its records makes anyone an administrator; "
    "one that merges it reaches the prototype of all its objects.",
)

suite_rule(
    id="ACC-4",
    level=Level.MUST,
    clause=_DENIED,
    title="Lists show no object that reading one by one refuses",
    why="A list that forgot the filter gives away what the single read protects, "
    "as do two filters joined by an OR without brackets.",
)
