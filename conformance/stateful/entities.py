"""Objects as the model knows them, and where the target disagrees with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from conformance.catalog.model import Catalog, Method, refs
from conformance.protocol.exchange import Exchange
from conformance.schema.pointer import MISSING

__all__ = ["Disagreement", "Entity", "Knowledge", "Shape"]


@dataclass(frozen=True)
class Disagreement:
    """Where the target and the model disagree.

    `check` names the check that failed. `area` is the kind of object, or "sessions". `function` is the function that
    showed the disagreement, `about` the object and `member` its member.
    """

    check: str
    area: str
    function: str
    expected: str
    actual: str
    exchange: Exchange
    about: str | None = None
    member: str | None = None

    @property
    def signature(self) -> tuple[str, str, str]:
        """What disagreements that come from one defect have in common."""
        check = "value" if self.check in ("unlike", "moved") else self.check
        return (check, self.area, self.function)


@dataclass
class Entity:
    """An object as the model knows it.

    - `state`: "exists", "gone", or "uncertain" where the rules leave open whether it was deleted with another.
    - `given`: the members that some call gave. `unseen`: the acceptable values of those not read since.
    - `shown`: what the last read showed, None where the next read is to be learned. `rest`: the data around it.
    - `related_changed`: a related object was changed since the last read. `own_change`: it was itself.
    - `lost`: it is gone although it was not deleted. `created`: false where it existed before the run.
    - `refers_to`: the names of the objects that its data refers to.
    - `refused`: (user, does) of calls that other users were refused and that nothing may have allowed since.
    """

    name: str
    kind: str
    owner: str
    id: Any
    sent: dict[str, Any]
    state: str = "exists"
    unseen: dict[str, list[Any]] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    shown: Any = None
    rest: Any = None
    related_changed: bool = False
    own_change: bool = False
    lost: bool = False
    created: bool = True
    refers_to: set[str] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def value(self, name: str) -> Any:
        """Return the value of a member as far as it is known, or MISSING."""
        if name in self.unseen:
            return self.unseen[name][-1]
        return self.shown.get(name, MISSING) if isinstance(self.shown, dict) else MISSING

    def forget(self) -> None:
        """Forget its values, so that the next read is learned."""
        self.unseen, self.given, self.shown, self.rest = {}, set(), None, None


@dataclass
class Shape:
    """The functions of a kind of object, and the members that a caller gives.

    `given` has the schema of each member that create or update take by name. `stable` has those that change only when
    a caller changes them: texts and collections without identifiers. The others (a state, a number, a reference) may
    follow from a related object.
    """

    kind: str
    create: Method | None
    read: Method | None
    update: Method | None
    delete: Method | None
    lists: tuple[Method, ...]
    given: dict[str, Any]
    stable: frozenset[str]

    @classmethod
    def of(cls, catalog: Catalog, kind: str) -> Shape:
        """Return the shape of a kind, from the catalogue."""
        create, update = catalog.create(kind), catalog.update(kind)
        given: dict[str, Any] = {}
        for method in (create, update):
            for param in method.params if method else ():
                own = method.object.id if method and method.object and method.object.does == "update" else ""
                hidden = param.schema.get("writeOnly") or param.schema.get("format") == "password"
                if param.name != own and not hidden:
                    given.setdefault(param.name, param.schema)
        stable = frozenset(name for name, schema in given.items() if _is_stable(schema))
        return cls(
            kind,
            create,
            catalog.read(kind),
            update,
            catalog.delete(kind),
            catalog.lists(kind),
            given,
            stable,
        )


def _is_stable(schema: Any) -> bool:
    """Return whether a member of this schema changes only when a caller changes it."""
    if not isinstance(schema, dict) or refs(schema) or "enum" in schema or "const" in schema:
        return False
    types = schema.get("type")
    types = {types} if isinstance(types, str) else set(types or ())
    return bool(types & {"string", "array", "object"}) and not types & {"number", "integer", "boolean"}


@dataclass
class Knowledge:
    """What is known of the target, over all scripts of a test.

    - `identities`: the identity that whoami shows for each user.
    - `volatile`: the (kind, member) whose values change without a call.
    - `broken_areas`: the areas in which a defect was found, so that no more are reported.
    - `logout_ends_others`: a logout was seen to end other sessions of its user.
    - `existing`: objects from before the run, for targets that may not be written to.
    """

    identities: dict[str, Any] = field(default_factory=dict)
    volatile: set[tuple[str, str]] = field(default_factory=set)
    broken_areas: set[str] = field(default_factory=set)
    logout_ends_others: bool = False
    existing: list[Entity] = field(default_factory=list)
