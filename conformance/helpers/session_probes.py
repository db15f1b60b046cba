"""Calls that show whether a target accepts a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.not_judged import LINES, NotJudgedError
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Whoami
from conformance.protocol.session import Session, SetUpFailedError
from conformance.schema.pointer import MISSING, resolve

__all__ = ["alive", "checker", "checkers", "identities_of", "protected", "shared_out", "use"]


def protected(method: Method) -> bool:
    """Return whether a function needs a session."""
    return method.auth not in ("none", None)


def checkers(ctx: TestContext, user: str) -> list[Method]:
    """Return harmless protected functions that this user may call, the whoami function first."""
    whoami = ctx.profile.auth.whoami
    found = [
        method
        for method in ctx.catalog.methods.values()
        if protected(method) and method.effect == "read" and ctx.resources.may_call(user, method)
    ]
    first = whoami.function if whoami else ""
    found.sort(key=lambda method: (method.name != first, any(param.required for param in method.params)))
    return [method for method in found if _can_be_called(ctx, method, user)]


def _can_be_called(ctx: TestContext, method: Method, user: str) -> bool:
    """Return whether there is valid data for a function, such as an object to act on."""
    try:
        ctx.valid(method, user, optional="none")
    except SetUpFailedError:
        return False
    return True


def checker(ctx: TestContext, user: str) -> Method:
    """Return a call of a protected function that shows whether a token is accepted.

    Raises:
        NotJudgedError: none is known.

    """
    found = checkers(ctx, user)
    if not found:
        raise NotJudgedError(
            "no function is known that needs a session and changes nothing",
            LINES["catalog"] if ctx.catalog.is_implicit else LINES["whoami"],
        )
    return found[0]


def shared_out(ctx: TestContext, methods: list[Method], user: str) -> list[Method]:
    """Return the functions that a user tries: in a quick run each function is tried by one of its users."""
    if not ctx.quick or ctx.only is not None:
        return methods
    places = {name: number for number, name in enumerate(ctx.catalog.methods)}
    found: list[Method] = []
    for method in methods:
        callers = [each for each in ctx.profile.users if ctx.resources.may_call(each, method)]
        if not callers or callers[places.get(method.name, 0) % len(callers)] == user:
            found.append(method)
    return found


def use(ctx: TestContext, method: Method, user: str, token: str | None, **options: Any) -> Exchange:
    """Call a checker with valid data under some token."""
    return ctx.call(method, ctx.valid(method, user, optional="none"), as_=user, token=token, **options)


def alive(exchange: Exchange) -> bool:
    """Return whether the target accepted the token."""
    return exchange.status is not None and exchange.status != 401


def identities_of(
    ctx: TestContext, users: Sequence[str], whoami: Whoami, sessions: list[Session]
) -> dict[str, Any]:
    """Sign each user in and ask who the session is; return the identities by user, append the sessions.

    Raises:
        SetUpFailedError: an answer does not say it.

    """
    identities: dict[str, Any] = {}
    for user in users:
        session = ctx.session(user)
        sessions.append(session)
        answer = ctx.call(whoami.function, as_=user, token=session.token)
        found = resolve(answer.data, whoami.field) if answer.status == 200 else MISSING
        if found is MISSING:
            raise SetUpFailedError(
                f"{whoami.function} does not say who the session is at {whoami.field}: {answer.summary()}",
                answer,
            )
        identities[user] = found
    return identities
