"""ACC-3: rights that are asked for through the prototype that all objects of a language share.

The module is the last of the suites: a target that takes such rights over keeps them until its restart.
"""

from __future__ import annotations

from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.not_judged import LINES
from conformance.helpers.builtin_names import rotated
from conformance.helpers.claims import nested, rights
from conformance.suites.test_claims import judge_rights, refused_at_first, refused_to


def _claims(ctx: TestContext, function: Method, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return data that reaches for the prototype: at the top level, and in nested objects and items."""
    asked = rights(ctx)
    reaching = [{"__proto__": asked}, {"constructor": {"prototype": asked}}]
    if ctx.quick and ctx.only is None:
        reaching = [{name: value for claim in reaching for name, value in claim.items()}]
    found = [{**data, **claim} for claim in reaching]
    return [*found, *(inside for claim in reaching for inside in nested(function, data, claim))]


@judges("ACC-3")
@each_function(
    lambda method: method.effect == "write" and method.auth not in ("none", None),
    otherwise="no function writes",
)
def test_rights_through_the_prototype(ctx: TestContext, function: Method) -> None:
    """Merge rights into `__proto__` and `constructor.prototype`: nobody has them afterwards."""
    ctx.need_writing()
    user = ctx.who(function)
    assert user is not None
    method = refused_to(ctx, user)
    if method is None:
        ctx.give_up(f"{user} may call every function that reads", LINES["peer"])
    if not refused_at_first(ctx, method, user):
        ctx.give_up(f"{method.name} is not refused without such members either, which ACC-1 judges")
    count = len(_claims(ctx, function, ctx.valid(function, user)))
    for number in rotated(ctx, list(range(count)), budgets.PROTOTYPE_CLAIMS):
        claims = _claims(ctx, function, ctx.valid(function, user))
        if number < len(claims):
            ctx.call(function, claims[number], as_=user)
            judge_rights(ctx, function, user)
