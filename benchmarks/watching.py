"""What `conform watch` adds to an exchange: latency at a steady rate, and CPU time of the forwarding process.

    python -m benchmarks.watching [--rate 200] [--seconds 20] [--memory]

A small server answers every call at once. The same calls are sent to it directly and through the proxy, in turns, on
persistent connections. Printed are the latencies of both, the difference, the CPU time of forwarding an exchange,
its memory, and how many exchanges were judged and dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BODY = b'{"method":"find","data":{"query":"python"},"pageLength":10}'
DATA = json.dumps({"courses": [{"courseId": n, "title": f"Course {n}"} for n in range(10)]}).encode()
ENVELOPE = b'{"isError":false,"errMsg":null,"data":' + DATA + b"}"
REQUEST = (
    b"POST /api/course HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/json\r\n"
    b"Token: 5f2c9a7e41d84b06\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n" % len(ENVELOPE)
) + ENVELOPE
CONNECTIONS = 4


def answer(taken: socket.socket) -> None:
    """Answer each request of a connection."""
    with contextlib.suppress(OSError), taken:
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while part := taken.recv(65_536):
            data += part
            while len(data) >= len(REQUEST) - 20 and BODY in data:
                data = data.partition(BODY)[2]
                taken.sendall(RESPONSE)


def serve(listener: socket.socket) -> None:
    """Answer every connection."""
    while True:
        taken, _ = listener.accept()
        threading.Thread(target=answer, args=(taken,), daemon=True).start()


@contextlib.contextmanager
def target() -> Iterator[int]:
    """Run the server in a process of its own; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.join()


def latencies(port: int, rate: float, seconds: float) -> list[float]:
    """Send calls at a rate, each connection in its turn; return the milliseconds from when each was sent."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found = []
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        connection = connections[number % CONNECTIONS]
        began = time.perf_counter()
        connection.sendall(REQUEST)
        left = len(RESPONSE)
        while left:
            part = connection.recv(65_536)
            if not part:
                raise SystemExit("the connection was closed")
            left -= len(part)
        found.append((time.perf_counter() - began) * 1000)
    for connection in connections:
        connection.close()
    return found


def used(process: int) -> tuple[float, float]:
    """Return the seconds of CPU time and the megabytes of memory of a process."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * resource.getpagesize() / 1e6


def forwarder_of(process: int) -> int:
    """Return the process that forwards for a `conform watch`."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
    return int(children[0])


def percentile(values: list[float], share: float) -> float:
    """Return a percentile."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="What conform watch adds to an exchange.")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with target() as port, tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(ROOT / "conform.py"),
            "watch",
            "--target",
            f"http://127.0.0.1:{port}/api/",
        ]
        watch = subprocess.Popen([*command, "--out", folder, "--quiet"], stdout=subprocess.PIPE, text=True)
        assert watch.stdout is not None
        try:
            through = int(re.findall(r":(\d+)/api/", watch.stdout.readline())[0])
            forwarder = forwarder_of(watch.pid)
            for each in (port, through):
                latencies(each, options.rate, 1.0)
            direct: list[float] = []
            proxied: list[float] = []
            before, _ = used(forwarder)
            judging, _ = used(watch.pid)
            memory = []
            for _ in range(4):
                direct += latencies(port, options.rate, options.seconds / 4)
                proxied += latencies(through, options.rate, options.seconds / 4)
                memory.append((used(forwarder)[1], used(watch.pid)[1]))
            cpu = (used(forwarder)[0] - before) / len(proxied) * 1e6
            cpu_of_judging = (used(watch.pid)[0] - judging) / len(proxied) * 1e6
        finally:
            watch.send_signal(signal.SIGINT)
            out, _ = watch.communicate(timeout=120)
        report = json.loads((Path(folder) / "report.json").read_text("utf-8"))
    print(f"{len(proxied)} exchanges each way at {options.rate:g}/s, {CONNECTIONS} connections")
    for name, values in (("direct", direct), ("through the proxy", proxied)):
        shown = "  ".join(f"p{share:g} {percentile(values, share / 100):.3f} ms" for share in (50, 95, 99))
        print(f"{name:18} mean {statistics.mean(values):.3f} ms  {shown}")
    added = percentile(proxied, 0.99) - percentile(direct, 0.99)
    print(f"added at p99       {added:.3f} ms")
    print(f"CPU of forwarding  {cpu:.0f} µs an exchange; of judging {cpu_of_judging:.0f} µs")
    print("memory             " + ", ".join(f"{one:.0f} + {other:.0f} MB" for one, other in memory))
    print(f"judged             {report['requests']}; {'; '.join(report['notes']) or 'none dropped'}")
    print(out.strip())


if __name__ == "__main__":
    main()
