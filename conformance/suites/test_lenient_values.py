"""REQ-1, REQ-6 to REQ-9 and DAT-2: what a lenient reader takes for the valid call must be refused."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.coverage import Gap
from conformance.engine.markers import each_endpoint, each_function, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.generation.lenient_values import (
    LenientValue,
    lenient_values,
    respelled_members,
    spellings_of_name,
)
from conformance.generation.payloads import OPERATORS
from conformance.helpers.builtin_names import position_of, rotated
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.helpers.probing import prober, probing_status, send_probe
from conformance.protocol.client import compact
from conformance.protocol.session import SetUpFailedError


def _works(fuzz_target: FuzzTarget) -> dict[str, Any]:
    """Return valid data with which the function succeeds.

    Raises:
        NotJudgedError: it does not succeed, so that a refusal shows nothing.

    """
    for optional in ("all", "none"):
        data = fuzz_target.fit(
            fuzz_target.ctx.valid(fuzz_target.function, fuzz_target.user, optional=optional)
        )
        exchange = fuzz_target.send(data)
        fuzz_target.clear(exchange, data)
        if exchange.status == 200:
            return dict(data)
    raise NotJudgedError(
        f"valid data does not succeed: {fuzz_target.function.name} gave {exchange.summary()}"
    )


def _sendable(fuzz_target: FuzzTarget, found: Iterator[LenientValue]) -> list[LenientValue]:
    """Return the values that may be sent: not those that could name an object that the run did not make."""
    ctx, function = fuzz_target.ctx, fuzz_target.function
    return [
        each for each in found if not fuzz_target.hands_off(each.parameter) and ctx.safe(function, each.data)
    ]


def _takes_arguments(method: Method) -> bool:
    return bool(method.params)


@judges("REQ-8", "REQ-9", calls=20)
@each_function(_takes_arguments, otherwise="no function has arguments")
def test_values_that_lenient_readers_convert(ctx: TestContext, function: Method) -> None:
    """Send values that lenient readers convert to the valid value, at every depth: each must be refused."""
    fuzz_target = FuzzTarget(ctx, function)
    if fuzz_target.login:
        ctx.give_up("the tests of logins send such values")
    with fuzz_target:
        data = _works(fuzz_target)
        # What is consumed by the control call is not there any more.
        data = data if fuzz_target.cost == 1 else fuzz_target.fit(ctx.valid(function, fuzz_target.user))
        found = list(lenient_values(function, data))
        every = _sendable(fuzz_target, iter(found))
        sendable = set(map(id, every))
        for each in found:
            gap = Gap.BUDGET if id(each) in sendable else Gap.OBJECT
            ctx.run.coverage.add_planned(function.name, each.pointer, each.group, gap)
        for each in _spread(ctx, every):
            _judge_refused(fuzz_target, each, "the schema allows no such value")


def _spread(ctx: TestContext, every: list[LenientValue]) -> list[LenientValue]:
    """Return the values to send: all of them, or in a quick run one of each group at each place, in turn."""
    if not ctx.quick or ctx.only is not None:
        return [each for each in every if ctx.seeks(each.rule, f"{each.kind} is not refused")]
    groups: dict[tuple[str, str], list[LenientValue]] = {}
    for each in every:
        groups.setdefault((each.pointer, each.group), []).append(each)
    turn = position_of(ctx) + ctx.rng.randrange(60)
    return [found[(turn + number) % len(found)] for number, found in enumerate(groups.values())]


def _judge_refused(fuzz_target: FuzzTarget, each: LenientValue, because: str) -> None:
    exchange = fuzz_target.send(each.data)
    fuzz_target.clear(exchange, each.data)
    fuzz_target.count("lenient", exchange, valid=False, place=(each.parameter, f"{each.pointer} type"))
    outcome = "refused_as_due" if exchange.status == 400 else "not_refused"
    fuzz_target.ctx.run.coverage.add_cell(fuzz_target.function.name, each.pointer, each.group, outcome)
    fuzz_target.ctx.status(each.rule, exchange, {400}, kind=f"{each.kind} is not refused", because=because)


@judges("REQ-6")
@each_function(_takes_arguments, otherwise="no function has arguments")
def test_arguments_in_another_container(ctx: TestContext, function: Method) -> None:
    """Send the valid arguments by position in an array, and as JSON text: both must be refused."""
    user = ctx.who(function)
    data = ctx.data_for(function, user)
    if not data:
        ctx.give_up("no valid data can be made")
    ordered = [data[param.name] for param in function.params if param.name in data]
    forms: list[tuple[str, Any]] = [
        ("by position in an array", ordered),
        ("as JSON text", compact(data).decode()),
        ("in an array", [data]),
    ]
    for what, sent in rotated(ctx, forms, budgets.ARGUMENT_CONTAINERS):
        exchange = ctx.call(function, sent, as_=user)
        ctx.status("REQ-6", exchange, {400}, kind=f"valid arguments {what} are not refused")


@judges("REQ-7", calls=10)
@each_function(
    lambda method: any(param.required for param in method.params),
    otherwise="no function has a required argument",
)
def test_required_members_under_another_name(ctx: TestContext, function: Method) -> None:
    """Send a required member under another spelling of its name alone: it is left out, so the call must be refused."""
    fuzz_target = FuzzTarget(ctx, function)
    if fuzz_target.login:
        ctx.give_up("the tests of logins send such data")
    with fuzz_target:
        data = _works(fuzz_target)
        data = data if fuzz_target.cost == 1 else fuzz_target.fit(ctx.valid(function, fuzz_target.user))
        every = _sendable(fuzz_target, respelled_members(function, data))
        groups: dict[str, list[LenientValue]] = {}
        for each in every:
            groups.setdefault(_spelling_group(each.family), []).append(each)
        for each in (
            each for group in groups.values() for each in rotated(ctx, group, budgets.RESPELLED_MEMBERS)
        ):
            _judge_refused(fuzz_target, each, "the member of the declared name is left out")


#: Spellings of a name that are read by different mechanisms, by the words that distinguish them.
_SPELLING_WORDS = ("case", "capital", "underscores", "hyphens", "brackets", "zero-width")


def _spelling_group(family: str) -> str:
    """Return what spellings have in common that one mechanism reads: letters of another case, signs, or blanks."""
    found = next((word for word in _SPELLING_WORDS if word in family), "blank")
    return {"capital": "case", "hyphens": "underscores"}.get(found, found)


@judges("REQ-1")
@each_endpoint()
def test_method_under_another_name(ctx: TestContext, endpoint: str) -> None:
    """Send a valid call whose method stands under another spelling of its name: it names no function."""
    endpoint = endpoint or ctx.endpoint()
    user = prober(ctx, endpoint)
    functions = [
        method
        for method in ctx.catalog
        if method.entity == endpoint and method.effect == "read" and method.name not in ctx.caller.logins
    ]
    function = next(
        (each for each in functions if each.auth == "none" or (user and ctx.resources.may_call(user, each))),
        None,
    )
    if function is None:
        ctx.give_up(f"no function of {endpoint} can be called without consequences")
    data = ctx.data_for(function, user)
    for what, name in rotated(ctx, spellings_of_name("method"), budgets.SPELLINGS_OF_METHOD):
        exchange = send_probe(ctx, endpoint, compact({name: function.function, "data": data}))
        probing_status(
            ctx,
            "REQ-1",
            exchange,
            {400},
            endpoint=endpoint,
            kind="a method under another name is not refused",
            because=f"method is left out, and {what.replace('its name', 'the name')} is given",
        )


# -- operators -----------------------------------------------------------------------------------------------


def _identifying(method: Method) -> list[str]:
    """Return the arguments that identify an object: the function's own, and those of others."""
    role = method.object
    own = [role.id] if role is not None and role.does in ("read", "update", "delete") else []
    return list(dict.fromkeys([*own, *(param.name for param in method.params if param.ref)]))


