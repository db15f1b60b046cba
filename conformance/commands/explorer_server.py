"""The server of `conform explore`: the explorer page as an ASGI application.

The server is not an open proxy. It calls only the base URL of the profile and paths below it. A caller must know the
key, which is generated at each start and is a part of the printed address. A caller must also be the server's own page:

- `Host` must name the loopback address, so that a host name that an attacker resolves to it (DNS rebinding) is refused.
- `Origin` must be that of the page.
- The key must be in a header that a page of another site cannot send, since the server allows no CORS.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from conformance.catalog.model import Method
from conformance.commands.explorer_cases import RefusedError
from conformance.commands.explorer_relay import Relay
from conformance.commands.explorer_run import StoredFindings
from conformance.engine.harness import Harness
from conformance.rulebook import RULES, own_rules

__all__ = ["Explorer"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Maximum bytes of a request of the page.
MAX_REQUEST_BYTES = 16 * 1024 * 1024


class Explorer:
    """The explorer page and its access to the target, as an ASGI application.

    `port` is the port that it listens on. Requests whose host is not the loopback address with that port are refused.
    `stored` are the findings of a run that the page shows, too.
    """

    def __init__(
        self, harness: Harness, *, port: int, key: str | None = None, stored: StoredFindings | None = None
    ) -> None:
        from fixtures import explorer

        self.key = key or secrets.token_urlsafe(24)
        self._pages = explorer
        self._profile = harness.profile
        self._catalog = harness.catalog
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._relay = Relay(harness, stored)
        self._findings_file = stored.content() if stored is not None else None
        self._page, self._catalogue_file = self._rendered()

    def close(self) -> None:
        """Log out every open session, and close the connections."""
        self._relay.close()

    # --- the page

    def _rendered(self) -> tuple[bytes, bytes]:
        """Return the page, and the catalogue from which it builds its forms."""
        methods = [_described(method, implicit=self._catalog.is_implicit) for method in self._catalog]
        profile, auth = self._profile, self._profile.auth
        title = "Coursio API"
        if isinstance(self._catalog.raw, dict):
            title = str(self._catalog.raw["info"]["title"])
        facts = {
            "mode": "relay",
            "key": self.key,
            "title": title,
            "target": profile.shown_url,
            "base": self._relay.client.address.path,
            "environment": profile.target.environment,
            "writes": self._relay.writes,
            "login": None
            if auth.login is None
            else {"function": auth.login.function, "user": auth.login.user, "secret": auth.login.secret},
            "logout": auth.logout,
            "run": self._findings_file is not None,
            "users": [{"name": user.name, "roles": list(user.roles)} for user in profile.users.values()],
        }
        own = [msgspec.to_builtins(RULES[identifier].record()) for identifier in own_rules.ids()]
        return self._pages.page(methods, facts, own), self._pages.catalogue(methods)

    # --- HTTP

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request of a browser."""
        if scope["type"] != "http":
            return
        try:
            status, kind, body = await self._answer(scope, receive)
        except RefusedError as error:
            status, kind, body = error.status, "application/json", _json({"error": str(error)})
        except Exception as error:
            # The text of an internal error may quote the request, so it is masked.
            message = f"The explorer itself failed: {type(error).__name__}: {error}"
            status, kind, body = (
                500,
                "application/json",
                _json({"error": self._relay.secret_registry.mask(message)[:500]}),
            )
        headers = {**self._pages.HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str, bytes]:
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            if key in headers and key in ("host", "origin", "x-explorer-key"):
                raise RefusedError(f"The header {key} stands twice.")
            headers[key] = value.decode("latin-1")
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise RefusedError("This page is for the loopback address alone.", 421)
        place, _, name = scope["path"].removeprefix("/").partition("/")
        if not secrets.compare_digest(place.encode("utf-8", "replace"), self.key.encode()):
            raise RefusedError("Open the address that conform explore has printed: it holds the key.", 403)
        if scope["method"] in ("GET", "HEAD"):
            return self._file(name)
        if scope["method"] != "POST" or name not in self._relay.actions:
            raise RefusedError("There is nothing here of that kind.", 405)
        if headers.get("origin", "").lower() != f"http://{host}":
            raise RefusedError("Only the explorer's own page may call.", 403)
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise RefusedError("Only the explorer's own page may call.", 403)
        if not secrets.compare_digest(headers.get("x-explorer-key", "").encode("latin-1"), self.key.encode()):
            raise RefusedError("The key is missing, or it is that of an earlier start.", 403)
        arguments = await _arguments(receive)
        result = await asyncio.to_thread(self._relay.actions[name], arguments)
        return 200, "application/json", _json(result)

    def _file(self, name: str) -> tuple[int, str, bytes]:
        if name == "":
            return 200, "text/html; charset=utf-8", self._page
        if name == "catalogue.json":
            return 200, "application/json", self._catalogue_file
        if name == "findings.json" and self._findings_file is not None:
            return 200, "application/json", self._findings_file
        found = self._pages.asset(name)
        if found is None:
            raise RefusedError("There is nothing here.", 404)
        return 200, *found


def _described(method: Method, *, implicit: bool) -> Mapping[str, Any]:
    """Return a function in the form that the page reads."""
    described: dict[str, Any] = {
        "name": method.name,
        "description": method.description,
        "params": [
            {
                "name": param.name,
                "required": param.required,
                "schema": param.schema,
                "description": param.description,
            }
            for param in method.params
        ],
    }
    if not implicit:
        described |= {"x-auth": method.auth, "x-effect": method.effect}
    if method.rows is not None:
        described["x-rows"] = method.rows
    return described


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _arguments(receive: Receive) -> Mapping[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RefusedError: the body is not a JSON object, or too long.

    """
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError("The page went away.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_REQUEST_BYTES:
            raise RefusedError(
                f"A call of more than {MAX_REQUEST_BYTES // 1024 // 1024} MB is not passed on.", 413
            )
    try:
        arguments = json.loads(body)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise RefusedError("The page asked in a way that is not understood.")
    return arguments
