"""COD-10: names that a language's own objects have, as identifiers of objects."""

from __future__ import annotations

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.helpers.builtin_names import PROTOTYPE_NAMES, rotated
from conformance.suites.test_codes import identifiers, is_filter, look_up

#: Names that a lookup in an object, a class or a list may find.
_NAMES = (*PROTOTYPE_NAMES, "__class__", "length", "null", "undefined")


@judges("COD-10")
@each_function(lambda method: bool(identifiers(method)), otherwise="no function takes an identifier")
def test_identifier_that_a_language_knows(ctx: TestContext, function: Method) -> None:
    """Send such names where an identifier is a text: they name no object."""
    if ctx.quick and function.effect != "read":
        # One look-up serves all functions of a kind.
        ctx.give_up("a quick run sends such identifiers to functions that read only")
    user = ctx.who(function)
    judged = False
    for name, kind in identifiers(function):
        valid = ctx.valid(function, user)
        if not isinstance(valid.get(name), str):
            continue
        for value in [_NAMES[0], *rotated(ctx, list(_NAMES[1:]), budgets.BUILTIN_IDENTIFIERS)]:
            data = {**valid, name: value}
            if not ctx.safe(function, data):
                look_up(ctx, kind, value, user)
                if not ctx.safe(function, data):
                    continue
            exchange = ctx.call(function, data, as_=user)
            judged = True
            if (
                is_filter(function, name)
                and exchange.status == 200
                and not ctx.resources.rows(function, exchange)
            ):
                # An empty result of a filter does not claim that the object exists.
                ctx.run.observer.judged("COD-10")
                continue
            ctx.status(
                "COD-10",
                exchange,
                {400, 403, 404},
                kind=f"a name that a language's own objects have is not refused as {name}",
                because=f"no {kind} has the identifier {value}",
            )
    if not judged:
        ctx.give_up("no identifier that it takes is a text, or none that it may be sent")
