"""PAG: «data output starting row», «data output row limit»."""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.helpers.builtin_names import rotated
from conformance.helpers.comparison import Lister, canonical, read
from conformance.helpers.list_views import fill, key, keys, views
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve

LAST = 2**31 - 1

#: Texts that number parsers of languages read as a number.
LENIENT_NUMBERS = (
    "0", "0x1", "0b1", "0o1", "1e0", "1abc", " 1", "1 ", "+1", "1_0", "1,0", "1.0", "01", "\u0661", "\uff11",
    "\u00b9", "true", "null", "NaN", "Infinity", "-1", "1;2", "$1",
)  # fmt: skip

paged = each_function(
    lambda method: method.rows is not None, otherwise="no function of the catalogue is paged"
)


def steady(ctx: TestContext, lister: Lister, look: Any) -> tuple[list[Any], Any]:
    """Return the whole list, and the result of `look` while it did not change.

    Raises:
        SetUpFailedError: it changes all the time, since others use the target.

    """
    for _ in range(3):
        before = keys(lister)
        seen = look(before)
        if sorted(map(repr, keys(lister))) == sorted(map(repr, before)):
            return before, seen
    raise SetUpFailedError(
        f"{lister.function.name} changes while it is looked at: others are at work on the target"
    )


@judges("PAG-1", "PAG-2", "PAG-3", "PAG-8", calls=40)
@paged
def test_pages_laid_end_to_end_are_the_list(ctx: TestContext, function: Method) -> None:
    """Read pages of different lengths, unfiltered and with each filter that leaves some rows."""
    for name, lister in views(ctx, function, ctx.amount(budgets.PAGED_ROWS)):
        where = f" when filtered by {name}" if name else ""
        lengths = _lengths(ctx, len(lister.rows()), bool(name))

        def look(
            whole: list[Any], lister: Lister = lister, lengths: list[int] = lengths
        ) -> dict[int, list[Page]]:
            return {length: _pages(lister, length, len(whole)) for length in lengths}

        whole, seen = steady(ctx, lister, look)
        for length, pages in seen.items():
            for page, exchange in pages:
                ctx.judge(
                    "PAG-1",
                    len(page) <= length,
                    kind=f"a page has more rows than pageLength{where}",
                    expected=f"at most {length} rows",
                    actual=f"{len(page)} rows",
                    exchange=exchange,
                    function=function.name,
                )
            joined = [row for page, _ in pages for row in page]
            # A target that filters after it cuts has all rows, too, but on later pages.
            wrong = _wrong_page(whole, [page for page, _ in pages], length)
            ctx.judge(
                "PAG-2",
                wrong is None,
                kind=f"pages laid end to end are not the list{where}",
                expected=f"{len(whole)} rows, page by page {length} at a time, in the order of the unpaged list",
                actual=_difference(whole, joined, length),
                exchange=pages[wrong or 0][1],
                function=function.name,
            )
            beyond = [row for row in joined if row not in whole]
            showing = next((each for page, each in pages if any(row in beyond for row in page)), None)
            ctx.judge(
                "PAG-8",
                not beyond,
                kind=f"a page shows rows that the unpaged list does not{where}",
                expected="only rows of the unpaged list",
                actual=f"{len(beyond)} rows that are not in it",
                exchange=showing,
                function=function.name,
            )
        if not name:
            _windows(ctx, lister)
        _starts(ctx, lister, whole, where)


def _windows(ctx: TestContext, lister: Lister) -> None:
    """Send a length without a start, and starts that are not a multiple of the length."""
    windows: list[tuple[Any, int]] = ctx.first([(OMIT, 3), (1, 3), (2, 5)], budgets.WINDOWS_OF_A_LIST)

    def look(whole: list[Any]) -> list[Page]:
        return [_page(lister, page_start=start, page_length=length) for start, length in windows]

    whole, seen = steady(ctx, lister, look)
    for (start, length), (page, exchange) in zip(windows, seen, strict=True):
        first = 0 if start is OMIT else start
        good = page == whole[first : first + length]
        ctx.judge(
            "PAG-1" if len(page) > length else "PAG-2",
            good,
            kind="pageLength without pageStart is not the first rows"
            if start is OMIT
            else "a page begins elsewhere",
            expected=f"rows {first} to {first + length - 1} of the unpaged list, of {len(whole)}",
            actual=f"{len(page)} rows" if len(page) != len(whole[first : first + length]) else "other rows",
            exchange=exchange,
            function=lister.function.name,
        )


