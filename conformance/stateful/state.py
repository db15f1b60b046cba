"""What the model knows of the target: objects, sessions and lists, as far as the steps so far show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.catalog.model import Catalog
from conformance.helpers.comparison import equal
from conformance.protocol.profile import Profile
from conformance.stateful.entities import Disagreement, Entity, Knowledge, Shape
from conformance.stateful.script import Step, StepResult

__all__ = ["NOT_FOUND_STATUSES", "Concurrent", "ShownList", "State", "list_key"]


#: Statuses that may report that an object does not exist (STA-3).
NOT_FOUND_STATUSES = (400, 403, 404)


@dataclass
class ShownList:
    """What a list showed last.

    `exact` holds until something is written. `quiet` holds until other objects than the script's may have changed.
    """

    ids: list[Any]
    exact: bool = True
    quiet: bool = True


@dataclass(frozen=True)
class Concurrent:
    """What the steps of a group do: the objects `written`, those of them being `deleted`, and the users `leaving`.

    All are empty for a single step.
    """

    written: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()

    @classmethod
    def of(cls, group: Sequence[StepResult]) -> Concurrent:
        """Return what the steps of a group do at the same time."""
        if len(group) < 2:
            return cls()
        wrote = [each for each in group if each.step.about and not each.step.only_reads]
        # A deletion without an answer may have taken effect.
        gone = [each for each in wrote if each.step.does == "delete" and _may_have_happened(each)]
        return cls(
            frozenset(each.step.about or "" for each in wrote),
            frozenset(each.step.about or "" for each in gone),
            frozenset(each.step.user for each in group if each.step.does == "logout"),
        )


def _may_have_happened(result: StepResult) -> bool:
    return result.status is None or result.status == 200 or result.status >= 500


class State:
    """What the model knows after the steps so far.

    A session is "open", "ended", or in one of the states that leave open whether the target accepts it: "uncertain",
    "after logout" where another session of its user was closed, "during logout" where that happens at the same time.
    `survived_logouts` counts the sessions that stayed valid after such a logout without concurrent calls.
    """

    def __init__(self, catalog: Catalog, profile: Profile, knowledge: Knowledge) -> None:
        self.catalog = catalog
        self.profile = profile
        self.knowledge = knowledge
        self.entities: dict[str, Entity] = {
            entity.name: replace(entity, unseen={}, given=set(), refers_to=set(), refused=set())
            for entity in knowledge.existing
        }
        self.sessions: dict[str, str] = {}
        self.shown_lists: dict[tuple[str, str, str], ShownList] = {}
        self.survived_logouts = 0
        #: The group of steps that is being checked, and the (object, member) that it gave so far.
        self.concurrent = Concurrent()
        self.given_in_group: list[tuple[str, str]] = []
        self._shapes: dict[str, Shape] = {}

    def shape(self, kind: str) -> Shape:
        """Return the functions and members of a kind."""
        if kind not in self._shapes:
            self._shapes[kind] = Shape.of(self.catalog, kind)
        return self._shapes[kind]

    def note_unknown_outcome(self, step: Step) -> None:
        """Note a call whose outcome is unknown: there was no answer, or a status of 500 and more."""
        if step.only_reads:
            return
        self.note_write(None)
        entity = self.entities.get(step.about or "")
        if entity is not None and step.does != "create":
            entity.forget()
            if entity.state == "exists" and step.does != "update":
                entity.state = "uncertain"
            self.mark_related_changed(entity)

    def disagreement(
        self,
        result: StepResult,
        check: str,
        expected: str,
        actual: str,
        *,
        about: str | None = None,
        member: str | None = None,
    ) -> Disagreement:
        """Return a disagreement on the result of a step."""
        step = result.step
        area = "sessions" if check.startswith("session") else step.kind or "sessions"
        return Disagreement(
            check, area, step.function, expected, actual, result.exchange, about or step.about, member
        )

    def listed(self, step: Step, sent: Any) -> list[Any] | None:
        """Return the identifiers that a list showed last, without paging; None where that is not known."""
        last = self.shown_lists.get(list_key(step, sent))
        return last.ids if last is not None else None

    def of_kind(self, kind: str) -> list[Entity]:
        """Return the objects of a kind."""
        return [entity for entity in self.entities.values() if entity.kind == kind]

    def names_of(self, kind: str, ids: Sequence[Any]) -> str:
        """Return the names of the objects with these identifiers, as text."""
        names = [
            next((entity.name for entity in self.of_kind(kind) if equal(entity.id, identifier)), "another")
            for identifier in ids
        ]
        return ", ".join(names) if names else "none"

    def descendants(self, entity: Entity) -> Iterator[Entity]:
        """Yield the objects that refer to an object, at any depth."""
        names, more = {entity.name}, True
        while more:
            more = False
            for other in self.entities.values():
                if other.name not in names and other.refers_to & names:
                    names.add(other.name)
                    more = True
                    yield other

    def related(self, entity: Entity) -> list[Entity]:
        """Return the objects that refer to an object, and those that it refers to, at any depth."""
        above: list[Entity] = []
        names = list(entity.refers_to)
        while names:
            other = self.entities.get(names.pop())
            if other is not None and other is not entity and other not in above:
                above.append(other)
                names += other.refers_to
        return [*above, *self.descendants(entity)]

    def mark_related_changed(self, entity: Entity) -> None:
        """Note that an object changed, which may change what related objects show."""
        for other in self.related(entity):
            other.related_changed = True
            other.refused.clear()

    def note_write(self, kind: str | None) -> None:
        """Note that something was written, so that pages can no longer be compared.

        With a kind of None, objects of any kind may have been created or deleted.
        """
        for (function, _, _), last in self.shown_lists.items():
            role = self.catalog.methods[function].object
            last.exact = False
            if kind is None or role is None or role.kind != kind:
                last.quiet = False


def list_key(step: Step, sent: Any) -> tuple[str, str, str]:
    """Return what identifies a list: its function, its data and its user."""
    return step.function, json.dumps(sent, sort_keys=True, default=str), step.user
