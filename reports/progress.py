"""What is seen of a run while it goes: a bar on a terminal, plain lines anywhere else, nothing when quiet."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from conformance.rulebook.model import AREAS
from reports.text import cut, plural, reveal, wants_color, writable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = ["Progress"]

#: So many findings are told as they come; the closing screen and the report have them all.
_TOLD = 40


class Progress:
    """Shows how far a run is. Any thread may call it.

    `advance` counts one conversation as finished. `areas` says how many each area has, so that an area's line
    is printed once its last one is done; without it, that is when another area begins.
    """

    def __init__(
        self,
        total: int,
        quiet: bool = False,
        color: bool | None = None,
        *,
        areas: Mapping[str, int] | None = None,
        file: TextIO | None = None,
    ) -> None:
        self._file = file or sys.stderr
        self._quiet = quiet
        self._total = total
        self._areas = dict(areas or {})
        self._done: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._open: dict[str, None] = {}
        self._seen: set[tuple[str, str | None, str]] = set()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._closed = False
        self._color = wants_color(self._file) if color is None else color
        self._bar: Bar | None = None
        self._task: Any = 0
        if not quiet and self._live():
            self._bar = _bar(self._file, self._color)
            self._task = self._bar.add_task("starting", total=total)
            self._bar.start()

    def _live(self) -> bool:
        """Whether it is a terminal that a bar can be drawn on."""
        try:
            terminal = self._file.isatty()
        except ValueError:
            return False
        return terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")

    def advance(self, name: str, area: str | None = None) -> None:
        """Count a conversation as finished; `area` (its name, unless told) is what the lines are about."""
        with self._lock:
            if self._closed:
                return
            area = area or name
            self._done[area] += 1
            if self._bar is not None:
                self._bar.update(self._task, advance=1, description=cut(reveal(name), 30).ljust(30))
                return
            if not self._areas:
                for other in [other for other in self._open if other != area]:
                    self._finish(other)
            self._open[area] = None
            if self._done[area] == self._areas.get(area):
                self._finish(area)

    def finding(self, rule: str, function: str | None, message: str, area: str | None = None) -> None:
        """Tell of a finding, unless the same was told before; `area` is the one to count it for."""
        with self._lock:
            key = (rule, function, message)
            if self._closed or key in self._seen:
                return
            self._seen.add(key)
            self._found[area or rule.split("-")[0]] += 1
            if len(self._seen) > _TOLD + 1:
                return
            if len(self._seen) == _TOLD + 1:
                self._say("… more findings; they are in the report", "yellow")
                return
            where = f"  {cut(function, 60)}" if function else ""
            self._say(f"✗ {rule}{where}  {cut(message, 200)}", "red")

    def close(self) -> None:
        """Take the bar away, or say what was not said yet; closing twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._bar is not None:
                self._bar.stop()
                return
            for area in list(self._open):
                self._finish(area)

    def _finish(self, area: str) -> None:
        self._open.pop(area, None)
        done, planned = self._done[area], self._areas.get(area)
        count = f"{done} of {planned}" if planned and planned != done else str(done)
        every = sum(self._done.values())
        letters = next((short for short, name in AREAS.items() if name == area != short), None)
        found = self._found.get(area, 0) + (self._found.get(letters, 0) if letters else 0)
        told = plural(found, "finding") if found else "nothing found"
        passed = time.monotonic() - self._began
        self._say(f"{AREAS.get(area, area)}: {count} done, {told} ({every}/{self._total}, {passed:.1f} s)")

    def _say(self, text: str, style: str = "") -> None:
        if self._quiet:
            return
        text = writable(reveal(text), getattr(self._file, "encoding", None))
        if self._bar is not None:
            self._bar.console.print(text, style=style or None, soft_wrap=True)
            return
        if style and self._color:
            codes = {"red": "31", "yellow": "33"}
            text = f"\x1b[{codes[style]}m{text}\x1b[0m"
        self._file.write(text + "\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _bar(file: TextIO, color: bool) -> Bar:
    # Rich takes a tenth of a second to import, which a run without a terminal need not wait for.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(
        file=file,
        force_terminal=True,
        no_color=not color,
        color_system="standard" if color else None,
        markup=False,
        highlight=False,
        emoji=False,
    )
    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=8,
    )
