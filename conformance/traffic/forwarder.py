"""The forwarding process of `conform watch`: passes bytes between clients and the target, and reports them.

It runs as `python -m conformance.traffic.forwarder` with its settings as a line of JSON on standard input, and ends
when standard input does. It reads nothing but where requests begin and end; judging is another process's work. What it
reports is buffered up to a limit, beyond which it drops and counts, so that forwarding never waits for judging.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import ssl
import sys
import time
from collections import deque
from typing import Any

from conformance.traffic.frames import Counters, Kind, pack
from conformance.traffic.request_framing import RequestFraming

#: Bytes that wait for the judging process, at most.
MAX_WAITING_BYTES = 64 * 1024 * 1024
#: Seconds after which reports are written, so that many go in one system call.
REPORT_SECONDS = 0.01
PIPE_BYTES = 1024 * 1024
CONNECT_SECONDS = 10.0


class Reports:
    """Writes frames to the pipe without ever blocking."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pipe: int, counters: Counters) -> None:
        self._loop, self._pipe, self._counters = loop, pipe, counters
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._due = False
        self._is_waiting = False
        self.begun = self.dropped = self.connections = 0

    def add(self, kind: Kind, connection: int, data: bytes = b"", *, always: bool = False) -> bool:
        """Report something; return False if there is no room for it and it need not be reported `always`."""
        if not always and self._size + len(data) > MAX_WAITING_BYTES:
            return False
        frame = pack(kind, connection, time.time(), data)
        self._frames.append(frame)
        self._size += len(frame)
        if not self._due and not self._is_waiting:
            self._due = True
            self._loop.call_later(REPORT_SECONDS, self.flush)
        return True

    def count(self) -> None:
        """Publish the counters."""
        self._counters.write(self.begun, self.dropped, self.connections)

    def flush(self) -> None:
        """Write what the pipe takes."""
        self._due = False
        self.count()
        while self._frames:
            data = b"".join(self._frames) if self._size < PIPE_BYTES else self._frames[0]
            whole = self._size < PIPE_BYTES
            try:
                written = os.write(self._pipe, data)
            except BlockingIOError:
                written = 0
            except OSError:
                # The judging process is gone: forward on, and report nothing.
                self._frames.clear()
                self._size = 0
                return
            self._size -= written
            if whole:
                self._frames.clear()
            else:
                self._frames.popleft()
            if written < len(data):
                self._frames.appendleft(data[written:])
                if not self._is_waiting:
                    self._is_waiting = True
                    self._loop.add_writer(self._pipe, self._ready)
                return

    def _ready(self) -> None:
        self._loop.remove_writer(self._pipe)
        self._is_waiting = False
        self.flush()

    def drain(self) -> None:
        """Write everything, and wait for the pipe."""
        os.set_blocking(self._pipe, True)
        while self._frames:
            frame = self._frames.popleft()
            with contextlib.suppress(OSError):
                sent = 0
                while sent < len(frame):
                    sent += os.write(self._pipe, frame[sent:])
        self._size = 0
        self.count()


