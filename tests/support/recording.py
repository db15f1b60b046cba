"""A recorder between a command and its target: it forwards bytes, retains them, and can delay them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conform import main
from reports.model.files import validate
from tests.support.processes import Program, start
from tests.support.signalling import obeys_signals

ROOT = Path(__file__).resolve().parent.parent.parent
#: Seconds after which a process hangs. On a busy machine all take many times as long as usual.
MAX_SECONDS = 900
PROFILE = ROOT / "fixtures" / "service" / "conform.toml"


class Recorder:
    """Listens before a server. `delay` returns the seconds by which sent data is delayed."""

    def __init__(self, url: str, delay: Callable[[bytes], float] = lambda data: 0.0) -> None:
        self.behind = urlsplit(url)
        self.delay = delay
        self.sent: list[bytes] = []
        self.answered: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{self.behind.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                front, _ = self.socket.accept()
            except OSError:
                return
            try:
                back = socket.create_connection((self.behind.hostname, self.behind.port))
            except OSError:
                front.close()
                continue
            for end in (front, back):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for one, other, retained in ((front, back, self.sent), (back, front, self.answered)):
                threading.Thread(target=self._pass_on, args=(one, other, retained), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, retained: list[bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 20):
                retained.append(data)
                if retained is self.sent and (seconds := self.delay(data)):
                    time.sleep(seconds)
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    @property
    def sessions(self) -> set[str]:
        """Return the session identifiers that the target gave."""
        return set(re.findall(r'"sessionId":"([^"]+)"', b"\n".join(self.answered).decode("utf-8", "replace")))

    @property
    def functions(self) -> set[str]:
        """Return what was called by POST, as `entity.function`."""
        called = re.findall(
            rb'POST /api/(\w+) HTTP/1\.1\r\n.*?\r\n\r\n\{"method":"(\w+)"', b"\n".join(self.sent), re.DOTALL
        )
        return {f"{entity.decode()}.{name.decode()}" for entity, name in called}


@contextlib.contextmanager
def recording(url: str, delay: Callable[[bytes], float] = lambda data: 0.0) -> Iterator[Recorder]:
    """Record what passes between a client and the server at this URL."""
    recorder = Recorder(url, delay)
    try:
        yield recorder
    finally:
        recorder.socket.close()


def command(*arguments: str | Path, cwd: Path, **options: Any) -> Program:
    """Start `conform` as a process of its own, which obeys signals."""
    options["preexec_fn"] = obeys_signals(options.get("preexec_fn"))
    return start("conform", *arguments, cwd=cwd, **options)


def ran(*arguments: str | Path, cwd: Path, **options: Any) -> tuple[int, str, str]:
    """Run `conform` to its end; return status, standard output and standard error."""
    process = command(*arguments, cwd=cwd, **options)
    out, err = process.communicate(timeout=MAX_SECONDS)
    return process.wait(), out, err


def bare_pytest(*arguments: str | Path, cwd: Path, **options: Any) -> Program:
    """Start pytest as a process of its own, which obeys signals, for runs of the suites without `conform check`."""
    options["preexec_fn"] = obeys_signals(options.get("preexec_fn"))
    return start("pytest", *arguments, "-p", "no:cacheprovider", cwd=cwd, **options)


def ran_bare_pytest(*arguments: str | Path, cwd: Path, **options: Any) -> tuple[int, str, str]:
    """Run pytest to its end; return status, standard output and standard error."""
    process = bare_pytest(*arguments, cwd=cwd, **options)
    out, err = process.communicate(timeout=MAX_SECONDS)
    return process.wait(), out, err


def ran_here(*arguments: str | Path, cwd: Path) -> tuple[int, str, str]:
    """Run `conform` in this process, as `ran` does in one of its own; for commands that run no suite tests.

    It saves the start of a process, which takes most of the time of a usage error.
    """
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            status = main([str(each) for each in arguments])
        except SystemExit as end:
            status = 0 if end.code is None else int(end.code)
    return status, out.getvalue(), err.getvalue()


def report_in(folder: Path) -> dict[str, Any]:
    """Return the report in a folder, validated against its schema."""
    found: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    validate(found)
    return found


def until(done: Callable[[], object], seconds: float = 240) -> None:
    """Wait until `done` returns a true value; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
