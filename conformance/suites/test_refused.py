"""DAT-7: a refused write changes nothing."""

from __future__ import annotations

import functools
import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.payload_budget import Share
from conformance.generation import payloads
from conformance.generation.payloads import CannotGenerate, Case
from conformance.helpers.comparison import equal, listers, read
from conformance.helpers.differences import leaves
from conformance.helpers.fuzz_target import FuzzTarget, Symbol, breadth
from conformance.helpers.looks import Look, children, lists
from conformance.helpers.looks import views as views_of
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.suites.test_codes import identifiers, strangers


@judges("DAT-7", share=Share(requests=0.063, seconds=0.08))
@each_function(lambda method: method.effect != "read", otherwise="no function writes", doubtful_first=True)
def test_refused_writes(ctx: TestContext, function: Method) -> None:
    """Send writes that must be refused for one member, the identifier or the caller; nothing may change."""
    ctx.need_writing()
    fuzz_target = FuzzTarget(ctx, function)
    with ctx.budget_slice(breadth) as budget_slice, fuzz_target:
        views = list(_views(ctx, fuzz_target))
        if not views:
            ctx.give_up("nothing that the function could change can be looked at")
        judged = _judge_in_batches(
            ctx,
            fuzz_target,
            views,
            _refusals(ctx, fuzz_target, {}),
            size=6,
            more=lambda _: budget_slice.more(len(views) + 1),
        )
        if not judged:
            ctx.give_up("no call of it is refused")


@judges("DAT-7")
@each_function(lambda method: method.effect != "read", otherwise="no function writes", silent=True)
def test_what_is_beside_refused_writes(ctx: TestContext, function: Method) -> None:
    """Send some of those writes, and look at the object, its children, and other users' objects and lists."""
    ctx.need_writing()
    fuzz_target = FuzzTarget(ctx, function)
    with fuzz_target:
        foreign = _foreign(ctx, fuzz_target)
        views = ctx.first(_views_beside(ctx, fuzz_target, foreign), budgets.VIEWS_BESIDE_REFUSED)
        # The object itself is looked at, too, since a small budget sends more calls here than in the other test.
        own = list(_views(ctx, fuzz_target))
        views += own[-1:] if fuzz_target.creates else own[:1]
        if not views:
            return
        limit = ctx.amount(budgets.REFUSED_BESIDE)
        _judge_in_batches(
            ctx,
            fuzz_target,
            views,
            _refusals(ctx, fuzz_target, foreign),
            size=limit,
            more=lambda answered: answered < limit,
        )


#: The description of a view, and a function that reads it.
View = tuple[str, Callable[[], Any]]


@dataclass(frozen=True)
class Refusal:
    """A call that must be refused; `make` builds its data with new values each time, None where it cannot."""

    description: str
    make: Callable[[], dict[str, Any] | None]
    call: Callable[[Any], Exchange]
    #: Whether it was sent before in a batch that could not be judged.
    retried: bool = False

    def send(self) -> Exchange | None:
        """Build the data and send it."""
        data = self.make()
        return None if data is None else self.call(data)


#: A refused call and its exchange.
Sent = tuple[Refusal, Exchange]


