"""COD: «HTTP response codes»."""

from __future__ import annotations

import random
from typing import Any

from conformance.probe import prober, probing_status, send_probe
from conformance.protocol.catalog import Method
from conformance.protocol.samples import CannotGenerate
from conformance.protocol.session import SetUpFailedError
from conformance.run import ANSWERED, LINES, NotJudgedError, Talk
from conformance.suite import each_endpoint, each_function, judges
from conformance.test_access import lacking
from conformance.watch import bound


def protected(method: Method) -> bool:
    """Whether a function needs a session."""
    return method.auth not in ("none", None)


@judges("COD-3")
@each_endpoint()
def test_unknown_function(talk: Talk, endpoint: str) -> None:
    """«404 Function doesn't exist.»"""
    endpoint = endpoint or talk.endpoint()
    published = {m.name.partition(".")[2] for m in talk.catalog.methods.values() if m.entity == endpoint}
    others = sorted({m.name.partition(".")[2] for m in talk.catalog.methods.values()} - published)
    names = [
        talk.unknown_name(),
        *(f"{name}{talk.unknown_name().capitalize()}" for name in sorted(published)[:1]),
    ]
    if talk.run.writable:
        # Elsewhere a name that is a function at another endpoint is not tried: it might be a hidden one here.
        names += talk.rng.sample(others, min(2, len(others)))
    for name in names:
        for data in ({}, {"id": 1}):
            exchange = send_probe(talk, endpoint, function=name, data=data)
            probing_status(
                talk,
                "COD-3",
                exchange,
                {404},
                endpoint=endpoint,
                kind="an unknown function is not answered 404",
                function=talk.caller.label(f"{endpoint}."),
                because=f"there is no {endpoint}.{name}",
            )


@judges("COD-4")
def test_unknown_endpoint(talk: Talk) -> None:
    """«404 Function doesn't exist»: where there is no endpoint there is no function."""
    words = [talk.unknown_name(), talk.unknown_name(), f"{talk.unknown_name()}/{talk.unknown_name()}"]
    # A guard may stand before whatever begins with an endpoint's name: what is made of one is sent by its own user.
    near: dict[str, str] = {}
    for entity in sorted({method.entity for method in talk.catalog.methods.values()}):
        made = [f"{entity}{talk.unknown_name().capitalize()}", f"{entity}/{talk.unknown_name()}"]
        words += made
        near |= dict.fromkeys(made, entity)
    names = sorted({m.name.partition(".")[2] for m in talk.catalog.methods.values()}) or ["find"]
    for word in talk.some(words, 5, 12):
        name = talk.rng.choice(names)
        user = talk.somebody()
        accepted = {404} if user else {401, 404}
        try:
            user = prober(talk, near.get(word, word))
        except NotJudgedError:
            accepted = {403, 404}
        exchange = talk.call(f"{word}.{name}", {}, as_=user, target=word)
        probing_status(
            talk,
            "COD-4",
            exchange,
            accepted,
            endpoint=near.get(word, word),
            kind="an unknown endpoint is not answered 404",
            function="",
            because=f"there is no endpoint {word}",
        )


@judges("COD-6")
@each_function(protected, otherwise="no function needs a session")
def test_no_session_with_valid_data(talk: Talk, function: Method) -> None:
    """«401 Function requires proper authentication.»"""
    user = talk.somebody(function)
    exchange = talk.call(function, talk.valid(function, user))
    talk.status("COD-6", exchange, {401}, kind="without a session, valid data is not answered 401")


@judges("COD-9")
@each_function(
    lambda method: protected(method) and bool(method.params),
    otherwise="no function that needs a session has arguments",
)
def test_no_session_with_invalid_data(talk: Talk, function: Method) -> None:
    """A stranger does not learn what would be valid."""
    user = talk.somebody(function)
    valid = talk.valid(function, user)
    for spoil in talk.some(talk.estate.spoils(function), 2, 5):
        try:
            spoiled = spoil.apply(valid)
        except CannotGenerate:
            continue
        exchange = talk.call(function, spoiled)
        talk.status(
            "COD-9",
            exchange,
            {401},
            kind="without a session, invalid data is not answered 401",
            because=spoil.kind,
        )
    for param in function.params:
        if not param.required:
            continue
        exchange = talk.call(function, {name: value for name, value in valid.items() if name != param.name})
        talk.status(
            "COD-9",
            exchange,
            {401},
            kind="without a session, invalid data is not answered 401",
            because=f"{param.name} is left out",
        )
    exchange = talk.call(function, [])
    talk.status(
        "COD-9",
        exchange,
        {401},
        kind="without a session, invalid data is not answered 401",
        because="data is an array",
    )


@judges("COD-7", "ACC-1")
@each_function(
    lambda method: method.auth not in ("none", "session", None),
    otherwise="no function of the catalogue asks for a role",
)
def test_session_without_the_role(talk: Talk, function: Method) -> None:
    """«403 Access for the current user is denied.»"""
    talk.need_users()
    without = lacking(talk, function)
    having = talk.estate.callers(function)
    if not without:
        talk.give_up(f"every user of the profile has the role {function.auth!r}", LINES["peer"])
    data: dict[str, Any] | None = None
    if having:
        data = talk.valid(function, having[0])
    for user in without:
        sent = data if data is not None else talk.data_for(function, user)
        for way in (
            [sent]
            if talk.quick
            else [sent, talk.valid(function, having[0], optional="none") if having else sent]
        ):
            exchange = talk.call(function, way, as_=user)
            talk.status("COD-7", exchange, {403}, kind="a session that lacks the right is not answered 403")
            talk.status(
                "ACC-1",
                exchange,
                {403},
                kind="a function for another role is not refused",
                because=f"the user lacks the role {function.auth!r}",
            )
    if not having:
        talk.skip("ACC-1", f"no user of the profile has the role {function.auth!r}", function=function.name)
    for user in having:
        exchange = talk.call(function, talk.valid(function, user), as_=user)
        talk.judge(
            "ACC-1",
            exchange.status not in (401, 403),
            kind="a function is refused to a user who has the role",
            expected="neither 401 nor 403",
            actual=exchange.summary(),
            exchange=exchange,
            accepted=ANSWERED - {401, 403},
        )


