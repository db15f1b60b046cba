"""Comparisons that tests of several areas share: JSON values, responses, lists, and effects of refused writes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.not_judged import NotJudgedError
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.schema.pointer import MISSING, resolve

__all__ = ["Lister", "Trace", "canonical", "equal", "listers", "pairs", "same_answer", "seen", "snapshot"]


_encode = msgspec.json.Encoder().encode


def canonical(value: Any) -> Any:
    """Return a value in a form that compares as JSON does: 1 and 1.0 are equal, true and 1 are not.

    Equal values also have the same `repr`, whatever the order of their members.
    """
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    return value


def equal(first: Any, second: Any) -> bool:
    """Return whether two values are the same JSON value."""
    # For Python true and 1 are equal, so equal values need a closer look, but values that differ need none.
    if first != second:
        return False
    try:
        if _encode(first) == _encode(second):
            return True
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # msgspec has no form for half a surrogate pair, nor for some numbers
    return bool(canonical(first) == canonical(second))


def seen(sent: Any, got: Any, schema: dict[str, Any]) -> bool:
    """Return whether a value came back as sent: the same value, moment (date-time) or set (uniqueItems)."""
    if equal(sent, got):
        return True
    if isinstance(sent, str) and isinstance(got, str) and schema.get("format") in ("date-time", "time"):
        try:
            return _moment(sent) == _moment(got)
        except ValueError:
            return False
    if isinstance(sent, str) and isinstance(got, str) and schema.get("format") == "uuid":
        return sent.lower() == got.lower()
    if (
        isinstance(sent, list)
        and isinstance(got, list)
        and schema.get("uniqueItems")
        and len(sent) == len(got)
    ):
        return sorted(map(repr, map(canonical, sent))) == sorted(map(repr, map(canonical, got)))
    if isinstance(sent, dict) and isinstance(got, dict):
        # All members that were sent must be there. The target may add defaults.
        properties = schema.get("properties", {})
        if not got.keys() - sent.keys() <= properties.keys():
            return False
        return all(
            name in got and seen(item, got[name], properties.get(name, {})) for name, item in sent.items()
        )
    if isinstance(sent, list) and isinstance(got, list) and len(sent) == len(got):
        items = schema.get("items", {})
        items = items if isinstance(items, dict) else {}
        return all(seen(one, other, items) for one, other in zip(sent, got, strict=True))
    return False


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("z", "Z"))


def same_answer(
    ctx: TestContext, rule: str, function: Method, *, kind: str, what: str, **variant: Any
) -> None:
    """Check that a variant of a call gets the same response as the plain call.

    Raises:
        NotJudgedError: the plain call does not succeed, so that nothing can be compared.

    """
    user = ctx.who(function)
    data = ctx.valid(function, user)
    plain = ctx.call(function, data, as_=user)
    if plain.status != 200:
        raise NotJudgedError(f"the plain call does not succeed: {function.name} gave {plain.summary()}")
    again = data if function.effect == "read" else ctx.valid(function, user)
    varied = ctx.call(function, again, as_=user, **variant)
    if varied.status != 200 and function.effect != "read":
        control = ctx.call(function, again, as_=user)
        if control.status != 200:
            # A rule beyond the schema (x-beyond-schema) refuses this data, however it is sent.
            raise NotJudgedError(f"the plain call does not succeed every time: {control.summary()}")
    good = varied.status == 200
    actual = varied.summary()
    if good and function.effect == "read":
        hidden = function.volatile_mask
        if not equal(hidden(varied.data), hidden(plain.data)):
            repeat = ctx.call(function, data, as_=user)
            if equal(hidden(repeat.data), hidden(plain.data)):
                good, actual = False, "status 200 with other data than the plain call"
    ctx.judge(
        rule,
        good,
        kind=kind,
        expected=f"{what}: answered as the plain call is (200)",
        actual=f"{what}: {actual}",
        exchange=varied,
    )


class Lister:
    """A list function, called by one user, always with the same data."""

    def __init__(self, ctx: TestContext, function: Method, user: str | None, data: dict[str, Any]) -> None:
        self.ctx = ctx
        self.function = function
        self.user = user
        self.data = data
        #: The exchange that `rows` used last.
        self.last: Exchange | None = None

    def exchange(self, **paging: Any) -> Exchange:
        """Call the list function."""
        return self.ctx.call(self.function, self.data, as_=self.user, **paging)

    def rows(self, **paging: Any) -> list[Any]:
        """Return the rows.

        Raises:
            SetUpFailedError: the response has no rows.

        """
        exchange = self.last = self.ctx.must(self.exchange(**paging), "could not list")
        rows = resolve(exchange.data, self.function.rows or "")
        if not isinstance(rows, list):
            raise SetUpFailedError(f"{self.function.name} has no rows at {self.function.rows!r}", exchange)
        return rows

    def ids(self, **paging: Any) -> list[Any]:
        """Return the identifiers of the rows."""
        pointer = self.function.object.id if self.function.object else ""
        found = (resolve(row, pointer) for row in self.rows(**paging))
        return [identifier for identifier in found if identifier is not MISSING]


def listers(ctx: TestContext, kind: str, user: str, resource: Any = None) -> Iterator[Lister]:
    """Yield the lists of a kind that a user may call, and that must contain all their objects.

    A list that requires arguments other than identifiers is left out, since they may filter it. A list under a parent
    is called for the parent of `resource`.
    """
    for function in ctx.catalog.lists(kind):
        if not ctx.resources.may_call(user, function):
            continue
        if any(param.required and not param.ref for param in function.params):
            continue
        sent = getattr(resource, "sent", {})
        fixed = {
            param.name: sent[param.name] for param in function.params if param.required and param.name in sent
        }
        if resource is not None and any(
            param.required and param.name not in sent for param in function.params
        ):
            continue
        yield Lister(ctx, function, user, ctx.valid(function, user, optional="none", **fixed))


def snapshot(ctx: TestContext, resource: Any, user: str | None = None) -> Any:
    """Return an object as its read function shows it, without volatile members.

    Raises:
        SetUpFailedError: it cannot be read.

    """
    exchange = read(ctx, resource, user)
    ctx.must(exchange, f"could not read a {resource.kind}")
    function = ctx.catalog.read(resource.kind)
    assert function is not None
    return function.volatile_mask(exchange.data)


def read(ctx: TestContext, resource: Any, user: str | None = None, **options: Any) -> Exchange:
    """Read an object as its owner, or as another user."""
    function = ctx.catalog.read(resource.kind)
    if function is None or function.object is None:
        raise SetUpFailedError(f"the catalogue has no function that reads a {resource.kind}")
    return act(ctx, function, resource, user, **options)


def act(
    ctx: TestContext,
    function: Method,
    resource: Any,
    user: str | None = None,
    data: dict[str, Any] | None = None,
    **options: Any,
) -> Exchange:
    """Call a function on an object, with the identifiers of the parents that it was created with."""
    return ctx.call(
        function, bound(ctx, function, resource, **(data or {})), as_=user or resource.user, **options
    )


def bound(ctx: TestContext, function: Method, resource: Any, **more: Any) -> dict[str, Any]:
    """Return data for a function on this object: its identifier and those of its parents."""
    assert function.object is not None
    fixed: dict[str, Any] = {function.object.id: resource.id}
    for param in function.params:
        if param.required and param.ref and param.name in resource.sent:
            fixed.setdefault(param.name, resource.sent[param.name])
    return ctx.valid(function, resource.user, optional="none", **{**fixed, **more})


def pairs(
    ctx: TestContext, function: Method, sent: dict[str, Any], shown: Any
) -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """Yield (name, sent, shown, schema) of the members that an object shows under the name of an argument."""
    if not isinstance(shown, dict):
        return
    for param in function.params:
        hidden = param.schema.get("writeOnly") or param.schema.get("format") == "password"
        if param.name in sent and param.name in shown and not hidden:
            yield param.name, sent[param.name], shown[param.name], param.schema


class Trace:
    """Detect whether a write that should have been refused had an effect."""

    def __init__(self, ctx: TestContext, function: Method, user: str | None, data: dict[str, Any]) -> None:
        self.ctx = ctx
        self.function = function
        self.user = user
        self.resource: Any = None
        self.before: Any = None
        self.lister: Lister | None = None
        role = function.object
        if role is None or user is None or function.effect == "read":
            return
        if role.does == "create":
            for lister in self._lists(data):
                self.lister = lister
                self.before = lister.ids()
                break
        elif role.does in ("update", "delete") and ctx.catalog.read(role.kind):
            self.resource = ctx.resources.resource(role.kind, data.get(role.id), user)
            self.before = snapshot(ctx, self.resource)

    def _lists(self, data: dict[str, Any]) -> Iterator[Lister]:
        assert self.function.object is not None
        assert self.user is not None

        class Parent:
            sent = data

        yield from listers(self.ctx, self.function.object.kind, self.user, Parent())

    def moved(self) -> tuple[Exchange | None, str] | None:
        """Return the exchange that shows an effect, and its description; None where there was no effect.

        Raises:
            SetUpFailedError: the object or list can no longer be read.

        """
        if self.lister is not None:
            assert self.function.object is not None
            assert self.lister.function.object is not None
            pointer = self.lister.function.object.id
            rows = [(resolve(row, pointer), row) for row in self.lister.rows()]
            new = [(identifier, row) for identifier, row in rows if identifier not in self.before]
            extra = [identifier for identifier, _ in new if identifier is not MISSING]
            for identifier, row in new:
                # Only objects with the run's tag are removed: others may have been created by somebody else.
                if identifier is not MISSING and self.ctx.resources.tag in json.dumps(row, default=str):
                    self.ctx.resources.enter(self.function.object.kind, identifier, self.user)
            return (self.lister.last, f"{len(extra)} new in {self.lister.function.name}") if extra else None
        if self.resource is None:
            return None
        exchange = self.ctx.witness(read(self.ctx, self.resource))
        method = self.ctx.catalog.read(self.resource.kind)
        assert method is not None
        if exchange.status != 200:
            return exchange, f"the {self.resource.kind} is gone"
        if equal(method.volatile_mask(exchange.data), self.before):
            return None
        return exchange, f"the {self.resource.kind} was changed"

    @property
    def watches(self) -> bool:
        """Whether there is an object or a list to compare."""
        return self.lister is not None or self.resource is not None
