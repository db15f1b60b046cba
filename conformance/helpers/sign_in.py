"""Login by key, in headers and in data (AUT-16)."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.not_judged import LINES
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import KeyLogin
from conformance.protocol.session import Session, SetUpFailedError

__all__ = [
    "CHANNELS",
    "KEY_VALUES",
    "KeyChannel",
    "harmless_check",
    "key_channels",
    "mac",
    "need_key",
    "send_key",
]

#: The four values of a key login. The first three are signed in this order.
KEY_VALUES = ("apikey", "time", "random", "hmac")

#: Where the values may be sent.
CHANNELS = ("headers", "data")


def need_key(ctx: TestContext) -> KeyLogin:
    """Return the key login of the profile.

    Raises:
        NotJudgedError: it names none, or the target may not be written to.

    """
    key = ctx.profile.auth.key_login
    if key is None:
        ctx.give_up("the profile names no key login", LINES["key"])
    ctx.need_writing()
    return key


def mac(private: str, message: str) -> str:
    """Return the signature of a message: HMAC-SHA1 in hex."""
    return hmac.new(private.encode(), message.encode(), hashlib.sha1).hexdigest()


def send_key(ctx: TestContext, values: dict[str, Any], channel: str, **options: Any) -> tuple[Exchange, Any]:
    """Send a key login with these values in headers or in data; return the exchange and the session value."""
    key = need_key(ctx)
    if channel == "headers":
        named = [(f"X-Coursio-{name}", str(value)) for name, value in values.items()]
        options["headers"] = [*options.get("headers", ()), *named]
        exchange = ctx.caller.call(key.function, **options)
    else:
        exchange = ctx.caller.call(key.function, values, **options)
    return exchange, ctx.sessions.session_value(exchange)


@dataclass(frozen=True)
class KeyChannel:
    """A key login through one channel. It needs no user of the profile."""

    ctx: TestContext
    channel: str

    def attempt(self, *, claim: dict[str, Any] | None = None, **options: Any) -> tuple[Exchange, Any]:
        """Sign in with valid values: the current time and a random text that was not used before.

        The members of `claim` are sent, too: in data, or beside it where the values are sent in headers.
        """
        values: dict[str, Any] = dict(self.ctx.sessions.key_login_data(str(int(time.time() * 1000))))
        if claim and self.channel == "data":
            values |= {name: value for name, value in claim.items() if name not in values}
        elif claim:
            options["extra"] = claim
        return send_key(self.ctx, values, self.channel, **options)

    def sign_in(self) -> Session:
        """Sign in and return the session. The profile does not say whose session it is.

        Raises:
            SetUpFailedError: the login is refused (judged by AUT-16), or returns no session.

        """
        exchange, token = self.attempt()
        if exchange.status != 200 or not isinstance(token, str) or not token:
            raise SetUpFailedError(f"could not sign in with the key: {exchange.summary()}", exchange)
        return self.ctx.sessions.known(token) or Session("", token)


def key_channels(ctx: TestContext) -> Iterator[KeyChannel]:
    """Yield the channels by which a key login works.

    Raises:
        NotJudgedError: the profile names no key login, or none works.

    """
    need_key(ctx)
    worked = False
    for channel in CHANNELS:
        found = KeyChannel(ctx, channel)
        try:
            ctx.sessions.end(found.sign_in())
        except SetUpFailedError:
            continue
        worked = True
        yield found
    if not worked:
        ctx.give_up("no login with the key succeeds, which AUT-16 judges")


def harmless_check(ctx: TestContext) -> Callable[[str], Exchange]:
    """Return a call that shows whether a token is a valid session, whoever its user is.

    Raises:
        NotJudgedError: no such function is known.

    """
    whoami = ctx.profile.auth.whoami
    found: Method | str | None = whoami.function if whoami is not None else None
    if found is None:
        found = next(
            (
                method
                for method in ctx.catalog.methods.values()
                if method.auth == "session"
                and method.effect == "read"
                and not any(param.required for param in method.params)
            ),
            None,
        )
    if found is None:
        ctx.give_up("no function is known that needs a session and changes nothing", LINES["whoami"])
    function = found
    return lambda token: ctx.call(function, {}, token=token)
