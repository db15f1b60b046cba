"""Makes recorded exchanges of the bytes that the forwarding process of `conform watch` reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.wire import MAX_RESPONSE_BYTES, ResponseReader, WireError
from conformance.traffic.frames import Frame, Kind
from conformance.traffic.recorded import Gap, Recorded, is_ordinary

__all__ = ["Assembler"]

#: Bytes of a request that are read; a larger one is not judged.
MAX_REQUEST_BYTES = MAX_RESPONSE_BYTES
_CHUNK = re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n")


@dataclass(slots=True)
class _Connection:
    """The exchange in hand of a connection."""

    began: float | None = None
    sent: list[bytes] = field(default_factory=list)
    size: int = 0
    reader: ResponseReader | None = None
    raw: list[bytes] = field(default_factory=list)
    last: float = 0.0
    exchanges: int = 0
    is_opaque: bool = False


class Assembler:
    """Follows the connections, and yields each exchange when its response is complete."""

    def __init__(self, origin: str) -> None:
        """Take scheme, host and port of the target, as they stand before the path of a URL."""
        self._origin = origin
        self._connections: dict[int, _Connection] = {}
        self._latest = 0.0
        self.begun = 0
        #: Exchanges that are not judged: the client went away, or the bytes cannot be followed.
        self.abandoned = 0
        self.opaque = 0

    def complete_until(self) -> float:
        """Return the time up to which every request that was sent has its response, or never gets it."""
        under_way = (each.began for each in self._connections.values() if each.began is not None)
        return min(under_way, default=self._latest)

    def take(self, frame: Frame) -> Iterator[Recorded]:
        """Take a frame; yield the exchange that it completes."""
        self._latest = frame.at
        if frame.kind is Kind.BEGIN:
            self.begun += 1
        connection = self._connections.get(frame.connection)
        if connection is None:
            connection = self._connections[frame.connection] = _Connection()
        if frame.kind is Kind.CLIENT_CLOSED:
            self.abandoned += connection.began is not None
            del self._connections[frame.connection]
        elif frame.kind in (Kind.LOST, Kind.OPAQUE):
            self._restart(connection)
            connection.is_opaque = frame.kind is Kind.OPAQUE
            self.opaque += connection.is_opaque
        elif not connection.is_opaque:
            yield from self._follow(connection, frame)

    def _restart(self, connection: _Connection) -> None:
        self.abandoned += connection.began is not None
        connection.began, connection.reader, connection.size = None, None, 0
        connection.sent, connection.raw = [], []

    def _follow(self, connection: _Connection, frame: Frame) -> Iterator[Recorded]:
        kind, data = frame.kind, frame.data
        if kind is Kind.BEGIN:
            if connection.began is not None:
                # The next request before the response to this one: which response is whose cannot be followed.
                self._restart(connection)
                connection.is_opaque = True
                self.opaque += 1
                return
            connection.began = frame.at
            connection.exchanges += 1
        if kind in (Kind.BEGIN, Kind.SENT) and connection.began is not None:
            connection.size += len(data)
            if connection.size <= MAX_REQUEST_BYTES:
                connection.sent.append(data)
        elif kind is Kind.RECEIVED and connection.began is not None:
            connection.last = frame.at
            yield from self._received(connection, frame)
        elif kind is Kind.TARGET_CLOSED and connection.began is not None:
            yield from self._closed(connection, frame)
        elif kind is Kind.UNREACHABLE and connection.began is not None:
            yield self._recorded(
                connection, frame, None, Failure("unreachable", data.decode("utf-8", "replace"))
            )

    def _received(self, connection: _Connection, frame: Frame) -> Iterator[Recorded]:
        if connection.reader is None:
            verb = connection.sent[0].partition(b" ")[0].decode("latin-1") if connection.sent else ""
            connection.reader = ResponseReader(verb)
        connection.raw.append(frame.data)
        try:
            if connection.reader.feed(frame.data):
                yield self._recorded(
                    connection, frame, connection.reader.response(b"".join(connection.raw)), None
                )
        except WireError as error:
            yield self._recorded(connection, frame, None, error.failure)
            connection.is_opaque = True

    def _closed(self, connection: _Connection, frame: Frame) -> Iterator[Recorded]:
        if connection.reader is None:
            if connection.exchanges > 1:
                # The target may close an idle connection at any time; clients send such a request again.
                self._restart(connection)
                return
            connection.reader = ResponseReader("")
        try:
            yield self._recorded(connection, frame, connection.reader.at_end(b"".join(connection.raw)), None)
        except WireError as error:
            yield self._recorded(connection, frame, None, error.failure)

    def _recorded(
        self, connection: _Connection, frame: Frame, response: Response | None, failure: Failure | None
    ) -> Recorded:
        """Return the exchange in hand, and make room for the next."""
        began = connection.began or frame.at
        raw = b"".join(connection.sent)
        gaps = {Gap.REQUEST_BODY} if connection.size > MAX_REQUEST_BYTES else set()
        request = _request(raw, self._origin, gaps)
        exchange = Exchange(request, response, failure, seconds=max(0.0, frame.at - began))
        if connection.reader is not None:
            connection.reader.release()
        connection.began, connection.reader, connection.size = None, None, 0
        connection.sent, connection.raw = [], []
        return Recorded(exchange, at=began, connection=str(frame.connection), gaps=frozenset(gaps))


def _request(raw: bytes, origin: str, gaps: set[Gap]) -> Request:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    verb, _, rest = lines[0].decode("latin-1").partition(" ")
    path, _, version = rest.rpartition(" ")
    headers = tuple(
        (name.decode("latin-1").strip(), value.decode("latin-1").strip())
        for name, colon, value in (line.partition(b":") for line in lines[1:])
        if colon
    )
    fields = {name.lower(): value.lower() for name, value in headers}
    if fields.get("transfer-encoding") == "chunked":
        body = _dechunked(body)
    if fields.get("content-encoding", "identity") != "identity":
        gaps.add(Gap.REQUEST_BODY)
    ordinary = (
        version == "HTTP/1.1"
        and b"\r" not in head.replace(b"\r\n", b"")
        and b"\n" not in head.replace(b"\r\n", b"")
        and Gap.REQUEST_BODY not in gaps
        and is_ordinary(headers, body)
    )
    url = path if path.startswith(("http://", "https://")) else f"{origin}{path}"
    return Request(verb, url, headers, body, raw, well_formed=ordinary)


def _dechunked(data: bytes) -> bytes:
    """Return the content of a body in chunks; what is not a chunk ends it."""
    found: list[bytes] = []
    position = 0
    while (line := _CHUNK.match(data, position)) is not None and (size := int(line[1], 16)):
        found.append(data[line.end() : line.end() + size])
        position = line.end() + size + 2
    return b"".join(found)
