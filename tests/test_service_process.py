"""The reference service as a process: start, wire, concurrency, resync, end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.service.server import main
from tests.service_client import PASSWORDS
from tests.signalling import obeys_signals

ROOT = Path(__file__).parent.parent
BODY = b'{"method":"ping"}'


class Running:
    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fixtures.service", "--ready-line", "--exit-with-parent", *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=obeys_signals(),
        )
        assert self.process.stdout is not None
        self.facts = json.loads(self.process.stdout.readline())
        self.url = httpx.URL(self.facts["url"])
        self.client = httpx.Client(base_url=self.url, timeout=10)

    def call(self, name: str, data: Any = None, token: str = "", **top: Any) -> httpx.Response:
        entity, _, method = name.partition(".")
        message = json.dumps({"method": method, "data": data, **top})
        return self.client.post(entity, content=message, headers={"Token": token} if token else {})

    def login(self, who: str = "owner") -> str:
        reply = self.call("auth.login", {"identity": f"{who}@example.com", "credential": PASSWORDS[who]})
        token: str = reply.json()["data"]["sessionId"]
        return token

    def raw(self, data: bytes) -> bytes:
        """Send bytes, say that no more come, and read until the server closes or is silent for a while."""
        with socket.create_connection((self.url.host, self.url.port or 0)) as connection:
            connection.settimeout(0.5)
            connection.sendall(data)
            answer = b""
            try:
                while part := connection.recv(65_536):
                    answer += part
            except TimeoutError:
                pass
            return answer

    def end(self) -> int:
        self.client.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(5)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return status


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    assert running.end() == 0


def head(*fields: str, path: str = "/api/sys") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def test_it_starts_and_says_where_it_is(running: Running) -> None:
    assert running.url.host == "127.0.0.1"
    assert running.url.path == "/api/"
    assert Path(running.facts["profile"]).name == "conform.toml"
    assert httpx.get(running.facts["catalog"]).json()["methods"]


def test_concurrent_creates_are_all_kept(running: Running) -> None:
    """STA-5, AUT-11."""
    tokens = {who: running.login(who) for who in PASSWORDS}

    def create(number: int) -> tuple[str, int]:
        who = list(tokens)[number % len(tokens)]
        made = running.call("course.add", {"title": f"number {number}"}, tokens[who])
        assert made.status_code == 200
        mine = running.call("auth.status", None, tokens[who]).json()["data"]["user"]["email"]
        assert mine == f"{who}@example.com"
        return who, made.json()["data"]["courseId"]

    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(create, range(120)))
    assert len({identifier for _, identifier in made}) == 120
    for who, token in tokens.items():
        listed = {row["courseId"] for row in running.call("course.find", {}, token).json()["data"]["courses"]}
        assert {identifier for owner, identifier in made if owner == who} <= listed
        assert not {identifier for owner, identifier in made if owner != who} & listed


@pytest.mark.parametrize(
    "data",
    [
        head("Content-Length: 17", "Transfer-Encoding: chunked") + b"11\r\n" + BODY + b"\r\n0\r\n\r\n",
        head("Content-Length: 17", "Content-Length: 3") + BODY,
        head("X-Bare: a\nContent-Length: 17") + BODY,
        head("Transfer-Encoding: chunked") + b"zz\r\n",
        head("X: a\x00b"),
        b"hello\r\n\r\n",
        b"POST /api/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_once_in_the_envelope(running: Running, data: bytes) -> None:
    """HTTP-4, HTTP-5, SEC-6."""
    answer = running.raw(data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    start, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in start
    assert json.loads(body)["isError"] is True


@pytest.mark.parametrize(
    "fields", [("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
               ("connection: upgrade", "upgrade: websocket"), ("Expect: 100-continue",), ()]
)  # fmt: skip
def test_offers_of_the_client_cost_it_nothing(running: Running, fields: tuple[str, ...]) -> None:
    request = head(*fields, f"Content-Length: {len(BODY)}") + BODY
    assert running.raw(request + request).count(b'"isError":false') == 2


def test_chunked_bodies_and_encoded_paths(running: Running) -> None:
    """HTTP-7, SEC-4."""
    assert running.client.post("sys", content=iter([BODY[:4], BODY[4:]])).status_code == 200
    for path in ("/api/%73ys", "/api%2fsys", "//api/sys", "/api/x/../sys", "/api/sys/"):
        answer = running.raw(head(f"Content-Length: {len(BODY)}", path=path) + BODY)
        assert answer.startswith(b"HTTP/1.1 404 "), path


def test_a_body_that_is_too_long(running: Running) -> None:
    reply = running.client.post("sys", content=b" " * 5_000_000)
    assert reply.status_code == 413
    assert reply.json()["isError"] is True
    assert running.call("sys.ping").status_code == 200


def test_no_banner(running: Running) -> None:
    """SEC-2."""
    assert "server" not in running.call("sys.ping").headers


def test_a_file_is_kept_and_a_resync_restores(tmp_path: Path) -> None:
    file = str(tmp_path / "data.sqlite")
    first = Running("--db", file)
    made = first.call("course.add", {"title": "kept"}, first.login()).json()["data"]["courseId"]
    assert (tmp_path / "data.sqlite-wal").exists()
    first.client.close()
    first.process.send_signal(signal.SIGTERM)
    assert first.end() == 0

    second = Running("--db", file, "--resync-every", "1.5")
    token = second.login()
    assert second.call("course.read", {"courseId": made}, token).status_code == 200
    deadline = time.monotonic() + 10
    while second.call("auth.status", None, token).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert second.call("course.read", {"courseId": made}, second.login()).status_code == 404
    second.process.send_signal(signal.SIGINT)
    assert second.end() == 0


@pytest.mark.parametrize(
    "argv", [["--host", "0.0.0.0"], ["--resync-every", "0"], ["--resync-every", "x"], ["--port", "x"]]
)
def test_wrong_options(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str], running: Running) -> None:
    assert main(["--port", str(running.url.port)]) == 2
    assert "cannot listen" in capsys.readouterr().err
