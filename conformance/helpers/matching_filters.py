"""Filters under which a list shows a given object, and pairs of them (ACC-4, STA-3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Param
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.helpers.comparison import Lister, equal
from conformance.resources.registry import Resource
from conformance.schema.pointer import resolve

__all__ = ["combined", "matching_filters", "shows"]

Filter = dict[str, Any]


def shows(lister: Lister, resource: Resource, **paging: Any) -> bool:
    """Return whether a list shows an object; a list that is refused shows none."""
    function = lister.function
    assert function.object is not None
    lister.last = lister.exchange(**paging)
    rows = lister.ctx.resources.rows(function, lister.last)
    return any(equal(resolve(row, function.object.id), resource.id) for row in rows)


def matching_filters(
    ctx: TestContext, lister: Lister, resource: Resource, *, references: bool = False
) -> list[Filter]:
    """Return filters, one for each optional argument of a list, under which it shows the object.

    With `references` the filters are those by identifiers of other objects, else those by other values.
    """
    function = lister.function
    optional = [param for param in function.params if not param.required and bool(param.ref) is references]
    found: list[Filter] = []
    for param in ctx.some(optional, budgets.MATCHING_FILTERS):
        values = _referred(param, resource.sent) if references else _candidates(ctx, param, resource.sent)
        for value in itertools.islice(values, 2):
            data = {**lister.data, param.name: value}
            if not function.data.valid(data):
                continue
            if shows(Lister(ctx, function, lister.user, data), resource):
                found.append({param.name: value})
                break
    return found


def _referred(param: Param, sent: dict[str, Any]) -> Iterator[Any]:
    """Yield identifiers that an object was created with, alone or in an array with a name in the plural."""
    for name in (param.name, f"{param.name}s"):
        value = sent.get(name)
        if isinstance(value, list):
            yield from value[:1]
        elif value is not None:
            yield value


def _candidates(ctx: TestContext, param: Param, sent: dict[str, Any]) -> Iterator[Any]:
    """Yield values of an argument that may match an object which was created with these values."""
    schema = param.schema if isinstance(param.schema, dict) else {}
    if sent.get(param.name) is not None:
        yield sent[param.name]
        return
    types = schema.get("type")
    kinds = set(types) if isinstance(types, list) else {types}
    if "enum" in schema:
        yield from (value for value in schema["enum"] if value is not None)
    elif kinds & {"integer", "number"}:
        yield schema.get("maximum", 10**6)
        yield schema.get("minimum", 0)
    elif "boolean" in kinds:
        yield from (True, False)
    elif "string" in kinds and str(schema.get("format", "")).startswith("date"):
        yield from ("1970-01-01", "1970-01-01T00:00:00Z")
    elif "string" in kinds:
        texts = [value for value in sent.values() if isinstance(value, str) and ctx.resources.tag in value]
        yield from texts


def combined(ctx: TestContext, filters: list[Filter]) -> list[Filter]:
    """Return each filter alone, and pairs of them: an OR without brackets shows more under two than under one."""
    pairs = [{**one, **other} for one, other in itertools.combinations(filters, 2)]
    everything: Filter = {name: value for each in filters for name, value in each.items()}
    return [
        *filters,
        *([everything] if len(filters) > 2 else []),
        *ctx.some(pairs, budgets.PAIRS_OF_FILTERS),
    ]
