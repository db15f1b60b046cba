"""DAT-5, DAT-6 and what DAT-8 stores: texts and numbers come back as they went in, or are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from conformance.generation import Portion
from conformance.loads import Item, Load, Mixture, doubtful, loads, parts
from conformance.offer import Offer, breadth
from conformance.protocol import payloads
from conformance.protocol.catalog import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.payloads import CannotGenerate, Carrier, Injection, Number
from conformance.protocol.pointer import MISSING
from conformance.protocol.session import SetUpFailedError
from conformance.run import Talk
from conformance.suite import each_function, judges
from conformance.test_codes import identifiers
from conformance.test_data import brief, control
from conformance.watch import equal

_KINDS = {
    "DAT-5": "text does not come back as it went in",
    "DAT-6": "a number does not come back as it went in",
    "DAT-8": "an injection string is not kept as data",
}


@judges("DAT-5", "DAT-6", "DAT-8")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_texts_and_numbers(talk: Talk, function: Method) -> None:
    """Each in each place that may hold it; where it was stored it is read again."""
    offer = Offer(talk, function)
    with talk.portion(_keeps) as portion, offer:
        if not control(offer):
            for rule in ("DAT-5", "DAT-6", "DAT-8"):
                talk.skip(rule, "valid data does not succeed", function=function.name)
            return
        _numbers_out_of_bounds(talk, offer, portion)

        def wanted(item: Item) -> bool:
            return any(talk.seeks(rule, _kind(rule, item)) for rule in {"DAT-5", _rule(item)})

        for load in loads(talk, offer, wanted, 24):
            if not portion.more(2 * offer.cost) or not offer.may_go_on:
                return
            _carry(talk, offer, portion, load)


def _keeps(function: Method) -> float:
    """Return how much a function may keep of what it is given."""
    role = function.object
    return breadth(function) * (6 if role is not None and role.does in ("create", "update") else 1)


def _rule(item: Item) -> str:
    """Return the rule that an internal error breaks."""
    return "DAT-6" if isinstance(item, Number) else "DAT-8" if isinstance(item, Injection) else "DAT-5"


def _kind(rule: str, item: Item) -> str:
    return f"{_KINDS[rule]}: {'several texts together' if isinstance(item, Mixture) else item.name}"


def out_of_bounds() -> list[Number]:
    """Return the numbers that a bound may forbid; what is too small to be told from 0 here is above 0 all the same."""
    return [
        number
        for number in payloads.NUMBERS
        if doubtful(number) and (number.value != 0 or "e-" not in number.text)
    ]


def _numbers_out_of_bounds(talk: Talk, offer: Offer, portion: Portion) -> None:
    """Numbers that the schema forbids, identifiers among them: refused, and no more."""
    numbers = out_of_bounds()
    wrong: list[tuple[str, str, Any]] = [
        (carrier.label, carrier.item.name, carrier)
        for carrier in payloads.carrying(offer.function, numbers, forbidden=True)
        if not carrier.allowed and not offer.hands_off(carrier.parameter)
    ]
    plain = talk.valid(offer.function, offer.user, optional="none") if not offer.login else {}
    for name, _ in identifiers(offer.function):
        param = offer.function.param(name)
        if param is not None and "integer" in json.dumps(param.schema.get("type")):
            wrong += [(name, number.name, {**plain, name: number.literal}) for number in numbers]
    for label, name, given in talk.some(wrong, 4, max(8, len(wrong) // 3)):
        kind = f"a number out of bounds is not refused: {name}"
        if not portion.more() or not talk.seeks("DAT-6", kind):
            continue
        try:
            data = (
                offer.fit(given.build(offer.identify), given.parameter)
                if isinstance(given, Carrier)
                else given
            )
        except (CannotGenerate, SetUpFailedError):
            continue
        if offer.allows(data):
            # As an identifier 1e2 is 100.
            continue
        exchange = offer.send(data)
        offer.clear(exchange, data)
        talk.judge(
            "DAT-6",
            exchange.status is not None and 400 <= exchange.status < 500,
            kind=kind,
            expected=f"{label}: status 400",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=range(400, 500),
        )


def _laden(offer: Offer, load: Sequence[Carrier]) -> dict[str, Any] | None:
    """Return data with every carrier's item in its place; None where they do not go together."""
    data: dict[str, Any] = {}
    for carrier in load:
        try:
            built = carrier.build(offer.identify)
        except (CannotGenerate, SetUpFailedError):
            continue
        data = {**built, **data, carrier.parameter: built.get(carrier.parameter)}
    data = offer.fit(data)
    return data if data and offer.allows(data) else None


