"""Sessions: one login per user however many threads ask (single flight), and a log of every open session."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from conformance.protocol.caller import Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import KeyLogin, Login, Profile, User
from conformance.protocol.reach import authorization_hint
from conformance.schema.pointer import MISSING, resolve

__all__ = ["Session", "Sessions", "SetUpFailedError", "sign"]


#: The share of its lifetime at which a session is renewed.
RENEWAL_SHARE = 0.5


class SetUpFailedError(Exception):
    """The suite could not prepare what a test needs; this is not a verdict on the rule."""

    def __init__(self, reason: str, exchange: Exchange | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exchange = exchange


@dataclass(eq=False)
class Session:
    """A session of a user of the profile; `token` is the value of the header `Token`."""

    user: str
    token: str
    open: bool = True
    #: The time of `time.monotonic` at which it began.
    begun: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """The seconds since the session began."""
        return time.monotonic() - self.begun


class Sessions:
    """Signs users of the profile in and out.

    Each user has one main session, which is created at the first request for it and reused; `sign_in` creates a
    further one.
    """

    def __init__(self, caller: Caller, profile: Profile) -> None:
        self.caller = caller
        self.profile = profile
        self._main: dict[str, Session] = {}
        self._locks: dict[str, threading.Lock] = {name: threading.Lock() for name in profile.users}
        self._open: dict[str, Session] = {}
        self._nonces = 0
        #: The age in seconds at which the target ends sessions, if it is known.
        self.lifetime: float | None = None

    @property
    def login(self) -> Login:
        """The login function of the profile.

        Raises:
            SetUpFailedError: the profile names no login function.

        """
        if self.profile.auth.login is None:
            raise SetUpFailedError("the profile names no login function ([auth] login)")
        return self.profile.auth.login

    def add_user(self, user: User) -> None:
        """Add a user that the profile does not name, to be signed in like the others."""
        users = self.profile.users
        assert isinstance(users, dict)
        users[user.name] = user
        self._locks[user.name] = threading.Lock()

    def credentials(self, user: str) -> dict[str, Any]:
        """Return the data of a correct login of a user."""
        who: User = self.profile.users[user]
        return {self.login.user: who.user, self.login.secret: who.secret}

    def attempt(
        self, data: Any, *, user: str | None = None, token: str | None = None, **options: Any
    ) -> tuple[Exchange, Any]:
        """Send a login with this data; return the exchange and the value at the session's pointer (or MISSING)."""
        exchange = self.caller.call(self.login.function, data, user=user, token=token, **options)
        return exchange, self.session_value(exchange)

    def key_login_data(self, moment: str) -> dict[str, str]:
        """Return the data of a correct key login at that time, with a new random text.

        Raises:
            SetUpFailedError: the profile names no key login.

        """
        key = self.profile.auth.key_login
        if key is None:
            raise SetUpFailedError("the profile names no key login ([auth] key_login)")
        self._nonces += 1
        return dict(sign(key, moment, f"{time.time_ns():x}{self._nonces:x}"))

    def session_value(self, exchange: Exchange) -> Any:
        """Return the value at the session's pointer in the response to a login, or MISSING."""
        if not isinstance(exchange.envelope, dict):
            return MISSING
        return resolve(exchange.data, self.profile.auth.session)

    def learn(self, exchange: Exchange) -> None:
        """Register a session that a login created, or that a logout ended, for any call.

        Call it before the exchange is recorded, since the identifier is masked only after that.
        """
        if exchange.login:
            token = self.session_value(exchange)
            if isinstance(token, str) and token:
                owner = exchange.user or self._user_of_login(exchange)
                self.caller.client.secret_registry.session(token, owner)
                self._open.setdefault(token, Session(owner or "", token))
        elif exchange.status == 200 and exchange.function == self.profile.auth.logout:
            token = exchange.request.header("Token")
            if token is not None and (session := self._open.pop(token, None)) is not None:
                session.open = False

    def _user_of_login(self, exchange: Exchange) -> str | None:
        """Return the user of the profile whose credentials a login contains, or None."""
        try:
            data = json.loads(exchange.request.body).get("data")
        except (ValueError, AttributeError, RecursionError):
            return None
        login = self.profile.auth.login
        if login is None or not isinstance(data, dict):
            return None
        name = data.get(login.user)
        return next((user.name for user in self.profile.users.values() if user.user == name), None)

    def sign_in(self, user: str) -> Session:
        """Create a further session of a user.

        Raises:
            SetUpFailedError: the login is refused, or returns no session.

        """
        exchange, value = self.attempt(self.credentials(user), user=user)
        if exchange.status != 200 or not isinstance(value, str) or not value:
            outcome = f"{exchange.summary()}{authorization_hint(exchange)}"
            raise SetUpFailedError(
                f"could not sign in as {user}: {self.login.function} gave {outcome}"
                + (f", with no session at {self.profile.auth.session}" if exchange.status == 200 else ""),
                exchange,
            )
        return self._open.setdefault(value, Session(user, value))

    def of(self, user: str) -> Session:
        """Return the main session of a user; sign in if there is none."""
        with self._locks[user]:
            session = self._main.get(user)
            if session is None or not session.open or self._must_renew(session):
                session = self._main[user] = self.sign_in(user)
                self.caller.client.secret_registry.session(session.token, user, lasting=True)
            return session

    def _must_renew(self, session: Session) -> bool:
        """Return whether the target may soon end a session because of its age."""
        return self.lifetime is not None and session.age > self.lifetime * RENEWAL_SHARE

    def oldest(self, user: str) -> Session:
        """Return the oldest open session of a user; sign in if there is none.

        The target may have ended it in the meantime.

        Raises:
            SetUpFailedError: the login is refused, or returns no session.

        """
        return next((session for session in self._open.values() if session.user == user), None) or self.of(
            user
        )

    def known(self, token: str) -> Session | None:
        """Return the open session with this identifier, or None."""
        return self._open.get(token)

    def mains(self) -> list[Session]:
        """Return all main sessions."""
        return list(self._main.values())

    def drop(self, user: str | None = None) -> None:
        """Drop the main session of a user, or of all users, so that the next call signs in again."""
        for name in [user] if user else list(self._main):
            self._main.pop(name, None)

    def end(self, session: Session) -> Exchange | None:
        """Log a session out; return None if the profile names no logout."""
        session.open = False
        self._open.pop(session.token, None)
        if self.profile.auth.logout is None:
            return None
        return self.caller.call(self.profile.auth.logout, user=session.user or None, token=session.token)

    def forget(self, token: str) -> None:
        """Drop a session that the target has ended, so that it is not logged out."""
        session = self._open.pop(token, None)
        if session is not None:
            session.open = False

    def end_all(self, at_once: int = 1) -> None:
        """Log out every open session, up to `at_once` at a time."""
        open_sessions = list(reversed(self._open.values()))
        if at_once > 1 and len(open_sessions) > 1 and self.profile.auth.logout is not None:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(self.end, open_sessions))
        else:
            for session in open_sessions:
                self.end(session)
        self._main.clear()


def sign(key: KeyLogin, moment: str, random: str) -> Mapping[str, str]:
    """Return the four values of a key login (protocol, section 1): apikey, time, random, hmac."""
    message = f"{key.public}{moment}{random}".encode()
    digest = hmac.new(key.private.encode(), message, hashlib.sha1).hexdigest()
    return {"apikey": key.public, "time": moment, "random": random, "hmac": digest}
