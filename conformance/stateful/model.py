"""A model of the objects and the sessions: what a sequence of calls should have left behind (STA-6).

A script is a list of steps that name objects and sessions by words of their own ("course1", "owner/2"), so that it can
be played again on fresh ones. The model is told of each step and its answer; it says where the two disagree. It
judges no data and no rights, which other rules do: whatever the target accepted has happened, whatever it refused
has not, and what an object showed it goes on showing until somebody changes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.catalog.model import Catalog, Method, refs
from conformance.helpers.comparison import equal, seen
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve

__all__ = [
    "Disagreement",
    "Entity",
    "Knowledge",
    "Model",
    "Played",
    "Ref",
    "Shape",
    "Step",
    "named_in",
    "put_in",
    "render",
    "told",
]

#: What says that an object is not there (STA-3).
GONE = (400, 403, 404)


@dataclass(frozen=True)
class Ref:
    """Stands in a script's data for the identifier of the object of that name."""

    name: str


@dataclass(frozen=True)
class Step:
    """One call of a script.

    `session` is the user's name, with a number where it is not his first session ("owner/2"); "" is nobody's. `does`
    is create, read, update, delete or list as in x-object, `act` for any other function that takes an object, or
    login, logout, whoami. `data` has a `Ref` for each identifier. `about` names the object that is made or
    acted on. Steps of one number in `at_once` (not 0) are sent at the same time. `valid` is false where the data is
    not: the target is to refuse it. `page` has the first
    row and how many; a negative first row counts from the end of the whole list, as it was shown last.
    """

    session: str
    does: str
    function: str
    data: Any = None
    about: str | None = None
    kind: str | None = None
    page: tuple[int, int] | None = None
    at_once: int = 0
    valid: bool = True

    @property
    def user(self) -> str:
        """Whose session it is; "" is nobody's."""
        return self.session.partition("/")[0]

    @property
    def looks(self) -> bool:
        """Whether it only looks."""
        return self.does in ("read", "list", "whoami")


@dataclass(frozen=True)
class Played:
    """A step that was played: the data and the page as they were sent, and what came."""

    step: Step
    sent: Any
    exchange: Exchange
    page: tuple[int, int] | None = None

    @property
    def status(self) -> int | None:
        """The status of the answer; None where there was none."""
        return self.exchange.status


@dataclass(frozen=True)
class Disagreement:
    """Where the target and the model disagree.

    `nature` names the check that failed, `area` the kind of object ("sessions" for a session), `function` the one
    that showed it, `member` the member of the object.
    """

    nature: str
    area: str
    function: str
    expected: str
    actual: str
    exchange: Exchange
    about: str | None = None
    member: str | None = None

    @property
    def likeness(self) -> tuple[str, str, str]:
        """What two disagreements have in common that come from one defect."""
        nature = "value" if self.nature in ("unlike", "moved") else self.nature
        return (nature, self.area, self.function)


@dataclass
class Entity:
    """An object as the model knows it.

    `state` is "here", "gone", or "doubtful" where the rules leave open whether it went with another. `fresh` has what
    was given and not yet seen: the acceptable values of each member. `shown` is what the last look agreed on,
    None where it has to be learnt. `loose` says that a related object changed since, `own` that it was changed itself;
    `missed` that it is gone without having been deleted; `made` is false for what was there before. `refused` has
    the (user, does) of what other users were refused, as long as nothing was done that may have let them in.
    """

    name: str
    kind: str
    owner: str
    id: Any
    sent: dict[str, Any]
    state: str = "here"
    fresh: dict[str, list[Any]] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    shown: Any = None
    rest: Any = None
    loose: bool = False
    own: bool = False
    missed: bool = False
    made: bool = True
    refers: set[str] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def value(self, name: str) -> Any:
        """Return what a member holds as far as is known, or MISSING."""
        if name in self.fresh:
            return self.fresh[name][-1]
        return self.shown.get(name, MISSING) if isinstance(self.shown, dict) else MISSING

    def forget(self) -> None:
        """Learn anew what it holds."""
        self.fresh, self.given, self.shown, self.rest = {}, set(), None, None


