"""NAM: «API uses camelCased names rather than under_scored»."""

from __future__ import annotations

import re

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.helpers.probing import probing_status

#: A camelCase name: a lower-case letter, then letters and digits.
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")


@judges("NAM-2")
@each_function(harmless=False)
def test_published_names(ctx: TestContext, function: Method) -> None:
    """Check the names of the function and of its parameters in the catalogue."""
    for what, name in (
        ("function", function.name.partition(".")[2]),
        *(("parameter", param.name) for param in function.params),
    ):
        ctx.judge(
            "NAM-2",
            CAMEL.fullmatch(name) is not None,
            kind=f"the name of a {what} is not in camelCase",
            expected=f"a {what} in camelCase",
            actual=name,
            function=function.name,
        )


def under_scored(name: str) -> str:
    """Return the under_scored spelling of a camelCased name."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match.group(1).lower()}", name)


@judges("NAM-3")
@each_function(
    lambda method: under_scored(method.name) != method.name,
    otherwise="no function's name is of two words",
    harmless=False,
)
def test_under_scored_spelling_is_unknown(ctx: TestContext, function: Method) -> None:
    """Send under_scored spellings: a service must not accept both."""
    name = under_scored(function.name.partition(".")[2])
    user = ctx.who(function)
    if function.effect != "read":
        ctx.need_writing()
    data = ctx.data_for(function, user) if ctx.resources.harmless(function) else {}
    exchange = ctx.call(f"{function.entity}.{name}", data, as_=user)
    probing_status(
        ctx,
        "NAM-3",
        exchange,
        {404},
        endpoint=function.entity,
        kind="the under_scored spelling of a function is known",
        otherwise="the under_scored spelling of a function is not answered 404",
        function=function.name,
        because=f"{function.entity} has no {name}",
    )
