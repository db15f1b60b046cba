"""Probes of an endpoint itself: which user sends them, and which responses of a guarded endpoint are right.

Many frameworks check the session, and the role, before they read the body or look for the function. A probe whose body
names no published function therefore carries the session of a user who may call a function of the endpoint.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.not_judged import LINES, NotJudgedError
from conformance.protocol.caller import OMIT
from conformance.protocol.client import compact
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError

#: Functions of an endpoint that are called to see whether all refuse a user.
_MAX_CONTROLS = 3

__all__ = ["callable_function", "prober", "probing_status", "send_probe", "valid_call"]


def prober(ctx: TestContext, endpoint: str) -> str | None:
    """Return the user who may call most functions of an endpoint; None where no user can sign in.

    An endpoint that is not in the catalogue is probed by any user.

    Raises:
        NotJudgedError: users can sign in, but none may call a function of this endpoint.

    """
    if not ctx.profile.users or ctx.profile.auth.login is None:
        return None
    functions = [method for method in ctx.catalog if method.entity == endpoint]
    if not functions:
        return ctx.somebody()
    counts = {
        user: sum(
            method.auth in ("none", None) or ctx.resources.may_call(user, method) for method in functions
        )
        for user in ctx.profile.users
    }
    best = max(counts, key=lambda user: counts[user])
    if not counts[best]:
        roles = sorted({str(method.auth) for method in functions})
        raise NotJudgedError(
            f"no user of the profile may call a function of the endpoint {endpoint} "
            f"(it needs the role {' or '.join(roles)})",
            f'[users.{roles[0]}]\nuser = "…"\nsecret = "${{…}}"\nroles = ["{roles[0]}"]',
        )
    return best


def callable_function(ctx: TestContext, endpoint: str, *, session: bool = True) -> tuple[Method, str | None]:
    """Return a harmless function of an endpoint, preferably a read, and a user who may call it.

    Without `session`, functions that begin or end a session are left out.

    Raises:
        NotJudgedError: there is none.

    """
    methods = [method for method in ctx.catalog.methods.values() if method.entity == endpoint]
    methods.sort(key=lambda method: (method.effect != "read", any(param.required for param in method.params)))
    for method in methods:
        if not ctx.resources.harmless(method) or method.effect == "delete":
            continue
        if not session and (method.name in ctx.caller.logins or method.name == ctx.profile.auth.logout):
            continue
        try:
            return method, ctx.who(method)
        except NotJudgedError:
            continue
    raise NotJudgedError(
        f"no function of {endpoint or 'any endpoint'} can be called by a user of the profile"
    )


def may_be_guarded(ctx: TestContext) -> bool:
    """Return whether a target may require a session for every request that names no public function."""
    return not len(ctx.catalog) or any(method.auth != "none" for method in ctx.catalog)


def send_probe(ctx: TestContext, endpoint: str, body: bytes | None = None, **options: Any) -> Exchange:
    """Send a probe to an endpoint, as the user that `prober` gives: a body, or a call of `function` with `data`.

    Raises:
        NotJudgedError: no user may call a function of this endpoint.

    """
    user = prober(ctx, endpoint)
    token = ctx.sessions.of(user).token if user else None
    name = f"{endpoint}.{options.pop('function', '')}"
    data = options.pop("data", OMIT)
    if body is not None:
        options["body"] = body
    return ctx.caller.call(name, data, user=user, token=token, **options)


def valid_call(ctx: TestContext, endpoint: str) -> tuple[bytes, str, Callable[..., Exchange]]:
    """Return the body of a valid call to an endpoint, its function's name, and a function that sends another body.

    The call is one of a harmless function, preferably a read, in the session of a user who may call it. Where there is
    none, it names no function of the endpoint, so that a target that reads it answers 404.
    """
    try:
        method, user = callable_function(ctx, endpoint, session=False)
        data = ctx.valid(method, user, optional="none")
    except (NotJudgedError, SetUpFailedError):
        name = ctx.unknown_name()
        body = compact({"method": name, "data": {}})
        return body, name, functools.partial(send_probe, ctx, endpoint)

    def ask(body: bytes, **options: Any) -> Exchange:
        return ctx.call(method, as_=user, body=body, **options)

    return compact({"method": method.function, "data": data}), method.function, ask


def probing_status(
    ctx: TestContext, rule: str, exchange: Exchange, accepted: Collection[int], *, endpoint: str, **words: Any
) -> bool:
    """Check the status of a probe, unless a guard refused it before its body was read.

    Without a session that may be a 401 of any target that has protected functions. Inside a session it is a refusal
    that every function of the endpoint gives as well: the user lacks a right that the catalogue does not name.
    """
    why = _guard(ctx, exchange, endpoint) if exchange.status not in accepted else None
    if why is None:
        return ctx.status(rule, exchange, accepted, **words)
    reason, lines = why
    ctx.skip(rule, reason, lines, function=ctx.caller.label(f"{endpoint}."))
    return True


def _guard(ctx: TestContext, exchange: Exchange, endpoint: str) -> tuple[str, str | None] | None:
    """Return why a refusal does not depend on the body, and the profile lines to add; None where it does depend."""
    if exchange.status not in (401, 403):
        return None
    if exchange.request.header("Token") is None:
        if exchange.status == 401 and may_be_guarded(ctx):
            return f"the endpoint {endpoint} asks for a session before it reads the body", LINES["user"]
        return None
    if exchange.user is None or not _refuses_all(ctx, exchange.user, endpoint, exchange.status):
        return None
    return (
        f"every function of the endpoint {endpoint} refuses the user {exchange.user!r} with {exchange.status}: "
        "name the role that it needs in x-auth of the catalogue",
        None,
    )


def _refuses_all(ctx: TestContext, user: str, endpoint: str, status: int) -> bool:
    """Return whether all read functions of an endpoint refuse a user who may call them, with this status."""
    asked = 0
    for method in ctx.catalog:
        if method.entity != endpoint or method.effect != "read" or method.auth == "none":
            continue
        if not ctx.resources.may_call(user, method) or not ctx.resources.harmless(method):
            continue
        asked += 1
        if ctx.call(method, ctx.data_for(method, user), as_=user).status != status:
            return False
        if asked == _MAX_CONTROLS:
            break
    return asked > 0
