"""One exchange: the request sent, the response received, and the time it took.

Every check, record and report reads an `Exchange`. `Exchange.record` is the only way into a file or onto a screen:
it masks the secrets.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.catalog.contract import Contract
from conformance.events import ExchangeRecord, RequestRecord, ResponseRecord
from conformance.protocol.curl import curl_line, netcat_line
from conformance.protocol.redaction import (
    MASK,
    MAX_TYPED_CHARACTERS,
    Redactor,
    SecretRegistry,
    hide_secret_fields,
    is_secret_header,
    is_secret_member,
    search_for,
)
from conformance.protocol.strict_json import JsonText, read_json

__all__ = [
    "Exchange",
    "Failure",
    "Request",
    "Response",
    "field_bytes",
    "one_at_a_time",
]

#: Bytes of a large response's body that are retained after its test.
MAX_RETAINED_BODY_BYTES = 65_536
#: Headers of a response that are retained after its test.
MAX_RETAINED_HEADERS = 500


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was sent. `raw` holds its bytes; `well_formed` says whether COD-2 and ENV-1 apply.

    A well-formed request is strictly HTTP/1.1 and of ordinary size: at most 8 kB of headers and a body of at most
    1 MB (COD-2).
    """

    verb: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = b""
    well_formed: bool = True
    #: Whether the request depends on its exact bytes, so that a curl line cannot repeat it.
    exact: bool = False
    #: Cuts the bytes into packets that are sent with a pause between them; None sends them at once.
    packets: Callable[[bytes], list[bytes]] | None = field(default=None, compare=False, repr=False)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case, or None."""
        return _header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Response:
    """A response: `body` is decoded by its Content-Encoding, `raw` holds the bytes received.

    `length` is the length of the whole body in bytes where only its beginning is retained. `headers_in_all` is the
    number of all headers where only the first are retained.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = b""
    version: str = "HTTP/1.1"
    length: int | None = None
    headers_in_all: int | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case, or None."""
        return _header(self.headers, name)

    def values(self, name: str) -> list[str]:
        """Return all values of a header, whatever its case."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why there is no response.

    `kind` is one of "unreachable" (no connection), "closed" (the connection ended before the response did),
    "timeout" (no complete response before the deadline), "garbled" (the bytes received are not HTTP), "oversize"
    (the body exceeds the client's limit), "withheld" (the request was not sent, see
    `conformance.protocol.ownership`).
    """

    kind: str
    detail: str


class _Large:
    """The last exchange with a large response whose JSON was read.

    A large response takes some hundred megabytes when it is decoded, parsed and masked. Therefore the parsed value
    of only one is retained, and `turn` lets threads process such exchanges one at a time.
    """

    exchange: Exchange | None = None

    def __init__(self) -> None:
        self.turn = threading.RLock()

    def take(self, exchange: Exchange) -> None:
        """Retain the parsed value of this exchange and drop that of the one before."""
        if self.exchange is not None and self.exchange is not exchange:
            self.exchange._json = None
        self.exchange = exchange


_last_large = _Large()


def one_at_a_time(exchange: Exchange) -> contextlib.AbstractContextManager[object]:
    """Return a context that serializes work on exchanges with large responses; others do not wait."""
    return _last_large.turn if exchange.large else contextlib.nullcontext()


@dataclass
class Exchange:
    """A request with its response, or with the failure that says why there is no response."""

    request: Request
    response: Response | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    number: int = 0
    function: str | None = None
    user: str | None = None
    in_session: bool = False
    contract: Contract | None = None
    secret_registry: SecretRegistry | None = None
    login: bool = False
    envelope_extra: frozenset[str] = field(default_factory=frozenset)
    _json: JsonText | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def status(self) -> int | None:
        """The status of the response, or None when there is no response."""
        return self.response.status if self.response else None

    @property
    def large(self) -> bool:
        """Whether the response is too large to process more than one like it at a time."""
        return self.response is not None and len(self.response.body) > 16 * MAX_RETAINED_BODY_BYTES

    @property
    def json(self) -> JsonText:
        """The response's body read as JSON; of large responses only the last value is retained."""
        known = self._json
        if known is None:
            with one_at_a_time(self):
                known = (
                    JsonText(error="no response") if self.response is None else read_json(self.response.body)
                )
                if self.large:
                    _last_large.take(self)
                self._json = known
        return known

    @property
    def coding(self) -> tuple[str, bool] | None:
        """The content coding (RFC 9110, section 8.4) of a body that is not JSON, and whether the request accepts it.

        None when the body is JSON after decoding, or has no coding.
        """
        return None if self.response is None or self.json.error is None else self._content_coding()

    @property
    def unasked_coding(self) -> str | None:
        """The content coding of a body where the request does not accept it; None where there is none."""
        coding = self._content_coding()
        return None if coding is None or coding[1] else coding[0]

    def _content_coding(self) -> tuple[str, bool] | None:
        """Return the content coding of the response, and whether the request accepts it; None if it has none."""
        if self.response is None:
            return None
        names = ",".join(self.response.values("Content-Encoding")).lower().split(",")
        coding = ", ".join(name for name in map(str.strip, names) if name not in ("", "identity"))
        if not coding:
            return None
        field = ",".join(value for name, value in self.request.headers if name.lower() == "accept-encoding")
        accepted = {part.partition(";")[0].strip().lower() for part in field.split(",")}
        return coding, accepted >= set(coding.split(", ")) or "*" in accepted

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The response's envelope: the JSON object in the body, or None when the body is not an object."""
        value = self.json.value
        return value if isinstance(value, dict) else None

    @property
    def data(self) -> Any:
        """The member `data` of the envelope, or None."""
        return (self.envelope or {}).get("data")

    @property
    def message(self) -> Any:
        """The member `errMsg` of the envelope, or None."""
        return (self.envelope or {}).get("errMsg")

    @property
    def is_post(self) -> bool:
        """Whether the request is a call of the protocol: a well-formed POST of ordinary size (COD-2)."""
        return self.request.verb == "POST" and self.request.well_formed

    @property
    def succeeded(self) -> bool:
        """Whether the response reports success: a 2xx status and no `isError: true`."""
        return (
            self.response is not None
            and 200 <= self.response.status < 300
            and (self.envelope or {}).get("isError") is not True
        )

    @property
    def withheld(self) -> bool:
        """Whether the request was not sent, because it could act on an object that the run did not create."""
        return self.failure is not None and self.failure.kind == "withheld"

    def brief(self) -> Exchange:
        """Return the exchange as it is retained: unchanged, or with the beginning of a large response."""
        response = self.response
        if response is None:
            return self
        has_many_headers = len(response.headers) > MAX_RETAINED_HEADERS
        size = len(response.body) + len(response.raw)
        if not has_many_headers and size <= 4 * MAX_RETAINED_BODY_BYTES:
            return self
        body = response.body[:MAX_RETAINED_BODY_BYTES]
        short = replace(response, body=body, raw=b"", length=len(response.body))
        if has_many_headers:
            # Even a short header takes some hundred bytes of memory.
            headers = response.headers[:MAX_RETAINED_HEADERS]
            short = replace(short, headers=headers, headers_in_all=len(response.headers))
        return replace(self, response=short)

    def summary(self) -> str:
        """Return the status and message, or the failure, in a few words."""
        if self.failure:
            outcome = "not sent" if self.withheld else "no answer"
            return f"{outcome}: {self.failure.detail}"
        assert self.response is not None
        message = self.message
        text = f", errMsg {message!r}" if isinstance(message, str) and message else ""
        for secret in self._typed_secrets():
            text = text.replace(secret, MASK)
        return f"status {self.response.status}{text[:160]}"

    def _typed_secrets(self) -> list[str]:
        """Return the secrets in the data of a login, right or wrong, since the response may repeat them."""
        if not self.login:
            return []
        members = self.secret_registry.members if self.secret_registry else frozenset()
        try:
            data = json.loads(self.request.body)["data"]
            given = data.items()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return []
        return [
            value
            for name, value in given
            if isinstance(value, str)
            and len(value) >= 6
            and (
                name.lower().encode("utf-8", "surrogatepass") in members
                or is_secret_member(name.encode("utf-8", "surrogatepass"))
            )
        ][:4]

    def record(self, *, limit: int = 16_384) -> ExchangeRecord:
        """Return the exchange as it may be written down: secrets masked, bodies cut after `limit` bytes."""
        registry = self.secret_registry or SecretRegistry()
        request, response, failure = self.request, self.response, self.failure
        redactor = self._redactor(registry, limit)
        url = _text_bytes(request.url)
        sent = _field_values(request.headers)
        received = _field_values(response.headers) if response else []
        redactor.find(
            [
                url,
                # The value of a secret header is never shown, so it is not searched either.
                *(
                    value
                    for name, value in sent
                    if not is_secret_header(name) and name.lower() not in registry.headers
                ),
                *(value for name, value in received if not is_secret_header(name)),
                request.body[: redactor.window],
                response.body[: redactor.window] if response else b"",
                _text_bytes(failure.detail) if failure else b"",
            ]
        )
        members = registry.members if self.login else None
        body = redactor.body(request.body, members)
        recorded = RequestRecord(
            verb=request.verb,
            url=_readable(redactor.mask(url)),
            headers=_shown_headers(sent, redactor, hidden=registry.headers),
            body=_readable(body),
        )
        answer: ResponseRecord | None = None
        if response is not None:
            answer = ResponseRecord(
                status=response.status,
                headers=_shown_headers(received, redactor, limit, response.headers_in_all),
                body=_readable(redactor.body(response.body, members, response.length)),
                seconds=round(self.seconds, 6),
            )
        reason = None
        if failure is not None:
            reason = f"{failure.kind}: {_readable(redactor.mask(_text_bytes(failure.detail)))}"
        if request.exact or request.packets is not None:
            raw = redactor.body(hide_secret_fields(request.raw, registry.headers), members)
            line = netcat_line(request.url, raw, apart=request.packets is not None, route=registry.route)
        else:
            line = curl_line(recorded, body, registry.route)
        return ExchangeRecord(
            number=self.number,
            function=self.function,
            user=self.user,
            request=recorded,
            response=answer,
            failure=reason,
            curl=line,
        )

    def _redactor(self, registry: SecretRegistry, limit: int) -> Redactor:
        """Return a redactor for the secrets of the run and those that this request carries."""
        searches = [registry.search()]
        token = self.request.header("Token")
        if token and len(token) >= 6 and not registry.knows(token):
            searches.append(search_for(token[:MAX_TYPED_CHARACTERS]))
        searches += [
            search_for(secret[:MAX_TYPED_CHARACTERS])
            for secret in self._typed_secrets()
            if not registry.knows(secret)
        ]
        return Redactor(searches, limit)


