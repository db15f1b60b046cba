"""Rules on paging: the first row and the number of rows of a response."""

from __future__ import annotations

from conformance.rulebook.model import Level, suite_rule

_START = "HTTP request structure: «data output starting row»"
_LENGTH = "HTTP request structure: «data output row limit»"

suite_rule(
    id="PAG-1",
    level=Level.MUST,
    clause=_LENGTH,
    title="At most pageLength rows come back",
    why="A client sizes its page, its memory and its patience by the limit that it asked for.",
)

suite_rule(
    id="PAG-2",
    level=Level.MUST,
    clause=_START,
    title="Pages laid end to end are the unpaged list",
    why="A row lost or shown twice at the seam of two pages is a course nobody finds or pays for twice. "
    "A page longer than the list shows all of it: a cap that nobody declared hides the rest.",
)

suite_rule(
    id="PAG-3",
    level=Level.MUST,
    clause="HTTP request structure: «If no output page limit is specified, then no limitation is performed»",
    title="Without pageLength all rows come back",
    why="Callers that never page take what comes for everything; a hidden limit cuts their data silently.",
)

suite_rule(
    id="PAG-4",
    level=Level.MUST,
    clause=_START,
    title="A pageStart past the end gives no rows",
    why="A client that pages until nothing comes must end there, not in an error or at the beginning again.",
)

suite_rule(
    id="PAG-5",
    level=Level.MUST,
    clause=f"{_START}, «data output row limit»; HTTP response codes: «Invalid data was sent»",
    title="A pageStart or pageLength that is no row number is refused with 400",
    why="A negative or textual limit that reaches the database is an error, every row, or an injection.",
)

suite_rule(
    id="PAG-6",
    level=Level.MUST,
    clause=_START,
    title="The order is the same from call to call while nothing changes",
    why="Row numbers mean something only in a fixed order; without one, pages skip and repeat rows.",
)

suite_rule(
    id="PAG-7",
    level=Level.MUST,
    clause=_LENGTH,
    title="pageLength 0 gives no rows, or 400",
    why="Zero taken for «not given» answers a request for nothing with the whole table.",
)

suite_rule(
    id="PAG-8",
    level=Level.MUST,
    clause=_START,
    title="Paging shows nothing that the unpaged call does not",
    why="A paged query that is built apart from the unpaged one forgets its filters, and the rights too.",
)