def _lengths(ctx: TestContext, count: int, short: bool) -> list[int]:
    if ctx.quick:
        wanted = [ctx.rng.choice([2, 3, 5]), *([] if short else [max(1, count - 1)])]
    elif short:
        wanted = [2, 5, max(1, count - 1), count]
    else:
        wanted = [1, 2, 3, 7, 10, max(1, count - 1), count, count + 1]
    most = ctx.amount(budgets.PAGES_OF_A_LIST)
    return sorted({length for length in wanted if count / length <= most} or {max(1, count // 2)})


#: The keys of the rows of a page, and its exchange.
Page = tuple[list[Any], Exchange | None]


def _page(lister: Lister, **paging: Any) -> Page:
    found = keys(lister, **paging)
    return found, lister.last.brief() if lister.last is not None else None


def _pages(lister: Lister, length: int, count: int) -> list[Page]:
    return [
        _page(lister, page_start=start, page_length=length)
        for start in range(0, max(count, 1) + length, length)
    ]


def _wrong_page(whole: list[Any], pages: list[list[Any]], length: int) -> int | None:
    """Return the number of the first page that does not have the rows from its start on; None if all have."""
    return next(
        (
            number
            for number, page in enumerate(pages)
            if page != whole[number * length : (number + 1) * length]
        ),
        None,
    )


def _difference(whole: list[Any], joined: list[Any], length: int) -> str:
    if len(joined) != len(whole):
        return f"{len(joined)} rows at pageLength {length}, {len(set(map(repr, joined)))} of them different"
    place = next(
        (index for index, (one, other) in enumerate(zip(whole, joined, strict=True)) if one != other), None
    )
    if place is None:
        return f"at pageLength {length}, all rows, but some of them on a later page"
    return f"at pageLength {length}, row {place} is another than in the unpaged list"


def _starts(ctx: TestContext, lister: Lister, whole: list[Any], where: str) -> None:
    """«If no output page limit is specified, then no limitation is performed.»"""
    places = sorted({0, 1, 2, len(whole) // 2, len(whole) - 1})
    for start in ctx.some(places, budgets.PAGE_STARTS):
        rest = keys(lister, page_start=start)
        ctx.judge(
            "PAG-3",
            rest == whole[start:],
            kind=f"without pageLength not all rows from pageStart on come back{where}",
            expected=f"pageStart {start} and no pageLength: {len(whole) - start} rows",
            actual=f"{len(rest)} rows" if len(rest) != len(whole) - start else "other rows",
            exchange=lister.last,
            function=lister.function.name,
        )


@judges("PAG-2", "PAG-3", "STA-4", calls=20)
@paged
def test_no_limit_that_nobody_asked_for(ctx: TestContext, function: Method) -> None:
    """Create more rows than common limits: without paging, as many must come back as page by page."""
    user = ctx.who(function)
    data = ctx.valid(function, user, optional="none")
    want = ctx.amount(budgets.UNLIMITED_ROWS)
    fill(ctx, function, user, data, want)
    lister = Lister(ctx, function, user, data)
    whole, unpaged = _page(lister)
    paged_rows: list[Any] = []
    length = 20
    while len(paged_rows) <= len(whole) + 500:
        page = keys(lister, page_start=len(paged_rows), page_length=length)
        paged_rows += page
        if not page:
            break
    known = set(map(repr, whole))
    missing = [row for row in paged_rows if repr(row) not in known]
    ctx.judge(
        "PAG-3",
        not missing,
        kind="without pageLength not all rows come back",
        expected=f"at least the {len(set(map(repr, paged_rows)))} rows that come back page by page",
        actual=f"{len(whole)} rows",
        exchange=unpaged,
        function=function.name,
    )
    _none_lost(ctx, lister, whole)
    _long_pages(ctx, lister)
    _no_limit_in_other_words(ctx, lister)
    for resource in reversed(list(ctx.resources.owned())):
        role = function.object
        if (
            role is not None
            and resource.kind == role.kind
            and resource not in ctx.run.environment.sentinels
            and not ctx.resources.standing(resource)
        ):
            ctx.resources.remove(resource)


def _none_lost(ctx: TestContext, lister: Lister, whole: list[Any]) -> None:
    """Read a long list again: the objects that the run created, and that it showed before, must not be gone."""
    role = lister.function.object
    if role is None or not ctx.seeks("STA-4", _LOSES):
        return
    made = {
        repr(row): resource
        for resource in ctx.resources.owned()
        if resource.kind == role.kind and (row := canonical(resource.id)) in whole
    }
    before, lost = set(map(repr, whole)), set[str]()
    for _ in range(_LISTS_THAT_LOSE):
        now = set(map(repr, keys(lister)))
        lost |= before - now
        # Others may delete what the run did not make. A list that loses rows each time soon loses some of the run's.
        if not before - now or lost & set(made):
            break
        before = now
    exchange = lister.last
    gone = next((made[row] for row in sorted(lost & set(made))), None)
    # An object that can still be read was left out by the list, which other rules judge.
    deleted = gone is not None and (ctx.catalog.read(role.kind) is None or read(ctx, gone).status != 200)
    ctx.judge(
        "STA-4",
        not deleted,
        kind=_LOSES,
        expected="all objects that were listed before are still there",
        actual=f"{len(lost)} of {len(whole)} objects that were listed before are gone",
        exchange=exchange,
        function=lister.function.name,
    )


#: Calls of a list that are made at most while each shows fewer rows than the one before.
_LISTS_THAT_LOSE = 25

#: The finding that reading a long list deletes objects.
_LOSES = "reading a list of many rows deletes some of them"

#: Values of pageLength that show every row of a list, beside the number of its rows.
LONG_PAGES = (1_000, 100_000)


def _long_pages(ctx: TestContext, lister: Lister) -> None:
    """Read pages of exactly as many rows as there are and of many more: they must show every row."""

    def asked(whole: list[Any]) -> list[tuple[Any, int]]:
        lengths = [*rotated(ctx, [len(whole), *LONG_PAGES], budgets.LONG_PAGES), LAST]
        return [(start, length) for length in lengths for start in (OMIT, 1)]

    def look(whole: list[Any]) -> list[Exchange]:
        return [lister.exchange(page_start=start, page_length=length) for start, length in asked(whole)]

    whole, answers = steady(ctx, lister, look)
    for (start, length), exchange in zip(asked(whole), answers, strict=True):
        rows = resolve(exchange.data, lister.function.rows or "") if exchange.status == 200 else MISSING
        found = [key(lister, row) for row in rows] if isinstance(rows, list) else None
        if length == LAST and exchange.status == 400:
            # PAG-2 speaks of pages of up to a million rows.
            continue
        first = 0 if start is OMIT else start
        ctx.judge(
            "PAG-2",
            found == whole[first:],
            kind="a long page does not show every row",
            expected=f"pageLength {length}: rows {first} to {len(whole) - 1} of the unpaged list",
            actual=exchange.summary() if found is None else f"{len(found)} rows, or other rows",
            exchange=exchange,
            function=lister.function.name,
        )


def _no_limit_in_other_words(ctx: TestContext, lister: Lister) -> None:
    """Send a pageLength of null, which limits nothing where it is accepted, and a page of a call without data."""

    def look(whole: list[Any]) -> list[Exchange]:
        function = lister.function
        calls = [lister.exchange(page_length=None)]
        if not any(param.required for param in function.params):
            calls.append(ctx.call(function, OMIT, as_=lister.user, page_start=1, page_length=3))
        return calls

    whole, answers = steady(ctx, lister, look)
    for exchange, due, what in zip(
        answers,
        (whole, whole[1:4]),
        ("pageLength null", "pageStart 1, pageLength 3 and no data"),
        strict=False,
    ):
        rows = resolve(exchange.data, lister.function.rows or "") if exchange.status == 200 else None
        if not isinstance(rows, list):
            # REQ-2 and PAG-5 judge what is refused.
            continue
        found = [key(lister, row) for row in rows]
        ctx.judge(
            "PAG-3" if due is whole else "PAG-2",
            found == due,
            kind="pageLength null limits the rows"
            if due is whole
            else "a page of a call without data is another",
            expected=f"{what}: {len(due)} rows of the unpaged list",
            actual=f"{len(found)} rows, or other rows",
            exchange=exchange,
            function=lister.function.name,
        )


@judges("PAG-4")
@paged
def test_past_the_end(ctx: TestContext, function: Method) -> None:
    """Read a page after the end: it must be empty and not an error."""
    for name, lister in views(ctx, function, 3):
        count = len(lister.rows())
        # The last one is where 32 bits end; a target may handle the rows next to the end otherwise than far ones.
        near = ctx.some([count, count + 1, count + 1000], budgets.STARTS_BEYOND_THE_END)
        for start in [*near, 10**6, LAST]:
            for length in (OMIT, 10):
                exchange = lister.exchange(page_start=start, page_length=length)
                rows = resolve(exchange.data, function.rows or "") if exchange.status == 200 else MISSING
                ctx.judge(
                    "PAG-4",
                    exchange.status == 200 and rows == [],
                    kind="a pageStart past the end is not answered with no rows"
                    + (f" when filtered by {name}" if name else ""),
                    expected=f"pageStart {start} of {count} rows: status 200 and no rows",
                    actual=f"{len(rows)} rows" if isinstance(rows, list) else "",
                    exchange=exchange,
                )
        if ctx.quick:
            break


@judges("PAG-5")
@paged
def test_odd_paging_values(ctx: TestContext, function: Method) -> None:
    """Send negative, fractional, boolean and text values, which must be refused, and huge ones."""
    user = ctx.who(function)
    data = ctx.valid(function, user, optional="none")
    refused: list[tuple[str, Any]] = [
        ("negative", -1),
        ("negative", -(2**31)),
        ("fractional", 1.5),
        ("fractional", 0.1),
        ("boolean", True),
        ("boolean", False),
        ("textual", "1"),
        ("textual", ""),
        ("textual", "all"),
    ]
    # What number parsers and comparisons of languages accept by themselves.
    lenient: list[tuple[str, Any]] = [("textual", text) for text in LENIENT_NUMBERS]
    unusual: list[tuple[str, Any]] = [("1.0", 1.0), ("null", None), ("2^63", 2**63), ("10^30", 10**30)]
    huge = unusual[2:]
    # No rule speaks of these; they must not break the target.
    unusual += [("an array", [1]), ("an empty array", []), ("an object", {"$gt": 0})]
    for member, other in (("page_start", "page_length"), ("page_length", "page_start")):
        name = {"page_start": "pageStart", "page_length": "pageLength"}[member]
        for what, value in [
            *(_one_of_each(ctx, refused) if ctx.quick else refused),
            *rotated(ctx, lenient, budgets.LENIENT_NUMBERS),
        ]:
            for beside in ctx.first(({}, {other: 1}), budgets.OTHER_PAGE_MEMBERS):
                exchange = ctx.call(function, data, as_=user, **{member: value}, **beside)
                ctx.status(
                    "PAG-5",
                    exchange,
                    {400},
                    kind=f"a {what} {name} is not refused",
                    because=f"{name} is {as_json(value)}",
                )
        for what, value in [*huge, *ctx.some(unusual, budgets.UNUSUAL_PAGE_VALUES)][: len(unusual)]:
            exchange = ctx.call(function, data, as_=user, **{member: value})
            ctx.status("PAG-5", exchange, {200, 400}, kind=f"{name} {what} is answered neither 200 nor 400")


def _one_of_each(ctx: TestContext, refused: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return a value of each kind, chosen by the seed; of texts the one that is a number, and the empty one."""
    kinds = dict.fromkeys(what for what, _ in refused)
    drawn = [ctx.rng.choice([each for each in refused if each[0] == kind]) for kind in kinds]
    texts = [("textual", "1"), ("textual", "")]
    return [*(each for each in drawn if each[0] != "textual"), *texts]


@judges("PAG-6", calls=25)
@paged
def test_order_stays(ctx: TestContext, function: Method) -> None:
    """Repeat a call: the rows must come in the same order while nothing changes."""
    for name, lister in views(ctx, function, 9):
        calls: list[dict[str, Any]] = [{}, {"page_start": 1}, {"page_start": 0, "page_length": 5}]
        for paging in calls[:: ctx.amount(budgets.REPEATED_PAGE_STEP)]:
            first = keys(lister, **paging)
            for _ in range(ctx.amount(budgets.PAGE_REPETITIONS)):
                again = keys(lister, **paging)
                if sorted(map(repr, first)) != sorted(map(repr, again)) and not paging:
                    first = again
                    continue
                ctx.judge(
                    "PAG-6",
                    first == again,
                    kind="the order changes from call to call"
                    + (f" when filtered by {name}" if name else ""),
                    expected="the same rows in the same order",
                    actual="another order"
                    if len(first) == len(again)
                    else f"{len(again)} rows after {len(first)}",
                    exchange=lister.last,
                    function=function.name,
                )


@judges("PAG-7")
@paged
def test_page_of_no_rows(ctx: TestContext, function: Method) -> None:
    """Send a pageLength of 0: it must return no rows, or be refused."""
    for name, lister in views(ctx, function, 3):
        for start in ctx.some([OMIT, 0, 1], budgets.STARTS_OF_EMPTY_PAGES):
            exchange = lister.exchange(page_start=start, page_length=0)
            rows = ctx.resources.rows(function, exchange)
            ctx.judge(
                "PAG-7",
                exchange.status == 400 or (exchange.status == 200 and not rows),
                kind="a pageLength of 0 gives rows" + (f" when filtered by {name}" if name else ""),
                expected="no rows, or status 400",
                actual=f"{len(rows)} rows",
                exchange=exchange,
            )
