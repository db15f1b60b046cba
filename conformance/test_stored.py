"""DAT-5 to DAT-9: what the target makes of texts, numbers, refused writes, injections, and sheer size."""

from __future__ import annotations

import contextlib
import json
import statistics
import string
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from conformance.generation import Portion
from conformance.offer import Offer, Symbol, breadth
from conformance.protocol import payloads
from conformance.protocol.catalog import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.payloads import CannotGenerate, Carrier, Injection, Number, Text, Way
from conformance.protocol.pointer import MISSING
from conformance.protocol.session import SetUpFailedError
from conformance.run import NotJudgedError, Talk
from conformance.suite import each_function, judges
from conformance.test_codes import identifiers, strangers
from conformance.test_data import DOCUMENTED, brief, control, leaves
from conformance.views import fill
from conformance.watch import equal, listers, read

#: Shares of the generated requests, of all functions together.
STORED, REFUSED, INJECTED, LARGE = 0.16, 0.07, 0.06, 0.03

#: Longer texts than this are sent one at a time.
_LONG = 16_000

_RULE = {Text: "DAT-5", Number: "DAT-6", Injection: "DAT-8"}
_ALTERED = {
    "DAT-5": "text does not come back as it went in",
    "DAT-6": "a number does not come back as it went in",
    "DAT-8": "an injection string is not kept as data",
}


# -- texts, numbers and injections that are stored -----------------------------------------------------------


@judges("DAT-5", "DAT-6", "DAT-8")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_texts_and_numbers(talk: Talk, function: Method) -> None:
    """Each in each place that may hold it; where it was stored it is read again."""
    offer = Offer(talk, function)
    with talk.portion(STORED, _keeps) as portion, offer:
        if not control(offer):
            for rule in ("DAT-5", "DAT-6", "DAT-8"):
                talk.skip(rule, "valid data does not succeed", function=function.name)
            return
        _numbers_out_of_bounds(talk, offer, portion)
        for load in _loads(talk, offer):
            if not portion.more(2 * offer.cost) or not offer.may_go_on:
                return
            _carry(talk, offer, portion, load)


def _keeps(function: Method) -> float:
    """Return how much a function may keep of what it is given."""
    role = function.object
    return breadth(function) * (6 if role is not None and role.does in ("create", "update") else 1)


def _kind(item: Text | Number | Injection) -> str:
    return f"{_ALTERED[_RULE[type(item)]]}: {item.name}"


