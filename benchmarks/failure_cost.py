"""Measure what the table of failures costs a load: CPU per request with and without it, in one run.

Run `python -m benchmarks.failure_cost` (`--seconds 0.1 --pairs 100 --share 5 --rate 1000`). A server in a process of
its own answers at once. The load is a closed loop of 50 users, then open arrivals. The server refuses a share of the
requests, with the same message each time (`same`) or with a number in the message (`numbered`).

The load uses the real connections, validator, sender and aggregator. It is divided into slices, in which the table
(`load.metrics.failures.Failures`) is used and not used in turn. Each pair of neighbouring slices gives a ratio. The
mean ratio of the middle four fifths is printed, with its standard error. On a busy machine that error is as large as
the effect, so the time spent in the table is printed as well. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.bare import BareConnection

ROOT = Path(__file__).resolve().parent.parent
USERS = 50
MESSAGES = ("same", "numbered")
#: Pairs of slices before the first that counts.
WARM_UP_PAIRS = 5

_GOOD = b'{"isError":false,"errMsg":null,"data":{"rows":[],"note":"as ever"}}'
_BAD = b'{"isError":true,"errMsg":"No course %d for owner@example.com","data":null}'


# --- the server, in a process of its own


class _Connection(BareConnection):
    """Answers requests at once; `numbers` counts those of all connections."""

    numbers = itertools.count(1)
    every = 20
    numbered = False

    def asked(self) -> None:
        """Answer with a success, or with every so many requests with a refusal."""
        number = next(self.numbers)
        if self.every and number % self.every == 0:
            self.answer(404, _BAD % (number if self.numbered else 7))
        else:
            self.answer(200, _GOOD)


async def _serve(every: int, messages: str) -> None:
    _Connection.every, _Connection.numbered = every, messages == "numbered"
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    # The end of the standard input is the end of the benchmark.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def _server(every: int, messages: str) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.failure_cost", "--serve", str(every), messages]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())}/api/"
    finally:
        process.terminate()
        process.communicate(timeout=10)


# --- the load


class _TimedTable:
    """A table of failures that measures how long it takes for each of them."""

    def __init__(self, failures: Any) -> None:
        self._take, self._news = failures.take, failures.news
        self.nanoseconds: list[int] = []

    def take(self, *failure: Any) -> None:
        """Add a failed request, and time that."""
        begun = time.perf_counter_ns()
        self._take(*failure)
        self.nanoseconds.append(time.perf_counter_ns() - begun)

    def news(self) -> float:
        """Have the failed requests counted; return the mean of their time in nanoseconds."""
        begun = time.perf_counter_ns()
        self._news()
        return statistics.median(self.nanoseconds) + (time.perf_counter_ns() - begun) / len(self.nanoseconds)


class _Load:
    """The parts of a load of one process, run in slices with or without a table of failures."""

    def __init__(self, url: str, rate: float) -> None:
        from benchmarks.load_cost_senders import raw_request, validator_of
        from load.http.endpoint import Endpoint
        from load.http.pool import Pool

        class VirtualUser:
            user = "owner"

        class Call:
            function, index, counted = "course.find", 0, True
            virtual_user, expects, learn = VirtualUser(), None, None
            raw = raw_request(url.partition("://")[2].partition("/")[0], "/api/course")

        self.call, self.rate = Call(), rate
        self.judge = validator_of(url)
        self.pool = Pool(Endpoint.of(url), USERS)

    def next(self) -> Any:
        """Return the call, as a source of open arrivals does."""
        return self.call

    def refused(self, call: Any, settle: Any) -> None:
        """Say that no session had ended."""
        settle(False)

    def slices(self, seconds: float, pairs: int, *, is_open: bool) -> tuple[dict[bool, list[float]], float]:
        """Run pairs of slices of so many seconds, without and with the table.

        All slices are of one load, so that nothing but the table differs. Returns the CPU µs of a request in each
        slice, and the µs that the table took of each failed request in a last one.
        """
        import gevent  # type: ignore[import-untyped]

        from load.engine.open_loop import OpenLoopScheduler
        from load.engine.sender import ClosedLoopUser, Sender
        from load.metrics.aggregation import Aggregator
        from load.metrics.failures import Failures

        failures = Failures(["course.find"], show=self.judge.show, mask=self.judge.secret_registry.mask)
        aggregator = Aggregator(["course.find"], self.judge.outcomes)
        zero = time.perf_counter()
        sender = Sender(
            self.pool, self.judge, aggregator, zero=zero, timeout=10, source=self, failures=failures
        )
        clock = None
        if is_open:
            clock = OpenLoopScheduler(zero, sender.arrive, aggregator.unbegun.append)
            sender.clock = clock
            clock.add(number / self.rate for number in itertools.count())
        else:
            for _ in range(USERS):
                ClosedLoopUser(sender, self.next, lambda: 0.0).go()

        def slice_of(table: bool) -> float:
            sender._records.failures = failures if table else None
            before = time.process_time()
            gevent.sleep(seconds)
            requests = len(aggregator.rows)
            aggregator.aggregate(time.perf_counter() - zero)
            aggregator.finished()
            if table:
                failures.news()
            return 1e6 * (time.process_time() - before) / max(1, requests)

        costs: dict[bool, list[float]] = {False: [], True: []}
        for number in range(-WARM_UP_PAIRS, pairs):
            # The order changes from pair to pair, so that a drift of the machine favours neither.
            for table in (number % 2 == 0, number % 2 != 0):
                cost = slice_of(table)
                if number >= 0:
                    costs[table].append(cost)
        timed = _TimedTable(failures)
        sender._records.failures, each = timed, []  # type: ignore[assignment]
        for _ in range(10):
            gevent.sleep(0.25)
            aggregator.aggregate(time.perf_counter() - zero)
            each.append(timed.news())
            timed.nanoseconds.clear()
        sender.closing = True
        if clock is not None:
            clock.close()
        while sender.flying:
            gevent.sleep(0.005)
        sender.close()
        return costs, statistics.median(each) / 1000


def _measure(messages: str, options: argparse.Namespace, *, is_open: bool) -> None:
    """Print the cost of a request without the table, and the mean ratio with it, with its standard error."""
    with _server(round(100 / options.share), messages) as url:
        load = _Load(url, options.rate)
        costs, each = load.slices(options.seconds, options.pairs, is_open=is_open)
        load.pool.close()
    ratios = [math.log(after / before) for before, after in zip(costs[False], costs[True], strict=True)]
    # Slices in which the machine did something else are outliers on both sides.
    ratios = sorted(ratios)[len(ratios) // 10 : len(ratios) - len(ratios) // 10]
    error = statistics.stdev(ratios) / math.sqrt(len(ratios)) / 0.8
    without = statistics.median(costs[False])
    print(
        f"{'open' if is_open else 'closed':6} {messages:8}  without {without:6.1f} µs, "
        f"with {statistics.median(costs[True]):6.1f} µs: {math.expm1(statistics.fmean(ratios)):+.2%} "
        f"(standard error {error:.2%}); in the table {each:.1f} µs of each failed request, which is "
        f"{each * options.share / 100 / without:.2%}",
        flush=True,
    )


def main() -> None:
    """Measure closed and open loads, with messages of both kinds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.1, help="of a slice")
    parser.add_argument("--pairs", type=int, default=100, help="of slices")
    parser.add_argument("--share", type=float, default=5.0, help="of requests that are refused, in per cent")
    parser.add_argument("--rate", type=float, default=1000.0, help="of open arrivals per second")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve(int(options.serve[0]), options.serve[1]))
        return
    print(f"{options.share:g} % of the requests are refused; CPU of the sending process per request")
    for is_open in (False, True):
        for messages in MESSAGES:
            _measure(messages, options, is_open=is_open)


if __name__ == "__main__":
    main()
