"""The objects of a run: created by the target's functions, recorded in a ledger, removed in reverse order.

The catalogue's `x-object` declares which function creates, reads, updates, lists and deletes objects of a kind. Free
text in created objects contains the run's tag, so that a person who finds one knows its origin.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

from conformance.catalog.model import Catalog, Method, refs
from conformance.generation.choices import OptionalMembers
from conformance.generation.errors import CannotGenerate
from conformance.generation.payloads import violations
from conformance.generation.sampler import Sampler
from conformance.generation.violations import Violation
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.resources.ledger import ObjectLedger, Resource
from conformance.resources.permissions import Permissions
from conformance.schema.pointer import MISSING, resolve

__all__ = ["Resource", "Resources"]


class Resources(Permissions, ObjectLedger):
    """Creates valid data and the objects that it refers to.

    `rng` makes every choice, so that the same seed gives the same data. `writable` says whether the target may be
    written to.
    """

    def __init__(
        self,
        caller: Caller,
        sessions: Sessions,
        profile: Profile,
        catalog: Catalog,
        *,
        tag: str,
        rng: random.Random,
        writable: bool,
        fresh: Callable[[], str] | None = None,
    ) -> None:
        """Create the registry; `fresh` returns a text that this run has not used, by default a numbered one."""
        self.caller = caller
        self.sessions = sessions
        Permissions.__init__(self, profile, catalog, writable=writable)
        ObjectLedger.__init__(self, catalog)
        self.tag = tag
        self.rng = rng
        self._counter = itertools.count(1)
        self._fresh = fresh
        self._sampler = Sampler(rng, self.fresh, _nobody)
        self._violations: dict[str, list[Violation]] = {}
        #: By function: values of unknown formats that the target showed (`conformance.resources.shown_values`).
        self.shown_texts: dict[str, set[str]] = {}
        self._found: dict[tuple[str, str], list[Any]] = {}
        self._making: list[str] = []

    # -- data ------------------------------------------------------------------------------------------------

    def fresh(self) -> str:
        """Return a text that this run has not used: the tag and a number."""
        return self._fresh() if self._fresh is not None else f"{self.tag}-{next(self._counter)}"

    def sampler(self, user: str | None, *, avoid: frozenset[str] = frozenset()) -> Sampler:
        """Return a sampler whose identifiers are of objects that the user may use."""

        def refer(kind: str) -> Any:
            if user is None:
                raise SetUpFailedError(f"nobody to find or make a {kind} for")
            return (self.new(kind, user) if kind in avoid else self.any(kind, user)).id

        return self._sampler.bound(self.rng, refer)

    def forget_schemas(self) -> None:
        """Compile the schemas again when they are used next, since the catalogue's examples changed."""
        self._sampler = Sampler(self.rng, self.fresh, _nobody)
        self._violations.clear()

    def violations(self, method: Method) -> list[Violation]:
        """Return the violations of a function's schema, always in the same order (REQ-7, REQ-8, REQ-9)."""
        if method.name not in self._violations:
            self._violations[method.name] = list(violations(method).values())
        return self._violations[method.name]

    def valid(
        self, method: Method, user: str | None, *, optional: OptionalMembers = "all", **fixed: Any
    ) -> dict[str, Any]:
        """Return valid data for a function; the object it acts on is created if necessary.

        `optional` says which optional members are included: "all", "some" or "none".

        Raises:
            SetUpFailedError: there is no object to act on, or the schema cannot be sampled.

        """
        credentials = self._credentials(method, user)
        if credentials is not None:
            return {**credentials, **fixed}
        spent = set(self.spends(method))
        sampler = self.sampler(user, avoid=frozenset(spent))
        data: dict[str, Any] = {}
        own = (
            method.object.id if method.object and method.object.does in ("read", "update", "delete") else None
        )
        if own is not None and own not in fixed:
            assert method.object is not None
            kind = method.object.kind
            if user is None:
                raise SetUpFailedError(f"nobody to find or make a {kind} for")
            try:
                resource = self.new(kind, user) if kind in spent else self.any(kind, user)
                fixed = {own: resource.id, **_shared(method, resource), **fixed}
            except SetUpFailedError:
                param = method.param(own)
                if param is None or param.required:
                    raise
                fixed = {own: OMIT, **fixed}
        for param in method.params:
            if param.name in fixed:
                if fixed[param.name] is not OMIT:
                    data[param.name] = fixed[param.name]
                continue
            if not param.required:
                if self.locks_out(method, param.name):
                    continue
                if optional == "none" or (optional == "some" and self.rng.random() < 0.5):
                    continue
            try:
                data[param.name] = sampler.sample(param.schema, optional=optional)
            except CannotGenerate as error:
                if param.required:
                    raise SetUpFailedError(f"no sample of {method.name} {param.name}: {error}") from error
            except SetUpFailedError:
                if param.required:
                    raise
        if not method.data.valid(data):
            # Optional members may exclude one another; then use the required members alone.
            if optional != "none":
                return self.valid(method, user, optional="none", **fixed)
            raise SetUpFailedError(f"no sample of {method.name} fits its schema")
        return data

    def _credentials(self, method: Method, user: str | None) -> dict[str, Any] | None:
        """Return the data of a correct login if the function is a login of the profile, else None."""
        auth = self.profile.auth
        if auth.key_login is not None and method.name == auth.key_login.function:
            return dict(self.sessions.key_login_data(str(int(time.time() * 1000))))
        if auth.login is not None and method.name == auth.login.function:
            if not self.profile.users:
                raise SetUpFailedError("the profile has no users ([users.NAME])")
            return dict(self.sessions.credentials(user or next(iter(self.profile.users))))
        return None

    def breakable(self, method: Method, user: str | None) -> dict[str, Any]:
        """Return data to make invalid in one place: it is valid, except for placeholders in unknown formats.

        Raises:
            SetUpFailedError: as `valid` does, for any other reason.

        """
        try:
            return self.valid(method, user)
        except SetUpFailedError as error:
            if not isinstance(error.__cause__, CannotGenerate) or error.__cause__.keyword != "format":
                raise
        fixed: dict[str, Any] = {}
        sampler = self.sampler(user)
        for param in method.params:
            if param.required and not refs(param.schema):
                sampler.placeholders = False
                try:
                    sampler.sample(param.schema)
                except CannotGenerate:
                    sampler.placeholders = True
                    fixed[param.name] = sampler.sample(param.schema)
        return self.valid(method, user, optional="none", **fixed)

    # -- objects ---------------------------------------------------------------------------------------------

    def creator(self, kind: str, user: str) -> Method | None:
        """Return the function by which this user can create objects of a kind, or None."""
        method = self.catalog.create(kind)
        if method is None or not self.writable or not self.may_call(user, method):
            return None
        return method

    def new(self, kind: str, user: str, *, optional: OptionalMembers = "all", **fixed: Any) -> Resource:
        """Create an object of a kind as this user; find one if it cannot be created.

        Raises:
            SetUpFailedError: it can be neither created nor found.

        """
        method = self.creator(kind, user)
        if method is None:
            return self._find(kind, user)
        if kind in self._making:
            raise SetUpFailedError(f"a {kind} needs another {kind} before it can be made")
        self._making.append(kind)
        try:
            # A function with rules beyond the schema may refuse valid data, so other data is tried.
            choices: list[OptionalMembers] = [optional, "none"]
            choices += ["none"] * (4 if method.beyond_schema else 0)
            for choice in choices:
                data = self.valid(method, user, optional=choice, **fixed)
                exchange = self.call(method, data, user)
                if exchange.status != 400:
                    break
        finally:
            self._making.pop()
        resource = self.learn(exchange, method, data, user)
        if resource is None:
            raise SetUpFailedError(
                f"could not make a {kind} to test with: {method.name} gave {exchange.summary()}"
                + (
                    f", with no identifier at {method.object.id}"
                    if exchange.status == 200 and method.object
                    else ""
                ),
                exchange,
            )
        return resource

    def any(self, kind: str, user: str) -> Resource:
        """Return an object of a kind that this user may use: a shared one, else a new one, else one found."""
        with self._lock:
            resource = self._standing.get((kind, user))
            if resource is None or resource.gone:
                resource = self._standing[(kind, user)] = self.new(kind, user)
            return resource

    def _find(self, kind: str, user: str) -> Resource:
        """Find an object of a kind in a list that this user may call."""
        rows = self._found.get((kind, user))
        if rows is None:
            rows = []
            for method in self.catalog.lists(kind):
                if not self.may_call(user, method) or method.object is None:
                    continue
                if kind in self._making:
                    continue
                self._making.append(kind)
                try:
                    data = self.valid(method, user, optional="none")
                finally:
                    self._making.pop()
                exchange = self.call(method, data, user)
                rows += [
                    resolve(row, method.object.id)
                    for row in self.rows(method, exchange)
                    if resolve(row, method.object.id) is not MISSING
                ]
            self._found[(kind, user)] = rows
            if not any(self.creator(kind, name) for name in self.profile.users):
                for identifier in rows[:1]:
                    self.ownership.found(kind, identifier)
        if not rows:
            raise SetUpFailedError(f"there is no {kind} that {user} could use, and no function to make one")
        return Resource(kind, rows[0], user, made=False)

    def finder(self, kind: str, identifier: Any) -> str | None:
        """Return the user in whose list an object was found that the run did not make, or None."""
        found = (user for (name, user), rows in self._found.items() if name == kind and identifier in rows)
        return next(found, None)

    def rows(self, method: Method, exchange: Exchange) -> list[Any]:
        """Return the rows in the response of a list function; an empty list if there are none."""
        if exchange.status != 200 or not isinstance(exchange.envelope, dict):
            return []
        pointer = method.rows if method.rows is not None else ""
        rows = resolve(exchange.data, pointer)
        return rows if isinstance(rows, list) else []

    def call(self, method: Method, data: Any, user: str | None, **options: Any) -> Exchange:
        """Call a function in the main session of a user."""
        token = self.sessions.of(user).token if user is not None else None
        return self.caller.call(method, data, user=user, token=token, **options)

    # -- the end ---------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget every object after a reset of the target's data: the identifiers are no longer valid."""
        with self._lock:
            super().reset()
            self._found.clear()

    def remove(self, resource: Resource) -> str | None:
        """Delete an object; return None, or the reason why it failed."""
        method = self.catalog.delete(resource.kind)
        if method is None or method.object is None:
            return "the catalogue has no function that deletes it"
        users = [user for user in (resource.user, *self.profile.users) if self.may_call(user, method)]
        why = "no user of the profile may delete it"
        for user in dict.fromkeys(users[:3]):
            try:
                data = self.valid(method, user, optional="none", **self.acting_on(method, resource))
                exchange = self.call(method, data, user)
            except SetUpFailedError as error:
                why = error.reason
                continue
            if exchange.status == 200 or exchange.status == 404:
                self.forget(resource.kind, resource.id)
                return None
            why = f"{method.name} gave {exchange.summary()}"
        return why

    @staticmethod
    def acting_on(method: Method, resource: Resource) -> dict[str, Any]:
        """Return the members of a function's data that identify the object to act on, and its parents."""
        assert method.object is not None
        return {method.object.id: resource.id, **_shared(method, resource)}


def _nobody(kind: str) -> Any:
    raise SetUpFailedError(f"nobody to find or make a {kind} for")


def _shared(method: Method, resource: Resource) -> dict[str, Any]:
    """Return the members that an object was created with and that a function requires by the same name."""
    own = method.object.id if method.object else None
    return {
        param.name: resource.sent[param.name]
        for param in method.params
        if param.required and param.ref and param.name != own and param.name in resource.sent
    }
