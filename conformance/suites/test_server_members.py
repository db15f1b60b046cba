"""STA-2, STA-5: what an undeclared member of data must not set: an older object's identifier, what the server keeps."""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.helpers.comparison import bound, equal, read, snapshot
from conformance.helpers.server_members import ServerMember, server_members, taken_over
from conformance.protocol.exchange import Exchange
from conformance.protocol.shown import as_json
from conformance.resources.registry import Resource
from conformance.schema.pointer import MISSING, resolve
from conformance.suites.test_access import makeable
from conformance.suites.test_state import creators


@judges("STA-5", "STA-2", calls=12)
@each_kind(makeable, otherwise="no kind of object can be both made and read")
def test_create_with_the_identifier_of_an_older_object(ctx: TestContext, kind: str) -> None:
    """Create with an undeclared identifier of an older object: it is ignored or refused, and the older one stays."""
    create, reader = ctx.catalog.create(kind), ctx.catalog.read(kind)
    assert create is not None
    assert create.object is not None
    assert reader is not None
    assert reader.object is not None
    user = creators(ctx, kind)[0]
    older = ctx.resources.new(kind, user)
    before = snapshot(ctx, older)
    own = {name: older.id for name in (reader.object.id, "id") if create.param(name) is None}
    if not own:
        ctx.give_up(f"{create.name} declares the identifier of a {kind} as an argument")
    claims = [own] if len(own) == 1 else [own, *({name: value} for name, value in own.items())]
    judged = False
    for claim in ctx.first(claims, budgets.IDENTIFIERS_IN_CREATES):
        exchange = ctx.call(create, {**ctx.valid(create, user), **claim}, as_=user)
        if exchange.status == 200:
            identifier = resolve(exchange.data, create.object.id)
            ctx.judge(
                "STA-5",
                not equal(identifier, older.id),
                kind=f"a create takes the identifier of an older {kind}",
                expected=f"a {kind} with an identifier of its own, or 400",
                actual=f"the identifier {as_json(identifier)} again",
                exchange=exchange,
            )
        judged = True
        after = ctx.witness(read(ctx, older))
        if not ctx.judge(
            "STA-2",
            after.status == 200 and equal(reader.volatile_mask(after.data), before),
            kind=f"a create changes the older {kind} whose identifier it names",
            expected="the older one is as it was",
            actual="it was changed" if after.status == 200 else "it is gone",
            exchange=exchange,
            witness=after,
        ):
            break
        if exchange.status == 200:
            # Refused together with another name, each has to be tried alone.
            break
    if not judged:
        ctx.give_up(f"no {kind} could be made")


@judges("STA-2", calls=15)
@each_kind(makeable, otherwise="no kind of object can be both made and read")
def test_members_that_the_server_keeps(ctx: TestContext, kind: str) -> None:
    """Send members that an object shows and no argument sets, in creates and updates: they must not be taken over."""
    create, update, reader = ctx.catalog.create(kind), ctx.catalog.update(kind), ctx.catalog.read(kind)
    assert create is not None
    assert reader is not None
    user = creators(ctx, kind)[0]
    resource = ctx.resources.new(kind, user)
    members = server_members(ctx, create, reader, _shown(ctx, reader, resource)[0], user)
    judged = _judge_creates(ctx, create, reader, members, user)
    if update is not None and ctx.resources.may_call(user, update) and ctx.resources.harmless(update):
        judged = _judge_updates(ctx, update, reader, resource) or judged
    if not judged:
        ctx.give_up(f"a {kind} shows no member that the server keeps")


def _shown(ctx: TestContext, reader: Method, resource: Resource) -> tuple[Any, Exchange]:
    """Return an object as it is shown, and the exchange."""
    assert reader.object is not None
    exchange = ctx.must(read(ctx, resource), f"could not read a {resource.kind}")
    return resolve(exchange.data, reader.object.at), exchange


def _claims(ctx: TestContext, members: list[ServerMember]) -> list[list[ServerMember]]:
    """Return the members to send at once: all together, then each alone."""
    if len(members) < 2:
        return [members] if members else []
    return [members, *([member] for member in ctx.some(members, budgets.SINGLE_SERVER_MEMBERS))]


def _judge_creates(
    ctx: TestContext, create: Method, reader: Method, members: list[ServerMember], user: str
) -> bool:
    """Create objects with the members; return whether one was made."""
    judged = False
    assert create.object is not None
    for sent in _claims(ctx, members):
        data = {**ctx.valid(create, user), **{member.name: member.value for member in sent}}
        exchange = ctx.call(create, data, as_=user)
        identifier = resolve(exchange.data, create.object.id) if exchange.status == 200 else MISSING
        if identifier is MISSING:
            continue
        judged = True
        shown, witness = _shown(ctx, reader, ctx.resources.resource(create.object.kind, identifier, user))
        suspects = [each for each in sent if _has(shown, each.name) and taken_over(each, shown[each.name])]
        plain: Any = {}
        if suspects:
            # A member may have this value in every object.
            plain, _ = _shown(ctx, reader, ctx.resources.new(create.object.kind, user))
        for member in sent:
            taken = member in suspects and not (
                _has(plain, member.name) and taken_over(member, plain[member.name])
            )
            _judge(ctx, member, not taken, shown, exchange, witness)
        if len(sent) == len(members) and not suspects:
            break
    return judged


def _judge_updates(ctx: TestContext, update: Method, reader: Method, resource: Resource) -> bool:
    """Change an object with the members, after a change without them; return whether one was made."""
    user = resource.user
    plain = ctx.call(update, bound(ctx, update, resource), as_=user)
    if plain.status != 200:
        return False
    before, _ = _shown(ctx, reader, resource)
    members = server_members(ctx, update, reader, before, user)
    judged = False
    for sent in _claims(ctx, members):
        data = {**bound(ctx, update, resource), **{member.name: member.value for member in sent}}
        exchange = ctx.call(update, data, as_=user)
        if exchange.status != 200:
            continue
        judged = True
        after, witness = _shown(ctx, reader, resource)
        for member in sent:
            taken = _has(after, member.name) and taken_over(member, after[member.name])
            _judge(ctx, member, not taken, after, exchange, witness)
        if len(sent) == len(members):
            break
    return judged


def _has(shown: Any, name: str) -> bool:
    return isinstance(shown, dict) and name in shown


def _judge(
    ctx: TestContext, member: ServerMember, good: bool, shown: Any, exchange: Exchange, witness: Exchange
) -> None:
    ctx.judge(
        "STA-2",
        good,
        kind=f"an undeclared member of data sets {member.name}, which the server keeps",
        expected=f"{member.name} is not {as_json(member.value)}, or status 400",
        actual=f"{member.name}: {as_json(shown[member.name])}" if _has(shown, member.name) else "not shown",
        exchange=exchange,
        witness=witness,
    )