@dataclass
class Shape:
    """The functions of a kind of object, and the members that a caller gives.

    `given` has the schema of each member that create or update take by name; `firm` those of them that only the
    caller moves: texts and collections without identifiers. The others may follow from a related object (a state, a
    number, a reference).
    """

    kind: str
    create: Method | None
    read: Method | None
    update: Method | None
    delete: Method | None
    lists: tuple[Method, ...]
    given: dict[str, Any]
    firm: frozenset[str]

    @classmethod
    def of(cls, catalog: Catalog, kind: str) -> Shape:
        """Read the catalogue."""
        create, update = catalog.create(kind), catalog.update(kind)
        given: dict[str, Any] = {}
        for method in (create, update):
            for param in method.params if method else ():
                own = method.object.id if method and method.object and method.object.does == "update" else ""
                hidden = param.schema.get("writeOnly") or param.schema.get("format") == "password"
                if param.name != own and not hidden:
                    given.setdefault(param.name, param.schema)
        firm = frozenset(name for name, schema in given.items() if _firm(schema))
        return cls(
            kind,
            create,
            catalog.read(kind),
            update,
            catalog.delete(kind),
            catalog.lists(kind),
            given,
            firm,
        )


def _firm(schema: Any) -> bool:
    if not isinstance(schema, dict) or refs(schema) or "enum" in schema or "const" in schema:
        return False
    types = schema.get("type")
    types = {types} if isinstance(types, str) else set(types or ())
    return bool(types & {"string", "array", "object"}) and not types & {"number", "integer", "boolean"}


@dataclass
class Knowledge:
    """What a conversation learns of the target once and for all its scripts.

    `moving` has the (kind, member) that move by themselves; `known` the areas in which a defect was found already,
    so that no more is said of them; `takes_others` says that a logout was seen to end another session; `found` has
    the objects that were there before, for targets that are not written to.
    """

    identities: dict[str, Any] = field(default_factory=dict)
    moving: set[tuple[str, str]] = field(default_factory=set)
    known: set[str] = field(default_factory=set)
    takes_others: bool = False
    found: list[Entity] = field(default_factory=list)


@dataclass
class _Whole:
    """What a list showed last: `exact` until something is written, `quiet` until something may have moved it."""

    ids: list[Any]
    exact: bool = True
    quiet: bool = True


@dataclass(frozen=True)
class _Beside:
    """What is done at the same time as a step: objects `written`, those of them `going`, and users `leaving`.

    All are empty for a step by itself.
    """

    written: frozenset[str] = frozenset()
    going: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()

    @classmethod
    def of(cls, group: Sequence[Played]) -> _Beside:
        """Return what the steps of a group do."""
        if len(group) < 2:
            return cls()
        wrote = [each for each in group if each.step.about and not each.step.looks]
        # Whether a deletion came to pass is not known where nothing came of it.
        gone = [each for each in wrote if each.step.does == "delete" and _may_have_happened(each)]
        return cls(
            frozenset(each.step.about or "" for each in wrote),
            frozenset(each.step.about or "" for each in gone),
            frozenset(each.step.user for each in group if each.step.does == "logout"),
        )


def _may_have_happened(played: Played) -> bool:
    return played.status is None or played.status == 200 or played.status >= 500


def _turn(played: Played) -> int:
    """Say in which order the steps of a group are taken: what ends a session at first, what ends an object last."""
    return {"logout": 0, "list": 2, "delete": 3}.get(played.step.does, 1)


