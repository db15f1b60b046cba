"""The way to a target: proxy, certificates, HTTP/2 and Unix sockets."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.errors import UsageError
from conformance.protocol.reach import environment_proxy

if TYPE_CHECKING:
    from conformance.protocol.profile import Target

__all__ = ["Network", "UnsendableError", "tls_context"]


class UnsendableError(Exception):
    """A request cannot be sent on the way that the profile asks for; the message says why."""


def tls_context(ca: Path | None, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return the TLS settings of a client: certificates to trust (`ca`), and its own certificate and key.

    Raises:
        UsageError: a file cannot be used. The message begins with the key of the profile.

    """
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"ca: {ca} cannot be used: {_reason(error)}: give a PEM file of certificates"
        ) from None
    if cert is None:
        return context
    try:
        # An encrypted key would ask for its password in the terminal.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as error:
        why = _reason(error)
        if "mismatch" in why:
            raise UsageError(f"key: {key or cert} is not the key of the certificate {cert}") from None
        files = f"{cert} and {key}" if key else f"{cert} (the key belongs into it, or into key)"
        raise UsageError(
            f"cert: {files} cannot be used: {why}: give PEM files, the key without a password"
        ) from None
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is not a PEM file").lower().replace("_", " ")
    return (getattr(error, "strerror", None) or str(error)).lower()


@dataclass(frozen=True)
class Network:
    """How connections to a target are made."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    http2: bool = False
    uds: Path | None = None

    @classmethod
    def of(cls, target: Target, *, environment: bool = True) -> Network:
        """Return what a profile says; with `environment` a proxy of the environment is used where it names none."""
        proxy = target.proxy
        if proxy is None and environment and target.uds is None and target.url is not None:
            parts = urlsplit(target.url)
            found = environment_proxy(parts.scheme, parts.hostname or "")
            proxy = None if found is None else found[1]
        return cls(target.ca, target.cert, target.key, proxy, target.http2, target.uds)

    @property
    def needs_library(self) -> bool:
        """Whether the wire module cannot speak to the target."""
        return self.proxy is not None or self.http2 or self.uds is not None

    @property
    def way(self) -> str:
        """The way in words, without secrets."""
        if self.proxy is not None:
            parts = urlsplit(self.proxy)
            return (
                f"through the proxy {parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
            )
        return f"through the socket {self.uds}" if self.uds is not None else "over HTTP/2"

    def tls(self, *, http2: bool = False) -> ssl.SSLContext:
        """Return the TLS settings, with HTTP/2 offered if it is wanted."""
        context = tls_context(self.ca, self.cert, self.key)
        if http2:
            context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def tls_asks(self, error: Exception) -> bool:
        """Return whether an error says that the target asks for a certificate that it did not get."""
        return bool(
            re.search(
                r"certificate required|bad certificate|unknown ca", str(error).lower().replace("_", " ")
            )
        )
