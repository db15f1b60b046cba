"""Compare with Schemathesis 4: the same reference service, the same faults, the same wall time.

Run `python -m benchmarks.peer_schemathesis --sample 12 --seconds 10`; without `--sample` and `--faults` all faults
are run, which takes twice `--seconds` for each. Schemathesis is put into a throw-away environment with pip, unless
`--schemathesis PATH` names its executable. A line for each fault is written to `--out` as soon as it is known, and
`--show FILE` prints the table of such a file again, of an unfinished one too.

How the peer is run, so that it does its best (all of it is in `peer_command` and `peer_config`):

- It reads what `conform catalog export --openapi FILE --per-function --strict` writes: an operation for each function,
  so that it calls, counts and follows each one by itself; links; closed envelopes, the headers that *should* be there.
- All phases (examples, coverage, fuzzing, stateful), all checks, valid and invalid data, no stop at the first failure,
  no time spent on shrinking, `--max-time` so that fuzzing and stateful testing go on until the time is spent.
- It signs in by itself as each user of the profile, through its Web Fuzzing Commons file, and sends the token in the
  header. With one token given by `-H`, its first call of the logout function would leave it outside for the rest.

Ours is `conform check` as a process, interrupted when the time is over; it does not know which rules the fault breaks.
A busy machine gives it too few seconds for all its tests: then `--named-rules` asks
it, for each fault, for the rules that the fault names alone (the clean service is judged by all of them still).
`--together` runs the two at the same time. Each run has a fresh service, a process of its own. The seconds of ours
count from the start of the process, those of the peer from the start of its engine, about a second later.

A fault is caught by either where it shows a failure that the clean service does not show: another pair of operation
and kind of failure for the peer, of function and rule for ours. What the clean service shows, in `--clean` runs with
different seeds, are false alarms, and count for nothing afterwards. Test cases are those that the peer says it
generated (the requests that its checks send beside them are not among them), and our requests. CPU is that of the
process and of its children, start-up and report included, the service not. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fnmatch
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from conformance.catalog.model import Catalog
from conformance.catalog.openapi_export import describe
from conformance.engine.harness import EMBEDDED_PROFILE, Embedded, positive
from conformance.errors import UsageError
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile
from fixtures.faults import FAULTS
from fixtures.service.service import Service

ROOT = Path(__file__).resolve().parent.parent
PEER, OURS = "schemathesis", "conform"
TOOLS = (PEER, OURS)
#: Seconds that a run may take beyond its time before it is killed.
GRACE = 30.0

#: A failure: the operation or function, and the kind of failure or the rule.
Failure = tuple[str, str]
Record = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The result of one run: failures, test cases, wall and CPU seconds; `note` says why there is no report."""

    failures: frozenset[Failure]
    cases: int
    seconds: float
    cpu: float
    note: str | None = None

    def record(self, clean: frozenset[Failure] = frozenset()) -> Record:
        """Return it as JSON values, with what the clean service shows, too, put aside."""
        return {
            "new": sorted(map(list, self.failures - clean)),
            "cases": self.cases,
            "seconds": round(self.seconds, 2),
            "cpu": round(self.cpu, 2),
            "note": self.note,
        }


# --- what the tools write -----------------------------------------------------------------------------------


def peer_failures(report: Record) -> frozenset[Failure]:
    """Read the failures of Schemathesis' JSON report; an error of the run (no connection, no login) is one, too."""
    found = {
        (operation, str(failure["type"]))
        for failure in report["failures"]
        for operation in failure["operations"] or ("",)
    }
    return frozenset(found | {("", f"error: {error['title']}") for error in report["errors"]})


def peer_cases(report: Record) -> int:
    """Read how many test cases Schemathesis generated."""
    return int(report["test_cases"]["generated"])


def our_failures(report: Record) -> frozenset[Failure]:
    """Read the findings of a report.json, those that only warn among them."""
    return frozenset(
        (finding["function"] or "", rule["id"])
        for rule in report["rules"]
        if rule["verdict"] in ("fail", "warn")
        for finding in rule["findings"]
    )


def our_cases(report: Record) -> int:
    """Read how many requests a check sent."""
    return int(report["requests"])


# --- running them -------------------------------------------------------------------------------------------


def run(command: Sequence[str], cwd: Path, seconds: float, log: Path) -> tuple[float, float]:
    """Run a process, interrupt it when its time is over, and return its wall and CPU seconds, children included."""
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    waiting = [(seconds, signal.SIGTERM), (seconds + GRACE, signal.SIGKILL)]
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            passed = time.monotonic() - began
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return passed, usage.ru_utime + usage.ru_stime
            if waiting and passed > waiting[0][0]:
                os.kill(process.pid, waiting.pop(0)[1])
            time.sleep(0.02)
    except BaseException:
        process.kill()
        process.wait()
        raise


