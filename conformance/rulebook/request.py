"""Rules on requests: what may be left out, and which requests must be refused."""

from __future__ import annotations

from conformance.rulebook.model import Example, Level, suite_rule

_FIELDS = "HTTP request structure: «All the fields except method are not obligatory»"
_INVALID = "HTTP response codes: «Invalid data was sent»"

suite_rule(
    id="REQ-1",
    level=Level.MUST,
    clause=_FIELDS,
    title="Without a method's name a request is invalid: 400",
    why="A call that names no function must not run one, nor crash the server that looks it up. "
    "Another spelling of the member, such as Method, does not name it either.",
    causes="The method's name is read from the body without a check, so a missing name is looked up as "
    "«undefined» or None; a default function is run when no name is given; names of members are "
    "compared without regard to case.",
    remedy="After parsing, check that `method` is present and a string that is not empty. Answer 400 "
    "otherwise, before any lookup.",
    example=Example(
        sent='{"data":{}}',
        right="400",
        wrong="404, 500, or the answer of some function",
    ),
)

suite_rule(
    id="REQ-2",
    level=Level.MUST,
    clause=_FIELDS + "; null: wire",
    title="data may be left out where no argument is required",
    why="The public client wrappers leave data out of calls that take no arguments.",
    causes="The handler reads `body.data.x` without checking that `data` is there, or a model requires the "
    "member `data`.",
    remedy="Take `{}` for `data` that is left out or null, in the dispatcher, before arguments are checked.",
    example=Example(
        sent='{"method":"status"}',
        right='the answer that {"method":"status","data":{}} gets',
        wrong="400 or 500",
    ),
)

suite_rule(
    id="REQ-3",
    level=Level.MUST,
    clause=_FIELDS,
    title="pageStart and pageLength may be left out, each alone or both",
    why="Most calls are made without paging; a server that insists on it refuses them all.",
    causes="Paging members are required by a model; one of the two is taken to imply the other; paging is "
    "ignored unless both are given.",
    remedy="Give `pageStart` the default 0 and `pageLength` no limit, each on its own.",
    example=Example(
        sent='{"method":"find","pageStart":2}',
        right="200 with all rows from the third on",
        wrong="400, or all rows from the first on",
    ),
)

suite_rule(
    id="REQ-4",
    level=Level.MUST,
    clause=f"{_INVALID}; General: «encoded as a JSON string»",
    title="A body that is not JSON is refused with 400",
    why="A body that was cut or garbled on its way must not be guessed at: the guess may be another call.",
    causes="A parser error is not caught and ends as 500; the parser repairs what it reads (form data, single "
    "quotes, a trailing comma); an empty body is taken for `{}`; invalid UTF-8 is replaced instead of "
    "refused.",
    remedy="Parse the whole body with a strict JSON parser after strict decoding of UTF-8, catch its error in "
    "one place, and answer 400 with the envelope.",
    example=Example(
        sent='{"method":"find",',
        right="400",
        wrong="200, or 500 with the parser's error",
    ),
)

suite_rule(
    id="REQ-5",
    level=Level.MUST,
    clause=_INVALID,
    title="JSON that is not an object is refused with 400",
    why="An array or a bare value names no function; servers that index into it without looking crash.",
    causes="The handler goes on to `body.method` whatever was parsed: null crashes, an array or a string has "
    "no method and is answered 404, or a batch of calls is accepted.",
    remedy="After parsing, check that the value is an object. Answer 400 otherwise.",
    example=Example(
        sent='[{"method":"find"}]',
        right="400",
        wrong="200, 404 or 500",
    ),
)

suite_rule(
    id="REQ-6",
    level=Level.MUST,
    clause=f"{_INVALID}; HTTP request structure: «all the function arguments go here»",
    title="data that is neither an object nor null is refused with 400",
    why="Arguments have names; a list or a text in their place is a caller's mistake, to be told to them. "
    "That holds for the right values by position, and for the right object as JSON text, too.",
    causes="`data` is read as if it were an object: a list is accepted as arguments by position, a JSON text "
    "is parsed once more, and text, number or boolean is taken for no arguments.",
    remedy="Check in the dispatcher that `data` is an object or null. Answer 400 otherwise.",
    example=Example(
        sent='{"method":"read","data":[7]}',
        right="400",
        wrong="200 or 500",
    ),
)