@judges("DAT-2", calls=6)
@each_function(lambda method: bool(_identifying(method)), otherwise="no function takes an identifier")
def test_operators_as_identifiers(ctx: TestContext, function: Method) -> None:
    """Send operators of query languages in place of an identifier: each must be refused.

    Functions that write get only those that can match no other object than one of the run's own.
    """
    fuzz_target = FuzzTarget(ctx, function)
    with fuzz_target:
        data = _works(fuzz_target)
        for name in _identifying(function):
            if name not in data:
                continue
            # Where the call consumes an object, the operators name another one.
            if fuzz_target.cost > 1:
                try:
                    data = fuzz_target.fit(ctx.valid(function, fuzz_target.user))
                except SetUpFailedError:
                    return
            for what, value in _operators(ctx, data[name]):
                sent = {**data, name: value}
                if fuzz_target.allows(sent) or not ctx.safe(function, sent):
                    continue
                exchange = fuzz_target.send(sent)
                fuzz_target.clear(exchange, sent)
                ctx.status(
                    "DAT-2",
                    exchange,
                    {400},
                    kind=f"an operator as {name} is not refused",
                    because=f"{name} is an operator ({what})",
                )


def _operators(ctx: TestContext, identifier: Any) -> list[tuple[str, Any]]:
    """Return (name, value): operators that match any object, and those that match the object itself."""
    every: list[tuple[str, Any]] = [(item.name, item.value) for item in OPERATORS]
    # Those of document databases are taken by one mechanism, and the others by others.
    of_databases = [item for item in every if item[0].startswith("NoSQL")]
    others = [item for item in every if item not in of_databases]
    own: list[tuple[str, Any]] = [("NoSQL, equal", {"$eq": identifier}), ("NoSQL, in", {"$in": [identifier]})]
    own_others: list[tuple[str, Any]] = [
        ("list of one", [identifier]),
        ("object with an identifier", {"id": identifier}),
    ]
    choose = functools.partial(rotated, ctx)
    return [
        *choose(of_databases, budgets.OPERATORS_OF_ANY),
        *choose(others, budgets.OTHER_OPERATORS_OF_ANY),
        *own,
        *choose(own_others, budgets.OPERATORS_OF_ONE),
    ]
