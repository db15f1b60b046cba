"""The head of a response, read strictly (RFC 9112): whatever can be read in two ways is refused."""

from __future__ import annotations

import re
from typing import Any

import httptools

from conformance.protocol.wire import MAX_RESPONSE_BYTES, unfolded

__all__ = ["FIELD_LINE", "LENGTH_BY_CHUNKS", "LENGTH_BY_END", "NO_HEAD", "Head", "RefusedError", "too_large"]

#: Stand for the length of a body that the head does not state.
LENGTH_BY_CHUNKS, LENGTH_BY_END = -1, -2

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?")
FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


class RefusedError(Exception):
    """A response that cannot be used; `kind` is one of a `Failure`'s."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Head:
    """The head of a response, read once: how its body is framed, and the verdicts of a validator about it.

    `total` is the size of the whole response in bytes, where the size alone shows that it is complete; otherwise -1.
    """

    __slots__ = (
        "coded",
        "headers",
        "keep",
        "length",
        "raw",
        "size",
        "status",
        "total",
        "verdicts",
        "version",
    )

    def __init__(self, raw: bytes) -> None:
        """Read a head, including the empty line at its end.

        Raises:
            RefusedError: it violates HTTP/1.1.

        """
        self.raw = raw
        self.size = len(raw)
        self.verdicts: dict[Any, Any] = {}
        self.status = 0
        self.version = "1.1"
        self.headers: tuple[tuple[str, str], ...] = ()
        self.coded: tuple[str, ...] = ()
        self.keep = False
        self.length = 0
        self.total = -1
        if raw:
            self._read(raw)

    def _read(self, raw: bytes) -> None:
        raw = unfolded(raw)
        lines = raw[:-4].split(b"\r\n")
        first = _STATUS_LINE.fullmatch(lines[0])
        if first is None:
            raise RefusedError("garbled", f"not an HTTP response: it begins with {lines[0][:40]!r}")
        self.status = status = int(first[2])
        self.version = f"1.{first[1].decode()}"
        fields: list[tuple[str, str]] = []
        for line in lines[1:]:
            field = FIELD_LINE.fullmatch(line)
            if field is None:
                raise RefusedError("garbled", f"not an HTTP response: a header line reads {line[:40]!r}")
            fields.append((field[1].decode(), field[2].rstrip(b" \t").decode("latin-1")))
        self.headers = tuple(fields)
        lengths: list[str] = []
        codings: list[str] = []
        options: list[str] = []
        coded: list[str] = []
        for name, value in fields:
            lowered = name.lower()
            if lowered == "content-length":
                lengths.append(value)
            elif lowered == "transfer-encoding":
                codings += [part.strip().lower() for part in value.split(",")]
            elif lowered in ("connection", "proxy-connection"):
                options += [part.strip().lower() for part in value.split(",")]
            elif lowered == "content-encoding":
                coded += [part.strip().lower() for part in value.split(",")]
        self.coded = tuple(reversed(coded))
        self.keep = "close" not in options and (first[1] == b"1" or "keep-alive" in options)
        self.length = self._body_length(lengths, codings)
        if self.length == LENGTH_BY_END:
            self.keep = False
        plain = self.length >= 0 and self.keep and not self.coded and status >= 200
        self.total = self.size + self.length if plain else -1
        _check_with_llhttp(raw, self)

    def _body_length(self, lengths: list[str], codings: list[str]) -> int:
        """Return the length of the body from Content-Length and Transfer-Encoding (RFC 9112, 6.3)."""
        if codings and lengths:
            raise RefusedError("garbled", "both Content-Length and Transfer-Encoding")
        if len(lengths) > 1:
            raise RefusedError("garbled", "more than one Content-Length")
        length = LENGTH_BY_END
        if lengths:
            if not lengths[0].isascii() or not lengths[0].isdigit():
                raise RefusedError("garbled", f"Content-Length: {lengths[0][:40]!r}")
            if len(lengths[0].lstrip("0")) > 12:
                raise too_large()
            length = int(lengths[0])
        elif codings:
            if codings != ["chunked"]:
                raise RefusedError(
                    "garbled", f"Transfer-Encoding: {', '.join(codings)[:40]!r} is not handled"
                )
            if self.version == "1.0":
                raise RefusedError("garbled", "Transfer-Encoding in an answer of HTTP/1.0")
            length = LENGTH_BY_CHUNKS
        if self.status == 101:
            raise RefusedError("garbled", "101: nobody asked for another protocol")
        if self.status < 200 or self.status in (204, 304):
            return 0
        if length + self.size > MAX_RESPONSE_BYTES:
            raise too_large()
        return length


class _Listener:
    """Records what llhttp reads in a head."""

    def __init__(self) -> None:
        self.heads = 0
        self.body = False

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_body(self, data: bytes) -> None:
        self.body = True


def _check_with_llhttp(raw: bytes, head: Head) -> None:
    """Check that llhttp reads a head alike: where two parsers differ, the end of the body is not known.

    Raises:
        RefusedError: the parser refuses the head, reads another status, or sees its end earlier.

    """
    listener = _Listener()
    parser = httptools.HttpResponseParser(listener)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # Connection: Upgrade in a response other than 101 names another protocol, and changes nothing.
    except httptools.HttpParserError as error:
        raise RefusedError("garbled", f"not an HTTP response: {error}") from None
    if listener.heads != 1 or listener.body or parser.get_status_code() != head.status:
        raise RefusedError("garbled", "not an HTTP response: its head can be read in two ways")


def too_large() -> RefusedError:
    """Return the error for a response beyond the largest size."""
    return RefusedError("oversize", f"the response is larger than {MAX_RESPONSE_BYTES // 1024 // 1024} MB")


#: Stands for the head of a response that is not there.
NO_HEAD = Head(b"")
