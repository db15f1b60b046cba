"""AUT: key login, in headers and in data, and the rules of sessions for sessions from key logins."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import Iterator
from typing import Any

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import disturbs_sessions, judges
from conformance.engine.not_judged import LINES
from conformance.helpers.builtin_names import PROTOTYPE_NAMES, accented, same_java_hash
from conformance.helpers.comparison import equal
from conformance.helpers.other_texts import another
from conformance.helpers.randomness import LOGINS, judge_identifiers
from conformance.helpers.sign_in import (
    CHANNELS,
    KEY_VALUES,
    harmless_check,
    key_channels,
    mac,
    need_key,
    send_key,
)
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import KeyLogin
from conformance.protocol.session import Session, SetUpFailedError
from conformance.schema.pointer import resolve

#: Time formats of the public wrappers (protocol, section 1).
TIMES = ("1763885000123", "1763885000.123456", "11/23/2026 10:03", "2026-11-23 10:03:20.123")

#: Wrong logins in a row before a right one is sent, so that no lock-out is triggered.
MAX_WRONG_IN_A_ROW = 8

#: Length of a header value with which the head stays within the 8 kB of COD-2.
LONG_VALUE = 7000

Values = dict[str, Any]


@judges("AUT-16", calls=130, logins=110)
def test_key_login(ctx: TestContext) -> None:
    """Sign in with a right signature and any time format, and with wrong ones, which must be refused."""
    key = need_key(ctx)
    for channel in CHANNELS:
        for moment in (str(int(time.time() * 1000)), *ctx.some(TIMES[1:], budgets.KEY_LOGIN_TIMES)):
            exchange, found = send_key(ctx, ctx.sessions.key_login_data(moment), channel)
            good = ctx.judge(
                "AUT-16",
                exchange.status == 200 and isinstance(found, str) and bool(found),
                kind=f"a right signature by {channel} gives no session",
                expected=f"status 200 and a string at {ctx.profile.auth.session} in data",
                actual=exchange.summary(),
                exchange=exchange,
            )
            if good:
                _judge_session(ctx, found, channel)
        right = ctx.sessions.key_login_data(TIMES[0])
        for number, (what, values) in enumerate(_wrong(ctx, key, right, channel)):
            if number % MAX_WRONG_IN_A_ROW == 0:
                # The first one also detects a target that caches a signature without the signed values.
                _, token = send_key(
                    ctx, right if not number else ctx.sessions.key_login_data(TIMES[0]), channel
                )
                _end(ctx, token)
            exchange, found = send_key(ctx, values, channel)
            ctx.status("AUT-16", exchange, {400, 401, 403}, kind=f"{what} is not refused (by {channel})")
            ctx.judge(
                "AUT-16",
                not found,
                kind=f"{what} is given a session (by {channel})",
                expected="no session",
                actual="a session identifier",
                exchange=exchange,
            )
    _send_headers_twice(ctx)
    _send_signed_unusual(ctx, key)


def _send_headers_twice(ctx: TestContext) -> None:
    """Send the headers of a key login twice.

    The target may refuse that, or take either value. Two wrong signatures must not make a right one.
    """
    right = ctx.sessions.key_login_data(TIMES[0])
    digest = str(right["hmac"])
    for name in KEY_VALUES:
        wrong = another(ctx.rng, str(right[name]))
        pairs = [(right[name], right[name]), (right[name], wrong), (wrong, right[name])]
        refused = [(digest[:20], digest[20:]), (wrong, another(ctx.rng, wrong))] if name == "hmac" else []
        for first, second in (*pairs, *refused):
            headers = [(f"X-Coursio-{name}", str(first))]
            exchange, found = send_key(ctx, {**right, name: second}, "headers", headers=headers)
            accepted = {400, 401, 403} if (first, second) in refused else {200, 400, 401, 403}
            ctx.status(
                "AUT-16",
                exchange,
                accepted,
                kind="two wrong signatures are not refused"
                if (first, second) in refused
                else f"a key login with two headers of {name} is answered with another status",
            )
            _end(ctx, found)
        # A right login in between, so that no lock-out is triggered.
        _end(ctx, send_key(ctx, right, "headers")[1])


def _send_signed_unusual(ctx: TestContext, key: KeyLogin) -> None:
    """Send unusual values in headers with a right signature: the target may accept or refuse them."""
    right = ctx.sessions.key_login_data(TIMES[0])
    for name in ("time", "random"):
        for what, value in (
            ("an empty", ""),
            ("a non-ASCII", "\xe9\xff\x80"),
            ("a long", (str(right[name]) * LONG_VALUE)[:LONG_VALUE]),
        ):
            values = {**right, name: value}
            message = "".join(str(values[each]) for each in KEY_VALUES[:3]).encode("latin-1")
            values["hmac"] = hmac.new(key.private.encode(), message, hashlib.sha1).hexdigest()
            exchange, found = send_key(ctx, values, "headers")
            kind = f"a key login with {what} {name} is answered with another status"
            ctx.status("AUT-16", exchange, {200, 400, 401, 403}, kind=kind)
            _end(ctx, found)
        _end(ctx, send_key(ctx, right, "headers")[1])


def _end(ctx: TestContext, token: Any) -> None:
    """Close the session that a key login returned, if it returned one."""
    if isinstance(token, str) and token:
        ctx.sessions.end(ctx.sessions.known(token) or Session("", token))


def _judge_session(ctx: TestContext, token: str, channel: str) -> None:
    """Check that a key login returned a valid session. The profile does not say whose it is."""
    for method in ctx.catalog.methods.values():
        if (
            method.auth == "session"
            and method.effect == "read"
            and not any(param.required for param in method.params)
        ):
            exchange = ctx.call(method, {}, token=token)
            ctx.judge(
                "AUT-16",
                _alive(exchange),
                kind=f"a session that a key gave does not work (by {channel})",
                expected="any answer but 401",
                actual=exchange.summary(),
                exchange=exchange,
            )
            break
    if ctx.profile.auth.logout is not None:
        ctx.caller.call(ctx.profile.auth.logout, token=token)


def _alive(exchange: Exchange) -> bool:
    return exchange.status is not None and exchange.status != 401


def _wrong(ctx: TestContext, key: KeyLogin, right: Values, channel: str) -> Iterator[tuple[str, Values]]:
    """Yield invalid values, by description."""
    yield from _wrong_signatures(right)
    yield from _other_values(ctx, right)
    yield from _left_out(key, right)
    yield from _unknown_keys(ctx, key, right)
    yield from _altered_headers(right) if channel == "headers" else _coerced(right)


def _wrong_signatures(right: Values) -> Iterator[tuple[str, Values]]:
    digest = str(right["hmac"])

    def changed(place: int) -> str:
        return digest[:place] + ("0" if digest[place] != "0" else "1") + digest[place + 1 :]

    for what, value in (
        ("a wrong signature", changed(len(digest) - 1)),
        ("a signature whose first digit is changed", changed(0)),
        ("a signature whose middle digit is changed", changed(len(digest) // 2)),
        ("a signature that begins right", digest[:20]),
        ("a signature without its last digit", digest[:-1]),
        ("a signature of one digit", digest[:1]),
        ("a signature and one character more", f"{digest}0"),
        ("an empty signature", ""),
        ("a signature that is 0", "0"),
        ("a signature that is null", "null"),
        ("another signature of the same 32-bit hash", same_java_hash(digest) or "1"),
    ):
        yield what, {**right, "hmac": value}


def _other_values(ctx: TestContext, right: Values) -> Iterator[tuple[str, Values]]:
    """Yield right signatures with a value other than the signed one."""
    moment, random = right["time"], right["random"]
    for name, value in (("time", moment), ("random", random)):
        others = (
            f"{value}1",
            value[:-1],
            another(ctx.rng, value),
            f"{another(ctx.rng, value[:1])}{value[1:]}",
            f"0{value}",
            f"{value}.0",
            value.swapcase(),
        )
        for other in dict.fromkeys(others):
            if other not in (value, ""):
                yield f"another {name} than was signed", {**right, name: other}


def _left_out(key: KeyLogin, right: Values) -> Iterator[tuple[str, Values]]:
    """Yield missing values, with the signature of all and with signatures of the rest in each order."""
    signed = KEY_VALUES[:3]
    for name in KEY_VALUES:
        yield f"{name} left out", {n: value for n, value in right.items() if n != name}
    for count in (2, 1, 0):
        for signed_names in itertools.permutations(signed, count):
            rest = {name: right[name] for name in signed_names}
            missing = " and ".join(name for name in signed if name not in signed_names)
            digest = mac(key.private, "".join(rest.values()))
            yield f"{missing} left out, with a signature over what remains", {**rest, "hmac": digest}
            yield f"a signature that leaves {missing} out", {**right, "hmac": digest}
    for order in itertools.permutations(signed):
        if order != signed:
            digest = mac(key.private, "".join(right[name] for name in order))
            yield "a signature over the values in another order", {**right, "hmac": digest}


def _unknown_keys(ctx: TestContext, key: KeyLogin, right: Values) -> Iterator[tuple[str, Values]]:
    """Yield unknown keys, signed with values that a missing private key may be converted to."""
    yield "an unknown key", {**right, "apikey": f"{right['apikey']}x"}
    rest = right["time"] + right["random"]
    unknown = another(ctx.rng, key.public)
    for private in ("", "null", "undefined", "None", "false", "0", unknown):
        yield (
            "an unknown key, signed without a private key",
            {**right, "apikey": unknown, "hmac": mac(private, unknown + rest)},
        )
    for name in PROTOTYPE_NAMES[:3]:
        for private in ("", "undefined"):
            yield (
                f"a key named {name}, signed without a private key",
                {**right, "apikey": name, "hmac": mac(private, name + rest)},
            )
    for private in ("", key.public):
        yield (
            "a known key, signed without its private key",
            {**right, "hmac": mac(private, key.public + rest)},
        )
    marked = accented(key.public) or f"{key.public}y"
    near = (("with an accent", marked), ("that is SQL", "' OR '1'='1' -- "), ("that is a pattern", "%"))
    for what, name in near:
        yield f"a key {what}", {**right, "apikey": name, "hmac": mac(key.private, name + rest)}


def _altered_headers(right: Values) -> Iterator[tuple[str, Values]]:
    """Yield header values that may break a parser."""
    for name in KEY_VALUES:
        yield f"{name} with bytes outside ASCII", {**right, name: "\xe9\xff\x80"}
        yield f"{name} of {LONG_VALUE} bytes", {**right, name: (right[name] * LONG_VALUE)[:LONG_VALUE]}
        yield f"an empty {name}", {**right, "hmac": f"{right['hmac'][:-1]}x", name: ""}


def _coerced(right: Values) -> Iterator[tuple[str, Values]]:
    """Yield values of other types, which a loose comparison or a query by example may accept."""
    digest = right["hmac"]
    other_types: tuple[Any, ...] = (True, 0, 1, [], {}, [digest], {"$ne": ""}, None)
    for value in other_types:
        yield f"a signature that is {_named(value, digest)}", {**right, "hmac": value}
    for value in ([right["apikey"]], {"$ne": ""}, True, 0):
        yield f"a key that is {_named(value, right['apikey'])}", {**right, "apikey": value}
    yield "a key and U+0000", {**right, "apikey": f"{right['apikey']}\u0000"}


def _named(value: Any, known: str) -> str:
    if isinstance(value, list):
        return "an array of the right one" if value == [known] else "an empty array"
    if isinstance(value, dict):
        return "an operator" if value else "an empty object"
    return (
        {None: "null", True: "true"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
    )


@judges("AUT-13")
@disturbs_sessions
def test_key_login_with_a_token_of_the_clients_own(ctx: TestContext) -> None:
    """Check against session fixation: a Token that is sent with a key login must not become the session."""
    if ctx.profile.auth.key_login is None:
        return
    check = harmless_check(ctx)
    for login in key_channels(ctx):
        chosen = "".join(ctx.rng.choice("0123456789abcdef") for _ in range(32))
        exchange, found = login.attempt(token=chosen, in_session=False)
        ctx.judge(
            "AUT-13",
            found != chosen,
            kind="a key login adopts the client's token as the session",
            expected="a session of the target's own choosing",
            actual=f"the token that came with the login by {login.channel}",
            exchange=exchange,
        )
        after = check(chosen)
        ctx.status("AUT-13", after, {401}, kind="after a key login the client's own token is a session")
        if isinstance(found, str) and found and found != chosen:
            ctx.sessions.end(ctx.sessions.known(found) or Session("", found))
        _judge_foreign_session(ctx, login.channel)


def _judge_foreign_session(ctx: TestContext, channel: str) -> None:
    """Check that a key login within a user's session does not change that session's user."""
    whoami = ctx.profile.auth.whoami
    if whoami is None or ctx.profile.auth.login is None:
        return
    for user in ctx.profile.users:
        session = ctx.session(user)
        before = ctx.call(whoami.function, as_=user, token=session.token)
        _, found = send_key(
            ctx,
            ctx.sessions.key_login_data(str(int(time.time() * 1000))),
            channel,
            token=session.token,
            in_session=False,
        )
        late = ctx.call(whoami.function, as_=user, token=session.token)
        if before.status == 200 and late.status == 200:
            ctx.judge(
                "AUT-13",
                equal(resolve(before.data, whoami.field), resolve(late.data, whoami.field)),
                kind="a key login turns the session it was sent in into another user's",
                expected="the session stays its own user's",
                actual="it is now the key's user's",
                exchange=late,
            )
        for token in {session.token, found if isinstance(found, str) else session.token}:
            ctx.sessions.end(ctx.sessions.known(token) or Session("", token))


@judges("AUT-14", calls=310)
@disturbs_sessions
def test_identifiers_that_a_key_gives(ctx: TestContext) -> None:
    """Check the identifiers of 200 key logins in the same way as those of password logins."""
    if ctx.profile.auth.key_login is None:
        return
    channels = itertools.cycle(key_channels(ctx))
    exchange, token = next(channels).attempt()
    seconds = exchange.seconds * LOGINS
    if seconds > min(ctx.amount(budgets.MAX_LOGIN_SECONDS), ctx.run.options.deadline / 6):
        ctx.give_up(f"{LOGINS} key logins would take {seconds:.0f} s here; --budget deep makes them")
    tokens: list[str] = []
    for number in range(LOGINS):
        if not isinstance(token, str) or not token:
            raise SetUpFailedError(
                f"key login {number + 1} of {LOGINS} gave no session: {exchange.summary()}", exchange
            )
        tokens.append(token)
        if ctx.profile.auth.logout is not None and number % 2:
            # Closed sessions also free identifiers that might be reused.
            ctx.caller.call(ctx.profile.auth.logout, token=token)
        if number < LOGINS - 1:
            exchange, token = next(channels).attempt()
    if ctx.profile.auth.logout is not None:
        for open_token in tokens[:: 2 * ctx.amount(budgets.LOGOUT_STEP)]:
            ctx.caller.call(ctx.profile.auth.logout, token=open_token)
    judge_identifiers(ctx, tokens, exchange, of=" (by key)")


@judges("AUT-9", "AUT-10", "AUT-8")
@disturbs_sessions
def test_sessions_that_a_key_gives(ctx: TestContext) -> None:
    """Open sessions by key: they must differ, work beside password sessions, and be closed one by one by logout."""
    if ctx.profile.auth.key_login is None:
        return
    check = harmless_check(ctx)
    logins = list(key_channels(ctx))
    sessions = [login.sign_in() for login in (*logins, logins[0])]
    different = ctx.judge(
        "AUT-9",
        len({session.token for session in sessions}) == len(sessions),
        kind="two logins with a key give the same session",
        expected="a new session for each login",
        actual="the same identifier twice",
        function=need_key(ctx).function,
    )
    for session in sessions:
        exchange = check(session.token)
        ctx.judge(
            "AUT-9",
            _alive(exchange),
            kind="of several sessions that a key gave one does not work",
            expected="all sessions work",
            actual=exchange.summary(),
            exchange=exchange,
        )
    if ctx.profile.auth.logout is None or not different:
        for rule in ("AUT-8", "AUT-10"):
            ctx.skip(
                rule,
                "the profile names no logout" if different else "two logins give the same session",
                LINES["logout"],
            )
        return
    mains = [ctx.session(user) for user in ctx.profile.users if ctx.profile.auth.login is not None]
    _judge_endings(ctx, sessions, mains)


def _judge_endings(ctx: TestContext, sessions: list[Session], mains: list[Session]) -> None:
    """Close the sessions of a key one by one; after each, check the closed one and all others."""
    check = harmless_check(ctx)
    rest = [*sessions, *mains]
    for ending in sessions:
        rest.remove(ending)
        if not _alive(check(ending.token)):
            continue
        ended = ctx.sessions.end(ending)
        if ended is None or ended.status != 200:
            ctx.skip(
                "AUT-8",
                f"the logout of a session that a key gave does not succeed: {ended and ended.summary()}",
            )
            continue
        exchange = check(ending.token)
        ctx.status("AUT-8", exchange, {401}, kind="a session that a key gave works after its logout")
        for other in rest:
            exchange = check(other.token)
            ctx.judge(
                "AUT-10",
                _alive(exchange),
                kind="the end of a session that a key gave ends another one",
                expected="the other session works on",
                actual=exchange.summary(),
                exchange=exchange,
            )
    for main in mains:
        ctx.sessions.end(main)
