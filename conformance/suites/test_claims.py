"""ACC: rights and ownership cannot be claimed through undeclared members."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, each_user, judges
from conformance.engine.not_judged import ANSWERED, LINES, REFUSED
from conformance.engine.runner import Run
from conformance.helpers.builtin_names import rotated
from conformance.helpers.claims import nested, rights, undeclared
from conformance.helpers.comparison import act, equal, listers, read
from conformance.helpers.identities import learned
from conformance.helpers.matching_filters import shows
from conformance.helpers.sign_in import key_channels
from conformance.protocol.exchange import Exchange
from conformance.protocol.shown import as_json
from conformance.schema.pointer import MISSING, resolve
from conformance.suites.test_access import lacking

Claim = dict[str, Any]


def other_user(ctx: TestContext, user: str) -> str | None:
    """Return another user of the profile, one with the same rights where there is one."""
    others = [
        each for each in ctx.profile.users if ctx.profile.users[each].user != ctx.profile.users[user].user
    ]
    privileges = ctx.resources.privileges
    alike = [each for each in others if privileges(each) == privileges(user)]
    return next(iter([*alike, *others]), None)


def ownership(ctx: TestContext, function: Method, other: str | None) -> list[Claim]:
    """Return members that claim to be another user, each set to be sent at once.

    Login names are left out where a target that accepts them may rename a user of the profile.
    """
    if other is None:
        return []
    known = learned(ctx)
    role = function.object
    safe = function.effect == "read" or (role is not None and ctx.catalog.create(role.kind) is not None)
    return known.claims(other, frozenset() if safe else known.renaming)


def singles(claims: list[Claim]) -> list[Claim]:
    """Return each member of the claims alone, those of the first set first."""
    found = [{name: value} for claim in claims for name, value in claim.items()]
    return list({repr(each): each for each in found}.values())


@judges("ACC-3")
@each_function(
    lambda method: method.effect == "write" and method.auth not in ("none", None),
    otherwise="no function writes",
)
def test_rights_cannot_be_raised_through_data(ctx: TestContext, function: Method) -> None:
    """Send undeclared members: they must not change anyone's rights or other users' objects."""
    ctx.need_writing()
    user = ctx.who(function)
    assert user is not None
    other = other_user(ctx, user)
    claims = ownership(ctx, function, other)
    asked = rights(ctx)
    before = _who_is(ctx, user)
    refused = refused_to(ctx, user)
    if refused is not None:
        refused_at_first(ctx, refused, user)
    together = {**asked, **(claims[0] if claims else {})}
    # One at a time, since a target may refuse the call for one and accept another; and all together.
    one_by_one = rotated(ctx, [{name: value} for name, value in asked.items()], budgets.SINGLE_RIGHTS)
    one_by_one += rotated(ctx, singles(claims[:1]), budgets.SINGLE_OWNERS)
    for claim in [*one_by_one, together, *ctx.first(claims[1:], budgets.FURTHER_CLAIMS)]:
        extra = undeclared(function, claim)
        if extra:
            raising = not asked.keys().isdisjoint(extra)
            _send_claim(ctx, function, functools.partial(_with, extra), user, other, raising)
    _send_nested(ctx, function, together, user, other)
    after = _who_is(ctx, user)
    ctx.judge(
        "ACC-3",
        before is None or after is None or equal(before, after),
        kind="members of data change who the session is",
        expected=as_json(before),
        actual=as_json(after),
        function=function.name,
    )
    judge_rights(ctx, function, user)


def _with(extra: Claim, data: Claim) -> Claim:
    return {**data, **extra}


def _send_nested(ctx: TestContext, function: Method, claim: Claim, user: str, other: str | None) -> None:
    """Send the claim below the top level of data, and beside data."""
    places = list(nested(function, ctx.valid(function, user), undeclared(function, claim)))
    for number in range(len(places)):

        def change(data: Claim, number: int = number) -> Claim:
            found = list(nested(function, data, undeclared(function, claim)))
            return found[number] if number < len(found) else data

        _send_claim(ctx, function, change, user, other, True)
    beside = {
        name: value
        for name, value in claim.items()
        if name not in ("method", "data", "pageStart", "pageLength")
    }
    _send_claim(ctx, function, dict, user, other, True, beside=beside)


def _send_claim(
    ctx: TestContext,
    function: Method,
    change: Callable[[Claim], Claim],
    user: str,
    other: str | None,
    raising: bool,
    *,
    beside: Claim | None = None,
) -> None:
    data = change(ctx.valid(function, user))
    exchange = ctx.call(function, data, as_=user, extra=beside)
    ctx.judge(
        "ACC-3",
        exchange.status is not None and exchange.status < 500,
        kind="members that ask for rights are answered with an internal error",
        expected="ignored, or 400",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=ANSWERED,
    )
    if exchange.status == 200:
        _judge_owner(ctx, function, data, exchange, user, other)
        if raising:
            judge_rights(ctx, function, user)


def _who_is(ctx: TestContext, user: str) -> Any:
    whoami = ctx.profile.auth.whoami
    if whoami is None:
        return None
    answer = ctx.call(whoami.function, as_=user)
    found = resolve(answer.data, whoami.field)
    return found if answer.status == 200 and found != "" else None


def _judge_owner(
    ctx: TestContext, function: Method, data: Claim, exchange: Exchange, user: str, other: str | None
) -> None:
    """Check that the object still belongs to its creator, and to nobody else."""
    role = function.object
    if role is None or role.does not in ("create", "update"):
        return
    reader = ctx.catalog.read(role.kind)
    if reader is None and role.does == "create":
        _judge_listed(ctx, function, data, exchange, user, other)
    if reader is None or ctx.catalog.create(role.kind) is None or not ctx.resources.may_call(user, reader):
        return
    identifier = resolve(exchange.data, role.id) if role.does == "create" else data.get(role.id)
    resource = ctx.resources.resource(role.kind, identifier, user)
    mine = ctx.witness(read(ctx, resource, user))
    good = ctx.judge(
        "ACC-3",
        mine.status == 200,
        kind="an object is given away through data",
        expected=f"the {role.kind} is readable by the user who made it",
        actual="the user who made it cannot read it",
        exchange=exchange,
        witness=mine,
    )
    if other is None or not ctx.resources.may_call(other, reader):
        return
    theirs = act(ctx, reader, resource, other)
    if not good and theirs.status == 200:
        # It is the other user's now, so only they can delete it at the end.
        ctx.resources.forget(role.kind, identifier)
        ctx.resources.enter(role.kind, identifier, other)
    if not ctx.resources.privileges(other) <= ctx.resources.privileges(user):
        return
    ctx.judge(
        "ACC-3",
        theirs.status != 200,
        kind="an object is put among another user's through data",
        expected=f"the {role.kind} is not readable by the user named in data",
        actual="the user named in data can read it",
        exchange=exchange,
        witness=theirs,
    )


def _judge_listed(
    ctx: TestContext, function: Method, data: Claim, exchange: Exchange, user: str, other: str | None
) -> None:
    """Check that the lists of its creator show a new object that no function reads."""
    role = function.object
    assert role is not None
    made = ctx.resources.resource(role.kind, resolve(exchange.data, role.id), user)
    lister = next(listers(ctx, role.kind, user, replace(made, sent=data)), None)
    if lister is None:
        return
    shown = shows(lister, made)
    ctx.judge(
        "ACC-3",
        shown or lister.last is None or lister.last.status != 200,
        kind="an object is given away through data",
        expected=f"the {role.kind} is in the list of the user who made it",
        actual="the list of the user who made it does not show it",
        exchange=exchange,
        witness=lister.last,
    )
    theirs = None if shown or other is None else next(listers(ctx, role.kind, other, made), None)
    if theirs is not None and other is not None and shows(theirs, made):
        # It is the other user's now, so only they can delete it at the end.
        ctx.resources.forget(role.kind, made.id)
        ctx.resources.enter(role.kind, made.id, other)


def judge_rights(ctx: TestContext, function: Method, user: str) -> None:
    """Check that functions of another role still refuse the user, in the old session and in a new one."""
    method = refused_to(ctx, user)
    if method is None or not refused_at_first(ctx, method, user):
        return
    data = ctx.data_for(method, user)
    sessions = [ctx.sessions.of(user)]
    if not ctx.quick:
        sessions.append(ctx.session(user))
    for session in sessions:
        exchange = ctx.call(method, data, as_=user, token=session.token)
        ctx.judge(
            "ACC-3",
            exchange.status != 200,
            kind="members of data raise the caller's rights",
            expected=f"{method.name} is still refused",
            actual=exchange.summary(),
            exchange=exchange,
            function=function.name,
        )
    if len(sessions) > 1:
        ctx.sessions.end(sessions[1])


def refused_to(ctx: TestContext, user: str) -> Method | None:
    """Return a read function whose role the user lacks."""
    return next(
        (
            method
            for method in ctx.catalog.methods.values()
            if method.auth not in ("none", "session", None)
            and method.effect == "read"
            and not ctx.resources.may_call(user, method)
        ),
        None,
    )


_FIRST: WeakKeyDictionary[Run, dict[tuple[str, str], bool]] = WeakKeyDictionary()


def refused_at_first(ctx: TestContext, method: Method, user: str) -> bool:
    """Return whether a function refused a user before anything was claimed; otherwise ACC-1 reports it.

    This is checked once per run, since rights that a target has granted remain and must show in the confirmation.
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
def test_reads_show_nobody_elses_data(ctx: TestContext, function: Method) -> None:
    """Send undeclared members to read functions: they must not show more than without them."""
    user = ctx.who(function)
    assert user is not None
    claims = ownership(ctx, function, other_user(ctx, user))
    together = {**rights(ctx), **(claims[0] if claims else {})}
    for claim in [
        *rotated(ctx, singles([together]), budgets.SINGLE_CLAIMS_OF_READS),
        together,
        *ctx.first(claims[1:], budgets.FURTHER_CLAIMS),
    ]:
        extra = undeclared(function, claim)
        if extra:
            _compare(ctx, function, user, ctx.valid(function, user, optional="none"), extra)
    beside = {name: value for name, value in together.items() if name not in ("method", "data")}
    _compare(ctx, function, user, ctx.valid(function, user, optional="none"), {}, beside)


