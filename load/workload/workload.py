"""The workload of one process: prepares calls, supplies them while the load runs, and removes what they created.

At set-up each function of the mix gets request templates for each user that may call it: requests that are complete
but for the session, with data drawn from the payload strategies, and with identifiers of objects that this user
created or found. While the load runs, a call is put together from bytes alone. Calls that delete or consume an object
are only sent for objects that the run created.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from conformance.catalog.model import Catalog
from conformance.errors import UsageError, suggestion
from conformance.events import FindingEvent, LeftoverEvent, NoteEvent
from conformance.generation.errors import CannotGenerate
from conformance.protocol.caller import Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile, User
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.resources.registry import Resource, Resources
from load.engine.rate_limit import RateLimit
from load.workload import created as created_objects
from load.workload.calls import Call
from load.workload.cleanup import CleanUp
from load.workload.created import Created, token_of
from load.workload.mix import WeightedCycle, creates, mix_of, unfit_reason
from load.workload.occupancy import Occupancy
from load.workload.own_calls import Needs, OwnCalls
from load.workload.patient_client import PatientClient
from load.workload.recipes import Recipes
from load.workload.seen import SeenMix
from load.workload.stock import Stock
from load.workload.templates import Recipe, TemplateBuilder, UniqueTexts
from load.workload.virtual_users import Mark, VirtualUser, VirtualUsers, lease

__all__ = ["Work"]

#: Under a rate limit: the longest time, in seconds, to remove as many objects as may exist.
MAX_REMOVAL_SECONDS = 20.0

#: Calls that are retained to be sent again unchanged; where there are more virtual users, the rest is built anew.
MAX_RETAINED_CALLS = 4_096


# One class, though it is long: what prepares calls, supplies them and removes their objects shares the state that a
# reset of the target replaces in the middle of a load.
class Work:
    """The calls of one process: `Work.prepare` builds it, `close` removes what it created."""

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
        found: Callable[[FindingEvent], None] = lambda event: None,
        seen: SeenMix | None = None,
    ) -> None:
        """Set up worker `index` of `of` without sending anything; later requests respect the rate limit.

        `seen` is the mix of recorded traffic, where the load follows it: its calls have the shapes that were seen.
        """
        profile.refuse_load()
        self.profile, self.catalog = profile, catalog
        self.seed, self.index, self.of = seed, index, of
        #: (function, reason) for what the mix leaves out.
        self.left_out: list[tuple[str, str]] = []
        #: Calls that were replaced by creates, since there was no object to consume.
        self.substituted = 0
        self.tag = f"conform-load-{seed & 0xFFFFFF:06x}-{index}"
        texts = UniqueTexts(self.tag)
        max_objects = self._connect(rate_limit, texts, writable=profile.may_write and not read_only)
        self.virtual_users = VirtualUsers(
            self.caller, self.sessions, profile, renewed=self._renewed, mark=mark, found=found
        )
        #: Which sessions have a call under way: updated by whoever sends the calls.
        self.occupancy = Occupancy(per_session)
        self._prepare_objects(max_objects)
        self._builder = TemplateBuilder(
            profile, self.caller, self.sessions, self.resources, self.stock, texts, seed=seed, index=index
        )
        self._follows_capture = seen is not None
        if seen is not None:
            self._builder.shapes = seen.shapes
        self._set_up = Recipes(
            profile,
            catalog,
            self.caller,
            self.resources,
            self.virtual_users,
            self.occupancy,
            self.created,
            self._builder,
            seed=seed,
        )
        self.functions = self._set_up.functions
        # They are read with every call, so this object has them itself.
        self._recipes = self._set_up.by_name
        self._numbers = texts.numbers
        self._unanswered = self.created.unanswered
        self._mix: list[Recipe] = []
        self._weighted_cycle: WeightedCycle | None = None
        self._whoami: Recipe | None = None
        #: In millionths: the share of calls that ask who a session is, and how much of one is due by now.
        self._watching = self._watched = 0
        self._retained_calls = 0
        #: By user: when it was last checked whether the target was reset.
        self._checked: dict[str, float] = {}
        self._renewing = threading.Lock()
        self._joined: set[VirtualUser] = set()
        #: By what they sign in with: the names of users.
        self._names = {each.user: each.name for each in profile.users.values()}
        #: The calls of a team's own scenario, where there is one.
        self.own_calls: OwnCalls | None = None

    def _connect(self, rate_limit: RateLimit | None, texts: UniqueTexts, *, writable: bool) -> int:
        """Create the client, the sessions and the resources; return the largest number of objects at a time."""
        profile, catalog = self.profile, self.catalog
        self.secret_registry = profile.secret_registry()
        self.client = PatientClient.of(profile, secret_registry=self.secret_registry, observe=self._observe)
        max_objects = created_objects.MAX_OBJECTS
        if rate_limit is not None:
            self.client.turn = rate_limit.turn
            # Not more than can be removed in time.
            max_objects = min(max_objects, max(1, int(rate_limit.rate * MAX_REMOVAL_SECONDS)))
        openers = [opener.function for opener in (profile.auth.login, profile.auth.key_login) if opener]
        self.caller = Caller(self.client, catalog, openers)
        self.sessions = Sessions(self.caller, profile)
        self.resources = Resources(
            self.caller,
            self.sessions,
            profile,
            catalog,
            tag=self.tag,
            rng=random.Random(f"{self.seed}/{self.index}/estate"),
            writable=writable,
            fresh=texts.next,
        )
        self.client.ownership = self.resources.ownership
        return max_objects

    def _prepare_objects(self, max_objects: int) -> None:
        """Create what manages the objects of the run: the stock, the created objects, and the clean-up."""
        profile, catalog = self.profile, self.catalog
        self.stock = Stock(profile, catalog, self.resources, self.virtual_users.note)
        self.created = Created(
            profile,
            catalog,
            self.resources,
            self.stock,
            limit=max_objects,
            sweep_later=lambda: self.virtual_users.later(self.clean_up.sweep),
        )
        self.clean_up = CleanUp(
            catalog,
            self.caller,
            self.sessions,
            self.resources,
            self.virtual_users,
            self.stock,
            self.created,
            tag=self.tag,
            logout=profile.auth.logout,
        )

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
        needs: Needs | None = None,
        **options: Any,
    ) -> Work:
        """Sign virtual users in, create the objects that calls refer to, and build the request templates.

        `users` is the number of virtual users of this process. `mix` is the profile's, unless another is given ({}: no
        mix); `also` names functions that scenarios call besides. `isolation` is the share of calls that ask who a
        session is. With `needs`, a scenario file calls what it likes, and there is no mix. `options` are those of the
        constructor.

        Raises:
            UsageError: the target must not be loaded, or the mix cannot be sent to it.
            SetUpFailedError: the target refuses a request of the set-up.

        """
        work = cls(profile, catalog, **options)
        try:
            if needs is not None:
                work._prepare_own(users, needs, isolation)
            else:
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
                unfit_reason(self.profile, self.resources, self.catalog[name])
                if name in self.catalog
                else "the catalogue has no such function"
            )
            if why is not None:
                raise UsageError(f"{name} cannot be called: {why}")
        wanted = list(dict.fromkeys([*shares, *also]))
        share = self._asking_share(isolation) if self.profile.users else 0.0
        methods = [self.catalog[name] for name in wanted]
        roles = {method.auth for method in methods if method.auth in self.catalog.roles}
        leased = lease(self.profile, self.catalog.roles, sorted(r for r in roles if r), self.index, self.of)
        self.virtual_users.shared = leased.shared
        if any(method.auth != "none" for method in methods) or share:
            self.virtual_users.gather(leased.users, users)
        self.occupancy.sessions = len(self.virtual_users.all)
        for name in wanted:
            try:
                self._set_up.prepare(name)
            except (SetUpFailedError, CannotGenerate) as error:
                if (asked is not None and not self._follows_capture) or name in also:
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
        self._prepare_asking(share)

    def _prepare_own(self, users: int, needs: Needs, isolation: float | None) -> None:
        """Prepare for a scenario file: its users' sessions, and objects for them; every function may be called."""
        profile, catalog = self.profile, self.catalog
        names = [*catalog.methods, *needs.functions] if catalog.is_implicit else list(catalog.methods)
        self.functions += dict.fromkeys((*names, *needs.tasks))
        methods = [catalog[name] for name in needs.functions if name in catalog]
        roles = {method.auth for method in methods if method.auth in catalog.roles}
        roles |= {role for name in needs.users for role in profile.users[name].roles if role in catalog.roles}
        leased = lease(profile, catalog.roles, sorted(r for r in roles if r), self.index, self.of)
        self.virtual_users.shared = leased.shared
        if profile.users and profile.auth.login is not None:
            self.virtual_users.gather(tuple(dict.fromkeys((*leased.users, *needs.users))), users)
        self.occupancy.sessions = len(self.virtual_users.all)
        self.own_calls = OwnCalls(
            profile,
            catalog,
            self.caller,
            self.resources,
            self.created,
            self.functions,
            self.virtual_users.watch,
            self.resources.fresh,
        )
        self.own_calls.prepare_objects(needs.kinds, self.virtual_users.all)
        self._prepare_asking(self._asking_share(isolation))

    def _asking_share(self, isolation: float | None) -> float:
        """Return the share of calls that ask who a session is; 0 if no function says it."""
        whoami = self.profile.auth.whoami
        if whoami is None or whoami.function not in self.catalog:
            return 0.0
        return float(self.profile.load.get("isolation", 0.02)) if isolation is None else isolation

    def _prepare_asking(self, share: float) -> None:
        """Prepare the calls that ask who a session is."""
        whoami = self.profile.auth.whoami
        if share and whoami is not None and self.virtual_users.all:
            self._whoami = self._set_up.prepare(whoami.function)
            self._watching = round(share * 1_000_000)

    def _balanced(self, shares: dict[str, Fraction], *, paired: bool) -> dict[str, Fraction]:
        """Leave out functions that consume objects that no other creates; `paired`: creates without a delete, too."""

        def stays(name: str) -> bool:
            method = self.catalog[name]
            kinds = self.resources.spends(method)[:1]
            if kinds:
                return any(creates(self.catalog[each], kinds[0]) for each in shares)
            role = method.object
            if paired and role is not None and role.does == "create":
                return any(role.kind in self.resources.spends(self.catalog[each])[:1] for each in shares)
            return True

        return {name: share for name, share in shares.items() if stays(name)}

    # -- while the load runs -----------------------------------------------------------------------------------

    def next(self, virtual_user: VirtualUser | None = None) -> Call:
        """Return the next call of the mix, or occasionally one that asks who the session is (AUT-11).

        It is sent as `virtual_user`, where that one may call the function; otherwise as the next in rotation.
        """
        self._watched += self._watching
        if self._watched >= 1_000_000 and self._whoami is not None:
            self._watched -= 1_000_000
            return self._call(self._whoami, virtual_user)
        if self._weighted_cycle is None:
            raise UsageError("there is no mix to take calls from")
        recipe = self._mix[self._weighted_cycle.next()]
        return self._call(
            recipe,
            virtual_user if virtual_user is not None and virtual_user.user in recipe.template_sets else None,
        )

    def watch(self, virtual_user: VirtualUser | None = None) -> Call | None:
        """Return a call that asks who the session is, where `isolation` says that one is due; None otherwise."""
        if self._whoami is None:
            return None
        self._watched += self._watching
        if self._watched < 1_000_000:
            return None
        self._watched -= 1_000_000
        return self._call(self._whoami, virtual_user)

    @property
    def in_mix(self) -> list[str]:
        """The functions of the mix."""
        return [recipe.name for recipe in self._mix]

    def call_by(self, function: str, virtual_user: VirtualUser | None) -> Call:
        """Return a call of a prepared function by this virtual user, or by another where that one may not call it."""
        recipe = self._recipes[function]
        able = virtual_user is not None and virtual_user.user in recipe.template_sets
        return self._call(recipe, virtual_user if able else None)

    def call(self, function: str, virtual_user: VirtualUser | None = None) -> Call:
        """Return a call of a function that was prepared, by this virtual user or by the next in rotation.

        Raises:
            UsageError: the function was not prepared, or the virtual user may not call it.

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

    def _call(self, recipe: Recipe, virtual_user: VirtualUser | None = None) -> Call:
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
        elif not template.numbered and (known is not None or self._retained_calls < MAX_RETAINED_CALLS):
            self._retained_calls += known is None
            template.calls[virtual_user] = call
        return call

    def _outside(self, recipe: Recipe, virtual_user: VirtualUser | None) -> Call:
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
            # Each request has a signature of its own.
            template = self._builder.template(recipe, self.resources.valid(recipe.method, user))
        else:
            template = template_sets[user].next()
        raw = template.head + b"\r\n" + template.body(self._numbers)
        if recipe.creates:
            self._unanswered[(recipe.name, user)] += 1
        return Call(
            recipe.name, recipe.index, raw, None, recipe.expects, recipe.learn, about=(user, template)
        )

    def _spend(self, recipe: Recipe, virtual_user: VirtualUser | None) -> Call:
        """Return a call that consumes an object of the run; where none is left, one that creates an object."""
        assert recipe.spends is not None
        kind, argument = recipe.spends
        if virtual_user is None:
            for _ in recipe.template_sets:
                virtual_user = recipe.virtual_user()
                if self.stock.spares.get((kind, virtual_user.user)):
                    break
        assert virtual_user is not None
        resource = self.stock.take_spare(kind, virtual_user.user)
        if resource is None:
            self.substituted += 1
            return self._create_instead(recipe, kind, virtual_user)
        template = recipe.template_sets[virtual_user.user].templates[0].data
        sent = {name: resource.sent[name] for name in template if name in resource.sent}
        data = {**template, **sent, argument: resource.id}
        if self.resources.ownership.data(recipe.method, data) is not None:
            self.resources.ownership.count(recipe.name)
            return self._create_instead(recipe, kind, virtual_user)
        body = self.caller.body(recipe.name, data)
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

    def _create_instead(self, recipe: Recipe, kind: str, virtual_user: VirtualUser) -> Call:
        """Return a call that creates an object, in place of one that consumes an object that does not exist."""
        creator = self.catalog.create(kind)
        if creator is None or creator.name not in self._recipes:
            raise SetUpFailedError(f"there is no {kind} left that {recipe.name} could be called for")
        maker = self._recipes[creator.name]
        return self._call(maker, virtual_user if virtual_user.user in maker.template_sets else None)

    def refused(self, call: Call, settle: Callable[[bool], None]) -> None:
        """Handle a call inside a session that was answered 401 (`Source.refused`)."""
        self.virtual_users.refused(call, settle)

    # -- a session had ended -----------------------------------------------------------------------------------

    def _renewed(self, virtual_user: VirtualUser) -> None:
        """Recreate the objects of the run where a session had ended because the target was reset."""
        since = time.perf_counter()
        with self._renewing:
            if self._checked.get(virtual_user.user, -math.inf) > since:
                return  # another renewal has checked it in the meantime
            self.sessions.drop(virtual_user.user)
            standing = self.stock.created_by(virtual_user.user)
            users = [virtual_user.user]
            if standing is not None and self._gone(standing):
                users = list(dict.fromkeys(each.user for each in self.virtual_users.all))
                self._begin_again()
            now = time.perf_counter()
            self._checked.update(dict.fromkeys(users, now))

    def _begin_again(self) -> None:
        """Start again after a reset of the target: the objects of the run and their identifiers are gone."""
        self.sessions.drop()
        self.resources.reset()
        self.created.clear()
        self.stock.clear()
        if self.own_calls is not None:
            self.own_calls.begin_again()
        self._retained_calls = 0
        self.virtual_users.mark(
            "reset",
            "the target was reset: the run's objects were gone, and are made anew",
            time.perf_counter(),
        )
        for recipe in self._recipes.values():
            self._set_up.build_templates(recipe)

    def _gone(self, resource: Resource) -> bool:
        """Return whether the target no longer has an object, as far as a read shows."""
        method = self.catalog.read(resource.kind)
        if method is None or not self.resources.may_call(resource.user, method):
            return False
        data = self.resources.valid(
            method, resource.user, optional="none", **self.resources.acting_on(method, resource)
        )
        return self.resources.call(method, data, resource.user).status in (400, 403, 404)

    def _observe(self, exchange: Exchange) -> None:
        """Learn sessions and objects from the responses to calls of the set-up."""
        self.sessions.learn(exchange)
        method = self.catalog.methods.get(exchange.function or "")
        if method is not None and method.object is not None and method.object.does == "create":
            try:
                sent = json.loads(exchange.request.body).get("data")
            except (ValueError, AttributeError):
                sent = None
            self.resources.learn(exchange, method, sent, exchange.user)

    # -- scenarios ---------------------------------------------------------------------------------------------

    def join(self, functions: Iterable[str] = (), name: str | None = None) -> VirtualUser | None:
        """Return an unused virtual user that may call these functions; None where there are no sessions.

        With `name`, it is this user of the profile.

        Raises:
            SetUpFailedError: no user may call them all, or the virtual user cannot be signed in.

        """
        methods = [self.catalog[each] for each in functions]
        if not self.virtual_users.all:
            return None

        def able(user: str) -> bool:
            if name is not None and user != name:
                return False
            return all(self.resources.may_call(user, method) for method in methods)

        for virtual_user in self.virtual_users.all:
            if virtual_user not in self._joined and able(virtual_user.user):
                self._joined.add(virtual_user)
                return virtual_user
        users = [user for user in dict.fromkeys(m.user for m in self.virtual_users.all) if able(user)]
        if not users:
            who = f"{name} may not" if name is not None else "no user of the profile may"
            raise SetUpFailedError(f"{who} call all of {', '.join(method.name for method in methods)}")
        before = len(self.virtual_users.all)
        self.virtual_users.gather([users[before % len(users)]], 1)
        virtual_user = self.virtual_users.all[-1]
        self._joined.add(virtual_user)
        return virtual_user

    def entered(self, reply: Any, virtual_user: VirtualUser | None) -> VirtualUser | None:
        """Return a virtual user in the session that a login opened for this user; None where it opened none."""
        if reply is None or virtual_user is None:
            return None
        token = token_of(reply, self.profile)
        if token is None:
            return None
        fresh = VirtualUser(virtual_user.number, virtual_user.user, ready=True)
        fresh.enter(token)
        return fresh

    def add_user(self, user: str, secret: str) -> str:
        """Add a user that the profile does not name, so that their session can be renewed; return their name."""
        name = self._names.get(user)
        if name is None:
            name = self._names[user] = user
            self.sessions.add_user(User(name, user, secret))
        return name

    def leave(self, virtual_user: VirtualUser) -> None:
        """Release the virtual user that a user of a scenario was."""
        self._joined.discard(virtual_user)

    # -- the end -----------------------------------------------------------------------------------------------

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
    ) -> list[LeftoverEvent | NoteEvent]:
        """Remove what a process created that is gone; return events for what is left over, and notes.

        `made` and `beyond` are what it reported (`Created.news`). Objects that it did not report are looked for by
        its tag, where the `functions` of the load create such objects. `options` are those of its own constructor.
        """
        work = cls(profile, catalog, **options)
        work.created.take_over(made, beyond)
        methods = [catalog[name] for name in functions if name in catalog]
        roles = {method.auth for method in methods if method.auth in catalog.roles}
        leased = lease(profile, catalog.roles, sorted(r for r in roles if r), work.index, work.of)
        for method in methods:
            if method.object is not None and method.object.does == "create":
                for user in leased.users:
                    if work.resources.may_call(user, method):
                        work.created.unanswered[method.name, user] = 1
        left = work.close(seconds)
        return [*left, *(NoteEvent(text) for text in work.remarks())]

    def rules(self) -> dict[str, list[int]]:
        """Return how often each rule of sessions was judged, and how often it was broken."""
        return (
            {"AUT-11": [self.virtual_users.judged, self.virtual_users.broken]}
            if self.virtual_users.judged
            else {}
        )

    def findings(self) -> list[FindingEvent]:
        """Return the findings about sessions (AUT-11), as events of a check."""
        return self.virtual_users.findings()

    def remarks(self) -> list[str]:
        """Return the remarks for the report about how the load was sent, each once."""
        remarks: dict[str, None] = {}
        for why in dict.fromkeys(why for _, why in self.left_out):
            names = [name for name, because in self.left_out if because == why]
            remarks[f"not in the mix: {', '.join(names)}: {why}"] = None
        remarks |= dict.fromkeys(mark.text for mark in self.virtual_users.marks if mark.kind == "note")
        if (withheld := self.resources.ownership.note()) is not None:
            remarks[withheld] = None
        if self.substituted:
            remarks[
                f"{self.substituted} calls of functions that delete had nothing left to delete: "
                "as many more were of those that create"
            ] = None
        return list(remarks)

    def close(self, seconds: float = 60.0) -> list[LeftoverEvent]:
        """Remove what the run created, and end every session; return the events for what is left over.

        It gives up after so many seconds, or when it is interrupted: what still exists then is left over.
        """
        until = time.monotonic() + seconds
        self.client.be_patient(until)
        left = self.clean_up.run(until)
        self.client.close()
        for each in left:
            each.reason = self.secret_registry.mask(each.reason or "")
        return left

    def news(self) -> dict[str, Any]:
        """Return which objects were created, and which are gone, since the last call (`Created.news`)."""
        return self.created.news()
