"""Measure what it costs to render a run and to open its report: 1,000 findings, and a load of one hour.

    python -m benchmarks.report_cost            seconds of this process, sizes, memory; and Chromium, where there is one
    python -m benchmarks.report_cost RUN        the same for a run in a folder

Nothing is asserted.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from reports.model.files import render
from reports.model.store import read_run
from tests.support.browsing import browser
from tests.support.reporting import large, load_part


def main() -> None:
    """Print the figures."""
    report = (
        read_run(Path(sys.argv[1])).report if sys.argv[1:] else large(1000) | {"load": load_part(3600, 100)}
    )
    began = time.process_time()
    files = render(report)
    spent = time.process_time() - began
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"rendered in {spent:.2f} s of the processor, {most:.0f} MB at most: ", end="")
    print(", ".join(f"{name} {len(data) / 1e6:.2f} MB" for name, data in files.items()))
    with tempfile.TemporaryDirectory() as folder, browser() as running:
        path = Path(folder) / "report.html"
        path.write_bytes(files["report.html"])
        page = running.new_page()
        page.goto("about:blank")
        page.goto(path.as_uri())
        load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        print(f"Chromium has it after {load:.0f} ms")


if __name__ == "__main__":
    main()
