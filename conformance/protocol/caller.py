"""Calls of the protocol: make the bytes of one POST from a function's name, its data and its paging."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from conformance.catalog.model import Catalog, Method
from conformance.protocol.client import Client, compact
from conformance.protocol.exchange import Exchange
from conformance.schema.pointer import MISSING

__all__ = ["OMIT", "Caller"]

#: Marks a member that is left out of the request.
OMIT: Any = MISSING


class Caller:
    """Builds and sends calls of functions. `catalog` declares the result of each function."""

    def __init__(self, client: Client, catalog: Catalog, logins: Collection[str] = ()) -> None:
        """Create a caller; `logins` are the names of the functions that return sessions."""
        self.client = client
        self.catalog = catalog
        self.logins = frozenset(logins)

    def body(
        self,
        function: str,
        data: Any = OMIT,
        *,
        page_start: Any = OMIT,
        page_length: Any = OMIT,
        extra: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the body of a call of `entity.function`, without the members that are `OMIT`."""
        envelope: dict[str, Any] = {"method": function.partition(".")[2]}
        for name, value in (("data", data), ("pageStart", page_start), ("pageLength", page_length)):
            if value is not OMIT:
                envelope[name] = value
        return compact({**envelope, **(extra or {})})

    def label(self, name: str) -> str | None:
        """Return the name under which findings of a call are grouped: the function, else the endpoint, else None."""
        if name in self.catalog.methods:
            return name
        entity = name.partition(".")[0]
        return entity if entity in self.catalog.entities else None

    def call(
        self,
        function: Method | str,
        data: Any = OMIT,
        *,
        user: str | None = None,
        token: str | None = None,
        page_start: Any = OMIT,
        page_length: Any = OMIT,
        extra: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        target: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        token_header: str = "Token",
        in_session: bool | None = None,
        login: bool | None = None,
        **options: Any,
    ) -> Exchange:
        """Call a function and return the exchange; a request that must not be sent has the failure "withheld".

        `token` is the value of the header `Token`; `user` is the owner of that session, or None. `body` replaces the
        body that is otherwise built from the other arguments.
        """
        name = function if isinstance(function, str) else function.name
        method = self.catalog.methods.get(name) if isinstance(function, str) else function
        entity = name.partition(".")[0]
        if body is None:
            body = self.body(name, data, page_start=page_start, page_length=page_length, extra=extra)
        if token is not None:
            headers = [(token_header, token), *headers]
        return self.client.send(
            entity if target is None else target,
            body,
            headers=headers,
            function=self.label(name),
            login=name in self.logins if login is None else login,
            user=user,
            in_session=(token is not None and user is not None) if in_session is None else in_session,
            contract=method.contract if method else None,
            withhold=True,
            **options,
        )
