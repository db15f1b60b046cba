"""`conform load`: Locust started in a process of its own, listened to, stopped, and its end told from its crash.

Locust patches sockets through gevent, so it never runs in the front's process. What it is told on its command line
is what a person could type; the target's URL, which may have a password in it, goes by the environment, and secrets
are in the profile. What it tells comes as JSON lines over a pipe.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.events import ErrorEvent, Event, EventError, LoadEndEvent, LoadEvent, RefusedEvent, decode
from load import calibration as null
from load.metrics import slo
from load.metrics.health import Calibration, cores
from load.options import Settings, Wish

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
#: What Locust itself says, beside the events.
LOG = "locust.log"

#: A second Ctrl-C that comes sooner than this is the same one, pressed by an impatient hand.
_AGAIN = 0.5
#: How long Locust may take to end after its last word, in seconds.
_LEAVING = 30.0

#: How Locust is started: no module of the current folder is taken for one of ours, no configuration file is read.
_LOCUST = (sys.executable, "-P", "-m", "load.locust_plugin.main", "-f", str(LOCUSTFILE))

#: How long workers are waited for, in seconds: those that a load starts by itself, and those that people start.
MAX_START_SECONDS = 60
MAX_WAIT_SECONDS = 300


@dataclass
class Locust:
    """Locust in a process of its own; `log` is where it writes what it says, `further` goes to it as it stands."""

    wish: Wish
    settings: Settings
    profile: Path | None
    url: str
    seed: int
    log: Path
    read_only: bool = False
    calibration: Calibration | None = None
    master: bool = False
    port: int = 5557
    further: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _pipe: int = field(default=-1, init=False)

    @property
    def patience(self) -> int:
        """Return for how many seconds workers are waited for at most."""
        return MAX_WAIT_SECONDS if self.master else MAX_START_SECONDS

    @property
    def awaited(self) -> str | None:
        """Return what the load waits for before it begins, in one line; None: only for what it starts itself."""
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
        # A rate or a search stands there in any case: Locust always has users, and alone they would be closed ones.
        ours = ("--users=", "--rate=", "--search=")
        line += [one for one in self.wish.arguments() if not one.startswith(ours)]
        if settings.wording is not None:
            line.append(f"--{'rate' if settings.search is None else 'search'}={settings.wording}")
        line += [
            f"--users={settings.users}",
            f"--spawn-rate={max(100, settings.users)}",
            f"--seed={self.seed}",
        ]
        line += ["--read-only"] * self.read_only
        if self.calibration is not None:
            line.append(f"--calibration={self.calibration.rate:.6g},{self.calibration.cpu_us:.6g}")
        if self.master:
            line += ["--master", f"--expect-workers={settings.workers}", f"--master-bind-port={self.port}"]
        elif settings.workers > 1:
            # Whoever else sends from this machine, and other machines, have nothing to do with these workers.
            port = _free_port()
            line += [f"--processes={settings.workers}", "--master-bind-host=127.0.0.1"]
            line += [f"--master-bind-port={port}", f"--master-port={port}"]
        return [*line, *self.further]

    def start(self) -> None:
        """Start it; raises OSError when that cannot be done."""
        self._pipe, end = os.pipe()
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603  (our own interpreter, our own options)
                    self.line(),
                    # What Locust is told to write by a relative path comes to lie beside the report, and no
                    # configuration of Locust's lies there.
                    cwd=self.log.parent,
                    env=environment(self.url, events=f"/dev/fd/{end}"),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(end,),
                    # Ctrl-C is for us; Locust is told by us.
                    start_new_session=True,
                )
        finally:
            os.close(end)

    def events(self) -> Iterator[Event]:
        """Yield the events that it writes, until it has ended."""
        assert self._process is not None
        # A process of its own that outlives it would keep the pipe open for ever.
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
        """Its exit status, when it has ended."""
        return None if self._process is None else self._process.poll()

    def interrupt(self) -> None:
        """Have it stop, tell what it has and tidy up."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its workers at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Give back what was taken, its process included."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
            self._process.wait()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def last_words(self) -> str:
        """Return the last line of its log that says something of an error."""
        try:
            lines = self.log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        told = [line.strip() for line in lines if line.strip()]
        if any(line.startswith("Traceback") for line in told):
            # The last line of a traceback is the error itself; what Locust prints after it are its tables.
            at = max(number for number, line in enumerate(told) if line.startswith("Traceback"))
            return next(
                (line for line in told[at + 1 :] if re.match(r"[A-Za-z_.]+(Error|Exception|Exit)\b", line)),
                "",
            )
        errors = [line for line in told if "/ERROR/" in line or line.startswith("locust: ")]
        if errors and "Gave up waiting for workers" in errors[-1]:
            return self._missing_workers("\n".join(told))
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
    """Return the environment for Locust: ours, but for what would give it other options than were asked for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    kept["LOCUST_HOST"] = url
    kept["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # What Hypothesis remembers of Unicode is of no run in particular.
    kept.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(ROOT / ".hypothesis"))
    kept.pop(EVENTS, None)
    if events is not None:
        kept[EVENTS] = events
    return kept


class Interrupts:
    """Takes SIGINT and SIGTERM while a load goes on: the first stops it, a later one ends it at once."""

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
        if self.seen and now - self._last < _AGAIN:
            return
        self._last = now
        if not self.seen:
            self.seen = True
            # Not by way of a stream: the signal may have come while that was being written to.
            with contextlib.suppress(OSError):
                os.write(
                    2, b"interrupted: stopping, and removing what the load made (again: leave it there)\n"
                )
            if self.locust is not None:
                self.locust.interrupt()
        elif self.locust is not None:
            self.locust.kill()


def calibrate(settings: Settings) -> Calibration:
    """Measure what this machine could send at most, in as many processes as are asked for; raises OSError.

    One process is measured; several have a core each, as far as there are any.
    """
    try:
        found = null.calibrate()
    except (subprocess.SubprocessError, ValueError, KeyError) as error:
        raise OSError(f"the calibration failed: {error}") from error
    return Calibration(found["rate"] * min(settings.workers, cores()), found["cpu_us"])


def carry_out(locust: Locust, take: Callable[[Event], None], interrupts: Interrupts) -> str | None:
    """Have a load carried out, and hand on each of its events; return what went wrong with it, in one line, or None.

    Raises:
        UsageError: the load says that what was asked of it is wrong.

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
    wish: Wish, profile: Path | None, url: str, host: str, port: int, processes: int, log: TextIO | None
) -> int:
    """Be a worker of a master elsewhere until that lets go; return the exit status."""
    line = [*_LOCUST, "--worker"]
    line += [f"--master-host={host}", f"--master-port={port}", *wish.arguments()]
    line += [f"--profile={profile.resolve()}"] if profile is not None else []
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
            process.wait(_LEAVING)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return 130
    return 0 if status == 0 else 3


# --- what is said beforehand --------------------------------------------------------------------------------


def expected(settings: Settings) -> float | None:
    """Return how many requests will be measured, where that is known."""
    if settings.schedule is None or math.isinf(settings.seconds):
        return None
    return settings.schedule.expected(settings.seconds) - settings.schedule.expected(settings.warmup)


def samples_short(settings: Settings, shares: Mapping[str, float] | None = None) -> list[str]:
    """Return a line for each SLO that cannot be judged on as many samples as there will be."""
    count = expected(settings)
    if count is None or settings.scenario.tasks:
        return []
    short = []
    for text in settings.slos:
        one = slo.parse(text)
        if one.metric == "recovery" or one.since is not None or one.at_rate is not None:
            continue  # of how many requests they are is not worked out
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
    """Return what would be sent, in words."""
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
