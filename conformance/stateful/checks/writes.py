"""Checks of calls that create, update, delete or use objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.catalog.model import Method
from conformance.helpers.comparison import equal
from conformance.schema.pointer import MISSING, resolve
from conformance.stateful.entities import Disagreement, Entity
from conformance.stateful.script import StepResult, named_in
from conformance.stateful.state import State

__all__ = ["check_act", "check_create", "check_delete", "check_other_user", "check_update", "use_of_deleted"]


def check_create(state: State, result: StepResult) -> Disagreement | None:
    """Check that a new object has an identifier of its own, and note what it was given."""
    step = result.step
    method = state.catalog.methods[step.function]
    assert method.object is not None
    assert step.about is not None
    if result.status != 200:
        return None
    state.note_write(method.object.kind)
    identifier = resolve(result.exchange.data, method.object.id)
    if identifier is MISSING or identifier is None or isinstance(identifier, (dict, list)):
        return None
    other = next((b for b in state.of_kind(method.object.kind) if equal(b.id, identifier)), None)
    if other is not None and other.state == "exists":
        return state.disagreement(
            result, "twin", "an identifier of its own", f"that of {other.name}, which still exists"
        )
    if other is not None:
        # The identifier is used again, so nothing more can be said of the earlier object (STA-3).
        del state.entities[other.name]
    sent = result.sent if isinstance(result.sent, dict) else {}
    entity = Entity(
        step.about, method.object.kind, step.user, identifier, sent, refers_to=named_in(step.data)
    )
    state.entities[entity.name] = entity
    if step.valid:
        _note_given(state, entity, method, sent)
    state.mark_related_changed(entity)
    return _check_references(state, result)


def _check_references(state: State, result: StepResult) -> Disagreement | None:
    """Check that an accepted call refers to no deleted object."""
    used = [state.entities[name] for name in named_in(result.step.data) if name in state.entities]
    deleted = next(
        (entity for entity in used if entity.state == "gone" and entity.name != result.step.about), None
    )
    if deleted is None:
        return None
    return state.disagreement(
        result, "dead used", f"status 400, 403 or 404: {deleted.name} was deleted", result.exchange.summary()
    )


def _note_given(state: State, entity: Entity, method: Method, sent: Mapping[str, Any]) -> None:
    """Note the values that a call gave; either is acceptable where two calls of a group give one member."""
    given = state.shape(entity.kind).given
    own = method.object.id if method.object else ""
    for param in method.params:
        if param.name in sent and param.name != own and param.name in given:
            concurrently = (entity.name, param.name) in state.given_in_group
            values = entity.unseen.get(param.name, []) if concurrently else []
            entity.unseen[param.name] = [*values, sent[param.name]]
            entity.given.add(param.name)
            state.given_in_group.append((entity.name, param.name))


def check_update(state: State, result: StepResult) -> Disagreement | None:
    """Check an update, and note the values that it gave."""
    step = result.step
    entity = state.entities.get(step.about or "")
    if entity is None:
        return None
    method = state.catalog.methods[step.function]
    if step.user != entity.owner:
        return check_other_user(state, result, entity)
    if result.status != 200:
        return _check_not_found(state, result, entity)
    state.note_write(entity.kind)
    if entity.state == "gone":
        entity.state = "uncertain"
        return use_of_deleted(state, result, entity, "dead changed")
    entity.state = "exists"
    entity.refers_to |= named_in(step.data) - {entity.name}
    if step.valid and isinstance(result.sent, dict):
        entity.own_change = True
        if (
            not result.sent.keys() - {method.object.id if method.object else ""}
            <= state.shape(entity.kind).stable
        ):
            # Such a change (a state, a flag) may give other users access; a new title cannot.
            entity.refused.clear()
        _note_given(state, entity, method, result.sent)
    else:
        # Other rules judge that it should have been refused (REQ-7 to REQ-9, DAT-2). Its effect is learned.
        entity.forget()
        entity.refused.clear()
    state.mark_related_changed(entity)
    return _check_references(state, result)


def _check_not_found(state: State, result: StepResult, entity: Entity) -> Disagreement | None:
    """Check that an object is not reported as not found to its owner while it exists."""
    others = (state.entities.get(name) for name in named_in(result.step.data))
    all_exist = all(other is not None and other.state == "exists" for other in others)
    being_deleted = entity.name in state.concurrent.deleted and result.step.does != "delete"
    if (
        result.status == 404
        and result.step.valid
        and entity.state == "exists"
        and all_exist
        and not being_deleted
    ):
        entity.state = "uncertain"
        return state.disagreement(
            result, "not found", f"{entity.name} exists: it was never deleted", result.exchange.summary()
        )
    return None


def use_of_deleted(state: State, result: StepResult, entity: Entity, check: str) -> Disagreement:
    """Return the disagreement that a deleted object was still usable."""
    return state.disagreement(
        result,
        check,
        f"status 400, 403 or 404: {entity.name} was deleted",
        result.exchange.summary(),
    )


def check_other_user(state: State, result: StepResult, entity: Entity) -> Disagreement | None:
    """Check a call of another user: what was refused before must stay refused.

    Which calls must be refused at all is judged by ACC-2.
    """
    step = result.step
    key = (step.user, step.does)
    if result.status != 200:
        if result.status in (403, 404) and entity.state == "exists" and step.valid:
            entity.refused.add(key)
        return None
    before = key in entity.refused
    if step.does != "read":
        state.note_write(None)
        entity.forget()
        state.mark_related_changed(entity)
        if step.does == "delete":
            entity.state = "uncertain"
    if before:
        return state.disagreement(
            result,
            "stranger",
            f"status 403 or 404: {entity.name} is {entity.owner}'s, and was refused before",
            "status 200",
        )
    return None


def check_delete(state: State, result: StepResult) -> Disagreement | None:
    """Check a deletion; objects under the deleted one may be deleted with it."""
    step = result.step
    entity = state.entities.get(step.about or "")
    if entity is None:
        return None
    if step.user != entity.owner:
        return check_other_user(state, result, entity)
    if result.status != 200:
        return _check_not_found(state, result, entity)
    state.note_write(entity.kind)
    if entity.state == "gone":
        return use_of_deleted(state, result, entity, "dead deleted")
    entity.state = "gone"
    state.mark_related_changed(entity)
    for other in state.descendants(entity):
        if other.state == "exists":
            other.state = "uncertain"
    return None


def check_act(state: State, result: StepResult) -> Disagreement | None:
    """Check a call of another function on an object, after which its values are learned again."""
    entity = state.entities.get(result.step.about or "")
    if entity is None or result.status != 200:
        return None
    state.note_write(None)
    if entity.state == "gone":
        return use_of_deleted(state, result, entity, "dead used")
    entity.forget()
    entity.refused.clear()
    entity.state = "uncertain"
    state.mark_related_changed(entity)
    return None
