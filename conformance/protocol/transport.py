"""The wire module in the shape of an httpx transport: any httpx client sends its requests over the suite's client."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.network import UnsendableError
from conformance.protocol.ownership import UnownedTargetError

__all__ = ["WireTransport"]

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
    """Sends the requests of an httpx client over a `Client`, to its target alone.

    Each response has its exchange, with the bytes of both directions, in `response.extensions["exchange"]`.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def options(self, request: httpx.Request, path: str, body: bytes) -> dict[str, Any]:
        """Return further arguments of `Client.send` for a request."""
        return {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the target, and return the answer; raise httpx's own errors where there is none."""
        address = self._client.address
        origin = (request.url.scheme, request.url.host, request.url.port or _default_port(request.url.scheme))
        if origin != (address.scheme, _host(address.authority), address.port):
            raise httpx.UnsupportedProtocol(
                f"{request.url.host} is not the target: this client calls it alone"
            )
        path = request.url.raw_path.decode("ascii")
        body = request.read()
        headers = [
            (key.decode("latin-1"), value.decode("latin-1"))
            for key, value in request.headers.raw
            if key.decode("latin-1").lower() not in _SET_BY_CLIENT
        ]
        try:
            exchange = self._client.send(
                path,
                body,
                verb=request.method,
                headers=headers,
                content_type=None,
                **self.options(request, path, body),
            )
        except (UnownedTargetError, UnsendableError) as error:
            raise httpx.UnsupportedProtocol(f"not sent: {error}", request=request) from error
        return _response(exchange, request)

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()


def _response(exchange: Exchange, request: httpx.Request) -> httpx.Response:
    """Return the response of an exchange as one of httpx."""
    if exchange.response is None:
        failure = exchange.failure
        kind, detail = ("closed", "") if failure is None else (failure.kind, failure.detail)
        raise _ERRORS.get(kind, httpx.ReadError)(f"{kind}: {detail}", request=request)
    answer = exchange.response
    shown = [(key, value) for key, value in answer.headers if key.lower() not in _OF_CODED_BODY]
    return httpx.Response(
        answer.status,
        headers=shown,
        content=answer.body,
        request=request,
        extensions={"http_version": answer.version.encode(), "exchange": exchange},
    )


def _host(authority: str) -> str | None:
    return urlsplit(f"//{authority}").hostname


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