def _carry(talk: Talk, offer: Offer, portion: Portion, load: Load) -> None:
    """Send a load; where it is refused, or comes back otherwise, its parts one by one."""
    data = _laden(offer, load)
    if data is None:
        _apart(talk, offer, portion, load if len(load) > 1 else [])
        return
    exchange = offer.send(data)
    offer.tell("texts and numbers", exchange, valid=True)
    if exchange.status == 200:
        altered = _altered(offer, load, data, exchange)
        offer.clear(exchange, data)
        _kept(talk, offer, portion, load, altered, exchange)
        return
    if len(load) > 1:
        _apart(talk, offer, portion, load)
        return
    carrier = load[0]
    good = exchange.status in offer.accepts_by_rule(data) | {400}
    if _shown_by_parts(talk, offer, portion, carrier) or (good and isinstance(carrier.item, Mixture)):
        return
    rule = _rule(carrier.item)
    talk.judge(
        rule,
        good,
        kind=_kind(rule, carrier.item),
        expected=f"{carrier.label}: kept as it is, or status 400",
        actual=exchange.summary(),
        exchange=exchange,
        accepted=offer.accepts_by_rule(data) | {400},
    )


def _shown_by_parts(talk: Talk, offer: Offer, portion: Portion, carrier: Carrier) -> bool:
    """Send the parts of a mixture one by one; say whether one of them shows what is wrong."""
    before = set(talk.run.referee.take())
    _apart(talk, offer, portion, parts(offer, carrier))
    return bool(set(talk.run.referee.take()) - before)


def _apart(talk: Talk, offer: Offer, portion: Portion, load: Load) -> None:
    for carrier in load:
        if portion.more(offer.cost):
            _carry(talk, offer, portion, [carrier])


def _altered(
    offer: Offer, load: Load, data: dict[str, Any], exchange: Exchange
) -> dict[str, tuple[Carrier, Any, Any, str] | None]:
    """Return, by place, what was altered: (the carrier, what was sent, what came, where it shows); None: it was not."""
    found: dict[str, tuple[Carrier, Any, Any, str] | None] = {}
    for source, there, _ in offer.shown(exchange, data):
        for carrier in load:
            param = offer.function.param(carrier.parameter)
            if param is None or carrier.parameter not in there or carrier.parameter not in data:
                continue
            if param.schema.get("writeOnly") or param.schema.get("format") == "password":
                continue
            sent, got = _at(carrier, data), _at(carrier, there)
            if got is MISSING or not _same(sent, got):
                found[carrier.pointer] = (carrier, sent, got, source)
            else:
                found.setdefault(carrier.pointer, None)
    return found


def _kept(
    talk: Talk,
    offer: Offer,
    portion: Portion,
    load: Load,
    altered: dict[str, tuple[Carrier, Any, Any, str] | None],
    exchange: Exchange,
) -> None:
    for carrier in load:
        departed = altered.get(carrier.pointer)
        if departed is None:
            talk.run.referee.judged(_rule(carrier.item))
            continue
        if _shown_by_parts(talk, offer, portion, carrier):
            continue
        _, sent, got, source = departed
        evaluated = isinstance(carrier.item, Injection) and "7*7" in str(sent) and "49" in str(got)
        rule = "DAT-6" if isinstance(carrier.item, Number) else "DAT-8" if evaluated else "DAT-5"
        talk.judge(
            rule,
            False,
            kind=_kind(rule, carrier.item),
            expected=f"{carrier.label}: {brief(sent)}",
            actual=f"{brief(got) if got is not MISSING else 'nothing'} in {source}",
            exchange=exchange,
            function=offer.function.name,
        )


def _at(carrier: Carrier, data: dict[str, Any]) -> Any:
    """Return what stands at a carrier's place; `-` and `*` are the first item and the first key."""
    value: Any = data
    for step in carrier.pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            index = 0 if step == "-" else int(step)
            value = value[index] if index < len(value) else MISSING
        elif isinstance(value, dict):
            value = value.get(step if step in value or step != "*" else next(iter(value), ""), MISSING)
        else:
            return MISSING
    return value


def _same(sent: Any, got: Any) -> bool:
    if isinstance(sent, payloads.Literal):
        sent = json.loads(sent.text)
    return equal(sent, got)
