"""DAT-1 to DAT-4: «all the function arguments go here», with data at the edges, anywhere, and beyond."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from conformance.combine import Choice, choices, covering
from conformance.generation import Portion
from conformance.offer import Offer, breadth
from conformance.protocol import payloads
from conformance.protocol.catalog import Method
from conformance.protocol.damage import Damaged, any_bytes
from conformance.protocol.exchange import Exchange
from conformance.protocol.payloads import CannotGenerate, Case, Way
from conformance.protocol.payloads_order import essential, telling_order
from conformance.protocol.pointer import MISSING
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.run import ANSWERED, Talk, as_answered
from conformance.suite import each_function, judges
from conformance.watch import equal, pairs, seen

T = TypeVar("T")

_NOT_REFUSED = "forbidden data is not refused"

#: Keywords of numbers, of which a target may hold several bounds.
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})

#: So many examples of one conversation may fail before it is enough.
_ENOUGH = 24


def batches(talk: Talk, portion: Portion, cost: int, draw: Callable[[int, int], list[T]]) -> Iterator[T]:
    """Yield drawn examples, as many as the portion has calls for; where only time ends it, one batch after another."""
    # A large batch takes a second to draw, which may be more than there is.
    size = 8
    while portion.more(cost):
        size = min(200, 2 * size)
        many = portion.left // cost if portion.requests is not None else size
        try:
            drawn = draw(talk.rng.getrandbits(64), many)
        except CannotGenerate:
            return
        for each in drawn:
            if not portion.more(cost):
                return
            yield each
        if portion.requests is not None or not drawn:
            return


def answers(
    talk: Talk, offer: Offer, prepared: Iterator[tuple[T, Any]], more: Callable[[], bool]
) -> Iterator[tuple[T, Any, Exchange]]:
    """Send data, `--jobs` calls at a time, while there is `more`; yield (what it is for, the data, the exchange)."""
    while more():
        batch = list(itertools.islice(prepared, max(1, talk.run.options.jobs)))
        if not batch:
            return
        calls = [functools.partial(offer.send, data) for _, data in batch]
        for (what, data), exchange in zip(batch, talk.together(calls), strict=True):
            yield what, data, exchange


def control(offer: Offer) -> bool:
    """Call the function with data as the suite makes it otherwise; say whether it succeeds.

    Where optional arguments are what is refused, the least data will do.
    """
    for optional in ("all", "none"):
        data = offer.talk.valid(offer.function, offer.user, optional=optional)
        exchange = offer.talk.call(offer.function, data, as_=None if offer.login else offer.user)
        offer.tell("plain", exchange, valid=True)
        offer.clear(exchange, data)
        if exchange.status == 200:
            return True
    return False


# -- at the edges --------------------------------------------------------------------------------------------


@judges("DAT-1", "DAT-2", "DAT-5", "DAT-6")
@each_function(doubtful_first=True)
def test_data_at_the_edges(talk: Talk, function: Method) -> None:
    """Before anything random: each keyword of each argument, from within and from without."""
    offer = Offer(talk, function)
    with talk.portion(_edges) as portion, offer:
        good = control(offer)
        if not good:
            talk.skip("DAT-2", "valid data does not succeed either", function=function.name)
        failed: list[str] = []
        prepared = _prepared(talk, offer, _chosen(talk, offer, portion), good)
        for case, data, exchange in answers(
            talk, offer, prepared, lambda: portion.more() and len(failed) < _ENOUGH
        ):
            if not _edge(talk, offer, case, data, exchange):
                failed.append(case.kind)


def _prepared(talk: Talk, offer: Offer, cases: list[Case], good: bool) -> Iterator[tuple[Case, Any]]:
    """Yield the edges that can be built here, each with its data."""
    for case in cases:
        if not (offer.may_go_on if case.valid else good) or not _sought(talk, case):
            continue
        try:
            data = offer.fit(case.build(offer.identify), case.parameter)
        except (CannotGenerate, SetUpFailedError):
            continue
        if offer.allows(data) is case.valid:
            yield case, data
            if not case.valid and case.keyword in _BOUNDS and not talk.quick:
                yield from ((case, other) for other in _among_others(talk, offer, case, data))


def _among_others(talk: Talk, offer: Offer, case: Case, data: Any) -> Iterator[Any]:
    """Yield the same violation among other values of the other members: a bound may be kept beside one of them only."""
    for _ in range(2):
        try:
            other = offer.fit(talk.valid(offer.function, offer.user, optional="some"), case.parameter)
        except SetUpFailedError:
            return
        if case.parameter in data:
            other[case.parameter] = data[case.parameter]
            if not offer.allows(other):
                yield other


def _chosen(talk: Talk, offer: Offer, portion: Portion) -> list[Case]:
    """Return as many of the edges as there are calls for, the plainest data and the most telling ones first."""
    plain, *rest = payloads.boundaries(offer.function)
    rest = [case for case in rest if not offer.hands_off(case.parameter)]
    order = telling_order(rest, talk.rng)
    looks = 1 if offer.stores and not talk.quick else 0
    costs = [offer.cost + looks if rest[index].valid else 1 for index in order]
    if talk.only is None:
        portion.at_least(2 * offer.cost + sum(costs[: essential(rest, order)]))
    room = portion.left - offer.cost
    kept = itertools.takewhile(
        lambda pair: pair[1] <= room, zip(order, itertools.accumulate(costs), strict=True)
    )
    return [plain, *(rest[index] for index, _ in kept)]


def _edges(function: Method) -> float:
    """Return how many edges a function's data has."""
    return float(sum(1 for _ in payloads.boundaries(function)))


