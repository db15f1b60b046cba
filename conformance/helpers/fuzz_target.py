"""A function that is called with generated data, as one user.

Identifiers are resolved, the user's account is left alone, and created objects are deleted.

Strategies draw symbols in place of identifiers, so that a seed draws the same data whatever the target's identifiers
are. Symbols are resolved when the data is sent and checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.generation import payloads
from conformance.helpers.comparison import equal, listers, read
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource
from conformance.resources.shown_values import shown_in
from conformance.schema.pointer import resolve

__all__ = ["FuzzTarget", "breadth"]


def breadth(function: Method) -> float:
    """Return a measure of how much there is to test in a function: the length of its schemas."""
    return 40.0 + sum(len(json.dumps(param.schema, default=str)) for param in function.params)


class Symbol(str):
    """A placeholder for the identifier of an object of a kind, until data is sent."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """The kind of the object."""
        return str(self)


class IdentifierResolver:
    """Resolve symbols for the current fuzz target of a function.

    There is one resolver per function, so that the function's strategies are built once.
    """

    def __init__(self) -> None:
        self.fuzz_target: FuzzTarget | None = None

    def __call__(self, value: Any) -> Any:
        """Return the value with the symbols replaced by identifiers."""
        assert self.fuzz_target is not None
        return self.fuzz_target.bind(value)


class FuzzTarget:
    """Call one function with generated data; as a context manager, delete what was created.

    `user` is the caller (None for no session), and `resource` the object that an update function is called on.
    """

    def __init__(
        self,
        ctx: TestContext,
        function: Method,
        user: str | None = None,
        *,
        undeletable: budgets.ByBudget[int] = budgets.UNDELETABLE_OBJECTS,
    ) -> None:
        self.ctx = ctx
        self.function = function
        self._most_undeletable = ctx.amount(undeletable)
        self.user = user if user is not None else ctx.who(function)
        self.login = function.name in ctx.caller.logins
        role = function.object
        self.role = role
        self.own = role.id if role is not None and role.does in ("read", "update", "delete") else None
        self.creates = role is not None and role.does == "create"
        changes = role is not None and role.does in ("create", "update", "list")
        self._spends = function.effect != "read" and not changes
        self.resolver: IdentifierResolver = ctx.run.resolvers.setdefault(function.name, IdentifierResolver())
        self.resolver.fuzz_target = self
        self.resource: Resource | None = None
        self._original: Any = None
        self._deletes = role is not None and ctx.catalog.delete(role.kind) is not None
        self._made = 0

    # -- before and after --------------------------------------------------------------------------------------

    def __enter__(self) -> FuzzTarget:
        ctx, role = self.ctx, self.role
        if role is not None and role.does == "update" and self.user is not None:
            self.resource = ctx.resources.new(role.kind, self.user)
            reader = ctx.catalog.read(role.kind)
            if not self.resource.made and reader is not None and reader.object is not None:
                shown = read(ctx, self.resource)
                self._original = resolve(shown.data, reader.object.at) if shown.status == 200 else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.resource is None or (kind is not None and not issubclass(kind, SetUpFailedError)):
            return
        if self.resource.made:
            self.ctx.resources.remove(self.resource)
        elif isinstance(self._original, dict):
            # An object that the run did not create gets its values back.
            values = {
                param.name: self._original[param.name]
                for param in self.function.params
                if param.name in self._original and not self.hands_off(param.name) and param.name != self.own
            }
            for given in (values, *({name: value} for name, value in values.items())):
                data = {**given, str(self.own): self.resource.id}
                if self.function.data.valid(data) and self.send(data).status == 200:
                    break

    @property
    def may_go_on(self) -> bool:
        """Whether more objects may be created; where they cannot be deleted, only a few may."""
        return self.may_make(1)

    def may_make(self, count: int) -> bool:
        """Return whether this number of objects may be created on top of those that were."""
        return self._deletes or not self.creates or self._made + count <= self._most_undeletable

    @property
    def cost(self) -> int:
        """The number of calls that an accepted example takes, with the clean-up."""
        return 2 if (self.creates and self._deletes) or self._spends else 1

    @property
    def stores(self) -> bool:
        """Whether the function creates or updates objects, so that stored data can be read again."""
        return self.role is not None and self.role.does in ("create", "update")

    # -- data --------------------------------------------------------------------------------------------------

    def hands_off(self, parameter: str) -> bool:
        """Return whether a parameter must not be sent, since it may lock the user out of the account."""
        return self.ctx.resources.locks_out(self.function, parameter)

    def identify(self, kind: str) -> Any:
        """Return the identifier of an object of a kind that the user may use.

        Raises:
            SetUpFailedError: there is none.

        """
        if self.resource is not None and self.resource.kind == kind:
            return self.resource.id
        if self.user is None:
            raise SetUpFailedError(f"nobody to find or make a {kind} for")
        resources = self.ctx.resources
        return (resources.new(kind, self.user) if self._spends else resources.any(kind, self.user)).id

    @staticmethod
    def symbols(kind: str) -> SearchStrategy[Any]:
        """Return the strategy of identifiers of a kind: a symbol."""
        return st.just(Symbol(kind))

    def bind(self, value: Any) -> Any:
        """Return the value with the symbols replaced by identifiers of existing objects."""

        def existing(kind: str) -> Any:
            if self.resource is not None and self.resource.kind == kind:
                return self.resource.id
            if self.user is None:
                raise SetUpFailedError(f"nobody to find or make a {kind} for")
            return self.ctx.resources.any(kind, self.user).id

        return _put(value, existing)

    def final(self, value: Any) -> Any:
        """Return the value as it is sent: resolved, with new objects where the call uses them up."""
        return _put(value, self.identify)

    def fit(self, data: Any, about: str | None = None) -> Any:
        """Return data that acts on the object under test, with its parents, and leaves the account alone.

        `about` is the parameter under test, which is not changed.
        """
        if not isinstance(data, dict):
            return data
        fitted = {name: value for name, value in data.items() if not self.hands_off(name) or name == about}
        resource = self.resource
        if self.own is not None and self.own in fitted and self.own != about and self.user is not None:
            assert self.role is not None
            if resource is None:
                known = self.ctx.resources.resource(self.role.kind, fitted[self.own], self.user)
                if not known.sent:
                    param = self.function.param(self.own)
                    if param is None or not param.ref:
                        fitted[self.own] = self.identify(self.role.kind)
                        known = self.ctx.resources.resource(self.role.kind, fitted[self.own], self.user)
                resource = known
            else:
                fitted[self.own] = resource.id
        if resource is not None:
            for param in self.function.params:
                if param.required and param.ref and param.name in resource.sent and param.name != about:
                    fitted[param.name] = resource.sent[param.name]
        return fitted

    def allows(self, data: Any) -> bool:
        """Return whether the data, as it is sent, is valid against the schema."""
        try:
            return bool(self.function.data.valid(json.loads(payloads.encode(data))))
        except (ValueError, RecursionError):
            return False

    # -- calls -------------------------------------------------------------------------------------------------

    def body(self, data: Any) -> bytes:
        """Return the body of a call with this data, with numbers exactly as written."""
        return payloads.encode({"method": self.function.name.partition(".")[2], "data": data})

    def send(self, data: Any = None, *, body: bytes | None = None) -> Exchange:
        """Call the function with data, or with a body as it is."""
        sent = self.body(data) if body is None else body
        return self.ctx.call(self.function, as_=None if self.login else self.user, body=sent)

    def clear(self, exchange: Exchange, data: Any) -> None:
        """Delete what a call created, so that lists stay short."""
        if exchange.status != 200 or not self.creates:
            return
        self._made += 1
        if self._deletes:
            resource = self.made(exchange, data)
            if resource is not None:
                self.ctx.resources.remove(resource)

    def made(self, exchange: Exchange, data: Any) -> Resource | None:
        """Return the object that a call created."""
        return self.ctx.resources.learn(exchange, self.function, data, self.user)

    def accepts_by_rule(self, data: Any) -> set[int]:
        """Return the statuses that are right for data that is valid against the schema (DAT-1)."""
        accepted = {200, 403, 404}
        if self.login:
            accepted |= {400, 401}
        if self.function.beyond_schema or payloads.unusual_features(data):
            accepted.add(400)
        if self.function.effect != "read" and shown_in(
            data, self.ctx.resources.shown_texts.get(self.function.name)
        ):
            # What the target shows may have to be unique, or be used up.
            accepted.add(400)
        return accepted

    def count(
        self, kind: str, exchange: Exchange, *, valid: bool | None, place: tuple[str, str] | None = None
    ) -> None:
        """Count an example for the report."""
        beyond = bool(valid) and exchange.status == 400 and self.function.beyond_schema
        self.ctx.run.coverage.add(
            self.function.name, kind, exchange.status, valid=valid, place=place, beyond=beyond
        )

    def shown(self, exchange: Exchange, data: Any) -> Iterable[tuple[str, Any, Exchange]]:
        """Yield where the stored object is shown: (function, the object as shown, the exchange)."""
        role, ctx = self.role, self.ctx
        if role is None or role.does not in ("create", "update") or exchange.status != 200:
            return
        resource = self.resource if role.does == "update" else self.made(exchange, data)
        if resource is None:
            return
        at = resolve(exchange.data, role.at)
        if isinstance(at, dict):
            yield self.function.name, at, exchange
        reader = ctx.catalog.read(role.kind)
        if reader is not None and reader.object is not None and ctx.resources.may_call(resource.user, reader):
            seen = read(ctx, resource)
            at = resolve(seen.data, reader.object.at) if seen.status == 200 else None
            if isinstance(at, dict):
                yield reader.name, at, seen
            return
        for lister in listers(ctx, role.kind, resource.user, resource):
            assert lister.function.object is not None
            listed = lister.exchange()
            for row in ctx.resources.rows(lister.function, listed):
                if isinstance(row, dict) and equal(resolve(row, lister.function.object.id), resource.id):
                    yield lister.function.name, row, listed
            return


def _put(value: Any, find: Callable[[str], Any]) -> Any:
    """Return the value with each symbol replaced by the identifier that `find` returns for its kind."""
    if isinstance(value, Symbol):
        return find(value.kind)
    if isinstance(value, dict):
        return {name: _put(item, find) for name, item in value.items()}
    return [_put(item, find) for item in value] if isinstance(value, list) else value
