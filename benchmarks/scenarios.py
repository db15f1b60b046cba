"""Measure what a request of a scenario file costs beside one of the built-in mix, against nginx on loopback.

Run `python -m benchmarks.scenarios` (`--seconds 3 --rounds 3 --rates 500,1000`). It needs nginx and openssl.

Both are `conform load` as a whole, with the same users, connections, rules and answers (`benchmarks.load_cost`), one
after the other within each round, so that both have the same machine. The mix sends a call that is prepared. The
scenario file's task names a function and its data, and reads the answer; with three calls to a task, an arrival sends
three requests. Shown are the CPU microseconds per request of the sending process, as the median of the rounds, and the
ratio to the mix within each round.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.load_cost import serving, whole

SCENARIO = """
from load import RpcUser, task


class Finder(RpcUser):
    @task
    def find(self) -> None:
        for _ in range({calls}):
            assert self.call("course.find", query="python", page_start=0, page_length=10).ok
"""

#: The aim: a request of a scenario file costs at most so many times one of the mix.
AIM = 1.5


def main() -> None:
    """Print the costs and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--rates", default="500,1000", help="requests per second; a closed loop is measured, too"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text, serving(Path(text)) as served:
        folder = Path(text)
        files = {}
        for calls in (1, 3):
            files[calls] = folder / f"finds_{calls}.py"
            files[calls].write_text(SCENARIO.format(calls=calls), "utf-8")
        rates = [float(rate) for rate in options.rates.split(",") if rate]
        for rate in (None, *rates):
            costs: dict[str, list[float]] = {}
            kernel: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                for name, calls in (
                    ("mix", 0),
                    ("scenario, 1 call a task", 1),
                    ("scenario, 3 calls a task", 3),
                ):
                    per_second = None if rate is None else rate / max(1, calls)
                    arrivals = ("--think", "0s") if per_second is None else ("--rate", f"{per_second:.6g}/s")
                    sent = ("--scenario-file", str(files[calls])) if calls else ("--mix", "course.find=1")
                    found = whole(
                        f"{served.plain}/other/", options.seconds, folder, None, *arrivals, calls=sent
                    )
                    assert not found["wrong"], found
                    costs.setdefault(name, []).append(1e6 * found["cpu"] / found["requests"])
                    kernel.setdefault(name, []).append(1e6 * found["kernel"] / found["requests"])
            print(
                f"{'closed loop' if rate is None else f'open, {rate:g} requests/s'}, µs of CPU for a request"
            )
            for name, each in costs.items():
                ratios = [cost / mix for cost, mix in zip(each, costs["mix"], strict=True)]
                mine = f"{statistics.median(each):7.1f} (kernel {statistics.median(kernel[name]):5.1f})"
                print(f"  {name:<26} {mine}   x {statistics.median(ratios):.2f} of the mix (aim {AIM:g})")


if __name__ == "__main__":
    main()
