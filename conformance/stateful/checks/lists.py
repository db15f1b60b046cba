"""Checks of lists and their pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.catalog.model import Method
from conformance.helpers.comparison import equal, seen
from conformance.schema.pointer import MISSING, resolve
from conformance.stateful.entities import Disagreement, Entity
from conformance.stateful.script import StepResult, shortened
from conformance.stateful.state import ShownList, State, list_key

__all__ = ["check_list"]


def check_list(state: State, result: StepResult) -> Disagreement | None:
    """Check a list or a page of it."""
    step = result.step
    if result.status != 200:
        return None
    method = state.catalog.methods[step.function]
    assert method.object is not None
    rows = resolve(result.exchange.data, method.rows or "")
    if not isinstance(rows, list):
        return None
    pointer = method.object.id
    ids = [resolve(row, pointer) for row in rows]
    key = list_key(step, result.sent)
    last = state.shown_lists.get(key)
    if result.page is not None:
        start, length = result.page
        if last is None or not last.exact or equal(ids, last.ids[start : start + length]):
            return None
        return state.disagreement(
            result,
            "page",
            f"{length} rows from {start} on as the whole list has them: "
            f"{state.names_of(method.object.kind, last.ids[start : start + length])}",
            state.names_of(method.object.kind, ids),
        )
    if state.concurrent.written:
        # A list may or may not show what is written at the same time.
        state.shown_lists.pop(key, None)
        return _check_entities(state, result, method, rows, ids)
    state.shown_lists[key] = ShownList(ids)
    found = _check_entities(state, result, method, rows, ids)
    if found is None and last is not None and last.quiet:
        found = _check_other_rows(state, result, method, last.ids, ids)
    return found


def _check_entities(
    state: State, result: StepResult, method: Method, rows: list[Any], ids: list[Any]
) -> Disagreement | None:
    """Check that the list has each object of its user once, with the right values, and no deleted one."""
    assert method.object is not None
    user, kind = result.step.user, method.object.kind
    for entity in state.of_kind(kind):
        if state.concurrent.written & {entity.name, *(other.name for other in state.related(entity))}:
            continue
        times = sum(equal(entity.id, identifier) for identifier in ids)
        if entity.owner != user:
            if times and (user, "read") in entity.refused and entity.state == "exists":
                return state.disagreement(
                    result,
                    "list foreign",
                    f"{entity.name} is not listed: it is {entity.owner}'s, and {user} may not read it",
                    "it is listed",
                )
            continue
        if entity.state == "gone" and times:
            return state.disagreement(
                result, "list dead", f"{entity.name} is not listed: it was deleted", "it is"
            )
        if entity.state != "exists" or not _belongs(state, entity, method, result.sent):
            continue
        if times != 1:
            return state.disagreement(
                result,
                "list missing" if not times else "list twice",
                f"{entity.name} is listed once: it exists",
                f"{times} of {len(ids)} rows are it",
            )
        row = next(row for row, each in zip(rows, ids, strict=True) if equal(each, entity.id))
        found = _check_row(state, result, entity, method, row)
        if found is not None:
            return found
    return None


def _belongs(state: State, entity: Entity, method: Method, sent: Any) -> bool:
    """Return whether an object belongs to a list with this data: it was created with the same parents."""
    data = sent if isinstance(sent, dict) else {}
    return all(name in entity.sent and equal(entity.sent[name], value) for name, value in data.items())


def _check_row(
    state: State, result: StepResult, entity: Entity, method: Method, row: Any
) -> Disagreement | None:
    """Check the values that a row shows of an object."""
    masked = method.volatile_mask(result.exchange.data)
    rows = resolve(masked, method.rows or "")
    index = next((i for i, each in enumerate(_rows(result, method)) if each is row), None)
    if not isinstance(rows, list) or index is None or not isinstance(rows[index], dict):
        return None
    shape = state.shape(entity.kind)
    for name, got in rows[index].items():
        if name not in entity.given or (entity.kind, name) in state.knowledge.volatile:
            continue
        if entity.related_changed and name not in entity.unseen and name not in shape.stable:
            continue
        value = entity.value(name)
        wanted = entity.unseen.get(name) or ([] if value is MISSING else [value])
        if wanted and not any(seen(each, got, shape.given[name]) for each in wanted):
            expected = " or ".join(shortened(each) for each in wanted)
            return state.disagreement(
                result,
                "list row",
                f"{entity.name} is listed with {name}: {expected}",
                f"{name}: {shortened(got)}",
                member=name,
                about=entity.name,
            )
    return None


def _check_other_rows(
    state: State, result: StepResult, method: Method, before: list[Any], now: list[Any]
) -> Disagreement | None:
    """Check that no row appears or disappears that is not one of the script's objects."""
    assert method.object is not None
    own_ids = [entity.id for entity in state.of_kind(method.object.kind)]
    for check, some, others in (("list stray", now, before), ("list lost", before, now)):
        changed = [i for i in some if not _among(i, others) and not _among(i, own_ids)]
        # An identifier that is used again belongs to an object of the script, so it is not counted.
        if changed:
            more = "more" if check == "list stray" else "fewer"
            return state.disagreement(
                result,
                check,
                "beside the objects of this script the list is as it was",
                f"{len(changed)} {more} in {method.name}",
            )
    return None


def _rows(result: StepResult, method: Method) -> list[Any]:
    rows = resolve(result.exchange.data, method.rows or "")
    return rows if isinstance(rows, list) else []


def _among(identifier: Any, ids: Sequence[Any]) -> bool:
    return any(equal(identifier, each) for each in ids)
