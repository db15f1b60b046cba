"""COD-10, ACC-2 and ACC-4 for objects that a call refers to: inside arrays and objects, as parents, as filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance.offer import Offer
from conformance.protocol.catalog import Method
from conformance.protocol.estate import Thing
from conformance.protocol.exchange import Exchange
from conformance.protocol.payloads import CannotGenerate
from conformance.protocol.payloads_places import Reference, references
from conformance.protocol.pointer import resolve
from conformance.protocol.session import SetUpFailedError
from conformance.run import Talk
from conformance.suite import each_function, judges
from conformance.test_codes import deleted_identifier, strangers
from conformance.watch import act, equal, read


def _lists_by(method: Method) -> bool:
    """Return whether a function lists objects, and takes identifiers of others."""
    return method.object is not None and method.object.does == "list" and bool(method.refs)


def _refers(method: Method) -> bool:
    """Return whether a function makes, changes or lists objects, and takes identifiers of others."""
    role = method.object
    return (
        role is not None and role.does in ("create", "update", "list") and any(True for _ in _others(method))
    )


def _others(method: Method) -> list[tuple[str, str]]:
    """Return (pointer, kind) of the places of a function's data that take the identifier of another object."""
    role = method.object
    own = f"/{role.id}" if role is not None and role.does in ("read", "update", "delete") else ""
    return [(pointer, kind) for pointer, kind in method.refs if pointer != own]


def _nested(method: Method) -> bool:
    return any(pointer.count("/") > 1 for pointer, _ in method.refs)


def _referring(offer: Offer) -> list[Reference]:
    """Return the places of an offer's data that take the identifier of another object than the one it acts on."""
    return [
        place
        for place in references(offer.function)
        if not (place.parameter == offer.own and not place.nested) and not offer.hands_off(place.parameter)
    ]


def _data(offer: Offer, place: Reference, identifier: Any) -> Any:
    """Return data that names an object in one place; None where the schema lets none pass."""
    try:
        data = offer.fit(place.build(identifier, offer.identify), place.parameter)
    except (CannotGenerate, SetUpFailedError):
        return None
    return data if offer.allows(data) else None


def _works(offer: Offer, place: Reference, identifier: Any) -> Any:
    """Return data with the identifier of the caller's own object, if the call succeeds with it; else None."""
    data = _data(offer, place, identifier)
    if data is None:
        return None
    exchange = offer.send(data)
    offer.clear(exchange, data)
    return data if exchange.status == 200 else None


def _variants(offer: Offer, place: Reference, works: Any, identifier: Any) -> Iterator[Any]:
    """Yield data with an identifier that is to be refused: alone, and behind one that is the caller's own."""
    behind = place.repeated(works, identifier)
    if behind is not None and offer.allows(behind):
        yield behind
        if offer.talk.quick:
            return
    alone = _data(offer, place, identifier)
    if alone is not None:
        yield alone


def _matches_nothing(offer: Offer, place: Reference, exchange: Exchange) -> bool:
    """Return whether an optional filter was answered with an empty list, which is no claim that the object exists."""
    param = offer.function.param(place.parameter)
    optional = offer.function.rows is not None and param is not None and not param.required
    return optional and exchange.status == 200 and not offer.talk.estate.rows(offer.function, exchange)


@judges("COD-10")
@each_function(_nested, otherwise="no function takes an identifier inside an array or an object")
def test_nested_identifier_of_nothing(talk: Talk, function: Method) -> None:
    """An object that does not exist, in each place of the data that takes an identifier below the top level."""
    judged = False
    offer = Offer(talk, function)
    if offer.user is None:
        talk.give_up("the profile has no users whose objects could be referred to")
    with offer:
        for place in _referring(offer):
            if not place.nested:
                continue
            try:
                own = offer.identify(place.kind)
            except SetUpFailedError:
                continue
            works = _works(offer, place, own)
            if works is None:
                continue
            gone = deleted_identifier(talk, place.kind, offer.user)
            values = [*talk.some(strangers(talk, own), 1, 3), *([gone] if gone is not None else [])]
            for data in (data for value in values for data in _variants(offer, place, works, value)):
                judged = True
                exchange = offer.send(data)
                offer.clear(exchange, data)
                if _matches_nothing(offer, place, exchange):
                    talk.run.referee.judged("COD-10")
                    continue
                talk.status(
                    "COD-10",
                    exchange,
                    {400, 403, 404},
                    kind=f"{place.label} of a {place.kind} that does not exist is not refused",
                )
    if not judged:
        talk.give_up("no data with an identifier inside an array or an object is accepted")


