"""Actions that update objects."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.catalog.model import refs
from conformance.schema.pointer import MISSING
from conformance.stateful.explorer import Explorer
from conformance.stateful.script import Ref, Step

__all__ = [
    "update_and_restore",
    "update_invalid",
    "update_once",
    "update_parent_and_child",
    "update_repeatedly",
]


def update_once(explorer: Explorer) -> None:
    """Update an object and read it, often in a session that had read it before."""
    entity = explorer.pick(explorer.can_update)
    if entity is None:
        return
    writer = explorer.session(entity.owner)
    reader = writer
    if explorer.rng.random() < 0.5:
        # A session that read the object before may serve a cached copy.
        reader = explorer.second_session(entity.owner)
        writer = explorer.session(entity.owner, other_than=reader)
        explorer.read(entity, reader)
    data = explorer.data.for_update(entity)
    if data is not None:
        explorer.do(explorer.steps.update(entity, data, writer))
        explorer.look_at(entity, reader)


def update_repeatedly(explorer: Explorer) -> None:
    """Update an object several times, the same members or others, sometimes with reads between."""
    entity = explorer.pick(explorer.can_update)
    if entity is None:
        return
    only: Sequence[str] = ()
    between = explorer.rng.random() < 0.4
    for _ in range(explorer.rng.choice((2, 2, 3, 4))):
        data = explorer.data.for_update(entity, only=only)
        if data is None:
            break
        if explorer.rng.random() < 0.6:
            own = explorer.domain.kinds[entity.kind].update
            assert own is not None
            assert own.object is not None
            only = [name for name in data if name != own.object.id]
        elif explorer.rng.random() < 0.5:
            only = ()
        explorer.do(explorer.steps.update(entity, data))
        if between:
            explorer.read(entity)
    explorer.look_at(entity)
    explorer.read_lists(entity)


def update_and_restore(explorer: Explorer) -> None:
    """Update an object, then give it its earlier values again."""
    entity = explorer.pick(explorer.can_update)
    if entity is None:
        return
    update = explorer.domain.kinds[entity.kind].update
    assert update is not None
    data = explorer.data.for_update(entity, explorer.rng.choice((1, 2)))
    if data is None:
        return
    back = {name: entity.value(name) if not isinstance(value, Ref) else value for name, value in data.items()}
    explorer.do(explorer.steps.update(entity, data))
    if explorer.rng.random() < 0.7:
        explorer.read(entity)
    given = [param.name for param in update.params if refs(param.schema) and param.name in back]
    own = update.object.id if update.object else ""
    if MISSING in back.values() or set(given) - {own} or not explorer.data.is_valid(update, back):
        return
    explorer.do(explorer.steps.update(entity, back))
    explorer.look_at(entity)


def update_invalid(explorer: Explorer) -> None:
    """Send an update with one invalid member; the other members must not change."""
    entity = explorer.pick(explorer.can_update)
    if entity is None:
        return
    update = explorer.domain.kinds[entity.kind].update
    assert update is not None
    data = explorer.data.for_update(entity, explorer.rng.choice((2, 4, 20)))
    if data is None:
        return
    bad = explorer.data.invalid(update, data)
    if bad is None:
        return
    step = explorer.steps.update(entity, bad)
    explorer.do(Step(step.session, "update", step.function, bad, entity.name, entity.kind, valid=False))
    if explorer.rng.random() < 0.75:
        explorer.look_at(entity)
    if explorer.rng.random() < 0.5:
        good = explorer.data.for_update(entity)
        if good is not None:
            explorer.do(explorer.steps.update(entity, good))
            explorer.read(entity)


def update_parent_and_child(explorer: Explorer) -> None:
    """Update a parent object, then create, update or delete an object under it."""
    pairs = [
        (kind, param)
        for kind, shape in explorer.domain.kinds.items()
        if shape.create is not None and explorer.owner in explorer.domain.creators[kind]
        for param in shape.create.params
        if param.ref in explorer.domain.kinds and explorer.focus in (kind, param.ref)
    ]
    if not pairs:
        return
    kind, param = explorer.rng.choice(pairs)
    parents = [each for each in explorer.existing(param.ref, explorer.owner) if explorer.can_update(each)]
    if not parents:
        return
    parent = explorer.rng.choice(parents)
    for _ in range(explorer.rng.choice((1, 1, 2))):
        data = explorer.data.for_update(parent, explorer.rng.choice((1, 3, 20)))
        if data is not None:
            explorer.do(explorer.steps.update(parent, data))
    children = [each for each in explorer.existing(kind, explorer.owner) if parent.name in each.refers_to]
    child = explorer.rng.choice(children) if children and explorer.rng.random() < 0.5 else None
    if child is None:
        explorer.create_under(kind, param, parent)
    elif explorer.can_update(child) and explorer.rng.random() < 0.5:
        data = explorer.data.for_update(child)
        if data is not None:
            explorer.do(explorer.steps.update(child, data))
    elif explorer.can_delete(child):
        step = explorer.steps.deletion(child)
        if step is not None:
            explorer.do(step)
    explorer.read(parent)
    explorer.read_lists(parent)
