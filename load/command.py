"""Runs Locust for `conform load` in a process of its own: starts it, reads its events, and stops it.

Locust patches sockets through gevent, so it never runs in the process of the command. Its command line is one that a
person could type. The URL of the target, which may contain a password, is passed in the environment; secrets are in the
profile. Locust sends its events as JSON lines over a pipe.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.events import ErrorEvent, Event, EventError, LoadEndEvent, LoadEvent, RefusedEvent, decode
from conformance.rulebook import own_rules
from load import calibration as null
from load.metrics import slo
from load.metrics.health import Calibration, cores
from load.options import Settings, Wish
from load.workload.seen import MIX_FILE

__all__ = [
    "EVENTS",
    "LOG",
    "Interrupts",
    "Locust",
    "calibrate",
    "carry_out",
    "plan_text",
    "samples_short",
    "work",
]

ROOT = Path(__file__).resolve().parent.parent
LOCUSTFILE = ROOT / "load" / "locustfile.py"

#: The environment variable that names where the load writes its events.
EVENTS = "CONFORM_LOAD_EVENTS"
#: The log of Locust itself, beside the events.
LOG = "locust.log"

#: A second Ctrl-C within so many seconds counts as the same one.
_SAME_SIGNAL_SECONDS = 0.5
#: The wait for workers to end after they were asked to.
_MAX_END_SECONDS = 30.0

#: The command that starts Locust. It imports no module of the current folder, and reads no configuration file.
_LOCUST = (sys.executable, "-P", "-m", "load.locust_plugin.main", "-f", str(LOCUSTFILE))

#: The wait for workers that the load starts itself, and for those that people start.
MAX_START_SECONDS = 60
MAX_WAIT_SECONDS = 300


@dataclass
class Locust:
    """Locust in a process of its own. `log` is the file of its messages; `further` are arguments that are passed on."""

    wish: Wish
    settings: Settings
    profile: Path | None
    url: str
    seed: int
    log: Path
    read_only: bool = False
    rule_files: tuple[Path, ...] = ()
    calibration: Calibration | None = None
    master: bool = False
    port: int = 5557
    further: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pipe: int = field(default=-1, init=False)

    @property
    def patience(self) -> int:
        """The longest wait for workers, in seconds."""
        return MAX_WAIT_SECONDS if self.master else MAX_START_SECONDS

    @property
    def awaited(self) -> str | None:
        """What the load waits for before it begins, in one line; None if it starts its workers itself."""
        if not self.master:
            return None
        many = "1 worker" if self.settings.workers == 1 else f"{self.settings.workers} workers"
        return (
            f"waiting for {many} on port {self.port}, for {self.patience} s at most: start each by "
            f"conform load --worker --master-host HOST --master-port {self.port}"
        )

    def line(self) -> list[str]:
        """Return the command line."""
        settings = self.settings
        line = [*_LOCUST, "--headless", "--only-summary", f"--expect-workers-max-wait={self.patience}"]
        if self.profile is not None:
            line.append(f"--profile={self.profile.resolve()}")
        # There is always a rate or a search: Locust always has users, and without either they would be closed ones.
        ours = ("--users=", "--rate=", "--search=", "--scenario-file=", "--mix-from=")
        line += [one for one in self.wish.arguments() if not one.startswith(ours)]
        if settings.wording is not None:
            line.append(f"--{'rate' if settings.search is None else 'search'}={settings.wording}")
        if settings.scenario_file is not None:
            # Locust runs in another folder.
            line.append(f"--scenario-file={settings.scenario_file}")
        if settings.seen is not None:
            # It reads what was taken from the capture, and never the capture.
            line.append(f"--mix-from={self.log.resolve().with_name(MIX_FILE)}")
        line += [
            f"--users={settings.users}",
            f"--spawn-rate={max(100, settings.users)}",
            f"--seed={self.seed}",
        ]
        line += ["--read-only"] * self.read_only
        line += [f"--rules={file.resolve()}" for file in self.rule_files]
        if self.calibration is not None:
            line.append(f"--calibration={self.calibration.rate:.6g},{self.calibration.cpu_us:.6g}")
        if self.master:
            line += ["--master", f"--expect-workers={settings.workers}", f"--master-bind-port={self.port}"]
        elif settings.workers > 1:
            # On a port of its own, no other load on this machine or another gets these workers.
            port = _free_port()
            line += [f"--processes={settings.workers}", "--master-bind-host=127.0.0.1"]
            line += [f"--master-bind-port={port}", f"--master-port={port}"]
        return [*line, *self.further]

    def start(self) -> None:
        """Start Locust; raises OSError if that fails."""
        if self.settings.seen is not None:
            self.settings.seen.mix.write(self.log.with_name(MIX_FILE))
        self._pipe, end = os.pipe()
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603  (our own interpreter, our own options)
                    self.line(),
                    # Files that Locust writes to a relative path are put beside the report. No configuration of Locust
                    # is there.
                    cwd=self.log.parent,
                    env=environment(self.url, events=f"/dev/fd/{end}"),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(end,),
                    # Ctrl-C is handled here, and passed on.
                    start_new_session=True,
                )
        finally:
            os.close(end)

    def events(self) -> Iterator[Event]:
        """Yield the events that it writes, until it has ended."""
        assert self._process is not None
        # A child process that outlives it would leave the pipe open for ever.
        watch = threading.Thread(target=self._reap, daemon=True)
        watch.start()
        with os.fdopen(self._pipe, "rb", closefd=True) as lines:
            self._pipe = -1
            for line in lines:
                with contextlib.suppress(EventError):
                    event = decode(line)
                    if event is not None:
                        yield event
        watch.join()

    def _reap(self) -> None:
        assert self._process is not None
        self._process.wait()
        time.sleep(0.5)
        self.kill()

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return None if self._process is None else self._process.poll()

    def interrupt(self) -> None:
        """Ask it to stop, to report its results, and to clean up."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and its workers."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Release its process and the pipe."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
            self._process.wait()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def last_words(self) -> str:
        """Return the last line of its log that reports an error."""
        try:
            lines = self.log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        written = [line.strip() for line in lines if line.strip()]
        if any(line.startswith("Traceback") for line in written):
            # The last line of a traceback is the error itself; after it, Locust prints its tables.
            at = max(number for number, line in enumerate(written) if line.startswith("Traceback"))
            return next(
                (
                    line
                    for line in written[at + 1 :]
                    if re.match(r"[A-Za-z_.]+(Error|Exception|Exit)\b", line)
                ),
                "",
            )
        errors = [line for line in written if "/ERROR/" in line or line.startswith("locust: ")]
        if errors and "Gave up waiting for workers" in errors[-1]:
            return self._missing_workers("\n".join(written))
        return errors[-1].partition(": ")[2] if errors else ""

    def _missing_workers(self, log: str) -> str:
        counts = re.findall(r"Waiting for workers to be ready, (\d+) of (\d+) connected", log)
        came, of = counts[-1] if counts else ("0", str(self.settings.workers))
        mend = (
            "start as many by conform load --worker, or give --workers the number that there are"
            if self.master
            else "give --workers a smaller number"
        )
        return f"{came} of {of} workers were ready after {self.patience} s: {mend}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def environment(url: str, *, events: str | None = None) -> dict[str, str]:
    """Return the environment for Locust: that of this process, without the variables that set options of Locust."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    variables["LOCUST_HOST"] = url
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # The tables of Unicode that Hypothesis stores belong to no run in particular.
    variables.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))
    variables.setdefault(own_rules.FOLDER_VARIABLE, str(Path.cwd()))
    variables.pop(EVENTS, None)
    if events is not None:
        variables[EVENTS] = events
    return variables


class Interrupts:
    """Handles SIGINT and SIGTERM during a load: the first signal stops it, a later one kills it."""

    def __init__(self) -> None:
        self.seen = False
        self.locust: Locust | None = None
        self._last = -math.inf
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if (
                    signal.getsignal(number) is not signal.SIG_IGN
                ):  # started in the background, or under nohup
                    self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.seen and now - self._last < _SAME_SIGNAL_SECONDS:
            return
        self._last = now
        if not self.seen:
            self.seen = True
            # Not through a stream: the signal may have come while it was being written to.
            with contextlib.suppress(OSError):
                os.write(
                    2, b"interrupted: stopping, and removing what the load made (again: leave it there)\n"
                )
            if self.locust is not None:
                self.locust.interrupt()
        elif self.locust is not None:
            self.locust.kill()


def calibrate(settings: Settings) -> Calibration:
    """Measure the largest rate that this machine can send with all workers; raises OSError.

    One process is measured. Several processes have a core each, as far as there are enough.
    """
    try:
        found = null.calibrate()
    except (subprocess.SubprocessError, ValueError, KeyError) as error:
        raise OSError(f"the calibration failed: {error}") from error
    return Calibration(found["rate"] * min(settings.workers, cores()), found["cpu_us"])


def carry_out(locust: Locust, take: Callable[[Event], None], interrupts: Interrupts) -> str | None:
    """Run a load, and pass each of its events to `take`; return what went wrong, in one line, or None.

    Raises:
        UsageError: the load reports that an option is wrong.

    """
    begun = ended = False
    refused: RefusedEvent | None = None
    try:
        locust.start()
        interrupts.locust = locust
        if interrupts.seen:
            locust.interrupt()
        for event in locust.events():
            begun = begun or isinstance(event, LoadEvent)
            ended = ended or isinstance(event, LoadEndEvent)
            if isinstance(event, RefusedEvent):
                refused = event
            else:
                take(event)
    finally:
        interrupts.locust = None
        locust.close()
    if refused is not None:
        if refused.kind == "usage":
            raise UsageError(refused.text)
        take(ErrorEvent(None, refused.text, ours=False))
        return None
    if ended or interrupts.seen:
        return None
    words = locust.last_words()
    when = "in the middle of the load" if begun else "before the load began"
    status = locust.status or 0
    how = f"killed by signal {-status}" if status < 0 else f"status {status}"
    return f"Locust ended {when} ({how}){f': {words}' if words else ''}"


def work(
    wish: Wish,
    profile: Path | None,
    url: str,
    host: str,
    port: int,
    processes: int,
    log: TextIO | None,
    rule_files: Sequence[Path] = (),
) -> int:
    """Run a worker of a master elsewhere until the master ends; return the exit status."""
    line = [*_LOCUST, "--worker"]
    line += [f"--master-host={host}", f"--master-port={port}", *wish.arguments()]
    line += [f"--profile={profile.resolve()}"] if profile is not None else []
    line += [f"--rules={file.resolve()}" for file in rule_files]
    line += [f"--processes={processes}"] if processes > 1 else []
    out = log if log is not None else subprocess.DEVNULL
    process = subprocess.Popen(  # noqa: S603  (our own interpreter, our own options)
        line,
        cwd=ROOT,
        env=environment(url),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        start_new_session=True,
    )
    if log is not None:
        print(
            f"waiting for the master at {host}:{port}, for {MAX_WAIT_SECONDS} s at most", file=log, flush=True
        )
    try:
        status = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_MAX_END_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return 130
    return 0 if status == 0 else 3


# --- the plan, and notes before the load --------------------------------------------------


def expected(settings: Settings) -> float | None:
    """Return the number of requests that will be measured; None if it is not known."""
    if settings.schedule is None or math.isinf(settings.seconds):
        return None
    return settings.schedule.expected(settings.seconds) - settings.schedule.expected(settings.warmup)


def samples_short(settings: Settings, shares: Mapping[str, float] | None = None) -> list[str]:
    """Return a line for each SLO that there will be too few samples for."""
    count = expected(settings)
    if count is None or settings.scenario.tasks:
        return []
    short = []
    for text in settings.slos:
        one = slo.parse(text)
        if one.metric == "recovery" or one.since is not None or one.at_rate is not None:
            continue  # their number of requests is not known
        if one.metric == "rate":
            have = settings.seconds - settings.warmup
            what = "seconds"
        else:
            have = count
            what = "requests"
            if one.function is not None and shares:
                have *= shares.get(one.function, 0.0) / sum(shares.values())
        if have < one.needed:
            short.append(
                f"{text} needs {one.needed:,} {what} to be judged, and about {have:,.0f} will be measured: "
                "it will not be judged"
            )
    return short


def plan_text(
    settings: Settings,
    catalog: Catalog,
    target: str,
    shares: Mapping[str, float] | None,
    left_out: list[tuple[str, str]],
) -> str:
    """Return the requests that would be sent, in words."""
    count = expected(settings)
    lines = [f"{settings.scenario.name}: {settings.scenario.text}", f"  target       {target}"]
    lines.append(f"  {'arrivals' if settings.open else 'users':<12} {settings.text}")
    if settings.open:
        lines.append(f"  sessions     {settings.users}")
    if settings.search is not None:
        lines.append(f"  the search   {settings.search.stop}")
    if count is not None:
        whole = settings.schedule.expected(settings.seconds) if settings.schedule is not None else 0.0
        lines.append(
            f"  arrivals     {whole:,.0f}, of which {whole - count:,.0f} in the warm-up of {settings.warmup:g} s"
        )
    lines.append(
        f"  connections  {settings.connections} at most, {settings.workers} process{'es' * (settings.workers > 1)}"
    )
    if settings.rate_limit is not None:
        lines.append(f"  ceiling      {settings.rate_limit:g}/s")
    if shares:
        total = sum(shares.values())
        wide = max(map(len, shares))
        lines.append("  functions")
        for name, share in sorted(shares.items(), key=lambda pair: -pair[1]):
            method = catalog.methods.get(name)
            does = method.effect if method is not None else ""
            about = f"{count * share / total:>10,.0f} requests" if count is not None else ""
            lines.append(f"    {name:<{wide}}  {share / total:>6.1%}  {about}  {does}".rstrip())
    for name, why in left_out[:10]:
        lines.append(f"  left out     {name}: {why}")
    for text in settings.slos:
        lines.append(f"  SLO          {text}  (on {slo.parse(text).needed:,} samples or more)")
    if all(slo.parse(text).metric != "errors" for text in settings.slos):
        lines.append(f"  SLO          {slo.DEFAULT}  ({slo.LIFTED})")
    for text in settings.aborts:
        lines.append(f"  stops early  {text}")
    lines += [f"  note         {text}" for text in samples_short(settings, shares)]
    lines.append("nothing was sent")
    return "\n".join(lines)
