"""Rules on arguments, tested with generated data."""

from __future__ import annotations

from conformance.rulebook.model import Example, Level, suite_rule

_ARGUMENTS = "HTTP request structure: «all the function arguments go here»"
_INVALID = "HTTP response codes: «Invalid data was sent»"

suite_rule(
    id="DAT-1",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Data that the schema allows is accepted",
    why="The schema is what callers validate against; a valid call that is refused fails only in production.",
    causes="A check is stricter than the schema: a limit of a column, a pattern that knows only ASCII, a rule "
    "of business that the schema does not say, optional arguments that are required in code, null not "
    "expected.",
    remedy="Loosen the check, or tighten the schema in the catalogue. For rules that JSON Schema cannot "
    "express mark the function `x-beyond-schema`.",
    example=Example(
        sent='{"method":"add","data":{"title":"Ünïcode ✓"}}',
        right="200",
        wrong="400",
    ),
)

suite_rule(
    id="DAT-2",
    level=Level.MUST,
    clause=_INVALID,
    title="Data that the schema forbids is refused with 400",
    why="A check that is missing for one kind of violation lets exactly that kind into the data. "
    "An operator of a query language in place of an identifier finds objects that nobody named.",
    causes="One kind of violation is not checked: nested members, items of arrays, uniqueItems, "
    "additionalProperties, formats, or a type that the language converts.",
    remedy="Validate `data` against the declared schema with a JSON Schema validator (format checking on) in "
    "the dispatcher, not by hand in each function.",
    example=Example(
        sent='{"method":"add","data":{"title":"A","tags":[7]}}',
        right="400",
        wrong="200",
    ),
)

suite_rule(
    id="DAT-3",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Any JSON as data gets a documented code and the envelope",
    why="Callers have bugs; the answer to one must be readable by the same code as any other answer.",
    causes="A value of an unexpected shape is used before it is checked (`data.title.trim()` of a number), or "
    "a parser's limit (depth, size of numbers) ends in an exception.",
    remedy="Check that `data` is an object and each argument's type first. Catch every exception in the "
    "dispatcher.",
    example=Example(
        sent='{"method":"add","data":{"title":{"a":[]}}}',
        right="400 with the envelope",
        wrong="500 with a page of the framework",
    ),
)

suite_rule(
    id="DAT-4",
    level=Level.MUST,
    clause=_INVALID,
    title="Any bytes as the body get a documented code and the envelope",
    why="Whatever arrives over a network arrives some day; none of it may take the service down.",
    causes="Reading or decoding the body is outside the code that catches errors; the framework's own answer "
    "to a bad body gets out.",
    remedy="Read and decode the body inside the handler that writes the envelope, and answer 400 for whatever "
    "cannot be read.",
    example=Example(
        sent="the bytes ff fe 00",
        right="400 with the envelope",
        wrong="500, or a page of the framework",
    ),
)

suite_rule(
    id="DAT-5",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Text comes back as it went in, or is refused",
    why="Accents dropped, a text cut at an emoji or at a column's width: the loss shows only on reading. "
    "A whole text that looks like something else («null», «1e5», a date) is text in lists as well.",
    causes="Text is trimmed, normalized, escaped as HTML or cut at a column's width; the database's charset "
    "holds three bytes for each character (MySQL `utf8`); U+0000 ends a text; lists turn texts such as "
    "«null» into values.",
    remedy="Store text unchanged as UTF-8 (MySQL: `utf8mb4`), escape only where it is displayed, and answer "
    "400 for text that cannot be stored.",
    example=Example(
        sent='title "A 😀 B", created and read',
        right='"A 😀 B"',
        wrong='"A ? B", "A " or 500',
    ),
)

suite_rule(
    id="DAT-6",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Numbers come back as they went in, or are refused",
    why="An identifier past 2^53 that is rounded on its way names another object.",
    causes="Numbers go through floating point (JavaScript, PHP) or a narrow column: integers past 2^53 are "
    "rounded, others wrap or are clamped; 1e400 becomes Infinity.",
    remedy="Refuse with 400 what cannot be held exactly (`Number.isSafeInteger`), declare the bounds in the "
    "catalogue, and use decimal or 64-bit types where more is needed.",
    example=Example(
        sent="9007199254740993, created and read",
        right="9007199254740993, or 400",
        wrong="9007199254740992",
    ),
)

suite_rule(
    id="DAT-7",
    level=Level.MUST,
    clause=_INVALID,
    title="A refused write changes nothing",
    why="A caller that gets an error repeats the call or gives up; half of it must not be done.",
    causes="The function writes step by step and validates in between, or writes several rows without a "
    "transaction; an exception leaves what was written.",
    remedy="Validate everything first, then write in one transaction that is rolled back on any error.",
    example=Example(
        sent="an update with one valid and one invalid member, then a read",
        right="400, and nothing has changed",
        wrong="400, and the valid member has changed",
    ),
)

suite_rule(
    id="DAT-8",
    level=Level.MUST,
    clause=_ARGUMENTS,
    title="Injection strings and operators are data",
    why="Text that becomes part of a query, a template or a path hands the service to whoever typed it.",
    causes="Text from the request becomes part of SQL, a query object, a template, a path or a header by "
    "concatenation; objects are passed on to a document database as conditions.",
    remedy="Use bound parameters, check that a text is a string before it reaches a query, and never build "
    "paths, templates or headers from input.",
    example=Example(
        sent='{"method":"find","data":{"query":"x\' OR \'1\'=\'1"}}',
        right="the rows that match this text, usually none",
        wrong="all rows, or 500",
    ),
)

suite_rule(
    id="DAT-9",
    level=Level.SHOULD,
    clause="hardening (HTTP request structure)",
    title="Deep, wide and large data is answered in time",
    why="One request that costs as much as thousands is all it takes to keep everybody else out.",
    causes="Validation or parsing is quadratic or recursive; a regular expression backtracks; limits are "
    "missing or end in a timeout.",
    remedy="Limit depth and size early (400 or 413), keep validation linear, and rewrite expressions with "
    "nested repetition.",
    example=Example(
        sent="data of a megabyte, or nested 10,000 levels",
        right="a documented status or 413, in time in proportion",
        wrong="a timeout, or no answer",
    ),
)
