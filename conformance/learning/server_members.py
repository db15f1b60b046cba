"""Members of objects that the server sets: no parameter gives them, and changes of the object may change them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from conformance.learning.calls import Call, Json
from conformance.learning.identifiers import Flow, Kind
from conformance.learning.objects import Role
from conformance.schema.bundle import point
from conformance.schema.pointer import resolve

__all__ = ["server_places"]

#: Updates that leave a member as it was, for it to be one that updates never change.
_UNCHANGED = 5


def server_places(flow: Flow, roles: Mapping[str, Role]) -> dict[str, frozenset[str]]:
    """Return by function the places of results that hold members which the server sets and may change.

    A member that several updates left as it was is none of them.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for kind in flow.kinds.values():
        of_kind = {name: role for name, role in roles.items() if role.kind == kind.name}
        if not any(role.does == "update" for role in of_kind.values()):
            continue
        members = _members_of(flow, kind, of_kind)
        for name, role in of_kind.items():
            for pointer in _object_places(role, flow, name):
                found[name] |= {point(pointer, member) for member in members}
    return {name: frozenset(places) for name, places in found.items()}


def _members_of(flow: Flow, kind: Kind, roles: Mapping[str, Role]) -> set[str]:
    """Return the members of a kind that the server sets and may change."""
    given: set[str] = {kind.member}
    seen: set[str] = set()
    changed: set[str] = set()
    unchanged: Counter[str] = Counter()
    objects: dict[Json, dict[str, str]] = defaultdict(dict)
    for call in flow.calls:
        role = roles.get(call.function)
        if role is None or not call.succeeded:
            continue
        if role.does in ("create", "update"):
            given |= call.arguments.keys()
        for identifier, members in _objects_in(call, role, kind):
            last = objects[identifier]
            for name, value in members.items():
                text = json.dumps(value, sort_keys=True)
                seen.add(name)
                if last.get(name, text) != text:
                    changed.add(name)
                elif name in last and role.does == "update":
                    unchanged[name] += 1
                last[name] = text
    return {name for name in seen - given if name in changed or unchanged[name] < _UNCHANGED}


def _objects_in(call: Call, role: Role, kind: Kind) -> Iterator[tuple[Json, dict[str, Json]]]:
    """Yield (identifier, members) for the object that a call made, read or updated."""
    if role.does not in ("create", "read", "update"):
        return
    value = resolve(call.result, role.at)
    if isinstance(value, dict) and isinstance(value.get(kind.member), str | int):
        yield value[kind.member], value


def _object_places(role: Role, flow: Flow, function: str) -> Iterator[str]:
    """Yield the pointers of the objects in the results of a function."""
    if role.does in ("create", "read", "update"):
        yield role.at
    elif role.does == "list" and role.id:
        for pointer, _ in flow.answer_places(function):
            if pointer.endswith(f"/*{role.id}"):
                yield pointer.removesuffix(role.id)
