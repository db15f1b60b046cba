"""ACC: rights and ownership cannot be claimed through members that nobody declared."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from conformance.builtin_names import rotated
from conformance.claims import nested, rights, undeclared
from conformance.identities import learned
from conformance.protocol.catalog import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.pointer import MISSING, resolve
from conformance.protocol.shown import as_json
from conformance.run import ANSWERED, LINES, REFUSED, Run, Talk
from conformance.sign_in import key_channels
from conformance.suite import each_function, each_user, judges
from conformance.test_access import lacking
from conformance.watch import act, equal, read

Claim = dict[str, Any]


def other_user(ctx: Talk, user: str) -> str | None:
    """Return another user of the profile, one with the same rights where there is one."""
    others = [
        each for each in ctx.profile.users if ctx.profile.users[each].user != ctx.profile.users[user].user
    ]
    privileges = ctx.estate.privileges
    alike = [each for each in others if privileges(each) == privileges(user)]
    return next(iter([*alike, *others]), None)


def ownership(ctx: Talk, function: Method, other: str | None) -> list[Claim]:
    """Return members that claim to be another user, each set to be sent at once.

    Names with which users sign in are left out where a target that heeds them may rename a user of the profile.
    """
    if other is None:
        return []
    known = learned(ctx)
    role = function.object
    safe = function.effect == "read" or (role is not None and ctx.catalog.create(role.kind) is not None)
    return known.claims(other, frozenset() if safe else known.renaming)


def singles(claims: list[Claim]) -> list[Claim]:
    """Return each member of the claims by itself, those of the first set before the others."""
    found = [{name: value} for claim in claims for name, value in claim.items()]
    return list({repr(each): each for each in found}.values())


@judges("ACC-3")
@each_function(
    lambda method: method.effect == "write" and method.auth not in ("none", None),
    otherwise="no function writes",
)
def test_rights_cannot_be_raised_through_data(talk: Talk, function: Method) -> None:
    """Members that the function does not declare change nobody's rights and nobody else's objects."""
    talk.need_writing()
    user = talk.who(function)
    assert user is not None
    other = other_user(talk, user)
    claims = ownership(talk, function, other)
    asked = rights(talk)
    before = _who_is(talk, user)
    refused = _refused_to(talk, user)
    if refused is not None:
        _refused_at_first(talk, refused, user)
    together = {**asked, **(claims[0] if claims else {})}
    # One at a time, since a target may refuse the call for one and heed another; and all together.
    one_by_one = rotated(talk, [{name: value} for name, value in asked.items()], 1, 6)
    one_by_one += rotated(talk, singles(claims[:1]), 1, 10)
    for claim in [*one_by_one, together, *claims[1 : 2 if talk.quick else None]]:
        extra = undeclared(function, claim)
        if extra:
            raising = not asked.keys().isdisjoint(extra)
            _send_claim(talk, function, functools.partial(_with, extra), user, other, raising)
    _send_nested(talk, function, together, user, other)
    after = _who_is(talk, user)
    talk.judge(
        "ACC-3",
        before is None or after is None or equal(before, after),
        kind="members of data change who the session is",
        expected=as_json(before),
        actual=as_json(after),
        function=function.name,
    )
    _judge_rights(talk, function, user)


def _with(extra: Claim, data: Claim) -> Claim:
    return {**data, **extra}


def _send_nested(talk: Talk, function: Method, claim: Claim, user: str, other: str | None) -> None:
    """Send the claim below the top level of data, and beside data."""
    places = list(nested(function, talk.valid(function, user), undeclared(function, claim)))
    for number in range(len(places)):

        def change(data: Claim, number: int = number) -> Claim:
            found = list(nested(function, data, undeclared(function, claim)))
            return found[number] if number < len(found) else data

        _send_claim(talk, function, change, user, other, True)
    beside = {
        name: value
        for name, value in claim.items()
        if name not in ("method", "data", "pageStart", "pageLength")
    }
    _send_claim(talk, function, dict, user, other, True, beside=beside)


def _send_claim(
    talk: Talk,
    function: Method,
    change: Callable[[Claim], Claim],
    user: str,
    other: str | None,
    raising: bool,
    *,
    beside: Claim | None = None,
) -> None:
    data = change(talk.valid(function, user))
    exchange = talk.call(function, data, as_=user, extra=beside)
    talk.judge(
        "ACC-3",
        exchange.status is not None and exchange.status < 500,
        kind="members that ask for rights are answered with an internal error",
        expected="ignored, or 400",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=ANSWERED,
    )
    if exchange.status == 200:
        _judge_owner(talk, function, data, exchange, user, other)
        if raising:
            _judge_rights(talk, function, user)


def _who_is(talk: Talk, user: str) -> Any:
    whoami = talk.profile.auth.whoami
    if whoami is None:
        return None
    answer = talk.call(whoami.function, as_=user)
    found = resolve(answer.data, whoami.field)
    return found if answer.status == 200 and found != "" else None


def _judge_owner(
    talk: Talk, function: Method, data: Claim, exchange: Exchange, user: str, other: str | None
) -> None:
    """Judge that what was made or changed still belongs to the one who made it, and to nobody else."""
    role = function.object
    if role is None or role.does not in ("create", "update"):
        return
    reader = talk.catalog.read(role.kind)
    if reader is None or talk.catalog.create(role.kind) is None or not talk.estate.may_call(user, reader):
        return
    identifier = resolve(exchange.data, role.id) if role.does == "create" else data.get(role.id)
    thing = talk.estate.thing(role.kind, identifier, user)
    mine = talk.witness(read(talk, thing, user))
    good = talk.judge(
        "ACC-3",
        mine.status == 200,
        kind="an object is given away through data",
        expected=f"the {role.kind} is readable by the user who made it",
        actual="the user who made it cannot read it",
        exchange=exchange,
        witness=mine,
    )
    if other is None or not talk.estate.may_call(other, reader):
        return
    theirs = act(talk, reader, thing, other)
    if not good and theirs.status == 200:
        # It is the other user's now, and only that one can remove it at the end.
        talk.estate.forget(role.kind, identifier)
        talk.estate.enter(role.kind, identifier, other)
    if not talk.estate.privileges(other) <= talk.estate.privileges(user):
        return
    talk.judge(
        "ACC-3",
        theirs.status != 200,
        kind="an object is put among another user's through data",
        expected=f"the {role.kind} is not readable by the user named in data",
        actual="the user named in data can read it",
        exchange=exchange,
        witness=theirs,
    )


def _judge_rights(talk: Talk, function: Method, user: str) -> None:
    """Judge that the user is still refused what is for another role, in the old session and in a new one."""
    method = _refused_to(talk, user)
    if method is None or not _refused_at_first(talk, method, user):
        return
    data = talk.data_for(method, user)
    sessions = [talk.sessions.of(user)]
    if not talk.quick:
        sessions.append(talk.session(user))
    for session in sessions:
        exchange = talk.call(method, data, as_=user, token=session.token)
        talk.judge(
            "ACC-3",
            exchange.status != 200,
            kind="members of data raise the caller's rights",
            expected=f"{method.name} is still refused",
            actual=exchange.summary(),
            exchange=exchange,
            function=function.name,
        )
    if len(sessions) > 1:
        talk.sessions.end(sessions[1])


def _refused_to(talk: Talk, user: str) -> Method | None:
    """Return a function that reads and that the user lacks the role for."""
    return next(
        (
            method
            for method in talk.catalog.methods.values()
            if method.auth not in ("none", "session", None)
            and method.effect == "read"
            and not talk.estate.may_call(user, method)
        ),
        None,
    )


_FIRST: WeakKeyDictionary[Run, dict[tuple[str, str], bool]] = WeakKeyDictionary()


def _refused_at_first(ctx: Talk, method: Method, user: str) -> bool:
    """Whether a function was refused to a user before anything was claimed; where it was not, ACC-1 says so.

    It is asked once in a run: rights that a target has given stay given, and are seen again in the confirmation.
    """
    known = _FIRST.setdefault(ctx.run, {})
    if (method.name, user) not in known:
        exchange = ctx.call(method, ctx.data_for(method, user), as_=user)
        known[method.name, user] = exchange.status in (400, 401, 403, 404)
    return known[method.name, user]


@judges("ACC-3")
@each_function(
    lambda method: method.effect == "read" and method.auth not in ("none", None),
    otherwise="no function that needs a session reads",
)
def test_reads_show_nobody_elses_data(talk: Talk, function: Method) -> None:
    """Members that a reading function does not declare show nothing that it does not show without them."""
    user = talk.who(function)
    assert user is not None
    claims = ownership(talk, function, other_user(talk, user))
    together = {**rights(talk), **(claims[0] if claims else {})}
    for claim in [
        *rotated(talk, singles([together]), 1, 8),
        together,
        *claims[1 : 2 if talk.quick else None],
    ]:
        extra = undeclared(function, claim)
        if extra:
            _compare(talk, function, user, talk.valid(function, user, optional="none"), extra)
    beside = {name: value for name, value in together.items() if name not in ("method", "data")}
    _compare(talk, function, user, talk.valid(function, user, optional="none"), {}, beside)


def _compare(
    talk: Talk, function: Method, user: str, data: Claim, extra: Claim, beside: Claim | None = None
) -> None:
    """Judge that a read with undeclared members shows what it shows without them, or is refused."""
    plain = talk.call(function, data, as_=user)
    claimed = talk.call(function, {**data, **extra}, as_=user, extra=beside)
    if plain.status != 200 or claimed.status != 200:
        talk.judge(
            "ACC-3",
            claimed.status != 200 or plain.status != 403,
            kind="members of data open what is refused without them",
            expected=f"refused, as without them ({plain.summary()})",
            actual=claimed.summary(),
            exchange=claimed,
        )
        return
    good = not _shows_more(function, plain, claimed) or _shows_more(
        function, plain, talk.call(function, data, as_=user)
    )
    talk.judge(
        "ACC-3",
        good,
        kind="members of data show what is not shown without them",
        expected="what the same call shows without the undeclared members, or a refusal",
        actual="other data",
        exchange=claimed,
    )


def _shows_more(function: Method, plain: Exchange, claimed: Exchange) -> bool:
    """Whether an answer has rows that the plain one has not; or, where it has no rows, whether it differs at all."""
    hidden = function.volatile_mask
    before, after = hidden(plain.data), hidden(claimed.data)
    if function.rows is None:
        return not equal(before, after)
    rows = [resolve(data, function.rows) for data in (before, after)]
    if not all(isinstance(each, list) for each in rows):
        return not equal(before, after)
    return any(not any(equal(row, known) for known in rows[0]) for row in rows[1][:200])


@judges("ACC-3")
@each_function(
    lambda method: method.auth not in ("none", "session", None),
    otherwise="no function of the catalogue asks for a role",
)
def test_a_role_cannot_be_claimed(talk: Talk, function: Method) -> None:
    """A function of a role that the caller lacks stays refused, whatever rights `data` claims."""
    talk.need_users()
    without = lacking(talk, function)
    having = talk.estate.callers(function)
    if not without:
        talk.give_up(f"every user of the profile has the role {function.auth!r}", LINES["peer"])
    user = without[0]
    if not _refused_at_first(talk, function, user):
        talk.give_up("it is not refused without such members either, which ACC-1 judges")
    data = talk.valid(function, having[0]) if having else talk.data_for(function, user)
    asked = {**rights(talk), "role": function.auth, "roles": [function.auth], "userRole": function.auth}
    claims = ownership(talk, function, having[0] if having else None)
    together = {**asked, **(claims[0] if claims else {})}
    sets: list[tuple[Claim, dict[str, Any]]] = [
        ({**data, **undeclared(function, claim)}, {})
        for claim in [*rotated(talk, singles([together]), 6, 40), together, *claims[1:]]
    ]
    sets += [(inside, {}) for inside in nested(function, data, undeclared(function, together))]
    beside = {name: value for name, value in together.items() if name not in ("method", "data")}
    sets.append((data, {"extra": beside}))
    for sent, options in sets:
        exchange = talk.call(function, sent, as_=user, **options)
        talk.judge(
            "ACC-3",
            exchange.status != 200,
            kind="members of data open a function of a role that the caller lacks",
            expected="refused, as without them",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=REFUSED,
        )


@judges("ACC-3")
@each_user()
def test_rights_cannot_be_asked_for_at_sign_in(talk: Talk, user: str) -> None:
    """A login with undeclared members gives the session that it gives without them."""
    talk.need_writing()
    login = talk.catalog.methods.get(talk.sessions.login.function) or Method(talk.sessions.login.function)
    other = other_user(talk, user)
    together = {**rights(talk), **next(iter(ownership(talk, login, other)), {})}
    right = talk.sessions.credentials(user)
    sets = [undeclared(login, claim) for claim in [*rotated(talk, singles([together]), 2, 12), together]]
    datas = [{**right, **claim} for claim in sets if claim.keys() - right.keys()]
    datas = [{**data, **right} for data in datas]
    datas += list(nested(login, right, undeclared(login, together)))
    before = _who_is(talk, user)
    refused = _refused_to(talk, user)
    if refused is not None:
        _refused_at_first(talk, refused, user)
    for data in datas:
        exchange, token = talk.sessions.attempt(data, user=user)
        _judge_session(talk, user, exchange, token, before)


def _judge_session(talk: Talk, user: str, exchange: Exchange, token: Any, before: Any) -> None:
    """Judge that a session is the user's, and has no more rights than the user has."""
    talk.judge(
        "ACC-3",
        exchange.status is not None and exchange.status < 500,
        kind="a login with members that ask for rights is answered with an internal error",
        expected="the usual session, or 400",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=ANSWERED,
    )
    if exchange.status != 200 or not isinstance(token, str) or not token:
        return
    whoami = talk.profile.auth.whoami
    if whoami is not None and before is not None:
        answer = talk.call(whoami.function, as_=user, token=token)
        found = resolve(answer.data, whoami.field)
        talk.judge(
            "ACC-3",
            answer.status != 200 or found is MISSING or equal(found, before),
            kind="members of a login's data change whose session it gives",
            expected=f"{whoami.field} is {as_json(before)}",
            actual=f"{whoami.field} is {as_json(found)}",
            exchange=exchange,
            witness=answer,
        )
    method = _refused_to(talk, user)
    if method is not None and _refused_at_first(talk, method, user):
        answer = talk.call(method, talk.data_for(method, user), as_=user, token=token)
        talk.judge(
            "ACC-3",
            answer.status != 200,
            kind="members of a login's data raise the rights of the session",
            expected=f"{method.name} is still refused",
            actual=f"{method.name} succeeds in the session",
            exchange=exchange,
            witness=answer,
        )
    session = talk.sessions.known(token)
    if session is not None:
        talk.sessions.end(session)


