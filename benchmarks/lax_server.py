"""Measure whether runs leave the objects of others alone, on a server that accepts nearly anything as an identifier.

Each line is one run: its requests, and whether the objects from before the run are byte for byte what they were. The
exit status is 1 where one of them is not. `--switch NAME` tries one kind of laxness; without it all kinds are on at
once. `--short` leaves out the deep check and the rules one by one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.rulebook import RULES
from tests.servers import lax

ROOT = Path(__file__).resolve().parent.parent


def runs(short: bool) -> list[list[str]]:
    """Return the command lines that are run, without profile and output folder."""
    found = [["check", "--budget", "quick"], ["check"], ["load", "--duration", "20s", "--rate", "20/s"]]
    if not short:
        found += [["verify", "--budget", "quick"], ["check", "--budget", "deep", "--for", "120s"]]
        found += [["check", "--budget", "quick", "--rule", rule] for rule in RULES]
    return found


def main() -> int:
    """Run everything and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switch", action="append", default=[], help="one kind of laxness; may be repeated")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    switches = options.switch or [*lax.LAXNESS, "body", "missing"]
    changed = 0
    for arguments in runs(options.short):
        with tempfile.TemporaryDirectory() as name, lax.serving(*switches) as (server, url):
            folder = Path(name)
            command = [
                sys.executable,
                "-m",
                "conform",
                *arguments,
                "--profile",
                str(lax.profile(folder, url)),
            ]
            command += ["--seed", str(options.seed), "--out", str(folder / "out")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            report = folder / "out" / "report.json"
            requests = json.loads(report.read_text("utf-8")).get("requests") if report.is_file() else None
            same = server.dump() == server.before
            left = len(server.left())
            changed += not same or requests is None
            print(
                f"{' '.join(arguments):44} status {done.returncode}  {requests} requests  {left} left  "
                + ("unchanged" if same else "CHANGED"),
                flush=True,
            )
            if requests is None:
                print(done.stderr[-500:])
    return min(1, changed)


if __name__ == "__main__":
    sys.exit(main())
