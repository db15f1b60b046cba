"""Base URLs of targets: reading, checking and comparing their hosts."""

from __future__ import annotations

import ipaddress
import re
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit, urlunsplit

import idna

from conformance.errors import UsageError
from conformance.protocol.reach import basic_authorization

__all__ = ["base_url", "host_and_port", "is_loopback_host", "is_valid_host", "plain_host"]


def base_url(text: str, where: str) -> str:
    """Return a base URL in its normal form: scheme and host in lower case, ending in "/".

    Raises:
        UsageError: it is not an http or https URL with a host, or has a query or a fragment. The message begins
            with `where`.

    """
    text = text.strip()

    def wrong(why: str) -> NoReturn:
        raise UsageError(f"{where}: {_masked_url(text)!r} {why}")

    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        wrong("is no URL: it has white space, a backslash or a control character in it")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname
    except ValueError as error:
        wrong(f"is no URL: {error}")
    if parts.scheme.lower() not in ("http", "https"):
        wrong("must begin with http:// or https://")
    if not host or not is_valid_host(host):
        wrong("has no host, or none that can be: write it as https://host/api/")
    if port == 0:
        wrong("has port 0: give the port the target listens on, 1 to 65535")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        wrong("must end with its path: leave out the query and the fragment")
    try:
        basic_authorization(text)
    except ValueError as error:
        wrong(str(error))
    login, at, _ = parts.netloc.rpartition("@")
    netloc = login + at + (f"[{host}]" if ":" in host else host.lower()) + (f":{port}" if port else "")
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return urlunsplit(SplitResult(parts.scheme.lower(), netloc, path, "", ""))


def _masked_url(text: str) -> str:
    """Return a URL with its password masked."""
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", text)


def plain_host(host: str) -> str:
    """Return a host in its normal form: lower-case ASCII (IDNA), without brackets and trailing dot."""
    host = host.strip("[]").rstrip(".。．｡").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return host


def is_valid_host(host: str) -> bool:
    """Return whether a text is an IP address or can be the name of a host."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Strictly, a host name has no underscores, but container networks use them.
        return bool(re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", plain_host(host)))
    return True


def is_loopback_host(host: str) -> bool:
    """Return whether a host is localhost or a loopback address."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def host_and_port(listed: str) -> tuple[str, int | None]:
    """Return the host and the port of `host` or `host:port`; the port is None if it is not given."""
    try:
        return str(ipaddress.ip_address(listed.strip("[]"))), None
    except ValueError:
        parts = urlsplit(f"//{listed}")
        return plain_host(parts.hostname or ""), parts.port