class Model:
    """What should be, after the steps so far."""

    def __init__(self, catalog: Catalog, profile: Profile, knowledge: Knowledge) -> None:
        self.catalog = catalog
        self.profile = profile
        self.knowledge = knowledge
        self.entities: dict[str, Entity] = {
            being.name: replace(being, fresh={}, given=set(), refers=set(), refused=set())
            for being in knowledge.found
        }
        self.sessions: dict[str, str] = {}
        self._wholes: dict[tuple[str, str, str], _Whole] = {}
        self._shapes: dict[str, Shape] = {}
        self._group: list[tuple[str, str]] = []
        self._beside = _Beside()
        #: How often a session went on when another one of its user was ended by itself, nothing running beside it.
        self.left = 0

    def shape(self, kind: str) -> Shape:
        """Return the functions and members of a kind."""
        if kind not in self._shapes:
            self._shapes[kind] = Shape.of(self.catalog, kind)
        return self._shapes[kind]

    def take(self, group: Sequence[Played]) -> Disagreement | None:
        """Learn of a step and its answer, or of several sent at the same time; say where it disagrees, or None.

        The steps of a group do not depend on each other, but that two may give one member of one object (then
        either value is right), that one may delete what others use (then they may find it or not, and afterwards
        it is gone), that lists may be of what others write, and that one may end another session of its user.
        Where an area is known to be broken, what the target shows is believed.
        """
        self._group = []
        self._beside = _Beside.of(group)
        found: Disagreement | None = None
        for played in sorted(group, key=_turn):
            disagreement = self._take(played)
            if disagreement is not None and disagreement.area in self.knowledge.known:
                disagreement = None
            found = found or disagreement
        return found

    # -- what a step means ---------------------------------------------------------------------------------------

    def _take(self, played: Played) -> Disagreement | None:
        step, status = played.step, played.status
        if step.does == "login":
            self.sessions[step.session] = "open"
            self._unsettle(step, "unsure")
            self._stir(None)
            return None
        if status is None or status >= 500:
            # COD-8 speaks of it; what became of the call is not known.
            self._lost(step)
            return None
        heard, barred = self._admit(played)
        if not heard:
            return barred
        handler: Callable[[Played], Disagreement | None] = getattr(self, f"_{step.does}")
        return handler(played)

    def _lost(self, step: Step) -> None:
        if step.looks:
            return
        self._stir(None)
        being = self.entities.get(step.about or "")
        if being is not None and step.does != "create":
            being.forget()
            if being.state == "here" and step.does != "update":
                being.state = "doubtful"
            self._loosen(being)

    def _admit(self, played: Played) -> tuple[bool, Disagreement | None]:
        """Say whether the call was heard as its user's, and where that is not as it should be."""
        step, status = played.step, played.status
        state = self.sessions.get(step.session, "ended")
        method = self.catalog.methods.get(step.function)
        if method is not None and method.auth == "none":
            return True, None
        if state == "ended":
            if status != 200:
                return False, None
            if not step.looks:
                self._lost(step)
            what = "without a session" if not step.session else "in a session that was ended"
            return False, self._differ(played, "session dead", f"status 401: it is sent {what}", "status 200")
        if state == "open" and status == 401:
            self.sessions[step.session] = "unsure"
            return False, self._differ(
                played, "session refused", "the session works: nobody ended it", played.exchange.summary()
            )
        if status == 401:
            self.sessions[step.session] = "ended"
            self.knowledge.takes_others |= state == "left"
            if state == "beside" and self.left and not self.knowledge.takes_others:
                return False, self._differ(
                    played,
                    "session taken",
                    "the session works: a logout leaves the user's other sessions, as it did before",
                    played.exchange.summary(),
                )
            return False, None
        self.left += state == "left"
        if step.user not in self._beside.leaving:
            self.sessions[step.session] = "open"
        return True, None

    def _unsettle(self, step: Step, to: str) -> None:
        """After a login or a logout: whether the user's other sessions go on is for other rules (AUT-9, AUT-10).

        But where a logout left the others (`left`), one must not take them for what is sent in them meanwhile
        (`beside`).
        """
        for name, state in self.sessions.items():
            if name != step.session and state != "ended" and name.partition("/")[0] == step.user:
                self.sessions[name] = to if state == "open" else "unsure"

    def _differ(
        self,
        played: Played,
        nature: str,
        expected: str,
        actual: str,
        *,
        about: str | None = None,
        member: str | None = None,
    ) -> Disagreement:
        step = played.step
        area = "sessions" if nature.startswith("session") else step.kind or "sessions"
        return Disagreement(
            nature, area, step.function, expected, actual, played.exchange, about or step.about, member
        )

    # -- sessions ------------------------------------------------------------------------------------------------

    def _logout(self, played: Played) -> Disagreement | None:
        step = played.step
        self.sessions[step.session] = "ended" if played.status == 200 else "unsure"
        self._unsettle(step, "beside" if step.user in self._beside.leaving else "left")
        return None

    def _whoami(self, played: Played) -> Disagreement | None:
        whoami = self.profile.auth.whoami
        if whoami is None or played.status != 200 or not played.step.session:
            return None
        user, found = played.step.user, resolve(played.exchange.data, whoami.field)
        if found is MISSING:
            return None
        known = self.knowledge.identities.get(user, MISSING)
        expected = f"{whoami.field} is {as_json(known)}"
        if known is MISSING:
            account = self.profile.users[user].user
            twins = [
                other
                for other, identity in self.knowledge.identities.items()
                if equal(identity, found) and self.profile.users[other].user != account
            ]
            if not twins:
                self.knowledge.identities[user] = found
                return None
            expected = f"{whoami.field} is not that of {twins[0]}"
        elif equal(known, found):
            return None
        return self._differ(played, "session other", expected, f"{whoami.field} is {as_json(found)}")

    # -- objects -------------------------------------------------------------------------------------------------

    def _create(self, played: Played) -> Disagreement | None:
        step = played.step
        method = self.catalog.methods[step.function]
        assert method.object is not None
        assert step.about is not None
        if played.status != 200:
            return None
        self._stir(method.object.kind)
        identifier = resolve(played.exchange.data, method.object.id)
        if identifier is MISSING or identifier is None or isinstance(identifier, (dict, list)):
            return None
        twin = next((b for b in self._of(method.object.kind) if equal(b.id, identifier)), None)
        if twin is not None and twin.state == "here":
            return self._differ(
                played, "twin", "an identifier of its own", f"that of {twin.name}, which still exists"
            )
        if twin is not None:
            # The identifier is used again; of the object that had it nothing can be said any more (STA-3).
            del self.entities[twin.name]
        sent = played.sent if isinstance(played.sent, dict) else {}
        being = Entity(
            step.about, method.object.kind, step.user, identifier, sent, refers=named_in(step.data)
        )
        self.entities[being.name] = being
        if step.valid:
            self._give(being, method, sent)
        self._loosen(being)
        return self._dead_reference(played)

    def _dead_reference(self, played: Played) -> Disagreement | None:
        used = [self.entities[name] for name in named_in(played.step.data) if name in self.entities]
        dead = next(
            (being for being in used if being.state == "gone" and being.name != played.step.about), None
        )
        if dead is None:
            return None
        return self._differ(
            played, "dead used", f"status 400, 403 or 404: {dead.name} was deleted", played.exchange.summary()
        )

    def _give(self, being: Entity, method: Method, sent: Mapping[str, Any]) -> None:
        given = self.shape(being.kind).given
        own = method.object.id if method.object else ""
        for param in method.params:
            if param.name in sent and param.name != own and param.name in given:
                beside = (being.name, param.name) in self._group
                values = being.fresh.get(param.name, []) if beside else []
                being.fresh[param.name] = [*values, sent[param.name]]
                being.given.add(param.name)
                self._group.append((being.name, param.name))

    def _update(self, played: Played) -> Disagreement | None:
        step = played.step
        being = self.entities.get(step.about or "")
        if being is None:
            return None
        method = self.catalog.methods[step.function]
        if step.user != being.owner:
            return self._strange(played, being)
        if played.status != 200:
            return self._unfound(played, being)
        self._stir(being.kind)
        if being.state == "gone":
            being.state = "doubtful"
            return self._dead(played, being, "dead changed")
        being.state = "here"
        being.refers |= named_in(step.data) - {being.name}
        if step.valid and isinstance(played.sent, dict):
            being.own = True
            if (
                not played.sent.keys() - {method.object.id if method.object else ""}
                <= self.shape(being.kind).firm
            ):
                # It may have been given to others (a state, a flag), but not by a new title.
                being.refused.clear()
            self._give(being, method, played.sent)
        else:
            # It ought to have been refused (REQ-7 to REQ-9, DAT-2); what it did is learnt anew.
            being.forget()
            being.refused.clear()
        self._loosen(being)
        return self._dead_reference(played)

    def _unfound(self, played: Played, being: Entity) -> Disagreement | None:
        """Judge a refusal of one's own object: whatever else is wrong, it is not that there is none."""
        others = (self.entities.get(name) for name in named_in(played.step.data))
        sound = all(other is not None and other.state == "here" for other in others)
        going = being.name in self._beside.going and played.step.does != "delete"
        if played.status == 404 and played.step.valid and being.state == "here" and sound and not going:
            being.state = "doubtful"
            return self._differ(
                played, "not found", f"{being.name} exists: it was never deleted", played.exchange.summary()
            )
        return None

    def _dead(self, played: Played, being: Entity, nature: str) -> Disagreement:
        return self._differ(
            played,
            nature,
            f"status 400, 403 or 404: {being.name} was deleted",
            played.exchange.summary(),
        )

    def _strange(self, played: Played, being: Entity) -> Disagreement | None:
        """Judge a call of another user: what was refused to him before stays refused (ACC-2 says what must be)."""
        step = played.step
        key = (step.user, step.does)
        if played.status != 200:
            if played.status in (403, 404) and being.state == "here" and step.valid:
                being.refused.add(key)
            return None
        before = key in being.refused
        if step.does != "read":
            self._stir(None)
            being.forget()
            self._loosen(being)
            if step.does == "delete":
                being.state = "doubtful"
        if before:
            return self._differ(
                played,
                "stranger",
                f"status 403 or 404: {being.name} is {being.owner}'s, and was refused before",
                "status 200",
            )
        return None

    def _delete(self, played: Played) -> Disagreement | None:
        step = played.step
        being = self.entities.get(step.about or "")
        if being is None:
            return None
        if step.user != being.owner:
            return self._strange(played, being)
        if played.status != 200:
            return self._unfound(played, being)
        self._stir(being.kind)
        if being.state == "gone":
            return self._dead(played, being, "dead deleted")
        being.state = "gone"
        self._loosen(being)
        for other in self._below(being):
            if other.state == "here":
                other.state = "doubtful"
        return None

    def _act(self, played: Played) -> Disagreement | None:
        being = self.entities.get(played.step.about or "")
        if being is None or played.status != 200:
            return None
        self._stir(None)
        if being.state == "gone":
            return self._dead(played, being, "dead used")
        being.forget()
        being.refused.clear()
        being.state = "doubtful"
        self._loosen(being)
        return None

    # -- looking -------------------------------------------------------------------------------------------------

    def _read(self, played: Played) -> Disagreement | None:
        step, status = played.step, played.status
        being = self.entities.get(step.about or "")
        if being is None:
            return None
        if step.user != being.owner:
            return self._strange(played, being)
        if status != 200:
            if being.name in self._beside.going:
                return None
            if being.state == "here" and status in GONE:
                being.state, being.missed = "gone", True
                return self._differ(
                    played, "missing", f"{being.name} exists: status 200", played.exchange.summary()
                )
            if status in GONE:
                being.state = "gone"
            return None
        if being.state == "gone":
            being.state = "doubtful"
            return self._dead(played, being, "dead read")
        being.state = "here"
        return self._compare(played, being)

    def _compare(self, played: Played, being: Entity) -> Disagreement | None:
        """Compare what an object shows with what it should show, and learn the rest."""
        method = self.catalog.methods[played.step.function]
        assert method.object is not None
        masked = method.volatile_mask(played.exchange.data)
        at = resolve(masked, method.object.at)
        shape = self.shape(being.kind)
        found: Disagreement | None = None
        if isinstance(at, dict):
            found = self._members(played, being, shape, at)
        elif being.shown is not None and not being.own and not being.loose and not equal(being.shown, at):
            found = self._differ(played, "moved", as_json(being.shown), as_json(at))
        rest = _without(masked, method.object.at)
        settled = being.rest is not None and not being.own and not being.loose
        if (
            found is None
            and settled
            and (being.kind, "") not in self.knowledge.moving
            and not equal(being.rest, rest)
        ):
            found = self._differ(
                played, "moved", f"beside {being.name}: {as_json(being.rest)}", as_json(rest), member=""
            )
        being.shown, being.rest, being.fresh = at, rest, {}
        being.loose = being.own = False
        return found

    def _members(
        self, played: Played, being: Entity, shape: Shape, at: dict[str, Any]
    ) -> Disagreement | None:
        before = being.shown if isinstance(being.shown, dict) else None
        for name in sorted({*at, *being.fresh, *(before or {})}):
            got = at.get(name, MISSING)
            if name in being.fresh:
                if got is MISSING and (before is None or name not in before):
                    continue
                wanted = being.fresh[name]
                if got is MISSING or not any(seen(value, got, shape.given[name]) for value in wanted):
                    expected = " or ".join(_short(value) for value in wanted)
                    return self._differ(
                        played, "unlike", f"{name}: {expected}", f"{name}: {_short(got)}", member=name
                    )
                continue
            if before is None or (being.kind, name) in self.knowledge.moving:
                continue
            if being.own and name not in shape.given:
                continue
            if being.loose and not (name in being.given and name in shape.firm):
                continue
            if (name in before) != (name in at) or not equal(before.get(name), at.get(name)):
                return self._differ(
                    played,
                    "moved",
                    f"{name}: {_short(before.get(name, MISSING))}",
                    f"{name}: {_short(got)}",
                    member=name,
                )
        return None

    def _list(self, played: Played) -> Disagreement | None:
        step = played.step
        if played.status != 200:
            return None
        method = self.catalog.methods[step.function]
        assert method.object is not None
        rows = resolve(played.exchange.data, method.rows or "")
        if not isinstance(rows, list):
            return None
        pointer = method.object.id
        ids = [resolve(row, pointer) for row in rows]
        key = _key(step, played.sent)
        whole = self._wholes.get(key)
        if played.page is not None:
            start, length = played.page
            if whole is None or not whole.exact or equal(ids, whole.ids[start : start + length]):
                return None
            return self._differ(
                played,
                "page",
                f"{length} rows from {start} on as the whole list has them: "
                f"{self._named(method.object.kind, whole.ids[start : start + length])}",
                self._named(method.object.kind, ids),
            )
        if self._beside.written:
            # Whether it shows what was written meanwhile is left open.
            self._wholes.pop(key, None)
            return self._entities_of_list(played, method, rows, ids)
        self._wholes[key] = _Whole(ids)
        found = self._entities_of_list(played, method, rows, ids)
        if found is None and whole is not None and whole.quiet:
            found = self._strays(played, method, whole.ids, ids)
        return found

    def listed(self, step: Step, sent: Any) -> list[Any] | None:
        """Return the identifiers that a list showed last, unpaged; None where that is not known."""
        whole = self._wholes.get(_key(step, sent))
        return whole.ids if whole is not None else None

    def _entities_of_list(
        self, played: Played, method: Method, rows: list[Any], ids: list[Any]
    ) -> Disagreement | None:
        assert method.object is not None
        user, kind = played.step.user, method.object.kind
        for being in self._of(kind):
            if self._beside.written & {being.name, *(other.name for other in self.related(being))}:
                continue
            times = sum(equal(being.id, identifier) for identifier in ids)
            if being.owner != user:
                if times and (user, "read") in being.refused and being.state == "here":
                    return self._differ(
                        played,
                        "list foreign",
                        f"{being.name} is not listed: it is {being.owner}'s, and {user} may not read it",
                        "it is listed",
                    )
                continue
            if being.state == "gone" and times:
                return self._differ(
                    played, "list dead", f"{being.name} is not listed: it was deleted", "it is"
                )
            if being.state != "here" or not self._belongs(being, method, played.sent):
                continue
            if times != 1:
                return self._differ(
                    played,
                    "list missing" if not times else "list twice",
                    f"{being.name} is listed once: it exists",
                    f"{times} of {len(ids)} rows are it",
                )
            row = next(row for row, each in zip(rows, ids, strict=True) if equal(each, being.id))
            found = self._row(played, being, method, row)
            if found is not None:
                return found
        return None

    def _belongs(self, being: Entity, method: Method, sent: Any) -> bool:
        """Whether an object is one of those that a list is asked for: it was made under the same objects."""
        data = sent if isinstance(sent, dict) else {}
        return all(name in being.sent and equal(being.sent[name], value) for name, value in data.items())

    def _row(self, played: Played, being: Entity, method: Method, row: Any) -> Disagreement | None:
        masked = method.volatile_mask(played.exchange.data)
        rows = resolve(masked, method.rows or "")
        index = next((i for i, each in enumerate(_rows(played, method)) if each is row), None)
        if not isinstance(rows, list) or index is None or not isinstance(rows[index], dict):
            return None
        shape = self.shape(being.kind)
        for name, got in rows[index].items():
            if name not in being.given or (being.kind, name) in self.knowledge.moving:
                continue
            if being.loose and name not in being.fresh and name not in shape.firm:
                continue
            value = being.value(name)
            wanted = being.fresh.get(name) or ([] if value is MISSING else [value])
            if wanted and not any(seen(each, got, shape.given[name]) for each in wanted):
                expected = " or ".join(_short(each) for each in wanted)
                return self._differ(
                    played,
                    "list row",
                    f"{being.name} is listed with {name}: {expected}",
                    f"{name}: {_short(got)}",
                    member=name,
                    about=being.name,
                )
        return None

    def _strays(
        self, played: Played, method: Method, before: list[Any], now: list[Any]
    ) -> Disagreement | None:
        """Judge the rows that are of no object of the script: none comes, none goes."""
        assert method.object is not None
        ours = [being.id for being in self._of(method.object.kind)]
        for nature, some, others in (("list stray", now, before), ("list lost", before, now)):
            odd = [i for i in some if not _among(i, others) and not _among(i, ours)]
            # An identifier that was used again belongs to an object of the script.
            if odd:
                more = "more" if nature == "list stray" else "fewer"
                return self._differ(
                    played,
                    nature,
                    "beside the objects of this script the list is as it was",
                    f"{len(odd)} {more} in {method.name}",
                )
        return None

    # -- what hangs together -------------------------------------------------------------------------------------

    def _of(self, kind: str) -> list[Entity]:
        return [being for being in self.entities.values() if being.kind == kind]

    def _named(self, kind: str, ids: Sequence[Any]) -> str:
        names = [
            next((being.name for being in self._of(kind) if equal(being.id, identifier)), "another")
            for identifier in ids
        ]
        return ", ".join(names) if names else "none"

    def _below(self, being: Entity) -> Iterator[Entity]:
        """Yield what refers to an object, at any depth."""
        names, more = {being.name}, True
        while more:
            more = False
            for other in self.entities.values():
                if other.name not in names and other.refers & names:
                    names.add(other.name)
                    more = True
                    yield other

    def related(self, being: Entity) -> list[Entity]:
        """Return what refers to an object and what it refers to, at any depth."""
        above: list[Entity] = []
        names = list(being.refers)
        while names:
            other = self.entities.get(names.pop())
            if other is not None and other is not being and other not in above:
                above.append(other)
                names += other.refers
        return [*above, *self._below(being)]

    def _loosen(self, being: Entity) -> None:
        for other in self.related(being):
            other.loose = True
            other.refused.clear()

    def _stir(self, kind: str | None) -> None:
        """Something was written: pages are not comparable any more; with None, anything may have come or gone."""
        for (function, _, _), whole in self._wholes.items():
            role = self.catalog.methods[function].object
            whole.exact = False
            if kind is None or role is None or role.kind != kind:
                whole.quiet = False


