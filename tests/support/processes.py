"""Programs of the project as processes of their own, forked from one that has imported the project's modules.

The imports of a program take most of the time of a short run, and the tests start hundreds of them.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

__all__ = ["ROOT", "Program", "start"]

ROOT = Path(__file__).resolve().parent.parent.parent


class _ForkServer:
    """The process of `tests.support.fork_server`, which is started when the first program is."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._asked: socket.socket | None = None
        self._one_at_a_time = threading.Lock()

    def fork(self, job: Mapping[str, object], files: list[int]) -> int:
        """Run a job with these files, and return the number of its process."""
        with self._one_at_a_time:
            if self._asked is None:
                self._start()
            assert self._asked is not None
            socket.send_fds(self._asked, [json.dumps(job).encode() + b"\n"], files)
            answer = b""
            while not answer.endswith(b"\n"):
                data = self._asked.recv(64)
                if not data:
                    raise RuntimeError("the fork server ended")
                answer += data
            return int(answer)

    def _start(self) -> None:
        self._asked, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server"],
                cwd=ROOT,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # Threads of a numerical library would not be there in a fork.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        atexit.register(self._stop)

    def _stop(self) -> None:
        assert self._asked is not None
        assert self.process is not None
        self._asked.close()
        self.process.wait(300)


SERVER = _ForkServer()


class Program:
    """A running program; the methods are those of `subprocess.Popen[str]` with pipes for its output."""

    def __init__(
        self, pid: int, ended: int, stdin: IO[str] | None, stdout: IO[str] | None, stderr: IO[str] | None
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._ended = ended

    def poll(self) -> int | None:
        """Return the exit status; None while the program runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the program, and return its exit status. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            status = os.read(self._ended, 4)
            os.close(self._ended)
            if len(status) < 4:
                raise RuntimeError("the fork server ended before the program")
            self.returncode = os.waitstatus_to_exitcode(int.from_bytes(status, "little"))
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end of the program, and return what it wrote. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        if self.stdin is not None:
            self.stdin.close()
        texts = ["", ""]

        def read(place: int, stream: IO[str]) -> None:
            texts[place] = stream.read()
            stream.close()

        readers = [
            threading.Thread(target=read, args=(place, stream), daemon=True)
            for place, stream in enumerate((self.stdout, self.stderr))
            if stream is not None and not stream.closed
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        """Send a signal, if the program still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    module: str,
    *arguments: str | Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    preexec_fn: Callable[[], None] | None = None,
    start_new_session: bool = False,
) -> Program:
    """Run a module as a program, `python -m module arguments`, and return its process.

    `preexec_fn` must be a function of `tests.support`, or a partial of one.
    """
    job = {
        "module": module,
        # Ctrl-C during the imports is handled for a program of this name alone.
        "name": str(ROOT / f"{module}.py") if "." not in module else module,
        "arguments": [str(each) for each in arguments],
        "folder": str(cwd),
        "environment": dict(os.environ if env is None else env),
        "session": start_new_session,
        "prepare": None if preexec_fn is None else pickle.dumps(preexec_fn).hex(),
    }
    theirs: list[int] = []
    ours: list[IO[str] | None] = []
    for kind, mode in ((stdin, "w"), (stdout, "r"), (stderr, "r")):
        if kind != subprocess.PIPE:
            theirs.append(_file_of(kind, 1 if not theirs else theirs[-1]))
            ours.append(None)
            continue
        reading, writing = os.pipe()
        theirs.append(reading if mode == "w" else writing)
        ours.append(os.fdopen(writing if mode == "w" else reading, mode, encoding="utf-8"))
    ended, ending = os.pipe()
    try:
        pid = SERVER.fork(job, [*theirs, ending])
    finally:
        for file in (*theirs, ending):
            os.close(file)
    return Program(pid, ended, *ours)


def _file_of(kind: int, before: int) -> int:
    """Return a file for a stream that is not a pipe."""
    if kind == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR)
    return os.dup(before if kind == subprocess.STDOUT else kind)
