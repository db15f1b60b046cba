"""Ownership: no request may write to an object that the run did not create.

A target that is lax about types accepts `"5"`, `5.7`, `true`, `[5]` or `null` as an identifier. Therefore the target of
a request is decided by every reading that any target could make of its bytes (`conformance.protocol.readings`). A
request is refused unless each reading is an object that the run created, or is known to identify nothing.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.catalog.model import Catalog, Method
from conformance.protocol.readings import EVERYTHING, Scan, calls, path_words, plain, readings
from conformance.schema.bundle import places

__all__ = ["Ownership", "UnownedTargetError"]

#: A number this far above every observed identifier identifies nothing.
FAR_FROM_EVERY_IDENTIFIER = 1_000_000
#: Identifiers of this length are neither counters nor chosen by people.
MIN_OPAQUE_LENGTH = 16
#: Opaque identifiers that share more leading characters may differ only in a counter.
MAX_SHARED_PREFIX = 7


class UnownedTargetError(Exception):
    """A request was refused before it was sent: it could act on an object that the run did not create."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a function's data that takes an identifier: its path, its kind, and whether null is allowed."""

    path: tuple[str, ...]
    kind: str
    own: bool
    required: bool
    nullable: bool


#: Functions that the note about calls that were not sent names: the closing screen shortens longer notes.
MAX_NAMED_FUNCTIONS = 4


