"""Headers that are sent together in one call, and alone only where the answer is not the expected one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from conformance.engine.context import TestContext
from conformance.protocol.exchange import Exchange

__all__ = ["Headers", "merged", "packed", "refused_together"]

Headers = list[tuple[str, str]]


def packed(parts: Iterable[tuple[str, Headers]]) -> list[list[tuple[str, Headers]]]:
    """Return the parts in as few groups as possible; no group has a header of the same name twice."""
    groups: list[tuple[set[str], list[tuple[str, Headers]]]] = []
    for what, headers in parts:
        names = {name.lower() for name, _ in headers}
        for known, group in groups:
            if known.isdisjoint(names):
                known |= names
                group.append((what, headers))
                break
        else:
            groups.append((names, [(what, headers)]))
    return [group for _, group in groups]


def merged(group: Iterable[tuple[str, Headers]]) -> Headers:
    """Return all headers of a group."""
    return [header for _, headers in group for header in headers]


def refused_together(
    ctx: TestContext,
    rule: str,
    ask: Callable[[Headers], Exchange],
    groups: Iterable[list[tuple[str, Headers]]],
    accepted: Collection[int],
    *,
    kind: str,
    call: str,
) -> None:
    """Check that headers admit no call: each group in one call, and each part alone where that is not refused.

    The description of the header is added to `kind`. `call` says what is sent, without the headers.
    """
    for group in groups:
        exchange = ask(merged(group))
        if exchange.status in accepted or exchange.withheld:
            ctx.status(rule, exchange, accepted, kind=f"{kind}: several together")
            continue
        alone = [ctx.status(rule, ask(headers), accepted, kind=f"{kind}: {what}") for what, headers in group]
        if all(alone):
            # Another status than the accepted ones may come from the mixture of headers. A success may not.
            ctx.judge(
                rule,
                exchange.status != 200,
                kind=f"{kind}: several together",
                expected=f"status {' or '.join(map(str, sorted(accepted)))}",
                exchange=exchange,
            )
