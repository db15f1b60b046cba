"""Shows the progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from msgspec import UNSET

from conformance.events import Event, FindingEvent, LoadEvent, MarkEvent, SecondEvent, given
from conformance.text import cut, reveal, wants_color, writable
from conformance.units import format_duration, format_milliseconds
from reports.text import plural

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

__all__ = ["LoadProgress", "Progress", "bar_line", "load_line"]

#: Findings that are shown during a run. The closing screen and the report have all of them.
MAX_LIVE_FINDINGS = 12

#: Where there is no bar, at most one line is written in so many seconds.
SECONDS_BETWEEN_LINES = 10.0
#: Rules that such a line names.
MAX_NAMED_RULES = 5
#: The time left is not known before this share of a run is done, and so many seconds have passed.
MIN_SHARE_FOR_TIME = 0.02
MIN_SECONDS_FOR_TIME = 1.0


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

    def finding(self, rule: str, function: str | None, message: str, *, fails: bool = True) -> None:
        """Show a finding once; `fails` says whether it fails the gate."""
        with self._lock:
            key = (rule, function, message)
            if self._closed or key in self._seen:
                return
            self._seen.add(key)
            self._count(rule)
            if len(self._seen) > MAX_LIVE_FINDINGS + 1:
                return
            if len(self._seen) == MAX_LIVE_FINDINGS + 1:
                self._write("… more findings; they are in the report", "yellow")
                return
            where = f"  {cut(function, 60)}" if function else ""
            sign, style = ("✗", "red") if fails else ("!", "yellow")
            self._write(f"{sign} {rule}{where}  {cut(message, 200)}", style)

    def _count(self, rule: str) -> None:
        """Count a finding of a rule."""

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
    """Shows the share of a run that is done, the time left, and the findings so far.

    On a terminal that is a bar, with the first findings above it; elsewhere a line every ten seconds at most. Each test
    counts with the calls that it is expected to make; `total` is their sum, and `tests` the number of tests.
    """

    def __init__(
        self,
        tests: int,
        quiet: bool = False,
        color: bool | None = None,
        *,
        total: float | None = None,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(quiet, color, file)
        self._tests = tests
        self._total = max(total if total is not None else tests, 1e-9)
        self._ended = 0
        self._done = 0.0
        self._rules: Counter[str] = Counter()
        self._clock = clock
        self._began = self._written = clock()
        self._begin("", tests)

    def advance(self, calls: float = 1.0) -> None:
        """Count a test of so many expected calls as finished."""
        with self._lock:
            if self._closed:
                return
            self._ended += 1
            self._done = min(self._done + calls, self._total)
            if self._bar is not None:
                self._show()
            elif self._clock() - self._written >= SECONDS_BETWEEN_LINES:
                self._written = self._clock()
                self._write(self._line())

    def _share(self) -> float:
        """Return the part of the run that is done: 1 only when the last test ended."""
        return 1.0 if self._ended >= self._tests else min(self._done / self._total, 0.99)

    def _left(self) -> str:
        """Return the time that is left, estimated from the tests so far; empty while they are too few."""
        share, passed = self._share(), self._clock() - self._began
        if share >= 1.0 or share < MIN_SHARE_FOR_TIME or passed < MIN_SECONDS_FOR_TIME:
            return ""
        return f"{format_duration(passed * (1 - share) / share)} left"

    def _findings(self, *, rules: int) -> str:
        """Return the findings so far, with this number of their rules."""
        if not self._rules:
            return "no finding"
        named = ", ".join(list(self._rules)[:rules])
        more = len(self._rules) - rules
        shown = (
            f" ({named}{f' and {more} more rules' if more > 1 else ' and 1 more rule' if more == 1 else ''})"
        )
        return plural(self._rules.total(), "finding") + (shown if rules else "")

    def _line(self) -> str:
        parts = [f"{self._share():4.0%}", f"{self._ended} of {plural(self._tests, 'test')}", self._left()]
        return "  ".join(part for part in (*parts, self._findings(rules=MAX_NAMED_RULES)) if part)

    def _show(self) -> None:
        """Show the state at the bar."""
        assert self._bar is not None
        done = self._share() * self._tests
        text = "  ".join(part for part in (self._left(), self._findings(rules=0)) if part)
        self._bar.update(self._task, completed=done, description=text)

    def finding(self, rule: str, function: str | None, message: str, *, fails: bool = True) -> None:
        """Count a finding; on a terminal, show the first ones above the bar."""
        with self._lock:
            key = (rule, function, message)
            if self._closed or key in self._seen:
                return
            if self._bar is not None:
                super().finding(rule, function, message, fails=fails)
                self._show()
            else:
                self._seen.add(key)
                self._rules[rule] += 1

    def _count(self, rule: str) -> None:
        self._rules[rule] += 1


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
        least = SECONDS_BETWEEN_LINES if os.environ.get("CI") else 1.0
        self._every = every or max(math.ceil(least), math.ceil(min(seconds, 3600.0) / 60))
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
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        *((BarColumn(bar_width=None), TaskProgressColumn()) if share else ()),
        TextColumn("{task.description}", markup=False),
        *(() if share else (BarColumn(bar_width=8),)),
        console=_console(file, color),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=8,
    )
