"""Random walks for the model: which calls are made, of whom, with what, and in which order.

A walk is put together of patterns that people and programs follow (change it twice, delete the middle one and page, ask
again in another session, try again after a refusal), each with random objects, sessions and data. Everything is
drawn from the seed and from what the target answered so far.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.catalog.model import Method, Param, refs
from conformance.engine.runner import TestContext
from conformance.generation import payloads
from conformance.generation.samples import CannotGenerate
from conformance.helpers.comparison import equal
from conformance.protocol.session import SetUpFailedError
from conformance.schema.pointer import MISSING, resolve
from conformance.stateful.executor import OLDEST, World
from conformance.stateful.model import Disagreement, Entity, Ref, Shape, Step, put_in

__all__ = ["Exploration", "Field", "field_of"]

#: Payloads are drawn so many at a time, and used in any order; longer ones than this (in characters) are not.
_BATCH = 16
_LONGEST = 3_000

#: A walk has no more sessions of one user at a time, and no more objects of one kind.
_SESSIONS = 4
_OBJECTS = 7

#: So often one session is ended beside the others' calls, over all walks: it is not a matter of the kind.
_DEPARTURES = {"quick": 1, "standard": 4, "deep": 30}


class _Found(Exception):  # noqa: N818
    """The target and the model disagree."""

    def __init__(self, disagreement: Disagreement) -> None:
        super().__init__(disagreement.nature)
        self.disagreement = disagreement


class _Enough(Exception):  # noqa: N818
    """The walk is long enough."""


@dataclass
class Field:
    """What there is to walk on: the kinds that can be made, who may make them, and the draws.

    `makers` has the users who may make and look at objects of each kind; `made` counts what cannot be deleted; `decks`
    has the patterns of each kind that are still to come, `rare` those that each kind is due once, before others;
    `departures` counts the logouts beside other calls.
    """

    ctx: TestContext
    kinds: dict[str, Shape]
    makers: dict[str, list[str]]
    made: dict[str, int] = field(default_factory=dict)
    found: dict[tuple[str, str], Any] = field(default_factory=dict)
    decks: dict[str, list[str]] = field(default_factory=dict)
    rare: dict[str, list[str]] = field(default_factory=dict)
    departures: int = 0
    _drawn: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def full(self, kind: str) -> bool:
        """Whether no more of a kind is to be made, since what is made stays."""
        return self.made.get(kind, 0) >= {"quick": 6, "standard": 16, "deep": 40}[self.ctx.run.options.budget]

    def focuses(self, known: set[str]) -> list[str]:
        """Return the kinds in the order in which walks turn to them, those with more to them more often."""
        weights: dict[str, int] = {}
        for kind, shape in self.kinds.items():
            if kind not in known and not self.full(kind):
                weights[kind] = 1 + (shape.delete is not None) + (shape.update is not None)
        rounds = max(weights.values(), default=0)
        return [kind for turn in range(rounds) for kind, weight in weights.items() if weight > turn]

    def drawn(self, method: Method) -> list[dict[str, Any]]:
        """Return valid payloads of a function, none that a target may refuse for an oddity (DAT-5, DAT-6)."""
        if method.name not in self._drawn:
            seed = random.Random(f"{self.ctx.run.options.seed}/{method.name}/sequence").randrange(2**32)
            try:
                every = payloads.draw(payloads.valid(method), seed, _BATCH)
            except CannotGenerate:
                every = []
            self._drawn[method.name] = [each for each in every if isinstance(each, dict)]
        return self._drawn[method.name]


def field_of(ctx: TestContext) -> Field:
    """Return what there is to walk on: the kinds that some user can make, and read or list.

    Where nothing may be written these are the kinds that some user can list.
    """
    catalog, resources = ctx.catalog, ctx.resources
    kinds: dict[str, Shape] = {}
    makers: dict[str, list[str]] = {}
    for kind in catalog.kinds:
        shape = Shape.of(catalog, kind)
        if not ctx.run.writable:
            lists = [method for method in shape.lists if not any(param.required for param in method.params)]
            users = [user for method in lists[:1] for user in resources.callers(method)]
            if users:
                kinds[kind], makers[kind] = shape, users
            continue
        if shape.create is None or (shape.read is None and not shape.lists):
            continue
        users = [
            user
            for user in resources.callers(shape.create)
            if resources.creator(kind, user) is not None
            and (shape.read is None or resources.may_call(user, shape.read))
        ]
        if users:
            kinds[kind], makers[kind] = shape, users
    return Field(ctx, kinds, makers)


class Exploration:
    """One walk: `owner` does most of it, `other` now and then.

    It sends `limit` calls, and a few to end with, as long as there may be `more`.
    """

    def __init__(
        self,
        domain: Field,
        world: World,
        focus: str,
        number: int,
        limit: int,
        more: Callable[[], bool] = lambda: True,
    ) -> None:
        self.domain = domain
        self.world = world
        self.ctx = world.ctx
        self.focus = focus
        self.rng = random.Random(f"{self.ctx.run.options.seed}/{self.ctx.name}/{number}")
        self._more = more
        self._until = self.ctx.client.sent + limit
        self._names = itertools.count(1)
        self._numbers: dict[str, int] = {}
        self._groups = itertools.count(1)
        makers = domain.makers[focus]
        self.owner = makers[number % len(makers)]
        account = self.ctx.profile.users[self.owner].user
        others = [user for user in self.ctx.profile.users if self.ctx.profile.users[user].user != account]
        peers = [user for user in others if user in makers]
        self.other = self.rng.choice(peers) if peers else self.rng.choice(others) if others else None
        self._barren: set[str] = set()

    # -- playing -------------------------------------------------------------------------------------------------

    def run(self) -> Disagreement | None:
        """Walk until the limit, or until the target and the model disagree.

        Raises:
            SetUpFailedError: nothing can be made, or a user cannot be signed in.

        """
        idle = 0
        try:
            self._begin()
            for pattern in self._order():
                before = self.ctx.client.sent
                pattern()
                # Not every pattern can be followed everywhere; where none can, the walk is at its end.
                idle = idle + 1 if self.ctx.client.sent == before else 0
                if idle > 40:
                    break
        except _Enough:
            pass
        except _Found as found:
            return found.disagreement
        try:
            self._until += 12
            self._use_any_ended(3)
            self._sweep()
            self._list_pages()
        except _Enough:
            pass
        except _Found as found:
            return found.disagreement
        return None

    def do(self, *group: Step) -> None:
        """Play a step, or several at the same time; what may not be sent to this target is left out."""
        group = tuple(step for step in group if self._may_send(step))
        if not group:
            return
        if self.ctx.client.sent >= self._until or not self._more():
            raise _Enough
        found = self.world.play(group)
        if found is not None:
            raise _Found(found)

    def _may_send(self, step: Step) -> bool:
        """Whether a step is harmless here: where nothing may be written only reads are, and what was found stays."""
        if step.does in ("login", "logout", "whoami"):
            return True
        if self.ctx.catalog.methods[step.function].effect == "read":
            return True
        being = self.world.model.entities.get(step.about or "")
        return self.ctx.run.writable and (step.does != "delete" or being is None or being.made)

    def _begin(self) -> None:
        if self.ctx.profile.auth.whoami is not None:
            for user in (self.owner, self.other):
                if user is not None:
                    self.do(self._whoami(user))
        if not self.ctx.run.writable:
            self._find()
            return
        first = self._make(self.focus, self.owner)
        if first is None:
            raise SetUpFailedError(f"could not make a {self.focus} to walk with")
        self._make(self.focus, self.owner)
        if self.rng.random() < 0.6:
            self._make(self.focus, self.owner)
        if self.other in self.domain.makers[self.focus] and self.rng.random() < 0.4:
            assert self.other is not None
            self._make(self.focus, self.other)
        if self.rng.random() < 0.5:
            self._second(self.owner)
        for being in self._alive():
            self._read(being)

    def _find(self) -> None:
        """Find objects to look at, where none may be made."""
        shape = self.domain.kinds[self.focus]
        found = self.world.model.knowledge.found
        if shape.read is None or any(each.kind == self.focus and each.owner == self.owner for each in found):
            return
        for method in shape.lists:
            if any(param.required for param in method.params) or not self.ctx.resources.may_call(
                self.owner, method
            ):
                continue
            step = Step(self._session(self.owner), "list", method.name, {}, None, self.focus)
            self.do(step)
            assert method.object is not None
            rows = self.ctx.resources.rows(method, self.world.transcript[-1].exchange)
            ids = [resolve(row, method.object.id) for row in rows]
            if not self.ctx.resources.may_call(self.owner, shape.read):
                ids = []
            for identifier in self.rng.sample(ids, min(4, len(ids))):
                name = f"{self.focus}{sum(each.kind == self.focus for each in found) + 1}"
                being = Entity(name, self.focus, self.owner, identifier, {}, made=False)
                found.append(being)
                self.world.model.entities[name] = replace(being)
            return

    def _order(self) -> Iterator[Callable[[], None]]:
        """Yield patterns, the likely ones more often, none long in coming."""
        shape = self.domain.kinds[self.focus]
        looking: list[tuple[int, Callable[[], None]]] = [
            (3, self._sweep),
            (3, self._list_pages),
            (4, self._sessions),
            (2, self._renew),
            (2, self._race_reads),
            (2, self._outside),
            (1, self._trespass),
        ]
        if not self.ctx.run.writable:
            return self._dealt([pattern for weight, pattern in looking for _ in range(weight)], [])
        rare: list[Callable[[], None]] = [
            self._third_session,
            self._next_in,
            self._race_logout,
            self._race_listed,
        ]
        weighted: list[tuple[int, Callable[[], None]]] = [
            (2, self._twins),
            (3, self._sweep),
            (3, self._list_pages),
            (4, self._trespass),
            (2, self._spoil_create),
            (2, self._outside),
            (4, self._sessions),
            (2, self._renew),
            (1, self._race_creates),
            (2, self._race_reads),
            (1, self._acts),
            (1, self._same_again),
            (5, self._family),
        ]
        if shape.update is not None:
            weighted += [
                (5, self._change),
                (6, self._change_more),
                (3, self._change_back),
                (5, self._violation),
                (3, self._race_changes),
                (3, self._race_one),
            ]
            rare += [self._late_trespass, self._renew, self._race_changes, self._race_one, self._trespass]
        if shape.delete is not None:
            rare += [
                self._same_page,
                self._late_removal,
                self._dead_parent,
                self._remove_beside,
                self._remove_middle,
            ]
            if shape.update is not None:
                rare += [self._change_haunt, self._race_removal]
            weighted += [
                (4, self._remove),
                (4, self._remove_middle),
                (5, self._haunt),
                (2, self._dead_parent),
                (2, self._remake),
            ]
        return self._dealt([pattern for weight, pattern in weighted for _ in range(weight)] + rare, rare)

    def _dealt(
        self, patterns: list[Callable[[], None]], rare: list[Callable[[], None]]
    ) -> Iterator[Callable[[], None]]:
        """Yield patterns in a random order, each as often as the others over all the walks of this kind.

        Each of the rare ones, which take many calls to something that chance seldom puts together, comes once before,
        in turn with the others.
        """
        deck = self.domain.decks.setdefault(self.focus, [])
        by_name = {pattern.__name__: pattern for pattern in patterns}
        if self.focus not in self.domain.rare:
            due = self.domain.rare[self.focus] = [pattern.__name__ for pattern in rare]
            self.rng.shuffle(due)
        due = self.domain.rare[self.focus]
        while True:
            if due:
                # What a walk's end cuts short is due again in the next one.
                yield by_name[due[-1]]
                due.pop()
            if not deck:
                deck += [pattern.__name__ for pattern in patterns]
                self.rng.shuffle(deck)
            yield by_name[deck.pop()]

    # -- who and what --------------------------------------------------------------------------------------------

    def _open(self, user: str) -> list[str]:
        """Return the user's sessions that were not ended, as far as is known."""
        sessions = self.world.model.sessions
        return [
            name
            for name in sessions
            if name.partition("/")[0] == user and sessions[name] != "ended" and not name.endswith(OLDEST)
        ]

    def _session(self, user: str, *, but: str = "") -> str:
        """Return a session of the user, another than `but` where there is one; the first is begun unasked."""
        names = self._open(user)
        others = [name for name in names if name != but]
        if others:
            return self.rng.choice(others)
        return names[0] if names else self._next_session(user)

    def _next_session(self, user: str) -> str:
        number = self._numbers[user] = self._numbers.get(user, 0) + 1
        return user if number == 1 else f"{user}/{number}"

    def _second(self, user: str) -> str:
        """Return another session of the user than the last one, begun where there is but one."""
        names = self._open(user)
        if len(names) < 2:
            return self._login(user)
        return self.rng.choice(names[1:])

    def _login(self, user: str) -> str:
        """Begin a session, and ask whose it is."""
        name = self._next_session(user)
        self.do(self.world.login(name))
        if self.ctx.profile.auth.whoami is not None:
            self.do(self._whoami(user, name))
        return name

    def _alive(self, kind: str | None = None, owner: str | None = None) -> list[Entity]:
        return [
            being
            for being in self.world.model.entities.values()
            if being.state == "here"
            and (kind is None or being.kind == kind)
            and (owner is None or being.owner == owner)
        ]

    def _gone(self) -> list[Entity]:
        return [being for being in self.world.model.entities.values() if being.state == "gone"]

    def _pick(self, where: Callable[[Entity], bool] = lambda being: True) -> Entity | None:
        """Return an object, mostly one of the walk's own kind."""
        every = [being for being in self._alive() if where(being)]
        focus = [being for being in every if being.kind == self.focus]
        if focus and (self.rng.random() < 0.8 or len(focus) == len(every)):
            return self.rng.choice(focus)
        return self.rng.choice(every) if every else None

    def _changeable(self, being: Entity) -> bool:
        update = self.domain.kinds[being.kind].update
        return (
            update is not None
            and self.ctx.resources.harmless(update)
            and self.ctx.resources.may_call(being.owner, update)
        )

    def _deletable(self, being: Entity) -> bool:
        delete = self.domain.kinds[being.kind].delete
        return (
            delete is not None
            and self.ctx.resources.harmless(delete)
            and self.ctx.resources.may_call(being.owner, delete)
        )

    # -- data ----------------------------------------------------------------------------------------------------

    def _refer(self, kind: str, user: str) -> Any:
        """Return what stands in data for an object of a kind that the user may use.

        Raises:
            SetUpFailedError: there is none.

        """
        entities = self._alive(kind, user)
        if entities:
            return Ref(self.rng.choice(entities).name)
        if kind in self.domain.kinds and user in self.domain.makers[kind]:
            being = self._make(kind, user)
            if being is None:
                raise SetUpFailedError(f"could not make a {kind}")
            return Ref(being.name)
        return self._literal(kind, user)

    def _literal(self, kind: str, user: str) -> Any:
        """Return the identifier of an object that nobody of the walk can make."""
        key = (kind, user)
        if key not in self.domain.found:
            self.domain.found[key] = self.ctx.resources.any(kind, user).id
        return self.domain.found[key]

    def _sample(self, param: Param, user: str) -> Any:
        """Return a value of a parameter; identifiers in it are of the walk's own objects.

        Raises:
            CannotGenerate, SetUpFailedError: there is none.

        """
        if param.ref:
            return self._refer(param.ref, user)
        names: dict[str, str] = {}

        def resolve(kind: str) -> Any:
            standing = self._refer(kind, user)
            if not isinstance(standing, Ref):
                return standing
            identifier = self.world.model.entities[standing.name].id
            names[json.dumps(identifier)] = standing.name
            return identifier

        sampler = self.ctx.resources.sampler(user).bound(self.rng, resolve)
        value = sampler.sample(param.schema, optional=self.rng.choice(("all", "some")))
        places = refs(param.schema)
        return _symbolic(value, [pointer.split("/")[1:] for pointer, _ in places], names) if names else value

    def _create_data(self, method: Method, user: str) -> dict[str, Any]:
        optional = self.rng.choice((0.0, 0.5, 1.0))
        drawn = self._draw(method) if self.rng.random() < 0.3 else {}
        data: dict[str, Any] = {}
        for param in method.params:
            if not param.required:
                chance = optional if not refs(param.schema) else 0.3 * optional
                if self.ctx.resources.locks_out(method, param.name) or self.rng.random() >= chance:
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

    def _draw(self, method: Method) -> dict[str, Any]:
        every = self.domain.drawn(method)
        if not every:
            return {}
        chosen = self.rng.choice(every)
        return {
            name: value
            for name, value in chosen.items()
            if not payloads.oddities(value) and len(json.dumps(value)) <= _LONGEST
        }

    def _sound(self, method: Method, data: dict[str, Any]) -> bool:
        """Whether data is as the schema asks, with identifiers in place of the names."""
        return method.data.valid(put_in(data, self._id))

    def _id(self, name: str) -> Any:
        return self.world.model.entities[name].id

    def _update_data(
        self, being: Entity, count: int = 0, *, only: Sequence[str] = ()
    ) -> dict[str, Any] | None:
        """Return data that changes so many members, or just those named; None where nothing can be changed."""
        update = self.domain.kinds[being.kind].update
        assert update is not None
        assert update.object is not None
        data: dict[str, Any] = {update.object.id: Ref(being.name)}
        params = [
            param
            for param in update.params
            if param.name != update.object.id and not self.ctx.resources.locks_out(update, param.name)
        ]
        plain = [param for param in params if not refs(param.schema)]
        if only:
            chosen = [param for param in params if param.name in only]
        else:
            if not plain:
                return None
            visible = [param for param in plain if being.value(param.name) is not MISSING] or plain
            # Few members tell what leaks into the others; all of them tell what is lost of any.
            count = count or self.rng.choice((1, 1, 2, 3, len(visible)))
            chosen = self.rng.sample(visible, min(count, len(visible)))
            main = [param for param in visible if param.name in self._main(being.kind)]
            if main and self.rng.random() < 0.4:
                # What an object cannot be without is what most is done with.
                chosen = [self.rng.choice(main), *chosen[1:]]
            if len(params) > len(plain) and self.rng.random() < 0.1:
                chosen.append(self.rng.choice([param for param in params if param not in plain]))
        drawn = self._draw(update) if self.rng.random() < 0.3 else {}
        for param in params:
            if param not in chosen:
                if param.required:
                    value = being.value(param.name)
                    if value is MISSING:
                        value = self._try(param, being.owner)
                    if value is MISSING:
                        return None
                    data[param.name] = value
                continue
            current = being.value(param.name)
            value = drawn.get(param.name, MISSING)
            if value is MISSING or refs(param.schema) or (current is not MISSING and equal(value, current)):
                value = self._other(param, being.owner, current)
            if value is not MISSING:
                data[param.name] = value
        return data if len(data) > 1 and self._sound(update, data) else None

    def _members(self, being: Entity) -> list[str]:
        """Return the members that an update of an object can change by themselves, and that it shows."""
        update = self.domain.kinds[being.kind].update
        assert update is not None
        own = update.object.id if update.object else ""
        return [
            param.name
            for param in update.params
            if param.name != own
            and not refs(param.schema)
            and being.value(param.name) is not MISSING
            and not self.ctx.resources.locks_out(update, param.name)
        ]

    def _main(self, kind: str) -> set[str]:
        create = self.domain.kinds[kind].create
        return {param.name for param in create.params if param.required} if create else set()

    def _other(self, param: Param, user: str, current: Any) -> Any:
        value: Any = MISSING
        for _ in range(6):
            value = self._try(param, user)
            if value is MISSING or current is MISSING or not equal(value, current):
                return value
        return MISSING

    def _try(self, param: Param, user: str) -> Any:
        try:
            return self._sample(param, user)
        except (CannotGenerate, SetUpFailedError):
            return MISSING

    # -- single steps --------------------------------------------------------------------------------------------

    def _whoami(self, user: str, session: str | None = None) -> Step:
        whoami = self.ctx.profile.auth.whoami
        assert whoami is not None
        return Step(session or self._session(user), "whoami", whoami.function)

    def _make(
        self, kind: str, user: str, data: dict[str, Any] | None = None, session: str | None = None
    ) -> Entity | None:
        """Make an object; None where the target refuses it."""
        step = self._creation(kind, user, data, session)
        if step is None:
            return None
        for _ in range(3):
            assert step.about is not None
            self.do(step)
            being = self.world.model.entities.get(step.about)
            if being is not None:
                return being
            again = self._creation(kind, user, None, session)
            if again is None or data is not None:
                return None
            step = again
        self._barren.add(kind)
        return None

    def _creation(
        self, kind: str, user: str, data: dict[str, Any] | None = None, session: str | None = None
    ) -> Step | None:
        shape = self.domain.kinds[kind]
        assert shape.create is not None
        if kind in self._barren or len(self._alive(kind)) >= _OBJECTS:
            return None
        if shape.delete is None or not self.ctx.resources.may_call(user, shape.delete):
            if self.domain.full(kind):
                return None
            self.domain.made[kind] = self.domain.made.get(kind, 0) + 1
        if data is None:
            for _ in range(4):
                try:
                    data = self._create_data(shape.create, user)
                except (CannotGenerate, SetUpFailedError):
                    data = None
                    continue
                if self._sound(shape.create, data):
                    break
            else:
                return None
        name = f"{kind}#{next(self._names)}"
        return Step(session or self._session(user), "create", shape.create.name, data, name, kind)

    def _on(self, being: Entity, method: Method) -> dict[str, Any] | None:
        """Return the data of a function that takes an object: its identifier, and those that it stands under."""
        assert method.object is not None
        data: dict[str, Any] = {method.object.id: Ref(being.name)}
        for param in method.params:
            if not param.required or param.name == method.object.id:
                continue
            if param.ref and param.name in being.sent:
                data[param.name] = self._back(param.ref, being.sent[param.name])
                continue
            value = self._try(param, being.owner)
            if value is MISSING:
                return None
            data[param.name] = value
        return data

    def _back(self, kind: str, identifier: Any) -> Any:
        for other in self.world.model.entities.values():
            if other.kind == kind and equal(other.id, identifier):
                return Ref(other.name)
        return identifier

    def _reading(self, being: Entity, session: str) -> Step | None:
        read = self.domain.kinds[being.kind].read
        if read is None:
            return None
        data = self._on(being, read)
        return None if data is None else Step(session, "read", read.name, data, being.name, being.kind)

    def _read(self, being: Entity, session: str | None = None) -> None:
        step = self._reading(being, session or self._session(being.owner))
        if step is not None:
            self.do(step)

    def _update(
        self, being: Entity, data: dict[str, Any], session: str | None = None, at_once: int = 0
    ) -> Step:
        update = self.domain.kinds[being.kind].update
        assert update is not None
        return Step(
            session or self._session(being.owner),
            "update",
            update.name,
            data,
            being.name,
            being.kind,
            at_once=at_once,
        )

    def _deletion(self, being: Entity, session: str | None = None) -> Step | None:
        delete = self.domain.kinds[being.kind].delete
        assert delete is not None
        data = self._on(being, delete)
        if data is None:
            return None
        return Step(
            session or self._session(being.owner), "delete", delete.name, data, being.name, being.kind
        )

    def _listings(self, being: Entity) -> list[Step]:
        """Return the lists in which an object must stand, as its owner calls them."""
        steps = []
        for method in self.domain.kinds[being.kind].lists:
            if not self.ctx.resources.may_call(being.owner, method):
                continue
            required = [param for param in method.params if param.required]
            if any(not param.ref or param.name not in being.sent for param in required):
                continue
            data = {param.name: self._back(param.ref or "", being.sent[param.name]) for param in required}
            steps.append(Step(self._session(being.owner), "list", method.name, data, None, being.kind))
        return steps

    def _list(self, being: Entity) -> None:
        for step in self._listings(being):
            self.do(step)

    def _look(self, being: Entity, session: str | None = None) -> None:
        """Look at an object, and at random at another one, or at the list."""
        self._read(being, session)
        chance = self.rng.random()
        if chance < 0.45:
            others = [other for other in self._alive() if other is not being]
            akin = [other for other in others if other.kind == being.kind]
            if others:
                self._read(self.rng.choice(akin if akin and self.rng.random() < 0.8 else others))
        elif chance < 0.7:
            self._list(being)

    # -- patterns ------------------------------------------------------------------------------------------------

    def _twins(self) -> None:
        """Two made in a row: each has its own values."""
        first = self._make(self.focus, self.owner)
        second = self._make(self.focus, self.owner)
        for being in (second, first):
            if being is not None:
                self._read(being)
        if second is not None:
            self._list(second)

    def _same_again(self) -> None:
        """The same once more, by another session: a new object all the same."""
        being = self._pick()
        if being is None:
            return
        create = self.domain.kinds[being.kind].create
        assert create is not None
        data = {
            name: self._back(param.ref, value) if (param := create.param(name)) and param.ref else value
            for name, value in being.sent.items()
            if (param := create.param(name)) and (param.ref or not refs(param.schema))
        }
        if self._sound(create, data):
            twin = self._make(being.kind, being.owner, data)
            if twin is not None:
                self._read(twin)
                self._read(being)

    def _sweep(self) -> None:
        """Read everything, in any order and session."""
        entities = self._alive()
        gone = self._gone()
        doubtful = [being for being in self.world.model.entities.values() if being.state == "doubtful"]
        entities += self.rng.sample(gone, min(2, len(gone))) + doubtful
        self.rng.shuffle(entities)
        for being in entities:
            self._read(being)

    def _change(self) -> None:
        being = self._pick(self._changeable)
        if being is None:
            return
        writer = self._session(being.owner)
        reader = writer
        if self.rng.random() < 0.5:
            # Whoever has read it before may have kept what it held.
            reader = self._second(being.owner)
            writer = self._session(being.owner, but=reader)
            self._read(being, reader)
        data = self._update_data(being)
        if data is not None:
            self.do(self._update(being, data, writer))
            self._look(being, reader)

    def _change_more(self) -> None:
        """Twice or more often, the same members or others, with a look between them or none."""
        being = self._pick(self._changeable)
        if being is None:
            return
        only: Sequence[str] = ()
        between = self.rng.random() < 0.4
        for _ in range(self.rng.choice((2, 2, 3, 4))):
            data = self._update_data(being, only=only)
            if data is None:
                break
            if self.rng.random() < 0.6:
                own = self.domain.kinds[being.kind].update
                assert own is not None
                assert own.object is not None
                only = [name for name in data if name != own.object.id]
            elif self.rng.random() < 0.5:
                only = ()
            self.do(self._update(being, data))
            if between:
                self._read(being)
        self._look(being)
        self._list(being)

    def _change_back(self) -> None:
        """There and back again: to what it held before."""
        being = self._pick(self._changeable)
        if being is None:
            return
        update = self.domain.kinds[being.kind].update
        assert update is not None
        data = self._update_data(being, self.rng.choice((1, 2)))
        if data is None:
            return
        back = {
            name: being.value(name) if not isinstance(value, Ref) else value for name, value in data.items()
        }
        self.do(self._update(being, data))
        if self.rng.random() < 0.7:
            self._read(being)
        given = [param.name for param in update.params if refs(param.schema) and param.name in back]
        own = update.object.id if update.object else ""
        if MISSING in back.values() or set(given) - {own} or not self._sound(update, back):
            return
        self.do(self._update(being, back))
        self._look(being)

    def _remove(self) -> None:
        being = self._pick(self._deletable)
        if being is None:
            return
        if self.rng.random() < 0.5:
            self._read(being, self._second(being.owner))
        step = self._deletion(being)
        if step is None:
            return
        self.do(step)
        self._read(being, self._session(being.owner, but=step.session))
        self._list(being)
        others = self._alive(being.kind)
        for other in self.rng.sample(others, min(2, len(others))):
            self._read(other)
        doubtful = [other for other in self.world.model.entities.values() if other.state == "doubtful"]
        for other in doubtful[:3]:
            self._read(other)

    def _remove_middle(self) -> None:
        """Of three or more one between the others: the pages close up."""
        kind = self.focus
        while len(self._alive(kind, self.owner)) < 4:
            if self._make(kind, self.owner) is None:
                break
        entities = self._alive(kind, self.owner)
        if len(entities) < 3 or not self._deletable(entities[1]):
            return
        being = self.rng.choice(entities[1:-1])
        deletion = self._deletion(being)
        if deletion is None:
            return
        self.do(deletion)
        behind = entities[entities.index(being) + 1]
        for step in self._listings(behind):
            self.do(step)
            ids = self.world.model.listed(step, put_in(step.data, self._id)) or []
            index = next((at for at, each in enumerate(ids) if equal(each, behind.id)), None)
            if index is not None and self.ctx.catalog.methods[step.function].rows is not None:
                # Told from the end, which is where the objects of the walk are, mostly.
                self.do(replace(step, page=(index - len(ids), 2)))
        self._list_pages()
        for other in (entities[0], entities[-1]):
            self._read(other)

    def _remove_beside(self) -> None:
        """One is deleted between two of another user's: they stay, and so do the other lists."""
        other = self.other
        if other is None or other not in self.domain.makers[self.focus]:
            return
        before = self._make(self.focus, other)
        being = self._make(self.focus, self.owner)
        after = self._make(self.focus, other)
        step = None if being is None or not self._deletable(being) else self._deletion(being)
        if step is None:
            return
        self.do(step)
        for each in (after, before):
            if each is not None:
                self._read(each)
                self._list(each)

    def _haunt(self) -> None:
        """Use of what was deleted: changed, deleted again, read; by now, or later."""
        gone = self._gone()
        if not gone:
            self._remove()
            gone = self._gone()
        if not gone:
            return
        being = self.rng.choice(gone)
        if self._changeable(being) and self.rng.random() < 0.8:
            data = self._update_data(being)
            if data is not None:
                self.do(self._update(being, data))
        if self._deletable(being) and self.rng.random() < 0.6:
            step = self._deletion(being)
            if step is not None:
                self.do(step)
        self._read(being)
        self._list(being)
        akin = self._alive(being.kind)
        if akin:
            self._read(self.rng.choice(akin))

    def _change_haunt(self) -> None:
        """Changed, deleted, and changed and deleted again, which is refused: still gone, and nothing else is."""
        being = self._spare()
        if being is None or not self._changeable(being):
            return
        data = self._update_data(being)
        if data is not None:
            self.do(self._update(being, data))
        data, step = self._update_data(being), self._deletion(being)
        if data is None or step is None:
            return
        self.do(step)
        self.do(self._update(being, data))
        self._read(being)
        self.do(replace(step, session=self._session(being.owner)))
        self._list(being)

    def _spare(self) -> Entity | None:
        """Return one that may be deleted: made for it, unless there are many."""
        entities = [being for being in self._alive(self.focus, self.owner) if self._deletable(being)]
        if len(entities) < 4:
            return self._make(self.focus, self.owner) or (self.rng.choice(entities) if entities else None)
        return self.rng.choice(entities)

    def _same_page(self) -> None:
        """A page with one that is then deleted, and the same page again."""
        being = self._spare()
        if being is None or not self._deletable(being):
            return
        steps = self._listings(being)
        pages: dict[str, int] = {}
        for step in steps:
            self.do(step)
            ids = self.world.model.listed(step, put_in(step.data, self._id)) or []
            index = next((at for at, each in enumerate(ids) if equal(each, being.id)), None)
            if index and self.ctx.catalog.methods[step.function].rows is not None:
                # Told from the end, which is where the objects of the walk are, mostly.
                pages[step.function] = index - 1
                self.do(replace(step, page=(index - 1 - len(ids), 2)))
        deletion = self._deletion(being)
        if deletion is None or not pages:
            return
        self.do(deletion)
        for step in steps:
            if step.function in pages:
                self.do(step)
                count = len(self.world.model.listed(step, put_in(step.data, self._id)) or [])
                if pages[step.function] < count:
                    self.do(replace(step, page=(pages[step.function] - count, 2)))

    def _remake(self) -> None:
        """After a deletion another is made: the old one stays gone, the new one is itself."""
        gone = [being for being in self._gone() if being.owner == self.owner and being.kind == self.focus]
        if not gone:
            return
        old = self.rng.choice(gone)
        new = self._make(old.kind, self.owner)
        if new is not None:
            self._read(new)
        self._read(old)
        if new is not None:
            self._list(new)

    def _dead_parent(self) -> None:
        """What is made under something, and what is then made under it after it was deleted."""
        shapes = self.domain.kinds
        children = [
            (kind, param)
            for kind, shape in shapes.items()
            if shape.create is not None and self.owner in self.domain.makers[kind]
            for param in shape.create.params
            if param.ref == self.focus
        ]
        if not children:
            return
        self.rng.shuffle(children)
        parent = self._make(self.focus, self.owner)
        if parent is None or not self._deletable(parent):
            return
        made = []
        for kind, param in children[:3]:
            child = self._made_under(kind, param, parent)
            if child is None:
                continue
            made.append(child)
            # One not seen before is to read as it was made, the reference with the rest.
            if self.rng.random() < 0.3:
                self._read(child)
        step = self._deletion(parent)
        if step is None:
            return
        self.do(step)
        for child in made:
            self._read(child)
            self._read(child)
        if parent.state == "gone":
            kind, param = children[0]
            self._made_under(kind, param, parent)
            self._read(parent)

    def _made_under(self, kind: str, param: Param, parent: Entity) -> Entity | None:
        create = self.domain.kinds[kind].create
        assert create is not None
        try:
            data = self._create_data(create, self.owner)
        except (CannotGenerate, SetUpFailedError):
            return None
        data[param.name] = Ref(parent.name)
        return self._make(kind, self.owner, data) if self._sound(create, data) else None

    def _trespass(self) -> None:
        """Another user tries, is refused, and has changed nothing."""
        being = self._pick(lambda each: each.owner == self.owner)
        if being is None or self.other is None:
            return
        resources, shape = self.ctx.resources, self.domain.kinds[being.kind]
        session = self._session(self.other)
        if shape.read is not None and resources.may_call(self.other, shape.read):
            step = self._reading(being, session)
            if step is not None:
                self.do(step)
        if (self.other, "read") not in being.refused:
            # Whoever may read it may perhaps do more: that is not for this rule to say.
            return
        if (
            shape.update is not None
            and resources.may_call(self.other, shape.update)
            and self._changeable(being)
        ):
            data = self._update_data(being)
            if data is not None:
                self.do(self._update(being, data, session))
        if (
            shape.delete is not None
            and resources.may_call(self.other, shape.delete)
            and self.rng.random() < 0.7
        ):
            deletion = self._deletion(being, session)
            if deletion is not None:
                self.do(deletion)
        self._look(being)
        self._list(being)
        if self.rng.random() < 0.5:
            mine = self._alive(being.kind, self.other)
            if mine:
                self._list(mine[0])
                self._read(mine[0])

    def _late_trespass(self) -> None:
        """What another user was refused to change is not changed either when its owner changes something else."""
        being = self._pick(lambda each: each.owner == self.owner and self._changeable(each))
        if being is None or self.other is None:
            return
        shape, resources = self.domain.kinds[being.kind], self.ctx.resources
        if shape.read is None or shape.update is None:
            return
        if not (resources.may_call(self.other, shape.read) and resources.may_call(self.other, shape.update)):
            return
        session = self._session(self.other)
        self._read(being)
        self._read(being, session)
        data = self._update_data(being, 20)
        names = self._members(being)
        if (self.other, "read") not in being.refused or data is None or not names:
            return
        mine = self._update_data(being, only=[self.rng.choice(names)])
        if mine is not None:
            required = {param.name for param in shape.update.params if param.required}
            required |= {shape.update.object.id} if shape.update.object else set()
            given = data.keys() - mine.keys()
            if given:
                # What both give would hide what comes later.
                data = {name: value for name, value in data.items() if name in given | required}
            self.do(self._update(being, data, session))
            self.do(self._update(being, mine))
            self._read(being)
            own = self._alive(being.kind, self.other)
            if not own and self.other in self.domain.makers[being.kind]:
                made = self._make(being.kind, self.other)
                own = [made] if made is not None else []
            if own and self._changeable(own[-1]):
                # Nor does the refusal stay with the one who was refused.
                data = self._update_data(own[-1])
                if data is not None:
                    self.do(self._update(own[-1], data, session))
                    self._read(own[-1])

    def _late_removal(self) -> None:
        """What another user was refused to delete its owner deletes: it is gone."""
        being = self._spare()
        if being is None or self.other is None:
            return
        shape, resources = self.domain.kinds[being.kind], self.ctx.resources
        if shape.read is None or shape.delete is None or not self._deletable(being):
            return
        if not (resources.may_call(self.other, shape.read) and resources.may_call(self.other, shape.delete)):
            return
        session = self._session(self.other)
        self._read(being, session)
        theirs, mine = self._deletion(being, session), self._deletion(being)
        if (self.other, "read") not in being.refused or theirs is None or mine is None:
            return
        self.do(theirs)
        self.do(mine)
        self._read(being)
        self._list(being)

    def _violation(self) -> None:
        """A change that is not valid in one place does nothing in the others; a valid one after it does."""
        being = self._pick(self._changeable)
        if being is None:
            return
        update = self.domain.kinds[being.kind].update
        assert update is not None
        data = self._update_data(being, self.rng.choice((2, 4, 20)))
        if data is None:
            return
        bad = self._invalid_data(update, data)
        if bad is None:
            return
        step = self._update(being, bad)
        self.do(Step(step.session, "update", step.function, bad, being.name, being.kind, valid=False))
        if self.rng.random() < 0.75:
            self._look(being)
        if self.rng.random() < 0.5:
            good = self._update_data(being)
            if good is not None:
                self.do(self._update(being, good))
                self._read(being)

    def _invalid_data(self, method: Method, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return data with one member spoiled, beside others that are as they should be."""
        own = method.object.id if method.object else ""
        plain = {param.name for param in method.params if param.name != own and not refs(param.schema)}
        ways = [
            violation for violation in self.ctx.resources.violations(method) if violation.parameter in plain
        ]
        bound = put_in(data, self._id)
        # What is changed beside others tells more than what is refused alone.
        for _ in range(8):
            if not ways:
                break
            violation = self.rng.choice(ways)
            try:
                value = violation.apply(bound).get(violation.parameter, MISSING)
            except (CannotGenerate, SetUpFailedError):
                continue
            bad = {name: each for name, each in data.items() if name != violation.parameter}
            if value is not MISSING:
                bad[violation.parameter] = value
            if len(json.dumps(value, default=str)) <= _LONGEST and not self._sound(method, bad):
                return bad
        return None

    def _spoil_create(self) -> None:
        """What is refused when it is made is not there afterwards."""
        entities = self._alive(self.focus, self.owner)
        shape = self.domain.kinds[self.focus]
        if not entities or shape.create is None:
            return
        try:
            data = self._create_data(shape.create, self.owner)
        except (CannotGenerate, SetUpFailedError):
            return
        bad = self._invalid_data(shape.create, data)
        if bad is None:
            return
        being = self.rng.choice(entities)
        self._list(being)
        name = f"{self.focus}#{next(self._names)}"
        session = self._session(self.owner)
        self.do(Step(session, "create", shape.create.name, bad, name, self.focus, valid=False))
        self._list(being)
        self._read(being)

    def _outside(self) -> None:
        """Without a session, or in one that was ended: refused, and nothing happens."""
        being = self._pick()
        if being is None:
            return
        sessions = self.world.model.sessions
        ended = [name for name, state in sessions.items() if state == "ended"]
        session = self.rng.choice([*ended, ""])
        data = self._update_data(being) if self._changeable(being) else None
        if data is not None:
            step = self._update(being, data, "x")
            self.do(Step(session, "update", step.function, data, being.name, being.kind))
        elif self._deletable(being):
            deletion = self._deletion(being, "x")
            if deletion is not None:
                self.do(Step(session, "delete", deletion.function, deletion.data, being.name, being.kind))
        reading = self._reading(being, "x")
        if reading is not None:
            self.do(Step(session, "read", reading.function, reading.data, being.name, being.kind))
        self._read(being)

    def _sessions(self) -> None:
        """One more session, perhaps one less; each is still its own user's."""
        users = [self.owner, *([self.other] if self.other else [])]
        user = self.rng.choice([self.owner, *users])
        logout = self.ctx.profile.auth.logout
        if len(self._open(user)) < _SESSIONS:
            self._login(user)
        elif logout is None:
            return
        ends = self._open(user)
        if logout is not None and len(ends) > 1 and self.rng.random() < 0.7:
            session = self.rng.choice(ends)
            self.do(Step(session, "logout", logout))
            self._use_ended(session)
        for each in users:
            for session in self._open(each):
                if self.ctx.profile.auth.whoami is not None:
                    self.do(self._whoami(each, session))
        self._use_any_ended(2)
        self._read_some(user)

    def _read_some(self, user: str) -> None:
        """Read some of a user's objects: who has signed in anew sees what he left."""
        entities = self._alive(None, user)
        for being in self.rng.sample(entities, min(3, len(entities))):
            self._read(being)

    def _third_session(self) -> None:
        """What is written in one of many sessions of a user is read in each of the others, the oldest among them."""
        while len(self._open(self.owner)) < _SESSIONS - 1:
            self._login(self.owner)
        newest = self._open(self.owner)[-1]
        being = self._make(self.focus, self.owner, session=newest)
        if being is None:
            being = self._pick(lambda each: each.owner == self.owner)
        if being is None:
            return
        oldest = self.owner + OLDEST
        for session in (oldest, *self._open(self.owner)):
            self._read(being, session)
        for step in self._listings(being):
            self.do(replace(step, session=oldest))
        if self._changeable(being):
            data = self._update_data(being)
            if data is not None:
                self.do(self._update(being, data, newest))
                for session in (oldest, *self._open(self.owner)[:-1]):
                    self._read(being, session)

    def _next_in(self) -> None:
        """One user goes, the next one comes: he sees his own, not what the other one left."""
        logout = self.ctx.profile.auth.logout
        entities = self._alive(self.focus, self.owner)
        if not entities or self.other is None or logout is None:
            return
        # What nobody has listed yet may still be closed to the other one.
        being = self._make(self.focus, self.owner) or entities[-1]
        resources, shape = self.ctx.resources, self.domain.kinds[being.kind]
        lists = [
            Step("", "list", method.name, {}, None, being.kind)
            for method in shape.lists
            if resources.may_call(self.other, method) and not any(param.required for param in method.params)
        ]
        if not lists:
            return
        if len(self._open(self.other)) >= _SESSIONS:
            self.do(Step(self._session(self.other), "logout", logout))
        before = self._session(self.other)
        readable = shape.read is not None and resources.may_call(self.other, shape.read)
        if readable:
            self._read(being, before)
        for step in lists:
            self.do(replace(step, session=before))
        self._list(being)
        self.do(Step(self._second(self.owner), "logout", logout))
        now = self._login(self.other)
        for step in lists:
            self.do(replace(step, session=now))
        self._list(being)
        if readable:
            self._read(being, now)
        self._read(being)

    def _use_any_ended(self, most: int) -> None:
        """Use sessions that were ended, not always the last one."""
        ended = [name for name, state in self.world.model.sessions.items() if name and state == "ended"]
        for session in self.rng.sample(ended, min(most, len(ended))):
            self._use_ended(session)

    def _use_ended(self, session: str) -> None:
        user = session.partition("/")[0]
        entities = self._alive(None, user)
        if entities and self.rng.random() < 0.5:
            step = self._reading(self.rng.choice(entities), session)
            if step is not None:
                self.do(step)
                return
        if self.ctx.profile.auth.whoami is not None:
            self.do(self._whoami(user, session))

    def _renew(self) -> None:
        """Out and in again: what was there is there."""
        logout = self.ctx.profile.auth.logout
        user = self.owner
        being = self._pick(lambda each: each.owner == user)
        if being is None:
            return
        if self._changeable(being) and self.rng.random() < 0.8:
            data = self._update_data(being, self.rng.choice((1, 3, 20)))
            if data is not None:
                self.do(self._update(being, data))
        if logout is not None:
            for session in self._open(user):
                self.do(Step(session, "logout", logout))
        self._login(user)
        self._look(being)
        self._read_some(user)
        self._list(being)
        self._use_any_ended(2)

    def _family(self) -> None:
        """What an object stands under is changed, then something is made, changed or deleted under it."""
        pairs = [
            (kind, param)
            for kind, shape in self.domain.kinds.items()
            if shape.create is not None and self.owner in self.domain.makers[kind]
            for param in shape.create.params
            if param.ref in self.domain.kinds and self.focus in (kind, param.ref)
        ]
        if not pairs:
            return
        kind, param = self.rng.choice(pairs)
        parents = [each for each in self._alive(param.ref, self.owner) if self._changeable(each)]
        if not parents:
            return
        parent = self.rng.choice(parents)
        for _ in range(self.rng.choice((1, 1, 2))):
            data = self._update_data(parent, self.rng.choice((1, 3, 20)))
            if data is not None:
                self.do(self._update(parent, data))
        children = [each for each in self._alive(kind, self.owner) if parent.name in each.refers]
        child = self.rng.choice(children) if children and self.rng.random() < 0.5 else None
        if child is None:
            self._made_under(kind, param, parent)
        elif self._changeable(child) and self.rng.random() < 0.5:
            data = self._update_data(child)
            if data is not None:
                self.do(self._update(child, data))
        elif self._deletable(child):
            step = self._deletion(child)
            if step is not None:
                self.do(step)
        self._read(parent)
        self._list(parent)

    def _list_pages(self) -> None:
        """The whole list, and its pages laid end to end, or some of them where it is long."""
        entities = self._alive(self.focus, self.owner)
        if not entities:
            return
        # Which of them matters where a list is of what stands under another object.
        being = self.rng.choice(entities)
        for step in self._listings(being):
            self.do(step)
            method = self.ctx.catalog.methods[step.function]
            ids = self.world.model.listed(step, put_in(step.data, self._id)) or []
            count = len(ids)
            if method.rows is None or not count:
                continue
            length = self.rng.choice(
                [size for size in (1, 2, 3, 5, (count + 1) // 2, count) if size <= count]
            )
            starts = list(range(0, count, length))
            # The objects of the walk are at an end of the list, mostly; told from there, a page stays the same
            # whatever else is in the list.
            chosen = starts if len(starts) <= 4 else [*starts[:1], *starts[-2:], self.rng.choice(starts)]
            at_end = any(equal(each.id, ids[-1]) for each in self.world.model.entities.values())
            for start in sorted(set(chosen)):
                page = (start - count if at_end else start, length)
                self.do(replace(step, page=page))

    def _acts(self) -> None:
        """Call another function on an object, and learn what it shows then."""
        being = self._pick()
        if being is None:
            return
        resources = self.ctx.resources
        every = [
            (method, param)
            for method in self.ctx.catalog
            if method.object is None and method.effect == "write" and resources.harmless(method)
            if resources.may_call(being.owner, method)
            for param in method.params
            if param.ref == being.kind and param.required
        ]
        if not every:
            return
        method, param = self.rng.choice(every)
        data: dict[str, Any] = {param.name: Ref(being.name)}
        for other in method.params:
            if other.required and other.name not in data:
                value = self._try(other, being.owner)
                if value is MISSING:
                    return
                data[other.name] = value
        session = self._session(being.owner)
        self.do(Step(session, "act", method.name, data, being.name, being.kind))
        self._read(being)
        self._read(being)

    # -- at the same time ----------------------------------------------------------------------------------------

    def _race_changes(self) -> None:
        """Two objects are changed at the same time: each gets its own."""
        entities = [being for being in self._alive() if self._changeable(being)]
        self.rng.shuffle(entities)
        for first, second in itertools.combinations(entities, 2):
            if second in self.world.model.related(first):
                continue
            pair = [(being, self._update_data(being)) for being in (first, second)]
            number = next(self._groups)
            steps = [self._update(being, data, at_once=number) for being, data in pair if data is not None]
            if len(steps) == 2:
                self.do(*steps)
                self._read(first)
                self._read(second)
            return

    def _race_one(self) -> None:
        """Two members of one object are changed at the same time: both changes are kept."""
        being = self._pick(self._changeable)
        if being is None:
            return
        update = self.domain.kinds[being.kind].update
        assert update is not None
        own = update.object.id if update.object else ""
        if any(param.required and param.name != own for param in update.params):
            return
        names = self._members(being)
        if len(names) < 2:
            return
        first = self._session(being.owner)
        second = self._second(being.owner)
        number = next(self._groups)
        steps = []
        for name, session in zip(self.rng.sample(names, 2), (first, second), strict=True):
            data = self._update_data(being, only=[name])
            if data is not None:
                steps.append(self._update(being, data, session, number))
        if len(steps) == 2:
            self.do(*steps)
            self._look(being)

    def _race_creates(self) -> None:
        number = next(self._groups)
        steps = []
        for user in (self.owner, self.owner, self.other):
            if user in self.domain.makers[self.focus] and user is not None:
                step = self._creation(self.focus, user)
                if step is not None:
                    steps.append(_beside(step, number))
        if len(steps) < 2:
            return
        self.do(*steps)
        made = [self.world.model.entities.get(step.about or "") for step in steps]
        for being in made:
            if being is not None:
                self._read(being)
        if made[0] is not None:
            self._list(made[0])

    def _race_listed(self) -> None:
        """Some are made while they are listed: each is itself, and there."""
        entities = self._alive(self.focus, self.owner)
        if not entities:
            return
        number = next(self._groups)
        listings = self._listings(self.rng.choice(entities))[:2]
        creations = [step for _ in range(2) if (step := self._creation(self.focus, self.owner)) is not None]
        if not listings or len(creations) < 2:
            return
        # A list comes first, so that it is under way when the others come.
        self.do(*(_beside(step, number) for step in (*listings, *creations, listings[0])))
        for step in creations:
            being = self.world.model.entities.get(step.about or "")
            if being is not None:
                self._read(being)
        self._list(entities[0])

    def _race_removal(self) -> None:
        """One is deleted while it is changed: whichever comes first, it is gone when both are done."""
        being = self._spare()
        if being is None or not self._changeable(being):
            return
        first, second = self._session(being.owner), self._second(being.owner)
        number = next(self._groups)
        # Two changes, so that one is under way when the deletion comes.
        drawn = [(session, self._update_data(being)) for session in (first, second)]
        updates = [self._update(being, data, session, number) for session, data in drawn if data is not None]
        step = self._deletion(being, second)
        if not updates or step is None:
            return
        self.do(*updates, _beside(step, number))
        self._read(being, first)
        self._list(being)

    def _race_logout(self) -> None:
        """A session is ended while its user's others are in use: they go on as they do after any other logout."""
        logout = self.ctx.profile.auth.logout
        if logout is None or self.domain.departures >= _DEPARTURES[self.ctx.run.options.budget]:
            return
        known = self.world.model.left > 0
        while len(self._open(self.owner)) < (2 if known else 3):
            self._login(self.owner)
        self.domain.departures += 1
        if not known:
            # How it is when nothing runs beside it has to be seen first.
            last = self._open(self.owner)[-1]
            for session in self._open(self.owner):
                if session != last:
                    self._use(session)
            self.do(Step(last, "logout", logout))
        stay = self._open(self.owner)[:-1]
        for session in stay:
            self._use(session)
        if self.world.model.knowledge.takes_others or not self.world.model.left:
            return
        number = next(self._groups)
        uses = [step for session in stay[:2] for step in self._uses(session)]
        self.do(
            Step(self._open(self.owner)[-1], "logout", logout, at_once=number),
            *(_beside(step, number) for step in uses),
        )
        for session in stay:
            self._use(session)

    def _uses(self, session: str) -> list[Step]:
        """Return calls that tell whether a session is good."""
        user = session.partition("/")[0]
        steps = [self._whoami(user, session)] if self.ctx.profile.auth.whoami is not None else []
        entities = self._alive(None, user)
        if entities:
            step = self._reading(self.rng.choice(entities), session)
            steps += [step] if step is not None else []
        return steps

    def _use(self, session: str) -> None:
        for step in self._uses(session)[:1]:
            self.do(step)

    def _race_reads(self) -> None:
        """Reads beside a change of something else, and beside each other, in sessions of different users."""
        entities = self._alive()
        self.rng.shuffle(entities)
        number = next(self._groups)
        steps: list[Step] = []
        changed = next((being for being in entities if self._changeable(being)), None)
        if changed is not None:
            data = self._update_data(changed)
            if data is not None:
                steps.append(self._update(changed, data, at_once=number))
        for being in entities:
            if being is changed or (changed is not None and being in self.world.model.related(changed)):
                continue
            step = self._reading(being, self._session(being.owner))
            if step is not None and len(steps) < 3:
                steps.append(_beside(step, number))
        if self.ctx.profile.auth.whoami is not None:
            for user in (self.owner, self.other):
                if user is not None and self._open(user):
                    steps.append(_beside(self._whoami(user), number))
        if len(steps) > 1:
            self.do(*steps)
            if changed is not None:
                self._read(changed)


def _beside(step: Step, number: int) -> Step:
    return replace(step, at_once=number)


def _symbolic(value: Any, places: Sequence[Sequence[str]], names: dict[str, str]) -> Any:
    """Return a value with names where it holds identifiers; `places` are the ways to them, `*` is any item."""
    if any(not way for way in places):
        name = names.get(json.dumps(value))
        return value if name is None else Ref(name)
    if isinstance(value, dict):
        return {
            key: _symbolic(item, [way[1:] for way in places if way[0] in (key, "*")], names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        below = [way[1:] for way in places]
        return [_symbolic(item, below, names) for item in value]
    return value
