"""Access of a test to the target: who may call what, valid data, and calls."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from conformance.catalog.model import DOCUMENTED, Method
from conformance.engine.not_judged import LINES, NotJudgedError
from conformance.generation.choices import OptionalMembers
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Session, SetUpFailedError

if TYPE_CHECKING:
    from conformance.engine.runner import Run

__all__ = ["TargetAccess"]


class TargetAccess:
    """The target as a test sees it: its users, its functions, and calls of them."""

    def __init__(self, run: Run, rng: random.Random) -> None:
        self.run = run
        self.rng = rng
        self.profile = run.profile
        self.catalog = run.catalog
        self.resources = run.resources
        self.sessions = run.sessions
        self.caller = run.caller
        self.client = run.client
        self.secret_registry = run.secret_registry

    # -- users -------------------------------------------------------------------------------------------------

    def need_users(self, count: int = 1) -> list[str]:
        """Return the profile's users; there must be so many, and a way to sign in.

        Raises:
            NotJudgedError: there are not.

        """
        if self.profile.auth.login is None:
            raise NotJudgedError("the profile does not say how to sign in", LINES["login"])
        users = list(self.profile.users)
        if not users:
            raise NotJudgedError("the profile has no users", LINES["user"])
        if len(users) < count:
            raise NotJudgedError(
                f"the profile has {len(users)} of {count} users that are needed", LINES["peer"]
            )
        return users

    def need_writing(self) -> None:
        """Make sure that the target may be written to.

        Raises:
            NotJudgedError: it may not.

        """
        if self.run.options.read_only:
            raise NotJudgedError("left out by --read-only")
        if not self.run.writable:
            raise NotJudgedError("only a test environment is written to", LINES["test"])

    def who(self, method: Method) -> str | None:
        """Return a user who may call a function; None for a public function of a profile without users.

        Raises:
            NotJudgedError: no user of the profile may.

        """
        if method.auth == "none" and (not self.profile.users or self.profile.auth.login is None):
            return None
        self.need_users()
        users = self.resources.callers(method)
        if not users:
            raise NotJudgedError(
                f"no user of the profile has the role {method.auth!r}",
                f'[users.{method.auth}]\nuser = "…"\nsecret = "${{…}}"\nroles = ["{method.auth}"]',
            )
        return users[0]

    def somebody(self, method: Method | None = None) -> str | None:
        """Return a user to be signed in as, one who may call the function where there is one; None without users."""
        if not self.profile.users or self.profile.auth.login is None:
            return None
        users = self.resources.callers(method) if method is not None else []
        return users[0] if users else next(iter(self.profile.users))

    def guess(self) -> str | None:
        """Return an endpoint that the target shows to have: one of the documentation's own, for want of a catalogue."""
        if self.run.guessed is None:
            self.run.guessed = ""
            for name in DOCUMENTED:
                shown = self.caller.call(name, {}, in_session=False)
                if shown.status in (200, 400, 401, 403):
                    self.run.guessed = name.partition(".")[0]
                    break
        return self.run.guessed or None

    def endpoint(self) -> str:
        """Return an endpoint that the target has.

        Raises:
            NotJudgedError: none is known.

        """
        found = self.guess()
        if found is None:
            raise NotJudgedError("no endpoint of the target is known", LINES["catalog"])
        return found

    def unknown_name(self) -> str:
        """Return a name in camelCase that no function or endpoint has."""
        letters = "".join(self.rng.choice("bcdfghklmnprstvz") for _ in range(7))
        return f"vanished{letters.capitalize()}"

    def pairs(self) -> list[tuple[str, str]]:
        """Return pairs (owner, stranger) in which the stranger has no right that the owner lacks, best pairs first.

        Raises:
            NotJudgedError: there is no such pair.

        """
        users = self.need_users(2)
        resources = self.resources
        pairs = [
            (owner, stranger)
            for owner in users
            for stranger in users
            if owner != stranger
            and self.profile.users[owner].user != self.profile.users[stranger].user
            and resources.privileges(stranger) <= resources.privileges(owner)
        ]
        if not pairs:
            raise NotJudgedError("no two users of which one has no right that the other lacks", LINES["peer"])
        return sorted(
            pairs, key=lambda pair: len(resources.privileges(pair[0]) - resources.privileges(pair[1]))
        )

    # -- calls -------------------------------------------------------------------------------------------------

    def valid(
        self, method: Method, user: str | None, *, optional: OptionalMembers = "all", **fixed: Any
    ) -> dict[str, Any]:
        """Return data that the function's schema allows, on objects of that user."""
        return self.resources.valid(method, user, optional=optional, **fixed)

    def data_for(self, method: Method, user: str | None) -> dict[str, Any]:
        """Return valid data, or as much of it as can be had without objects to act on."""
        try:
            return self.valid(method, user)
        except SetUpFailedError:
            return {}

    def call(
        self, function: Method | str, data: Any = OMIT, *, as_: str | None = None, **options: Any
    ) -> Exchange:
        """Call a function, in the main session of a user where one is named, else without a session."""
        if as_ is not None and "token" not in options:
            options["token"] = self.sessions.of(as_).token
        return self.caller.call(function, data, user=as_, **options)

    def safe(self, function: Method, data: Any) -> bool:
        """Return whether data may be sent to a function: no reading of it names an object that the run did not make."""
        return self.run.ownership.data(function, data) is None

    def must(self, exchange: Exchange, what: str) -> Exchange:
        """Return the exchange if the call succeeded.

        Raises:
            SetUpFailedError: it did not; `what` says what it was for.

        """
        if exchange.status != 200:
            raise SetUpFailedError(f"{what}: {exchange.function} gave {exchange.summary()}", exchange)
        return exchange

    def witness(self, exchange: Exchange) -> Exchange:
        """Return the exchange of a look at what other calls did, if it shows any of it.

        Raises:
            SetUpFailedError: there is no answer, or one of 5xx, which COD-8 judges.

        """
        if exchange.status is None or exchange.status >= 500:
            raise SetUpFailedError(f"could not look: {exchange.function} gave {exchange.summary()}", exchange)
        return exchange

    def session(self, user: str) -> Session:
        """Sign a user in anew."""
        return self.sessions.sign_in(user)
