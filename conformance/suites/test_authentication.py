"""AUT: «If user login was successful the server sends back the session identifier»."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import disturbs_sessions, each_function, each_user, judges
from conformance.engine.not_judged import LINES, REFUSED
from conformance.helpers.builtin_names import (
    rotated,
)
from conformance.helpers.claims import claiming_headers
from conformance.helpers.comparison import equal
from conformance.helpers.credentials import coerced_logins, near_misses, send_forged_tokens, unlike
from conformance.helpers.other_texts import another
from conformance.helpers.randomness import LOGINS, judge_identifiers
from conformance.helpers.session_probes import (
    alive,
    checker,
    checkers,
    identities_of,
    protected,
    shared_out,
    use,
)
from conformance.helpers.together import Headers, packed, refused_together
from conformance.protocol.exchange import Exchange, field_bytes
from conformance.protocol.reach import authorization_hint
from conformance.protocol.session import Session, SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve


@judges("AUT-1")
@each_user()
def test_right_credentials(ctx: TestContext, user: str) -> None:
    """Check that the session identifier is a string that is not empty."""
    exchange, found = ctx.sessions.attempt(ctx.sessions.credentials(user), user=user)
    if not ctx.judge(
        "AUT-1",
        exchange.status == 200,
        kind="the right credentials are refused",
        expected="status 200",
        actual=f"{exchange.summary()}{authorization_hint(exchange)}",
        exchange=exchange,
        accepted={200},
    ):
        return
    pointer = ctx.profile.auth.session
    good = ctx.judge(
        "AUT-1",
        isinstance(found, str) and bool(found.strip()),
        kind="a login gives no session identifier",
        expected=f"a non-empty string at {pointer} in data",
        actual="nothing there" if found is MISSING else as_json(found, 40),
        exchange=exchange,
    )
    if good:
        ctx.sessions.end(Session(user, found))


# One function, though it is long: one list of wrong credentials.
@judges("AUT-2", "AUT-12", calls=27, logins=27)
@each_user()
def test_wrong_credentials(ctx: TestContext, user: str) -> None:
    """Send wrong logins, near misses included, with a right one every few, so that no lock-out is triggered."""
    ctx.need_writing()
    login = ctx.sessions.login
    right = ctx.sessions.credentials(user)
    # Where the right login does not work, the refusal of a wrong one shows nothing.
    ctx.must(ctx.sessions.attempt(right, user=user)[0], f"could not sign in as {user}")
    name, secret = right[login.user], right[login.secret]
    # In the form of the right ones, so that they pass a schema and are compared.
    canary = another(ctx.rng, secret)
    stranger = unlike(ctx, name)
    ctx.secret_registry.password(canary)
    attempts: list[tuple[str, dict[str, Any]]] = [("a wrong password", {**right, login.secret: canary})]
    for what, miss in rotated(ctx, list(near_misses(secret)), budgets.NEAR_PASSWORDS):
        ctx.secret_registry.add(miss)
        attempts.append((what, {**right, login.secret: miss}))
    attempts += [
        ("an unknown user", {**right, login.user: stranger}),
        ("an empty password", {**right, login.secret: ""}),
        ("an empty user", {**right, login.user: ""}),
        ("no password", {login.user: name}),
        ("no user", {login.secret: secret}),
        ("a password that is null", {**right, login.secret: None}),
        ("a password that is true", {**right, login.secret: True}),
        ("an empty login", {}),
        ("a password that is SQL", {**right, login.secret: "' OR '1'='1"}),
        ("a password that is SQL", {**right, login.secret: "x' OR 'a'='a' -- "}),
        ("a user that is SQL", {**right, login.user: f"{name}' -- ", login.secret: canary}),
        *(
            ("another user's password", {**right, login.secret: each.secret})
            for each in ctx.profile.users.values()
            if each.secret not in (secret, "") and each.user != name
        ),
        ("a password that is an operator", {**right, login.secret: {"$ne": ""}}),
        *rotated(ctx, coerced_logins(right, login.user, login.secret, canary), budgets.COERCED_LOGINS),
    ]
    answers: dict[str, Exchange] = {}
    for index, (what, data) in enumerate(attempts):
        exchange, found = ctx.sessions.attempt(data)
        answers[what] = exchange
        ctx.status("AUT-2", exchange, {400, 401, 403}, kind=f"{what} is not refused")
        ctx.judge(
            "AUT-2",
            found is MISSING or found is None or found == "",
            kind=f"{what} is given a session",
            expected=f"nothing at {ctx.profile.auth.session} in data",
            actual="a session identifier",
            exchange=exchange,
        )
        if index % 3 == 2:
            ctx.sessions.attempt(right, user=user)
    wrong, _ = ctx.sessions.attempt({**right, login.secret: canary})
    unknown, _ = ctx.sessions.attempt({login.user: stranger, login.secret: canary})
    ctx.judge(
        "AUT-12",
        wrong.status == unknown.status and _neutral(wrong, name) == _neutral(unknown, stranger),
        kind="an unknown user is answered otherwise than a wrong password",
        expected=f"the answer that a wrong password gets: {wrong.summary()}",
        actual=unknown.summary(),
        exchange=unknown,
    )


def _neutral(exchange: Exchange, name: str) -> Any:
    message = exchange.message
    return message.replace(name, "…") if isinstance(message, str) else message


@judges("AUT-3", calls=40, logins=1)
@each_user()
def test_session_works_with_any_call(ctx: TestContext, user: str) -> None:
    """Use a session on another connection, on every endpoint, many times."""
    methods = checkers(ctx, user)
    if not methods:
        checker(ctx, user)
    session = ctx.session(user)
    steps = ctx.some(methods, budgets.FUNCTIONS_OF_A_SESSION)
    for method in [*steps, *[methods[0]] * ctx.amount(budgets.CALLS_OF_A_SESSION), *steps]:
        for fresh in (False, True) if method is not methods[0] else (True,):
            exchange = use(ctx, method, user, session.token, fresh=fresh)
            ctx.judge(
                "AUT-3",
                alive(exchange),
                kind="a session is refused",
                expected="any answer but 401",
                actual=exchange.summary(),
                exchange=exchange,
            )
    ctx.sessions.end(session)


@judges("AUT-4")
@each_function(protected, otherwise="no function needs a session", harmless=False)
def test_no_token(ctx: TestContext, function: Method) -> None:
    """«401 Function requires proper authentication.»"""
    if function.effect != "read":
        ctx.need_writing()
    user = ctx.somebody(function)
    data = ctx.data_for(function, user) if ctx.resources.harmless(function) else {}
    exchange = ctx.call(function, data, fresh=bool(ctx.rng.getrandbits(1)))
    ctx.status(
        "AUT-4",
        exchange,
        {401},
        kind="a protected function runs without a Token header, or refuses it otherwise",
        what="a call of a protected function without a Token header",
    )

    def ask(headers: Headers) -> Exchange:
        nonlocal data
        exchange = ctx.call(function, data, headers=headers, fresh=bool(ctx.rng.getrandbits(1)))
        if exchange.status == 200 and ctx.resources.harmless(function):
            # It ran: the next call needs data of its own.
            data = ctx.data_for(function, user)
        return exchange

    first, *further = packed(claiming_headers(ctx, function, user))
    refused_together(
        ctx,
        "AUT-4",
        ask,
        [first, *rotated(ctx, further, budgets.FURTHER_CLAIMING_HEADERS)],
        {401},
        kind="a header stands for a session",
        call="a call without a Token header",
    )


@judges("AUT-4")
@each_user()
def test_token_in_a_trailer(ctx: TestContext, user: str) -> None:
    """Send the token in a trailer, which is not a header of the request (RFC 9110, section 6.5.1)."""
    method = checker(ctx, user)
    token = ctx.sessions.of(user).token
    data = ctx.valid(method, user, optional="none")

    def chunks(body: bytes) -> bytes:
        return b"%x\r\n%s\r\n0\r\nToken: %s\r\n\r\n" % (len(body), body, field_bytes(token))

    for declared in ([], [("Trailer", "Token")]):
        exchange = ctx.call(method, data, chunked=chunks, headers=declared, in_session=False)
        ctx.judge(
            "AUT-4",
            exchange.status != 200,
            kind="the session is taken from a trailer",
            expected="no session: status 401",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=REFUSED,
        )


@judges("AUT-5")
@each_function(protected, otherwise="no function needs a session", harmless=False)
def test_tokens_that_no_login_gave(ctx: TestContext, function: Method) -> None:
    """Send invalid tokens to each function, in turn: random, truncated, near misses, empty, long, hostile."""
    if function.effect != "read":
        ctx.need_writing()
    send_forged_tokens(ctx, function, ctx.somebody(function), budgets.FORGED_TOKENS, of_each=True)


@judges("AUT-5")
def test_tokens_that_a_language_knows(ctx: TestContext) -> None:
    """Send all invalid tokens to one function, so that none is left out where there are few functions."""
    user = ctx.somebody()
    methods = checkers(ctx, user) if user is not None else []
    methods = methods or [
        method
        for method in ctx.catalog.methods.values()
        if protected(method) and method.effect == "read" and not any(p.required for p in method.params)
    ]
    if not methods:
        ctx.give_up(
            "no function is known that needs a session and changes nothing",
            LINES["catalog"] if ctx.catalog.is_implicit else LINES["whoami"],
        )
    send_forged_tokens(ctx, methods[0], user, budgets.FORGED_TOKENS_OF_A_USER)


@judges("AUT-6", "AUT-7")
@each_function(lambda method: method.auth == "none", otherwise="no function of the catalogue is public")
def test_public_function(ctx: TestContext, function: Method) -> None:
    """Call without a token, and with one that no login gave."""
    user = ctx.somebody()
    data = ctx.valid(function, user)
    bare = ctx.call(function, data)
    # Where the profile names no login, a public function that refuses may be the login.
    opens = function.name in ctx.caller.logins or ctx.profile.auth.login is None
    if bare.status in (401, 403) and opens:
        for rule in ("AUT-6", "AUT-7"):
            ctx.skip(rule, f"the login is refused, which AUT-1 and AUT-16 judge: {bare.summary()}")
        return
    if bare.status in (401, 403):
        good = False
    elif bare.status == 200:
        good = True
    else:
        within = ctx.call(function, data, as_=ctx.somebody()) if ctx.somebody() else bare
        good = within.status != 200
        if good:
            ctx.skip(
                "AUT-6",
                f"the call does not succeed within a session either: {bare.summary()}",
                function=function.name,
            )
    if bare.status in (200, 401, 403) or not good:
        ctx.judge(
            "AUT-6",
            good,
            kind="a public function does not work without a token",
            expected="status 200",
            actual=bare.summary(),
            exchange=bare,
            accepted={200},
        )
    if bare.status == 200:
        token = "".join(ctx.rng.choice("0123456789abcdef") for _ in range(32))
        exchange = ctx.call(function, ctx.valid(function, user), token=token)
        ctx.status(
            "AUT-7",
            exchange,
            {200, 401},
            kind="a public function with an unknown token is answered neither 200 nor 401",
        )


@judges("AUT-8", calls=20, logins=1)
@disturbs_sessions
@each_user()
def test_after_logout(ctx: TestContext, user: str) -> None:
    """Check that every function refuses the token of a session that was closed."""
    if ctx.profile.auth.logout is None:
        ctx.give_up("the profile names no logout", LINES["logout"])
    methods = checkers(ctx, user) or [checker(ctx, user)]
    session = ctx.session(user)
    before = use(ctx, methods[0], user, session.token)
    if not alive(before):
        ctx.give_up(f"the session does not work before the logout either: {before.summary()}")
    ended = ctx.sessions.end(session)
    ctx.judge(
        "AUT-8",
        ended is not None and ended.status == 200,
        kind="logout does not succeed",
        expected="status 200",
        actual=ended.summary() if ended else "no answer",
        exchange=ended,
        accepted={200},
    )
    writes = [
        method
        for method in ctx.catalog.methods.values()
        if protected(method)
        and method.effect != "read"
        and ctx.resources.harmless(method)
        and ctx.resources.may_call(user, method)
    ]
    for method in [*shared_out(ctx, methods, user), *shared_out(ctx, writes, user)]:
        exchange = ctx.call(
            method, ctx.data_for(method, user), as_=user, token=session.token, in_session=False
        )
        ctx.status(
            "AUT-8",
            exchange,
            {401},
            kind="a session that was ended still works",
            otherwise="a session that was ended is refused with another status",
        )
    again = ctx.call(ctx.profile.auth.logout, as_=user, token=session.token, in_session=False)
    logout = ctx.catalog.methods.get(ctx.profile.auth.logout)
    if logout is None or logout.auth != "none":
        # A public logout may answer a token that is no longer valid with 200 or 401 (AUT-7).
        ctx.status(
            "AUT-8",
            again,
            {401},
            kind="a session that was ended can be ended again",
            otherwise="the logout of a session that was ended is refused with another status",
        )


@judges("AUT-9", "AUT-10", calls=25, logins=5)
@disturbs_sessions
@each_user()
def test_two_sessions_of_one_user(ctx: TestContext, user: str) -> None:
    """Open two sessions of one user: they must differ, both work, and closing one must not close the other."""
    method = checker(ctx, user)
    first, second = ctx.session(user), ctx.session(user)
    different = ctx.judge(
        "AUT-9",
        first.token != second.token,
        kind="two logins give the same session",
        expected="two different sessions",
        actual="the same identifier twice",
        function=ctx.sessions.login.function,
    )
    for session, which in ((first, "first"), (second, "second"), (first, "first")):
        exchange = use(ctx, method, user, session.token)
        ctx.judge(
            "AUT-9",
            alive(exchange),
            kind=f"of two sessions of one user the {which} does not work",
            expected="both sessions work",
            actual=f"the {which}: {exchange.summary()}",
            exchange=exchange,
        )
    if not different:
        ctx.skip("AUT-10", "two logins give the same session")
        return
    if ctx.profile.auth.logout is None:
        ctx.skip("AUT-10", "the profile names no logout", LINES["logout"])
        return
    # The newest session, the one before, and the user's main session, which is older than both.
    for ends, stays in (
        (second, first),
        (ctx.session(user), first),
        (first, ctx.session(user)),
        (None, None),
    ):
        ends, stays = ends or ctx.session(user), stays or ctx.sessions.of(user)
        if not alive(use(ctx, method, user, stays.token)):
            ctx.skip("AUT-10", "the other session does not work before either")
            continue
        ctx.sessions.end(ends)
        exchange = use(ctx, method, user, stays.token)
        ctx.judge(
            "AUT-10",
            alive(exchange),
            kind="the end of one session ends another of the same user",
            expected="the other session works on",
            actual=exchange.summary(),
            exchange=exchange,
        )


@judges("AUT-11", calls=80, logins=7)
def test_sessions_do_not_mix(ctx: TestContext) -> None:
    """Use sessions of several users on one connection, then at once: each call must be answered as its own user."""
    users = ctx.need_users(2)
    whoami = ctx.profile.auth.whoami
    if whoami is None:
        ctx.give_up("the profile does not say which function tells who a session is", LINES["whoami"])
    sessions: list[Session] = []
    identities = identities_of(ctx, users, whoami, sessions)
    for one in users:
        for other in users:
            if one < other and ctx.profile.users[one].user != ctx.profile.users[other].user:
                ctx.judge(
                    "AUT-11",
                    not equal(identities[one], identities[other]),
                    kind="two users have the same identity",
                    expected=f"{one} and {other} differ at {whoami.field}",
                    actual=f"both are {as_json(identities[one])}",
                    function=whoami.function,
                )

    def ask(session: Session, fresh: bool) -> tuple[Session, Exchange]:
        return session, ctx.call(whoami.function, as_=session.user, token=session.token, fresh=fresh)

    rounds = ctx.amount(budgets.ROUNDS_OF_SESSIONS)
    asked = [ask(session, fresh) for _ in range(rounds) for fresh in (False, True) for session in sessions]
    order = [session for session in sessions for _ in range(rounds * 3)]
    ctx.rng.shuffle(order)
    at_once = [functools.partial(ask, session, False) for session in order]
    # Other users sign in meanwhile: a login must not change the user of another session.
    entered: list[Session] = []

    def enter(user: str, session: Session) -> tuple[Session, Exchange]:
        entered.append(ctx.session(user))
        return ask(session, False)

    for place in range(ctx.amount(budgets.LOGINS_BETWEEN_SESSIONS)):
        entering = functools.partial(enter, users[place % len(users)], sessions[(place + 1) % len(sessions)])
        at_once.insert(ctx.rng.randrange(len(at_once)), entering)
    for how, answers in (("one after another", asked), ("at once", ctx.together(at_once, at_once=8))):
        # No answer says nothing about whose session it is; COD-8 judges that.
        for session, exchange in (each for each in answers if each[1].status is not None):
            found = resolve(exchange.data, whoami.field)
            ctx.judge(
                "AUT-11",
                exchange.status == 200 and equal(found, identities[session.user]),
                kind=f"a call is answered as another user ({how})"
                if exchange.status == 200
                else f"a good session is refused ({how})",
                expected=f"{whoami.field} is {as_json(identities[session.user])}",
                actual=exchange.summary() if exchange.status != 200 else as_json(found),
                exchange=exchange,
            )
    for session in (*sessions, *entered):
        ctx.sessions.end(session)


@judges("AUT-13", calls=10, logins=3)
@disturbs_sessions
@each_user()
def test_session_of_the_clients_own_choosing(ctx: TestContext, user: str) -> None:
    """Check against session fixation: a login sent with a Token must not make that token a session."""
    method = checker(ctx, user)
    chosen = "".join(ctx.rng.choice("0123456789abcdef") for _ in range(32))
    exchange, found = ctx.sessions.attempt(
        ctx.sessions.credentials(user), user=user, token=chosen, in_session=False
    )
    ctx.judge(
        "AUT-13",
        found != chosen,
        kind="a login adopts the client's token as the session",
        expected="a session of the target's own choosing",
        actual="the token that came with the login",
        exchange=exchange,
    )
    after = use(ctx, method, user, chosen, in_session=False)
    ctx.status(
        "AUT-13",
        after,
        {401},
        kind="after a login the client's own token is a session",
        otherwise="the client's own token is refused with another status",
    )
    others = [
        name
        for name in ctx.profile.users
        if name != user and ctx.profile.users[name].user != ctx.profile.users[user].user
    ]
    whoami = ctx.profile.auth.whoami
    if others and whoami is not None:
        other = ctx.session(others[0])
        before = ctx.call(whoami.function, as_=other.user, token=other.token)
        _, found = ctx.sessions.attempt(
            ctx.sessions.credentials(user), user=user, token=other.token, in_session=False
        )
        late = ctx.call(whoami.function, as_=other.user, token=other.token)
        if before.status == 200 and late.status == 200:
            ctx.judge(
                "AUT-13",
                equal(resolve(before.data, whoami.field), resolve(late.data, whoami.field)),
                kind="a login turns the session it was sent in into another user's",
                expected="the session stays its own user's",
                actual="it is now the user's who signed in",
                exchange=late,
            )
        ctx.sessions.end(other)


# The calls are logins, but where logins are slow the test gives up: so they do not count as such.
@judges("AUT-14", calls=350)
@disturbs_sessions
def test_identifiers_cannot_be_guessed(ctx: TestContext) -> None:
    """Check 200 session identifiers: all differ, none is sequential, and their entropy is at least 64 bits.

    The entropy is the sum of the Shannon entropies of the positions.
    """
    ctx.need_writing()
    users = ctx.need_users()
    probe, found = ctx.sessions.attempt(ctx.sessions.credentials(users[0]), user=users[0])
    if not isinstance(found, str) or not found:
        raise SetUpFailedError(f"could not sign in as {users[0]}: {probe.summary()}", probe)
    seconds = probe.seconds * LOGINS
    # In a verification, which has little time, no rule may take most of it.
    if seconds > min(ctx.amount(budgets.MAX_LOGIN_SECONDS), ctx.run.options.deadline / 6):
        ctx.give_up(f"{LOGINS} logins would take {seconds:.0f} s here; --budget deep makes them")
    tokens = [found]
    last = probe
    for index in range(1, LOGINS):
        user = users[index % len(users)] if index % 4 == 0 else users[0]
        exchange, found = ctx.sessions.attempt(ctx.sessions.credentials(user), user=user)
        if not isinstance(found, str) or not found:
            raise SetUpFailedError(
                f"login {index + 1} of {LOGINS} gave no session: {exchange.summary()}", exchange
            )
        tokens.append(found)
        last = exchange
        if ctx.profile.auth.logout is not None and index % 2:
            # Open sessions accumulate on the target. Closing half of them also frees identifiers that might be reused.
            ctx.caller.call(ctx.profile.auth.logout, user=user, token=tokens[-1])
    if ctx.profile.auth.logout is not None:
        for index in range(0, LOGINS, ctx.amount(budgets.LOGOUT_STEP)):
            ctx.caller.call(ctx.profile.auth.logout, user=users[0], token=tokens[index])
    judge_identifiers(ctx, tokens, last)


@judges("AUT-15")
@each_user()
def test_session_from_elsewhere(ctx: TestContext, user: str) -> None:
    """Check that a token in the query string, a cookie or the body is not accepted, since those leak."""
    for method in ctx.some(checkers(ctx, user) or [checker(ctx, user)], budgets.FUNCTIONS_OF_FOREIGN_TOKENS):
        token = ctx.sessions.of(user).token
        own_call = use(ctx, method, user, token)
        if own_call.status != 200:
            continue
        data = ctx.valid(method, user, optional="none")
        quoted = quote(token, safe="")
        for name in names(ctx):
            ways: list[tuple[str, dict[str, Any]]] = [
                ("the query string", {"target": f"{method.entity}?{name}={quoted}"}),
                ("a cookie", {"headers": [("Cookie", f"{name}={token}")]}),
                ("the body", {"extra": {name: token}}),
            ]
            for where, options in ways:
                _judge_elsewhere(ctx, ctx.call(method, data, in_session=False, **options), where)
            exchange = ctx.call(method, {**data, name: token}, in_session=False)
            _judge_elsewhere(ctx, exchange, "data")
        if all(name.lower() != "authorization" for name in ctx.profile.headers):
            exchange = ctx.call(
                method, data, in_session=False, headers=[("Authorization", f"Bearer {token}")]
            )
            _judge_elsewhere(ctx, exchange, "the Authorization header")


def names(ctx: TestContext) -> list[str]:
    """Return names under which a service may accept a session outside the Token header, to be sent one at a time."""
    parts = [part for part in ctx.profile.auth.session.split("/") if part]
    guessed = (
        [parts[-1], parts[0], "".join([parts[0], *(part.capitalize() for part in parts[1:])])]
        if parts
        else []
    )
    known = ["Token", "token", "sessionId", "session", "PHPSESSID"]
    return ctx.first(dict.fromkeys([*known[:3], *guessed, *known[3:]]), budgets.TOKEN_NAMES)


def _judge_elsewhere(ctx: TestContext, exchange: Exchange, where: str) -> None:
    ctx.judge(
        "AUT-15",
        exchange.status != 200,
        kind=f"the session is taken from {where}",
        expected="no session: status 401",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=REFUSED,
    )
