"""STA-2: an update stores the members that it is given, permanently, and changes nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from conformance.catalog.model import Method, Param
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.not_judged import NotJudgedError
from conformance.engine.runner import Run
from conformance.generation.errors import CannotGenerate
from conformance.helpers.comparison import Lister, bound, equal, listers, read, seen
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.resources.registry import Resource
from conformance.schema.pointer import MISSING, resolve
from conformance.suites.test_state import falsy

#: Changes of one object in a row. A defective target may lose every second or third one.
MIN_CHANGES = 4


def updatable(run: Run, kind: str) -> bool:
    """Return whether objects of a kind can be updated, and read or listed."""
    shown = run.catalog.read(kind) is not None or bool(run.catalog.lists(kind))
    return run.catalog.update(kind) is not None and shown


@dataclass(frozen=True)
class View:
    """A view of an object: its read function, or a list where there is no read function."""

    ctx: TestContext
    resource: Resource
    reader: Method | None
    lister: Lister | None = None

    def look(self) -> tuple[dict[str, Any] | None, Exchange]:
        """Return the object's members (None: what is shown is not an object), and the exchange that shows them.

        Volatile members (`readOnly`) are left out.

        Raises:
            SetUpFailedError: the object cannot be read or listed.

        """
        if self.reader is not None:
            assert self.reader.object is not None
            exchange = self.ctx.must(read(self.ctx, self.resource), f"could not read a {self.resource.kind}")
            shown = resolve(self.reader.volatile_mask(exchange.data), self.reader.object.at)
            return (shown if isinstance(shown, dict) else None), exchange
        assert self.lister is not None
        exchange = self.ctx.must(self.lister.exchange(), "could not list")
        function = self.lister.function
        assert function.object is not None
        for row in resolve(function.volatile_mask(exchange.data), function.rows or "") or ():
            if isinstance(row, dict) and equal(resolve(row, function.object.id), self.resource.id):
                return row, exchange
        raise SetUpFailedError(
            f"{function.name} does not list the {self.resource.kind} {self.resource.id}", exchange
        )


def view_of(ctx: TestContext, resource: Resource) -> View | None:
    """Return the view of an object as its owner; None where there is none."""
    reader = ctx.catalog.read(resource.kind)
    if reader is not None and reader.object is not None and ctx.resources.may_call(resource.user, reader):
        return View(ctx, resource, reader)
    lister = next(iter(listers(ctx, resource.kind, resource.user, resource)), None)
    return View(ctx, resource, None, lister) if lister is not None else None


@judges("STA-2", calls=70)
@each_kind(updatable, otherwise="no kind of object can be both changed and read")
def test_what_was_changed(ctx: TestContext, kind: str) -> None:
    """Update each member through each update function: it must read as changed, and nothing else may change."""
    ctx.need_writing()
    ctx.need_users()
    reasons: list[str] = []
    updates = ctx.catalog.doing("update", kind)
    for update in updates:
        try:
            _judge_update(ctx, kind, update)
        except (NotJudgedError, SetUpFailedError) as error:
            if len(updates) == 1:
                raise
            reasons.append(error.reason)
            ctx.skip("STA-2", error.reason, function=update.name)
    if len(reasons) == len(updates):
        ctx.give_up(reasons[0])


def _judge_update(ctx: TestContext, kind: str, update: Method) -> None:
    """Check the changes that one function makes to a new object.

    Raises:
        NotJudgedError: nobody may call it, or nothing that it changes is shown.

    """
    users = ctx.resources.callers(update)
    if not users or not ctx.resources.harmless(update):
        ctx.give_up(f"no user of the profile may change and read a {kind}")
    user = next((name for name in users if _sees(ctx, kind, name)), None)
    if user is None:
        ctx.give_up(f"no user of the profile may change and read a {kind}")
    resource = ctx.resources.new(kind, user)
    view = view_of(ctx, resource)
    if view is None:
        ctx.give_up(f"no user of the profile may change and read a {kind}")
    bystander = view_of(ctx, ctx.resources.new(kind, user)) if ctx.resources.creator(kind, user) else None
    beside = bystander.look()[0] if bystander is not None else None
    original, _ = view.look()
    changes = Changes(ctx, update, view, original or {})
    for name, choose in changes.steps():
        changes.make(name, choose)
    changes.make_together()
    if bystander is not None:
        now, shown = bystander.look()
        ctx.judge(
            "STA-2",
            equal(beside, now),
            kind=f"a change of one {kind} moves another",
            expected="the other object is as it was",
            actual="it was changed",
            exchange=shown,
            function=update.name,
        )
    if not resource.made:
        changes.restore()
    if not changes.judged:
        ctx.give_up(f"no member of a {kind} is both changed and shown by one name")


def _sees(ctx: TestContext, kind: str, user: str) -> bool:
    """Return whether a user may read or list objects of a kind."""
    reader = ctx.catalog.read(kind)
    functions = [*([reader] if reader is not None else []), *ctx.catalog.lists(kind)]
    return any(ctx.resources.may_call(user, function) for function in functions)


#: Chooses the next value of a member from its current value.
Choice = Callable[[Any], Any]


def _always(value: Any) -> Choice:
    return lambda _: value


def with_one_less(value: Any) -> Iterator[Any]:
    """Yield copies of an object with one member less: of the object itself, then of the objects in it."""
    if not isinstance(value, dict):
        return
    for name in value:
        yield {other: item for other, item in value.items() if other != name}
    for name, item in value.items():
        for fewer in with_one_less(item):
            yield {**value, name: fewer}


def left_behind(before: Any, new: Any, got: Any) -> Iterator[str]:
    """Yield the members that a change left out and that are still there with the value from before.

    A target may add defaults. A long text with digits, as generated ones have, or an object with members is none.
    """
    if not (isinstance(before, dict) and isinstance(new, dict) and isinstance(got, dict)):
        return
    for name, value in got.items():
        if name in new:
            yield from left_behind(before.get(name), new[name], value)
        elif name in before and _is_no_default(value) and equal(before[name], value):
            yield name


def _is_no_default(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) >= MIN_TEXT_OF_ITS_OWN and any(sign.isdigit() for sign in value)
    return isinstance(value, (dict, list)) and len(value) > 0


#: Characters from which on a text that is the same again is taken for the same value, and not for a default.
MIN_TEXT_OF_ITS_OWN = 8


class Changes:
    """The changes of one object through one function, and their effects."""

    def __init__(self, ctx: TestContext, update: Method, view: View, original: dict[str, Any]) -> None:
        assert update.object is not None
        self.ctx = ctx
        self.update = update
        self.own = update.object.id
        self.view = view
        self.resource = view.resource
        self.original = original
        self.shown: dict[str, Any] | None = original
        self.changed: dict[str, Any] = {}
        self.judged = False
        self._made = 0
        #: Other functions may be steps of a workflow (close, assign), which may change other members.
        self._alone = update is ctx.catalog.update(self.resource.kind)

    def steps(self) -> Iterator[tuple[Param, Choice]]:
        """Yield at least MIN_CHANGES changes, each as a parameter and a function that chooses its value."""
        params = [param for param in self.update.params if self._changeable(param)]
        for param in params:
            new = self._other(param)(self.original[param.name])
            if new is MISSING:
                continue
            yield param, _always(new)
            fewer = next((value for value in with_one_less(new) if self._is_valid(param, value)), None)
            if fewer is not None:
                # What is replaced must not be merged with what was there.
                yield param, _always(fewer)
            more = [value for value in falsy(self.update, param.name) if not equal(value, new)]
            if isinstance(new, (list, dict)) and len(new) > 0:
                more.append(new)
            for value in self.ctx.some(more, budgets.FURTHER_CHANGES):
                yield param, _always(value)
        # A wrongly changed member may have had the same value before. By now the other members have other values.
        for param in self.ctx.some(params, budgets.REPEATED_CHANGES):
            yield param, self._other(param)
        for _ in range(MIN_CHANGES):
            for param in params:
                if self._made >= MIN_CHANGES:
                    return
                yield param, self._other(param)

    def _changeable(self, param: Param) -> bool:
        return (
            param.name != self.own
            and param.name in self.original
            and not self.ctx.resources.locks_out(self.update, param.name)
        )

    def _other(self, param: Param) -> Choice:
        def choose(value: Any) -> Any:
            try:
                return self.ctx.resources.sampler(self.resource.user).other_than(param.schema, value)
            except (CannotGenerate, SetUpFailedError):
                return MISSING

        return choose

    def _is_valid(self, param: Param, value: Any) -> bool:
        try:
            return bool(self.update.data.valid(self._data({param.name: value})))
        except SetUpFailedError:
            return False

    def make(self, param: Param, choose: Choice) -> None:
        """Change one member, and check what is shown afterwards."""
        if self.shown is None:
            # The last response did not show an object, which was judged. The next one may.
            self.shown, _ = self.view.look()
        if self.shown is None:
            return
        before = self.shown
        new = choose(before.get(param.name))
        if new is MISSING or equal(before.get(param.name), new):
            return
        exchange = self._send({param.name: new})
        if exchange.status != 200:
            self.ctx.skip(
                "STA-2",
                f"{param.name} could not be changed: {exchange.summary()}",
                function=self.update.name,
            )
            self.shown, _ = self.view.look()
            return
        self._judge(before, {param.name: new})

    def make_together(self) -> None:
        """Change several members in one call: each must read as changed."""
        if self.shown is None:
            return
        values: dict[str, Any] = {}
        for param in self.update.params:
            if self._changeable(param) and param.name in self.shown and param.name in self.changed:
                new = self._other(param)(self.shown[param.name])
                if new is not MISSING:
                    values[param.name] = new
        if len(values) < 2 or self._send(values).status != 200:
            return
        self._judge(self.shown, values)

    def _send(self, values: dict[str, Any]) -> Exchange:
        """Call the function with new values; other required members get their current values."""
        return self.ctx.call(self.update, self._data(values), as_=self.resource.user)

    def _data(self, values: dict[str, Any]) -> dict[str, Any]:
        shown = self.shown or {}
        current = {p.name: shown[p.name] for p in self.update.params if p.required and p.name in shown}
        current.pop(self.own, None)
        return bound(self.ctx, self.update, self.resource, **{**current, **values})

    def _judge(self, before: dict[str, Any], values: dict[str, Any]) -> None:
        ctx, kind = self.ctx, self.resource.kind
        self.judged = True
        self._made += 1
        now, exchange = self.view.look()
        together = "" if len(values) == 1 else ", changed with others,"
        for name, new in values.items():
            self.changed.setdefault(name, self.original[name])
            param = self.update.param(name)
            assert param is not None
            got = now.get(name, MISSING) if now is not None else MISSING
            ctx.judge(
                "STA-2",
                seen(new, got, param.schema),
                kind=f"{name} of a {kind}{together} does not read as changed",
                expected=f"{name}: {as_json(new)}",
                actual=f"{name}: {as_json(got)}",
                exchange=exchange,
                function=self.update.name,
            )
            stayed = sorted(left_behind(before.get(name), new, got))
            ctx.judge(
                "STA-2",
                not stayed,
                kind=f"a change of {name} of a {kind} is merged with what was there",
                expected=f"{name}: {as_json(new)}",
                actual=f"{', '.join(stayed)} of the value before",
                exchange=exchange,
                function=self.update.name,
            )
            self._judge_lists(name, new, param)
        self.shown = now
        if not self._alone:
            return
        # That no object is shown any more was judged already.
        there = now if now is not None else before
        moved = sorted(
            name
            for name in {*before, *there} - values.keys()
            if not equal(before.get(name), there.get(name)) or (name in before) != (name in there)
        )
        changed = next(iter(values)) if len(values) == 1 else "several members"
        ctx.judge(
            "STA-2",
            not moved,
            kind=f"a change of {changed} moves another member of the {kind}",
            expected=f"only {', '.join(values)} is changed",
            actual=f"{', '.join(moved)} changed too",
            exchange=exchange,
            function=self.update.name,
        )

    def _judge_lists(self, name: str, new: Any, param: Param) -> None:
        """Check that the lists show a member as it was changed."""
        if self.view.lister is not None:
            return
        for lister in listers(self.ctx, self.resource.kind, self.resource.user, self.resource):
            assert lister.function.object is not None
            listed = lister.exchange()
            rows = self.ctx.resources.rows(lister.function, listed)
            row = next(
                (r for r in rows if equal(resolve(r, lister.function.object.id), self.resource.id)), None
            )
            if isinstance(row, dict) and name in row:
                self.ctx.judge(
                    "STA-2",
                    seen(new, row[name], param.schema),
                    kind=f"{name} of a {self.resource.kind} is not listed as changed",
                    expected=f"{name}: {as_json(new)}",
                    actual=f"{name}: {as_json(row[name])}",
                    exchange=listed,
                    function=lister.function.name,
                )

    def restore(self) -> None:
        """Restore the values of an object that the run did not create."""
        data = bound(self.ctx, self.update, self.resource, **self.changed)
        if self.ctx.call(self.update, data, as_=self.resource.user).status != 200:
            for name, value in self.changed.items():
                alone = bound(self.ctx, self.update, self.resource, **{name: value})
                self.ctx.call(self.update, alone, as_=self.resource.user)