def _loads(talk: Talk, offer: Offer) -> Iterator[list[Carrier]]:
    """Yield what goes into one call together: at most one item for each argument.

    What many targets refuse goes by itself, in all arguments at once, and long texts one by one.
    """
    items: list[Text | Number | Injection] = [*payloads.TEXTS, *payloads.NUMBERS, *payloads.INJECTIONS]
    if talk.only is None:
        items = talk.some(items, 30)
    talk.rng.shuffle(items)
    order = {item.name: number for number, item in enumerate(items)}
    by: dict[str, dict[str, dict[int, Carrier]]] = {}
    odd: dict[str, dict[str, Carrier]] = {}
    others: list[list[Carrier]] = []
    for carrier in payloads.carrying(offer.function, items):
        item = carrier.item
        if (
            offer.hands_off(carrier.parameter)
            or carrier.ref
            or not talk.seeks(_RULE[type(item)], _kind(item))
        ):
            continue
        if isinstance(item, Text) and len(item.value) >= _LONG:
            others.append([carrier])
        elif _doubtful(item):
            odd.setdefault(item.name, {}).setdefault(carrier.parameter, carrier)
        else:
            by.setdefault(carrier.parameter, {}).setdefault(carrier.pointer, {})[order[item.name]] = carrier
    others += [list(found.values()) for found in odd.values()]
    talk.rng.shuffle(others)
    rows = [_diagonal(list(places.values()), len(items)) for places in by.values()]
    for number in range(max(map(len, rows), default=0)):
        # Each argument begins elsewhere, so that all the items have been somewhere soon.
        yield [
            row[(number + index * len(row) // len(rows)) % len(row)]
            for index, row in enumerate(rows)
            if number < len(row)
        ]
        if others and number % 3 == 2:
            yield others.pop()
    yield from others


def _doubtful(item: Text | Number | Injection) -> bool:
    """Whether many targets refuse it, by right."""
    if isinstance(item, Number):
        return "number of unusual size" in payloads.oddities(item.literal)
    text = str(item.value)
    return any(sign < " " or "\ud800" <= sign <= "\udfff" or sign in "\x7f\ufffe\uffff" for sign in text)


def _diagonal(places: list[dict[int, Carrier]], count: int) -> list[Carrier]:
    """Return the carriers of an argument's places so that neither a place nor an item comes last."""
    return [
        places[(turn + item) % len(places)][item]
        for turn in range(len(places))
        for item in range(count)
        if item in places[(turn + item) % len(places)]
    ]


def _numbers_out_of_bounds(talk: Talk, offer: Offer, portion: Portion) -> None:
    """Numbers that the schema forbids, identifiers among them: refused, and no more."""
    numbers = [number for number in payloads.NUMBERS if _doubtful(number)]
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
        kind = f"a number out of bounds breaks it: {name}"
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
        exchange = offer.send(data)
        offer.clear(exchange, data)
        talk.judge(
            "DAT-6",
            exchange.status is not None and exchange.status < 500,
            kind=kind,
            expected=f"{label}: status 400",
            actual=exchange.summary(),
            exchange=exchange,
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


def _carry(talk: Talk, offer: Offer, portion: Portion, load: list[Carrier]) -> None:
    data = _laden(offer, load)
    if data is None:
        if len(load) > 1:
            for carrier in load:
                _carry(talk, offer, portion, [carrier])
        return
    exchange = offer.send(data)
    offer.tell("texts and numbers", exchange, valid=True)
    status = exchange.status
    if status == 200 and offer.role is not None and offer.role.does in ("create", "update"):
        _compare(talk, offer, load, data, exchange)
        offer.clear(exchange, data)
        return
    if status in offer.accepts_by_rule(data) | {400}:
        if status == 400 and len(load) > 1 and portion.more(len(load)):
            # One of them was refused; the others are to be seen, too.
            for carrier in load:
                _carry(talk, offer, portion, [carrier])
            return
        offer.clear(exchange, data)
        for carrier in load:
            talk.run.referee.judged(_RULE[type(carrier.item)])
        return
    if len(load) > 1:
        for carrier in load:
            _carry(talk, offer, portion, [carrier])
        return
    rule = _RULE[type(load[0].item)]
    talk.judge(
        rule,
        False,
        kind=_kind(load[0].item),
        expected=f"{load[0].label}: kept as it is, or status 400",
        actual=exchange.summary(),
        exchange=exchange,
    )


def _compare(
    talk: Talk, offer: Offer, load: Sequence[Carrier], data: dict[str, Any], exchange: Exchange
) -> None:
    for source, there, _ in offer.shown(exchange, data):
        for carrier in load:
            rule = _RULE[type(carrier.item)]
            if carrier.parameter not in there or carrier.parameter not in data:
                continue
            param = offer.function.param(carrier.parameter)
            if param is not None and (
                param.schema.get("writeOnly") or param.schema.get("format") == "password"
            ):
                continue
            sent, got = _at(carrier, data), _at(carrier, there)
            good = got is not MISSING and _same(sent, got)
            talk.judge(
                rule,
                good,
                kind=_kind(carrier.item),
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


# -- a refused write changes nothing -------------------------------------------------------------------------


@judges("DAT-7")
@each_function(lambda method: method.effect != "read", otherwise="no function writes", doubtful_first=True)
def test_refused_writes(talk: Talk, function: Method) -> None:
    """Refused for one member among others that are valid and new, for its identifier, or for who asks."""
    talk.need_writing()
    offer = Offer(talk, function)
    with talk.portion(REFUSED, breadth) as portion, offer:
        views = list(_views(talk, offer))
        if not views:
            talk.give_up("nothing that the function could change can be looked at")
        before = [_settled(look) for _, look in views]
        calls = _refusals(talk, offer)
        sent: list[tuple[str, Exchange]] = []
        judged = False
        while True:
            owned = len(list(talk.estate.owned()))
            call = next(calls, None) if portion.more(len(views) + 1) else None
            if owned != len(list(talk.estate.owned())):
                # What the call needs was made for it, and may stand in what is looked at.
                before = [_settled(look) for _, look in views]
                sent.clear()
            if call is not None:
                told, send = call
                exchange = send()
                offer.tell("refused write", exchange, valid=None)
                if exchange.status is not None and 400 <= exchange.status < 500:
                    sent.append((told, exchange))
                    if len(sent) < 6:
                        continue
                else:
                    # It was not refused: what it changed is another rule's.
                    offer.clear(exchange, None)
                    before = [_settled(look) for _, look in views]
                    sent.clear()
                    continue
            if sent:
                judged = True
                if not _unmoved(talk, offer, views, before, sent):
                    return
                sent = []
            if call is None:
                break
        if not judged:
            talk.give_up("no call of it is refused")


def _views(talk: Talk, offer: Offer) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield (what is looked at, a look) for what the function could change."""
    role, user = offer.role, offer.user
    if user is None:
        return
    seen: set[str] = set()
    things = []
    if offer.thing is not None:
        things.append(offer.thing)
    for _, kind in identifiers(offer.function):
        if offer.thing is None or offer.thing.kind != kind:
            try:
                things.append(talk.estate.any(kind, user))
            except SetUpFailedError:
                continue
    for thing in things:
        reader = talk.catalog.read(thing.kind)
        if reader is None or thing.kind in seen or not talk.estate.may_call(user, reader):
            continue
        seen.add(thing.kind)

        def look(thing: Any = thing, reader: Method = reader) -> Any:
            exchange = talk.must(read(talk, thing), f"could not read a {thing.kind}")
            return reader.volatile_mask(exchange.data)

        yield f"a {thing.kind} as {reader.name} shows it", look
    if role is not None:
        sent = talk.estate.any(role.kind, user) if role.does != "create" else None
        if sent is None and talk.estate.creator(role.kind, user) is not None:
            sent = talk.estate.any(role.kind, user)
        for lister in listers(talk, role.kind, user, sent):

            def watch(lister: Any = lister) -> Any:
                exchange = talk.must(lister.exchange(), "could not list")
                return lister.function.volatile_mask(exchange.data)

            yield f"the list of {lister.function.name}", watch
            break


def _settled(look: Callable[[], Any]) -> tuple[Any, bool]:
    """Return what is seen, and whether a second look sees the same."""
    first, again = look(), look()
    return again, equal(first, again)


def _refusals(talk: Talk, offer: Offer) -> Iterator[tuple[str, Callable[[], Exchange]]]:
    """Yield (what is wrong, the call) for ever new calls that must be refused."""
    function, user = offer.function, offer.user
    ways = _spread(
        talk, [way for way in payloads.violations(function).values() if not offer.hands_off(way.parameter)]
    )
    others = [name for name in talk.profile.users if name != user]
    for number, way in enumerate(ways or [None] * 8):
        if way is not None:
            data = _spoiled(talk, offer, way.kind)
            if data is not None:
                told = f"refused for {way.kind}"

                def send(data: Any = data) -> Exchange:
                    return offer.send(data)

                yield told, send
        if number % 4 == 1:
            for told, data in _dangling(talk, offer):

                def dangle(data: Any = data) -> Exchange:
                    return offer.send(data)

                yield told, dangle
        if number % 4 == 3:
            data = _fresh(talk, offer)
            if data is not None:

                def unsigned(data: Any = data) -> Exchange:
                    return talk.call(function, data)

                if function.auth not in ("none", None):
                    yield "refused for want of a session", unsigned
                if others and identifiers(function) and talk.estate.may_call(others[0], function):

                    def strange(data: Any = data, other: str = others[number % len(others)]) -> Exchange:
                        return talk.call(function, data, as_=other)

                    yield "refused to another user", strange


def _spread(talk: Talk, ways: list[Way]) -> list[Way]:
    """Return the violations in an order in which no keyword and no argument comes last."""
    talk.rng.shuffle(ways)
    turns: dict[tuple[str, str], int] = {}
    by_keyword: dict[str, int] = {}
    placed: list[tuple[int, int, Way]] = []
    for way in ways:
        own = turns[way.keyword, way.parameter] = turns.get((way.keyword, way.parameter), -1) + 1
        rank = by_keyword[way.keyword] = by_keyword.get(way.keyword, -1) + 1
        placed.append((own, rank, way))
    return [way for _, _, way in sorted(placed, key=lambda each: each[:2])]


def _fresh(talk: Talk, offer: Offer) -> dict[str, Any] | None:
    """Return valid data, new in every member, on the objects that are watched."""
    try:
        fixed = {}
        if offer.user is not None:
            for name, kind in identifiers(offer.function):
                ours = offer.thing if offer.thing is not None and offer.thing.kind == kind else None
                fixed[name] = (ours or talk.estate.any(kind, offer.user)).id
        data = talk.valid(offer.function, offer.user, optional="all", **fixed)
    except SetUpFailedError:
        return None
    return dict(offer.fit(data))


def _spoiled(talk: Talk, offer: Offer, kind: str) -> dict[str, Any] | None:
    """Return data with one violation, all other members valid and new, the spoiled one last."""
    data = _fresh(talk, offer)
    if data is None:
        return None
    try:
        strategy = payloads.spoiled(
            offer.function, offer.symbols, bind=offer.binder, only=lambda way: way.kind == kind
        )
        drawn = payloads.draw(strategy, talk.rng.getrandbits(64), 1)
    except (CannotGenerate, SetUpFailedError):
        return None
    if not drawn or not isinstance(drawn[0].data, dict):
        return None
    way = payloads.violations(offer.function)[kind]
    spoiled = offer.bind(drawn[0].data)
    if way.parameter and way.parameter in spoiled:
        data = {name: value for name, value in data.items() if name != way.parameter}
        # What stores members one after the other has stored the good ones by then.
        data[way.parameter] = spoiled[way.parameter]
    elif way.parameter:
        data.pop(way.parameter, None)
    else:
        data = spoiled
    return data if not offer.allows(data) else None


def _dangling(talk: Talk, offer: Offer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield valid data that names an object which does not exist, in one of its identifiers."""
    for name, kind in identifiers(offer.function):
        data = _fresh(talk, offer)
        if data is None or name not in data:
            continue
        for value in strangers(talk, data[name])[:1]:
            changed = {**data, name: value}
            if offer.allows(changed):
                yield f"refused for a {kind} that does not exist", changed
    yield from _dangling_within(talk, offer)


def _dangling_within(talk: Talk, offer: Offer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the same for identifiers that stand deeper in the data, in an array or an object."""
    top = {name for name, _ in identifiers(offer.function)}
    refs = json.dumps([param.schema for param in offer.function.params if param.name not in top], default=str)
    fresh = _fresh(talk, offer) if '"x-ref"' in refs else None
    if fresh is None:
        return
    try:
        strategy = payloads.valid(offer.function, offer.symbols, bind=offer.binder)
        drawn = payloads.draw(strategy, talk.rng.getrandbits(64), 12)
    except (CannotGenerate, SetUpFailedError):
        return
    for value in drawn:
        for param in offer.function.params:
            given = value.get(param.name) if isinstance(value, dict) else None
            symbol = next((leaf for leaf in leaves(given) if isinstance(leaf, Symbol)), None)
            if symbol is None or param.name in top:
                continue
            for stranger in strangers(talk, offer.bind(symbol))[:1]:
                changed = {name: item for name, item in fresh.items() if name != param.name}
                changed[param.name] = offer.bind(_instead(given, symbol, stranger))
                if offer.allows(changed):
                    yield f"refused for a {symbol.kind} that does not exist", changed
                    return


def _instead(value: Any, symbol: Symbol, stranger: Any) -> Any:
    """Return the value with another identifier in one symbol's place."""
    if value is symbol:
        return stranger
    if isinstance(value, dict):
        return {name: _instead(item, symbol, stranger) for name, item in value.items()}
    return [_instead(item, symbol, stranger) for item in value] if isinstance(value, list) else value


def _unmoved(
    talk: Talk,
    offer: Offer,
    views: list[tuple[str, Callable[[], Any]]],
    before: list[tuple[Any, bool]],
    sent: list[tuple[str, Exchange]],
) -> bool:
    good = True
    for (what, look), (was, steady) in zip(views, before, strict=True):
        if not steady:
            continue
        now = look()
        told, exchange = sent[-1]
        if equal(was, now):
            talk.run.referee.judged("DAT-7")
            continue
        told, exchange = _culprit(talk, look, now, sent)
        good = talk.judge(
            "DAT-7",
            False,
            kind="a refused write changed something",
            expected=f"{what}: as it was before",
            actual=f"it moved after a call that was {told} ({exchange.summary()})",
            exchange=exchange,
            function=offer.function.name,
        )
    return good


def _culprit(
    talk: Talk, look: Callable[[], Any], now: Any, sent: list[tuple[str, Exchange]]
) -> tuple[str, Exchange]:
    """Send the refused calls again, one by one, and return the one that moves something once more, else the last."""
    for told, exchange in sent:
        token = talk.sessions.of(exchange.user).token if exchange.user and exchange.in_session else None
        talk.client.resend(exchange, token)
        again = look()
        if not equal(again, now):
            return told, exchange
    return sent[-1]


# -- injections ----------------------------------------------------------------------------------------------


@judges("DAT-8")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_injections(talk: Talk, function: Method) -> None:
    """In every argument: no internal error, no more rows than what matches nothing, no way in."""
    offer = Offer(talk, function)
    with talk.portion(INJECTED, _openness) as portion, offer:
        if function.object is not None and function.object.does == "list" and offer.user is not None:
            with contextlib.suppress(SetUpFailedError, CannotGenerate):
                fill(talk, function, offer.user, talk.valid(function, offer.user, optional="none"), 3)
        word = Injection("nothing", "".join(talk.rng.choices(string.ascii_lowercase, k=14)))
        baseline: dict[str, int] = {}
        for carrier in payloads.carrying(function, [word]):
            if not portion.more() or offer.hands_off(carrier.parameter) or not carrier.allowed:
                continue
            shown = _inject(talk, offer, carrier)
            if shown is not None and shown.status == 200:
                baseline[carrier.pointer] = len(talk.estate.rows(function, shown))
        items = (*payloads.INJECTIONS, *payloads.OPERATORS)
        if talk.only is None:
            items = tuple(talk.some(items, 14))
        carriers = [
            carrier
            for carrier in payloads.carrying(function, items, forbidden=True)
            if not offer.hands_off(carrier.parameter)
        ]
        if not offer.login and function.rows is None:
            # Where nothing is searched, that nothing breaks is all that can be seen; a few in each place do.
            carriers = talk.some(carriers, 8, max(24, len(carriers) // 6))
        else:
            talk.rng.shuffle(carriers)
            # What gets furthest goes first: what the schema lets pass, and operators where a text belongs.
            carriers.sort(key=lambda carrier: not (carrier.allowed or carrier.pointer in baseline))
        for carrier in carriers:
            if not portion.more() or not offer.may_go_on:
                return
            if talk.seeks("DAT-8", _injected(carrier)):
                _judge_injection(
                    talk, offer, carrier, baseline.get(carrier.pointer, None if carrier.allowed else 0)
                )


def _openness(function: Method) -> float:
    """Return how much may come of an injection: where rows are searched it shows, elsewhere hardly."""
    strings = sum(json.dumps(param.schema, default=str).count('"string"') for param in function.params)
    return 1.0 + strings * (12 if function.rows is not None or function.auth == "none" else 1)


def _injected(carrier: Carrier) -> str:
    return f"an injection in {carrier.label} is not taken as data"


def _inject(talk: Talk, offer: Offer, carrier: Carrier) -> Exchange | None:
    try:
        data = offer.fit(carrier.build(offer.identify), carrier.parameter)
    except (CannotGenerate, SetUpFailedError):
        return None
    exchange = offer.send(data)
    offer.clear(exchange, data)
    return exchange


def _judge_injection(talk: Talk, offer: Offer, carrier: Carrier, nothing: int | None) -> None:
    exchange = _inject(talk, offer, carrier)
    if exchange is None:
        return
    offer.tell("injection", exchange, valid=None)
    item = carrier.item
    assert isinstance(item, Injection)
    trouble = ""
    if exchange.status is None or exchange.status >= 500:
        trouble = exchange.summary()
    elif exchange.response is not None and any(
        name.lower() == "x-injected" for name, _ in exchange.response.headers
    ):
        trouble = "a header of the text's own in the response"
    elif offer.login and exchange.status == 200:
        trouble = "it signs in"
    elif exchange.status == 200 and offer.function.rows is not None and nothing is not None:
        rows = [row for row in talk.estate.rows(offer.function, exchange) if not _holds(row, item.value)]
        if len(rows) > nothing:
            instead = (
                f"a word that matches nothing gives {nothing}" if carrier.allowed else "it is no valid value"
            )
            trouble = f"{len(rows)} rows, where {instead}"
    talk.judge(
        "DAT-8",
        not trouble,
        kind=_injected(carrier),
        expected=f"{carrier.item.name}: taken as the text that it is, or refused",
        actual=trouble,
        exchange=exchange,
    )


def _holds(row: Any, value: Any) -> bool:
    """Whether a row has the text in it, so that it may match by right."""
    if not isinstance(value, str):
        return False
    stack = [row]
    wanted = value.casefold()
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, str) and wanted in item.casefold():
            return True
    return False


# -- deep, wide, large ---------------------------------------------------------------------------------------

#: Times a small call's time that a large one may take.
_SLOWER = 100.0
#: Seconds of a small call below which its time is more the network's than the target's.
_LEAST = 0.003
_LEVELS = 10_000
_MEMBERS = 10_000
_LETTERS = 1_000_000


@judges("DAT-9")
@each_function(doubtful_first=True)
def test_deep_wide_and_large_data(talk: Talk, function: Method) -> None:
    """10,000 levels, 10,000 members, a megabyte: in each argument, and in one that nobody declared."""
    offer = Offer(talk, function)
    with talk.portion(LARGE, breadth) as portion, offer:
        plain = _fresh(talk, offer) if not offer.login else {p.name: "x" for p in function.params}
        if plain is None:
            raise NotJudgedError("no data can be made")
        body = offer.body(plain)
        small: list[float] = []
        for _ in range(3):
            exchange = offer.send(body=body)
            offer.clear(exchange, plain)
            small.append(exchange.seconds)
        places = [param.name for param in function.params if not offer.hands_off(param.name)]
        talk.rng.shuffle(places)
        for number, name in enumerate(["", "undeclaredMember", *places]):
            for what in _monsters(part=1000):
                if number > 1 and talk.quick and talk.rng.random() < 0.6:
                    continue
                if not name and not what.endswith("members"):
                    continue
                if not portion.more():
                    return
                kind = f"{what} is not answered in time"
                if talk.seeks("DAT-9", kind) or talk.seeks("DAT-9", f"{what} gets no documented answer"):
                    _monster(talk, offer, plain, name, what, small)


def _monsters(part: int = 1) -> dict[str, str]:
    """Return what is large, as JSON, by name; `part` gives a tenth of it, say."""
    levels, members, letters = _LEVELS // part, _MEMBERS // part, (_LETTERS - 2_000) // part
    return {
        "10,000 levels of arrays": "[" * levels + "]" * levels,
        "10,000 levels of objects": '{"a":' * levels + "1" + "}" * levels,
        "a megabyte of text": '"' + "x" * letters + '"',
        "10,000 members": "{" + ",".join(f'"m{number}":{number}' for number in range(members)) + "}",
        "10,000 items": "[" + ",".join(map(str, range(members))) + "]",
    }


def _monster(
    talk: Talk, offer: Offer, plain: dict[str, Any], name: str, what: str, small: list[float]
) -> None:
    mark = "\ue000here\ue001"

    def send(text: str | None) -> Exchange:
        data = plain
        if text is not None:
            data = {**plain, name: mark} if name else {**json.loads(text), **plain}
        body = offer.body(data).replace(
            json.dumps(mark, ensure_ascii=False).encode(), (text or "").encode(), 1
        )
        exchange = offer.send(body=body)
        offer.clear(exchange, plain)
        return exchange

    where = f"as {name}" if name else "in data itself"
    text = _monsters()[what]
    exchange = send(text)
    offer.tell("large data", exchange, valid=None)
    accepted = DOCUMENTED | {413}
    talk.judge(
        "DAT-9",
        exchange.status in accepted,
        kind=f"{what} gets no documented answer",
        expected="status 200, 400, 401, 403, 404 or 413",
        actual=f"{exchange.summary()}, with {what} {where}",
        exchange=exchange,
    )
    took = exchange.seconds
    slow = exchange.status in accepted and took > _SLOWER * statistics.median(small)
    if slow:
        # A noisy machine is not slow three times, and what is slow is compared with small calls of that moment.
        for _ in range(2):
            small.append(send(None).seconds)
            took = min(took, send(text).seconds)
        usual = statistics.median(small)
        # Where small calls take next to nothing, a cost in proportion to the size is no fault of the target's.
        less = min(send(_monsters(part=10)[what]).seconds for _ in range(2))
        slow = took > _SLOWER * usual and (took > 25 * less or took > _SLOWER * max(usual, _LEAST))
    talk.judge(
        "DAT-9",
        not slow,
        kind=f"{what} is not answered in time",
        expected=f"at most {_SLOWER:.0f} times as long as a small call",
        actual=f"{took / statistics.median(small):.0f} times as long, with {what} {where}",
        exchange=exchange,
    )