def _private(talk: Talk, kind: str, owner: str, stranger: str) -> Thing | None:
    """Return an object of the owner's that the stranger may not read; None where there is none."""
    reader = talk.catalog.read(kind)
    if reader is None or talk.estate.creator(kind, owner) is None:
        return None
    if not (talk.estate.may_call(owner, reader) and talk.estate.may_call(stranger, reader)):
        return None
    try:
        thing = talk.estate.any(kind, owner)
        shown, refused = read(talk, thing), act(talk, reader, thing, stranger)
    except SetUpFailedError:
        return None
    return thing if shown.status == 200 and refused.status in (403, 404) else None


@judges("ACC-2")
@each_function(_refers, otherwise="no function takes the identifier of another object")
def test_reference_to_another_users_object(talk: Talk, function: Method) -> None:
    """An object that the caller may not read, named as a parent, in a list, as a filter: refused, or nothing."""
    talk.need_writing()
    judged = False
    pairs = [pair for pair in talk.pairs() if talk.estate.may_call(pair[1], function)]
    for owner, stranger in talk.some(pairs, 1, 2):
        offer = Offer(talk, function, stranger)
        with offer:
            for place in _referring(offer):
                theirs = _private(talk, place.kind, owner, stranger)
                if theirs is None:
                    continue
                try:
                    works = _works(offer, place, offer.identify(place.kind))
                except SetUpFailedError:
                    continue
                if works is None:
                    continue
                for data in _variants(offer, place, works, theirs.id):
                    judged = True
                    exchange = offer.send(data)
                    offer.clear(exchange, data)
                    talk.status(
                        "ACC-2",
                        exchange,
                        {400, 403, 404},
                        kind=f"another user's {place.kind} is taken as {place.label}",
                        because=f"the {place.kind} is another user's, and is refused to this one for reading",
                    )
    if not judged:
        talk.give_up("no object that one user may not read can be named by this user")


@judges("ACC-4")
@each_function(_lists_by, otherwise="no list takes the identifier of another object")
def test_list_by_another_users_object(talk: Talk, function: Method) -> None:
    """A list under a parent, or by a filter, that the caller may not read: refused, or without the owner's objects."""
    talk.need_writing()
    judged = False
    pairs = [pair for pair in talk.pairs() if talk.estate.may_call(pair[1], function)]
    for owner, stranger in talk.some(pairs, 1, 2):
        offer = Offer(talk, function, stranger)
        for place in _referring(offer):
            theirs = _private(talk, place.kind, owner, stranger)
            if theirs is None:
                continue
            listed = _listed(talk, function, place, theirs)
            data = _data(offer, place, theirs.id)
            if data is None:
                continue
            judged = True
            exchange = offer.send(data)
            shown = [
                identifier
                for identifier in _identifiers(talk, function, exchange)
                if not _may_read(talk, function, identifier, listed, stranger)
            ]
            talk.judge(
                "ACC-4",
                not shown,
                kind=f"a list by another user's {place.kind} shows objects that cannot be read ({place.label})",
                expected=f"status 400, 403 or 404, or no object of {owner}'s",
                actual=f"{len(shown)} rows of another user's",
                exchange=exchange,
            )
    if not judged:
        talk.give_up("no object that one user may not read can be named by this user")


def _listed(talk: Talk, function: Method, place: Reference, parent: Thing) -> list[Any]:
    """Make an object that the owner's list by this parent shows, if it can be; return what that list shows."""
    assert function.object is not None
    create = talk.estate.creator(function.object.kind, parent.user)
    if create is not None and not place.nested and create.param(place.parameter) is not None:
        talk.estate.new(function.object.kind, parent.user, **{place.parameter: parent.id})
    offer = Offer(talk, function, parent.user)
    data = _data(offer, place, parent.id)
    return _identifiers(talk, function, offer.send(data)) if data is not None else []


def _identifiers(talk: Talk, function: Method, exchange: Exchange) -> list[Any]:
    assert function.object is not None
    return [resolve(row, function.object.id) for row in talk.estate.rows(function, exchange)][:12]


def _may_read(talk: Talk, function: Method, identifier: Any, owners: list[Any], stranger: str) -> bool:
    """Return whether a user may read an object; where nothing reads it alone, whether it is none of the `owners`."""
    assert function.object is not None
    kind = function.object.kind
    reader = talk.catalog.read(kind)
    known = talk.estate.thing(kind, identifier, stranger)
    if reader is not None and talk.estate.may_call(stranger, reader):
        try:
            return act(talk, reader, known, stranger).status not in (403, 404)
        except SetUpFailedError:
            return True
    return not any(equal(identifier, other) for other in owners) or known.user == stranger
