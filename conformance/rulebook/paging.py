"""Rules on paging: the first row and the number of rows of a response."""

from __future__ import annotations

from conformance.rulebook.model import Example, Level, suite_rule

_START = "HTTP request structure: «data output starting row»"
_LENGTH = "HTTP request structure: «data output row limit»"

suite_rule(
    id="PAG-1",
    level=Level.MUST,
    clause=_LENGTH,
    title="At most pageLength rows come back",
    why="A client sizes its page, its memory and its patience by the limit that it asked for.",
    causes="`pageLength` is ignored, raised to a minimum, or applied before rows are joined or added.",
    remedy="Limit the final list: `LIMIT pageLength` in the query, or a slice after all filters.",
    example=Example(
        sent='{"method":"find","pageLength":2}',
        right="at most 2 rows",
        wrong="3 rows or more",
    ),
)

suite_rule(
    id="PAG-2",
    level=Level.MUST,
    clause=_START,
    title="Pages laid end to end are the unpaged list",
    why="A row lost or shown twice at the seam of two pages is a course nobody finds or pays for twice. "
    "A page longer than the list shows all of it: a cap that nobody declared hides the rest.",
    causes="`pageStart` is taken for a page number, is counted from one, or is ignored unless `pageLength` is "
    "given; the limit is capped silently; the order has ties.",
    remedy="Skip exactly `pageStart` rows (`OFFSET pageStart`) of a list in a total order, and take "
    "`pageLength` rows without a hidden cap.",
    example=Example(
        sent='{"method":"find","pageStart":2,"pageLength":2}',
        right="the third and the fourth row",
        wrong="the fifth and the sixth",
    ),
)

suite_rule(
    id="PAG-3",
    level=Level.MUST,
    clause="HTTP request structure: «If no output page limit is specified, then no limitation is performed»",
    title="Without pageLength all rows come back",
    why="Callers that never page take what comes for everything; a hidden limit cuts their data silently.",
    causes="A default limit (10, 25, 100) is used where `pageLength` is left out.",
    remedy="Without `pageLength` return all rows from `pageStart` on.",
    example=Example(
        sent='{"method":"find"} with 30 rows',
        right="30 rows",
        wrong="25 rows",
    ),
)

suite_rule(
    id="PAG-4",
    level=Level.MUST,
    clause=_START,
    title="A pageStart past the end gives no rows",
    why="A client that pages until nothing comes must end there, not in an error or at the beginning again.",
    causes="A start past the end is refused, wraps round to the beginning, or crashes on an index.",
    remedy="Answer 200 with an empty list.",
    example=Example(
        sent='{"method":"find","pageStart":100000}',
        right="200 with no rows",
        wrong="400, 404, 500 or the first rows",
    ),
)

suite_rule(
    id="PAG-5",
    level=Level.MUST,
    clause=f"{_START}, «data output row limit»; HTTP response codes: «Invalid data was sent»",
    title="A pageStart or pageLength that is no row number is refused with 400",
    why="A negative or textual limit that reaches the database is an error, every row, or an injection.",
    causes="The two are not validated: text and booleans are converted, a negative number reaches a slice or "
    "LIMIT, a fraction is truncated, a huge integer overflows.",
    remedy="Check that each is an integer of 0 or more and no boolean. Answer 400 otherwise, and 400 beyond "
    "the database's range.",
    example=Example(
        sent='{"method":"find","pageStart":-1}',
        right="400",
        wrong="200 or 500",
    ),
)

suite_rule(
    id="PAG-6",
    level=Level.MUST,
    clause=_START,
    title="The order is the same from call to call while nothing changes",
    why="Row numbers mean something only in a fixed order; without one, pages skip and repeat rows.",
    causes="The query has no ORDER BY, orders by a column with ties, or iterates over a set, a Go map or "
    "parallel results.",
    remedy="Order by a unique key, or add one as the last criterion (`ORDER BY title, id`). Sort before "
    "slicing.",
    example=Example(
        sent="course.find twice",
        right="the same rows in the same order",
        wrong="another order",
    ),
)

suite_rule(
    id="PAG-7",
    level=Level.MUST,
    clause=_LENGTH,
    title="pageLength 0 gives no rows, or 400",
    why="Zero taken for «not given» answers a request for nothing with the whole table.",
    causes="A zero is falsy and is taken for «not given» (`if (pageLength)`, `pageLength || 100`, a zero "
    "value in Go).",
    remedy="Compare with null or undefined instead of with falsy; in Go use a pointer.",
    example=Example(
        sent='{"method":"find","pageLength":0}',
        right="200 with no rows, or 400",
        wrong="all rows",
    ),
)

suite_rule(
    id="PAG-8",
    level=Level.MUST,
    clause=_START,
    title="Paging shows nothing that the unpaged call does not",
    why="A paged query that is built apart from the unpaged one forgets its filters, and the rights too.",
    causes="Paged and unpaged calls are built by different queries, and the paged one lacks a filter or the "
    "check of rights.",
    remedy="Build one query with all its conditions, and add limit and offset to it at the end.",
    example=Example(
        sent='{"method":"find","pageStart":0,"pageLength":1000}',
        right="only rows of the unpaged call",
        wrong="rows that the unpaged call does not have",
    ),
)
