"""Writes recorded exchanges as HAR 1.2, one by one: the file is complete after each."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from conformance import __version__
from conformance.errors import UsageError
from conformance.events import ExchangeRecord
from conformance.protocol.exchange import Exchange
from conformance.traffic.recorded import Recorded

__all__ = ["HarWriter"]

#: Bytes of a body that a masked HAR has.
MAX_BODY_BYTES = 4 * 1024 * 1024
_TAIL = b"\n]}}\n"


class HarWriter:
    """A HAR file that grows. Secrets are masked, unless it is `raw`."""

    def __init__(self, path: Path, *, raw: bool) -> None:
        """Open the file.

        Raises:
            UsageError: it cannot be written.

        """
        self._raw = raw
        self._is_first = True
        creator = {"name": "conform watch", "version": __version__}
        head = {"log": {"version": "1.2", "creator": creator, "entries": []}}
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise UsageError(f"--har {path}: {error.strerror}") from None
        self._file.write(json.dumps(head).encode().removesuffix(b"]}}") + _TAIL)
        self._file.flush()

    def write(self, recorded: Recorded) -> None:
        """Add an exchange; one without a response has the status 0."""
        entry = json.dumps(self._entry(recorded), ensure_ascii=True).encode()
        self._file.seek(-len(_TAIL), 2)
        self._file.write((b"\n" if self._is_first else b",\n") + entry + _TAIL)
        self._is_first = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _entry(self, recorded: Recorded) -> dict[str, Any]:
        exchange = recorded.exchange
        at = dt.datetime.fromtimestamp(recorded.at or 0.0, dt.UTC)
        milliseconds = round(exchange.seconds * 1000, 3)
        request, response = _raw_messages(exchange) if self._raw else _masked_messages(exchange)
        return {
            "startedDateTime": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "time": milliseconds,
            "request": request,
            "response": response,
            "cache": {},
            "timings": {"send": 0, "wait": milliseconds, "receive": 0},
            "connection": recorded.connection or "",
        }


def _masked_messages(exchange: Exchange) -> tuple[dict[str, Any], dict[str, Any]]:
    record: ExchangeRecord = exchange.record(limit=MAX_BODY_BYTES)
    sent = list(record.request.headers.items())
    request = _request(record.request.verb, record.request.url, sent, {"text": record.request.body})
    if record.response is None:
        return request, _response(exchange, [], {"size": 0, "text": ""})
    received = list(record.response.headers.items())
    body = record.response.body
    return request, _response(
        exchange, received, {"size": len(body.encode("utf-8", "replace")), "text": body}
    )


def _raw_messages(exchange: Exchange) -> tuple[dict[str, Any], dict[str, Any]]:
    sent = exchange.request
    request = _request(sent.verb, sent.url, list(sent.headers), _content(sent.body))
    response = exchange.response
    if response is None:
        return request, _response(exchange, [], {"size": 0, "text": ""})
    return request, _response(
        exchange, list(response.headers), {"size": len(response.body), **_content(response.body)}
    )


def _content(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}


def _request(verb: str, url: str, headers: list[tuple[str, str]], content: dict[str, str]) -> dict[str, Any]:
    message = {
        "method": verb,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _named(headers),
        "queryString": _named(parse_qsl(urlsplit(url).query, keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": len(content["text"]),
    }
    if content["text"]:
        message["postData"] = {"mimeType": _value(headers, "content-type"), **content}
    return message


def _response(exchange: Exchange, headers: list[tuple[str, str]], content: dict[str, Any]) -> dict[str, Any]:
    response = exchange.response
    return {
        "status": response.status if response is not None else 0,
        "statusText": "",
        "httpVersion": response.version if response is not None else "",
        "cookies": [],
        "headers": _named(headers),
        "content": {"mimeType": _value(headers, "content-type"), **content},
        "redirectURL": _value(headers, "location"),
        "headersSize": -1,
        "bodySize": -1,
        **({"_error": exchange.failure.detail} if exchange.failure is not None else {}),
    }


def _named(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _value(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")
