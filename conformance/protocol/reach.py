"""Gateways between the suite and its target: HTTP authorization in front of the target, and proxies.

The proxies of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) are never used for a loopback address. A
load connects directly; if its target is not reached and a proxy is set for it, the message says so (`proxy_hint`).
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from urllib.parse import unquote, urlsplit

from conformance.protocol.exchange import Exchange

__all__ = ["authorization_hint", "basic_authorization", "environment_proxy", "proxy_hint", "shown_source"]


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


def environment_proxy(scheme: str, host: str) -> tuple[str, str] | None:
    """Return the variable and the URL of the HTTP proxy that the environment names for a host, or None."""
    name, url = _set_proxy(scheme, host)
    return (name, url) if re.match(r"https?://", url, re.IGNORECASE) else None


def proxy_hint(scheme: str, host: str) -> str:
    """Return a hint, for a host that is not reached directly, that a proxy is set for it; "" if there is none."""
    name, url = _set_proxy(scheme, host)
    if not name:
        return ""
    if not re.match(r"https?://", url, re.IGNORECASE):
        return f" ({name} is set, but not to an http or https proxy: the suite connects directly)"
    return f" ({name} is set, but not used here: this connection goes to the target directly)"


def _set_proxy(scheme: str, host: str) -> tuple[str, str]:
    """Return the variable that names a proxy for a host, and its value as a URL; two empty texts without one."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or _is_loopback(host) or _is_exempt(host):
        return "", ""
    for prefix in (scheme, "all"):
        for name in (f"{prefix}_proxy", f"{prefix}_proxy".upper()):
            # A server of CGI sets HTTP_PROXY from the header Proxy of a request.
            if (value := os.environ.get(name, "").strip()) and not (
                name == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ
            ):
                return name.upper(), value if "://" in value else f"http://{value}"
    return "", ""


def _is_exempt(host: str) -> bool:
    """Return whether NO_PROXY lists a host: by its name, a parent domain, an address, a network, or `*`."""
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    for entry in (each.strip().lower() for each in listed.split(",")):
        name = entry.lstrip("*").lstrip(".").strip("[]") if entry != "*" else entry
        if name == "*" or (name and (host == name or host.endswith("." + name))):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False):
                return True
        except ValueError:
            continue
    return False


def _is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def shown_source(source: str) -> str:
    """Return an address without user name, password and query."""
    return re.sub(r"(//)[^/@]*@", r"\1", source.partition("?")[0]) if "://" in source else source
