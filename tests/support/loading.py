"""A target that counts what it gets, and Locust started on it in processes of its own."""

from __future__ import annotations

import abc
import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.signalling import obeys_signals

ROOT = Path(__file__).resolve().parent.parent.parent
SCENE = ROOT / "tests" / "support" / "load_scene.py"

OK = b'{"isError":false,"errMsg":null,"data":{"rows":[]}}'
REFUSED = b'{"isError":true,"errMsg":"Log in","data":null}'


class _Served(abc.ABC):
    """A server on an event loop in a thread of its own; `_serve` is what becomes of each connection."""

    def __init__(self, host: str, path: str, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._host = host
        self._path = path
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        #: The longest time by which this server was late, in seconds: on a busy machine its moments are not exact.
        self.lateness = 0.0
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        self._up.wait()

    @abc.abstractmethod
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on one connection."""

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, self._host, 0, ssl=self._tls)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://{self._host}:{self.port}{self._path}"
        self._up.set()
        self._watch(self._loop.time())
        self._loop.run_forever()

    def _watch(self, due: float) -> None:
        """Measure how late the event loop comes to what is due, 50 times a second."""
        now = self._loop.time()
        self.lateness = max(self.lateness, now - due)
        self._loop.call_at(now + 0.02, self._watch, now + 0.02)

    def window(self) -> float:
        """Return a window in which requests of one second may be counted by when they came here."""
        return max(0.05, 0.8 - 2 * self.lateness)

    def close(self) -> None:
        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Target(_Served):
    """Answers every POST, and counts them by path; `answer` may say otherwise: (status, seconds until it is sent)."""

    def __init__(
        self, answer: Callable[[int, str], tuple[int, float]] | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.moments: list[float] = []
        self.connections = 0
        self._answer = answer or (lambda number, path: (200, 0.0))
        super().__init__(host, "/")

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
                await reader.readexactly(size)
                self.counts[path] += 1
                self.moments.append(time.perf_counter())
                status, seconds = self._answer(self.total, path)
                if seconds:
                    await asyncio.sleep(seconds)
                body = OK if status == 200 else REFUSED
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (status, len(body), body)
                )
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


class Relay(_Served):
    """Stands before a target, and notes when each request comes."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urllib.parse.urlsplit(url)
        assert parts.port is not None
        self.moments: list[float] = []
        self._port = parts.port
        super().__init__("127.0.0.1", parts.path, tls)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)

        async def answers() -> None:
            while data := await there.read(65536):
                writer.write(data)
            writer.close()

        task = asyncio.ensure_future(answers())
        try:
            while data := await reader.read(65536):
                # One request goes over a connection at a time, and begins what is read.
                begins = data.startswith(b"POST ")
                self.moments += [time.perf_counter()] * begins
                if begins and (refusal := self.refusal()) is not None:
                    head, _, body = data.partition(b"\r\n\r\n")
                    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
                    await reader.readexactly(max(0, size - len(body)))
                    writer.write(refusal)
                    continue
                back.write(data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            back.close()
            writer.close()
            task.cancel()

    def refusal(self) -> bytes | None:
        """Return what a request is answered with that is not passed on; None: it is."""
        return None


class Limiter(Relay):
    """A relay that, while `limit` is set, passes on so many requests in a second; it puts the rest off."""

    def __init__(self, url: str, status: int = 429, after: str | None = "1") -> None:
        self.limit: int | None = None
        self.refused = 0
        self._status, self._after = status, after
        self._second = self._passed = 0
        super().__init__(url)

    def refusal(self) -> bytes | None:
        if self.limit is None:
            return None
        if int(time.monotonic()) != self._second:
            self._second, self._passed = int(time.monotonic()), 0
        self._passed += 1
        if self._passed <= self.limit:
            return None
        self.refused += 1
        after = "" if self._after is None else f"Retry-After: {self._after}\r\n"
        head = f"HTTP/1.1 {self._status} X\r\n{after}Content-Type: application/json\r\nContent-Length: {len(REFUSED)}"
        return head.encode() + b"\r\n\r\n" + REFUSED


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


def soon(true: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until something is true, and return it; AssertionError when it does not come true."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
    return found


class Locust:
    """Locust in a process of its own, on the scene of `load_scene.py`."""

    def __init__(
        self,
        folder: Path,
        url: str,
        plan: Mapping[str, Any],
        *arguments: str,
        name: str = "locust",
        prefix: tuple[str, ...] = (),
        headless: bool = True,
        **more: str,
    ) -> None:
        self.folder = folder
        self.events_path = folder / f"{name}.events.jsonl"
        self.log = folder / f"{name}.log"
        environment = {
            **os.environ,
            "SCENE_URL": url,
            "SCENE_PLAN": json.dumps(plan),
            "CONFORM_LOAD_EVENTS": str(self.events_path),
            "PYTHONPATH": str(ROOT),
            **more,
        }
        line = [*prefix, sys.executable, "-m", "locust", "-f", str(SCENE), "--host", url, *arguments]
        if headless:
            line += ["--headless"]
        if "--processes" in arguments:  # Locust's own port may be someone else's
            port = str(free_port())
            line += ["--master-bind-port", port, "--master-port", port]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                line,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=obeys_signals(),
            )

    def wait(self, seconds: float = 60) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"locust did not end:\n{self.log.read_text()[-4000:]}") from None

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    @property
    def events(self) -> list[dict[str, Any]]:
        if not self.events_path.exists():
            return []
        lines = self.events_path.read_text("utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def seconds(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "second"]

    def marks(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "mark" and event["kind"] == kind]

    @property
    def end(self) -> dict[str, Any]:
        ends = [event for event in self.events if event["event"] == "load-end"]
        assert len(ends) == 1, self.log.read_text()[-4000:]
        return ends[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
