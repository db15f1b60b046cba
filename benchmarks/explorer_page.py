"""Measure the documentation page of a large catalogue: its size, the time to read it back, and the time until it is
usable.

    python -m benchmarks.explorer_page [--endpoints 60] [--functions 10] [--no-browser]

The last figure needs Chromium.
"""

from __future__ import annotations

import argparse
import http.server
import statistics
import threading
import time
from typing import Any

from conformance.catalog import documentation_page as docpage
from conformance.catalog.importing import merging
from fixtures import explorer


def methods(endpoints: int, functions: int) -> list[dict[str, Any]]:
    """Return a catalogue of so many endpoints with so many functions each, of four parameters."""
    params: list[dict[str, Any]] = [
        {
            "name": "objectId",
            "required": True,
            "schema": {"type": "integer", "minimum": 1, "x-ref": "object"},
        },
        {"name": "query", "schema": {"type": ["string", "null"], "maxLength": 200, "default": None}},
        {
            "name": "status",
            "schema": {"type": "string", "enum": ["draft", "open", "closed"], "default": "draft"},
        },
        {
            "name": "tags",
            "schema": {"type": "array", "items": {"type": "string", "maxLength": 30}, "maxItems": 10},
        },
    ]
    described = [{**param, "description": f"What the {param['name']} of the object is"} for param in params]
    return [
        {
            "name": f"entity{at}.function{number}",
            "description": f"Do number {number} to what entity{at} holds, and say what came of it.",
            "params": described,
            "x-auth": "session",
            "x-effect": "read",
        }
        for at in range(endpoints)
        for number in range(functions)
    ]


def served(page: bytes, catalogue: bytes) -> http.server.ThreadingHTTPServer:
    """Serve the page on a free port of the loopback address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            found = {
                "": ("text/html; charset=utf-8", page),
                "catalogue.json": ("application/json", catalogue),
            }
            kind, body = found.get(name) or explorer.asset(name) or ("text/plain", b"")
            self.send_response(200)
            for field, value in {
                **explorer.HEADERS,
                "Content-Type": kind,
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(field, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--endpoints", type=int, default=60)
    options.add_argument("--functions", type=int, default=10)
    options.add_argument("--no-browser", action="store_true")
    chosen = options.parse_args()
    listed = methods(chosen.endpoints, chosen.functions)
    begun = time.perf_counter()
    page = explorer.page(listed, {"mode": "direct", "base": "/api/", "title": "A large API"})
    made = time.perf_counter() - begun
    forms = explorer.catalogue(listed)
    files = sum(len(found[1]) for name in explorer.ASSETS if (found := explorer.asset(name)))
    total = len(page) + len(forms) + files
    print(f"{len(listed)} functions of {chosen.endpoints} endpoints")
    print(
        f"made in {made * 1000:.0f} ms: page {len(page):,} B + forms {len(forms):,} B + files {files:,} B = {total:,} B"
    )
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        title, functions, _ = docpage.read(page.decode())
        merging.build(title, functions, ["page"])
        times.append(time.perf_counter() - begun)
    assert len(functions) == len(listed)
    print(f"read into a catalogue: median of 5 {statistics.median(times) * 1000:.0f} ms")
    if chosen.no_browser:
        return
    from tests.support.browsing import browser

    server = served(page, forms)
    with browser() as running:
        ready, opened = [], []
        for _ in range(5):
            tab = running.new_page()
            tab.goto(f"http://127.0.0.1:{server.server_port}/")
            tab.wait_for_selector("html[data-ready]")
            # Modules have run when this event ends.
            event = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
            ready.append(float(tab.evaluate(event)))
            begun = time.perf_counter()
            tab.click("#toggle-all")
            tab.locator("li.procedure > details > summary").last.wait_for()
            opened.append(time.perf_counter() - begun)
            tab.close()
    server.shutdown()
    print(f"can be used after: median of 5 {statistics.median(ready):.0f} ms")
    print(f"all endpoints opened in: median of 5 {statistics.median(opened) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
