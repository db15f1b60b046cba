"""Recorded exchanges: what a capture has of a request and its response, and what it does not have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from conformance.protocol.exchange import Exchange, Request
from conformance.protocol.redaction import MASK
from conformance.protocol.strict_json import JsonText, read_json

__all__ = [
    "MAX_ORDINARY_BODY_BYTES",
    "MAX_ORDINARY_HEAD_BYTES",
    "Gap",
    "Recorded",
    "is_masked",
    "is_ordinary",
]

#: A larger request is not judged as an ordinary one (COD-2).
MAX_ORDINARY_HEAD_BYTES = 8_000
MAX_ORDINARY_BODY_BYTES = 1_000_000

#: Texts that a tool writes in place of a secret.
_PLACEHOLDER = re.compile(
    r"\W*(redacted|masked|removed|hidden|filtered|secret|sanitized|omitted|scrubbed|token|null|undefined|[x*.•_-]+)?\W*",
    re.IGNORECASE,
)


class Gap(StrEnum):
    """Something that the capture does not have of an exchange; the value says what, in a reason."""

    REQUEST_BODY = "the body of the request"
    RESPONSE_BODY = "the body of the response"
    REQUEST_HEADERS = "the headers of the request"
    RESPONSE_HEADERS = "the headers of the response"
    SECRETS = "the values of secrets, which are masked"
    BYTES = "the bytes as they were sent (order of headers, chunks, character encoding)"


@dataclass(slots=True, eq=False)
class Recorded:
    """One exchange of a capture.

    `exchange` is what the rules check; its `function` is known once the base URL is. `at` is the time at which the
    request was sent, in seconds since the epoch. `connection` distinguishes connections. `gaps` is what the capture
    does not have. `source` is the file, and `place` the number of the exchange in it, from 1 on.
    """

    exchange: Exchange
    at: float | None = None
    connection: str | None = None
    source: str = ""
    place: int = 0
    gaps: frozenset[Gap] = frozenset()
    _sent: JsonText | None = field(default=None, repr=False)

    @property
    def request(self) -> Request:
        """The request."""
        return self.exchange.request

    @property
    def function(self) -> str | None:
        """The function that was called, as `entity.name`; None if it is not known."""
        return self.exchange.function

    @property
    def ended(self) -> float | None:
        """The time at which the response had come, in seconds since the epoch."""
        return None if self.at is None else self.at + self.exchange.seconds

    @property
    def accepted(self) -> bool:
        """Whether the target did what was asked for: status 200, and an envelope with `isError: false`."""
        envelope = self.exchange.envelope
        return self.exchange.status == 200 and envelope is not None and envelope.get("isError") is False

    @property
    def token(self) -> str | None:
        """The value of the header Token; None if there is none, or its value is masked."""
        value = self.request.header("Token")
        return None if value is None or is_masked(value) else value

    @property
    def has_token(self) -> bool:
        """Whether the request has a token, even one whose value is masked."""
        return bool(self.request.header("Token"))

    @property
    def sent(self) -> JsonText:
        """The body of the request, read as JSON."""
        known = self._sent
        if known is None:
            body = self.request.body
            lacks = Gap.REQUEST_BODY in self.gaps
            known = self._sent = JsonText(error="not in the capture") if lacks else read_json(body)
        return known

    @property
    def call(self) -> dict[str, Any]:
        """The request as a call: an object with `method` and perhaps `data`, `pageStart`, `pageLength`; else empty."""
        value = self.sent.value
        return value if isinstance(value, dict) else {}

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the call; empty if there are none."""
        data = self.call.get("data")
        return data if isinstance(data, dict) else {}

    def name_function(self, base_url: str) -> None:
        """Set the function from the path below the base URL and the member `method`."""
        entity = entity_of(self.request.url, base_url)
        method = self.call.get("method")
        if entity and isinstance(method, str) and method:
            self.exchange.function = f"{entity}.{method}"


def entity_of(url: str, base_url: str) -> str | None:
    """Return what follows the base URL in a URL, without query; None if the URL is not below it."""
    if origin_of(url) != origin_of(base_url):
        return None
    path, base = urlsplit(url).path or "/", urlsplit(base_url).path or "/"
    if not path.startswith(base):
        return None
    return path[len(base) :]


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL.

    Raises:
        ValueError: it has an invalid port or host.

    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


def is_masked(value: str) -> bool:
    """Return whether a text stands for a secret that a tool has masked."""
    return MASK in value or _PLACEHOLDER.fullmatch(value) is not None


def is_ordinary(headers: Sequence[tuple[str, str]], body: bytes) -> bool:
    """Return whether a request is of ordinary size (COD-2)."""
    size = sum(len(name) + len(value) + 4 for name, value in headers)
    return size <= MAX_ORDINARY_HEAD_BYTES and len(body) <= MAX_ORDINARY_BODY_BYTES