def outcome(
    measured: tuple[float, float],
    report: Path,
    log: Path,
    failures: Callable[[Record], frozenset[Failure]],
    cases: Callable[[Record], int],
) -> Outcome:
    """Read what a run left behind."""
    try:
        found = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        return Outcome(frozenset(), 0, *measured, note=f"no report: …{said[-300:]}")
    # A run that had no time to try anything has not passed anything.
    note = None if cases(found) else "no test case in this time"
    return Outcome(failures(found), cases(found), *measured, note=note)


def peer_config(profile: Profile, url: str, folder: Path) -> Path:
    """Write Schemathesis' configuration: how it signs in, and which of the users must not see each other's objects."""
    login = profile.auth.login
    assert login is not None
    entity, _, function = login.function.partition(".")
    entries = [
        {
            "name": name,
            "loginEndpointAuth": {
                "endpoint": f"{urlsplit(url).path}{entity}",
                "verb": "POST",
                "contentType": "application/json",
                "payloadRaw": json.dumps(
                    {"method": function, "data": {login.user: user.user, login.secret: user.secret}}
                ),
                "token": {
                    "extractFrom": "body",
                    "extractSelector": f"/data{profile.auth.session}",
                    "sendIn": "header",
                    "sendName": "Token",
                    "sendTemplate": "{token}",
                },
            },
        }
        for name, user in profile.users.items()
    ]
    (folder / "users.json").write_text(json.dumps({"auth": entries}), encoding="utf-8")
    alike = [set(user.roles) for user in profile.users.values()]
    peers = [name for name, user in profile.users.items() if set(user.roles) == alike[0]]
    path = folder / "schemathesis.toml"
    path.write_text(
        f"[auth.wfc]\npath = {json.dumps(str(folder / 'users.json'))}\npeers = {json.dumps(peers)}\n",
        encoding="utf-8",
    )
    return path


def peer_command(program: str, folder: Path, url: str, seconds: int, seed: int) -> list[str]:
    """Return the command that runs Schemathesis with its best settings; `folder` has its configuration."""
    return [
        program,
        "--config-file", str(folder / "schemathesis.toml"),
        "run", str(folder / "openapi.json"),
        "--url", url.rstrip("/"),
        "--phases", "examples,coverage,fuzzing,stateful",
        "--checks", "all",
        "--mode", "all",
        "--max-time", str(seconds),
        "--continue-on-failure",
        "--no-shrink",
        "--workers", "1",
        "--request-timeout", "5",
        "--seed", str(seed),
        "--generation-database", "none",
        "--report", "json",
        "--report-json-path", str(folder / "peer.json"),
        "--no-color",
    ]  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """The settings that all runs share."""

    program: str
    seconds: int
    seed: int
    budget: str
    named_rules: bool
    together: bool = False

    def peer(self, fault: str | None, seed: int) -> Outcome:
        """Run Schemathesis on a fresh service."""
        with _target(fault) as (url, folder):
            peer_config(profile_reader.load(folder / "conform.toml"), url, folder)
            described = describe(
                Catalog.load(folder / "coursio.openrpc.json"), url=url, per_function=True, strict=True
            )
            (folder / "openapi.json").write_text(json.dumps(described), encoding="utf-8")
            log = folder / "peer.log"
            # It ends by itself; the time in which it is interrupted is for when it does not.
            command = peer_command(self.program, folder, url, self.seconds, seed)
            measured = run(command, folder, self.seconds + GRACE, log)
            return outcome(measured, folder / "peer.json", log, peer_failures, peer_cases)

    def ours(self, fault: str | None, seed: int) -> Outcome:
        """Run `conform check` on a fresh service."""
        with _target(fault) as (url, folder):
            command = [
                sys.executable,
                str(ROOT / "conform.py"),
                "check",
                "--target", url,
                "--profile", str(folder / "conform.toml"),
                "--budget", self.budget,
                "--seed", str(seed),
                "--out", str(folder / "ours"),
                "--quiet",
                *(f"--rule={rule}" for rule in (FAULTS[fault].trips if fault and self.named_rules else ())),
            ]  # fmt: skip
            log = folder / "ours.log"
            measured = run(command, folder, self.seconds, log)
            return outcome(measured, folder / "ours" / "report.json", log, our_failures, our_cases)

    def both(self, fault: str | None, seed: int) -> dict[str, Outcome]:
        """Run one after the other, or both at the same time."""
        if not self.together:
            return {PEER: self.peer(fault, seed), OURS: self.ours(fault, seed)}
        with ThreadPoolExecutor(max_workers=2) as pool:
            runs = {PEER: pool.submit(self.peer, fault, seed), OURS: pool.submit(self.ours, fault, seed)}
            return {tool: run.result() for tool, run in runs.items()}


