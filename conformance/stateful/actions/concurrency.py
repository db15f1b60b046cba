"""Actions with calls at the same time."""

from __future__ import annotations

import itertools
from dataclasses import replace

from conformance.engine import budgets
from conformance.stateful.explorer import Explorer
from conformance.stateful.script import Step

__all__ = [
    "create_concurrently",
    "create_during_list",
    "delete_during_update",
    "logout_during_calls",
    "read_during_update",
    "update_members_concurrently",
    "update_two_concurrently",
]


def update_two_concurrently(explorer: Explorer) -> None:
    """Update two objects at the same time; each must get its own values."""
    entities = [entity for entity in explorer.existing() if explorer.can_update(entity)]
    explorer.rng.shuffle(entities)
    for first, second in itertools.combinations(entities, 2):
        if second in explorer.model.related(first):
            continue
        pair = [(entity, explorer.data.for_update(entity)) for entity in (first, second)]
        number = next(explorer.group_numbers)
        steps = [
            explorer.steps.update(entity, data, at_once=number) for entity, data in pair if data is not None
        ]
        if len(steps) == 2:
            explorer.do(*steps)
            explorer.read(first)
            explorer.read(second)
        return


def update_members_concurrently(explorer: Explorer) -> None:
    """Update two members of one object at the same time; both changes must be retained."""
    entity = explorer.pick(explorer.can_update)
    if entity is None:
        return
    update = explorer.domain.kinds[entity.kind].update
    assert update is not None
    own = update.object.id if update.object else ""
    if any(param.required and param.name != own for param in update.params):
        return
    names = explorer.data.updatable_members(entity)
    if len(names) < 2:
        return
    first = explorer.session(entity.owner)
    second = explorer.second_session(entity.owner)
    number = next(explorer.group_numbers)
    steps = []
    for name, session in zip(explorer.rng.sample(names, 2), (first, second), strict=True):
        data = explorer.data.for_update(entity, only=[name])
        if data is not None:
            steps.append(explorer.steps.update(entity, data, session, number))
    if len(steps) == 2:
        explorer.do(*steps)
        explorer.look_at(entity)


def create_concurrently(explorer: Explorer) -> None:
    """Create objects of several users at the same time."""
    number = next(explorer.group_numbers)
    steps = []
    for user in (explorer.owner, explorer.owner, explorer.other):
        if user in explorer.domain.creators[explorer.focus] and user is not None:
            step = explorer.steps.creation(explorer.focus, user)
            if step is not None:
                steps.append(_concurrent(step, number))
    if len(steps) < 2:
        return
    explorer.do(*steps)
    made = [explorer.model.entities.get(step.about or "") for step in steps]
    for entity in made:
        if entity is not None:
            explorer.read(entity)
    if made[0] is not None:
        explorer.read_lists(made[0])


def create_during_list(explorer: Explorer) -> None:
    """Create objects while they are listed; each must be there afterwards, with its own values."""
    entities = explorer.existing(explorer.focus, explorer.owner)
    if not entities:
        return
    number = next(explorer.group_numbers)
    listings = explorer.steps.listings(explorer.rng.choice(entities))[:2]
    creations = [
        step
        for _ in range(2)
        if (step := explorer.steps.creation(explorer.focus, explorer.owner)) is not None
    ]
    if not listings or len(creations) < 2:
        return
    # A list is sent first, so that it is running when the creations arrive.
    explorer.do(*(_concurrent(step, number) for step in (*listings, *creations, listings[0])))
    for step in creations:
        entity = explorer.model.entities.get(step.about or "")
        if entity is not None:
            explorer.read(entity)
    explorer.read_lists(entities[0])


def delete_during_update(explorer: Explorer) -> None:
    """Delete an object while it is updated; it must be gone afterwards."""
    entity = explorer.entity_to_delete()
    if entity is None or not explorer.can_update(entity):
        return
    first, second = explorer.session(entity.owner), explorer.second_session(entity.owner)
    number = next(explorer.group_numbers)
    # With two updates, one of them is likely to be running when the deletion arrives.
    drawn = [(session, explorer.data.for_update(entity)) for session in (first, second)]
    updates = [
        explorer.steps.update(entity, data, session, number) for session, data in drawn if data is not None
    ]
    step = explorer.steps.deletion(entity, second)
    if not updates or step is None:
        return
    explorer.do(*updates, _concurrent(step, number))
    explorer.read(entity, first)
    explorer.read_lists(entity)


def logout_during_calls(explorer: Explorer) -> None:
    """Close a session while other sessions of its user are in use.

    Those must react as they do after a logout without concurrent calls.
    """
    logout = explorer.ctx.profile.auth.logout
    if logout is None or explorer.domain.concurrent_logouts >= explorer.ctx.amount(
        budgets.CONCURRENT_LOGOUTS
    ):
        return
    known = explorer.model.survived_logouts > 0
    while len(explorer.open_sessions(explorer.owner)) < (2 if known else 3):
        explorer.login(explorer.owner)
    explorer.domain.concurrent_logouts += 1
    if not known:
        # First learn what a logout without concurrent calls does to the other sessions.
        last = explorer.open_sessions(explorer.owner)[-1]
        for session in explorer.open_sessions(explorer.owner):
            if session != last:
                explorer.use_session(session)
        explorer.do(Step(last, "logout", logout))
    stay = explorer.open_sessions(explorer.owner)[:-1]
    for session in stay:
        explorer.use_session(session)
    if explorer.model.knowledge.logout_ends_others or not explorer.model.survived_logouts:
        return
    number = next(explorer.group_numbers)
    uses = [step for session in stay[:2] for step in explorer.steps.session_checks(session)]
    explorer.do(
        Step(explorer.open_sessions(explorer.owner)[-1], "logout", logout, at_once=number),
        *(_concurrent(step, number) for step in uses),
    )
    for session in stay:
        explorer.use_session(session)


def read_during_update(explorer: Explorer) -> None:
    """Read objects of several users while an unrelated one is updated."""
    entities = explorer.existing()
    explorer.rng.shuffle(entities)
    number = next(explorer.group_numbers)
    steps: list[Step] = []
    changed = next((entity for entity in entities if explorer.can_update(entity)), None)
    if changed is not None:
        data = explorer.data.for_update(changed)
        if data is not None:
            steps.append(explorer.steps.update(changed, data, at_once=number))
    for entity in entities:
        if entity is changed or (changed is not None and entity in explorer.model.related(changed)):
            continue
        step = explorer.steps.reading(entity, explorer.session(entity.owner))
        if step is not None and len(steps) < 3:
            steps.append(_concurrent(step, number))
    if explorer.ctx.profile.auth.whoami is not None:
        for user in (explorer.owner, explorer.other):
            if user is not None and explorer.open_sessions(user):
                steps.append(_concurrent(explorer.steps.whoami(user), number))
    if len(steps) > 1:
        explorer.do(*steps)
        if changed is not None:
            explorer.read(changed)


def _concurrent(step: Step, number: int) -> Step:
    """Return the step as one of the group of this number."""
    return replace(step, at_once=number)
