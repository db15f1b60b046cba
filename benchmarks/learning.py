"""Measure what recorded traffic teaches: the learnt catalogues against the true ones, of three domains.

Run `python -m benchmarks.learning`. For each seed and domain (the reference service, a clinic, a warehouse) a load of
all functions sends some 500 calls. A HAR of them is learnt and compared with the true catalogue. `--check` does so
with the traffic of a check (quick). `--faults N` judges N faults of the reference service, each by the rules that it
breaks, with the true and with a learnt catalogue, and says which rules only the true one shows to be broken. `--clean`
runs a whole check of each domain with what was learnt of a check of it, where no rule may fail. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.learning_score import Score, lines, scored
from conformance.catalog.model import Catalog
from conformance.learning.catalogue import learn
from conformance.learning.recorded import calls_of
from conformance.learning.rights import Facts
from conformance.traffic.capture import read_capture
from fixtures.faults import FAULTS
from tests.servers import clinic, engine_http, warehouse
from tests.servers.engine import Engine
from tests.support.judging import broken, judge, profile_of, serving_here

ROOT = Path(__file__).resolve().parent.parent
DOMAINS = ("reference", "clinic", "warehouse")
#: Arrivals per second and seconds of a load: some 500 calls.
RATE, SECONDS = 42, 6


class Recorder:
    """Records what passes the step `respond` of a server, as the entries of a HAR."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.origin = "http://127.0.0.1"
        self._lock = threading.Lock()

    def around(self, inner: Callable[..., Any], call: Any, response: Any) -> Any:
        """Answer as the server does, and record it."""
        answer = inner(call, response)
        headers = [
            {"name": n.decode("latin-1"), "value": v.decode("latin-1")} for n, v in call.request.headers
        ]
        entry = {
            "startedDateTime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            + f".{time.time_ns() % 10**9:09}Z",
            "time": 1.0,
            "request": {
                "method": call.request.verb,
                "url": f"{self.origin}{call.request.path}",
                "httpVersion": "HTTP/1.1",
                "headers": headers,
                "postData": {
                    "mimeType": "application/json",
                    "text": call.request.body.decode("utf-8", "replace"),
                },
            },
            "response": {
                "status": answer.status,
                "httpVersion": "HTTP/1.1",
                "headers": [{"name": "Content-Type", "value": "application/json"}],
                "content": {"mimeType": "application/json", "text": answer.body.decode("utf-8", "replace")},
            },
        }
        with self._lock:
            self.entries.append(entry)
        return answer


@contextlib.contextmanager
def served(domain: str, folder: Path, recorder: Recorder) -> Iterator[tuple[str, Path, Catalog]]:
    """Serve a domain in a thread; yield its base URL, its profile and its true catalogue."""
    if domain == "reference":

        def change(service: Any) -> Any:
            service.wrap("respond", recorder.around)
            return service

        with serving_here(change=change) as (url, catalogue):
            yield url, profile_of(catalogue, folder), Catalog.parse(catalogue)
        return
    engine = Engine({"clinic": clinic, "warehouse": warehouse}[domain].domain())
    engine.wrap("respond", recorder.around)
    with engine_http.serving(engine, folder) as ready:
        assert ready.profile is not None
        yield ready.url, ready.profile, Catalog.parse(engine.catalogue())


def traffic(domain: str, seed: int, folder: Path, *, check: bool) -> tuple[Path, Path, str, Catalog]:
    """Send a load or a check; return the HAR, the profile, the base URL and the true catalogue."""
    recorder = Recorder()
    with served(domain, folder, recorder) as (url, profile, true):
        recorder.origin = url.partition("//")[0] + "//" + url.partition("//")[2].partition("/")[0]
        common = [
            "--target",
            url,
            "--profile",
            str(profile),
            "--seed",
            str(seed),
            "--out",
            str(folder / "run"),
        ]
        if check:
            given = ["check", *common, "--budget", "quick", "--quiet"]
        else:
            mix = ",".join(f"{method.name}=1" for method in true if method.object or method.effect == "read")
            given = ["load", *common, "--rate", str(RATE), "--duration", f"{SECONDS}s", "--no-calibration"]
            given += ["--mix", mix] if seed % 2 else ["--scenario", "teacher"]
        done = subprocess.run(
            [sys.executable, str(ROOT / "conform.py"), *given], capture_output=True, text=True, check=False
        )
        if done.returncode == 2:
            raise SystemExit(done.stderr)
    path = folder / "traffic.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": recorder.entries}}), "utf-8")
    return path, profile, url, true


