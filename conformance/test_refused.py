"""DAT-7: a refused write changes nothing."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from conformance.offer import Offer, Symbol, breadth
from conformance.protocol import payloads
from conformance.protocol.catalog import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.payloads import CannotGenerate, Case
from conformance.protocol.session import SetUpFailedError
from conformance.run import Talk
from conformance.suite import each_function, judges
from conformance.test_codes import identifiers, strangers
from conformance.test_data import leaves
from conformance.watch import equal, listers, read


@judges("DAT-7")
@each_function(lambda method: method.effect != "read", otherwise="no function writes", doubtful_first=True)
def test_refused_writes(talk: Talk, function: Method) -> None:
    """Refused for one member among others that are valid and new, for its identifier, or for who asks."""
    talk.need_writing()
    offer = Offer(talk, function)
    with talk.portion(breadth) as portion, offer:
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
    spoils = [
        case
        for case in payloads.boundaries(function)
        if not case.valid and not offer.hands_off(case.parameter)
    ]
    others = [name for name in talk.profile.users if name != user]
    for number, case in enumerate(_spread(talk, spoils) or [None] * 8):
        data = None if case is None else _spoiled(talk, offer, case)
        if case is not None and data is not None:
            yield f"refused for {case.kind}", functools.partial(offer.send, data)
        if number % 4 == 1:
            for told, dangling in _dangling(talk, offer):
                yield told, functools.partial(offer.send, dangling)
        data = fresh(talk, offer) if number % 4 == 3 else None
        if data is None:
            continue
        if function.auth not in ("none", None):
            yield "refused for want of a session", functools.partial(talk.call, function, data)
        if others and identifiers(function) and talk.estate.may_call(others[0], function):
            other = others[number % len(others)]
            yield "refused to another user", functools.partial(talk.call, function, data, as_=other)


def _spread(talk: Talk, spoils: list[Case]) -> list[Case]:
    """Return the violations in an order in which no keyword and no argument comes last."""
    talk.rng.shuffle(spoils)
    turns: Counter[tuple[str, str]] = Counter()
    by_keyword: Counter[str] = Counter()
    placed: list[tuple[int, int, Case]] = []
    for case in spoils:
        placed.append((turns[case.keyword, case.parameter], by_keyword[case.keyword], case))
        turns[case.keyword, case.parameter] += 1
        by_keyword[case.keyword] += 1
    return [case for _, _, case in sorted(placed, key=lambda each: each[:2])]


def fresh(talk: Talk, offer: Offer) -> dict[str, Any] | None:
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


def _spoiled(talk: Talk, offer: Offer, case: Case) -> dict[str, Any] | None:
    """Return data with one violation, all other members valid and new, the spoiled one last."""
    data = fresh(talk, offer)
    try:
        spoiled = case.build(lambda kind: offer.bind(Symbol(kind)))
    except (CannotGenerate, SetUpFailedError):
        return None
    if data is None or not isinstance(spoiled, dict):
        return None
    if not case.parameter:
        data = spoiled
    else:
        data.pop(case.parameter, None)
        if case.parameter in spoiled:
            # What stores members one after the other has stored the good ones by then.
            data[case.parameter] = spoiled[case.parameter]
    return data if not offer.allows(data) else None


def _dangling(talk: Talk, offer: Offer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield valid data that names an object which does not exist, in one of its identifiers."""
    for name, kind in identifiers(offer.function):
        data = fresh(talk, offer)
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
    data = fresh(talk, offer) if '"x-ref"' in refs else None
    if data is None:
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
                changed = {name: item for name, item in data.items() if name != param.name}
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