def _told(kind: str, keyword: str) -> str:
    return f"{kind.partition(':')[0]} ({keyword})"


def _edge_kind(case: Case) -> tuple[str, str]:
    """Return the rule that an edge is about, and the kind of a finding there."""
    told = _told(case.kind, case.keyword)
    return ("DAT-1", f"valid data is refused: {told}") if case.valid else ("DAT-2", f"{_NOT_REFUSED}: {told}")


def _sought(talk: Talk, case: Case) -> bool:
    """Return whether an edge is to be sent: its own rule may be sought, or what becomes of it where it is stored."""
    stored = case.valid and any(talk.seeks(rule, stored_kind(case.parameter)) for rule in ("DAT-5", "DAT-6"))
    return stored or talk.seeks(*_edge_kind(case))


def _edge(talk: Talk, offer: Offer, case: Case, data: Any, exchange: Exchange) -> bool:
    rule, kind = _edge_kind(case)
    place = (case.parameter or "data", f"{case.pointer} {case.keyword}")
    offer.tell("edge" if case.valid else "violation", exchange, valid=case.valid, place=place)
    accepted = offer.accepts_by_rule(data) if case.valid else {400}
    if case.valid and exchange.status == 400 and _length_alone(offer, data, case):
        accepted = accepted - {400}
    held = talk.status(rule, exchange, accepted, kind=kind, because=case.kind)
    if case.valid and exchange.status == 200:
        judge_stored(talk, offer, exchange, data, data, read_again=not talk.quick)
    offer.clear(exchange, data)
    return held


def _length_alone(offer: Offer, data: Any, case: Case) -> bool:
    """Whether a refusal of unusual text is one of its length alone: shorter such text, and plain text as long, pass.

    Lengths are counted in characters (JSON Schema); unusual characters may be refused (DAT-5), but not for that.
    """
    if case.keyword not in ("maxLength", "minLength", "pattern") or not payloads.oddities(data):
        return False
    plain, short = _respelled(data, lambda text: "x" * len(text)), _respelled(data, lambda text: text[:1])
    answers = []
    for other in (plain, short):
        if other == data or not offer.allows(other):
            return False
        exchange = offer.send(other)
        offer.clear(exchange, other)
        answers.append(exchange.status)
    return answers == [200, 200]


def _respelled(value: Any, spell: Callable[[str], str]) -> Any:
    """Return the value with each text that holds unusual characters spelt otherwise."""
    if isinstance(value, str):
        return spell(value) if payloads.oddities(value) else value
    if isinstance(value, dict):
        return {name: _respelled(item, spell) for name, item in value.items()}
    return [_respelled(item, spell) for item in value] if isinstance(value, list) else value


# -- anywhere ------------------------------------------------------------------------------------------------


