"""STA-2, STA-3 and STA-5 for calls that meet: identical creates, deletes of one object, changes of other members."""

from __future__ import annotations

import functools
from typing import Any

from conformance.catalog.model import Method, Param
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_kind, judges
from conformance.engine.runner import Run
from conformance.generation.errors import CannotGenerate
from conformance.helpers.comparison import bound, equal, listers, pairs, read, seen
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.protocol.shown import as_json
from conformance.resources.registry import Resource
from conformance.schema.pointer import MISSING, resolve
from conformance.suites.test_changes import View, updatable, view_of
from conformance.suites.test_state import creators

#: Calls at the same time.
_AT_ONCE = 8

#: Deletes of one object at the same time.
_DELETES = 4

#: What a call that comes too late may be answered with.
_REFUSED_OR_DONE = {200, 400, 403, 404}


def _creatable(run: Run, kind: str) -> bool:
    return run.catalog.create(kind) is not None


@judges("STA-5", "COD-8", calls=30)
@each_kind(_creatable, otherwise="no kind of object can be made")
def test_identical_creates(ctx: TestContext, kind: str) -> None:
    """Send one create several times at once, then once more: each is made as its own object, or refused."""
    create = ctx.catalog.create(kind)
    assert create is not None
    assert create.object is not None
    user = creators(ctx, kind)[0]
    count = ctx.amount(budgets.IDENTICAL_CREATES)
    if ctx.catalog.delete(kind) is None:
        count = budgets.IDENTICAL_CREATES.quick
    data = ctx.valid(create, user)
    call = functools.partial(ctx.call, create, data, as_=user, token=ctx.sessions.of(user).token)
    made: list[tuple[Any, Exchange]] = []
    for exchange in [*ctx.together([call] * count, at_once=_AT_ONCE), call()]:
        if exchange.status is None or exchange.status >= 500:
            # COD-8 judges it.
            continue
        ctx.status(
            "STA-5",
            exchange,
            _REFUSED_OR_DONE,
            kind=f"identical creates of a {kind} are refused with another status",
            because="each is made, or refused",
        )
        if exchange.status == 200:
            made.append((resolve(exchange.data, create.object.id), exchange))
    identifiers = [repr(identifier) for identifier, _ in made]
    for identifier, exchange in made:
        ctx.judge(
            "STA-5",
            identifiers.count(repr(identifier)) == 1,
            kind=f"identical creates of a {kind} are given the same identifier",
            expected=f"{len(made)} identifiers for {len(made)} creates",
            actual=f"{len(set(identifiers))}",
            exchange=exchange,
        )
    resources = [_known(ctx, kind, identifier, user, data) for identifier, _ in made]
    _judge_stored(ctx, create, resources)
    if ctx.catalog.delete(kind) is not None:
        for resource in resources:
            if not resource.gone:
                ctx.resources.remove(resource)


def _known(ctx: TestContext, kind: str, identifier: Any, user: str, data: dict[str, Any]) -> Resource:
    resource = ctx.resources.resource(kind, identifier, user)
    resource.sent = resource.sent or data
    return resource


def _judge_stored(ctx: TestContext, create: Method, resources: list[Resource]) -> None:
    """Check that each object can be read with the values of the create, and is in the lists."""
    if not resources:
        return
    first = resources[0]
    reader = ctx.catalog.read(first.kind)
    if reader is not None and reader.object is not None:
        for resource in resources:
            exchange = ctx.witness(read(ctx, resource))
            shown = resolve(exchange.data, reader.object.at) if exchange.status == 200 else None
            wrong = [
                name
                for name, sent, got, schema in pairs(ctx, create, resource.sent, shown)
                if not seen(sent, got, schema)
            ]
            ctx.judge(
                "STA-5",
                exchange.status == 200 and not wrong,
                kind=f"of identical creates of a {first.kind} not all are kept",
                expected=f"each {first.kind} that was made can be read with its values",
                actual=f"{', '.join(wrong)} read otherwise" if wrong else exchange.summary(),
                exchange=exchange,
                function=create.name,
            )
    for lister in listers(ctx, first.kind, first.user, first):
        listed = [repr(identifier) for identifier in lister.ids()]
        lost = [resource.id for resource in resources if repr(resource.id) not in listed]
        ctx.judge(
            "STA-5",
            not lost,
            kind=f"of identical creates of a {first.kind} not all are in the list",
            expected=f"all {len(resources)} in {lister.function.name}",
            actual=f"{len(lost)} are missing",
            exchange=lister.last,
            function=lister.function.name,
        )


