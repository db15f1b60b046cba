"""The reference service on a socket, and raw bytes sent to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn

from fixtures.service import Service, server

# on a socket


@contextlib.contextmanager
def serving(service: Service) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        service, http=service.protocol or server.Protocol, ws="none", lifespan="off", log_config=None
    )
    started = threading.Event()
    running = server.Server(config, started.set)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[listener])))
    thread.start()
    try:
        assert started.wait(240)
        yield listener.getsockname()[1]
    finally:
        running.stop()
        thread.join(240)
        listener.close()
        service.close()


def exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=240) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += part
    return received


def answers(received: bytes) -> int:
    return received.count(b"HTTP/1.1 ")
