"""What the load creates on the target: objects and sessions, learnt from responses while the load runs.

The methods that learn are called in the event loop with every response, and must not block.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from conformance.catalog.model import Catalog
from conformance.events import LeftoverEvent
from conformance.protocol.profile import Profile
from conformance.resources.registry import Resource, Resources
from conformance.schema.pointer import MISSING, resolve
from load.workload.calls import Call, Reply
from load.workload.stock import Stock

__all__ = ["Created", "leftover", "token_of"]

#: The largest number of objects of the load's own that exist at a time; beyond it the oldest are removed meanwhile.
MAX_OBJECTS = 2_000
#: How many objects beyond the limit are created before some are removed.
SWEEP_OBJECTS = 64

#: The largest number of objects of a kind that are listed one by one, where the catalogue cannot delete them.
MAX_LISTED = 1_000


class Created:
    """The objects and sessions that the load of one process created and that are not removed.

    `sweep_later` is called where there are more than `limit` of them, with nothing: it has some removed.
    """

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        resources: Resources,
        stock: Stock,
        *,
        limit: int,
        sweep_later: Callable[[], None],
    ) -> None:
        self._profile = profile
        self._catalog = catalog
        self._methods = catalog.methods
        self._resources = resources
        self._stock = stock
        self._sweep_later = sweep_later
        self.limit = limit
        #: Whether a removal of surplus objects is due or under way.
        self.sweeping = False
        #: In the order of their creation.
        self.objects: dict[Resource, None] = {}
        self._by_id: dict[tuple[str, str], Resource] = {}
        #: The tokens of sessions that logins of the load opened.
        self.opened: deque[str] = deque()
        #: By function and user: creates without a response; whether they created an object is not known.
        self.unanswered: Counter[tuple[str, str]] = Counter()
        #: By kind: objects that cannot be deleted, and those of them that are only counted.
        self._undeletable: Counter[str] = Counter()
        self.beyond: Counter[str] = Counter()
        #: What was reported by `news`, each with the text that describes it.
        self._reported: dict[Resource, str] = {}

    def learn_created(self, call: Call, reply: Reply) -> None:
        """Record the object that a create made."""
        virtual_user, template = call.virtual_user, call.about
        user = virtual_user.user if virtual_user is not None else template[0]
        if reply.failure is not None:
            return  # whether it was created is not known: the clean-up looks for it
        self.unanswered[(call.function, user)] -= 1
        role = self._methods[call.function].object
        if reply.status != 200 or role is None:
            return
        try:
            identifier = resolve(msgspec.json.decode(reply.body)["data"], role.id)
        except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
            return
        if identifier is MISSING or identifier is None or isinstance(identifier, (dict, list)):
            return
        self._add(
            Resource(
                role.kind, identifier, user, template.data if virtual_user is not None else template[1].data
            )
        )

    def _add(self, resource: Resource) -> None:
        self._resources.ownership.made(resource.kind, resource.id)
        if self._catalog.delete(resource.kind) is None:
            self._undeletable[resource.kind] += 1
            if self._undeletable[resource.kind] > MAX_LISTED:
                self.beyond[resource.kind] += 1
                return
        self.objects[resource] = None
        self._by_id[resource.kind, repr(resource.id)] = resource
        spares = self._stock.spares.get((resource.kind, resource.user))
        if spares is not None:
            spares.append(resource)
        if len(self.objects) > self.limit + SWEEP_OBJECTS + self._undeletable.total() and not self.sweeping:
            self.sweeping = True
            self._sweep_later()

    def learn_consumed(self, call: Call, reply: Reply) -> None:
        """Forget an object that was deleted; one that was consumed in another way is removed at the end."""
        method = self._methods[call.function]
        deletes = method.object is not None and method.object.does == "delete"
        if deletes and reply.failure is None and reply.status in (200, 404):
            call.about.gone = True
            self.drop(call.about)
            self._resources.forget(call.about.kind, call.about.id)

    def find(self, kind: str, identifier: Any) -> Resource | None:
        """Return the object with this identifier that the load created; None if there is none."""
        return self._by_id.get((kind, repr(identifier)))

    def drop(self, resource: Resource) -> None:
        """Forget an object that is removed."""
        self.objects.pop(resource, None)
        key = (resource.kind, repr(resource.id))
        if self._by_id.get(key) is resource:
            del self._by_id[key]

    def learn_login(self, call: Call, reply: Reply) -> None:
        """Record the session that a login of the load opened, so that it is ended."""
        token = token_of(reply, self._profile)
        if token is not None and self._profile.auth.logout is not None:
            self.opened.append(token)
            if len(self.opened) > self.limit + SWEEP_OBJECTS and not self.sweeping:
                self.sweeping = True
                self._sweep_later()

    def clear(self) -> None:
        """Forget the objects: the target was reset."""
        self.objects.clear()
        self._by_id.clear()
        self.unanswered.clear()

    # -- for whoever removes the objects where this process no longer can --------------------------------------

    def news(self) -> dict[str, Any]:
        """Return the objects that were created, and those that are gone, since the last call: a text for each.

        `beyond` counts, by kind, objects that are not listed one by one and cannot be removed.
        """
        standing = dict.fromkeys((*self.objects, *self._resources.owned()))
        reported = {
            resource: self._reported.get(resource) or self._described(resource) for resource in standing
        }
        made = [text for resource, text in reported.items() if resource not in self._reported]
        gone = [text for resource, text in self._reported.items() if resource not in reported]
        self._reported = reported
        return {"made": made, "gone": gone, "beyond": dict(self.beyond)}

    def _described(self, resource: Resource) -> str:
        """Return what has to be known to remove an object, as JSON."""
        method = self._catalog.delete(resource.kind)
        acting = {} if method is None else self._resources.acting_on(method, resource)
        parents = {name: resource.sent[name] for name in acting if name in resource.sent}
        return json.dumps([resource.kind, resource.id, resource.user, parents, resource not in self.objects])

    def take_over(self, described: Iterable[str], beyond: Mapping[str, int]) -> None:
        """Add objects that another process created and described (`news`)."""
        for text in described:
            kind, identifier, user, parents, owned = json.loads(text)
            resource = Resource(kind, identifier, user, parents)
            if owned:
                self._resources.adopt(resource)
            else:
                self.objects[resource] = None
                self._resources.ownership.made(kind, identifier)
        self.beyond.update(beyond)


def token_of(reply: Reply, profile: Profile) -> str | None:
    """Return the token of the session that a login's response opens; None where it opens none."""
    if reply.failure is not None or reply.status != 200:
        return None
    try:
        token = resolve(msgspec.json.decode(reply.body)["data"], profile.auth.session)
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
        return None
    return token if isinstance(token, str) and token else None


def leftover(kind: str, identifier: Any, reason: str) -> LeftoverEvent:
    """Return the event for an object that could not be removed."""
    return LeftoverEvent(kind, str(identifier), reason=reason)
