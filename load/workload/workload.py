"""What is sent: calls whose bytes are prepared ahead, drawn from the catalogue, the mix and the payload strategies.

At set-up each function of the mix gets, for each user that may call it, a hand of drafts: whole requests but for the
member's session, their data drawn from the payload strategies, with identifiers of objects that this user made or
found. While the load runs a call is put together from bytes alone. What a create makes is learnt from its answer and
entered in the ledger; what deletes (or uses up) an object is only ever sent for one that the run made.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.catalog.model import Catalog, Method
from conformance.errors import UsageError, suggestion
from conformance.generation import payloads
from conformance.generation.samples import CannotGenerate
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.resources.clean_up import still_there
from conformance.resources.registry import Resource, Resources
from conformance.schema.pointer import MISSING, resolve
from load.engine.rate_limit import RateLimit
from load.workload.occupancy import Occupancy, Seats
from load.workload.patient_client import PatientClient
from load.workload.virtual_users import Mark, VirtualUser, VirtualUsers, lease

__all__ = ["Call", "Learn", "Reply", "Source", "WeightedCycle", "Work", "mix_of"]

#: So many requests of a function are drafted for each user; of ways to write, as many objects stand ready.
_TEMPLATES = 24
_STOCK = 6

#: Of objects that calls use up so many stand ready for each user beforehand; the mix's creates make the rest.
_SPARES = 4

#: So many objects of the load's own making stand at most; beyond, the oldest are removed as the load runs.
_STANDING = 2_000
_SWEPT = 64

#: Removing what stands at most, or ending as many sessions, must not take longer than so many seconds for a ceiling.
_REMOVING = 20.0

#: Of what cannot be removed so many of each kind are listed one by one.
_LISTED = 1_000

#: So many requests go out at the same time when the run's traces are removed.
_AT_ONCE = 8

#: A round of the mix has as many calls as the shares say, at most so many.
_ROUND = 1_000

#: Stands in a draft for the number that makes each call's texts its own; as long as what takes its place.
_NUMBER = "-00000000"

#: So many calls are kept to be sent again as they are; where members are many, others are put together each time.
_ALIKE = 4_096

#: The rows that a list is asked for, by turns.
_PAGES = (10, 20, 50)

#: Without a mix: how often each function is called, by what it does.
_SHARES = {"list": 6, "read": 3, "create": 1, "delete": 1}


class Reply(Protocol):
    """What came back, as the transport's connection shows it."""

    @property
    def status(self) -> int:
        """The answer's status."""

    @property
    def head(self) -> bytes:
        """The answer's head, as it came."""

    @property
    def body(self) -> bytes:
        """The answer's body, its framing removed."""

    @property
    def failure(self) -> str | None:
        """Why there is no answer; None where there is one."""


@dataclass(slots=True, eq=False)
class Call:
    """One request, ready to be sent: `raw` is all of its bytes, the header `Token` included.

    `index` is the function's place in the source's `functions`. `member` is whose session it is in, None for a call
    outside any; `epoch` counts that member's sessions. `expects` are the statuses that are no failure (None: 200).
    `learn` is called with every answer, whatever its status, in the transport's callback: it must not block.
    `counted` is false for what is outside the latencies.
    """

    function: str
    index: int
    raw: bytes
    virtual_user: VirtualUser | None = None
    expects: frozenset[int] | None = None
    learn: Learn | None = None
    counted: bool = True
    epoch: int = 0
    #: What `learn` needs to know of the call: whom it created for, what it deletes.
    about: Any = field(default=None, repr=False)


Learn = Callable[[Call, Reply], None]


class Source(Protocol):
    """Where calls come from. Both methods are called in the event loop: neither blocks."""

    functions: list[str]

    def next(self) -> Call:
        """Return the call that is to be sent now."""
        ...

    def refused(self, call: Call, settle: Callable[[bool], None]) -> None:
        """Take note that a call inside a session was answered 401.

        `settle` is called once, at once or later, from a greenlet or the loop: with True where the session had ended
        and is renewed (a reset of the test environment: the call is counted as renewed and is no failure), with
        False where the session is good or cannot be renewed: then it is the failure that it looks like.
        """
        ...


# --- what may be sent, and how often ------------------------------------------------------------------------


def mix_of(
    profile: Profile, catalog: Catalog, resources: Resources, mix: Mapping[str, float] | None
) -> tuple[dict[str, Fraction], list[tuple[str, str]]]:
    """Return the share of each function, and (function, why) for each that is left out.

    Without a mix: what the catalogue says reads, lists most; and what creates, together with what deletes it again.
    What writes is left out where nothing may be written (--read-only).

    Raises:
        UsageError: the mix names what cannot be sent, or nothing is left to send.

    """
    where = f"{profile.path}: [load] mix" if profile.path else "[load] mix"
    if mix is None:
        chosen, left = _usual(profile, catalog, resources)
    else:
        chosen, left = _asked(profile, catalog, resources, mix, where)
    if not chosen:
        told = "; ".join(f"{name}: {why}" for name, why in left[:3])
        raise UsageError(
            f"there is nothing to send{f' ({told})' if told else ''}: "
            "give [load] mix functions that this run may call, or the profile a catalogue that says which ones read"
        )
    for name in chosen:
        for kind in resources.spends(catalog[name])[:1]:
            supply = sum(
                (share for each, share in chosen.items() if _creates(catalog[each], kind)), Fraction()
            )
            demand = sum(
                (share for each, share in chosen.items() if kind in resources.spends(catalog[each])[:1]),
                Fraction(),
            )
            if demand > supply:
                creator = catalog.create(kind)
                raise UsageError(
                    f"{where}: {name} uses up a {kind} with each call, so the mix has to create as many: "
                    f"give {creator.name if creator else f'a function that creates a {kind}'} "
                    f"a share of {float(demand):g} or more"
                )
    return chosen, left


def _creates(method: Method, kind: str) -> bool:
    return method.object is not None and method.object.does == "create" and method.object.kind == kind


def _unfit(profile: Profile, resources: Resources, method: Method) -> str | None:
    """Return why a function cannot be part of a load, or None."""
    if method.name == profile.auth.logout:
        return "it ends the session that it is called in"
    if method.effect != "read" and not resources.writable:
        return "it does not only read, and this run is read-only"
    openers = [opener.function for opener in (profile.auth.login, profile.auth.key_login) if opener]
    if method.name in openers:
        return None if profile.users else "the profile has no users"
    if any(param.required and resources.locks_out(method, param.name) for param in method.params):
        return "it changes how the user signs in"
    if not resources.harmless(method):
        return "it deletes what the run has no function to make"
    if method.auth == "none":
        return None
    if method.auth is not None and not profile.users:
        return "it needs a session, and the profile has no users ([users.NAME])"
    if profile.users and not resources.callers(method):
        return f'it needs the role "{method.auth}", which no user of the profile has'
    return None