@contextlib.contextmanager
def _target(fault: str | None) -> Iterator[tuple[str, Path]]:
    """Run the service as a process; yield its URL, and a folder with its profile and the catalogue it publishes."""
    service = Service(":memory:")
    try:
        if fault is not None:
            service = FAULTS[fault](service)
        published = json.dumps(service.catalogue())
    finally:
        service.close()
    with tempfile.TemporaryDirectory(prefix="peer-") as name:
        folder = Path(name)
        (folder / "coursio.openrpc.json").write_text(published, encoding="utf-8")
        (folder / "conform.toml").write_bytes(EMBEDDED_PROFILE.read_bytes())
        process = Embedded(*(() if fault is None else ("--fault", fault)))
        process.start()
        try:
            yield process.url, folder
        finally:
            process.stop()


@contextlib.contextmanager
def installed(path: str | None) -> Iterator[str]:
    """Yield Schemathesis' executable: the one that is named, or that of an environment made for this run."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="schemathesis-") as folder:
        print("installing schemathesis …", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        programs = Path(folder) / "bin"
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "schemathesis>=4.32,<5"], check=True)
        yield str(programs / "schemathesis")


def read(path: Path) -> list[Record]:
    """Read the records of a run; the last line may be torn, where the run was killed."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


# --- the table ----------------------------------------------------------------------------------------------


def table(records: Sequence[Record]) -> str:
    """Return the table of a run's records: a header, the clean runs, the faults."""
    header = next(record for record in records if record["record"] == "run")
    clean = [record for record in records if record["record"] == "clean"]
    faults = [record for record in records if record["record"] == "fault"]
    lines = [
        f"{header['version']} and conform check --budget {header['budget']}"
        f"{' with the rules that each fault names' if header['named_rules'] else ''}: "
        f"{len(faults)} faults, {header['seconds']} s each{', side by side' if header.get('together') else ''}, "
        f"seed {header['seed']}",
        "",
        f"{'caught':<16}{'gross':>6}{PEER:>14}{OURS:>14}{'subtle':>10}{PEER:>14}{OURS:>14}",
    ]
    areas = dict.fromkeys(record["area"] for record in faults)
    for area in (*areas, None):
        chosen = [record for record in faults if area in (None, record["area"])]
        line = f"{area or 'all':<16}"
        for subtle, width in ((False, 6), (True, 10)):
            some = [record for record in chosen if record["subtle"] is subtle]
            line += f"{len(some):>{width}}" + "".join(f"{_caught(some, tool):>14}" for tool in TOOLS)
        lines.append(line)
    lines += ["", f"{'':<48}{PEER:>14}{OURS:>14}"]
    located = sum(record["located"] for record in faults)
    lines.append(f"{'caught, of all':<48}" + "".join(f"{_caught(faults, tool):>14}" for tool in TOOLS))
    lines.append(f"{'  by a rule that the fault names':<48}{'':>14}{_share(located, len(faults)):>14}")
    alarms = {tool: {tuple(each) for record in clean for each in record[tool]["new"]} for tool in TOOLS}
    lines.append(
        f"{f'false alarms on the clean service ({len(clean)} runs)':<48}"
        + "".join(f"{len(alarms[tool]):>14}" for tool in TOOLS)
    )
    everything = [*clean, *faults]
    for title, over, under, factor in (
        ("test cases per second", "cases", "seconds", 1.0),
        ("CPU per test case, ms", "cpu", "cases", 1e3),
        ("wall seconds per run", "seconds", None, 1.0),
    ):
        line = f"{title:<48}"
        for tool in TOOLS:
            below = sum(record[tool][under] for record in everything) if under else len(everything)
            above = sum(record[tool][over] for record in everything)
            line += f"{above / below * factor:>14.2f}" if below else f"{'-':>14}"
        lines.append(line)
    for tool in TOOLS:
        lines += [
            f"{tool}, {record.get('fault', 'clean')}: {' '.join(record[tool]['note'].split())}"
            for record in everything
            if record[tool]["note"]
        ]
        lines += [f"{tool}, false alarm: {' '.join(each)}" for each in sorted(alarms[tool])]
    return "\n".join(lines)


def _caught(records: Iterable[Record], tool: str) -> str:
    found = [bool(record[tool]["new"]) for record in records]
    return _share(sum(found), len(found))