class _Target(asyncio.Protocol):
    """The connection to the target that belongs to one of a client."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._client.target_closed()

    def pause_writing(self) -> None:
        self._client.pause(True)

    def resume_writing(self) -> None:
        self._client.pause(False)


class _Client(asyncio.Protocol):
    """A client's connection, with one of its own to the target."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._reports = forwarder.reports
        self._number = 0
        self._transport: asyncio.Transport | None = None
        self._target: _Target | None = None
        self._framing = RequestFraming(forwarder.host)
        self._is_lost = False
        #: Whether a request is under way, none of whose response has come.
        self._is_open = False
        self._is_opaque = False
        self._early: list[bytes] = []
        self._has_ended = False

    # --- the client's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._number = self._forwarder.next_number()
        self._reports.connections += 1
        self._forwarder.clients.add(self)
        self._forwarder.start(self._connect())

    async def _connect(self) -> None:
        forwarder = self._forwarder
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, target = await loop.create_connection(
                    lambda: _Target(self),
                    forwarder.address,
                    forwarder.port,
                    ssl=forwarder.tls,
                    server_hostname=forwarder.address if forwarder.tls else None,
                )
        except (OSError, TimeoutError) as error:
            self._unreachable(getattr(error, "strerror", None) or str(error) or "no connection in time")
            return
        self._target = target
        assert target.transport is not None
        if self._has_ended:
            target.transport.close()
            return
        for data in self._early:
            target.transport.write(data)
        self._early.clear()

    def _unreachable(self, why: str) -> None:
        if not self._has_ended:
            self._report(Kind.UNREACHABLE, why.encode("utf-8", "replace"))
        text = f"conform watch: the target is not reached: {why}\n".encode("utf-8", "replace")
        head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
        if self._transport is not None and not self._has_ended:
            self._transport.write(head.encode() + b"Connection: close\r\n\r\n" + text)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        for part, begins, ends in self._framing.feed(data):
            self._send(part)
            if begins:
                self._begin(part)
            elif not self._framing.opaque:
                self._report(Kind.SENT, part)
            if ends:
                self._report(Kind.SENT_ALL)
        if self._framing.opaque and not self._is_opaque:
            self._is_opaque = True
            self._report(Kind.OPAQUE)

    def _begin(self, part: bytes) -> None:
        reports = self._reports
        reports.begun += 1
        is_pipelined, self._is_open = self._is_open, True
        if self._is_lost:
            if is_pipelined or not reports.add(Kind.LOST, self._number):
                reports.dropped += 1
                return
            self._is_lost = False
        self._report(Kind.BEGIN, part)

    def _send(self, data: bytes) -> None:
        if self._target is not None and self._target.transport is not None:
            self._target.transport.write(data)
        else:
            self._early.append(data)

    def _report(self, kind: Kind, data: bytes = b"") -> None:
        if not self._is_lost and not self._reports.add(kind, self._number, data):
            self._is_lost = True
            self._reports.dropped += 1

    def eof_received(self) -> bool:
        if rest := self._framing.rest():
            self._send(rest)
        target = self._target.transport if self._target is not None else None
        if target is not None and target.can_write_eof():
            with contextlib.suppress(OSError):
                target.write_eof()
        return target is not None

    def connection_lost(self, error: Exception | None) -> None:
        self._has_ended = True
        self._reports.connections -= 1
        self._forwarder.clients.discard(self)
        self._reports.add(Kind.CLIENT_CLOSED, self._number, always=True)
        if self._target is not None and self._target.transport is not None:
            self._target.transport.close()

    def pause_writing(self) -> None:
        if self._target is not None and self._target.transport is not None:
            with contextlib.suppress(RuntimeError):
                self._target.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._target is not None and self._target.transport is not None:
            with contextlib.suppress(RuntimeError):
                self._target.transport.resume_reading()

    # --- the target's side

    def received(self, data: bytes) -> None:
        """Pass on bytes of the target."""
        self._is_open = False
        if self._transport is not None:
            self._transport.write(data)
        if not self._is_opaque:
            self._report(Kind.RECEIVED, data)

    def target_closed(self) -> None:
        """Close the client's connection after what was received."""
        if not self._has_ended:
            self._report(Kind.TARGET_CLOSED)
        if self._transport is not None:
            self._transport.close()

    def pause(self, paused: bool) -> None:
        """Stop or go on reading from the client, since the target does not take more."""
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                (self._transport.pause_reading if paused else self._transport.resume_reading)()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


class Forwarder:
    """Accepts clients, and connects each to the target."""

    def __init__(self, settings: dict[str, Any], reports: Reports) -> None:
        self.address: str = settings["host"]
        self.port: int = settings["port"]
        self.host: bytes | None = settings["authority"].encode("latin-1")
        self.tls = ssl.create_default_context(cafile=settings["ca"]) if settings["tls"] else None
        self.reports = reports
        self.clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0

    def next_number(self) -> int:
        """Return the number of a new connection."""
        self._last += 1
        return self._last

    def start(self, work: Any) -> None:
        """Run a coroutine beside the others."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def forward(settings: dict[str, Any]) -> None:
    """Forward until standard input ends."""
    loop = asyncio.get_running_loop()
    pipe = sys.stdout.fileno()
    os.set_blocking(pipe, False)
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    reports = Reports(loop, pipe, Counters(settings["counters"]))
    forwarder = Forwarder(settings, reports)
    listener = socket.socket(fileno=settings["listener"])
    listener.setblocking(False)
    server = await loop.create_server(lambda: _Client(forwarder), sock=listener)
    ended = loop.create_future()

    def input_ended() -> None:
        if not os.read(sys.stdin.fileno(), 4096) and not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), input_ended)
    await ended
    server.close()
    for client in list(forwarder.clients):
        client.close()
    await asyncio.sleep(0.05)
    reports.drain()


def main() -> None:
    """Read the settings, and forward."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            return
        line += byte
    asyncio.run(forward(json.loads(line)))


if __name__ == "__main__":
    main()