def _asked(
    profile: Profile, catalog: Catalog, resources: Resources, mix: Mapping[str, float], where: str
) -> tuple[dict[str, Fraction], list[tuple[str, str]]]:
    chosen: dict[str, Fraction] = {}
    left: list[tuple[str, str]] = []
    for name, share in mix.items():
        if not share:
            continue
        if name not in catalog:
            mend = (
                ": the profile names no catalogue; set catalog in [target]"
                if catalog.is_implicit
                else suggestion(name, list(catalog.methods))
            )
            raise UsageError(f"{where}: the catalogue has no function {name}{mend}")
        why = _unfit(profile, resources, catalog[name])
        if why is None:
            chosen[name] = Fraction(str(share))
        elif catalog[name].effect != "read" and not resources.writable:
            left.append((name, why))
        else:
            raise UsageError(f"{where}: {name} cannot be called: {why}")
    return chosen, left


def _usual(
    profile: Profile, catalog: Catalog, resources: Resources
) -> tuple[dict[str, Fraction], list[tuple[str, str]]]:
    chosen: dict[str, Fraction] = {}
    left: list[tuple[str, str]] = []
    for method in catalog:
        does = method.object.does if method.object else ""
        if method.effect != "read":
            # What is made is deleted again, so that lists do not grow while they are measured.
            pair = does in ("create", "delete") and method.object is not None
            if not pair or not all(_paired(resources, catalog, method)):
                continue
        why = _unfit(profile, resources, method)
        if why is not None:
            left.append((method.name, why))
        else:
            chosen[method.name] = Fraction(_SHARES.get(does, 1))
    return chosen, left


def _paired(resources: Resources, catalog: Catalog, method: Method) -> Iterator[bool]:
    assert method.object is not None
    for one in (catalog.create(method.object.kind), catalog.delete(method.object.kind)):
        yield one is not None and one.effect != "read" and bool(resources.callers(one))


