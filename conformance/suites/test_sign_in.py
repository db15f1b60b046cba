"""AUT-2, AUT-9, AUT-11, AUT-13: logins at the same time, inside another session, and with names that are patterns."""

from __future__ import annotations

import functools
from typing import Any

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import disturbs_sessions, judges
from conformance.engine.not_judged import LINES
from conformance.helpers.comparison import equal
from conformance.helpers.session_probes import alive, checker, use
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import Session
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve

#: Logins that are sent at the same time.
_AT_ONCE = 8


def _distinct(ctx: TestContext) -> list[str]:
    """Return the users of the profile, each login name once."""
    found: dict[str, str] = {}
    for name in ctx.need_users():
        found.setdefault(ctx.profile.users[name].user, name)
    return list(found.values())


def _identity(ctx: TestContext, session: Session) -> tuple[Any, Exchange]:
    """Return who the target says that a session is (MISSING: it does not say), and the exchange."""
    whoami = ctx.profile.auth.whoami
    assert whoami is not None
    exchange = ctx.call(whoami.function, as_=session.user, token=session.token)
    return (resolve(exchange.data, whoami.field) if exchange.status == 200 else MISSING), exchange


@judges("AUT-9", "AUT-11", calls=40, logins=18)
@disturbs_sessions
def test_logins_at_once(ctx: TestContext) -> None:
    """Sign in eight times at once, as one user and as several: each session is new, works, and is its own user's."""
    users = _distinct(ctx)
    count = ctx.amount(budgets.LOGINS_AT_ONCE)
    whoami = ctx.profile.auth.whoami
    identities: dict[str, Any] = {}
    for user in users:
        session = ctx.session(user)
        identities[user] = _identity(ctx, session)[0] if whoami is not None else MISSING
        ctx.sessions.end(session)
    orders = [[users[0]] * count]
    if len(users) > 1:
        orders.append([users[place % len(users)] for place in range(count)])
    for order in orders:
        sessions = _sign_in_together(ctx, order)
        _judge_different(ctx, sessions)
        for session, exchange in sessions:
            _judge_own(ctx, session, exchange, identities)
        for session in {each.token: each for each, _ in sessions}.values():
            ctx.sessions.end(session)


def _sign_in_together(ctx: TestContext, order: list[str]) -> list[tuple[Session, Exchange]]:
    """Send logins at the same time; return the sessions that they gave, each with its login."""
    calls = [
        functools.partial(ctx.sessions.attempt, ctx.sessions.credentials(user), user=user) for user in order
    ]
    found: list[tuple[Session, Exchange]] = []
    for user, (exchange, token) in zip(order, ctx.together(calls, at_once=_AT_ONCE), strict=True):
        if exchange.status is None or exchange.status >= 500:
            # COD-8 judges it.
            continue
        good = exchange.status == 200 and isinstance(token, str) and bool(token)
        ctx.judge(
            "AUT-9",
            good,
            kind="of several logins at the same time one gives no session",
            expected="status 200 and a session, as one login alone",
            actual=exchange.summary(),
            exchange=exchange,
        )
        if good:
            found.append((Session(user, token), exchange))
    return found


def _judge_different(ctx: TestContext, sessions: list[tuple[Session, Exchange]]) -> None:
    """Check that no two logins gave the same session."""
    owners: dict[str, str] = {}
    for session, exchange in sessions:
        earlier = owners.get(session.token)
        owners.setdefault(session.token, session.user)
        ctx.judge(
            "AUT-9" if earlier in (None, session.user) else "AUT-11",
            earlier is None,
            kind="two logins at the same time give the same session",
            expected=f"{len(sessions)} different sessions",
            actual=f"the session that another login of {earlier} gave",
            exchange=exchange,
        )


def _judge_own(ctx: TestContext, session: Session, login: Exchange, identities: dict[str, Any]) -> None:
    """Check that a session works, and is the session of the user who signed in."""
    if identities[session.user] is MISSING:
        method = checker(ctx, session.user)
        exchange = use(ctx, method, session.user, session.token)
        found: Any = MISSING
    else:
        found, exchange = _identity(ctx, session)
    ctx.judge(
        "AUT-9",
        alive(exchange),
        kind="a session of several logins at the same time does not work",
        expected="each session works",
        actual=exchange.summary(),
        exchange=login,
        witness=exchange,
    )
    if found is not MISSING:
        ctx.judge(
            "AUT-11",
            equal(found, identities[session.user]),
            kind="a login at the same time as others gives another user's session",
            expected=f"the session of {session.user}: {as_json(identities[session.user])}",
            actual=as_json(found),
            exchange=login,
            witness=exchange,
        )