@judges("DAT-1", "DAT-5", "DAT-6")
@each_function(doubtful_first=True)
def test_any_data_that_the_schema_allows(talk: Talk, function: Method) -> None:
    """Drawn from all that the schema lets pass; what is stored is read again."""
    offer = Offer(talk, function)
    with talk.portion(breadth) as portion, offer:
        if not control(offer):
            talk.skip("DAT-1", "plain valid data does not succeed", function=function.name)
            return
        try:
            strategy = payloads.valid(function, offer.symbols, bind=offer.binder)
        except (CannotGenerate, SetUpFailedError) as error:
            talk.skip("DAT-1", f"no data can be made: {error}", function=function.name)
            return
        if talk.only is not None:
            for key in talk.only:
                for value in talk.run.remembered.get((talk.name, key), ())[:1]:
                    _anywhere(talk, offer, portion, value)
            return
        failed = 0
        for data in _combined(talk, offer, portion):
            if failed >= 4 or not offer.may_go_on:
                return
            failed += not _anywhere(talk, offer, portion, data)

        def some(seed: int, count: int) -> list[Any]:
            return payloads.draw(strategy, seed, count)

        for value in batches(talk, portion, offer.cost + 1, some):
            if failed >= 4 or not offer.may_go_on:
                break
            failed += not _anywhere(talk, offer, portion, value)


