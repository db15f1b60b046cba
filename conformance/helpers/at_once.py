"""Objects that are created at the same time."""

from __future__ import annotations

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.protocol.exchange import Exchange

__all__ = ["accepted_at_once"]


def accepted_at_once(ctx: TestContext, create: Method, kind: str, exchange: Exchange) -> bool:
    """Return whether one of several creates at the same time succeeded, and judge it by STA-5.

    Where the catalogue says that a refusal may depend on more than the schema, a refusal is no violation.
    """
    good = exchange.status == 200
    if good or exchange.status not in (400, 403, 404) or not create.beyond_schema:
        ctx.judge(
            "STA-5",
            good,
            kind=f"concurrent creates of a {kind} are not all accepted",
            expected="status 200, as one alone",
            actual=exchange.summary(),
            exchange=exchange,
        )
    return good
