"""Checks of what an object shows when it is read."""

from __future__ import annotations

from typing import Any

from conformance.helpers.comparison import equal, seen
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve
from conformance.stateful.checks.writes import check_other_user, use_of_deleted
from conformance.stateful.entities import Disagreement, Entity, Shape
from conformance.stateful.script import StepResult, shortened
from conformance.stateful.state import NOT_FOUND_STATUSES, State

__all__ = ["check_read"]


def check_read(state: State, result: StepResult) -> Disagreement | None:
    """Check that an object can be read exactly when it exists, and shows the right values."""
    step, status = result.step, result.status
    entity = state.entities.get(step.about or "")
    if entity is None:
        return None
    if step.user != entity.owner:
        return check_other_user(state, result, entity)
    if status != 200:
        if entity.name in state.concurrent.deleted:
            return None
        if entity.state == "exists" and status in NOT_FOUND_STATUSES:
            entity.state, entity.lost = "gone", True
            return state.disagreement(
                result, "missing", f"{entity.name} exists: status 200", result.exchange.summary()
            )
        if status in NOT_FOUND_STATUSES:
            entity.state = "gone"
        return None
    if entity.state == "gone":
        entity.state = "uncertain"
        return use_of_deleted(state, result, entity, "dead read")
    entity.state = "exists"
    return _check_shown(state, result, entity)


def _check_shown(state: State, result: StepResult, entity: Entity) -> Disagreement | None:
    """Compare what an object shows with what it should show, and note the rest."""
    method = state.catalog.methods[result.step.function]
    assert method.object is not None
    masked = method.volatile_mask(result.exchange.data)
    at = resolve(masked, method.object.at)
    shape = state.shape(entity.kind)
    found: Disagreement | None = None
    if isinstance(at, dict):
        found = _check_members(state, result, entity, shape, at)
    elif (
        entity.shown is not None
        and not entity.own_change
        and not entity.related_changed
        and not equal(entity.shown, at)
    ):
        found = state.disagreement(result, "moved", as_json(entity.shown), as_json(at))
    rest = _without(masked, method.object.at)
    settled = entity.rest is not None and not entity.own_change and not entity.related_changed
    if (
        found is None
        and settled
        and (entity.kind, "") not in state.knowledge.volatile
        and not equal(entity.rest, rest)
    ):
        found = state.disagreement(
            result, "moved", f"beside {entity.name}: {as_json(entity.rest)}", as_json(rest), member=""
        )
    entity.shown, entity.rest, entity.unseen = at, rest, {}
    entity.related_changed = entity.own_change = False
    return found


def _check_members(
    state: State, result: StepResult, entity: Entity, shape: Shape, at: dict[str, Any]
) -> Disagreement | None:
    """Check each member that an object shows, or should show."""
    before = entity.shown if isinstance(entity.shown, dict) else None
    for name in sorted({*at, *entity.unseen, *(before or {})}):
        got = at.get(name, MISSING)
        if name in entity.unseen:
            if got is MISSING and (before is None or name not in before):
                continue
            wanted = entity.unseen[name]
            if got is MISSING or not any(seen(value, got, shape.given[name]) for value in wanted):
                expected = " or ".join(shortened(value) for value in wanted)
                return state.disagreement(
                    result, "unlike", f"{name}: {expected}", f"{name}: {shortened(got)}", member=name
                )
            continue
        if before is None or (entity.kind, name) in state.knowledge.volatile:
            continue
        if entity.own_change and name not in shape.given:
            continue
        if entity.related_changed and not (name in entity.given and name in shape.stable):
            continue
        if (name in before) != (name in at) or not equal(before.get(name), at.get(name)):
            return state.disagreement(
                result,
                "moved",
                f"{name}: {shortened(before.get(name, MISSING))}",
                f"{name}: {shortened(got)}",
                member=name,
            )
    return None


def _without(value: Any, pointer: str) -> Any:
    """Return a value with nothing at the pointer."""
    if not pointer:
        return None
    head, _, rest = pointer[1:].partition("/")
    if isinstance(value, dict) and head in value:
        return {**value, head: _without(value[head], f"/{rest}" if rest else "")}
    return None if isinstance(value, list) else value
