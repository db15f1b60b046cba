"""Measure what one exchange costs the suite: CPU microseconds to send it, check it by all pure rules, log it.

Run `python -m benchmarks.exchange_cost`. It prints a line for each size of the answer, from 200 bytes to 1 MB, with a
loop of httpx beside it that does nothing but send and receive. The server is a trivial one in a process of its own, so
its time does not count. The secret registry is as full as in the middle of a long run: passwords, and 48 sessions. The
answers of one size differ in their values, as those of a service do. The least of several rounds is printed. Nothing
here is asserted: the numbers belong to the machine that prints them.

What Schemathesis takes for a test case, with all that is around it, follows from `benchmarks.peer_schemathesis`, which
notes the CPU seconds and the cases of its runs beside ours.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import httpx

from conformance.catalog.model import Catalog
from conformance.events import ExchangeEvent
from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange
from conformance.protocol.redaction import SecretRegistry
from conformance.rulebook import RULES
from reports.model.event_log import RunLog

ROUNDS = 5
#: Calls in a round, by the number of rows in an answer.
CALLS = {0: 1000, 24: 500, 400: 40, 6500: 4}
_ROW: dict[str, Any] = {
    "type": "object",
    "required": ["courseId", "title", "ownerId", "isPublic", "price", "startsAt", "teachers"],
    "properties": {
        "courseId": {"type": "integer"},
        "title": {"type": "string", "maxLength": 200},
        "ownerId": {"type": "integer"},
        "isPublic": {"type": "boolean"},
        "price": {"type": "number", "minimum": 0},
        "startsAt": {"type": "string", "format": "date-time"},
        "teachers": {"type": "array", "items": {"type": "object", "required": ["userId"]}},
    },
}
_CATALOGUE = {
    "openrpc": "1.3.2",
    "info": {"title": "Courses", "version": "1"},
    "methods": [
        {
            "name": "course.find",
            "params": [{"name": "query", "schema": {"type": "string"}}],
            "result": {
                "name": "courses",
                "schema": {"type": "object", "properties": {"rows": {"type": "array", "items": _ROW}}},
            },
        }
    ],
}
#: Different answers of each size, sent in turn.
VARIANTS = 8
BODY = b'{"method":"find","data":{"query":"python"},"pageStart":0,"pageLength":10}'


def _answer(count: int, variant: int) -> bytes:
    """Return an answer with this number of rows."""
    rng = random.Random(variant)
    rows = [
        {
            "courseId": 1000 + i,
            "title": f"Course number {rng.randrange(1000)}",
            "ownerId": rng.randrange(50),
            "isPublic": True,
            "price": 12.5,
            "startsAt": f"2026-01-{rng.randrange(10, 28)}T10:00:00Z",
            "teachers": [{"userId": rng.randrange(50), "name": "Ann Lee"}],
        }
        for i in range(count)
    ]
    data = {"rows": rows, "total": count, "note": "a list of courses, as many as there are"}
    body = json.dumps({"isError": False, "errMsg": None, "data": data}, separators=(",", ":"))
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _serve(pipe: Pipe) -> None:
    """Answer every request with the number of rows that the last part of its path asks for."""
    answers = {count: [_answer(count, variant) for variant in range(VARIANTS)] for count in CALLS}
    listener = socket.create_server(("127.0.0.1", 0))
    pipe.send(listener.getsockname()[1])

    def serve(taken: socket.socket) -> None:
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        turns = itertools.count()
        request = b""
        while received := taken.recv(65536):
            request += received
            if not request.endswith(b"\r\n\r\n" + BODY):
                continue
            count = int(request.split(b" ", 2)[1].rpartition(b"/")[2])
            taken.sendall(answers[count][next(turns) % VARIANTS])
            request = b""

    while True:
        taken, _ = listener.accept()
        threading.Thread(target=serve, args=(taken,), daemon=True).start()


def _secret_registry() -> SecretRegistry:
    secret_registry = SecretRegistry()
    for number in range(4):
        secret_registry.password(f"Tr0ub4dor&{number}")
    for number in range(48):
        secret_registry.session(secrets.token_hex(16), ("owner", "peer", "admin")[number % 3])
    return secret_registry


def _cost(call: Callable[[], object], calls: int) -> float:
    """Return the least CPU time of a call among several rounds, in microseconds."""
    least = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(calls):
            call()
        least = min(least, (time.process_time() - begun) / calls)
    return least * 1e6


class _Steps:
    """What is measured, for answers of one size."""

    def __init__(self, url: str, count: int, log: RunLog) -> None:
        self.count = count
        self.log = log
        secret_registry = _secret_registry()
        self.client = Client(url, secret_registry=secret_registry)
        self.peer = httpx.Client(base_url=url)
        self.token = secrets.token_hex(16)
        secret_registry.session(self.token, "owner", lasting=True)
        self.contract = Catalog.parse(_CATALOGUE)["course.find"].contract
        self.checks = [rule.check for rule in RULES.values() if rule.check is not None]
        self.shown = itertools.cycle([self.send() for _ in range(VARIANTS)])

    def send(self) -> Exchange:
        """Send a request with the suite's client."""
        return self.client.send(
            f"{self.count}",
            BODY,
            headers=[("Token", self.token)],
            function="course.find",
            user="owner",
            in_session=True,
            contract=self.contract,
        )

    def bare(self) -> object:
        """Send the same request with httpx."""
        return self.peer.post(f"{self.count}", content=BODY, headers={"Token": self.token}).content

    def judge(self, exchange: Exchange | None = None) -> None:
        """Read an answer as JSON and check it by all pure rules."""
        exchange = exchange or next(self.shown)
        exchange._json = None
        for check in self.checks:
            check(exchange)

    def record(self) -> object:
        """Mask the secrets of an exchange."""
        return next(self.shown).record()

    def write(self, exchange: Exchange | None = None) -> None:
        """Mask the secrets of an exchange and log it."""
        self.log.write(ExchangeEvent.of((exchange or next(self.shown)).record(), "benchmark"))

    def whole(self) -> None:
        """Do all of it."""
        exchange = self.send()
        self.judge(exchange)
        self.write(exchange)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.peer.close()


def main() -> None:
    """Print what each step costs, and all of them together, for each size of the answer."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/api/"
    print("CPU of an exchange, in µs")
    print(
        f"{'answer, bytes':>14}{'sent':>10}{'judged':>10}{'recorded':>10}{'and logged':>12}{'all of it':>11}"
        f"{'per kB':>8}{'bare httpx':>12}"
    )
    with tempfile.TemporaryDirectory() as folder, RunLog(Path(folder)) as log:
        for count, calls in CALLS.items():
            steps = _Steps(url, count, log)
            response = next(steps.shown).response
            assert response is not None
            size = len(response.body)
            sent, judged, recorded, logged, whole, bare = (
                _cost(step, calls)
                for step in (steps.send, steps.judge, steps.record, steps.write, steps.whole, steps.bare)
            )
            print(
                f"{size:>14}{sent:>10.1f}{judged:>10.1f}{recorded:>10.1f}{logged:>12.1f}{whole:>11.1f}"
                f"{whole / size * 1000:>8.1f}{bare:>12.1f}"
            )
            steps.close()
    server.terminate()


if __name__ == "__main__":
    main()
