"""REQ-9 at the edges of formats: what a standard forbids and lenient parsers take, in each place of that format."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.offer import Offer
from conformance.protocol.catalog import Method
from conformance.protocol.payloads import CannotGenerate
from conformance.protocol.payloads_formats import FORBIDDEN, ORDINARY, TELLING, UNDECIDED
from conformance.protocol.payloads_places import FormatPlace, format_places
from conformance.protocol.session import SetUpFailedError
from conformance.run import Run, Talk
from conformance.suite import each_function, judges

#: (what the text is, the text, whether the standard forbids it)
Edge = tuple[str, str, bool]


def _places(method: Method) -> list[FormatPlace]:
    """Return the places of a function that take texts of a format whose edges are known."""
    return [place for place in format_places(method) if place.format in FORBIDDEN]


@judges("REQ-9")
@each_function(
    lambda method: bool(_places(method)),
    otherwise="no function has arguments of a format",
)
def test_edges_of_formats(talk: Talk, function: Method) -> None:
    """Dates, times, identifiers and addresses that are nearly right, one in each call, at any depth."""
    offer = Offer(talk, function)
    places = [place for place in _places(function) if not offer.hands_off(place.parameter)]
    if not places:
        talk.give_up("no argument has a format whose edges are known")
    with offer:
        for place in places:
            edges = [edge for edge in _edges(talk, function, place) if _sent(offer, place, edge) is not None]
            if not edges or not _takes_the_usual(talk, offer, place):
                continue
            for edge in edges:
                _judge_edge(talk, offer, place, edge)


def _edges(talk: Talk, function: Method, place: FormatPlace) -> Iterator[Edge]:
    """Yield the edges for one place: in a quick run most are shared out among all places of the format."""
    every: list[Edge] = [(what, text, True) for what, text in FORBIDDEN[place.format]]
    every += [(f"undecided {text}", text, False) for text in UNDECIDED.get(place.format, ())]
    if not talk.quick:
        yield from every
        return
    among = places_of(talk.run, place.format)
    if (function.name, place.pointer) in among:
        # Each place has the most telling ones; of the others each is sent to two places.
        at, count = among.index((function.name, place.pointer)), len(among)
        for number, edge in enumerate(every):
            if number < TELLING or count <= 2 or (number - at) % count in (0, count // 2):
                yield edge


def places_of(run: Run, name: str) -> list[tuple[str, str]]:
    """Return (function, pointer) of every place of a format in the functions that the run may call."""
    return [
        (method.name, place.pointer)
        for method in run.catalog.methods.values()
        if run.estate.harmless(method)
        for place in format_places(method)
        if place.format == name
    ]


def _sent(offer: Offer, place: FormatPlace, edge: Edge) -> object:
    """Return the data that an edge is sent in; None where the schema, or another keyword of it, is in the way."""
    _, text, forbidden = edge
    try:
        data = place.build(text, allowed=False if forbidden else None, resolve=offer.identify)
    except (CannotGenerate, SetUpFailedError):
        return None
    return offer.fit(data, place.parameter)


def _takes_the_usual(talk: Talk, offer: Offer, place: FormatPlace) -> bool:
    """Return whether the place takes an ordinary text of its format: else its refusals say nothing."""
    usual = ORDINARY[place.format]
    try:
        data = offer.fit(place.build(usual, allowed=True, resolve=offer.identify), place.parameter)
    except (CannotGenerate, SetUpFailedError):
        return False
    exchange = offer.send(data)
    offer.clear(exchange, data)
    return exchange.status == 200


def _judge_edge(talk: Talk, offer: Offer, place: FormatPlace, edge: Edge) -> None:
    what, _, forbidden = edge
    data = _sent(offer, place, edge)
    exchange = offer.send(data)
    offer.clear(exchange, data)
    if forbidden:
        talk.status(
            "REQ-9",
            exchange,
            {400},
            kind=f"{place.label}: no {place.format} ({what})",
            because=f"the standard of {place.format} forbids it",
        )
