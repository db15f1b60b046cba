"""AUT-4, ACC-1, COD-4: headers by which a proxy would say who calls, from where, and what."""

from __future__ import annotations

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import judges
from conformance.engine.not_judged import LINES, NotJudgedError
from conformance.helpers.claims import claiming_headers
from conformance.helpers.probing import prober, probing_status
from conformance.helpers.session_probes import checkers, protected
from conformance.suites.test_access import lacking


@judges("AUT-4", calls=25)
def test_headers_of_intermediaries(ctx: TestContext) -> None:
    """Send each claim without a session to one function, since few functions would leave some of them out."""
    user = ctx.somebody()
    found = checkers(ctx, user) if user is not None else []
    found = found or [
        method
        for method in ctx.catalog
        if protected(method) and method.effect == "read" and not any(p.required for p in method.params)
    ]
    if not found:
        ctx.give_up(
            "no function is known that needs a session and changes nothing",
            LINES["catalog"] if ctx.catalog.is_implicit else LINES["whoami"],
        )
    function = found[0]
    data = ctx.data_for(function, user)
    for what, headers in claiming_headers(ctx, function, user):
        exchange = ctx.call(function, data, headers=headers)
        ctx.status(
            "AUT-4",
            exchange,
            {401},
            kind=f"a header stands for a session: {what}",
            what=f"a call without a Token header, with {what},",
        )


@judges("ACC-1", calls=25)
def test_headers_that_claim_a_role(ctx: TestContext) -> None:
    """Send each claim in the session of a user without the role to one function of it."""
    ctx.need_users()
    functions = [method for method in ctx.catalog if _asks_for_a_role(method) and lacking(ctx, method)]
    functions.sort(key=lambda method: (method.effect != "read", not ctx.resources.callers(method)))
    if not functions or not ctx.resources.harmless(functions[0]):
        ctx.give_up("no function asks for a role that a user of the profile lacks", LINES["peer"])
    function = functions[0]
    user, having = lacking(ctx, function)[0], ctx.resources.callers(function)
    data = ctx.data_for(function, having[0] if having else user)
    for what, headers in claiming_headers(ctx, function, having[0] if having else user):
        exchange = ctx.call(function, data, as_=user, headers=headers)
        ctx.status("ACC-1", exchange, {403}, kind=f"a header stands for a role: {what}")


def _asks_for_a_role(method: Method) -> bool:
    return method.auth not in ("none", "session", None)


@judges("COD-4")
def test_unknown_endpoint_with_the_path_in_a_header(ctx: TestContext) -> None:
    """Name an endpoint in a header of a request to an unknown one: the path of the request counts."""
    functions = [method for method in ctx.catalog if method.effect == "read"]
    functions.sort(key=lambda method: any(param.required for param in method.params))
    if not functions:
        ctx.give_up("no function of the catalogue reads", LINES["catalog"])
    function = functions[0]
    accepted = {404}
    try:
        user = prober(ctx, function.entity)
    except NotJudgedError:
        user, accepted = ctx.somebody(), {403, 404}
    if user is None:
        accepted = {401, 404}
    path = ctx.client.address.path + function.entity
    data = ctx.data_for(function, user)
    for header in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Original-URI"):
        word = ctx.unknown_name()
        exchange = ctx.call(function, data, as_=user, target=word, headers=[(header, path)])
        probing_status(
            ctx,
            "COD-4",
            exchange,
            accepted,
            endpoint=word,
            kind=f"an endpoint that a header names is called: {header}",
            function=function.name,
            because=f"there is no endpoint {word}",
        )
