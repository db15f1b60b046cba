"""Fetches pages and catalogues over HTTP: redirects, content codings, and the proxies of the environment.

Here a full HTTP client is the right tool, since the bytes of the answer are not judged. A proxy of the environment is
never used for a loopback address, neither for the first address nor for one that it redirects to.
"""

from __future__ import annotations

import re

import httpx

from conformance.protocol.reach import basic_authorization, environment_proxy

__all__ = ["DOWNLOAD_SECONDS", "FetchError", "fetch"]

#: Seconds to wait for the connection, and for each part of the answer.
DOWNLOAD_SECONDS = 30.0
MAX_REDIRECTS = 10


class FetchError(Exception):
    """An address was not fetched; the message says why, without the address."""


class _EnvironmentTransport(httpx.BaseTransport):
    """Sends each request directly, or through the proxy that the environment names for its address."""

    def __init__(self) -> None:
        self._transports: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on the way that fits its host."""
        found = environment_proxy(request.url.scheme, request.url.host)
        proxy = None if found is None else found[1]
        if proxy not in self._transports:
            self._transports[proxy] = httpx.HTTPTransport(proxy=proxy)
        return self._transports[proxy].handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        for transport in self._transports.values():
            transport.close()


def fetch(url: str, *, accept: str, max_bytes: int) -> tuple[bytes, str]:
    """Return the content at an http or https address, and its media type; at most `max_bytes` + 1 bytes are read.

    A user name and a password in the address are sent as Basic authorization to its own origin alone.

    Raises:
        FetchError: it could not be fetched.

    """
    headers = {"User-Agent": "coursio-conform", "Accept": accept}
    content = bytearray()
    try:
        if (basic := basic_authorization(url)) is not None:
            headers["Authorization"] = basic
        bare = re.sub(r"(//)[^/?#]*@", r"\1", url)
        with (
            httpx.Client(
                transport=_EnvironmentTransport(),
                timeout=DOWNLOAD_SECONDS,
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
            ) as client,
            client.stream("GET", bare, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise FetchError(f"was answered {answer.status_code}")
            for part in answer.iter_bytes():
                content += part
                if len(content) > max_bytes:
                    break
            return bytes(content[: max_bytes + 1]), answer.headers.get("Content-Type", "")
    except httpx.TimeoutException:
        raise FetchError(f"cannot be fetched: no answer within {DOWNLOAD_SECONDS:g} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        raise FetchError(f"cannot be fetched: {why}") from None