@judges("AUT-3", "AUT-11", calls=12, logins=4)
@disturbs_sessions
def test_failed_login_inside_a_session(ctx: TestContext) -> None:
    """Send logins of another user that fail inside a session: it must go on, as its own user's."""
    ctx.need_writing()
    users = _distinct(ctx)
    ctx.need_users(2)
    if len(users) < 2:
        ctx.give_up("all users of the profile have the same login name", LINES["peer"])
    if ctx.profile.auth.whoami is None:
        ctx.give_up("the profile does not say which function tells who a session is", LINES["whoami"])
    login = ctx.sessions.login
    user, other = users[:2]
    session = ctx.session(user)
    before, control = _identity(ctx, session)
    if before is MISSING:
        ctx.give_up(f"a new session does not say who it is: {control.summary()}")
    theirs = ctx.sessions.credentials(other)
    wrong = theirs[login.secret] + "x"
    ctx.secret_registry.password(wrong)
    without = {name: value for name, value in theirs.items() if name != login.secret}
    for what, data in (("a wrong password", {**theirs, login.secret: wrong}), ("no password", without)):
        exchange, _ = ctx.sessions.attempt(data, token=session.token, in_session=False)
        if exchange.status == 200:
            # AUT-2 judges it.
            continue
        after, witness = _identity(ctx, session)
        if not ctx.judge(
            "AUT-3",
            alive(witness),
            kind="a failed login ends the session that it was sent in",
            expected=f"after a login as {other} with {what}, the session of {user} works",
            actual=witness.summary(),
            exchange=exchange,
            witness=witness,
        ):
            break
        if after is not MISSING:
            ctx.judge(
                "AUT-11",
                equal(before, after),
                kind="a failed login makes the session that it was sent in another user's",
                expected=f"after a login as {other} with {what}, the session is {as_json(before)}'s",
                actual=as_json(after),
                exchange=exchange,
                witness=witness,
            )
    # A right login ends a count of failures.
    _, token = ctx.sessions.attempt(theirs, user=other)
    for each in (session, ctx.sessions.known(token) if isinstance(token, str) else None):
        if each is not None:
            ctx.sessions.end(each)


@judges("AUT-13", calls=10, logins=3)
@disturbs_sessions
def test_login_with_a_token_that_was_logged_out(ctx: TestContext) -> None:
    """Send a login with the token of a session that was ended: the token must not be a session again."""
    if ctx.profile.auth.logout is None:
        ctx.give_up("the profile names no logout", LINES["logout"])
    users = _distinct(ctx)
    method = checker(ctx, users[0])
    session = ctx.session(users[0])
    if not alive(use(ctx, method, users[0], session.token)):
        ctx.give_up("a new session does not work, which AUT-3 judges")
    ctx.sessions.end(session)
    ended = use(ctx, method, users[0], session.token, in_session=False)
    if ended.status != 401:
        ctx.give_up(
            f"a session that was ended is not refused with 401, which AUT-8 judges: {ended.summary()}"
        )
    for user in dict.fromkeys((users[0], users[-1])):
        exchange, token = ctx.sessions.attempt(
            ctx.sessions.credentials(user), user=user, token=session.token, in_session=False
        )
        ctx.judge(
            "AUT-13",
            token != session.token,
            kind="a login makes a token that was logged out a session again",
            expected="a session of the target's own choosing",
            actual="the token that came with the login",
            exchange=exchange,
        )
        after = use(ctx, method, users[0], session.token, in_session=False)
        ctx.status(
            "AUT-13",
            after,
            {401},
            kind="after a login a token that was logged out is a session again",
            otherwise="after a login a token that was logged out is refused with another status",
        )
        known = ctx.sessions.known(token) if isinstance(token, str) else None
        if known is not None:
            ctx.sessions.end(known)


def _patterns(name: str) -> list[str]:
    """Return names that no user has, and that match a user's name in LIKE, a glob or a regular expression."""
    middle = len(name) // 2
    found = [
        f"_{name[1:]}",
        f"{name[:-1]}_",
        f"{name[:middle]}%{name[middle + 1 :]}",
        f"{name[:2]}%",
        f"%{name[1:]}",
        f"{name[:2]}*",
        f"?{name[1:]}",
        f"{name[:2]}.*",
        f"^{name}$",
    ]
    return [each for each in dict.fromkeys(found) if each != name]


@judges("AUT-2", calls=14, logins=14)
def test_names_that_are_patterns(ctx: TestContext) -> None:
    """Sign in with the right password and a pattern that matches the user's name: it is an unknown user."""
    ctx.need_writing()
    user = ctx.need_users()[0]
    login = ctx.sessions.login
    right = ctx.sessions.credentials(user)
    ctx.must(ctx.sessions.attempt(right, user=user)[0], f"could not sign in as {user}")
    names = {known.user for known in ctx.profile.users.values()}
    for index, pattern in enumerate(_patterns(right[login.user])):
        if pattern in names:
            continue
        exchange, found = ctx.sessions.attempt({**right, login.user: pattern})
        ctx.status(
            "AUT-2",
            exchange,
            {400, 401, 403},
            kind="a pattern that matches a user's name is not refused",
            because=f"nobody is called {pattern}",
        )
        ctx.judge(
            "AUT-2",
            found is MISSING or found is None or found == "",
            kind="a pattern that matches a user's name is given a session",
            expected=f"nothing at {ctx.profile.auth.session} in data",
            actual="a session identifier",
            exchange=exchange,
        )
        if index % 3 == 2:
            ctx.sessions.attempt(right, user=user)
