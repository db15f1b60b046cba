"""ENV: «Responses structure», and other rules that can be judged on a single exchange.

They are checked on every exchange of a run. The tests here make sure that each function gave each kind of response.
The last test reports the results.
"""

from __future__ import annotations

import json
import random

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import Scope, When, each_endpoint, each_function, each_user, judges, on
from conformance.helpers.comparison import bound
from conformance.helpers.other_texts import another
from conformance.rulebook import RULES, own_rules
from conformance.rulebook.model import AREAS
from conformance.suites.test_codes import identifiers, strangers

PURE = tuple(rule.id for rule in RULES.values() if rule.check and rule.area in AREAS)


def every_pure() -> tuple[str, ...]:
    """Return the ids of all rules that are checked on every exchange, with those of the team's own."""
    return (*PURE, *own_rules.checked())


@judges(*PURE, and_own=True)
@each_function(silent=True)
def test_each_way_to_answer(ctx: TestContext, function: Method) -> None:
    """Call each function so that it succeeds, and so that it refuses: for data, no session or a missing right."""
    ctx.call(function, ctx.data_for(function, None))
    users = ctx.resources.callers(function) if ctx.somebody() else []
    if users:
        user = users[0]
        # Another user's session is the newest, so that a target that wrongly shows it is detected.
        latest = next((ctx.session(name) for name in ctx.profile.users if name != user), None)
        valid = ctx.data_for(function, user)
        ctx.call(function, valid, as_=user)
        ctx.call(function, [], as_=user)
        ctx.call(function, {param.name: {"no": []} for param in function.params} or "x", as_=user)
        for param in ctx.some(function.params, budgets.INVALID_PARAMETERS):
            ctx.call(function, {**ctx.data_for(function, user), param.name: {"no": []}}, as_=user)
        if ctx.resources.harmless(function):
            ctx.call(
                function, {**ctx.data_for(function, user), "undeclaredMember": {"deep": [None]}}, as_=user
            )
        for name, _ in identifiers(function):
            for value in strangers(ctx, valid.get(name)):
                if function.data.valid({**valid, name: value}):
                    ctx.call(function, {**valid, name: value}, as_=user)
        if function.rows is not None:
            ctx.call(function, ctx.data_for(function, user), as_=user, page_length=2)
        role = function.object
        if role is not None and role.does in ("read", "list") and ctx.resources.creator(role.kind, user):
            # An object with only its required members may read differently from one with all members.
            least = ctx.resources.new(role.kind, user, optional="none")
            if role.does == "read":
                ctx.call(function, bound(ctx, function, least), as_=user)
            else:
                names = {param.name for param in function.params if param.required}
                shared = {name: value for name, value in least.sent.items() if name in names}
                ctx.resources.new(role.kind, user, **shared)
                ctx.resources.new(role.kind, user, **shared)
                plain = ctx.valid(
                    function, user, optional="none", **{n: v for n, v in shared.items() if n in names}
                )
                ctx.call(function, plain, as_=user)
        if latest is not None:
            ctx.sessions.end(latest)
    for other in ctx.profile.users if ctx.somebody() else ():
        if other not in users or (function.effect == "read" and not function.params):
            ctx.call(function, ctx.data_for(function, other), as_=other)


@judges(*PURE, and_own=True)
@each_endpoint()
def test_each_endpoint_in_short(ctx: TestContext, endpoint: str) -> None:
    """Send an unknown function, an unreadable body, JSON other than an object, and no method."""
    endpoint = endpoint or ctx.guess() or ctx.unknown_name()
    user = ctx.somebody()
    ctx.call(f"{endpoint}.{ctx.unknown_name()}", {}, as_=user)
    ctx.call(f"{ctx.unknown_name()}.{ctx.unknown_name()}", {}, as_=user)
    for body in (b"{", b"[]", b"{}"):
        ctx.caller.call(f"{endpoint}.", body=body)


@judges(*PURE, calls=5, logins=5, and_own=True)
@each_user()
def test_refused_logins(ctx: TestContext, user: str) -> None:
    """Send a wrong password, an unknown user, and a password beside invalid data."""
    ctx.need_writing()
    login = ctx.sessions.login
    right = ctx.sessions.credentials(user)
    wrong = another(ctx.rng, right[login.secret])
    ctx.secret_registry.password(wrong)
    for data in (
        {**right, login.secret: wrong},
        {login.user: another(ctx.rng, right[login.user]), login.secret: wrong},
        {**right, login.user: []},
        {login.secret: wrong},
        {login.user: right[login.user]},
    ):
        ctx.sessions.attempt(data)


@judges("COD-2", "COD-8", "ENV-1")
@each_endpoint()
def test_bodies_that_break_parsers(ctx: TestContext, endpoint: str) -> None:
    """Send depths, sizes, numbers and characters at which parsers fail: any documented status is right."""
    endpoint = endpoint or ctx.guess() or ctx.unknown_name()
    readers = [m for m in ctx.catalog.methods.values() if m.entity == endpoint and m.effect == "read"]
    endpoints = sorted({method.entity for method in ctx.catalog.methods.values()}) or [endpoint]
    most = ctx.limit(budgets.ENDPOINTS_OF_DEEP_BODIES, len(endpoints))
    endpoints = random.Random(f"{ctx.run.options.seed}/depth").sample(endpoints, most)
    for number, method in enumerate([*ctx.first(readers, budgets.READERS_OF_BODIES), None]):
        user = ctx.who(method) if method is not None else ctx.somebody()
        token = ctx.sessions.of(user).token if user is not None else None
        name = json.dumps(method.function if method is not None else ctx.unknown_name()).encode()
        # Deep data may cost a parser seconds, and endpoints mostly share one parser. Few endpoints are tried here,
        # and each function by DAT-9.
        deep: tuple[bytes, ...] = ()
        if number == 0 and endpoint in endpoints:
            deep = (b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 20_000 + b"1" + b"}" * 20_000)
        bodies = (
            *deep,
            b'{"a":"\\ud800"}',
            b'{"\\udfff":1}',
            b'{"a":1e400,"b":-1e400}',
            b'{"a":' + b"9" * 5000 + b"}",
            b'{"a":"' + b"x" * 200_000 + b'"}',
            b'{"a":"\\u0000"}',
            b'{"a":NaN}',
            b'{"__proto__":{"a":1},"constructor":{}}',
        )
        for data in ctx.some(bodies, budgets.UNUSUAL_BODIES):
            # With its name, the response to a valid call is validated against its declaration.
            asked = method.name if method is not None else f"{endpoint}."
            ctx.caller.call(
                asked, user=user, token=token, body=b'{"method":' + name + b',"data":' + data + b"}"
            )


@judges(*PURE, when=When.LAST, and_own=True)
@on(Scope("rule", lambda run: [rule for rule in every_pure() if rule in run.options.rules]))
def test_every_exchange(ctx: TestContext, rule: str) -> None:
    """Report what the exchanges of the whole run show of a rule; this runs last."""
    if not ctx.run.observer.total_judged[rule]:
        ctx.give_up("no exchange of this run was of a kind that it speaks of")
