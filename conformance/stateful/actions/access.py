"""Actions without a right to them: calls as another user, or without a session."""

from __future__ import annotations

from conformance.stateful.explorer import Explorer
from conformance.stateful.script import Step

__all__ = [
    "access_as_other_user",
    "call_without_session",
    "refused_delete_then_owner_delete",
    "refused_update_then_owner_update",
]


def access_as_other_user(explorer: Explorer) -> None:
    """Try to read, update and delete an object as another user; nothing may change."""
    entity = explorer.pick(lambda each: each.owner == explorer.owner)
    if entity is None or explorer.other is None:
        return
    resources, shape = explorer.ctx.resources, explorer.domain.kinds[entity.kind]
    session = explorer.session(explorer.other)
    if shape.read is not None and resources.may_call(explorer.other, shape.read):
        step = explorer.steps.reading(entity, session)
        if step is not None:
            explorer.do(step)
    if (explorer.other, "read") not in entity.refused:
        # A user who may read the object may be allowed to do more, which this rule does not judge.
        return
    if (
        shape.update is not None
        and resources.may_call(explorer.other, shape.update)
        and explorer.can_update(entity)
    ):
        data = explorer.data.for_update(entity)
        if data is not None:
            explorer.do(explorer.steps.update(entity, data, session))
    if (
        shape.delete is not None
        and resources.may_call(explorer.other, shape.delete)
        and explorer.rng.random() < 0.7
    ):
        deletion = explorer.steps.deletion(entity, session)
        if deletion is not None:
            explorer.do(deletion)
    explorer.look_at(entity)
    explorer.read_lists(entity)
    if explorer.rng.random() < 0.5:
        mine = explorer.existing(entity.kind, explorer.other)
        if mine:
            explorer.read_lists(mine[0])
            explorer.read(mine[0])


def refused_update_then_owner_update(explorer: Explorer) -> None:
    """Try to update an object as another user, then update it as its owner.

    The refused values must not be written later, and the other user's own objects must not be affected.
    """
    entity = explorer.pick(lambda each: each.owner == explorer.owner and explorer.can_update(each))
    if entity is None or explorer.other is None:
        return
    shape, resources = explorer.domain.kinds[entity.kind], explorer.ctx.resources
    if shape.read is None or shape.update is None:
        return
    if not (
        resources.may_call(explorer.other, shape.read) and resources.may_call(explorer.other, shape.update)
    ):
        return
    session = explorer.session(explorer.other)
    explorer.read(entity)
    explorer.read(entity, session)
    data = explorer.data.for_update(entity, 20)
    names = explorer.data.updatable_members(entity)
    if (explorer.other, "read") not in entity.refused or data is None or not names:
        return
    mine = explorer.data.for_update(entity, only=[explorer.rng.choice(names)])
    if mine is not None:
        required = {param.name for param in shape.update.params if param.required}
        required |= {shape.update.object.id} if shape.update.object else set()
        given = data.keys() - mine.keys()
        if given:
            # The owner's update must not overwrite members of the refused one.
            data = {name: value for name, value in data.items() if name in given | required}
        explorer.do(explorer.steps.update(entity, data, session))
        explorer.do(explorer.steps.update(entity, mine))
        explorer.read(entity)
        own = explorer.existing(entity.kind, explorer.other)
        if not own and explorer.other in explorer.domain.creators[entity.kind]:
            made = explorer.create(entity.kind, explorer.other)
            own = [made] if made is not None else []
        if own and explorer.can_update(own[-1]):
            # The refusal must not affect the user's next valid update either.
            data = explorer.data.for_update(own[-1])
            if data is not None:
                explorer.do(explorer.steps.update(own[-1], data, session))
                explorer.read(own[-1])


def refused_delete_then_owner_delete(explorer: Explorer) -> None:
    """Try to delete an object as another user, then delete it as its owner; it must be gone."""
    entity = explorer.entity_to_delete()
    if entity is None or explorer.other is None:
        return
    shape, resources = explorer.domain.kinds[entity.kind], explorer.ctx.resources
    if shape.read is None or shape.delete is None or not explorer.can_delete(entity):
        return
    if not (
        resources.may_call(explorer.other, shape.read) and resources.may_call(explorer.other, shape.delete)
    ):
        return
    session = explorer.session(explorer.other)
    explorer.read(entity, session)
    theirs, mine = explorer.steps.deletion(entity, session), explorer.steps.deletion(entity)
    if (explorer.other, "read") not in entity.refused or theirs is None or mine is None:
        return
    explorer.do(theirs)
    explorer.do(mine)
    explorer.read(entity)
    explorer.read_lists(entity)


def call_without_session(explorer: Explorer) -> None:
    """Update or delete, and read, without a session or in an ended one; all must be refused."""
    entity = explorer.pick()
    if entity is None:
        return
    sessions = explorer.model.sessions
    ended = [name for name, state in sessions.items() if state == "ended"]
    session = explorer.rng.choice([*ended, ""])
    data = explorer.data.for_update(entity) if explorer.can_update(entity) else None
    if data is not None:
        step = explorer.steps.update(entity, data, "x")
        explorer.do(Step(session, "update", step.function, data, entity.name, entity.kind))
    elif explorer.can_delete(entity):
        deletion = explorer.steps.deletion(entity, "x")
        if deletion is not None:
            explorer.do(Step(session, "delete", deletion.function, deletion.data, entity.name, entity.kind))
    reading = explorer.steps.reading(entity, "x")
    if reading is not None:
        explorer.do(Step(session, "read", reading.function, reading.data, entity.name, entity.kind))
    explorer.read(entity)