def identifiers(method: Method) -> list[tuple[str, str]]:
    """Return (parameter, kind) of the identifiers that a function takes at its top level."""
    found = {param.name: param.ref for param in method.params if param.ref}
    if method.object and method.object.does in ("read", "update", "delete"):
        found.setdefault(method.object.id, method.object.kind)
    return [(name, kind) for name, kind in found.items() if kind]


@judges("COD-10")
@each_function(lambda method: bool(identifiers(method)), otherwise="no function takes an identifier")
def test_identifier_of_nothing(talk: Talk, function: Method) -> None:
    """An object that does not exist, by a made-up identifier and by that of one that was deleted."""
    user = talk.who(function)
    for name, kind in identifiers(function):
        valid = talk.valid(function, user)
        if name not in valid:
            continue
        fitting = [v for v in strangers(talk, valid[name]) if function.data.valid({**valid, name: v})]
        candidates = fitting
        if isinstance(valid[name], str):
            candidates = [v for i, v in enumerate(fitting) if not i or len(v) != len(valid[name])]
        deleted = deleted_identifier(talk, kind, user)
        if deleted is not None:
            candidates.append(deleted)
        if not candidates:
            talk.skip("COD-10", f"no other identifier fits the schema of {name}", function=function.name)
        for value in candidates:
            if not talk.safe(function, {**valid, name: value}):
                look_up(talk, kind, value, user)
            exchange = talk.call(function, {**valid, name: value}, as_=user)
            if (
                _filter(function, name)
                and exchange.status == 200
                and not talk.estate.rows(function, exchange)
            ):
                # A filter that matches nothing is no claim that the object exists.
                talk.run.referee.judged("COD-10")
                continue
            talk.status(
                "COD-10",
                exchange,
                {400, 403, 404},
                kind=f"{name} of a {kind} that does not exist is not refused",
            )


def look_up(talk: Talk, kind: str, identifier: Any, user: str | None) -> None:
    """Read an object that is not to exist; an identifier that names nothing may be sent to functions that write."""
    reader = talk.catalog.read(kind)
    if reader is None or reader.object is None or user is None or not talk.estate.may_call(user, reader):
        return
    if any(param.required and param.name != reader.object.id for param in reader.params):
        return
    data = {reader.object.id: identifier}
    if reader.data.valid(data) and talk.call(reader, data, as_=user).status == 404:
        talk.run.ownership.nothing(kind, identifier)


def _filter(function: Method, name: str) -> bool:
    return function.rows is not None and not next(p.required for p in function.params if p.name == name)


#: From so many characters on an identifier's beginning is nobody's.
_OPAQUE = 16


def strangers(talk: Talk, identifier: Any) -> list[Any]:
    """Return identifiers of the same form that belong to nothing."""
    rng = talk.rng
    if isinstance(identifier, bool):
        return []
    if isinstance(identifier, int):
        # What remains of them in 32 bits is far from every object, too.
        beyond = [2**31 + rng.randrange(10**6), 2**53 - 2**31 - 1 - rng.randrange(10**6)]
        # The last one is the identifier itself to who keeps 32 bits of it.
        beyond.append(identifier + 2**32)
        highest = max(identifier, *(talk.run.ownership.highest(kind) or 0 for kind in talk.catalog.kinds), 0)
        above = (highest if highest < 2**31 - 10**7 else identifier) + 1_000_003
        return [above + rng.randrange(1000), 2_147_483_000 + rng.randrange(600), *beyond]
    if isinstance(identifier, str):
        if identifier.isdigit():
            return [str(int(identifier) + 1_000_003 + rng.randrange(1000))]
        half, tail = len(identifier) // 2, max(1, len(identifier) - 6)
        found = [identifier[:keep] + another(rng, identifier[keep:]) for keep in (0, half, tail)]
        # A beginning of a short one may be another object's, and is of the same form where the length is free.
        return [*found, *([identifier[:-1], f"{identifier}a"] if len(identifier) >= _OPAQUE else [])]
    return []


def another(rng: random.Random, text: str) -> str:
    """Return a text of the same form: each letter and digit changed for another of its class.

    How much is drawn from `rng` does not hang on the text, which may be the target's own.
    """
    rng = random.Random(rng.getrandbits(64))
    return "".join(_other(rng, character) for character in text) or "x"


def _other(rng: random.Random, character: str) -> str:
    for alphabet in ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ"):
        if character in alphabet:
            return rng.choice(alphabet.replace(character, ""))
    return character


def deleted_identifier(talk: Talk, kind: str, user: str | None) -> Any:
    """Return the identifier of an object that was there and is deleted; None where none can be had."""
    delete = talk.catalog.delete(kind)
    if user is None or delete is None or talk.estate.creator(kind, user) is None:
        return None
    if not talk.estate.may_call(user, delete):
        return None
    try:
        thing = talk.estate.new(kind, user)
        gone = talk.call(delete, bound(talk, delete, thing), as_=user)
    except SetUpFailedError:
        return None
    return thing.id if gone.status == 200 else None
