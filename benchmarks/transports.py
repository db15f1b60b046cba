"""Measure the CPU time of a call side by side: the wire module, httpx, and the two ways in which they are combined.

Run `python -m benchmarks.transports`. It prints CPU microseconds per call of a small answer, from a trivial server in a
process of its own. The ways take turns in each round, and the least of several rounds is printed. Nothing is asserted:
the numbers belong to the machine that prints them.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable

import httpx

from benchmarks.exchange_cost import BODY, _serve
from conformance.protocol.client import Client
from conformance.protocol.library import RecordingTransport
from conformance.protocol.network import Network
from conformance.protocol.transport import WireTransport

ROUNDS = 5
CALLS = 300


def main() -> None:
    """Measure and print."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/api/"
    wire = Client(url)
    plain = httpx.Client()
    recording = httpx.Client(transport=RecordingTransport(Network()))
    riding = httpx.Client(transport=WireTransport(Client(url)))

    def post(client: httpx.Client) -> Callable[[], object]:
        return lambda: client.post(url + "0", content=BODY, headers={"Content-Type": "application/json"})

    ways: dict[str, Callable[[], object]] = {
        "the wire module": lambda: wire.send("0", BODY),
        "httpx.Client": post(plain),
        "httpx.Client over a recording httpcore backend": post(recording),
        "httpx.Client with WireTransport": post(riding),
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, call in ways.items():
            begun = time.process_time()
            for _ in range(CALLS):
                call()
            least[name] = min(least[name], (time.process_time() - begun) / CALLS)
    for name, seconds in least.items():
        print(f"{name:<48}{seconds * 1e6:8.0f} µs of CPU per call")
    server.terminate()


if __name__ == "__main__":
    main()
