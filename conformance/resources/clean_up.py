"""Clean-up: remove the objects that a run created, and verify that they are gone.

A delete function that returns 200 proves nothing. An object that a list or read function still returns is a leftover,
which is reported by kind and identifier.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from conformance.catalog.model import Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource, Resources
from conformance.schema.pointer import MISSING, resolve

__all__ = ["CleanUp", "still_present"]

#: Attempts to remove all objects, each followed by verification.
MAX_PASSES = 3
#: The pause after a target postponed a removal (429, 503) without `Retry-After`.
SECONDS_BETWEEN_PASSES = 1.0
#: Removed objects that are read again, per kind, if none of them is still present.
MAX_SAMPLED_READS = 12
#: Removed objects that are read again, per kind, if one of them is still present.
MAX_READS = 400

#: A postponed removal, as `Resources.remove` reports it.
_NOT_NOW = re.compile(r"\b(?:429|503)\b")


class CleanUp:
    """Removes the objects of a run, and verifies that they are gone."""

    def __init__(self, resources: Resources, leftover: Callable[[Resource, str], None]) -> None:
        self.resources = resources
        self.leftover = leftover
        #: Creates that succeeded without an identifier, or had no response, by function and user.
        self.unidentified: Counter[tuple[str, str]] = Counter()
        #: The first response without an identifier, by function.
        self.without_identifier: dict[str, Exchange] = {}
        #: Identifiers in the lists before the run created anything, by (function, user).
        self._inventory: dict[tuple[str, str], set[str]] = {}

    # -- before the first create ---------------------------------------------------------------------------

    def take_inventory(self) -> None:
        """Record the existing objects, so that none of them is ever mistaken for an object of the run.

        The lists of one user are enough, since objects of other users are never adopted.
        """
        for kind in self.resources.catalog.kinds:
            create = self.resources.catalog.create(kind)
            for user in self.resources.callers(create)[:1] if create is not None else ():
                for method in self._lists(kind, user):
                    rows = self._rows(method, user)
                    if rows is not None:
                        self._inventory[(method.name, user)] = {repr(identifier) for identifier, _ in rows}

    # -- during the run ------------------------------------------------------------------------------------

    def created(self, exchange: Exchange, method: Method, *, identified: bool) -> str | None:
        """Record a create whose object is unknown; return a message for the first one of each function."""
        role, user = method.object, exchange.user
        if role is None or role.does != "create" or user is None or identified:
            return None
        if not (exchange.succeeded or exchange.failure):
            return None
        self.unidentified[(method.name, user)] += 1
        if exchange.failure or exchange.request.verb == "HEAD" or method.name in self.without_identifier:
            return None
        self.without_identifier[method.name] = exchange.brief()
        answer = json.dumps(exchange.data, ensure_ascii=False, default=str)[:300]
        return (
            f"{method.name} succeeded without an identifier at {role.id} (x-object.id): the catalogue's pointer or the "
            f"target's answer is wrong; data was {answer}"
        )

    # -- at the end ----------------------------------------------------------------------------------------

    def run(self, *, verify: bool = True) -> None:
        """Remove the objects of the run, the latest first; report each leftover.

        `verify` reads or lists again what was removed.
        """
        failed: dict[Resource, str] = {}
        for attempt in range(MAX_PASSES):
            if not attempt:
                self._adopt_tagged()
            for resource in reversed(list(self.resources.owned())):
                why = None if resource.gone else self.resources.remove(resource)
                if why is not None:
                    failed[resource] = why
            standing = list(self._standing()) if verify else []
            later = any(_NOT_NOW.search(why) and not resource.gone for resource, why in failed.items())
            for resource in standing:
                delete = self.resources.catalog.delete(resource.kind)
                done = f"{delete.name} succeeded" if delete is not None else "it was gone during the run"
                failed[resource] = f"{done}, but the {resource.kind} is still there"
                self.resources.restore(resource)
            if not standing and not later:
                break
            if later and attempt + 1 < MAX_PASSES:
                time.sleep(SECONDS_BETWEEN_PASSES)
        for resource in list(self.resources.owned()):
            self.leftover(resource, failed.get(resource, "it could not be removed"))
        for (name, user), count in self.unidentified.items():
            role = self.resources.catalog[name].object
            if role is not None and name in self.without_identifier:
                self.leftover(
                    Resource(role.kind, f"{count} unknown", user),
                    f"{name} gave no identifier at {role.id}, so that it could not be removed",
                )
        self.resources.clear_ledger()

    def _adopt_tagged(self) -> None:
        """Record objects of creates without an identifier: they have the run's tag and did not exist before."""
        for (name, user), count in list(self.unidentified.items()):
            role = self.resources.catalog[name].object
            if role is None:
                continue
            for method in self._lists(role.kind, user):
                before = self._inventory.get((method.name, user))
                rows = self._rows(method, user) if before is not None else None
                for identifier, row in rows or ():
                    tagged = f"{self.resources.tag}-" in json.dumps(row, ensure_ascii=False, default=str)
                    if not tagged or before is None or repr(identifier) in before:
                        continue
                    if not self.resources.ownership.owns(role.kind, identifier):
                        self.resources.enter(role.kind, identifier, user)
                        count -= 1
            self.unidentified[(name, user)] = max(0, count)
        self.unidentified = +self.unidentified

    def _standing(self) -> Iterator[Resource]:
        """Yield the removed objects that a list or read function still returns."""
        by_kind: dict[str, list[Resource]] = {}
        for resource in self.resources.removed():
            by_kind.setdefault(resource.kind, []).append(resource)
        for kind, resource_list in by_kind.items():
            found = dict.fromkeys(self._listed(kind, resource_list))
            yield from found
            rest = [resource for resource in reversed(resource_list) if resource not in found]
            yield from still_present(self.resources, rest)

    def _listed(self, kind: str, resource_list: list[Resource]) -> Iterator[Resource]:
        known = {repr(resource.id): resource for resource in resource_list}
        for user in dict.fromkeys(resource.user for resource in resource_list):
            for method in self._lists(kind, user):
                for identifier, _ in self._rows(method, user) or ():
                    if (resource := known.get(repr(identifier))) is not None:
                        yield resource

    def _lists(self, kind: str, user: str) -> Iterator[Method]:
        """Yield the list functions of a kind that the user may call without arguments."""
        for method in self.resources.catalog.lists(kind):
            if self.resources.may_call(user, method) and not any(param.required for param in method.params):
                yield method

    def _rows(self, method: Method, user: str) -> list[tuple[Any, Any]] | None:
        """Return (identifier, row) for each row of a list; None if it cannot be read."""
        try:
            exchange = self.resources.call(method, {}, user)
        except SetUpFailedError:
            return None
        if exchange.status != 200 or method.object is None:
            return None
        found = [(resolve(row, method.object.id), row) for row in self.resources.rows(method, exchange)]
        return [(identifier, row) for identifier, row in found if identifier is not MISSING]


def still_present(resources: Resources, resource_list: Sequence[Resource]) -> Iterator[Resource]:
    """Yield the objects that their read functions still return: check a sample, and all if one is present."""
    sample = list(_read_again(resources, resource_list[:MAX_SAMPLED_READS]))
    yield from sample
    if sample:
        yield from _read_again(resources, resource_list[MAX_SAMPLED_READS:MAX_READS])


def _read_again(resources: Resources, resource_list: Iterable[Resource]) -> Iterator[Resource]:
    for resource in resource_list:
        read = resources.catalog.read(resource.kind)
        if read is None or read.object is None or not resources.may_call(resource.user, read):
            continue
        data = resources.acting_on(read, resource)
        if any(param.required and param.name not in data for param in read.params):
            continue
        try:
            if resources.call(read, data, resource.user).status == 200:
                yield resource
        except SetUpFailedError:
            continue
