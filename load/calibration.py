"""The calibration of the generator: a server that answers at once, and the rate that this machine sends to it.

    python -m load.calibration serve       prints its URL as a JSON line, answers until its standard input ends
    python -m load.calibration measure     prints {"rate": requests per second, "cpu_us": µs of processor time for each}

The server is a loop around epoll that counts the ends of requests and writes as many ready answers: it parses
nothing and costs less than what asks it, so that what is measured is the generator. Measured is the generator's own
path, with judging, histograms and rows, over some connections that each send as soon as they are answered; the rate
is that of one process. With arrivals by a schedule, each wake-up costs beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["ANSWER", "CalibrationServer", "calibrate", "main", "measure", "serve"]

ROOT = Path(__file__).resolve().parent.parent

#: An ordinary answer: 590 bytes of JSON, a list of objects.
_ROWS = [
    {
        "courseId": 1000 + number,
        "title": f"Course number {number}",
        "price": 19.5,
        "published": True,
        "lessons": [],
    }
    for number in range(5)
]
_BODY = json.dumps(
    {"isError": False, "errMsg": None, "data": {"courses": _ROWS, "total": len(_ROWS)}}, separators=(",", ":")
).encode()
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
    b"x-content-type-options: nosniff\r\ncontent-length: %d\r\n\r\n" % len(_BODY) + _BODY
)
#: What every request of the measurement ends in; requests themselves have it nowhere else.
_END = b'{"method":"find","data":{}}'


def serve(listener: socket.socket, until: int = 0) -> None:
    """Answer every request on the connections of a socket, until a file descriptor is closed."""
    poll = select.epoll()
    listener.setblocking(False)
    poll.register(listener.fileno(), select.EPOLLIN)
    poll.register(until, select.EPOLLIN | select.EPOLLHUP)
    connections: dict[int, socket.socket] = {}
    waiting: dict[int, bytes] = {}

    def drop(number: int) -> None:
        connections.pop(number).close()
        waiting.pop(number, None)

    while True:
        for number, _ in poll.poll():
            if number == until:
                return
            if number == listener.fileno():
                with contextlib.suppress(OSError):
                    taken, _ = listener.accept()
                    taken.setblocking(False)
                    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connections[taken.fileno()] = taken
                    poll.register(taken.fileno(), select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                data = connection.recv(65_536)
                if not data:
                    drop(number)
                    continue
                if number in waiting:
                    data = waiting.pop(number) + data
                count = data.count(_END)
                if not data.endswith(_END):
                    waiting[number] = data[data.rfind(_END) + len(_END) if count else 0 :][-4096:]
                if count:
                    # One request per connection is under way, so the answer always fits into the buffer of the socket.
                    connection.send(ANSWER * count)
            except OSError:
                drop(number)


class CalibrationServer:
    """The server in a process of its own; it ends with this one."""

    def __enter__(self) -> str:
        """Start it, and return its base URL."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "load.calibration", "serve"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OSError("the server for calibration did not start")
        return str(json.loads(line)["url"])

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def measure(url: str, seconds: float = 1.0, connections: int = 32) -> dict[str, float]:
    """Send for so many seconds over so many connections; return `rate` per second and `cpu_us` for each request.

    In a process where gevent's loop is free. The first fifth warms up and is not counted.
    """
    import gevent  # type: ignore[import-untyped]

    from conformance.catalog.model import Catalog
    from conformance.protocol.profile import Profile
    from conformance.protocol.redaction import SecretRegistry
    from load.engine.sender import Sender
    from load.http.endpoint import Endpoint
    from load.http.pool import Pool
    from load.metrics.aggregation import Aggregator
    from load.validation.validator import AnswerValidator
    from load.workload.calls import Call

    profile = Profile.empty(url)
    name = "course.find"
    judge = AnswerValidator(
        profile, Catalog.implicit(profile.auth.effects), SecretRegistry(), functions=[name]
    )
    endpoint = Endpoint.of(url)
    raw = (
        f"POST /course HTTP/1.1\r\nHost: {profile.host}\r\nContent-Type: application/json\r\n"
        f"Token: {'0123456789abcdef' * 2}\r\nContent-Length: {len(_END)}\r\n\r\n"
    ).encode() + _END
    zero = time.perf_counter()
    aggregator = Aggregator([name], judge.outcomes)
    pool = Pool(endpoint, connections)
    sender = Sender(pool, judge, aggregator, zero=zero, timeout=5.0)
    call = Call(name, 0, raw)
    over = False

    def again(reply: Any) -> None:
        if not over:
            sender.submit(call, time.perf_counter() - zero, again)

    def run(length: float) -> tuple[int, float, float]:
        begun, cpu, count = time.perf_counter(), time.process_time(), aggregator.total.requests
        while (passed := time.perf_counter() - begun) < length:
            gevent.sleep(min(0.25, length - passed))
            aggregator.aggregate(time.perf_counter() - zero)
            aggregator.finished()
        return aggregator.total.requests - count, time.perf_counter() - begun, time.process_time() - cpu

    for _ in range(connections):
        again(None)
    run(seconds / 5)
    count, took, cpu = run(seconds)
    over = True
    failed = aggregator.total.failed
    pool.close()
    if not count or failed:
        raise OSError(f"the calibration failed: {failed} of {count} requests did")
    return {"rate": count / took, "cpu_us": 1e6 * cpu / count}


def calibrate(seconds: float = 1.0) -> dict[str, float]:
    """Measure in processes of their own; raises OSError when it cannot be done."""
    with CalibrationServer() as url:
        done = subprocess.run(  # noqa: S603  (our own module, our own interpreter)
            [sys.executable, "-m", "load.calibration", "measure", "--url", url, "--seconds", str(seconds)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30 + seconds,
            check=False,
        )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise OSError((done.stderr.strip().splitlines() or ["the calibration failed"])[-1])
    found: dict[str, float] = json.loads(lines[-1])
    return found


@contextlib.contextmanager
def _listening() -> Iterator[socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    try:
        yield listener
    finally:
        listener.close()


def main(argv: list[str] | None = None) -> int:
    """Serve, or measure."""
    parser = argparse.ArgumentParser(prog="python -m load.calibration", allow_abbrev=False)
    parser.add_argument("verb", choices=("serve", "measure"))
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args(argv)
    if options.verb == "serve":
        with _listening() as listener:
            print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/"}), flush=True)
            serve(listener)
        return 0
    if options.url is None:
        with CalibrationServer() as url:
            print(json.dumps(measure(url, options.seconds)))
        return 0
    print(json.dumps(measure(options.url, options.seconds)))
    return 0


if __name__ == "__main__":
    try:
        status = main()
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    os._exit(status)