class Ownership:
    """Knows the objects that the run created, and decides which requests may be sent; thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self._lock = threading.RLock()
        self._made: dict[str, set[str]] = {}
        self._seen: dict[str, set[str]] = {}
        self._nothing: dict[str, set[str]] = {}
        self._found: dict[str, set[str]] = {}
        self._places = {
            method.name: _identifier_places(catalog, method)
            for method in catalog.methods.values()
            if _guarded(method)
        }
        self._guarded = [method for method in catalog.methods.values() if self._places.get(method.name)]
        #: The same functions by entity, in lower case.
        self._by_entity: dict[str, list[Method]] = {}
        for method in self._guarded:
            self._by_entity.setdefault(method.entity.casefold(), []).append(method)
        #: Whether a refused request is an internal error of the suite, as it is in the suite's own tests.
        self.strict = bool(os.environ.get("CONFORM_UNOWNED_IS_A_CRASH"))
        #: The number of refused requests by function.
        self.refused: Counter[str] = Counter()

    # -- what is known -------------------------------------------------------------------------------------

    def made(self, kind: str, identifier: Any) -> None:
        """Record an object that the run created."""
        with self._lock:
            self._made.setdefault(kind, set()).add(plain(identifier))
            self._seen.setdefault(kind, set()).add(plain(identifier))
            self._nothing.get(kind, set()).discard(plain(identifier))

    def seen(self, kind: str, identifier: Any) -> None:
        """Record an identifier in a response, whoever created the object."""
        if isinstance(identifier, str | int) and not isinstance(identifier, bool):
            with self._lock:
                self._seen.setdefault(kind, set()).add(plain(identifier))
                self._nothing.get(kind, set()).discard(plain(identifier))

    def found(self, kind: str, identifier: Any) -> None:
        """Record an object of a kind that the run cannot create; new objects may refer to it by exactly this value."""
        with self._lock:
            self._found.setdefault(kind, set()).add(plain(identifier))
        self.seen(kind, identifier)

    def nothing(self, kind: str, identifier: Any) -> None:
        """Record an identifier that was looked up and identifies nothing."""
        with self._lock:
            if plain(identifier) not in self._seen.get(kind, ()):
                self._nothing.setdefault(kind, set()).add(plain(identifier))

    def reset(self) -> None:
        """Forget every object: the target's data was replaced, and an identifier may belong to another object."""
        with self._lock:
            for known in (self._made, self._nothing, self._found):
                known.clear()

    def owns(self, kind: str, identifier: Any) -> bool:
        """Return whether the run created the object with this identifier."""
        return plain(identifier) in self._made.get(kind, ())

    def knows(self, kind: str, identifier: Any) -> bool:
        """Return whether the identifier was observed as that of an object of the kind, whoever created it."""
        return plain(identifier) in self._seen.get(kind, ())

    def highest(self, kind: str) -> int | None:
        """Return the highest number observed as an identifier of a kind, or None."""
        numbers = [int(text) for text in self._seen.get(kind, ()) if _DECIMAL.fullmatch(text)]
        return max(numbers, default=None)

    # -- what may be sent ----------------------------------------------------------------------------------

    def value(self, kind: str, value: Any) -> str | None:
        """Return why a value must not identify an object of a kind in a writing call; None if it may."""
        with self._lock:
            if not isinstance(value, bool | float | list | dict | None) and self.owns(kind, value):
                return None
            for reading in readings(value, numeric=self._numeric(kind)):
                if reading is EVERYTHING:
                    return f"it could be taken for any {kind}"
                assert isinstance(reading, str)
                if not self.owns(kind, reading) and not self._nameless(kind, reading):
                    return f"it could be taken for the {kind} {reading[:60]!r}, which the run did not make"
        return None

    def data(self, method: Method, data: Any) -> str | None:
        """Return why data must not be sent to a function, as "parameter: reason"; None if it may."""
        return self._sources(method, [data if isinstance(data, dict) else {}])

    def request(self, target: str, body: bytes, *, raw: bool = False) -> tuple[str, str] | None:
        """Return (function, reason) if a request must not be sent, or None.

        `target` is the request's path and query; with `raw`, `body` contains one or several whole requests.
        """
        if not self._guarded:
            return None
        understood = calls(target, body, self._addressed(target)) if not raw else None
        if understood is not None:
            return self._understood(understood)
        # A reader that replaces bytes which are not UTF-8 may read a call without the member whose name has them.
        replaced = body.decode("utf-8", "replace").encode()
        if not raw and replaced != body:
            refusal = self._understood(calls(target, replaced, self._addressed(target)) or [])
            if refusal is not None:
                return refusal
        scan = Scan(target, body)
        for method in self._guarded:
            names = {
                place.path[-1] if place.path[-1] != "*" else place.path[0]
                for place in self._places[method.name]
            }
            for values in scan.values(method, names):
                if (why := self._scanned(method, values)) is not None:
                    return method.name, why
        return None

    def _understood(
        self, understood: Iterable[tuple[Method, list[Mapping[str, Any]]]]
    ) -> tuple[str, str] | None:
        """Return (function, reason) of the first call that must not be sent, or None."""
        for method, sources in understood:
            if (why := self._sources(method, sources)) is not None:
                return method.name, why
        return None

    def _addressed(self, target: str) -> list[Method]:
        """Return the guarded functions whose endpoint the target may lead to, in their order."""
        words = path_words(target.partition("?")[0])
        entities = words & self._by_entity.keys()
        if len(entities) == 1:
            return self._by_entity[next(iter(entities))]
        return [method for method in self._guarded if method.entity.casefold() in entities]

    def check(self, target: str, body: bytes, *, raw: bool = False) -> None:
        """Refuse a request that could act on an object that the run did not create.

        Raises:
            UnownedTargetError: the request is refused; the message names the object and the reason.

        """
        if (refusal := self.request(target, body, raw=raw)) is not None:
            self.count(refusal[0])
            raise UnownedTargetError(f"{refusal[0]} was not called: {refusal[1]}")

    def count(self, function: str) -> None:
        """Count a call that was not sent."""
        with self._lock:
            self.refused[function] += 1

    def note(self) -> str | None:
        """Return the note about calls that were not sent; None if all were sent."""
        if not self.refused:
            return None
        shown = ", ".join(
            f"{name} ({count})" for name, count in self.refused.most_common(MAX_NAMED_FUNCTIONS)
        )
        rest = len(self.refused) - MAX_NAMED_FUNCTIONS
        more = f" and {rest} more functions" if rest > 0 else ""
        total = self.refused.total()
        return (
            f"{total} call{'s were' if total > 1 else ' was'} not sent, since a lax target could have acted on an "
            f"object that the run did not make: {shown}{more}"
        )

    # -- the decision --------------------------------------------------------------------------------------

    def _numeric(self, kind: str) -> bool:
        known = self._seen.get(kind)
        return not known or any(_DECIMAL.fullmatch(text) for text in known)

    def _nameless(self, kind: str, text: str) -> bool:
        """Return whether no object can have this identifier: it was looked up, or is far from every observed one."""
        if text in self._nothing.get(kind, ()):
            return True
        known = self._seen.get(kind)
        if not known or text in known:
            return False
        if self._numeric(kind):
            highest = self.highest(kind)
            number = int(text) if _DECIMAL.fullmatch(text) else 0
            return highest is not None and abs(number) > highest + FAR_FROM_EVERY_IDENTIFIER
        if len(text) < MIN_OPAQUE_LENGTH or min(map(len, known)) < MIN_OPAQUE_LENGTH:
            return False
        lowered = text.casefold()
        for other in known:
            if other.casefold() == lowered:
                # No other object has the run's own identifier in another letter case.
                return self.owns(kind, other)
            if other.casefold()[: MAX_SHARED_PREFIX + 1] == lowered[: MAX_SHARED_PREFIX + 1]:
                return False
        return True

    def _sources(self, method: Method, sources: list[Mapping[str, Any]]) -> str | None:
        """Return why any object that a target could read as the function's data must not be sent, or None."""
        creates = method.object is not None and method.object.does == "create"
        for place in self._places.get(method.name, ()):
            given = [value for source in sources for value in _at(source, place.path)]
            if not given and len(place.path) == 1 and not creates and (place.own or place.required):
                return f"{place.path[0]}: without it, it could act on any {place.kind}"
            for value in given:
                if value is None and place.nullable and not place.own:
                    continue
                if self._referable(method, place, value):
                    continue
                if (why := self.value(place.kind, value)) is not None:
                    return f"{'/'.join(place.path)}: {why}"
        return None

    def _referable(self, method: Method, place: _Place, value: Any) -> bool:
        """Return whether a created or changed object may refer to this one, which the run cannot create."""
        if place.own or method.effect == "delete" or isinstance(value, bool | float | list | dict | None):
            return False
        changes = method.object is not None and method.object.does in ("create", "update")
        return changes and plain(value) in self._found.get(place.kind, ())

    def _scanned(self, method: Method, values: Mapping[str, list[Any]]) -> str | None:
        """Return why values next to identifiers' names in ambiguous bytes must not be sent, or None."""
        creates = method.object is not None and method.object.does == "create"
        for place in self._places[method.name]:
            name = place.path[-1] if place.path[-1] != "*" else place.path[0]
            given = values.get(name, [])
            if not given and len(place.path) == 1 and not creates and (place.own or place.required):
                return f"{name}: without it, it could act on any {place.kind}"
            for value in given:
                if (why := self.value(place.kind, value)) is not None:
                    return f"{name}: {why}"
        return None