def _judge_in_batches(
    ctx: TestContext,
    fuzz_target: FuzzTarget,
    views: list[View],
    calls: Iterator[Refusal],
    *,
    size: int,
    more: Callable[[int], bool],
) -> bool:
    """Send calls in batches, and compare the views after each batch; return whether a batch was judged.

    All data of a batch is built before the first call, since objects that are created for it may appear in the views.
    `more` returns whether another call may be sent, given the number of those that were answered.
    """
    before: list[tuple[Any, bool]] = []
    again: list[Refusal] = []
    answered, judged = 0, False
    while more(answered):
        owned = len(list(ctx.resources.owned()))
        # Calls that are sent again have a batch of their own, in which nothing else is accepted.
        built = ((call, data) for call in again or calls if (data := call.make()) is not None)
        batch = list(itertools.islice(built, size))
        if not batch and not again:
            break
        again = []
        if not before or owned != len(list(ctx.resources.owned())):
            before = [_settled(look) for _, look in views]
        sent: list[Sent] = []
        moved = False
        for call, data in batch:
            if not more(answered):
                break
            exchange = call.call(data)
            if exchange.withheld:
                continue
            answered += 1
            fuzz_target.count("refused write", exchange, valid=None)
            if exchange.status is not None and 400 <= exchange.status < 500:
                sent.append((call, exchange))
            else:
                # It was not refused, so another rule judges its effect.
                fuzz_target.clear(exchange, None)
                moved = True
        if moved and not _as_before(views, before):
            # The accepted calls may have changed the views. The refused ones are sent once more, without them.
            again = [replace(call, retried=True) for call, _ in sent if not call.retried]
            before = [_settled(look) for _, look in views]
        elif sent:
            judged = True
            if not _unmoved(ctx, fuzz_target, views, before, sent):
                break
    return judged


def _as_before(views: list[View], before: list[tuple[Any, bool]]) -> bool:
    """Return whether each steady view shows what it showed before."""
    return all(equal(was, look()) for (_, look), (was, steady) in zip(views, before, strict=True) if steady)


@dataclass(frozen=True)
class _Gone:
    """Stand for an object that can no longer be read."""

    status: int


def _views(ctx: TestContext, fuzz_target: FuzzTarget) -> Iterator[View]:
    """Yield (description, view) of what the function could change."""
    role, user = fuzz_target.role, fuzz_target.user
    if user is None:
        return
    seen: set[str] = set()
    resource_list = []
    if fuzz_target.resource is not None:
        resource_list.append(fuzz_target.resource)
    for _, kind in identifiers(fuzz_target.function):
        if fuzz_target.resource is None or fuzz_target.resource.kind != kind:
            try:
                resource_list.append(ctx.resources.any(kind, user))
            except SetUpFailedError:
                continue
    for resource in resource_list:
        reader = ctx.catalog.read(resource.kind)
        if reader is None or resource.kind in seen or not ctx.resources.may_call(user, reader):
            continue
        seen.add(resource.kind)

        def look(resource: Any = resource, reader: Method = reader) -> Any:
            exchange = ctx.witness(read(ctx, resource))
            if exchange.status in (400, 403, 404):
                # A refused delete that deletes it changes the view, too.
                return _Gone(exchange.status)
            return reader.volatile_mask(ctx.must(exchange, f"could not read a {resource.kind}").data)

        yield f"a {resource.kind} as {reader.name} shows it", look
    if role is not None:
        sent = ctx.resources.any(role.kind, user) if role.does != "create" else None
        if sent is None and ctx.resources.creator(role.kind, user) is not None:
            sent = ctx.resources.any(role.kind, user)
        for lister in listers(ctx, role.kind, user, sent):

            def watch(lister: Any = lister) -> Any:
                exchange = ctx.must(lister.exchange(), "could not list")
                return lister.function.volatile_mask(exchange.data)

            yield f"the list of {lister.function.name}", watch
            break


def _foreign(ctx: TestContext, fuzz_target: FuzzTarget) -> dict[str, Resource]:
    """Create an object of another user for each parameter that takes an identifier; return them by parameter."""
    function, user = fuzz_target.function, fuzz_target.user
    found: dict[str, Resource] = {}
    if user is None or ctx.profile.auth.login is None:
        return found
    name = ctx.profile.users[user].user
    others = [
        each
        for each in ctx.profile.users
        if ctx.profile.users[each].user != name
        and ctx.resources.privileges(user) <= ctx.resources.privileges(each)
    ]
    for parameter, kind in identifiers(function):
        other = next((each for each in others if ctx.resources.creator(kind, each) is not None), None)
        if other is None:
            continue
        try:
            found[parameter] = ctx.resources.new(kind, other)
        except SetUpFailedError:
            continue
    return found


