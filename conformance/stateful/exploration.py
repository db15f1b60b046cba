"""An exploration: a random sequence of actions around one kind of entity, drawn from the seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from conformance.protocol.session import SetUpFailedError
from conformance.schema.pointer import resolve
from conformance.stateful.actions import access, changes, concurrency, creations, deletions, reading, sessions
from conformance.stateful.domain import Domain
from conformance.stateful.entities import Disagreement, Entity, Shape
from conformance.stateful.executor import ScriptExecutor
from conformance.stateful.explorer import DisagreementFound, Explorer, LimitReached
from conformance.stateful.script import Step

__all__ = ["explore"]

Action = Callable[[Explorer], None]

#: Actions in a row that send nothing, after which an exploration ends.
_MAX_IDLE_ACTIONS = 40

#: Calls that an exploration may send at its end, beyond its limit.
_FINAL_CALLS = 12

#: Objects that an exploration looks at where it may not create any.
_MAX_FOUND_OBJECTS = 4

# Each list has an action and its weight. The order is part of what the seed determines.
_READ_ONLY: list[tuple[int, Action]] = [
    (3, reading.read_all),
    (3, reading.read_pages),
    (4, sessions.open_and_close_sessions),
    (2, sessions.sign_in_again),
    (2, concurrency.read_during_update),
    (2, access.call_without_session),
    (1, access.access_as_other_user),
]
_ALWAYS: list[tuple[int, Action]] = [
    (2, creations.create_two),
    (3, reading.read_all),
    (3, reading.read_pages),
    (4, access.access_as_other_user),
    (2, creations.create_invalid),
    (2, access.call_without_session),
    (4, sessions.open_and_close_sessions),
    (2, sessions.sign_in_again),
    (1, concurrency.create_concurrently),
    (2, concurrency.read_during_update),
    (1, reading.call_other_function),
    (1, creations.create_with_same_data),
    (5, changes.update_parent_and_child),
]
_WITH_UPDATE: list[tuple[int, Action]] = [
    (5, changes.update_once),
    (6, changes.update_repeatedly),
    (3, changes.update_and_restore),
    (5, changes.update_invalid),
    (3, concurrency.update_two_concurrently),
    (3, concurrency.update_members_concurrently),
]
_WITH_DELETE: list[tuple[int, Action]] = [
    (4, deletions.delete_one),
    (4, deletions.delete_from_middle),
    (5, deletions.use_after_delete),
    (2, deletions.delete_parent),
    (2, deletions.create_after_delete),
]

# Actions whose many calls seldom come about by chance: each kind performs each of them once, before others.
_RARE: list[Action] = [
    sessions.read_in_all_sessions,
    sessions.share_between_sessions,
    sessions.switch_user,
    concurrency.logout_during_calls,
    concurrency.create_during_list,
]
_RARE_WITH_UPDATE: list[Action] = [
    access.refused_update_then_owner_update,
    sessions.sign_in_again,
    concurrency.update_two_concurrently,
    concurrency.update_members_concurrently,
    access.access_as_other_user,
]
_RARE_WITH_DELETE: list[Action] = [
    deletions.delete_from_read_page,
    access.refused_delete_then_owner_delete,
    deletions.delete_parent,
    deletions.delete_between_other_users,
    deletions.delete_from_middle,
]
_RARE_WITH_BOTH: list[Action] = [deletions.update_then_use_after_delete, concurrency.delete_during_update]


def explore(
    domain: Domain,
    executor: ScriptExecutor,
    focus: str,
    number: int,
    limit: int,
    more: Callable[[], bool] = lambda: True,
) -> Disagreement | None:
    """Run one exploration; return where the target and the model disagree, or None.

    It sends `limit` calls around the kind `focus`, and a few to end with, as long as `more` returns true. The number
    of the exploration selects its owner and its random choices.

    Raises:
        SetUpFailedError: no entity can be created, or a user cannot be signed in.

    """
    explorer = Explorer(domain, executor, focus, number, limit, more)
    for part in (_act, _finish):
        try:
            part(explorer)
        except LimitReached:
            pass
        except DisagreementFound as found:
            return found.disagreement
    return None


def _act(explorer: Explorer) -> None:
    """Create the first entities, then perform actions until the limit is reached."""
    idle = 0
    _begin(explorer)
    for action in _actions(explorer):
        before = explorer.ctx.client.sent
        action(explorer)
        # Some actions are not possible on some targets. Where none is, the exploration ends.
        idle = idle + 1 if explorer.ctx.client.sent == before else 0
        if idle > _MAX_IDLE_ACTIONS:
            break


def _finish(explorer: Explorer) -> None:
    """Look once more at closed sessions, entities and lists."""
    explorer.extend(_FINAL_CALLS)
    explorer.use_closed_sessions(3)
    reading.read_all(explorer)
    reading.read_pages(explorer)


def _begin(explorer: Explorer) -> None:
    """Sign the users in, create the first entities and read them; on a read-only target find some instead."""
    rng, focus = explorer.rng, explorer.focus
    if explorer.ctx.profile.auth.whoami is not None:
        for user in (explorer.owner, explorer.other):
            if user is not None:
                explorer.do(explorer.steps.whoami(user))
    if not explorer.ctx.run.writable:
        _find_existing(explorer)
        return
    first = explorer.create(focus, explorer.owner)
    if first is None:
        raise SetUpFailedError(f"could not make a {focus} to explore with")
    explorer.create(focus, explorer.owner)
    if rng.random() < 0.6:
        explorer.create(focus, explorer.owner)
    if explorer.other in explorer.domain.creators[focus] and rng.random() < 0.4:
        assert explorer.other is not None
        explorer.create(focus, explorer.other)
    if rng.random() < 0.5:
        explorer.second_session(explorer.owner)
    for entity in explorer.existing():
        explorer.read(entity)


def _find_existing(explorer: Explorer) -> None:
    """Add objects that the owner can list to the model, once per run and owner."""
    owner, focus = explorer.owner, explorer.focus
    shape = explorer.domain.kinds[focus]
    known = explorer.model.knowledge.existing
    if shape.read is None or any(each.kind == focus and each.owner == owner for each in known):
        return
    for method in shape.lists:
        if any(param.required for param in method.params) or not explorer.ctx.resources.may_call(
            owner, method
        ):
            continue
        step = Step(explorer.session(owner), "list", method.name, {}, None, focus)
        explorer.do(step)
        assert method.object is not None
        rows = explorer.ctx.resources.rows(method, explorer.executor.transcript[-1].exchange)
        ids = [resolve(row, method.object.id) for row in rows]
        if not explorer.ctx.resources.may_call(owner, shape.read):
            ids = []
        for identifier in explorer.rng.sample(ids, min(_MAX_FOUND_OBJECTS, len(ids))):
            name = f"{focus}{sum(each.kind == focus for each in known) + 1}"
            entity = Entity(name, focus, owner, identifier, {}, created=False)
            known.append(entity)
            explorer.model.entities[name] = replace(entity)
        return


def _actions(explorer: Explorer) -> Iterator[Action]:
    """Yield actions without end, those with more weight more often."""
    if not explorer.ctx.run.writable:
        return _dealt(explorer, _repeated(_READ_ONLY), [])
    weighted, rare = _possible(explorer.domain.kinds[explorer.focus])
    return _dealt(explorer, _repeated(weighted) + rare, rare)


def _possible(shape: Shape) -> tuple[list[tuple[int, Action]], list[Action]]:
    """Return the weighted and the rare actions that are possible with the functions of a kind."""
    weighted, rare = list(_ALWAYS), list(_RARE)
    if shape.update is not None:
        weighted += _WITH_UPDATE
        rare += _RARE_WITH_UPDATE
    if shape.delete is not None:
        weighted += _WITH_DELETE
        rare += _RARE_WITH_DELETE
        if shape.update is not None:
            rare += _RARE_WITH_BOTH
    return weighted, rare


def _repeated(weighted: list[tuple[int, Action]]) -> list[Action]:
    return [action for weight, action in weighted for _ in range(weight)]


def _dealt(explorer: Explorer, actions: list[Action], rare: list[Action]) -> Iterator[Action]:
    """Yield actions in random order, each equally often over all explorations of a kind.

    Each rare action comes once before it may come again, in turn with the others.
    """
    domain, focus = explorer.domain, explorer.focus
    actions_to_come = domain.upcoming.setdefault(focus, [])
    by_name = {action.__name__: action for action in actions}
    if focus not in domain.rare:
        due = domain.rare[focus] = [action.__name__ for action in rare]
        explorer.rng.shuffle(due)
    due = domain.rare[focus]
    # In a quick run a kind has too few calls for all of them in turn with the others.
    at_once = 2 if explorer.ctx.quick else 1
    while True:
        for _ in range(min(at_once, len(due))):
            # The name is removed afterwards, so that an action cut short by the limit comes again next time.
            yield by_name[due[-1]]
            due.pop()
        if not actions_to_come:
            actions_to_come += [action.__name__ for action in actions]
            explorer.rng.shuffle(actions_to_come)
        yield by_name[actions_to_come.pop()]
