"""The senders of `benchmarks.load_cost`, each of which runs in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

__all__ = [
    "CALL",
    "CONNECTIONS",
    "LOGIN",
    "TOKEN",
    "WHOAMI",
    "document",
    "raw_request",
    "send_as",
    "validator_of",
]

CONNECTIONS = 50
TOKEN = "5f2c9a7e41d84b06c0ffee0123456789"
CALL = b'{"method":"find","data":{"query":"python"},"pageStart":0,"pageLength":10}'
LOGIN, WHOAMI = "auth.login", "user.status"


def raw_request(host: str, path: str) -> bytes:
    """Return the whole request that all senders send."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: coursio-conform\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(CALL)}\r\nToken: {TOKEN}\r\n\r\n"
    ).encode() + CALL


def document() -> dict[str, Any]:
    """Return the catalogue: what is called, and what a session takes."""
    row = {
        "type": "object",
        "required": ["courseId", "title"],
        "properties": {
            "courseId": {"type": "integer", "minimum": 1},
            "title": {"type": "string", "maxLength": 200},
            "ownerId": {"type": "integer"},
            "isPublic": {"type": "boolean"},
            "price": {"type": "number"},
        },
    }
    data = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "array", "items": row}, "note": {"type": "string"}},
    }
    names = [
        {"name": name, "required": True, "schema": {"type": "string"}} for name in ("identity", "credential")
    ]
    given = {"name": "data", "schema": {"type": "object"}}
    methods = [
        {
            "name": "course.find",
            "params": [{"name": "query", "required": True, "schema": {"type": "string", "enum": ["python"]}}],
            "result": {"name": "data", "schema": data},
            "x-effect": "read",
        },
        {"name": LOGIN, "params": names, "result": given, "x-auth": "none", "x-effect": "write"},
        {"name": WHOAMI, "params": [], "result": given, "x-effect": "read"},
    ]
    return {"openrpc": "1.3.2", "info": {"title": "x", "version": "1"}, "methods": methods}


def validator_of(url: str) -> Any:
    """Return a validator as in the middle of a run: with a catalogue, and a registry full of secrets."""
    import secrets

    from conformance.catalog.model import Catalog
    from conformance.protocol.profile import Profile
    from conformance.protocol.redaction import SecretRegistry
    from load.validation.validator import AnswerValidator

    secret_registry = SecretRegistry()
    for number in range(4):
        secret_registry.password(f"Tr0ub4dor&{number}")
    for number in range(48):
        secret_registry.session(secrets.token_hex(16), ("owner", "peer", "admin")[number % 3])
    return AnswerValidator(
        Profile.empty(url), Catalog.parse(document()), secret_registry, functions=["course.find"]
    )


def _call_of(url: str) -> Any:
    """Return the call that the bare sender repeats, in the session of a user."""

    class VirtualUser:
        user = "owner"

    class Call:
        function = "course.find"
        index = 0
        virtual_user = VirtualUser()
        expects = None
        raw = raw_request(url.partition("://")[2].partition("/")[0], "/" + url.split("/", 3)[3])

    return Call()


def _send_ours(url: str, seconds: float, ca: str | None) -> dict[str, Any]:
    import gevent  # type: ignore[import-untyped]
    import numpy as np

    from load.http.connection import Connection
    from load.http.endpoint import Endpoint
    from load.http.pool import Pool

    judge, call = validator_of(url), _call_of(url)
    raw = call.raw
    pool = Pool(Endpoint.of(url, ca=Path(ca) if ca else None), CONNECTIONS)
    if pool.open_ahead(CONNECTIONS, time.perf_counter() + 10) != CONNECTIONS:
        sys.exit("the connections could not be opened")
    rows: list[tuple[int, float, float, float, int, int]] = []
    counts = np.zeros(1 << 16, dtype=np.int64)
    wrong = total = 0
    begun = time.perf_counter()
    end = begun + seconds

    def done(connection: Connection) -> None:
        code = judge.judge(call, connection)
        sent, done_at = connection.sent, connection.done_at
        rows.append((0, sent, sent, done_at, code, connection.bytes_in))
        if done_at < end:
            connection.send(raw, done_at + 10, done)

    def aggregate() -> None:
        nonlocal rows, wrong, total
        taken, rows[:] = list(rows), ()
        if not taken:
            return
        table = np.array(taken)
        micros = ((table[:, 3] - table[:, 2]) * 1e6).astype(np.int64).clip(0, len(counts) - 1)
        np.add.at(counts, micros, 1)
        total += len(taken)
        wrong += int(np.count_nonzero(table[:, 4]))

    before = os.times()
    for _ in range(CONNECTIONS):
        taken = pool.take()
        assert taken is not None
        taken.send(raw, end + 10, done)
    while time.perf_counter() < end + 0.1:
        gevent.sleep(0.25)
        aggregate()
    aggregate()
    after = os.times()
    pool.close()
    broken = [found["rule"] for found in judge.findings()]
    return {
        "requests": total,
        "cpu": after.user + after.system - before.user - before.system,
        "kernel": after.system - before.system,
        "wrong": wrong,
        "told": f"{judge.slow} by every rule, {judge.schema()['judged']} by the schema {' '.join(broken)}",
    }


