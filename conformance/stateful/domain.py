"""The kinds of entity that explorations can create, who may create them, and what has been drawn so far."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.generation import payloads
from conformance.generation.errors import CannotGenerate
from conformance.stateful.entities import Shape

__all__ = ["Domain", "domain_of"]

#: Payloads drawn per function, which are used in any order.
_PAYLOADS_PER_FUNCTION = 16


@dataclass
class Domain:
    """The kinds of entity that explorations can create, and the state that the explorations of a run share.

    `creators` has the users who may create and read entities of each kind. `made` counts the created entities that
    cannot be deleted. `found` has identifiers of objects that no user can create, by kind and user. `upcoming` has the
    actions of each kind that are still to come. `rare` has those that each kind must perform once before others.
    `concurrent_logouts` counts the logouts sent during other calls.
    """

    ctx: TestContext
    kinds: dict[str, Shape]
    creators: dict[str, list[str]]
    made: dict[str, int] = field(default_factory=dict)
    found: dict[tuple[str, str], Any] = field(default_factory=dict)
    upcoming: dict[str, list[str]] = field(default_factory=dict)
    rare: dict[str, list[str]] = field(default_factory=dict)
    concurrent_logouts: int = 0
    _drawn: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def full(self, kind: str) -> bool:
        """Return whether no more entities of a kind may be created, since they cannot be deleted."""
        return self.made.get(kind, 0) >= self.ctx.amount(budgets.UNDELETABLE_ENTITIES)

    def focuses(self, broken: set[str]) -> list[str]:
        """Return the kinds in the order in which explorations turn to them, without the broken ones.

        Kinds that can be updated or deleted appear more often.
        """
        weights: dict[str, int] = {}
        for kind, shape in self.kinds.items():
            if kind not in broken and not self.full(kind):
                weights[kind] = 1 + (shape.delete is not None) + (shape.update is not None)
        rounds = max(weights.values(), default=0)
        return [kind for turn in range(rounds) for kind, weight in weights.items() if weight > turn]

    def drawn(self, method: Method) -> list[dict[str, Any]]:
        """Return valid payloads of a function, drawn once per run."""
        if method.name not in self._drawn:
            seed = random.Random(f"{self.ctx.run.options.seed}/{method.name}/sequence").randrange(2**32)
            try:
                drawn = payloads.draw(payloads.valid(method), seed, _PAYLOADS_PER_FUNCTION)
            except CannotGenerate:
                drawn = []
            self._drawn[method.name] = [each for each in drawn if isinstance(each, dict)]
        return self._drawn[method.name]


def domain_of(ctx: TestContext) -> Domain:
    """Return the kinds that some user can create and read or list.

    Where nothing may be written, return the kinds that some user can list.
    """
    kinds: dict[str, Shape] = {}
    creators: dict[str, list[str]] = {}
    for kind in ctx.catalog.kinds:
        shape = Shape.of(ctx.catalog, kind)
        users = _creators(ctx, shape) if ctx.run.writable else _readers(ctx, shape)
        if users:
            kinds[kind], creators[kind] = shape, users
    return Domain(ctx, kinds, creators)


def _readers(ctx: TestContext, shape: Shape) -> list[str]:
    """Return the users who can list entities of a kind without a parent."""
    lists = [method for method in shape.lists if not any(param.required for param in method.params)]
    return [user for method in lists[:1] for user in ctx.resources.callers(method)]


def _creators(ctx: TestContext, shape: Shape) -> list[str]:
    """Return the users who can create entities of a kind, and look at them."""
    if shape.create is None or (shape.read is None and not shape.lists):
        return []
    return [
        user
        for user in ctx.resources.callers(shape.create)
        if ctx.resources.creator(shape.kind, user) is not None
        and (shape.read is None or ctx.resources.may_call(user, shape.read))
    ]
