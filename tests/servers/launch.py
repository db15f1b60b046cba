"""What the servers share: the command line, the ready line, and the end."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_made: list[Path] = []


class Ready(NamedTuple):
    """Where a server is, and what it publishes of itself."""

    url: str
    profile: Path | None
    catalog: Path | None


def options(description: str) -> argparse.ArgumentParser:
    """The options that every server has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--dir", type=Path, default=None, help="where profile and catalogue are written")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin ends")
    return parser


def folder(given: Path | None) -> Path:
    """The folder for profile and catalogue; one that was not given is removed at the end."""
    if given is None:
        _made.append(Path(tempfile.mkdtemp(prefix="conform-server-")))
        atexit.register(_clear)
        return _made[-1]
    given.mkdir(parents=True, exist_ok=True)
    return given


def _clear() -> None:
    while _made:
        shutil.rmtree(_made.pop(), ignore_errors=True)


def ready(url: str, profile: Path | None, catalog: Path | None) -> None:
    """Print the one line that says where the server is."""
    line = {
        "url": url,
        "profile": None if profile is None else str(profile),
        "catalog": None if catalog is None else str(catalog),
    }
    print(json.dumps(line), flush=True)


def end_with(end: Callable[[], None], *, parent: bool) -> None:
    """Call `end` on SIGTERM or SIGINT, and leave at once when stdin ends."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=end, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if parent:

        def watch() -> None:
            while os.read(0, 4096):
                pass
            _clear()
            os._exit(0)

        threading.Thread(target=watch, daemon=True).start()
