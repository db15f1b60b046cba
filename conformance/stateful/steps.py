"""Single steps of an exploration, built but not sent."""

from __future__ import annotations

from typing import Any

from conformance.generation.errors import CannotGenerate
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resources
from conformance.stateful.data import DataGenerator
from conformance.stateful.domain import Domain
from conformance.stateful.entities import Entity
from conformance.stateful.script import Step
from conformance.stateful.selection import MAX_ENTITIES_PER_KIND, Selection

__all__ = ["StepBuilder"]


class StepBuilder:
    """Build steps for the entities and sessions of an exploration.

    Where a method takes a session, None stands for any session of the entity's owner.
    """

    def __init__(self, selection: Selection, data: DataGenerator) -> None:
        self._selection = selection
        self._data = data
        self._rng = selection.rng
        self._domain: Domain = selection.domain

    @property
    def _resources(self) -> Resources:
        return self._selection.ctx.resources

    def whoami(self, user: str, session: str | None = None) -> Step:
        """Return a call of the whoami function."""
        whoami = self._selection.ctx.profile.auth.whoami
        assert whoami is not None
        return Step(session or self._selection.session(user), "whoami", whoami.function)

    def creation(
        self, kind: str, user: str, data: dict[str, Any] | None = None, session: str | None = None
    ) -> Step | None:
        """Return the creation of an entity; None where no more may be created or no valid data was found."""
        shape = self._domain.kinds[kind]
        assert shape.create is not None
        if (
            kind in self._selection.uncreatable
            or len(self._selection.existing(kind)) >= MAX_ENTITIES_PER_KIND
        ):
            return None
        if shape.delete is None or not self._resources.may_call(user, shape.delete):
            if self._domain.full(kind):
                return None
            self._domain.made[kind] = self._domain.made.get(kind, 0) + 1
        if data is None:
            for _ in range(4):
                try:
                    data = self._data.for_creation(shape.create, user)
                except (CannotGenerate, SetUpFailedError):
                    data = None
                    continue
                if self._data.is_valid(shape.create, data):
                    break
            else:
                return None
        name = f"{kind}#{next(self._selection.entity_numbers)}"
        return Step(session or self._selection.session(user), "create", shape.create.name, data, name, kind)

    def reading(self, entity: Entity, session: str) -> Step | None:
        """Return the read of an entity; None where its kind has no read function."""
        read = self._domain.kinds[entity.kind].read
        if read is None:
            return None
        data = self._data.arguments(entity, read)
        return None if data is None else Step(session, "read", read.name, data, entity.name, entity.kind)

    def update(
        self, entity: Entity, data: dict[str, Any], session: str | None = None, at_once: int = 0
    ) -> Step:
        """Return an update of an entity; steps with the same `at_once` are sent at the same time."""
        update = self._domain.kinds[entity.kind].update
        assert update is not None
        return Step(
            session or self._selection.session(entity.owner),
            "update",
            update.name,
            data,
            entity.name,
            entity.kind,
            at_once=at_once,
        )

    def deletion(self, entity: Entity, session: str | None = None) -> Step | None:
        """Return the deletion of an entity; None where its parents are unknown."""
        delete = self._domain.kinds[entity.kind].delete
        assert delete is not None
        data = self._data.arguments(entity, delete)
        if data is None:
            return None
        return Step(
            session or self._selection.session(entity.owner),
            "delete",
            delete.name,
            data,
            entity.name,
            entity.kind,
        )

    def listings(self, entity: Entity) -> list[Step]:
        """Return calls of the lists that must contain an entity, as its owner."""
        steps = []
        for method in self._domain.kinds[entity.kind].lists:
            if not self._resources.may_call(entity.owner, method):
                continue
            required = [param for param in method.params if param.required]
            if any(not param.ref or param.name not in entity.sent for param in required):
                continue
            data = {
                param.name: self._data.reference_to(param.ref or "", entity.sent[param.name])
                for param in required
            }
            steps.append(
                Step(self._selection.session(entity.owner), "list", method.name, data, None, entity.kind)
            )
        return steps

    def session_checks(self, session: str) -> list[Step]:
        """Return calls that show whether a session is accepted."""
        user = session.partition("/")[0]
        steps = [self.whoami(user, session)] if self._selection.ctx.profile.auth.whoami is not None else []
        entities = self._selection.existing(None, user)
        if entities:
            step = self.reading(self._rng.choice(entities), session)
            steps += [step] if step is not None else []
        return steps