@judges("ACC-3")
def test_rights_cannot_be_asked_for_by_key(talk: Talk) -> None:
    """A key login with undeclared members gives a session of the key's own user, with that user's rights."""
    key, whoami = talk.profile.auth.key_login, talk.profile.auth.whoami
    if key is None or whoami is None or not talk.run.writable:
        return
    function = talk.catalog.methods.get(key.function) or Method(key.function)
    roles = [
        method
        for method in talk.catalog.methods.values()
        if method.auth not in ("none", "session", None) and method.effect == "read"
    ]
    claims = [rights(talk)]
    for user in talk.profile.users if talk.profile.auth.login is not None else ():
        claims += learned(talk).claims(user)[:1]
    for login in key_channels(talk):
        plain = login.sign_in()
        asked = [(method, talk.data_for(method, None)) for method in roles[:1]]
        own = _seen_by(talk, plain.token, asked)
        for claim in claims:
            extra = undeclared(function, claim)
            exchange, token = login.attempt(claim=extra)
            if exchange.status == 200 and isinstance(token, str) and token:
                talk.judge(
                    "ACC-3",
                    _seen_by(talk, token, asked) == own,
                    kind="members of a key login change whose session it gives, or its rights",
                    expected="the session that the key gives without them",
                    actual="a session of another user, or with other rights",
                    exchange=exchange,
                )
                session = talk.sessions.known(token)
                if session is not None:
                    talk.sessions.end(session)
        talk.sessions.end(plain)


def _seen_by(talk: Talk, token: str, functions: list[tuple[Method, Claim]]) -> list[Any]:
    """Return who a session is, and whether it may call the functions."""
    whoami = talk.profile.auth.whoami
    assert whoami is not None
    answer = talk.call(whoami.function, token=token)
    found = resolve(answer.data, whoami.field) if answer.status == 200 else MISSING
    return [repr(found), *(talk.call(method, data, token=token).status == 200 for method, data in functions)]