def _send_locust(url: str, seconds: float, fast: bool, rate: float) -> dict[str, Any]:
    import warnings

    warnings.simplefilter("ignore")
    from gevent import monkey

    monkey.patch_all()
    import re

    import gevent
    from locust import FastHttpUser, HttpUser, constant, constant_throughput, task
    from locust.env import Environment

    camel = re.compile(r"[a-z][a-zA-Z0-9]*").fullmatch

    def named(value: Any) -> bool:
        if isinstance(value, dict):
            return all(camel(name) and named(virtual_user) for name, virtual_user in value.items())
        return all(map(named, value)) if isinstance(value, list) else True

    kind: Any = FastHttpUser if fast else HttpUser
    path = "/" + url.split("/", 3)[3]
    headers = {"Content-Type": "application/json", "Token": TOKEN}

    def look(user: Any) -> None:
        with user.client.post(path, data=CALL, headers=headers, catch_response=True) as answer:
            envelope = answer.json()
            if (
                answer.status_code != 200
                or answer.headers["Content-Type"] != "application/json"
                or envelope["isError"] is not False
                or envelope["errMsg"] is not None
                or not isinstance(envelope["data"], dict)
                or len(envelope) != 3
                or not named(envelope)
            ):
                answer.failure("not as it should be")

    wait = constant_throughput(rate / CONNECTIONS) if rate else constant(0)
    virtual_users = {"wait_time": wait, "host": url, "look": task(look), "insecure": True}
    sender = type("Sender", (kind,), virtual_users)
    environment = Environment(user_classes=[sender], catch_exceptions=False)
    runner = environment.create_local_runner()
    runner.start(CONNECTIONS, spawn_rate=CONNECTIONS)
    gevent.sleep(1.5 if rate else 1.0)
    total = environment.stats.total
    before, sent = os.times(), total.num_requests
    gevent.sleep(seconds)
    after, arrived = os.times(), total.num_requests
    wrong = total.num_failures
    runner.quit()
    return {
        "requests": arrived - sent,
        "cpu": after.user + after.system - before.user - before.system,
        "kernel": after.system - before.system,
        "wrong": wrong,
        "told": "",
    }


def _memory(url: str, count: int, ca: str | None) -> dict[str, Any]:
    import psutil  # type: ignore[import-untyped]

    from load.http.connection import Connection
    from load.http.endpoint import Endpoint
    from load.http.pool import Pool

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(count, hard - 200)
    pool = Pool(Endpoint.of(url, ca=Path(ca) if ca else None), count)
    raw = raw_request("x", "/same/course")
    first = pool.take()
    assert first is not None
    first.request(raw, time.perf_counter() + 10)
    process = psutil.Process()
    before = process.memory_info().rss
    begun = time.perf_counter()
    opened = pool.open_ahead(count - 1, begun + 60)
    ready = time.perf_counter() - begun
    # Every one is used once, so that what it keeps for that is there as well.
    left = opened

    def done(connection: Connection) -> None:
        nonlocal left
        left -= 1

    import gevent

    for _ in range(opened):
        taken = pool.take()
        assert taken is not None
        taken.send(raw, time.perf_counter() + 60, done)
        if len(pool._idle) % 64 == 0:
            gevent.sleep(0.005)
    while left:
        gevent.sleep(0.01)
    after = process.memory_info().rss
    return {
        "connections": opened,
        "seconds": ready,
        "each": (after - before) / max(1, opened),
        "failed": pool.failed,
    }


def send_as(options: argparse.Namespace) -> None:
    """Be one of the senders, and print what it took."""
    url, seconds, ca = options.url, options.seconds, options.ca
    if options.role == "ours":
        found = _send_ours(url, seconds, ca)
    elif options.role == "memory":
        found = _memory(url, options.memory, ca)
    else:
        found = _send_locust(url, seconds, options.role == "fasthttp", options.rate)
    print(json.dumps(found))
