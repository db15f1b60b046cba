"""Signing users in: one login for each user however many ask (single flight), and every session accounted for."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.protocol.caller import Caller
from conformance.protocol.exchange import Exchange
from conformance.protocol.pointer import MISSING, resolve
from conformance.protocol.profile import KeyLogin, Login, Profile, User

__all__ = ["SetUpFailedError", "Session", "Sessions", "sign"]


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


class Sessions:
    """Signs users of the profile in and out.

    Each user has one main session, made when it is first asked for and kept; `sign_in` gives one apart.
    """

    def __init__(self, caller: Caller, profile: Profile) -> None:
        self.caller = caller
        self.profile = profile
        self._main: dict[str, Session] = {}
        self._locks: dict[str, threading.Lock] = {name: threading.Lock() for name in profile.users}
        self._open: list[Session] = []

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
        exchange = self.caller.call(self.login.function, data, user=user, token=token, login=True, **options)
        return exchange, self.found(exchange, user)

    def found(self, exchange: Exchange, user: str | None) -> Any:
        """Return what stands at the session's pointer in a login's answer, and mask it from now on."""
        if exchange.response is None or not isinstance(exchange.envelope, dict):
            return MISSING
        value = resolve(exchange.data, self.profile.auth.session)
        if isinstance(value, str) and value:
            self.caller.client.vault.session(value, user)
        return value

    def sign_in(self, user: str) -> Session:
        """Sign a user in anew, beside every other session.

        Raises:
            SetUpFailedError: the login is refused, or gives no session.

        """
        exchange, value = self.attempt(self.credentials(user), user=user)
        if exchange.status != 200 or not isinstance(value, str) or not value:
            raise SetUpFailedError(
                f"could not sign in as {user}: {self.login.function} gave {exchange.summary()}"
                + (f", with no session at {self.profile.auth.session}" if exchange.status == 200 else ""),
                exchange,
            )
        return self.adopt(user, value)

    def adopt(self, user: str, token: str) -> Session:
        """Take a session into the account, so that it is ended with the run."""
        session = Session(user, token)
        self._open.append(session)
        return session

    def of(self, user: str) -> Session:
        """Return the main session of a user, signing in when there is none."""
        with self._locks[user]:
            session = self._main.get(user)
            if session is None or not session.open:
                session = self._main[user] = self.sign_in(user)
                self.caller.client.vault.session(session.token, user, lasting=True)
            return session

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
        if session in self._open:
            self._open.remove(session)
        if self.profile.auth.logout is None:
            return None
        return self.caller.call(self.profile.auth.logout, user=session.user, token=session.token)

    def end_all(self) -> None:
        """Log every session out that is still open."""
        for session in reversed(self._open.copy()):
            self.end(session)
        self._main.clear()


def sign(key: KeyLogin, time: str, random: str) -> Mapping[str, str]:
    """Return the four values of a key login (protocol, section 1): apikey, time, random, hmac."""
    message = f"{key.public}{time}{random}".encode()
    digest = hmac.new(key.private.encode(), message, hashlib.sha1).hexdigest()
    return {"apikey": key.public, "time": time, "random": random, "hmac": digest}
