"""Signing users in: one login for each user however many ask (single flight), and every session accounted for."""

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
from conformance.protocol.reach import asked_for
from conformance.schema.pointer import MISSING, resolve

__all__ = ["Session", "Sessions", "SetUpFailedError", "sign"]


#: The share of its lifetime at which a session is renewed.
RENEWED_AT = 0.5


class SetUpFailedError(Exception):
    """The suite could not prepare what a rule is judged with; that is no verdict on the rule."""

    def __init__(self, reason: str, exchange: Exchange | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exchange = exchange


@dataclass(eq=False)
class Session:
    """A session of a user of the profile: `token` goes into the header `Token`."""

    user: str
    token: str
    open: bool = True
    #: The moment of `time.monotonic` at which it was begun.
    begun: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """How many seconds ago it was begun."""
        return time.monotonic() - self.begun


class Sessions:
    """Signs users of the profile in and out.

    Each user has one main session, made when it is first asked for and kept; `sign_in` gives one apart.
    """

    def __init__(self, caller: Caller, profile: Profile) -> None:
        self.caller = caller
        self.profile = profile
        self._main: dict[str, Session] = {}
        self._locks: dict[str, threading.Lock] = {name: threading.Lock() for name in profile.users}
        self._open: dict[str, Session] = {}
        self._nonces = 0
        #: The age in seconds after which the target ends sessions, where that is known.
        self.lifetime: float | None = None

    @property
    def login(self) -> Login:
        """How users sign in.

        Raises:
            SetUpFailedError: the profile names no login function.

        """
        if self.profile.auth.login is None:
            raise SetUpFailedError("the profile names no login function ([auth] login)")
        return self.profile.auth.login

    def credentials(self, user: str) -> dict[str, Any]:
        """Return the data of a right login of a user."""
        who: User = self.profile.users[user]
        return {self.login.user: who.user, self.login.secret: who.secret}

    def attempt(
        self, data: Any, *, user: str | None = None, token: str | None = None, **options: Any
    ) -> tuple[Exchange, Any]:
        """Send a login with this data; return the exchange and what stands at the session's pointer (or MISSING)."""
        exchange = self.caller.call(self.login.function, data, user=user, token=token, **options)
        return exchange, self.found(exchange)

    def signed(self, moment: str) -> dict[str, str]:
        """Return the four values of a right key login at that time, with a random text of its own.

        Raises:
            SetUpFailedError: the profile names no key login.

        """
        key = self.profile.auth.key_login
        if key is None:
            raise SetUpFailedError("the profile names no key login ([auth] key_login)")
        self._nonces += 1
        return dict(sign(key, moment, f"{time.time_ns():x}{self._nonces:x}"))

    def found(self, exchange: Exchange) -> Any:
        """Return what stands at the session's pointer in a login's answer, or MISSING."""
        if not isinstance(exchange.envelope, dict):
            return MISSING
        return resolve(exchange.data, self.profile.auth.session)

    def learn(self, exchange: Exchange) -> None:
        """Take note of a session that a login gave, or that a logout ended, whatever the call was sent for.

        It has to be called before the exchange is recorded: from then on the identifier is masked.
        """
        if exchange.login:
            token = self.found(exchange)
            if isinstance(token, str) and token:
                owner = exchange.user or self._whose(exchange)
                self.caller.client.secret_registry.session(token, owner)
                self._open.setdefault(token, Session(owner or "", token))
        elif exchange.status == 200 and exchange.function == self.profile.auth.logout:
            token = exchange.request.header("Token")
            if token is not None and (session := self._open.pop(token, None)) is not None:
                session.open = False

    def _whose(self, exchange: Exchange) -> str | None:
        """Return the user of the profile whose credentials a login was sent with."""
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
        """Sign a user in anew, beside every other session.

        Raises:
            SetUpFailedError: the login is refused, or gives no session.

        """
        exchange, value = self.attempt(self.credentials(user), user=user)
        if exchange.status != 200 or not isinstance(value, str) or not value:
            raise SetUpFailedError(
                f"could not sign in as {user}: {self.login.function} gave {exchange.summary()}{asked_for(exchange)}"
                + (f", with no session at {self.profile.auth.session}" if exchange.status == 200 else ""),
                exchange,
            )
        return self._open.setdefault(value, Session(user, value))

    def of(self, user: str) -> Session:
        """Return the main session of a user, signing in when there is none."""
        with self._locks[user]:
            session = self._main.get(user)
            if session is None or not session.open or self._ageing(session):
                session = self._main[user] = self.sign_in(user)
                self.caller.client.secret_registry.session(session.token, user, lasting=True)
            return session

    def _ageing(self, session: Session) -> bool:
        return self.lifetime is not None and session.age > self.lifetime * RENEWED_AT

    def oldest(self, user: str) -> Session:
        """Return the session of a user that was begun before all others that are open, signing in when there is none.

        Whether the target still knows it is not known.

        Raises:
            SetUpFailedError: the login is refused, or gives no session.

        """
        return next((session for session in self._open.values() if session.user == user), None) or self.of(
            user
        )

    def known(self, token: str) -> Session | None:
        """Return the open session of that identifier, or None."""
        return self._open.get(token)

    def mains(self) -> list[Session]:
        """Return the main sessions there are."""
        return list(self._main.values())

    def drop(self, user: str | None = None) -> None:
        """Forget the main session of a user, or of all, so that the next call signs in anew."""
        for name in [user] if user else list(self._main):
            self._main.pop(name, None)

    def end(self, session: Session) -> Exchange | None:
        """Log a session out; None where the profile names no logout."""
        session.open = False
        self._open.pop(session.token, None)
        if self.profile.auth.logout is None:
            return None
        return self.caller.call(self.profile.auth.logout, user=session.user or None, token=session.token)

    def forget(self, token: str) -> None:
        """Strike a session off: the target has ended it, so that there is nothing to log out."""
        session = self._open.pop(token, None)
        if session is not None:
            session.open = False

    def end_all(self, at_once: int = 1) -> None:
        """Log every session out that is still open, several at once where asked to."""
        still = list(reversed(self._open.values()))
        if at_once > 1 and len(still) > 1 and self.profile.auth.logout is not None:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(self.end, still))
        else:
            for session in still:
                self.end(session)
        self._main.clear()


def sign(key: KeyLogin, moment: str, random: str) -> Mapping[str, str]:
    """Return the four values of a key login (protocol, section 1): apikey, time, random, hmac."""
    message = f"{key.public}{moment}{random}".encode()
    digest = hmac.new(key.private.encode(), message, hashlib.sha1).hexdigest()
    return {"apikey": key.public, "time": moment, "random": random, "hmac": digest}
