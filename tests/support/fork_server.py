"""A process that has imported the project's modules, and forks to run one of them as a program.

`tests.support.processes` starts it with a socket as standard input and asks it over that socket. A program that is run
in this way differs from one that Python starts in two points: its imports and what `compile_once` compiles take no
time, and its hash seed is that of this process. It has its own working directory, environment, standard streams,
signals and exit status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pickle
import runpy
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.catalog.model import Catalog
from conformance.generation.catalog_review import mistakes
from conformance.startup import leave_at_once
from reports.render.html.frame import environment

ROOT = Path(__file__).resolve().parent.parent.parent

#: Programs and packages whose modules are imported before the first fork.
PRELOADED = (
    "conform",
    "conformance.commands",
    "conformance.suites",
    "conformance.engine.pytest_plugin",
    "fixtures.faults",
    "fixtures.service.server",
    "load.command",
    "reports.render",
    "reports.compare",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
#: Modules that act when they are imported, and therefore are not imported in advance.
RUN_ONLY = ("__main__", "locustfile")


def preload() -> None:
    """Import the modules of PRELOADED, and exclude them from garbage collection: forks share their memory."""
    for name in PRELOADED:
        module = importlib.import_module(name)
        for folder in map(Path, getattr(module, "__path__", ())):
            for path in sorted(folder.rglob("*.py")):
                inner = path.relative_to(folder).with_suffix("").parts
                if inner[-1] not in RUN_ONLY and path.parent.joinpath("__init__.py").is_file():
                    importlib.import_module(".".join([name, *inner]).removesuffix(".__init__"))
    compile_once()
    gc.collect()
    gc.freeze()


def compile_once() -> None:
    """Compile what nearly every program would compile anew: the reference service's schemas, the pages' templates."""
    catalog = Catalog.load(ROOT / "fixtures" / "service" / "coursio.openrpc.json")
    list(mistakes(catalog))
    pages = environment()
    for name in pages.list_templates(extensions=["html"]):
        pages.get_template(name)


def open_streams() -> None:
    """Open the standard streams as Python does at its start; one whose file is closed is None."""
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for number, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        stream = None
        with contextlib.suppress(OSError):
            stream = io.TextIOWrapper(
                os.fdopen(number, "wb", closefd=False),
                encoding="utf-8",
                errors=errors,
                line_buffering=number == 2,
                write_through=unbuffered,
            )
        setattr(sys, name, stream)


def become(job: Mapping[str, Any], files: list[int]) -> None:
    """Turn the forked process into the program of a job; it ends with SystemExit, as every program does."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if job["session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    tempfile.tempdir = None
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)
    if job["prepare"] is not None:
        pickle.loads(bytes.fromhex(job["prepare"]))()
    open_streams()
    sys.argv = [job["name"], *job["arguments"]]
    leave_at_once()
    runpy.run_module(job["module"], run_name="__main__")
    sys.exit(0)


def receive(asked: socket.socket) -> tuple[Mapping[str, Any] | None, list[int]]:
    """Return the next job and its files: standard input, output, error, and where its end is reported."""
    data, files, _, _ = socket.recv_fds(asked, 1 << 16, 4)
    while data and not data.endswith(b"\n"):
        data += asked.recv(1 << 16)
    return (json.loads(data) if data else None), list(files)


def report_ended(running: dict[int, int]) -> None:
    """Report how each process ended that has ended, to whoever started it."""
    while running:
        number, status = os.waitpid(-1, os.WNOHANG)
        if number == 0:
            return
        file = running.pop(number)
        os.write(file, status.to_bytes(4, "little"))
        os.close(file)


def serve(asked: socket.socket) -> None:
    """Fork for each job until the socket is closed."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    # Ctrl-C on the terminal of the tests ends the programs. This process ends with the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asked.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1 << 16)
            report_ended(running)
        if asked.fileno() not in ready:
            continue
        job, files = receive(asked)
        if job is None:
            return
        *streams, ended = files
        number = os.fork()
        if number == 0:
            asked.close()
            for file in (woken, wake, ended, *running.values()):
                os.close(file)
            become(job, streams)
        for file in streams:
            os.close(file)
        running[number] = ended
        asked.sendall(b"%d\n" % number)


def main() -> None:
    asked = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path.insert(0, str(ROOT))
    preload()
    serve(asked)


if __name__ == "__main__":
    main()
