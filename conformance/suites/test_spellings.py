"""COD-4: spellings of an endpoint that a parser of paths, a decoder or a file system would take for it."""

from __future__ import annotations

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import judges
from conformance.engine.not_judged import LINES, NotJudgedError
from conformance.helpers.probing import callable_function, probing_status


def _spellings(endpoint: str) -> list[str]:
    """Return paths that a decoding, a file name or a step back would make the endpoint's."""
    return [
        f"{endpoint}.",
        f"{endpoint}%2e",
        f"{endpoint}%09",
        f"{endpoint}%252f",
        f"{endpoint}%5c",
        f"{endpoint}%3bx",
        f"{endpoint};a=1;b=2",
        f"x/..;/{endpoint}",
        f"x%5c..%5c{endpoint}",
        f"x%252f..%252f{endpoint}",
        f"%252e%252e/{endpoint}",
        f"{endpoint}.xml",
        f"{endpoint}%ef%bc%8f",
        f"{endpoint}%c0%af",
    ]


@judges("COD-4", calls=18)
def test_spellings_of_an_endpoint(ctx: TestContext) -> None:
    """Call functions by a spelling of their endpoint that is not its own: no such endpoint exists."""
    if ctx.catalog.is_implicit:
        ctx.give_up("there is no catalogue of the target's functions", LINES["catalog"])
    judged = False
    published = {method.entity for method in ctx.catalog}
    for endpoint in ctx.some(sorted(published), budgets.SPELT_ENDPOINTS):
        try:
            function, user = callable_function(ctx, endpoint)
        except NotJudgedError:
            continue
        data = ctx.valid(function, user, optional="none")
        for path in _spellings(endpoint):
            exchange = ctx.call(function, data, as_=user, target=path)
            judged = True
            probing_status(
                ctx,
                "COD-4",
                exchange,
                {400, 404} if user is not None else {400, 401, 404},
                endpoint=path,
                kind="a spelling of an endpoint is not answered 404",
                function=function.name,
                because=f"there is no endpoint {path}",
            )
    if not judged:
        ctx.give_up("no function of an endpoint can be called")