def _combined(talk: Talk, offer: Offer, portion: Portion) -> Iterator[dict[str, Any]]:
    """Yield data in which each pair of choices of two arguments comes once, for half of the portion's calls at most."""
    cost = offer.cost + 1
    rows = covering(choices(offer.function), talk.rng)
    for row in itertools.islice(rows, portion.left // (2 * cost)):
        if not portion.more(cost):
            return
        try:
            data = talk.valid(offer.function, offer.user)
        except SetUpFailedError:
            return
        for name, choice in row.items():
            if choice is Choice.ABSENT:
                data.pop(name, None)
            elif choice is not Choice.GIVEN and not offer.hands_off(name):
                data[name] = choice
        if offer.allows(data):
            yield data


def _anywhere(talk: Talk, offer: Offer, portion: Portion, value: Any) -> bool:
    try:
        data = offer.fit(offer.final(value))
    except SetUpFailedError:
        return True
    if not offer.allows(data):
        return True
    exchange = offer.send(data)
    offer.tell("valid", exchange, valid=True)
    if exchange.status in offer.accepts_by_rule(data):
        talk.run.referee.judged("DAT-1")
        held = judge_stored(talk, offer, exchange, data, value)
        offer.clear(exchange, data)
        return held
    name, smaller, shown = _blame(talk, offer, portion, data, exchange)
    kind = f"valid data is refused: {name}" if name else "valid data is refused"
    key = ("DAT-1", offer.function.name, kind)
    talk.run.remembered.setdefault((talk.name, key), [value])
    accepted = offer.accepts_by_rule(smaller)
    talk.status("DAT-1", shown, accepted, kind=kind, because="the schema allows this data")
    return False


def _blame(
    talk: Talk, offer: Offer, portion: Portion, data: dict[str, Any], exchange: Exchange
) -> tuple[str | None, dict[str, Any], Exchange]:
    """Return the parameter to blame for a refusal (None: several together), with the least data that shows it."""
    plain = talk.valid(offer.function, offer.user, optional="none") if isinstance(data, dict) else {}
    for name in data if isinstance(data, dict) else ():
        alone = offer.fit({**plain, name: data[name]}, name)
        if not portion.more() or name == offer.own or not offer.allows(alone):
            continue
        shown = offer.send(alone)
        offer.clear(shown, alone)
        if shown.status not in offer.accepts_by_rule(alone):
            return name, alone, shown
    small, last = dict(data) if isinstance(data, dict) else data, exchange
    for name in list(small) if isinstance(small, dict) else ():
        less = {other: item for other, item in small.items() if other != name}
        if not portion.more() or not offer.allows(less):
            continue
        shown = offer.send(less)
        offer.clear(shown, less)
        if shown.status not in offer.accepts_by_rule(less):
            small, last = less, shown
    return None, small, last


def judge_stored(
    talk: Talk, offer: Offer, exchange: Exchange, data: Any, value: Any, *, read_again: bool = True
) -> bool:
    """Judge that texts and numbers that were stored come back as they went in.

    Without `read_again` the answer to the call itself is enough where it shows the object.
    """
    held = True
    if not isinstance(data, dict):
        return held
    for source, there, shown in itertools.islice(offer.shown(exchange, data), None if read_again else 1):
        for name, sent, got, schema in pairs(talk, offer.function, data, there):
            param = offer.function.param(name)
            if name == offer.own or param is None or param.ref:
                continue
            if seen(sent, got, schema):
                for rule, kinds in (("DAT-5", str), ("DAT-6", (int, float))):
                    if any(isinstance(leaf, kinds) and not isinstance(leaf, bool) for leaf in leaves(sent)):
                        talk.run.referee.judged(rule)
                continue
            pointer, one, other = departure(sent, got)
            broken = _rule_of(one)
            if broken is None:
                continue
            kind = stored_kind(param.name)
            talk.run.remembered.setdefault((talk.name, (broken, offer.function.name, kind)), [value])
            held = talk.judge(
                broken,
                False,
                kind=kind,
                expected=f"{param.name}{pointer}: {brief(one)}",
                actual=f"{brief(other) if other is not MISSING else 'nothing'} in {source}",
                exchange=exchange,
                witness=shown,
                function=offer.function.name,
            )
    return held


def stored_kind(name: str) -> str:
    """Return the kind of a finding that a parameter was stored otherwise."""
    return f"{name} does not come back as it went in"


def _rule_of(sent: Any) -> str | None:
    """Return the rule that is broken where this came back otherwise; None where another rule's conversation says so."""
    if isinstance(sent, bool) or sent is None:
        return None
    if isinstance(sent, (list, dict)):
        # Items or members are missing, or there are more: their texts come first.
        numbers = [leaf for leaf in leaves(sent) if not isinstance(leaf, str)]
        return "DAT-6" if numbers and len(numbers) == len(list(leaves(sent))) else "DAT-5"
    return "DAT-5" if isinstance(sent, str) else "DAT-6"


def brief(value: Any) -> str:
    """Return a value as JSON of a bearable length, its own length told."""
    return as_json(value, 120)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the scalars of a value."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        else:
            yield item


def departure(sent: Any, got: Any, pointer: str = "") -> tuple[str, Any, Any]:
    """Return where what came departs first from what was sent: (JSON pointer, what was sent there, what came)."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name, item in sent.items():
            if name not in got:
                return f"{pointer}/{name}", next(leaves(item), item), MISSING
            if not equal(item, got[name]):
                return departure(item, got[name], f"{pointer}/{name}")
    if isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        for index, (one, other) in enumerate(zip(sent, got, strict=True)):
            if not equal(one, other):
                return departure(one, other, f"{pointer}/{index}")
    return pointer, sent, got


# -- spoiled -------------------------------------------------------------------------------------------------


@judges("DAT-2")
@each_function(lambda method: bool(method.params), otherwise="no function has arguments", doubtful_first=True)
def test_any_data_that_the_schema_forbids(talk: Talk, function: Method) -> None:
    """One violation at a time, at any depth, in the middle of data that is interesting otherwise."""
    if talk.quick:
        # The edges have most of them; to make the strategies takes longer than a quick run has.
        return
    offer = Offer(talk, function)
    with talk.portion(breadth) as portion, offer:
        if not control(offer):
            talk.skip("DAT-2", "valid data does not succeed either", function=function.name)
            return
        ways: dict[str, Way] = payloads.violations(function)

        def spoilable(way: Way) -> bool:
            return not offer.hands_off(way.parameter)

        try:
            strategy = payloads.spoiled(function, offer.symbols, bind=offer.binder, only=spoilable)
        except CannotGenerate as error:
            talk.skip("DAT-2", f"no argument can be spoiled: {error}", function=function.name)
            return
        if talk.only is not None:
            again = [v for key in talk.only for v in talk.run.remembered.get((talk.name, key), ())[:1]]
        failed: list[str] = []

        def some(seed: int, count: int) -> list[Any]:
            return again if talk.only is not None else payloads.draw(strategy, seed, count)

        def prepared() -> Iterator[tuple[tuple[str, Any], Any]]:
            for name, value in batches(talk, portion, 1, some):
                try:
                    data = offer.fit(offer.bind(value), ways[name].parameter)
                except SetUpFailedError:
                    continue
                if not offer.allows(data):
                    yield (name, value), data

        for (name, value), data, exchange in answers(
            talk, offer, prepared(), lambda: portion.more() and len(failed) < _ENOUGH
        ):
            way = ways[name]
            place = (way.parameter or "data", f"{way.pointer} {way.keyword}")
            offer.tell("violation", exchange, valid=False, place=place)
            kind = as_answered(f"{_NOT_REFUSED}: {_told(name, way.keyword)}", exchange)
            talk.run.remembered.setdefault((talk.name, ("DAT-2", function.name, kind)), [(name, value)])
            if not talk.status("DAT-2", exchange, {400}, kind=kind, because=name):
                failed.append(name)
            offer.clear(exchange, data)


# -- any JSON, any bytes -------------------------------------------------------------------------------------


def documented(talk: Talk, rule: str, exchange: Exchange, what: str) -> bool:
    """Judge that an answer has a documented code and the envelope."""
    if exchange.status is None:
        kind, actual = f"{what} gets no answer", exchange.summary()
    elif exchange.status not in ANSWERED:
        kind, actual = f"{what} is answered {exchange.status}", exchange.summary()
    else:
        envelope = exchange.envelope
        whole = envelope is not None and {"isError", "errMsg", "data"} <= envelope.keys()
        came = exchange.response.body[:120] if exchange.response else b""
        kind, actual = ("", "") if whole else (f"{what} is answered without the envelope", as_json(came))
    return talk.judge(
        rule,
        not kind,
        kind=kind,
        expected="status 200, 400, 401, 403 or 404, and the envelope",
        actual=actual,
        exchange=exchange,
        accepted=None if exchange.status in ANSWERED else ANSWERED,
    )


@judges("DAT-3")
@each_function(doubtful_first=True)
def test_any_json_as_data(talk: Talk, function: Method) -> None:
    """Whatever JSON stands where the arguments belong, callers get an answer that they can read."""
    offer = Offer(talk, function)
    with talk.portion() as portion, offer:
        strategy = payloads.any_json()

        def some(seed: int, count: int) -> list[Any]:
            if talk.only is not None:
                return [v for key in talk.only for v in talk.run.remembered.get((talk.name, key), ())[:1]]
            return payloads.draw(strategy, seed, count)

        def broken(value: Any) -> bool:
            return portion.more() and not answered(value)

        def answered(value: Any) -> bool:
            exchange = offer.send(value)
            offer.clear(exchange, value)
            offer.tell("any JSON", exchange, valid=None)
            held = documented(talk, "DAT-3", exchange, "JSON as data")
            if not held:
                for key in talk.run.referee.take():
                    if key[0] == "DAT-3":
                        talk.run.remembered.setdefault((talk.name, key), [value])
            return held

        for value in batches(talk, portion, 1, some):
            if not answered(value) and talk.only is None:
                calls = min(portion.left, 15 if talk.quick else 40)
                payloads.smallest(
                    strategy, broken, talk.rng.getrandbits(64), calls, min(2.0, portion.seconds)
                )
                break


@judges("DAT-4")
@each_function(doubtful_first=True)
def test_any_bytes_as_body(talk: Talk, function: Method) -> None:
    """The bytes of a good call, damaged where the grammar of JSON breaks, and elsewhere."""
    offer = Offer(talk, function)
    with talk.portion() as portion, offer:
        if offer.login:
            # A damaged password is one that nothing would mask.
            data = {param.name: talk.estate.fresh() for param in function.params}
        else:
            data = talk.valid(function, offer.user)
        strategy = any_bytes(offer.body(data))

        def some(seed: int, count: int) -> list[Damaged]:
            if talk.only is not None:
                return [v for key in talk.only for v in talk.run.remembered.get((talk.name, key), ())[:1]]
            return payloads.draw(strategy, seed, count)

        failed = 0
        for damaged in batches(talk, portion, 1, some):
            if failed >= 6:
                break
            exchange = offer.send(body=damaged.body)
            offer.clear(exchange, data)
            offer.tell("any bytes", exchange, valid=None)
            held = documented(talk, "DAT-4", exchange, f"a damaged body ({damaged.kind.partition(',')[0]})")
            if not held:
                failed += 1
                for key in talk.run.referee.take():
                    if key[0] == "DAT-4":
                        talk.run.remembered.setdefault((talk.name, key), [damaged])
