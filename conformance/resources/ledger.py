"""The ledger of the objects that a run created, shares between tests, and has removed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from conformance.catalog.model import Catalog, Method
from conformance.protocol.exchange import Exchange
from conformance.protocol.ownership import Ownership
from conformance.schema.pointer import MISSING, resolve

__all__ = ["ObjectLedger", "Resource"]

#: Shared objects of one kind that are replaced in a run, if no function deletes such objects.
MAX_RENEWALS_WITHOUT_DELETE = 6


@dataclass(eq=False)
class Resource:
    """An object of the target: its kind, identifier and owner, and the data that it was created with."""

    kind: str
    id: Any
    user: str
    sent: dict[str, Any] = field(default_factory=dict)
    made: bool = True
    gone: bool = False


class ObjectLedger:
    """Records the objects that a run creates and removes; thread-safe."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        #: Knows the objects that the run created, and decides which requests must not be sent.
        self.ownership = Ownership(catalog)
        self._ledger: dict[Resource, None] = {}
        self._removed: dict[Resource, None] = {}
        self._known: dict[tuple[str, str], Resource] = {}
        self._standing: dict[tuple[str, str], Resource] = {}
        self._renewed: Counter[str] = Counter()
        self._lock = threading.RLock()

    def learn(self, exchange: Exchange, method: Method, data: Any, user: str | None) -> Resource | None:
        """Record the object that a call created and return it; None if it created nothing."""
        role = method.object
        if role is None or role.does != "create" or user is None or not exchange.succeeded:
            return None
        identifier = resolve(exchange.data, role.id)
        if identifier is MISSING or identifier is None or isinstance(identifier, (dict, list)):
            return None
        with self._lock:
            key = (role.kind, repr(identifier))
            resource = self._known.get(key)
            if resource is None or resource.gone:
                sent = dict(data) if isinstance(data, dict) else {}
                resource = self._known[key] = Resource(role.kind, identifier, user, sent)
                self._ledger[resource] = None
                self.ownership.made(role.kind, identifier)
            return resource

    def resource(self, kind: str, identifier: Any, user: str) -> Resource:
        """Return the object with this identifier, recorded or not."""
        return self._known.get((kind, repr(identifier))) or Resource(kind, identifier, user, made=False)

    def enter(self, kind: str, identifier: Any, user: str | None) -> None:
        """Record an object that a call created although it should not have."""
        if user is not None and (kind, repr(identifier)) not in self._known:
            resource = self._known[(kind, repr(identifier))] = Resource(kind, identifier, user)
            self._ledger[resource] = None
            self.ownership.made(kind, identifier)

    def adopt(self, resource: Resource) -> None:
        """Record an object that another process created and can no longer remove."""
        with self._lock:
            self._known[(resource.kind, repr(resource.id))] = resource
            self._ledger[resource] = None
            self.ownership.made(resource.kind, resource.id)

    def renew(self) -> None:
        """Stop using the shared objects, since a test may have changed their owner.

        They remain in the ledger. For a kind that no function deletes, only a few are replaced.
        """
        with self._lock:
            for kind, user in list(self._standing):
                if self.catalog.delete(kind) is None:
                    self._renewed[kind] += 1
                    if self._renewed[kind] > MAX_RENEWALS_WITHOUT_DELETE:
                        continue
                del self._standing[kind, user]

    def standing(self, resource: Resource) -> bool:
        """Return whether an object is shared between tests."""
        return resource in self._standing.values()

    def forget(self, kind: str, identifier: Any) -> None:
        """Remove a deleted object from the ledger."""
        with self._lock:
            resource = self._known.get((kind, repr(identifier)))
            if resource is not None:
                resource.gone = True
                if resource in self._ledger:
                    self._removed[resource] = None
                self._ledger.pop(resource, None)

    def owned(self) -> Iterator[Resource]:
        """Yield the objects that the run created and has not removed."""
        yield from list(self._ledger)

    def removed(self) -> Iterator[Resource]:
        """Yield the objects that the target reported as deleted, unless a later object has the same identifier."""
        with self._lock:
            yield from [
                resource
                for resource in self._removed
                if self._known.get((resource.kind, repr(resource.id))) is resource
            ]

    def restore(self, resource: Resource) -> None:
        """Record an object again that was reported as deleted, but is still present."""
        with self._lock:
            resource.gone = False
            self._removed.pop(resource, None)
            self._ledger[resource] = None

    def clear_ledger(self) -> None:
        """Remove every object from the ledger after the leftovers are reported."""
        self._ledger.clear()

    def reset(self) -> None:
        """Forget every object after a reset of the target's data: the identifiers are no longer valid."""
        with self._lock:
            self._ledger.clear()
            self._removed.clear()
            self._known.clear()
            self._standing.clear()
            self.ownership.reset()
