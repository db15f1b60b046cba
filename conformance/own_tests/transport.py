"""The fixture `httpx_client`: httpx over the suite's own connections, so that every exchange is recorded and judged."""

from __future__ import annotations

from typing import Any

import httpx

from conformance.engine.runner import Run
from conformance.own_tests.run import method_of
from conformance.protocol.transport import WireTransport

__all__ = ["RunTransport", "client_of"]


class RunTransport(WireTransport):
    """Sends the requests of an httpx client over the connections of a run, which records and judges them."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.client)
        self._run = run

    def options(self, request: httpx.Request, path: str, body: bytes) -> dict[str, Any]:
        """Return the function that a request calls, and the session that it is sent in."""
        run = self._run
        token = request.headers.get("Token")
        session = run.sessions.known(token) if token else None
        name = method_of(run, path, body)
        method = run.catalog.methods.get(name)
        return {
            "function": run.caller.label(name),
            "user": session.user if session is not None else None,
            "in_session": session is not None,
            "contract": method.contract if method is not None else None,
            "login": name in run.caller.logins,
        }

    def close(self) -> None:
        """Leave the connections of the run open."""


def client_of(run: Run) -> httpx.Client:
    """Return a client whose base URL is the target's; its timeout is that of the profile."""
    return httpx.Client(base_url=run.profile.shown_url, transport=RunTransport(run))
