"""Actions with several sessions of one user, or of several users."""

from __future__ import annotations

from dataclasses import replace

from conformance.stateful.executor import OLDEST
from conformance.stateful.explorer import Explorer
from conformance.stateful.script import Step
from conformance.stateful.selection import MAX_OPEN_SESSIONS

__all__ = [
    "open_and_close_sessions",
    "read_in_all_sessions",
    "share_between_sessions",
    "sign_in_again",
    "switch_user",
]


def open_and_close_sessions(explorer: Explorer) -> None:
    """Open a session, sometimes close one, and check whose session each of the others is."""
    users = [explorer.owner, *([explorer.other] if explorer.other else [])]
    user = explorer.rng.choice([explorer.owner, *users])
    logout = explorer.ctx.profile.auth.logout
    if len(explorer.open_sessions(user)) < MAX_OPEN_SESSIONS:
        explorer.login(user)
    elif logout is None:
        return
    ends = explorer.open_sessions(user)
    if logout is not None and len(ends) > 1 and explorer.rng.random() < 0.7:
        session = explorer.rng.choice(ends)
        explorer.do(Step(session, "logout", logout))
        explorer.use_closed_session(session)
    for each in users:
        for session in explorer.open_sessions(each):
            if explorer.ctx.profile.auth.whoami is not None:
                explorer.do(explorer.steps.whoami(each, session))
    explorer.use_closed_sessions(2)
    explorer.read_some(user)


def read_in_all_sessions(explorer: Explorer) -> None:
    """Write in the newest of several sessions and read in each of the others, the oldest included."""
    while len(explorer.open_sessions(explorer.owner)) < MAX_OPEN_SESSIONS - 1:
        explorer.login(explorer.owner)
    newest = explorer.open_sessions(explorer.owner)[-1]
    entity = explorer.create(explorer.focus, explorer.owner, session=newest)
    if entity is None:
        entity = explorer.pick(lambda each: each.owner == explorer.owner)
    if entity is None:
        return
    oldest = explorer.owner + OLDEST
    for session in (oldest, *explorer.open_sessions(explorer.owner)):
        explorer.read(entity, session)
    for step in explorer.steps.listings(entity):
        explorer.do(replace(step, session=oldest))
    if explorer.can_update(entity):
        data = explorer.data.for_update(entity)
        if data is not None:
            explorer.do(explorer.steps.update(entity, data, newest))
            for session in (oldest, *explorer.open_sessions(explorer.owner)[:-1]):
                explorer.read(entity, session)


def share_between_sessions(explorer: Explorer) -> None:
    """Create, change and delete in two sessions in turn, look from the other one, and close one of them.

    What one session does must be seen by the other at once, and must stay when that session ends.
    """
    owner, logout = explorer.owner, explorer.ctx.profile.auth.logout
    if len(explorer.open_sessions(owner)) >= MAX_OPEN_SESSIONS:
        return
    first, second = explorer.session(owner), explorer.login(owner)
    if first == second:
        return
    made = explorer.create(explorer.focus, owner, session=second)
    stays = explorer.create(explorer.focus, owner, session=second)
    if made is None or stays is None:
        return
    for session in (second, first):
        explorer.read(made, session)
        for step in explorer.steps.listings(made):
            explorer.do(replace(step, session=session))
    for session in (first, second, first):
        data = explorer.data.for_update(made) if explorer.can_update(made) else None
        if data is not None:
            explorer.do(explorer.steps.update(made, data, session))
            explorer.read(made, second if session == first else first)
    deletion = explorer.steps.deletion(made) if explorer.can_delete(made) else None
    if deletion is not None:
        explorer.do(replace(deletion, session=first))
        explorer.read(made, second)
    if logout is not None:
        explorer.do(Step(second, "logout", logout))
    explorer.read(stays, first)
    for step in explorer.steps.listings(stays):
        explorer.do(replace(step, session=first))


def switch_user(explorer: Explorer) -> None:
    """Sign one user out and another in; the second must see their own objects only."""
    logout = explorer.ctx.profile.auth.logout
    entities = explorer.existing(explorer.focus, explorer.owner)
    if not entities or explorer.other is None or logout is None:
        return
    # An object that was never listed is the one most likely to be wrongly hidden or shown.
    entity = explorer.create(explorer.focus, explorer.owner) or entities[-1]
    resources, shape = explorer.ctx.resources, explorer.domain.kinds[entity.kind]
    lists = [
        Step("", "list", method.name, {}, None, entity.kind)
        for method in shape.lists
        if resources.may_call(explorer.other, method) and not any(param.required for param in method.params)
    ]
    if not lists:
        return
    if len(explorer.open_sessions(explorer.other)) >= MAX_OPEN_SESSIONS:
        explorer.do(Step(explorer.session(explorer.other), "logout", logout))
    before = explorer.session(explorer.other)
    readable = shape.read is not None and resources.may_call(explorer.other, shape.read)
    if readable:
        explorer.read(entity, before)
    for step in lists:
        explorer.do(replace(step, session=before))
    explorer.read_lists(entity)
    explorer.do(Step(explorer.second_session(explorer.owner), "logout", logout))
    now = explorer.login(explorer.other)
    for step in lists:
        explorer.do(replace(step, session=now))
    explorer.read_lists(entity)
    if readable:
        explorer.read(entity, now)
    explorer.read(entity)


def sign_in_again(explorer: Explorer) -> None:
    """Close all sessions of the owner and sign in again; the objects must be as they were."""
    logout = explorer.ctx.profile.auth.logout
    user = explorer.owner
    entity = explorer.pick(lambda each: each.owner == user)
    if entity is None:
        return
    if explorer.can_update(entity) and explorer.rng.random() < 0.8:
        data = explorer.data.for_update(entity, explorer.rng.choice((1, 3, 20)))
        if data is not None:
            explorer.do(explorer.steps.update(entity, data))
    if logout is not None:
        for session in explorer.open_sessions(user):
            explorer.do(Step(session, "logout", logout))
    explorer.login(user)
    explorer.look_at(entity)
    explorer.read_some(user)
    explorer.read_lists(entity)
    explorer.use_closed_sessions(2)
