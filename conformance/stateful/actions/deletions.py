"""Actions that delete objects, and use them afterwards."""

from __future__ import annotations

from dataclasses import replace

from conformance.helpers.comparison import equal
from conformance.stateful.actions.reading import read_pages
from conformance.stateful.explorer import Explorer

__all__ = [
    "create_after_delete",
    "delete_between_other_users",
    "delete_from_middle",
    "delete_from_read_page",
    "delete_one",
    "delete_parent",
    "update_then_use_after_delete",
    "use_after_delete",
]


def delete_one(explorer: Explorer) -> None:
    """Delete an object and read what is left."""
    entity = explorer.pick(explorer.can_delete)
    if entity is None:
        return
    if explorer.rng.random() < 0.5:
        explorer.read(entity, explorer.second_session(entity.owner))
    step = explorer.steps.deletion(entity)
    if step is None:
        return
    explorer.do(step)
    explorer.read(entity, explorer.session(entity.owner, other_than=step.session))
    explorer.read_lists(entity)
    others = explorer.existing(entity.kind)
    for other in explorer.rng.sample(others, min(2, len(others))):
        explorer.read(other)
    uncertain = explorer.uncertain()
    for other in uncertain[:3]:
        explorer.read(other)


def delete_from_middle(explorer: Explorer) -> None:
    """Delete an object between others; the pages after it must move up."""
    kind = explorer.focus
    while len(explorer.existing(kind, explorer.owner)) < 4:
        if explorer.create(kind, explorer.owner) is None:
            break
    entities = explorer.existing(kind, explorer.owner)
    if len(entities) < 3 or not explorer.can_delete(entities[1]):
        return
    entity = explorer.rng.choice(entities[1:-1])
    deletion = explorer.steps.deletion(entity)
    if deletion is None:
        return
    explorer.do(deletion)
    behind = entities[entities.index(entity) + 1]
    for step in explorer.steps.listings(behind):
        explorer.do(step)
        ids = explorer.listed(step)
        index = next((at for at, each in enumerate(ids) if equal(each, behind.id)), None)
        if index is not None and explorer.ctx.catalog.methods[step.function].rows is not None:
            # Counted from the end, where new objects mostly are.
            explorer.do(replace(step, page=(index - len(ids), 2)))
    read_pages(explorer)
    for other in (entities[0], entities[-1]):
        explorer.read(other)


def delete_between_other_users(explorer: Explorer) -> None:
    """Delete an object created between two of another user; those must stay."""
    other = explorer.other
    if other is None or other not in explorer.domain.creators[explorer.focus]:
        return
    before = explorer.create(explorer.focus, other)
    entity = explorer.create(explorer.focus, explorer.owner)
    after = explorer.create(explorer.focus, other)
    step = None if entity is None or not explorer.can_delete(entity) else explorer.steps.deletion(entity)
    if step is None:
        return
    explorer.do(step)
    for each in (after, before):
        if each is not None:
            explorer.read(each)
            explorer.read_lists(each)


def use_after_delete(explorer: Explorer) -> None:
    """Update, delete and read an object that was deleted before."""
    gone = explorer.deleted()
    if not gone:
        delete_one(explorer)
        gone = explorer.deleted()
    if not gone:
        return
    entity = explorer.rng.choice(gone)
    if explorer.can_update(entity) and explorer.rng.random() < 0.8:
        data = explorer.data.for_update(entity)
        if data is not None:
            explorer.do(explorer.steps.update(entity, data))
    if explorer.can_delete(entity) and explorer.rng.random() < 0.6:
        step = explorer.steps.deletion(entity)
        if step is not None:
            explorer.do(step)
    explorer.read(entity)
    explorer.read_lists(entity)
    same_kind = explorer.existing(entity.kind)
    if same_kind:
        explorer.read(explorer.rng.choice(same_kind))


def update_then_use_after_delete(explorer: Explorer) -> None:
    """Update and delete an object, then try to update and delete it again."""
    entity = explorer.entity_to_delete()
    if entity is None or not explorer.can_update(entity):
        return
    data = explorer.data.for_update(entity)
    if data is not None:
        explorer.do(explorer.steps.update(entity, data))
    data, step = explorer.data.for_update(entity), explorer.steps.deletion(entity)
    if data is None or step is None:
        return
    explorer.do(step)
    explorer.do(explorer.steps.update(entity, data))
    explorer.read(entity)
    explorer.do(replace(step, session=explorer.session(entity.owner)))
    explorer.read_lists(entity)


def delete_from_read_page(explorer: Explorer) -> None:
    """Read a page, delete an object on it, and read the same page again."""
    entity = explorer.entity_to_delete()
    if entity is None or not explorer.can_delete(entity):
        return
    steps = explorer.steps.listings(entity)
    pages: dict[str, int] = {}
    for step in steps:
        explorer.do(step)
        ids = explorer.listed(step)
        index = next((at for at, each in enumerate(ids) if equal(each, entity.id)), None)
        if index and explorer.ctx.catalog.methods[step.function].rows is not None:
            # Counted from the end, where new objects mostly are.
            pages[step.function] = index - 1
            explorer.do(replace(step, page=(index - 1 - len(ids), 2)))
    deletion = explorer.steps.deletion(entity)
    if deletion is None or not pages:
        return
    explorer.do(deletion)
    for step in steps:
        if step.function in pages:
            explorer.do(step)
            count = len(explorer.listed(step))
            if pages[step.function] < count:
                explorer.do(replace(step, page=(pages[step.function] - count, 2)))


def create_after_delete(explorer: Explorer) -> None:
    """Create an object after a deletion; the deleted one must stay deleted."""
    gone = [
        entity
        for entity in explorer.deleted()
        if entity.owner == explorer.owner and entity.kind == explorer.focus
    ]
    if not gone:
        return
    old = explorer.rng.choice(gone)
    new = explorer.create(old.kind, explorer.owner)
    if new is not None:
        explorer.read(new)
    explorer.read(old)
    if new is not None:
        explorer.read_lists(new)


def delete_parent(explorer: Explorer) -> None:
    """Create objects under a parent, delete the parent, and create another under it."""
    shapes = explorer.domain.kinds
    children = [
        (kind, param)
        for kind, shape in shapes.items()
        if shape.create is not None and explorer.owner in explorer.domain.creators[kind]
        for param in shape.create.params
        if param.ref == explorer.focus
    ]
    if not children:
        return
    explorer.rng.shuffle(children)
    parent = explorer.create(explorer.focus, explorer.owner)
    if parent is None or not explorer.can_delete(parent):
        return
    made = []
    for kind, param in children[:3]:
        child = explorer.create_under(kind, param, parent)
        if child is None:
            continue
        made.append(child)
        # A child that was not read before must show its reference to the parent, too.
        if explorer.rng.random() < 0.3:
            explorer.read(child)
    step = explorer.steps.deletion(parent)
    if step is None:
        return
    explorer.do(step)
    for child in made:
        explorer.read(child)
        explorer.read(child)
    if parent.state == "gone":
        kind, param = children[0]
        explorer.create_under(kind, param, parent)
        explorer.read(parent)