_PUNCTUATION = re.compile(r"[\W_]")
_DECIMAL = re.compile(r"-?[0-9]{1,40}")


def _guarded(method: Method) -> bool:
    role = method.object
    return method.effect != "read" or (role is not None and role.does in ("create", "update", "delete"))


def _identifier_places(catalog: Catalog, method: Method) -> tuple[_Place, ...]:
    """Return the places in a function's data that identify an object, the function's own object first."""
    role = method.object
    own = role.id if role is not None and role.does in ("read", "update", "delete") else None
    required = {param.name for param in method.params if param.required}
    found: dict[tuple[str, ...], _Place] = {}
    if own is not None and role is not None:
        found[(own,)] = _Place((own,), role.kind, True, own in required, False)
    for pointer, kind in method.refs:
        path = tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
        if path and path not in found:
            found[path] = _Place(
                path, kind, False, path[0] in required and len(path) == 1, _nullable(method, pointer)
            )
    if role is not None and role.does == "create":
        # A target that accepts an identifier in a create may overwrite the object that has it.
        for name in _own_names(catalog, role.kind, role.id):
            if method.param(name) is None:
                found.setdefault((name,), _Place((name,), role.kind, True, False, False))
    return tuple(found.values())


def _own_names(catalog: Catalog, kind: str, pointer: str) -> Iterable[str]:
    names = [pointer.rpartition("/")[2]]
    names += [
        method.object.id
        for does in ("update", "delete", "read")
        for method in catalog.doing(does, kind)
        if method.object is not None
    ]
    return dict.fromkeys(name for name in names if name)


def _nullable(method: Method, pointer: str) -> bool:
    for place, node in places(method.data_schema):
        if place == pointer:
            types = node.get("type")
            if (
                types == "null"
                or (isinstance(types, list) and "null" in types)
                or node.get("nullable") is True
            ):
                return True
            if None in node.get("enum", ()) or ("const" in node and node["const"] is None):
                return True
    return False


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield the values at a path, `*` for any item; names are compared as lax parsers compare them."""
    if not path:
        yield value
    elif isinstance(value, dict):
        wanted = path[0]
        if wanted == "*" and value and value.keys() == {str(index) for index in range(len(value))}:
            # An object in place of a list: a lax parser may read it as a list, or as any object.
            yield value
        folded = _folded(wanted)
        for name, item in value.items():
            if wanted == "*" or name == wanted or _folded(name) == folded:
                yield from _at(item, path[1:])
    elif isinstance(value, list):
        for item in value:
            yield from _at(item, path[1:] if path[0] == "*" else path)
    elif path == ("*",):
        # A scalar in place of a list may be read as a list of one item.
        yield value


def _folded(name: str) -> str:
    """Return a name without punctuation and letter case."""
    if name.isascii() and name.isalnum():  # nearly all names
        return name.lower()
    return _PUNCTUATION.sub("", name).casefold()