class WeightedCycle:
    """Deals indices so that every round holds each as often as its share says, in an order that a seed decides.

    Where shares make no round of reasonable length, what one round owes is paid in the next.
    """

    def __init__(self, shares: Sequence[Fraction], rng: random.Random) -> None:
        self._rng = rng
        whole = math.lcm(*(share.denominator for share in shares))
        counts = [int(share * whole) for share in shares]
        divisor = math.gcd(*counts) or 1
        self.round = min(sum(counts) // divisor, _ROUND)
        total = sum(shares)
        self._quota = [share * self.round / total for share in shares]
        self._owed = [Fraction()] * len(shares)
        #: The cards of a round, where every round has the same.
        self._same: list[int] | None = None
        if all(quota.denominator == 1 for quota in self._quota):
            self._same = [at for at, quota in enumerate(self._quota) for _ in range(int(quota))]
        self._cards: list[int] = []

    def deal(self) -> int:
        """Return the next index."""
        if len(self._owed) == 1:
            return 0
        if not self._cards:
            self._shuffle()
        return self._cards.pop()

    def _shuffle(self) -> None:
        if self._same is not None:
            self._cards = self._same.copy()
            self._rng.shuffle(self._cards)
            return
        self._owed = [owed + quota for owed, quota in zip(self._owed, self._quota, strict=True)]
        counts = [max(0, math.floor(owed)) for owed in self._owed]
        rest = sorted(range(len(counts)), key=lambda at: counts[at] - self._owed[at])
        for at in rest[: max(0, self.round - sum(counts))]:
            counts[at] += 1
        self._owed = [owed - count for owed, count in zip(self._owed, counts, strict=True)]
        self._cards = [at for at, count in enumerate(counts) for _ in range(count)]
        self._rng.shuffle(self._cards)


# --- requests prepared ahead --------------------------------------------------------------------------------


class _Symbol(str):
    """Stands in drawn data for the identifier of an object: the user's, of this kind, in this place of the stock."""

    __slots__ = ("kind", "place")

    def __new__(cls, kind: str, place: int) -> _Symbol:
        made = super().__new__(cls, f"{kind}/{place}")
        made.kind, made.place = kind, place
        return made

    kind: str
    place: int


class _RequestTemplate:
    """A request but for the session: its head up to the token, and its body, numbered where texts are to differ."""

    __slots__ = ("_parts", "calls", "data", "head")

    def __init__(
        self, head: bytes, body: bytes, data: dict[str, Any] | None = None, mark: bytes = b""
    ) -> None:
        self.head = head + b"Content-Length: %d\r\n" % len(body)
        self._parts = body.split(mark) if mark else [body]
        #: The calls that were made with it, by member, where they are all alike.
        self.calls: dict[VirtualUser, Call] = {}
        #: What an object made with it has to be remembered by.
        self.data = data or {}

    @property
    def numbered(self) -> bool:
        """Whether each call has texts of its own."""
        return len(self._parts) > 1

    def body(self, numbers: Iterator[int]) -> bytes:
        if len(self._parts) == 1:
            return self._parts[0]
        return (b"-%08d" % (next(numbers) % 100_000_000)).join(self._parts)


@dataclass(slots=True, eq=False)
class _TemplateSet:
    """The drafts of a function for one user, dealt in turn."""

    templates: list[_RequestTemplate]
    at: int = 0

    def next(self) -> _RequestTemplate:
        template = self.templates[self.at]
        self.at = (self.at + 1) % len(self.templates)
        return template


@dataclass(slots=True, eq=False)
class _Recipe:
    """How calls of one function are made."""

    name: str
    method: Method
    index: int
    head: bytes
    learn: Learn | None = None
    expects: frozenset[int] | None = None
    #: The kind of object that each call uses up, and the argument that names it.
    spends: tuple[str, str] | None = None
    login: bool = False
    creates: bool = False
    virtual_users: list[VirtualUser] = field(default_factory=list)
    template_sets: dict[str, _TemplateSet] = field(default_factory=dict)
    at: int = 0
    #: Deals the members.
    seats: Seats | None = None

    def virtual_user(self) -> VirtualUser:
        """Return a member whose session is free, or whose turn it is."""
        assert self.seats is not None
        return self.seats.next()


class Work:
    """The load's calls, prepared for one process; `Work.prepare` makes it, `close` removes what it left."""

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        *,
        seed: int = 0,
        read_only: bool = False,
        index: int = 0,
        of: int = 1,
        rate_limit: RateLimit | None = None,
        per_session: int | None = 1,
        mark: Callable[[Mark], None] = lambda mark: None,
        found: Callable[[dict[str, Any]], None] = lambda event: None,
    ) -> None:
        """Take the target in view, without sending anything; what is sent later takes its place under the ceiling."""
        profile.refuse_load()
        self.profile, self.catalog = profile, catalog
        self.seed, self.index, self.of = seed, index, of
        self.functions: list[str] = []
        #: (function, why) for what the mix leaves out.
        self.left_out: list[tuple[str, str]] = []
        #: Calls that took the place of others, which had no object to use up.
        self.substituted = 0
        self.secret_registry = profile.secret_registry()
        self.client = PatientClient.of(profile, secret_registry=self.secret_registry, observe=self._observe)
        self._standing = _STANDING
        if rate_limit is not None:
            self.client.turn = rate_limit.turn
            # No more than can be removed in time.
            self._standing = min(_STANDING, max(1, int(rate_limit.rate * _REMOVING)))
        openers = [opener.function for opener in (profile.auth.login, profile.auth.key_login) if opener]
        self.caller = Caller(self.client, catalog, openers)
        self.sessions = Sessions(self.caller, profile)
        self.tag = f"conform-load-{seed & 0xFFFFFF:06x}-{index}"
        self.resources = Resources(
            self.caller,
            self.sessions,
            profile,
            catalog,
            tag=self.tag,
            rng=random.Random(f"{seed}/{index}/estate"),
            writable=profile.may_write and not read_only,
            fresh=self._text,
        )
        self.client.ownership = self.resources.ownership
        # In a draft the number is put in with each call; what set-up makes is numbered from the far end.
        self._fresh = itertools.count(99_999_999, -1)
        self._numbers = itertools.count(1)
        self._templating = False
        self.virtual_users = VirtualUsers(
            self.caller, self.sessions, profile, renewed=self._renewed, mark=mark, found=found
        )
        self._recipes: dict[str, _Recipe] = {}
        self._mix: list[_Recipe] = []
        self._weighted_cycle: WeightedCycle | None = None
        self._whoami: _Recipe | None = None
        #: In millionths: the share of calls that ask who a session is, and how much of one is due by now.
        self._watching = self._watched = 0
        #: Which sessions have a call under way: whoever sends the calls says so.
        self.occupancy = Occupancy(per_session)
        self._drawings: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        self._stocks: dict[tuple[str, str], list[Resource]] = {}
        self._spares: dict[tuple[str, str], deque[Resource]] = {}
        self._made: dict[Resource, None] = {}
        self._kept: Counter[str] = Counter()
        self._beyond: Counter[str] = Counter()
        self._unanswered: Counter[tuple[str, str]] = Counter()
        self._opened: deque[str] = deque()
        self._alike = 0
        self._sweeping = False
        #: What was told of by `news`, each with the text that stands for it.
        self._told: dict[Resource, str] = {}
        self._checked: dict[str, float] = {}
        self._renewing = threading.Lock()
        self._joined: set[VirtualUser] = set()

    # -- set-up ------------------------------------------------------------------------------------------------

    @classmethod
    def prepare(
        cls,
        profile: Profile,
        catalog: Catalog,
        *,
        users: int = 20,
        mix: Mapping[str, float] | None = None,
        also: Sequence[str] = (),
        isolation: float | None = None,
        **options: Any,
    ) -> Work:
        """Sign members in, make the objects that calls refer to, draft the requests.

        `users` is how many members this process has. `mix` is the profile's, unless another is given ({}: none);
        `also` names functions that scenarios call beside it. `isolation` is the share of calls that ask who a session
        is.

        Raises:
            UsageError: the load may not be put on this target, or the mix cannot be sent to it.
            SetUpFailedError: the target refuses what has to be prepared.

        """
        work = cls(profile, catalog, **options)
        try:
            work._prepare(users, mix, also, isolation)
        except BaseException:
            work.close()
            raise
        return work

    def _prepare(
        self, users: int, mix: Mapping[str, float] | None, also: Sequence[str], isolation: float | None
    ) -> None:
        asked = mix if mix is not None else self.profile.load.get("mix")
        shares: dict[str, Fraction] = {}
        if asked != {} or not also:
            shares, self.left_out = mix_of(self.profile, self.catalog, self.resources, asked)
        for name in also:
            why = (
                _unfit(self.profile, self.resources, self.catalog[name])
                if name in self.catalog
                else "the catalogue has no such function"
            )
            if why is not None:
                raise UsageError(f"{name} cannot be called: {why}")
        wanted = list(dict.fromkeys([*shares, *also]))
        whoami = self.profile.auth.whoami
        if isolation is None:
            isolation = float(self.profile.load.get("isolation", 0.02))
        watched = whoami is not None and whoami.function in self.catalog and bool(self.profile.users)
        methods = [self.catalog[name] for name in wanted]
        roles = {method.auth for method in methods if method.auth in self.catalog.roles}
        leased = lease(self.profile, self.catalog.roles, sorted(r for r in roles if r), self.index, self.of)
        self.virtual_users.shared = leased.shared
        if any(method.auth != "none" for method in methods) or (watched and isolation):
            self.virtual_users.gather(leased.users, users)
        self.occupancy.sessions = len(self.virtual_users.all)
        for name in wanted:
            try:
                self._recipe(name)
            except (SetUpFailedError, CannotGenerate) as error:
                if asked is not None or name in also:
                    raise SetUpFailedError(f"no call of {name} can be prepared: {error}") from error
                self.left_out.append((name, str(error)))
                shares.pop(name, None)
        shares = self._balanced(shares, paired=asked is None)
        self._mix = [self._recipes[name] for name in shares]
        if not self._mix and not also:
            raise SetUpFailedError(
                f"there is nothing to send: {'; '.join(f'{n}: {w}' for n, w in self.left_out[:3])}"
            )
        if self._mix:
            self._weighted_cycle = WeightedCycle(
                list(shares.values()), random.Random(f"{self.seed}/{self.index}/deck")
            )
        if watched and isolation and whoami is not None and self.virtual_users.all:
            self._whoami = self._recipe(whoami.function)
            self._watching = round(isolation * 1_000_000)

    def _balanced(self, shares: dict[str, Fraction], *, paired: bool) -> dict[str, Fraction]:
        """Leave out what uses up objects that nothing makes any more; `paired`: what nothing deletes again, too."""

        def stays(name: str) -> bool:
            method = self.catalog[name]
            kinds = self.resources.spends(method)[:1]
            if kinds:
                return any(_creates(self.catalog[each], kinds[0]) for each in shares)
            role = method.object
            if paired and role is not None and role.does == "create":
                return any(role.kind in self.resources.spends(self.catalog[each])[:1] for each in shares)
            return True

        return {name: share for name, share in shares.items() if stays(name)}

    def _text(self) -> str:
        """Return the text that is put into free texts: the run's tag, and a number that each call has for itself."""
        return self.tag + (_NUMBER if self._templating else f"-{next(self._fresh):08d}")

    def _recipe(self, name: str) -> _Recipe:
        """Return how calls of a function are made; made ready where it is not yet."""
        if name in self._recipes:
            return self._recipes[name]
        method = self.catalog[name]
        auth = self.profile.auth
        lines = [("Content-Type", "application/json")]
        recipe = _Recipe(name, method, len(self.functions), self.client.head("POST", method.entity, lines))
        recipe.login = name in self.caller.logins
        if recipe.login:
            recipe.learn = self._entered
        elif method.object is not None and method.object.does == "create":
            recipe.learn = self._created
            recipe.creates = True
        elif auth.whoami is not None and name == auth.whoami.function:
            recipe.learn = self.virtual_users.watch
        if method.beyond_schema:
            # The schema does not say all: what these functions refuse with 400 they may refuse (DAT-1).
            recipe.expects = frozenset({200, 400})
        kinds = self.resources.spends(method)
        if kinds:
            recipe.spends = (kinds[0], self._spending(method, kinds[0]))
            recipe.learn = self._spent
        if method.auth != "none":
            recipe.virtual_users = [
                m for m in self.virtual_users.all if self.resources.may_call(m.user, method)
            ]
            if not recipe.virtual_users and not recipe.login:
                raise SetUpFailedError("none of this worker's users may call it")
            # Not all functions begin with the same member.
            recipe.at = random.Random(f"{self.seed}/{name}").randrange(len(recipe.virtual_users) or 1)
        self._template_all(recipe)
        self.functions.append(name)
        self._recipes[name] = recipe
        return recipe

    def _spending(self, method: Method, kind: str) -> str:
        """Return the argument that names what a call uses up."""
        if method.object is not None and method.object.does == "delete":
            return method.object.id
        for param in method.params:
            if param.ref == kind and param.required:
                return param.name
        raise SetUpFailedError(f"no required argument of it names the {kind} that it uses up")

    def _users(self, recipe: _Recipe) -> list[str]:
        """Return the users that a function needs drafts for; "" stands for nobody."""
        if recipe.login:
            return list(dict.fromkeys(m.user for m in self.virtual_users.all)) or list(self.profile.users)
        if recipe.method.auth == "none":
            return [""]
        return list(dict.fromkeys(virtual_user.user for virtual_user in recipe.virtual_users))

    def _template_all(self, recipe: _Recipe) -> None:
        """Deal every user a hand; who has nothing to say is left out.

        Raises:
            SetUpFailedError, CannotGenerate: nobody has.

        """
        problem: Exception | None = None
        template_sets: dict[str, _TemplateSet] = {}
        for user in self._users(recipe):
            try:
                template_sets[user] = _TemplateSet(self._templates(recipe, user))
            except (SetUpFailedError, CannotGenerate) as error:
                problem = problem or error
            time.sleep(0)  # let others run: after a reset this is done while the load goes on
        if problem is not None and not template_sets:
            raise problem
        recipe.template_sets = template_sets
        if recipe.method.auth != "none":
            recipe.virtual_users = [
                virtual_user for virtual_user in recipe.virtual_users if virtual_user.user in template_sets
            ]
            if recipe.virtual_users:
                recipe.seats = self.occupancy.seats(recipe.virtual_users, recipe.at)

    # -- drafts ------------------------------------------------------------------------------------------------

    def _templates(self, recipe: _Recipe, user: str) -> list[_RequestTemplate]:
        """Draft a function's requests for one user.

        Raises:
            SetUpFailedError, CannotGenerate: there is nothing valid to be said, or nothing to refer to.

        """
        method = recipe.method
        someone = user or next(iter(self.profile.users), None)
        if recipe.login:
            return [self._template(recipe, self.resources.valid(method, user))]
        if recipe.spends is not None:
            return self._spending_templates(recipe, user)
        role = method.object
        acts = role is not None and role.does in ("read", "update")
        resource_list: list[Resource | None] = [None]
        if acts and role is not None:
            param = method.param(role.id)
            try:
                resource_list = list(self._stock(role.kind, someone or ""))
                if method.effect != "read":
                    # What the run did not make is read at most.
                    resource_list = [each for each in resource_list if each and each.made] or [
                        self._own(role.kind, someone or "")
                    ]
            except SetUpFailedError:
                if param is not None and param.required:
                    raise
        drawn = self._drawn(method, someone)
        # Once outside of drafting: what the data refers to is made by this, with texts of its own.
        self._data(method, someone, resource_list[0], None)
        self._templating = True
        try:
            templates = self._written(recipe, someone, resource_list, drawn)
        finally:
            self._templating = False
        if method.beyond_schema and method.effect == "read":
            templates = self._accepted(method, templates, someone)
        random.Random(f"{self.seed}/{method.name}/{user}").shuffle(templates)
        return templates

    def _written(
        self,
        recipe: _Recipe,
        user: str | None,
        resource_list: Sequence[Resource | None],
        drawn: Sequence[Mapping[str, Any]],
    ) -> list[_RequestTemplate]:
        method, role = recipe.method, recipe.method.object
        templates: list[_RequestTemplate] = []
        for number in range(_TEMPLATES):
            resource = resource_list[number % len(resource_list)]
            # Every other call is as plain as may be: most callers give few arguments.
            plain = not (role is not None and role.does in ("create", "update")) and number % 2 == 0
            data = self._data(
                method, user, resource, None if plain or not drawn else drawn[number % len(drawn)]
            )
            page = _PAGES[number % len(_PAGES)] if method.rows is not None else None
            if self.resources.ownership.data(method, data) is not None:
                data = self._data(method, user, resource, None)
            templates.append(self._template(recipe, data, page))
            if not method.params and page is None:
                break
        return templates

    def _drawn(self, method: Method, user: str | None) -> list[dict[str, Any]]:
        """Draw data from the payload strategies: ordinary words, every shape that the schema allows."""
        key = (method.name, user)
        if not method.params or key in self._drawings:
            return self._drawings.get(key, [])

        def refs(kind: str) -> SearchStrategy[Any]:
            if user is None:
                raise SetUpFailedError(f"nobody to find a {kind} for")
            return st.sampled_from([_Symbol(kind, place) for place in range(len(self._stock(kind, user)))])

        def bind(value: Any) -> Any:
            return self._bound(value, user or "")

        seed = random.Random(f"{self.seed}/{self.index}/{method.name}/{user}").getrandbits(32)
        try:
            strategy = payloads.valid(method, refs, bind=bind, unusual=False)
            values = payloads.draw(strategy, seed, 2 * _TEMPLATES)
        except (CannotGenerate, SetUpFailedError):
            values = []  # plain samples do without what cannot be had
        good: list[dict[str, Any]] = []
        for value in values:
            if not isinstance(value, dict) or payloads.oddities(value):
                continue
            fit = {name: item for name, item in value.items() if not self.resources.locks_out(method, name)}
            if len(payloads.encode(fit)) <= 8_192:
                good.append(fit)
        self._drawings[key] = good
        return good

    def _bound(self, value: Any, user: str) -> Any:
        """Return drawn data with the identifiers of the user's objects in place of what stands for them."""
        if isinstance(value, _Symbol):
            resource_list = self._stock(value.kind, user)
            return resource_list[value.place % len(resource_list)].id
        if isinstance(value, dict):
            return {name: self._bound(item, user) for name, item in value.items()}
        return [self._bound(item, user) for item in value] if isinstance(value, list) else value

    def _data(
        self, method: Method, user: str | None, resource: Resource | None, drawn: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return valid data: what was drawn, about this object, with the run's tag in required free text."""
        fixed: dict[str, Any] = {}
        if method.object is not None and method.object.does in ("read", "update"):
            fixed = self.resources.acting_on(method, resource) if resource else {method.object.id: OMIT}
        plain = self.resources.valid(method, user, optional="none", **fixed)
        given = {name: value for name, value in fixed.items() if value is not OMIT}
        left = {name for name, value in fixed.items() if value is OMIT}
        if drawn is None:
            return plain
        tagged = {
            name: value
            for name, value in plain.items()
            if name not in drawn or (isinstance(value, str) and _NUMBER in value)
        }
        bound = self._bound(dict(drawn), user or "")
        whole = {name: value for name, value in {**bound, **tagged, **given}.items() if name not in left}
        return whole if method.data.valid(whole) else plain

    def _template(self, recipe: _Recipe, data: Any, page: int | None = None) -> _RequestTemplate:
        method = recipe.method
        if (why := self.resources.ownership.data(method, data)) is not None:
            raise SetUpFailedError(f"{method.name} is not called: {why}")
        paging: dict[str, Any] = {} if page is None else {"page_start": 0, "page_length": page}
        body = self.caller.body(method.name, data, **paging)
        kept: dict[str, Any] = {}
        mark = b""
        if method.object is not None and method.object.does == "create":
            names = [param.name for param in method.params if param.required and param.ref]
            kept = {name: data[name] for name in names if name in data}
        if _NUMBER.encode() in body:
            mark = _NUMBER.encode()
        return _RequestTemplate(recipe.head, body, kept, mark)

    def _spending_templates(self, recipe: _Recipe, user: str) -> list[_RequestTemplate]:
        """See that a call that uses up an object can be made, and keep objects ready for it."""
        assert recipe.spends is not None
        kind, argument = recipe.spends
        spares = self._spares.setdefault((kind, user), deque())
        if self.resources.creator(kind, user) is None:
            raise SetUpFailedError(f"{user} may not make a {kind} for it to use up")
        while len(spares) < _SPARES:
            spares.append(self.resources.new(kind, user, optional="none"))
        fixed = {argument: spares[0].id}
        if recipe.method.object is not None and recipe.method.object.does == "delete":
            fixed = self.resources.acting_on(recipe.method, spares[0])
        data = self.resources.valid(recipe.method, user, optional="none", **fixed)
        return [_RequestTemplate(recipe.head, b"", data)]

    def _accepted(
        self, method: Method, templates: list[_RequestTemplate], user: str | None
    ) -> list[_RequestTemplate]:
        """Keep those that the target does not refuse by a rule beyond the schema, where there are any."""
        asked = {template.body(self._numbers): template for template in templates[:8]}
        token = self.sessions.of(user).token if user and method.auth != "none" else None
        good = [
            template
            for body, template in asked.items()
            if self.caller.call(method, body=body, user=user, token=token).status == 200
        ]
        return good or templates

    def _stock(self, kind: str, user: str) -> list[Resource]:
        """Return objects of a kind that this user made; where it can make none, some that it found.

        Raises:
            SetUpFailedError: there are none.

        """
        resource_list = self._stocks.setdefault((kind, user), [])
        if resource_list:
            return resource_list
        if self.catalog.delete(kind) is None:
            # What could not be removed is made only where there is none to be found.
            resource_list += self._found(kind, user)
        if not resource_list and self.resources.creator(kind, user) is not None:
            # The more users, the fewer objects each needs to spread the calls over.
            try:
                many = max(1, min(_STOCK, 48 // len(self.profile.users)))
                for _ in range(many if self.catalog.delete(kind) is not None else 1):
                    resource_list.append(
                        self.resources.new(kind, user) if resource_list else self.resources.any(kind, user)
                    )
            except SetUpFailedError as error:
                if not resource_list and not self._found(kind, user):
                    raise
                self.virtual_users.note(error.reason)
        if not resource_list:
            resource_list += self._found(kind, user)
        if not resource_list:
            raise SetUpFailedError(f"there is no {kind} that {user} could use, and no function to make one")
        return resource_list

    def _own(self, kind: str, user: str) -> Resource:
        """Return an object of the run's own making, made now where there is none.

        Raises:
            SetUpFailedError: none can be made.

        """
        if self.resources.creator(kind, user) is None:
            raise SetUpFailedError(f"{user} cannot make a {kind}, and what others made is left alone")
        return self.resources.any(kind, user)

    def _found(self, kind: str, user: str) -> list[Resource]:
        found: dict[str, Resource] = {}
        for method in self.catalog.lists(kind):
            if method.object is None or not self.resources.may_call(user, method):
                continue
            page = {"page_start": 0, "page_length": _PAGES[0]} if method.rows is not None else {}
            data = self.resources.valid(method, user, optional="none")
            exchange = self.resources.call(method, data, user, **page)
            for row in self.resources.rows(method, exchange)[: _PAGES[0]]:
                identifier = resolve(row, method.object.id)
                if identifier is not MISSING and not isinstance(identifier, (dict, list)):
                    found.setdefault(repr(identifier), Resource(kind, identifier, user, made=False))
                    if not any(self.resources.creator(kind, name) for name in self.profile.users):
                        self.resources.ownership.found(kind, identifier)
        return list(found.values())

    # -- while the load runs -----------------------------------------------------------------------------------

    def next(self, virtual_user: VirtualUser | None = None) -> Call:
        """Return the next call of the mix, or now and then one that asks who a member is (AUT-11).

        It is sent as `member`, where that one may; without, as whoever's turn it is.
        """
        self._watched += self._watching
        if self._watched >= 1_000_000 and self._whoami is not None:
            self._watched -= 1_000_000
            return self._call(self._whoami, virtual_user)
        if self._weighted_cycle is None:
            raise UsageError("there is no mix to take calls from")
        recipe = self._mix[self._weighted_cycle.deal()]
        return self._call(
            recipe,
            virtual_user if virtual_user is not None and virtual_user.user in recipe.template_sets else None,
        )

    def watch(self, virtual_user: VirtualUser | None = None) -> Call | None:
        """Return a call that asks who a member is, as often as `isolation` says that one is due; None otherwise."""
        if self._whoami is None:
            return None
        self._watched += self._watching
        if self._watched < 1_000_000:
            return None
        self._watched -= 1_000_000
        return self._call(self._whoami, virtual_user)

    def call(self, function: str, virtual_user: VirtualUser | None = None) -> Call:
        """Return a call of a function that was prepared, by this member, or by whoever's turn it is.

        Raises:
            UsageError: it was not prepared, or the member may not call it.

        """
        recipe = self._recipes.get(function)
        if recipe is None:
            raise UsageError(
                f"{function} is not among the functions that this load prepared{suggestion(function, self._recipes)}"
            )
        if (
            virtual_user is not None
            and recipe.method.auth != "none"
            and virtual_user.user not in recipe.template_sets
        ):
            raise UsageError(
                f'{function} needs the role "{recipe.method.auth}", which {virtual_user.user} does not have'
            )
        return self._call(recipe, virtual_user)

    def _call(self, recipe: _Recipe, virtual_user: VirtualUser | None = None) -> Call:
        if recipe.spends is not None:
            return self._spend(recipe, virtual_user)
        if recipe.login or not recipe.virtual_users:
            return self._outside(recipe, virtual_user)
        if virtual_user is None:
            virtual_user = recipe.virtual_user()
        template = recipe.template_sets[virtual_user.user].next()
        known = template.calls.get(virtual_user)
        if known is not None and known.epoch == virtual_user.epoch:
            return known
        raw = template.head + virtual_user.line + template.body(self._numbers)
        call = Call(
            recipe.name,
            recipe.index,
            raw,
            virtual_user,
            recipe.expects,
            recipe.learn,
            True,
            virtual_user.epoch,
        )
        if recipe.creates:
            self._unanswered[(recipe.name, virtual_user.user)] += 1
            call.about = template
        elif not template.numbered and (known is not None or self._alike < _ALIKE):
            self._alike += known is None
            template.calls[virtual_user] = call
        return call

    def _outside(self, recipe: _Recipe, virtual_user: VirtualUser | None) -> Call:
        """Return a call outside any session: of a public function, or a login."""
        template_sets = recipe.template_sets
        if virtual_user is not None and virtual_user.user in template_sets:
            user = virtual_user.user
        else:
            users = list(template_sets)
            user = users[recipe.at % len(users)]
            recipe.at += 1
        key = self.profile.auth.key_login
        if recipe.login and key is not None and recipe.name == key.function:
            # Each has to be signed anew.
            template = self._template(recipe, self.resources.valid(recipe.method, user))
        else:
            template = template_sets[user].next()
        raw = template.head + b"\r\n" + template.body(self._numbers)
        if recipe.creates:
            self._unanswered[(recipe.name, user)] += 1
        return Call(
            recipe.name, recipe.index, raw, None, recipe.expects, recipe.learn, about=(user, template)
        )

    def _spend(self, recipe: _Recipe, virtual_user: VirtualUser | None) -> Call:
        """Return a call that uses up an object of the run's own; where there is none left, one that makes one."""
        assert recipe.spends is not None
        kind, argument = recipe.spends
        if virtual_user is None:
            for _ in recipe.template_sets:
                virtual_user = recipe.virtual_user()
                if self._spares.get((kind, virtual_user.user)):
                    break
        assert virtual_user is not None
        resource = self._spare(kind, virtual_user.user)
        if resource is None:
            creator = self.catalog.create(kind)
            if creator is None or creator.name not in self._recipes:
                raise SetUpFailedError(f"there is no {kind} left that {recipe.name} could be called for")
            self.substituted += 1
            maker = self._recipes[creator.name]
            return self._call(maker, virtual_user if virtual_user.user in maker.template_sets else None)
        template = recipe.template_sets[virtual_user.user].templates[0].data
        data = {**template, **{name: resource.sent[name] for name in template if name in resource.sent}}
        body = self.caller.body(recipe.name, {**data, argument: resource.id})
        raw = recipe.head + b"Content-Length: %d\r\n" % len(body) + virtual_user.line + body
        return Call(
            recipe.name,
            recipe.index,
            raw,
            virtual_user,
            recipe.expects,
            recipe.learn,
            True,
            virtual_user.epoch,
            resource,
        )

    def _spare(self, kind: str, user: str) -> Resource | None:
        spares = self._spares.get((kind, user))
        while spares:
            resource = spares.popleft()
            if not resource.gone:
                return resource
        return None

    def refused(self, call: Call, settle: Callable[[bool], None]) -> None:
        """Look after a session that was refused (`Source.refused`)."""
        self.virtual_users.refused(call, settle)

    # What calls learn from their answers; in the event loop.

    def _created(self, call: Call, reply: Reply) -> None:
        """Enter what a create made in the ledger."""
        virtual_user, template = call.virtual_user, call.about
        user = virtual_user.user if virtual_user is not None else template[0]
        if reply.failure is not None:
            return  # whether it was made nobody knows: the end looks for it
        self._unanswered[(call.function, user)] -= 1
        role = self._recipes[call.function].method.object
        if reply.status != 200 or role is None:
            return
        try:
            identifier = resolve(msgspec.json.decode(reply.body)["data"], role.id)
        except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
            return
        if identifier is MISSING or identifier is None or isinstance(identifier, (dict, list)):
            return
        self._born(
            Resource(
                role.kind, identifier, user, template.data if virtual_user is not None else template[1].data
            )
        )

    def _born(self, resource: Resource) -> None:
        self.resources.ownership.made(resource.kind, resource.id)
        if self.catalog.delete(resource.kind) is None:
            self._kept[resource.kind] += 1
            if self._kept[resource.kind] > _LISTED:
                self._beyond[resource.kind] += 1
                return
        self._made[resource] = None
        spares = self._spares.get((resource.kind, resource.user))
        if spares is not None:
            spares.append(resource)
        if len(self._made) > self._standing + _SWEPT + self._kept.total() and not self._sweeping:
            self._sweeping = True
            self.virtual_users.later(self._sweep)

    def _spent(self, call: Call, reply: Reply) -> None:
        """Strike what was deleted off the ledger; what was only used up is removed at the end."""
        method = self._recipes[call.function].method
        deletes = method.object is not None and method.object.does == "delete"
        if deletes and reply.failure is None and reply.status in (200, 404):
            call.about.gone = True
            self._made.pop(call.about, None)
            self.resources.forget(call.about.kind, call.about.id)

    def _entered(self, call: Call, reply: Reply) -> None:
        """Remember the session that a login of the load gave, to end it."""
        token = self._token(reply)
        if token is not None and self.profile.auth.logout is not None:
            self._opened.append(token)
            if len(self._opened) > self._standing + _SWEPT and not self._sweeping:
                self._sweeping = True
                self.virtual_users.later(self._sweep)

    def _token(self, reply: Reply) -> str | None:
        if reply.failure is not None or reply.status != 200:
            return None
        try:
            token = resolve(msgspec.json.decode(reply.body)["data"], self.profile.auth.session)
        except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
            return None
        return token if isinstance(token, str) and token else None

    # In a keeper's greenlet.

    def _sweep(self) -> None:
        """Remove the oldest of what the load made, so that neither the target nor this process grows for hours."""
        try:
            while len(self._opened) > self._standing:
                self._leave(self._opened.popleft())
            spare = [resource for resource in self._made if self.catalog.delete(resource.kind) is not None]
            for resource in spare[: max(0, len(spare) - self._standing)]:
                if resource.gone:
                    continue
                resource.gone = True
                if self._remove(resource) is None:
                    self._made.pop(resource, None)
                else:
                    resource.gone = False
                    break  # the end says what is left
            for spares in self._spares.values():
                while spares and spares[0].gone:
                    spares.popleft()
        finally:
            self._sweeping = False

    def _leave(self, token: str) -> None:
        if self.profile.auth.logout is not None:
            self.caller.call(self.profile.auth.logout, token=token)

    def _renewed(self, virtual_user: VirtualUser) -> None:
        """A session had ended: see whether the run's objects are gone, too (a reset), and make them anew."""
        since = time.perf_counter()
        with self._renewing:
            if self._checked.get(virtual_user.user, -math.inf) > since:
                return  # somebody else has, meanwhile
            self.sessions.drop(virtual_user.user)
            stocks = [
                resource_list
                for (_, user), resource_list in self._stocks.items()
                if user == virtual_user.user
            ]
            standing = next(
                (resource for resource_list in stocks for resource in resource_list if resource.made), None
            )
            users = [virtual_user.user]
            if standing is not None and self._gone(standing):
                users = list(dict.fromkeys(each.user for each in self.virtual_users.all))
                self._begin_again()
            now = time.perf_counter()
            self._checked.update(dict.fromkeys(users, now))

    def _begin_again(self) -> None:
        """The target was reset: what the run made is gone, and its identifiers mean nothing any more."""
        self.sessions.drop()
        self.resources.reset()
        self._made.clear()
        self._unanswered.clear()
        self._stocks.clear()
        for spares in self._spares.values():
            spares.clear()
        self._alike = 0
        self.virtual_users.mark(
            "reset",
            "the target was reset: the run's objects were gone, and are made anew",
            time.perf_counter(),
        )
        for recipe in self._recipes.values():
            self._template_all(recipe)

    def _gone(self, resource: Resource) -> bool:
        method = self.catalog.read(resource.kind)
        if method is None or not self.resources.may_call(resource.user, method):
            return False
        data = self.resources.valid(
            method, resource.user, optional="none", **self.resources.acting_on(method, resource)
        )
        return self.resources.call(method, data, resource.user).status in (400, 403, 404)

    def _observe(self, exchange: Exchange) -> None:
        """Keep the books of what set-up calls do, whatever they were sent for."""
        self.sessions.learn(exchange)
        method = self.catalog.methods.get(exchange.function or "")
        if method is not None and method.object is not None and method.object.does == "create":
            try:
                sent = json.loads(exchange.request.body).get("data")
            except (ValueError, AttributeError):
                sent = None
            self.resources.learn(exchange, method, sent, exchange.user)

    # -- scenarios ---------------------------------------------------------------------------------------------

    def join(self, functions: Iterable[str] = ()) -> VirtualUser | None:
        """Return a member that no other scenario's user is, and that may call these functions; None: nobody need be.

        Raises:
            SetUpFailedError: nobody may call them all, or the member cannot be signed in.

        """
        methods = [self.catalog[name] for name in functions]
        if not self.virtual_users.all:
            return None

        def able(user: str) -> bool:
            return all(self.resources.may_call(user, method) for method in methods)

        for virtual_user in self.virtual_users.all:
            if virtual_user not in self._joined and able(virtual_user.user):
                self._joined.add(virtual_user)
                return virtual_user
        users = [user for user in dict.fromkeys(m.user for m in self.virtual_users.all) if able(user)]
        if not users:
            raise SetUpFailedError(f"no user of the profile may call all of {', '.join(functions)}")
        before = len(self.virtual_users.all)
        self.virtual_users.gather([users[before % len(users)]], 1)
        virtual_user = self.virtual_users.all[-1]
        self._joined.add(virtual_user)
        return virtual_user

    def entered(self, reply: Any, virtual_user: VirtualUser | None) -> VirtualUser | None:
        """Return a member in the session that a login's answer gave to this member's user; None where it gave none."""
        if reply is None or virtual_user is None:
            return None
        token = self._token(reply)
        if token is None:
            return None
        fresh = VirtualUser(virtual_user.number, virtual_user.user, ready=True)
        fresh.enter(token)
        return fresh

    def leave(self, virtual_user: VirtualUser) -> None:
        """Give a member back that a scenario's user was."""
        self._joined.discard(virtual_user)

    # -- for those who remove it where this process cannot any more -------------------------------------------------

    def news(self) -> dict[str, Any]:
        """Return what was made, and what is gone, since this was last asked: a text for each object.

        `beyond` counts, by kind, what is not listed one by one and cannot be removed.
        """
        standing = dict.fromkeys((*self._made, *self.resources.owned()))
        told = {resource: self._told.get(resource) or self._entry(resource) for resource in standing}
        made = [text for resource, text in told.items() if resource not in self._told]
        gone = [text for resource, text in self._told.items() if resource not in told]
        self._told = told
        return {"made": made, "gone": gone, "beyond": dict(self._beyond)}

    def _entry(self, resource: Resource) -> str:
        """Return what has to be known to remove an object."""
        method = self.catalog.delete(resource.kind)
        acting = {} if method is None else self.resources.acting_on(method, resource)
        parents = {name: resource.sent[name] for name in acting if name in resource.sent}
        return json.dumps([resource.kind, resource.id, resource.user, parents, resource not in self._made])

    @classmethod
    def inherit(
        cls,
        profile: Profile,
        catalog: Catalog,
        made: Iterable[str],
        beyond: Mapping[str, int],
        functions: Iterable[str],
        *,
        seconds: float = 60.0,
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Remove what a process made that is gone, and return what is left over, and what else there is to say.

        `made` and `beyond` are what it told (`news`); what it had no time to tell of is looked for by its tag, where
        the `functions` of the load make such objects. `options` are those that its own work was made with.
        """
        work = cls(profile, catalog, **options)
        for text in made:
            kind, identifier, user, parents, owned = json.loads(text)
            resource = Resource(kind, identifier, user, parents)
            if owned:
                work.resources.adopt(resource)
            else:
                work._made[resource] = None
                work.resources.ownership.made(kind, identifier)
        work._beyond.update(beyond)
        methods = [catalog[name] for name in functions if name in catalog]
        roles = {method.auth for method in methods if method.auth in catalog.roles}
        leased = lease(profile, catalog.roles, sorted(r for r in roles if r), work.index, work.of)
        for method in methods:
            if method.object is not None and method.object.does == "create":
                for user in leased.users:
                    if work.resources.may_call(user, method):
                        work._unanswered[method.name, user] = 1
        left = work.close(seconds)
        return [*left, *({"event": "note", "message": text} for text in work.remarks())]

    # -- the end -----------------------------------------------------------------------------------------------

    def rules(self) -> dict[str, list[int]]:
        """Return how often each rule that is watched here was judged, and how often it was broken."""
        return (
            {"AUT-11": [self.virtual_users.judged, self.virtual_users.broken]}
            if self.virtual_users.judged
            else {}
        )

    def findings(self) -> list[dict[str, Any]]:
        """Return what the watch over the sessions found (AUT-11), as events of a check."""
        return self.virtual_users.findings()

    def remarks(self) -> list[str]:
        """Return what a report has to say of how the load was sent, each once."""
        told: dict[str, None] = {}
        for why in dict.fromkeys(why for _, why in self.left_out):
            names = [name for name, because in self.left_out if because == why]
            told[f"not in the mix: {', '.join(names)}: {why}"] = None
        told |= dict.fromkeys(mark.text for mark in self.virtual_users.marks if mark.kind == "note")
        if self.substituted:
            told[
                f"{self.substituted} calls of functions that delete had nothing left to delete: "
                "as many more were of those that create"
            ] = None
        return list(told)

    def close(self, seconds: float = 60.0) -> list[dict[str, Any]]:
        """Remove what the run made, the latest first, and end every session; return what is left over.

        It gives up after so many seconds, or when it is interrupted; what is still there then is left over.
        """
        until = time.monotonic() + seconds
        self.client.be_patient(until)
        left: list[dict[str, Any]] = []
        try:
            self.virtual_users.rest()
            if self.virtual_users.renewals:
                self.sessions.drop()
            self._look_for_unanswered()
            self._remove_all(
                [resource for resource in reversed(self._made) if not resource.gone], until, left
            )
            for resource in reversed(list(self.resources.owned())):
                self._remove_all([resource], until, left)
            for kind, count in self._beyond.items():
                left.append(_leftover(kind, f"{count} more", "the catalogue has no function that deletes it"))
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._leave, list(self._opened)))
            self.virtual_users.sign_out()
        except KeyboardInterrupt:
            gone = {(each["kind"], each["id"]) for each in left}
            for resource in (*self._made, *self.resources.owned()):
                if not resource.gone and (resource.kind, str(resource.id)) not in gone:
                    left.append(_leftover(resource.kind, resource.id, "the removal was interrupted"))
        except SetUpFailedError as error:
            self.virtual_users.note(error.reason)
        self._made.clear()
        self._opened.clear()
        self.client.close()
        return [{**each, "reason": self.secret_registry.mask(each["reason"])} for each in left]

    def _remove_all(
        self, resource_list: Sequence[Resource], until: float, left: list[dict[str, Any]]
    ) -> None:
        """Remove objects of which none stands for another's parent: so the order is all one."""

        def remove(resource: Resource) -> str | None:
            if time.monotonic() > until:
                return "there was no time left to remove it"
            return self._remove(resource)

        # Who removes is signed in before, so that many at once do not sign in many times.
        for user in dict.fromkeys(resource.user for resource in resource_list):
            if self.catalog.delete(next(t.kind for t in resource_list if t.user == user)) is not None:
                with contextlib.suppress(SetUpFailedError):  # each removal says why it failed
                    self.sessions.of(user)
        if len(resource_list) == 1:
            results = [remove(resource_list[0])]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                results = list(pool.map(remove, resource_list))
        removed = [resource for resource, why in zip(resource_list, results, strict=True) if why is None]
        standing = set(still_there(self.resources, removed)) if time.monotonic() < until else set()
        for resource, why in zip(resource_list, results, strict=True):
            if resource in standing:
                why = f"its removal succeeded, but the {resource.kind} is still there"
            if why is None:
                resource.gone = True
            else:
                left.append(_leftover(resource.kind, resource.id, why))

    def _remove(self, resource: Resource) -> str | None:
        why = self.resources.remove(resource)
        if why is not None and " 401" in why:
            self.sessions.drop(resource.user)
            why = self.resources.remove(resource)
        return why

    def _look_for_unanswered(self) -> None:
        """Find what creates made that got no answer: it carries the run's tag."""
        known = {(resource.kind, repr(resource.id)) for resource in (*self._made, *self.resources.owned())}
        for (name, user), count in self._unanswered.items():
            role = self.catalog[name].object
            if count <= 0 or role is None or not user:
                continue
            for method in self.catalog.lists(role.kind):
                if method.object is None or not self.resources.may_call(user, method):
                    continue
                try:
                    exchange = self.resources.call(
                        method, self.resources.valid(method, user, optional="none"), user
                    )
                except SetUpFailedError:
                    continue
                for row in self.resources.rows(method, exchange):
                    identifier = resolve(row, method.object.id)
                    # With what comes behind it, lest the tenth worker's be taken for the first one's.
                    tagged = f"{self.tag}-" in json.dumps(row, ensure_ascii=False)
                    if tagged and identifier is not MISSING and (role.kind, repr(identifier)) not in known:
                        self._made[Resource(role.kind, identifier, user)] = None
                        self.resources.ownership.made(role.kind, identifier)


def _leftover(kind: str, identifier: Any, reason: str) -> dict[str, Any]:
    return {"event": "leftover", "kind": kind, "id": str(identifier), "function": None, "reason": reason}
