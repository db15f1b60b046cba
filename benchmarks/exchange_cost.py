"""Measure what one exchange costs the suite: CPU microseconds to send it, check it by all pure rules, log it.

Run `python -m benchmarks.exchange_cost`. The server is a trivial one in a process of its own, so its time
does not count. The secret registry is as full as in the middle of a long run: passwords, and 48 sessions. Nothing here
is asserted: the numbers belong to the machine that prints them.
"""

from __future__ import annotations

import json
import multiprocessing
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from conformance.catalog.contract import Contract
from conformance.events import ExchangeEvent
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.redaction import SecretRegistry
from conformance.rulebook import RULES
from reports.model.event_log import RunLog

ROUNDS = 5
CALLS = 1000
BODY = b'{"method":"find","data":{"query":"python"},"pageStart":0,"pageLength":10}'


def _answer() -> bytes:
    rows = [
        {"courseId": 1000 + i, "title": f"Course number {i}", "ownerId": 7, "isPublic": True, "price": 12.5}
        for i in range(6)
    ]
    body = json.dumps({"isError": False, "errMsg": None, "data": {"rows": rows}}, separators=(",", ":"))
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _serve(pipe: Pipe) -> None:
    """Give the same answer to every request."""
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])
    answer = _answer()

    def ctx(taken: socket.socket) -> None:
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while taken.recv(65536):
            taken.sendall(answer)

    while True:
        taken, _ = listener.accept()
        threading.Thread(target=ctx, args=(taken,), daemon=True).start()


def _secret_registry() -> SecretRegistry:
    secret_registry = SecretRegistry()
    for number in range(4):
        secret_registry.password(f"Tr0ub4dor&{number}")
    for number in range(48):
        secret_registry.session(secrets.token_hex(16), ("owner", "peer", "admin")[number % 3])
    return secret_registry


def _cost(call: Callable[[], object]) -> tuple[float, float]:
    """Return the least CPU time and wall time of a call among several rounds, in microseconds."""
    cpu = wall = float("inf")
    for _ in range(ROUNDS):
        begun, began = time.process_time(), time.perf_counter()
        for _ in range(CALLS):
            call()
        cpu = min(cpu, (time.process_time() - begun) / CALLS)
        wall = min(wall, (time.perf_counter() - began) / CALLS)
    return cpu * 1e6, wall * 1e6


def main() -> None:
    """Print what each step costs, and all of them together."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    secret_registry = _secret_registry()
    client = Client(f"http://127.0.0.1:{ours.recv()}/api/", secret_registry=secret_registry)
    token = secrets.token_hex(16)
    secret_registry.session(token, "owner", lasting=True)
    contract = Contract("course.find", mismatch=lambda data: None)
    checks = [rule.check for rule in RULES.values() if rule.check is not None]

    def send() -> Exchange:
        return client.send(
            "course",
            BODY,
            headers=[("Token", token)],
            function="course.find",
            user="owner",
            in_session=True,
            contract=contract,
        )

    def judge(exchange: Exchange) -> None:
        exchange.__dict__.pop("json", None)
        for check in checks:
            check(exchange)

    with tempfile.TemporaryDirectory() as folder, RunLog(Path(folder)) as log:

        def write(exchange: Exchange) -> None:
            log.write(ExchangeEvent.of(exchange.record(), "benchmark"))

        def whole() -> None:
            exchange = send()
            judge(exchange)
            write(exchange)

        shown = send()
        steps: list[tuple[str, Callable[[], object]]] = [
            ("sent and received", send),
            (f"read as JSON, judged by {len(checks)} rules", lambda: judge(shown)),
            ("recorded", shown.record),
            ("recorded and logged", lambda: write(shown)),
            ("all of it", whole),
        ]
        assert shown.response is not None
        print(f"an exchange of {len(shown.request.raw)} and {len(shown.response.raw)} bytes, in µs")
        for name, step in steps:
            cpu, wall = _cost(step)
            print(f"  {name:<34} {cpu:8.1f} of CPU {wall:8.1f} of wall time")
    client.close()
    server.terminate()


if __name__ == "__main__":
    main()
