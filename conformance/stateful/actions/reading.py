"""Actions that read objects and lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.helpers.comparison import equal
from conformance.schema.pointer import MISSING
from conformance.stateful.explorer import Explorer
from conformance.stateful.script import Ref, Step

__all__ = [
    "call_other_function",
    "read_all",
    "read_pages",
]


def read_all(explorer: Explorer) -> None:
    """Read all objects in random order and sessions, with some of the deleted ones."""
    entities = explorer.existing()
    gone = explorer.deleted()
    uncertain = explorer.uncertain()
    entities += explorer.rng.sample(gone, min(2, len(gone))) + uncertain
    explorer.rng.shuffle(entities)
    for entity in entities:
        explorer.read(entity)


def read_pages(explorer: Explorer) -> None:
    """Read the whole list and its pages, or some of the pages where the list is long."""
    entities = explorer.existing(explorer.focus, explorer.owner)
    if not entities:
        return
    # The choice matters where the list contains the objects under one parent.
    entity = explorer.rng.choice(entities)
    for step in explorer.steps.listings(entity):
        explorer.do(step)
        method = explorer.ctx.catalog.methods[step.function]
        ids = explorer.listed(step)
        count = len(ids)
        if method.rows is None or not count:
            continue
        length = explorer.rng.choice(
            [size for size in (1, 2, 3, 5, (count + 1) // 2, count) if size <= count]
        )
        starts = list(range(0, count, length))
        # New objects are mostly at the end of the list. Counted from there, a page stays the same whatever else
        # the list contains.
        chosen = starts if len(starts) <= 4 else [*starts[:1], *starts[-2:], explorer.rng.choice(starts)]
        at_end = any(equal(each.id, ids[-1]) for each in explorer.model.entities.values())
        for start in sorted(set(chosen)):
            page = (start - count if at_end else start, length)
            explorer.do(replace(step, page=page))


def call_other_function(explorer: Explorer) -> None:
    """Call another function on an object, then learn what the object shows."""
    entity = explorer.pick()
    if entity is None:
        return
    resources = explorer.ctx.resources
    candidates = [
        (method, param)
        for method in explorer.ctx.catalog
        if method.object is None and method.effect == "write" and resources.harmless(method)
        if resources.may_call(entity.owner, method)
        for param in method.params
        if param.ref == entity.kind and param.required
    ]
    if not candidates:
        return
    method, param = explorer.rng.choice(candidates)
    data: dict[str, Any] = {param.name: Ref(entity.name)}
    for other in method.params:
        if other.required and other.name not in data:
            value = explorer.data.sample_or_missing(other, entity.owner)
            if value is MISSING:
                return
            data[other.name] = value
    session = explorer.session(entity.owner)
    explorer.do(Step(session, "act", method.name, data, entity.name, entity.kind))
    explorer.read(entity)
    explorer.read(entity)