def _key(step: Step, sent: Any) -> tuple[str, str, str]:
    return step.function, json.dumps(sent, sort_keys=True, default=str), step.user


def _rows(played: Played, method: Method) -> list[Any]:
    rows = resolve(played.exchange.data, method.rows or "")
    return rows if isinstance(rows, list) else []


def _among(identifier: Any, ids: Sequence[Any]) -> bool:
    return any(equal(identifier, each) for each in ids)


def _without(value: Any, pointer: str) -> Any:
    """Return a value with nothing at the pointer."""
    if not pointer:
        return None
    head, _, rest = pointer[1:].partition("/")
    if isinstance(value, dict) and head in value:
        return {**value, head: _without(value[head], f"/{rest}" if rest else "")}
    return None if isinstance(value, list) else value


# --- scripts ------------------------------------------------------------------------------------------------


def named_in(data: Any) -> set[str]:
    """Return the names of the objects that a step's data refers to."""
    if isinstance(data, Ref):
        return {data.name}
    if isinstance(data, dict):
        return set().union(*map(named_in, data.values()))
    if isinstance(data, list):
        return set().union(*map(named_in, data))
    return set()


def put_in(data: Any, ids: Callable[[str], Any]) -> Any:
    """Return data with the identifiers in place of the names; `ids` gives them, and may raise LookupError."""
    if isinstance(data, Ref):
        return ids(data.name)
    if isinstance(data, dict):
        return {name: put_in(value, ids) for name, value in data.items()}
    if isinstance(data, list):
        return [put_in(value, ids) for value in data]
    return data


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    if isinstance(data, Ref):
        return Ref(names.get(data.name, data.name))
    if isinstance(data, dict):
        return {name: _renamed(value, names) for name, value in data.items()}
    if isinstance(data, list):
        return [_renamed(value, names) for value in data]
    return data