def _views_beside(ctx: TestContext, fuzz_target: FuzzTarget, foreign: dict[str, Resource]) -> list[View]:
    """Return views of what stands beside the object: its children, and another user's objects, children and lists."""
    role, user = fuzz_target.role, fuzz_target.user
    found: list[Look] = []
    if role is not None and user is not None and role.does in ("update", "delete"):
        found += children(ctx, fuzz_target.resource or ctx.resources.any(role.kind, user), deletable=True)
    for resource in [*foreign.values()][: role is not None]:
        assert role is not None
        under = Resource(role.kind, None, resource.user, _as_parent(role.kind, foreign))
        found += lists(ctx, under, resource.user)
    for resource in foreign.values():
        found += views_of(ctx, resource, f"another user's {resource.kind}")
    for resource in foreign.values():
        found += children(ctx, resource, deletable=True)
    return [(what, _without_exchange(look)) for what, look in found]


def _as_parent(kind: str, foreign: dict[str, Resource]) -> dict[str, Any]:
    """Return the members by which a list is asked for the children of another user's objects."""
    return {name: resource.id for name, resource in foreign.items() if resource.kind != kind}


def _without_exchange(look: Callable[[], tuple[Any, Exchange]]) -> Callable[[], Any]:
    return lambda: look()[0]


def _settled(look: Callable[[], Any]) -> tuple[Any, bool]:
    """Return what is shown, and whether a second view shows the same."""
    first, again = look(), look()
    return again, equal(first, again) and not isinstance(again, _Gone)


#: Violations in whose course every other kind of refused call is sent twice; after them, it is sent rarely.
_FIRST_VIOLATIONS = 8
_RARE_STEP = 4


