"""Gateways between the suite and its target: HTTP authorization in front of the target, and proxies.

Every command connects to the target directly and ignores HTTP_PROXY, HTTPS_PROXY and NO_PROXY. If a target is not
reached and a proxy is set for it, the message says so (`proxy_hint`).
"""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from urllib.parse import unquote, urlsplit

from conformance.protocol.exchange import Exchange

__all__ = ["authorization_hint", "basic_authorization", "proxy_hint"]


def basic_authorization(url: str) -> str | None:
    """Return the value of Authorization for the user name and password in a URL (RFC 7617); None without them.

    Raises:
        ValueError: the name contains a colon, which Basic authorization cannot carry.

    """
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return None
    name, _, password = login.partition(":")
    if ":" in unquote(name):
        raise ValueError("has a name with a colon in it, which Basic authorization cannot carry")
    return "Basic " + base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()


def authorization_hint(exchange: Exchange) -> str:
    """Return a hint that a gateway asks for HTTP authorization, to append to a summary; "" if it does not.

    A target of this protocol never sends WWW-Authenticate, so the header comes from a gateway in front of it.
    """
    if exchange.status != 401 or exchange.response is None:
        return ""
    challenge = exchange.response.header("WWW-Authenticate")
    if not challenge:
        return ""
    scheme = challenge.split(None, 1)[0].rstrip(",")
    how = (
        "write the URL as https://USER:PASSWORD@host/, or add Authorization to headers in [target]"
        if scheme.lower() == "basic"
        else "add Authorization to headers in [target]"
    )
    return f"; a gate before it asks for {scheme} authorization (WWW-Authenticate: {challenge[:80]}): {how}"


def proxy_hint(scheme: str, host: str) -> str:
    """Return a hint, for a host that is not reached, that a proxy is set for it; "" if there is none."""
    if host == "localhost" or _is_loopback(host):
        return ""
    proxies = urllib.request.getproxies_environment()
    name = scheme if scheme in proxies else "all"
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if name not in proxies or bypass(host, proxies):
        return ""
    variable = f"{name.upper()}_PROXY"
    return f" ({variable} is set, but proxies are not supported: the suite connects to its target directly)"


def _is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
