"""A lending library: another domain, another style, every rule obeyed.

What a target may choose is chosen otherwise than usual. Another user's object → 403, an unknown book → 400,
an unknown shelf or loan → 403, destroying what was destroyed → 403, a public function with an unknown token
→ 401 (login too), undeclared members of `data` → 400, a member name given twice → 400, a trailing slash or
another case of an endpoint → 404, `pageLength` 0 or null → 400, `pageStart` 1.0 or beyond 2^31 - 1 → 400,
`pageStart` null → 200, an empty method → 404, wrong credentials → 403, U+0000 and unpaired surrogates →
400, numbers that a double rounds → 400, an error's `data` is `{}`, a body above 2 MiB → 413, other verbs →
405. Shelves are numbered, and the number of one that was taken down is used again. The list of shelves is
`data` itself, that of loans holds bare identifiers. The librarian is no member, so that loans are closed to
her. Paging members are checked on every function, paged or not.

With `--defect NAME` the server has the one defect of that name, see `library_defects`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.servers import launch
from tests.servers.library_catalog import PROFILE
from tests.servers.library_defects import DEFECTS
from tests.servers.library_model import (
    BASE,
)
from tests.servers.library_stock import Stock
from tests.servers.library_wire import Server

__all__ = ["DEFECTS", "Library", "main", "prepared", "serving"]


class Library(Stock):
    """The service: functions, their data, and what a call is answered."""


def prepared(place: Path, port: int = 0, defect: str | None = None) -> tuple[Server, launch.Ready]:
    """Return a library that listens, and where it is, with its profile and its catalogue."""
    library = Library(defect)
    server = Server(port, library)
    url = f"http://127.0.0.1:{server.server_port}{BASE}"
    catalog, profile = place / "library.openrpc.json", place / "conform.toml"
    catalog.write_text(json.dumps(library.catalog, indent=1), encoding="utf-8")
    profile.write_text(PROFILE.format(url=url, catalog=catalog.name), encoding="utf-8")
    return server, launch.Ready(url, profile, catalog)


@contextlib.contextmanager
def serving(place: Path, defect: str | None) -> Iterator[launch.Ready]:
    """Serve in a thread: it saves the start of a process, which for hundreds of defects is much of the time."""
    server, ready = prepared(place, defect=defect)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield ready
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Serve until a signal ends it."""
    parser = launch.options("A lending library that keeps the protocol, or has one known defect.")
    parser.add_argument("--defect", choices=sorted(DEFECTS), default=None)
    arguments = parser.parse_args()
    server, ready = prepared(launch.folder(arguments.dir), arguments.port, arguments.defect)
    launch.end_with(server.shutdown, parent=arguments.exit_with_parent)
    launch.ready(*ready)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
