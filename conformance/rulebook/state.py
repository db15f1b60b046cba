"""Rules on state: the effects of a sequence of calls."""

from __future__ import annotations

from conformance.rulebook.model import Example, Level, suite_rule

_RESULT = "Responses structure: «a boolean showing the overall operation result»"
_OUTPUT = "Responses structure: «output from the called method»"

suite_rule(
    id="STA-1",
    level=Level.MUST,
    clause=_RESULT,
    title="What was created can be read, and is in the list",
    why="A success that stored nothing, or something else, is found out by the user, not by the client. "
    "A null, false or empty array that becomes another value, at any depth, is something else.",
    causes="The create answers before it is stored, drops members that it does not know, applies defaults "
    "over given values, or the list comes from a cache or an index that lags behind.",
    remedy="Return after the transaction is committed, store every declared member as given, and update or "
    "bypass caches in the same step.",
    example=Example(
        sent="add, then read and find",
        right="the values that were sent, and the object in the list",
        wrong="another value, or the object is missing",
    ),
)

suite_rule(
    id="STA-2",
    level=Level.MUST,
    clause=_RESULT,
    title="What was changed reads as changed, and only that",
    why="A change of the title that empties the description loses data that nobody touched; "
    "so does one that overwrites another of the same moment.",
    causes='An update writes all columns and sets those left out to null or defaults; falsy values (0, "", '
    "false, []) are taken for «not given»; the whole record is read, changed and written without a "
    "lock; the WHERE is missing.",
    remedy="Write only the members that are present in `data` (present, not truthy), in one statement limited "
    "to the object's identifier.",
    example=Example(
        sent='update {"courseId":7,"title":"B"}, then read',
        right="the new title, everything else as before",
        wrong="the description is empty",
    ),
)

suite_rule(
    id="STA-3",
    level=Level.MUST,
    clause=_RESULT,
    title="What was deleted is gone",
    why="Users delete what must not be seen any more; an object that lives on in a list or a read still is.",
    causes="The delete marks a row and one of read, list or update does not look at the mark; caches keep the "
    "object; a delete of nothing is reported as a success.",
    remedy="Delete the row, or filter the mark in every query (a view or a default scope). Answer 404 if no "
    "row was met.",
    example=Example(
        sent="delete, then read",
        right="404",
        wrong="200 with the object",
    ),
)

suite_rule(
    id="STA-4",
    level=Level.MUST,
    clause=_OUTPUT,
    title="Functions that read change nothing",
    why="Reads are repeated, cached and prefetched freely; one that writes does so again each time.",
    causes="A read counts visits, touches a time stamp that is shown, marks messages as read or creates "
    "missing records.",
    remedy="Move such effects to a function that the catalogue calls write, or set `x-effect` to what the "
    "function does.",
    example=Example(
        sent="course.read, then course.read",
        right="the same object twice",
        wrong="another value of some member",
    ),
)

suite_rule(
    id="STA-5",
    level=Level.MUST,
    clause=_RESULT,
    title="Concurrent creates are all kept, each with its own identifier",
    why="An identifier computed as «the highest plus one» gives two users one object, and only under load. "
    "A create sent twice by a nervous finger must not be an internal error.",
    causes="Identifiers are computed as the highest plus one or from the time; the check for a duplicate and "
    "the insert are two steps; a shared list is appended to without a lock; a unique index ends as 500.",
    remedy="Let the database draw identifiers (a sequence, a UUID), rely on unique constraints, and answer "
    "400 for a violated one.",
    example=Example(
        sent="20 creates at once",
        right="20 objects with 20 identifiers",
        wrong="an identifier twice, an object missing, or 500",
    ),
)

suite_rule(
    id="STA-6",
    level=Level.MUST,
    clause=f"{_RESULT}; Authentication: «work within the same login session»",
    title="A model driven by random sequences of calls agrees at every step",
    why="The faults that single tests miss lie in orders of calls that nobody thought of.",
    causes="State is shared between calls in a way that single tests do not meet: caches, references to a "
    "mutable object, cascades, permissions that are computed once, a lost update.",
    remedy="Run the sequence that the finding shows (it is shortened to the fewest calls), and compare the "
    "stored state after each step with what the last answer should have been.",
    example=Example(
        sent="the sequence of calls in the finding",
        right="each answer as the earlier calls make it",
        wrong="an answer that contradicts an earlier one",
    ),
)
