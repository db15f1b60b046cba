"""HTTP, ENV, COD: headers by which clients negotiate; they change nothing of any answer, refusals included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from conformance.catalog.model import Method
from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_endpoint, judges
from conformance.helpers.builtin_names import dealt
from conformance.helpers.probing import callable_function
from conformance.protocol.exchange import Exchange
from conformance.suites.test_transport import body_apart

#: Values of Accept that clients send, and one that is not valid; None: no such header.
ACCEPTS: tuple[str | None, ...] = (
    None,
    "*/*",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    "application/xml",
    "text/plain",
    "application/json;q=0",
    "x;;q=z,/",
    "",
)

#: Other headers that change nothing (COD-2).
OTHERS: tuple[tuple[str, str], ...] = (
    ("Accept-Encoding", "gzip, deflate"),
    ("Accept-Encoding", "gzip;q=0, x;q=z"),
    ("Accept-Language", "tr"),
    ("Accept-Language", "*;q=x, ;"),
    ("Range", "bytes=0-9"),
    ("If-None-Match", "*"),
    ("If-Match", '"x"'),
    ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Expect", "100-continue"),
)

#: Makes a call with further options.
Ask = Callable[..., Exchange]


@judges("HTTP-4", "HTTP-5", "ENV-1", "COD-1", "COD-2", "COD-8")
@each_endpoint()
def test_negotiation_of_each_answer(ctx: TestContext, endpoint: str) -> None:
    """Send headers of negotiation with calls that are answered in each way: the answer must stay the same."""
    answers = list(_answers(ctx, endpoint))
    for what, options in dealt(ctx, list(_headers()), budgets.NEGOTIATIONS):
        for case, expected, ask in answers:
            exchange = ask(**options)
            if exchange.status in expected:
                continue
            plain = ask()
            name = what.partition(":")[0]
            ctx.judge(
                "COD-2",
                exchange.status == plain.status,
                kind=f"the answer depends on {name}: {case}",
                expected=f"{what}: status {plain.status}, as without it",
                exchange=exchange,
                witness=plain,
            )


def _headers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (what, options): the headers of the calls."""
    for value in ACCEPTS:
        if value is None:
            yield "Accept: left out", {"accept": False}
        else:
            yield f"Accept: {value}", {"headers": [("Accept", value)]}
    for name, value in OTHERS:
        options: dict[str, Any] = {"headers": [(name, value)]}
        if name == "Expect":
            # The body follows in a packet of its own, as from clients that wait for 100 (Continue).
            options["packets"] = body_apart
        yield f"{name}: {value}", options


def _answers(ctx: TestContext, endpoint: str) -> Iterator[tuple[str, set[int], Ask]]:
    """Yield (what, statuses, ask): one call for each way in which an endpoint answers."""
    method, user = callable_function(ctx, endpoint, session=False)
    unknown, nowhere = ctx.unknown_name(), ctx.unknown_name()

    def calling(function: Method | str, data: Any, as_: str | None, **fixed: Any) -> Ask:
        return lambda **options: ctx.call(function, data, as_=as_, **{**fixed, **options})

    if method.effect == "read":
        yield "a success", {200}, calling(method, ctx.valid(method, user, optional="none"), user)
    yield "invalid data", {400}, calling(method, 5, user)
    yield "a body that is not JSON", {400}, calling(method, {}, user, body=b'{"method":')
    yield "an unknown function", {404}, calling(f"{endpoint}.{unknown}", {}, user)
    yield "an unknown endpoint", {404}, calling(f"{nowhere}.{unknown}", {}, user)
    if method.auth not in ("none", None):
        yield "no session", {401}, calling(method, {}, None)
