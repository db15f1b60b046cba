"""Lists with enough rows for paging, unfiltered and with each filter that leaves some of them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.not_judged import NotJudgedError
from conformance.helpers.comparison import Lister, canonical
from conformance.protocol.session import SetUpFailedError
from conformance.schema.pointer import MISSING, resolve

__all__ = ["fill", "filtered", "key", "keys", "views"]


def key(lister: Lister, row: Any) -> Any:
    """Return what distinguishes rows: the identifier where the catalogue names one, else the whole row."""
    role = lister.function.object
    if role is not None and role.does == "list" and isinstance(row, (dict, list)):
        found = resolve(row, role.id)
        if found is not MISSING:
            return canonical(found)
    return canonical(row)


def keys(lister: Lister, **paging: Any) -> list[Any]:
    """Return the keys of the rows of a list."""
    return [key(lister, row) for row in lister.rows(**paging)]


def fill(ctx: TestContext, function: Method, user: str | None, data: dict[str, Any], want: int) -> int:
    """Create objects until a list has `want` rows; return how many it has."""
    lister = Lister(ctx, function, user, data)
    rows = len(lister.rows())
    role = function.object
    if role is None or user is None or ctx.resources.creator(role.kind, user) is None:
        return rows
    create = ctx.catalog.create(role.kind)
    assert create is not None
    shared = {
        param.name: data[param.name]
        for param in create.params
        if param.required and param.ref and param.name in data
    }
    if ctx.catalog.delete(role.kind) is None:
        # Objects that cannot be deleted are created sparingly.
        want = min(want, 12)
    while rows < want:
        for _ in range(want - rows):
            ctx.resources.new(role.kind, user, optional="some", **shared)
        now = len(lister.rows())
        if now <= rows:
            break
        rows = now
    return rows


def views(ctx: TestContext, function: Method, want: int) -> Iterator[tuple[str, Lister]]:
    """Yield a list, unfiltered and with each filter that leaves some rows, for a user who sees enough rows.

    Raises:
        NotJudgedError: nobody sees two rows.

    """
    user = ctx.who(function)
    strangers(ctx, function, user)
    data = ctx.valid(function, user, optional="none")
    rows = fill(ctx, function, user, data, want)
    if rows < 2:
        for other in ctx.profile.users if user is not None else ():
            if other != user and ctx.resources.may_call(other, function):
                theirs = ctx.valid(function, other, optional="none")
                if len(Lister(ctx, function, other, theirs).rows()) > rows:
                    user, data = other, theirs
                    rows = len(Lister(ctx, function, user, data).rows())
    if rows < 2:
        raise NotJudgedError(f"{function.name} lists {rows} rows; two are needed to see paging")
    yield "", Lister(ctx, function, user, data)
    yield from filtered(ctx, function, user, data)


def strangers(ctx: TestContext, function: Method, user: str | None) -> None:
    """Create objects of the kind as other users, where possible, since a list may wrongly show them."""
    role = function.object
    if role is None or user is None:
        return
    for other in ctx.profile.users:
        if other != user and ctx.resources.creator(role.kind, other) is not None:
            with contextlib.suppress(SetUpFailedError):
                ctx.resources.any(role.kind, other)


def filtered(
    ctx: TestContext, function: Method, user: str | None, data: dict[str, Any]
) -> Iterator[tuple[str, Lister]]:
    """Yield the list with filters that are known to leave at least two rows."""
    sample = Lister(ctx, function, user, data).rows()
    optional = [param for param in function.params if not param.required]
    chosen = ctx.some(optional, budgets.FILTERS)
    if len(chosen) < len(optional):
        # A filter that the rows show to leave some of them, but not all, is a better test than others.
        dividing = [param for param in optional if _dividing(param.name, sample)]
        better = {param.name: param for param in (*ctx.some(dividing, budgets.FILTERS), *chosen)}
        chosen = list(better.values())[: len(chosen)]
    for param in chosen:
        found: list[tuple[int, Any]] = []
        candidates = _candidates(ctx, param.name, param.schema, sample)
        values = ctx.some(candidates, budgets.FILTER_VALUES)
        if len(values) < len(candidates):
            first = _dividing(param.name, sample)[:1]
            values = [*first, *(value for value in values if value not in first)][: len(values)]
        for value in values:
            filled = {**data, param.name: value}
            if not function.data.valid(filled):
                continue
            lister = Lister(ctx, function, user, filled)
            exchange = lister.exchange()
            if exchange.status != 200:
                continue
            count = len(ctx.resources.rows(function, exchange))
            if count >= 2:
                found.append((count, value))
        # The filter that leaves most rows, but not all, is the best test.
        found.sort(key=lambda pair: (pair[0] == len(sample), -pair[0]))
        for _, value in ctx.first(found, budgets.FILTERED_LISTS):
            yield param.name, Lister(ctx, function, user, {**data, param.name: value})


def _dividing(name: str, rows: list[Any]) -> list[Any]:
    """Return values of a member that two rows or more show, but not all."""
    shown = [row.get(name) for row in rows if isinstance(row, dict)]
    single = [value for value in shown if value is not None and not isinstance(value, (dict, list))]
    counts = Counter(repr(canonical(value)) for value in single)
    values = {repr(canonical(value)): value for value in single}
    return [value for text, value in values.items() if 2 <= counts[text] < len(rows)]


def _candidates(ctx: TestContext, name: str, schema: dict[str, Any], rows: list[Any]) -> list[Any]:
    values: list[Any] = []
    if "enum" in schema:
        values += schema["enum"]
    if schema.get("type") == "boolean":
        values += [True, False]
    texts: list[str] = []
    for row in rows[:: max(1, len(rows) // 12)]:
        if isinstance(row, dict):
            if name in row and not isinstance(row[name], (dict, list)):
                values.append(row[name])
            texts += [value for value in row.values() if isinstance(value, str)]
    if (
        schema.get("type") in ("string", ["string", "null"])
        and "enum" not in schema
        and "format" not in schema
    ):
        values += [
            ctx.resources.tag,
            ctx.resources.tag[:7],
            *(text.split()[0] for text in texts[:3] if text.split()),
            "e",
            "a",
        ]
    if schema.get("type") in ("integer", "number"):
        values += [schema.get("minimum", 0), schema.get("maximum", 10**6)]
    unique: list[Any] = []
    for value in values:
        if value is not None and canonical(value) not in map(canonical, unique):
            unique.append(value)
    return unique[:8]
