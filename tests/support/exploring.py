"""`conform explore` as a process, and a target that retains every request."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.engine.harness import Embedded
from tests.support.processes import Program, start
from tests.support.recording import ran

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = ROOT / "fixtures" / "service" / "conform.toml"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Explore:
    """A running explorer, and how its page speaks to it."""

    def __init__(self, process: Program, url: str) -> None:
        self.process = process
        self.url = url
        parts = urlsplit(url)
        self.port = parts.port or 0
        self.path = parts.path
        self.key = parts.path.strip("/")
        self.origin = f"http://127.0.0.1:{self.port}"

    def request(
        self, verb: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)
        try:
            connection.putrequest(verb, path, skip_host=headers is not None and "Host" in headers)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def ask(self, what: str, content: Any, **headers: str) -> Reply:
        """Ask as the page does; headers replace those of the page, with _ for -."""
        sent = {"Origin": self.origin, "X-Explorer-Key": self.key, "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", self.path + what, json.dumps(content).encode(), sent)

    def call(self, name: str, data: Any = None, session: str | None = None) -> Any:
        endpoint, _, method = name.partition(".")
        body = {"method": method} if data is None else {"method": method, "data": data}
        reply = self.raw(endpoint, json.dumps(body, separators=(",", ":")), session=session)
        assert reply.status == 200, reply.body
        return reply.json

    def raw(self, endpoint: str, body: str, **more: Any) -> Reply:
        content = {"verb": "POST", "endpoint": endpoint, "body": body, "session": None}
        return self.ask("call", {**content, "headers": [["Content-Type", "application/json"]], **more})


@contextlib.contextmanager
def embedded(*faults: str) -> Iterator[str]:
    """Run the embedded service with these faults, and yield its base URL."""
    service = Embedded(*(word for name in faults for word in ("--fault", name)))
    try:
        yield service.url
    finally:
        service.stop()


@contextlib.contextmanager
def exploring(*arguments: str) -> Iterator[Explore]:
    """Run `conform explore` with these arguments until the end of the block."""
    process = start("conform", "explore", "--quiet", *arguments, cwd=ROOT, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"it did not start (status {process.wait()})"
        yield Explore(process, json.loads(line)["url"])
    finally:
        process.terminate()
        try:
            process.wait(300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@dataclass
class Target:
    """A target that gives a fixed answer and retains the bytes of each request."""

    answer: bytes = b'{"isError":true,"errMsg":"no","data":null}'
    status: str = "400 Bad Request"
    heads: str = ""
    got: list[bytes] = field(default_factory=list)
    login: bytes = b'{"isError":false,"errMsg":null,"data":{"sessionId":"very-secret-session-1"}}'

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self._open = True
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/base/api/"

    def stop(self) -> None:
        self._open = False
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while self._open:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                with contextlib.suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += connection.recv(65536)
        self.got.append(head + b"\r\n\r\n" + body)
        answer, status = self.answer, self.status
        if b'"method":"login"' in body:
            answer, status = self.login, "200 OK"
        connection.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{self.heads}Connection: close\r\n"
            f"Content-Length: {len(answer)}\r\n\r\n".encode()
            + (b"" if head.startswith(b"HEAD ") else answer)
        )


@contextlib.contextmanager
def target() -> Iterator[Target]:
    """Run such a target."""
    made = Target()
    made.start()
    try:
        yield made
    finally:
        made.stop()


#: Defects of the service whose runs are explored, and the rules by which it is judged.
RUN_FAULTS = ("envelope.blank-message", "codes.validation-422", "authentication.password-in-any-case")
RUN_RULES = ("ENV-5", "AUT-2")


def recorded(url: str, folder: Path) -> dict[str, Any]:
    """Check a target by a few rules with the profile of the service; return the report of the run in the folder."""
    rules = [word for rule in RUN_RULES for word in ("--rule", rule)]
    options = ["--budget", "quick", "--seed", "7", "--quiet", "--out", str(folder)]
    status, _, err = ran(
        "check", "--target", url, "--profile", str(PROFILE), *rules, *options, cwd=folder.parent
    )
    assert status == 1, err
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return report
