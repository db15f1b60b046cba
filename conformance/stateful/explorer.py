"""The calls that an exploration consists of: one user, session, entity and step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance.catalog.model import Param
from conformance.generation.errors import CannotGenerate
from conformance.protocol.session import SetUpFailedError
from conformance.stateful.data import DataGenerator
from conformance.stateful.domain import Domain
from conformance.stateful.entities import Disagreement, Entity
from conformance.stateful.executor import ScriptExecutor
from conformance.stateful.script import Ref, Step, put_in
from conformance.stateful.selection import Selection
from conformance.stateful.steps import StepBuilder

__all__ = ["DisagreementFound", "Explorer", "LimitReached"]


class DisagreementFound(Exception):  # noqa: N818
    """The target and the model disagree."""

    def __init__(self, disagreement: Disagreement) -> None:
        super().__init__(disagreement.check)
        self.disagreement = disagreement


class LimitReached(Exception):  # noqa: N818
    """The exploration has sent all its calls."""


class Explorer(Selection):
    """Send the calls of one exploration.

    It sends at most `limit` calls, and stops earlier when `more` returns false.
    """

    def __init__(
        self,
        domain: Domain,
        executor: ScriptExecutor,
        focus: str,
        number: int,
        limit: int,
        more: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(domain, executor, focus, number)
        self.data = DataGenerator(self, self.create)
        self.steps = StepBuilder(self, self.data)
        self._more = more
        self._until = self.ctx.client.sent + limit

    def extend(self, calls: int) -> None:
        """Allow this many more calls."""
        self._until += calls

    def do(self, *group: Step) -> None:
        """Send a step, or several at the same time, except those that are not allowed on this target.

        Raises:
            DisagreementFound: the target and the model disagree.
            LimitReached: the exploration has sent all its calls.

        """
        group = tuple(step for step in group if self._may_send(step))
        if not group:
            return
        if self.ctx.client.sent >= self._until or not self._more():
            raise LimitReached
        found = self.executor.execute(group)
        if found is not None:
            raise DisagreementFound(found)

    def _may_send(self, step: Step) -> bool:
        """Return whether a step is allowed: only reads where nothing may be written, no deletion of earlier objects."""
        if step.does in ("login", "logout", "whoami"):
            return True
        if self.ctx.catalog.methods[step.function].effect == "read":
            return True
        entity = self.model.entities.get(step.about or "")
        return self.ctx.run.writable and (step.does != "delete" or entity is None or entity.created)

    def second_session(self, user: str) -> str:
        """Return a session of the user other than the first; one is opened where there is only one."""
        names = self.open_sessions(user)
        if len(names) < 2:
            return self.login(user)
        return self.rng.choice(names[1:])

    def login(self, user: str) -> str:
        """Open a session, check whose it is, and return its name."""
        name = self.next_session_name(user)
        self.do(self.executor.login(name))
        if self.ctx.profile.auth.whoami is not None:
            self.do(self.steps.whoami(user, name))
        return name

    def create(
        self, kind: str, user: str, data: dict[str, Any] | None = None, session: str | None = None
    ) -> Entity | None:
        """Create an entity, in up to three attempts; return None where the target refuses it."""
        step = self.steps.creation(kind, user, data, session)
        if step is None:
            return None
        for _ in range(3):
            assert step.about is not None
            self.do(step)
            entity = self.model.entities.get(step.about)
            if entity is not None:
                return entity
            again = self.steps.creation(kind, user, None, session)
            if again is None or data is not None:
                return None
            step = again
        self.uncreatable.add(kind)
        return None

    def read(self, entity: Entity, session: str | None = None) -> None:
        """Read an entity, in any session of its owner where none is given."""
        step = self.steps.reading(entity, session or self.session(entity.owner))
        if step is not None:
            self.do(step)

    def read_lists(self, entity: Entity) -> None:
        """Read the lists that must contain an entity."""
        for step in self.steps.listings(entity):
            self.do(step)

    def look_at(self, entity: Entity, session: str | None = None) -> None:
        """Read an entity and, at random, another one or the lists."""
        self.read(entity, session)
        chance = self.rng.random()
        if chance < 0.45:
            others = [other for other in self.existing() if other is not entity]
            same_kind = [other for other in others if other.kind == entity.kind]
            if others:
                self.read(self.rng.choice(same_kind if same_kind and self.rng.random() < 0.8 else others))
        elif chance < 0.7:
            self.read_lists(entity)

    def entity_to_delete(self) -> Entity | None:
        """Return an entity that may be deleted, created for that purpose unless there are many."""
        entities = [entity for entity in self.existing(self.focus, self.owner) if self.can_delete(entity)]
        if len(entities) < 4:
            return self.create(self.focus, self.owner) or (self.rng.choice(entities) if entities else None)
        return self.rng.choice(entities)

    def create_under(self, kind: str, param: Param, parent: Entity) -> Entity | None:
        """Create an entity under a parent, which `param` refers to; return None where that is not possible."""
        create = self.domain.kinds[kind].create
        assert create is not None
        try:
            data = self.data.for_creation(create, self.owner)
        except (CannotGenerate, SetUpFailedError):
            return None
        data[param.name] = Ref(parent.name)
        return self.create(kind, self.owner, data) if self.data.is_valid(create, data) else None

    def read_some(self, user: str) -> None:
        """Read up to three entities of a user."""
        entities = self.existing(None, user)
        for entity in self.rng.sample(entities, min(3, len(entities))):
            self.read(entity)

    def use_closed_sessions(self, at_most: int) -> None:
        """Send a call in each of up to `at_most` sessions that were closed."""
        closed = [name for name, state in self.model.sessions.items() if name and state == "ended"]
        for session in self.rng.sample(closed, min(at_most, len(closed))):
            self.use_closed_session(session)

    def use_closed_session(self, session: str) -> None:
        """Send a call in a session that was closed."""
        user = session.partition("/")[0]
        entities = self.existing(None, user)
        if entities and self.rng.random() < 0.5:
            step = self.steps.reading(self.rng.choice(entities), session)
            if step is not None:
                self.do(step)
                return
        if self.ctx.profile.auth.whoami is not None:
            self.do(self.steps.whoami(user, session))

    def use_session(self, session: str) -> None:
        """Send a call that shows whether a session is accepted."""
        for step in self.steps.session_checks(session)[:1]:
            self.do(step)

    def listed(self, step: Step) -> list[Any]:
        """Return the identifiers that a list showed last; none where that is not known."""
        return self.model.listed(step, put_in(step.data, self.data.identifier)) or []
