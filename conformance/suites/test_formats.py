"""REQ-9 for formats: texts that a standard forbids and lenient parsers accept, in each place of that format."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.catalog.model import Method
from conformance.engine.context import TestContext
from conformance.engine.markers import each_function, judges
from conformance.engine.runner import Run
from conformance.generation.format_edges import FORBIDDEN, MOST_ACCEPTED, ORDINARY, UNDECIDED
from conformance.generation.payloads import CannotGenerate
from conformance.generation.places import FormatPlace, format_places
from conformance.helpers.fuzz_target import FuzzTarget
from conformance.protocol.session import SetUpFailedError

#: (what the text is, the text, whether the standard forbids it)
Edge = tuple[str, str, bool]


def _places(method: Method) -> list[FormatPlace]:
    """Return the places of a function that take texts of a format with known edge cases."""
    return [place for place in format_places(method) if place.format in FORBIDDEN]


@judges("REQ-9")
@each_function(
    lambda method: bool(_places(method)),
    otherwise="no function has arguments of a format",
)
def test_edges_of_formats(ctx: TestContext, function: Method) -> None:
    """Send dates, times, identifiers and addresses that are nearly valid, one per call, at any depth."""
    fuzz_target = FuzzTarget(ctx, function)
    places = [place for place in _places(function) if not fuzz_target.hands_off(place.parameter)]
    if not places:
        ctx.give_up("no argument has a format whose edges are known")
    with fuzz_target:
        for place in places:
            edges = [
                edge for edge in _edges(ctx, function, place) if _sent(fuzz_target, place, edge) is not None
            ]
            if not edges or not _takes_the_usual(ctx, fuzz_target, place):
                continue
            for edge in edges:
                _judge_edge(ctx, fuzz_target, place, edge)


def _edges(ctx: TestContext, function: Method, place: FormatPlace) -> Iterator[Edge]:
    """Yield the edge cases for one place; in a quick run most are distributed over all places of the format."""
    every: list[Edge] = [(what, text, True) for what, text in FORBIDDEN[place.format]]
    every += [(f"undecided {text}", text, False) for text in UNDECIDED.get(place.format, ())]
    if not ctx.quick:
        yield from every
        return
    among = places_of(ctx.run, place.format)
    if (function.name, place.pointer) in among:
        # Each place gets the most important ones. Each of the others is sent to two places.
        at, count = among.index((function.name, place.pointer)), len(among)
        for number, edge in enumerate(every):
            if number < MOST_ACCEPTED or count <= 2 or (number - at) % count in (0, count // 2):
                yield edge


def places_of(run: Run, name: str) -> list[tuple[str, str]]:
    """Return (function, pointer) of every place of a format in the functions that the run may call."""
    return [
        (method.name, place.pointer)
        for method in run.catalog.methods.values()
        if run.resources.harmless(method)
        for place in format_places(method)
        if place.format == name
    ]


def _sent(fuzz_target: FuzzTarget, place: FormatPlace, edge: Edge) -> object:
    """Return the data of an edge case; None where the schema does not allow or other keywords forbid it."""
    _, text, forbidden = edge
    try:
        data = place.build(text, allowed=False if forbidden else None, resolve=fuzz_target.identify)
    except (CannotGenerate, SetUpFailedError):
        return None
    return fuzz_target.fit(data, place.parameter)


def _takes_the_usual(ctx: TestContext, fuzz_target: FuzzTarget, place: FormatPlace) -> bool:
    """Return whether the place accepts an ordinary text of its format; otherwise a refusal shows nothing."""
    usual = ORDINARY[place.format]
    try:
        data = fuzz_target.fit(
            place.build(usual, allowed=True, resolve=fuzz_target.identify), place.parameter
        )
    except (CannotGenerate, SetUpFailedError):
        return False
    exchange = fuzz_target.send(data)
    fuzz_target.clear(exchange, data)
    return exchange.status == 200


def _judge_edge(ctx: TestContext, fuzz_target: FuzzTarget, place: FormatPlace, edge: Edge) -> None:
    what, _, forbidden = edge
    data = _sent(fuzz_target, place, edge)
    exchange = fuzz_target.send(data)
    fuzz_target.clear(exchange, data)
    if forbidden:
        ctx.status(
            "REQ-9",
            exchange,
            {400},
            kind=f"{place.label}: no {place.format} ({what})",
            because=f"the standard of {place.format} forbids it",
        )