def _compare(
    ctx: TestContext, function: Method, user: str, data: Claim, extra: Claim, beside: Claim | None = None
) -> None:
    """Check that a read with undeclared members shows the same as without them, or is refused."""
    plain = ctx.call(function, data, as_=user)
    claimed = ctx.call(function, {**data, **extra}, as_=user, extra=beside)
    if plain.status != 200 or claimed.status != 200:
        ctx.judge(
            "ACC-3",
            claimed.status != 200 or plain.status != 403,
            kind="members of data open what is refused without them",
            expected=f"refused, as without them ({plain.summary()})",
            actual=claimed.summary(),
            exchange=claimed,
        )
        return
    good = not _shows_more(function, plain, claimed) or _shows_more(
        function, plain, ctx.call(function, data, as_=user)
    )
    ctx.judge(
        "ACC-3",
        good,
        kind="members of data show what is not shown without them",
        expected="what the same call shows without the undeclared members, or a refusal",
        actual="other data",
        exchange=claimed,
    )


def _shows_more(function: Method, plain: Exchange, claimed: Exchange) -> bool:
    """Return whether a response has rows that the plain one lacks or, where it has no rows, whether it differs."""
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
def test_a_role_cannot_be_claimed(ctx: TestContext, function: Method) -> None:
    """Claim rights in `data`: a function whose role the caller lacks must still refuse."""
    ctx.need_users()
    without = lacking(ctx, function)
    having = ctx.resources.callers(function)
    if not without:
        ctx.give_up(f"every user of the profile has the role {function.auth!r}", LINES["peer"])
    user = without[0]
    if not refused_at_first(ctx, function, user):
        ctx.give_up("it is not refused without such members either, which ACC-1 judges")
    data = ctx.valid(function, having[0]) if having else ctx.data_for(function, user)
    asked = {**rights(ctx), "role": function.auth, "roles": [function.auth], "userRole": function.auth}
    claims = ownership(ctx, function, having[0] if having else None)
    together = {**asked, **(claims[0] if claims else {})}
    sets: list[tuple[Claim, dict[str, Any]]] = [
        ({**data, **undeclared(function, claim)}, {})
        for claim in [
            *rotated(ctx, singles([together]), budgets.SINGLE_CLAIMS_OF_WRITES),
            together,
            *claims[1:],
        ]
    ]
    sets += [(inside, {}) for inside in nested(function, data, undeclared(function, together))]
    beside = {name: value for name, value in together.items() if name not in ("method", "data")}
    sets.append((data, {"extra": beside}))
    for sent, options in sets:
        exchange = ctx.call(function, sent, as_=user, **options)
        ctx.judge(
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
def test_rights_cannot_be_asked_for_at_sign_in(ctx: TestContext, user: str) -> None:
    """Sign in with undeclared members: the session must be the same as without them."""
    ctx.need_writing()
    login = ctx.catalog.methods.get(ctx.sessions.login.function) or Method(ctx.sessions.login.function)
    other = other_user(ctx, user)
    together = {**rights(ctx), **next(iter(ownership(ctx, login, other)), {})}
    right = ctx.sessions.credentials(user)
    sets = [
        undeclared(login, claim)
        for claim in [*rotated(ctx, singles([together]), budgets.SINGLE_CLAIMS_OF_LOGINS), together]
    ]
    datas = [{**right, **claim} for claim in sets if claim.keys() - right.keys()]
    datas = [{**data, **right} for data in datas]
    datas += list(nested(login, right, undeclared(login, together)))
    before = _who_is(ctx, user)
    refused = refused_to(ctx, user)
    if refused is not None:
        refused_at_first(ctx, refused, user)
    for data in datas:
        exchange, token = ctx.sessions.attempt(data, user=user)
        _judge_session(ctx, user, exchange, token, before)


def _judge_session(ctx: TestContext, user: str, exchange: Exchange, token: Any, before: Any) -> None:
    """Check that a session is the user's, and has no more rights than the user."""
    ctx.judge(
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
    whoami = ctx.profile.auth.whoami
    if whoami is not None and before is not None:
        answer = ctx.call(whoami.function, as_=user, token=token)
        found = resolve(answer.data, whoami.field)
        ctx.judge(
            "ACC-3",
            answer.status != 200 or found is MISSING or equal(found, before),
            kind="members of a login's data change whose session it gives",
            expected=f"{whoami.field} is {as_json(before)}",
            actual=f"{whoami.field} is {as_json(found)}",
            exchange=exchange,
            witness=answer,
        )
    method = refused_to(ctx, user)
    if method is not None and refused_at_first(ctx, method, user):
        answer = ctx.call(method, ctx.data_for(method, user), as_=user, token=token)
        ctx.judge(
            "ACC-3",
            answer.status != 200,
            kind="members of a login's data raise the rights of the session",
            expected=f"{method.name} is still refused",
            actual=f"{method.name} succeeds in the session",
            exchange=exchange,
            witness=answer,
        )
    session = ctx.sessions.known(token)
    if session is not None:
        ctx.sessions.end(session)


@judges("ACC-3")
def test_rights_cannot_be_asked_for_by_key(ctx: TestContext) -> None:
    """Sign in by key with undeclared members: the session must be the key's own user's, with that user's rights."""
    key, whoami = ctx.profile.auth.key_login, ctx.profile.auth.whoami
    if key is None or whoami is None or not ctx.run.writable:
        return
    function = ctx.catalog.methods.get(key.function) or Method(key.function)
    roles = [
        method
        for method in ctx.catalog.methods.values()
        if method.auth not in ("none", "session", None) and method.effect == "read"
    ]
    claims = [rights(ctx)]
    for user in ctx.profile.users if ctx.profile.auth.login is not None else ():
        claims += learned(ctx).claims(user)[:1]
    for login in key_channels(ctx):
        plain = login.sign_in()
        asked = [(method, ctx.data_for(method, None)) for method in roles[:1]]
        own = _seen_by(ctx, plain.token, asked)
        for claim in claims:
            extra = undeclared(function, claim)
            exchange, token = login.attempt(claim=extra)
            if exchange.status == 200 and isinstance(token, str) and token:
                ctx.judge(
                    "ACC-3",
                    _seen_by(ctx, token, asked) == own,
                    kind="members of a key login change whose session it gives, or its rights",
                    expected="the session that the key gives without them",
                    actual="a session of another user, or with other rights",
                    exchange=exchange,
                )
                session = ctx.sessions.known(token)
                if session is not None:
                    ctx.sessions.end(session)
        ctx.sessions.end(plain)


def _seen_by(ctx: TestContext, token: str, functions: list[tuple[Method, Claim]]) -> list[Any]:
    """Return whose session it is, and whether it may call the functions."""
    whoami = ctx.profile.auth.whoami
    assert whoami is not None
    answer = ctx.call(whoami.function, token=token)
    found = resolve(answer.data, whoami.field) if answer.status == 200 else MISSING
    return [repr(found), *(ctx.call(method, data, token=token).status == 200 for method, data in functions)]
