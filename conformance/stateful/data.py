"""The data of an exploration's calls, with references in place of identifiers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from conformance.catalog.model import Method, Param, refs
from conformance.generation import payloads
from conformance.generation.errors import CannotGenerate
from conformance.helpers.comparison import equal
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resources
from conformance.schema.pointer import MISSING
from conformance.stateful.domain import Domain
from conformance.stateful.entities import Entity
from conformance.stateful.model import Model
from conformance.stateful.script import Ref, put_in
from conformance.stateful.selection import Selection

__all__ = ["DataGenerator"]

#: Length of the longest drawn value that is sent, in characters of JSON.
MAX_VALUE_CHARS = 3_000


class DataGenerator:
    """Generate data for create and update functions.

    `create` creates an entity of a kind as a user. It is called where data must refer to an entity and there is none.
    """

    def __init__(self, selection: Selection, create: Callable[[str, str], Entity | None]) -> None:
        self._selection = selection
        self._create = create
        self._rng = selection.rng
        self._domain: Domain = selection.domain

    @property
    def _model(self) -> Model:
        return self._selection.model

    @property
    def _resources(self) -> Resources:
        return self._selection.ctx.resources

    def reference(self, kind: str, user: str) -> Any:
        """Return a reference to an entity of a kind that the user may use, created if there is none.

        Raises:
            SetUpFailedError: there is none, and it cannot be created.

        """
        entities = self._selection.existing(kind, user)
        if entities:
            return Ref(self._rng.choice(entities).name)
        if kind in self._domain.kinds and user in self._domain.creators[kind]:
            entity = self._create(kind, user)
            if entity is None:
                raise SetUpFailedError(f"could not make a {kind}")
            return Ref(entity.name)
        return self._identifier_found(kind, user)

    def _identifier_found(self, kind: str, user: str) -> Any:
        """Return the identifier of an object of a kind that no user of the exploration can create."""
        key = (kind, user)
        if key not in self._domain.found:
            self._domain.found[key] = self._resources.any(kind, user).id
        return self._domain.found[key]

    def _sample(self, param: Param, user: str) -> Any:
        """Return a value for a parameter, with references to the exploration's own entities.

        Raises:
            CannotGenerate: the schema has no value that can be generated.
            SetUpFailedError: an entity that it refers to cannot be created.

        """
        if param.ref:
            return self.reference(param.ref, user)
        names: dict[str, str] = {}

        def resolve(kind: str) -> Any:
            reference = self.reference(kind, user)
            if not isinstance(reference, Ref):
                return reference
            identifier = self._model.entities[reference.name].id
            names[json.dumps(identifier)] = reference.name
            return identifier

        sampler = self._resources.sampler(user).bound(self._rng, resolve)
        value = sampler.sample(param.schema, optional=self._rng.choice(("all", "some")))
        places = refs(param.schema)
        return _symbolic(value, [pointer.split("/")[1:] for pointer, _ in places], names) if names else value

    def for_creation(self, method: Method, user: str) -> dict[str, Any]:
        """Return data for a create function; optional parameters are included at random.

        Raises:
            CannotGenerate: a required parameter has no value that can be generated.
            SetUpFailedError: an entity that it refers to cannot be created.

        """
        optional = self._rng.choice((0.0, 0.5, 1.0))
        drawn = self._drawn(method) if self._rng.random() < 0.3 else {}
        data: dict[str, Any] = {}
        for param in method.params:
            if not param.required:
                chance = optional if not refs(param.schema) else 0.3 * optional
                if self._resources.locks_out(method, param.name) or self._rng.random() >= chance:
                    continue
            if param.name in drawn and not refs(param.schema):
                data[param.name] = drawn[param.name]
                continue
            try:
                data[param.name] = self._sample(param, user)
            except (CannotGenerate, SetUpFailedError):
                if param.required:
                    raise
        return data

    def _drawn(self, method: Method) -> dict[str, Any]:
        """Return one of the payloads drawn for a function, without edge cases and long values."""
        candidates = self._domain.drawn(method)
        if not candidates:
            return {}
        chosen = self._rng.choice(candidates)
        return {
            name: value
            for name, value in chosen.items()
            if not payloads.unusual_features(value) and len(json.dumps(value)) <= MAX_VALUE_CHARS
        }

    def is_valid(self, method: Method, data: dict[str, Any]) -> bool:
        """Return whether data is valid against the schema, with identifiers in place of the references."""
        return method.data.valid(put_in(data, self.identifier))

    def identifier(self, name: str) -> Any:
        """Return the identifier of the entity of this name."""
        return self._model.entities[name].id

    def for_update(
        self, entity: Entity, count: int = 0, *, only: Sequence[str] = ()
    ) -> dict[str, Any] | None:
        """Return data that updates `count` members of an entity, or those in `only`.

        With a count of 0 the number is random. None is returned where nothing can be updated.
        """
        update = self._domain.kinds[entity.kind].update
        assert update is not None
        assert update.object is not None
        data: dict[str, Any] = {update.object.id: Ref(entity.name)}
        params = [
            param
            for param in update.params
            if param.name != update.object.id and not self._resources.locks_out(update, param.name)
        ]
        plain = [param for param in params if not refs(param.schema)]
        if only:
            chosen = [param for param in params if param.name in only]
        else:
            if not plain:
                return None
            visible = [param for param in plain if entity.value(param.name) is not MISSING] or plain
            # Updates of few members show leaks into the others; updates of all members show lost values.
            count = count or self._rng.choice((1, 1, 2, 3, len(visible)))
            chosen = self._rng.sample(visible, min(count, len(visible)))
            main = [param for param in visible if param.name in self._required_members(entity.kind)]
            if main and self._rng.random() < 0.4:
                # Required members are those that targets use most.
                chosen = [self._rng.choice(main), *chosen[1:]]
            if len(params) > len(plain) and self._rng.random() < 0.1:
                chosen.append(self._rng.choice([param for param in params if param not in plain]))
        drawn = self._drawn(update) if self._rng.random() < 0.3 else {}
        for param in params:
            if param not in chosen:
                if param.required:
                    value = entity.value(param.name)
                    if value is MISSING:
                        value = self.sample_or_missing(param, entity.owner)
                    if value is MISSING:
                        return None
                    data[param.name] = value
                continue
            current = entity.value(param.name)
            value = drawn.get(param.name, MISSING)
            if value is MISSING or refs(param.schema) or (current is not MISSING and equal(value, current)):
                value = self._different_value(param, entity.owner, current)
            if value is not MISSING:
                data[param.name] = value
        return data if len(data) > 1 and self.is_valid(update, data) else None

    def updatable_members(self, entity: Entity) -> list[str]:
        """Return the members that an update can change independently, and that the entity shows."""
        update = self._domain.kinds[entity.kind].update
        assert update is not None
        own = update.object.id if update.object else ""
        return [
            param.name
            for param in update.params
            if param.name != own
            and not refs(param.schema)
            and entity.value(param.name) is not MISSING
            and not self._resources.locks_out(update, param.name)
        ]

    def _required_members(self, kind: str) -> set[str]:
        """Return the members that are required to create an entity of the kind."""
        create = self._domain.kinds[kind].create
        return {param.name for param in create.params if param.required} if create else set()

    def _different_value(self, param: Param, user: str, current: Any) -> Any:
        """Return a value other than the current one, or MISSING."""
        value: Any = MISSING
        for _ in range(6):
            value = self.sample_or_missing(param, user)
            if value is MISSING or current is MISSING or not equal(value, current):
                return value
        return MISSING

    def sample_or_missing(self, param: Param, user: str) -> Any:
        """Return a value for a parameter, or MISSING where there is none."""
        try:
            return self._sample(param, user)
        except (CannotGenerate, SetUpFailedError):
            return MISSING

    def arguments(self, entity: Entity, method: Method) -> dict[str, Any] | None:
        """Return the data that identifies an entity to a function: its identifier and those of its parents."""
        assert method.object is not None
        data: dict[str, Any] = {method.object.id: Ref(entity.name)}
        for param in method.params:
            if not param.required or param.name == method.object.id:
                continue
            if param.ref and param.name in entity.sent:
                data[param.name] = self.reference_to(param.ref, entity.sent[param.name])
                continue
            value = self.sample_or_missing(param, entity.owner)
            if value is MISSING:
                return None
            data[param.name] = value
        return data

    def reference_to(self, kind: str, identifier: Any) -> Any:
        """Return a reference to the entity with this identifier, or the identifier where it is unknown."""
        for other in self._model.entities.values():
            if other.kind == kind and equal(other.id, identifier):
                return Ref(other.name)
        return identifier

    def invalid(self, method: Method, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return the data with one member invalid and the others unchanged; None where no violation applies."""
        own = method.object.id if method.object else ""
        plain = {param.name for param in method.params if param.name != own and not refs(param.schema)}
        violations = [
            violation for violation in self._resources.violations(method) if violation.parameter in plain
        ]
        bound = put_in(data, self.identifier)
        # An invalid member beside valid ones can show that the valid ones were written.
        for _ in range(8):
            if not violations:
                break
            violation = self._rng.choice(violations)
            try:
                value = violation.apply(bound).get(violation.parameter, MISSING)
            except (CannotGenerate, SetUpFailedError):
                continue
            bad = {name: each for name, each in data.items() if name != violation.parameter}
            if value is not MISSING:
                bad[violation.parameter] = value
            if len(json.dumps(value, default=str)) <= MAX_VALUE_CHARS and not self.is_valid(method, bad):
                return bad
        return None


def _symbolic(value: Any, places: Sequence[Sequence[str]], names: dict[str, str]) -> Any:
    """Return a value with references in place of identifiers; `places` are the paths to them, `*` is any item."""
    if any(not path for path in places):
        name = names.get(json.dumps(value))
        return value if name is None else Ref(name)
    if isinstance(value, dict):
        return {
            key: _symbolic(item, [path[1:] for path in places if path[0] in (key, "*")], names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        below = [path[1:] for path in places]
        return [_symbolic(item, below, names) for item in value]
    return value
