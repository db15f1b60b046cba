"""Actions that create objects."""

from __future__ import annotations

from conformance.catalog.model import refs
from conformance.generation.errors import CannotGenerate
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.explorer import Explorer
from conformance.stateful.script import Step

__all__ = [
    "create_invalid",
    "create_two",
    "create_with_same_data",
]


def create_two(explorer: Explorer) -> None:
    """Create two objects in a row; each must show its own values."""
    first = explorer.create(explorer.focus, explorer.owner)
    second = explorer.create(explorer.focus, explorer.owner)
    for entity in (second, first):
        if entity is not None:
            explorer.read(entity)
    if second is not None:
        explorer.read_lists(second)


def create_with_same_data(explorer: Explorer) -> None:
    """Create an object with the data of another, in any session; it must be a new object."""
    entity = explorer.pick()
    if entity is None:
        return
    create = explorer.domain.kinds[entity.kind].create
    assert create is not None
    data = {
        name: explorer.data.reference_to(param.ref, value)
        if (param := create.param(name)) and param.ref
        else value
        for name, value in entity.sent.items()
        if (param := create.param(name)) and (param.ref or not refs(param.schema))
    }
    if explorer.data.is_valid(create, data):
        twin = explorer.create(entity.kind, entity.owner, data)
        if twin is not None:
            explorer.read(twin)
            explorer.read(entity)


def create_invalid(explorer: Explorer) -> None:
    """Send an invalid creation; nothing may appear in the lists."""
    entities = explorer.existing(explorer.focus, explorer.owner)
    shape = explorer.domain.kinds[explorer.focus]
    if not entities or shape.create is None:
        return
    try:
        data = explorer.data.for_creation(shape.create, explorer.owner)
    except (CannotGenerate, SetUpFailedError):
        return
    bad = explorer.data.invalid(shape.create, data)
    if bad is None:
        return
    entity = explorer.rng.choice(entities)
    explorer.read_lists(entity)
    name = f"{explorer.focus}#{next(explorer.entity_numbers)}"
    session = explorer.session(explorer.owner)
    explorer.do(Step(session, "create", shape.create.name, bad, name, explorer.focus, valid=False))
    explorer.read_lists(entity)
    explorer.read(entity)