def _shown_headers(
    headers: list[tuple[str, bytes]],
    redactor: Redactor,
    room: float = math.inf,
    in_all: int | None = None,
    hidden: Collection[str] = (),
) -> dict[str, str]:
    """Return headers as they are shown: masked, values of one name joined, and at most `room` characters.

    `in_all` is the number of headers that there were, where only the first were retained. `hidden` are further names,
    in lower case, whose values are masked.
    """
    out: dict[str, list[str]] = {}
    count = 0
    for name, value in headers[:MAX_RETAINED_HEADERS]:
        is_hidden = is_secret_header(name) or name.lower() in hidden
        shown = (MASK if value else "") if is_hidden else _readable(redactor.mask(value))
        room -= len(name) + len(shown)
        if room < 0:
            break
        out.setdefault(name, []).append(shown)
        count += 1
    in_all = in_all or len(headers)
    if count < in_all:
        out["…"] = [f"{in_all - count} of {in_all} headers are not shown"]
    return {name: ", ".join(values) for name, values in out.items()}


def _text_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _field_values(headers: Iterable[tuple[str, str]]) -> list[tuple[str, bytes]]:
    """Return headers with their values as bytes on the wire."""
    return [(name, field_bytes(value)) for name, value in headers]


def field_bytes(text: str) -> bytes:
    """Return a part of a message head as bytes: Latin-1, or UTF-8 where Latin-1 cannot encode it."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _readable(data: bytes) -> str:
    """Return bytes as text: UTF-8, with each invalid byte as \\xNN."""
    return data.decode("utf-8", "backslashreplace")


def _header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """Return the first value of a header, whatever its case, or None."""
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None
