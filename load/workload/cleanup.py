"""Removes what the load created: surplus objects while the load runs, and everything at its end."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conformance.catalog.model import Catalog, Method
from conformance.events import LeftoverEvent
from conformance.protocol.caller import Caller
from conformance.protocol.session import Sessions, SetUpFailedError
from conformance.resources.clean_up import still_present
from conformance.resources.registry import Resource, Resources
from conformance.schema.pointer import MISSING, resolve
from load.workload.created import Created, leftover
from load.workload.stock import Stock
from load.workload.virtual_users import VirtualUsers

__all__ = ["CleanUp"]

#: Requests of the clean-up that are under way at the same time.
_MAX_REQUESTS = 8


class CleanUp:
    """Removes objects and ends sessions of one process."""

    def __init__(
        self,
        catalog: Catalog,
        caller: Caller,
        sessions: Sessions,
        resources: Resources,
        virtual_users: VirtualUsers,
        stock: Stock,
        created: Created,
        *,
        tag: str,
        logout: str | None,
    ) -> None:
        self._catalog = catalog
        self._caller = caller
        self._sessions = sessions
        self._resources = resources
        self._virtual_users = virtual_users
        self._stock = stock
        self._created = created
        self._tag = tag
        self._logout = logout

    def sweep(self) -> None:
        """Remove the oldest objects beyond the limit, so that neither the target nor this process grows for hours."""
        created = self._created
        try:
            while len(created.opened) > created.limit:
                self._leave(created.opened.popleft())
            deletable = [each for each in created.objects if self._catalog.delete(each.kind) is not None]
            for resource in deletable[: max(0, len(deletable) - created.limit)]:
                if resource.gone:
                    continue
                resource.gone = True
                if self._remove(resource) is None:
                    created.drop(resource)
                else:
                    resource.gone = False
                    break  # the clean-up at the end reports what is left
            self._stock.drop_removed_spares()
        finally:
            created.sweeping = False

    def run(self, until: float) -> list[LeftoverEvent]:
        """Remove every object, the latest first, and end every session; return the events for what is left over.

        It gives up at a moment of `time.monotonic`, or when it is interrupted: what still exists then is left over.
        """
        created, virtual_users = self._created, self._virtual_users
        left: list[LeftoverEvent] = []
        try:
            virtual_users.rest()
            if virtual_users.renewals:
                self._sessions.drop()
            self._look_for_unanswered()
            self._remove_all([each for each in reversed(created.objects) if not each.gone], until, left)
            for resource in reversed(list(self._resources.owned())):
                self._remove_all([resource], until, left)
            for kind, count in created.beyond.items():
                left.append(leftover(kind, f"{count} more", "the catalogue has no function that deletes it"))
            with ThreadPoolExecutor(_MAX_REQUESTS) as pool:
                list(pool.map(self._leave, list(created.opened)))
            virtual_users.sign_out()
        except KeyboardInterrupt:
            gone = {(each.kind, each.id) for each in left}
            for resource in (*created.objects, *self._resources.owned()):
                if not resource.gone and (resource.kind, str(resource.id)) not in gone:
                    left.append(leftover(resource.kind, resource.id, "the removal was interrupted"))
        except SetUpFailedError as error:
            virtual_users.note(error.reason)
        created.objects.clear()
        created.opened.clear()
        return left

    def _leave(self, token: str) -> None:
        """End a session that a login of the load opened."""
        if self._logout is not None:
            self._caller.call(self._logout, token=token)

    def _remove_all(self, objects: Sequence[Resource], until: float, left: list[LeftoverEvent]) -> None:
        """Remove objects none of which is a parent of another, so that their order does not matter."""

        def remove(resource: Resource) -> str | None:
            if time.monotonic() > until:
                return "there was no time left to remove it"
            return self._remove(resource)

        # The users sign in before, so that parallel removals do not sign in many times.
        for user in dict.fromkeys(resource.user for resource in objects):
            if self._catalog.delete(next(each.kind for each in objects if each.user == user)) is not None:
                with contextlib.suppress(SetUpFailedError):  # each removal reports why it failed
                    self._sessions.of(user)
        if len(objects) == 1:
            results = [remove(objects[0])]
        else:
            with ThreadPoolExecutor(_MAX_REQUESTS) as pool:
                results = list(pool.map(remove, objects))
        removed = [resource for resource, why in zip(objects, results, strict=True) if why is None]
        standing = set(still_present(self._resources, removed)) if time.monotonic() < until else set()
        for resource, why in zip(objects, results, strict=True):
            if resource in standing:
                why = f"its removal succeeded, but the {resource.kind} is still there"
            if why is None:
                resource.gone = True
            else:
                left.append(leftover(resource.kind, resource.id, why))

    def _remove(self, resource: Resource) -> str | None:
        """Remove an object, with a new session where the old one is refused; return why it failed, or None."""
        why = self._resources.remove(resource)
        if why is not None and " 401" in why:
            self._sessions.drop(resource.user)
            why = self._resources.remove(resource)
        return why

    def _look_for_unanswered(self) -> None:
        """Find the objects of creates without a response: they contain the run's tag."""
        created = self._created
        known = {(each.kind, repr(each.id)) for each in (*created.objects, *self._resources.owned())}
        for (name, user), count in created.unanswered.items():
            role = self._catalog[name].object
            if count <= 0 or role is None or not user:
                continue
            for method in self._catalog.lists(role.kind):
                if method.object is None or not self._resources.may_call(user, method):
                    continue
                for identifier in self._tagged(method, user):
                    if (role.kind, repr(identifier)) not in known:
                        created.objects[Resource(role.kind, identifier, user)] = None
                        self._resources.ownership.made(role.kind, identifier)

    def _tagged(self, method: Method, user: str) -> list[Any]:
        """Return the identifiers of the objects in a list that contain the run's tag."""
        assert method.object is not None
        try:
            exchange = self._resources.call(
                method, self._resources.valid(method, user, optional="none"), user
            )
        except SetUpFailedError:
            return []
        found = []
        for row in self._resources.rows(method, exchange):
            identifier = resolve(row, method.object.id)
            # The hyphen keeps the tag of the tenth worker apart from that of the first.
            if identifier is not MISSING and f"{self._tag}-" in json.dumps(row, ensure_ascii=False):
                found.append(identifier)
        return found