@judges("STA-3", "COD-8", calls=12)
@each_kind(
    lambda run, kind: run.catalog.delete(kind) is not None and _creatable(run, kind),
    otherwise="no kind of object can be both made and deleted",
)
def test_deletes_at_once(ctx: TestContext, kind: str) -> None:
    """Delete one object several times at once: one call succeeds, none fails internally, and it is gone."""
    delete, reader = ctx.catalog.delete(kind), ctx.catalog.read(kind)
    assert delete is not None
    users = [user for user in creators(ctx, kind) if ctx.resources.may_call(user, delete)]
    if not users:
        ctx.give_up(f"no user who may make a {kind} may delete it")
    user = users[0]
    resource = ctx.resources.new(kind, user)
    data = bound(ctx, delete, resource)
    call = functools.partial(ctx.call, delete, data, as_=user, token=ctx.sessions.of(user).token)
    exchanges = ctx.together([call] * _DELETES, at_once=_AT_ONCE)
    if any(exchange.status == 200 for exchange in exchanges):
        ctx.resources.forget(kind, resource.id)
    for exchange in exchanges:
        if exchange.status is not None and exchange.status < 500:
            ctx.status(
                "STA-3",
                exchange,
                _REFUSED_OR_DONE,
                kind=f"deletes of one {kind} at the same time are refused with another status",
            )
    if all(exchange.status in _REFUSED_OR_DONE for exchange in exchanges):
        ctx.judge(
            "STA-3",
            any(exchange.status == 200 for exchange in exchanges),
            kind=f"of deletes of one {kind} at the same time none succeeds",
            expected="one of them deletes it",
            actual=exchanges[0].summary(),
            exchange=exchanges[0],
        )
    if reader is None or not resource.gone or not ctx.resources.may_call(user, reader):
        return
    after = ctx.witness(read(ctx, resource))
    ctx.status(
        "STA-3",
        after,
        {400, 403, 404},
        kind=f"a {kind} that was deleted twice at the same time can still be used (read)",
        otherwise=f"a {kind} that was deleted twice at the same time is refused with another status (read)",
    )


@judges("STA-2", calls=20)
@each_kind(updatable, otherwise="no kind of object can be both changed and read")
def test_changes_of_other_members_at_once(ctx: TestContext, kind: str) -> None:
    """Change different members of one object at the same time: no confirmed change may be lost."""
    ctx.need_writing()
    ctx.need_users()
    update = ctx.catalog.update(kind)
    assert update is not None
    users = [user for user in ctx.resources.callers(update) if ctx.resources.creator(kind, user) is not None]
    if not users or not ctx.resources.harmless(update):
        ctx.give_up(f"no user of the profile may make and change a {kind}")
    resource = ctx.resources.new(kind, users[0])
    view = view_of(ctx, resource)
    if view is None:
        ctx.give_up(f"no user who may change a {kind} may read it")
    changes = MeetingChanges(ctx, update, view)
    if len(changes.params) < 2:
        ctx.give_up(f"a {kind} has no two members that can be changed apart")
    if not changes.survive_one_after_another():
        ctx.give_up(f"changes of a {kind} one after another are not both stored, which STA-2 judges")
    for _ in range(ctx.amount(budgets.ROUNDS_OF_MEETING_CHANGES)):
        changes.judge_at_once()


class MeetingChanges:
    """Changes of different members of one object."""

    def __init__(self, ctx: TestContext, update: Method, view: View) -> None:
        self.ctx = ctx
        self.update = update
        self.view = view
        self.resource = view.resource
        shown, _ = view.look()
        params = [param for param in update.params if self._changeable(param, shown or {})]
        self.params = ctx.some(params, budgets.MEMBERS_CHANGED_AT_ONCE)

    def _changeable(self, param: Param, shown: dict[str, Any]) -> bool:
        role = self.update.object
        return (
            not param.required
            and not param.ref
            and role is not None
            and param.name != role.id
            and param.name in shown
            and not self.ctx.resources.locks_out(self.update, param.name)
        )

    def _values(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Return another value for each member, where there is one."""
        sampler = self.ctx.resources.sampler(self.resource.user)
        found: dict[str, Any] = {}
        for param in self.params:
            try:
                found[param.name] = sampler.other_than(param.schema, shown.get(param.name))
            except (CannotGenerate, SetUpFailedError):
                continue
        return found

    def _data(self, shown: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
        """Return data that changes one member; other required members get their current values."""
        current = {
            param.name: shown[param.name]
            for param in self.update.params
            if param.required and param.name in shown and not param.ref
        }
        return bound(self.ctx, self.update, self.resource, **{**current, name: value})

    def survive_one_after_another(self) -> bool:
        """Return whether changes that do not meet are stored: an update may also replace the whole object."""
        shown = self.view.look()[0] or {}
        values = self._values(shown)
        done = {
            name: value
            for name, value in values.items()
            if self.ctx.call(self.update, self._data(shown, name, value), as_=self.resource.user).status
            == 200
        }
        self.params = [param for param in self.params if param.name in done]
        return len(done) > 1 and not self._lost(done, self.view.look()[0])

    def _lost(self, done: dict[str, Any], shown: dict[str, Any] | None) -> list[str]:
        found = []
        for name, value in done.items():
            param = self.update.param(name)
            assert param is not None
            if not seen(value, (shown or {}).get(name, MISSING), param.schema):
                found.append(name)
        return found

    def judge_at_once(self) -> None:
        """Send the changes at the same time, and check that each one that was confirmed is shown."""
        ctx = self.ctx
        shown = self.view.look()[0] or {}
        values = self._values(shown)
        token = ctx.sessions.of(self.resource.user).token
        calls = [
            functools.partial(
                ctx.call, self.update, self._data(shown, name, value), as_=self.resource.user, token=token
            )
            for name, value in values.items()
        ]
        exchanges = dict(zip(values, ctx.together(calls, at_once=_AT_ONCE), strict=True))
        done = {name: values[name] for name, exchange in exchanges.items() if exchange.status == 200}
        if len(done) < 2:
            return
        now, witness = self.view.look()
        lost = self._lost(done, now)
        for name in done:
            ctx.judge(
                "STA-2",
                name not in lost,
                kind=f"of changes of different members of a {self.resource.kind} at the same time one is lost",
                expected=f"{name}: {as_json(done[name])}, as confirmed",
                actual=f"{name}: {as_json((now or {}).get(name, MISSING))}"
                + (", as before" if equal((now or {}).get(name), shown.get(name)) else ""),
                exchange=exchanges[name],
                witness=witness,
            )
