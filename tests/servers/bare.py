"""A connection of HTTP in its barest form: whole requests one after the other, whatever they ask for."""

from __future__ import annotations

import asyncio

__all__ = ["BareConnection"]


class BareConnection(asyncio.Protocol):
    """Reads requests from one connection, and calls `asked` for each; `answer` writes a response."""

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        if end and len(rest) >= size:
            self._data = rest[size:]
            self.asked()

    def asked(self) -> None:
        """Answer a request, now or later."""
        raise NotImplementedError

    def answer(self, status: int, body: bytes) -> None:
        """Write a response, unless the client has closed the connection."""
        if isinstance(self._transport, asyncio.WriteTransport) and not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (status, len(body), body)
            )
