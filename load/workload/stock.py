"""The objects of the target that calls refer to, by kind and user: some to read and change, some to consume."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from conformance.catalog.model import Catalog
from conformance.protocol.profile import Profile
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resource, Resources
from conformance.schema.pointer import MISSING, resolve

__all__ = ["MAX_LIST_ROWS", "Stock"]

#: Objects of a kind that are prepared for each user, and the largest number over all users of the profile.
_MAX_STOCK = 6
_MAX_STOCK_OF_ALL = 48

#: Objects of a kind that are prepared for each user to be consumed; the creates of the mix make the rest.
MAX_SPARES = 4

#: Rows that are read of a list to find existing objects.
MAX_LIST_ROWS = 10


class Stock:
    """The objects that one process refers to in its calls; `note` takes remarks for the report."""

    def __init__(
        self, profile: Profile, catalog: Catalog, resources: Resources, note: Callable[[str], None]
    ) -> None:
        self._profile = profile
        self._catalog = catalog
        self._resources = resources
        self._note = note
        self._objects: dict[tuple[str, str], list[Resource]] = {}
        #: By kind and user: objects that calls may consume.
        self.spares: dict[tuple[str, str], deque[Resource]] = {}

    def objects(self, kind: str, user: str) -> list[Resource]:
        """Return objects of a kind that this user created; where it cannot create any, existing ones.

        Raises:
            SetUpFailedError: there are none.

        """
        stock = self._objects.setdefault((kind, user), [])
        if stock:
            return stock
        deletable = self._catalog.delete(kind) is not None
        if not deletable:
            # An object that cannot be removed is created only where none exists.
            stock += self._existing(kind, user)
        if not stock and self._resources.creator(kind, user) is not None:
            self._create(stock, kind, user, deletable=deletable)
        if not stock:
            stock += self._existing(kind, user)
        if not stock:
            raise SetUpFailedError(f"there is no {kind} that {user} could use, and no function to make one")
        return stock

    def _create(self, stock: list[Resource], kind: str, user: str, *, deletable: bool) -> None:
        """Create objects; where that fails and none exists, raise SetUpFailedError."""
        # The more users there are, the fewer objects each needs to spread the calls over.
        count = max(1, min(_MAX_STOCK, _MAX_STOCK_OF_ALL // len(self._profile.users))) if deletable else 1
        try:
            for _ in range(count):
                stock.append(self._resources.new(kind, user) if stock else self._resources.any(kind, user))
        except SetUpFailedError as error:
            if not stock and not self._existing(kind, user):
                raise
            self._note(error.reason)

    def own(self, kind: str, user: str) -> Resource:
        """Return an object that the run created; create it where there is none.

        Raises:
            SetUpFailedError: none can be created.

        """
        if self._resources.creator(kind, user) is None:
            raise SetUpFailedError(f"{user} cannot make a {kind}, and what others made is left alone")
        return self._resources.any(kind, user)

    def fill_spares(self, kind: str, user: str) -> Resource:
        """Create objects for calls that consume them, and return the next one.

        Raises:
            SetUpFailedError: none can be created.

        """
        spares = self.spares.setdefault((kind, user), deque())
        if self._resources.creator(kind, user) is None:
            raise SetUpFailedError(f"{user} may not make a {kind} for it to use up")
        while len(spares) < MAX_SPARES:
            spares.append(self._resources.new(kind, user, optional="none"))
        return spares[0]

    def take_spare(self, kind: str, user: str) -> Resource | None:
        """Return an object to consume; None where there is none left."""
        spares = self.spares.get((kind, user))
        while spares:
            resource = spares.popleft()
            if not resource.gone:
                return resource
        return None

    def _existing(self, kind: str, user: str) -> list[Resource]:
        """Return objects that the lists of the target show to a user."""
        found: dict[str, Resource] = {}
        resources = self._resources
        for method in self._catalog.lists(kind):
            if method.object is None or not resources.may_call(user, method):
                continue
            page: dict[str, Any] = (
                {"page_start": 0, "page_length": MAX_LIST_ROWS} if method.rows is not None else {}
            )
            exchange = resources.call(method, resources.valid(method, user, optional="none"), user, **page)
            for row in resources.rows(method, exchange)[:MAX_LIST_ROWS]:
                identifier = resolve(row, method.object.id)
                if identifier is not MISSING and not isinstance(identifier, (dict, list)):
                    found.setdefault(repr(identifier), Resource(kind, identifier, user, made=False))
                    if not any(resources.creator(kind, name) for name in self._profile.users):
                        resources.ownership.found(kind, identifier)
        return list(found.values())

    def created_by(self, user: str) -> Resource | None:
        """Return an object in stock that the run created as this user; None where there is none."""
        return next(
            (
                resource
                for (_, owner), objects in self._objects.items()
                if owner == user
                for resource in objects
                if resource.made
            ),
            None,
        )

    def drop_removed_spares(self) -> None:
        """Forget objects at the head of each queue that are removed."""
        for spares in self.spares.values():
            while spares and spares[0].gone:
                spares.popleft()

    def clear(self) -> None:
        """Forget every object: the target was reset."""
        self._objects.clear()
        for spares in self.spares.values():
            spares.clear()
