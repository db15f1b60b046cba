"""Shell lines that send a recorded request again, with curl or byte for byte."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from conformance.events import RequestRecord

__all__ = ["Route", "curl_line", "netcat_line"]

#: Headers that curl adds by itself, so the line does not repeat them.
_ADDED_BY_CURL = frozenset({"host", "content-length", "connection", "accept", "user-agent"})


@dataclass(frozen=True)
class Route:
    """How the profile leads to the target: files as they are shown, and a proxy without its password."""

    proxy: str | None = None
    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    uds: str | None = None

    def curl(self) -> list[str]:
        """Return the options of curl."""
        named = (
            ("--proxy", self.proxy),
            ("--cacert", self.ca),
            ("--cert", self.cert),
            ("--key", self.key),
            ("--unix-socket", self.uds),
        )
        return [part for option, value in named if value for part in (option, shlex.quote(value))]

    def openssl(self) -> list[str]:
        """Return the options of `openssl s_client`."""
        named = (("-CAfile", self.ca), ("-cert", self.cert), ("-key", self.key))
        return [part for option, value in named if value for part in (option, shlex.quote(value))]


#: The way to a target of which the profile says nothing.
DIRECT = Route()


def curl_line(request: RequestRecord, body: bytes, route: Route = DIRECT) -> str:
    """Return a curl line that sends a recorded (masked) request again."""
    names = {name.lower() for name in request.headers}
    verb, url = request.verb, request.url
    has_body = bool(body) or "content-length" in names or "transfer-encoding" in names
    parts = ["curl", "-sS", *route.curl()]
    if verb == "HEAD" and not has_body:
        parts.append("--head")
    elif verb == "HEAD":
        # When it sends a body, curl also waits for one in the response, which a HEAD request never gets.
        parts += ["-X", "HEAD", "--max-time", "5"]
    elif verb != ("POST" if has_body else "GET"):
        parts += ["-X", shlex.quote(verb)]
    path = url.partition("://")[2]
    if "/." in path or "//" in path or "/%2" in path:
        parts.append("--path-as-is")
    if any(mark in path for mark in "[]{}"):
        parts.append("--globoff")
    parts.append(shlex.quote(url))
    for name, value in request.headers.items():
        if name.lower() not in _ADDED_BY_CURL:
            # curl drops a header that has a name and no value unless it ends with a semicolon.
            parts += ["-H", shlex.quote(f"{name}: {value}" if value else f"{name};")]
    if not has_body:
        return " ".join(parts)
    if "content-type" not in names:
        parts += ["-H", "'Content-Type:'"]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # An argument of a command cannot contain these bytes.
        return f"printf {_octal(body)} | {' '.join([*parts, '--data-binary', '@-'])}"
    return " ".join([*parts, "--data-raw", shlex.quote(text)])


def netcat_line(url: str, raw: bytes, *, apart: bool = False, route: Route = DIRECT) -> str:
    """Return a line that sends the exact (masked) bytes of a request and prints the response.

    With `apart` the head and the body are sent one after the other.
    """
    head, gap, body = raw.partition(b"\r\n\r\n")
    sent = f"printf {_octal(raw)}"
    if apart and body:
        sent = f"(printf {_octal(head + gap)}; sleep 1; printf {_octal(body)})"
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        address = shlex.quote(f"{f'[{host}]' if ':' in host else host}:{parts.port or 443}")
        return f"{sent} | {' '.join(['openssl s_client -quiet', *route.openssl(), '-connect', address])}"
    if route.uds:
        return f"{sent} | nc -U {shlex.quote(route.uds)}"
    return f"{sent} | nc {shlex.quote(host)} {parts.port or 80}"


def _octal(data: bytes) -> str:
    """Return bytes as a quoted argument of `printf`, with octal escapes."""
    plain = frozenset(range(32, 127)) - frozenset(b"%'\\")
    return (
        "'"
        + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in data).replace("\\045", "%%")
        + "'"
    )
