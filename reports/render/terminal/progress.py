"""Shows the progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from msgspec import UNSET

from conformance.events import Event, FindingEvent, LoadEvent, MarkEvent, SecondEvent, given
from conformance.rulebook.model import AREAS
from conformance.text import cut, reveal, wants_color, writable
from conformance.units import format_milliseconds
from reports.text import plural

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

__all__ = ["LoadProgress", "Progress", "bar_line", "load_line"]

#: Findings that are shown during a run. The closing screen and the report have all of them.
MAX_LIVE_FINDINGS = 40


class _LineWriter:
    """Writes lines, above a bar if there is one, and nothing when quiet. Thread-safe."""

    def __init__(self, quiet: bool, color: bool | None, file: TextIO | None) -> None:
        self._file = file or sys.stderr
        self._quiet = quiet
        self._seen: set[tuple[str, str | None, str]] = set()
        self._lock = threading.RLock()
        self._closed = False
        self._color = wants_color(self._file) if color is None else color
        self._bar: Bar | None = None
        self._task: Any = 0

    def _begin(self, text: str, total: int | None, *, share: bool = True) -> None:
        """Show a bar if the output is a terminal that can show one."""
        if not self._quiet and self._can_show_bar():
            self._bar = _bar(self._file, self._color, share=share)
            self._task = self._bar.add_task(text, total=total)
            self._bar.start()

    def _can_show_bar(self) -> bool:
        """Return whether the output is a terminal that can show a bar."""
        try:
            terminal = self._file.isatty()
        except ValueError:
            return False
        return terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")

    def finding(
        self, rule: str, function: str | None, message: str, area: str | None = None, *, fails: bool = True
    ) -> None:
        """Show a finding once; it counts for `area`, and `fails` says whether it fails the gate."""
        with self._lock:
            key = (rule, function, message)
            if self._closed or key in self._seen:
                return
            self._seen.add(key)
            self._count(area or rule.split("-")[0])
            if len(self._seen) > MAX_LIVE_FINDINGS + 1:
                return
            if len(self._seen) == MAX_LIVE_FINDINGS + 1:
                self._write("… more findings; they are in the report", "yellow")
                return
            where = f"  {cut(function, 60)}" if function else ""
            sign, style = ("✗", "red") if fails else ("!", "yellow")
            self._write(f"{sign} {rule}{where}  {cut(message, 200)}", style)

    def _count(self, area: str) -> None:
        """Count a finding for an area."""

    def close(self) -> None:
        """Remove the bar, or write the remaining lines; closing twice is allowed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._bar is not None:
                self._bar.stop()
                return
            self._write_remaining()

    def _write_remaining(self) -> None:
        """Write the lines that are still due."""

    def _write(self, text: str, style: str = "") -> None:
        if self._quiet:
            return
        text = writable(reveal(text), getattr(self._file, "encoding", None))
        if self._bar is not None:
            self._bar.console.print(text, style=style or None, soft_wrap=True)
            return
        with contextlib.suppress(OSError):  # a run goes on even if its output is closed
            if style and self._color:
                _console(self._file, self._color).print(text, style=style, soft_wrap=True)
            else:
                self._file.write(text + "\n")
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Progress(_LineWriter):
    """Shows how many tests of a run are finished.

    `areas` has the number of tests of each area, so that an area's line is written when its last test is finished.
    Without it, the line is written when a test of another area begins.
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
        super().__init__(quiet, color, file)
        self._total = total
        self._areas = dict(areas or {})
        self._done: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._open: dict[str, None] = {}
        self._began = time.monotonic()
        self._begin("starting", total)

    def advance(self, name: str, area: str | None = None) -> None:
        """Count a test as finished; `area`, by default its name, is the area that it counts for."""
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

    def _count(self, area: str) -> None:
        self._found[area] += 1

    def _write_remaining(self) -> None:
        for area in list(self._open):
            self._finish(area)

    def _finish(self, area: str) -> None:
        self._open.pop(area, None)
        done, planned = self._done[area], self._areas.get(area)
        count = f"{done} of {planned}" if planned and planned != done else str(done)
        every = sum(self._done.values())
        letters = next((short for short, name in AREAS.items() if name == area != short), None)
        found = self._found.get(area, 0) + (self._found.get(letters, 0) if letters else 0)
        findings = plural(found, "finding") if found else "nothing found"
        passed = time.monotonic() - self._began
        self._write(
            f"{AREAS.get(area, area)}: {count} done, {findings} ({every}/{self._total}, {passed:.1f} s)"
        )


class LoadProgress(_LineWriter):
    """Shows a load: a line for every few seconds, or a bar on a terminal that is updated each second.

    A line covers the seconds since the one before: the rates asked for and reached, latencies from the moment due,
    failed requests, and how late arrivals were taken up. `every` is the number of seconds that a line covers.
    Findings of `lenient` rules do not fail the gate.
    """

    def __init__(
        self,
        seconds: float,
        quiet: bool = False,
        color: bool | None = None,
        *,
        every: int | None = None,
        file: TextIO | None = None,
        lenient: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(quiet, color, file)
        self._lenient = lenient
        # About sixty lines for a load of up to an hour, and one a minute for a longer one.
        self._every = every or max(1, math.ceil(min(seconds, 3600.0) / 60))
        self._waiting: list[SecondEvent] = []
        self._tasks = False
        self._begin("getting ready", None if math.isinf(seconds) else math.ceil(seconds), share=False)

    def say(self, text: str, style: str = "") -> None:
        """Write a line."""
        with self._lock:
            self._write(text, style)

    def take(self, event: Event) -> None:
        """Show an event of the load, if its type is shown."""
        with self._lock:
            if isinstance(event, LoadEvent):
                self._tasks = event.executor == "tasks"
            elif isinstance(event, SecondEvent):
                self._second(event)
            elif isinstance(event, MarkEvent):
                text = f": {cut(event.text, 160)}" if event.text else ""
                self._write(f"{given(event.at) or 0.0:6.4g} s  {event.kind}{text}", "yellow")
            elif isinstance(event, FindingEvent):
                fails = event.rule not in self._lenient
                self.finding(event.rule, event.function, event.message or "", fails=fails)

    def _second(self, event: SecondEvent) -> None:
        self._waiting.append(event)
        if self._bar is not None:
            self._bar.update(self._task, completed=_end_of(event), description=bar_line(event))
            self._waiting.clear()
        elif len(self._waiting) >= self._every:
            self._write_remaining()

    def _write_remaining(self) -> None:
        if self._waiting:
            self._write(load_line(self._waiting, self._tasks))
            self._waiting.clear()


def _end_of(second: SecondEvent) -> int:
    """Return the moment at which a second of the load ends, in seconds from its start."""
    return int(given(second.at) or 0) + 1


def bar_line(second: SecondEvent) -> str:
    """Return one second of a load as text that fits beside a bar in 80 columns."""
    asked = f"/{second.asked:.0f}" if second.asked is not None else ""
    p50, p95, p99, late = (
        f"{value:.0f}" if value >= 100 else f"{value:.2g}"
        for value in (second.p50 or 0.0, second.p95 or 0.0, second.p99 or 0.0, second.lag or 0.0)
    )
    lag = f" · lag {late}" if asked else ""
    served = second.done if second.served is UNSET else second.served
    errors = second.failed + (given(second.no_connection) or 0)
    return f"{served}{asked} per s · p50 {p50} · p95 {p95} · p99 {p99} ms · errors {errors}{lag}"


def load_line(seconds: Sequence[SecondEvent], tasks: bool = False) -> str:
    """Return one line on some seconds of a load; with `tasks`, an arrival makes several requests."""
    from load.metrics.histogram import Histogram  # imports numpy, which a run without a load does not need

    count = len(seconds)
    due = Histogram()
    for second in seconds:
        if second.due:
            due.merge(Histogram.decode(second.due))
    asked = [second.asked for second in seconds if second.asked is not None]
    failed = sum(second.failed + (given(second.no_connection) or 0) for second in seconds)
    p50, p95, p99 = (
        format_milliseconds(value / 1000) if due.count else "·" for value in due.percentiles((50, 95, 99))
    )
    parts = [f"{_end_of(seconds[-1]):6.0f} s"]
    if asked:
        parts.append(f"{'tasks' if tasks else 'asked'} {sum(asked) / count:7.1f}/s")
    parts += [
        *_rates(seconds),
        f"p50 {p50:>8}",
        f"p95 {p95:>8}",
        f"p99 {p99:>8}",
        f"errors {failed}",
    ]
    if dropped := sum(second.dropped for second in seconds):
        parts.append(f"dropped {dropped}")
    if renewed := sum(given(second.renewed) or 0 for second in seconds):
        parts.append(f"renewed {renewed}")
    if asked:
        parts.append(f"lag {format_milliseconds(max(second.lag or 0.0 for second in seconds))}")
    return "  ".join(parts)


def _rates(seconds: Sequence[SecondEvent]) -> list[str]:
    """Return the rates of answered and served requests."""
    count = len(seconds)
    if any(second.served is UNSET for second in seconds):
        return [f"reached {sum(second.done for second in seconds) / count:7.1f}/s"]
    answered = sum(given(second.answered) or 0 for second in seconds)
    served = sum(given(second.served) or 0 for second in seconds)
    return [f"answered {answered / count:7.1f}/s", f"served {served / count:7.1f}/s"]


def _console(file: TextIO, color: bool) -> Console:
    """Return a console that writes plain text, in colour if asked, and interprets nothing in it."""
    # Slow to import (a tenth of a second), and needed for colour and bars only.
    from rich.console import Console

    return Console(
        file=file,
        force_terminal=True,
        no_color=not color,
        color_system="standard" if color else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def _bar(file: TextIO, color: bool, *, share: bool = True) -> Bar:
    # Slow to import (a tenth of a second), and needed on a terminal only.
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None if share else 8),
        *((MofNCompleteColumn(),) if share else ()),
        *((TimeElapsedColumn(),) if share else ()),
        console=_console(file, color),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=8,
    )
