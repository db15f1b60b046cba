"""Rules on requests: what may be left out, and which requests must be refused."""

from __future__ import annotations

from conformance.rulebook.model import Level, suite_rule

_FIELDS = "HTTP request structure: «All the fields except method are not obligatory»"
_INVALID = "HTTP response codes: «Invalid data was sent»"

suite_rule(
    id="REQ-1",
    level=Level.MUST,
    clause=_FIELDS,
    title="Without a method's name a request is invalid: 400",
    why="A call that names no function must not run one, nor crash the server that looks it up. "
    "Another spelling of the member, such as Method, does not name it either.",
)

suite_rule(
    id="REQ-2",
    level=Level.MUST,
    clause=_FIELDS + "; null: wire",
    title="data may be left out where no argument is required",
    why="The public client wrappers leave data out of calls that take no arguments.",
)

suite_rule(
    id="REQ-3",
    level=Level.MUST,
    clause=_FIELDS,
    title="pageStart and pageLength may be left out, each alone or both",
    why="Most calls are made without paging; a server that insists on it refuses them all.",
)

suite_rule(
    id="REQ-4",
    level=Level.MUST,
    clause=f"{_INVALID}; General: «encoded as a JSON string»",
    title="A body that is not JSON is refused with 400",
    why="A body that was cut or garbled on its way must not be guessed at: the guess may be another call.",
)

suite_rule(
    id="REQ-5",
    level=Level.MUST,
    clause=_INVALID,
    title="JSON that is not an object is refused with 400",
    why="An array or a bare value names no function; servers that index into it without looking crash.",
)

suite_rule(
    id="REQ-6",
    level=Level.MUST,
    clause=f"{_INVALID}; HTTP request structure: «all the function arguments go here»",
    title="data that is neither an object nor null is refused with 400",
    why="Arguments have names; a list or a text in their place is a caller's mistake, to be told to them. "
    "That holds for the right values by position, and for the right object as JSON text, too.",
)

suite_rule(
    id="REQ-7",
    level=Level.MUST,
    clause=_INVALID,
    title="A required argument left out, or null, is refused with 400",
    why="A default that the server makes up in place of a required argument does something nobody asked for. "
    "An argument under another spelling of its name alone is left out.",
)

suite_rule(
    id="REQ-8",
    level=Level.MUST,
    clause=_INVALID,
    title="An argument of another type than declared is refused with 400",
    why="Silent conversion («12abc» to 12, [] to false) reads or changes another object than was meant. "
    "A value that a lenient reader converts to the valid one («12» for 12, [v] for v) is of another type, too.",
)

suite_rule(
    id="REQ-9",
    level=Level.MUST,
    clause=_INVALID,
    title="A value outside its declared range, length, enumeration, pattern or format is refused with 400",
    why="What the schema forbids was promised to every reader never to be in the data: "
    "the ordinal of a listed value and blanks around a format are no values of theirs.",
)

suite_rule(
    id="REQ-10",
    level=Level.SHOULD,
    clause="hardening (HTTP request structure)",
    title="Unknown top-level members change nothing",
    why="Newer clients add members; an older server that stumbles over them makes every upgrade a flag day.",
)

suite_rule(
    id="REQ-11",
    level=Level.MUST,
    clause="General: «encoded as a JSON string»",
    title="Order of members, white space and \\u escapes change nothing",
    why="JSON libraries differ in all three, and no caller has control over them.",
)

suite_rule(
    id="REQ-12",
    level=Level.SHOULD,
    clause="hardening (RFC 8259; General: «encoded as a JSON string»)",
    title="What only a lenient reader takes for JSON is refused with 400",
    why="NaN, comments, other numbers, raw control characters and UTF-16 mean another call to the next reader.",
)
