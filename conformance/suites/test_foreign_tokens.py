"""AUT-15: at each function, the session is taken from the Token header alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import REFUSED
from conformance.helpers.session_probes import protected
from conformance.protocol.exchange import Exchange
from conformance.suites.test_authentication import names


@judges("AUT-15")
@each_function(protected, otherwise="no function needs a session", harmless=False)
def test_session_from_anywhere_else(ctx: TestContext, function: Method) -> None:
    """Send a call with the token everywhere but in its header; each place alone where the call is not refused."""
    if function.effect != "read":
        ctx.need_writing()
    user = ctx.somebody(function)
    if user is None:
        ctx.give_up("no user of the profile may call this function")
    token = ctx.sessions.of(user).token
    mixed = _call(ctx, function, user, [options for _, options in _places(ctx, function, token)])
    if mixed.status == 401 or mixed.withheld:
        ctx.status("AUT-15", mixed, {401}, kind="the session is taken from elsewhere")
        return
    if _call(ctx, function, user, []).status == 200:
        ctx.give_up("the function needs no session at all, which AUT-4 judges")
    good = True
    for where, options in _places(ctx, function, token):
        good &= _judge(ctx, _call(ctx, function, user, [options]), where)
    if good:
        _judge(ctx, mixed, "several places together")


def _judge(ctx: TestContext, exchange: Exchange, where: str) -> bool:
    return ctx.judge(
        "AUT-15",
        exchange.status != 200,
        kind=f"the session is taken from {where}",
        expected="no session: status 401",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=REFUSED,
    )


def _call(ctx: TestContext, function: Method, user: str, parts: list[dict[str, Any]]) -> Exchange:
    """Call without a Token header, with the token in all these places, and with data that no other call has used."""
    data = ctx.data_for(function, user) if ctx.resources.harmless(function) else {}
    options: dict[str, Any] = {"headers": []}
    for part in parts:
        data = {**data, **part.get("data", {})}
        options |= {name: value for name, value in part.items() if name not in ("data", "headers")}
        options["headers"] += part.get("headers", [])
    return ctx.call(function, data, in_session=False, **options)


def _places(ctx: TestContext, function: Method, token: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (where, options): the token outside its header, in each place under all names that it may have there."""
    usual = list(dict.fromkeys([*names(ctx), "Token", "token", "sessionId", "session"]))
    query = "&".join(f"{name}={quote(token, safe='')}" for name in usual)
    declared = {param.name for param in function.params}
    found: list[tuple[str, dict[str, Any]]] = [
        ("the query string", {"target": f"{function.entity}?{query}"}),
        ("a cookie", {"headers": [("Cookie", "; ".join(f"{name}={token}" for name in usual))]}),
        ("the body", {"extra": dict.fromkeys(usual, token)}),
        ("data", {"data": dict.fromkeys((name for name in usual if name not in declared), token)}),
    ]
    if all(name.lower() != "authorization" for name in ctx.profile.headers):
        found.append(("the Authorization header", {"headers": [("Authorization", f"Bearer {token}")]}))
    return found
