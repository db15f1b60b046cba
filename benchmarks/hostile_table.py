"""Show what `conform check` reports of each target that misbehaves: one line each, from whole runs of the command.

Run `python -m benchmarks.hostile_table`. Each misbehaviour of `fixtures/hostile` is run twice: for every request, and
for every 40th request. In the second run the reference service is behind it, with a fault that must be found first
(HTTP-2). Misbehaviours that need no service behind them have the first run only.

A line has the exit status, the seconds, the suite's peak memory, the size of what it wrote, and the first line of the
report. A second line names what is wrong: a traceback, `ours` (the suite blames itself), `lost` (the report lacks what
the fault shows), `status`, `words`, `memory` (over 500 MB).

Arguments select misbehaviours by name. `--timeout` is the profile's for one call, and `--budget` is the command's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

from conformance.text import reveal
from fixtures.hostile import HOSTILE, Server
from reports.model.files import validate

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / "fixtures" / "service"
#: A defect of the service behind, and the rule that must be found broken in spite of everything.
FAULT, RULE = "http.patch-says-success", "HTTP-2"
#: What a unit of ru_maxrss is, in bytes.
UNIT = 1 if sys.platform == "darwin" else 1024
MOST_MEMORY = 500e6
#: A run has its own deadline; what is still there so long after it hangs.
DEADLINES = {"quick": 300.0, "standard": 1800.0}


@dataclass
class Ran:
    """One run of the command on one server."""

    name: str
    status: int
    seconds: float
    memory: float
    written: int
    says: str
    wrong: list[str] = field(default_factory=list)


def profile_in(folder: Path, timeout: float, *, whole: bool = True) -> Path:
    """Write a profile with this timeout, and return it: the reference service's, or one with nothing else in it."""
    path = folder / "conform.toml"
    if not whole:
        path.write_text(f"[target]\ntimeout = {timeout}\n", encoding="utf-8")
        return path
    text = (SERVICE / "conform.toml").read_text("utf-8")
    text = text.replace("[target]", f"[target]\ntimeout = {timeout}", 1)
    text = text.replace('"coursio.openrpc.json"', json.dumps(str(SERVICE / "coursio.openrpc.json")))
    path.write_text(text, encoding="utf-8")
    return path


def high_water(pid: int) -> float:
    """Return the most memory that a process had so far, in bytes, where the system reports it.

    The usage that is reported at its end counts what the parent had when it was forked, too.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s*(\d+) kB", text)
    return int(found[1]) * 1024.0 if found else 0.0


def run(
    server: Server, name: str, *options: str, timeout: float, budget: str, found: bool, whole: bool = True
) -> Ran:
    """Check a server, as a process of its own, and look at what is left of it.

    `found` says that something is to be found in any case; without `whole` the profile knows no user and no function.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        out, output = folder / "out", folder / "told"
        profile = profile_in(folder, 10.0 if server.kind.large else timeout, whole=whole)
        command = [
            sys.executable, str(ROOT / "conform.py"), "check", "--target", server.url, "--seed", "7",
            "--profile", str(profile), "--budget", budget, "--out", str(out), *options,
        ]  # fmt: skip
        began = time.monotonic()
        with output.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        hung, peak = False, 0.0
        while True:
            peak = max(peak, high_water(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > DEADLINES[budget] + 90:
                hung = True
                process.kill()
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        screen = output.read_text("utf-8", "replace")
        ran = Ran(
            name,
            process.returncode,
            time.monotonic() - began,
            peak or usage.ru_maxrss * UNIT,
            sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
            "",
        )
        if hung:
            ran.wrong.append("deadline")
        if ran.memory > MOST_MEMORY:
            ran.wrong.append("memory")
        if "Traceback" in screen:
            ran.wrong.append(screen[screen.index("Traceback") :][-600:])
        if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", screen):
            ran.wrong.append("screen")
        _look(ran, server, out, found=found, always=server.every == 1 and server.after == 0)
    return ran


def strict(text: str) -> Any:
    """Read JSON as RFC 8259 has it."""

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def _look(ran: Ran, server: Server, out: Path, *, found: bool, always: bool) -> None:
    try:
        report: dict[str, Any] = strict((out / "report.json").read_text("utf-8"))
        validate(report)
        for path in out.rglob("*.json"):
            strict(path.read_text("utf-8"))
        with (out / "events.jsonl").open(encoding="utf-8") as lines:
            for each in lines:
                strict(each)
        ElementTree.parse(out / "junit.xml")
    except (OSError, ValueError, ElementTree.ParseError) as error:
        ran.wrong.append(f"report: {error}"[:80])
        return
    ran.says = report["reason"]
    ours = [error["message"] for error in report["errors"] if error["ours"]]
    if ours:
        ran.wrong.append(f"ours: {ours[0]}"[:200])
    kind = server.kind
    allowed = kind.statuses if not found else {*kind.statuses, 1} - {0}
    if ran.status not in allowed and (always or not found):
        ran.wrong.append("status")
    if found and not any(rule["id"] == RULE and rule["findings"] for rule in report["rules"]):
        ran.wrong.append("lost")
    if found and ran.status != 1:
        ran.wrong.append("status")
    everything = json.dumps(report, ensure_ascii=False)
    if not found and re.search(kind.reports, everything) is None:
        ran.wrong.append("words")


def line(ran: Ran) -> str:
    """Return a line of the table."""
    return (
        f"{ran.name:<34}{ran.status:>4}{ran.seconds:>8.1f}{ran.memory / 1e6:>7.0f}{ran.written / 1e6:>7.1f}  "
        f"{reveal(ran.says)[:150]}" + (f"\n    !! {'; '.join(ran.wrong)}" if ran.wrong else "")
    )


def main() -> int:
    """Print one line for each run; end with 1 where something is wrong."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.hostile_table", description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--timeout", type=float, default=2.0)
    options.add_argument("--budget", choices=tuple(DEADLINES), default="quick")
    options.add_argument("--only", choices=("always", "sometimes"))
    options.add_argument("--check", action="append", default=[], metavar="OPTION", help="for conform check")
    options.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    chosen = options.parse_args()
    print(f"{'target':<34}{'exit':>4}{'s':>8}{'MB':>7}{'out MB':>7}  the report says", flush=True)
    rows: list[tuple[str, bool]] = []
    for name in chosen.names or HOSTILE:
        kind = HOSTILE[name]
        if chosen.only != "sometimes":
            rows.append((name, False))
        if chosen.only != "always" and kind.scheme == "http" and kind.listens and not kind.options:
            rows.append((name, True))

    def meet(row: tuple[str, bool]) -> Ran:
        name, sometimes = row
        kind = HOSTILE[name]
        if not sometimes:
            server = Server(name)
        elif kind.every > 1 or kind.after:
            server = Server(name, every=kind.every, after=kind.after, options=("--fault", FAULT))
        else:
            server = Server(name, every=40, options=("--fault", FAULT))
        with server:
            ran = run(
                server,
                "  at times" if sometimes else name,
                *chosen.check,
                timeout=chosen.timeout,
                budget=chosen.budget,
                found=sometimes,
            )
            if server.strayed:
                ran.wrong.append(f"{len(server.strayed)} requests went to another host")
        return ran

    wrong = 0
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for ran in pool.map(meet, rows):
            wrong += bool(ran.wrong)
            print(line(ran), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
