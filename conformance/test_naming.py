"""NAM: «API uses camelCased names rather than under_scored»."""

from __future__ import annotations

import re

from conformance.probe import probing_status
from conformance.protocol.catalog import Method
from conformance.run import Talk
from conformance.suite import each_function, judges

#: A name in camelCase: a small letter, then letters and digits.
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")


@judges("NAM-2")
@each_function(harmless=False)
def test_published_names(talk: Talk, function: Method) -> None:
    """The names of the function and of its parameters, as the catalogue publishes them."""
    for what, name in (
        ("function", function.name.partition(".")[2]),
        *(("parameter", param.name) for param in function.params),
    ):
        talk.judge(
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
def test_under_scored_spelling_is_unknown(talk: Talk, function: Method) -> None:
    """A service that takes both spellings has two names for everything."""
    name = under_scored(function.name.partition(".")[2])
    user = talk.who(function)
    if function.effect != "read":
        talk.need_writing()
    data = talk.data_for(function, user) if talk.estate.harmless(function) else {}
    exchange = talk.call(f"{function.entity}.{name}", data, as_=user)
    probing_status(
        talk,
        "NAM-3",
        exchange,
        {404},
        endpoint=function.entity,
        kind="the under_scored spelling of a function is known",
        otherwise="the under_scored spelling of a function is not answered 404",
        function=function.name,
        because=f"{function.entity} has no {name}",
    )
