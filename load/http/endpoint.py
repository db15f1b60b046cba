"""The endpoint that requests are sent to: its addresses, and how its certificate is verified."""

from __future__ import annotations

import _socket
import ssl
from pathlib import Path
from typing import Any, cast

from conformance.protocol.network import tls_context
from conformance.protocol.reach import proxy_hint
from conformance.protocol.wire import Address

__all__ = ["Endpoint"]


class Endpoint:
    """The addresses of a host, resolved once, and how the server's certificate is verified."""

    def __init__(
        self,
        host: str,
        port: int,
        addresses: tuple[tuple[int, tuple[Any, ...]], ...],
        *,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> None:
        """`addresses` are pairs of family and socket address, in the order in which they are tried."""
        if not addresses:
            raise OSError(f"{host}: the host has no address")
        self.host = host
        self.port = port
        self.addresses = addresses
        self.tls = tls
        self.server_hostname = server_hostname or host
        #: The index of the address that accepted the last connection; the others are tried when it does not.
        self.preferred = 0
        #: Appended to the message where no address accepts a connection.
        self.hint = ""

    @classmethod
    def of(
        cls, url: str, *, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
    ) -> Endpoint:
        """Return the endpoint of a URL; certificates are verified (against `ca`, where it is given).

        `cert` and `key` are the files of the client certificate that is shown to the server.

        Raises:
            OSError: the host cannot be resolved.

        """
        where = Address.of(url)
        tls = None
        if where.scheme == "https":
            tls = tls_context(ca, cert, key)
        hint = proxy_hint(where.scheme, where.host)
        try:
            found = _socket.getaddrinfo(where.host, where.port, type=_socket.SOCK_STREAM)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror or error}{hint}") from error
        pairs = ((int(family), cast("tuple[Any, ...]", address)) for family, _, _, _, address in found)
        made = cls(where.host, where.port, tuple(dict.fromkeys(pairs)), tls=tls)
        made.hint = hint
        return made
