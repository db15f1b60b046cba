"""HAR 1.2: reads what browsers, proxies and test tools save as recorded exchanges.

The members that tools leave out or fill in their own way are read with tolerance; what the file does not have of an
exchange is one of its gaps. Only a file that is not a HAR is refused.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.errors import UsageError
from conformance.protocol.exchange import Exchange, Request, Response
from conformance.traffic.recorded import Gap, Recorded, is_ordinary

__all__ = ["read_har"]

#: Headers that describe how a body was sent. A HAR has the body after it was decoded.
_TRANSFER_HEADERS = frozenset({"transfer-encoding", "content-encoding"})
#: Statuses whose responses have no body.
_WITHOUT_BODY = frozenset({204, 205, 304})
_FRACTION = re.compile(r"(\.\d{6})\d+")


class _EntryError(Exception):
    """A member is missing or has another type; the message begins with its JSON pointer."""


def read_har(path: Path, content: bytes, passed: Counter[str]) -> Iterator[Recorded]:
    """Yield the exchanges of a HAR in their order; count in `passed` the entries that are none, by the reason.

    Raises:
        UsageError: the file is not a HAR; one line says where and what is wrong.

    """
    entries = _entries(path, content)
    for index, entry in enumerate(entries):
        try:
            recorded = _recorded(entry, f"/log/entries/{index}", passed)
        except _EntryError as error:
            raise UsageError(f"{path}: {error}: this is not a HAR as tools save it") from None
        if recorded is not None:
            recorded.source, recorded.place = str(path), index + 1
            yield recorded


def _entries(path: Path, content: bytes) -> list[Any]:
    """Return the entries of a HAR. Raises UsageError."""
    try:
        document = json.loads(content)
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is neither a HAR nor the log of a run: it is not a text") from None
    except json.JSONDecodeError as error:
        end = error.pos >= len(error.doc.rstrip())
        hint = ": the file ends too early; save it again" if end else ""
        raise UsageError(
            f"{path}: line {error.lineno}, column {error.colno}: is not JSON ({error.msg}){hint}"
        ) from None
    except RecursionError:
        raise UsageError(f"{path}: is nested too deep for a HAR") from None
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise UsageError(f"{path}: is not a HAR: it has no list /log/entries")
    return entries


def _recorded(entry: Any, pointer: str, passed: Counter[str]) -> Recorded | None:
    """Return the exchange of an entry; None if it has no response of the server."""
    entry = _object(entry, pointer)
    sent = _object(entry.get("request"), f"{pointer}/request")
    url, verb = sent.get("url"), sent.get("method")
    if not isinstance(url, str) or not url:
        raise _EntryError(f"{pointer}/request/url: is missing or is not a text")
    if not isinstance(verb, str) or not verb:
        raise _EntryError(f"{pointer}/request/method: is missing or is not a text")
    if not url.lower().startswith(("http://", "https://")):
        passed["not HTTP (data:, blob:, ws: and the like)"] += 1
        return None
    received = _object(entry.get("response") or {}, f"{pointer}/response")
    status = received.get("status")
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 999:
        passed["no response (blocked, cancelled, or not sent)"] += 1
        return None
    if status == 101:
        passed["WebSockets and other upgrades"] += 1
        return None
    if entry.get("_fromCache") or entry.get("fromCache") or received.get("_fetchedViaServiceWorker"):
        passed["answered by the browser's cache"] += 1
        return None
    gaps = {Gap.BYTES}
    request = _request(sent, verb, url, gaps, f"{pointer}/request")
    response = _response(received, status, request, gaps, f"{pointer}/response")
    milliseconds = entry.get("time")
    seconds = milliseconds / 1000 if isinstance(milliseconds, int | float) and milliseconds > 0 else 0.0
    connection = entry.get("connection")
    return Recorded(
        Exchange(request, response, seconds=seconds),
        at=_time(entry.get("startedDateTime")),
        connection=str(connection) if connection else None,
        gaps=frozenset(gaps),
    )


def _object(value: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _EntryError(f"{pointer}: is {'missing' if value is None else 'not an object'}")
    return value


def _headers(message: dict[str, Any], pointer: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of a message, without the pseudo-headers of HTTP/2; one value with line breaks is several."""
    listed = message.get("headers") or []
    if not isinstance(listed, list):
        raise _EntryError(f"{pointer}/headers: is not a list")
    found = []
    for each in listed:
        name, value = (each.get("name"), each.get("value")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not name or name.startswith(":"):
            continue
        text = value if isinstance(value, str) else "" if value is None else str(value)
        found += [(name, part) for part in text.split("\n")]
    return tuple(found)


def _length(headers: tuple[tuple[str, str], ...]) -> int | None:
    """Return the value of Content-Length; None if there is none."""
    for name, value in headers:
        if name.lower() == "content-length" and value.strip().isdecimal():
            return int(value)
    return None


def _request(sent: dict[str, Any], verb: str, url: str, gaps: set[Gap], pointer: str) -> Request:
    headers = _headers(sent, pointer)
    if not headers:
        gaps.add(Gap.REQUEST_HEADERS)
    posted = sent.get("postData")
    posted = posted if isinstance(posted, dict) else {}
    body = _text(posted)
    if body is None:
        body = b""
        size = sent.get("bodySize")
        says_more = isinstance(size, int) and size > 0
        if says_more or posted or _length(headers) or verb in ("POST", "PUT", "PATCH"):
            gaps.add(Gap.REQUEST_BODY)
    url = url.partition("#")[0]
    # What is HTTP/2 on the wire is judged as the same call.
    return Request(verb.upper(), url, headers, body, well_formed=is_ordinary(headers, body))


def _response(
    received: dict[str, Any], status: int, request: Request, gaps: set[Gap], pointer: str
) -> Response:
    headers = _headers(received, pointer)
    if not headers:
        gaps.add(Gap.RESPONSE_HEADERS)
    content = received.get("content")
    content = content if isinstance(content, dict) else {}
    body = _text(content)
    length = _length(headers)
    encoded = any(name.lower() == "content-encoding" for name, _ in headers)
    says_more = any(
        isinstance(size, int) and size > 0 for size in (content.get("size"), received.get("bodySize"), length)
    )
    if body is None:
        # Tools leave the text out where there is no body, and also where they did not keep it.
        body = b""
        if request.verb != "HEAD" and status not in _WITHOUT_BODY and length != 0:
            gaps.add(Gap.RESPONSE_BODY)
    elif (not body and says_more) or _is_cut(content, body, None if encoded else length):
        body = b""
        gaps.add(Gap.RESPONSE_BODY)
    asked = any(name.lower() == "accept-encoding" for name, _ in request.headers)
    # The body is shown decoded. Whether its coding was asked for is known only where the request shows it.
    shown = tuple(pair for pair in headers if asked or pair[0].lower() not in _TRANSFER_HEADERS)
    return Response(status, shown, body, version=str(received.get("httpVersion") or "HTTP/1.1"))


def _is_cut(content: dict[str, Any], body: bytes, length: int | None) -> bool:
    """Return whether a text is only the beginning of the body."""
    if (
        content.get("truncated")
        or content.get("_truncated")
        or "truncated" in str(content.get("comment") or "")
    ):
        return True
    size = content.get("size")
    # Tools count bytes or characters, before or after decoding: only a clear difference counts.
    wholes = [each for each in (size, length) if isinstance(each, int) and each > 0]
    return bool(wholes) and len(body) < min(wholes) // 2


def _text(holder: dict[str, Any]) -> bytes | None:
    """Return the bytes of a text, which may be base64; None if there is none."""
    text = holder.get("text")
    if not isinstance(text, str):
        return None
    if str(holder.get("encoding") or holder.get("_encoding") or "").lower() == "base64":
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            return None
    return text.encode("utf-8", "surrogatepass")


def _time(text: Any) -> float | None:
    """Return an ISO time in seconds since the epoch; None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(_FRACTION.sub(r"\1", text.strip()))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