suite_rule(
    id="REQ-7",
    level=Level.MUST,
    clause=_INVALID,
    title="A required argument left out, or null, is refused with 400",
    why="A default that the server makes up in place of a required argument does something nobody asked for. "
    "An argument under another spelling of its name alone is left out.",
    causes="A missing argument becomes undefined, None or a zero value and goes on into the query; null "
    "passes a check that only looks for presence; a default is made up; names are compared without "
    "regard to case.",
    remedy="Check the presence of each required argument by its exact name, and its being null, against the "
    "declared parameters before the function runs. In Go use pointers, so that a missing member "
    "differs from a zero.",
    example=Example(
        sent='{"method":"read","data":{}}',
        right="400",
        wrong="200, 404 or 500",
    ),
)

suite_rule(
    id="REQ-8",
    level=Level.MUST,
    clause=_INVALID,
    title="An argument of another type than declared is refused with 400",
    why="Silent conversion («12abc» to 12, [] to false) reads or changes another object than was meant. "
    "A value that a lenient reader converts to the valid one («12» for 12, [v] for v) is of another type, too.",
    causes="The language or the framework converts: PHP and JavaScript compare loosely, FastAPI/pydantic and "
    'Jackson make 12 of "12", a query builder takes `{"$ne": null}` for a condition, a single-element '
    "array is unwrapped.",
    remedy="Check the JSON type of each argument before using it: pydantic `strict=True`, `typeof` and "
    "`Number.isInteger` in JavaScript, `declare(strict_types=1)` with `is_int` in PHP, "
    "`ALLOW_COERCION_OF_SCALARS` off in Jackson.",
    example=Example(
        sent='{"method":"read","data":{"courseId":"7"}}',
        right="400",
        wrong="200 with course 7",
    ),
)

suite_rule(
    id="REQ-9",
    level=Level.MUST,
    clause=_INVALID,
    title="A value outside its declared range, length, enumeration, pattern or format is refused with 400",
    why="What the schema forbids was promised to every reader never to be in the data: "
    "the ordinal of a listed value and blanks around a format are no values of theirs.",
    causes="Only the type is checked, and the rest is left to the database, which cuts, rounds or refuses "
    "with an exception; patterns are not anchored; an enumeration also takes its ordinal or text with "
    "blanks around it; formats are not checked by default.",
    remedy="Validate each argument against its whole declared schema: minimum, maximum, lengths, enum, "
    "pattern, and format with format checking switched on. Answer 400 at the first mismatch.",
    example=Example(
        sent='{"method":"add","data":{"title":""}} where minLength is 1',
        right="400",
        wrong="200",
    ),
)

suite_rule(
    id="REQ-10",
    level=Level.SHOULD,
    clause="hardening (HTTP request structure)",
    title="Unknown top-level members change nothing",
    why="Newer clients add members; an older server that stumbles over them makes every upgrade a flag day.",
    causes='A model of the request forbids extra members (`extra="forbid"`, `additionalProperties: false`, '
    "`DisallowUnknownFields`), or every top-level member is passed on as an argument.",
    remedy="Read the four members that the protocol names, and ignore all others at the top level.",
    example=Example(
        sent='{"method":"find","version":2}',
        right='the answer that {"method":"find"} gets',
        wrong="400",
    ),
)

suite_rule(
    id="REQ-11",
    level=Level.MUST,
    clause="General: «encoded as a JSON string»",
    title="Order of members, white space and \\u escapes change nothing",
    why="JSON libraries differ in all three, and no caller has control over them.",
    causes="The request is matched with a regular expression or read by position instead of with a JSON "
    "parser; a signature or a cache key is made of the raw text.",
    remedy="Parse the body with a JSON parser and use only the parsed value.",
    example=Example(
        sent='{ "data" : {} , "method" : "f\\u0069nd" }',
        right='the answer that {"method":"find","data":{}} gets',
        wrong="400 or 404",
    ),
)

suite_rule(
    id="REQ-12",
    level=Level.SHOULD,
    clause="hardening (RFC 8259; General: «encoded as a JSON string»)",
    title="What only a lenient reader takes for JSON is refused with 400",
    why="NaN, comments, other numbers, raw control characters and UTF-16 mean another call to the next reader.",
    causes="The parser is lenient by default: Python's `json` takes NaN and detects UTF-16, PHP, Gson, "
    "Newtonsoft and YAML parsers take comments, single quotes or unquoted names; invalid bytes are "
    "replaced while decoding.",
    remedy='Use the parser\'s strict mode: in Python `parse_constant` that raises and `body.decode("utf-8")` '
    "before `loads`; `JsonReader.setStrictness(STRICT)` in Gson; no JSON5 or YAML parser for requests.",
    example=Example(
        sent='{"method":"find","data":{"limit":NaN}}',
        right="400",
        wrong="200",
    ),
)