def learnt(path: Path, url: str) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """Return the catalogue that a HAR teaches, and the parameters that were sent to each function with success."""
    capture = read_capture([path], url)
    calls, _ = calls_of(capture.exchanges, capture.base_url)
    sent: dict[str, set[str]] = {}
    for call in calls:
        if call.succeeded:
            sent.setdefault(call.function, set()).update(call.arguments)
    return learn(calls, facts=Facts()).document, sent


def of_traffic(domains: list[str], seeds: range, *, check: bool, shown: int) -> None:
    """Print the scores of all seeds, by domain."""
    for domain in domains:
        whole = Score()
        calls = 0
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                path, _, url, true = traffic(domain, seed, Path(folder), check=check)
                calls += len(json.loads(path.read_text("utf-8"))["log"]["entries"])
                document, sent = learnt(path, url)
                whole += scored(true, Catalog.parse(document), sent, seed)
        print(f"{domain}: {len(seeds)} seeds, {calls / len(seeds):.0f} calls each")
        print("\n".join(lines(whole, shown)), flush=True)


def of_faults(count: int, seed: int) -> None:
    """Print which rules broken by faults only the true catalogue shows to be broken."""
    with tempfile.TemporaryDirectory() as folder:
        path, _, url, _ = traffic("reference", seed, Path(folder), check=True)
        document, _ = learnt(path, url)
    names = sorted(FAULTS)[:: max(1, len(FAULTS) // count)][:count]
    found = [0, 0]
    for name in names:
        rules: list[set[str]] = []
        for own in (None, document):
            with tempfile.TemporaryDirectory() as folder, serving_here(name) as (url, catalogue):
                report = judge(
                    profile=profile_of(own or catalogue, Path(folder)),
                    target=url,
                    rules=list(FAULTS[name].trips),
                    seed=seed,
                    budget="quick",
                    until_found=True,
                )
            rules.append(set(broken(report)) & set(FAULTS[name].trips))
        found[0], found[1] = found[0] + len(rules[0]), found[1] + len(rules[0] & rules[1])
        missed = f"  missed: {', '.join(sorted(rules[0] - rules[1]))}" if rules[0] - rules[1] else ""
        print(f"  {name}: {', '.join(sorted(rules[0])) or 'nothing'}{missed}", flush=True)
    print(f"{found[1]} of {found[0]} broken rules are found with the learnt catalogue, too", flush=True)


def of_clean(domains: list[str], seed: int) -> None:
    """Print which rules a check with the learnt catalogue says to be broken on the clean servers."""
    for domain in domains:
        with tempfile.TemporaryDirectory() as folder:
            path, _, url, _ = traffic(domain, seed, Path(folder), check=True)
            document, _ = learnt(path, url)
            with served(domain, Path(folder), Recorder()) as (again, profile, _):
                for name in ("coursio.openrpc.json", "catalogue.openrpc.json"):
                    if (Path(folder) / name).exists():
                        (Path(folder) / name).write_text(json.dumps(document), "utf-8")
                report = judge(profile=profile, target=again, seed=seed, budget="quick")
        judged = sum(rule["verdict"] in ("pass", "fail", "warn") for rule in report["rules"])
        print(f"{domain}: {judged} rules judged, broken: {broken(report) or 'none'}", flush=True)


def main() -> None:
    """Print the figures that were asked for."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    options.add_argument("--domain", action="append", choices=DOMAINS, help="repeatable; default: all")
    options.add_argument("--seeds", default="1-20", metavar="FROM-TO")
    options.add_argument("--check", action="store_true", help="learn of checks instead of loads")
    options.add_argument("--faults", type=int, metavar="N")
    options.add_argument("--clean", action="store_true")
    options.add_argument("--shown", type=int, default=5, help="mistakes to show of each figure")
    given = options.parse_args()
    domains = given.domain or list(DOMAINS)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if given.faults:
        of_faults(given.faults, seeds[0])
    elif given.clean:
        of_clean(domains, seeds[0])
    else:
        of_traffic(domains, seeds, check=given.check, shown=given.shown)


if __name__ == "__main__":
    main()
