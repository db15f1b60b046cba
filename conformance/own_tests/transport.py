"""The fixture `httpx_client`: httpx over the suite's own connections, so that every exchange is recorded and judged."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from conformance.engine.runner import Run
from conformance.own_tests.run import method_of
from conformance.protocol.ownership import UnownedTargetError

__all__ = ["WireTransport", "client_of"]

#: Headers that the client of the suite sets itself, or does not support.
_SET_BY_CLIENT = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
#: Headers that describe bytes which the suite has decoded already.
_OF_CODED_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})

_ERRORS: dict[str, type[httpx.TransportError]] = {
    "unreachable": httpx.ConnectError,
    "timeout": httpx.ReadTimeout,
    "closed": httpx.RemoteProtocolError,
    "garbled": httpx.RemoteProtocolError,
}


class WireTransport(httpx.BaseTransport):
    """Sends the requests of an httpx client over the connections of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the target, and return the answer; raise httpx's own errors where there is none."""
        run = self._run
        address = urlsplit(run.client.address.scheme + "://" + run.client.address.authority)
        origin = (request.url.scheme, request.url.host, request.url.port or _default_port(request.url.scheme))
        if origin != (address.scheme, address.hostname, address.port or _default_port(address.scheme)):
            raise httpx.UnsupportedProtocol(
                f"{request.url.host} is not the target: this client calls it alone"
            )
        path = request.url.raw_path.decode("ascii")
        body = request.read()
        token = request.headers.get("Token")
        session = run.sessions.known(token) if token else None
        name = method_of(run, path, body)
        method = run.catalog.methods.get(name)
        headers = [
            (key.decode("latin-1"), value.decode("latin-1"))
            for key, value in request.headers.raw
            if key.decode("latin-1").lower() not in _SET_BY_CLIENT
        ]
        try:
            exchange = run.client.send(
                path,
                body,
                verb=request.method,
                headers=headers,
                content_type=None,
                function=run.caller.label(name),
                user=session.user if session is not None else None,
                in_session=session is not None,
                contract=method.contract if method is not None else None,
                login=name in run.caller.logins,
            )
        except UnownedTargetError as error:
            raise httpx.UnsupportedProtocol(f"not sent: {error}", request=request) from error
        if exchange.response is None:
            failure = exchange.failure
            kind, detail = ("closed", "") if failure is None else (failure.kind, failure.detail)
            raise _ERRORS.get(kind, httpx.ReadError)(f"{kind}: {detail}", request=request)
        answer = exchange.response
        shown = [(key, value) for key, value in answer.headers if key.lower() not in _OF_CODED_BODY]
        return httpx.Response(answer.status, headers=shown, content=answer.body, request=request)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def client_of(run: Run) -> httpx.Client:
    """Return a client whose base URL is the target's; its timeout is that of the profile."""
    return httpx.Client(base_url=run.profile.shown_url, transport=WireTransport(run))