def told(script: Sequence[Played]) -> list[Played]:
    """Return a script with its objects numbered as they come."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for played in script:
        step = played.step
        if step.does == "create" and step.about is not None and step.about not in names:
            kind = step.kind or "object"
            counts[kind] = counts.get(kind, 0) + 1
            names[step.about] = f"{kind}{counts[kind]}"
    return [
        replace(
            played,
            step=replace(
                played.step,
                data=_renamed(played.step.data, names),
                about=names.get(played.step.about or "", played.step.about),
            ),
        )
        for played in script
    ]


def render(played: Played) -> str:
    """Return a step as one line: `owner: course.add {"title": "x"} → course1`."""
    step = played.step
    line = f"{step.session or 'nobody'}: {step.function}"
    if step.does not in ("login", "logout", "whoami") and step.data:
        line += f" {_line(step.data)}"
    if played.page is not None:
        line += f" rows {played.page[0]} to {played.page[0] + played.page[1] - 1}"
    came = "no answer" if played.status is None else str(played.status)
    if step.does == "create" and played.status == 200 and step.about:
        came = step.about
    if not step.valid:
        came += " (its data is not valid)"
    return f"{line} → {came}" + (" (at the same time)" if step.at_once else "")


def _line(data: Any) -> str:
    if isinstance(data, Ref):
        return data.name
    if isinstance(data, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_line(item)}" for name, item in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(_line, data)) + "]"
    return _short(data, 60)


def _short(value: Any, most: int = 200) -> str:
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= most else f"{text[: most - 1]}…"