def _share(some: int, of: int) -> str:
    return f"{some} ({some / of:.0%})" if of else "-"


def chosen(patterns: Sequence[str], sample: int | None, seed: int) -> list[str]:
    """Return the faults that match one of the patterns (all without any), or a sample of them, in their own order.

    Raises UsageError when a pattern matches none.
    """
    for pattern in patterns:
        if not fnmatch.filter(FAULTS, pattern):
            raise UsageError(f"--faults {pattern}: no fault has such a name")
    names = [name for name in FAULTS if not patterns or any(fnmatch.fnmatch(name, each) for each in patterns)]
    if sample is None or sample >= len(names):
        return names
    taken = set(random.Random(seed).sample(names, sample))
    return [name for name in names if name in taken]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmarks.peer_schemathesis", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--faults", action="append", default=[], metavar="PATTERN", help="like paging.* (repeatable)"
    )
    parser.add_argument("--sample", type=positive, metavar="N", help="so many of them, drawn by the seed")
    parser.add_argument(
        "--seconds", type=positive, default=20, metavar="N", help="for each tool and fault (20)"
    )
    parser.add_argument("--clean", type=positive, default=3, metavar="N", help="runs without a fault (3)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--budget", choices=("quick", "standard", "deep"), default="standard")
    parser.add_argument(
        "--named-rules", action="store_true", help="ours judges the rules that each fault names"
    )
    parser.add_argument(
        "--together", action="store_true", help="both at the same time, where there is a core for each"
    )
    parser.add_argument("--schemathesis", metavar="PATH", help="its executable (default: install it)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: reports/runs/<UTC time>-peer.jsonl"
    )
    parser.add_argument(
        "--show", type=Path, metavar="FILE", help="print the table of an earlier run, and end"
    )
    return parser


def _executable(parser: argparse.ArgumentParser, name: str | None) -> str | None:
    """Return the path of a given executable; None if none is given."""
    if name is None:
        return None
    found = shutil.which(name)
    if found is None:
        parser.error(f"--schemathesis {name}: there is no such executable")
    return str(Path(found).absolute())  # it is started in other folders


def _version(program: str) -> str:
    """Return the version of an executable."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().replace(", version", "")


def main() -> int:
    """Run both on the clean service and on the faults, and print the table."""
    parser = _parser()
    options = parser.parse_args()
    if options.show is not None:
        try:
            print(table(read(options.show)))
        except (OSError, ValueError, LookupError, StopIteration) as error:
            parser.error(f"--show {options.show}: is no record of a run: {error!r}")
        return 0
    given = _executable(parser, options.schemathesis)
    try:
        names = chosen(options.faults, options.sample, options.seed)
    except UsageError as error:
        parser.error(str(error))
    now = datetime.datetime.now(datetime.UTC)
    out: Path = options.out or ROOT / "reports" / "runs" / f"{now:%Y%m%dT%H%M%SZ}-peer.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    records: list[Record] = []
    with installed(given) as program, out.open("w", encoding="utf-8") as log:

        def put(kind: str, **members: Any) -> None:
            records.append({"record": kind, **members})
            log.write(json.dumps(records[-1]) + "\n")
            log.flush()

        bench = Bench(
            program, options.seconds, options.seed, options.budget, options.named_rules, options.together
        )
        put(
            "run",
            version=_version(program),
            seconds=bench.seconds,
            seed=bench.seed,
            budget=bench.budget,
            named_rules=bench.named_rules,
            together=bench.together,
        )
        known: dict[str, frozenset[Failure]] = dict.fromkeys(TOOLS, frozenset())
        for number in range(options.clean):
            seed = options.seed + number
            found = bench.both(None, seed)
            put("clean", seed=seed, **{tool: found[tool].record() for tool in TOOLS})
            known = {tool: known[tool] | found[tool].failures for tool in TOOLS}
            print(f"clean, seed {seed}: {_text(records[-1])}", file=sys.stderr, flush=True)
        for name in names:
            found = bench.both(name, options.seed)
            fault = FAULTS[name]
            put(
                "fault",
                fault=name,
                area=fault.area,
                subtle=fault.subtle,
                trips=list(fault.trips),
                located=any(rule in fault.trips for _, rule in found[OURS].failures - known[OURS]),
                **{tool: found[tool].record(known[tool]) for tool in TOOLS},
            )
            print(f"{name}: {_text(records[-1])}", file=sys.stderr, flush=True)
    print(table(records))
    return 0


def _text(record: Record) -> str:
    return ", ".join(
        f"{tool} {len(record[tool]['new'])} failures in {record[tool]['cases']} cases" for tool in TOOLS
    )


if __name__ == "__main__":
    sys.exit(main())
