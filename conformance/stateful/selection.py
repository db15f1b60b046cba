"""The users, sessions and entities that an exploration chooses from."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

from conformance.stateful.domain import Domain
from conformance.stateful.entities import Entity
from conformance.stateful.executor import OLDEST, ScriptExecutor
from conformance.stateful.model import Model

__all__ = ["MAX_ENTITIES_PER_KIND", "MAX_OPEN_SESSIONS", "Selection"]

#: Sessions of one user that an exploration keeps open at the same time.
MAX_OPEN_SESSIONS = 4

#: Entities of one kind that an exploration keeps at the same time.
MAX_ENTITIES_PER_KIND = 7


class Selection:
    """Choose users, sessions and entities, at random from the seed.

    `focus` is the kind of entity that the exploration turns to. `owner` is the user who makes most of the calls.
    `other` is another user, if the profile names one. `uncreatable` has the kinds whose creation the target refused.
    """

    def __init__(self, domain: Domain, executor: ScriptExecutor, focus: str, number: int) -> None:
        self.domain = domain
        self.executor = executor
        self.ctx = executor.ctx
        self.focus = focus
        self.rng = random.Random(f"{self.ctx.run.options.seed}/{self.ctx.name}/{number}")
        self.entity_numbers = itertools.count(1)
        self.group_numbers = itertools.count(1)
        self.uncreatable: set[str] = set()
        self._session_counts: dict[str, int] = {}
        creators = domain.creators[focus]
        self.owner = creators[number % len(creators)]
        login_name = self.ctx.profile.users[self.owner].user
        others = [user for user in self.ctx.profile.users if self.ctx.profile.users[user].user != login_name]
        peers = [user for user in others if user in creators]
        self.other = self.rng.choice(peers) if peers else self.rng.choice(others) if others else None

    @property
    def model(self) -> Model:
        """The model that the executor keeps of the target."""
        return self.executor.model

    def open_sessions(self, user: str) -> list[str]:
        """Return the user's sessions that are not known to be closed, without the oldest one."""
        sessions = self.model.sessions
        return [
            name
            for name in sessions
            if name.partition("/")[0] == user and sessions[name] != "ended" and not name.endswith(OLDEST)
        ]

    def session(self, user: str, *, other_than: str = "") -> str:
        """Return a session of the user, other than `other_than` if there is another.

        Where none is open, the name of a new session is returned, which the executor opens when it is first used.
        """
        names = self.open_sessions(user)
        others = [name for name in names if name != other_than]
        if others:
            return self.rng.choice(others)
        return names[0] if names else self.next_session_name(user)

    def next_session_name(self, user: str) -> str:
        """Return a name for the user's next session."""
        number = self._session_counts[user] = self._session_counts.get(user, 0) + 1
        return user if number == 1 else f"{user}/{number}"

    def existing(self, kind: str | None = None, owner: str | None = None) -> list[Entity]:
        """Return the entities that exist, optionally of one kind and one owner."""
        return [
            entity
            for entity in self.model.entities.values()
            if entity.state == "exists"
            and (kind is None or entity.kind == kind)
            and (owner is None or entity.owner == owner)
        ]

    def uncertain(self) -> list[Entity]:
        """Return the entities of which it is not known whether they still exist."""
        return [entity for entity in self.model.entities.values() if entity.state == "uncertain"]

    def deleted(self) -> list[Entity]:
        """Return the entities that were deleted."""
        return [entity for entity in self.model.entities.values() if entity.state == "gone"]

    def pick(self, where: Callable[[Entity], bool] = lambda entity: True) -> Entity | None:
        """Return an existing entity that satisfies the condition, mostly of the kind in focus, or None."""
        candidates = [entity for entity in self.existing() if where(entity)]
        focus = [entity for entity in candidates if entity.kind == self.focus]
        if focus and (self.rng.random() < 0.8 or len(focus) == len(candidates)):
            return self.rng.choice(focus)
        return self.rng.choice(candidates) if candidates else None

    def can_update(self, entity: Entity) -> bool:
        """Return whether the owner may update the entity, and the update is harmless."""
        update = self.domain.kinds[entity.kind].update
        return (
            update is not None
            and self.ctx.resources.harmless(update)
            and self.ctx.resources.may_call(entity.owner, update)
        )

    def can_delete(self, entity: Entity) -> bool:
        """Return whether the owner may delete the entity, and the deletion is harmless."""
        delete = self.domain.kinds[entity.kind].delete
        return (
            delete is not None
            and self.ctx.resources.harmless(delete)
            and self.ctx.resources.may_call(entity.owner, delete)
        )
