"""Rules on state: the effects of a sequence of calls."""

from __future__ import annotations

from conformance.rulebook.model import Level, suite_rule

_RESULT = "Responses structure: «a boolean showing the overall operation result»"
_OUTPUT = "Responses structure: «output from the called method»"

suite_rule(
    id="STA-1",
    level=Level.MUST,
    clause=_RESULT,
    title="What was created can be read, and is in the list",
    why="A success that stored nothing, or something else, is found out by the user, not by the client. "
    "A null, false or empty array that becomes another value, at any depth, is something else.",
)

suite_rule(
    id="STA-2",
    level=Level.MUST,
    clause=_RESULT,
    title="What was changed reads as changed, and only that",
    why="A change of the title that empties the description loses data that nobody touched; "
    "so does one that overwrites another of the same moment.",
)

suite_rule(
    id="STA-3",
    level=Level.MUST,
    clause=_RESULT,
    title="What was deleted is gone",
    why="Users delete what must not be seen any more; an object that lives on in a list or a read still is.",
)

suite_rule(
    id="STA-4",
    level=Level.MUST,
    clause=_OUTPUT,
    title="Functions that read change nothing",
    why="Reads are repeated, cached and prefetched freely; one that writes does so again each time.",
)

suite_rule(
    id="STA-5",
    level=Level.MUST,
    clause=_RESULT,
    title="Concurrent creates are all kept, each with its own identifier",
    why="An identifier computed as «the highest plus one» gives two users one object, and only under load. "
    "A create sent twice by a nervous finger must not be an internal error.",
)

suite_rule(
    id="STA-6",
    level=Level.MUST,
    clause=f"{_RESULT}; Authentication: «work within the same login session»",
    title="A model driven by random sequences of calls agrees at every step",
    why="The faults that single tests miss lie in orders of calls that nobody thought of.",
)