def _refusals(ctx: TestContext, fuzz_target: FuzzTarget, foreign: dict[str, Resource]) -> Iterator[Refusal]:
    """Yield calls that must be refused: for violations of the schema, and between them for other reasons."""
    function, user = fuzz_target.function, fuzz_target.user
    violations = [
        case
        for case in payloads.boundaries(function)
        if not case.valid and not fuzz_target.hands_off(case.parameter)
    ]
    others = [name for name in ctx.profile.users if name != user]
    for number, case in enumerate(_spread(ctx, violations) or [None] * 8):
        if case is not None:
            yield Refusal(
                f"refused for {case.kind}",
                functools.partial(_invalid_data, ctx, fuzz_target, case),
                fuzz_target.send,
            )
        if number >= _FIRST_VIOLATIONS and number // 4 % _RARE_STEP:
            continue
        if number % 4 == 1:
            for description, dangling in _dangling(ctx, fuzz_target):
                yield Refusal(description, _renewing(ctx, fuzz_target, dangling), fuzz_target.send)
        if number % 4 == 0:
            for parameter, resource in foreign.items():
                yield Refusal(
                    f"refused for a {resource.kind} of another user",
                    functools.partial(_with_foreign, ctx, fuzz_target, parameter, resource),
                    fuzz_target.send,
                )
        if number % 4 != 3:
            continue
        anew = functools.partial(fresh, ctx, fuzz_target)
        if function.auth not in ("none", None):
            yield Refusal("refused for want of a session", anew, functools.partial(ctx.call, function))
        if others and identifiers(function) and ctx.resources.may_call(others[0], function):
            other = others[number // 4 % len(others)]
            yield Refusal("refused to another user", anew, functools.partial(ctx.call, function, as_=other))


def _renewing(
    ctx: TestContext, fuzz_target: FuzzTarget, dangling: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    """Return a function that builds data with an unknown object: unchanged at first, then with new values."""
    top = {name for name, _ in identifiers(fuzz_target.function)}
    sent: list[dict[str, Any]] = []

    def make() -> dict[str, Any]:
        data = dangling
        anew = fresh(ctx, fuzz_target) if sent else None
        if anew is not None:
            wrong = {
                name: value for name, value in dangling.items() if name in top or _deep_ref(fuzz_target, name)
            }
            data = {**anew, **wrong}
        sent.append(data)
        return data if fuzz_target.allows(data) else dangling

    return make


def _deep_ref(fuzz_target: FuzzTarget, name: str) -> bool:
    """Return whether a parameter has identifiers within its value."""
    param = fuzz_target.function.param(name)
    return param is not None and '"x-ref"' in json.dumps(param.schema, default=str)


#: Keywords whose violations a target may correct instead of refusing them: it cuts, removes, clamps or converts.
_CORRECTABLE = frozenset(
    {"maxLength", "uniqueItems", "maxItems", "maximum", "minimum", "multipleOf", "format", "type"}
)


def _spread(ctx: TestContext, violations: list[Case]) -> list[Case]:
    """Return the violations, the correctable ones first, in an order that repeats keywords and parameters late."""
    ctx.rng.shuffle(violations)
    seen = Counter({f"keyword {case.keyword}" for case in violations if case.keyword not in _CORRECTABLE})
    pairs: Counter[tuple[str, str]] = Counter()
    placed: list[Case] = []
    queue = [((0, 0, 0), number) for number in range(len(violations))]
    while queue:
        rank, number = heapq.heappop(queue)
        case = violations[number]
        keyword, parameter, pair = f"keyword {case.keyword}", case.parameter, (case.keyword, case.parameter)
        now = pairs[pair], max(seen[keyword], seen[parameter]), seen[keyword] + seen[parameter]
        if now > rank:
            # The counts only grow, so the ranks in the queue are lower bounds.
            heapq.heappush(queue, (now, number))
            continue
        placed.append(case)
        seen.update((keyword, parameter))
        pairs[pair] += 1
    return placed


def fresh(ctx: TestContext, fuzz_target: FuzzTarget) -> dict[str, Any] | None:
    """Return valid data with new values in every member, on the watched objects."""
    try:
        fixed = {}
        if fuzz_target.user is not None:
            for name, kind in identifiers(fuzz_target.function):
                ours = (
                    fuzz_target.resource
                    if fuzz_target.resource is not None and fuzz_target.resource.kind == kind
                    else None
                )
                fixed[name] = (ours or ctx.resources.any(kind, fuzz_target.user)).id
        data = ctx.valid(fuzz_target.function, fuzz_target.user, optional="all", **fixed)
    except SetUpFailedError:
        return None
    return dict(fuzz_target.fit(data))


def _with_foreign(
    ctx: TestContext, fuzz_target: FuzzTarget, parameter: str, resource: Resource
) -> dict[str, Any] | None:
    """Return valid data with the identifier of another user's object; None if that is gone, or may not be sent."""
    data = fresh(ctx, fuzz_target)
    if data is None or resource.gone:
        return None
    changed = {**data, parameter: resource.id}
    return changed if fuzz_target.allows(changed) else None


def _invalid_data(ctx: TestContext, fuzz_target: FuzzTarget, case: Case) -> dict[str, Any] | None:
    """Return data with one violation; the other members are valid and new, and the invalid one comes last."""
    data = fresh(ctx, fuzz_target)
    try:
        invalid_data = case.build(lambda kind: fuzz_target.bind(Symbol(kind)))
    except (CannotGenerate, SetUpFailedError):
        return None
    if data is None or not isinstance(invalid_data, dict):
        return None
    if not case.parameter:
        data = invalid_data
    else:
        data.pop(case.parameter, None)
        if case.parameter in invalid_data:
            # A target that stores members one by one has stored the valid ones by then.
            data[case.parameter] = invalid_data[case.parameter]
    return data if not fuzz_target.allows(data) else None


def _dangling(ctx: TestContext, fuzz_target: FuzzTarget) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield data with one identifier of an object that does not exist."""
    for name, kind in identifiers(fuzz_target.function):
        data = fresh(ctx, fuzz_target)
        if data is None or name not in data:
            continue
        for value in strangers(ctx, data[name])[:1]:
            changed = {**data, name: value}
            if fuzz_target.allows(changed):
                yield f"refused for a {kind} that does not exist", changed
    yield from _dangling_within(ctx, fuzz_target)


def _dangling_within(ctx: TestContext, fuzz_target: FuzzTarget) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the same for identifiers below the top level, in an array or an object."""
    top = {name for name, _ in identifiers(fuzz_target.function)}
    refs = json.dumps(
        [param.schema for param in fuzz_target.function.params if param.name not in top], default=str
    )
    data = fresh(ctx, fuzz_target) if '"x-ref"' in refs else None
    if data is None:
        return
    try:
        strategy = payloads.valid(fuzz_target.function, fuzz_target.symbols, bind=fuzz_target.resolver)
        drawn = payloads.draw(strategy, ctx.rng.getrandbits(64), 12)
    except (CannotGenerate, SetUpFailedError):
        return
    for value in drawn:
        for param in fuzz_target.function.params:
            given = value.get(param.name) if isinstance(value, dict) else None
            symbol = next((leaf for leaf in leaves(given) if isinstance(leaf, Symbol)), None)
            if symbol is None or param.name in top:
                continue
            for stranger in strangers(ctx, fuzz_target.bind(symbol))[:1]:
                changed = {name: item for name, item in data.items() if name != param.name}
                changed[param.name] = fuzz_target.bind(_instead(given, symbol, stranger))
                if fuzz_target.allows(changed):
                    yield f"refused for a {symbol.kind} that does not exist", changed
                    return


def _instead(value: Any, symbol: Symbol, stranger: Any) -> Any:
    """Return the value with another identifier in place of one symbol."""
    if value is symbol:
        return stranger
    if isinstance(value, dict):
        return {name: _instead(item, symbol, stranger) for name, item in value.items()}
    return [_instead(item, symbol, stranger) for item in value] if isinstance(value, list) else value


def _unmoved(
    ctx: TestContext,
    fuzz_target: FuzzTarget,
    views: list[View],
    before: list[tuple[Any, bool]],
    sent: list[Sent],
) -> bool:
    good = True
    for (what, look), (was, steady) in zip(views, before, strict=True):
        if not steady:
            continue
        now = look()
        if equal(was, now):
            ctx.run.observer.judged("DAT-7")
            continue
        culprit = _culprit(look, now, sent)
        if culprit is None:
            # It is not known which call it was, so none of them is shown as the cause.
            kinds = "; ".join(dict.fromkeys(call.description for call, _ in sent))
            actual, exchange = (
                f"it moved after {len(sent)} refused calls, none of which did it again ({kinds})",
                None,
            )
        else:
            actual, exchange = f"it moved after a call that was {culprit[0]}", culprit[1]
        good = ctx.judge(
            "DAT-7",
            False,
            kind="a refused write changed something",
            expected=f"{what}: as it was before",
            actual=actual[:600],
            exchange=exchange,
            function=fuzz_target.function.name,
        )
    return good


#: Rounds in which the refused calls are sent again, since a new value may equal the current one by chance.
_ROUNDS = 2


def _culprit(look: Callable[[], Any], now: Any, sent: list[Sent]) -> tuple[str, Exchange] | None:
    """Send calls like the refused ones, one by one with new values; return the one that changes something."""
    for _ in range(_ROUNDS):
        for call, _ in sent:
            exchange = call.send()
            if exchange is None or exchange.status is None or not 400 <= exchange.status < 500:
                # It was not refused this time, so it may change the object.
                now = look()
                continue
            if not equal(look(), now):
                return call.description, exchange
    return None
